"""What must be so of goods that are sold ahead; each statement returns what is not."""

# That no more is promised than is expected the table itself refuses; a restored one is told all the same.
PROMISED_IS_NOT_CLAIMS = """
SELECT v.sku, l.code AS location, s.eta, s.expected, s.promised, coalesce(c.units, 0)::bigint AS units,
       count(*) OVER () AS total
FROM supply s
LEFT JOIN (SELECT supply_id, sum(quantity) AS units FROM supply_claim WHERE supply_id IS NOT NULL GROUP BY supply_id) c
  ON c.supply_id = s.id
JOIN variant v ON v.id = s.sku_id JOIN location l ON l.id = s.location_id
WHERE s.promised <> coalesce(c.units, 0) OR s.promised > s.expected
ORDER BY s.id
LIMIT %(cap)s::int
"""
# What is offered must be what purchase orders, production orders and shipments of transfers on their way say.
SUPPLY_IS_NOT_STATED = """
WITH stated AS (
    SELECT order_id AS source_id, line, expected, eta FROM inbound_line WHERE expected > 0
    UNION ALL
    SELECT s.id, l.line, l.coming, s.eta FROM transfer_shipment s JOIN transfer_shipment_line l ON l.shipment_id = s.id
    JOIN transfer t ON t.id = s.transfer_id
    WHERE s.eta IS NOT NULL AND l.coming > 0 AND t.state IN ('partly_shipped', 'shipped') AND t.order_id IS NULL
    UNION ALL  -- what older code shipped during an update has no shipment yet
    SELECT t.id, l.line, l.transit, t.eta FROM transfer t JOIN transfer_line l ON l.transfer_id = t.id
    WHERE t.state = 'shipped' AND t.eta IS NOT NULL AND l.transit > 0
      AND NOT EXISTS (SELECT FROM transfer_shipment s WHERE s.transfer_id = t.id)
)
SELECT coalesce(o.number, t.number) AS number, coalesce(s.line, n.line) AS line, coalesce(s.expected, 0) AS offered,
       coalesce(n.expected, 0) AS expected, count(*) OVER () AS total
FROM (SELECT * FROM supply WHERE expected > 0) s
FULL JOIN stated n ON n.source_id = s.source_id AND n.line = s.line
LEFT JOIN inbound_order o ON o.id = coalesce(s.source_id, n.source_id)
LEFT JOIN transfer_shipment sh ON sh.id = coalesce(s.source_id, n.source_id)
LEFT JOIN transfer t ON t.id = coalesce(sh.transfer_id, s.source_id, n.source_id)
WHERE coalesce(s.expected, 0) <> coalesce(n.expected, 0) OR s.eta IS DISTINCT FROM n.eta
ORDER BY 1, 2
LIMIT %(cap)s::int
"""
# More is claimed for a line of an order than waits of it: of a cancelled order, say.
CLAIMS_WITHOUT_UNITS = """
SELECT o.number, c.line, c.units, coalesce(u.units, 0)::bigint AS waiting, count(*) OVER () AS total
FROM (SELECT order_id, line, sku_id, sum(quantity) AS units FROM supply_claim GROUP BY order_id, line, sku_id) c
LEFT JOIN LATERAL (
    SELECT sum(quantity) AS units FROM order_unit u
    WHERE u.order_id = c.order_id AND u.line = c.line AND u.sku_id = c.sku_id AND u.state = 'backordered'
) u ON true
LEFT JOIN sales_order o ON o.id = c.order_id
WHERE c.units > coalesce(u.units, 0)
ORDER BY 1, 2
LIMIT %(cap)s::int
"""
# Vendors are to send more of a line than waits of it beside what waits for supply.
ASKED_WITHOUT_UNITS = """
SELECT o.number, d.line, d.units, coalesce(u.units, 0) - coalesce(c.units, 0) AS waiting, count(*) OVER () AS total
FROM (SELECT s.order_id, l.line, l.sku_id, sum(l.expected)::bigint AS units
      FROM drop_ship s JOIN drop_ship_line l ON l.drop_ship_id = s.id
      WHERE s.state IN ('asked', 'accepted') GROUP BY s.order_id, l.line, l.sku_id) d
LEFT JOIN LATERAL (
    SELECT sum(quantity)::bigint AS units FROM order_unit u
    WHERE u.order_id = d.order_id AND u.line = d.line AND u.sku_id = d.sku_id AND u.state = 'backordered'
) u ON true
LEFT JOIN LATERAL (
    SELECT sum(quantity)::bigint AS units FROM supply_claim c
    WHERE c.order_id = d.order_id AND c.line = d.line AND c.sku_id = d.sku_id
) c ON true
LEFT JOIN sales_order o ON o.id = d.order_id
WHERE d.units > coalesce(u.units, 0) - coalesce(c.units, 0)
ORDER BY 1, 2
LIMIT %(cap)s::int
"""
# What is over by its state expects nothing, and what is open something.
DROPS_OUT_OF_STATE = """
SELECT d.number, d.state, l.expected, count(*) OVER () AS total
FROM drop_ship d
CROSS JOIN LATERAL (
    SELECT coalesce(sum(expected), 0)::bigint AS expected FROM drop_ship_line WHERE drop_ship_id = d.id
) l
WHERE (d.state IN ('asked', 'accepted')) <> (l.expected > 0)
ORDER BY d.number
LIMIT %(cap)s::int
"""
WAITING_IS_NOT_CLAIMS = """
SELECT p.id AS policy, p.waiting, coalesce(c.units, 0)::bigint AS units, count(*) OVER () AS total
FROM ahead_policy p
LEFT JOIN (SELECT policy_id, sum(quantity) AS units FROM supply_claim
           WHERE policy_id IS NOT NULL AND state <> 'arrived' GROUP BY policy_id) c ON c.policy_id = p.id
WHERE p.waiting <> coalesce(c.units, 0)
ORDER BY p.id
LIMIT %(cap)s::int
"""
