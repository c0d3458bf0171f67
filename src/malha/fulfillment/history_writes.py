"""Statements of `fulfillment.history`. Private to it."""

_TIMES = """
unnest(%(id)s::uuid[], %(released_at)s::timestamptz[], %(accepted_at)s::timestamptz[], %(picked_at)s::timestamptz[],
       %(packed_at)s::timestamptz[], %(left_at)s::timestamptz[], %(arrived_at)s::timestamptz[],
       %(pickup_until)s::timestamptz[])
    AS w(id, released_at, accepted_at, picked_at, packed_at, left_at, arrived_at, pickup_until)
"""

# By primary key; a step that was not taken keeps its empty instant.
RESTATE_WORK = f"""
UPDATE fulfillment_order f
SET released_at = w.released_at,
    accepted_at = CASE WHEN f.accepted_at IS NOT NULL THEN w.accepted_at END,
    picked_at = CASE WHEN f.picked_at IS NOT NULL THEN w.picked_at END,
    packed_at = CASE WHEN f.packed_at IS NOT NULL THEN w.packed_at END,
    closed_at = CASE WHEN f.closed_at IS NOT NULL THEN coalesce(w.left_at, f.closed_at) END,
    pickup_until = CASE WHEN f.pickup_until IS NOT NULL THEN w.pickup_until END,
    pickup_remind_at = CASE WHEN f.pickup_until IS NOT NULL THEN w.pickup_until - interval '2 days' END
FROM {_TIMES}
WHERE f.id = w.id
"""

# By the index on fulfillment_id.
RESTATE_SHIPMENTS = f"""
UPDATE shipment s
SET shipped_at = CASE WHEN s.shipped_at IS NOT NULL THEN coalesce(w.left_at, s.shipped_at) END,
    delivered_at = CASE WHEN s.delivered_at IS NOT NULL THEN coalesce(w.arrived_at, s.delivered_at) END
FROM {_TIMES}
WHERE s.fulfillment_id = w.id
"""
