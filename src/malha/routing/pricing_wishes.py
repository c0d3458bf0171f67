"""What people want of prices of stock: any at all, and a run now; and whether a run goes on."""

from datetime import datetime, timedelta

import msgspec

from malha.platform.db import Database, Tx
from malha.routing import price_writes

GONE = timedelta(minutes=3)  # a run that is still not over ended with its worker

WISH = """
SELECT wanted, asked_at, CASE WHEN began_at > now() - %(gone)s::interval THEN began_at END AS began_at
FROM stock_pricing
"""


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """Whether prices are wanted, since when a run is asked for that has not begun, and since when one goes on."""

    wanted: bool = True
    asked_at: datetime | None = None
    began_at: datetime | None = None


async def wish(tx: Tx) -> Wish:
    """Return what people want; prices, until one says no."""
    return await tx.maybe(Wish, WISH, {"gone": GONE}) or Wish()


async def is_wanted(db: Database) -> bool:
    """Return whether people want prices."""
    async with db.transaction() as tx:
        return (await wish(tx)).wanted


async def is_asked(db: Database) -> bool:
    """Return whether a person waits for a run that has not begun."""
    async with db.transaction() as tx:
        found = await wish(tx)
        return found.wanted and found.asked_at is not None


async def begin(db: Database) -> None:
    """Note that a run begins: who asked for one before gets this one."""
    await _note(db, price_writes.BEGIN)


async def end(db: Database) -> None:
    """Note that a run is over, and what was asked for before it began is done."""
    await _note(db, price_writes.END)


async def leave(db: Database) -> None:
    """Note that a run was left: what was asked for still is."""
    await _note(db, price_writes.LEAVE)


async def _note(db: Database, statement: str) -> None:
    async with db.transaction() as tx:
        await tx.value(price_writes.LOCK_WISH)
        await tx.execute(statement)
