-- By how much more than its total an order is paid, kept with the sums: whoever looks for such orders reads them alone.
ALTER TABLE order_payment ADD COLUMN overpaid bigint NOT NULL DEFAULT 0;
