"""Payments on which a program of before wrote no claim: during a rolling upgrade it goes on beside this one.

Without its claim a PIX that pays one order would pay another one too. Migration 0184 wrote the claims of what was
there; what older processes recorded after it gets its claim here. `malha doctor` names what was on two orders by then.
"""

from collections.abc import AsyncGenerator
from datetime import timedelta

import msgspec

from malha.payments import rules, writes
from malha.platform.db import Database, Tx
from malha.platform.ids import UUID, first_id

BESIDE = timedelta(days=7)  # so long after the migration a program from before it may still be running
AT_ONCE = 2_000


class _Unclaimed(msgspec.Struct, frozen=True):
    """What was recorded on an order under a reference that no order has claimed."""

    kind: str
    reference: str
    order_id: UUID


async def fill(db: Database) -> AsyncGenerator[int, None]:
    """Write the claims that are missing; yields how many, step by step. Doing it twice at once is harmless.

    The first order on which a payment was recorded has it, as with the migration. Once `BESIDE` is over nothing is
    looked at.
    """
    async with db.snapshot() as tx:
        began = await tx.value(writes.CLAIMS_SINCE, {"beside": BESIDE})
    after = None if began is None else first_id(began)
    while after is not None:
        async with db.transaction() as tx:
            after, made = await _fill_some(tx, after)
        yield made


async def _fill_some(tx: Tx, after: UUID) -> tuple[UUID | None, int]:
    last: UUID | None = await tx.value(writes.ENTRIES_UP_TO, {"after": after, "limit": AT_ONCE})
    if last is None:
        return None, 0
    found: dict[str, UUID] = {}
    for row in await tx.all(_Unclaimed, writes.UNCLAIMED, {"after": after, "last": last}):
        identity = rules.identity_of(row.kind, row.reference)
        if identity is not None:
            found.setdefault(identity, row.order_id)
    if not found:
        return last, 0
    made = await tx.values(writes.CLAIM_PAYMENTS, {"references": list(found), "orders": list(found.values())})
    return last, len(made)
