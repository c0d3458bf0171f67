"""Putting prices of stock into force, and taking them back."""

from collections.abc import Mapping

import msgspec

from malha.platform import revisions
from malha.platform.db import Tx
from malha.routing import price_writes

REVISION = "stock_prices"
KEPT_DAYS = 7


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """New prices, centavos by (SKU, location), how they were found, and what they saved where it could be checked."""

    method: str  # "programme" or "closed_form"
    prices: Mapping[tuple[int, int], int]
    baskets: int
    bound_gap: float | None
    saving: float
    seconds: float
    in_force: bool


async def keep(tx: Tx, found: Found) -> int:
    """Store a version of prices; the gate looks at it within a second. Whatever was in force before is no longer."""
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
                "in_force": found.in_force,
            },
        )
    )
    pairs = sorted(pair for pair, price in found.prices.items() if price > 0)
    if pairs:
        await tx.execute(
            price_writes.INSERT_PRICES,
            {
                "version": version,
                "skus": [sku for sku, _ in pairs],
                "locations": [location for _, location in pairs],
                "prices": [found.prices[pair] for pair in pairs],
            },
        )
    await tx.execute(price_writes.DROP_OLD, {"days": KEPT_DAYS})
    if found.in_force:
        await revisions.bump(tx, REVISION)
    return version


async def withdraw(tx: Tx) -> bool:
    """Take prices out of force: orders are planned by themselves. Returns whether there were any."""
    if not await tx.values(price_writes.WITHDRAW):
        return False
    await revisions.bump(tx, REVISION)
    return True
