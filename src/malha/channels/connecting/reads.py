"""Connections, what waits in them and how they are: for the runtime, the API and the pages."""

from collections.abc import Collection, Sequence
from datetime import date, datetime
from typing import Any

import msgspec

from malha.channels.connecting.model import Linked, Trail
from malha.channels.connecting.price_reads import IS_KEPT
from malha.channels.contract import ShippedLine
from malha.platform.db import Tx
from malha.platform.ids import UUID

# No channel has the id 0: what is asked by it finds nothing.
_LINKED = """
SELECT c.id, c.code, c.name, c.connector, coalesce(c.channel_id, 0) AS channel_id, coalesce(ch.code, '') AS channel,
       coalesce(ch.currency, '') AS currency, c.config, c.secrets, c.former_secrets, c.former_until, c.status, c.version
FROM connection c LEFT JOIN channel ch ON ch.id = c.channel_id
"""
LINKED = _LINKED + " WHERE c.code = %(code)s::text"
LINKED_BY_CODE = _LINKED + " WHERE c.code = ANY (%(codes)s::text[])"
LINKED_BY_ID = _LINKED + " WHERE c.id = ANY (%(ids)s::int[])"
# Small table.
ALL_LINKED = _LINKED + " ORDER BY c.name"
# By the index on the channel.
LINKED_OF_CHANNELS = _LINKED + " WHERE c.channel_id = ANY (%(channels)s::int[]) AND c.status = 'active' ORDER BY c.id"

TOKENS = """
SELECT tokens, expires_at, generation,
       expires_at IS NOT NULL AND expires_at < clock_timestamp() + make_interval(secs => %(early)s::float8) AS over
FROM connection_token WHERE connection_id = %(id)s::int
"""
# Connections that have something to send now: of each, the first such thing by the index on what waits.
DUE_OPS = """
SELECT c.id FROM connection c WHERE c.status = 'active' AND EXISTS (
    SELECT FROM unnest(%(kinds)s::text[]) AS k(kind) CROSS JOIN LATERAL (
        SELECT FROM channel_op o WHERE o.connection_id = c.id AND o.kind = k.kind AND o.state = 'waiting'
           AND o.not_before <= now() AND (o.taken_until IS NULL OR o.taken_until < clock_timestamp())
        ORDER BY o.not_before, o.number LIMIT 1) AS due)
"""
# By the index on what is stuck.
WAITING_FOR_LISTINGS = """
SELECT DISTINCT connection_id FROM channel_inbox
WHERE state = 'unmapped' AND EXISTS (SELECT FROM unnest(wants) AS w(want) WHERE starts_with(w.want, 'listing:'))
"""
METHODS = """
SELECT kind, theirs, ours FROM method_mapping WHERE connection_id = %(connection_id)s::int ORDER BY kind, theirs
"""
BINDING = """
SELECT internal_id, remote_version, content_hash FROM binding
WHERE connection_id = %(connection_id)s::int AND entity = %(entity)s::text AND external_id = %(external_id)s::text
"""
# Of many at once, by the same key.
VERSIONS = """
SELECT b.connection_id, b.external_id, b.remote_version
FROM unnest(%(connections)s::int[], %(external_ids)s::text[]) AS w(connection_id, external_id)
JOIN binding b ON b.connection_id = w.connection_id AND b.entity = ANY (%(entities)s::text[])
              AND b.external_id = w.external_id
ORDER BY array_position(%(entities)s::text[], b.entity) DESC
"""
METHODS_OF = """
SELECT connection_id, kind, theirs, ours FROM method_mapping
WHERE connection_id = ANY (%(connections)s::int[]) AND ours IS NOT NULL
"""
# From ours to theirs, over all connections, by the index on the internal id.
BOUND = """
SELECT b.internal_id, b.external_id, b.connection_id, c.connector, c.code, c.status, c.config
FROM binding b JOIN connection c ON c.id = b.connection_id
WHERE b.entity = %(entity)s::text AND b.internal_id = ANY (%(ids)s::text[])
"""
# Money of orders that a channel was asked to give back: not answered for yet, waiting for a person, given back; by the
# partial index on refunds.
REFUNDS = """
SELECT entity, coalesce(sum((payload->>'amount')::bigint) FILTER (WHERE state = 'waiting'), 0)::bigint AS waiting,
       coalesce(sum((payload->>'amount')::bigint) FILTER (WHERE state = 'dead'), 0)::bigint AS stuck,
       coalesce(sum((payload->>'amount')::bigint) FILTER (WHERE state = 'done'), 0)::bigint AS done
FROM channel_op
WHERE entity = ANY (%(entities)s::text[]) AND connection_id = %(connection_id)s::int AND kind = 'refund'
  AND key <> ALL (%(but)s::uuid[])
GROUP BY entity
"""
# Whether a refund that a channel tells of was asked for as a favour: by the name that it gave it, or, where that is not
# known here, by its amount, each as often as it was asked for. By the partial index on refunds.
ASKED_AS_FAVOUR = """
SELECT CASE WHEN bool_or(p.reference = %(reference)s::text)
            THEN bool_or(p.reference = %(reference)s::text AND (p.payload->>'favour')::boolean)
            ELSE count(*) FILTER (WHERE (p.payload->>'favour')::boolean
                                    AND (p.payload->>'amount')::bigint = %(amount)s::bigint) > %(recorded)s::int END
FROM channel_op p JOIN connection c ON c.id = p.connection_id
WHERE p.entity = %(entity)s::text AND p.kind = 'refund' AND p.state IN ('waiting', 'done', 'dead')
  AND 'connection:' || c.code = %(actor)s::text
"""
KNOWN_OP = "SELECT true FROM channel_op WHERE key = %(key)s::uuid"
# Refunds among operations, together by order; by the key.
REFUNDS_AGAIN = """
SELECT p.entity, b.internal_id::uuid, sum((p.payload->>'amount')::bigint)::bigint, array_agg(p.key)
FROM channel_op p
JOIN binding b ON b.connection_id = p.connection_id AND b.entity = 'order' AND b.external_id = p.payload->>'order'
WHERE p.key = ANY (%(keys)s::uuid[]) AND p.connection_id = %(connection_id)s::int AND p.kind = 'refund'
GROUP BY p.entity, b.internal_id ORDER BY p.entity
"""
# What a line is of: what a person said, the listing's code, a bound variant, the SKU, the GTIN; in this order.
FIND_SKUS = """
SELECT w.n, coalesce(m.sku, l.sku, b.internal_id, s.sku, g.sku) AS sku
FROM unnest(%(ns)s::int[], %(connections)s::int[], %(channels)s::int[], %(items)s::text[], %(skus)s::text[],
            %(gtins)s::text[]) AS w(n, connection_id, channel_id, item, sku, gtin)
LEFT JOIN LATERAL (SELECT v.sku FROM channel_variant m JOIN variant v ON v.id = m.sku_id
                   WHERE m.connection_id = w.connection_id AND m.how <> 'exact'
                     AND m.code = coalesce(nullif(w.sku, ''), nullif(w.item, ''), w.gtin)) m ON true
LEFT JOIN LATERAL (SELECT v.sku FROM listing l JOIN variant v ON v.id = l.sku_id
                   WHERE l.channel_id = w.channel_id AND l.code IN (w.item, w.sku) AND l.code <> ''
                   ORDER BY l.code = w.item DESC LIMIT 1) l ON true
LEFT JOIN binding b ON b.connection_id = w.connection_id AND b.entity = 'variant' AND b.external_id = w.item
      AND w.item <> ''
LEFT JOIN variant s ON s.sku = w.sku
LEFT JOIN LATERAL (SELECT v.sku FROM variant v WHERE v.gtin = w.gtin AND w.gtin <> ''
                   ORDER BY v.active DESC, v.id LIMIT 1) g ON true
"""
# What is done with of orders; a walk through what is kept, which is thirty days.
TOLD_OF_ORDERS = """
SELECT i.id, i.payload FROM channel_inbox i
JOIN connection c ON c.id = i.connection_id
JOIN sales_order o ON o.channel_id = c.channel_id AND i.entity = 'order:' || o.external_id
WHERE o.id = ANY (%(orders)s::uuid[]) AND i.trust = 'data' AND i.state IN ('done', 'stale', 'dropped') ORDER BY i.id
"""
# Which of these orders are of somebody who was erased; where nobody ever was, no order is looked up.
TOLD_OF_ERASED = """
SELECT w.n FROM unnest(%(connections)s::int[], %(orders)s::text[]) WITH ORDINALITY AS w(connection_id, external_id, n)
JOIN connection c ON c.id = w.connection_id
JOIN sales_order o ON o.channel_id = c.channel_id AND o.external_id = w.external_id
JOIN order_customer k ON k.order_id = o.id
JOIN customer_erasure e ON e.customer_id = k.customer_id
WHERE EXISTS (SELECT FROM customer_erasure)
"""
ORDER_BY_KEY = """
SELECT id, number FROM sales_order WHERE channel_id = %(channel_id)s::int AND external_id = %(external_id)s::text
"""
# Whether the same was told before: who lifted the hold then has decided on it.
HELD_FOR = """
SELECT EXISTS (SELECT FROM order_hold WHERE order_id = %(order_id)s::uuid AND kind = %(kind)s::text
    AND detail ->> 'told' = %(told)s::text)
"""
# What was sold, as it was submitted.
ORDER_SHAPE = """
SELECT o.total, array_agg(l.sku_text || ' ' || l.quantity || ' ' || l.unit_price || ' ' || l.discount ORDER BY l.line)
FROM sales_order o JOIN order_line l ON l.order_id = o.id WHERE o.id = %(order_id)s::uuid GROUP BY o.id
"""
ATTEMPTS = "SELECT attempt, at, outcome, says FROM op_attempt WHERE op_key = %(key)s::uuid ORDER BY attempt"
LOG = """
SELECT at, operation, method, path, status, ms, says FROM api_log
WHERE connection_id = %(connection_id)s::int AND (NOT %(bad)s::boolean OR status IS NULL OR status >= 400)
ORDER BY at DESC LIMIT %(most)s::int
"""
# Each count by a partial index on what it counts.
HEALTH = """
SELECT c.code, c.name, c.connector, coalesce(ch.code, '') AS channel, c.status, c.why, c.version, c.checked_at,
       CASE WHEN c.checked_at IS NOT NULL THEN NOT starts_with(c.check_says, '! ') END AS check_ok,
       CASE WHEN starts_with(c.check_says, '! ') THEN substr(c.check_says, 3) ELSE c.check_says END AS check_says,
       p.calls, p.failures, p.refused, p.refused_at, p.limited_at, p.bucket, p.breaker,
       extract(epoch FROM clock_timestamp())::float8 AS clock,
       (SELECT count(*) FROM channel_inbox i WHERE i.connection_id = c.id AND i.state = 'waiting') AS inbox_waiting,
       (SELECT min(i.received_at) FROM channel_inbox i WHERE i.connection_id = c.id AND i.state = 'waiting')
           AS inbox_oldest,
       (SELECT count(*) FROM channel_inbox i WHERE i.connection_id = c.id AND i.state = 'parked') AS inbox_parked,
       (SELECT count(*) FROM channel_inbox i WHERE i.connection_id = c.id AND i.state = 'unmapped') AS inbox_unmapped,
       (SELECT count(*) FROM channel_op o WHERE o.connection_id = c.id AND o.state = 'waiting') AS ops_waiting,
       (SELECT min(o.created_at) FROM channel_op o WHERE o.connection_id = c.id AND o.state = 'waiting') AS ops_oldest,
       (SELECT count(*) FROM channel_op o WHERE o.connection_id = c.id AND o.state = 'dead') AS ops_dead,
       (SELECT count(*) FROM method_mapping m WHERE m.connection_id = c.id AND m.ours IS NULL) AS unmapped_methods,
       (SELECT count(*) FROM channel_inbox i WHERE i.connection_id = c.id AND i.state = 'done'
            AND i.done_at > now() - interval '1 hour') AS in_last_hour,
       (SELECT count(*) FROM channel_op o WHERE o.connection_id = c.id AND o.state = 'done'
            AND o.done_at > now() - interval '1 hour') AS out_last_hour
FROM connection c LEFT JOIN channel ch ON ch.id = c.channel_id JOIN connection_pace p ON p.connection_id = c.id
WHERE %(code)s::text IS NULL OR c.code = %(code)s::text
ORDER BY c.name
"""
CAUSES = """
SELECT 'in' AS way, cause, count(*) AS count, min(received_at) AS oldest FROM channel_inbox
WHERE connection_id = %(connection_id)s::int AND state IN ('parked', 'unmapped') GROUP BY cause
UNION ALL
SELECT 'out', cause, count(*), min(created_at) FROM channel_op
WHERE connection_id = %(connection_id)s::int AND state = 'dead' GROUP BY cause
ORDER BY 3 DESC
"""
# The same over all connections; the partial indexes on what is stuck hold little.
ALL_CAUSES = """
SELECT c.code AS connection, c.name, x.way, x.cause, x.count, x.oldest FROM (
    SELECT connection_id, 'in' AS way, cause, count(*) AS count, min(received_at) AS oldest FROM channel_inbox
    WHERE state IN ('parked', 'unmapped') GROUP BY 1, 3
    UNION ALL
    SELECT connection_id, 'out', cause, count(*), min(created_at) FROM channel_op WHERE state = 'dead' GROUP BY 1, 3
) x JOIN connection c ON c.id = x.connection_id ORDER BY x.oldest
"""
BROKEN = "SELECT code, name, why FROM connection WHERE status = 'broken' ORDER BY name"
# To be shown: where a catalogue is read holds hundreds of thousands of characters.
CURSORS = """
SELECT stream, left(value, 200) AS value, since, read_at, next_at, failures, error,
       cardinality(handles) AS unacknowledged
FROM connection_cursor WHERE connection_id = %(connection_id)s::int ORDER BY stream
"""
RECONCILIATIONS = """
SELECT kind, day, at, ours, theirs, ours_total, theirs_total, ours_refunded, theirs_refunded, differing
FROM reconciliation
WHERE connection_id = %(connection_id)s::int ORDER BY day DESC, kind LIMIT %(most)s::int
"""
# Orders of a day that came over a connection, by the index on when they were placed.
ORDERS_OF_DAY = """
SELECT b.external_id, o.total - o.cancelled_total, coalesce((
    SELECT sum(e.amount) FROM tender t JOIN payment_entry e ON e.tender_id = t.id AND e.kind = 'refunded'
    WHERE t.order_id = o.id), 0)::bigint
FROM sales_order o
JOIN binding b ON b.connection_id = %(connection_id)s::int AND b.entity = 'order' AND b.internal_id = o.id::text
WHERE o.channel_id = %(channel_id)s::int AND o.status <> 'cancelled'
  AND o.placed_at >= %(since)s::timestamptz AND o.placed_at < %(until)s::timestamptz
"""
# By the index on what waits.
LISTINGS_UNDER_WAY = """
SELECT EXISTS (SELECT FROM channel_op WHERE connection_id = %(id)s::int AND state = 'waiting' AND kind = 'put_listing'
               AND taken_until >= clock_timestamp())
"""
# Prices that differ from what the peer is about to be told, or was told last: the channel's own, or the catalogue's. By
# primary key of the listings. What the peer keeps itself it is not told: it would get back what it said a while ago.
PRICES_TO_TELL = f"""
WITH waiting AS MATERIALIZED (
    SELECT DISTINCT ON (entity) entity, (payload ->> 'price')::bigint AS price FROM channel_op
    WHERE connection_id = %(connection_id)s::int AND kind = 'set_price' AND state = 'waiting'
    ORDER BY entity, version DESC
)
SELECT v.sku, l.code, coalesce(a.price, v.price), b.remote_version FROM listing l JOIN variant v ON v.id = l.sku_id
LEFT JOIN listing_price a ON a.channel_id = l.channel_id AND a.sku_id = l.sku_id
LEFT JOIN binding b ON b.connection_id = %(connection_id)s::int AND b.entity = 'price' AND b.internal_id = v.sku
LEFT JOIN waiting w ON w.entity = 'price:' || v.sku
WHERE l.channel_id = %(channel_id)s::int AND l.active AND coalesce(a.price, v.price) IS NOT NULL
  AND v.sku > %(after)s::text
  AND NOT {IS_KEPT}
  AND CASE WHEN w.entity IS NULL THEN b.content_hash IS DISTINCT FROM int8send(coalesce(a.price, v.price)::bigint)
      ELSE w.price <> coalesce(a.price, v.price) END
ORDER BY v.sku LIMIT %(most)s::int
"""
# What the prices of the catalogue and those of channels are at (either makes the sum grow), and what was queued.
PRICES_SEEN = """
SELECT (SELECT coalesce(sum(n), 0) FROM revision WHERE name IN ('catalog', 'prices'))::bigint, prices_seen
FROM connection WHERE id = %(id)s::int
"""
# What left in parcels, in units as they were sold: of a kit, as many as its components make. What was cancelled after
# it was packed keeps its parcel, and stayed. By primary keys.
SHIPPED_LINES = """
WITH gone AS (
    SELECT u.shipment_id, u.order_id, u.line, u.sku_id, sum(u.quantity)::int AS quantity
    FROM shipment s JOIN order_unit u ON u.order_id = s.order_id AND u.shipment_id = s.id
    WHERE s.id = ANY (%(ids)s::uuid[]) AND u.state <> 'cancelled' GROUP BY 1, 2, 3, 4
)
SELECT g.shipment_id::text, coalesce(v.sku, l.sku_text), min(g.quantity / coalesce(c.quantity, 1))::int,
       coalesce(l.external_id, '')
FROM gone g JOIN order_line l ON l.order_id = g.order_id AND l.line = g.line
LEFT JOIN variant v ON v.id = l.sku_id
LEFT JOIN order_component c ON c.order_id = g.order_id AND c.line = g.line AND c.sku_id = g.sku_id
GROUP BY g.shipment_id, g.line, v.sku, l.sku_text, l.external_id ORDER BY g.shipment_id, g.line
"""
ORDER_LINES = """
SELECT l.order_id::text, l.line, coalesce(v.sku, l.sku_text), coalesce(l.external_id, '')
FROM order_line l LEFT JOIN variant v ON v.id = l.sku_id WHERE l.order_id = ANY (%(ids)s::uuid[])
"""
# --- documents for ERPs ---

# Small table.
DOCUMENT_SINKS = (
    _LINKED.replace("SELECT", "SELECT c.created_at,", 1)
    + """
 WHERE c.connector = ANY (%(connectors)s::text[]) ORDER BY c.id
"""
)
CHANNEL_IDS = "SELECT id FROM channel WHERE code = ANY (%(codes)s::text[])"
TRAILS = """
SELECT order_id::text, trail FROM order_document
WHERE connection_id = %(connection_id)s::int AND order_id = ANY (%(orders)s::uuid[])
"""
LOCATION_CODES = "SELECT id, code FROM location WHERE id = ANY (%(ids)s::int[])"
# What was collected, in units as they were sold, by piece of work; by primary key of the units.
COLLECTED_LINES = """
WITH gone AS (
    SELECT u.fulfillment_id, u.order_id, u.line, u.sku_id, sum(u.quantity)::int AS quantity FROM order_unit u
    WHERE u.order_id = ANY (%(orders)s::uuid[]) AND u.fulfillment_id = ANY (%(works)s::uuid[]) AND u.state = 'collected'
    GROUP BY 1, 2, 3, 4
)
SELECT g.fulfillment_id::text, coalesce(v.sku, l.sku_text), min(g.quantity / coalesce(c.quantity, 1))::int,
       coalesce(l.external_id, '')
FROM gone g JOIN order_line l ON l.order_id = g.order_id AND l.line = g.line
LEFT JOIN variant v ON v.id = l.sku_id
LEFT JOIN order_component c ON c.order_id = g.order_id AND c.line = g.line AND c.sku_id = g.sku_id
GROUP BY g.fulfillment_id, g.line, v.sku, l.sku_text, l.external_id ORDER BY g.fulfillment_id, g.line
"""
BOOKED_ORDER = """
SELECT o.number, o.external_id, ch.code AS channel, o.placed_at, o.currency, o.shipping_total, o.buyer_name,
       o.buyer_document, o.buyer_email, o.buyer_phone, o.ship_to
FROM sales_order o JOIN channel ch ON ch.id = o.channel_id WHERE o.id = %(order_id)s::uuid
"""
# What the connection calls each SKU: by its channel's listing, else as we do.
BOOKED_LINES = """
SELECT l.line, coalesce(v.sku, l.sku_text) AS sku,
       coalesce(nullif(i.code, ''), v.sku, l.sku_text) AS code, l.name, l.quantity, l.unit_price,
       l.replaces IS NOT NULL AS later
FROM order_line l LEFT JOIN variant v ON v.id = l.sku_id
LEFT JOIN listing i ON i.channel_id = %(channel_id)s::int AND i.sku_id = l.sku_id
WHERE l.order_id = %(order_id)s::uuid ORDER BY l.line
"""
SALE_OF = """
SELECT external_id FROM binding
WHERE connection_id = %(connection_id)s::int AND entity = 'document' AND internal_id = %(order_id)s::text
"""
# Orders of a day and what of each is to be at the ERP, by the index on when they were placed. One without a sale that
# is due for one counts, too.
BOOKED_ON_DAY = """
SELECT o.number::text, CASE WHEN NOT d.sale THEN o.total - o.cancelled_total
                            WHEN %(credits)s::boolean
                            THEN o.total - o.cancelled_total - coalesce((d.trail->>'extra')::bigint, 0)
                            ELSE d.posted END
FROM sales_order o JOIN order_document d ON d.order_id = o.id AND d.connection_id = %(connection_id)s::int
WHERE o.placed_at >= %(since)s::timestamptz AND o.placed_at < %(until)s::timestamptz
  AND (d.sale OR (o.status NOT IN ('cancelled', 'on_hold')
                  AND (%(placed)s::boolean OR coalesce((d.trail->>'shipped')::boolean, false))))
"""


class Stuck(msgspec.Struct, frozen=True, kw_only=True):
    """A thing that came in and waits for a person."""

    id: int
    entity: str
    source: str
    trust: str
    state: str
    attempts: int
    cause: str | None
    error: str | None
    wants: list[str] | None
    received_at: datetime


class Dead(msgspec.Struct, frozen=True, kw_only=True):
    """A thing that could not be told, and waits for a person."""

    key: UUID
    number: int
    kind: str
    entity: str
    attempts: int
    cause: str | None
    error: str | None
    reference: str | None
    created_at: datetime


class Attempt(msgspec.Struct, frozen=True):
    """What became of one attempt."""

    attempt: int
    at: datetime
    outcome: str
    says: str


class Call(msgspec.Struct, frozen=True):
    """One call, without secrets."""

    at: datetime
    operation: str
    method: str
    path: str
    status: int | None
    ms: int
    says: str


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How a connection is."""

    code: str
    name: str
    connector: str
    channel: str
    status: str
    why: str
    version: int
    checked_at: datetime | None
    check_ok: bool | None  # None: not checked yet
    check_says: str
    calls: int
    failures: int
    refused: int
    refused_at: datetime | None
    limited_at: datetime | None
    bucket: dict[str, Any] | None
    breaker: dict[str, Any] | None
    clock: float
    inbox_waiting: int
    inbox_oldest: datetime | None
    inbox_parked: int
    inbox_unmapped: int
    ops_waiting: int
    ops_oldest: datetime | None
    ops_dead: int
    unmapped_methods: int
    in_last_hour: int
    out_last_hour: int


class Cause(msgspec.Struct, frozen=True):
    """How often something stopped for one cause; `way` is in or out."""

    way: str
    cause: str | None
    count: int
    oldest: datetime


class Trouble(msgspec.Struct, frozen=True, kw_only=True):
    """How often something of a connection stopped for one cause."""

    connection: str
    name: str
    way: str
    cause: str | None
    count: int
    oldest: datetime


class Broken(msgspec.Struct, frozen=True):
    """A connection whose peer does not know us any more."""

    code: str
    name: str
    why: str


class Cursor(msgspec.Struct, frozen=True):
    """How far a stream was read. `value` is the beginning of where it is, at most 200 characters."""

    stream: str
    value: str | None
    since: datetime | None
    read_at: datetime | None
    next_at: datetime
    failures: int
    error: str | None
    unacknowledged: int


class Compared(msgspec.Struct, frozen=True):
    """What was compared with the peer."""

    kind: str
    day: date
    at: datetime
    ours: int
    theirs: int
    ours_total: int
    theirs_total: int
    ours_refunded: int
    theirs_refunded: int | None
    differing: list[str]

    @property
    def agrees(self) -> bool:
        """Tell whether both sides count the same."""
        ours, theirs = (self.ours, self.ours_total), (self.theirs, self.theirs_total)
        return ours == theirs and self.theirs_refunded in (None, self.ours_refunded) and not self.differing


class Method(msgspec.Struct, frozen=True):
    """A word of theirs, and ours for it."""

    kind: str
    theirs: str
    ours: str | None


class Kept(msgspec.Struct, frozen=True):
    """Tokens as they are kept."""

    tokens: bytes
    expires_at: datetime | None
    generation: int
    over: bool


class Bound(msgspec.Struct, frozen=True):
    """What of ours is what of theirs, where."""

    internal_id: str
    external_id: str
    connection_id: int
    connector: str
    code: str
    status: str
    config: dict[str, Any]


class Binding(msgspec.Struct, frozen=True):
    """Which of ours it is, and as of which version of theirs."""

    internal_id: str
    remote_version: int | None
    content_hash: bytes | None


class Booked(msgspec.Struct, frozen=True, kw_only=True):
    """A line as a document tells it; `later`: it came instead of another."""

    line: int
    sku: str
    code: str
    name: str
    quantity: int
    unit_price: int
    later: bool


class BookedOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order as a document tells it."""

    number: int
    external_id: str
    channel: str
    placed_at: datetime
    currency: str
    shipping_total: int
    buyer_name: str
    buyer_document: str | None
    buyer_email: str | None
    buyer_phone: str | None
    ship_to: dict[str, Any] | None


class Bookable(msgspec.Struct, frozen=True):
    """An order with its lines."""

    order: BookedOrder
    lines: list[Booked]


class _Sink(Linked, frozen=True, kw_only=True):
    created_at: datetime


async def linked(tx: Tx, code: str) -> Linked | None:
    """Return a connection by its code."""
    return await tx.maybe(Linked, LINKED, {"code": code})


async def linked_by_code(tx: Tx, codes: Sequence[str]) -> dict[str, Linked]:
    """Return connections by code, as far as they are there."""
    return {found.code: found for found in await tx.all(Linked, LINKED_BY_CODE, {"codes": list(codes)})}


async def linked_by_id(tx: Tx, ids: Sequence[int]) -> dict[int, Linked]:
    """Return connections by their ids."""
    return {found.id: found for found in await tx.all(Linked, LINKED_BY_ID, {"ids": sorted(set(ids))})}


async def all_linked(tx: Tx) -> list[Linked]:
    """Return all connections by name."""
    return await tx.all(Linked, ALL_LINKED)


async def linked_of_channels(tx: Tx, channels: Sequence[int]) -> list[Linked]:
    """Return the active connections of channels."""
    return await tx.all(Linked, LINKED_OF_CHANNELS, {"channels": list(channels)})


async def methods(tx: Tx, connection_id: int) -> list[Method]:
    """Return the words of a peer for ways to pay and to ship."""
    return await tx.all(Method, METHODS, {"connection_id": connection_id})


async def binding(tx: Tx, connection_id: int, entity: str, external_id: str) -> Binding | None:
    """Return which of ours a thing of theirs is."""
    params = {"connection_id": connection_id, "entity": entity, "external_id": external_id}
    return await tx.maybe(Binding, BINDING, params)


async def versions(
    tx: Tx, entities: Sequence[str], keys: Sequence[tuple[int, str]]
) -> dict[tuple[int, str], int | None]:
    """Return which of these (connection, their id) are bound, each with the version that was seen last.

    As the first of some entities that it is bound as.
    """
    params = {"entities": list(entities), "connections": [c for c, _ in keys], "external_ids": [id_ for _, id_ in keys]}
    return {(c, id_): version for c, id_, version in await tx.tuples(VERSIONS, params)}


async def methods_of(tx: Tx, connections: Sequence[int]) -> dict[int, dict[tuple[str, str], str | None]]:
    """Return what words mean that a person mapped, by connection."""
    found: dict[int, dict[tuple[str, str], str | None]] = {id_: {} for id_ in connections}
    for id_, kind, theirs, ours in await tx.tuples(METHODS_OF, {"connections": list(connections)}):
        found[id_][kind, theirs] = ours
    return found


async def skus_of(tx: Tx, connection: Linked, codes: Sequence[str]) -> list[str | None]:
    """Return the SKU of each of a peer's codes: by the listing, a bound variant, or the SKU itself."""
    many = len(codes)
    params = {
        "ns": list(range(many)),
        "connections": [connection.id] * many,
        "channels": [connection.channel_id] * many,
        "items": list(codes),
        "skus": list(codes),
        "gtins": [""] * many,
    }
    found = dict(await tx.tuples(FIND_SKUS, params))
    return [found[n] for n in range(len(codes))]


async def bound(tx: Tx, entity: str, ids: Sequence[str]) -> list[Bound]:
    """Return what things of ours are at peers."""
    return await tx.all(Bound, BOUND, {"entity": entity, "ids": list(ids)})


async def shipped_lines(tx: Tx, ids: Sequence[str]) -> dict[str, list[ShippedLine]]:
    """Return what left in parcels, by parcel."""
    found: dict[str, list[ShippedLine]] = {}
    for id_, sku, quantity, line in await tx.tuples(SHIPPED_LINES, {"ids": list(ids)}):
        found.setdefault(id_, []).append(ShippedLine(sku, quantity, line))
    return found


async def order_lines(tx: Tx, ids: Sequence[str]) -> dict[str, dict[int, tuple[str, str]]]:
    """Return the lines of orders: by order and number, the SKU and the channel's id."""
    found: dict[str, dict[int, tuple[str, str]]] = {}
    for id_, line, sku, external_id in await tx.tuples(ORDER_LINES, {"ids": list(ids)}):
        found.setdefault(id_, {})[line] = (sku, external_id)
    return found


async def health(tx: Tx, code: str | None = None) -> list[Standing]:
    """Return how connections are, by name; one by its code."""
    return await tx.all(Standing, HEALTH, {"code": code})


async def causes(tx: Tx, connection_id: int) -> list[Cause]:
    """Return why things wait for a person, the most frequent first."""
    return await tx.all(Cause, CAUSES, {"connection_id": connection_id})


async def all_causes(tx: Tx) -> list[Trouble]:
    """Return why things of all connections wait for a person, the oldest first."""
    return await tx.all(Trouble, ALL_CAUSES)


async def broken(tx: Tx) -> list[Broken]:
    """Return the connections that stopped because their peers do not know us any more."""
    return await tx.all(Broken, BROKEN)


async def cursors(tx: Tx, connection_id: int) -> list[Cursor]:
    """Return how far streams were read."""
    return await tx.all(Cursor, CURSORS, {"connection_id": connection_id})


async def attempts(tx: Tx, key: UUID) -> list[Attempt]:
    """Return what was tried for an operation."""
    return await tx.all(Attempt, ATTEMPTS, {"key": key})


async def calls(tx: Tx, connection_id: int, *, bad: bool = False, most: int = 100) -> list[Call]:
    """Return the last calls of a connection, the newest first; `bad`: those that failed."""
    return await tx.all(Call, LOG, {"connection_id": connection_id, "bad": bad, "most": most})


async def compared(tx: Tx, connection_id: int, most: int = 60) -> list[Compared]:
    """Return what was compared with the peer, the newest day first."""
    return await tx.all(Compared, RECONCILIATIONS, {"connection_id": connection_id, "most": most})


async def document_sinks(tx: Tx, connectors: Collection[str]) -> list[tuple[Linked, datetime]]:
    """Return the connections of some connectors, and since when they are there."""
    found = await tx.all(_Sink, DOCUMENT_SINKS, {"connectors": sorted(connectors)})
    return [(sink, sink.created_at) for sink in found]


async def channel_ids(tx: Tx, codes: Collection[str]) -> set[int]:
    """Return the channels of some codes."""
    return set(await tx.values(CHANNEL_IDS, {"codes": sorted(codes)}))


async def trails(tx: Tx, connection_id: int, orders: Sequence[str]) -> dict[str, Trail]:
    """Return how far orders were followed for an ERP."""
    rows = await tx.tuples(TRAILS, {"connection_id": connection_id, "orders": list(orders)})
    # Lines are numbers, which JSON's keys are not.
    return {id_: msgspec.convert(trail, Trail, strict=False) for id_, trail in rows}


async def location_codes(tx: Tx, ids: Sequence[int]) -> dict[int, str]:
    """Return our codes of locations."""
    return dict(await tx.tuples(LOCATION_CODES, {"ids": list(ids)}))


async def collected_lines(tx: Tx, orders: Sequence[str], works: Sequence[str]) -> dict[str, list[ShippedLine]]:
    """Return what customers collected, by piece of work."""
    found: dict[str, list[ShippedLine]] = {}
    for id_, sku, quantity, line in await tx.tuples(COLLECTED_LINES, {"orders": list(orders), "works": list(works)}):
        found.setdefault(id_, []).append(ShippedLine(sku, quantity, line))
    return found


async def booked(tx: Tx, connection: Linked, order_id: str) -> Bookable:
    """Return an order as a document of a connection tells it."""
    asked = {"channel_id": connection.channel_id, "order_id": order_id}
    order = await tx.one(BookedOrder, BOOKED_ORDER, {"order_id": order_id})
    return Bookable(order, await tx.all(Booked, BOOKED_LINES, asked))


async def sale_of(tx: Tx, connection_id: int, order_id: str) -> str | None:
    """Return what an ERP calls the sale of an order, where it has one."""
    found: str | None = await tx.value(SALE_OF, {"connection_id": connection_id, "order_id": order_id})
    return found
