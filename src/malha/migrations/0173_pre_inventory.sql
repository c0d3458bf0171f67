-- As of imports: which sheets of a snapshot's workbook are filled and not read.
ALTER TABLE stock_snapshot ADD COLUMN other_sheets jsonb NOT NULL DEFAULT '[]';
