"""What subscribers write about orders from the log, against the orders themselves.

An order counts its events, and the log's keys name them. What is still to be handled (in the outbox, after the
subscriber's checkpoint, or waiting for a person) is not missing yet. Nothing here needs the log for longer than that,
so events of partitions that were dropped long ago count too. Private to `doctor`.
"""

# As many rows as the order has events; by the primary key alone, in its order.
TIMELINE_LACKS = """
WITH reach AS (
    SELECT coalesce((SELECT position FROM subscriber WHERE name = 'order_timeline'), 0) AS position
), coming AS (
    SELECT key, count(*) AS events FROM (
        SELECT key, seq FROM outbox WHERE starts_with(key, 'order:')
        UNION
        SELECT e.key, e.seq FROM event e
        WHERE e.position > (SELECT position FROM reach) AND starts_with(e.key, 'order:')
        UNION
        SELECT key, seq FROM parked_event WHERE subscriber = 'order_timeline' AND starts_with(key, 'order:')
    ) e GROUP BY key
), told AS (
    SELECT order_id, count(*) AS events FROM order_timeline GROUP BY order_id
)
SELECT o.number, o.seq - coalesce(c.events, 0) AS events, coalesce(t.events, 0) AS told, count(*) OVER () AS total
FROM sales_order o LEFT JOIN told t ON t.order_id = o.id LEFT JOIN coming c ON c.key = 'order:' || o.id
WHERE coalesce(t.events, 0) + coalesce(c.events, 0) < o.seq
ORDER BY o.number
LIMIT %(cap)s::int
"""
# Every order is found from its first event on.
SEARCH_LACKS = """
WITH reach AS (
    SELECT coalesce((SELECT position FROM subscriber WHERE name = 'order_search'), 0) AS position
), coming AS (
    SELECT key FROM outbox WHERE type = 'order.placed'
    UNION
    SELECT e.key FROM event e WHERE e.position > (SELECT position FROM reach) AND e.type = 'order.placed'
    UNION
    SELECT key FROM parked_event WHERE subscriber = 'order_search' AND type = 'order.placed'
)
SELECT o.number, count(*) OVER () AS total
FROM sales_order o
WHERE NOT EXISTS (SELECT FROM order_search s WHERE s.order_id = o.id)
  AND NOT EXISTS (SELECT FROM coming c WHERE c.key = 'order:' || o.id)
ORDER BY o.number
LIMIT %(cap)s::int
"""
