"""Every statement that changes or locks feeds and their builds. Private to `channels`."""

from malha.channels.feeds.reads import OF_LISTING, STAMP

# Two who make one code find no row to wait for one another at.
LOCK_CODE = """
SELECT pg_advisory_xact_lock(hashtextextended('feed:' || current_schema() || ':' || %(code)s::text, 0))
"""
# The version says what was seen; 0 makes it. A change forgets what the last file said: rows may look different now.
PUT_FEED = """
INSERT INTO feed AS f (code, name, channel_id, plan, active, full_minutes, changes_minutes, next_full_at,
                       next_changes_at, push_url, push_secret, salt)
SELECT %(code)s::text, %(name)s::text, %(channel_id)s::int, %(plan)s::jsonb, %(active)s::boolean,
       %(full_minutes)s::int, %(changes_minutes)s::int,
       CASE WHEN %(full_minutes)s::int IS NOT NULL THEN now() END,
       now() + make_interval(mins => %(changes_minutes)s::int), %(push_url)s::text, %(push_secret)s::bytea,
       %(salt)s::bytea
WHERE %(version)s::int = 0
ON CONFLICT (code) DO NOTHING
RETURNING version
"""
CHANGE_FEED = """
UPDATE feed f
SET name = %(name)s::text, channel_id = %(channel_id)s::int, active = %(active)s::boolean,
    full_minutes = %(full_minutes)s::int, changes_minutes = %(changes_minutes)s::int,
    next_full_at = CASE
        WHEN %(full_minutes)s::int IS NULL THEN NULL
        WHEN f.full_minutes = %(full_minutes)s::int THEN f.next_full_at
        ELSE now() END,
    next_changes_at = CASE
        WHEN f.changes_minutes = %(changes_minutes)s::int THEN f.next_changes_at
        ELSE now() + make_interval(mins => %(changes_minutes)s::int) END,
    push_url = %(push_url)s::text,
    push_secret = CASE WHEN %(push_url)s::text IS NULL THEN NULL ELSE coalesce(%(push_secret)s::bytea, push_secret) END,
    baseline = CASE WHEN plan = %(plan)s::jsonb AND channel_id = %(channel_id)s::int THEN baseline END,
    plan = %(plan)s::jsonb, version = f.version + 1
WHERE f.code = %(code)s::text AND f.version = %(version)s::int
RETURNING version
"""
DROP_FEED = "DELETE FROM feed WHERE code = %(code)s::text AND version = %(version)s::int RETURNING id"
NEW_SALT = """
UPDATE feed SET salt = %(salt)s::bytea, version = version + 1
WHERE code = %(code)s::text AND version = %(version)s::int RETURNING version
"""

# The partial unique index on open builds decides between two who press at once.
ADD_BUILD = """
INSERT INTO feed_build (id, feed_id, kind, plan, by)
VALUES (%(id)s::uuid, %(feed_id)s::int, %(kind)s::text, %(plan)s::jsonb, %(by)s::text)
ON CONFLICT (feed_id) WHERE state IN ('waiting', 'building') DO NOTHING
RETURNING number
"""
# A build that somebody asked for is the one that was due.
MOVE_ON = """
UPDATE feed SET next_full_at = now() + make_interval(mins => full_minutes)
WHERE id = %(feed_id)s::int AND full_minutes IS NOT NULL
"""
# Who changes what a build rests on ends it first, in the order in which a build takes its locks: itself, then its feed.
STOP_OPEN = """
UPDATE feed_build SET state = 'stopped', ended_at = clock_timestamp()
WHERE feed_id = %(feed_id)s::int AND state IN ('waiting', 'building')
"""
# Changes of the file before say nothing any more.
HURRY_CHANGES = """
UPDATE feed SET next_changes_at = now() WHERE id = %(feed_id)s::int AND changes_minutes IS NOT NULL
"""
# Feeds whose time has come, the row's lock for whoever is first; full before changes. A missed turn is not made up for.
TAKE_DUE = """
UPDATE feed f
SET next_full_at = CASE WHEN f.next_full_at <= now() THEN now() + make_interval(mins => f.full_minutes)
                        ELSE f.next_full_at END,
    next_changes_at = CASE WHEN f.next_changes_at <= now() THEN now() + make_interval(mins => f.changes_minutes)
                           ELSE f.next_changes_at END
FROM (SELECT id, next_full_at <= now() AS whole FROM feed
      WHERE active AND (next_full_at <= now() OR next_changes_at <= now())
        AND NOT EXISTS (SELECT FROM feed_build b WHERE b.feed_id = feed.id AND b.state IN ('waiting', 'building'))
      ORDER BY id FOR NO KEY UPDATE SKIP LOCKED) AS due
WHERE f.id = due.id
RETURNING f.code, coalesce(due.whole, false)
"""

# The build's row is held by whoever works on it: a second worker waits, then finds it further on.
LOCK_BUILD = "SELECT state FROM feed_build WHERE id = %(id)s::uuid FOR NO KEY UPDATE"
BEGIN_BUILD = """
UPDATE feed_build
SET state = 'building', kind = %(kind)s::text, seen = %(seen)s::text, position = %(position)s::bigint,
    total = %(total)s::int, started_at = clock_timestamp()
WHERE id = %(id)s::uuid AND state = 'waiting'
"""
ADVANCE = """
UPDATE feed_build
SET at_sku = %(at_sku)s::int, parts = parts + 1, looked = looked + %(looked)s::int, rows = rows + %(rows)s::bigint,
    removed = removed + %(removed)s::bigint, refused = refused + %(refused)s::bigint,
    warned = warned + %(warned)s::bigint, size = size + %(size)s::bigint, packed = packed + %(packed)s::bigint,
    crc = %(crc)s::bigint, digest = %(digest)s::bytea
WHERE id = %(id)s::uuid AND state = 'building' AND at_sku = %(from_sku)s::int AND parts = %(from_parts)s::int
"""
END_BUILD = """
UPDATE feed_build SET state = %(state)s::text, problem = %(problem)s::text, ended_at = clock_timestamp(),
    push_state = %(push)s::text
WHERE id = %(id)s::uuid AND state IN ('waiting', 'building')
"""
SET_PUSHED = """
UPDATE feed_build SET push_state = %(state)s::text, push_error = %(error)s::text WHERE id = %(id)s::uuid
"""
ADD_PART = "INSERT INTO feed_part (build_id, part, data) VALUES (%(id)s::uuid, %(part)s::int, %(data)s::bytea)"
ADD_COUNTS = """
INSERT INTO feed_count AS c (build_id, severity, rule, field, rows)
SELECT %(id)s::uuid, * FROM unnest(%(severities)s::text[], %(rules)s::text[], %(fields)s::text[], %(rows)s::bigint[])
ORDER BY 2, 3, 4
ON CONFLICT (build_id, severity, rule, field) DO UPDATE SET rows = c.rows + excluded.rows
"""
ADD_FLAWS = """
INSERT INTO feed_flaw (build_id, sku_id, place, rule, field, severity, value)
SELECT %(id)s::uuid, * FROM unnest(%(skus)s::int[], %(places)s::text[], %(rules)s::text[], %(fields)s::text[],
                                   %(severities)s::text[], %(values)s::text[])
"""
# What the file says of listings. Unchanged rows are neither written nor locked: a conflict would lock them, and most
# are unchanged. By primary key; only the build writes them, which holds its own row's lock.
PUT_ROWS = """
INSERT INTO feed_row AS r (feed_id, sku_id, stamp, keys, digest, checked)
SELECT %(feed_id)s::int, w.sku_id, w.stamp, w.keys, w.digest, w.checked
FROM (SELECT sku_id, stamp, CASE WHEN keys = '' THEN '{}'::text[] ELSE string_to_array(keys, E'\\n') END AS keys,
             digest, checked
      FROM unnest(%(skus)s::int[], %(stamps)s::bigint[], %(keys)s::text[], %(digests)s::bytea[], %(checked)s::text[])
           AS u(sku_id, stamp, keys, digest, checked)) AS w
LEFT JOIN feed_row o ON o.feed_id = %(feed_id)s::int AND o.sku_id = w.sku_id
WHERE o.sku_id IS NULL
   OR (o.stamp, o.keys, o.digest, o.checked) IS DISTINCT FROM (w.stamp, w.keys, w.digest, w.checked)
ORDER BY w.sku_id
ON CONFLICT (feed_id, sku_id) DO UPDATE
SET stamp = excluded.stamp, keys = excluded.keys, digest = excluded.digest, checked = excluded.checked
"""
# While a full build rewrites the rows they tell of no file.
FORGET_BASELINE = "UPDATE feed SET baseline = NULL WHERE id = %(feed_id)s::int"
# Unless the feed was changed meanwhile: what the rows tell of is then no more wanted.
KEEP_BASELINE = """
UPDATE feed f SET baseline = b.id FROM feed_build b
WHERE b.id = %(id)s::uuid AND f.id = b.feed_id AND f.plan = b.plan
"""
# Listings of another channel, where a feed was given one.
FORGET_ROWS = """
DELETE FROM feed_row r WHERE r.feed_id = %(feed_id)s::int AND NOT EXISTS (
    SELECT FROM listing l JOIN feed f ON f.channel_id = l.channel_id WHERE f.id = r.feed_id AND l.sku_id = r.sku_id)
"""

# What a listing could differ in from what the last full file said of it: the catalogue by its stamp, read once over all
# listings, and stock by the index on its position; kits by their components.
FIND_CHANGES = f"""
INSERT INTO feed_todo (build_id, sku_id)
SELECT %(id)s::uuid, sku_id FROM (
    SELECT l.sku_id FROM listing l
    {OF_LISTING}
    LEFT JOIN feed_row r ON r.feed_id = %(feed_id)s::int AND r.sku_id = l.sku_id
    WHERE l.channel_id = %(channel_id)s::int AND (r.sku_id IS NULL OR r.stamp <> {STAMP})
    UNION
    SELECT l.sku_id FROM (
        SELECT s.sku_id FROM stock_change s WHERE s.version > %(position)s::bigint
        UNION
        SELECT k.kit_id FROM stock_change s JOIN kit_component k ON k.component_id = s.sku_id
        WHERE s.version > %(position)s::bigint
    ) AS moved JOIN listing l ON l.channel_id = %(channel_id)s::int AND l.sku_id = moved.sku_id
) AS changed ORDER BY sku_id
"""
# Everything, where what all rows depend on changed: by the primary key of listings.
TODO_ALL = """
INSERT INTO feed_todo (build_id, sku_id)
SELECT %(id)s::uuid, l.sku_id FROM listing l WHERE l.channel_id = %(channel_id)s::int ORDER BY 2
"""
CLEAR_TODO = "DELETE FROM feed_todo WHERE build_id = %(id)s::uuid"

# Files: the two newest of each kind stay, the one before for who is reading it. Their reports go with them.
DROP_OLD_PARTS = """
DELETE FROM feed_part WHERE build_id IN (
    SELECT id FROM (
        SELECT id, state, row_number() OVER (PARTITION BY kind, state = 'done' ORDER BY number DESC) AS n
        FROM feed_build WHERE feed_id = %(feed_id)s::int AND state NOT IN ('waiting', 'building')
    ) AS ranked WHERE state <> 'done' OR n > 2
)
"""
DROP_OLD_FLAWS = """
DELETE FROM feed_flaw WHERE build_id IN (
    SELECT id FROM (
        SELECT id, row_number() OVER (PARTITION BY kind ORDER BY number DESC) AS n
        FROM feed_build WHERE feed_id = %(feed_id)s::int AND state NOT IN ('waiting', 'building')
    ) AS ranked WHERE n > 2
)
"""
DROP_OLD_BUILDS = """
DELETE FROM feed_build b
WHERE b.feed_id = %(feed_id)s::int AND b.ended_at < now() - make_interval(days => %(days)s::int)
  AND NOT EXISTS (SELECT FROM feed_part p WHERE p.build_id = b.id)
  AND b.id IS DISTINCT FROM (SELECT baseline FROM feed WHERE id = b.feed_id)
"""

# A bucket of a minute in the feed's own row: read by files, which are few and large.
COUNT_PULL = """
UPDATE feed
SET pulls = CASE WHEN pulls_since > now() - interval '1 minute' THEN pulls + 1 ELSE 1 END,
    pulls_since = CASE WHEN pulls_since > now() - interval '1 minute' THEN pulls_since ELSE now() END,
    pulled_at = now()
WHERE id = %(feed_id)s::int
  AND (pulls < %(most)s::int OR pulls_since <= now() - interval '1 minute')
RETURNING id
"""
