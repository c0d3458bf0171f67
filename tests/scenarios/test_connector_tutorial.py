"""The tutorial "A connector of your own" is true: its package builds, its kit passes, and fails when it should."""

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "tutorial" / "build-a-connector.md"
FENCE = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
FILE = re.compile(r"# ([\w.]+)\n")


def shown() -> list[str]:
    return [body.strip() for kind, body in FENCE.findall(PAGE.read_text("utf-8")) if kind == "text"]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the page, built into a wheel that is unpacked beside them."""
    home = tmp_path_factory.mktemp("tutorial") / "malha-acme"
    home.mkdir()
    for _kind, body in FENCE.findall(PAGE.read_text("utf-8")):
        if named := FILE.match(body):
            (home / named[1]).write_text(body)
    assert {path.name for path in home.iterdir()} == {"pyproject.toml", "malha_acme.py", "acme_peer.py", "test_acme.py"}
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel"], cwd=home, check=True, capture_output=True
    )
    (wheel,) = (home / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(home / "site")
    return home


def run(package: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(package / "site"), "PYTEST_ADDOPTS": "", "COLUMNS": "80"}
    return subprocess.run(
        [sys.executable, *command], cwd=package, env=environment, capture_output=True, text=True, check=False
    )


def test_its_kit_run_says_what_the_page_shows(package: Path) -> None:
    done = run(package, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_acme.py")
    assert done.returncode == 0, done.stdout
    # The kit may have grown since: what passed then passes, and nothing fails.
    passed, said = (int(re.findall(r"(\d+) passed", text)[0]) for text in (done.stdout, shown()[0]))
    assert passed >= said
    assert re.search(r"\d+ passed, \d+ skipped in", done.stdout.splitlines()[-1])


def test_it_is_found_by_its_entry_point(package: Path) -> None:
    done = run(package, "-m", "malha.cli.main", "connector", "list")
    assert done.returncode == 0, done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith("acme")] == [shown()[1]]


def test_the_kit_names_what_the_page_says_it_would(package: Path) -> None:
    source = (package / "malha_acme.py").read_text()
    careless = source.replace('return ExtRef(found["parcels"][0]["id"]) if found["parcels"] else None', "return None")
    assert careless != source
    (package / "malha_acme.py").write_text(careless)
    (package / "site" / "malha_acme.py").write_text(careless)
    try:
        done = run(package, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "told_once", "test_acme.py")
    finally:
        (package / "malha_acme.py").write_text(source)
        (package / "site" / "malha_acme.py").write_text(source)
    assert done.returncode == 1
    assert "('ok', 2)" in done.stdout
