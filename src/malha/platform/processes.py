"""Child processes that do not outlive their parent, and what /proc tells about a process. Linux only."""

import ctypes
import os
import signal
from collections.abc import Callable
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15


def die_with_parent(sig: signal.Signals) -> Callable[[], None]:
    """Return a `preexec_fn` that has the kernel send `sig` to the child when the thread that started it ends.

    So no child is left behind however the parent goes, kill -9 included. Because it is the thread that counts, start
    such children from the main thread. It survives exec, but not a change of user, which must come before (Popen's).
    """
    libc = ctypes.CDLL(None, use_errno=True)
    parent = os.getpid()

    def set_signal() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(sig), 0, 0, 0)
        if os.getppid() != parent:  # it went before the kernel knew
            os._exit(1)

    return set_signal


def set_name(name: str) -> None:
    """Name this process for ps and top; the kernel keeps the first 15 bytes."""
    ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode()[:15], 0, 0, 0)


def name_of(pid: int) -> str:
    """Return the name a process goes by, empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text("utf-8", "replace").strip()
    except OSError:
        return ""


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; a zombie, which only waits to be collected, does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in {"Z", "X"}


def working_directory(pid: int) -> Path | None:
    """Return a process's working directory, None when it is gone or not ours to ask."""
    try:
        return Path(f"/proc/{pid}/cwd").readlink()
    except OSError:
        return None


def memory_of(pids: list[int]) -> int:
    """Return the proportional set size of processes in bytes: memory they share is counted once, not in each."""
    total = 0
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii")
        except OSError:
            continue
        total += next((int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:")), 0)
    return total


def descendants(pid: int) -> list[int]:
    """Return a process's children, their children and so on."""
    found: list[int] = []
    frontier = [pid]
    while frontier:
        children: list[int] = []
        for parent in frontier:
            for task in Path("/proc").glob(f"{parent}/task/*/children"):
                try:
                    children += map(int, task.read_text("ascii").split())
                except OSError:
                    continue
        found += children
        frontier = children
    return found
