"""Every statement that changes or locks what belongs to partners. Private to `channels`."""

# --- locations and keys ---

# Taken away first: a location may change its name, and two may change theirs with each other.
DROP_LOCATIONS = """
DELETE FROM partner_location WHERE connection_id = %(connection_id)s::int RETURNING location_id
"""
# Of another partner they are not taken: the primary key says no, and the caller says whose it is.
ADD_LOCATIONS = """
INSERT INTO partner_location (location_id, connection_id, theirs)
SELECT l, %(connection_id)s::int, t FROM unnest(%(locations)s::int[], %(theirs)s::text[]) AS w(l, t)
ON CONFLICT (location_id) DO NOTHING RETURNING location_id
"""
PUT_HOST_KEY = """
INSERT INTO partner_host_key (connection_id, server, public_key, fingerprint, trusted_by)
VALUES (%(connection_id)s::int, %(server)s::text, %(public_key)s::text, %(fingerprint)s::text, %(by)s::text)
ON CONFLICT (connection_id) DO UPDATE SET server = excluded.server, public_key = excluded.public_key,
    fingerprint = excluded.fingerprint, trusted_at = now(), trusted_by = excluded.trusted_by
"""

# --- requests ---

# Each piece of work once, whoever notices it first.
ADD_REQUESTS = """
INSERT INTO partner_request (fulfillment_id, connection_id, order_id, location_id, root, name, op_key, due_at)
SELECT w.id, w.connection_id, w.order_id, w.location_id, w.id, w.name, w.op_key, w.due_at
FROM unnest(%(ids)s::uuid[], %(connections)s::int[], %(orders)s::uuid[], %(locations)s::int[], %(names)s::text[],
            %(op_keys)s::uuid[], %(dues)s::timestamptz[])
     AS w(id, connection_id, order_id, location_id, name, op_key, due_at)
ON CONFLICT (fulfillment_id) DO NOTHING RETURNING fulfillment_id
"""
ADD_LINES = """
INSERT INTO partner_request_line (fulfillment_id, line, sku_id, asked)
SELECT * FROM unnest(%(ids)s::uuid[], %(lines)s::int[], %(skus)s::int[], %(asked)s::int[])
"""
# A part that goes ahead: it answers to the name of the work that was asked for.
ADD_PART = """
INSERT INTO partner_request (fulfillment_id, connection_id, order_id, location_id, root, name, op_key, due_at, state,
                             answered_at, told)
SELECT %(id)s::uuid, connection_id, order_id, location_id, root, name, op_key, due_at, 'acknowledged', now(),
       %(told)s::text
FROM partner_request WHERE fulfillment_id = %(root)s::uuid
"""
# By the index on orders. Locked by the order: who asks for work and who records answers queue there.
NOTE_CANCELLED = """
UPDATE partner_request_line l SET cancelled = l.cancelled + w.units
FROM unnest(%(ids)s::uuid[], %(lines)s::int[], %(skus)s::int[], %(units)s::int[]) AS w(id, line, sku_id, units)
WHERE l.fulfillment_id = w.id AND l.line = w.line AND l.sku_id = w.sku_id
"""
NOTE_SHORT = """
UPDATE partner_request_line l SET short = l.short + w.units
FROM unnest(%(ids)s::uuid[], %(lines)s::int[], %(skus)s::int[], %(units)s::int[]) AS w(id, line, sku_id, units)
WHERE l.fulfillment_id = w.id AND l.line = w.line AND l.sku_id = w.sku_id
"""
NOTE_ALL_SHORT = """
UPDATE partner_request_line SET short = asked - cancelled WHERE fulfillment_id = %(id)s::uuid
"""
# Never back: what ended stays ended.
SET_REQUEST = """
UPDATE partner_request SET state = %(state)s::text, outcome = coalesce(%(outcome)s::text, outcome),
    note = coalesce(%(note)s::text, note), told = coalesce(%(told)s::text, told),
    answered_at = CASE WHEN %(heard)s::boolean THEN coalesce(answered_at, now()) ELSE answered_at END,
    left_at = coalesce(%(left_at)s::timestamptz, left_at),
    ended_at = CASE WHEN %(state)s::text = 'ended' THEN now() END
WHERE fulfillment_id = %(id)s::uuid AND state <> 'ended' RETURNING fulfillment_id
"""
# As work is closed by hand, too: nobody waits for an answer about it any more.
END_CLOSED = """
UPDATE partner_request r SET state = 'ended', ended_at = now(),
    outcome = CASE f.state WHEN 'closed' THEN 'shipped' WHEN 'rejected' THEN 'refused' ELSE 'cancelled' END
FROM fulfillment_order f
WHERE f.id = r.fulfillment_id AND r.order_id = ANY (%(orders)s::uuid[]) AND r.state <> 'ended'
  AND f.state IN ('closed', 'rejected', 'cancelled')
RETURNING r.fulfillment_id
"""

# Asked for once more: what is told from now on is the newer one.
SET_REQUEST_KEY = """
UPDATE partner_request SET op_key = %(op_key)s::uuid
WHERE connection_id = %(connection_id)s::int AND name = %(name)s::text AND state <> 'ended'
"""

# --- notices ---

# What says the same as before is not told again; else the version grows.
PUT_NOTICE = """
INSERT INTO partner_notice AS n (connection_id, name, kind, number, location_id, digest, op_key)
VALUES (%(connection_id)s::int, %(name)s::text, %(kind)s::text, %(number)s::bigint, %(location_id)s::int,
        %(digest)s::bytea, %(op_key)s::uuid)
ON CONFLICT (connection_id, name) DO UPDATE SET version = n.version + 1, digest = excluded.digest,
    op_key = excluded.op_key, told_at = now()
WHERE n.digest <> excluded.digest RETURNING version
"""
SET_NOTICE_KEY = """
UPDATE partner_notice SET op_key = %(op_key)s::uuid
WHERE connection_id = %(connection_id)s::int AND name = %(name)s::text
"""
NOTE_RECEIVED = """
UPDATE partner_notice SET received_at = now() WHERE connection_id = %(connection_id)s::int AND name = %(name)s::text
"""

# --- files ---

# The fingerprint decides: a file is taken once, and written once.
ADD_FILE = """
INSERT INTO partner_file (id, connection_id, way, kind, name, fingerprint, bytes, content, rows, held, state, stated,
                          says, ended_at)
VALUES (%(id)s::uuid, %(connection_id)s::int, %(way)s::text, %(kind)s::text, %(name)s::text, %(fingerprint)s::bytea,
        %(bytes)s::int, %(content)s::bytea, %(rows)s::int, %(held)s::int, %(state)s::text, %(stated)s::jsonb,
        %(says)s::text, CASE WHEN %(state)s::text IN ('done', 'held') THEN now() END)
ON CONFLICT (connection_id, way, fingerprint) DO NOTHING RETURNING number
"""
ADD_ANSWERS = """
INSERT INTO partner_answer (file_id, dedup, rows)
SELECT %(file_id)s::uuid, w.dedup, string_to_array(w.rows, ',')::int[]
FROM unnest(%(dedups)s::text[], %(rows)s::text[]) AS w(dedup, rows)
ON CONFLICT DO NOTHING
"""
# One flaw a row: the first that was found.
ADD_FLAWS = """
INSERT INTO partner_flaw (file_id, row, problem, field, value)
SELECT %(file_id)s::uuid, w.row, w.problem, w.field, w.value
FROM unnest(%(rows)s::int[], %(problems)s::text[], %(fields)s::text[], %(values)s::text[])
     AS w(row, problem, field, value)
ON CONFLICT DO NOTHING
"""
SETTLE_FILE = """
UPDATE partner_file SET state = 'applied', says = %(says)s::text,
    held = (SELECT count(*) FROM partner_flaw w WHERE w.file_id = partner_file.id)
WHERE id = %(id)s::uuid AND state = 'taken' RETURNING held
"""
# Only from where it was: another worker may be at it.
MOVE_LISTED = """
UPDATE partner_file SET listed = %(listed)s::int
WHERE id = %(id)s::uuid AND state = 'taken' AND listed = %(former)s::int RETURNING listed
"""
# It is out of the way at the partner, too.
END_FILE = """
UPDATE partner_file SET state = CASE WHEN held > 0 OR says <> '' THEN 'held' ELSE 'done' END, ended_at = now()
WHERE id = %(id)s::uuid AND state = 'applied' RETURNING state
"""
# What was said before and waits for a person is tried again when the partner says it again.
REPLAY_SAID = """
UPDATE channel_inbox SET state = 'waiting', failures = 0, next_at = now(), cause = NULL, error = NULL
WHERE id IN (
    SELECT i.id FROM channel_inbox i
    JOIN unnest(%(connections)s::int[], %(dedups)s::text[]) AS w(connection_id, dedup) USING (connection_id, dedup)
    WHERE i.state = 'parked' ORDER BY i.id FOR NO KEY UPDATE OF i)
RETURNING id
"""
FORGET_FILES = """
DELETE FROM partner_file WHERE id IN (
    SELECT id FROM partner_file WHERE ended_at < now() - interval '30 days' ORDER BY ended_at LIMIT %(most)s::int)
"""
