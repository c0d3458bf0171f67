-- A connection that keeps fields of products, those of the catalogue's `product_owner`.
CREATE TABLE connection_master (
    connection_id int PRIMARY KEY REFERENCES connection (id) ON DELETE CASCADE,
    fields text[] NOT NULL,
    version int NOT NULL CHECK (version > 0)
);

-- What a channel tells of a variant beside what has a column, by the name of the field; and whether that is still to be
-- written into the product, of a connection that keeps fields.
ALTER TABLE channel_variant ADD COLUMN told jsonb NOT NULL DEFAULT '{}', ADD COLUMN to_take boolean NOT NULL DEFAULT false;
CREATE INDEX channel_variant_to_take ON channel_variant (connection_id, code) WHERE to_take AND sku_id IS NOT NULL;

-- What a connection told of a product that could not be written, and why: the last word of each.
CREATE TABLE product_held (
    connection_id int NOT NULL REFERENCES connection (id) ON DELETE CASCADE,
    product text NOT NULL,
    flaws jsonb NOT NULL,                          -- of platform.flaws.Flaw
    since timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (connection_id, product)
);
