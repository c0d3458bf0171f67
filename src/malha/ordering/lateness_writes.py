"""Statements that find and keep broken promises. Private to `ordering`."""

# Promises of the last days that were broken and are not known yet, the oldest first; nothing is locked. The partial
# index on promises of orders that have not left. What waits for the customer's money is not late by our fault.
FIND_LATE = """
SELECT o.id FROM sales_order o
WHERE o.promised_at IS NOT NULL AND o.status NOT IN ('ready', 'shipped', 'delivered', 'cancelled')
  AND o.status <> 'awaiting_payment'
  AND o.promised_at < now() AND o.promised_at >= now() - make_interval(days => %(days)s::int)
  AND NOT EXISTS (SELECT FROM order_lateness k WHERE k.order_id = o.id AND k.promised_at = o.promised_at)
ORDER BY o.promised_at LIMIT %(limit)s::int
"""
# The orders are locked: what is late now stays so until the event is written.
KEEP_LATE = """
INSERT INTO order_lateness (order_id, promised_at)
SELECT id, promised_at FROM sales_order
WHERE id = ANY (%(orders)s::uuid[]) AND promised_at < now()
  AND status NOT IN ('ready', 'shipped', 'delivered', 'cancelled', 'awaiting_payment')
ON CONFLICT DO NOTHING
RETURNING order_id, promised_at
"""
