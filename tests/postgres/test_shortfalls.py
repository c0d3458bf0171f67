"""Goods that no location has: how far an order is asked elsewhere by itself, what is suggested then, and doing it."""

import asyncio
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from malha.flows import order_to_cash
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.fulfillment import service as fulfillment
from malha.fulfillment import short_reads, shortfalls
from malha.fulfillment.errors import NotShort, WayClosed
from malha.fulfillment.model import RejectReason, Short
from malha.fulfillment.short_model import Way
from malha.fulfillment.suggesting import suggest
from malha.intake import replanning
from malha.inventory import reads as stock
from malha.inventory import service as inventory
from malha.inventory.counts import reads as counts
from malha.inventory.model import Claim, Reference
from malha.inventory.supply import service as purchases
from malha.inventory.supply.model import InboundDraft, InboundKind, InboundLineDraft, ReceiptDraft, ReceivedLine
from malha.inventory.transfers import reads as transfers
from malha.inventory.transfers import service as moving
from malha.inventory.transfers.model import Arrival, Arrived, Departure
from malha.ordering import service as ordering
from malha.ordering.model import HoldKind, UnitState
from malha.platform.clock import now
from malha.platform.db import Actor, Tx
from malha.platform.errors import Conflict, Forbidden
from malha.platform.flaws import Invalid
from malha.platform.i18n import DEFAULT_ZONE
from malha.platform.ids import new_id
from malha.platform.subscribers import drain
from malha.testing.builders import Sold, a_network, a_product, an_order, in_days


class Shop:
    """A network, a red cup that is sold out, and a blue one with stock."""


@pytest.fixture
async def shop(database, examined):
    made = Shop()
    async with database.transaction() as tx:
        made.world = await a_network(tx)
        made.red = await a_product(tx, made.world, "RED")
        made.blue = await a_product(tx, made.world, "BLUE", stock={"DC": 5}, price=1500)
    return made


async def a_short_order(tx, shop, quantity=2, more=(), **about):
    lines = [Sold(shop.red, quantity, at=None), *more]
    return await an_order(tx, shop.world, lines, channel="mall", holds=[HoldKind.SHORTAGE], **about)


async def ways_of(tx, order_id):
    found = await suggest(tx, await short_reads.short_orders(tx, order_id=order_id))
    return {s.way: s for s in found.get(order_id, [])}


async def states(tx, order_id):
    units = (await ordering.units_of(tx, [order_id]))[order_id]
    return sorted((u.line, u.state.value, u.quantity) for u in units)


async def holds(tx, order_id):
    return set((await ordering.open_holds(tx, [order_id]))[order_id])


async def goods_on_order(tx, shop, units, at="DC", days=5, day=None):
    return await purchases.place_order(
        tx,
        InboundDraft(
            kind=InboundKind.PURCHASE,
            supplier="Fornecedora",
            location_id=shop.world.locations[at],
            lines=[InboundLineDraft(shop.red, units, day or now().date() + timedelta(days=days))],
        ),
    )


async def settled(database):
    """Digest every event, and run the jobs that were deferred for orders."""
    await drain(database, SUBSCRIPTIONS)
    async with database.transaction() as tx:
        waiting = await tx.tuples(
            "SELECT task_name, args FROM malha_jobs.procrastinate_jobs"
            " WHERE status = 'todo' AND args->>'order_id' IS NOT NULL ORDER BY id"
        )
        await tx.execute("UPDATE malha_jobs.procrastinate_jobs SET status = 'succeeded'")
    jobs = {
        "orders.place_waiting": order_to_cash.place_waiting,
        "orders.follow_supply": order_to_cash.follow_supply,
        "orders.wait_for_transfer": order_to_cash.wait_for_transfer,
    }
    for task, args in waiting:
        await jobs[task].work(database, **args)
    await drain(database, SUBSCRIPTIONS)


# --- the queue ---


async def test_orders_whose_goods_no_location_has_stand_in_the_queue_the_oldest_first(database, shop):
    async with database.transaction() as tx:
        first = await a_short_order(tx, shop)
        second = await a_short_order(tx, shop, 1, [Sold(shop.blue)])
        await an_order(tx, shop.world, [Sold(shop.blue)])
        rows = await short_reads.short_orders(tx)
        assert [row.order_id for row in rows] == [first, second]
        assert [(x.line, x.sku, x.quantity, x.kit) for x in rows[1].lines] == [(1, "RED", 1, False)]
        assert (rows[1].allocated, rows[1].holds) == (1, ["shortage"])
        after = (rows[0].placed_at, rows[0].order_id)
        assert [row.order_id for row in await short_reads.short_orders(tx, after=after)] == [second]
        assert [row.order_id for row in await short_reads.short_orders(tx, text="red")] == [first, second]
        assert await short_reads.short_orders(tx, text="blue") == []
        assert await short_reads.counts(tx, 1) == (2, 0)


async def test_an_order_that_cannot_be_planned_or_paid_in_time_is_not_short(database, shop):
    async with database.transaction() as tx:
        for kind in (HoldKind.ADDRESS, HoldKind.PAYMENT_LAPSED):
            await an_order(tx, shop.world, [Sold(shop.red, at=None)], holds=[kind])
        assert await short_reads.short_orders(tx) == []


async def test_units_of_a_kit_are_counted_as_kits(database, shop):
    async with database.transaction() as tx:
        kit = await a_product(tx, shop.world, "SET", components={shop.red: 2, shop.blue: 1})
        order_id = await an_order(tx, shop.world, [Sold(kit, 3, at=None)], channel="mall", holds=[HoldKind.SHORTAGE])
        ((line,),) = [row.lines for row in await short_reads.short_orders(tx)]
        assert (line.sku, line.quantity, line.kit) == ("SET", 3, True)
        assert set(await ways_of(tx, order_id)) == {Way.CANCEL}
        done = await shortfalls.take(tx, order_id, Way.CANCEL, 1)
    assert (done.quantity, done.lacking) == (3, 0)


async def test_who_works_at_some_locations_sees_the_orders_that_have_units_there(database, shop):
    async with database.transaction() as tx:
        await a_short_order(tx, shop)
        seen = await a_short_order(tx, shop, 1, [Sold(shop.blue)])
        dc, store = shop.world.locations["DC"], shop.world.locations["S1"]
        assert [row.order_id for row in await short_reads.short_orders(tx, scope=[dc])] == [seen]
        assert await short_reads.short_orders(tx, scope=[store]) == []


# --- what leads there ---


async def test_a_short_pick_is_counted_tried_elsewhere_once_and_then_queued_with_what_was_tried(database, shop):
    async with database.transaction() as tx:
        cup = await a_product(tx, shop.world, "CUP", stock={"DC": 2})
        order_id = await an_order(tx, shop.world, [Sold(cup, 2)], channel="mall")
        work = (await fulfillment.release(tx, [order_id])).work[0]
    async with database.transaction() as tx:
        await fulfillment.confirm_pick(tx, work.id, short=[Short(1, 1, RejectReason.NOT_IN_STOCK)])
    async with database.transaction() as tx:
        assert [(a.on_hand, a.free) for a in await stock.availability(tx, [cup])] == [(1, 0)]
        (row,) = await short_reads.short_orders(tx)
        assert [(t.location, t.reason) for t in row.tried] == [("DC", "not_in_stock")]
        assert [(x.sku, x.quantity) for x in row.lines] == [("CUP", 1)]
        assert await holds(tx, order_id) == {HoldKind.SHORTAGE}
    await drain(database, SUBSCRIPTIONS)
    async with database.transaction() as tx:
        found = await counts.tasks(tx, counts.TasksWanted())
    assert len(found) == 1


async def test_an_order_is_decided_again_only_as_often_as_the_retailer_says(database, shop):
    async with database.transaction() as tx:
        assert (await short_reads.policy(tx)).most_decisions == 5
        changed = await shortfalls.change_policy(tx, 1, 0)
        assert (changed.most_decisions, changed.version) == (1, 1)
        cup = await a_product(tx, shop.world, "CUP", stock={"DC": 1, "S1": 1, "S2": 1})
        order_id = await an_order(tx, shop.world, [Sold(cup, 1)], channel="mall")
    for expected in ({("allocated", 1)}, {("unplaced", 1)}):
        async with database.transaction() as tx:
            work = (await fulfillment.release(tx, [order_id])).work[0]
            await fulfillment.reject(tx, work.id, RejectReason.CAPACITY)
            assert {(state, n) for _, state, n in await states(tx, order_id)} == expected
    async with database.transaction() as tx:
        (row,) = await short_reads.short_orders(tx, least=1)
        assert [t.location for t in row.tried] == ["DC", "S1"]
        assert await short_reads.counts(tx, 1) == (1, 1)
        assert (await ways_of(tx, order_id))[Way.RETRY].quantity == 1
        done = await shortfalls.take(tx, order_id, Way.RETRY)  # a person may go on
        assert (done.quantity, done.lacking) == (1, 0)
        units = (await ordering.units_of(tx, [order_id]))[order_id]
        assert [u.location_id for u in units] == [shop.world.locations["S2"]]
        assert await holds(tx, order_id) == set()


async def test_the_cap_is_refused_where_it_makes_no_sense_or_somebody_was_faster(database, shop):
    async with database.transaction() as tx:
        for wrong in (0, 51):
            with pytest.raises(Invalid):
                await shortfalls.change_policy(tx, wrong, 0)
        await shortfalls.change_policy(tx, 3, 0)
        with pytest.raises(Conflict):
            await shortfalls.change_policy(tx, 4, 0)
        assert (await shortfalls.change_policy(tx, 4, 1)).version == 2


async def test_stock_that_arrives_is_given_to_who_waits_by_itself(database, shop):
    async with database.transaction() as tx:
        order_id = await a_short_order(tx, shop)
        await inventory.receive(tx, [Claim(shop.red, shop.world.locations["DC"], 2)], Reference("test"))
        assert set(await ways_of(tx, order_id)) >= {Way.RETRY, Way.CANCEL}
    await settled(database)
    async with database.transaction() as tx:
        assert await states(tx, order_id) == [(1, "allocated", 2)]
        assert await holds(tx, order_id) == set()
        assert await short_reads.short_orders(tx) == []


# --- the ways out ---


async def test_a_substitute_is_suggested_and_put_in_place_at_once(database, shop):
    async with database.transaction() as tx:
        await tx.execute(
            "INSERT INTO variant_substitute (variant_id, substitute_id, position) VALUES (%(a)s, %(b)s, 0)",
            {"a": shop.red, "b": shop.blue},
        )
        order_id = await a_short_order(tx, shop)
        suggested = (await ways_of(tx, order_id))[Way.SUBSTITUTE]
        assert (suggested.line, suggested.sku, suggested.quantity, suggested.price) == (1, "BLUE", 2, 1500)
        done = await shortfalls.take(tx, order_id, Way.SUBSTITUTE, 1, sku="BLUE")
        assert (done.quantity, done.lacking) == (2, 0)
        assert await states(tx, order_id) == [(1, "cancelled", 2), (2, "allocated", 2)]
        steps = await tx.tuples("SELECT way, by, facts->>'sku' FROM short_step")
    assert steps == [("substitute", "system", "BLUE")]


async def test_an_order_waits_for_goods_on_order_though_its_sku_is_not_sold_ahead(database, shop):
    async with database.transaction() as tx:
        order_id = await a_short_order(tx, shop)
        assert Way.WAIT not in await ways_of(tx, order_id)
        await goods_on_order(tx, shop, 3)
    async with database.transaction() as tx:
        suggested = (await ways_of(tx, order_id))[Way.WAIT]
        assert (suggested.quantity, suggested.day, suggested.destination) == (
            2,
            now().date() + timedelta(days=5),
            "DC",
        )
        done = await shortfalls.take(tx, order_id, Way.WAIT, 1)
        assert (done.quantity, done.lacking) == (2, 0)
        assert await holds(tx, order_id) == set()
        assert await short_reads.short_orders(tx) == []
        assert await states(tx, order_id) == [(1, "backordered", 2)]
        promised = await tx.value("SELECT promised_at FROM sales_order WHERE id = %(id)s", {"id": order_id})
    assert promised.date() > now().date() + timedelta(days=5)


async def test_goods_that_come_today_are_waited_for_until_the_retailer_s_day_ends(database, shop):
    class LateInTheEvening(Tx):
        """At nine in the evening in São Paulo it is tomorrow in UTC; `over` the day is over in both."""

        over = timedelta()

        async def now(self):
            return datetime.combine(in_days(0), time(23, 30), ZoneInfo(DEFAULT_ZONE)).astimezone(UTC) + self.over

    async with database.transaction() as tx:
        order_id = await a_short_order(tx, shop)
        await goods_on_order(tx, shop, 3, day=in_days(0))
        evening = LateInTheEvening(tx.connection, tx.retailer, tx.actor)
        assert (await ways_of(evening, order_id))[Way.WAIT].day == in_days(0)
        LateInTheEvening.over = timedelta(hours=1)
        assert Way.WAIT not in await ways_of(evening, order_id)


async def test_goods_that_were_waited_for_go_to_the_order_when_they_come(database, shop):
    async with database.transaction() as tx:
        order_id = await a_short_order(tx, shop)
        placed = await goods_on_order(tx, shop, 2)
    async with database.transaction() as tx:
        await shortfalls.take(tx, order_id, Way.WAIT, 1)
        late = await a_short_order(tx, shop)
        with pytest.raises(WayClosed):  # all of it is promised
            await shortfalls.take(tx, late, Way.WAIT, 1)
    async with database.transaction() as tx:
        arrived = [ReceivedLine(shop.red, 2)]
        dc = shop.world.locations["DC"]
        await purchases.receive(tx, ReceiptDraft(id=new_id(), location_id=dc, lines=arrived, order_id=placed.id))
    await settled(database)
    async with database.transaction() as tx:
        assert await states(tx, order_id) == [(1, "allocated", 2)]
        assert await states(tx, late) == [(1, "unplaced", 2)]


async def test_a_transfer_is_suggested_from_who_has_the_goods_and_does_not_serve_the_order(database, shop):
    async with database.transaction() as tx:
        store = shop.world.locations["S1"]
        await tx.execute("UPDATE location SET can_ship = false WHERE id = %(id)s", {"id": store})
        await tx.execute("UPDATE revision SET n = n + 1 WHERE name = 'network'")
        await inventory.receive(tx, [Claim(shop.red, store, 4)], Reference("test"))
        order_id = await a_short_order(tx, shop)
        suggested = (await ways_of(tx, order_id))[Way.TRANSFER]
        assert (suggested.origin, suggested.destination, suggested.quantity) == ("S1", "DC", 2)
        done = await shortfalls.take(tx, order_id, Way.TRANSFER, 1)
        assert done.transfer is not None
        assert done.lacking == 2  # until the goods are there
        head = await transfers.transfer(tx, done.transfer)
        assert head is not None
        assert (head.origin, head.destination, head.state) == ("S1", "DC", "approved")
        assert [(a.held, a.free) for a in await stock.availability(tx, [shop.red], [store])] == [(2, 2)]
        assert Way.TRANSFER not in await ways_of(tx, order_id)  # one is on its way
        with pytest.raises(WayClosed):
            await shortfalls.take(tx, order_id, Way.TRANSFER, 1)


async def a_transfer_on_its_way(database, shop, order_id, units=2, stock=4, days=3):
    """Goods at a store that ships nothing, asked for an order and sent to the centre; None: nobody says for when."""
    async with database.transaction() as tx:
        store = shop.world.locations["S1"]
        await tx.execute("UPDATE location SET can_ship = false WHERE id = %(id)s", {"id": store})
        await tx.execute("UPDATE revision SET n = n + 1 WHERE name = 'network'")
        await inventory.receive(tx, [Claim(shop.red, store, stock)], Reference("test"))
    await settled(database)
    async with database.transaction() as tx:
        done = await shortfalls.take(tx, order_id, Way.TRANSFER, 1)
        assert done.quantity == units
    async with database.transaction() as tx:
        day = None if days is None else now().date() + timedelta(days=days)
        await moving.ship(tx, done.transfer, Departure(document="nota 1", eta=day))
    return done.transfer


async def arrives(database, shop, number, units=2):
    async with database.transaction() as tx:
        await moving.receive(tx, number, Arrival(id=new_id(), lines=[Arrived(shop.red, units)]))


async def test_goods_sent_for_an_order_are_set_apart_for_it_before_they_are_there(database, shop):
    async with database.transaction() as tx:
        older = await a_short_order(tx, shop, 1)  # it would be served first by what simply comes in
        order_id = await a_short_order(tx, shop)
    number = await a_transfer_on_its_way(database, shop, order_id)
    await settled(database)
    async with database.transaction() as tx:
        assert await states(tx, order_id) == [(1, "backordered", 2)]
        assert await holds(tx, order_id) == set()
        promised = await tx.value("SELECT promised_at FROM sales_order WHERE id = %(id)s", {"id": order_id})
    assert promised.date() > now().date() + timedelta(days=3)
    await arrives(database, shop, number)
    await settled(database)
    async with database.transaction() as tx:
        assert await states(tx, order_id) == [(1, "allocated", 2)]
        assert await states(tx, older) == [(1, "unplaced", 1)]


async def test_buyers_who_come_while_it_arrives_get_nothing_of_what_was_sent_for_an_order(database, shop):
    async with database.transaction() as tx:
        order_id = await a_short_order(tx, shop)
        others = [await a_short_order(tx, shop, 1) for _ in range(6)]
    number = await a_transfer_on_its_way(database, shop, order_id)
    await settled(database)

    async def buys(other):
        for _ in range(5):
            async with database.transaction() as tx:
                await ordering.lock_order(tx, other)
                await replanning.place_units(tx, other)

    await asyncio.gather(arrives(database, shop, number), *(buys(other) for other in others))
    await settled(database)
    async with database.transaction() as tx:
        assert await states(tx, order_id) == [(1, "allocated", 2)]
        assert [await states(tx, other) for other in others] == [[(1, "unplaced", 1)]] * 6


async def test_an_order_that_waits_for_a_transfer_is_promised_anew_when_its_day_moves(database, shop):
    promised_at = "SELECT promised_at FROM sales_order WHERE id = %(id)s"
    async with database.transaction() as tx:
        order_id = await a_short_order(tx, shop)
    number = await a_transfer_on_its_way(database, shop, order_id)
    await settled(database)
    async with database.transaction() as tx:
        before = await tx.value(promised_at, {"id": order_id})
        assert await moving.reschedule(tx, number, now().date() + timedelta(days=20), "the road is closed")
    await settled(database)
    async with database.transaction() as tx:
        after = await tx.value(promised_at, {"id": order_id})
        assert before.date() < now().date() + timedelta(days=20) < after.date()
        assert await states(tx, order_id) == [(1, "backordered", 2)]


async def test_no_more_of_an_order_waits_for_a_transfer_than_is_on_its_way(database, shop):
    async with database.transaction() as tx:
        await goods_on_order(tx, shop, 5, days=60)
        order_id = await a_short_order(tx, shop, 5)
    await a_transfer_on_its_way(database, shop, order_id, units=3, stock=3)
    await settled(database)
    async with database.transaction() as tx:
        waits = await tx.tuples("SELECT s.kind, c.quantity FROM supply_claim c JOIN supply s ON s.id = c.supply_id")
        assert waits == [("transfer", 3)]  # nobody chose to wait sixty days for the rest
        assert (await short_reads.short_orders(tx))[0].lines[0].quantity == 2


async def test_who_asked_for_a_transfer_that_is_there_by_now_is_not_made_to_wait_for_other_supply(database, shop):
    async with database.transaction() as tx:
        await goods_on_order(tx, shop, 5, days=60)
        older = await a_short_order(tx, shop)
        order_id = await a_short_order(tx, shop)
    number = await a_transfer_on_its_way(database, shop, order_id)
    await arrives(database, shop, number)  # before anybody looks at what left
    await settled(database)
    async with database.transaction() as tx:
        assert await tx.values("SELECT quantity FROM supply_claim") == []
        assert await states(tx, order_id) == [(1, "unplaced", 2)]
        assert await states(tx, older) == [(1, "allocated", 2)]


async def test_who_asked_for_a_transfer_that_another_claimed_is_not_made_to_wait_for_other_supply(database, shop):
    async with database.transaction() as tx:
        order_id = await a_short_order(tx, shop)
        other = await a_short_order(tx, shop)
    await a_transfer_on_its_way(database, shop, order_id)
    async with database.transaction() as tx:
        await shortfalls.take(tx, other, Way.WAIT, 1)
        await goods_on_order(tx, shop, 5, days=60)
    await settled(database)
    async with database.transaction() as tx:
        assert await states(tx, other) == [(1, "backordered", 2)]
        assert await states(tx, order_id) == [(1, "unplaced", 2)]


async def test_goods_that_leave_without_a_day_are_set_apart_for_the_day_their_way_usually_takes(database, shop):
    async with database.transaction() as tx:
        older = await a_short_order(tx, shop, 1)
        order_id = await a_short_order(tx, shop)
    number = await a_transfer_on_its_way(database, shop, order_id, days=None)
    await settled(database)
    async with database.transaction() as tx:
        assert await states(tx, order_id) == [(1, "backordered", 2)]
        promised = await tx.value("SELECT promised_at FROM sales_order WHERE id = %(id)s", {"id": order_id})
    assert promised.date() > in_days(moving.USUAL_DAYS)
    await arrives(database, shop, number)
    await settled(database)
    async with database.transaction() as tx:
        assert await states(tx, order_id) == [(1, "allocated", 2)]
        assert await states(tx, older) == [(1, "unplaced", 1)]


async def test_who_may_not_approve_asks_for_the_transfer_only(database, shop):
    async with database.transaction() as tx:
        store = shop.world.locations["S1"]
        await tx.execute("UPDATE location SET can_ship = false WHERE id = %(id)s", {"id": store})
        await tx.execute("UPDATE revision SET n = n + 1 WHERE name = 'network'")
        await inventory.receive(tx, [Claim(shop.red, store, 4)], Reference("test"))
        order_id = await a_short_order(tx, shop)
    ana = Actor("person", None, "Ana", permissions=frozenset({"orders:write", "stock:count"}))
    async with database.transaction(ana) as tx:
        done = await shortfalls.take(tx, order_id, Way.TRANSFER, 1)
        head = await transfers.transfer(tx, done.transfer)
        assert head.state == "requested"
        with pytest.raises(Forbidden):
            await shortfalls.take(tx, order_id, Way.CANCEL, 1)


async def test_what_has_a_place_goes_while_the_rest_waits(database, shop):
    async with database.transaction() as tx:
        order_id = await a_short_order(tx, shop, 1, [Sold(shop.blue, 2)])
        assert (await ways_of(tx, order_id))[Way.SPLIT].quantity == 2
        assert (await fulfillment.release(tx, [order_id])).work == []
        done = await shortfalls.take(tx, order_id, Way.SPLIT)
        assert (done.quantity, done.lacking) == (2, 1)
        assert len((await fulfillment.release(tx, [order_id])).work) == 1
        (row,) = await short_reads.short_orders(tx)  # still to be decided
        assert [(s.way, s.facts["units"]) for s in row.steps] == [(Way.SPLIT, 2)]
        assert Way.SPLIT not in await ways_of(tx, order_id)
    async with database.transaction() as tx:
        await inventory.receive(tx, [Claim(shop.red, shop.world.locations["DC"], 1)], Reference("test"))
        done = await shortfalls.take(tx, order_id, Way.RETRY)
        assert done.lacking == 0


async def test_cancelling_takes_only_the_units_that_lack(database, shop):
    async with database.transaction() as tx:
        order_id = await a_short_order(tx, shop, 2, [Sold(shop.blue, 1)])
        done = await shortfalls.take(tx, order_id, Way.CANCEL, 1)
        assert (done.quantity, done.lacking) == (2, 0)
        assert await states(tx, order_id) == [(1, "cancelled", 2), (2, "allocated", 1)]
        assert await holds(tx, order_id) == set()
        trail = await tx.tuples("SELECT action, after->>'way' FROM audit WHERE action = 'end_shortage'")
    assert trail == [("end_shortage", "cancel")]


async def test_what_lacks_nothing_is_refused(database, shop):
    async with database.transaction() as tx:
        order_id = await an_order(tx, shop.world, [Sold(shop.blue)])
        with pytest.raises(NotShort):
            await shortfalls.take(tx, order_id, Way.CANCEL, 1)
        short = await a_short_order(tx, shop, 1, [Sold(shop.blue)])
        with pytest.raises(NotShort):
            await shortfalls.take(tx, short, Way.CANCEL, 2)
        with pytest.raises(WayClosed):
            await shortfalls.take(tx, short, Way.RETRY)
        units = (await ordering.units_of(tx, [short]))[short]
    assert {u.state for u in units} == {UnitState.UNPLACED, UnitState.ALLOCATED}
