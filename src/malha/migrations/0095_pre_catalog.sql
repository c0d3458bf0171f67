-- Pictures that addresses in the catalogue and in listings name, made small, for pages of this server. Only what somebody looked at is here, and
-- it is fetched anew after a while: the address stays the truth.
CREATE TABLE picture (
    key text PRIMARY KEY,  -- of the address: `catalog.pictures.model.key_of`
    url text NOT NULL,
    state text NOT NULL DEFAULT 'wanted' CHECK (state IN ('wanted', 'kept', 'refused')),
    small bytea,
    large bytea,
    why text,  -- a code of `catalog.pictures.model.Why`
    told_at timestamptz NOT NULL DEFAULT now(),  -- when it was asked for, or came, or did not
    CHECK ((state = 'kept') = (small IS NOT NULL AND large IS NOT NULL)),
    CHECK ((state = 'refused') = (why IS NOT NULL))
);
-- What is old is forgotten.
CREATE INDEX picture_told ON picture (told_at);
-- Two pictures to a row, each compressed by its own format.
ALTER TABLE picture ALTER COLUMN small SET STORAGE EXTERNAL, ALTER COLUMN large SET STORAGE EXTERNAL;
