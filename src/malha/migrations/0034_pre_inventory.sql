-- Transfers: goods on their way are stock of the destination, in its in-transit bucket, until somebody says what became
-- of them.

CREATE TABLE transfer (
    id uuid PRIMARY KEY,
    number bigint GENERATED ALWAYS AS IDENTITY UNIQUE,
    origin_id integer NOT NULL REFERENCES location,
    destination_id integer NOT NULL REFERENCES location,
    state text NOT NULL DEFAULT 'requested'
        CHECK (state IN ('requested', 'approved', 'shipped', 'received', 'closed', 'cancelled')),
    needs_document boolean NOT NULL,              -- the two belong to different establishments
    document text,                                -- number or access key, as a fact
    eta date,
    carrier text,
    tracking_code text,
    note text NOT NULL DEFAULT '',
    seq integer NOT NULL DEFAULT 1,
    requested_at timestamptz NOT NULL DEFAULT now(),
    requested_by text NOT NULL,
    approved_by text,
    shipped_at timestamptz,
    shipped_by text,
    closed_at timestamptz,
    CHECK (origin_id <> destination_id)
);
CREATE INDEX transfer_open ON transfer (number) WHERE state NOT IN ('closed', 'cancelled');

CREATE TABLE transfer_line (
    transfer_id uuid NOT NULL REFERENCES transfer,
    line smallint NOT NULL,
    sku_id integer NOT NULL REFERENCES variant,
    asked integer NOT NULL CHECK (asked > 0),
    approved integer CHECK (approved >= 0),
    shipped integer NOT NULL DEFAULT 0 CHECK (shipped >= 0),
    arrived integer NOT NULL DEFAULT 0 CHECK (arrived >= 0),   -- of what was shipped, in whatever condition
    settled integer NOT NULL DEFAULT 0 CHECK (settled >= 0),   -- of what was shipped, gone another way by a decision
    transit integer GENERATED ALWAYS AS (shipped - arrived - settled) STORED CHECK (transit >= 0),
    PRIMARY KEY (transfer_id, line),
    UNIQUE (transfer_id, sku_id)
);
CREATE INDEX transfer_line_transit ON transfer_line (sku_id) WHERE transit > 0;

-- What did not arrive as it left. Each waits for a decision; the units stay in their bucket until then.
CREATE TABLE transfer_discrepancy (
    id uuid PRIMARY KEY,
    transfer_id uuid NOT NULL,
    line smallint NOT NULL,
    kind text NOT NULL CHECK (kind IN ('missing', 'damaged', 'excess')),
    quantity integer NOT NULL CHECK (quantity > 0),
    found_at timestamptz NOT NULL DEFAULT now(),
    found_by text NOT NULL,
    decision text CHECK (decision IN ('arrived_late', 'found_at_origin', 'lost', 'carrier_claim', 'kept',
                                      'taken_from_origin')),
    reference text,                               -- of a claim
    note text NOT NULL DEFAULT '',
    decided_at timestamptz,
    decided_by text,
    FOREIGN KEY (transfer_id, line) REFERENCES transfer_line,
    CHECK ((decision IS NULL) = (decided_at IS NULL))
);
CREATE INDEX transfer_discrepancy_line ON transfer_discrepancy (transfer_id, line);
CREATE INDEX transfer_discrepancy_open ON transfer_discrepancy (found_at) WHERE decision IS NULL;

ALTER TABLE receipt ADD FOREIGN KEY (transfer_id) REFERENCES transfer;
