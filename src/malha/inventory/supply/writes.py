"""Statements that change supply. The order is locked before its lines, receipts and stock."""

# The unique index on kind, supplier and reference: the same order twice is one order.
INSERT_ORDER = """
INSERT INTO inbound_order (id, kind, supplier, reference, location_id, over_percent, note, created_by)
VALUES (%(id)s::uuid, %(kind)s::text, %(supplier)s::text, %(reference)s::text, %(location_id)s::int,
        %(over_percent)s::smallint, %(note)s::text, %(actor)s::text)
ON CONFLICT (kind, supplier, reference) WHERE reference IS NOT NULL DO NOTHING
RETURNING id, number
"""
ORDER_BY_REFERENCE = """
SELECT id, number, location_id FROM inbound_order
WHERE kind = %(kind)s::text AND supplier = %(supplier)s::text AND reference = %(reference)s::text
"""
# By the primary key.
ORDERED = """
SELECT sku_id, sum(quantity)::bigint FROM inbound_line WHERE order_id = %(id)s::uuid GROUP BY sku_id
"""
INSERT_LINES = """
INSERT INTO inbound_line (order_id, line, sku_id, location_id, quantity, unit_cost, eta)
SELECT %(order_id)s::uuid, line, sku_id, %(location_id)s::int, quantity, unit_cost, eta
FROM unnest(%(lines)s::smallint[], %(skus)s::int[], %(quantities)s::int[], %(costs)s::bigint[], %(etas)s::date[])
     AS w(line, sku_id, quantity, unit_cost, eta)
"""
# One who receives, reschedules or drops at a time: what is expected is decided under this lock.
LOCK_ORDER = """
SELECT id, number, kind, supplier, location_id, state, over_percent, seq, reference, note
FROM inbound_order WHERE number = %(number)s::bigint
FOR NO KEY UPDATE
"""
LOCK_ORDER_BY_ID = """
SELECT id, number, kind, supplier, location_id, state, over_percent, seq, reference, note
FROM inbound_order WHERE id = %(id)s::uuid
FOR NO KEY UPDATE
"""
LINES = """
SELECT line, sku_id, quantity, received, dropped, eta, unit_cost FROM inbound_line
WHERE order_id = %(order_id)s::uuid ORDER BY line
"""
# Signed: a receipt that is taken back makes its goods expected again.
RECEIVE_LINES = """
UPDATE inbound_line l SET received = l.received + w.units
FROM (SELECT line, sum(units)::int AS units FROM unnest(%(lines)s::smallint[], %(units)s::int[]) AS u(line, units)
      GROUP BY line) w
WHERE l.order_id = %(order_id)s::uuid AND l.line = w.line
"""
# Returns what was expected until now.
DROP_LINES = """
WITH dropped AS (
    SELECT line, sku_id, expected FROM inbound_line
    WHERE order_id = %(order_id)s::uuid AND expected > 0
      AND (%(lines)s::smallint[] IS NULL OR line = ANY (%(lines)s::smallint[]))
)
UPDATE inbound_line l SET dropped = l.dropped + d.expected, drop_reason = %(reason)s::text
FROM dropped d WHERE l.order_id = %(order_id)s::uuid AND l.line = d.line
RETURNING l.line, d.sku_id, d.expected
"""
RESCHEDULE_LINES = """
WITH moved AS (
    SELECT l.line, l.sku_id, l.expected, l.eta AS was, w.eta AS became
    FROM inbound_line l JOIN unnest(%(lines)s::smallint[], %(etas)s::date[]) AS w(line, eta) ON w.line = l.line
    WHERE l.order_id = %(order_id)s::uuid AND l.expected > 0 AND l.eta <> w.eta
), history AS (
    INSERT INTO inbound_eta (order_id, line, was, became, reason, actor)
    SELECT %(order_id)s::uuid, line, was, became, %(reason)s::text, %(actor)s::text FROM moved ORDER BY line
)
UPDATE inbound_line l SET eta = m.became
FROM moved m WHERE l.order_id = %(order_id)s::uuid AND l.line = m.line
RETURNING l.line, m.sku_id, m.expected, m.was, m.became
"""
# What is stated of lines as they are to be; the order is locked.
RESTATE_LINES = """
UPDATE inbound_line l SET quantity = w.quantity, unit_cost = w.unit_cost
FROM unnest(%(lines)s::smallint[], %(quantities)s::int[], %(costs)s::bigint[]) AS w(line, quantity, unit_cost)
WHERE l.order_id = %(order_id)s::uuid AND l.line = w.line
"""
# No row when another order of the supplier has the reference. One who takes it at the same time is refused by the
# unique index.
RESTATE_HEAD = """
UPDATE inbound_order o
SET reference = %(reference)s::text, note = %(note)s::text, over_percent = %(over_percent)s::smallint
WHERE o.id = %(id)s::uuid
  AND NOT EXISTS (SELECT FROM inbound_order x WHERE x.kind = o.kind AND x.supplier = o.supplier
                  AND x.reference = %(reference)s::text AND x.id <> o.id)
RETURNING id
"""
RESTATE_ORDER = """
UPDATE inbound_order SET state = %(state)s::text, seq = seq + 1,
       cancelled_at = CASE WHEN %(state)s::text = 'cancelled' THEN coalesce(cancelled_at, now()) END
WHERE id = %(id)s::uuid
RETURNING seq
"""
# Of two who take one delivery in at once the second waits, and finds it received. Before the order is locked.
LOCK_DOCUMENT = """
SELECT pg_advisory_xact_lock(hashtextextended(
    'receipt:' || current_schema() || ':' || %(location_id)s::int || ':' || lower(%(document)s::text), 0))
"""
# By the trigrams of documents. What was taken back does not stand as received.
RECEIVED_BY_DOCUMENT = """
SELECT r.number, l.sku_id, sum(l.quantity)::bigint
FROM receipt r JOIN receipt_line l ON l.receipt_id = r.id
WHERE r.document ILIKE %(document)s::text AND r.location_id = %(location_id)s::int AND r.id <> %(id)s::uuid
  AND r.undone_at IS NULL AND r.transfer_id IS NULL
GROUP BY r.number, l.sku_id
ORDER BY r.number
"""
# The primary key is the receiver's own: of two that send it at once, one waits here and finds it done.
INSERT_RECEIPT = """
INSERT INTO receipt (id, location_id, order_id, transfer_id, document, note, received_at, received_by, complete)
VALUES (%(id)s::uuid, %(location_id)s::int, %(order_id)s::uuid, %(transfer_id)s::uuid, %(document)s::text,
        %(note)s::text, coalesce(%(received_at)s::timestamptz, now()), %(actor)s::text, %(complete)s::boolean)
ON CONFLICT (id) DO NOTHING
RETURNING number
"""
RECEIPT_SENT = """
SELECT number, undone_at IS NOT NULL, complete, location_id, order_id, transfer_id FROM receipt WHERE id = %(id)s::uuid
"""
INSERT_RECEIPT_LINES = """
INSERT INTO receipt_line (receipt_id, position, sku_id, order_line, bucket, quantity, shipment)
SELECT %(receipt_id)s::uuid, position, sku_id, order_line, bucket, quantity, shipment
FROM unnest(%(skus)s::int[], %(order_lines)s::smallint[], %(buckets)s::text[], %(quantities)s::int[],
            %(shipments)s::smallint[])
     WITH ORDINALITY AS w(sku_id, order_line, bucket, quantity, shipment, position)
"""
RECEIPT = """
SELECT id, number, location_id, order_id, transfer_id, undone_at FROM receipt WHERE number = %(number)s::bigint
"""
# Conditional: of two that take a receipt back at once, one does.
UNDO_RECEIPT = """
UPDATE receipt SET undone_at = now(), undone_by = %(actor)s::text, undo_reason = %(reason)s::text
WHERE id = %(id)s::uuid AND undone_at IS NULL
RETURNING id
"""
RECEIPT_SHIPMENTS = """
SELECT DISTINCT shipment FROM receipt_line WHERE receipt_id = %(id)s::uuid AND shipment IS NOT NULL
"""
RECEIPT_LINES = """
SELECT sku_id, quantity, bucket, order_line FROM receipt_line WHERE receipt_id = %(id)s::uuid ORDER BY position
"""
