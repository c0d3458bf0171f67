"""Statements that find and keep broken promises. Private to `ordering`."""

from malha.ordering.promised_days import is_over

# Promises of the last days that were broken and are not known yet, the oldest first; nothing is locked. The partial
# index on promises of orders that have not left. What waits for the customer's money is not late by our fault, and
# who has just paid is promised anew first (`fulfillment.slipping.promise_paid`).
FIND_LATE = f"""
SELECT o.id FROM sales_order o
WHERE o.promised_at IS NOT NULL AND o.status NOT IN ('ready', 'shipped', 'delivered', 'cancelled')
  AND o.status <> 'awaiting_payment'
  AND {is_over("o.promised_at")} AND o.promised_at >= now() - make_interval(days => %(days)s::int)
  AND NOT EXISTS (SELECT FROM order_lateness k WHERE k.order_id = o.id AND k.promised_at = o.promised_at)
  AND NOT EXISTS (SELECT FROM order_hold h WHERE h.order_id = o.id AND h.kind IN ('payment', 'payment_lapsed')
                  AND h.resolved_at > now() - interval '2 minutes')
ORDER BY o.promised_at LIMIT %(limit)s::int
"""
# Where lines are promised for different days, the first day may have been kept meanwhile: the next one counts. The
# orders are locked. Primary keys of their lines and units.
NEXT_PROMISES = """
UPDATE sales_order o SET promised_at = n.at
FROM (SELECT p.order_id, min(p.promised_at) AS at FROM order_line_promise p
      WHERE p.order_id = ANY (%(orders)s::uuid[]) AND EXISTS (
          SELECT FROM order_unit u WHERE u.order_id = p.order_id AND u.line = p.line
            AND u.state NOT IN ('ready', 'shipped', 'delivered', 'collected', 'cancelled'))
      GROUP BY p.order_id) n
WHERE o.id = n.order_id AND o.promised_at < n.at
"""
# The orders are locked: what is late now stays so until the event is written.
KEEP_LATE = f"""
INSERT INTO order_lateness (order_id, promised_at)
SELECT id, promised_at FROM sales_order
WHERE id = ANY (%(orders)s::uuid[]) AND {is_over("promised_at")}
  AND status NOT IN ('ready', 'shipped', 'delivered', 'cancelled', 'awaiting_payment')
ON CONFLICT DO NOTHING
RETURNING order_id, promised_at
"""
