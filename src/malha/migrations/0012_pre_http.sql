-- The HTTP edge: replies kept for repeated commands, and the audit trail.

-- A row is the proof that a keyed command was carried out; written in the command's own transaction.
CREATE TABLE idempotency (
    client text NOT NULL,                         -- who sent it: "key:<id>" or "person:<uuid>"
    key text NOT NULL,
    operation text NOT NULL,                      -- method and path
    body_hash bytea NOT NULL,
    status smallint NOT NULL,
    headers json NOT NULL DEFAULT '{}',
    reply bytea NOT NULL,                         -- identifiers and states, no personal data, no secrets
    at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (client, key)
);
CREATE INDEX idempotency_expires ON idempotency (expires_at);

-- Who changed what, when, from where. Append only; holds identifiers and changed values, personal data only as "changed".
CREATE TABLE audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    actor_kind text NOT NULL,                     -- person, key, system
    actor_id text,
    actor_name text NOT NULL,
    source text,                                  -- network address
    request_id text,
    action text NOT NULL,                         -- verb: create, update, cancel, revoke ...
    entity text NOT NULL,                         -- table or aggregate
    entity_id text NOT NULL,
    before json,                                  -- only what differs
    after json
);
CREATE INDEX audit_entity ON audit (entity, entity_id, id DESC);
CREATE INDEX audit_actor ON audit (actor_kind, actor_id, id DESC);
