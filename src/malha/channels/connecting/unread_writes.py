"""Statements that keep products of a catalogue that could not be read, beside what else waits for a person."""

# By the unique index, once each. What a person dropped stays dropped; what was read since and cannot be now is back.
HOLD_PRODUCTS = """
INSERT INTO channel_inbox (connection_id, dedup, entity, source, trust, payload, state, cause)
SELECT %(id)s::int, 'product:' || u.theirs, 'product:' || u.theirs, 'pull', 'hint', convert_to(u.theirs, 'UTF8'),
       'parked', 'unread'
FROM unnest(%(theirs)s::text[]) AS u(theirs) ORDER BY u.theirs
ON CONFLICT (connection_id, dedup) DO UPDATE
SET state = 'parked', cause = 'unread', error = NULL, done_at = NULL, received_at = now()
WHERE channel_inbox.state IN ('done', 'stale')
RETURNING id
"""

# Likewise: what was read is held no more.
SETTLE_PRODUCTS = """
UPDATE channel_inbox SET state = 'done', done_at = now()
WHERE connection_id = %(id)s::int AND dedup = ANY (%(dedups)s::text[]) AND state = 'parked'
"""

# The catalogue has no other way to one of its products than from its beginning.
READ_ANEW = """
UPDATE connection_cursor SET value = NULL, next_at = now(), failures = 0, error = NULL
WHERE connection_id = %(id)s::int AND stream = %(stream)s::text
"""
