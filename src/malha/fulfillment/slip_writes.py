"""Statements that keep which orders cannot keep their day. Private to fulfillment."""

# One statement for a whole look: rows are written in the order of their key, so that two looks cannot deadlock. When
# an order was found first does not change.
KEEP_SLIPS = """
INSERT INTO promise_slip AS s (order_id, promised_at, expected_at, lines, reason, location_id)
SELECT w.order_id, w.promised_at, w.expected_at, w.lines::smallint[], w.reason, w.location_id
FROM unnest(%(orders)s::uuid[], %(promised)s::timestamptz[], %(expected)s::timestamptz[], %(lines)s::text[],
            %(reasons)s::text[], %(locations)s::int[])
     AS w(order_id, promised_at, expected_at, lines, reason, location_id)
ORDER BY w.order_id
ON CONFLICT (order_id) DO UPDATE SET promised_at = excluded.promised_at, expected_at = excluded.expected_at,
    lines = excluded.lines, reason = excluded.reason, location_id = excluded.location_id
WHERE (s.promised_at, s.expected_at, s.lines, s.reason, s.location_id)
      IS DISTINCT FROM (excluded.promised_at, excluded.expected_at, excluded.lines, excluded.reason,
                        excluded.location_id)
"""

# What a look over all orders did not find can be in time again, or is done.
DROP_OTHER_SLIPS = "DELETE FROM promise_slip WHERE NOT order_id = ANY (%(orders)s::uuid[])"

DROP_SLIPS = "DELETE FROM promise_slip WHERE order_id = ANY (%(orders)s::uuid[])"
