"""A transfer leaves in several shipments: each arrives on its own, and what has not left stays set aside or is given back."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

import msgspec
import psycopg
import pytest
from supply_rows import ANA, CENTRE, LEAD, OTHER, SHOP, a_retailer, there
from test_transfers import DAY, approve, arrive, ask, everything, listed, open_discrepancies, ship, state
from tests.waiting import waiting

from malha.doctor import examine
from malha.inventory import service as stock
from malha.inventory.ahead import service as ahead
from malha.inventory.buckets.model import Bucket
from malha.inventory.model import Claim
from malha.inventory.supply import reads as supply
from malha.inventory.supply.errors import ReceiptDiffers
from malha.inventory.transfers import reads, service
from malha.inventory.transfers.errors import (
    DocumentNeeded,
    NotEnoughToTransfer,
    NothingOnItsWay,
    UnknownTransfer,
    WrongTransferState,
)
from malha.inventory.transfers.model import Arrival, Arrived, Decision, Departure, Left, TransferDraft
from malha.inventory.transfers.reads import ShipmentRow
from malha.platform.db import Actor, Database, Tx
from malha.platform.flaws import Invalid
from malha.platform.ids import new_id
from malha.platform.migrate import migrations
from malha.testing.builders import in_days

UNITS = 10


@pytest.fixture
async def shop(database: Database) -> Database:
    return await a_retailer(database, units=UNITS)


async def approved(db: Database, *lines: tuple[int, int], **options: int) -> int:
    number = await ask(db, *lines, **options)
    await approve(db, number)
    return number


async def part(
    db: Database, number: int, quantities: Mapping[int, int] | None = None, actor: Actor = LEAD, **departure: object
) -> Left:
    async with db.transaction(actor) as tx:
        says = Departure(quantities=dict(quantities or {}), more_follows=True, **departure)  # type: ignore[arg-type]
        return await service.ship(tx, number, says)


async def arrive_of(
    db: Database, number: int, shipment: int | None, *lines: Arrived, complete: bool = True
) -> tuple[str, int, int, int]:
    async with db.transaction(LEAD) as tx:
        arrival = Arrival(id=new_id(), lines=list(lines), shipment=shipment, complete=complete)
        done = await service.receive(tx, number, arrival)
    return str(done.state), done.missing, done.damaged, done.excess


async def give_back(db: Database, number: int, reason: str = "no truck", actor: Actor = LEAD) -> int:
    async with db.transaction(actor) as tx:
        return await service.close_rest(tx, number, reason)


async def shipments(db: Database, number: int) -> list[ShipmentRow]:
    async with db.snapshot() as tx:
        found = await reads.transfer(tx, number)
        assert found is not None
        return await reads.shipments(tx, found.id)


async def held(db: Database, sku: int = 1) -> int:
    async with db.snapshot() as tx:
        rows = await tx.values(
            "SELECT held FROM balance WHERE sku_id = %(sku)s AND location_id = %(at)s", {"sku": sku, "at": CENTRE}
        )
        return int(rows[0])


async def coming(db: Database, place: int = SHOP) -> list[tuple[int, object, int]]:
    async with db.snapshot() as tx:
        return [(i.sku_id, i.day, i.quantity) for i in await supply.incoming(tx, [1, 2, 3, 4], [place])]


async def sound(db: Database) -> None:
    """Nothing that must agree differs: ledger and balances, goods on their way, states, sums of shipments."""
    report = await examine(db)
    assert not report.drift, [line for f in report.findings for line in (f.check, *f.lines("en"))]


async def test_a_part_leaves_and_the_rest_stays_set_aside_and_expected(shop: Database) -> None:
    number = await approved(shop, (1, 8), (2, 5))
    left = await part(shop, number, {1: 3, 2: 0}, carrier="Jadlog", tracking_code="JD1", eta=in_days(2))
    assert (left.shipment, left.to_ship, left.state) == (1, 10, "partly_shipped")
    assert await held(shop) == 5
    assert await coming(shop) == [(1, in_days(2), 3), (1, DAY, 5), (2, DAY, 5)]
    async with shop.transaction() as tx:
        assert await stock.place_hold(tx, "cart", [Claim(1, CENTRE, 3)], seconds=60) != [], "5 of 7 are set aside"
        assert await there(tx, 1, SHOP) == {"sellable": 10, "in_transit": 3}
    await sound(shop)
    assert (await part(shop, number)).to_ship == 0
    assert [(one.number, one.shipped, one.carrier, one.state) for one in await shipments(shop, number)] == [
        (1, 3, "Jadlog", "shipped"),
        (2, 10, None, "shipped"),
    ]
    assert (await state(shop, number), await held(shop), await held(shop, 2)) == ("shipped", 0, 0)
    assert await coming(shop) == [(1, in_days(2), 3), (1, DAY, 5), (2, DAY, 5)]
    await sound(shop)


async def test_a_receipt_says_with_which_shipments_its_goods_came(shop: Database) -> None:
    number = await approved(shop, (1, 9))
    for units in (4, 3):
        await part(shop, number, {1: units})
    await arrive_of(shop, number, 2, Arrived(1, 1), complete=False)
    await arrive_of(shop, number, None, Arrived(1, 6), Arrived(2, 1))  # of both, and something that nobody sent
    async with shop.snapshot() as tx:
        both, second = await supply.receipts(tx, supply.ReceiptsWanted(text=f"T{number}"))
        assert (second.shipments, both.shipments) == ([2], [1, 2])
        assert [line.shipment for line in await supply.receipt_lines(tx, second.number)] == [2]
        lines = await supply.receipt_lines(tx, both.number)
        assert [(line.sku_id, line.quantity, line.shipment) for line in lines] == [(1, 4, 1), (1, 2, 2), (2, 1, None)]
        said = await tx.values("SELECT DISTINCT ref_text FROM movement WHERE ref_kind = 'transfer' ORDER BY 1")
        assert said == [f"T{number}", f"T{number}/1", f"T{number}/2"]
    await sound(shop)


async def test_a_receipt_sent_again_for_another_shipment_is_not_the_same(shop: Database) -> None:
    number = await approved(shop, (1, 6))
    await part(shop, number, {1: 2})
    await part(shop, number, {1: 2})
    came = Arrival(id=new_id(), lines=[Arrived(1, 1)], shipment=1, complete=False)

    async def send(arrival: Arrival) -> bool:
        async with shop.transaction(LEAD) as tx:
            return (await service.receive(tx, number, arrival)).repeated

    assert [await send(came), await send(came), await send(msgspec.structs.replace(came, shipment=None))] == [
        False, True, True,
    ]  # fmt: skip
    with pytest.raises(ReceiptDiffers):
        await send(msgspec.structs.replace(came, shipment=2))
    await sound(shop)


async def test_a_receipt_of_a_transfer_that_leaves_at_once_says_its_only_shipment(shop: Database) -> None:
    number = await approved(shop, (1, 2))
    await ship(shop, number)
    await arrive_of(shop, number, None, Arrived(1, 2), Arrived(2, 1))
    async with shop.snapshot() as tx:
        (receipt,) = await supply.receipts(tx, supply.ReceiptsWanted(text=f"T{number}"))
        assert receipt.shipments == [1]
        said = await tx.values("SELECT DISTINCT ref_text FROM movement WHERE ref_kind = 'transfer'")
        assert said == [f"T{number}"]


async def test_each_shipment_arrives_on_its_own_with_what_is_missing_of_it(shop: Database) -> None:
    number = await approved(shop, (1, 9))
    for units in (4, 3):
        await part(shop, number, {1: units})
    assert await arrive_of(shop, number, 2, Arrived(1, 2)) == ("partly_shipped", 1, 0, 0)
    assert [(one.arrived, one.transit, one.coming, one.state) for one in await shipments(shop, number)] == [
        (0, 4, 4, "shipped"),
        (2, 1, 0, "received"),
    ]
    with pytest.raises(NothingOnItsWay):
        await arrive_of(shop, number, 2, Arrived(1, 1))
    with pytest.raises(NothingOnItsWay):
        await arrive_of(shop, number, 9, Arrived(1, 1))
    assert await arrive_of(shop, number, 1, Arrived(1, 3), Arrived(1, 1, Bucket.DAMAGED), Arrived(1, 2)) == (
        "partly_shipped", 0, 1, 2,
    )  # fmt: skip
    assert await coming(shop) == [(1, DAY, 2)], "what is missing is not expected, what has not left is"
    await part(shop, number)
    assert await arrive_of(shop, number, 3, Arrived(1, 2)) == ("received", 0, 0, 0)
    async with shop.transaction(LEAD) as tx:
        found = await reads.transfer(tx, number)
        assert found is not None
        open_ = await reads.discrepancies(tx, found.id)
        assert sorted((d.shipment, d.kind, d.quantity) for d in open_) == [
            (1, "damaged", 1),
            (1, "excess", 2),
            (2, "missing", 1),
        ]
        for one in open_:
            choice = {"damaged": Decision.LOST, "excess": Decision.TAKEN_FROM_ORIGIN, "missing": Decision.ARRIVED_LATE}
            await service.decide(tx, number, one.id, choice[one.kind])
    assert await state(shop, number) == "closed"
    assert await everything(shop) == 3 * UNITS - 1
    await sound(shop)


async def test_without_a_shipment_the_first_to_leave_is_taken_from_first_and_others_are_not_missing(
    shop: Database,
) -> None:
    number = await approved(shop, (1, 8), (2, 2))
    await part(shop, number, {1: 3})
    await part(shop, number, {1: 2, 2: 0})
    assert (await arrive(shop, number, Arrived(1, 2))).missing == 3, "one of the SKU, and two of the other"
    assert [one.coming for one in await shipments(shop, number)] == [0, 2]
    await part(shop, number)
    assert (await arrive(shop, number, Arrived(1, 4))).missing == 1, "two of the second, two of the third"
    assert [(one.arrived, one.coming) for one in await shipments(shop, number)] == [(2, 0), (2, 0), (2, 0)]
    await sound(shop)


async def test_goods_that_nobody_sent_do_not_say_which_of_several_shipments_is_missing(shop: Database) -> None:
    number = await approved(shop, (1, 8))
    for units in (3, 2):
        await part(shop, number, {1: units})
    assert await arrive_of(shop, number, None, Arrived(4, 2)) == ("partly_shipped", 0, 0, 2)
    assert [(one.coming, one.state) for one in await shipments(shop, number)] == [(3, "shipped"), (2, "shipped")]
    assert await arrive_of(shop, number, 2, Arrived(4, 1)) == ("partly_shipped", 2, 0, 1), "of that one all is missing"
    assert await arrive_of(shop, number, None, Arrived(4, 1)) == ("partly_shipped", 3, 0, 1), "there is only one left"
    await part(shop, number, {1: 1})
    await part(shop, number)
    assert await arrive_of(shop, number, None) == ("received", 3, 0, 0), "nothing came of either"
    await sound(shop)


async def test_the_rest_is_given_back_with_a_reason_and_is_not_expected_any_more(shop: Database) -> None:
    number = await approved(shop, (1, 8))
    with pytest.raises(WrongTransferState):
        await give_back(shop, number)
    await part(shop, number, {1: 3})
    with pytest.raises(Invalid):
        await give_back(shop, number, " ")
    assert await give_back(shop, number) == 5
    assert (await state(shop, number), await held(shop)) == ("shipped", 0)
    assert await coming(shop) == [(1, DAY, 3)]
    with pytest.raises(WrongTransferState):
        await part(shop, number)
    with pytest.raises(WrongTransferState):
        await give_back(shop, number)
    await arrive(shop, number, Arrived(1, 3))
    assert await state(shop, number) == "closed"
    async with shop.snapshot() as tx:
        found = await reads.transfer(tx, number)
        assert found is not None
        assert (found.closed_short_reason, found.closed_short_by) == ("no truck", LEAD.label)
        assert [(line.dropped, line.to_ship) for line in await reads.transfer_lines(tx, found.id)] == [(5, 0)]
        told = await tx.values("SELECT payload FROM outbox WHERE type = 'transfer.closed_short'")
        assert [(e["reason"], e["lines"]) for e in told] == [("no truck", [[1, 1, 5]])]
        assert await tx.values("SELECT action FROM audit WHERE entity = 'transfer' ORDER BY id") == [
            "request", "approve", "ship", "close_rest", "receive",
        ]  # fmt: skip
    await sound(shop)


async def test_when_all_has_arrived_giving_the_rest_back_closes_it(shop: Database) -> None:
    number = await approved(shop, (1, 4))
    await part(shop, number, {1: 1})
    await arrive(shop, number, Arrived(1, 1))
    assert await state(shop, number) == "partly_shipped"
    await give_back(shop, number)
    assert await state(shop, number) == "closed"
    await sound(shop)


async def test_what_does_not_leave_is_given_back_at_once_unless_more_follows(shop: Database) -> None:
    number = await approved(shop, (1, 8))
    await ship(shop, number, quantities={1: 3})
    assert (await state(shop, number), await held(shop)) == ("shipped", 0)
    assert await coming(shop) == [(1, DAY, 3)]
    await sound(shop)


async def test_no_more_leaves_than_is_left_and_not_nothing(shop: Database) -> None:
    number = await approved(shop, (1, 8))
    await part(shop, number, {1: 6})
    for quantities in ({1: 3}, {1: 0}, {1: -1}, {7: 1}):
        with pytest.raises(Invalid):
            await part(shop, number, quantities)
    assert [one.shipped for one in await shipments(shop, number)] == [6]


async def test_each_shipment_to_another_establishment_has_a_document_of_its_own(shop: Database) -> None:
    number = await approved(shop, (1, 5), destination=OTHER)
    await part(shop, number, {1: 2}, document="NF-e 1001")
    with pytest.raises(DocumentNeeded):
        await part(shop, number)
    await part(shop, number, document="NF-e 2002")
    assert [one.document for one in await shipments(shop, number)] == ["NF-e 1001", "NF-e 2002"]
    assert await listed(shop, text="1001") == await listed(shop, text="2002") == [number]


async def test_a_shipment_is_late_on_its_own_and_its_day_is_moved_on_its_own(shop: Database) -> None:
    number = await approved(shop, (1, 6), (2, 2))
    await part(shop, number, {1: 2, 2: 0}, eta=in_days(-1))
    await part(shop, number, {1: 1}, eta=in_days(4))
    today = in_days(0)
    assert await listed(shop, late=today) == [number]
    async with shop.transaction(ANA) as tx:
        assert await service.reschedule(tx, number, in_days(3), "flat tyre", shipment=1)
        assert not await service.reschedule(tx, number, in_days(3), "again", shipment=1)
        with pytest.raises(Invalid):
            await service.reschedule(tx, number, in_days(3), shipment=5)
    assert await listed(shop, late=today) == []
    assert [one.eta for one in await shipments(shop, number)] == [in_days(3), in_days(4)]
    async with shop.transaction(ANA) as tx:
        assert await service.reschedule(tx, number, in_days(9), "next week", shipment=0)
        found = await reads.transfer(tx, number)
        assert found is not None
        assert found.eta == in_days(3), "the first of them"
        assert [(m.shipment, m.was, m.became) for m in await reads.moves(tx, found.id)] == [
            (1, in_days(-1), in_days(3)),
            (None, DAY, in_days(9)),
        ]
    assert await coming(shop) == [(1, in_days(3), 2), (1, in_days(4), 1), (1, in_days(9), 3), (2, in_days(4), 2)]
    async with shop.transaction(ANA) as tx:
        assert await service.reschedule(tx, number, in_days(5))
        told = await tx.values("SELECT payload FROM outbox WHERE type = 'transfer.rescheduled' ORDER BY seq")
        assert [(e["shipment"], e["lines"]) for e in told] == [
            (1, [[1, 1, 2]]),
            (None, [[1, 1, 3]]),
            (None, [[1, 1, 6], [2, 2, 2]]),
        ]
    assert await coming(shop) == [(1, in_days(5), 6), (2, in_days(5), 2)]
    await sound(shop)


async def test_a_stated_day_that_is_over_is_not_that_of_the_next_shipment(shop: Database) -> None:
    draft = TransferDraft(origin_id=CENTRE, destination_id=SHOP, lines=[(1, 2)], eta=in_days(-2))
    async with shop.transaction(LEAD) as tx:
        number = await service.request(tx, draft)
        await service.approve(tx, number)
    await part(shop, number, {1: 1})
    await part(shop, number)
    assert [(one.eta, one.eta_usual) for one in await shipments(shop, number)] == [
        (in_days(-2), False),
        (in_days(service.USUAL_DAYS), True),
    ]


async def test_goods_of_every_shipment_may_be_claimed_before_they_come(shop: Database) -> None:
    number = await approved(shop, (1, 5))
    await part(shop, number, {1: 2})
    await part(shop, number, {1: 1})
    async with shop.transaction(LEAD) as tx:
        assert await service.expected(tx, number) == {1: 3}
    await arrive_of(shop, number, 1, Arrived(1, 2))
    async with shop.transaction(LEAD) as tx:
        assert await service.expected(tx, number) == {1: 1}
    await sound(shop)


async def let_holds_end(db: Database) -> None:
    async with db.transaction() as tx:
        await tx.execute("UPDATE stock_hold SET expires_at = now() - interval '1 second'")
        await stock.retire_expired(tx)


async def test_what_stays_is_set_aside_anew_when_the_time_of_the_first_hold_is_over(shop: Database) -> None:
    number = await approved(shop, (1, 6), (2, 3))
    await let_holds_end(shop)
    assert await held(shop) == 0
    assert (await part(shop, number, {1: 2, 2: 3})).to_ship == 4
    assert (await held(shop), await held(shop, 2)) == (4, 0)
    async with shop.transaction() as tx:
        assert await stock.place_hold(tx, "cart", [Claim(1, CENTRE, 5)], seconds=60) != [], "4 of 8 are set aside"
    await sound(shop)
    await let_holds_end(shop)
    assert (await part(shop, number, {1: 1})).to_ship == 3
    assert await held(shop) == 3
    assert await give_back(shop, number) == 3
    assert await held(shop) == 0
    await sound(shop)


async def test_what_would_stay_and_was_sold_since_its_hold_ended_is_not_said_to_be_set_aside(shop: Database) -> None:
    number = await approved(shop, (1, 6), (2, 3))
    await let_holds_end(shop)
    async with shop.transaction() as tx:
        assert await stock.place_hold(tx, "cart", [Claim(1, CENTRE, 6)], seconds=3600) == []
    with pytest.raises(NotEnoughToTransfer) as refused:
        await part(shop, number, {1: 2})
    assert [(p["at"], p["facts"]) for p in refused.value.facts["problems"]] == [
        ("/quantities/1", {"units": 4, "free": 2})
    ]
    assert (await state(shop, number), await shipments(shop, number)) == ("approved", []), "nothing has left"
    assert (await held(shop), await held(shop, 2)) == (6, 0)
    assert (await part(shop, number, {1: 6, 2: 0})).to_ship == 3, "what goes is gone, and the rest is free"
    assert (await held(shop), await held(shop, 2)) == (6, 3)


async def test_who_sees_neither_end_ships_receives_and_gives_back_nothing(shop: Database) -> None:
    stranger = Actor("person", "x", "X", permissions=frozenset({"stock:count"}), locations=frozenset({OTHER}))
    number = await approved(shop, (1, 4))
    await part(shop, number, {1: 1})
    for step in (part(shop, number, actor=stranger), give_back(shop, number, actor=stranger)):
        with pytest.raises(UnknownTransfer):
            await step


async def test_of_two_who_ship_the_rest_at_once_one_does(shop: Database) -> None:
    number = await approved(shop, (1, 8), (2, 4))
    await part(shop, number, {1: 3, 2: 1})

    async def rest() -> bool:
        try:
            await part(shop, number)
        except WrongTransferState:
            return False
        return True

    assert sorted(await asyncio.gather(*(rest() for _ in range(5)))) == [False] * 4 + [True]
    assert [one.shipped for one in await shipments(shop, number)] == [4, 8]
    async with shop.snapshot() as tx:
        assert await there(tx, 1, SHOP) == {"sellable": 10, "in_transit": 8}
    await sound(shop)


async def test_of_many_who_ship_parts_at_once_no_more_leaves_than_was_approved(shop: Database) -> None:
    number = await approved(shop, (1, 8))

    async def some(units: int) -> int:
        try:
            await part(shop, number, {1: units})
        except (Invalid, WrongTransferState):
            return 0
        return units

    gone = sum(await asyncio.gather(*(some(3) for _ in range(5))))
    assert gone == 6
    assert [one.number for one in await shipments(shop, number)] == [1, 2]
    assert await held(shop) == 2
    await sound(shop)


async def test_who_ships_while_another_holds_the_transfer_waits_and_sees_what_was_done(shop: Database) -> None:
    number = await approved(shop, (1, 8))
    await part(shop, number, {1: 3})
    async with shop.transaction(LEAD) as tx:
        assert await service.close_rest(tx, number, "no truck") == 5
        later = asyncio.create_task(part(shop, number))
        while not await waiting(shop):
            await asyncio.sleep(0.01)
    with pytest.raises(WrongTransferState):
        await later
    assert [one.shipped for one in await shipments(shop, number)] == [3]
    await sound(shop)


STEPS: tuple[Callable[[Tx, int], Awaitable[object]], ...] = (
    lambda tx, n: service.ship(tx, n, Departure(quantities={1: 1, 2: 0, 3: 0}, more_follows=True)),
    lambda tx, n: service.ship(tx, n, Departure(more_follows=True)),
    lambda tx, n: service.receive(tx, n, Arrival(id=new_id(), lines=[Arrived(1, 1), Arrived(2, 1)])),
    lambda tx, n: service.receive(tx, n, Arrival(id=new_id(), lines=[Arrived(3, 1)], complete=False)),
    lambda tx, n: service.cancel(tx, n, "not needed"),
    lambda tx, n: service.close_rest(tx, n, "not needed"),
)


async def tried(db: Database, step: Callable[[Tx, int], Awaitable[object]], number: int) -> bool:
    """Do a step unless somebody else did what forbids it."""
    try:
        async with db.transaction(LEAD) as tx:
            await step(tx, number)
    except (WrongTransferState, Invalid):
        return False
    return True


async def to_its_end(db: Database, number: int) -> None:
    """Give back what has not left and what has not come."""
    await tried(db, STEPS[-1], number)
    while await tried(db, lambda tx, n: service.receive(tx, n, Arrival(id=new_id(), lines=[])), number):
        pass
    for id_, kind, _ in await open_discrepancies(db, number):
        back = Decision.FOUND_AT_ORIGIN if kind == "missing" else Decision.TAKEN_FROM_ORIGIN
        async with db.transaction(LEAD) as tx:
            await service.decide(tx, number, id_, back)


async def test_shipping_receiving_and_giving_back_at_once_lose_no_unit_and_do_not_deadlock(shop: Database) -> None:
    numbers = [await approved(shop, (1, 2), (2, 2), (3, 2)) for _ in range(3)]

    async def often(step: Callable[[Tx, int], Awaitable[object]], number: int) -> None:
        for _ in range(3):
            await tried(shop, step, number)

    await asyncio.gather(*(often(step, number) for number in numbers for step in STEPS))
    await sound(shop)
    for number in numbers:
        await to_its_end(shop, number)
        assert await state(shop, number) in {"closed", "cancelled"}
    assert [await everything(shop, sku) for sku in (1, 2, 3)] == [3 * UNITS] * 3
    assert [await held(shop, sku) for sku in (1, 2, 3)] == [0] * 3
    await sound(shop)


async def test_the_way_takes_as_long_as_its_shipments_took(shop: Database) -> None:
    draft = TransferDraft(origin_id=CENTRE, destination_id=SHOP, lines=[(1, 6)])
    async with shop.transaction(LEAD) as tx:
        number = await service.request(tx, draft)
        await service.approve(tx, number)
    for shipment, days in ((1, 5), (2, 7), (3, 9)):
        await part(shop, number, {1: 1})
        await arrive_of(shop, number, shipment, Arrived(1, 1))
        async with shop.transaction() as tx:
            await tx.execute(
                "UPDATE transfer_shipment SET shipped_at = shipped_at - %(by)s::interval WHERE number = %(number)s",
                {"by": timedelta(days=days), "number": shipment},
            )
    await part(shop, number, {1: 1})
    assert (await shipments(shop, number))[-1].eta == in_days(7)


async def update_twice(db: Database) -> None:
    """Run what comes after the last old process has gone; as newer code left it, it stays."""
    (update,) = [m for m in migrations() if m.number == 115]
    async with await psycopg.AsyncConnection.connect(db.url, autocommit=True) as connection:
        await connection.execute("SET search_path TO malha, malha_ext")
        for _ in range(2):
            await connection.execute(update.text.encode())


async def test_what_older_code_did_beside_newer_code_is_in_shipments_after_the_update(shop: Database) -> None:
    open_, over, missing = [await approved(shop, (1, 3), (2, 2)) for _ in range(3)]
    for number in (open_, over, missing):
        await ship(shop, number, quantities={1: 2})
    await arrive(shop, open_, Arrived(1, 1), complete=False)
    await arrive(shop, over, Arrived(1, 2), Arrived(2, 2))
    await arrive(shop, missing, Arrived(1, 1), Arrived(2, 2))
    as_they_were = {number: await shipments(shop, number) for number in (open_, over, missing)}
    async with shop.transaction() as tx:  # it knew neither shipments nor what was given back
        await tx.execute("UPDATE transfer_discrepancy SET shipment_id = NULL")
        await tx.execute("DELETE FROM transfer_shipment_line")
        await tx.execute("DELETE FROM transfer_shipment")
        await tx.execute("UPDATE transfer_line SET dropped = 0")
    await update_twice(shop)
    assert {number: await shipments(shop, number) for number in (open_, over, missing)} == as_they_were
    await sound(shop)
    assert (await arrive(shop, open_, Arrived(1, 1), Arrived(2, 2))).state == "closed"
    ((id_, _, _),) = await open_discrepancies(shop, missing)
    async with shop.transaction(LEAD) as tx:
        await service.decide(tx, missing, id_, Decision.FOUND_AT_ORIGIN)
    assert [await state(shop, number) for number in (open_, over, missing)] == ["closed"] * 3
    await sound(shop)


async def offered_of(db: Database, *numbers: int) -> int:
    """Return how many units of transfers are supply after those who wait are lined up anew."""
    async with db.transaction() as tx:
        await ahead.line_up(tx, {(sku, SHOP) for sku in (1, 2)})
        units = await tx.value(
            "SELECT coalesce(sum(u.expected), 0)::int FROM transfer t, supply u WHERE t.number = ANY (%(numbers)s)"
            " AND (u.source_id = t.id OR u.source_id IN (SELECT id FROM transfer_shipment WHERE transfer_id = t.id))",
            {"numbers": list(numbers)},
        )
        return int(units)


async def laid_out(db: Database, number: int) -> list[tuple[int, str, bool, list[tuple[int, int, int, int]]]]:
    return [
        (
            one.number,
            one.state,
            one.arrived_at is not None,
            [(w.shipped, w.arrived, w.settled, w.missing) for w in one.lines],
        )
        for one in await shipments(db, number)
    ]


async def test_what_older_code_ships_beside_newer_code_stays_supply_before_it_has_a_shipment(shop: Database) -> None:
    number, over = await approved(shop, (1, 3), (2, 2)), await approved(shop, (1, 1))
    await ship(shop, number)
    await ship(shop, over)
    await arrive(shop, over)
    as_it_was = await coming(shop)
    async with shop.transaction() as tx:
        await tx.execute("UPDATE transfer_discrepancy SET shipment_id = NULL")
        await tx.execute("DELETE FROM transfer_shipment_line")
        await tx.execute("DELETE FROM transfer_shipment")
    assert await offered_of(shop, number) == 5, "newer code that lines up others takes nothing away"
    assert await offered_of(shop, over) == 0, "what is missing is not expected"
    assert await coming(shop) == as_it_was == [(1, DAY, 3), (2, DAY, 2)]
    report = await examine(shop)
    assert "supply_stated" not in {one.check for one in report.findings}
    await update_twice(shop)
    assert await offered_of(shop, number) == 5
    await sound(shop)


async def test_what_older_code_said_to_be_missing_is_decided_before_the_update_has_ended(shop: Database) -> None:
    number = await approved(shop, (1, 3))
    await ship(shop, number)
    await arrive(shop, number, Arrived(1, 1))
    async with shop.transaction() as tx:  # it knew lines alone
        await tx.execute("UPDATE transfer_discrepancy SET shipment_id = NULL")
        await tx.execute("UPDATE transfer_shipment_line SET arrived = 0, missing = 0")
    ((id_, _, _),) = await open_discrepancies(shop, number)
    async with shop.transaction(LEAD) as tx:
        await service.decide(tx, number, id_, Decision.LOST)
    await update_twice(shop)
    assert [(one.arrived, one.coming) for one in await shipments(shop, number)] == [(1, 0)]
    await sound(shop)


async def test_what_older_code_received_of_several_shipments_is_in_each_of_them_after_the_update(
    shop: Database,
) -> None:
    some, none, decided, newer = [await approved(shop, (1, 2), (2, 2)) for _ in range(4)]
    for number in (some, none, decided, newer):
        await part(shop, number, {1: 1, 2: 1})
        await part(shop, number)
    await arrive(shop, some, Arrived(1, 2), Arrived(2, 1), complete=False)
    await arrive(shop, none)
    await arrive(shop, decided, Arrived(1, 1), Arrived(2, 1))
    await arrive(shop, decided, Arrived(2, 1))
    ((id_, _, _),) = await open_discrepancies(shop, decided)
    async with shop.transaction(LEAD) as tx:
        await service.decide(tx, decided, id_, Decision.LOST)
    await arrive_of(shop, newer, 2, Arrived(1, 1))
    as_they_were = [await laid_out(shop, number) for number in (some, none, decided, newer)]
    async with shop.transaction() as tx:  # it knew lines alone, and of a line one thing that is missing
        of = {"numbers": [some, none, decided]}
        await tx.execute(
            "UPDATE transfer_shipment_line SET arrived = 0, settled = 0, missing = 0 WHERE shipment_id IN"
            " (SELECT s.id FROM transfer_shipment s JOIN transfer t ON t.id = s.transfer_id"
            " WHERE t.number = ANY (%(numbers)s))",
            of,
        )
        await tx.execute(
            "WITH lines AS (DELETE FROM transfer_discrepancy d USING transfer t WHERE t.id = d.transfer_id"
            " AND t.number = ANY (%(numbers)s) AND d.decision IS NULL RETURNING d.*)"
            " INSERT INTO transfer_discrepancy (id, transfer_id, line, kind, quantity, found_at, found_by)"
            " SELECT min(id::text)::uuid, transfer_id, line, kind, sum(quantity), min(found_at), min(found_by)"
            " FROM lines GROUP BY transfer_id, line, kind",
            of,
        )
        await tx.execute(
            "UPDATE transfer_shipment s SET arrived_at = NULL FROM transfer t"
            " WHERE t.id = s.transfer_id AND t.number = ANY (%(numbers)s) AND s.number = 2",
            of,
        )
    assert [units for _, _, units in await open_discrepancies(shop, none)] == [2, 2]
    assert await offered_of(shop, none, decided) == 0, "what is over by its state is no supply, whatever shipments say"
    assert sum(units for _, _, units in await coming(shop)) == 4 + 2, "of the first, and of the last one's shipment"
    await update_twice(shop)
    assert [await laid_out(shop, number) for number in (some, none, decided, newer)] == as_they_were
    assert [units for _, _, units in await open_discrepancies(shop, none)] == [1, 1, 1, 1]
    await sound(shop)
    assert (await arrive_of(shop, some, 2, Arrived(2, 1)))[0] == "closed"
    for number in (none, newer):
        await to_its_end(shop, number)
    assert [await state(shop, number) for number in (some, none, decided, newer)] == ["closed"] * 4
    await sound(shop)
