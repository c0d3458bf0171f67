"""Prices for a retailer as it is: its network, its stock, baskets of its past. Pure.

Which SKUs have prices: those *at risk*, where some location that has the SKU may run out if all that is expected came
to it. Of the others no unit is ever missed, so their price is 0 and the programme does not see them. Baskets that are
collected come with one location only: what a store keeps for them is protected by their loss, without a rule of its
own.

Prices are put into force by evidence: they are made from one half of the baskets, and the other half is planned with
and without them by the planner itself. Only what saves is used.
"""

import time
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from malha.platform.ids import UUID
from malha.routing.lanes import Lane, open_lane
from malha.routing.model import Network, Request, RequestLine, StockPrices
from malha.routing.price_reads import PastBasket
from malha.routing.prices import HORIZON_DAYS, LEAST_BASKETS, LEAST_SAVING, Basis, Found
from malha.routing.pricing.baskets import BIG, Baskets, Floats, apart_if_cheaper
from malha.routing.pricing.closed_form import closed_form
from malha.routing.pricing.columns import Configurations, SolverFailed
from malha.routing.rows import SCALE_BITS, Row
from malha.routing.rules import plan
from malha.routing.subsets import rows_of

MAX_LINES = 6  # of a basket; larger ones are rare and are left out
TRIED = 2000  # baskets that prices are tried on, at most
LOST = 3.0  # what a line that nobody ships costs, in dearest parcels
KEPT = 0.5  # of the prices before, where they were in force
NOBODY = UUID(int=0)
Pair = tuple[int, int]  # SKU, location


class Case:
    """A network, baskets that fit it, and what is free."""

    def __init__(
        self,
        network: Network,
        baskets: Sequence[PastBasket],
        grams: Mapping[int, int],
        free: Mapping[Pair, int],
    ) -> None:
        """Take facts. `free` is of the SKUs of the baskets, `grams` the billable weight of one unit of each."""
        self.network = network
        self.grams = grams
        self.free = free
        self.baskets = [b for b in baskets if len(b.skus) <= MAX_LINES and self._travels(b)]
        days = max((b.age for b in self.baskets), default=0.0)
        self.count = HORIZON_DAYS / max(days, 1.0)  # how often each of them is expected
        self.skus = sorted(self._at_risk())
        self.column = {sku: n for n, sku in enumerate(self.skus)}
        self.stock = np.zeros((len(network.location_ids), len(self.skus)))
        for (sku, location), units in free.items():
            if sku in self.column and location in network.index:
                self.stock[network.index[location], self.column[sku]] = units
        self._rows: dict[Row, Floats] = {}
        self.dearest = 0.0

    def lane(self, basket: PastBasket) -> Lane:
        """Return the lane of a basket."""
        key = (basket.channel_id, basket.method, basket.service_id, basket.to_state, basket.pickup_location_id)
        lane = self.network.lanes.get(key)
        if lane is None:
            lane = self.network.lanes[key] = open_lane(self.network, *key)
        return lane

    def _travels(self, basket: PastBasket) -> bool:
        if basket.channel_id not in self.network.channels or any(sku not in self.grams for sku in basket.skus):
            return False
        lane = self.lane(basket)
        return bool(lane.open) and all(self.grams[sku] <= lane.light for sku in basket.skus)

    def _at_risk(self) -> set[int]:
        wanted: dict[int, float] = {}
        for basket in self.baskets:
            for sku, units in zip(basket.skus, basket.units, strict=True):
                wanted[sku] = wanted.get(sku, 0.0) + units * self.count
        return {sku for (sku, _), units in self.free.items() if units < wanted.get(sku, 0.0)}

    def bases(self, pairs: Iterable[Pair]) -> dict[Pair, Basis]:
        """Return what prices rest on: what is free, and what the horizon is expected to ask for."""
        shipped: dict[int, float] = {}
        fetched: dict[Pair, float] = {}
        for basket in self.baskets:
            for sku, units in zip(basket.skus, basket.units, strict=True):
                if basket.pickup_location_id is None:
                    shipped[sku] = shipped.get(sku, 0.0) + units * self.count
                else:
                    pair = sku, basket.pickup_location_id
                    fetched[pair] = fetched.get(pair, 0.0) + units * self.count
        return {
            pair: Basis(self.free.get(pair, 0), shipped.get(pair[0], 0.0), fetched.get(pair, 0.0)) for pair in pairs
        }

    def costs(self, lane: Lane, row: Row) -> Floats:
        """Return what a parcel costs from every location of the network; `BIG` from those that are closed."""
        found = self._rows.get(row)
        if found is None:
            found = np.full(len(self.network.location_ids), BIG)
            found[lane.open] = [row.by_class[k] >> SCALE_BITS for k in lane.klass]
            self._rows[row] = found
            self.dearest = max(self.dearest, float(found[found < BIG].max(initial=0.0)))
        return found

    def groups(self, chosen: Sequence[PastBasket]) -> dict[int, Baskets]:
        """Return baskets for the programme, as far as they want something at risk."""
        locations = len(self.network.location_ids)
        by_lines: dict[int, list[tuple[PastBasket, list[int]]]] = {}
        for basket in chosen:
            lines = [k for k, sku in enumerate(basket.skus) if sku in self.column]
            if lines:
                by_lines.setdefault(len(lines), []).append((basket, lines))
        found = {}
        for n, group in by_lines.items():
            parcels = np.zeros((1 << n, len(group), locations + 1))
            for m, (basket, lines) in enumerate(group):
                lane = self.lane(basket)
                rows = rows_of(lane, [self.grams[basket.skus[k]] * basket.units[k] for k in lines], [1] * n)
                for s in range(1, 1 << n):
                    parcels[s, m, :locations] = self.costs(lane, rows[s])
            found[n] = Baskets(
                parcels,
                np.array([[self.column[b.skus[k]] for k in lines] for b, lines in group], dtype=np.int64),
                np.array([[b.units[k] for k in lines] for b, lines in group], dtype=np.int64),
            )
        for n, baskets in found.items():
            for s in range(1, 1 << n):
                baskets.parcels[s, :, locations] = LOST * self.dearest * s.bit_count()
        return {n: apart_if_cheaper(baskets) for n, baskets in found.items()}

    def by_programme(self, chosen: Sequence[PastBasket], weight: float, seconds: float) -> tuple[Floats, float]:
        """Return prices from the configuration LP, and how far its bound is from it.

        Raises:
            SolverFailed: there were no prices in time.
        """
        groups = self.groups(chosen)
        lp = Configurations(groups, (self.stock.shape[0], self.stock.shape[1]))
        counts = {n: np.full(len(group), self.count * weight) for n, group in groups.items()}
        found = lp.solve(counts, self.stock, tolerance=1e-3, seconds=seconds)
        if not np.isfinite(found.objective):
            raise SolverFailed("no solution in time")
        return np.minimum(found.prices, self.dearest), found.gap

    def by_closed_form(self, chosen: Sequence[PastBasket], weight: float) -> Floats:
        """Return prices without a solver."""
        lanes: dict[int, int] = {}
        demand: dict[Pair, float] = {}
        costs: dict[Pair, Floats] = {}
        for basket in chosen:
            lane = self.lane(basket)
            to = lanes.setdefault(id(lane), len(lanes))
            for sku, units in zip(basket.skus, basket.units, strict=True):
                if sku in self.column:
                    key = (to, self.column[sku])
                    demand[key] = demand.get(key, 0.0) + units * self.count * weight
                    costs[key] = self.costs(lane, lane.row(self.grams[sku], 1))
        cube = np.full((self.stock.shape[0], len(lanes), self.stock.shape[1]), BIG)
        wanted = np.zeros((len(lanes), self.stock.shape[1]))
        for (to, column), amount in demand.items():
            wanted[to, column] = amount
            cube[:, to, column] = costs[to, column]
        return np.minimum(closed_form(cube, wanted, self.stock, LOST * self.dearest), self.dearest)

    def priced(self, prices: Floats, version: int = 0) -> StockPrices:
        """Return prices as the planner takes them."""
        by_sku: dict[int, dict[int, int]] = {}
        for (sku, location), price in self.by_pair(prices).items():
            by_sku.setdefault(sku, {})[location] = price
        return StockPrices(version, by_sku)

    def by_pair(self, prices: Floats) -> dict[Pair, int]:
        """Return prices in centavos by SKU and location, without zeros."""
        whole = np.rint(prices).astype(np.int64)
        return {
            (self.skus[column], self.network.location_ids[location]): int(whole[location, column])
            for location, column in np.argwhere(whole > 0).tolist()
        }

    def spent(self, chosen: Sequence[PastBasket], priced: StockPrices | None) -> float:
        """Return what baskets cost, one after the other on the stock there is, as the planner places them."""
        index = self.network.index
        free = {sku: [0] * len(index) for basket in chosen for sku in basket.skus}
        for (sku, location), units in self.free.items():
            if sku in free and location in index:
                free[sku][index[location]] = units
        total = 0.0
        for basket in chosen:
            lines = [
                RequestLine(n, sku, units, self.grams[sku])
                for n, (sku, units) in enumerate(zip(basket.skus, basket.units, strict=True), 1)
            ]
            request = Request(
                order_id=NOBODY,
                channel_id=basket.channel_id,
                method=basket.method,
                service_id=basket.service_id,
                pickup_location_id=basket.pickup_location_id,
                to_state=basket.to_state,
                lines=lines,
            )
            found = plan(request, self.network, free, None, priced)
            for line, at, quantity in found.assignments:
                free[lines[line - 1].sku_id][at] -= quantity
            total += found.cost + LOST * self.dearest * len(found.unplaced)
        return total


def work_out(case: Case, before: StockPrices | None, *, seconds: float, seed: int) -> Found:
    """Return new prices, and whether the evidence is for them.

    Args:
        case: what is known.
        before: the prices in force, which the new ones stay near to.
        seconds: for each of two programmes.
        seed: of the order in which baskets are tried.
    """
    began, problem = time.perf_counter(), ""

    def found(method: str, prices: Mapping[Pair, int], gap: float | None, saving: float) -> Found:
        return Found(
            method=method,
            prices=prices,
            baskets=len(case.baskets),
            bound_gap=gap,
            saving=saving,
            seconds=time.perf_counter() - began,
            in_force=saving >= LEAST_SAVING and len(case.baskets) >= LEAST_BASKETS and bool(prices),
            at_risk=len(case.skus),
            problem=problem,
            bases=case.bases(prices),
        )

    if not case.skus or len(case.baskets) < LEAST_BASKETS:
        return found("programme", {}, None, 0.0)
    known, tried = case.baskets[::2], case.baskets[1::2]
    method, gap = "programme", None
    try:
        half, _ = case.by_programme(known, 2.0, seconds)
        whole, gap = case.by_programme(case.baskets, 1.0, seconds)
    except SolverFailed as failed:
        method, problem = "closed_form", str(failed)
        half, whole = case.by_closed_form(known, 2.0), case.by_closed_form(case.baskets, 1.0)
    expected = round(min(TRIED, len(case.baskets) * case.count))
    drawn = np.random.default_rng(seed).choice(len(tried), size=max(expected, 1))
    trial = [tried[k] for k in drawn]
    alone = case.spent(trial, None)
    saving = (alone - case.spent(trial, case.priced(half))) / alone if alone else 0.0
    prices = case.by_pair(whole)
    if before is not None:
        prices = _smoothed(prices, before, {*case.skus})
    return found(method, prices, gap, saving)


def _smoothed(prices: Mapping[Pair, int], before: StockPrices, at_risk: set[int]) -> dict[Pair, int]:
    old = {(sku, at): price for sku, by_location in before.by_sku.items() for at, price in by_location.items()}
    pairs = {pair for pair in (*prices, *old) if pair[0] in at_risk}
    mixed = {pair: round(KEPT * old.get(pair, 0) + (1 - KEPT) * prices.get(pair, 0)) for pair in pairs}
    return {pair: price for pair, price in sorted(mixed.items()) if price > 0}
