"""One family measured: every policy over its instances, against the hindsight bound of each.

The bound is the configuration LP with all orders known and stock as it was: no plans of whole orders cost less. It is
printed with its own gap, how far it may lie below the LP's optimum; nothing here trusts that the LP was solved.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import msgspec
import numpy as np

from malha.bench.routing import baselines
from malha.bench.routing.families import FAMILIES, MONEY, Family, Instance, Order, make, read_places
from malha.bench.routing.policies import Pricer, Run, in_waves, myopic, one_by_one, with_prices
from malha.bench.routing.world import World, baskets_of
from malha.routing.pricing.columns import Configurations, Prices

BOUND_TOLERANCE = 3e-4
BOUND_ROUNDS = 60


class Tuning(msgspec.Struct, frozen=True):
    """How a family is played. Chosen on seeds other than the published ones."""

    renewals: int  # of prices over the whole time
    tolerance: float  # of the LP behind them
    cap: float  # whole money a unit
    wave: int = 0  # orders held together; 0: none


TUNING = {
    "js-small": Tuning(50, 2e-4, 25.0),
    "js-big": Tuning(20, 1e-3, 25.0),
    "oms-fast": Tuning(20, 1e-3, 25.0, 200),
    "oms-misplaced": Tuning(20, 1e-3, 25.0, 200),
    "oms-stores": Tuning(10, 2e-3, 25.0, 200),
    "oms-slow": Tuning(10, 2e-3, 25.0, 200),
}
WAVE_SECONDS = 10.0


class Played(msgspec.Struct, frozen=True, kw_only=True):
    """One instance: costs over its bound, by policy."""

    number: int
    bound: float
    bound_gap: float
    orders: int
    ratios: dict[str, float]
    packages: dict[str, float]  # an order
    split: dict[str, float]  # share of orders
    lost: dict[str, int]
    micros: list[float]
    price_seconds: float
    wave_seconds: list[float]


def bound_of(instance: Instance) -> Prices:
    """Return the hindsight bound, in whole money: all orders of the instance known."""
    wanted = Counter(order for order in instance.orders if order is not None)
    orders = list(wanted)
    by_lines: dict[int, list[int]] = {}
    for order in orders:
        by_lines.setdefault(len(order[1]), []).append(wanted[order])
    counts = {n: np.array(found, dtype=np.float64) for n, found in by_lines.items()}
    stock = instance.stock.astype(np.float64)
    lp = Configurations(baskets_of(instance, orders), (stock.shape[0], stock.shape[1]))
    return lp.solve(counts, stock, tolerance=BOUND_TOLERANCE, rounds=BOUND_ROUNDS)


def play(family: Family, directory: Path, seed: int, number: int) -> Played:
    """Play one instance with every policy."""
    tuning = TUNING[family.name]
    instance = make(family, read_places(directory, small=family.name == "js-small"), seed, number)
    world = World(instance)
    hindsight = bound_of(instance)
    runs = {
        "nearest": one_by_one(world, baselines.nearest),
        "nearest_complete": one_by_one(world, baselines.nearest_complete),
        "fewest_splits": one_by_one(world, baselines.fewest_splits),
        "myopic": one_by_one(world, myopic),
    }
    pricer = Pricer(instance, cap=tuning.cap, tolerance=tuning.tolerance)
    if not instance.sampled:
        pricer.array(instance.stock.astype(np.float64), len(instance.orders))
        rng = np.random.default_rng([seed, number, 1])
        runs["forced_open"] = one_by_one(world, baselines.forced_open(pricer.shares(), rng))
    runs["prices"] = with_prices(world, pricer, max(1, len(instance.orders) // tuning.renewals))
    if tuning.wave:
        waves = Pricer(instance, cap=tuning.cap, tolerance=tuning.tolerance)
        runs["waves"] = in_waves(world, waves, tuning.wave, WAVE_SECONDS)
    orders = sum(order is not None for order in instance.orders)
    return Played(
        number=number,
        bound=hindsight.bound,
        bound_gap=hindsight.gap,
        orders=orders,
        ratios={name: run.cost / MONEY / hindsight.bound for name, run in runs.items()},
        packages={name: run.packages / orders for name, run in runs.items()},
        split={name: run.split / orders for name, run in runs.items()},
        lost={name: run.lost for name, run in runs.items()},
        micros=runs["prices"].micros,
        price_seconds=runs["prices"].price_seconds,
        wave_seconds=list(runs["waves"].wave_seconds) if tuning.wave else [],
    )


def run(
    name: str, directory: Path, *, instances: int, seed: int, processes: int, say: Callable[[str], None]
) -> dict[str, object]:
    """Play a family and return its figures.

    `ratio` is the cost of the product's way (waves where the family holds orders, else prices) over the bound, the mean
    over instances; `sd` its deviation; `gap_captured` how much of what lies between the exact myopic plan and the bound
    it gains.
    """
    family = FAMILIES[name]
    one = partial(play, family, directory, seed)
    played: list[Played] = []

    def keep(found: Played) -> None:
        played.append(found)
        said = ", ".join(f"{policy} {ratio:.4f}" for policy, ratio in found.ratios.items())
        say(f"{name} {len(played)}/{instances}: bound {found.bound:.1f} (gap {found.bound_gap:.2%}); {said}")

    if processes == 1:
        for number in range(instances):
            keep(one(number))
    else:
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            for found in pool.map(one, range(instances)):
                keep(found)
    return figures(family, played, seed)


def figures(family: Family, played: Sequence[Played], seed: int) -> dict[str, object]:
    """Return what many instances say together."""
    main = "waves" if TUNING[family.name].wave else "prices"

    def mean(policy: str) -> float:
        return float(np.mean([p.ratios[policy] for p in played]))

    micros = np.concatenate([p.micros for p in played])
    waves = [second for p in played for second in p.wave_seconds]
    names = [n for n in played[0].ratios if n not in {"prices", "waves"}]
    found: dict[str, object] = {
        "family": family.name,
        "instances": len(played),
        "seed": seed,
        "orders": sum(p.orders for p in played),
        "policy": main,
        "ratio": round(mean(main), 5),
        "sd": round(float(np.std([p.ratios[main] for p in played])), 5),
        "worst": round(max(p.ratios[main] for p in played), 5),
        "prices": round(mean("prices"), 5),
        "bound_gap": round(max(p.bound_gap for p in played), 6),
        "gap_captured": round((mean("myopic") - mean(main)) / (mean("myopic") - 1), 4),
        "us_p50": round(float(np.percentile(micros, 50)), 1),
        "us_p99": round(float(np.percentile(micros, 99)), 1),
        "baselines": {n: round(mean(n), 5) for n in names},
        "packages": {n: round(float(np.mean([p.packages[n] for p in played])), 4) for n in played[0].packages},
        "split": {n: round(float(np.mean([p.split[n] for p in played])), 4) for n in played[0].split},
        "lost": {n: sum(p.lost[n] for p in played) for n in played[0].lost},
        "price_seconds": round(float(np.mean([p.price_seconds for p in played])), 2),
    }
    if waves:
        found |= {"wave_s_mean": round(float(np.mean(waves)), 3), "wave_s_max": round(max(waves), 3)}
    return found


__all__ = ["Order", "Run", "bound_of", "figures", "play", "run"]
