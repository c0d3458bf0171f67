"""Cheap change detection for caches of reference data: a writer bumps a name's number, a reader compares it.

The row is locked until the writer commits, so writers of one kind of reference data queue: bump last.
"""

from typing import Any

from psycopg import AsyncCursor

from malha.platform.db import Tx

# One row per name; the upsert makes a new name exist at its first write.
BUMP_REVISION = """
INSERT INTO revision AS r (name) VALUES (%(name)s::text)
ON CONFLICT (name) DO UPDATE SET n = r.n + 1
RETURNING n
"""

# Primary key look-up: cheap enough for every batch.
REVISION_OF = """
SELECT n FROM revision WHERE name = %(name)s::text
"""


async def bump(tx: Tx, name: str) -> int:
    """Mark the reference data `name` as changed by this transaction; return its new revision."""
    return int(await tx.value(BUMP_REVISION, {"name": name}))


async def current(tx: Tx, name: str) -> int:
    """Return the revision of the reference data `name`; 0 when it was never written."""
    return int(await tx.value(REVISION_OF, {"name": name}) or 0)


async def queue_current(tx: Tx, name: str) -> AsyncCursor[tuple[Any, ...]]:
    """Ask for the revision of the reference data `name`; no row when it was never written. For `tx.pipeline()`."""
    return await tx.cursor_of(REVISION_OF, {"name": name})
