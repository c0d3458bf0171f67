"""What of a connection waits for a person, searched by cause and text: what came in, and what could not be told."""

from malha.channels.connecting.reads import Dead, Stuck
from malha.platform.db import Tx
from malha.platform.ids import UUID
from malha.platform.text import literal

# By the partial indexes on what is stuck, in the order it came.
CAME = """
SELECT id, entity, source, trust, state, attempts, cause, error, wants, received_at
FROM channel_inbox
WHERE connection_id = %(connection_id)s::int AND state IN ('parked', 'unmapped') AND id > %(after)s::bigint
  AND (%(cause)s::text IS NULL OR cause = %(cause)s::text)
  AND (%(text)s::text IS NULL OR entity ILIKE %(text)s::text OR error ILIKE %(text)s::text
       OR array_to_string(wants, ' ') ILIKE %(text)s::text)
ORDER BY id LIMIT %(most)s::int
"""
GONE = """
SELECT key, number, kind, entity, attempts, cause, error, reference, created_at
FROM channel_op
WHERE connection_id = %(connection_id)s::int AND state = 'dead' AND number > %(after)s::bigint
  AND (%(cause)s::text IS NULL OR cause = %(cause)s::text)
  AND (%(text)s::text IS NULL OR entity ILIKE %(text)s::text OR error ILIKE %(text)s::text
       OR reference ILIKE %(text)s::text)
ORDER BY number LIMIT %(most)s::int
"""
ONE_CAME = """
SELECT id, entity, source, trust, state, attempts, cause, error, wants, received_at FROM channel_inbox
WHERE connection_id = %(connection_id)s::int AND id = %(id)s::bigint
"""
ONE_GONE = """
SELECT key, number, kind, entity, attempts, cause, error, reference, created_at FROM channel_op
WHERE connection_id = %(connection_id)s::int AND key = %(key)s::uuid
"""
IS_DEAD = """
SELECT state = 'dead' FROM channel_op WHERE connection_id = %(connection_id)s::int AND key = %(key)s::uuid
"""
WHAT_CAME = "SELECT payload FROM channel_inbox WHERE connection_id = %(connection_id)s::int AND id = %(id)s::bigint"
WHAT_IS_TOLD = """
SELECT payload::text FROM channel_op WHERE connection_id = %(connection_id)s::int AND key = %(key)s::uuid
"""
# What of a peer's order is bound to ours, by the unique index.
OUR_ORDER = """
SELECT o.number FROM binding b JOIN sales_order o ON o.id = b.internal_id::uuid
WHERE b.connection_id = %(connection_id)s::int AND b.entity = 'order' AND b.external_id = %(external_id)s::text
"""


def _params(connection_id: int, cause: str, text: str, after: int, most: int) -> dict[str, object]:
    return {
        "connection_id": connection_id,
        "cause": cause or None,
        "text": f"%{literal(text)}%" if text else None,
        "after": after,
        "most": most,
    }


async def came(
    tx: Tx, connection_id: int, *, cause: str = "", text: str = "", after: int = 0, most: int = 100
) -> list[Stuck]:
    """Return what came in and waits for a person, by arrival, behind an id."""
    return await tx.all(Stuck, CAME, _params(connection_id, cause, text, after, most))


async def gone(
    tx: Tx, connection_id: int, *, cause: str = "", text: str = "", after: int = 0, most: int = 100
) -> list[Dead]:
    """Return what could not be told and waits for a person, in order, behind a number."""
    return await tx.all(Dead, GONE, _params(connection_id, cause, text, after, most))


async def one_came(tx: Tx, connection_id: int, id_: int) -> Stuck | None:
    """Return one thing that came in, waiting or not."""
    return await tx.maybe(Stuck, ONE_CAME, {"connection_id": connection_id, "id": id_})


async def one_gone(tx: Tx, connection_id: int, key: UUID) -> Dead | None:
    """Return one operation, waiting or not."""
    return await tx.maybe(Dead, ONE_GONE, {"connection_id": connection_id, "key": key})


async def is_dead(tx: Tx, connection_id: int, key: UUID) -> bool:
    """Return whether an operation waits for a person."""
    return bool(await tx.value(IS_DEAD, {"connection_id": connection_id, "key": key}))


async def content_of_came(tx: Tx, connection_id: int, id_: int) -> str | None:
    """Return what came, as text. It may name people: ask through `service.reveal`."""
    found: bytes | None = await tx.value(WHAT_CAME, {"connection_id": connection_id, "id": id_})
    return None if found is None else found.decode("utf-8", "replace")


async def content_of_op(tx: Tx, connection_id: int, key: UUID) -> str | None:
    """Return what an operation is to say, as JSON. It may name people: ask through `service.reveal`."""
    found: str | None = await tx.value(WHAT_IS_TOLD, {"connection_id": connection_id, "key": key})
    return found


async def our_order(tx: Tx, connection_id: int, external_id: str) -> int | None:
    """Return the number of our order that is a peer's."""
    found: int | None = await tx.value(OUR_ORDER, {"connection_id": connection_id, "external_id": external_id})
    return found
