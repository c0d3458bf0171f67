-- A number that no balance can hold, with what came since it was stated, is for a person, too.
ALTER TABLE stock_drift DROP CONSTRAINT stock_drift_kind_check;
ALTER TABLE stock_drift ADD CONSTRAINT stock_drift_kind_check
    CHECK (kind IN ('window', 'compared', 'negative', 'beyond', 'late'));
