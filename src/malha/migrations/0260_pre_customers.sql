-- A person who is looked for in large tables before they are erased: who asked for it and why, and since when. Until it
-- is done or refused; it names nobody but by their profile.
CREATE TABLE erasure_search (
    customer_id uuid PRIMARY KEY REFERENCES customer ON DELETE CASCADE,
    actor text NOT NULL,
    person text NOT NULL,
    reason text NOT NULL,
    begun_at timestamptz DEFAULT now() NOT NULL,
    tries integer DEFAULT 0 NOT NULL,
    known text,                    -- a digest of what they are looked for by
    since text,                    -- the first transaction that may not have been seen
    log_end bigint,
    positions bigint[],            -- of their events up to the log's end
    refused jsonb
);

-- How far a column of a table was looked through, and where it names the person.
CREATE TABLE erasure_search_place (
    customer_id uuid NOT NULL REFERENCES erasure_search ON DELETE CASCADE,
    place text NOT NULL,           -- table and column
    file oid NOT NULL,             -- the table's; written anew, its rows have other places
    blocks bigint NOT NULL,
    looked bigint DEFAULT 0 NOT NULL,
    found text[] DEFAULT '{}' NOT NULL,
    PRIMARY KEY (customer_id, place)
);
