"""The process that works prices of stock out: started, watched and, past its time, killed. Nothing waits for it.

Where it fails, the prices in force are withdrawn: prices of a stock that is gone are worse than none.
"""

import asyncio
import time

import structlog

from malha.platform import jobs
from malha.platform.db import Database
from malha.platform.rounds import Rounds
from malha.platform.sequencer import rest
from malha.routing import price_reads, prices, pricing_wishes
from malha.routing.solving import ask

log = structlog.get_logger(__name__)

EVERY_S = 600.0
FIRST_S = 60.0  # after the start: other things come first
PATIENCE_S = 120.0
MODULE = "malha.routing.pricing"


async def run_prices(db: Database, stop: asyncio.Event, *, wanted: bool) -> None:
    """Renew prices again and again until `stop` is set; where they are not wanted, take them out of force."""
    await rest(stop, FIRST_S if wanted else 0.0)
    rounds = Rounds(log, waits="stock_prices_wait", failed="stock_prices_failed")
    while not stop.is_set():
        with rounds:  # orders are planned by themselves meanwhile
            if not wanted or not await pricing_wishes.is_wanted(db):
                await withdraw(db)
            elif not await _fresh(db):
                await renew(db, stop)
        await rest(stop, EVERY_S)


async def _fresh(db: Database) -> bool:
    """Return whether another worker has just made some."""
    async with db.transaction() as tx:
        return await price_reads.made_within(tx, EVERY_S / 2)


async def renew(
    db: Database, stop: asyncio.Event | None = None, *, patience_s: float = PATIENCE_S, module: str = MODULE
) -> bool:
    """Have prices worked out anew; return whether it was done.

    A failure withdraws the prices in force, and is kept. When `stop` is set meanwhile, the process is killed and
    nothing is changed.
    """
    began = time.perf_counter()
    await pricing_wishes.begin(db)
    answer = await ask(module, db, stop, patience_s=patience_s)
    if answer.stopped:
        await pricing_wishes.leave(db)
        return False
    if answer.why is not None:
        log.warning("stock_prices_failed", said=answer.why)
        async with db.transaction() as tx:
            await prices.keep(tx, prices.failure(answer.why, time.perf_counter() - began))
    await pricing_wishes.end(db)
    return answer.why is None


@jobs.task("routing.price_stock", attempts=1)
async def price_now(db: Database) -> None:
    """Work prices out because a person asked; nothing where a run that began since has done so."""
    if await pricing_wishes.is_asked(db):
        await renew(db)


async def withdraw(db: Database) -> None:
    """Take prices of stock out of force."""
    async with db.transaction() as tx:
        if await prices.withdraw(tx):
            log.info("stock_prices_withdrawn")
