"""Allotments as they stand: what is in force, what fences hold, what claims drew and counted."""

from collections.abc import Collection, Sequence
from typing import Any

import msgspec
from psycopg import AsyncCursor

from malha.inventory.allotments import rules
from malha.inventory.allotments.model import (
    Allotment,
    Allotments,
    BorrowerDraft,
    Cap,
    CounterLine,
    Drawn,
    Fence,
    FenceLine,
    Kind,
    Used,
)
from malha.platform import arrays, revisions
from malha.platform.db import Tx
from malha.platform.ids import UUID

REVISION = "allotments"

# Few rows: allotments that have not ended, each with its parts.
IN_FORCE = """
SELECT a.id, a.code, a.kind, a.starts_at, a.ends_at, a.customer_groups, a.quota, a.per_sku,
       ARRAY(SELECT channel_id FROM allotment_channel c WHERE c.allotment_id = a.id) AS channels,
       ARRAY(SELECT channel_id FROM allotment_borrower b WHERE b.allotment_id = a.id ORDER BY 1) AS borrowers,
       ARRAY(SELECT borrows_from FROM allotment_borrower b WHERE b.allotment_id = a.id ORDER BY channel_id) AS since,
       CASE a.kind WHEN 'fence' THEN ARRAY(SELECT DISTINCT sku_id FROM fence_stock f WHERE f.allotment_id = a.id)
                   ELSE ARRAY(SELECT sku_id FROM cap_sku s WHERE s.allotment_id = a.id) END AS skus,
       ARRAY(SELECT location_id FROM cap_location l WHERE l.allotment_id = a.id) AS locations,
       NOT EXISTS (SELECT FROM cap_sku s WHERE s.allotment_id = a.id AND s.stated)
       AND NOT EXISTS (SELECT FROM cap_category s WHERE s.allotment_id = a.id) AS any_sku
FROM allotment a WHERE a.state = 'active' ORDER BY a.id
"""
CHANNEL_IDS = "SELECT id FROM channel"

# What fences have left of some SKUs, by the beginning of the primary key; for plans that are checked when they draw.
FENCES_OF = """
SELECT sku_id, location_id, allotment_id, remaining FROM fence_stock
WHERE sku_id = ANY (%(skus)s::int[]) AND remaining > 0
"""
# What caps have left, by primary key. A counter that nothing counted on yet has no row.
ROOM_OF = """
SELECT c.allotment_id, c.sku_id, a.quota - c.used
FROM cap_counter c
JOIN unnest(%(caps)s::int[], %(skus)s::int[]) AS w(allotment_id, sku_id)
  ON c.allotment_id = w.allotment_id AND c.sku_id = w.sku_id
JOIN allotment a ON a.id = c.allotment_id
"""
# What some claims drew and counted, by the beginning of two primary keys; the caller holds the claims' own locks, so
# this stands still.
CLAIMED = """
SELECT claim_id, sku_id, location_id, rank::int, allotment_id, quantity
FROM stock_draw WHERE claim_id = ANY (%(claims)s::uuid[])
UNION ALL
SELECT claim_id, sku_id, location_id, -1, allotment_id, quantity
FROM cap_use WHERE claim_id = ANY (%(claims)s::uuid[])
"""

# Whether caps count each SKU by itself; by primary key, ended ones too. Never changed once something is counted.
COUNTS_PER_SKU = "SELECT id, per_sku FROM allotment WHERE id = ANY (%(caps)s::int[])"


async def load(tx: Tx, revision: int | None = None) -> Allotments:
    """Return all allotments that have not ended. The revision is read first: a later change is seen as a newer one."""
    if revision is None:
        revision = await revisions.current(tx, REVISION)
    fences, caps = [], []
    for row in await tx.tuples(IN_FORCE):
        id_, code, kind, starts_at, ends_at, groups, quota, per_sku = row[:8]
        channels, borrowers, since, skus, places, any_sku = row[8:]
        if kind == Kind.FENCE:
            fences.append(
                Fence(
                    id=id_,
                    code=code,
                    starts_at=starts_at,
                    ends_at=ends_at,
                    channels=frozenset(channels),
                    customer_groups=frozenset(groups),
                    borrowers=dict(zip(borrowers, since, strict=True)),
                    skus=frozenset(skus),
                )
            )
        else:
            caps.append(
                Cap(
                    id=id_,
                    code=code,
                    starts_at=starts_at,
                    ends_at=ends_at,
                    channels=frozenset(channels),
                    customer_groups=frozenset(groups),
                    skus=frozenset(skus),
                    locations=frozenset(places),
                    quota=quota,
                    per_sku=per_sku,
                    any_sku=any_sku,
                )
            )
    if not fences and not caps:
        return Allotments(revision=revision)
    return rules.compile_allotments(revision, fences, caps, await tx.values(CHANNEL_IDS))


_shared: dict[tuple[str, str], Allotments] = {}


async def current(tx: Tx) -> Allotments:
    """Return the allotments as this transaction sees them; kept by revision, so that mostly one number is read."""
    info = tx.connection.info
    key = (f"{info.host}:{info.port}/{info.dbname}", tx.retailer)
    revision = await revisions.current(tx, REVISION)
    kept = _shared.get(key)
    if kept is None or kept.revision != revision:
        kept = _shared[key] = await load(tx, revision)
    return kept


async def queue_fences(tx: Tx, sku_ids: Collection[int]) -> AsyncCursor[tuple[Any, ...]]:
    """Ask for (sku_id, location_id, fence id, units left). For `tx.pipeline()`."""
    return await tx.cursor_of(FENCES_OF, {"skus": arrays.ints(sorted(sku_ids))})


async def queue_room(tx: Tx, counters: Collection[tuple[int, int]]) -> AsyncCursor[tuple[Any, ...]]:
    """Ask for (cap id, SKU or 0, units the cap lets through). For `tx.pipeline()`."""
    keys = sorted(counters)
    params = {"caps": arrays.ints([cap for cap, _ in keys]), "skus": arrays.ints([sku for _, sku in keys])}
    return await tx.cursor_of(ROOM_OF, params)


class Claimed(msgspec.Struct, frozen=True):
    """What one claim drew from fences and counted against caps."""

    draws: list[Drawn]
    uses: list[Used]


async def claimed(tx: Tx, claims: Collection[UUID]) -> dict[UUID, Claimed]:
    """Return what claims drew and counted; those that did neither are absent."""
    found: dict[UUID, Claimed] = {}
    for claim, sku, location, rank, allotment, quantity in await tx.tuples(CLAIMED, {"claims": list(claims)}):
        entry = found.setdefault(claim, Claimed([], []))
        if rank < 0:
            entry.uses.append(Used(allotment, sku, location, quantity))
        else:
            entry.draws.append(Drawn(sku, location, rank, allotment, quantity))
    return found


async def counted_of(tx: Tx, claim_id: UUID) -> list[Used]:
    """Return what a claim counts on caps."""
    found = (await claimed(tx, [claim_id])).get(claim_id)
    return [] if found is None else found.uses


# Few rows; their figures by the indexes on the allotment. For whoever is limited to locations the figures are of those,
# and what is set apart or limited at other locations only is not there.
ALLOTMENTS = """
SELECT a.id, a.code, a.name, a.kind, a.state, a.starts_at, a.ends_at, a.customer_groups,
       ARRAY(SELECT c.code FROM allotment_channel x JOIN channel c ON c.id = x.channel_id
             WHERE x.allotment_id = a.id ORDER BY 1),
       ARRAY(SELECT c.code FROM allotment_borrower x JOIN channel c ON c.id = x.channel_id
             WHERE x.allotment_id = a.id ORDER BY c.code),
       ARRAY(SELECT x.borrows_from FROM allotment_borrower x JOIN channel c ON c.id = x.channel_id
             WHERE x.allotment_id = a.id ORDER BY c.code),
       a.quota, a.per_sku,
       ARRAY(SELECT v.sku FROM cap_sku x JOIN variant v ON v.id = x.sku_id
             WHERE x.allotment_id = a.id AND x.stated ORDER BY 1),
       ARRAY(SELECT c.code FROM cap_category x JOIN category c ON c.id = x.category_id
             WHERE x.allotment_id = a.id ORDER BY 1),
       ARRAY(SELECT l.code FROM cap_location x JOIN location l ON l.id = x.location_id
             WHERE x.allotment_id = a.id
               AND (%(locations)s::int[] IS NULL OR x.location_id = ANY (%(locations)s::int[])) ORDER BY 1),
       a.version, coalesce(f.wanted, 0), coalesce(f.granted, 0), coalesce(f.remaining, 0), coalesce(f.drawn, 0),
       coalesce(f.sold, 0), coalesce(c.used, 0), coalesce(c.counters, 0)
FROM allotment a
LEFT JOIN LATERAL (
    SELECT sum(wanted)::bigint AS wanted, sum(granted)::bigint AS granted, sum(remaining)::bigint AS remaining,
           sum(drawn)::bigint AS drawn, sum(sold)::bigint AS sold
    FROM fence_stock s
    WHERE s.allotment_id = a.id
      AND (%(locations)s::int[] IS NULL OR s.location_id = ANY (%(locations)s::int[]))
) f ON true
LEFT JOIN LATERAL (
    SELECT sum(used)::bigint AS used, count(*)::int AS counters FROM cap_counter n WHERE n.allotment_id = a.id
) c ON true
LEFT JOIN LATERAL (
    SELECT bool_or(p.location_id = ANY (%(locations)s::int[])) AS seen
    FROM (SELECT location_id FROM fence_stock x WHERE x.allotment_id = a.id
          UNION ALL SELECT location_id FROM cap_location x WHERE x.allotment_id = a.id) p
) at ON true
WHERE (%(codes)s::text[] IS NULL OR a.code = ANY (%(codes)s::text[]))
  AND (%(locations)s::int[] IS NULL OR coalesce(at.seen, true))
ORDER BY a.state, a.starts_at DESC, a.code
"""
# By the index on the allotment.
FENCE_LINES = """
SELECT v.sku, l.code AS location, f.wanted, f.granted, f.remaining, f.drawn, f.sold
FROM fence_stock f JOIN variant v ON v.id = f.sku_id JOIN location l ON l.id = f.location_id
WHERE f.allotment_id = %(id)s::int AND (f.wanted > 0 OR f.granted > 0)
  AND (%(locations)s::int[] IS NULL OR f.location_id = ANY (%(locations)s::int[]))
ORDER BY v.sku, l.code
"""
# By primary key.
COUNTER_LINES = """
SELECT v.sku, n.used, a.quota
FROM cap_counter n JOIN allotment a ON a.id = n.allotment_id LEFT JOIN variant v ON v.id = n.sku_id
WHERE n.allotment_id = %(id)s::int AND n.used > 0
ORDER BY n.used DESC, v.sku
"""
# By the index on the fence: what left it and came back, by day.
FENCE_DAYS = """
SELECT (recorded_at AT TIME ZONE %(zone)s::text)::date, -sum(d_remaining)::int
FROM fence_movement
WHERE allotment_id = %(id)s::int AND reason IN ('drawn', 'given_back')
  AND (%(locations)s::int[] IS NULL OR location_id = ANY (%(locations)s::int[]))
GROUP BY 1 ORDER BY 1
"""
# Which of these balances other fences set units apart on, by primary key.
FENCED_BY = """
SELECT f.allotment_id, f.sku_id, f.location_id
FROM fence_stock f
JOIN unnest(%(skus)s::int[], %(locations)s::int[]) AS w(sku_id, location_id)
  ON f.sku_id = w.sku_id AND f.location_id = w.location_id
WHERE f.open AND f.wanted > 0 AND f.allotment_id = ANY (%(fences)s::int[])
ORDER BY 1, 2, 3
"""
# What a fence wants on some balances, by primary key.
WANTED_AT = """
SELECT f.sku_id, f.location_id, f.wanted
FROM fence_stock f
JOIN unnest(%(skus)s::int[], %(locations)s::int[]) AS w(sku_id, location_id)
  ON f.sku_id = w.sku_id AND f.location_id = w.location_id
WHERE f.allotment_id = %(id)s::int AND f.open
"""
# Fences of some SKUs that have units, by the beginning of the primary key, for screens.
FENCES_ON = """
SELECT a.code, a.name, f.sku_id, f.location_id, f.remaining, f.drawn
FROM fence_stock f JOIN allotment a ON a.id = f.allotment_id
WHERE f.sku_id = ANY (%(skus)s::int[]) AND f.open AND f.granted > 0
ORDER BY f.sku_id, f.location_id, a.id
"""
# Active fences that have started and do not have what they want, or more than that.
UNFILLED = """
SELECT DISTINCT f.allotment_id
FROM fence_stock f JOIN allotment a ON a.id = f.allotment_id
WHERE a.state = 'active' AND a.starts_at <= now() AND f.wanted <> f.granted
ORDER BY 1
"""

STILL_ACTIVE = "SELECT id FROM allotment WHERE id = %(id)s::int AND state = 'active' AND ends_at <= now()"
# Whether any active cap names a category.
BY_CATEGORY = """
SELECT EXISTS (SELECT FROM cap_category c JOIN allotment a ON a.id = c.allotment_id AND a.state = 'active')
"""


async def listed(tx: Tx, codes: Sequence[str] | None = None) -> list[Allotment]:
    """Return allotments with their figures: active ones first, then by start, the newest first.

    Who is limited to locations gets the figures of those, and not what concerns other locations only.
    """
    found = []
    seen = tx.actor.locations
    asked = {"codes": None if codes is None else list(codes), "locations": None if seen is None else sorted(seen)}
    for row in await tx.tuples(ALLOTMENTS, asked):
        head, borrowers, since, rest = row[:9], row[9], row[10], row[11:]
        lenders = tuple(BorrowerDraft(channel=c, since=at) for c, at in zip(borrowers, since, strict=True))
        fields = [*head, lenders, *rest]
        found.append(msgspec.convert(dict(zip(Allotment.__struct_fields__, fields, strict=True)), Allotment))
    return found


async def fence_lines(tx: Tx, allotment_id: int) -> list[FenceLine]:
    """Return a fence's balances by SKU and location, those at the actor's locations."""
    seen = tx.actor.locations
    return await tx.all(
        FenceLine, FENCE_LINES, {"id": allotment_id, "locations": None if seen is None else sorted(seen)}
    )


async def counter_lines(tx: Tx, allotment_id: int) -> list[CounterLine]:
    """Return a cap's counters, the fullest first."""
    return await tx.all(CounterLine, COUNTER_LINES, {"id": allotment_id})


async def fence_days(tx: Tx, allotment_id: int, zone: str) -> list[tuple[Any, int]]:
    """Return how many units were drawn from a fence by day at the actor's locations, less what was given back."""
    seen = tx.actor.locations
    asked = {"id": allotment_id, "zone": zone, "locations": None if seen is None else sorted(seen)}
    return [(day, units) for day, units in await tx.tuples(FENCE_DAYS, asked)]


class FencedUnits(msgspec.Struct, frozen=True):
    """What a fence has on one balance."""

    code: str
    name: str
    sku_id: int
    location_id: int
    remaining: int
    drawn: int


async def fences_on(tx: Tx, sku_ids: Sequence[int]) -> list[FencedUnits]:
    """Return the fences on SKUs, by balance."""
    return await tx.all(FencedUnits, FENCES_ON, {"skus": list(sku_ids)})
