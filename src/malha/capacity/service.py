"""Reserving slots: hold, confirm, give back, and what a location states.

A place is taken by a conditional update of the slot's counter; what RETURNING leaves out was refused. Only on a refusal
are counter rows made, locked and rid of expired holds, and the update tried once more. `stand` with `lock` does the
same ahead of time, for callers that decide on several slots together: what it says is left stays until they commit.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from psycopg import AsyncCursor

from malha.capacity import reads, rules, writes
from malha.capacity.errors import NoSuchSlot, SlotClosed, SlotFull, SlotHoldExists, SlotHoldNotFound
from malha.capacity.model import (
    FARTHEST_DAYS,
    MOST_REFERENCE,
    Booking,
    Key,
    Kind,
    Measure,
    Override,
    Plan,
    Reservation,
    Slot,
    Template,
    Window,
    columns_of,
)
from malha.network import reads as network
from malha.network.calendar import is_holiday
from malha.network.model import Location
from malha.network.rules import check_addressable
from malha.platform import audit, revisions
from malha.platform.db import Tx
from malha.platform.errors import Conflict
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_, Word
from malha.platform.ids import UUID, new_id

OFFERED = 5  # alternatives to a slot that is full
OFFERED_DAYS = 14
Deltas = Mapping[Key, tuple[int, int]]  # held, confirmed


# --- how slots stand ---


async def stand(tx: Tx, keys: Collection[Key], *, lock: bool = False, keep: Collection[UUID] = ()) -> dict[Key, Slot]:
    """Return slots with what is left of them; a slot that no location states is absent.

    With `lock` their counters are made, locked in key order, given the quotas that are stated now and rid of expired
    holds, those in `keep` apart: what is left stays left until the transaction ends. Take reservations, if any, before:
    their locks come first.
    """
    wanted = sorted(set(keys))
    if not wanted:
        return {}
    places = await network.locations_by_id(tx, {key.location_id for key in wanted})
    if lock:
        now_stated = await _ensure(tx, wanted, places)
        counted = await tx.tuples(writes.LOCK_SLOTS, columns_of(wanted))
        await _follow(tx, now_stated, {Key(*row[:4]): (row[4], row[5]) for row in counted})
        expired = await tx.tuples(writes.EXPIRE_HOLDS, columns_of(wanted) | {"keep": sorted(keep)})
        await _apply(tx, _sum((Key(*row), (-1, 0)) for row in expired))
    kinds = sorted({Kind(key.kind) for key in wanted})
    days = {key.day for key in wanted}
    found = {slot.key: slot for slot in await reads.slots(tx, places.values(), kinds, days)}
    if lock:  # a hold that another transaction is letting go still has its place
        raw = {Key(*row[:4]): row[6:8] for row in await tx.tuples(writes.LOCK_SLOTS, columns_of(wanted))}
        found = {
            key: msgspec.structs.replace(slot, held=raw[key][0], confirmed=raw[key][1]) if key in raw else slot
            for key, slot in found.items()
        }
    return {key: found[key] for key in wanted if key in found}


async def ensure(tx: Tx, keys: Collection[Key]) -> None:
    """Make the counters of slots that nobody reserved yet, so that reserving them is not refused for want of one."""
    if keys:
        await _ensure(tx, sorted(keys), await network.locations_by_id(tx, {key.location_id for key in keys}))


async def _ensure(tx: Tx, keys: Sequence[Key], places: Mapping[int, Location]) -> list[tuple[Key, Window, str]]:
    """Make the counters of slots that are stated, under the locks of what states them; return what is stated."""
    await tx.tuples(writes.SHARE_PLANS, {"locations": sorted(places)})
    days = [key.day for key in keys]
    plans = await reads.plans(tx, places, min(days), max(days))
    rows: list[tuple[Key, Window, str]] = []
    for key in keys:
        if key.location_id not in plans:
            continue
        place = places[key.location_id]
        windows = rules.windows_on(
            plans[key.location_id],
            Kind(key.kind),
            key.day,
            holiday=is_holiday(place.holiday_calendar, key.day),
            closed=False,  # a closure ends while the slot's counter stays
        )
        measure = plans[key.location_id].measure if key.kind == Kind.PICK else Measure.ORDERS
        rows += [(key, w, measure.value) for w in windows if w.starts == key.starts]
    if rows:
        columns = columns_of([key for key, _, _ in rows])
        more = {
            "ends": [w.ends for _, w, _ in rows],
            "quotas": [w.quota for _, w, _ in rows],
            "measures": [measure for _, _, measure in rows],
        }
        await tx.execute(writes.ENSURE_SLOTS, columns | more)
    return rows


async def _follow(
    tx: Tx, now_stated: Sequence[tuple[Key, Window, str]], counted: Mapping[Key, tuple[time, int]]
) -> None:
    """Let locked counters follow what is stated: another holiday calendar of the location is in no counter yet."""
    other = [(key, w, measure) for key, w, measure in now_stated if counted.get(key) != (w.ends, w.quota)]
    if other:
        more = {
            "ends": [w.ends for _, w, _ in other],
            "quotas": [w.quota for _, w, _ in other],
            "measures": [measure for _, _, measure in other],
        }
        await tx.execute(writes.SET_QUOTAS, columns_of([key for key, _, _ in other]) | more)


def _sum(changes: Iterable[tuple[Key, tuple[int, int]]]) -> dict[Key, tuple[int, int]]:
    sums: dict[Key, tuple[int, int]] = {}
    for key, (held, confirmed) in changes:
        before = sums.get(key, (0, 0))
        sums[key] = before[0] + held, before[1] + confirmed
    return sums


def _deltas(changes: Deltas) -> dict[str, list[Any]]:
    keys = sorted(changes)
    return columns_of(keys) | {
        "held": [changes[k][0] for k in keys],
        "confirmed": [changes[k][1] for k in keys],
    }


async def _apply(tx: Tx, changes: Deltas) -> set[Key]:
    """Change counters; return the slots that refused."""
    if not changes:
        return set()
    applied = {Key(*row) for row in await tx.tuples(writes.APPLY, _deltas(changes))}
    return set(changes) - applied


async def offers(
    tx: Tx,
    locations: Iterable[Location],
    kind: Kind,
    *,
    ready: Mapping[int, datetime],
    most: int = OFFERED,
    days: int = OFFERED_DAYS,
    full: bool = False,
) -> dict[int, list[Slot]]:
    """Return, per location that states slots of a kind, the first free ones that begin once goods are ready.

    `full`: with those between them that are full. A location that states none is absent: it is not limited.
    """
    stating = set(await reads.stating(tx, kind))
    places = {x.id: x for x in locations if x.home in stating and x.id in ready}
    if not places:
        return {}
    since = min(ready[id_].astimezone(ZoneInfo(place.timezone)).date() for id_, place in places.items())
    by_home: dict[int, list[Slot]] = {}
    for slot in await reads.slots(tx, places.values(), [kind], reads.days_from(since, days)):
        by_home.setdefault(slot.key.location_id, []).append(slot)
    return {
        id_: rules.next_free(by_home.get(place.home, []), ZoneInfo(place.timezone), ready[id_], most, full=full)
        for id_, place in places.items()
    }


async def alternatives(tx: Tx, place: Location, key: Key, now: datetime) -> list[dict[str, Any]]:
    """Return the next free slots of a location, from the day that was asked for on, as facts of a refusal."""
    zone = ZoneInfo(place.timezone)
    wanted = key.day if key.day <= now.date() + timedelta(days=FARTHEST_DAYS) else now.date()
    since = max(now, datetime.combine(wanted, time(), zone))
    found = (await offers(tx, [place], Kind(key.kind), ready={place.id: since})).get(place.id, [])
    return [told(slot, place.code) for slot in found]


def told(slot: Slot, location: str) -> dict[str, Any]:
    """Return a slot as facts."""
    return {
        "location": location,
        "kind": slot.key.kind,
        "day": slot.key.day.isoformat(),
        "starts": f"{slot.key.starts:%H:%M}",
        "ends": f"{slot.ends:%H:%M}",
        "left": slot.left,
    }


async def refusal(tx: Tx, key: Key, place: Location, slot: Slot | None, now: datetime) -> SlotFull | NoSuchSlot:
    """Return why a slot cannot be had, its quota where that is the reason, with others that can."""
    zone = ZoneInfo(place.timezone)
    facts: dict[str, Any] = {
        "location": place.code,
        "day": key.day,
        "starts": f"{key.starts:%H:%M}",
        "alternatives": await alternatives(tx, place, key, now),
    }
    if slot is not None and rules.is_in_reach(key.day, slot.ends, zone, now):
        if not slot.open or not slot.quota:
            return SlotClosed(**facts)
        return SlotFull(**facts, quota=slot.quota, taken=slot.taken)
    problem = {"at": "/slot", "says": NoSuchSlot.says, "mend": NoSuchSlot.mend, "facts": facts}
    return NoSuchSlot(**facts, count=1, problems=[problem])


def is_available(slot: Slot | None, place: Location, now: datetime) -> bool:
    """Tell whether somebody may still have a place in a slot: it is stated, open, not full, not over, not too far."""
    zone = ZoneInfo(place.timezone)
    return slot is not None and slot.left > 0 and rules.is_in_reach(slot.key.day, slot.ends, zone, now)


# --- holds ---


async def hold(
    tx: Tx, place: Location, kind: Kind, day: date, starts: time, *, reference: str, seconds: float
) -> Reservation:
    """Hold a place in a slot for a cart or a promise that is shown, for `seconds` from now (database clock).

    Raises:
        Invalid: the reference could not be named in an address, where it is confirmed and released.
        SlotFull: every place is taken, or the location takes no work then.
        NoSuchSlot: the location states no such slot, or it is over.
        SlotHoldExists: the reference holds a slot already.
    """
    refuse(list(check_addressable("reference", reference, MOST_REFERENCE)))
    key = Key(place.home, kind.value, day, starts)
    now = await tx.now()
    slot = (await stand(tx, [key])).get(key)
    if slot is None or not is_available(slot, place, now):
        raise await refusal(tx, key, place, slot, now)
    row = {
        "id": new_id(), "location": key.location_id, "kind": kind.value, "day": day, "starts": starts,
        "ends": slot.ends, "reference": reference, "seconds": seconds, "actor": tx.actor.label,
    }  # fmt: skip
    await _share(tx, key)
    made = await tx.tuples(writes.ADD_HOLD, row)
    if not made and await _expire_hold_of(tx, reference):
        made = await tx.tuples(writes.ADD_HOLD, row)
    if not made:
        raise SlotHoldExists(reference=reference)
    await _take(tx, {key: (1, 0)}, {key.location_id: place}, now)
    return reads.reservation_of(made[0])


async def _expire_hold_of(tx: Tx, reference: str) -> bool:
    """End what a reference holds beyond its time; return whether there was something."""
    gone = [reads.reservation_of(row) for row in await tx.tuples(writes.EXPIRE_HOLD_OF, {"reference": reference})]
    await _apply(tx, _sum((r.key, (-1, 0)) for r in gone))
    return bool(gone)


async def _share(tx: Tx, key: Key) -> None:
    """Keep what a location states as it is, before a counter is locked: a refused one is stated anew under it."""
    await tx.tuples(writes.SHARE_PLANS, {"locations": [key.location_id]})


async def _take(tx: Tx, changes: Deltas, places: Mapping[int, Location], now: datetime) -> None:
    """Take places; where a slot refuses, make way once.

    Raises:
        SlotFull, NoSuchSlot: a slot cannot be had.
    """
    refused = await _apply(tx, changes)
    if not refused:
        return
    slots = await stand(tx, refused, lock=True)
    for key in sorted(refused):
        slot = slots.get(key)
        if slot is None or slot.left < sum(changes[key]):
            raise await refusal(tx, key, places[key.location_id], slot, now)
    left_out = await _apply(tx, {key: changes[key] for key in refused})
    if left_out:  # its quota was lowered between the two, which the plan's lock prevents
        key = min(left_out)
        raise await refusal(tx, key, places[key.location_id], slots[key], now)


async def _held(tx: Tx, reference: str) -> Reservation:
    """Return what is held under a reference, locked.

    Raises:
        SlotHoldNotFound: nothing is, or at a location the actor does not see.
    """
    found = [reads.reservation_of(row) for row in await tx.tuples(writes.LOCK_HOLDS, {"references": [reference]})]
    if not found or not tx.actor.sees(found[0].location_id):
        raise SlotHoldNotFound(reference=reference)
    return found[0]


async def look_at_hold(tx: Tx, reference: str) -> Reservation:
    """Lock and return what is held under a reference.

    Raises:
        SlotHoldNotFound: nothing is, or at a location the actor does not see.
    """
    return await _held(tx, reference)


async def release_hold(tx: Tx, reference: str, *, reason: str = "") -> Reservation:
    """Give a held place back before its time.

    Raises:
        SlotHoldNotFound: nothing is held, or at a location the actor does not see.
    """
    await _held(tx, reference)
    rows = await tx.tuples(writes.RELEASE_HOLD, {"reference": reference, "reason": reason})
    gone = [reads.reservation_of(row) for row in rows]
    await _apply(tx, _sum((r.key, (-1, 0)) for r in gone))
    return gone[0]


# --- places of orders ---


async def confirm_hold(tx: Tx, reference: str, order_id: UUID) -> Reservation:
    """Let an order have the place its cart holds. An expired hold will do as long as nobody needed its place.

    Raises:
        SlotHoldNotFound: nothing is held, or at a location the actor does not see.
    """
    held = await _held(tx, reference)
    await tx.values(writes.CONFIRM_HOLDS, {"ids": [held.id], "orders": [order_id]})
    await _apply(tx, {held.key: (-1, 1)})
    return msgspec.structs.replace(held, order_id=order_id)


async def book(tx: Tx, order_id: UUID, place: Location, key: Key) -> Slot:
    """Give an order a place in a slot; return the slot.

    Raises:
        SlotFull, NoSuchSlot: it cannot be had.
    """
    now = await tx.now()
    slot = (await stand(tx, [key])).get(key)
    if slot is None or not is_available(slot, place, now):
        raise await refusal(tx, key, place, slot, now)
    await _share(tx, key)
    await tx.execute(writes.ADD_CONFIRMED, _rows([Booking(order_id, key, slot.ends, actor=tx.actor.label)]))
    await _take(tx, {key: (0, 1)}, {key.location_id: place}, now)
    return slot


async def release_orders(tx: Tx, orders: Collection[UUID], *, reason: str) -> list[Reservation]:
    """Give the places of orders back; return what they had. Done twice, it is done once."""
    if not orders:
        return []
    rows = await tx.tuples(writes.RELEASE_ORDERS, {"orders": sorted(orders), "reason": reason})
    gone = [reads.reservation_of(row) for row in rows]
    await _apply(tx, _sum((r.key, (0, -1)) for r in gone))
    return gone


async def move(tx: Tx, order_id: UUID, place: Location, key: Key, *, reason: str) -> tuple[Reservation | None, Slot]:
    """Give an order a place in another slot, and back the one it has; return both. The order's row is locked.

    Raises:
        SlotFull, NoSuchSlot: it cannot be had; the order keeps the place it has.
    """
    now = await tx.now()
    rows = await tx.tuples(writes.RELEASE_ORDERS, {"orders": [order_id], "reason": reason})
    had = [reads.reservation_of(row) for row in rows]
    slots = await stand(tx, [key, *(r.key for r in had)], lock=True)
    slot = slots.get(key)
    if slot is None or not is_available(slot, place, now):
        raise await refusal(tx, key, place, slot, now)
    await tx.execute(writes.ADD_CONFIRMED, _rows([Booking(order_id, key, slot.ends, actor=tx.actor.label)]))
    changes = _sum([*((r.key, (0, -1)) for r in had), (key, (0, 1))])
    for refused in await _apply(tx, changes):
        raise await refusal(tx, refused, place, slots.get(refused), now)
    return next(iter(had), None), slot


# --- for the gate: many orders at once ---


async def lock_holds(tx: Tx, references: Sequence[str]) -> dict[str, Reservation]:
    """Lock and return what is held under references, whoever asks; what holds nothing is absent."""
    rows = await tx.tuples(writes.LOCK_HOLDS, {"references": sorted(references)})
    return {r.reference or "": r for r in map(reads.reservation_of, rows)}


class Booked:
    """Bookings on their way through a pipeline."""

    __slots__ = ("_expected", "_held", "_holds", "_taken")

    def __init__(self, taken: AsyncCursor[Any], expected: int, held: AsyncCursor[Any] | None, holds: int) -> None:
        self._taken = taken
        self._expected = expected
        self._held = held
        self._holds = holds

    async def applied(self) -> bool:
        """Return whether every place was there; else the caller rolls back."""
        if self._held is not None and len(await self._held.fetchall()) != self._holds:
            return False
        return len(await self._taken.fetchall()) == self._expected


async def queue_bookings(tx: Tx, bookings: Sequence[Booking]) -> Booked:
    """Take places for a batch of new orders, in three statements at most. Read `applied` after everything is queued."""
    held = [b for b in bookings if b.hold is not None]
    new = [b for b in bookings if b.hold is None]
    confirmed = None
    if held:
        params = {"ids": [b.hold for b in held], "orders": [b.order_id for b in held]}
        confirmed = await tx.cursor_of(writes.CONFIRM_HOLDS, params)
    if new:
        await tx.cursor_of(writes.ADD_CONFIRMED, _rows(new))
    changes = _sum((b.key, (0, 1) if b.hold is None else (-1, 1)) for b in bookings)
    return Booked(await tx.cursor_of(writes.APPLY, _deltas(changes)), len(changes), confirmed, len(held))


def _rows(bookings: Sequence[Booking]) -> dict[str, list[Any]]:
    return columns_of([b.key for b in bookings]) | {
        "ids": [new_id() for _ in bookings],
        "ends": [b.ends for b in bookings],
        "orders": [b.order_id for b in bookings],
        "actors": [b.actor for b in bookings],
    }


# --- what a location states ---


class Stated(msgspec.Struct, frozen=True):
    """What a change of a plan did: its version, and the slots that now have fewer places than are reserved."""

    version: int
    above: list[Slot]


async def lock_plan(tx: Tx, place: Location, expected: int | None = None) -> int:
    """Lock what a location states; return its version, 0 for nothing yet.

    Raises:
        Conflict: it is at another version than expected.
    """
    await tx.execute(writes.ENSURE_PLAN, {"location": place.home})
    version = int(await tx.value(writes.LOCK_PLAN, {"location": place.home}))
    if expected is not None and expected != version:
        raise Conflict(what=Word(N_("The capacity of")), key=place.code)
    return version


async def set_templates(
    tx: Tx,
    place: Location,
    templates: Mapping[Kind, Sequence[Template]],
    *,
    measure: Measure | None = None,
    expected: int | None = None,
) -> Stated:
    """State the usual slots of a location, by kind; kinds that are absent stay. Slots of today and later follow.

    What is reserved stays reserved: a slot may then have fewer places than are taken, and says so. `measure` is what
    the quotas of picking slots count from now on, those of single dates too; None: what they counted.

    Raises:
        Invalid: times that cannot be, or slots that overlap.
        Conflict: it is at another version than expected.
    """
    flaws: list[Flaw] = []
    for kind, rows in templates.items():
        flaws += rules.check_templates(rows, kind.value)
    refuse(flaws)
    await lock_plan(tx, place, expected)
    before = await reads.plan_of(tx, place.home)
    after = msgspec.structs.replace(
        before,
        templates={**before.templates, **{k: sorted(v) for k, v in templates.items()}},
        measure=before.measure if measure is None else measure,
    )
    _check_days(after)
    kinds = sorted(templates)
    await tx.execute(writes.DROP_TEMPLATES, {"location": place.home, "kinds": [k.value for k in kinds]})
    rows_of = [(kind, t) for kind in kinds for t in sorted(templates[kind])]
    columns = {
        "kinds": [k.value for k, _ in rows_of],
        "weekdays": [t.weekday for _, t in rows_of],
        "starts": [t.starts for _, t in rows_of],
        "ends": [t.ends for _, t in rows_of],
        "quotas": [t.quota for _, t in rows_of],
    }
    await tx.execute(writes.ADD_TEMPLATES, {"location": place.home} | columns)
    return await _stated(tx, place, before, after)


async def set_overrides(
    tx: Tx,
    place: Location,
    dated: Mapping[tuple[Kind, date], Sequence[Override]],
    *,
    expected: int | None = None,
) -> Stated:
    """State what differs on some dates, by kind; an empty list lets a date be as its weekday again.

    Raises:
        Invalid: times that cannot be, or slots that overlap.
        Conflict: it is at another version than expected.
    """
    flaws: list[Flaw] = []
    for rows in dated.values():
        flaws += rules.check_overrides(rows)
    today = (await tx.now()).astimezone(ZoneInfo(place.timezone)).date()
    for _, day in sorted(dated):
        if not today <= day <= today + timedelta(days=FARTHEST_DAYS):
            says = N_("The day {day} is over, or more than a year away.")
            flaws.append(Flaw("day", says, facts={"day": day}))
    refuse(flaws)
    await lock_plan(tx, place, expected)
    before = await reads.plan_of(tx, place.home)
    after = before
    for (kind, day), rows in sorted(dated.items()):
        after = rules.with_overrides(after, kind, day, rows)
    _check_days(after)
    keys = sorted(dated)
    where = {"kinds": [k.value for k, _ in keys], "days": [d for _, d in keys]}
    await tx.execute(writes.DROP_OVERRIDES, {"location": place.home} | where)
    rows_of = [(kind, day, o) for kind, day in keys for o in dated[kind, day]]
    columns = {
        "kinds": [k.value for k, _, _ in rows_of],
        "days": [d for _, d, _ in rows_of],
        "starts": [o.starts for _, _, o in rows_of],
        "ends": [o.ends for _, _, o in rows_of],
        "quotas": [o.quota for _, _, o in rows_of],
        "reasons": [o.reason.strip() for _, _, o in rows_of],
    }
    await tx.execute(writes.ADD_OVERRIDES, {"location": place.home} | columns)
    return await _stated(tx, place, before, after)


def _check_days(plan: Plan) -> None:
    flaws: list[Flaw] = []
    for kind, day in sorted({(x.kind, x.day) for x in plan.overrides}):
        windows = rules.windows_on(plan, kind, day, holiday=False, closed=False)
        flaws += rules.check_day(windows)
    refuse(flaws)


async def _stated(tx: Tx, place: Location, before: Plan, after: Plan) -> Stated:
    """Let counters follow what a location now states, and keep both statements on record."""
    version = int(await tx.value(writes.BUMP_PLAN, {"location": place.home, "measure": after.measure.value}))
    today = (await tx.now()).astimezone(ZoneInfo(place.timezone)).date()
    rows = await tx.tuples(writes.FUTURE_SLOTS, {"location": place.home, "since": today})
    changed: list[Slot] = []
    above: list[Slot] = []
    for location_id, kind, day, starts, ends, quota, held, confirmed, measure, units in rows:
        key = Key(location_id, kind, day, starts)
        holiday = is_holiday(place.holiday_calendar, day)
        windows = rules.windows_on(after, Kind(kind), day, holiday=holiday, closed=False)
        window = next((w for w in windows if w.starts == starts), None)
        slot = Slot(
            key=key,
            ends=ends if window is None else window.ends,
            quota=0 if window is None else window.quota,
            held=held,
            confirmed=confirmed,
            measure=after.measure if kind == Kind.PICK else Measure.ORDERS,
            units=units,
        )
        if (slot.quota, slot.ends, slot.measure) != (quota, ends, measure):
            changed.append(slot)
        if slot.taken > slot.quota:
            above.append(slot)
    if changed:
        more = {
            "ends": [s.ends for s in changed],
            "quotas": [s.quota for s in changed],
            "measures": [s.measure.value for s in changed],
        }
        await tx.execute(writes.SET_QUOTAS, columns_of([s.key for s in changed]) | more)
    await revisions.bump(tx, reads.REVISION)
    facts = [
        {"templates": plan.templates, "overrides": plan.overrides, "measure": plan.measure} for plan in (before, after)
    ]
    await audit.record(tx, action="change", entity="capacity", entity_id=place.code, before=facts[0], after=facts[1])
    return Stated(version, above)


def today_at(place: Location, now: datetime) -> date:
    """Return the date on a location's clock."""
    return now.astimezone(ZoneInfo(place.timezone)).date()


def ends_at(place: Location, day: date, ends: time) -> datetime:
    """Return the instant (UTC) a slot ends."""
    return datetime.combine(day, ends, ZoneInfo(place.timezone)).astimezone(UTC)
