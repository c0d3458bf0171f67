-- Work may be to bring an order's goods to the place where its customer fetches them.
ALTER TABLE fulfillment_order
    DROP CONSTRAINT fulfillment_order_method_check,
    ADD CONSTRAINT fulfillment_order_method_check CHECK (method IN ('ship', 'pickup', 'transfer')),
    ADD COLUMN to_location_id integer REFERENCES location,  -- of a transfer: where the customer waits for it
    ADD COLUMN transfer_id uuid REFERENCES transfer,        -- what its goods left with
    ADD CHECK ((method = 'transfer') = (to_location_id IS NOT NULL));
-- What comes to a place for whom, and whose goods a transfer brings.
CREATE INDEX fulfillment_order_to ON fulfillment_order (to_location_id, due_at) WHERE to_location_id IS NOT NULL;
CREATE UNIQUE INDEX fulfillment_order_transfer ON fulfillment_order (transfer_id) WHERE transfer_id IS NOT NULL;
-- Goods of a transfer that are an order's: they are nobody else's supply, and allocated to it when they arrive.
ALTER TABLE transfer ADD COLUMN order_id uuid;
