"""Statements on lanes to places where orders are fetched. Private to `network.store_lanes`."""

# All that is stated of a place at once; its row is locked, so that two statements do not mix.
LOCK_PLACE = "SELECT version FROM location WHERE id = %(to_id)s::int FOR NO KEY UPDATE"
CLEAR = "DELETE FROM store_lane WHERE to_id = %(to_id)s::int"
ADD = """
INSERT INTO store_lane (to_id, from_id, days, price)
SELECT %(to_id)s::int, from_id, days, price
FROM unnest(%(origins)s::int[], %(days)s::smallint[], %(prices)s::int[]) AS w(from_id, days, price)
ORDER BY from_id
"""
MOVE_PLACE = "UPDATE location SET version = version + 1 WHERE id = %(to_id)s::int"
