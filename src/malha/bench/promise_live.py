"""The days that run live (`promising.lived`) over the orders of Olist: learned anew week after week, then kept or not.

A parcel is to leave on the day of the seller's shipping limit. What a week learns from is what was known when it began;
the worker learns every six hours, so live days are younger than these.
"""

from collections import Counter
from datetime import date, timedelta

import msgspec
import numpy as np

from malha.fulfillment.learning_days import LEVEL, LOOK_BACK, LOST
from malha.network.calendar import add_business_days
from malha.platform.brazil import STATES
from malha.promising.learning.past import Floats, Ints
from malha.promising.lived import MOST_DAYS, Lane, Lived, Waited, learn

EVERY = 7  # days
LEAST = 300  # orders of a month that is counted
SERVICE = 1
DAWN = date(2016, 1, 1)
AHEAD = 200  # days after the last order that calendars reach


class Roads(msgspec.Struct):
    """Orders as the live table sees them, in days since some midnight. `delivered` is infinity: not yet."""

    bought: Ints
    due: Ints  # when the parcel is to leave
    delivered: Floats
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
    promise_days: float
    days_shorter: float
    coverage_error: float
    months: list[LiveMonth]


def run(roads: Roads, first: int, last: int) -> Live | None:
    """Promise what was bought from `first` to `last` and delivered; lanes that are not known are left out.

    None: no lane was known.
    """
    calendar = {
        state: _working_days(state, int(roads.bought.max()) + AHEAD)
        for state in {target for _, target in roads.states if target in STATES}
    }
    rows: list[int] = []
    promised: list[int] = []
    for begin in range(first, last + 1, EVERY):
        found = learn(_known(roads, calendar, begin), LEVEL)
        for n in np.flatnonzero((roads.bought >= begin) & (roads.bought < min(begin + EVERY, last + 1))):
            lane = _lane(roads, int(n))
            if lane in found and np.isfinite(roads.delivered[n]):
                rows.append(int(n))
                promised.append(_arrival(calendar[lane[2]], int(roads.due[n]), found[lane]))
    if not rows:
        return None
    at = np.array(rows, np.int64)
    ends = np.array(promised, np.int64)
    kept = np.floor(roads.delivered[at]) <= ends
    days = ends - roads.bought[at]
    labels = np.array([f"{DAWN + timedelta(int(day)):%Y-%m}" for day in roads.bought[at]])
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
        promise_days=round(float(days.mean()), 4),
        days_shorter=round(float((roads.estimate[at] - days).mean()), 4),
        coverage_error=round(sum(e * n for e, n in errors) / max(1, sum(n for _, n in errors)), 4),
        months=months,
    )


def _lane(roads: Roads, n: int) -> Lane:
    return SERVICE, *roads.states[n]


def _known(roads: Roads, calendar: dict[str, Ints], now: int) -> list[Waited]:
    """Return what the worker would have counted when a day began; see `learning_days.WAITED`."""
    counted: Counter[tuple[Lane, int, int, bool]] = Counter()
    seen = (roads.bought < now) & (roads.due <= now) & (roads.due >= now - LOOK_BACK)
    for n in np.flatnonzero(seen):
        lane = _lane(roads, int(n))
        if lane[1] not in STATES or lane[2] not in STATES:
            continue
        due = int(roads.due[n])
        came = bool(roads.delivered[n] < now)
        if came or due > now - LOST:
            until = int(np.floor(roads.delivered[n])) if came else now
            counted[lane, now - due, _between(calendar[lane[2]], due, until), came] += 1
    return [Waited(*lane, age, days, came, count) for (lane, age, days, came), count in counted.items()]


def _working_days(state: str, last: int) -> Ints:
    """Return for each day how many business days there were up to its end."""
    counts = np.zeros(last + 1, np.int64)
    day = DAWN
    while (day := add_business_days(day, 1, f"BR-{state}")) <= DAWN + timedelta(last):
        counts[(day - DAWN).days] = 1
    return np.cumsum(counts)


def _between(working: Ints, first: int, last: int) -> int:
    """Return how many business days after `first` a promise must say to hold `last`; at most `MOST_DAYS`."""
    if last <= first:
        return 0
    whole = int(working[last] - working[first])
    return min(MOST_DAYS, whole if working[last] > working[last - 1] else whole + 1)


def _arrival(working: Ints, due: int, lived: Lived) -> int:
    return int(np.searchsorted(working, working[due] + lived.days))
