-- How the retailer appears to shoppers; why and until when a location is paused; filters of the audit trail.

-- One row, written at the first change.
CREATE TABLE retailer (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    name text NOT NULL DEFAULT '',               -- empty: the first own legal entity's
    colour text NOT NULL CHECK (colour ~ '^#[0-9a-f]{6}$'),
    logo bytea,                                  -- a picture of at most 256 kB
    logo_type text CHECK (logo_type IN ('image/png', 'image/jpeg', 'image/webp')),
    languages text[] NOT NULL CHECK (cardinality(languages) > 0),  -- the first is spoken when a browser wishes none of them
    timezone text,                               -- null: the setting's
    support_email text,                          -- support_*: how shoppers reach a person
    support_phone text,
    website text,
    version integer NOT NULL DEFAULT 1,
    CHECK ((logo IS NULL) = (logo_type IS NULL))
);

-- Null unless paused. The worker resumes a location whose time is over.
ALTER TABLE location ADD COLUMN paused_reason text, ADD COLUMN paused_until timestamptz;

-- The audit trail by one of its filters, newest first.
CREATE INDEX audit_at ON audit (at);
CREATE INDEX audit_kind_of_record ON audit (entity, id DESC);
CREATE INDEX audit_action ON audit (action, id DESC);
CREATE INDEX audit_source ON audit (source, id DESC);
CREATE INDEX audit_request ON audit (request_id);
