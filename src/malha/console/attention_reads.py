"""What the page of what needs attention asks besides the event log."""

# Primary key; a handful of ids.
ORDER_NUMBERS = "SELECT id, number FROM sales_order WHERE id = ANY (%(orders)s::uuid[])"
