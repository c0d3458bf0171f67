"""Slots as they are drawn: a week of one location as a grid, darker where it is fuller."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import NamedTuple

from malha.capacity import picking, reads
from malha.capacity.model import KIND_WORDS, Kind, Measure, Slot
from malha.network.model import Location
from malha.platform import i18n
from malha.platform.db import Tx
from malha.platform.i18n import _, n_

SHADES = 5
KINDS = (Kind.PICKUP, Kind.DELIVERY, Kind.PICK)


class CellView(NamedTuple):
    """A slot on a day, as it is drawn: `shade` from 0 to 5, `full` where there is no place left."""

    text: str
    says: str
    shade: int
    full: bool
    above: bool


class RowView(NamedTuple):
    """One time of the day over the week; None where there is no slot."""

    times: str
    cells: list[CellView | None]


class PlaceView(NamedTuple):
    """One location's week."""

    place: Location
    rows: list[RowView]
    says: str
    note: str


def said_taken(slot: Slot) -> str:
    """Return how much of a slot is taken, in what it counts."""
    facts = {"used": i18n.number(slot.taken), "all": i18n.number(slot.quota)}
    if slot.measure is Measure.UNITS:
        return _("{used} of {all} units taken", **facts)
    return _("{used} of {all} taken", **facts)


def _cell(slot: Slot) -> CellView:
    used = slot.taken
    share = used / slot.quota if slot.quota else 1.0 if used else 0.0
    says = said_taken(slot)
    if slot.held:
        says = f"{says}, " + n_("{n} held", "{n} held", slot.held)
    if not slot.open:
        says = f"{says}. " + _("It takes nobody then")
    shade = min(SHADES, -int(-share * SHADES // 1)) if used else 0
    return CellView(f"{i18n.number(used)}/{i18n.number(slot.quota)}", says, shade, not slot.left, used > slot.quota)


def _view(place: Location, slots: Sequence[Slot], days: Sequence[date]) -> PlaceView:
    by_time: dict[tuple[str, str], dict[date, Slot]] = {}
    for slot in slots:
        times = f"{slot.key.starts:%H:%M}", f"{slot.ends:%H:%M}"
        by_time.setdefault(times, {})[slot.key.day] = slot
    rows = [
        RowView(f"{starts}–{ends}", [_cell(found[day]) if day in found else None for day in days])  # noqa: RUF001
        for (starts, ends), found in sorted(by_time.items())
    ]
    facts = {"used": i18n.number(sum(s.taken for s in slots)), "all": i18n.number(sum(s.quota for s in slots))}
    in_units = any(s.measure is Measure.UNITS for s in slots)
    says = _("{used} of {all} units this week", **facts) if in_units else _("{used} of {all} this week", **facts)
    note = "" if place.status == "active" else _("Takes nobody: paused or closed")
    return PlaceView(place, rows, says, note)


async def views(tx: Tx, places: Sequence[Location], kind: Kind, monday: date) -> list[PlaceView]:
    """Return a week of slots of one kind for each location."""
    days = reads.days_from(monday, 7)
    found = await reads.slots(tx, places, [kind], days)
    return [_view(place, [s for s in found if s.key.location_id == place.id], days) for place in places]


async def of_location(tx: Tx, place: Location, monday: date) -> list[tuple[str, str, PlaceView]]:
    """Return the weeks of a location by kind, with its word; kinds it states nothing of are absent."""
    found = await reads.slots(tx, [place], KINDS, reads.days_from(monday, 7))
    weeks = []
    for kind in KINDS:
        mine = [slot for slot in found if slot.key.kind == kind]
        if mine:
            weeks.append((kind.value, _(KIND_WORDS[kind]), _view(place, mine, reads.days_from(monday, 7))))
    return weeks


class Limit(NamedTuple):
    """A location's capacity of today and what is taken of it; no capacity is no limit."""

    capacity: int | None
    taken: int
    measure: Measure


async def limits(
    tx: Tx, days: Mapping[int, date], places: Sequence[Location], taken: Mapping[tuple[int, date], int]
) -> dict[int, Limit]:
    """Return what each location takes on its day: what its picking slots have room for, if it states any.

    `taken` are the orders a location has on a day; where its slots count units, those of the slots count instead.
    """
    stated = await picking.stated(tx, places)
    in_units = [x for x in places if x.id in stated and stated[x.id].measure is Measure.UNITS]
    units: dict[tuple[int, date], int] = {}
    for slot in await reads.slots(tx, in_units, [Kind.PICK], {days[x.id] for x in in_units}):
        key = slot.key.location_id, slot.key.day
        units[key] = units.get(key, 0) + slot.taken
    found = {}
    for place in places:
        day, has = days[place.id], stated.get(place.id)
        orders = taken.get((place.id, day), 0)
        if has is None:
            found[place.id] = Limit(place.daily_capacity, orders, Measure.ORDERS)
        elif has.measure is Measure.UNITS:
            found[place.id] = Limit(has.quota(day), units.get((place.home, day), 0), has.measure)
        else:
            found[place.id] = Limit(has.quota(day), orders, has.measure)
    return found
