"""Statements that write new orders, many at a time. Private to `ordering.placing`."""

# Headers, lines and units of a batch in one statement, which is cheaper than three. Keys arrive sorted: opposite-order
# inserts of the same natural keys deadlock. An order missing from RETURNING was there already; the caller rolls back.
INSERT_ORDERS = """
WITH header AS (
    INSERT INTO sales_order (id, channel_id, external_id, body_hash, request_key, placed_at, currency, status,
        items_total, discount_total, shipping_total, total, method, service_id, pickup_location_id, buyer_name,
        buyer_document, buyer_email, buyer_phone, ship_to, ship_state, promised_at, release_after,
        customer_group)
    SELECT * FROM unnest(%(id)s::uuid[], %(channel_id)s::int[], %(external_id)s::text[], %(body_hash)s::uuid[],
        %(request_key)s::text[], %(placed_at)s::timestamptz[], %(currency)s::text[], %(status)s::text[],
        %(items_total)s::bigint[], %(discount_total)s::bigint[], %(shipping_total)s::bigint[], %(total)s::bigint[],
        %(method)s::text[], %(service_id)s::int[], %(pickup_location_id)s::int[], %(buyer_name)s::text[],
        %(buyer_document)s::text[], %(buyer_email)s::text[], %(buyer_phone)s::text[], %(ship_to)s::jsonb[],
        %(ship_state)s::text[], %(promised_at)s::timestamptz[], %(release_after)s::timestamptz[],
        %(customer_group)s::text[])
    ON CONFLICT (channel_id, external_id) DO NOTHING
    RETURNING id, number
), line AS (
    INSERT INTO order_line (order_id, line, sku_id, sku_text, name, quantity, unit_price, discount, total, external_id)
    SELECT order_id, line, sku_id, sku_text, name, quantity, unit_price, discount, quantity * unit_price - discount,
           external_id
    FROM unnest(%(line_order_id)s::uuid[], %(line_line)s::smallint[], %(line_sku_id)s::int[],
                %(line_sku_text)s::text[], %(line_name)s::text[], %(line_quantity)s::int[],
                %(line_unit_price)s::bigint[], %(line_discount)s::bigint[], %(line_external_id)s::text[])
         AS w(order_id, line, sku_id, sku_text, name, quantity, unit_price, discount, external_id)
), unit AS (
    INSERT INTO order_unit (order_id, line, part, sku_id, quantity, state, location_id)
    SELECT * FROM unnest(%(unit_order_id)s::uuid[], %(unit_line)s::smallint[], %(unit_part)s::smallint[],
                         %(unit_sku_id)s::int[], %(unit_quantity)s::int[], %(unit_state)s::text[],
                         %(unit_location_id)s::int[])
)
SELECT id::text, number FROM header
"""

INSERT_COMPONENTS = """
INSERT INTO order_component (order_id, line, sku_id, quantity)
SELECT * FROM unnest(%(order_id)s::uuid[], %(line)s::smallint[], %(sku_id)s::int[], %(quantity)s::int[])
"""

INSERT_HOLDS = """
INSERT INTO order_hold (id, order_id, kind, detail)
SELECT * FROM unnest(%(id)s::uuid[], %(order_id)s::uuid[], %(kind)s::text[], %(detail)s::jsonb[])
"""

INSERT_LINE_PROMISES = """
INSERT INTO order_line_promise (order_id, line, promised_at)
SELECT * FROM unnest(%(order_id)s::uuid[], %(line)s::smallint[], %(promised_at)s::timestamptz[])
"""

INSERT_DETAILS = """
INSERT INTO order_details (order_id, details)
SELECT * FROM unnest(%(order_id)s::uuid[], %(details)s::jsonb[])
"""

# By the unique index on the natural key, for a whole batch.
FIND_BY_KEYS = """
SELECT o.channel_id, o.external_id, o.id, o.number, o.status, o.body_hash, o.total, o.currency
FROM unnest(%(channels)s::int[], %(keys)s::text[]) AS w(channel_id, external_id)
JOIN sales_order o ON o.channel_id = w.channel_id AND o.external_id = w.external_id
"""

# By the partial unique index on request_key; asked only for orders that come with a key.
FIND_BY_REQUEST_KEYS = """
SELECT request_key, body_hash FROM sales_order WHERE request_key = ANY (%(keys)s::text[])
"""

# Of a kit, whose units are those of its components, kits: as many as its first component makes, for they go whole.
LINES_OF = """
SELECT u.order_id, u.line, l.sku_text, u.quantity / coalesce(k.quantity, 1), u.state, c.code
FROM order_unit u
JOIN order_line l ON l.order_id = u.order_id AND l.line = u.line
LEFT JOIN LATERAL (
    SELECT sku_id, quantity FROM order_component
    WHERE order_id = u.order_id AND line = u.line ORDER BY sku_id LIMIT 1
) k ON true
LEFT JOIN location c ON c.id = u.location_id
WHERE u.order_id = ANY (%(orders)s::uuid[]) AND (k.sku_id IS NULL OR k.sku_id = u.sku_id)
ORDER BY u.order_id, u.line, u.part
"""

OPEN_HOLDS_OF = """
SELECT order_id, kind FROM order_hold
WHERE order_id = ANY (%(orders)s::uuid[]) AND resolved_at IS NULL ORDER BY order_id, kind
"""
