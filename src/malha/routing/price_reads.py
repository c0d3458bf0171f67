"""Prices of stock that are in force, and what the next ones are made from."""

from collections.abc import Sequence
from datetime import timedelta
from typing import NamedTuple

from malha.inventory import reads as stock
from malha.platform.db import Tx
from malha.routing.model import StockPrices
from malha.routing.prices import OLDEST_S

# The newest version by primary key, if it is in force: prices never come back once a later version said no.
IN_FORCE = """
SELECT id, made_at FROM stock_price_version
WHERE id = (SELECT max(id) FROM stock_price_version) AND in_force
  AND made_at > now() - make_interval(secs => %(oldest)s::float8)
"""

# The newest version by primary key.
MADE_WITHIN = """
SELECT made_at > now() - make_interval(secs => %(seconds)s::float8)
FROM stock_price_version ORDER BY id DESC LIMIT 1
"""

# One version by the leading column of the primary key.
PRICES = """
SELECT sku_id, location_id, price FROM stock_price WHERE version_id = %(version)s::int
"""

# The newest orders by the index on placed_at, each with the stocked SKUs of its units (of kits: the components). Units
# that were cancelled were wanted too.
BASKETS = """
SELECT o.channel_id, o.method, o.service_id, o.ship_state, o.pickup_location_id, u.skus, u.units,
       extract(epoch FROM now() - o.placed_at) / 86400
FROM (SELECT id, channel_id, method, service_id, ship_state, pickup_location_id, placed_at FROM sales_order
      WHERE placed_at > now() - make_interval(days => %(days)s::int) AND placed_at <= now()
      ORDER BY placed_at DESC LIMIT %(most)s::int) o
CROSS JOIN LATERAL (
    SELECT array_agg(s.sku_id ORDER BY s.sku_id) AS skus, array_agg(s.units ORDER BY s.sku_id) AS units
    FROM (SELECT sku_id, sum(quantity)::int AS units FROM order_unit
          WHERE order_id = o.id AND sku_id IS NOT NULL GROUP BY sku_id) s) u
WHERE u.skus IS NOT NULL AND (o.ship_state IS NOT NULL OR o.pickup_location_id IS NOT NULL)
ORDER BY o.placed_at DESC
"""


class PastBasket(NamedTuple):
    """What one order of the past wanted: units of stocked SKUs, by a way that has a lane. `age` is in days."""

    channel_id: int
    method: str
    service_id: int | None
    to_state: str | None
    pickup_location_id: int | None
    skus: list[int]
    units: list[int]
    age: float


async def in_force(tx: Tx) -> StockPrices | None:
    """Return the prices of stock that routing takes into account; None: there are none, or they are too old."""
    found = await tx.tuples(IN_FORCE, {"oldest": OLDEST_S})
    if not found:
        return None
    ((version, made_at),) = found
    by_sku: dict[int, dict[int, int]] = {}
    for sku, location, price in await tx.tuples(PRICES, {"version": version}):
        by_sku.setdefault(sku, {})[location] = price
    return StockPrices(version, by_sku, made_at + timedelta(seconds=OLDEST_S))


async def made_within(tx: Tx, seconds: float) -> bool:
    """Return whether prices were made so recently, used or not."""
    return bool(await tx.value(MADE_WITHIN, {"seconds": seconds}))


async def past_baskets(tx: Tx, days: int, most: int) -> list[PastBasket]:
    """Return the newest baskets, newest first."""
    rows = await tx.tuples(BASKETS, {"days": days, "most": most})
    return [PastBasket._make((*row[:7], float(row[7]))) for row in rows]


async def free_units(tx: Tx, sku_ids: Sequence[int]) -> dict[tuple[int, int], int]:
    """Return the free units of SKUs by (SKU, location); what expired holds keep is not free yet."""
    found: dict[tuple[int, int], int] = {}
    for sku, location, units in await (await stock.queue_free_stock(tx, sku_ids)).fetchall():
        if units > 0:
            found[sku, location] = units
    return found
