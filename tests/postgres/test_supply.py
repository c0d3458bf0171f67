"""What is expected and what arrives: receipts match orders, go into their buckets once, and can be taken back."""

import asyncio
from datetime import date, timedelta
from typing import Any

import pytest
from supply_rows import ANA, CENTRE, DAY, LEAD, OTHER, SHOP, a_retailer, an_order, there

from malha.inventory import service as stock
from malha.inventory.buckets.errors import NotInBucket
from malha.inventory.buckets.model import Bucket
from malha.inventory.model import Claim, Reference
from malha.inventory.supply import reads, service
from malha.inventory.supply.errors import (
    DocumentReceived,
    InboundDiffers,
    InboundEnded,
    OverReceipt,
    ReceiptDiffers,
    ReceiptUndone,
    UnknownInbound,
)
from malha.inventory.supply.model import InboundState, ReceiptDraft, Received, ReceivedLine
from malha.platform.db import SYSTEM, Actor, Database, Tx
from malha.platform.errors import Forbidden
from malha.platform.flaws import Invalid
from malha.platform.ids import UUID, new_id


@pytest.fixture
async def shop(database: Database) -> Database:
    return await a_retailer(database)


async def place(shop: Database, *lines: tuple[int, int], **options: object) -> tuple[UUID, int]:
    async with shop.transaction(LEAD) as tx:
        placed = await service.place_order(tx, an_order(*lines, **options))  # type: ignore[arg-type]
    return placed.id, placed.number


async def take(
    db: Database,
    order: UUID | None,
    *lines: ReceivedLine,
    actor: Actor = LEAD,
    accept: bool = False,
    id_: UUID | None = None,
) -> Received:
    draft = ReceiptDraft(id=id_ or new_id(), location_id=SHOP, lines=list(lines), order_id=order, accept_over=accept)
    async with db.transaction(actor) as tx:
        return await service.receive(tx, draft)


async def state_of(db: Database, number: int) -> tuple[str, list[tuple[int, int, int]]]:
    async with db.snapshot() as tx:
        order = await reads.order(tx, number)
        assert order is not None
        lines = await reads.order_lines(tx, order.id)
        return str(order.state), [(line.received, line.dropped, line.expected) for line in lines]


async def test_the_same_order_of_a_supplier_is_placed_once(shop: Database) -> None:
    first = await place(shop, (1, 5), reference="OC-1")
    assert await place(shop, (1, 5), reference="OC-1") == first
    async with shop.snapshot() as tx:
        assert [(i.day, i.quantity, i.source) for i in await reads.incoming(tx, [1])] == [(DAY, 5, "purchase")]


async def test_an_order_under_a_reference_that_is_taken_by_another_is_refused_and_not_passed_over(
    shop: Database,
) -> None:
    await place(shop, (1, 5), reference="OC-1")
    for lines in (((1, 6),), ((1, 5), (2, 1)), ((2, 5),)):
        with pytest.raises(InboundDiffers):
            await place(shop, *lines, reference="OC-1")
    await place(shop, (1, 2), (1, 3), reference="OC-1")  # the same goods on two lines
    async with shop.snapshot() as tx:
        assert [(i.day, i.quantity, i.source) for i in await reads.incoming(tx, [1])] == [(DAY, 5, "purchase")]


async def test_a_receipt_in_parts_ends_the_order_and_what_is_expected(shop: Database) -> None:
    order, number = await place(shop, (1, 5), (2, 3))
    await take(shop, order, ReceivedLine(1, 2), ReceivedLine(2, 3))
    assert await state_of(shop, number) == ("partial", [(2, 0, 3), (3, 0, 0)])
    async with shop.snapshot() as tx:
        assert [(i.sku_id, i.quantity) for i in await reads.incoming(tx, [1, 2])] == [(1, 3)]
    await take(shop, order, ReceivedLine(1, 3))
    assert await state_of(shop, number) == ("received", [(5, 0, 0), (3, 0, 0)])
    async with shop.snapshot() as tx:
        assert await there(tx, 1, SHOP) == {"sellable": 5}
    with pytest.raises(InboundEnded):
        await take(shop, order, ReceivedLine(1, 1))


async def test_damaged_and_doubtful_goods_go_into_their_buckets_and_cannot_be_sold(shop: Database) -> None:
    order, _ = await place(shop, (1, 10))
    await take(
        shop, order, ReceivedLine(1, 6), ReceivedLine(1, 3, Bucket.QUALITY_CONTROL), ReceivedLine(1, 1, Bucket.DAMAGED)
    )
    async with shop.transaction(LEAD) as tx:
        assert await there(tx, 1, SHOP) == {"sellable": 6, "quality_control": 3, "damaged": 1}
        await service.move_by_hand(tx, SHOP, [(1, 3)], Bucket.QUALITY_CONTROL, Bucket.SELLABLE)
        assert await there(tx, 1, SHOP) == {"sellable": 9, "damaged": 1}
    with pytest.raises(NotInBucket):
        async with shop.transaction(LEAD) as tx:
            await service.move_by_hand(tx, SHOP, [(1, 2)], Bucket.DAMAGED, Bucket.SELLABLE)


async def test_more_than_ordered_is_refused_within_the_tolerance_taken_and_beyond_it_only_by_an_approver(
    shop: Database,
) -> None:
    order, number = await place(shop, (1, 10), over=10)
    with pytest.raises(OverReceipt) as refused:
        await take(shop, order, ReceivedLine(1, 12), actor=ANA)
    assert refused.value.facts["problems"][0]["facts"] == {"sku": "CAM-P", "allowed": 11, "units": 12}
    with pytest.raises(Forbidden):
        await take(shop, order, ReceivedLine(1, 12), actor=ANA, accept=True)
    await take(shop, order, ReceivedLine(1, 11), actor=ANA)
    assert await state_of(shop, number) == ("received", [(11, 0, 0)])
    other, _ = await place(shop, (1, 1))
    with pytest.raises(OverReceipt):
        await take(shop, other, ReceivedLine(2, 1))
    await take(shop, order, ReceivedLine(1, 1), ReceivedLine(2, 2), accept=True)
    async with shop.snapshot() as tx:
        assert await there(tx, 1, SHOP) == {"sellable": 12}
        assert await there(tx, 2, SHOP) == {"sellable": 2}


async def test_goods_fill_the_earliest_of_two_lines_of_a_sku(shop: Database) -> None:
    order, number = await place(shop, (1, 4), (1, 4))
    async with shop.transaction(LEAD) as tx:
        await service.reschedule(tx, number, {1: date(2026, 12, 24)}, "ship is late")
    await take(shop, order, ReceivedLine(1, 5))
    assert await state_of(shop, number) == ("partial", [(1, 0, 3), (4, 0, 0)])


async def test_a_moved_date_keeps_its_history_and_is_told(shop: Database) -> None:
    _, number = await place(shop, (1, 4))
    async with shop.transaction(LEAD) as tx:
        assert await service.reschedule(tx, number, {1: date(2026, 12, 24)}, "strike in the port") == 1
        assert await service.reschedule(tx, number, {1: date(2026, 12, 24)}, "again") == 0
    async with shop.transaction() as tx:
        order = await reads.order(tx, number)
        assert order is not None
        (line,) = await reads.order_lines(tx, order.id)
        assert [(m.was, m.became, m.reason) for m in line.moves] == [(DAY, date(2026, 12, 24), "strike in the port")]
        told = await tx.values("SELECT payload ->> 'moves' FROM outbox WHERE type = 'inbound.rescheduled'")
        assert len(told) == 1
        assert "2026-12-24" in told[0]
        trail = await tx.tuples("SELECT before, after FROM audit WHERE action = 'reschedule'")
        assert trail == [
            (
                {"lines": {"1 CAM-P": {"eta": "2026-12-10"}}, "reason": None},
                {"lines": {"1 CAM-P": {"eta": "2026-12-24"}}, "reason": "strike in the port"},
            )
        ]


async def test_what_does_not_come_is_given_up_with_a_reason(shop: Database) -> None:
    order, number = await place(shop, (1, 5), (2, 5))
    await take(shop, order, ReceivedLine(1, 3))
    async with shop.transaction(LEAD) as tx:
        with pytest.raises(Invalid):
            await service.drop_lines(tx, number, None, " ")
    async with shop.transaction(LEAD) as tx:
        assert await service.drop_lines(tx, number, [1], "out of fabric") == 2
        assert await service.drop_lines(tx, number, None, "supplier closed") == 5
    assert await state_of(shop, number) == ("closed", [(3, 2, 0), (0, 5, 0)])
    _, untouched = await place(shop, (1, 5))
    async with shop.transaction(LEAD) as tx:
        await service.drop_lines(tx, untouched, None, "too dear")
    assert (await state_of(shop, untouched))[0] == InboundState.CANCELLED


async def test_a_receipt_sent_twice_at_once_is_received_once(shop: Database) -> None:
    order, number = await place(shop, (1, 5))
    id_ = new_id()
    done = await asyncio.gather(*(take(shop, order, ReceivedLine(1, 5), id_=id_) for _ in range(4)))
    assert sorted(d.repeated for d in done) == [False, True, True, True]
    assert len({d.number for d in done}) == 1
    assert await state_of(shop, number) == ("received", [(5, 0, 0)])


async def by_document(db: Database, *lines: ReceivedLine, order: UUID | None = None, again: bool = False) -> str | None:
    draft = ReceiptDraft(
        id=new_id(), location_id=SHOP, lines=list(lines), order_id=order, document="NF-e 4417_A", same_document=again
    )
    try:
        async with db.transaction(LEAD) as tx:
            return f"R{(await service.receive(tx, draft)).number}"
    except DocumentReceived as refused:
        return f"as {refused.facts['number']}"


async def test_a_delivery_that_two_people_take_in_by_its_note_is_received_once(shop: Database) -> None:
    order, number = await place(shop, (1, 30))
    good, broken = ReceivedLine(1, 9), ReceivedLine(1, 1, Bucket.DAMAGED)
    taken = await asyncio.gather(*(by_document(shop, good, broken) for _ in range(4)))
    assert sorted(str(one) for one in taken) == ["R1", "as R1", "as R1", "as R1"]
    # With the order, and in another condition: they are the same goods. Fewer are another part of the delivery.
    assert await by_document(shop, ReceivedLine(1, 10), order=order) == "as R1"
    part = await by_document(shop, ReceivedLine(1, 3), order=order)
    assert await by_document(shop, ReceivedLine(1, 3), order=order) == f"as {part}"
    assert await by_document(shop, ReceivedLine(1, 3), order=order, again=True) is not None
    async with shop.snapshot() as tx:
        assert await there(tx, 1, SHOP) == {"sellable": 15, "damaged": 1}
    assert (await state_of(shop, number))[1] == [(6, 0, 24)]


async def test_goods_whose_receipt_was_taken_back_are_received_anew_by_the_same_note(shop: Database) -> None:
    wrong = await by_document(shop, ReceivedLine(1, 10))
    assert wrong is not None
    async with shop.transaction(LEAD) as tx:
        await service.undo_receipt(tx, int(wrong.removeprefix("R")), "Another shop's")
    assert await by_document(shop, ReceivedLine(1, 10)) not in {None, f"as {wrong}"}


async def test_other_goods_under_the_id_of_a_receipt_are_refused_and_not_lost(shop: Database) -> None:
    order, _ = await place(shop, (1, 5), (2, 5))
    id_ = new_id()
    first = await take(shop, order, ReceivedLine(1, 3), id_=id_)
    for other in (ReceivedLine(1, 2), ReceivedLine(2, 3), ReceivedLine(1, 3, Bucket.DAMAGED)):
        with pytest.raises(ReceiptDiffers) as refused:
            await take(shop, order, other, id_=id_)
        assert refused.value.facts["number"] == first.number
    with pytest.raises(ReceiptDiffers):
        await take(shop, None, ReceivedLine(1, 3), id_=id_)
    assert (await take(shop, order, ReceivedLine(1, 1), ReceivedLine(1, 2), id_=id_)).repeated


async def test_two_receivers_cannot_together_take_more_than_was_ordered(shop: Database) -> None:
    order, number = await place(shop, (1, 5))

    async def one() -> bool:
        try:
            await take(shop, order, ReceivedLine(1, 3), actor=ANA)
        except OverReceipt:
            return False
        return True

    assert sorted(await asyncio.gather(one(), one(), one())) == [False, False, True]
    assert await state_of(shop, number) == ("partial", [(3, 0, 2)])


async def test_a_receipt_is_taken_back_once_by_counter_movements(shop: Database) -> None:
    order, number = await place(shop, (1, 5))
    done = await take(shop, order, ReceivedLine(1, 4), ReceivedLine(1, 1, Bucket.DAMAGED))

    async def undo() -> bool:
        try:
            async with shop.transaction(LEAD) as tx:
                await service.undo_receipt(tx, done.number, "wrong store")
        except ReceiptUndone:
            return False
        return True

    assert sorted(await asyncio.gather(undo(), undo())) == [False, True]
    assert await state_of(shop, number) == ("open", [(0, 0, 5)])
    async with shop.snapshot() as tx:
        assert await there(tx, 1, SHOP) == {}
        reasons = await tx.values("SELECT reason FROM movement ORDER BY id")
        assert sorted(reasons) == ["receipt", "receipt", "receipt_undone", "receipt_undone"]


async def test_a_receipt_that_was_taken_back_is_not_repeated_by_its_id(shop: Database) -> None:
    done = await take(shop, None, ReceivedLine(3, 7))
    async with shop.transaction(LEAD) as tx:
        await service.undo_receipt(tx, done.number, "wrong store")
    with pytest.raises(ReceiptUndone):
        await take(shop, None, ReceivedLine(3, 7), id_=done.id)
    async with shop.snapshot() as tx:
        assert await there(tx, 3, SHOP) == {}


async def test_goods_without_an_order_are_received_too(shop: Database) -> None:
    done = await take(shop, None, ReceivedLine(3, 7), actor=ANA)
    async with shop.snapshot() as tx:
        (row,) = await reads.receipts(tx, reads.ReceiptsWanted(number=done.number))
        assert (row.order_number, row.units, row.unsellable) == (None, 7, 0)
        assert await there(tx, 3, SHOP) == {"sellable": 7}


async def test_orders_of_other_places_are_not_there_for_a_limited_person(shop: Database) -> None:
    _, number = await place(shop, (1, 5), place=CENTRE)
    async with shop.transaction(ANA) as tx:
        with pytest.raises(UnknownInbound):
            await service.drop_lines(tx, number, None, "mine now")


async def sold_twice(tx: Tx) -> int:
    return int(await tx.value("SELECT count(*) FROM stock_deficit WHERE resolved_at IS NULL"))


async def test_taking_back_what_is_promised_leaves_a_deficit_for_a_person(shop: Database) -> None:
    done = await take(shop, None, ReceivedLine(1, 5))
    async with shop.transaction(SYSTEM) as tx:
        assert await stock.place_hold(tx, "cart-1", [Claim(1, SHOP, 5)], seconds=60) == []
        assert await stock.convert_hold(tx, "cart-1", Reference("order", new_id())) is not None
    async with shop.transaction(LEAD) as tx:
        left = await service.undo_receipt(tx, done.number, "never came")
        assert [(d.sku_id, d.quantity) for d in left] == [(1, 5)]
        assert await sold_twice(tx) == 1
        await tx.execute("UPDATE balance SET allocated = 0 WHERE sku_id = 1")  # no order stands behind this claim
        await tx.execute(
            "INSERT INTO movement (sku_id, location_id, d_allocated, reason) VALUES (1, %(place)s, -5, 'cancel')",
            {"place": SHOP},
        )
        await tx.execute("UPDATE stock_deficit SET resolved_at = now()")


async def listed(db: Database, **terms: Any) -> list[int]:
    async with db.snapshot() as tx:
        return [row.number for row in await reads.receipts(tx, reads.ReceiptsWanted(**terms))]


async def test_receipts_are_found_by_what_is_on_them_and_narrowed_by_what_they_came_with(shop: Database) -> None:
    order, _number = await place(shop, (1, 5), (2, 5))
    with_order = (await take(shop, order, ReceivedLine(1, 5))).number
    alone = (await take(shop, None, ReceivedLine(2, 1))).number
    async with shop.transaction(LEAD) as tx:
        document = ReceiptDraft(id=new_id(), location_id=OTHER, lines=[ReceivedLine(3, 2)], document="NF 778_9")
        elsewhere = (await service.receive(tx, document)).number
        await service.undo_receipt(tx, elsewhere, "wrong shop")
    assert await listed(shop) == [elsewhere, alone, with_order]
    assert await listed(shop, text=f"r{alone}") == await listed(shop, text=str(alone)) == [alone]
    assert await listed(shop, text="P1") == [with_order]
    assert await listed(shop, text="T1") == []
    assert await listed(shop, text="778_9") == [elsewhere]
    assert await listed(shop, text="cam-m") == await listed(shop, text="7891000053508") == [alone]
    assert await listed(shop, location_id=SHOP) == await listed(shop, scope=(SHOP,)) == [alone, with_order]
    assert await listed(shop, came_with=reads.CameWith.ORDER) == [with_order]
    assert await listed(shop, came_with=reads.CameWith.TRANSFER) == []
    assert await listed(shop, came_with=reads.CameWith.NONE) == [elsewhere, alone]
    assert await listed(shop, came_with=reads.CameWith.UNDONE) == [elsewhere]
    async with shop.snapshot() as tx:
        now = await tx.now()
    assert await listed(shop, since=now + timedelta(hours=1)) == []
    assert await listed(shop, until=now + timedelta(hours=1), text="CAM-P") == [with_order]
