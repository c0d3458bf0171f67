"""Putting prices of stock into force, and taking them back."""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from malha.platform import revisions
from malha.platform.db import Tx
from malha.routing import price_writes

REVISION = "stock_prices"
KEPT_DAYS = 7
MOST_SAID = 2_000  # characters of a problem
LEAST_BASKETS = 200  # fewer say too little
LEAST_SAVING = 0.001  # of cost, on baskets the prices were not made from
OLDEST_S = 3_600.0  # several runs are missed by then: nobody makes new ones, and they are of a stock that is gone
HORIZON_DAYS = 7.0  # prices are for what comes until then


class Basis(NamedTuple):
    """What a price rests on: free units there, and those that `HORIZON_DAYS` are expected to ask for.

    `shipped` are the SKU's in orders that are sent, from wherever; `fetched` those that customers fetch there.
    """

    free: int
    shipped: float
    fetched: float


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """New prices, centavos by (SKU, location), how they were found, and what they saved where it could be checked."""

    method: str  # "programme", "closed_form" or "none": it failed
    prices: Mapping[tuple[int, int], int]
    baskets: int
    bound_gap: float | None
    saving: float
    seconds: float
    in_force: bool
    at_risk: int | None = None  # SKUs
    problem: str = ""  # why there is no solution of the programme
    bases: Mapping[tuple[int, int], Basis] = {}  # of prices, as far as they are known


async def keep(tx: Tx, found: Found) -> int:
    """Store a version of prices; the gate looks at it within a second. Whatever was in force before is no longer.

    Where a person turned prices off meanwhile, the new ones are not in force.
    """
    in_force = bool(await tx.value(price_writes.LOCK_WISH)) and found.in_force
    await withdraw(tx)
    version = int(
        await tx.value(
            price_writes.INSERT_VERSION,
            {
                "method": found.method,
                "baskets": found.baskets,
                "bound_gap": found.bound_gap,
                "saving": found.saving,
                "seconds": found.seconds,
                "in_force": in_force,
                "at_risk": found.at_risk,
                "problem": found.problem[:MOST_SAID],
            },
        )
    )
    pairs = sorted(pair for pair, price in found.prices.items() if price > 0)
    bases = [found.bases.get(pair) for pair in pairs]
    if pairs:
        await tx.execute(
            price_writes.INSERT_PRICES,
            {
                "version": version,
                "skus": [sku for sku, _ in pairs],
                "locations": [location for _, location in pairs],
                "prices": [found.prices[pair] for pair in pairs],
                "free": [None if basis is None else basis.free for basis in bases],
                "shipped": [None if basis is None else basis.shipped for basis in bases],
                "fetched": [None if basis is None else basis.fetched for basis in bases],
            },
        )
    await tx.execute(price_writes.DROP_OLD, {"days": KEPT_DAYS})
    if in_force:
        await revisions.bump(tx, REVISION)
    return version


def failure(problem: str, seconds: float) -> Found:
    """Return what is kept of a run that came to nothing."""
    return Found(
        method="none",
        prices={},
        baskets=0,
        bound_gap=None,
        saving=0.0,
        seconds=seconds,
        in_force=False,
        problem=problem,
    )


async def withdraw(tx: Tx) -> bool:
    """Take prices out of force: orders are planned by themselves. Returns whether there were any."""
    if not await tx.values(price_writes.WITHDRAW):
        return False
    await revisions.bump(tx, REVISION)
    return True
