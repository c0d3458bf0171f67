"""The catalogue as others see it: cards by SKU, products with everything, lists and searches."""

from collections.abc import Sequence
from typing import Any

from malha.catalog.model import (
    Category,
    Component,
    Media,
    MediaDraft,
    Product,
    ProductDraft,
    Substitute,
    Variant,
    VariantCard,
    VariantDraft,
    VariantRow,
)
from malha.platform import revisions
from malha.platform.db import Tx
from malha.platform.text import fold, literal

REVISION = "catalog"

# Unique index on sku; kits bring their components as two parallel arrays.
CARDS_BY_SKU = """
SELECT v.id, v.sku, v.name, v.product_id, v.gtin, v.weight_grams, v.length_mm, v.width_mm, v.height_mm, v.price,
       v.is_kit, v.active AND p.active,
       CASE WHEN v.is_kit THEN ARRAY(SELECT k.component_id FROM kit_component k WHERE k.kit_id = v.id ORDER BY 1) END,
       CASE WHEN v.is_kit THEN
           ARRAY(SELECT k.quantity FROM kit_component k WHERE k.kit_id = v.id ORDER BY k.component_id) END
FROM variant v JOIN product p ON p.id = v.product_id
WHERE v.sku = ANY(%(skus)s::text[])
"""

# As above by primary key.
CARDS_BY_ID = """
SELECT v.id, v.sku, v.name, v.product_id, v.gtin, v.weight_grams, v.length_mm, v.width_mm, v.height_mm, v.price,
       v.is_kit, v.active AND p.active,
       CASE WHEN v.is_kit THEN ARRAY(SELECT k.component_id FROM kit_component k WHERE k.kit_id = v.id ORDER BY 1) END,
       CASE WHEN v.is_kit THEN
           ARRAY(SELECT k.quantity FROM kit_component k WHERE k.kit_id = v.id ORDER BY k.component_id) END
FROM variant v JOIN product p ON p.id = v.product_id
WHERE v.id = ANY(%(ids)s::int[])
"""

# As above by the partial unique index on gtin.
CARDS_BY_GTIN = """
SELECT v.id, v.sku, v.name, v.product_id, v.gtin, v.weight_grams, v.length_mm, v.width_mm, v.height_mm, v.price,
       v.is_kit, v.active AND p.active,
       CASE WHEN v.is_kit THEN ARRAY(SELECT k.component_id FROM kit_component k WHERE k.kit_id = v.id ORDER BY 1) END,
       CASE WHEN v.is_kit THEN
           ARRAY(SELECT k.quantity FROM kit_component k WHERE k.kit_id = v.id ORDER BY k.component_id) END
FROM variant v JOIN product p ON p.id = v.product_id
WHERE v.gtin = ANY(%(gtins)s::text[])
"""

# Unique index on code.
PRODUCT_IDS = "SELECT code, id FROM product WHERE code = ANY (%(codes)s::text[])"

# Unique index on code.
PRODUCTS_BY_CODE = """
SELECT p.id, p.code, p.name, p.description, p.brand, c.code AS category, p.ncm, p.cest, p.origin, p.options,
       p.attributes, p.active, p.version
FROM product p LEFT JOIN category c ON c.id = p.category_id
WHERE p.code = ANY(%(codes)s::text[])
ORDER BY p.code
"""

# Unique index on sku.
PRODUCTS_OF_SKUS = """
SELECT v.sku, p.code FROM variant v JOIN product p ON p.id = v.product_id WHERE v.sku = ANY(%(skus)s::text[])
"""

KNOWN_CODES = "SELECT code FROM product WHERE code = ANY(%(codes)s::text[])"

# Read whole, for exports only.
OPTION_NAMES = """
SELECT DISTINCT o FROM product p, jsonb_array_elements_text(p.options) AS o ORDER BY 1
"""

# Read whole, for exports only.
ATTRIBUTE_NAMES = """
SELECT DISTINCT jsonb_object_keys(attributes) FROM product ORDER BY 1
"""

# A walk through the whole catalogue in pages, by the unique index on code.
PRODUCT_CODES_AFTER = """
SELECT code FROM product WHERE code > %(after)s::text ORDER BY code LIMIT %(limit)s::int
"""

# By the unique index on sku.
PRICES_AFTER = """
SELECT sku, price FROM variant WHERE sku > %(after)s::text AND price IS NOT NULL ORDER BY sku LIMIT %(limit)s::int
"""

# Index variant_product; components by name, for people.
VARIANTS_OF_PRODUCTS = """
SELECT v.product_id, v.id, v.sku, v.name, v.gtin, v.options, v.weight_grams, v.length_mm, v.width_mm, v.height_mm,
       v.price, v.is_kit, v.active, v.version,
       coalesce((SELECT jsonb_object_agg(c.sku, k.quantity) FROM kit_component k JOIN variant c ON c.id = k.component_id
                 WHERE k.kit_id = v.id), '{}') AS components,
       coalesce((SELECT jsonb_agg(jsonb_build_object('sku', s.sku, 'both_ways', x.both_ways) ORDER BY x.position)
                 FROM variant_substitute x JOIN variant s ON s.id = x.substitute_id
                 WHERE x.variant_id = v.id), '[]') AS substitutes
FROM variant v
WHERE v.product_id = ANY(%(products)s::int[])
ORDER BY v.product_id, v.id
"""

# What may stand in for variants: what they name, in its order, then what names them both ways. By both indexes.
SUBSTITUTES = """
SELECT variant_id, substitute_id FROM (
    SELECT variant_id, substitute_id, 0 AS back, position FROM variant_substitute
    WHERE variant_id = ANY(%(ids)s::int[])
    UNION ALL
    SELECT substitute_id, variant_id, 1, position FROM variant_substitute
    WHERE both_ways AND substitute_id = ANY(%(ids)s::int[])
) AS named
ORDER BY variant_id, back, position, substitute_id
"""

# Index media_product.
MEDIA_OF_PRODUCTS = """
SELECT m.product_id, m.url, m.alt, m.position, v.sku
FROM media m LEFT JOIN variant v ON v.id = m.variant_id
WHERE m.product_id = ANY(%(products)s::int[])
ORDER BY m.product_id, m.variant_id NULLS FIRST, m.position, m.id
"""

# The first picture of each: its own before its product's. Index media_product.
IMAGES_OF_SKUS = """
SELECT v.sku, i.url FROM variant v
CROSS JOIN LATERAL (
    SELECT m.url FROM media m WHERE m.product_id = v.product_id AND (m.variant_id = v.id OR m.variant_id IS NULL)
    ORDER BY m.variant_id NULLS LAST, m.position, m.id LIMIT 1) AS i
WHERE v.sku = ANY (%(skus)s::text[])
"""
# The first picture of each: its own before those of its variants. Index media_product.
IMAGES_OF_PRODUCTS = """
SELECT p.code, i.url FROM product p
CROSS JOIN LATERAL (SELECT m.url FROM media m WHERE m.product_id = p.id
                    ORDER BY m.variant_id NULLS FIRST, m.position, m.id LIMIT 1) AS i
WHERE p.code = ANY (%(codes)s::text[])
"""

# By primary key of the variant.
TRAITS = """
SELECT v.id, p.brand, coalesce(string_to_array(c.path, '/'), '{}'), p.attributes
FROM variant v JOIN product p ON p.id = v.product_id LEFT JOIN category c ON c.id = p.category_id
WHERE v.id = ANY (%(ids)s::int[])
"""

# Few thousand rows at most; read whole, parents before children.
CATEGORIES = """
SELECT c.id, c.code, c.name, p.code AS parent, c.path
FROM category c LEFT JOIN category p ON p.id = c.parent_id
ORDER BY c.path
"""

# Keyset by sku; the trigram index serves `folded`, the rest are filters on what it finds.
VARIANT_PAGE = """
SELECT v.id, v.sku, v.name, p.code AS product, p.brand, c.code AS category, v.gtin, v.price, v.is_kit,
       v.active AND p.active AS active,
       (SELECT m.url FROM media m WHERE m.product_id = p.id AND (m.variant_id = v.id OR m.variant_id IS NULL)
        ORDER BY m.variant_id NULLS LAST, m.position, m.id LIMIT 1) AS image
FROM variant v
JOIN product p ON p.id = v.product_id
LEFT JOIN category c ON c.id = p.category_id
WHERE v.sku > %(after)s::text
  AND (%(words)s::text[] IS NULL OR v.folded LIKE ALL (%(words)s::text[]))
  AND (%(path)s::text IS NULL OR c.path = %(path)s::text OR starts_with(c.path, %(path)s::text || '/'))
  AND (%(active)s::boolean IS NULL OR (v.active AND p.active) = %(active)s::boolean)
ORDER BY v.sku
LIMIT %(limit)s::int
"""


def _card(row: tuple[Any, ...]) -> VariantCard:
    parts, quantities = row[12] or (), row[13] or ()
    return VariantCard(
        id=row[0],
        sku=row[1],
        name=row[2],
        product_id=row[3],
        gtin=row[4],
        weight_grams=row[5],
        length_mm=row[6],
        width_mm=row[7],
        height_mm=row[8],
        price=row[9],
        is_kit=row[10],
        active=row[11],
        components=tuple(Component(part, quantity) for part, quantity in zip(parts, quantities, strict=True)),
    )


async def by_skus(tx: Tx, skus: Sequence[str]) -> list[VariantCard]:
    """Return the cards of the SKUs that exist, in no order; unknown ones are absent."""
    return [_card(row) for row in await tx.tuples(CARDS_BY_SKU, {"skus": list(skus)})]


async def by_ids(tx: Tx, ids: Sequence[int]) -> list[VariantCard]:
    """Return the cards of variants by id, in no order."""
    return [_card(row) for row in await tx.tuples(CARDS_BY_ID, {"ids": list(ids)})]


async def by_gtins(tx: Tx, gtins: Sequence[str]) -> list[VariantCard]:
    """Return the cards of variants by GTIN (what a scanner reads), in no order."""
    return [_card(row) for row in await tx.tuples(CARDS_BY_GTIN, {"gtins": list(gtins)})]


async def substitutes_of(tx: Tx, ids: Sequence[int]) -> dict[int, list[VariantCard]]:
    """Return what may stand in for variants, what is offered first first; only what is on sale."""
    pairs = await tx.tuples(SUBSTITUTES, {"ids": list(ids)})
    cards = {card.id: card for card in await by_ids(tx, sorted({other for _, other in pairs}))} if pairs else {}
    found: dict[int, list[VariantCard]] = {id_: [] for id_ in ids}
    for id_, other in dict.fromkeys(pairs):
        if cards[other].active:
            found[id_].append(cards[other])
    return found


async def revision(tx: Tx) -> int:
    """Return the catalogue's revision, for caches."""
    return await revisions.current(tx, REVISION)


async def traits(tx: Tx, ids: Sequence[int]) -> list[tuple[int, str | None, list[str], dict[str, str]]]:
    """Return id, brand, category codes from the root down, and attributes of variants."""
    return await tx.tuples(TRAITS, {"ids": list(ids)})


async def images_of_skus(tx: Tx, skus: Sequence[str]) -> dict[str, str]:
    """Return the address of the first picture of each SKU that has one."""
    return dict(await tx.tuples(IMAGES_OF_SKUS, {"skus": list(skus)}))


async def images_of_products(tx: Tx, codes: Sequence[str]) -> dict[str, str]:
    """Return the address of the first picture of each product that has one."""
    return dict(await tx.tuples(IMAGES_OF_PRODUCTS, {"codes": list(codes)}))


async def categories(tx: Tx) -> list[Category]:
    """Return the category tree, parents before their children."""
    return await tx.all(Category, CATEGORIES)


async def products_by_code(tx: Tx, codes: Sequence[str]) -> dict[str, Product]:
    """Return products with variants and media, by code."""
    rows = await tx.all(dict, PRODUCTS_BY_CODE, {"codes": list(codes)})
    ids = [row["id"] for row in rows]
    variants: dict[int, list[Variant]] = {i: [] for i in ids}
    for found in await tx.all(dict, VARIANTS_OF_PRODUCTS, {"products": ids}):
        found["substitutes"] = [Substitute(**one) for one in found["substitutes"]]
        variants[found.pop("product_id")].append(Variant(**found))
    media: dict[int, list[Media]] = {i: [] for i in ids}
    for found in await tx.all(dict, MEDIA_OF_PRODUCTS, {"products": ids}):
        media[found.pop("product_id")].append(Media(**found))
    return {row["code"]: Product(**row, variants=variants[row["id"]], media=media[row["id"]]) for row in rows}


async def product_by_code(tx: Tx, code: str) -> Product | None:
    """Return one product with variants and media."""
    return (await products_by_code(tx, [code])).get(code)


async def product_codes(tx: Tx, *, after: str = "", limit: int = 500) -> list[str]:
    """Return product codes in order, to walk through the catalogue in pages."""
    return await tx.values(PRODUCT_CODES_AFTER, {"after": after, "limit": limit})


async def prices(tx: Tx, *, after: str = "", limit: int = 1_000) -> list[tuple[str, int]]:
    """Return (SKU, price in centavos) of the variants that have a price, in order, to walk through them in pages."""
    return [(sku, price) for sku, price in await tx.tuples(PRICES_AFTER, {"after": after, "limit": limit})]


async def products_of_skus(tx: Tx, skus: Sequence[str]) -> dict[str, str]:
    """Return the code of the product each existing SKU belongs to."""
    return dict(await tx.tuples(PRODUCTS_OF_SKUS, {"skus": list(skus)}))


async def known_codes(tx: Tx, codes: Sequence[str]) -> set[str]:
    """Return which of some codes are those of products."""
    return set(await tx.values(KNOWN_CODES, {"codes": list(codes)}))


async def option_names(tx: Tx) -> list[str]:
    """Return the names of all options in use."""
    return await tx.values(OPTION_NAMES)


async def attribute_names(tx: Tx) -> list[str]:
    """Return the names of all attributes in use."""
    return await tx.values(ATTRIBUTE_NAMES)


async def variant_page(
    tx: Tx,
    *,
    query: str = "",
    category_path: str | None = None,
    active: bool | None = None,
    after: str = "",
    limit: int = 50,
) -> list[VariantRow]:
    """Return SKUs in order, after `after`, whose names, codes, brand or GTIN hold every word of `query`."""
    words = [f"%{literal(word)}%" for word in fold(query).split()]
    params = {"after": after, "words": words or None, "path": category_path, "active": active, "limit": limit}
    return await tx.all(VariantRow, VARIANT_PAGE, params)


def product_draft(product: Product) -> ProductDraft:
    """Return a product in the form in which it is stated: what a person edits, what an import overlays."""
    return ProductDraft(
        code=product.code,
        name=product.name,
        description=product.description,
        brand=product.brand,
        category=product.category,
        ncm=product.ncm,
        cest=product.cest,
        origin=product.origin,
        options=product.options,
        attributes=product.attributes,
        active=product.active,
        variants=[
            VariantDraft(
                sku=v.sku,
                name=v.name,
                gtin=v.gtin,
                options=v.options,
                weight_grams=v.weight_grams,
                length_mm=v.length_mm,
                width_mm=v.width_mm,
                height_mm=v.height_mm,
                price=v.price,
                active=v.active,
                components=v.components,
                substitutes=v.substitutes,
                media=[MediaDraft(url=m.url, alt=m.alt) for m in product.media if m.sku == v.sku],
            )
            for v in product.variants
        ],
        media=[MediaDraft(url=m.url, alt=m.alt) for m in product.media if m.sku is None],
    )
