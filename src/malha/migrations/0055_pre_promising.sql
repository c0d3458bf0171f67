-- What a promise was made of stays with the decision that made it: no further row for every order. Null before this
-- version, and where nothing travels.
ALTER TABLE routing_decision ADD COLUMN promise json;  -- promising.model.Made

-- Orders whose plan as it stands cannot keep their day. Written anew by a sweep; a row goes when the order is promised
-- for another day, or can be in time again. No foreign keys: an order is never deleted, and a lock on it is not worth it.
CREATE TABLE promise_slip (
    order_id uuid PRIMARY KEY,
    found_at timestamptz NOT NULL DEFAULT now(),  -- first
    promised_at timestamptz NOT NULL,             -- the soonest day of the lines that cannot be in time
    expected_at timestamptz,                      -- the end of the day the plan comes to; null: none can be said
    lines smallint[] NOT NULL,                    -- the lines that cannot be in time
    reason text NOT NULL,                         -- promising.model.Slip
    location_id integer                           -- whose parcel is the last, if it is known
);
CREATE INDEX promise_slip_promised ON promise_slip (promised_at, order_id);
-- The newest promises first: which orders were told lately, and how many a sweep told.
CREATE INDEX order_promise_made ON order_promise (made_at);
