-- What becomes of variants that a connection tells and nobody here knows: nothing, held for a person to accept, or made
-- products at once.
ALTER TABLE connection_master ADD COLUMN creates text NOT NULL DEFAULT 'never' CHECK (creates IN ('never', 'held', 'once'));

-- Variants that were accepted together, so that they can be taken back together.
CREATE TABLE product_batch (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    connection_id int NOT NULL REFERENCES connection (id) ON DELETE CASCADE,
    asked int NOT NULL CHECK (asked > 0),
    at timestamptz NOT NULL DEFAULT now(),
    person text NOT NULL,
    undo_at timestamptz,                           -- somebody asked to take it back
    undo_actor text,
    undo_person text,
    ended_at timestamptz                           -- it was
);
CREATE INDEX product_batch_of ON product_batch (connection_id, id);

-- What was made of it: the channel's code, and the SKU and product here, which may be gone since.
CREATE TABLE product_made (
    batch_id bigint NOT NULL REFERENCES product_batch (id) ON DELETE CASCADE,
    code text NOT NULL,
    sku text NOT NULL,
    product text NOT NULL,
    state text NOT NULL DEFAULT 'made' CHECK (state IN ('made', 'undone', 'kept')),  -- kept: something refers to it
    PRIMARY KEY (batch_id, code)
);

-- The channel's product of a variant (empty: it stands alone); whether it is to be made one of ours, by which acceptance,
-- and why it could not be: of platform.flaws.Flaw.
ALTER TABLE channel_variant ADD COLUMN parent text NOT NULL DEFAULT '', ADD COLUMN to_make boolean NOT NULL DEFAULT false,
    ADD COLUMN make_batch bigint REFERENCES product_batch (id) ON DELETE SET NULL, ADD COLUMN make_flaws jsonb;
CREATE INDEX channel_variant_to_make ON channel_variant (connection_id, parent, code) WHERE to_make AND sku_id IS NULL;
CREATE INDEX channel_variant_parent ON channel_variant (connection_id, parent) WHERE parent <> '';
CREATE INDEX channel_variant_batch ON channel_variant (make_batch) WHERE make_batch IS NOT NULL;
