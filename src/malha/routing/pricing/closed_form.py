"""Prices without a solver, for when there is none or it failed: a tenth of the gain, at any time. Pure.

A unit is worth what its absence would cost times how likely that is: the difference between the second cheapest
location and this one, for the demand that is nearest to it, times the chance that this demand uses up the stock.
"""

import math

import numpy as np

from malha.routing.pricing.baskets import Floats


def chance_of_at_least(stock: int, mean: float) -> float:
    """Return the chance that Poisson demand of this mean reaches `stock`."""
    if stock <= 0:
        return 1.0
    if mean <= 0:
        return 0.0
    logs = -mean + np.arange(stock) * math.log(mean) - np.array([math.lgamma(k + 1) for k in range(stock)])
    return float(max(0.0, 1.0 - np.exp(logs).sum()))


def closed_form(costs: Floats, demand: Floats, stock: Floats, lost: float) -> Floats:
    """Return prices, (locations, SKUs).

    Args:
        costs: (locations, destinations, SKUs): a unit by itself, from a location to a destination.
        demand: (destinations, SKUs): units expected until new stock comes.
        stock: (locations, SKUs).
        lost: what a unit costs that no location has.
    """
    locations, _, skus = costs.shape
    prices = np.zeros((locations, skus))
    for sku in range(skus):
        have = np.flatnonzero(stock[:, sku] > 0)
        if not len(have):
            continue
        here = costs[have, :, sku]
        first = here.argmin(axis=0)
        cheapest = here.min(axis=0)
        alone = len(have) == 1
        second = np.full(len(cheapest), np.inf) if alone else np.partition(here, 1, axis=0)[1]
        loss = np.minimum(second, lost) - cheapest
        for k, location in enumerate(have.tolist()):
            own = first == k
            mean = float(demand[own, sku].sum())
            if mean > 0:
                mine = float((np.maximum(loss[own], 0.0) * demand[own, sku]).sum()) / mean
                prices[location, sku] = mine * chance_of_at_least(int(stock[location, sku]), mean)
    return prices
