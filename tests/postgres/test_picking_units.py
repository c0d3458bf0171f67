"""Picking slots that count units: work takes as many places as it has units, and gives back what it has no more."""

import asyncio
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

import pytest
from test_picking_slots import NINE, NOON, SIX, Shop, shop, week

from malha.capacity import picking, reads, service
from malha.capacity.model import Key, Kind, Measure, Override, Template
from malha.flows.order_to_cash import follow_slots
from malha.fulfillment import moving, parting
from malha.fulfillment import service as fulfillment
from malha.fulfillment.errors import PickingSlotFull
from malha.fulfillment.model import Picked, RejectReason, Short
from malha.intake.reference import reference_in
from malha.ordering.model import CancelWish
from malha.platform.db import Database
from malha.platform.errors import MalhaError
from malha.platform.ids import UUID
from malha.platform.migrate import migrate
from malha.testing.builders import Sold, a_product, an_order, an_owner_at, in_days
from waiting import waiting

__all__ = ["shop"]

COUNTERS = "SELECT day, starts, confirmed, units FROM capacity_slot WHERE confirmed > 0 ORDER BY 1, 2"
SLOTS = "SELECT capacity_day, slot_starts, units FROM fulfillment_order ORDER BY number"
DAYS = "SELECT day, sum(taken)::int FROM location_day GROUP BY day HAVING sum(taken) > 0 ORDER BY day"


@pytest.fixture
async def units(shop: Shop) -> Shop:
    """DC picks ten units from nine to noon and ten from noon to six, from tomorrow on."""
    await shop.restate(*week(10, 10), measure=Measure.UNITS)
    return shop


async def sized(shop: Shop, *quantities: int) -> list[UUID]:
    return [(await shop.orders(1, quantity))[0] for quantity in quantities]


async def move(shop: Shop, work_id: UUID, day: date, starts: time) -> None:
    async with shop.database.transaction() as tx:
        await moving.move_to_slot(tx, work_id, day, starts, reason="Caminhão cedo")


async def test_work_takes_the_earliest_slot_that_has_room_for_all_its_units(units: Shop) -> None:
    await units.release(await sized(units, 6, 6, 4, 5, 3))
    first, second = in_days(1), in_days(2)
    assert await units.tuples(SLOTS) == [
        (first, NINE, 6), (first, NOON, 6), (first, NINE, 4), (second, NINE, 5), (first, NOON, 3),
    ]  # fmt: skip
    assert await units.tuples(COUNTERS) == [(first, NINE, 2, 10), (first, NOON, 2, 9), (second, NINE, 1, 5)]
    assert await units.tuples(DAYS) == [(first, 4), (second, 1)]  # days count work, as ever
    async with units.database.transaction() as tx:
        found = await reads.slots(tx, [units.place], [Kind.PICK], [first, second])
    assert [(s.measure, s.taken, s.quota, s.left) for s in found] == [
        (Measure.UNITS, 10, 10, 0), (Measure.UNITS, 9, 10, 1), (Measure.UNITS, 5, 10, 5), (Measure.UNITS, 0, 10, 10),
    ]  # fmt: skip


async def test_work_larger_than_any_slot_takes_an_empty_one_whole(units: Shop) -> None:
    await units.release(await sized(units, 1, 25, 1, 25))
    first, second = in_days(1), in_days(2)
    assert await units.tuples(SLOTS) == [(first, NINE, 1), (first, NOON, 25), (first, NINE, 1), (second, NINE, 25)]
    assert await follow_slots(units.database) == 0  # it is not too much for its slot
    await units.release(await sized(units, 9, 9))
    assert (await units.tuples(SLOTS))[4:] == [(second, NOON, 9), (in_days(3), NINE, 9)]


async def test_units_that_are_cancelled_or_short_give_their_places_back_while_the_rest_stays(units: Shop) -> None:
    first, second = await sized(units, 8, 2)
    await units.release([first, second])
    async with units.database.transaction() as tx:
        await fulfillment.cancel(tx, first, reason="mudou de ideia", wishes=[CancelWish(1, 3)])
    assert await units.tuples(COUNTERS) == [(in_days(1), NINE, 2, 7)]
    async with units.database.transaction() as tx:
        short = [Short(1, 2, RejectReason.MISMATCH)]
        await fulfillment.confirm_pick(tx, (await units.work())[0], short=short)
    assert await units.tuples(COUNTERS) == [(in_days(1), NINE, 2, 5)]
    await units.release(await sized(units, 5))
    assert await units.tuples(COUNTERS) == [(in_days(1), NINE, 3, 10)]
    async with units.database.transaction() as tx:
        await fulfillment.cancel(tx, second, reason="mudou de ideia")
    assert await units.tuples(COUNTERS) == [(in_days(1), NINE, 2, 8)]


async def test_a_part_that_goes_ahead_takes_its_units_along_and_no_more_places(units: Shop) -> None:
    await units.release(await sized(units, 7, 3))
    async with units.database.transaction() as tx:
        part = await parting.go_ahead(tx, (await units.work())[0], [Picked(1, 4)])
    assert part.units == 4
    assert await units.tuples(COUNTERS) == [(in_days(1), NINE, 3, 10)]
    assert await units.tuples("SELECT widest FROM capacity_slot WHERE confirmed > 0") == [(10,)]
    assert [row[2] for row in await units.tuples(SLOTS)] == [3, 3, 4]


async def test_who_moves_work_needs_room_for_its_units(units: Shop) -> None:
    await units.release(await sized(units, 6, 5, 25))
    first, second = in_days(1), in_days(2)
    six, five, large = await units.work()
    with pytest.raises(PickingSlotFull):
        await move(units, six, first, NOON)
    with pytest.raises(PickingSlotFull):
        await move(units, large, first, NOON)  # not empty
    await move(units, large, second, NOON)
    await move(units, five, second, NINE)
    await move(units, six, first, NOON)
    assert await units.tuples(SLOTS) == [(first, NOON, 6), (second, NINE, 5), (second, NOON, 25)]
    async with units.database.transaction() as tx:
        room = (await moving.choices(tx, [units.place.id]))[units.place.id]
    assert [(s.key.day, s.key.starts) for s in room if s.has_room_for(6)][:3] == [
        (first, NINE), (in_days(3), NINE), (in_days(3), NOON),
    ]  # fmt: skip
    assert [(s.key.day, s.key.starts) for s in room if s.has_room_for(25)][:2] == [(first, NINE), (in_days(3), NINE)]


async def test_of_a_slot_made_smaller_the_last_move_until_the_rest_fits(units: Shop) -> None:
    await units.release(await sized(units, 4, 3, 2, 1))
    async with units.database.transaction() as tx:
        said = [Override(starts=NINE, ends=NOON, quota=8)]
        (above,) = (await service.set_overrides(tx, units.place, {(Kind.PICK, in_days(1)): said})).above
    assert (above.taken, above.quota) == (10, 8)
    assert (
        await follow_slots(units.database) == 1
    )  # the last has one unit, the one before it two: both leave, one returns
    assert await units.tuples(COUNTERS) == [(in_days(1), NINE, 3, 8), (in_days(1), NOON, 1, 2)]
    assert await follow_slots(units.database) == 0


async def test_another_measure_reads_the_same_work_anew_and_moves_what_is_too_much(shop: Shop) -> None:
    await shop.restate(*week(3, 3))
    await shop.release(await sized(shop, 4, 9, 1))
    first, second = in_days(1), in_days(2)
    assert await shop.tuples(COUNTERS) == [(first, NINE, 3, 14)]
    async with shop.database.transaction() as tx:
        done = await service.set_templates(tx, shop.place, {Kind.PICK: week(10, 10)}, measure=Measure.UNITS)
    assert [(s.taken, s.quota, s.measure) for s in done.above] == [(14, 10, Measure.UNITS)]
    assert await shop.tuples("SELECT quota, widest, measure FROM capacity_slot WHERE confirmed > 0") == [
        (10, 14, "units")
    ]
    assert await shop.drift() == []
    assert await follow_slots(shop.database) == 1
    assert await shop.tuples(COUNTERS) == [(first, NINE, 2, 5), (first, NOON, 1, 9)]
    await shop.release(await sized(shop, 6))
    assert (await shop.tuples(SLOTS))[3] == (second, NINE, 6)
    await shop.restate(*week(1, 5), measure=Measure.ORDERS)
    assert await shop.drift() == []
    assert await follow_slots(shop.database) == 1
    assert await shop.tuples(COUNTERS) == [(first, NINE, 1, 4), (first, NOON, 2, 10), (second, NINE, 1, 6)]


async def test_work_without_a_slot_fills_the_first_ones_with_its_units(units: Shop) -> None:
    await units.release(await sized(units, 7))
    async with units.database.transaction() as tx:  # as it was released before slots were stated
        await tx.execute("UPDATE fulfillment_order SET slot_location_id = NULL, slot_starts = NULL, slot_ends = NULL")
        await tx.execute("UPDATE capacity_slot SET confirmed = 0, units = 0")
    await units.release(await sized(units, 4, 3))
    assert (await units.tuples(SLOTS))[1:] == [(in_days(1), NOON, 4), (in_days(1), NINE, 3)]
    async with units.database.transaction() as tx:
        found = await reads.slots(tx, [units.place], [Kind.PICK], [in_days(1)])
    assert [s.taken for s in found] == [10, 4]


async def test_who_moves_work_to_a_slot_that_work_without_one_leaves_free_gets_in(shop: Shop) -> None:
    first, second, three = in_days(1), in_days(2), time(15)
    hours = ((NINE, NOON), (NOON, three), (three, SIX))
    await shop.restate(*[Template(d, *hour, 40) for d in range(1, 8) for hour in hours], measure=Measure.UNITS)
    await shop.release(await sized(shop, 30, 25, 5))
    async with shop.database.transaction() as tx:  # as it was released before slots were stated
        await tx.execute("UPDATE fulfillment_order SET slot_location_id = NULL, slot_starts = NULL, slot_ends = NULL")
        await tx.execute("UPDATE capacity_slot SET confirmed = 0, units = 0")
    await shop.release(await sized(shop, 40, 40))
    *_, five, last, later = await shop.work()
    assert (await shop.tuples(SLOTS))[2:] == [(first, None, 5), (first, three, 40), (second, NINE, 40)]
    await move(shop, last, second, NOON)
    with pytest.raises(PickingSlotFull):
        await move(shop, five, first, NINE)  # the others without a slot fill it
    await move(shop, five, first, NOON)  # they leave 25 there; with its own units it would be 20 and five
    with pytest.raises(PickingSlotFull):
        await move(shop, later, first, NOON)
    await move(shop, five, first, three)
    await move(shop, five, second, three)
    await move(shop, later, first, three)
    assert await shop.tuples(COUNTERS) == [(first, three, 1, 40), (second, NOON, 1, 40), (second, three, 1, 5)]


async def test_the_units_of_moved_work_do_not_stand_in_its_own_way(units: Shop) -> None:
    await units.release(await sized(units, 10, 10))
    async with units.database.transaction() as tx:  # as it was released before slots were stated
        await tx.execute("UPDATE fulfillment_order SET slot_location_id = NULL, slot_starts = NULL, slot_ends = NULL")
        await tx.execute("UPDATE capacity_slot SET confirmed = 0, units = 0")
    _, second = await units.work()
    await move(units, second, in_days(1), NOON)
    assert await units.tuples(SLOTS) == [(in_days(1), None, 10), (in_days(1), NOON, 10)]


async def test_routing_compares_the_units_of_today_with_what_its_slots_take(units: Shop) -> None:
    async with units.database.transaction() as tx:
        today = service.today_at(units.place, await tx.now())
        key = {"place": units.place.id, "day": today}
        await tx.execute(
            "INSERT INTO capacity_slot (location_id, kind, day, starts, ends, quota, widest, measure, confirmed, units)"
            " VALUES (%(place)s, 'pick', %(day)s, '09:00', '12:00', 10, 10, 'units', 0, 0)",
            key,
        )
        reference = await reference_in(tx)
        at = reference.network.index[units.place.id]
        before = reference.taken[at]
        await tx.execute("UPDATE capacity_slot SET units = 6, confirmed = 2 WHERE day = %(day)s", key)
    await sized(units, 4)  # claimed there, and not released yet
    async with units.database.transaction() as tx:
        assert (await reference_in(tx)).taken[at] == before + 10
        await service.set_overrides(tx, units.place, {(Kind.PICK, today): []})
        reference = await reference_in(tx)
        assert (reference.taken[at], reference.network.places[at].daily_capacity) == (10, 20)
        await tx.execute("UPDATE capacity_slot SET units = 0, confirmed = 0 WHERE day = %(day)s", key)


async def test_what_is_promised_is_the_end_of_the_first_slot_with_room_for_the_units(units: Shop) -> None:
    zone = ZoneInfo(units.place.timezone)

    async def ready(size: int) -> datetime | None:
        async with units.database.transaction() as tx:
            reference = await reference_in(tx)
            calendar = reference.calendars[reference.network.index[units.place.id]]
            now = await tx.now()
            due = calendar.due_at(now, size)
            assert due is None or calendar.due_day(now, size) == due.astimezone(zone).date()
            return due

    assert await ready(25) == datetime.combine(in_days(1), NOON, zone)
    await units.release(await sized(units, 8))
    assert await ready(2) == datetime.combine(in_days(1), NOON, zone)
    assert await ready(3) == datetime.combine(in_days(1), SIX, zone)
    assert await ready(25) == datetime.combine(in_days(1), SIX, zone)


async def test_owners_at_one_site_share_its_slots_unit_by_unit(units: Shop) -> None:
    async with units.database.transaction() as tx:
        other = await an_owner_at(tx, units.world, "DC", "Marca", root="44555666")
        sku = await a_product(tx, units.world, "B", stock={other: 10})
        theirs = [await an_order(tx, units.world, [Sold(sku, 6, at=other)])]
    await units.release([*(await sized(units, 5)), *theirs])
    rows = await units.tuples("SELECT slot_location_id, slot_starts, units FROM fulfillment_order ORDER BY units")
    assert rows == [(units.place.id, NINE, 5), (units.place.id, NOON, 6)]


async def test_of_many_at_once_no_slot_gets_more_units_than_it_has_room_for(units: Shop) -> None:
    orders = await sized(units, *[1 + n % 7 for n in range(28)], 25, 12)
    async with Database(units.database.url, units.database.retailer, min_size=10, max_size=10) as wide:

        async def release(some: list[UUID]) -> None:
            async with wide.transaction() as tx:
                assert not (await fulfillment.release(tx, some, forced=True)).left

        await asyncio.gather(*(release(orders[n::10]) for n in range(10)))
    counters = await units.tuples(COUNTERS)
    assert sum(n for *_, n in counters) == 4 * 28 + 37  # type: ignore[misc]
    assert [row for row in counters if row[3] > 10 and row[2] != 1] == []  # type: ignore[operator]


async def test_whatever_happens_at_once_no_unit_is_leaked_and_none_too_many_gets_in(units: Shop) -> None:
    there = await sized(units, *[2 + n % 5 for n in range(12)])
    coming = await sized(units, *[1 + n % 6 for n in range(12)])
    await units.release(there)
    work = await units.work()
    async with Database(units.database.url, units.database.retailer, min_size=8, max_size=8) as wide:

        async def quietly(step: object) -> None:
            try:
                await step  # type: ignore[misc]
            except MalhaError:
                return

        async def release(order: UUID) -> None:
            async with wide.transaction() as tx:
                await fulfillment.release(tx, [order], forced=True)

        async def cancel(order: UUID, whole: bool) -> None:
            async with wide.transaction() as tx:
                wishes = None if whole else [CancelWish(1, 1)]
                await fulfillment.cancel(tx, order, reason="mudou de ideia", wishes=wishes)

        async def short(work_id: UUID) -> None:
            async with wide.transaction() as tx:
                await fulfillment.confirm_pick(tx, work_id, [], [Short(1, 1, RejectReason.OTHER)])

        async def elsewhere(work_id: UUID, n: int) -> None:
            async with wide.transaction() as tx:
                await moving.move_to_slot(tx, work_id, in_days(1 + n % 5), (NINE, NOON)[n % 2], reason="Mutirão")

        async def state(n: int) -> None:
            async with wide.transaction() as tx:
                measure = (Measure.ORDERS, Measure.UNITS)[n % 2]
                await service.set_templates(tx, units.place, {Kind.PICK: week(8 + n, 10)}, measure=measure)

        await asyncio.gather(
            *(quietly(release(o)) for o in coming),
            *(quietly(cancel(o, n % 2 == 0)) for n, o in enumerate(there[::3])),
            *(quietly(short(w)) for w in work[1::3]),
            *(quietly(elsewhere(w, n)) for n, w in enumerate(work[2::3])),
            *(quietly(state(n)) for n in range(6)),
            quietly(follow_slots(wide)),
        )
    assert await units.drift() == []
    await units.restate(*week(10, 10), measure=Measure.UNITS)
    while await follow_slots(units.database):
        pass
    async with units.database.transaction() as tx:
        over = (await picking.excess(tx, await tx.now())).get(units.place.id, {})
    begun = {Key(*row) for row in await units.tuples(
        "SELECT slot_location_id, 'pick', capacity_day, slot_starts FROM fulfillment_order WHERE state = 'picking'"
    )}  # fmt: skip
    assert over.keys() <= begun  # what has begun stays where it is


async def migrate_again(shop: Shop) -> None:
    """Run the migration that gives work its units once more."""
    url, retailer = shop.database.url, shop.database.retailer
    async with shop.database.transaction() as tx:
        await tx.execute("DELETE FROM migration WHERE name = '0113_post_fulfillment.sql'")
    assert await migrate(url, retailer, "post") == ["0113_post_fulfillment.sql"]


async def test_while_units_are_counted_for_the_first_time_a_cancel_that_has_its_slot_is_waited_for(units: Shop) -> None:
    first, second = await sized(units, 4, 3)
    await units.release([first, second])
    async with units.database.transaction() as tx:  # as old code left it
        await tx.execute("UPDATE fulfillment_order SET units = 0")
        await tx.execute("UPDATE capacity_slot SET units = 0")
    async with units.database.transaction() as tx:
        key = Key(units.place.id, Kind.PICK.value, in_days(1), NINE)
        await picking.lock(tx, [picking.Place(key, 1, 0)])
        running = asyncio.create_task(migrate_again(units))
        while not await waiting(units.database):
            await asyncio.sleep(0.01)
        await fulfillment.cancel(tx, second, reason="mudou de ideia")
    await running
    assert await units.tuples(COUNTERS) == [(in_days(1), NINE, 1, 4)]


async def test_work_that_old_code_cut_meanwhile_has_its_living_units_and_nobody_waits_for_work_in_hand(
    units: Shop,
) -> None:
    await units.release(await sized(units, 4, 3, 1))
    unsaid, cut, busy = await units.work()
    async with units.database.transaction() as tx:  # new code released the second with five, old code cut it
        await tx.execute("UPDATE fulfillment_order SET units = 5 WHERE id = %(id)s", {"id": cut})
        await tx.execute("UPDATE fulfillment_order SET units = 0 WHERE id = ANY (%(ids)s)", {"ids": [unsaid, busy]})
        await tx.execute("UPDATE capacity_slot SET units = 5 WHERE confirmed > 0")
    async with units.database.transaction() as tx:
        await tx.tuples("SELECT 1 FROM fulfillment_order WHERE id = %(id)s FOR NO KEY UPDATE", {"id": busy})
        await migrate_again(units)
    assert [row[2] for row in await units.tuples(SLOTS)] == [4, 3, 0]
    assert await units.tuples(COUNTERS) == [(in_days(1), NINE, 3, 7)]
    await migrate_again(units)
    assert [row[2] for row in await units.tuples(SLOTS)] == [4, 3, 1]


async def test_work_in_hand_while_units_were_first_counted_says_its_own_when_they_next_change(units: Shop) -> None:
    await units.release(await sized(units, 4, 5))
    work, _ = await units.work()
    async with units.database.transaction() as tx:
        await tx.execute("UPDATE fulfillment_order SET units = 0 WHERE id = %(id)s", {"id": work})
        await tx.execute("UPDATE capacity_slot SET units = 5 WHERE confirmed > 0")
    async with units.database.transaction() as tx:
        await fulfillment.confirm_pick(tx, work, [], [Short(1, 1, RejectReason.OTHER)])
    assert [row[2] for row in await units.tuples(SLOTS)] == [3, 5]
    assert await units.tuples(COUNTERS) == [(in_days(1), NINE, 2, 8)]
    assert await units.drift() == []


async def test_the_doctor_finds_units_that_are_not_those_of_the_work(units: Shop) -> None:
    await units.release(await sized(units, 3))
    async with units.database.transaction() as tx:
        await tx.execute("UPDATE capacity_slot SET units = units + 1 WHERE confirmed > 0")
    assert await units.drift() == ["slot_counters"]
    async with units.database.transaction() as tx:
        await tx.execute("UPDATE fulfillment_order SET units = units + 1")
    assert await units.drift() == ["slot_units"]
    async with units.database.transaction() as tx:
        await tx.execute("UPDATE capacity_slot SET units = units - 1 WHERE confirmed > 0")
        await tx.execute("UPDATE fulfillment_order SET units = units - 1")
