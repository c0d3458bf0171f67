"""Stock as it stands. Expired holds that nobody retired yet count as free."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from psycopg import AsyncCursor

from malha.inventory.model import Availability
from malha.platform import arrays
from malha.platform.db import Tx
from malha.platform.ids import UUID

# Expired holds are few and indexed by expiry; the balance rows come by primary key. What an expired hold drew from a
# fence goes back there, not into common stock.
AVAILABILITY = """
SELECT b.sku_id, b.location_id, b.on_hand, b.allocated, b.held, b.safety,
       b.on_hand - b.allocated - b.held - b.safety - b.fenced + coalesce(x.quantity, 0)::int AS free, b.fenced
FROM balance b
LEFT JOIN (
    SELECT l.sku_id, l.location_id, sum(l.quantity - coalesce(
               (SELECT sum(d.quantity) FROM stock_draw d
                WHERE d.claim_id = l.hold_id AND d.sku_id = l.sku_id AND d.location_id = l.location_id
                  AND d.allotment_id IS NOT NULL), 0)) AS quantity
    FROM stock_hold h JOIN stock_hold_line l ON l.hold_id = h.id
    WHERE h.state = 'active' AND h.expires_at <= clock_timestamp()
    GROUP BY l.sku_id, l.location_id
) x ON x.sku_id = b.sku_id AND x.location_id = b.location_id
WHERE b.sku_id = ANY (%(skus)s::int[])
  AND (%(locations)s::int[] IS NULL OR b.location_id = ANY (%(locations)s::int[]))
ORDER BY b.sku_id, b.location_id
"""

# One balance by what people call it; where there is none yet, nothing is on hand.
NAMED_BALANCE = """
SELECT v.sku, l.code, coalesce((SELECT b.on_hand FROM balance b WHERE b.sku_id = v.id AND b.location_id = l.id), 0)
FROM variant v CROSS JOIN location l WHERE v.id = %(sku)s::int AND l.id = %(location)s::int
"""

# The same of thousands of balances: arrays by SKU cost half of what rows cost. Balances by primary key; then, with no
# quantity on hand, what expired holds still keep from being free, by the index on expiry: there is none almost always.
AVAILABILITY_ARRAYS = """
SELECT b.sku_id, array_agg(b.location_id), array_agg(b.on_hand), array_agg(b.allocated), array_agg(b.held),
       array_agg(b.safety), array_agg(b.on_hand - b.allocated - b.held - b.safety - b.fenced), array_agg(b.fenced)
FROM balance b
WHERE b.sku_id = ANY (%(skus)s::int[]) AND b.location_id = ANY (%(locations)s::int[])
GROUP BY b.sku_id
UNION ALL
SELECT l.sku_id, ARRAY[l.location_id], NULL, NULL, NULL, NULL, ARRAY[sum(l.quantity - coalesce(
           (SELECT sum(d.quantity) FROM stock_draw d
            WHERE d.claim_id = l.hold_id AND d.sku_id = l.sku_id AND d.location_id = l.location_id
              AND d.allotment_id IS NOT NULL), 0))::int], NULL
FROM stock_hold h JOIN stock_hold_line l ON l.hold_id = h.id
WHERE h.state = 'active' AND h.expires_at <= clock_timestamp()
  AND l.sku_id = ANY (%(skus)s::int[]) AND l.location_id = ANY (%(locations)s::int[])
GROUP BY l.sku_id, l.location_id
"""

# The gate's snapshot: only pairs with something free, as narrow as it gets. What expired holds still keep from being
# free comes as negative units; there is none almost always.
FREE_STOCK = """
SELECT b.sku_id, b.location_id, b.on_hand - b.allocated - b.held - b.safety - b.fenced
FROM balance b
WHERE b.sku_id = ANY (%(skus)s::int[]) AND b.on_hand - b.allocated - b.held - b.safety - b.fenced > 0
UNION ALL
SELECT l.sku_id, l.location_id, -l.quantity
FROM stock_hold h JOIN stock_hold_line l ON l.hold_id = h.id
WHERE h.state = 'active' AND h.expires_at <= clock_timestamp() AND l.sku_id = ANY (%(skus)s::int[])
"""

# The same with arrays by SKU, for the gate: a tenth of the rows to send and to read, where a SKU has stock at ten
# locations. By the primary key, whose order the arrays follow. NULLs: an expired hold has units of the SKU.
FREE_STOCK_BY_SKU = """
SELECT b.sku_id, array_agg(b.location_id), array_agg(b.on_hand - b.allocated - b.held - b.safety - b.fenced)
FROM balance b
WHERE b.sku_id = ANY (%(skus)s::int[]) AND b.on_hand - b.allocated - b.held - b.safety - b.fenced > 0
GROUP BY b.sku_id
UNION ALL
SELECT l.sku_id, NULL, NULL
FROM stock_hold h JOIN stock_hold_line l ON l.hold_id = h.id
WHERE h.state = 'active' AND h.expires_at <= clock_timestamp() AND l.sku_id = ANY (%(skus)s::int[])
"""

# FREE_STOCK under locks in key order, for a second try after a refusal: nothing can move between reading and claiming.
FREE_STOCK_LOCKED = """
SELECT b.sku_id, b.location_id, b.on_hand - b.allocated - b.held - b.safety - b.fenced
FROM balance b
WHERE b.sku_id = ANY (%(skus)s::int[])
ORDER BY b.sku_id, b.location_id
FOR NO KEY UPDATE
"""

LEDGER = """
SELECT id, recorded_at, occurred_at, d_on_hand, d_allocated, d_held, reason, ref_kind, ref_id, ref_text, actor
FROM movement
WHERE sku_id = %(sku_id)s::int AND location_id = %(location_id)s::int AND bucket = %(bucket)s::text
  AND (recorded_at, id) < (coalesce(%(before)s::timestamptz, 'infinity'),
                           coalesce(%(before_id)s::bigint, 9223372036854775807))
ORDER BY recorded_at DESC, id DESC
LIMIT %(limit)s::int
"""


class LedgerRow(msgspec.Struct, frozen=True):
    """One movement, newest first."""

    id: int
    recorded_at: datetime
    occurred_at: datetime
    d_on_hand: int
    d_allocated: int
    d_held: int
    reason: str
    ref_kind: str | None
    ref_id: UUID | None
    ref_text: str | None
    actor: str


# By the unique index on active references.
LOCATIONS_OF_HOLD = """
SELECT DISTINCT l.location_id FROM stock_hold h JOIN stock_hold_line l ON l.hold_id = h.id
WHERE h.reference = %(reference)s::text AND h.state = 'active'
"""


async def availability(tx: Tx, sku_ids: Sequence[int], location_ids: Sequence[int] | None = None) -> list[Availability]:
    """Return the balances of SKUs, at some or all locations, in key order. Pairs that never had stock are absent."""
    locations = None if location_ids is None else list(location_ids)
    return await tx.all(Availability, AVAILABILITY, {"skus": list(sku_ids), "locations": locations})


Quantities = tuple[int, int, int, int, int, int, int, int]


async def availability_rows(tx: Tx, sku_ids: Sequence[int], location_ids: Sequence[int]) -> list[Quantities]:
    """As `availability`, as (SKU, location, on hand, allocated, held, safety, free, fenced), in no order.

    For thousands of balances.
    """
    asked = {"skus": arrays.ints(sku_ids), "locations": arrays.ints(location_ids)}
    found: list[Quantities] = []
    freed: dict[tuple[int, int], int] = {}
    for sku_id, places, on_hand, allocated, held, safety, free, fenced in await tx.tuples(AVAILABILITY_ARRAYS, asked):
        if on_hand is None:
            freed[sku_id, places[0]] = free[0]
        else:
            columns = zip(places, on_hand, allocated, held, safety, free, fenced, strict=True)
            found += [(sku_id, *quantities) for quantities in columns]
    if freed:
        found = [(*row[:6], row[6] + freed.get(row[:2], 0), row[7]) for row in found]
    return found


async def ledger(
    tx: Tx,
    sku_id: int,
    location_id: int,
    *,
    before: datetime | None = None,
    before_id: int | None = None,
    limit: int = 50,
    bucket: str = "sellable",
) -> list[LedgerRow]:
    """Return a bucket's movements, newest first, from before a (time, id) position."""
    return await tx.all(
        LedgerRow,
        LEDGER,
        {
            "sku_id": sku_id,
            "location_id": location_id,
            "bucket": bucket,
            "before": before,
            "before_id": before_id,
            "limit": limit,
        },
    )


async def queue_free_stock(tx: Tx, sku_ids: Sequence[int], *, lock: bool = False) -> AsyncCursor[tuple[Any, ...]]:
    """Ask for (sku_id, location_id, free units).

    Negative units are those of expired holds, which somebody has to retire first. With `lock`, all balances are there,
    and are held until the transaction ends. For `tx.pipeline()`: read the cursor when everything of the round trip is
    queued.
    """
    return await tx.cursor_of(FREE_STOCK_LOCKED if lock else FREE_STOCK, {"skus": arrays.ints(sku_ids)})


async def queue_free_by_sku(tx: Tx, sku_ids: Sequence[int]) -> AsyncCursor[tuple[Any, ...]]:
    """Ask for (sku_id, location ids, free units there) of SKUs with anything free.

    (sku_id, None, None) says that expired holds have units of it, which somebody has to retire first. For
    `tx.pipeline()`, as `queue_free_stock`.
    """
    return await tx.cursor_of(FREE_STOCK_BY_SKU, {"skus": arrays.ints(sku_ids)})


async def known_pairs(tx: Tx, sku_ids: Sequence[int]) -> set[tuple[int, int]]:
    """Return the (sku_id, location_id) pairs of SKUs that ever had stock."""
    return {(a.sku_id, a.location_id) for a in await availability(tx, sku_ids)}


async def locations_of_hold(tx: Tx, reference: str) -> list[int]:
    """Return where an active hold keeps units; nothing when there is no such hold."""
    return await tx.values(LOCATIONS_OF_HOLD, {"reference": reference})
