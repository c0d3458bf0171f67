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
# One step at a time.
LOCK_TRANSFER = """
SELECT id, number, origin_id, destination_id, state, needs_document, document, eta, seq
FROM transfer WHERE number = %(number)s::bigint
FOR NO KEY UPDATE
"""
LINES = """
SELECT line, sku_id, asked, approved, shipped, arrived, settled, transit FROM transfer_line
WHERE transfer_id = %(id)s::uuid ORDER BY line
"""
APPROVE_LINES = """
UPDATE transfer_line l SET approved = w.units
FROM unnest(%(lines)s::smallint[], %(units)s::int[]) AS w(line, units)
WHERE l.transfer_id = %(id)s::uuid AND l.line = w.line
"""
SHIP_LINES = """
UPDATE transfer_line l SET shipped = w.units
FROM unnest(%(lines)s::smallint[], %(units)s::int[]) AS w(line, units)
WHERE l.transfer_id = %(id)s::uuid AND l.line = w.line
"""
ARRIVE_LINES = """
UPDATE transfer_line l SET arrived = l.arrived + w.units
FROM (SELECT line, sum(units)::int AS units FROM unnest(%(lines)s::smallint[], %(units)s::int[]) AS u(line, units)
      GROUP BY line) w
WHERE l.transfer_id = %(id)s::uuid AND l.line = w.line
"""
SETTLE_LINE = """
UPDATE transfer_line SET arrived = arrived + %(arrived)s::int, settled = settled + %(settled)s::int
WHERE transfer_id = %(id)s::uuid AND line = %(line)s::smallint
"""
# Goods nobody asked for get a line behind the others, so that what is decided about them has a place.
ADD_STRANGE_LINES = """
INSERT INTO transfer_line (transfer_id, line, sku_id, asked, approved)
SELECT %(id)s::uuid, n.most + w.at, w.sku_id, w.units, 0
FROM unnest(%(skus)s::int[], %(units)s::int[]) WITH ORDINALITY AS w(sku_id, units, at)
CROSS JOIN (SELECT max(line) AS most FROM transfer_line WHERE transfer_id = %(id)s::uuid) n
ON CONFLICT (transfer_id, sku_id) DO NOTHING
"""
STEP = """
UPDATE transfer SET state = %(state)s::text, seq = seq + 1,
       approved_by = CASE WHEN %(state)s::text = 'approved' THEN %(actor)s::text ELSE approved_by END,
       shipped_by = CASE WHEN %(state)s::text = 'shipped' AND state <> 'shipped' THEN %(actor)s::text
                         ELSE shipped_by END,
       shipped_at = CASE WHEN %(state)s::text = 'shipped' THEN coalesce(shipped_at, now()) ELSE shipped_at END,
       closed_at = CASE WHEN %(state)s::text IN ('closed', 'cancelled') THEN now() END
WHERE id = %(id)s::uuid
RETURNING seq
"""
SET_DEPARTURE = """
UPDATE transfer SET document = coalesce(%(document)s::text, document), carrier = %(carrier)s::text,
       tracking_code = %(tracking_code)s::text, eta = coalesce(%(eta)s::date, eta), eta_usual = %(usual)s::boolean
WHERE id = %(id)s::uuid
"""
# Under the transfer's lock: what it was goes into its history, in the same statement.
RESCHEDULE = """
WITH moved AS (
    SELECT id, eta AS was, eta_usual AS was_usual FROM transfer
    WHERE id = %(id)s::uuid AND (eta IS DISTINCT FROM %(eta)s::date OR eta_usual)
), history AS (
    INSERT INTO transfer_eta (transfer_id, was, was_usual, became, reason, actor)
    SELECT id, was, was_usual, %(eta)s::date, %(reason)s::text, %(actor)s::text FROM moved
)
UPDATE transfer t SET eta = %(eta)s::date, eta_usual = false, seq = t.seq + 1
FROM moved m WHERE t.id = m.id
RETURNING t.seq, m.was
"""
# Days from leaving to what came first of the last ones that came, by the index on ways; the one in the middle.
USUAL_DAYS = """
SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY days)::int
FROM (
    SELECT (first.at AT TIME ZONE %(zone)s::text)::date - (t.shipped_at AT TIME ZONE %(zone)s::text)::date AS days
    FROM transfer t
    CROSS JOIN LATERAL (
        SELECT min(received_at) AS at FROM receipt r WHERE r.transfer_id = t.id AND r.undone_at IS NULL
    ) first
    WHERE t.origin_id = %(origin_id)s::int AND t.destination_id = %(destination_id)s::int
      AND t.shipped_at IS NOT NULL AND first.at IS NOT NULL
    ORDER BY t.number DESC LIMIT %(most)s::int
) w
"""
ADD_DISCREPANCIES = """
INSERT INTO transfer_discrepancy (id, transfer_id, line, kind, quantity, found_by)
SELECT w.id, %(transfer_id)s::uuid, w.line, w.kind, w.quantity, %(actor)s::text
FROM unnest(%(ids)s::uuid[], %(lines)s::smallint[], %(kinds)s::text[], %(quantities)s::int[])
     AS w(id, line, kind, quantity)
"""
# Under the transfer's lock.
OPEN_DISCREPANCY = """
SELECT d.line, l.sku_id, d.kind, d.quantity
FROM transfer_discrepancy d JOIN transfer_line l ON l.transfer_id = d.transfer_id AND l.line = d.line
WHERE d.id = %(id)s::uuid AND d.transfer_id = %(transfer_id)s::uuid AND d.decision IS NULL
"""
DECIDE = """
UPDATE transfer_discrepancy SET decision = %(decision)s::text, quantity = %(quantity)s::int, note = %(note)s::text,
       reference = %(reference)s::text, decided_at = now(), decided_by = %(actor)s::text
WHERE id = %(id)s::uuid AND decision IS NULL
"""
# Closed when nothing is on its way and nothing waits for a decision.
IS_DONE = """
SELECT NOT EXISTS (SELECT FROM transfer_line WHERE transfer_id = %(id)s::uuid AND transit > 0)
   AND NOT EXISTS (SELECT FROM transfer_discrepancy WHERE transfer_id = %(id)s::uuid AND decision IS NULL)
"""
