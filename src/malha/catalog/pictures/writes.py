"""What is written of pictures. Private to this package."""

# The primary key decides between two pages that ask at once: one of them has it fetched.
WANT = """
INSERT INTO picture (key, url)
SELECT w.key, w.url FROM unnest(%(keys)s::text[], %(urls)s::text[]) AS w (key, url)
ORDER BY w.key
ON CONFLICT (key) DO NOTHING
RETURNING key
"""

# By primary key. Only what still waits: a job that was started twice writes once.
KEEP = """
UPDATE picture p SET state = w.state, small = w.small, large = w.large, why = w.why, told_at = now()
FROM unnest(%(keys)s::text[], %(states)s::text[], %(smalls)s::bytea[], %(larges)s::bytea[], %(whys)s::text[])
     AS w (key, state, small, large, why)
WHERE p.key = w.key AND p.state = 'wanted'
"""

# By the index on told_at. What was refused is asked for again after a while, what waits for a job that is gone, too.
FORGET = """
DELETE FROM picture WHERE told_at < now() - %(kept)s::interval
    OR (told_at < now() - %(others)s::interval AND state <> 'kept')
"""
