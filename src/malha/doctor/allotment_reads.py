"""What the doctor asks about fences and caps: whether units set apart, drawn and counted agree wherever kept."""

# A balance's fenced units against its fences.
FENCED_IS_NOT_FENCES = """
WITH fences AS (
    SELECT sku_id, location_id, sum(remaining) AS remaining FROM fence_stock GROUP BY sku_id, location_id
)
SELECT coalesce(v.sku, '#' || b.sku_id) AS sku, coalesce(l.code, '#' || b.location_id) AS location, b.fenced,
       coalesce(f.remaining, 0)::bigint AS remaining, count(*) OVER () AS total
FROM balance b
LEFT JOIN fences f ON f.sku_id = b.sku_id AND f.location_id = b.location_id
LEFT JOIN variant v ON v.id = b.sku_id
LEFT JOIN location l ON l.id = b.location_id
WHERE b.fenced <> coalesce(f.remaining, 0)
ORDER BY 1, 2
LIMIT %(cap)s::int
"""
# A fence against its own ledger.
FENCE_IS_NOT_LEDGER = """
WITH ledger AS (
    SELECT allotment_id, sku_id, location_id, sum(d_remaining) AS remaining, sum(d_drawn) AS drawn, sum(d_sold) AS sold
    FROM fence_movement GROUP BY allotment_id, sku_id, location_id
)
SELECT a.code AS allotment, coalesce(v.sku, '#' || k.sku_id) AS sku, coalesce(l.code, '#' || k.location_id) AS location,
       coalesce(f.remaining, 0) AS remaining, coalesce(g.remaining, 0)::bigint AS ledger_remaining,
       coalesce(f.drawn, 0) AS drawn, coalesce(g.drawn, 0)::bigint AS ledger_drawn,
       coalesce(f.sold, 0) AS sold, coalesce(g.sold, 0)::bigint AS ledger_sold, count(*) OVER () AS total
FROM fence_stock f
FULL JOIN ledger g ON g.allotment_id = f.allotment_id AND g.sku_id = f.sku_id AND g.location_id = f.location_id
CROSS JOIN LATERAL (
    SELECT coalesce(f.allotment_id, g.allotment_id) AS allotment_id, coalesce(f.sku_id, g.sku_id) AS sku_id,
           coalesce(f.location_id, g.location_id) AS location_id
) k
LEFT JOIN allotment a ON a.id = k.allotment_id
LEFT JOIN variant v ON v.id = k.sku_id
LEFT JOIN location l ON l.id = k.location_id
WHERE coalesce(f.remaining, 0) <> coalesce(g.remaining, 0) OR coalesce(f.drawn, 0) <> coalesce(g.drawn, 0)
   OR coalesce(f.sold, 0) <> coalesce(g.sold, 0)
ORDER BY 1, 2, 3
LIMIT %(cap)s::int
"""
# What fences have lent out against what claims remember of it.
DRAWN_IS_NOT_DRAWS = """
WITH draws AS (
    SELECT allotment_id, sku_id, location_id, sum(quantity) AS quantity
    FROM stock_draw WHERE allotment_id IS NOT NULL GROUP BY allotment_id, sku_id, location_id
)
SELECT a.code AS allotment, coalesce(v.sku, '#' || k.sku_id) AS sku, coalesce(l.code, '#' || k.location_id) AS location,
       coalesce(f.drawn, 0) AS drawn, coalesce(d.quantity, 0)::bigint AS draws, count(*) OVER () AS total
FROM fence_stock f
FULL JOIN draws d ON d.allotment_id = f.allotment_id AND d.sku_id = f.sku_id AND d.location_id = f.location_id
CROSS JOIN LATERAL (
    SELECT coalesce(f.allotment_id, d.allotment_id) AS allotment_id, coalesce(f.sku_id, d.sku_id) AS sku_id,
           coalesce(f.location_id, d.location_id) AS location_id
) k
LEFT JOIN allotment a ON a.id = k.allotment_id
LEFT JOIN variant v ON v.id = k.sku_id
LEFT JOIN location l ON l.id = k.location_id
WHERE coalesce(f.drawn, 0) <> coalesce(d.quantity, 0)
ORDER BY 1, 2, 3
LIMIT %(cap)s::int
"""
# Fences may not promise what is not there; safety stock gives way before they do.
FENCED_IS_NOT_THERE = """
SELECT coalesce(v.sku, '#' || b.sku_id) AS sku, coalesce(l.code, '#' || b.location_id) AS location, b.fenced,
       greatest(b.on_hand - b.allocated - b.held, 0) AS there, count(*) OVER () AS total
FROM balance b
LEFT JOIN variant v ON v.id = b.sku_id
LEFT JOIN location l ON l.id = b.location_id
WHERE b.fenced > greatest(b.on_hand - b.allocated - b.held, 0)
ORDER BY 1, 2
LIMIT %(cap)s::int
"""
# What a claim remembers to have drawn is part of what it claims: units of its order, or lines of an active hold.
DRAWS_ARE_NOT_CLAIMED = """
WITH draws AS (
    SELECT claim_id, sku_id, location_id, sum(quantity) AS quantity
    FROM stock_draw GROUP BY claim_id, sku_id, location_id
), claimed AS (
    SELECT d.claim_id, d.sku_id, d.location_id, d.quantity,
           coalesce((SELECT sum(u.quantity) FROM order_unit u
                     WHERE u.order_id = d.claim_id AND u.sku_id = d.sku_id AND u.location_id = d.location_id
                       AND u.state = ANY (%(claiming)s::text[])), 0)
           + coalesce((SELECT sum(s.quantity) FROM supply_claim s
                       WHERE s.order_id = d.claim_id AND s.sku_id = d.sku_id AND s.location_id = d.location_id
                         AND s.state = 'arrived'), 0)
           + coalesce((SELECT sum(h.quantity) FROM stock_hold_line h JOIN stock_hold s ON s.id = h.hold_id
                       WHERE h.hold_id = d.claim_id AND h.sku_id = d.sku_id AND h.location_id = d.location_id
                         AND s.state = 'active'), 0) AS claimed
    FROM draws d
)
SELECT c.claim_id::text AS claim, coalesce(v.sku, '#' || c.sku_id) AS sku,
       coalesce(l.code, '#' || c.location_id) AS location, c.quantity::bigint AS draws, c.claimed::bigint AS claimed,
       count(*) OVER () AS total
FROM claimed c
LEFT JOIN variant v ON v.id = c.sku_id
LEFT JOIN location l ON l.id = c.location_id
WHERE c.quantity > c.claimed
ORDER BY 1, 2, 3
LIMIT %(cap)s::int
"""
# Counters of caps against what claims counted.
COUNTER_IS_NOT_USES = """
WITH uses AS (
    SELECT u.allotment_id, CASE WHEN a.per_sku THEN u.sku_id ELSE 0 END AS sku_id, sum(u.quantity) AS quantity
    FROM cap_use u JOIN allotment a ON a.id = u.allotment_id
    GROUP BY 1, 2
)
SELECT a.code AS allotment, coalesce(v.sku, '') AS sku, coalesce(n.used, 0) AS used,
       coalesce(u.quantity, 0)::bigint AS uses, count(*) OVER () AS total
FROM cap_counter n
FULL JOIN uses u ON u.allotment_id = n.allotment_id AND u.sku_id = n.sku_id
LEFT JOIN allotment a ON a.id = coalesce(n.allotment_id, u.allotment_id)
LEFT JOIN variant v ON v.id = coalesce(n.sku_id, u.sku_id)
WHERE coalesce(n.used, 0) <> coalesce(u.quantity, 0)
ORDER BY 1, 2
LIMIT %(cap)s::int
"""
# More is counted on caps for a claim than it has there or sent away: units that were given up were not taken off. What
# waits for supply counts as what is allocated does, lost or not.
USES_ARE_NOT_CLAIMED = """
WITH claimed AS (
    SELECT c.claim_id, c.allotment_id, c.sku_id, c.location_id, c.quantity,
           coalesce((SELECT sum(u.quantity) FROM order_unit u
                     WHERE u.order_id = c.claim_id AND u.sku_id = c.sku_id AND u.location_id = c.location_id
                       AND u.state <> 'cancelled'), 0)
           + coalesce((SELECT sum(s.quantity) FROM supply_claim s
                       WHERE s.order_id = c.claim_id AND s.sku_id = c.sku_id AND s.location_id = c.location_id), 0)
           + coalesce((SELECT sum(h.quantity) FROM stock_hold_line h JOIN stock_hold k ON k.id = h.hold_id
                       WHERE h.hold_id = c.claim_id AND h.sku_id = c.sku_id AND h.location_id = c.location_id
                         AND k.state = 'active'), 0) AS claimed
    FROM cap_use c
)
SELECT a.code AS allotment, c.claim_id::text AS claim, coalesce(v.sku, '#' || c.sku_id) AS sku,
       coalesce(l.code, '#' || c.location_id) AS location, c.quantity::bigint AS uses, c.claimed::bigint AS claimed,
       count(*) OVER () AS total
FROM claimed c
JOIN allotment a ON a.id = c.allotment_id
LEFT JOIN variant v ON v.id = c.sku_id
LEFT JOIN location l ON l.id = c.location_id
WHERE c.quantity > c.claimed
ORDER BY 1, 2, 3, 4
LIMIT %(cap)s::int
"""
