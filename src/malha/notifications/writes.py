"""Statements that write messages and what bears on them. Private to `notifications`."""

# Replayed events meet their row again: each thing is said at most once on a channel.
ADD_MESSAGES = """
INSERT INTO message (id, order_id, event_seq, kind, channel, language, address, facts, state, reason, due_at, done_at)
SELECT id, order_id, event_seq, kind, channel, language, address, facts, state, reason, due_at,
       CASE WHEN state = 'skipped' THEN now() END
FROM jsonb_to_recordset(%(rows)s::jsonb) AS r (id uuid, order_id uuid, event_seq int, kind text, channel text,
     language text, address text, facts jsonb, state text, reason text, due_at timestamptz)
ORDER BY order_id, event_seq, kind, channel
ON CONFLICT (order_id, event_seq, kind, channel) DO NOTHING
"""
# One message of those that are due, the longest waiting first; another worker takes the next. The partial index on
# queued ones.
CLAIM = """
UPDATE message SET state = 'sending', claimed_at = now(), attempts = attempts + 1, reason = NULL, answer = NULL
WHERE id = (
    SELECT id FROM message WHERE state = 'queued' AND due_at <= now()
    ORDER BY due_at LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
)
RETURNING id, order_id, event_seq, kind, channel, language, address, facts, attempts
"""
SET_WORDS = "UPDATE message SET subject = %(subject)s::text, body = %(body)s::text WHERE id = %(id)s::uuid"
# Only who is sending it knows the outcome. A message declared uncertain meanwhile takes it too: it is no longer so.
SET_OUTCOME = """
UPDATE message SET state = %(state)s::text, reason = %(reason)s::text, answer = %(answer)s::text,
    due_at = coalesce(%(due_at)s::timestamptz, due_at),
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
"""
LOCK_MESSAGE = """
SELECT id, order_id, state, channel, address FROM message WHERE id = %(id)s::uuid FOR NO KEY UPDATE
"""
REQUEUE = """
UPDATE message SET state = 'queued', reason = NULL, answer = NULL, attempts = 0, due_at = now(), done_at = NULL
WHERE id = %(id)s::uuid
"""
SET_BOUNCED = """
UPDATE message SET state = 'bounced', reason = 'bounced', done_at = now()
WHERE channel = %(channel)s::text AND lower(address) = lower(%(address)s::text) AND id = %(id)s::uuid
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
