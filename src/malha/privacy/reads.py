"""What is known of a person, where they are named, what keeps them from being erased, and all of it for their file."""

from datetime import datetime
from typing import Any, Final, LiteralString

import msgspec
from psycopg import sql

from malha.platform.db import Tx
from malha.platform.ids import UUID
from malha.privacy.places import Place, Shape

# --- whose it is ---

# Profiles that went into one, through all that went into those; index customer_merge_kept.
PROFILES = """
WITH RECURSIVE gone AS (
    SELECT %(customer)s::uuid AS id
    UNION
    SELECT m.gone_id FROM customer_merge m JOIN gone g ON m.kept_id = g.id WHERE m.undone_at IS NULL
)
SELECT id FROM gone ORDER BY id
"""
MERGED = """
SELECT m.gone_before FROM customer_merge m
WHERE m.kept_id = ANY (%(profiles)s::uuid[]) AND m.undone_at IS NULL ORDER BY m.at, m.id
"""
# Index order_customer_orders.
ORDERS = "SELECT order_id FROM order_customer WHERE customer_id = %(customer)s::uuid ORDER BY order_id"
# Under which names and addresses orders were placed and told.
CALLED = """
SELECT o.buyer_name, o.buyer_document, o.buyer_email, o.buyer_phone, o.ship_to
FROM sales_order o WHERE o.id = ANY (%(orders)s::uuid[]) ORDER BY o.id
"""
WRITTEN_TO = """
SELECT DISTINCT address FROM message WHERE order_id = ANY (%(orders)s::uuid[]) AND address IS NOT NULL ORDER BY address
"""

PARCELS = """
SELECT DISTINCT tracking_code FROM shipment
WHERE order_id = ANY (%(orders)s::uuid[]) AND tracking_code IS NOT NULL ORDER BY tracking_code
"""

# --- what keeps a person from being erased ---

# Goods are where they are to be, or were given up. Units by primary key.
OPEN_ORDERS = """
SELECT o.number FROM sales_order o
WHERE o.id = ANY (%(orders)s::uuid[])
  AND EXISTS (SELECT FROM order_unit u WHERE u.order_id = o.id
              AND u.state NOT IN ('delivered', 'collected', 'cancelled'))
ORDER BY o.number
"""
OPEN_HOLDS = """
SELECT o.number FROM sales_order o
WHERE o.id = ANY (%(orders)s::uuid[])
  AND EXISTS (SELECT FROM order_hold h WHERE h.order_id = o.id AND h.resolved_at IS NULL)
ORDER BY o.number
"""
OPEN_REFUNDS = """
SELECT o.number FROM sales_order o JOIN order_payment p ON p.order_id = o.id
WHERE o.id = ANY (%(orders)s::uuid[]) AND p.refund_due > 0 ORDER BY o.number
"""
# Who hands a message over, or tells another system of an order or a parcel, has read what it says, or is going to.
LEAVING = """
SELECT o.number FROM sales_order o
WHERE o.id = ANY (%(orders)s::uuid[])
  AND (EXISTS (SELECT FROM message m WHERE m.order_id = o.id AND m.state = 'sending')
       OR EXISTS (SELECT FROM channel_op p WHERE p.entity = 'document:' || o.id AND p.state = 'waiting')
       OR EXISTS (SELECT FROM connection c JOIN channel_op p ON p.connection_id = c.id
                  WHERE c.channel_id = o.channel_id AND p.entity = 'order:' || o.external_id AND p.state = 'waiting'))
ORDER BY o.number
"""
# Orders that nobody linked to a customer yet: of events in the outbox, beyond the slowest subscriber, or set aside.
UNLINKED = """
SELECT o.number
FROM (SELECT key FROM outbox WHERE starts_with(key, 'order:')
      UNION SELECT key FROM event
      WHERE position > (SELECT coalesce(min(position), 0) FROM subscriber) AND starts_with(key, 'order:')
      UNION SELECT key FROM parked_event WHERE starts_with(key, 'order:')) AS meant
JOIN sales_order o ON o.id = substr(meant.key, 7)::uuid
LEFT JOIN order_customer k ON k.order_id = o.id
WHERE k.order_id IS NULL
  AND (concat_ws(' ', o.buyer_document, o.buyer_email, o.buyer_phone) ~* %(words)s::text
       OR concat_ws(' ', o.buyer_document, o.buyer_email, o.buyer_phone) ~* %(numbers)s::text)
ORDER BY o.number
"""
# Partial indexes on what waits.
COMING = """
SELECT DISTINCT c.code || ' ' || i.entity FROM channel_inbox i JOIN connection c ON c.id = i.connection_id
CROSS JOIN LATERAL (SELECT CASE WHEN position('\\x00'::bytea IN i.payload) = 0
                                THEN convert_from(i.payload, 'LATIN1') ELSE '' END AS said) AS t
WHERE i.state IN ('waiting', 'unmapped', 'parked') AND (t.said ~* %(words)s::text OR t.said ~* %(numbers)s::text)
ORDER BY 1
"""
# One that waits for a person loses its file with the erasure, and says so when somebody goes on with it.
OPEN_IMPORTS = """
SELECT number FROM import_run
WHERE kind = 'customers' AND state IN ('checking', 'applying', 'undoing') ORDER BY number
"""
ERASURE = """
SELECT c.number, e.at, e.orders, e.messages, e.documents, e.person, e.reason
FROM customer_erasure e JOIN customer c ON c.id = e.customer_id WHERE e.customer_id = %(customer)s::uuid
"""

# --- what is old by the time that all is still ---

# Transactions from this one on may not have been seen by the statements that follow.
BEGUN = "SELECT pg_snapshot_xmin(pg_current_snapshot())::xid::text"
# The log grows at its end only.
LOG_END = "SELECT coalesce(max(position), 0) FROM event"
# The log has an index on time only: from the first event of these orders on.
EVENTS = """
SELECT position FROM event
WHERE at >= (SELECT min(received_at) - interval '1 day' FROM sales_order WHERE id = ANY (%(orders)s::uuid[]))
  AND key = ANY (%(keys)s::text[])
ORDER BY position
"""

# --- where a person is named ---

_NAMES: Final[LiteralString] = "{only} AND ({text} ~* %(words)s::text OR {text} ~* %(numbers)s::text)"


def text_of(place: Place) -> sql.Composed:
    """Return a column as text: bytes as Latin-1, which never fails, and nothing where there is a NUL."""
    column = sql.Identifier(place.column)
    if place.shape is Shape.BYTES:
        said = "CASE WHEN position('\\x00'::bytea IN {0}) = 0 THEN convert_from({0}, 'LATIN1') ELSE '' END"
        return sql.SQL(said).format(column)
    return sql.SQL("{}::text").format(column)


def names(place: Place) -> sql.Composed:
    """Return the condition that a row's column names a person."""
    return sql.SQL(_NAMES).format(only=sql.SQL(place.only), text=text_of(place))


def named_in(place: Place) -> sql.Composed:
    """Return the statement that tells in which rows of a column a person is named; a walk through all of them.

    By their places: a row that has another since was written by a transaction that `BEGUN` had not seen.
    """
    asked = sql.SQL("SELECT ctid::text FROM {table} WHERE {names}")
    return asked.format(table=sql.Identifier(place.table), names=names(place))


def named_between(place: Place) -> sql.Composed:
    """Return the statement that tells the same of the pages from `first` to before `behind` of a table."""
    asked = sql.SQL(
        "SELECT ctid::text FROM {table} WHERE ctid >= %(first)s::text::tid AND ctid < %(behind)s::text::tid AND {names}"
    )
    return asked.format(table=sql.Identifier(place.table), names=names(place))


def copies_in(place: Place) -> sql.Composed:
    """Return the statement that reads what of a column names a person."""
    asked = sql.SQL("SELECT {text} FROM {table} WHERE {names} ORDER BY 1")
    return asked.format(table=sql.Identifier(place.table), text=text_of(place), names=names(place))


# --- looking through large tables for a while ---

# Of some tables, and of the log: what looking for a person reads.
SIZE = """
SELECT coalesce(sum(pg_table_size(c.oid)), 0)::bigint FROM pg_class c
WHERE c.oid IN (SELECT to_regclass(t) FROM unnest(%(tables)s::text[]) AS t
                UNION SELECT relid FROM pg_partition_tree(to_regclass('event')))
"""
SEARCH = """
SELECT s.customer_id, c.number, s.actor, s.person, s.reason, s.begun_at, s.tries, s.known, s.since, s.log_end,
       coalesce(s.positions, '{}') AS positions, s.refused,
       coalesce((SELECT sum(p.looked)::float / greatest(sum(p.blocks), 1) FROM erasure_search_place p
                 WHERE p.customer_id = s.customer_id), 0) AS looked
FROM erasure_search s JOIN customer c ON c.id = s.customer_id
WHERE s.customer_id = %(customer)s::uuid
"""
NEXT_PLACE = """
SELECT place, looked, blocks FROM erasure_search_place
WHERE customer_id = %(customer)s::uuid AND looked < blocks ORDER BY place LIMIT 1
"""
FOUND_PLACES = """
SELECT place, found FROM erasure_search_place
WHERE customer_id = %(customer)s::uuid AND found <> '{}' ORDER BY place
"""
# A table that was written anew meanwhile (VACUUM FULL, a migration) has its rows at other places; and a newer program
# may look elsewhere.
LOOKED_ELSEWHERE = """
SELECT coalesce(array_agg(p.place ORDER BY p.place COLLATE "C"), '{}') <> %(places)s::text[]
       OR coalesce(bool_or(p.file IS DISTINCT FROM pg_relation_filenode(t.id)), true)
FROM erasure_search_place p CROSS JOIN to_regclass(split_part(p.place, '.', 1)) AS t (id)
WHERE p.customer_id = %(customer)s::uuid
"""


# --- all of it, for the person's file ---

# One row an order, by primary key; all that hangs on it by (a prefix of) a key on order_id.
ORDER_DATA = """
SELECT o.number, c.code AS channel, o.external_id, o.placed_at, o.status, o.currency, o.total, o.shipping_total,
       o.discount_total, o.buyer_name, o.buyer_document, o.buyer_email, o.buyer_phone, o.ship_to, o.customer_group,
       (SELECT d.details FROM order_details d WHERE d.order_id = o.id) AS details,
       ARRAY(SELECT t.tag FROM order_tag t WHERE t.order_id = o.id ORDER BY t.key) AS tags,
       ARRAY(SELECT jsonb_build_object('line', l.line, 'sku', l.sku_text, 'name', l.name, 'quantity', l.quantity,
                 'unit_price', l.unit_price, 'discount', l.discount, 'total', l.total)
             FROM order_line l WHERE l.order_id = o.id ORDER BY l.line) AS lines,
       ARRAY(SELECT jsonb_build_object('kind', t.kind, 'amount', t.amount, 'reference', t.reference,
                 'installments', t.installments, 'facts', ARRAY(
                     SELECT jsonb_build_object('kind', e.kind, 'amount', e.amount, 'reference', e.reference,
                         'occurred_at', e.occurred_at)
                     FROM payment_entry e WHERE e.tender_id = t.id ORDER BY e.recorded_at, e.id))
             FROM tender t WHERE t.order_id = o.id ORDER BY t.position) AS payments,
       ARRAY(SELECT jsonb_build_object('model', d.model, 'series', d.series, 'number', d.number, 'access_key',
                 d.access_key, 'total', d.total, 'state', d.state, 'issued_at', d.issued_at)
             FROM fiscal_document d
             WHERE d.id IN (SELECT x.document_id FROM fiscal_line x WHERE x.order_id = o.id)
             ORDER BY d.issued_at, d.id) AS documents,
       ARRAY(SELECT jsonb_build_object('carrier', p.carrier, 'tracking_code', p.tracking_code, 'tracking_url',
                 p.tracking_url, 'shipped_at', p.shipped_at, 'delivered_at', p.delivered_at, 'received_by',
                 p.received_by)
             FROM shipment p WHERE p.order_id = o.id ORDER BY p.shipped_at NULLS LAST, p.id) AS parcels,
       ARRAY(SELECT jsonb_build_object('location', n.code, 'state', f.state, 'pickup_code', f.pickup_code,
                 'pickup_until', f.pickup_until)
             FROM fulfillment_order f JOIN location n ON n.id = f.location_id
             WHERE f.order_id = o.id AND f.method = 'pickup' ORDER BY f.number) AS pickups,
       ARRAY(SELECT jsonb_build_object('kind', h.kind, 'detail', h.detail, 'placed_at', h.placed_at, 'resolved_at',
                 h.resolved_at, 'resolution', h.resolution)
             FROM order_hold h WHERE h.order_id = o.id ORDER BY h.placed_at, h.id) AS holds,
       ARRAY(SELECT jsonb_build_object('at', n.written_at, 'author', n.author, 'text', n.text)
             FROM order_note n WHERE n.order_id = o.id ORDER BY n.written_at, n.id) AS notes,
       ARRAY(SELECT jsonb_build_object('promised_at', p.promised_at, 'made_at', p.made_at, 'reason', p.reason, 'note',
                 p.note)
             FROM order_promise p WHERE p.order_id = o.id ORDER BY p.made_at, p.id) AS promises,
       ARRAY(SELECT jsonb_build_object('kind', m.kind, 'means', m.channel, 'language', m.language, 'address', m.address,
                 'subject', m.subject, 'body', m.body, 'facts', m.facts, 'state', m.state, 'reason', m.reason, 'answer',
                 m.answer, 'created_at', m.created_at, 'done_at', m.done_at, 'delivered_at', m.delivered_at, 'read_at',
                 m.read_at)
             FROM message m WHERE m.order_id = o.id ORDER BY m.created_at, m.id) AS messages,
       ARRAY(SELECT jsonb_build_object('at', t.at, 'type', t.type, 'actor', t.actor, 'facts', t.facts)
             FROM order_timeline t WHERE t.order_id = o.id ORDER BY t.seq) AS timeline
FROM sales_order o JOIN channel c ON c.id = o.channel_id
WHERE o.id = ANY (%(orders)s::uuid[]) ORDER BY o.number
"""
CONSENTED = """
SELECT purpose, channel AS means, given, at, source, proof FROM message_consent
WHERE customer_id = ANY (%(profiles)s::uuid[]) ORDER BY at, id
"""
PREFERENCE = "SELECT language, declined FROM message_preference WHERE customer_id = %(customer)s::uuid"
REFUSED = """
SELECT channel AS means, address, reason, since FROM message_suppression
WHERE address = ANY (%(addresses)s::text[]) ORDER BY channel, address
"""
# Index audit_entity: of the profile and what went into it, of the orders and all that hangs on them.
TRAIL = """
SELECT a.at, a.actor_name AS by, a.action, a.entity, a.entity_id, a.before, a.after
FROM audit a
JOIN unnest(%(entities)s::text[], %(ids)s::text[]) AS w (entity, id) ON a.entity = w.entity AND a.entity_id = w.id
ORDER BY a.id
"""
# What connections told of their orders, as it was kept.
TOLD = """
SELECT i.payload FROM channel_inbox i
JOIN connection c ON c.id = i.connection_id
JOIN sales_order o ON o.channel_id = c.channel_id AND i.entity = 'order:' || o.external_id
WHERE o.id = ANY (%(orders)s::uuid[]) AND i.trust = 'data' ORDER BY i.id
"""
# What the trail calls the records of a person: kind and identifier of each.
RECORDS = """
SELECT 'customer' AS entity, p::text AS id FROM unnest(%(profiles)s::uuid[]) AS p
UNION ALL SELECT 'message_preference', p::text FROM unnest(%(profiles)s::uuid[]) AS p
UNION ALL SELECT 'order', o::text FROM unnest(%(orders)s::uuid[]) AS o
UNION ALL SELECT 'message', m.id::text FROM message m WHERE m.order_id = ANY (%(orders)s::uuid[])
UNION ALL SELECT 'fulfillment', f.id::text FROM fulfillment_order f WHERE f.order_id = ANY (%(orders)s::uuid[])
UNION ALL SELECT 'shipment', s.id::text FROM shipment s WHERE s.order_id = ANY (%(orders)s::uuid[])
UNION ALL SELECT 'tender', t.id::text FROM tender t WHERE t.order_id = ANY (%(orders)s::uuid[])
UNION ALL SELECT 'order_note', n.id::text FROM order_note n WHERE n.order_id = ANY (%(orders)s::uuid[])
"""


class Erasure(msgspec.Struct, frozen=True, kw_only=True):
    """That somebody was erased: when, by whom, why, in how many orders and messages, and what the law has kept."""

    number: int
    at: datetime
    orders: int
    messages: int
    documents: int
    person: str
    reason: str


async def erasure(tx: Tx, customer_id: UUID) -> Erasure | None:
    """Return that a customer was erased; None: they were not."""
    return await tx.maybe(Erasure, ERASURE, {"customer": customer_id})


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """A person who is looked for before they are erased. Without `since` nothing was looked at yet."""

    customer_id: UUID
    number: int
    actor: str
    person: str
    reason: str
    begun_at: datetime
    tries: int
    known: str | None
    since: str | None
    log_end: int | None
    positions: list[int]
    refused: dict[str, Any] | None  # `platform.refusals.kept`
    looked: float  # the share of all


async def search(tx: Tx, customer_id: UUID) -> Search | None:
    """Return that a person is looked for, or why they could not be erased; None: neither."""
    return await tx.maybe(Search, SEARCH, {"customer": customer_id})


def sealed_in(table: str, column: str, channel: str | None) -> sql.Composed:
    """Return the statement that reads the sealed secrets of a column, of one channel or all: of small tables."""
    asked = sql.SQL("SELECT {column} FROM {table} WHERE {column} IS NOT NULL{only}")
    only = sql.SQL("") if channel is None else sql.SQL(" AND channel = {}").format(sql.Literal(channel))
    return asked.format(table=sql.Identifier(table), column=sql.Identifier(column), only=only)
