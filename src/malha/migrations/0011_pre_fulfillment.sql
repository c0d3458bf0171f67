-- Work for one location, and parcels.

CREATE TABLE fulfillment_order (
    id uuid PRIMARY KEY,
    number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    order_id uuid NOT NULL REFERENCES sales_order,
    location_id integer NOT NULL REFERENCES location,
    method text NOT NULL CHECK (method IN ('ship', 'pickup')),
    service_id integer REFERENCES service,
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'accepted', 'picking', 'picked', 'packed', 'ready', 'closed', 'rejected', 'cancelled')),
    capacity_day date NOT NULL,                   -- the location_day it was counted in
    released_at timestamptz NOT NULL DEFAULT now(),
    due_at timestamptz NOT NULL,                  -- leave or be ready by
    accepted_at timestamptz,
    picked_at timestamptz,
    packed_at timestamptz,
    closed_at timestamptz,
    reason text,                                  -- of a rejection
    pickup_code text,                             -- short code the customer shows; only while ready
    pickup_until timestamptz,
    pickup_misses smallint NOT NULL DEFAULT 0,    -- wrong codes shown; at the limit only a new code helps
    assignee text,
    version integer NOT NULL DEFAULT 1
);
CREATE INDEX fulfillment_order_order ON fulfillment_order (order_id);
CREATE INDEX fulfillment_order_queue ON fulfillment_order (location_id, state, due_at)
    WHERE state NOT IN ('closed', 'rejected', 'cancelled');

CREATE TABLE shipment (
    id uuid PRIMARY KEY,
    fulfillment_id uuid NOT NULL REFERENCES fulfillment_order,
    order_id uuid NOT NULL REFERENCES sales_order,
    carrier text,
    tracking_code text,
    tracking_url text,
    weight_grams integer CHECK (weight_grams >= 0),
    shipped_at timestamptz,                       -- or handed over
    delivered_at timestamptz,
    received_by text                              -- who collected at the counter
);
CREATE INDEX shipment_fulfillment ON shipment (fulfillment_id);
CREATE INDEX shipment_order ON shipment (order_id);
CREATE INDEX shipment_tracking ON shipment (tracking_code) WHERE tracking_code IS NOT NULL;
