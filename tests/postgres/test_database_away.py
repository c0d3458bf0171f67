"""While the database is away: who waits for an answer hears so, a short absence is waited out, and it is found again."""

import asyncio

import pytest
from psycopg_pool import PoolTimeout

from away import absence
from malha.platform.db import Database

PATIENCE_S = 60.0
LONG = 600.0  # nobody waits so long: a test that has to would not pass


def patient(database: Database, away_s: float | None, **sizes: int) -> Database:
    """A pool whose own time-out is never what ends a wait."""
    made = Database(database.url, database.retailer, away_s=away_s, **sizes)
    made.pool.timeout = LONG
    return made


async def asked(db: Database) -> int:
    async with db.transaction() as tx:
        return int(await tx.value("SELECT 7"))


async def test_who_waits_for_an_answer_hears_that_the_database_is_away(database: Database) -> None:
    with absence(database) as gone:
        async with patient(database, 0.3, min_size=2, max_size=4) as db, asyncio.timeout(PATIENCE_S):
            gone.begin()
            heard = await asyncio.gather(*(asked(db) for _ in range(8)), return_exceptions=True)
            assert {type(each) for each in heard} == {PoolTimeout}
            assert db.pool.away
            with pytest.raises(PoolTimeout, match="away"):  # and whoever comes now need not wait to hear it
                await asked(db)


async def test_an_absence_that_is_shorter_than_what_is_waited_costs_nobody_an_answer(database: Database) -> None:
    with absence(database) as gone:
        async with patient(database, LONG, min_size=2, max_size=4) as db, asyncio.timeout(PATIENCE_S):
            gone.begin()
            waiting = [asyncio.create_task(asked(db)) for _ in range(8)]
            while not db.pool.get_stats().get("connections_errors"):  # they have met it
                await asyncio.sleep(0.01)
            gone.end()
            assert await asyncio.gather(*waiting) == [7] * 8


async def test_a_database_that_is_back_is_found_by_itself(database: Database) -> None:
    with absence(database) as gone:
        async with patient(database, 0.1, min_size=1, max_size=2) as db, asyncio.timeout(PATIENCE_S):
            gone.begin()
            with pytest.raises(PoolTimeout):
                await asked(db)
            gone.end()
            while db.pool.away:
                await asyncio.sleep(0.01)
            assert await asked(db) == 7


async def test_where_all_attempts_were_given_up_the_next_who_asks_has_it_tried_again(database: Database) -> None:
    with absence(database) as gone:
        async with patient(database, 0.1, min_size=1, max_size=2) as db, asyncio.timeout(PATIENCE_S):
            db.pool.reconnect_timeout = 0.2
            gone.begin()
            with pytest.raises(PoolTimeout):
                await asked(db)
            while db.pool.get_stats()["pool_size"]:  # connections, and attempts to have one
                await asyncio.sleep(0.01)
            gone.end()
            answer = None
            while answer is None:
                try:
                    answer = await asked(db)
                except PoolTimeout:
                    await asyncio.sleep(0.01)
            assert answer == 7


async def test_a_worker_waits_for_it_whatever_time_it_takes(database: Database) -> None:
    with absence(database) as gone:
        async with patient(database, None, min_size=1, max_size=2) as db, asyncio.timeout(PATIENCE_S):
            gone.begin()
            waiting = asyncio.create_task(asked(db))
            while db.pool.get_stats().get("connections_errors", 0) < 3:
                await asyncio.sleep(0.01)
            assert not waiting.done()
            gone.end()
            assert await waiting == 7


async def test_who_waits_in_a_busy_pool_is_not_told_that_the_database_is_away(database: Database) -> None:
    async with patient(database, 0.0, min_size=1, max_size=1) as db, asyncio.timeout(PATIENCE_S):
        async with db.transaction() as tx:
            waiting = asyncio.create_task(asked(db))
            while not db.pool.get_stats()["requests_waiting"]:
                await asyncio.sleep(0)
            assert await tx.value("SELECT 1") == 1
        assert await waiting == 7


async def test_a_server_that_takes_no_further_connections_is_there_for_who_has_one(database: Database) -> None:
    with absence(database) as gone:
        async with patient(database, 0.0, min_size=1, max_size=2) as db, asyncio.timeout(PATIENCE_S):
            async with db.transaction() as tx:
                gone.begin(for_all=False)
                waiting = asyncio.create_task(asked(db))
                while db.pool.get_stats().get("connections_errors", 0) < 2:
                    await asyncio.sleep(0.01)
                assert not db.pool.away
                assert not waiting.done()
                assert await tx.value("SELECT 1") == 1
            assert await waiting == 7
