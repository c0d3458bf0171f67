"""Statements that write the field rules of connections. Private to `channels.connecting`."""

# The primary key decides between two people who save at once. `former` is the version that was read.
PUT_RULES = """
INSERT INTO order_field_rules (connection_id, version, rules, made_by)
SELECT %(connection_id)s::int, %(former)s::int + 1, %(rules)s::json, %(made_by)s::text
WHERE %(former)s::int = coalesce((SELECT max(version) FROM order_field_rules
                                  WHERE connection_id = %(connection_id)s::int), 0)
ON CONFLICT DO NOTHING RETURNING version
"""
