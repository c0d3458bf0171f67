"""Writing who looks after what."""

# In subject order: two people who take overlapping records wait for one another.
SET_CARE = """
INSERT INTO care (kind, subject, assignee, snoozed_until)
SELECT %(kind)s::text, subject, %(assignee)s::uuid, %(until)s::timestamptz
FROM unnest(%(subjects)s::text[]) AS w(subject) ORDER BY subject
ON CONFLICT (kind, subject) DO UPDATE
SET assignee = CASE WHEN %(assign)s::boolean THEN excluded.assignee ELSE care.assignee END,
    snoozed_until = CASE WHEN %(snooze)s::boolean THEN excluded.snoozed_until ELSE care.snoozed_until END, at = now()
"""

ADD_NOTES = """
INSERT INTO care_note (kind, subject, person_id, text)
SELECT %(kind)s::text, subject, %(person)s::uuid, %(text)s::text
FROM unnest(%(subjects)s::text[]) AS w(subject) ORDER BY subject
"""
