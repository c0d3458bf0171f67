"""What terms say of one order, and what its parcels cost by them. Pure.

`order_terms` takes from a network's terms what can matter for an order; `bar` takes locations out; `Charges` adds the
rest to the dynamic programme: what a parcel costs beyond its rates, by location and lines. Two of its ways give the
same answers: `extras` for every position and subset, which the exact cost of each location needs, and `cheapest`, which
looks for one parcel only, zone by zone, as far as a cheaper one can still come.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import Final

from malha.network.places import locate
from malha.network.tariff import distance_km
from malha.routing.lanes import SCALE_BITS, Lane, Row
from malha.routing.model import Network, Request, RequestLine
from malha.routing.subsets import Asked, Extras
from malha.routing.terms import MAX_KEPT, Amounts, Goods, OrderTerms, Run, Taxes, runs, unfold

Prices = Mapping[int, dict[int, int]]  # SKU -> position -> centavos a unit
Content = Sequence[tuple[int, int]]  # (place of the line in the request, quantity)
NEVER: Final = 1 << 80
NO_CHARGE: dict[int, int] = {}
NONE: frozenset[int] = frozenset()


def order_terms(
    request: Request, network: Network, lane: Lane, stock: Mapping[int, Sequence[int]], taken: Sequence[int] | None
) -> OrderTerms | None:
    """Return what the network's terms say of an order; None: nothing."""
    terms = network.terms
    goods = request.goods or {}
    ships = request.method == "ship"
    found = OrderTerms(
        taxes=_taxes(terms.taxes, request.lines, goods, lane, request.to_state or "") if terms.taxes and ships else (),
        busy=_busy(terms.busy, lane, taken) if terms.busy and taken is not None and lane.capped and ships else (),
        credits=_credits(terms.credits, lane, network, stock) if terms.credits else (),
        unserved=_unserved(terms.unserved, request.lines, goods, lane, network) if terms.unserved else (),
        far=_far(request, lane, network) if terms.asks_cep and ships and request.to_cep else (),
    )
    return None if found == OrderTerms() else found


def _taxes(
    taxes: Taxes, lines: Sequence[RequestLine], goods: Mapping[int, Goods], lane: Lane, target: str
) -> list[tuple[int, list[int]]]:
    found = []
    for line in lines:
        what = goods.get(line.line)
        if what is None:
            continue
        key = "tax", what.ncm
        rates = lane.kept.get(key)
        if rates is None:
            rates = lane.kept[key] = [
                (0, 0) if rate is None else (rate.basis_points, rate.centavos)
                for rate in (taxes.rate(origin, target, what.ncm) for origin in lane.states)
            ]
        value = what.value
        by_zone = [(points * value + 5_000) // 10_000 + fixed for points, fixed in rates]
        if any(by_zone):
            found.append((line.line, by_zone))
    return found


def price_of(steps: Sequence[tuple[int, int]], taken: int, capacity: int) -> int:
    """Return what a parcel costs at a location with so much of its capacity taken."""
    price = 0
    for percent, centavos in steps:
        if taken * 100 < percent * capacity:
            break
        price = centavos
    return price


def _busy(steps: Sequence[tuple[int, int]], lane: Lane, taken: Sequence[int]) -> Sequence[tuple[int, int]]:
    # The day's counts are read twice a second: orders in between find what was worked out for the first of them.
    kept = lane.kept.get("busy")
    if kept is None or kept[0] != taken:
        prices = [(position, price_of(steps, taken[lane.open[position]], cap)) for position, cap in lane.capped]
        kept = lane.kept["busy"] = list(taken), [(position, price) for position, price in prices if price]
    priced: Sequence[tuple[int, int]] = kept[1]
    return priced


def _credits(
    credits_: Mapping[int, Mapping[int, int]], lane: Lane, network: Network, stock: Mapping[int, Sequence[int]]
) -> list[tuple[int, list[tuple[int, int]]]]:
    found = []
    for sku, units in stock.items():
        if sku not in credits_:
            continue
        key = "credit", sku
        known = lane.kept.get(key)
        if known is None:
            positions = ((lane.position.get(network.index.get(id_, -1)), c) for id_, c in credits_[sku].items())
            known = lane.kept[key] = sorted((p, c) for p, c in positions if p is not None and c)
        here = [(p, c) for p, c in known if units[p]]
        if here:
            found.append((sku, here))
    return found


def _unserved(
    unserved: Mapping[str, frozenset[int]],
    lines: Sequence[RequestLine],
    goods: Mapping[int, Goods],
    lane: Lane,
    network: Network,
) -> list[tuple[int, tuple[Run, ...]]]:
    found = []
    for line in lines:
        what = goods.get(line.line)
        named = () if what is None else tuple(trait for trait in what.traits if trait in unserved)
        if not named:
            continue
        key = "unserved", named
        runs_ = lane.kept.get(key)
        if runs_ is None:
            ids = frozenset().union(*(unserved[trait] for trait in named))
            runs_ = lane.kept[key] = _as_runs(
                p for p, index in enumerate(lane.open) if network.location_ids[index] in ids
            )
        if runs_:
            found.append((line.line, runs_))
    return found


def _far(request: Request, lane: Lane, network: Network) -> tuple[Run, ...]:
    target = locate(request.to_cep or "")
    if target is None:
        return ()
    key = "far", target.ibge
    found: tuple[Run, ...] | None = lane.kept.get(key)
    if found is None:
        if len(lane.kept) > MAX_KEPT:
            lane.kept.clear()
        terms, hub = network.terms, request.merge_location_id
        widest = terms.reaches.get(request.channel_id)
        too_far = []
        for position, index in enumerate(lane.open):
            # Where goods come together first, it counts how far that place may ship.
            id_ = network.location_ids[index] if hub is None else hub
            limits = [km for km in (widest, terms.reach.get(id_)) if km is not None]
            spot = terms.spots.get(id_)
            if limits and spot is not None and distance_km(*spot, target.latitude, target.longitude) > min(limits):
                too_far.append(position)
        found = lane.kept[key] = _as_runs(too_far)
    return found


def _as_runs(positions: Iterable[int]) -> tuple[Run, ...]:
    return tuple(runs(positions))


# --- what they keep locations from ---


@lru_cache(maxsize=MAX_KEPT)
def _places(barred: tuple[Run, ...]) -> list[int]:
    return unfold(barred)


def bar(have: list[list[int]], lines: Sequence[RequestLine], terms: OrderTerms) -> list[list[int]]:
    """Return what positions have of each line, with nothing where they may not serve it."""
    unserved = dict(terms.unserved)
    far = _places(terms.far)
    left: list[list[int]] = []
    for line, units in zip(lines, have, strict=True):
        here = unserved.get(line.line, ())
        if far or here:
            column = units.copy()
            for position in far:
                column[position] = 0
            for position in _places(here):
                column[position] = 0
            left.append(column)
        else:
            left.append(units)
    return left


# --- what they cost ---


def by_unit(line: RequestLine, prices: Prices) -> dict[int, int]:
    """Return centavos of one unit of a line by position, from those of its SKUs."""
    if line.components is None:
        return prices.get(line.sku_id, NO_CHARGE)
    found: dict[int, int] = {}
    for sku, per in line.components:
        for position, price in prices.get(sku, NO_CHARGE).items():
            found[position] = found.get(position, 0) + price * per
    return found


class Charges:
    """What parcels of one order cost beside the rates of their lane, scaled as its rows are.

    A parcel of some lines costs, beside its row: tax by the zone it leaves from, the price of its location's capacity,
    less the credit for its aged units, which is at most all that; and the price of its stock.
    """

    __slots__ = ("_by_subset", "_even", "_lane", "_lines", "credit", "prices", "tax", "tolls")

    def __init__(
        self,
        lane: Lane,
        lines: Sequence[RequestLine],
        prices: Prices | None,
        terms: OrderTerms | None,
        *,
        even: bool = False,
    ) -> None:
        """Take an order's prices of stock and terms; each line has its place in `lines`.

        `even`: of parcels that cost the same the first position counts, whatever it cost before charges.
        """
        self._even = even
        self._lane = lane
        self._lines = lines
        self.prices: list[dict[int, int]] = [by_unit(line, prices or {}) for line in lines]
        known = terms or OrderTerms()
        taxes: dict[int, list[int]] = {line: list(by_zone) for line, by_zone in known.taxes}
        self.tax: list[list[int] | None] = [taxes.get(line.line) for line in lines]
        self.tolls = dict(known.busy)
        credits_ = {sku: dict(by_position) for sku, by_position in known.credits}
        self.credit: list[dict[int, int]] = [by_unit(line, credits_) for line in lines] if credits_ else []
        self._by_subset: dict[int, _Subset] = {}

    def parcel(self, position: int, row: Row, content: Content) -> int:
        """Return the scaled cost of a parcel, the price of its stock included."""
        cost = row.by_class[self._lane.klass[position]]
        return cost + (self._beside(position, content, cost) + self.worth(position, content) << SCALE_BITS)

    def worth(self, position: int, content: Content) -> int:
        """Return the price of the stock in a parcel, in centavos."""
        return sum(self.prices[n].get(position, 0) * quantity for n, quantity in content)

    def _beside(self, position: int, content: Content, cost: int) -> int:
        """Return centavos that terms add to a parcel of this scaled cost; below zero where aged stock is worth more."""
        added = self._taxed(position, content) + self.tolls.get(position, 0)
        return added - self._credited(position, content, (cost >> SCALE_BITS) - self._lane.floor_at[position] + added)

    def _taxed(self, position: int, content: Content) -> int:
        zone = self._lane.zone_at[position]
        return sum(tax[zone] * quantity for n, quantity in content if (tax := self.tax[n]) is not None)

    def _credited(self, position: int, content: Content, most: int) -> int:
        if not self.credit:
            return 0
        return min(sum(self.credit[n].get(position, 0) * quantity for n, quantity in content), most)

    def amounts(self, position: int, row: Row, content: Content) -> Amounts:
        """Return what the terms make of a parcel."""
        lane = self._lane
        k = lane.klass[position]
        cartons = row.bracket.cartons
        rejection, lateness = lane.fees[k] if lane.fees else (0, 0)
        tax = self._taxed(position, content)
        busy = self.tolls.get(position, 0)
        rates = (row.by_class[k] >> SCALE_BITS) - lane.floor_at[position]
        return Amounts(
            carton=0 if cartons is None else cartons[lane.zone_at[position]],
            rejection=rejection,
            lateness=lateness,
            tax=tax,
            busy=busy,
            credit=self._credited(position, content, rates + tax + busy),
        )

    # --- for every position and subset ---

    def whole(self) -> list[list[tuple[int, int]]]:
        """Return each line as an item."""
        return [[(n, line.quantity)] for n, line in enumerate(self._lines)]

    def extras(self, rows: list[Row], items: Sequence[Content]) -> Extras:
        """Return what parcels cost beside their rows: by position, for every subset of items, scaled.

        Positions where nothing does are absent.
        """
        lane = self._lane
        klass = lane.klass
        by_zone: dict[tuple[int, int], list[int]] = {}
        zones = 1 + max(lane.zone_at, default=-1)
        taxes = [
            [sum(tax[zone] * q for n, q in item if (tax := self.tax[n]) is not None) for zone in range(zones)]
            for item in items
        ]
        taxed = any(map(any, taxes))
        own = {p for n in range(len(self._lines)) for p in self.prices[n]}
        own |= {p for by_position in self.credit for p in by_position}
        found: dict[int, list[int]] = {}
        for position in range(len(klass)) if taxed else sorted(own | set(self.tolls)):
            toll = self.tolls.get(position, 0)
            zone = lane.zone_at[position]
            key = zone, toll
            if position not in own and key in by_zone:
                found[position] = by_zone[key]
                continue
            sums = _sums([by[zone] for by in taxes], toll)
            if position in own:
                credit = _sums([self._credited(position, item, NEVER) for item in items]) if self.credit else None
                worth = _sums([self.worth(position, item) for item in items])
                k = klass[position]
                if credit is not None:
                    floor = lane.floor_at[position]
                    for s in range(1, len(sums)):
                        sums[s] -= min(credit[s], (rows[s].by_class[k] >> SCALE_BITS) - floor + sums[s])
                sums = [(a + b) << SCALE_BITS for a, b in zip(sums, worth, strict=True)]
            else:
                sums = by_zone[key] = [a << SCALE_BITS for a in sums]
            if any(sums):
                found[position] = sums
        return found

    def lowest(self, extras: Extras) -> list[int] | None:
        """Return the least that any position's extras are for every subset, as far as below zero; None: never."""
        if not self.credit or not extras:
            return None
        return [min(0, *by_position) for by_position in zip(*extras.values(), strict=True)]

    # --- for one parcel ---

    def cheapest(self, s: int, serving: list[int] | None, row: Row, asked: Asked, bound: int) -> tuple[int, int]:
        """Return cost and position of the cheapest parcel with the whole lines of a subset; `NEVER` and -1: none.

        Equals as `subsets.cheapest_priced` has them: the cheapest before charges, then the first; `even`: the first.

        Args:
            s: the subset; the ones it consists of were asked for before.
            serving: the positions that can serve it, in order; None: look for them.
            row: its costs.
            asked: what each position has of its lines, and how many are wanted.
            bound: what it costs in several parcels; a parcel that costs more may be passed over.
        """
        subset = self._subset(s)
        if serving is None:
            return self._cheapest_down(subset, row, asked, bound)
        by_class, klass, zone_at = row.by_class, self._lane.klass, self._lane.zone_at
        tax, aged = subset.tax, subset.aged
        even = self._even
        best = alone = NEVER
        where = -1
        for position in serving:
            cost = base = by_class[klass[position]]
            if tax is not None:
                cost += tax[zone_at[position]]
            # Only aged stock takes anything off: others that cost more than the best are not looked into.
            if cost <= best or (aged and position in aged):
                cost = self._special(subset, position, cost)
            if cost < best or (cost == best and base < alone and not even):
                best, alone, where = cost, base, position
        return best, where

    def _cheapest_down(self, subset: "_Subset", row: Row, asked: Asked, bound: int) -> tuple[int, int]:
        # Where aged stock takes something off is looked at first, so that it lowers no bound of the others.
        best = self._cheapest_aged(subset, row, asked) if subset.aged else (NEVER, NEVER, -1)
        tax = subset.tax
        if tax is None:
            best = self._walk(subset, row, row.ranked, 0, asked, bound, best)
            return best[0], best[2]
        firsts, own = self._zoned(row)
        lowest = firsts[0] + tax[0]
        first = 0
        for zone, base in enumerate(firsts):
            cost = base + tax[zone]
            if cost < lowest:
                lowest = cost
                first = zone
        best = self._walk(subset, row, own[first], tax[first], asked, bound, best)
        highest = min(bound, best[0])
        for zone, base in enumerate(firsts):
            if base + tax[zone] <= highest and zone != first:
                best = self._walk(subset, row, own[zone], tax[zone], asked, bound, best)
                highest = min(bound, best[0])
        return best[0], best[2]

    def _walk(
        self,
        subset: "_Subset",
        row: Row,
        positions: list[int],
        tax: int,
        asked: Asked,
        bound: int,
        before: tuple[int, int, int],
    ) -> tuple[int, int, int]:
        """Return cost, cost before charges and position of the cheapest of some positions, if it beats one before."""
        by_class, klass = row.by_class, self._lane.klass
        even = self._even
        best, alone, where = before
        highest = min(bound, best)
        for position in positions:
            base = by_class[klass[position]]
            cost = base + tax
            if cost > highest:
                break
            for units, wanted in asked:
                if units[position] < wanted:
                    break
            else:
                cost = self._special(subset, position, cost)
                alike = cost == best and (even or base == alone)
                if cost < best or (alike and position < where) or (cost == best and base < alone and not even):
                    best, alone, where = cost, base, position
                    highest = min(bound, best)
        return best, alone, where

    def _cheapest_aged(self, subset: "_Subset", row: Row, asked: Asked) -> tuple[int, int, int]:
        best = alone = NEVER
        where = -1
        lane = self._lane
        for position in sorted(subset.aged):
            if all(units[position] >= wanted for units, wanted in asked):
                base = row.by_class[lane.klass[position]]
                cost = self._special(subset, position, base + (subset.tax[lane.zone_at[position]] if subset.tax else 0))
                if cost < best or (cost == best and base < alone and not self._even):
                    best, alone, where = cost, base, position
        return best, alone, where

    def _zoned(self, row: Row) -> tuple[list[int], list[list[int]]]:
        """Return a row's positions by zone, each from the cheapest on, and before them what that costs."""
        if row.zoned is None:
            zones = 1 + max(self._lane.zone_at, default=-1)
            own: list[list[int]] = [[] for _ in range(zones)]
            for position in row.ranked:
                own[self._lane.zone_at[position]].append(position)
            klass = self._lane.klass
            row.zoned = [row.by_class[klass[those[0]]] if those else NEVER for those in own], own
        return row.zoned

    def _special(self, subset: "_Subset", position: int, cost: int) -> int:
        """Return the cost of a parcel from a position that has charges of its own. `cost` has the tax."""
        cost += self.tolls.get(position, 0) << SCALE_BITS
        credit = worth = 0
        for n, quantity in subset.content:
            worth += self.prices[n].get(position, 0) * quantity
            if self.credit:
                credit += self.credit[n].get(position, 0) * quantity
        if credit:
            cost -= min(credit, (cost >> SCALE_BITS) - self._lane.floor_at[position]) << SCALE_BITS
        return cost + (worth << SCALE_BITS)

    def _subset(self, s: int) -> "_Subset":
        found = self._by_subset.get(s)
        if found is None:
            found = self._by_subset[s] = self._make(s)
        return found

    def _make(self, s: int) -> "_Subset":
        low = s & -s
        if s == low:
            n = low.bit_length() - 1
            quantity = self._lines[n].quantity
            tax = self.tax[n]
            aged: AbstractSet[int] = set(self.credit[n]) if self.credit else NONE
            scaled = None if tax is None else [t * quantity << SCALE_BITS for t in tax]
            return _Subset([(n, quantity)], scaled, aged)
        one, rest = self._subset(low), self._subset(s ^ low)
        if one.tax is None or rest.tax is None:
            tax = one.tax if rest.tax is None else rest.tax
        else:
            tax = _joined(one.tax, rest.tax)
        aged = rest.aged if one.aged <= rest.aged else one.aged | rest.aged
        return _Subset(one.content + rest.content, tax, aged)


class _Subset:
    """Lines that travel together: what they are taxed by zone, and where their stock is aged."""

    __slots__ = ("aged", "content", "tax")

    def __init__(self, content: list[tuple[int, int]], tax: list[int] | None, aged: AbstractSet[int]) -> None:
        self.content = content
        self.tax = tax  # scaled, by zone
        self.aged = aged  # positions where aged stock takes something off


def _joined(one: list[int], other: list[int]) -> list[int]:
    """Return the sums of two lists, place by place."""
    return [cost + other[n] for n, cost in enumerate(one)]


def _sums(amounts: Sequence[int], toll: int = 0) -> list[int]:
    """Return the sums of every subset of amounts, with a toll on all but the empty one."""
    sums = [0]
    for amount in amounts:
        sums += [before + amount for before in sums]
    return [0, *(found + toll for found in sums[1:])] if toll else sums
