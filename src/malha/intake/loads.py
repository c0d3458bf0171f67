"""How much of their working days locations have given away: what routing counts as full, and on which day work is done.

A location with a limit a day counts what was released for each day, and what is claimed and will be released when its
window is over, in that order: work that finds its day full goes on to the next. What is on hold, or waits for its
payment, may never be asked for and takes no room. Nothing here is locked: `fulfillment.releasing` decides.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

import msgspec

from malha.network.calendar import Calendar
from malha.network.model import Location
from malha.platform.db import Tx

HORIZON_DAYS = 30  # as far as work is released
_DAY = timedelta(days=1)

# Released work of the days from yesterday on, and claimed work by the day from which it may be released, on each
# location's clock. Slots are stated of a site's first location and hold for all that are there; where they count units,
# so does this: of what is in slots at the first location, of open work in none at its own. Claimed work is that of
# orders which the next rounds may release, as `ordering.writes.DUE_FOR_RELEASE` finds them: not held, not unpaid.
GIVEN = """
WITH capped AS MATERIALIZED (
    SELECT l.id, l.timezone, p.location_id IS NOT NULL AS in_units
    FROM location l
    LEFT JOIN capacity_plan p ON p.location_id = coalesce(l.site_id, l.id) AND p.measure = 'units'
     AND p.location_id = ANY (%(slotted)s::int[])
    WHERE l.id = ANY (%(capped)s::int[])
)
SELECT c.id, d.day, d.taken, FALSE
FROM capped c JOIN location_day d ON d.location_id = c.id
WHERE NOT c.in_units AND d.taken > 0 AND d.day >= %(since)s::date
UNION ALL
SELECT c.id, s.day, sum(s.units)::int, FALSE
FROM capped c JOIN capacity_slot s ON s.location_id = c.id AND s.kind = 'pick'
WHERE c.in_units AND s.units > 0 AND s.day >= %(since)s::date
GROUP BY c.id, s.day
UNION ALL
SELECT c.id, f.capacity_day, sum(f.units)::int, FALSE
FROM capped c JOIN fulfillment_order f
  ON f.location_id = c.id AND f.state NOT IN ('closed', 'rejected', 'cancelled')
WHERE c.in_units AND f.slot_starts IS NULL AND f.capacity_day >= %(since)s::date
GROUP BY c.id, f.capacity_day
UNION ALL
SELECT c.id, (o.release_after AT TIME ZONE c.timezone)::date,
       (CASE WHEN c.in_units THEN sum(u.quantity) ELSE count(DISTINCT o.id) END)::int, TRUE
FROM sales_order o
JOIN order_unit u ON u.order_id = o.id AND u.state = 'allocated'
JOIN capped c ON c.id = u.location_id
WHERE o.status IN ('allocated', 'unplaced', 'backordered') AND o.release_after < %(until)s::timestamptz
GROUP BY c.id, c.in_units, 2
"""

# Released work that has not left or is not ready, as `learning_days.BEHIND` counts it. By the partial index on open
# work.
WAITING = """
SELECT location_id, count(*)::int FROM fulfillment_order
WHERE location_id = ANY (%(locations)s::int[]) AND state NOT IN ('closed', 'rejected', 'cancelled') AND state <> 'ready'
  AND due_at > now() - make_interval(days => %(lost)s::int)
GROUP BY location_id
"""


class Given(NamedTuple):
    """Work of a location on a day: how much, and whether it is only claimed and waits to be released from then on."""

    location: int
    day: date
    work: int
    claimed: bool


async def given(tx: Tx, capped: Iterable[int], slotted: Iterable[int], now: datetime) -> list[Given]:
    """Return the work that locations with a limit have; nothing is asked where none has one.

    Args:
        tx: The transaction.
        capped: Ids of locations with a limit a day, of whatever kind.
        slotted: Ids of the first locations of sites that state picking slots.
        now: When it is asked.
    """
    ids = sorted(capped)
    if not ids:
        return []
    today = now.date()
    params = {
        "capped": ids,
        "slotted": sorted(slotted),
        "since": today - _DAY,
        "until": now + HORIZON_DAYS * _DAY,
    }
    return [Given(*row) for row in await tx.tuples(GIVEN, params)]


class Load(msgspec.Struct, frozen=True):
    """What a location has on the working day of what is released now, and the days on which it has no room left.

    `full` counts what is claimed and waits to be released, `booked` only what is released.
    """

    taken: int = 0
    full: frozenset[date] = frozenset()
    booked: frozenset[date] = frozenset()


NO_LOAD = Load()


def load_of(calendar: Calendar, limit_on: Callable[[date], int | None], rows: Sequence[Given], now: datetime) -> Load:
    """Return what the work of a site comes to by its days.

    What is claimed fills the room that released work leaves, day after day; the rest of it waits for the next one.

    Args:
        calendar: The site's working days, whether full or not.
        limit_on: How much a day takes; None: as much as comes.
        rows: The site's work.
        now: What is released now is done on the first day.
    """
    first = calendar.first_day(now)
    if first is None or not rows:
        return NO_LOAD
    released: dict[date, int] = {}
    waiting: dict[date, int] = {}
    for row in rows:
        if row.claimed:
            # Released at the beginning of its day, or now: by the day's cut-off either way.
            from_ = first if row.day <= first else calendar.next_open_day(row.day) or first
            waiting[from_] = waiting.get(from_, 0) + row.work
        else:
            released[row.day] = released.get(row.day, 0) + row.work
    last = max([first, *released, *waiting])
    full: set[date] = set()
    booked: set[date] = set()
    taken = behind = 0
    day: date | None = first
    while day is not None and (day <= last or behind) and day <= first + HORIZON_DAYS * _DAY:
        behind += waiting.get(day, 0)
        here = released.get(day, 0)
        if day == first:
            taken = here + behind
        limit = limit_on(day)
        room = behind + 1 if limit is None else limit - here
        if room <= behind:
            full.add(day)
        if room <= 0:
            booked.add(day)
        behind -= min(behind, max(room, 0))
        day = calendar.next_open_day(day + _DAY)
    return Load(taken, frozenset(full), frozenset(booked))


class FilledCalendar(Calendar):
    """The working days of a location that takes so many orders a day: what is released is done on the first with room.

    `load` says which days have none, as far as is known; it is replaced as they fill.
    """

    __slots__ = ("load",)

    def __init__(self, location: Location, closures: frozenset[date] = frozenset()) -> None:
        super().__init__(location, closures)
        self.load = NO_LOAD

    def due_day(self, released_at: datetime, units: int = 1) -> date | None:  # noqa: ARG002
        """Return the first working day with room for work released at an instant."""
        return self._first(released_at, self.load.full)

    def claimed_day(self, released_at: datetime, units: int = 1) -> date | None:  # noqa: ARG002
        """Return the same for work that is claimed: what else waits to be released is not before it."""
        return self._first(released_at, self.load.booked)

    def _first(self, released_at: datetime, full: frozenset[date]) -> date | None:
        day = self.first_day(released_at)
        while day is not None and day in full:
            day = self.next_open_day(day + _DAY)
        return day

    def due_at(self, released_at: datetime, units: int = 1) -> datetime | None:
        """Return the instant (UTC) work released at an instant is due: the closing hour of its working day."""
        if not self.load.full:
            return super().due_at(released_at, units)
        day = self.due_day(released_at, units)
        return None if day is None else self.closing_on(day)


def by_site(rows: Iterable[Given], homes: Mapping[int, int]) -> dict[int, list[Given]]:
    """Return work by the first location of its site."""
    found: dict[int, list[Given]] = {}
    for row in rows:
        found.setdefault(homes.get(row.location, row.location), []).append(row)
    return found
