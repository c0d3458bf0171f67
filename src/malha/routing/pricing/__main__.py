"""Work prices of stock out, once: a process of its own, started by the worker (`routing.price_process`).

It reads in one transaction, counts without any, and writes in another: no order waits for it. Its database is named by
the environment.
"""

import asyncio
import os

from malha.catalog import reads as catalog
from malha.network import reads as network
from malha.network.tariff import billable_grams
from malha.platform.db import Database
from malha.routing import cost_reads, price_reads, prices
from malha.routing.lanes import compile_network
from malha.routing.pricing.live import Case, work_out

DAYS = 28
MOST_BASKETS = 3000
SOLVER_SECONDS = 20.0


async def price_stock(db: Database, *, seconds: float = SOLVER_SECONDS, seed: int = 0) -> prices.Found:
    """Make prices from what is so, and put them into force if the evidence is for them."""
    async with db.transaction() as tx:
        baskets = await price_reads.past_baskets(tx, DAYS, MOST_BASKETS)
        skus = sorted({sku for basket in baskets for sku in basket.skus})
        free = await price_reads.free_units(tx, skus)
        cards = await catalog.by_ids(tx, skus)
        before = await price_reads.in_force(tx)
        snapshot = await network.snapshot(tx)
        compiled = compile_network(snapshot, await cost_reads.terms(tx, snapshot))
    grams = {v.id: billable_grams(v.weight_grams, v.length_mm, v.width_mm, v.height_mm) for v in cards}
    found = work_out(Case(compiled, baskets, grams, free), before, seconds=seconds, seed=seed)
    async with db.transaction() as tx:
        await prices.keep(tx, found)
    return found


async def _run() -> None:
    async with Database(os.environ["DATABASE_URL"], os.environ["MALHA_RETAILER"], min_size=1, max_size=1) as db:
        await price_stock(db)


if __name__ == "__main__":
    asyncio.run(_run())
