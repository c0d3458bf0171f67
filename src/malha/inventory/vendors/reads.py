"""What vendors supply, and what they are still to send, for routing, for orders and for lists."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import msgspec

from malha.inventory.vendors.model import DropLine, Offer
from malha.platform.db import Tx
from malha.platform.ids import UUID
from malha.platform.text import literal

# Vendors that are paused or closed are asked for nothing.
_OFFERED = """
SELECT o.sku_id, o.location_id, l.code, l.state, o.unit_cost, o.lead_days, o.vendor_sku
FROM vendor_offer o JOIN location l ON l.id = o.location_id
WHERE o.active AND l.kind = 'vendor' AND l.status = 'active'"""
_BY_SKU = "\nORDER BY o.sku_id, o.location_id\n"
# By the index on SKUs.
OFFERS_OF = _OFFERED + " AND o.sku_id = ANY (%(skus)s::int[])" + _BY_SKU
# All of them: for who replays past orders of any goods.
ALL_OFFERS = _OFFERED + _BY_SKU
# By the index on orders.
AT_VENDORS = """
SELECT l.line, l.sku_id, sum(l.expected)::int FROM drop_ship d JOIN drop_ship_line l ON l.drop_ship_id = d.id
WHERE d.order_id = %(order_id)s::uuid AND d.state IN ('asked', 'accepted') AND l.expected > 0
GROUP BY l.line, l.sku_id
"""
# By the index on orders, then lines by primary key.
LINES_OF = """
SELECT drop_ship_id, line, sku_id, quantity, sent, dropped, unit_cost, vendor_sku FROM drop_ship_line
WHERE drop_ship_id = ANY (%(drops)s::uuid[]) ORDER BY drop_ship_id, line, sku_id
"""
# Along the primary key, after the last of the page before.
OFFERS = """
SELECT o.location_id, p.code AS location, p.name AS location_name, o.sku_id, v.sku, v.name, o.vendor_sku, o.unit_cost,
       o.lead_days, o.active, o.version, o.changed_at, o.changed_by
FROM vendor_offer o JOIN location p ON p.id = o.location_id JOIN variant v ON v.id = o.sku_id
WHERE (%(after_location)s::int IS NULL OR (o.location_id, o.sku_id) > (%(after_location)s::int, %(after_sku)s::int))
  AND (%(location_id)s::int IS NULL OR o.location_id = %(location_id)s::int)
  AND (%(sku_id)s::int IS NULL OR o.sku_id = %(sku_id)s::int)
  AND (%(scope)s::int[] IS NULL OR o.location_id = ANY (%(scope)s::int[]))
  AND (%(text)s::text IS NULL OR v.sku ILIKE %(text)s::text OR v.name ILIKE %(text)s::text
       OR o.vendor_sku ILIKE %(text)s::text)
ORDER BY o.location_id, o.sku_id
LIMIT %(limit)s::int
"""


class OfferRow(msgspec.Struct, frozen=True):
    """What a vendor supplies. `unit_cost` is centavos; `lead_days` working days from being asked to leaving."""

    location_id: int
    location: str
    location_name: str
    sku_id: int
    sku: str
    name: str
    vendor_sku: str
    unit_cost: int
    lead_days: int
    active: bool
    version: int
    changed_at: datetime
    changed_by: str


async def offers_of(tx: Tx, sku_ids: Collection[int] | None) -> dict[int, tuple[Offer, ...]]:
    """Return who may be asked to send SKUs, by SKU id; None: any. A SKU that nobody supplies is not there."""
    asked = tx.tuples(ALL_OFFERS) if sku_ids is None else tx.tuples(OFFERS_OF, {"skus": sorted(sku_ids)})
    found: dict[int, list[Offer]] = {}
    for row in await asked:
        found.setdefault(row[0], []).append(Offer(*row))
    return {sku: tuple(offers) for sku, offers in found.items()}


async def at_vendors(tx: Tx, order_id: UUID) -> dict[tuple[int, int], int]:
    """Return how many units of an order vendors are still to send, by (line, SKU)."""
    return {(line, sku): units for line, sku, units in await tx.tuples(AT_VENDORS, {"order_id": order_id})}


async def lines_of(tx: Tx, drops: Collection[UUID]) -> dict[UUID, list[DropLine]]:
    """Return the lines of drop-ship orders."""
    found: dict[UUID, list[DropLine]] = {id_: [] for id_ in drops}
    for id_, *row in await tx.tuples(LINES_OF, {"drops": list(drops)}):
        found[id_].append(DropLine(*row))
    return found


async def offers(
    tx: Tx,
    *,
    location_id: int | None = None,
    sku_id: int | None = None,
    text: str = "",
    scope: Sequence[int] | None = None,
    after: tuple[int, int] | None = None,
    limit: int = 100,
) -> list[OfferRow]:
    """Return what vendors supply, by vendor and SKU."""
    said = text.strip()
    params: dict[str, Any] = {
        "after_location": None if after is None else after[0],
        "after_sku": None if after is None else after[1],
        "location_id": location_id,
        "sku_id": sku_id,
        "scope": None if scope is None else list(scope),
        "text": f"%{literal(said)}%" if said else None,
        "limit": limit,
    }
    return await tx.all(OfferRow, OFFERS, params)
