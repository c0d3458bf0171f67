-- Prices of stock: what a unit is worth where it is, for orders to come. A decision's record keeps the prices it saw, so old versions go.

CREATE TABLE stock_price_version (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    made_at timestamptz NOT NULL DEFAULT now(),
    method text NOT NULL CHECK (method IN ('programme', 'closed_form')),
    baskets integer NOT NULL,                     -- baskets of the past it was made from
    bound_gap double precision,                   -- of the programme's certificate
    saving double precision NOT NULL,             -- share of cost that prices saved on baskets they were not made from
    seconds double precision NOT NULL,
    in_force boolean NOT NULL                     -- at most the newest
);
CREATE TABLE stock_price (
    version_id integer NOT NULL REFERENCES stock_price_version ON DELETE CASCADE,
    sku_id integer NOT NULL,
    location_id integer NOT NULL REFERENCES location ON DELETE CASCADE,
    price bigint NOT NULL CHECK (price > 0),      -- centavos a unit
    PRIMARY KEY (version_id, sku_id, location_id)
);
