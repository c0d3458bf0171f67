"""Statements that change buckets other than the sellable one. Balances are locked before buckets, both in key order."""

ENSURE_BUCKETS = """
INSERT INTO bucket_balance (sku_id, location_id, bucket)
SELECT sku_id, location_id, bucket
FROM unnest(%(skus)s::int[], %(locations)s::int[], %(buckets)s::text[]) AS w(sku_id, location_id, bucket)
ORDER BY sku_id, location_id, bucket
ON CONFLICT DO NOTHING
"""

# Locks in key order; what would fall below zero, or be more than a bucket can hold, is missing from RETURNING.
CHANGE_BUCKETS = """
WITH want AS (
    SELECT * FROM unnest(%(skus)s::int[], %(locations)s::int[], %(buckets)s::text[], %(quantities)s::int[])
                  AS w(sku_id, location_id, bucket, quantity)
), locked AS MATERIALIZED (
    SELECT b.sku_id, b.location_id, b.bucket, w.quantity
    FROM bucket_balance b
    JOIN want w ON b.sku_id = w.sku_id AND b.location_id = w.location_id AND b.bucket = w.bucket
    ORDER BY b.sku_id, b.location_id, b.bucket
    FOR NO KEY UPDATE OF b
)
UPDATE bucket_balance b SET quantity = b.quantity + l.quantity
FROM locked l
WHERE b.sku_id = l.sku_id AND b.location_id = l.location_id AND b.bucket = l.bucket
  AND CASE WHEN l.quantity < 0 THEN b.quantity + l.quantity >= 0
           ELSE b.quantity::bigint + l.quantity <= 2147483647 END
RETURNING b.sku_id, b.location_id, b.bucket
"""

# The ledger of these buckets: the same table, each row naming its bucket.
RECORD_BUCKETS = """
INSERT INTO movement (sku_id, location_id, bucket, d_on_hand, reason, ref_kind, ref_id, ref_text, actor, occurred_at)
SELECT w.sku_id, w.location_id, w.bucket, w.quantity, %(reason)s::text, %(ref_kind)s::text, %(ref_id)s::uuid,
       %(ref_text)s::text, %(actor)s::text, coalesce(%(occurred_at)s::timestamptz, now())
FROM unnest(%(skus)s::int[], %(locations)s::int[], %(buckets)s::text[], %(quantities)s::int[])
     AS w(sku_id, location_id, bucket, quantity)
"""
