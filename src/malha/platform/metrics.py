"""Metrics for Prometheus, summed over all processes of a server.

Web processes and the worker share a directory of memory-mapped values (prometheus_client's multiprocess mode);
`/metrics` of whichever web process is asked adds them up, also those of processes that have been replaced, so counters
never go back. Without that directory (tests, a worker started alone) a process simply has its own values.

`share` must come before anything imports `measures`: `malha serve` calls it before it imports the application.

What counts must not stop what it counts. A page of a mapped file for which the disk has no room ends its process
(SIGBUS), so room is taken before anything is written to it; where there is none, values are kept in memory, and are
not on the page.
Labels are few and bounded: routes and outcomes, never ids, never anything a client can make up.
"""

import os
import tempfile
from contextlib import suppress
from mmap import mmap
from pathlib import Path
from typing import Any

import structlog

log = structlog.get_logger(__name__)

DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


_shared: list[Path] = []


def share() -> Path | None:
    """Make the directory this process and its children share; the same one while it is there. Its caller removes it.

    None: there is no room for it, and each process has its own values.
    """
    if not (_shared and _shared[-1].is_dir()):
        try:
            _shared.append(Path(tempfile.mkdtemp(prefix="malha-metrics-")))
        except OSError as error:
            log.warning("metrics_not_shared", error=str(error))
            os.environ.pop(DIRECTORY, None)
            return None
    os.environ[DIRECTORY] = str(_shared[-1])
    _take_room_first()
    return _shared[-1]


def _take_room_first() -> None:
    """Have prometheus_client keep values in files that have their room."""
    from prometheus_client import values  # noqa: PLC0415 -- reads DIRECTORY when it is imported

    vars(values)["MmapedDict"] = _values_with_room()


def _values_with_room() -> Any:
    """Return a kind of prometheus_client's dict of doubles in a file, see above."""
    from prometheus_client.mmap_dict import _INITIAL_MMAP_SIZE, MmapedDict  # noqa: PLC0415 -- as above

    class Values(MmapedDict):
        _f: Any

        def __init__(self, filename: str) -> None:
            try:
                with Path(filename).open("ab") as file:
                    os.posix_fallocate(file.fileno(), 0, _INITIAL_MMAP_SIZE)
                super().__init__(filename)  # type: ignore[no-untyped-call]
            except OSError as error:
                log.warning("metrics_not_shared", error=str(error))
                with suppress(OSError):
                    Path(filename).unlink()  # whoever sums up would stumble over what is half there
                self._f, self._fname = None, filename
                self._m, self._capacity = mmap(-1, _INITIAL_MMAP_SIZE), _INITIAL_MMAP_SIZE
                self._positions, self._used = {}, 8

        def _init_value(self, key: str) -> None:
            while self._used + len(key.encode()) + 64 > self._capacity:
                self._grow(2 * self._capacity)
            super()._init_value(key)  # type: ignore[no-untyped-call]

        def _grow(self, capacity: int) -> None:
            grown = None
            if self._f is not None:
                try:
                    os.posix_fallocate(self._f.fileno(), 0, capacity)
                    grown = mmap(self._f.fileno(), capacity)
                except OSError as error:  # what is in the file stays there, and does not grow any more
                    log.warning("metrics_not_shared", error=str(error))
                    self._f.close()
                    self._f = None
            if grown is None:
                grown = mmap(-1, capacity)
                grown[: self._used] = self._m[: self._used]
            self._m, self._capacity = grown, capacity

    return Values


def forget_process(pid: int) -> None:
    """Drop the present values (gauges) of a process that ended; what it counted stays."""
    if DIRECTORY in os.environ:
        from prometheus_client.multiprocess import mark_process_dead  # noqa: PLC0415 -- not needed to start

        mark_process_dead(pid)  # type: ignore[no-untyped-call]


def render() -> bytes:
    """Return the page `/metrics` answers with, in Prometheus' text format."""
    from prometheus_client import REGISTRY, CollectorRegistry, generate_latest  # noqa: PLC0415 -- see `share`

    if DIRECTORY not in os.environ:
        return generate_latest(REGISTRY)
    from prometheus_client.multiprocess import MultiProcessCollector  # noqa: PLC0415 -- only with a directory

    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
