"""The process that works prices of stock out: started, watched and, past its time, killed. Nothing waits for it.

Where it fails, the prices in force are withdrawn: prices of a stock that is gone are worse than none.
"""

import asyncio

import structlog
from psycopg import OperationalError
from psycopg_pool import PoolTimeout

from malha.platform.db import Database
from malha.platform.sequencer import rest
from malha.routing import price_reads, prices
from malha.routing.solving import ask

log = structlog.get_logger(__name__)

EVERY_S = 600.0
FIRST_S = 60.0  # after the start: other things come first
PATIENCE_S = 120.0
MODULE = "malha.routing.pricing"


async def run_prices(db: Database, stop: asyncio.Event, *, wanted: bool) -> None:
    """Renew prices again and again until `stop` is set; where they are not wanted, take them out of force."""
    await rest(stop, FIRST_S if wanted else 0.0)
    while not stop.is_set():
        try:
            if not wanted:
                await withdraw(db)
            elif not await _fresh(db):
                await renew(db, stop)
        except (OperationalError, PoolTimeout) as error:  # the database is away: it will be back
            log.warning("stock_prices_wait", error=str(error))
        except Exception:  # orders are planned by themselves meanwhile
            log.exception("stock_prices_failed")
        await rest(stop, EVERY_S)


async def _fresh(db: Database) -> bool:
    """Return whether another worker has just made some."""
    async with db.transaction() as tx:
        return await price_reads.made_within(tx, EVERY_S / 2)


async def renew(
    db: Database, stop: asyncio.Event | None = None, *, patience_s: float = PATIENCE_S, module: str = MODULE
) -> bool:
    """Have prices worked out anew; return whether it was done.

    A failure withdraws the prices in force. When `stop` is set meanwhile, the process is killed and nothing is changed.
    """
    answer = await ask(module, db, stop, patience_s=patience_s)
    if answer.why is None:
        return True
    if answer.stopped:
        return False
    log.warning("stock_prices_failed", said=answer.why)
    await withdraw(db)
    return False


async def withdraw(db: Database) -> None:
    """Take prices of stock out of force."""
    async with db.transaction() as tx:
        if await prices.withdraw(tx):
            log.info("stock_prices_withdrawn")
