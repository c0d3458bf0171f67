"""Statements that change counts. The task is locked before its lines, lines before holds, holds before balances."""

from malha.inventory.counts.reads import OWN

INSERT_TASK = """
INSERT INTO count_task (id, location_id, kind, source, zone, note, blind, frozen, paused, zone_frozen,
                        limit_units, limit_value, created_by, whole_site)
VALUES (%(id)s::uuid, %(location_id)s::int, %(kind)s::text, %(source)s::text, %(zone)s::text, %(note)s::text,
        %(blind)s::boolean, %(frozen)s::boolean, %(paused)s::boolean, %(zone_frozen)s::boolean, %(limit_units)s::int,
        %(limit_value)s::bigint, %(actor)s::text, %(whole_site)s::boolean)
ON CONFLICT (location_id) WHERE frozen DO NOTHING
RETURNING number
"""
# Asked under the locks of balances: later than all that moved them, and no less than the last number the ledger gave.
# Rows of a balance get theirs under its lock, so in the order in which things happened: what moves these balances from
# now on has a higher one, whenever its transaction began.
CLOCK = "SELECT clock_timestamp(), CASE WHEN is_called THEN last_value ELSE 0 END FROM movement_id_seq"
# What the system raises gathers in one open count per location and source: the partial unique index decides.
ENSURE_RAISED = """
INSERT INTO count_task (id, location_id, kind, source, note, limit_units, limit_value, created_by, whole_site)
VALUES (%(id)s::uuid, %(location_id)s::int, 'cycle', %(source)s::text, %(note)s::text, %(limit_units)s::int,
        %(limit_value)s::bigint, %(actor)s::text, %(whole_site)s::boolean)
ON CONFLICT (location_id, source) WHERE state = 'open' AND source IN ('short_pick', 'suspicion', 'drift')
DO UPDATE SET seq = count_task.seq + 1
RETURNING id, number, seq
"""
ADD_LINES = """
INSERT INTO count_line (task_id, sku_id)
SELECT %(task_id)s::uuid, sku_id FROM unnest(%(skus)s::int[]) AS w(sku_id)
ON CONFLICT DO NOTHING
RETURNING sku_id
"""
LINES_OF = "SELECT sku_id FROM count_line WHERE task_id = %(task_id)s::uuid ORDER BY sku_id"
# Everything that is there, or should be.
ADD_ALL_LINES = """
INSERT INTO count_line (task_id, sku_id)
SELECT DISTINCT %(task_id)s::uuid, sku_id FROM balance
WHERE location_id = ANY (%(places)s::int[]) AND (on_hand <> 0 OR allocated <> 0 OR held <> 0)
"""
# Those who count share the task; who closes or cancels it has it alone.
SHARE_TASK = """
SELECT id, number, location_id, kind, source, state, blind, frozen, paused, zone_frozen, limit_units, limit_value,
       CASE WHEN whole_site THEN ARRAY(SELECT m.id FROM location m
                                       WHERE coalesce(m.site_id, m.id) = location_id ORDER BY m.id)
            ELSE ARRAY[location_id] END AS places
FROM count_task WHERE number = %(number)s::bigint
FOR SHARE
"""
LOCK_TASK = """
SELECT id, number, location_id, kind, source, state, blind, frozen, paused, zone_frozen, limit_units, limit_value,
       CASE WHEN whole_site THEN ARRAY(SELECT m.id FROM location m
                                       WHERE coalesce(m.site_id, m.id) = location_id ORDER BY m.id)
            ELSE ARRAY[location_id] END AS places
FROM count_task WHERE number = %(number)s::bigint
FOR NO KEY UPDATE
"""
LOCK_LINES = """
SELECT l.sku_id, l.state, l.attempts, l.counted, l.expected, l.counted_by, l.tally, l.tallied_at, l.tallied_by, v.price
FROM count_line l JOIN variant v ON v.id = l.sku_id
WHERE l.task_id = %(task_id)s::uuid AND l.sku_id = ANY (%(skus)s::int[])
ORDER BY l.sku_id
FOR NO KEY UPDATE OF l
"""
TALLIED = """
SELECT sku_id FROM count_line WHERE task_id = %(task_id)s::uuid AND tally IS NOT NULL ORDER BY sku_id
"""
# Who takes the last scanned unit away has counted nothing: that none is there is said in so many words, without `add`.
# Otherwise whoever scanned is one of those who count the line.
TALLY = """
WITH line AS (
    UPDATE count_line SET tally = CASE
               WHEN NOT %(add)s::boolean THEN %(quantity)s::int
               WHEN %(quantity)s::int < 0 AND coalesce(tally, 0) + %(quantity)s::int <= 0 THEN NULL
               ELSE coalesce(tally, 0) + %(quantity)s::int END,
           tallied_at = clock_timestamp(), tallied_by = %(actor)s::text,
           bin = CASE WHEN %(bin)s::text = '' THEN bin ELSE %(bin)s::text END
    WHERE task_id = %(task_id)s::uuid AND sku_id = %(sku_id)s::int
    RETURNING task_id, sku_id, (attempts + 1)::smallint AS attempt, tally
), gone AS (
    DELETE FROM count_hand h USING line l
    WHERE l.tally IS NULL AND h.task_id = l.task_id AND h.sku_id = l.sku_id AND h.attempt = l.attempt
), hand AS (
    INSERT INTO count_hand (task_id, sku_id, attempt, actor)
    SELECT task_id, sku_id, attempt, %(actor)s::text FROM line WHERE tally IS NOT NULL
    ON CONFLICT DO NOTHING
)
SELECT tally FROM line
"""
# What was on hand at each line's moment, of all owners at the site: what is there now, under the lock, without what was
# written since and happened since. Index movement_balance, the newest rows only.
ON_HAND_AT = """
SELECT w.sku_id, sum(coalesce(b.on_hand, 0) - coalesce((
    SELECT sum(m.d_on_hand) FROM movement m
    WHERE m.sku_id = w.sku_id AND m.location_id = p.id AND m.bucket = 'sellable'
      AND m.recorded_at > w.as_of AND m.occurred_at > w.as_of), 0))::int
FROM unnest(%(skus)s::int[], %(moments)s::timestamptz[]) AS w(sku_id, as_of)
CROSS JOIN unnest(%(places)s::int[]) AS p(id)
LEFT JOIN balance b ON b.sku_id = w.sku_id AND b.location_id = p.id
GROUP BY w.sku_id
"""
RECORD_COUNTS = """
WITH said AS (
    SELECT * FROM unnest(%(skus)s::int[], %(counted)s::int[], %(set_aside)s::int[], %(expected)s::int[],
                         %(moments)s::timestamptz[], %(states)s::text[], %(bins)s::text[])
                  AS w(sku_id, counted, set_aside, expected, as_of, state, bin)
), line AS (
    UPDATE count_line l SET attempts = l.attempts + 1, counted = s.counted, expected = s.expected, as_of = s.as_of,
           state = s.state, counted_by = %(actor)s::text, tally = NULL, tallied_at = NULL, tallied_by = NULL,
           bin = CASE WHEN s.bin = '' THEN l.bin ELSE s.bin END
    FROM said s WHERE l.task_id = %(task_id)s::uuid AND l.sku_id = s.sku_id
    RETURNING l.sku_id, l.attempts
)
INSERT INTO count_entry (task_id, sku_id, attempt, counted, set_aside, expected, as_of, actor, ledger_id)
SELECT %(task_id)s::uuid, s.sku_id, l.attempts, s.counted, s.set_aside, s.expected, s.as_of, %(actor)s::text,
       %(ledger_id)s::bigint
FROM said s JOIN line l ON l.sku_id = s.sku_id
"""
# Which lines somebody counted or scanned part of, in whichever attempt. Primary keys, by the task and the SKU.
COUNTED_BY = """
SELECT sku_id FROM count_entry
WHERE task_id = %(task_id)s::uuid AND sku_id = ANY (%(skus)s::int[]) AND actor = %(actor)s::text
UNION
SELECT sku_id FROM count_hand
WHERE task_id = %(task_id)s::uuid AND sku_id = ANY (%(skus)s::int[]) AND actor = %(actor)s::text
"""
# Which lines wait for somebody else, for this one had a hand in their last count. Asked under the lock of the lines.
LAST_COUNTED_BY = f"""
SELECT l.sku_id FROM count_line l
WHERE l.task_id = %(task_id)s::uuid AND l.sku_id = ANY (%(skus)s::int[]) AND l.state = 'recount' AND {OWN}
"""
SET_LINE_STATES = """
UPDATE count_line SET state = %(state)s::text, approved_by = coalesce(%(approved_by)s::text, approved_by), tally = NULL
WHERE task_id = %(task_id)s::uuid AND state = ANY (%(from_states)s::text[])
  AND (%(skus)s::int[] IS NULL OR sku_id = ANY (%(skus)s::int[]))
RETURNING sku_id
"""
LINES_IN = """
SELECT sku_id FROM count_line WHERE task_id = %(task_id)s::uuid AND state = ANY (%(states)s::text[]) ORDER BY sku_id
"""
# The next lines to apply, in the order in which balances are locked.
NEXT_ACCEPTED = """
SELECT sku_id FROM count_line
WHERE task_id = %(task_id)s::uuid AND state = 'accepted'
ORDER BY sku_id LIMIT %(limit)s::int
FOR NO KEY UPDATE
"""
# Whether somebody counted the same shelf later. What a person counts on the page of a balance is a count of the shelf
# (`shelf_count`); a difference that a program calls a count is not. The lines of a SKU by their index.
VARIANCES = """
SELECT l.sku_id, l.counted - l.expected AS variance,
       EXISTS (SELECT FROM count_line o JOIN count_task t ON t.id = o.task_id
               WHERE o.sku_id = l.sku_id AND o.task_id <> l.task_id AND o.state = 'applied' AND o.as_of > l.as_of
                 AND t.location_id = own.location_id AND t.whole_site = own.whole_site)
       OR EXISTS (SELECT FROM shelf_count n
                  WHERE cardinality(%(places)s::int[]) = 1 AND n.sku_id = l.sku_id
                    AND n.location_id = ANY (%(places)s::int[]) AND n.counted_at > l.as_of) AS superseded
FROM count_line l JOIN count_task own ON own.id = l.task_id
WHERE l.task_id = %(task_id)s::uuid AND l.sku_id = ANY (%(skus)s::int[])
ORDER BY l.sku_id
"""
# What became known since lines were counted, under the lock of their balances and in the order of the ledger, which is
# that of the lock. What happened at a time of its own is placed by that; everything else happened when it got its row.
# The moment of another count is that of its counting. An adjustment that a source reports is goods that moved there;
# that of an import takes back what one stated.
# Index movement_balance once for each line (`OFFSET 0` keeps it so), the newest rows only: a transaction that waited
# for the lock began at most an hour before. Lines from before `ledger_id` was kept go by times alone.
MEANWHILE = """
SELECT l.sku_id, v.location_id, w.what, v.d_on_hand AS units
FROM count_line l
LEFT JOIN count_entry e ON e.task_id = l.task_id AND e.sku_id = l.sku_id AND e.attempt = l.attempts
CROSS JOIN LATERAL (
    SELECT m.*, o.as_of AS counted_at,
           CASE WHEN o.as_of IS NOT NULL THEN o.as_of > l.as_of
                ELSE m.occurred_at = m.recorded_at OR m.occurred_at > l.as_of END AS after,
           coalesce(m.id > e.ledger_id, m.recorded_at > e.recorded_at, true) AS unknown
    FROM movement m
    LEFT JOIN count_line o ON m.ref_kind = 'count' AND o.task_id = m.ref_id AND o.sku_id = m.sku_id
    WHERE m.sku_id = l.sku_id AND m.location_id = ANY (%(places)s::int[]) AND m.bucket = 'sellable'
      AND m.d_on_hand <> 0 AND m.recorded_at > l.as_of - interval '1 hour'
      AND (m.recorded_at > l.as_of OR m.id > e.ledger_id)
    OFFSET 0
) v
CROSS JOIN LATERAL (SELECT CASE
    WHEN v.counted_at IS NOT NULL THEN CASE WHEN v.after THEN 'system' ELSE 'older' END
    WHEN NOT v.after THEN CASE
        WHEN NOT v.unknown THEN NULL
        WHEN v.reason IN ('set', 'initial')
             AND (v.ref_kind = 'drift'
                  AND (SELECT d.kind FROM stock_drift d WHERE d.id = v.ref_id) = 'late') IS NOT TRUE THEN 'older'
        ELSE 'late' END
    WHEN v.reason IN ('set', 'initial', 'count') OR (v.reason = 'adjustment' AND v.ref_kind = 'import') THEN 'system'
    WHEN v.reason IN ('loss', 'found') OR (v.reason = 'adjustment' AND v.ref_kind IN ('console', 'api')) THEN 'note'
    WHEN v.reason = 'short_pick' THEN 'pick'
    WHEN v.reason = 'receipt_undone'
         AND EXISTS (SELECT FROM receipt r WHERE r.id = v.ref_id AND r.received_at <= l.as_of) THEN 'pick'
    END AS what) w
WHERE l.task_id = %(task_id)s::uuid AND l.sku_id = ANY (%(skus)s::int[]) AND w.what IS NOT NULL
ORDER BY l.sku_id, v.id
"""
# What should have been there at the moment, as the ledger knows by now; the entry keeps what it knew then.
EXPECT_ANEW = """
UPDATE count_line l SET expected = l.counted - w.variance, superseded = w.superseded
FROM unnest(%(skus)s::int[], %(variances)s::int[], %(superseded)s::boolean[]) AS w(sku_id, variance, superseded)
WHERE l.task_id = %(task_id)s::uuid AND l.sku_id = w.sku_id
"""
# Under the lock of the balance: later than all that is noted of it.
NOTE_SHELF_COUNT = """
INSERT INTO shelf_count (sku_id, location_id, counted_at, counted_by)
VALUES (%(sku_id)s::int, %(location_id)s::int, clock_timestamp(), %(actor)s::text)
ON CONFLICT (location_id, sku_id) DO UPDATE SET counted_at = excluded.counted_at, counted_by = excluded.counted_by
"""
STEP_TASK = """
UPDATE count_task SET state = %(state)s::text, seq = seq + 1,
       frozen = frozen AND %(state)s::text IN ('open', 'applying'),
       zone_frozen = zone_frozen AND %(state)s::text IN ('open', 'applying'),
       closed_at = CASE WHEN %(state)s::text IN ('applied', 'cancelled') THEN now() END,
       closed_by = %(actor)s::text
WHERE id = %(id)s::uuid
RETURNING seq
"""
INSERT_SUSPICION = """
INSERT INTO stock_suspicion (id, sku_id, location_id, kept_back, score, why)
VALUES (%(id)s::uuid, %(sku_id)s::int, %(location_id)s::int, %(kept_back)s::int, %(score)s::smallint, %(why)s::jsonb)
ON CONFLICT (sku_id, location_id) WHERE lifted_at IS NULL DO NOTHING
RETURNING id
"""
LIFT_SUSPICIONS = """
UPDATE stock_suspicion SET lifted_at = now(), lifted_by = %(actor)s::text, lift_reason = %(reason)s::text
WHERE lifted_at IS NULL AND location_id = ANY (%(places)s::int[]) AND sku_id = ANY (%(skus)s::int[])
RETURNING id, sku_id, location_id
"""
