-- Days that deliveries take by what became of earlier ones, for dates that are promised: a small table, made anew again
-- and again. Old versions go after some days.
CREATE TABLE promise_days_version (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    made_at timestamptz NOT NULL DEFAULT now(),
    outcomes integer NOT NULL,                    -- deliveries it was made from
    level double precision NOT NULL,              -- share of promises to keep
    in_force boolean NOT NULL                     -- at most the newest
);
CREATE TABLE promise_days (
    version_id integer NOT NULL REFERENCES promise_days_version ON DELETE CASCADE,
    service_id integer NOT NULL REFERENCES service ON DELETE CASCADE,
    from_state text NOT NULL,
    to_state text NOT NULL,
    days smallint NOT NULL CHECK (days >= 0),     -- business days from the day the parcel is to leave, at the level
    usual smallint NOT NULL CHECK (usual >= 0),   -- by when half of them are there
    outcomes integer NOT NULL,                    -- deliveries of this lane
    PRIMARY KEY (version_id, service_id, from_state, to_state)
);
