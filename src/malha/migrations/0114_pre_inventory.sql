-- A transfer leaves in one or several shipments, each with a day, a document and an arrival of its own. What has not left
-- stays set aside at the origin, until it leaves too or is given back.

CREATE TABLE transfer_shipment (
    id uuid PRIMARY KEY,                          -- of the first one its transfer's own: older code offers supply by it
    transfer_id uuid NOT NULL REFERENCES transfer,
    number smallint NOT NULL,                     -- 1, 2, ... within the transfer
    document text,                                -- number or access key, as a fact
    carrier text,
    tracking_code text,
    eta date,
    eta_usual boolean NOT NULL DEFAULT false,     -- nobody stated the day: it is the one the way usually takes
    shipped_at timestamptz NOT NULL DEFAULT now(),
    shipped_by text NOT NULL,
    arrived_at timestamptz,                       -- when the first of it came
    UNIQUE (transfer_id, number)
);
CREATE INDEX transfer_shipment_document ON transfer_shipment USING gin (document gin_trgm_ops) WHERE document IS NOT NULL;

CREATE TABLE transfer_shipment_line (
    shipment_id uuid NOT NULL REFERENCES transfer_shipment,
    line smallint NOT NULL,                       -- of the transfer
    sku_id integer NOT NULL REFERENCES variant,
    shipped integer NOT NULL CHECK (shipped > 0),
    arrived integer NOT NULL DEFAULT 0 CHECK (arrived >= 0),
    settled integer NOT NULL DEFAULT 0 CHECK (settled >= 0),
    missing integer NOT NULL DEFAULT 0 CHECK (missing >= 0),   -- of what is in transit, said not to be there: to decide
    transit integer GENERATED ALWAYS AS (shipped - arrived - settled) STORED CHECK (transit >= 0),
    coming integer GENERATED ALWAYS AS (shipped - arrived - settled - missing) STORED CHECK (coming >= 0),
    PRIMARY KEY (shipment_id, line)
);
CREATE INDEX transfer_shipment_line_coming ON transfer_shipment_line (sku_id) WHERE coming > 0;

-- What was approved and is not going to leave any more, and who gave it back, when and why.
ALTER TABLE transfer_line ADD COLUMN dropped integer NOT NULL DEFAULT 0 CHECK (dropped >= 0);
ALTER TABLE transfer ADD COLUMN closed_short_at timestamptz, ADD COLUMN closed_short_by text,
    ADD COLUMN closed_short_reason text;
-- Of which shipment it was; none: of the first one, told by older code.
ALTER TABLE transfer_discrepancy ADD COLUMN shipment_id uuid REFERENCES transfer_shipment;
CREATE INDEX transfer_discrepancy_shipment ON transfer_discrepancy (shipment_id);
-- Which shipment's day was moved; none: of what has not left.
ALTER TABLE transfer_eta ADD COLUMN shipment smallint;

ALTER TABLE transfer DROP CONSTRAINT transfer_state_check;
ALTER TABLE transfer ADD CONSTRAINT transfer_state_check CHECK (state IN
    ('requested', 'approved', 'partly_shipped', 'shipped', 'received', 'closed', 'cancelled'));

-- What has left left in one shipment, and what was approved beyond it was given back then.
INSERT INTO transfer_shipment (id, transfer_id, number, document, carrier, tracking_code, eta, eta_usual, shipped_at,
                               shipped_by, arrived_at)
SELECT t.id, t.id, 1, t.document, t.carrier, t.tracking_code, t.eta, t.eta_usual, coalesce(t.shipped_at, t.requested_at),
       coalesce(t.shipped_by, t.requested_by),
       (SELECT min(r.received_at) FROM receipt r WHERE r.transfer_id = t.id AND r.undone_at IS NULL)
FROM transfer t WHERE t.state IN ('shipped', 'received', 'closed');
INSERT INTO transfer_shipment_line (shipment_id, line, sku_id, shipped, arrived, settled, missing)
SELECT l.transfer_id, l.line, l.sku_id, l.shipped, l.arrived, l.settled,
       least(l.transit, coalesce((SELECT sum(d.quantity) FROM transfer_discrepancy d
                                  WHERE d.transfer_id = l.transfer_id AND d.line = l.line AND d.kind = 'missing'
                                    AND d.decision IS NULL), 0))
FROM transfer_line l JOIN transfer_shipment s ON s.id = l.transfer_id WHERE l.shipped > 0;
UPDATE transfer_line l SET dropped = l.approved - l.shipped
FROM transfer t
WHERE t.id = l.transfer_id AND t.state IN ('shipped', 'received', 'closed') AND l.approved > l.shipped;
UPDATE transfer_discrepancy d SET shipment_id = d.transfer_id
FROM transfer_shipment s WHERE s.id = d.transfer_id AND d.shipment_id IS NULL;
UPDATE transfer_eta e SET shipment = 1
FROM transfer_shipment s WHERE s.id = e.transfer_id AND e.at >= s.shipped_at;
