"""Statements that write what vendors supply and what they are asked to send. The order is locked before these."""

# In key order, so that two who state the same offers do not wait for each other in a circle.
STATE_OFFERS = """
INSERT INTO vendor_offer AS o (location_id, sku_id, vendor_sku, unit_cost, lead_days, active, changed_by)
SELECT location_id, sku_id, vendor_sku, unit_cost, lead_days, active, %(actor)s::text
FROM unnest(%(locations)s::int[], %(skus)s::int[], %(vendor_skus)s::text[], %(costs)s::bigint[],
            %(lead_days)s::smallint[], %(active)s::boolean[])
     AS w(location_id, sku_id, vendor_sku, unit_cost, lead_days, active)
ORDER BY location_id, sku_id
ON CONFLICT (location_id, sku_id) DO UPDATE
SET vendor_sku = excluded.vendor_sku, unit_cost = excluded.unit_cost, lead_days = excluded.lead_days,
    active = excluded.active, version = o.version + 1, changed_at = now(), changed_by = excluded.changed_by
WHERE (o.vendor_sku, o.unit_cost, o.lead_days, o.active)
      IS DISTINCT FROM (excluded.vendor_sku, excluded.unit_cost, excluded.lead_days, excluded.active)
RETURNING o.location_id, o.sku_id
"""
# By primary key.
REMOVE_OFFER = """
DELETE FROM vendor_offer WHERE location_id = %(location_id)s::int AND sku_id = %(sku_id)s::int RETURNING sku_id
"""
# New ids: nobody else writes these keys.
INSERT_DROPS = """
INSERT INTO drop_ship (id, order_id, location_id, leaves_on)
SELECT id, order_id, location_id, leaves_on
FROM unnest(%(ids)s::uuid[], %(orders)s::uuid[], %(locations)s::int[], %(days)s::date[])
     AS w(id, order_id, location_id, leaves_on)
"""
INSERT_DROP_LINES = """
INSERT INTO drop_ship_line (drop_ship_id, line, sku_id, quantity, unit_cost, vendor_sku)
SELECT drop_ship_id, line, sku_id, quantity, unit_cost, vendor_sku
FROM unnest(%(drops)s::uuid[], %(lines)s::smallint[], %(skus)s::int[], %(quantities)s::int[], %(costs)s::bigint[],
            %(vendor_skus)s::text[])
     AS w(drop_ship_id, line, sku_id, quantity, unit_cost, vendor_sku)
"""
# Whoever holds the order's lock is alone with its drop-ship orders; this keeps the rows still for readers by number.
LOCK_OPEN = """
SELECT id, number, order_id, location_id, state, leaves_on, seq FROM drop_ship
WHERE order_id = ANY (%(orders)s::uuid[]) AND state IN ('asked', 'accepted')
ORDER BY id
FOR NO KEY UPDATE
"""
LOCK_DROP = """
SELECT id, number, order_id, location_id, state, leaves_on, seq FROM drop_ship WHERE id = %(id)s::uuid
FOR NO KEY UPDATE
"""
# By primary key; what is expected is never below zero (the table's check).
_OF_LINES = """
FROM unnest(%(drops)s::uuid[], %(lines)s::smallint[], %(skus)s::int[], %(units)s::int[]) AS w(id, line, sku_id, units)
WHERE l.drop_ship_id = w.id AND l.line = w.line AND l.sku_id = w.sku_id
"""
DROP_UNITS = "UPDATE drop_ship_line l SET dropped = l.dropped + w.units" + _OF_LINES
SEND_UNITS = "UPDATE drop_ship_line l SET sent = l.sent + w.units" + _OF_LINES
# What its lines say: while anything is expected it stands as it did; else sent, as far as anything was.
RESTATE = """
UPDATE drop_ship d SET
    state = CASE WHEN l.expected > 0 THEN coalesce(%(state)s::text, d.state)
                 WHEN l.sent > 0 THEN 'sent' ELSE %(ended)s::text END,
    ended_at = CASE WHEN l.expected > 0 THEN NULL ELSE now() END,
    answered_at = CASE WHEN %(answered)s::boolean THEN coalesce(d.answered_at, now()) ELSE d.answered_at END,
    leaves_on = coalesce(%(leaves_on)s::date, d.leaves_on),
    reference = coalesce(%(reference)s::text, d.reference),
    reason = coalesce(%(reason)s::text, d.reason),
    seq = d.seq + 1
FROM (SELECT drop_ship_id, sum(expected) AS expected, sum(sent) AS sent FROM drop_ship_line
      WHERE drop_ship_id = ANY (%(ids)s::uuid[]) GROUP BY drop_ship_id) l
WHERE d.id = l.drop_ship_id
RETURNING d.id, d.state, d.seq
"""
