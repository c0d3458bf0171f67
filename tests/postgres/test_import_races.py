"""Two people bring the same table at once: the second one finds what the first one wrote, and has nothing to undo."""

import asyncio
from collections.abc import Callable
from io import BytesIO

import pytest
from tests.waiting import waiting

from malha.catalog.imports import ProductImport
from malha.inventory.imports import StockImport
from malha.network import reads as network
from malha.network.imports import LocationImport
from malha.platform.db import Database
from malha.platform.imports import Outcome, Target
from malha.platform.tabular import Row, open_table
from malha.testing.builders import a_network, a_product

TABLES: dict[str, tuple[Callable[[], Target], str, str]] = {
    "products": (
        ProductImport,
        "sku;name;price\nNEW-1;Camisa;10\nNEW-2;Calça;20\n",
        "sku;name\nNEW-2;Calça\nNEW-1;Camisa\n",
    ),
    "stock": (StockImport, "sku;location;on_hand\nA;DC;7\nA;S1;3\n", "sku;location;on_hand\nA;S1;3\nA;DC;7\n"),
    "locations": (
        LocationImport,
        "code;name;establishment;postal_code\nN1;Paulista;SP1;01310-100\nN2;Centro;SP1;01310-100\n",
        "code;name;establishment;postal_code\nN2;Centro;SP1;01310-100\nN1;Paulista;SP1;01310-100\n",
    ),
}


def rows_of(target: Target, text: str) -> list[Row]:
    return list(open_table(BytesIO(text.encode()), target.columns, target.families))


async def other_waits(database: Database) -> None:
    async with asyncio.timeout(60):
        while not await waiting(database):
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("kind", TABLES)
async def test_who_comes_second_changes_nothing(database: Database, kind: str) -> None:
    make, first, second = TABLES[kind]
    async with database.transaction() as tx:
        await a_product(tx, await a_network(tx), "A")

    async def bring(text: str) -> Outcome:
        target = make()
        async with database.transaction() as tx:
            return await target.handle(tx, rows_of(target, text), apply=True, turn=0)

    target = make()
    async with database.transaction() as tx:
        done = await target.handle(tx, rows_of(target, first), apply=True, turn=0)
        also = asyncio.ensure_future(bring(second))
        await other_waits(database)
    again = await also
    assert (done.created, done.changed, done.unchanged) == (2, 0, 0)
    assert (again.created, again.changed, again.unchanged, again.flaws) == (0, 0, 2, {})
    assert again.traces == []


async def test_what_somebody_changes_while_a_table_of_locations_comes_in_is_not_put_back(database: Database) -> None:
    async with database.transaction() as tx:
        await a_network(tx)

    async def bring() -> None:
        target = LocationImport()
        async with database.transaction() as tx:
            await target.handle(tx, rows_of(target, "code;daily_capacity\nS1;5\n"), apply=True, turn=0)

    async with database.transaction() as tx:
        await tx.execute("UPDATE location SET name = 'Another', version = version + 1 WHERE code = 'S1'")
        coming = asyncio.ensure_future(bring())
        await other_waits(database)
    await coming
    async with database.transaction() as tx:
        place = await network.location_by_code(tx, "S1")
    assert place is not None
    assert (place.name, place.daily_capacity) == ("Another", 5)
