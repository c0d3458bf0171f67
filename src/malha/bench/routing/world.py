"""An instance as the product sees it: lanes for `routing.rules.decide`, and baskets for `routing.pricing`.

Each destination is a lane, each location a class of its own, since the families price by distance. What a lane looks up
for a parcel is then exactly what the family says it costs. Nothing of the planner is rewritten here.
"""

from collections.abc import Sequence

import numpy as np

from malha.bench.routing.families import MONEY, WEIGHT_STEP, Instance, Order
from malha.routing.lane_facts import LaneFacts
from malha.routing.lanes import NO_LIMIT, Lane
from malha.routing.model import RULES_VERSION, RequestLine
from malha.routing.pricing.baskets import Baskets, separable
from malha.routing.rows import Bracket, Rows
from malha.routing.terms import runs


class World:
    """Lanes and lines of one instance."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.locations, self.skus = instance.stock.shape
        heaviest = int(np.sort(instance.steps)[::-1][:10].sum())
        self._breaks = [max(step, 1) * WEIGHT_STEP for step in range(heaviest + 1)][1:] or [NO_LIMIT]
        self.open = self.locations + instance.outside
        self._leads: list[int | None] = [None] * self.open
        self._ones = [1] * self.open
        self.lanes = [self._lane(j) for j in range(instance.distance.shape[1])]
        self._lines = [
            [RequestLine(n, sku, 1, int(steps) * WEIGHT_STEP) for sku, steps in enumerate(instance.steps)]
            for n in range(10)
        ]
        self.distances = instance.distance.T.tolist()
        self.near = [column.tolist() for column in instance.distance.argsort(axis=0, kind="stable").T]

    def _lane(self, j: int) -> Lane:
        instance = self.instance
        per_step = instance.per_step[:, j].tolist()
        package, line = instance.package[:, j].tolist(), instance.line[:, j].tolist()
        if instance.outside:
            per_step.append(0)
            package.append(int(instance.lost_order[j]))
            line.append(int(instance.lost_line[j]))
        leads, ones = self._leads, self._ones

        def price(grams: int) -> Bracket:
            steps = grams // WEIGHT_STEP
            return Bracket(
                grams, [p * steps for p in per_step] if any(per_step) else [0] * len(ones), ones, leads, leads
            )

        classes = [(n, p, q) for n, (p, q) in enumerate(zip(package, line, strict=True))]
        facts = LaneFacts(
            rules=RULES_VERSION,
            network=1,
            channel=1,
            method="ship",
            to=str(j),
            locations=runs(range(self.open)),
            classes=classes,
        )
        rows = Rows(classes, list(range(self.open)), self._breaks, price)
        return Lane(facts, list(range(self.open)), [], [NO_LIMIT] * self.open, rows)

    def lines(self, skus: Sequence[int]) -> list[RequestLine]:
        """Return one unit of each SKU as lines of a request."""
        return [self._lines[n][sku] for n, sku in enumerate(skus)]

    def cost(self, j: int, skus: Sequence[int], at: Sequence[int]) -> int:
        """Return what a plan costs: the location of each line, or `locations` where it is lost."""
        instance = self.instance
        total = 0
        for sku, location in zip(skus, at, strict=True):
            if location == self.locations:
                total += int(instance.lost_line[j])
            else:
                total += int(instance.line[location, j] + instance.per_step[location, j] * instance.steps[sku])
        for location in set(at):
            total += int(instance.lost_order[j] if location == self.locations else instance.package[location, j])
        return total


def baskets_of(instance: Instance, orders: Sequence[Order], *, lost_line: int | None = None) -> dict[int, Baskets]:
    """Return orders by their number of lines, in order, costs in whole money.

    `lost_line` replaces what the family says of a lost line, in millionths.
    """
    locations = len(instance.stock)
    by_lines: dict[int, list[Order]] = {}
    for order in orders:
        by_lines.setdefault(len(order[1]), []).append(order)
    found = {}
    for n, group in by_lines.items():
        to = np.array([j for j, _ in group])
        skus = np.array([list(skus) for _, skus in group], dtype=np.int64)
        fixed = np.empty((len(group), locations + 1))
        fixed[:, :locations] = instance.package[:, to].T
        fixed[:, locations] = instance.lost_order[to]
        lines = np.empty((n, len(group), locations + 1))
        for k in range(n):
            per_step = instance.per_step[:, to].T * instance.steps[skus[:, k], None]
            lines[k, :, :locations] = instance.line[:, to].T + per_step
            lines[k, :, locations] = instance.lost_line[to] if lost_line is None else lost_line
        found[n] = separable(fixed / MONEY, lines / MONEY, skus, np.ones_like(skus))
    return found
