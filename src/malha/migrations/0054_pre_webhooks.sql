-- What happens, told to programs of others.

-- Who is told, what, and how it went lately. What a row may be told is bounded by the rights of who wrote it.
CREATE TABLE webhook_endpoint (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL CHECK (name <> ''),
    url text NOT NULL,
    types text[] NOT NULL CHECK (cardinality(types) > 0), -- names and families: order.placed, stock.*, *
    permissions text[] NOT NULL,                  -- what it may know of
    locations integer[],                          -- null: all; else only what concerns one of these
    channels integer[],                           -- null: all; else only orders of these
    ordered boolean NOT NULL DEFAULT false,       -- later events of an aggregate wait behind one that fails
    state text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'paused', 'disabled')),
    why text,                                     -- of a disabled one: gone, failing
    secret bytea NOT NULL,                        -- sealed
    former_secret bytea,                          -- sealed; signs too until then
    former_until timestamptz,
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL,
    stopped_at timestamptz,
    stopped_position bigint,                      -- up to here events were put in line; null while active
    -- How the address does. Written only when that changes.
    failures integer NOT NULL DEFAULT 0,          -- of the server, in a row
    opened integer NOT NULL DEFAULT 0,            -- times in a row that it was left alone
    open_until timestamptz,                       -- it is left alone until then; afterwards one is tried
    trial_until timestamptz,
    rest_until timestamptz,                       -- it asked for rest (Retry-After)
    failing_since timestamptz,                    -- no success since
    error text,                                   -- the last failure
    CHECK ((state = 'active') = (stopped_position IS NULL)),
    CHECK ((former_secret IS NULL) = (former_until IS NULL))
) WITH (fillfactor = 70);

-- One event for one endpoint: in line, delivered, or given up. The body is made from the log when it is sent.
-- `position` orders and identifies: an event put in line again is the same row. Foreign key to the log there is none, its
-- partitions go; they outlive these rows by far.
CREATE TABLE webhook_delivery (
    endpoint_id integer NOT NULL REFERENCES webhook_endpoint ON DELETE CASCADE,
    position bigint NOT NULL,
    key text NOT NULL,
    type text NOT NULL,
    at timestamptz NOT NULL,                      -- when it happened
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'delivered', 'failed')),
    attempts smallint NOT NULL DEFAULT 0,
    replays smallint NOT NULL DEFAULT 0,
    next_at timestamptz NOT NULL DEFAULT now(),
    taken_until timestamptz,                      -- a worker has it in hand
    done_at timestamptz,
    status smallint,                              -- of the last answer
    ms integer,                                   -- it took
    error text,
    PRIMARY KEY (endpoint_id, position),
    CHECK ((state = 'waiting') = (done_at IS NULL))
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.05);
-- What is in line, for claims and the backlog; by aggregate, for those that keep the order; what was given up; the ring.
CREATE INDEX webhook_delivery_waiting ON webhook_delivery (endpoint_id, position) WHERE state = 'waiting';
CREATE INDEX webhook_delivery_key ON webhook_delivery (endpoint_id, key, position) WHERE state = 'waiting';
CREATE INDEX webhook_delivery_failed ON webhook_delivery (endpoint_id, position) WHERE state = 'failed';
CREATE INDEX webhook_delivery_done ON webhook_delivery (done_at) WHERE state <> 'waiting';

-- Every attempt but a first one that succeeded, which its delivery describes in full; and test events (position null).
CREATE TABLE webhook_attempt (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    endpoint_id integer NOT NULL REFERENCES webhook_endpoint ON DELETE CASCADE,
    position bigint,
    at timestamptz NOT NULL DEFAULT now(),
    status smallint,
    ms integer NOT NULL,
    error text,
    answer text                                   -- how the body began, without what looks like a secret
);
CREATE INDEX webhook_attempt_delivery ON webhook_attempt (endpoint_id, position, id);
CREATE INDEX webhook_attempt_at ON webhook_attempt (at);

-- How an endpoint did, minute by minute: counts, how long answers took (buckets of webhooks.rules.BUCKETS_MS), and the
-- longest way from what happened to the attempt.
CREATE TABLE webhook_minute (
    endpoint_id integer NOT NULL REFERENCES webhook_endpoint ON DELETE CASCADE,
    minute timestamptz NOT NULL,
    delivered integer NOT NULL DEFAULT 0,
    failed integer NOT NULL DEFAULT 0,
    took integer[] NOT NULL,
    lag_ms bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (endpoint_id, minute)
) WITH (fillfactor = 50);
CREATE INDEX webhook_minute_minute ON webhook_minute (minute);

-- For "what happened between", asked for by people who lost something: the log is nearly in the order of time.
CREATE INDEX event_at ON event USING brin (at) WITH (pages_per_range = 32);
