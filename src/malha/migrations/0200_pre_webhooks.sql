-- Who answers for a webhook in the place of who made it: who changed it last, and so gave it their rights, or took it
-- over. "person:" or "key:" and an id. A table of its own: former programs read a webhook's row as a whole.
CREATE TABLE webhook_keeper (
    endpoint_id integer PRIMARY KEY REFERENCES webhook_endpoint ON DELETE CASCADE,
    kept_by text NOT NULL
);
