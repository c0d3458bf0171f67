"""Orders that wait for a place are tried again when something else than stock changed; those for a person are not."""

import asyncio
from datetime import UTC, datetime

import pytest

from malha.flows import order_to_cash, retrying
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.fulfillment import giving_back, short_reads, shortfalls
from malha.fulfillment import reads as jobs
from malha.fulfillment import service as fulfillment
from malha.fulfillment.model import RejectReason
from malha.intake import replanning
from malha.network import service as network
from malha.ordering import service as ordering
from malha.ordering.model import HoldKind
from malha.platform.db import Database
from malha.platform.ids import UUID
from malha.platform.subscribers import drain
from malha.routing import reads as routing_reads
from malha.testing.builders import Sold, a_network, a_product, an_order


class Shop:
    """DC has cups and takes no work now: orders for them wait."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.retries = retrying.Retries()

    async def open(self, *, stock: int = 20) -> None:
        async with self.database.transaction() as tx:
            self.world = await a_network(tx)
            self.cup = await a_product(tx, self.world, "CUP", stock={"DC": stock})
            await network.pause_locations(tx, ["DC"], "Inventário")

    async def waits(self) -> UUID:
        async with self.database.transaction() as tx:
            lines = [Sold(self.cup, at=None)]
            return await an_order(tx, self.world, lines, channel="mall", holds=[HoldKind.SHORTAGE])

    async def sweep(self) -> int:
        """Return how many orders found a place."""
        return sum([placed async for placed in self.retries.sweep(self.database)][-1:])

    async def place_of(self, order_id: UUID) -> str | None:
        async with self.database.transaction() as tx:
            (unit,) = (await ordering.units_of(tx, [order_id]))[order_id]
        return next((code for code, id_ in self.world.locations.items() if id_ == unit.location_id), None)

    async def holds(self, order_id: UUID) -> set[HoldKind]:
        async with self.database.transaction() as tx:
            return set((await ordering.open_holds(tx, [order_id]))[order_id])


@pytest.fixture
async def shop(database: Database, examined: None) -> Shop:
    made = Shop(database)
    await made.open()
    return made


async def resume(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        await network.resume_locations(tx, ["DC"])


async def test_a_location_that_takes_work_again_gets_the_orders_that_waited_the_oldest_first(shop):
    orders = [await shop.waits() for _ in range(3)]
    assert await shop.sweep() == 0
    assert [await shop.place_of(order_id) for order_id in orders] == [None] * 3
    await resume(shop)
    assert await shop.sweep() == 3
    for order_id in orders:
        assert await shop.place_of(order_id) == "DC"
        assert await shop.holds(order_id) == set()


async def test_nothing_is_tried_while_nothing_changed(shop, monkeypatch):
    await shop.sweep()
    tried = []
    monkeypatch.setattr(retrying, "_try", lambda _db, order_id: tried.append(order_id))
    await shop.waits()
    assert await shop.sweep() == 0
    assert tried == []


async def test_more_capacity_and_a_new_rule_are_changes_and_so_is_an_hour(shop):
    async with shop.database.transaction() as tx:
        before = await retrying.known_now(tx)
        await tx.execute("UPDATE location SET daily_capacity = 5 WHERE code = 'DC'")
        await tx.execute("INSERT INTO revision (name, n) VALUES ('network', 1)"
                         " ON CONFLICT (name) DO UPDATE SET n = revision.n + 1")  # fmt: skip
        network_changed = await retrying.known_now(tx)
        await tx.execute("INSERT INTO revision (name, n) VALUES ('capacity', 1)"
                         " ON CONFLICT (name) DO UPDATE SET n = revision.n + 1")  # fmt: skip
        capacity_changed = await retrying.known_now(tx)
        hour = int((await tx.now()).timestamp()) // 3600
    assert len({before, network_changed, capacity_changed}) == 3
    assert before[-1] == hour
    assert datetime.fromtimestamp(hour * 3600, UTC).minute == 0


async def test_a_sweep_goes_on_past_orders_that_fail_and_pages_through_many(shop, monkeypatch):
    monkeypatch.setattr(retrying, "AT_ONCE", 2)
    orders = [await shop.waits() for _ in range(5)]
    await resume(shop)
    real = replanning.place_units

    async def fails(tx, order_id, *args, **more):
        if order_id == orders[1]:
            raise RuntimeError("lost")
        return await real(tx, order_id, *args, **more)

    monkeypatch.setattr(replanning, "place_units", fails)
    assert await shop.sweep() == 4
    assert [await shop.place_of(order_id) for order_id in orders] == ["DC", None, "DC", "DC", "DC"]


async def test_two_workers_that_sweep_at_once_place_every_order_once(database, examined):
    shop = Shop(database)
    await shop.open(stock=4)
    orders = [await shop.waits() for _ in range(6)]
    await resume(shop)

    async def sweep() -> None:
        async for _ in retrying.Retries().sweep(database):
            pass

    await asyncio.gather(sweep(), sweep(), sweep())
    places = [await shop.place_of(order_id) for order_id in orders]
    assert places.count("DC") == 4
    assert places.count(None) == 2


# --- the cap of decisions ---


async def settled(database: Database) -> None:
    """Digest every event and run the jobs that were deferred for orders."""
    await drain(database, SUBSCRIPTIONS)
    async with database.transaction() as tx:
        jobs = await tx.values(
            "SELECT args->>'order_id' FROM malha_jobs.procrastinate_jobs"
            " WHERE status = 'todo' AND task_name = 'orders.place_waiting' ORDER BY id"
        )
        await tx.execute("UPDATE malha_jobs.procrastinate_jobs SET status = 'succeeded'")
    for order_id in jobs:
        await order_to_cash.place_waiting.work(database, order_id=order_id)
    await drain(database, SUBSCRIPTIONS)


@pytest.fixture
async def given_back(database: Database, examined: None) -> tuple[Database, UUID]:
    """An order that two of three locations gave back for reasons that leave their stock: nobody may ask the third."""
    async with database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "CUP", stock={"DC": 5, "S1": 5, "S2": 5})
        order_id = await an_order(tx, world, [Sold(sku)], channel="mall")
        policy = await short_reads.policy(tx)
        await shortfalls.change_policy(tx, 1, policy.version)
        await fulfillment.release_order(tx, order_id)
    for _ in range(2):  # what one gives back goes on to the next at once
        async with database.transaction() as tx:
            if not await _waits(tx, order_id):
                (work,) = [one.id for one in await jobs.of_order(tx, order_id) if one.state == "open"]
                await fulfillment.reject(tx, work, RejectReason.STORE_CLOSED)
        await settled(database)
    return database, order_id


async def _waits(tx, order_id: UUID) -> bool:
    return HoldKind.SHORTAGE in (await ordering.open_holds(tx, [order_id]))[order_id]


async def test_what_a_rejection_gives_back_is_not_a_reason_to_ask_once_more_than_the_retailer_lets(given_back):
    database, order_id = given_back
    retries = retrying.Retries()
    assert [placed async for placed in retries.sweep(database)] == [0]
    async with database.transaction() as tx:
        assert await giving_back.awaiting_a_person(tx, [order_id]) == {order_id}
        assert await routing_reads.attempts(tx, order_id) <= 1
        (unit,) = (await ordering.units_of(tx, [order_id]))[order_id]
        assert unit.location_id is None
        (short,) = await short_reads.short_orders(tx)
        assert short.order_id == order_id


async def test_a_person_may_still_place_it_and_a_higher_cap_lets_it_go_on(given_back):
    database, order_id = given_back
    async with database.transaction() as tx:
        await shortfalls.change_policy(tx, 5, (await short_reads.policy(tx)).version)
        assert not await giving_back.awaiting_a_person(tx, [order_id])
    assert [placed async for placed in retrying.Retries().sweep(database)] == [1]
    async with database.transaction() as tx:
        assert not await _waits(tx, order_id)
