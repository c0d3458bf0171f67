-- What a SKU costs on a channel; null: what the catalogue says, as where there is no row. Apart from `listing`: it can be
-- said before anything is listed, and does not make rows wider that every change of stock writes anew.
CREATE TABLE listing_price (
    channel_id int NOT NULL REFERENCES channel (id),
    sku_id int NOT NULL REFERENCES variant (id) ON DELETE CASCADE,
    price int CHECK (price > 0),                  -- centavos
    version int NOT NULL DEFAULT 1,
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (channel_id, sku_id)
);
CREATE INDEX listing_price_sku ON listing_price (sku_id);
