-- What channels show of stock: compared with what they were told, or the truth of places of theirs.

-- Places of a peer have names too.
ALTER TABLE method_mapping DROP CONSTRAINT method_mapping_kind_check;
ALTER TABLE method_mapping ADD CONSTRAINT method_mapping_kind_check CHECK (kind IN ('payment', 'shipping', 'location')) NOT VALID;
ALTER TABLE method_mapping VALIDATE CONSTRAINT method_mapping_kind_check;

-- A connection that states stock, for a source; places of it that are mapped are read every so often.
CREATE TABLE connection_stock_role (
    connection_id int PRIMARY KEY REFERENCES connection (id) ON DELETE CASCADE,
    source_id int NOT NULL UNIQUE REFERENCES stock_source (id),
    scope text NOT NULL CHECK (scope IN ('whole', 'partial')),
    minutes int NOT NULL CHECK (minutes BETWEEN 1 AND 1440),
    version int NOT NULL DEFAULT 1
);

-- One comparison: two readings, and what differed in both.
CREATE TABLE stock_look (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    connection_id int NOT NULL REFERENCES connection (id) ON DELETE CASCADE,
    began_at timestamptz NOT NULL,
    ended_at timestamptz NOT NULL DEFAULT now(),
    shown int NOT NULL,                           -- variants the channel shows
    listed int NOT NULL,                          -- listings here that were looked at
    passing int NOT NULL,                         -- differed at the first reading only
    underway int NOT NULL,                        -- not compared: being told
    differing int NOT NULL
);
CREATE INDEX stock_look_newest ON stock_look (connection_id, id DESC);

CREATE TABLE stock_difference (
    look_id bigint NOT NULL REFERENCES stock_look (id) ON DELETE CASCADE,
    code text NOT NULL,                           -- as the channel calls it
    sku_id int REFERENCES variant (id),           -- null: we list nothing under this code
    cause text NOT NULL CHECK (cause IN ('changed', 'missing', 'refused', 'behind', 'never_told', 'push_off', 'delisted', 'unlisted')),
    shown int,                                    -- null: the channel does not have it
    told int,
    ours int NOT NULL,
    places jsonb,                                 -- what of it is where, in the peer's words
    since timestamptz NOT NULL,                   -- it has differed at every look since then
    told_again_at timestamptz,                    -- somebody had it told again after this look
    repairs int NOT NULL DEFAULT 0,               -- looks after which it was told again, and differed all the same
    PRIMARY KEY (look_id, code)
);
CREATE INDEX stock_difference_cause ON stock_difference (look_id, cause);
