"""Statements on work at locations. Private to `fulfillment`.

Lock order: the order (`ordering.service`), then its fulfillment orders by id, then capacity by (day, location), then
picking slots (`capacity.picking`), then balances.
"""

_WORK = """
SELECT id, number, order_id, location_id, method, service_id, state, capacity_day, due_at, pickup_code, pickup_until,
       pickup_misses, version, pickup_expired_at, pickup_returned, slot_location_id, slot_starts, slot_ends, units,
       to_location_id, transfer_id
FROM fulfillment_order
"""

# Unlocked: which order to lock first.
ORDERS_OF = "SELECT id, order_id FROM fulfillment_order WHERE id = ANY (%(ids)s::uuid[])"

LOCK_WORK = f"{_WORK} WHERE id = ANY (%(ids)s::uuid[]) ORDER BY id FOR NO KEY UPDATE"

# All open work of orders whose rows are locked.
LOCK_OPEN_WORK = f"""{_WORK}
WHERE order_id = ANY (%(orders)s::uuid[]) AND state NOT IN ('closed', 'rejected', 'cancelled')
ORDER BY id FOR NO KEY UPDATE
"""

ADD_WORK = """
INSERT INTO fulfillment_order
    (id, order_id, location_id, method, service_id, capacity_day, due_at, slot_location_id, slot_starts, slot_ends,
     units, to_location_id)
SELECT * FROM unnest(%(ids)s::uuid[], %(orders)s::uuid[], %(locations)s::int[], %(methods)s::text[],
                     %(services)s::int[], %(days)s::date[], %(dues)s::timestamptz[], %(slot_locations)s::int[],
                     %(slot_starts)s::time[], %(slot_ends)s::time[], %(units)s::int[], %(to_locations)s::int[])
RETURNING id, number, order_id, location_id, method, service_id, state, capacity_day, due_at, pickup_code, pickup_until,
          pickup_misses, version, pickup_expired_at, pickup_returned, slot_location_id, slot_starts, slot_ends, units,
          to_location_id, transfer_id
"""

# Times are written once, when a state is reached first.
SET_STATE = """
UPDATE fulfillment_order f
SET state = w.state, version = f.version + 1, reason = coalesce(w.reason, f.reason),
    accepted_at = CASE WHEN w.state <> 'open' AND w.state NOT IN ('rejected', 'cancelled')
                       THEN coalesce(f.accepted_at, now()) ELSE f.accepted_at END,
    picked_at = CASE WHEN w.state IN ('picked', 'packed', 'ready', 'closed')
                     THEN coalesce(f.picked_at, now()) ELSE f.picked_at END,
    packed_at = CASE WHEN w.state IN ('packed', 'ready', 'closed')
                     THEN coalesce(f.packed_at, now()) ELSE f.packed_at END,
    closed_at = CASE WHEN w.state IN ('closed', 'rejected', 'cancelled') THEN now() END,
    pickup_code = CASE WHEN w.state = 'ready' THEN f.pickup_code END
FROM unnest(%(ids)s::uuid[], %(states)s::text[], %(reasons)s::text[]) AS w(id, state, reason)
WHERE f.id = w.id
"""

# Work that goes on with fewer units than it had. Its row is locked.
SET_UNITS = """
UPDATE fulfillment_order f SET units = w.units
FROM unnest(%(ids)s::uuid[], %(units)s::int[]) AS w(id, units) WHERE f.id = w.id
"""

# What goods for a place left with; the work is locked.
SENT_WITH = """
UPDATE fulfillment_order SET transfer_id = %(transfer_id)s::uuid, version = version + 1 WHERE id = %(id)s::uuid
"""

# Unlocked: whose goods a transfer brings, if it is an order's. By the unique indexes.
BROUGHT_BY = """
SELECT f.id, f.order_id FROM transfer t JOIN fulfillment_order f ON f.transfer_id = t.id
WHERE t.number = %(number)s::bigint
"""

# Of two who take it on, the first has it.
SET_ASSIGNEE = """
UPDATE fulfillment_order SET assignee = coalesce(nullif(assignee, ''), %(assignee)s::text), version = version + 1
WHERE id = %(id)s::uuid
RETURNING assignee
"""

# Work whose rows are locked and that nobody else has by name.
TAKE_ON = """
UPDATE fulfillment_order SET assignee = %(assignee)s::text, version = version + 1
WHERE id = ANY (%(ids)s::uuid[]) AND (assignee IS NULL OR assignee = '') RETURNING id
"""

COUNT_MISS = """
UPDATE fulfillment_order SET pickup_misses = pickup_misses + 1, version = version + 1 WHERE id = %(id)s::uuid
"""

# --- the window in which a customer collects ---

# The channel's promise goes before the location's habit. The reminder comes two days before the end, or halfway through
# a short window. A new code starts the window anew.
SET_PICKUP_CODES = """
UPDATE fulfillment_order f
SET pickup_code = w.code, pickup_misses = 0, pickup_until = x.until, pickup_expired_at = NULL,
    pickup_remind_at = greatest(x.until - interval '2 days', now() + (x.until - now()) / 2), version = f.version + 1
FROM unnest(%(ids)s::uuid[], %(codes)s::text[]) AS w(id, code)
JOIN fulfillment_order g ON g.id = w.id
JOIN location l ON l.id = g.location_id
JOIN sales_order o ON o.id = g.order_id
JOIN channel c ON c.id = o.channel_id
CROSS JOIN LATERAL (SELECT now() + make_interval(days => coalesce(c.pickup_days, l.pickup_days)) AS until) x
WHERE f.id = w.id
RETURNING f.id, f.pickup_until
"""

# Never shortens what the customer was told.
EXTEND_PICKUP = """
UPDATE fulfillment_order f
SET pickup_until = x.until, pickup_expired_at = NULL,
    pickup_remind_at = greatest(x.until - interval '2 days', now() + (x.until - now()) / 2), version = f.version + 1
FROM fulfillment_order g
CROSS JOIN LATERAL (SELECT greatest(g.pickup_until, now() + make_interval(days => %(days)s::int)) AS until) x
WHERE g.id = %(id)s::uuid AND f.id = g.id
RETURNING f.pickup_until
"""

# By the partial indexes on what stands ready; unlocked, looked at again under the lock.
DUE_REMINDERS = """
SELECT id FROM fulfillment_order WHERE state = 'ready' AND pickup_remind_at <= now()
ORDER BY pickup_remind_at LIMIT %(limit)s::int
"""

# Under a stopping hold the customer could not have collected: the order does not expire.
DUE_PICKUPS = """
SELECT f.id FROM fulfillment_order f
WHERE f.state = 'ready' AND f.pickup_expired_at IS NULL AND f.pickup_until <= now() AND f.pickup_remind_at IS NULL
  AND NOT EXISTS (SELECT FROM order_hold h
                  WHERE h.order_id = f.order_id AND h.resolved_at IS NULL AND h.kind = ANY (%(stopping)s::text[]))
ORDER BY f.pickup_until LIMIT %(limit)s::int
"""

# Whoever is reminded late, after a pause of the system, still gets a day to come.
MARK_REMINDED = """
UPDATE fulfillment_order
SET pickup_remind_at = NULL, pickup_until = greatest(pickup_until, now() + interval '1 day'), version = version + 1
WHERE id = ANY (%(ids)s::uuid[]) AND state = 'ready' AND pickup_remind_at <= now()
RETURNING id, pickup_until
"""

MARK_EXPIRED = """
UPDATE fulfillment_order SET pickup_expired_at = now(), version = version + 1 WHERE id = ANY (%(ids)s::uuid[])
"""

MARK_RETURNED = """
UPDATE fulfillment_order f SET pickup_returned = w.returned
FROM unnest(%(ids)s::uuid[], %(returned)s::jsonb[]) AS w(id, returned) WHERE f.id = w.id
"""

# The goods are on the customer's shelf again: why the work had ended no longer holds.
CLEAR_RETURNED = "UPDATE fulfillment_order SET pickup_returned = NULL, reason = NULL WHERE id = %(id)s::uuid"

# --- capacity ---

# With those of all at the same site, which have one capacity.
ENSURE_DAYS = """
INSERT INTO location_day (location_id, day)
SELECT DISTINCT m.id, w.day
FROM unnest(%(locations)s::int[], %(days)s::date[]) AS w(location_id, day)
JOIN location x ON x.id = w.location_id JOIN location m ON coalesce(m.site_id, m.id) = coalesce(x.site_id, x.id)
ORDER BY 2, 1
ON CONFLICT DO NOTHING
"""

# Takes as much as there is room for at the site, up to what is wanted; after a lock wait the newest counts decide. A
# location without a daily capacity, which is UNLIMITED, is counted all the same. What is granted comes back.
UNLIMITED = 2**31 - 1
TAKE_CAPACITY = """
WITH want AS (
    SELECT w.location_id, w.day, w.wanted, w.capacity, coalesce(x.site_id, x.id) AS site,
           sum(w.wanted) OVER (PARTITION BY coalesce(x.site_id, x.id), w.day ORDER BY w.location_id) - w.wanted
               AS before
    FROM unnest(%(locations)s::int[], %(days)s::date[], %(wanted)s::int[], %(capacities)s::int[])
         AS w(location_id, day, wanted, capacity)
    JOIN location x ON x.id = w.location_id
), counted AS MATERIALIZED (
    SELECT d.location_id, d.day, d.taken, coalesce(m.site_id, m.id) AS site
    FROM location_day d JOIN location m ON m.id = d.location_id
    WHERE (coalesce(m.site_id, m.id), d.day) IN (SELECT site, day FROM want)
    ORDER BY d.day, d.location_id
    FOR NO KEY UPDATE OF d
), locked AS (
    SELECT w.location_id, w.day, least(w.wanted, greatest(w.capacity - c.taken - w.before, 0))::int AS granted
    FROM want w
    JOIN (SELECT site, day, sum(taken) AS taken FROM counted GROUP BY site, day) c ON c.site = w.site AND c.day = w.day
)
UPDATE location_day d SET taken = d.taken + l.granted
FROM locked l WHERE d.location_id = l.location_id AND d.day = l.day
RETURNING d.location_id, l.granted
"""

# A day of a site, and of locations whose work may leave it: work is about to move. The rows are there (`ENSURE_DAYS`).
LOCK_SITE_DAY = """
SELECT d.location_id FROM location m JOIN location_day d ON d.location_id = m.id
WHERE (coalesce(m.site_id, m.id) = %(home)s::int OR m.id = ANY (%(locations)s::int[])) AND d.day = %(day)s::date
ORDER BY d.location_id
FOR NO KEY UPDATE OF d
"""

# Unlocked: the last that came to each slot and have not begun, by the partial index on them, until what they take is
# what is too much. A piece without units, of older code, counts as one: it ends the row some time.
OPEN_IN_SLOTS = """
SELECT f.id
FROM unnest(%(locations)s::int[], %(days)s::date[], %(starts)s::time[], %(places)s::int[])
     AS w(location_id, day, starts, places)
JOIN capacity_slot s
  ON s.location_id = w.location_id AND s.kind = 'pick' AND s.day = w.day AND s.starts = w.starts
CROSS JOIN LATERAL (
    SELECT o.id, sum(o.places) OVER (ORDER BY o.number DESC) - o.places AS before
    FROM (
        SELECT id, number, CASE s.measure WHEN 'units' THEN greatest(units, 1) ELSE 1 END AS places
        FROM fulfillment_order
        WHERE slot_location_id = w.location_id AND capacity_day = w.day AND slot_starts = w.starts AND state = 'open'
        ORDER BY number DESC LIMIT w.places
    ) o
) f
WHERE f.before < w.places
LIMIT %(limit)s::int
"""

# By primary key; the work is locked.
MOVE_WORK = """
UPDATE fulfillment_order f
SET capacity_day = w.day, due_at = w.due, slot_location_id = w.location_id, slot_starts = w.starts,
    slot_ends = w.ends, version = f.version + 1
FROM unnest(%(ids)s::uuid[], %(days)s::date[], %(dues)s::timestamptz[], %(locations)s::int[], %(starts)s::time[],
            %(ends)s::time[]) AS w(id, day, due, location_id, starts, ends)
WHERE f.id = w.id
"""

# Before balances: what may be given back at the end of a transaction is locked at its place in the order.
LOCK_DAYS = """
SELECT d.location_id FROM location_day d
JOIN unnest(%(locations)s::int[], %(days)s::date[]) AS w(location_id, day)
  ON d.location_id = w.location_id AND d.day = w.day
ORDER BY d.day, d.location_id
FOR NO KEY UPDATE OF d
"""

# Work that was parted: its part is counted on the same day, full or not, for it happens anyway.
TAKE_FOR_PART = """
UPDATE location_day SET taken = taken + 1 WHERE location_id = %(location)s::int AND day = %(day)s::date
"""

GIVE_CAPACITY_BACK = """
WITH back AS (
    SELECT location_id, day, count(*)::int AS n
    FROM unnest(%(locations)s::int[], %(days)s::date[]) AS w(location_id, day)
    GROUP BY location_id, day
), locked AS MATERIALIZED (
    SELECT d.location_id, d.day, b.n
    FROM location_day d JOIN back b ON d.location_id = b.location_id AND d.day = b.day
    ORDER BY d.day, d.location_id
    FOR NO KEY UPDATE OF d
)
UPDATE location_day d SET taken = greatest(d.taken - l.n, 0)
FROM locked l WHERE d.location_id = l.location_id AND d.day = l.day
"""

# --- rejections ---

# Units somebody has seen and taken at a location, by the partial index on claimed units.
SEEN_THERE = """
SELECT sku_id, sum(quantity)::int FROM order_unit
WHERE location_id = %(location_id)s::int AND sku_id = ANY (%(skus)s::int[])
  AND state IN ('picked', 'awaiting_document', 'packed', 'invoiced', 'ready')
GROUP BY sku_id
"""

# --- parcels ---

ADD_SHIPMENTS = """
INSERT INTO shipment (id, fulfillment_id, order_id, weight_grams)
SELECT id, %(fulfillment_id)s::uuid, %(order_id)s::uuid, grams
FROM unnest(%(ids)s::uuid[], %(weights)s::int[]) AS w(id, grams)
"""

# One parcel for each piece of work, for many at once.
ADD_PARCELS = """
INSERT INTO shipment (id, fulfillment_id, order_id, weight_grams)
SELECT * FROM unnest(%(ids)s::uuid[], %(fulfillments)s::uuid[], %(orders)s::uuid[], %(weights)s::int[])
"""

SHIPMENTS_OF = "SELECT id FROM shipment WHERE fulfillment_id = %(fulfillment_id)s::uuid ORDER BY id"

# Those that leave: not what holds nothing any more, as all in it was cancelled. A box of goods that are counted in
# another one holds none from the start, and leaves.
LEAVING_SHIPMENTS = """
SELECT s.id
FROM shipment s
LEFT JOIN (
    SELECT shipment_id, bool_or(state <> 'cancelled') AS full FROM order_unit
    WHERE order_id = %(order_id)s::uuid GROUP BY shipment_id
) u ON u.shipment_id = s.id
WHERE s.fulfillment_id = %(fulfillment_id)s::uuid AND coalesce(u.full, true)
ORDER BY s.id
"""

SEND_SHIPMENTS = """
UPDATE shipment s
SET carrier = coalesce(w.carrier, s.carrier), tracking_code = w.code, tracking_url = w.url, shipped_at = now()
FROM unnest(%(ids)s::uuid[], %(carriers)s::text[], %(codes)s::text[], %(urls)s::text[]) AS w(id, carrier, code, url)
WHERE s.id = w.id
"""

CARRIER_OF = "SELECT carrier FROM service WHERE id = %(service_id)s::int"

HAND_OVER_SHIPMENTS = """
UPDATE shipment SET shipped_at = now(), delivered_at = now(), received_by = %(received_by)s::text
WHERE id = ANY (%(ids)s::uuid[])
"""

CARRIERS_OF = "SELECT id, carrier FROM service WHERE id = ANY (%(services)s::int[])"

# Parcels of many pieces of work reach the customer, by a carrier or over a counter.
ARRIVE_SHIPMENTS = """
UPDATE shipment s
SET shipped_at = coalesce(s.shipped_at, now()), delivered_at = now(), received_by = w.received_by
FROM unnest(%(ids)s::uuid[], %(receivers)s::text[]) AS w(id, received_by)
WHERE s.id = w.id
"""

# With the location whose work it is, for a parcel need not hold any units.
FIND_SHIPMENT = """
SELECT s.order_id, f.location_id FROM shipment s JOIN fulfillment_order f ON f.id = s.fulfillment_id
WHERE s.id = %(id)s::uuid
"""

# Under the order's lock; conditional, so that the same fact again changes nothing. Who found nobody at home goes out
# again on another day: that is another fact.
SEND_OUT_SHIPMENT = """
UPDATE shipment SET out_at = coalesce(%(at)s::timestamptz, now())
WHERE id = %(id)s::uuid AND shipped_at IS NOT NULL AND delivered_at IS NULL
  AND (out_at IS NULL OR out_at < coalesce(%(at)s::timestamptz, now()) - interval '12 hours')
RETURNING out_at
"""

HAS_LEFT = "SELECT shipped_at IS NOT NULL FROM shipment WHERE id = %(id)s::uuid"

# Under the order's lock; conditional, so that a second delivery of the same fact changes nothing.
DELIVER_SHIPMENT = """
UPDATE shipment SET delivered_at = coalesce(%(at)s::timestamptz, now()), received_by = %(received_by)s::text
WHERE id = %(id)s::uuid AND shipped_at IS NOT NULL AND delivered_at IS NULL
RETURNING delivered_at
"""

IS_DELIVERED = "SELECT delivered_at IS NOT NULL FROM shipment WHERE id = %(id)s::uuid"
