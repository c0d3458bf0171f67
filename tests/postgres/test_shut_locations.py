"""Locations that stop taking work while orders wait to be released there: other places, waiting, or a person."""

from datetime import UTC, datetime, timedelta

import pytest

from malha.flows import order_to_cash
from malha.fulfillment import service, shut
from malha.fulfillment.errors import LocationShut
from malha.inventory import reads as stock
from malha.network import service as network
from malha.network.model import LocationStatus
from malha.ordering import service as ordering
from malha.ordering.model import HoldKind
from malha.platform.db import Database
from malha.platform.ids import UUID
from malha.testing.builders import Sold, World, a_network, a_product, an_order

LATER = timedelta(days=3)


@pytest.fixture
async def world(database: Database) -> World:
    async with database.transaction() as tx:
        return await a_network(tx)


async def an_order_at(database: Database, world: World, code: str, stock_: dict[str, int], **options: object) -> UUID:
    """Write an order of one new SKU whose two units are claimed at a location, due for release."""
    async with database.transaction() as tx:
        sku = await a_product(tx, world, f"CUP-{code}-{len(stock_)}", stock=stock_)
        return await an_order(tx, world, [Sold(sku, 2, at=code)], **options)  # type: ignore[arg-type]


async def shuts(database: Database, code: str, status: LocationStatus, until: datetime | None = None) -> None:
    async with database.transaction() as tx:
        await network.set_location_status(tx, code, status, reason="Flood", until=until)


async def work_at(database: Database) -> list[str]:
    async with database.transaction() as tx:
        return await tx.values(
            "SELECT l.code FROM fulfillment_order f JOIN location l ON l.id = f.location_id ORDER BY f.number"
        )


async def units(database: Database, order_id: UUID) -> list[tuple[str, str | None, int]]:
    async with database.transaction() as tx:
        return await tx.tuples(
            "SELECT u.state, l.code, u.quantity FROM order_unit u LEFT JOIN location l ON l.id = u.location_id "
            "WHERE u.order_id = %s ORDER BY u.line, u.part",
            (order_id,),
        )


async def holds(database: Database, order_id: UUID) -> set[HoldKind]:
    async with database.transaction() as tx:
        return set((await ordering.open_holds(tx, [order_id]))[order_id])


@pytest.mark.parametrize("status", [LocationStatus.CLOSED, LocationStatus.PAUSED])
async def test_what_waited_to_be_released_at_a_location_that_stops_goes_from_another(
    database: Database, world: World, status: LocationStatus
):
    order_id = await an_order_at(database, world, "DC", {"DC": 5, "S2": 5})
    await shuts(database, "DC", status)
    await order_to_cash.release_due(database)
    assert await work_at(database) == ["S2"]
    assert await units(database, order_id) == [("released", "S2", 2)]
    async with database.transaction() as tx:
        sku = await tx.value("SELECT sku_id FROM order_unit WHERE order_id = %s", (order_id,))
        free = {a.location_id: (a.on_hand, a.allocated) for a in await stock.availability(tx, [sku])}
    assert free == {world.locations["DC"]: (5, 0), world.locations["S2"]: (5, 2)}


async def test_what_only_a_closed_location_has_is_short_and_a_person_is_told(database: Database, world: World):
    order_id = await an_order_at(database, world, "DC", {"DC": 5})
    await shuts(database, "DC", LocationStatus.CLOSED)
    await order_to_cash.release_due(database)
    assert await work_at(database) == []
    assert await units(database, order_id) == [("unplaced", None, 2)]
    assert await holds(database, order_id) == {HoldKind.SHORTAGE}
    await shuts(database, "DC", LocationStatus.ACTIVE)  # it was a mistake
    async with database.transaction() as tx:
        assert await order_to_cash.try_again(tx, order_id)
    await order_to_cash.release_due(database)
    assert await work_at(database) == ["DC"]


async def test_what_only_a_paused_location_has_keeps_its_units_and_waits_for_it(database: Database, world: World):
    order_id = await an_order_at(database, world, "DC", {"DC": 2})
    await shuts(database, "DC", LocationStatus.PAUSED)
    await order_to_cash.release_due(database)
    assert await work_at(database) == []
    assert await units(database, order_id) == [("allocated", "DC", 2)]
    assert await holds(database, order_id) == set()
    async with database.transaction() as tx:
        assert await shut.due(tx) == []  # it is looked at again in some minutes, and is in nobody's way
        attempts = await tx.value("SELECT count(*) FROM routing_decision WHERE order_id = %s", (order_id,))
        await tx.execute("UPDATE sales_order SET release_after = now()")
    assert attempts == 0  # what was tried in vain is not on record
    await shuts(database, "DC", LocationStatus.ACTIVE)
    await order_to_cash.release_due(database)
    assert await work_at(database) == ["DC"]


async def test_a_pause_that_costs_no_day_is_waited_for(database: Database, world: World):
    order_id = await an_order_at(database, world, "DC", {"DC": 5, "S2": 5})
    async with database.transaction() as tx:
        await tx.execute(
            "INSERT INTO location_closure (location_id, day, reason) SELECT %s, current_date + n, 'works' "
            "FROM generate_series(-1, 4) AS n",
            (world.locations["DC"],),
        )
    await shuts(database, "DC", LocationStatus.PAUSED, datetime.now(UTC) + timedelta(days=2))
    await order_to_cash.release_due(database)
    assert await work_at(database) == []
    assert await units(database, order_id) == [("allocated", "DC", 2)]


async def test_a_pause_that_costs_days_is_not(database: Database, world: World):
    order_id = await an_order_at(database, world, "DC", {"DC": 5, "S2": 5})
    await shuts(database, "DC", LocationStatus.PAUSED, datetime.now(UTC) + LATER)
    await order_to_cash.release_due(database)
    assert await units(database, order_id) == [("released", "S2", 2)]


async def test_the_part_at_a_location_that_works_goes_while_the_rest_waits_for_a_paused_one(
    database: Database, world: World
):
    async with database.transaction() as tx:
        cup = await a_product(tx, world, "CUP", stock={"DC": 2})
        pot = await a_product(tx, world, "POT", stock={"S1": 2})
        order_id = await an_order(tx, world, [Sold(cup, 1, at="DC"), Sold(pot, 1, at="S1")])
    await shuts(database, "DC", LocationStatus.PAUSED)
    await order_to_cash.release_due(database)
    assert await work_at(database) == ["S1"]
    assert await units(database, order_id) == [("allocated", "DC", 1), ("released", "S1", 1)]


async def test_goods_that_are_to_be_fetched_at_a_closed_store_are_short(database: Database, world: World):
    order_id = await an_order_at(database, world, "S1", {"S1": 2, "DC": 5}, method="pickup", pickup_at="S1")
    await shuts(database, "S1", LocationStatus.CLOSED)
    await order_to_cash.release_due(database)
    assert await work_at(database) == []
    assert await holds(database, order_id) == {HoldKind.SHORTAGE}


async def test_a_person_releases_to_a_paused_location_and_not_to_a_closed_one(database: Database, world: World):
    first = await an_order_at(database, world, "DC", {"DC": 5})
    await shuts(database, "DC", LocationStatus.PAUSED)
    async with database.transaction() as tx:
        assert len(await service.release_order(tx, first)) == 1
    second = await an_order_at(database, world, "DC", {"DC": 5, "S2": 0})
    await shuts(database, "DC", LocationStatus.CLOSED)
    with pytest.raises(LocationShut):
        async with database.transaction() as tx:
            await service.release_order(tx, second)


async def test_history_is_released_where_it_was_whatever_became_of_the_location(database: Database, world: World):
    order_id = await an_order_at(database, world, "DC", {"DC": 5})
    await shuts(database, "DC", LocationStatus.CLOSED)
    async with database.transaction() as tx:
        done = await service.release(tx, [order_id], at=await tx.now())
    assert [w.order_id for w in done.work] == [order_id]


async def test_orders_on_hold_and_those_of_a_window_to_come_are_left_where_they_are(database: Database, world: World):
    held = await an_order_at(database, world, "DC", {"DC": 5, "S2": 5}, holds=[HoldKind.FRAUD])
    later = await an_order_at(database, world, "DC", {"DC": 5, "S2": 5, "S1": 0})
    async with database.transaction() as tx:
        await tx.execute("UPDATE sales_order SET release_after = now() + interval '1 hour' WHERE id = %s", (later,))
    await shuts(database, "DC", LocationStatus.CLOSED)
    assert await order_to_cash.leave_shut(database) == 0
    for order_id in (held, later):
        async with database.transaction() as tx:
            assert not await shut.leave(tx, order_id)
        assert await units(database, order_id) == [("allocated", "DC", 2)]
