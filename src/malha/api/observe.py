"""What is counted and written down about every request: route templates and outcomes, never what a client made up."""

import asyncio
import sys
from bisect import bisect_left
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import msgspec
from litestar.types import Scope

from malha.platform.settings import Settings

if TYPE_CHECKING:
    from prometheus_client import Counter

# What stands in these addresses is a key to an order or to a customer's wishes: the log does without it.
_KEYED = ("/track/", "/wishes/")
# Probes and static files would drown everything else.
_QUIET = ("/healthz", "/readyz", "/metrics", "/static")
_BUCKETS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


@cache
def _seconds() -> Any:
    # Imported at the first request: `metrics.share` must have come before, and a start is quicker without.
    import prometheus_client  # noqa: PLC0415

    class Histogram(prometheus_client.Histogram):
        def take(self, times: Sequence[float]) -> None:
            """As `observe` for each of them, but every bucket is written once."""
            counts = [0] * len(self._upper_bounds)
            for seconds in times:
                counts[bisect_left(self._upper_bounds, seconds)] += 1
            self._sum.inc(sum(times))
            for bucket, count in zip(self._buckets, counts, strict=True):
                if count:
                    bucket.inc(count)

    return Histogram(
        "malha_http_request_seconds", "Time to answer a request.", ("method", "route", "status"), buckets=_BUCKETS
    )


@cache
def _series(method: str, route: str, status: int) -> Any:
    return _seconds().labels(method, route, f"{status}xx")


@cache
def _problems(code: str) -> Any:
    return _problem_counter().labels(code)


@cache
def _problem_counter() -> "Counter":
    from prometheus_client import Counter  # noqa: PLC0415 -- as above

    return Counter("malha_http_problems", "Refusals and faults by their code.", ("code",))


class Counts:
    """Adds requests to the histogram by method, route template and class of status, and problems to their counter.

    The histogram is a file that all processes share, and each write to it costs more than a log line. So times are
    gathered for a moment: another process that is asked for metrics meanwhile does not know of them yet.
    """

    GATHER_S = 0.25

    def __init__(self) -> None:
        self._times: dict[tuple[str, str, int], list[float]] = {}

    def __call__(self, method: str, route: str, status: int, seconds: float, scope: Scope) -> None:
        """Note one request."""
        if not self._times:
            asyncio.get_running_loop().call_later(self.GATHER_S, self.flush)
        key = (method if method.isupper() and len(method) < 8 else "OTHER", route, status // 100)
        self._times.setdefault(key, []).append(seconds)
        problem = cast("dict[str, Any]", scope).get("problem")
        if problem is not None:
            _problems(problem).inc()

    def flush(self) -> None:
        """Write what was gathered."""
        gathered, self._times = self._times, {}
        for (method, route, status), times in gathered.items():
            _series(method, route, status).take(times)


class _Line(msgspec.Struct, omit_defaults=True):
    """One line of the access log."""

    timestamp: str
    level: str
    event: str
    request_id: str
    method: str
    route: str
    path: str
    status: int
    ms: float
    source: str | None = None
    actor: str | None = None
    problem: str | None = None


_encode = msgspec.json.Encoder().encode


class AccessLog:
    """One line per request on standard error, as JSON or, on a terminal, as text.

    It goes past the logging machinery, which costs ten times as much, and gathers lines for a moment: one write serves
    many.
    """

    GATHER_S = 0.05
    GATHER_LINES = 200

    def __init__(self, settings: Settings) -> None:
        self._console = settings.log_format == "console" or (settings.log_format == "auto" and sys.stderr.isatty())
        self._least = 200 if settings.log_level in {"debug", "info"} else 500
        self._lines: list[bytes] = []

    def __call__(self, method: str, route: str, status: int, seconds: float, scope: Scope) -> None:
        """Note one request."""
        if status < self._least or (status < 500 and route.startswith(_QUIET)):
            return
        facts = cast("dict[str, Any]", scope)
        caller = facts.get("user")
        path = next((keyed for keyed in _KEYED if facts["path"].startswith(keyed)), facts["path"])
        if self._console:
            line = f"{method} {path} {status} {seconds * 1000:.1f} ms {facts['request_id']}".encode()
        else:
            line = _encode(
                _Line(
                    timestamp=datetime.now(UTC).isoformat(timespec="milliseconds"),
                    level="info" if status < 500 else "error",
                    event="request",
                    request_id=facts["request_id"],
                    method=method,
                    route=route,
                    path=path,
                    status=status,
                    ms=round(seconds * 1000, 2),
                    source=facts["source"],
                    actor=None if caller is None else f"{caller.kind}:{caller.id}",
                    problem=facts.get("problem"),
                )
            )
        if not self._lines:
            asyncio.get_running_loop().call_later(self.GATHER_S, self.flush)
        self._lines.append(line)
        if len(self._lines) >= self.GATHER_LINES:
            self.flush()

    def flush(self) -> None:
        """Write what was gathered."""
        lines, self._lines = self._lines, []
        if lines:
            sys.stderr.write((b"\n".join(lines) + b"\n").decode())
            sys.stderr.flush()
