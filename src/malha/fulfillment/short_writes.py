"""Statements about goods that no location has. Private to `fulfillment`."""

# Two people who save at once: the version decides.
PUT_POLICY = """
INSERT INTO reroute_policy AS p (most_decisions, changed_by) VALUES (%(most)s::smallint, %(by)s::text)
ON CONFLICT (only_row) DO UPDATE SET most_decisions = excluded.most_decisions, version = p.version + 1,
    changed_at = now(), changed_by = excluded.changed_by
WHERE p.version = %(version)s::int
RETURNING version
"""
# The order is locked.
ADD_STEP = """
INSERT INTO short_step (order_id, line, way, facts, by)
VALUES (%(order_id)s::uuid, %(line)s::smallint, %(way)s::text, %(facts)s::jsonb, %(by)s::text)
"""
