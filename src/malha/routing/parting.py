"""The cheapest plan of an order, or of a rule's preference, looked for no further than it needs. Pure.

`assign` fills the tables of the programme, and finds what every location would cost. `part_lines` finds the same plan
without that: a parcel that costs more than its lines in several can be part of no cheapest plan, so positions are
looked at from the cheapest on until one serves or they cost more than that, a few of a thousand.

What a routing rule closes costs no copy of the stock: a mask over positions, worked out once for a lane, is one more
line that everybody has to serve. Preferred positions are `Tier`s: a parcel leaves from the first tier that can serve
it, because one more line from an earlier tier outweighs all money (`ruling.bounded`).
"""

from collections.abc import Callable, Sequence
from typing import Final

from malha.routing.charging import Charges
from malha.routing.lanes import SCALE_BITS, Lane, Row
from malha.routing.siting import forced_at, improve, sites_of, spread
from malha.routing.subsets import (
    Asked,
    Extras,
    Part,
    cheapest,
    cheapest_priced,
    combine,
    forced,
    rows_of,
    tables,
    unroll,
)

NEVER: Final = 1 << 200  # above any preference
MONEY: Final = 1 << 80  # above any cost of parcels
SPARSE: Final = 0.7  # of the positions without a unit: then those that have one are written down
SAMPLE: Final = 64  # positions that are looked at for that

# By line: the price of stock by position, and of how many units.
Worth = list[tuple[dict[int, int], int]]


class Tier:
    """Positions that are looked at together: those of a mask, all without one."""

    __slots__ = ("few", "mask", "weight")

    def __init__(self, mask: list[int] | None, weight: int = 0) -> None:
        self.mask = mask  # 1 where it may serve
        self.weight = weight  # what a line from here adds to a plan's cost, above any money
        scarce = mask is not None and mask.count(0) >= SPARSE * len(mask)
        self.few = [position for position, may in enumerate(mask or []) if may] if scarce else None


EVERYWHERE = (Tier(None),)


class _Search:
    """The cheapest parcels of one order from one tier."""

    __slots__ = ("_charges", "_even", "_few", "_have", "_held", "_klass", "_known", "_stride", "_worth")

    def __init__(
        self,
        tier: Tier,
        klass: list[int],
        have: Asked,
        worth: Worth | None,
        charges: Charges | None,
        *,
        even: bool,
    ) -> None:
        self._klass = klass
        self._have = have
        self._worth = worth
        self._charges = charges
        self._even = even
        self._stride = max(1, len(klass) // SAMPLE)
        subsets = 1 << len(have)
        self._held: list[Asked] = [[] if tier.mask is None else [(tier.mask, 1)]] * subsets
        # By subset: the positions that serve it, where they are few; None: look for them, or not known yet.
        self._few: list[list[int] | None] = [tier.few] * subsets
        self._known = [True] + [False] * (subsets - 1)

    def find(self, s: int, row: Row, bound: int) -> tuple[int, int]:
        """Return cost and position of the cheapest parcel with a subset of lines; it may be passed over beyond a bound.

        `NEVER` and -1: there is none.
        """
        serving = self._serving(s)
        if self._charges is not None:
            found = self._charges.cheapest(s, serving, row, self._held[s], bound)
        else:
            extra = None if self._worth is None else [worth for j, worth in enumerate(self._worth) if s >> j & 1]
            if serving is not None:
                return _cheapest_of(serving, row.by_class, self._klass, extra, even=self._even)
            found = _cheapest_down(row, self._klass, self._held[s], bound, extra, even=self._even)
        if found[1] < 0 and bound >= MONEY:
            self._few[s] = []  # nobody was passed over: nobody serves more lines either
        return found

    def _serving(self, s: int) -> list[int] | None:
        """Return the positions that serve a subset, in order, where they are few; None: look for them."""
        if self._known[s]:
            return self._few[s]
        low = s & -s
        rest = s ^ low
        serving = self._serving(rest)
        units, wanted = self._have[low.bit_length() - 1]
        before = self._held[rest]
        self._held[s] = [(units, wanted), *before]
        if serving is not None:
            serving = [position for position in serving if units[position] >= wanted]
        elif not rest:
            sample = units[:: self._stride]
            if sample.count(0) >= SPARSE * len(sample):
                serving = [position for position, u in enumerate(units) if u >= wanted]
                for mask, least in before:
                    serving = [position for position in serving if mask[position] >= least]
        elif (one := self._serving(low)) is not None:
            serving = one
            for others, least in before:
                serving = [position for position in serving if others[position] >= least]
        self._few[s] = serving
        self._known[s] = True
        return serving


def assign(
    lane: Lane,
    grams: list[int],
    lines: list[int],
    keys: list[int],
    extras: Extras | None = None,
    charges: Charges | None = None,
) -> tuple[list[Part], list[int], list[Row]]:
    """Return the cheapest plan for all lines: its parts, every position's forced cost, and the rows looked at.

    Every line must have a position that can serve it.
    """
    n = len(grams)
    rows = rows_of(lane, grams, lines)
    lowest = None
    if charges is not None:
        extras = charges.extras(rows, charges.whole())
        lowest = charges.lowest(extras)
    f, at = cheapest_priced(rows, keys, extras, lowest) if extras else cheapest(rows, keys)
    g, first = combine(f, n)
    whole = len(f) - 1
    if not lane.sites or n == 1:
        return unroll(first, at, whole), forced(rows, keys, g, whole, n, extras), rows
    found = sites_of(lane, n, lambda position: keys[position] & whole, offers_of(lane, rows, extras))
    placed = improve(found, f, at, g)
    g, first = combine(f, n)
    costs = forced(rows, keys, g, whole, n, extras)
    for position, (cost, _, _) in forced_at(found, g, whole).items():
        costs[position] = min(costs[position], cost >> SCALE_BITS)
    return spread(unroll(first, at, whole), placed), costs, rows


def offers_of(lane: Lane, rows: list[Row], extras: Extras | None) -> Callable[[int, int], tuple[int, int]]:
    """Return what tells the scaled cost of a parcel by position and lines, from tables."""
    klass = lane.klass

    def offer(position: int, s: int) -> tuple[int, int]:
        cost = rows[s].by_class[klass[position]]
        return 0, cost + extras[position][s] if extras and position in extras else cost

    return offer


def part_lines(
    lane: Lane,
    grams: list[int],
    have: list[list[int]],
    asked: list[int],
    worth: Worth | None = None,
    charges: Charges | None = None,
    tiers: Sequence[Tier] = EVERYWHERE,
) -> tuple[list[Part], list[Row]] | None:
    """Return the parts of the cheapest plan, and the rows, without any position's forced cost.

    Args:
        lane: where orders of the kind go.
        grams: by line.
        have: by line, the units of each position.
        asked: by line.
        worth: by line, the price of stock by position, and of how many units; None: nothing.
        charges: what parcels cost by terms and the price of stock, `worth` being None; None: there are no terms.
        tiers: where from, the preferred first, each with the positions of all before it or others.

    Returns:
        None where nobody can serve one of the lines in full.
    """
    for units, wanted in zip(have, asked, strict=True):
        if not any(u >= wanted for u in units):
            return None  # before any row is asked for: a record has only those that were looked at
    n = len(grams)
    rows = rows_of(lane, grams, [1] * n)
    lines = list(zip(have, asked, strict=True))
    even = len(tiers) > 1
    searches = [(tier.weight, _Search(tier, lane.klass, lines, worth, charges, even=even)) for tier in tiers]
    f, at, g, first = [0], [-1], [0], [0]
    for s, ways in tables(n).splits:
        bound, part = _in_several(s, ways, f, g)
        best, where = NEVER, -1
        for weight, search in searches:
            floor = weight * s.bit_count()
            if floor > bound:
                break
            best, where = search.find(s, rows[s], bound - floor)
            if where >= 0:
                best += floor
                break
        if where < 0:
            if not ways:
                return None
            best = NEVER
        f.append(best)
        at.append(where)
        g.append(min(best, bound))
        first.append(s if best <= bound else part)
    if lane.sites and n > 1:
        return _grouped(lane, rows, lines, worth, charges, tiers, f, at, g), rows
    return unroll(first, at, len(g) - 1), rows


def _grouped(  # noqa: PLR0917 - called once per order: keywords cost
    lane: Lane,
    rows: list[Row],
    lines: Asked,
    worth: Worth | None,
    charges: Charges | None,
    tiers: Sequence[Tier],
    f: list[int],
    at: list[int],
    g: list[int],
) -> list[Part]:
    """Return the parts of the cheapest plan where parcels from one site cost less together."""
    items = [] if charges is None else charges.whole()

    def weight_of(position: int) -> int | None:
        return next((tier.weight for tier in tiers if tier.mask is None or tier.mask[position]), None)

    def serves(position: int) -> int:
        if weight_of(position) is None:
            return 0
        return sum(1 << j for j, (units, wanted) in enumerate(lines) if units[position] >= wanted)

    def offer(position: int, s: int) -> tuple[int, int]:
        row = rows[s]
        if charges is not None:
            cost = charges.parcel(position, row, [one for j, item in enumerate(items) if s >> j & 1 for one in item])
        else:
            cost = row.by_class[lane.klass[position]]
            if worth is not None:
                cost += _worth_at(position, [one for j, one in enumerate(worth) if s >> j & 1])
        return 0, cost + (weight_of(position) or 0) * s.bit_count()

    n = len(lines)
    placed = improve(sites_of(lane, n, serves, offer, max(g)), f, at, g)
    _, first = combine(f, n)
    return spread(unroll(first, at, len(f) - 1), placed)


def _in_several(s: int, ways: list[tuple[int, int]], f: list[int], g: list[int]) -> tuple[int, int]:
    """Return the least that a subset costs in several parcels, and the part that holds its lowest line."""
    bound = NEVER
    part = s
    for t, rest in ways:
        cost = f[t] + g[rest]
        if cost < bound:
            bound = cost
            part = t
    return bound, part


def _worth_at(position: int, extra: Worth) -> int:
    """Return the scaled price of stock of some lines at a position."""
    worth = 0
    for prices, times in extra:
        worth += prices.get(position, 0) * times
    return worth << SCALE_BITS


def _cheapest_of(
    positions: list[int], by_class: list[int], klass: list[int], extra: Worth | None, *, even: bool
) -> tuple[int, int]:
    """Return cost and position of the cheapest parcel from some positions, in order.

    Equals are as `Row.ranked` has them, the cheapest without `extra` first; `even`: the first position.
    """
    best = alone = NEVER
    where = -1
    for position in positions:
        base = by_class[klass[position]]
        cost = base if extra is None else base + _worth_at(position, extra)
        if cost < best or (cost == best and base < alone and not even):
            best = cost
            alone = base
            where = position
    return best, where


def _cheapest_down(
    row: Row, klass: list[int], lines: Asked, bound: int, extra: Worth | None, *, even: bool
) -> tuple[int, int]:
    """Return the same of all positions, unless it costs more than `bound`."""
    by_class = row.by_class
    best = NEVER
    where = -1
    for position in row.ranked:
        cost = by_class[klass[position]]
        # A parcel that costs as much as several is preferred to them.
        if cost > bound or cost > best or (cost == best and not even):
            break
        for units, wanted in lines:
            if units[position] < wanted:
                break
        else:
            if extra is None:
                return cost, position
            cost += _worth_at(position, extra)
            if cost < best or (even and cost == best and position < where):
                best = cost
                where = position
    return best, where
