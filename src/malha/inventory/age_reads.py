"""How long goods have lain where they are."""

from collections.abc import Sequence

import msgspec

from malha.platform.db import Tx

# By the index on days, the longest first: what is aged is a fraction of a stock.
AGED = """
SELECT sku_id, location_id, days FROM stock_age WHERE days > %(days)s::int
ORDER BY days DESC, sku_id, location_id LIMIT %(most)s::int
"""
# By primary key.
AGES = """
SELECT sku_id, location_id, days, oldest, units FROM stock_age WHERE sku_id = ANY (%(skus)s::int[])
ORDER BY sku_id, location_id
"""
# By the index on when it was worked out: one look at its end.
STANDS = (
    "SELECT coalesce(min(worked_out_at) > now() - make_interval(secs => %(seconds)s::float8), false) FROM stock_age"
)


class Age(msgspec.Struct, frozen=True):
    """How many days the units of a SKU have lain at a location: their mean, and the first of them."""

    sku_id: int
    location_id: int
    days: int
    oldest: int
    units: int


async def aged(tx: Tx, days: int, most: int) -> list[tuple[int, int, int]]:
    """Return (SKU, location, days) of what has lain longer than some days, the longest first."""
    return await tx.tuples(AGED, {"days": days, "most": most})


async def ages(tx: Tx, skus: Sequence[int]) -> list[Age]:
    """Return how long SKUs have lain, where that is known."""
    return await tx.all(Age, AGES, {"skus": list(skus)})


async def stands(tx: Tx, seconds: float) -> bool:
    """Return whether all of it was worked out so recently; false where nothing is known."""
    return bool(await tx.value(STANDS, {"seconds": seconds}))
