-- Of which shipment of its transfer a line of a receipt came. Null: it is of no transfer, it came beside what was sent of
-- several shipments, or it was received before this.
ALTER TABLE receipt_line ADD COLUMN shipment smallint;
