"""What screens ask about the stock of one SKU or one balance: deficits, holds, days, the ledger with its sum."""

from collections.abc import Sequence
from datetime import date, datetime

import msgspec

from malha.inventory.reads import LedgerRow
from malha.platform.db import Tx

MOST_HOLDS = 50

# The partial unique index on open deficits, which are few.
DEFICITS = """
SELECT sku_id, location_id, quantity, reason, found_at FROM stock_deficit
WHERE resolved_at IS NULL AND sku_id = ANY(%(skus)s::int[]) AND location_id = ANY(%(locations)s::int[])
ORDER BY found_at DESC
"""

# From the partial index on active holds to their lines by primary key: a SKU's old holds are never read.
HOLDS = """
SELECT h.reference, l.location_id, l.quantity, h.created_at, h.expires_at
FROM stock_hold h JOIN stock_hold_line l ON l.hold_id = h.id
WHERE h.state = 'active' AND h.expires_at > clock_timestamp()
  AND l.sku_id = %(sku)s::int AND l.location_id = ANY(%(locations)s::int[])
ORDER BY h.expires_at, h.reference
LIMIT %(most)s::int
"""

# Index movement_balance on the partitions of the last days only.
CHANGES_BY_DAY = """
SELECT location_id, (recorded_at AT TIME ZONE %(zone)s::text)::date AS day, sum(d_on_hand)::int AS change
FROM movement
WHERE sku_id = %(sku)s::int AND location_id = ANY(%(locations)s::int[]) AND recorded_at >= %(since)s::timestamptz
  AND d_on_hand <> 0 AND bucket = 'sellable'
GROUP BY 1, 2
"""

# Where a SKU has a balance, the newest rows of each by index movement_balance, and of those the newest; then, where a
# row of the page is from and by the same index, what changed since the oldest of them: the stock after a movement is
# the stock now without everything newer. So each row has its balance whatever filters leave out.
LEDGER = """
WITH shown AS MATERIALIZED (
    SELECT b.location_id, m.*
    FROM balance b
    CROSS JOIN LATERAL (
        SELECT id, recorded_at, occurred_at, d_on_hand, d_allocated, d_held, reason, ref_kind, ref_id, ref_text, actor
        FROM movement
        WHERE sku_id = %(sku)s::int AND location_id = b.location_id AND bucket = 'sellable'
          AND recorded_at <= coalesce(%(before)s::timestamptz, 'infinity')
          AND (recorded_at, id) < (coalesce(%(before)s::timestamptz, 'infinity'),
                                   coalesce(%(before_id)s::bigint, 9223372036854775807))
          AND (%(reason)s::text IS NULL OR reason = %(reason)s::text)
          AND recorded_at >= coalesce(%(since)s::timestamptz, '-infinity')
          AND recorded_at < coalesce(%(until)s::timestamptz, 'infinity')
        ORDER BY recorded_at DESC, id DESC
        LIMIT %(limit)s::int
    ) m
    WHERE b.sku_id = %(sku)s::int AND b.location_id = ANY (%(locations)s::int[])
    ORDER BY m.recorded_at DESC, m.id DESC
    LIMIT %(limit)s::int
), later AS (
    SELECT p.location_id, m.id, m.recorded_at, m.change
    FROM (SELECT location_id, min(recorded_at) AS since FROM shown GROUP BY location_id) p
    CROSS JOIN LATERAL (
        SELECT id, recorded_at,
               sum(d_on_hand) OVER (ORDER BY recorded_at DESC, id DESC ROWS UNBOUNDED PRECEDING) - d_on_hand AS change
        FROM movement
        WHERE sku_id = %(sku)s::int AND location_id = p.location_id AND bucket = 'sellable' AND recorded_at >= p.since
    ) m
)
SELECT s.id, s.recorded_at, s.occurred_at, s.d_on_hand, s.d_allocated, s.d_held, s.reason, s.ref_kind, s.ref_id,
       s.ref_text, s.actor, (b.on_hand - l.change)::int AS on_hand, n.code AS location, n.name AS location_name,
       e.code AS owner, e.name AS owner_name
FROM shown s
JOIN later l ON l.location_id = s.location_id AND l.id = s.id AND l.recorded_at = s.recorded_at
JOIN balance b ON b.sku_id = %(sku)s::int AND b.location_id = s.location_id
JOIN location n ON n.id = s.location_id
JOIN establishment e ON e.id = coalesce(n.owner_id, n.establishment_id)
ORDER BY s.recorded_at DESC, s.id DESC
"""


class DeficitRow(msgspec.Struct, frozen=True):
    """Units promised that are not there."""

    sku_id: int
    location_id: int
    quantity: int
    reason: str
    found_at: datetime


class HoldRow(msgspec.Struct, frozen=True):
    """Units held for a cart or a payment."""

    reference: str
    location_id: int
    quantity: int
    created_at: datetime
    expires_at: datetime


class PlacedLine(LedgerRow, frozen=True):
    """One movement of a SKU: where it was, whose goods that place keeps (by establishment), what was on hand there."""

    on_hand: int
    location: str
    location_name: str
    owner: str
    owner_name: str


class LedgerAsked(msgspec.Struct, frozen=True, kw_only=True):
    """Which movements of one SKU are wanted; `until` is exclusive."""

    sku_id: int
    location_ids: tuple[int, ...]
    reason: str | None = None
    since: datetime | None = None
    until: datetime | None = None


async def deficits(tx: Tx, sku_ids: Sequence[int], location_ids: Sequence[int]) -> list[DeficitRow]:
    """Return the open deficits of SKUs at locations, the newest first."""
    return await tx.all(DeficitRow, DEFICITS, {"skus": list(sku_ids), "locations": list(location_ids)})


async def holds(tx: Tx, sku_id: int, location_ids: Sequence[int]) -> list[HoldRow]:
    """Return the holds on a SKU that count, the first to end first, at most `MOST_HOLDS`."""
    return await tx.all(HoldRow, HOLDS, {"sku": sku_id, "locations": list(location_ids), "most": MOST_HOLDS})


async def changes_by_day(
    tx: Tx, sku_id: int, location_ids: Sequence[int], since: datetime, zone: str
) -> dict[tuple[int, date], int]:
    """Return by how many units the physical stock changed, by location and day of `zone`; quiet days are absent."""
    params = {"sku": sku_id, "locations": list(location_ids), "since": since, "zone": zone}
    return {(location, day): change for location, day, change in await tx.tuples(CHANGES_BY_DAY, params)}


async def ledger(
    tx: Tx, asked: LedgerAsked, *, before: tuple[datetime, int] | None = None, limit: int = 50
) -> list[PlacedLine]:
    """Return movements of a SKU at some locations, the newest first, each with the balance of its location after it.

    From before a (time, id) position.
    """
    at, id_ = before or (None, None)
    return await tx.all(
        PlacedLine,
        LEDGER,
        {
            "sku": asked.sku_id,
            "locations": list(asked.location_ids),
            "reason": asked.reason,
            "since": asked.since,
            "until": asked.until,
            "before": at,
            "before_id": id_,
            "limit": limit,
        },
    )
