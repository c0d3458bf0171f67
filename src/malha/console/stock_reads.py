"""What the pages of stock ask across capabilities: SKUs by their balances, locations as columns, open claims."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, LiteralString

import msgspec
from psycopg import sql

from malha.platform.db import Tx
from malha.platform.text import fold, literal

COUNT_LIMIT = 10_000
MOST_CLAIMS = 50

_UNITS: LiteralString = "b.on_hand - b.allocated - b.held"
_FROM: LiteralString = """
FROM variant v
JOIN product p ON p.id = v.product_id
LEFT JOIN category c ON c.id = p.category_id
WHERE NOT v.is_kit
"""
# Trigram index, by the two longest words: LIKE ALL cannot use it, so it only filters what they found.
_WORDS: LiteralString = """
  AND v.folded LIKE %(longest)s::text AND v.folded LIKE %(second)s::text AND v.folded LIKE ALL (%(patterns)s::text[])
"""
_PATH: LiteralString = " AND (c.path = %(path)s::text OR starts_with(c.path, %(path)s::text || '/'))"
# As scalar questions, which the planner can only answer SKU by SKU, by the primary key of balances, and stop early.
_KEPT: LiteralString = """
  AND (SELECT true FROM balance b WHERE b.sku_id = v.id AND b.location_id = ANY(%(places)s::int[]) LIMIT 1)
"""
_NONE_LEFT: LiteralString = f"""
  AND (SELECT true FROM balance b
       WHERE b.sku_id = v.id AND b.location_id = ANY(%(places)s::int[]) AND {_UNITS} > b.safety LIMIT 1) IS NULL
"""
_OUT: LiteralString = " AND v.id = ANY(%(out)s::int[])"
# The partial index of balances with a safety stock.
_AT_SAFETY: LiteralString = f"""
    SELECT b.sku_id FROM balance b
    WHERE b.safety > 0 AND b.location_id = ANY(%(places)s::int[]) AND {_UNITS} <= b.safety
"""
# The partial index of active holds, then their lines: what a balance has held is the sum of them.
_HELD: LiteralString = """
    SELECT l.sku_id FROM stock_hold h JOIN stock_hold_line l ON l.hold_id = h.id
    WHERE h.state = 'active' AND l.location_id = ANY(%(places)s::int[])
"""
# The partial index of open deficits.
_DEFICIT: LiteralString = """
    SELECT d.sku_id FROM stock_deficit d WHERE d.resolved_at IS NULL AND d.location_id = ANY(%(places)s::int[])
"""
_ROW: LiteralString = "SELECT v.id, v.sku, v.name, v.gtin, p.code AS product, v.active AND p.active AS active"

RARE_COUNTS = f"""
SELECT (SELECT count(DISTINCT s.sku_id)::int FROM ({_AT_SAFETY}) s),
       (SELECT count(DISTINCT h.sku_id)::int FROM ({_HELD}) h),
       (SELECT count(DISTINCT d.sku_id)::int FROM ({_DEFICIT}) d)
"""
# One pass over the balances, narrow rows of which there are some hundred thousand: how many SKUs have any, and which
# have nothing left. A partial index by quantities would make every claim of intake write one more index. Of all
# locations that are not closed, without a parameter: planned for any ten of them, it would follow an index.
KEPT_EVERYWHERE = f"""
SELECT count(*)::int AS kept, coalesce(array_agg(sku_id) FILTER (WHERE NOT some_left), '{{}}') AS out
FROM (
    SELECT b.sku_id, bool_or({_UNITS} > b.safety) AS some_left
    FROM balance b JOIN location n ON n.id = b.location_id AND n.status <> 'closed'
    GROUP BY b.sku_id
) sku
"""
KEPT_AT = f"""
SELECT count(*)::int AS kept, coalesce(array_agg(sku_id) FILTER (WHERE NOT some_left), '{{}}') AS out
FROM (
    SELECT b.sku_id, bool_or({_UNITS} > b.safety) AS some_left
    FROM balance b WHERE b.location_id = ANY(%(places)s::int[])
    GROUP BY b.sku_id
) sku
"""

# A few dozen rows: where most is kept comes first, the owners of a site one after the other.
PLACES = """
SELECT n.id, n.code, n.name, n.kind,
       CASE WHEN s.id IS NOT NULL OR EXISTS (SELECT FROM location m WHERE m.site_id = n.id) THEN e.name ELSE '' END
           AS owner
FROM location n JOIN establishment e ON e.id = coalesce(n.owner_id, n.establishment_id)
LEFT JOIN location s ON s.id = n.site_id
WHERE n.status <> 'closed' AND (%(scope)s::int[] IS NULL OR n.id = ANY(%(scope)s::int[]))
ORDER BY array_position(ARRAY['distribution_centre', 'factory', 'third_party', 'store', 'vendor', 'pickup_point'],
                        coalesce(s.kind, n.kind)), coalesce(s.name, n.name), s.id NULLS FIRST, n.name
"""

# The partial index on claimed units, once per location.
CLAIMS = """
SELECT u.location_id, o.number, ch.name AS channel, o.placed_at, u.state, sum(u.quantity)::int AS quantity
FROM order_unit u
JOIN sales_order o ON o.id = u.order_id
JOIN channel ch ON ch.id = o.channel_id
WHERE u.state = ANY (ARRAY['allocated', 'released', 'picking', 'picked', 'awaiting_document', 'packed', 'invoiced',
                           'ready'])
  AND u.sku_id = ANY(%(skus)s::int[]) AND u.location_id = ANY(%(locations)s::int[])
GROUP BY 1, 2, 3, 4, 5
ORDER BY o.placed_at, o.number
LIMIT %(most)s::int
"""


class View(StrEnum):
    """A saved view of the list of stock."""

    ALL = "all"
    OUT = "out"
    SAFETY = "safety"
    DEFICIT = "deficit"
    HELD = "held"


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which SKUs are wanted, judged by their balances at `places`."""

    places: tuple[int, ...]
    view: View = View.ALL
    search: str = ""
    category: str | None = None  # path
    every: bool = False  # those that never had stock there too
    out: list[int] = msgspec.field(default_factory=list)  # for OUT: where to look for what has nothing left (`kept`)


class SkuRow(msgspec.Struct, frozen=True):
    """One SKU of the list."""

    id: int
    sku: str
    name: str
    gtin: str | None
    product: str
    active: bool


class Place(msgspec.Struct, frozen=True):
    """A location as a column."""

    id: int
    code: str
    name: str
    kind: str
    owner: str = ""  # whose goods it keeps, where its site keeps several owners'


def shown_of(places: Sequence[Place], location: str, owner: str) -> list[Place]:
    """Return the locations that a list shows by its filters; empty ones narrow nothing.

    A location or owner that is not there, or out of sight, has no stock: a kept address would show everybody's.
    """
    return [place for place in places if location in {"", place.code} and owner in {"", place.owner}]


class Claim(msgspec.Struct, frozen=True):
    """Units of a SKU that an order has at a location."""

    location_id: int
    number: int
    channel: str
    placed_at: datetime
    state: str
    quantity: int


class SkuPage(msgspec.Struct, frozen=True):
    """Some SKUs in order, and whether there are more on either side."""

    rows: list[SkuRow]
    more_before: bool
    more_after: bool


class Kept(msgspec.Struct, frozen=True):
    """How many SKUs have a balance at some locations, and the ids of those of which nothing is left there."""

    kept: int
    out: list[int]


def _conditions(wanted: Wanted) -> tuple[sql.Composed, dict[str, Any]]:
    """Return what a list is of, and the parameters."""
    parts: list[LiteralString] = [_FROM]
    params: dict[str, Any] = {"places": list(wanted.places)}
    if patterns := [f"%{literal(word)}%" for word in sorted(fold(wanted.search).split(), key=len, reverse=True)]:
        parts.append(_WORDS)
        params |= {"longest": patterns[0], "second": patterns[min(1, len(patterns) - 1)], "patterns": patterns}
    if wanted.category is not None:
        parts.append(_PATH)
        params["path"] = wanted.category
    rare: dict[View, LiteralString] = {View.SAFETY: _AT_SAFETY, View.HELD: _HELD, View.DEFICIT: _DEFICIT}
    if wanted.view in rare:
        parts.append(f" AND v.id IN ({rare[wanted.view]})")
    elif wanted.view is View.OUT:
        parts += [_OUT, _NONE_LEFT]
        params["out"] = wanted.out
    elif not wanted.every:
        parts.append(_KEPT)
    return sql.Composed([sql.SQL(part) for part in parts]), params


async def skus(tx: Tx, wanted: Wanted, *, after: str = "", before: str = "", size: int) -> SkuPage:
    """Return a page of SKUs in order: behind `after`, or in front of `before`. Keyset by the unique index on sku."""
    conditions, params = _conditions(wanted)
    statement = sql.SQL(_ROW) + conditions
    if before:
        statement += sql.SQL(" AND v.sku < %(place)s::text ORDER BY v.sku DESC")
    elif after:
        statement += sql.SQL(" AND v.sku > %(place)s::text ORDER BY v.sku")
    else:
        statement += sql.SQL(" ORDER BY v.sku")
    statement += sql.SQL(" LIMIT %(limit)s::int")
    rows = await tx.all(SkuRow, statement, {**params, "place": before or after, "limit": size + 1})
    more, rows = len(rows) > size, rows[:size]
    if before:
        return SkuPage(rows[::-1], more, more_after=True)
    return SkuPage(rows, bool(after), more)


async def count(tx: Tx, wanted: Wanted) -> int:
    """Return how many SKUs are wanted, counted up to `COUNT_LIMIT` + 1."""
    conditions, params = _conditions(wanted)
    statement = sql.SQL("SELECT count(*)::int FROM (SELECT 1") + conditions + sql.SQL(" LIMIT %(limit)s::int) found")
    found: int = await tx.value(statement, {**params, "limit": COUNT_LIMIT + 1})
    return found


async def kept(tx: Tx, places: Sequence[int], *, everywhere: bool) -> Kept:
    """Return what is kept at these locations, which are all there are when `everywhere`: a pass over the balances."""
    if everywhere:
        return await tx.one(Kept, KEPT_EVERYWHERE)
    return await tx.one(Kept, KEPT_AT, {"places": list(places)})


async def view_counts(tx: Tx, places: Sequence[int], known: Kept) -> dict[View, int]:
    """Return how many SKUs each view holds at these locations; `all` counts those that ever had stock there."""
    ((safety, held, deficit),) = await tx.tuples(RARE_COUNTS, {"places": list(places)})
    out = len(known.out)
    return {View.ALL: known.kept, View.OUT: out, View.SAFETY: safety, View.DEFICIT: deficit, View.HELD: held}


async def places(tx: Tx, scope: Sequence[int] | None) -> list[Place]:
    """Return the locations that are not closed, distribution centres first; `scope` None is all."""
    return await tx.all(Place, PLACES, {"scope": None if scope is None else list(scope)})


async def claims(tx: Tx, sku_ids: Sequence[int], location_ids: Sequence[int]) -> list[Claim]:
    """Return what orders have of SKUs at locations, the oldest order first, at most `MOST_CLAIMS`."""
    return await tx.all(Claim, CLAIMS, {"skus": list(sku_ids), "locations": list(location_ids), "most": MOST_CLAIMS})
