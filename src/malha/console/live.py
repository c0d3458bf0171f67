"""News for open pages: which orders changed, over server-sent events.

One stream per page, fed by the tail of the event log. It names orders and nothing more: the page asks for what it
shows of them, with the person's own permissions. A stream ends after some minutes and is opened again, so that a
session that ended ends here too.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
from litestar import Request, get
from litestar.response import Stream

from malha.console import shell, web
from malha.ordering import reads as orders
from malha.platform.ids import UUID
from malha.platform.subscribers import Recorded
from malha.platform.tail import Listener, Resync, Tail

BEAT_SECONDS = 15.0  # a sign of life, so that a page knows it is up to date
GATHER_SECONDS = 0.25  # news of one moment travel together
LIFE_SECONDS = 600.0
MOST_AT_ONCE = 300
KIND = "order:"


def tail_of(request: Request[Any, Any, Any]) -> Tail:
    """Return this process's tail; the first page that listens starts it."""
    extra: dict[str, Any] = request.app.state.services.extra
    tail = extra.get("tail")
    if tail is None:
        tail = extra["tail"] = Tail()
        stop = extra.setdefault("stop", asyncio.Event())
        extra["tail_task"] = asyncio.create_task(tail.run(web.database_of(request), stop))
    found: Tail = tail
    return found


def message(event: str, data: object, id_: int | None = None) -> bytes:
    """Return one server-sent event."""
    head = f"id: {id_}\n" if id_ is not None else ""
    return f"{head}event: {event}\ndata: {msgspec.json.encode(data).decode()}\n\n".encode()


@get("/events/orders", opt={"permission": "orders:read"})
async def order_events(request: Request[Any, Any, Any]) -> Stream:
    """Tell which orders changed after the position the page was read at."""
    said = str(request.headers.get("last-event-id") or request.query_params.get("after", ""))
    after = int(said) if said.isascii() and said.isdigit() and len(said) < 19 else None
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    scope = shell.scope_of(web.caller_of(request))

    async def mine(ids: list[str]) -> list[str]:
        """Return the orders that the person may see."""
        if scope is None:
            return ids
        async with web.reading(request) as tx:
            own = await orders.are_at(tx, [UUID(id_) for id_ in ids], scope)
        return [id_ for id_ in ids if UUID(id_) in own]

    return Stream(_news(tail_of(request), after, mine), media_type="text/event-stream", headers=headers)


async def _news(
    tail: Tail, after: int | None, mine: Callable[[list[str]], Awaitable[list[str]]]
) -> AsyncIterator[bytes]:
    ends = time.monotonic() + LIFE_SECONDS
    yield message("here", None, after)
    with tail.subscribe(after) as listener:
        while time.monotonic() < ends:
            try:
                items = await _gather(listener)
            except StopAsyncIteration:
                return
            if any(isinstance(item, Resync) for item in items):
                yield message("again", None, listener.position)
                continue
            told = {str(item.id): None for item in items if isinstance(item, Recorded) and item.key.startswith(KIND)}
            ids = await mine(list(told)) if told else []
            if ids:
                yield message("orders", ids, listener.position)
            else:
                yield message("here", None, listener.position)
    yield message("renew", None, None)


async def _gather(listener: Listener) -> list[Recorded | Resync]:
    """Return what happens next and shortly after; nothing when a sign of life is due.

    Raises:
        StopAsyncIteration: the server stops.
    """
    items: list[Recorded | Resync] = []
    wait = BEAT_SECONDS
    while len(items) < MOST_AT_ONCE:
        try:
            items.append(await asyncio.wait_for(anext(listener), wait))
        except TimeoutError:
            break
        wait = GATHER_SECONDS
    return items
