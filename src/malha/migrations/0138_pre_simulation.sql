-- A simulation tells its result as soon as its orders are decided again; what hindsight would have cost comes later. One
-- that is stopped meanwhile keeps the result.
ALTER TABLE simulation
    DROP CONSTRAINT simulation_check1,
    ADD CONSTRAINT simulation_result CHECK (
        (status <> 'done' OR result IS NOT NULL) AND (status NOT IN ('waiting', 'failed') OR result IS NULL));
