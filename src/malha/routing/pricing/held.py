"""A wave of the orders that are held now, and which of them should move. Pure.

The stock of the wave is what is free and what its own orders have. Leaving its place costs an order the least saving
that is worth the unrest, spread over its lines, so that nothing moves for less. No parcel may travel longer than the
order's slowest does now: a promise was made.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from malha.catalog.trait_reads import Traits
from malha.platform.ids import UUID
from malha.routing.lanes import Lane, open_lane
from malha.routing.model import Network, Request, RequestLine, StockPrices
from malha.routing.pricing.baskets import BIG, Baskets, Floats, Ints, apart_if_cheaper
from malha.routing.pricing.live import LOST
from malha.routing.pricing.waves import plan_wave
from malha.routing.rows import SCALE_BITS
from malha.routing.subsets import rows_of
from malha.routing.terms import Goods
from malha.routing.wave_model import Held, Proposed, Step
from malha.routing.waves import Standing, charges_of, standing

Pair = tuple[int, int]  # SKU, location


Kinds = Mapping[int, Traits]


def request_of(order: Held, grams: Mapping[int, int], kinds: Kinds) -> Request:
    """Return what an order asks routing for. `kinds`: what its goods are, where terms look at that."""
    goods = {
        line: Goods(value, kinds[sku].ncm, kinds[sku].named)
        for line, sku, value in zip(order.lines, order.skus, order.values or [0] * len(order.skus), strict=True)
        if sku in kinds
    }
    return Request(
        order_id=order.id,
        channel_id=order.channel_id,
        method="ship",
        service_id=order.service_id,
        to_state=order.to_state,
        lines=[
            RequestLine(line, sku, units, grams[sku])
            for line, sku, units in zip(order.lines, order.skus, order.units, strict=True)
        ],
        goods=goods or None,
        to_cep=order.cep,
    )


def propose(
    orders: Sequence[Held],
    network: Network,
    grams: Mapping[int, int],
    free: Mapping[Pair, int],
    prices: StockPrices | None,
    *,
    least: int,
    seconds: float,
    kinds: Kinds | None = None,
) -> Proposed:
    """Return which orders should move where, so that each of a group saves `least` centavos on average.

    Args:
        orders: that are held.
        network: as it is now.
        grams: billable weight of one unit by SKU.
        free: free units by (SKU, location), of the orders' SKUs.
        prices: what a unit is worth for orders to come.
        least: centavos.
        seconds: of the solver.
        kinds: what goods are, by SKU, where the network's terms look at that.

    Raises:
        SolverFailed: there were no whole plans in time.
    """
    known: list[tuple[Held, Lane, Standing]] = []
    for order in orders:
        if any(sku not in grams for sku in order.skus):
            continue
        request = request_of(order, grams, kinds or {})
        now = standing(request, network, dict(zip(order.lines, order.locations, strict=True)))
        if now is not None:
            key = (order.channel_id, "ship", order.service_id, order.to_state, None)
            lane = network.lanes.get(key) or open_lane(network, *key)
            known.append((order, lane, now))
    if not known:
        return Proposed(orders=0, groups=[])
    wave = _Wave(known, network, grams, free, kinds or {})
    worth = None if prices is None else wave.worth(prices)
    planned = plan_wave(wave.groups(least), wave.stock, worth, seconds=seconds, start=wave.starts())
    moved = wave.moved(planned.plans)
    gap = max(0.0, planned.cost - planned.bound) / max(abs(planned.bound), 1e-9)
    return Proposed(
        orders=len(known), groups=wave.parted(moved, least), bound_gap=gap, seconds=round(planned.seconds, 3)
    )


class _Wave:
    """Orders by number of lines, in the columns and rows of the programme."""

    def __init__(
        self,
        known: Sequence[tuple[Held, Lane, Standing]],
        network: Network,
        grams: Mapping[int, int],
        free: Mapping[Pair, int],
        kinds: Kinds,
    ) -> None:
        self.kinds = kinds
        self.network = network
        self.grams = grams
        self.free = free
        self.by_lines: dict[int, list[tuple[Held, Lane, Standing]]] = {}
        for one in known:
            self.by_lines.setdefault(len(one[0].lines), []).append(one)
        self.skus = sorted({sku for order, _, _ in known for sku in order.skus})
        self.column = {sku: n for n, sku in enumerate(self.skus)}
        self.stock: Floats = np.zeros((len(network.location_ids), len(self.skus)))
        for (sku, location), units in free.items():
            if sku in self.column and location in network.index:
                self.stock[network.index[location], self.column[sku]] = max(0, units)
        for order, _, _ in known:
            for sku, units, location in zip(order.skus, order.units, order.locations, strict=True):
                self.stock[network.index[location], self.column[sku]] += units

    def worth(self, prices: StockPrices) -> Floats:
        """Return prices as the programme takes them."""
        found = np.zeros(self.stock.shape)
        for sku, by_location in prices.by_sku.items():
            if sku in self.column:
                for location, price in by_location.items():
                    if location in self.network.index:
                        found[self.network.index[location], self.column[sku]] = price
        return found

    def starts(self) -> dict[int, Ints]:
        """Return where the orders are."""
        index = self.network.index
        return {
            n: np.array([[index[location] for location in order.locations] for order, _, _ in group], dtype=np.int64)
            for n, group in self.by_lines.items()
        }

    def groups(self, least: int) -> dict[int, Baskets]:
        """Return the orders as the programme takes them."""
        locations = len(self.network.location_ids)
        starts = self.starts()
        found: dict[int, Baskets] = {}
        dearest = 0.0
        for n, group in self.by_lines.items():
            parcels = np.full((1 << n, len(group), locations + 1), BIG)
            for m, (order, lane, now) in enumerate(group):
                away = np.ones((n, locations))
                away[np.arange(n), starts[n][m]] = 0.0
                weights = [self.grams[sku] * units for sku, units in zip(order.skus, order.units, strict=True)]
                rows = rows_of(lane, weights, [1] * n)
                charges = charges_of(request_of(order, self.grams, self.kinds), self.network, lane)
                extras = {} if charges is None else charges.extras(rows, charges.whole())
                for s in range(1, 1 << n):
                    row = rows[s]
                    leads = [row.bracket.leads[zone] or 0 for zone, _, _ in lane.classes]
                    costs = [
                        cost >> SCALE_BITS if days <= now.lead_days else BIG
                        for cost, days in zip(row.by_class, leads, strict=True)
                    ]
                    here = np.array([costs[k] for k in lane.klass])
                    for position, by_subset in extras.items():
                        here[position] += by_subset[s] >> SCALE_BITS
                    parcels[s, m, lane.open] = here
                    dearest = max(dearest, float(here[here < BIG].max(initial=0.0)))
                    held = [k for k in range(n) if s >> k & 1]
                    parcels[s, m, :locations] += away[held].sum(axis=0) * (least / n)
            found[n] = Baskets(
                parcels,
                np.array([[self.column[sku] for sku in order.skus] for order, _, _ in group], dtype=np.int64),
                np.array([order.units for order, _, _ in group], dtype=np.int64),
            )
        for n, baskets in found.items():
            for s in range(1, 1 << n):
                baskets.parcels[s, :, locations] = LOST * (dearest + least) * s.bit_count() + LOST * dearest
        return {n: apart_if_cheaper(baskets) for n, baskets in found.items()}

    def moved(self, plans: Mapping[tuple[int, int], Ints]) -> list[tuple[Held, Lane, Standing, list[int]]]:
        """Return the orders whose plan is not where they are, with the location id of each line."""
        found = []
        nowhere = len(self.network.location_ids)
        for (n, m), at in plans.items():
            order, lane, now = self.by_lines[n][m]
            places = at.tolist()
            if nowhere in places:
                continue
            to = [self.network.location_ids[place] for place in places]
            if to != order.locations:
                found.append((order, lane, now, to))
        return found

    def parted(self, moved: Sequence[tuple[Held, Lane, Standing, list[int]]], least: int) -> list[list[Step]]:
        """Return moves in groups that need nothing of one another, of those that are worth it, the best group first."""
        takers: dict[Pair, int] = {}
        touched: dict[Pair, list[UUID]] = {}
        for order, _, _, to in moved:
            for sku, units, was, will in zip(order.skus, order.units, order.locations, to, strict=True):
                if was != will:
                    takers[sku, will] = takers.get((sku, will), 0) + units
                    touched.setdefault((sku, will), []).append(order.id)
                    touched.setdefault((sku, was), []).append(order.id)
        root = {order.id: order.id for order, _, _, _ in moved}

        def top(id_: UUID) -> UUID:
            while root[id_] != id_:
                root[id_] = id_ = root[root[id_]]
            return id_

        for pair, units in takers.items():
            if units > max(0, self.free.get(pair, 0)):  # it needs what others leave
                first = top(touched[pair][0])
                for other in touched[pair][1:]:
                    root[top(other)] = first
        groups: dict[UUID, list[Step]] = {}
        savings: dict[UUID, int] = {}
        for order, _, now, to in moved:
            request = request_of(order, self.grams, self.kinds)
            then = standing(request, self.network, dict(zip(order.lines, to, strict=True)))
            group = top(order.id)
            groups.setdefault(group, []).append(Step(order.id, order.seq, list(zip(order.lines, to, strict=True))))
            # A plan without a standing is one the planner would not make: its group is not worth anything.
            savings[group] = savings.get(group, 0) + (now.cost - then.cost if then is not None else -(1 << 60))
        worthy = [group for group in groups if savings[group] >= least * len(groups[group])]
        return [groups[group] for group in sorted(worthy, key=lambda group: -savings[group])]
