"""Goods nobody collects: the reminder, the end of the window, back to stock, and more time while they are there."""

import asyncio

import pytest

from malha.fiscal import service as fiscal
from malha.fiscal.model import DocumentFacts
from malha.flows import order_to_cash
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.fulfillment import pickups, service
from malha.fulfillment.errors import DocumentRequired, PickupGoodsGone, PickupOver, PickupRefunded, WrongState
from malha.inventory import reads as stock
from malha.inventory import service as inventory
from malha.inventory.model import Claim, Reference
from malha.ordering import holds
from malha.ordering import service as ordering
from malha.ordering.model import CancelWish, HoldKind
from malha.payments import reads as payments_reads
from malha.payments import service as payments
from malha.payments.model import Fact, FactKind
from malha.platform.errors import MalhaError
from malha.platform.subscribers import drain
from malha.testing.builders import Sold, a_network, a_product, an_access_key, an_order

PASS = """
UPDATE fulfillment_order SET pickup_remind_at = pickup_remind_at - make_interval(days => %(days)s::int),
                             pickup_until = pickup_until - make_interval(days => %(days)s::int)
"""


async def days_pass(database, days):
    async with database.transaction() as tx:
        await tx.execute(PASS, {"days": days})


async def a_pickup(tx, world, sku, quantity=2, *, document=None, **facts):
    """Write an order that stands ready at the counter of S1; return it and its work."""
    order_id = await an_order(tx, world, [Sold(sku, quantity, at="S1")], method="pickup", **facts)
    [work] = await service.release_order(tx, order_id)
    await service.confirm_pick(tx, work.id)
    await service.pack(tx, work.id)
    if document is not None:
        await fiscal.record_document(tx, work.id, DocumentFacts(access_key=an_access_key(world, number=document)))
    await service.make_ready(tx, work.id)
    return order_id, work.id


async def balance(tx, world, sku):
    [found] = await stock.availability(tx, [sku], [world.locations["S1"]])
    return found.on_hand, found.allocated


async def state_of(tx, work_id):
    return await tx.value("SELECT state FROM fulfillment_order WHERE id = %(id)s", {"id": work_id})


async def told_of(tx, order_id):
    key = {"k": f"order:{order_id}"}
    types = await tx.values("SELECT type FROM outbox WHERE key = %(k)s ORDER BY seq", key)
    types += await tx.values("SELECT type FROM event WHERE key = %(k)s ORDER BY seq", key)
    return [t for t in types if "pickup" in t or t == "order.cancelled"]


async def watch(database):
    await order_to_cash.watch_pickups(database)
    await drain(database, SUBSCRIPTIONS)


async def test_a_customer_is_reminded_once_and_what_nobody_collects_is_stock_again(database):
    async with database.transaction() as tx:
        world = await a_network(tx, policy="not_required")
        sku = await a_product(tx, world, "A", stock={"S1": 5})
        order_id, work = await a_pickup(tx, world, sku)
    await watch(database)
    async with database.transaction() as tx:
        assert await told_of(tx, order_id) == []
    await days_pass(database, 5)
    await watch(database)
    await watch(database)
    async with database.transaction() as tx:
        assert await told_of(tx, order_id) == ["fulfillment.pickup_expiring"]
        assert await balance(tx, world, sku) == (5, 2)
    await days_pass(database, 2)
    await watch(database)
    await watch(database)
    async with database.transaction() as tx:
        told = await told_of(tx, order_id)
        assert told[1:] == ["fulfillment.pickup_expired", "order.cancelled", "fulfillment.pickup_returned"]
        assert await balance(tx, world, sku) == (5, 0)
        assert await state_of(tx, work) == "cancelled"
        order = await ordering.lock_order(tx, order_id)
        assert (order.status, order.payable) == ("cancelled", 0)
        paid = (await payments_reads.totals(tx, [order_id]))[order_id]
        assert paid.refundable - order.payable == 2000  # the money to give back
        ledger = await tx.tuples(
            "SELECT d_on_hand, d_allocated FROM movement WHERE ref_id = %(id)s ORDER BY id", {"id": order_id}
        )
        assert ledger[-1] == (0, -2)


async def test_the_channel_s_days_go_before_the_location_s(database):
    async with database.transaction() as tx:
        world = await a_network(tx, policy="not_required")
        sku = await a_product(tx, world, "A", stock={"S1": 5})
        await tx.execute("UPDATE location SET pickup_days = 3")
        await tx.execute("UPDATE channel SET pickup_days = 10 WHERE code = 'mall'")
        works = [(await a_pickup(tx, world, sku, 1, channel=channel))[1] for channel in ("web", "mall")]
        days = "SELECT (pickup_until::date - now()::date) FROM fulfillment_order WHERE id = %(id)s"
        assert [await tx.value(days, {"id": work}) for work in works] == [3, 10]


async def test_who_is_reminded_late_still_gets_a_day_to_come(database):
    async with database.transaction() as tx:
        world = await a_network(tx, policy="not_required")
        _, work = await a_pickup(tx, world, await a_product(tx, world, "A", stock={"S1": 5}))
    await days_pass(database, 30)
    await watch(database)
    async with database.transaction() as tx:
        assert await state_of(tx, work) == "ready"
    await days_pass(database, 1)
    await watch(database)
    async with database.transaction() as tx:
        assert await state_of(tx, work) == "cancelled"


async def test_an_order_that_a_hold_stops_does_not_expire(database):
    async with database.transaction() as tx:
        world = await a_network(tx, policy="not_required")
        order_id, work = await a_pickup(tx, world, await a_product(tx, world, "A", stock={"S1": 5}))
        await holds.place_hold(tx, order_id, HoldKind.MANUAL)
    await days_pass(database, 6)
    await watch(database)
    await days_pass(database, 6)
    await watch(database)
    async with database.transaction() as tx:
        assert await state_of(tx, work) == "ready"
        await holds.resolve_hold(tx, order_id, HoldKind.MANUAL)
    await watch(database)
    async with database.transaction() as tx:
        assert await state_of(tx, work) == "cancelled"


async def test_goods_under_a_document_stay_aside_until_it_is_cancelled(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A", stock={"S1": 5})
        order_id, work = await a_pickup(tx, world, sku, document=1)
    await days_pass(database, 6)
    await watch(database)
    await days_pass(database, 6)
    await watch(database)
    await watch(database)
    async with database.transaction() as tx:
        assert await told_of(tx, order_id) == ["fulfillment.pickup_expiring", "fulfillment.pickup_expired"]
        assert await balance(tx, world, sku) == (5, 2)
        code = await service.pickup_code(tx, work)
        with pytest.raises(PickupOver):
            await service.hand_over(tx, work, code=code, received_by="Maria")
        [document] = await tx.values("SELECT id FROM fiscal_document")
        await fiscal.cancel_document(tx, document, reason="Not collected")
    await watch(database)
    async with database.transaction() as tx:
        assert await state_of(tx, work) == "cancelled"
        assert await balance(tx, world, sku) == (5, 0)
        assert (await told_of(tx, order_id))[-2:] == ["order.cancelled", "fulfillment.pickup_returned"]


async def test_more_time_keeps_the_code_and_never_shortens_what_was_said(database):
    async with database.transaction() as tx:
        world = await a_network(tx, policy="not_required")
        sku = await a_product(tx, world, "A", stock={"S1": 5})
        _, work = await a_pickup(tx, world, sku)
        code = await service.pickup_code(tx, work)
        first = await pickups.extend(tx, work, 2)
        assert await pickups.extend(tx, work, 20) > first
        assert await service.pickup_code(tx, work) == code
    await days_pass(database, 15)
    await watch(database)
    async with database.transaction() as tx:
        assert (await service.hand_over(tx, work, code=code, received_by="Maria")).done
        with pytest.raises(WrongState):
            await pickups.extend(tx, work, 2)


async def expired(database, world, quantity=2, *, sku=None):
    async with database.transaction() as tx:
        sku = sku or await a_product(tx, world, "A", stock={"S1": 2})
        order_id, work = await a_pickup(tx, world, sku, quantity)
    await days_pass(database, 6)
    await watch(database)
    await days_pass(database, 6)
    await watch(database)
    return sku, order_id, work


async def test_goods_that_went_back_are_set_aside_again_while_they_are_there(database):
    async with database.transaction() as tx:
        world = await a_network(tx, policy="not_required")
    sku, order_id, work = await expired(database, world)
    async with database.transaction() as tx:
        await pickups.extend(tx, work, 3)
    await drain(database, SUBSCRIPTIONS)
    async with database.transaction() as tx:
        order = await ordering.lock_order(tx, order_id)
        assert (order.status, order.payable, await state_of(tx, work)) == ("ready", 2000, "ready")
        assert await balance(tx, world, sku) == (2, 2)
        assert (await payments_reads.totals(tx, [order_id]))[order_id].state == "paid"
        code = await service.pickup_code(tx, work)
        assert (await service.hand_over(tx, work, code=code, received_by="Maria")).done
        assert await balance(tx, world, sku) == (0, 0)


async def test_goods_set_aside_again_wait_for_a_document_where_they_need_one(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A", stock={"S1": 2})
        order_id, work = await a_pickup(tx, world, sku, document=1)
    for _ in range(2):
        await days_pass(database, 6)
        await watch(database)
    async with database.transaction() as tx:
        [document] = await tx.values("SELECT id FROM fiscal_document")
        await fiscal.cancel_document(tx, document, reason="Not collected")
    await watch(database)
    async with database.transaction() as tx:
        await pickups.extend(tx, work, 3)
    await drain(database, SUBSCRIPTIONS)
    async with database.transaction() as tx:
        assert await state_of(tx, work) == "packed"
        assert await balance(tx, world, sku) == (2, 2)
        told = await tx.values("SELECT type FROM event WHERE key = %(k)s ORDER BY seq", {"k": f"order:{order_id}"})
        assert told.count("fulfillment.ready") == 1  # no new code is told yet
        with pytest.raises(DocumentRequired):
            await service.make_ready(tx, work)
        await fiscal.record_document(tx, work, DocumentFacts(access_key=an_access_key(world, number=2)))
        await service.make_ready(tx, work)
        code = await service.pickup_code(tx, work)
        assert (await service.hand_over(tx, work, code=code, received_by="Maria")).done
        assert await balance(tx, world, sku) == (0, 0)


async def test_goods_whose_document_was_cancelled_a_moment_ago_are_not_handed_over(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A", stock={"S1": 2})
        _, work = await a_pickup(tx, world, sku, document=1)
        code = await service.pickup_code(tx, work)
        [document] = await tx.values("SELECT id FROM fiscal_document")
        await fiscal.cancel_document(tx, document, reason="Wrong")
        with pytest.raises(DocumentRequired):  # though nobody has restated the work yet
            await service.hand_over(tx, work, code=code, received_by="Maria")


async def test_what_was_cancelled_before_the_window_ended_stays_cancelled(database):
    async with database.transaction() as tx:
        world = await a_network(tx, policy="not_required")
        sku = await a_product(tx, world, "A", stock={"S1": 3})
        order_id, work = await a_pickup(tx, world, sku, 3)
        await service.cancel(tx, order_id, reason="One is enough", wishes=[CancelWish(1, 1)])
    await days_pass(database, 6)
    await watch(database)
    await days_pass(database, 6)
    await watch(database)
    async with database.transaction() as tx:
        await pickups.extend(tx, work, 3)
        assert (await ordering.lock_order(tx, order_id)).payable == 2000
        assert await balance(tx, world, sku) == (3, 2)


async def test_goods_sold_to_somebody_else_or_money_given_back_cannot_be_undone(database):
    async with database.transaction() as tx:
        world = await a_network(tx, policy="not_required")
    sku, order_id, work = await expired(database, world)

    async def undo():
        async with database.transaction() as tx:
            await pickups.extend(tx, work, 3)

    elsewhere = [Claim(sku, world.locations["S1"], 1)]
    async with database.transaction() as tx:
        assert await inventory.reserve(tx, elsewhere, Reference("test")) == []
    with pytest.raises(PickupGoodsGone):
        await undo()
    async with database.transaction() as tx:
        assert await balance(tx, world, sku) == (2, 1)  # what was refused left no trace
        await inventory.release(tx, elsewhere, Reference("test"))
        fact = Fact(position=1, kind=FactKind.REFUNDED, amount=2000, reference="r")
        await payments.record_fact(tx, order_id, fact)
    with pytest.raises(PickupRefunded):
        await undo()


async def test_of_a_hand_over_and_an_expiry_in_the_same_moment_exactly_one_happens(database):
    async with database.transaction() as tx:
        world = await a_network(tx, policy="not_required")
        sku = await a_product(tx, world, "A", stock={"S1": 40})
        works = [(await a_pickup(tx, world, sku, 1))[1] for _ in range(20)]
        codes = {work: await service.pickup_code(tx, work) for work in works}
    await days_pass(database, 6)
    await watch(database)
    await days_pass(database, 6)

    async def collect(work):
        try:
            async with database.transaction() as tx:
                return (await service.hand_over(tx, work, code=codes[work], received_by="Maria")).done
        except MalhaError:
            return False

    async def end():
        async with database.transaction() as tx:
            return await pickups.expire(tx, 3)

    done = await asyncio.gather(*(act for work in works for act in (collect(work), end())))
    collected = sum(done[::2])
    while await end():
        pass
    async with database.transaction() as tx:
        states = await tx.values("SELECT state FROM fulfillment_order")
        assert sorted(set(states)) in (["cancelled", "closed"], ["closed"], ["cancelled"])
        assert states.count("closed") == collected
        assert await balance(tx, world, sku) == (40 - collected, 0)
        moved = await tx.value("SELECT count(*) FROM movement WHERE reason = 'hand_over'")
        assert moved == collected
