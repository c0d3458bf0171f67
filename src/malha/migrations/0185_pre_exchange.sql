-- When the process that reads a file while its caller waits last said that it lives. Null: a job does the work, and is
-- watched as jobs are, or a program from before began it.
ALTER TABLE import_run ADD COLUMN alive_at timestamptz;
CREATE INDEX import_run_applying ON import_run (alive_at) WHERE state = 'applying';
-- What of a workbook's sheet is read otherwise than it is seen: hidden rows, merged cells, results that may be old. Told
-- before anything is written.
ALTER TABLE import_run ADD COLUMN oddities jsonb NOT NULL DEFAULT '[]';
