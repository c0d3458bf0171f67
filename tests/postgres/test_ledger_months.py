"""A month's partition that is made while movements are written: nobody is told that the change contradicts anything."""

import asyncio

import pytest

from malha.cli.runtime import migrated
from malha.intake.gate import Gate
from malha.intake.model import NewLine, NewOrder, Placed
from malha.inventory import closing
from malha.inventory import service as inventory
from malha.inventory.model import Claim, Reference
from malha.platform.db import Database
from malha.platform.errors import Busy
from malha.platform.settings import Settings
from malha.testing.builders import a_network, a_product

WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'movement_default'::regclass"


async def until_it_waits(database: Database) -> None:
    for _ in range(200):
        async with database.transaction() as tx:
            if await tx.value(WAITING):
                return
        await asyncio.sleep(0.05)
    raise AssertionError("nobody waits for the default partition")


async def test_a_movement_that_was_on_its_way_is_sent_again_not_refused(database: Database) -> None:
    async with database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "CUP")

    async def receive() -> None:
        async with database.transaction() as tx:
            await inventory.receive(tx, [Claim(sku, world.locations["DC"], 5)], Reference("receipt"))

    async with database.transaction() as tx:
        assert await closing.make_months(tx, await tx.now())
        late = asyncio.create_task(receive())
        await until_it_waits(database)
    with pytest.raises(Busy):
        await late
    await receive()
    async with database.transaction() as tx:
        assert await tx.value("SELECT sum(d_on_hand) FROM movement") == 5
        assert await tx.value("SELECT count(*) FROM movement_default") == 0


async def test_an_order_that_was_on_its_way_is_taken(database: Database) -> None:
    async with database.transaction() as tx:
        world = await a_network(tx, policy="not_required")
        await a_product(tx, world, "CUP", stock={"DC": 5})
        # Of another month, so that this one can still have a partition.
        await tx.execute("UPDATE movement SET recorded_at = recorded_at - interval '70 days'")
    gate = Gate(database)
    await gate.open()
    line = NewLine(sku="CUP", quantity=1, unit_price=1000)
    order = NewOrder(channel="till", external_id="O1", method="pickup", pickup_location="DC", lines=[line])
    try:
        async with database.transaction() as tx:
            assert await closing.make_months(tx, await tx.now())
            late = asyncio.ensure_future(gate.enqueue(order))
            await until_it_waits(database)
        assert isinstance(await late, Placed)
    finally:
        await gate.close()
    async with database.transaction() as tx:
        assert await tx.value("SELECT sum(d_allocated) FROM movement") == 1


async def test_a_start_makes_the_months_before_anybody_writes(database: Database) -> None:
    await migrated(Settings(database_url=database.url, retailer=database.retailer))
    async with database.transaction() as tx:
        assert await closing.make_months(tx, await tx.now()) == []
        assert await tx.value("SELECT count(*) FROM pg_inherits WHERE inhparent = 'movement'::regclass") == 5


async def test_a_start_beside_somebody_who_writes_goes_on_without_them(database: Database) -> None:
    async with database.transaction() as tx:
        await tx.execute("LOCK TABLE movement_default IN ROW EXCLUSIVE MODE")
        await migrated(Settings(database_url=database.url, retailer=database.retailer))
        assert await tx.value("SELECT count(*) FROM pg_inherits WHERE inhparent = 'movement'::regclass") == 1
