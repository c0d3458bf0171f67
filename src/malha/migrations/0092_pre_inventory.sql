-- Every move of the day on which a transfer is expected.
CREATE TABLE transfer_eta (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    transfer_id uuid NOT NULL REFERENCES transfer,
    was date,                    -- null: nobody had stated a day
    was_usual boolean NOT NULL,  -- nobody had: it was the one the way usually takes
    became date NOT NULL,
    reason text NOT NULL DEFAULT '',
    at timestamptz NOT NULL DEFAULT now(),
    actor text NOT NULL
);
CREATE INDEX transfer_eta_transfer ON transfer_eta (transfer_id);
