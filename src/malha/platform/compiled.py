"""Compiled modules in place of their sources, as long as they are of these sources.

A package that has some keeps them in a folder `compiled`: what mypyc made of modules that it also has as source, one
library that holds their code, and a note with the hash of every source it was made of, each for one kind of
interpreter. `use` looks at the note: one source that changed, and all of them run from source, which is slower and
otherwise the same. `MALHA_COMPILED=false` leaves them out.
"""

import hashlib
import importlib.util
import os
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

SUFFIX = EXTENSION_SUFFIXES[0]  # of this interpreter: `.cpython-313-x86_64-linux-gnu.so`
VARIABLE = "MALHA_COMPILED"
MALHA = Path(__file__).resolve().parent.parent


def digest(path: Path) -> str:
    """Return the hash of a source."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def note_of(folder: Path, library: str) -> Path:
    """Return where the hashes of the sources are, for this interpreter."""
    return folder / f"{library}{SUFFIX}.txt"


def is_fresh(folder: Path, library: str) -> bool:
    """Tell whether what is compiled in a folder is for this interpreter and of the sources that are there."""
    try:
        lines = note_of(folder, library).read_text(encoding="utf-8").splitlines()
        return all(digest(MALHA / path) == hash_ for hash_, path in (line.split(" ", 1) for line in lines))
    except OSError:
        return False


def use(path: list[str], library: str) -> bool:
    """Let a package find its compiled modules before their sources; return whether it does.

    Args:
        path: the package's `__path__`.
        library: the name of what holds the code of them all.
    """
    folder = Path(path[0]) / "compiled"
    if os.environ.get(VARIABLE, "").lower() in {"0", "false", "no", "off"} or not is_fresh(folder, library):
        return False
    spec = importlib.util.spec_from_file_location(library, folder / f"{library}{SUFFIX}")
    if spec is None or spec.loader is None:
        return False
    try:
        module = importlib.util.module_from_spec(spec)
        sys.modules[library] = module  # each of the modules asks for it by this name
        spec.loader.exec_module(module)
    except ImportError:  # made for another C library
        sys.modules.pop(library, None)
        return False
    path.insert(0, str(folder))
    return True
