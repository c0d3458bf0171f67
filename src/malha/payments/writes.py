"""Statements that record payments.

Private to `payments`. The order's row is locked by the caller, except for new orders.
"""

ADD_TENDERS = """
INSERT INTO tender (id, order_id, position, kind, currency, amount, reference, installments, expires_at)
SELECT w.id, w.order_id, w.position, w.kind, o.currency, w.amount, w.reference, w.installments, w.expires_at
FROM unnest(%(ids)s::uuid[], %(orders)s::uuid[], %(positions)s::smallint[], %(kinds)s::text[], %(amounts)s::bigint[],
            %(references)s::text[], %(installments)s::smallint[], %(expiries)s::timestamptz[])
     AS w(id, order_id, position, kind, amount, reference, installments, expires_at)
JOIN sales_order o ON o.id = w.order_id
"""

# The ledger, append only. The unique index on the natural key is the last word on "once".
ADD_ENTRIES = """
INSERT INTO payment_entry (id, tender_id, kind, amount, reference, occurred_at, actor, favour)
SELECT w.id, w.tender_id, w.kind, w.amount, w.reference, coalesce(w.occurred_at, now()), %(actor)s::text,
       %(favour)s::boolean
FROM unnest(%(ids)s::uuid[], %(tenders)s::uuid[], %(kinds)s::text[], %(amounts)s::bigint[], %(references)s::text[],
            %(times)s::timestamptz[]) AS w(id, tender_id, kind, amount, reference, occurred_at)
"""

# Sums move by differences, in the transaction of the entries that moved them; the state is derived by the caller.
MOVE_SUMS = """
INSERT INTO order_payment (order_id, state, authorised, captured, refunded, voided, charged_back, favour)
SELECT * FROM unnest(%(orders)s::uuid[], %(states)s::text[], %(authorised)s::bigint[], %(captured)s::bigint[],
                     %(refunded)s::bigint[], %(voided)s::bigint[], %(charged_back)s::bigint[], %(favour)s::bigint[])
ON CONFLICT (order_id) DO UPDATE
SET state = excluded.state, authorised = order_payment.authorised + excluded.authorised,
    captured = order_payment.captured + excluded.captured, refunded = order_payment.refunded + excluded.refunded,
    voided = order_payment.voided + excluded.voided,
    charged_back = order_payment.charged_back + excluded.charged_back, favour = order_payment.favour + excluded.favour
"""

# `rules.refund_due`, by primary keys, under the orders' locks; an order of which it stays what it was is not written.
MARK_REFUND_DUE = """
UPDATE order_payment p
SET refund_due = greatest(
    p.captured - p.refunded - p.charged_back - greatest(o.total - o.cancelled_total - p.favour, 0), 0)
FROM sales_order o
WHERE p.order_id = ANY (%(orders)s::uuid[]) AND o.id = p.order_id
  AND p.refund_due
   <> greatest(p.captured - p.refunded - p.charged_back - greatest(o.total - o.cancelled_total - p.favour, 0), 0)
"""

# A few rows per order, by the unique index on (order_id, position). Read under the order's lock.
TENDERS_OF = """
SELECT t.order_id, t.id, t.position, t.kind, t.amount,
       coalesce(sum(e.amount) FILTER (WHERE e.kind = 'authorised'), 0)::bigint,
       coalesce(sum(e.amount) FILTER (WHERE e.kind = 'captured'), 0)::bigint,
       coalesce(sum(e.amount) FILTER (WHERE e.kind = 'refunded'), 0)::bigint,
       coalesce(sum(e.amount) FILTER (WHERE e.kind = 'voided'), 0)::bigint,
       coalesce(sum(e.amount) FILTER (WHERE e.kind = 'charged_back'), 0)::bigint,
       coalesce(sum(e.amount) FILTER (WHERE e.kind = 'refunded' AND e.favour), 0)::bigint,
       coalesce((array_agg(e.kind ORDER BY e.occurred_at DESC, e.recorded_at DESC, e.id DESC))[1] = 'declined', false)
FROM tender t LEFT JOIN payment_entry e ON e.tender_id = t.id
WHERE t.order_id = ANY (%(orders)s::uuid[])
GROUP BY t.id ORDER BY t.order_id, t.position
"""

# The first of an order's few under a reference: older ones, and those that came with the order, may share it.
FIND_TENDER = """
SELECT position, amount FROM tender
WHERE order_id = %(order_id)s::uuid AND kind = %(kind)s::text AND btrim(reference) = %(reference)s::text
ORDER BY position LIMIT 1
"""

# Who is second waits for the first one's end, and finds in the next statement whose it is. In the order of references.
CLAIM_PAYMENTS = """
INSERT INTO payment_claim (reference, order_id)
SELECT w.reference, w.order_id FROM unnest(%(references)s::text[], %(orders)s::uuid[]) AS w(reference, order_id)
ORDER BY w.reference
ON CONFLICT (reference) DO NOTHING
RETURNING reference
"""

# When claims began to be written, unless that is so long ago that no program from before it runs any more.
CLAIMS_SINCE = """
SELECT applied_at FROM migration WHERE number = 184 AND applied_at > now() - %(beside)s::interval
"""
# Entries in the order in which they were recorded: their ids are times. The primary key, a bounded piece of it.
ENTRIES_UP_TO = """
SELECT max(id::text)::uuid FROM (SELECT id FROM payment_entry WHERE id > %(after)s::uuid
                                 ORDER BY id LIMIT %(limit)s::int) e
"""
UNCLAIMED = """
SELECT t.kind, e.reference, t.order_id FROM payment_entry e JOIN tender t ON t.id = e.tender_id
WHERE e.id > %(after)s::uuid AND e.id <= %(last)s::uuid AND e.kind IN ('authorised', 'captured')
  AND NOT EXISTS (SELECT FROM payment_claim c WHERE c.reference = upper(btrim(e.reference)))
ORDER BY e.id
"""

# With the channel of the order.
CLAIMED_BY = """
SELECT c.reference, c.order_id, o.channel_id FROM payment_claim c JOIN sales_order o ON o.id = c.order_id
WHERE c.reference = ANY (%(references)s::text[])
"""

# A tender has a few. Older ones may have spaces around their reference.
FIND_ENTRY = """
SELECT amount, favour FROM payment_entry
WHERE tender_id = %(tender_id)s::uuid AND kind = %(kind)s::text AND btrim(reference) = %(reference)s::text
ORDER BY id LIMIT 1
"""
