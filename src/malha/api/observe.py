"""What is counted and written down about every request: route templates and outcomes, never what a client made up."""

import asyncio
import sys
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import msgspec
from litestar.types import Scope

from malha.platform.settings import Settings

if TYPE_CHECKING:
    from prometheus_client import Counter, Histogram

# What stands in these addresses is a key to an order or to a customer's wishes: the log does without it.
_KEYED = ("/track/", "/wishes/")
# Probes and static files would drown everything else.
_QUIET = ("/healthz", "/readyz", "/metrics", "/static")
_BUCKETS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


@cache
def _seconds() -> "Histogram":
    # Imported at the first request: `metrics.share` must have come before, and a start is quicker without.
    from prometheus_client import Histogram  # noqa: PLC0415

    return Histogram(
        "malha_http_request_seconds", "Time to answer a request.", ("method", "route", "status"), buckets=_BUCKETS
    )


@cache
def _series(method: str, route: str, status: int) -> Any:
    return _seconds().labels(method, route, f"{status // 100}xx")


@cache
def _problems(code: str) -> Any:
    return _problem_counter().labels(code)


@cache
def _problem_counter() -> "Counter":
    from prometheus_client import Counter  # noqa: PLC0415 -- as above

    return Counter("malha_http_problems", "Refusals and faults by their code.", ("code",))


def count(method: str, route: str, status: int, seconds: float, scope: Scope) -> None:
    """Add a request to the histogram by method, route template and class of status, and its problem to the counter."""
    _series(method if method.isupper() and len(method) < 8 else "OTHER", route, status).observe(seconds)
    problem = cast("dict[str, Any]", scope).get("problem")
    if problem is not None:
        _problems(problem).inc()


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
