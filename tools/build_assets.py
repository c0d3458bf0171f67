"""Copy what the console uses of the front-end packages into `static/vendor/<library>-<version>/`.

The packages come by `npm ci` (`package-lock.json` pins and hashes them); git ignores the result and the wheel carries
it, so nobody needs Node to run Malha. Beside each library stands its licence; style sheets and scripts also stand
there gzipped; `manifest.json` names every file with its SHA-256, so that a page can link it and a test can check it.
Icons are single files, those listed in `console/icons.txt`.
"""

import argparse
import gzip
import hashlib
import json
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODULES = ROOT / "node_modules"
CONSOLE = ROOT / "src" / "malha" / "console"
VENDOR = CONSOLE / "static" / "vendor"
ICON_LIST = CONSOLE / "icons.txt"
COMPRESSED = {".css", ".js", ".mjs"}
STYLE_URL = re.compile(r"url\(\./(files/[\w.-]+)\)")


@dataclass(frozen=True)
class Library:
    """One npm package: the name it has in the console, and the files taken from it (source -> name here).

    `referenced_by` names a style sheet whose own `url(./files/...)` come along.
    """

    package: str
    name: str
    files: dict[str, str]
    licence: str
    referenced_by: str = ""


LIBRARIES = (
    Library(
        package="htmx.org",
        name="htmx",
        files={"dist/htmx.min.js": "htmx.min.js", "LICENSE": "LICENSE"},
        licence="0BSD",
    ),
    Library(
        package="@fontsource-variable/inter",
        name="inter",
        files={"opsz.css": "opsz.css", "LICENSE": "LICENSE"},
        licence="OFL-1.1",
        referenced_by="opsz.css",
    ),
)
ICONS = Library(package="@tabler/icons", name="icons", files={"LICENSE": "LICENSE"}, licence="MIT")


def version_of(library: Library) -> str:
    """Return the installed version of a library's package."""
    path = MODULES / library.package / "package.json"
    if not path.is_file():
        sys.exit(f"assets: {library.package} is not installed. Mend: make setup")
    return str(json.loads(path.read_text(encoding="utf-8"))["version"])


def icon_names() -> list[str]:
    """Return the icons the console lists, sorted; blank lines and `#` comments are skipped."""
    lines = (line.split("#")[0].strip() for line in ICON_LIST.read_text(encoding="utf-8").splitlines())
    return sorted({line for line in lines if line})


def copy_library(library: Library, folder: Path) -> None:
    """Copy one library's files, and those which its style sheet refers to, into its folder."""
    source = MODULES / library.package
    files = dict(library.files)
    if library.referenced_by:
        style = (source / library.referenced_by).read_text(encoding="utf-8")
        files |= {name: name for name in STYLE_URL.findall(style)}
    for origin, name in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / origin, target)


def copy_icons(folder: Path) -> None:
    """Copy the listed icons; `filled/<name>` takes the filled drawing. An unknown name ends the build, naming it."""
    folder.mkdir(parents=True)
    shutil.copyfile(MODULES / ICONS.package / "LICENSE", folder / "LICENSE")
    unknown = []
    for name in icon_names():
        style, _, icon = name.rpartition("/")
        source = MODULES / ICONS.package / "icons" / (style or "outline") / f"{icon}.svg"
        if not source.is_file():
            unknown.append(name)
            continue
        target = folder / f"{name}.svg"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    if unknown:
        sys.exit(f"assets: no such Tabler icon, see {ICON_LIST.relative_to(ROOT)}: {', '.join(unknown)}")


def compress(folder: Path) -> None:
    """Write a gzipped twin of each style sheet and script, the same bytes on every run."""
    for path in sorted(folder.rglob("*")):
        if path.suffix in COMPRESSED:
            path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes(), 9, mtime=0))


def manifest(folder: Path, inputs: str) -> dict[str, object]:
    """Return the manifest of a built folder: its libraries, and each file's SHA-256 and size in bytes."""
    libraries = {
        library.name: {
            "package": library.package,
            "version": version_of(library),
            "licence": library.licence,
            "path": "icons" if library is ICONS else f"{library.name}-{version_of(library)}",
        }
        for library in (*LIBRARIES, ICONS)
    }
    files = {
        path.relative_to(folder).as_posix(): {
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "bytes": path.stat().st_size,
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    return {"inputs": inputs, "libraries": libraries, "files": files}


def inputs_digest() -> str:
    """Return a hash of everything the result depends on."""
    total = hashlib.sha256()
    for path in (ROOT / "package-lock.json", ICON_LIST, Path(__file__)):
        total.update(path.read_bytes() + b"\0")
    return total.hexdigest()


def main() -> None:
    """Build `static/vendor` anew, beside the old one, and put it in its place."""
    arguments = argparse.ArgumentParser(description="Copy the front-end packages that the console uses.")
    arguments.add_argument("--quiet", action="store_true", help="say nothing when there is nothing to do")
    quiet = arguments.parse_args().quiet
    inputs = inputs_digest()
    index = VENDOR / "manifest.json"
    if index.is_file() and json.loads(index.read_text(encoding="utf-8"))["inputs"] == inputs:
        if not quiet:
            print("assets: up to date")
        return
    new = VENDOR.with_name("vendor.new")
    shutil.rmtree(new, ignore_errors=True)
    for library in LIBRARIES:
        copy_library(library, new / f"{library.name}-{version_of(library)}")
    copy_icons(new / ICONS.name)
    compress(new)
    listing = manifest(new, inputs)
    (new / "manifest.json").write_text(json.dumps(listing, indent=1) + "\n", encoding="utf-8")
    shutil.rmtree(VENDOR, ignore_errors=True)
    new.rename(VENDOR)
    print(f"assets: {len(listing['files'])} files in {VENDOR.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
