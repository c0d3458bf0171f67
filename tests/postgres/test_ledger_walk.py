"""The file of a ledger says what its pages say, and reads a movement about once however many pages there are."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from row_costs import Counting
from supply_rows import CENTRE, OTHER, SHOP, a_retailer

from malha.inventory import balance_reads
from malha.inventory.balance_reads import LEDGER, LedgerAsked, LedgerWalk, PlacedLine
from malha.platform.db import Database

MOVED = 4_000
PAGE = 100
# Days of movements of one SKU at three locations, most of them at the first; their sums are the balances.
FILL = """
INSERT INTO movement (sku_id, location_id, d_on_hand, reason, recorded_at, occurred_at)
SELECT 1, CASE WHEN n %% 7 = 0 THEN 2 WHEN n %% 50 = 0 THEN 3 ELSE 1 END, (n * 37) %% 11 - 4,
       CASE WHEN n %% 9 = 0 THEN 'count' ELSE 'receipt' END, at, at
FROM generate_series(1, %(n)s::int) n
CROSS JOIN LATERAL (SELECT %(first)s::timestamptz + (n / 3) * interval '1 minute' AS at) w
"""
SUM_UP = """
INSERT INTO balance (sku_id, location_id, on_hand)
SELECT sku_id, location_id, sum(d_on_hand) FROM movement WHERE sku_id = 1 GROUP BY sku_id, location_id
"""
EVERYWHERE = LedgerAsked(sku_id=1, location_ids=(CENTRE, SHOP, OTHER))


@pytest.fixture
async def moved(database: Database) -> Database:
    await a_retailer(database)
    first = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    if datetime.now(UTC) - first < timedelta(days=2):  # the table has a partition for last month's days
        first -= timedelta(days=2)
    async with database.transaction() as tx:
        await tx.execute(FILL, {"n": MOVED, "first": first - timedelta(minutes=MOVED // 3)})
        await tx.execute(SUM_UP)
    return database


async def walked(db: Database, asked: LedgerAsked, size: int = PAGE) -> tuple[list[PlacedLine], list[float]]:
    """Return the movements of a walk, each page in a transaction of its own, and how many rows each page looked at."""
    walk, rows, looked = LedgerWalk(asked, size), list[PlacedLine](), list[float]()
    while not walk.over:
        async with db.transaction() as tx:
            counting = Counting(tx, LEDGER)
            rows += await walk.page(counting)
            looked.append(counting.looked)
    return rows, looked


async def at_once(db: Database, asked: LedgerAsked) -> list[PlacedLine]:
    async with db.snapshot() as tx:
        return await balance_reads.ledger(tx, asked, limit=MOVED * 2)


async def test_the_last_page_of_a_file_costs_what_the_first_one_costs(moved: Database) -> None:
    async with moved.transaction() as tx:
        await tx.execute("ANALYZE movement, balance, location")
    rows, looked = await walked(moved, EVERYWHERE)
    assert len(rows) == MOVED
    assert len(looked) == MOVED // PAGE + 1
    assert max(looked[1:-1]) < 2 * looked[0], "a page looks at as much as any other"
    rows, looked = await walked(moved, EVERYWHERE, size=PAGE * 4)
    assert sum(looked) < 40 * MOVED


@pytest.mark.parametrize("reason", [None, "count"])
@pytest.mark.parametrize("places", [(CENTRE, SHOP, OTHER), (OTHER,)], ids=["everywhere", "at one"])
async def test_a_walk_says_what_one_look_says(moved: Database, reason: str | None, places: tuple[int, ...]) -> None:
    asked = LedgerAsked(sku_id=1, location_ids=places, reason=reason)
    rows, _ = await walked(moved, asked, size=37)
    assert rows == await at_once(moved, asked)
    assert rows


async def test_what_turns_up_meanwhile_among_what_is_young_is_counted(moved: Database) -> None:
    """A transaction that began before others were read is recorded among them."""
    async with moved.transaction() as tx:
        now = await tx.now()

    async def record(seconds: float, units: int) -> None:
        async with moved.transaction() as tx:
            at = {"at": now - timedelta(seconds=seconds), "units": units}
            await tx.execute(
                "INSERT INTO movement (sku_id, location_id, d_on_hand, reason, recorded_at, occurred_at)"
                " VALUES (1, 1, %(units)s, 'receipt', %(at)s, %(at)s)",
                at,
            )
            await tx.execute(
                "UPDATE balance SET on_hand = on_hand + %(units)s WHERE sku_id = 1 AND location_id = 1", at
            )

    chance = random.Random(5)
    for seconds in range(60):
        await record(seconds, chance.randint(1, 9))
    walk = LedgerWalk(EVERYWHERE, 20)
    async with moved.transaction() as tx:
        rows = await walk.page(tx)
    await record(30.5, 100)  # behind the place that the walk has come to
    while not walk.over:
        async with moved.transaction() as tx:
            rows += await walk.page(tx)
    everything = {row.id: row.on_hand for row in await at_once(moved, EVERYWHERE)}
    assert len(rows) == len(everything) == MOVED + 61
    assert {row.id: row.on_hand for row in rows[20:]} == {row.id: everything[row.id] for row in rows[20:]}
