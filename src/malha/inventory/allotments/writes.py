"""Every statement that changes or locks fences and caps, or moves units of a balance into and out of fences.

Lock order, here as everywhere: counters of caps by (allotment, SKU), then fences by (SKU, location, allotment), then
balances by (SKU, location). Each is locked by one statement with ORDER BY.
"""

# Counters exist once something counts on them.
ENSURE_COUNTERS = """
INSERT INTO cap_counter (allotment_id, sku_id)
SELECT allotment_id, sku_id FROM unnest(%(caps)s::int[], %(skus)s::int[]) AS w(allotment_id, sku_id)
ORDER BY allotment_id, sku_id
ON CONFLICT DO NOTHING
"""

# In key order, for claims that are planned on what is left, and for what is given back.
LOCK_COUNTERS = """
SELECT c.allotment_id, c.sku_id, a.quota - c.used
FROM cap_counter c
JOIN unnest(%(caps)s::int[], %(skus)s::int[]) AS w(allotment_id, sku_id)
  ON c.allotment_id = w.allotment_id AND c.sku_id = w.sku_id
JOIN allotment a ON a.id = c.allotment_id
ORDER BY c.allotment_id, c.sku_id
FOR NO KEY UPDATE OF c
"""

# Counts units where they fit below the quota; rows that are missing were refused. After a lock wait the newest count
# decides.
COUNT = """
WITH want AS (
    SELECT * FROM unnest(%(caps)s::int[], %(skus)s::int[], %(quantities)s::int[]) AS w(allotment_id, sku_id, quantity)
), locked AS MATERIALIZED (
    SELECT c.allotment_id, c.sku_id, w.quantity, a.quota
    FROM cap_counter c
    JOIN want w ON c.allotment_id = w.allotment_id AND c.sku_id = w.sku_id
    JOIN allotment a ON a.id = c.allotment_id
    ORDER BY c.allotment_id, c.sku_id
    FOR NO KEY UPDATE OF c
)
UPDATE cap_counter c SET used = c.used + l.quantity
FROM locked l
WHERE c.allotment_id = l.allotment_id AND c.sku_id = l.sku_id AND c.used + l.quantity <= l.quota
RETURNING c.allotment_id, c.sku_id
"""

# Takes counted units off again, under LOCK_COUNTERS.
UNCOUNT = """
UPDATE cap_counter c SET used = c.used - w.quantity
FROM unnest(%(caps)s::int[], %(skus)s::int[], %(quantities)s::int[]) AS w(allotment_id, sku_id, quantity)
WHERE c.allotment_id = w.allotment_id AND c.sku_id = w.sku_id
"""

# A claim counts on the same cap at the same balance more than once when it is made in parts.
RECORD_USES = """
INSERT INTO cap_use AS u (claim_id, allotment_id, sku_id, location_id, quantity)
SELECT claim_id, allotment_id, sku_id, location_id, quantity
FROM unnest(%(claims)s::uuid[], %(caps)s::int[], %(skus)s::int[], %(locations)s::int[], %(quantities)s::int[])
     AS w(claim_id, allotment_id, sku_id, location_id, quantity)
ON CONFLICT (claim_id, sku_id, location_id, allotment_id) DO UPDATE SET quantity = u.quantity + excluded.quantity
"""

# By the primary key; what is left at zero goes first, because a use is never zero.
REMOVE_USES = """
DELETE FROM cap_use u
USING unnest(%(claims)s::uuid[], %(caps)s::int[], %(skus)s::int[], %(locations)s::int[], %(quantities)s::int[])
      AS w(claim_id, allotment_id, sku_id, location_id, quantity)
WHERE u.claim_id = w.claim_id AND u.sku_id = w.sku_id AND u.location_id = w.location_id
  AND u.allotment_id = w.allotment_id AND u.quantity <= w.quantity
"""
LOWER_USES = """
UPDATE cap_use u SET quantity = u.quantity - w.quantity
FROM unnest(%(claims)s::uuid[], %(caps)s::int[], %(skus)s::int[], %(locations)s::int[], %(quantities)s::int[])
     AS w(claim_id, allotment_id, sku_id, location_id, quantity)
WHERE u.claim_id = w.claim_id AND u.sku_id = w.sku_id AND u.location_id = w.location_id
  AND u.allotment_id = w.allotment_id AND u.quantity > w.quantity
"""

# All fences on some SKUs, in key order: nothing can move between planning on them and drawing.
LOCK_FENCES = """
SELECT sku_id, location_id, allotment_id, remaining, open
FROM fence_stock
WHERE sku_id = ANY (%(skus)s::int[])
ORDER BY sku_id, location_id, allotment_id
FOR NO KEY UPDATE
"""

# What fences that are locked already have left: none that came since, which would be locked behind them.
FENCES_LOCKED = """
SELECT f.sku_id, f.location_id, f.allotment_id, f.remaining, f.open
FROM fence_stock f
JOIN unnest(%(skus)s::int[], %(locations)s::int[], %(fences)s::int[]) AS w(sku_id, location_id, allotment_id)
  USING (sku_id, location_id, allotment_id)
"""

# The same on some balances.
LOCK_FENCES_AT = """
SELECT f.sku_id, f.location_id, f.allotment_id, f.remaining, f.open
FROM fence_stock f
JOIN unnest(%(skus)s::int[], %(locations)s::int[]) AS w(sku_id, location_id)
  ON f.sku_id = w.sku_id AND f.location_id = w.location_id
ORDER BY f.sku_id, f.location_id, f.allotment_id
FOR NO KEY UPDATE OF f
"""

# Moves units of fences and writes their ledger. Conditional: nothing falls below zero, a closed fence takes nothing.
# Answers how many fences moved; the caller rolls back when one did not. The ledger has one row per claim.
MOVE_FENCES = """
WITH want AS (
    SELECT * FROM unnest(%(skus)s::int[], %(locations)s::int[], %(fences)s::int[], %(remaining)s::int[],
                         %(drawn)s::int[], %(sold)s::int[])
                  AS w(sku_id, location_id, allotment_id, remaining, drawn, sold)
), locked AS MATERIALIZED (
    SELECT f.sku_id, f.location_id, f.allotment_id, w.remaining, w.drawn, w.sold
    FROM fence_stock f
    JOIN want w ON f.sku_id = w.sku_id AND f.location_id = w.location_id AND f.allotment_id = w.allotment_id
    ORDER BY f.sku_id, f.location_id, f.allotment_id
    FOR NO KEY UPDATE OF f
), moved AS (
    UPDATE fence_stock f
    SET remaining = f.remaining + l.remaining, drawn = f.drawn + l.drawn, sold = f.sold + l.sold,
        granted = f.granted + l.remaining + l.drawn + l.sold
    FROM locked l
    WHERE f.sku_id = l.sku_id AND f.location_id = l.location_id AND f.allotment_id = l.allotment_id
      AND f.remaining + l.remaining >= 0 AND f.drawn + l.drawn >= 0 AND f.sold + l.sold >= 0
      AND (f.open OR l.remaining <= 0)
    RETURNING 1
), ledger AS (
    INSERT INTO fence_movement (allotment_id, sku_id, location_id, d_remaining, d_drawn, d_sold, reason, ref_id, actor)
    SELECT allotment_id, sku_id, location_id, remaining, drawn, sold, %(reason)s::text, ref_id, actor
    FROM unnest(%(led_skus)s::int[], %(led_locations)s::int[], %(led_fences)s::int[], %(led_remaining)s::int[],
                %(led_drawn)s::int[], %(led_sold)s::int[], %(led_refs)s::uuid[], %(led_actors)s::text[])
         AS w(sku_id, location_id, allotment_id, remaining, drawn, sold, ref_id, actor)
)
SELECT count(*) FROM moved
"""

# What claims drew, remembered until it is given back or leaves. A claim made in parts goes on counting ranks.
RECORD_DRAWS = """
INSERT INTO stock_draw (claim_id, sku_id, location_id, rank, allotment_id, quantity)
SELECT claim_id, sku_id, location_id, rank, allotment_id, quantity
FROM unnest(%(claims)s::uuid[], %(skus)s::int[], %(locations)s::int[], %(ranks)s::smallint[], %(fences)s::int[],
            %(quantities)s::int[]) AS w(claim_id, sku_id, location_id, rank, allotment_id, quantity)
"""
REMOVE_DRAWS = """
DELETE FROM stock_draw d
USING unnest(%(claims)s::uuid[], %(skus)s::int[], %(locations)s::int[], %(ranks)s::smallint[], %(quantities)s::int[])
      AS w(claim_id, sku_id, location_id, rank, quantity)
WHERE d.claim_id = w.claim_id AND d.sku_id = w.sku_id AND d.location_id = w.location_id AND d.rank = w.rank
  AND d.quantity <= w.quantity
"""
LOWER_DRAWS = """
UPDATE stock_draw d SET quantity = d.quantity - w.quantity
FROM unnest(%(claims)s::uuid[], %(skus)s::int[], %(locations)s::int[], %(ranks)s::smallint[], %(quantities)s::int[])
     AS w(claim_id, sku_id, location_id, rank, quantity)
WHERE d.claim_id = w.claim_id AND d.sku_id = w.sku_id AND d.location_id = w.location_id AND d.rank = w.rank
  AND d.quantity > w.quantity
"""
# A hold becomes an order: the same units, under another name. The order is new, nothing of it is there yet.
HAND_ON_DRAWS = "UPDATE stock_draw SET claim_id = %(to)s::uuid WHERE claim_id = %(of)s::uuid"
HAND_ON_USES = "UPDATE cap_use SET claim_id = %(to)s::uuid WHERE claim_id = %(of)s::uuid"

_LOCKED = """
WITH want AS (
    SELECT * FROM unnest(%(skus)s::int[], %(locations)s::int[], %(quantities)s::int[], %(drawn)s::int[])
                  AS w(sku_id, location_id, quantity, drawn)
), locked AS MATERIALIZED (
    SELECT b.sku_id, b.location_id, w.quantity, w.drawn
    FROM balance b JOIN want w ON b.sku_id = w.sku_id AND b.location_id = w.location_id
    ORDER BY b.sku_id, b.location_id
    FOR NO KEY UPDATE OF b
)
"""
# What is drawn from fences was there for the claim alone; the rest must be free in common stock.
_COVERED = """b.fenced >= l.drawn
  AND (l.quantity = l.drawn OR b.on_hand - b.allocated - b.held - b.safety - b.fenced >= l.quantity - l.drawn)"""

# As inventory.writes.CLAIM and HOLD, for claims that draw from fences.
CLAIM_DRAWN = (
    _LOCKED
    + """UPDATE balance b SET allocated = b.allocated + l.quantity, fenced = b.fenced - l.drawn
FROM locked l
WHERE b.sku_id = l.sku_id AND b.location_id = l.location_id AND """
    + _COVERED
    + """
RETURNING b.sku_id, b.location_id
"""
)
HOLD_DRAWN = (
    _LOCKED
    + """UPDATE balance b SET held = b.held + l.quantity, fenced = b.fenced - l.drawn
FROM locked l
WHERE b.sku_id = l.sku_id AND b.location_id = l.location_id AND """
    + _COVERED
    + """
RETURNING b.sku_id, b.location_id
"""
)

# As inventory.writes.CLAIM_FOR_ORDERS, for a batch of which some orders draw from fences.
CLAIM_DRAWN_FOR_ORDERS = (
    _LOCKED
    + """
, granted AS (
    UPDATE balance b SET allocated = b.allocated + l.quantity, fenced = b.fenced - l.drawn
    FROM locked l
    WHERE b.sku_id = l.sku_id AND b.location_id = l.location_id AND """
    + _COVERED
    + """
    RETURNING 1
), ledger AS (
    INSERT INTO movement (sku_id, location_id, d_allocated, reason, ref_kind, ref_id, actor)
    SELECT sku_id, location_id, quantity, 'order', 'order', order_id, actor
    FROM unnest(%(order_skus)s::int[], %(order_locations)s::int[], %(order_quantities)s::int[], %(orders)s::uuid[],
                %(actors)s::text[]) AS w(sku_id, location_id, quantity, order_id, actor)
)
SELECT count(*), coalesce((SELECT n FROM revision WHERE name = 'allotments'), 0) FROM granted
"""
)

# Common stock under locks in key order, short balances too: a plan made on it cannot be refused.
LOCK_COMMON = """
SELECT b.sku_id, b.location_id, b.on_hand - b.allocated - b.held - b.safety - b.fenced
FROM balance b
JOIN unnest(%(skus)s::int[], %(locations)s::int[]) AS w(sku_id, location_id)
  ON b.sku_id = w.sku_id AND b.location_id = w.location_id
ORDER BY b.sku_id, b.location_id
FOR NO KEY UPDATE OF b
"""

# Units that go back into fences, or out of them into common stock (signed), under locks the caller has.
FENCE_OFF = """
UPDATE balance b SET fenced = b.fenced + w.quantity
FROM unnest(%(skus)s::int[], %(locations)s::int[], %(quantities)s::int[]) AS w(sku_id, location_id, quantity)
WHERE b.sku_id = w.sku_id AND b.location_id = w.location_id
"""

# Balances of which fewer units are there than are fenced, with the units that are: safety stock gives way first.
SHORT_OF_FENCED = """
SELECT b.sku_id, b.location_id, greatest(b.on_hand - b.allocated - b.held, 0)
FROM balance b
JOIN unnest(%(skus)s::int[], %(locations)s::int[]) AS w(sku_id, location_id)
  ON b.sku_id = w.sku_id AND b.location_id = w.location_id
WHERE b.fenced > greatest(b.on_hand - b.allocated - b.held, 0)
ORDER BY b.sku_id, b.location_id
FOR NO KEY UPDATE OF b
"""

# --- customer groups ---

INSERT_GROUP = """
INSERT INTO customer_group (code, name, note) VALUES (%(code)s::text, %(name)s::text, %(note)s::text)
ON CONFLICT (code) DO NOTHING
RETURNING id
"""
# The version is the caller's.
UPDATE_GROUP = """
UPDATE customer_group SET name = %(name)s::text, note = %(note)s::text, version = version + 1
WHERE code = %(code)s::text AND version = %(version)s::int
RETURNING id
"""
DELETE_GROUP = "DELETE FROM customer_group WHERE code = %(code)s::text AND version = %(version)s::int RETURNING id"
# What an allotment names is known from then on.
KNOW_GROUPS = """
INSERT INTO customer_group (code, name) SELECT g, g FROM unnest(%(codes)s::text[]) AS w(g) WHERE g <> '' ORDER BY g
ON CONFLICT (code) DO NOTHING
"""

# --- definitions ---

INSERT_ALLOTMENT = """
INSERT INTO allotment (code, name, kind, starts_at, ends_at, customer_groups, quota, per_sku)
VALUES (%(code)s::text, %(name)s::text, %(kind)s::text, %(starts_at)s::timestamptz, %(ends_at)s::timestamptz,
        %(customer_groups)s::text[], %(quota)s::int, %(per_sku)s::bool)
ON CONFLICT (code) DO NOTHING
RETURNING id
"""
# The version is the caller's.
UPDATE_ALLOTMENT = """
UPDATE allotment SET name = %(name)s::text, starts_at = %(starts_at)s::timestamptz, ends_at = %(ends_at)s::timestamptz,
       customer_groups = %(customer_groups)s::text[], quota = %(quota)s::int, per_sku = %(per_sku)s::bool,
       version = version + 1
WHERE id = %(id)s::int AND version = %(version)s::int AND state = 'active'
RETURNING version
"""
# Saves and ends of allotments one at a time: whether fences overlap is a question about all of them.
LOCK_ALL = "SELECT n FROM revision WHERE name = 'allotments' FOR UPDATE"
END_ALLOTMENT = """
UPDATE allotment SET state = 'ended', ended_at = now(), version = version + 1
WHERE id = %(id)s::int AND state = 'active'
RETURNING code
"""
DUE = """
SELECT id FROM allotment WHERE state = 'active' AND ends_at <= now() ORDER BY id
"""

# The parts of an allotment are replaced as a whole.
CLEAR_CHANNELS = "DELETE FROM allotment_channel WHERE allotment_id = %(id)s::int"
ADD_CHANNELS = """
INSERT INTO allotment_channel (allotment_id, channel_id) SELECT %(id)s::int, unnest(%(channels)s::int[])
"""
CLEAR_BORROWERS = "DELETE FROM allotment_borrower WHERE allotment_id = %(id)s::int"
ADD_BORROWERS = """
INSERT INTO allotment_borrower (allotment_id, channel_id, borrows_from)
SELECT %(id)s::int, channel_id, borrows_from
FROM unnest(%(channels)s::int[], %(since)s::timestamptz[]) AS w(channel_id, borrows_from)
"""
CLEAR_CAP_SKUS = "DELETE FROM cap_sku WHERE allotment_id = %(id)s::int"
ADD_CAP_SKUS = "INSERT INTO cap_sku (allotment_id, sku_id, stated) SELECT %(id)s::int, unnest(%(skus)s::int[]), true"
CLEAR_CAP_CATEGORIES = "DELETE FROM cap_category WHERE allotment_id = %(id)s::int"
ADD_CAP_CATEGORIES = """
INSERT INTO cap_category (allotment_id, category_id) SELECT %(id)s::int, unnest(%(categories)s::int[])
"""
CLEAR_CAP_LOCATIONS = "DELETE FROM cap_location WHERE allotment_id = %(id)s::int"
ADD_CAP_LOCATIONS = """
INSERT INTO cap_location (allotment_id, location_id) SELECT %(id)s::int, unnest(%(locations)s::int[])
"""
# What the categories of active caps hold now; SKUs that moved elsewhere fall out. Answers how many rows changed.
RESOLVE_CATEGORIES = """
WITH now_in AS (
    SELECT DISTINCT cc.allotment_id, v.id AS sku_id
    FROM cap_category cc
    JOIN allotment a ON a.id = cc.allotment_id AND a.state = 'active'
    JOIN category top ON top.id = cc.category_id
    JOIN category c ON c.path = top.path OR c.path LIKE top.path || '/%%'
    JOIN product p ON p.category_id = c.id
    JOIN variant v ON v.product_id = p.id
    WHERE NOT v.is_kit
), gone AS (
    DELETE FROM cap_sku s USING allotment a
    WHERE a.id = s.allotment_id AND a.state = 'active' AND NOT s.stated
      AND NOT EXISTS (SELECT FROM now_in n WHERE n.allotment_id = s.allotment_id AND n.sku_id = s.sku_id)
    RETURNING 1
), come AS (
    INSERT INTO cap_sku (allotment_id, sku_id, stated)
    SELECT allotment_id, sku_id, false FROM now_in
    ON CONFLICT DO NOTHING
    RETURNING 1
)
SELECT (SELECT count(*) FROM gone) + (SELECT count(*) FROM come)
"""

# Keys of fences are kept for their history; one that is no longer stated wants nothing.
WANT_FENCES = """
INSERT INTO fence_stock AS f (allotment_id, sku_id, location_id, wanted)
SELECT %(id)s::int, sku_id, location_id, quantity
FROM unnest(%(skus)s::int[], %(locations)s::int[], %(quantities)s::int[]) AS w(sku_id, location_id, quantity)
ORDER BY sku_id, location_id
ON CONFLICT (sku_id, location_id, allotment_id) DO UPDATE SET wanted = excluded.wanted
"""
TOUCH_ALLOTMENT = "UPDATE allotment SET version = version + 1 WHERE id = %(id)s::int"
UNWANT_FENCES = """
UPDATE fence_stock f SET wanted = 0
WHERE f.allotment_id = %(id)s::int AND f.wanted > 0
  AND NOT EXISTS (SELECT FROM unnest(%(skus)s::int[], %(locations)s::int[]) AS w(sku_id, location_id)
                  WHERE w.sku_id = f.sku_id AND w.location_id = f.location_id)
"""
CLOSE_FENCES = "UPDATE fence_stock SET open = false WHERE allotment_id = %(id)s::int"

# A fence's rows in key order, before anything of it is moved.
LOCK_FENCE = """
SELECT sku_id, location_id, wanted, granted, remaining
FROM fence_stock WHERE allotment_id = %(id)s::int AND (wanted <> granted OR NOT %(unfilled)s::bool)
ORDER BY sku_id, location_id
FOR NO KEY UPDATE
"""

# The same on some balances, in the same order.
LOCK_FENCE_AT = """
SELECT f.sku_id, f.location_id, f.wanted, f.granted, f.remaining
FROM fence_stock f
JOIN unnest(%(skus)s::int[], %(locations)s::int[]) AS w(sku_id, location_id)
  ON f.sku_id = w.sku_id AND f.location_id = w.location_id
WHERE f.allotment_id = %(id)s::int AND f.wanted <> f.granted
ORDER BY f.sku_id, f.location_id
FOR NO KEY UPDATE OF f
"""

# Sets units of common stock apart, as many as are asked and there; answers how many.
SET_APART = """
WITH want AS (
    SELECT * FROM unnest(%(skus)s::int[], %(locations)s::int[], %(quantities)s::int[])
                  AS w(sku_id, location_id, quantity)
), locked AS MATERIALIZED (
    SELECT b.sku_id, b.location_id,
           least(w.quantity, b.on_hand - b.allocated - b.held - b.safety - b.fenced) AS units
    FROM balance b JOIN want w ON b.sku_id = w.sku_id AND b.location_id = w.location_id
    ORDER BY b.sku_id, b.location_id
    FOR NO KEY UPDATE OF b
)
UPDATE balance b SET fenced = b.fenced + l.units
FROM locked l
WHERE b.sku_id = l.sku_id AND b.location_id = l.location_id AND l.units > 0
RETURNING b.sku_id, b.location_id, l.units
"""
