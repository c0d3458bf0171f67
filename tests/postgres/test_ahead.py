"""Goods sold before they are there: promised from supply by date, first come first served, and handed over on arrival."""

import pytest
from ahead_world import Shop, a_shop, end_of_business_day

from malha.flows import order_to_cash
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.intake import availability, substituting
from malha.intake.errors import OutOfStock
from malha.intake.model import NewLine, NewOrder
from malha.intake.reference import reference_in
from malha.inventory import service as stock
from malha.inventory.ahead.model import Mode
from malha.inventory.allotments import service as allotments
from malha.inventory.allotments.model import AllotmentDraft, Kind
from malha.inventory.buckets.model import Bucket
from malha.inventory.model import Claim, Reason, Reference
from malha.inventory.supply import changing
from malha.inventory.supply import service as supply
from malha.inventory.supply.model import InboundChange, LineChange, ReceivedLine
from malha.inventory.transfers import service as transfers
from malha.inventory.transfers.model import Arrival, Arrived, Decision, Departure, TransferDraft
from malha.ordering import cancelling
from malha.ordering.errors import SubstituteNotFree
from malha.ordering.model import CancelWish
from malha.platform.db import Database
from malha.platform.flaws import Invalid
from malha.platform.ids import new_id
from malha.platform.subscribers import drain
from malha.testing.builders import a_product, in_days


@pytest.fixture
async def shop(database: Database) -> Shop:
    return await a_shop(database)


async def test_nothing_is_sold_ahead_unless_a_policy_says_so(shop: Shop) -> None:
    await shop.order_goods(10, 5)
    assert [type(x) for x in await shop.buy(1)] == [OutOfStock]
    assert await shop.free() == 10


async def test_what_is_out_of_stock_is_promised_from_the_earliest_supply(shop: Shop) -> None:
    await shop.allow()
    await shop.order_goods(5, 20)
    await shop.order_goods(3, 6)
    first, second = await shop.sold(2, 4)
    assert await shop.waits(first) == [("waiting", in_days(6), 2)]
    assert await shop.waits(second) == [("waiting", in_days(6), 1), ("waiting", in_days(20), 3)]
    assert await shop.units(first) == {"backordered": 2}
    # A business day of handling, one to hand over, three in transit.
    assert await shop.promise(first) == end_of_business_day(in_days(6), 5).date()
    assert await shop.promise(second) == end_of_business_day(in_days(20), 5).date()
    assert [type(x) for x in await shop.buy(3)] == [OutOfStock]
    assert await shop.free() == 2


async def test_stock_goes_before_supply_and_each_line_has_its_day(database: Database) -> None:
    shop = await a_shop(database, stock=3)
    async with database.transaction() as tx:
        await a_product(tx, shop.world, "PLATE", stock={"DC": 5})
    await shop.allow()
    await shop.order_goods(10, 9)
    lines = [NewLine("CUP", 5, 1000), NewLine("PLATE", 1, 1000)]
    (order,) = await shop.sold(NewOrder(channel="mall", external_id="B", lines=lines, ship_to=shop.bought(1).ship_to))
    assert await shop.units(order) == {"allocated": 4, "backordered": 2}
    assert await shop.waits(order) == [("waiting", in_days(9), 2)]
    async with database.snapshot() as tx:
        days = dict(await tx.tuples("SELECT line, promised_at FROM order_line_promise"))
    assert days[1] == end_of_business_day(in_days(9), 5)
    assert days[2].date() == await shop.promise(order)
    assert days[2] < days[1]
    # What is there goes; what waits is not released before it is there.
    assert await order_to_cash.release_due(database) == 1
    assert await shop.units(order) == {"released": 4, "backordered": 2}


async def test_a_policy_is_narrowed_by_channel_cap_and_horizon(shop: Shop) -> None:
    await shop.allow(Mode.NONE)
    await shop.allow(channel_id=shop.world.channels["mall"], cap=4, horizon_days=10)
    await shop.order_goods(5, 8)
    await shop.order_goods(50, 11)
    refused = await shop.buy(shop.bought(1, channel="till"))
    assert (await shop.units(refused[0].id)) == {"backordered": 1}  # as its channel's policy says, without a day
    assert await shop.waits(refused[0].id) == []
    first, _ = await shop.sold(3, 1)
    assert [type(x) for x in await shop.buy(1)] == [OutOfStock]  # the cap
    async with shop.database.transaction() as tx:
        await cancelling.cancel(tx, first, reason="no")
    assert [type(x) for x in await shop.buy(4)] == [OutOfStock]
    (order,) = await shop.sold(3)
    assert {day for _, day, _ in await shop.waits(order)} == {in_days(8)}


async def test_a_preorder_is_sold_until_its_release_and_not_released_before(shop: Shop) -> None:
    release = in_days(30)
    await shop.allow(Mode.PREORDER, release_on=release)
    order_id, _ = await shop.order_goods(5, 4)
    (order,) = await shop.sold(2)
    assert await shop.promise(order) == end_of_business_day(release, 5).date()
    await shop.receive(order_id, 5)
    await shop.settle()
    assert await shop.units(order) == {"allocated": 2}
    assert await order_to_cash.release_due(shop.database) == 0
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE sales_order SET release_after = now()")
    assert await order_to_cash.release_due(shop.database) == 1


async def test_goods_that_came_are_whose_they_were_promised_to_at_once(shop: Shop) -> None:
    await shop.allow()
    order_id, _ = await shop.order_goods(5, 5)
    first, second = await shop.sold(2, 2)
    await shop.receive(order_id, 3)
    # Nothing has followed yet, and still nobody else gets any of them.
    assert [type(x) for x in await shop.buy(2)] == [OutOfStock]
    await shop.settle()
    assert await shop.units(first) == {"allocated": 2}
    assert await shop.units(second) == {"allocated": 1, "backordered": 1}
    assert await shop.waits(second) == [("waiting", in_days(5), 1)]
    await shop.receive(order_id, 2)
    await shop.settle()
    assert await shop.units(second) == {"allocated": 2}
    (third,) = await shop.sold(1)
    assert await shop.units(third) == {"allocated": 1}


async def test_more_than_was_ordered_and_goods_nobody_ordered_serve_the_queue(shop: Shop) -> None:
    await shop.allow()
    order_id, _ = await shop.order_goods(2, 5)
    await shop.order_goods(6, 15)
    orders = await shop.sold(2, 2, 2)
    await shop.receive(order_id, 3)
    await shop.receive(None, 1)
    await shop.settle()
    assert [await shop.units(o) for o in orders] == [{"allocated": 2}, {"allocated": 2}, {"backordered": 2}]
    assert await shop.free() == 4


async def test_damaged_units_are_nobodys_and_who_is_short_waits_for_the_next(shop: Shop) -> None:
    await shop.allow()
    order_id, _ = await shop.order_goods(4, 5)
    await shop.order_goods(4, 12)
    first, second = await shop.sold(2, 2)
    await shop.receive(order_id, 2, ReceivedLine(shop.sku, 2, Bucket.DAMAGED))
    await shop.settle()
    assert await shop.units(first) == {"allocated": 2}
    assert await shop.waits(second) == [("waiting", in_days(12), 2)]
    assert await shop.promise(second) == end_of_business_day(in_days(12), 5).date()


async def test_goods_missing_for_others_and_safety_stock_are_told_apart(database: Database) -> None:
    shop = await a_shop(database, stock=1)
    at_dc = Claim(shop.sku, shop.world.locations["DC"], 0)
    await shop.allow()
    order_id, _ = await shop.order_goods(3, 5)
    before, waiting = await shop.sold(1, 3)
    async with database.transaction() as tx:
        await stock.set_safety(tx, [Claim(at_dc.sku_id, at_dc.location_id, 2)])
        await stock.set_on_hand(tx, [at_dc], Reference("count"))  # the sold unit is not there: a deficit
    await shop.receive(order_id, 3)
    await shop.settle()
    assert await shop.units(before) == {"allocated": 1}
    # One covers the deficit. Safety stock, which new orders leave, is no reason to keep promised goods back.
    assert await shop.units(waiting) == {"allocated": 2, "backordered": 1}
    assert await shop.waits(waiting) == [("lost", None, 1)]
    assert await shop.holds(waiting) == ["shortage"]


async def test_an_eta_that_moves_is_told_and_changes_who_gets_what(shop: Shop) -> None:
    await shop.allow()
    _, number = await shop.order_goods(2, 5)
    await shop.order_goods(2, 15)
    first, second = await shop.sold(2, 2)
    async with shop.database.transaction() as tx:
        await supply.reschedule(tx, number, {1: in_days(25)}, "ship is late")
    await shop.settle()
    # The first in the queue has the earliest day that is left, the second what was moved.
    assert await shop.waits(first) == [("waiting", in_days(15), 2)]
    assert await shop.waits(second) == [("waiting", in_days(25), 2)]
    assert await shop.promise(first) == end_of_business_day(in_days(15), 5).date()
    assert await shop.promise(second) == end_of_business_day(in_days(25), 5).date()
    async with shop.database.transaction() as tx:
        told = await tx.tuples("SELECT order_id, reason FROM order_promise ORDER BY made_at")
        assert sorted(told) == sorted([(first, "stock_late"), (second, "stock_late")])
        await supply.reschedule(tx, number, {1: in_days(3)}, "flown in")
    await shop.settle()
    assert await shop.promise(first) == end_of_business_day(in_days(3), 5).date()
    assert await shop.promise(second) == end_of_business_day(in_days(15), 5).date()
    async with shop.database.transaction() as tx:
        assert await tx.value("SELECT count(*) FROM order_promise WHERE reason = 'stock_sooner'") == 2
    await shop.settle()
    async with shop.database.transaction() as tx:
        assert await tx.value("SELECT count(*) FROM order_promise") == 4  # nothing is told twice


async def test_a_day_the_channel_promised_is_kept_when_goods_come_before_it(shop: Shop) -> None:
    await shop.allow()
    _, number = await shop.order_goods(2, 10)
    said = end_of_business_day(in_days(60), 0)
    (order,) = await shop.sold(shop.bought(1, promised_at=said))
    async with shop.database.transaction() as tx:
        await supply.reschedule(tx, number, {1: in_days(12)})
    await shop.settle()
    assert await shop.promise(order) == said.date()
    async with shop.database.transaction() as tx:
        await supply.reschedule(tx, number, {1: in_days(90)})
    await shop.settle()
    assert await shop.promise(order) == end_of_business_day(in_days(90), 5).date()


async def test_supply_that_is_given_up_moves_orders_to_later_supply_else_to_a_hold(shop: Shop) -> None:
    await shop.allow()
    _, number = await shop.order_goods(4, 5)
    await shop.order_goods(2, 15)
    first, second = await shop.sold(2, 2)
    async with shop.database.transaction() as tx:
        await supply.drop_lines(tx, number, None, "the factory burned down")
    await shop.settle()
    assert await shop.waits(first) == [("waiting", in_days(15), 2)]
    assert await shop.waits(second) == [("lost", None, 2)]
    assert await shop.holds(second) == ["shortage"]
    # New supply, at another place even, covers it: the hold goes, and the customer hears the day.
    await shop.order_goods(2, 30, at="S1")
    await shop.settle()
    assert await shop.waits(second) == [("waiting", in_days(30), 2)]
    assert await shop.holds(second) == []
    assert await shop.promise(second) == end_of_business_day(in_days(30), 5).date()


async def test_who_waits_moves_up_when_somebody_cancels(shop: Shop) -> None:
    await shop.allow()
    await shop.order_goods(2, 5)
    await shop.order_goods(4, 15)
    first, second, third = await shop.sold(2, 2, 1)
    async with shop.database.transaction() as tx:
        await cancelling.cancel(tx, first, reason="no", wishes=[CancelWish(1, 1)])
    await shop.settle()
    assert await shop.waits(first) == [("waiting", in_days(5), 1)]
    assert await shop.waits(second) == [("waiting", in_days(5), 1), ("waiting", in_days(15), 1)]
    async with shop.database.transaction() as tx:
        await cancelling.cancel(tx, first, reason="no")
    await shop.settle()
    assert await shop.waits(first) == []
    assert await shop.waits(second) == [("waiting", in_days(5), 2)]
    assert await shop.waits(third) == [("waiting", in_days(15), 1)]
    assert await shop.free() == 3


async def test_a_cancel_between_receipt_and_what_follows_frees_the_goods(shop: Shop) -> None:
    await shop.allow()
    order_id, _ = await shop.order_goods(2, 5)
    (order,) = await shop.sold(2)
    await shop.receive(order_id, 2)
    async with shop.database.transaction() as tx:
        await cancelling.cancel(tx, order, reason="no", wishes=[CancelWish(1, 1)])
    await shop.settle()
    assert await shop.units(order) == {"allocated": 1, "cancelled": 1}
    (other,) = await shop.sold(1)
    assert await shop.units(other) == {"allocated": 1}


async def test_stock_that_turns_up_serves_who_waits_and_frees_supply(shop: Shop) -> None:
    await shop.allow()
    await shop.order_goods(5, 5)
    (order,) = await shop.sold(3)
    async with shop.database.transaction() as tx:
        await stock.set_on_hand(tx, [Claim(shop.sku, shop.world.locations["S1"], 2)], Reference("count"))
    await shop.settle()
    assert await shop.units(order) == {"allocated": 2, "backordered": 1}
    assert await shop.free() == 4


async def test_orders_that_are_short_join_the_queue_when_goods_are_ordered(shop: Shop) -> None:
    await shop.allow()
    (held,) = await shop.sold(shop.bought(2, channel="web"))
    assert "shortage" in await shop.holds(held)
    await shop.order_goods(5, 5)
    await shop.settle()
    assert await shop.waits(held) == [("waiting", in_days(5), 2)]
    assert await shop.units(held) == {"backordered": 2}
    assert await shop.holds(held) == ["payment"]
    assert await shop.promise(held) == end_of_business_day(in_days(5), 5).date()


async def test_goods_of_an_order_that_was_not_paid_in_time_are_the_next_ones(shop: Shop) -> None:
    await shop.allow()
    await shop.order_goods(2, 5)
    (lazy,) = await shop.sold(shop.bought(2, channel="web"))
    await shop.settle()
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE payment_deadline SET due_at = now()")
    await order_to_cash.watch_payments(shop.database)
    assert await shop.waits(lazy) == []
    await shop.settle()
    await shop.sold(2)
    assert await shop.free() == 0


async def test_goods_on_their_way_from_another_location_may_be_promised(database: Database) -> None:
    shop = await a_shop(database)
    dc, s2 = shop.world.locations["DC"], shop.world.locations["S2"]
    await shop.allow(channel_id=shop.world.channels["mall"])
    async with database.transaction() as tx:
        await stock.set_on_hand(tx, [Claim(shop.sku, s2, 4)], Reference("count"))
        number = await transfers.request(tx, TransferDraft(origin_id=s2, destination_id=dc, lines=[(shop.sku, 4)]))
        await transfers.approve(tx, number)
        departure = Departure(document="NF 1", eta=in_days(3))
        await transfers.ship(tx, number, departure)
    (order,) = await shop.sold(3)
    assert await shop.waits(order) == [("waiting", in_days(3), 3)]
    async with database.transaction() as tx:
        await transfers.receive(tx, number, Arrival(id=new_id(), lines=[Arrived(shop.sku, 2)], complete=True))
    await shop.settle()
    assert await shop.units(order) == {"allocated": 2, "backordered": 1}
    assert await shop.holds(order) == ["shortage"]  # one is missing, and nothing else is expected
    async with database.transaction() as tx:
        id_, line_units = (await tx.tuples("SELECT id, quantity FROM transfer_discrepancy"))[0]
        assert line_units == 2
        await transfers.decide(tx, number, id_, Decision.ARRIVED_LATE)
    await shop.settle()
    assert await shop.units(order) == {"allocated": 3}
    assert await shop.holds(order) == []


async def test_a_receipt_that_is_taken_back_makes_its_goods_expected_again(shop: Shop) -> None:
    await shop.allow()
    order_id, _ = await shop.order_goods(5, 5)
    received = await shop.receive(order_id, 5)
    async with shop.database.transaction() as tx:
        await supply.undo_receipt(tx, received.number, "wrong box")
    assert await shop.free() == 5
    (order,) = await shop.sold(5)
    assert await shop.waits(order) == [("waiting", in_days(5), 5)]


async def test_goods_on_order_that_are_missing_for_others_are_promised_to_nobody_else(shop: Shop) -> None:
    await shop.allow()
    order_id, number = await shop.order_goods(10, 5)
    (first,) = await shop.sold(8)
    received = await shop.receive(order_id, 10)
    await shop.settle()
    assert await shop.units(first) == {"allocated": 8}
    async with shop.database.transaction() as tx:
        await supply.undo_receipt(tx, received.number, "counted into the wrong store")
    await shop.settle()
    assert await shop.free() == 2  # eight of the ten that are expected again are those of the first order
    assert [type(x) for x in await shop.buy(3)] == [OutOfStock]
    (last,) = await shop.sold(2)
    assert await shop.waits(last) == [("waiting", in_days(5), 2)]
    assert [type(x) for x in await shop.buy(1)] == [OutOfStock]
    async with shop.database.transaction() as tx:  # lined up anew, it keeps what it has
        await supply.reschedule(tx, number, {1: in_days(6)})
    await shop.settle()
    assert await shop.waits(last) == [("waiting", in_days(6), 2)]
    await shop.receive(order_id, 10)
    await shop.settle()
    assert [await shop.units(order) for order in (first, last)] == [{"allocated": 8}, {"allocated": 2}]
    assert await shop.holds(last) == []


async def test_the_earliest_goods_on_order_are_owed_to_those_who_miss_theirs(shop: Shop) -> None:
    await shop.allow()
    await shop.order_goods(4, 3)
    await shop.order_goods(10, 9)
    received = await shop.receive(None, 6)
    (first,) = await shop.sold(6)
    async with shop.database.transaction() as tx:
        await supply.undo_receipt(tx, received.number, "never came")
    await shop.settle()
    assert await shop.free() == 8
    (later,) = await shop.sold(7)
    assert await shop.waits(later) == [("waiting", in_days(9), 7)]
    (last,) = await shop.sold(1)
    assert [type(x) for x in await shop.buy(1)] == [OutOfStock]
    async with shop.database.transaction() as tx:  # the first order's goods are not missing any more
        await cancelling.cancel(tx, first, reason="changed their mind")
    await shop.settle()
    assert await shop.waits(later) == [("waiting", in_days(3), 4), ("waiting", in_days(9), 3)]
    assert await shop.waits(last) == [("waiting", in_days(9), 1)]
    assert await shop.free() == 6


async def test_who_waits_learns_in_a_while_that_their_goods_are_missing_for_others(shop: Shop) -> None:
    await shop.allow()
    await shop.receive(None, 6)
    (first,) = await shop.sold(6)
    await shop.order_goods(5, 3)
    (early, late) = await shop.sold(2, 3)
    async with shop.database.transaction() as tx:
        await stock.adjust(tx, [Claim(shop.sku, shop.world.locations["DC"], -3)], Reason.LOSS, Reference("move"))
    assert await shop.free() == 0
    due = (
        "SELECT count(*) FROM malha_jobs.procrastinate_jobs WHERE task_name = 'supply.line_up' AND scheduled_at > now()"
    )
    await drain(shop.database, SUBSCRIPTIONS)
    async with shop.database.snapshot() as tx:
        assert await tx.value(due) == 1  # most are found elsewhere, or counted again, before that
    assert await shop.waits(late) == [("waiting", in_days(3), 3)]
    await shop.settle()
    assert await shop.waits(early) == [("waiting", in_days(3), 2)]
    assert await shop.waits(late) == [("lost", None, 3)]
    assert await shop.holds(late) == ["shortage"]
    async with shop.database.transaction() as tx:  # they were behind the shelf
        await stock.adjust(tx, [Claim(shop.sku, shop.world.locations["DC"], 3)], Reason.FOUND, Reference("move"))
    await shop.settle()
    assert await shop.waits(late) == [("waiting", in_days(3), 3)]
    assert [await shop.holds(order) for order in (first, early, late)] == [[], [], []]


async def test_who_lost_goods_and_has_as_many_of_the_same_day_again_is_held_no_more(shop: Shop) -> None:
    await shop.allow()
    _, number = await shop.order_goods(6, 5)
    first, last = await shop.sold(3, 3)
    await fewer(shop, number, 4)
    await shop.settle()
    assert await shop.waits(last) == [("waiting", in_days(5), 1), ("lost", None, 2)]
    assert await shop.holds(last) == ["shortage"]
    await fewer(shop, number, 6)  # a typing error: as many come as ever
    await shop.settle()
    assert await shop.waits(last) == [("waiting", in_days(5), 3)]
    assert [await shop.holds(order) for order in (first, last)] == [[], []]


async def fewer(shop: Shop, number: int, units: int) -> None:
    async with shop.database.transaction() as tx:
        await changing.change(tx, number, InboundChange(lines=[LineChange(line=1, quantity=units)]))


async def test_overdue_supply_is_not_promised_and_who_waits_for_it_keeps_waiting(shop: Shop) -> None:
    await shop.allow()
    _, number = await shop.order_goods(5, 5)
    (order,) = await shop.sold(2)
    async with shop.database.transaction() as tx:
        await supply.reschedule(tx, number, {1: in_days(-1)})
    await shop.settle()
    assert await shop.waits(order) == [("waiting", in_days(-1), 2)]
    assert [type(x) for x in await shop.buy(1)] == [OutOfStock]
    assert await shop.promise(order) == end_of_business_day(in_days(5), 5).date()


async def test_what_a_cap_refuses_is_not_sold_ahead_either(database: Database) -> None:
    shop = await a_shop(database, stock=5)
    await shop.allow()
    await shop.order_goods(10, 5)
    async with database.transaction() as tx:
        draft = AllotmentDraft(code="MALL", name="Mall", kind=Kind.CAP, quota=2, channels=("mall",))
        await allotments.put(tx, draft, None)
    assert [type(x) for x in await shop.buy(3)] == [OutOfStock]
    await shop.sold(2)
    assert await shop.free() == 10


async def a_cap(shop: Shop, quota: int, **more: object) -> None:
    async with shop.database.transaction() as tx:
        draft = AllotmentDraft(code="MALL", name="Mall", kind=Kind.CAP, quota=quota, channels=("mall",), **more)  # type: ignore[arg-type]
        await allotments.put(tx, draft, None)


async def used(shop: Shop) -> int:
    async with shop.database.snapshot() as tx:
        return int(await tx.value("SELECT coalesce(sum(used), 0) FROM cap_counter"))


async def test_a_cap_counts_what_is_sold_ahead_until_it_is_given_up(database: Database) -> None:
    shop = await a_shop(database, stock=3)
    await shop.allow()
    await a_cap(shop, 10)
    await shop.order_goods(50, 5)
    assert [type(x) for x in await shop.buy(11)] == [OutOfStock]
    (both,) = await shop.sold(5)
    assert await shop.units(both) == {"allocated": 3, "backordered": 2}
    (late,) = await shop.sold(4)
    (refused,) = await shop.buy(2)
    assert isinstance(refused, OutOfStock)
    assert refused.facts["shortages"][0]["caps"] == ["MALL"]
    assert await used(shop) == 9
    await shop.sold(1)
    assert [type(x) for x in await shop.buy(1)] == [OutOfStock]
    async with database.transaction() as tx:
        await cancelling.cancel(tx, late, reason="no", wishes=[CancelWish(1, 3)])
        await cancelling.cancel(tx, both, reason="no", wishes=[CancelWish(1, 1)])
    assert await used(shop) == 6
    await shop.sold(4)
    assert [type(x) for x in await shop.buy(1)] == [OutOfStock]


async def test_goods_that_come_count_on_a_cap_once(database: Database) -> None:
    shop = await a_shop(database)
    await shop.allow()
    await a_cap(shop, 4)
    order_id, _ = await shop.order_goods(9, 5)
    (order,) = await shop.sold(4)
    await shop.receive(order_id, 3)
    await shop.settle()
    assert await shop.units(order) == {"allocated": 3, "backordered": 1}
    assert await used(shop) == 4
    async with database.transaction() as tx:
        await cancelling.cancel(tx, order, reason="no")
    assert await used(shop) == 0


async def test_who_waits_on_a_full_cap_is_served_by_stock_that_turns_up_elsewhere(database: Database) -> None:
    shop = await a_shop(database)
    await shop.allow()
    await a_cap(shop, 4)
    await shop.order_goods(9, 5)
    (order,) = await shop.sold(4)
    async with database.transaction() as tx:
        await stock.set_on_hand(tx, [Claim(shop.sku, shop.world.locations["S1"], 3)], Reference("count"))
    await order_to_cash.place_waiting.work(database, order_id=str(order))
    assert await shop.units(order) == {"allocated": 3, "backordered": 1}
    assert await used(shop) == 4
    assert await shop.free() == 8


async def test_supply_that_is_lost_and_found_elsewhere_stays_on_its_cap(database: Database) -> None:
    """Also when the cap was made smaller meanwhile: who was sold to is not refused afterwards."""
    shop = await a_shop(database)
    await shop.allow()
    await a_cap(shop, 4)
    _, number = await shop.order_goods(4, 5)
    (order,) = await shop.sold(3)
    async with database.transaction() as tx:
        await tx.execute("UPDATE allotment SET quota = 1")
        await tx.execute("UPDATE revision SET n = n + 1 WHERE name = 'allotments'")
    await shop.order_goods(9, 9, at="S1")
    async with database.transaction() as tx:
        await supply.drop_lines(tx, number, None, "gone")
    await shop.settle()
    assert await shop.waits(order) == [("waiting", in_days(9), 3)]
    assert await used(shop) == 3
    async with database.snapshot() as tx:
        assert await tx.values("SELECT DISTINCT location_id FROM cap_use") == [shop.world.locations["S1"]]
    assert [type(x) for x in await shop.buy(1)] == [OutOfStock]


async def test_a_cap_of_a_location_lets_supply_of_others_be_sold_ahead(database: Database) -> None:
    shop = await a_shop(database)
    await shop.allow()
    await a_cap(shop, 2, locations=("DC",))
    await shop.order_goods(9, 5)
    await shop.order_goods(3, 8, at="S1")
    (order,) = await shop.sold(5)
    assert await shop.waits(order) == [("waiting", in_days(5), 2), ("waiting", in_days(8), 3)]
    assert await used(shop) == 2
    async with database.transaction() as tx:
        reference = await reference_in(tx)
        cards = await reference.cards(tx, ["CUP"])
        told = await availability.offers(tx, reference, reference.channels["mall"], cards)
    assert told.skus[0].ahead == []


async def test_what_is_offered_ahead_is_within_caps(database: Database) -> None:
    shop = await a_shop(database, stock=3)
    await shop.allow()
    await a_cap(shop, 10)
    await shop.order_goods(4, 5)
    await shop.order_goods(40, 8)
    async with database.transaction() as tx:
        reference = await reference_in(tx)
        cards = await reference.cards(tx, ["CUP"])
        told = await availability.offers(tx, reference, reference.channels["mall"], cards)
        others = await availability.offers(tx, reference, reference.channels["web"], cards)
    assert (told.skus[0].available, [(a.day, a.units) for a in told.skus[0].ahead]) == (
        3,
        [(in_days(5), 4), (in_days(8), 3)],
    )
    assert [a.units for a in others.skus[0].ahead] == [4, 40]


async def test_what_is_overdue_is_not_promised_beside_what_is_not(shop: Shop) -> None:
    await shop.allow()
    _, number = await shop.order_goods(5, 5)
    await shop.order_goods(3, 8)
    async with shop.database.transaction() as tx:
        await supply.reschedule(tx, number, {1: in_days(-1)})
    assert [type(x) for x in await shop.buy(4)] == [OutOfStock]
    (order,) = await shop.sold(3)
    assert await shop.waits(order) == [("waiting", in_days(8), 3)]


async def test_nothing_is_stated_for_a_kit_itself(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        kit = await a_product(tx, shop.world, "SET", components={shop.sku: 2})
    shop.sku = kit
    with pytest.raises(Invalid):
        await shop.allow()


async def test_who_takes_a_substitute_lets_the_supply_go_and_is_not_sold_another_wait(database: Database) -> None:
    shop = await a_shop(database)
    async with database.transaction() as tx:
        await a_product(tx, shop.world, "MUG", stock={"DC": 1})
        await tx.execute(
            "INSERT INTO variant_substitute (variant_id, substitute_id, position)"
            " SELECT c.id, m.id, 0 FROM variant c, variant m WHERE c.sku = 'CUP' AND m.sku = 'MUG'"
        )
    await shop.allow()
    await shop.order_goods(3, 6)
    (order,) = await shop.sold(2)
    assert await shop.free() == 1
    with pytest.raises(SubstituteNotFree):  # one mug is there; another would have to be waited for
        async with database.transaction() as tx:
            await substituting.replace(tx, order, 1, "MUG", 2)
    async with database.transaction() as tx:
        await substituting.replace(tx, order, 1, "MUG", 1)
    assert await shop.waits(order) == [("waiting", in_days(6), 1)]
    assert await shop.free() == 2
    assert await shop.units(order) == {"allocated": 1, "backordered": 1, "cancelled": 1}


@pytest.mark.parametrize("channel", ["mall", "till"])
async def test_stock_that_turns_up_where_somebody_waits_is_not_a_new_buyers(shop: Shop, channel: str) -> None:
    """Nothing has told those who wait yet: who comes now stands behind them all the same."""
    await shop.allow(channel_id=shop.world.channels["mall"])
    await shop.order_goods(3, 5)
    (first,) = await shop.sold(3)
    dc = shop.world.locations["DC"]
    async with shop.database.transaction() as tx:
        await a_product(tx, shop.world, "SET", components={shop.sku: 1})
        await stock.set_on_hand(tx, [Claim(shop.sku, dc, 4)], Reference("count"))
    for sku in ("CUP", "SET"):
        (late,) = await shop.buy(shop.bought(2, sku=sku, channel=channel))
        if channel == "mall":
            assert isinstance(late, OutOfStock)
        else:
            assert await shop.units(late.id) == {"allocated": 1, "backordered": 1}
            async with shop.database.transaction() as tx:
                await cancelling.cancel(tx, late.id, reason="x")
    async with shop.database.transaction() as tx:
        reference = await reference_in(tx)
        cards = await reference.cards(tx, {"CUP", "SET"})
        told = await availability.offers(tx, reference, reference.channels[channel], cards)
    assert [offer.available for offer in told.skus] == [1, 1]
    await shop.settle()
    assert await shop.units(first) == {"allocated": 3}
    (after,) = await shop.sold(shop.bought(1, channel=channel))
    assert await shop.units(after) == {"allocated": 1}


async def test_what_a_cart_held_is_its_buyers_whoever_waits(database: Database) -> None:
    shop = await a_shop(database, stock=1)
    await shop.allow()
    await shop.order_goods(3, 5)
    async with database.transaction() as tx:
        await stock.place_hold(tx, "cart", [Claim(shop.sku, shop.world.locations["DC"], 1)], seconds=300)
    (waits,) = await shop.sold(2)
    assert await shop.units(waits) == {"backordered": 2}
    (cart,) = await shop.sold(shop.bought(1, hold_reference="cart"))
    assert await shop.units(cart) == {"allocated": 1}
