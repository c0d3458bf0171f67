-- What an order says besides what is bought, by whom and where it goes: a gift message, tags, an engraving. Of the few
-- orders that say any such thing; nothing is decided by it.
CREATE TABLE order_details (
    order_id uuid PRIMARY KEY,
    details jsonb NOT NULL                         -- ordering.model.OrderDetails
);

-- Which of a channel's texts becomes which field of an order here. Every version stays: the newest counts.
CREATE TABLE order_field_rules (
    connection_id int NOT NULL REFERENCES connection (id) ON DELETE CASCADE,
    version int NOT NULL CHECK (version > 0),
    rules json NOT NULL,                           -- in the order of people, of channels.connecting.field_rules.FieldRule
    made_at timestamptz NOT NULL DEFAULT now(),
    made_by text NOT NULL,
    PRIMARY KEY (connection_id, version)
);

-- Rules are tried on the newest orders that a connection told: by connection, newest first.
CREATE INDEX channel_inbox_told ON channel_inbox (connection_id, id) WHERE trust = 'data';
