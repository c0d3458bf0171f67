"""Statements that record many refunds together. Private to `payments.giving_back`.

Lock order: an order of a batch, the order itself with its payments, the batch.
"""

from typing import LiteralString

from malha.payments.reads import DUE
from malha.platform.piecework import Statements

ADD_BATCH = """
INSERT INTO refund_batch (id, reference, sought, actor, person)
VALUES (%(id)s::uuid, %(reference)s::text, %(sought)s::text, %(actor)s::text, %(person)s::text)
"""
# In the order of ids, as another one would: who is second waits for the first, and takes what that one has not.
ADD_ORDERS: LiteralString = f"""
INSERT INTO refund_batch_order (batch_id, order_id, due)
SELECT %(id)s::uuid, p.order_id, p.refund_due
{DUE}
ORDER BY p.order_id
ON CONFLICT (order_id) WHERE outcome IS NULL DO NOTHING
"""
COUNT_ORDERS = """
UPDATE refund_batch SET orders = %(orders)s::int WHERE id = %(id)s::uuid RETURNING number
"""
# The next one, by the primary key. Who holds it is waited for, be it another worker or a person who stops it all.
TAKE = """
SELECT order_id, due FROM refund_batch_order
WHERE batch_id = %(id)s::uuid AND outcome IS NULL ORDER BY order_id DESC LIMIT 1 FOR NO KEY UPDATE
"""
# Once: who finds an outcome counts nothing.
END_ORDER = """
WITH ended AS (
    UPDATE refund_batch_order SET outcome = %(outcome)s::text, why = %(why)s::jsonb
    WHERE batch_id = %(id)s::uuid AND order_id = %(order_id)s::uuid AND outcome IS NULL
    RETURNING outcome
)
UPDATE refund_batch b
SET recorded = b.recorded + (e.outcome = 'recorded')::int, refused = b.refused + (e.outcome = 'refused')::int
FROM ended e WHERE b.id = %(id)s::uuid
"""
END_BATCH = """
UPDATE refund_batch b SET state = 'done', ended_at = now()
WHERE id = %(id)s::uuid AND state = 'going'
  AND NOT EXISTS (SELECT FROM refund_batch_order o WHERE o.batch_id = b.id AND o.outcome IS NULL)
"""
GOING = """
SELECT state = 'going' FROM refund_batch WHERE id = %(id)s::uuid
"""
ORDERS = Statements(take=TAKE, end_order=END_ORDER, end=END_BATCH, going=GOING, done="recorded")
# What waits stays due. From the other end than it is taken: it waits for the one at hand and no other, not behind the
# worker order by order. Before the batch, as where one of them ends.
LEAVE_ORDERS = """
UPDATE refund_batch_order o SET outcome = 'left'
FROM (SELECT order_id FROM refund_batch_order WHERE batch_id = %(id)s::uuid AND outcome IS NULL
      ORDER BY order_id FOR NO KEY UPDATE) w
WHERE o.batch_id = %(id)s::uuid AND o.order_id = w.order_id
"""
STOP_BATCH = """
UPDATE refund_batch SET state = 'stopped', ended_at = now() WHERE id = %(id)s::uuid AND state = 'going' RETURNING number
"""
