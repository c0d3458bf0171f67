-- Fiscal documents as recorded facts: they cover exactly what was packed and open the gate. Issuing comes later on the same tables.

CREATE TABLE fiscal_document (
    id uuid PRIMARY KEY,
    establishment_id integer NOT NULL REFERENCES establishment,
    model text NOT NULL CHECK (model IN ('55', '65')),
    series integer NOT NULL CHECK (series BETWEEN 0 AND 999),
    number integer NOT NULL CHECK (number BETWEEN 1 AND 999999999),
    access_key char(44) NOT NULL UNIQUE,
    operation text NOT NULL DEFAULT 'sale',
    state text NOT NULL DEFAULT 'authorised' CHECK (state IN ('drafted', 'signed', 'sending', 'authorised', 'rejected', 'unknown', 'conflict', 'offline', 'cancelling', 'cancelled', 'abandoned', 'voided')),
    provider text NOT NULL CHECK (provider IN ('erp', 'manual', 'sefaz', 'gateway', 'store')),
    source_kind text NOT NULL,                    -- fulfillment
    source_id uuid NOT NULL,
    total bigint NOT NULL CHECK (total >= 0),
    protocol text,
    issued_at timestamptz NOT NULL,
    authorised_at timestamptz,
    cancelled_at timestamptz,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    recorded_by text NOT NULL DEFAULT 'system',
    UNIQUE (establishment_id, model, series, number)
);
CREATE UNIQUE INDEX fiscal_document_living ON fiscal_document (source_kind, source_id, operation)
    WHERE state NOT IN ('cancelled', 'rejected', 'abandoned', 'voided');

CREATE TABLE fiscal_line (
    document_id uuid NOT NULL REFERENCES fiscal_document,
    item smallint NOT NULL,
    order_id uuid NOT NULL,
    line smallint NOT NULL,
    sku_id integer NOT NULL REFERENCES variant,
    quantity integer NOT NULL CHECK (quantity > 0),
    total bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (document_id, item)
);
CREATE INDEX fiscal_line_order ON fiscal_line (order_id, line);
