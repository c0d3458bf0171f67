"""One order with all that belongs to it, and which orders there are."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, LiteralString

import msgspec

from malha.ordering.listing import OrderRow
from malha.ordering.model import OrderDetails, OrderStatus
from malha.ordering.promised_days import complete_at
from malha.platform.db import Tx
from malha.platform.ids import UUID, first_id
from malha.platform.parking import ParkedKey


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """An order's own facts, with the names of what it refers to."""

    id: UUID
    number: int
    external_id: str
    channel_id: int
    channel_code: str
    channel: str
    channel_kind: str
    placed_at: datetime
    received_at: datetime
    currency: str
    status: OrderStatus
    items_total: int
    discount_total: int
    shipping_total: int
    total: int
    cancelled_total: int
    method: str
    service: str | None
    carrier: str | None
    pickup_location: str | None
    pickup_zone: str | None  # the time zone it is fetched in
    merge_location: str | None  # where its goods come together before they are shipped
    customer_id: UUID | None
    buyer_name: str
    buyer_document: str | None
    buyer_email: str | None
    buyer_phone: str | None
    ship_to: dict[str, str] | None
    promised_at: datetime | None  # the first day that is still to be kept
    complete_at: datetime | None  # by when all of it is there
    release_after: datetime
    seq: int


def came_to(order: OrderRow | Header) -> int:
    """Return what an order comes to without what was cancelled, in centavos; one that is, what it came to."""
    return order.total if order.status == OrderStatus.CANCELLED else order.total - order.cancelled_total


class LineRow(msgspec.Struct, frozen=True, kw_only=True):
    """One line as it was sold."""

    line: int
    sku_id: int | None
    sku: str
    name: str
    quantity: int
    unit_price: int
    discount: int
    total: int
    known: bool
    image: str | None
    replaces: int | None = None  # the line whose units this one stands in for


class UnitRow(msgspec.Struct, frozen=True, kw_only=True):
    """A group of equal units, with the names of where they are."""

    line: int
    part: int
    sku_id: int | None
    sku: str | None
    quantity: int
    state: str
    location_id: int | None
    location: str | None
    location_code: str | None
    location_kind: str | None
    timezone: str | None
    fulfillment_id: UUID | None
    shipment_id: UUID | None
    document_id: UUID | None


class HoldRow(msgspec.Struct, frozen=True, kw_only=True):
    """A hold, open while `resolved_at` is None."""

    id: UUID
    kind: str
    detail: dict[str, Any]
    placed_at: datetime
    placed_by: str
    resolved_at: datetime | None
    resolved_by: str | None
    resolution: str | None


class NoteRow(msgspec.Struct, frozen=True, kw_only=True):
    """A note."""

    id: UUID
    text: str
    written_at: datetime
    author: str


class PromiseRow(msgspec.Struct, frozen=True, kw_only=True):
    """A promise that was made anew. `former_at` is what counted before; no lines: the whole order."""

    promised_at: datetime
    former_at: datetime | None
    lines: list[int]
    reason: str
    note: str
    made_at: datetime
    author: str


class TimelineRow(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened."""

    seq: int
    at: datetime
    type: str
    actor: str
    facts: dict[str, Any]


HEADER = f"""
SELECT o.id, o.number, o.external_id, o.channel_id, c.code AS channel_code, c.name AS channel, c.kind AS channel_kind,
       o.placed_at, o.received_at, o.currency, o.status, o.items_total, o.discount_total, o.shipping_total, o.total,
       o.cancelled_total, o.method, s.name AS service, s.carrier, p.name AS pickup_location,
       CASE o.method WHEN 'pickup' THEN p.timezone END AS pickup_zone, m.name AS merge_location,
       k.customer_id, o.buyer_name, o.buyer_document, o.buyer_email, o.buyer_phone, o.ship_to, o.promised_at,
       {complete_at("o")} AS complete_at, o.release_after, o.seq
FROM sales_order o
JOIN channel c ON c.id = o.channel_id
LEFT JOIN service s ON s.id = o.service_id
LEFT JOIN location p ON p.id = o.pickup_location_id
LEFT JOIN location m ON m.id = o.merge_location_id
LEFT JOIN order_customer k ON k.order_id = o.id
WHERE o.number = %(number)s::bigint
"""


# By the index on the order: as many as were made.
PROMISES = """
SELECT promised_at, former_at, coalesce(lines, '{}'::smallint[]) AS lines, reason, note, made_at, author
FROM order_promise WHERE order_id = %(id)s::uuid ORDER BY made_at DESC, id DESC LIMIT 100
"""


# By the index on the order and when it was made.
FIRST_PROMISE = """
SELECT former_at FROM order_promise WHERE order_id = %(id)s::uuid ORDER BY made_at, id LIMIT 1
"""


LINE_PROMISES = "SELECT line, promised_at FROM order_line_promise WHERE order_id = %(id)s::uuid"


# By primary key.
PROMISED = "SELECT id, promised_at FROM sales_order WHERE id = ANY (%(ids)s::uuid[]) AND promised_at IS NOT NULL"


ID_OF = "SELECT id FROM sales_order WHERE number = %(number)s::bigint"


IS_AT = """
SELECT EXISTS (SELECT FROM order_unit WHERE order_id = %(id)s::uuid AND location_id = ANY(%(locations)s::int[]))
"""


# Of many orders at once, by the primary key of their units.
ARE_AT = """
SELECT DISTINCT order_id FROM order_unit
WHERE order_id = ANY(%(ids)s::uuid[]) AND location_id = ANY(%(locations)s::int[])
"""


_BOUGHT_AT: LiteralString = """
WHERE (%(before)s::bigint IS NULL OR c.number < %(before)s::bigint)
  AND (SELECT true FROM order_customer k JOIN order_unit u ON u.order_id = k.order_id
       WHERE k.customer_id = c.id AND u.location_id = ANY(%(locations)s::int[]) LIMIT 1)
ORDER BY c.number DESC
LIMIT %(limit)s::int
"""


# Newest first by number; whether a customer bought at a location by the index on order_customer.
CUSTOMERS_AT = f"SELECT c.id FROM customer c {_BOUGHT_AT}"


# The same of some of them, by primary key.
THESE_CUSTOMERS_AT = f"SELECT c.id FROM unnest(%(ids)s::uuid[]) AS i (id) JOIN customer c ON c.id = i.id {_BOUGHT_AT}"


# The same, walked upwards.
CUSTOMERS_AT_AFTER = """
SELECT c.id FROM customer c
WHERE c.number > %(after)s::bigint
  AND (SELECT true FROM order_customer k JOIN order_unit u ON u.order_id = k.order_id
       WHERE k.customer_id = c.id AND u.location_id = ANY(%(locations)s::int[]) LIMIT 1)
ORDER BY c.number
LIMIT %(limit)s::int
"""


# Orders since a moment by the primary key: an order's id begins with the time it was made at. Of older ones, lines that
# were mapped since: what has stock is known there, what has none waits.
SKUS_ORDERED = """
SELECT sku_id FROM order_line
WHERE order_id >= %(since)s::uuid AND sku_id = ANY(%(skus)s::int[])
UNION
SELECT sku_id FROM order_unit
WHERE sku_id = ANY(%(skus)s::int[]) AND state IN ('unplaced', 'backordered')
"""


# Index order_customer_orders.
WITH_ORDERS = """
SELECT DISTINCT customer_id FROM order_customer WHERE customer_id = ANY(%(ids)s::uuid[])
"""


IDS_OF = "SELECT number, id FROM sales_order WHERE number = ANY(%(numbers)s::bigint[])"


NUMBERS_OF = "SELECT id, number FROM sales_order WHERE id = ANY(%(ids)s::uuid[])"


LINES = """
SELECT l.line, l.sku_id, l.sku_text AS sku, coalesce(nullif(l.name, ''), v.name, l.sku_text) AS name, l.quantity,
       l.unit_price, l.discount, l.total, l.sku_id IS NOT NULL AS known,
       (SELECT m.url FROM media m WHERE m.product_id = v.product_id
        ORDER BY (m.variant_id = v.id) DESC NULLS LAST, m.position LIMIT 1) AS image, l.replaces
FROM order_line l LEFT JOIN variant v ON v.id = l.sku_id
WHERE l.order_id = %(id)s::uuid ORDER BY l.line
"""


# By primary key; most orders have none.
COMPONENTS = "SELECT line, sku_id, quantity FROM order_component WHERE order_id = %(id)s::uuid"


UNITS = """
SELECT u.line, u.part, u.sku_id, v.sku, u.quantity, u.state, u.location_id, n.name AS location, n.code AS location_code,
       n.kind AS location_kind, n.timezone, u.fulfillment_id, u.shipment_id, u.document_id
FROM order_unit u
LEFT JOIN variant v ON v.id = u.sku_id
LEFT JOIN location n ON n.id = u.location_id
WHERE u.order_id = %(id)s::uuid ORDER BY u.line, u.part
"""


HOLDS = """
SELECT id, kind, detail, placed_at, placed_by, resolved_at, resolved_by, resolution
FROM order_hold WHERE order_id = %(id)s::uuid ORDER BY placed_at, kind
"""


# By the index on orders.
TAGS = """
SELECT order_id, array_agg(tag ORDER BY key) FROM order_tag WHERE order_id = ANY(%(ids)s::uuid[]) GROUP BY order_id
"""


# From one tag to the next on the primary key: as many look-ups as there are tags, however many orders have them. Each
# is spelled as on its newest order.
KNOWN_TAGS = """
WITH RECURSIVE known (key, n) AS (
    (SELECT key, 1 FROM order_tag ORDER BY key LIMIT 1)
    UNION ALL
    SELECT (SELECT t.key FROM order_tag t WHERE t.key > k.key ORDER BY t.key LIMIT 1), k.n + 1
    FROM known k WHERE k.key IS NOT NULL AND k.n < %(most)s::int
)
SELECT (SELECT t.tag FROM order_tag t WHERE t.key = k.key ORDER BY t.placed_at DESC, t.order_id DESC LIMIT 1)
FROM known k WHERE k.key IS NOT NULL ORDER BY k.key
"""


# Primary keys.
IS_ERASED = """
SELECT EXISTS (SELECT FROM order_customer k JOIN customer_erasure e ON e.customer_id = k.customer_id
               WHERE k.order_id = %(order_id)s::uuid)
"""


DETAILS = "SELECT details FROM order_details WHERE order_id = %(id)s::uuid"


NOTES = "SELECT id, text, written_at, author FROM order_note WHERE order_id = %(id)s::uuid ORDER BY written_at DESC"


TIMELINE = """
SELECT seq, at, type, actor, facts FROM order_timeline WHERE order_id = %(id)s::uuid ORDER BY seq DESC LIMIT 200
"""


async def header(tx: Tx, number: int) -> Header | None:
    """Return an order by its number, or None."""
    return await tx.maybe(Header, HEADER, {"number": number})


async def promises(tx: Tx, order_id: UUID) -> list[PromiseRow]:
    """Return the 100 newest promises that were made anew for an order, newest first."""
    return await tx.all(PromiseRow, PROMISES, {"id": order_id})


async def first_promise(tx: Tx, header: Header) -> datetime | None:
    """Return what an order was promised for before anything was promised anew; None where that was nothing."""
    made: list[datetime | None] = await tx.values(FIRST_PROMISE, {"id": header.id})
    return made[0] if made else header.promised_at


async def line_promises(tx: Tx, order_id: UUID) -> dict[int, datetime]:
    """Return the days lines are promised for, where they differ from one another."""
    return {int(line): at for line, at in await tx.tuples(LINE_PROMISES, {"id": order_id})}


async def promised(tx: Tx, order_ids: Sequence[UUID]) -> dict[UUID, datetime]:
    """Return the first day that is still to be kept of each order; orders without a promise are absent."""
    return dict(await tx.tuples(PROMISED, {"ids": list(order_ids)}))


async def id_of(tx: Tx, number: int) -> UUID | None:
    """Return the id of the order with this number, or None."""
    found: UUID | None = await tx.value(ID_OF, {"number": number})
    return found


async def is_at(tx: Tx, order_id: UUID, location_ids: Sequence[int]) -> bool:
    """Return whether any unit of an order is, or was, at one of these locations."""
    return bool(await tx.value(IS_AT, {"id": order_id, "locations": list(location_ids)}))


async def are_at(tx: Tx, order_ids: Sequence[UUID], location_ids: Sequence[int]) -> set[UUID]:
    """Return which orders have, or had, units at one of these locations."""
    return set(await tx.values(ARE_AT, {"ids": list(order_ids), "locations": list(location_ids)}))


async def parked_at(tx: Tx, parked: Sequence[ParkedKey], location_ids: Sequence[int]) -> list[ParkedKey]:
    """Return, of records whose events wait, the orders that are or were at one of these locations."""
    ids = {p.key: UUID(p.key.removeprefix("order:")) for p in parked if p.key.startswith("order:")}
    own = await are_at(tx, list(ids.values()), location_ids)
    return [p for p in parked if ids.get(p.key) in own]


async def customers_at(
    tx: Tx,
    location_ids: Sequence[int],
    *,
    ids: Sequence[UUID] | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[UUID]:
    """Return customers with an order at one of these locations, newest first; of all of them, or of `ids`."""
    asked = {"locations": list(location_ids), "before": before, "limit": limit}
    if ids is None:
        return await tx.values(CUSTOMERS_AT, asked)
    return await tx.values(THESE_CUSTOMERS_AT, {**asked, "ids": list(ids)})


async def skus_ordered(tx: Tx, sku_ids: Sequence[int], since: datetime) -> set[int]:
    """Return which of these SKUs were ordered since a moment."""
    if not sku_ids:
        return set()
    return set(await tx.values(SKUS_ORDERED, {"skus": list(sku_ids), "since": first_id(since)}))


async def with_orders(tx: Tx, customer_ids: Sequence[UUID]) -> set[UUID]:
    """Return which of these customers have an order."""
    return set(await tx.values(WITH_ORDERS, {"ids": list(customer_ids)}))


async def walk_customers_at(tx: Tx, location_ids: Sequence[int], *, after: int = 0, limit: int = 1000) -> list[UUID]:
    """Return such customers in the order of their numbers, after one: the way through all of them in pages."""
    return await tx.values(CUSTOMERS_AT_AFTER, {"locations": list(location_ids), "after": after, "limit": limit})


async def ids_of(tx: Tx, numbers: Sequence[int]) -> dict[int, UUID]:
    """Return the ids of orders by their numbers; numbers that do not exist are absent."""
    return dict(await tx.tuples(IDS_OF, {"numbers": list(numbers)}))


async def numbers_of(tx: Tx, ids: Sequence[UUID]) -> dict[UUID, int]:
    """Return the numbers of orders by their ids."""
    return dict(await tx.tuples(NUMBERS_OF, {"ids": list(ids)}))


async def lines(tx: Tx, order_id: UUID) -> list[LineRow]:
    """Return an order's lines."""
    return await tx.all(LineRow, LINES, {"id": order_id})


async def components(tx: Tx, order_id: UUID) -> dict[int, dict[int, int]]:
    """Return what one unit of each kit of an order is made of, by line: SKUs with how many of each."""
    found: dict[int, dict[int, int]] = {}
    for line, sku, each in await tx.tuples(COMPONENTS, {"id": order_id}):
        found.setdefault(line, {})[sku] = each
    return found


async def units(tx: Tx, order_id: UUID) -> list[UnitRow]:
    """Return an order's units with the names of their locations."""
    return await tx.all(UnitRow, UNITS, {"id": order_id})


async def holds(tx: Tx, order_id: UUID) -> list[HoldRow]:
    """Return an order's holds, resolved ones too, oldest first."""
    return await tx.all(HoldRow, HOLDS, {"id": order_id})


async def tags(tx: Tx, order_ids: Sequence[UUID]) -> dict[UUID, list[str]]:
    """Return what orders are tagged with, those that are."""
    return dict(await tx.tuples(TAGS, {"ids": list(order_ids)}))


async def known_tags(tx: Tx, most: int = 200) -> list[str]:
    """Return the tags that orders have, by the alphabet."""
    return await tx.values(KNOWN_TAGS, {"most": most})


async def is_erased(tx: Tx, order_id: UUID) -> bool:
    """Tell whether the data of an order's customer were erased for good."""
    return bool(await tx.value(IS_ERASED, {"order_id": order_id}))


async def details(tx: Tx, order_id: UUID) -> OrderDetails | None:
    """Return what an order says besides what is bought; None: nothing."""
    found = await tx.value(DETAILS, {"id": order_id})
    return None if found is None else msgspec.convert(found, OrderDetails)


async def notes(tx: Tx, order_id: UUID) -> list[NoteRow]:
    """Return an order's notes, newest first."""
    return await tx.all(NoteRow, NOTES, {"id": order_id})


async def timeline(tx: Tx, order_id: UUID) -> list[TimelineRow]:
    """Return what happened to an order, newest first, at most the last 200 things."""
    return await tx.all(TimelineRow, TIMELINE, {"id": order_id})
