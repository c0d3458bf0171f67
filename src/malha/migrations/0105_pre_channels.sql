-- Category, attributes and pictures of a product, and the options of a variant, can be kept elsewhere, too.
ALTER TABLE product_owner DROP CONSTRAINT product_owner_field_check;
ALTER TABLE product_owner ADD CONSTRAINT product_owner_field_check CHECK (field IN (
    'name', 'description', 'brand', 'category', 'ncm', 'cest', 'origin', 'attributes', 'pictures', 'variant_name', 'gtin',
    'options', 'weight', 'dimensions', 'price'));

-- What becomes of categories that a connection tells and nobody here knows: products wait for a person, or they are made.
ALTER TABLE connection_master ADD COLUMN categories text NOT NULL DEFAULT 'held' CHECK (categories IN ('held', 'made'));

-- Categories as a connection tells them (a code, or a path of names), and which of ours each is; null: nobody said so.
CREATE TABLE category_mapping (
    connection_id int NOT NULL REFERENCES connection (id) ON DELETE CASCADE,
    theirs text NOT NULL CHECK (theirs <> ''),
    ours int REFERENCES category (id) ON DELETE SET NULL,
    seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (connection_id, theirs)
);
