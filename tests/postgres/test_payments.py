"""Payments as facts: recorded once, capped, summed; holds follow the money."""

import asyncio

import msgspec
import pytest

from malha.doctor import examine_in
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.fulfillment import service as fulfillment
from malha.fulfillment.errors import OrderStopped
from malha.fulfillment.model import Parcel
from malha.ordering import cancelling
from malha.ordering import holds as order_holds
from malha.ordering import service as ordering
from malha.ordering.model import CancelWish, HoldKind
from malha.payments import reads as payment_reads
from malha.payments import service
from malha.payments.errors import (
    CapturedTooMuch,
    ChargedBackTooMuch,
    FactDiffers,
    NotAFavour,
    RefundedTooMuch,
    TenderNotFound,
    VoidedTooMuch,
)
from malha.payments.model import Fact, FactKind, NewTender
from malha.platform.flaws import Invalid
from malha.platform.ids import new_id
from malha.platform.subscribers import drain
from malha.testing.builders import Sold, a_network, a_product, an_order


def a_fact(kind, amount, reference="1", position=1):
    return Fact(position=position, kind=FactKind(kind), amount=amount, reference=reference)


async def sums_agree(tx):
    """The sums per order are the sums of the ledger, to the cent."""
    return (
        await tx.tuples(
            """
        SELECT p.order_id FROM order_payment p
        LEFT JOIN (SELECT t.order_id, e.kind, sum(e.amount) AS s FROM tender t JOIN payment_entry e ON e.tender_id =
        t.id
                   GROUP BY t.order_id, e.kind) x ON x.order_id = p.order_id
        GROUP BY p.order_id
        HAVING p.authorised <> coalesce(sum(x.s) FILTER (WHERE x.kind = 'authorised'), 0)
            OR p.captured <> coalesce(sum(x.s) FILTER (WHERE x.kind = 'captured'), 0)
            OR p.refunded <> coalesce(sum(x.s) FILTER (WHERE x.kind = 'refunded'), 0)
            OR p.voided <> coalesce(sum(x.s) FILTER (WHERE x.kind = 'voided'), 0)
            OR p.charged_back <> coalesce(sum(x.s) FILTER (WHERE x.kind = 'charged_back'), 0)
        """
        )
        == []
    )


async def test_a_card_is_authorised_captured_in_parts_and_refunded_up_to_what_was_taken(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A", stock={"DC": 5})
        order_id = await an_order(tx, world, [Sold(sku, 1, price=1000)], paid="pending")
        seen = [(await service.standing(tx, order_id)).state]
        for fact in (
            a_fact("declined", 1000),
            a_fact("authorised", 1000),
            a_fact("captured", 400),
            a_fact("captured", 600, "2"),
            a_fact("refunded", 1),
            a_fact("refunded", 999, "2"),
        ):
            seen += [(await service.record_fact(tx, order_id, fact)).state]
        assert seen == [
            "pending", "declined", "authorised", "partially_paid", "paid", "partially_refunded", "refunded",
        ]  # fmt: skip
        with pytest.raises(RefundedTooMuch):
            await service.record_fact(tx, order_id, a_fact("refunded", 1, "3"))
        with pytest.raises(CapturedTooMuch):
            await service.record_fact(tx, order_id, a_fact("captured", 1, "3"))
        with pytest.raises(VoidedTooMuch):
            await service.record_fact(tx, order_id, a_fact("voided", 1, "3"))
        with pytest.raises(TenderNotFound):
            await service.record_fact(tx, order_id, a_fact("captured", 1, position=2))
        assert await sums_agree(tx)
        types = await tx.values(
            "SELECT type FROM outbox WHERE key = %(key)s ORDER BY seq", {"key": f"order:{order_id}"}
        )
        assert types[1:] == [
            "payment.declined", "payment.authorised", "payment.captured", "payment.captured", "payment.refunded",
            "payment.refunded",
        ]  # fmt: skip


async def test_what_is_declined_after_it_was_authorised_secures_nothing_until_it_is_paid(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A", stock={"DC": 5})
        order_id = await an_order(tx, world, [Sold(sku, 1, price=1000)], paid="pending")
        covered = []
        for fact in (
            a_fact("authorised", 1000),
            a_fact("declined", 1000),  # the gateway gave the authorisation up, or refused to capture it
            a_fact("captured", 400),
            a_fact("declined", 600, "2"),
            a_fact("captured", 600, "2"),
        ):
            told = await service.record_fact(tx, order_id, fact)
            await service.settle_holds(tx, [order_id])
            held = HoldKind.PAYMENT in (await ordering.open_holds(tx, [order_id]))[order_id]
            covered.append((told.state, (await service.coverage(tx, [order_id]))[order_id], held))
        assert covered == [
            ("authorised", 1000, False), ("declined", 0, True), ("partially_paid", 1000, False),
            ("partially_paid", 400, True), ("paid", 1000, False),
        ]  # fmt: skip
        assert await sums_agree(tx)


async def test_the_same_fact_twice_is_recorded_once_and_with_another_amount_refused(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        order_id = await an_order(tx, world, 1, paid="pending")
        assert not (await service.record_fact(tx, order_id, a_fact("captured", 700))).repeated
        again = await service.record_fact(tx, order_id, a_fact("captured", 700))
        assert again.repeated
        assert again.captured == 700
        with pytest.raises(FactDiffers):
            await service.record_fact(tx, order_id, a_fact("captured", 701))
        assert await tx.value("SELECT count(*) FROM payment_entry") == 1


async def test_a_reference_is_the_same_whatever_spaces_are_around_it_and_of_spaces_only_it_is_none(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        order_id = await an_order(tx, world, 2, paid="pending")
        pix = NewTender(order_id=order_id, position=0, kind="voucher", amount=300, state="captured", reference=" V1")
        for said in ("V1", " V1", "V1  "):
            await service.add_tender(tx, order_id, msgspec.structs.replace(pix, reference=said))
            await service.record_fact(tx, order_id, a_fact("captured", 100, f"{said} "))
        assert await tx.tuples("SELECT kind, amount, reference FROM payment_entry ORDER BY id") == [
            ("captured", 300, "V1"),
            ("captured", 100, "V1"),
        ]
        # What the former program recorded with spaces is known, too.
        await tx.execute("UPDATE payment_entry SET reference = ' V1 '")
        await tx.execute("UPDATE tender SET reference = 'V1 ' WHERE reference IS NOT NULL")
        await service.add_tender(tx, order_id, pix)
        assert (await service.record_fact(tx, order_id, a_fact("captured", 100, "V1"))).repeated
        for nothing in ("", " ", "\t "):
            with pytest.raises(Invalid):
                await service.record_fact(tx, order_id, a_fact("captured", 100, nothing))
            with pytest.raises(Invalid):
                await service.add_tender(tx, order_id, msgspec.structs.replace(pix, reference=nothing))
        assert await tx.value("SELECT count(*) FROM payment_entry") == 2


async def test_a_payment_that_is_told_again_under_its_reference_is_no_second_one(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A", stock={"DC": 5})
        order_id = await an_order(tx, world, [Sold(sku, 1, price=1000)], paid=None)
        pix = NewTender(order_id=order_id, position=0, kind="pix", amount=1000, reference="E2E-1")
        paid = msgspec.structs.replace(pix, state="captured")
        told = [await service.add_tender(tx, order_id, tender) for tender in (pix, pix, paid, paid, pix)]
        assert [(s.state, s.captured, s.repeated) for s in told] == [
            ("pending", 0, False), ("pending", 0, True), ("paid", 1000, False), ("paid", 1000, True),
            ("paid", 1000, True),
        ]  # fmt: skip
        assert await tx.values("SELECT amount FROM tender") == [1000]
        with pytest.raises(FactDiffers):
            await service.add_tender(tx, order_id, msgspec.structs.replace(paid, amount=900))
        # Another payment has another reference, or none; of another kind it may have the same.
        for other in ({"reference": "E2E-2"}, {"reference": None}, {"kind": "boleto"}):
            await service.add_tender(tx, order_id, msgspec.structs.replace(paid, **other))
        assert (await service.standing(tx, order_id)).refund_due == 3000
        assert await sums_agree(tx)


async def test_of_many_refunds_of_the_last_cent_at_once_one_is_recorded(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        order_id = await an_order(tx, world, 1)
        await service.record_fact(tx, order_id, a_fact("refunded", 999, "first"))

    async def refund(n):
        async with database.transaction() as tx:
            await service.record_fact(tx, order_id, a_fact("refunded", 1, f"last-{n}"))

    results = await asyncio.gather(*[refund(n) for n in range(8)], return_exceptions=True)
    assert [r for r in results if r is None] == [None]
    assert all(isinstance(r, RefundedTooMuch) for r in results if r is not None)
    async with database.transaction() as tx:
        assert (await service.standing(tx, order_id)).refunded == 1000
        assert await sums_agree(tx)


async def test_the_same_fact_delivered_by_many_at_once_is_recorded_once(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        order_id = await an_order(tx, world, 1, paid="pending")

    async def capture():
        async with database.transaction() as tx:
            return (await service.record_fact(tx, order_id, a_fact("captured", 1000, "pix-e2e-id"))).repeated

    assert sorted(await asyncio.gather(*[capture() for _ in range(6)])) == [False, True, True, True, True, True]


async def test_a_cancel_leaves_a_refund_due_until_it_is_recorded(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A", stock={"DC": 5})
        order_id = await an_order(tx, world, [Sold(sku, 4, price=250)], shipping=100)
        await cancelling.cancel(tx, order_id, reason="one less", wishes=[CancelWish(1, 1)])
        assert (await service.standing(tx, order_id)).refund_due == 250
        await service.record_fact(tx, order_id, a_fact("refunded", 250))
        assert (await service.standing(tx, order_id)).refund_due == 0
        await cancelling.cancel(tx, order_id, reason="all")
        standing = await service.standing(tx, order_id)
        assert (standing.payable, standing.refund_due, standing.state) == (0, 850, "partially_refunded")


@pytest.mark.parametrize("favour_first", [True, False])
async def test_a_favour_takes_nothing_off_what_is_due_for_a_cancel_before_it_or_after(database, favour_first):
    async with database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A", stock={"DC": 5})
        order_id = await an_order(tx, world, [Sold(sku, 4, price=250)], paid="captured")
        apology = msgspec.structs.replace(a_fact("refunded", 100, "sorry"), favour=True)
        if favour_first:
            assert (await service.record_fact(tx, order_id, apology)).refund_due == 0
        await cancelling.cancel(tx, order_id, reason="one less", wishes=[CancelWish(1, 1)])
        await service.restate(tx, [order_id])
        if not favour_first:
            assert (await service.record_fact(tx, order_id, apology)).refund_due == 250
        standing = await service.standing(tx, order_id)
        assert (standing.payable, standing.refunded, standing.favour, standing.refund_due) == (750, 100, 100, 250)
        assert [row.refund_due for row in await payment_reads.refunds_due(tx)] == [250]
        order = await ordering.lock_order(tx, order_id)
        assert (await service.secured(tx, {order_id: order}))[order_id].enough
        assert await service.record_given_back(tx, order_id, "back", seen=250) == 250
        assert (await service.standing(tx, order_id)).refund_due == 0
        await cancelling.cancel(tx, order_id, reason="all")
        await service.restate(tx, [order_id])
        assert (await service.standing(tx, order_id)).refund_due == 650  # no more than is left of it
        assert await service.record_given_back(tx, order_id, "rest") == 650
        assert (await service.standing(tx, order_id)).state == "refunded"
        assert await sums_agree(tx)
    async with database.snapshot() as tx:
        assert not (await examine_in(tx)).findings


async def test_a_refund_is_no_favour_afterwards_and_nothing_else_is_one(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        order_id = await an_order(tx, world, 1, paid="pending")
        paid = a_fact("captured", 1000)
        with pytest.raises(Invalid):
            await service.record_fact(tx, order_id, msgspec.structs.replace(paid, favour=True))
        await service.record_fact(tx, order_id, paid)
        back, sorry = a_fact("refunded", 100, "1"), msgspec.structs.replace(a_fact("refunded", 50, "2"), favour=True)
        await service.record_fact(tx, order_id, back)
        with pytest.raises(NotAFavour):
            await service.record_fact(tx, order_id, msgspec.structs.replace(back, favour=True))
        # Who tells a favour again without the word changes nothing: a channel tells of refunds, and knows no favours.
        assert not (await service.record_fact(tx, order_id, sorry)).repeated
        told = await service.record_fact(tx, order_id, msgspec.structs.replace(sorry, favour=False))
        assert (told.repeated, told.favour, told.refunded) == (True, 50, 150)


async def test_most_of_what_was_paid_given_back_as_a_favour_holds_nothing_up(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        order_id = await an_order(tx, world, 1, paid="captured")
        await service.record_fact(tx, order_id, msgspec.structs.replace(a_fact("refunded", 900, "1"), favour=True))
        await service.settle_holds(tx, [order_id])
        assert not (await ordering.open_holds(tx, [order_id]))[order_id]
        await service.record_fact(tx, order_id, a_fact("refunded", 50, "2"))
        await service.settle_holds(tx, [order_id])
        assert set((await ordering.open_holds(tx, [order_id]))[order_id]) == {
            HoldKind.PAYMENT
        }  # 50 more than was said to be one


async def test_what_was_refunded_may_be_charged_back_and_is_told_as_lost(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A", stock={"DC": 5})
        order_id = await an_order(tx, world, [Sold(sku, 2, price=500)], paid="captured")
        await cancelling.cancel(tx, order_id, reason="all")
        assert (await service.record_fact(tx, order_id, a_fact("refunded", 1000))).refund_due == 0
        done = await service.record_fact(tx, order_id, a_fact("charged_back", 900, "CB1"))
        assert (done.charged_back, done.lost, done.refund_due, done.state) == (900, 900, 0, "refunded")
        assert (await service.record_fact(tx, order_id, a_fact("charged_back", 900, "CB1"))).repeated
        with pytest.raises(ChargedBackTooMuch) as refused:
            await service.record_fact(tx, order_id, a_fact("charged_back", 101, "CB2"))
        assert refused.value.facts["most"].minor == 100
        [totals] = (await payment_reads.totals(tx, [order_id])).values()
        [tender] = await payment_reads.tenders(tx, order_id)
        assert (totals.lost, totals.refundable, tender.charged_back, tender.refundable) == (900, 0, 900, 0)
        assert await sums_agree(tx)
    async with database.snapshot() as tx:
        assert not (await examine_in(tx)).findings


async def test_nothing_is_due_of_what_the_bank_fetched_back(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A", stock={"DC": 5})
        order_id = await an_order(tx, world, [Sold(sku, 2, price=500)], paid="captured")
        assert (await service.record_fact(tx, order_id, a_fact("charged_back", 400))).state == "partially_refunded"
        await cancelling.cancel(tx, order_id, reason="all")
        assert (await service.standing(tx, order_id)).refund_due == 600
        assert await service.record_given_back(tx, order_id, "back", seen=600) == 600
        standing = await service.standing(tx, order_id)
        assert (standing.refund_due, standing.lost, standing.state) == (0, 0, "refunded")


async def test_the_payment_hold_follows_the_money(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        order_id = await an_order(tx, world, 1, paid=None, holds=[HoldKind.PAYMENT])
        await service.settle_holds(tx, [order_id])
        assert (await ordering.lock_order(tx, order_id)).status == "awaiting_payment"
        tender = NewTender(order_id=order_id, position=0, kind="pix", amount=600, state="captured", reference="e2e")
        assert (await service.add_tender(tx, order_id, tender)).state == "partially_paid"
        await service.settle_holds(tx, [order_id])
        assert (await ordering.lock_order(tx, order_id)).status == "awaiting_payment"
        await service.add_tender(tx, order_id, NewTender(order_id=order_id, position=0, kind="voucher", amount=400))
        await service.record_fact(tx, order_id, a_fact("authorised", 400, "v", position=2))
        assert await service.coverage(tx, [order_id]) == {order_id: 1000}
        await service.settle_holds(tx, [order_id])
        assert (await ordering.lock_order(tx, order_id)).status == "allocated"
        await service.record_fact(tx, order_id, a_fact("voided", 400, "v", position=2))
        await service.settle_holds(tx, [order_id, new_id()])
        hold = (await ordering.open_holds(tx, [order_id]))[order_id][HoldKind.PAYMENT]
        assert hold.detail == {"missing": 400}
        assert await sums_agree(tx)


async def test_tenders_of_many_new_orders_are_written_inside_a_pipeline(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        orders = [await an_order(tx, world, 1, paid=None) for _ in range(3)]
        rows = [
            NewTender(order_id=orders[0], position=1, kind="pix", amount=1000, state="captured", reference="a"),
            NewTender(order_id=orders[1], position=1, kind="credit_card", amount=1000, state="authorised"),
            NewTender(order_id=orders[2], position=1, kind="voucher", amount=300, state="captured"),
            NewTender(order_id=orders[2], position=2, kind="boleto", amount=700),
        ]
        async with tx.pipeline():
            await service.record_tenders(tx, rows, dict.fromkeys(orders, 1000))
        states = dict(await tx.tuples("SELECT order_id, state FROM order_payment"))
        assert [states[o] for o in orders] == ["paid", "authorised", "partially_paid"]
        assert await sums_agree(tx)


# --- money that is taken back while a location works on the order ---


async def packed(database, **options):
    """An order whose goods are packed and wait to leave, and its piece of work."""
    async with database.transaction() as tx:
        world = await a_network(tx, policy="not_required")
        sku = await a_product(tx, world, "A", stock={"DC": 5, "S1": 5})
        order_id = await an_order(tx, world, [Sold(sku, 2, price=500)], **options)
    async with database.transaction() as tx:
        [work] = [w.id for w in await fulfillment.release_order(tx, order_id)]
        await fulfillment.accept(tx, work)
        await fulfillment.confirm_pick(tx, work)
        await fulfillment.pack(tx, work, [Parcel()])
    return order_id, work


@pytest.mark.parametrize(
    ("paid", "taken"),
    [
        ("authorised", a_fact("voided", 1000)),  # the acquirer gives the card up
        ("authorised", a_fact("voided", 400)),
        ("captured", a_fact("refunded", 1000)),  # given back by telephone
        ("captured", a_fact("charged_back", 1000)),
        ("captured", a_fact("charged_back", 100)),  # a part, too: it is no favour
    ],
)
async def test_goods_stay_when_their_money_is_taken_back_before_they_leave(database, paid, taken):
    order_id, work = await packed(database, paid=paid)
    async with database.transaction() as tx:
        await service.record_fact(tx, order_id, taken)
    await drain(database, SUBSCRIPTIONS)
    async with database.transaction() as tx:
        with pytest.raises(OrderStopped):
            await fulfillment.ship(tx, work)
        assert await payment_reads.deadline(tx, order_id) is None  # no stock of it is to be let go
    # Paid another way, they go.
    async with database.transaction() as tx:
        tender = NewTender(order_id=order_id, position=0, kind="pix", amount=1000, state="captured", reference="e2e")
        await service.add_tender(tx, order_id, tender)
    await drain(database, SUBSCRIPTIONS)
    async with database.transaction() as tx:
        await fulfillment.ship(tx, work)


async def test_a_part_given_back_as_a_favour_and_a_refund_told_before_its_cancel_keep_no_goods(database):
    order_id, work = await packed(database, paid="captured")
    async with database.transaction() as tx:
        await service.record_fact(tx, order_id, a_fact("refunded", 500))
    await drain(database, SUBSCRIPTIONS)
    async with database.transaction() as tx:
        await fulfillment.cancel(tx, order_id, reason="one is enough", wishes=[CancelWish(1, 1)])
    await drain(database, SUBSCRIPTIONS)
    async with database.transaction() as tx:
        await fulfillment.ship(tx, work)
        await service.record_fact(tx, order_id, a_fact("refunded", 500, "2"))
    await drain(database, SUBSCRIPTIONS)
    async with database.transaction() as tx:  # they are gone: nothing is left to be kept
        assert not (await ordering.open_holds(tx, [order_id]))[order_id]


async def test_who_lets_goods_go_without_their_money_is_not_asked_again(database):
    order_id, work = await packed(database, paid="captured")
    async with database.transaction() as tx:
        await service.record_fact(tx, order_id, a_fact("refunded", 1000))
    await drain(database, SUBSCRIPTIONS)
    async with database.transaction() as tx:
        await order_holds.resolve_hold(tx, order_id, HoldKind.PAYMENT, resolution="They pay by invoice", force=True)
    await drain(database, SUBSCRIPTIONS)
    async with database.transaction() as tx:
        await service.settle_holds(tx, [order_id])
        await fulfillment.ship(tx, work)
