-- Connections to channels: what they are, what came in, what goes out, and how their peers are.

-- One account at one peer. Secrets are sealed; of a secret that is being replaced the former is believed for a while.
CREATE TABLE connection (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code text NOT NULL UNIQUE CHECK (code <> ''),
    name text NOT NULL,
    connector text NOT NULL,                      -- key of what speaks with the peer
    channel_id int NOT NULL REFERENCES channel (id),
    config jsonb NOT NULL,
    secrets bytea,                                -- sealed, all of them together
    former_secrets bytea,
    former_until timestamptz,
    status text NOT NULL CHECK (status IN ('active', 'paused', 'broken')),
    why text NOT NULL DEFAULT '',                 -- it is broken
    checked_at timestamptz,
    check_says text NOT NULL DEFAULT '',
    prices_seen bigint NOT NULL DEFAULT -1,       -- revision of the catalogue whose prices were looked at
    version int NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX connection_channel ON connection (channel_id);

-- What all workers share about how a peer may be asked; written with each call.
CREATE TABLE connection_pace (
    connection_id int PRIMARY KEY REFERENCES connection (id) ON DELETE CASCADE,
    bucket jsonb,
    breaker jsonb,
    calls bigint NOT NULL DEFAULT 0,
    failures bigint NOT NULL DEFAULT 0,
    refused bigint NOT NULL DEFAULT 0,            -- webhooks whose signature did not fit
    refused_at timestamptz,
    limited_at timestamptz                        -- last 429
) WITH (fillfactor = 60);

-- Tokens that run out. One renews them: who has `renewing_until`.
CREATE TABLE connection_token (
    connection_id int PRIMARY KEY REFERENCES connection (id) ON DELETE CASCADE,
    tokens bytea NOT NULL,                        -- sealed
    expires_at timestamptz,
    generation int NOT NULL DEFAULT 1,
    renewing_until timestamptz
);

-- The last calls of a connection, for support: a ring.
CREATE TABLE api_log (
    connection_id int NOT NULL REFERENCES connection (id) ON DELETE CASCADE,
    slot int NOT NULL,
    at timestamptz NOT NULL,
    operation text NOT NULL,
    method text NOT NULL,
    path text NOT NULL,
    status int,                                   -- none came
    ms int NOT NULL,
    says text NOT NULL DEFAULT '',
    PRIMARY KEY (connection_id, slot)
) WITH (fillfactor = 70);

-- How far a stream was read. Moves in the transaction that keeps what was read.
CREATE TABLE connection_cursor (
    connection_id int NOT NULL REFERENCES connection (id) ON DELETE CASCADE,
    stream text NOT NULL,
    value text,
    since timestamptz,                            -- where reading begins when there is no value
    read_at timestamptz,
    next_at timestamptz NOT NULL DEFAULT now(),
    taken_until timestamptz,
    handles text[] NOT NULL DEFAULT '{}',         -- to be acknowledged
    failures int NOT NULL DEFAULT 0,
    error text,
    PRIMARY KEY (connection_id, stream)
);

-- What came in, by webhook or by reading; each thing once. Those of one entity are handled in their order.
CREATE TABLE channel_inbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    connection_id int NOT NULL REFERENCES connection (id) ON DELETE CASCADE,
    dedup text NOT NULL,
    entity text NOT NULL,
    source text NOT NULL CHECK (source IN ('webhook', 'pull')),
    trust text NOT NULL CHECK (trust IN ('data', 'hint')),
    payload bytea NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'unmapped', 'parked', 'done', 'stale', 'dropped')),
    attempts int NOT NULL DEFAULT 0,              -- times it was taken: the fence of whoever has it
    failures int NOT NULL DEFAULT 0,
    next_at timestamptz NOT NULL DEFAULT now(),
    taken_until timestamptz,
    cause text,
    error text,
    wants text[],                                 -- mappings it waits for
    done_at timestamptz,
    UNIQUE (connection_id, dedup)
) WITH (fillfactor = 80);
CREATE INDEX channel_inbox_waiting ON channel_inbox (connection_id, entity, id) WHERE state = 'waiting';
CREATE INDEX channel_inbox_due ON channel_inbox (next_at, id) WHERE state = 'waiting';
CREATE INDEX channel_inbox_stuck ON channel_inbox (connection_id, id) WHERE state IN ('unmapped', 'parked');
CREATE INDEX channel_inbox_done ON channel_inbox (done_at) WHERE state IN ('done', 'stale', 'dropped');

-- Which of ours is which of theirs. Unique both ways.
CREATE TABLE binding (
    connection_id int NOT NULL REFERENCES connection (id) ON DELETE CASCADE,
    entity text NOT NULL,
    internal_id text NOT NULL,
    external_id text NOT NULL,
    remote_version bigint,
    content_hash bytea,
    bound_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (connection_id, entity, internal_id),
    UNIQUE (connection_id, entity, external_id)
) WITH (fillfactor = 80);
CREATE INDEX binding_internal ON binding (entity, internal_id);

-- Their words for ways to pay and to ship, and ours. Without ours, orders wait for a person.
CREATE TABLE method_mapping (
    connection_id int NOT NULL REFERENCES connection (id) ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('payment', 'shipping')),
    theirs text NOT NULL,
    ours text,
    seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (connection_id, kind, theirs)
);

-- What goes out, each once by its key. `doubtful`: it may have arrived, and is looked up before it is sent again.
CREATE TABLE channel_op (
    key uuid PRIMARY KEY,
    number bigint GENERATED ALWAYS AS IDENTITY,
    connection_id int NOT NULL REFERENCES connection (id) ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('set_price', 'push_shipment', 'cancel', 'refund')),
    entity text NOT NULL,
    version bigint NOT NULL DEFAULT 0,
    payload jsonb NOT NULL,
    state text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'done', 'dead', 'superseded', 'dropped')),
    attempts int NOT NULL DEFAULT 0,              -- times it was taken: the fence of whoever has it
    failures int NOT NULL DEFAULT 0,
    not_before timestamptz NOT NULL DEFAULT now(),
    taken_until timestamptz,
    sending boolean NOT NULL DEFAULT false,
    doubtful boolean NOT NULL DEFAULT false,
    reference text,
    cause text,
    error text,
    created_at timestamptz NOT NULL DEFAULT now(),
    done_at timestamptz
) WITH (fillfactor = 80);
CREATE INDEX channel_op_waiting ON channel_op (connection_id, entity, number) WHERE state = 'waiting';
CREATE INDEX channel_op_due ON channel_op (not_before, number) WHERE state = 'waiting';
CREATE INDEX channel_op_dead ON channel_op (connection_id, number) WHERE state = 'dead';
CREATE INDEX channel_op_done ON channel_op (done_at) WHERE state IN ('done', 'superseded', 'dropped');

-- Each attempt, for whoever asks what we did.
CREATE TABLE op_attempt (
    op_key uuid NOT NULL REFERENCES channel_op (key) ON DELETE CASCADE,
    attempt int NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    outcome text NOT NULL,
    says text NOT NULL DEFAULT '',
    PRIMARY KEY (op_key, attempt)
);

-- What was compared with the peer, and what differed.
CREATE TABLE reconciliation (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    connection_id int NOT NULL REFERENCES connection (id) ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('orders', 'stock')),
    day date NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    ours int NOT NULL,
    theirs int NOT NULL,
    ours_total bigint NOT NULL DEFAULT 0,
    theirs_total bigint NOT NULL DEFAULT 0,
    differing text[] NOT NULL DEFAULT '{}',
    UNIQUE (connection_id, kind, day)
);

-- Stock is handed over by a connection, too.
ALTER TABLE stock_push DROP CONSTRAINT stock_push_kind_check;
ALTER TABLE stock_push ADD CONSTRAINT stock_push_kind_check CHECK (kind IN ('webhook', 'feed', 'connector'));
