"""Statements that keep waves. Private to routing."""

# One row; its id is the wave.
BEGIN_WAVE = """
INSERT INTO routing_wave DEFAULT VALUES RETURNING id
"""

# By primary key.
END_WAVE = """
UPDATE routing_wave
SET ended_at = clock_timestamp(), orders = %(orders)s::int, proposed = %(proposed)s::int, moved = %(moved)s::int,
    saved = %(saved)s::bigint, bound_gap = %(bound_gap)s::float8, seconds = %(seconds)s::float8,
    failure = %(failure)s::text
WHERE id = %(wave)s::int
"""

# A few rows an hour; moves stay with their orders.
DROP_OLD_WAVES = """
DELETE FROM routing_wave WHERE began_at < now() - make_interval(days => %(days)s::int)
"""

# Their orders are locked; the primary key refuses a second move.
INSERT_MOVES = """
INSERT INTO routing_move (order_id, wave_id, attempt, saved)
SELECT m.order_id, %(wave)s::int, m.attempt, m.saved
FROM unnest(%(orders)s::uuid[], %(attempts)s::smallint[], %(saved)s::bigint[]) AS m (order_id, attempt, saved)
"""
