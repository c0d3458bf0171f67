"""Receipts and corrections of our own that are told late: added, and doubted where a snapshot may have had them."""

import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from sync_world import ACTOR, a_retailer, hours_ago, on_hand, state

from malha.doctor import examine
from malha.inventory import service
from malha.inventory.model import Claim, Reason, Reference
from malha.inventory.sync import drift, reads
from malha.inventory.sync.model import Drift, DriftState
from malha.platform.db import Database


@pytest.fixture(autouse=True)
async def nothing_drifts(database: Database) -> AsyncIterator[None]:
    yield
    report = await examine(database)
    assert [f.check for f in report.findings if f.drifts] == []


async def tell(database: Database, units: int, hours: float | None, *, sku: int = 1, place: int = 1) -> None:
    at = None if hours is None else hours_ago(hours)
    async with database.transaction(ACTOR) as tx:
        if units > 0:
            await service.receive(tx, [Claim(sku, place, units)], Reference("test"), at)
        else:
            await service.adjust(tx, [Claim(sku, place, units)], Reason.DAMAGE, Reference("test"), at)


async def waiting(database: Database) -> list[Drift]:
    async with database.transaction(ACTOR) as tx:
        return await reads.drifts(tx, reads.DriftAsked(states=("open", "counting", "explained")))


@pytest.mark.parametrize("units", [5, -3])
@pytest.mark.parametrize(("how", "stays"), [(drift.Repair.THEIRS, False), (drift.Repair.OURS, True)])
async def test_what_a_snapshot_may_have_had_is_added_and_doubted_and_a_press_settles_it(
    database: Database, units: int, how: drift.Repair, stays: bool
) -> None:
    await a_retailer(database)
    await state(database, {(1, 1): 12, (2, 1): 10}, seq=1, as_of=hours_ago(2))
    await tell(database, units, 3)
    assert (await on_hand(database))[1, 1] == 12 + units
    (late,) = await waiting(database)
    told = (late.kind, late.state, late.source, late.sku, late.theirs, late.ours, late.unexplained)
    assert told == ("late", "open", "ERP", "S1", 12, 12 + units, -units)
    async with database.transaction(ACTOR) as tx:
        await drift.repair(tx, {late.id: late.version}, how)
    assert (await on_hand(database))[1, 1] == (12 + units if stays else 12)
    assert await waiting(database) == []
    await state(database, {(1, 1): 20}, seq=2, as_of=hours_ago(1))  # none of it comes on top of later numbers
    assert (await on_hand(database))[1, 1] == 20


async def test_nothing_is_doubted_that_no_snapshot_can_have_known(database: Database) -> None:
    await a_retailer(database, skew_seconds=60)
    await tell(database, 5, 3)  # nobody stated anything yet
    await state(database, {(1, 1): 15, (1, 3): 10}, seq=1, as_of=hours_ago(2))
    await tell(database, 5, 1)  # the snapshot is older
    await tell(database, 5, None)
    await tell(database, 5, 3, place=2)  # it spoke of another location
    await tell(database, 5, 3, place=3)  # it is compared there, and never applied
    await tell(database, 5, 3, place=4)  # nobody states what is there
    assert await waiting(database) == []
    assert (await on_hand(database))[1, 1] == 25


async def test_what_happened_within_the_tolerance_of_the_clocks_is_doubted_too(database: Database) -> None:
    await a_retailer(database, skew_seconds=60)
    at = hours_ago(2)
    await state(database, {(1, 1): 12}, seq=1, as_of=at)
    async with database.transaction(ACTOR) as tx:
        for seconds in (59, 61):
            when = at + timedelta(seconds=seconds)
            await service.receive(tx, [Claim(1, 1, 5)], Reference("test"), when)
    assert [(d.ours, d.unexplained) for d in await waiting(database)] == [(17, -5)]


async def test_what_is_told_late_several_times_is_one_disagreement_and_the_next_snapshot_ends_it(
    database: Database,
) -> None:
    await a_retailer(database)
    await state(database, {(1, 1): 12}, seq=1, as_of=hours_ago(3))
    for units in (5, 4, -2):
        await tell(database, units, 4)
    (late,) = await waiting(database)
    assert (late.theirs, late.ours, late.unexplained) == (12, 19, -7)
    await state(database, {(1, 1): 19}, seq=2, as_of=hours_ago(2))
    assert await waiting(database) == []
    assert (await on_hand(database))[1, 1] == 19
    await tell(database, 6, 3)  # of a disagreement that ended nothing is left
    (again,) = await waiting(database)
    assert (again.id, again.theirs, again.ours, again.unexplained) == (late.id, 19, 25, -6)


async def test_a_disagreement_that_is_open_there_stays_and_goes_by_the_units(database: Database) -> None:
    """It says what the source stated: taking theirs gives that, and what is told late is in it."""
    await a_retailer(database, skew_seconds=60)
    at = hours_ago(2)
    async with database.transaction(ACTOR) as tx:
        when = at + timedelta(seconds=20)
        await service.adjust(tx, [Claim(1, 1, -1)], Reason.DAMAGE, Reference("test"), when)
    await state(database, {(1, 1): 20}, seq=1, as_of=at)
    await tell(database, 5, 3)
    (open_,) = await waiting(database)
    assert (open_.kind, open_.theirs, open_.ours, open_.unexplained) == ("window", 20, 14, 6)
    async with database.transaction(ACTOR) as tx:
        await drift.repair(tx, {open_.id: open_.version}, drift.Repair.THEIRS)
    assert (await on_hand(database))[1, 1] == 19  # one left within the tolerance, the five were in it
    async with database.transaction() as tx:
        assert (await reads.drift(tx, open_.id)).state is DriftState.THEIRS
