-- Who outside stated a movement, and its place among that source's statements: both stay empty for our own.
ALTER TABLE movement ADD COLUMN source_id integer, ADD COLUMN source_seq bigint;
-- What happened since a moment, over all balances: the ledger grows at its end, so a block range index finds it for
-- a thousandth of what a tree would cost each movement.
CREATE INDEX movement_recorded ON movement USING brin (recorded_at) WITH (pages_per_range = 16);
