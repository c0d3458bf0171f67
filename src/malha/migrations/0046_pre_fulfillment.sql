-- What became of promises: one row per parcel's work (or per order that nobody was asked for when its day was over).
-- Written by a subscriber from rows that are there anyway, so intake writes nothing for it. No foreign keys: each would
-- lock its parent for every parcel. What a person looks at is a stretch of promised days, hence the one further index;
-- the day promised first does not change, so later steps of a parcel write no index.
CREATE TABLE promise_outcome (
    work_id uuid PRIMARY KEY,                     -- the fulfillment order; the order itself where there is none yet
    order_id uuid NOT NULL,
    channel_id integer NOT NULL,
    location_id integer,
    method text NOT NULL,
    service_id integer,
    from_state text,
    to_state text,                                -- null: fetched by the customer
    placed_at timestamptz NOT NULL,
    promised_at timestamptz NOT NULL,             -- what was promised first; of a pickup without one: when it is to be ready
    present_at timestamptz,                       -- what counts now, where another day was promised
    due_at timestamptz,                           -- leave or be ready by, as the location's calendar said
    released_at timestamptz,
    ready_at timestamptz,                         -- of a pickup
    shipped_at timestamptz,
    delivered_at timestamptz,                     -- the last parcel of the work, or collected
    done_at timestamptz GENERATED ALWAYS AS (
        CASE WHEN method = 'pickup' THEN coalesce(ready_at, delivered_at) ELSE delivered_at END) STORED,
    kept boolean GENERATED ALWAYS AS (
        CASE WHEN method = 'pickup' THEN coalesce(ready_at, delivered_at) ELSE delivered_at END <= promised_at) STORED
) WITH (fillfactor = 80);
CREATE INDEX promise_outcome_order ON promise_outcome (order_id);
CREATE INDEX promise_outcome_promised ON promise_outcome (promised_at DESC, work_id DESC);

-- Work of the past: the log may not reach so far back, the timeline does.
INSERT INTO promise_outcome (work_id, order_id, channel_id, location_id, method, service_id, from_state, to_state,
                             placed_at, promised_at, present_at, due_at, released_at, ready_at, shipped_at,
                             delivered_at)
SELECT f.id, o.id, o.channel_id, f.location_id, f.method, f.service_id, l.state,
       CASE WHEN f.method = 'ship' THEN o.ship_state END, o.placed_at,
       coalesce(first.promised_at, o.promised_at, f.due_at),
       CASE WHEN first.promised_at IS NOT NULL THEN o.promised_at END, f.due_at, f.released_at, r.at,
       p.shipped_at, p.delivered_at
FROM fulfillment_order f
JOIN sales_order o ON o.id = f.order_id
JOIN location l ON l.id = f.location_id
LEFT JOIN (SELECT DISTINCT ON (order_id) order_id, coalesce(former_at, promised_at) AS promised_at
           FROM order_promise ORDER BY order_id, made_at, id) first ON first.order_id = o.id
LEFT JOIN (SELECT fulfillment_id, max(shipped_at) AS shipped_at,
                  CASE WHEN bool_and(delivered_at IS NOT NULL) THEN max(delivered_at) END AS delivered_at
           FROM shipment GROUP BY fulfillment_id) p ON p.fulfillment_id = f.id
LEFT JOIN (SELECT (facts ->> 'fulfillment_id')::uuid AS work_id, min(at) AS at
           FROM order_timeline WHERE type = 'fulfillment.ready' GROUP BY 1) r ON r.work_id = f.id
WHERE (f.method = 'pickup' OR coalesce(first.promised_at, o.promised_at) IS NOT NULL)
  AND (f.state NOT IN ('rejected', 'cancelled') OR f.reason = 'not_collected');
