"""What the command bar looks up besides orders: each answers a few rows by an index."""

from collections.abc import Sequence

import msgspec

from malha.customers.reads import REVEAL, SHOWN, is_identity
from malha.customers.rules import search_words
from malha.platform.brazil import mask_document
from malha.platform.db import Tx
from malha.platform.text import fold, literal, whole_in

LOOKED_AT = 200  # rows a word finds before the best few of them are chosen

# An exact code first, by the unique indexes; then the trigram index, by the two longest words: LIKE ALL cannot use it.
VARIANTS = """
SELECT v.sku, v.name FROM variant v WHERE v.sku = %(code)s::text OR v.gtin = %(code)s::text
UNION ALL
(SELECT f.sku, f.name FROM (
    SELECT v.sku, v.name FROM variant v
    WHERE v.folded LIKE %(longest)s::text AND v.folded LIKE %(second)s::text
      AND v.folded LIKE ALL (%(patterns)s::text[])
      AND v.sku <> %(code)s::text AND v.gtin IS DISTINCT FROM %(code)s::text
    LIMIT %(looked_at)s::int
) f ORDER BY f.sku)
LIMIT %(most)s::int
"""

# A number by its unique index; then the trigram index, by the two longest words, the newest of what it finds.
CUSTOMERS = f"""
SELECT c.number, c.name, c.document, coalesce(c.address ->> 'city', '') AS city
FROM customer c WHERE c.number = %(number)s::bigint
UNION ALL
(SELECT f.number, f.name, f.document, f.city FROM (
    SELECT c.number, c.name, c.document, coalesce(c.address ->> 'city', '') AS city FROM customer c
    WHERE c.folded LIKE %(longest)s::text AND c.folded LIKE %(second)s::text
      AND c.folded LIKE ALL (%(patterns)s::text[])
      AND (%(reveals)s::boolean OR {SHOWN} LIKE ALL (%(patterns)s::text[]))
      AND c.number IS DISTINCT FROM %(number)s::bigint
    LIMIT %(looked_at)s::int
) f ORDER BY f.number DESC)
LIMIT %(most)s::int
"""

# A table of hundreds, searched without accents by the caller.
LOCATIONS = """
SELECT id, code, name, kind FROM location
WHERE status <> 'closed' AND (%(scope)s::int[] IS NULL OR id = ANY(%(scope)s::int[])) ORDER BY name
"""

# Papers of goods by the unique indexes on their numbers. A scope sees a transfer at both its ends.
PAPERS = """
SELECT 'purchase' AS kind, o.number, o.supplier AS name, p.name AS place, o.state
FROM inbound_order o JOIN location p ON p.id = o.location_id
WHERE o.number = ANY(%(purchases)s::bigint[])
  AND (%(scope)s::int[] IS NULL OR o.location_id = ANY(%(scope)s::int[]))
UNION ALL
SELECT 'receipt', r.number, coalesce(o.supplier, s.name, ''), p.name,
       CASE WHEN r.undone_at IS NULL THEN '' ELSE 'undone' END
FROM receipt r JOIN location p ON p.id = r.location_id LEFT JOIN inbound_order o ON o.id = r.order_id
LEFT JOIN transfer t ON t.id = r.transfer_id LEFT JOIN location s ON s.id = t.origin_id
WHERE r.number = ANY(%(receipts)s::bigint[])
  AND (%(scope)s::int[] IS NULL OR r.location_id = ANY(%(scope)s::int[]))
UNION ALL
SELECT 'transfer', t.number, o.name, d.name, t.state
FROM transfer t JOIN location o ON o.id = t.origin_id JOIN location d ON d.id = t.destination_id
WHERE t.number = ANY(%(transfers)s::bigint[])
  AND (%(scope)s::int[] IS NULL OR t.origin_id = ANY(%(scope)s::int[]) OR t.destination_id = ANY(%(scope)s::int[]))
UNION ALL
SELECT 'count', c.number, c.zone, p.name, c.state
FROM count_task c JOIN location p ON p.id = c.location_id
WHERE c.number = ANY(%(counts)s::bigint[])
  AND (%(scope)s::int[] IS NULL OR c.location_id = ANY(%(scope)s::int[]))
"""

# What was chosen before, by unique keys.
VARIANTS_BY_SKU = "SELECT sku, name FROM variant WHERE sku = ANY(%(skus)s::text[])"
CUSTOMERS_BY_NUMBER = """
SELECT number, name, document, coalesce(address ->> 'city', '') AS city
FROM customer WHERE number = ANY(%(numbers)s::bigint[])
"""


class Goods(msgspec.Struct, frozen=True):
    """A SKU."""

    sku: str
    name: str


class Buyer(msgspec.Struct, frozen=True):
    """A customer, their identity masked."""

    number: int
    name: str
    document: str | None
    city: str


class Spot(msgspec.Struct, frozen=True):
    """A location."""

    id: int
    code: str
    name: str
    kind: str


class Paper(msgspec.Struct, frozen=True):
    """A purchase order, a goods receipt, a transfer or a count."""

    kind: str  # purchase, receipt, transfer, count
    number: int
    name: str  # the supplier, where a transfer comes from, the zone of a count
    place: str  # where the goods are, or go
    state: str


def _terms(words: Sequence[str], most: int) -> dict[str, object]:
    patterns = [f"%{word}%" for word in sorted(map(literal, words), key=len, reverse=True)]
    return {
        "longest": patterns[0],
        "second": patterns[min(1, len(patterns) - 1)],
        "patterns": patterns,
        "looked_at": LOOKED_AT,
        "most": most,
    }


async def variants(tx: Tx, text: str, most: int) -> list[Goods]:
    """Return the SKUs whose code, GTIN or names hold every word."""
    words = fold(text).split()
    return await tx.all(Goods, VARIANTS, {**_terms(words, most), "code": text.strip()}) if words else []


async def customers(tx: Tx, text: str, most: int) -> list[Buyer]:
    """Return the customers whose number, name, document, e-mail or telephone fits, masked.

    Whole identities fit for everybody; for parts of them see `customers.reads.find`.
    """
    words = search_words(text)
    if not words:
        return []
    number = whole_in(text, 18)
    reveals = tx.actor.may(REVEAL) or await is_identity(tx, text)
    return _masked(await tx.all(Buyer, CUSTOMERS, {**_terms(words, most), "number": number, "reveals": reveals}))


async def locations(tx: Tx, scope: Sequence[int] | None) -> list[Spot]:
    """Return the locations a person may see, by name."""
    return await tx.all(Spot, LOCATIONS, {"scope": None if scope is None else list(scope)})


async def papers(
    tx: Tx,
    scope: Sequence[int] | None,
    *,
    purchases: Sequence[int] = (),
    receipts: Sequence[int] = (),
    transfers: Sequence[int] = (),
    counts: Sequence[int] = (),
) -> list[Paper]:
    """Return papers of goods by their numbers, those of the locations a person may see."""
    wanted = {"purchases": purchases, "receipts": receipts, "transfers": transfers, "counts": counts}
    lists = {kind: list(numbers) for kind, numbers in wanted.items()}
    return await tx.all(Paper, PAPERS, {**lists, "scope": None if scope is None else list(scope)})


async def variants_by_sku(tx: Tx, skus: Sequence[str]) -> dict[str, Goods]:
    """Return SKUs by their code."""
    return {each.sku: each for each in await tx.all(Goods, VARIANTS_BY_SKU, {"skus": list(skus)})} if skus else {}


async def customers_by_number(tx: Tx, numbers: Sequence[int]) -> dict[int, Buyer]:
    """Return customers by their number, masked."""
    if not numbers:
        return {}
    found = await tx.all(Buyer, CUSTOMERS_BY_NUMBER, {"numbers": list(numbers)})
    return {each.number: each for each in _masked(found)}


def _masked(found: Sequence[Buyer]) -> list[Buyer]:
    return [
        msgspec.structs.replace(each, document=mask_document(each.document) if each.document else None)
        for each in found
    ]
