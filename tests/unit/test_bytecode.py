"""Where a session of tests keeps compiled modules: where Python may, else in a folder that is gone with the session."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.bytecode import FORBIDDEN, PLACE, Bytecode

ASKED = "import module, sys; print(sys.modules['module'].__cached__)"


@pytest.fixture
def module(tmp_path: Path) -> Path:
    written = tmp_path / "source" / "module.py"
    written.parent.mkdir()
    written.write_text("VALUE = 1\n")
    return written


def imported(module: Path) -> Path:
    """Import the module in a process of its own; return where its compiled form would be."""
    told = [sys.executable, "-c", ASKED]
    done = subprocess.run(told, cwd=module.parent, check=True, capture_output=True, text=True)
    return Path(done.stdout.strip())


def test_where_python_may_keep_nothing_the_session_keeps_it_and_the_sources_stay_clean(
    module: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(FORBIDDEN, "1")
    monkeypatch.delenv(PLACE, raising=False)
    kept = Bytecode.open()
    try:
        assert kept.place is not None
        compiled = imported(module)
        assert compiled.exists()
        assert compiled.is_relative_to(kept.place)
    finally:
        kept.close()
    assert not Path(kept.place).exists()
    assert list(module.parent.iterdir()) == [module]
    assert (os.environ[FORBIDDEN], os.environ.get(PLACE)) == ("1", None)


@pytest.mark.parametrize("place", [None, "elsewhere"])
def test_where_python_may_keep_them_nothing_changes(module: Path, monkeypatch: pytest.MonkeyPatch, place: str | None):
    monkeypatch.delenv(FORBIDDEN, raising=False)
    monkeypatch.delenv(PLACE, raising=False)
    if place:
        monkeypatch.setenv(PLACE, str(module.parent.parent / place))
    before = dict(os.environ)
    kept = Bytecode.open()
    try:
        assert kept.place is None
        assert dict(os.environ) == before
        compiled = imported(module)
        assert compiled.exists()
        assert compiled.is_relative_to(module.parent.parent / (place or "source"))
    finally:
        kept.close()
    assert compiled.exists()
