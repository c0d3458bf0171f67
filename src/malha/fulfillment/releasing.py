"""From allocation to work: groups an order's claimed units by location, takes capacity, and asks the locations.

Set-based for many orders. Capacity is taken by conditional update, day by day in ascending order and within a day by
location, the same order for everybody; a location that is full is asked for its next open day.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta

import msgspec

from malha.capacity import picking
from malha.capacity.model import Window
from malha.fulfillment import bringing, reads, rules, shut, work, writes
from malha.fulfillment.errors import (
    AwaitsTransfer,
    LocationShut,
    NoCapacity,
    NothingToRelease,
    ReleaseHeld,
    ReleaseUnpaid,
)
from malha.fulfillment.events import WorkReleased
from malha.fulfillment.model import TRANSFER, NotReleased, Released, Work
from malha.intake.loads import HORIZON_DAYS
from malha.network import reads as network
from malha.network.calendar import Calendar
from malha.ordering import holds as order_holds
from malha.ordering import service as ordering
from malha.ordering.errors import OrderNotFound
from malha.ordering.model import HoldKind, Move, Order, Unit, UnitState, word_of
from malha.payments import service as payments
from malha.platform.db import Tx
from malha.platform.ids import UUID, new_id
from malha.platform.money import Money

ASK_AGAIN_MINUTES = 60
LOOK_AGAIN_MINUTES = 15  # whether what was on its way is cancelled: when it arrives it is released at once
_DAY = timedelta(days=1)
_SHUT = time(0, 0)


class Wish(msgspec.Struct):
    """Work that a location is asked for; `day`, and `slot` where there are any, once they were granted."""

    location_id: int
    size: int  # its units
    day: date | None = None
    slot: tuple[int, Window] | None = None  # with the location it is counted at

    @property
    def window(self) -> Window | None:
        """Return the hours of the slot."""
        return None if self.slot is None else self.slot[1]


class _OrderWish(Wish, kw_only=True):
    """Work to be made for one order at one location."""

    order: Order
    units: list[Unit]
    method: str
    to_location_id: int | None  # where goods are brought


Seat = tuple[_OrderWish, dict[int, Calendar]]


async def release(
    tx: Tx,
    order_ids: Iterable[UUID],
    *,
    forced: bool = False,
    skip_busy: bool = False,
    at: datetime | None = None,
) -> Released:
    """Release orders that may be: their allocated units become work at their locations.

    An order may be released when it has no open hold, its payment satisfies the channel's policy and its window is
    over. An order whose payment does not suffice gets a payment hold, unless a person has overridden one. The others
    are left, with the reason. Units that were released before, and that their location gave back, do not wait for the
    window a second time: they go, and what was never released waits on. Nobody is asked where a location is closed or
    paused (`shut.leave` finds such orders another place): what is elsewhere goes, the rest is left.

    Args:
        tx: The transaction.
        order_ids: Orders; they are locked in the order of their ids.
        forced: A person releases before the window is over, at a paused location too.
        skip_busy: Leave orders that others have in hand; what is left for lack of capacity is asked again in an hour.
        at: When it happened, for history that is imported; None is now. Capacity is taken from that day on, whatever
            has become of the locations since.
    """
    wanted = sorted(set(order_ids))
    orders = await ordering.lock_orders(tx, wanted, skip_busy=skip_busy)
    left = {order_id: NotReleased.NOT_FOUND for order_id in wanted if order_id not in orders}
    if not orders:
        return Released([], left)
    units = await ordering.units_of(tx, orders)
    holds = await ordering.open_holds(tx, orders)
    money = await payments.secured(tx, orders)
    now = at or await tx.now()
    homes = await bringing.homes_of(tx, orders.values(), units)
    again = await _released_before(tx, [o.id for o in orders.values() if now < o.release_after and not forced])
    closed = set() if at is not None else await _shut(tx, orders.values(), units, closed_only=forced)
    waiting: set[UUID] = set()
    stopped: set[UUID] = set()
    wishes: list[_OrderWish] = []
    for order in sorted(orders.values(), key=lambda o: (o.release_after, o.id)):
        paid = money[order.id].suffices
        why = rules.why_not_release(order, units[order.id], holds[order.id], now, paid=paid, forced=forced)
        ready = bringing.to_release(order, units[order.id], homes)
        if why is NotReleased.TOO_EARLY and (back := [u for u in ready if u.line in again.get(order.id, ())]):
            why, ready = None, back
        if why is None:
            open_ = [] if order.comes_to in closed else [u for u in ready if u.location_id not in closed]
            asked = _by_location(order, open_, homes)
            wishes += asked
            if len(open_) < len(ready):
                stopped.add(order.id)
            elif not asked:
                waiting.add(order.id)
        else:
            left[order.id] = why
    unpaid = {o: {"missing": money[o].missing} for o, why in left.items() if why is NotReleased.NOT_PAID}
    await order_holds.ensure_holds(tx, unpaid, HoldKind.PAYMENT)
    calendars = await take_capacity(tx, wishes, now)
    granted = [wish for wish in wishes if wish.day is not None]
    full = {wish.order.id for wish in wishes} - {wish.order.id for wish in granted}
    left |= dict.fromkeys(stopped, NotReleased.LOCATION_SHUT) | dict.fromkeys(full, NotReleased.NO_CAPACITY)
    left |= dict.fromkeys(waiting, NotReleased.AWAITS_TRANSFER)
    if skip_busy and full:
        await ordering.postpone_release(tx, full, minutes=ASK_AGAIN_MINUTES)
    if waiting or (stopped and skip_busy):
        await ordering.postpone_release(tx, waiting | (stopped if skip_busy else set()), minutes=LOOK_AGAIN_MINUTES)
    return Released(await _write(tx, granted, calendars), left)


async def _shut(
    tx: Tx, orders: Iterable[Order], units: Mapping[UUID, Sequence[Unit]], *, closed_only: bool
) -> set[int]:
    """Return the locations that orders would be released from, or have goods brought to, where no work is taken."""
    from_ = {
        u.location_id for rows in units.values() for u in rows
        if u.state is UnitState.ALLOCATED and u.location_id is not None
    }  # fmt: skip
    to = {order.comes_to for order in orders if order.comes_to is not None} - from_
    return await shut.shut_among(tx, from_, closed_only=closed_only) | await shut.shut_among(tx, to, closed_only=True)


async def _released_before(tx: Tx, order_ids: Sequence[UUID]) -> dict[UUID, set[int]]:
    """Return the lines of orders that a location gave back after they were released, and that have a place again."""
    found: dict[UUID, set[int]] = {}
    if order_ids:
        for order_id, line in await tx.tuples(reads.RELEASED_BEFORE, {"orders": order_ids}):
            found.setdefault(order_id, set()).add(line)
    return found


async def release_again(tx: Tx, order_ids: Iterable[UUID]) -> Released:
    """Release at once what locations gave back of orders and another place has now; orders without such are left."""
    return await release(tx, sorted(await _released_before(tx, sorted(set(order_ids)))))


async def take_for_vendor(tx: Tx, order: Order, location_id: int, size: int) -> Seat:
    """Take capacity for units that a vendor sends, before any balance is locked; `make_for_vendor` makes the work.

    Raises:
        NoCapacity: its days are full.
    """
    wish = _OrderWish(location_id, size, order=order, units=[], method=order.method, to_location_id=None)
    calendars = await take_capacity(tx, [wish], await tx.now())
    if wish.day is None:
        raise NoCapacity(number=order.number, days=HORIZON_DAYS)
    return wish, calendars


async def make_for_vendor(tx: Tx, taken: Seat, units: Sequence[Unit]) -> Work:
    """Make the work of units that are allocated at a vendor, and of nothing else of their order."""
    wish, calendars = taken
    wish.units = list(units)
    (made,) = await _write(tx, [wish], calendars)
    return made


def _by_location(order: Order, units: Sequence[Unit], homes: Mapping[int, int]) -> list[_OrderWish]:
    places: dict[int, list[Unit]] = {}
    for unit in units:
        if unit.location_id is not None:
            places.setdefault(unit.location_id, []).append(unit)
    wishes = []
    for id_ in sorted(places):
        here = places[id_]
        method = bringing.method_of(order, here[0], homes)
        to = order.comes_to if method == TRANSFER else None
        size = sum(u.quantity for u in here)
        wishes.append(_OrderWish(id_, size, order=order, units=here, method=method, to_location_id=to))
    return wishes


async def take_capacity(tx: Tx, wishes: Sequence[Wish], now: datetime) -> dict[int, Calendar]:
    """Give every wish its day, as far as there is room within the horizon; return the calendars used.

    Where picking slots are stated a wish gets the earliest of them with room, too.
    """
    queues: dict[int, list[Wish]] = {}
    for wish in wishes:
        queues.setdefault(wish.location_id, []).append(wish)
    if not queues:
        return {}
    locations = await network.locations_by_id(tx, queues)
    closed: dict[int, set[date]] = {}
    for location_id, off, _ in await tx.tuples(network.CLOSURES):
        closed.setdefault(location_id, set()).add(off)
    slotted = await picking.stated(tx, locations.values(), lock=True)
    calendars = {i: Calendar(x, frozenset(closed.get(i, ())), by_slots=i in slotted) for i, x in locations.items()}
    due = {i: calendars[i].due_day(now) for i in queues}
    last = now.date() + HORIZON_DAYS * _DAY
    while True:
        day = min((d for i, d in due.items() if d is not None and d <= last and queues[i]), default=None)
        if day is None:
            return calendars
        here = sorted(i for i, d in due.items() if d == day and queues[i])
        keys = {"locations": here, "days": [day] * len(here)}
        await tx.execute(writes.ENSURE_DAYS, keys)
        stated = [slotted[i].pieces(day) if i in slotted else locations[i].daily_capacity for i in here]
        capacities = [writes.UNLIMITED if c is None else c for c in stated]
        asked = {**keys, "wanted": [len(queues[i]) for i in here], "capacities": capacities}
        granted: dict[int, int] = dict(await tx.tuples(writes.TAKE_CAPACITY, asked))
        await _seat(tx, {i: queues[i][:n] for i, n in granted.items() if i in slotted}, slotted, day, now)
        for location_id, pieces in granted.items():
            for wish in queues[location_id][:pieces]:
                if location_id not in slotted or wish.slot is not None:
                    wish.day = day
            queues[location_id] = [wish for wish in queues[location_id] if wish.day is None]
        for location_id in here:
            due[location_id] = calendars[location_id].next_open_day(day + _DAY)


async def _seat(
    tx: Tx,
    wishes: Mapping[int, Sequence[Wish]],
    slotted: Mapping[int, picking.Picking],
    day: date,
    now: datetime,
) -> None:
    """Give wishes that a day has room for its picking slots.

    For the others the day has no room after all, as slots of it are over or what they have left is too little for them:
    what was counted for them goes back.
    """
    if not wishes:
        return
    by_home: dict[int, list[Wish]] = {}
    for location_id in sorted(wishes):
        by_home.setdefault(slotted[location_id].place.home, []).extend(wishes[location_id])
    wanted = [
        picking.Wanted(home, day, here.windows(day, now), [wish.size for wish in rows], here.measure)
        for home, rows in sorted(by_home.items())
        if rows
        for here in (slotted[rows[0].location_id],)
    ]
    found = await picking.take(tx, wanted)
    for home, rows in by_home.items():
        for wish, window in zip(rows, found.get((home, day), ()), strict=False):
            if window is not None:
                wish.slot = home, window
    back = [i for i, rows in wishes.items() for wish in rows if wish.slot is None]
    if back:
        await tx.execute(writes.GIVE_CAPACITY_BACK, {"locations": back, "days": [day] * len(back)})


async def _write(tx: Tx, wishes: Sequence[_OrderWish], calendars: Mapping[int, Calendar]) -> list[Work]:
    if not wishes:
        return []
    ids = [new_id() for _ in wishes]
    dues = [due_of(calendars[w.location_id], w.day, w.window) for w in wishes if w.day is not None]
    made = await work.add(
        tx,
        {
            "ids": ids,
            "orders": [w.order.id for w in wishes],
            "locations": [w.location_id for w in wishes],
            "methods": [w.method for w in wishes],
            "services": [w.order.service_id for w in wishes],
            "days": [w.day for w in wishes],
            "dues": dues,
            "slot_locations": [None if w.slot is None else w.slot[0] for w in wishes],
            "slot_starts": [None if w.window is None else w.window.starts for w in wishes],
            "slot_ends": [None if w.window is None else w.window.ends for w in wishes],
            "units": [w.size for w in wishes],
            "to_locations": [w.to_location_id for w in wishes],
        },
    )
    moves: dict[UUID, list[Move]] = {}
    for id_, wish in zip(ids, wishes, strict=True):
        moves.setdefault(wish.order.id, []).extend(
            Move(u.line, u.part, u.quantity, UnitState.RELEASED, fulfillment_id=id_) for u in wish.units
        )
    counts = {id_: sum(u.quantity for u in wish.units) for id_, wish in zip(ids, wishes, strict=True)}
    events = [
        WorkReleased(
            id=w.order_id,
            seq=0,
            fulfillment_id=w.id,
            number=w.number,
            location_id=w.location_id,
            units=counts[w.id],
            due_at=w.due_at,
        )
        for w in sorted(made, key=lambda w: w.number)
    ]
    await ordering.move_many(tx, moves, events)
    return made


def due_of(calendar: Calendar, day: date, window: Window | None) -> datetime:
    """Return when work of an open day is due: at the end of its slot, else at closing time.

    What is released at the first minute of a day is due at its closing time.
    """
    if window is not None:
        return datetime.combine(day, window.ends, calendar.zone)
    due = calendar.due_at(datetime.combine(day, _SHUT, calendar.zone))
    return due if due is not None else datetime.combine(day + _DAY, _SHUT, calendar.zone)


async def release_order(tx: Tx, order_id: UUID) -> list[Work]:
    """Release one order now because a person says so, before its window is over if need be.

    Raises:
        OrderNotFound, ReleaseHeld, ReleaseUnpaid, NothingToRelease, LocationShut, AwaitsTransfer, NoCapacity: it may
            not be, or cannot be.
    """
    order = await ordering.lock_order(tx, order_id)
    done = await release(tx, [order_id], forced=True)
    match done.left.get(order_id):
        case None | NotReleased.TOO_EARLY:
            return done.work
        case NotReleased.NOT_FOUND:
            raise OrderNotFound(key=order_id)
        case NotReleased.ON_HOLD:
            kinds = sorted((await ordering.open_holds(tx, [order_id]))[order_id])
            raise ReleaseHeld(kinds=[word_of(kind) for kind in kinds])
        case NotReleased.NOT_PAID:
            missing = order.payable - (await payments.coverage(tx, [order_id]))[order_id]
            raise ReleaseUnpaid(missing=Money(missing, order.currency))
        case NotReleased.NOTHING_TO_RELEASE:
            raise NothingToRelease(number=order.number)
        case NotReleased.LOCATION_SHUT:
            if done.work:
                return done.work
            raise LocationShut(number=order.number)
        case NotReleased.AWAITS_TRANSFER:
            raise AwaitsTransfer(number=order.number)
        case NotReleased.NO_CAPACITY:
            raise NoCapacity(number=order.number, days=HORIZON_DAYS)


async def release_due(tx: Tx, limit: int = 200) -> Released:
    """Release orders whose window is over, the longest waiting first; orders in other hands wait for the next time."""
    return await release(tx, await ordering.due_for_release(tx, limit), skip_busy=True)
