-- Learned dates in parts: when goods leave a location, how long they travel, and how many more promises than foretold
-- were broken of late. Versions from before say only a sum of the first two, so they end; the worker learns anew.
UPDATE promise_days_version SET in_force = false WHERE in_force;
ALTER TABLE promise_days ADD COLUMN chances real[] NOT NULL DEFAULT '{}';
-- What a broken promise is worth in working days, where both costs are stated; null: `level` counts for every promise.
ALTER TABLE promise_days_version ADD COLUMN worth double precision CHECK (worth > 0);
-- From when on versions were in force without a break, this one the last.
ALTER TABLE promise_days_version ADD COLUMN since timestamptz NOT NULL DEFAULT now();

-- Of any location, or any weekday of one, where that is null.
CREATE TABLE promise_ready (
    version_id int NOT NULL REFERENCES promise_days_version (id) ON DELETE CASCADE,
    location_id int REFERENCES location (id) ON DELETE CASCADE,
    method text NOT NULL,
    weekday smallint CHECK (weekday BETWEEN 0 AND 6),  -- of the day goods are to leave; 0 is Monday
    chances real[] NOT NULL,                           -- of each working day, from the earliest that is looked at on
    outcomes int NOT NULL,
    UNIQUE NULLS NOT DISTINCT (version_id, location_id, method, weekday)
);
CREATE INDEX promise_ready_location ON promise_ready (location_id);

-- Of a service between two regions, or between any where they are empty.
CREATE TABLE promise_doubt (
    version_id int NOT NULL REFERENCES promise_days_version (id) ON DELETE CASCADE,
    service_id int NOT NULL REFERENCES service (id) ON DELETE CASCADE,
    from_region text NOT NULL,
    to_region text NOT NULL,
    doubt double precision NOT NULL CHECK (doubt > 0),  -- times the chance to be late that was foretold
    promises int NOT NULL,
    kept int NOT NULL,
    foretold double precision NOT NULL,                 -- mean chance to be kept
    PRIMARY KEY (version_id, service_id, from_region, to_region)
);
CREATE INDEX promise_doubt_service ON promise_doubt (service_id);

-- The chance that the goods would come by the promised day, as the learned days foretold it when the order was placed
-- (before doubt), and as it was said (with doubt). Null: the promise was not made by learned days.
ALTER TABLE promise_outcome ADD COLUMN foretold real, ADD COLUMN said real;
