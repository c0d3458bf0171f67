#!/bin/sh
# Regenerates the hashed locks. They carry names, versions and hashes only: no address of any registry.
# Usage: tools/lock.sh [--upgrade]
set -eu
cd "$(dirname "$0")/.."

if command -v uv >/dev/null 2>&1; then
    uv=uv
elif [ -x .venv/bin/uv ]; then
    uv=.venv/bin/uv
else
    echo "lock: uv is needed to regenerate the locks. Mend: python3 -m pip install uv" >&2
    exit 2
fi

compile() {
    out=$1
    shift
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes \
        --no-header --no-emit-index-url --no-emit-find-links --no-annotate --output-file "$out" "$@"
}

compile requirements/build.lock requirements/build.in "$@"
compile requirements/runtime.lock pyproject.toml --constraints requirements/build.lock "$@"
compile requirements/dev.lock pyproject.toml --extra dev --extra otel --extra learn \
    --constraints requirements/runtime.lock --constraints requirements/build.lock "$@"
compile requirements/node.lock requirements/node.in "$@"
# A peer of the tests, in an environment of its own: nothing of it is Malha's.
compile tests/peers/tryton/requirements.lock tests/peers/tryton/requirements.in "$@"

if grep -n '://' requirements/*.lock tests/peers/*/requirements.lock; then
    echo "lock: an address got into a lock, see above" >&2
    exit 1
fi
