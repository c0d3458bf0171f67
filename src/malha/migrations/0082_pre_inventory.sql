-- How long goods have lain where they are: worked out once a day, from the ledger. A key without arrivals has no row.
CREATE TABLE stock_age (
    sku_id integer NOT NULL REFERENCES variant ON DELETE CASCADE,
    location_id integer NOT NULL REFERENCES location ON DELETE CASCADE,
    days integer NOT NULL CHECK (days >= 0),      -- mean of the units that were there
    oldest integer NOT NULL CHECK (oldest >= 0),  -- of the unit that came first
    units integer NOT NULL CHECK (units > 0),     -- that were there
    worked_out_at timestamptz NOT NULL,           -- when the work that made it began
    PRIMARY KEY (sku_id, location_id)
);
CREATE INDEX stock_age_days ON stock_age (days DESC, sku_id, location_id);
CREATE INDEX stock_age_location ON stock_age (location_id);
CREATE INDEX stock_age_worked_out ON stock_age (worked_out_at);
