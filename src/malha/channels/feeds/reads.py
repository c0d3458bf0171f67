"""Feeds, builds, their reports and files; and the goods that rows are made of."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any

import msgspec

from malha.channels.feeds.model import Build, BuildKind, Count, Feed, FlawRow
from malha.channels.reads import CAPS_BEGUN
from malha.platform.db import Database, Tx
from malha.platform.ids import UUID

_FEED = """
SELECT f.id, f.code, f.name, f.channel_id, c.code AS channel, c.name AS channel_name, c.currency AS channel_currency,
       f.plan, f.active, f.full_minutes, f.changes_minutes, f.next_full_at, f.next_changes_at, f.push_url,
       f.push_secret IS NOT NULL AS has_secret, f.salt, f.version, f.baseline, f.pulled_at
FROM feed f JOIN channel c ON c.id = f.channel_id
"""
# Feeds are a handful.
FEEDS = f"{_FEED} WHERE %(code)s::text IS NULL OR f.code = %(code)s::text ORDER BY f.name, f.code"
FEED_OF_ID = f"{_FEED} WHERE f.id = %(id)s::int"
SEALED_SECRET = "SELECT push_secret FROM feed WHERE id = %(id)s::int"  # noqa: S105 -- a statement

_BUILD = """
SELECT id, number, feed_id, kind, state, plan, seen, position, at_sku, parts, total, looked, rows, removed, refused,
       warned, size, packed, crc, digest, problem, by, created_at, started_at, ended_at, push_state, push_error
FROM feed_build
"""
BUILD = f"{_BUILD} WHERE id = %(id)s::uuid"
BUILD_OF_NUMBER = f"{_BUILD} WHERE feed_id = %(feed_id)s::int AND number = %(number)s::int"
# By the index on feed and number.
BUILDS = f"""{_BUILD} WHERE feed_id = %(feed_id)s::int AND number < coalesce(%(before)s::int, 2147483647)
ORDER BY number DESC LIMIT %(limit)s::int
"""
# The newest build of each feed, and the newest that ended well, by the same index.
NEWEST_BUILDS = f"""{_BUILD} WHERE id IN (
    SELECT b.id FROM feed f CROSS JOIN LATERAL (
        SELECT id FROM feed_build WHERE feed_id = f.id ORDER BY number DESC LIMIT 1) AS b
    UNION ALL
    SELECT b.id FROM feed f CROSS JOIN LATERAL (
        SELECT id FROM feed_build WHERE feed_id = f.id AND state = 'done' AND kind = 'full'
        ORDER BY number DESC LIMIT 1) AS b
) ORDER BY number DESC
"""
# The newest file of a kind. Changes count only beside the full file that they differ from: over a newer one they would
# say again what has been.
NEWEST_FILE = f"""{_BUILD} WHERE feed_id = %(feed_id)s::int AND state = 'done' AND kind = %(kind)s::text
  AND (kind = 'full' OR number > (SELECT max(f.number) FROM feed_build f
                                  WHERE f.feed_id = %(feed_id)s::int AND f.state = 'done' AND f.kind = 'full'))
ORDER BY number DESC LIMIT 1
"""
# By the partial index on them.
OPEN_BUILDS = "SELECT id, feed_id FROM feed_build WHERE state IN ('waiting', 'building') ORDER BY id"
COUNTS = """
SELECT severity, rule, field, rows FROM feed_count WHERE build_id = %(id)s::uuid
ORDER BY severity, rows DESC, rule, field
"""
COUNTS_OF = """
SELECT build_id, severity, rule, field, rows FROM feed_count WHERE build_id = ANY (%(ids)s::uuid[])
ORDER BY severity, rows DESC, rule, field
"""
# A page of the rows to mend, by primary key; what a listing is called comes by the keys of the catalogue.
FLAWS = """
SELECT w.sku_id, coalesce(v.sku, '') AS sku, coalesce(v.name, '') AS name, coalesce(l.code, '') AS code, w.place,
       w.rule, w.field, w.severity, w.value
FROM feed_flaw w
JOIN feed_build b ON b.id = w.build_id
JOIN feed f ON f.id = b.feed_id
LEFT JOIN variant v ON v.id = w.sku_id
LEFT JOIN listing l ON l.channel_id = f.channel_id AND l.sku_id = w.sku_id
WHERE w.build_id = %(id)s::uuid
  AND (w.sku_id, w.place, w.rule, w.field)
      > (%(sku_id)s::int, %(place)s::text, %(after_rule)s::text, %(after_field)s::text)
  AND (%(rule)s::text IS NULL OR w.rule = %(rule)s::text)
  AND (%(field)s::text IS NULL OR w.field = %(field)s::text)
ORDER BY w.sku_id, w.place, w.rule, w.field LIMIT %(limit)s::int
"""
PART = "SELECT data FROM feed_part WHERE build_id = %(id)s::uuid AND part = %(part)s::int"
HAS_PARTS = "SELECT EXISTS (SELECT FROM feed_part WHERE build_id = %(id)s::uuid)"

# What a row is made of. The stamp changes when anything of it does that has no place in the log of stock: versions,
# pictures (which are replaced, not changed), what a kit holds, the channel's own price. Of the product it is the
# version of what it says of itself: a row says which product a variant is of and nothing of the others, so what one of
# them costs has only that one looked at. Pictures of the variant come before the product's.
STAMP = """hashtextextended(concat_ws('|', v.version, 'own ' || p.own_version, p.category_id, l.code, l.active,
    v.active, p.active, m.ids,
    CASE WHEN v.is_kit THEN (SELECT string_agg(k.component_id || 'x' || k.quantity, ',' ORDER BY k.component_id)
                             FROM kit_component k WHERE k.kit_id = v.id) END,
    'price ' || a.price), 0)"""
PRICE = "coalesce(a.price, v.price)"
PICTURES = """
LEFT JOIN LATERAL (
    SELECT array_agg(m.url ORDER BY m.variant_id NULLS LAST, m.position, m.id) AS urls,
           string_agg(m.id::text, ',' ORDER BY m.id) AS ids
    FROM media m WHERE m.product_id = p.id AND (m.variant_id = v.id OR m.variant_id IS NULL)
) AS m ON true
"""
OF_LISTING = f"""
JOIN variant v ON v.id = l.sku_id
JOIN product p ON p.id = v.product_id
LEFT JOIN listing_price a ON a.channel_id = l.channel_id AND a.sku_id = l.sku_id
{PICTURES}
"""
_GOODS = f"""
SELECT l.sku_id, l.code, l.active, v.sku, v.name, v.gtin, v.options, v.weight_grams, v.length_mm, v.width_mm,
       v.height_mm, {PRICE} AS price, v.active AND p.active AS on_sale, p.code AS product, p.name AS product_name,
       p.description, p.brand, p.ncm, p.attributes, p.options <> '[]' AS has_variants, c.code AS category,
       m.urls, {STAMP} AS stamp
FROM listing l
{OF_LISTING}
LEFT JOIN category c ON c.id = p.category_id
"""
# Listings of a channel in pages, by primary key; everything else by the keys of the catalogue.
GOODS_AFTER = f"""{_GOODS}
WHERE l.channel_id = %(channel_id)s::int AND l.sku_id > %(after)s::int
ORDER BY l.sku_id LIMIT %(limit)s::int
"""
# The same of what a build of changes has to look at.
GOODS_TO_DO = f"""{_GOODS}
JOIN feed_todo t ON t.build_id = %(id)s::uuid AND t.sku_id = l.sku_id
WHERE l.channel_id = %(channel_id)s::int AND t.sku_id > %(after)s::int
ORDER BY t.sku_id LIMIT %(limit)s::int
"""
GOODS_OF_SKU = f"""{_GOODS}
WHERE l.channel_id = %(channel_id)s::int AND v.sku = %(sku)s::text
"""
COUNT_LISTINGS = "SELECT count(*)::int FROM listing WHERE channel_id = %(channel_id)s::int"
COUNT_TODO = "SELECT count(*)::int FROM feed_todo WHERE build_id = %(id)s::uuid"

# What no row has a mark of: the program that makes rows, the retailer's website, the channel's currency, the rules that
# quantities follow, and the tree of categories, a few thousand rows.
SEEN = f"""
SELECT concat_ws(' ', %(program)s::text,
    md5(coalesce((SELECT website FROM retailer), '')),
    (SELECT currency FROM channel WHERE id = %(channel_id)s::int),
    (SELECT coalesce(string_agg(name || n, ' ' ORDER BY name), '') FROM revision
     WHERE name IN ('allotments', 'network', 'safety')),
    {CAPS_BEGUN},
    (SELECT md5(coalesce(string_agg(code || '|' || name || '|' || path, E'\\n' ORDER BY code), '')) FROM category))
"""
ROWS_OF = (
    "SELECT sku_id, keys, digest FROM feed_row WHERE feed_id = %(feed_id)s::int AND sku_id = ANY (%(skus)s::int[])"
)
# Ids that a listing before these has in the same file, by the partial index on them.
TAKEN_IDS = """
SELECT checked FROM feed_row
WHERE feed_id = %(feed_id)s::int AND checked = ANY (%(ids)s::text[]) AND sku_id < %(before)s::int
"""


class Goods(msgspec.Struct, frozen=True, kw_only=True):
    """A listing with everything a row can hold, but its stock."""

    sku_id: int
    code: str
    active: bool
    sku: str
    name: str
    gtin: str | None
    options: dict[str, Any]
    weight_grams: int
    length_mm: int
    width_mm: int
    height_mm: int
    price: int | None
    on_sale: bool
    product: str
    product_name: str
    description: str
    brand: str | None
    ncm: str | None
    attributes: dict[str, Any]
    has_variants: bool
    category: str | None
    urls: list[str] | None
    stamp: int


async def feeds(tx: Tx, code: str | None = None) -> list[Feed]:
    """Return the feeds by name, or the one with a code."""
    return [msgspec.convert(row, Feed) for row in await tx.all(dict, FEEDS, {"code": code})]


async def feed_of_id(tx: Tx, feed_id: int) -> Feed | None:
    """Return a feed by its id."""
    found = await tx.maybe(dict, FEED_OF_ID, {"id": feed_id})
    return None if found is None else msgspec.convert(found, Feed)


def _build(row: dict[str, Any]) -> Build:
    return msgspec.convert({**row, "digest": bytes(row["digest"])}, Build)


async def build(tx: Tx, build_id: UUID) -> Build | None:
    """Return a build as it stands."""
    found = await tx.maybe(dict, BUILD, {"id": build_id})
    return None if found is None else _build(found)


async def build_of_number(tx: Tx, feed_id: int, number: int) -> Build | None:
    """Return a feed's build by its number."""
    found = await tx.maybe(dict, BUILD_OF_NUMBER, {"feed_id": feed_id, "number": number})
    return None if found is None else _build(found)


async def builds(tx: Tx, feed_id: int, *, before: int | None = None, limit: int = 20) -> list[Build]:
    """Return a feed's builds, the newest first."""
    asked = {"feed_id": feed_id, "before": before, "limit": limit}
    return [_build(row) for row in await tx.all(dict, BUILDS, asked)]


async def newest_builds(tx: Tx) -> dict[int, list[Build]]:
    """Return by feed its newest build and, where that is another, its newest full file; the newest first."""
    found: dict[int, list[Build]] = {}
    for row in await tx.all(dict, NEWEST_BUILDS):
        found.setdefault(row["feed_id"], []).append(_build(row))
    return found


async def newest_file(tx: Tx, feed_id: int, kind: BuildKind) -> Build | None:
    """Return the build whose file is the newest of a kind."""
    found = await tx.maybe(dict, NEWEST_FILE, {"feed_id": feed_id, "kind": kind.value})
    return None if found is None else _build(found)


async def counts(tx: Tx, build_id: UUID) -> list[Count]:
    """Return what rules found and filters left out in a build, the most first."""
    return await tx.all(Count, COUNTS, {"id": build_id})


async def counts_of(tx: Tx, build_ids: Sequence[UUID]) -> dict[UUID, list[Count]]:
    """Return the counts of several builds."""
    found: dict[UUID, list[Count]] = {}
    for build_id, *count in await tx.tuples(COUNTS_OF, {"ids": list(build_ids)}):
        found.setdefault(build_id, []).append(Count(*count))
    return found


Place = tuple[int, str, str, str]
START: Place = (0, "", "", "")


async def flaws(
    tx: Tx, build_id: UUID, *, rule: str | None = None, field: str | None = None, after: Place = START, limit: int = 50
) -> list[FlawRow]:
    """Return rows to mend after a place (SKU id, location, rule, field), of one rule and field or of all."""
    sku_id, place, after_rule, after_field = after
    asked = {"id": build_id, "rule": rule, "field": field, "sku_id": sku_id, "place": place}
    found = await tx.all(dict, FLAWS, {**asked, "after_rule": after_rule, "after_field": after_field, "limit": limit})
    return [msgspec.convert(row, FlawRow) for row in found]


def place_of(row: FlawRow) -> Place:
    """Return where a row stands, to go on after it."""
    return row.sku_id, row.place, row.rule, row.field


async def goods_after(tx: Tx, channel_id: int, after: int, limit: int) -> list[Goods]:
    """Return a channel's listings after a SKU id."""
    return await tx.all(Goods, GOODS_AFTER, {"channel_id": channel_id, "after": after, "limit": limit})


async def goods_to_do(tx: Tx, build_id: UUID, channel_id: int, after: int, limit: int) -> list[Goods]:
    """Return the listings after a SKU id that a build of changes has to look at."""
    asked = {"id": build_id, "channel_id": channel_id, "after": after, "limit": limit}
    return await tx.all(Goods, GOODS_TO_DO, asked)


async def goods_of_sku(tx: Tx, channel_id: int, sku: str) -> list[Goods]:
    """Return the listing of one SKU, if there is one."""
    return await tx.all(Goods, GOODS_OF_SKU, {"channel_id": channel_id, "sku": sku})


async def seen(tx: Tx, channel_id: int, program: str) -> str:
    """Return what all rows of a channel's file depend on, as it is now; `program` stands for what makes them."""
    return str(await tx.value(SEEN, {"channel_id": channel_id, "program": program}))


async def rows_of(tx: Tx, feed_id: int, skus: Sequence[int]) -> dict[int, tuple[list[str], bytes]]:
    """Return the keys and the digest of what the last full file says of SKUs."""
    found = await tx.tuples(ROWS_OF, {"feed_id": feed_id, "skus": list(skus)})
    return {sku_id: (keys, bytes(digest)) for sku_id, keys, digest in found}


async def packed_parts(database: Database, build_id: UUID) -> AsyncIterator[bytes]:
    """Yield a file as it is kept, gzipped, each piece in a transaction of its own."""
    part = 0
    while True:
        async with database.transaction() as tx:
            data = await tx.value(PART, {"id": build_id, "part": part})
        if data is None:
            return
        yield bytes(data)
        part += 1


def last_modified(build: Build) -> datetime:
    """Return when a file was finished."""
    return build.ended_at or build.created_at
