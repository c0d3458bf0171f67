-- Work of before, and work that older code made or cut meanwhile, has its units: what is open, and what is in slots of
-- today and later. Who takes or gives back a place waits, and so does who locks a slot first, to give its place back
-- afterwards: the lock waits for those that have one, and lets nobody have one until all is counted. Work in other hands
-- is left, nobody waits for it; whoever has it says its units when they next change.
LOCK TABLE capacity_slot IN EXCLUSIVE MODE;
-- Locked in a statement of their own: the next one sees what was done to their units before they were.
CREATE TEMPORARY TABLE in_hand ON COMMIT DROP AS
    SELECT f.id FROM fulfillment_order f
    WHERE f.state NOT IN ('rejected', 'cancelled')
      AND (f.state <> 'closed' OR f.slot_starts IS NOT NULL AND f.capacity_day >= current_date - 1)
      AND f.units <> (SELECT coalesce(sum(quantity), 0) FROM order_unit
                      WHERE fulfillment_id = f.id AND state <> 'cancelled')
    FOR NO KEY UPDATE SKIP LOCKED;
UPDATE fulfillment_order f SET units = u.units
FROM in_hand n
CROSS JOIN LATERAL (SELECT coalesce(sum(quantity), 0)::int AS units FROM order_unit
                    WHERE fulfillment_id = n.id AND state <> 'cancelled') u
WHERE f.id = n.id;
WITH work AS (
    SELECT slot_location_id, capacity_day, slot_starts, sum(units)::int AS units FROM fulfillment_order
    WHERE slot_starts IS NOT NULL AND state NOT IN ('rejected', 'cancelled')
    GROUP BY slot_location_id, capacity_day, slot_starts
), counted AS (
    SELECT s.location_id, s.kind, s.day, s.starts, coalesce(w.units, 0) AS units
    FROM capacity_slot s
    LEFT JOIN work w ON w.slot_location_id = s.location_id AND w.capacity_day = s.day AND w.slot_starts = s.starts
    WHERE s.kind = 'pick'
)
UPDATE capacity_slot s SET units = c.units
FROM counted c
WHERE s.location_id = c.location_id AND s.kind = c.kind AND s.day = c.day AND s.starts = c.starts AND s.units <> c.units;
