"""Who looks after what, as people look at it."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from malha.platform.db import Tx
from malha.platform.ids import UUID

# By primary key, with the name of whoever took it.
CARE_OF = """
SELECT c.subject, c.assignee, p.name AS person, c.snoozed_until, c.at
FROM care c LEFT JOIN person p ON p.id = c.assignee
WHERE c.kind = %(kind)s::text AND c.subject = ANY (%(subjects)s::text[])
"""

# Index care_note_subject; the newest first.
NOTES_OF = """
SELECT n.subject, p.name AS person, n.text, n.at
FROM care_note n JOIN person p ON p.id = n.person_id
WHERE n.kind = %(kind)s::text AND n.subject = ANY (%(subjects)s::text[])
ORDER BY n.id DESC LIMIT %(limit)s::int
"""

# Index care_assignee: None asks for whatever somebody has.
SUBJECTS = """
SELECT subject FROM care
WHERE kind = %(kind)s::text AND assignee IS NOT NULL AND (%(person)s::uuid IS NULL OR assignee = %(person)s::uuid)
ORDER BY at DESC LIMIT %(limit)s::int
"""

# A few dozen people.
COLLEAGUES = "SELECT id, name FROM person WHERE active ORDER BY name, id"


class Care(msgspec.Struct, frozen=True):
    """Who looks after a subject, and until when it is put off."""

    subject: str
    assignee: UUID | None
    person: str | None
    snoozed_until: datetime | None
    at: datetime


class Note(msgspec.Struct, frozen=True):
    """What somebody wrote about a subject."""

    subject: str
    person: str
    text: str
    at: datetime


async def care_of(tx: Tx, kind: str, subjects: Sequence[str]) -> dict[str, Care]:
    """Return who looks after subjects; those that nobody took or put off are absent."""
    found = await tx.all(Care, CARE_OF, {"kind": kind, "subjects": list(subjects)})
    return {care.subject: care for care in found}


async def notes_of(tx: Tx, kind: str, subjects: Sequence[str], limit: int = 50) -> list[Note]:
    """Return what was written about subjects, the newest first."""
    return await tx.all(Note, NOTES_OF, {"kind": kind, "subjects": list(subjects), "limit": limit})


async def subjects_of(tx: Tx, kind: str, person: UUID | None, limit: int = 1_000) -> list[str]:
    """Return the subjects that a person took, or that anybody took."""
    return await tx.values(SUBJECTS, {"kind": kind, "person": person, "limit": limit})


async def colleagues(tx: Tx) -> list[tuple[UUID, str]]:
    """Return the people who can be asked, by name."""
    return [(id_, name) for id_, name in await tx.tuples(COLLEAGUES)]
