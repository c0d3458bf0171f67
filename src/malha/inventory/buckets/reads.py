"""What is in the buckets that may not be sold."""

from collections.abc import Sequence

from malha.inventory.buckets.model import BucketStock
from malha.platform.db import Tx

# Primary key.
BUCKETS = """
SELECT sku_id, location_id, bucket, quantity FROM bucket_balance
WHERE sku_id = ANY (%(skus)s::int[]) AND quantity > 0
  AND (%(locations)s::int[] IS NULL OR location_id = ANY (%(locations)s::int[]))
ORDER BY sku_id, location_id, bucket
"""


async def buckets(tx: Tx, sku_ids: Sequence[int], location_ids: Sequence[int] | None = None) -> list[BucketStock]:
    """Return what SKUs have outside of the sellable bucket, at some or all locations; empty buckets are absent."""
    locations = None if location_ids is None else list(location_ids)
    return await tx.all(BucketStock, BUCKETS, {"skus": list(sku_ids), "locations": locations})
