"""The audit trail, to read."""

from typing import Annotated

from msgspec import Meta

from malha.api.work import Work, query
from malha.platform import audit, paging
from malha.platform.audit import Entry, Wanted
from malha.platform.paging import Page
from malha.platform.shapes import Instant


@query("/audit", permission="audit:read")
async def list_audit(
    work: Work,
    *,
    entity: str | None = None,
    entity_id: str | None = None,
    actor_id: str | None = None,
    action: str | None = None,
    source: str | None = None,
    request_id: str | None = None,
    import_number: Annotated[int, Meta(ge=1, le=2_000_000_000)] | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[Entry]:
    """List changes, the newest first, narrowed by any of the parameters; `until` itself is left out.

    `import_number` asks for what one import changed, and what its undo put back, each with its line of the file.
    Whoever is limited to locations sees what they did themselves.
    """
    if work.actor.locations is not None:
        actor_id = work.actor.id
    size = paging.bounded(limit)
    after = paging.position(cursor, "audit", (int,))
    wanted = Wanted(
        entity=entity,
        entity_id=entity_id,
        actor_id=actor_id,
        action=action,
        source=source,
        request_id=request_id,
        import_number=import_number,
        since=since,
        until=until,
    )
    found = await audit.search(work.tx, wanted, older_than=None if after is None else after[0], size=size + 1)
    return paging.page_of(found.entries, size, "audit", lambda row: (row.id,))


handlers = [list_audit]
