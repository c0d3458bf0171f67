"""Statements of connections that keep fields of products. Private to `channels.connecting`."""

from malha.channels.connecting.price_reads import IS_KEPT

# Two who say it first find no row to wait for one another at.
LOCK_SAYING = """
SELECT pg_advisory_xact_lock(hashtextextended('product_role:' || current_schema(), %(connection_id)s::bigint))
"""
# One at a time takes or decides for a connection: what is told is read after this lock, so what is older is never
# written last.
LOCK = "SELECT fields FROM connection_master WHERE connection_id = %(connection_id)s::int FOR UPDATE"
# The same for a worker, who finds other work meanwhile.
LOCK_FREE = """
SELECT fields FROM connection_master WHERE connection_id = %(connection_id)s::int FOR UPDATE SKIP LOCKED
"""
# By primary key.
PUT = """
INSERT INTO connection_master AS k (connection_id, fields, creates, categories, version)
VALUES (%(connection_id)s::int, %(fields)s::text[], %(creates)s::text, %(categories)s::text, 1)
ON CONFLICT (connection_id) DO UPDATE SET fields = excluded.fields, creates = excluded.creates,
    categories = excluded.categories, version = k.version + 1
WHERE k.version = %(version)s::int
RETURNING version
"""
# In the order of codes, by primary key; nothing where the connection keeps nothing.
HAVE_TAKEN = """
UPDATE channel_variant m SET to_take = true
FROM (SELECT code FROM channel_variant
      WHERE connection_id = %(connection_id)s::int AND code = ANY (%(codes)s::text[]) AND NOT to_take
      ORDER BY code FOR NO KEY UPDATE) w
WHERE m.connection_id = %(connection_id)s::int AND m.code = w.code
  AND EXISTS (SELECT FROM connection_master k WHERE k.connection_id = m.connection_id AND k.fields <> '{}')
"""
# All that is mapped: once, by a person's press. In the order of codes.
HAVE_ALL_TAKEN = """
UPDATE channel_variant m SET to_take = true
FROM (SELECT code FROM channel_variant
      WHERE connection_id = %(connection_id)s::int AND sku_id IS NOT NULL AND NOT to_take
      ORDER BY code FOR NO KEY UPDATE) w
WHERE m.connection_id = %(connection_id)s::int AND m.code = w.code
  AND EXISTS (SELECT FROM connection_master k WHERE k.connection_id = m.connection_id AND k.fields <> '{}')
"""
# The first that wait, by the index on what is to be taken.
TAKE_DUE = """
UPDATE channel_variant m SET to_take = false
FROM (SELECT code FROM channel_variant
      WHERE connection_id = %(connection_id)s::int AND to_take AND sku_id IS NOT NULL
      ORDER BY code LIMIT %(most)s::int FOR NO KEY UPDATE) w
WHERE m.connection_id = %(connection_id)s::int AND m.code = w.code
RETURNING m.sku_id
"""
# What the peer was told before it said prices itself is not what it has now. Once, by a person's press.
FORGET_PRICES = f"""
DELETE FROM binding b USING variant v
WHERE b.connection_id = %(connection_id)s::int AND b.entity = 'price' AND v.sku = b.internal_id AND {IS_KEPT}
"""
# By primary key; since when stays.
HOLD = """
INSERT INTO product_held AS h (connection_id, product, flaws)
SELECT %(connection_id)s::int, w.product, w.flaws
FROM unnest(%(products)s::text[], %(flaws)s::jsonb[]) AS w(product, flaws)
ORDER BY w.product
ON CONFLICT (connection_id, product) DO UPDATE SET flaws = excluded.flaws WHERE h.flaws <> excluded.flaws
"""
# By primary key.
HOLD_NO_MORE = """
DELETE FROM product_held WHERE connection_id = %(connection_id)s::int AND product = ANY (%(products)s::text[])
"""
# See above.
HOLD_NOTHING = "DELETE FROM product_held WHERE connection_id = %(connection_id)s::int"
