-- Refunds that one person had recorded together: all that a search found, under one reference.
CREATE TABLE refund_batch (
    id uuid PRIMARY KEY,
    number integer GENERATED ALWAYS AS IDENTITY UNIQUE,
    reference text NOT NULL,
    sought text NOT NULL,                          -- what it was found by; empty: all that were due
    state text NOT NULL DEFAULT 'going' CHECK (state IN ('going', 'done', 'stopped')),
    orders integer NOT NULL DEFAULT 0,
    recorded integer NOT NULL DEFAULT 0,
    refused integer NOT NULL DEFAULT 0,
    actor text NOT NULL,
    person text NOT NULL,
    begun_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz
);

-- Its orders, with what was due of each when the person saw it, and what became of it; none: it waits for its turn.
CREATE TABLE refund_batch_order (
    batch_id uuid NOT NULL REFERENCES refund_batch,
    order_id uuid NOT NULL REFERENCES sales_order,
    due bigint NOT NULL CHECK (due > 0),           -- centavos
    outcome text CHECK (outcome IN ('recorded', 'refused', 'left')),
    why jsonb,                                     -- of those that were refused
    PRIMARY KEY (batch_id, order_id)
);
-- An order waits in one of them at a time: of two people who ask for the same, one has it recorded.
CREATE UNIQUE INDEX refund_batch_order_open ON refund_batch_order (order_id) WHERE outcome IS NULL;
CREATE INDEX refund_batch_order_refused ON refund_batch_order (batch_id, order_id) WHERE outcome = 'refused';
