"""Pure decisions on slots: what a day offers, when a slot is over, and what a statement of slots must be."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import msgspec

from malha.capacity.model import (
    FARTHEST_DAYS,
    MOST_SLOTS,
    DatedOverride,
    Kind,
    Measure,
    Override,
    Plan,
    Room,
    Slot,
    Template,
    Window,
)
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_

MOST_DAYS_BEFORE = 10
MOST_SHOWN = 48  # slots of a location that a list shows


def windows_on(plan: Plan, kind: Kind, day: date, *, holiday: bool, closed: bool) -> list[Window]:
    """Return the slots a location states for a day, by their start.

    A closure of the location ends them all. A holiday ends what the weekday says; what is stated for the date itself
    stands on a holiday, for somebody meant that day.
    """
    if closed:
        return []
    dated = [x.override for x in plan.overrides if x.kind is kind and x.day == day]
    usual = [] if holiday or any(o.starts is None for o in dated) else plan.templates.get(kind, [])
    windows = {t.starts: Window(t.starts, t.ends, t.quota) for t in usual if t.weekday == day.isoweekday()}
    for override in dated:
        if override.starts is not None and override.ends is not None:
            windows[override.starts] = Window(override.starts, override.ends, override.quota)
    return sorted(windows.values())


def clock_of(text: str) -> time:
    """Return a time of day as it is written (`model.Clock`), to the minute: its pattern lets a line's end through."""
    return time.fromisoformat(text[:5])


def instant(day: date, clock: time, zone: ZoneInfo) -> datetime:
    """Return a time of a location's day as an instant (UTC)."""
    return datetime.combine(day, clock, zone).astimezone(UTC)


def is_over(day: date, ends: time, zone: ZoneInfo, now: datetime) -> bool:
    """Tell whether a slot has ended."""
    return instant(day, ends, zone) <= now


def is_in_reach(day: date, ends: time, zone: ZoneInfo, now: datetime) -> bool:
    """Tell whether a slot can be reserved: it has not ended, and is no more than a year away."""
    return not is_over(day, ends, zone, now) and day <= now.date() + timedelta(days=FARTHEST_DAYS)


def begins_on(day: date, is_open_on: Callable[[date], bool]) -> date:
    """Return from which day work for a slot may begin: the last working day before the slot's.

    What is prepared much sooner stands in the way, and the days it is kept for a customer run out before they come.
    """
    for back in range(1, MOST_DAYS_BEFORE + 1):
        if is_open_on(day - timedelta(days=back)):
            return day - timedelta(days=back)
    return day - timedelta(days=1)


def next_free(
    slots: Iterable[Slot], zone: ZoneInfo, ready_at: datetime, most: int, *, full: bool = False
) -> list[Slot]:
    """Return the first slots with a place that begin when goods are ready, or later.

    `full`: with those between them that have no place left; not many where hardly any has.
    """
    found: list[Slot] = []
    free = 0
    for slot in sorted(slots, key=lambda s: s.key):
        shown = slot.left or (full and slot.open and slot.quota)
        if shown and instant(slot.key.day, slot.key.starts, zone) >= ready_at:
            found.append(slot)
            free += bool(slot.left)
            if free == most or len(found) == MOST_SHOWN:
                break
    return found


def check_templates(templates: Sequence[Template], at: str = "templates") -> Iterator[Flaw]:
    """Yield what is wrong with a week's slots of one kind."""
    for n, t in enumerate(templates):
        yield from _check_times(t.starts, t.ends, f"{at}/{n}")
    for weekday in range(1, 8):
        rows = [(n, t.starts, t.ends) for n, t in enumerate(templates) if t.weekday == weekday]
        yield from _check_apart(rows, at)


def check_overrides(overrides: Sequence[Override], at: str = "overrides") -> Iterator[Flaw]:
    """Yield what is wrong with what is stated for one date and kind."""
    rows = []
    for n, o in enumerate(overrides):
        if o.starts is None and o.ends is None:
            if o.quota or len(overrides) > 1:
                yield Flaw(f"{at}/{n}", N_("A day without slots has no quota and nothing beside it."))
            continue
        if o.starts is None or o.ends is None:
            yield Flaw(f"{at}/{n}", N_("A slot has a start and an end."))
            continue
        yield from _check_times(o.starts, o.ends, f"{at}/{n}")
        rows.append((n, o.starts, o.ends))
    yield from _check_apart(rows, at)


def check_day(windows: Sequence[Window], at: str = "overrides") -> Iterator[Flaw]:
    """Yield what overlaps once a date's overrides and its weekday's slots stand together."""
    yield from (Flaw(at, f.says, f.mend, f.facts) for f in _check_apart(_rows(windows), at))


def _rows(windows: Sequence[Window]) -> list[tuple[int, time, time]]:
    return [(n, w.starts, w.ends) for n, w in enumerate(windows)]


def _check_times(starts: time, ends: time, at: str) -> Iterator[Flaw]:
    if any(t.second or t.microsecond or t.tzinfo for t in (starts, ends)):
        yield Flaw(at, N_("Times of slots are whole minutes, without a time zone."))
    elif ends <= starts:
        says = N_("A slot ends after it starts, on the same day.")
        yield Flaw(at, says, N_("Work past midnight is two slots; the last one of a day may end at 23:59."))


def _check_apart(rows: Sequence[tuple[int, time, time]], at: str) -> Iterator[Flaw]:
    if len(rows) > MOST_SLOTS:
        yield Flaw(at, N_("A day has at most {most} slots of a kind."), facts={"most": MOST_SLOTS})
    ordered = sorted(rows, key=lambda row: (row[1], row[2]))
    for (_, starts, ends), (n, following, _) in pairwise(ordered):
        if following < ends:
            says = N_("The slot at {later} starts before the one at {earlier} ends.")
            facts = {"later": f"{following:%H:%M}", "earlier": f"{starts:%H:%M}"}
            yield Flaw(f"{at}/{n}", says, N_("Make them end and start at the same time, or apart."), facts)


def day_quota(plan: Plan, day: date, *, holiday: bool, closed: bool) -> int | None:
    """Return how much may be prepared on a day by the picking slots, in what they count; None: none are stated."""
    if not plan.templates.get(Kind.PICK) and not any(o.kind is Kind.PICK for o in plan.overrides):
        return None
    return sum(w.quota for w in windows_on(plan, Kind.PICK, day, holiday=holiday, closed=closed))


def fill_picking(
    slots: Sequence[Slot], taken: Mapping[tuple[int, date], int], loose: Mapping[tuple[int, date], int]
) -> list[Slot]:
    """Return slots in order with all work of each day in its picking slots: what is in none fills the first ones.

    What a day has beyond all of its slots is in the last one.

    Args:
        slots: Slots, the picking slots of a day one after another.
        taken: Pieces of work by location and day, in slots or not.
        loose: Units of work that is in no slot, where slots count units.
    """
    left = dict(taken)
    for slot in slots:
        day = slot.key.location_id, slot.key.day
        if slot.key.kind == Kind.PICK and slot.measure is Measure.UNITS:
            left[day] = loose.get(day, 0)
        elif slot.key.kind == Kind.PICK and day in left:
            left[day] -= slot.confirmed
    last = {(s.key.location_id, s.key.day): s.key for s in slots if s.key.kind == Kind.PICK}
    filled = []
    for slot in slots:
        day = slot.key.location_id, slot.key.day
        if slot.key.kind == Kind.PICK and left.get(day, 0) > 0:
            here = left[day] if last[day] == slot.key else min(left[day], max(slot.quota - slot.taken, 0))
            left[day] -= here
            more = (0, here) if slot.measure is Measure.UNITS else (here, 0)
            slot = msgspec.structs.replace(slot, confirmed=slot.confirmed + more[0], units=slot.units + more[1])  # noqa: PLW2901
        filled.append(slot)
    return filled


def overrides_of(plan: Plan, kind: Kind, day: date) -> list[Override]:
    """Return what is stated for one date and kind."""
    return [x.override for x in plan.overrides if x.kind is kind and x.day == day]


def with_overrides(plan: Plan, kind: Kind, day: date, overrides: Sequence[Override]) -> Plan:
    """Return a plan in which a date says this and nothing else of a kind."""
    rest = [x for x in plan.overrides if (x.kind, x.day) != (kind, day)]
    return msgspec.structs.replace(plan, overrides=rest + [DatedOverride(kind, day, o) for o in overrides])


def seat(rooms: Sequence[Room], measure: Measure, sizes: Sequence[int]) -> list[int | None]:
    """Return which room each piece of work gets, the first that has room; None: there is none.

    Args:
        rooms: The slots of a day, in order.
        measure: What their quotas count.
        sizes: The units of each piece of work, the first to be seated first.
    """
    now = list(rooms)
    found: list[int | None] = []
    for size in sizes:
        places = size if measure is Measure.UNITS else 1
        at = next((n for n, room in enumerate(now) if room.takes(places)), None)
        if at is not None:
            now[at] = Room(now[at].quota, now[at].taken + places)
        found.append(at)
    return found
