"""Partners who fulfil for us: what they were asked, what they answered, and the files of both sides."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Any

import msgspec

from malha.channels.contract import ExtAddress
from malha.platform.db import Tx
from malha.platform.ids import UUID

# Small tables.
LOCATIONS = """
SELECT p.location_id, l.code, l.name, p.theirs FROM partner_location p JOIN location l ON l.id = p.location_id
WHERE p.connection_id = %(connection_id)s::int ORDER BY l.code
"""
TAKEN = """
SELECT l.code, c.code FROM partner_location p JOIN location l ON l.id = p.location_id
JOIN connection c ON c.id = p.connection_id
WHERE p.location_id = ANY (%(locations)s::int[]) AND p.connection_id <> %(connection_id)s::int
"""
HOST_KEY = """
SELECT server, public_key, fingerprint, trusted_at, trusted_by FROM partner_host_key
WHERE connection_id = %(connection_id)s::int
"""
# Work of orders at partners' locations, with what of it was asked for before; by the index on orders. What is brought
# to a place of ours is sent by people: partners are asked to ship, and to hand over.
WORK = """
SELECT f.id, f.number, f.order_id, f.location_id, f.method, f.state, f.due_at, p.connection_id, p.theirs,
       o.number AS order_number, coalesce(s.code, '') AS service, coalesce(s.carrier, '') AS carrier,
       o.buyer_name, o.buyer_document, o.buyer_email, o.buyer_phone, o.ship_to, r.root
FROM fulfillment_order f
JOIN partner_location p ON p.location_id = f.location_id
JOIN sales_order o ON o.id = f.order_id
LEFT JOIN service s ON s.id = f.service_id
LEFT JOIN partner_request r ON r.fulfillment_id = f.id
WHERE f.order_id = ANY (%(orders)s::uuid[]) AND f.method <> 'transfer' ORDER BY f.number
"""
# Requests of orders, wherever the location belongs by now.
ASKED = """
SELECT r.fulfillment_id, r.root, r.connection_id, r.order_id, r.name, r.state, f.state AS work_state,
       coalesce(p.theirs, l.code) AS theirs, o.number AS order_number
FROM partner_request r
JOIN fulfillment_order f ON f.id = r.fulfillment_id
JOIN location l ON l.id = r.location_id
JOIN sales_order o ON o.id = r.order_id
LEFT JOIN partner_location p ON p.location_id = r.location_id
WHERE r.order_id = ANY (%(orders)s::uuid[]) ORDER BY r.fulfillment_id
"""
ASKED_LINES = """
SELECT l.fulfillment_id, l.line, l.sku_id, l.asked - l.cancelled - l.short AS wanted, l.cancelled
FROM partner_request_line l WHERE l.fulfillment_id = ANY (%(ids)s::uuid[])
"""
GOODS = """
SELECT id, sku, coalesce(gtin, ''), coalesce(name, '') FROM variant WHERE id = ANY (%(skus)s::int[])
"""
SKU_IDS = "SELECT sku, id FROM variant WHERE sku = ANY (%(skus)s::text[])"
OPEN_ORDERS_AT = """
SELECT DISTINCT order_id FROM fulfillment_order
WHERE location_id = ANY (%(locations)s::int[]) AND state NOT IN ('closed', 'rejected', 'cancelled')
"""
# The work behind a name: what was asked for, and the parts of it that went ahead.
NAMED = """
SELECT r.fulfillment_id, r.root, r.order_id, r.location_id, r.state, r.told, f.state AS work_state
FROM partner_request r JOIN fulfillment_order f ON f.id = r.fulfillment_id
WHERE r.connection_id = %(connection_id)s::int AND r.name = %(name)s::text
ORDER BY r.fulfillment_id <> r.root, r.fulfillment_id
"""
KNOWN_NAMES = """
SELECT DISTINCT name FROM partner_request
WHERE connection_id = %(connection_id)s::int AND name = ANY (%(names)s::text[])
"""
KNOWN_NOTICES = """
SELECT name, kind, number, location_id FROM partner_notice
WHERE connection_id = %(connection_id)s::int AND name = ANY (%(names)s::text[])
"""
PURCHASE_ID = "SELECT id FROM inbound_order WHERE number = %(number)s::bigint"
PURCHASES = """
SELECT o.id, o.number, o.location_id, o.supplier AS sender, coalesce(o.reference, '') AS document, o.state,
       p.connection_id, p.theirs
FROM inbound_order o JOIN partner_location p ON p.location_id = o.location_id WHERE o.id = ANY (%(ids)s::uuid[])
"""
# What was received stays in it: a partner is told again when more or less is to come, not when it came.
PURCHASE_LINES = """
SELECT order_id AS id, line, sku_id, quantity - dropped AS quantity, eta FROM inbound_line
WHERE order_id = ANY (%(ids)s::uuid[]) AND quantity > dropped ORDER BY order_id, line
"""
# Not what only changes its owner: nothing arrives there.
TRANSFERS = """
SELECT t.id, t.number, t.destination_id AS location_id, l.name AS sender, coalesce(t.document, '') AS document, t.state,
       p.connection_id, p.theirs
FROM transfer t JOIN partner_location p ON p.location_id = t.destination_id JOIN location l ON l.id = t.origin_id
     JOIN location d ON d.id = t.destination_id
WHERE t.id = ANY (%(ids)s::uuid[]) AND t.state <> 'requested'
  AND coalesce(l.site_id, l.id) <> coalesce(d.site_id, d.id)
"""
# What left and what is to leave, on the first day on which some of it comes that has not.
TRANSFER_LINES = """
SELECT l.transfer_id AS id, l.line, l.sku_id, l.shipped + w.to_ship AS quantity,
       coalesce((SELECT least(CASE WHEN w.to_ship > 0 THEN t.eta END, min(s.eta))
                 FROM transfer_shipment s JOIN transfer_shipment_line x ON x.shipment_id = s.id
                 WHERE s.transfer_id = t.id AND x.line = l.line AND x.coming > 0), t.eta) AS eta
FROM transfer_line l JOIN transfer t ON t.id = l.transfer_id
CROSS JOIN LATERAL (
    SELECT CASE WHEN t.state IN ('approved', 'partly_shipped')
                THEN greatest(l.approved - l.shipped - l.dropped, 0) ELSE 0 END AS to_ship
) w
WHERE l.transfer_id = ANY (%(ids)s::uuid[]) AND t.state <> 'cancelled' AND l.shipped + w.to_ship > 0
ORDER BY l.transfer_id, l.line
"""
INCOMING_AT = """
SELECT 'purchase', id FROM inbound_order
WHERE location_id = ANY (%(locations)s::int[]) AND state IN ('open', 'partial')
UNION ALL
SELECT 'transfer', id FROM transfer
WHERE destination_id = ANY (%(locations)s::int[]) AND state IN ('approved', 'partly_shipped', 'shipped')
"""
FILE_BY_FINGERPRINT = """
SELECT id, number, state FROM partner_file
WHERE connection_id = %(connection_id)s::int AND way = 'in' AND fingerprint = %(fingerprint)s::bytea
"""
# What was sent under a name, the newest first: what is still kept of it.
SENT = """
SELECT DISTINCT ON (o.entity) o.entity, o.payload, max(o.version) OVER (PARTITION BY o.entity)
FROM channel_op o
WHERE o.connection_id = %(connection_id)s::int AND o.kind = 'ask'
  AND o.key IN (SELECT op_key FROM partner_request
                WHERE connection_id = %(connection_id)s::int AND name = ANY (%(names)s::text[])
                UNION SELECT op_key FROM partner_notice
                WHERE connection_id = %(connection_id)s::int AND name = ANY (%(names)s::text[]))
  AND o.state <> 'waiting'
ORDER BY o.entity, o.number DESC
"""
FILE_SAYS = "SELECT says FROM partner_file WHERE id = %(id)s::uuid"
# Files that are not at their end, by the partial index; those of stock when nothing else waits. What is known to have
# left, and waits for its document, is reckoned with: it may wait for days, and holds up no stock.
OPEN_FILES = """
SELECT f.id, f.number, f.kind, f.name, f.state, f.stated, f.bytes, f.listed,
       EXISTS (SELECT FROM partner_answer a JOIN channel_inbox i
               ON i.connection_id = f.connection_id AND i.dedup = a.dedup
               WHERE a.file_id = f.id AND i.state = 'waiting') AS waits,
       EXISTS (SELECT FROM partner_answer a JOIN channel_inbox i
               ON i.connection_id = f.connection_id AND i.dedup = a.dedup
               WHERE a.file_id = f.id AND i.state = 'waiting'
                 AND NOT EXISTS (SELECT FROM partner_request r
                                 WHERE r.connection_id = f.connection_id AND 'partner:' || r.name = i.entity
                                   AND r.left_at IS NOT NULL AND r.ended_at IS NULL)) AS holds_stock
FROM partner_file f WHERE f.connection_id = %(connection_id)s::int AND f.state IN ('taken', 'applied') ORDER BY f.number
"""
# One at a time: a file may be large.
CONTENT = "SELECT content FROM partner_file WHERE id = %(id)s::uuid"
# What a partner said and is not handled yet, by the partial index on what waits.
SAID_WAITS = """
SELECT EXISTS (SELECT FROM channel_inbox WHERE connection_id = %(connection_id)s::int AND state = 'waiting'
               AND entity LIKE 'partner:%%' AND received_at > now() - interval '15 minutes')
"""
# Products that a connection told of just now and that are being made, by the index on what is to be made.
MAKING = """
SELECT EXISTS (SELECT FROM channel_variant WHERE connection_id = %(connection_id)s::int AND to_make AND sku_id IS NULL
               AND seen_at > now() - interval '15 minutes')
"""
# Rows of a file that say what waits for a person.
PARKED_ROWS = """
SELECT a.rows, coalesce(i.error, '') FROM partner_answer a
JOIN partner_file f ON f.id = a.file_id
JOIN channel_inbox i ON i.connection_id = f.connection_id AND i.dedup = a.dedup
WHERE a.file_id = %(file_id)s::uuid AND i.state IN ('parked', 'unmapped', 'dropped')
"""
FLAWS = """
SELECT row, problem, field, value FROM partner_flaw WHERE file_id = %(file_id)s::uuid ORDER BY row LIMIT %(most)s::int
"""
# What left a partner by a moment and was recorded after it: in our books it lay there still. By the index on both.
LEFT_EARLIER = """
SELECT u.sku_id, r.location_id, sum(u.quantity)::int
FROM partner_request r JOIN order_unit u ON u.fulfillment_id = r.fulfillment_id
WHERE r.location_id = ANY (%(locations)s::int[]) AND r.left_at <= %(at)s::timestamptz
  AND u.sku_id IS NOT NULL
  AND CASE WHEN r.ended_at IS NULL THEN u.state IN ('awaiting_document', 'packed', 'invoiced')
           ELSE r.ended_at > %(at)s::timestamptz AND r.outcome = 'shipped'
                AND u.state IN ('shipped', 'delivered', 'collected') END
GROUP BY u.sku_id, r.location_id
"""


class PartnerLocation(msgspec.Struct, frozen=True):
    """A location that a partner fulfils, and what the partner calls it."""

    location_id: int
    code: str
    name: str
    theirs: str


class TrustedKey(msgspec.Struct, frozen=True):
    """The key of a file server that a person trusted."""

    server: str
    public_key: str
    fingerprint: str
    trusted_at: datetime
    trusted_by: str


class WorkThere(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of work at a partner's location."""

    id: UUID
    number: int
    order_id: UUID
    location_id: int
    method: str
    state: str
    due_at: datetime
    connection_id: int
    theirs: str
    order_number: int
    service: str
    carrier: str
    buyer_name: str
    buyer_document: str | None
    buyer_email: str | None
    buyer_phone: str | None
    ship_to: dict[str, Any] | None
    root: UUID | None

    def address(self) -> ExtAddress | None:
        """Return where it goes, in the words of the contract."""
        if self.ship_to is None:
            return None
        fields = {name: str(self.ship_to.get(name) or "") for name in ExtAddress.__struct_fields__}
        return ExtAddress(**fields)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request, or a part of one that went ahead."""

    fulfillment_id: UUID
    root: UUID
    connection_id: int
    order_id: UUID
    name: str
    state: str
    work_state: str
    theirs: str
    order_number: int


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """Work behind a name."""

    fulfillment_id: UUID
    root: UUID
    order_id: UUID
    location_id: int
    state: str
    told: str | None
    work_state: str


class Coming(msgspec.Struct, frozen=True):
    """Goods that come to a partner's location."""

    id: UUID
    number: int
    location_id: int
    sender: str
    document: str
    state: str
    connection_id: int
    theirs: str


class ComingLine(msgspec.Struct, frozen=True):
    """A line of what comes."""

    id: UUID
    line: int
    sku_id: int
    quantity: int
    eta: date | None


class OpenFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is not at its end."""

    id: UUID
    number: int
    kind: str
    name: str
    state: str
    stated: dict[str, Any] | None
    bytes: int
    listed: int  # how much of what it lists is kept
    waits: bool
    holds_stock: bool


class FlawRow(msgspec.Struct, frozen=True):
    """Why a row cannot be used."""

    row: int
    problem: str
    field: str
    value: str


async def locations(tx: Tx, connection_id: int) -> list[PartnerLocation]:
    """Return the locations that a partner fulfils."""
    return await tx.all(PartnerLocation, LOCATIONS, {"connection_id": connection_id})


async def host_key(tx: Tx, connection_id: int) -> TrustedKey | None:
    """Return the key of a file server that was trusted."""
    return await tx.maybe(TrustedKey, HOST_KEY, {"connection_id": connection_id})


async def work(tx: Tx, orders: Iterable[UUID]) -> list[WorkThere]:
    """Return the work of orders at partners' locations."""
    return await tx.all(WorkThere, WORK, {"orders": sorted(orders)})


async def asked(tx: Tx, orders: Iterable[UUID]) -> list[Asked]:
    """Return what partners were asked for orders."""
    return await tx.all(Asked, ASKED, {"orders": sorted(orders)})


async def named(tx: Tx, connection_id: int, name: str) -> list[Named]:
    """Return the work behind a name: first what was asked for, then the parts that went ahead."""
    return await tx.all(Named, NAMED, {"connection_id": connection_id, "name": name})


async def goods(tx: Tx, sku_ids: Iterable[int]) -> dict[int, tuple[str, str, str]]:
    """Return SKU, GTIN and name of SKUs by id."""
    return {id_: (sku, gtin, name) for id_, sku, gtin, name in await tx.tuples(GOODS, {"skus": sorted(set(sku_ids))})}


async def sku_ids(tx: Tx, skus: Iterable[str]) -> dict[str, int]:
    """Return the ids of SKUs; unknown ones are absent."""
    return dict(await tx.tuples(SKU_IDS, {"skus": sorted(set(skus))}))


async def open_files(tx: Tx, connection_id: int) -> list[OpenFile]:
    """Return the files of a connection that are not at their end, in their order."""
    return await tx.all(OpenFile, OPEN_FILES, {"connection_id": connection_id})


async def flaws(tx: Tx, file_id: UUID, most: int = 1_000) -> list[FlawRow]:
    """Return the rows of a file that cannot be used."""
    return await tx.all(FlawRow, FLAWS, {"file_id": file_id, "most": most})


async def left_earlier(tx: Tx, at: datetime, location_ids: Sequence[int]) -> list[tuple[int, int, int]]:
    """Return what left partners by a moment and was recorded after it, or is not yet: (SKU, location, units)."""
    return await tx.tuples(LEFT_EARLIER, {"at": at, "locations": list(location_ids)})
