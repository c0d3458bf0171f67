"""Picking slots: what a location's hours have room for, and the places that work takes in them.

Work is its own reservation: a piece of work names its slot, and the slot's counter says how many do. Who takes or gives
back a place has locked the location's days before (`fulfillment`), so no counter is waited for out of order.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import msgspec

from malha.capacity import reads, rules, writes
from malha.capacity.model import Key, Kind, Plan, Window, columns_of
from malha.network import reads as network
from malha.network.calendar import Calendar, is_holiday
from malha.network.model import Location, LocationStatus
from malha.platform.db import Tx

PROMISED_DAYS = 14  # days ahead on which slots that are full are known to promises
_DAY = timedelta(days=1)


class Picking(msgspec.Struct, frozen=True):
    """What a location states of picking; of one at a site, what is stated of the site."""

    place: Location
    plan: Plan

    def quota(self, day: date) -> int | None:
        """Return how many orders a day has room for: the sum of its slots. Ask it of today and later days."""
        holiday = is_holiday(self.place.holiday_calendar, day)
        return rules.day_quota(self.plan, day, holiday=holiday, closed=False)

    def limit(self, day: date) -> int | None:
        """Return how many orders routing may give a location on a day: as many as its slots have room for.

        A day without slots has no limit where one of the next has some: its work waits for them. Else it is 0.
        """
        today = self.quota(day)
        if today == 0 and any(self.quota(day + n * _DAY) for n in range(1, PROMISED_DAYS + 1)):
            return None
        return today

    def stated(self, day: date) -> list[Window]:
        """Return the slots of a working day, by their start."""
        holiday = is_holiday(self.place.holiday_calendar, day)
        return rules.windows_on(self.plan, Kind.PICK, day, holiday=holiday, closed=False)

    def windows(self, day: date, now: datetime) -> list[Window]:
        """Return the slots of a working day that work may be given: not over, nor begun before a pause ends."""
        return [w for w in self.stated(day) if w.quota and self.is_usable(day, w, now)]

    def is_usable(self, day: date, window: Window, now: datetime) -> bool:
        """Tell whether work may be given a slot. A pause whose end is unknown ends none: what is there is finished."""
        zone = ZoneInfo(self.place.timezone)
        if rules.is_over(day, window.ends, zone, now):
            return False
        until = self.place.paused_until if self.place.status is LocationStatus.PAUSED else None
        return until is None or rules.instant(day, window.starts, zone) >= until


async def stated(tx: Tx, locations: Iterable[Location], *, lock: bool = False) -> dict[int, Picking]:
    """Return what locations state of picking slots; those that state none are absent.

    With `lock` nobody states something else until the transaction ends.
    """
    stating = set(await reads.stating(tx, Kind.PICK))
    places = {x.id: x for x in locations if x.home in stating}
    if not places:
        return {}
    homes = {x.home for x in places.values()}
    if lock:
        await tx.tuples(writes.SHARE_PLANS, {"locations": sorted(homes)})
    plans = await reads.plans(tx, homes)
    return {id_: Picking(place, plans[place.home]) for id_, place in places.items() if place.home in plans}


class Wanted(msgspec.Struct, frozen=True):
    """So many pieces of work for the slots of a day, the earliest first. `location_id` is the first of its site."""

    location_id: int
    day: date
    windows: Sequence[Window]
    pieces: int


async def take(tx: Tx, wanted: Sequence[Wanted]) -> dict[tuple[int, date], list[Window]]:
    """Give pieces of work their slots, the earliest with room first; return a slot for each that got one.

    What is stated is locked (`stated`), and the days of the locations are.
    """
    rows = [(w, window) for w in wanted if w.pieces for window in w.windows]
    if not rows:
        return {}
    columns = columns_of([Key(w.location_id, Kind.PICK.value, w.day, window.starts) for w, window in rows])
    more = {"ends": [window.ends for _, window in rows], "quotas": [window.quota for _, window in rows]}
    await tx.execute(writes.ENSURE_SLOTS, columns | more)
    asked = columns | more | {"wanted": [w.pieces for w, _ in rows]}
    granted = {Key(*row[:4]): row[4] for row in await tx.tuples(writes.TAKE_PICKING, asked)}
    found: dict[tuple[int, date], list[Window]] = {}
    for w, window in rows:
        pieces = granted.get(Key(w.location_id, Kind.PICK.value, w.day, window.starts), 0)
        found.setdefault((w.location_id, w.day), []).extend([window] * pieces)
    return found


async def lock(tx: Tx, slots: Iterable[Key]) -> None:
    """Lock slots that work may leave before the transaction ends, at their place in the order of locks."""
    keys = sorted(set(slots))
    if keys:
        await tx.tuples(writes.LOCK_SLOTS, columns_of(keys))


async def give_back(tx: Tx, slots: Sequence[Key]) -> None:
    """Give places back, a slot as often as pieces of work leave it."""
    if not slots:
        return
    pieces = Counter(slots)
    keys = sorted(pieces)
    fewer = {"held": [0] * len(keys), "confirmed": [-pieces[key] for key in keys]}
    await tx.execute(writes.APPLY, columns_of(keys) | fewer)


async def add(tx: Tx, slots: Sequence[Key]) -> None:
    """Count work in its slots, full or not: it happens anyway. A slot is named as often as pieces of work join it."""
    if not slots:
        return
    pieces = Counter(slots)
    keys = sorted(pieces)
    await tx.execute(writes.ADD_PICKING, columns_of(keys) | {"pieces": [pieces[key] for key in keys]})


async def excess(tx: Tx, now: datetime) -> dict[int, dict[Key, int]]:
    """Return the slots that are not over and hold more work than they take, with how much too many, by location.

    They were closed or made smaller, or their location is closed that day or paused until later. Who states no picking
    slots any more lets work be as it is. Nothing is locked.
    """
    stating = await reads.stating(tx, Kind.PICK)
    if not stating:
        return {}
    homes = await network.locations_by_id(tx, stating)
    stated_ = await stated(tx, homes.values())
    since = now.date() - _DAY
    rows = await tx.tuples(reads.PICKING_WORK, {"locations": sorted(stated_), "since": since})
    last = max((row[1] for row in rows), default=since)
    closed = await reads.closed_days(tx, stated_, since, last)
    found: dict[int, dict[Key, int]] = {}
    for location_id, day, starts, ends, pieces in rows:
        picking = stated_[location_id]
        if rules.is_over(day, ends, ZoneInfo(picking.place.timezone), now):
            continue
        windows = [] if (location_id, day) in closed else picking.windows(day, now)
        quota = next((w.quota for w in windows if w.starts == starts), 0)
        if pieces > quota:
            found.setdefault(location_id, {})[Key(location_id, Kind.PICK.value, day, starts)] = pieces - quota
    return found


# --- for promises ---


async def full(tx: Tx, homes: Collection[int], now: datetime) -> dict[int, set[tuple[date, time]]]:
    """Return the slots of the next days, by location, day and start, in which there is no place left."""
    since = now.date() - _DAY
    params = {"locations": sorted(homes), "since": since, "until": since + (PROMISED_DAYS + 2) * _DAY}
    found: dict[int, set[tuple[date, time]]] = {}
    for location_id, day, starts in await tx.tuples(reads.FULL_PICKING, params):
        found.setdefault(location_id, set()).add((day, starts))
    return found


class PickingCalendar(Calendar):
    """The working days of a location whose work is done in slots: it is due when its slot ends.

    The slot is the earliest that has room, as far as is known; beyond two weeks every day has room. `full` are the day
    and start of slots in which there is none; it is replaced as they fill.
    """

    __slots__ = ("_picking", "full")

    def __init__(self, picking: Picking, closures: frozenset[date], full: Collection[tuple[date, time]] = ()) -> None:
        super().__init__(picking.place, closures)
        self._picking = picking
        self.full = full

    def due_day(self, released_at: datetime) -> date | None:
        """Return the working day of the slot in which work released at an instant is done."""
        return self._place(released_at)[0]

    def due_at(self, released_at: datetime) -> datetime | None:
        """Return the instant (UTC) at which the slot of work released at an instant ends."""
        day, window = self._place(released_at)
        if day is None:
            return None
        if window is None:
            return super().due_at(datetime.combine(day, time(), self.zone))
        return datetime.combine(day, window.ends, self.zone).astimezone(UTC)

    def _place(self, released_at: datetime) -> tuple[date | None, Window | None]:
        day = super().due_day(released_at)
        if day is None:
            return None, None
        last = day + PROMISED_DAYS * _DAY
        while day is not None and day <= last:
            for window in self._picking.windows(day, released_at):
                if (day, window.starts) not in self.full:
                    return day, window
            day = self.next_open_day(day + _DAY)
        return day, None
