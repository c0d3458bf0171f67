"""Statements that write what became of promises. Private to fulfillment."""

# What counts as promised first: what was, before anything else was. What a customer paid too late for was never ours to
# keep: then what was promised when the money came.
_FIRST = "CASE WHEN reason = 'paid_late' THEN promised_at ELSE coalesce(former_at, promised_at) END"
_FIRST_BY = "CASE WHEN reason = 'paid_late' THEN made_at END DESC NULLS LAST, made_at, id"

# One statement for a stretch of orders: rows of work that is no longer theirs go, the others are as the work stands
# now. Everything is found by the order (primary key and indexes on the order's id). An order that is past its day
# without any work has a row of its own. When a pickup was ready is only in the events: the earliest is kept. With what
# chance a promise was made is in the first decision, for the parcel that decides its day. Where lines are promised for
# several days, work is measured by those it has, the last of them: not by the day of what went before, or comes later.
# Parcels leave together; one that did not was emptied by a cancel.
_STORE = f"""
, works AS (
    SELECT f.id AS work_id, o.id AS order_id, o.channel_id, f.location_id, f.method, f.service_id,
           l.state AS from_state, CASE WHEN f.method = 'ship' THEN o.ship_state END AS to_state, o.placed_at,
           coalesce(own.first_at, first.promised_at, o.promised_at,
                    CASE WHEN f.method = 'pickup' THEN f.due_at END) AS promised_at,
           CASE WHEN own.anew THEN own.present_at
                WHEN own.anew IS NULL AND first.promised_at IS NOT NULL THEN o.promised_at END AS present_at,
           f.due_at, f.released_at,
           r.at AS ready_at, p.shipped_at, p.delivered_at, told.foretold, told.said
    FROM meant m
    JOIN sales_order o ON o.id = m.id
    JOIN fulfillment_order f ON f.order_id = o.id
    JOIN location l ON l.id = f.location_id
    LEFT JOIN LATERAL (SELECT {_FIRST} AS promised_at FROM order_promise
                       WHERE order_id = o.id ORDER BY {_FIRST_BY} LIMIT 1) first ON true
    LEFT JOIN LATERAL (
        SELECT max(coalesce(c.former_at, n.promised_at, o.promised_at)) AS first_at,
               max(coalesce(n.promised_at, o.promised_at)) AS present_at, bool_or(c.former_at IS NOT NULL) AS anew
        FROM (SELECT DISTINCT line FROM order_unit WHERE order_id = o.id AND fulfillment_id = f.id) u
        LEFT JOIN order_line_promise n ON n.order_id = o.id AND n.line = u.line
        LEFT JOIN LATERAL (SELECT {_FIRST} AS former_at FROM order_promise
                           WHERE order_id = o.id AND (lines IS NULL OR u.line = ANY (lines))
                           ORDER BY {_FIRST_BY} LIMIT 1) c ON true) own ON true
    LEFT JOIN LATERAL (
        SELECT max(shipped_at) AS shipped_at,
               CASE WHEN bool_and(delivered_at IS NOT NULL) THEN max(delivered_at) END AS delivered_at
        FROM shipment WHERE fulfillment_id = f.id AND shipped_at IS NOT NULL) p ON true
    LEFT JOIN ready r ON r.work_id = f.id
    LEFT JOIN LATERAL (
        SELECT x.foretold, x.said
        FROM routing_decision d,
             json_to_recordset(d.promise -> 'legs') AS x(location int, foretold float4, said float4)
        WHERE d.order_id = o.id AND d.attempt = 1 AND f.method = 'ship' AND x.location = f.location_id
          AND d.promise -> 'supply' IS NULL AND d.promise -> 'stated' IS NULL
        ORDER BY x.foretold LIMIT 1) told ON true
    WHERE f.state NOT IN ('rejected', 'cancelled') OR f.reason = 'not_collected'
), unasked AS (
    SELECT o.id AS work_id, o.id AS order_id, o.channel_id,
           (SELECT min(u.location_id) FROM order_unit u WHERE u.order_id = o.id) AS location_id, o.method,
           o.service_id, NULL::text AS from_state, CASE WHEN o.method = 'ship' THEN o.ship_state END AS to_state,
           o.placed_at, coalesce(first.promised_at, o.promised_at) AS promised_at,
           CASE WHEN first.promised_at IS NOT NULL THEN o.promised_at END AS present_at,
           NULL::timestamptz AS due_at, NULL::timestamptz AS released_at, NULL::timestamptz AS ready_at,
           NULL::timestamptz AS shipped_at, NULL::timestamptz AS delivered_at, NULL::float4 AS foretold,
           NULL::float4 AS said
    FROM meant m
    JOIN sales_order o ON o.id = m.id
    LEFT JOIN LATERAL (SELECT {_FIRST} AS promised_at FROM order_promise
                       WHERE order_id = o.id ORDER BY {_FIRST_BY} LIMIT 1) first ON true
    WHERE o.status NOT IN ('delivered', 'cancelled')
      AND coalesce(first.promised_at, o.promised_at) < now()
      AND NOT EXISTS (SELECT FROM works w WHERE w.order_id = o.id)
), found AS (
    SELECT * FROM works WHERE promised_at IS NOT NULL UNION ALL SELECT * FROM unasked
), gone AS (
    DELETE FROM promise_outcome p USING meant m
    WHERE p.order_id = m.id AND NOT EXISTS (SELECT FROM found f WHERE f.work_id = p.work_id)
)
INSERT INTO promise_outcome AS p (work_id, order_id, channel_id, location_id, method, service_id, from_state, to_state,
                                  placed_at, promised_at, present_at, due_at, released_at, ready_at, shipped_at,
                                  delivered_at, foretold, said)
SELECT * FROM found ORDER BY work_id
ON CONFLICT (work_id) DO UPDATE SET
    location_id = excluded.location_id, service_id = excluded.service_id, to_state = excluded.to_state,
    promised_at = excluded.promised_at, present_at = excluded.present_at, due_at = excluded.due_at,
    ready_at = least(p.ready_at, excluded.ready_at), shipped_at = excluded.shipped_at,
    delivered_at = excluded.delivered_at, foretold = coalesce(p.foretold, excluded.foretold),
    said = coalesce(p.said, excluded.said)
"""

# The orders of events between two positions, and when work of them became ready.
SWEEP_OUTCOMES = (
    """
WITH stretch AS MATERIALIZED (
    SELECT key, type, at, payload FROM event
    WHERE position > %(since)s::bigint AND position <= %(reach)s::bigint AND type = ANY (%(types)s::text[])
), meant AS (
    SELECT DISTINCT substr(key, 7)::uuid AS id FROM stretch
), ready AS (
    SELECT (payload ->> 'fulfillment_id')::uuid AS work_id, min(at) AS at
    FROM stretch WHERE type = 'fulfillment.ready' GROUP BY 1
)
"""
    + _STORE
)

# As SWEEP_OUTCOMES, for events that were read already.
STORE_OUTCOMES = (
    """
WITH meant AS (
    SELECT DISTINCT id FROM unnest(%(orders)s::uuid[]) AS asked (id)
), ready AS (
    SELECT work_id, min(at) AS at
    FROM unnest(%(works)s::uuid[], %(instants)s::timestamptz[]) AS became (work_id, at) GROUP BY 1
)
"""
    + _STORE
)
