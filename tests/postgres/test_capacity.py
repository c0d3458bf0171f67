"""Slots on a real database: held, confirmed, given back, expired; and what a change of quotas does to them."""

import random
from contextlib import suppress
from datetime import date, time, timedelta

import msgspec
import pytest

from malha.capacity import reads, service
from malha.capacity.errors import NoSuchSlot, SlotFull, SlotHoldExists, SlotHoldNotFound
from malha.capacity.model import Key, Kind, Override, Slot, State, Template
from malha.network import reads as network
from malha.network import service as network_service
from malha.network.model import Location, LocationStatus
from malha.platform.clock import now
from malha.platform.db import Actor, Database, Tx
from malha.platform.errors import Conflict
from malha.platform.flaws import Invalid
from malha.platform.ids import UUID, new_id
from malha.testing.builders import a_network

NINE, TEN, NOON = time(9), time(10), time(12)
DAY = now().date() + timedelta(days=8)
WEEK = [Template(d, s, e, 2) for d in range(1, 8) for s, e in ((NINE, TEN), (TEN, NOON))]
EXPIRE = (
    "UPDATE capacity_reservation SET expires_at = now() - interval '1 second' WHERE reference = %(reference)s::text"
)
COUNTED_BY_ROWS = """
SELECT count(*) FILTER (WHERE state = 'held'), count(*) FILTER (WHERE state = 'confirmed')
FROM capacity_reservation WHERE starts = %(at)s::time
"""
COUNTED = "SELECT day, starts, quota, held, confirmed FROM capacity_slot ORDER BY 1, 2"


@pytest.fixture
async def shop(database: Database) -> tuple[Database, Location]:
    """S1, which hands over two customers' goods from nine to ten and two from ten to noon, every day."""
    async with database.transaction() as tx:
        await a_network(tx)
        place = await place_of(tx, "S1")
        await service.set_templates(tx, place, {Kind.PICKUP: WEEK})
    return database, place


async def place_of(tx: Tx, code: str) -> Location:
    found = await network.location_by_code(tx, code)
    assert found is not None
    return found


def key(place: Location, starts: time = NINE, day: date = DAY) -> Key:
    return Key(place.id, "pickup", day, starts)


async def hold(tx: Tx, place: Location, reference: str, starts: time = NINE, seconds: float = 600) -> None:
    await service.hold(tx, place, Kind.PICKUP, DAY, starts, reference=reference, seconds=seconds)


async def left(database: Database, place: Location, starts: time = NINE, day: date = DAY) -> int:
    async with database.transaction() as tx:
        return (await service.stand(tx, [key(place, starts, day)]))[key(place, starts, day)].left


async def test_a_held_place_is_nobody_elses_until_it_is_given_back(shop: tuple[Database, Location]) -> None:
    database, place = shop
    async with database.transaction() as tx:
        await hold(tx, place, "cart-1")
        await hold(tx, place, "cart-2")
    assert await left(database, place) == 0
    async with database.transaction() as tx:
        with pytest.raises(SlotFull) as refused:
            await hold(tx, place, "cart-3")
    first = refused.value.facts["alternatives"][0]
    assert (first["location"], first["starts"], first["left"]) == ("S1", "10:00", 2)
    assert str(refused.value) == f"The slot of S1 on {DAY} at 09:00 has no place left: 2 of 2 are taken."
    async with database.transaction() as tx:
        await service.release_hold(tx, "cart-1")
    assert await left(database, place) == 1
    async with database.transaction() as tx:
        with pytest.raises(SlotHoldNotFound):
            await service.release_hold(tx, "cart-1")


async def test_a_cart_holds_one_slot_at_a_time(shop: tuple[Database, Location]) -> None:
    database, place = shop
    async with database.transaction() as tx:
        await hold(tx, place, "cart-1")
    with pytest.raises(SlotHoldExists):
        async with database.transaction() as tx:
            await hold(tx, place, "cart-1", TEN)
    assert await left(database, place, TEN) == 2
    async with database.transaction() as tx:
        await tx.execute(EXPIRE, {"reference": "cart-1"})
        await hold(tx, place, "cart-1", TEN)
    assert (await left(database, place), await left(database, place, TEN)) == (2, 1)


async def test_an_expired_hold_counts_as_free_and_makes_way_for_who_comes(shop: tuple[Database, Location]) -> None:
    database, place = shop
    async with database.transaction() as tx:
        await hold(tx, place, "cart-1")
        await hold(tx, place, "cart-2")
        await tx.execute(EXPIRE, {"reference": "cart-1"})
    assert await left(database, place) == 1
    async with database.transaction() as tx:
        await hold(tx, place, "cart-3")
    async with database.transaction() as tx:
        with pytest.raises(SlotFull):
            await hold(tx, place, "cart-4")
        with pytest.raises(SlotHoldNotFound):
            await service.confirm_hold(tx, "cart-1", new_id())


async def test_an_expired_hold_that_nobody_needed_can_still_be_confirmed(shop: tuple[Database, Location]) -> None:
    database, place = shop
    order = new_id()
    async with database.transaction() as tx:
        await hold(tx, place, "cart-1")
        await tx.execute(EXPIRE, {"reference": "cart-1"})
        await service.confirm_hold(tx, "cart-1", order)
        assert (await reads.of_orders(tx, [order]))[order].state is State.CONFIRMED
        assert await tx.tuples(COUNTED) == [(DAY, NINE, 2, 0, 1)]


async def test_the_place_of_a_cancelled_order_is_given_back_once(shop: tuple[Database, Location]) -> None:
    database, place = shop
    order = new_id()
    async with database.transaction() as tx:
        await service.book(tx, order, place, key(place))
    for expected in (1, 0):
        async with database.transaction() as tx:
            assert len(await service.release_orders(tx, [order], reason="cancelled")) == expected
    assert await left(database, place) == 2


async def test_an_order_that_moves_gives_its_place_back_and_keeps_it_when_there_is_none_elsewhere(
    shop: tuple[Database, Location],
) -> None:
    database, place = shop
    order = new_id()
    async with database.transaction() as tx:
        await service.book(tx, order, place, key(place))
        had, slot = await service.move(tx, order, place, key(place, TEN), reason="asked")
        assert (had.starts if had else None, slot.key.starts) == (NINE, TEN)
        await service.book(tx, new_id(), place, key(place))
        await service.book(tx, new_id(), place, key(place))
    with pytest.raises(SlotFull):
        async with database.transaction() as tx:
            await service.move(tx, order, place, key(place), reason="asked")
    async with database.transaction() as tx:
        assert (await reads.of_orders(tx, [order]))[order].starts == TEN
        assert await tx.tuples(COUNTED) == [(DAY, NINE, 2, 0, 2), (DAY, TEN, 2, 0, 1)]


async def test_a_quota_that_is_lowered_takes_nothing_from_who_has_a_place_and_lets_nobody_in(
    shop: tuple[Database, Location],
) -> None:
    database, place = shop
    async with database.transaction() as tx:
        await service.book(tx, new_id(), place, key(place))
        await service.book(tx, new_id(), place, key(place))
        dated = {(Kind.PICKUP, DAY): [Override(starts=NINE, ends=TEN, quota=1)]}
        stated = await service.set_overrides(tx, place, dated)
        assert [(s.quota, s.confirmed) for s in stated.above] == [(1, 2)]
    async with database.transaction() as tx:
        with pytest.raises(SlotFull):
            await hold(tx, place, "cart-1")
        await service.set_overrides(tx, place, {(Kind.PICKUP, DAY): [Override(starts=NINE, ends=TEN, quota=3)]})
    async with database.transaction() as tx:
        await hold(tx, place, "cart-1")
        assert await tx.tuples(COUNTED) == [(DAY, NINE, 3, 1, 2)]
        await service.set_overrides(tx, place, {(Kind.PICKUP, DAY): []})
        assert await tx.tuples(COUNTED) == [(DAY, NINE, 2, 1, 2)]


async def test_a_slot_that_is_stated_no_more_keeps_its_customers_on_the_list(shop: tuple[Database, Location]) -> None:
    database, place = shop
    async with database.transaction() as tx:
        await service.book(tx, new_id(), place, key(place))
        await service.set_templates(tx, place, {Kind.PICKUP: []})
        (slot,) = await reads.slots(tx, [place], [Kind.PICKUP], [DAY])
        assert (slot.quota, slot.confirmed, slot.left, slot.open) == (0, 1, 0, False)
        with pytest.raises(SlotFull):
            await hold(tx, place, "cart-1")


@pytest.mark.parametrize("why", ["closure", "paused", "closed", "hands nothing over"])
async def test_a_location_that_takes_no_work_lets_nobody_into_its_slots(
    shop: tuple[Database, Location], why: str
) -> None:
    database, place = shop
    async with database.transaction() as tx:
        await service.book(tx, new_id(), place, key(place))
        match why:
            case "closure":
                await network_service.close_days(tx, "S1", [DAY], "Balanço")
            case "paused":
                await network_service.set_location_status(tx, "S1", LocationStatus.PAUSED, reason="Sem luz")
            case "closed":
                await network_service.set_location_status(tx, "S1", LocationStatus.CLOSED)
            case _:
                await tx.execute("UPDATE location SET can_pickup = false WHERE code = 'S1'")
    async with database.transaction() as tx:
        place = await place_of(tx, "S1")
        with pytest.raises((SlotFull, NoSuchSlot)) as refused:
            await hold(tx, place, "cart-1")
        assert " of " not in str(refused.value), "it is not full"
        if why != "closure":
            assert refused.value.facts["alternatives"] == []


async def test_a_pause_that_ends_before_the_slot_does_not_touch_it(shop: tuple[Database, Location]) -> None:
    database, place = shop
    async with database.transaction() as tx:
        until = now() + timedelta(days=3)
        await network_service.set_location_status(tx, "S1", LocationStatus.PAUSED, reason="Obra", until=until)
        place = await place_of(tx, "S1")
        await hold(tx, place, "cart-1")
        day = now().date() + timedelta(days=1)
        with pytest.raises(SlotFull):
            await service.hold(tx, place, Kind.PICKUP, day, NINE, reference="cart-2", seconds=60)


async def test_a_slot_that_is_over_or_unknown_is_refused_with_others(shop: tuple[Database, Location]) -> None:
    database, place = shop
    async with database.transaction() as tx:
        for days, starts in ((-3, NINE), (400, NINE), (8, time(9, 30))):
            day = now().date() + timedelta(days=days)
            with pytest.raises(NoSuchSlot) as refused:
                await service.hold(tx, place, Kind.PICKUP, day, starts, reference="cart-1", seconds=60)
            assert len(refused.value.facts["alternatives"]) == 5


async def test_holidays_of_the_location_have_no_slots_unless_the_date_says_so(shop: tuple[Database, Location]) -> None:
    database, _ = shop
    christmas = date(now().year, 12, 25)
    async with database.transaction() as tx:
        await tx.execute("UPDATE location SET holiday_calendar = 'BR' WHERE code = 'S1'")
        place = await place_of(tx, "S1")
        assert await reads.slots(tx, [place], [Kind.PICKUP], [christmas]) == []
        assert len(await reads.slots(tx, [place], [Kind.PICKUP], [christmas + timedelta(days=1)])) == 2


async def test_what_is_stated_has_a_version_and_is_kept_on_record(shop: tuple[Database, Location]) -> None:
    database, place = shop
    async with database.transaction() as tx:
        assert (await reads.plan_of(tx, place.id)).version == 1
        await service.set_templates(tx, place, {Kind.DELIVERY: [Template(1, NINE, TEN, 1)]}, expected=1)
        plan = await reads.plan_of(tx, place.id)
        assert (plan.version, len(plan.templates[Kind.PICKUP]), len(plan.templates[Kind.DELIVERY])) == (2, 14, 1)
        assert await tx.value("SELECT count(*) FROM audit WHERE entity = 'capacity' AND entity_id = 'S1'") == 2
    with pytest.raises(Conflict):
        async with database.transaction() as tx:
            await service.set_templates(tx, place, {Kind.PICKUP: []}, expected=1)
    past = now().date() - timedelta(days=2)
    with pytest.raises(Invalid):
        async with database.transaction() as tx:
            await service.set_overrides(tx, place, {(Kind.PICKUP, past): [Override()]})


async def test_whoever_does_not_see_the_location_does_not_find_what_is_held_there(
    shop: tuple[Database, Location],
) -> None:
    database, place = shop
    async with database.transaction() as tx:
        await hold(tx, place, "cart-1")
    stranger = Actor("person", None, "ana", permissions=frozenset(), locations=frozenset({place.id + 1}))
    async with database.transaction(stranger) as tx:
        with pytest.raises(SlotHoldNotFound):
            await service.release_hold(tx, "cart-1")
        with pytest.raises(SlotHoldNotFound):
            await service.confirm_hold(tx, "cart-1", new_id())


async def test_offers_begin_when_goods_are_ready_and_leave_out_who_states_none(
    shop: tuple[Database, Location],
) -> None:
    database, place = shop
    async with database.transaction() as tx:
        other = await place_of(tx, "S2")
        for _ in range(2):
            await service.book(tx, new_id(), place, key(place))
        ready = service.ends_at(place, DAY, time(8))
        found = await service.offers(tx, [place, other], Kind.PICKUP, ready={place.id: ready, other.id: ready}, most=2)
    assert {code: [(s.key.day, s.key.starts) for s in slots] for code, slots in found.items()} == {
        place.id: [(DAY, TEN), (DAY + timedelta(days=1), NINE)]
    }


async def step(tx: Tx, place: Location, rng: random.Random, orders: list[UUID]) -> None:
    """Do one of the things that can happen to slots."""
    starts, order = rng.choice((NINE, TEN)), rng.choice(orders)
    reference = f"cart-{rng.randrange(5)}"
    had = (await reads.of_orders(tx, [order])).get(order)
    match rng.randrange(7):
        case 0 | 1:
            await hold(tx, place, reference, starts)
        case 2 if had is None:
            await service.confirm_hold(tx, reference, order)
        case 3:
            await service.release_hold(tx, reference)
        case 4:
            await tx.execute(EXPIRE, {"reference": reference})
        case 5:
            await service.release_orders(tx, [order], reason="step")
        case _ if had is None or had.starts != starts:
            await service.move(tx, order, place, key(place, starts), reason="step")


@pytest.mark.parametrize("seed", range(6))
async def test_whatever_happens_counters_are_their_reservations_and_never_above_the_quota(
    shop: tuple[Database, Location], seed: int
) -> None:
    """A few dozen steps of everything that can happen to slots; quotas fall and rise; looked at after each."""
    database, place = shop
    rng = random.Random(seed)
    orders = [new_id() for _ in range(6)]
    for _ in range(40):
        with suppress(SlotFull, SlotHoldExists, SlotHoldNotFound):
            async with database.transaction() as tx:
                await step(tx, place, rng, orders)
        async with database.transaction() as tx:
            if rng.random() < 0.05:
                override = Override(starts=NINE, ends=TEN, quota=rng.randrange(4))
                await service.set_overrides(tx, place, {(Kind.PICKUP, DAY): [override]})
            for at, widest, held, confirmed in await tx.tuples(
                "SELECT starts, widest, held, confirmed FROM capacity_slot"
            ):
                assert await tx.tuples(COUNTED_BY_ROWS, {"at": at}) == [(held, confirmed)]
                assert held + confirmed <= widest


def test_a_slot_never_has_less_than_nothing_left() -> None:
    slot = Slot(key=Key(1, "pickup", DAY, NINE), ends=TEN, quota=1, confirmed=3)
    assert slot.left == 0
    assert msgspec.structs.replace(slot, quota=5, open=False).left == 0


async def test_a_day_that_is_no_holiday_after_all_has_the_places_that_are_stated(
    shop: tuple[Database, Location],
) -> None:
    database, place = shop
    holiday = date(now().year + 1, 1, 1)
    here = key(place, day=holiday)
    async with database.transaction() as tx:
        await tx.execute("UPDATE location SET holiday_calendar = '-' WHERE code = 'S1'")
        await service.book(tx, new_id(), await place_of(tx, "S1"), here)
        await tx.execute("UPDATE location SET holiday_calendar = 'BR' WHERE code = 'S1'")
        await service.set_templates(tx, await place_of(tx, "S1"), {Kind.PICKUP: WEEK})
    async with database.transaction() as tx:
        await tx.execute("UPDATE location SET holiday_calendar = '-' WHERE code = 'S1'")
        place = await place_of(tx, "S1")
        await service.hold(tx, place, Kind.PICKUP, holiday, NINE, reference="cart-1", seconds=60)
    async with database.transaction() as tx:
        with pytest.raises(SlotFull):
            await service.hold(tx, place, Kind.PICKUP, holiday, NINE, reference="cart-2", seconds=60)
