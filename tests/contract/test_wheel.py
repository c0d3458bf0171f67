"""An installed wheel is whole: front-end files, catalogues, migrations, pages, licences; and nothing of the workshop."""

import shutil
import zipfile
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "malha"


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    built = next(WheelBuilder(str(ROOT)).build(directory=str(tmp_path_factory.mktemp("wheel")), versions=["standard"]))
    with zipfile.ZipFile(built) as wheel:
        return set(wheel.namelist())


def inside(pattern: str) -> set[str]:
    return {f"malha/{path.relative_to(PACKAGE).as_posix()}" for path in PACKAGE.glob(pattern) if path.is_file()}


@pytest.mark.parametrize("pattern", ["console/static/**/*", "console/templates/**/*", "migrations/*.sql", "**/data/*"])
def test_the_wheel_carries_every_file_that_is_read_at_run_time(names: set[str], pattern: str):
    wanted = inside(pattern)
    assert wanted
    assert wanted <= names


def test_the_wheel_carries_the_compiled_catalogues(names: set[str]):
    assert "malha/locale/pt_BR/LC_MESSAGES/malha.mo" in names


def test_the_wheel_carries_its_licence_and_notice(names: set[str]):
    assert {name.rsplit("/", 1)[1] for name in names if "/licenses/" in name} == {"LICENSE", "NOTICE"}


def test_the_wheel_carries_nothing_of_the_workshop(names: set[str]):
    assert {name.split("/")[0].split("-")[0] for name in names} == {"malha"}
    assert not any("__pycache__" in name for name in names)


def test_the_wheel_is_for_every_machine(names: set[str]):
    assert not any("compiled/" in name or name.endswith(".so") for name in names)


def test_a_wheel_that_should_be_compiled_and_is_not_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE", "tools/build_hook.py", "src/malha/__init__.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    manifest = tmp_path / "src/malha/console/static/vendor/manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text("{}")
    monkeypatch.setenv("MALHA_WHEEL", "compiled")
    with pytest.raises(FileNotFoundError, match="make wheel-compiled"):
        next(WheelBuilder(str(tmp_path)).build(directory=str(tmp_path / "dist"), versions=["standard"]))
    note = tmp_path / f"src/malha/routing/compiled/malha_routing__mypyc{EXTENSION_SUFFIXES[0]}.txt"
    note.parent.mkdir(parents=True)
    note.write_text("")
    built = next(WheelBuilder(str(tmp_path)).build(directory=str(tmp_path / "dist"), versions=["standard"]))
    assert not built.endswith("-none-any.whl")
    with zipfile.ZipFile(built) as wheel:
        assert f"malha/routing/compiled/{note.name}" in wheel.namelist()


def test_a_wheel_without_front_end_files_is_refused(tmp_path: Path):
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE", "tools/build_hook.py", "src/malha/__init__.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    with pytest.raises(FileNotFoundError, match="make wheel"):
        next(WheelBuilder(str(tmp_path)).build(directory=str(tmp_path / "dist"), versions=["standard"]))
