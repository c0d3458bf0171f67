-- Of which shipment of its transfer a line of a receipt came. Null: it is of no transfer, it came beside what was sent of
-- several shipments, or it was received before this of a transfer that left in several.
ALTER TABLE receipt_line ADD COLUMN shipment smallint;
UPDATE receipt_line l SET shipment = 1
FROM receipt r
WHERE r.id = l.receipt_id AND r.transfer_id IS NOT NULL
  AND NOT EXISTS (SELECT FROM transfer_shipment s WHERE s.transfer_id = r.transfer_id AND s.number > 1);
