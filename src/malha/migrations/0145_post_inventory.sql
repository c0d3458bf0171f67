-- Few movements are of goods that are not for sale; without an index of their own, their ledger reads all of a SKU's.
CREATE INDEX movement_aside ON movement (sku_id, location_id, bucket, recorded_at) WHERE bucket <> 'sellable';
-- Since 0141 suppliers are found by the index of their folded names.
DROP INDEX inbound_order_supplier;
