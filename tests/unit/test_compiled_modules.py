"""Compiled modules take the place of their sources only while they are of them."""

import subprocess
import sys
from pathlib import Path

import pytest

from malha import routing
from malha.platform import compiled

ASK = "import sys, malha.routing as r, malha.routing.rules as rules; print(r.IS_COMPILED, rules.__file__)"


def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """A package with one source and a folder of what was compiled of it, which the note says."""
    monkeypatch.setattr(compiled, "MALHA", tmp_path)
    source = tmp_path / "things" / "count.py"
    folder = tmp_path / "things" / "compiled"
    folder.mkdir(parents=True)
    source.write_text("def count(): return 1\n")
    compiled.note_of(folder, "things__mypyc").write_text(f"{compiled.digest(source)} things/count.py\n")
    return source, folder


def test_what_is_compiled_is_of_its_sources_until_one_of_them_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    source, folder = made(tmp_path, monkeypatch)
    assert compiled.is_fresh(folder, "things__mypyc")
    source.write_text("def count(): return 2\n")
    assert not compiled.is_fresh(folder, "things__mypyc")
    source.unlink()
    assert not compiled.is_fresh(folder, "things__mypyc")


def test_nothing_compiled_is_used_where_there_is_none_or_it_cannot_be_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    source, folder = made(tmp_path, monkeypatch)
    monkeypatch.delenv(compiled.VARIABLE, raising=False)
    path = [str(source.parent)]
    assert not compiled.use(path, "others__mypyc")
    (folder / f"things__mypyc{compiled.SUFFIX}").write_bytes(b"no library at all")
    assert not compiled.use(path, "things__mypyc")
    assert "things__mypyc" not in sys.modules
    assert path == [str(source.parent)]


@pytest.mark.parametrize("said", ["false", "0", "off"])
def test_a_variable_leaves_what_is_compiled_out(said: str):
    answer = subprocess.run(
        [sys.executable, "-c", ASK], env={compiled.VARIABLE: said}, capture_output=True, text=True, check=True
    )
    is_compiled, file = answer.stdout.split()
    assert is_compiled == "False"
    assert file.endswith("rules.py")


def test_what_is_compiled_is_what_is_imported():
    folder = Path(routing.__file__).parent / "compiled"
    if not compiled.is_fresh(folder, routing.LIBRARY):
        pytest.skip("nothing is compiled here: no C compiler, or sources that changed since `make setup`")
    answer = subprocess.run([sys.executable, "-c", ASK], env={}, capture_output=True, text=True, check=True)
    is_compiled, file = answer.stdout.split()
    assert is_compiled == "True"
    assert Path(file).parent == folder
