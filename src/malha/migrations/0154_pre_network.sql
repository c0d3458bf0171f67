-- What one order of a channel may want of one SKU before a person has looked at it; none: any quantity.
ALTER TABLE channel ADD COLUMN most_units integer CHECK (most_units BETWEEN 1 AND 1000000);
