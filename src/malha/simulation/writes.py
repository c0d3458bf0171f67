"""Statements that keep simulations. Private to simulation."""

ADD_SIMULATION = """
INSERT INTO simulation (id, name, since, until, channel, scenario, total, created_by, rules, rule_content, costs,
                        cost_content)
VALUES (%(id)s::uuid, %(name)s::text, %(since)s::date, %(until)s::date, %(channel)s::text, %(scenario)s::jsonb,
        %(total)s::bigint, %(by)s::text, %(rules)s::jsonb, %(rule_content)s::jsonb,
        %(costs)s::jsonb, %(cost_content)s::jsonb)
"""

# Only one that has not ended: a person may have stopped it, and then its worker ends with it.
KEEP_PACE = """
UPDATE simulation SET status = 'running', done = %(done)s::bigint
WHERE id = %(id)s::uuid AND status IN ('waiting', 'running') RETURNING true
"""

# As above; what came of it is told before it ends.
TELL_RESULT = """
UPDATE simulation SET status = 'running', done = total, result = %(result)s::jsonb
WHERE id = %(id)s::uuid AND status IN ('waiting', 'running') RETURNING true
"""

# Stopped after its result was told, it keeps that.
END_SIMULATION = """
UPDATE simulation SET status = %(status)s::text,
       result = CASE WHEN %(status)s::text = 'cancelled' THEN result ELSE %(result)s::jsonb END,
       problem = %(problem)s::text,
       done = CASE WHEN %(status)s::text = 'done' THEN total ELSE done END, finished_at = now()
WHERE id = %(id)s::uuid AND status IN ('waiting', 'running') RETURNING true
"""

# A run that is tried again tells them anew.
DROP_MOVED = "DELETE FROM simulation_order WHERE simulation_id = %(id)s::uuid"

# Its row was locked by `TELL_RESULT` in the same transaction: nobody else keeps orders of it.
KEEP_MOVED = """
INSERT INTO simulation_order (simulation_id, place, order_id, number, day, cost_before, cost_after, packages_before,
                              packages_after, unplaced_before, unplaced_after, from_before, from_after,
                              together_before, together_after, run, rule, rows, record)
SELECT %(id)s::uuid, r.place, r.order_id, r.number, r.day, r.cost_before, r.cost_after, r.packages_before,
       r.packages_after, r.unplaced_before, r.unplaced_after, r.from_before, r.from_after, r.together_before,
       r.together_after, r.run, r.rule, r.rows, t.record
FROM json_to_recordset(%(rows)s::json) AS r(
    place smallint, order_id uuid, number text, day date, cost_before bigint, cost_after bigint,
    packages_before integer, packages_after integer, unplaced_before integer, unplaced_after integer,
    from_before text[], from_after text[], together_before text, together_after text, run text,
    rule text, rows integer[])
JOIN unnest(%(records)s::json[]) WITH ORDINALITY AS t(record, place) ON t.place = r.place
"""

PROMOTED = """
UPDATE simulation SET promoted = %(number)s::int, promoted_at = now(), promoted_by = %(by)s::text, taken_back = NULL
WHERE id = %(id)s::uuid
"""

TAKEN_BACK = "UPDATE simulation SET taken_back = %(number)s::int WHERE id = %(id)s::uuid"

DROP_SIMULATION = "DELETE FROM simulation WHERE id = %(id)s::uuid"

# Two people at one simulation take turns.
LOCK_SIMULATION = "SELECT status FROM simulation WHERE id = %(id)s::uuid FOR UPDATE"

# Two people who start one at the same time are counted one after the other; two retailers of one server are not.
TAKE_TURNS = "SELECT pg_advisory_xact_lock(hashtextextended('simulations:' || current_schema(), 0))"

COUNT_OPEN = "SELECT count(*) FROM simulation WHERE status IN ('waiting', 'running')"

FORGET_OLD = "DELETE FROM simulation WHERE finished_at < now() - make_interval(days => %(days)s::int)"
