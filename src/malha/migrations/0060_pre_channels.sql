-- Sales documents for ERPs: what of an order was posted over which connection.

ALTER TABLE channel_op DROP CONSTRAINT channel_op_kind_check;
ALTER TABLE channel_op ADD CONSTRAINT channel_op_kind_check
    CHECK (kind IN ('set_price', 'push_shipment', 'cancel', 'refund', 'ask', 'post_document')) NOT VALID;
ALTER TABLE channel_op VALIDATE CONSTRAINT channel_op_kind_check;

-- How far the events of an order were followed, and what came of them; begins when the order is placed. One row for
-- each order and ERP, written by one subscriber.
CREATE TABLE order_document (
    connection_id int NOT NULL REFERENCES connection (id) ON DELETE CASCADE,
    order_id uuid NOT NULL REFERENCES sales_order (id) ON DELETE CASCADE,
    trail jsonb NOT NULL,                         -- channels.connecting.model.Trail
    sale boolean NOT NULL,                        -- a sale was queued
    posted bigint NOT NULL,                       -- sum of all documents that were queued, in minor units
    PRIMARY KEY (connection_id, order_id)
) WITH (fillfactor = 80);
CREATE INDEX order_document_order ON order_document (order_id);

ALTER TABLE reconciliation DROP CONSTRAINT reconciliation_kind_check;
ALTER TABLE reconciliation ADD CONSTRAINT reconciliation_kind_check
    CHECK (kind IN ('orders', 'stock', 'documents')) NOT VALID;
ALTER TABLE reconciliation VALIDATE CONSTRAINT reconciliation_kind_check;
