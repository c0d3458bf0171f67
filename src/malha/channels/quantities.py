"""How many units a channel may sell of each SKU: what it is told, never more than could be claimed at that moment.

A SKU counts at every location that serves the channel; a kit counts per location, because one kit leaves from one
place: the component there is least of, divided by what a kit takes.
"""

from collections.abc import Hashable, Sequence

from malha.platform.db import Tx

# Balances of the SKUs and of components of kits by primary key; expired holds are added back as when claims are made.
PUBLISHED = """
WITH wanted AS MATERIALIZED (
    SELECT w.sku_id, coalesce(k.component_id, w.sku_id) AS part, coalesce(k.quantity, 1) AS per
    FROM unnest(%(skus)s::int[]) AS w(sku_id)
    LEFT JOIN kit_component k ON k.kit_id = w.sku_id
), served AS MATERIALIZED (
    SELECT l.id FROM location l
    WHERE l.status = 'active'
      AND (NOT EXISTS (SELECT FROM channel_location x WHERE x.channel_id = %(channel_id)s::int)
           OR EXISTS (SELECT FROM channel_location x
                      WHERE x.channel_id = %(channel_id)s::int AND x.location_id = l.id))
), whole AS (
    SELECT w.sku_id, b.location_id, count(*) AS parts,
           min(greatest(b.on_hand - b.allocated - b.held - b.safety - b.fenced, 0) / w.per) AS units
    FROM wanted w
    JOIN balance b ON b.sku_id = w.part
    JOIN served s ON s.id = b.location_id
    GROUP BY w.sku_id, b.location_id
)
SELECT n.sku_id, coalesce(sum(whole.units) FILTER (WHERE whole.parts = n.parts), 0)::int
FROM (SELECT sku_id, count(*) AS parts FROM wanted GROUP BY sku_id) AS n
LEFT JOIN whole ON whole.sku_id = n.sku_id
GROUP BY n.sku_id
"""


# Which locations serve a channel: a few rows by primary key.
VIEW = """
SELECT coalesce(array_agg(location_id ORDER BY location_id), '{}') FROM channel_location
WHERE channel_id = %(channel_id)s::int
"""


async def view_of(tx: Tx, channel_id: int) -> Hashable:
    """Return what a channel's quantities depend on: channels with equal views may sell the same."""
    return tuple(await tx.value(VIEW, {"channel_id": channel_id}))


async def published(tx: Tx, channel_id: int, sku_ids: Sequence[int]) -> dict[int, int]:
    """Return the units of each SKU that a channel may sell now."""
    return dict(await tx.tuples(PUBLISHED, {"channel_id": channel_id, "skus": list(sku_ids)}))
