"""What is expected and what arrived, for screens and for promises."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, LiteralString

import msgspec
from psycopg import sql

from malha.inventory.buckets.model import Bucket
from malha.inventory.supply import searching
from malha.inventory.supply.model import InboundKind, InboundState
from malha.platform.db import Tx
from malha.platform.ids import UUID
from malha.platform.text import fold

# Partial indexes: lines that are still expected, transfers that are open, shipments that are coming. Goods of a
# transfer that have not left are expected where it goes, and held where it comes from.
INCOMING = """
SELECT l.sku_id, l.location_id, l.eta AS day, sum(l.expected)::int AS quantity, o.kind AS source, o.number, o.supplier
FROM inbound_line l JOIN inbound_order o ON o.id = l.order_id
WHERE l.sku_id = ANY (%(skus)s::int[]) AND l.expected > 0
  AND (%(locations)s::int[] IS NULL OR l.location_id = ANY (%(locations)s::int[]))
GROUP BY l.sku_id, l.location_id, l.eta, o.kind, o.number, o.supplier
UNION ALL
SELECT c.sku_id, c.destination_id, c.day, sum(c.units)::int, 'transfer', c.number, o.code
FROM (
    SELECT l.sku_id, t.destination_id, t.origin_id, t.number, t.eta AS day, l.approved - l.shipped - l.dropped AS units
    FROM transfer t JOIN transfer_line l ON l.transfer_id = t.id
    WHERE t.state IN ('approved', 'partly_shipped') AND l.sku_id = ANY (%(skus)s::int[])
      AND l.approved > l.shipped + l.dropped
    UNION ALL
    SELECT l.sku_id, t.destination_id, t.origin_id, t.number, s.eta, l.coming
    FROM transfer_shipment_line l
    JOIN transfer_shipment s ON s.id = l.shipment_id JOIN transfer t ON t.id = s.transfer_id
    WHERE l.sku_id = ANY (%(skus)s::int[]) AND l.coming > 0 AND t.state IN ('partly_shipped', 'shipped')
    UNION ALL  -- what older code shipped beside this during an update has no shipment yet
    SELECT l.sku_id, t.destination_id, t.origin_id, t.number, t.eta, l.transit
    FROM transfer_line l JOIN transfer t ON t.id = l.transfer_id
    WHERE l.sku_id = ANY (%(skus)s::int[]) AND l.transit > 0 AND t.state = 'shipped'
      AND NOT EXISTS (SELECT FROM transfer_shipment s WHERE s.transfer_id = t.id)
) c
JOIN location o ON o.id = c.origin_id
WHERE %(locations)s::int[] IS NULL OR c.destination_id = ANY (%(locations)s::int[])
GROUP BY c.sku_id, c.destination_id, c.day, c.number, o.code
ORDER BY 1, 2, 3 NULLS LAST, 6
"""

# The list is put together as that of receipts is: which orders, by the index of what narrows them, then their lines.
_ORDERS = """
SELECT o.number, o.kind, o.supplier, o.reference, o.location_id, p.code AS location, p.name AS location_name,
       e.code AS owner, e.name AS owner_name, o.state, o.created_at, l.lines, l.units, l.received, l.expected,
       l.next_eta
FROM (
    SELECT o.* FROM inbound_order o
    WHERE true"""
_ORDER_ROWS = """
    ORDER BY o.number DESC LIMIT %(limit)s::int
) o
JOIN location p ON p.id = o.location_id
JOIN establishment e ON e.id = coalesce(p.owner_id, p.establishment_id)
CROSS JOIN LATERAL (
    SELECT count(*)::int AS lines, sum(quantity)::int AS units, sum(received)::int AS received,
           sum(expected)::int AS expected, min(eta) FILTER (WHERE expected > 0) AS next_eta
    FROM inbound_line WHERE order_id = o.id
) l
ORDER BY o.number DESC
"""
_ORDER_BEFORE = """
      AND o.number < %(before)s::bigint"""
# Said so that the partial index on open orders can be used.
_ORDER_OPEN = """
      AND o.state IN ('open', 'partial')"""
_ORDER_STATES = """
      AND o.state = ANY (%(states)s::text[])"""
_ORDER_KIND = """
      AND o.kind = %(kind)s::text"""
_ORDER_SCOPE = """
      AND o.location_id = ANY (%(scope)s::int[])"""
_ORDER_LOCATION = """
      AND o.location_id = %(location)s::int"""
_ORDER_OWNED = """
      AND o.location_id = ANY (%(owned)s::int[])"""
# A day of open orders is that of lines still to come; of others also that of what came.
_COMING = """
      AND o.id IN (SELECT order_id FROM inbound_line
                   WHERE expected > 0 AND eta BETWEEN %(since)s::date AND %(until)s::date)"""
_CAME_OR_COMING = """
      AND o.id IN (SELECT order_id FROM inbound_line WHERE eta BETWEEN %(since)s::date AND %(until)s::date)"""
_ORDER_SKU: LiteralString = f"""
      AND o.id = ANY (ARRAY(SELECT order_id FROM inbound_line WHERE sku_id = ANY (ARRAY({searching.SKUS_NAMED}))))"""
# Each of them by an index: numbers, trigrams of the folded supplier and of the reference, lines of SKUs. What many
# orders have is found sooner from the newest on; which of the two it is, the planner knows from the statistics.
_ORDER_FOUND: LiteralString = f"""
      AND (o.number = %(order_number)s::bigint OR {searching.folded("o.supplier")} LIKE %(name)s::text
           OR o.reference ILIKE %(text)s::text
           OR o.id = ANY (ARRAY(
               SELECT order_id FROM inbound_line WHERE sku_id = ANY (ARRAY({searching.SKUS_IN_TEXT})))))"""
ORDER = """
SELECT o.id, o.number, o.kind, o.supplier, o.reference, o.location_id, p.code AS location, p.name AS location_name,
       o.state, o.over_percent, o.note, o.seq, o.created_at, o.created_by
FROM inbound_order o JOIN location p ON p.id = o.location_id
WHERE o.number = %(number)s::bigint
"""
ORDER_LINES = """
SELECT l.line, l.sku_id, v.sku, v.name, v.gtin, l.quantity, l.received, l.dropped, l.drop_reason, l.expected, l.eta,
       l.unit_cost,
       coalesce((SELECT json_agg(json_build_object('was', e.was, 'became', e.became, 'reason', e.reason, 'at', e.at,
                                                   'actor', e.actor) ORDER BY e.id)
                 FROM inbound_eta e WHERE e.order_id = l.order_id AND e.line = l.line), '[]'::json) AS moves
FROM inbound_line l JOIN variant v ON v.id = l.sku_id
WHERE l.order_id = %(order_id)s::uuid ORDER BY l.line
"""
# The list is put together from what is asked: first which receipts, the newest first by the unique index on number or
# by the index of what narrows them, then what their lines sum up to, of those alone.
_RECEIPTS = """
SELECT r.number, r.location_id, p.code AS location, p.name AS location_name, e.code AS owner, e.name AS owner_name,
       o.number AS order_number, t.number AS transfer_number, r.document, r.note, r.received_at, r.received_by,
       r.undone_at, r.undo_reason, l.lines, l.units, l.unsellable, l.shipments
FROM (
    SELECT r.* FROM receipt r
    WHERE true"""
_ROWS = """
    ORDER BY r.number DESC LIMIT %(limit)s::int
) r
JOIN location p ON p.id = r.location_id
JOIN establishment e ON e.id = coalesce(p.owner_id, p.establishment_id)
LEFT JOIN inbound_order o ON o.id = r.order_id
LEFT JOIN transfer t ON t.id = r.transfer_id
CROSS JOIN LATERAL (
    SELECT count(*)::int AS lines, coalesce(sum(quantity), 0)::int AS units,
           coalesce(sum(quantity) FILTER (WHERE bucket <> 'sellable'), 0)::int AS unsellable,
           coalesce(array_agg(DISTINCT shipment ORDER BY shipment) FILTER (WHERE shipment IS NOT NULL),
                    (SELECT array_agg(s.number) FROM transfer_shipment s WHERE s.transfer_id = r.transfer_id
                     HAVING count(*) = 1),  -- what was received before lines said it, of the only one there is
                    '{}')::int[] AS shipments
    FROM receipt_line WHERE receipt_id = r.id
) l
ORDER BY r.number DESC
"""
_BEFORE = """
      AND r.number < %(before)s::bigint"""
_NUMBER = """
      AND r.number = %(number)s::bigint"""
_ORDER = """
      AND r.order_id = %(order_id)s::uuid"""
_SCOPE = """
      AND r.location_id = ANY (%(scope)s::int[])"""
_LOCATION = """
      AND r.location_id = %(location)s::int"""
# Locations that keep an owner's goods.
_OWNED = """
      AND r.location_id = ANY (%(owned)s::int[])"""
_SINCE = """
      AND r.received_at >= %(since)s::timestamptz"""
_UNTIL = """
      AND r.received_at < %(until)s::timestamptz"""
# By unique indexes on numbers, the partial ones on what receipts are of, the trigrams of documents, and a SKU's lines.
_FOUND: LiteralString = f"""
      AND r.number = ANY (ARRAY(
          SELECT number FROM receipt WHERE number = %(receipt_number)s::bigint
          UNION
          SELECT x.number FROM inbound_order o JOIN receipt x ON x.order_id = o.id
          WHERE o.number = %(order_number)s::bigint
          UNION
          SELECT x.number FROM transfer t JOIN receipt x ON x.transfer_id = t.id
          WHERE t.number = %(transfer_number)s::bigint
          UNION
          SELECT number FROM receipt WHERE document ILIKE %(document)s::text
          UNION
          SELECT x.number FROM receipt_line l JOIN receipt x ON x.id = l.receipt_id
          WHERE l.sku_id = ANY (ARRAY({searching.SKUS_BY_CODE}))
      ))"""
RECEIPT_LINES = """
SELECT l.position, l.sku_id, v.sku, v.name, v.gtin, l.order_line, l.bucket, l.quantity, l.shipment
FROM receipt_line l JOIN receipt r ON r.id = l.receipt_id JOIN variant v ON v.id = l.sku_id
WHERE r.number = %(number)s::bigint ORDER BY l.position
"""


class Incoming(msgspec.Struct, frozen=True):
    """Units of a SKU that are to come to a location on a day (None: nobody said when), and from where."""

    sku_id: int
    location_id: int
    day: date | None
    quantity: int
    source: str  # purchase, production, transfer
    number: int
    supplier: str


class OrderRow(msgspec.Struct, frozen=True):
    """A purchase or production order in a list."""

    number: int
    kind: InboundKind
    supplier: str
    reference: str | None
    location_id: int
    location: str
    location_name: str
    owner: str  # whose goods the location keeps, by establishment
    owner_name: str
    state: InboundState
    created_at: datetime
    lines: int
    units: int
    received: int
    expected: int
    next_eta: date | None


class OrderHead(msgspec.Struct, frozen=True):
    """A purchase or production order."""

    id: UUID
    number: int
    kind: InboundKind
    supplier: str
    reference: str | None
    location_id: int
    location: str
    location_name: str
    state: InboundState
    over_percent: int
    note: str
    seq: int
    created_at: datetime
    created_by: str


class EtaMove(msgspec.Struct, frozen=True):
    """An expected date that was moved."""

    was: date
    became: date
    reason: str
    at: datetime
    actor: str


class OrderLine(msgspec.Struct, frozen=True):
    """A line with what came of it and every move of its date."""

    line: int
    sku_id: int
    sku: str
    name: str
    gtin: str | None
    quantity: int
    received: int
    dropped: int
    drop_reason: str | None
    expected: int
    eta: date
    unit_cost: int | None
    moves: list[EtaMove]


class ReceiptRow(msgspec.Struct, frozen=True):
    """A receipt in a list."""

    number: int
    location_id: int
    location: str
    location_name: str
    owner: str  # whose goods the location keeps, by establishment
    owner_name: str
    order_number: int | None
    transfer_number: int | None
    document: str | None
    note: str
    received_at: datetime
    received_by: str
    undone_at: datetime | None
    undo_reason: str | None
    lines: int
    units: int
    unsellable: int
    shipments: list[int]  # of its transfer, by number; none where it is not known of which what came was


class ReceiptLineRow(msgspec.Struct, frozen=True):
    """What arrived."""

    position: int
    sku_id: int
    sku: str
    name: str
    gtin: str | None
    order_line: int | None
    bucket: Bucket
    quantity: int
    shipment: int | None  # of its transfer


class OrdersWanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which orders are wanted; `late` is the day before which something should have come.

    `text` is a number as it is shown, part of a supplier's name in any accents and case, of a reference or of a
    SKU, or a barcode; `sku` is of goods alone. `since` and `until`, both included, are the days on which lines are
    expected: of open orders those that are still to come. `owned` are the locations that keep an owner's goods.
    """

    open: bool = False
    states: tuple[InboundState, ...] | None = None
    late: date | None = None
    kind: InboundKind | None = None
    text: str = ""
    sku: str = ""
    location_id: int | None = None
    since: date | None = None
    until: date | None = None
    owned: tuple[int, ...] | None = None
    scope: tuple[int, ...] | None = None


async def incoming(tx: Tx, sku_ids: Sequence[int], location_ids: Sequence[int] | None = None) -> list[Incoming]:
    """Return what is to come of SKUs, at some or all locations, the earliest day first."""
    locations = None if location_ids is None else list(location_ids)
    return await tx.all(Incoming, INCOMING, {"skus": list(sku_ids), "locations": locations})


async def orders(tx: Tx, wanted: OrdersWanted, *, before: int | None = None, limit: int = 50) -> list[OrderRow]:
    """Return orders, the newest first."""
    statement, params = _orders_asked(wanted, before)
    return await tx.all(OrderRow, statement, {**params, "limit": limit})


def _orders_asked(wanted: OrdersWanted, before: int | None) -> tuple[sql.Composed, dict[str, Any]]:
    """Return the statement of a list of orders, and its parameters."""
    text, sku = wanted.text.strip(), wanted.sku.strip()
    still = wanted.open or wanted.late is not None
    last = wanted.until or date.max
    params: dict[str, Any] = {
        "before": before,
        "states": [state.value for state in wanted.states or ()],
        "kind": wanted.kind.value if wanted.kind else None,
        "scope": None if wanted.scope is None else list(wanted.scope),
        "location": wanted.location_id,
        "owned": None if wanted.owned is None else list(wanted.owned),
        "since": wanted.since or date.min,
        "until": last if wanted.late is None else min(last, wanted.late - timedelta(days=1)),
        "order_number": searching.number_in(text, "P", bare=True),
        "text": searching.part(text),
        "name": searching.part(fold(text)),
        **searching.sku_in(sku),
        **{f"text_{name}": value for name, value in searching.sku_in(text).items()},
    }
    dated = wanted.since is not None or wanted.until is not None or wanted.late is not None
    said: list[tuple[bool, LiteralString]] = [
        (before is not None, _ORDER_BEFORE),
        (still, _ORDER_OPEN),
        (wanted.states is not None, _ORDER_STATES),
        (wanted.kind is not None, _ORDER_KIND),
        (wanted.scope is not None, _ORDER_SCOPE),
        (wanted.location_id is not None, _ORDER_LOCATION),
        (wanted.owned is not None, _ORDER_OWNED),
        (dated, _COMING if still else _CAME_OR_COMING),
        (bool(sku), _ORDER_SKU),
        (bool(text), _ORDER_FOUND),
    ]
    parts = (part for asked, part in said if asked)
    return sql.Composed([sql.SQL(part) for part in (_ORDERS, *parts, _ORDER_ROWS)]), params


async def order(tx: Tx, number: int) -> OrderHead | None:
    """Return one order."""
    return await tx.maybe(OrderHead, ORDER, {"number": number})


async def order_lines(tx: Tx, order_id: UUID) -> list[OrderLine]:
    """Return the lines of an order."""
    rows = await tx.tuples(ORDER_LINES, {"order_id": order_id})
    return [OrderLine(*(*row[:-1], msgspec.convert(row[-1], list[EtaMove]))) for row in rows]


class CameWith(StrEnum):
    """What receipts are of."""

    ORDER = "order"
    TRANSFER = "transfer"
    NONE = "none"
    UNDONE = "undone"  # whatever they were of: they were taken back


_CAME_WITH: dict[CameWith, LiteralString] = {
    CameWith.ORDER: """
      AND r.order_id IS NOT NULL""",
    CameWith.TRANSFER: """
      AND r.transfer_id IS NOT NULL""",
    CameWith.NONE: """
      AND r.order_id IS NULL AND r.transfer_id IS NULL""",
    CameWith.UNDONE: """
      AND r.undone_at IS NOT NULL""",
}


class ReceiptsWanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which receipts are wanted.

    `text` is a number as it is shown (of the receipt, or of its order or transfer), part of a document, a SKU or its
    barcode; `since` and `until`, which is exclusive, are about when goods came; `owned` are the locations that keep an
    owner's goods.
    """

    text: str = ""
    number: int | None = None
    order_id: UUID | None = None
    location_id: int | None = None
    came_with: CameWith | None = None
    since: datetime | None = None
    until: datetime | None = None
    owned: tuple[int, ...] | None = None
    scope: tuple[int, ...] | None = None


def _asked(wanted: ReceiptsWanted, before: int | None) -> tuple[sql.Composed, dict[str, Any]]:
    """Return the statement of a list, and its parameters."""
    text = wanted.text.strip()
    params: dict[str, Any] = {
        "before": before,
        "number": wanted.number,
        "order_id": wanted.order_id,
        "scope": None if wanted.scope is None else list(wanted.scope),
        "location": wanted.location_id,
        "since": wanted.since,
        "until": wanted.until,
        "owned": None if wanted.owned is None else list(wanted.owned),
        "receipt_number": searching.number_in(text, "R", bare=True),
        "order_number": searching.number_in(text, "P"),
        "transfer_number": searching.number_in(text, "T"),
        **searching.asked(text),
    }
    said: list[tuple[object, LiteralString]] = [
        (before, _BEFORE),
        (wanted.number, _NUMBER),
        (wanted.order_id, _ORDER),
        (wanted.scope, _SCOPE),
        (wanted.location_id, _LOCATION),
        (wanted.since, _SINCE),
        (wanted.until, _UNTIL),
        (wanted.owned, _OWNED),
    ]
    parts = [part for value, part in said if value is not None]
    if wanted.came_with is not None:
        parts.append(_CAME_WITH[wanted.came_with])
    if text:
        parts.append(_FOUND)
    return sql.Composed([sql.SQL(part) for part in (_RECEIPTS, *parts, _ROWS)]), params


async def receipts(tx: Tx, wanted: ReceiptsWanted, *, before: int | None = None, limit: int = 50) -> list[ReceiptRow]:
    """Return receipts, the newest first."""
    statement, params = _asked(wanted, before)
    return await tx.all(ReceiptRow, statement, {**params, "limit": limit})


async def receipt_lines(tx: Tx, number: int) -> list[ReceiptLineRow]:
    """Return what a receipt brought."""
    return await tx.all(ReceiptLineRow, RECEIPT_LINES, {"number": number})
