"""Slots as they are drawn: a week of one location as a grid, darker where it is fuller."""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

import msgspec

from malha.capacity import picking, reads
from malha.capacity.model import KIND_WORDS, Kind, Slot
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
    used: int
    quota: int
    note: str


def _cell(slot: Slot) -> CellView:
    used = slot.held + slot.confirmed
    share = used / slot.quota if slot.quota else 1.0 if used else 0.0
    says = _("{used} of {all} taken", used=i18n.number(used), all=i18n.number(slot.quota))
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
    used = sum(s.held + s.confirmed for s in slots)
    note = "" if place.status == "active" else _("Takes nobody: paused or closed")
    return PlaceView(place, rows, used, sum(s.quota for s in slots), note)


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


async def limited(tx: Tx, place: Location, today: date) -> Location:
    """Return a location with what its picking slots have room for today as its daily capacity, if it states any."""
    stated = (await picking.stated(tx, [place])).get(place.id)
    return place if stated is None else msgspec.structs.replace(place, daily_capacity=stated.quota(today))
