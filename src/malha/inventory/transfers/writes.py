"""Statements that change transfers. The transfer is locked before its lines and stock."""

INSERT_TRANSFER = """
INSERT INTO transfer (id, origin_id, destination_id, needs_document, crosses, eta, note, requested_by)
VALUES (%(id)s::uuid, %(origin_id)s::int, %(destination_id)s::int, %(needs_document)s::boolean, %(crosses)s::text,
        %(eta)s::date, %(note)s::text, %(actor)s::text)
RETURNING number
"""
INSERT_LINES = """
INSERT INTO transfer_line (transfer_id, line, sku_id, asked)
SELECT %(id)s::uuid, line, sku_id, asked
FROM unnest(%(skus)s::int[], %(quantities)s::int[]) WITH ORDINALITY AS w(sku_id, asked, line)
"""
# Its goods are an order's: no supply of anybody else.
MEAN_FOR_ORDER = "UPDATE transfer SET order_id = %(order_id)s::uuid WHERE id = %(id)s::uuid"
# One step at a time.
LOCK_TRANSFER = """
SELECT id, number, origin_id, destination_id, state, needs_document, document, eta, seq
FROM transfer WHERE number = %(number)s::bigint
FOR NO KEY UPDATE
"""
LINES = """
SELECT line, sku_id, asked, approved, shipped, arrived, settled, transit, dropped FROM transfer_line
WHERE transfer_id = %(id)s::uuid ORDER BY line
"""
APPROVE_LINES = """
UPDATE transfer_line l SET approved = w.units
FROM unnest(%(lines)s::smallint[], %(units)s::int[]) AS w(line, units)
WHERE l.transfer_id = %(id)s::uuid AND l.line = w.line
"""
SHIP_LINES = """
UPDATE transfer_line l SET shipped = l.shipped + w.units
FROM unnest(%(lines)s::smallint[], %(units)s::int[]) AS w(line, units)
WHERE l.transfer_id = %(id)s::uuid AND l.line = w.line
"""
# What was approved and has not left.
DROP_REST = """
UPDATE transfer_line SET dropped = approved - shipped
WHERE transfer_id = %(id)s::uuid AND approved > shipped + dropped
"""
NOTE_CLOSED_SHORT = """
UPDATE transfer SET closed_short_at = now(), closed_short_by = %(actor)s::text, closed_short_reason = %(reason)s::text
WHERE id = %(id)s::uuid
"""
# Under the transfer's lock.
NEXT_SHIPMENT = """
SELECT coalesce(max(number), 0)::int + 1 FROM transfer_shipment WHERE transfer_id = %(id)s::uuid
"""
INSERT_SHIPMENT = """
INSERT INTO transfer_shipment (id, transfer_id, number, document, carrier, tracking_code, eta, eta_usual, shipped_by)
VALUES (%(shipment_id)s::uuid, %(id)s::uuid, %(shipment)s::smallint, %(document)s::text, %(carrier)s::text,
        %(tracking_code)s::text, %(eta)s::date, %(usual)s::boolean, %(actor)s::text)
"""
INSERT_SHIPMENT_LINES = """
INSERT INTO transfer_shipment_line (shipment_id, line, sku_id, shipped)
SELECT %(shipment_id)s::uuid, line, sku_id, units
FROM unnest(%(lines)s::smallint[], %(skus)s::int[], %(units)s::int[]) AS w(line, sku_id, units)
"""
# The first to leave first.
ON_ITS_WAY = """
SELECT s.id AS shipment_id, s.number AS shipment, l.line, l.sku_id, l.coming
FROM transfer_shipment s JOIN transfer_shipment_line l ON l.shipment_id = s.id
WHERE s.transfer_id = %(id)s::uuid AND l.coming > 0
ORDER BY s.number, l.line
"""
SHIPMENT_IDS = "SELECT id, number FROM transfer_shipment WHERE transfer_id = %(id)s::uuid ORDER BY number"
# A line's sum and the shipments that it is the sum of, in one statement.
ARRIVE_LINES = """
WITH came AS (
    SELECT shipment_id, line, sum(units)::int AS units
    FROM unnest(%(shipments)s::uuid[], %(lines)s::smallint[], %(units)s::int[]) AS u(shipment_id, line, units)
    GROUP BY shipment_id, line
), shipments AS (
    UPDATE transfer_shipment_line s SET arrived = s.arrived + c.units
    FROM came c WHERE s.shipment_id = c.shipment_id AND s.line = c.line
), first AS (
    UPDATE transfer_shipment SET arrived_at = now()
    WHERE id IN (SELECT shipment_id FROM came) AND arrived_at IS NULL
)
UPDATE transfer_line l SET arrived = l.arrived + c.units
FROM (SELECT line, sum(units)::int AS units FROM came GROUP BY line) c
WHERE l.transfer_id = %(id)s::uuid AND l.line = c.line
"""
NOTE_MISSING = """
UPDATE transfer_shipment_line s SET missing = s.missing + w.units
FROM unnest(%(shipments)s::uuid[], %(lines)s::smallint[], %(units)s::int[]) AS w(shipment_id, line, units)
WHERE s.shipment_id = w.shipment_id AND s.line = w.line
"""
# Units that were missing, in transit, came after all or went another way. Older code that runs beside this notes what
# is missing without its shipment.
SETTLE_LINE = """
WITH shipment AS (
    UPDATE transfer_shipment_line
    SET arrived = arrived + %(arrived)s::int, settled = settled + %(settled)s::int,
        missing = greatest(missing - %(arrived)s::int - %(settled)s::int, 0)
    WHERE shipment_id = %(shipment_id)s::uuid AND line = %(line)s::smallint
)
UPDATE transfer_line SET arrived = arrived + %(arrived)s::int, settled = settled + %(settled)s::int
WHERE transfer_id = %(id)s::uuid AND line = %(line)s::smallint
"""
# Goods nobody asked for get a line behind the others, so that what is decided about them has a place.
ADD_STRANGE_LINES = """
INSERT INTO transfer_line (transfer_id, line, sku_id, asked, approved)
SELECT %(id)s::uuid, n.most + w.at, w.sku_id, 0, 0
FROM unnest(%(skus)s::int[]) WITH ORDINALITY AS w(sku_id, at)
CROSS JOIN (SELECT max(line) AS most FROM transfer_line WHERE transfer_id = %(id)s::uuid) n
ON CONFLICT (transfer_id, sku_id) DO NOTHING
"""
STEP = """
UPDATE transfer SET state = %(state)s::text, seq = seq + 1,
       approved_by = CASE WHEN %(state)s::text = 'approved' THEN %(actor)s::text ELSE approved_by END,
       shipped_by = CASE WHEN %(state)s::text IN ('partly_shipped', 'shipped')
                         THEN coalesce(shipped_by, %(actor)s::text) ELSE shipped_by END,
       shipped_at = CASE WHEN %(state)s::text IN ('partly_shipped', 'shipped') THEN coalesce(shipped_at, now())
                         ELSE shipped_at END,
       closed_at = CASE WHEN %(state)s::text IN ('closed', 'cancelled') THEN now() END
WHERE id = %(id)s::uuid
RETURNING seq
"""
# How the last one left is what the head says, and its day once nothing is left to ship.
SET_DEPARTURE = """
UPDATE transfer SET document = coalesce(%(document)s::text, document), carrier = %(carrier)s::text,
       tracking_code = %(tracking_code)s::text,
       eta = CASE WHEN %(rest)s::boolean THEN eta ELSE coalesce(%(eta)s::date, eta) END,
       eta_usual = CASE WHEN %(rest)s::boolean THEN eta_usual ELSE %(usual)s::boolean END
WHERE id = %(id)s::uuid
"""
# Under the transfer's lock: what was to leave, or is on its way, and by which day. 0 is what has not left.
DAYS = """
SELECT 0, t.eta, t.eta_usual FROM transfer t
WHERE t.id = %(id)s::uuid AND t.state IN ('requested', 'approved', 'partly_shipped')
UNION ALL
SELECT s.number, s.eta, s.eta_usual FROM transfer_shipment s
WHERE s.transfer_id = %(id)s::uuid
  AND EXISTS (SELECT FROM transfer_shipment_line l WHERE l.shipment_id = s.id AND l.coming > 0)
ORDER BY 1
"""
# What they were goes into the history, in the same statement. The head of a transfer follows its shipments when nothing
# is left to ship.
RESCHEDULE = """
WITH moved AS (
    SELECT * FROM unnest(%(shipments)s::smallint[], %(was)s::date[], %(was_usual)s::boolean[])
        AS w(shipment, was, was_usual)
), history AS (
    INSERT INTO transfer_eta (transfer_id, shipment, was, was_usual, became, reason, actor)
    SELECT %(id)s::uuid, nullif(shipment, 0), was, was_usual, %(eta)s::date, %(reason)s::text, %(actor)s::text
    FROM moved ORDER BY shipment
), shipments AS (
    UPDATE transfer_shipment s SET eta = %(eta)s::date, eta_usual = false
    FROM moved m WHERE s.transfer_id = %(id)s::uuid AND s.number = m.shipment
)
UPDATE transfer t
SET seq = t.seq + 1,
    eta = CASE WHEN %(head)s::boolean THEN %(eta)s::date ELSE t.eta END,
    eta_usual = CASE WHEN %(head)s::boolean THEN false ELSE t.eta_usual END
WHERE t.id = %(id)s::uuid
RETURNING t.seq
"""
# Days from leaving to what came first of the last shipments that came, by the index on ways; the one in the middle.
USUAL_DAYS = """
SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY days)::int
FROM (
    SELECT (s.arrived_at AT TIME ZONE %(zone)s::text)::date - (s.shipped_at AT TIME ZONE %(zone)s::text)::date AS days
    FROM transfer t JOIN transfer_shipment s ON s.transfer_id = t.id
    WHERE t.origin_id = %(origin_id)s::int AND t.destination_id = %(destination_id)s::int
      AND t.shipped_at IS NOT NULL AND s.arrived_at IS NOT NULL
    ORDER BY t.number DESC, s.number DESC LIMIT %(most)s::int
) w
"""
ADD_DISCREPANCIES = """
INSERT INTO transfer_discrepancy (id, transfer_id, shipment_id, line, kind, quantity, found_by)
SELECT w.id, %(transfer_id)s::uuid, w.shipment_id, w.line, w.kind, w.quantity, %(actor)s::text
FROM unnest(%(ids)s::uuid[], %(shipments)s::uuid[], %(lines)s::smallint[], %(kinds)s::text[], %(quantities)s::int[])
     AS w(id, shipment_id, line, kind, quantity)
"""
# Under the transfer's lock.
OPEN_DISCREPANCY = """
SELECT d.line, l.sku_id, d.kind, d.quantity, coalesce(d.shipment_id, d.transfer_id)
FROM transfer_discrepancy d JOIN transfer_line l ON l.transfer_id = d.transfer_id AND l.line = d.line
WHERE d.id = %(id)s::uuid AND d.transfer_id = %(transfer_id)s::uuid AND d.decision IS NULL
"""
DECIDE = """
UPDATE transfer_discrepancy SET decision = %(decision)s::text, quantity = %(quantity)s::int, note = %(note)s::text,
       reference = %(reference)s::text, decided_at = now(), decided_by = %(actor)s::text
WHERE id = %(id)s::uuid AND decision IS NULL
"""
# What the state is derived from. What has not left counts as long as something may leave.
PROGRESS = """
SELECT CASE WHEN t.state IN ('approved', 'partly_shipped') THEN l.left ELSE 0 END AS to_ship, l.shipped,
       coalesce((SELECT sum(w.coming) FROM transfer_shipment s JOIN transfer_shipment_line w ON w.shipment_id = s.id
                 WHERE s.transfer_id = t.id), 0)::int AS coming, l.transit,
       coalesce((SELECT sum(d.quantity) FROM transfer_discrepancy d
                 WHERE d.transfer_id = t.id AND d.decision IS NULL), 0)::int AS undecided
FROM transfer t
CROSS JOIN LATERAL (
    SELECT coalesce(sum(greatest(approved - shipped - dropped, 0)), 0)::int AS left,
           coalesce(sum(shipped), 0)::int AS shipped, coalesce(sum(transit), 0)::int AS transit
    FROM transfer_line WHERE transfer_id = t.id
) l
WHERE t.id = %(id)s::uuid
"""
