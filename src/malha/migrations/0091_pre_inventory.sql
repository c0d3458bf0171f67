-- Lists of transfers and receipts are searched and narrowed: each question goes by an index of its own.
CREATE INDEX transfer_origin ON transfer (origin_id, number);
CREATE INDEX transfer_destination ON transfer (destination_id, number);
CREATE INDEX transfer_requested ON transfer (requested_at);
CREATE INDEX transfer_document ON transfer USING gin (document gin_trgm_ops) WHERE document IS NOT NULL;
CREATE INDEX transfer_line_sku ON transfer_line (sku_id, transfer_id);
CREATE INDEX receipt_received ON receipt (received_at);
CREATE INDEX receipt_document ON receipt USING gin (document gin_trgm_ops) WHERE document IS NOT NULL;
CREATE INDEX receipt_undone ON receipt (number) WHERE undone_at IS NOT NULL;
CREATE INDEX receipt_alone ON receipt (number) WHERE order_id IS NULL AND transfer_id IS NULL;
CREATE INDEX receipt_line_sku ON receipt_line (sku_id, receipt_id);
