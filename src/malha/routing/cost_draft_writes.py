"""Statements that keep drafts of costs. Private to routing."""

INSERT_DRAFT = """
INSERT INTO routing_cost_draft (note, content, created_by)
VALUES (%(note)s::text, %(content)s::jsonb, %(by)s::text) RETURNING id
"""
# By primary key; one that somebody else changed, or that was promoted, has no row.
UPDATE_DRAFT = """
UPDATE routing_cost_draft SET note = %(note)s::text, content = %(content)s::jsonb, version = version + 1,
       changed_at = now()
WHERE id = %(id)s::int AND version = %(version)s::int AND promoted_at IS NULL RETURNING version
"""
# By primary key, as above; what was promoted stays, to be looked at and taken back.
DELETE_DRAFT = """
DELETE FROM routing_cost_draft
WHERE id = %(id)s::int AND version = %(version)s::int AND promoted_at IS NULL RETURNING id
"""
# Two people who promote, or take back, go one after the other; readers and decisions are not in their way.
LOCK_DRAFTS = "LOCK TABLE routing_cost_draft IN SHARE ROW EXCLUSIVE MODE"
PROMOTED = """
UPDATE routing_cost_draft SET promoted_at = now(), promoted_by = %(by)s::text, before = %(before)s::jsonb,
       taken_back_at = NULL, taken_back_by = NULL, version = version + 1
WHERE id = %(id)s::int
"""
TAKEN_BACK = """
UPDATE routing_cost_draft SET taken_back_at = now(), taken_back_by = %(by)s::text, version = version + 1
WHERE id = %(id)s::int
"""
