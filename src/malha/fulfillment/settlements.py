"""Settlement by sales: what left of each owner's goods in a period, for whoever owes the owner something for it.

Units are those of the ledger: they left with a shipment or were handed over, recorded in the period. The ledger is
never edited, so a period that is over stays as it is. The owner is who the location's goods belong to now. What the
customers paid is their orders' total for the SKU, by unit; a component of a kit has no price of its own, and its units
are told apart (of an order with both, in proportion: the ledger does not say which unit was of which line). What is
in proportion is rounded once, in the sum.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from malha.platform.db import Tx

MOST = 5_000

# The partitions of the period, by their bounds and the block index on the time; lines by the order's primary key.
SETTLEMENT = """
SELECT e.code AS owner, e.name AS owner_name, c.name AS company, v.sku, v.name, p.code AS location, m.currency,
       m.units, m.unpriced, m.value
FROM (
    SELECT m.sku_id, m.location_id, coalesce(o.currency, 'BRL') AS currency, -sum(m.d_on_hand)::int AS units,
           -sum(m.d_on_hand)::int
               - coalesce(round(sum(-m.d_on_hand * k.alone / (k.alone + k.parts))), 0)::int AS unpriced,
           coalesce(round(sum(-m.d_on_hand * k.total / (k.alone + k.parts))), 0)::bigint AS value
    FROM movement m
    LEFT JOIN sales_order o ON m.ref_kind = 'order' AND o.id = m.ref_id
    LEFT JOIN LATERAL (
        SELECT sum(l.total) FILTER (WHERE l.sku_id = m.sku_id) AS total,
               sum(l.quantity) FILTER (WHERE l.sku_id = m.sku_id)::numeric AS alone,
               coalesce(sum(l.quantity * c.quantity) FILTER (WHERE c.sku_id = m.sku_id), 0) AS parts
        FROM order_line l
        LEFT JOIN order_component c ON c.order_id = l.order_id AND c.line = l.line AND c.sku_id = m.sku_id
        WHERE l.order_id = o.id
    ) k ON true
    WHERE m.recorded_at >= %(since)s::timestamptz AND m.recorded_at < %(until)s::timestamptz
      AND m.reason IN ('ship', 'hand_over') AND m.bucket = 'sellable'
      AND (%(scope)s::int[] IS NULL OR m.location_id = ANY (%(scope)s::int[]))
      AND (%(owner)s::text IS NULL OR m.location_id IN (
           SELECT p.id FROM location p JOIN establishment e ON e.id = coalesce(p.owner_id, p.establishment_id)
           WHERE e.code = %(owner)s::text))
    GROUP BY m.sku_id, m.location_id, coalesce(o.currency, 'BRL')
) m
JOIN location p ON p.id = m.location_id
JOIN establishment e ON e.id = coalesce(p.owner_id, p.establishment_id)
JOIN legal_entity c ON c.id = e.legal_entity_id
JOIN variant v ON v.id = m.sku_id
WHERE m.units <> 0
  AND (%(after)s::text[] IS NULL OR ARRAY[e.code, v.sku, p.code, m.currency] > %(after)s::text[])
ORDER BY e.code, v.sku, p.code, m.currency
LIMIT %(limit)s::int
"""


class Settled(msgspec.Struct, frozen=True):
    """What left of one SKU of one owner at one location. `value` is minor units, of the units that have a price."""

    owner: str
    owner_name: str
    company: str
    sku: str
    name: str
    location: str
    currency: str
    units: int
    unpriced: int
    value: int

    @property
    def place(self) -> tuple[str, str, str, str]:
        """Return where it stands in the list."""
        return self.owner, self.sku, self.location, self.currency


async def settlement(
    tx: Tx,
    since: datetime,
    until: datetime,
    *,
    owner: str | None = None,
    scope: Sequence[int] | None = None,
    after: Sequence[str] | None = None,
    limit: int = MOST,
) -> list[Settled]:
    """Return what left from `since` until before `until`, by owner, SKU and location."""
    params = {
        "since": since,
        "until": until,
        "owner": owner,
        "scope": None if scope is None else list(scope),
        "after": None if after is None else list(after),
        "limit": limit,
    }
    return await tx.all(Settled, SETTLEMENT, params)
