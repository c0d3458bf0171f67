"""What may be sold ahead, what is promised of supply, and who waits."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import LiteralString

import msgspec

from malha.inventory.ahead.model import Mode, Policy
from malha.platform.db import Tx
from malha.platform.ids import UUID

# Units that are missing at a balance for those they are promised to: what comes is theirs first (`writes.ROOM_AT`).
MISSING = "greatest(b.allocated + b.held - b.on_hand, 0)"
# What the lines of a balance that come before a line `s` have free: the first of it goes to whom units are missing.
FREE_BEFORE = """(SELECT coalesce(sum(e.expected - e.promised), 0) FROM supply e
         WHERE e.sku_id = s.sku_id AND e.location_id = s.location_id AND e.expected > 0
           AND (e.eta, e.id) < (s.eta, s.id))"""


def offered(lines: LiteralString) -> LiteralString:
    """Return a query for what may be promised of supply lines: id, SKU, location, day, expected, promised.

    What is missing at the balance is taken off what the earliest of them expect and have not promised.

    Args:
        lines: a query for open lines, all of those of a SKU and location, with these columns.
    """
    return f"""
WITH line AS MATERIALIZED ({lines}), owing AS (
    SELECT l.*, l.expected - l.promised AS room, coalesce({MISSING}, 0) AS missing,
           sum(l.expected - l.promised) OVER (PARTITION BY l.sku_id, l.location_id ORDER BY l.eta, l.id) AS until
    FROM line l LEFT JOIN balance b ON b.sku_id = l.sku_id AND b.location_id = l.location_id
)
SELECT id, sku_id, location_id, eta, expected - greatest(least(room, missing - (until - room)), 0)::int, promised
FROM owing ORDER BY sku_id, location_id, id
"""


# Intake's snapshot: the partial index on open supply.
OPEN = offered("""
    SELECT s.id, s.sku_id, s.location_id, s.eta, s.expected, s.promised FROM supply s
    WHERE s.sku_id = ANY (%(skus)s::int[]) AND s.expected > s.promised AND s.expected > 0
""")
ROOM = """
SELECT id, coalesce(cap - waiting, 2147483647) FROM ahead_policy WHERE id = ANY (%(policies)s::int[])
"""
# Of all policies that some SKUs fall under; by the unique index and the partial one on SKUs.
ROOM_OF_SKUS = """
SELECT v.id, p.id, coalesce(p.cap - p.waiting, 2147483647)
FROM variant v JOIN ahead_policy p ON p.sku_id = v.id OR (p.sku_id IS NULL AND p.product_id = v.product_id)
WHERE v.id = ANY (%(skus)s::int[]) AND p.mode <> 'none' AND NOT p.removed
"""
# Who is in the queue of a SKU goes before who comes now; by the index on queues.
AHEAD_OF = """
SELECT sku_id, location_id, sum(quantity)::int FROM supply_claim
WHERE sku_id = ANY (%(skus)s::int[]) AND state <> 'arrived' GROUP BY sku_id, location_id
"""
ANY_POLICY = "SELECT EXISTS (SELECT FROM ahead_policy WHERE mode <> 'none' AND NOT removed)"
# The most particular first: a SKU before its product, a channel before all channels. Both unique indexes.
POLICIES = """
SELECT v.id, p.id, p.channel_id, p.mode, p.release_on, p.cap, p.horizon_days, p.handling_days
FROM variant v JOIN ahead_policy p ON p.sku_id = v.id OR (p.sku_id IS NULL AND p.product_id = v.product_id)
WHERE v.id = ANY (%(skus)s::int[]) AND NOT v.is_kit AND NOT p.removed
ORDER BY v.id, p.sku_id IS NULL, p.channel_id IS NULL
"""
# What claims that are not lost cover of the lines of orders; by the index on orders.
COVERED = """
SELECT line, sku_id, sum(quantity)::int FROM supply_claim
WHERE order_id = %(order_id)s::uuid AND state <> 'lost' GROUP BY line, sku_id
"""
# Those of a product and its SKUs; by the unique index and the partial one on SKUs.
OF_PRODUCT = """
SELECT p.id, p.product_id, p.sku_id, v.sku, p.channel_id, c.code AS channel, c.name AS channel_name, p.mode,
       p.release_on, p.cap, p.horizon_days, p.handling_days, p.waiting, p.version
FROM ahead_policy p
LEFT JOIN variant v ON v.id = p.sku_id
LEFT JOIN channel c ON c.id = p.channel_id
WHERE (p.product_id = %(product_id)s::int OR v.product_id = %(product_id)s::int) AND NOT p.removed
ORDER BY p.sku_id NULLS FIRST, p.channel_id NULLS FIRST
"""
# As OF_PRODUCT, for the rows of a table.
OF_PRODUCTS = """
SELECT p.id, p.product_id, p.sku_id, v.sku, p.channel_id, c.code AS channel, c.name AS channel_name, p.mode,
       p.release_on, p.cap, p.horizon_days, p.handling_days, p.waiting, p.version
FROM ahead_policy p
LEFT JOIN variant v ON v.id = p.sku_id
LEFT JOIN channel c ON c.id = p.channel_id
WHERE (p.product_id = ANY (%(products)s::int[]) OR v.product_id = ANY (%(products)s::int[])) AND NOT p.removed
ORDER BY p.id
"""
# All of them, page by page along the primary key.
POLICY_TABLE = """
SELECT p.id, o.code, v.sku, c.code, p.mode, p.release_on, p.cap, p.horizon_days, p.handling_days
FROM ahead_policy p
LEFT JOIN variant v ON v.id = p.sku_id
JOIN product o ON o.id = coalesce(p.product_id, v.product_id)
LEFT JOIN channel c ON c.id = p.channel_id
WHERE p.id > %(after)s::int AND NOT p.removed
ORDER BY p.id LIMIT %(limit)s::int
"""
# Of some balances, where somebody waits for supply; by the index on queues.
WAITED_AT = """
SELECT w.sku_id, w.location_id FROM unnest(%(skus)s::int[], %(locations)s::int[]) AS w(sku_id, location_id)
WHERE EXISTS (SELECT FROM supply_claim c
              WHERE c.sku_id = w.sku_id AND c.location_id = w.location_id AND c.state <> 'arrived')
ORDER BY w.sku_id, w.location_id
"""
LOST_SKUS = """
SELECT DISTINCT sku_id FROM supply_claim WHERE order_id = %(order_id)s::uuid AND state = 'lost'
"""
# Of some SKUs, those that somebody may sell ahead, or that somebody did and whose supply is lost.
SOLD_AHEAD = """
SELECT v.id FROM variant v
WHERE v.id = ANY (%(skus)s::int[])
  AND (EXISTS (SELECT FROM ahead_policy p WHERE p.mode <> 'none' AND NOT p.removed
               AND (p.sku_id = v.id OR (p.sku_id IS NULL AND p.product_id = v.product_id)))
       OR EXISTS (SELECT FROM supply_claim c WHERE c.sku_id = v.id AND c.state = 'lost'))
"""
# Where supply comes from, for people. What is missing for others is owed by the earliest lines, as in `offered`.
_SOURCE = f"""
SELECT s.id, s.kind, coalesce(o.number, t.number) AS number, coalesce(o.supplier, origin.code) AS supplier, s.line,
       s.sku_id, s.location_id, l.code AS location, l.name AS location_name, s.eta, s.expected, s.promised,
       greatest(least(s.expected - s.promised, coalesce({MISSING}, 0) - {FREE_BEFORE}), 0)::int AS owed
FROM supply s
LEFT JOIN balance b ON b.sku_id = s.sku_id AND b.location_id = s.location_id
JOIN location l ON l.id = s.location_id
LEFT JOIN inbound_order o ON o.id = s.source_id
LEFT JOIN transfer_shipment sh ON sh.id = s.source_id LEFT JOIN transfer t ON t.id = sh.transfer_id
LEFT JOIN location origin ON origin.id = t.origin_id
"""
SUPPLY_OF_SKUS = (
    _SOURCE
    + """WHERE s.sku_id = ANY (%(skus)s::int[]) AND s.expected > 0
  AND (%(locations)s::int[] IS NULL OR s.location_id = ANY (%(locations)s::int[]))
ORDER BY s.sku_id, s.eta, s.id
"""
)
SUPPLY_OF_SOURCE = (
    _SOURCE
    + """WHERE s.source_id = ANY (%(sources)s::uuid[]) ORDER BY s.line, s.id
"""
)
CLAIMS_OF_ORDER = """
SELECT c.line, c.sku_id, v.sku, c.state, c.quantity, c.days, c.not_before, c.since, s.kind,
       coalesce(o.number, t.number) AS number, coalesce(o.supplier, origin.code) AS supplier, l.code AS location,
       l.name AS location_name, s.eta
FROM supply_claim c
JOIN variant v ON v.id = c.sku_id
JOIN location l ON l.id = c.location_id
LEFT JOIN supply s ON s.id = c.supply_id
LEFT JOIN inbound_order o ON o.id = s.source_id
LEFT JOIN transfer_shipment sh ON sh.id = s.source_id LEFT JOIN transfer t ON t.id = sh.transfer_id
LEFT JOIN location origin ON origin.id = t.origin_id
WHERE c.order_id = %(order_id)s::uuid
ORDER BY c.line, s.eta NULLS LAST, c.id
"""


class PolicyRow(msgspec.Struct, frozen=True):
    """A policy as it is stated; `waiting` units were sold under it and are not there yet."""

    id: int
    product_id: int | None
    sku_id: int | None
    sku: str | None
    channel_id: int | None
    channel: str | None
    channel_name: str | None
    mode: Mode
    release_on: date | None
    cap: int | None
    horizon_days: int | None
    handling_days: int
    waiting: int
    version: int


class SupplyRow(msgspec.Struct, frozen=True):
    """A supply line with where it comes from; `owed` units of it go to those first whose goods are missing there."""

    id: int
    kind: str
    number: int
    supplier: str
    line: int
    sku_id: int
    location_id: int
    location: str
    location_name: str
    eta: date
    expected: int
    promised: int
    owed: int

    @property
    def free(self) -> int:
        """Return how many more units may be promised."""
        return self.expected - self.promised - self.owed


class ClaimRow(msgspec.Struct, frozen=True):
    """What units of an order wait for."""

    line: int
    sku_id: int
    sku: str
    state: str
    quantity: int
    days: int
    not_before: date | None
    since: datetime
    kind: str | None
    number: int | None
    supplier: str | None
    location: str
    location_name: str
    eta: date | None


async def any_policy(tx: Tx) -> bool:
    """Return whether anything may be sold ahead at all."""
    return bool(await tx.value(ANY_POLICY))


async def policies(tx: Tx, sku_ids: Sequence[int]) -> dict[int, tuple[Policy, ...]]:
    """Return the policies of SKUs, the most particular first; SKUs without any are absent. Kits have none."""
    found: dict[int, list[Policy]] = {}
    for sku, id_, channel, mode, release_on, cap, horizon, handling in await tx.tuples(
        POLICIES, {"skus": list(sku_ids)}
    ):
        found.setdefault(sku, []).append(Policy(id_, channel, Mode(mode), release_on, cap, horizon, handling))
    return {sku: tuple(rows) for sku, rows in found.items()}


async def of_product(tx: Tx, product_id: int) -> list[PolicyRow]:
    """Return the policies stated for a product and its SKUs."""
    return await tx.all(PolicyRow, OF_PRODUCT, {"product_id": product_id})


async def of_products(tx: Tx, product_ids: Collection[int]) -> list[PolicyRow]:
    """Return the policies stated for some products and their SKUs."""
    return await tx.all(PolicyRow, OF_PRODUCTS, {"products": sorted(product_ids)})


async def covered(tx: Tx, order_id: UUID) -> dict[tuple[int, int], int]:
    """Return how many waiting units of an order, by (line, SKU), have supply that is expected, or goods that came."""
    return {(line, sku): units for line, sku, units in await tx.tuples(COVERED, {"order_id": order_id})}


async def waited_at(tx: Tx, keys: Collection[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return those of some (SKU, location) where somebody waits for supply, in their order."""
    params = {"skus": [sku for sku, _ in keys], "locations": [place for _, place in keys]}
    return [(sku, place) for sku, place in await tx.tuples(WAITED_AT, params)]


async def lost_skus(tx: Tx, order_id: UUID) -> list[int]:
    """Return the SKUs of an order that were promised from supply which will not come."""
    return await tx.values(LOST_SKUS, {"order_id": order_id})


async def sold_ahead(tx: Tx, sku_ids: Sequence[int]) -> list[int]:
    """Return those of some SKUs that may be sold ahead, or were."""
    return await tx.values(SOLD_AHEAD, {"skus": list(sku_ids)})


async def supply_of(tx: Tx, sku_ids: Sequence[int], location_ids: Sequence[int] | None = None) -> list[SupplyRow]:
    """Return the supply lines of SKUs that may be promised from, the earliest first."""
    locations = None if location_ids is None else list(location_ids)
    return await tx.all(SupplyRow, SUPPLY_OF_SKUS, {"skus": list(sku_ids), "locations": locations})


async def supply_from(tx: Tx, *source_ids: UUID) -> list[SupplyRow]:
    """Return what is promised of the lines of orders, or of shipments of transfers."""
    return await tx.all(SupplyRow, SUPPLY_OF_SOURCE, {"sources": list(source_ids)})


async def claims_of_order(tx: Tx, order_id: UUID) -> list[ClaimRow]:
    """Return what an order waits for, by line and day."""
    return await tx.all(ClaimRow, CLAIMS_OF_ORDER, {"order_id": order_id})
