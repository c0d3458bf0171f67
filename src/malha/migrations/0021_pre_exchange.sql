-- Tables that people bring: the file in pieces, what each heading means, how far it is, and the rows that were refused.
-- The file is here and not on a disk, so that any worker goes on where another one was killed.
CREATE TABLE import_run (
    id uuid PRIMARY KEY,
    number integer GENERATED ALWAYS AS IDENTITY UNIQUE,
    kind text NOT NULL CHECK (kind IN ('products', 'prices', 'stock', 'locations', 'customers')),
    name text NOT NULL,
    state text NOT NULL CHECK (state IN ('uploading', 'mapping', 'checking', 'checked', 'applying', 'done', 'stopped',
                                         'failed')),
    bytes bigint NOT NULL DEFAULT 0,
    encoding text NOT NULL DEFAULT '',
    delimiter text NOT NULL DEFAULT '',
    header jsonb NOT NULL DEFAULT '[]',
    sample jsonb NOT NULL DEFAULT '[]',  -- the first rows, as the file has them
    mapping jsonb NOT NULL DEFAULT '{}',  -- heading -> column, "" for none
    turn smallint NOT NULL DEFAULT 0,
    at_line integer NOT NULL DEFAULT 0,  -- of this turn, everything up to here is committed
    total integer,  -- rows, known when the file was read once
    seen integer NOT NULL DEFAULT 0,
    created integer NOT NULL DEFAULT 0,
    changed integer NOT NULL DEFAULT 0,
    unchanged integer NOT NULL DEFAULT 0,
    bad integer NOT NULL DEFAULT 0,
    warned integer NOT NULL DEFAULT 0,
    error jsonb,
    actor text NOT NULL,
    person text NOT NULL,
    permissions jsonb,
    locations jsonb,
    uploaded_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    ended_at timestamptz
);
CREATE INDEX import_run_by_actor ON import_run (actor, number DESC);

CREATE TABLE import_part (
    run_id uuid NOT NULL REFERENCES import_run ON DELETE CASCADE,
    part integer NOT NULL,
    data bytea NOT NULL,
    PRIMARY KEY (run_id, part)
);
ALTER TABLE import_part ALTER COLUMN data SET STORAGE EXTERNAL;

-- Refused rows (and warnings) with their cells: they make the file to mend and send again.
CREATE TABLE import_flaw (
    run_id uuid NOT NULL REFERENCES import_run ON DELETE CASCADE,
    line integer NOT NULL,
    refused boolean NOT NULL,
    cells jsonb NOT NULL,
    problems jsonb NOT NULL,
    PRIMARY KEY (run_id, line)
);

-- What a person said that headings mean, for the next file with the same ones.
CREATE TABLE import_mapping (
    actor text NOT NULL,
    kind text NOT NULL,
    signature text NOT NULL,
    mapping jsonb NOT NULL,
    used_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (actor, kind, signature)
);
