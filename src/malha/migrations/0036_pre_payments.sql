-- How long an order that waits for its money keeps its stock: by channel and tender, the most specific row wins.
CREATE TABLE payment_term (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    channel_id int REFERENCES channel (id),       -- none: every channel
    tender text NOT NULL,                         -- a kind of tender; '*': any other, and orders without one
    minutes int NOT NULL CHECK (minutes BETWEEN 1 AND 525600),          -- from the tender on, when it names no end itself
    clearing_days smallint NOT NULL DEFAULT 0 CHECK (clearing_days BETWEEN 0 AND 30), -- business days the bank takes
    grace_minutes int NOT NULL DEFAULT 0 CHECK (grace_minutes BETWEEN 0 AND 10080),
    keep_days smallint NOT NULL DEFAULT 3 CHECK (keep_days BETWEEN 0 AND 60), -- without stock, for money that comes late
    version int NOT NULL DEFAULT 1,
    UNIQUE NULLS NOT DISTINCT (channel_id, tender)
);
INSERT INTO payment_term (tender, minutes, clearing_days, grace_minutes, keep_days) VALUES
    ('pix', 30, 0, 10, 3), ('boleto', 4320, 2, 0, 5), ('credit_card', 2880, 0, 0, 3), ('debit_card', 1440, 0, 0, 3),
    ('*', 4320, 0, 0, 3);

-- When the stock of an order that waits for its money is free again. Written by a subscriber, never by intake.
CREATE TABLE payment_deadline (
    order_id uuid PRIMARY KEY REFERENCES sales_order (id),
    due_at timestamptz NOT NULL,
    tender text NOT NULL,
    keep_days smallint NOT NULL,
    extended_by text,                             -- who gave more time
    lapsed_at timestamptz,                        -- its stock was given back
    cancel_at timestamptz,                        -- until when late money still finds the order
    settled_at timestamptz,                       -- nothing is owed any more, or nothing is left of the order
    CHECK ((lapsed_at IS NULL) = (cancel_at IS NULL))
);
CREATE INDEX payment_deadline_due ON payment_deadline (due_at) WHERE settled_at IS NULL AND lapsed_at IS NULL;
CREATE INDEX payment_deadline_cancel ON payment_deadline (cancel_at) WHERE settled_at IS NULL AND lapsed_at IS NOT NULL;
