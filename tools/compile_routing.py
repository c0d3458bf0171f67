"""Compile the planner's inner modules by mypyc, where a C compiler and Python's headers are there.

What is made lies in `src/malha/routing/compiled`, beside a note of the sources it was made of: `malha.routing` takes it
in their place while they are the same (`malha.platform.compiled`). The same source runs either way, with the same
results; compiled it is quicker. Where it cannot be compiled one line says why, and nothing else changes.

Usage: `python tools/compile_routing.py [--must]`; with `--must` it exits 1 when nothing could be compiled.
"""

import argparse
import ast
import contextlib
import importlib.util
import shlex
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

from malha.platform.compiled import SUFFIX, digest, is_fresh, note_of
from malha.routing import COMPILED, LIBRARY

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "malha" / "routing"
INTO = PACKAGE / "compiled"
BUILD = ROOT / "build" / "compiled" / SUFFIX.strip(".")


def what_lacks() -> str | None:
    """Return what keeps this machine from compiling; None: nothing."""
    compiler = shlex.split(str(sysconfig.get_config_var("CC") or "cc"))[0]
    if not shutil.which(compiler):
        return f"there is no C compiler ({compiler})"
    if not (Path(sysconfig.get_path("include")) / "Python.h").is_file():
        return "Python's headers are not installed"
    for module in ("setuptools", "mypyc"):
        if importlib.util.find_spec(module) is None:
            return f"{module} is not installed"
    return None


def sources() -> str:
    """Return the hashes of the modules that are compiled, and of those whose types they are compiled with: a line each.

    They are taken before: a source that changes while it is compiled makes the result stale.
    """
    found = {PACKAGE / f"{name}.py" for name in COMPILED}
    for path in sorted(found):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("malha."):
                found.add(ROOT / "src" / f"{(node.module or '').replace('.', '/')}.py")
    there = sorted(path for path in found if path.is_file())
    return "".join(f"{digest(path)} {path.relative_to(ROOT / 'src' / 'malha').as_posix()}\n" for path in there)


def build() -> None:
    """Compile into `build/compiled`, telling all that mypyc and the compiler say."""
    import setuptools  # noqa: PLC0415 - first: mypyc looks whether it is there
    from mypyc.build import mypycify  # noqa: PLC0415 - the workshop's

    shutil.rmtree(BUILD, ignore_errors=True)
    BUILD.mkdir(parents=True)
    paths = [str((PACKAGE / f"{name}.py").relative_to(ROOT)) for name in COMPILED]
    extensions = mypycify(
        ["--config-file=pyproject.toml", f"--cache-dir={BUILD / 'types'}", *paths],
        only_compile_paths=paths,
        target_dir=str((BUILD / "c").relative_to(ROOT)),
        group_name=LIBRARY.removesuffix("__mypyc"),
        opt_level="2",
        debug_level="0",
    )
    command = setuptools.Distribution({"name": "malha-routing", "ext_modules": extensions}).get_command_obj("build_ext")
    command.build_lib = str(BUILD / "lib")
    command.build_temp = str(BUILD / "objects")
    command.ensure_finalized()
    command.run()


def put(made: list[Path], of: str) -> None:
    """Put what was made in its place; the note of what it was made of, which makes it count, comes last."""
    INTO.mkdir(exist_ok=True)
    note = note_of(INTO, LIBRARY)
    note.unlink(missing_ok=True)
    for path in made:
        shutil.copyfile(path, INTO / f".{path.name}")
        (INTO / f".{path.name}").replace(INTO / path.name)
    note.write_text(of, encoding="utf-8")


def compile_all() -> bool:
    """Compile what changed; return whether what is there is of the sources that are there."""
    if is_fresh(INTO, LIBRARY):
        return True
    lack = what_lacks()
    if lack is not None:
        print(f"setup: {lack}, so routing runs uncompiled, which is slower and otherwise the same")
        return False
    started = time.monotonic()
    of = sources()
    log = ROOT / "build" / "compiled.log"
    log.parent.mkdir(exist_ok=True)
    with log.open("w", encoding="utf-8") as out:
        ask = [sys.executable, __file__, "--build"]
        done = subprocess.run(ask, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=out, stderr=out, check=False)
    made = sorted((BUILD / "lib").rglob(f"*{SUFFIX}"))
    if done.returncode != 0 or len(made) != len(COMPILED) + 1:
        print(f"setup: routing could not be compiled, see {log.relative_to(ROOT)}; it runs uncompiled, which is slower")
        return False
    put(made, of)
    print(f"setup: routing compiled in {time.monotonic() - started:.0f} s")
    return True


def main() -> None:
    """Compile, or say why not."""
    arguments = argparse.ArgumentParser(description="Compile the planner's inner modules.")
    arguments.add_argument("--must", action="store_true")
    arguments.add_argument("--build", action="store_true", help=argparse.SUPPRESS)
    asked = arguments.parse_args()
    if asked.build:
        with contextlib.chdir(ROOT):
            build()
    elif not compile_all() and asked.must:
        sys.exit(1)


if __name__ == "__main__":
    main()
