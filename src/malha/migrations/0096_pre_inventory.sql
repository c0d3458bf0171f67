-- What goods of a transfer cross between its ends, as both were when it was asked for: `inventory.transfers.model.Crosses`.
ALTER TABLE transfer ADD COLUMN crosses text NOT NULL DEFAULT 'nothing'
    CHECK (crosses IN ('nothing', 'establishment', 'company'));
UPDATE transfer t SET crosses = CASE WHEN a.legal_entity_id = b.legal_entity_id THEN 'establishment' ELSE 'company' END
FROM location o, location d, establishment a, establishment b
WHERE t.needs_document AND o.id = t.origin_id AND d.id = t.destination_id
  AND a.id = coalesce(o.owner_id, o.establishment_id) AND b.id = coalesce(d.owner_id, d.establishment_id);
CREATE INDEX transfer_crosses ON transfer (crosses, number);
