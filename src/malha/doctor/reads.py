"""What the doctor asks. Every statement returns its findings and, last, how many there are in all; set-based, capped.

All run in one REPEATABLE READ snapshot, so that a busy shop cannot look sick.
"""

from collections.abc import Collection

from psycopg import sql

# The ledger's partitions, with what was written down when they were closed.
LEDGER_PARTITIONS = """
SELECT c.relname::text, p.rows, p.last_id
FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid LEFT JOIN movement_partition p ON p.partition = c.relname
WHERE inhparent = 'movement'::regclass
ORDER BY c.relname
"""
# {ledger} is one SELECT per partition: its rows while it is open, its closing once that is proved.
_BALANCE_IS_NOT_LEDGER = """
WITH ledger AS (
    SELECT sku_id, location_id, sum(on_hand) AS on_hand, sum(allocated) AS allocated, sum(held) AS held
    FROM ({ledger}) rows GROUP BY sku_id, location_id
)
SELECT coalesce(v.sku, '#' || coalesce(b.sku_id, g.sku_id)) AS sku,
       coalesce(l.code, '#' || coalesce(b.location_id, g.location_id)) AS location,
       coalesce(b.on_hand, 0) AS on_hand, coalesce(g.on_hand, 0)::bigint AS ledger_on_hand,
       coalesce(b.allocated, 0) AS allocated, coalesce(g.allocated, 0)::bigint AS ledger_allocated,
       coalesce(b.held, 0) AS held, coalesce(g.held, 0)::bigint AS ledger_held, count(*) OVER () AS total
FROM balance b
FULL JOIN ledger g ON g.sku_id = b.sku_id AND g.location_id = b.location_id
LEFT JOIN variant v ON v.id = coalesce(b.sku_id, g.sku_id)
LEFT JOIN location l ON l.id = coalesce(b.location_id, g.location_id)
WHERE coalesce(b.on_hand, 0) <> coalesce(g.on_hand, 0) OR coalesce(b.allocated, 0) <> coalesce(g.allocated, 0)
   OR coalesce(b.held, 0) <> coalesce(g.held, 0)
ORDER BY 1, 2
LIMIT {cap}
"""
_OPEN_PARTITION = """
SELECT sku_id, location_id, sum(d_on_hand) AS on_hand, sum(d_allocated) AS allocated, sum(d_held) AS held
FROM {partition} WHERE bucket = 'sellable' GROUP BY sku_id, location_id
"""
_CLOSED_PARTITION = """
SELECT sku_id, location_id, on_hand, allocated, held FROM movement_closing
WHERE partition = {partition} AND bucket = 'sellable'
"""
# The same for the other buckets, which are few beside the sellable one.
_BUCKET_IS_NOT_LEDGER = """
WITH ledger AS (
    SELECT sku_id, location_id, bucket, sum(on_hand) AS on_hand
    FROM ({ledger}) rows GROUP BY sku_id, location_id, bucket
)
SELECT coalesce(v.sku, '#' || coalesce(b.sku_id, g.sku_id)) AS sku,
       coalesce(l.code, '#' || coalesce(b.location_id, g.location_id)) AS location,
       coalesce(b.bucket, g.bucket) AS bucket, coalesce(b.quantity, 0) AS quantity,
       coalesce(g.on_hand, 0)::bigint AS ledger, count(*) OVER () AS total
FROM bucket_balance b
FULL JOIN ledger g ON g.sku_id = b.sku_id AND g.location_id = b.location_id AND g.bucket = b.bucket
LEFT JOIN variant v ON v.id = coalesce(b.sku_id, g.sku_id)
LEFT JOIN location l ON l.id = coalesce(b.location_id, g.location_id)
WHERE coalesce(b.quantity, 0) <> coalesce(g.on_hand, 0)
ORDER BY 1, 2, 3
LIMIT {cap}
"""
_OPEN_BUCKETS = """
SELECT sku_id, location_id, bucket, sum(d_on_hand) AS on_hand
FROM {partition} WHERE bucket <> 'sellable' GROUP BY sku_id, location_id, bucket
"""
_CLOSED_BUCKETS = """
SELECT sku_id, location_id, bucket, on_hand FROM movement_closing
WHERE partition = {partition} AND bucket <> 'sellable'
"""
# Sides of a move that do not cancel out, in the months that are still open. A partition's own check: no move spans two,
# because all its sides are written by one transaction. Transfers that sources report are theirs: the other side may be
# where no stock of ours is, told later, by another source or by none.
_MOVE_IS_NOT_WHOLE = """
SELECT m.reason, coalesce(m.ref_text, m.ref_id::text, '') AS reference, v.sku, sum(m.units)::bigint AS units,
       count(*) OVER () AS total
FROM ({ledger}) m JOIN variant v ON v.id = m.sku_id
GROUP BY m.reason, m.ref_id, m.ref_text, v.sku HAVING sum(m.units) <> 0
ORDER BY 1, 2, 3
LIMIT {cap}
"""
_OPEN_MOVES = """
SELECT reason, ref_id, ref_text, sku_id, sum(d_on_hand) AS units
FROM {partition} WHERE reason IN ('move', 'transfer') AND ref_kind IS DISTINCT FROM 'source'
GROUP BY reason, ref_id, ref_text, sku_id
"""
_PARTITION_PROOF = "SELECT count(*), coalesce(max(id), 0) FROM {partition}"


def balance_is_not_ledger(opened: Collection[str], closed: Collection[str], cap: int) -> sql.Composed:
    """Return the statement that compares balances with the rows of open partitions and the closings of the others."""
    parts = [sql.SQL(_OPEN_PARTITION).format(partition=sql.Identifier(name)) for name in opened]
    parts += [sql.SQL(_CLOSED_PARTITION).format(partition=sql.Literal(name)) for name in closed]
    ledger = sql.SQL(" UNION ALL ").join(parts)
    return sql.SQL(_BALANCE_IS_NOT_LEDGER).format(ledger=ledger, cap=sql.Literal(cap))


def bucket_is_not_ledger(opened: Collection[str], closed: Collection[str], cap: int) -> sql.Composed:
    """Return the statement that compares the buckets that may not be sold with the ledger."""
    parts = [sql.SQL(_OPEN_BUCKETS).format(partition=sql.Identifier(name)) for name in opened]
    parts += [sql.SQL(_CLOSED_BUCKETS).format(partition=sql.Literal(name)) for name in closed]
    ledger = sql.SQL(" UNION ALL ").join(parts)
    return sql.SQL(_BUCKET_IS_NOT_LEDGER).format(ledger=ledger, cap=sql.Literal(cap))


def move_is_not_whole(opened: Collection[str], cap: int) -> sql.Composed:
    """Return the statement that finds moves whose sides do not cancel out, in open partitions."""
    parts = [sql.SQL(_OPEN_MOVES).format(partition=sql.Identifier(name)) for name in opened]
    return sql.SQL(_MOVE_IS_NOT_WHOLE).format(ledger=sql.SQL(" UNION ALL ").join(parts), cap=sql.Literal(cap))


def partition_proof(partition: str) -> sql.Composed:
    """Return the statement that counts a partition's rows and finds its last id."""
    return sql.SQL(_PARTITION_PROOF).format(partition=sql.Identifier(partition))


# Partial index on claimed units. Goods that arrived for units which wait are claimed before the units follow.
ALLOCATED_IS_NOT_UNITS = """
WITH claimed AS (
    SELECT sku_id, location_id, sum(quantity) AS quantity FROM (
        SELECT sku_id, location_id, quantity FROM order_unit
        WHERE state = ANY (%(claiming)s::text[]) AND location_id IS NOT NULL AND sku_id IS NOT NULL
        UNION ALL
        SELECT sku_id, location_id, quantity FROM supply_claim WHERE state = 'arrived'
    ) u
    GROUP BY sku_id, location_id
)
SELECT coalesce(v.sku, '#' || coalesce(b.sku_id, c.sku_id)) AS sku,
       coalesce(l.code, '#' || coalesce(b.location_id, c.location_id)) AS location,
       coalesce(b.allocated, 0) AS allocated, coalesce(c.quantity, 0)::bigint AS units,
       count(*) OVER () AS total
FROM (SELECT * FROM balance WHERE allocated <> 0) b
FULL JOIN claimed c ON c.sku_id = b.sku_id AND c.location_id = b.location_id
LEFT JOIN variant v ON v.id = coalesce(b.sku_id, c.sku_id)
LEFT JOIN location l ON l.id = coalesce(b.location_id, c.location_id)
WHERE coalesce(b.allocated, 0) <> coalesce(c.quantity, 0)
ORDER BY 1, 2
LIMIT %(cap)s::int
"""
# A claiming unit without a place claims nothing anywhere.
CLAIM_WITHOUT_PLACE = """
SELECT o.number, u.line, u.part, u.state, u.quantity, count(*) OVER () AS total
FROM order_unit u JOIN sales_order o ON o.id = u.order_id
WHERE u.state = ANY (%(claiming)s::text[]) AND (u.location_id IS NULL OR u.sku_id IS NULL)
ORDER BY o.number, u.line, u.part
LIMIT %(cap)s::int
"""
# Partial index on active holds.
HELD_IS_NOT_HOLDS = """
WITH holding AS (
    SELECT h.sku_id, h.location_id, sum(h.quantity) AS quantity
    FROM stock_hold_line h JOIN stock_hold s ON s.id = h.hold_id
    WHERE s.state = 'active' GROUP BY h.sku_id, h.location_id
)
SELECT coalesce(v.sku, '#' || coalesce(b.sku_id, h.sku_id)) AS sku,
       coalesce(l.code, '#' || coalesce(b.location_id, h.location_id)) AS location,
       coalesce(b.held, 0) AS held, coalesce(h.quantity, 0)::bigint AS holds,
       count(*) OVER () AS total
FROM (SELECT * FROM balance WHERE held <> 0) b
FULL JOIN holding h ON h.sku_id = b.sku_id AND h.location_id = b.location_id
LEFT JOIN variant v ON v.id = coalesce(b.sku_id, h.sku_id)
LEFT JOIN location l ON l.id = coalesce(b.location_id, h.location_id)
WHERE coalesce(b.held, 0) <> coalesce(h.quantity, 0)
ORDER BY 1, 2
LIMIT %(cap)s::int
"""
# Per line and SKU: what was sold (kits by component) against its units. 0 stands for an unknown SKU.
UNITS_ARE_NOT_CONSERVED = """
WITH sold AS (
    SELECT l.order_id, l.line, coalesce(c.sku_id, l.sku_id, 0) AS sku_id,
           l.quantity::bigint * coalesce(c.quantity, 1) AS quantity
    FROM order_line l LEFT JOIN order_component c ON c.order_id = l.order_id AND c.line = l.line
), units AS (
    SELECT order_id, line, coalesce(sku_id, 0) AS sku_id, sum(quantity) AS quantity
    FROM order_unit GROUP BY order_id, line, coalesce(sku_id, 0)
), wrong AS (
    SELECT coalesce(s.order_id, u.order_id) AS order_id, coalesce(s.line, u.line) AS line,
           coalesce(s.sku_id, u.sku_id) AS sku_id, coalesce(s.quantity, 0) AS sold,
           coalesce(u.quantity, 0)::bigint AS units
    FROM sold s FULL JOIN units u ON u.order_id = s.order_id AND u.line = s.line AND u.sku_id = s.sku_id
    WHERE coalesce(s.quantity, 0) <> coalesce(u.quantity, 0)
)
SELECT o.number, w.line, coalesce(v.sku, '?') AS sku, w.sold, w.units, count(*) OVER () AS total
FROM wrong w JOIN sales_order o ON o.id = w.order_id LEFT JOIN variant v ON v.id = w.sku_id
ORDER BY 1, 2, 3
LIMIT %(cap)s::int
"""
# The status as units and open holds say it; %(states)s, %(ranks)s and %(statuses)s are ordering.rules in tabular form.
STATUS_IS_NOT_DERIVED = """
WITH rule AS (
    SELECT * FROM unnest(%(states)s::text[], %(ranks)s::int[], %(statuses)s::text[]) AS r (state, rank, status)
), fronts AS (
    SELECT u.order_id, min(r.rank) AS front, bool_and(r.state IS NULL OR r.state = ANY (%(gone)s::text[])) AS all_gone
    FROM order_unit u LEFT JOIN rule r ON r.state = u.state
    GROUP BY u.order_id
), holds AS (
    SELECT order_id, bool_and(kind IN ('payment', 'payment_lapsed')) AS only_payment
    FROM order_hold WHERE resolved_at IS NULL GROUP BY order_id
), derived AS (
    SELECT o.number, o.status,
           CASE WHEN f.order_id IS NULL THEN 'placed'
                WHEN f.front IS NULL THEN 'cancelled'
                WHEN h.order_id IS NOT NULL AND NOT f.all_gone
                    THEN CASE WHEN h.only_payment THEN 'awaiting_payment' ELSE 'on_hold' END
                ELSE (SELECT r.status FROM rule r WHERE r.rank = f.front) END AS derived
    FROM sales_order o LEFT JOIN fronts f ON f.order_id = o.id LEFT JOIN holds h ON h.order_id = o.id
)
SELECT number, status, derived, count(*) OVER () AS total
FROM derived WHERE status <> derived
ORDER BY number
LIMIT %(cap)s::int
"""
# Each order against the sum of its lines; the header's own sum is a CHECK of the table.
TOTAL_IS_NOT_LINES = """
SELECT o.number, o.items_total, coalesce(l.total, 0)::bigint AS lines_total, count(*) OVER () AS total
FROM sales_order o
LEFT JOIN (SELECT order_id, sum(total) AS total FROM order_line GROUP BY order_id) l ON l.order_id = o.id
WHERE o.items_total <> coalesce(l.total, 0)
ORDER BY o.number
LIMIT %(cap)s::int
"""
# What cancelling took off: nothing without a cancelled unit, everything when all are, something between otherwise.
CANCELLED_TOTAL_IS_WRONG = """
WITH units AS (
    SELECT order_id, bool_and(state = 'cancelled') AS whole, bool_or(state = 'cancelled') AS part
    FROM order_unit GROUP BY order_id
)
SELECT o.number, o.total AS order_total, o.cancelled_total, count(*) OVER () AS total
FROM sales_order o JOIN units u ON u.order_id = o.id
WHERE o.cancelled_total <> 0 AND NOT u.part OR u.whole AND o.cancelled_total <> o.total
   OR o.cancelled_total NOT BETWEEN 0 AND greatest(o.total, 0)
ORDER BY o.number
LIMIT %(cap)s::int
"""
# The sums of an order against the entries of its tenders.
PAYMENT_IS_NOT_LEDGER = """
WITH entries AS (
    SELECT t.order_id, coalesce(sum(e.amount) FILTER (WHERE e.kind = 'authorised'), 0)::bigint AS authorised,
           coalesce(sum(e.amount) FILTER (WHERE e.kind = 'captured'), 0)::bigint AS captured,
           coalesce(sum(e.amount) FILTER (WHERE e.kind = 'refunded'), 0)::bigint AS refunded,
           coalesce(sum(e.amount) FILTER (WHERE e.kind = 'voided'), 0)::bigint AS voided,
           coalesce(sum(e.amount) FILTER (WHERE e.kind = 'charged_back'), 0)::bigint AS charged_back,
           coalesce(sum(e.amount) FILTER (WHERE e.kind = 'refunded' AND e.favour), 0)::bigint AS favour
    FROM tender t JOIN payment_entry e ON e.tender_id = t.id
    GROUP BY t.order_id
)
SELECT o.number, coalesce(p.authorised, 0) AS authorised, coalesce(e.authorised, 0) AS ledger_authorised,
       coalesce(p.captured, 0) AS captured, coalesce(e.captured, 0) AS ledger_captured,
       coalesce(p.refunded, 0) AS refunded, coalesce(e.refunded, 0) AS ledger_refunded,
       coalesce(p.voided, 0) AS voided, coalesce(e.voided, 0) AS ledger_voided,
       coalesce(p.charged_back, 0) AS charged_back, coalesce(e.charged_back, 0) AS ledger_charged_back,
       coalesce(p.favour, 0) AS favour, coalesce(e.favour, 0) AS ledger_favour,
       count(*) OVER () AS total
FROM order_payment p
FULL JOIN entries e ON e.order_id = p.order_id
JOIN sales_order o ON o.id = coalesce(p.order_id, e.order_id)
WHERE (coalesce(p.authorised, 0), coalesce(p.captured, 0), coalesce(p.refunded, 0), coalesce(p.voided, 0),
       coalesce(p.charged_back, 0), coalesce(p.favour, 0))
   <> (coalesce(e.authorised, 0), coalesce(e.captured, 0), coalesce(e.refunded, 0), coalesce(e.voided, 0),
       coalesce(e.charged_back, 0), coalesce(e.favour, 0))
ORDER BY o.number
LIMIT %(cap)s::int
"""
# What is to be given back, as `payments.writes` counts it: what was captured beyond what the order still costs. A
# cancellation is followed by the subscriber that settles payments: orders with news for it are left until it had them.
REFUND_DUE_IS_WRONG = """
WITH news AS (
    SELECT key FROM outbox
    UNION SELECT key FROM event
    WHERE position > coalesce((SELECT position FROM subscriber WHERE name = 'order_payments'), 0)
    UNION SELECT key FROM parked_key WHERE subscriber = 'order_payments'
)
SELECT o.number, p.refund_due,
       greatest(p.captured - p.refunded - p.charged_back - greatest(o.total - o.cancelled_total - p.favour, 0), 0)
           AS due,
       count(*) OVER () AS total
FROM order_payment p JOIN sales_order o ON o.id = p.order_id
WHERE p.refund_due
   <> greatest(p.captured - p.refunded - p.charged_back - greatest(o.total - o.cancelled_total - p.favour, 0), 0)
  AND NOT EXISTS (SELECT FROM news WHERE key = 'order:' || o.id)
ORDER BY o.number
LIMIT %(cap)s::int
"""
# Per tender, because money goes back the way it came: refunded, and charged back, <= captured <= what was authorised,
# else the amount.
TENDER_BEYOND_LIMITS = """
SELECT o.number, t.position, t.kind, t.amount, s.authorised::bigint, s.voided::bigint, s.captured::bigint,
       s.refunded::bigint, s.charged_back::bigint, count(*) OVER () AS total
FROM (
    SELECT tender_id, coalesce(sum(amount) FILTER (WHERE kind = 'authorised'), 0) AS authorised,
           coalesce(sum(amount) FILTER (WHERE kind = 'voided'), 0) AS voided,
           coalesce(sum(amount) FILTER (WHERE kind = 'captured'), 0) AS captured,
           coalesce(sum(amount) FILTER (WHERE kind = 'refunded'), 0) AS refunded,
           coalesce(sum(amount) FILTER (WHERE kind = 'charged_back'), 0) AS charged_back
    FROM payment_entry GROUP BY tender_id
) s
JOIN tender t ON t.id = s.tender_id JOIN sales_order o ON o.id = t.order_id
WHERE greatest(s.refunded, s.charged_back) > s.captured OR s.authorised - s.voided > t.amount
   OR s.authorised < s.voided
   OR s.captured > CASE WHEN s.authorised > 0 THEN s.authorised - s.voided ELSE t.amount END
ORDER BY o.number, t.position
LIMIT %(cap)s::int
"""
# From the claims that are another order's: of most entries the claim is their own order's, found by its primary key. A
# channel may part one purchase into several orders, and what waits for a person, or was looked at, is known.
ONE_PIX_TWICE = """
SELECT o.number, f.number AS other, c.reference, count(*) OVER () AS total
FROM payment_entry e
JOIN tender t ON t.id = e.tender_id
JOIN payment_claim c ON c.reference = upper(btrim(e.reference)) AND c.order_id <> t.order_id
JOIN sales_order o ON o.id = t.order_id JOIN sales_order f ON f.id = c.order_id AND f.channel_id <> o.channel_id
WHERE e.kind = 'captured'
  AND NOT EXISTS (SELECT FROM order_hold h WHERE h.order_id = o.id AND h.kind = 'payment_elsewhere')
ORDER BY o.number, c.reference
LIMIT %(cap)s::int
"""
# An authorised document covers exactly the units that carry its id.
DOCUMENT_IS_NOT_UNITS = """
WITH papers AS (
    SELECT l.document_id, l.order_id, l.line, l.sku_id, sum(l.quantity) AS quantity
    FROM fiscal_line l JOIN fiscal_document d ON d.id = l.document_id
    WHERE d.state = 'authorised' GROUP BY l.document_id, l.order_id, l.line, l.sku_id
), covered AS (
    SELECT document_id, order_id, line, sku_id, sum(quantity) AS quantity
    FROM order_unit WHERE document_id IS NOT NULL GROUP BY document_id, order_id, line, sku_id
), wrong AS (
    SELECT coalesce(p.document_id, c.document_id) AS document_id, coalesce(p.order_id, c.order_id) AS order_id,
           coalesce(p.line, c.line) AS line, coalesce(p.sku_id, c.sku_id) AS sku_id,
           coalesce(p.quantity, 0)::bigint AS documented, coalesce(c.quantity, 0)::bigint AS units
    FROM papers p FULL JOIN covered c
      ON c.document_id = p.document_id AND c.order_id = p.order_id AND c.line = p.line AND c.sku_id = p.sku_id
    WHERE coalesce(p.quantity, 0) <> coalesce(c.quantity, 0)
)
SELECT o.number, w.line, v.sku, coalesce(d.access_key::text, w.document_id::text) AS document, w.documented, w.units,
       count(*) OVER () AS total
FROM wrong w JOIN sales_order o ON o.id = w.order_id LEFT JOIN variant v ON v.id = w.sku_id
LEFT JOIN fiscal_document d ON d.id = w.document_id
ORDER BY o.number, w.line, v.sku
LIMIT %(cap)s::int
"""
# Work at a location against the units that belong to it: an open fulfillment order has units, an ended one has none
# waiting. What it sent to where the customer fetches it is counted there while it is on its way.
WORK_IS_NOT_UNITS = """
WITH units AS (
    SELECT fulfillment_id, state = 'in_transfer' AS sent, min(location_id) AS location_id,
           max(location_id) AS other_id, bool_or(state = ANY (%(claiming)s::text[])) AS claiming
    FROM order_unit WHERE fulfillment_id IS NOT NULL AND state <> 'cancelled' GROUP BY 1, 2
)
SELECT f.number, f.state, l.code AS location, count(*) OVER () AS total
FROM units u LEFT JOIN fulfillment_order f ON f.id = u.fulfillment_id LEFT JOIN location l ON l.id = f.location_id
WHERE f.id IS NULL
   OR (u.location_id, u.other_id) <> CASE
       WHEN u.sent THEN (f.to_location_id, f.to_location_id) ELSE (f.location_id, f.location_id) END
   OR u.claiming AND f.state IN ('closed', 'rejected', 'cancelled')
ORDER BY f.number
LIMIT %(cap)s::int
"""
# More is promised than is there, and nobody was told.
DEFICIT_MISSING = """
SELECT v.sku, l.code AS location, b.on_hand, b.allocated, count(*) OVER () AS total
FROM balance b JOIN variant v ON v.id = b.sku_id JOIN location l ON l.id = b.location_id
WHERE b.allocated > greatest(b.on_hand, 0) AND NOT EXISTS (
    SELECT FROM stock_deficit d
    WHERE d.sku_id = b.sku_id AND d.location_id = b.location_id AND d.resolved_at IS NULL)
ORDER BY v.sku, l.code
LIMIT %(cap)s::int
"""
# What all of a site share is written to each of its locations; a closed one keeps its own state.
SITES_DISAGREE = """
SELECT x.code AS location, s.code AS site, count(*) OVER () AS total
FROM location x JOIN location s ON s.id = x.site_id
WHERE s.site_id IS NOT NULL
   OR (x.address, x.state, x.postal_code, x.latitude, x.longitude, x.timezone, x.opening_hours, x.holiday_calendar,
       x.can_ship, x.can_pickup, x.can_curbside, x.can_return, x.cut_off, x.daily_capacity, x.handling_cost,
       x.line_cost, x.pickup_days)
    IS DISTINCT FROM (s.address, s.state, s.postal_code, s.latitude, s.longitude, s.timezone, s.opening_hours,
       s.holiday_calendar, s.can_ship, s.can_pickup, s.can_curbside, s.can_return, s.cut_off, s.daily_capacity,
       s.handling_cost, s.line_cost, s.pickup_days)
   OR (x.status <> 'closed' AND (x.status, x.paused_until) IS DISTINCT FROM (s.status, s.paused_until))
   OR EXISTS ((SELECT day FROM location_closure WHERE location_id = x.id
               EXCEPT SELECT day FROM location_closure WHERE location_id = s.id)
              UNION ALL
              (SELECT day FROM location_closure WHERE location_id = s.id
               EXCEPT SELECT day FROM location_closure WHERE location_id = x.id))
ORDER BY s.code, x.code
LIMIT %(cap)s::int
"""
# Capacity taken on a day is that of the work that was not given back.
CAPACITY_IS_NOT_WORK = """
WITH work AS (
    SELECT location_id, capacity_day AS day, count(*) AS pieces FROM fulfillment_order
    WHERE state NOT IN ('rejected', 'cancelled') GROUP BY location_id, capacity_day
)
SELECT l.code AS location, coalesce(d.day, w.day) AS day, coalesce(d.taken, 0) AS taken,
       coalesce(w.pieces, 0) AS pieces, count(*) OVER () AS total
FROM location_day d FULL JOIN work w ON w.location_id = d.location_id AND w.day = d.day
LEFT JOIN location l ON l.id = coalesce(d.location_id, w.location_id)
WHERE coalesce(d.taken, 0) <> coalesce(w.pieces, 0)
ORDER BY l.code, 2
LIMIT %(cap)s::int
"""
# The tables intake writes have no foreign keys (each would lock its parent row for every order): this stands in for
# them.
ORPHANS = """
WITH orphan (child, row, parent) AS (
    SELECT 'capacity_reservation', r.id::text, 'sales_order' FROM capacity_reservation r
    WHERE r.state = 'confirmed' AND NOT EXISTS (SELECT FROM sales_order o WHERE o.id = r.order_id)
    UNION ALL
    SELECT 'sales_order', o.number::text, 'channel' FROM sales_order o
    WHERE NOT EXISTS (SELECT FROM channel c WHERE c.id = o.channel_id)
    UNION ALL
    SELECT 'sales_order', o.number::text, 'service' FROM sales_order o
    WHERE o.service_id IS NOT NULL AND NOT EXISTS (SELECT FROM service s WHERE s.id = o.service_id)
    UNION ALL
    SELECT 'sales_order', o.number::text, 'location' FROM sales_order o
    WHERE o.pickup_location_id IS NOT NULL AND NOT EXISTS (SELECT FROM location l WHERE l.id = o.pickup_location_id)
    UNION ALL
    SELECT 'order_customer', k.order_id::text, 'customer' FROM order_customer k
    WHERE NOT EXISTS (SELECT FROM customer c WHERE c.id = k.customer_id)
    UNION ALL
    SELECT 'order_customer', k.order_id::text, 'sales_order' FROM order_customer k
    WHERE NOT EXISTS (SELECT FROM sales_order o WHERE o.id = k.order_id)
    UNION ALL
    SELECT 'order_line', concat_ws('/', l.order_id, l.line), 'sales_order' FROM order_line l
    WHERE NOT EXISTS (SELECT FROM sales_order o WHERE o.id = l.order_id)
    UNION ALL
    SELECT 'order_line', concat_ws('/', l.order_id, l.line), 'variant' FROM order_line l
    WHERE l.sku_id IS NOT NULL AND NOT EXISTS (SELECT FROM variant v WHERE v.id = l.sku_id)
    UNION ALL
    SELECT 'order_component', concat_ws('/', c.order_id, c.line), 'order_line' FROM order_component c
    WHERE NOT EXISTS (SELECT FROM order_line l WHERE l.order_id = c.order_id AND l.line = c.line)
    UNION ALL
    SELECT 'order_unit', concat_ws('/', u.order_id, u.line, u.part), 'order_line' FROM order_unit u
    WHERE NOT EXISTS (SELECT FROM order_line l WHERE l.order_id = u.order_id AND l.line = u.line)
    UNION ALL
    SELECT 'order_component', concat_ws('/', c.order_id, c.line), 'variant' FROM order_component c
    WHERE NOT EXISTS (SELECT FROM variant v WHERE v.id = c.sku_id)
    UNION ALL
    SELECT 'order_unit', concat_ws('/', u.order_id, u.line, u.part), 'variant' FROM order_unit u
    WHERE u.sku_id IS NOT NULL AND NOT EXISTS (SELECT FROM variant v WHERE v.id = u.sku_id)
    UNION ALL
    SELECT 'order_unit', concat_ws('/', u.order_id, u.line, u.part), 'location' FROM order_unit u
    WHERE u.location_id IS NOT NULL AND NOT EXISTS (SELECT FROM location l WHERE l.id = u.location_id)
    UNION ALL
    SELECT 'order_unit', concat_ws('/', u.order_id, u.line, u.part), 'fiscal_document' FROM order_unit u
    WHERE u.document_id IS NOT NULL AND NOT EXISTS (SELECT FROM fiscal_document d WHERE d.id = u.document_id)
    UNION ALL
    SELECT 'order_unit', concat_ws('/', u.order_id, u.line, u.part), 'shipment' FROM order_unit u
    WHERE u.shipment_id IS NOT NULL AND NOT EXISTS (SELECT FROM shipment s WHERE s.id = u.shipment_id)
    UNION ALL
    SELECT 'routing_decision', concat_ws('/', r.order_id, r.attempt), 'sales_order' FROM routing_decision r
    WHERE NOT EXISTS (SELECT FROM sales_order o WHERE o.id = r.order_id)
    UNION ALL
    SELECT 'tender', t.id::text, 'sales_order' FROM tender t
    WHERE NOT EXISTS (SELECT FROM sales_order o WHERE o.id = t.order_id)
    UNION ALL
    SELECT 'payment_entry', e.id::text, 'tender' FROM payment_entry e
    WHERE NOT EXISTS (SELECT FROM tender t WHERE t.id = e.tender_id)
    UNION ALL
    SELECT 'order_payment', p.order_id::text, 'sales_order' FROM order_payment p
    WHERE NOT EXISTS (SELECT FROM sales_order o WHERE o.id = p.order_id)
)
SELECT child, row, parent, count(*) OVER () AS total FROM orphan ORDER BY child, row, parent LIMIT %(cap)s::int
"""
# Goods on their way against what transfers have sent and nobody has settled.
TRANSIT_IS_NOT_TRANSFERS = """
WITH sent AS (
    SELECT l.sku_id, t.destination_id AS location_id, sum(l.transit) AS transit
    FROM transfer_line l JOIN transfer t ON t.id = l.transfer_id
    WHERE l.transit > 0 GROUP BY l.sku_id, t.destination_id
)
SELECT coalesce(v.sku, '#' || coalesce(b.sku_id, s.sku_id)) AS sku,
       coalesce(p.code, '#' || coalesce(b.location_id, s.location_id)) AS location,
       coalesce(b.quantity, 0) AS quantity, coalesce(s.transit, 0)::bigint AS transit, count(*) OVER () AS total
FROM (SELECT * FROM bucket_balance WHERE bucket = 'in_transit' AND quantity > 0) b
FULL JOIN sent s ON s.sku_id = b.sku_id AND s.location_id = b.location_id
LEFT JOIN variant v ON v.id = coalesce(b.sku_id, s.sku_id)
LEFT JOIN location p ON p.id = coalesce(b.location_id, s.location_id)
WHERE coalesce(b.quantity, 0) <> coalesce(s.transit, 0)
ORDER BY 1, 2
LIMIT %(cap)s::int
"""
# What lines of transfers say left and became of it against the shipments they left in.
TRANSFERS_ARE_NOT_SHIPMENTS = """
WITH shipments AS (
    SELECT s.transfer_id, l.line, sum(l.shipped) AS shipped, sum(l.arrived) AS arrived, sum(l.settled) AS settled
    FROM transfer_shipment s JOIN transfer_shipment_line l ON l.shipment_id = s.id GROUP BY s.transfer_id, l.line
)
SELECT t.number, coalesce(l.line, s.line) AS line, coalesce(l.shipped, 0) AS shipped, coalesce(l.arrived, 0) AS arrived,
       coalesce(l.settled, 0) AS settled, coalesce(s.shipped, 0)::bigint AS s_shipped,
       coalesce(s.arrived, 0)::bigint AS s_arrived, coalesce(s.settled, 0)::bigint AS s_settled,
       count(*) OVER () AS total
FROM (SELECT * FROM transfer_line WHERE shipped > 0) l
FULL JOIN shipments s ON s.transfer_id = l.transfer_id AND s.line = l.line
LEFT JOIN transfer t ON t.id = coalesce(l.transfer_id, s.transfer_id)
WHERE (coalesce(l.shipped, 0), coalesce(l.arrived, 0), coalesce(l.settled, 0))
      <> (coalesce(s.shipped, 0), coalesce(s.arrived, 0), coalesce(s.settled, 0))
ORDER BY 1, 2
LIMIT %(cap)s::int
"""
# The state of a transfer against what its units come to, as `inventory.transfers.rules.state_of` derives it.
STATE_IS_NOT_UNITS = """
WITH gone AS (
    SELECT transfer_id, sum(shipped) AS shipped, sum(transit) AS transit,
           sum(greatest(approved - shipped - dropped, 0)) AS rest
    FROM transfer_line GROUP BY transfer_id
), coming AS (
    SELECT s.transfer_id, sum(l.coming) AS coming
    FROM transfer_shipment s JOIN transfer_shipment_line l ON l.shipment_id = s.id
    WHERE l.coming > 0 GROUP BY s.transfer_id
), undecided AS (
    SELECT transfer_id, sum(quantity) AS units FROM transfer_discrepancy WHERE decision IS NULL GROUP BY transfer_id
), derived AS (
    SELECT t.number, t.state,
           CASE WHEN t.state IN ('approved', 'partly_shipped') THEN coalesce(g.rest, 0) ELSE 0 END AS rest,
           coalesce(c.coming, 0) AS coming,
           coalesce(u.units, 0) AS undecided,
           CASE WHEN t.state IN ('approved', 'partly_shipped') AND g.rest > 0
                THEN CASE WHEN g.shipped > 0 THEN 'partly_shipped' ELSE 'approved' END
                WHEN c.coming > 0 THEN 'shipped'
                WHEN g.transit > 0 OR u.units > 0 THEN 'received' ELSE 'closed' END AS by_units
    FROM transfer t LEFT JOIN gone g ON g.transfer_id = t.id LEFT JOIN coming c ON c.transfer_id = t.id
    LEFT JOIN undecided u ON u.transfer_id = t.id
    WHERE t.state NOT IN ('requested', 'cancelled')
)
SELECT number, state, by_units, rest::bigint AS rest, coming::bigint AS coming, undecided::bigint AS undecided,
       count(*) OVER () AS total
FROM derived WHERE state <> by_units
ORDER BY number
LIMIT %(cap)s::int
"""
# What lines of purchase and production orders say was received against the receipts that stand.
RECEIVED_IS_NOT_RECEIPTS = """
WITH receipts AS (
    SELECT r.order_id, l.order_line AS line, sum(l.quantity) AS units
    FROM receipt r JOIN receipt_line l ON l.receipt_id = r.id
    WHERE r.order_id IS NOT NULL AND r.undone_at IS NULL AND l.order_line IS NOT NULL
    GROUP BY r.order_id, l.order_line
)
SELECT o.number, coalesce(l.line, r.line) AS line, coalesce(l.received, 0) AS received,
       coalesce(r.units, 0)::bigint AS units, count(*) OVER () AS total
FROM inbound_line l
FULL JOIN receipts r ON r.order_id = l.order_id AND r.line = l.line
JOIN inbound_order o ON o.id = coalesce(l.order_id, r.order_id)
WHERE coalesce(l.received, 0) <> coalesce(r.units, 0)
ORDER BY 1, 2
LIMIT %(cap)s::int
"""
# The counter of the log against its last row: last partition, primary key.
LOG_IS_NOT_COUNTER = """
SELECT s.position, coalesce(e.position, 0) AS log_position, 1 AS total
FROM sequencer s LEFT JOIN (SELECT position FROM event ORDER BY position DESC LIMIT 1) e ON true
WHERE coalesce(e.position, s.position) <> s.position
"""
# Numbers come from a row, so the log has no gap from its oldest row on. Counting walks the primary key alone; which
# rows are missing is asked only where some are.
LOG_LACKS = "SELECT coalesce(max(position) - min(position) + 1 - count(*), 0)::bigint FROM event"
LOG_GAPS = """
SELECT e.before + 1 AS first, e.position - 1 AS last, e.position - e.before - 1 AS missing, count(*) OVER () AS total
FROM (SELECT position, lag(position) OVER (ORDER BY position) AS before FROM event) e
WHERE e.position > e.before + 1
ORDER BY e.position
LIMIT %(cap)s::int
"""
# Ahead of the log is impossible; it would skip events.
CHECKPOINT_AHEAD = """
SELECT s.name, s.position, q.position AS log_position, count(*) OVER () AS total
FROM subscriber s CROSS JOIN sequencer q WHERE s.position > q.position
ORDER BY s.name LIMIT %(cap)s::int
"""
# Every row needs a person, or will succeed by itself soon.
PARKED = """
SELECT p.subscriber, p.key, p.state, p.attempts, p.cause, p.error, p.first_failed_at,
       (SELECT count(*) FROM parked_event e WHERE e.subscriber = p.subscriber AND e.key = p.key) AS waiting,
       count(*) OVER () AS total
FROM parked_key p
ORDER BY (p.state = 'parked') DESC, p.first_failed_at
LIMIT %(cap)s::int
"""
# Behind by more than a worker that runs would ever be, or failing.
SUBSCRIBER_LAGS = """
SELECT s.name, q.position - s.position AS behind, s.failures, coalesce(s.error, '') AS error, e.at AS since,
       count(*) OVER () AS total
FROM subscriber s CROSS JOIN sequencer q
LEFT JOIN LATERAL (SELECT at FROM event WHERE position > s.position ORDER BY position LIMIT 1) e ON true
WHERE s.failures > 0 OR q.position > s.position AND e.at < now() - %(patience)s::interval
ORDER BY behind DESC
LIMIT %(cap)s::int
"""
# Checkpoints of subscribers the code does not have hold back the dropping of old partitions.
SUBSCRIBER_UNKNOWN = """
SELECT name, position, count(*) OVER () AS total FROM subscriber WHERE name <> ALL (%(names)s::text[])
ORDER BY name LIMIT %(cap)s::int
"""
# Nearly empty while a sequencer runs.
OUTBOX_WAITS = """
SELECT count(*) AS waiting, min(at) AS since, 1 AS total FROM outbox HAVING min(at) < now() - %(patience)s::interval
"""
# Expired holds keep stock from being sold until they are retired; refusals retire them, so do timers.
HOLDS_NOT_RETIRED = """
SELECT reference, expires_at, count(*) OVER () AS total FROM stock_hold
WHERE state = 'active' AND expires_at < now() - %(patience)s::interval
ORDER BY expires_at LIMIT %(cap)s::int
"""
# What keeps dead rows from being cleaned up: sessions, prepared transactions, replication slots of this cluster.
OLDEST_TRANSACTION = """
WITH holders AS (
    SELECT 'session' AS kind, concat_ws(' ', 'pid ' || pid, usename, application_name, state) AS name,
           xact_start AS since, greatest(age(backend_xmin), age(backend_xid)) AS age
    FROM pg_stat_activity
    WHERE pid <> pg_backend_pid() AND xact_start IS NOT NULL AND (backend_xmin IS NOT NULL OR backend_xid IS NOT NULL)
    UNION ALL
    SELECT 'prepared transaction', gid, prepared, age(transaction) FROM pg_prepared_xacts
    UNION ALL
    SELECT 'replication slot', slot_name, NULL, greatest(age(xmin), age(catalog_xmin)) FROM pg_replication_slots
    WHERE xmin IS NOT NULL OR catalog_xmin IS NOT NULL
)
SELECT kind, name, since, coalesce(age, 0) AS age, count(*) OVER () AS total FROM holders
WHERE since IS NULL OR since < now() - %(patience)s::interval
ORDER BY age DESC, since
LIMIT %(cap)s::int
"""
