"""Work moves out of picking slots that are closed or made smaller; what has begun, or finds no room, stays."""

import asyncio
from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from test_picking_slots import COUNTERS, DAYS, NINE, NOON, SIX, SLOTS, Shop, shop, week

from malha.capacity import picking, service
from malha.capacity.model import Kind, Override
from malha.flows.order_to_cash import follow_slots
from malha.fulfillment import reslotting
from malha.fulfillment import service as fulfillment
from malha.fulfillment.model import WorkState
from malha.network import service as network_service
from malha.platform.db import Database
from malha.platform.ids import UUID
from malha.testing.builders import an_owner_at, in_days
from waiting import waiting

__all__ = ["shop"]

MOVED = """
SELECT (payload->>'number')::int, payload->>'former_day', payload->>'former_starts'
FROM outbox WHERE type = 'fulfillment.moved' ORDER BY 1
"""


async def override(shop: Shop, *said: Override, days: int = 1) -> list[Any]:
    async with shop.database.transaction() as tx:
        return (await service.set_overrides(tx, shop.place, {(Kind.PICK, in_days(days)): said})).above


async def test_what_waits_in_a_closed_slot_goes_to_the_next_with_room_and_its_order_says_so(shop: Shop) -> None:
    await shop.release(await shop.orders(3))
    assert await follow_slots(shop.database) == 0
    (above,) = await override(shop, Override(starts=NINE, ends=NOON, quota=0, reason="Balanço"))
    assert (above.key.starts, above.confirmed) == (NINE, 2)
    assert await follow_slots(shop.database) == 2
    tomorrow, next_day = in_days(1), in_days(2)
    assert sorted(await shop.tuples(SLOTS)) == [(tomorrow, NOON, SIX), (tomorrow, NOON, SIX), (next_day, NINE, NOON)]
    assert await shop.tuples(COUNTERS) == [(tomorrow, NOON, 2), (next_day, NINE, 1)]
    assert await shop.tuples(DAYS) == [(tomorrow, 2), (next_day, 1)]
    zone = ZoneInfo(shop.place.timezone)
    dues = await shop.tuples("SELECT DISTINCT due_at FROM fulfillment_order ORDER BY 1")
    assert dues == [(datetime.combine(tomorrow, SIX, zone),), (datetime.combine(next_day, NOON, zone),)]
    assert await shop.tuples(MOVED) == [(1, tomorrow.isoformat(), "09:00"), (2, tomorrow.isoformat(), "09:00")]
    assert await follow_slots(shop.database) == 0


async def test_of_a_slot_made_smaller_the_last_that_came_move(shop: Shop) -> None:
    await shop.restate(*week(4, 4))
    await shop.release(await shop.orders(4))
    await override(shop, Override(starts=NINE, ends=NOON, quota=1))
    assert await follow_slots(shop.database) == 3
    rows = await shop.tuples("SELECT slot_starts FROM fulfillment_order ORDER BY number")
    assert rows == [(NINE,), (NOON,), (NOON,), (NOON,)]


async def test_what_is_accepted_stays_in_its_slot(shop: Shop) -> None:
    await shop.release(await shop.orders(2))
    async with shop.database.transaction() as tx:
        await fulfillment.accept(tx, (await shop.work())[1])
    await override(shop, Override())
    assert await follow_slots(shop.database) == 1
    assert await shop.tuples(COUNTERS) == [(in_days(1), NINE, 1), (in_days(2), NINE, 1)]


async def test_without_room_anywhere_work_stays_where_it_was(shop: Shop) -> None:
    await shop.release(await shop.orders(2))
    await shop.restate(*week(0, 0))
    assert await follow_slots(shop.database) == 0
    assert await shop.tuples(COUNTERS) == [(in_days(1), NINE, 2)]
    assert await shop.tuples(DAYS) == [(in_days(1), 2)]


async def test_a_pause_that_ends_and_a_day_that_is_closed_move_what_was_to_be_done_before(shop: Shop) -> None:
    await shop.release(await shop.orders(2))
    async with shop.database.transaction() as tx:
        await network_service.pause_locations(tx, ["DC"], "Falta luz")
    assert await follow_slots(shop.database) == 0  # it finishes what it has
    async with shop.database.transaction() as tx:
        await network_service.resume_locations(tx, ["DC"])
        until = datetime.combine(in_days(1), time(10), ZoneInfo(shop.place.timezone))
        await network_service.pause_locations(tx, ["DC"], "Falta luz", until)
    assert await follow_slots(shop.database) == 2
    assert await shop.tuples(COUNTERS) == [(in_days(1), NOON, 2)]
    async with shop.database.transaction() as tx:
        await network_service.resume_locations(tx, ["DC"])
        day = {"l": shop.place.id, "d": in_days(1)}
        await tx.execute("INSERT INTO location_closure VALUES (%(l)s, %(d)s, 'Balanço')", day)
    assert await follow_slots(shop.database) == 2
    assert await shop.tuples(COUNTERS) == [(in_days(2), NINE, 2)]


async def test_work_that_is_no_longer_there_when_its_turn_comes_is_left_alone(shop: Shop) -> None:
    first, second = await shop.orders(2)
    await shop.release([first, second])
    await override(shop, Override())
    async with shop.database.transaction() as tx:
        over = await picking.excess(tx, await tx.now())
    async with shop.database.transaction() as tx:
        await fulfillment.cancel(tx, second, reason="mudou de ideia")
    async with shop.database.transaction() as tx:
        assert await reslotting.move_out(tx, shop.place.id, over[shop.place.id]) == (1, 1)
        assert await reslotting.move_out(tx, shop.place.id, over[shop.place.id]) == (0, 0)
    states = await shop.tuples("SELECT state FROM fulfillment_order ORDER BY number")
    assert states == [(WorkState.OPEN,), (WorkState.CANCELLED,)]


async def test_while_work_moves_others_are_released_and_cancelled_and_no_counter_drifts(shop: Shop) -> None:
    there, coming = await shop.orders(12), await shop.orders(8)
    await shop.release(there)
    async with Database(shop.database.url, shop.database.retailer, min_size=8, max_size=8) as wide:

        async def release(order: UUID) -> None:
            async with wide.transaction() as tx:
                assert not (await fulfillment.release(tx, [order], forced=True)).left

        async def cancel(order: UUID) -> None:
            async with wide.transaction() as tx:
                await fulfillment.cancel(tx, order, reason="mudou de ideia")

        async def close(n: int) -> None:
            async with wide.transaction() as tx:
                said = [Override(starts=NINE, ends=NOON, quota=n % 2)]
                await service.set_overrides(tx, shop.place, {(Kind.PICK, in_days(1 + n)): said})
            await follow_slots(wide)

        tasks = [*(release(o) for o in coming), *(cancel(o) for o in there[::3]), *(close(n) for n in range(4))]
        await asyncio.gather(*tasks)
    await follow_slots(shop.database)
    async with shop.database.transaction() as tx:
        assert await picking.excess(tx, await tx.now()) == {}
    assert sum(n for _, _, n in await shop.tuples(COUNTERS)) == 16  # type: ignore[misc]
    assert sum(n for _, n in await shop.tuples(DAYS)) == 16  # type: ignore[misc]


async def test_a_release_and_work_that_moves_take_days_in_one_order_where_a_day_between_is_new(shop: Shop) -> None:
    tomorrow, between = in_days(1), in_days(2)
    close = "INSERT INTO location_closure SELECT id, %(d)s, 'Balanço' FROM location WHERE coalesce(site_id, id) = %(l)s"
    closed = {"l": shop.place.id, "d": between}
    async with shop.database.transaction() as tx:
        await an_owner_at(tx, shop.world, "DC", "Marca", root="44555666")
        await tx.execute(close, closed)
        await tx.execute(close, closed | {"d": in_days(0)})
    await shop.release(await shop.orders(5))  # the fifth goes to the day after the closed one
    async with shop.database.transaction() as tx:  # which opens: nobody has counted anything on it yet
        await tx.execute("DELETE FROM location_closure WHERE day = %(d)s", closed)
    await override(shop, Override(), days=3)
    await override(shop, Override(starts=NOON, ends=SIX, quota=3))
    coming = await shop.orders(2)
    async with shop.database.transaction() as tx:
        over = (await picking.excess(tx, await tx.now()))[shop.place.id]
        assert [key.day for key in over] == [in_days(3)]
    async with Database(shop.database.url, shop.database.retailer, min_size=4, max_size=4) as wide:

        async def release() -> None:
            async with wide.transaction() as tx:
                assert not (await fulfillment.release(tx, coming, forced=True)).left

        async def move() -> None:
            async with wide.transaction() as tx:
                assert await reslotting.move_out(tx, shop.place.id, over) == (1, 1)

        async with asyncio.timeout(60):
            async with wide.transaction() as tx:  # who has the owner's day keeps the release at it, behind the site's
                held = {"place": shop.place.id, "day": tomorrow}
                await tx.tuples("SELECT 1 FROM location_day WHERE location_id <> %(place)s AND day = %(day)s"
                                " FOR NO KEY UPDATE", held)  # fmt: skip
                releasing = asyncio.create_task(release())
                await until_waiting(shop.database, 1)
                moving = asyncio.create_task(move())
                await until_waiting(shop.database, 2)
            await asyncio.gather(releasing, moving)
    assert await shop.tuples(DAYS) == [(tomorrow, 5), (between, 2)]


async def until_waiting(database: Database, most: int) -> None:
    while await waiting(database) < most:
        await asyncio.sleep(0.01)


async def test_whoever_states_no_picking_slots_any_more_lets_work_be(shop: Shop) -> None:
    await shop.release(await shop.orders(1))
    async with shop.database.transaction() as tx:
        await service.set_templates(tx, shop.place, {Kind.PICK: []})
        today = service.today_at(shop.place, await tx.now())
        await service.set_overrides(tx, shop.place, {(Kind.PICK, today): []})
    assert await follow_slots(shop.database) == 0
    await shop.release(await shop.orders(1))
    rows = await shop.tuples("SELECT slot_starts FROM fulfillment_order ORDER BY number")
    assert rows == [(NINE,), (None,)]
