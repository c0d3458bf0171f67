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
-- Transfers of several shipments it received and decided about in their lines alone. Where these say something else, what
-- arrived, went another way and is missing is laid over the shipments one after the other, in the order they left in. A
-- missing unit is decided about as one of its shipment: what is missing of several becomes as many discrepancies.
WITH differing AS (
    SELECT l.transfer_id, l.line, l.arrived, l.settled
    FROM (SELECT s.transfer_id, w.line, sum(w.shipped) AS shipped, sum(w.arrived) AS arrived, sum(w.settled) AS settled,
                 sum(w.missing) AS missing
          FROM transfer_shipment s JOIN transfer_shipment_line w ON w.shipment_id = s.id
          WHERE EXISTS (SELECT FROM transfer_shipment x WHERE x.transfer_id = s.transfer_id AND x.number > 1)
          GROUP BY s.transfer_id, w.line) s
    JOIN transfer_line l ON l.transfer_id = s.transfer_id AND l.line = s.line AND l.shipped = s.shipped
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(d.quantity), 0) AS units FROM transfer_discrepancy d
        WHERE d.transfer_id = l.transfer_id AND d.line = l.line AND d.kind = 'missing' AND d.decision IS NULL
    ) m
    WHERE (s.arrived, s.settled, s.missing) <> (l.arrived, l.settled, least(l.transit, m.units))
), spread AS (
    SELECT d.transfer_id, d.line, d.arrived, d.settled, w.shipment_id,
           sum(w.shipped) OVER (PARTITION BY d.transfer_id, d.line ORDER BY s.number) - w.shipped AS since,
           sum(w.shipped) OVER (PARTITION BY d.transfer_id, d.line ORDER BY s.number) AS until
    FROM differing d JOIN transfer_shipment s ON s.transfer_id = d.transfer_id
    JOIN transfer_shipment_line w ON w.shipment_id = s.id AND w.line = d.line
), lost AS (
    SELECT d.id, d.transfer_id, d.line, d.found_at, d.found_by, d.note, d.reference,
           f.arrived + f.settled + sum(d.quantity) OVER w - d.quantity AS since,
           f.arrived + f.settled + sum(d.quantity) OVER w AS until
    FROM differing f JOIN transfer_discrepancy d ON d.transfer_id = f.transfer_id AND d.line = f.line
    WHERE d.kind = 'missing' AND d.decision IS NULL
    WINDOW w AS (PARTITION BY d.transfer_id, d.line ORDER BY d.found_at, d.id)
), parts AS (
    SELECT p.shipment_id, d.id, d.transfer_id, d.line, d.found_at, d.found_by, d.note, d.reference,
           least(p.until, d.until) - greatest(p.since, d.since) AS units,
           row_number() OVER (PARTITION BY d.id ORDER BY p.since) AS part
    FROM lost d JOIN spread p ON p.transfer_id = d.transfer_id AND p.line = d.line
                             AND p.since < d.until AND p.until > d.since
), lines AS (
    UPDATE transfer_shipment_line s
    SET arrived = greatest(least(p.until, p.arrived) - p.since, 0),
        settled = greatest(least(p.until, p.arrived + p.settled) - greatest(p.since, p.arrived), 0),
        missing = (SELECT coalesce(sum(m.units), 0) FROM parts m
                   WHERE m.shipment_id = p.shipment_id AND m.line = p.line)
    FROM spread p WHERE s.shipment_id = p.shipment_id AND s.line = p.line
), shipments AS (
    UPDATE transfer_shipment s
    SET arrived_at = (SELECT min(r.received_at) FROM receipt r
                      WHERE r.transfer_id = s.transfer_id AND r.undone_at IS NULL AND r.received_at >= s.shipped_at)
    WHERE s.arrived_at IS NULL AND s.id IN (SELECT shipment_id FROM spread WHERE arrived > since)
), first AS (
    UPDATE transfer_discrepancy d SET shipment_id = m.shipment_id, quantity = m.units
    FROM parts m WHERE d.id = m.id AND m.part = 1
)
INSERT INTO transfer_discrepancy (id, transfer_id, shipment_id, line, kind, quantity, found_at, found_by, note, reference)
SELECT gen_random_uuid(), transfer_id, shipment_id, line, 'missing', units, found_at, found_by, note, reference
FROM parts WHERE part > 1;
-- What of these is offered before it comes is what comes, yet never less than is promised: that follows when those who
-- wait are lined up anew, with the next goods of the key.
UPDATE supply u
SET expected = greatest(CASE WHEN s.eta IS NULL THEN 0 ELSE w.coming END, u.promised),
    eta = CASE WHEN u.promised = 0 THEN coalesce(s.eta, u.eta) ELSE u.eta END
FROM transfer_shipment s JOIN transfer_shipment_line w ON w.shipment_id = s.id
WHERE u.kind = 'transfer' AND u.source_id = s.id AND u.line = w.line
  AND EXISTS (SELECT FROM transfer_shipment x WHERE x.transfer_id = s.transfer_id AND x.number > 1)
  AND u.expected <> greatest(CASE WHEN s.eta IS NULL THEN 0 ELSE w.coming END, u.promised);
UPDATE transfer_line l SET dropped = l.approved - l.shipped
FROM transfer t
WHERE t.id = l.transfer_id AND t.state IN ('shipped', 'received', 'closed')
  AND l.approved > l.shipped + l.dropped;
UPDATE transfer_discrepancy d SET shipment_id = d.transfer_id
FROM transfer_shipment s WHERE s.id = d.transfer_id AND d.shipment_id IS NULL;
-- Newer code that decided about what older code received could not see that nothing more comes.
UPDATE transfer t
SET state = CASE WHEN w.waits THEN 'received' ELSE 'closed' END, closed_at = CASE WHEN NOT w.waits THEN now() END
FROM (
    SELECT x.id, EXISTS (SELECT FROM transfer_line l WHERE l.transfer_id = x.id AND l.transit > 0)
                 OR EXISTS (SELECT FROM transfer_discrepancy d WHERE d.transfer_id = x.id AND d.decision IS NULL) AS waits
    FROM transfer x
    WHERE x.state = 'shipped'
      AND NOT EXISTS (SELECT FROM transfer_shipment s JOIN transfer_shipment_line l ON l.shipment_id = s.id
                      WHERE s.transfer_id = x.id AND l.coming > 0)
) w
WHERE t.id = w.id;
