-- Profiles that a person put together: what both were, so that they can be told apart again.
CREATE TABLE customer_merge (
    id uuid PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    actor text NOT NULL,
    person text NOT NULL,
    kept_id uuid NOT NULL,
    gone_id uuid NOT NULL,
    gone_number bigint NOT NULL,
    kept_before jsonb NOT NULL,
    gone_before jsonb NOT NULL,
    kept_version integer NOT NULL,  -- after the merge
    orders uuid[] NOT NULL DEFAULT '{}',  -- that followed
    undone_at timestamptz,
    undone_person text
);
CREATE INDEX customer_merge_kept ON customer_merge (kept_id, at DESC);
CREATE UNIQUE INDEX customer_merge_gone ON customer_merge (gone_id) WHERE undone_at IS NULL;
CREATE INDEX customer_merge_number ON customer_merge (gone_number) WHERE undone_at IS NULL;

-- What identified a profile that is gone: whoever orders with it is the profile that was kept.
CREATE TABLE customer_alias (
    value text PRIMARY KEY,  -- a document or an e-mail, normalised
    customer_id uuid NOT NULL,
    merge_id uuid NOT NULL REFERENCES customer_merge ON DELETE CASCADE
);
CREATE INDEX customer_alias_merge ON customer_alias (merge_id);
CREATE INDEX customer_alias_customer ON customer_alias (customer_id);

-- Two that look alike and are not the same: a person said so. The smaller id first.
CREATE TABLE customer_distinct (
    one_id uuid NOT NULL,
    other_id uuid NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    actor text NOT NULL,
    PRIMARY KEY (one_id, other_id),
    CHECK (one_id < other_id)
);

-- Who looks after what needs attention: a record whose event failed, a job that failed, an entry of the audit trail.
CREATE TABLE care (
    kind text NOT NULL CHECK (kind IN ('event', 'job', 'audit')),
    subject text NOT NULL,
    assignee uuid REFERENCES person,
    snoozed_until timestamptz,
    at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (kind, subject)
);
CREATE INDEX care_assignee ON care (assignee, kind) WHERE assignee IS NOT NULL;
CREATE TABLE care_note (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL,
    subject text NOT NULL,
    person_id uuid NOT NULL REFERENCES person,
    text text NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX care_note_subject ON care_note (kind, subject, id);
CREATE INDEX care_note_person ON care_note (person_id);
