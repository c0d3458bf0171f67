"""Temporary directories of a session, in memory: a test's database is a thousand small files, made and removed.

On a disk the kernel's work on those files costs more processor time than all that the test asks of the database. What
pytest keeps for who looks at a failure (`tmp_path`) stays where it was.
"""

import fcntl
import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

MEMORY = "MALHA_TEST_MEMORY"  # a directory in memory to use; empty: none
SHARED = Path("/dev/shm")  # noqa: S108 -- the session's directory there is made by mkdtemp
PREFIX = "malha-tests-"
ROOM = 3 << 30  # what a session may come to need, in bytes
BESIDE = 4 << 30  # what servers and browsers of tests need besides: a file system in memory promises more than there is
LEFT_S = 60.0  # a directory this old has been locked by whoever made it


class Scratch:
    """Where `tempfile`, here and in processes started from here, makes directories while the session runs."""

    def __init__(self, place: Path | None) -> None:
        self.place = place
        self._before = {name: os.environ.get(name) for name in ("TMPDIR", "PYTEST_DEBUG_TEMPROOT")}
        if place is not None:
            self._lock = os.open(place, os.O_RDONLY)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            place.chmod(0o711)  # as root, the embedded PostgreSQL runs as a user of its own and passes through
            os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", tempfile.gettempdir())
            self._turn_to(str(place))

    @classmethod
    def open(cls) -> Self:
        """Take a directory in memory where there is room, else leave all as it is."""
        named = os.environ.get(MEMORY)
        parent = Path(named) if named else SHARED
        if named == "" or not _has_room(parent):
            return cls(None)
        _sweep(parent)
        return cls(Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent)))

    def close(self) -> None:
        """Remove the directory with all that is in it."""
        if self.place is None:
            return
        for name, value in self._before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
        tempfile.tempdir = None
        shutil.rmtree(self.place, ignore_errors=True)
        os.close(self._lock)

    @staticmethod
    def _turn_to(place: str) -> None:
        os.environ["TMPDIR"] = place
        tempfile.tempdir = None  # it is found anew


def _has_room(parent: Path) -> bool:
    try:
        found = os.statvfs(parent)
    except OSError:
        return False
    runs = not found.f_flag & os.ST_NOEXEC  # tests start programs that they have written
    room = found.f_bavail * found.f_frsize >= ROOM and _free_memory() >= ROOM + BESIDE
    return runs and os.access(parent, os.W_OK | os.X_OK) and room


def _free_memory() -> int:
    """Return the bytes that this machine, and this container where it has a limit, still have."""
    lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text("ascii").splitlines())
    free = int(lines["MemAvailable"].split()[0]) << 10
    group = Path("/sys/fs/cgroup")
    with suppress(OSError, ValueError):  # "max": no limit; no such file: no control group of the second kind
        free = min(free, int((group / "memory.max").read_text()) - int((group / "memory.current").read_text()))
    return free


def _sweep(parent: Path) -> None:
    """Remove what sessions have left that were killed: memory is not emptied by a restart of the tests."""
    for left in parent.glob(f"{PREFIX}*"):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime < LEFT_S:
                continue
            handle = os.open(left, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(handle)
