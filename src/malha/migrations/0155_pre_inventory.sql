-- The last number that the ledger had given when a count was noted, under the lock of the balances: what has a higher one
-- came after it, whenever its transaction began.
ALTER TABLE count_entry ADD COLUMN ledger_id bigint;
