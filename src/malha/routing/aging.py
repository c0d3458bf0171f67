"""Keeping ages of stock as fresh as credits for it need: once a day, while somebody sets or drafts such a credit."""

from collections.abc import AsyncGenerator

import structlog

from malha.inventory import age_reads, ages
from malha.network import reads as network
from malha.platform import revisions
from malha.platform.db import Database
from malha.routing import cost_reads

log = structlog.get_logger(__name__)

EVERY_S = 20 * 3600.0


async def renew(db: Database) -> AsyncGenerator[None, None]:
    """Work ages out anew where they are most of a day old, in pieces after which the caller rests.

    Planning follows once all are known. Killed, it begins again.
    """
    async with db.transaction() as tx:
        if not await cost_reads.asks_ages(tx) or await age_reads.stands(tx, EVERY_S):
            return
        at = await tx.now()
    last: tuple[int, int] | None = None
    pieces = 0
    while True:
        async with db.transaction() as tx:
            last = await ages.work_out(tx, at, last)
        if last is None:
            break
        pieces += 1
        yield
    async with db.transaction() as tx:
        await ages.forget_before(tx, at)
        await revisions.bump(tx, network.REVISION)
    log.info("stock_ages_worked_out", pieces=pieces)
