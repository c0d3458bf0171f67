-- Platform: events on their way out, the event log, idempotency, audit.

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
);
