-- What connections made products of at once, with nobody accepting it: the channel's code, the SKU and product here, which
-- may be gone since, and what became of it. Going: somebody asked to take it back. Kept: something refers to it.
CREATE TABLE product_at_once (
    connection_id int NOT NULL REFERENCES connection (id) ON DELETE CASCADE,
    code text NOT NULL,
    sku text NOT NULL,
    product text NOT NULL,
    made_at timestamptz NOT NULL DEFAULT now(),
    state text NOT NULL DEFAULT 'made' CHECK (state IN ('made', 'going', 'undone', 'kept')),
    reasons text[] NOT NULL DEFAULT '{}',          -- why it was kept
    undo_at timestamptz,
    undo_actor text,
    undo_person text,
    PRIMARY KEY (connection_id, code)
);
CREATE INDEX product_at_once_newest ON product_at_once (connection_id, made_at, code);
CREATE INDEX product_at_once_going ON product_at_once (undo_at, connection_id) WHERE state = 'going';

-- A person decides of it, though its connection makes products at once.
ALTER TABLE channel_variant ADD COLUMN held boolean NOT NULL DEFAULT false;
