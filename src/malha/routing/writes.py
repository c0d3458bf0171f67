"""Statements that keep decisions and exclusions. Private to routing."""

# Plain insert of immutable rows; the primary key refuses a second decision of the same attempt.
INSERT_DECISIONS = """
INSERT INTO routing_decision (order_id, attempt, cost, record, promise, asked)
SELECT * FROM unnest(%(orders)s::uuid[], %(attempts)s::smallint[], %(costs)s::bigint[], %(records)s::json[],
                     %(promises)s::json[], %(asked)s::json[])
"""

# The same with the rule set that decided, where one did.
INSERT_RULED_DECISIONS = """
INSERT INTO routing_decision (order_id, attempt, cost, record, promise, asked, rule_set)
SELECT * FROM unnest(%(orders)s::uuid[], %(attempts)s::smallint[], %(costs)s::bigint[], %(records)s::json[],
                     %(promises)s::json[], %(asked)s::json[], %(rule_sets)s::int[])
"""

# Excluding again tells the newest reason. Rows come sorted by key, so that two callers cannot deadlock.
INSERT_EXCLUSIONS = """
INSERT INTO routing_exclusion (order_id, line, location_id, reason)
SELECT * FROM unnest(%(orders)s::uuid[], %(lines)s::smallint[], %(locations)s::int[], %(reasons)s::text[])
ON CONFLICT (order_id, line, location_id) DO UPDATE SET reason = excluded.reason, at = now()
"""
