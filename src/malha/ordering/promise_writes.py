"""Statements that write promises. Private to `ordering`."""

# The order is locked by the caller, so what counted before is what it says.
ADD_PROMISE = """
INSERT INTO order_promise (id, order_id, promised_at, former_at, lines, reason, note, made_by, author)
VALUES (%(id)s::uuid, %(order_id)s::uuid, %(promised_at)s::timestamptz, %(former_at)s::timestamptz,
        %(lines)s::smallint[], %(reason)s::text, %(note)s::text, %(by)s::text, %(author)s::text)
"""
SET_PROMISE = "UPDATE sales_order SET promised_at = %(at)s::timestamptz WHERE id = %(order_id)s::uuid"
PROMISE_OF = "SELECT promised_at FROM sales_order WHERE id = %(order_id)s::uuid"
# Primary key prefix: a few lines.
LINE_PROMISES = "SELECT line, promised_at FROM order_line_promise WHERE order_id = %(order_id)s::uuid"
DROP_LINE_PROMISES = "DELETE FROM order_line_promise WHERE order_id = %(order_id)s::uuid"
PUT_LINE_PROMISES = """
INSERT INTO order_line_promise (order_id, line, promised_at)
SELECT %(order_id)s::uuid, line, at FROM unnest(%(lines)s::smallint[], %(instants)s::timestamptz[]) AS w(line, at)
ON CONFLICT (order_id, line) DO UPDATE SET promised_at = excluded.promised_at
"""
