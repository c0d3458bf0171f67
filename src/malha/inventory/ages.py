"""Working out how long goods have lain where they are, from the ledger's arrivals: a piece at a time, beside orders."""

from datetime import datetime

from malha.inventory import age_writes as writes
from malha.inventory.model import Reason
from malha.platform.db import Tx

PIECE = 2_000  # balances of one transaction
# What brings goods. A count, a find or a correction says how many are there, not when they came.
ARRIVALS = (Reason.INITIAL, Reason.SET, Reason.RECEIPT, Reason.TRANSFER, Reason.EXCESS)


async def work_out(tx: Tx, at: datetime, after: tuple[int, int] | None) -> tuple[int, int] | None:
    """Work out the ages of the next balances as of a moment; return the last of them, None: there are no more.

    Args:
        tx: one piece is one transaction.
        at: when the whole work began.
        after: (SKU, location) of the balance to go on after; None: begin.
    """
    sku, location = after or (0, 0)
    wanted = {
        "sku": sku,
        "location": location,
        "at": at,
        "limit": PIECE,
        "reasons": [reason.value for reason in ARRIVALS],
    }
    found: list[tuple[int, int]] = await tx.tuples(writes.WORK_OUT, wanted)
    return found[0] if found else None


async def forget_before(tx: Tx, at: datetime) -> None:
    """Forget what was not worked out since: goods that are gone."""
    await tx.execute(writes.FORGET, {"at": at})
