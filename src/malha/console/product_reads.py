"""What the pages of products ask across capabilities: products with what their variants sum to, and counts of views."""

from collections.abc import Sequence
from enum import StrEnum
from typing import LiteralString

import msgspec

from malha.catalog.model import Category
from malha.platform.db import Tx
from malha.platform.text import fold, literal

COUNT_LIMIT = 10_000
NOWHERE = "/"  # no category has this path


def _lacks(of: LiteralString) -> LiteralString:
    """Return the condition that a variant, its columns named with `of` in front, lacks a weight or GTIN of its own."""
    return f"{of}active AND NOT {of}is_kit AND ({of}weight_grams = 0 OR {of}gtin IS NULL)"


# By the trigram index on the variants' text; the rest are filters on a table of some ten thousand rows.
_CONDITIONS: LiteralString = f"""
FROM product p
LEFT JOIN category c ON c.id = p.category_id
WHERE (%(words)s::text[] IS NULL OR p.id IN (
        SELECT s.product_id FROM variant s WHERE s.folded LIKE ALL (%(words)s::text[])))
  AND (%(path)s::text IS NULL OR c.path = %(path)s::text OR starts_with(c.path, %(path)s::text || '/'))
  AND CASE %(view)s::text
        WHEN 'active' THEN p.active
        WHEN 'inactive' THEN NOT p.active
        WHEN 'kits' THEN EXISTS (SELECT FROM variant k WHERE k.product_id = p.id AND k.is_kit)
        WHEN 'incomplete' THEN p.active AND (p.ncm IS NULL OR EXISTS (
            SELECT FROM variant w WHERE w.product_id = p.id AND {_lacks("w.")}))
        ELSE true END
"""
_ROW = f"""
SELECT p.code, p.name, p.brand, c.name AS category, p.active, p.ncm, v.variants, v.kits, v.unweighed, v.unnumbered,
       v.least, v.most
FROM (SELECT p.id {_CONDITIONS}"""
_SUMS = """) page
JOIN product p ON p.id = page.id
LEFT JOIN category c ON c.id = p.category_id
LEFT JOIN LATERAL (
    SELECT count(*)::int AS variants, count(*) FILTER (WHERE is_kit)::int AS kits,
           count(*) FILTER (WHERE active AND NOT is_kit AND weight_grams = 0)::int AS unweighed,
           count(*) FILTER (WHERE active AND NOT is_kit AND gtin IS NULL)::int AS unnumbered,
           min(price) AS least, max(price) AS most
    FROM variant WHERE product_id = p.id
) v ON true
"""

# Keyset by the unique index on code, either way; sums are made for the rows of the page only.
PRODUCTS_AFTER = f"""{_ROW} AND (%(place)s::text IS NULL OR p.code > %(place)s::text)
ORDER BY p.code LIMIT %(limit)s::int {_SUMS} ORDER BY p.code
"""
PRODUCTS_BEFORE = f"""{_ROW} AND p.code < %(place)s::text
ORDER BY p.code DESC LIMIT %(limit)s::int {_SUMS} ORDER BY p.code DESC
"""
PRODUCTS_COUNT = f"SELECT count(*)::int FROM (SELECT 1 {_CONDITIONS} LIMIT %(limit)s::int) found"

# By the unique index on SKU: what a view of incomplete products is of. Without an NCM all SKUs of a product lack it.
LACKING: LiteralString = f"""
SELECT v.sku FROM variant v JOIN product p ON p.id = v.product_id
WHERE v.sku = ANY (%(skus)s::text[]) AND p.active
  AND (p.ncm IS NULL OR {_lacks("v.")})
"""

# One pass over products and their variants.
VIEW_COUNTS: LiteralString = f"""
SELECT count(*)::int, count(*) FILTER (WHERE p.active)::int, count(*) FILTER (WHERE NOT p.active)::int,
       count(*) FILTER (WHERE v.some_kit)::int,
       count(*) FILTER (WHERE p.active AND (p.ncm IS NULL OR v.some_lack))::int
FROM product p
LEFT JOIN (
    SELECT product_id, bool_or(is_kit) AS some_kit,
           bool_or({_lacks("")}) AS some_lack
    FROM variant GROUP BY product_id
) v ON v.product_id = p.id
"""


class View(StrEnum):
    """A saved view of the list of products."""

    ALL = "all"
    ACTIVE = "active"
    INACTIVE = "inactive"
    KITS = "kits"
    INCOMPLETE = "incomplete"


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which products are wanted."""

    view: View = View.ALL
    search: str = ""
    category: str | None = None  # path


class ProductRow(msgspec.Struct, frozen=True):
    """One product of the list; `least` and `most` are centavos."""

    code: str
    name: str
    brand: str | None
    category: str | None
    active: bool
    ncm: str | None
    variants: int
    kits: int
    unweighed: int
    unnumbered: int
    least: int | None
    most: int | None


class ProductPage(msgspec.Struct, frozen=True):
    """Some products in order, and whether there are more on either side."""

    rows: list[ProductRow]
    more_before: bool
    more_after: bool


def path_of(categories: Sequence[Category], code: str) -> str | None:
    """Return the path of the category that is asked for; None: any. One that is not there has no products."""
    return next((c.path for c in categories if c.code == code), NOWHERE) if code else None


def _params(wanted: Wanted) -> dict[str, object]:
    words = [f"%{literal(word)}%" for word in fold(wanted.search).split()]
    return {"view": wanted.view.value, "words": words or None, "path": wanted.category}


async def products(tx: Tx, wanted: Wanted, *, after: str = "", before: str = "", size: int) -> ProductPage:
    """Return a page of products in the order of their codes: behind `after`, or in front of `before`."""
    params = {**_params(wanted), "place": before or after or None, "limit": size + 1}
    rows = await tx.all(ProductRow, PRODUCTS_BEFORE if before else PRODUCTS_AFTER, params)
    more, rows = len(rows) > size, rows[:size]
    if before:
        return ProductPage(rows[::-1], more, more_after=True)
    return ProductPage(rows, bool(after), more)


async def count(tx: Tx, wanted: Wanted) -> int:
    """Return how many products are wanted, counted up to `COUNT_LIMIT` + 1."""
    found: int = await tx.value(PRODUCTS_COUNT, {**_params(wanted), "limit": COUNT_LIMIT + 1})
    return found


async def lacking(tx: Tx, skus: Sequence[str]) -> set[str]:
    """Return which SKUs lack what makes a product incomplete: its NCM, their own weight or GTIN."""
    return set(await tx.values(LACKING, {"skus": list(skus)}))


async def view_counts(tx: Tx) -> dict[View, int]:
    """Return how many products each view holds."""
    (counts,) = await tx.tuples(VIEW_COUNTS)
    return dict(zip(View, counts, strict=True))
