"""Goods that come and a kit that is made of their SKU in the same moment: one of both is refused, whoever is first."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.waiting import waiting

from malha.catalog import service as catalog
from malha.catalog.errors import StockedKit
from malha.catalog.model import ProductDraft, VariantDraft
from malha.inventory import service as inventory
from malha.inventory import standing
from malha.inventory.buckets import service as buckets
from malha.inventory.buckets.model import Bucket, Leg
from malha.inventory.errors import BecameKit
from malha.inventory.model import Claim, Reason, Reference
from malha.inventory.supply import service as supply
from malha.inventory.supply.model import (
    InboundDraft,
    InboundKind,
    InboundLineDraft,
    ReceiptDraft,
    ReceivedLine,
)
from malha.inventory.sync import deltas, sources
from malha.inventory.sync.model import Delta, Outcome, SourceDraft
from malha.platform.db import Database, Tx
from malha.platform.ids import new_id
from malha.testing.builders import a_network, a_product, in_days

Act = Callable[[Tx], Awaitable[Any]]
HELD = """
SELECT (SELECT count(*) FROM balance WHERE sku_id = %(sku)s::int AND on_hand > 0)
     + (SELECT count(*) FROM bucket_balance WHERE sku_id = %(sku)s::int AND quantity > 0)
     + (SELECT count(*) FROM supply WHERE sku_id = %(sku)s::int AND expected > 0)
"""


class World:
    """A cup with stock, and what could be a set of cups."""

    def __init__(self, cup: int, thing: int, place: int) -> None:
        self.cup = cup
        self.sku = thing
        self.place = place

    async def make_kit(self, tx: Tx) -> None:
        variant = VariantDraft(sku="SET", price=9000, components={"CUP": 2})
        draft = ProductDraft(code="SET", name="Jogo", variants=[variant])
        version = await catalog.lock_product(tx, "SET", kits=True)
        await catalog.update_product(tx, draft, version, stands=standing.of)

    async def received(self, tx: Tx) -> None:
        await inventory.receive(tx, [Claim(self.sku, self.place, 3)], Reference("test"))

    async def counted(self, tx: Tx) -> None:
        await inventory.set_on_hand(tx, [Claim(self.sku, self.place, 3)], Reference("test"), Reason.COUNT)

    async def set_aside(self, tx: Tx) -> None:
        legs = [Leg(self.sku, self.place, Bucket.DAMAGED, 1)]
        await buckets.change(tx, legs, Reason.FOUND, Reference("test"))

    async def delivered(self, tx: Tx) -> None:
        lines = [ReceivedLine(sku_id=self.sku, quantity=3)]
        await supply.receive(tx, ReceiptDraft(id=new_id(), location_id=self.place, lines=lines))

    async def ordered(self, tx: Tx) -> None:
        line = InboundLineDraft(sku_id=self.sku, quantity=3, eta=in_days(5))
        draft = InboundDraft(kind=InboundKind.PURCHASE, supplier="Sul", location_id=self.place, lines=[line])
        await supply.place_order(tx, draft)

    async def told(self, tx: Tx) -> None:
        """Have an ERP tell of three more."""
        (reply,) = await deltas.apply_deltas(tx, "erp", [Delta(ref="1", sku="SET", location="DC", quantity=3)])
        if reply.outcome is Outcome.KIT:
            raise BecameKit(skus="SET")


WAYS = ["received", "counted", "set_aside", "delivered", "ordered", "told"]


@pytest.fixture
async def world(database: Database) -> World:
    async with database.transaction() as tx:
        network = await a_network(tx)
        cup = await a_product(tx, network, "CUP", stock={"DC": 9})
        thing = await a_product(tx, network, "SET")
        await sources.add_source(tx, SourceDraft(code="erp", name="ERP", truth=["DC"]))
    return World(cup, thing, network.locations["DC"])


async def meet(database: Database, first: Act, second: Act) -> Exception | None:
    """Let the second come while the first is done and not committed; return what the second was refused with."""

    async def later() -> Exception | None:
        try:
            async with database.transaction() as tx:
                await second(tx)
        except (StockedKit, BecameKit) as refusal:
            return refusal
        return None

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        async with database.transaction() as tx:
            await first(tx)
            doing = group.create_task(later())
            while not doing.done() and await waiting(database) < 1:
                await asyncio.sleep(0.01)
        return await doing


async def is_kit(database: Database, world: World) -> tuple[bool, bool]:
    """Return whether it is a kit, and whether units of it are anywhere."""
    async with database.snapshot() as tx:
        kit = await tx.value("SELECT is_kit FROM variant WHERE id = %s", (world.sku,))
        return bool(kit), bool(await tx.value(HELD, {"sku": world.sku}))


@pytest.mark.parametrize("way", WAYS)
async def test_no_kit_is_made_of_a_sku_whose_goods_come_in_that_moment(database, world, way) -> None:
    refusal = await meet(database, getattr(world, way), world.make_kit)
    assert isinstance(refusal, StockedKit)
    assert await is_kit(database, world) == (False, True)


@pytest.mark.parametrize("way", WAYS)
async def test_no_goods_come_of_a_sku_that_becomes_a_kit_in_that_moment(database, world, way) -> None:
    refusal = await meet(database, world.make_kit, getattr(world, way))
    assert isinstance(refusal, BecameKit)
    assert await is_kit(database, world) == (True, False)


async def test_two_who_receive_the_same_sku_elsewhere_do_not_wait_for_one_another(database, world) -> None:
    async with database.transaction() as one, database.transaction() as two:
        await inventory.receive(one, [Claim(world.cup, world.place, 1)], Reference("test"))
        await inventory.receive(two, [Claim(world.sku, world.place, 1)], Reference("test"))


async def test_who_sells_waits_for_nobody_who_makes_a_kit(database, world) -> None:
    async with database.transaction() as making:
        await world.make_kit(making)
        async with database.transaction() as tx:
            wanted = [Claim(world.cup, world.place, 2)]
            assert await inventory.reserve(tx, wanted, Reference("order", new_id())) == []
            assert await inventory.place_hold(tx, "cart", wanted, seconds=300) == []


async def test_a_kit_that_has_stock_since_before_it_was_one_is_counted_and_moved_as_any_other(database, world) -> None:
    async with database.transaction() as tx:
        await world.received(tx)
        await tx.execute("UPDATE variant SET is_kit = true WHERE id = %s", (world.sku,))
    async with database.transaction() as tx:
        await inventory.set_on_hand(tx, [Claim(world.sku, world.place, 5)], Reference("test"), Reason.COUNT)
    assert await is_kit(database, world) == (True, True)
