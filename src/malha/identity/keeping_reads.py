"""Reading what a person keeps: views of lists, the default of each, the latest choices."""

import msgspec

from malha.identity.model import Role
from malha.platform.db import Tx
from malha.platform.ids import UUID

# One's own by the unique key of (person, list, name), shared ones by the partial index on (role, list).
VIEWS = """
SELECT v.id, v.list, v.name, v.query, v.role, v.person_id = %(person_id)s::uuid AS own, p.name AS owner,
       d.view_id IS NOT NULL AS is_default
FROM saved_view v
JOIN person p ON p.id = v.person_id
LEFT JOIN default_view d ON d.person_id = %(person_id)s::uuid AND d.list = v.list AND d.view_id = v.id
WHERE (v.person_id = %(person_id)s::uuid OR v.role = %(role)s::text)
  AND (%(list)s::text IS NULL OR v.list = %(list)s::text)
ORDER BY v.list, own DESC, lower(v.name), v.id
LIMIT %(most)s::int
"""

# By primary key; a view that is no longer shared with the person opens no more.
DEFAULT_QUERY = """
SELECT v.query FROM default_view d JOIN saved_view v ON v.id = d.view_id
WHERE d.person_id = %(person_id)s::uuid AND d.list = %(list)s::text
  AND (v.person_id = %(person_id)s::uuid OR v.role = %(role)s::text)
"""

# By the primary key's first column: a dozen rows.
CHOICES = """
SELECT kind, key FROM recent_choice WHERE person_id = %(person_id)s::uuid ORDER BY at DESC, kind, key
"""

MOST_VIEWS = 200


class SavedView(msgspec.Struct, frozen=True, kw_only=True):
    """A view of a list under a name. `role`: who else sees it; `own`: the reader may change it."""

    id: int
    list: str
    name: str
    query: str
    role: str | None
    own: bool
    owner: str
    is_default: bool


class Choice(msgspec.Struct, frozen=True):
    """Something that was chosen in the command bar."""

    kind: str
    key: str


async def views(tx: Tx, person_id: UUID, role: Role | None, list_: str | None = None) -> list[SavedView]:
    """Return the views a person sees, of one list or of all, their own first."""
    params = {"person_id": person_id, "role": role, "list": list_, "most": MOST_VIEWS}
    return await tx.all(SavedView, VIEWS, params)


async def default_query(tx: Tx, person_id: UUID, role: Role | None, list_: str) -> str | None:
    """Return the query in which a list opens for a person; None: as it opens for everyone."""
    found: str | None = await tx.value(DEFAULT_QUERY, {"person_id": person_id, "role": role, "list": list_})
    return found


async def choices(tx: Tx, person_id: UUID) -> list[Choice]:
    """Return what a person chose last, the latest first."""
    return await tx.all(Choice, CHOICES, {"person_id": person_id})
