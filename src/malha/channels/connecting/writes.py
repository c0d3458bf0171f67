"""Every statement that changes or locks connections and what belongs to them. Private to `channels`."""

# --- connections ---

ADD = """
INSERT INTO connection (code, name, connector, channel_id, config, secrets, status)
VALUES (%(code)s::text, %(name)s::text, %(connector)s::text, %(channel_id)s::int, %(config)s::jsonb,
        %(secrets)s::bytea, 'paused')
ON CONFLICT (code) DO NOTHING RETURNING id
"""
ADD_PACE = "INSERT INTO connection_pace (connection_id) VALUES (%(id)s::int)"
# The row's lock makes two people who change it at once queue; the second finds another version.
LOCK = "SELECT version FROM connection WHERE code = %(code)s::text FOR NO KEY UPDATE"
# The former secrets are believed until `until`, so that both sides need not change in one instant.
CHANGE = """
UPDATE connection SET name = %(name)s::text, config = %(config)s::jsonb, version = version + 1,
    former_secrets = CASE WHEN %(secrets)s::bytea IS NULL THEN former_secrets ELSE secrets END,
    former_until = CASE WHEN %(secrets)s::bytea IS NULL THEN former_until
                        ELSE now() + make_interval(secs => %(overlap)s::float8) END,
    secrets = coalesce(%(secrets)s::bytea, secrets)
WHERE code = %(code)s::text AND version = %(version)s::int RETURNING version
"""
SET_STATUS = """
UPDATE connection SET status = %(status)s::text, why = %(why)s::text, version = version + 1
WHERE id = %(id)s::int AND status <> %(status)s::text RETURNING version
"""
# The peer does not know us: only an active connection breaks; who paused it keeps it so. Nor does one that somebody
# changed since it was asked, as by other secrets: what was said is of the former ones.
BREAK = """
UPDATE connection SET status = 'broken', why = %(why)s::text, version = version + 1
WHERE id = %(id)s::int AND status = 'active' AND version = %(version)s::int RETURNING code
"""
NOTE_CHECK = """
UPDATE connection SET checked_at = now(), check_says = %(says)s::text WHERE id = %(id)s::int
"""
NOTE_PRICES_SEEN = "UPDATE connection SET prices_seen = %(revision)s::bigint WHERE id = %(id)s::int"
CLEAR_PACE = "UPDATE connection_pace SET bucket = NULL, breaker = NULL WHERE connection_id = %(id)s::int"

# --- pace and log ---

# One row per connection: whoever asks the peer waits here for its budget, across workers.
LOCK_PACE = """
SELECT bucket, breaker, extract(epoch FROM clock_timestamp())::float8 FROM connection_pace
WHERE connection_id = %(id)s::int FOR NO KEY UPDATE
"""
PUT_PACE = """
UPDATE connection_pace SET bucket = %(bucket)s::jsonb, breaker = %(breaker)s::jsonb WHERE connection_id = %(id)s::int
"""
# Budgets of many at the end of a round. SKIP LOCKED: one that somebody else asks for just now takes its own later, and
# holds up nobody here.
LOCK_PACES = """
SELECT connection_id, bucket, breaker, extract(epoch FROM clock_timestamp())::float8 FROM connection_pace
WHERE connection_id = ANY (%(ids)s::int[]) ORDER BY connection_id FOR NO KEY UPDATE SKIP LOCKED
"""
PUT_PACES = """
UPDATE connection_pace p SET bucket = w.bucket, breaker = w.breaker
FROM unnest(%(ids)s::int[], %(buckets)s::jsonb[], %(breakers)s::jsonb[]) AS w(id, bucket, breaker)
WHERE p.connection_id = w.id
"""
# Calls that ended, in their order, with their places in the log. `plain`: all of them said that the peer is well and
# nothing of its budget, so that nothing had to be read before; a breaker that never failed is none.
END_CALLS = """
WITH ended AS (
    UPDATE connection_pace
    SET bucket = CASE WHEN %(plain)s::boolean THEN bucket ELSE %(bucket)s::jsonb END,
        breaker = CASE WHEN %(aside)s::boolean THEN breaker WHEN %(plain)s::boolean THEN NULL
                       ELSE %(breaker)s::jsonb END,
        calls = calls + %(calls)s::int, failures = failures + %(failed)s::int,
        limited_at = CASE WHEN %(limited)s::boolean THEN clock_timestamp() ELSE limited_at END
    WHERE connection_id = %(id)s::int RETURNING calls
)
INSERT INTO api_log (connection_id, slot, at, operation, method, path, status, ms, says)
SELECT %(id)s::int, (e.calls - cardinality(%(operations)s::text[]) + w.n) %% %(ring)s::int, clock_timestamp(),
       w.operation, w.method, w.path, w.status, w.ms, w.says
FROM ended e, unnest(%(operations)s::text[], %(methods)s::text[], %(paths)s::text[], %(statuses)s::int[],
                     %(took)s::int[], %(says)s::text[]) WITH ORDINALITY
                     AS w(operation, method, path, status, ms, says, n)
ON CONFLICT (connection_id, slot) DO UPDATE SET at = excluded.at, operation = excluded.operation,
    method = excluded.method, path = excluded.path, status = excluded.status, ms = excluded.ms, says = excluded.says
"""
# SKIP LOCKED: whoever floods us with forged messages does not queue behind our own calls; the metric counts them all.
COUNT_REFUSED = """
UPDATE connection_pace p SET refused = refused + w.count, refused_at = now()
FROM unnest(%(ids)s::int[], %(counts)s::int[]) AS w(id, count)
WHERE p.connection_id = w.id AND p.connection_id IN (
    SELECT connection_id FROM connection_pace WHERE connection_id = ANY (%(ids)s::int[]) FOR NO KEY UPDATE SKIP LOCKED)
"""

# --- tokens ---

PUT_TOKENS = """
INSERT INTO connection_token (connection_id, tokens, expires_at)
VALUES (%(id)s::int, %(tokens)s::bytea, %(expires_at)s::timestamptz)
ON CONFLICT (connection_id) DO UPDATE SET tokens = excluded.tokens, expires_at = excluded.expires_at,
    generation = connection_token.generation + 1, renewing_until = NULL
"""
# One renews: a lease, because no transaction is open while the peer is asked. By its generation, so that who saw an
# older token does not renew what somebody else has just renewed.
TAKE_RENEWAL = """
UPDATE connection_token SET renewing_until = clock_timestamp() + make_interval(secs => %(lease)s::float8)
WHERE connection_id = %(id)s::int AND generation = %(generation)s::int
  AND (renewing_until IS NULL OR renewing_until < clock_timestamp())
RETURNING generation
"""
END_RENEWAL = """
UPDATE connection_token SET tokens = %(tokens)s::bytea, expires_at = %(expires_at)s::timestamptz,
    generation = generation + 1, renewing_until = NULL
WHERE connection_id = %(id)s::int AND generation = %(generation)s::int RETURNING generation
"""
GIVE_UP_RENEWAL = """
UPDATE connection_token SET renewing_until = NULL
WHERE connection_id = %(id)s::int AND generation = %(generation)s::int
"""

# --- inbox ---

# The natural key decides: what came before is acknowledged again and kept once. Numbered in the order in which it came,
# written in the order of its keys: two processes that are told the same in opposite orders wait for one another, and
# never both. Materialized, so that numbers are drawn before the rows are sorted.
RECEIVE = """
WITH came AS MATERIALIZED (
    SELECT nextval(pg_get_serial_sequence('channel_inbox', 'id')) AS id, w.*
    FROM (SELECT * FROM unnest(%(connections)s::int[], %(dedups)s::text[], %(entities)s::text[], %(trusts)s::text[],
                               %(payloads)s::bytea[]) WITH ORDINALITY AS u(c, d, e, t, p, n) ORDER BY n) AS w
)
INSERT INTO channel_inbox (id, connection_id, dedup, entity, source, trust, payload) OVERRIDING SYSTEM VALUE
SELECT id, c, d, e, %(source)s::text, t, p FROM came ORDER BY c, d, n
ON CONFLICT (connection_id, dedup) DO NOTHING RETURNING connection_id, dedup
"""
# The first open thing of each entity, as far as its time has come and nobody has it, connection by connection in the
# order of the index: what waits at one that is paused is not looked through. SKIP LOCKED: another worker is quicker. A
# lease, since the peer may be asked before it is done. What else there is of an entity is looked up for each: joined,
# and by a planner that does not know yet how much waits, each was compared with all.
TAKE_CAME = """
UPDATE channel_inbox w SET taken_until = clock_timestamp() + make_interval(secs => %(lease)s::float8),
    attempts = attempts + 1
WHERE id IN (
    SELECT due.id FROM connection c CROSS JOIN LATERAL (
        SELECT i.id, i.next_at FROM channel_inbox i
        WHERE i.connection_id = c.id AND i.trust = %(trust)s::text AND i.state = 'waiting' AND i.next_at <= now()
          AND (i.taken_until IS NULL OR i.taken_until < clock_timestamp())
          AND i.id = (SELECT e.id FROM channel_inbox e WHERE e.connection_id = i.connection_id
                      AND e.entity = i.entity AND e.state = 'waiting' ORDER BY e.id LIMIT 1)
        ORDER BY i.next_at, i.id LIMIT %(most)s::int FOR NO KEY UPDATE SKIP LOCKED
    ) AS due
    WHERE c.status = 'active' ORDER BY due.next_at, due.id LIMIT %(most)s::int
)
RETURNING id, connection_id, entity, trust, payload, attempts, failures, received_at
"""
# `attempts` is the fence: who lost its lease to another writes nothing. What a newer state of the entity made needless
# goes with it.
END_CAME = """
UPDATE channel_inbox SET state = %(state)s::text, taken_until = NULL, cause = NULL, error = NULL, done_at = now()
WHERE id = %(id)s::bigint AND attempts = %(attempts)s::int AND state = 'waiting' RETURNING id
"""
# Many at once, each by its own fence; by id, as all who hold several do.
END_MANY = """
UPDATE channel_inbox i SET state = w.state, taken_until = NULL, cause = NULL, error = NULL, done_at = now()
FROM unnest(%(ids)s::bigint[], %(attempts)s::int[], %(states)s::text[]) AS w(id, attempts, state)
WHERE i.id = w.id AND i.attempts = w.attempts AND i.state = 'waiting'
RETURNING i.id, i.connection_id, i.entity, i.state
"""
# `+ 0`: by the index on entities that are stuck, never through all that is stuck at the connection.
RETIRE_MANY = """
UPDATE channel_inbox i SET state = 'stale', done_at = now()
WHERE i.state NOT IN ('waiting', 'done', 'stale', 'dropped') AND i.id = ANY (ARRAY(
    SELECT s.id
    FROM unnest(%(connections)s::int[], %(entities)s::text[], %(ids)s::bigint[]) AS w(connection_id, entity, id)
    CROSS JOIN LATERAL (
        SELECT s.id FROM channel_inbox s WHERE s.entity = w.entity AND s.connection_id + 0 = w.connection_id
           AND s.id < w.id AND s.state IN ('unmapped', 'parked') OFFSET 0) AS s))
"""
RETIRE_STUCK = """
UPDATE channel_inbox SET state = 'stale', done_at = now()
WHERE entity = %(entity)s::text AND connection_id + 0 = %(connection_id)s::int AND id < %(id)s::bigint
  AND state IN ('unmapped', 'parked')
"""
PUT_OFF_CAME = """
UPDATE channel_inbox SET taken_until = NULL, failures = failures + 1, cause = %(cause)s::text, error = %(error)s::text,
    next_at = clock_timestamp() + make_interval(secs => %(after)s::float8)
WHERE id = %(id)s::bigint AND attempts = %(attempts)s::int AND state = 'waiting' RETURNING id
"""
# It was not its fault: nothing counts against it.
RETURN_CAME = """
UPDATE channel_inbox SET taken_until = NULL,
    next_at = clock_timestamp() + make_interval(secs => %(after)s::float8)
WHERE id = %(id)s::bigint AND attempts = %(attempts)s::int AND state = 'waiting' RETURNING id
"""
PARK_CAME = """
UPDATE channel_inbox SET state = %(state)s::text, taken_until = NULL, cause = %(cause)s::text, error = %(error)s::text,
    wants = %(wants)s::text[]
WHERE id = %(id)s::bigint AND attempts = %(attempts)s::int AND state = 'waiting' RETURNING id
"""
REPLAY_CAME = """
UPDATE channel_inbox SET state = 'waiting', failures = 0, next_at = now(), cause = NULL, error = NULL, wants = NULL
WHERE connection_id = %(connection_id)s::int AND id = ANY (%(ids)s::bigint[]) AND state IN ('parked', 'unmapped')
RETURNING id
"""
# All of one cause; by the index on what is stuck.
REPLAY_CAUSE_CAME = """
UPDATE channel_inbox SET state = 'waiting', failures = 0, next_at = now(), cause = NULL, error = NULL, wants = NULL
WHERE connection_id = %(connection_id)s::int AND state IN ('parked', 'unmapped')
  AND cause IS NOT DISTINCT FROM %(cause)s::text
RETURNING id
"""
DROP_CAME = """
UPDATE channel_inbox SET state = 'dropped', done_at = now()
WHERE connection_id = %(connection_id)s::int AND id = ANY (%(ids)s::bigint[]) AND state IN ('parked', 'unmapped')
RETURNING id
"""
DROP_CAUSE_CAME = """
UPDATE channel_inbox SET state = 'dropped', done_at = now()
WHERE connection_id = %(connection_id)s::int AND state IN ('parked', 'unmapped')
  AND cause IS NOT DISTINCT FROM %(cause)s::text
RETURNING id
"""
# What waited for a mapping goes on as soon as all it wants are there.
WAKE_MAPPED = """
UPDATE channel_inbox i SET state = 'waiting', failures = 0, next_at = now(), wants = NULL, cause = NULL, error = NULL
WHERE i.connection_id = %(connection_id)s::int AND i.state = 'unmapped' AND NOT EXISTS (
    SELECT FROM unnest(i.wants) AS w(want)
    WHERE NOT EXISTS (SELECT FROM method_mapping m WHERE m.connection_id = i.connection_id AND m.ours IS NOT NULL
                      AND m.kind || ':' || m.theirs = w.want)
      AND NOT EXISTS (SELECT FROM channel_variant v WHERE v.connection_id = i.connection_id AND v.sku_id IS NOT NULL
                      AND starts_with(w.want, 'listing:') AND v.code = substr(w.want, 9)))
RETURNING i.id
"""
# Whose buyer was erased.
SET_PAYLOADS = """
UPDATE channel_inbox i SET payload = w.payload
FROM unnest(%(ids)s::bigint[], %(payloads)s::bytea[]) AS w(id, payload) WHERE i.id = w.id
"""
FORGET_CAME = """
DELETE FROM channel_inbox WHERE id IN (
    SELECT id FROM channel_inbox WHERE state IN ('done', 'stale', 'dropped') AND done_at < now() - interval '30 days'
    ORDER BY done_at LIMIT %(most)s::int)
"""

# --- mappings and bindings ---

NOTE_METHODS = """
INSERT INTO method_mapping (connection_id, kind, theirs)
SELECT %(connection_id)s::int, k, t FROM unnest(%(kinds)s::text[], %(theirs)s::text[]) AS w(k, t)
ON CONFLICT DO NOTHING
"""
PUT_METHOD = """
INSERT INTO method_mapping (connection_id, kind, theirs, ours)
VALUES (%(connection_id)s::int, %(kind)s::text, %(theirs)s::text, %(ours)s::text)
ON CONFLICT (connection_id, kind, theirs) DO UPDATE SET ours = excluded.ours
"""
# An older version never replaces a newer.
BIND = """
INSERT INTO binding AS b (connection_id, entity, internal_id, external_id, remote_version, content_hash)
VALUES (%(connection_id)s::int, %(entity)s::text, %(internal_id)s::text, %(external_id)s::text,
        %(version)s::bigint, %(hash)s::bytea)
ON CONFLICT (connection_id, entity, internal_id) DO UPDATE SET remote_version = excluded.remote_version,
    content_hash = coalesce(excluded.content_hash, b.content_hash)
WHERE b.remote_version IS NULL OR b.remote_version <= excluded.remote_version
"""

# In the order of the key, so that two that bind the same wait for one another and for nobody else.
BIND_MANY = """
INSERT INTO binding AS b (connection_id, entity, internal_id, external_id, remote_version, content_hash)
SELECT w.connection_id, %(entity)s::text, w.internal_id, w.external_id, w.version, w.hash
FROM unnest(%(connections)s::int[], %(internal_ids)s::text[], %(external_ids)s::text[], %(versions)s::bigint[],
            %(hashes)s::bytea[]) AS w(connection_id, internal_id, external_id, version, hash)
ORDER BY w.connection_id, w.internal_id
ON CONFLICT (connection_id, entity, internal_id) DO UPDATE SET remote_version = excluded.remote_version,
    content_hash = coalesce(excluded.content_hash, b.content_hash)
WHERE b.remote_version IS NULL OR b.remote_version <= excluded.remote_version
"""

# --- cursors ---

ADD_CURSOR = """
INSERT INTO connection_cursor (connection_id, stream, since)
VALUES (%(id)s::int, %(stream)s::text, %(since)s::timestamptz)
ON CONFLICT DO NOTHING
"""
TAKE_CURSOR = """
UPDATE connection_cursor w SET taken_until = clock_timestamp() + make_interval(secs => %(lease)s::float8)
WHERE (connection_id, stream) IN (
    SELECT k.connection_id, k.stream FROM connection_cursor k
    JOIN connection c ON c.id = k.connection_id AND c.status = 'active'
    WHERE k.stream = ANY (%(streams)s::text[]) AND k.next_at <= clock_timestamp()
      AND (k.taken_until IS NULL OR k.taken_until < clock_timestamp())
    ORDER BY k.next_at LIMIT %(most)s::int FOR NO KEY UPDATE OF k SKIP LOCKED
)
RETURNING connection_id, stream, value, since, failures, handles
"""
# In the transaction that keeps the page. `former` is the fence: who was overtaken moves nothing.
MOVE_CURSOR = """
UPDATE connection_cursor SET value = %(value)s::text, since = coalesce(%(since)s::timestamptz, since), read_at = now(),
    failures = 0, error = NULL, handles = handles || %(handles)s::text[],
    taken_until = CASE WHEN %(more)s::boolean THEN taken_until END,
    next_at = clock_timestamp() + make_interval(secs => %(pause)s::float8)
WHERE connection_id = %(id)s::int AND stream = %(stream)s::text AND value IS NOT DISTINCT FROM %(former)s::text
RETURNING stream
"""
FAIL_CURSOR = """
UPDATE connection_cursor SET taken_until = NULL, failures = failures + 1, error = %(error)s::text,
    next_at = clock_timestamp() + make_interval(secs => %(after)s::float8)
WHERE connection_id = %(id)s::int AND stream = %(stream)s::text
"""
DROP_HANDLES = """
UPDATE connection_cursor SET handles = ARRAY(SELECT h FROM unnest(handles) AS h WHERE h <> ALL (%(handles)s::text[]))
WHERE connection_id = %(id)s::int AND stream = %(stream)s::text
"""
REWIND = """
UPDATE connection_cursor SET value = NULL, since = %(since)s::timestamptz, next_at = now(), failures = 0, error = NULL
WHERE connection_id = %(id)s::int AND stream = %(stream)s::text RETURNING stream
"""

# --- operations ---

# By its key each once. Of what only the newest counts of, an older one is not even noted. What else there is of an
# entity is looked up for each, here and below, as where what came is taken.
ADD_OPS = """
INSERT INTO channel_op (key, connection_id, kind, entity, version, payload)
SELECT w.key, w.connection_id, w.kind, w.entity, w.version, w.payload
FROM unnest(%(keys)s::uuid[], %(connections)s::int[], %(kinds)s::text[], %(entities)s::text[], %(versions)s::bigint[],
            %(payloads)s::jsonb[]) AS w(key, connection_id, kind, entity, version, payload)
WHERE w.kind NOT IN ('set_price', 'put_listing') OR w.version >= coalesce((
    SELECT o.version FROM channel_op o
    WHERE o.connection_id = w.connection_id AND o.entity = w.entity AND o.kind = w.kind
      AND o.kind IN ('set_price', 'put_listing') AND o.state = 'waiting' AND o.state IN ('waiting', 'done')
    ORDER BY o.version DESC LIMIT 1), w.version)
ON CONFLICT (key) DO NOTHING RETURNING key
"""
# What nobody has in hand is replaced by what is newer. That it still waits is said without naming the state: its key is
# to find it, and no index on what waits.
SUPERSEDE = """
UPDATE channel_op r SET state = 'superseded', done_at = now()
WHERE r.state NOT IN ('done', 'dead', 'superseded', 'dropped')
  AND (r.taken_until IS NULL OR r.taken_until < clock_timestamp()) AND r.key = ANY (ARRAY(
    SELECT o.key FROM (SELECT DISTINCT connection_id, entity
                       FROM unnest(%(connections)s::int[], %(entities)s::text[]) AS w(connection_id, entity)) AS w
    CROSS JOIN LATERAL (
        SELECT o.key FROM channel_op o
        WHERE o.connection_id = w.connection_id AND o.entity = w.entity AND o.state = 'waiting'
          AND o.kind IN ('set_price', 'put_listing')
          AND o.version < (SELECT n.version FROM channel_op n
                           WHERE n.connection_id = o.connection_id AND n.entity = o.entity AND n.kind = o.kind
                             AND n.kind IN ('set_price', 'put_listing') AND n.state IN ('waiting', 'done')
                           ORDER BY n.version DESC LIMIT 1)
        OFFSET 0) AS o))
"""
# The row of its pace first: two workers must not both think that there is room for `in_flight`.
LOCK_ROOM = """
SELECT p.connection_id FROM connection_pace p JOIN connection c ON c.id = p.connection_id AND c.status = 'active'
WHERE p.connection_id = ANY (%(ids)s::int[]) FOR NO KEY UPDATE OF p SKIP LOCKED
"""
# The first open one of each entity, kind by kind in the order of the index. `sending` is durable before a byte goes
# out: who finds it set after a lease ran out knows that the thing may have arrived.
TAKE_OPS = """
WITH free AS MATERIALIZED (
    SELECT greatest(0, %(room)s::int - count(*))::int AS room FROM channel_op b
    WHERE b.connection_id = %(id)s::int AND b.kind = ANY (%(kinds)s::text[]) AND b.state = 'waiting'
      AND b.taken_until >= clock_timestamp()
)
UPDATE channel_op w SET taken_until = clock_timestamp() + make_interval(secs => %(lease)s::float8),
    attempts = attempts + 1, doubtful = doubtful OR sending, sending = true
WHERE key IN (
    SELECT due.key FROM unnest(%(kinds)s::text[]) AS k(kind) CROSS JOIN LATERAL (
        SELECT o.key, o.not_before, o.number FROM channel_op o
        WHERE o.connection_id = %(id)s::int AND o.kind = k.kind AND o.state = 'waiting' AND o.not_before <= now()
          AND (o.taken_until IS NULL OR o.taken_until < clock_timestamp())
          AND o.number = (SELECT e.number FROM channel_op e WHERE e.connection_id = o.connection_id
                          AND e.entity = o.entity AND e.state = 'waiting' ORDER BY e.number LIMIT 1)
        ORDER BY o.not_before, o.number
        LIMIT (SELECT room FROM free)
        FOR NO KEY UPDATE SKIP LOCKED
    ) AS due
    ORDER BY due.not_before, due.number
    LIMIT (SELECT room FROM free)
)
RETURNING key, connection_id, kind, entity, version, payload, attempts, failures, doubtful
"""
# In the order of their keys: two that write what became of the same ones wait for one another, and never both.
LOCK_OPS = "SELECT FROM channel_op WHERE key = ANY (%(keys)s::uuid[]) ORDER BY key FOR NO KEY UPDATE"
# Who is about to send reads this first: a process that stood still meanwhile may have lost them. Primary key.
STILL_MINE = """
SELECT o.key FROM unnest(%(keys)s::uuid[], %(attempts)s::int[]) AS w(key, attempts) JOIN channel_op o ON o.key = w.key
WHERE o.attempts = w.attempts AND o.state = 'waiting'
  AND o.taken_until > clock_timestamp() + make_interval(secs => %(least)s::float8)
"""
# Unless somebody else has them by now.
_FENCE = "WHERE o.key = w.key AND o.attempts = w.attempts AND o.state = 'waiting' RETURNING o.key"
# Where the lease is nearly over, or is over and nobody has come: nobody does while it lasts anew.
KEEP_OPS = (
    """
UPDATE channel_op o SET taken_until = clock_timestamp() + make_interval(secs => %(lease)s::float8)
FROM unnest(%(keys)s::uuid[], %(attempts)s::int[]) AS w(key, attempts)
"""
    + _FENCE
)
# What became of things that were taken, many at once.
END_OPS = (
    """
UPDATE channel_op o SET state = 'done', taken_until = NULL, sending = false, doubtful = false, cause = NULL,
    error = NULL, reference = w.reference, done_at = now()
FROM unnest(%(keys)s::uuid[], %(attempts)s::int[], %(reference)s::text[]) AS w(key, attempts, reference)
"""
    + _FENCE
)
PUT_OFF_OPS = (
    """
UPDATE channel_op o SET taken_until = NULL, sending = false, failures = o.failures + 1, doubtful = w.doubtful,
    cause = w.cause, error = w.error, reference = coalesce(w.reference, o.reference),
    not_before = clock_timestamp() + make_interval(secs => w.after)
FROM unnest(%(keys)s::uuid[], %(attempts)s::int[], %(doubtful)s::boolean[], %(cause)s::text[], %(error)s::text[],
            %(reference)s::text[], %(after)s::float8[]) AS w(key, attempts, doubtful, cause, error, reference, after)
"""
    + _FENCE
)
# Nothing was sent and it was not at fault: nothing counts against it.
RETURN_OPS = (
    """
UPDATE channel_op o SET taken_until = NULL, sending = false, doubtful = w.doubtful,
    not_before = clock_timestamp() + make_interval(secs => w.after)
FROM unnest(%(keys)s::uuid[], %(attempts)s::int[], %(doubtful)s::boolean[], %(after)s::float8[])
    AS w(key, attempts, doubtful, after)
"""
    + _FENCE
)
BURY_OPS = (
    """
UPDATE channel_op o SET state = 'dead', taken_until = NULL, sending = false, doubtful = w.doubtful,
    cause = w.cause, error = w.error
FROM unnest(%(keys)s::uuid[], %(attempts)s::int[], %(doubtful)s::boolean[], %(cause)s::text[], %(error)s::text[])
    AS w(key, attempts, doubtful, cause, error)
"""
    + _FENCE
)
# A person says that it did not arrive (`doubtful` false) or that it is to be looked up again.
REPLAY_OPS = """
UPDATE channel_op SET state = 'waiting', failures = 0, not_before = now(), cause = NULL, error = NULL, doubtful = false
WHERE connection_id = %(connection_id)s::int AND key = ANY (%(keys)s::uuid[]) AND state = 'dead' RETURNING key
"""
REPLAY_CAUSE_OPS = """
UPDATE channel_op SET state = 'waiting', failures = 0, not_before = now(), cause = NULL, error = NULL, doubtful = false
WHERE connection_id = %(connection_id)s::int AND state = 'dead' AND cause IS NOT DISTINCT FROM %(cause)s::text
  AND NOT doubtful
RETURNING key
"""
SETTLE_OPS = """
UPDATE channel_op SET state = %(state)s::text, done_at = now(), doubtful = false
WHERE connection_id = %(connection_id)s::int AND key = ANY (%(keys)s::uuid[]) AND state = 'dead' RETURNING key
"""
DROP_CAUSE_OPS = """
UPDATE channel_op SET state = 'dropped', done_at = now(), doubtful = false
WHERE connection_id = %(connection_id)s::int AND state = 'dead' AND cause IS NOT DISTINCT FROM %(cause)s::text
RETURNING key
"""
ADD_ATTEMPTS = """
INSERT INTO op_attempt (op_key, attempt, outcome, says)
SELECT w.key, (SELECT coalesce(max(a.attempt), 0) + 1 FROM op_attempt a WHERE a.op_key = w.key), w.outcome,
       w.says
FROM unnest(%(keys)s::uuid[], %(outcomes)s::text[], %(says)s::text[]) AS w(key, outcome, says)
"""
FORGET_OPS = """
DELETE FROM channel_op WHERE key IN (
    SELECT key FROM channel_op WHERE state IN ('done', 'superseded', 'dropped')
       AND done_at < now() - interval '30 days' ORDER BY done_at LIMIT %(most)s::int)
"""

# --- documents for ERPs ---

PUT_TRAILS = """
INSERT INTO order_document (connection_id, order_id, trail, sale, posted)
SELECT %(connection_id)s::int, w.order_id, w.trail, w.sale, w.posted
FROM unnest(%(orders)s::uuid[], %(trails)s::jsonb[], %(sales)s::boolean[], %(sums)s::bigint[])
    AS w(order_id, trail, sale, posted)
ON CONFLICT (connection_id, order_id) DO UPDATE SET trail = excluded.trail, sale = excluded.sale,
    posted = excluded.posted
"""
# The sale is there: what was stopped for the want of it goes on by itself.
WAKE_AWAITING = """
UPDATE channel_op SET state = 'waiting', failures = 0, not_before = now(), cause = NULL, error = NULL
WHERE connection_id = %(connection_id)s::int AND entity = %(entity)s::text AND state = 'dead' AND cause = 'awaits_sale'
"""

# --- reconciliation ---

PUT_RECONCILIATION = """
INSERT INTO reconciliation (connection_id, kind, day, ours, theirs, ours_total, theirs_total, ours_refunded,
                            theirs_refunded, differing)
VALUES (%(id)s::int, %(kind)s::text, %(day)s::date, %(ours)s::int, %(theirs)s::int, %(ours_total)s::bigint,
        %(theirs_total)s::bigint, %(ours_refunded)s::bigint, %(theirs_refunded)s::bigint, %(differing)s::text[])
ON CONFLICT (connection_id, kind, day) DO UPDATE SET at = now(), ours = excluded.ours, theirs = excluded.theirs,
    ours_total = excluded.ours_total, theirs_total = excluded.theirs_total, ours_refunded = excluded.ours_refunded,
    theirs_refunded = excluded.theirs_refunded, differing = excluded.differing
"""
