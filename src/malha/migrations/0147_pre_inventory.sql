-- When somebody last counted a balance on its page, also where the number was right and the ledger got no row: an older
-- count of the shelf that is still open knows less.
CREATE TABLE shelf_count (
    location_id integer NOT NULL,
    sku_id integer NOT NULL,
    counted_at timestamptz NOT NULL,
    counted_by text NOT NULL,
    PRIMARY KEY (location_id, sku_id)
);
-- Of a line that is applied: somebody counted the shelf later, so that nothing was written for it.
ALTER TABLE count_line ADD COLUMN superseded boolean NOT NULL DEFAULT false;
