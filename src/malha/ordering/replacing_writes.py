"""Statements of replaced lines. Private to `ordering`; the order's row is locked by the caller."""

ADD_LINE = """
INSERT INTO order_line (order_id, line, sku_id, sku_text, name, quantity, unit_price, discount, total, replaces,
                        shares_discount)
VALUES (%(order_id)s::uuid, %(line)s::smallint, %(sku_id)s::int, %(sku)s::text, %(name)s::text, %(quantity)s::int,
        %(unit_price)s::bigint, %(discount)s::bigint, %(total)s::bigint, %(replaces)s::smallint,
        false)
"""

# What was added is owed, what was retired is not: both are in the totals the customer sees.
SET_TOTALS = """
UPDATE sales_order SET items_total = items_total + %(added)s::bigint, total = total + %(added)s::bigint,
    cancelled_total = %(cancelled)s::bigint
WHERE id = %(order_id)s::uuid
"""
