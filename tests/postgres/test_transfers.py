"""Transfers: no unit is made or lost, whatever arrives, whoever acts at once, and whatever stops in the middle."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta

import pytest
from supply_rows import ANA, CENTRE, LEAD, OTHER, SHOP, SKUS, a_retailer, there

from malha.inventory import service as stock
from malha.inventory.buckets.model import Bucket
from malha.inventory.model import Claim, Reason, Reference
from malha.inventory.supply import reads as supply
from malha.inventory.supply.errors import ReceiptDiffers
from malha.inventory.transfers import reads, service
from malha.inventory.transfers.errors import (
    DocumentNeeded,
    NotEnoughToTransfer,
    NotYourEnd,
    UnknownDiscrepancy,
    UnknownTransfer,
    WrongTransferState,
)
from malha.inventory.transfers.model import Arrival, Arrived, Decision, Departure, Outcome, TransferDraft, TransferState
from malha.platform.db import Actor, Database
from malha.platform.errors import Forbidden
from malha.platform.flaws import Invalid
from malha.platform.ids import UUID, new_id
from malha.testing.builders import in_days

DAY = in_days(30)  # when a transfer is expected: later than any other day here, whenever this runs
UNITS = 10


@pytest.fixture
async def shop(database: Database) -> Database:
    return await a_retailer(database, units=UNITS)


async def ask(db: Database, *lines: tuple[int, int], origin: int = CENTRE, destination: int = SHOP) -> int:
    draft = TransferDraft(origin_id=origin, destination_id=destination, lines=list(lines), eta=DAY)
    async with db.transaction(LEAD) as tx:
        return await service.request(tx, draft)


async def approve(db: Database, number: int, quantities: Mapping[int, int] | None = None) -> None:
    async with db.transaction(LEAD) as tx:
        await service.approve(tx, number, quantities)


async def ship(db: Database, number: int, **departure: object) -> None:
    async with db.transaction(LEAD) as tx:
        await service.ship(tx, number, Departure(**departure))  # type: ignore[arg-type]


async def sent(db: Database, *lines: tuple[int, int], document: str | None = None, **options: int) -> int:
    number = await ask(db, *lines, **options)
    await approve(db, number)
    await ship(db, number, document=document)
    return number


async def arrive(
    db: Database, number: int, *lines: Arrived, actor: Actor = ANA, complete: bool = True, id_: UUID | None = None
) -> Outcome:
    async with db.transaction(actor) as tx:
        return await service.receive(tx, number, Arrival(id=id_ or new_id(), lines=list(lines), complete=complete))


async def open_discrepancies(db: Database, number: int) -> list[tuple[UUID, str, int]]:
    async with db.snapshot() as tx:
        transfer = await reads.transfer(tx, number)
        assert transfer is not None
        return [(d.id, d.kind, d.quantity) for d in await reads.discrepancies(tx, transfer.id) if d.decision is None]


async def decide(db: Database, number: int, decision: Decision, **options: object) -> None:
    ((id_, _, _),) = await open_discrepancies(db, number)
    async with db.transaction(LEAD) as tx:
        await service.decide(tx, number, id_, decision, **options)  # type: ignore[arg-type]


async def state(db: Database, number: int) -> str:
    async with db.snapshot() as tx:
        found = await reads.transfer(tx, number)
        assert found is not None
        return str(found.state)


async def everything(db: Database, sku: int = 1) -> int:
    """Units of a SKU, wherever they are."""
    async with db.snapshot() as tx:
        return sum([sum((await there(tx, sku, place)).values()) for place in (CENTRE, SHOP, OTHER)])


async def test_goods_are_set_aside_then_on_their_way_then_there(shop: Database) -> None:
    number = await ask(shop, (1, 4))
    await approve(shop, number)
    async with shop.transaction() as tx:
        assert await stock.place_hold(tx, "cart", [Claim(1, CENTRE, 7)], seconds=60) != []
        assert [(i.source, i.day, i.quantity) for i in await supply.incoming(tx, [1], [SHOP])] == [("transfer", DAY, 4)]
    await ship(shop, number)
    async with shop.snapshot() as tx:
        assert await there(tx, 1, CENTRE) == {"sellable": 6}
        assert await there(tx, 1, SHOP) == {"sellable": 10, "in_transit": 4}
        assert [(i.location_id, i.quantity) for i in await supply.incoming(tx, [1])] == [(SHOP, 4)]
    done = await arrive(shop, number, Arrived(1, 4))
    assert (done.state, done.missing, done.deficits) == ("closed", 0, [])
    async with shop.snapshot() as tx:
        assert await there(tx, 1, SHOP) == {"sellable": 14}
        assert await supply.incoming(tx, [1]) == []
    assert await everything(shop) == 3 * UNITS


async def test_what_is_not_free_at_the_origin_is_not_approved_until_less_is(shop: Database) -> None:
    number = await ask(shop, (1, 11), (2, 3))
    with pytest.raises(NotEnoughToTransfer) as refused:
        await approve(shop, number)
    assert refused.value.facts["problems"] == [
        {"at": "/quantities/1", "says": "Only {free} are free.", "facts": {"free": 10}}
    ]
    await approve(shop, number, {1: 9, 2: 0})
    await ship(shop, number)
    async with shop.snapshot() as tx:
        assert await there(tx, 1, SHOP) == {"sellable": 10, "in_transit": 9}
        assert await there(tx, 2, SHOP) == {"sellable": 10}


async def test_goods_leave_for_another_establishment_only_with_a_document(shop: Database) -> None:
    number = await ask(shop, (1, 2), destination=OTHER)
    await approve(shop, number)
    with pytest.raises(DocumentNeeded):
        await ship(shop, number)
    await ship(shop, number, document="NF-e 1234")
    async with shop.snapshot() as tx:
        found = await reads.transfer(tx, number)
        assert found is not None
        assert (found.document, found.state) == ("NF-e 1234", "shipped")


async def test_goods_need_a_document_too_where_an_end_got_another_owner_since_they_were_asked_for(
    shop: Database,
) -> None:
    number = await ask(shop, (1, 2), destination=SHOP)
    await approve(shop, number)
    async with shop.transaction() as tx:
        other = await tx.value("SELECT establishment_id FROM location WHERE id = %(id)s", {"id": OTHER})
        await tx.execute("UPDATE location SET owner_id = %(owner)s WHERE id = %(id)s", {"owner": other, "id": SHOP})
    with pytest.raises(DocumentNeeded):
        await ship(shop, number)
    await ship(shop, number, document="NF-e 1234")
    await arrive(shop, number, Arrived(1, 2))


async def test_each_end_does_its_own_steps_and_only_some_approve(shop: Database) -> None:
    number = await ask(shop, (1, 2))
    with pytest.raises(Forbidden):
        async with shop.transaction(ANA) as tx:
            await service.approve(tx, number)
    await approve(shop, number)
    with pytest.raises(NotYourEnd):
        async with shop.transaction(ANA) as tx:
            await service.ship(tx, number, Departure())
    await ship(shop, number)
    await arrive(shop, number, Arrived(1, 2), actor=ANA)


async def test_missing_units_stay_on_their_way_until_it_is_said_what_became_of_them(shop: Database) -> None:
    number = await sent(shop, (1, 6))
    done = await arrive(shop, number, Arrived(1, 2))
    assert (done.state, done.missing) == ("received", 4)
    async with shop.snapshot() as tx:
        assert await there(tx, 1, SHOP) == {"sellable": 12, "in_transit": 4}
    await decide(shop, number, Decision.FOUND_AT_ORIGIN, units=1)
    await decide(shop, number, Decision.ARRIVED_LATE, units=1)
    async with shop.snapshot() as tx:
        assert await there(tx, 1, CENTRE) == {"sellable": 5}
        assert await there(tx, 1, SHOP) == {"sellable": 13, "in_transit": 2}
    with pytest.raises(Invalid):
        await decide(shop, number, Decision.CARRIER_CLAIM)
    await decide(shop, number, Decision.CARRIER_CLAIM, reference="SIN-77", units=1)
    assert await state(shop, number) == "received"
    await decide(shop, number, Decision.LOST)
    assert await state(shop, number) == "closed"
    assert await everything(shop) == 3 * UNITS - 2
    async with shop.snapshot() as tx:
        lost = await tx.values("SELECT d_on_hand FROM movement WHERE reason = 'loss'")
        assert lost == [-1, -1]


async def test_damaged_units_are_kept_apart_and_written_off_by_decision(shop: Database) -> None:
    number = await sent(shop, (1, 3))
    await arrive(shop, number, Arrived(1, 2), Arrived(1, 1, Bucket.DAMAGED))
    async with shop.snapshot() as tx:
        assert await there(tx, 1, SHOP) == {"sellable": 12, "damaged": 1}
    await decide(shop, number, Decision.LOST, note="broken")
    assert await state(shop, number) == "closed"
    assert await everything(shop) == 3 * UNITS - 1


@pytest.mark.parametrize(
    ("decision", "origin", "total"),
    [(Decision.TAKEN_FROM_ORIGIN, 7, 3 * UNITS), (Decision.KEPT, 8, 3 * UNITS + 1)],
)
async def test_units_nobody_sent_are_examined_and_come_from_the_origin_or_are_found(
    shop: Database, decision: Decision, origin: int, total: int
) -> None:
    number = await sent(shop, (1, 2))
    done = await arrive(shop, number, Arrived(1, 3))
    assert (done.state, done.excess) == ("received", 1)
    async with shop.snapshot() as tx:
        assert await there(tx, 1, SHOP) == {"sellable": 12, "quality_control": 1}
    await decide(shop, number, decision)
    async with shop.snapshot() as tx:
        assert await there(tx, 1, SHOP) == {"sellable": 13}
        assert await there(tx, 1, CENTRE) == {"sellable": origin}
    assert await everything(shop) == total


async def test_a_sku_that_was_not_sent_has_a_line_of_its_own(shop: Database) -> None:
    number = await sent(shop, (1, 2))
    await arrive(shop, number, Arrived(1, 2), Arrived(3, 1))
    ((_, kind, quantity),) = await open_discrepancies(shop, number)
    assert (kind, quantity) == ("excess", 1)
    async with shop.snapshot() as tx:  # of what nobody asked for nothing was asked
        assert await tx.values("SELECT asked FROM transfer_line ORDER BY line") == [2, 0]
    await decide(shop, number, Decision.TAKEN_FROM_ORIGIN)
    async with shop.snapshot() as tx:
        assert await there(tx, 3, CENTRE) == {"sellable": 9}
        assert await there(tx, 3, SHOP) == {"sellable": 11}


async def test_an_arrival_in_parts_is_complete_when_somebody_says_so(shop: Database) -> None:
    number = await sent(shop, (1, 5))
    assert (await arrive(shop, number, Arrived(1, 2), complete=False)).state == "shipped"
    assert await open_discrepancies(shop, number) == []
    assert (await arrive(shop, number, Arrived(1, 2))).missing == 1


async def test_a_cancelled_transfer_frees_what_was_set_aside_and_one_that_left_is_not_cancelled(shop: Database) -> None:
    number = await ask(shop, (1, 10))
    await approve(shop, number)
    async with shop.transaction(LEAD) as tx:
        await service.cancel(tx, number, "not needed")
        assert await stock.place_hold(tx, "cart", [Claim(1, CENTRE, 10)], seconds=60) == []
    number = await sent(shop, (2, 1))
    with pytest.raises(WrongTransferState):
        async with shop.transaction(LEAD) as tx:
            await service.cancel(tx, number, "too late")


async def test_stock_that_a_count_took_away_leaves_a_deficit_at_the_origin_not_a_refusal(shop: Database) -> None:
    number = await ask(shop, (1, 8))
    await approve(shop, number)
    async with shop.transaction() as tx:
        await stock.adjust(tx, [Claim(1, CENTRE, -9)], Reason.LOSS, Reference("test"))
    await ship(shop, number)
    async with shop.snapshot() as tx:
        assert await there(tx, 1, CENTRE) == {"sellable": -7}
    await arrive(shop, number, Arrived(1, 8))
    assert await everything(shop) == 3 * UNITS - 9
    async with shop.transaction() as tx:
        assert await tx.values("SELECT quantity FROM stock_deficit WHERE resolved_at IS NULL") == [7]
        await stock.adjust(tx, [Claim(1, CENTRE, 7)], Reason.FOUND, Reference("test"))


async def test_two_people_who_do_the_same_step_do_it_once(shop: Database) -> None:
    number = await ask(shop, (1, 4))
    await approve(shop, number)

    async def leave() -> bool:
        try:
            await ship(shop, number)
        except WrongTransferState:
            return False
        return True

    assert sorted(await asyncio.gather(*(leave() for _ in range(4)))) == [False, False, False, True]
    id_ = new_id()
    done = await asyncio.gather(*(arrive(shop, number, Arrived(1, 3), id_=id_) for _ in range(4)))
    assert sorted(d.repeated for d in done) == [False, True, True, True]
    with pytest.raises(ReceiptDiffers):
        await arrive(shop, number, Arrived(1, 4), id_=id_)
    with pytest.raises(ReceiptDiffers):
        await arrive(shop, number, Arrived(1, 3), complete=False, id_=id_)
    async with shop.snapshot() as tx:
        assert await there(tx, 1, SHOP) == {"sellable": 13, "in_transit": 1}
    ((first, _, _),) = await open_discrepancies(shop, number)

    async def lose() -> bool:
        try:
            async with shop.transaction(LEAD) as tx:
                await service.decide(tx, number, first, Decision.LOST)
        except UnknownDiscrepancy:
            return False
        return True

    assert sorted(await asyncio.gather(lose(), lose())) == [False, True]


async def test_transfers_both_ways_while_carts_hold_neither_lose_units_nor_deadlock(shop: Database) -> None:
    async def there_and_back(n: int) -> None:
        origin, destination = (CENTRE, SHOP) if n % 2 else (SHOP, CENTRE)
        lines = [(sku, 1) for sku in (SKUS if n % 3 else reversed(SKUS))]
        number = await sent(shop, *lines, origin=origin, destination=destination)
        await arrive(shop, number, *(Arrived(sku, 1) for sku, _ in lines), actor=LEAD)

    async def hold(n: int) -> None:
        async with shop.transaction() as tx:
            await stock.place_hold(tx, f"cart-{n}", [Claim(1, CENTRE, 1), Claim(2, SHOP, 1)], seconds=60)
        async with shop.transaction() as tx:
            await stock.release_hold(tx, f"cart-{n}")

    await asyncio.gather(*(there_and_back(n) for n in range(6)), *(hold(n) for n in range(5)))
    assert [await everything(shop, sku) for sku in SKUS] == [3 * UNITS] * len(SKUS)


async def without_a_day(db: Database) -> tuple[int, tuple[object, bool]]:
    """Send one unit to the shop without saying when it comes; return the transfer and when it is expected."""
    draft = TransferDraft(origin_id=CENTRE, destination_id=SHOP, lines=[(1, 1)])
    async with db.transaction(LEAD) as tx:
        number = await service.request(tx, draft)
    await approve(db, number)
    await ship(db, number)
    async with db.snapshot() as tx:
        found = await reads.transfer(tx, number)
        assert found is not None
    return number, (found.eta, found.eta_usual)


async def test_goods_that_leave_without_a_day_are_expected_after_the_days_the_way_usually_takes(shop: Database) -> None:
    took = (1, 6, 30)
    for days in took:
        number, expected = await without_a_day(shop)
        await arrive(shop, number, Arrived(1, 1))
        if days == took[0]:  # nothing came this way so far
            assert expected == (in_days(service.USUAL_DAYS), True)
        async with shop.transaction() as tx:
            long_ago = {"number": number, "by": timedelta(days=days)}
            await tx.execute(
                "UPDATE transfer_shipment s SET shipped_at = s.shipped_at - %(by)s::interval"
                " FROM transfer t WHERE t.id = s.transfer_id AND t.number = %(number)s",
                long_ago,
            )
    await without_a_day(shop)  # what is on its way says nothing yet
    _, expected = await without_a_day(shop)
    assert expected == (in_days(6), True)


async def test_a_day_that_was_stated_when_goods_were_asked_for_stays(shop: Database) -> None:
    number = await sent(shop, (1, 1))
    async with shop.snapshot() as tx:
        found = await reads.transfer(tx, number)
    assert found is not None
    assert (found.eta, found.eta_usual) == (DAY, False)


async def listed(db: Database, **terms: object) -> list[int]:
    async with db.snapshot() as tx:
        return [row.number for row in await reads.transfers(tx, reads.TransfersWanted(**terms))]  # type: ignore[arg-type]


async def test_transfers_are_found_by_number_document_sku_and_barcode(shop: Database) -> None:
    first = await sent(shop, (1, 2))
    second = await ask(shop, (2, 3), destination=OTHER)
    await approve(shop, second)
    await ship(shop, second, document="NF-e 35261111222333_000181")
    third = await ask(shop, (1, 1), (3, 1), origin=SHOP, destination=CENTRE)
    assert await listed(shop) == [third, second, first]
    assert await listed(shop, text=f"t{second}") == await listed(shop, text=str(second)) == [second]
    assert await listed(shop, text="222333_0001") == [second]
    assert await listed(shop, text="222333%0001") == [], "what is typed is no pattern"
    assert await listed(shop, text="35") == [], "two characters are too few for a document"
    assert await listed(shop, text="cam-p") == [third, first]
    assert await listed(shop, text="7891000100103") == [third]
    assert await listed(shop, text=f"R{first}") == [], "that is a receipt"


async def test_transfers_are_narrowed_by_where_they_come_from_where_they_go_when_and_whether_they_are_late(
    shop: Database,
) -> None:
    first = await sent(shop, (1, 2))
    second = await ask(shop, (1, 1), destination=OTHER)
    third = await ask(shop, (3, 1), origin=SHOP, destination=CENTRE)
    assert await listed(shop, origin_id=CENTRE) == [second, first]
    assert await listed(shop, origin_id=CENTRE, destination_id=OTHER) == [second]
    assert await listed(shop, destination_id=CENTRE, scope=(OTHER,)) == []
    assert await listed(shop, scope=(SHOP,)) == [third, first]
    async with shop.snapshot() as tx:
        now = await tx.now()
    assert (
        await listed(shop, since=now + timedelta(hours=1)) == await listed(shop, until=now - timedelta(hours=1)) == []
    )
    assert await listed(shop, since=now - timedelta(hours=1), until=now + timedelta(hours=1)) == [third, second, first]
    assert await listed(shop, late=DAY) == []
    assert await listed(shop, late=DAY + timedelta(days=1)) == [first], "who waits for approval is not late"
    open_ones = (TransferState.REQUESTED, TransferState.SHIPPED)
    assert await listed(shop, states=open_ones, text="CAM-P") == [second, first]


async def test_a_moved_day_keeps_its_history_is_told_once_and_is_the_day_of_what_is_to_come(shop: Database) -> None:
    number = await sent(shop, (1, 2), (2, 3))
    await arrive(shop, number, Arrived(1, 2), complete=False)
    later = DAY + timedelta(days=9)
    async with shop.transaction(ANA) as tx:
        assert await service.reschedule(tx, number, later, " rain on the road ")
        assert not await service.reschedule(tx, number, later, "again")
    async with shop.transaction() as tx:
        found = await reads.transfer(tx, number)
        assert found is not None
        assert (found.eta, found.eta_usual) == (later, False)
        assert [(m.was, m.was_usual, m.became, m.reason, m.actor) for m in await reads.moves(tx, found.id)] == [
            (DAY, False, later, "rain on the road", ANA.label)
        ]
        assert [(i.sku_id, i.day, i.quantity) for i in await supply.incoming(tx, SKUS, [SHOP])] == [(2, later, 3)]
        assert await tx.values("SELECT eta FROM supply WHERE expected > 0") == [later]
        told = await tx.values("SELECT payload FROM outbox WHERE type = 'transfer.rescheduled'")
        assert [(e["was"], e["became"], e["lines"]) for e in told] == [(str(DAY), str(later), [[2, 2, 3]])]
        assert await tx.values("SELECT actor_id FROM audit WHERE action = 'reschedule'") == [ANA.id]


async def test_the_usual_day_becomes_a_stated_one_even_when_it_is_the_same(shop: Database) -> None:
    draft = TransferDraft(origin_id=CENTRE, destination_id=SHOP, lines=[(1, 2)])
    async with shop.transaction(LEAD) as tx:
        number = await service.request(tx, draft)
        await service.approve(tx, number)
        assert await service.reschedule(tx, number, DAY)
        assert not await service.reschedule(tx, number, DAY)
    async with shop.transaction(LEAD) as tx:
        other = await service.request(tx, draft)
        await service.approve(tx, other)
        await service.ship(tx, other, Departure())
        found = await reads.transfer(tx, other)
        assert found is not None
        assert found.eta is not None
        assert found.eta_usual
        assert await service.reschedule(tx, other, found.eta, "the carrier says so")
        assert [(m.was, m.was_usual) for m in await reads.moves(tx, found.id)] == [(found.eta, True)]


async def test_the_day_is_moved_at_either_end_and_not_when_the_goods_are_there(shop: Database) -> None:
    elsewhere = await sent(shop, (1, 1), destination=OTHER, document="nota 1")
    mine = await sent(shop, (1, 2))
    with pytest.raises(UnknownTransfer):
        async with shop.transaction(ANA) as tx:
            await service.reschedule(tx, elsewhere, DAY)
    await arrive(shop, mine, Arrived(1, 1))
    with pytest.raises(WrongTransferState):
        async with shop.transaction(LEAD) as tx:
            await service.reschedule(tx, mine, DAY + timedelta(days=1))


async def test_what_a_transfer_brings_is_counted_by_sku(shop: Database) -> None:
    number = await sent(shop, (1, 2), (2, 3))
    async with shop.transaction(LEAD) as tx:
        assert await service.expected(tx, number) == {1: 2, 2: 3}
    await arrive(shop, number, Arrived(1, 2), complete=False)
    async with shop.transaction(LEAD) as tx:
        assert await service.expected(tx, number) == {2: 3}
