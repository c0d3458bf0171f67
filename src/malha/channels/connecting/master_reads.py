"""Connections that keep fields of products: which, what waits to be written, what is held."""

import re
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

import msgspec

from malha.channels.connecting.master_rules import TellsRow
from malha.platform.db import Tx
from malha.platform.i18n import _
from malha.platform.text import fold, literal

# By primary key.
MASTER = (
    "SELECT fields, version, creates, categories FROM connection_master WHERE connection_id = %(connection_id)s::int"
)
# A handful of connections; of each the first that waits, by the index on what is to be taken.
DUE = """
SELECT k.connection_id FROM connection_master k JOIN connection c ON c.id = k.connection_id
WHERE c.status = 'active' AND k.fields <> '{}' AND EXISTS (
    SELECT FROM channel_variant m WHERE m.connection_id = k.connection_id AND m.to_take AND m.sku_id IS NOT NULL)
"""
# All that the channel told of the products of some variants, by the index on what a SKU is mapped to.
TOLD_OF_PRODUCTS = """
SELECT m.code, v.sku, p.code AS product, m.name, m.gtin, m.price, m.told
FROM variant v JOIN product p ON p.id = v.product_id JOIN channel_variant m ON m.sku_id = v.id
WHERE v.product_id IN (SELECT product_id FROM variant WHERE id = ANY (%(ids)s::int[]))
  AND m.connection_id = %(connection_id)s::int AND m.source = 'catalog'
ORDER BY v.sku, m.code
"""
# By primary key, a page at a time.
MAPPED_AFTER = """
SELECT code, sku_id FROM channel_variant
WHERE connection_id = %(connection_id)s::int AND code > %(after)s::text AND sku_id IS NOT NULL AND source = 'catalog'
ORDER BY code LIMIT %(most)s::int
"""
# Of how many SKUs that the channel tells of it has a price of its own; by the primary key of prices.
OWN_PRICES = """
SELECT count(*)::int FROM listing_price a
WHERE a.channel_id = %(channel_id)s::int AND a.price IS NOT NULL AND EXISTS (
    SELECT FROM channel_variant m WHERE m.sku_id = a.sku_id AND m.connection_id = %(connection_id)s::int
      AND m.source = 'catalog')
"""
# By primary key.
SKUS_OF = """
SELECT DISTINCT v.sku FROM channel_variant m JOIN variant v ON v.id = m.sku_id
WHERE m.connection_id = %(connection_id)s::int AND m.code = ANY (%(codes)s::text[])
"""
# By the index on what a SKU is mapped to.
STILL_TOLD = """
SELECT DISTINCT v.sku FROM variant v JOIN channel_variant m ON m.sku_id = v.id
WHERE v.sku = ANY (%(skus)s::text[]) AND m.connection_id = %(connection_id)s::int AND m.source = 'catalog'
"""
# One pass over what the channel sells.
COUNTS = """
SELECT count(*) FILTER (WHERE sku_id IS NOT NULL AND source = 'catalog') AS mapped,
       count(*) FILTER (WHERE to_take AND sku_id IS NOT NULL) AS waiting,
       (SELECT count(*) FROM product_held h WHERE h.connection_id = %(connection_id)s::int) AS held
FROM channel_variant WHERE connection_id = %(connection_id)s::int
"""
# By primary key, a page at a time; of each, its product and variants by their keys, where words are looked for.
HELD = """
SELECT h.product, h.flaws, h.since FROM product_held h
WHERE h.connection_id = %(connection_id)s::int AND h.product > %(after)s::text
  AND (%(reason)s::text IS NULL OR h.flaws @> jsonb_build_array(jsonb_build_object('says', %(reason)s::text)))
  AND (%(words)s::text[] IS NULL
       OR lower(h.product) LIKE ALL (%(words)s::text[])
       OR EXISTS (SELECT FROM jsonb_array_elements(h.flaws) f WHERE f ->> 'says' = ANY (%(said)s::text[]))
       OR EXISTS (SELECT FROM variant v WHERE v.product_id = (SELECT p.id FROM product p WHERE p.code = h.product)
                  AND v.folded LIKE ALL (%(words)s::text[])))
ORDER BY h.product LIMIT %(most)s::int
"""
# One pass over what a connection holds.
REASONS = """
SELECT f ->> 'says' AS says, count(DISTINCT h.product) AS products
FROM product_held h CROSS JOIN jsonb_array_elements(h.flaws) f
WHERE h.connection_id = %(connection_id)s::int GROUP BY 1 ORDER BY 2 DESC, 1
"""


class Master(msgspec.Struct, frozen=True):
    """Which fields a connection keeps; `version` 0: nobody said so yet. `creates`: of `master_rules.CREATES`."""

    fields: Sequence[str] = ()
    version: int = 0
    creates: str = "never"
    categories: str = "held"  # or made: what becomes of categories that nobody here knows


class Counts(msgspec.Struct, frozen=True):
    """Of how many variants the channel tells that are ours, how many are to be written, how many products are held."""

    mapped: int
    waiting: int
    held: int


class Held(msgspec.Struct, frozen=True):
    """A product of which something that was told could not be written; `flaws` as `platform.flaws.Flaw`."""

    product: str
    flaws: list[dict[str, Any]]
    since: datetime


async def master(tx: Tx, connection_id: int) -> Master:
    """Return which fields a connection keeps."""
    return await tx.maybe(Master, MASTER, {"connection_id": connection_id}) or Master()


async def counts(tx: Tx, connection_id: int) -> Counts:
    """Return how much a connection tells, and how much of it waits or is held."""
    return await tx.one(Counts, COUNTS, {"connection_id": connection_id})


async def told_of_products(tx: Tx, connection_id: int, ids: Sequence[int]) -> list[TellsRow]:
    """Return what the channel told of all variants of the products of these."""
    return await tx.all(TellsRow, TOLD_OF_PRODUCTS, {"connection_id": connection_id, "ids": list(ids)})


class Narrowed(msgspec.Struct, frozen=True):
    """What held products are narrowed to: one reason; words of a code, SKU or name, or one of the reasons `said`."""

    reason: str | None = None
    words: list[str] | None = None
    said: Sequence[str] = ()


EVERYTHING = Narrowed()


class Reason(msgspec.Struct, frozen=True):
    """Why products are held, as `Flaw.says`, and how many of them."""

    says: str
    products: int

    @property
    def key(self) -> str:
        """Return what names it in addresses."""
        return sha256(self.says.encode()).hexdigest()[:12]

    @property
    def text(self) -> str:
        """Return it in the reader's language, with dots for what differs from product to product."""
        return _(self.says, **dict.fromkeys(re.findall(r"{(\w+)}", self.says), "…"))


async def reasons(tx: Tx, connection_id: int) -> list[Reason]:
    """Return why products are held, the most frequent reason first."""
    return await tx.all(Reason, REASONS, {"connection_id": connection_id})


def narrowed(known: Sequence[Reason], sought: str, reason: str) -> Narrowed:
    """Return what somebody asks for: text to be found, in any spelling, and the key of a reason; "" for neither."""
    words = fold(sought).split()
    says = next((each.says for each in known if each.key == reason), "")
    return Narrowed(
        reason=says if reason else None,
        words=[f"%{literal(word)}%" for word in words] or None,
        said=[each.says for each in known if all(word in fold(each.text) for word in words)],
    )


async def held(
    tx: Tx, connection_id: int, *, after: str = "", most: int = 50, narrowed: Narrowed = EVERYTHING
) -> list[Held]:
    """Return products that are held, in the order of their codes."""
    asked = {"reason": narrowed.reason, "words": narrowed.words, "said": list(narrowed.said)}
    return await tx.all(Held, HELD, {"connection_id": connection_id, "after": after, "most": most, **asked})
