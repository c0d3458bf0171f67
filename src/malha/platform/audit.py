"""The audit trail: who changed what, when, from where, what it was before and after. Append only.

Rows hold identifiers and changed values. Personal data and secrets are never copied: such a field is recorded as
`CHANGED`, so that erasing a customer leaves nothing behind here.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import msgspec

from malha.platform.db import Tx

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
    await tx.execute(
        ADD_AUDIT,
        {
            "kind": tx.actor.kind,
            "actor_id": tx.actor.id,
            "name": tx.actor.name,
            "source": tx.actor.source,
            "request_id": tx.actor.request_id,
            "action": action,
            "entity": entity,
            "entity_id": str(entity_id),
            "before": None if old is None else msgspec.json.encode(old).decode(),
            "after": None if new is None else msgspec.json.encode(new).decode(),
        },
    )


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
