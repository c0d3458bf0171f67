"""Promises that slip: found by a look over all that has not left, promised anew, and the customer told once.

A look compares each promise with what the plan as it stands comes to: when the goods can leave by the calendar of their
location, and how long their lane takes now. It writes down what it found (`promise_slip`); promising anew decides again
under the order's lock, so that a look that is old tells nothing wrong.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import structlog
from psycopg.errors import DeadlockDetected

from malha.fulfillment import slip_reads as reads
from malha.fulfillment import slip_writes as writes
from malha.intake import promised as offering
from malha.intake.reference import Reference, reference_in
from malha.network.calendar import Calendar
from malha.network.model import LocationStatus
from malha.ordering import promises
from malha.ordering import service as ordering
from malha.ordering.model import PromiseReason
from malha.ordering.rules import FARTHEST
from malha.platform.db import Database, Tx
from malha.platform.errors import Busy
from malha.platform.ids import UUID
from malha.promising import slipping as rules
from malha.promising.rules import there_on
from malha.promising.slipping import Now, Part, Slip, Slipping

log = structlog.get_logger(__name__)

PAGE = 5_000  # orders read at once
STORM = 5  # times as many as may be told at once: then nobody is, before a person has looked
Mode = Literal["tell", "suggest", "off"]

# What the customer hears.
REASONS = {
    Slip.CUT_OFF: PromiseReason.CAPACITY,
    Slip.OVERDUE: PromiseReason.CAPACITY,
    Slip.CAPACITY: PromiseReason.CAPACITY,
    Slip.CLOSED: PromiseReason.CAPACITY,
    Slip.MOVED: PromiseReason.STOCK_LATE,
    Slip.CARRIER: PromiseReason.CARRIER_LATE,
    Slip.NO_PLACE: PromiseReason.STOCK_LATE,
}


async def watch(db: Database, *, mode: Mode, most: int, quiet_hours: int) -> int:
    """Look for promises that slip and, where that is wished, promise them anew; return how many were.

    At most `most` at once, the soonest promised first; the next look goes on. Safe beside another worker.
    """
    async with db.transaction() as tx:
        if mode == "off":
            await tx.execute(writes.DROP_OTHER_SLIPS, {"orders": []})
            return 0
        found = await look(tx)
        at = await tx.now()
    quiet = timedelta(hours=quiet_hours)
    wanted = [slip.order_id for slip in found if rules.may_tell(slip, at, quiet)] if mode == "tell" else []
    if len(wanted) > STORM * most:
        log.warning("promises_slip_in_a_storm", orders=len(wanted), most=STORM * most)
        return 0
    told = 0
    for order_id in wanted[:most]:
        told += await _try(db, order_id, quiet)
    if told or len(wanted) > most:
        log.info("promises_made_anew", told=told, left=max(0, len(wanted) - most))
    return told


async def _try(db: Database, order_id: UUID, quiet: timedelta) -> bool:
    try:
        async with db.transaction() as tx:
            return await promise_anew(tx, order_id, quiet=quiet) is not None
    except (Busy, DeadlockDetected) as error:  # the next look finds it again
        log.info("promise_left", order=str(order_id), why=str(error))
        return False


async def look(tx: Tx, *, page: int = PAGE) -> list[Slipping]:
    """Find all orders that cannot keep their day, and keep that; return them, the soonest promised first."""
    reference = await reference_in(tx)
    at = await tx.now()
    found: list[Slipping] = []
    after: reads.Place | None = None
    while True:
        parts, after = await reads.parts(tx, after=after, most=page)
        found += _judged(parts, reference, at)
        if after is None:
            break
    await tx.execute(writes.DROP_OTHER_SLIPS, {"orders": [slip.order_id for slip in found]})
    await tx.execute(
        writes.KEEP_SLIPS,
        {
            "orders": [slip.order_id for slip in found],
            "promised": [slip.promised_at for slip in found],
            "expected": [slip.expected_at for slip in found],
            "lines": ["{" + ",".join(map(str, slip.lines)) + "}" for slip in found],
            "reasons": [slip.reason.value for slip in found],
            "locations": [slip.location for slip in found],
        },
    )
    return found


async def promise_anew(tx: Tx, order_id: UUID, *, quiet: timedelta | None = None) -> datetime | None:
    """Promise an order for the day its plan comes to now, if it cannot keep its own; return that day.

    Nothing happens when somebody has the order in hand, it can be in time, or no day can be said that may be promised.
    With `quiet` neither when its customer heard of another day so recently (`rules.may_tell`): that is for who tells by
    itself.
    """
    if not await ordering.lock_orders(tx, [order_id], skip_busy=True):
        return None
    parts, _ = await reads.parts(tx, orders=[order_id], most=1)
    at = await tx.now()
    found = _judged(parts, await reference_in(tx), at)
    if not found:
        await tx.execute(writes.DROP_SLIPS, {"orders": [order_id]})
        return None
    [slip] = found
    day = rules.new_day(slip)
    if day is None or not at < day <= at + FARTHEST or (quiet is not None and not rules.may_tell(slip, at, quiet)):
        return None
    await promises.repromise(tx, order_id, day, reason=REASONS[slip.reason], lines=slip.lines)
    await tx.execute(writes.DROP_SLIPS, {"orders": [order_id]})
    return day


async def promise_many(tx: Tx, orders: Iterable[UUID]) -> int:
    """Promise orders anew that a person chose; return how many were. See `promise_anew`."""
    done = 0
    for order_id in sorted(set(orders)):
        done += await promise_anew(tx, order_id) is not None
    return done


async def promise_paid(tx: Tx, order_ids: Iterable[UUID]) -> None:
    """Promise orders anew that were paid too late for their day, over or not. Locks them.

    What was shown counted on the money at once. A day that a channel stated stays: its customer knows that one.
    """
    wanted = sorted(await ordering.lock_orders(tx, order_ids))
    if not wanted:
        return
    parts, _ = await reads.parts(tx, orders=wanted, most=len(wanted), over=True)
    found = _judged(parts, await reference_in(tx), await tx.now()) if parts else []
    late = {slip.order_id: (day, slip.lines) for slip in found if (day := slip.expected_at) is not None}
    if not late:
        return
    for order_id in await reads.stated(tx, sorted(late)):
        del late[order_id]
    for order_id, (day, lines) in late.items():
        await promises.repromise(tx, order_id, day, reason=PromiseReason.PAID_LATE, lines=lines)
    await tx.execute(writes.DROP_SLIPS, {"orders": sorted(late)})


async def promise_first(tx: Tx, order_ids: Iterable[UUID]) -> None:
    """Promise orders for which nothing could be promised when they came, and all of whose goods have a place by now.

    Locks all of them where there is such a one. Nobody was shown a day: what their plan comes to is theirs. Left
    without one are those of which too little is known, of which some wait for goods, and that are held for anything but
    a shortage.
    """
    wanted = sorted(set(order_ids))
    if not await reads.unpromised(tx, wanted):
        return  # as nearly always: then none is locked
    parts = await reads.unpromised(tx, sorted(await ordering.lock_orders(tx, wanted)))
    reference, at = await reference_in(tx), await tx.now()
    compared = [(part, _now(part, reference, at)) for part in parts]
    unknown = {part.order_id for part, now in compared if now is None}
    for slip in _found(compared):
        day = slip.expected_at
        if slip.order_id not in unknown and day is not None and at < day <= at + FARTHEST:
            await promises.repromise(tx, slip.order_id, day, reason=PromiseReason.PLACED)


def _judged(parts: Sequence[Part], reference: Reference, at: datetime) -> list[Slipping]:
    """Return what cannot be in time, one for each order, in the order of the parts."""
    return _found((part, _now(part, reference, at)) for part in parts)


def _found(compared: Iterable[tuple[Part, Now | None]]) -> list[Slipping]:
    """Return, of parts and what they come to, what cannot be in time: one for each order."""
    found: dict[UUID, Slipping] = {}
    for part, now in compared:
        slip = None if now is None else rules.judge(part, now)
        if slip is not None:
            before = found.get(part.order_id)
            found[part.order_id] = slip if before is None else rules.together(before, slip)
    return list(found.values())


def _now(part: Part, reference: Reference, at: datetime) -> Now | None:
    """Return what a part comes to; None where too little is known of it to say anything."""
    if part.location is None:
        return Now(None, 0)
    index = reference.network.index.get(part.location)
    if index is None or (part.pickup is None and part.service is None and part.days is None):
        return None
    if part.pickup is not None:
        there = reference.network.index.get(part.pickup)
        if there is None:
            return None
        at_hand = reference.network.places[there].home == reference.network.places[index].home
        return _ready(part, reference, index, at) if at_hand else _brought(part, reference, index, there, at)
    leaves, shut, overdue = _leaves(part, reference, index, at)
    days = _days(part, reference, index, at, leaves)
    return None if days is None else Now(leaves, days, shut=shut, overdue=overdue)


def _leaves(part: Part, reference: Reference, index: int, at: datetime) -> tuple[date | None, bool, bool]:
    """Return the day goods leave, whether their location is shut until then, and whether their day to leave is over."""
    if part.due_at is None:
        return *_unreleased(part, reference, index, at), False
    calendar = reference.calendars[index]
    due = calendar.local(part.due_at).date()
    if due < calendar.local(at).date():
        return calendar.due_day(at, part.units), False, True
    return calendar.next_open_day(due), not calendar.is_open_on(due), False


def _brought(part: Part, reference: Reference, index: int, there: int, at: datetime) -> Now | None:
    """Return when what is brought to where it is fetched is ready; None where no lane does, or it still has its day.

    As it was promised (`promised.ready_at`): made ready as work of the day on which it is there. What was late there
    before is left out: a little doubt is no news.
    """
    network = reference.network
    lane = network.brought.get(network.places[there].home, {}).get(network.location_ids[index])
    if lane is None:
        return None
    leaves, shut, overdue = _leaves(part, reference, index, at)
    if leaves is None:
        return Now(None, 0, shut=shut, overdue=overdue)
    counter = reference.calendars[there]
    place = reference.details[there]
    arrives = there_on(leaves, lane[1], place.state)
    ready = counter.due_at(max(at, datetime.combine(arrives, time(), ZoneInfo(place.timezone))), part.units)
    if ready is None:
        return Now(None, 0, shut=shut, overdue=overdue)
    if part.promised_at > at and counter.local(ready).date() <= counter.local(part.promised_at).date():
        return None
    spare = _spare(part, counter, ready)
    return Now(leaves, lane[1], shut=shut, overdue=overdue, ready_at=ready, spare_at=spare)


def _spare(part: Part, counter: Calendar, ready: datetime) -> datetime | None:
    """Return when goods that are ready then are promised for: a working day later for each time that we did before."""
    return ready if not part.told else counter.closing_on(counter.shifted(counter.local(ready).date(), part.told))


def _ready(part: Part, reference: Reference, index: int, at: datetime) -> Now | None:
    """Return when what is at hand where it is fetched is ready; None where it still has its day.

    Work that waits to be asked for may be what fills a slot of its day: it is judged by days.
    """
    calendar = reference.calendars[index]
    shut = False
    if part.due_at is not None:
        ready = part.due_at if part.due_at > at else calendar.due_at(at, part.units)
    else:
        start, shut = _start(part, reference, index, at)
        leaves = None if start is None else calendar.claimed_day(start, part.units)
        if leaves is not None and part.promised_at > at and leaves <= calendar.local(part.promised_at).date():
            return None
        ready = None if leaves is None else calendar.closing_on(leaves)
    if ready is None:
        return Now(None, 0, shut=shut)
    day, overdue = calendar.local(ready).date(), part.due_at is not None and part.due_at <= at
    return Now(day, 0, shut=shut, overdue=overdue, ready_at=ready, spare_at=_spare(part, calendar, ready))


def _start(part: Part, reference: Reference, index: int, at: datetime) -> tuple[datetime | None, bool]:
    """Return from when a location can be asked for goods, and whether it is shut until then; None: nobody knows."""
    place = reference.details[index]
    start = max(at, part.release_after)
    if place.status == LocationStatus.CLOSED or (place.status == LocationStatus.PAUSED and place.paused_until is None):
        return None, True
    if place.status == LocationStatus.PAUSED and place.paused_until is not None:
        start = max(start, place.paused_until)
    return start, place.status != LocationStatus.ACTIVE


def _unreleased(part: Part, reference: Reference, index: int, at: datetime) -> tuple[date | None, bool]:
    """Return the day goods leave that nobody was asked for yet, and whether that is because their location is shut."""
    calendar = reference.calendars[index]
    start, shut = _start(part, reference, index, at)
    if start is None:
        return None, True
    meant = part.leaves or calendar.local(start).date()  # of what is fetched the day is not kept
    shut = shut or not calendar.is_open_on(meant)
    return calendar.claimed_day(start, part.units), shut


def _days(part: Part, reference: Reference, index: int, at: datetime, leaves: date | None) -> int | None:
    """Return the business days a parcel takes now: where they were learned, by what is learned now; else the tariff.

    A promise by learned days is not measured by the tariff: turning learning off must not tell everybody.
    """
    if part.service is None or part.to_state is None or leaves is None:
        return part.days or 0
    if part.learned:
        start = max(at, part.release_after)
        learned = offering.in_use(reference, at)
        found = offering.foretold(reference, learned, index, part.service, part.to_state, start, leaves)
        return part.days if found is None else found.days
    quote = reference.network.tariff.quote(part.service, reference.details[index].state, part.to_state, part.grams or 1)
    return part.days if quote is None else quote.lead_days
