-- What is sold: products, their variants (SKU), categories, attributes, media, kits, tax classification.

CREATE TABLE category (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    parent_id integer REFERENCES category,
    code text NOT NULL UNIQUE,
    name text NOT NULL,
    path text NOT NULL                            -- codes from the root, '/'-joined: prefix search
);
CREATE INDEX category_path ON category (path text_pattern_ops);

CREATE TABLE product (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code text NOT NULL UNIQUE,
    name text NOT NULL,
    description text NOT NULL DEFAULT '',
    brand text,
    category_id integer REFERENCES category,
    ncm text,                                     -- 8 digits
    cest text,                                    -- 7 digits
    origin smallint NOT NULL DEFAULT 0 CHECK (origin BETWEEN 0 AND 8),  -- NF-e origin of goods
    options jsonb NOT NULL DEFAULT '[]',          -- names of the options that tell variants apart: ["color", "size"]
    attributes jsonb NOT NULL DEFAULT '{}',
    active boolean NOT NULL DEFAULT true,
    version integer NOT NULL DEFAULT 1
);
CREATE INDEX product_category ON product (category_id);

CREATE TABLE variant (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,   -- SkuId everywhere else
    product_id integer NOT NULL REFERENCES product,
    sku text NOT NULL UNIQUE,
    name text NOT NULL,                           -- shown on orders: product name and options
    gtin text,                                    -- 8, 12, 13 or 14 digits, check digit verified
    options jsonb NOT NULL DEFAULT '{}',
    weight_grams integer NOT NULL DEFAULT 0 CHECK (weight_grams >= 0),
    length_mm integer NOT NULL DEFAULT 0 CHECK (length_mm >= 0),
    width_mm integer NOT NULL DEFAULT 0 CHECK (width_mm >= 0),
    height_mm integer NOT NULL DEFAULT 0 CHECK (height_mm >= 0),
    price integer CHECK (price >= 0),             -- reference price in centavos, until price lists exist
    is_kit boolean NOT NULL DEFAULT false,
    active boolean NOT NULL DEFAULT true,
    folded text NOT NULL DEFAULT '',              -- searched text: names, codes, brand, GTIN; accents and case folded
    version integer NOT NULL DEFAULT 1
);
CREATE INDEX variant_product ON variant (product_id);
CREATE UNIQUE INDEX variant_gtin ON variant (gtin) WHERE gtin IS NOT NULL;
CREATE INDEX variant_folded ON variant USING gin (folded gin_trgm_ops);

CREATE TABLE kit_component (
    kit_id integer NOT NULL REFERENCES variant,
    component_id integer NOT NULL REFERENCES variant,
    quantity integer NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (kit_id, component_id),
    CHECK (kit_id <> component_id)
);
CREATE INDEX kit_component_component ON kit_component (component_id);

CREATE TABLE media (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    product_id integer NOT NULL REFERENCES product,
    variant_id integer REFERENCES variant,
    position smallint NOT NULL DEFAULT 0,
    url text NOT NULL,
    alt text NOT NULL DEFAULT ''
);
CREATE INDEX media_product ON media (product_id);
CREATE INDEX media_variant ON media (variant_id);
