"""Orders whose goods come together at one location by a routing rule, and reach the customer in one shipment."""

from collections.abc import AsyncIterator

import pytest
from brought_shop import Shop

from malha.doctor import examine
from malha.flows import order_to_cash
from malha.fulfillment import service
from malha.fulfillment.model import RejectReason, Tracking
from malha.intake import promised, replanning
from malha.intake.gate import Gate
from malha.intake.reference import reference_in
from malha.inventory import service as inventory
from malha.inventory.model import Claim, Reference
from malha.ordering import service as ordering
from malha.ordering.model import HoldKind
from malha.platform.db import Actor, Database
from malha.platform.flaws import Invalid
from malha.platform.i18n import speaking
from malha.platform.ids import UUID, new_id
from malha.routing import reads as routing
from malha.routing.records import read_record, replay
from malha.routing.replaying import Replayer
from malha.routing.rules import record_json
from malha.routing.ruling import service as rule_sets
from malha.routing.ruling.model import Content, Rule, Run, Unfilled, Where
from malha.testing.builders import a_network

ANA = Actor("person", "ana")
TOGETHER = Rule(name="In one", merge_at="DC")


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    async with database.transaction() as tx:
        world = await a_network(tx, policy="not_required")
        await tx.execute("UPDATE channel SET release_delay_minutes = 0")
        await tx.execute("UPDATE location SET can_ship = false WHERE code = 'S2'")
    gate = Gate(database)
    await gate.open()
    shop = Shop(database, world, gate)
    await shop.lanes("DC", ("S1", 1, 200), ("S2", 2, 300))
    yield shop
    await shop.gate.close()
    report = await examine(database)
    assert [line for f in report.findings if f.drifts for line in f.lines("en")] == []


async def publish(shop: Shop, *rules: Rule) -> None:
    async with shop.database.transaction(ANA) as tx:
        draft = await rule_sets.start_draft(tx, Content(runs=[Run(name="All", rules=list(rules))]))
        await rule_sets.publish(tx, draft.id, draft.version)
    shop.gate._cache.expire()


async def hub_of(shop: Shop, order_id: UUID) -> str | None:
    async with shop.database.transaction() as tx:
        return await tx.value(
            "SELECT l.code FROM sales_order o LEFT JOIN location l ON l.id = o.merge_location_id WHERE o.id = %(i)s",
            {"i": order_id},
        )


async def test_without_a_rule_each_location_sends_its_own(shop):
    await shop.stocked(A={"S1": 1}, B={"DC": 1})
    order_id = await shop.order(("A", 1), ("B", 1), at=None)
    assert await hub_of(shop, order_id) is None
    assert (await shop.released(order_id)).keys() == {("S1", "ship"), ("DC", "ship")}


async def test_goods_come_together_and_leave_in_one_shipment(shop):
    await shop.stocked(A={"S1": 5}, B={"DC": 5})
    await publish(shop, TOGETHER)
    order_id = await shop.order(("A", 2), ("B", 1), at=None)
    assert await shop.where(order_id) == [("allocated", "DC", 1), ("allocated", "S1", 2)]
    assert await hub_of(shop, order_id) == "DC"
    works = await shop.released(order_id)
    assert works.keys() == {("S1", "transfer")}
    number = await shop.sent(works["S1", "transfer"])
    assert await shop.where(order_id) == [("allocated", "DC", 1), ("in_transfer", "DC", 2)]
    assert await shop.released(order_id) == {}  # the depot's own unit waits for the others
    await shop.arrive(number, ("A", 2))
    await order_to_cash.release_due(shop.database)
    works = await shop.works(order_id)
    assert works.keys() == {("DC", "ship")}
    async with shop.database.transaction() as tx:
        work = works["DC", "ship"]
        await service.confirm_pick(tx, work)
        await service.pack(tx, work)
        await service.ship(tx, work, [Tracking(carrier="Rota", tracking_code="BR1")])
        assert await tx.value("SELECT count(*) FROM shipment WHERE order_id = %(i)s", {"i": order_id}) == 1
    assert await shop.where(order_id) == [("shipped", "DC", 3)]
    assert (await shop.balance("A", "S1"), await shop.balance("A", "DC")) == ((3, 0), (0, 0))


async def test_the_decision_says_what_the_way_together_costs_and_replays_byte_for_byte(shop):
    await shop.stocked(A={"S1": 5, "S2": 5}, B={"DC": 5})
    await publish(shop, TOGETHER)
    order_id = await shop.order(("A", 2), ("B", 1), at=None)
    async with shop.database.transaction() as tx:
        (stored,) = await tx.values("SELECT record::text FROM routing_decision")
        with speaking("en"):
            told = await routing.explanation(tx, order_id)
    record = read_record(stored)
    assert record.onward is not None
    assert (record.onward.location, record.onward.freight, record.onward.packages) == (
        shop.world.locations["DC"],
        1_500,
        1,
    )
    # Both ends handle and pick what is brought, whose way costs 200; the depot hands over once; then one parcel.
    assert record.cost == (300 + 10 + 10 + 200) + (100 + 10) + 1_500
    again = replay(record)
    assert (again.cost, again.packages) == (record.cost, 1)
    text = record_json(again)
    assert read_record(Replayer().again(text)) == read_record(text)
    assert told is not None
    chosen = next(one for one in told.alternatives if one.chosen)
    assert (told.packages, chosen.onward, chosen.cost) == (1, 1_500, record.cost)
    parts = (chosen.freight, chosen.handling, chosen.picking, chosen.split, chosen.onward)
    assert sum(x or 0 for x in parts) == record.cost
    assert any(sentence.startswith("DC sends it all in one: 1 package by") for sentence in told.sentences)


async def test_the_day_promised_to_a_basket_is_the_orders_and_waits_for_the_way_together(shop):
    await shop.stocked(A={"S2": 5}, B={"DC": 5})
    async with shop.database.transaction() as tx:
        apart = await _arrives(tx, shop, "B")
    await publish(shop, TOGETHER)
    async with shop.database.transaction() as tx:
        together = await _arrives(tx, shop, "A", "B")
    order_id = await shop.order(("A", 1), ("B", 1), at=None)
    async with shop.database.transaction() as tx:
        order = await tx.value("SELECT promised_at FROM sales_order WHERE id = %(i)s", {"i": order_id})
        made = await tx.value("SELECT promise FROM routing_decision WHERE order_id = %(i)s", {"i": order_id})
    assert order == together
    assert together > apart
    assert [leg["location"] for leg in made["legs"]] == [shop.world.locations["DC"]]


async def _arrives(tx, shop, *skus):
    reference = await reference_in(tx)
    channel = reference.channels["web"]
    cards = await reference.cards(tx, set(skus))
    found = await promised.options(
        tx,
        reference,
        channel,
        [(cards[sku], 1) for sku in skus],
        id_=new_id(),
        to_state="RJ",
        postal_code="20040002",
    )
    return found.deliveries[0].promised_at


async def test_a_rule_that_cannot_bring_all_of_it_leaves_it_to_the_next(shop):
    await shop.stocked(A={"S1": 5}, B={"S2": 0})
    await publish(shop, TOGETHER, Rule(name="Apart", unfilled=Unfilled.QUEUE))
    order_id = await shop.order(("A", 1), ("B", 1), at=None)
    assert await shop.where(order_id) == [("allocated", "S1", 1), ("unplaced", None, 1)]
    assert await hub_of(shop, order_id) is None


async def test_what_a_location_gives_back_is_sought_where_it_can_be_brought_from(shop):
    await shop.stocked(A={"S1": 5, "DC": 1}, B={"DC": 1})
    await publish(shop, TOGETHER)
    order_id = await shop.order(("A", 2), ("B", 1), at=None)
    works = await shop.released(order_id)
    async with shop.database.transaction() as tx:
        await service.reject(tx, works["S1", "transfer"], RejectReason.CAPACITY)
    await shop.settled()
    # The depot's own unit of A, beside B: one unit lacks, and what would have to leave on its own is not asked.
    assert await shop.where(order_id) == [("allocated", "DC", 2), ("unplaced", None, 1)]
    assert await hub_of(shop, order_id) == "DC"
    async with shop.database.transaction() as tx:
        assert HoldKind.SHORTAGE in (await ordering.open_holds(tx, [order_id]))[order_id]


async def test_another_address_before_anything_left_lets_the_rules_decide_anew(shop):
    await shop.stocked(A={"S1": 5}, B={"DC": 5})
    await publish(shop, TOGETHER)
    order_id = await shop.order(("A", 1), ("B", 1), at=None)
    await publish(shop, Rule(name="Apart", where=Where(locations=["S1", "DC"])))
    async with shop.database.transaction() as tx:
        await replanning.replan(tx, order_id)
    assert await hub_of(shop, order_id) is None
    assert (await shop.released(order_id)).keys() == {("S1", "ship"), ("DC", "ship")}


async def test_an_order_that_is_partly_on_its_way_does_not_come_together(shop):
    await shop.stocked(A={"S1": 1}, B={})
    order_id = await shop.order(("A", 1), ("B", 1), at=None)
    assert await shop.where(order_id) == [("allocated", "S1", 1), ("unplaced", None, 1)]
    await publish(shop, TOGETHER)
    async with shop.database.transaction() as tx:
        place = shop.world.locations["DC"]
        await inventory.receive(tx, [Claim(shop.skus["B"], place, 1)], Reference("test"))
        await replanning.place_units(tx, order_id)
    assert await shop.where(order_id) == [("allocated", "DC", 1), ("allocated", "S1", 1)]
    assert await hub_of(shop, order_id) is None


@pytest.mark.parametrize(
    ("rule", "at"),
    [
        (Rule(name="x", merge_at="NONE"), "runs/0/rules/0/merge_at"),
        (Rule(name="x", merge_at="S1"), "runs/0/rules/0/merge_at"),  # nothing is brought there
        (Rule(name="x", merge_at="S2"), "runs/0/rules/0/merge_at"),  # it does not ship
        (Rule(name="x", merge_at="DC", max_packages=1), "runs/0/rules/0/max_packages"),
    ],
)
async def test_a_rule_names_a_location_that_ships_and_gets_goods(shop, rule, at):
    async with shop.database.transaction(ANA) as tx:
        with pytest.raises(Invalid) as refused:
            await rule_sets.start_draft(tx, Content(runs=[Run(name="All", rules=[rule])]))
    assert [flaw.at for flaw in refused.value.flaws] == [at]
