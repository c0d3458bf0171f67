"""Background jobs: deferred with the caller's transaction, run once when all goes well, again when a worker was killed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psycopg
import pytest

from malha.platform import jobs
from malha.platform.db import SYSTEM, Database, Tx

RAN: list[dict] = []
COUNT_JOBS = "SELECT count(*) FROM malha_jobs.procrastinate_jobs"
LISTENING = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND state = 'idle' AND query ILIKE 'LISTEN%%'
"""


@jobs.task("tests.note")
async def note(db: Database, **arguments) -> None:
    async with db.transaction() as tx:
        RAN.append({**arguments, "path": await tx.value("SHOW search_path")})


@jobs.task("tests.fail", attempts=1)
async def fail(_db: Database) -> None:
    raise ValueError("as it must")


@jobs.task("tests.stubborn", attempts=2)
async def stubborn(_db: Database) -> None:
    RAN.append({"try": len(RAN)})
    if len(RAN) == 1:
        raise ValueError("not yet")


@pytest.fixture(autouse=True)
async def installed(database: Database) -> None:
    RAN.clear()
    await jobs.install(database.url)


async def count(database: Database) -> int:
    async with database.transaction() as tx:
        return await tx.value(COUNT_JOBS)


@asynccontextmanager
async def a_worker(database: Database) -> AsyncIterator[None]:
    stop = asyncio.Event()
    running = asyncio.create_task(jobs.run_jobs(database, stop))
    try:
        yield
    finally:
        stop.set()
        async with asyncio.timeout(30):
            await running


async def listening(database: Database) -> None:
    """Wait until a worker has looked for jobs and is told of new ones."""
    async with asyncio.timeout(30):
        while True:
            async with database.transaction() as tx:
                if await tx.value(LISTENING):
                    return
            await asyncio.sleep(0.02)


async def until(condition) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.02)


async def test_a_rolled_back_transaction_defers_nothing(database: Database) -> None:
    async with database.pool.connection() as connection:
        tx = Tx(connection, database.retailer, SYSTEM)
        await connection.execute(database._begin)
        await jobs.defer(tx, note, n=1)
        assert await tx.value(COUNT_JOBS) == 1
        await connection.rollback()
    assert await count(database) == 0


async def test_a_committed_job_is_run_once_and_leaves_nothing(database: Database) -> None:
    async with database.transaction() as tx:
        await jobs.defer(tx, note, n=1, text="ação")
    async with a_worker(database):
        await until(lambda: RAN)
        await asyncio.sleep(0.3)
    assert [(job["n"], job["text"]) for job in RAN] == [(1, "ação")]
    assert RAN[0]["path"].startswith("malha,")
    assert await count(database) == 0


async def test_a_waiting_worker_hears_of_a_job_at_once(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "POLL_S", 3_600.0)  # it looks by itself far too late: what it runs, it was told of
    async with a_worker(database):
        await listening(database)
        async with database.transaction() as tx:
            await jobs.defer_many(tx, note, [{"n": n} for n in range(100)])
        await until(lambda: len(RAN) == 100)
    assert sorted(job["n"] for job in RAN) == list(range(100))


async def test_jobs_with_one_lock_run_in_order_one_after_the_other(database: Database) -> None:
    async with database.transaction() as tx:
        await jobs.defer_many(tx, note, [{"n": n} for n in range(4)], locks=["order:1"] * 4)
    async with a_worker(database):
        await until(lambda: len(RAN) == 4)
    assert [job["n"] for job in RAN] == list(range(4))


async def test_a_job_that_fails_is_tried_again(database: Database) -> None:
    async with database.transaction() as tx:
        await jobs.defer(tx, stubborn)
    async with a_worker(database):
        await until(lambda: len(RAN) == 2)
    assert await count(database) == 0


async def test_a_job_that_fails_for_good_stays_and_is_shown(database: Database) -> None:
    async with database.transaction() as tx:
        await jobs.defer(tx, fail)
        await jobs.defer(tx, note, n=1)
    found: list[jobs.FailedJob] = []
    async with a_worker(database):
        async with asyncio.timeout(30):
            while not (found and RAN):
                async with database.transaction() as tx:
                    found = await jobs.failed(tx)
                await asyncio.sleep(0.05)
    assert [(job.task, job.attempts) for job in found] == [("tests.fail", 1)]


async def test_a_job_of_a_killed_worker_is_given_back(database: Database) -> None:
    async with database.transaction() as tx:
        await jobs.defer(tx, note, n=7)
    with psycopg.connect(database.url, autocommit=True) as killed:  # takes the job, then is never heard of again
        killed.execute("SET search_path TO malha_jobs")
        (worker,) = killed.execute("SELECT * FROM procrastinate_register_worker_v1()").fetchone()
        killed.execute("SELECT procrastinate_fetch_job_v2(ARRAY['malha'], %s)", (worker,))
        killed.execute("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 minute'")
    async with a_worker(database):
        await until(lambda: RAN)
    assert [job["n"] for job in RAN] == [7]


async def test_a_job_is_left_to_its_own_retailers_worker(database: Database) -> None:
    async with database.transaction() as tx:
        tx.retailer = "somebody_else"
        await jobs.defer(tx, note, n=1)
    async with a_worker(database):
        await asyncio.sleep(0.5)
    assert RAN == []
    assert await count(database) == 1


async def test_a_worker_that_is_told_to_stop_while_it_starts_stops(database: Database) -> None:
    for milliseconds in range(0, 60, 3):
        stop = asyncio.Event()
        running = asyncio.create_task(jobs.run_jobs(database, stop))
        await asyncio.sleep(milliseconds / 1000)
        stop.set()
        async with asyncio.timeout(60):
            await running


async def test_installing_again_changes_nothing(database: Database) -> None:
    assert await jobs.install(database.url) == []
    assert await asyncio.gather(*(jobs.install(database.url) for _ in range(4))) == [[], [], [], []]


def test_two_tasks_cannot_have_one_name() -> None:
    with pytest.raises(ValueError, match=r"two tasks are named tests\.note"):
        jobs.task("tests.note")(fail.work)
