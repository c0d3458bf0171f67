-- A file of its own: while an index is made, payments are read, which they are not while a column is added.
CREATE INDEX order_payment_refund_due ON order_payment (order_id) WHERE refund_due > 0;
