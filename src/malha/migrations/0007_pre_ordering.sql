-- Orders. The header's status is derived from units (ordering.rules.derive_status) and stored for lists only.
--
-- The tables intake writes have no foreign keys: each check takes a row lock on its parent, and thousands of orders a second
-- on one channel row cost three times the order itself (measured, ADR 0011). `malha doctor` looks for orphans instead.

CREATE TABLE sales_order (
    id uuid PRIMARY KEY,
    number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    channel_id integer NOT NULL,
    external_id text NOT NULL,                    -- the channel's own id, or the Idempotency-Key
    request_key text,                             -- who sent it, and the Idempotency-Key that came beside an external id
    body_hash uuid NOT NULL,                      -- of the submission: the same id with another body is refused
    placed_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    currency text NOT NULL DEFAULT 'BRL',
    status text NOT NULL,                         -- derived; ordering.model.OrderStatus
    items_total bigint NOT NULL,                  -- centavos: sum of line totals, before order discount
    discount_total bigint NOT NULL DEFAULT 0,
    shipping_total bigint NOT NULL DEFAULT 0,
    total bigint NOT NULL,                        -- items - discount + shipping
    cancelled_total bigint NOT NULL DEFAULT 0,    -- what cancelled units took off the total
    method text NOT NULL CHECK (method IN ('ship', 'pickup')),
    service_id integer,        -- what the customer chose; null: cheapest
    pickup_location_id integer,
    buyer_name text NOT NULL DEFAULT '',
    buyer_document text,
    buyer_email text,
    buyer_phone text,
    ship_to jsonb,                                -- platform address
    ship_state text,
    promised_at timestamptz,                      -- end of the day promised to the customer
    release_after timestamptz NOT NULL,           -- the customer may still change it until then
    seq integer NOT NULL DEFAULT 1,               -- version of the aggregate: sequence of its last event
    CHECK (total = items_total - discount_total + shipping_total),
    UNIQUE (channel_id, external_id)
);
CREATE UNIQUE INDEX sales_order_request ON sales_order (request_key) WHERE request_key IS NOT NULL;
CREATE INDEX sales_order_placed ON sales_order (placed_at DESC, id DESC);
CREATE INDEX sales_order_open ON sales_order (status, placed_at DESC, id DESC) WHERE status NOT IN ('delivered', 'cancelled');
-- Whose window is over, for release: an order with allocated units has one of these statuses.
CREATE INDEX sales_order_due ON sales_order (release_after) WHERE status IN ('allocated', 'unplaced', 'backordered');

-- Whose order it is, written by a subscriber. A table of its own: a column of the header would cost a second version of a
-- row with seven indexes for every order. Ids of orders begin with the time, so the second index gives the newest first.
CREATE TABLE order_customer (
    order_id uuid PRIMARY KEY,
    customer_id uuid NOT NULL
);
CREATE INDEX order_customer_orders ON order_customer (customer_id, order_id DESC);

CREATE TABLE order_line (
    order_id uuid NOT NULL,
    line smallint NOT NULL,
    sku_id integer,            -- null: unknown SKU, the order is on hold until mapped
    sku_text text NOT NULL,                       -- as the channel sent it
    name text NOT NULL DEFAULT '',
    quantity integer NOT NULL CHECK (quantity > 0),
    unit_price bigint NOT NULL CHECK (unit_price >= 0),
    discount bigint NOT NULL DEFAULT 0 CHECK (discount >= 0),  -- on the whole line
    total bigint NOT NULL,                        -- quantity * unit_price - discount
    external_id text,
    PRIMARY KEY (order_id, line),
    CHECK (total = quantity * unit_price - discount)
);

-- What one sold unit of a kit line is made of, fixed when it was sold. Lines that are no kits have no rows.
CREATE TABLE order_component (
    order_id uuid NOT NULL,
    line smallint NOT NULL,
    sku_id integer NOT NULL,
    quantity integer NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (order_id, line, sku_id)
);

-- Units: every unit of an order is in exactly one row; rows of equal units carry a quantity and split when some of them move on.
-- Units of a plain line sum to the line's quantity; units of a kit line sum, per component, to quantity * component quantity.
CREATE TABLE order_unit (
    order_id uuid NOT NULL,
    line smallint NOT NULL,
    part smallint NOT NULL,
    sku_id integer,
    quantity integer NOT NULL CHECK (quantity > 0),
    state text NOT NULL,                          -- ordering.model.UnitState
    location_id integer,                          -- where it is claimed; null: unplaced
    fulfillment_id uuid,                          -- fulfillment order it belongs to (package above: no foreign key)
    shipment_id uuid,
    document_id uuid,                             -- fiscal document that covers it
    PRIMARY KEY (order_id, line, part)
) WITH (fillfactor = 80);
CREATE INDEX order_unit_claimed ON order_unit (location_id, sku_id)
    WHERE state IN ('allocated', 'released', 'picking', 'picked', 'awaiting_document', 'packed', 'invoiced', 'ready');
CREATE INDEX order_unit_waiting ON order_unit (sku_id) WHERE state IN ('unplaced', 'backordered');
CREATE INDEX order_unit_fulfillment ON order_unit (fulfillment_id) WHERE fulfillment_id IS NOT NULL;

CREATE TABLE order_hold (
    id uuid PRIMARY KEY,
    order_id uuid NOT NULL REFERENCES sales_order,
    kind text NOT NULL,                           -- ordering.model.HoldKind
    detail jsonb NOT NULL DEFAULT '{}',
    placed_at timestamptz NOT NULL DEFAULT now(),
    placed_by text NOT NULL DEFAULT 'system',
    resolved_at timestamptz,
    resolved_by text,
    resolution text
);
CREATE INDEX order_hold_order ON order_hold (order_id);
CREATE UNIQUE INDEX order_hold_open ON order_hold (order_id, kind) WHERE resolved_at IS NULL;

CREATE TABLE order_note (
    id uuid PRIMARY KEY,
    order_id uuid NOT NULL REFERENCES sales_order,
    text text NOT NULL,
    written_at timestamptz NOT NULL DEFAULT now(),
    written_by text NOT NULL,
    author text NOT NULL
);
CREATE INDEX order_note_order ON order_note (order_id, written_at);

-- Written by a subscriber from the event log: what happened to an order, in order.
CREATE TABLE order_timeline (
    order_id uuid NOT NULL,
    seq integer NOT NULL,
    at timestamptz NOT NULL,
    type text NOT NULL,
    actor text NOT NULL DEFAULT 'system',
    facts jsonb NOT NULL DEFAULT '{}',
    PRIMARY KEY (order_id, seq)
);

-- Written by a subscriber: one folded text per order, searched by trigrams.
CREATE TABLE order_search (
    order_id uuid PRIMARY KEY,
    placed_at timestamptz NOT NULL,
    document text NOT NULL
);
CREATE INDEX order_search_document ON order_search USING gin (document gin_trgm_ops);
