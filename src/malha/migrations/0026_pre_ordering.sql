-- At which locations an order's units are or were, newest order first for each: what a store's people list, and what a
-- list filtered by a location walks. Written by a subscriber when units get a location; a row that is there stays, so
-- readers look at the units themselves as well. An index on order_unit would be written by intake, and again by every
-- step of every unit, and could not know when the order was placed.
CREATE TABLE order_location (
    location_id integer NOT NULL,
    placed_at timestamptz NOT NULL,
    order_id uuid NOT NULL,
    PRIMARY KEY (location_id, placed_at, order_id)
);
INSERT INTO order_location (location_id, placed_at, order_id)
SELECT DISTINCT u.location_id, o.placed_at, o.id
FROM order_unit u JOIN sales_order o ON o.id = u.order_id
WHERE u.location_id IS NOT NULL
ORDER BY 1, 2, 3;

-- Which balances are down to their safety stock. No claim changes `safety`, so none writes this index.
CREATE INDEX balance_safety ON balance (location_id, sku_id) WHERE safety > 0;
