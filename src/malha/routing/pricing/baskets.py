"""The exact cheapest plan of many baskets at once: the programme of `routing.subsets` on arrays. Pure.

A *basket* is what one order (or many alike) wants: lines, each some units of a SKU, in a place that fixes what a parcel
costs from every location. Baskets with the same number of lines are planned together, subset by subset over all of
them.
The last column of every cost stands for "not shipped": it takes any line, at the price of losing it.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

BIG = 1e15  # costs more than any plan: cannot be

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]


class Baskets(NamedTuple):
    """Baskets of n lines. `parcels` is (2^n, baskets, locations + 1): what a parcel of a subset of lines costs.

    No subset may cost more than its parts from the same place: where tariffs can, take `apart_if_cheaper`.
    """

    parcels: Floats
    skus: Ints  # (baskets, n): columns of the stock
    units: Ints  # (baskets, n)

    @property
    def lines(self) -> int:
        """Return how many lines each of them has."""
        return int(self.skus.shape[1])

    def __len__(self) -> int:
        return int(self.skus.shape[0])


class Plans(NamedTuple):
    """The cheapest plan of every basket: its cost with prices, and the location of each line."""

    costs: Floats  # (baskets,)
    at: Ints  # (baskets, n)


def separable(fixed: Floats, lines: Floats, skus: Ints, units: Ints) -> Baskets:
    """Return baskets whose parcels cost something fixed and something for each line.

    Args:
        fixed: (baskets, locations + 1).
        lines: (n, baskets, locations + 1); `BIG` where a location cannot serve a line.
        skus: (baskets, n).
        units: (baskets, n).
    """
    n = len(lines)
    parcels = np.zeros((1 << n, *fixed.shape))
    for s in range(1, 1 << n):
        low = s & -s
        before = fixed if s == low else parcels[s ^ low]
        np.add(before, lines[low.bit_length() - 1], out=parcels[s])
    return Baskets(parcels, skus, units)


def apart_if_cheaper(baskets: Baskets) -> Baskets:
    """Return the baskets with lines of one place in several parcels where these cost less than one."""
    parcels = baskets.parcels.copy()
    for s, parts, rests in _ways(baskets.lines):
        for part, rest in zip(parts.tolist(), rests.tolist(), strict=True):
            if rest:
                np.minimum(parcels[s], parcels[part] + parcels[rest], out=parcels[s])
    return Baskets(parcels, baskets.skus, baskets.units)


_WAYS: dict[int, list[tuple[int, NDArray[np.intp], NDArray[np.intp]]]] = {}


def _ways(n: int) -> list[tuple[int, NDArray[np.intp], NDArray[np.intp]]]:
    """Return every subset S of n lines with its parts T that hold S's lowest line, and what each leaves."""
    if n not in _WAYS:
        found = []
        for s in range(1, 1 << n):
            low = s & -s
            rest = t = s ^ low
            parts = [s]
            while t:
                t = (t - 1) & rest
                parts.append(t | low)
            part = np.array(parts, dtype=np.intp)
            found.append((s, part, s ^ part))
        _WAYS[n] = found
    return _WAYS[n]


def cheapest_plans(baskets: Baskets, prices: Floats, closed: Flags) -> Plans:
    """Return the cheapest plan of every basket, with prices of stock in the costs.

    Args:
        baskets: at least one.
        prices: (locations + 1, SKUs), of one unit; the last row is 0.
        closed: (locations + 1, SKUs): where a line cannot come from, having no stock; the last row is all false.
    """
    n = baskets.lines
    m = len(baskets)
    worth: Floats = np.where(closed, BIG, prices)
    extra: list[Floats] = [worth[:, baskets.skus[:, k]].T * baskets.units[:, k, None] for k in range(n)]
    best = np.zeros((1 << n, m))
    where = np.zeros((1 << n, m), dtype=np.int64)
    sums: dict[int, Floats] = {}
    rows = np.arange(m)
    for s in range(1, 1 << n):
        low = s & -s
        one = extra[low.bit_length() - 1]
        total = one if s == low else sums[s ^ low] + one
        sums[s] = total
        cost = baskets.parcels[s] + total
        at = cost.argmin(axis=1)
        where[s] = at
        best[s] = cost[rows, at]
    if n == 1:
        return Plans(best[1], where[1][:, None])
    whole = (1 << n) - 1
    costs = best.copy()
    first = np.empty((1 << n, m), dtype=np.int64)
    for s, parts, rests in _ways(n):
        ways = best[parts] + costs[rests]
        chosen = ways.argmin(axis=0)
        costs[s] = ways[chosen, rows]
        first[s] = parts[chosen]
    found = np.empty((m, n), dtype=np.int64)
    left = np.full(m, whole)
    for _ in range(n):
        part = np.where(left > 0, first[left, rows], 0)
        at = where[part, rows]
        for k in range(n):
            held = part >> k & 1 == 1
            found[held, k] = at[held]
        left ^= part
        if not left.any():
            break
    return Plans(costs[whole], found)


def costs_of(baskets: Baskets, which: Ints, at: Ints) -> Floats:
    """Return what plans cost without prices: for each of some baskets, the location of each line."""
    total = np.zeros(len(which))
    for k in range(baskets.lines):
        # The parcel that line k opens: all lines at its location, unless an earlier one is there too.
        together = at == at[:, k, None]
        opens = ~together[:, :k].any(axis=1)
        subset = (together << np.arange(baskets.lines)).sum(axis=1)
        total += np.where(opens, baskets.parcels[subset, which, at[:, k]], 0.0)
    return total


def stack(groups: Sequence[Baskets]) -> dict[int, Baskets]:
    """Return groups of baskets with the same number of lines as one each."""
    by_lines: dict[int, list[Baskets]] = {}
    for group in groups:
        by_lines.setdefault(group.lines, []).append(group)
    return {
        n: Baskets(
            np.concatenate([g.parcels for g in found], axis=1),
            np.concatenate([g.skus for g in found]),
            np.concatenate([g.units for g in found]),
        )
        for n, found in by_lines.items()
    }
