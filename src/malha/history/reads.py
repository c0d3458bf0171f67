"""What an import of history adds up to."""

from malha.platform.db import Tx
from malha.platform.ids import UUID

# The unique index on (channel_id, external_id).
STATUSES = """
SELECT external_id, status FROM sales_order WHERE channel_id = %(channel)s::int
"""

OPEN_HOLDS = """
SELECT h.kind, count(*)::int
FROM order_hold h JOIN sales_order o ON o.id = h.order_id
WHERE o.channel_id = %(channel)s::int AND h.resolved_at IS NULL
GROUP BY h.kind ORDER BY h.kind
"""

# Captured by the ledger; pending is what tenders promise beyond it.
MONEY = """
SELECT coalesce(sum(e.captured), 0)::bigint, coalesce(sum(t.amount - e.captured), 0)::bigint
FROM sales_order o
JOIN tender t ON t.order_id = o.id
CROSS JOIN LATERAL (
    SELECT coalesce(sum(amount) FILTER (WHERE kind = 'captured'), 0) AS captured
    FROM payment_entry WHERE tender_id = t.id
) e
WHERE o.channel_id = %(channel)s::int
"""


async def statuses(tx: Tx, channel: int) -> list[tuple[str, str]]:
    """Return (external id, status) of a channel's orders."""
    return [(key, status) for key, status in await tx.tuples(STATUSES, {"channel": channel})]


async def open_holds(tx: Tx, channel: int) -> list[tuple[str, int]]:
    """Return (kind, orders) of a channel's open holds."""
    return [(kind, orders) for kind, orders in await tx.tuples(OPEN_HOLDS, {"channel": channel})]


async def money(tx: Tx, channel: int) -> tuple[int, int]:
    """Return what a channel's tenders captured, and what they still promise, in centavos."""
    ((captured, pending),) = await tx.tuples(MONEY, {"channel": channel})
    return captured, pending


# Work of an order that somebody is picking.
TO_PICK = """
SELECT fulfillment_id, line, sku_id FROM order_unit
WHERE order_id = %(order_id)s::uuid AND state = 'picking' ORDER BY line, part
"""


async def to_pick(tx: Tx, order_id: UUID) -> list[tuple[UUID, int, int]]:
    """Return (work, line, SKU) of an order's units that are being picked."""
    return [(work, line, sku) for work, line, sku in await tx.tuples(TO_PICK, {"order_id": order_id})]


# Parcels that left and have not arrived, the oldest first.
ON_THE_WAY = """
SELECT id FROM shipment WHERE shipped_at IS NOT NULL AND delivered_at IS NULL AND received_by IS NULL
ORDER BY shipped_at LIMIT 20
"""

# The last number of each issuer's documents.
LAST_NUMBERS = """
SELECT e.cnpj, max(d.number) FROM fiscal_document d JOIN establishment e ON e.id = d.establishment_id GROUP BY e.cnpj
"""


async def on_the_way(tx: Tx) -> list[UUID]:
    """Return some parcels that have not arrived."""
    return await tx.values(ON_THE_WAY)


async def last_numbers(tx: Tx) -> dict[str, int]:
    """Return the last document number of each issuer by CNPJ."""
    return dict(await tx.tuples(LAST_NUMBERS))
