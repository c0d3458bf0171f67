-- Platform: events on their way out, the event log, its readers and what they could not digest.

-- Written in the transaction that makes the fact; emptied by the sequencer. No serial id: commit order is nobody's business.
CREATE TABLE outbox (
    key text NOT NULL,                            -- aggregate: "order:<uuid>"
    seq integer NOT NULL,                         -- the aggregate's version, taken under its row's lock
    type text NOT NULL,
    version smallint NOT NULL,
    payload json NOT NULL,                        -- ids and facts, no personal data
    actor text NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (key, seq)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_insert_scale_factor = 0,
        autovacuum_vacuum_insert_threshold = 100000, autovacuum_vacuum_cost_delay = 0);

-- One row. Who holds its lock moves the outbox into the log and numbers it; `position` is the last number given, without gaps.
CREATE TABLE sequencer (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    position bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 10);
INSERT INTO sequencer DEFAULT VALUES;

-- The log. A position is visible only when all before it are. Partitions are made ahead (platform.sequencer) and dropped below
-- every checkpoint after retention.
CREATE TABLE event (
    position bigint NOT NULL,
    at timestamptz NOT NULL,                      -- when the fact was written
    seq integer NOT NULL,
    version smallint NOT NULL,
    key text NOT NULL,
    type text NOT NULL,
    actor text NOT NULL,
    payload json NOT NULL,
    PRIMARY KEY (position)
) PARTITION BY RANGE (position);
CREATE TABLE event_0 PARTITION OF event FOR VALUES FROM (0) TO (5000000);

-- Checkpoints: everything up to `position` was handled, or is parked. The row's lock is the right to run.
CREATE TABLE subscriber (
    name text PRIMARY KEY,
    position bigint NOT NULL DEFAULT 0,
    moved_at timestamptz NOT NULL DEFAULT now(),
    failures integer NOT NULL DEFAULT 0,          -- whole batches in a row that failed for a reason no single event explains
    error text                                    -- the last of them
) WITH (fillfactor = 50);

-- Needs attention: a key one of whose events a subscriber could not handle. Later events of the key wait behind it.
CREATE TABLE parked_key (
    subscriber text NOT NULL REFERENCES subscriber ON DELETE CASCADE,
    key text NOT NULL,
    state text NOT NULL DEFAULT 'retrying' CHECK (state IN ('retrying', 'parked')),
    attempts integer NOT NULL DEFAULT 1,
    retry_at timestamptz,                         -- null: only a person's replay tries again
    cause text NOT NULL,                          -- a refusal's code or the exception's class
    error text NOT NULL,
    position bigint NOT NULL,                     -- of the event that failed
    first_failed_at timestamptz NOT NULL DEFAULT now(),
    last_failed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (subscriber, key),
    CHECK ((state = 'retrying') = (retry_at IS NOT NULL))
);
CREATE INDEX parked_key_due ON parked_key (retry_at) WHERE state = 'retrying';

-- Copies of the waiting events, so that the log's partitions may go.
CREATE TABLE parked_event (
    subscriber text NOT NULL,
    key text NOT NULL,
    position bigint NOT NULL,
    at timestamptz NOT NULL,
    seq integer NOT NULL,
    version smallint NOT NULL,
    type text NOT NULL,
    actor text NOT NULL,
    payload json NOT NULL,
    PRIMARY KEY (subscriber, key, position),
    FOREIGN KEY (subscriber, key) REFERENCES parked_key ON DELETE CASCADE
);
