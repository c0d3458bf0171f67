-- Which fields of products are kept elsewhere, and by whom: a field has one owner at most. `owner` is its code, `name`
-- what people call it; who that may be the catalogue does not know.
CREATE TABLE product_owner (
    field text PRIMARY KEY CHECK (field IN ('name', 'description', 'brand', 'ncm', 'cest', 'origin', 'variant_name',
                                            'gtin', 'weight', 'dimensions', 'price')),
    owner text NOT NULL,
    name text NOT NULL
);

-- Which variants an owner tells of: only theirs are its fields locked.
CREATE TABLE variant_owner (
    variant_id int NOT NULL REFERENCES variant (id) ON DELETE CASCADE,
    owner text NOT NULL,
    PRIMARY KEY (variant_id, owner)
);
