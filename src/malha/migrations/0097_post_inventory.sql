-- Transfers that older code asked for meanwhile: it knew only whether a document is needed.
UPDATE transfer t SET crosses = CASE WHEN a.legal_entity_id = b.legal_entity_id THEN 'establishment' ELSE 'company' END
FROM location o, location d, establishment a, establishment b
WHERE t.needs_document AND t.crosses = 'nothing' AND o.id = t.origin_id AND d.id = t.destination_id
  AND a.id = coalesce(o.owner_id, o.establishment_id) AND b.id = coalesce(d.owner_id, d.establishment_id);
