-- What a product says of itself, without its variants, prices, kits, substitutes and pictures: `version` moves with all of
-- it. Who makes something of each variant need not look again at all of them when one has another price.
ALTER TABLE product ADD COLUMN own_version integer NOT NULL DEFAULT 1;
