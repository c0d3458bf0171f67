"""Disagreements that are counted: the count they join, what its end makes of them, and statements that come meanwhile."""

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from sync_world import ACTOR, a_retailer, hours_ago, on_hand, state

from malha.doctor import examine
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.inventory.counts import reads as counts
from malha.inventory.counts import service as counting
from malha.inventory.counts.model import CountDraft, Entry, Limits
from malha.inventory.counts.model import Source as Why
from malha.inventory.sync import drift, reads
from malha.inventory.sync.errors import DriftSettled
from malha.inventory.sync.model import Drift, DriftState
from malha.platform.db import Actor, Database
from malha.platform.subscribers import drain

ANA, BIA = Actor("person", "ana", "Ana"), Actor("person", "bia", "Bia")


async def disagreeing(database: Database) -> list[Drift]:
    """S1, S2 and S3 at L3 are compared with a secondary source, and differ."""
    await a_retailer(database)
    await state(database, {(1, 3): 4, (2, 3): 11, (3, 3): 3}, seq=1, as_of=hours_ago(2))
    async with database.transaction() as tx:
        return sorted(await reads.drifts(tx, reads.DriftAsked()), key=lambda d: d.sku_id)


async def have_counted(database: Database, chosen: list[Drift]) -> list[Drift]:
    async with database.transaction(ACTOR) as tx:
        return await drift.repair(tx, {d.id: d.version for d in chosen}, drift.Repair.COUNT)


async def states(database: Database) -> dict[int, tuple[DriftState, int | None]]:
    async with database.transaction() as tx:
        every = await reads.drifts(tx, reads.DriftAsked(states=tuple(DriftState)))
    return {d.sku_id: (d.state, d.count) for d in every}


async def count(database: Database, number: int, found: dict[int, int]) -> None:
    """Two people count the same, a third believes them; what was not counted stays as it is."""
    for person in (ANA, BIA):
        async with database.transaction(person) as tx:
            task = await counts.task(tx, number)
            assert task is not None
            open_ = {line.sku_id for line in await counts.lines(tx, task.id) if line.state in {"pending", "recount"}}
            await counting.enter(tx, number, [Entry(sku, n) for sku, n in found.items() if sku in open_], {})
    async with database.transaction(ACTOR) as tx:
        await counting.approve(tx, number)
        await counting.close(tx, number, {})


async def test_chosen_disagreements_become_one_blind_count_and_are_settled_by_what_it_finds(database: Database) -> None:
    one, two, three = await disagreeing(database)
    done = await have_counted(database, [one, two])
    number = done[0].count
    assert number is not None
    assert {d.count for d in done} == {number}
    async with database.transaction() as tx:
        task = await counts.task(tx, number)
        assert task is not None
        assert (task.blind, task.source, task.location) == (True, Why.DRIFT, "L3")
        assert [line.sku_id for line in await counts.lines(tx, task.id)] == [1, 2]
        assert [d.id for d in await reads.drifts_of_count(tx, task.id)] == [one.id, two.id]
    assert [d.count for d in await have_counted(database, [three])] == [number]  # joins the open count of its location
    await count(database, number, {1: 10, 2: 12})  # of the third nobody counts anything
    await drain(database, SUBSCRIPTIONS)
    assert await states(database) == {
        1: (DriftState.COUNTED, number),  # ours was right: no movement tells, the count does
        2: (DriftState.COUNTED, number),
        3: (DriftState.OPEN, None),
    }
    assert (await on_hand(database))[2, 3] == 12
    report = await examine(database)
    assert not [finding.check for finding in report.findings if finding.drifts]


async def test_a_cancelled_count_opens_its_disagreements_again(database: Database) -> None:
    one, *_rest = await disagreeing(database)
    (done,) = await have_counted(database, [one])
    assert done.count is not None
    async with database.transaction(ACTOR) as tx:
        await counting.cancel(tx, done.count, "no hands")
    await drain(database, SUBSCRIPTIONS)
    assert (await states(database))[1] == (DriftState.OPEN, None)
    (again,) = await have_counted(database, [d for d in await _open(database) if d.sku_id == 1])
    assert again.count not in {None, done.count}


async def test_what_was_counted_before_the_disagreement_was_found_does_not_settle_it(database: Database) -> None:
    one, two, _three = await disagreeing(database)
    (done,) = await have_counted(database, [one])
    assert done.count is not None
    async with database.transaction(ANA) as tx:
        await counting.enter(tx, done.count, [Entry(2, 10)], {})  # a SKU nobody asked for, counted on the way
        await tx.execute("UPDATE stock_drift SET found_at = clock_timestamp() WHERE sku_id = 2")
    await have_counted(database, [two])
    await count(database, done.count, {1: 10})
    await drain(database, SUBSCRIPTIONS)
    assert await states(database) | {3: None} == {
        1: (DriftState.COUNTED, done.count),
        2: (DriftState.OPEN, None),
        3: None,
    }


async def test_the_same_statement_again_leaves_it_to_the_count(database: Database) -> None:
    one, *_rest = await disagreeing(database)
    (done,) = await have_counted(database, [one])
    await state(database, {(1, 3): 5}, seq=2, as_of=hours_ago(1))
    assert (await states(database))[1] == (DriftState.COUNTING, done.count)
    await state(database, {(1, 3): 10}, seq=3, as_of=hours_ago(0.5))
    assert (await states(database))[1][0] is DriftState.AGREED


async def test_another_repair_ends_the_waiting(database: Database) -> None:
    one, *_rest = await disagreeing(database)
    (done,) = await have_counted(database, [one])
    async with database.transaction(ACTOR) as tx:
        await drift.repair(tx, {done.id: done.version}, drift.Repair.THEIRS)
    assert (await states(database))[1] == (DriftState.THEIRS, None)


async def test_two_people_who_ask_at_once_get_one_count_and_the_second_is_told(database: Database) -> None:
    every = await disagreeing(database)
    outcomes = await asyncio.gather(*(have_counted(database, every) for _ in range(2)), return_exceptions=True)
    assert [type(o) for o in outcomes if isinstance(o, BaseException)] == [DriftSettled]
    async with database.transaction() as tx:
        assert len(await counts.tasks(tx, counts.TasksWanted(open_only=True))) == 1


async def _open(database: Database) -> list[Drift]:
    async with database.transaction() as tx:
        return await reads.drifts(tx, reads.DriftAsked())


async def test_a_snapshot_of_before_the_counting_loses_to_what_was_counted(database: Database) -> None:
    await a_retailer(database)
    async with database.transaction(ACTOR) as tx:
        draft = CountDraft(location_id=1, skus=[1, 2], limits=Limits(99, 10_000_000))
        number = await counting.raise_count(tx, draft)
        await counting.enter(tx, number, [Entry(1, 8), Entry(2, 13)], {})
    await state(database, {(1, 1): 15, (2, 1): 6}, seq=1, as_of=hours_ago(2))
    stated = await on_hand(database)
    assert (stated[1, 1], stated[2, 1]) == (15, 6)
    async with database.transaction(ACTOR) as tx:
        await counting.close(tx, number, {})
    counted = await on_hand(database)
    assert (counted[1, 1], counted[2, 1]) == (8, 13)
    assert not (await examine(database)).drift
