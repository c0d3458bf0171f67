"""What was known when an order was bought, as numbers a model can learn from.

Everything about other orders is taken as it stood when the day of the purchase began: an outcome counts from the day
after it happened. Averages are of logarithms, weighted by age, and lean on the wider group where outcomes are few.
"""

from collections.abc import Iterable

import numpy as np

from malha.promising.learning.past import PARENTS, Floats, Ints, Past

# (what, group, half-life in days, how many outcomes the wider group is worth). What: the whole time, the time until
# handed over, the time on the road.
AVERAGES: tuple[tuple[str, str, float, float], ...] = (
    ("whole", "all", 7, 1), ("whole", "all", 21, 1), ("whole", "to_state", 14, 5), ("whole", "to_state", 60, 10),
    ("whole", "lane", 14, 8), ("whole", "lane", 60, 10), ("whole", "lane", 240, 10), ("whole", "to_area", 60, 10),
    ("whole", "to_area", 240, 10), ("whole", "lane_area", 90, 10), ("whole", "to_place", 400, 5),
    ("whole", "seller", 30, 3), ("whole", "seller", 180, 5), ("whole", "from_state", 14, 8),
    ("whole", "category", 120, 10), ("whole", "product", 240, 5),
    ("hand", "all", 7, 1), ("hand", "seller", 14, 2), ("hand", "seller", 60, 3), ("hand", "seller", 240, 3),
    ("hand", "from_area", 60, 6), ("hand", "from_state", 14, 5), ("hand", "category", 120, 10),
    ("hand", "product", 240, 4),
    ("road", "all", 7, 1), ("road", "all", 21, 1), ("road", "to_state", 14, 5), ("road", "lane", 21, 8),
    ("road", "lane", 120, 10), ("road", "to_area", 90, 10), ("road", "lane_area", 120, 10), ("road", "seller", 90, 5),
)  # fmt: skip
# How busy things are and how late what is under way is: these move fast, and one of the two models does without.
PRESENT = ("overdue", "overdue_there", "busy", "busy_seller", "waiting", "waiting_age")
LEAST = 50  # orders before the first day that gets features


def build(past: Past) -> tuple[list[str], Floats]:
    """Return the names of the features and their values, a row for each order; what is not known is NaN."""
    averages = [f"{what}_{group}_{half:g}" for what, group, half, _ in AVERAGES]
    names = [*past.facts, *averages, *PRESENT, "outcomes_seller", "outcomes_lane"]
    table = np.full((len(past), len(names)), np.nan)
    for n, values in enumerate(past.facts.values()):
        table[:, n] = values
    at = {name: n for n, name in enumerate(names)}
    logs = _logs(past)
    parents = {group: _codes_of_parents(past, group, parent) for group, parent in PARENTS.items() if parent}
    days = past.day
    for day in np.unique(days):
        rows = np.flatnonzero(days == day)
        earlier = np.flatnonzero(past.bought < day)
        known = earlier[past.delivered[earlier] < day]
        if len(earlier) < LEAST or len(known) < LEAST // 2:
            continue
        handed = earlier[past.handed[earlier] < day]
        seen = {"whole": (known, past.delivered), "hand": (handed, past.handed), "road": (known, past.delivered)}
        cache: dict[tuple[str, str, float], Floats] = {}
        for name, (what, group, half, lean) in zip(averages, AVERAGES, strict=True):
            means = _means(past, parents, day, seen, logs, (what, group, half), lean, cache)
            table[rows, at[name]] = means[past.keys[group][rows]]
        for name, present in _present(past, day, rows, earlier):
            table[rows, at[name]] = present
        for name, group in (("outcomes_seller", "seller"), ("outcomes_lane", "lane")):
            codes = past.keys[group]
            table[rows, at[name]] = np.bincount(codes[known], minlength=codes.max() + 1)[codes[rows]]
    return names, table


def _logs(past: Past) -> dict[str, Floats]:
    there = np.isfinite(past.delivered)
    left = np.isfinite(past.handed)
    with np.errstate(invalid="ignore"):
        road = np.where(there & left, past.delivered - past.handed, 0)
        return {
            "whole": np.log1p(np.where(there, past.taken, 0)),
            "hand": np.log1p(np.clip(np.where(left, past.handed - past.bought, 0), 0, None)),
            "road": np.log1p(np.clip(road, 0, None)),
        }


def _codes_of_parents(past: Past, group: str, parent: str) -> Ints:
    codes = past.keys[group]
    found = np.zeros(codes.max() + 1, np.int64)
    found[codes] = past.keys[parent]
    return found


def _means(
    past: Past,
    parents: dict[str, Ints],
    day: int,
    seen: dict[str, tuple[Ints, Floats]],
    logs: dict[str, Floats],
    which: tuple[str, str, float],
    lean: float,
    cache: dict[tuple[str, str, float], Floats],
) -> Floats:
    found = cache.get(which)
    if found is not None:
        return found
    what, group, half = which
    rows, when = seen[what]
    weights = 0.5 ** ((day - when[rows]) / half)
    codes = past.keys[group]
    size = int(codes.max()) + 1
    counted = np.bincount(codes[rows], weights, size)
    total = np.bincount(codes[rows], weights * logs[what][rows], size)
    parent = PARENTS[group]
    if parent is None:
        found = total / np.maximum(counted, 1e-9)
    else:
        wider = _means(past, parents, day, seen, logs, (what, parent, max(half, 30.0)), lean, cache)
        found = (total + lean * wider[parents[group]]) / (counted + lean)
    cache[which] = found
    return found


def _present(past: Past, day: int, rows: Ints, earlier: Ints) -> Iterable[tuple[str, Floats | float]]:
    bought = past.bought
    old = earlier[(bought[earlier] > day - 35) & (bought[earlier] < day - 10)]
    if len(old):
        coming = past.delivered[old] >= day
        yield "overdue", float(coming.mean())
        there = past.keys["to_state"]
        size = int(there.max()) + 1
        late = np.bincount(there[old], coming, size) + 5 * coming.mean()
        yield "overdue_there", (late / (np.bincount(there[old], minlength=size) + 5))[there[rows]]
    week = earlier[bought[earlier] > day - 7]
    weeks = earlier[bought[earlier] > day - 56]
    yield "busy", (len(week) + 1) / (len(weeks) / 8 + 1)
    seller = past.keys["seller"]
    size = int(seller.max()) + 1
    lately = np.bincount(seller[week], minlength=size) + 0.5
    yield "busy_seller", (lately / (np.bincount(seller[weeks], minlength=size) / 8 + 0.5))[seller[rows]]
    waiting = earlier[(past.handed[earlier] >= day) & (bought[earlier] > day - 30)]
    count = np.bincount(seller[waiting], minlength=size)
    yield "waiting", count[seller[rows]].astype(np.float64)
    ages = np.bincount(seller[waiting], day - bought[waiting], size)
    yield "waiting_age", (ages / np.maximum(1, count))[seller[rows]]
