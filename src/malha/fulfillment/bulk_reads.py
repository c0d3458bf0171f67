"""Bulk actions: what is to be done with which orders, and how far it is."""

from collections.abc import Collection
from datetime import datetime
from typing import Any

import msgspec

from malha.fulfillment.bulk_model import Act, Wish
from malha.fulfillment.errors import BulkNotFound
from malha.ordering.model import OrderStatus
from malha.platform.db import Tx
from malha.platform.ids import UUID

LISTED = 20

_ACTION = """
SELECT id, number, wish AS stated, sought, state, orders, done, refused, actor, person, gathered_at, begun_at, ended_at
FROM bulk_action
"""
# By the unique index on numbers. Who is limited to locations sees their own.
ACTION = f"{_ACTION} WHERE number = %(number)s::bigint AND (%(actor)s::text IS NULL OR actor = %(actor)s::text)"
ACTION_BY_ID = f"{_ACTION} WHERE id = %(id)s::uuid"
ACTIONS_BY_ID = f"{_ACTION} WHERE id = ANY (%(ids)s::uuid[])"
# What was gathered and not begun is shown to who gathered it alone.
ACTIONS = f"""{_ACTION}
WHERE (%(actor)s::text IS NULL OR actor = %(actor)s::text) AND state <> 'ready'
  AND (%(before)s::bigint IS NULL OR number < %(before)s::bigint)
ORDER BY number DESC LIMIT %(limit)s::int
"""
# By the primary key of the action's orders.
STANDING = """
SELECT o.status, o.currency, count(*)::int AS orders, sum(o.total - o.cancelled_total)::bigint AS total
FROM bulk_action_order b JOIN sales_order o ON o.id = b.order_id
WHERE b.action_id = %(id)s::uuid
GROUP BY o.status, o.currency ORDER BY count(*) DESC, o.status, o.currency
"""
# The partial index of what was refused, the newest order first.
REFUSED = """
SELECT b.order_id, o.number, b.why
FROM bulk_action_order b JOIN sales_order o ON o.id = b.order_id
WHERE b.action_id = %(id)s::uuid AND b.outcome = 'refused'
  AND (%(after)s::uuid IS NULL OR b.order_id < %(after)s::uuid)
ORDER BY b.order_id DESC LIMIT %(limit)s::int
"""


class BulkAction(msgspec.Struct, frozen=True, kw_only=True):
    """One act on many orders.

    `state`: ready, gathered and waiting for the person to begin it; going; done; or stopped, with the rest left alone.
    `sought` is the address of the list that found the orders.
    """

    id: UUID
    number: int
    stated: dict[str, Any]
    sought: str
    state: str
    orders: int
    done: int
    refused: int
    actor: str
    person: str
    gathered_at: datetime
    begun_at: datetime | None
    ended_at: datetime | None

    @property
    def wish(self) -> Wish:
        """Return what is to be done with each order."""
        return msgspec.convert(self.stated, Wish)

    @property
    def act(self) -> Act:
        """Return the act itself."""
        return self.wish.act

    @property
    def through(self) -> int:
        """Return with how many orders it is through."""
        return self.done + self.refused

    @property
    def share(self) -> int:
        """Return how much of it is through, in percent."""
        return 100 * self.through // self.orders if self.orders else 0

    @property
    def left(self) -> int:
        """Return how many orders it has not come to."""
        return self.orders - self.through


class Standing(msgspec.Struct, frozen=True):
    """How many of an action's orders are in a state now, and what they come to, in centavos of one currency."""

    status: OrderStatus
    currency: str
    orders: int
    total: int


class Refused(msgspec.Struct, frozen=True):
    """An order that refused the act, and why, as the refusal said it."""

    order_id: UUID
    number: int
    why: dict[str, Any]


async def action(tx: Tx, number: int) -> BulkAction:
    """Return a bulk action; who is limited to locations sees their own, and so does who has not begun it.

    Raises:
        BulkNotFound: there is none.
    """
    found = await tx.maybe(BulkAction, ACTION, {"number": number, "actor": _own(tx)})
    if found is None or (found.state == "ready" and found.actor != tx.actor.label):
        raise BulkNotFound(key=number)
    return found


async def action_by_id(tx: Tx, action_id: UUID) -> BulkAction | None:
    """Return a bulk action, whoever asked for it."""
    return await tx.maybe(BulkAction, ACTION_BY_ID, {"id": action_id})


async def actions_by_id(tx: Tx, action_ids: Collection[UUID]) -> dict[UUID, BulkAction]:
    """Return bulk actions, whoever asked for them."""
    if not action_ids:
        return {}
    return {one.id: one for one in await tx.all(BulkAction, ACTIONS_BY_ID, {"ids": sorted(action_ids)})}


async def actions(tx: Tx, limit: int = LISTED, *, before: int | None = None) -> list[BulkAction]:
    """Return the newest that were begun, or those before a number; who is limited to locations sees their own."""
    return await tx.all(BulkAction, ACTIONS, {"actor": _own(tx), "limit": limit, "before": before})


def _own(tx: Tx) -> str | None:
    return None if tx.actor.locations is None else tx.actor.label


async def standing(tx: Tx, action_id: UUID) -> list[Standing]:
    """Return in which states the orders of an action are now, the most frequent first."""
    return await tx.all(Standing, STANDING, {"id": action_id})


async def refused(tx: Tx, action_id: UUID, limit: int, *, after: UUID | None = None) -> list[Refused]:
    """Return the orders that refused, the newest first, from after one of them."""
    return await tx.all(Refused, REFUSED, {"id": action_id, "limit": limit, "after": after})
