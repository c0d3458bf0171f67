"""Statements that change the catalogue. Wide rows travel as one JSON parameter; upserts lock in code order.

A product's version covers all that is said of it: its variants with their prices, kits, substitutes and media too. So
each statement tells of which products it changed something, and `RAISE` follows once for all of them.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from malha.platform.db import Statement, Tx

_encode = msgspec.json.Encoder().encode

# One writer at a time may change what kits are made of, or a chain of two transactions could nest them.
LOCK_KITS = """
SELECT pg_advisory_xact_lock(hashtext('malha:' || current_schema() || ':kits'))
"""

# One writer at a time may change the tree's shape, or two moves could close a loop.
LOCK_CATEGORIES = """
SELECT pg_advisory_xact_lock(hashtext('malha:' || current_schema() || ':categories'))
"""

# One table at a time may bring what is not there: there is no row yet that a second one could wait for.
LOCK_NEW = """
SELECT pg_advisory_xact_lock(hashtext('malha:' || current_schema() || ':new_products'))
"""

# Who has a SKU or a GTIN now; unique indexes on both.
VARIANTS_KNOWN = """
SELECT v.sku, v.id, p.code, v.gtin, v.is_kit, v.price
FROM variant v JOIN product p ON p.id = v.product_id
WHERE v.sku = ANY(%(skus)s::text[]) OR v.gtin = ANY(%(gtins)s::text[])
"""

# Which of these variants stand inside a kit; index on component_id.
COMPONENTS_AMONG = """
SELECT DISTINCT v.sku FROM kit_component k JOIN variant v ON v.id = k.component_id
WHERE v.sku = ANY(%(skus)s::text[])
"""

# Locked before it is compared with the version a person saw.
LOCK_PRODUCT = """
SELECT version FROM product WHERE code = %(code)s::text FOR NO KEY UPDATE
"""

# Several at once, in code order: two of these wait for one another instead of deadlocking.
LOCK_PRODUCTS = """
SELECT id FROM product WHERE code = ANY(%(codes)s::text[]) ORDER BY code FOR UPDATE
"""

# The products of these SKUs, in code order as well: whoever changes a variant has its product before.
LOCK_PRODUCTS_OF = """
SELECT id FROM product WHERE id IN (SELECT product_id FROM variant WHERE sku = ANY(%(skus)s::text[]))
ORDER BY code FOR NO KEY UPDATE
"""

# Products with variants that name one of these products' as a substitute, by the index on it.
NAMING = """
SELECT DISTINCT o.code FROM product p
JOIN variant s ON s.product_id = p.id
JOIN variant_substitute x ON x.substitute_id = s.id
JOIN variant v ON v.id = x.variant_id
JOIN product o ON o.id = v.product_id
WHERE p.code = ANY(%(codes)s::text[])
"""

# Of products of which something else changed than their own row; the caller has them locked.
RAISE = "UPDATE product SET version = version + 1 WHERE id = ANY(%(products)s::int[])"

# Their variants, in SKU order as every other writer has it.
LOCK_VARIANTS_OF = """
SELECT v.id FROM variant v JOIN product p ON p.id = v.product_id
WHERE p.code = ANY(%(codes)s::text[]) ORDER BY v.sku FOR UPDATE OF v
"""

# In SKU order.
LOCK_VARIANTS = """
SELECT id FROM variant WHERE sku = ANY(%(skus)s::text[]) ORDER BY sku FOR NO KEY UPDATE
"""

# Index on component_id: what other kits hold.
COMPONENTS_OF_OTHERS = """
SELECT DISTINCT v.sku FROM variant v
JOIN kit_component k ON k.component_id = v.id
JOIN variant kit ON kit.id = k.kit_id
WHERE v.sku = ANY(%(skus)s::text[]) AND NOT kit.sku = ANY(%(skus)s::text[])
"""

# Index on substitute_id: what others name, that are none of these.
SUBSTITUTES_OF_OTHERS = """
SELECT DISTINCT s.sku FROM variant s JOIN variant_substitute x ON x.substitute_id = s.id
JOIN variant v ON v.id = x.variant_id
WHERE s.sku = ANY(%(skus)s::text[]) AND NOT v.sku = ANY(%(skus)s::text[])
"""

# What an undone import had added: first what they hold as kits, then their media, then they themselves.
REMOVE_KITS = """
DELETE FROM kit_component WHERE kit_id IN (SELECT id FROM variant WHERE sku = ANY(%(skus)s::text[]))
"""
REMOVE_MEDIA_OF = """
DELETE FROM media WHERE variant_id IN (SELECT id FROM variant WHERE sku = ANY(%(skus)s::text[]))
"""
REMOVE_VARIANTS = "DELETE FROM variant WHERE sku = ANY(%(skus)s::text[]) RETURNING product_id"
# Those of products that are about to go: they have no variant left.
REMOVE_MEDIA_OF_EMPTY = """
DELETE FROM media m USING product p
WHERE p.code = ANY(%(codes)s::text[]) AND m.product_id = p.id AND m.variant_id IS NULL
  AND NOT EXISTS (SELECT FROM variant v WHERE v.product_id = p.id)
"""
REMOVE_PRODUCTS = """
DELETE FROM product p WHERE code = ANY(%(codes)s::text[])
  AND NOT EXISTS (SELECT FROM variant v WHERE v.product_id = p.id)
"""

# Existing codes -> ids, after an upsert or before.
PRODUCT_IDS = """
SELECT code, id FROM product WHERE code = ANY(%(codes)s::text[])
"""

# Products as they are stated, in the order of their codes, and what they are called while they are written: p.
_STATED_PRODUCTS = """
INSERT INTO product AS p
    (code, name, description, brand, category_id, ncm, cest, origin, options, attributes, active)
SELECT r.code, r.name, r.description, r.brand, c.id, r.ncm, r.cest, r.origin, r.options, r.attributes, r.active
FROM jsonb_to_recordset(%(rows)s::jsonb) AS r
    (code text, name text, description text, brand text, category text, ncm text, cest text, origin smallint,
     options jsonb, attributes jsonb, active boolean)
LEFT JOIN category c ON c.code = r.category
ORDER BY r.code
"""
# Unchanged rows keep their version, so a repeated import changes nothing.
UPSERT_PRODUCTS = (
    _STATED_PRODUCTS
    + """
ON CONFLICT (code) DO UPDATE SET
    name = excluded.name, description = excluded.description, brand = excluded.brand,
    category_id = excluded.category_id, ncm = excluded.ncm, cest = excluded.cest, origin = excluded.origin,
    options = excluded.options, attributes = excluded.attributes, active = excluded.active, version = p.version + 1,
    own_version = p.own_version + 1
WHERE (p.name, p.description, p.brand, p.category_id, p.ncm, p.cest, p.origin, p.options, p.attributes, p.active)
    IS DISTINCT FROM (excluded.name, excluded.description, excluded.brand, excluded.category_id, excluded.ncm,
        excluded.cest, excluded.origin, excluded.options, excluded.attributes, excluded.active)
RETURNING p.id
"""
)

# Unchanged rows keep their version, and so do products of which no price changed. The caller has the products; variants
# are locked in SKU order, so that two imports wait instead of deadlocking.
SET_PRICES = """
WITH locked AS MATERIALIZED (
    SELECT v.id, r.price FROM unnest(%(skus)s::text[], %(prices)s::int[]) AS r(sku, price)
    JOIN variant v ON v.sku = r.sku WHERE v.price IS DISTINCT FROM r.price
    ORDER BY v.sku FOR NO KEY UPDATE OF v
), priced AS (
    UPDATE variant v SET price = l.price, version = v.version + 1 FROM locked l WHERE l.id = v.id
    RETURNING v.product_id
)
UPDATE product p SET version = p.version + 1
FROM (SELECT DISTINCT product_id FROM priced) AS c WHERE p.id = c.product_id
"""

# Variants likewise, in the order of their SKUs: v. One that does not say what it is made of is what it was (o); its
# product is locked, so nobody makes it another meanwhile.
_STATED_VARIANTS = """
INSERT INTO variant AS v
    (product_id, sku, name, gtin, options, weight_grams, length_mm, width_mm, height_mm, price, is_kit, active)
SELECT p.id, r.sku, r.name, r.gtin, r.options, r.weight_grams, r.length_mm, r.width_mm, r.height_mm, r.price,
       coalesce(r.is_kit, o.is_kit, false), r.active
FROM jsonb_to_recordset(%(rows)s::jsonb) AS r
    (product text, sku text, name text, gtin text, options jsonb, weight_grams integer, length_mm integer,
     width_mm integer, height_mm integer, price integer, is_kit boolean, active boolean)
JOIN product p ON p.code = r.product
LEFT JOIN variant o ON o.sku = r.sku
ORDER BY r.sku
"""
# Unchanged rows keep their version. A variant's product is checked before: a SKU does not wander from one to another.
UPSERT_VARIANTS = (
    _STATED_VARIANTS
    + """
ON CONFLICT (sku) DO UPDATE SET
    name = excluded.name, gtin = excluded.gtin, options = excluded.options, weight_grams = excluded.weight_grams,
    length_mm = excluded.length_mm, width_mm = excluded.width_mm, height_mm = excluded.height_mm,
    price = excluded.price, is_kit = excluded.is_kit, active = excluded.active, version = v.version + 1
WHERE (v.name, v.gtin, v.options, v.weight_grams, v.length_mm, v.width_mm, v.height_mm, v.price, v.is_kit, v.active)
    IS DISTINCT FROM (excluded.name, excluded.gtin, excluded.options, excluded.weight_grams, excluded.length_mm,
        excluded.width_mm, excluded.height_mm, excluded.price, excluded.is_kit, excluded.active)
RETURNING v.product_id
"""
)

# Those that are not there. Whoever made one of them at the same moment is waited for, and keeps it.
ADD_PRODUCTS = _STATED_PRODUCTS + "ON CONFLICT DO NOTHING RETURNING p.id"
# The same of variants: of a SKU or a GTIN that somebody has.
ADD_VARIANTS = _STATED_VARIANTS + "ON CONFLICT DO NOTHING RETURNING v.product_id"

# What the folded text is made of, for every variant of the products that changed.
TEXTS_OF_PRODUCTS = """
SELECT v.id, p.name, p.code, p.brand, v.name, v.sku, v.gtin, v.folded
FROM variant v JOIN product p ON p.id = v.product_id
WHERE p.code = ANY(%(codes)s::text[])
"""

# In id order; only rows whose text differs are sent.
SET_FOLDED = """
UPDATE variant v SET folded = r.folded
FROM (SELECT * FROM unnest(%(ids)s::int[], %(texts)s::text[]) AS u (id, folded) ORDER BY id) AS r
WHERE v.id = r.id
"""

# A kit's components are replaced as a whole where they are stated: what is no longer stated goes ...
REMOVE_COMPONENTS = """
DELETE FROM kit_component k USING variant v, variant c
WHERE v.id = k.kit_id AND c.id = k.component_id AND v.sku = ANY(%(kits)s::text[])
  AND NOT EXISTS (SELECT FROM unnest(%(owners)s::text[], %(components)s::text[]) AS r (kit, component)
                  WHERE r.kit = v.sku AND r.component = c.sku)
RETURNING v.product_id
"""

# ... and what is stated is set.
UPSERT_COMPONENTS = """
INSERT INTO kit_component AS k (kit_id, component_id, quantity)
SELECT v.id, c.id, r.quantity
FROM unnest(%(owners)s::text[], %(components)s::text[], %(quantities)s::int[]) AS r (kit, component, quantity)
JOIN variant v ON v.sku = r.kit
JOIN variant c ON c.sku = r.component
ORDER BY 1, 2
ON CONFLICT (kit_id, component_id) DO UPDATE SET quantity = excluded.quantity
WHERE k.quantity <> excluded.quantity
RETURNING (SELECT product_id FROM variant WHERE id = k.kit_id)
"""

# Substitutes are replaced as a whole where they are stated: what is no longer stated goes ...
REMOVE_SUBSTITUTES = """
DELETE FROM variant_substitute x USING variant v, variant s
WHERE v.id = x.variant_id AND s.id = x.substitute_id AND v.sku = ANY(%(stated)s::text[])
  AND NOT EXISTS (SELECT FROM unnest(%(owners)s::text[], %(substitutes)s::text[]) AS r (owner, substitute)
                  WHERE r.owner = v.sku AND r.substitute = s.sku)
RETURNING v.product_id
"""

# ... and what is stated is set. By id, as every other writer does.
UPSERT_SUBSTITUTES = """
INSERT INTO variant_substitute AS x (variant_id, substitute_id, position, both_ways)
SELECT v.id, s.id, r.position, r.both_ways
FROM unnest(%(owners)s::text[], %(substitutes)s::text[], %(positions)s::smallint[], %(both_ways)s::boolean[])
     AS r (owner, substitute, position, both_ways)
JOIN variant v ON v.sku = r.owner
JOIN variant s ON s.sku = r.substitute
ORDER BY 1, 2
ON CONFLICT (variant_id, substitute_id) DO UPDATE SET position = excluded.position, both_ways = excluded.both_ways
WHERE (x.position, x.both_ways) IS DISTINCT FROM (excluded.position, excluded.both_ways)
RETURNING (SELECT product_id FROM variant WHERE id = x.variant_id)
"""

# A variant that goes stands in for nothing, and nothing for it.
REMOVE_SUBSTITUTES_OF = """
DELETE FROM variant_substitute x USING variant v
WHERE v.id IN (x.variant_id, x.substitute_id) AND v.sku = ANY(%(skus)s::text[])
RETURNING (SELECT product_id FROM variant WHERE id = x.variant_id)
"""

# Media of the products and variants that state theirs are replaced as a whole.
REMOVE_MEDIA = """
DELETE FROM media m
WHERE (m.variant_id IS NULL AND m.product_id IN (SELECT id FROM product WHERE code = ANY(%(products)s::text[])))
   OR m.variant_id IN (SELECT id FROM variant WHERE sku = ANY(%(skus)s::text[]))
RETURNING m.product_id
"""

# See above.
ADD_MEDIA = """
INSERT INTO media (product_id, variant_id, position, url, alt)
SELECT p.id, v.id, r.position, r.url, r.alt
FROM jsonb_to_recordset(%(rows)s::jsonb) AS r (product text, sku text, position smallint, url text, alt text)
JOIN product p ON p.code = r.product
LEFT JOIN variant v ON v.sku = r.sku
ORDER BY p.id, v.id NULLS FIRST, r.position
RETURNING product_id
"""

# Unchanged rows stay untouched. Parents are stated first; the path is set by the caller, who holds the tree's lock.
UPSERT_CATEGORY = """
INSERT INTO category AS c (parent_id, code, name, path)
SELECT p.id, %(code)s::text, %(name)s::text, coalesce(p.path || '/', '') || %(code)s::text
FROM (SELECT 1) AS one LEFT JOIN category p ON p.code = %(parent)s::text
ON CONFLICT (code) DO UPDATE SET name = excluded.name WHERE c.name <> excluded.name
"""

# The whole branch moves with its root: every path below it gets the new beginning. Index category_path serves the
# range.
MOVE_BRANCH = """
UPDATE category c SET
    path = %(path)s::text || substr(c.path, length(%(old)s::text) + 1),
    parent_id = CASE WHEN c.path = %(old)s::text THEN (SELECT id FROM category WHERE code = %(parent)s::text)
                     ELSE c.parent_id END
WHERE c.path = %(old)s::text OR starts_with(c.path, %(old)s::text || '/')
"""


async def upsert(tx: Tx, statement: Statement, rows: Sequence[Any]) -> list[int]:
    """Run a statement over structs or dicts as one JSON parameter; return the product of each row it wrote."""
    return await tx.values(statement, {"rows": _encode(rows).decode()}) if rows else []
