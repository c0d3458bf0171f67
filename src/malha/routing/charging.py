"""What terms say of one order, and what its parcels cost by them. Pure.

`order_terms` takes from a network's terms what can matter for an order; `bar` takes locations out; `Charges` adds the
rest to the dynamic programme: what a parcel costs beyond its rates, by location and lines. Two of its ways give the
same answers: `extras` for every position and subset, which the exact cost of each location needs, and `cheapest`, which
looks for one parcel only, zone by zone, as far as a cheaper one can still come.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from malha.network.places import locate
from malha.network.tariff import distance_km
from malha.routing.lanes import Lane
from malha.routing.model import Network, Request, RequestLine
from malha.routing.rows import SCALE_BITS, Row
from malha.routing.subsets import Asked, Extras
from malha.routing.terms import MAX_KEPT, Amounts, Goods, OrderTerms, Run, Taxes, runs, unfold

if TYPE_CHECKING:  # what compiled code holds numbers in; it means nothing to the interpreter
    from mypy_extensions import i64

Prices = Mapping[int, dict[int, int]]  # SKU -> position -> centavos a unit
Content = Sequence[tuple[int, int]]  # (place of the line in the request, quantity)
NEVER: Final = 1 << 80
SHORT: Final = 40  # positions that are looked into one by one, whatever they may cost at most
MANY_ZONES: Final = 32  # with more, positions are looked at from the cheapest on, whatever their zone; states are 27
MAX_MASKS: Final = 32  # of positions, that a lane remembers
NO_CHARGE: dict[int, int] = {}
NONE: frozenset[int] = frozenset()

Best = tuple[int, int, int]  # of parcels: the cheapest one's scaled cost, what it costs before charges, its position
Charged = list[tuple[dict[int, int], int]]  # centavos a unit by position, and how many units
NOTHING_YET: Final[Best] = (NEVER, NEVER, -1)


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
        kept: tuple[list[tuple[int, int]], list[int]] | None = lane.kept.get(key)
        if kept is None:
            kept = lane.kept[key] = _rates(taxes, what.ncm, lane, target)
        rates, at = kept
        value = what.value
        by_rate = [(points * value + 5_000) // 10_000 + fixed for points, fixed in rates]
        if any(by_rate):
            found.append((line.line, [by_rate[n] for n in at]))
    return found


def _rates(taxes: Taxes, ncm: str, lane: Lane, target: str) -> tuple[list[tuple[int, int]], list[int]]:
    """Return the different rates of a product, and by zone which of them: states are many, rates are few."""
    found: dict[tuple[int, int], int] = {}
    at = []
    for origin in lane.states:
        rate = taxes.rate(origin, target, ncm)
        at.append(found.setdefault((0, 0) if rate is None else (rate.basis_points, rate.centavos), len(found)))
    return list(found), at


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


class Barred:
    """Who may not serve an order, or a line of it, whatever it has: masks over positions, 1 where it may.

    Planning in haste has everybody serve them, as one more line; so no stock is copied for it.
    """

    __slots__ = ("all", "by_line")

    def __init__(self, all_: list[int] | None, by_line: dict[int, list[int]]) -> None:
        self.all = all_
        self.by_line = by_line  # by the line's place in the request


NOBODY: Final = Barred(None, {})


def barred_by(terms: OrderTerms | None, lines: Sequence[RequestLine], lane: Lane) -> Barred:
    """Return who terms keep from serving: what `bar` leaves out."""
    if terms is None or not (terms.far or terms.unserved):
        return NOBODY
    unserved = dict(terms.unserved)
    return Barred(
        _mask(terms.far, lane) if terms.far else None,
        {n: _mask(unserved[line.line], lane) for n, line in enumerate(lines) if line.line in unserved},
    )


def _mask(barred: tuple[Run, ...], lane: Lane) -> list[int]:
    # A lane's orders to one place, or of one kind of product, name the same tuple. It is held with what it became, so
    # no other gets its identity.
    kept = lane.masks.get(id(barred))
    if kept is None:
        if len(lane.masks) >= MAX_MASKS:
            lane.masks.clear()
        mask = [1] * len(lane.klass)
        for position in unfold(barred):
            mask[position] = 0
        kept = lane.masks[id(barred)] = mask, barred
    return kept[0]


@lru_cache(maxsize=MAX_KEPT)
def _places(barred: tuple[Run, ...]) -> list[int]:
    return unfold(barred)


def bar(have: list[list[int]], lines: Sequence[RequestLine], terms: OrderTerms) -> list[list[int]]:
    """Return what positions have of each line, with nothing where they may not serve it."""
    if not (terms.far or terms.unserved):
        return have
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

    __slots__ = (
        "_aged",
        "_by_subset",
        "_even",
        "_lane",
        "_least",
        "_lines",
        "_most",
        "_taxes",
        "credit",
        "prices",
        "tax",
        "tolls",
    )

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
        taxes: dict[int, list[int]] = {
            line: by_zone if isinstance(by_zone, list) else list(by_zone) for line, by_zone in known.taxes
        }
        self.tax: list[list[int] | None] = [taxes.get(line.line) for line in lines]
        self.tolls = _by_position(known.busy, lane)
        credits_ = {sku: dict(by_position) for sku, by_position in known.credits}
        self.credit: list[dict[int, int]] = [by_unit(line, credits_) for line in lines] if credits_ else []
        # By line, for its quantity: what it is taxed by zone.
        self._taxes: list[list[int] | None] = [
            tax if tax is None or line.quantity == 1 else [centavos * line.quantity for centavos in tax]
            for line, tax in zip(lines, self.tax, strict=True)
        ]
        self._aged = sum([1 << n for n, by_position in enumerate(self.credit) if by_position])  # lines with any
        self._by_subset: dict[int, _Subset] = {}
        self._least: list[int] = []  # by subset: what is added to it at least, scaled
        self._most: list[int] = []  # by subset: the most that aged stock takes off, scaled

    def parcel(self, position: int, row: Row, content: Content) -> int:
        """Return the scaled cost of a parcel, the price of its stock included."""
        cost = row.cost(position)
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
        rates = (row.cost(position) >> SCALE_BITS) - lane.floor_at[position]
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

    def least(self) -> list[int]:
        """Return what is added at least to a parcel of every subset of lines, scaled; below zero: taken off at most."""
        found, most = [0], [0]
        for n, tax in enumerate(self._taxes):
            credit = 0
            if self._aged >> n & 1:
                credit = max(self.credit[n].values()) * self._lines[n].quantity << SCALE_BITS
            least = (0 if tax is None else min(tax) << SCALE_BITS) - credit
            found += [before + least for before in found]
            most += [before + credit for before in most]
        self._least = found
        self._most = most
        return found

    def least_of(self, s: int, row: Row) -> int:
        """Return the least that a parcel of a subset costs by zones, whoever has its lines; `least` was asked before.

        A subset that is not taxed costs what its row says at least.
        """
        subset = self._subset(s)
        if not subset.taxes:
            return row.least - self._most[s]
        _look_at_zones(subset, row)
        return subset.least - self._most[s]

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
        least = self._least[s]
        if serving is not None and len(serving) <= SHORT:
            best = self._cheapest_of(subset, row, serving, least, NEVER, NOTHING_YET, aged=bool(subset.aged))
            return best[0], best[2]
        best = NOTHING_YET
        if subset.aged:
            # Where aged stock takes something off is looked at first, so that it lowers no bound of the others.
            able = sorted(subset.aged)
            for units, wanted in asked:
                able = [position for position in able if units[position] >= wanted]
            best = self._cheapest_of(subset, row, able, least, bound, best, aged=True)
            least += self._most[s]
        if serving is None:
            best = self._cheapest_down(subset, row, asked, bound, best)
        else:
            best = self._cheapest_of(subset, row, serving, least, bound, best, aged=False)
        return best[0], best[2]

    def _cheapest_of(
        self, subset: "_Subset", row: Row, serving: list[int], least: int, bound: int, before: Best, *, aged: bool
    ) -> Best:
        """Return the cheapest of those that serve, if it beats one before.

        `least` is what is added to each at least; `aged`: aged stock of these may take something off.
        """
        carriage, at, zone_at = row.carriage, row.beside.at, row.beside.zone_at
        taxes = subset.taxes
        even = self._even
        best, alone, where = before
        highest = min(bound, best)
        position: i64
        for position in serving:
            zone: i64 = zone_at[position]
            base = carriage[zone] + (at[position] << SCALE_BITS)
            if base + least > highest:
                continue
            taxed = 0
            for tax in taxes:
                taxed += tax[zone]
            cost = base + (taxed << SCALE_BITS)
            # Only aged stock takes anything off: others that cost more than the best are not looked into.
            if cost <= highest or aged:
                cost = self._special(subset, position, cost)
                if cost <= best and beats(cost, base, position, best, alone, where, even=even):
                    best, alone, where = cost, base, position
                    highest = min(bound, best)
        return best, alone, where

    def _cheapest_down(self, subset: "_Subset", row: Row, asked: Asked, bound: int, best: Best) -> Best:
        """Return the same of all positions, zone by zone."""
        firsts = row.firsts
        taxes = subset.taxes
        if not taxes and len(firsts) > MANY_ZONES:
            return self._walk(subset, row, row.ranked, 0, asked, bound, best)
        own = row.beside.own
        _look_at_zones(subset, row)
        first: i64 = subset.first
        best = self._walk(subset, row, own[first], _taxed_in(taxes, first), asked, bound, best)
        highest = min(bound, best[0])
        zone: i64
        for zone in range(len(firsts)):
            taxed = 0
            for tax in taxes:
                taxed += tax[zone]
            if firsts[zone] + (taxed << SCALE_BITS) <= highest and zone != first:
                best = self._walk(subset, row, own[zone], taxed, asked, bound, best)
                highest = min(bound, best[0])
        return best

    def _walk(
        self, subset: "_Subset", row: Row, positions: list[int], taxed: int, asked: Asked, bound: int, before: Best
    ) -> Best:
        """Return the cheapest of some positions, which are taxed alike and come by cost, if it beats one before."""
        carriage, at, zone_at = row.carriage, row.beside.at, row.beside.zone_at
        even = self._even
        tax = taxed << SCALE_BITS
        best, alone, where = before
        highest = min(bound, best)
        position: i64
        for position in positions:
            zone: i64 = zone_at[position]
            base = carriage[zone] + (at[position] << SCALE_BITS)
            cost = base + tax
            if cost > highest:
                break
            for units, wanted in asked:
                if units[position] < wanted:
                    break
            else:
                cost = self._special(subset, position, cost)
                if cost <= best and beats(cost, base, position, best, alone, where, even=even):
                    best, alone, where = cost, base, position
                    highest = min(bound, best)
        return best, alone, where

    def _special(self, subset: "_Subset", position: int, cost: int) -> int:
        """Return the cost of a parcel from a position that has charges of its own. `cost` has the tax."""
        if self.tolls:
            cost += self.tolls.get(position, 0) << SCALE_BITS
        credit = 0
        for by_position, quantity in subset.credits:
            credit += by_position.get(position, 0) * quantity
        if credit:
            cost -= min(credit, (cost >> SCALE_BITS) - self._lane.floor_at[position]) << SCALE_BITS
        worth = 0
        for by_position, quantity in subset.prices:
            worth += by_position.get(position, 0) * quantity
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
            tax, prices = self._taxes[n], self.prices[n]
            credit = self.credit[n] if self.credit else NO_CHARGE
            return _Subset(
                [] if tax is None else [tax],
                [(prices, quantity)] if prices else [],
                [(credit, quantity)] if credit else [],
                set(credit) if credit else NONE,
            )
        one, rest = self._subset(low), self._subset(s ^ low)
        aged = rest.aged if one.aged <= rest.aged else one.aged | rest.aged
        return _Subset(one.taxes + rest.taxes, one.prices + rest.prices, one.credits + rest.credits, aged)


class _Subset:
    """Lines that travel together: what they are charged."""

    __slots__ = ("aged", "credits", "first", "least", "prices", "taxes")

    def __init__(self, taxes: list[list[int]], prices: Charged, credits_: Charged, aged: AbstractSet[int]) -> None:
        self.taxes = taxes  # by line that is taxed, and by zone: centavos of its units
        self.prices = prices  # of stock, by line that has any
        self.credits = credits_
        self.aged = aged  # positions where aged stock takes something off
        self.first = -1  # the zone where they cost least, and what; -1: not looked for yet (`_look_at_zones`)
        self.least = 0


def _look_at_zones(subset: _Subset, row: Row) -> None:
    """Find where the cheapest position of a zone costs least with a subset of lines, whoever has them."""
    if subset.first >= 0:
        return
    firsts, taxes = row.firsts, subset.taxes
    least, first = NEVER + NEVER, 0
    zone: i64
    for zone in range(len(firsts)):
        taxed = 0
        for tax in taxes:
            taxed += tax[zone]
        cost = firsts[zone] + (taxed << SCALE_BITS)
        if cost < least:
            least, first = cost, zone
    subset.least, subset.first = least, first


def _taxed_in(taxes: list[list[int]], zone: int) -> int:
    """Return the tax on some lines in a zone."""
    taxed = 0
    for tax in taxes:
        taxed += tax[zone]
    return taxed


def _by_position(busy: Sequence[tuple[int, int]], lane: Lane) -> dict[int, int]:
    """Return the prices of capacity by position: the same for all orders between two counts (`_busy`)."""
    kept = lane.busy
    if kept[0] is not busy:
        kept = lane.busy = busy, dict(busy)
    return kept[1]


def beats(cost: int, base: int, position: int, best: int, alone: int, where: int, *, even: bool) -> bool:
    """Tell whether a parcel is preferred to the best so far, which is from `where` and costs `alone` before charges.

    Of those that cost the same the cheapest before charges, then the first; `even`: the first.
    """
    if cost != best:
        return cost < best
    if even or base == alone:
        return position < where
    return base < alone


def _sums(amounts: Sequence[int], toll: int = 0) -> list[int]:
    """Return the sums of every subset of amounts, with a toll on all but the empty one."""
    sums = [0]
    for amount in amounts:
        sums += [before + amount for before in sums]
    return [0, *(found + toll for found in sums[1:])] if toll else sums
