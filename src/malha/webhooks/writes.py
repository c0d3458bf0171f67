"""Every statement that changes or locks webhooks. Private to `webhooks`."""

from typing import LiteralString

from malha.webhooks.reads import PERMITTED, VISIBLE

_LINE_UP: LiteralString = """
INSERT INTO webhook_delivery (endpoint_id, position, key, type, at)
SELECT w.id, e.position, e.key, e.type, e.at
FROM event e
JOIN unnest(%(endpoints)s::int[], %(types)s::text[]) AS p (endpoint_id, type) ON p.type = e.type
JOIN webhook_endpoint w ON w.id = p.endpoint_id
"""
_IN_ORDER: LiteralString = "ORDER BY w.id, e.position ON CONFLICT DO NOTHING"
# Between two positions, a primary key range of the log, in the order of the delivery's key. An event that is in line
# already stays as it is: a batch may be given again.
LINE_UP = (
    _LINE_UP + "WHERE e.position > %(since)s::bigint AND e.position <= %(reach)s::bigint AND " + VISIBLE + _IN_ORDER
)
LINE_UP_THESE = _LINE_UP + "WHERE e.position = ANY (%(positions)s::bigint[]) AND " + VISIBLE + _IN_ORDER

# The checkpoint of the subscriber that puts events in line: who holds it knows exactly up to where that was done.
LOCK_CHECKPOINT = "SELECT position FROM subscriber WHERE name = %(name)s::text FOR NO KEY UPDATE"

# Again, the oldest first: rows that are there go back in line, others are made from the log, by its index on time.
REPLAY = (
    """
WITH found AS MATERIALIZED (
    SELECT e.position, e.key, e.type, e.at
    FROM event e CROSS JOIN webhook_endpoint w
    WHERE w.id = %(endpoint)s::int AND e.type = ANY (%(types)s::text[]) AND e.position <= %(reach)s::bigint
      AND e.position > %(beyond)s::bigint AND e.at >= %(since)s::timestamptz AND e.at < %(until)s::timestamptz
      AND """
    + VISIBLE
    + """
    ORDER BY e.position LIMIT %(most)s::int
), again AS (
    INSERT INTO webhook_delivery AS d (endpoint_id, position, key, type, at, replays)
    SELECT %(endpoint)s::int, position, key, type, at, 1 FROM found ORDER BY position
    ON CONFLICT (endpoint_id, position) DO UPDATE
    SET state = 'waiting', attempts = 0, replays = least(d.replays + 1, 32000), next_at = now(), taken_until = NULL,
        done_at = NULL, status = NULL, ms = NULL, error = NULL
    WHERE d.state <> 'waiting'
    RETURNING 1
)
SELECT (SELECT count(*) FROM again), (SELECT count(*) FROM found), (SELECT max(position) FROM found)
"""
)
# Whatever was given up and may still be told, by the partial index.
REPLAY_FAILED = (
    """
UPDATE webhook_delivery d
SET state = 'waiting', attempts = 0, replays = least(d.replays + 1, 32000), next_at = now(), taken_until = NULL,
    done_at = NULL
WHERE d.endpoint_id = %(endpoint)s::int AND d.position IN (
    SELECT d.position FROM webhook_delivery d JOIN webhook_endpoint w ON w.id = d.endpoint_id
    WHERE d.endpoint_id = %(endpoint)s::int AND d.state = 'failed'
      AND (%(since)s::timestamptz IS NULL OR d.at >= %(since)s::timestamptz)
      AND (%(until)s::timestamptz IS NULL OR d.at < %(until)s::timestamptz)
      AND """
    + PERMITTED
    + """
    ORDER BY d.position LIMIT %(most)s::int FOR NO KEY UPDATE OF d
)
"""
)
# What is in line, in hand of a worker or not, beyond the rights that its endpoint has now.
WITHDRAW = (
    """
UPDATE webhook_delivery d SET state = 'failed', done_at = now(), taken_until = NULL, error = %(error)s::text
FROM webhook_endpoint w
WHERE w.id = %(endpoint)s::int AND d.endpoint_id = w.id AND d.state = 'waiting' AND NOT """
    + PERMITTED
)
# One, whatever became of it; one in line goes at once.
REPLAY_ONE = """
UPDATE webhook_delivery d
SET state = 'waiting', attempts = CASE WHEN state = 'waiting' THEN attempts ELSE 0 END,
    replays = least(d.replays + 1, 32000), next_at = now(), done_at = NULL
WHERE d.endpoint_id = %(endpoint)s::int AND d.position = %(position)s::bigint
RETURNING position
"""

# --- sending ---

# Claims of one endpoint happen one after the other: so the order of an aggregate can be kept. The other worker is
# quicker: SKIP LOCKED.
LOCK_ENDPOINT = """
SELECT * FROM webhook_endpoint WHERE id = %(id)s::int FOR NO KEY UPDATE SKIP LOCKED
"""
# To write what became of deliveries: waits its turn.
HOLD_ENDPOINT = "SELECT * FROM webhook_endpoint WHERE id = %(id)s::int FOR NO KEY UPDATE"
# The next in line, a lease on each: no lock is held while a server is spoken to. Where the order counts, none whose
# aggregate has an earlier one that is in hand or waits for its time. By the partial indexes.
TAKE = """
UPDATE webhook_delivery d SET taken_until = clock_timestamp() + make_interval(secs => %(lease)s::float8)
WHERE d.endpoint_id = %(endpoint)s::int AND d.position = ANY (ARRAY(
    SELECT n.position FROM webhook_delivery n
    WHERE n.endpoint_id = %(endpoint)s::int AND n.state = 'waiting' AND n.next_at <= clock_timestamp()
      AND (n.taken_until IS NULL OR n.taken_until < clock_timestamp())
      AND (NOT %(ordered)s::boolean OR NOT EXISTS (
          SELECT FROM webhook_delivery b
          WHERE b.endpoint_id = n.endpoint_id AND b.key = n.key AND b.state = 'waiting' AND b.position < n.position
            AND (b.next_at > clock_timestamp() OR b.taken_until >= clock_timestamp())))
    ORDER BY n.position LIMIT %(most)s::int FOR NO KEY UPDATE SKIP LOCKED
))
RETURNING d.position, d.attempts
"""
# By primary key; in hand of this worker, or its lease is over and somebody else's outcome will be the same.
STORE_DELIVERED = """
UPDATE webhook_delivery d SET state = 'delivered', attempts = least(d.attempts + 1, 32000), done_at = now(),
    taken_until = NULL, status = w.status, ms = w.ms, error = NULL
FROM unnest(%(positions)s::bigint[], %(statuses)s::smallint[], %(ms)s::int[]) AS w (position, status, ms)
WHERE d.endpoint_id = %(endpoint)s::int AND d.position = w.position AND d.state = 'waiting'
"""
STORE_FAILED = """
UPDATE webhook_delivery d SET state = CASE WHEN w.final THEN 'failed' ELSE 'waiting' END,
    attempts = least(d.attempts + 1, 32000), done_at = CASE WHEN w.final THEN now() END, taken_until = NULL,
    status = w.status, ms = w.ms, error = w.error, next_at = clock_timestamp() + make_interval(secs => w.wait)
FROM unnest(%(positions)s::bigint[], %(statuses)s::smallint[], %(ms)s::int[], %(errors)s::text[],
            %(waits)s::float8[], %(finals)s::boolean[]) AS w (position, status, ms, error, wait, final)
WHERE d.endpoint_id = %(endpoint)s::int AND d.position = w.position AND d.state = 'waiting'
"""
GIVE_BACK = """
UPDATE webhook_delivery SET taken_until = NULL
WHERE endpoint_id = %(endpoint)s::int AND position = ANY (%(positions)s::bigint[]) AND state = 'waiting'
"""
ADD_ATTEMPTS = """
INSERT INTO webhook_attempt (endpoint_id, position, status, ms, error, answer)
SELECT %(endpoint)s::int, * FROM unnest(%(positions)s::bigint[], %(statuses)s::smallint[], %(ms)s::int[],
                                        %(errors)s::text[], %(answers)s::text[])
"""
# The endpoint's row is locked: nobody else counts at the same time.
COUNT_MINUTE = """
INSERT INTO webhook_minute AS m (endpoint_id, minute, delivered, failed, took, lag_ms)
VALUES (%(endpoint)s::int, date_trunc('minute', now()), %(delivered)s::int, %(failed)s::int, %(took)s::int[],
        %(lag)s::bigint)
ON CONFLICT (endpoint_id, minute) DO UPDATE
SET delivered = m.delivered + excluded.delivered, failed = m.failed + excluded.failed,
    took = ARRAY(SELECT a + b FROM unnest(m.took, excluded.took) WITH ORDINALITY AS t (a, b, i) ORDER BY i),
    lag_ms = greatest(m.lag_ms, excluded.lag_ms)
"""
STORE_HEALTH = """
UPDATE webhook_endpoint SET failures = %(failures)s::int, opened = %(opened)s::int,
    open_until = to_timestamp(%(open_until)s::float8), trial_until = to_timestamp(%(trial_until)s::float8),
    rest_until = CASE WHEN %(rest)s::float8 > 0
                      THEN greatest(rest_until, clock_timestamp() + make_interval(secs => %(rest)s::float8))
                      ELSE rest_until END,
    failing_since = %(failing_since)s::timestamptz, error = %(error)s::text
WHERE id = %(endpoint)s::int
"""
FORGET_FORMER_SECRETS = """
UPDATE webhook_endpoint SET former_secret = NULL, former_until = NULL WHERE former_until < now()
"""
# What is old, by the index on its end; the oldest in line of who was told nothing for long goes too.
FORGET_DELIVERIES = """
DELETE FROM webhook_delivery WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM webhook_delivery
    WHERE state <> 'waiting' AND done_at < now() - CASE state WHEN 'delivered' THEN %(delivered)s::interval
                                                              ELSE %(failed)s::interval END
      AND done_at < now() - least(%(delivered)s::interval, %(failed)s::interval)
    LIMIT %(most)s::int
))
"""
GIVE_UP_OLD = """
UPDATE webhook_delivery d SET state = 'failed', done_at = now(), taken_until = NULL, error = %(error)s::text
FROM webhook_endpoint w
WHERE w.id = d.endpoint_id AND d.state = 'waiting' AND d.at < now() - %(age)s::interval
  AND (d.taken_until IS NULL OR d.taken_until < now()) AND d.replays = 0
"""
FORGET_ATTEMPTS = """
DELETE FROM webhook_attempt WHERE id = ANY (ARRAY(
    SELECT id FROM webhook_attempt WHERE at < now() - %(age)s::interval LIMIT %(most)s::int
))
"""
FORGET_MINUTES = "DELETE FROM webhook_minute WHERE minute < now() - %(age)s::interval"

# --- endpoints ---

ADD_ENDPOINT = """
INSERT INTO webhook_endpoint (name, url, types, permissions, locations, channels, ordered, secret, created_by)
VALUES (%(name)s::text, %(url)s::text, %(types)s::text[], %(permissions)s::text[], %(locations)s::int[],
        %(channels)s::int[], %(ordered)s::boolean, %(secret)s::bytea, %(by)s::text)
RETURNING id
"""
# Another address is a fresh start for its health.
CHANGE_ENDPOINT = """
UPDATE webhook_endpoint SET name = %(name)s::text, types = %(types)s::text[], permissions = %(permissions)s::text[],
    locations = %(locations)s::int[], channels = %(channels)s::int[], ordered = %(ordered)s::boolean,
    version = version + 1, failures = CASE WHEN url = %(url)s::text THEN failures ELSE 0 END,
    opened = CASE WHEN url = %(url)s::text THEN opened ELSE 0 END,
    open_until = CASE WHEN url = %(url)s::text THEN open_until END,
    rest_until = CASE WHEN url = %(url)s::text THEN rest_until END,
    failing_since = CASE WHEN url = %(url)s::text THEN failing_since END, url = %(url)s::text
WHERE id = %(id)s::int RETURNING version
"""
STOP_ENDPOINT = """
UPDATE webhook_endpoint SET state = %(state)s::text, why = %(why)s::text, stopped_at = now(),
    stopped_position = %(position)s::bigint, version = version + 1
WHERE id = %(id)s::int RETURNING version
"""
_NOTHING_FAILED: LiteralString = """failures = 0, opened = 0, open_until = NULL, trial_until = NULL,
    rest_until = NULL, failing_since = NULL, error = NULL"""
START_ENDPOINT: LiteralString = f"""
UPDATE webhook_endpoint SET state = 'active', why = NULL, stopped_at = NULL, stopped_position = NULL,
    version = version + 1, {_NOTHING_FAILED}
WHERE id = %(id)s::int RETURNING version
"""
# It answers again: whoever rested or waited because it did not goes on. None of it where nothing failed.
REST_NO_LONGER: LiteralString = f"""
UPDATE webhook_endpoint SET {_NOTHING_FAILED}
WHERE id = %(id)s::int
  AND (failing_since IS NOT NULL OR failures > 0 OR open_until IS NOT NULL OR rest_until IS NOT NULL)
RETURNING id
"""
# By the partial index of what waits; what is in hand keeps its lease.
HURRY = """
UPDATE webhook_delivery SET next_at = now()
WHERE endpoint_id = %(id)s::int AND state = 'waiting' AND next_at > now()
"""
DROP_ENDPOINT = "DELETE FROM webhook_endpoint WHERE id = %(id)s::int RETURNING id"
KEEP_ENDPOINT = """
INSERT INTO webhook_keeper (endpoint_id, kept_by) VALUES (%(id)s::int, %(by)s::text)
ON CONFLICT (endpoint_id) DO UPDATE SET kept_by = excluded.kept_by
"""
ROTATE = """
UPDATE webhook_endpoint SET former_secret = secret, former_until = %(until)s::timestamptz, secret = %(secret)s::bytea,
    version = version + 1
WHERE id = %(id)s::int RETURNING version
"""
