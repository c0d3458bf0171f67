"""What channels sell and which of ours it is."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from malha.channels.connecting import mapping_rules as rules
from malha.channels.connecting.mapping_rules import Suggestion
from malha.platform.db import Tx
from malha.platform.text import fold

# By primary key, or by the index on what is open.
ROWS = """
SELECT m.code, m.external_id, m.gtin, m.name, m.price, m.active, m.source, m.how, m.ignored, m.seen_at, m.mapped_at,
       v.sku, v.name AS our_name, v.price AS our_price
FROM channel_variant m LEFT JOIN variant v ON v.id = m.sku_id
WHERE m.connection_id = %(connection_id)s::int AND m.code > %(after)s::text
  AND CASE %(state)s::text WHEN 'open' THEN m.sku_id IS NULL AND NOT m.ignored
      WHEN 'ignored' THEN m.sku_id IS NULL AND m.ignored ELSE m.sku_id IS NOT NULL END
  AND (%(sought)s::text IS NULL OR m.code = %(sought)s::text OR v.sku = %(sought)s::text
       OR m.name ILIKE '%%' || %(sought)s::text || '%%')
ORDER BY m.code LIMIT %(most)s::int
"""
COUNTS = """
SELECT count(*) FILTER (WHERE sku_id IS NULL AND NOT ignored), count(*) FILTER (WHERE sku_id IS NOT NULL),
       count(*) FILTER (WHERE sku_id IS NULL AND ignored)
FROM channel_variant WHERE connection_id = %(connection_id)s::int
"""
# How many orders wait for each of these.
WAITING = """
SELECT w.want, count(*) FROM channel_inbox i CROSS JOIN LATERAL unnest(i.wants) AS w(want)
WHERE i.connection_id = %(connection_id)s::int AND i.state = 'unmapped' AND w.want = ANY (%(wants)s::text[])
GROUP BY w.want
"""
# For each: what has its GTIN, what has its SKU but for punctuation, the names that are most alike. By an index each.
ALIKE = """
SELECT w.n, x.sku, x.name, x.how, x.alike
FROM unnest(%(ns)s::int[], %(squeezed)s::text[], %(folded)s::text[]) AS w(n, squeezed, folded)
CROSS JOIN LATERAL (
    SELECT v.sku, v.name, 'gtin' AS how, 1::real AS alike
    FROM unnest(%(gtin_ns)s::int[], %(gtins)s::text[]) AS g(n, gtin)
    JOIN variant v ON v.gtin = g.gtin WHERE g.n = w.n
    UNION ALL
    SELECT v.sku, v.name, 'sku', 1 FROM variant v
    WHERE w.squeezed <> '' AND upper(regexp_replace(v.sku, '[^A-Za-z0-9]', '', 'g')) = w.squeezed
    UNION ALL
    (SELECT v.sku, v.name, 'name', strict_word_similarity(w.folded, v.folded) FROM variant v
     WHERE w.folded <> '' AND w.folded <<%% v.folded AND v.active
     ORDER BY strict_word_similarity(w.folded, v.folded) DESC, v.id LIMIT 3)
) AS x
"""


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """A variant of a channel, and which of ours it is. `how` we know: exact, gtin, sku, name or person."""

    code: str
    external_id: str
    gtin: str
    name: str
    price: int | None
    active: bool
    source: str
    how: str | None
    ignored: bool
    seen_at: datetime
    mapped_at: datetime | None
    sku: str | None
    our_name: str | None
    our_price: int | None


async def rows(
    tx: Tx, connection_id: int, *, state: str = "open", after: str = "", sought: str | None = None, most: int = 100
) -> list[Named]:
    """Return a page of what a channel sells, by code: what is open, mapped or ignored."""
    params = {"connection_id": connection_id, "state": state, "after": after, "sought": sought, "most": most}
    return await tx.all(Named, ROWS, params)


async def counts(tx: Tx, connection_id: int) -> dict[str, int]:
    """Return how much of what a channel sells is open, mapped and ignored."""
    ((opened, mapped, ignored),) = await tx.tuples(COUNTS, {"connection_id": connection_id})
    return {"open": opened, "mapped": mapped, "ignored": ignored}


async def waiting(tx: Tx, connection_id: int, codes: Sequence[str]) -> dict[str, int]:
    """Return how many orders wait for each of these codes."""
    wants = [f"{rules.LISTING}:{code}" for code in codes]
    found = await tx.tuples(WAITING, {"connection_id": connection_id, "wants": wants})
    return {want.partition(":")[2]: count for want, count in found}


async def suggestions(tx: Tx, named: Sequence[Named]) -> dict[str, list[Suggestion]]:
    """Return which of ours each may be, by code, the surest first."""
    ns = range(len(named))
    gtins = [(n, way) for n in ns for way in rules.gtins_of(named[n].gtin)]
    found = await tx.tuples(
        ALIKE,
        {
            "ns": list(ns),
            "squeezed": [rules.squeezed(each.code) for each in named],
            "folded": [fold(each.name) for each in named],
            "gtin_ns": [n for n, _ in gtins],
            "gtins": [way for _, way in gtins],
        },
    )
    grouped: dict[int, list[tuple[str, str, str, float]]] = {}
    for n, *rest in found:
        grouped.setdefault(n, []).append(tuple(rest))
    return {named[n].code: rules.ranked(grouped.get(n, [])) for n in ns}
