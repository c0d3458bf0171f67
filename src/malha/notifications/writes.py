"""Statements that write messages and what bears on them. Private to `notifications`."""

# Replayed events meet their rows again, by whichever means they were told then: each thing is said once across means.
# What a statement writes it does not see, so several means of one event come in together.
ADD_MESSAGES = """
INSERT INTO message (id, order_id, event_seq, kind, channel, language, address, facts, state, reason, due_at, done_at,
                     rank)
SELECT id, order_id, event_seq, kind, channel, language, address, facts, state, reason, due_at,
       CASE WHEN state = 'skipped' THEN now() END, rank
FROM jsonb_to_recordset(%(rows)s::jsonb) AS r (id uuid, order_id uuid, event_seq int, kind text, channel text,
     language text, address text, facts jsonb, state text, reason text, due_at timestamptz, rank smallint)
WHERE NOT EXISTS (SELECT FROM message m WHERE m.order_id = r.order_id AND m.event_seq = r.event_seq AND m.kind = r.kind)
ORDER BY order_id, event_seq, kind, channel
ON CONFLICT DO NOTHING
"""
# What a message is about, and by which means it was tried. Its row is locked by who found that it failed.
TRIED = """
SELECT m.order_id, m.event_seq, m.kind, m.language, m.facts, m.created_at,
       (SELECT max(o.rank) + 1 FROM message o
        WHERE o.order_id = m.order_id AND o.event_seq = m.event_seq AND o.kind = m.kind)::smallint AS rank,
       (SELECT array_agg(o.channel) FROM message o
        WHERE o.order_id = m.order_id AND o.event_seq = m.event_seq AND o.kind = m.kind) AS tried,
       (SELECT min(o.created_at) FROM message o
        WHERE o.order_id = m.order_id AND o.event_seq = m.event_seq AND o.kind = m.kind) AS since
FROM message m WHERE m.id = %(id)s::uuid
"""
# The next means. Two that found the same failure write the same rank: one of them does.
ADD_NEXT = """
INSERT INTO message (id, order_id, event_seq, kind, channel, language, address, facts, due_at, rank)
VALUES (%(id)s::uuid, %(order_id)s::uuid, %(event_seq)s::int, %(kind)s::text, %(channel)s::text, %(language)s::text,
        %(address)s::text, %(facts)s::jsonb, %(due_at)s::timestamptz, %(rank)s::smallint)
ON CONFLICT DO NOTHING
"""
# One message of those that are due, the longest waiting first, but for means that are left alone; another worker takes
# the next. The partial index on queued ones.
CLAIM = """
UPDATE message SET state = 'sending', claimed_at = now(), attempts = attempts + 1, reason = NULL, answer = NULL
WHERE id = (
    SELECT id FROM message WHERE state = 'queued' AND due_at <= now() AND channel <> ALL (%(silent)s::text[])
    ORDER BY due_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
)
RETURNING id, order_id, event_seq, kind, channel, language, address, facts, attempts
"""
SET_WORDS = "UPDATE message SET subject = %(subject)s::text, body = %(body)s::text WHERE id = %(id)s::uuid"
# Only who is sending it knows the outcome. A message declared uncertain meanwhile takes it too: it is no longer so.
SET_OUTCOME = """
UPDATE message SET state = %(state)s::text, reason = %(reason)s::text, answer = %(answer)s::text,
    due_at = coalesce(%(due_at)s::timestamptz, due_at), reference = coalesce(%(reference)s::text, reference),
    done_at = CASE WHEN %(state)s::text = 'queued' THEN NULL ELSE now() END
WHERE id = %(id)s::uuid AND (state = 'sending' OR (state = 'uncertain' AND reason = 'interrupted'))
"""
# A process that took a message up and said nothing for this long is gone; whether it sent it, nobody knows. The partial
# index on messages being sent.
GIVE_UP_SENDING = """
UPDATE message SET state = 'uncertain', reason = 'interrupted', done_at = now()
WHERE state = 'sending' AND claimed_at < now() - %(after)s::interval RETURNING id
"""
# Without a way to send, what waits is told so: it must not go out weeks later, when somebody sets the channel up.
SKIP_DUE = """
UPDATE message SET state = 'skipped', reason = %(reason)s::text, done_at = now()
WHERE state = 'queued' AND due_at <= now() AND channel = %(channel)s::text
RETURNING id
"""
# What waits goes to where the buyer is reached now. By the unique key's first column.
READDRESS = """
UPDATE message m SET address = w.address
FROM unnest(%(orders)s::uuid[], %(channels)s::text[], %(addresses)s::text[]) AS w (order_id, channel, address)
WHERE m.order_id = w.order_id AND m.channel = w.channel AND m.state = 'queued' AND m.address <> w.address
"""
SKIP_UNREACHED = """
UPDATE message m SET state = 'skipped', reason = 'no_address', address = NULL, done_at = now()
FROM unnest(%(orders)s::uuid[], %(channels)s::text[]) AS w (order_id, channel)
WHERE m.order_id = w.order_id AND m.channel = w.channel AND m.state = 'queued'
RETURNING m.id
"""
LOCK_MESSAGE = """
SELECT id, order_id, state, channel, address FROM message WHERE id = %(id)s::uuid FOR NO KEY UPDATE
"""
REQUEUE = """
UPDATE message SET state = 'queued', reason = NULL, answer = NULL, attempts = 0, due_at = now(), done_at = NULL,
    delivered_at = NULL, read_at = NULL, reference = NULL, address = %(address)s::text
WHERE id = %(id)s::uuid
"""
SET_BOUNCED = """
UPDATE message SET state = 'bounced', reason = 'bounced', done_at = now(), delivered_at = NULL,
    answer = coalesce(nullif(%(words)s::text, ''), answer)
WHERE id = %(id)s::uuid AND state IN ('sending', 'sent', 'uncertain')
"""
# Receipts name a message as the gateway knows it, or by our own id. In the order of ids: receipts of two requests may
# be about the same ones.
LOCK_RECEIVED = """
SELECT m.id, m.channel, m.address, m.state, w.reference
FROM unnest(%(references)s::text[], %(ids)s::uuid[]) AS w (reference, id)
JOIN message m ON m.id = w.id OR (m.channel = %(channel)s::text AND m.reference = w.reference)
ORDER BY m.id FOR NO KEY UPDATE OF m
"""
# It arrived: what was uncertain is so no longer. What came back before stays so.
SET_RECEIVED = """
UPDATE message m SET delivered_at = coalesce(m.delivered_at, w.at), done_at = coalesce(m.done_at, w.at),
    read_at = coalesce(m.read_at, w.read_at),
    state = CASE WHEN m.state = 'uncertain' THEN 'sent' ELSE m.state END,
    reason = CASE WHEN m.state = 'uncertain' THEN NULL ELSE m.reason END
FROM (SELECT id, min(at) AS at, min(at) FILTER (WHERE read) AS read_at
      FROM unnest(%(ids)s::uuid[], %(instants)s::timestamptz[], %(reads)s::bool[]) AS r (id, at, read) GROUP BY id) w
WHERE m.id = w.id AND m.state IN ('sending', 'sent', 'uncertain')
"""
KEEP_RECEIPTS = """
INSERT INTO message_receipt (channel, reference, status, at, words, bad_address)
SELECT %(channel)s::text, r, s, t, w, b
FROM unnest(%(references)s::text[], %(statuses)s::text[], %(instants)s::timestamptz[], %(words)s::text[],
            %(bad)s::bool[]) AS k (r, s, t, w, b)
ON CONFLICT DO NOTHING
"""
TAKE_RECEIPTS = """
DELETE FROM message_receipt WHERE channel = %(channel)s::text AND reference = %(reference)s::text
RETURNING status, at, words, bad_address
"""
# Of messages that are not ours: somebody else uses the same account.
FORGET_RECEIPTS = "DELETE FROM message_receipt WHERE at < now() - interval '7 days'"
PUT_GATEWAY = """
INSERT INTO message_gateway (channel, active, config, secret, receipt_secret)
SELECT %(channel)s::text, %(active)s::bool, %(config)s::jsonb, %(secret)s::bytea, %(receipt_secret)s::bytea
WHERE %(version)s::int = 0
ON CONFLICT (channel) DO NOTHING
"""
# A secret that is not given stays; it is never shown, so a form cannot send it back.
SET_GATEWAY = """
UPDATE message_gateway SET active = %(active)s::bool, config = %(config)s::jsonb,
    secret = coalesce(%(secret)s::bytea, secret), receipt_secret = coalesce(%(receipt_secret)s::bytea, receipt_secret),
    version = version + 1
WHERE channel = %(channel)s::text AND version = %(version)s::int
"""
DROP_GATEWAY = "DELETE FROM message_gateway WHERE channel = %(channel)s::text AND version = %(version)s::int"
PUT_ROUTE = """
INSERT INTO message_route (kind, means, every)
SELECT %(kind)s::text, %(means)s::text[], %(every)s::bool WHERE %(version)s::int = 0
ON CONFLICT (kind) DO NOTHING
"""
SET_ROUTE = """
UPDATE message_route SET means = %(means)s::text[], every = %(every)s::bool, version = version + 1
WHERE kind = %(kind)s::text AND version = %(version)s::int
"""
DROP_ROUTE = "DELETE FROM message_route WHERE kind = %(kind)s::text AND version = %(version)s::int"
PUT_TELLER = """
INSERT INTO message_teller (channel_id, teller) VALUES (%(channel)s::int, %(teller)s::text)
ON CONFLICT (channel_id) DO UPDATE SET teller = excluded.teller, version = message_teller.version + 1
WHERE message_teller.teller <> excluded.teller
"""
# The ledger only grows. Brought twice under one key, it is written once.
ADD_CONSENTS = """
INSERT INTO message_consent (id, customer_id, purpose, channel, given, source, proof, at, recorded_by, key)
SELECT id, customer_id, purpose, channel, given, source, proof, coalesce(at, now()), %(by)s::text, key
FROM jsonb_to_recordset(%(rows)s::jsonb) AS r (id uuid, customer_id uuid, purpose text, channel text, given bool,
     source text, proof text, at timestamptz, key text)
ON CONFLICT (key) DO NOTHING
RETURNING id
"""
# Two profiles became one: what one said, under the other, with its time and its proof. The index on customers; keys of
# copies name the merge, so that they can be taken away, and the original, so that there is one of each.
COPY_CONSENTS = """
INSERT INTO message_consent (id, customer_id, purpose, channel, given, source, proof, at, recorded_at, recorded_by, key)
SELECT gen_random_uuid(), %(kept)s::uuid, purpose, channel, given, source, proof, at, recorded_at, recorded_by,
       'merge:' || %(merge)s::text || ':' || id
FROM message_consent WHERE customer_id = %(gone)s::uuid ORDER BY at, id
"""
DROP_COPIES = """
DELETE FROM message_consent
WHERE customer_id = %(kept)s::uuid AND starts_with(key, 'merge:' || %(merge)s::text || ':')
"""
# What counts for sending follows the ledger: the newest word on each means.
FOLLOW_CONSENTS = """
INSERT INTO message_preference (customer_id, declined, source)
SELECT c, coalesce((
    SELECT array_agg(channel ORDER BY channel) FROM (
        SELECT DISTINCT ON (channel) channel, given FROM message_consent
        WHERE customer_id = c AND purpose = 'transactional' ORDER BY channel, at DESC, id DESC
    ) newest WHERE NOT given), '{}'::text[]), %(source)s::text
FROM unnest(%(customers)s::uuid[]) AS w (c)
ON CONFLICT (customer_id) DO UPDATE SET declined = excluded.declined, source = excluded.source,
    version = message_preference.version + 1
WHERE message_preference.declined <> excluded.declined
"""
SUPPRESS = """
INSERT INTO message_suppression (channel, address, reason, by)
VALUES (%(channel)s::text, lower(%(address)s::text), %(reason)s::text, %(by)s::text)
ON CONFLICT (channel, address) DO NOTHING
"""
LIFT_SUPPRESSION = """
DELETE FROM message_suppression WHERE channel = %(channel)s::text AND address = lower(%(address)s::text)
"""
# What was said, and to whom, is forgotten after its time; that something was said stays. A bite at a time, by the
# partial index on messages with an address.
FORGET_WORDS = """
UPDATE message SET address = NULL, subject = NULL, body = NULL, answer = NULL
WHERE id IN (
    SELECT id FROM message WHERE address IS NOT NULL AND created_at < now() - make_interval(days => %(days)s::int)
    ORDER BY created_at LIMIT %(limit)s::int FOR NO KEY UPDATE SKIP LOCKED
) AND state <> 'sending'
"""
# The version a person saw is the newest, or the primary key refuses the next one.
ADD_TEMPLATE = """
INSERT INTO message_template (kind, channel, language, version, subject, body, saved_by)
VALUES (%(kind)s::text, %(channel)s::text, %(language)s::text, %(version)s::int, %(subject)s::text, %(body)s::text,
        %(by)s::text)
ON CONFLICT DO NOTHING
"""
SET_SWITCH = """
INSERT INTO message_switch (kind, channel, active) VALUES (%(kind)s::text, %(channel)s::text, %(active)s::bool)
ON CONFLICT (kind, channel) DO UPDATE SET active = excluded.active
"""
PUT_RULES = """
INSERT INTO message_rules (quiet_from, quiet_until, kept_days)
SELECT %(quiet_from)s::time, %(quiet_until)s::time, %(kept_days)s::int WHERE %(version)s::int = 0
ON CONFLICT (only_row) DO NOTHING
"""
SET_RULES = """
UPDATE message_rules SET quiet_from = %(quiet_from)s::time, quiet_until = %(quiet_until)s::time,
    kept_days = %(kept_days)s::int, version = version + 1 WHERE version = %(version)s::int
"""
PUT_PREFERENCE = """
INSERT INTO message_preference (customer_id, language, declined, source)
SELECT %(customer)s::uuid, %(language)s::text, %(declined)s::text[], %(source)s::text WHERE %(version)s::int = 0
ON CONFLICT (customer_id) DO NOTHING
"""
SET_PREFERENCE = """
UPDATE message_preference SET language = %(language)s::text, declined = %(declined)s::text[],
    source = %(source)s::text, version = version + 1
WHERE customer_id = %(customer)s::uuid AND version = %(version)s::int
"""
