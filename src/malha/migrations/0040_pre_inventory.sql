-- Disagreements that are counted know their count, and a count knows why it was raised.

ALTER TABLE count_task DROP CONSTRAINT count_task_source_check;
ALTER TABLE count_task ADD CONSTRAINT count_task_source_check
    CHECK (source IN ('person', 'abc', 'short_pick', 'suspicion', 'drift')) NOT VALID;
ALTER TABLE count_task VALIDATE CONSTRAINT count_task_source_check;
-- What is raised by the system gathers in one open count per location and source. Statements that name the former, narrower
-- condition still find this index.
CREATE UNIQUE INDEX count_task_gathered ON count_task (location_id, source)
    WHERE state = 'open' AND source IN ('short_pick', 'suspicion', 'drift');
DROP INDEX count_task_raised;

ALTER TABLE stock_drift DROP CONSTRAINT stock_drift_state_check;
ALTER TABLE stock_drift ADD CONSTRAINT stock_drift_state_check
    CHECK (state IN ('open', 'explained', 'agreed', 'theirs', 'ours', 'counting', 'counted')) NOT VALID;
ALTER TABLE stock_drift VALIDATE CONSTRAINT stock_drift_state_check;
ALTER TABLE stock_drift ADD COLUMN count_id uuid REFERENCES count_task;  -- the count that was asked for, or settled it
CREATE INDEX stock_drift_count ON stock_drift (count_id) WHERE count_id IS NOT NULL;
