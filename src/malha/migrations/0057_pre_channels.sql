-- Feeds: files of what a channel sells, as a target wants them, built in resumable pieces.

CREATE TABLE feed (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code text NOT NULL UNIQUE CHECK (code <> ''),
    name text NOT NULL,
    channel_id integer NOT NULL REFERENCES channel (id),
    plan jsonb NOT NULL,                          -- channels.feeds.model.Plan: profile, format, mapping, filters
    active boolean NOT NULL DEFAULT true,         -- built on schedule, and its address answers
    full_minutes integer CHECK (full_minutes > 0),
    changes_minutes integer CHECK (changes_minutes > 0),
    next_full_at timestamptz,
    next_changes_at timestamptz,
    push_url text,
    push_secret bytea,                            -- sealed; sent as `Authorization`
    salt bytea NOT NULL,                          -- the address follows from it and from the secret key
    version integer NOT NULL DEFAULT 1,
    baseline uuid,                                -- the full build that `feed_row` tells of; null: none does
    pulled_at timestamptz,
    pulls integer NOT NULL DEFAULT 0,             -- in the minute that began at `pulls_since`
    pulls_since timestamptz NOT NULL DEFAULT '-infinity'
);
CREATE INDEX feed_channel ON feed (channel_id);

CREATE TABLE feed_build (
    id uuid PRIMARY KEY,
    number integer GENERATED ALWAYS AS IDENTITY UNIQUE,
    feed_id integer NOT NULL REFERENCES feed ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('full', 'changes')),
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'building', 'done', 'failed', 'stopped')),
    plan jsonb NOT NULL,                          -- as it was when the build was asked for
    seen text NOT NULL DEFAULT '',                -- what all rows depend on, as it was at the start
    position bigint NOT NULL DEFAULT 0,           -- of stock, at the start
    at_sku integer NOT NULL DEFAULT 0,            -- everything up to here is committed
    parts integer NOT NULL DEFAULT 0,
    total integer NOT NULL DEFAULT 0,             -- listings to look at
    looked integer NOT NULL DEFAULT 0,
    rows bigint NOT NULL DEFAULT 0,               -- written
    removed bigint NOT NULL DEFAULT 0,            -- of `rows`: say that something is gone
    refused bigint NOT NULL DEFAULT 0,            -- left out because of an error
    warned bigint NOT NULL DEFAULT 0,             -- written although something is odd
    size bigint NOT NULL DEFAULT 0,              -- unpacked
    packed bigint NOT NULL DEFAULT 0,
    crc bigint NOT NULL DEFAULT 0,                -- of the unpacked bytes so far
    digest bytea NOT NULL DEFAULT '',             -- of the pieces so far: the same content has the same
    problem text NOT NULL DEFAULT '',
    by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    ended_at timestamptz,
    push_state text NOT NULL DEFAULT '' CHECK (push_state IN ('', 'waiting', 'done', 'failed')),
    push_error text NOT NULL DEFAULT ''
);
CREATE INDEX feed_build_feed ON feed_build (feed_id, number DESC);
-- One at a time: two builds of one feed would write over each other's rows.
CREATE UNIQUE INDEX feed_build_open ON feed_build (feed_id) WHERE state IN ('waiting', 'building');

-- The file, gzipped, in pieces: whatever worker goes on, whatever web process sends it.
CREATE TABLE feed_part (
    build_id uuid NOT NULL REFERENCES feed_build ON DELETE CASCADE,
    part integer NOT NULL,
    data bytea NOT NULL,
    PRIMARY KEY (build_id, part)
);
ALTER TABLE feed_part ALTER COLUMN data SET STORAGE EXTERNAL;

-- How many rows of a build each rule found something in (`error`, `warning`), or a filter left out (`filter`).
CREATE TABLE feed_count (
    build_id uuid NOT NULL REFERENCES feed_build ON DELETE CASCADE,
    severity text NOT NULL CHECK (severity IN ('error', 'warning', 'filter')),
    rule text NOT NULL,
    field text NOT NULL DEFAULT '',
    rows bigint NOT NULL,
    PRIMARY KEY (build_id, severity, rule, field)
);

-- The rows to mend, all of them.
CREATE TABLE feed_flaw (
    build_id uuid NOT NULL REFERENCES feed_build ON DELETE CASCADE,
    sku_id integer NOT NULL,
    place text NOT NULL DEFAULT '',               -- code of the location, where rows are per location
    rule text NOT NULL,
    field text NOT NULL,
    severity text NOT NULL CHECK (severity IN ('error', 'warning')),
    value text NOT NULL DEFAULT '',
    PRIMARY KEY (build_id, sku_id, place, rule, field)
);

-- What the last full file says of each listing; what changed since is found by comparing with it.
CREATE TABLE feed_row (
    feed_id integer NOT NULL REFERENCES feed ON DELETE CASCADE,
    sku_id integer NOT NULL,
    stamp bigint NOT NULL,                        -- of the catalogue's rows and the listing
    keys text[] NOT NULL,                         -- of the written rows; empty when none was
    digest bytea NOT NULL,                        -- of the written rows
    checked text,                                 -- the id, where nothing else keeps it from being there twice
    PRIMARY KEY (feed_id, sku_id)
) WITH (fillfactor = 80);
CREATE INDEX feed_row_checked ON feed_row (feed_id, checked) WHERE checked IS NOT NULL;

-- Listings that a build of changes has to look at.
CREATE TABLE feed_todo (
    build_id uuid NOT NULL REFERENCES feed_build ON DELETE CASCADE,
    sku_id integer NOT NULL,
    PRIMARY KEY (build_id, sku_id)
);
