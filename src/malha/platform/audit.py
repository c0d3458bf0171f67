"""The audit trail: who changed what, when, from where, what it was before and after. Append only.

Rows hold identifiers and changed values. Personal data and secrets are never copied: such a field is recorded as
`CHANGED`, so that erasing a customer leaves nothing behind here.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, LiteralString

import msgspec
from psycopg import sql

from malha.platform.db import Actor, Tx, where
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_

CHANGED = "(changed)"

# Fields whose values are never copied, whatever record they are on.
PERSONAL = frozenset(
    {
        "email",
        "phone",
        "document",
        "ship_to",
        "buyer_name",
        "buyer_document",
        "buyer_email",
        "buyer_phone",
        "folded",
        "password",
        "password_hash",
        "secret",
        "secret_hash",
    }
)

# The transaction's own time: one change, one instant.
ADD_AUDIT = """
INSERT INTO audit (actor_kind, actor_id, actor_name, source, request_id, action, entity, entity_id, before, after)
VALUES (%(kind)s::text, %(actor_id)s::text, %(name)s::text, %(source)s::text, %(request_id)s::text,
        %(action)s::text, %(entity)s::text, %(entity_id)s::text, %(before)s::json, %(after)s::json)
"""

# The same for many records at once.
ADD_AUDITS = """
INSERT INTO audit (actor_kind, actor_id, actor_name, source, request_id, action, entity, entity_id, before, after)
SELECT %(kind)s::text, %(actor_id)s::text, %(name)s::text, %(source)s::text, %(request_id)s::text,
       %(action)s::text, %(entity)s::text, r.entity_id, r.before, r.after
FROM unnest(%(ids)s::text[], %(befores)s::json[], %(afters)s::json[]) AS r (entity_id, before, after)
"""

# The same for many records at once, each of another actor.
ADD_AUDITS_OF = """
INSERT INTO audit (actor_kind, actor_id, actor_name, source, request_id, action, entity, entity_id, after)
SELECT r.kind, r.actor_id, r.name, r.source, r.request_id, %(action)s::text, %(entity)s::text, r.entity_id, r.after
FROM unnest(%(kinds)s::text[], %(actors)s::text[], %(names)s::text[], %(sources)s::text[], %(requests)s::text[],
            %(ids)s::text[], %(afters)s::json[]) AS r (kind, actor_id, name, source, request_id, entity_id, after)
"""

# Newest first by primary key; the indexes on (entity, entity_id, id) and (actor_kind, actor_id, id) serve the filters.
AUDIT_TRAIL = """
SELECT id, at, actor_kind, actor_id, actor_name, source, request_id, action, entity, entity_id, before, after
FROM audit
WHERE (%(entity)s::text IS NULL OR entity = %(entity)s::text)
  AND (%(entity_id)s::text IS NULL OR entity_id = %(entity_id)s::text)
  AND (%(actor_id)s::text IS NULL OR actor_id = %(actor_id)s::text)
  AND (%(before_id)s::bigint IS NULL OR id < %(before_id)s::bigint)
ORDER BY id DESC
LIMIT %(limit)s::int
"""


# By primary key.
AUDIT_ENTRY = """
SELECT id, at, actor_kind, actor_id, actor_name, source, request_id, action, entity, entity_id, before, after
FROM audit WHERE id = %(id)s::bigint
"""

# The index of a record's trail, newest first, gives the one that counts: no more than `most` rows are looked at.
WAIT_FOR = """
SELECT ceil(extract(epoch FROM at + make_interval(secs => %(seconds)s::int) - now()))::int
FROM audit WHERE entity = %(entity)s::text AND entity_id = %(entity_id)s::text AND action = %(action)s::text
ORDER BY id DESC OFFSET %(most)s::int - 1 LIMIT 1
"""
# With whatever filters are asked for. Keyset by id; an index for each of: entity and id, entity, actor, action, source,
# request, import, time.
_SEARCH = """
SELECT id, at, actor_kind, actor_id, actor_name, source, request_id, action, entity, entity_id, before, after FROM audit
"""


# Both as the index has it; the second is what an undo says.
BY_IMPORT: Final[LiteralString] = """coalesce(after ->> 'import', after ->> 'undone_import') IS NOT NULL
  AND split_part(coalesce(after ->> 'import', after ->> 'undone_import'), ' ', 1) = {}::text"""


# Entries of a time lie among the identifiers of that time: without this, those of a past month were found by walking
# back through all that came since. A change is written at most a day after its transaction began, whose time it bears.
_BEFORE_ID: Final[LiteralString] = """id < coalesce((
    SELECT a.id FROM audit a WHERE a.at >= {}::timestamptz + interval '1 day' ORDER BY a.at LIMIT 1
), 9223372036854775807)"""
_SINCE_ID: Final[LiteralString] = """id > coalesce((
    SELECT a.id FROM audit a WHERE a.at < {}::timestamptz - interval '1 day' ORDER BY a.at DESC LIMIT 1
), 0)"""


class Entry(msgspec.Struct, frozen=True):
    """One change."""

    id: int
    at: datetime
    actor_kind: str
    actor_id: str | None
    actor_name: str
    source: str | None
    request_id: str | None
    action: str
    entity: str
    entity_id: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which entries; None asks for nothing. `since` is included, `until` is not."""

    entity: str | None = None
    entity_id: str | None = None
    action: str | None = None
    actor_kind: str | None = None
    actor_id: str | None = None
    source: str | None = None
    request_id: str | None = None
    import_number: int | None = None
    ids: tuple[int, ...] | None = None
    since: datetime | None = None
    until: datetime | None = None


class Found(msgspec.Struct, frozen=True):
    """Some entries, the newest first, and whether there are more on either side."""

    entries: list[Entry]
    newer: bool
    older: bool


def difference(
    before: Mapping[str, Any] | msgspec.Struct | None,
    after: Mapping[str, Any] | msgspec.Struct | None,
    personal: Collection[str] = (),
) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Return what differs, as two mappings of the same fields; the values of personal fields are `CHANGED`."""
    old, new = _fields(before), _fields(after)
    differing = [name for name in {**(old or {}), **(new or {})} if (old or {}).get(name) != (new or {}).get(name)]
    hidden = PERSONAL.union(personal)

    def side(fields: dict[str, Any] | None) -> dict[str, Any] | None:
        if fields is None:
            return None
        return {name: CHANGED if name in hidden and fields.get(name) else fields.get(name) for name in differing}

    return side(old), side(new)


def _fields(record: Mapping[str, Any] | msgspec.Struct | None) -> dict[str, Any] | None:
    if record is None:
        return None
    fields: dict[str, Any] = msgspec.to_builtins(
        dict(record) if isinstance(record, Mapping) else record, str_keys=True, enc_hook=str
    )
    return fields


async def record_reveal(tx: Tx, entity: str, entity_id: object, why: str, **shown: Any) -> None:
    """Write down that the actor sees personal data in full, and why: one rule for whatever shows it.

    `shown` says what of the record it is, where that is not all of it.

    Raises:
        Invalid: no reason is given.
    """
    why = why.strip()
    refuse([] if why else [Flaw("why", N_("Say why the data is needed."))])
    await record(tx, action="reveal", entity=entity, entity_id=entity_id, after={"why": why, **shown})


async def record(
    tx: Tx,
    *,
    action: str,
    entity: str,
    entity_id: object,
    before: Mapping[str, Any] | msgspec.Struct | None = None,
    after: Mapping[str, Any] | msgspec.Struct | None = None,
    personal: Collection[str] = (),
) -> None:
    """Write one row with the acting person or key and only the fields that differ.

    Args:
        tx: the transaction of the change itself.
        action: a verb, like `cancel`.
        entity: what kind of record, like `order`.
        entity_id: which one.
        before: the record before; None when it is new.
        after: the record after; None when it is gone.
        personal: names of further fields whose values must not be copied, like a customer's `name`.
    """
    old, new = difference(before, after, personal)
    facts = {"entity_id": str(entity_id), "before": _written(old), "after": _written(_said(tx, new))}
    await tx.execute(ADD_AUDIT, {**_heading(tx, action, entity), **facts})


Record = Mapping[str, Any] | msgspec.Struct


async def record_many(
    tx: Tx,
    *,
    action: str,
    entity: str,
    changes: Sequence[tuple[object, Record | None, Record | None]],
    personal: Collection[str] = (),
    told: Sequence[Mapping[str, Any]] | None = None,
) -> None:
    """Write one row for each (record's id, before, after), with one statement; see `record`.

    `told` is said of each besides what differs, like the line of a file.
    """
    if not changes:
        return
    sides = [difference(before, after, personal) for _id, before, after in changes]
    facts = {
        "ids": [str(id_) for id_, _before, _after in changes],
        "befores": [_written(old) for old, _new in sides],
        "afters": [
            _written(_said(tx, new, more)) for (_old, new), more in zip(sides, told or [{}] * len(sides), strict=True)
        ],
    }
    await tx.execute(ADD_AUDITS, {**_heading(tx, action, entity), **facts})


async def record_of(
    tx: Tx, *, action: str, entity: str, made: Sequence[tuple[Actor, object, Mapping[str, Any]]]
) -> None:
    """Write one row for each (who made it, its id, what it is), with one statement: of records that are new.

    For a transaction in which one works for many: the actor is not the transaction's.
    """
    if not made:
        return
    facts = {
        "action": action,
        "entity": entity,
        "kinds": [actor.kind for actor, _id, _after in made],
        "actors": [actor.id for actor, _id, _after in made],
        "names": [actor.name for actor, _id, _after in made],
        "sources": [actor.source for actor, _id, _after in made],
        "requests": [actor.request_id for actor, _id, _after in made],
        "ids": [str(id_) for _actor, id_, _after in made],
        "afters": [_written(difference(None, after)[1]) for _actor, _id, after in made],
    }
    await tx.execute(ADD_AUDITS_OF, facts)


def _said(tx: Tx, after: Mapping[str, Any] | None, told: Mapping[str, Any] | None = None) -> Mapping[str, Any] | None:
    """Return what a record is after a change, with what else is said of the change; nothing of one that is gone."""
    if after is None:
        return None
    by = {} if tx.actor.by is None else dict([tx.actor.by])
    return {**after, **(told or {}), **by}


def _heading(tx: Tx, action: str, entity: str) -> dict[str, str | None]:
    return {
        "kind": tx.actor.kind,
        "actor_id": tx.actor.id,
        "name": tx.actor.name,
        "source": tx.actor.source,
        "request_id": tx.actor.request_id,
        "action": action,
        "entity": entity,
    }


def _written(side: Mapping[str, Any] | None) -> str | None:
    return None if side is None else msgspec.json.encode(side).decode()


async def trail(
    tx: Tx,
    *,
    entity: str | None = None,
    entity_id: str | None = None,
    actor_id: str | None = None,
    before_id: int | None = None,
    limit: int = 50,
) -> list[Entry]:
    """Return the newest changes, optionally of one record or one actor, older than entry `before_id`."""
    return await tx.all(
        Entry,
        AUDIT_TRAIL,
        {
            "entity": entity,
            "entity_id": entity_id,
            "actor_id": actor_id,
            "before_id": before_id,
            "limit": limit,
        },
    )


async def wait_for(tx: Tx, *, action: str, entity: str, entity_id: str, most: int, seconds: int) -> int:
    """Return how many seconds until an action on a record is less than `most` times in `seconds`; 0: it is now."""
    asked = {"action": action, "entity": entity, "entity_id": entity_id, "most": most, "seconds": seconds}
    return max(0, await tx.value(WAIT_FOR, asked) or 0)


async def search(
    tx: Tx, wanted: Wanted, *, older_than: int | None = None, newer_than: int | None = None, size: int = 50
) -> Found:
    """Return one page of the entries wanted, the newest first: those next to an entry on one side, or the newest."""
    narrowed, params = where(
        {
            "entity = {}::text": wanted.entity,
            "entity_id = {}::text": wanted.entity_id,
            "action = {}::text": wanted.action,
            "actor_kind = {}::text": wanted.actor_kind,
            "actor_id = {}::text": wanted.actor_id,
            "source = {}::text": wanted.source,
            "request_id = {}::text": wanted.request_id,
            BY_IMPORT: None if wanted.import_number is None else str(wanted.import_number),
            "id = ANY ({}::bigint[])": None if wanted.ids is None else list(wanted.ids),
            "at >= {}::timestamptz": wanted.since,
            "at < {}::timestamptz": wanted.until,
            _SINCE_ID: wanted.since,
            _BEFORE_ID: wanted.until,
            "id < {}::bigint": older_than,
            "id > {}::bigint": newer_than,
        }
    )
    order = sql.SQL(" ORDER BY id ASC" if newer_than is not None else " ORDER BY id DESC")
    limit = sql.SQL(" LIMIT {}").format(sql.Literal(size + 1))
    rows = await tx.all(Entry, sql.Composed([sql.SQL(_SEARCH), narrowed, order, limit]), params)
    more, rows = len(rows) > size, rows[:size]
    if newer_than is not None:
        return Found(rows[::-1], newer=more, older=True)
    return Found(rows, newer=older_than is not None, older=more)


async def entry(tx: Tx, id_: int) -> Entry | None:
    """Return one entry."""
    return await tx.maybe(Entry, AUDIT_ENTRY, {"id": id_})
