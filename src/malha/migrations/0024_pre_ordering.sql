-- Promises made anew. Every one stays: what was promised first is measured, what counts is sales_order.promised_at.

CREATE TABLE order_promise (
    id uuid PRIMARY KEY,
    order_id uuid NOT NULL,
    promised_at timestamptz NOT NULL,             -- end of the day that is promised from now on
    former_at timestamptz,                        -- what counted before; null: nothing was promised
    lines smallint[],                             -- null: the whole order
    reason text NOT NULL,                         -- ordering.model.PromiseReason
    note text NOT NULL DEFAULT '',                -- for colleagues; the customer does not read it
    made_at timestamptz NOT NULL DEFAULT now(),
    made_by text NOT NULL,
    author text NOT NULL
);
CREATE INDEX order_promise_order ON order_promise (order_id, made_at);

-- Only of orders whose lines are promised for different days: every line has its row, and sales_order.promised_at is the
-- first day that is still to be kept.
CREATE TABLE order_line_promise (
    order_id uuid NOT NULL,
    line smallint NOT NULL,
    promised_at timestamptz NOT NULL,
    PRIMARY KEY (order_id, line)
);
