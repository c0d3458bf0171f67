"""What connections tell that is not here: what waits to be accepted, what could not be made and why, what was made."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from malha.platform.db import Tx
from malha.platform.text import literal

# A handful of connections; by the index on what is to be made.
DUE = """
SELECT k.connection_id FROM connection_master k JOIN connection c ON c.id = k.connection_id
WHERE c.status = 'active' AND k.creates <> 'never' AND EXISTS (
    SELECT FROM channel_variant m WHERE m.connection_id = k.connection_id AND m.to_make AND m.sku_id IS NULL)
"""
# The oldest first; few are ever asked for.
UNDOING = """
SELECT id, connection_id FROM product_batch WHERE undo_at IS NOT NULL AND ended_at IS NULL ORDER BY undo_at
"""
BATCH = "SELECT at, undo_actor, undo_person FROM product_batch WHERE id = %(batch)s::bigint AND ended_at IS NULL"
# The product here of what a channel calls one, by the index on that. More than one: variants of it went apart.
JOINS = """
SELECT DISTINCT m.parent, p.code FROM channel_variant m
JOIN variant v ON v.id = m.sku_id JOIN product p ON p.id = v.product_id
WHERE m.connection_id = %(connection_id)s::int AND m.parent = ANY (%(parents)s::text[]) AND m.parent <> ''
ORDER BY m.parent, p.code
"""
# Which SKUs other channels say something of, or sell. By the indexes on the SKU.
REFERRED = """
SELECT v.sku FROM variant v WHERE v.sku = ANY (%(skus)s::text[]) AND (
    EXISTS (SELECT FROM channel_variant m WHERE m.sku_id = v.id AND (m.connection_id, m.code) <> ALL (
                SELECT %(connection_id)s::int, c FROM unnest(%(codes)s::text[]) AS c))
    OR EXISTS (SELECT FROM listing l WHERE l.sku_id = v.id)
    OR EXISTS (SELECT FROM listing_post l WHERE l.sku_id = v.id)
    OR EXISTS (SELECT FROM listing_override l WHERE l.sku_id = v.id AND l.said <> '{}')
    OR EXISTS (SELECT FROM listing_price l WHERE l.sku_id = v.id AND l.price IS NOT NULL))
"""
# By primary key.
IDS_OF = "SELECT id, sku FROM variant WHERE sku = ANY (%(skus)s::text[])"
# By the index on what is open, a page at a time.
ROWS = """
SELECT m.code, m.parent, m.name, m.gtin, m.price, m.active, m.told, m.to_make, m.make_flaws, m.seen_at,
       m.make_batch
FROM channel_variant m
WHERE m.connection_id = %(connection_id)s::int AND m.code > %(after)s::text AND m.sku_id IS NULL AND NOT m.ignored
  AND m.source = 'catalog'
  AND CASE %(view)s::text WHEN 'waiting' THEN NOT m.to_make AND m.make_flaws IS NULL
      WHEN 'refused' THEN NOT m.to_make AND m.make_flaws IS NOT NULL ELSE m.to_make END
  AND (%(sought)s::text IS NULL OR m.code = %(sought)s::text OR m.parent = %(sought)s::text
       OR m.gtin = %(sought)s::text OR m.name ILIKE %(alike)s::text)
ORDER BY m.code LIMIT %(most)s::int
"""
# One pass over what is open.
COUNTS = """
SELECT count(*) FILTER (WHERE NOT to_make AND make_flaws IS NULL) AS waiting,
       count(*) FILTER (WHERE NOT to_make AND make_flaws IS NOT NULL) AS refused,
       count(*) FILTER (WHERE to_make) AS making
FROM channel_variant
WHERE connection_id = %(connection_id)s::int AND sku_id IS NULL AND NOT ignored AND source = 'catalog'
"""
# The newest first, by the index on the connection; what became of each by primary key.
BATCHES = """
SELECT b.id, b.asked, b.at, b.person, b.undo_at, b.undo_person, b.ended_at,
       count(m.code) FILTER (WHERE m.state = 'made') AS made, count(m.code) FILTER (WHERE m.state = 'undone') AS undone,
       count(m.code) FILTER (WHERE m.state = 'kept') AS kept
FROM (SELECT * FROM product_batch WHERE connection_id = %(connection_id)s::int AND id < %(before)s::bigint
      ORDER BY id DESC LIMIT %(most)s::int) b
LEFT JOIN product_made m ON m.batch_id = b.id
GROUP BY b.id, b.asked, b.at, b.person, b.undo_at, b.undo_person, b.ended_at ORDER BY b.id DESC
"""
# What was made of an acceptance, by primary key.
MADE = """
SELECT m.code, m.sku, m.product, m.state FROM product_made m JOIN product_batch b ON b.id = m.batch_id
WHERE b.connection_id = %(connection_id)s::int AND b.id = %(batch)s::bigint AND m.code > %(after)s::text
ORDER BY m.code LIMIT %(most)s::int
"""
NEWEST = 2**62


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A variant that is to be made."""

    code: str
    parent: str
    name: str
    gtin: str
    price: int | None
    active: bool
    told: dict[str, Any]
    make_batch: int | None


class Unknown(Asked, frozen=True, kw_only=True):
    """A variant that is told and not here; `make_flaws` as `platform.flaws.Flaw`, where it could not be made."""

    to_make: bool
    make_flaws: list[dict[str, Any]] | None
    seen_at: datetime


class Counts(msgspec.Struct, frozen=True):
    """How many wait for a person, could not be made, and are being made."""

    waiting: int
    refused: int
    making: int


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """Variants that were accepted together, and what became of them. `ended_at`: when it had been taken back."""

    id: int
    asked: int
    at: datetime
    person: str
    undo_at: datetime | None
    undo_person: str | None
    ended_at: datetime | None
    made: int
    undone: int
    kept: int


class Made(msgspec.Struct, frozen=True):
    """What was made of a variant. `state`: made, undone, or kept because something refers to it."""

    code: str
    sku: str
    product: str
    state: str


async def rows(
    tx: Tx, connection_id: int, *, view: str = "waiting", after: str = "", sought: str | None = None, most: int = 50
) -> list[Unknown]:
    """Return a page of what is told and not here, by code; `view`: waiting, refused or making."""
    alike = None if sought is None else f"%{literal(sought)}%"
    params = {"connection_id": connection_id, "view": view, "after": after, "sought": sought, "most": most}
    return await tx.all(Unknown, ROWS, params | {"alike": alike})


async def counts(tx: Tx, connection_id: int) -> Counts:
    """Return how much is told and not here."""
    return await tx.one(Counts, COUNTS, {"connection_id": connection_id})


async def batches(tx: Tx, connection_id: int, *, before: int = NEWEST, most: int = 20) -> list[Batch]:
    """Return acceptances, the newest first."""
    return await tx.all(Batch, BATCHES, {"connection_id": connection_id, "before": before, "most": most})


async def made(tx: Tx, connection_id: int, batch: int, *, after: str = "", most: int = 100) -> list[Made]:
    """Return what was made of an acceptance, by the channel's code."""
    params = {"connection_id": connection_id, "batch": batch, "after": after, "most": most}
    return await tx.all(Made, MADE, params)


async def joins(tx: Tx, connection_id: int, parents: Sequence[str]) -> dict[str, list[str]]:
    """Return the products here of what a channel calls products."""
    found: dict[str, list[str]] = {}
    for parent, code in await tx.tuples(JOINS, {"connection_id": connection_id, "parents": list(parents)}):
        found.setdefault(parent, []).append(code)
    return found
