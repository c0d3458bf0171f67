"""Statements about what connections made products of at once, and its taking back. Private to `channels.connecting`."""

# What was taken back and is made once more counts from now on.
NOTE = """
INSERT INTO product_at_once (connection_id, code, sku, product)
SELECT %(connection_id)s::int, w.* FROM unnest(%(codes)s::text[], %(skus)s::text[], %(products)s::text[])
    AS w(code, sku, product)
ON CONFLICT (connection_id, code) DO UPDATE SET sku = excluded.sku, product = excluded.product, made_at = now(),
    state = 'made', reasons = '{}', undo_at = NULL, undo_actor = NULL, undo_person = NULL
"""
# In the order of codes. Those that are named, also what was kept before; or all that were made and are found so.
BEGIN = """
UPDATE product_at_once m SET state = 'going', reasons = '{}', undo_at = now(), undo_actor = %(actor)s::text,
    undo_person = %(person)s::text
FROM (SELECT a.code FROM product_at_once a
      LEFT JOIN channel_variant t ON t.connection_id = a.connection_id AND t.code = a.code
      WHERE a.connection_id = %(connection_id)s::int
        AND CASE WHEN %(codes)s::text[] IS NULL THEN a.state = 'made'
                 ELSE a.state IN ('made', 'kept') AND a.code = ANY (%(codes)s::text[]) END
        AND (%(sought)s::text IS NULL OR a.code = %(sought)s::text OR a.product = %(sought)s::text
             OR t.gtin = %(sought)s::text OR t.name ILIKE %(alike)s::text)
      ORDER BY a.code FOR NO KEY UPDATE OF a) w
WHERE m.connection_id = %(connection_id)s::int AND m.code = w.code
RETURNING m.code
"""
# What somebody asked for together, the first of it, by the index on what is going.
TAKE = """
WITH first AS (
    SELECT undo_at, undo_actor FROM product_at_once WHERE state = 'going' AND connection_id = %(connection_id)s::int
    ORDER BY undo_at LIMIT 1
)
SELECT m.code, m.sku, m.made_at, m.undo_actor, m.undo_person FROM product_at_once m JOIN first f
    ON m.undo_at = f.undo_at AND m.undo_actor IS NOT DISTINCT FROM f.undo_actor
WHERE m.connection_id = %(connection_id)s::int AND m.state = 'going' ORDER BY m.code LIMIT %(most)s::int FOR UPDATE OF m
"""
END = """
UPDATE product_at_once m SET state = w.state, reasons = string_to_array(w.reasons, ',')
FROM unnest(%(codes)s::text[], %(states)s::text[], %(reasons)s::text[]) AS w(code, state, reasons)
WHERE m.connection_id = %(connection_id)s::int AND m.code = w.code
"""
# It stays made; who takes what is old for new may still look.
FORGET = """
DELETE FROM product_at_once WHERE (connection_id, code) IN (
    SELECT connection_id, code FROM product_at_once WHERE made_at < now() - interval '90 days' AND state <> 'going'
    LIMIT %(most)s::int)
"""
