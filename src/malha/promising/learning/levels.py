"""From what is expected to a promise: the chance of every day, and the day whose cost is least.

A promise is a day by whose end the goods are there. Its chance is read from how far earlier orders missed what was
expected of them (rolling, weighted by age) and corrected by how many due promises of the same zone were broken against
how many were said to be. What all zones have in common of that is mostly the level of weeks ago, which `tracking` has
left behind: it counts damped.

A level is the share of promises to keep. It is kept over all orders of the last weeks, not for each: every day has the
cost of a broken promise at which the promises of least cost have the level's chance together, so that an order whose
date is uncertain, for whom the last points would cost weeks, is promised a little less than one whose date is sure.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from malha.promising.learning.past import Floats, Ints, Past

DAYS: Floats = np.arange(1.0, 91.0)
GRID: Floats = np.concatenate([np.arange(0, 6, 0.02), [6.0, 8.0, 12.0]])
SHAPE_HALF = 180.0  # days
SETTLED = 25  # days: younger orders do not count towards the shape, only their quick ones have arrived
LEAST = 100  # outcomes before there is a shape
LEAST_CHANCE = 0.8  # no promise is given with less, whatever it saves
RISK_HALF = 30.0  # days
DAMPED = 0.2  # of what all zones have in common
RISK_LEAN = 25.0  # broken promises that "as said" is worth
RECENT = 28  # days whose orders a level is kept over
ENOUGH = 400  # of them are looked at
COSTS = (5.0, 2_000.0)  # of a broken promise, in days of a longer one
RESOLVED = 45.0  # days after its end when what has not come of a promise is taken for lost
LOST_LEAN = (8.0, 2.0)  # overdue orders that came in the end, and that were lost, before any is known


@dataclass(slots=True)
class Chances:
    """For some orders the chance of each day of `DAYS`, before correction, and when they came."""

    rows: Ints
    kept: Floats  # orders by days


@dataclass(slots=True)
class Given:
    """Promises: days after the day of purchase, the chance that was said, and whether they were kept."""

    days: Ints
    said: Floats


def chances(past: Past, usual: Floats, rows: Ints) -> tuple[Chances, Floats]:
    """Return the chances of some orders and their medians; `usual` is what is expected at the present level."""
    missed = past.taken / usual
    settled = np.isfinite(missed)
    days = past.day
    kept = np.full((len(rows), len(DAYS)), np.nan)
    medians = np.full(len(rows), np.nan)
    when = past.bought - days
    for day in np.unique(days[rows]):
        at = np.flatnonzero(days[rows] == day)
        known = np.flatnonzero(settled & (past.bought < day - SETTLED) & (past.delivered < day))
        if len(known) < LEAST:
            continue
        known = known[np.argsort(missed[known])]
        weights = np.cumsum(0.5 ** ((day - past.bought[known]) / SHAPE_HALF))
        shape = np.interp(GRID, missed[known], weights / weights[-1], left=0.0)
        for n in at:
            order = rows[n]
            kept[n] = np.interp((DAYS + 1 - when[order]) / usual[order], GRID, shape)
        medians[at] = usual[rows[at]] * np.interp(0.5, shape, GRID)
    return Chances(rows, kept), medians


def give(past: Past, found: Chances, zones: Ints, level: Callable[[int], float]) -> Given:
    """Promise each order, day after day, correcting by what has come due; return what was promised.

    Args:
        past: All orders.
        found: The chances of those to promise, in the order of purchase.
        zones: The zone of each of them.
        level: Returns the share of promises to keep, by day.
    """
    rows = found.rows
    days = past.day[rows]
    promised = np.zeros(len(rows), np.int64)
    said = np.full(len(rows), np.nan)
    doubt = np.full(len(rows), np.nan)  # the chance that it is broken, before correction
    end = np.full(len(rows), np.inf)
    size = int(zones.max()) + 1
    for day in np.unique(days):
        at = np.flatnonzero(days == day)
        due = np.flatnonzero((end < day) & (end > day - 6 * RISK_HALF))
        broken = _broken(past.delivered[rows[due]], end[due], day)
        risk = _risk(broken, doubt[due], end[due], day, zones[due], size)
        recent = np.flatnonzero((days <= day) & (days > day - RECENT))
        recent = recent[:: max(1, len(recent) // ENOUGH)]
        cost = cost_of(_corrected(found.kept[recent], risk[zones[recent]]), level(int(day)))
        kept = _corrected(found.kept[at], risk[zones[at]])
        pick = _cheapest(kept, cost)
        each = np.arange(len(at))
        promised[at] = DAYS[pick].astype(np.int64)
        said[at] = kept[each, pick]
        doubt[at] = 1 - found.kept[at][each, pick]
        end[at] = day + DAYS[pick] + 1
    return Given(promised, said)


def cost_of(kept: Floats, level: float) -> float:
    """Return the cost of a broken promise, in days, at which promises of least cost are kept at a level together."""
    low, high = COSTS
    for _ in range(10):
        cost = float((low * high) ** 0.5)
        if kept[np.arange(len(kept)), _cheapest(kept, cost)].mean() < level:
            low = cost
        else:
            high = cost
    return high


def _corrected(kept: Floats, risk: Floats) -> Floats:
    found: Floats = np.clip(1 - risk[:, None] * (1 - kept), 0.0, 1.0)
    return found


def _cheapest(kept: Floats, cost: float) -> Ints:
    price = DAYS[None, :] + cost * (1 - kept)
    allowed = kept >= np.minimum(LEAST_CHANCE, kept[:, -1:])
    found: Ints = np.where(allowed, price, np.inf).argmin(1)
    return found


def _broken(delivered: Floats, end: Floats, day: int) -> Floats:
    """Return how much of each due promise counts as broken: what is lost for good is no late delivery.

    Which of the overdue orders are lost is not known yet; of those before, that share never came.
    """
    overdue = delivered > end
    old = overdue & (end < day - RESOLVED)
    came = (old & (delivered < day)).sum() + LOST_LEAN[0]
    lost = (old & (delivered >= day)).sum() + LOST_LEAN[1]
    found: Floats = overdue * (came / (came + lost))
    return found


def _risk(broken: Floats, doubt: Floats, end: Floats, day: int, zones: Ints, size: int) -> Floats:
    """Return by zone how many promises were broken for each that was said to be, damped as the module says."""
    weights = 0.5 ** ((day - end) / RISK_HALF)
    whole = ((weights * broken).sum() + RISK_LEAN) / ((weights * doubt).sum() + RISK_LEAN)
    seen = np.bincount(zones, weights * broken, size) + RISK_LEAN * whole
    apart = seen / (np.bincount(zones, weights * doubt, size) + RISK_LEAN) / whole
    found: Floats = apart * whole**DAMPED
    return found
