-- What older code shipped, received and decided meanwhile: it knew one shipment of a transfer, and kept it in its lines.
INSERT INTO transfer_shipment (id, transfer_id, number, document, carrier, tracking_code, eta, eta_usual, shipped_at,
                               shipped_by, arrived_at)
SELECT t.id, t.id, 1, t.document, t.carrier, t.tracking_code, t.eta, t.eta_usual, coalesce(t.shipped_at, t.requested_at),
       coalesce(t.shipped_by, t.requested_by),
       (SELECT min(r.received_at) FROM receipt r WHERE r.transfer_id = t.id AND r.undone_at IS NULL)
FROM transfer t
WHERE t.state IN ('shipped', 'received', 'closed')
  AND NOT EXISTS (SELECT FROM transfer_shipment s WHERE s.transfer_id = t.id);
INSERT INTO transfer_shipment_line (shipment_id, line, sku_id, shipped)
SELECT l.transfer_id, l.line, l.sku_id, l.shipped
FROM transfer_line l JOIN transfer_shipment s ON s.id = l.transfer_id
WHERE l.shipped > 0 AND NOT EXISTS (SELECT FROM transfer_shipment x WHERE x.transfer_id = l.transfer_id AND x.number > 1)
ON CONFLICT DO NOTHING;
UPDATE transfer_shipment_line s SET arrived = l.arrived, settled = l.settled, missing = least(l.transit, m.units)
FROM transfer_line l
CROSS JOIN LATERAL (
    SELECT coalesce(sum(d.quantity), 0)::int AS units FROM transfer_discrepancy d
    WHERE d.transfer_id = l.transfer_id AND d.line = l.line AND d.kind = 'missing' AND d.decision IS NULL
) m
WHERE s.shipment_id = l.transfer_id AND s.line = l.line AND s.shipped = l.shipped
  AND (s.arrived, s.settled, s.missing) IS DISTINCT FROM (l.arrived, l.settled, least(l.transit, m.units))
  AND NOT EXISTS (SELECT FROM transfer_shipment x WHERE x.transfer_id = l.transfer_id AND x.number > 1);
UPDATE transfer_line l SET dropped = l.approved - l.shipped
FROM transfer t
WHERE t.id = l.transfer_id AND t.state IN ('shipped', 'received', 'closed')
  AND l.approved > l.shipped + l.dropped;
UPDATE transfer_discrepancy d SET shipment_id = d.transfer_id
FROM transfer_shipment s WHERE s.id = d.transfer_id AND d.shipment_id IS NULL;
