"""Where a session of tests puts its temporary directories: in memory, and gone with it."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from tests import memory
from tests.memory import Scratch


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(memory.MEMORY, str(tmp_path))
    monkeypatch.setattr(memory, "ROOM", 0)
    monkeypatch.setattr(memory, "BESIDE", 0)
    return tmp_path


def test_everything_temporary_is_there_and_goes_with_the_session(place: Path):
    before = tempfile.gettempdir(), os.environ.get("TMPDIR"), os.environ.get("PYTEST_DEBUG_TEMPROOT")
    scratch = Scratch.open()
    try:
        assert Path(tempfile.mkdtemp()).parent == scratch.place
        told = [sys.executable, "-c", "import tempfile; print(tempfile.mkdtemp())"]
        started = subprocess.run(told, check=True, capture_output=True, text=True).stdout.strip()
        assert Path(started).parent == scratch.place
    finally:
        scratch.close()
    assert not list(place.iterdir())
    assert before == (tempfile.gettempdir(), os.environ.get("TMPDIR"), os.environ.get("PYTEST_DEBUG_TEMPROOT"))


def test_what_a_killed_session_left_is_removed_and_what_a_running_one_uses_is_not(place: Path):
    left = place / f"{memory.PREFIX}left"
    fresh = place / f"{memory.PREFIX}fresh"
    strange = place / "strange"
    for one in (left, fresh, strange):
        one.mkdir()
    running = Scratch.open()
    assert running.place is not None
    for one in (left, strange, running.place):
        os.utime(one, (0, 0))
    try:
        Scratch.open().close()
        assert set(place.iterdir()) == {running.place, fresh, strange}
    finally:
        running.close()


def test_without_room_nothing_changes(place: Path, monkeypatch: pytest.MonkeyPatch):
    before = tempfile.gettempdir()
    monkeypatch.setattr(memory, "ROOM", 1 << 60)
    for named in (str(place), str(place / "nowhere"), ""):
        monkeypatch.setenv(memory.MEMORY, named)
        scratch = Scratch.open()
        assert scratch.place is None
        assert tempfile.gettempdir() == before
        scratch.close()
    assert not list(place.iterdir())


def test_nothing_is_kept_in_memory_that_is_needed_otherwise(place: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(memory, "BESIDE", 1 << 60)
    scratch = Scratch.open()
    assert scratch.place is None
    scratch.close()
