"""Numbers that are told of a moment speak of goods that can be sold: what was set aside since then is fewer of those."""

import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from sync_world import ACTOR, a_retailer, hours_ago, on_hand, state

from malha.doctor import examine
from malha.inventory import service
from malha.inventory.buckets import service as buckets
from malha.inventory.buckets.model import Bucket, Leg
from malha.inventory.model import Claim, Reason, Reference
from malha.inventory.sync import drift, reads
from malha.platform.db import Database


@pytest.fixture(autouse=True)
async def nothing_drifts(database: Database) -> AsyncIterator[None]:
    yield
    report = await examine(database)
    assert [f.check for f in report.findings if f.drifts] == []


async def set_aside(database: Database, hours: float, sku: int = 1) -> None:
    legs = [Leg(sku, 1, Bucket.SELLABLE, -3), Leg(sku, 1, Bucket.DAMAGED, 3)]
    async with database.transaction(ACTOR) as tx:
        await buckets.move(tx, legs, Reason.MOVE, Reference("move", text="T"), occurred_at=hours_ago(hours))


async def test_a_snapshot_of_before_does_not_bring_them_back(database: Database) -> None:
    await a_retailer(database)
    await set_aside(database, 1)
    await state(database, {(1, 1): 12}, seq=1, as_of=hours_ago(2))
    assert (await on_hand(database))[1, 1] == 9


async def test_neither_does_a_number_that_is_set_for_before(database: Database) -> None:
    await a_retailer(database)
    await set_aside(database, 1)
    async with database.transaction(ACTOR) as tx:
        await service.set_on_hand(tx, [Claim(1, 1, 12)], Reference("test"), occurred_at=hours_ago(2))
    assert (await on_hand(database))[1, 1] == 9


async def test_nor_does_taking_theirs(database: Database) -> None:
    await a_retailer(database, skew_seconds=60)
    at = hours_ago(2)
    async with database.transaction(ACTOR) as tx:
        await service.adjust(tx, [Claim(1, 1, -1)], Reason.DAMAGE, Reference("test"), at + timedelta(seconds=20))
    await set_aside(database, 1)
    await state(database, {(1, 1): 20}, seq=1, as_of=at)
    async with database.transaction(ACTOR) as tx:
        (open_,) = await reads.drifts(tx, reads.DriftAsked())
        assert (open_.later, open_.unexplained) == (-3, 11)
        assert {b.d_on_hand for b in await reads.explaining(tx, open_.id)} == {10, -1, -3}
        await drift.repair(tx, {open_.id: open_.version}, drift.Repair.THEIRS)
    assert (await on_hand(database))[1, 1] == 16
