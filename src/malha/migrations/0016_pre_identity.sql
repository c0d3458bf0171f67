-- People who were invited, links by which a person chooses a password, and the second factor.

ALTER TABLE person ALTER COLUMN password_hash DROP NOT NULL;   -- null: invited, no password chosen yet

-- A link by which one person chooses a password, once. Its token is signed and not stored: who can read this table
-- cannot make one. Using it deletes it.
CREATE TABLE password_link (
    id uuid PRIMARY KEY,
    person_id uuid NOT NULL REFERENCES person,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    mailed boolean NOT NULL,                      -- false: handed over by whoever made it
    sent_at timestamptz,                          -- when the mail server took it
    problem text                                  -- what the mail server said when it did not
);
CREATE INDEX password_link_person ON password_link (person_id);
CREATE INDEX password_link_expires ON password_link (expires_at);

-- The shared secret of a person's authenticator app.
CREATE TABLE second_factor (
    person_id uuid PRIMARY KEY REFERENCES person,
    secret bytea NOT NULL,                        -- encrypted under the installation's key
    since timestamptz NOT NULL DEFAULT now(),     -- when a first code of it was entered
    last_step bigint NOT NULL DEFAULT 0           -- the 30 seconds of the last code: each is good once
);

-- What gets a person in without the app. Using one deletes it.
CREATE TABLE recovery_code (
    person_id uuid NOT NULL REFERENCES person,
    code_hash bytea NOT NULL,                     -- sha256 of 80 random bits
    PRIMARY KEY (person_id, code_hash)
);

-- What a role demands of its people beyond a password. No row: nothing.
CREATE TABLE role_policy (
    role text PRIMARY KEY,
    second_factor boolean NOT NULL
);
