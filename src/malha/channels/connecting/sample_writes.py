"""Statements that write how connections do over time. Private to `channels.connecting`."""

# What ended since is found by the index on it, what did not by the partial indexes on what waits and is stuck; what
# came since is among these. In the order of the key: two workers that sample at once wait for one another.
SAMPLE = """
WITH told_since AS (
    SELECT connection_id, received_at, done_at FROM channel_inbox
    WHERE state IN ('done', 'stale', 'dropped') AND done_at >= %(since)s::timestamptz
    UNION ALL
    SELECT connection_id, received_at, NULL FROM channel_inbox WHERE state = 'waiting'
    UNION ALL
    SELECT connection_id, received_at, NULL FROM channel_inbox WHERE state IN ('unmapped', 'parked')
), came AS (
    SELECT connection_id, date_bin('5 minutes', received_at, 'epoch') AS slot, count(*) AS n FROM told_since
    WHERE received_at >= %(since)s::timestamptz GROUP BY 1, 2
), ended AS (
    SELECT connection_id, date_bin('5 minutes', done_at, 'epoch') AS slot, count(*) AS n FROM told_since
    WHERE done_at IS NOT NULL GROUP BY 1, 2
), told AS (
    SELECT connection_id, date_bin('5 minutes', done_at, 'epoch') AS slot, count(*) AS n FROM channel_op
    WHERE state = 'done' AND done_at >= %(since)s::timestamptz
    GROUP BY 1, 2
), wait_in AS (
    SELECT connection_id, count(*) AS n, min(received_at) AS oldest FROM channel_inbox
    WHERE state = 'waiting' GROUP BY 1
), wait_out AS (
    SELECT connection_id, count(*) AS n, min(created_at) AS oldest FROM channel_op WHERE state = 'waiting' GROUP BY 1
), stuck AS (
    SELECT connection_id, jsonb_object_agg(key, n) AS causes FROM (
        SELECT connection_id, 'in:' || coalesce(cause, 'unmapped') AS key, count(*) AS n FROM channel_inbox
        WHERE state IN ('unmapped', 'parked') GROUP BY 1, 2
        UNION ALL
        SELECT connection_id, 'out:' || coalesce(cause, ''), count(*) FROM channel_op WHERE state = 'dead' GROUP BY 1, 2
    ) x GROUP BY 1
)
INSERT INTO connection_sample AS s (connection_id, slot, came, ended, told, waiting_in, waiting_out, lag_in_s,
                                    lag_out_s, stuck, calls, failures, budget)
SELECT c.id, w.slot, coalesce(came.n, 0), coalesce(ended.n, 0), coalesce(told.n, 0),
       CASE WHEN w.now THEN coalesce(i.n, 0) END, CASE WHEN w.now THEN coalesce(o.n, 0) END,
       CASE WHEN w.now THEN coalesce(extract(epoch FROM now() - i.oldest)::int, 0) END,
       CASE WHEN w.now THEN coalesce(extract(epoch FROM now() - o.oldest)::int, 0) END,
       CASE WHEN w.now THEN coalesce(stuck.causes, '{}') ELSE '{}' END,
       CASE WHEN w.now THEN p.calls END, CASE WHEN w.now THEN p.failures END, CASE WHEN w.now THEN b.budget END
FROM connection c
CROSS JOIN (SELECT g AS slot, g = %(slot)s::timestamptz AS now
            FROM generate_series(%(since)s::timestamptz, %(slot)s::timestamptz, interval '5 minutes') AS g) w
JOIN connection_pace p ON p.connection_id = c.id
LEFT JOIN unnest(%(connections)s::int[], %(budgets)s::int[]) AS b(id, budget) ON b.id = c.id
LEFT JOIN came ON came.connection_id = c.id AND came.slot = w.slot
LEFT JOIN ended ON ended.connection_id = c.id AND ended.slot = w.slot
LEFT JOIN told ON told.connection_id = c.id AND told.slot = w.slot
LEFT JOIN wait_in i ON i.connection_id = c.id
LEFT JOIN wait_out o ON o.connection_id = c.id
LEFT JOIN stuck ON stuck.connection_id = c.id
WHERE w.slot > c.created_at - interval '5 minutes'
ORDER BY c.id, w.slot
ON CONFLICT (connection_id, slot) DO UPDATE SET came = greatest(s.came, excluded.came),
    ended = greatest(s.ended, excluded.ended), told = greatest(s.told, excluded.told),
    waiting_in = greatest(s.waiting_in, excluded.waiting_in),
    waiting_out = greatest(s.waiting_out, excluded.waiting_out),
    lag_in_s = greatest(s.lag_in_s, excluded.lag_in_s), lag_out_s = greatest(s.lag_out_s, excluded.lag_out_s),
    stuck = CASE WHEN excluded.waiting_in IS NULL THEN s.stuck ELSE excluded.stuck END,
    calls = coalesce(excluded.calls, s.calls), failures = coalesce(excluded.failures, s.failures),
    budget = least(s.budget, excluded.budget)
"""
FORGET_SAMPLES = """
DELETE FROM connection_sample WHERE (connection_id, slot) IN (
    SELECT s.connection_id, s.slot FROM connection c JOIN connection_sample s ON s.connection_id = c.id
    WHERE s.slot < now() - interval '14 days' LIMIT %(most)s::int)
"""
