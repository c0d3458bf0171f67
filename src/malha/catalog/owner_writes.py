"""Statements that write who owns fields of products. Private to the catalogue."""

# The primary key lets one of two owners have a field that both claim at once; the other waits here, then sees it.
CLAIM = """
INSERT INTO product_owner (field, owner, name)
SELECT f, %(owner)s::text, %(name)s::text FROM unnest(%(fields)s::text[]) AS f ORDER BY f
ON CONFLICT (field) DO UPDATE SET name = excluded.name WHERE product_owner.owner = excluded.owner
"""
# Eleven rows at most.
RELEASE = """
DELETE FROM product_owner WHERE owner = %(owner)s::text AND NOT field = ANY (%(fields)s::text[])
"""
# See above.
RENAME = "UPDATE product_owner SET name = %(name)s::text WHERE owner = %(owner)s::text"
# By SKU, as every writer of variants; what is noted already stays untouched.
TELL = """
INSERT INTO variant_owner (variant_id, owner)
SELECT v.id, %(owner)s::text FROM variant v WHERE v.sku = ANY (%(skus)s::text[]) ORDER BY v.sku
ON CONFLICT DO NOTHING
"""
# By primary key.
UNTELL = """
DELETE FROM variant_owner o USING variant v
WHERE v.sku = ANY (%(skus)s::text[]) AND o.variant_id = v.id AND o.owner = %(owner)s::text
"""
# Of an owner that keeps nothing any more: once, by a person's press.
FORGET_TOLD = "DELETE FROM variant_owner WHERE owner = %(owner)s::text"
