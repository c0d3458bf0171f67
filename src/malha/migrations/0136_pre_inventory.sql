-- The list of purchase orders is searched and narrowed as that of receipts is: each question by an index of its own.
CREATE INDEX inbound_order_location ON inbound_order (location_id, number);
CREATE INDEX inbound_order_supplier ON inbound_order USING gin (supplier gin_trgm_ops);
CREATE INDEX inbound_order_reference_text ON inbound_order USING gin (reference gin_trgm_ops)
    WHERE reference IS NOT NULL;
CREATE INDEX inbound_line_sku ON inbound_line (sku_id, order_id);
CREATE INDEX inbound_line_eta ON inbound_line (eta, order_id);
