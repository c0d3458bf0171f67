"""Where units of SKUs are, or will be: what keeps a SKU from becoming a kit, of which there is no stock of its own.

Who makes a kit looks whether there are units; who brings units looks whether it is a kit. Neither may look while the
other is between its look and its commit, so both take one lock before they look: those who bring units share it, who
makes a kit has it alone. Whoever takes units that are there takes no part in it: there is a balance, so no kit.
"""

from collections.abc import Collection, Sequence

from malha.catalog.model import Standing
from malha.inventory.errors import BecameKit
from malha.platform.db import Tx

MOST_NAMED = 10

# One lock of a retailer, whatever the SKUs: kits are made rarely, and goods that come take one lock for all of theirs.
SHARE = "SELECT pg_advisory_xact_lock_shared(hashtext('malha:' || current_schema() || ':standing'))"
LOCK = "SELECT pg_advisory_xact_lock(hashtext('malha:' || current_schema() || ':standing'))"

# Kits by primary key. One that had stock before it was a kit, and before that was refused, keeps it: it is counted,
# moved and sold out as any other.
KITS = """
SELECT v.sku FROM variant v
WHERE v.id = ANY (%(skus)s::int[]) AND v.is_kit
  AND NOT EXISTS (SELECT FROM balance b
                  WHERE b.sku_id = v.id AND (b.on_hand <> 0 OR b.allocated > 0 OR b.held > 0))
  AND NOT EXISTS (SELECT FROM bucket_balance k WHERE k.sku_id = v.id AND k.quantity > 0)
  AND NOT EXISTS (SELECT FROM supply u WHERE u.sku_id = v.id AND u.expected > 0)
ORDER BY v.sku
"""

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
    """Return the SKUs of which units are on hand, promised, held or on their way, with how many and where.

    Those that are not among them have none until the transaction ends: whoever brings some waits for it.
    """
    await tx.execute(LOCK)
    asked = {"skus": list(skus), "scope": tx.actor.scope}
    return {
        sku: Standing(on_hand=on_hand, allocated=allocated, held=held, coming=coming, locations=_named(codes, places))
        for sku, on_hand, allocated, held, coming, codes, places in await tx.tuples(STANDING, asked)
    }


def _named(codes: Sequence[str] | None, places: int) -> str:
    shown = list(codes or ())[:MOST_NAMED]
    return ", ".join([*shown, "\N{HORIZONTAL ELLIPSIS}"] if len(shown) < places else shown)


async def share(tx: Tx) -> None:
    """Let no SKU become a kit before the transaction ends. For who goes on to look whether one is, and brings units."""
    await tx.execute(SHARE)


async def come(tx: Tx, sku_ids: Collection[int]) -> None:
    """Let units of SKUs come, or be expected: none of them becomes a kit before the transaction ends.

    Raises:
        BecameKit: one is a kit since the caller looked.
    """
    if not sku_ids:
        return
    await share(tx)
    kits = await tx.values(KITS, {"skus": sorted(sku_ids)})
    if kits:
        raise BecameKit(skus=", ".join(kits[:MOST_NAMED]))
