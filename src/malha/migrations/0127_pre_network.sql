-- From where goods are brought to a place whose customers fetch orders there: nothing is, before somebody states it.
CREATE TABLE store_lane (
    to_id integer NOT NULL REFERENCES location,   -- the place, or the first location of its site
    from_id integer NOT NULL REFERENCES location,
    days smallint NOT NULL CHECK (days BETWEEN 0 AND 60),      -- working days until the goods are there, when it opens
    price integer NOT NULL CHECK (price BETWEEN 0 AND 100000000),  -- centavos for what an order has on it
    PRIMARY KEY (to_id, from_id),
    CHECK (to_id <> from_id)
);
