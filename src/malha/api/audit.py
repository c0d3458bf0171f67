"""The audit trail, to read."""

from malha.api.work import Work, query
from malha.platform import audit, paging
from malha.platform.audit import Entry
from malha.platform.paging import Page


@query("/audit", permission="audit:read")
async def list_audit(
    work: Work,
    entity: str | None = None,
    entity_id: str | None = None,
    actor_id: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[Entry]:
    """List changes, the newest first, of one kind of record, one record or one actor.

    Whoever is limited to locations sees what they did themselves.
    """
    if work.actor.locations is not None:
        actor_id = work.actor.id
    size = paging.bounded(limit)
    after = paging.position(cursor, "audit", (int,))
    rows = await audit.trail(
        work.tx,
        entity=entity,
        entity_id=entity_id,
        actor_id=actor_id,
        before_id=None if after is None else after[0],
        limit=size + 1,
    )
    return paging.page_of(rows, size, "audit", lambda row: (row.id,))


handlers = [list_audit]
