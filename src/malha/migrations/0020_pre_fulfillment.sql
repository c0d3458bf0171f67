-- How long goods wait for a customer who collects: the location's days, unless the channel promises others.
ALTER TABLE location ADD COLUMN pickup_days smallint NOT NULL DEFAULT 7 CHECK (pickup_days BETWEEN 1 AND 90);
ALTER TABLE channel ADD COLUMN pickup_days smallint CHECK (pickup_days BETWEEN 1 AND 90);

-- When the customer is reminded (empty once that happened), when the window ended without them, and what went back to
-- stock then: [line, SKU, units], so that the same units can be taken back while they are there.
ALTER TABLE fulfillment_order
    ADD COLUMN pickup_remind_at timestamptz,
    ADD COLUMN pickup_expired_at timestamptz,
    ADD COLUMN pickup_returned jsonb;

-- What waits already is reminded first: nothing expires in the minute of an upgrade. Few rows: only what stands ready.
UPDATE fulfillment_order
SET pickup_until = greatest(pickup_until, now() + interval '2 days'),
    pickup_remind_at = greatest(pickup_until, now() + interval '2 days') - interval '2 days'
WHERE state = 'ready';

CREATE INDEX fulfillment_order_pickup_remind ON fulfillment_order (pickup_remind_at)
    WHERE state = 'ready' AND pickup_remind_at IS NOT NULL;
CREATE INDEX fulfillment_order_pickup_until ON fulfillment_order (pickup_until)
    WHERE state = 'ready' AND pickup_expired_at IS NULL;
-- Expired but not given back: a document still covers the goods.
CREATE INDEX fulfillment_order_pickup_pending ON fulfillment_order (order_id)
    WHERE pickup_expired_at IS NOT NULL AND state NOT IN ('closed', 'rejected', 'cancelled');
