-- What of a workbook's sheet is read otherwise than it is seen, as imports of tables keep it. Told before it is applied.
ALTER TABLE stock_snapshot ADD COLUMN oddities jsonb NOT NULL DEFAULT '[]';
