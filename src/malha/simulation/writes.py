"""Statements that keep simulations. Private to simulation."""

ADD_SIMULATION = """
INSERT INTO simulation (id, name, since, until, channel, scenario, total, created_by)
VALUES (%(id)s::uuid, %(name)s::text, %(since)s::date, %(until)s::date, %(channel)s::text, %(scenario)s::jsonb,
        %(total)s::bigint, %(by)s::text)
"""

# Only one that has not ended: a person may have stopped it, and then its worker ends with it.
KEEP_PACE = """
UPDATE simulation SET status = 'running', done = %(done)s::bigint
WHERE id = %(id)s::uuid AND status IN ('waiting', 'running') RETURNING true
"""

END_SIMULATION = """
UPDATE simulation SET status = %(status)s::text, result = %(result)s::jsonb, problem = %(problem)s::text,
       done = CASE WHEN %(status)s::text = 'done' THEN total ELSE done END, finished_at = now()
WHERE id = %(id)s::uuid AND status IN ('waiting', 'running') RETURNING true
"""

DROP_SIMULATION = "DELETE FROM simulation WHERE id = %(id)s::uuid"

# Two people at one simulation take turns.
LOCK_SIMULATION = "SELECT status FROM simulation WHERE id = %(id)s::uuid FOR UPDATE"

# Two people who start one at the same time are counted one after the other; two retailers of one server are not.
TAKE_TURNS = "SELECT pg_advisory_xact_lock(hashtextextended('simulations:' || current_schema(), 0))"

COUNT_OPEN = "SELECT count(*) FROM simulation WHERE status IN ('waiting', 'running')"

FORGET_OLD = "DELETE FROM simulation WHERE finished_at < now() - make_interval(days => %(days)s::int)"
