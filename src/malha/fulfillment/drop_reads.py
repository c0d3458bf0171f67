"""Drop-ship orders for lists and for the page of an order."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import msgspec

from malha.inventory.vendors.model import OPEN, DropState
from malha.ordering import reads as orders
from malha.platform.brazil import mask_phone
from malha.platform.db import Tx
from malha.platform.ids import UUID
from malha.platform.text import literal, whole_in

# The newest first by the unique index on number; the partial index when open ones are asked.
DROPS = """
SELECT d.id, d.number, d.order_id, o.number AS order_number, d.location_id, p.code AS location, p.name AS location_name,
       d.state, d.leaves_on, d.reference, d.reason, d.asked_at, d.answered_at, d.ended_at, l.units, l.sent, l.expected,
       l.cost,
       EXISTS (SELECT FROM order_hold h WHERE h.order_id = d.order_id AND h.resolved_at IS NULL) AS held
FROM drop_ship d
JOIN sales_order o ON o.id = d.order_id
JOIN location p ON p.id = d.location_id
CROSS JOIN LATERAL (
    SELECT sum(quantity)::int AS units, sum(sent)::int AS sent, sum(expected)::int AS expected,
           sum(quantity * unit_cost)::bigint AS cost
    FROM drop_ship_line WHERE drop_ship_id = d.id
) l
WHERE (%(before)s::bigint IS NULL OR d.number < %(before)s::bigint)
  AND (%(number)s::bigint IS NULL OR d.number = %(number)s::bigint)
  AND (%(order_id)s::uuid IS NULL OR d.order_id = %(order_id)s::uuid)
  AND (NOT %(open)s::boolean OR d.state IN ('asked', 'accepted'))
  AND (%(state)s::text IS NULL OR d.state = %(state)s::text)
  AND (%(late)s::date IS NULL OR (d.leaves_on < %(late)s::date AND d.state IN ('asked', 'accepted')))
  AND (%(location_id)s::int IS NULL OR d.location_id = %(location_id)s::int)
  AND (%(scope)s::int[] IS NULL OR d.location_id = ANY (%(scope)s::int[]))
  AND (%(text)s::text IS NULL OR p.name ILIKE %(text)s::text OR p.code ILIKE %(text)s::text
       OR d.reference ILIKE %(text)s::text OR d.number = %(asked)s::bigint OR o.number = %(asked)s::bigint)
ORDER BY d.number DESC
LIMIT %(limit)s::int
"""
DROP_LINES = """
SELECT l.line, l.sku_id, v.sku, v.name, l.vendor_sku, l.quantity, l.sent, l.dropped, l.expected, l.unit_cost
FROM drop_ship_line l JOIN variant v ON v.id = l.sku_id
WHERE l.drop_ship_id = %(id)s::uuid ORDER BY l.line, v.sku
"""

DESTINATION = """
SELECT buyer_name AS name, buyer_phone AS phone, ship_to AS address FROM sales_order WHERE id = %(order_id)s::uuid
"""


class Destination(msgspec.Struct, frozen=True):
    """Who gets a drop-ship order, and where: what its vendor needs for the label."""

    name: str
    phone: str | None
    address: dict[str, str] | None


class DropRow(msgspec.Struct, frozen=True):
    """A drop-ship order in a list. `held`: the customer's order is on hold, and nothing is to be sent."""

    id: UUID
    number: int
    order_id: UUID
    order_number: int
    location_id: int
    location: str
    location_name: str
    state: DropState
    leaves_on: date
    reference: str | None
    reason: str
    asked_at: datetime
    answered_at: datetime | None
    ended_at: datetime | None
    units: int
    sent: int
    expected: int
    cost: int  # centavos
    held: bool

    @property
    def is_open(self) -> bool:
        """Tell whether the vendor is still to send something."""
        return self.state in OPEN


class DropLineRow(msgspec.Struct, frozen=True):
    """A line of a drop-ship order; `line` is the order's. `unit_cost` is centavos."""

    line: int
    sku_id: int
    sku: str
    name: str
    vendor_sku: str
    quantity: int
    sent: int
    dropped: int
    expected: int
    unit_cost: int


class DropsWanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which drop-ship orders. `late`: those that were to leave before that day. `scope` None: of all vendors."""

    open: bool = False
    state: DropState | None = None
    late: date | None = None
    location_id: int | None = None
    order_id: UUID | None = None
    number: int | None = None
    text: str = ""
    scope: Sequence[int] | None = None


async def drops(tx: Tx, wanted: DropsWanted, *, before: int | None = None, limit: int = 100) -> list[DropRow]:
    """Return drop-ship orders, the newest first."""
    text = wanted.text.strip()
    params: dict[str, Any] = {
        "before": before,
        "number": wanted.number,
        "order_id": wanted.order_id,
        "open": wanted.open,
        "state": None if wanted.state is None else wanted.state.value,
        "late": wanted.late,
        "location_id": wanted.location_id,
        "scope": None if wanted.scope is None else list(wanted.scope),
        "text": f"%{literal(text)}%" if text else None,
        "asked": whole_in(text, 17),
        "limit": limit,
    }
    return [DropRow(**{**row, "state": DropState(row["state"])}) for row in await tx.all(dict, DROPS, params)]


async def drop(tx: Tx, number: int, scope: Sequence[int] | None = None) -> DropRow | None:
    """Return one drop-ship order, if its vendor is in a scope."""
    return next(iter(await drops(tx, DropsWanted(number=number, scope=scope), limit=1)), None)


async def drops_of_order(tx: Tx, order_id: UUID, scope: Sequence[int] | None = None) -> list[DropRow]:
    """Return what vendors are or were asked for an order."""
    return await drops(tx, DropsWanted(order_id=order_id, scope=scope))


async def orders_seen(tx: Tx, ids: Sequence[UUID], scope: Sequence[int] | None) -> set[UUID]:
    """Return which of these orders may be opened by who sees these locations; None is all of them.

    What a vendor is only asked for is at no location yet: who sees the vendor alone sees what is asked, not the order.
    """
    return set(ids) if scope is None else await orders.are_at(tx, ids, scope)


async def drop_lines(tx: Tx, id_: UUID) -> list[DropLineRow]:
    """Return the lines of a drop-ship order."""
    return await tx.all(DropLineRow, DROP_LINES, {"id": id_})


async def destination(tx: Tx, order_id: UUID, *, reveals: bool) -> Destination:
    """Return where an order goes, its telephone masked unless whoever asks may see personal data in full."""
    to = await tx.one(Destination, DESTINATION, {"order_id": order_id})
    return to if reveals or not to.phone else msgspec.structs.replace(to, phone=mask_phone(to.phone))
