"""Statements of bulk actions. Private to `fulfillment.bulk`.

Lock order: an order of an action, the order itself with all it has, the action.
"""

from malha.platform.piecework import Statements

# By the partial index on what is not begun; its orders go with it.
DROP_READY = """
DELETE FROM bulk_action WHERE actor = %(actor)s::text AND state = 'ready'
"""
ADD_ACTION = """
INSERT INTO bulk_action (id, act, wish, sought, orders, actor, person)
VALUES (%(id)s::uuid, %(act)s::text, %(wish)s::jsonb, %(sought)s::text, %(orders)s::int, %(actor)s::text,
        %(person)s::text)
RETURNING number
"""
ADD_ORDERS = """
INSERT INTO bulk_action_order (action_id, order_id, seq)
SELECT %(id)s::uuid, o.id, o.seq FROM sales_order o WHERE o.id = ANY (%(orders)s::uuid[]) ORDER BY o.id
"""
BEGIN = """
UPDATE bulk_action SET state = 'going', begun_at = now() WHERE id = %(id)s::uuid AND state = 'ready' RETURNING number
"""
# The next one, by the partial index of those that wait. Who holds it is waited for, be it another worker or a person
# who stops it all.
TAKE = """
SELECT order_id, seq FROM bulk_action_order
WHERE action_id = %(id)s::uuid AND outcome IS NULL ORDER BY order_id DESC LIMIT 1 FOR NO KEY UPDATE
"""
# Once: who finds an outcome counts nothing.
END_ORDER = """
WITH ended AS (
    UPDATE bulk_action_order SET outcome = %(outcome)s::text, why = %(why)s::jsonb
    WHERE action_id = %(id)s::uuid AND order_id = %(order_id)s::uuid AND outcome IS NULL
    RETURNING outcome
)
UPDATE bulk_action b
SET done = b.done + (e.outcome = 'done')::int, refused = b.refused + (e.outcome = 'refused')::int
FROM ended e WHERE b.id = %(id)s::uuid
"""
END_ACTION = """
UPDATE bulk_action b SET state = 'done', ended_at = now()
WHERE id = %(id)s::uuid AND state = 'going'
  AND NOT EXISTS (SELECT FROM bulk_action_order o WHERE o.action_id = b.id AND o.outcome IS NULL)
"""
GOING = """
SELECT state = 'going' FROM bulk_action WHERE id = %(id)s::uuid
"""
ORDERS = Statements(take=TAKE, end_order=END_ORDER, end=END_ACTION, going=GOING, done="done")
# From the other end than they are taken: it waits for the one at hand and no other, not behind the worker order by
# order. Before the action, as where one of them ends.
LEAVE_ORDERS = """
UPDATE bulk_action_order o SET outcome = 'left'
FROM (SELECT order_id FROM bulk_action_order WHERE action_id = %(id)s::uuid AND outcome IS NULL
      ORDER BY order_id FOR NO KEY UPDATE) w
WHERE o.action_id = %(id)s::uuid AND o.order_id = w.order_id
"""
STOP_ACTION = """
UPDATE bulk_action SET state = 'stopped', ended_at = now() WHERE id = %(id)s::uuid AND state = 'going' RETURNING number
"""
