"""Picking slots: work takes the earliest with room, gives it back when it does not happen, and never too many are in."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from malha.capacity import reads, service
from malha.capacity.model import Key, Kind, Measure, Override, Template
from malha.capacity.picking import PickingCalendar
from malha.doctor import examine
from malha.fulfillment import parting, releasing
from malha.fulfillment import service as fulfillment
from malha.fulfillment.errors import NoCapacity
from malha.fulfillment.model import NotReleased, Picked, RejectReason, Short
from malha.intake.reference import reference_in
from malha.network import reads as network
from malha.network import service as network_service
from malha.network.model import Location
from malha.platform.db import Database, Tx
from malha.platform.ids import UUID
from malha.testing.builders import Sold, World, a_network, a_product, an_order, an_owner_at, in_days

NINE, NOON, SIX = time(9), time(12), time(18)
COUNTERS = "SELECT day, starts, confirmed FROM capacity_slot WHERE confirmed > 0 ORDER BY 1, 2"
SLOTS = "SELECT capacity_day, slot_starts, slot_ends FROM fulfillment_order WHERE state <> 'rejected' ORDER BY number"
DAYS = "SELECT day, sum(taken)::int FROM location_day GROUP BY day HAVING sum(taken) > 0 ORDER BY day"


class Shop:
    """DC prepares two orders from nine to noon and two from noon to six, from tomorrow on."""

    def __init__(self, database: Database, world: World, place: Location, sku: int) -> None:
        self.database, self.world, self.place, self.sku = database, world, place, sku

    async def orders(self, count: int, quantity: int = 1) -> list[UUID]:
        async with self.database.transaction() as tx:
            return [await an_order(tx, self.world, [Sold(self.sku, quantity)]) for _ in range(count)]

    async def release(self, orders: list[UUID]) -> None:
        async with self.database.transaction() as tx:
            assert not (await fulfillment.release(tx, orders, forced=True)).left

    async def tuples(self, statement: str) -> list[tuple[object, ...]]:
        async with self.database.transaction() as tx:
            return await tx.tuples(statement)

    async def work(self) -> list[UUID]:
        return [row[0] for row in await self.tuples("SELECT id FROM fulfillment_order ORDER BY number")]  # type: ignore[misc]

    async def restate(self, *templates: Template, measure: Measure | None = None) -> None:
        async with self.database.transaction() as tx:
            await service.set_templates(tx, self.place, {Kind.PICK: templates}, measure=measure)

    async def drift(self) -> list[str]:
        return [f.check for f in (await examine(self.database)).findings if f.drifts]


def week(morning: int = 2, afternoon: int = 2) -> list[Template]:
    return [
        Template(d, starts, ends, quota)
        for d in range(1, 8)
        for starts, ends, quota in ((NINE, NOON, morning), (NOON, SIX, afternoon))
    ]


async def slots_at(tx: Tx, code: str, templates: list[Template]) -> Location:
    """State picking slots, none of them today: what the time is at the time of the test must not matter."""
    place = await network.location_by_code(tx, code)
    assert place is not None
    await service.set_templates(tx, place, {Kind.PICK: templates})
    await service.set_overrides(tx, place, {(Kind.PICK, service.today_at(place, await tx.now())): [Override()]})
    return place


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    async with database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A", stock={"DC": 500})
        place = await slots_at(tx, "DC", week())
    made = Shop(database, world, place, sku)
    yield made
    assert await made.drift() == []


async def test_work_takes_the_earliest_slot_with_room_and_is_due_when_it_ends(shop: Shop) -> None:
    await shop.release(await shop.orders(5))
    first, second = in_days(1), in_days(2)
    assert await shop.tuples(SLOTS) == [
        (first, NINE, NOON), (first, NINE, NOON), (first, NOON, SIX), (first, NOON, SIX), (second, NINE, NOON),
    ]  # fmt: skip
    assert await shop.tuples(COUNTERS) == [(first, NINE, 2), (first, NOON, 2), (second, NINE, 1)]
    assert await shop.tuples(DAYS) == [(first, 4), (second, 1)]
    dues = await shop.tuples("SELECT due_at FROM fulfillment_order ORDER BY number")
    zone = ZoneInfo(shop.place.timezone)
    assert dues[2] == (datetime.combine(first, SIX, zone).astimezone(UTC),)
    async with shop.database.transaction() as tx:
        found = await reads.slots(tx, [shop.place], [Kind.PICK], [first, second])
    assert [(s.key.starts, s.confirmed, s.left) for s in found] == [
        (NINE, 2, 0), (NOON, 2, 0), (NINE, 1, 1), (NOON, 0, 2),
    ]  # fmt: skip


async def test_a_location_without_slots_asks_and_writes_nothing_of_them(database: Database) -> None:
    async with database.transaction() as tx:
        world = await a_network(tx, capacity=3)
        sku = await a_product(tx, world, "A", stock={"DC": 5})
        await fulfillment.release(tx, [await an_order(tx, world, [Sold(sku)])], forced=True)
        assert await tx.tuples("SELECT slot_location_id, slot_starts, slot_ends FROM fulfillment_order") == [
            (None, None, None)
        ]
        assert await tx.tuples("SELECT 1 FROM capacity_slot") == []
        reference = await reference_in(tx)
        assert reference.picking == {}
        assert not any(isinstance(calendar, PickingCalendar) for calendar in reference.calendars)


async def test_of_thirty_at_once_no_slot_gets_more_than_it_has_room_for(shop: Shop) -> None:
    await shop.restate(*week(3, 4))
    orders = await shop.orders(30)
    async with Database(shop.database.url, shop.database.retailer, min_size=10, max_size=10) as wide:

        async def release(some: list[UUID]) -> None:
            async with wide.transaction() as tx:
                assert not (await fulfillment.release(tx, some, forced=True)).left

        await asyncio.gather(*(release(orders[n::10]) for n in range(10)))
    counters = await shop.tuples(COUNTERS)
    assert [n for _, _, n in counters] == [3, 4] * 4 + [2]
    assert [day for day, _, _ in counters][::2] == [in_days(n) for n in range(1, 6)]
    assert await shop.tuples(DAYS) == [*((in_days(n), 7) for n in range(1, 5)), (in_days(5), 2)]


async def test_while_some_are_released_others_cancelled_and_slots_stated_anew_no_counter_drifts(shop: Shop) -> None:
    there, coming = await shop.orders(12), await shop.orders(12)
    await shop.release(there)
    async with Database(shop.database.url, shop.database.retailer, min_size=8, max_size=8) as wide:

        async def release(order: UUID) -> None:
            async with wide.transaction() as tx:
                await fulfillment.release(tx, [order], forced=True)

        async def cancel(order: UUID) -> None:
            async with wide.transaction() as tx:
                await fulfillment.cancel(tx, order, reason="mudou de ideia")

        async def state(n: int) -> None:
            async with wide.transaction() as tx:
                await service.set_templates(tx, shop.place, {Kind.PICK: week(1 + n % 3, 2)})

        tasks = [*(release(o) for o in coming), *(cancel(o) for o in there[::2]), *(state(n) for n in range(6))]
        await asyncio.gather(*tasks)
    assert sum(n for _, _, n in await shop.tuples(COUNTERS)) == 18  # type: ignore[misc]
    assert sum(n for _, n in await shop.tuples(DAYS)) == 18  # type: ignore[misc]


@pytest.mark.parametrize("way", ["cancelled", "rejected", "short"])
async def test_work_that_does_not_happen_gives_its_slot_back_to_the_next(shop: Shop, way: str) -> None:
    first, second = await shop.orders(2)
    await shop.release([first, second])
    work = (await shop.work())[0]
    async with shop.database.transaction() as tx:
        if way == "cancelled":
            await fulfillment.cancel(tx, first, reason="mudou de ideia")
        elif way == "rejected":
            await fulfillment.reject(tx, work, RejectReason.STORE_CLOSED)
        else:
            await fulfillment.accept(tx, work)
            await fulfillment.confirm_pick(tx, work, short=[Short(1, 1, RejectReason.MISMATCH)])
    assert await shop.tuples(COUNTERS) == [(in_days(1), NINE, 1)]
    await shop.release(await shop.orders(1))
    assert await shop.tuples(COUNTERS) == [(in_days(1), NINE, 2)]


async def test_a_part_that_goes_ahead_is_in_the_slot_of_the_whole_full_or_not(shop: Shop) -> None:
    await shop.release(await shop.orders(2, quantity=3))
    work = (await shop.work())[0]
    async with shop.database.transaction() as tx:
        part = await parting.go_ahead(tx, work, [Picked(1, 1)])
    assert part.slot == Key(shop.place.id, "pick", in_days(1), NINE)
    assert await shop.tuples(COUNTERS) == [(in_days(1), NINE, 3)]


async def test_work_that_was_there_before_slots_were_stated_counts_in_its_day(shop: Shop) -> None:
    tomorrow = in_days(1)
    async with shop.database.transaction() as tx:
        await tx.execute("INSERT INTO location_day VALUES (%(l)s, %(d)s, 3)", {"l": shop.place.id, "d": tomorrow})
    await shop.release(await shop.orders(2))
    assert await shop.tuples(COUNTERS) == [(tomorrow, NINE, 1), (in_days(2), NINE, 1)]
    async with shop.database.transaction() as tx:
        found = await reads.slots(tx, [shop.place], [Kind.PICK], [tomorrow])
        await tx.execute("UPDATE location_day SET taken = 1 WHERE day = %(d)s", {"d": tomorrow})
    assert [s.confirmed for s in found] == [2, 2]


async def test_a_slot_of_another_size_on_a_date_and_a_pause_that_ends_decide_who_gets_in(shop: Shop) -> None:
    tomorrow = in_days(1)
    async with shop.database.transaction() as tx:
        closed = [Override(starts=NINE, ends=NOON, quota=0, reason="Inventário")]
        await service.set_overrides(tx, shop.place, {(Kind.PICK, tomorrow): closed})
    await shop.release(await shop.orders(1))
    assert await shop.tuples(SLOTS) == [(tomorrow, NOON, SIX)]
    async with shop.database.transaction() as tx:
        until = datetime.combine(in_days(2), time(10), ZoneInfo(shop.place.timezone))
        await network_service.pause_locations(tx, ["DC"], "Falta luz", until)
    await shop.release(await shop.orders(1))
    assert (await shop.tuples(SLOTS))[1] == (in_days(2), NOON, SIX)


async def test_a_counter_made_on_a_holiday_takes_work_once_the_day_is_none(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        key = {"place": shop.place.id, "day": in_days(1)}
        await tx.execute(
            "INSERT INTO capacity_slot (location_id, kind, day, starts, ends, quota, widest)"
            " VALUES (%(place)s, 'pick', %(day)s, '09:00', '11:00', 0, 0)",
            key,
        )
    await shop.release(await shop.orders(3))
    rows = await shop.tuples("SELECT starts, ends, quota, widest, confirmed FROM capacity_slot ORDER BY starts")
    assert rows == [(NINE, NOON, 2, 2, 2), (NOON, SIX, 2, 2, 1)]


async def test_the_doctor_finds_a_picking_slot_whose_counter_is_not_its_work(shop: Shop) -> None:
    await shop.release(await shop.orders(1))
    for change in ("confirmed + 1", "confirmed - 1"):
        async with shop.database.transaction() as tx:
            await tx.execute(f"UPDATE capacity_slot SET confirmed = {change} WHERE starts = '09:00'")
        assert await shop.drift() == (["slot_counters"] if change == "confirmed + 1" else [])


async def test_where_no_slot_has_room_within_the_horizon_orders_wait(shop: Shop) -> None:
    await shop.restate(*week(0, 0))
    (order,) = await shop.orders(1)
    async with shop.database.transaction() as tx:
        done = await releasing.release(tx, [order], forced=True)
        assert done.left == {order: NotReleased.NO_CAPACITY}
        with pytest.raises(NoCapacity):
            await fulfillment.release_order(tx, order)
    assert await shop.tuples(DAYS) == []


async def test_owners_at_one_site_share_its_slots(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        other = await an_owner_at(tx, shop.world, "DC", "Marca", root="44555666")
        sku = await a_product(tx, shop.world, "B", stock={other: 10})
        theirs = [await an_order(tx, shop.world, [Sold(sku, at=other)]) for _ in range(2)]
    await shop.release([*(await shop.orders(2)), *theirs])
    rows = await shop.tuples("SELECT slot_location_id, slot_starts FROM fulfillment_order")
    assert Counter(rows) == {(shop.place.id, NINE): 2, (shop.place.id, NOON): 2}


async def test_what_is_promised_is_the_end_of_the_first_slot_that_is_not_full(shop: Shop) -> None:
    zone = ZoneInfo(shop.place.timezone)

    async def ready() -> datetime | None:
        async with shop.database.transaction() as tx:
            reference = await reference_in(tx)
            calendar = reference.calendars[reference.network.index[shop.place.id]]
            now = await tx.now()
            due = calendar.due_at(now)
            assert due is None or calendar.due_day(now) == due.astimezone(zone).date()
            return due

    assert await ready() == datetime.combine(in_days(1), NOON, zone)
    await shop.release(await shop.orders(2))
    assert await ready() == datetime.combine(in_days(1), SIX, zone)
    await shop.release(await shop.orders(3))
    assert await ready() == datetime.combine(in_days(2), NOON, zone)
