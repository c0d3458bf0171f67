"""The cheapest plan of an order, or of a rule's preference, looked for no further than it needs. Pure.

`assign` fills the tables of the programme, and finds what every location would cost. `part_lines` finds the same plan
without that: most subsets of lines cost too much together, or apart, whoever has them, so they are not looked for
(`_Plans`); for others positions are looked at from the cheapest on until one serves, a few of a thousand.

What routing rules and terms close costs no copy of the stock: a mask over positions, worked out once for a lane, is one
more line that everybody has to serve. Preferred positions are `Tier`s: a parcel leaves from the first tier that can
serve it, because one more line from an earlier tier outweighs all money (`ruling.bounded`).
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from malha.routing.charging import MANY_ZONES, NOBODY, NOTHING_YET, SHORT, Barred, Best, Charges, beats
from malha.routing.lanes import Lane
from malha.routing.rows import SCALE_BITS, Row
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

if TYPE_CHECKING:  # what compiled code holds numbers in; it means nothing to the interpreter
    from mypy_extensions import i64

NEVER: Final = 1 << 200  # above any preference
MONEY: Final = 1 << 80  # above any cost of parcels
SPARSE: Final = 0.7  # of the positions without a unit: then those that have one are written down
FEW: Final = 40.0  # positions that serve lines together, by estimate: then they are written down
SAMPLE: Final = 64  # positions that are looked at for that
# Below so many positions that serve all lines, or with more lines that are charged, most subsets would be looked for
# sooner or later: then it costs less to look for all of them in order.
RARE: Final = 0.1
MOST_CHARGED: Final = 5

# By line: the price of stock by position, and of how many units.
Worth = list[tuple[dict[int, int], int]]

_numbers: list[Any] = []  # from 0 on


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

    __slots__ = ("_asked", "_charges", "_even", "_few", "_held", "_known", "_shares", "_single", "_worth")

    def __init__(
        self,
        tier: Tier,
        positions: int,
        asked: list[Asked],
        everywhere: Asked,
        worth: Worth | None,
        charges: Charges | None,
        *,
        even: bool,
    ) -> None:
        """Take what each of so many positions has to have of each line, and of masks whatever it serves."""
        self._asked = asked
        self._worth = worth
        self._charges = charges
        self._even = even
        subsets = 1 << len(asked)
        held = everywhere if tier.mask is None else [(tier.mask, 1), *everywhere]
        self._held: list[Asked] = [held] * subsets
        few = tier.few
        if few is not None:
            for mask, least in everywhere:
                few = _having(few, mask, least)
        # By subset: the positions that serve it, where they are few; None: look for them, or not known yet.
        self._few: list[list[int] | None] = [few] * subsets
        self._known = [True] + [False] * (subsets - 1)
        self._single: list[list[int] | None] = [None] * len(asked)
        stride = max(1, positions // SAMPLE)
        # By subset: how many positions serve it by a sample, as if lines were independent of each other.
        shares = [_share(held, stride) * positions]
        for lists in asked:
            share = _share(lists, stride)
            shares += [before * share for before in shares]
        self._shares = shares

    def expected(self, s: int) -> float:
        """Return how many positions serve a subset, by a sample."""
        return self._shares[s]

    def find(self, s: int, row: Row, bound: int) -> tuple[int, int]:
        """Return cost and position of the cheapest parcel with a subset of lines; it may be passed over beyond a bound.

        The position is -1 where it was passed over, the cost then one that none is below; `NEVER`: there is none.
        """
        serving = self._serving(s)
        if serving is not None and not serving:
            return NEVER, -1
        if self._charges is not None:
            best, where = self._charges.cheapest(s, serving, row, self._held[s], bound)
            if serving is not None and len(serving) <= SHORT:
                return best, where  # without a look at the bound
        else:
            extra = None if self._worth is None else [worth for j, worth in enumerate(self._worth) if s >> j & 1]
            if serving is not None:
                return _cheapest_of(serving, row, extra, even=self._even)
            best, where = _cheapest_down(row, self._held[s], bound, extra, even=self._even)
        if where >= 0 and best <= bound:
            return best, where
        if bound < MONEY:
            return bound + 1, -1
        self._few[s] = []  # nobody was passed over: nobody serves more lines either
        return NEVER, -1

    def _serving(self, s: int) -> list[int] | None:
        """Return the positions that serve a subset, in order, where they are few; None: look for them."""
        if self._known[s]:
            return self._few[s]
        self._known[s] = True
        low = s & -s
        rest = s ^ low
        before = self._serving(rest)
        lists = self._asked[low.bit_length() - 1]
        self._held[s] = lists + self._held[rest]
        if before is not None:
            for units, wanted in lists:
                before = _having(before, units, wanted)
            self._few[s] = before
        elif self._shares[s] <= FEW:
            self._few[s] = self._all_of(s)
        return self._few[s]

    def _all_of(self, s: int) -> list[int]:
        """Return the positions that serve a subset, in order: those of its scarcest line that have the others too."""
        scarce = -1
        for j in range(len(self._asked)):
            if s >> j & 1 and (scarce < 0 or self._shares[1 << j] < self._shares[1 << scarce]):
                scarce = j
        found = self._single[scarce]
        if found is None:
            units, wanted = self._asked[scarce][0]
            found = _all_having(units, wanted)
            for mask, least in self._asked[scarce][1:] + self._held[0]:
                found = _having(found, mask, least)
            self._single[scarce] = found
        missing = s ^ 1 << scarce
        for j in range(len(self._asked)):
            less = s ^ 1 << j
            known = self._few[less] if s >> j & 1 and less and self._known[less] else None
            if known is not None and len(known) < len(found):
                found = known
                missing = 1 << j
        for j, lists in enumerate(self._asked):
            if missing >> j & 1:
                for units, wanted in lists:
                    found = _having(found, units, wanted)
        return found


def _having(positions: list[Any], units: list[int], wanted: int) -> list[Any]:
    """Return the positions that have as many units.

    Compiled, a number that is taken out of a list is put into another as it is, not made anew.
    """
    least: i64 = wanted
    found = []
    for position in positions:
        at: i64 = position
        here: i64 = units[at]
        if here >= least:
            found.append(position)
    return found


def _all_having(units: list[int], wanted: int) -> list[Any]:
    """Return all positions that have as many units."""
    global _numbers  # noqa: PLW0603 - other threads plan too: they see one list or the other
    numbers = _numbers
    if len(numbers) < len(units):
        numbers = _numbers = list(range(len(units)))
    least: i64 = wanted
    found = []
    for n, u in enumerate(units):
        if u >= least:
            found.append(numbers[n])
    return found


def _share(lists: Asked, stride: int) -> float:
    """Return the share of positions that have anything of what is asked, by a sample."""
    share = 1.0
    for units, _ in lists:
        at = seen = none = 0
        while at < len(units):
            seen += 1
            if units[at] == 0:
                none += 1
            at += stride
        share *= 1.0 - none / seen
    return share


def _anybody(lists: Asked) -> bool:
    """Tell whether a position has all that is asked."""
    units, wanted = lists[0]
    others = lists[1:]
    for position, u in enumerate(units):
        if u >= wanted:
            for mask, least in others:
                if mask[position] < least:
                    break
            else:
                return True
    return False


class _Plans:
    """The cheapest plans of an order's subsets of lines, worked out as far as they may be part of the cheapest of all.

    A parcel is taken to cost the least that it can, wherever its lines are, until a plan with it would be the cheapest:
    only then it is looked for. Looking for all of them finds the same, ties included: what ties with the plan found was
    never taken to cost more, so it would have been chosen where it comes first.
    """

    __slots__ = ("_charges", "_rough", "_rows", "_searches", "_solved", "_splits", "at", "f", "first", "g", "known")

    def __init__(self, rows: list[Row], searches: list[tuple[int, _Search]], n: int, charges: Charges | None) -> None:
        self._rows = rows
        self._searches = searches
        self._splits = tables(n).splits
        self._charges = charges
        # What a parcel costs at least, wherever its lines are.
        beside = [0] * len(rows) if charges is None else charges.least()
        self.f = [row.least + more for row, more in zip(rows, beside, strict=True)]
        self.g = [0] * len(rows)
        self.at = [-1] * len(rows)  # where the cheapest parcel leaves from
        self.known = [True] + [False] * (len(rows) - 1)  # where `f` is what the cheapest parcel costs
        self.first = list(range(len(rows)))  # the part of the cheapest plan that holds its lowest line
        self._solved = [True] + [False] * (len(rows) - 1)  # where `g` is what the cheapest plan costs
        self._rough = [charges is not None] * len(rows)  # where `f` is without a look at zones

    def find(self, *, all_: bool) -> None:
        """Find the cheapest plan for all lines; `all_`: and for every subset of them."""
        f, g = self.f, self.g
        f[0] = 0
        n = len(self._rows).bit_length() - 1
        many = n > MOST_CHARGED and self._charges is not None
        if all_ or many or self._searches[-1][1].expected(len(f) - 1) < RARE:
            self._find_each()
            return
        for s, ways in self._splits:
            if not s & 1:  # what is left beside the part with the lowest line has none of it
                g[s] = min(f[s], _in_several(s, ways, f, g)[0])
        self.solve(len(f) - 1, NEVER)

    def _find_each(self) -> None:
        """Look for the parcels of all subsets, the smaller first; those that cost more than several are passed over."""
        f, g = self.f, self.g
        for s, ways in self._splits:
            bound, part = _in_several(s, ways, f, g)
            self._find(s, bound)
            if not self.known[s]:
                f[s] = NEVER
            g[s] = min(f[s], bound)
            if f[s] > bound:
                self.first[s] = part

    def solve(self, s: int, budget: int) -> None:
        """Find the cheapest plan for a subset; where it costs more than a budget, only that it does.

        The plan that costs least by what is known is looked into, until all of it is known. A parcel is preferred to
        several that cost as much, and of several the first.
        """
        if self._solved[s]:
            return
        f, g, known = self.f, self.g, self.known
        ways = self._splits[s - 1][1]
        while True:
            least, part = _in_several(s, ways, f, g)
            if f[s] <= least:
                least = f[s]
                part = s
            rest = s ^ part
            if least > budget:
                g[s] = least
                return
            if not known[part]:
                self._look(part, budget - g[rest])
                if rest == 0 and known[s]:
                    budget = min(budget, f[s])
            elif not self._solved[rest]:
                self.solve(rest, budget - f[part])
            else:
                g[s] = least
                self.first[s] = part
                self._solved[s] = True
                return

    def _look(self, s: int, bound: int) -> None:
        """Find what the cheapest parcel with a subset costs, or more of the least that it can."""
        if self._rough[s] and self._charges is not None:
            self._rough[s] = False
            least = self._charges.least_of(s, self._rows[s])
            if least > self.f[s]:
                self.f[s] = least
                return
        self._find(s, bound)

    def _find(self, s: int, bound: int) -> None:
        """Find what the cheapest parcel with a subset costs, or that it costs more than a bound."""
        row = self._rows[s]
        lines = s.bit_count()
        best, where = NEVER, -1
        for weight, search in self._searches:
            floor = weight * lines
            if floor > bound:
                best = bound + 1
                break
            best, where = search.find(s, row, bound - floor)
            best += floor
            if where >= 0 or best < NEVER:
                break
        self.f[s] = best
        self.at[s] = where
        self.known[s] = where >= 0 or best >= NEVER


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
    found = sites_of(lane, n, lambda position: keys[position] & whole, offers_of(rows, extras))
    placed = improve(found, f, at, g)
    g, first = combine(f, n)
    costs = forced(rows, keys, g, whole, n, extras)
    for position, (cost, _, _) in forced_at(found, g, whole).items():
        costs[position] = min(costs[position], cost >> SCALE_BITS)
    return spread(unroll(first, at, whole), placed), costs, rows


def offers_of(rows: list[Row], extras: Extras | None) -> Callable[[int, int], tuple[int, int]]:
    """Return what tells the scaled cost of a parcel by position and lines, from tables."""

    def offer(position: int, s: int) -> tuple[int, int]:
        cost = rows[s].cost(position)
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
    barred: Barred = NOBODY,
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
        barred: who may not serve, whatever it has.

    Returns:
        None where nobody can serve one of the lines in full.
    """
    everywhere: Asked = [] if barred.all is None else [(barred.all, 1)]
    lines: list[Asked] = []
    for n, (units, wanted) in enumerate(zip(have, asked, strict=True)):
        mask = barred.by_line.get(n)
        lists = [(units, wanted)] if mask is None else [(units, wanted), (mask, 1)]
        if not _anybody(lists + everywhere):
            return None  # before any row is asked for: a record has only those that were looked at
        lines.append(lists)
    n = len(grams)
    rows = rows_of(lane, grams, [1] * n)
    even = len(tiers) > 1
    searches = [
        (tier.weight, _Search(tier, len(lane.klass), lines, everywhere, worth, charges, even=even)) for tier in tiers
    ]
    together = bool(lane.sites) and n > 1
    plans = _Plans(rows, searches, n, charges)
    plans.find(all_=together)
    whole = len(rows) - 1
    f, at, g = plans.f, plans.at, plans.g
    if g[whole] >= NEVER:
        return None
    if together:
        return _grouped(lane, rows, lines, everywhere, worth, charges, tiers, f, at, g), rows
    return unroll(plans.first, at, whole), rows


def _grouped(  # noqa: PLR0917 - called once per order: keywords cost
    lane: Lane,
    rows: list[Row],
    lines: list[Asked],
    everywhere: Asked,
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
        if weight_of(position) is None or any(mask[position] < least for mask, least in everywhere):
            return 0
        return sum(1 << j for j, lists in enumerate(lines) if all(units[position] >= wanted for units, wanted in lists))

    def offer(position: int, s: int) -> tuple[int, int]:
        row = rows[s]
        if charges is not None:
            cost = charges.parcel(position, row, [one for j, item in enumerate(items) if s >> j & 1 for one in item])
        else:
            cost = row.cost(position)
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


def _cheapest_of(positions: list[int], row: Row, extra: Worth | None, *, even: bool) -> tuple[int, int]:
    """Return cost and position of the cheapest parcel from some positions, in order.

    Equals are as `Row.ranked` has them, the cheapest without `extra` first; `even`: the first position.
    """
    carriage, at, zone_at = row.carriage, row.beside.at, row.beside.zone_at
    best = alone = NEVER
    where = -1
    position: i64
    for position in positions:
        zone: i64 = zone_at[position]
        base = carriage[zone] + (at[position] << SCALE_BITS)
        if base > best:
            continue  # prices are never below zero
        cost = base if extra is None else base + _worth_at(position, extra)
        if cost < best or (cost == best and base < alone and not even):
            best = cost
            alone = base
            where = position
    return best, where


def _cheapest_down(row: Row, lines: Asked, bound: int, extra: Worth | None, *, even: bool) -> tuple[int, int]:
    """Return the same of all positions, unless it costs more than `bound`."""
    firsts, own = row.firsts, row.beside.own
    if len(firsts) > MANY_ZONES:
        best = _walk(row, row.ranked, lines, bound, extra, NOTHING_YET, even=even)
        return best[0], best[2]
    best = _walk(row, own[row.first], lines, bound, extra, NOTHING_YET, even=even)
    for zone, least in enumerate(firsts):
        if least <= bound and least <= best[0] and zone != row.first:
            best = _walk(row, own[zone], lines, bound, extra, best, even=even)
    return best[0], best[2]


def _walk(
    row: Row, positions: list[int], lines: Asked, bound: int, extra: Worth | None, before: Best, *, even: bool
) -> Best:
    """Return the cheapest of some positions, which come by cost, if it beats one before; as `Charges` does."""
    carriage, at, zone_at = row.carriage, row.beside.at, row.beside.zone_at
    best, alone, where = before
    highest = min(bound, best)
    position: i64
    for position in positions:
        zone: i64 = zone_at[position]
        base = carriage[zone] + (at[position] << SCALE_BITS)
        # A parcel that costs as much as several is preferred to them.
        if base > highest:
            break
        for units, wanted in lines:
            if units[position] < wanted:
                break
        else:
            cost = base if extra is None else base + _worth_at(position, extra)
            if cost <= best and beats(cost, base, position, best, alone, where, even=even):
                best, alone, where = cost, base, position
                highest = min(bound, best)
    return best, alone, where
