"""A person gives a piece of work another picking slot: one that is open, not over, and has room.

What it does to the promise is what a slot that is closed does to it: the work is due when its new slot ends, and
whoever watches promises sees that. The order is locked first, then the work, what is stated of slots, and the days.
"""

from collections.abc import Collection, Sequence
from datetime import date, time
from zoneinfo import ZoneInfo

from malha.capacity import picking, reads, rules
from malha.capacity.model import Key, Kind, Slot, Window
from malha.fulfillment import writes
from malha.fulfillment.errors import (
    PickingSlotClosed,
    PickingSlotFull,
    PickingSlotOver,
    PickingSlotTooFar,
    WorkChanged,
)
from malha.fulfillment.events import WorkMoved
from malha.fulfillment.model import Work, WorkState
from malha.fulfillment.releasing import due_of
from malha.fulfillment.work import about, lock_site_days, slots_of, take_up
from malha.intake.loads import HORIZON_DAYS
from malha.network import reads as network
from malha.network.calendar import Calendar
from malha.network.model import Location
from malha.ordering import service as ordering
from malha.platform import audit
from malha.platform.db import Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_
from malha.platform.ids import UUID

MOVABLE = (WorkState.OPEN, WorkState.ACCEPTED, WorkState.PICKING)
OFFERED_DAYS = 8  # today and the week after it
MOST_REASON = 200


async def move_to_slot(
    tx: Tx, work_id: UUID, day: date, starts: time, *, reason: str, expected: int | None = None
) -> Work:
    """Move work that is not picked yet to a slot of its location; return it as it was. Where it is already, it stays.

    Args:
        tx: The transaction.
        work_id: The work.
        day: The slot's date.
        starts: When it starts, on the location's clock.
        reason: Why, for colleagues and the audit trail.
        expected: The version the asker saw.

    Raises:
        PickingSlotFull, PickingSlotClosed, PickingSlotOver, PickingSlotTooFar: it cannot be had; the work stays where
            it is.
        WrongState: it is picked, or over.
        WorkNotFound, WorkChanged: there is no such work in sight, or it is at another version.
        Invalid: no reason is given.
    """
    reason = reason.strip()
    refuse([] if 0 < len(reason) <= MOST_REASON else [Flaw("reason", N_("Say why, in a few words."))])
    desk = await take_up(tx, work_id)
    work = desk.work
    if expected is not None and expected != work.version:
        raise WorkChanged(number=work.number, version=work.version, expected="?" if expected < 0 else expected)
    desk.need(*MOVABLE)
    place = (await network.locations_by_id(tx, [work.location_id]))[work.location_id]
    key = Key(place.home, Kind.PICK.value, day, starts)
    if work.slot == key:
        return work
    window = await _take(tx, work, place, key)
    await _write(tx, work, place, key, window, reason)
    return work


async def _take(tx: Tx, work: Work, place: Location, key: Key) -> Window:
    """Give the place of work back and take one in a slot.

    Raises:
        PickingSlotFull, PickingSlotClosed, PickingSlotOver, PickingSlotTooFar: it cannot be had.
    """
    now = await tx.now()
    stated = (await picking.stated(tx, [place], lock=True)).get(place.id)
    facts = {"location": place.code, "day": key.day, "starts": f"{key.starts:%H:%M}"}
    zone = ZoneInfo(place.timezone)
    days = (key.day - now.astimezone(zone).date()).days
    if days < -1:  # before any clock is asked: the first day of all has no hours before it
        raise PickingSlotOver(**facts)
    if days > HORIZON_DAYS:
        raise PickingSlotTooFar(**facts, days=HORIZON_DAYS)
    if stated is None:
        raise (PickingSlotOver if rules.is_over(key.day, key.starts, zone, now) else PickingSlotClosed)(**facts)
    window = next((w for w in stated.stated(key.day) if w.starts == key.starts), None)
    if rules.is_over(key.day, key.starts if window is None else window.ends, zone, now):
        raise PickingSlotOver(**facts)
    closed = await reads.closed_days(tx, {place.id, place.home}, key.day, key.day)
    if window is None or not window.quota or closed or not stated.is_usable(key.day, window, now):
        raise PickingSlotClosed(**facts)
    await lock_site_days(tx, place.home, [place.id], [work.capacity_day, key.day])
    await picking.give_back(tx, slots_of([work]))
    if work.capacity_day != key.day:
        here = {"locations": [place.id], "days": [work.capacity_day]}
        await tx.execute(writes.GIVE_CAPACITY_BACK, here)
        pieces = stated.pieces(key.day)
        most = writes.UNLIMITED if pieces is None else pieces
        there = {"locations": [place.id], "days": [key.day], "wanted": [1], "capacities": [most]}
        if dict(await tx.tuples(writes.TAKE_CAPACITY, there)) != {place.id: 1}:
            raise PickingSlotFull(**facts)
    wanted = picking.Wanted(
        location_id=place.home,
        day=key.day,
        windows=[window],
        sizes=[work.units],
        measure=stated.measure,
        usable=stated.windows(key.day, now),
        loose=work.units if work.slot is None and work.capacity_day == key.day else 0,
    )
    if (await picking.take(tx, [wanted]))[place.home, key.day] != [window]:
        raise PickingSlotFull(**facts)
    return window


async def _write(tx: Tx, work: Work, place: Location, key: Key, window: Window, reason: str) -> None:
    due = due_of(Calendar(place), key.day, window)
    params = {
        "ids": [work.id],
        "days": [key.day],
        "dues": [due],
        "locations": [key.location_id],
        "starts": [window.starts],
        "ends": [window.ends],
    }
    await tx.execute(writes.MOVE_WORK, params)
    former = "" if work.slot_starts is None else f"{work.slot_starts:%H:%M}"
    event = WorkMoved(
        **about(work),
        day=key.day.isoformat(),
        starts=f"{window.starts:%H:%M}",
        ends=f"{window.ends:%H:%M}",
        due_at=due,
        former_day=work.capacity_day.isoformat(),
        former_starts=former,
        note=reason,
    )
    await ordering.record(tx, event)
    before = {"day": work.capacity_day, "starts": former or None, "due_at": work.due_at}
    after = {"day": key.day, "starts": event.starts, "due_at": due, "reason": reason}
    await audit.record(tx, action="move", entity="fulfillment", entity_id=work.number, before=before, after=after)


async def choices(tx: Tx, location_ids: Collection[int]) -> dict[int, list[Slot]]:
    """Return the slots of the next days that have room, by location, the next first; who states none is absent.

    Nothing is locked, so one of them may be gone when it is asked for.
    """
    if not location_ids:
        return {}
    places = await network.locations_by_id(tx, location_ids)
    stated = await picking.stated(tx, places.values())
    if not stated:
        return {}
    now = await tx.now()
    here: Sequence[Location] = [places[id_] for id_ in stated]
    first = min(now.astimezone(ZoneInfo(x.timezone)).date() for x in here)
    homes = await network.locations_by_id(tx, {x.home for x in here})
    found = await reads.slots(tx, homes.values(), [Kind.PICK], reads.days_from(first, OFFERED_DAYS))
    free: dict[int, list[Slot]] = {}
    for slot in found:
        if slot.left:
            free.setdefault(slot.key.location_id, []).append(slot)
    return {
        id_: [s for s in free.get(x.place.home, []) if x.is_usable(s.key.day, _window(s), now)]
        for id_, x in stated.items()
    }


def _window(slot: Slot) -> Window:
    return Window(slot.key.starts, slot.ends, slot.quota)
