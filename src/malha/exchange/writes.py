"""Statements that keep imports. Private to `exchange`."""

ADD_RUN = """
INSERT INTO import_run (id, kind, name, state, actor, person, permissions, locations)
VALUES (%(id)s::uuid, %(kind)s::text, %(name)s::text, 'uploading', %(actor)s::text, %(person)s::text,
        %(permissions)s::jsonb, %(locations)s::jsonb)
RETURNING number
"""

ADD_PART = "INSERT INTO import_part (run_id, part, data) VALUES (%(id)s::uuid, %(part)s::int, %(data)s::bytea)"

SET_PREVIEW = """
UPDATE import_run
SET state = 'mapping', bytes = %(bytes)s::bigint, encoding = %(encoding)s::text, delimiter = %(delimiter)s::text,
    header = %(header)s::jsonb, sample = %(sample)s::jsonb, mapping = %(mapping)s::jsonb,
    other_sheets = %(other_sheets)s::jsonb, oddities = %(oddities)s::jsonb
WHERE id = %(id)s::uuid
"""

DROP_RUN = "DELETE FROM import_run WHERE id = %(id)s::uuid"

# The row's lock decides between two presses of a button.
LOCK_RUN = "SELECT state FROM import_run WHERE id = %(id)s::uuid FOR NO KEY UPDATE"

# From the beginning: a check after another mapping, or the writing after a check.
BEGIN = """
UPDATE import_run
SET state = %(state)s::text, mapping = %(mapping)s::jsonb, turn = 0, at_line = 0, seen = 0, created = 0, changed = 0,
    unchanged = 0, bad = 0, warned = 0, error = NULL, started_at = now(), ended_at = NULL
WHERE id = %(id)s::uuid
"""

# From where it stands: nothing that was written is written again.
RESUME = "UPDATE import_run SET state = 'applying', error = NULL, ended_at = NULL WHERE id = %(id)s::uuid"

CLEAR_FLAWS = "DELETE FROM import_flaw WHERE run_id = %(id)s::uuid"

# Conditional on where it stood: of two workers that believe the import is theirs, one advances it, the other one stops.
ADVANCE = """
UPDATE import_run
SET turn = %(turn)s::smallint, at_line = %(line)s::int, seen = seen + %(seen)s::int,
    created = created + %(created)s::int, changed = changed + %(changed)s::int,
    unchanged = unchanged + %(unchanged)s::int, bad = bad + %(bad)s::int, warned = warned + %(warned)s::int
WHERE id = %(id)s::uuid AND state = %(state)s::text AND turn = %(from_turn)s::smallint
  AND at_line = %(from_line)s::int
"""

ADD_FLAWS = """
INSERT INTO import_flaw (run_id, line, refused, cells, problems)
SELECT %(id)s::uuid, line, refused, cells, problems
FROM unnest(%(lines)s::int[], %(refused)s::bool[], %(cells)s::jsonb[], %(problems)s::jsonb[])
     AS w(line, refused, cells, problems)
ON CONFLICT (run_id, line) DO UPDATE SET refused = excluded.refused OR import_flaw.refused,
    problems = import_flaw.problems || excluded.problems
"""

# In the transaction of the rows. A record that is touched again keeps what it was before the import.
ADD_TRACES = """
INSERT INTO import_trace (run_id, key, label, before, after)
SELECT %(id)s::uuid, key, label, before, after
FROM unnest(%(keys)s::text[], %(labels)s::text[], %(before)s::jsonb[], %(after)s::jsonb[])
     AS w(key, label, before, after)
ON CONFLICT (run_id, key) DO UPDATE SET after = excluded.after
"""

CLEAR_TRACES = "DELETE FROM import_trace WHERE run_id = %(id)s::uuid"

BEGIN_UNDO = """
UPDATE import_run
SET state = 'undoing', undone = 0, kept = 0, undone_actor = %(actor)s::text, undone_person = %(person)s::text,
    undone_at = now()
WHERE id = %(id)s::uuid
"""

# What became of some records; in the transaction that put them back.
END_TRACES = """
UPDATE import_trace t SET outcome = w.outcome, why = w.why
FROM unnest(%(keys)s::text[], %(outcomes)s::text[], %(why)s::jsonb[]) AS w(key, outcome, why)
WHERE t.run_id = %(id)s::uuid AND t.key = w.key AND t.outcome IS NULL
"""

# Conditional on the state: a second worker finds the traces ended and adds nothing.
ADVANCE_UNDO = """
UPDATE import_run SET undone = undone + %(undone)s::int, kept = kept + %(kept)s::int
WHERE id = %(id)s::uuid AND state = 'undoing'
"""

END_UNDO = "UPDATE import_run SET state = 'undone' WHERE id = %(id)s::uuid AND state = 'undoing'"

END = """
UPDATE import_run
SET state = %(state)s::text, ended_at = now(), error = %(error)s::jsonb, total = coalesce(%(total)s::int, total)
WHERE id = %(id)s::uuid AND state = ANY (%(states)s::text[])
"""

REMEMBER = """
INSERT INTO import_mapping (actor, kind, signature, mapping)
VALUES (%(actor)s::text, %(kind)s::text, %(signature)s::text, %(mapping)s::jsonb)
ON CONFLICT (actor, kind, signature) DO UPDATE SET mapping = excluded.mapping, used_at = now()
"""

# Files and refused rows hold what people wrote, customers too: they are not kept longer than they are of use.
FORGET_PARTS = """
DELETE FROM import_part p USING import_run r
WHERE r.id = p.run_id AND coalesce(r.ended_at, r.uploaded_at) < now() - make_interval(days => %(days)s::int)
"""
FORGET_FLAWS = """
DELETE FROM import_flaw f USING import_run r
WHERE r.id = f.run_id AND coalesce(r.ended_at, r.uploaded_at) < now() - make_interval(days => %(days)s::int)
"""
FORGET_TRACES = """
DELETE FROM import_trace t USING import_run r
WHERE r.id = t.run_id
  AND coalesce(r.undone_at, r.ended_at, r.uploaded_at) < now() - make_interval(days => %(days)s::int)
"""
FORGET_SAMPLES = """
UPDATE import_run SET sample = '[]'
WHERE sample <> '[]' AND coalesce(ended_at, uploaded_at) < now() - make_interval(days => %(days)s::int)
"""
# The process that reads a file while its caller waits. Beside its rows' transactions, which may wait for others.
ALIVE = """
UPDATE import_run SET alive_at = now() WHERE id = %(id)s::uuid AND state = 'applying'
"""
# By the partial index on what is being applied. While the database was away nobody could say that they live. One that
# is just being written is alive. What a program from before began says nothing, and has `hours`.
END_KILLED = """
UPDATE import_run SET state = 'failed', ended_at = now()
WHERE id IN (
    SELECT r.id FROM import_run r
    WHERE r.state = 'applying' AND NOT EXISTS (SELECT FROM import_part p WHERE p.run_id = r.id)
      AND CASE WHEN r.alive_at IS NULL THEN r.started_at < now() - make_interval(hours => %(hours)s::int)
               ELSE greatest(r.alive_at, pg_postmaster_start_time()) < now() - make_interval(secs => %(seconds)s::int)
          END
    FOR NO KEY UPDATE SKIP LOCKED
)
RETURNING id, kind, turn, at_line
"""
SAY_KILLED = "UPDATE import_run SET error = %(error)s::jsonb WHERE id = %(id)s::uuid"
FORGET_UPLOADS = "DELETE FROM import_run WHERE state = 'uploading' AND uploaded_at < now() - interval '1 day'"
