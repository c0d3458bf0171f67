"""Units that come packed from the database are those of the balances, whichever places are wanted."""

import random

import pytest

from malha.inventory import atp
from malha.platform.db import Database, Tx
from malha.testing.builders import a_network, a_product

SKUS, PLACES = range(1, 13), range(1, 61)  # ids of an empty retailer's first ones
MOST = 2**31 - 1  # what the columns hold
NETWORK = """
INSERT INTO location (code, name, kind, establishment_id, state)
SELECT 'X' || n, 'X', 'store', 1, 'SP' FROM generate_series(1, 60) n
"""
VARIANTS = """
INSERT INTO variant (product_id, sku, name, weight_grams)
SELECT (SELECT min(id) FROM product), 'N' || n, 'N', 100 FROM generate_series(1, 12) n
"""
FILL = """
INSERT INTO balance (sku_id, location_id, on_hand, allocated, held, safety)
SELECT * FROM unnest(%(skus)s::int[], %(places)s::int[], %(on_hand)s::int[], %(allocated)s::int[], %(held)s::int[],
                     %(safety)s::int[])
"""
PLAIN = """
SELECT sku_id, location_id, on_hand - allocated - held - safety - fenced FROM balance WHERE sku_id = ANY (%(skus)s)
"""


async def fill(tx: Tx) -> None:
    """SKU 1 everywhere, 2 nowhere, 3 at the ends of what there may be, others here and there, in any order."""
    world = await a_network(tx)
    await a_product(tx, world, "FIRST")
    await tx.execute(NETWORK)
    await tx.execute(VARIANTS)
    rng = random.Random(7)
    wanted = [(1, place) for place in PLACES]
    wanted += [(sku, place) for sku in range(4, 12) for place in PLACES if rng.random() < 0.7]
    rng.shuffle(wanted)
    rows = [(*pair, rng.randint(-5, 90), *(rng.choice((0, 0, 3)) for _ in range(3))) for pair in wanted]
    rows += [(3, 5, MOST, 0, 0, 0), (3, 6, -MOST, 0, 0, 0), (3, 7, 0, 0, 0, 0)]
    names = ("skus", "places", "on_hand", "allocated", "held", "safety")
    await tx.execute(FILL, dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))


@pytest.mark.parametrize("places", [list(PLACES), list(PLACES)[::-1], [7, 40, 5, 6], []], ids=len)
async def test_columns_say_what_the_balances_say_one_by_one(database: Database, places: list[int]) -> None:
    skus = list(SKUS)
    position = {place: n for n, place in enumerate(places)}
    async with database.transaction() as tx:
        await fill(tx)
        expected = {sku: [0] * len(places) for sku in skus}
        for sku, place, units in await tx.tuples(PLAIN, {"skus": skus}):
            if place in position:
                expected[sku][position[place]] = units
        for everywhere in (True, False):
            async with tx.pipeline():
                asked = await atp.ask(tx, skus, places, 1, everywhere=everywhere)
                rows = await asked.common.fetchall()
            assert atp.columns(rows, skus, position) == expected
        async with tx.pipeline():
            rows = await (await atp.ask_common(tx, skus)).common.fetchall()
        assert atp.columns(rows, skus, position) == expected
