-- Selling ahead of the goods: what may be sold before it is there, against which supply, and whose it is.

-- What may be sold ahead, per SKU or product and, if narrowed, per channel. The most particular row counts.
CREATE TABLE ahead_policy (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    product_id integer REFERENCES product,
    sku_id integer REFERENCES variant,
    channel_id integer REFERENCES channel,        -- null: every channel
    mode text NOT NULL CHECK (mode IN ('none', 'preorder', 'backorder')),
    release_on date,                              -- pre-orders: the day from which goods may leave
    cap integer CHECK (cap > 0),                  -- units that may wait at a time
    horizon_days smallint CHECK (horizon_days > 0),   -- supply that is farther away is not promised from
    handling_days smallint NOT NULL DEFAULT 1 CHECK (handling_days BETWEEN 0 AND 60),  -- from receipt to hand-over
    waiting integer NOT NULL DEFAULT 0 CHECK (waiting >= 0),   -- units of claims that wait; conditional
    removed boolean NOT NULL DEFAULT false,       -- claims still count under it
    version integer NOT NULL DEFAULT 1,
    changed_at timestamptz NOT NULL DEFAULT now(),
    changed_by text NOT NULL DEFAULT 'system',
    CHECK ((product_id IS NULL) <> (sku_id IS NULL)),
    CHECK (mode <> 'preorder' OR release_on IS NOT NULL),
    UNIQUE NULLS NOT DISTINCT (product_id, sku_id, channel_id)
) WITH (fillfactor = 70);
CREATE INDEX ahead_policy_sku ON ahead_policy (sku_id) WHERE sku_id IS NOT NULL;

-- Its lock is the order of the queue at a SKU and location: who changes supply or lets claims go takes it first.
CREATE TABLE supply_queue (
    sku_id integer NOT NULL REFERENCES variant,
    location_id integer NOT NULL REFERENCES location,
    PRIMARY KEY (sku_id, location_id)
);

-- A line of a purchase, production or transfer as far as it may be promised from. `expected` and `eta` follow the line.
CREATE TABLE supply (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('purchase', 'production', 'transfer')),
    source_id uuid NOT NULL,                      -- inbound_order or transfer
    line smallint NOT NULL,
    sku_id integer NOT NULL REFERENCES variant,
    location_id integer NOT NULL REFERENCES location,
    eta date NOT NULL,
    expected integer NOT NULL CHECK (expected >= 0),
    promised integer NOT NULL DEFAULT 0,          -- the sum of its claims
    UNIQUE (source_id, line),
    CHECK (promised BETWEEN 0 AND expected)
) WITH (fillfactor = 70);
CREATE INDEX supply_open ON supply (sku_id, location_id, id) WHERE expected > 0;

-- Units of an order that are sold ahead. Per order line and SKU no more than its units that are backordered.
CREATE TABLE supply_claim (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id uuid NOT NULL,
    line smallint NOT NULL,
    sku_id integer NOT NULL,
    location_id integer NOT NULL,
    state text NOT NULL CHECK (state IN ('waiting', 'lost', 'arrived')),
    supply_id bigint REFERENCES supply,           -- waiting: what it waits for
    quantity integer NOT NULL CHECK (quantity > 0),
    since timestamptz NOT NULL,                   -- its place in the queue
    days smallint NOT NULL,                       -- business days from the goods being there to the promised day
    not_before date,                              -- of a pre-order
    told date,                                    -- the day of supply that the customer's promise was made from
    policy_id integer REFERENCES ahead_policy,
    CHECK ((state = 'waiting') = (supply_id IS NOT NULL))
);
CREATE INDEX supply_claim_order ON supply_claim (order_id);
CREATE INDEX supply_claim_queue ON supply_claim (sku_id, location_id, since, order_id) WHERE state <> 'arrived';
CREATE INDEX supply_claim_supply ON supply_claim (supply_id) WHERE supply_id IS NOT NULL;
CREATE INDEX supply_claim_policy ON supply_claim (policy_id) WHERE policy_id IS NOT NULL;

-- What is expected already may be promised from.
INSERT INTO supply (kind, source_id, line, sku_id, location_id, eta, expected)
SELECT o.kind, l.order_id, l.line, l.sku_id, l.location_id, l.eta, l.expected
FROM inbound_line l JOIN inbound_order o ON o.id = l.order_id WHERE l.expected > 0;
INSERT INTO supply (kind, source_id, line, sku_id, location_id, eta, expected)
SELECT 'transfer', t.id, l.line, l.sku_id, t.destination_id, t.eta, l.transit
FROM transfer t JOIN transfer_line l ON l.transfer_id = t.id
WHERE t.state = 'shipped' AND t.eta IS NOT NULL AND l.transit > 0;
