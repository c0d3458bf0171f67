"""Categories as channels tell them, and which of ours people said they are."""

from collections.abc import Sequence

import msgspec

from malha.platform.db import Tx
from malha.platform.text import literal

# By primary key.
SAID = """
SELECT m.theirs, c.code FROM category_mapping m JOIN category c ON c.id = m.ours
WHERE m.connection_id = %(connection_id)s::int AND m.theirs = ANY (%(theirs)s::text[])
"""
# Some thousand at most, a page at a time by primary key.
ROWS = """
SELECT m.theirs, c.code AS ours, c.name FROM category_mapping m LEFT JOIN category c ON c.id = m.ours
WHERE m.connection_id = %(connection_id)s::int AND m.theirs > %(after)s::text
  AND (%(sought)s::text IS NULL OR m.theirs ILIKE %(sought)s::text)
ORDER BY m.theirs LIMIT %(most)s::int
"""


class Theirs(msgspec.Struct, frozen=True):
    """A category as the channel tells it, and the code and name of which of ours it is; null: nobody said so."""

    theirs: str
    ours: str | None
    name: str | None


async def rows(
    tx: Tx, connection_id: int, *, after: str = "", sought: str | None = None, most: int = 100
) -> list[Theirs]:
    """Return categories as a channel told them, in the order of their words."""
    alike = None if sought is None else f"%{literal(sought)}%"
    params = {"connection_id": connection_id, "after": after, "sought": alike, "most": most}
    return await tx.all(Theirs, ROWS, params)


async def said(tx: Tx, connection_id: int, theirs: Sequence[str]) -> dict[str, str]:
    """Return the codes of our categories that people said a channel's are."""
    return dict(await tx.tuples(SAID, {"connection_id": connection_id, "theirs": list(theirs)}))
