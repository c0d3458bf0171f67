-- Disagreements by site are listed by the newest of each: the newest first, and those of one snapshot by source and SKU.
CREATE INDEX stock_drift_found ON stock_drift (found_at DESC, source_id DESC, sku_id DESC);
