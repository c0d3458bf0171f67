"""What the shopper's pages ask: one statement for an order with all that belongs to it, one to check who asks."""

from datetime import date, datetime
from typing import Any

import msgspec

from malha.platform.db import Tx
from malha.platform.ids import UUID
from malha.platform.text import whole_in


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """What was bought on one line."""

    line: int
    name: str
    quantity: int
    total: int


class Unit(msgspec.Struct, frozen=True, kw_only=True):
    """A group of equal units."""

    line: int
    quantity: int
    state: str
    fulfillment_id: UUID | None
    shipment_id: UUID | None
    document_id: UUID | None


class Hold(msgspec.Struct, frozen=True, kw_only=True):
    """An open hold, and who placed it."""

    kind: str
    placed_by: str
    placed_at: datetime
    asked_at: datetime | None = None  # since when a wish to cancel waits under it


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where goods leave or wait. Closures are those of the next two weeks."""

    id: int
    name: str
    kind: str
    timezone: str
    address: dict[str, str] = {}
    opening_hours: dict[str, list[tuple[str, str]]] = {}
    holiday_calendar: str = "-"
    closures: dict[date, str] = {}


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One location's work for the order."""

    id: UUID
    method: str
    state: str
    location_id: int
    packed_at: datetime | None
    closed_at: datetime | None
    pickup_code: str | None
    pickup_until: datetime | None
    pickup_misses: int


class Parcel(msgspec.Struct, frozen=True, kw_only=True):
    """A parcel."""

    id: UUID
    fulfillment_id: UUID
    carrier: str | None
    tracking_code: str | None
    tracking_url: str | None
    shipped_at: datetime | None
    delivered_at: datetime | None
    received_by: str | None


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A fiscal document that stands."""

    model: str
    series: int
    number: int
    access_key: str
    issued_at: datetime
    issuer: str


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened, of what a shopper is told."""

    at: datetime
    type: str
    actor: str
    facts: dict[str, Any]


class Tracked(msgspec.Struct, frozen=True, kw_only=True):
    """An order as its shopper may know it, before it is put into words."""

    id: UUID
    number: int
    external_id: str
    channel: str
    channel_kind: str
    placed_at: datetime
    currency: str
    items_total: int
    discount_total: int
    shipping_total: int
    total: int
    cancelled_total: int
    method: str
    carrier: str | None
    pickup_location_id: int | None
    buyer_name: str
    buyer_email: str | None
    buyer_phone: str | None
    ship_to: dict[str, str] | None
    promised_at: datetime | None
    days: dict[str, datetime]  # by line, where they are promised for several
    lines: list[Line]
    units: list[Unit]
    holds: list[Hold]
    jobs: list[Job]
    parcels: list[Parcel]
    places: list[Place]
    documents: list[Document]
    events: list[Event]
    tenders: list[str]
    refunded: int = 0
    refund_due: int = 0  # is to be given back yet


class Candidate(msgspec.Struct, frozen=True):
    """An order somebody may mean, and the e-mail it was placed with."""

    id: UUID
    email: str | None


# What the timeline says to a shopper; the rest is the retailer's own business.
TOLD = (
    "order.placed",
    "order.cancelled",
    "order.address_changed",
    "order.hold_placed",
    "payment.captured",
    "payment.refunded",
    "fulfillment.packed",
    "fulfillment.shipped",
    "fulfillment.ready",
    "fulfillment.collected",
    "fiscal.document_recorded",
    "shipment.out_for_delivery",
    "shipment.delivered",
)

# One round trip: the order by its primary key, everything else by (a prefix of) a key on order_id; a few rows each. Of
# somebody whose data were erased there is nothing to show: the link is as good as none.
TRACKED = """
SELECT o.id, o.number, o.external_id, c.name AS channel, c.kind AS channel_kind, o.placed_at, o.currency,
       o.items_total, o.discount_total, o.shipping_total, o.total, o.cancelled_total, o.method, s.carrier,
       o.pickup_location_id, o.buyer_name, o.buyer_email, o.buyer_phone, o.ship_to, o.promised_at,
       (SELECT coalesce(jsonb_object_agg(d.line, d.promised_at), '{}') FROM order_line_promise d
        WHERE d.order_id = o.id) AS days,
       coalesce(paid.refunded, 0) AS refunded, coalesce(paid.refund_due, 0) AS refund_due,
       ARRAY(
           SELECT jsonb_build_object('line', l.line, 'name', coalesce(nullif(l.name, ''), v.name, l.sku_text),
                                     'quantity', l.quantity, 'total', l.total)
           FROM order_line l LEFT JOIN variant v ON v.id = l.sku_id WHERE l.order_id = o.id ORDER BY l.line
       ) AS lines,
       ARRAY(
           SELECT jsonb_build_object('line', u.line, 'quantity', u.quantity, 'state', u.state, 'fulfillment_id',
                                     u.fulfillment_id, 'shipment_id', u.shipment_id, 'document_id', u.document_id)
           FROM order_unit u WHERE u.order_id = o.id ORDER BY u.line, u.part
       ) AS units,
       ARRAY(
           SELECT jsonb_build_object('kind', h.kind, 'placed_by', h.placed_by, 'placed_at', h.placed_at,
                                     'asked_at', h.detail ->> 'asked_at')
           FROM order_hold h WHERE h.order_id = o.id AND h.resolved_at IS NULL ORDER BY h.placed_at
       ) AS holds,
       ARRAY(
           SELECT jsonb_build_object(
               'id', f.id, 'method', f.method, 'state', f.state, 'location_id', f.location_id,
               'packed_at', f.packed_at, 'closed_at', f.closed_at, 'pickup_code', f.pickup_code,
               'pickup_until', f.pickup_until, 'pickup_misses', f.pickup_misses)
           FROM fulfillment_order f
           WHERE f.order_id = o.id AND f.state NOT IN ('rejected', 'cancelled') ORDER BY f.number
       ) AS jobs,
       ARRAY(
           SELECT jsonb_build_object(
               'id', p.id, 'fulfillment_id', p.fulfillment_id, 'carrier', p.carrier, 'tracking_code', p.tracking_code,
               'tracking_url', p.tracking_url, 'shipped_at', p.shipped_at, 'delivered_at', p.delivered_at,
               'received_by', p.received_by)
           FROM shipment p WHERE p.order_id = o.id ORDER BY p.shipped_at NULLS LAST, p.id
       ) AS parcels,
       ARRAY(
           SELECT jsonb_build_object(
               'id', n.id, 'name', n.name, 'kind', n.kind, 'timezone', n.timezone, 'address', n.address,
               'opening_hours', n.opening_hours, 'holiday_calendar', n.holiday_calendar, 'closures', coalesce((
                   SELECT jsonb_object_agg(x.day, x.reason) FROM location_closure x
                   WHERE x.location_id = n.id
                     AND x.day - (now() AT TIME ZONE n.timezone)::date BETWEEN 0 AND 14), '{}'::jsonb))
           FROM location n
           WHERE n.id = o.pickup_location_id
              OR n.id IN (SELECT f.location_id FROM fulfillment_order f WHERE f.order_id = o.id)
       ) AS places,
       ARRAY(
           SELECT jsonb_build_object('model', d.model, 'series', d.series, 'number', d.number, 'access_key',
                                     d.access_key, 'issued_at', d.issued_at, 'issuer', e.name)
           FROM fiscal_document d JOIN establishment e ON e.id = d.establishment_id
           WHERE d.state = 'authorised'
             AND d.id IN (SELECT x.document_id FROM fiscal_line x WHERE x.order_id = o.id)
           ORDER BY d.issued_at, d.id
       ) AS documents,
       ARRAY(
           SELECT jsonb_build_object('at', t.at, 'type', t.type, 'actor', t.actor, 'facts', t.facts)
           FROM order_timeline t WHERE t.order_id = o.id AND t.type = ANY(%(told)s::text[]) ORDER BY t.seq DESC
       ) AS events,
       ARRAY(SELECT t.kind FROM tender t WHERE t.order_id = o.id ORDER BY t.position) AS tenders
FROM sales_order o
JOIN channel c ON c.id = o.channel_id
LEFT JOIN service s ON s.id = o.service_id
LEFT JOIN order_payment paid ON paid.order_id = o.id
WHERE o.id = %(id)s::uuid
  AND NOT EXISTS (SELECT FROM order_customer k JOIN customer p ON p.id = k.customer_id
                  WHERE k.order_id = o.id AND p.erased_at IS NOT NULL)
"""
# By the unique number, and by the channel's own id: one look-up for each channel.
CANDIDATES = """
SELECT o.id, o.buyer_email AS email FROM sales_order o WHERE o.number = %(number)s::bigint
UNION
SELECT o.id, o.buyer_email FROM channel c
JOIN sales_order o ON o.channel_id = c.id AND o.external_id = %(text)s::text
"""


async def tracked(tx: Tx, order_id: UUID) -> Tracked | None:
    """Return an order as its shopper may know it, or None."""
    row = await tx.maybe(dict, TRACKED, {"id": order_id, "told": list(TOLD)})
    return None if row is None else msgspec.convert(row, Tracked)


async def candidates(tx: Tx, text: str) -> list[Candidate]:
    """Return the orders that somebody may mean by a number: ours, or the one the channel gave."""
    number = whole_in(text, 18)
    return await tx.all(Candidate, CANDIDATES, {"number": number, "text": text})
