"""Listings over a connection: their goods, what is said of them there, and how they stand."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from malha.channels.connecting.price_reads import IS_KEPT
from malha.channels.feeds import reads as feeds
from malha.channels.feeds.model import Mapped
from malha.channels.listings.model import ListingError, Status
from malha.platform.db import Tx
from malha.platform.text import fold, literal

# What the content is worked out from; the tree of categories and the website, which no row has a mark of, come as text.
_STAMP = f"""hashtextextended(concat_ws('|', {feeds.STAMP}, coalesce(o.version, 0), coalesce(q.version, 0),
    coalesce(k.version, 0), %(around)s::text), 0)"""
_OF = f"""
FROM variant v
JOIN product p ON p.id = v.product_id
LEFT JOIN listing l ON l.channel_id = %(channel_id)s::int AND l.sku_id = v.id
LEFT JOIN listing_post w ON w.connection_id = %(connection_id)s::int AND w.sku_id = v.id
LEFT JOIN listing_override o ON o.connection_id = %(connection_id)s::int AND o.product_id = p.id AND o.sku_id = v.id
LEFT JOIN listing_override q ON q.connection_id = %(connection_id)s::int AND q.product_id = p.id AND q.sku_id IS NULL
LEFT JOIN listing_plan k ON k.connection_id = %(connection_id)s::int
LEFT JOIN listing_price a ON a.channel_id = %(channel_id)s::int AND a.sku_id = v.id
LEFT JOIN category c ON c.id = p.category_id
{feeds.PICTURES}
"""
_GOODS = f"""
SELECT v.id AS sku_id, coalesce(l.code, v.sku) AS code, coalesce(l.active, false) AS active, v.sku, v.name, v.gtin,
       v.options, v.weight_grams, v.length_mm, v.width_mm, v.height_mm, {feeds.PRICE} AS price, a.price AS own_price,
       v.price AS catalog_price, {IS_KEPT} AS price_kept, v.active AND p.active AS on_sale,
       p.id AS product_id, p.code AS product, p.name AS product_name, p.description, p.brand, p.ncm, p.attributes,
       p.options <> '[]' AS has_variants, c.code AS category, m.urls, {_STAMP} AS stamp,
       coalesce(o.said, '{{}}') AS said, coalesce(q.said, '{{}}') AS said_of_product,
       coalesce(o.version, 0) + coalesce(q.version, 0) + coalesce(a.version, 0) AS said_version,
       coalesce(w.status, 'draft') AS status, coalesce(w.wanted, false) AS wanted, coalesce(w.version, 0) AS version,
       w.queued, w.sent_version, w.sent_at, coalesce(w.reference, '') AS reference, coalesce(w.errors, '[]') AS errors
{_OF}
"""
# By primary keys.
GOODS_OF = f"{_GOODS} WHERE v.id = ANY (%(skus)s::int[]) ORDER BY v.id"
GOODS_OF_SKU = f"{_GOODS} WHERE v.sku = %(sku)s::text"
# What was published and differs in anything from what it was worked out from; pages by the primary key of what was.
TO_LOOK_AT = f"""
SELECT v.id {_OF}
WHERE w.sku_id > %(after)s::int AND w.version + w.wanted::int > 0 AND w.stamp IS DISTINCT FROM {_STAMP}
ORDER BY w.sku_id LIMIT %(most)s::int
"""
# In the order of the key.
PUBLISHED = """
SELECT sku_id FROM listing_post WHERE connection_id = %(connection_id)s::int AND wanted
ORDER BY sku_id LIMIT %(most)s::int
"""
OF_PRODUCTS = """
SELECT w.sku_id FROM listing_post w JOIN variant v ON v.id = w.sku_id
WHERE w.connection_id = %(connection_id)s::int AND v.product_id = ANY (%(products)s::int[]) ORDER BY w.sku_id
"""
_LISTED = """
FROM variant v
LEFT JOIN listing l ON l.channel_id = %(channel_id)s::int AND l.sku_id = v.id
LEFT JOIN listing_post w ON w.connection_id = %(connection_id)s::int AND w.sku_id = v.id
LEFT JOIN listing_price a ON a.channel_id = %(channel_id)s::int AND a.sku_id = v.id
"""
_IS_LISTED = "(l.sku_id IS NOT NULL OR w.sku_id IS NOT NULL OR a.price IS NOT NULL)"
# A page by the index on SKU.
LISTED = f"""
SELECT v.id AS sku_id, v.sku, v.name, coalesce(l.code, v.sku) AS code, {feeds.PRICE} AS price, a.price AS own_price,
       v.active AND p.active AS on_sale, coalesce(l.active, false) AS active, coalesce(w.status, 'draft') AS status,
       coalesce(w.wanted, false) AS wanted,
       w.sent_at, coalesce(w.reference, '') AS reference, coalesce(w.errors, '[]') AS errors,
       (SELECT count(*) FROM listing_override o CROSS JOIN LATERAL jsonb_object_keys(o.said)
        WHERE o.connection_id = %(connection_id)s::int AND o.product_id = v.product_id
          AND (o.sku_id = v.id OR o.sku_id IS NULL))::int AS overrides
{_LISTED}
JOIN product p ON p.id = v.product_id
WHERE {_IS_LISTED} AND v.sku > %(after)s::text
  AND (%(status)s::text IS NULL OR coalesce(w.status, 'draft') = %(status)s::text)
  AND (NOT %(wrong)s::boolean OR w.errors <> '[]')
  AND (%(sought)s::text IS NULL OR v.folded LIKE '%%' || %(folded)s::text || '%%' OR l.code = %(sought)s::text
       OR v.sku = %(sought)s::text)
ORDER BY v.sku LIMIT %(most)s::int
"""
COUNTS = f"""
SELECT coalesce(w.status, 'draft'), count(*), count(*) FILTER (WHERE w.errors <> '[]') {_LISTED}
WHERE {_IS_LISTED} GROUP BY 1
"""
SKUS_OF = """
SELECT v.sku, v.id, v.product_id FROM variant v WHERE v.sku = ANY (%(skus)s::text[])
"""
# What the channel has not taken yet, not once.
NEVER_TAKEN = """
SELECT v.sku FROM listing_post w JOIN variant v ON v.id = w.sku_id
WHERE w.connection_id = %(connection_id)s::int AND w.sku_id = ANY (%(skus)s::int[])
  AND w.sent_version IS NULL
"""
# Rows for a file, by primary key, under the first connection of a channel that reads them back.
PRICES_AFTER = """
SELECT k.code, v.sku, a.price, a.channel_id, a.sku_id
FROM listing_price a
JOIN variant v ON v.id = a.sku_id
JOIN LATERAL (SELECT c.code FROM connection c
              WHERE c.channel_id = a.channel_id AND c.connector = ANY (%(connectors)s::text[])
              ORDER BY c.id LIMIT 1) AS k ON true
WHERE a.price IS NOT NULL AND (a.channel_id, a.sku_id) > (%(channel_id)s::int, %(sku_id)s::int)
ORDER BY a.channel_id, a.sku_id LIMIT %(most)s::int
"""
OVERRIDES_OF = """
SELECT o.product_id, coalesce(o.sku_id, 0), o.said FROM listing_override o
WHERE o.connection_id = %(connection_id)s::int AND o.product_id = ANY (%(products)s::int[])
"""
# Rows for a file: one for each override of each variant, and what is said of a product at its first variant.
OVERRIDES_AFTER = """
SELECT k.code, v.sku, s.key, s.value, o.connection_id, o.product_id, coalesce(o.sku_id, 0)
FROM listing_override o
JOIN connection k ON k.id = o.connection_id
JOIN LATERAL (SELECT v.sku FROM variant v WHERE v.product_id = o.product_id AND (o.sku_id IS NULL OR v.id = o.sku_id)
              ORDER BY v.id LIMIT 1) AS v ON true
CROSS JOIN LATERAL jsonb_each(o.said) AS s
WHERE (o.connection_id, o.product_id, coalesce(o.sku_id, 0))
      > (%(connection_id)s::int, %(product_id)s::int, %(sku_id)s::int)
  AND (o.connection_id, o.product_id, coalesce(o.sku_id, 0)) IN (
    SELECT x.connection_id, x.product_id, coalesce(x.sku_id, 0) FROM listing_override x
    WHERE (x.connection_id, x.product_id, coalesce(x.sku_id, 0))
          > (%(connection_id)s::int, %(product_id)s::int, %(sku_id)s::int) AND x.said <> '{}'
    ORDER BY 1, 2, 3 LIMIT %(most)s::int)
ORDER BY 5, 6, 7, s.key
"""
PLAN = "SELECT mapping, version, seen FROM listing_plan WHERE connection_id = %(connection_id)s::int"
# What no row of a listing has a mark of changes with one of these.
REVISIONS = """
SELECT coalesce(string_agg(name || n, ' ' ORDER BY name), '') FROM revision
WHERE name IN ('catalog', 'listings', 'network', 'prices')
"""


class Goods(feeds.Goods, frozen=True, kw_only=True):
    """A variant with everything that a channel can be told of it, what is said of it there, and how it stands.

    `price` is what it costs there: the channel's own (`own_price`), or the catalogue's. `price_kept`: the channel keeps
    it itself, and is told none.
    """

    own_price: int | None
    catalog_price: int | None
    price_kept: bool
    product_id: int
    said: dict[str, Any]
    said_of_product: dict[str, Any]
    said_version: int
    status: Status
    wanted: bool
    version: int
    queued: bytes | None
    sent_version: int | None
    sent_at: datetime | None
    reference: str
    errors: list[ListingError]


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the list."""

    sku_id: int
    sku: str
    name: str
    code: str
    price: int | None
    own_price: int | None
    on_sale: bool
    active: bool
    status: Status
    wanted: bool
    sent_at: datetime | None
    reference: str
    errors: list[ListingError]
    overrides: int


class Place(msgspec.Struct, frozen=True):
    """Where listings are: over which connection, on which channel; `around`: all that no row has a mark of."""

    connection_id: int
    channel_id: int
    around: str = ""


def _params(place: Place) -> dict[str, Any]:
    return {"connection_id": place.connection_id, "channel_id": place.channel_id}


def _goods(rows: Sequence[dict[str, Any]]) -> list[Goods]:
    return [
        msgspec.convert({**row, "queued": None if row["queued"] is None else bytes(row["queued"])}, Goods)
        for row in rows
    ]


async def goods_of(tx: Tx, place: Place, skus: Sequence[int]) -> list[Goods]:
    """Return variants by id."""
    return _goods(await tx.all(dict, GOODS_OF, {**_params(place), "around": place.around, "skus": list(skus)}))


async def goods_of_sku(tx: Tx, place: Place, sku: str) -> Goods | None:
    """Return a variant by its SKU."""
    found = _goods(await tx.all(dict, GOODS_OF_SKU, {**_params(place), "around": place.around, "sku": sku}))
    return found[0] if found else None


async def to_look_at(tx: Tx, place: Place, after: int, most: int) -> list[int]:
    """Return variants that were published and differ in anything from what their content was worked out from."""
    return await tx.values(TO_LOOK_AT, {**_params(place), "around": place.around, "after": after, "most": most})


async def published(tx: Tx, connection_id: int, most: int) -> list[int]:
    """Return the first variants that somebody published over a connection."""
    return await tx.values(PUBLISHED, {"connection_id": connection_id, "most": most})


async def of_products(tx: Tx, connection_id: int, products: Sequence[int]) -> list[int]:
    """Return the variants of products that were published."""
    return await tx.values(OF_PRODUCTS, {"connection_id": connection_id, "products": list(products)})


async def listed(
    tx: Tx,
    place: Place,
    *,
    after: str = "",
    status: Status | None = None,
    wrong: bool = False,
    sought: str | None = None,
    most: int = 100,
) -> list[Listed]:
    """Return a page of listings by SKU: all, of a status, with errors, or that are called like something."""
    asked = {"after": after, "status": status and status.value, "wrong": wrong, "sought": sought, "most": most}
    folded = literal(fold(sought or ""))
    rows = await tx.all(dict, LISTED, {**_params(place), **asked, "folded": folded})
    return [msgspec.convert(row, Listed) for row in rows]


async def counts(tx: Tx, place: Place) -> tuple[dict[Status, int], int]:
    """Return how many listings there are of each status, and how many have errors."""
    rows = await tx.tuples(COUNTS, _params(place))
    return {Status(status): count for status, count, _ in rows}, sum(wrong for _, _, wrong in rows)


async def skus_of(tx: Tx, skus: Sequence[str]) -> dict[str, tuple[int, int]]:
    """Return the variant and the product of SKUs that are known."""
    return {sku: (id_, product) for sku, id_, product in await tx.tuples(SKUS_OF, {"skus": list(skus)})}


async def overrides_of(tx: Tx, connection_id: int, products: Sequence[int]) -> dict[tuple[int, int], dict[str, Any]]:
    """Return what is said of products (variant 0) and their variants."""
    rows = await tx.tuples(OVERRIDES_OF, {"connection_id": connection_id, "products": list(products)})
    return {(product, sku): said for product, sku, said in rows}


PricePlace = tuple[int, int]


async def prices_after(
    tx: Tx, after: PricePlace, connectors: Sequence[str], most: int
) -> list[tuple[str, str, int, PricePlace]]:
    """Return what channels ask themselves after a place: connection, SKU, price, and the place of each."""
    channel_id, sku_id = after
    asked = {"channel_id": channel_id, "sku_id": sku_id, "connectors": list(connectors), "most": most}
    return [(code, sku, price, (at, id_)) for code, sku, price, at, id_ in await tx.tuples(PRICES_AFTER, asked)]


OverridePlace = tuple[int, int, int]


async def overrides_after(tx: Tx, after: OverridePlace, most: int) -> list[tuple[str, str, str, Any, OverridePlace]]:
    """Return overrides of all connections after a place: connection, SKU, field, value, and the place of each."""
    asked = dict(zip(("connection_id", "product_id", "sku_id"), after, strict=True))
    rows = await tx.tuples(OVERRIDES_AFTER, {**asked, "most": most})
    return [(code, sku, field, value, tuple(place)) for code, sku, field, value, *place in rows]


async def plan(tx: Tx, connection_id: int) -> tuple[list[Mapped] | None, int, str]:
    """Return how fields are mapped (None: in the usual way), the version of that, and what was looked at last."""
    rows = await tx.tuples(PLAN, {"connection_id": connection_id})
    if not rows:
        return None, 0, ""
    mapping, version, seen = rows[0]
    return None if mapping is None else msgspec.convert(mapping, list[Mapped]), version, seen


async def revisions(tx: Tx) -> str:
    """Return what the catalogue, the listings of channels and the network are at."""
    found: str = await tx.value(REVISIONS)
    return found
