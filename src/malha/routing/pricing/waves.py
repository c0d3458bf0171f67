"""A wave: where many waiting orders go together, each as a whole, exactly as far as the time allows. Pure.

The configuration LP of the wave alone, with prices for what its orders take from those to come, is nearly integral: its
columns hold a whole solution within a fraction of a thousandth, which HiGHS finds as a small integer programme.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from malha.routing.pricing.baskets import Baskets, Floats, Ints
from malha.routing.pricing.columns import Configurations, all_of, counts_of


class Wave(NamedTuple):
    """A whole wave's plans: the location of each line by (lines, basket in its group), in costs with prices.

    `bound` is what no plans of all its orders can cost less than: the certificate.
    """

    plans: dict[tuple[int, int], Ints]
    cost: float
    bound: float
    seconds: float


def priced(group: Baskets, prices: Floats) -> Baskets:
    """Return baskets whose parcels cost their stock's price besides. `prices` is (locations, SKUs), of one unit."""
    worth = np.vstack([prices, np.zeros((1, prices.shape[1]))])
    parcels = group.parcels.copy()
    sums: dict[int, Floats] = {}
    for s in range(1, len(parcels)):
        low = s & -s
        k = low.bit_length() - 1
        one: Floats = worth[:, group.skus[:, k]].T * group.units[:, k, None]
        sums[s] = one if s == low else sums[s ^ low] + one
        parcels[s] += sums[s]
    return Baskets(parcels, group.skus, group.units)


def plan_wave(
    groups: Mapping[int, Baskets],
    stock: Floats,
    prices: Floats | None,
    *,
    seconds: float = 2.0,
    gap: float = 1e-3,
    start: Mapping[int, Ints] | None = None,
) -> Wave:
    """Return where every basket goes, none taking what another one takes.

    Losing a line must cost more than any plan that ships it, so that none is given up while there is stock.

    Args:
        groups: baskets by number of lines.
        stock: (locations, SKUs).
        prices: (locations, SKUs) of one unit, for orders after this wave; None: nothing.
        seconds: half of them for the bound, half for whole plans.
        gap: how far from the LP the whole plans may be.
        start: whole plans that are possible, by number of lines; with them there is always an answer.

    Raises:
        SolverFailed: there were no whole plans in time.
    """
    own = dict(groups) if prices is None else {n: priced(group, prices) for n, group in groups.items()}
    lp = Configurations(own, (stock.shape[0], stock.shape[1]))
    for n, at in (start or {}).items():
        lp.suggest(n, at)
    counts = counts_of(own)
    found = lp.solve(counts, stock, tolerance=gap / 5, seconds=seconds / 2)
    whole = lp.whole(all_of(own), seconds=max(seconds / 2, seconds - found.seconds), gap=gap)
    return Wave(whole.plans, whole.cost, found.bound, found.seconds + whole.seconds)
