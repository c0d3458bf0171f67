-- What channels sell, as they or their orders name it, and which of ours each is.
CREATE TABLE channel_variant (
    connection_id int NOT NULL REFERENCES connection (id) ON DELETE CASCADE,
    code text NOT NULL CHECK (code <> ''),        -- how orders and stock name it: its SKU there, else its id or GTIN
    external_id text NOT NULL DEFAULT '',
    gtin text NOT NULL DEFAULT '',
    name text NOT NULL DEFAULT '',
    price bigint,
    active boolean NOT NULL DEFAULT true,
    version bigint NOT NULL DEFAULT 0,
    source text NOT NULL CHECK (source IN ('catalog', 'order')),
    sku_id int REFERENCES variant (id),           -- null: nobody said yet
    how text CHECK (how IN ('exact', 'gtin', 'sku', 'name', 'person')),
    ignored boolean NOT NULL DEFAULT false,       -- a person said that it is none of ours
    seen_at timestamptz NOT NULL DEFAULT now(),
    mapped_at timestamptz,
    PRIMARY KEY (connection_id, code),
    CHECK ((sku_id IS NULL) = (how IS NULL))
) WITH (fillfactor = 80);
CREATE INDEX channel_variant_open ON channel_variant (connection_id, code) WHERE sku_id IS NULL;
CREATE INDEX channel_variant_sku ON channel_variant (sku_id) WHERE sku_id IS NOT NULL;

-- SKUs that differ only in case, spaces and punctuation are suggested for one another.
CREATE INDEX variant_squeezed ON variant (upper(regexp_replace(sku, '[^A-Za-z0-9]', '', 'g')));
