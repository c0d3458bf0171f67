"""Listings, pushes, and what changed: for screens, the API and the pump."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from malha.channels.model import Change
from malha.platform import arrays
from malha.platform.db import Tx

# Pushes that have something to do, by their primary key; the newest version is the end of an index, revisions are a few
# rows. Another network, catalogue, rule of safety stock or allotment can change any quantity: all are looked at again;
# also when a cap begins, which nobody has to do, and by the index on those that are active, which are few.
CAPS_BEGUN = """coalesce((SELECT 'caps ' || string_agg(id::text, ' ' ORDER BY id) FROM allotment
                 WHERE state = 'active' AND kind = 'cap' AND starts_at <= now()), '')"""
_REVISIONS = f"""((SELECT coalesce(string_agg(name || n, ' ' ORDER BY name), '') FROM revision
          WHERE name IN ('allotments', 'catalog', 'network', 'safety')) || ' ' || {CAPS_BEGUN})"""
DUE = f"""
SELECT p.channel_id FROM stock_push p
WHERE p.active AND p.kind <> 'feed' AND p.next_at <= clock_timestamp()
  AND (p.taken_until IS NULL OR p.taken_until < clock_timestamp())
  AND (p.resend_after IS NOT NULL OR p.position < (SELECT max(version) FROM stock_change)
       OR EXISTS (SELECT FROM listing l WHERE l.channel_id = p.channel_id AND l.active
                  AND l.again_at <= clock_timestamp())
       OR p.seen <> {_REVISIONS})
"""
REVISIONS = f"SELECT {_REVISIONS}"
# The same for a channel that asks, which is told all listings again where it is another: in short, and the catalogue
# apart, of which most changes change no quantity.
FEED_REVISIONS = f"""
SELECT md5(concat_ws(' ', (SELECT string_agg(name || n, ' ' ORDER BY name) FROM revision
                           WHERE name IN ('allotments', 'network', 'safety')), {CAPS_BEGUN})),
       coalesce((SELECT n FROM revision WHERE name = 'catalog'), 0)::bigint
"""
# What of a channel's listings is sold, and what kits are made of; read when the catalogue is another.
GOODS_OF_FEED = """
SELECT md5(concat_ws(' ',
    (SELECT sum(hashint8extended(l.sku_id, (v.active AND p.active)::int::bigint))
     FROM listing l JOIN variant v ON v.id = l.sku_id JOIN product p ON p.id = v.product_id
     WHERE l.channel_id = %(channel_id)s::int AND l.active),
    (SELECT sum(hashint8extended((k.kit_id::bigint << 32) | k.component_id, k.quantity::bigint))
     FROM kit_component k)))
"""
ANY_ACTIVE = "SELECT EXISTS (SELECT FROM stock_push WHERE active)"
# Feeds find what changed by the same notes.
ANY_NOTED = "SELECT EXISTS (SELECT FROM stock_push WHERE active) OR EXISTS (SELECT FROM feed)"
# SKUs after a version, whole versions at a time: one event can have changed many. By the index on version.
CHANGED_SINCE = """
SELECT sku_id, version, changed_at FROM stock_change
WHERE version > %(since)s::bigint ORDER BY version FETCH FIRST (%(most)s::int) ROWS WITH TIES
"""
# Listings of changed SKUs and of kits that hold one, of several channels, by the index on the SKU.
LISTINGS_OF = """
WITH changed AS MATERIALIZED (
    SELECT * FROM unnest(%(skus)s::int[], %(versions)s::bigint[], %(times)s::timestamptz[]) AS c(sku_id, version, at)
), meant AS (
    SELECT sku_id, max(version) AS version, min(at) AS at
    FROM (SELECT * FROM changed
          UNION ALL
          SELECT k.kit_id, c.version, c.at FROM changed c JOIN kit_component k ON k.component_id = c.sku_id) AS x
    GROUP BY sku_id
)
SELECT l.channel_id, l.sku_id, v.sku, l.code, m.version, m.at AS changed_at, l.sent_quantity
FROM meant m
JOIN listing l ON l.sku_id = m.sku_id AND l.channel_id = ANY (%(channels)s::int[]) AND l.active
JOIN variant v ON v.id = l.sku_id
ORDER BY l.sku_id
"""
# Listings of a channel on which all SKUs count together on some caps, told as much as is left of a cap and more, or as
# any other: where less is left they are told too much, and where more is, these were the ones cut. A kit counts its
# components. What the channel refused waits for its own change. By the primary key from the channel on; asked where
# such caps are, which are few.
CUT_TOGETHER = """
WITH cap AS (
    SELECT min(a.quota - coalesce(n.used, 0)) AS room
    FROM allotment a LEFT JOIN cap_counter n ON n.allotment_id = a.id AND n.sku_id = 0
    WHERE a.id = ANY (%(caps)s::int[])
), told AS (
    SELECT l.sku_id, l.code, l.sent_quantity, l.sent_quantity * coalesce(
               (SELECT sum(k.quantity) FROM kit_component k WHERE k.kit_id = l.sku_id), 1) AS units
    FROM listing l WHERE l.channel_id = %(channel_id)s::int AND l.active AND l.sent_quantity IS NOT NULL
      AND l.error IS NULL
), most AS (
    SELECT max(units) AS units FROM told
)
SELECT t.sku_id, v.sku, t.code, coalesce(c.version, 0) AS version, coalesce(c.changed_at, now()) AS changed_at,
       t.sent_quantity
FROM cap CROSS JOIN most CROSS JOIN told t
JOIN variant v ON v.id = t.sku_id
LEFT JOIN stock_change c ON c.sku_id = t.sku_id
WHERE t.units >= least(cap.room + 1, most.units) AND (cap.room > 0 OR t.units > 0)
ORDER BY t.units DESC, t.sku_id LIMIT %(most)s::int
"""
# A listing with what was told of it and the newest change of its SKU.
_LISTED = """
SELECT l.sku_id, v.sku, l.code, coalesce(c.version, 0) AS version, coalesce(c.changed_at, now()) AS changed_at,
       l.sent_quantity
FROM listing l
JOIN variant v ON v.id = l.sku_id
LEFT JOIN stock_change c ON c.sku_id = l.sku_id
""".strip()
# Listings of which nobody knows whether the channel took the last quantity, when their time has come; by the partial
# index on it.
DOUBTFUL = f"""
{_LISTED}
WHERE l.channel_id = %(channel_id)s::int AND l.active AND l.again_at <= clock_timestamp()
ORDER BY l.again_at, l.sku_id LIMIT %(most)s::int
"""
# A page of all listings, by primary key.
LISTINGS_AFTER = f"""
{_LISTED}
WHERE l.channel_id = %(channel_id)s::int AND l.sku_id > %(after)s::int AND l.active
ORDER BY l.sku_id LIMIT %(most)s::int
"""
PUSHES = """
SELECT c.code AS channel, c.name, p.kind, p.url, p.secret IS NOT NULL AS has_secret, p.active, p.all_skus, p.version,
       p.position, p.resend_after, p.failures, p.error, p.sent_at, p.sent_count, p.next_at,
       (SELECT count(*) FROM (SELECT FROM stock_change s WHERE s.version > p.position LIMIT 10001) AS x) AS behind,
       (SELECT min(s.changed_at) FROM (SELECT changed_at FROM stock_change s WHERE s.version > p.position
                                       ORDER BY s.version LIMIT 1) AS s) AS oldest
FROM stock_push p JOIN channel c ON c.id = p.channel_id
WHERE %(channel)s::text IS NULL OR c.code = %(channel)s::text
ORDER BY c.name
"""
LISTED = """
SELECT v.sku, v.name, l.code, l.active, a.price AS own_price, l.sent_quantity, l.sent_at, l.error, l.sku_id
FROM listing l JOIN variant v ON v.id = l.sku_id
LEFT JOIN listing_price a ON a.channel_id = l.channel_id AND a.sku_id = l.sku_id
WHERE l.channel_id = %(channel_id)s::int AND l.sku_id > %(after)s::int
  AND (%(sku)s::text IS NULL OR v.sku = %(sku)s::text)
  AND (NOT %(refused)s::boolean OR l.error IS NOT NULL)
ORDER BY l.sku_id LIMIT %(most)s::int
"""
# What a channel asks itself; by primary key.
OWN_PRICES = """
SELECT sku_id, price FROM listing_price
WHERE channel_id = %(channel_id)s::int AND sku_id = ANY (%(skus)s::int[]) AND price IS NOT NULL
"""
CONNECTIONS_OF = "SELECT code FROM connection WHERE channel_id = %(channel_id)s::int"
NEWEST = "SELECT max(version) FROM stock_change"
COUNTS = """
SELECT count(*) FILTER (WHERE active), count(*) FILTER (WHERE error IS NOT NULL) FROM listing
WHERE channel_id = %(channel_id)s::int
"""
SKUS = "SELECT sku, id FROM variant WHERE sku = ANY (%(skus)s::text[])"


class PushRow(msgspec.Struct, frozen=True, kw_only=True):
    """How a channel hears of stock, and how far it is. `behind` is counted to 10,001 SKUs."""

    channel: str
    name: str
    kind: str
    url: str | None
    has_secret: bool
    active: bool
    all_skus: bool
    version: int
    position: int
    resend_after: int | None
    failures: int
    error: str | None
    sent_at: datetime | None
    sent_count: int
    next_at: datetime
    behind: int
    oldest: datetime | None


class ListingRow(msgspec.Struct, frozen=True, kw_only=True):
    """A listing, what its channel was told last, and why it did not take it.

    `own_price`: what the SKU costs there, in centavos; None: what the catalogue says.
    """

    sku: str
    name: str
    code: str
    active: bool
    own_price: int | None
    sent_quantity: int | None
    sent_at: datetime | None
    error: str | None
    sku_id: int


class Changed(msgspec.Struct, frozen=True):
    """A SKU whose stock changed."""

    sku_id: int
    version: int
    changed_at: datetime


async def due(tx: Tx) -> list[int]:
    """Return the channels that are to be told something now."""
    return await tx.values(DUE)


async def any_active(tx: Tx) -> bool:
    """Tell whether any channel hears of stock."""
    found: bool = await tx.value(ANY_ACTIVE)
    return found


async def feed_revisions(tx: Tx) -> tuple[str, int]:
    """Return what rules and network are at that quantities depend on, and the catalogue's revision."""
    ((rules, catalogue),) = await tx.tuples(FEED_REVISIONS)
    return rules, catalogue


async def goods_of_feed(tx: Tx, channel_id: int) -> str:
    """Return a digest of what of a channel's listings is sold, and of what kits are made of."""
    return str(await tx.value(GOODS_OF_FEED, {"channel_id": channel_id}))


async def any_noted(tx: Tx) -> bool:
    """Tell whether anybody needs to know which SKUs changed: a channel that hears of stock, or a feed."""
    found: bool = await tx.value(ANY_NOTED)
    return found


async def changed_since(tx: Tx, position: int, most: int) -> list[Changed]:
    """Return SKUs that changed after a position, whole positions at a time, in their order."""
    return await tx.all(Changed, CHANGED_SINCE, {"since": position, "most": most})


async def listings_of(tx: Tx, channels: Sequence[int], changed: Sequence[Changed]) -> dict[int, list[Change]]:
    """Return by channel the active listings of changed SKUs, and of kits with a changed component."""
    found: dict[int, list[Change]] = {channel: [] for channel in channels}
    if not changed:
        return found
    columns = {
        "channels": list(channels),
        "skus": arrays.ints([c.sku_id for c in changed]),
        "versions": arrays.ints([c.version for c in changed]),
        "times": arrays.bare([c.changed_at.isoformat() for c in changed]),
    }
    for channel, *row in await tx.tuples(LISTINGS_OF, columns):
        found[channel].append(Change(*row))
    return found


async def cut_together(tx: Tx, channel_id: int, caps: Sequence[int], most: int) -> list[Change]:
    """Return active listings whose quantity may follow what is left of caps that count all SKUs together."""
    return await tx.all(Change, CUT_TOGETHER, {"channel_id": channel_id, "caps": list(caps), "most": most})


async def doubtful(tx: Tx, channel_id: int, most: int) -> list[Change]:
    """Return active listings that are to be told again because nobody knows what became of the last time."""
    return await tx.all(Change, DOUBTFUL, {"channel_id": channel_id, "most": most})


async def listings_after(tx: Tx, channel_id: int, after: int, most: int) -> list[Change]:
    """Return a page of a channel's active listings by SKU id."""
    return await tx.all(Change, LISTINGS_AFTER, {"channel_id": channel_id, "after": after, "most": most})


async def pushes(tx: Tx, channel: str | None = None) -> list[PushRow]:
    """Return how channels hear of stock, by name; of one channel, by its code."""
    return await tx.all(PushRow, PUSHES, {"channel": channel})


async def listed(
    tx: Tx, channel_id: int, *, after: int = 0, sku: str | None = None, refused: bool = False, most: int = 100
) -> list[ListingRow]:
    """Return a page of a channel's listings; with `refused`, those its channel did not take."""
    params = {"channel_id": channel_id, "after": after, "sku": sku, "refused": refused, "most": most}
    return await tx.all(ListingRow, LISTED, params)


async def counts(tx: Tx, channel_id: int) -> tuple[int, int]:
    """Return how many listings a channel has in use, and how many it refused."""
    ((active, refused),) = await tx.tuples(COUNTS, {"channel_id": channel_id})
    return active, refused


async def sku_ids(tx: Tx, skus: Sequence[str]) -> dict[str, int]:
    """Return the ids of SKUs that are known."""
    return dict(await tx.tuples(SKUS, {"skus": list(skus)}))


async def newest(tx: Tx) -> int:
    """Return the newest position at which stock changed; 0 when it never did."""
    found: int | None = await tx.value(NEWEST)
    return found or 0


async def revisions(tx: Tx) -> str:
    """Return what everything but stock that quantities depend on is at."""
    found: str = await tx.value(REVISIONS)
    return found
