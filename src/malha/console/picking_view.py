"""Picking slots on screen: how they are named, which hold open work, how full and how far the next days' are."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec

from malha.capacity import reads, rules
from malha.capacity.model import Kind, Measure, Slot
from malha.console import capacity_view, render
from malha.fulfillment import reads as jobs
from malha.fulfillment.reads import SlotWork, WorkSlot
from malha.network.model import Location
from malha.platform import i18n
from malha.platform.days import read_day
from malha.platform.db import Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_, _, n_

LOOKED_AT = 7  # days that are searched for the next ones with slots
SHOWN = 2  # of them


class Option(msgspec.Struct, frozen=True):
    """A slot to choose among those that hold open work."""

    value: str
    text: str


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """A slot as a bar: what is picked, what is to be picked, what is free, in what it counts; shares are of 100."""

    starts: str
    times: str
    used: int
    quota: int
    picked: int
    to_pick: int
    picked_share: float
    to_pick_share: float
    tone: str  # "", full, over, late
    in_units: bool
    text: str
    says: str


class DayLoads(msgspec.Struct, frozen=True):
    """The slots of one day."""

    day: date
    rows: list[Load]


def hours(starts: str, ends: str) -> str:
    """Return a slot's times."""
    return f"{starts}–{ends}"  # noqa: RUF001


def said(slot: WorkSlot) -> str:
    """Return a slot in words."""
    return _("{day}, {from_} to {to}", day=render.calendar_day(slot.day), from_=slot.starts, to=slot.ends)


def short(slot: WorkSlot, today: date) -> str:
    """Return a slot in few words: without the day when it is today's."""
    times = hours(slot.starts, slot.ends)
    return times if slot.day == today else f"{render.calendar_day(slot.day)}, {times}"


def chosen(text: str) -> jobs.Hours:
    """Return the day and start that an address names; nonsense names none."""
    day, _sign, clock = text.partition("T")
    try:
        return read_day(day), time.fromisoformat(clock)
    except ValueError:
        return jobs.ANY_HOURS


def slot_of(text: str) -> tuple[date, time]:
    """Return the day and start that a form names.

    Raises:
        Invalid: it names none.
    """
    day, starts = chosen(text)
    if day is None or starts is None:
        refuse([Flaw("slot", N_("Choose a slot."))])
    assert day is not None and starts is not None  # noqa: PT018, S101  (no flaws)
    return day, starts


def options(rows: Sequence[SlotWork], picked: jobs.Hours) -> list[Option]:
    """Return slots to choose from, the next first; the one that was chosen is among them, with work or without."""
    found: dict[tuple[date, str], list[SlotWork]] = {}
    for row in rows:
        found.setdefault((row.day, row.starts), []).append(row)
    if picked[0] is not None and picked[1] is not None:
        found.setdefault((picked[0], f"{picked[1]:%H:%M}"), [])
    return [_option(day, starts, found[day, starts]) for day, starts in sorted(found)]


def _option(day: date, starts: str, rows: Sequence[SlotWork]) -> Option:
    ends = {row.ends for row in rows}  # of several locations, which may differ
    times = hours(starts, ends.pop()) if len(ends) == 1 else starts
    pieces = i18n.number(sum(row.pieces for row in rows))
    return Option(_value(day, starts), f"{render.calendar_day(day)}, {times} ({pieces})")


def free(slots: Sequence[Slot]) -> list[Option]:
    """Return slots with room as a form offers them."""
    return [
        Option(
            _value(slot.key.day, f"{slot.key.starts:%H:%M}"),
            f"{_with_day(slot)} ({_left(slot)})",
        )
        for slot in slots
    ]


def _left(slot: Slot) -> str:
    if slot.measure is Measure.UNITS:
        return n_("{n} unit left", "{n} units left", slot.left)
    return n_("{n} place left", "{n} places left", slot.left)


def free_anywhere(slots: Iterable[Sequence[Slot]]) -> list[Option]:
    """Return the slots in which some location has room, to choose one for work of several locations."""
    found = {(s.key.day, s.key.starts): s for here in slots for s in here}
    return [Option(_value(day, f"{starts:%H:%M}"), _with_day(found[day, starts])) for day, starts in sorted(found)]


def _value(day: date, starts: str) -> str:
    return f"{day.isoformat()}T{starts}"


def _with_day(slot: Slot) -> str:
    return f"{render.calendar_day(slot.key.day)}, {hours(f'{slot.key.starts:%H:%M}', f'{slot.ends:%H:%M}')}"


async def loads(tx: Tx, places: Sequence[Location], at: datetime) -> dict[int, list[DayLoads]]:
    """Return the picking slots of the next days that have some, by location; who states none is absent."""
    first = min((at.astimezone(ZoneInfo(x.timezone)).date() for x in places), default=at.date())
    slots = await reads.slots(tx, places, [Kind.PICK], reads.days_from(first, LOOKED_AT))
    if not slots:
        return {}
    homes = {x.home: x for x in places}
    to_pick = await jobs.to_pick_in_slots(tx, list(homes), first, first + timedelta(days=LOOKED_AT))
    found: dict[int, list[DayLoads]] = {}
    for id_, place in homes.items():
        today = at.astimezone(ZoneInfo(place.timezone)).date()
        days = sorted({s.key.day for s in slots if s.key.location_id == id_ and s.key.day >= today})[:SHOWN]
        mine = [
            DayLoads(day, [_load(s, to_pick, place, at) for s in slots if (s.key.location_id, s.key.day) == (id_, day)])
            for day in days
        ]
        if mine:
            found[id_] = mine
    return found


def _load(slot: Slot, to_pick: Mapping[tuple[int, date, time], tuple[int, int]], place: Location, at: datetime) -> Load:
    used, in_units = slot.taken, slot.measure is Measure.UNITS
    pieces, units = to_pick.get((slot.key.location_id, slot.key.day, slot.key.starts), (0, 0))
    waiting = min(units if in_units else pieces, used)
    whole = max(slot.quota, used, 1)
    over = rules.is_over(slot.key.day, slot.ends, ZoneInfo(place.timezone), at)
    late = over and waiting > 0
    facts = {"used": i18n.number(used), "all": i18n.number(slot.quota)}
    done = used - waiting
    parts = [
        capacity_view.said_taken(slot),
        n_("{n} unit picked", "{n} units picked", done)
        if in_units
        else n_("{n} order picked", "{n} orders picked", done),
        n_("{n} to pick", "{n} to pick", waiting),
    ]
    return Load(
        starts=f"{slot.key.starts:%H:%M}",
        times=hours(f"{slot.key.starts:%H:%M}", f"{slot.ends:%H:%M}"),
        used=used,
        quota=slot.quota,
        picked=done,
        to_pick=waiting,
        picked_share=round(100 * done / whole, 1),
        to_pick_share=round(100 * waiting / whole, 1),
        tone="late" if late else "full" if not over and used >= slot.quota else "over" if over else "",
        in_units=in_units,
        text=_("{used} of {all} units", **facts) if in_units else f"{facts['used']}/{facts['all']}",
        says=", ".join(parts),
    )
