-- Logging in by the retailer's own identity provider (OpenID Connect), and how long a session may last at most.

CREATE TABLE login_provider (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code text NOT NULL UNIQUE,                    -- in addresses: the provider sends people back to /login/back/<code>
    name text NOT NULL,                           -- on the button
    issuer text NOT NULL,                         -- exactly as the provider calls itself
    client_id text NOT NULL,
    client_secret bytea,                          -- encrypted under the installation's key; null: a public client
    scopes text[] NOT NULL,
    domains text[] NOT NULL DEFAULT '{}',         -- of e-mails that may come in; empty: any
    creates boolean NOT NULL DEFAULT false,       -- whether somebody new is added at their first log-in
    links boolean NOT NULL DEFAULT false,         -- whether an existing person is found by a verified e-mail
    claim text,                                   -- which claim names groups or roles, like realm_access.roles
    role text,                                    -- of whoever fits no rule; null: they stay out
    everywhere boolean NOT NULL DEFAULT true,     -- of whoever fits no rule
    second_factor text NOT NULL DEFAULT 'provider' CHECK (second_factor IN ('provider', 'unless_proved')),
    proofs text[] NOT NULL DEFAULT '{mfa}',       -- values of amr or acr that say a second factor was used
    active boolean NOT NULL DEFAULT false,
    version integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE login_provider_location (
    provider_id integer NOT NULL REFERENCES login_provider ON DELETE CASCADE,
    location_id integer NOT NULL REFERENCES location,
    PRIMARY KEY (provider_id, location_id)
);
CREATE INDEX login_provider_location_location ON login_provider_location (location_id);

-- Which value of the claim gives which role where. The first that fits says the role.
CREATE TABLE login_rule (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provider_id integer NOT NULL REFERENCES login_provider ON DELETE CASCADE,
    place integer NOT NULL,                       -- their order
    value text NOT NULL,
    role text NOT NULL,
    everywhere boolean NOT NULL,
    UNIQUE (provider_id, place)
);

CREATE TABLE login_rule_location (
    rule_id integer NOT NULL REFERENCES login_rule ON DELETE CASCADE,
    location_id integer NOT NULL REFERENCES location,
    PRIMARY KEY (rule_id, location_id)
);
CREATE INDEX login_rule_location_location ON login_rule_location (location_id);

-- Who a person is at a provider. Issuer and subject never change hands; e-mails do.
CREATE TABLE person_identity (
    issuer text NOT NULL,
    subject text NOT NULL,
    person_id uuid NOT NULL REFERENCES person,
    provider_id integer REFERENCES login_provider ON DELETE SET NULL,
    since timestamptz NOT NULL DEFAULT now(),
    last_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX person_identity_person ON person_identity (person_id);
CREATE INDEX person_identity_provider ON person_identity (provider_id);

-- Answers of providers that were taken: each is good once.
CREATE TABLE login_answer (
    state_hash bytea PRIMARY KEY,                 -- sha256
    until timestamptz NOT NULL                    -- after that it is refused for its age
);
CREATE INDEX login_answer_until ON login_answer (until);

-- How people may log in. No row: as the defaults say.
CREATE TABLE login_policy (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    provider_only boolean NOT NULL DEFAULT false, -- passwords let in nobody but owners with a second factor
    version integer NOT NULL DEFAULT 1
);

ALTER TABLE session
    ADD COLUMN provider_id integer REFERENCES login_provider ON DELETE CASCADE,  -- null: a password
    ADD COLUMN vouched boolean NOT NULL DEFAULT false,    -- the provider answers for the second factor
    ADD COLUMN id_token bytea;                    -- encrypted; names the provider's session when it is ended too
CREATE INDEX session_provider ON session (provider_id) WHERE provider_id IS NOT NULL;
