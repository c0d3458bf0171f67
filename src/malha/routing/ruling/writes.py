"""Statements that keep rule sets. Private to routing."""

# One row.
INSERT_DRAFT = """
INSERT INTO routing_rule_set (note, content, based_on, created_by)
VALUES (%(note)s::text, %(content)s::jsonb, %(based_on)s::int, %(by)s::text)
RETURNING id
"""

# By primary key; a draft that somebody else changed, or that is published, has no row.
UPDATE_DRAFT = """
UPDATE routing_rule_set
SET note = %(note)s::text, content = %(content)s::jsonb, version = version + 1, changed_at = now()
WHERE id = %(id)s::int AND version = %(version)s::int AND status = 'draft'
RETURNING version
"""

# By primary key, as above.
DELETE_DRAFT = """
DELETE FROM routing_rule_set WHERE id = %(id)s::int AND version = %(version)s::int AND status = 'draft' RETURNING id
"""

# Numbers have no gaps: one publishes at a time. Readers and decisions are not in the way of this lock.
LOCK_NUMBERS = """
LOCK TABLE routing_rule_set IN SHARE ROW EXCLUSIVE MODE
"""

# By primary key, as above. The number is safe under LOCK_NUMBERS, and so is the time: whoever waited for the lock comes
# after the one who had it, though his transaction may have begun before.
PUBLISH = """
UPDATE routing_rule_set
SET status = 'published', number = coalesce((SELECT max(number) FROM routing_rule_set), 0) + 1,
    effective_from = coalesce(%(at)s::timestamptz, statement_timestamp()), effective_until = %(until)s::timestamptz,
    published_at = statement_timestamp(), published_by = %(by)s::text,
    version = version + 1
WHERE id = %(id)s::int AND version = %(version)s::int AND status = 'draft'
RETURNING number
"""

# By primary key. One that has ended stays ended: what decided orders is known.
END_AT = """
UPDATE routing_rule_set
SET effective_until = %(until)s::timestamptz, version = version + 1, changed_at = now()
WHERE id = %(id)s::int AND status = 'published' AND (effective_until IS NULL OR effective_until > statement_timestamp())
RETURNING number
"""

# By primary key, under LOCK_NUMBERS.
END_NOW = """
UPDATE routing_rule_set
SET effective_until = statement_timestamp(), version = version + 1, changed_at = now()
WHERE id = %(id)s::int AND status = 'published'
RETURNING number
"""

# Only before its time: what decided an order stays as it was.
WITHDRAW = """
UPDATE routing_rule_set SET status = 'withdrawn', version = version + 1, changed_at = now()
WHERE id = %(id)s::int AND status = 'published' AND effective_from > statement_timestamp()
RETURNING number
"""
