"""Statements that write comparisons of stock and who states it. Private to `channels.connecting`."""

ADD_LOOK = """
INSERT INTO stock_look (connection_id, began_at, shown, listed, passing, underway, differing)
VALUES (%(connection_id)s::int, %(began_at)s::timestamptz, %(shown)s::int, %(listed)s::int, %(passing)s::int,
        %(underway)s::int, %(differing)s::int)
RETURNING id
"""
# What differed at the look before is still the same difference: since when, and how often it was told again in vain.
ADD_DIFFERENCES = """
INSERT INTO stock_difference (look_id, code, sku_id, cause, shown, told, ours, places, since, repairs)
SELECT %(look_id)s::bigint, w.code, w.sku_id, w.cause, w.shown, w.told, w.ours, w.places,
       coalesce(f.since, %(began_at)s::timestamptz),
       coalesce(f.repairs + (f.told_again_at IS NOT NULL)::int, 0)
FROM unnest(%(codes)s::text[], %(skus)s::int[], %(causes)s::text[], %(shown)s::int[], %(told)s::int[], %(ours)s::int[],
            %(places)s::jsonb[]) AS w(code, sku_id, cause, shown, told, ours, places)
LEFT JOIN stock_difference f ON f.code = w.code AND f.look_id = (
    SELECT max(id) FROM stock_look WHERE connection_id = %(connection_id)s::int AND id < %(look_id)s::bigint)
"""
# Of the newest look: what telling it again can mend.
TELL_AGAIN = """
UPDATE stock_difference d SET told_again_at = now()
FROM variant v
WHERE d.look_id = %(look_id)s::bigint AND v.id = d.sku_id AND d.cause = ANY (%(causes)s::text[])
  AND (%(codes)s::text[] IS NULL OR d.code = ANY (%(codes)s::text[]))
RETURNING v.sku
"""
# The newest comparison of a connection stays, however old.
FORGET_LOOKS = """
DELETE FROM stock_look WHERE id IN (
    SELECT k.id FROM stock_look k WHERE k.ended_at < now() - interval '30 days'
      AND k.id < (SELECT max(id) FROM stock_look n WHERE n.connection_id = k.connection_id)
    ORDER BY k.id LIMIT %(most)s::int)
"""

# --- turns at streams that are read as a whole each time ---

# By primary key; a lease, since the peer is asked meanwhile.
RENEW_TURN = """
UPDATE connection_cursor SET taken_until = clock_timestamp() + make_interval(secs => %(lease)s::float8)
WHERE connection_id = %(id)s::int AND stream = %(stream)s::text AND taken_until >= clock_timestamp() RETURNING stream
"""
END_TURN = """
UPDATE connection_cursor SET taken_until = NULL, failures = 0, error = %(error)s::text, read_at = now(),
    next_at = clock_timestamp() + make_interval(secs => %(after)s::float8)
WHERE connection_id = %(id)s::int AND stream = %(stream)s::text
"""
ASK_TURN = """
UPDATE connection_cursor SET next_at = now(), failures = 0
WHERE connection_id = %(id)s::int AND stream = %(stream)s::text RETURNING stream
"""
DROP_STREAM = "DELETE FROM connection_cursor WHERE connection_id = %(id)s::int AND stream = %(stream)s::text"

# --- who states stock ---

# Two who say it first find no row to wait for one another at.
LOCK_ROLE = """
SELECT pg_advisory_xact_lock(hashtextextended('stock_role:' || current_schema(), %(connection_id)s::bigint))
"""
PUT_ROLE = """
INSERT INTO connection_stock_role AS r (connection_id, source_id, scope, minutes)
VALUES (%(connection_id)s::int, (SELECT id FROM stock_source WHERE code = %(source)s::text), %(scope)s::text,
        %(minutes)s::int)
ON CONFLICT (connection_id) DO UPDATE SET source_id = excluded.source_id, scope = excluded.scope,
    minutes = excluded.minutes, version = r.version + 1
WHERE r.version = %(version)s::int
RETURNING version
"""
DROP_ROLE = """
DELETE FROM connection_stock_role WHERE connection_id = %(connection_id)s::int AND version = %(version)s::int
RETURNING version
"""
