"""Rules that other systems use, on live stock: what routing is compared with."""

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations, islice

import numpy as np

from malha.bench.routing.families import Order
from malha.bench.routing.policies import Ledger
from malha.routing.pricing.baskets import Floats

MAX_SPLITS = 5
MAX_COMBINATIONS = 10_000
SURE = 1e-12

Having = tuple[int, int]  # a location, and the lines it has
Chosen = tuple[Having, ...]
Rule = Callable[[Ledger, Order], list[int]]
Shares = Mapping[Order, Floats]  # (locations + 1, lines): what part of a line the LP sends from where


def nearest(ledger: Ledger, order: Order) -> list[int]:
    """Line by line, the nearest location that has it."""
    j, skus = order
    near = ledger.world.near[j]
    return [
        next((location for location in near if ledger.columns[sku][location] > 0), ledger.world.locations)
        for sku in skus
    ]


def nearest_complete(ledger: Ledger, order: Order) -> list[int]:
    """The nearest location that has the whole order, else the one with most of its lines; again for the rest."""
    j, skus = order
    near = ledger.world.near[j]
    at = [ledger.world.locations] * len(skus)
    left = set(range(len(skus)))
    while left:
        have = [(sum(ledger.columns[skus[k]][location] > 0 for k in left), location) for location in near]
        most = max(count for count, _ in have)
        if not most:
            break
        best = next(location for count, location in have if count == most)
        for k in sorted(left):
            if ledger.columns[skus[k]][best] > 0:
                at[k] = best
                left.discard(k)
    return at


def fewest_splits(ledger: Ledger, order: Order) -> list[int]:
    """The fewest locations that have everything together; the smallest mean distance among equals.

    As Salesforce describes it: one location, then pairs, triples, up to five, at most 10,000 combinations of a size.
    What nobody has is left out first. Where five locations do not do, the nearest complete rule decides.
    """
    j, skus = order
    world = ledger.world
    masks = []
    for location in world.near[j]:
        mask = sum(1 << k for k, sku in enumerate(skus) if ledger.columns[sku][location] > 0)
        if mask:
            masks.append((location, mask))
    whole = 0
    for _, mask in masks:
        whole |= mask
    if not whole:
        return [world.locations] * len(skus)
    for size in range(1, min(MAX_SPLITS, len(masks)) + 1):
        chosen = _nearest_together(masks, size, whole, world.distances[j])
        if chosen is not None:
            return [
                next((location for location, mask in chosen if mask >> k & 1), world.locations)
                for k in range(len(skus))
            ]
    return nearest_complete(ledger, order)


def _nearest_together(masks: Sequence[Having], size: int, whole: int, distance: Sequence[float]) -> Chosen | None:
    """Return the nearest of so many locations that have everything; None: there are none among those tried."""
    best: tuple[float, Chosen] | None = None
    for chosen in islice(combinations(masks, size), MAX_COMBINATIONS):
        together = 0
        for _, mask in chosen:
            together |= mask
        if together == whole:
            far = sum(distance[location] for location, _ in chosen)
            if best is None or far < best[0]:
                best = far, chosen
            if size == 1:
                break  # they come from the nearest on
    return None if best is None else best[1]


def forced_open(shares: Shares, rng: np.random.Generator) -> Rule:
    """Ma's forced-open rounding of an LP solved once: random, by what part of each line goes from where.

    The parts are those of the configuration LP, which is tighter than the LP that Ma rounds. What the drawn location
    does not have is lost, as there.
    """

    def rule(ledger: Ledger, order: Order) -> list[int]:
        nowhere = ledger.world.locations
        drawn = _round(shares[order], rng)
        return [
            location if location == nowhere or ledger.columns[sku][location] > 0 else nowhere
            for location, sku in zip(drawn, order[1], strict=True)
        ]

    return rule


def _round(x: Floats, rng: np.random.Generator) -> Sequence[int]:
    clock = rng.exponential(size=len(x))
    drawn = []
    for k in range(x.shape[1]):
        part = x[:, k]
        opens = np.full(len(part), np.inf)
        np.divide(clock, part, out=opens, where=part > SURE)
        main = int(part.argmax())
        most = float(part[main])
        if most < 1 - SURE:
            forced = rng.random() < (1 - most) / (1 - most + most * np.exp(1 / most) - np.e)
            opens[main] = 1 / most if forced else min(clock[main], 1.0) / most
        drawn.append(int(opens.argmin()))
    return drawn
