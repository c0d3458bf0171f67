-- People and keys: who may do what, and where.

CREATE TABLE person (
    id uuid PRIMARY KEY,
    name text NOT NULL,
    email text NOT NULL UNIQUE,                   -- normalised: trimmed, lower case
    password_hash text NOT NULL,                  -- argon2id
    role text NOT NULL CHECK (role IN ('owner', 'manager', 'customer_service', 'planner', 'store_lead', 'store_associate',
                                       'integrator', 'auditor')),
    everywhere boolean NOT NULL DEFAULT true,     -- false: only the locations in person_location, however few
    language text CHECK (language IN ('pt-BR', 'en')),   -- null: the browser's
    timezone text,                                -- null: the setting's
    active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    version integer NOT NULL DEFAULT 1
);

CREATE TABLE person_location (
    person_id uuid NOT NULL REFERENCES person,
    location_id integer NOT NULL REFERENCES location,
    PRIMARY KEY (person_id, location_id)
);
CREATE INDEX person_location_location ON person_location (location_id);

-- A signed-in browser. The token itself is only in its cookie.
CREATE TABLE session (
    token_hash bytea PRIMARY KEY,                 -- sha256
    id uuid NOT NULL UNIQUE,                      -- to name it in lists and to revoke it
    person_id uuid NOT NULL REFERENCES person,
    created_at timestamptz NOT NULL DEFAULT now(),
    seen_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,              -- moves with use
    source text,
    agent text                                    -- the browser's own words, shortened
);
CREATE INDEX session_person ON session (person_id);
CREATE INDEX session_expires ON session (expires_at);

-- Failed log-ins per account and per network address. The row's lock lets one guess at a time through.
CREATE TABLE login_attempt (
    subject text PRIMARY KEY,                     -- "account:<sha256 of the e-mail>" or "source:<address>"
    failures integer NOT NULL,
    last_at timestamptz NOT NULL,
    blocked_until timestamptz
) WITH (fillfactor = 50);
CREATE INDEX login_attempt_last ON login_attempt (last_at);

CREATE TABLE api_key (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    prefix text NOT NULL UNIQUE,                  -- shown in lists; finds the row
    secret_hash bytea NOT NULL,                   -- sha256 of the whole key, which has 256 random bits
    permissions text[] NOT NULL,
    everywhere boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now(),
    created_by text NOT NULL,
    expires_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz                      -- at most a minute behind
);

CREATE TABLE api_key_location (
    key_id integer NOT NULL REFERENCES api_key,
    location_id integer NOT NULL REFERENCES location,
    PRIMARY KEY (key_id, location_id)
);
CREATE INDEX api_key_location_location ON api_key_location (location_id);
