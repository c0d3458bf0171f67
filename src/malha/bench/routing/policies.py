"""What decides where orders go, one after the other: the product's planner, with prices of stock and without."""

import time
from collections.abc import Callable, Mapping, Sequence

import msgspec
import numpy as np

from malha.bench.routing.families import MONEY, Instance, Order
from malha.bench.routing.world import World, baskets_of
from malha.routing.pricing.baskets import Baskets, Floats
from malha.routing.pricing.columns import Configurations, SolverFailed
from malha.routing.pricing.waves import plan_wave
from malha.routing.rules import decide

Prices = Mapping[int, dict[int, int]]
MAX_ROUNDS = 25
NEVER = 1000.0  # whole money: what a wave counts for a line it gives up, so that it never does while there is stock
PLENTY = 1 << 40  # units of what never runs out


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What a policy made of an instance. Costs are millionths."""

    cost: int
    packages: int
    split: int  # orders in several parcels
    lost: int  # lines
    micros: list[float]  # of processor time of each decision
    price_seconds: float = 0.0
    wave_seconds: tuple[float, ...] = ()


class Ledger:
    """Stock as the planner sees it, and what was done so far."""

    def __init__(self, world: World) -> None:
        self.world = world
        outside = [PLENTY] * (world.open - world.locations)
        self.columns = {sku: column.tolist() + outside for sku, column in enumerate(world.instance.stock.T)}
        self.cost = self.packages = self.split = self.lost = 0
        self.micros: list[float] = []

    def stock(self) -> Floats:
        """Return what is left: (locations, SKUs)."""
        rows = [self.columns[sku][: self.world.locations] for sku in range(self.world.skus)]
        return np.array(rows, dtype=np.float64).T

    def take(self, order: Order, at: Sequence[int]) -> None:
        """Ship the lines of an order from their locations; a line at the location after the last is lost."""
        j, skus = order
        nowhere = self.world.locations
        for sku, location in zip(skus, at, strict=True):
            if location == nowhere:
                self.lost += 1
            else:
                self.columns[sku][location] -= 1
                if self.columns[sku][location] < 0:
                    raise AssertionError("a policy ships what is not there")
        self.cost += self.world.cost(j, skus, at)
        parcels = len(set(at) - {nowhere})
        self.packages += parcels
        self.split += parcels > 1

    def decide(self, order: Order, prices: Prices | None) -> list[int]:
        """Return where the product's planner sends the lines of an order, with the stock there is."""
        j, skus = order
        world = self.world
        began = time.thread_time_ns()
        stock = {sku: self.columns[sku] for sku in skus}
        here = None
        if prices:
            here = {sku: p for sku in skus if (p := prices.get(sku))}
        plan = decide(world.lanes[j], world.lines(skus), stock, [], [], [], here)
        self.micros.append((time.thread_time_ns() - began) / 1000)
        at = [world.locations] * len(skus)
        for n, location, _ in plan.assignments:
            at[n] = location
        return at

    def run(self, price_seconds: float = 0.0, waves: Sequence[float] = ()) -> Run:
        """Return what came of it."""
        return Run(
            cost=self.cost,
            packages=self.packages,
            split=self.split,
            lost=self.lost,
            micros=self.micros,
            price_seconds=price_seconds,
            wave_seconds=tuple(waves),
        )


def one_by_one(world: World, rule: Callable[[Ledger, Order], list[int]]) -> Run:
    """Return what a rule without memory makes of an instance."""
    ledger = Ledger(world)
    for order in world.instance.orders:
        if order is not None:
            ledger.take(order, rule(ledger, order))
    return ledger.run()


def myopic(ledger: Ledger, order: Order) -> list[int]:
    """The cheapest plan for this order alone: the planner without prices."""
    return ledger.decide(order, None)


class Pricer:
    """Prices of stock from what a router may know: rates, or orders of the past."""

    def __init__(self, instance: Instance, *, cap: float, tolerance: float) -> None:
        """Take an instance. `cap` is in whole money; `tolerance` how near to the optimum the LP is solved."""
        self.instance = instance
        self.groups: dict[int, Baskets] = baskets_of(instance, instance.past)
        self.lp = Configurations(self.groups, (instance.stock.shape[0], instance.stock.shape[1]))
        by_lines: dict[int, list[int]] = {}
        for k, (_, skus) in enumerate(instance.past):
            by_lines.setdefault(len(skus), []).append(k)
        self.where = {n: np.array(found) for n, found in by_lines.items()}
        self.cap = cap
        self.tolerance = tolerance
        self.seconds = 0.0

    def array(self, stock: Floats, remaining: int) -> Floats:
        """Return prices, (locations, SKUs) in whole money, for so many arrivals to come."""
        began = time.perf_counter()
        counts = {n: self.instance.weights[where] * remaining for n, where in self.where.items()}
        found = self.lp.solve(counts, stock, tolerance=self.tolerance, rounds=MAX_ROUNDS)
        self.seconds += time.perf_counter() - began
        return np.minimum(found.prices, self.cap)

    def shares(self) -> dict[Order, Floats]:
        """Return what part of each line the LP sends from where, for every order type it expects any of."""
        locations = len(self.instance.stock)
        found: dict[Order, Floats] = {}
        for (n, basket), plans in self.lp.shares().items():
            x = np.zeros((locations + 1, n))
            for at, amount in plans:
                x[at, np.arange(n)] += amount
            found[self.instance.past[self.where[n][basket]]] = x / x.sum(axis=0)
        return found


def for_planner(prices: Floats) -> dict[int, dict[int, int]]:
    """Return prices as the planner takes them: millionths by SKU and location, without zeros."""
    whole = np.rint(prices * MONEY).astype(np.int64)
    found: dict[int, dict[int, int]] = {}
    for location, sku in np.argwhere(whole > 0).tolist():
        found.setdefault(sku, {})[location] = int(whole[location, sku])
    return found


def with_prices(world: World, pricer: Pricer, every: int) -> Run:
    """Return what the planner makes of an instance with prices renewed after so many arrivals."""
    ledger = Ledger(world)
    orders = world.instance.orders
    prices: Prices = {}
    for t, order in enumerate(orders):
        if t % every == 0:
            prices = for_planner(pricer.array(ledger.stock(), len(orders) - t))
        if order is not None:
            ledger.take(order, ledger.decide(order, prices))
    return ledger.run(pricer.seconds)


def in_waves(world: World, pricer: Pricer, size: int, seconds: float) -> Run:
    """Return what waves of so many held orders make of an instance, each with prices for the time after it.

    A wave that fails is planned one by one, at the same prices: as the product does it.
    """
    ledger = Ledger(world)
    orders = world.instance.orders
    took = []
    for t in range(0, len(orders), size):
        wave = [order for order in orders[t : t + size] if order is not None]
        stock = ledger.stock()
        after = len(orders) - t - size
        prices = pricer.array(stock, len(orders) - t) if after > 0 else np.zeros_like(stock)
        began = time.perf_counter()
        groups = baskets_of(world.instance, wave, lost_line=round(NEVER * MONEY))
        try:
            plans = plan_wave(groups, stock, prices, seconds=seconds).plans
        except SolverFailed:
            plans = {}
        took.append(time.perf_counter() - began)
        seen: dict[int, int] = {}
        for order in wave:
            n = len(order[1])
            at = plans.get((n, seen.get(n, 0)))
            seen[n] = seen.get(n, 0) + 1
            ledger.take(order, ledger.decide(order, for_planner(prices)) if at is None else at.tolist())
    return ledger.run(pricer.seconds, took)
