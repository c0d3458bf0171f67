"""How much memory the embedded database keeps for its pages: little for a small shop, more once its data asks for it.

A quarter of the machine is what PostgreSQL's own manual advises for a database that has it to itself. Nobody who starts
with an empty shop wants that; nobody whose shop has grown for two years remembers to say it. So it follows the data, at
every start: pages that do not fit are read again and again, from the system's own cache at best.
"""

import os
from contextlib import suppress
from pathlib import Path

LEAST = 96 << 20  # bytes: enough for a shop whose database is small
SMALL = 1 << 30  # bytes of a database that has enough with that
MOST = 4 << 30  # bytes: who gives more measures what it brings
SHARE = 4  # of the data, and of the memory of the machine, one part in so many
_STEP = 32 << 20
# Where a container says how much memory it may use, by version 2 of control groups and by version 1.
_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


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
    """Return the memory this process may use: the machine's, or less where its container has a limit."""
    found = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for place in _LIMITS:
        with suppress(OSError, ValueError):  # no limit is the word "max", or a number beyond any machine
            found = min(found, int(place.read_text("ascii")))
    return found
