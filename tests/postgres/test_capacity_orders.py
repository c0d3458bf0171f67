"""Orders and slots: named at intake, full, held by a cart, moved, lost with their goods, given back by a cancel."""

import asyncio
from datetime import UTC, date, datetime, time, timedelta

import pytest

from malha.capacity import reads, service
from malha.capacity.errors import NoSuchSlot, OrderHasSlot, SlotFull, SlotNotForOrder
from malha.capacity.model import Key, Kind, Override, Template
from malha.doctor import examine
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.fulfillment import service as fulfillment
from malha.fulfillment.model import RejectReason
from malha.intake import reference as known
from malha.intake.gate import Gate
from malha.intake.model import NewLine, NewOrder, NewSlot, Placed
from malha.intake.reference import reference_in
from malha.inventory import service as inventory
from malha.inventory.model import Claim
from malha.network import reads as network
from malha.network.model import Location
from malha.ordering import cancelling, slots
from malha.ordering import service as ordering
from malha.ordering.errors import NothingToPromise
from malha.ordering.model import CancelWish, HoldKind, PromiseReason
from malha.platform import revisions
from malha.platform.address import Address
from malha.platform.clock import now
from malha.platform.db import Database
from malha.platform.errors import MalhaError
from malha.platform.subscribers import drain
from malha.testing.builders import World, a_network, a_product

NINE, TEN, NOON = time(9), time(10), time(12)
DAY = now().date() + timedelta(days=8)
SAO_PAULO = Address(postal_code="01310100", city="São Paulo", state="SP", street="Av. Paulista", number="1000")
TAKEN = "SELECT starts, held, confirmed FROM capacity_slot WHERE held + confirmed > 0 ORDER BY 1"
HEADER = "SELECT promised_at, release_after, status FROM sales_order WHERE id = %(id)s::uuid"


class Shop:
    """S1 hands over two customers' goods from nine to ten and from ten to noon, and delivers one order from nine."""

    def __init__(self, database: Database, world: World, place: Location) -> None:
        self.database, self.world, self.place = database, world, place
        self.gates = [Gate(database), Gate(database)]

    async def submit(self, n: int | str, channel: str = "till", **more: object) -> Placed:
        values = {"method": "pickup", "pickup_location": "S1", "lines": [NewLine("CUP", 1, 1_000)]} | more
        gate = self.gates[(n if isinstance(n, int) else len(n)) % 2]
        return await gate.submit(NewOrder(channel=channel, external_id=f"E{n}", **values))

    async def tuples(self, statement: str, **params: object) -> list[tuple[object, ...]]:
        async with self.database.transaction() as tx:
            return await tx.tuples(statement, params)

    async def is_healthy(self) -> bool:
        report = await examine(self.database)
        return not [f for f in report.findings if f.drifts]


@pytest.fixture
async def shop(database: Database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        await tx.execute("UPDATE channel SET payment_policy = 'settled_by_channel'")
        await tx.execute("UPDATE channel SET shortage_policy = CASE code WHEN 'mall' THEN 'hold' ELSE 'reject' END")
        await a_product(tx, world, "CUP", stock={"DC": 50, "S1": 50, "S2": 50})
        place = await network.location_by_code(tx, "S1")
        assert place is not None
        week = [Template(DAY.isoweekday(), NINE, TEN, 2), Template(DAY.isoweekday(), TEN, NOON, 2)]
        templates = {Kind.PICKUP: week, Kind.DELIVERY: [Template(DAY.isoweekday(), NINE, TEN, 1)]}
        await service.set_templates(tx, place, templates)
    made = Shop(database, world, place)
    yield made
    for gate in made.gates:
        await gate.close()
    assert await made.is_healthy()


def at(clock: time) -> datetime:
    """An instant of the day of the slot, on the clock of the location."""
    return datetime.combine(DAY, clock, UTC) + timedelta(hours=3)


def slot(starts: time = NINE, **more: object) -> NewSlot:
    return NewSlot(day=DAY, starts=f"{starts:%H:%M}", **more)  # type: ignore[arg-type]


async def test_an_order_with_a_slot_has_its_place_is_promised_its_end_and_begun_the_day_before(shop: Shop) -> None:
    placed = await shop.submit(1, slot=slot())
    assert placed.holds == []
    assert await shop.tuples(TAKEN) == [(NINE, 0, 1)]
    ((promised, release, _),) = await shop.tuples(HEADER, id=placed.id)
    assert (promised, release) == (at(TEN), at(time(0)) - timedelta(days=1))
    again = await shop.submit(1, slot=slot())
    assert (again.id, again.result) == (placed.id, "duplicate")
    assert await shop.tuples(TAKEN) == [(NINE, 0, 1)]


async def test_an_order_without_a_slot_takes_none_and_is_promised_when_it_is_ready(shop: Shop) -> None:
    placed = await shop.submit(1)
    ((promised, release, _),) = await shop.tuples(HEADER, id=placed.id)
    assert placed.holds == []
    assert release <= now() < promised  # type: ignore[operator]
    assert await shop.tuples("SELECT 1 FROM capacity_slot") == []


async def test_a_full_slot_refuses_with_the_next_free_ones_and_leaves_nothing_behind(shop: Shop) -> None:
    await shop.submit(1, slot=slot())
    await shop.submit(2, slot=slot())
    with pytest.raises(SlotFull) as refused:
        await shop.submit(3, slot=slot())
    first = refused.value.facts["alternatives"][0]
    assert (first["location"], first["kind"], first["left"]) == ("S1", "pickup", 2)
    assert await shop.tuples("SELECT count(*) FROM sales_order") == [(2,)]
    with pytest.raises(NoSuchSlot):
        await shop.submit(3, slot=slot(time(15)))
    placed = await shop.submit(3, slot=slot(TEN))
    assert placed.holds == []


async def test_a_channel_that_has_sold_already_gets_its_order_placed_and_a_person_finds_another_slot(
    shop: Shop,
) -> None:
    for n in (1, 2):
        await shop.submit(n, slot=slot())
    placed = await shop.submit(3, channel="mall", slot=slot())
    assert placed.holds == [HoldKind.SLOT]
    assert [line.state for line in placed.lines] == ["allocated"]
    async with shop.database.transaction() as tx:
        found = await slots.agree(tx, placed.id, DAY, TEN)
        assert found.key == Key(shop.place.id, "pickup", DAY, TEN)
    ((promised, _, status),) = await shop.tuples(HEADER, id=placed.id)
    assert (promised, status) == (at(NOON), "allocated")
    assert await shop.tuples(TAKEN) == [(NINE, 0, 2), (TEN, 0, 1)]


async def test_a_slot_of_a_place_nobody_knows_holds_the_order_and_refuses_nobody(shop: Shop) -> None:
    placed = await shop.submit(1, method="ship", pickup_location=None, ship_to=SAO_PAULO, slot=slot(location="NADA"))
    assert placed.holds == [HoldKind.SLOT]


async def test_what_is_short_of_stock_takes_no_place(shop: Shop) -> None:
    with pytest.raises(MalhaError) as refused:
        await shop.submit(1, slot=slot(), lines=[NewLine("CUP", 60, 1_000)])
    assert refused.value.code == "out_of_stock"
    assert await shop.tuples(TAKEN) == []


async def test_the_place_a_cart_holds_is_its_orders(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        for n in (1, 2):
            await service.hold(tx, shop.place, Kind.PICKUP, DAY, NINE, reference=f"cart-{n}", seconds=600)
    with pytest.raises(SlotFull):
        await shop.submit("without", slot=slot())
    await shop.submit(1, slot=slot(hold="cart-1"))
    assert await shop.tuples(TAKEN) == [(NINE, 1, 1)]
    with pytest.raises(SlotFull):  # the same hold is used once
        await shop.submit(2, slot=slot(hold="cart-1"))
    await shop.submit(3, slot=slot(TEN, hold="cart-2"))  # a hold of another slot is no place in this one
    assert await shop.tuples(TAKEN) == [(NINE, 1, 1), (TEN, 0, 1)]


async def test_a_slot_that_is_over_is_nobodys_though_a_cart_still_holds_it(shop: Shop) -> None:
    """A hold may last longer than its slot: who pays in the afternoon was promised this morning."""
    over = DAY - timedelta(days=14)
    async with shop.database.transaction() as tx:
        for n in (1, 2):
            await service.hold(tx, shop.place, Kind.PICKUP, DAY, NINE, reference=f"cart-{n}", seconds=600)
        await tx.execute("UPDATE capacity_slot SET day = %s", [over])
        await tx.execute("UPDATE capacity_reservation SET day = %s", [over])
    with pytest.raises(NoSuchSlot) as refused:
        await shop.submit(1, slot=NewSlot(day=over, starts="09:00", hold="cart-1"))
    assert refused.value.facts["alternatives"][0]["day"] > over.isoformat()
    sold = await shop.submit(2, channel="mall", slot=NewSlot(day=over, starts="09:00", hold="cart-2"))
    assert sold.holds == [HoldKind.SLOT]
    ((promised, _, _),) = await shop.tuples(HEADER, id=sold.id)
    assert promised is None


async def test_a_delivery_slot_lets_the_goods_come_from_its_location_only(shop: Shop) -> None:
    values = {"method": "ship", "pickup_location": None, "ship_to": SAO_PAULO}
    usual = await shop.submit(1, **values)
    with_slot = await shop.submit(2, **values, slot=slot(location="S1"))
    assert [line.location for line in usual.lines] == ["DC"]
    assert [line.location for line in with_slot.lines] == ["S1"]
    with pytest.raises(SlotFull) as refused:
        await shop.submit(3, **values, slot=slot(location="S1"))
    assert {a["kind"] for a in refused.value.facts["alternatives"]} <= {"delivery"}


async def test_two_gates_at_once_give_the_last_places_to_as_many_as_there_are(shop: Shop) -> None:
    outcomes = await asyncio.gather(*(shop.submit(n, slot=slot()) for n in range(32)), return_exceptions=True)
    placed = [o for o in outcomes if isinstance(o, Placed)]
    assert (len(placed), {type(o) for o in outcomes} - {Placed}) == (2, {SlotFull})
    assert await shop.tuples(TAKEN) == [(NINE, 0, 2)]
    assert await shop.tuples("SELECT count(*) FROM sales_order") == [(2,)]


async def test_expired_holds_make_way_for_orders(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        for n in (1, 2):
            await service.hold(tx, shop.place, Kind.PICKUP, DAY, NINE, reference=f"cart-{n}", seconds=600)
        await tx.execute("UPDATE capacity_reservation SET expires_at = now() - interval '1 second'")
    await asyncio.gather(*(shop.submit(n, slot=slot()) for n in range(2)))
    assert await shop.tuples(TAKEN) == [(NINE, 0, 2)]


async def test_a_cancel_gives_the_place_back_and_a_part_of_it_does_not(shop: Shop) -> None:
    placed = await shop.submit(1, slot=slot(), lines=[NewLine("CUP", 2, 1_000)])
    async with shop.database.transaction() as tx:
        await cancelling.cancel(tx, placed.id, reason="mudou de ideia", wishes=[CancelWish(1, 1)])
    assert await shop.tuples(TAKEN) == [(NINE, 0, 1)]
    async with shop.database.transaction() as tx:
        await cancelling.cancel(tx, placed.id, reason="mudou de ideia")
    assert await shop.tuples(TAKEN) == []


async def test_a_move_is_a_new_promise_with_its_reason_and_stays_on_record(shop: Shop) -> None:
    placed = await shop.submit(1, slot=slot())
    async with shop.database.transaction() as tx:
        await slots.agree(tx, placed.id, DAY, TEN, reason=PromiseReason.CAPACITY)
    assert await shop.tuples(TAKEN) == [(TEN, 0, 1)]
    async with shop.database.transaction() as tx:
        with pytest.raises(OrderHasSlot):
            await slots.agree(tx, placed.id, DAY, TEN)
    await drain(shop.database, SUBSCRIPTIONS)
    types = [
        t for (t,) in await shop.tuples("SELECT type FROM order_timeline WHERE order_id = %(id)s::uuid", id=placed.id)
    ]
    assert {"order.slot_changed", "order.repromised"} <= set(types)
    rows = await shop.tuples("SELECT promised_at, former_at, reason FROM order_promise")
    assert rows == [(at(NOON), at(TEN), "capacity")]


async def test_a_full_slot_leaves_an_order_where_it_is(shop: Shop) -> None:
    for n in (1, 2):
        await shop.submit(n, slot=slot(TEN))
    placed = await shop.submit(3, slot=slot())
    with pytest.raises(SlotFull):
        async with shop.database.transaction() as tx:
            await slots.agree(tx, placed.id, DAY, TEN)
    async with shop.database.transaction() as tx:
        assert (await reads.of_orders(tx, [placed.id]))[placed.id].starts == NINE


async def test_an_order_without_a_slot_can_agree_on_one_or_have_the_one_its_cart_holds(shop: Shop) -> None:
    first, second = await shop.submit(1), await shop.submit(2)
    async with shop.database.transaction() as tx:
        await slots.agree(tx, first.id, DAY, NINE)
        await service.hold(tx, shop.place, Kind.PICKUP, DAY, NINE, reference="cart", seconds=600)
        await slots.confirm(tx, "cart", second.id)
    assert await shop.tuples(TAKEN) == [(NINE, 0, 2)]
    async with shop.database.transaction() as tx:
        await slots.give_back(tx, first.id)
    assert await shop.tuples(TAKEN) == [(NINE, 0, 1)]


async def test_a_slot_of_another_place_or_kind_is_not_the_orders(shop: Shop) -> None:
    placed = await shop.submit(1)
    async with shop.database.transaction() as tx:
        with pytest.raises(SlotNotForOrder):
            await slots.agree(tx, placed.id, DAY, NINE, location="S2")
    async with shop.database.transaction() as tx:
        await service.hold(tx, shop.place, Kind.DELIVERY, DAY, NINE, reference="cart", seconds=600)
    with pytest.raises(SlotNotForOrder):
        async with shop.database.transaction() as tx:
            await slots.confirm(tx, "cart", placed.id)
    async with shop.database.transaction() as tx:
        await cancelling.cancel(tx, placed.id, reason="mudou de ideia")
        with pytest.raises(NothingToPromise):
            await slots.agree(tx, placed.id, DAY, NINE)


async def test_a_delivery_slot_goes_back_when_the_goods_come_from_elsewhere_and_a_person_is_asked(shop: Shop) -> None:
    values = {"method": "ship", "pickup_location": None, "ship_to": SAO_PAULO, "slot": slot(location="S1")}
    placed = await shop.submit(1, **values)
    kept = await shop.submit(2, channel="mall", **(values | {"slot": None}))
    await _reroute(shop, placed, "DC")
    assert await shop.tuples(TAKEN) == []
    async with shop.database.transaction() as tx:
        holds = await ordering.open_holds(tx, [placed.id, kept.id])
    assert (set(holds[placed.id]), set(holds[kept.id])) == ({HoldKind.SLOT}, set())


async def _reroute(shop: Shop, placed: Placed, target: str) -> None:
    """Let the location refuse the work, so that the order finds another."""
    async with shop.database.transaction() as tx:
        (work,) = await fulfillment.release_order(tx, placed.id)
    async with shop.database.transaction() as tx:
        await fulfillment.reject(tx, work.id, RejectReason.STORE_CLOSED)
    async with shop.database.transaction() as tx:
        units = (await ordering.units_of(tx, [placed.id]))[placed.id]
        assert {u.location_id for u in units} == {shop.world.locations[target]}
    await drain(shop.database, SUBSCRIPTIONS)


async def test_picking_slots_stand_before_the_daily_capacity_for_routing_and_for_release(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = {"method": "ship", "pickup_location": None, "ship_to": SAO_PAULO}
    async with shop.database.transaction() as tx:
        dc = await network.location_by_code(tx, "DC")
        assert dc is not None
        today = service.today_at(dc, await tx.now())
        week = [Template(d, time(0), NOON, 1) for d in range(1, 8)]
        await service.set_templates(tx, dc, {Kind.PICK: week})
        all_day = Override(starts=time(0), ends=time(23, 59), quota=2)
        await service.set_overrides(tx, dc, {(Kind.PICK, today): [all_day]})
    monkeypatch.setattr(known, "REFRESH_SECONDS", 3_600.0)  # what a process knows of today's work may be old
    first, second, third = [await shop.submit(n, **values) for n in (2, 4, 6)]  # through one gate
    assert [p.lines[0].location for p in (first, second)] == ["DC", "DC"]
    async with shop.database.transaction() as tx:
        reference = await reference_in(tx)
        at = reference.network.index[dc.id]
        assert (reference.network.places[at].daily_capacity, reference.taken[at]) == (2, 3)
        assert third.lines[0].location == "DC"
        done = await fulfillment.release(tx, [first.id, second.id, third.id], forced=True)
    assert not done.left
    days = await shop.tuples("SELECT day, taken FROM location_day ORDER BY 1")
    assert days == [(today, 2), (today + timedelta(days=1), 1)]
    monkeypatch.setattr(known, "REFRESH_SECONDS", 0.0)
    later = await shop.submit(8, **values)
    assert later.lines[0].location == "S1"


async def test_a_slot_of_a_day_that_is_no_holiday_after_all_keeps_no_other_order_out(shop: Shop) -> None:
    """Its counter followed what was stated while the day was one; a batch in which one order names it goes through."""
    holiday = date(now().year + 1, 1, 1)
    named = NewSlot(day=holiday, starts="09:00")
    week = {Kind.PICKUP: [Template(weekday, NINE, TEN, 2) for weekday in range(1, 8)]}

    async def keep_holidays_of(calendar: str) -> None:
        params = {"calendar": calendar}
        async with shop.database.transaction() as tx:
            await tx.execute("UPDATE location SET holiday_calendar = %(calendar)s WHERE code = 'S1'", params)
            await revisions.bump(tx, "network")
            place = await network.location_by_code(tx, "S1")
            assert place is not None
            if calendar == "BR":
                await service.set_templates(tx, place, week)

    await keep_holidays_of("BR")
    await keep_holidays_of("-")
    await shop.submit(1, slot=named)
    await keep_holidays_of("BR")
    await keep_holidays_of("-")
    with_it, without = await asyncio.gather(shop.submit(2, slot=named), shop.submit(4))
    assert (with_it.holds, without.holds) == ([], [])
    with pytest.raises(SlotFull):
        await shop.submit(6, slot=named)


async def test_a_place_whose_hold_expired_is_still_its_orders_where_the_goods_are_held_as_well(shop: Shop) -> None:
    """Nobody needed it; goods that are held have the order placed under locks, which let expired holds go."""
    async with shop.database.transaction() as tx:
        await service.hold(tx, shop.place, Kind.PICKUP, DAY, NINE, reference="cart-1", seconds=600)
        await tx.execute("UPDATE capacity_reservation SET expires_at = now() - interval '1 second'")
        (cup,) = await tx.values("SELECT id FROM variant WHERE sku = 'CUP'")
        assert await inventory.place_hold(tx, "cart-1", [Claim(cup, shop.place.id, 1)], seconds=600) == []
    placed = await shop.submit(1, slot=slot(hold="cart-1"), hold_reference="cart-1")
    assert placed.holds == []
    assert await shop.tuples(TAKEN) == [(NINE, 0, 1)]
