"""What must be so of slots; each statement returns what is not."""

# Every place taken is a reservation, those of picking slots are work that was not given back, with its units, and
# nobody got in beyond the largest quota a slot ever had since it counts what it counts.
COUNTER_IS_NOT_RESERVATIONS = """
WITH reserved AS (
    SELECT location_id, kind, day, starts, count(*) FILTER (WHERE state = 'held') AS held,
           count(*) FILTER (WHERE state = 'confirmed') AS confirmed, 0 AS units
    FROM capacity_reservation WHERE state IN ('held', 'confirmed') GROUP BY location_id, kind, day, starts
    UNION ALL
    SELECT slot_location_id, 'pick', capacity_day, slot_starts, 0, count(*), sum(units)
    FROM fulfillment_order WHERE slot_starts IS NOT NULL AND state NOT IN ('rejected', 'cancelled')
    GROUP BY slot_location_id, capacity_day, slot_starts
)
SELECT coalesce(l.code, '#' || coalesce(s.location_id, r.location_id)) AS location, coalesce(s.kind, r.kind) AS kind,
       coalesce(s.day, r.day) AS day, coalesce(s.starts, r.starts) AS starts, coalesce(s.widest, 0) AS widest,
       coalesce(s.held, 0) AS held, coalesce(s.confirmed, 0) AS confirmed, coalesce(r.held, 0) AS holds,
       coalesce(r.confirmed, 0) AS orders, coalesce(s.units, 0) AS units, coalesce(r.units, 0) AS work_units,
       count(*) OVER () AS total
FROM capacity_slot s
FULL JOIN reserved r
  ON r.location_id = s.location_id AND r.kind = s.kind AND r.day = s.day AND r.starts = s.starts
LEFT JOIN location l ON l.id = coalesce(s.location_id, r.location_id)
WHERE (coalesce(s.held, 0), coalesce(s.confirmed, 0), coalesce(s.units, 0))
      IS DISTINCT FROM (coalesce(r.held, 0), coalesce(r.confirmed, 0), coalesce(r.units, 0))
   OR CASE s.measure WHEN 'units' THEN s.units ELSE s.held + s.confirmed END > s.widest
ORDER BY 1, 2, 3, 4
LIMIT %(cap)s::int
"""
# Open work says how many units it has: those of its order that it was released with and that are neither cancelled nor
# given back. By the partial index on open work.
UNITS_ARE_NOT_WORK = """
SELECT f.number, l.code AS location, f.units, coalesce(u.units, 0) AS living, count(*) OVER () AS total
FROM fulfillment_order f
JOIN location l ON l.id = f.location_id
LEFT JOIN LATERAL (SELECT sum(quantity) AS units FROM order_unit
                   WHERE fulfillment_id = f.id AND state <> 'cancelled') u ON true
WHERE f.state NOT IN ('closed', 'rejected', 'cancelled') AND f.units <> coalesce(u.units, 0)
ORDER BY f.number
LIMIT %(cap)s::int
"""
# Somebody lowered the quota of a slot that is still to come below what was reserved: who has a place keeps it. One
# piece of work that is larger than its slot has it whole.
RESERVED_ABOVE_QUOTA = """
SELECT coalesce(l.code, '#' || s.location_id) AS location, s.kind, s.day, s.starts, s.quota,
       CASE s.measure WHEN 'units' THEN s.units ELSE s.held + s.confirmed END AS reserved, count(*) OVER () AS total
FROM capacity_slot s LEFT JOIN location l ON l.id = s.location_id
WHERE CASE s.measure WHEN 'units' THEN s.units > s.quota AND (s.confirmed > 1 OR s.quota = 0)
                     ELSE s.held + s.confirmed > s.quota END
  AND s.day >= (now() AT TIME ZONE coalesce(l.timezone, 'UTC'))::date
ORDER BY s.day, 1, s.kind, s.starts
LIMIT %(cap)s::int
"""
