"""Every statement that changes stock. A balance and its ledger rows change in one transaction, always.

Locks are taken once, in (sku_id, location_id) order, by a CTE with ORDER BY ... FOR NO KEY UPDATE: an ORDER BY inside
FROM is no lock order. After a lock wait the UPDATE's condition is evaluated again on the newest row, so its RETURNING
is the decision.
"""

# The locks of a batch of keys, in key order; every change of balances by quantity starts with it.
_LOCKED = """
WITH want AS (
    SELECT * FROM unnest(%(skus)s::int[], %(locations)s::int[], %(quantities)s::int[])
                  AS w(sku_id, location_id, quantity)
), locked AS MATERIALIZED (
    SELECT b.sku_id, b.location_id, w.quantity
    FROM balance b JOIN want w ON b.sku_id = w.sku_id AND b.location_id = w.location_id
    ORDER BY b.sku_id, b.location_id
    FOR NO KEY UPDATE OF b
)
"""

# Balance rows exist for every pair that ever had stock; a fact about a new pair makes one.
ENSURE_BALANCES = """
INSERT INTO balance (sku_id, location_id)
SELECT sku_id, location_id FROM unnest(%(skus)s::int[], %(locations)s::int[]) AS w(sku_id, location_id)
ORDER BY sku_id, location_id
ON CONFLICT DO NOTHING
"""

# Claims what is free in common stock (not set apart for a fence) and nothing else: rows that are missing from RETURNING
# were refused.
CLAIM = (
    _LOCKED
    + """UPDATE balance b SET allocated = b.allocated + l.quantity
FROM locked l
WHERE b.sku_id = l.sku_id AND b.location_id = l.location_id
  AND b.on_hand - b.allocated - b.held - b.safety - b.fenced >= l.quantity
RETURNING b.sku_id, b.location_id
"""
)

# Goods that came, for the orders they were promised to: no safety stock, which new orders leave, stands before those.
CLAIM_ARRIVED = (
    _LOCKED
    + """UPDATE balance b SET allocated = b.allocated + l.quantity
FROM locked l
WHERE b.sku_id = l.sku_id AND b.location_id = l.location_id
  AND b.on_hand - b.allocated - b.held - b.fenced >= l.quantity
RETURNING b.sku_id, b.location_id
"""
)

# Goods that come for one order, by a transfer or from its vendor, in the statements before they are there: whatever is
# short at the place.
CLAIM_BROUGHT = (
    _LOCKED
    + """UPDATE balance b SET allocated = b.allocated + l.quantity
FROM locked l
WHERE b.sku_id = l.sku_id AND b.location_id = l.location_id
"""
)

# Gives back what CLAIM took in this very transaction, before any ledger row was written for it.
UNCLAIM = """
UPDATE balance b SET allocated = b.allocated - w.quantity
FROM unnest(%(skus)s::int[], %(locations)s::int[], %(quantities)s::int[]) AS w(sku_id, location_id, quantity)
WHERE b.sku_id = w.sku_id AND b.location_id = w.location_id
"""

# Gives claims back; refuses below zero, which would be somebody else's claim.
RELEASE = (
    _LOCKED
    + """UPDATE balance b SET allocated = b.allocated - l.quantity
FROM locked l
WHERE b.sku_id = l.sku_id AND b.location_id = l.location_id AND b.allocated >= l.quantity
RETURNING b.sku_id, b.location_id
"""
)

# Units leave: physical stock and claim fall together. on_hand may pass below zero: they did leave, a count is due.
SHIP = (
    _LOCKED
    + """UPDATE balance b SET on_hand = b.on_hand - l.quantity, allocated = b.allocated - l.quantity
FROM locked l
WHERE b.sku_id = l.sku_id AND b.location_id = l.location_id AND b.allocated >= l.quantity
RETURNING b.sku_id, b.location_id, b.on_hand, b.allocated
"""
)

# A physical fact as a difference; always applied, unless a balance cannot hold what comes of it, or what is free
# cannot be reckoned: those are missing from RETURNING. The last column says that fewer units are there now than are set
# apart for fences.
ADJUST = (
    _LOCKED
    + """UPDATE balance b SET on_hand = b.on_hand + l.quantity
FROM locked l
WHERE b.sku_id = l.sku_id AND b.location_id = l.location_id
  AND CASE WHEN l.quantity > 0 THEN b.on_hand::bigint + l.quantity <= 2147483647
           ELSE b.on_hand::bigint + l.quantity - b.allocated - b.held - b.safety - b.fenced >= -2147483647 END
RETURNING b.sku_id, b.location_id, b.on_hand, b.allocated,
          b.fenced > greatest(b.on_hand - b.allocated - b.held, 0)
"""
)

# First half of SET: the lock, and what stood there. The difference is written by ADJUST under it.
LOCK_BALANCES = """
SELECT b.sku_id, b.location_id, b.on_hand
FROM balance b
JOIN unnest(%(skus)s::int[], %(locations)s::int[]) AS w(sku_id, location_id)
  ON b.sku_id = w.sku_id AND b.location_id = w.location_id
ORDER BY b.sku_id, b.location_id
FOR NO KEY UPDATE OF b
"""

# What moved on locked balances since a moment, and when somebody last stated absolutely after it how many there are. A
# movement is recorded at most an hour before the moment it claims: older partitions are not looked at.
MOVED_SINCE = """
SELECT m.sku_id, m.location_id, sum(m.d_on_hand)::int,
       max(m.occurred_at) FILTER (WHERE m.reason IN ('count', 'set', 'initial'))
FROM movement m
JOIN unnest(%(skus)s::int[], %(locations)s::int[]) AS w(sku_id, location_id)
  ON m.sku_id = w.sku_id AND m.location_id = w.location_id
WHERE m.recorded_at > %(at)s::timestamptz - interval '1 hour' AND m.occurred_at > %(at)s::timestamptz
  AND m.d_on_hand <> 0 AND m.bucket = 'sellable'
GROUP BY m.sku_id, m.location_id
"""

# All balances of some SKUs, and single ones of others, in one order.
LOCK_SKUS_AND_BALANCES = """
WITH wanted AS (
    SELECT sku_id, location_id FROM balance WHERE sku_id = ANY (%(all_of)s::int[])
    UNION
    SELECT sku_id, location_id FROM unnest(%(skus)s::int[], %(locations)s::int[]) AS w(sku_id, location_id)
)
SELECT b.sku_id, b.location_id
FROM balance b JOIN wanted w ON b.sku_id = w.sku_id AND b.location_id = w.location_id
ORDER BY b.sku_id, b.location_id
FOR NO KEY UPDATE OF b
"""

# Safety stock is a policy, not a movement: it changes what may be claimed, never what is there. Under locks of the
# balances; answers by how much more is kept back, where it is another quantity.
SET_SAFETY = """
UPDATE balance b SET safety = w.quantity
FROM unnest(%(skus)s::int[], %(locations)s::int[], %(quantities)s::int[]) AS w(sku_id, location_id, quantity)
JOIN balance was ON was.sku_id = w.sku_id AND was.location_id = w.location_id
WHERE b.sku_id = w.sku_id AND b.location_id = w.location_id AND b.safety <> w.quantity
RETURNING b.sku_id, b.location_id, b.safety - was.safety
"""

# The ledger. One row per balance, reason and reference; append only.
RECORD_MOVEMENTS = """
INSERT INTO movement (sku_id, location_id, d_on_hand, d_allocated, d_held, reason, ref_kind, ref_id, ref_text, actor,
                      occurred_at)
SELECT w.sku_id, w.location_id, w.quantity * %(on_hand)s::int, w.quantity * %(allocated)s::int,
       w.quantity * %(held)s::int, %(reason)s::text, %(ref_kind)s::text, w.ref_id, %(ref_text)s::text, %(actor)s::text,
       coalesce(%(occurred_at)s::timestamptz, now())
FROM unnest(%(skus)s::int[], %(locations)s::int[], %(quantities)s::int[], %(refs)s::uuid[])
     AS w(sku_id, location_id, quantity, ref_id)
"""

# CLAIM for a batch of new orders, with the ledger in the same statement; answers how many keys were granted, and the
# revision of the allotments it was done under. The caller rolls back when one was not, ledger and all.
CLAIM_FOR_ORDERS = (
    _LOCKED
    + """
, granted AS (
    UPDATE balance b SET allocated = b.allocated + l.quantity
    FROM locked l
    WHERE b.sku_id = l.sku_id AND b.location_id = l.location_id
      AND b.on_hand - b.allocated - b.held - b.safety - b.fenced >= l.quantity
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

# As CLAIM, for a hold.
HOLD = (
    _LOCKED
    + """UPDATE balance b SET held = b.held + l.quantity
FROM locked l
WHERE b.sku_id = l.sku_id AND b.location_id = l.location_id
  AND b.on_hand - b.allocated - b.held - b.safety - b.fenced >= l.quantity
RETURNING b.sku_id, b.location_id
"""
)

UNHOLD = """
UPDATE balance b SET held = b.held - w.quantity
FROM unnest(%(skus)s::int[], %(locations)s::int[], %(quantities)s::int[]) AS w(sku_id, location_id, quantity)
WHERE b.sku_id = w.sku_id AND b.location_id = w.location_id
"""

# A hold becomes a claim: held falls, allocated rises, under the locks taken by LOCK_BALANCES.
CONVERT = """
UPDATE balance b SET held = b.held - w.quantity, allocated = b.allocated + w.quantity
FROM unnest(%(skus)s::int[], %(locations)s::int[], %(quantities)s::int[]) AS w(sku_id, location_id, quantity)
WHERE b.sku_id = w.sku_id AND b.location_id = w.location_id
"""

# The partial unique index on active references decides between two carts that hold at once.
INSERT_HOLD = """
INSERT INTO stock_hold (id, reference, channel_id, expires_at)
VALUES (%(id)s::uuid, %(reference)s::text, %(channel_id)s::int, now() + make_interval(secs => %(seconds)s::float8))
ON CONFLICT (reference) WHERE state = 'active' DO NOTHING
RETURNING expires_at
"""

INSERT_HOLD_LINES = """
INSERT INTO stock_hold_line (hold_id, sku_id, location_id, quantity)
SELECT %(hold_id)s::uuid, sku_id, location_id, quantity
FROM unnest(%(skus)s::int[], %(locations)s::int[], %(quantities)s::int[]) AS w(sku_id, location_id, quantity)
"""

# Conditional on `active`: of convert, release and expiry exactly one gets the row.
RETIRE_HOLD = """
UPDATE stock_hold SET state = %(state)s::text, retired_at = now()
WHERE reference = %(reference)s::text AND state = 'active'
RETURNING id
"""

# What Malha itself keeps, for transfers and suspicions, has a blank in its reference, and pages of its own. Another
# hold is seen by who sees all of its locations.
SEEN_BY_SCOPE = """
position(' ' IN h.reference) = 0
  AND (%(scope)s::int[] IS NULL OR NOT EXISTS (
       SELECT FROM stock_hold_line l WHERE l.hold_id = h.id AND l.location_id <> ALL (%(scope)s::int[])))
"""
# In one order; what is over is left.
RETIRE_SEEN = f"""
WITH seen AS (
    SELECT h.id FROM stock_hold h
    WHERE h.state = 'active' AND h.reference = ANY (%(references)s::text[]) AND {SEEN_BY_SCOPE}
    ORDER BY h.reference
    FOR UPDATE
)
UPDATE stock_hold h SET state = 'released', retired_at = now()
FROM seen WHERE h.id = seen.id AND h.state = 'active'
RETURNING h.id, h.reference, (SELECT sum(l.quantity)::int FROM stock_hold_line l WHERE l.hold_id = h.id)
"""

EXTEND_HOLD = """
UPDATE stock_hold SET expires_at = greatest(expires_at, now() + make_interval(secs => %(seconds)s::float8))
WHERE reference = %(reference)s::text AND state = 'active'
RETURNING expires_at
"""

# Locks a hold that goes on; its lines change under this lock.
KEEP_HOLD = """
UPDATE stock_hold SET expires_at = greatest(expires_at, now() + make_interval(secs => %(seconds)s::float8))
WHERE reference = %(reference)s::text AND state = 'active'
RETURNING id
"""
# What is taken is in the lines. A line of nothing is none.
TAKE_FROM_HOLD = """
WITH taken AS (
    SELECT * FROM unnest(%(skus)s::int[], %(locations)s::int[], %(quantities)s::int[])
        AS w(sku_id, location_id, quantity)
), gone AS (
    DELETE FROM stock_hold_line l USING taken t
    WHERE l.hold_id = %(hold_id)s::uuid AND l.sku_id = t.sku_id AND l.location_id = t.location_id
      AND l.quantity = t.quantity
)
UPDATE stock_hold_line l SET quantity = l.quantity - t.quantity
FROM taken t
WHERE l.hold_id = %(hold_id)s::uuid AND l.sku_id = t.sku_id AND l.location_id = t.location_id
  AND l.quantity > t.quantity
"""

# What a reference held beyond its time. Of two that hold anew under it, the second finds nothing to end.
EXPIRE_HOLD_OF = """
UPDATE stock_hold SET state = 'expired', retired_at = now()
WHERE reference = %(reference)s::text AND state = 'active' AND expires_at <= clock_timestamp()
RETURNING id
"""

# What is kept back as probably not there, as far as it is not there any more: who wrote the loss down, or a system that
# stated it, meant these units, and goods that come later are others. Under the locks of the balances, which lines of
# these holds change under; a suspicion that somebody has is being lifted.
SHRINK_SUSPECTED = """
WITH gone AS MATERIALIZED (
    SELECT s.id AS suspicion_id, h.id, l.sku_id, l.location_id, l.quantity AS had,
           least(l.quantity, b.allocated + b.held + b.safety + b.fenced - b.on_hand) AS units
    FROM unnest(%(skus)s::int[], %(locations)s::int[]) AS w(sku_id, location_id)
    JOIN stock_suspicion s ON s.sku_id = w.sku_id AND s.location_id = w.location_id AND s.lifted_at IS NULL
    JOIN balance b ON b.sku_id = w.sku_id AND b.location_id = w.location_id
    JOIN stock_hold h ON h.reference = 'suspicion ' || w.sku_id || ' ' || w.location_id AND h.state = 'active'
    JOIN stock_hold_line l ON l.hold_id = h.id AND l.sku_id = w.sku_id AND l.location_id = w.location_id
    WHERE b.on_hand < b.allocated + b.held + b.safety + b.fenced
    FOR NO KEY UPDATE OF s, h SKIP LOCKED
), told AS (
    UPDATE stock_suspicion s SET kept_back = greatest(s.kept_back - g.units, 0) FROM gone g WHERE s.id = g.suspicion_id
), ended AS (
    DELETE FROM stock_hold_line l USING gone g
    WHERE l.hold_id = g.id AND l.sku_id = g.sku_id AND l.location_id = g.location_id AND g.units = g.had
), less AS (
    UPDATE stock_hold_line l SET quantity = l.quantity - g.units FROM gone g
    WHERE l.hold_id = g.id AND l.sku_id = g.sku_id AND l.location_id = g.location_id AND g.units < g.had
), kept AS (
    UPDATE balance b SET held = b.held - g.units FROM gone g
    WHERE b.sku_id = g.sku_id AND b.location_id = g.location_id
)
SELECT id, sku_id, location_id, units FROM gone ORDER BY sku_id, location_id
"""

# Retires expired holds, the oldest first, skipping those another transaction is retiring or converting right now.
# An empty `skus` means any SKU.
RETIRE_EXPIRED = """
UPDATE stock_hold h SET state = 'expired', retired_at = now()
WHERE h.id IN (
    SELECT e.id FROM stock_hold e
    WHERE e.state = 'active' AND e.expires_at <= clock_timestamp()
      AND (cardinality(%(skus)s::int[]) = 0
           OR EXISTS (SELECT FROM stock_hold_line l WHERE l.hold_id = e.id AND l.sku_id = ANY (%(skus)s::int[])))
    ORDER BY e.expires_at
    LIMIT %(limit)s::int
    FOR UPDATE SKIP LOCKED
) AND h.state = 'active'
RETURNING h.id
"""

HOLD_LINES = """
SELECT sku_id, location_id, sum(quantity)::int AS quantity
FROM stock_hold_line WHERE hold_id = ANY (%(holds)s::uuid[])
GROUP BY sku_id, location_id ORDER BY sku_id, location_id
"""

HOLD_LINES_EACH = """
SELECT hold_id, sku_id, location_id, quantity FROM stock_hold_line
WHERE hold_id = ANY (%(holds)s::uuid[]) ORDER BY sku_id, location_id, hold_id
"""

# One open deficit per balance; a later fact restates its size.
RAISE_DEFICITS = """
INSERT INTO stock_deficit (id, sku_id, location_id, quantity, reason)
SELECT id, sku_id, location_id, quantity, %(reason)s::text
FROM unnest(%(ids)s::uuid[], %(skus)s::int[], %(locations)s::int[], %(quantities)s::int[])
     AS w(id, sku_id, location_id, quantity)
ORDER BY sku_id, location_id
ON CONFLICT (sku_id, location_id) WHERE resolved_at IS NULL
DO UPDATE SET quantity = excluded.quantity, seq = stock_deficit.seq + 1
RETURNING id, sku_id, location_id, quantity, reason, seq
"""

# A deficit ends by itself when what is promised is there again. Returned is where one has, or may have become smaller,
# and more goods are expected: fewer of those are owed.
RESOLVE_DEFICITS = """
WITH open AS (
    SELECT d.id, d.sku_id, d.location_id, b.allocated <= b.on_hand AS covered
    FROM stock_deficit d
    JOIN unnest(%(skus)s::int[], %(locations)s::int[]) AS w(sku_id, location_id)
      ON d.sku_id = w.sku_id AND d.location_id = w.location_id
    JOIN balance b ON b.sku_id = d.sku_id AND b.location_id = d.location_id
    WHERE d.resolved_at IS NULL
), ended AS (
    UPDATE stock_deficit d SET resolved_at = now(), resolved_by = %(actor)s::text
    FROM open o WHERE d.id = o.id AND o.covered
)
SELECT sku_id, location_id FROM open o
WHERE EXISTS (SELECT FROM supply s
              WHERE s.sku_id = o.sku_id AND s.location_id = o.location_id AND s.expected > 0)
ORDER BY sku_id, location_id
"""
