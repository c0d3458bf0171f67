"""Every statement that changes or locks listings and pushes. Private to `channels`."""

# The newest position per SKU of the events between two positions, in key order; the log is read by primary key range,
# orders by theirs. Kits are found when they are read, from their components. An older position never replaces a newer.
# SKUs that count together on a cap change together: what is sold of one leaves less to sell of all. Caps are few, and
# their SKUs found by the primary key.
_KEEP = """
, capped AS MATERIALIZED (
    SELECT s.allotment_id, s.sku_id FROM allotment a JOIN cap_sku s ON s.allotment_id = a.id
    WHERE a.state = 'active' AND a.kind = 'cap' AND NOT a.per_sku
), together AS (
    SELECT sku_id, position, at FROM touched
    UNION ALL
    SELECT c.sku_id, x.position, x.at
    FROM (SELECT c.allotment_id, max(t.position) AS position, min(t.at) AS at
          FROM touched t JOIN capped c ON c.sku_id = t.sku_id GROUP BY c.allotment_id) AS x
    JOIN capped c ON c.allotment_id = x.allotment_id
)
INSERT INTO stock_change (sku_id, version, changed_at)
SELECT sku_id, max(position), min(at) FROM together WHERE sku_id IS NOT NULL GROUP BY sku_id ORDER BY sku_id
ON CONFLICT (sku_id) DO UPDATE SET version = excluded.version, changed_at = excluded.changed_at
WHERE stock_change.version < excluded.version
"""
_TOUCHED = """
, touched AS (
    SELECT u.sku_id, m.position, m.at FROM meant m
    JOIN order_unit u ON u.order_id = substr(m.key, 7)::uuid WHERE m.type = 'order.placed'
    UNION ALL
    SELECT s.sku::int, m.position, m.at
    FROM meant m CROSS JOIN LATERAL jsonb_array_elements_text(m.payload::jsonb -> 'skus') AS s(sku)
    WHERE m.type <> 'order.placed'
)
"""
SWEEP_CHANGES = (
    """
WITH meant AS MATERIALIZED (
    SELECT position, at, type, key, payload FROM event
    WHERE position > %(since)s::bigint AND position <= %(reach)s::bigint AND type = ANY (%(types)s::text[])
)
"""
    + _TOUCHED
    + _KEEP
)
NOTE_CHANGES = (
    """
WITH meant AS MATERIALIZED (
    SELECT position, at, type, key, payload FROM event WHERE position = ANY (%(positions)s::bigint[])
)
"""
    + _TOUCHED
    + _KEEP
)

# One worker at a time per channel: a lease, because no lock is held while a server is spoken to. SKIP LOCKED: the other
# worker is quicker.
TAKE = """
UPDATE stock_push p SET taken_until = clock_timestamp() + make_interval(secs => %(lease)s::float8),
    resend_after = CASE WHEN p.seen <> %(seen)s::text THEN 0 ELSE p.resend_after END, seen = %(seen)s::text
FROM channel c
WHERE c.id = p.channel_id AND p.channel_id IN (
    SELECT w.channel_id FROM stock_push w
    WHERE w.channel_id = ANY (%(channels)s::int[]) AND w.active AND w.kind <> 'feed'
      AND w.next_at <= clock_timestamp() AND (w.taken_until IS NULL OR w.taken_until < clock_timestamp())
    ORDER BY w.next_at LIMIT %(most)s::int FOR NO KEY UPDATE SKIP LOCKED
)
RETURNING p.channel_id, c.code AS channel, p.kind, p.url, p.secret, p.position, p.resend_after, p.failures, p.all_skus,
          p.taken_until, p.next_at
"""
# A hand-over that goes on keeps its channel, unless somebody else has it by now.
RENEW = """
UPDATE stock_push SET taken_until = clock_timestamp() + make_interval(secs => %(lease)s::float8)
WHERE channel_id = %(channel_id)s::int AND taken_until = %(taken_until)s::timestamptz RETURNING taken_until
"""

# The lease is the fence: who lost it ends nothing. Whoever has all listings looked at again says so by `next_at`; a
# turn that was under way then leaves that to the next one.
_FINISH = """
UPDATE stock_push SET position = greatest(position, %(position)s::bigint),
    resend_after = CASE WHEN next_at = %(next_at)s::timestamptz THEN %(resend_after)s::int ELSE resend_after END,
    taken_until = NULL, failures = 0, error = NULL, next_at = clock_timestamp(),
    sent_count = sent_count + %(count)s::bigint, sent_at = CASE WHEN %(count)s::bigint > 0 THEN now() ELSE sent_at END
WHERE channel_id = %(channel_id)s::int AND taken_until = %(taken_until)s::timestamptz
"""
FINISH = _FINISH
# What was handed over, and the end of the turn, in one statement. `sent_*` and `error` of a listing are in no index but
# the partial ones on errors and doubts. A listing that is called otherwise by now, or is to be told in any case, stays
# untold. Of what nobody knows the fate, the quantity there is not known either; it is told again, each time later.
STORE_SENT = (
    "WITH ended AS ("
    + _FINISH
    + """
RETURNING channel_id), told AS (
    UPDATE listing l SET sent_quantity = CASE WHEN w.error IS NULL THEN w.quantity
                                              WHEN NOT w.doubtful THEN l.sent_quantity END,
        sent_version = w.version, sent_at = now(), error = w.error,
        doubts = CASE WHEN w.doubtful THEN least(l.doubts + 1, 30000) ELSE 0 END,
        again_at = CASE WHEN w.doubtful THEN clock_timestamp() + make_interval(
            secs => least(%(longest)s::float8, %(first)s::float8 * 2 ^ least(l.doubts, 16))) END
    FROM unnest(%(skus)s::int[], %(codes)s::text[], %(quantities)s::int[], %(formers)s::int[], %(versions)s::bigint[],
                %(errors)s::text[], %(doubtful)s::boolean[])
         AS w(sku_id, code, quantity, former, version, error, doubtful)
    WHERE l.channel_id = %(channel_id)s::int AND l.sku_id = w.sku_id AND l.code = w.code
      AND l.sent_quantity IS NOT DISTINCT FROM w.former AND EXISTS (SELECT FROM ended)
)
SELECT channel_id FROM ended
"""
)
FAIL = """
UPDATE stock_push SET taken_until = NULL, failures = failures + 1, error = %(error)s::text,
    next_at = clock_timestamp() + make_interval(secs => %(after)s::float8)
WHERE channel_id = %(channel_id)s::int AND taken_until = %(taken_until)s::timestamptz
"""
# Two spoke to the channel at once, and nobody knows who was last: what both may have said is told again.
TELL_AGAIN = """
WITH untold AS (
    UPDATE listing SET sent_quantity = NULL WHERE channel_id = %(channel_id)s::int AND sku_id = ANY (%(skus)s::int[])
)
UPDATE stock_push SET resend_after = 0, next_at = clock_timestamp() WHERE channel_id = %(channel_id)s::int
"""

# Every active SKU under its own code, where a channel lists all; what is listed already stays as it is.
LIST_ALL = """
INSERT INTO listing (channel_id, sku_id, code)
SELECT %(channel_id)s::int, v.id, v.sku FROM variant v
WHERE v.active AND (%(skus)s::int[] IS NULL OR v.id = ANY (%(skus)s::int[]))
ORDER BY v.id
ON CONFLICT DO NOTHING
"""
# The same of SKUs that changed after a position, for channels that ask: no turn of theirs comes by.
LIST_CHANGED = """
INSERT INTO listing (channel_id, sku_id, code)
SELECT p.channel_id, v.id, v.sku
FROM stock_push p CROSS JOIN stock_change s JOIN variant v ON v.id = s.sku_id AND v.active
WHERE p.kind = 'feed' AND p.active AND p.all_skus AND s.version > %(since)s::bigint
ORDER BY 1, 2
ON CONFLICT DO NOTHING
"""
PUT_LISTINGS = """
INSERT INTO listing (channel_id, sku_id, code, active)
SELECT %(channel_id)s::int, * FROM unnest(%(skus)s::int[], %(codes)s::text[], %(active)s::boolean[])
ORDER BY 2
ON CONFLICT (channel_id, sku_id) DO UPDATE SET code = excluded.code, active = excluded.active, sent_quantity = NULL
"""
# In the order of the key. Taken back, a row stays: its version is part of what who says something read.
PUT_PRICES = """
INSERT INTO listing_price AS x (channel_id, sku_id, price)
SELECT %(channel_id)s::int, w.sku_id, w.price FROM unnest(%(skus)s::int[], %(prices)s::int[]) AS w(sku_id, price)
WHERE w.price IS NOT NULL
   OR EXISTS (SELECT FROM listing_price y WHERE y.channel_id = %(channel_id)s::int AND y.sku_id = w.sku_id)
ORDER BY 2
ON CONFLICT (channel_id, sku_id) DO UPDATE SET price = excluded.price, version = x.version + 1, changed_at = now()
WHERE x.price IS DISTINCT FROM excluded.price
RETURNING sku_id
"""
# Of SKUs whose price a connection of the channel keeps itself; what it was stays in the audit trail. In the order of
# the key; by the primary keys of what the connection tells.
END_KEPT_PRICES = """
WITH kept AS MATERIALIZED (
    SELECT a.channel_id, a.sku_id, a.price, v.sku
    FROM product_owner o
    JOIN connection c ON c.code = o.owner
    JOIN listing_price a ON a.channel_id = c.channel_id
    JOIN variant_owner w ON w.variant_id = a.sku_id AND w.owner = o.owner
    JOIN variant v ON v.id = a.sku_id
    WHERE o.field = 'price' AND o.owner = %(connection)s::text AND a.price IS NOT NULL
      AND (%(skus)s::text[] IS NULL OR v.sku = ANY (%(skus)s::text[]))
    ORDER BY a.channel_id, a.sku_id FOR NO KEY UPDATE OF a
), ended AS (
    UPDATE listing_price a SET price = NULL, version = a.version + 1, changed_at = now()
    FROM kept k WHERE a.channel_id = k.channel_id AND a.sku_id = k.sku_id
)
SELECT sku, price FROM kept ORDER BY sku
"""
# Two who say it first find no row to wait for one another at.
LOCK_PUSH = """
SELECT pg_advisory_xact_lock(hashtextextended('stock_push:' || current_schema() || ':' || %(code)s::text, 0))
"""
PUT_PUSH = """
INSERT INTO stock_push (channel_id, kind, url, secret, active, all_skus, resend_after, position)
VALUES (%(channel_id)s::int, %(kind)s::text, %(url)s::text, %(secret)s::bytea, %(active)s::boolean,
        %(all_skus)s::boolean, 0, (SELECT coalesce(max(version), 0) FROM stock_change))
ON CONFLICT (channel_id) DO UPDATE
SET kind = excluded.kind, url = excluded.url, secret = coalesce(excluded.secret, stock_push.secret),
    active = excluded.active, all_skus = excluded.all_skus, version = stock_push.version + 1, failures = 0,
    error = NULL, next_at = now(), resend_after = 0, position = excluded.position
WHERE stock_push.version = %(version)s::int
RETURNING version
"""
DROP_PUSH = "DELETE FROM stock_push WHERE channel_id = %(channel_id)s::int AND version = %(version)s::int RETURNING 1"
# All listings are looked at again; told is what differs from what was told.
RESEND = """
UPDATE stock_push SET resend_after = 0, next_at = now(), failures = 0, error = NULL
WHERE channel_id = %(channel_id)s::int AND kind = coalesce(%(kind)s::text, kind)
RETURNING channel_id
"""
FORGET_SENT = "UPDATE listing SET sent_quantity = NULL, error = NULL WHERE channel_id = %(channel_id)s::int"
# As if these had never been told; by the index on SKU.
UNSETTLE = """
UPDATE listing l SET sent_quantity = NULL
FROM variant v WHERE v.id = l.sku_id AND v.sku = ANY (%(skus)s::text[]) AND l.channel_id = %(channel_id)s::int
RETURNING l.sku_id
"""
