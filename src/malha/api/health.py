"""Is it alive, is it ready, and its metrics. No log-in: probes have none, and nothing here tells about the business."""

import asyncio
import time
from typing import Any

import msgspec
from litestar import Request, get
from litestar.exceptions import NotFoundException
from litestar.types import ASGIApp
from psycopg import OperationalError
from psycopg_pool import PoolTimeout

from malha.api.replies import Raw
from malha.api.work import Services
from malha.identity.model import PUBLIC
from malha.platform import metrics, migrate
from malha.platform.db import Tx, refusal_of
from malha.platform.errors import DatabaseExhausted, DatabaseFull, MalhaError
from malha.platform.storing import storing

_OPEN = {"permission": PUBLIC}
READY_WITHIN_S = 3.0


@get("/healthz", opt=_OPEN, include_in_schema=False)
async def healthz() -> ASGIApp:
    """Answer that the process serves requests; asks nothing else, so that a slow database restarts nobody."""
    return Raw(b'{"status":"ok"}')


@get("/readyz", opt=_OPEN, include_in_schema=False)
async def readyz(request: Request[Any, Any, Any]) -> ASGIApp:
    """Answer 200 when the database answers, stores and has this program's schema, else 503 and which of them is not.

    It asks on this process's own connections. Where all of them are in use and come back (`busy`), or the server lets
    nobody else in, the process serves with those it has: whoever took it away would take all others with it.
    """
    services: Services = request.app.state.services
    checks = {"database": "ok", "migrations": "ok"}
    began, had = time.monotonic(), False
    try:
        async with asyncio.timeout(READY_WITHIN_S), services.database.transaction() as tx:
            had = True
            await tx.now()
            if not services.extra.get("migrated"):  # what is applied stays applied
                checks["migrations"] = await _migrations(tx)
            checks["database"] = await storing(tx)
    except Exception as error:  # noqa: BLE001 -- whatever it is, the answer is "not ready" and what kind it is
        waited = isinstance(error, TimeoutError | PoolTimeout) and not had
        if waited and services.extra.get("migrated") and services.database.answered_since(began):
            checks["database"] = "busy"
        else:
            checks = {"database": _cause(services, error), "migrations": "unknown"}
    ready = checks["database"] in {"ok", "busy"} and checks["migrations"] == "ok"
    services.extra["migrated"] = services.extra.get("migrated") or ready
    body = msgspec.json.encode({"status": "ready" if ready else "not_ready", "checks": checks})
    return Raw(body, 200 if ready else 503, None if ready else {"retry-after": "2"})


def _cause(services: Services, error: Exception) -> str:
    match refusal_of(error) or services.database.refusal:
        case DatabaseFull():
            return "disk_full"
        case DatabaseExhausted():
            return "exhausted"
    if services.is_without_room:
        return "disk_full"
    # Nobody answers, or not in time: which class of the driver met it is for the log.
    return "away" if isinstance(error, PoolTimeout | OperationalError | TimeoutError) else type(error).__name__


async def _migrations(tx: Tx) -> str:
    try:
        pending = (await migrate.status_on(tx.connection)).needed
    except MalhaError as error:
        return error.code
    return "pending: " + ", ".join(pending) if pending else "ok"


@get("/metrics", opt=_OPEN, include_in_schema=False)
async def metrics_page(request: Request[Any, Any, Any]) -> ASGIApp:
    """Answer with the metrics of all processes, in Prometheus' text format."""
    services: Services = request.app.state.services
    if not services.settings.metrics:
        raise NotFoundException
    services.extra["flush_counts"]()
    return Raw(await asyncio.to_thread(metrics.render), 200, None, metrics.CONTENT_TYPE)


probes = [healthz, readyz, metrics_page]
