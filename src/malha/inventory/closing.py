"""Care of the ledger: monthly partitions made ahead, old months closed into sums that the doctor can trust and verify.

A month is closed when it has been over for `SETTLED`, longer than any writing transaction lives; nothing is added to it
afterwards, because `recorded_at` is the start of the writing transaction. Closing changes no movement and drops
nothing.
"""

import re
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta

from malha.inventory import closing_writes as writes
from malha.platform.db import Database, Tx

AHEAD = 3  # months that have their partition before they begin
SETTLED = timedelta(days=1)
_NAME = re.compile(r"^movement_(\d{4})_(\d{2})$")


async def care_for_ledger(db: Database) -> AsyncGenerator[str, None]:
    """Make the partitions of this and the coming months and close those that are over; yield what was made or closed.

    Safe to run at any time and from several processes; each month is closed in a transaction of its own.
    """
    async with db.transaction() as tx:
        made = await make_months(tx, await tx.now())
    for name in made:
        yield name
    while True:
        async with db.transaction() as tx:
            closed = await close_one(tx, await tx.now())
        if closed is None:
            return
        yield closed


async def make_months(tx: Tx, now: datetime) -> list[str]:
    """Make the partitions of `now`'s month and the next ones; return the names made.

    A month whose movements already fell into the default partition stays there.
    """
    await tx.execute(writes.LOCK_CARE)
    await tx.execute(writes.SHORT_LOCKS)
    present = set(await tx.values(writes.PARTITIONS))
    made = []
    since = datetime(now.year, now.month, 1, tzinfo=UTC)
    for _ in range(AHEAD + 1):
        until = _next_month(since)
        name = f"movement_{since:%Y_%m}"
        if name not in present and not await tx.value(writes.STRAYS, {"since": since, "until": until}):
            await tx.execute(writes.make_partition(name))
            await tx.execute(writes.attach_partition(name, since.isoformat(), until.isoformat()))
            made.append(name)
        since = until
    return made


async def close_one(tx: Tx, now: datetime) -> str | None:
    """Close the oldest month that is over and not closed; return its partition's name, or None when all are closed."""
    await tx.execute(writes.LOCK_CARE)
    await tx.execute(writes.SHORT_LOCKS)
    closed = set(await tx.values(writes.CLOSED))
    for name in await tx.values(writes.PARTITIONS):
        match = _NAME.match(name)
        if not match or name in closed:
            continue
        if _next_month(datetime(int(match[1]), int(match[2]), 1, tzinfo=UTC)) + SETTLED > now:
            return None
        await tx.execute(writes.lock_partition(name))
        await tx.execute(writes.sum_partition(name))
        rows, last_id = (await tx.tuples(writes.prove_partition(name)))[0]
        await tx.execute(writes.NOTE_CLOSING, {"partition": name, "rows": rows, "last_id": last_id})
        return str(name)
    return None


def _next_month(month: datetime) -> datetime:
    return (month.replace(day=28) + timedelta(days=4)).replace(day=1)
