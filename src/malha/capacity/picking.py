"""Picking slots: what a location's hours have room for, and the places that work takes in them.

Work is its own reservation: a piece of work names its slot, and the slot's counter says how many do, and how many
units they have. Which of the two the quota is of, the location says. Who takes or gives back a place has locked the
location's days before (`fulfillment`), so no counter is waited for out of order.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from malha.capacity import reads, rules, writes
from malha.capacity.model import Key, Kind, Measure, Plan, Room, Window, columns_of
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

    @property
    def measure(self) -> Measure:
        """Return what the quotas count."""
        return self.plan.measure

    def pieces(self, day: date) -> int | None:
        """Return how many pieces of work a day takes; None: as many as its slots do, which count units."""
        return None if self.measure is Measure.UNITS else self.quota(day)

    def quota(self, day: date) -> int | None:
        """Return how much a day has room for: the sum of its slots. Ask it of today and later days."""
        holiday = is_holiday(self.place.holiday_calendar, day)
        return rules.day_quota(self.plan, day, holiday=holiday, closed=False)

    def limit(self, day: date) -> int | None:
        """Return how much routing may give a location on a day: what its slots have room for, in what they count.

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


class Place(NamedTuple):
    """What work has in a slot: its pieces, and their units."""

    key: Key
    pieces: int
    units: int


class Wanted(msgspec.Struct, frozen=True):
    """Work for the slots of a day, the earliest first. `location_id` is the first of its site.

    `sizes` are the units of each piece, the first to be seated first. `usable` are all slots of the day that work may
    be given, where `windows` are some of them: what is in no slot fills the first of these. `loose` units of the pieces
    are in no slot of the day until now, and fill none.
    """

    location_id: int
    day: date
    windows: Sequence[Window]
    sizes: Sequence[int]
    measure: Measure
    usable: Sequence[Window] = ()
    loose: int = 0

    @property
    def every(self) -> list[Window]:
        """Return the slots that are asked for, and those beside them, by their start."""
        return sorted({*self.windows, *self.usable})


async def take(tx: Tx, wanted: Sequence[Wanted]) -> dict[tuple[int, date], list[Window | None]]:
    """Give pieces of work their slots, the earliest with room first; return the slot of each, None without room.

    What is stated is locked (`stated`), and the days of the locations are.
    """
    asked = [w for w in wanted if w.sizes and w.windows]
    found: dict[tuple[int, date], list[Window | None]] = {(w.location_id, w.day): [None] * len(w.sizes) for w in wanted}
    if not asked:
        return found
    rows = [(w, window) for w in asked for window in w.every]
    columns = columns_of([_key(w, window) for w, window in rows])
    more = {
        "ends": [window.ends for _, window in rows],
        "quotas": [window.quota for _, window in rows],
        "measures": [w.measure.value for w, _ in rows],
    }
    await tx.execute(writes.ENSURE_SLOTS, columns | more)
    counted = {Key(*row[:4]): row[6:9] for row in await tx.tuples(writes.LOCK_SLOTS, columns)}
    in_units = [w for w in asked if w.measure is Measure.UNITS]
    loose = await reads.loose_units(tx, {w.location_id for w in in_units}, {w.day for w in in_units})
    seats = {(w.location_id, w.day): _seat(w, counted, loose) for w in asked}
    granted = await _count_in(tx, asked, seats)
    for w in asked:
        here = (w.windows[n] if n is not None else None for n in seats[w.location_id, w.day])
        found[w.location_id, w.day] = [x if x is not None and _key(w, x) in granted else None for x in here]
    return found


def _key(w: Wanted, window: Window) -> Key:
    return Key(w.location_id, Kind.PICK.value, w.day, window.starts)


def _seat(w: Wanted, counted: Mapping[Key, Sequence[int]], loose: Mapping[tuple[int, date], int]) -> list[int | None]:
    """Return which of its windows each piece gets. Work that is in no slot of the day fills the first ones."""
    outside = max(loose.get((w.location_id, w.day), 0) - w.loose, 0) if w.measure is Measure.UNITS else 0
    rooms = {}
    for window in w.every:
        held, confirmed, units = counted[_key(w, window)]
        taken = units if w.measure is Measure.UNITS else held + confirmed
        here = min(outside, max(window.quota - taken, 0))
        outside -= here
        rooms[window] = Room(window.quota, taken + here)
    return rules.seat([rooms[window] for window in w.windows], w.measure, w.sizes)


async def _count_in(
    tx: Tx, wanted: Sequence[Wanted], seats: Mapping[tuple[int, date], Sequence[int | None]]
) -> set[Key]:
    """Count pieces and units where they are seated; return the slots that took them."""
    sums: dict[Key, tuple[Wanted, Window, int, int]] = {}
    for w in wanted:
        for size, n in zip(w.sizes, seats[w.location_id, w.day], strict=True):
            if n is not None:
                key = _key(w, w.windows[n])
                _, _, pieces, units = sums.get(key, (w, w.windows[n], 0, 0))
                sums[key] = w, w.windows[n], pieces + 1, units + size
    if not sums:
        return set()
    keys = sorted(sums)
    params = columns_of(keys) | {
        "ends": [sums[k][1].ends for k in keys],
        "quotas": [sums[k][1].quota for k in keys],
        "measures": [sums[k][0].measure.value for k in keys],
        "pieces": [sums[k][2] for k in keys],
        "units": [sums[k][3] for k in keys],
    }
    return {Key(*row) for row in await tx.tuples(writes.TAKE_PICKING, params)}


async def lock(tx: Tx, places: Iterable[Place]) -> None:
    """Lock slots that work may leave before the transaction ends, at their place in the order of locks."""
    keys = sorted({place.key for place in places})
    if keys:
        await tx.tuples(writes.LOCK_SLOTS, columns_of(keys))


async def give_back(tx: Tx, places: Iterable[Place]) -> None:
    """Give places back: of work that leaves its slot, or of units that work has no more."""
    if params := _sums(places):
        await tx.execute(writes.LEAVE_PICKING, params)


async def add(tx: Tx, places: Iterable[Place]) -> None:
    """Count work in its slots, full or not: it happens anyway."""
    if params := _sums(places):
        await tx.execute(writes.ADD_PICKING, params)


def _sums(places: Iterable[Place]) -> dict[str, list[Any]]:
    """Return places as the arrays that statements take, one row for each slot; nothing for none."""
    sums: dict[Key, tuple[int, int]] = {}
    for key, pieces, units in places:
        before = sums.get(key, (0, 0))
        sums[key] = before[0] + pieces, before[1] + units
    keys = sorted(sums)
    if not keys:
        return {}
    return columns_of(keys) | {"pieces": [sums[k][0] for k in keys], "units": [sums[k][1] for k in keys]}


async def excess(tx: Tx, now: datetime) -> dict[int, dict[Key, int]]:
    """Return the slots that are not over and hold more work than they take, with how much too many, by location.

    That is in what they count. One piece of work that is larger than its slot may be there.

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
    for location_id, day, starts, ends, pieces, units in rows:
        picking = stated_[location_id]
        if rules.is_over(day, ends, ZoneInfo(picking.place.timezone), now):
            continue
        windows = [] if (location_id, day) in closed else picking.windows(day, now)
        quota = next((w.quota for w in windows if w.starts == starts), 0)
        in_units = picking.measure is Measure.UNITS
        taken = units if in_units else pieces
        if taken > quota and not (in_units and quota and pieces == 1):
            found.setdefault(location_id, {})[Key(location_id, Kind.PICK.value, day, starts)] = taken - quota
    return found


# --- for promises ---


Left = Mapping[tuple[date, time], int]  # places that are left of slots, by day and start


async def full(tx: Tx, homes: Collection[int], now: datetime) -> dict[int, Left]:
    """Return the slots of the next days in which not all work has room, by location, with the places that are left.

    Those are full, or count units and are not empty.
    """
    since = now.date() - _DAY
    params = {"locations": sorted(homes), "since": since, "until": since + (PROMISED_DAYS + 2) * _DAY}
    found: dict[int, dict[tuple[date, time], int]] = {}
    for location_id, day, starts, left in await tx.tuples(reads.FULL_PICKING, params):
        found.setdefault(location_id, {})[day, starts] = left
    return dict(found)


class PickingCalendar(Calendar):
    """The working days of a location whose work is done in slots: it is due when its slot ends.

    The slot is the earliest that has room, as far as is known; beyond two weeks every day has room. `full` says what is
    left of slots in which not all work has room, `given` are days whose room is given to work that is not released yet;
    both are replaced as they fill.
    """

    __slots__ = ("_picking", "full", "given")

    def __init__(self, picking: Picking, closures: frozenset[date], full: Left | None = None) -> None:
        super().__init__(picking.place, closures, by_slots=True)
        self._picking = picking
        self.full = {} if full is None else full
        self.given: frozenset[date] = frozenset()

    def due_day(self, released_at: datetime, units: int = 1) -> date | None:
        """Return the working day of the slot in which work of some units, released at an instant, is done."""
        return self._place(released_at, units)[0]

    def claimed_day(self, released_at: datetime, units: int = 1) -> date | None:
        """Return the same for work that is claimed: what else waits to be released is not before it."""
        return self._place(released_at, units, claimed=True)[0]

    def due_at(self, released_at: datetime, units: int = 1) -> datetime | None:
        """Return the instant (UTC) at which the slot of work of some units, released at an instant, ends."""
        day, window = self._place(released_at, units)
        if day is None:
            return None
        if window is None:
            return super().due_at(datetime.combine(day, time(), self.zone))
        return datetime.combine(day, window.ends, self.zone).astimezone(UTC)

    def _place(self, released_at: datetime, units: int, *, claimed: bool = False) -> tuple[date | None, Window | None]:
        places = units if self._picking.measure is Measure.UNITS else 1
        day = self.first_day(released_at)
        if day is None:
            return None, None
        last = day + PROMISED_DAYS * _DAY
        while day is not None and day <= last:
            given = day in self.given and not claimed
            for window in () if given else self._picking.windows(day, released_at):
                left = self.full.get((day, window.starts))
                if left is None or left >= places:
                    return day, window
            day = self.next_open_day(day + _DAY)
        return day, None
