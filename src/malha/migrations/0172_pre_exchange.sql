-- A workbook may have more sheets than the one that is read. Which of them are filled is told before anything is written.
ALTER TABLE import_run ADD COLUMN other_sheets jsonb NOT NULL DEFAULT '[]';
