"""Orders that wait for money give their stock back in time; money that comes late finds what is left."""

import asyncio
import random

import pytest

from malha.flows import order_to_cash
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.fulfillment import service as fulfillment
from malha.inventory import reads as stock
from malha.inventory import service as inventory
from malha.inventory.model import Claim, Reference
from malha.ordering import service as ordering
from malha.ordering.model import HoldKind, UnitState
from malha.payments import deadlines, reads, service
from malha.payments.errors import NoPaymentAwaited, TermChanged, TermNeeded
from malha.payments.model import Fact, FactKind
from malha.payments.terms import ANY, Term
from malha.platform.eventlog import Recorded
from malha.platform.flaws import Invalid
from malha.platform.subscribers import drain
from malha.testing.builders import Sold, a_network, a_product, an_order

PAST = "UPDATE payment_deadline SET due_at = now() - interval '1 second' WHERE lapsed_at IS NULL"
ORDER_EVENTS = """
SELECT position, at, seq, version, key, type, actor, payload::text AS payload, false AS waits
FROM event WHERE key = %(key)s ORDER BY position
"""
LONG_PAST = "UPDATE payment_deadline SET cancel_at = now() - interval '1 second' WHERE lapsed_at IS NOT NULL"


async def an_unpaid_order(tx, world, sku, quantity=1):
    return await an_order(tx, world, [Sold(sku, quantity)], paid="pending", holds=[HoldKind.PAYMENT])


async def settle(database):
    await drain(database, SUBSCRIPTIONS)


async def make_past(database, statement=PAST):
    async with database.transaction() as tx:
        await tx.execute(statement)


async def pay(tx, order_id, amount=1000, reference="e2e"):
    await service.record_fact(
        tx, order_id, Fact(position=1, kind=FactKind.CAPTURED, amount=amount, reference=reference)
    )


async def give_back(tx, order_id, amount, reference="back"):
    await service.record_fact(
        tx, order_id, Fact(position=1, kind=FactKind.REFUNDED, amount=amount, reference=reference)
    )


async def how(database, order_id, sku):
    """Return the order's status, its open holds, the states of its units and what is free of the SKU."""
    async with database.transaction() as tx:
        order = await ordering.lock_order(tx, order_id)
        holds = {str(kind) for kind in (await ordering.open_holds(tx, [order_id]))[order_id]}
        units = {str(u.state) for u in (await ordering.units_of(tx, [order_id]))[order_id]}
        free = sum(a.free for a in await stock.availability(tx, [sku]))
    return str(order.status), holds, units, free


@pytest.fixture
async def unpaid(database):
    """One order over one of five units that waits for a PIX, its deadline set."""
    async with database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A", stock={"DC": 5})
        order_id = await an_unpaid_order(tx, world, sku)
    await settle(database)
    return world, sku, order_id


async def test_an_order_that_waits_for_a_pix_keeps_its_stock_for_forty_minutes(database, unpaid):
    async with database.transaction() as tx:
        found = await reads.deadline(tx, unpaid[2])
        minutes = await tx.value("SELECT extract(epoch FROM due_at - now()) / 60 FROM payment_deadline")
    assert found.tender == "pix"
    assert 39 < minutes <= 40
    assert await order_to_cash.watch_payments(database) == 0


async def test_when_the_time_is_over_the_stock_is_free_and_the_order_waits_without_it(database, unpaid):
    _, sku, order_id = unpaid
    await make_past(database)
    assert await order_to_cash.watch_payments(database) == 1
    assert await order_to_cash.watch_payments(database) == 0
    assert await how(database, order_id, sku) == (
        "awaiting_payment", {"payment", "payment_lapsed"}, {"unplaced"}, 5,
    )  # fmt: skip
    async with database.transaction() as tx:
        ledger = await tx.tuples("SELECT reason, d_allocated FROM movement WHERE d_allocated <> 0 ORDER BY id")
    assert ledger == [("order", 1), ("lapse", -1)]


async def test_stock_that_comes_in_goes_to_who_pays_not_to_whose_time_is_over(database, unpaid):
    world, sku, order_id = unpaid
    await make_past(database)
    await order_to_cash.watch_payments(database)
    async with database.transaction() as tx:
        assert await ordering.waiting_for(tx, [sku], 10) == []
        await inventory.receive(tx, [Claim(sku, world.locations["S1"], 5)], Reference("receipt"))
    await settle(database)
    async with database.transaction() as tx:
        await order_to_cash.replanning.place_units(tx, order_id)
    assert (await how(database, order_id, sku))[2:] == ({"unplaced"}, 10)


async def test_money_that_comes_late_finds_the_order_its_stock_again(database, unpaid):
    _, sku, order_id = unpaid
    await make_past(database)
    await order_to_cash.watch_payments(database)
    async with database.transaction() as tx:
        await pay(tx, order_id)
    await settle(database)
    assert await how(database, order_id, sku) == ("allocated", set(), {"allocated"}, 4)
    async with database.transaction() as tx:
        assert await reads.deadline(tx, order_id) is None
    await make_past(database, LONG_PAST)
    assert await order_to_cash.watch_payments(database) == 0


async def test_late_money_for_stock_that_is_sold_is_a_shortage_a_person_sees_and_the_customer_hears_of(
    database, unpaid, mail_set_up
):
    world, sku, order_id = unpaid
    await make_past(database)
    await order_to_cash.watch_payments(database)
    async with database.transaction() as tx:
        await an_order(tx, world, [Sold(sku, 5)])
        await tx.execute("UPDATE sales_order SET buyer_email = 'ana@example.com' WHERE id = %(id)s", {"id": order_id})
        await pay(tx, order_id)
    await settle(database)
    assert await how(database, order_id, sku) == ("on_hold", {"shortage"}, {"unplaced"}, 0)
    async with database.transaction() as tx:
        told = await tx.values("SELECT kind FROM message WHERE order_id = %(id)s", {"id": order_id})
    assert "on_hold" in told


async def test_an_order_kept_long_enough_is_cancelled_and_its_customer_told(database, unpaid, mail_set_up):
    _, sku, order_id = unpaid
    async with database.transaction() as tx:
        await tx.execute("UPDATE sales_order SET buyer_email = 'ana@example.com' WHERE id = %(id)s", {"id": order_id})
    await make_past(database)
    await order_to_cash.watch_payments(database)
    await make_past(database, LONG_PAST)
    assert await order_to_cash.watch_payments(database) == 1
    await settle(database)
    assert await how(database, order_id, sku) == ("cancelled", set(), {"cancelled"}, 5)
    async with database.transaction() as tx:
        told = await tx.values("SELECT kind FROM message WHERE order_id = %(id)s", {"id": order_id})
    assert "cancelled" in told


async def test_who_paid_in_time_keeps_the_stock_though_nobody_reacted_to_the_money_yet(database, unpaid):
    _, sku, order_id = unpaid
    async with database.transaction() as tx:
        await pay(tx, order_id)
    await make_past(database)  # the worker was away: its chores begin before it has read what happened meanwhile
    assert await order_to_cash.watch_payments(database) == 0
    assert await how(database, order_id, sku) == ("allocated", set(), {"allocated"}, 4)
    async with database.transaction() as tx:
        assert await reads.deadline(tx, order_id) is None
    await settle(database)
    assert await how(database, order_id, sku) == ("allocated", set(), {"allocated"}, 4)


async def test_who_paid_late_is_not_cancelled_though_nobody_reacted_to_the_money_yet(database, unpaid):
    _, sku, order_id = unpaid
    await make_past(database)
    assert await order_to_cash.watch_payments(database) == 1
    async with database.transaction() as tx:
        await pay(tx, order_id)
    await make_past(database, LONG_PAST)
    assert await order_to_cash.watch_payments(database) == 0
    await settle(database)
    assert await how(database, order_id, sku) == ("allocated", set(), {"allocated"}, 4)


async def test_more_time_keeps_the_stock_and_finds_a_lapsed_order_its_place_again(database, unpaid):
    _, sku, order_id = unpaid
    async with database.transaction() as tx:
        first = await deadlines.extend(tx, order_id, minutes=120)
        assert await deadlines.extend(tx, order_id, minutes=5) == first
    await make_past(database)
    await order_to_cash.watch_payments(database)
    async with database.transaction() as tx:
        await deadlines.extend(tx, order_id, minutes=60)
    await settle(database)
    assert await how(database, order_id, sku) == ("awaiting_payment", {"payment"}, {"allocated"}, 4)
    assert await order_to_cash.watch_payments(database) == 0


async def test_a_new_tender_moves_the_deadline_later_only(database, unpaid):
    _, _, order_id = unpaid
    async with database.transaction() as tx:
        before = (await reads.deadline(tx, order_id)).due_at
        tender = service.NewTender(order_id=order_id, position=0, kind="boleto", amount=1000)
        await service.add_tender(tx, order_id, tender)
    await settle(database)
    async with database.transaction() as tx:
        after = await reads.deadline(tx, order_id)
    assert after.due_at > before
    assert after.tender == "boleto"


async def test_a_paid_order_has_no_time_to_give(database, unpaid):
    _, _, order_id = unpaid
    async with database.transaction() as tx:
        await pay(tx, order_id)
    await settle(database)
    async with database.transaction() as tx:
        with pytest.raises(NoPaymentAwaited):
            await deadlines.extend(tx, order_id, minutes=5)


async def test_who_paid_and_is_given_a_part_back_keeps_the_stock_and_the_order_goes_on(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A", stock={"DC": 5})
        order_id = await an_order(tx, world, [Sold(sku, 1)], paid="captured")
        await give_back(tx, order_id, 499)  # its freight, an apology
    await settle(database)
    assert await how(database, order_id, sku) == ("allocated", set(), {"allocated"}, 4)
    async with database.transaction() as tx:
        assert await reads.deadline(tx, order_id) is None
        assert len(await fulfillment.release_order(tx, order_id)) == 1


async def test_half_of_the_money_taken_back_waits_for_a_person_and_is_not_cancelled_for_want_of_money(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A", stock={"DC": 5})
        order_id = await an_order(tx, world, [Sold(sku, 1)], paid="captured")
        await give_back(tx, order_id, 500)
    await settle(database)
    await make_past(database)
    assert await order_to_cash.watch_payments(database) == 0
    assert await how(database, order_id, sku) == ("awaiting_payment", {"payment"}, {"allocated"}, 4)
    async with database.transaction() as tx:
        assert await reads.deadline(tx, order_id) is None
        await give_back(tx, order_id, 500, "2")  # all of it: now it waits for money as if it had never been paid
    await settle(database)
    async with database.transaction() as tx:
        assert await reads.deadline(tx, order_id) is not None


async def test_events_handled_one_by_one_give_the_same_deadlines_as_a_sweep(database, unpaid):
    _, _, order_id = unpaid
    async with database.transaction() as tx:
        swept = await reads.deadline(tx, order_id)
        await tx.execute("DELETE FROM payment_deadline")
        events = await tx.all(Recorded, ORDER_EVENTS, {"key": f"order:{order_id}"})
        assert [event.type for event in events] == ["order.placed"]
        await deadlines.set_deadlines(tx, events)
        assert await reads.deadline(tx, order_id) == swept
        await deadlines.set_deadlines(tx, events)
        assert await reads.deadline(tx, order_id) == swept


@pytest.mark.parametrize("seed", range(3))
async def test_of_payments_and_deadlines_at_once_every_order_ends_paid_with_stock_or_lapsed_without(database, seed):
    rng = random.Random(seed)
    async with database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A", stock={"DC": 40})
        orders = [await an_unpaid_order(tx, world, sku) for _ in range(24)]
    await settle(database)
    await make_past(database)
    payers = rng.sample(orders, 16)

    async def buyer(order_id):
        await asyncio.sleep(rng.random() / 50)
        async with database.transaction() as tx:
            await pay(tx, order_id)

    async def watcher():
        for _ in range(6):
            await order_to_cash.watch_payments(database)
            await asyncio.sleep(rng.random() / 100)

    async def reader():
        for _ in range(6):
            await settle(database)
            await asyncio.sleep(rng.random() / 100)

    await asyncio.gather(*(buyer(o) for o in payers), watcher(), watcher(), reader())
    await settle(database)
    await order_to_cash.watch_payments(database)
    async with database.transaction() as tx:
        units = await ordering.units_of(tx, orders)
        balance = await tx.tuples("SELECT on_hand, allocated FROM balance WHERE allocated > 0")
    paid = {o for o in orders if {u.state for u in units[o]} == {UnitState.ALLOCATED}}
    assert paid == set(payers)
    assert {u.state for o in orders if o not in paid for u in units[o]} == {UnitState.UNPLACED}
    assert balance == [(40, 16)]


async def test_terms_are_stated_by_tender_and_channel_and_the_last_one_stays(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        web = world.channels["web"]
        await deadlines.put_term(tx, Term(tender="pix", channel_id=web, minutes=15))
        term = next(t for t in await deadlines.terms(tx) if t.channel_id == web)
        assert (term.minutes, term.version) == (15, 1)
        with pytest.raises(TermChanged):
            await deadlines.put_term(tx, Term(tender="pix", channel_id=web, minutes=20, version=9))
        await deadlines.put_term(tx, Term(tender="pix", channel_id=web, minutes=20, version=1))
        with pytest.raises(TermChanged):
            await deadlines.drop_term(tx, term.id, 1)
        await deadlines.drop_term(tx, term.id, 2)
        last = next(t for t in await deadlines.terms(tx) if t.tender == ANY)
        with pytest.raises(TermNeeded):
            await deadlines.drop_term(tx, last.id, last.version)
        with pytest.raises(Invalid):
            await deadlines.put_term(tx, Term(tender="barter", minutes=5))
        assert await tx.values("SELECT action FROM audit WHERE entity = 'payment_term' ORDER BY id") == [
            "create", "change", "remove",
        ]  # fmt: skip
