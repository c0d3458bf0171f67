"""What happens, for programs that ask: the feed of events by cursor, the same as a stream, and the types there are."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Any, cast

import msgspec
import structlog
from litestar import Request, get
from litestar.types import ASGIApp, Receive, Scope, Send
from msgspec import Meta

from malha.api.replies import Raw
from malha.api.work import Services, Work, actor_of, query
from malha.identity.model import SIGNED_IN
from malha.identity.standing import Standing
from malha.platform import paging
from malha.platform.errors import Forbidden
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_
from malha.platform.tail import tail_in, while_there
from malha.platform.text import whole_in
from malha.webhooks import catalogue, feed, rendering
from malha.webhooks.catalogue import Envelope
from malha.webhooks.errors import TooManyStreams

log = structlog.get_logger(__name__)

TAG = "events"
LONGEST_WAIT_S = 25
LOOK_S = 0.2  # between two looks at the log for one reader, at least
BEAT_S = 15.0  # a sign of life
LIFE_S = 900.0
SLOW_S = 20.0  # who has not taken what was sent by then is dropped; its cursor stays good
STREAMS = 200  # of one process
STREAM_PAGE = 200
Cursor = Annotated[int, Meta(ge=0, le=2**62, description="Of the last event you have; leave it out to begin now.")]
Types = Annotated[
    str, Meta(max_length=2_000, description="Types or families (`order.*`), separated by commas; all if left out.")
]
Wait = Annotated[int, Meta(ge=0, le=LONGEST_WAIT_S, description="Seconds to wait for something to happen.")]


class Events(msgspec.Struct, frozen=True):
    """Events in the order of the log. Ask again with `cursor` as `after`; with `more`, right away."""

    items: list[Envelope]
    cursor: int
    more: bool


class EventType(msgspec.Struct, frozen=True, kw_only=True):
    """A type of event: since which facts it is told, who is told, what it looks like as JSON Schema, and an example."""

    type: str
    version: int
    when: str
    permission: str
    schema: dict[str, Any]
    example: dict[str, Any]


@query("/event-types", permission=SIGNED_IN, tag=TAG, transaction=False)
async def list_event_types(work: Work) -> list[EventType]:  # noqa: ARG001
    """List the types of events that webhooks, the feed and the stream tell, each with its JSON Schema.

    Fields may be added to a version; what a field means does not change within one.
    """
    return [
        EventType(
            type=public.type,
            version=public.version,
            when=public.when,
            permission=public.permission,
            schema=catalogue.schema_of(public.type),
            example=catalogue.example_of(public.type),
        )
        for public in catalogue.PUBLIC.values()
    ]


@query("/events", permission=SIGNED_IN, tag=TAG, transaction=False)
async def list_events(
    work: Work, after: Cursor | None = None, types: Types | None = None, wait: Wait = 0, limit: int | None = None
) -> Events:
    """Return what happened after a cursor, of what you may see: orders with `orders:read`, stock with `stock:read`.

    Who is limited to some locations is told what concerns them. Without `after` the answer is the cursor of now.
    With `wait` an answer without events comes only after so many seconds. The log keeps 90 days at least: 410 says that
    a cursor is older, 409 that the data was restored to an earlier moment.
    """
    wanted = _wanted(work, types)
    size = paging.bounded(limit)
    async with work.transaction() as tx:
        if after is None:
            return Events([], await feed.end(tx), more=False)
        told = await feed.read(tx, after, wanted, size)
    ends = time.monotonic() + wait
    tail = tail_in(work.services.extra, work.database)
    while not told.items and (told.more or time.monotonic() < ends):
        if not told.more:
            with tail.subscribe(told.cursor, room=1) as listener:
                try:
                    await asyncio.wait_for(anext(listener), max(0.0, ends - time.monotonic()))
                except (TimeoutError, StopAsyncIteration):
                    break
            await asyncio.sleep(LOOK_S / 2)
        async with work.transaction() as tx:
            told = await feed.read(tx, told.cursor, wanted, size)
    return Events(told.items, told.cursor, told.more)


def _wanted(work: Work, types: str | None) -> tuple[str, ...]:
    """Return the types to tell.

    Raises:
        Invalid: a name is none.
        Forbidden: the caller may see none of them.
    """
    named = [name for name in (part.strip() for part in (types or "").split(",")) if name]
    says, mend = N_("There is no event {name}."), N_("The types of events are listed at {at}.")
    at = "/v1/event-types"
    refuse([Flaw("?types", says, mend, {"name": name[:80], "at": at}) for name in catalogue.unknown_types(named)])
    found = catalogue.types_of(named or ("*",), work.actor.may)
    if not found:
        needed = catalogue.types_of(named or ("*",), lambda _permission: True)
        raise Forbidden(permission=catalogue.PUBLIC[needed[0]].permission)
    return found


# Not an operation of the OpenAPI document: what reads that expects an answer that ends.
@get("/events/stream", opt={"permission": SIGNED_IN}, include_in_schema=False)
async def stream_events(request: Request[Any, Any, Any]) -> ASGIApp:
    """Follow what happens as server-sent events: `id` is the cursor, `event` the type, `data` the event as JSON.

    `Last-Event-ID`, which browsers and most clients send by themselves after a break, goes before `after`. A line
    beginning with a colon is a sign of life; an `id` without data moves the cursor past what is not for you. A reader
    that is too slow is sent nothing more, and every stream ends after a quarter of an hour: go on from the last `id`
    when nothing, not even a sign of life, has come for half a minute.
    """
    work = Work(request, 200)
    wanted = _wanted(work, request.query_params.get("types"))
    said = [request.headers.get("last-event-id", ""), request.query_params.get("after", "")]
    start = next((n for one in said if (n := whole_in(one, 18)) is not None), None)
    open_: list[int] = work.services.extra.setdefault("event_streams", [0])
    if open_[0] >= STREAMS:
        raise TooManyStreams
    async with work.transaction() as tx:
        at = await feed.end(tx) if start is None else start
        await feed.read(tx, at, wanted, 1)  # refuse a cursor that is none before the answer begins
    pieces = while_there(_pieces(work, at, wanted))
    return cast("ASGIApp", _Following(pieces, open_))


async def _pieces(work: Work, cursor: int, types: Sequence[str]) -> AsyncIterator[bytes]:
    """Yield what happens, as server-sent events, for as long as the caller may see it."""
    services: Services = work.services
    actor = actor_of(work.request)
    asked = cast("dict[str, Any]", work.request.scope)
    standing = Standing(asked["user"], asked["look_again"])
    tail = tail_in(services.extra, work.database)
    ends, beat = time.monotonic() + LIFE_S, time.monotonic() + BEAT_S
    yield b"retry: 2000\n: malha\n\n"
    while time.monotonic() < ends:
        looked = time.monotonic()
        async with work.database.transaction(actor) as tx:
            told = await feed.read(tx, cursor, types, STREAM_PAGE)
        if told.items and not await standing.holds():
            return
        moved, cursor = cursor != told.cursor, told.cursor
        if told.items:
            yield b"".join(_message(item) for item in told.items)
        if moved and (not told.items or told.items[-1].cursor != cursor):
            yield b"id: %d\n\n" % cursor
        if time.monotonic() >= beat:
            beat = time.monotonic() + BEAT_S
            if not await standing.holds():
                return
            yield b": %d\n\n" % cursor
        if told.more:
            continue
        await asyncio.sleep(max(0.0, looked + LOOK_S - time.monotonic()))
        with tail.subscribe(cursor, room=1) as listener:
            try:
                await asyncio.wait_for(anext(listener), max(0.0, beat - time.monotonic()))
            except TimeoutError:
                continue
            except StopAsyncIteration:
                return


def _message(item: Envelope) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (item.cursor, item.type.encode(), rendering.encode(item))


class _Following(Raw):
    """Sends pieces as they come; whoever does not take one in time is cut off, so that nothing piles up here."""

    __slots__ = ("open_", "pieces")

    def __init__(self, pieces: AsyncIterator[bytes], open_: list[int]) -> None:
        headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
        super().__init__(b"", 200, headers, "text/event-stream")
        self.pieces = pieces
        self.open_ = open_

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Send until the reader is gone, too slow, or the stream ends."""
        raw = [(b"content-type", self.media_type.encode())]
        raw += [(name.encode(), value.encode()) for name, value in (self.headers or {}).items()]
        self.open_[0] += 1
        try:
            await send({"type": "http.response.start", "status": 200, "headers": raw})
            async for piece in self.pieces:
                async with asyncio.timeout(SLOW_S):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            log.info("event_reader_too_slow")
        finally:
            self.open_[0] -= 1
            await cast("Any", self.pieces).aclose()


handlers = [list_event_types, list_events, stream_events]
