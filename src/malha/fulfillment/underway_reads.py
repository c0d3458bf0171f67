"""Goods under way at a moment: picked, packed or invoiced by then, and still on the shelf or in the dock."""

from collections.abc import Sequence
from datetime import datetime

from malha.platform.db import Tx

# Units that are here by the index on claimed units; those that left since, by the ledger's newest pages and then the
# units of those orders.
UNDERWAY = """
WITH gone AS (
    SELECT DISTINCT m.ref_id FROM movement m
    WHERE m.recorded_at > %(at)s::timestamptz AND m.reason IN ('ship', 'hand_over')
      AND m.location_id = ANY (%(locations)s::int[])
), units AS (
    SELECT u.sku_id, u.location_id, u.quantity, u.fulfillment_id, u.document_id FROM order_unit u
    WHERE u.location_id = ANY (%(locations)s::int[]) AND u.sku_id IS NOT NULL
      AND u.state IN ('picked', 'awaiting_document', 'packed', 'invoiced', 'ready')
    UNION ALL
    SELECT u.sku_id, u.location_id, u.quantity, u.fulfillment_id, u.document_id
    FROM gone g JOIN order_unit u ON u.order_id = g.ref_id JOIN shipment s ON s.id = u.shipment_id
    WHERE u.location_id = ANY (%(locations)s::int[]) AND u.sku_id IS NOT NULL
      AND u.state IN ('shipped', 'delivered', 'collected') AND s.shipped_at > %(at)s::timestamptz
)
SELECT u.sku_id, u.location_id, sum(u.quantity)::int
FROM units u
JOIN fulfillment_order f ON f.id = u.fulfillment_id
LEFT JOIN fiscal_document d ON d.id = u.document_id AND d.state = 'authorised'
WHERE CASE %(stage)s::text
          WHEN 'pick' THEN coalesce(f.picked_at, f.packed_at)
          WHEN 'pack' THEN f.packed_at
          ELSE coalesce(d.authorised_at, d.issued_at) END <= %(at)s::timestamptz
GROUP BY u.sku_id, u.location_id
ORDER BY u.sku_id, u.location_id
"""


async def underway(tx: Tx, stage: str, at: datetime, locations: Sequence[int]) -> list[tuple[int, int, int]]:
    """Return (sku_id, location_id, units) that had passed a stage by a moment and had not left then.

    Args:
        tx: the transaction.
        stage: `pick`, `pack` or `invoice`.
        at: the moment.
        locations: where.
    """
    asked = {"stage": stage, "at": at, "locations": list(locations)}
    return [(sku, place, units) for sku, place, units in await tx.tuples(UNDERWAY, asked)]
