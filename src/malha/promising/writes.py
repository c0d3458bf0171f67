"""Statements that keep learned days. Private to promising."""

# One row; its id is the version.
INSERT_VERSION = """
INSERT INTO promise_days_version (outcomes, level, worth, since, in_force)
VALUES (%(outcomes)s::int, %(level)s::float8, %(worth)s::float8, coalesce(%(since)s::timestamptz, now()), true)
RETURNING id
"""

# All lanes of a version at once; nobody else knows the version yet. A service that is gone meanwhile is left out.
INSERT_DAYS = """
INSERT INTO promise_days (version_id, service_id, from_state, to_state, days, usual, outcomes, chances)
SELECT %(version)s::int, d.service_id, d.from_state, d.to_state, d.days, d.usual, d.outcomes, d.chances::real[]
FROM unnest(%(services)s::int[], %(origins)s::text[], %(targets)s::text[], %(days)s::int[], %(usual)s::int[],
            %(outcomes)s::int[], %(chances)s::text[])
     AS d (service_id, from_state, to_state, days, usual, outcomes, chances)
JOIN service s ON s.id = d.service_id
"""

# The same of locations; null is any of them, or any weekday.
INSERT_READY = """
INSERT INTO promise_ready (version_id, location_id, method, weekday, chances, outcomes)
SELECT %(version)s::int, d.location_id, d.method, d.weekday, d.chances::real[], d.outcomes
FROM unnest(%(locations)s::int[], %(methods)s::text[], %(weekdays)s::smallint[], %(chances)s::text[],
            %(outcomes)s::int[]) AS d (location_id, method, weekday, chances, outcomes)
LEFT JOIN location l ON l.id = d.location_id
WHERE d.location_id IS NULL OR l.id IS NOT NULL
"""

# The same of what waits at locations.
INSERT_QUEUES = """
INSERT INTO promise_queue (version_id, location_id, method, band, usual, chances)
SELECT %(version)s::int, d.location_id, d.method, d.band, d.usual, d.chances::real[]
FROM unnest(%(locations)s::int[], %(methods)s::text[], %(bands)s::smallint[], %(usual)s::float8[], %(chances)s::text[])
     AS d (location_id, method, band, usual, chances)
JOIN location l ON l.id = d.location_id
"""

# The same of zones.
INSERT_DOUBTS = """
INSERT INTO promise_doubt (version_id, service_id, from_region, to_region, doubt, promises, kept, foretold)
SELECT %(version)s::int, d.service_id, d.origin, d.target, d.doubt, d.promises, d.kept, d.foretold
FROM unnest(%(services)s::int[], %(origins)s::text[], %(targets)s::text[], %(doubts)s::float8[], %(promises)s::int[],
            %(kept)s::int[], %(foretold)s::float8[])
     AS d (service_id, origin, target, doubt, promises, kept, foretold)
JOIN service s ON s.id = d.service_id
"""

# A handful of rows. Told apart so that a second withdrawal changes nothing.
WITHDRAW = """
UPDATE promise_days_version SET in_force = false WHERE in_force RETURNING since
"""

# One row, or none yet.
SAY = """
INSERT INTO promise_learning AS p (wanted) VALUES (%(wanted)s::boolean)
ON CONFLICT (one) DO UPDATE SET wanted = excluded.wanted, said_at = now()
"""

# Old versions are only for looking back.
DROP_OLD = """
DELETE FROM promise_days_version WHERE made_at < now() - make_interval(days => %(days)s::int)
"""
