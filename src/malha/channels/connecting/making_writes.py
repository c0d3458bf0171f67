"""Statements that make products of what connections tell. Private to `channels.connecting`."""

# One at a time makes for a connection, or keeps fields of it.
LOCK_FREE = """
SELECT fields, creates FROM connection_master WHERE connection_id = %(connection_id)s::int FOR UPDATE SKIP LOCKED
"""
ADD_BATCH = """
INSERT INTO product_batch (connection_id, asked, person)
VALUES (%(connection_id)s::int, %(asked)s::int, %(person)s::text) RETURNING id
"""
# In the order of codes; those that are named, or all that wait (`refused`: that could not be made before). What is made
# `at_once`, by nobody's word, is not what a person took back, nor what only a file of prices names.
ASK = """
UPDATE channel_variant m SET to_make = true, make_flaws = NULL, held = false
FROM (SELECT code FROM channel_variant
      WHERE connection_id = %(connection_id)s::int AND sku_id IS NULL AND NOT ignored AND source = 'catalog'
        AND NOT to_make AND CASE WHEN %(codes)s::text[] IS NULL THEN (make_flaws IS NOT NULL) = %(refused)s::boolean
                                 ELSE code = ANY (%(codes)s::text[]) END
        AND (NOT %(at_once)s::boolean OR NOT held AND (name <> '' OR parent <> '' OR told ? 'name'))
      ORDER BY code FOR NO KEY UPDATE) w
WHERE m.connection_id = %(connection_id)s::int AND m.code = w.code
RETURNING m.code
"""
# Those that were asked for just now, by primary key.
PUT_IN_BATCH = """
UPDATE channel_variant SET make_batch = %(batch)s::bigint
WHERE connection_id = %(connection_id)s::int AND code = ANY (%(codes)s::text[])
"""
# Of a connection that is to make none any more: once, by a person's press. In the order of codes.
ASK_NO_MORE = """
UPDATE channel_variant m SET to_make = false, make_batch = NULL, make_flaws = NULL
FROM (SELECT code FROM channel_variant
      WHERE connection_id = %(connection_id)s::int AND sku_id IS NULL
        AND (to_make OR make_batch IS NOT NULL OR make_flaws IS NOT NULL)
      ORDER BY code FOR NO KEY UPDATE) w
WHERE m.connection_id = %(connection_id)s::int AND m.code = w.code
"""
# The first that are to be made, by the index on that, with all others of their products.
TAKE_ASKED = """
WITH first AS (
    SELECT code, parent FROM channel_variant WHERE connection_id = %(connection_id)s::int AND to_make AND sku_id IS NULL
    ORDER BY parent, code LIMIT %(most)s::int
)
SELECT m.code, m.parent, m.name, m.gtin, m.price, m.active, m.told, m.make_batch FROM channel_variant m
WHERE m.connection_id = %(connection_id)s::int AND m.to_make AND m.sku_id IS NULL
  AND (m.code IN (SELECT code FROM first) OR (m.parent <> '' AND m.parent IN (SELECT parent FROM first)))
ORDER BY m.code FOR NO KEY UPDATE
"""
# By primary key. What was made is ours from now on, what was not says why. What joined a product is compared with it.
DONE = """
UPDATE channel_variant m SET sku_id = v.id, how = 'exact', mapped_at = now(), to_make = false, to_take = w.take,
    make_flaws = NULL
FROM unnest(%(codes)s::text[], %(skus)s::text[], %(take)s::boolean[]) AS w(code, sku, take)
JOIN variant v ON v.sku = w.sku
WHERE m.connection_id = %(connection_id)s::int AND m.code = w.code
"""
REFUSED = """
UPDATE channel_variant m SET to_make = false, make_flaws = w.flaws
FROM unnest(%(codes)s::text[], %(flaws)s::jsonb[]) AS w(code, flaws)
WHERE m.connection_id = %(connection_id)s::int AND m.code = w.code
"""
NOTE_MADE = """
INSERT INTO product_made (batch_id, code, sku, product)
SELECT * FROM unnest(%(batches)s::bigint[], %(codes)s::text[], %(skus)s::text[], %(products)s::text[])
ON CONFLICT (batch_id, code) DO UPDATE SET sku = excluded.sku, product = excluded.product, state = 'made'
"""

# --- taken back ---

BEGIN_UNDO = """
UPDATE product_batch SET undo_at = now(), undo_actor = %(actor)s::text, undo_person = %(person)s::text
WHERE connection_id = %(connection_id)s::int AND id = %(batch)s::bigint AND undo_at IS NULL
RETURNING id
"""
# What is asked for and not made yet is not made, by the index on its acceptance.
DROP_ASKED = """
UPDATE channel_variant SET to_make = false, make_batch = NULL, make_flaws = NULL
WHERE connection_id = %(connection_id)s::int AND make_batch = %(batch)s::bigint AND sku_id IS NULL
"""
TAKE_MADE = """
SELECT code, sku FROM product_made WHERE batch_id = %(batch)s::bigint AND state = 'made'
ORDER BY code LIMIT %(most)s::int FOR UPDATE
"""
# Where its connection makes products at once it would be made again: it is set aside, or held for a person. What
# somebody mapped to another SKU since is theirs.
UNMAP = """
UPDATE channel_variant m SET sku_id = NULL, how = NULL, mapped_at = NULL, to_make = false, make_batch = NULL,
    make_flaws = NULL, ignored = %(aside)s::boolean, held = %(hold)s::boolean
FROM unnest(%(codes)s::text[], %(skus)s::text[]) AS w(code, sku) JOIN variant v ON v.sku = w.sku
WHERE m.connection_id = %(connection_id)s::int AND m.code = w.code AND m.sku_id = v.id
RETURNING m.code
"""
# Those that stay are what they were.
MAP_AGAIN = """
UPDATE channel_variant m SET sku_id = v.id, how = 'exact', mapped_at = now(), ignored = false,
    held = false
FROM unnest(%(codes)s::text[], %(skus)s::text[]) AS w(code, sku) JOIN variant v ON v.sku = w.sku
WHERE m.connection_id = %(connection_id)s::int AND m.code = w.code
"""
END_MADE = """
UPDATE product_made m SET state = w.state FROM unnest(%(codes)s::text[], %(states)s::text[]) AS w(code, state)
WHERE m.batch_id = %(batch)s::bigint AND m.code = w.code
"""
END_UNDO = "UPDATE product_batch SET ended_at = now() WHERE id = %(batch)s::bigint"
# Old acceptances; what they made stays.
FORGET_BATCHES = """
DELETE FROM product_batch WHERE id IN (
    SELECT id FROM product_batch WHERE at < now() - interval '90 days' AND (undo_at IS NULL OR ended_at IS NOT NULL)
    ORDER BY id LIMIT %(most)s::int)
"""
