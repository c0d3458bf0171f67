"""Statements that write what channels sell and which of ours it is. Private to `channels.connecting`."""

# In the order of codes. An older version says nothing; what an order names keeps what the catalogue said of it. Of a
# connection that keeps fields of products it is to be taken; of one that makes products at once, but for what a person
# took back, and where somebody accepted it before, it is to be made. Where only a part is told, as by a file of prices,
# the rest stays; so does whether it is sold, where that is not told.
NOTE_SEEN = """
INSERT INTO channel_variant AS m (connection_id, code, external_id, gtin, name, price, active, version, told, parent,
                                  source, to_take, to_make)
SELECT %(connection_id)s::int, w.code, w.external_id, w.gtin, w.name, w.price,
       coalesce(w.active, (SELECT b.active FROM channel_variant b
                           WHERE b.connection_id = %(connection_id)s::int AND b.code = w.code), true),
       w.version, w.told, w.parent, %(source)s::text,
       %(source)s::text = 'catalog' AND EXISTS (SELECT FROM connection_master k
                                                WHERE k.connection_id = %(connection_id)s::int AND k.fields <> '{}'),
       %(source)s::text = 'catalog' AND EXISTS (SELECT FROM connection_master k
                                                WHERE k.connection_id = %(connection_id)s::int AND k.creates = 'once')
       AND %(makes)s::boolean
FROM unnest(%(codes)s::text[], %(ids)s::text[], %(gtins)s::text[], %(names)s::text[], %(prices)s::bigint[],
            %(active)s::boolean[], %(versions)s::bigint[], %(told)s::jsonb[],
            %(parents)s::text[])
     AS w(code, external_id, gtin, name, price, active, version, told, parent)
ORDER BY w.code
ON CONFLICT (connection_id, code) DO UPDATE SET external_id = excluded.external_id,
    gtin = CASE WHEN %(partly)s::boolean AND excluded.gtin = '' THEN m.gtin ELSE excluded.gtin END,
    name = CASE WHEN %(partly)s::boolean AND excluded.name = '' THEN m.name ELSE excluded.name END,
    price = CASE WHEN %(partly)s::boolean THEN coalesce(excluded.price, m.price) ELSE excluded.price END,
    active = excluded.active, version = excluded.version, source = excluded.source, seen_at = now(),
    told = CASE WHEN %(partly)s::boolean THEN m.told || excluded.told ELSE excluded.told END,
    to_take = excluded.to_take,
    parent = CASE WHEN %(partly)s::boolean AND excluded.parent = '' THEN m.parent ELSE excluded.parent END,
    to_make = m.sku_id IS NULL AND NOT m.ignored
        AND (excluded.to_make AND NOT m.held OR m.make_batch IS NOT NULL OR NOT %(makes)s::boolean AND m.to_make)
WHERE excluded.source = 'catalog' AND excluded.version >= m.version
"""
# An order for it: it is ours to sell after all.
TAKE_BACK = """
UPDATE channel_variant SET ignored = false
WHERE connection_id = %(connection_id)s::int AND code = ANY (%(codes)s::text[]) AND ignored
"""
# What is exactly one of ours: listed under this code, or of the same SKU or GTIN. A page at a time, by the open index.
# Of a connection that makes products a GTIN is no proof where the channel tells of the SKU that has it by itself.
SETTLE_EXACT = """
UPDATE channel_variant m SET sku_id = f.id, how = 'exact', mapped_at = now(), to_make = false, make_flaws = NULL
FROM (
    SELECT o.code, coalesce(
        (SELECT l.sku_id FROM connection c JOIN listing l ON l.channel_id = c.channel_id
         WHERE c.id = %(connection_id)s::int AND l.code = o.code),
        (SELECT v.id FROM variant v WHERE v.sku = o.code),
        (SELECT v.id FROM variant v WHERE v.gtin = o.gtin AND o.gtin <> '' AND NOT EXISTS (
            SELECT FROM channel_variant x JOIN connection_master k ON k.connection_id = x.connection_id
            WHERE x.connection_id = %(connection_id)s::int AND x.code = v.sku AND k.creates <> 'never'))) AS id
    FROM channel_variant o WHERE o.connection_id = %(connection_id)s::int AND o.sku_id IS NULL AND NOT o.ignored
      AND (%(codes)s::text[] IS NULL OR o.code = ANY (%(codes)s::text[]))
) f
WHERE m.connection_id = %(connection_id)s::int AND m.code = f.code AND f.id IS NOT NULL AND m.sku_id IS NULL
RETURNING m.code
"""
MAP = """
UPDATE channel_variant m SET sku_id = v.id, how = w.how, mapped_at = now(), ignored = false,
    to_make = false, make_batch = NULL, make_flaws = NULL
FROM unnest(%(codes)s::text[], %(skus)s::text[], %(hows)s::text[]) AS w(code, sku, how) JOIN variant v ON v.sku = w.sku
WHERE m.connection_id = %(connection_id)s::int AND m.code = w.code
RETURNING m.code
"""
# The channel is told of stock and prices under its own code. A listing that has another code already keeps it.
LIST_MAPPED = """
INSERT INTO listing AS l (channel_id, sku_id, code)
SELECT DISTINCT ON (m.sku_id) c.channel_id, m.sku_id, m.code
FROM channel_variant m JOIN connection c ON c.id = m.connection_id JOIN variant v ON v.id = m.sku_id
WHERE m.connection_id = %(connection_id)s::int AND m.code = ANY (%(codes)s::text[])
  AND NOT EXISTS (SELECT FROM listing o WHERE o.channel_id = c.channel_id AND o.code = m.code)
  AND NOT EXISTS (SELECT FROM listing o WHERE o.channel_id = c.channel_id AND o.sku_id = m.sku_id AND o.code <> v.sku)
ORDER BY m.sku_id, m.code
ON CONFLICT (channel_id, sku_id) DO UPDATE SET code = excluded.code, sent_quantity = NULL, error = NULL
RETURNING l.sku_id
"""
# Its listing, where it was made by the mapping, is called as we call it again.
UNLIST_MAPPED = """
UPDATE listing l SET code = v.sku, sent_quantity = NULL, error = NULL
FROM channel_variant m JOIN connection c ON c.id = m.connection_id JOIN variant v ON v.id = m.sku_id
WHERE m.connection_id = %(connection_id)s::int AND m.code = ANY (%(codes)s::text[]) AND m.how <> 'exact'
  AND l.channel_id = c.channel_id AND l.sku_id = m.sku_id AND l.code = m.code
  AND NOT EXISTS (SELECT FROM listing o WHERE o.channel_id = c.channel_id AND o.code = v.sku)
RETURNING l.sku_id
"""
UNMAP = """
UPDATE channel_variant SET sku_id = NULL, how = NULL, mapped_at = NULL
WHERE connection_id = %(connection_id)s::int AND code = ANY (%(codes)s::text[]) AND how <> 'exact'
RETURNING code
"""
IGNORE = """
UPDATE channel_variant SET ignored = %(ignored)s::boolean, to_make = false, make_batch = NULL, make_flaws = NULL
WHERE connection_id = %(connection_id)s::int AND code = ANY (%(codes)s::text[]) AND sku_id IS NULL
  AND ignored <> %(ignored)s::boolean RETURNING code
"""
