"""Tenders and their ledger, as people look at them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, LiteralString

import msgspec

from malha.network import reads as network
from malha.payments import rules
from malha.platform.db import Tx
from malha.platform.ids import UUID
from malha.platform.text import fold, whole_in


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """What was authorised, captured, refunded and voided on an order, in centavos."""

    order_id: UUID
    state: str
    authorised: int
    captured: int
    refunded: int
    voided: int
    refund_due: int = 0  # what is to be given back
    charged_back: int = 0

    @property
    def refundable(self) -> int:
        """Return what can still be given back."""
        return rules.kept(self)

    @property
    def lost(self) -> int:
        """Return what went back twice: refunded, and charged back."""
        return rules.lost(self)


class TenderRow(msgspec.Struct, frozen=True, kw_only=True):
    """How a part of the order is paid, and what happened on it so far."""

    id: UUID
    position: int
    kind: str
    currency: str
    amount: int
    reference: str | None
    installments: int
    expires_at: datetime | None
    created_at: datetime
    authorised: int
    captured: int
    refunded: int
    voided: int
    charged_back: int

    @property
    def refundable(self) -> int:
        """Return what can still be given back on this tender."""
        return rules.kept(self)

    @property
    def missing(self) -> int:
        """Return what has not been captured or given up."""
        return max(self.amount - self.captured - self.voided, 0)


class EntryRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the ledger."""

    tender_id: UUID
    kind: str
    amount: int
    reference: str
    occurred_at: datetime
    actor: str
    favour: bool  # a refund that was not due


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """What an order's payment waits for: the tender that runs out first."""

    order_id: UUID
    kind: str
    expires_at: datetime | None


class Deadline(msgspec.Struct, frozen=True, kw_only=True):
    """Until when an order that waits for money keeps its stock, and, when it lapsed, until when late money finds it."""

    due_at: datetime
    tender: str
    extended_by: str | None
    lapsed_at: datetime | None
    cancel_at: datetime | None


TOTALS = """
SELECT order_id, state, authorised, captured, refunded, voided, refund_due, charged_back
FROM order_payment
WHERE order_id = ANY(%(ids)s::uuid[])
"""
# The ledger of an order is a few rows: summed where it is read, so the page can never differ from its rows.
TENDERS = """
SELECT t.id, t.position, t.kind, t.currency, t.amount, t.reference, t.installments, t.expires_at, t.created_at,
       coalesce(sum(e.amount) FILTER (WHERE e.kind = 'authorised'), 0)::bigint AS authorised,
       coalesce(sum(e.amount) FILTER (WHERE e.kind = 'captured'), 0)::bigint AS captured,
       coalesce(sum(e.amount) FILTER (WHERE e.kind = 'refunded'), 0)::bigint AS refunded,
       coalesce(sum(e.amount) FILTER (WHERE e.kind = 'voided'), 0)::bigint AS voided,
       coalesce(sum(e.amount) FILTER (WHERE e.kind = 'charged_back'), 0)::bigint AS charged_back
FROM tender t LEFT JOIN payment_entry e ON e.tender_id = t.id
WHERE t.order_id = %(id)s::uuid
GROUP BY t.id ORDER BY t.position
"""
ENTRIES = """
SELECT e.tender_id, e.kind, e.amount, e.reference, e.occurred_at, e.actor, e.favour
FROM tender t JOIN payment_entry e ON e.tender_id = t.id
WHERE t.order_id = %(id)s::uuid ORDER BY e.occurred_at, e.recorded_at
"""
WAITING = """
SELECT DISTINCT ON (t.order_id) t.order_id, t.kind, coalesce(d.due_at, t.expires_at) AS expires_at
FROM tender t
LEFT JOIN payment_deadline d ON d.order_id = t.order_id AND d.settled_at IS NULL
WHERE t.order_id = ANY(%(ids)s::uuid[])
  AND NOT EXISTS (SELECT FROM payment_entry e WHERE e.tender_id = t.id AND e.kind IN ('captured', 'authorised',
  'voided'))
ORDER BY t.order_id, t.expires_at NULLS LAST, t.position
"""
# By primary key.
DEADLINE = """
SELECT due_at, tender, extended_by, lapsed_at, cancel_at FROM payment_deadline
WHERE order_id = %(id)s::uuid AND settled_at IS NULL
"""
# By the partial index on what is to be given back, which holds few; the ids of orders rise with time. Each order
# and its units are looked up: OFFSET keeps them from being hashed, all of them.
DUE = """FROM order_payment p
CROSS JOIN LATERAL (
    SELECT x.id, x.number, x.external_id, x.channel_id, x.placed_at, x.currency, x.total, x.cancelled_total
    FROM sales_order x WHERE x.id = p.order_id OFFSET 0
) o
JOIN channel c ON c.id = o.channel_id
WHERE p.refund_due > 0
  AND (%(scope)s::int[] IS NULL OR EXISTS (
       SELECT FROM order_unit u WHERE u.order_id = p.order_id AND u.location_id = ANY (%(scope)s::int[]) OFFSET 0))
  AND (%(text)s::text IS NULL OR o.number = %(number)s::bigint OR o.external_id = %(text)s::text
       OR c.id = ANY (%(channels)s::int[]))"""
REFUNDS_DUE: LiteralString = f"""
SELECT o.id AS order_id, o.number, o.external_id, c.code AS channel_code, c.name AS channel, o.placed_at, o.currency,
       o.total, o.cancelled_total, p.captured, p.refunded, p.favour, p.refund_due
{DUE}
  AND (%(after)s::uuid IS NULL OR p.order_id < %(after)s::uuid)
ORDER BY p.order_id DESC LIMIT %(limit)s::int
"""
# As above.
REFUNDS_DUE_COUNT = """
SELECT count(*)::int FROM order_payment p
WHERE p.refund_due > 0
  AND (%(scope)s::int[] IS NULL OR EXISTS (
       SELECT FROM order_unit u WHERE u.order_id = p.order_id AND u.location_id = ANY (%(scope)s::int[]) OFFSET 0))
"""


class RefundDue(msgspec.Struct, frozen=True, kw_only=True):
    """An order of which money is to be given back: `refund_due`, what we have beyond what is payable. In centavos."""

    order_id: UUID
    number: int
    external_id: str | None
    channel_code: str
    channel: str
    placed_at: datetime
    currency: str
    total: int
    cancelled_total: int
    captured: int
    refunded: int
    favour: int  # of `refunded`: it takes nothing off what is due
    refund_due: int


async def refunds_due(
    tx: Tx, *, text: str = "", scope: Sequence[int] | None = None, after: UUID | None = None, limit: int = 100
) -> list[RefundDue]:
    """Return orders of which money is to be given back, the newest first.

    `text` finds a number, ours or the channel's, or a part of a channel's name or code, with or without accents.
    """
    asked = await sought(tx, text, scope)
    return await tx.all(RefundDue, REFUNDS_DUE, asked | {"after": after, "limit": limit})


async def sought(tx: Tx, text: str, scope: Sequence[int] | None) -> dict[str, Any]:
    """Return what `DUE` takes to find refunds by a text, at some locations or at all."""
    part = fold(text)
    found = [c.id for c in await network.channels(tx) if part in fold(c.name) or part in fold(c.code)] if part else []
    return {
        "text": text or None,
        "number": whole_in(text.removeprefix("#"), 17),
        "channels": found,
        "scope": None if scope is None else list(scope),
    }


async def refunds_due_count(tx: Tx, scope: Sequence[int] | None = None) -> int:
    """Return of how many orders money is to be given back."""
    return int(await tx.value(REFUNDS_DUE_COUNT, {"scope": None if scope is None else list(scope)}))


async def totals(tx: Tx, order_ids: Sequence[UUID]) -> dict[UUID, Totals]:
    """Return the payment sums of orders that have tenders."""
    return {row.order_id: row for row in await tx.all(Totals, TOTALS, {"ids": list(order_ids)})}


async def waiting(tx: Tx, order_ids: Sequence[UUID]) -> dict[UUID, Waiting]:
    """Return, for orders with a tender on which nothing happened yet, the one that runs out first."""
    return {row.order_id: row for row in await tx.all(Waiting, WAITING, {"ids": list(order_ids)})}


async def tenders(tx: Tx, order_id: UUID) -> list[TenderRow]:
    """Return an order's tenders with their sums."""
    return await tx.all(TenderRow, TENDERS, {"id": order_id})


async def entries(tx: Tx, order_id: UUID) -> list[EntryRow]:
    """Return the ledger of an order, oldest first."""
    return await tx.all(EntryRow, ENTRIES, {"id": order_id})


async def deadline(tx: Tx, order_id: UUID) -> Deadline | None:
    """Return when an order's time to pay ends; None while it waits for no money."""
    return await tx.maybe(Deadline, DEADLINE, {"id": order_id})
