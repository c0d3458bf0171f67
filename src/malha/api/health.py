"""Is it alive, is it ready, and its metrics. No log-in: probes have none, and nothing here tells about the business."""

import asyncio
from typing import Any

import msgspec
from litestar import Request, get
from litestar.exceptions import NotFoundException
from litestar.types import ASGIApp

from malha.api.replies import Raw
from malha.api.work import Services
from malha.identity.model import PUBLIC
from malha.platform import metrics, migrate
from malha.platform.errors import MalhaError
from malha.platform.storing import storing

_OPEN = {"permission": PUBLIC}
READY_WITHIN_S = 3.0


@get("/healthz", opt=_OPEN, include_in_schema=False)
async def healthz() -> ASGIApp:
    """Answer that the process serves requests; asks nothing else, so that a slow database restarts nobody."""
    return Raw(b'{"status":"ok"}')


@get("/readyz", opt=_OPEN, include_in_schema=False)
async def readyz(request: Request[Any, Any, Any]) -> ASGIApp:
    """Answer 200 when the database answers, stores and has this program's schema, else 503 and which of them is not."""
    services: Services = request.app.state.services
    checks = {"database": "ok", "migrations": "ok"}
    try:
        async with asyncio.timeout(READY_WITHIN_S):
            async with services.database.transaction() as tx:
                await tx.now()
                checks["database"] = await storing(tx)
            if not services.extra.get("migrated"):  # what is applied stays applied
                checks["migrations"] = await _migrations(services)
    except Exception as error:  # noqa: BLE001 -- whatever it is, the answer is "not ready" and what kind it is
        cause = "disk_full" if services.is_without_room else type(error).__name__
        checks = {"database": cause, "migrations": "unknown"}
    ready = set(checks.values()) == {"ok"}
    services.extra["migrated"] = services.extra.get("migrated") or ready
    body = msgspec.json.encode({"status": "ready" if ready else "not_ready", "checks": checks})
    return Raw(body, 200 if ready else 503, None if ready else {"retry-after": "2"})


async def _migrations(services: Services) -> str:
    try:
        pending = (await migrate.status(services.database.url, services.database.retailer)).needed
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
