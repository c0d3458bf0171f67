"""The dynamic programme over subsets of lines, and the cost of every location from the same tables. Pure.

A *key* is a location's class shifted left with one bit for each line it can serve in full, so locations with equal keys
cost the same and are looked at once. Costs are scaled (`lanes.SCALE_BITS`).

Where stock has a price (`malha.routing.pricing`), a parcel costs that of its units besides, by location and line: its
`Extras`. Prices are never negative, so looking from the cheapest parcel on may end at the first that costs more without
them.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from malha.routing.lanes import Lane
from malha.routing.rows import SCALE_BITS, Row

NEVER: Final = 1 << 80
MANY_SUBSETS: Final = 16

# A subset of lines and the position it leaves from.
Part = tuple[int, int]
# Lines: the units each position has of one, and how many are wanted.
Asked = list[tuple[list[int], int]]
# By position, for every subset of lines, the scaled price of the units; positions where all are free of it are absent.
Extras = dict[int, list[int]]


def _splits(n: int) -> list[tuple[int, list[tuple[int, int]]]]:
    """Return every subset S of n lines with its ways to part it: (T with S's lowest line, rest), both not empty."""
    splits = []
    for s in range(1, 1 << n):
        low = s & -s
        rest = s ^ low
        ways = []
        t = rest
        while t:
            t = (t - 1) & rest
            ways.append((t | low, s ^ (t | low)))
        splits.append((s, ways))
    return splits


def _subsets(n: int) -> list[tuple[int, ...]]:
    """Return, for every set of n lines, its subsets that are not empty."""
    return [tuple(s for s in range(1, m + 1) if s & m == s) for m in range(1 << n)]


class _Tables:
    """What depends on the number of lines only."""

    __slots__ = ("splits", "subsets")

    def __init__(self, n: int) -> None:
        self.splits = _splits(n)
        self.subsets = _subsets(n)


_TABLES: dict[int, _Tables] = {}


def tables(n: int) -> _Tables:
    """Return the subsets of n lines and how they part."""
    found = _TABLES.get(n)
    if found is None:
        found = _TABLES[n] = _Tables(n)
    return found


def rows_of(lane: Lane, grams: list[int], lines: list[int]) -> list[Row]:
    """Return the costs of a parcel for every subset of items with these weights and numbers of lines.

    The empty subset has no costs: its place is taken by any other row, never to be looked at.
    """
    known = lane.rows
    weights = [0]
    counts = [0]
    rows = [known.row(grams[0], lines[0])]
    for g, k in zip(grams, lines, strict=True):
        for s in range(len(weights)):
            w = weights[s] + g
            c = counts[s] + k
            weights.append(w)
            counts.append(c)
            rows.append(known.row(w, c))
    return rows


def cheapest(rows: list[Row], keys: list[int]) -> tuple[list[int], list[int]]:
    """Return f: for every subset the cheapest parcel's cost and position; `NEVER` and -1 where there is none."""
    f = [0]
    at = [-1]
    n = len(rows).bit_length() - 1
    for s in range(1, len(rows)):
        row = rows[s]
        by_class = row.by_class
        for position in row.ranked:
            if keys[position] & s == s:
                f.append(by_class[keys[position] >> n])
                at.append(position)
                break
        else:
            f.append(NEVER)
            at.append(-1)
    return f, at


def extras_of(prices: Sequence[Mapping[int, int]]) -> dict[int, list[int]]:
    """Return the prices of subsets from those of the items: centavos of each, by position."""
    n = len(prices)
    found: dict[int, list[int]] = {}
    for k, by_position in enumerate(prices):
        for position, price in by_position.items():
            if price:
                found.setdefault(position, [0] * n)[k] = price << SCALE_BITS
    for position, by_item in found.items():
        sums = [0]
        for price in by_item:
            sums += [before + price for before in sums] if price else sums
        found[position] = sums
    return found


def cheapest_priced(
    rows: list[Row], keys: list[int], extras: Extras, lowest: list[int] | None = None
) -> tuple[list[int], list[int]]:
    """Return what `cheapest` does, with the extras in every parcel's cost. `lowest`: see `charging.Charges`."""
    f = [0]
    at = [-1]
    n = len(rows).bit_length() - 1
    for s in range(1, len(rows)):
        row = rows[s]
        by_class = row.by_class
        best = NEVER
        where = -1
        low = 0 if lowest is None else lowest[s]
        for position in row.ranked:
            key = keys[position]
            cost = by_class[key >> n]
            if cost + low >= best:
                break
            if key & s == s:
                if position in extras:
                    cost += extras[position][s]
                if cost >= best:
                    continue
                best = cost
                where = position
        f.append(best)
        at.append(where)
    return f, at


def combine(f: list[int], n: int) -> tuple[list[int], list[int]]:
    """Return g: for every subset the cheapest plan's cost, and the part of it that holds its lowest line."""
    g = list(f)
    first = list(range(len(f)))
    for s, ways in tables(n).splits:
        best = g[s]
        for t, rest in ways:
            cost = f[t] + g[rest]
            if cost < best:
                best = cost
                first[s] = t
        g[s] = best
    return g, first


def unroll(first: list[int], at: list[int], whole: int) -> list[Part]:
    """Return the parts of the cheapest plan for `whole`."""
    parts = []
    while whole:
        part = first[whole]
        parts.append((part, at[part]))
        whole ^= part
    return parts


def forced(
    rows: list[Row], keys: list[int], g: list[int], whole: int, n: int, extras: Extras | None = None
) -> list[int]:
    """Return, for every position, centavos of the cheapest plan for `whole` that uses it; -1 if none does."""
    costs = _forced_of(rows, keys, g, whole, n)
    for position, sums in (extras or {}).items():
        key = keys[position]
        mask = key & whole
        if mask:
            k = key >> n
            cost = min([rows[s].by_class[k] + sums[s] + g[whole ^ s] for s in tables(n).subsets[mask]])
            costs[position] = cost >> SCALE_BITS if cost < NEVER else -1
    return costs


def _forced_of(rows: list[Row], keys: list[int], g: list[int], whole: int, n: int) -> list[int]:
    whole_order: list[int] = []  # by class, of locations that can serve all: worked out for all classes at once
    pairs: dict[int, list[tuple[list[int], int]]] = {}
    costs: dict[int, int] = {}
    for key in set(keys):
        mask = key & whole
        if mask == whole:
            if not whole_order:
                columns = [
                    [cost + rest for cost in by_class] if rest else by_class
                    for by_class, rest in _options(rows, g, whole, whole, n)
                ]
                whole_order = list(map(min, *columns)) if len(columns) > 1 else columns[0]
            costs[key] = whole_order[key >> n] >> SCALE_BITS
        elif mask:
            options = pairs.get(mask)
            if options is None:
                options = pairs[mask] = _options(rows, g, whole, mask, n)
            k = key >> n
            cost = min([by_class[k] + rest for by_class, rest in options])
            costs[key] = cost >> SCALE_BITS if cost < NEVER else -1
        else:
            costs[key] = -1
    return [costs[key] for key in keys]


def _options(rows: list[Row], g: list[int], whole: int, mask: int, n: int) -> list[tuple[list[int], int]]:
    """Return what a location that can serve `mask` may send: costs by class, and the cheapest plan for the others."""
    subsets = tables(n).subsets[mask]
    if len(subsets) < MANY_SUBSETS:
        return [(rows[s].by_class, g[whole ^ s]) for s in subsets]
    # Many parcels cost the same, being in one bracket with as many lines: only the cheapest remainder counts.
    rests: dict[Row, int] = {}
    for s in subsets:
        row = rows[s]
        rest = g[whole ^ s]
        if rest < rests.get(row, NEVER):
            rests[row] = rest
    return [(row.by_class, rest) for row, rest in rests.items()]
