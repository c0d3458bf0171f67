"""Statements that write tags of orders. Private to `ordering`."""

# Orders are locked, or new; sorted by primary key. The instant an order was placed does not change.
ADD_TAGS = """
INSERT INTO order_tag (key, placed_at, order_id, tag)
SELECT w.key, o.placed_at, o.id, w.tag
FROM unnest(%(keys)s::text[], %(orders)s::uuid[], %(tags)s::text[]) AS w(key, order_id, tag)
JOIN sales_order o ON o.id = w.order_id
ORDER BY 1, 2, 3
ON CONFLICT DO NOTHING
"""
# By the index on orders.
REMOVE_TAGS = """
DELETE FROM order_tag t USING unnest(%(keys)s::text[], %(orders)s::uuid[]) AS w(key, order_id)
WHERE t.order_id = w.order_id AND t.key = w.key
"""
