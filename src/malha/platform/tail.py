"""The tail of the log: what happens, told to whoever watches in this process, like the pages that stay live.

Nothing is promised here but freshness: no checkpoint, no retry. Each listener has a bounded queue; who falls behind, or
asks for a position too long ago, is told to look again (`Resync`) and goes on from the newest event. Woken by the
sequencer's one notification per batch, and by the clock when none comes through.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import msgspec
import structlog

from malha.platform.db import Database
from malha.platform.notices import hear
from malha.platform.rounds import Rounds, is_away
from malha.platform.sequencer import LAST_POSITION, rest
from malha.platform.subscribers import Recorded

log = structlog.get_logger(__name__)

QUEUE = 500
LOOK_BACK = 2_000  # positions a listener may be behind and still be told everything
READ_AT_ONCE = 1_000
GATHER_SECONDS = 0.05  # between two looks at the log, so that a busy hour is read in batches
UNTOLD_SECONDS = 2.0  # a look at the log without any notification

# Primary key range at the end of the log.
READ_TAIL = """
SELECT position, at, seq, version, key, type, actor, payload::text AS payload
FROM event WHERE position > %(since)s::bigint ORDER BY position LIMIT %(most)s::int
"""


class Resync(msgspec.Struct, frozen=True):
    """Some events were not told: look at the current state, which is that of `position` or later."""

    position: int


class Listener(AsyncIterator[Recorded | Resync]):
    """One watcher: iterate it, and leave its `with` block (or call `close`) to stop."""

    def __init__(self, tail: "Tail", since: int | None, room: int) -> None:
        self.position = since
        self._tail = tail
        self._room = room
        self._queue: asyncio.Queue[Recorded | Resync | None] = asyncio.Queue()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Recorded | Resync:
        item = await self._queue.get()
        if item is None:
            raise StopAsyncIteration
        return item

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop listening; an iteration under way ends."""
        self._tail.forget(self)
        self._queue.put_nowait(None)

    def tell(self, events: list[Recorded]) -> None:
        """Queue events, or a `Resync` in place of all that waits when there are more than fit."""
        fresh = [event for event in events if self.position is not None and event.position > self.position]
        if not fresh:
            return
        if self._queue.qsize() + len(fresh) > self._room:
            self.resync(fresh[-1].position)
            return
        for event in fresh:
            self._queue.put_nowait(event)
        self.position = fresh[-1].position

    def resync(self, position: int) -> None:
        """Forget what waits and say so."""
        with suppress(asyncio.QueueEmpty):
            while True:
                self._queue.get_nowait()
        self._queue.put_nowait(Resync(position))
        self.position = position


class Tail:
    """Follows the log once for all listeners of a process."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()
        self._wake = asyncio.Event()
        self._ended = False

    def subscribe(self, since: int | None = None, *, room: int = QUEUE) -> Listener:
        """Return a listener told of every event after `since` (None: from now on), `room` events at most waiting.

        Where the tail has ended, as the process is to, it ends at once.
        """
        listener = Listener(self, since, room)
        if self._ended:
            listener.close()
            return listener
        self._listeners.add(listener)
        self._wake.set()
        return listener

    def forget(self, listener: Listener) -> None:
        """Stop telling a listener."""
        self._listeners.discard(listener)

    async def run(self, db: Database, stop: asyncio.Event) -> None:
        """Follow the log until `stop` is set, then end all listeners; outlives a lost database."""
        hearing = asyncio.create_task(hear(db, self._wake.set, stop))
        stopping = asyncio.create_task(stop.wait())
        stopping.add_done_callback(lambda _: self._wake.set())
        rounds = Rounds(log, waits="tail_waits", failed="tail_failed", also=(OSError,))
        try:
            while not stop.is_set():
                self._wake.clear()
                told = not self._listeners
                if self._listeners:
                    with rounds:
                        await self._tell(db)
                        told = True
                await rest(stop, GATHER_SECONDS if told else 1.0)
                with suppress(TimeoutError):
                    async with asyncio.timeout(UNTOLD_SECONDS):
                        await self._wake.wait()
        finally:
            self._ended = True
            stopping.cancel()
            for listener in list(self._listeners):
                listener.close()
            hearing.cancel()
            with suppress(asyncio.CancelledError):
                await hearing

    async def _tell(self, db: Database) -> None:
        async with db.transaction() as tx:
            newest: int = await tx.value(LAST_POSITION)
            for listener in list(self._listeners):
                if listener.position is None or listener.position > newest:
                    listener.position = newest
                elif newest - listener.position > LOOK_BACK:
                    listener.resync(newest)
            behind = [listener for listener in self._listeners if (listener.position or 0) < newest]
            while behind:
                since = min(listener.position or 0 for listener in behind)
                events = await tx.all(Recorded, READ_TAIL, {"since": since, "most": READ_AT_ONCE})
                if not events:
                    break
                for listener in behind:
                    listener.tell(events)
                behind = [listener for listener in behind if (listener.position or 0) < newest]


async def while_there(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the pieces of an answer that stays open. Where the database goes, it ends: who reads on asks anew."""
    try:
        async for piece in pieces:
            yield piece
    except Exception as error:
        if not is_away(error):
            raise
    finally:
        await pieces.aclose()  # type: ignore[attr-defined]


def tail_in(extra: dict[str, Any], db: Database) -> Tail:
    """Return the one tail of a process, kept in `extra` with its task; who asks first starts it."""
    tail: Tail | None = extra.get("tail")
    if tail is None:
        tail = extra["tail"] = Tail()
        extra["tail_task"] = asyncio.create_task(tail.run(db, extra.setdefault("stop", asyncio.Event())))
    return tail
