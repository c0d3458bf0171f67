"""How fast deliveries are at present: a life table of calendar days, orders on their way included.

Deliveries of the last days are the quick ones of young orders and the slow ones of old orders: their average says
little. As in demography the present is read from *hazards*: of the orders that were this old (relative to what was
expected of them) on a day, how many arrived that day. Orders still on their way count with the days they waited, so a
slowdown shows within days, before any late order has arrived.
"""

import numpy as np

from malha.promising.learning.past import Floats, Past

# Relative ages: 1 is what was expected.
EDGES: Floats = np.concatenate([np.arange(0, 2, 0.05), np.arange(2, 4, 0.1), np.arange(4, 8, 0.5), [8.0, 12.0]])
OLDEST = 90  # days: an older order is lost rather than late
STAYS = 0.8  # power of the present level that lasts while an order is on its way: slow weeks and quick ones pass
LOST = 4.0  # relative age after which those still on their way are taken for lost: curves are of what arrives


def level(past: Past, expected: Floats, half_life: float) -> Floats:
    """Return for each order the median relative time of orders delivered at present, as known when its day began."""
    found = np.full(len(past), np.nan)
    has = np.isfinite(expected)
    if not has.any():
        return found
    days = past.day
    first, last = int(days[has].min()), int(days[has].max())
    keep = 0.5 ** (1 / half_life)
    arrived = np.zeros(len(EDGES) - 1)
    waited = np.zeros(len(EDGES) - 1)
    width = np.diff(EDGES)
    for day in range(first, last + 1):
        if waited.sum() > 0:
            hazard = (arrived + 1e-9) / (waited + 1e-6)
            gone = 1 - np.exp(-np.concatenate([[0.0], np.cumsum(hazard * width)]))
            arriving = np.minimum(1, gone / np.interp(LOST, EDGES, gone))
            found[has & (days == day)] = np.interp(0.5, arriving, EDGES)
        else:
            found[has & (days == day)] = 1.0
        one, other = _lived(past, expected, has, day)
        arrived = arrived * keep + one
        waited = waited * keep + other
    return found


def _lived(past: Past, expected: Floats, has: np.ndarray, day: int) -> tuple[Floats, Floats]:
    """Return arrivals, and relative time waited, by relative age on one day."""
    rows = np.flatnonzero(has & (past.bought < day + 1) & (past.delivered > day) & (past.bought > day - OLDEST))
    bought, usual = past.bought[rows], expected[rows]
    low = (np.maximum(day, bought) - bought) / usual
    high = (np.minimum(day + 1, past.delivered[rows]) - bought) / usual
    overlap = np.minimum(high[:, None], EDGES[None, 1:]) - np.maximum(low[:, None], EDGES[None, :-1])
    ended = high[past.delivered[rows] < day + 1]
    return np.histogram(np.minimum(ended, EDGES[-1]), EDGES)[0].astype(np.float64), np.clip(overlap, 0, None).sum(0)
