"""How much memory the embedded database keeps for its pages: little for a small shop, more once its data asks for it.

A quarter of the machine is what PostgreSQL's own manual advises for a database that has it to itself. Nobody who starts
with an empty shop wants that; nobody whose shop has grown for two years remembers to say it. So it follows the data, at
every start: pages that do not fit are read again and again, from the system's own cache at best.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

LEAST = 96 << 20  # bytes: enough for a shop whose database is small
SMALL = 1 << 30  # bytes of a database that has enough with that
MOST = 4 << 30  # bytes: who gives more measures what it brings
SHARE = 4  # of the data, and of the memory of the machine, one part in so many
_STEP = 32 << 20
_GROUP = Path("/proc/self/cgroup")
_GROUPS = Path("/sys/fs/cgroup")
_GROUPS_1 = _GROUPS / "memory"  # of version 1 of control groups


def fitting(data: int, memory: int) -> int:
    """Return the bytes of shared buffers for so many bytes of data on a machine of so many bytes of memory.

    96 MB for less than 1 GB of data; from there a quarter of the data, at most a quarter of the memory and 4 GB, in
    steps of 32 MB.
    """
    if data < SMALL:
        return LEAST
    wanted = min(data // SHARE, memory // SHARE, MOST)
    return max(LEAST, wanted // _STEP * _STEP)


def data_bytes(pgdata: Path) -> int:
    """Return how large the tables and indexes of a data directory are; 0 where there is none yet."""
    total = 0
    with suppress(FileNotFoundError):
        for database in os.scandir(pgdata / "base"):
            with suppress(NotADirectoryError, FileNotFoundError), os.scandir(database) as files:
                for file in files:
                    with suppress(FileNotFoundError):  # a temporary table's, gone meanwhile
                        total += file.stat(follow_symlinks=False).st_size
    return total


def memory_bytes() -> int:
    """Return the memory this process may use: the machine's, or less where its container or unit has a limit."""
    found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in _limits():
        with suppress(OSError, ValueError):  # no limit is the word "max", or a number beyond any machine
            found = min(found, int(limit.read_text("ascii")))
    return found


def _limits() -> Iterator[Path]:
    """Yield where limits of memory stand: of this process's group, and of each that it is part of."""
    with suppress(OSError):
        for line in _GROUP.read_text("utf-8").splitlines():
            number, kinds, path = line.split(":", 2)
            if number == "0":
                root, name = _GROUPS, "memory.max"
            elif "memory" in kinds.split(","):
                root, name = _GROUPS_1, "memory.limit_in_bytes"
            else:
                continue
            # In a container the path may be that of the host, which is not there: its own group is the root then.
            parts = PurePosixPath(path).parts[1:]
            yield from (root.joinpath(*parts[:n], name) for n in range(len(parts) + 1))
