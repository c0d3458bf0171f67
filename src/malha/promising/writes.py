"""Statements that keep learned days. Private to promising."""

# One row; its id is the version.
INSERT_VERSION = """
INSERT INTO promise_days_version (outcomes, level, in_force)
VALUES (%(outcomes)s::int, %(level)s::float8, true) RETURNING id
"""

# All lanes of a version at once; nobody else knows the version yet. A service that is gone meanwhile is left out.
INSERT_DAYS = """
INSERT INTO promise_days (version_id, service_id, from_state, to_state, days, usual, outcomes)
SELECT %(version)s::int, d.service_id, d.from_state, d.to_state, d.days, d.usual, d.outcomes
FROM unnest(%(services)s::int[], %(origins)s::text[], %(targets)s::text[], %(days)s::int[], %(usual)s::int[],
            %(outcomes)s::int[]) AS d (service_id, from_state, to_state, days, usual, outcomes)
JOIN service s ON s.id = d.service_id
"""

# A handful of rows. Told apart so that a second withdrawal changes nothing.
WITHDRAW = """
UPDATE promise_days_version SET in_force = false WHERE in_force RETURNING id
"""

# Old versions are only for looking back.
DROP_OLD = """
DELETE FROM promise_days_version WHERE made_at < now() - make_interval(days => %(days)s::int)
"""
