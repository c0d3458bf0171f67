"""A person moves work to another picking slot: with a reason, on record, and never into one that is full or shut."""

import asyncio
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

import pytest
from test_picking_slots import COUNTERS, DAYS, NINE, NOON, SIX, SLOTS, Shop, shop

from malha.capacity import service
from malha.capacity.model import Kind, Override
from malha.fulfillment import moving
from malha.fulfillment import service as fulfillment
from malha.fulfillment.errors import (
    PickingSlotClosed,
    PickingSlotFull,
    PickingSlotOver,
    PickingSlotTooFar,
    WorkChanged,
    WorkNotFound,
    WrongState,
)
from malha.intake.loads import HORIZON_DAYS
from malha.network import service as network_service
from malha.platform.db import Actor, Database
from malha.platform.errors import MalhaError
from malha.platform.flaws import Invalid
from malha.platform.ids import UUID
from malha.testing.builders import Sold, a_product, an_order, an_owner_at, in_days

__all__ = ["shop"]

AUDIT = "SELECT action, entity, entity_id, after ->> 'reason', actor_name FROM audit WHERE entity = 'fulfillment'"
MOVED = """
SELECT payload->>'former_starts', payload->>'starts', payload->>'note' FROM outbox WHERE type = 'fulfillment.moved'
"""


async def move(shop: Shop, work_id: UUID, day: date, starts: time, *, expected: int | None = None) -> None:
    async with shop.database.transaction() as tx:
        await moving.move_to_slot(tx, work_id, day, starts, reason="Caminhão cedo", expected=expected)


async def override(shop: Shop, *said: Override, days: int = 1) -> None:
    async with shop.database.transaction() as tx:
        await service.set_overrides(tx, shop.place, {(Kind.PICK, in_days(days)): said})


async def test_work_moves_within_a_day_and_to_another_with_a_reason_on_record(shop: Shop) -> None:
    await shop.release(await shop.orders(1))
    (work,) = await shop.work()
    first, second = in_days(1), in_days(2)
    await move(shop, work, first, NOON, expected=1)
    assert await shop.tuples(SLOTS) == [(first, NOON, SIX)]
    assert await shop.tuples(COUNTERS) == [(first, NOON, 1)]
    await move(shop, work, second, NINE, expected=2)
    assert await shop.tuples(COUNTERS) == [(second, NINE, 1)]
    assert await shop.tuples(DAYS) == [(second, 1)]
    due = datetime.combine(second, NOON, ZoneInfo(shop.place.timezone))
    assert await shop.tuples("SELECT due_at, version FROM fulfillment_order") == [(due, 3)]
    assert await shop.tuples(MOVED) == [("09:00", "12:00", "Caminhão cedo"), ("12:00", "09:00", "Caminhão cedo")]
    assert [row[:4] for row in await shop.tuples(AUDIT)] == [("move", "fulfillment", "1", "Caminhão cedo")] * 2


async def test_work_that_is_there_already_stays_and_nothing_is_written(shop: Shop) -> None:
    await shop.release(await shop.orders(1))
    (work,) = await shop.work()
    await move(shop, work, in_days(1), NINE)
    assert await shop.tuples(MOVED) == []
    assert await shop.tuples("SELECT version FROM fulfillment_order") == [(1,)]


async def test_a_slot_that_is_full_closed_or_over_is_refused_and_the_work_stays(shop: Shop) -> None:
    await shop.release(await shop.orders(5))
    last = (await shop.work())[4]
    with pytest.raises(PickingSlotFull):
        await move(shop, last, in_days(1), NINE)
    with pytest.raises(PickingSlotFull):
        await move(shop, (await shop.work())[2], in_days(1), NINE)  # of the same day
    with pytest.raises(PickingSlotClosed):
        await move(shop, last, in_days(3), time(10))  # none starts then
    await override(shop, Override(starts=NOON, ends=SIX, quota=0), days=3)
    with pytest.raises(PickingSlotClosed):
        await move(shop, last, in_days(3), NOON)
    with pytest.raises(PickingSlotOver):
        await move(shop, last, in_days(-1), NINE)
    async with shop.database.transaction() as tx:
        day = {"l": shop.place.id, "d": in_days(4)}
        await tx.execute("INSERT INTO location_closure VALUES (%(l)s, %(d)s, 'Balanço')", day)
        until = datetime.combine(in_days(5), time(10), ZoneInfo(shop.place.timezone))
        await network_service.pause_locations(tx, ["DC"], "Falta luz", until)
    with pytest.raises(PickingSlotClosed):
        await move(shop, last, in_days(4), NINE)
    with pytest.raises(PickingSlotClosed):
        await move(shop, last, in_days(5), NINE)  # it begins before the pause ends
    assert (await shop.tuples(SLOTS))[4] == (in_days(2), NINE, NOON)
    await move(shop, last, in_days(5), NOON)


async def test_work_goes_no_farther_ahead_than_release_gives_it(shop: Shop) -> None:
    await shop.release(await shop.orders(1))
    (work,) = await shop.work()
    for day in (in_days(HORIZON_DAYS + 1), date.max):
        with pytest.raises(PickingSlotTooFar):
            await move(shop, work, day, NINE)
    with pytest.raises(PickingSlotOver):
        await move(shop, work, date.min, NINE)


async def test_a_day_that_is_full_of_work_without_slots_is_full(shop: Shop) -> None:
    await shop.release(await shop.orders(5))
    work = await shop.work()
    async with shop.database.transaction() as tx:  # two were released for the day before slots were stated
        await tx.execute("UPDATE fulfillment_order SET slot_location_id = NULL, slot_starts = NULL, slot_ends = NULL"
                         " WHERE slot_starts = '09:00' AND capacity_day = %(day)s", {"day": in_days(1)})  # fmt: skip
        await tx.execute("UPDATE capacity_slot SET confirmed = 0, units = 0 WHERE starts = '09:00' AND day = %(day)s",
                         {"day": in_days(1)})  # fmt: skip
    with pytest.raises(PickingSlotFull):
        await move(shop, work[4], in_days(1), NINE)
    await move(shop, work[0], in_days(1), NINE)  # which is one of those: the day counts it already
    assert (await shop.tuples(MOVED))[0] == ("", "09:00", "Caminhão cedo")


async def test_what_is_accepted_may_move_and_what_is_picked_may_not(shop: Shop) -> None:
    await shop.release(await shop.orders(1))
    (work,) = await shop.work()
    async with shop.database.transaction() as tx:
        await fulfillment.accept(tx, work)
    await move(shop, work, in_days(2), NOON)
    async with shop.database.transaction() as tx:
        await fulfillment.confirm_pick(tx, work)
    with pytest.raises(WrongState):
        await move(shop, work, in_days(2), NINE)


async def test_a_reason_is_needed_and_the_version_is_honoured(shop: Shop) -> None:
    await shop.release(await shop.orders(1))
    (work,) = await shop.work()
    with pytest.raises(WorkChanged):
        await move(shop, work, in_days(2), NOON, expected=7)
    with pytest.raises(Invalid):
        async with shop.database.transaction() as tx:
            await moving.move_to_slot(tx, work, in_days(2), NOON, reason="  ")


async def test_work_of_another_location_is_not_there_for_who_does_not_see_it(shop: Shop) -> None:
    await shop.release(await shop.orders(1))
    (work,) = await shop.work()
    elsewhere = Actor("person", None, "Ana", permissions=frozenset({"fulfillment:work"}), locations=frozenset({9999}))
    with pytest.raises(WorkNotFound):
        async with shop.database.transaction(elsewhere) as tx:
            await moving.move_to_slot(tx, work, in_days(2), NOON, reason="Caminhão cedo")


async def test_an_owner_at_a_site_moves_among_the_slots_of_the_site(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        other = await an_owner_at(tx, shop.world, "DC", "Marca", root="44555666")
        sku = await a_product(tx, shop.world, "B", stock={other: 5})
        order = await an_order(tx, shop.world, [Sold(sku, at=other)])
    await shop.release([order])
    (work,) = await shop.work()
    await move(shop, work, in_days(2), NOON)
    assert await shop.tuples(COUNTERS) == [(in_days(2), NOON, 1)]
    assert await shop.tuples(DAYS) == [(in_days(2), 1)]


async def test_what_is_offered_has_room_and_is_to_come(shop: Shop) -> None:
    await shop.release(await shop.orders(3))
    async with shop.database.transaction() as tx:
        found = (await moving.choices(tx, [shop.place.id]))[shop.place.id]
    assert [(s.key.day, s.key.starts, s.left) for s in found[:3]] == [
        (in_days(1), NOON, 1), (in_days(2), NINE, 2), (in_days(2), NOON, 2),
    ]  # fmt: skip


async def test_many_that_want_the_same_slot_at_once_fill_it_and_no_more(shop: Shop) -> None:
    await shop.release(await shop.orders(8))
    work = (await shop.work())[2:]
    await override(shop, Override(starts=NINE, ends=NOON, quota=3), days=4)
    async with Database(shop.database.url, shop.database.retailer, min_size=8, max_size=8) as wide:

        async def one(work_id: UUID) -> bool:
            try:
                async with wide.transaction() as tx:
                    await moving.move_to_slot(tx, work_id, in_days(4), NINE, reason="Mutirão")
            except PickingSlotFull:
                return False
            return True

        async def away(work_id: UUID) -> None:
            try:
                async with wide.transaction() as tx:
                    await moving.move_to_slot(tx, work_id, in_days(1), NINE, reason="Adiantar")
            except MalhaError:
                return

        done, _ = await asyncio.gather(
            asyncio.gather(*(one(w) for w in work)), asyncio.gather(*(away(w) for w in work[::2]))
        )
    assert 3 <= sum(done) <= 6
    rows = await shop.tuples("SELECT quota, confirmed FROM capacity_slot WHERE confirmed > quota")
    assert rows == []
