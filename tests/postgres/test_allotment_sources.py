"""What sources state may leave fewer units than fences set apart: they shrink, whoever said it and however."""

from collections.abc import Awaitable, Callable

import pytest
from sync_world import ACTOR, a_retailer, hours_ago, state

from malha.doctor import examine
from malha.inventory.allotments import service as allotments
from malha.inventory.allotments.model import AllotmentDraft, FenceRow, Kind
from malha.inventory.allotments.reads import listed
from malha.inventory.sync import deltas, drift, reads
from malha.inventory.sync.model import Delta
from malha.platform.db import Database


async def a_snapshot(database: Database) -> None:
    await state(database, {(1, 1): 3}, seq=1, as_of=hours_ago(1))


async def a_change(database: Database) -> None:
    async with database.transaction(ACTOR) as tx:
        await deltas.apply_deltas(tx, "ERP", [Delta(ref="a", sku="S1", location="L1", quantity=-7)])


async def a_repair(database: Database) -> None:
    """The secondary source of L3 is believed."""
    await state(database, {(1, 3): 3}, seq=1, as_of=hours_ago(1))
    async with database.transaction(ACTOR) as tx:
        (open_,) = await reads.drifts(tx, reads.DriftAsked())
        await drift.repair(tx, {open_.id: open_.version}, drift.Repair.THEIRS)


@pytest.mark.parametrize(("said", "place"), [(a_snapshot, "L1"), (a_change, "L1"), (a_repair, "L3")])
async def test_a_source_that_states_fewer_than_are_fenced_shrinks_the_fence(
    database: Database, said: Callable[[Database], Awaitable[None]], place: str
) -> None:
    await a_retailer(database)
    async with database.transaction() as tx:
        await tx.execute("INSERT INTO channel (code, name, kind) VALUES ('mall', 'Mall', 'marketplace')")
        draft = AllotmentDraft(
            code="F", name="F", kind=Kind.FENCE, channels=("mall",), stock=(FenceRow("S1", place, 8),)
        )
        await allotments.put(tx, draft, None)
    await said(database)
    async with database.snapshot() as tx:
        (fence,) = await listed(tx)
        assert (fence.wanted, fence.granted, fence.remaining) == (8, 3, 3)
        assert await tx.value("SELECT count(*) FROM outbox WHERE type = 'stock.fence_shrunk'") == 1
    drifts = [x for f in (await examine(database)).findings if f.drifts for x in f.lines("en")]
    assert drifts == []
