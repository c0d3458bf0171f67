-- Of a whole statement with rows whose SKU nobody knows, what it does not mention waits until a person has looked: it may
-- be what those rows speak of.
ALTER TABLE stock_snapshot_row ADD COLUMN waits boolean NOT NULL DEFAULT false;
