"""Kits sold before all of their components are there: whole at one location, on the day of the last component."""

from datetime import date

import pytest
from ahead_world import SAO_PAULO, Shop, a_shop, end_of_business_day

from malha.doctor import examine
from malha.flows import order_to_cash
from malha.intake import availability
from malha.intake.errors import OutOfStock
from malha.intake.model import NewLine, NewOrder
from malha.intake.reference import reference_in
from malha.inventory import service as stock
from malha.inventory.ahead import policies
from malha.inventory.ahead.model import Mode
from malha.inventory.ahead.policies import PolicyDraft
from malha.inventory.allotments import service as allotments
from malha.inventory.allotments.model import AllotmentDraft, Kind
from malha.inventory.model import Claim, Reference
from malha.inventory.supply import service as supply
from malha.inventory.supply.model import InboundDraft, InboundKind, InboundLineDraft, ReceiptDraft, ReceivedLine
from malha.ordering import cancelling
from malha.ordering import service as ordering
from malha.ordering.model import CancelWish
from malha.platform.db import Database
from malha.platform.ids import UUID, new_id
from malha.testing.builders import a_product, in_days

CUPS, PLATES = 2, 1  # of a set


class Kits:
    """A shop with cups and plates, and sets of two cups and a plate."""

    def __init__(self, shop: Shop, plate: int) -> None:
        self.shop, self.cup, self.plate = shop, shop.sku, plate

    async def allow(self, sku: int, **terms: object) -> None:
        async with self.shop.database.transaction() as tx:
            product = await tx.value("SELECT product_id FROM variant WHERE id = %(id)s::int", {"id": sku})
            draft = PolicyDraft(product_id=product, sku_id=sku, mode=Mode.BACKORDER, **terms)  # type: ignore[arg-type]
            await policies.put(tx, draft, None)

    async def order_goods(self, sku: int, units: int, days: int, at: str = "DC") -> tuple[UUID, int]:
        place = self.shop.world.locations[at]
        lines = [InboundLineDraft(sku, units, in_days(days))]
        draft = InboundDraft(kind=InboundKind.PURCHASE, supplier="Sul", location_id=place, lines=lines)
        async with self.shop.database.transaction() as tx:
            placed = await supply.place_order(tx, draft)
        return placed.id, placed.number

    async def receive(self, order: UUID, sku: int, units: int, at: str = "DC") -> None:
        draft = ReceiptDraft(
            id=new_id(), location_id=self.shop.world.locations[at], lines=[ReceivedLine(sku, units)], order_id=order
        )
        async with self.shop.database.transaction() as tx:
            await supply.receive(tx, draft)

    async def sets(self, units: int, *more: NewLine) -> UUID:
        (order,) = await self.shop.sold(self.bought(units, *more))
        return order

    def bought(self, units: int, *more: NewLine) -> NewOrder:
        self.shop.numbers += 1
        lines = [NewLine("SET", units, 3000), *more]
        return NewOrder(channel="mall", external_id=f"K-{self.shop.numbers}", lines=lines, ship_to=SAO_PAULO)

    async def by_sku(self, order: UUID) -> dict[str, dict[str, int]]:
        names = {self.cup: "CUP", self.plate: "PLATE"}
        found: dict[str, dict[str, int]] = {}
        async with self.shop.database.snapshot() as tx:
            for unit in (await ordering.units_of(tx, [order]))[order]:
                row = found.setdefault(names[unit.sku_id or 0], {})
                row[unit.state.value] = row.get(unit.state.value, 0) + unit.quantity
        return found

    async def offered(self) -> tuple[int, list[tuple[date, int]]]:
        async with self.shop.database.transaction() as tx:
            reference = await reference_in(tx)
            cards = await reference.cards(tx, ["SET"])
            told = await availability.offers(tx, reference, reference.channels["mall"], cards)
        return told.skus[0].available, [(a.day, a.units) for a in told.skus[0].ahead]

    async def free(self, sku: int) -> int:
        async with self.shop.database.snapshot() as tx:
            return int(
                await tx.value(
                    "SELECT coalesce(sum(on_hand - allocated - held - safety - fenced), 0)::int FROM balance"
                    " WHERE sku_id = %(sku)s",
                    {"sku": sku},
                )
            )

    async def clean(self) -> None:
        report = await examine(self.shop.database)
        assert report.healthy, [line for f in report.findings if f.drifts for line in (f.check, *f.lines("en"))]


@pytest.fixture
async def kits(database: Database) -> Kits:
    shop = await a_shop(database, stock=1)
    async with database.transaction() as tx:
        plate = await a_product(tx, shop.world, "PLATE", stock={"DC": 5})
        await a_product(tx, shop.world, "SET", components={shop.sku: CUPS, plate: PLATES})
    return Kits(shop, plate)


async def test_a_kit_is_sold_ahead_of_the_component_that_is_short_and_keeps_the_others_for_it(kits: Kits) -> None:
    assert [type(x) for x in await kits.shop.buy(kits.bought(1))] == [OutOfStock]
    await kits.allow(kits.cup)
    order_id, _ = await kits.order_goods(kits.cup, 5, 6)
    assert await kits.offered() == (0, [(in_days(6), 3)])
    order = await kits.sets(2)
    assert await kits.by_sku(order) == {"CUP": {"backordered": 4}, "PLATE": {"backordered": 2}}
    assert sorted(await kits.shop.waits(order)) == [
        ("arrived", None, 1), ("arrived", None, 2), ("waiting", in_days(6), 3),
    ]  # fmt: skip
    assert (await kits.free(kits.cup), await kits.free(kits.plate)) == (0, 3)
    assert await kits.shop.promise(order) == end_of_business_day(in_days(6), 5).date()
    assert await kits.offered() == (0, [(in_days(6), 1)])
    await kits.clean()
    assert [type(x) for x in await kits.shop.buy(kits.bought(2))] == [OutOfStock]
    await kits.receive(order_id, kits.cup, 3)
    await kits.shop.settle()
    assert await kits.by_sku(order) == {"CUP": {"allocated": 4}, "PLATE": {"allocated": 2}}
    await kits.clean()


async def test_what_comes_in_part_does_not_ship_half_a_kit(kits: Kits) -> None:
    await kits.allow(kits.cup)
    order_id, _ = await kits.order_goods(kits.cup, 9, 6)
    order = await kits.sets(3)
    await kits.receive(order_id, kits.cup, 2)  # with the one that was there: a set and a half
    await kits.shop.settle()
    assert await kits.by_sku(order) == {
        "CUP": {"allocated": 2, "backordered": 4},
        "PLATE": {"allocated": 1, "backordered": 2},
    }
    assert await order_to_cash.release_due(kits.shop.database) == 1
    assert await kits.by_sku(order) == {
        "CUP": {"released": 2, "backordered": 4},
        "PLATE": {"released": 1, "backordered": 2},
    }
    assert await kits.free(kits.cup) == 0  # the third is theirs, and nobody else's
    await kits.receive(order_id, kits.cup, 3)
    await kits.shop.settle()
    assert (await kits.by_sku(order))["PLATE"] == {"released": 1, "allocated": 2}
    await kits.clean()


async def test_the_day_of_a_kit_is_that_of_its_last_component_and_moves_with_it(kits: Kits) -> None:
    await kits.allow(kits.cup)
    await kits.allow(kits.plate)
    _, cups = await kits.order_goods(kits.cup, 20, 4)
    _, plates = await kits.order_goods(kits.plate, 20, 9)
    order = await kits.sets(7)  # five plates are there: two come
    assert await kits.shop.promise(order) == end_of_business_day(in_days(9), 5).date()
    async with kits.shop.database.transaction() as tx:
        await supply.reschedule(tx, plates, {1: in_days(6)})
    await kits.shop.settle()
    assert await kits.shop.promise(order) == end_of_business_day(in_days(6), 5).date()
    async with kits.shop.database.transaction() as tx:
        await supply.reschedule(tx, cups, {1: in_days(15)})
    await kits.shop.settle()
    assert await kits.shop.promise(order) == end_of_business_day(in_days(15), 5).date()
    await kits.clean()


async def test_a_kit_and_its_components_on_one_order_share_what_comes(kits: Kits) -> None:
    await kits.allow(kits.cup)
    await kits.order_goods(kits.cup, 5, 6)
    cups = NewLine("CUP", 3, 1000)  # one is there
    assert [type(x) for x in await kits.shop.buy(kits.bought(2, cups))] == [OutOfStock]
    order = await kits.sets(1, cups)
    assert await kits.by_sku(order) == {"CUP": {"allocated": 1, "backordered": 4}, "PLATE": {"backordered": 1}}
    await kits.clean()


async def test_a_kit_is_whole_at_one_location(kits: Kits) -> None:
    await kits.allow(kits.cup)
    await kits.order_goods(kits.cup, 9, 6, at="S1")  # where no plate is, and none is sold ahead
    assert await kits.offered() == (0, [])
    assert [type(x) for x in await kits.shop.buy(kits.bought(1))] == [OutOfStock]
    async with kits.shop.database.transaction() as tx:
        await stock.set_on_hand(tx, [Claim(kits.plate, kits.shop.world.locations["S1"], 2)], Reference("count"))
    assert await kits.offered() == (0, [(in_days(6), 2)])
    order = await kits.sets(2)
    assert (await kits.by_sku(order))["PLATE"] == {"backordered": 2}
    assert await kits.free(kits.plate) == 5
    await kits.clean()


async def test_a_cancelled_kit_gives_back_what_came_and_what_comes(kits: Kits) -> None:
    await kits.allow(kits.cup)
    await kits.order_goods(kits.cup, 9, 6)
    order = await kits.sets(3)
    async with kits.shop.database.transaction() as tx:
        await cancelling.cancel(tx, order, reason="no", wishes=[CancelWish(1, 2)])
    assert await kits.free(kits.plate) == 4
    assert await kits.by_sku(order) == {
        "CUP": {"backordered": 2, "cancelled": 4}, "PLATE": {"backordered": 1, "cancelled": 2},
    }  # fmt: skip
    await kits.clean()
    async with kits.shop.database.transaction() as tx:
        await cancelling.cancel(tx, order, reason="no")
    assert (await kits.free(kits.cup), await kits.free(kits.plate)) == (1, 5)
    assert await kits.offered() == (0, [(in_days(6), 5)])
    await kits.clean()


async def test_a_component_that_does_not_come_is_awaited_from_other_supply_there_or_holds_the_order(kits: Kits) -> None:
    await kits.allow(kits.cup)
    _, number = await kits.order_goods(kits.cup, 9, 6)
    order = await kits.sets(2)
    async with kits.shop.database.transaction() as tx:
        await supply.drop_lines(tx, number, None, "gone")
    await kits.shop.settle()
    assert await kits.shop.holds(order) == ["shortage"]
    assert await kits.by_sku(order) == {"CUP": {"backordered": 4}, "PLATE": {"backordered": 2}}
    await kits.order_goods(kits.cup, 9, 12, at="S1")
    await kits.shop.settle()
    assert await kits.shop.holds(order) == ["shortage"]  # the plates are elsewhere
    await kits.order_goods(kits.cup, 9, 14)
    await kits.shop.settle()
    assert await kits.shop.holds(order) == []
    assert ("waiting", in_days(14), 3) in await kits.shop.waits(order)
    await kits.clean()


async def test_kits_that_are_found_whole_elsewhere_go_from_there_and_free_what_waited(kits: Kits) -> None:
    await kits.allow(kits.cup)
    await kits.order_goods(kits.cup, 9, 6)
    order = await kits.sets(2)
    s1 = kits.shop.world.locations["S1"]
    async with kits.shop.database.transaction() as tx:
        await stock.set_on_hand(tx, [Claim(kits.cup, s1, 4), Claim(kits.plate, s1, 2)], Reference("count"))
    await kits.shop.settle()
    assert await kits.by_sku(order) == {"CUP": {"allocated": 4}, "PLATE": {"allocated": 2}}
    assert (await kits.free(kits.cup), await kits.free(kits.plate)) == (1, 5)
    assert await kits.shop.waits(order) == []
    await kits.clean()


async def test_caps_of_channels_and_of_policies_count_components(kits: Kits) -> None:
    await kits.allow(kits.cup, cap=5)
    await kits.order_goods(kits.cup, 50, 6)
    assert await kits.offered() == (0, [(in_days(6), 3)])  # one cup is there, five may wait
    assert [type(x) for x in await kits.shop.buy(kits.bought(4))] == [OutOfStock]
    async with kits.shop.database.transaction() as tx:
        draft = AllotmentDraft(code="MALL", name="Mall", kind=Kind.CAP, quota=2, channels=("mall",), skus=("PLATE",))
        await allotments.put(tx, draft, None)
    assert await kits.offered() == (0, [(in_days(6), 2)])
    assert [type(x) for x in await kits.shop.buy(kits.bought(3))] == [OutOfStock]
    order = await kits.sets(2)
    async with kits.shop.database.snapshot() as tx:
        assert await tx.values("SELECT used FROM cap_counter") == [2]
    async with kits.shop.database.transaction() as tx:
        await cancelling.cancel(tx, order, reason="no")
        assert await tx.values("SELECT used FROM cap_counter") == [0]
    await kits.clean()


async def test_a_cap_that_counts_several_components_together_is_offered_as_the_gate_takes_it(kits: Kits) -> None:
    await kits.allow(kits.cup)
    await kits.allow(kits.plate)
    await kits.order_goods(kits.cup, 50, 6)
    await kits.order_goods(kits.plate, 50, 6)
    async with kits.shop.database.transaction() as tx:
        draft = AllotmentDraft(code="MALL", name="Mall", kind=Kind.CAP, quota=10, channels=("mall",))
        await allotments.put(tx, draft, None)
    assert await kits.offered() == (0, [(in_days(6), 3)])  # nine of ten units are three sets
    assert [type(x) for x in await kits.shop.buy(kits.bought(4))] == [OutOfStock]
    async with kits.shop.database.transaction() as tx:  # of what is there, the cap counts all that a set takes, too
        dc = kits.shop.world.locations["DC"]
        await stock.set_on_hand(tx, [Claim(kits.cup, dc, 2)], Reference("count"))
    assert await kits.offered() == (1, [(in_days(6), 2)])
    assert [type(x) for x in await kits.shop.buy(kits.bought(4))] == [OutOfStock]
    await kits.sets(3)
    assert await kits.offered() == (0, [])
    await kits.clean()


async def test_an_order_that_waited_without_supply_gets_its_kits_when_goods_are_ordered(kits: Kits) -> None:
    await kits.allow(kits.cup)
    (order,) = await kits.shop.sold(
        NewOrder(channel="web", external_id="W", lines=[NewLine("SET", 2, 3000)], ship_to=SAO_PAULO)
    )
    assert await kits.shop.waits(order) == []
    await kits.order_goods(kits.cup, 9, 6)
    await kits.shop.settle()
    assert ("waiting", in_days(6), 3) in await kits.shop.waits(order)
    assert await kits.free(kits.plate) == 3
    await kits.clean()
