"""The front-end files that set-up put into `static/vendor` are those of the manifest, with licences, and small."""

import gzip
import hashlib
import json
from pathlib import Path

import pytest

from malha.platform.brazil import STATES

VENDOR = Path(__file__).resolve().parents[2] / "src/malha/console/static/vendor"


@pytest.fixture(scope="module")
def manifest() -> dict:
    return json.loads((VENDOR / "manifest.json").read_text("utf-8"))


def test_every_file_is_what_the_manifest_says(manifest):
    on_disk = {path.relative_to(VENDOR).as_posix() for path in VENDOR.rglob("*") if path.is_file()}
    assert on_disk - {"manifest.json"} == set(manifest["files"])
    for name, facts in manifest["files"].items():
        assert hashlib.sha256((VENDOR / name).read_bytes()).hexdigest() == facts["sha256"]


def test_every_library_stands_in_its_folder_with_its_licence(manifest):
    for library in manifest["libraries"].values():
        assert (VENDOR / library["path"] / "LICENSE").read_text("utf-8").strip()


def test_every_style_sheet_and_script_has_a_gzipped_twin(manifest):
    for name in manifest["files"]:
        if name.endswith((".css", ".js")):
            assert gzip.decompress((VENDOR / f"{name}.gz").read_bytes()) == (VENDOR / name).read_bytes()


def test_every_listed_icon_is_there(manifest):
    listed = (VENDOR.parents[1] / "icons.txt").read_text("utf-8").splitlines()
    wanted = {line.split("#")[0].strip() for line in listed} - {""}
    assert wanted
    assert {f"icons/{name}.svg" for name in wanted} <= set(manifest["files"])


def test_every_library_is_used_by_a_page(manifest):
    console = VENDOR.parents[1]
    pages = "\n".join(path.read_text("utf-8") for path in (console / "templates").rglob("*.html"))
    modules = "\n".join(path.read_text("utf-8") for path in console.glob("*.py"))
    used = [name for name in manifest["libraries"] if f"asset('{name}:" in pages or f'library_file("{name}"' in modules]
    assert used == list(manifest["libraries"])


def test_the_map_draws_every_state_of_brazil(manifest):
    drawn = json.loads((VENDOR / manifest["libraries"]["brazil"]["path"] / "states.json").read_text("utf-8"))
    assert set(drawn["states"]) == STATES
    for path in drawn["states"].values():
        assert path.startswith("M")
        assert path.endswith("z")


def test_every_listed_icon_is_drawn_somewhere(manifest):
    console = VENDOR.parents[1]
    sources = [*console.rglob("*.html"), *console.rglob("*.py"), *(VENDOR.parent / "js").rglob("*.js")]
    text = "\n".join(path.read_text("utf-8") for path in sources)
    icons = [name.removeprefix("icons/").removesuffix(".svg") for name in manifest["files"] if name.endswith(".svg")]
    assert [icon for icon in icons if f'"{icon}"' not in text and f"'{icon}'" not in text] == []
