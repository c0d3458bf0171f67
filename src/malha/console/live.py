"""News for open pages: which orders changed, and which of the SKUs a page shows, over server-sent events.

One stream per page, fed by the tail of the event log. It names orders and SKUs and nothing more: the page asks for what
it shows of them, with the person's own permissions. It ends when the session does or the person's rights become others
(`identity.standing`), and after some minutes in any case; the page opens another, with the rights of then.

Not every movement of stock is an event of the log: counts and safety stock are facts of a balance alone. So a stream of
stock looks at the few balances its page shows, when anything happened and every few seconds, never more than once a
second, and tells the SKUs whose mark (`stock_view.mark_of`) is another one.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
from litestar import Request, get
from litestar.response import Stream

from malha.console import shell, stock_reads, web
from malha.console.stock_view import mark_of
from malha.identity.standing import Standing
from malha.inventory import reads as inventory
from malha.inventory.model import Availability
from malha.ordering import reads as orders
from malha.platform.ids import UUID
from malha.platform.sequencer import LAST_POSITION
from malha.platform.subscribers import Recorded
from malha.platform.tail import Listener, Resync, Tail, tail_in, while_there
from malha.platform.text import whole_in

BEAT_SECONDS = 15.0  # a sign of life, so that a page knows it is up to date
GATHER_SECONDS = 0.25  # news of one moment travel together
LIFE_SECONDS = 600.0
MOST_AT_ONCE = 300
STOCK_SECONDS = 1.0  # between two looks at the balances of a page, at least
LOOK_SECONDS = 5.0  # and at most
MOST_SKUS = 100
KIND = "order:"


def tail_of(request: Request[Any, Any, Any]) -> Tail:
    """Return this process's tail; the first page that listens starts it."""
    return tail_in(request.app.state.services.extra, web.database_of(request))


def message(event: str, data: object, id_: int | None = None) -> bytes:
    """Return one server-sent event."""
    head = f"id: {id_}\n" if id_ is not None else ""
    return f"{head}event: {event}\ndata: {msgspec.json.encode(data).decode()}\n\n".encode()


@get("/events/orders", opt={"permission": "orders:read"})
async def order_events(request: Request[Any, Any, Any]) -> Stream:
    """Tell which orders changed after the position the page was read at."""
    return _stream(request)


def _stream(request: Request[Any, Any, Any], look: Callable[[], Awaitable[list[int]]] | None = None) -> Stream:
    said = str(request.headers.get("last-event-id") or request.query_params.get("after", ""))
    after = whole_in(said, 18)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    caller = web.caller_of(request)
    scope = shell.scope_of(caller)

    async def mine(ids: list[str]) -> list[str]:
        """Return the orders that the person may see."""
        if not caller.may("orders:read"):
            return []
        if scope is None:
            return ids
        async with web.reading(request) as tx:
            own = await orders.are_at(tx, [UUID(id_) for id_ in ids], scope)
        return [id_ for id_ in ids if UUID(id_) in own]

    async def newest() -> int:
        async with web.reading(request) as tx:
            position: int = await tx.value(LAST_POSITION)
        return position

    standing = Standing(caller, request.scope["look_again"])  # type: ignore[typeddict-item]
    news = while_there(_news(tail_of(request), after, mine, standing.holds, look, newest))
    return Stream(news, media_type="text/event-stream", headers=headers)


def skus_of(request: Request[Any, Any, Any]) -> list[int]:
    """Return the SKUs that an address names, by their ids; `7.a1b2` is one with the mark its page remembers."""
    named = (part.partition(".")[0] for part in request.query_params.get("skus", "").split(",")[:MOST_SKUS])
    return [n for id_ in named if (n := whole_in(id_, 9)) is not None]


@get("/events/stock", opt={"permission": "stock:read"})
async def stock_events(request: Request[Any, Any, Any]) -> Stream:
    """Tell which orders changed, and which of the SKUs in the address have other balances than the page remembers."""
    scope = shell.scope_of(web.caller_of(request))
    ids = skus_of(request)
    marks = dict(part.partition(".")[::2] for part in request.query_params.get("skus", "").split(",")[:MOST_SKUS])
    asked = request.query_params
    async with web.reading(request) as tx:
        places = await stock_reads.places(tx, scope)
    shown = [place.id for place in stock_reads.shown_of(places, asked.get("location", ""), asked.get("owner", ""))]
    seen = {id_: marks.get(str(id_), "") for id_ in ids}

    async def look() -> list[int]:
        """Return the SKUs that changed since the last look."""
        async with web.reading(request) as tx:
            found = await inventory.availability(tx, ids, shown)
        by_sku: dict[int, list[Availability]] = {id_: [] for id_ in ids}
        for balance in found:
            by_sku[balance.sku_id].append(balance)
        now = {id_: mark_of(balances) for id_, balances in by_sku.items()}
        changed = [id_ for id_ in ids if now[id_] != seen[id_]]
        seen.update(now)
        return changed

    return _stream(request, look)


async def _news(
    tail: Tail,
    after: int | None,
    mine: Callable[[list[str]], Awaitable[list[str]]],
    holds: Callable[[], Awaitable[bool]],
    look: Callable[[], Awaitable[list[int]]] | None = None,
    newest: Callable[[], Awaitable[int]] | None = None,
) -> AsyncIterator[bytes]:
    ends = time.monotonic() + LIFE_SECONDS
    looked = 0.0
    # Whoever is told "here" misses nothing from then on: the tail itself learns only a moment later where the log is.
    since = await newest() if after is None and newest is not None else after
    with tail.subscribe(since) as listener:
        yield message("here", None, after)
        while time.monotonic() < ends:
            if look is not None:
                await asyncio.sleep(max(0.0, looked + STOCK_SECONDS - time.monotonic()))
                looked = time.monotonic()
                if not await holds():
                    break
                if changed := await look():
                    yield message("stock", changed, None)
            try:
                items = await _gather(listener, BEAT_SECONDS if look is None else LOOK_SECONDS)
            except StopAsyncIteration:
                return
            if not await holds():
                break
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


async def _gather(listener: Listener, wait: float) -> list[Recorded | Resync]:
    """Return what happens next and shortly after; nothing when a sign of life is due.

    Raises:
        StopAsyncIteration: the server stops.
    """
    items: list[Recorded | Resync] = []
    while len(items) < MOST_AT_ONCE:
        try:
            items.append(await asyncio.wait_for(anext(listener), wait))
        except TimeoutError:
            break
        wait = GATHER_SECONDS
    return items
