"""Statements of stock that others state. Private to `inventory`.

A file is loaded by COPY into a table of its own, compared with the balances by one statement, and only what differs is
kept; then it is applied in pieces, each under its locks. Tables of a file have names that are made, so the statements
on them are composed; their names come from a number of ours, never from outside.
"""

from collections.abc import Sequence
from typing import LiteralString, NamedTuple

from psycopg import sql

from malha.platform.ids import UUID
from malha.platform.tabular import NO_RESULT

# --- sources ---

ADD_SOURCE = """
INSERT INTO stock_source (code, name, leaves, skew_seconds, zero_percent, zero_rule, active)
VALUES (%(code)s::text, %(name)s::text, %(leaves)s::text, %(skew_seconds)s::int, %(zero_percent)s::smallint,
        %(zero_rule)s::text, %(active)s::bool)
ON CONFLICT (code) DO NOTHING
RETURNING id
"""

# Conditional on the version that was read: of two who save at once, the second is told.
SET_SOURCE = """
UPDATE stock_source
SET name = %(name)s::text, leaves = %(leaves)s::text, skew_seconds = %(skew_seconds)s::int,
    zero_percent = %(zero_percent)s::smallint, zero_rule = %(zero_rule)s::text, active = %(active)s::bool,
    version = version + 1
WHERE id = %(id)s::int AND version = %(version)s::int
"""

DROP_PLACES = """
DELETE FROM stock_source_location
WHERE source_id = %(id)s::int AND location_id <> ALL (%(locations)s::int[])
"""

# The partial unique index on truths decides between two sources that are declared at once.
SET_PLACES = """
INSERT INTO stock_source_location (source_id, location_id, role)
SELECT %(id)s::int, location_id, role
FROM unnest(%(locations)s::int[], %(roles)s::text[]) AS w(location_id, role)
ORDER BY location_id
ON CONFLICT (source_id, location_id) DO UPDATE SET role = excluded.role
"""

# One snapshot of a source at a time is compared and accepted: the next one then sees what this one left to do.
LOCK_SOURCE = "SELECT last_seq FROM stock_source WHERE id = %(id)s::int FOR NO KEY UPDATE"
# What is still to be applied of a source, by index stock_snapshot_unfinished. Asked before balances are read: what had
# ended is in them.
UNFINISHED = "SELECT id FROM stock_snapshot WHERE source_id = %(id)s::int AND state IN ('waiting', 'applying')"

# --- a file ---

ADD_SNAPSHOT = """
INSERT INTO stock_snapshot (id, source_id, seq, as_of, scope, state, name, client, key, person)
VALUES (%(id)s::uuid, %(source)s::int, %(seq)s::bigint, %(as_of)s::timestamptz, %(scope)s::text, 'receiving',
        %(name)s::text, %(client)s::text, NULL, %(person)s::text)
RETURNING number
"""

NOTE_FILE = """
UPDATE stock_snapshot SET bytes = %(bytes)s::bigint, digest = %(digest)s::bytea, rows = %(rows)s::int,
    other_sheets = %(other_sheets)s::jsonb, oddities = %(oddities)s::jsonb
WHERE id = %(id)s::uuid AND state = 'receiving'
"""

DROP_SNAPSHOT = "DELETE FROM stock_snapshot WHERE id = %(id)s::uuid AND state = 'receiving'"

ACCEPT = """
UPDATE stock_snapshot s
SET state = %(state)s::text, reason = %(reason)s::jsonb, key = %(key)s::text, stocked = %(stocked)s::int,
    zeroed = %(zeroed)s::int, held = %(held)s::int, accepted_at = CASE WHEN %(state)s::text <> 'refused' THEN now() END,
    ended_at = CASE WHEN %(state)s::text = 'refused' THEN now() END,
    differing = k.differing, absent = k.absent
FROM (SELECT count(*)::int AS differing, count(*) FILTER (WHERE NOT mentioned)::int AS absent
      FROM stock_snapshot_row WHERE snapshot_id = %(id)s::uuid) k
WHERE s.id = %(id)s::uuid AND s.state = 'receiving'
RETURNING s.differing
"""

SET_LAST_SEQ = "UPDATE stock_source SET last_seq = %(seq)s::bigint WHERE id = %(id)s::int"

SET_LAST_AT = """
UPDATE stock_source_location SET last_seq = %(seq)s::bigint, last_as_of = %(as_of)s::timestamptz
WHERE source_id = %(id)s::int AND location_id = ANY (%(locations)s::int[])
"""

ADD_PLACES = """
INSERT INTO stock_snapshot_location (snapshot_id, location_id, rows)
SELECT %(id)s::uuid, location_id, rows FROM unnest(%(locations)s::int[], %(rows)s::int[]) AS w(location_id, rows)
"""

# What was carried by other orders' work when the source stated its numbers, as the caller knows it.
NOTE_UNDERWAY = """
UPDATE stock_snapshot_row r SET underway = w.quantity
FROM unnest(%(skus)s::int[], %(locations)s::int[], %(quantities)s::int[]) AS w(sku_id, location_id, quantity)
WHERE r.snapshot_id = %(id)s::uuid AND r.sku_id = w.sku_id AND r.location_id = w.location_id
"""

# Of the locations' balances, by index balance_location: how many there are, and how many have stock.
COUNT_STOCKED = """
SELECT count(*)::int, count(*) FILTER (WHERE on_hand > 0)::int FROM balance
WHERE location_id = ANY (%(locations)s::int[])
"""
COUNT_LOCATIONS = "SELECT count(*) FROM location"

COUNT_ZEROED = """
SELECT count(*)::int FROM stock_snapshot_row r JOIN balance b USING (sku_id, location_id)
WHERE r.snapshot_id = %(id)s::uuid AND r.stated::bigint + r.underway = 0 AND b.on_hand > 0
"""

# What a whole statement does not mention may be what its rows without a known SKU speak of: those of its locations, or
# everywhere where they name none. Rows that stood as they are in the last statement that was applied are strangers that
# are known. A SKU whose row names a location that nobody knows may be at any of them, unless the last one named that
# location too: a place that is not kept here. By the keys of the rows held, few; what is not mentioned is among the
# rows of the snapshot.
KEEP_ABSENT = """
WITH said AS (
    SELECT h.sku, h.problem, h.location FROM stock_snapshot_held h
    WHERE h.snapshot_id = %(id)s::uuid
      AND h.problem IN ('unreadable', 'key_twice', 'no_result', 'unknown_sku', 'unknown_gtin', 'bad_gtin')
      AND NOT EXISTS (SELECT FROM variant v WHERE v.sku = h.sku)
), last AS MATERIALIZED (
    SELECT h.sku, h.problem, h.location FROM stock_snapshot_held h
    WHERE h.snapshot_id = (SELECT id FROM stock_snapshot
                           WHERE source_id = %(source)s::int AND scope = 'whole' AND state = 'applied'
                           ORDER BY seq DESC LIMIT 1)
), former AS (
    SELECT sku, problem, count(*) AS rows FROM last GROUP BY 1, 2
), strange AS (
    SELECT s.sku, s.problem FROM (SELECT sku, problem, count(*) AS rows FROM said GROUP BY 1, 2) s
    LEFT JOIN former f USING (sku, problem)
    WHERE s.rows > coalesce(f.rows, 0)
), places AS (
    SELECT DISTINCT p.id FROM said JOIN strange USING (sku, problem) LEFT JOIN location p ON p.code = said.location
), lost AS (
    SELECT DISTINCT v.id FROM stock_snapshot_held h LEFT JOIN variant v ON v.sku = h.sku
    WHERE h.snapshot_id = %(id)s::uuid AND h.problem IN ('unknown_location', 'unknown_owner')
      AND NOT EXISTS (SELECT FROM last l WHERE l.problem = h.problem AND l.location = h.location)
)
UPDATE stock_snapshot_row r SET waits = true
FROM balance b
WHERE r.snapshot_id = %(id)s::uuid AND NOT r.mentioned AND b.sku_id = r.sku_id AND b.location_id = r.location_id
  AND b.on_hand > 0 AND (r.location_id IN (SELECT id FROM places) OR EXISTS (SELECT FROM places WHERE id IS NULL)
                         OR r.sku_id IN (SELECT id FROM lost) OR EXISTS (SELECT FROM lost WHERE id IS NULL))
"""

# --- applying ---

# All else of it is applied: what waits begins anew at the first key.
AWAIT_PERSON = """
UPDATE stock_snapshot s
SET state = 'waiting', through_sku = 0, through_location = 0,
    reason = jsonb_build_object('code', 'absent', 'rows', w.rows)
FROM (SELECT count(*) AS rows FROM stock_snapshot_row WHERE snapshot_id = %(id)s::uuid AND waits) w
WHERE s.id = %(id)s::uuid AND s.state = 'applying' AND w.rows > 0
"""

# The row's lock decides between two presses of a button, and between a press and the worker.
LOCK_SNAPSHOT = "SELECT state FROM stock_snapshot WHERE id = %(id)s::uuid FOR NO KEY UPDATE"

SET_STATE = """
UPDATE stock_snapshot
SET state = %(state)s::text, reason = coalesce(%(reason)s::jsonb, reason),
    ended_at = CASE WHEN %(state)s::text <> 'applying' THEN now() END
WHERE id = %(id)s::uuid AND state = ANY (%(states)s::text[])
"""

# The next keys in their order, found by the primary key.
NEXT_KEYS = """
SELECT count(*)::int, (array_agg(sku_id ORDER BY sku_id DESC, location_id DESC))[1],
       (array_agg(location_id ORDER BY sku_id DESC, location_id DESC))[1]
FROM (
    SELECT sku_id, location_id FROM stock_snapshot_row
    WHERE snapshot_id = %(id)s::uuid AND (sku_id, location_id) > (%(sku)s::int, %(location)s::int)
      AND waits = %(waits)s::boolean
    ORDER BY sku_id, location_id LIMIT %(limit)s::int
) k
"""

# Pairs that never had stock get their balance when a snapshot that speaks of them is accepted.
ENSURE_NEW = """
INSERT INTO balance (sku_id, location_id)
SELECT r.sku_id, r.location_id FROM stock_snapshot_row r
WHERE r.snapshot_id = %(id)s::uuid
  AND NOT EXISTS (SELECT FROM balance b WHERE b.sku_id = r.sku_id AND b.location_id = r.location_id)
ORDER BY r.sku_id, r.location_id
ON CONFLICT DO NOTHING
"""

# Rows of a file that are clear (`sieve`). What changed before the balance was read is seen by its movements here, what
# changes after it by another version; see APPLY_PART.
KEEP_CLEAR = """
INSERT INTO stock_snapshot_row (snapshot_id, sku_id, location_id, stated, mentioned, seen)
SELECT %(id)s::uuid, w.sku_id, w.location_id, w.units, true, CASE WHEN m.sku_id IS NULL THEN w.seen END
FROM unnest(%(skus)s::int[], %(locations)s::int[], %(units)s::int[], %(versions)s::xid[])
     AS w(sku_id, location_id, units, seen)
LEFT JOIN (
    SELECT DISTINCT sku_id, location_id FROM movement
    WHERE recorded_at > %(since)s::timestamptz AND d_on_hand <> 0 AND location_id = ANY (%(places)s::int[])
) m ON m.sku_id = w.sku_id AND m.location_id = w.location_id
"""

# Fences come before balances, in everybody's order: fewer units may be left than are set apart.
LOCK_FENCES_OF_PART = """
SELECT f.sku_id FROM fence_stock f JOIN stock_snapshot_row r USING (sku_id, location_id)
WHERE r.snapshot_id = %(id)s::uuid AND (r.sku_id, r.location_id) > (%(sku)s::int, %(location)s::int)
  AND (r.sku_id, r.location_id) <= (%(to_sku)s::int, %(to_location)s::int) AND r.waits = %(waits)s::boolean
ORDER BY f.sku_id, f.location_id, f.allotment_id
FOR NO KEY UPDATE OF f
"""

# Statement one: the locks, in key order. What the next statement sums was committed before they were granted.
LOCK_PART = """
WITH locked AS MATERIALIZED (
    SELECT b.sku_id FROM balance b JOIN stock_snapshot_row r USING (sku_id, location_id)
    WHERE r.snapshot_id = %(id)s::uuid AND (r.sku_id, r.location_id) > (%(sku)s::int, %(location)s::int)
      AND (r.sku_id, r.location_id) <= (%(to_sku)s::int, %(to_location)s::int) AND r.waits = %(waits)s::boolean
    ORDER BY b.sku_id, b.location_id
    FOR NO KEY UPDATE OF b
)
SELECT count(*) FROM locked
"""

# What moved since, by index movement_balance on the newest partitions. `later` counts on top of what was stated: by
# others, after the window; by the source itself, after the statement's own place. What others put absolutely since (a
# count) is newer than the statement and stands. What lies in the window may be on either side. A balance that is still
# the version that was compared (`seen`) has no movements since, and none that were: nothing is looked up. OFFSET keeps
# that question before the look, and what is looked up out of the joins.
_SINCE = """
LEFT JOIN LATERAL (
    SELECT found.* FROM (SELECT WHERE (b.xmin = r.seen) IS NOT TRUE OFFSET 0) look CROSS JOIN LATERAL (
    SELECT coalesce(sum(m.d_on_hand) FILTER (
               WHERE CASE WHEN m.source_id = %(source)s::int
                          THEN coalesce(m.source_seq > %(seq)s::bigint, m.occurred_at > %(as_of)s::timestamptz)
                          ELSE m.occurred_at > %(until)s::timestamptz END), 0)::bigint AS later,
           coalesce(sum(m.d_on_hand) FILTER (WHERE m.source_id IS DISTINCT FROM %(source)s::int
               AND m.occurred_at > %(from)s::timestamptz AND m.occurred_at <= %(until)s::timestamptz), 0)::bigint
               AS in_window,
           count(*) FILTER (WHERE m.source_id IS DISTINCT FROM %(source)s::int
               AND m.occurred_at > %(from)s::timestamptz AND m.occurred_at <= %(until)s::timestamptz) > 0 AS near,
           coalesce(bool_or(m.reason IN ('count', 'set', 'initial')
               AND CASE WHEN m.source_id = %(source)s::int
                        THEN coalesce(m.source_seq > %(seq)s::bigint, m.occurred_at > %(as_of)s::timestamptz)
                        ELSE m.occurred_at > %(until)s::timestamptz END), false) AS stands
    FROM movement m
    WHERE m.sku_id = r.sku_id AND m.location_id = r.location_id
      AND m.recorded_at > %(since)s::timestamptz AND m.d_on_hand <> 0 AND m.bucket = 'sellable') found
) m ON true
"""

# What follows from balances that moved, as arrays: those with more, those where a deficit may have begun or ended,
# those with fewer, those with fewer than are set apart (see `following.follow`).
_NEWS = """       (SELECT coalesce(array_agg(ARRAY[sku_id, location_id] ORDER BY sku_id, location_id), '{}')
        FROM moved WHERE delta > 0),
       (SELECT coalesce(array_agg(ARRAY[sku_id, location_id, on_hand, allocated] ORDER BY sku_id, location_id), '{}')
        FROM moved WHERE delta < 0 AND on_hand < allocated
                      OR delta > 0 AND EXISTS (SELECT FROM stock_deficit x WHERE x.resolved_at IS NULL
                                               AND x.sku_id = moved.sku_id AND x.location_id = moved.location_id)),
       (SELECT coalesce(array_agg(ARRAY[sku_id, location_id] ORDER BY sku_id, location_id), '{}')
        FROM moved WHERE delta < 0),
       (SELECT coalesce(array_agg(ARRAY[sku_id, location_id] ORDER BY sku_id, location_id), '{}')
        FROM moved WHERE unfenced)
"""

# Statement two: the difference and its ledger row, under the locks of LOCK_PART. Open allocations are not touched.
# Movements are of the moment the statement speaks of, so that no later statement adds them on top of itself. What a
# newer statement of the source has looked at is its own: where it found what was there it wrote nothing that would
# tell. Its place is read under the lock that it had there. Mostly there is none, which is asked once.
# What no balance can hold is for a person, noted as the most there can be. Locked, a balance stays where it lies, so it
# is changed there (`ctid`) instead of being found again.
APPLY_PART = (
    """
WITH newer AS MATERIALIZED (
    SELECT FROM stock_snapshot
    WHERE source_id = %(source)s::int AND seq > %(seq)s::bigint AND accepted_at IS NOT NULL LIMIT 1
), decided AS MATERIALIZED (
    SELECT r.sku_id, r.location_id, r.stated, r.underway, b.ctid AS at, b.on_hand, b.allocated, w.later,
           coalesce(m.in_window, 0) AS in_window, coalesce(m.stands, false) AS stands, w.wanted - b.on_hand AS delta,
           CASE WHEN m.stands THEN NULL
                WHEN r.location_id IN (SELECT location_id FROM stock_source_location
                                       WHERE source_id = %(source)s::int AND role = 'secondary') THEN 'compared'
                WHEN m.near THEN 'window'
                WHEN w.wanted < 0 THEN 'negative'
                WHEN w.wanted > 2147483647 OR abs(w.wanted - b.on_hand) > 2147483647
                     OR w.wanted < least(b.on_hand, b.allocated::bigint + b.held + b.safety + b.fenced - 2147483647)
                THEN 'beyond' END AS review
    FROM stock_snapshot_row r
    JOIN balance b ON b.sku_id = r.sku_id AND b.location_id = r.location_id
"""
    + _SINCE
    + """
    CROSS JOIN LATERAL (
        SELECT coalesce(m.later, 0) AS later, coalesce(m.later, 0) + r.stated + r.underway AS wanted  -- of bigint
    ) w
    WHERE r.snapshot_id = %(id)s::uuid AND (r.sku_id, r.location_id) > (%(sku)s::int, %(location)s::int)
      AND (r.sku_id, r.location_id) <= (%(to_sku)s::int, %(to_location)s::int) AND r.waits = %(waits)s::boolean
      AND (r.location_id IN (SELECT location_id FROM stock_source_location WHERE source_id = %(source)s::int)) IS TRUE
      AND (NOT EXISTS (SELECT FROM newer) OR NOT EXISTS (
          SELECT FROM stock_snapshot o JOIN stock_snapshot_row q ON q.snapshot_id = o.id
          WHERE o.source_id = %(source)s::int AND o.seq > %(seq)s::bigint AND o.accepted_at IS NOT NULL
            AND q.sku_id = r.sku_id AND q.location_id = r.location_id
            AND ((q.waits = (coalesce(o.reason ->> 'code', '') = 'absent')
                  AND (q.sku_id, q.location_id) <= (o.through_sku, o.through_location))
                 OR (o.reason ->> 'code' = 'absent' AND NOT q.waits))
          OFFSET 0))
), moved AS (
    UPDATE balance b SET on_hand = b.on_hand + d.delta
    FROM decided d
    WHERE b.ctid = d.at AND d.review IS NULL AND NOT d.stands AND d.delta <> 0
    RETURNING b.sku_id, b.location_id, b.on_hand, b.allocated, d.delta,
              b.fenced > greatest(b.on_hand - b.allocated - b.held, 0) AS unfenced
), ledger AS (
    INSERT INTO movement (sku_id, location_id, d_on_hand, reason, ref_kind, ref_id, ref_text, actor, occurred_at,
                          source_id, source_seq)
    SELECT sku_id, location_id, delta, 'set', 'snapshot', %(id)s::uuid, %(text)s::text, %(actor)s::text,
           %(as_of)s::timestamptz, %(source)s::int, %(seq)s::bigint
    FROM moved ORDER BY sku_id, location_id
), drifted AS (
    INSERT INTO stock_drift (id, source_id, sku_id, location_id, snapshot_id, kind, state, as_of, seq, theirs, ours,
                             underway, later, in_window, allocated, unexplained)
    SELECT gen_random_uuid(), %(source)s::int, d.sku_id, d.location_id, %(id)s::uuid, d.review,
           CASE WHEN d.review = 'window' AND (d.delta = 0 OR EXISTS (
                    SELECT FROM (
                        SELECT sum(w.d_on_hand) OVER (ORDER BY w.occurred_at DESC, w.id DESC) AS since
                        FROM movement w
                        WHERE w.sku_id = d.sku_id AND w.location_id = d.location_id
                          AND w.recorded_at > %(since)s::timestamptz AND w.d_on_hand <> 0 AND w.bucket = 'sellable'
                          AND w.source_id IS DISTINCT FROM %(source)s::int
                          AND w.occurred_at > %(from)s::timestamptz AND w.occurred_at <= %(until)s::timestamptz
                    ) x WHERE d.delta + x.since = 0))
                THEN 'explained' ELSE 'open' END,
           %(as_of)s::timestamptz, %(seq)s::bigint, d.stated, d.on_hand, d.underway,
           greatest(least(d.later, 2147483647), -2147483647)::int,
           greatest(least(d.in_window, 2147483647), -2147483647)::int, d.allocated,
           greatest(least(d.delta, 2147483647), -2147483647)::int
    FROM decided d
    WHERE d.review IS NOT NULL AND NOT (d.review = 'compared' AND d.delta = 0)
    ORDER BY d.sku_id, d.location_id
    ON CONFLICT (source_id, sku_id, location_id) DO UPDATE
    SET snapshot_id = excluded.snapshot_id, kind = excluded.kind, as_of = excluded.as_of, seq = excluded.seq,
        theirs = excluded.theirs, ours = excluded.ours, underway = excluded.underway, later = excluded.later,
        in_window = excluded.in_window, allocated = excluded.allocated, unexplained = excluded.unexplained,
        state = CASE WHEN stock_drift.state = 'ours' AND stock_drift.unexplained = excluded.unexplained
                     THEN 'ours'
                     WHEN stock_drift.state = 'counting' AND stock_drift.count_id IS NOT NULL
                          AND excluded.state = 'open' THEN 'counting' ELSE excluded.state END,
        count_id = CASE WHEN stock_drift.state = 'counting' AND excluded.state = 'open' THEN stock_drift.count_id END,
        found_at = CASE WHEN stock_drift.state IN ('open', 'counting') THEN stock_drift.found_at ELSE now() END,
        settled_at = CASE WHEN stock_drift.state = 'ours' AND stock_drift.unexplained = excluded.unexplained
                          THEN stock_drift.settled_at END,
        settled_by = CASE WHEN stock_drift.state = 'ours' AND stock_drift.unexplained = excluded.unexplained
                          THEN stock_drift.settled_by END,
        version = stock_drift.version + 1
), agreed AS (
    UPDATE stock_drift x SET state = 'agreed', settled_at = now(), settled_by = %(actor)s::text, version = version + 1
    FROM decided d
    WHERE (x.source_id = %(source)s::int OR x.kind = 'late' AND x.as_of < %(as_of)s::timestamptz)
      AND x.sku_id = d.sku_id AND x.location_id = d.location_id AND x.state IN ('open', 'counting', 'explained')
      AND (d.review IS NULL OR d.review = 'compared' AND d.delta = 0)
), told AS (
    UPDATE stock_snapshot_location l
    SET changed = l.changed + t.changed, reviewed = l.reviewed + t.reviewed, more = l.more + t.more,
        fewer = l.fewer + t.fewer
    FROM (
        SELECT location_id, count(*) FILTER (WHERE review IS NULL)::int AS changed,
               count(review)::int AS reviewed,
               coalesce(sum(delta) FILTER (WHERE review IS NULL AND delta > 0), 0) AS more,
               coalesce(-sum(delta) FILTER (WHERE review IS NULL AND delta < 0), 0) AS fewer
        FROM decided WHERE delta <> 0 AND NOT stands GROUP BY location_id
    ) t
    WHERE l.snapshot_id = %(id)s::uuid AND l.location_id = t.location_id
)
SELECT (SELECT count(*) FROM moved)::int,
       (SELECT count(*) FROM decided WHERE review IS NOT NULL AND NOT (review = 'compared' AND delta = 0))::int,
"""
    + _NEWS
)

# Conditional on where it stood: of two workers that believe the snapshot is theirs, one advances it, the other stops.
ADVANCE = """
UPDATE stock_snapshot
SET through_sku = %(to_sku)s::int, through_location = %(to_location)s::int, done = done + %(count)s::int,
    changed = changed + %(changed)s::int, reviewed = reviewed + %(reviewed)s::int
WHERE id = %(id)s::uuid AND state = 'applying' AND (through_sku, through_location) = (%(sku)s::int, %(location)s::int)
"""

# --- deltas ---

# One row of locks in key order, after the balances are there. `had` is the newest value, read under the lock.
ENSURE_DELTAS = """
INSERT INTO balance (sku_id, location_id)
SELECT DISTINCT w.sku_id, w.location_id FROM unnest(%(skus)s::int[], %(locations)s::int[]) AS w(sku_id, location_id)
WHERE NOT EXISTS (SELECT FROM balance b WHERE b.sku_id = w.sku_id AND b.location_id = w.location_id)
ORDER BY w.sku_id, w.location_id
ON CONFLICT DO NOTHING
"""

# Sequence of a batch: natural keys first (of two senders of one reference the second waits here and then finds it),
# in their order; then the balances.
CLAIM_REFS = """
INSERT INTO stock_delta (source_id, ref, sku_id, location_id, quantity, sets, outcome)
SELECT %(source)s::int, ref, sku_id, location_id, quantity, sets, 'applied'
FROM unnest(%(refs)s::text[], %(skus)s::int[], %(locations)s::int[], %(quantities)s::int[], %(sets)s::bool[])
     AS w(ref, sku_id, location_id, quantity, sets)
ORDER BY ref
ON CONFLICT DO NOTHING
RETURNING ref
"""

SAME_REFS = """
SELECT ref, sku_id, location_id, quantity, sets, outcome FROM stock_delta
WHERE source_id = %(source)s::int AND ref = ANY (%(refs)s::text[])
"""

# One wave: each balance once, or differences only, which are summed. A compare-and-set looks at the locked row: no
# other transaction can come between the look and the change. What is refused: 1, there are not as many as expected; 2,
# the balance cannot hold it; 3, it cannot hold one of several, which have to be carried out one by one.
APPLY_DELTAS = (
    """
WITH want AS MATERIALIZED (
    SELECT * FROM unnest(%(at)s::int[], %(skus)s::int[], %(locations)s::int[], %(quantities)s::int[], %(sets)s::bool[],
                         %(expected)s::int[], %(seqs)s::bigint[], %(occurred)s::timestamptz[], %(reasons)s::text[],
                         %(documents)s::text[])
                  AS w(at, sku_id, location_id, quantity, sets, expected, seq, occurred_at, reason, document)
), keys AS (
    SELECT DISTINCT sku_id, location_id FROM want
), locked AS MATERIALIZED (
    SELECT b.sku_id, b.location_id, b.on_hand, b.allocated::bigint + b.held + b.safety + b.fenced AS kept
    FROM balance b JOIN keys k ON b.sku_id = k.sku_id AND b.location_id = k.location_id
    ORDER BY b.sku_id, b.location_id
    FOR NO KEY UPDATE OF b
), looked AS (
    SELECT w.*, l.on_hand AS had, l.kept, d.delta, w.expected IS NOT NULL AND w.expected <> l.on_hand AS unexpected,
           l.on_hand + sum(d.delta) OVER (PARTITION BY w.sku_id, w.location_id ORDER BY w.at) AS has
    FROM want w JOIN locked l ON l.sku_id = w.sku_id AND l.location_id = w.location_id
    CROSS JOIN LATERAL (
        SELECT CASE WHEN w.sets THEN w.quantity::bigint - l.on_hand ELSE w.quantity END AS delta) d
), decided AS MATERIALIZED (
    SELECT k.*, CASE WHEN unexpected THEN 1
        WHEN bool_or(abs(delta) > 2147483647 OR delta > 0 AND has > 2147483647
                     OR delta < 0 AND has - kept < -2147483647) OVER (PARTITION BY sku_id, location_id)
        THEN CASE WHEN count(*) OVER (PARTITION BY sku_id, location_id) = 1 THEN 2 ELSE 3 END
        ELSE 0 END AS refused
    FROM looked k
), sums AS (
    SELECT sku_id, location_id, sum(delta)::int AS delta FROM decided WHERE refused = 0 GROUP BY sku_id, location_id
), moved AS (
    UPDATE balance b SET on_hand = b.on_hand + s.delta
    FROM sums s
    WHERE b.sku_id = s.sku_id AND b.location_id = s.location_id AND s.delta <> 0
    RETURNING b.sku_id, b.location_id, b.on_hand, b.allocated, s.delta,
              b.fenced > greatest(b.on_hand - b.allocated - b.held, 0) AS unfenced
), ledger AS (
    INSERT INTO movement (sku_id, location_id, d_on_hand, reason, ref_kind, ref_text, actor, occurred_at, source_id,
                          source_seq)
    SELECT sku_id, location_id, delta, reason, 'source', document, %(actor)s::text, coalesce(occurred_at, now()),
           %(source)s::int, seq
    FROM decided WHERE refused = 0 AND delta <> 0 ORDER BY at
)
SELECT (SELECT array_agg(ARRAY[at, had, refused] ORDER BY at) FROM decided),
"""
    + _NEWS
)

# A compare-and-set that was refused may be sent again under its reference.
FREE_REFS = "DELETE FROM stock_delta WHERE source_id = %(source)s::int AND ref = ANY (%(refs)s::text[])"

SET_OUTCOMES = """
UPDATE stock_delta d SET outcome = w.outcome
FROM unnest(%(refs)s::text[], %(outcomes)s::text[]) AS w(ref, outcome)
WHERE d.source_id = %(source)s::int AND d.ref = w.ref
"""

# What a set would change is a difference too. What nobody believes is noted as the most there can be.
ADD_LATE = """
INSERT INTO stock_drift (id, source_id, sku_id, location_id, kind, state, as_of, seq, theirs, ours, underway, later,
                         in_window, allocated, unexplained)
SELECT gen_random_uuid(), %(source)s::int, b.sku_id, b.location_id, 'late', 'open', p.last_as_of, p.last_seq, b.on_hand,
       b.on_hand, 0, 0, w.quantity, b.allocated, w.quantity
FROM (SELECT u.sku_id, u.location_id,
             greatest(least(sum(CASE WHEN u.sets THEN u.quantity::bigint - k.on_hand ELSE u.quantity END),
                            2147483647), -2147483647)::int AS quantity
      FROM unnest(%(skus)s::int[], %(locations)s::int[], %(quantities)s::int[], %(sets)s::bool[])
                  AS u(sku_id, location_id, quantity, sets)
      JOIN balance k ON k.sku_id = u.sku_id AND k.location_id = u.location_id
      GROUP BY u.sku_id, u.location_id) w
JOIN balance b ON b.sku_id = w.sku_id AND b.location_id = w.location_id
JOIN LATERAL (SELECT last_as_of, last_seq FROM stock_source_location t
              WHERE t.location_id = b.location_id AND t.last_as_of IS NOT NULL
              ORDER BY t.last_as_of DESC LIMIT 1) p ON true
ORDER BY b.sku_id, b.location_id
ON CONFLICT (source_id, sku_id, location_id) DO UPDATE
SET kind = 'late', state = 'open', as_of = excluded.as_of, seq = excluded.seq, theirs = excluded.theirs,
    ours = excluded.ours, underway = 0, later = 0, allocated = excluded.allocated, snapshot_id = NULL,
    in_window = greatest(least(excluded.in_window::bigint + CASE
        WHEN stock_drift.kind = 'late' AND stock_drift.state = 'open' THEN stock_drift.in_window ELSE 0 END,
        2147483647), -2147483647)::int,
    unexplained = greatest(least(excluded.unexplained::bigint + CASE
        WHEN stock_drift.kind = 'late' AND stock_drift.state = 'open' THEN stock_drift.unexplained ELSE 0 END,
        2147483647), -2147483647)::int,
    found_at = now(), settled_at = NULL, settled_by = NULL, count_id = NULL, version = stock_drift.version + 1
"""

# What we told late ourselves is here already, so it is what the source may have fewer of. Snapshots of secondary
# sources were never applied: they add nothing twice. What is open at the balance stays what it is and goes by these
# units too: before its moment they are in doubt, after it they are not. Index stock_source_truth, few rows.
ADD_TOLD_LATE = """
INSERT INTO stock_drift (id, source_id, sku_id, location_id, kind, state, as_of, seq, theirs, ours, underway, later,
                         in_window, allocated, unexplained)
SELECT gen_random_uuid(), p.source_id, b.sku_id, b.location_id, 'late', 'open', p.last_as_of, p.last_seq,
       b.on_hand - w.quantity, b.on_hand, 0, 0, 0, b.allocated, -w.quantity
FROM unnest(%(skus)s::int[], %(locations)s::int[], %(quantities)s::int[]) AS w(sku_id, location_id, quantity)
JOIN balance b ON b.sku_id = w.sku_id AND b.location_id = w.location_id
JOIN stock_source_location p ON p.location_id = b.location_id AND p.role = 'truth'
JOIN stock_source s ON s.id = p.source_id
WHERE %(at)s::timestamptz <= p.last_as_of + make_interval(secs => s.skew_seconds)
ORDER BY b.sku_id, b.location_id
ON CONFLICT (source_id, sku_id, location_id) DO UPDATE
SET (kind, state, as_of, seq, snapshot_id, count_id, found_at, theirs, ours, underway, later, in_window, allocated,
     unexplained, settled_at, settled_by, version) = (
    SELECT n.kind, n.state, n.as_of, n.seq, n.snapshot_id, n.count_id, n.found_at, n.theirs, n.ours, n.underway,
           n.later, n.in_window, excluded.allocated, n.unexplained, NULL::timestamptz, NULL::text,
           stock_drift.version + 1
    FROM (
        SELECT stock_drift.kind, stock_drift.state, stock_drift.as_of, stock_drift.seq, stock_drift.snapshot_id,
               stock_drift.count_id, stock_drift.found_at, stock_drift.theirs,
               greatest(least(stock_drift.ours - excluded.unexplained::bigint,
                              2147483647), -2147483647)::int AS ours,
               stock_drift.underway,
               greatest(least(stock_drift.later::bigint - CASE WHEN k.known THEN excluded.unexplained ELSE 0 END,
                              2147483647), -2147483647)::int AS later,
               stock_drift.in_window,
               greatest(least(stock_drift.unexplained::bigint
                              + CASE WHEN k.known THEN 0 ELSE excluded.unexplained END,
                              2147483647), -2147483647)::int AS unexplained
        FROM (SELECT stock_drift.kind <> 'late' AND %(at)s::timestamptz > stock_drift.as_of AS known) k
        WHERE stock_drift.state IN ('open', 'counting')
        UNION ALL
        SELECT 'late', 'open', excluded.as_of, excluded.seq, NULL, NULL, now(), excluded.theirs, excluded.ours, 0, 0, 0,
               excluded.unexplained
        WHERE stock_drift.state NOT IN ('open', 'counting')
    ) n
)
"""

# --- repairs ---

# In key order: a repair of many locks like everybody else.
LOCK_DRIFTS = """
SELECT d.id, d.version, d.state FROM stock_drift d WHERE d.id = ANY (%(ids)s::uuid[])
ORDER BY d.sku_id, d.location_id, d.id
FOR NO KEY UPDATE OF d
"""

LOCK_DRIFTED = """
WITH locked AS MATERIALIZED (
    SELECT b.sku_id FROM balance b
    WHERE (b.sku_id, b.location_id) IN (SELECT sku_id, location_id FROM stock_drift WHERE id = ANY (%(ids)s::uuid[]))
    ORDER BY b.sku_id, b.location_id
    FOR NO KEY UPDATE
)
SELECT count(*) FROM locked
"""

# The source's number as it was stated, with everything that moved since by the clock, whatever the window; a change
# that was held because it was late is added as it was reported. A count since then is newer and stands. Where a balance
# cannot hold what comes of it, nothing is done but to say at which.
TAKE_THEIRS = """
WITH decided AS MATERIALIZED (
    SELECT d.id, d.source_id, d.seq, d.as_of, d.sku_id, d.location_id, s.code, d.kind = 'late' AS late,
           CASE WHEN d.kind = 'late' THEN d.unexplained
                WHEN m.stands THEN 0
                ELSE d.theirs::bigint + d.underway + coalesce(m.later, 0) - b.on_hand END AS delta
    FROM stock_drift d
    JOIN balance b ON b.sku_id = d.sku_id AND b.location_id = d.location_id
    JOIN stock_source s ON s.id = d.source_id
    LEFT JOIN LATERAL (
        SELECT sum(m.d_on_hand)::bigint AS later,
               coalesce(bool_or(m.reason IN ('count', 'set', 'initial')), false) AS stands
        FROM movement m
        WHERE m.sku_id = d.sku_id AND m.location_id = d.location_id
          AND m.recorded_at > d.as_of - make_interval(secs => s.skew_seconds + 3600) AND m.d_on_hand <> 0
          AND m.bucket = 'sellable'
          AND CASE WHEN m.source_id = d.source_id THEN coalesce(m.source_seq > d.seq, m.occurred_at > d.as_of)
                   ELSE m.occurred_at > d.as_of END
    ) m ON true
    WHERE d.id = ANY (%(ids)s::uuid[])
), newest AS (
    SELECT DISTINCT ON (sku_id, location_id) id, sku_id, location_id, as_of
    FROM decided WHERE NOT late ORDER BY sku_id, location_id, as_of DESC, id
), taken AS (
    SELECT d.* FROM decided d LEFT JOIN newest n ON n.sku_id = d.sku_id AND n.location_id = d.location_id
    WHERE n.id IS NULL OR n.id = d.id OR d.late AND d.as_of >= n.as_of
), sums AS (
    SELECT sku_id, location_id, sum(delta)::bigint AS delta, max(abs(delta)) AS furthest
    FROM taken GROUP BY sku_id, location_id
), beyond AS (
    SELECT s.sku_id, s.location_id, s.delta
    FROM sums s JOIN balance b ON b.sku_id = s.sku_id AND b.location_id = s.location_id
    WHERE s.furthest > 2147483647 OR abs(s.delta) > 2147483647 OR s.delta > 0 AND b.on_hand + s.delta > 2147483647
       OR s.delta < 0 AND b.on_hand + s.delta - b.allocated - b.held - b.safety - b.fenced < -2147483647
), moved AS (
    UPDATE balance b SET on_hand = b.on_hand + s.delta
    FROM sums s
    WHERE b.sku_id = s.sku_id AND b.location_id = s.location_id AND s.delta <> 0 AND NOT EXISTS (SELECT FROM beyond)
    RETURNING b.sku_id, b.location_id, b.on_hand, b.allocated, s.delta,
              b.fenced > greatest(b.on_hand - b.allocated - b.held, 0) AS unfenced
), ledger AS (
    INSERT INTO movement (sku_id, location_id, d_on_hand, reason, ref_kind, ref_id, ref_text, actor, occurred_at,
                          source_id, source_seq)
    SELECT sku_id, location_id, delta, 'set', 'drift', id, code, %(actor)s::text, as_of, source_id, seq
    FROM taken WHERE delta <> 0 AND NOT EXISTS (SELECT FROM beyond) ORDER BY sku_id, location_id
)
SELECT (SELECT ARRAY[sku_id, location_id, delta] FROM beyond ORDER BY sku_id, location_id LIMIT 1),
       (SELECT coalesce(array_agg(ARRAY[sku_id, location_id] ORDER BY sku_id, location_id), '{}')
        FROM moved WHERE delta > 0),
       (SELECT coalesce(array_agg(ARRAY[sku_id, location_id, on_hand, allocated] ORDER BY sku_id, location_id), '{}')
        FROM moved),
       (SELECT coalesce(array_agg(ARRAY[sku_id, location_id] ORDER BY sku_id, location_id), '{}')
        FROM moved WHERE delta < 0),
       (SELECT coalesce(array_agg(ARRAY[sku_id, location_id] ORDER BY sku_id, location_id), '{}')
        FROM moved WHERE unfenced)
"""

SETTLE_DRIFTS = """
UPDATE stock_drift SET state = %(state)s::text, version = version + 1,
    settled_at = CASE WHEN %(state)s::text <> 'counting' THEN now() END,
    settled_by = CASE WHEN %(state)s::text <> 'counting' THEN %(actor)s::text END, count_id = NULL
WHERE id = ANY (%(ids)s::uuid[])
"""

# Which count each waits for: those of a location wait for the same one.
SET_COUNTS = """
UPDATE stock_drift d SET count_id = w.count_id
FROM unnest(%(locations)s::int[], %(counts)s::uuid[]) AS w(location_id, count_id)
WHERE d.id = ANY (%(ids)s::uuid[]) AND d.location_id = w.location_id
"""

# The end of counts: what one counted since it was found is settled by it; what it did not is open again. In key order.
END_COUNTED = """
WITH ended AS MATERIALIZED (
    SELECT d.id, t.closed_by, t.state = 'applied' AND l.state = 'applied' AND l.as_of >= d.found_at AS settled
    FROM stock_drift d
    JOIN count_task t ON t.id = d.count_id
    LEFT JOIN count_line l ON l.task_id = t.id AND l.sku_id = d.sku_id
    WHERE d.count_id = ANY (%(counts)s::uuid[]) AND d.state = 'counting' AND t.state IN ('applied', 'cancelled')
    ORDER BY d.sku_id, d.location_id, d.id
    FOR NO KEY UPDATE OF d
)
UPDATE stock_drift d
SET state = CASE WHEN e.settled THEN 'counted' ELSE 'open' END, settled_at = CASE WHEN e.settled THEN now() END,
    settled_by = CASE WHEN e.settled THEN e.closed_by END, count_id = CASE WHEN e.settled THEN d.count_id END,
    version = d.version + 1
FROM ended e WHERE d.id = e.id
"""

# What waited for a count and was counted since is settled by it. Few rows: the partial index on open drifts.
SETTLE_COUNTED = """
UPDATE stock_drift d SET state = 'counted', settled_at = now(), settled_by = 'count', version = version + 1
WHERE d.state = 'counting' AND EXISTS (
    SELECT FROM movement m
    WHERE m.sku_id = d.sku_id AND m.location_id = d.location_id AND m.recorded_at > d.found_at AND m.reason = 'count'
      AND m.bucket = 'sellable')
"""

# --- keeping house ---

# Files of nobody: the web process that took them died. Their tables are found by their names.
ABANDONED = """
SELECT s.id, s.number FROM stock_snapshot s
WHERE s.state = 'receiving' AND s.received_at < now() - interval '6 hours'
"""
STAGES = """
SELECT c.relname::text FROM pg_class c
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND c.relname ~ '^stock_stage_[0-9]+'
"""
RECEIVING = "SELECT number FROM stock_snapshot WHERE state = 'receiving'"
FORGET_ROWS = """
DELETE FROM stock_snapshot_row r USING stock_snapshot s
WHERE s.id = r.snapshot_id AND s.ended_at < now() - make_interval(days => %(days)s::int)
"""
FORGET_HELD = """
DELETE FROM stock_snapshot_held h USING stock_snapshot s
WHERE s.id = h.snapshot_id AND s.ended_at < now() - make_interval(days => %(days)s::int)
"""
FORGET_DELTAS = """
DELETE FROM stock_delta WHERE (source_id, ref) IN (
    SELECT source_id, ref FROM stock_delta WHERE recorded_at < now() - make_interval(days => %(days)s::int) LIMIT 20000)
"""

# --- composed: the tables of one file ---

# The rows as they came, in the file's own columns. Not logged: a lost file is sent again, and it is gone in a minute.
# `row` is given only when the file was read row by row; else a row's place in the table is its place in the file.
_STAGE = "CREATE UNLOGGED TABLE {stage} ({columns}, row integer) WITH (autovacuum_enabled = off)"
_LOAD = "COPY {stage} ({columns}) FROM STDIN (FORMAT csv, DELIMITER {delimiter}, HEADER {header}, ENCODING {encoding})"
_COUNT = "SELECT {location}, count(*)::int FROM {stage} s WHERE {said} IS DISTINCT FROM '\x03' GROUP BY 1"
_DROP = "DROP TABLE IF EXISTS {stage}, {differing}, {twice}"

# One pass: what the file says against what is here. Equal texts of numbers are equal numbers, and the cheapest test.
_COMPARE_WHOLE = """
CREATE UNLOGGED TABLE {differing} WITH (autovacuum_enabled = off) AS
SELECT s.ctid AS at, v.id AS sku_id, coalesce(v.is_kit, false) AS is_kit, p.id AS location_id, b.sku_id AS had_sku,
       b.location_id AS had_location, b.on_hand, b.seen, {said} AS said, {other_gtin} AS other_gtin
FROM {stage} s
LEFT JOIN variant v ON {variant}
LEFT JOIN location p ON p.code = {location} AND p.id = ANY ({places})
FULL JOIN ({balances}) b ON b.sku_id = v.id AND b.location_id = p.id
WHERE ({said} = b.on_hand::text AND NOT {other_gtin}) IS NOT TRUE
"""
_BALANCES = "SELECT sku_id, location_id, on_hand, xmin AS seen FROM balance WHERE {place} = ANY ({places})"
# The balances that no sifted row spoke of (`sieve`), by primary key.
_BALANCES_LEFT = """
SELECT b.sku_id, b.location_id, b.on_hand, b.xmin AS seen
FROM unnest({skus}, {locations}) AS w(sku_id, location_id)
JOIN balance b ON b.sku_id = w.sku_id AND b.location_id = w.location_id
"""
_COMPARE_PARTIAL = """
CREATE UNLOGGED TABLE {differing} WITH (autovacuum_enabled = off) AS
SELECT s.ctid AS at, v.id AS sku_id, coalesce(v.is_kit, false) AS is_kit, p.id AS location_id, b.sku_id AS had_sku,
       b.location_id AS had_location, b.on_hand, b.xmin AS seen, {said} AS said, {other_gtin} AS other_gtin
FROM {stage} s
LEFT JOIN variant v ON {variant}
LEFT JOIN location p ON p.code = {location} AND p.id = ANY ({places})
LEFT JOIN balance b ON b.sku_id = v.id AND b.location_id = p.id
WHERE ({said} = b.on_hand::text AND NOT {other_gtin}) IS NOT TRUE
"""
# Of a whole statement, rows that found a balance and balances that were found are the same number unless some stand
# twice; pairs without a balance are few and looked at themselves.
_SHAPE = """
SELECT count(*) FILTER (WHERE d.at IS NOT NULL AND d.had_sku IS NULL)::int, count(*) FILTER (WHERE d.at IS NULL)::int,
       count(*) FILTER (WHERE d.at IS NOT NULL AND NOT ({sound}))::int,
       (SELECT count(*) FROM (SELECT FROM {differing} WHERE at IS NOT NULL AND had_sku IS NULL AND sku_id IS NOT NULL
                              AND location_id IS NOT NULL GROUP BY sku_id, location_id HAVING count(*) > 1) t)::int
FROM {differing} d
"""
_TWICE_NONE = "CREATE UNLOGGED TABLE {twice} (sku_id integer, location_id integer)"
_TWICE = """
CREATE UNLOGGED TABLE {twice} AS
SELECT v.id AS sku_id, p.id AS location_id
FROM {stage} s JOIN variant v ON {variant} JOIN location p ON p.code = {location} AND p.id = ANY ({places})
GROUP BY 1, 2 HAVING count({line}) > 1
"""
_SOUND = """
coalesce(d.sku_id IS NOT NULL AND d.location_id IS NOT NULL AND NOT d.is_kit AND NOT d.other_gtin
         AND {units} <= 2000000000, false)
"""
_UNITS = """
CASE WHEN {said} ~ '^ *[0-9]{{1,15}}([.,]0{{1,2}})? *$'
     THEN split_part(translate(btrim({said}), ',', '.'), '.', 1)::bigint END
"""
# `seen` is the version of the balance that was compared, where nothing moved since the look back; see APPLY_PART. What
# is empty and not mentioned is kept where an earlier statement that still has to be applied speaks of it.
_KEEP_DIFFERING = """
INSERT INTO stock_snapshot_row (snapshot_id, sku_id, location_id, stated, mentioned, seen)
SELECT {id}, k.sku_id, k.location_id, k.units, k.mentioned, CASE WHEN m.sku_id IS NULL THEN k.seen END FROM (
    SELECT d.sku_id, d.location_id, u.units, true AS mentioned, d.seen
    FROM {differing} d CROSS JOIN LATERAL (SELECT {units} AS units) u
    WHERE d.at IS NOT NULL AND {sound} AND u.units <> coalesce(d.on_hand, 0)
    UNION ALL
    SELECT d.had_sku, d.had_location, 0, false, d.seen FROM {differing} d
    WHERE d.at IS NULL AND (d.on_hand <> 0 OR (d.had_sku, d.had_location) IN (
        SELECT r.sku_id, r.location_id FROM stock_snapshot_row r WHERE r.snapshot_id = ANY ({before})))
) k
LEFT JOIN (
    SELECT DISTINCT sku_id, location_id FROM movement
    WHERE recorded_at > {since} AND d_on_hand <> 0 AND location_id = ANY ({places})
) m ON m.sku_id = k.sku_id AND m.location_id = k.location_id
WHERE NOT EXISTS (SELECT FROM {twice} t WHERE t.sku_id = k.sku_id AND t.location_id = k.location_id)
ORDER BY k.sku_id, k.location_id
"""
# Equal, but not to be believed unseen: something moved there since, or an earlier statement of the source still has to
# be applied there, or a disagreement waits there, or goods are under way.
_AGAIN = """
    SELECT m.sku_id, m.location_id FROM movement m
    WHERE m.recorded_at > {since} AND m.occurred_at > {from_} AND m.d_on_hand <> 0 AND m.location_id = ANY ({places})
    UNION
    SELECT r.sku_id, r.location_id FROM stock_snapshot_row r
    WHERE r.snapshot_id = ANY ({before}) AND r.location_id = ANY ({places})
    UNION
    SELECT x.sku_id, x.location_id FROM stock_drift x
    WHERE (x.source_id = {source} OR x.kind = 'late') AND x.state IN ('open', 'counting', 'explained')
      AND x.location_id = ANY ({places})
    UNION
    SELECT w.sku_id, w.location_id FROM unnest({skus}, {locations}) AS w(sku_id, location_id)
"""
_AGAIN_KEYS = (
    "SELECT coalesce(array_agg(k.sku_id), '{{}}'), coalesce(array_agg(k.location_id), '{{}}') FROM (" + _AGAIN + ") k"
)
_LOOK_AGAIN = (
    """
INSERT INTO stock_snapshot_row (snapshot_id, sku_id, location_id, stated, mentioned)
SELECT {id}, v.id, p.id, u.units, true
FROM ("""
    + _AGAIN
    + """) k
JOIN variant v ON v.id = k.sku_id AND NOT v.is_kit
JOIN location p ON p.id = k.location_id
JOIN {stage} s ON {variant} AND p.code = {location}
CROSS JOIN LATERAL (SELECT {units_of_stage} AS units) u
WHERE u.units <= 2000000000
  AND NOT EXISTS (SELECT FROM {twice} t WHERE t.sku_id = v.id AND t.location_id = p.id)
ON CONFLICT DO NOTHING
"""
)
# A row keeps its place in the file. All rows of what stands twice are held: nobody can know which one is meant. The
# marks of what could not be read and of what states a key twice are nothing that anybody stated. What a line names
# beside has its row to be spared from being emptied; the line is held once.
_HOLD = """
INSERT INTO stock_snapshot_held (snapshot_id, row, sku, location, stated, problem)
SELECT {id}, n.row, left(n.sku, 120), left(n.location, 120), translate(left(n.said, 120), '\x01\x02', ''), q.problem
FROM (
    SELECT s.ctid AS at, {row} AS row, coalesce({sku_text}, '') AS sku,
           coalesce({gtin_text}, '') AS gtin, coalesce({location}, '') AS location, coalesce({said}, '') AS said
    FROM {stage} s
) n
JOIN (
    SELECT d.at, d.sku_id, d.location_id, d.is_kit, d.other_gtin, false AS twice FROM {differing} d
    LEFT JOIN {twice} t ON t.sku_id = d.sku_id AND t.location_id = d.location_id
    WHERE d.at IS NOT NULL AND NOT ({sound}) AND t.sku_id IS NULL
    UNION ALL
    SELECT s.ctid, v.id, p.id, v.is_kit, false, true
    FROM {stage} s JOIN variant v ON {variant} JOIN location p ON p.code = {location}
    JOIN {twice} t ON t.sku_id = v.id AND t.location_id = p.id
) d ON d.at = n.at
LEFT JOIN location p ON p.code = n.location AND {seen}
CROSS JOIN LATERAL (SELECT {units_held} AS units) u
CROSS JOIN LATERAL (
    SELECT CASE
        WHEN n.said = '\x03' THEN NULL
        WHEN d.twice THEN 'twice'
        WHEN n.said = '\x01' THEN 'unreadable'
        WHEN n.said = '\x02' THEN 'key_twice'
        WHEN {no_result} IN (n.sku, n.gtin, n.location, btrim(n.said)) THEN 'no_result'
        WHEN d.sku_id IS NULL AND n.sku <> '' THEN 'unknown_sku'
        WHEN d.sku_id IS NULL AND n.gtin <> '' AND NOT {gtin_good} THEN 'bad_gtin'
        WHEN d.sku_id IS NULL AND n.gtin <> '' THEN 'unknown_gtin'
        WHEN d.sku_id IS NULL THEN 'unknown_sku'
        WHEN d.is_kit THEN 'kit'
        WHEN d.other_gtin AND NOT {gtin_good} THEN 'bad_gtin'
        WHEN d.other_gtin THEN 'other_gtin'
        WHEN d.location_id IS NULL AND p.id IS NULL AND strpos(n.location, ' @ ') > 0 THEN 'unknown_owner'
        WHEN d.location_id IS NULL AND p.id IS NULL THEN 'unknown_location'
        WHEN d.location_id IS NULL THEN 'not_its_location'
        WHEN btrim(n.said) = '' THEN 'no_quantity'
        WHEN n.said ~ '^ *-[0-9]' THEN 'negative'
        WHEN u.units IS NULL THEN 'no_number'
        WHEN u.units > 2000000000 THEN 'too_many'
    END AS problem
) q
WHERE q.problem IS NOT NULL
"""
_GTIN_GOOD = """
(n.gtin ~ '^([0-9]{8}|[0-9]{12,14})$' AND (
    SELECT sum(substr(lpad(n.gtin, 14, '0'), i, 1)::int * CASE WHEN i %% 2 = 1 THEN 3 ELSE 1 END) %% 10 = 0
    FROM generate_series(1, 14) i))
"""


class Again(NamedTuple):
    """What asks for a second look at a row that is equal: movements, and `keys` of balances with goods under way.

    `before` are the earlier statements of the source that still had to be applied when the comparison began.
    """

    source: int
    places: Sequence[int]
    since: object
    from_: object
    before: Sequence[UUID]
    keys: Sequence[tuple[int, int]]

    def parts(self) -> dict[str, sql.Composable]:
        """Return it as parts of a statement."""
        return {
            "source": sql.Literal(self.source),
            "places": _ids(self.places),
            "since": sql.Literal(self.since),
            "from_": sql.Literal(self.from_),
            "before": sql.SQL("{}::uuid[]").format(sql.Literal(list(self.before))),
            "skus": _ids([sku for sku, _ in self.keys]),
            "locations": _ids([location for _, location in self.keys]),
        }

    def all_keys(self) -> sql.Composed:
        """Return the statement that finds all such keys, as an array of SKUs and one of locations."""
        return sql.SQL(_AGAIN_KEYS).format(**self.parts())


class Stage:
    """The tables of one file, and the statements on them.

    Args:
        number: the snapshot's; it makes the names.
        width: how many columns the file has.
        columns: where its columns are: `sku` or `gtin` or both, `location`, `on_hand`; `line`, if it has one.
        places: ids of the locations it may speak of.
        trimmed: whether cells may have spaces around them.
    """

    def __init__(self, number: int, width: int, columns: dict[str, int], *, trimmed: bool) -> None:
        self.names = {
            "stage": sql.Identifier(f"stock_stage_{number}"),
            "differing": sql.Identifier(f"stock_stage_{number}_differing"),
            "twice": sql.Identifier(f"stock_stage_{number}_twice"),
        }
        self._columns = sql.SQL(", ").join(sql.Identifier(f"c{i}") for i in range(width))
        self._all = sql.SQL(", ").join(sql.SQL("{} text").format(sql.Identifier(f"c{i}")) for i in range(width))
        cell = sql.SQL("btrim({})" if trimmed else "{}")
        at = {name: cell.format(sql.Identifier("s", f"c{i}")) for name, i in columns.items()}
        empty = sql.SQL("''")
        sku, gtin = at.get("sku"), at.get("gtin")
        line = columns.get("line")
        by_gtin = sql.SQL("v.gtin = {}").format(gtin or empty)
        if sku is not None and gtin is not None:  # a row without a SKU is found by its GTIN, others by a hash of SKUs
            sku = sql.SQL(
                "CASE WHEN {sku} <> '' THEN {sku} ELSE (SELECT g.sku FROM variant g WHERE g.gtin = {gtin}) END"
            ).format(sku=sku, gtin=gtin)
        self.parts = self.names | {
            "location": at["location"],
            "row": sql.SQL("coalesce(s.row, (row_number() OVER ())::int + 1)")
            if line is None
            else sql.SQL("{}::int").format(sql.Identifier("s", f"c{line}")),
            # Rows of one line are one: what it names beside does not stand twice by it.
            "line": sql.SQL("*" if line is None else "DISTINCT {}").format(sql.Identifier("s", f"c{line}")),
            "said": sql.Identifier("s", f"c{columns['on_hand']}"),
            "variant": sql.SQL("v.sku = {}").format(sku) if sku is not None else by_gtin,
            "other_gtin": sql.SQL(
                "coalesce({gtin} <> '' AND {gtin} IS DISTINCT FROM v.gtin AND v.id IS NOT NULL, false)"
            ).format(gtin=gtin)
            if sku is not None and gtin is not None
            else sql.SQL("false"),
            "sku_text": at.get("sku", empty),
            "gtin_text": gtin or empty,
            "units": sql.SQL(_UNITS).format(said=sql.SQL("d.said")),
            "sound": sql.SQL(_SOUND).format(units=sql.SQL(_UNITS).format(said=sql.SQL("d.said"))),
            "units_held": sql.SQL(_UNITS).format(said=sql.SQL("n.said")),
            "units_of_stage": sql.SQL(_UNITS).format(said=sql.Identifier("s", f"c{columns['on_hand']}")),
            "gtin_good": sql.SQL(_GTIN_GOOD),
            "no_result": sql.Literal(NO_RESULT),
        }

    def _of(self, text: LiteralString, **more: sql.Composable) -> sql.Composed:
        return sql.SQL(text).format(**self.parts, **more)

    def make(self) -> sql.Composed:
        """Make the table of rows."""
        return self._of(_STAGE, columns=self._all)

    def load(self, *, delimiter: str, header: bool, encoding: str, rows: bool = False) -> sql.Composed:
        """Read rows into it; with `rows`, each begins with its place in the file."""
        columns = sql.SQL("row, {}").format(self._columns) if rows else self._columns
        return self._of(
            _LOAD,
            columns=columns,
            delimiter=sql.Literal(delimiter),
            header=sql.SQL("true" if header else "false"),
            encoding=sql.Literal(encoding),
        )

    def count(self) -> sql.Composed:
        """Count the rows by what they call their location."""
        return self._of(_COUNT)

    def compare(
        self,
        places: Sequence[int],
        *,
        whole: bool,
        most: bool,
        left: tuple[Sequence[int], Sequence[int]] | None = None,
    ) -> sql.Composed:
        """Make the table of what differs; `most` of all locations are read in the order they lie, not by an index.

        With `left`, only the balances of these keys (SKUs, locations) are compared: sifted rows spoke of the others.
        """
        if not whole:
            return self._of(_COMPARE_PARTIAL, places=_ids(places))
        if left is not None:
            balances = sql.SQL(_BALANCES_LEFT).format(skus=_ids(left[0]), locations=_ids(left[1]))
        else:
            by = sql.SQL("location_id + 0" if most else "location_id")
            balances = sql.SQL(_BALANCES).format(place=by, places=_ids(places))
        return self._of(_COMPARE_WHOLE, places=_ids(places), balances=balances)

    def shape(self) -> sql.Composed:
        """Count what tells whether anything stands twice."""
        return self._of(_SHAPE)

    def twice(self, places: Sequence[int], *, look: bool) -> sql.Composed:
        """Make the table of what stands twice; without `look` it stays empty."""
        return self._of(_TWICE, places=_ids(places)) if look else self._of(_TWICE_NONE)

    def any_twice(self) -> sql.Composed:
        """Return whether anything stands twice."""
        return self._of("SELECT EXISTS (SELECT FROM {twice})")

    def keep(self, id_: object, again: "Again") -> sql.Composed:
        """Keep what differs and is sound, and what would differ when earlier statements are applied."""
        return self._of(_KEEP_DIFFERING, id=sql.Literal(id_), **again.parts())

    def look_again(self, id_: object, again: "Again") -> sql.Composed:
        """Keep what is equal but needs a look under its lock."""
        return self._of(_LOOK_AGAIN, id=sql.Literal(id_), **again.parts())

    def hold(self, id_: object, seen: Sequence[int] | None) -> sql.Composed:
        """Keep aside the rows that are not sound, each with what is wrong; a location out of sight is not there."""
        sight = sql.SQL("true") if seen is None else sql.SQL("p.id = ANY ({})").format(_ids(seen))
        return self._of(_HOLD, id=sql.Literal(id_), seen=sight)

    def drop(self) -> sql.Composed:
        """Let the file go."""
        return self._of(_DROP)


def drop_stage(name: str) -> sql.Composed:
    """Return the statement that drops a table a dead process left."""
    return sql.SQL("DROP TABLE IF EXISTS {}").format(sql.Identifier(name))


# A hash of a million balances fits; parallel workers take a share where there are processors for them.
ROOM = (
    "SET LOCAL work_mem = '96MB'; SET LOCAL jit = off; SET LOCAL parallel_setup_cost = 100; "
    "SET LOCAL parallel_tuple_cost = 0.001; SET LOCAL max_parallel_workers_per_gather = 1"
)


def _ids(ids: Sequence[int]) -> sql.Composable:
    return sql.SQL("{}::int[]").format(sql.Literal("{" + ",".join(str(i) for i in ids) + "}"))
