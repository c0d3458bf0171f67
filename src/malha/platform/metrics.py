"""Metrics for Prometheus, summed over all processes of a server.

Web processes and the worker share a directory of memory-mapped values (prometheus_client's multiprocess mode);
`/metrics` of whichever web process is asked adds them up, also those of processes that have been replaced, so counters
never go back. Without that directory (tests, a worker started alone) a process simply has its own values.

`share` must come before anything imports `measures`: `malha serve` calls it before it imports the application.
Labels are few and bounded: routes and outcomes, never ids, never anything a client can make up.
"""

import os
import tempfile
from pathlib import Path

DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


_shared: list[Path] = []


def share() -> Path:
    """Make the directory this process and its children share; the same one while it is there. Its caller removes it."""
    if not (_shared and _shared[-1].is_dir()):
        _shared.append(Path(tempfile.mkdtemp(prefix="malha-metrics-")))
    os.environ[DIRECTORY] = str(_shared[-1])
    return _shared[-1]


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
