"""Statements that change or lock orders. Private to `ordering`.

Global lock order, for every transaction of the product: orders by id, fulfillment orders by id, capacity by (day,
location), balances by (SKU, location). Whoever changes anything of an order holds its row first, so units, holds,
payments and documents of one order change one transaction at a time.
"""

_ORDER = """
SELECT id, number, channel_id, currency, status, items_total, discount_total, shipping_total, total, cancelled_total,
       method, service_id, pickup_location_id, buyer_name, buyer_document, buyer_email, buyer_phone, ship_to,
       release_after, seq, customer_group, placed_at, merge_location_id
FROM sales_order
"""

# NO KEY: rows that point to the order (holds, tenders) may be inserted by those who wait for nothing else.
LOCK_ORDERS = f"{_ORDER} WHERE id = ANY (%(orders)s::uuid[]) ORDER BY id FOR NO KEY UPDATE"

# For pages, which decide nothing.
LOOK_AT_ORDERS = f"{_ORDER} WHERE id = ANY (%(orders)s::uuid[])"

# For background work: orders someone else has in hand are left for the next round.
LOCK_FREE_ORDERS = f"{_ORDER} WHERE id = ANY (%(orders)s::uuid[]) ORDER BY id FOR NO KEY UPDATE SKIP LOCKED"

# By primary key: where the goods of orders come together before they are shipped.
MERGE_AT = """
UPDATE sales_order o SET merge_location_id = w.location_id
FROM unnest(%(orders)s::uuid[], %(locations)s::int[]) AS w(order_id, location_id) WHERE o.id = w.order_id
"""

# The order row is locked: its units, lines and holds stand still. All by primary key or its first column.
UNITS_OF = """
SELECT order_id, line, part, sku_id, quantity, state, location_id, fulfillment_id, shipment_id, document_id
FROM order_unit WHERE order_id = ANY (%(orders)s::uuid[]) ORDER BY order_id, line, part
"""

LINES_OF = """
SELECT l.order_id, l.line, l.sku_id, l.quantity, l.total,
       coalesce((SELECT jsonb_object_agg(c.sku_id, c.quantity) FROM order_component c
                 WHERE c.order_id = l.order_id AND c.line = l.line), '{}'::jsonb), l.discount, l.shares_discount
FROM order_line l WHERE l.order_id = ANY (%(orders)s::uuid[]) ORDER BY l.order_id, l.line
"""

OPEN_HOLDS_OF = """
SELECT order_id, kind, detail FROM order_hold
WHERE order_id = ANY (%(orders)s::uuid[]) AND resolved_at IS NULL ORDER BY order_id, kind
"""

# Units of one piece of work; their orders are locked by the caller before it decides anything on them.
UNITS_OF_FULFILLMENTS = """
SELECT order_id, line, part, sku_id, quantity, state, location_id, fulfillment_id, shipment_id, document_id
FROM order_unit WHERE fulfillment_id = ANY (%(fulfillments)s::uuid[]) ORDER BY order_id, line, part
"""

UPDATE_UNITS = """
UPDATE order_unit u
SET quantity = w.quantity, state = w.state, location_id = w.location_id, fulfillment_id = w.fulfillment_id,
    shipment_id = w.shipment_id, document_id = w.document_id
FROM unnest(%(orders)s::uuid[], %(lines)s::smallint[], %(parts)s::smallint[], %(quantities)s::int[], %(states)s::text[],
            %(locations)s::int[], %(fulfillments)s::uuid[], %(shipments)s::uuid[], %(documents)s::uuid[])
     AS w(order_id, line, part, quantity, state, location_id, fulfillment_id, shipment_id, document_id)
WHERE u.order_id = w.order_id AND u.line = w.line AND u.part = w.part
"""

ADD_UNITS = """
INSERT INTO order_unit (order_id, line, part, sku_id, quantity, state, location_id, fulfillment_id, shipment_id,
                        document_id)
SELECT * FROM unnest(%(orders)s::uuid[], %(lines)s::smallint[], %(parts)s::smallint[], %(skus)s::int[],
    %(quantities)s::int[], %(states)s::text[], %(locations)s::int[], %(fulfillments)s::uuid[], %(shipments)s::uuid[],
    %(documents)s::uuid[])
"""

# The version counts events; the status is what units and holds make of it. Rows are locked already.
ADVANCE = """
UPDATE sales_order o SET seq = o.seq + w.steps, status = coalesce(w.status, o.status)
FROM unnest(%(orders)s::uuid[], %(steps)s::int[], %(statuses)s::text[]) AS w(id, steps, status)
WHERE o.id = w.id AND (w.steps > 0 OR o.status <> w.status)
RETURNING o.id, o.seq - w.steps
"""

SET_CANCELLED_TOTALS = """
UPDATE sales_order o SET cancelled_total = w.amount
FROM unnest(%(orders)s::uuid[], %(amounts)s::bigint[]) AS w(id, amount) WHERE o.id = w.id
"""

# One open hold of a kind per order: the partial unique index decides.
PLACE_HOLDS = """
INSERT INTO order_hold (id, order_id, kind, detail, placed_by)
SELECT id, order_id, %(kind)s::text, detail, %(actor)s::text
FROM unnest(%(ids)s::uuid[], %(orders)s::uuid[], %(details)s::jsonb[]) AS w(id, order_id, detail)
ON CONFLICT (order_id, kind) WHERE resolved_at IS NULL DO NOTHING
RETURNING order_id
"""

# By the partial unique index.
RESTATE_HOLD = """
UPDATE order_hold SET detail = %(detail)s::jsonb
WHERE order_id = %(order_id)s::uuid AND kind = %(kind)s::text AND resolved_at IS NULL
"""

RESOLVE_HOLDS = """
UPDATE order_hold SET resolved_at = now(), resolved_by = %(actor)s::text, resolution = %(resolution)s::text,
                      forced = %(forced)s::boolean
WHERE order_id = ANY (%(orders)s::uuid[]) AND resolved_at IS NULL
  AND (%(kinds)s::text[] IS NULL OR kind = ANY (%(kinds)s::text[]))
RETURNING order_id, kind
"""

# By the index on orders; an order has few holds. The newest of the kind decides: one that was placed later counts.
OVERRIDDEN = """
SELECT h.order_id
FROM (SELECT DISTINCT ON (order_id) order_id, forced FROM order_hold
      WHERE order_id = ANY (%(orders)s::uuid[]) AND kind = %(kind)s::text
      ORDER BY order_id, placed_at DESC, id DESC) h
WHERE h.forced
"""

SET_ADDRESS = """
UPDATE sales_order SET ship_to = %(ship_to)s::jsonb, ship_state = %(state)s::text WHERE id = %(order_id)s::uuid
"""

SET_BUYER = """
UPDATE sales_order SET buyer_name = %(name)s::text, buyer_document = %(document)s::text, buyer_email = %(email)s::text,
    buyer_phone = %(phone)s::text
WHERE id = %(order_id)s::uuid
"""

ADD_NOTE = """
INSERT INTO order_note (id, order_id, text, written_by, author)
VALUES (%(id)s::uuid, %(order_id)s::uuid, %(text)s::text, %(by)s::text, %(author)s::text)
"""

# What a SKU is made of; no row: unknown. One row with nulls: a plain SKU.
FIND_SKU = """
SELECT v.id, v.is_kit, k.component_id, k.quantity
FROM variant v LEFT JOIN kit_component k ON k.kit_id = v.id
WHERE v.sku = %(sku)s::text ORDER BY k.component_id
"""

LINE_TEXT = "SELECT sku_text FROM order_line WHERE order_id = %(order_id)s::uuid AND line = %(line)s::smallint"

MAP_LINE = """
UPDATE order_line SET sku_id = %(sku_id)s::int
WHERE order_id = %(order_id)s::uuid AND line = %(line)s::smallint AND sku_id IS NULL
"""

MAP_UNITS = """
UPDATE order_unit SET sku_id = %(sku_id)s::int
WHERE order_id = %(order_id)s::uuid AND line = %(line)s::smallint AND sku_id IS NULL
"""

ADD_COMPONENTS = """
INSERT INTO order_component (order_id, line, sku_id, quantity)
SELECT %(order_id)s::uuid, %(line)s::smallint, sku_id, quantity
FROM unnest(%(skus)s::int[], %(quantities)s::int[]) AS w(sku_id, quantity)
"""

# A line that turns out to be a kit: its units without a SKU become units of each component.
DROP_UNMAPPED_UNITS = """
DELETE FROM order_unit
WHERE order_id = %(order_id)s::uuid AND line = %(line)s::smallint AND sku_id IS NULL
RETURNING quantity, state
"""

# Orders of one location's work that may be asked again later; keeps a blocked order from starving the others.
POSTPONE_RELEASE = """
UPDATE sales_order SET release_after = now() + make_interval(mins => %(minutes)s::int)
WHERE id = ANY (%(orders)s::uuid[])
"""

# Of an order whose work has not begun. Work that was due already is not held up by a past instant.
RELEASE_FROM = """
UPDATE sales_order SET release_after = greatest(%(at)s::timestamptz, now()) WHERE id = %(order_id)s::uuid
"""

# By the partial index on release_after: allocated is the least advanced state but waiting, so no other status has it.
DUE_FOR_RELEASE = """
SELECT o.id FROM sales_order o
WHERE o.status IN ('allocated', 'unplaced', 'backordered') AND o.release_after <= now()
  AND EXISTS (SELECT FROM order_unit u WHERE u.order_id = o.id AND u.state = 'allocated')
ORDER BY o.release_after LIMIT %(limit)s::int
"""

# By the partial index on waiting units of these SKUs, the oldest orders first. Whose time to pay is over gets nothing
# that a paying customer could have.
WAITING_FOR = """
SELECT o.id FROM sales_order o
WHERE o.id IN (SELECT u.order_id FROM order_unit u
               WHERE u.state IN ('unplaced', 'backordered') AND u.sku_id = ANY (%(skus)s::int[]))
  AND NOT EXISTS (SELECT FROM order_hold h
                  WHERE h.order_id = o.id AND h.kind = 'payment_lapsed' AND h.resolved_at IS NULL)
ORDER BY o.placed_at, o.id LIMIT %(limit)s::int
"""

# The same, of those whose units do not all wait for supply that is expected: what their claims cover by the index on
# orders.
SHORT_OF = """
SELECT o.id FROM sales_order o
WHERE o.id IN (SELECT u.order_id FROM order_unit u
               WHERE u.state IN ('unplaced', 'backordered') AND u.sku_id = ANY (%(skus)s::int[])
               GROUP BY u.order_id, u.line
               HAVING sum(u.quantity) > (SELECT coalesce(sum(c.quantity), 0) FROM supply_claim c
                                         WHERE c.order_id = u.order_id AND c.line = u.line AND c.state <> 'lost'
                                           AND c.sku_id = ANY (%(skus)s::int[])))
  AND NOT EXISTS (SELECT FROM order_hold h
                  WHERE h.order_id = o.id AND h.kind = 'payment_lapsed' AND h.resolved_at IS NULL)
ORDER BY o.placed_at, o.id LIMIT %(limit)s::int
"""

# Under the lock of the order. The same again writes nothing, and says so.
PUT_DETAILS = """
INSERT INTO order_details AS d (order_id, details) VALUES (%(order_id)s::uuid, %(details)s::jsonb)
ON CONFLICT (order_id) DO UPDATE SET details = excluded.details WHERE d.details <> excluded.details
RETURNING order_id
"""
