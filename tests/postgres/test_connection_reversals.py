"""What a channel cancels and gives back is recorded here once, whatever order it is told in; what cannot be waits for a person."""

import asyncio
import random
from datetime import date
from typing import Any

import pytest
from linked_world import CODE, Linked, linked
from tests.waiting import waiting

from malha.channels.connecting import following, reads, reconciling, service, stuck_reads, writes
from malha.fiscal import service as fiscal
from malha.fiscal.model import DocumentFacts
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.fulfillment import service as fulfillment
from malha.fulfillment.errors import OrderStopped, ReleaseHeld
from malha.intake.model import NewLine, NewOrder
from malha.ordering import cancelling, holds
from malha.ordering import service as ordering
from malha.ordering.model import CancelWish, HoldKind
from malha.payments import service as payments
from malha.payments.model import Fact, FactKind
from malha.platform.address import Address
from malha.platform.flaws import Invalid
from malha.platform.money import Money
from malha.platform.subscribers import drain
from malha.testing.builders import an_access_key
from peer_shop import Sent

DAY = date(2026, 11, 26)
LINES = [
    {"id": "l1", "sku": "A", "quantity": 3, "unit_price": 1000},
    {"id": "l2", "sku": "B", "quantity": 2, "unit_price": 500},
]
PAID = [{"id": "p1", "method": "pix", "amount": 4000, "state": "captured"}]
UNITS = """
SELECT l.external_id, u.state, sum(u.quantity)::int FROM order_unit u
JOIN order_line l ON l.order_id = u.order_id AND l.line = u.line GROUP BY 1, 2 ORDER BY 1, 2
"""
MONEY = "SELECT kind, amount, reference, actor FROM payment_entry WHERE kind <> 'captured' ORDER BY reference"
PARKED = "SELECT cause, error FROM channel_inbox WHERE state = 'parked' ORDER BY id"
BACK = ("refunded", 1000, "r1", f"connection:{CODE}")


@pytest.fixture
async def shop(database, tmp_path):
    async with linked(database, tmp_path) as made:
        async with database.transaction() as tx:
            await tx.execute("UPDATE establishment SET document_policy = 'not_required'")
        yield made


async def hear(shop: Linked, *orders) -> None:
    """Have webhooks about orders come in and be handled."""
    for order in orders:
        await shop.receive(shop.peer.webhook(order))
    await shop.handle()


async def sold(shop: Linked, id_: str = "1001") -> None:
    await hear(shop, shop.peer.sell(id_, lines=LINES, payments=PAID))


async def ours(shop: Linked, id_: str = "1001"):
    return (await shop.values("SELECT id FROM sales_order WHERE external_id = %s::text", (id_,)))[0]


async def ship(shop: Linked, id_: str = "1001") -> None:
    order_id = await ours(shop, id_)
    async with shop.database.transaction() as tx:
        (work,) = await fulfillment.release_order(tx, order_id)
        await fulfillment.accept(tx, work.id)
        await fulfillment.confirm_pick(tx, work.id)
        await fulfillment.pack(tx, work.id)
        await fulfillment.ship(tx, work.id)


async def differences(shop: Linked) -> list[str]:
    """Compare the day; return what differs."""
    async with shop.database.transaction() as tx:
        connection = await service.connection_of(tx, CODE)
    found = await reconciling.compare_orders(shop.runtime, connection, DAY)
    async with shop.database.transaction() as tx:
        (row,) = await reads.compared(tx, connection.id)
    return found + ([] if row.agrees else [str(row)])


async def test_units_and_money_are_taken_back_once_however_often_it_is_told(shop: Linked):
    await sold(shop)
    shop.peer.cancel_units("1001", "l1", 1)
    told = shop.peer.give_back("1001", "r1", 1000, payment="p1")
    await hear(shop, told, told, {**told, "version": told["version"] + 50})
    assert await shop.rows(UNITS) == [("l1", "allocated", 2), ("l1", "cancelled", 1), ("l2", "allocated", 2)]
    assert await shop.rows(MONEY) == [BACK]
    assert await shop.rows("SELECT total - cancelled_total FROM sales_order") == [(3000,)]
    assert await differences(shop) == []


async def test_of_versions_out_of_order_the_newest_counts(shop: Linked):
    await sold(shop)
    one = shop.peer.cancel_units("1001", "l1", 1)
    two = shop.peer.cancel_units("1001", "l1", 1)
    await hear(shop, two)
    await hear(shop, one)
    assert await shop.rows(UNITS) == [("l1", "allocated", 1), ("l1", "cancelled", 2), ("l2", "allocated", 2)]
    assert await shop.values("SELECT state FROM channel_inbox ORDER BY id") == ["done", "done", "stale"]


async def test_an_order_that_is_first_heard_of_after_that_comes_in_with_it(shop: Linked):
    shop.peer.sell("1001", lines=LINES, payments=PAID)
    shop.peer.cancel_units("1001", "l2", 2)
    await hear(shop, shop.peer.give_back("1001", "r1", 1000))
    assert await shop.rows(UNITS) == [("l1", "allocated", 3), ("l2", "cancelled", 2)]
    assert await shop.rows(MONEY) == [BACK]
    assert await differences(shop) == []


async def test_what_was_cancelled_here_and_told_there_is_not_cancelled_twice(shop: Linked):
    await sold(shop)
    async with shop.database.transaction() as tx:
        await cancelling.cancel(tx, await tx.value("SELECT id FROM sales_order"), reason="x", wishes=[CancelWish(1, 1)])
    # The channel has not heard of it yet, and tells of something else.
    await hear(shop, shop.peer.sell("1001", buyer={"name": "Maria da Silva", "email": "maria@example.com"}))
    await drain(shop.database, SUBSCRIPTIONS)
    await shop.tell()
    assert len(shop.peer.cancellations) == 1
    await hear(shop, shop.peer.orders["1001"])
    # Then it cancels one more by itself: that is not told back.
    await hear(shop, shop.peer.cancel_units("1001", "l1", 1))
    await drain(shop.database, SUBSCRIPTIONS)
    await shop.tell()
    assert await shop.rows(UNITS) == [("l1", "allocated", 1), ("l1", "cancelled", 2), ("l2", "allocated", 2)]
    assert len(shop.peer.cancellations) == 1
    assert await differences(shop) == []


async def test_money_that_we_had_given_back_is_recorded_when_the_channel_tells_of_it(shop: Linked):
    await sold(shop)
    async with shop.database.transaction() as tx:
        order_id = await tx.value("SELECT id FROM sales_order")
        await following.ask_refund(tx, CODE, order_id, "p1", 700, "damaged")
    await shop.tell()
    assert await shop.rows(MONEY) == [], "it was asked for: nobody says yet that it went back"
    await hear(shop, shop.peer.orders["1001"])
    await hear(shop, shop.peer.sell("1001"))
    assert await shop.rows(MONEY) == [("refunded", 700, "refunds-1", f"connection:{CODE}")]
    await drain(shop.database, SUBSCRIPTIONS)
    await shop.tell()
    assert len(shop.peer.refunds) == 1
    assert await differences(shop) == []


async def ask(shop: Linked, amount: int, reference: str):
    order_id = await ours(shop)
    async with shop.database.transaction() as tx:
        return await following.ask_refund(tx, CODE, order_id, "p1", amount, reference)


async def due(shop: Linked, captured: int, cancelled: int = 2000) -> list[tuple[int, ...]]:
    """Return what was given back, what of it as a favour, and what is due; of how much was captured and cancelled."""
    assert await shop.rows(
        "SELECT captured, cancelled_total FROM order_payment JOIN sales_order o ON o.id = order_id"
    ) == [(captured, cancelled)]
    return await shop.rows("SELECT refunded, favour, refund_due FROM order_payment")


@pytest.mark.parametrize("asked", [True, False], ids=["asked for", "told"])
async def test_a_refund_that_is_a_favour_takes_nothing_off_what_is_due_for_a_cancel(shop: Linked, asked: bool):
    await sold(shop)
    order_id = await ours(shop)
    if asked:
        async with shop.database.transaction() as tx:
            await following.ask_refund(tx, CODE, order_id, "p1", 700, "late parcel", favour=True)
        await shop.tell()
        assert [refund.get("favour") for refund in shop.peer.refunds] == [True]
        await hear(shop, shop.peer.orders["1001"])
    else:
        await hear(shop, shop.peer.give_back("1001", "r1", 700, payment="p1", favour=True))
    async with shop.database.transaction() as tx:
        await cancelling.cancel(tx, order_id, reason="x", wishes=[CancelWish(1, 2)])
        await payments.restate(tx, [order_id])
    assert await due(shop, 4000) == [(700, 700, 2000)]
    # What is given back for the cancel is none, of whatever amount, and told once more changes nothing.
    await hear(shop, shop.peer.give_back("1001", "r2", 700, payment="p1"))
    await hear(shop, shop.peer.sell("1001"))
    assert await due(shop, 4000) == [(1400, 700, 1300)]
    assert await shop.rows(PARKED) == []


async def test_two_refunds_of_one_amount_of_which_one_was_asked_for_as_a_favour_are_one_favour(shop: Linked):
    await sold(shop)
    order_id = await ours(shop)
    async with shop.database.transaction() as tx:
        await following.ask_refund(tx, CODE, order_id, "p1", 700, "late parcel", favour=True)
    # The channel tells of both before it answers what it was asked for, and its own comes first.
    shop.peer.give_back("1001", "r0", 700, payment="p1")
    await hear(shop, shop.peer.give_back("1001", "r1", 700, payment="p1"))
    assert await shop.rows("SELECT refunded, favour FROM order_payment") == [(1400, 700)]
    await ask(shop, 500, "damaged")
    await shop.rows("UPDATE channel_op SET state = 'done', reference = 'r1' WHERE payload ? 'favour' RETURNING key")
    await shop.tell()
    assert "favour" not in shop.peer.refunds[-1], "a channel that knows no favours is told of none"
    await hear(shop, shop.peer.orders["1001"])
    assert await shop.rows("SELECT refunded, favour FROM order_payment") == [(1900, 700)]


TWO = [{"id": "p1", "method": "pix", "amount": 1500, "state": "captured"},
       {"id": "c1", "method": "credit_card", "amount": 2500, "state": "captured"}]  # fmt: skip
BACK_OF = """
SELECT t.reference, e.amount, e.favour FROM payment_entry e JOIN tender t ON t.id = e.tender_id
WHERE e.kind = 'refunded' ORDER BY e.amount DESC, t.reference
"""


async def test_a_refund_that_no_single_payment_could_give_back_is_of_several(shop: Linked):
    await hear(shop, shop.peer.sell("1001", lines=LINES, payments=TWO))
    await hear(shop, shop.peer.give_back("1001", "r1", 3000, favour=True))
    await hear(shop, shop.peer.sell("1001"))
    assert await shop.rows(BACK_OF) == [("c1", 2500, True), ("p1", 500, True)]
    assert (await shop.rows("SELECT refunded, favour FROM order_payment"), await shop.rows(PARKED)) == (
        [(3000, 3000)],
        [],
    )
    await hear(shop, shop.peer.give_back("1001", "r2", 1001))
    assert await shop.rows(PARKED) == [("payment", "refund r2 is of a payment that is not here: none has so much left")]


async def test_a_refund_is_not_of_the_payment_that_a_bank_fetched_back_where_another_one_is_left(shop: Linked):
    await hear(shop, shop.peer.sell("1001", lines=LINES, payments=TWO))
    order_id = await ours(shop)
    async with shop.database.transaction() as tx:
        back = Fact(position=1, kind=FactKind.CHARGED_BACK, amount=1500, reference="cb")
        await payments.record_fact(tx, order_id, back)
    await hear(shop, shop.peer.give_back("1001", "r1", 1000))
    assert await shop.rows(BACK_OF) == [("c1", 1000, False)]
    # Of more than is left the bank's comes last: it went back twice.
    await hear(shop, shop.peer.give_back("1001", "r2", 1500))
    assert await shop.rows(BACK_OF) == [("c1", 1500, False), ("c1", 1000, False)]
    await hear(shop, shop.peer.give_back("1001", "r3", 1500))
    assert sorted(await shop.rows(BACK_OF))[1:] == [("c1", 1500, False), ("p1", 1500, False)]
    async with shop.database.transaction() as tx:
        assert (await payments.standing(tx, order_id)).lost == 1500


async def left_beside(shop: Linked, amount: int = 100_000) -> tuple[str, str]:
    """Ask for too much, and return what the refusal says is left and how to mend it."""
    with pytest.raises(Invalid) as refused:
        await ask(shop, amount, "far too much")
    (flaw,) = refused.value.flaws
    return str(flaw.facts["amount"]), str(flaw.mend)


async def test_of_two_who_ask_at_once_the_second_counts_what_the_first_one_asked_for(shop: Linked):
    await sold(shop)
    order_id = await ours(shop)
    async with shop.database.transaction() as first:
        await following.ask_refund(first, CODE, order_id, "p1", 3000, "r1")
        second = asyncio.create_task(ask(shop, 3000, "r2"))
        while not second.done() and not await waiting(shop.database):
            await asyncio.sleep(0.01)
        assert not second.done()
    with pytest.raises(Invalid):
        await second
    await shop.tell()
    assert [refund["amount"] for refund in shop.peer.refunds] == [3000]


async def test_what_was_done_counts_before_it_is_read_back_and_not_twice_after(shop: Linked):
    await sold(shop)
    await ask(shop, 3000, "r1")
    await shop.tell()
    assert await shop.rows(MONEY) == []
    assert (await left_beside(shop))[0] == str(Money(1000, "BRL"))
    await hear(shop, shop.peer.sell("1001"))
    assert [amount for _, amount, *_ in await shop.rows(MONEY)] == [3000]
    assert (await left_beside(shop))[0] == str(Money(1000, "BRL"))


async def test_a_dead_refund_counts_until_it_is_dropped_so_that_it_can_be_sent_again(shop: Linked):
    await sold(shop)
    await ask(shop, 3000, "r1")
    await shop.rows("UPDATE channel_op SET state = 'dead', cause = 'invalid' WHERE kind = 'refund' RETURNING key")
    left, mend = await left_beside(shop)
    assert left == str(Money(1000, "BRL"))
    assert mend.startswith("Refunds of {stuck} wait for a person")
    await ask(shop, 1000, "r2")
    async with shop.database.transaction() as tx:
        await service.replay_cause(tx, CODE, "out", "invalid")
    await shop.tell()
    assert sorted(refund["amount"] for refund in shop.peer.refunds) == [1000, 3000]
    assert (await left_beside(shop))[0] == str(Money(0, "BRL"))


CONNECTION = "SELECT id FROM connection"
BURY = "UPDATE channel_op SET state = 'dead', cause = 'invalid' WHERE key = %s::uuid RETURNING key"


@pytest.mark.parametrize("way", ["one", "all"])
async def test_a_dead_refund_is_not_sent_again_beyond_what_is_left_by_now(shop: Linked, way):
    await sold(shop)
    key = await ask(shop, 3000, "r1")
    await shop.rows(BURY, (key,))
    # Meanwhile somebody gave it back at the channel.
    await hear(shop, shop.peer.give_back("1001", "by hand", 3000, payment="p1"))

    async def again():
        async with shop.database.transaction() as tx:
            if way == "one":
                return await service.replay(tx, CODE, ops=[key])
            return await service.replay_cause(tx, CODE, "out", "invalid")

    with pytest.raises(Invalid) as refused:
        await again()
    (flaw,) = refused.value.flaws
    assert flaw.facts["amount"] == Money(1000, "BRL")
    assert flaw.text().endswith("is left.")
    await shop.tell()
    assert await shop.values("SELECT state FROM channel_op WHERE kind = 'refund'") == ["dead"]
    assert shop.peer.refunds == [], "what was given back by hand was not asked for"
    async with shop.database.transaction() as tx:
        await service.drop(tx, CODE, ops=[key])
    assert await ask(shop, 1000, "r2") is not None


async def test_dead_refunds_of_one_order_are_bounded_together(shop: Linked):
    await sold(shop)
    keys = [await ask(shop, 2000, "r1"), await ask(shop, 2000, "r2")]
    await shop.rows("UPDATE channel_op SET state = 'dead', cause = 'invalid' WHERE kind = 'refund' RETURNING key")
    await hear(shop, shop.peer.give_back("1001", "by hand", 1000, payment="p1"))
    async with shop.database.transaction() as tx:
        with pytest.raises(Invalid) as refused:
            async with tx.savepoint():
                await service.replay(tx, CODE, ops=keys)
        assert refused.value.flaws[0].facts["amount"] == Money(3000, "BRL")
        with pytest.raises(Invalid) as refused:
            async with tx.savepoint():
                await service.replay(tx, CODE, ops=keys[:1])
        assert refused.value.flaws[0].facts["stuck"] == Money(2000, "BRL")
        await service.drop(tx, CODE, ops=keys[1:])
        assert await service.replay(tx, CODE, ops=keys[:1]) == 1


async def test_a_refund_asked_for_again_while_it_is_sent_again_does_not_wait_for_it(shop: Linked):
    await sold(shop)
    key = await ask(shop, 3000, "r1")
    await shop.rows(BURY, (key,))
    order_id = await ours(shop)
    async with shop.database.transaction() as again:
        # Half of `service.replay`: the operation first, then the order that it is of.
        await again.values(writes.REPLAY_OPS, {"connection_id": (await again.value(CONNECTION)), "keys": [key]})
        asked = asyncio.create_task(ask(shop, 3000, "r1"))
        while not asked.done() and not await waiting(shop.database):
            await asyncio.sleep(0.01)
        await ordering.lock_order(again, order_id)
    assert await asked is None, "it was asked for already"


async def test_a_refund_sent_again_counts_what_is_recorded_at_the_same_moment(shop: Linked):
    await sold(shop)
    key = await ask(shop, 3000, "r1")
    await shop.rows(BURY, (key,))
    order_id = await ours(shop)

    async def again():
        async with shop.database.transaction() as tx:
            await service.replay(tx, CODE, ops=[key])

    async with shop.database.transaction() as first:
        by_hand = Fact(position=1, kind=FactKind.REFUNDED, amount=2000, reference="by hand")
        await payments.record_fact(first, order_id, by_hand)
        second = asyncio.create_task(again())
        while not second.done() and not await waiting(shop.database):
            await asyncio.sleep(0.01)
        assert not second.done()
    with pytest.raises(Invalid) as refused:
        await second
    assert refused.value.flaws[0].facts["amount"] == Money(2000, "BRL")


async def test_a_dropped_refund_counts_no_more(shop: Linked):
    await sold(shop)
    key = await ask(shop, 3000, "r1")
    await shop.rows("UPDATE channel_op SET state = 'dead', cause = 'invalid' WHERE kind = 'refund' RETURNING key")
    async with shop.database.transaction() as tx:
        await service.drop(tx, CODE, ops=[key])
    assert (await left_beside(shop))[0] == str(Money(4000, "BRL"))


async def test_where_no_payment_is_known_no_more_goes_back_than_the_order_is_worth(shop: Linked):
    await hear(shop, shop.peer.sell("1001", lines=LINES))
    assert await shop.rows("SELECT id FROM tender") == []
    await ask(shop, 3000, "r1")
    await shop.tell()
    assert (await left_beside(shop))[0] == str(Money(1000, "BRL"))
    assert await ask(shop, 1000, "r2") is not None


async def test_goods_that_left_wait_for_a_person_and_the_money_is_recorded_all_the_same(shop: Linked):
    await sold(shop)
    await ship(shop)
    shop.peer.cancel_units("1001", "l1", 1)
    await hear(shop, shop.peer.give_back("1001", "r1", 1000, payment="p1"))
    ((cause, error),) = await shop.rows(PARKED)
    assert cause == "left"
    assert "3 units of line 1 have already left" in error
    assert await shop.rows(MONEY) == [BACK]
    assert await shop.rows(UNITS) == [("l1", "shipped", 3), ("l2", "shipped", 2)]


@pytest.mark.parametrize(
    ("refund", "why"),
    [
        ({"amount": 4001, "payment": "p1"}, "4001"),
        ({"amount": 4001}, "none has so much left"),
        ({"amount": 100, "payment": "p9"}, "of a payment that is not here: p9"),
    ],
)
async def test_more_money_than_came_waits_for_a_person(shop: Linked, refund, why):
    await sold(shop)
    shop.peer.give_back("1001", "r0", **refund)
    shop.peer.cancel_units("1001", "l2", 1)
    await hear(shop, shop.peer.give_back("1001", "r1", 1000, payment="p1"))
    ((cause, error),) = await shop.rows(PARKED)
    assert cause == "payment"
    assert why in error.replace(".", "").replace(",", "") or why in error
    assert await shop.rows(MONEY) == [BACK], "the good one is recorded"
    assert ("l2", "cancelled", 1) in await shop.rows(UNITS)


async def test_a_refund_under_way_counts_when_it_is_done_and_a_strange_one_waits(shop: Linked):
    await sold(shop)
    await hear(shop, shop.peer.give_back("1001", "r1", 1000, payment="p1", state="pending"))
    assert await shop.rows(MONEY) == []
    for state, count in (("failed", 0), ("done", 1), ("done", 1)):
        await hear(shop, shop.peer.sell("1001", refunds=[{"id": "r1", "amount": 1000, "state": state}]))
        assert len(await shop.rows(MONEY)) == count
    for state, amount, cause in (
        ("failed", 1000, "payment"),
        ("done", 900, "payment"),
        ("lost", 1000, "unknown_status"),
    ):
        refunds = [{"id": "r1", "amount": amount, "state": state}]
        await hear(shop, shop.peer.sell("1001", refunds=refunds))
        assert (await shop.values("SELECT cause FROM channel_inbox ORDER BY id DESC LIMIT 1")) == [cause]
    assert await shop.rows(MONEY) == [BACK]


async def test_once_a_person_made_room_the_same_message_is_applied(shop: Linked):
    await sold(shop)
    await hear(shop, shop.peer.sell("1001", refunds=[{"id": "r1", "amount": 1000, "payment": "p2"}]))
    assert await shop.rows(PARKED) != []
    shop.peer.sell("1001", payments=[*PAID, {"id": "p2", "method": "pix", "amount": 1000, "state": "captured"}])
    async with shop.database.transaction() as tx:
        (stuck,) = await stuck_reads.came(tx, await shop.id())
        await tx.execute(
            "UPDATE channel_inbox SET trust = 'hint', payload = '1001'::bytea WHERE id = %s::bigint", (stuck.id,)
        )
        await service.replay(tx, CODE, came=[stuck.id])
    await shop.settle()
    assert await shop.rows(PARKED) == []
    assert [amount for _, amount, *_ in await shop.rows(MONEY)] == [1000]


async def test_money_that_went_back_without_a_word_is_found_by_comparing(shop: Linked):
    await sold(shop)
    shop.peer.give_back("1001", "r1", 1000, payment="p1")
    assert await differences(shop) != []
    async with shop.database.transaction() as tx:
        (row,) = await reads.compared(tx, await shop.id())
    assert (row.differing, row.ours_refunded, row.theirs_refunded) == (["~1001"], 0, 1000)
    await shop.handle()
    assert await shop.rows(MONEY) == [BACK]
    assert await differences(shop) == []


async def test_cancelled_as_a_whole_with_its_money_given_back(shop: Linked):
    await sold(shop)
    shop.peer.give_back("1001", "r1", 4000, payment="p1")
    await hear(shop, shop.peer.sell("1001", status="cancelled"))
    assert await shop.values("SELECT status FROM sales_order") == ["cancelled"]
    assert [amount for _, amount, *_ in await shop.rows(MONEY)] == [4000]
    await drain(shop.database, SUBSCRIPTIONS)
    await shop.tell()
    assert shop.peer.cancellations == []


HOLDS = "SELECT kind, resolved_at IS NULL FROM order_hold ORDER BY placed_at, id"


async def test_of_a_cancelled_order_what_has_not_left_does_not_leave(shop: Linked):
    """Two units are on their way; the others are free again, and the customer is asked about those alone."""
    lines = [{"id": "l1", "sku": "A", "quantity": 52, "unit_price": 1000}]
    await hear(shop, shop.peer.sell("1001", lines=lines, payments=[{**PAID[0], "amount": 52_000}]))
    async with shop.database.transaction() as tx:
        works = await fulfillment.release_order(tx, await ours(shop))
        (small,) = [w.id for w in works if w.location_id == shop.world.locations["S1"]]
        await fulfillment.confirm_pick(tx, small)
        await fulfillment.pack(tx, small)
        await fulfillment.ship(tx, small)
    await hear(shop, shop.peer.sell("1001", status="cancelled"))
    assert await shop.rows(UNITS) == [("l1", "cancelled", 50), ("l1", "shipped", 2)]
    assert [cause for cause, _ in await shop.rows(PARKED)] == ["left"]
    assert await shop.rows(HOLDS) == [], "nothing is here that could leave"
    assert await shop.values("SELECT sum(allocated)::int FROM balance") == [0]


async def test_a_cancelled_order_under_a_document_does_not_leave_until_a_person_has_looked(shop: Linked):
    await sold(shop)
    order_id = await ours(shop)
    async with shop.database.transaction() as tx:
        (work,) = await fulfillment.release_order(tx, order_id)
        await fulfillment.confirm_pick(tx, work.id)
        await fulfillment.pack(tx, work.id)
        facts = DocumentFacts(access_key=an_access_key(shop.world))
        document = await fiscal.record_document(tx, work.id, facts)
    cancelled = shop.peer.sell("1001", status="cancelled")
    await hear(shop, cancelled)
    assert [cause for cause, _ in await shop.rows(PARKED)] == ["left"]
    assert await shop.rows(HOLDS) == [("channel_change", True)]
    async with shop.database.transaction() as tx:
        with pytest.raises(OrderStopped):
            await fulfillment.ship(tx, work.id)
    async with shop.database.transaction() as tx:
        await fiscal.cancel_document(tx, document.id, reason="cancelled")
    await hear(shop, shop.peer.sell("1001"))
    assert await shop.values("SELECT status FROM sales_order") == ["cancelled"]
    assert await shop.rows(HOLDS) == [("channel_change", False)]


async def test_an_order_that_its_channel_changed_does_not_leave_until_a_person_has_looked(shop: Linked):
    await sold(shop)
    there = shop.peer.orders["1001"]["ship_to"]
    elsewhere = {**there, "street": "Rua B", "postal_code": "04538132"}
    await hear(shop, shop.peer.sell("1001", ship_to=elsewhere))
    assert [cause for cause, _ in await shop.rows(PARKED)] == ["changed"]
    assert await shop.values("SELECT status FROM sales_order") == ["on_hold"]
    async with shop.database.transaction() as tx:
        with pytest.raises(ReleaseHeld):
            await fulfillment.release_order(tx, await ours(shop))
    async with shop.database.transaction() as tx:
        await holds.resolve_hold(tx, await ours(shop), HoldKind.CHANNEL_CHANGE, resolution="asked")
    await hear(shop, shop.peer.sell("1001"))
    assert await shop.rows(HOLDS) == [("channel_change", False)], "a person has looked at just that"
    await hear(shop, shop.peer.sell("1001", ship_to={**elsewhere, "street": "Rua C"}))
    assert await shop.rows(HOLDS) == [("channel_change", False), ("channel_change", True)]
    await hear(shop, shop.peer.sell("1001", ship_to=there))
    assert await shop.rows(HOLDS) == [("channel_change", False), ("channel_change", False)], "it is as it was taken"
    await ship(shop)
    await hear(shop, shop.peer.sell("1001", ship_to=elsewhere))
    assert len(await shop.rows(HOLDS)) == 2, "it has left"


def paid(state: str, amount: int = 4000, **more: Any) -> list[dict[str, Any]]:
    return [{**PAID[0], "state": state, "amount": amount, **more}]


LEDGER = "SELECT kind, amount FROM payment_entry ORDER BY id"


async def test_an_authorisation_that_its_channel_gave_up_secures_nothing(shop: Linked):
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE channel SET payment_policy = 'before_release'")
    await shop.gate.cache.anew()
    await hear(shop, shop.peer.sell("1001", lines=LINES, payments=paid("authorised")))
    assert await shop.values("SELECT status FROM sales_order") == ["allocated"]
    for _ in range(2):
        await hear(shop, shop.peer.sell("1001", payments=paid("declined")))
        await drain(shop.database, SUBSCRIPTIONS)
        assert await shop.rows(LEDGER) == [("authorised", 4000), ("voided", 4000)]
        assert await shop.values("SELECT status FROM sales_order") == ["awaiting_payment"]
    assert await shop.rows(PARKED) == []


async def test_what_is_captured_in_parts_is_recorded_part_by_part(shop: Linked):
    await hear(shop, shop.peer.sell("1001", lines=LINES, payments=paid("authorised")))
    for amount in (1500, 1500, 4000, 4000):
        await hear(shop, shop.peer.sell("1001", payments=paid("captured", amount)))
    assert await shop.rows(LEDGER) == [("authorised", 4000), ("captured", 1500), ("captured", 2500)]
    assert await shop.rows(PARKED) == []


async def test_what_is_left_of_an_authorisation_that_was_given_up_after_a_part_was_captured_secures_nothing(
    shop: Linked,
):
    async with shop.database.transaction() as tx:
        await tx.execute("UPDATE channel SET payment_policy = 'before_release'")
    await shop.gate.cache.anew()
    await hear(shop, shop.peer.sell("1001", lines=LINES, payments=paid("authorised")))
    await hear(shop, shop.peer.sell("1001", payments=paid("captured", 1500)))
    await drain(shop.database, SUBSCRIPTIONS)
    assert await shop.values("SELECT status FROM sales_order") == ["allocated"], "the rest may still be captured"
    for _ in range(2):
        await hear(shop, shop.peer.sell("1001", payments=paid("captured", 1500, given_up=True)))
        await drain(shop.database, SUBSCRIPTIONS)
        assert await shop.rows(LEDGER) == [("authorised", 4000), ("captured", 1500), ("voided", 2500)]
        assert await shop.values("SELECT status FROM sales_order") == ["awaiting_payment"]
    assert await shop.rows(PARKED) == []


async def test_money_that_is_told_together_with_a_cancel_is_recorded_and_what_was_given_back_of_it(shop: Linked):
    await hear(shop, shop.peer.sell("1001", lines=LINES, payments=paid("pending")))
    more = {"id": "p2", "method": "pix", "amount": 700, "state": "captured"}
    never = {"id": "p3", "method": "pix", "amount": 900, "state": "pending"}
    told = [*paid("captured"), more, never]
    shop.peer.give_back("1001", "r1", 4000, payment="p1")
    for _ in range(2):
        await hear(shop, shop.peer.sell("1001", status="cancelled", payments=told))
        assert await shop.rows(LEDGER) == [("captured", 4000), ("captured", 700), ("refunded", 4000)]
    assert await shop.rows(PARKED) == []
    assert await shop.values("SELECT refund_due FROM order_payment") == [700]
    assert await shop.values("SELECT count(*)::int FROM tender") == [2]


async def test_an_order_that_came_another_way_with_other_lines_does_not_leave_until_a_person_has_looked(shop: Linked):
    to = Address(postal_code="01310100", city="São Paulo", state="SP", street="Av. Paulista")
    typed = NewOrder(channel="web", external_id="1001", lines=[NewLine("A", 1, 1000)], ship_to=to)
    await shop.gate.submit(typed)
    await sold(shop)
    assert [cause for cause, _ in await shop.rows(PARKED)] == ["changed"]
    assert await shop.rows(HOLDS) == [("payment", True), ("channel_change", True)]
    async with shop.database.transaction() as tx:
        await holds.resolve_hold(tx, await ours(shop), HoldKind.CHANNEL_CHANGE, resolution="asked")
    await hear(shop, shop.peer.sell("1001"))
    assert await shop.rows(HOLDS) == [("payment", True), ("channel_change", False)], "a person has looked at just that"
    assert await shop.rows(LEDGER) == []


async def test_a_payment_arrives_though_the_order_was_changed_and_what_pays_the_change_waits_with_it(shop: Linked):
    await hear(shop, shop.peer.sell("1001", lines=LINES, payments=paid("pending")))
    more = [*LINES, {"id": "l3", "sku": "B", "quantity": 1, "unit_price": 500}]
    extra = {"id": "p2", "method": "pix", "amount": 500, "state": "captured"}
    await hear(shop, shop.peer.sell("1001", lines=more, payments=[*paid("captured"), extra]))
    assert [cause for cause, _ in await shop.rows(PARKED)] == ["changed"]
    assert await shop.rows(LEDGER) == [("captured", 4000)]


async def test_money_that_its_channel_declines_after_it_came_keeps_the_goods(shop: Linked):
    await sold(shop)
    shop.peer.cancel_units("1001", "l2", 1)
    await hear(shop, shop.peer.sell("1001", payments=paid("declined")))
    assert [cause for cause, _ in await shop.rows(PARKED)] == ["declined"]
    assert await shop.rows(HOLDS) == [("channel_change", True)]
    assert await shop.rows(LEDGER) == [("captured", 4000)]
    assert ("l2", "cancelled", 1) in await shop.rows(UNITS), "the rest of it is recorded"
    back = Fact(position=1, kind=FactKind.REFUNDED, amount=4000, reference="chargeback")
    async with shop.database.transaction() as tx:
        await payments.record_fact(tx, await ours(shop), back)
    await hear(shop, shop.peer.sell("1001"))
    assert await shop.rows(HOLDS) == [("channel_change", False)]


async def test_two_workers_that_hear_the_same_record_it_once(shop: Linked):
    await sold(shop)
    shop.peer.cancel_units("1001", "l1", 1)
    told = shop.peer.give_back("1001", "r1", 1000)
    for n in range(6):
        await shop.receive(shop.peer.webhook({**told, "version": told["version"] + n}))
    await asyncio.gather(*(shop.handle() for _ in range(4)))
    await shop.handle()
    assert await shop.rows(MONEY) == [BACK]
    assert ("l1", "cancelled", 1) in await shop.rows(UNITS)


class Post:
    """A channel's webhooks on a bad day: one in four is lost, one in four comes twice, none in its order."""

    def __init__(self, shop: Linked) -> None:
        self._shop = shop
        self._rng = random.Random(20261127)
        self._waiting: list[Sent] = []

    def say(self, order: dict[str, Any]) -> None:
        draw = self._rng.random()
        self._waiting += [self._shop.peer.webhook(order)] * (0 if draw < 0.25 else 2 if draw > 0.75 else 1)

    async def deliver(self) -> None:
        self._rng.shuffle(self._waiting)
        while self._waiting:
            await self._shop.receive(self._waiting.pop())
        await self._shop.handle()


async def test_a_full_loop_with_webhooks_lost_doubled_and_out_of_order_ends_without_a_difference(shop: Linked):
    """Sold, paid, cancelled in part on both sides, shipped, given back on both sides; the peer dies and comes back."""
    peer, post = shop.peer, Post(shop)
    ids = [f"{n}" for n in range(1001, 1013)]
    for id_ in ids:
        payment = {**PAID[0], "id": f"p{id_}"}
        post.say(peer.sell(id_, lines=LINES, payments=[{**payment, "state": "pending"}]))
        post.say(peer.sell(id_, payments=[payment]))
    await post.deliver()
    for id_ in ids[::3]:
        post.say(peer.cancel_units(id_, "l1", 1))
    for id_ in ids[::6]:
        post.say(peer.give_back(id_, f"r{id_}", 1000, payment=f"p{id_}"))
    post.say(peer.sell(ids[-1], status="cancelled"))
    await post.deliver()
    await peer.die()
    await shop.settle()
    await peer.rise()
    await shop.settle()
    assert await differences(shop) == []
    await _ship_all(shop, ids[:-1])
    peer.fail("POST /shipments", "commit_then_cut", times=3)
    peer.fail("POST /cancellations", "cut", times=2)
    peer.fail("POST /shipments", "status 500", times=2)
    await shop.tell(2)
    await peer.die()
    await shop.tell(2)
    await peer.rise()
    await shop.tell()
    for id_ in ids[:-1]:
        post.say(peer.orders[id_])
    for id_ in ids[1:4]:
        post.say(peer.give_back(id_, f"later-{id_}", 250, payment=f"p{id_}"))
    await post.deliver()
    await shop.settle()
    await drain(shop.database, SUBSCRIPTIONS)
    await shop.tell()
    assert sorted(s["order"] for s in peer.shipments) == ids[:-1]
    assert await differences(shop) == []
    assert await shop.rows(PARKED) == []
    assert await shop.values("SELECT DISTINCT state FROM channel_op") == ["done"]
    given = sum(r["amount"] for o in peer.orders.values() for r in o.get("refunds", ()))
    assert sum(amount for _, amount, *_ in await shop.rows(MONEY)) == given


async def _ship_all(shop: Linked, ids: list[str]) -> None:
    """Cancel a unit of some orders here, and let all leave."""
    await drain(shop.database, SUBSCRIPTIONS)  # money that came lifts the hold on its order
    for n, id_ in enumerate(ids):
        if n % 5 == 1:
            async with shop.database.transaction() as tx:
                order_id = await tx.value("SELECT id FROM sales_order WHERE external_id = %s::text", (id_,))
                await cancelling.cancel(tx, order_id, reason="damaged", wishes=[CancelWish(2, 1)])
        await ship(shop, id_)
    await drain(shop.database, SUBSCRIPTIONS)
