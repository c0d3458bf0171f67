-- What is to be given back of an order, kept with the sums: whoever looks for such orders reads them alone.
ALTER TABLE order_payment ADD COLUMN refund_due bigint NOT NULL DEFAULT 0;
