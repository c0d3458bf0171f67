-- Those who state stock from outside (an ERP, a warehouse system, tills), and what they stated.
CREATE TABLE stock_source (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code text NOT NULL UNIQUE,
    name text NOT NULL,
    leaves text NOT NULL DEFAULT 'ship' CHECK (leaves IN ('pick', 'pack', 'invoice', 'ship')),  -- when units leave its books
    skew_seconds integer NOT NULL DEFAULT 2 CHECK (skew_seconds BETWEEN 0 AND 3600),
    zero_percent smallint NOT NULL DEFAULT 20 CHECK (zero_percent BETWEEN 0 AND 100),
    zero_rule text NOT NULL DEFAULT 'ask' CHECK (zero_rule IN ('ask', 'refuse')),
    active boolean NOT NULL DEFAULT true,
    last_seq bigint NOT NULL DEFAULT -1,          -- of the snapshots that were accepted
    version integer NOT NULL DEFAULT 1
);

-- One source is the truth of a location; others may be declared beside it: their snapshots are compared, never applied.
CREATE TABLE stock_source_location (
    source_id integer NOT NULL REFERENCES stock_source,
    location_id integer NOT NULL REFERENCES location,
    role text NOT NULL CHECK (role IN ('truth', 'secondary')),
    last_seq bigint,                              -- of the newest accepted snapshot that spoke of the location
    last_as_of timestamptz,
    PRIMARY KEY (source_id, location_id)
);
CREATE UNIQUE INDEX stock_source_truth ON stock_source_location (location_id) WHERE role = 'truth';
CREATE INDEX stock_source_at ON stock_source_location (location_id);

CREATE TABLE stock_snapshot (
    id uuid PRIMARY KEY,
    number integer GENERATED ALWAYS AS IDENTITY UNIQUE,
    source_id integer NOT NULL REFERENCES stock_source,
    seq bigint NOT NULL,
    as_of timestamptz NOT NULL,
    scope text NOT NULL CHECK (scope IN ('whole', 'partial')),
    state text NOT NULL CHECK (state IN ('receiving', 'waiting', 'applying', 'applied', 'refused', 'cancelled', 'failed')),
    name text NOT NULL DEFAULT '',
    client text NOT NULL,                         -- who sent it, with its own idempotency keys
    key text,
    digest bytea,                                 -- of the file as it came
    bytes bigint NOT NULL DEFAULT 0,
    rows integer NOT NULL DEFAULT 0,
    held integer NOT NULL DEFAULT 0,              -- rows kept aside because of what is wrong with them
    differing integer NOT NULL DEFAULT 0,         -- balances to look at under their locks
    absent integer NOT NULL DEFAULT 0,            -- of them, not mentioned: they go to zero
    zeroed integer NOT NULL DEFAULT 0,
    stocked integer NOT NULL DEFAULT 0,           -- balances above zero at its locations when it came
    done integer NOT NULL DEFAULT 0,
    changed integer NOT NULL DEFAULT 0,
    reviewed integer NOT NULL DEFAULT 0,
    through_sku integer NOT NULL DEFAULT 0,       -- everything up to this key is committed
    through_location integer NOT NULL DEFAULT 0,
    reason jsonb,                                 -- why it was refused or failed
    person text NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    accepted_at timestamptz,
    ended_at timestamptz
);
CREATE UNIQUE INDEX stock_snapshot_key ON stock_snapshot (client, key) WHERE key IS NOT NULL;
CREATE UNIQUE INDEX stock_snapshot_seq ON stock_snapshot (source_id, seq) WHERE accepted_at IS NOT NULL;
CREATE INDEX stock_snapshot_unfinished ON stock_snapshot (source_id) WHERE state IN ('waiting', 'applying');

-- What differs: the balances a snapshot has to look at. Unchanged rows never come here.
CREATE TABLE stock_snapshot_row (
    snapshot_id uuid NOT NULL REFERENCES stock_snapshot ON DELETE CASCADE,
    sku_id integer NOT NULL,
    location_id integer NOT NULL,
    stated integer NOT NULL,
    mentioned boolean NOT NULL,
    underway integer NOT NULL DEFAULT 0,          -- left the source's books, still on the shelf here
    PRIMARY KEY (snapshot_id, sku_id, location_id)
);

CREATE TABLE stock_snapshot_held (
    snapshot_id uuid NOT NULL REFERENCES stock_snapshot ON DELETE CASCADE,
    row integer NOT NULL,                         -- of the file; its headings are row 1
    sku text NOT NULL,
    location text NOT NULL,
    stated text NOT NULL,
    problem text NOT NULL,                        -- inventory.sync.model.Problem
    PRIMARY KEY (snapshot_id, row)
);

CREATE TABLE stock_snapshot_location (
    snapshot_id uuid NOT NULL REFERENCES stock_snapshot ON DELETE CASCADE,
    location_id integer NOT NULL,
    rows integer NOT NULL,
    changed integer NOT NULL DEFAULT 0,
    reviewed integer NOT NULL DEFAULT 0,
    more bigint NOT NULL DEFAULT 0,               -- units added and taken away by it
    fewer bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (snapshot_id, location_id)
);

-- Where a source and Malha do not agree and nobody may guess. One row per source and balance, stated anew.
CREATE TABLE stock_drift (
    id uuid PRIMARY KEY,
    source_id integer NOT NULL REFERENCES stock_source,
    sku_id integer NOT NULL REFERENCES variant,
    location_id integer NOT NULL REFERENCES location,
    snapshot_id uuid,
    kind text NOT NULL CHECK (kind IN ('window', 'compared', 'negative', 'late')),
    state text NOT NULL CHECK (state IN ('open', 'explained', 'agreed', 'theirs', 'ours', 'counting')),
    as_of timestamptz NOT NULL,
    seq bigint,
    theirs integer NOT NULL,
    ours integer NOT NULL,
    underway integer NOT NULL,
    later integer NOT NULL,
    in_window integer NOT NULL,
    allocated integer NOT NULL,
    unexplained integer NOT NULL,                 -- theirs + underway + later - ours
    found_at timestamptz NOT NULL DEFAULT now(),
    settled_at timestamptz,
    settled_by text,
    version integer NOT NULL DEFAULT 1,
    UNIQUE (source_id, sku_id, location_id)
);
CREATE INDEX stock_drift_open ON stock_drift (found_at DESC, id) WHERE state IN ('open', 'counting');

-- Each change a source reported, by the source's own reference: reported twice, it counts once.
CREATE TABLE stock_delta (
    source_id integer NOT NULL,
    ref text NOT NULL,
    sku_id integer NOT NULL,
    location_id integer NOT NULL,
    quantity integer NOT NULL,
    sets boolean NOT NULL,
    outcome text NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source_id, ref)
);
CREATE INDEX stock_delta_recorded ON stock_delta USING brin (recorded_at);
