-- Buckets: goods that are there, or on their way, and may not be sold. The sellable bucket stays balance.on_hand.
-- Supply: what is expected (purchase and production orders) and what arrived (receipts).

-- A constant default: no row is rewritten, and whatever writes the ledger without naming a bucket moves the sellable one.
ALTER TABLE movement ADD COLUMN bucket text NOT NULL DEFAULT 'sellable';
ALTER TABLE movement_closing ADD COLUMN bucket text NOT NULL DEFAULT 'sellable';
ALTER TABLE movement_closing DROP CONSTRAINT movement_closing_pkey;
ALTER TABLE movement_closing ADD PRIMARY KEY (partition, sku_id, location_id, bucket);

CREATE TABLE bucket_balance (
    sku_id integer NOT NULL REFERENCES variant,
    location_id integer NOT NULL REFERENCES location,
    bucket text NOT NULL CHECK (bucket IN ('damaged', 'quality_control', 'display', 'in_transit')),
    quantity integer NOT NULL DEFAULT 0 CHECK (quantity >= 0),
    PRIMARY KEY (sku_id, location_id, bucket)
) WITH (fillfactor = 80);
CREATE INDEX bucket_balance_location ON bucket_balance (location_id, bucket) WHERE quantity > 0;

CREATE TABLE inbound_order (
    id uuid PRIMARY KEY,
    number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    kind text NOT NULL CHECK (kind IN ('purchase', 'production')),
    supplier text NOT NULL,                       -- who delivers: a supplier, or a factory of one's own
    reference text,                               -- the number it has there or in the ERP
    location_id integer NOT NULL REFERENCES location,
    over_percent smallint NOT NULL DEFAULT 0 CHECK (over_percent BETWEEN 0 AND 100),  -- taken without asking anybody
    cancelled_at timestamptz,
    state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'partial', 'received', 'closed', 'cancelled')),
    note text NOT NULL DEFAULT '',
    seq integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL
);
-- The same order of the same supplier twice is one order.
CREATE UNIQUE INDEX inbound_order_reference ON inbound_order (kind, supplier, reference) WHERE reference IS NOT NULL;
CREATE INDEX inbound_order_open ON inbound_order (location_id, number) WHERE state IN ('open', 'partial');

CREATE TABLE inbound_line (
    order_id uuid NOT NULL REFERENCES inbound_order,
    line smallint NOT NULL,
    sku_id integer NOT NULL REFERENCES variant,
    location_id integer NOT NULL,                 -- of the order: what is expected is asked by SKU and location
    quantity integer NOT NULL CHECK (quantity > 0),
    received integer NOT NULL DEFAULT 0 CHECK (received >= 0),
    dropped integer NOT NULL DEFAULT 0 CHECK (dropped >= 0),   -- no longer expected
    drop_reason text,
    unit_cost bigint CHECK (unit_cost >= 0),      -- centavos
    eta date NOT NULL,
    expected integer GENERATED ALWAYS AS (greatest(quantity - received - dropped, 0)) STORED,
    PRIMARY KEY (order_id, line)
);
CREATE INDEX inbound_line_expected ON inbound_line (sku_id, location_id, eta) WHERE expected > 0;

-- Every move of an expected date, as it was and as it became.
CREATE TABLE inbound_eta (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    order_id uuid NOT NULL,
    line smallint NOT NULL,
    was date NOT NULL,
    became date NOT NULL,
    reason text NOT NULL DEFAULT '',
    at timestamptz NOT NULL DEFAULT now(),
    actor text NOT NULL,
    FOREIGN KEY (order_id, line) REFERENCES inbound_line
);
CREATE INDEX inbound_eta_line ON inbound_eta (order_id, line);

CREATE TABLE receipt (
    id uuid PRIMARY KEY,                          -- the receiver's own: sent twice it is received once
    number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    location_id integer NOT NULL REFERENCES location,
    order_id uuid REFERENCES inbound_order,
    transfer_id uuid,
    document text,                                -- the delivery's own paper: a note's number or access key
    note text NOT NULL DEFAULT '',
    received_at timestamptz NOT NULL DEFAULT now(),
    received_by text NOT NULL,
    undone_at timestamptz,
    undone_by text,
    undo_reason text
);
CREATE INDEX receipt_location ON receipt (location_id, number);
CREATE INDEX receipt_order ON receipt (order_id) WHERE order_id IS NOT NULL;
CREATE INDEX receipt_transfer ON receipt (transfer_id) WHERE transfer_id IS NOT NULL;

CREATE TABLE receipt_line (
    receipt_id uuid NOT NULL REFERENCES receipt,
    position smallint NOT NULL,
    sku_id integer NOT NULL REFERENCES variant,
    order_line smallint,                          -- of the order it belongs to; NULL: nobody ordered it
    bucket text NOT NULL DEFAULT 'sellable',
    quantity integer NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (receipt_id, position)
);
