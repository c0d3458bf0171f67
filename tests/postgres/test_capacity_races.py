"""Many at once want the last places of slots: real connections, and the counters at the end."""

import asyncio
import random
from collections import Counter
from datetime import time, timedelta

import pytest
from tests.waiting import waiting

from malha.capacity import service
from malha.capacity.errors import SlotFull, SlotHoldExists, SlotHoldNotFound
from malha.capacity.model import Key, Kind, Override, Template
from malha.network import reads as network
from malha.network.model import Location
from malha.platform.clock import now
from malha.platform.db import Database, Tx
from malha.platform.errors import Busy
from malha.platform.ids import new_id
from malha.testing.builders import a_network

NINE, TEN, NOON = time(9), time(10), time(12)
DAY = now().date() + timedelta(days=8)
AT_ONCE = 32
TAKEN = "SELECT coalesce(sum(held), 0)::int, coalesce(sum(confirmed), 0)::int FROM capacity_slot"
DRIFT = """
SELECT s.* FROM capacity_slot s
LEFT JOIN (SELECT location_id, kind, day, starts, count(*) FILTER (WHERE state = 'held') AS held,
                  count(*) FILTER (WHERE state = 'confirmed') AS confirmed
           FROM capacity_reservation GROUP BY 1, 2, 3, 4) r USING (location_id, kind, day, starts)
WHERE (s.held, s.confirmed) IS DISTINCT FROM (coalesce(r.held, 0), coalesce(r.confirmed, 0))
   OR s.held + s.confirmed > s.quota
"""


@pytest.fixture
async def wide(database: Database):
    """A pool of as many connections as there are buyers, and S1 with a slot of two hours in the morning."""
    async with Database(database.url, database.retailer, min_size=AT_ONCE, max_size=AT_ONCE) as db:
        async with db.transaction() as tx:
            await a_network(tx)
            place = await network.location_by_code(tx, "S1")
            assert place is not None
            week = [Template(DAY.isoweekday(), NINE, TEN, 1), Template(DAY.isoweekday(), TEN, NOON, 5)]
            await service.set_templates(tx, place, {Kind.PICKUP: week})
        yield db, place


async def at_once(tasks) -> Counter[str]:
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(
            outcome, (SlotFull, SlotHoldExists, SlotHoldNotFound, Busy)
        ):
            raise outcome
    return Counter(type(o).__name__ if isinstance(o, BaseException) else "done" for o in outcomes)


async def lock(tx: Tx, *orders: int) -> None:
    """Stand for the locks on rows of orders, which callers take first."""
    for order in orders:
        await tx.execute("SELECT pg_advisory_xact_lock(%(n)s::bigint)", {"n": order})


async def drift(db: Database) -> list[tuple[object, ...]]:
    async with db.transaction() as tx:
        return await tx.tuples(DRIFT)


@pytest.mark.parametrize("seats", [1, 5])
async def test_of_thirty_two_at_once_only_as_many_get_in_as_there_are_places(
    wide: tuple[Database, Location], seats: int
) -> None:
    db, place = wide
    starts = NINE if seats == 1 else TEN

    async def want(n: int) -> None:
        async with db.transaction() as tx:
            if n % 2:
                await service.hold(tx, place, Kind.PICKUP, DAY, starts, reference=f"cart-{n}", seconds=600)
            else:
                await service.book(tx, new_id(), place, Key(place.id, "pickup", DAY, starts))

    assert await at_once(want(n) for n in range(AT_ONCE)) == {"done": seats, "SlotFull": AT_ONCE - seats}
    assert await drift(db) == []
    async with db.transaction() as tx:
        assert sum((await tx.tuples(TAKEN))[0]) == seats


async def test_the_place_of_an_expired_hold_goes_to_exactly_one_of_thirty_two(wide: tuple[Database, Location]) -> None:
    db, place = wide
    async with db.transaction() as tx:
        await service.hold(tx, place, Kind.PICKUP, DAY, NINE, reference="gone", seconds=600)
        await tx.execute("UPDATE capacity_reservation SET expires_at = now() - interval '1 second'")

    async def want(n: int) -> None:
        async with db.transaction() as tx:
            if n % 4 == 0:
                await service.confirm_hold(tx, "gone", new_id())
            else:
                await service.hold(tx, place, Kind.PICKUP, DAY, NINE, reference=f"cart-{n}", seconds=600)

    outcome = await at_once(want(n) for n in range(AT_ONCE))
    assert outcome["done"] == 1
    assert await drift(db) == []


async def test_while_quotas_change_and_orders_come_go_and_move_no_counter_drifts(
    wide: tuple[Database, Location],
) -> None:
    db, place = wide
    rng = random.Random(7)
    orders = [new_id() for _ in range(AT_ONCE)]
    slots = [Key(place.id, "pickup", DAY, NINE), Key(place.id, "pickup", DAY, TEN)]
    async with db.transaction() as tx:
        for order in orders[:4]:
            await service.book(tx, order, place, slots[1])

    async def act(n: int, choice: int) -> None:
        async with db.transaction() as tx:
            match choice:
                case 0:
                    await lock(tx, n % 4)
                    await service.move(tx, orders[n % 4], place, slots[n % 2], reason="race")
                case 1:
                    await lock(tx, n % 4, n % 4 + 1)
                    await service.release_orders(tx, orders[n % 4 : n % 4 + 2], reason="race")
                case 2:
                    await service.hold(
                        tx, place, Kind.PICKUP, DAY, slots[n % 2].starts, reference=f"c{n % 5}", seconds=600
                    )
                case 3:
                    await service.release_hold(tx, f"c{n % 5}")
                case _:  # only upwards: lowered quotas are told apart elsewhere
                    await service.set_overrides(
                        tx, place, {(Kind.PICKUP, DAY): [Override(starts=NINE, ends=TEN, quota=2 + n)]}
                    )

    for _ in range(4):
        choices = [rng.randrange(4) for _ in range(AT_ONCE - 1)]
        await at_once([*(act(n, c) for n, c in enumerate(choices)), act(rng.randrange(3) + 30, 4)])
        assert await drift(db) == []


async def test_who_loses_the_last_place_and_who_changes_quotas_do_not_wait_for_one_another(
    wide: tuple[Database, Location],
) -> None:
    db, place = wide

    async def hold() -> None:
        async with db.transaction() as tx:
            await service.hold(tx, place, Kind.PICKUP, DAY, NINE, reference="second", seconds=600)

    async def change() -> None:
        async with db.transaction() as tx:
            await service.set_overrides(tx, place, {(Kind.PICKUP, DAY): [Override(starts=NINE, ends=TEN, quota=2)]})

    async with db.transaction() as tx:  # the counter is there
        await service.hold(tx, place, Kind.PICKUP, DAY, NINE, reference="first", seconds=600)
        await service.release_hold(tx, "first")
    async with db.transaction() as tx:
        await service.hold(tx, place, Kind.PICKUP, DAY, NINE, reference="first", seconds=600)
        second = asyncio.create_task(hold())  # it saw a free place, and waits for its counter
        while not await waiting(db):
            assert not second.done()
        changed = asyncio.create_task(change())
        while await waiting(db) < 2:
            assert not changed.done()
    assert await at_once([second, changed]) == {"SlotFull": 1, "done": 1}
    assert await drift(db) == []


async def test_a_first_reservation_beside_a_change_of_quotas_counts_by_the_new_ones(
    wide: tuple[Database, Location],
) -> None:
    """The counter of a slot is made while its quota is being changed: whoever comes second works with the first."""
    db, place = wide
    days = [DAY + timedelta(days=7 * n) for n in range(8)]

    async def book(day) -> None:
        async with db.transaction() as tx:
            await service.book(tx, new_id(), place, Key(place.id, "pickup", day, TEN))

    async def change(day) -> None:
        async with db.transaction() as tx:
            await service.set_overrides(tx, place, {(Kind.PICKUP, day): [Override(starts=TEN, ends=NOON, quota=3)]})

    await at_once([work for day in days for work in (book(day), change(day), book(day))])
    async with db.transaction() as tx:
        stated = await tx.tuples("SELECT day, quota, confirmed FROM capacity_slot ORDER BY day")
    assert stated == [(day, 3, 2) for day in days]
