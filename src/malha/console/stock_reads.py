"""What the pages of stock ask across capabilities: SKUs by their balances, locations as columns, open claims."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

import msgspec

from malha.platform.db import Tx
from malha.platform.text import fold

COUNT_LIMIT = 10_000
MOST_CLAIMS = 50

_UNITS = "b.on_hand - b.allocated - b.held"
# SKUs whose balances at the locations in `places` say what the view asks; with `every`, also those without any. What
# is rare is found by one pass over the balances, narrow rows of which there are some hundred thousand. A partial index
# by quantities would make every claim of intake write one more index.
_CONDITIONS = f"""
FROM variant v
JOIN product p ON p.id = v.product_id
LEFT JOIN category c ON c.id = p.category_id
WHERE NOT v.is_kit
  AND (%(words)s::text[] IS NULL OR v.folded LIKE ALL (%(words)s::text[]))
  AND (%(path)s::text IS NULL OR c.path = %(path)s::text OR starts_with(c.path, %(path)s::text || '/'))
  AND (%(every)s::boolean OR %(view)s::text IN ('out', 'held', 'safety', 'deficit') OR EXISTS (
        SELECT FROM balance b WHERE b.sku_id = v.id AND b.location_id = ANY(%(places)s::int[])))
  AND (%(view)s::text NOT IN ('held', 'safety') OR v.id IN (
        SELECT b.sku_id FROM balance b
        WHERE b.location_id = ANY(%(places)s::int[])
        AND CASE %(view)s::text WHEN 'held' THEN b.held > 0 ELSE b.safety > 0 AND {_UNITS} <= b.safety END))
  AND (%(view)s::text <> 'out' OR v.id IN (
        SELECT b.sku_id FROM balance b WHERE b.location_id = ANY(%(places)s::int[])
        GROUP BY b.sku_id HAVING NOT bool_or({_UNITS} > b.safety)))
  AND (%(view)s::text <> 'deficit' OR v.id IN (
        SELECT d.sku_id FROM stock_deficit d
        WHERE d.resolved_at IS NULL AND d.location_id = ANY(%(places)s::int[])))
"""
_ROW = "SELECT v.id, v.sku, v.name, v.gtin, p.code AS product, v.active AND p.active AS active"

# Keyset by the unique index on sku, either way.
SKUS_AFTER = f"""{_ROW} {_CONDITIONS}
  AND (%(place)s::text IS NULL OR v.sku > %(place)s::text)
ORDER BY v.sku LIMIT %(limit)s::int
"""
SKUS_BEFORE = f"""{_ROW} {_CONDITIONS}
  AND v.sku < %(place)s::text
ORDER BY v.sku DESC LIMIT %(limit)s::int
"""
SKUS_COUNT = f"SELECT count(*)::int FROM (SELECT 1 {_CONDITIONS} LIMIT %(limit)s::int) found"

# One pass over the balances of some locations, a few hundred thousand narrow rows at most.
VIEW_COUNTS = f"""
SELECT count(*)::int, count(*) FILTER (WHERE NOT some_left)::int, count(*) FILTER (WHERE at_safety)::int,
       count(*) FILTER (WHERE some_held)::int,
       (SELECT count(DISTINCT d.sku_id)::int FROM stock_deficit d
        WHERE d.resolved_at IS NULL AND d.location_id = ANY(%(places)s::int[]))
FROM (
    SELECT bool_or({_UNITS} > b.safety) AS some_left, bool_or(b.safety > 0 AND {_UNITS} <= b.safety) AS at_safety,
           bool_or(b.held > 0) AS some_held
    FROM balance b WHERE b.location_id = ANY(%(places)s::int[])
    GROUP BY b.sku_id
) sku
"""

# A few dozen rows: where most is kept comes first.
PLACES = """
SELECT id, code, name, kind FROM location
WHERE status <> 'closed' AND (%(scope)s::int[] IS NULL OR id = ANY(%(scope)s::int[]))
ORDER BY array_position(ARRAY['distribution_centre', 'factory', 'third_party', 'store', 'vendor', 'pickup_point'],
                        kind), name
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


def _params(wanted: Wanted) -> dict[str, object]:
    words = [f"%{_literal(word)}%" for word in fold(wanted.search).split()]
    return {
        "places": list(wanted.places),
        "view": wanted.view.value,
        "words": words or None,
        "path": wanted.category,
        "every": wanted.every,
    }


def _literal(word: str) -> str:
    """Return a word with LIKE's wildcards taken as they are."""
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


async def skus(tx: Tx, wanted: Wanted, *, after: str = "", before: str = "", size: int) -> SkuPage:
    """Return a page of SKUs in order: behind `after`, or in front of `before`."""
    params = {**_params(wanted), "place": before or after or None, "limit": size + 1}
    rows = await tx.all(SkuRow, SKUS_BEFORE if before else SKUS_AFTER, params)
    more, rows = len(rows) > size, rows[:size]
    if before:
        return SkuPage(rows[::-1], more, more_after=True)
    return SkuPage(rows, bool(after), more)


async def count(tx: Tx, wanted: Wanted) -> int:
    """Return how many SKUs are wanted, counted up to `COUNT_LIMIT` + 1."""
    found: int = await tx.value(SKUS_COUNT, {**_params(wanted), "limit": COUNT_LIMIT + 1})
    return found


async def view_counts(tx: Tx, places: Sequence[int]) -> dict[View, int]:
    """Return how many SKUs each view holds at these locations; `all` counts those that ever had stock there."""
    ((all_, out, safety, held, deficit),) = await tx.tuples(VIEW_COUNTS, {"places": list(places)})
    return {View.ALL: all_, View.OUT: out, View.SAFETY: safety, View.DEFICIT: deficit, View.HELD: held}


async def places(tx: Tx, scope: Sequence[int] | None) -> list[Place]:
    """Return the locations that are not closed, distribution centres first; `scope` None is all."""
    return await tx.all(Place, PLACES, {"scope": None if scope is None else list(scope)})


async def claims(tx: Tx, sku_ids: Sequence[int], location_ids: Sequence[int]) -> list[Claim]:
    """Return what orders have of SKUs at locations, the oldest order first, at most `MOST_CLAIMS`."""
    return await tx.all(Claim, CLAIMS, {"skus": list(sku_ids), "locations": list(location_ids), "most": MOST_CLAIMS})
