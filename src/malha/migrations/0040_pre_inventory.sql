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

-- Groups of buyers by name. Channels state a group's code with an order; allotments name those they are open to.
CREATE TABLE customer_group (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code text NOT NULL UNIQUE,
    name text NOT NULL,
    note text NOT NULL DEFAULT '',
    version integer NOT NULL DEFAULT 1
);
INSERT INTO customer_group (code, name)
SELECT DISTINCT g, g FROM allotment a, unnest(a.customer_groups) g WHERE g <> '' ORDER BY g;
-- Orders that state a group are few: which groups there are, and how much they buy.
CREATE INDEX sales_order_customer_group ON sales_order (customer_group, placed_at) WHERE customer_group IS NOT NULL;

-- Rows of fences come and go as tables.
ALTER TABLE import_run DROP CONSTRAINT import_run_kind_check;
ALTER TABLE import_run ADD CONSTRAINT import_run_kind_check
    CHECK (kind IN ('products', 'prices', 'stock', 'locations', 'customers', 'allotments')) NOT VALID;
ALTER TABLE import_run VALIDATE CONSTRAINT import_run_kind_check;
