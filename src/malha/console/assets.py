"""Own and built front-end files: one address space `/static/<digest>/...`, cached for ever, sent compressed.

The digest covers every file, so a new version has new addresses, and relative links inside style sheets and modules
stay right. Files are listed when they are first needed; what is not in the listing does not exist, whatever the
address says.
"""

import gzip
import hashlib
import json
import mimetypes
from functools import cache
from pathlib import Path

import msgspec

from malha.platform.errors import NotFound

ROOT = Path(__file__).resolve().parent / "static"
VENDOR = ROOT / "vendor"
PREFIX = "/static"
_TEXT = frozenset({".css", ".js", ".mjs", ".svg", ".json", ".txt"})
_TYPES = {".woff2": "font/woff2", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8"}


class AssetsMissing(RuntimeError):
    """The built front-end packages are not there: a checkout before `make setup`."""


class Served(msgspec.Struct, frozen=True):
    """One file ready to send."""

    body: bytes
    media_type: str
    encoding: str | None


@cache
def listing() -> dict[str, Path]:
    """Return every file that may be served, by its path below `static`."""
    return {
        path.relative_to(ROOT).as_posix(): path
        for path in sorted(ROOT.rglob("*"))
        if path.is_file() and path.suffix not in {".gz", ".br"}
    }


@cache
def digest() -> str:
    """Return the version of the whole tree: own files by content, built ones by their manifest."""
    total = hashlib.sha256()
    for name, path in listing().items():
        if not name.startswith("vendor/") or name == "vendor/manifest.json":
            total.update(name.encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()[:12]


@cache
def _libraries() -> dict[str, str]:
    try:
        text = (VENDOR / "manifest.json").read_text("utf-8")
    except FileNotFoundError:
        raise AssetsMissing("The console's front-end packages are not built. Run: make setup") from None
    return {name: facts["path"] for name, facts in json.loads(text)["libraries"].items()}


def address(name: str) -> str:
    """Return the address of a file of ours (`css/malha.css`) or of a library (`htmx:htmx.min.js`)."""
    library, separator, file = name.partition(":")
    path = f"vendor/{_libraries()[library]}/{file}" if separator else name
    if path not in listing():
        raise LookupError(f"there is no asset {name}")
    return f"{PREFIX}/{digest()}/{path}"


def library_file(library: str, name: str) -> Path:
    """Return where a file of a library is, for what the server itself reads."""
    return VENDOR / _libraries()[library] / name


@cache
def icon_body(name: str) -> str:
    """Return what is inside a Tabler icon's <svg>."""
    text = library_file("icons", f"{name}.svg").read_text("utf-8")
    body = text[text.index(">", text.index("<svg")) + 1 : text.rindex("</svg>")]
    return " ".join(body.split())


@cache
def _compressed(name: str) -> bytes:
    path = listing()[name]
    built = path.with_name(path.name + ".gz")
    return built.read_bytes() if built.is_file() else gzip.compress(path.read_bytes(), 9, mtime=0)


def serve(name: str, *, accepts_gzip: bool) -> Served:
    """Return a file, compressed where that helps and the browser takes it.

    Raises:
        NotFound: there is no such file.
    """
    path = listing().get(name)
    if path is None:
        raise NotFound(what="file", key=name)
    kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    if accepts_gzip and path.suffix in _TEXT:
        return Served(_compressed(name), kind, "gzip")
    return Served(path.read_bytes(), kind, None)
