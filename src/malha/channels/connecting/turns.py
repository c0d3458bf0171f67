"""Turns at streams that are read as a whole each time: one worker at a time, by a lease that it renews with each page.

Where a stream of orders moves a cursor page by page, these are read from the first page to the last, or not at all.
What fails of them waits longer and longer by itself and opens no breaker: where a channel cannot tell its products or
its stock, its orders still come in, and it is still told of stock.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

import structlog

from malha.channels.connecting import failures, reads, stock_writes, writes
from malha.channels.connecting.model import Linked, Turn
from malha.channels.connecting.runtime import Line, Runtime
from malha.channels.contract import ChannelError, ExtStock, Page, Retryable, StockSource, Unsure
from malha.platform import retrying
from malha.platform.errors import MalhaError
from malha.platform.rounds import Rounds
from malha.platform.sequencer import rest

log = structlog.get_logger(__name__)

LEASE_S = 300.0
AT_ONCE = 4
PAGES = 100_000  # no peer has more
TRIES = 6  # of one page
FIRST_S, LONGEST_S = 30.0, 3600.0
IDLE_S = 3.0
ENSURE_S = 60.0  # how soon a connection that was just made has its streams
T = TypeVar("T")
Do = Callable[["Reading"], Awaitable[tuple[float, str | None]]]


class Every:
    """What is done again after so many seconds at the earliest; the first time at once."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._last: float | None = None

    def due(self) -> bool:
        """Tell whether it is time again; if so, the next time counts from now."""
        now = time.monotonic()
        if self._last is not None and now - self._last < self._seconds:
            return False
        self._last = now
        return True


class Reading:
    """One worker's turn at one stream of one connection."""

    def __init__(self, runtime: Runtime, connection: Linked, turn: Turn, stop: asyncio.Event) -> None:
        self.runtime = runtime
        self.connection = connection
        self.stream = turn.stream
        self.cursor = turn.value
        self.failures = turn.failures
        self.stop = stop

    def line(self) -> Line:
        """Return the connection ready to be read. That a stream cannot be read keeps nothing else from its peer.

        Raises:
            ChannelError: see `Runtime.line`.
        """
        line = self.runtime.line(self.connection)
        line.wire.aside = True
        return line

    async def still_mine(self) -> bool:
        """Renew the lease; tell whether it was still held."""
        params = {"id": self.connection.id, "stream": self.stream, "lease": LEASE_S}
        async with self.runtime.db.transaction() as tx:
            return await tx.value(stock_writes.RENEW_TURN, params) is not None

    async def pages(self, line: Line, read: Callable[[str | None], Awaitable[Page[T]]]) -> AsyncIterator[Sequence[T]]:
        """Yield all pages; one that does not come is asked for again, reading does no harm.

        Raises:
            ChannelError: a page did not come for long, or the peer will not give it.
        """
        cursor: str | None = None
        walked = {cursor}
        for _ in range(PAGES):
            page = await self.page(line, read, cursor)
            yield page.items
            if not page.more:
                return
            if page.cursor in walked:
                raise Retryable(failures.SAME_PAGE)
            walked.add(cursor := page.cursor)
            if self.stop.is_set() or not await self.still_mine():
                raise Retryable(failures.READING_BROKEN_OFF, after=0.0)

    async def stock(self, *, without: Retryable) -> list[ExtStock]:
        """Return all stock that the peer states, page after page.

        Raises:
            Retryable: `without`, where its connector reads none.
            ChannelError: see `pages`.
        """
        line = self.line()
        source = line.connector
        if not isinstance(source, StockSource):
            raise without
        rows: list[ExtStock] = []
        async for page in self.pages(line, partial(source.pull_stock, line.ctx)):
            rows += page
        return rows

    async def page(self, line: Line, read: Callable[[str | None], Awaitable[Page[T]]], cursor: str | None) -> Page[T]:
        """Return the page after a cursor; one that does not come is asked for again.

        Raises:
            ChannelError: it did not come for long, or the peer will not give it.
        """
        for tried in range(1, TRIES + 1):
            try:
                return await line.call(lambda: read(cursor))
            except (Retryable, Unsure) as error:
                if tried == TRIES or self.stop.is_set():
                    raise
                asked = error.after if isinstance(error, Retryable) else None
                wait = retrying.wait_of(tried, after=asked, first_s=1.0, longest_s=30.0)
                if wait > LEASE_S / 2:
                    raise
                await rest(self.stop, wait)
        raise AssertionError("unreachable")


async def work(runtime: Runtime, stream: str, do: Do, stop: asyncio.Event) -> int:
    """Take the connections whose stream is due and do each; return how many were taken.

    `do` returns after how many seconds it is to be done again, and what is wrong although it was done.
    """
    async with runtime.db.transaction() as tx:
        taken = await tx.all(Turn, writes.TAKE_CURSOR, {"streams": [stream], "lease": LEASE_S, "most": AT_ONCE})
        linked = await reads.linked_by_id(tx, [turn.connection_id for turn in taken]) if taken else {}
    await asyncio.gather(*(_one(Reading(runtime, linked[turn.connection_id], turn, stop), do) for turn in taken))
    return len(taken)


async def _one(reading: Reading, do: Do) -> None:
    try:
        after, wrong = await do(reading)
    except (ChannelError, MalhaError) as error:
        await _fail(reading, str(error), getattr(error, "after", None))
    except Exception as error:
        log.exception("reading_failed", connection=reading.connection.code, stream=reading.stream)
        await _fail(reading, f"{type(error).__name__}: {error}", None)
    else:
        params = {"id": reading.connection.id, "stream": reading.stream, "error": wrong, "after": after}
        async with reading.runtime.db.transaction() as tx:
            await tx.execute(stock_writes.END_TURN, params)


async def _fail(reading: Reading, why: str, after: float | None) -> None:
    wait = retrying.wait_of(reading.failures + 1, after=after, first_s=FIRST_S, longest_s=LONGEST_S)
    async with reading.runtime.db.transaction() as tx:
        told = {"id": reading.connection.id, "stream": reading.stream, "error": why[:500], "after": wait}
        await tx.execute(writes.FAIL_CURSOR, told)
    log.warning("not_read", connection=reading.connection.code, stream=reading.stream, why=why[:200])


async def run(runtime: Runtime, stream: str, do: Do, stop: asyncio.Event) -> None:
    """Take turns until `stop` is set; a failed round is logged and tried again."""
    rounds = Rounds(log, waits="round_waits", failed="round_failed", stream=stream)
    while not stop.is_set():
        with rounds:
            await work(runtime, stream, do, stop)
        await rest(stop, IDLE_S)
