"""What connections made products of at once: when, what became of it, and what stands against taking it back."""

from datetime import UTC, datetime

import msgspec

from malha.platform.db import Tx
from malha.platform.text import literal

# By the index on what is going; a handful.
GOING = "SELECT DISTINCT connection_id FROM product_at_once WHERE state = 'going'"
# The newest first, a page at a time, by the index on that; what the channel calls it by primary key.
ROWS = """
SELECT m.code, m.sku, m.product, coalesce(t.name, '') AS name, coalesce(t.gtin, '') AS gtin, m.made_at, m.state,
       m.reasons, m.undo_at, m.undo_person
FROM product_at_once m LEFT JOIN channel_variant t ON t.connection_id = m.connection_id AND t.code = m.code
WHERE m.connection_id = %(connection_id)s::int
  AND (m.made_at, m.code) < (%(before_at)s::timestamptz, %(before_code)s::text)
  AND (%(state)s::text IS NULL OR m.state = %(state)s::text)
  AND (%(sought)s::text IS NULL OR m.code = %(sought)s::text OR m.product = %(sought)s::text
       OR t.gtin = %(sought)s::text OR t.name ILIKE %(alike)s::text)
ORDER BY m.made_at DESC, m.code DESC LIMIT %(most)s::int
"""
COUNT = """
SELECT count(*) FROM product_at_once WHERE connection_id = %(connection_id)s::int AND state = 'made'
"""
FIRST = (datetime(9999, 1, 1, tzinfo=UTC), "")


class AtOnce(msgspec.Struct, frozen=True, kw_only=True):
    """What was made of a variant at once.

    `state`: made, going (it is being taken back), undone, or kept: `reasons` say why, as `making.REASONS` names them.
    """

    code: str
    sku: str
    product: str
    name: str
    gtin: str
    made_at: datetime
    state: str
    reasons: list[str]
    undo_at: datetime | None
    undo_person: str | None


async def rows(
    tx: Tx,
    connection_id: int,
    *,
    before: tuple[datetime, str] = FIRST,
    state: str | None = None,
    sought: str | None = None,
    most: int = 50,
) -> list[AtOnce]:
    """Return a page of what was made at once, the newest first, those made together by code."""
    alike = None if sought is None else f"%{literal(sought)}%"
    at, code = before
    asked = {"connection_id": connection_id, "before_at": at, "before_code": code, "state": state, "sought": sought}
    return await tx.all(AtOnce, ROWS, asked | {"alike": alike, "most": most})


async def count(tx: Tx, connection_id: int) -> int:
    """Return how much was made at once and is there."""
    return int(await tx.value(COUNT, {"connection_id": connection_id}))
