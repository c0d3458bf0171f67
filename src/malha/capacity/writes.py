"""Every statement that changes slots. A counter and the reservations it counts change in one transaction, always.

Lock order: the plan of a location, then counters of picking (each behind the `location_day` of its day), then
reservations by id, then the other counters by (location, kind, day, start); allotments and balances come after. Expired
holds are looked for with their counters locked, and skipped where another transaction
has them.
"""

# --- what a location states ---

ENSURE_PLAN = """
INSERT INTO capacity_plan (location_id) VALUES (%(location)s::int) ON CONFLICT DO NOTHING
"""

# Held until the change commits: a first reservation of a slot waits for it, or it for that.
LOCK_PLAN = """
SELECT version FROM capacity_plan WHERE location_id = %(location)s::int FOR NO KEY UPDATE
"""

# So that no counter row is made from a statement that is being replaced. Ascending, as all who take several.
SHARE_PLANS = """
SELECT location_id FROM capacity_plan WHERE location_id = ANY (%(locations)s::int[]) ORDER BY location_id FOR SHARE
"""

BUMP_PLAN = """
UPDATE capacity_plan SET version = version + 1, measure = %(measure)s::text
WHERE location_id = %(location)s::int RETURNING version
"""

DROP_TEMPLATES = """
DELETE FROM capacity_template WHERE location_id = %(location)s::int AND kind = ANY (%(kinds)s::text[])
"""

ADD_TEMPLATES = """
INSERT INTO capacity_template (location_id, kind, weekday, starts, ends, quota)
SELECT %(location)s::int, kind, weekday, starts, ends, quota
FROM unnest(%(kinds)s::text[], %(weekdays)s::smallint[], %(starts)s::time[], %(ends)s::time[], %(quotas)s::int[])
     AS w(kind, weekday, starts, ends, quota)
"""

DROP_OVERRIDES = """
DELETE FROM capacity_override o
USING unnest(%(kinds)s::text[], %(days)s::date[]) AS w(kind, day)
WHERE o.location_id = %(location)s::int AND o.kind = w.kind AND o.day = w.day
"""

ADD_OVERRIDES = """
INSERT INTO capacity_override (location_id, kind, day, starts, ends, quota, reason)
SELECT %(location)s::int, kind, day, starts, ends, quota, reason
FROM unnest(%(kinds)s::text[], %(days)s::date[], %(starts)s::time[], %(ends)s::time[], %(quotas)s::int[],
            %(reasons)s::text[]) AS w(kind, day, starts, ends, quota, reason)
"""

# --- counters ---

# The first reservation of a slot makes its row; two at once make one.
ENSURE_SLOTS = """
INSERT INTO capacity_slot (location_id, kind, day, starts, ends, quota, widest, measure)
SELECT location_id, kind, day, starts, ends, quota, quota, measure
FROM unnest(%(locations)s::int[], %(kinds)s::text[], %(days)s::date[], %(starts)s::time[], %(ends)s::time[],
            %(quotas)s::int[], %(measures)s::text[]) AS w(location_id, kind, day, starts, ends, quota, measure)
ORDER BY location_id, kind, day, starts
ON CONFLICT DO NOTHING
"""

LOCK_SLOTS = """
SELECT s.location_id, s.kind, s.day, s.starts, s.ends, s.quota, s.held, s.confirmed, s.units
FROM capacity_slot s
JOIN unnest(%(locations)s::int[], %(kinds)s::text[], %(days)s::date[], %(starts)s::time[])
     AS w(location_id, kind, day, starts)
  ON s.location_id = w.location_id AND s.kind = w.kind AND s.day = w.day AND s.starts = w.starts
ORDER BY s.location_id, s.kind, s.day, s.starts
FOR NO KEY UPDATE OF s
"""

# What is taken grows only within the quota, and may always shrink or change hands. After a lock wait the condition is
# evaluated again on the newest row: slots that are missing from RETURNING were refused.
APPLY = """
WITH want AS (
    SELECT * FROM unnest(%(locations)s::int[], %(kinds)s::text[], %(days)s::date[], %(starts)s::time[],
                         %(held)s::int[], %(confirmed)s::int[])
                  AS w(location_id, kind, day, starts, d_held, d_confirmed)
), locked AS MATERIALIZED (
    SELECT s.location_id, s.kind, s.day, s.starts, w.d_held, w.d_confirmed
    FROM capacity_slot s
    JOIN want w ON s.location_id = w.location_id AND s.kind = w.kind AND s.day = w.day AND s.starts = w.starts
    ORDER BY s.location_id, s.kind, s.day, s.starts
    FOR NO KEY UPDATE OF s
)
UPDATE capacity_slot s SET held = s.held + l.d_held, confirmed = s.confirmed + l.d_confirmed
FROM locked l
WHERE s.location_id = l.location_id AND s.kind = l.kind AND s.day = l.day AND s.starts = l.starts
  AND (l.d_held + l.d_confirmed <= 0 OR s.held + s.confirmed + l.d_held + l.d_confirmed <= s.quota)
RETURNING s.location_id, s.kind, s.day, s.starts
"""

# Work takes places in slots whose counters are locked and were read since (`LOCK_SLOTS`); it is conditional all the
# same, and what is granted comes back. The quotas are those stated now, under the plan's lock: another holiday
# calendar, or a day that opens again, is in no counter yet. A piece larger than a whole quota takes an empty slot.
TAKE_PICKING = """
UPDATE capacity_slot s
SET confirmed = s.confirmed + w.pieces, units = s.units + w.units, ends = w.ends, quota = w.quota, measure = w.measure,
    widest = greatest(w.quota, CASE WHEN s.measure = w.measure THEN s.widest ELSE 0 END,
                      CASE WHEN w.measure = 'units' AND s.confirmed = 0 AND w.pieces = 1 THEN w.units ELSE 0 END)
FROM unnest(%(locations)s::int[], %(kinds)s::text[], %(days)s::date[], %(starts)s::time[], %(ends)s::time[],
            %(quotas)s::int[], %(measures)s::text[], %(pieces)s::int[], %(units)s::int[])
     AS w(location_id, kind, day, starts, ends, quota, measure, pieces, units)
WHERE s.location_id = w.location_id AND s.kind = w.kind AND s.day = w.day AND s.starts = w.starts AND w.quota > 0
  AND CASE w.measure WHEN 'units' THEN s.units + w.units <= w.quota OR s.confirmed = 0 AND w.pieces = 1
                     ELSE s.held + s.confirmed + w.pieces <= w.quota END
RETURNING s.location_id, s.kind, s.day, s.starts
"""

# Work, or units of it, leave their slots. Both are counted, whichever the quota is of.
LEAVE_PICKING = """
WITH locked AS MATERIALIZED (
    SELECT s.location_id, s.kind, s.day, s.starts, w.pieces, w.units
    FROM capacity_slot s
    JOIN unnest(%(locations)s::int[], %(kinds)s::text[], %(days)s::date[], %(starts)s::time[], %(pieces)s::int[],
                %(units)s::int[]) AS w(location_id, kind, day, starts, pieces, units)
      ON s.location_id = w.location_id AND s.kind = w.kind AND s.day = w.day AND s.starts = w.starts
    ORDER BY s.location_id, s.kind, s.day, s.starts
    FOR NO KEY UPDATE OF s
)
UPDATE capacity_slot s SET confirmed = s.confirmed - l.pieces, units = s.units - l.units
FROM locked l
WHERE s.location_id = l.location_id AND s.kind = l.kind AND s.day = l.day AND s.starts = l.starts
"""

# Work that was parted, or came back to life: counted full or not. `widest` goes along: nobody was let in by mistake.
ADD_PICKING = """
WITH locked AS MATERIALIZED (
    SELECT s.location_id, s.kind, s.day, s.starts, w.pieces, w.units
    FROM capacity_slot s
    JOIN unnest(%(locations)s::int[], %(kinds)s::text[], %(days)s::date[], %(starts)s::time[], %(pieces)s::int[],
                %(units)s::int[]) AS w(location_id, kind, day, starts, pieces, units)
      ON s.location_id = w.location_id AND s.kind = w.kind AND s.day = w.day AND s.starts = w.starts
    ORDER BY s.location_id, s.kind, s.day, s.starts
    FOR NO KEY UPDATE OF s
)
UPDATE capacity_slot s
SET confirmed = s.confirmed + l.pieces, units = s.units + l.units,
    widest = greatest(s.widest, CASE s.measure WHEN 'units' THEN s.units + l.units
                                               ELSE s.held + s.confirmed + l.pieces END)
FROM locked l
WHERE s.location_id = l.location_id AND s.kind = l.kind AND s.day = l.day AND s.starts = l.starts
"""

# A location states something else: counters of today and later follow, under the plan's lock; those of picking first.
FUTURE_SLOTS = """
SELECT location_id, kind, day, starts, ends, quota, held, confirmed, measure, units FROM capacity_slot
WHERE location_id = %(location)s::int AND day >= %(since)s::date
ORDER BY kind <> 'pick', kind, day, starts
FOR NO KEY UPDATE
"""

# Where it counts something else from now on, `widest` begins anew, with what is in it: nobody was let in by mistake.
SET_QUOTAS = """
UPDATE capacity_slot s
SET quota = w.quota, ends = w.ends, measure = w.measure,
    widest = greatest(w.quota, CASE WHEN w.measure = s.measure THEN s.widest
                                    WHEN w.measure = 'units' THEN s.units ELSE s.held + s.confirmed END)
FROM unnest(%(locations)s::int[], %(kinds)s::text[], %(days)s::date[], %(starts)s::time[], %(ends)s::time[],
            %(quotas)s::int[], %(measures)s::text[]) AS w(location_id, kind, day, starts, ends, quota, measure)
WHERE s.location_id = w.location_id AND s.kind = w.kind AND s.day = w.day AND s.starts = w.starts
"""

# --- reservations ---

_ROW = "id, location_id, kind, day, starts, ends, state, reference, order_id, expires_at"

# The partial unique index on held references decides between two that hold for one cart at once.
ADD_HOLD = f"""
INSERT INTO capacity_reservation (id, location_id, kind, day, starts, ends, state, reference, expires_at, actor)
VALUES (%(id)s::uuid, %(location)s::int, %(kind)s::text, %(day)s::date, %(starts)s::time, %(ends)s::time, 'held',
        %(reference)s::text, now() + make_interval(secs => %(seconds)s::float8), %(actor)s::text)
ON CONFLICT (reference) WHERE state = 'held' DO NOTHING
RETURNING {_ROW}
"""

# The partial unique index on orders keeps an order from having two.
ADD_CONFIRMED = """
INSERT INTO capacity_reservation (id, location_id, kind, day, starts, ends, state, order_id, actor)
SELECT id, location_id, kind, day, starts, ends, 'confirmed', order_id, actor
FROM unnest(%(ids)s::uuid[], %(locations)s::int[], %(kinds)s::text[], %(days)s::date[], %(starts)s::time[],
            %(ends)s::time[], %(orders)s::uuid[], %(actors)s::text[])
     AS w(id, location_id, kind, day, starts, ends, order_id, actor)
"""

LOCK_HOLDS = f"""
SELECT {_ROW} FROM capacity_reservation
WHERE reference = ANY (%(references)s::text[]) AND state = 'held' ORDER BY id FOR NO KEY UPDATE
"""

# Conditional on `held`: of confirm, release and expiry exactly one gets the row. An expired hold that nobody needed is
# as good as any.
CONFIRM_HOLDS = """
WITH locked AS MATERIALIZED (
    SELECT r.id, w.order_id
    FROM capacity_reservation r JOIN unnest(%(ids)s::uuid[], %(orders)s::uuid[]) AS w(id, order_id) ON r.id = w.id
    WHERE r.state = 'held' ORDER BY r.id FOR NO KEY UPDATE OF r
)
UPDATE capacity_reservation r SET state = 'confirmed', order_id = l.order_id
FROM locked l WHERE r.id = l.id AND r.state = 'held'
RETURNING r.id
"""

RELEASE_HOLD = f"""
UPDATE capacity_reservation SET state = 'released', ended_at = now(), reason = %(reason)s::text
WHERE reference = %(reference)s::text AND state = 'held'
RETURNING {_ROW}
"""

EXPIRE_HOLD_OF = f"""
UPDATE capacity_reservation SET state = 'expired', ended_at = now()
WHERE reference = %(reference)s::text AND state = 'held' AND expires_at <= clock_timestamp()
RETURNING {_ROW}
"""

# In the order of ids, as all who take several. Conditional on `confirmed`: a place is given back once.
RELEASE_ORDERS = """
WITH locked AS MATERIALIZED (
    SELECT id FROM capacity_reservation
    WHERE order_id = ANY (%(orders)s::uuid[]) AND state = 'confirmed' ORDER BY id FOR NO KEY UPDATE
)
UPDATE capacity_reservation r SET state = 'released', ended_at = now(), reason = %(reason)s::text
FROM locked l WHERE r.id = l.id AND r.state = 'confirmed'
RETURNING r.id, r.location_id, r.kind, r.day, r.starts, r.ends, r.state, r.reference, r.order_id, r.expires_at
"""

# Those that another transaction has are left to it: nobody waits for a reservation with a counter locked. Those that
# this one is about to confirm are kept.
EXPIRE_HOLDS = """
UPDATE capacity_reservation r SET state = 'expired', ended_at = now()
WHERE r.id IN (
    SELECT e.id FROM capacity_reservation e
    JOIN unnest(%(locations)s::int[], %(kinds)s::text[], %(days)s::date[], %(starts)s::time[])
         AS w(location_id, kind, day, starts)
      ON e.location_id = w.location_id AND e.kind = w.kind AND e.day = w.day AND e.starts = w.starts
    WHERE e.state = 'held' AND e.expires_at <= clock_timestamp() AND e.id <> ALL (%(keep)s::uuid[])
    ORDER BY e.id
    FOR UPDATE OF e SKIP LOCKED
) AND r.state = 'held'
RETURNING r.location_id, r.kind, r.day, r.starts
"""
