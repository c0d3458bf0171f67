-- Of a receipt of a transfer: whether what was not here by then was missing. The same receipt sent again says the same.
-- None of other receipts, and of those from before it was kept.
ALTER TABLE receipt ADD COLUMN complete boolean;
