"""The days that run live (`malha.promising`) over the orders of Olist: learned anew week after week, then kept or not.

A seller is a location, and a parcel is to leave on the day of the seller's shipping limit. What a week learns from is
what was known when it began; the worker learns every six hours, so live days are younger than these.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

import msgspec
import numpy as np

from malha.fulfillment.learning_days import LOOK_BACK, between
from malha.network.calendar import Calendar, add_business_days
from malha.network.model import Location, LocationKind, LocationStatus
from malha.network.places import STATE_ZONES
from malha.platform.address import Address
from malha.platform.brazil import STATES
from malha.promising import correcting
from malha.promising.choosing import LEVEL
from malha.promising.correcting import Due, doubts
from malha.promising.foretelling import LearnedDays
from malha.promising.learning.past import Floats, Ints
from malha.promising.lived import EARLIEST, LATEST, LOST, Lane, Left, Waited, learn, learn_ready

EVERY = 7  # days
LEAST = 300  # orders of a month that is counted
BEFORE = 8  # weeks whose promises are made only to be corrected by
SERVICE = 1
DAWN = date(2016, 1, 1)


class Roads(msgspec.Struct):
    """Orders as the live table sees them, in days since some midnight. `left` and `delivered` are infinity: not yet."""

    bought: Ints
    due: Ints  # when the parcel is to leave
    left: Floats
    delivered: Floats
    sellers: Ints
    states: list[tuple[str, str]]
    estimate: Floats  # days after the day of purchase by whose end Olist promised


class LiveMonth(msgspec.Struct, frozen=True):
    """One month: how often promises at the level were kept."""

    month: str
    orders: int
    on_time: float
    days: float


class Live(msgspec.Struct, frozen=True):
    """What came of a period. `coverage_error` is in points: the mean over months of what was kept beside the level."""

    orders: int
    level: float
    on_time: float
    said: float  # mean chance that promises were made with
    promise_days: float
    days_shorter: float
    coverage_error: float
    coverage_error_worst: float
    months: list[LiveMonth]


class _Promised(msgspec.Struct, frozen=True):
    """One order as it was promised: its row, the last day of the promise, and the chances."""

    row: int
    ends: int
    foretold: float
    said: float


def run(roads: Roads, first: int, last: int) -> Live | None:
    """Promise what was bought from `first` to `last` and delivered; lanes that are not known are left out.

    None: no lane was known.
    """
    seen = _Seen(roads)
    made: list[_Promised] = []
    for begin in range(first - BEFORE * EVERY, last + 1, EVERY):
        learned = seen.learned(begin, made)
        for n in np.flatnonzero((roads.bought >= begin) & (roads.bought < min(begin + EVERY, last + 1))):
            found = seen.promise(learned, int(n))
            if found is not None:
                made.append(found)
    made = [one for one in made if roads.bought[one.row] >= first and np.isfinite(roads.delivered[one.row])]
    if not made:
        return None
    at = np.array([one.row for one in made], np.int64)
    ends = np.array([one.ends for one in made], np.int64)
    said = np.array([one.said for one in made])
    kept = np.floor(roads.delivered[at]) <= ends
    days = ends - roads.bought[at]
    labels = np.array([f"{_date(day):%Y-%m}" for day in roads.bought[at]])
    months = [
        LiveMonth(str(label), int(of.sum()), round(float(kept[of].mean()), 4), round(float(days[of].mean()), 4))
        for label in np.unique(labels)
        for of in [labels == label]
        if of.sum() >= LEAST
    ]
    errors = [(abs(month.on_time - LEVEL) * 100, month.orders) for month in months]
    return Live(
        orders=len(at),
        level=LEVEL,
        on_time=round(float(kept.mean()), 4),
        said=round(float(said.mean()), 4),
        promise_days=round(float(days.mean()), 4),
        days_shorter=round(float((roads.estimate[at] - days).mean()), 4),
        coverage_error=round(sum(e * n for e, n in errors) / max(1, sum(n for _, n in errors)), 4),
        coverage_error_worst=round(max((e for e, _ in errors), default=0.0), 4),
        months=months,
    )


class _Seen:
    """Orders as the worker would have seen them when a day began."""

    def __init__(self, roads: Roads) -> None:
        self.roads = roads
        self.calendars = {state: Calendar(_place(state)) for state in STATES}
        self.left = np.floor(roads.left)
        came = np.floor(roads.delivered)
        nobody_said = ~np.isfinite(self.left) & np.isfinite(came)
        self.left = np.minimum(np.where(nobody_said, roads.due, self.left), came)
        self.known = np.array([origin in STATES and target in STATES for origin, target in roads.states])
        self.working_days = lru_cache(None)(self._working_days)

    def learned(self, now: int, made: Sequence[_Promised]) -> LearnedDays:
        """Return what would be in force on a day; without lanes: too little was known."""
        lanes, ready = learn(self.waited(now)), learn_ready(self.gone(now))
        due = doubts(self.due(now, made))
        return LearnedDays(
            version=now,
            until=datetime.max.replace(tzinfo=UTC),
            level=LEVEL,
            worth=None,
            lanes={lane: of.chances for lane, of in lanes.items()},
            ready={place: of.chances for place, of in ready.items()},
            doubts={zone: of.factor for zone, of in due.items()},
        )

    def promise(self, learned: LearnedDays, n: int) -> _Promised | None:
        """Promise one order; None: its lane is not known."""
        roads = self.roads
        origin, target = roads.states[n]
        if not self.known[n]:
            return None
        leaves = _date(roads.due[n])
        released = min(leaves, _date(roads.bought[n]))
        lane = SERVICE, origin, target
        found = learned.parcel(int(roads.sellers[n]), self.calendars[origin], released, leaves, lane)
        if found is None:
            return None
        ends = (add_business_days(leaves, found.days, f"BR-{target}") - DAWN).days
        return _Promised(n, ends, found.chosen.foretold, found.chosen.said)

    def waited(self, now: int) -> list[Waited]:
        """Return what would have been counted of parcels; see `learning_days.WAITED`."""
        roads = self.roads
        counted: Counter[tuple[Lane, int, int, bool]] = Counter()
        for n in np.flatnonzero(self.known & (roads.bought < now) & (self.left < now) & (self.left >= now - LOOK_BACK)):
            left, came = int(self.left[n]), bool(roads.delivered[n] < now)
            if came or left > now - LOST:
                until = int(np.floor(roads.delivered[n])) if came else now
                lane = SERVICE, *roads.states[n]
                counted[lane, now - left, between(_date(left), _date(until), lane[2]), came] += 1
        return [Waited(*lane, age, days, came, count) for (lane, age, days, came), count in counted.items()]

    def gone(self, now: int) -> list[Left]:
        """Return what would have been counted of work that was to leave; see `learning_days.LEFT`."""
        roads = self.roads
        counted: Counter[Left] = Counter()
        for n in np.flatnonzero(self.known & (roads.bought < now) & (roads.due < now) & (roads.due >= now - LOOK_BACK)):
            due, left = int(roads.due[n]), bool(self.left[n] < now)
            if left or due > now - LOST:
                days = self.working_days(roads.states[n][0], due, int(self.left[n]) if left else now)
                weekday = _date(due).weekday()
                counted[Left(int(roads.sellers[n]), "ship", weekday, now - due, days, left, 0)] += 1
        return [row._replace(works=count) for row, count in counted.items()]

    def due(self, now: int, made: Sequence[_Promised]) -> list[Due]:
        """Return promises that came due before a day; see `learning_days.DUE`."""
        roads = self.roads
        return [
            Due(
                SERVICE, *roads.states[one.row], now - one.ends - 1, one.foretold,
                bool(np.floor(roads.delivered[one.row]) <= one.ends), 1,
            )
            for one in made
            if now - correcting.LOOK_BACK <= one.ends < now
        ]  # fmt: skip

    def _working_days(self, state: str, due: int, went: int) -> int:
        return self.calendars[state].working_days(_date(due), _date(went), max(LATEST, -EARLIEST) + 1)


def _date(day: float) -> date:
    return DAWN + timedelta(int(day))


def _place(state: str) -> Location:
    """Return a location of a state that works Monday to Friday."""
    return Location(
        id=0, code=state, name=state, kind=LocationKind.STORE, establishment_id=0, status=LocationStatus.ACTIVE,
        address=Address(), state=state, postal_code=None, latitude=None, longitude=None, timezone=STATE_ZONES[state],
        opening_hours={}, holiday_calendar=f"BR-{state}", can_ship=True, can_pickup=False, can_curbside=False,
        can_return=False, cut_off=time(23, 59), daily_capacity=None, handling_cost=0, line_cost=0, priority=0,
        pickup_days=0, version=1,
    )  # fmt: skip
