"""Plan the held orders as one wave and print what should move: a process of its own, which writes nothing.

Its database is named by the environment, its argument is the least saving in centavos. Killed at any time, it leaves
everything as it was: the worker moves orders, under their locks.
"""

import asyncio
import os
import sys

import msgspec

from malha.catalog import reads as catalog
from malha.catalog import trait_reads
from malha.network import reads as network
from malha.network.tariff import billable_grams
from malha.platform.db import Database
from malha.routing import cost_reads, price_reads, wave_reads
from malha.routing.lanes import compile_network
from malha.routing.pricing.held import propose
from malha.routing.wave_model import Proposed

MOST_ORDERS = 250
MOST_LINES = 5
MARGIN_S = 30.0  # orders that are released sooner stay
SOLVER_SECONDS = 10.0


async def plan_held(db: Database, *, least: int, seconds: float = SOLVER_SECONDS) -> Proposed:
    """Return which held orders should move, by what is so at one moment."""
    async with db.snapshot() as tx:
        orders = await wave_reads.held(tx, most=MOST_ORDERS, lines=MOST_LINES, margin_s=MARGIN_S)
        skus = sorted({sku for order in orders for sku in order.skus})
        free = await price_reads.free_units(tx, skus)
        cards = await catalog.by_ids(tx, skus)
        prices = await price_reads.in_force(tx)
        snapshot = await network.snapshot(tx)
        compiled = compile_network(snapshot, await cost_reads.terms(tx, snapshot))
        kinds = await trait_reads.traits(tx, skus) if compiled.terms.asks_goods else {}
    grams = {v.id: billable_grams(v.weight_grams, v.length_mm, v.width_mm, v.height_mm) for v in cards}
    return propose(orders, compiled, grams, free, prices, least=least, seconds=seconds, kinds=kinds)


async def _run() -> None:
    answer = os.dup(1)
    os.dup2(2, 1)  # the answer is alone on standard output, whatever a library says there
    async with Database(os.environ["DATABASE_URL"], os.environ["MALHA_RETAILER"], min_size=1, max_size=1) as db:
        found = await plan_held(db, least=int(sys.argv[1]))
    left = memoryview(msgspec.json.encode(found))
    while left:
        left = left[os.write(answer, left) :]


if __name__ == "__main__":
    asyncio.run(_run())
