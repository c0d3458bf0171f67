"""Hearing the sequencer: its one notification per batch wakes who reads the log, so that nobody has to poll."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import structlog
from psycopg import AsyncConnection, OperationalError, sql

from malha.platform.db import Database, configure, session
from malha.platform.rounds import Rounds
from malha.platform.sequencer import NOTICE, rest

log = structlog.get_logger(__name__)

RECONNECT_SECONDS = 1.0


async def hear(db: Database, wake: Callable[[], None], stop: asyncio.Event) -> None:
    """Call `wake` for every batch of events of this retailer, until `stop` is set.

    Also after each (re)connection, because something may have been missed. Holds one connection outside the pool.
    """
    rounds = Rounds(log, waits="notices_wait", failed="notices_failed", also=(OSError,))
    stopping = asyncio.create_task(stop.wait())
    try:
        while not stop.is_set():
            hearing = asyncio.create_task(_hear(db, wake, rounds))
            await asyncio.wait((hearing, stopping), return_when=asyncio.FIRST_COMPLETED)
            hearing.cancel()
            with suppress(asyncio.CancelledError):
                with rounds:
                    await hearing
                await rest(stop, RECONNECT_SECONDS)
    finally:
        stopping.cancel()


async def _hear(db: Database, wake: Callable[[], None], rounds: Rounds) -> None:
    connection: AsyncConnection[Any]
    async with await AsyncConnection.connect(session(db.url), autocommit=True) as connection:
        await configure(connection)
        await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(NOTICE)))
        rounds.done()
        wake()
        async for notice in connection.notifies():
            if notice.payload.startswith(f"{db.retailer}:"):
                wake()
    raise OperationalError("the connection that listens was closed")
