-- What vendors send to customers for us: their name of the SKU, what a unit costs us, and how soon it leaves.
CREATE TABLE vendor_offer (
    location_id integer NOT NULL REFERENCES location (id),  -- of the kind vendor
    sku_id integer NOT NULL REFERENCES variant (id) ON DELETE CASCADE,
    vendor_sku text NOT NULL DEFAULT '',
    unit_cost bigint NOT NULL CHECK (unit_cost >= 0),       -- centavos
    lead_days smallint NOT NULL CHECK (lead_days BETWEEN 0 AND 365),  -- working days from being asked to leaving
    active boolean NOT NULL DEFAULT true,
    version integer NOT NULL DEFAULT 1,
    changed_at timestamptz NOT NULL DEFAULT now(),
    changed_by text NOT NULL,
    PRIMARY KEY (location_id, sku_id)
);
CREATE INDEX vendor_offer_sku ON vendor_offer (sku_id);

-- What vendors are asked to send, in the transaction that decides it. Units wait as backordered until it leaves: these
-- goods are no stock of ours, before or after. No foreign keys: intake writes these rows.
CREATE TABLE drop_ship (
    id uuid PRIMARY KEY,
    number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    order_id uuid NOT NULL,
    location_id integer NOT NULL,
    state text NOT NULL DEFAULT 'asked' CHECK (state IN ('asked', 'accepted', 'sent', 'refused', 'cancelled')),
    leaves_on date NOT NULL,                                -- by when it is to leave the vendor
    reference text,                                         -- the vendor's own number of it
    reason text NOT NULL DEFAULT '',                        -- of a refusal
    seq integer NOT NULL DEFAULT 1,
    asked_at timestamptz NOT NULL DEFAULT now(),
    answered_at timestamptz,
    ended_at timestamptz
);
CREATE INDEX drop_ship_order ON drop_ship (order_id);
CREATE INDEX drop_ship_open ON drop_ship (number) WHERE state IN ('asked', 'accepted');

CREATE TABLE drop_ship_line (
    drop_ship_id uuid NOT NULL REFERENCES drop_ship,
    line smallint NOT NULL,                                 -- of the order
    sku_id integer NOT NULL,                                -- of kits, a component
    quantity integer NOT NULL CHECK (quantity > 0),
    sent integer NOT NULL DEFAULT 0 CHECK (sent >= 0),
    dropped integer NOT NULL DEFAULT 0 CHECK (dropped >= 0),
    expected integer NOT NULL GENERATED ALWAYS AS (quantity - sent - dropped) STORED,
    unit_cost bigint NOT NULL,                              -- centavos, when it was asked
    vendor_sku text NOT NULL DEFAULT '',
    PRIMARY KEY (drop_ship_id, line, sku_id),
    CHECK (sent + dropped <= quantity)
);
