"""All promises that slip, made anew in the background because a person said so: each order in its own transaction."""

import structlog
from psycopg.errors import DeadlockDetected

from malha.fulfillment import slip_reads as reads
from malha.fulfillment import slipping
from malha.platform import jobs
from malha.platform.db import Database, Tx
from malha.platform.errors import Busy
from malha.promising.slipping import Slip

log = structlog.get_logger(__name__)

AT_ONCE = 200


async def promise_all_soon(tx: Tx, reason: Slip | None) -> None:
    """Have all orders that slip, or those of a reason, promised anew after the commit."""
    await jobs.defer(tx, promise_all, reason=None if reason is None else reason.value)


@jobs.task("promises.promise_slipping", attempts=5)
async def promise_all(db: Database, *, reason: str | None) -> None:
    """Promise what slips anew, the soonest first; what somebody has in hand, or has no day, is left."""
    told, after = 0, None
    while True:
        async with db.transaction() as tx:
            wanted = None if reason is None else Slip(reason)
            rows = await reads.slipping(tx, scope=None, reason=wanted, after=after, most=AT_ONCE)
        for row in rows:
            try:
                async with db.transaction() as tx:
                    told += await slipping.promise_anew(tx, row.order_id) is not None
            except (Busy, DeadlockDetected) as error:
                log.info("promise_left", order=str(row.order_id), why=str(error))
        if len(rows) < AT_ONCE:
            break
        after = rows[-1].promised_at, rows[-1].order_id
    log.info("promises_made_anew", told=told)
