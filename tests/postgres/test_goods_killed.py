"""A process that carries a transfer or applies a count dies anywhere: the next one goes on, and nothing is done twice."""

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from supply_rows import ANA, CENTRE, LEAD, OTHER, SHOP, SKUS, a_retailer, there
from tests.waiting import doomed, gone

from malha.doctor import examine
from malha.inventory.counts import reads as count_reads
from malha.inventory.counts import service as counts
from malha.inventory.counts.model import CountDraft, Entry, Limits
from malha.inventory.transfers import reads, service
from malha.inventory.transfers.model import TransferDraft
from malha.platform.db import Database

WORKER = Path(__file__).with_name("goods_worker.py")
UNITS = 10
KILLS = 6


async def kill_in_the_middle(shop: Database, what: str, number: int, chance: random.Random) -> bool:
    """Run the worker and kill it at a moment of chance; return whether it was still at work."""
    command = [sys.executable, str(WORKER), shop.url, what, str(number)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=doomed())
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(chance.uniform(0, 0.12))
    alive = process.poll() is None
    process.kill()
    process.wait()
    process.stdout.close()
    await gone(shop)
    return alive


def finish(url: str, what: str, number: int) -> None:
    subprocess.run([sys.executable, str(WORKER), url, what, str(number)], check=True, timeout=60)


@pytest.fixture
async def shop(database: Database) -> Database:
    return await a_retailer(database, units=UNITS)


async def test_a_transfer_survives_the_death_of_whoever_carries_it(shop: Database) -> None:
    chance = random.Random(26112026)
    killed = 0
    for _ in range(KILLS):
        async with shop.transaction(LEAD) as tx:
            draft = TransferDraft(origin_id=CENTRE, destination_id=SHOP, lines=[(sku, 1) for sku in SKUS])
            number = await service.request(tx, draft)
        killed += await kill_in_the_middle(shop, "transfer", number, chance)
        assert (await examine(shop)).drift == 0
        finish(shop.url, "transfer", number)
        async with shop.snapshot() as tx:
            found = await reads.transfer(tx, number)
            assert found is not None
            assert found.state == "closed"
            assert [one.shipped for one in await reads.shipments(tx, found.id)] == [2, 2]
    assert killed, "no process was at work when it was killed: the test is too slow to mean anything"
    async with shop.snapshot() as tx:
        for sku in SKUS:
            assert await there(tx, sku, CENTRE) == {"sellable": UNITS - KILLS}
            assert await there(tx, sku, SHOP) == {"sellable": UNITS + KILLS}
            assert await there(tx, sku, OTHER) == {"sellable": UNITS}
    assert (await examine(shop)).drift == 0


async def test_a_count_is_applied_once_however_often_its_process_dies(shop: Database) -> None:
    chance = random.Random(112026)
    async with shop.transaction() as tx:
        await tx.execute(
            "INSERT INTO variant (product_id, sku, name) SELECT 1, 'X' || n, 'X' FROM generate_series(1, 60) n"
        )
        more = await tx.values("SELECT id FROM variant WHERE sku LIKE 'X%%' ORDER BY id")
    skus = [*SKUS, *more]
    async with shop.transaction(LEAD) as tx:
        draft = CountDraft(location_id=SHOP, skus=skus, limits=Limits(units=99))
        number = await counts.raise_count(tx, draft)
    async with shop.transaction(ANA) as tx:
        await tx.execute("UPDATE variant SET price = NULL")
        await counts.enter(tx, number, [Entry(sku, 13) for sku in skus], {})
        await tx.execute("UPDATE count_task SET state = 'applying'")  # as a close leaves a large count to its job
    killed = sum([await kill_in_the_middle(shop, "count", number, chance) for _ in range(KILLS)])
    assert killed
    assert (await examine(shop)).drift == 0
    finish(shop.url, "count", number)
    async with shop.snapshot() as tx:
        assert [(await there(tx, sku, SHOP)) for sku in skus] == [{"sellable": 13}] * len(skus)
        written = await tx.values("SELECT count(*)::int FROM movement WHERE reason = 'count' GROUP BY sku_id")
        assert written == [1] * len(skus)
        task = await count_reads.task(tx, number)
        assert task is not None
        assert task.state == "applied"
    assert (await examine(shop)).drift == 0
