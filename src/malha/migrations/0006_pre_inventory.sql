-- One truth of stock: a balance per (SKU, location), changed only together with a ledger row.

CREATE TABLE balance (
    sku_id integer NOT NULL REFERENCES variant,
    location_id integer NOT NULL REFERENCES location,
    on_hand integer NOT NULL DEFAULT 0,           -- physical; below zero only as a deficit waiting for a count
    allocated integer NOT NULL DEFAULT 0 CHECK (allocated >= 0),
    held integer NOT NULL DEFAULT 0 CHECK (held >= 0),   -- every hold not yet retired or converted, expired ones too
    safety integer NOT NULL DEFAULT 0 CHECK (safety >= 0),
    PRIMARY KEY (sku_id, location_id)
) WITH (fillfactor = 70);
CREATE INDEX balance_location ON balance (location_id, sku_id);

-- The ledger, append only. balance = sum of these rows, always (`malha doctor`).
CREATE TABLE movement (
    id bigint GENERATED ALWAYS AS IDENTITY,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    occurred_at timestamptz NOT NULL DEFAULT now(),
    sku_id integer NOT NULL,
    location_id integer NOT NULL,
    d_on_hand integer NOT NULL DEFAULT 0,
    d_allocated integer NOT NULL DEFAULT 0,
    d_held integer NOT NULL DEFAULT 0,
    reason text NOT NULL,                         -- inventory.model.Reason
    ref_kind text,                                -- order, hold, receipt, count, import, ...
    ref_id uuid,
    ref_text text,                                -- document number or free reference
    actor text NOT NULL DEFAULT 'system'
) PARTITION BY RANGE (recorded_at);
CREATE INDEX movement_balance ON movement (sku_id, location_id, recorded_at);
CREATE TABLE movement_default PARTITION OF movement DEFAULT;

-- Sums of a closed partition, so that the doctor need not read it again. `rows` and `through` prove what was summed.
CREATE TABLE movement_closing (
    partition text NOT NULL,
    sku_id integer NOT NULL,
    location_id integer NOT NULL,
    on_hand bigint NOT NULL,
    allocated bigint NOT NULL,
    held bigint NOT NULL,
    PRIMARY KEY (partition, sku_id, location_id)
);
CREATE TABLE movement_partition (
    partition text PRIMARY KEY,
    closed_at timestamptz NOT NULL,
    rows bigint NOT NULL,
    last_id bigint NOT NULL
);

CREATE TABLE stock_hold (
    id uuid PRIMARY KEY,
    reference text NOT NULL,                      -- cart or payment it belongs to
    channel_id integer REFERENCES channel,
    state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'converted', 'released', 'expired')),
    expires_at timestamptz NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    retired_at timestamptz,
    CHECK ((state = 'active') = (retired_at IS NULL))
);
CREATE UNIQUE INDEX stock_hold_reference ON stock_hold (reference) WHERE state = 'active';
CREATE INDEX stock_hold_expiry ON stock_hold (expires_at) WHERE state = 'active';

CREATE TABLE stock_hold_line (
    hold_id uuid NOT NULL REFERENCES stock_hold,
    sku_id integer NOT NULL REFERENCES variant,
    location_id integer NOT NULL REFERENCES location,
    quantity integer NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (hold_id, sku_id, location_id)
);
CREATE INDEX stock_hold_line_balance ON stock_hold_line (sku_id, location_id);

-- A physical fact left fewer units than are promised: work for a person, never an error.
CREATE TABLE stock_deficit (
    id uuid PRIMARY KEY,
    sku_id integer NOT NULL REFERENCES variant,
    location_id integer NOT NULL REFERENCES location,
    quantity integer NOT NULL CHECK (quantity > 0),   -- units promised that are not there, when it was found
    reason text NOT NULL,
    seq integer NOT NULL DEFAULT 1,
    found_at timestamptz NOT NULL DEFAULT now(),
    resolved_at timestamptz,
    resolved_by text
);
CREATE UNIQUE INDEX stock_deficit_open ON stock_deficit (sku_id, location_id) WHERE resolved_at IS NULL;
