"""Refunds that are due as a whole, and those that were recorded together."""

from collections.abc import Collection
from datetime import datetime
from typing import Any, LiteralString

import msgspec

from malha.payments import reads
from malha.payments.errors import BatchNotFound
from malha.payments.reads import DUE
from malha.platform.db import Tx
from malha.platform.ids import UUID

LISTED = 5

# What waits in a batch already is not offered to another one.
FOUND: LiteralString = f"""
SELECT o.currency, count(*)::int AS orders, sum(p.refund_due)::bigint AS due,
       md5(string_agg(p.order_id || ':' || p.refund_due, ',' ORDER BY p.order_id)) AS mark
{DUE}
  AND NOT EXISTS (SELECT FROM refund_batch_order b WHERE b.order_id = p.order_id AND b.outcome IS NULL)
GROUP BY o.currency ORDER BY o.currency
"""
# The same of what a batch took.
TAKEN = """
SELECT o.currency, count(*)::int AS orders, sum(b.due)::bigint AS due,
       md5(string_agg(b.order_id || ':' || b.due, ',' ORDER BY b.order_id)) AS mark
FROM refund_batch_order b JOIN sales_order o ON o.id = b.order_id
WHERE b.batch_id = %(id)s::uuid
GROUP BY o.currency ORDER BY o.currency
"""
_BATCH = """
SELECT id, number, reference, sought, state, orders, recorded, refused, actor, person, begun_at, ended_at
FROM refund_batch
"""
BATCH = f"{_BATCH} WHERE number = %(number)s::bigint AND (%(actor)s::text IS NULL OR actor = %(actor)s::text)"
BATCH_BY_ID = f"{_BATCH} WHERE id = %(id)s::uuid"
BATCHES_BY_ID = f"{_BATCH} WHERE id = ANY (%(ids)s::uuid[])"
# By the unique index on numbers, backwards.
BATCHES = f"""{_BATCH}
WHERE (%(actor)s::text IS NULL OR actor = %(actor)s::text)
  AND (%(before)s::bigint IS NULL OR number < %(before)s::bigint)
ORDER BY number DESC LIMIT %(limit)s::int
"""
# The partial index of what was refused, the newest order first.
REFUSED = """
SELECT b.order_id, o.number, o.currency, b.due, b.why
FROM refund_batch_order b JOIN sales_order o ON o.id = b.order_id
WHERE b.batch_id = %(id)s::uuid AND b.outcome = 'refused'
  AND (%(after)s::uuid IS NULL OR b.order_id < %(after)s::uuid)
ORDER BY b.order_id DESC LIMIT %(limit)s::int
"""


class Found(msgspec.Struct, frozen=True):
    """What is due in one currency of all orders that a search finds; `mark` tells whether it is still the same."""

    currency: str
    orders: int
    due: int
    mark: str


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """Refunds that are recorded together. `state`: going, done, or stopped, with the rest still due."""

    id: UUID
    number: int
    reference: str
    sought: str
    state: str
    orders: int
    recorded: int
    refused: int
    actor: str
    person: str
    begun_at: datetime
    ended_at: datetime | None

    @property
    def share(self) -> int:
        """Return how much of it is through, in percent."""
        return 100 * (self.recorded + self.refused) // self.orders if self.orders else 0

    @property
    def left(self) -> int:
        """Return of how many orders nothing was recorded or refused."""
        return self.orders - self.recorded - self.refused


class Refused(msgspec.Struct, frozen=True):
    """An order of which a batch recorded nothing, and why, as the refusal said it."""

    order_id: UUID
    number: int
    currency: str
    due: int
    why: dict[str, Any]


async def found(tx: Tx, text: str = "") -> list[Found]:
    """Return, by currency, what is due of all orders that a text finds and the actor sees; see `reads.refunds_due`."""
    return await tx.all(Found, FOUND, await reads.sought(tx, text, tx.actor.scope))


async def taken(tx: Tx, batch_id: UUID) -> list[Found]:
    """Return what a batch took, by currency."""
    return await tx.all(Found, TAKEN, {"id": batch_id})


def mark_of(found: list[Found]) -> str:
    """Return a text that is another one as soon as an order, or what is due of it, is."""
    return ".".join(f"{each.currency}{each.mark}" for each in found)


async def batch(tx: Tx, number: int) -> Batch:
    """Return a batch; who is limited to locations sees their own.

    Raises:
        BatchNotFound: there is none.
    """
    found = await tx.maybe(Batch, BATCH, {"number": number, "actor": _own(tx)})
    if found is None:
        raise BatchNotFound(key=number)
    return found


async def batch_by_id(tx: Tx, batch_id: UUID) -> Batch | None:
    """Return a batch, whoever asked for it."""
    return await tx.maybe(Batch, BATCH_BY_ID, {"id": batch_id})


async def batches_by_id(tx: Tx, batch_ids: Collection[UUID]) -> dict[UUID, Batch]:
    """Return batches, whoever asked for them."""
    if not batch_ids:
        return {}
    return {one.id: one for one in await tx.all(Batch, BATCHES_BY_ID, {"ids": sorted(batch_ids)})}


async def batches(tx: Tx, limit: int = LISTED, *, before: int | None = None) -> list[Batch]:
    """Return the newest batches, or those before a number; who is limited to locations sees their own."""
    return await tx.all(Batch, BATCHES, {"actor": _own(tx), "limit": limit, "before": before})


def _own(tx: Tx) -> str | None:
    return None if tx.actor.locations is None else tx.actor.label


async def refused(tx: Tx, batch_id: UUID, limit: int, *, after: UUID | None = None) -> list[Refused]:
    """Return the orders of which a batch recorded nothing, the newest first, from after one of them."""
    return await tx.all(Refused, REFUSED, {"id": batch_id, "limit": limit, "after": after})
