-- When goods leave a location by how much work waits there when an order is placed: a life table for each band of it.
CREATE TABLE promise_queue (
    version_id integer NOT NULL REFERENCES promise_days_version ON DELETE CASCADE,
    location_id integer NOT NULL REFERENCES location ON DELETE CASCADE,
    method text NOT NULL,
    band smallint NOT NULL,            -- from the shortest queue on
    usual double precision NOT NULL,   -- pieces of work that leave there on a usual day
    chances real[] NOT NULL,           -- of each working day, as those of promise_ready
    PRIMARY KEY (version_id, location_id, method, band)
);
CREATE INDEX promise_queue_location ON promise_queue (location_id);
