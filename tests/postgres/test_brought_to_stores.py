"""Orders fetched at a store that lacks their goods: brought there from elsewhere, theirs all the way, handed over once."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from brought_shop import Shop

from malha.flows import order_to_cash
from malha.fulfillment import bringing, service, slip_reads, slipping
from malha.fulfillment.bringing import Sending
from malha.fulfillment.errors import AwaitsTransfer, OrderStopped, WrongMethod
from malha.fulfillment.model import RejectReason
from malha.fulfillment.slip_reads import SlipRow
from malha.intake import promised
from malha.intake.gate import Gate
from malha.intake.reference import reference_in
from malha.inventory import service as inventory
from malha.inventory.buckets import service as buckets
from malha.inventory.buckets.model import Bucket, Leg
from malha.inventory.model import Claim, Reason, Reference
from malha.inventory.transfers.errors import OrderGoodsNeedDocument
from malha.inventory.transfers.model import Arrival, Arrived
from malha.network import reads as network
from malha.network import store_lanes
from malha.network.model import StoreLaneDraft
from malha.ordering import holds
from malha.ordering import service as ordering
from malha.ordering.model import CancelWish, HoldKind
from malha.platform import revisions
from malha.platform.db import Database
from malha.platform.errors import MalhaError
from malha.platform.flaws import Invalid
from malha.platform.ids import UUID, new_id
from malha.promising.slipping import Slip
from malha.routing.records import read_record, replay
from malha.routing.replaying import Replayer
from malha.routing.rules import record_json
from malha.testing.builders import a_network


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    async with database.transaction() as tx:
        world = await a_network(tx, policy="not_required")
        await tx.execute("UPDATE location SET can_pickup = kind = 'store'")
        await tx.execute("UPDATE channel SET release_delay_minutes = 0")
    gate = Gate(database)
    await gate.open()
    shop = Shop(database, world, gate)
    yield shop
    await shop.gate.close()


async def test_without_a_lane_an_order_finds_only_what_its_store_has(shop):
    await shop.stocked(A={"DC": 5}, B={"S1": 1})
    assert await shop.where(await shop.order(("A", 1))) == [("unplaced", None, 1)]
    assert await shop.where(await shop.order(("B", 1))) == [("allocated", "S1", 1)]


async def test_goods_are_brought_to_the_store_and_are_the_orders_all_the_way(shop):
    await shop.stocked(A={"DC": 5})
    await shop.lanes("S1", ("DC", 1, 500))
    order_id = await shop.order(("A", 2))
    assert await shop.where(order_id) == [("allocated", "DC", 2)]
    works = await shop.released(order_id)
    assert works.keys() == {("DC", "transfer")}
    number = await shop.sent(works["DC", "transfer"])
    assert await shop.where(order_id) == [("in_transfer", "S1", 2)]
    assert (await shop.balance("A", "DC"), await shop.balance("A", "S1")) == ((3, 0), (0, 0))
    await shop.settled()
    async with shop.database.transaction() as tx:
        assert await tx.value("SELECT count(*) FROM supply") == 0  # nobody else may be promised them
        assert await tx.value("SELECT order_id FROM transfer WHERE number = %(n)s", {"n": number}) == order_id
        assert await tx.value("SELECT eta IS NOT NULL FROM transfer")
    assert await shop.released(order_id) == {}
    await shop.arrive(number, ("A", 2))
    assert await shop.where(order_id) == [("allocated", "S1", 2)]
    assert await shop.balance("A", "S1") == (2, 2)
    await order_to_cash.release_due(shop.database)
    works = await shop.works(order_id)
    assert works.keys() == {("S1", "pickup")}
    async with shop.database.transaction() as tx:
        await service.confirm_pick(tx, works["S1", "pickup"])
        await service.pack(tx, works["S1", "pickup"])
        await service.make_ready(tx, works["S1", "pickup"])
        code = await service.pickup_code(tx, works["S1", "pickup"])
        assert (await service.hand_over(tx, works["S1", "pickup"], code=code, received_by="Maria")).done
    assert await shop.where(order_id) == [("collected", "S1", 2)]
    assert await shop.balance("A", "S1") == (0, 0)
    await shop.settled()
    async with shop.database.transaction() as tx:
        types = await tx.values("SELECT type FROM event WHERE key = %(k)s ORDER BY seq", {"k": f"order:{order_id}"})
        states = await tx.tuples("SELECT method, state FROM fulfillment_order ORDER BY number")
    assert [t for t in types if t in {"fulfillment.sent", "fulfillment.arrived", "fulfillment.ready"}] == [
        "fulfillment.sent",
        "fulfillment.arrived",
        "fulfillment.ready",
    ]
    assert states == [("transfer", "closed"), ("pickup", "closed")]


async def test_a_decision_says_what_it_came_from_and_replays_byte_for_byte(shop):
    await shop.stocked(A={"DC": 5, "S2": 5}, B={"S1": 1, "DC": 5})
    await shop.lanes("S1", ("DC", 1, 500), ("S2", 3, 0))
    await shop.order(("A", 2), ("B", 1))
    async with shop.database.transaction() as tx:
        (stored,) = await tx.values("SELECT record::text FROM routing_decision")
    record = read_record(stored)
    dc, s1, s2 = (shop.world.locations[code] for code in ("DC", "S1", "S2"))
    assert dict(zip(record.location_ids(), record.facts().days_brought(), strict=True)) == {s1: None, dc: 1, s2: 3}
    again = replay(record)
    assert (again.cost, again.basis.costs) == (record.cost, record.costs)
    assert record.split == -300
    text = record_json(again)
    assert read_record(Replayer().again(text)) == read_record(text)
    # Both ends handle what is brought, its way is paid, each line costs 10 at each end, and the store hands over once.
    sent = {dc: 100 + 10 + 500, s2: 500 + 10 + 0}
    assert record.cost == min(sent.values()) + 10 + 10 + 300
    assert {record.location_ids()[position] for position, *_ in record.parcels} == {s1, s2}


async def test_what_the_store_has_comes_first_even_if_bringing_costs_nothing(shop):
    await shop.stocked(A={"DC": 5, "S1": 1})
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE location SET handling_cost = 0, line_cost = 0")
    await shop.lanes("S1", ("DC", 0, 0))
    assert await shop.where(await shop.order(("A", 1))) == [("allocated", "S1", 1)]
    assert await shop.where(await shop.order(("A", 1))) == [("allocated", "DC", 1)]


async def test_what_is_at_the_store_waits_for_what_is_on_its_way_and_all_is_handed_over_at_once(shop):
    await shop.stocked(A={"S1": 1}, B={"DC": 1})
    await shop.lanes("S1", ("DC", 1, 500))
    order_id = await shop.order(("A", 1), ("B", 1))
    works = await shop.released(order_id)
    assert works.keys() == {("DC", "transfer")}
    number = await shop.sent(works["DC", "transfer"])
    assert await shop.released(order_id) == {}
    async with shop.database.transaction() as tx:
        with pytest.raises(AwaitsTransfer):
            await service.release_order(tx, order_id)
    await shop.arrive(number, ("B", 1))
    await order_to_cash.release_due(shop.database)
    works = await shop.works(order_id)
    assert works.keys() == {("S1", "pickup")}
    async with shop.database.transaction() as tx:
        assert await tx.value("SELECT units FROM fulfillment_order WHERE id = %(i)s", {"i": works["S1", "pickup"]}) == 2


async def test_a_cancel_before_the_goods_leave_ends_the_work_and_frees_them(shop):
    await shop.stocked(A={"DC": 5})
    await shop.lanes("S1", ("DC", 1, 0))
    order_id = await shop.order(("A", 2))
    works = await shop.released(order_id)
    async with shop.database.transaction() as tx:
        await service.cancel(tx, order_id, reason="changed my mind")
    assert await shop.works(order_id) == {}
    assert await shop.balance("A", "DC") == (5, 0)
    async with shop.database.transaction() as tx:
        with pytest.raises(MalhaError):
            await bringing.send(tx, works["DC", "transfer"])


async def test_what_is_cancelled_on_its_way_is_stock_of_the_store_when_it_arrives(shop):
    await shop.stocked(A={"DC": 5})
    await shop.lanes("S1", ("DC", 1, 0))
    order_id = await shop.order(("A", 3))
    number = await shop.sent((await shop.released(order_id))["DC", "transfer"])
    async with shop.database.transaction() as tx:
        await service.cancel(tx, order_id, reason="one too many", wishes=[CancelWish(1, 1)])
    await shop.arrive(number, ("A", 3))
    assert await shop.where(order_id) == [("allocated", "S1", 2), ("cancelled", "S1", 1)]
    assert await shop.balance("A", "S1") == (3, 2)


async def test_a_location_that_cannot_send_them_is_not_asked_again_and_another_one_is(shop):
    await shop.stocked(A={"DC": 5, "S2": 5})
    await shop.lanes("S1", ("DC", 1, 0), ("S2", 2, 900))
    order_id = await shop.order(("A", 2))
    works = await shop.released(order_id)
    async with shop.database.transaction() as tx:
        await service.reject(tx, works["DC", "transfer"], RejectReason.CAPACITY)
    assert await shop.where(order_id) == [("allocated", "S2", 2)]
    works = await shop.released(order_id)
    async with shop.database.transaction() as tx:
        await service.confirm_pick(tx, works["S2", "transfer"])
        with pytest.raises(OrderGoodsNeedDocument):  # of another company
            await bringing.send(tx, works["S2", "transfer"])
    async with shop.database.transaction() as tx:
        number = await bringing.send(
            tx, works["S2", "transfer"], Sending(document="35261100000000000000550010000000011")
        )
    await shop.arrive(number, ("A", 2))
    assert await shop.where(order_id) == [("allocated", "S1", 2)]


async def test_what_does_not_arrive_is_sought_elsewhere_and_the_rest_waits_for_it(shop):
    await shop.stocked(A={"DC": 5})
    await shop.lanes("S1", ("DC", 1, 0))
    order_id = await shop.order(("A", 3))
    number = await shop.sent((await shop.released(order_id))["DC", "transfer"])
    await shop.arrive(number, ("A", 1), complete=False)
    assert await shop.where(order_id) == [("allocated", "S1", 1), ("in_transfer", "S1", 2)]
    assert await shop.released(order_id) == {}
    await shop.arrive(number, ("A", 1))
    assert await shop.where(order_id) == [("allocated", "S1", 2), ("unplaced", None, 1)]
    async with shop.database.transaction() as tx:
        assert HoldKind.SHORTAGE in (await ordering.open_holds(tx, [order_id]))[order_id]
    await shop.settled()
    assert await shop.where(order_id) == [("allocated", "DC", 1), ("allocated", "S1", 2)]
    works = await shop.released(order_id)
    assert works.keys() == {("DC", "transfer")}
    await shop.arrive(await shop.sent(works["DC", "transfer"]), ("A", 1))
    await order_to_cash.release_due(shop.database)
    assert (await shop.works(order_id)).keys() == {("S1", "pickup")}


async def test_damaged_goods_are_not_the_customers_and_others_are_sought(shop):
    await shop.stocked(A={"DC": 5})
    await shop.lanes("S1", ("DC", 1, 0))
    order_id = await shop.order(("A", 2))
    number = await shop.sent((await shop.released(order_id))["DC", "transfer"])
    async with shop.database.transaction() as tx:
        broken = [Arrived(shop.skus["A"], 1), Arrived(shop.skus["A"], 1, Bucket.DAMAGED)]
        await bringing.receive(tx, number, Arrival(id=new_id(), lines=broken))
    await shop.settled()
    assert await shop.where(order_id) == [("allocated", "DC", 1), ("allocated", "S1", 1)]


async def test_goods_that_are_short_at_the_store_do_not_take_those_brought_for_an_order(shop):
    await shop.stocked(A={"DC": 5, "S1": 1})
    await shop.lanes("S1", ("DC", 1, 0))
    first, second = await shop.order(("A", 1)), await shop.order(("A", 1))
    assert await shop.where(first) == [("allocated", "S1", 1)]
    number = await shop.sent((await shop.released(second))["DC", "transfer"])
    async with shop.database.transaction() as tx:  # the store's own unit is broken
        legs = [
            Leg(shop.skus["A"], shop.world.locations["S1"], b, n)
            for b, n in ((Bucket.SELLABLE, -1), (Bucket.DAMAGED, 1))
        ]
        await buckets.move(tx, legs, Reason.DAMAGE, Reference("test"))
    await shop.arrive(number, ("A", 1))
    assert await shop.balance("A", "S1") == (1, 2)  # one of two is missing, as before
    assert await shop.where(second) == [("allocated", "S1", 1)]


async def test_the_same_arrival_twice_is_one(shop):
    await shop.stocked(A={"DC": 5})
    await shop.lanes("S1", ("DC", 1, 0))
    order_id = await shop.order(("A", 2))
    number = await shop.sent((await shop.released(order_id))["DC", "transfer"])
    arrival = Arrival(id=new_id(), lines=[Arrived(shop.skus["A"], 2)])

    async def take_in() -> bool:
        async with shop.database.transaction() as tx:
            return (await bringing.receive(tx, number, arrival)).repeated

    assert sorted(await asyncio.gather(take_in(), take_in(), take_in())) == [False, True, True]
    assert await shop.where(order_id) == [("allocated", "S1", 2)]


async def test_orders_that_come_while_goods_arrive_get_none_of_them(shop):
    await shop.stocked(A={"DC": 10})
    await shop.lanes("S1", ("DC", 1, 0))
    mine = [await shop.order(("A", 1)) for _ in range(10)]
    numbers = [await shop.sent((await shop.released(order_id))["DC", "transfer"]) for order_id in mine]
    await asyncio.gather(
        *(shop.arrive(number, ("A", 1)) for number in numbers), *(shop.order(("A", 1)) for _ in range(30))
    )
    for order_id in mine:
        assert await shop.where(order_id) == [("allocated", "S1", 1)]
    assert await shop.balance("A", "S1") == (10, 10)


async def test_a_cancel_and_an_arrival_at_once_leave_no_unit_astray(shop):
    await shop.stocked(A={"DC": 20})
    await shop.lanes("S1", ("DC", 1, 0))
    orders = [await shop.order(("A", 2)) for _ in range(10)]
    numbers = [await shop.sent((await shop.released(order_id))["DC", "transfer"]) for order_id in orders]

    async def give_up(order_id: UUID) -> None:
        async with shop.database.transaction() as tx:
            await service.cancel(tx, order_id, reason="late")

    await asyncio.gather(*(shop.arrive(n, ("A", 2)) for n in numbers), *(give_up(order_id) for order_id in orders))
    for order_id in orders:
        assert await shop.where(order_id) == [("cancelled", "S1", 2)]
    assert await shop.balance("A", "S1") == (20, 0)


async def test_an_order_on_hold_sends_nothing_and_work_of_a_transfer_is_not_packed_or_shipped(shop):
    await shop.stocked(A={"DC": 5})
    await shop.lanes("S1", ("DC", 1, 0))
    order_id = await shop.order(("A", 1))
    work = (await shop.released(order_id))["DC", "transfer"]
    async with shop.database.transaction() as tx:
        await service.confirm_pick(tx, work)
    for step in (service.pack, service.ship, service.make_ready):
        async with shop.database.transaction() as tx:
            with pytest.raises(WrongMethod):
                await step(tx, work)
    async with shop.database.transaction() as tx:
        await holds.ensure_holds(tx, {order_id: {}}, HoldKind.FRAUD)
        with pytest.raises(OrderStopped):
            await bringing.send(tx, work)


async def test_a_pickup_is_promised_after_the_way_there_and_the_order_gets_what_was_shown(shop):
    await shop.stocked(A={"DC": 5}, B={"S1": 5})
    await shop.lanes("S1", ("DC", 2, 0))

    async def ready(sku: str) -> tuple[datetime, bool]:
        async with shop.database.snapshot() as tx:
            reference = await reference_in(tx)
            cards = await reference.cards(tx, [sku])
            told = await promised.options(
                tx,
                reference,
                reference.channels["web"],
                [(cards[sku], 1)],
                id_=new_id(),
                to_state=None,
                postal_code=None,
            )
        (found,) = [one for one in told.collections if one.location == "S1"]
        return found.ready_at, found.brought

    there, brought = await ready("B")
    later, also = await ready("A")
    assert (brought, also) == (False, True)
    assert later > there
    order_id = await shop.order(("A", 1))
    async with shop.database.transaction() as tx:
        at = await tx.value("SELECT promised_at FROM sales_order WHERE id = %(id)s", {"id": order_id})
    assert at is not None
    assert at.astimezone(UTC) >= later


async def test_a_lane_names_other_places_once_to_where_orders_are_fetched_or_shipped_from(shop):
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE location SET can_ship = false WHERE code = 'DC'")
    wrong = {
        "DC": [StoreLaneDraft(origin="S1", days=1)],
        "S1": [StoreLaneDraft(origin="S1", days=1)],
        "S2": [StoreLaneDraft(origin="DC", days=1), StoreLaneDraft(origin="DC", days=2)],
    }
    for place, drafts in wrong.items():
        async with shop.database.transaction() as tx:
            with pytest.raises(Invalid):
                await store_lanes.state(tx, place, drafts)
    async with shop.database.transaction() as tx:
        with pytest.raises(Invalid):
            await store_lanes.state(tx, "S1", [StoreLaneDraft(origin="DC", days=61, price=-1)])


CLOSED_A_WEEK = """
INSERT INTO location_closure (location_id, day, reason) SELECT id, d::date, 'stock-taking' FROM location,
  generate_series(current_date - 1, current_date + 6, interval '1 day') AS d WHERE code = %(code)s
"""


async def slips(shop: Shop) -> dict[UUID, SlipRow]:
    async with shop.database.transaction() as tx:
        await revisions.bump(tx, network.REVISION)
    async with shop.database.transaction() as tx:
        await slipping.look(tx)
        return {row.order_id: row for row in await slip_reads.slipping(tx, scope=None, most=9)}


async def test_nothing_that_is_brought_slips_while_it_can_be_there_in_time(shop):
    await shop.stocked(A={"DC": 5})
    await shop.lanes("S1", ("DC", 2, 0))
    await shop.order(("A", 1))
    released = await shop.order(("A", 1))
    assert await shop.released(released) != {}
    assert await slips(shop) == {}


async def test_goods_that_leave_later_for_where_they_are_fetched_are_promised_anew(shop):
    await shop.stocked(A={"DC": 5})
    await shop.lanes("S1", ("DC", 2, 0))
    order_id = await shop.order(("A", 1))
    async with shop.database.transaction() as tx:
        before = await tx.value("SELECT promised_at FROM sales_order WHERE id = %(id)s", {"id": order_id})
        await tx.execute(CLOSED_A_WEEK, {"code": "DC"})
    slip = (await slips(shop))[order_id]
    assert (slip.location, slip.lines, slip.reason) == ("DC", [1], Slip.CLOSED)
    assert slip.expected_at is not None
    assert slip.expected_at - before > timedelta(days=3)
    async with shop.database.transaction() as tx:
        assert await slipping.promise_anew(tx, order_id) == slip.expected_at
    assert await slips(shop) == {}


async def test_goods_on_their_way_to_where_they_are_fetched_are_nobodys_to_hurry(shop):
    await shop.stocked(A={"DC": 5})
    await shop.lanes("S1", ("DC", 2, 0))
    order_id = await shop.order(("A", 1))
    await shop.sent((await shop.released(order_id))["DC", "transfer"])
    async with shop.database.transaction() as tx:
        await tx.execute(CLOSED_A_WEEK, {"code": "DC"})
    assert await slips(shop) == {}


async def test_what_is_brought_and_had_no_goods_at_first_is_promised_once_it_has_them(shop):
    await shop.stocked(A={})
    await shop.lanes("S1", ("DC", 2, 0))
    order_id = await shop.order(("A", 1))
    async with shop.database.transaction() as tx:
        assert await tx.value("SELECT promised_at FROM sales_order WHERE id = %(id)s", {"id": order_id}) is None
        goods = [Claim(shop.skus["A"], shop.world.locations["DC"], 2)]
        await inventory.receive(tx, goods, Reference("test", text="goods"))
    await shop.settled()
    other = await shop.order(("A", 1))
    async with shop.database.transaction() as tx:
        days = await tx.values(
            "SELECT promised_at FROM sales_order WHERE id IN (%(a)s, %(b)s)", {"a": order_id, "b": other}
        )
    assert len(set(days)) == 1
    assert days[0] is not None
