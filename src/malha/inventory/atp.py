"""Common stock of many balances in a compact form, for answers about availability: one row per SKU, arrays by place."""

from collections.abc import Sequence
from typing import Any

import msgspec
from psycopg import AsyncCursor

from malha.platform import arrays
from malha.platform.db import Tx

# Balances by primary key, in its order. Arrays cost a tenth of what rows cost, and joins with what is nearly always
# empty would cost more than all of it: that is asked apart.
COMMON = """
SELECT b.sku_id, array_agg(b.location_id), array_agg(b.on_hand - b.allocated - b.held - b.safety - b.fenced)
FROM balance b
WHERE b.sku_id = ANY (%(skus)s::int[]) AND b.location_id = ANY (%(locations)s::int[])
GROUP BY b.sku_id
"""
# The same at all locations.
EVERYWHERE = """
SELECT b.sku_id, array_agg(b.location_id), array_agg(b.on_hand - b.allocated - b.held - b.safety - b.fenced)
FROM balance b WHERE b.sku_id = ANY (%(skus)s::int[]) GROUP BY b.sku_id
"""
# Units of expired holds that nobody retired yet, without what goes back to fences: few, by the index on expiry.
EXPIRED = """
SELECT l.sku_id, l.location_id, sum(l.quantity - coalesce(
           (SELECT sum(d.quantity) FROM stock_draw d
            WHERE d.claim_id = l.hold_id AND d.sku_id = l.sku_id AND d.location_id = l.location_id
              AND d.allotment_id IS NOT NULL), 0))::int
FROM stock_hold h JOIN stock_hold_line l ON l.hold_id = h.id
WHERE h.state = 'active' AND h.expires_at <= clock_timestamp() AND l.sku_id = ANY (%(skus)s::int[])
GROUP BY l.sku_id, l.location_id
"""
# What a channel is not to publish beyond the safety stock that is taken off already; by primary key, rules only.
UNPUBLISHED = """
SELECT DISTINCT ON (s.sku_id, s.location_id) s.sku_id, s.location_id, s.quantity - b.safety
FROM safety_online s JOIN balance b ON b.sku_id = s.sku_id AND b.location_id = s.location_id
WHERE s.sku_id = ANY (%(skus)s::int[]) AND s.channel_id IN (0, %(channel)s::int)
ORDER BY s.sku_id, s.location_id, s.channel_id DESC
"""


class Asked(msgspec.Struct, frozen=True):
    """Questions on their way; read them when the round trip is over."""

    common: AsyncCursor[tuple[Any, ...]]
    expired: AsyncCursor[tuple[Any, ...]]
    unpublished: AsyncCursor[tuple[Any, ...]]


async def ask(tx: Tx, sku_ids: Sequence[int], location_ids: Sequence[int], channel_id: int) -> Asked:
    """Ask for (SKU, places, common units), and by balance for units of expired holds and units not to publish.

    Common units may be negative; units not to publish are beyond safety stock, negative where that is more. For
    `tx.pipeline()`.
    """
    skus = arrays.ints(sku_ids)
    return Asked(
        await tx.cursor_of(COMMON, {"skus": skus, "locations": arrays.ints(location_ids)}),
        await tx.cursor_of(EXPIRED, {"skus": skus}),
        await tx.cursor_of(UNPUBLISHED, {"skus": skus, "channel": channel_id}),
    )


class AskedCommon(msgspec.Struct, frozen=True):
    """Questions on their way; read them when the round trip is over."""

    common: AsyncCursor[tuple[Any, ...]]
    expired: AsyncCursor[tuple[Any, ...]]


async def ask_common(tx: Tx, sku_ids: Sequence[int]) -> AskedCommon:
    """Ask for (SKU, places, common units) at all locations, and for units of expired holds. For `tx.pipeline()`."""
    skus = arrays.ints(sku_ids)
    return AskedCommon(await tx.cursor_of(EVERYWHERE, {"skus": skus}), await tx.cursor_of(EXPIRED, {"skus": skus}))
