"""Where units of SKUs are, or will be: what keeps a SKU from becoming a kit, of which there is no stock of its own."""

from collections.abc import Sequence

from malha.catalog.model import Standing
from malha.platform.db import Tx

MOST_NAMED = 10

# Balances and buckets by primary key, supply by its partial index. What a transfer brings is in transit already, or on
# hand where it leaves. Locations are named only to who may see them.
STANDING = """
SELECT v.sku, sum(s.on_hand)::int, sum(s.allocated)::int, sum(s.held)::int, sum(s.coming)::int,
       array_agg(DISTINCT l.code ORDER BY l.code)
           FILTER (WHERE %(scope)s::int[] IS NULL OR l.id = ANY (%(scope)s::int[])),
       count(DISTINCT l.id)::int
FROM variant v
CROSS JOIN LATERAL (
    SELECT b.location_id, b.on_hand, b.allocated, b.held, 0 AS coming FROM balance b
    WHERE b.sku_id = v.id AND (b.on_hand <> 0 OR b.allocated > 0 OR b.held > 0)
    UNION ALL
    SELECT k.location_id, CASE WHEN k.bucket = 'in_transit' THEN 0 ELSE k.quantity END, 0, 0,
           CASE WHEN k.bucket = 'in_transit' THEN k.quantity ELSE 0 END
    FROM bucket_balance k WHERE k.sku_id = v.id AND k.quantity > 0
    UNION ALL
    SELECT u.location_id, 0, 0, 0, u.expected FROM supply u
    WHERE u.sku_id = v.id AND u.expected > 0 AND u.kind <> 'transfer'
) s
JOIN location l ON l.id = s.location_id
WHERE v.sku = ANY (%(skus)s::text[])
GROUP BY v.sku
"""


async def of(tx: Tx, skus: Sequence[str]) -> dict[str, Standing]:
    """Return the SKUs of which units are on hand, promised, held or on their way, with how many and where."""
    asked = {"skus": list(skus), "scope": tx.actor.scope}
    return {
        sku: Standing(on_hand=on_hand, allocated=allocated, held=held, coming=coming, locations=_named(codes, places))
        for sku, on_hand, allocated, held, coming, codes, places in await tx.tuples(STANDING, asked)
    }


def _named(codes: Sequence[str] | None, places: int) -> str:
    shown = list(codes or ())[:MOST_NAMED]
    return ", ".join([*shown, "\N{HORIZONTAL ELLIPSIS}"] if len(shown) < places else shown)
