"""Statements that keep drafts beside the live network. Private to simulation."""

ADD_SHADOW = """
INSERT INTO shadow (id, name, scenario, position, until, created_by, rules, rule_content, costs,
                    cost_content)
SELECT %(id)s::uuid, %(name)s::text, %(scenario)s::jsonb, q.position, now() + make_interval(days => %(days)s::int),
       %(by)s::text, %(rules)s::jsonb, %(rule_content)s::jsonb, %(costs)s::jsonb, %(cost_content)s::jsonb
FROM sequencer q
"""
# Two people who start one at the same time are counted one after the other; two retailers of one server are not.
TAKE_TURNS = "SELECT pg_advisory_xact_lock(hashtextextended('shadows:' || current_schema(), 0))"
COUNT_RUNNING = "SELECT count(*) FROM shadow WHERE status = 'running'"
LOCK_SHADOW = "SELECT status FROM shadow WHERE id = %(id)s::uuid FOR UPDATE"
# Another worker that has it in hand goes on with it.
TAKE_SHADOW = """
SELECT position, result::text AS result, until <= now() AS over FROM shadow
WHERE id = %(id)s::uuid AND status = 'running' FOR UPDATE SKIP LOCKED
"""
KEEP = """
UPDATE shadow SET position = %(position)s::bigint, seen_at = coalesce(%(seen_at)s::timestamptz, seen_at),
       decided = decided + %(decided)s::bigint, passed_over = passed_over + %(passed_over)s::bigint,
       result = coalesce(%(result)s::jsonb, result)
WHERE id = %(id)s::uuid
"""
END = """
UPDATE shadow SET status = %(status)s::text, problem = %(problem)s::text, ended_at = now()
WHERE id = %(id)s::uuid AND status = 'running' RETURNING true
"""
PROMOTED = """
UPDATE shadow SET promoted = %(number)s::int, promoted_at = now(), promoted_by = %(by)s::text, taken_back = NULL
WHERE id = %(id)s::uuid
"""
TAKEN_BACK = "UPDATE shadow SET taken_back = %(number)s::int WHERE id = %(id)s::uuid"
# New rows of orders that were never seen before; the same piece again, after a kill, changes nothing.
ADD_ORDERS = """
INSERT INTO shadow_order (shadow_id, order_id, position, number, day, cost_live, cost_shadow, packages_live,
                          packages_shadow, days_live, days_shadow, locations_live, locations_shadow, differs, shifts)
SELECT %(id)s::uuid, r.order_id, r.position, r.number, r.day, r.cost_live, r.cost_shadow, r.packages_live,
       r.packages_shadow, r.days_live, r.days_shadow, r.locations_live, r.locations_shadow, r.differs, r.shifts
FROM jsonb_to_recordset(%(rows)s::jsonb) AS r(
    order_id uuid, position bigint, number bigint, day date, cost_live bigint, cost_shadow bigint,
    packages_live smallint, packages_shadow smallint, days_live smallint, days_shadow smallint,
    locations_live text[], locations_shadow text[], differs boolean, shifts jsonb)
ON CONFLICT (shadow_id, order_id) DO NOTHING
"""
DROP_SHADOW = "DELETE FROM shadow WHERE id = %(id)s::uuid"
FORGET_OLD = "DELETE FROM shadow WHERE ended_at < now() - make_interval(days => %(days)s::int)"
