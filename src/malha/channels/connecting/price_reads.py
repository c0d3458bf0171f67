"""Which prices a connection's peer keeps itself, and so is told none of, by any way."""

from collections.abc import Sequence

from malha.platform.db import Tx

# Of a variant `v`: the connection keeps prices, which is so for one at most and asked once, and tells of this variant.
# It need not be written yet what it told: a price of ours would overtake its own. By primary key, and by the index on
# what a SKU is mapped to.
IS_KEPT = """(EXISTS (
    SELECT FROM product_owner o JOIN connection k ON k.code = o.owner
    WHERE o.field = 'price' AND k.id = %(connection_id)s::int
) AND (EXISTS (
    SELECT FROM variant_owner t JOIN connection k ON k.code = t.owner
    WHERE t.variant_id = v.id AND k.id = %(connection_id)s::int
) OR EXISTS (
    SELECT FROM channel_variant m
    WHERE m.sku_id = v.id AND m.connection_id = %(connection_id)s::int AND m.source = 'catalog'
)))"""
# By the index on SKU.
KEPT = f"SELECT v.sku FROM variant v WHERE v.sku = ANY (%(skus)s::text[]) AND {IS_KEPT}"


async def kept(tx: Tx, connection_id: int, skus: Sequence[str]) -> set[str]:
    """Return of which SKUs a connection's peer keeps the price itself."""
    return set(await tx.values(KEPT, {"connection_id": connection_id, "skus": list(skus)}))
