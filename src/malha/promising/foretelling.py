"""Learned dates as a process keeps them between orders: read once a version, asked for every parcel. Pure.

What was worked out for a location, day, service and state is remembered: orders of a day ask for the same again.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

import msgspec

from malha.network.calendar import Calendar, is_business_day
from malha.promising.choosing import Chosen, choose, together
from malha.promising.correcting import ANYWHERE, Zone
from malha.promising.lived import EARLIEST, Lane, Place, day_of, zone_of
from malha.promising.queues import Queue

REMEMBERED = 20_000
NO_BAND = -1
_DAY = timedelta(days=1)
_SHIP, _PICKUP = "ship", "pickup"


class Foretold(msgspec.Struct, frozen=True):
    """What was learned of one parcel: business days of the destination from the day it is to leave.

    `late_days` of them are for leaving late.
    """

    days: int
    late_days: int
    chosen: Chosen


class LearnedDays(msgspec.Struct, frozen=True, kw_only=True):
    """What dates are promised by, and until when it may be used."""

    version: int
    until: datetime
    level: float  # the share of promises to keep; by costs: what they come to
    worth: float | None  # what a broken promise costs in working days; None: `level` counts for every promise
    lanes: Mapping[Lane, Sequence[float]]  # chance of each business day under way
    ready: Mapping[Place, Sequence[float]]  # chance of each working day to leave, from `EARLIEST` on
    queues: Mapping[tuple[int, str], Queue] = {}  # the same by what waits there, where that is known
    doubts: Mapping[Zone, float] = {}
    known: dict[tuple[int, date, date, int, str, int], Foretold] = msgspec.field(default_factory=dict)
    known_ready: dict[tuple[int, int, int], int] = msgspec.field(default_factory=dict)

    def parcel(
        self,
        location_id: int,
        calendar: Calendar,
        released: date,
        leaves: date,
        lane: Lane,
        waiting: int | None = None,
    ) -> Foretold | None:
        """Return what a parcel takes that was released on a day and is to leave on another; None: it is not known.

        `waiting` is the work that waits where it leaves from; None: nobody knows, or it is of a later day.
        """
        service, _, state = lane
        band = self.band(location_id, _SHIP, waiting)
        key = location_id, released, leaves, service, state, band
        found = self.known.get(key)
        if found is None and lane in self.lanes:
            if len(self.known) > REMEMBERED:
                self.known.clear()
            found = self.known[key] = self._parcel(location_id, calendar, released, leaves, lane, band)
        return found

    def late_days(self, location_id: int, leaves: date, waiting: int | None = None) -> int:
        """Return how many working days after its day work to be fetched is ready; 0: in time, or nothing is known.

        `waiting`: as of `parcel`.
        """
        band = self.band(location_id, _PICKUP, waiting)
        key = location_id, leaves.weekday(), band
        found = self.known_ready.get(key)
        if found is None:
            chances = self._ready(location_id, _PICKUP, leaves, band) or [1.0]
            day = -EARLIEST if len(chances) > 1 else 0  # what is ready before its day is ready on it
            in_time = [sum(chances[: day + 1]), *chances[day + 1 :]]
            found = self.known_ready[key] = choose(in_time, level=self.level, worth=self.worth).day
        return found

    def doubt(self, lane: Lane) -> float:
        """Return how many more promises than foretold are taken to be broken, as a factor."""
        zone = zone_of(lane)
        return self.doubts.get(zone, self.doubts.get((zone[0], ANYWHERE, ANYWHERE), 1.0))

    def band(self, location_id: int, method: str, waiting: int | None) -> int:
        """Return the band of work that waits at a location; `NO_BAND`: it does not count there."""
        queue = None if waiting is None else self.queues.get((location_id, method))
        return NO_BAND if queue is None or waiting is None else queue.band(waiting)

    def _ready(self, location_id: int, method: str, leaves: date, band: int) -> Sequence[float] | None:
        if band != NO_BAND:
            return self.queues[location_id, method].chances[band]
        for place in ((location_id, method, leaves.weekday()), (location_id, method, None), (None, method, None)):
            if place in self.ready:
                return self.ready[place]
        return None

    def _parcel(
        self, location_id: int, calendar: Calendar, released: date, leaves: date, lane: Lane, band: int
    ) -> Foretold:
        travels = self.lanes[lane]
        holidays = f"BR-{lane[2]}"
        ready = self._ready(location_id, _SHIP, leaves, band)
        if ready is None:
            chances = travels
        else:
            chances = together(
                ready, lambda days: _between(leaves, max(released, calendar.shifted(leaves, days)), holidays), travels
            )
        chosen = choose(chances, level=self.level, worth=self.worth, doubt=self.doubt(lane))
        return Foretold(chosen.day, max(0, chosen.day - day_of(travels, chosen.foretold)), chosen)


def _between(first: date, last: date, holidays: str) -> int:
    """Return how many business days after `first` a day is, or (below 0) before it."""
    if last < first:
        return -_between(last, first, holidays)
    return sum(is_business_day(first + n * _DAY, holidays) for n in range(1, (last - first).days + 1))
