"""Statements of payment deadlines and terms. Private to `payments.deadlines`."""

from typing import LiteralString

TERMS = """
SELECT tender, minutes, clearing_days, grace_minutes, keep_days, channel_id, id, version FROM payment_term
ORDER BY channel_id NULLS FIRST, tender
"""

# An order was paid in full, and we have something of that still: a part was given back. It waits for no money; a person
# decides. Primary keys, of the few that have a payment hold `h`.
_PAID_ONCE: LiteralString = """EXISTS (
    SELECT FROM order_payment p JOIN sales_order o ON o.id = p.order_id
    WHERE p.order_id = h.order_id AND p.captured > p.refunded + p.charged_back
      AND p.captured >= o.total - o.cancelled_total)"""

# Orders of events between two positions that wait for money: the primary key range of the log, then one look per order
# at its open holds. Where locations work on all of it, no stock is to be let go: its money was taken back, and a person
# decides. What intake wrote says in its event whether it waits for money; nearly all do not.
UNPAID_OF_STRETCH: LiteralString = f"""
SELECT DISTINCT h.order_id
FROM (SELECT substr(key, 7)::uuid AS id FROM event
      WHERE position > %(since)s::bigint AND position <= %(reach)s::bigint AND type = ANY (%(types)s::text[])
        AND (type <> 'order.placed' OR strpos(payload::text, '"payment"') > 0)) AS meant
JOIN order_hold h ON h.order_id = meant.id AND h.kind = 'payment' AND h.resolved_at IS NULL
WHERE EXISTS (SELECT FROM order_unit u WHERE u.order_id = h.order_id AND u.state = ANY (%(untouched)s::text[]))
  AND NOT {_PAID_ONCE}
"""
UNPAID_OF: LiteralString = f"""
SELECT DISTINCT h.order_id FROM order_hold h
WHERE h.order_id = ANY (%(orders)s::uuid[]) AND h.kind = 'payment' AND h.resolved_at IS NULL
  AND EXISTS (SELECT FROM order_unit u WHERE u.order_id = h.order_id AND u.state = ANY (%(untouched)s::text[]))
  AND NOT {_PAID_ONCE}
"""

# What a deadline is worked out from. A tender that was declined, captured, authorised or voided is not awaited.
FACTS = """
SELECT o.id, o.channel_id, h.placed_at,
       coalesce((SELECT jsonb_agg(jsonb_build_object('kind', t.kind, 'created_at', t.created_at,
                                                     'expires_at', t.expires_at) ORDER BY t.position)
                 FROM tender t
                 WHERE t.order_id = o.id AND NOT EXISTS (SELECT FROM payment_entry e WHERE e.tender_id = t.id)),
                '[]'::jsonb)::text
FROM sales_order o
JOIN order_hold h ON h.order_id = o.id AND h.kind = 'payment' AND h.resolved_at IS NULL
WHERE o.id = ANY (%(orders)s::uuid[])
"""

# A deadline that passed or that somebody set is left alone; a new tender moves one that stands, later only.
PUT_DEADLINES = """
INSERT INTO payment_deadline (order_id, due_at, tender, keep_days)
SELECT * FROM unnest(%(orders)s::uuid[], %(dues)s::timestamptz[], %(tenders)s::text[], %(days)s::smallint[])
ON CONFLICT (order_id) DO UPDATE
SET due_at = excluded.due_at, tender = excluded.tender, keep_days = excluded.keep_days, settled_at = NULL,
    lapsed_at = NULL, cancel_at = NULL, extended_by = NULL
WHERE payment_deadline.settled_at IS NOT NULL
   OR (payment_deadline.lapsed_at IS NULL AND payment_deadline.due_at < excluded.due_at)
"""

# Orders whose payment hold is gone, or that were paid, have nothing to wait for. Primary keys.
SETTLE: LiteralString = f"""
UPDATE payment_deadline d SET settled_at = now()
WHERE d.order_id = ANY (%(orders)s::uuid[]) AND d.settled_at IS NULL
  AND NOT EXISTS (SELECT FROM order_hold h
                  WHERE h.order_id = d.order_id AND h.kind = 'payment' AND h.resolved_at IS NULL AND NOT {_PAID_ONCE})
"""
SETTLE_STRETCH: LiteralString = f"""
UPDATE payment_deadline d SET settled_at = now()
FROM (SELECT DISTINCT substr(key, 7)::uuid AS id FROM event
      WHERE position > %(since)s::bigint AND position <= %(reach)s::bigint
        AND type IN ('order.hold_resolved', 'order.cancelled')) AS meant
WHERE d.order_id = meant.id AND d.settled_at IS NULL
  AND NOT EXISTS (SELECT FROM order_hold h
                  WHERE h.order_id = d.order_id AND h.kind = 'payment' AND h.resolved_at IS NULL AND NOT {_PAID_ONCE})
"""

# The oldest first; nothing is locked. Partial indexes on what is still open.
DUE = """
SELECT order_id FROM payment_deadline
WHERE settled_at IS NULL AND lapsed_at IS NULL AND due_at <= clock_timestamp()
ORDER BY due_at LIMIT %(limit)s::int
"""
DUE_TO_CANCEL = """
SELECT order_id FROM payment_deadline
WHERE settled_at IS NULL AND lapsed_at IS NOT NULL AND cancel_at <= clock_timestamp()
ORDER BY cancel_at LIMIT %(limit)s::int
"""
# The orders are locked: what is due now stays so until this transaction ends. Money that came lifted the hold.
LAPSE = """
UPDATE payment_deadline d SET lapsed_at = now(), cancel_at = now() + make_interval(days => d.keep_days)
WHERE d.order_id = ANY (%(orders)s::uuid[]) AND d.settled_at IS NULL AND d.lapsed_at IS NULL
  AND d.due_at <= clock_timestamp()
  AND EXISTS (SELECT FROM order_hold h
              WHERE h.order_id = d.order_id AND h.kind = 'payment' AND h.resolved_at IS NULL)
RETURNING d.order_id, d.keep_days
"""
END = """
UPDATE payment_deadline d SET settled_at = now()
WHERE d.order_id = ANY (%(orders)s::uuid[]) AND d.settled_at IS NULL AND d.lapsed_at IS NOT NULL
  AND d.cancel_at <= clock_timestamp()
  AND EXISTS (SELECT FROM order_hold h
              WHERE h.order_id = d.order_id AND h.kind = 'payment' AND h.resolved_at IS NULL)
RETURNING d.order_id
"""

# Under the order's lock. Never earlier than it was; a lapsed order gets its place back by who hears of it.
EXTEND = """
INSERT INTO payment_deadline (order_id, due_at, tender, keep_days, extended_by)
VALUES (%(order_id)s::uuid, %(until)s::timestamptz, %(tender)s::text, %(days)s::smallint, %(actor)s::text)
ON CONFLICT (order_id) DO UPDATE
SET due_at = greatest(payment_deadline.due_at, excluded.due_at), extended_by = excluded.extended_by,
    lapsed_at = NULL, cancel_at = NULL, settled_at = NULL
RETURNING due_at
"""

PUT_TERM = """
INSERT INTO payment_term (channel_id, tender, minutes, clearing_days, grace_minutes, keep_days)
VALUES (%(channel_id)s::int, %(tender)s::text, %(minutes)s::int, %(clearing_days)s::smallint, %(grace_minutes)s::int,
        %(keep_days)s::smallint)
ON CONFLICT (channel_id, tender) DO UPDATE
SET minutes = excluded.minutes, clearing_days = excluded.clearing_days, grace_minutes = excluded.grace_minutes,
    keep_days = excluded.keep_days, version = payment_term.version + 1
WHERE payment_term.version = %(version)s::int
RETURNING id
"""
DROP_TERM = """
DELETE FROM payment_term
WHERE id = %(id)s::int AND version = %(version)s::int AND NOT (channel_id IS NULL AND tender = '*')
RETURNING id
"""
