-- What an import found before it wrote, and what it left, record by record: so that it can be undone as a whole. Kept as
-- long as the file itself. A record that the import touched twice keeps the first `before` and the last `after`.
CREATE TABLE import_trace (
    run_id uuid NOT NULL REFERENCES import_run ON DELETE CASCADE,
    key text NOT NULL,
    seq bigint GENERATED ALWAYS AS IDENTITY,
    label text NOT NULL,  -- what people call the record
    before jsonb,  -- null: it was not there
    after jsonb NOT NULL,
    outcome text CHECK (outcome IN ('undone', 'left')),
    why jsonb,  -- of what was left: {"says", "mend", "facts"}
    PRIMARY KEY (run_id, key)
);
-- The newest first: what rests on another record goes before it.
CREATE INDEX import_trace_open ON import_trace (run_id, seq DESC) WHERE outcome IS NULL;
CREATE INDEX import_trace_left ON import_trace (run_id, seq) WHERE outcome = 'left';

ALTER TABLE import_run
    ADD COLUMN undone integer NOT NULL DEFAULT 0,
    ADD COLUMN kept integer NOT NULL DEFAULT 0,  -- records that somebody changed since: they stay
    ADD COLUMN undone_actor text,
    ADD COLUMN undone_person text,
    ADD COLUMN undone_at timestamptz,
    DROP CONSTRAINT import_run_state_check,
    ADD CONSTRAINT import_run_state_check
        CHECK (state IN ('uploading', 'mapping', 'checking', 'checked', 'applying', 'done', 'stopped', 'failed',
                         'undoing', 'undone'));
