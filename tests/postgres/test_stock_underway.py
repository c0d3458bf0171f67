"""A source whose books say goodbye to units before they leave: what was under way is neither lost nor counted twice."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from sync_world import ACTOR, hours_ago, state

from malha.fulfillment import service
from malha.fulfillment.model import Parcel
from malha.inventory.sync import sources
from malha.inventory.sync.model import Leaves, SourceDraft, State
from malha.platform.db import Database
from malha.testing.builders import Sold, a_network, a_product, an_order


@pytest.mark.parametrize(
    ("leaves", "stated"), [(Leaves.PICK, 3), (Leaves.PACK, 8), (Leaves.INVOICE, 10), (Leaves.SHIP, 10)]
)
async def test_units_the_source_took_off_before_they_left_are_added_back(
    database: Database, leaves: Leaves, stated: int
) -> None:
    """Ten were there. As of two hours ago, seven were picked, two of them packed; since then those two were shipped."""
    async with database.transaction(ACTOR) as tx:
        world = await a_network(tx, policy="not_required")
        sku = await a_product(tx, world, "A", stock={"DC": 10})
        await tx.execute(
            "UPDATE movement SET occurred_at = now() - interval '1 day', recorded_at = now() - interval '1 day'"
        )
        orders = [await an_order(tx, world, [Sold(sku, units)]) for units in (5, 2)]
        [here] = [w.id for w in await service.release_order(tx, orders[0])]
        [gone] = [w.id for w in await service.release_order(tx, orders[1])]
        for work in (here, gone):
            await service.accept(tx, work)
            await service.confirm_pick(tx, work)
        await service.pack(tx, gone, [Parcel(weight_grams=500)])
        await tx.execute(
            "UPDATE fulfillment_order SET picked_at = now() - interval '4 hours', packed_at = packed_at - interval '3 hours'"
        )
        await service.ship(tx, gone)
        await sources.add_source(tx, SourceDraft(code="ERP", name="ERP", truth=["DC"], leaves=leaves))
    file = f"sku;location;on_hand\nA;DC;{stated}\n".encode()
    done = await state(database, file, seq=1, as_of=hours_ago(2))
    assert (done.state, done.reviewed) == (State.APPLIED, 0)
    async with database.transaction() as tx:
        assert await tx.tuples("SELECT on_hand, allocated FROM balance WHERE sku_id = %(sku)s", {"sku": sku}) == [
            (8, 5)
        ]
