"""A process serves with the connections it has, whatever becomes of new ones: no proxy is to take all of them away at once."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

from away import absence

PATIENCE_S = 60.0


async def test_a_process_that_gets_no_further_connection_is_ready_with_those_it_has(shop: Any) -> None:
    shop.app.state.services.extra.pop("migrated", None)  # as a process that was started a moment ago
    async with shop.app.state.services.database.transaction() as tx:
        await tx.now()
    with absence(shop.database) as gone:
        gone.begin(for_all=False)
        ready = await shop.http.get("/readyz")
    assert (ready.status_code, ready.json()["checks"]) == (200, {"database": "ok", "migrations": "ok"})


async def test_a_process_whose_connections_are_all_in_use_and_come_back_is_busy_and_ready(shop: Any) -> None:
    assert (await shop.http.get("/readyz")).status_code == 200
    db = shop.app.state.services.database
    done = asyncio.Event()

    async def is_served_first() -> None:
        async with db.transaction():
            await done.wait()

    async def waiting(count: int) -> None:
        while db.pool.get_stats()["requests_waiting"] < count:
            await asyncio.sleep(0)

    async with AsyncExitStack() as stack, asyncio.timeout(PATIENCE_S):
        for _ in range(db.pool.max_size - 1):
            await stack.enter_async_context(db.transaction())
        async with db.transaction():
            other = asyncio.create_task(is_served_first())
            await waiting(1)
            asked = asyncio.create_task(shop.http.get("/readyz"))
            await waiting(2)
        ready = await asked
        done.set()
        await other
    assert (ready.status_code, ready.json()["checks"]) == (200, {"database": "busy", "migrations": "ok"})


async def test_a_process_none_of_whose_connections_comes_back_is_not_ready(shop: Any) -> None:
    assert (await shop.http.get("/readyz")).status_code == 200
    db = shop.app.state.services.database
    async with AsyncExitStack() as stack:
        for _ in range(db.pool.max_size):
            await stack.enter_async_context(db.transaction())
        assert (await shop.http.get("/readyz")).status_code == 503
