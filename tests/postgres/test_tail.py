"""The tail tells watchers in this process what happens, and tells them to look again when they cannot keep up."""

import asyncio
from collections.abc import AsyncIterator
from typing import ClassVar

import psycopg
import pytest

from malha.platform import outbox
from malha.platform.db import Database
from malha.platform.outbox import Event
from malha.platform.subscribers import Recorded, drain
from malha.platform.tail import LOOK_BACK, Listener, Resync, Tail


class Painted(Event, frozen=True, kw_only=True):
    TYPE: ClassVar[str] = "wall.painted"
    KIND: ClassVar[str] = "wall"


@pytest.fixture
async def tail(database: Database) -> AsyncIterator[Tail]:
    tail, stop = Tail(), asyncio.Event()
    running = asyncio.create_task(tail.run(database, stop))
    yield tail
    stop.set()
    await running


async def paint(database: Database, *walls: str) -> None:
    async with database.transaction() as tx:
        await outbox.add(tx, *[Painted(id=wall, seq=1) for wall in walls])
    await drain(database, [])


async def following(listener: Listener) -> None:
    """Wait until the tail knows the listener."""
    async with asyncio.timeout(60):
        while listener.position is None:
            await asyncio.sleep(0.01)


async def heard(listener: Listener, count: int) -> list[str | Resync]:
    async with asyncio.timeout(60):
        items = [await anext(listener) for _ in range(count)]
    return [item.id if isinstance(item, Recorded) else item for item in items]


async def test_every_watcher_hears_what_happens_from_now_on(database: Database, tail: Tail) -> None:
    await paint(database, "before")
    with tail.subscribe() as one, tail.subscribe() as two:
        await following(one)
        await following(two)
        await paint(database, "a", "b")
        assert await heard(one, 2) == ["a", "b"]
        assert await heard(two, 2) == ["a", "b"]


async def test_a_watcher_may_go_on_from_a_position_it_knows(database: Database, tail: Tail) -> None:
    await paint(database, "a")
    await paint(database, "b")
    with tail.subscribe(since=1) as listener:
        assert await heard(listener, 1) == ["b"]


async def test_a_watcher_that_asks_for_too_long_ago_is_told_to_look_again(database: Database, tail: Tail) -> None:
    async with database.transaction() as tx:
        await tx.execute("UPDATE sequencer SET position = %s", (LOOK_BACK + 1,))
    with tail.subscribe(since=0) as listener:
        assert await heard(listener, 1) == [Resync(LOOK_BACK + 1)]
        await paint(database, "a")
        assert await heard(listener, 1) == ["a"]


async def test_a_slow_watcher_is_told_to_look_again_and_the_others_hear_everything(
    database: Database, tail: Tail
) -> None:
    with tail.subscribe(room=3) as slow, tail.subscribe() as quick:
        await following(slow)
        await following(quick)
        await paint(database, *[f"w{n}" for n in range(8)])
        assert await heard(quick, 8) == [f"w{n}" for n in range(8)]
        assert await heard(slow, 1) == [Resync(8)]
        await paint(database, "later")
        assert await heard(slow, 1) == ["later"]


async def test_the_tail_outlives_its_connections(database: Database, tail: Tail) -> None:
    with tail.subscribe() as listener:
        await following(listener)
        async with await psycopg.AsyncConnection.connect(database.url, autocommit=True) as admin:
            await admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"
            )
        await paint(database, "a")
        assert await heard(listener, 1) == ["a"]


async def test_a_closed_watcher_ends_its_iteration(database: Database) -> None:
    tail, stop = Tail(), asyncio.Event()
    running = asyncio.create_task(tail.run(database, stop))
    listener = tail.subscribe()
    await following(listener)
    stop.set()
    await running
    assert [item async for item in listener] == []
