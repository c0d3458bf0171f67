"""Reading orders from peers: page by page, the cursor moving in the transaction that keeps the page.

So nothing is read past that is not kept, and what is kept twice is one by its natural key. A stream that ends is looked
at again after a pause. Where reading begins by a time instead of a cursor, it begins a little earlier.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import structlog

from malha.channels.connecting import failures, inbox, reads, writes
from malha.channels.connecting.model import Linked, Turn
from malha.channels.connecting.runtime import Line, Runtime
from malha.channels.contract import ChannelError, ExtOrder, OrderSource, Page, Retryable
from malha.channels.partners import filing
from malha.platform import retrying
from malha.platform.errors import MalhaError
from malha.platform.rounds import Rounds
from malha.platform.sequencer import rest

log = structlog.get_logger(__name__)

ORDERS = "orders"
LEASE_S = 120.0
AT_ONCE = 8
PAUSE_S = 30.0  # between looks at a stream that ended
PAGES = 50  # of one stream, before others have their turn
LOOKBACK = timedelta(minutes=5)
IDLE_S = 1.0
FIRST_S, LONGEST_S = 5.0, 900.0


async def work(runtime: Runtime, *, pause_s: float = PAUSE_S) -> int:
    """Read the streams that are due, several at a time; return how many items were new."""
    async with runtime.db.transaction() as tx:
        taken = await tx.all(
            Turn, writes.TAKE_CURSOR, {"streams": [ORDERS, filing.STREAM], "lease": LEASE_S, "most": AT_ONCE}
        )
        linked = await reads.linked_by_id(tx, [turn.connection_id for turn in taken]) if taken else {}
    done = await asyncio.gather(*(_read(runtime, linked[turn.connection_id], turn, pause_s) for turn in taken))
    return sum(done)


async def _read(runtime: Runtime, connection: Linked, turn: Turn, pause_s: float) -> int:
    new = 0
    try:
        line = runtime.line(connection)
        if turn.stream == filing.STREAM:
            return await _files(runtime, line, turn, pause_s)
        source = line.connector
        if not isinstance(source, OrderSource):
            await _fail(runtime, connection, turn, failures.NO_ORDERS, None)
            return 0
        if turn.handles:
            await _acknowledge(runtime, line, source, turn, turn.handles)
        value, walked = turn.value, runtime.walked(connection.id, turn.stream, turn.value)
        for n in range(PAGES):
            page = await _page(line, source, turn, value)
            kept = await _keep(runtime, turn, value, page, pause_s, last=n == PAGES - 1)
            if kept is None:  # somebody else reads this stream by now
                break
            new += kept
            if kept or not page.more:
                walked.clear()
            await _go_on(runtime, line, source, turn, page, in_a_circle=page.cursor in walked)
            walked.add(page.cursor)
            value = page.cursor
            if not page.more:
                break
    except (ChannelError, MalhaError) as error:
        await _fail(runtime, connection, turn, str(error), getattr(error, "after", None))
    except Exception as error:
        log.exception("reading_failed", connection=connection.code, stream=turn.stream)
        await _fail(runtime, connection, turn, f"{type(error).__name__}: {error}", None)
    return new


async def _files(runtime: Runtime, line: Line, turn: Turn, pause_s: float) -> int:
    try:
        return await filing.read(runtime.db, line, turn, pause_s, runtime.take_stock, runtime.settings.language)
    finally:
        await line.close()


async def _page(line: Line, source: OrderSource, turn: Turn, value: str | None) -> Page[ExtOrder]:
    since = None if turn.since is None else turn.since - LOOKBACK
    return await line.call(lambda: source.pull_orders(line.ctx, value, since))


async def _keep(
    runtime: Runtime, turn: Turn, former: str | None, page: Page[ExtOrder], pause_s: float, *, last: bool
) -> int | None:
    """Keep a page and move the cursor, or neither; None when somebody else has moved it."""
    more = page.more and not last
    async with runtime.db.transaction() as tx:
        moved = await tx.value(
            writes.MOVE_CURSOR,
            {
                "id": turn.connection_id,
                "stream": turn.stream,
                "value": page.cursor,
                "since": None,
                "former": former,
                "handles": list(page.handles),
                "more": more,
                "pause": 0.0 if page.more else pause_s,
            },
        )
        if moved is None:
            return None
        events = inbox.events_of(page)
        return await inbox.keep(tx, turn.connection_id, "pull", events) if events else 0


async def _go_on(
    runtime: Runtime, line: Line, source: OrderSource, turn: Turn, page: Page[ExtOrder], *, in_a_circle: bool
) -> None:
    """Acknowledge what a page gave.

    Raises:
        Retryable: it leads back to where nothing new has come since, and what comes after it is never reached.
    """
    if page.handles:
        await _acknowledge(runtime, line, source, turn, page.handles)
    elif page.more and in_a_circle:
        runtime.walked(turn.connection_id, turn.stream, page.cursor).clear()
        raise Retryable(failures.SAME_PAGE)


async def _acknowledge(runtime: Runtime, line: Line, source: OrderSource, turn: Turn, handles: Sequence[str]) -> None:
    await line.call(lambda: source.acknowledge(line.ctx, handles))
    async with runtime.db.transaction() as tx:
        done = {"id": turn.connection_id, "stream": turn.stream, "handles": list(handles)}
        await tx.execute(writes.DROP_HANDLES, done)


async def _fail(runtime: Runtime, connection: Linked, turn: Turn, why: str, after: float | None) -> None:
    wait = retrying.wait_of(turn.failures + 1, after=after, first_s=FIRST_S, longest_s=LONGEST_S)
    async with runtime.db.transaction() as tx:
        told = {"id": turn.connection_id, "stream": turn.stream, "error": why[:500], "after": wait}
        await tx.execute(writes.FAIL_CURSOR, told)
    log.warning("orders_not_read", connection=connection.code, why=why[:200], failures=turn.failures + 1)


async def run(runtime: Runtime, stop: asyncio.Event) -> None:
    """Read streams until `stop` is set; a failed round is logged and tried again."""
    rounds = Rounds(log, waits="reading_waits", failed="reading_round_failed")
    while not stop.is_set():
        with rounds:
            await work(runtime)
        await rest(stop, IDLE_S)
