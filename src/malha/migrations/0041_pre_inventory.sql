-- The version of the balance a row was compared with, where nothing had moved for long enough before: while the balance
-- still has it, no movement need be looked up. Empty where one must.
ALTER TABLE stock_snapshot_row ADD COLUMN seen xid;
-- Rows of a snapshot are written in the transaction that accepts it and dropped by age: a look-up of its snapshot for
-- each of fifty thousand rows proves nothing.
ALTER TABLE stock_snapshot_row DROP CONSTRAINT stock_snapshot_row_snapshot_id_fkey;
