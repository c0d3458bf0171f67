"""While the database is away, the loops of a worker say so once each, in a line without a traceback."""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping, Sequence
from typing import Any

import pytest
from psycopg import OperationalError
from psycopg.errors import DiskFull
from psycopg_pool import PoolTimeout
from structlog.testing import capture_logs

from away import absence
from malha.api import problem
from malha.channels import pushing
from malha.flows import order_to_cash
from malha.intake.gate import Gate
from malha.platform import jobs, logs, notices, rounds, sequencer, subscribers, tail
from malha.platform.db import Database, Tx
from malha.platform.eventlog import Recorded, Subscription
from malha.platform.settings import Settings
from malha.webhooks import sending

PATIENCE_S = 60.0
Loop = Callable[[Database, asyncio.Event], Awaitable[None]]


async def _nothing(_tx: Tx, _events: Sequence[Recorded]) -> None:
    pass


async def _subscribers(db: Database, stop: asyncio.Event) -> None:
    await subscribers.run_subscribers(db, [Subscription(name="calm", handler=_nothing)], stop)


async def _notices(db: Database, stop: asyncio.Event) -> None:
    await notices.hear(db, lambda: None, stop)


async def _tail(db: Database, stop: asyncio.Event) -> None:
    watched = tail.Tail()
    with watched.subscribe():
        await watched.run(db, stop)


def heard(told: Sequence[MutableMapping[str, Any]], event: str) -> bool:
    return any(line["event"] == event for line in told)


LOOPS: dict[tuple[str, ...], Loop] = {
    ("pushes_wait",): lambda db, stop: pushing.run_pushes(db, {}, stop),
    ("release_waits",): order_to_cash.run_release,
    ("sequencer_waits",): sequencer.run_sequencer,
    ("jobs_wait",): jobs.run_jobs,
    ("notices_wait",): _notices,
    ("notices_wait", "retries_wait", "subscribers_wait"): _subscribers,
    ("notices_wait", "tail_waits"): _tail,
    ("webhooks_wait",): lambda db, stop: sending.run_sending(db, sending.sending_of(Settings()), stop),
}


@pytest.mark.parametrize("from_the_start", [True, False])
@pytest.mark.parametrize("waits", sorted(LOOPS), ids=" ".join)
async def test_an_absence_of_many_rounds_is_one_line(
    waits: tuple[str, ...],
    from_the_start: bool,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Of each loop, whether the database goes before its first round or later; and one line when that is over."""
    said = waits
    if from_the_start and "subscribers_wait" in waits:
        said = ("subscribers_wait",)  # nothing of theirs begins before their checkpoints are there
    met = 0
    is_away = rounds.is_away

    def counted(error: BaseException) -> bool:
        nonlocal met
        met += 1
        return is_away(error)

    async def at_once(stop: asyncio.Event, seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.02))

    monkeypatch.setattr(rounds, "is_away", counted)
    monkeypatch.setattr(jobs, "CONNECTION_S", 0.2)
    monkeypatch.setattr(jobs, "SETTLED_S", 0.5)
    monkeypatch.setattr(subscribers, "UNTOLD_SECONDS", 0.02)
    monkeypatch.setattr(tail, "UNTOLD_SECONDS", 0.02)
    for module in (pushing, order_to_cash, sequencer, jobs, notices, subscribers, tail, sending):
        monkeypatch.setattr(module, "rest", at_once)
    stop = asyncio.Event()
    with absence(database) as gone, capture_logs() as told, caplog.at_level(logging.ERROR, "procrastinate"):
        async with Database(database.url, database.retailer, max_size=4, away_s=0.1) as db, asyncio.timeout(PATIENCE_S):
            if from_the_start:
                gone.begin()
            loop = asyncio.ensure_future(LOOPS[waits](db, stop))
            if not from_the_start:
                await asyncio.sleep(0.5)
                gone.begin()
            while not ((met >= 5 * len(said) and all(heard(told, of) for of in said)) or loop.done()):
                await asyncio.sleep(0.01)  # one of two loops may meet it ten times before the other meets it once
            gone.end()
            while sum(line["event"] == "goes_on" for line in told) < len(said) and not loop.done():
                await asyncio.sleep(0.01)
            stop.set()
            await loop
    seen = Counter(line["event"] for line in told)
    assert seen["database_not_reached"] == seen["database_reached"] <= 1  # who only listens has no pool
    mine = [line for line in told if line["log_level"] != "debug" and not line["event"].startswith("database_")]
    assert Counter(line["event"] for line in mine) == {**dict.fromkeys(said, 1), "goes_on": len(said)}
    assert sorted(line["after"] for line in mine if line["event"] == "goes_on") == sorted(said)
    assert not any("exc_info" in line for line in mine)
    assert [record.message for record in caplog.records if record.name.startswith("procrastinate")] == []


async def test_a_pool_says_once_that_the_database_is_not_reached_and_once_that_it_is(database: Database) -> None:
    """Not with each of its attempts to connect: there are several a second, in each process."""
    with absence(database) as gone, capture_logs() as told:
        async with Database(database.url, database.retailer, max_size=2, away_s=0.1) as db, asyncio.timeout(PATIENCE_S):
            gone.begin()
            refused = 0
            while refused < 5:
                try:
                    async with db.transaction():
                        pass
                except OperationalError:
                    refused += 1
                await asyncio.sleep(0.1)
            assert db.is_away
            gone.end()
            while not heard(told, "database_reached"):
                await asyncio.sleep(0.01)
    assert [line["event"] for line in told] == ["database_not_reached", "database_reached"]


def test_lines_of_psycopgs_pool_about_each_attempt_are_left_out_and_others_are_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    pool = logging.getLogger("psycopg.pool")
    logs.configure("info", "json")
    pool.warning("error connecting in %r: %s", "pool-1", "refused")
    pool.warning("discarding closed connection: %s", "x")
    pool.warning("rolling back returned connection: %s", "y")
    said = capsys.readouterr().err
    assert "rolling back" in said
    assert "error connecting" not in said
    assert "discarding" not in said


async def test_an_open_answer_ends_where_the_database_goes_and_fails_with_any_other_fault() -> None:
    async def broken(error: Exception) -> AsyncIterator[bytes]:
        yield b"one"
        raise error

    assert [piece async for piece in tail.while_there(broken(PoolTimeout("away")))] == [b"one"]
    with pytest.raises(ValueError, match="a defect"):
        [piece async for piece in tail.while_there(broken(ValueError("a defect")))]


async def test_a_disk_that_is_full_is_one_line_of_the_gate_and_a_defect_is_told_each_time(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(database)
    errors: list[Exception | None] = [
        DiskFull("no room"),
        DiskFull("no room"),
        None,
        ValueError("one"),
        ValueError("two"),
    ]

    async def attempt(_batch: object) -> list[object]:
        error = errors.pop(0)
        if error is not None:
            raise error
        return []

    monkeypatch.setattr(gate, "_attempt", attempt)
    with capture_logs() as told:
        while errors:
            await gate._settle([])
    await gate.close()
    said = [(line["event"], "exc_info" in line) for line in told]
    assert said == [("orders_wait", False), ("goes_on", False), ("batch_failed", True), ("batch_failed", True)]


def test_that_the_database_refuses_is_told_once_a_minute_by_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    at = 1000.0
    monkeypatch.setattr(problem.time, "monotonic", lambda: at)
    extra: dict[str, object] = {}
    told = [problem._is_to_be_told(extra, code) for code in ("database_full", "database_full", "database_read_only")]
    assert told == [True, False, True]
    at += problem.TOLD_EVERY_S
    assert problem._is_to_be_told(extra, "database_full")
