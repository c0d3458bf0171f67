"""Statements that change who waits for which supply.

Lock order: orders, the purchase order or transfer, queues by (SKU, location), supply lines by (SKU, location, id),
policies by id, then counters of caps, fences and balances. Who only adds at the end of a queue (intake) takes no queue:
its conditional update of the supply line decides.
"""

from typing import LiteralString

from malha.inventory.ahead.reads import FREE_BEFORE, MISSING, offered

ENSURE_QUEUES = """
INSERT INTO supply_queue (sku_id, location_id)
SELECT sku_id, location_id FROM unnest(%(skus)s::int[], %(locations)s::int[]) AS w(sku_id, location_id)
ORDER BY sku_id, location_id
ON CONFLICT DO NOTHING
"""
# In key order, as balances are.
LOCK_QUEUES = """
SELECT q.sku_id FROM supply_queue q
JOIN unnest(%(skus)s::int[], %(locations)s::int[]) AS w(sku_id, location_id)
  ON q.sku_id = w.sku_id AND q.location_id = w.location_id
ORDER BY q.sku_id, q.location_id
FOR NO KEY UPDATE OF q
"""
# Intake adds claims under the lock of a line alone: once the lines are locked, the queues stand still.
LOCK_LINES = """
SELECT s.id FROM supply s
JOIN unnest(%(skus)s::int[], %(locations)s::int[]) AS w(sku_id, location_id)
  ON s.sku_id = w.sku_id AND s.location_id = w.location_id
WHERE s.expected > 0
ORDER BY s.sku_id, s.location_id, s.id
FOR NO KEY UPDATE OF s
"""
# Counters of policies are written after balances (goods that arrive, stock that turns up): locked before them, those
# under which somebody waits in the queues, and those under which more may be sold of SKUs.
LOCK_POLICIES = """
SELECT id FROM ahead_policy
WHERE id IN (
    SELECT c.policy_id FROM supply_claim c
    JOIN unnest(%(skus)s::int[], %(locations)s::int[]) AS w(sku_id, location_id)
      ON c.sku_id = w.sku_id AND c.location_id = w.location_id
    WHERE c.state <> 'arrived'
    UNION
    SELECT p.id FROM variant v
    JOIN ahead_policy p ON p.sku_id = v.id OR (p.sku_id IS NULL AND p.product_id = v.product_id)
    WHERE v.id = ANY (%(more)s::int[]) AND NOT p.removed
)
ORDER BY id
FOR NO KEY UPDATE
"""
# Queues an order stands in, and those it could join: all with supply, since full ones are locked when it is planned.
QUEUES_FOR = """
SELECT sku_id, location_id FROM supply_claim WHERE order_id = ANY (%(orders)s::uuid[])
UNION
SELECT sku_id, location_id FROM supply
WHERE sku_id = ANY (%(skus)s::int[]) AND expected > 0
ORDER BY 1, 2
"""
_LOCK_OPEN: LiteralString = """
    SELECT s.id, s.sku_id, s.location_id, s.eta, s.expected, s.promised FROM supply s
    WHERE s.sku_id = ANY (%(skus)s::int[]) AND s.expected > 0
    ORDER BY s.sku_id, s.location_id, s.id
    FOR NO KEY UPDATE
"""
# For a second try of intake: all open lines of SKUs, so that what is planned with stands still.
LOCK_OPEN = offered(_LOCK_OPEN)
# Behind balances nobody is waited for. What was locked before them is had; a line that came since may be somebody's.
LOCK_OPEN_OF_NOBODY = offered(_LOCK_OPEN + "SKIP LOCKED")
LOCK_ROOM = """
SELECT id, coalesce(cap - waiting, 2147483647) FROM ahead_policy WHERE id = ANY (%(policies)s::int[])
ORDER BY id FOR NO KEY UPDATE
"""

# What purchase orders, production orders and shipments of transfers say of a key; by the partial indexes on expected
# lines and on goods that are coming.
_STATED = """
WITH want AS (
    SELECT * FROM unnest(%(skus)s::int[], %(locations)s::int[]) AS w(sku_id, location_id)
), stated AS (
    SELECT o.kind, l.order_id AS source_id, l.line, l.sku_id, l.location_id, l.eta, l.expected
    FROM want w JOIN inbound_line l ON l.sku_id = w.sku_id AND l.location_id = w.location_id AND l.expected > 0
    JOIN inbound_order o ON o.id = l.order_id
    UNION ALL
    SELECT 'transfer', s.id, l.line, l.sku_id, t.destination_id, s.eta, l.coming
    FROM want w JOIN transfer_shipment_line l ON l.sku_id = w.sku_id AND l.coming > 0
    JOIN transfer_shipment s ON s.id = l.shipment_id
    JOIN transfer t ON t.id = s.transfer_id AND t.destination_id = w.location_id
    WHERE s.eta IS NOT NULL AND t.state IN ('partly_shipped', 'shipped') AND t.order_id IS NULL
    UNION ALL  -- what older code shipped beside this during an update has no shipment yet
    SELECT 'transfer', t.id, l.line, l.sku_id, t.destination_id, t.eta, l.transit
    FROM want w JOIN transfer_line l ON l.sku_id = w.sku_id AND l.transit > 0
    JOIN transfer t ON t.id = l.transfer_id AND t.destination_id = w.location_id
    WHERE t.state = 'shipped' AND t.eta IS NOT NULL
      AND NOT EXISTS (SELECT FROM transfer_shipment s WHERE s.transfer_id = t.id)
)
"""
ADD_LINES = (
    _STATED
    + """
INSERT INTO supply (kind, source_id, line, sku_id, location_id, eta, expected)
SELECT kind, source_id, line, sku_id, location_id, eta, expected FROM stated
ORDER BY sku_id, location_id, source_id, line
ON CONFLICT (source_id, line) DO NOTHING
RETURNING sku_id, location_id
"""
)
# As they are to be (day, expected) and as they were (day, expected, promised).
LINES_OF_QUEUES = (
    _STATED
    + """
SELECT s.id, s.sku_id, s.location_id, coalesce(n.eta, s.eta), coalesce(n.expected, 0), s.promised, s.eta, s.expected
FROM want w JOIN supply s ON s.sku_id = w.sku_id AND s.location_id = w.location_id
LEFT JOIN stated n ON n.source_id = s.source_id AND n.line = s.line
WHERE s.expected > 0 OR n.expected > 0
ORDER BY s.sku_id, s.location_id, s.id
"""
)
# Who waits, the first to claim first.
CLAIMS_OF_QUEUES = """
SELECT c.id, c.order_id, c.line, c.sku_id, c.location_id, c.state, c.supply_id, c.quantity, c.since, c.days,
       c.not_before, c.told, c.policy_id
FROM supply_claim c JOIN unnest(%(skus)s::int[], %(locations)s::int[]) AS w(sku_id, location_id)
  ON c.sku_id = w.sku_id AND c.location_id = w.location_id
WHERE c.state <> 'arrived'
ORDER BY c.sku_id, c.location_id, c.since, c.order_id, c.line, c.id
"""
CLAIMS_OF_ORDERS = """
SELECT c.id, c.order_id, c.line, c.sku_id, c.location_id, c.state, c.supply_id, c.quantity, c.since, c.days,
       c.not_before, c.told, c.policy_id, s.eta
FROM supply_claim c LEFT JOIN supply s ON s.id = c.supply_id
WHERE c.order_id = ANY (%(orders)s::uuid[])
ORDER BY c.order_id, c.line, c.id
"""
# One statement: never is more promised than expected, not even between two of them.
RESTATE_LINES = """
UPDATE supply s SET eta = w.eta, expected = w.expected, promised = w.promised
FROM unnest(%(ids)s::bigint[], %(etas)s::date[], %(expected)s::int[], %(promised)s::int[])
     AS w(id, eta, expected, promised)
WHERE s.id = w.id
"""
DROP_CLAIMS = "DELETE FROM supply_claim WHERE id = ANY (%(ids)s::bigint[])"
INSERT_CLAIMS = """
INSERT INTO supply_claim (order_id, line, sku_id, location_id, state, supply_id, quantity, since, days, not_before,
                          told, policy_id)
SELECT order_id, line, sku_id, location_id, state, supply_id, quantity, coalesce(since, now()), days, not_before, told,
       policy_id
FROM unnest(%(orders)s::uuid[], %(lines)s::smallint[], %(skus)s::int[], %(locations)s::int[], %(states)s::text[],
            %(supplies)s::bigint[], %(quantities)s::int[], %(since)s::timestamptz[], %(days)s::smallint[],
            %(not_before)s::date[], %(told)s::date[], %(policies)s::int[])
     AS w(order_id, line, sku_id, location_id, state, supply_id, quantity, since, days, not_before, told, policy_id)
"""
SHRINK_CLAIMS = """
UPDATE supply_claim c SET quantity = c.quantity - w.units
FROM unnest(%(ids)s::bigint[], %(units)s::int[]) AS w(id, units) WHERE c.id = w.id
"""
NOTE_TOLD = """
UPDATE supply_claim c SET told = s.eta FROM supply s
WHERE c.supply_id = s.id AND c.order_id = %(order_id)s::uuid AND c.line = ANY (%(lines)s::smallint[])
  AND c.state = 'waiting'
"""
# The decision of a claim: no more than is expected, of the day it was planned with, and nothing that is missing there
# for others, unless it was planned with that. Rows missing from the count were refused, and the caller rolls back.
# Locked in the order of the module. Earlier lines are read as they were when the statement began: whoever claims of
# them leaves what they owe.
CLAIM = f"""
WITH locked AS MATERIALIZED (
    SELECT s.id, s.sku_id, s.location_id, s.eta, w.units, w.planned FROM supply s
    JOIN unnest(%(ids)s::bigint[], %(units)s::int[], %(etas)s::date[]) AS w(id, units, planned) ON s.id = w.id
    ORDER BY s.sku_id, s.location_id, s.id
    FOR NO KEY UPDATE OF s
), owed AS (
    SELECT s.id, {MISSING} - {FREE_BEFORE} AS units
    FROM locked s JOIN balance b ON b.sku_id = s.sku_id AND b.location_id = s.location_id
    WHERE b.allocated + b.held > b.on_hand AND NOT %(planned)s::boolean
), granted AS (
    UPDATE supply s SET promised = s.promised + l.units
    FROM locked l LEFT JOIN owed o ON o.id = l.id
    WHERE s.id = l.id AND s.promised + l.units <= s.expected - greatest(coalesce(o.units, 0), 0)
      AND s.eta = l.planned
    RETURNING 1
)
SELECT count(*)::int FROM granted
"""
GIVE_BACK = """
UPDATE supply s SET promised = s.promised - w.units
FROM unnest(%(ids)s::bigint[], %(units)s::int[]) AS w(id, units) WHERE s.id = w.id
"""
# Signed. More only as far as the cap lets through; fewer always.
COUNT_WAITING = """
WITH locked AS MATERIALIZED (
    SELECT p.id, w.units FROM ahead_policy p
    JOIN unnest(%(ids)s::int[], %(units)s::int[]) AS w(id, units) ON p.id = w.id
    ORDER BY p.id
    FOR NO KEY UPDATE OF p
), counted AS (
    UPDATE ahead_policy p SET waiting = p.waiting + l.units
    FROM locked l
    WHERE p.id = l.id AND (l.units <= 0 OR p.cap IS NULL OR p.waiting + l.units <= p.cap OR %(regardless)s::boolean)
    RETURNING 1
)
SELECT count(*)::int FROM counted
"""
# What is missing for those it is promised to: they get what comes before anybody in the queue.
MISSING_AT = f"""
SELECT b.sku_id, b.location_id, {MISSING}
FROM balance b JOIN unnest(%(skus)s::int[], %(locations)s::int[]) AS w(sku_id, location_id)
  ON b.sku_id = w.sku_id AND b.location_id = w.location_id
WHERE b.allocated + b.held > b.on_hand
"""
# The units of a balance that are nobody's yet: goods that were promised before they came go before safety stock.
ROOM_AT = """
SELECT b.sku_id, b.location_id, b.on_hand - b.allocated - b.held - b.fenced
FROM balance b JOIN unnest(%(skus)s::int[], %(locations)s::int[]) AS w(sku_id, location_id)
  ON b.sku_id = w.sku_id AND b.location_id = w.location_id
ORDER BY b.sku_id, b.location_id
FOR NO KEY UPDATE OF b
"""

# Who states policies takes turns: what a table finds stated is what it changes, and what its undo puts back. Taken
# before any row. Who sells under policies only counts units, and does not wait.
LOCK_STATED = """
SELECT pg_advisory_xact_lock(hashtext('malha:' || current_schema() || ':ahead_policies'))
"""
# The version tells whether somebody else changed it; NULL states it anew, also where it was removed.
PUT_POLICY = """
INSERT INTO ahead_policy AS p (product_id, sku_id, channel_id, mode, release_on, cap, horizon_days, handling_days,
                               changed_by)
VALUES (%(product_id)s::int, %(sku_id)s::int, %(channel_id)s::int, %(mode)s::text, %(release_on)s::date, %(cap)s::int,
        %(horizon_days)s::smallint, %(handling_days)s::smallint, %(actor)s::text)
ON CONFLICT (product_id, sku_id, channel_id) DO UPDATE
SET mode = excluded.mode, release_on = excluded.release_on, cap = excluded.cap, horizon_days = excluded.horizon_days,
    handling_days = excluded.handling_days, changed_by = excluded.changed_by, changed_at = now(), removed = false,
    version = p.version + 1
WHERE (p.removed AND %(version)s::int IS NULL) OR p.version = %(version)s::int
RETURNING id
"""
# Policies of a table, in key order: new ones come in, also where one was removed; others become what the table says.
STATE_POLICIES = """
INSERT INTO ahead_policy AS p (product_id, sku_id, channel_id, mode, release_on, cap, horizon_days, handling_days,
                               changed_by)
SELECT product_id, sku_id, channel_id, mode, release_on, cap, horizon_days, handling_days, %(actor)s::text
FROM unnest(%(products)s::int[], %(skus)s::int[], %(channels)s::int[], %(mode)s::text[], %(release_on)s::date[],
            %(cap)s::int[], %(horizon_days)s::smallint[], %(handling_days)s::smallint[])
     AS w(product_id, sku_id, channel_id, mode, release_on, cap, horizon_days, handling_days)
ORDER BY product_id, sku_id, channel_id
ON CONFLICT (product_id, sku_id, channel_id) DO UPDATE
SET mode = excluded.mode, release_on = excluded.release_on, cap = excluded.cap, horizon_days = excluded.horizon_days,
    handling_days = excluded.handling_days, changed_by = excluded.changed_by, changed_at = now(), removed = false,
    version = p.version + 1
"""
REMOVE_POLICY = """
UPDATE ahead_policy SET removed = true, version = version + 1, changed_at = now(), changed_by = %(actor)s::text
WHERE id = %(id)s::int AND version = %(version)s::int AND NOT removed
RETURNING id
"""
# Under LOCK_STATED; locked by id, as where units are counted.
REMOVE_POLICIES = """
UPDATE ahead_policy p SET removed = true, version = p.version + 1, changed_at = now(), changed_by = %(actor)s::text
FROM (SELECT id FROM ahead_policy WHERE id = ANY (%(ids)s::int[]) ORDER BY id FOR NO KEY UPDATE) AS w
WHERE p.id = w.id
"""
# The rows that a table changes, before its upsert: by id, as where units are counted.
LOCK_ROWS = "SELECT id FROM ahead_policy WHERE id = ANY (%(ids)s::int[]) ORDER BY id FOR NO KEY UPDATE"
