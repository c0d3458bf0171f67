"""Writing what a person keeps."""

# One's own row: the change is compared with what was there.
LOCK_WAYS = """
SELECT name, language, theme, timezone FROM person WHERE id = %(id)s::uuid FOR UPDATE
"""

# A new version: an owner who edits the person at the same time must read again.
UPDATE_WAYS = """
UPDATE person
SET name = %(name)s::text, language = %(language)s::text, theme = %(theme)s::text, timezone = %(timezone)s::text,
    version = version + 1
WHERE id = %(id)s::uuid
"""

# Saving under a name that is there replaces what it means: that is how a view is changed.
UPSERT_VIEW = """
INSERT INTO saved_view (person_id, list, name, query, role)
VALUES (%(person_id)s::uuid, %(list)s::text, %(name)s::text, %(query)s::text, %(role)s::text)
ON CONFLICT (person_id, list, name) DO UPDATE SET query = excluded.query, role = excluded.role
RETURNING id
"""

LOCK_OWN_VIEW = """
SELECT id, list, name, query, role FROM saved_view
WHERE id = %(id)s::int AND person_id = %(person_id)s::uuid FOR UPDATE
"""

NAME_TAKEN = """
SELECT EXISTS (SELECT FROM saved_view WHERE person_id = %(person_id)s::uuid AND list = %(list)s::text
                 AND name = %(name)s::text AND id <> %(id)s::int)
"""

UPDATE_VIEW = """
UPDATE saved_view SET name = %(name)s::text, role = %(role)s::text WHERE id = %(id)s::int
"""

DELETE_VIEW = """
DELETE FROM saved_view WHERE id = %(id)s::int
"""

SET_DEFAULT = """
INSERT INTO default_view (person_id, list, view_id) VALUES (%(person_id)s::uuid, %(list)s::text, %(view_id)s::int)
ON CONFLICT (person_id, list) DO UPDATE SET view_id = excluded.view_id
"""

CLEAR_DEFAULT = """
DELETE FROM default_view WHERE person_id = %(person_id)s::uuid AND list = %(list)s::text
"""

NOTE_CHOICE = """
INSERT INTO recent_choice (person_id, kind, key) VALUES (%(person_id)s::uuid, %(kind)s::text, %(key)s::text)
ON CONFLICT (person_id, kind, key) DO UPDATE SET at = now()
"""

# By the primary key's first column.
FORGET_CHOICES = """
DELETE FROM recent_choice r
WHERE r.person_id = %(person_id)s::uuid AND (r.kind, r.key) NOT IN (
    SELECT k.kind, k.key FROM recent_choice k WHERE k.person_id = %(person_id)s::uuid
    ORDER BY k.at DESC, k.kind, k.key LIMIT %(most)s::int)
"""
