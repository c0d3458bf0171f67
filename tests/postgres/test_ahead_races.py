"""Many connections want the last units of stock and supply, while goods come, days move and orders are cancelled."""

import asyncio
import random
from contextlib import AsyncExitStack, suppress

import psycopg
import pytest
from ahead_world import a_shop
from tests.waiting import waiting

from malha.doctor import examine
from malha.flows import order_to_cash
from malha.fulfillment import service as fulfillment
from malha.intake import substituting
from malha.intake.errors import OutOfStock
from malha.intake.gate import Gate
from malha.intake.model import NewOrder, Placed
from malha.inventory import service as stock
from malha.inventory.allotments import service as allotments
from malha.inventory.allotments.model import AllotmentDraft, Kind
from malha.inventory.model import Claim, Reference
from malha.inventory.supply import service as supply
from malha.inventory.supply.model import ReceiptDraft, ReceivedLine
from malha.ordering.model import CancelWish
from malha.platform.db import Database
from malha.platform.errors import Busy, MalhaError
from malha.platform.ids import UUID, new_id
from malha.testing.builders import a_product, in_days

CONNECTIONS = 32
SOLD = """
SELECT coalesce(sum(quantity) FILTER (WHERE state <> 'cancelled'), 0)::int,
       coalesce(sum(quantity) FILTER (WHERE state = 'backordered'), 0)::int
FROM order_unit
"""


async def drift(database: Database) -> list[str]:
    return [x for f in (await examine(database)).findings if f.drifts for x in f.lines("en")]


async def buy(url: str, orders: list[NewOrder], gates: int = CONNECTIONS) -> list[Placed | MalhaError]:
    """Send orders through as many gates, each with a connection of its own."""
    async with AsyncExitStack() as stack:
        opened = [
            Gate(await stack.enter_async_context(Database(url, max_size=1)), max_batch=2, gather_s=0)
            for _ in range(gates)
        ]
        results = await asyncio.gather(*(opened[n % gates].enqueue(order) for n, order in enumerate(orders)))
        for gate in opened:
            await gate.close()
    return list(results)


async def test_thirty_two_connections_never_sell_more_than_is_there_and_expected(database: Database) -> None:
    shop = await a_shop(database, stock=7)
    await shop.allow()
    await shop.order_goods(11, 5)
    await shop.order_goods(9, 9)
    results = await buy(database.url, [shop.bought(1) for _ in range(96)])
    assert sum(isinstance(r, Placed) for r in results) == 27
    assert {type(r) for r in results} == {Placed, OutOfStock}
    async with database.snapshot() as tx:
        assert (await tx.tuples(SOLD))[0] == (27, 20)
    assert await shop.free() == 0
    assert await drift(database) == []


async def test_the_cap_of_units_that_wait_holds_between_connections(database: Database) -> None:
    shop = await a_shop(database)
    await shop.allow(cap=10)
    await shop.order_goods(100, 5)
    results = await buy(database.url, [shop.bought(1) for _ in range(64)])
    assert sum(isinstance(r, Placed) for r in results) == 10
    assert await drift(database) == []


@pytest.mark.parametrize("stock_there", [0, 4])
async def test_the_cap_of_a_channel_holds_for_stock_and_supply_together(database: Database, stock_there: int) -> None:
    """Sixty-four connections, a cap of ten and fifty units to come: nobody sells the eleventh, and cancels make room."""
    shop = await a_shop(database, stock=stock_there)
    await shop.allow()
    await shop.order_goods(50, 5)
    async with database.transaction() as tx:
        draft = AllotmentDraft(code="MALL", name="Mall", kind=Kind.CAP, quota=10, channels=("mall",))
        await allotments.put(tx, draft, None)
    results = await buy(database.url, [shop.bought(1) for _ in range(64)])
    placed = [r.id for r in results if isinstance(r, Placed)]
    assert len(placed) == 10
    assert {type(r) for r in results} == {Placed, OutOfStock}

    async def cancel(order: UUID) -> None:
        async with database.transaction() as tx:
            await fulfillment.cancel(tx, order, reason="x")

    more, *_ = await asyncio.gather(
        buy(database.url, [shop.bought(1) for _ in range(64)], 16), *map(cancel, placed[:6])
    )
    sold = sum(isinstance(r, Placed) for r in more)
    assert sold <= 6
    results = await buy(database.url, [shop.bought(1) for _ in range(16)])
    assert sold + sum(isinstance(r, Placed) for r in results) == 6
    async with database.snapshot() as tx:
        assert await tx.value("SELECT sum(used)::int FROM cap_counter") == 10
    assert await drift(database) == []


async def test_goods_that_come_are_never_anybody_elses(database: Database) -> None:
    """Twenty units are sold ahead; while they are received, a crowd that was not first buys all it can."""
    shop = await a_shop(database)
    await shop.allow()
    order_id, _ = await shop.order_goods(20, 5)
    first = await shop.sold(*[1] * 20)

    async def receipts() -> None:
        for units in (3, 5, 1, 7, 4):
            await shop.receive(order_id, units)
            await asyncio.sleep(0.02)

    crowd = [shop.bought(1) for _ in range(128)]
    results, _ = await asyncio.gather(buy(database.url, crowd, 16), receipts())
    assert not any(isinstance(r, Placed) for r in results)
    await shop.settle()
    assert [await shop.units(o) for o in first] == [{"allocated": 1}] * 20
    assert await drift(database) == []


async def test_everything_at_once_leaves_stock_supply_and_claims_whole(database: Database) -> None:  # noqa: C901
    """Orders, cancels, receipts, days that move, supply that is given up and what follows, all at the same time."""
    shop = await a_shop(database, stock=6)
    await shop.allow(cap=60)
    numbers = [await shop.order_goods(units, days) for units, days in ((10, 5), (8, 7), (12, 9), (6, 11))]
    rng = random.Random(5)
    placed: list[UUID] = []

    async def again(act) -> None:
        for _ in range(12):  # a deadlock or a wait for a lock is `busy` to whoever asks: they ask again
            try:
                await act()
            except (psycopg.errors.DeadlockDetected, Busy):
                continue
            except MalhaError:
                return
            return
        pytest.fail("twelve deadlocks, one after the other")

    async def buyer(gate: Gate) -> None:
        await asyncio.sleep(rng.random() * 0.3)
        outcome = await gate.enqueue(shop.bought(rng.randint(1, 3)))
        if isinstance(outcome, Placed):
            placed.append(outcome.id)

    async def canceller() -> None:
        await asyncio.sleep(rng.random() * 0.5)
        if placed:
            order = rng.choice(placed)
            wishes = None if rng.random() < 0.5 else [CancelWish(1, 1)]

            async def act() -> None:
                async with database.transaction() as tx:
                    await fulfillment.cancel(tx, order, reason="x", wishes=wishes)

            await again(act)

    async def receiver(n: int) -> None:
        await asyncio.sleep(rng.random() * 0.5)
        order_id, number = numbers[n % 4]

        async def act() -> None:
            async with database.transaction() as tx:
                match n % 3:
                    case 0:
                        lines = [ReceivedLine(shop.sku, rng.randint(1, 3))]
                        draft = ReceiptDraft(
                            id=new_id(), location_id=shop.world.locations["DC"], lines=lines, order_id=order_id
                        )
                        await supply.receive(tx, draft)
                    case 1:
                        await supply.reschedule(tx, number, {1: in_days(rng.randint(2, 20))})
                    case _:
                        if rng.random() < 0.2:
                            await supply.drop_lines(tx, number, None, "gone")

        await again(act)

    async def follower() -> None:
        await asyncio.sleep(rng.random() * 0.5)
        if placed:
            order = rng.choice(placed)
            await again(lambda: order_to_cash.follow_supply.work(database, order_id=str(order)))

    async with AsyncExitStack() as stack:
        gates = [
            Gate(await stack.enter_async_context(Database(database.url, max_size=1)), max_batch=3) for _ in range(16)
        ]
        await asyncio.gather(
            *(buyer(gates[n % 16]) for n in range(60)),
            *(canceller() for _ in range(20)),
            *(receiver(n) for n in range(24)),
            *(follower() for _ in range(12)),
        )
        for gate in gates:
            with suppress(MalhaError):
                await gate.close()
    assert await drift(database) == []
    await shop.settle()
    assert await drift(database) == []


HALF_KITS = """
SELECT order_id FROM (
    SELECT c.order_id, u.location_id, u.state = 'cancelled',
           coalesce(sum(u.quantity) FILTER (WHERE u.sku_id = c.sku_id), 0) / c.quantity::numeric
    FROM order_component c JOIN order_unit u ON u.order_id = c.order_id AND u.line = c.line
    GROUP BY 1, 2, 3, c.sku_id, c.quantity
) AS there(order_id, location_id, cancelled, kits)
GROUP BY order_id, location_id, cancelled HAVING count(DISTINCT kits) > 1
"""
USED = """
SELECT coalesce(sum(u.quantity) FILTER (WHERE v.sku = 'CUP'), 0)::int,
       coalesce(sum(u.quantity) FILTER (WHERE v.sku = 'PLATE'), 0)::int
FROM order_unit u JOIN variant v ON v.id = u.sku_id WHERE u.state <> 'cancelled'
"""


async def test_kits_and_their_components_share_stock_and_supply_between_connections(database: Database) -> None:
    """Sets of two cups and a plate, and cups alone, from seven cups, twenty that come and eleven plates.

    While goods come in parts, some give up and others buy: nothing is sold twice, and nobody gets half a set.
    """
    shop = await a_shop(database, stock=7)
    async with database.transaction() as tx:
        plate = await a_product(tx, shop.world, "PLATE", stock={"DC": 11})
        await a_product(tx, shop.world, "SET", components={shop.sku: 2, plate: 1})
    await shop.allow()
    order_id, _ = await shop.order_goods(20, 5)
    rng = random.Random(9)
    wanted = [shop.bought(1, sku=rng.choice(["SET", "SET", "CUP"])) for _ in range(64)]
    results = await buy(database.url, wanted)
    placed = [r.id for r in results if isinstance(r, Placed)]
    assert {type(r) for r in results} == {Placed, OutOfStock}
    async with database.snapshot() as tx:
        ((cups, plates),) = await tx.tuples(USED)
        assert cups in {26, 27}  # a last cup makes no set
        assert plates <= 11
        assert await tx.values(HALF_KITS) == []
    assert await drift(database) == []

    async def again(act) -> None:
        for _ in range(12):
            try:
                await act()
            except (psycopg.errors.DeadlockDetected, Busy):
                continue
            except MalhaError:
                return
            return
        pytest.fail("twelve deadlocks, one after the other")

    async def receive(units: int) -> None:
        await again(lambda: shop.receive(order_id, units))

    async def cancel(order: UUID) -> None:
        async def act() -> None:
            async with database.transaction() as tx:
                await fulfillment.cancel(tx, order, reason="x")

        await again(act)

    async def follow(order: UUID) -> None:
        await again(lambda: order_to_cash.follow_supply.work(database, order_id=str(order)))

    await asyncio.gather(
        *(receive(units) for units in (3, 1, 5, 2)),
        *(cancel(order) for order in rng.sample(placed, 5)),
        *(follow(order) for order in rng.sample(placed, 8)),
        buy(database.url, [shop.bought(1, sku=rng.choice(["SET", "CUP"])) for _ in range(24)], 8),
    )
    assert await drift(database) == []
    await shop.settle()
    async with database.snapshot() as tx:
        assert await tx.values(HALF_KITS) == []
        ((cups, plates),) = await tx.tuples(USED)
        assert cups <= 27
        assert plates <= 11
    assert await drift(database) == []


@pytest.mark.parametrize(
    "how", ["goods come", "stock turns up", "a substitute is taken", "it is not wanted", "supply is found"]
)
async def test_who_needs_a_balance_has_what_is_locked_before_balances(database: Database, how: str) -> None:
    """Intake takes supply, then the policy's counter, then balances: who has a balance must wait for neither."""
    shop = await a_shop(database, stock=1)
    policy = await shop.allow(cap=60)
    (held,) = await shop.sold(shop.bought(3, channel="web"))  # one is there, and two are short
    order_id, _ = await shop.order_goods(3, 5)
    (order,) = await shop.sold(3)
    s1 = shop.world.locations["S1"]
    async with database.transaction() as tx:
        await a_product(tx, shop.world, "MUG", stock={"DC": 1})
        await tx.execute(
            "INSERT INTO variant_substitute (variant_id, substitute_id, position)"
            " SELECT c.id, m.id, 0 FROM variant c, variant m WHERE c.sku = 'CUP' AND m.sku = 'MUG'"
        )
        if how == "stock turns up":
            await stock.set_on_hand(tx, [Claim(shop.sku, s1, 2)], Reference("count"))
    first = "SELECT FROM ahead_policy WHERE id = %(id)s::int FOR UPDATE", {"id": policy}
    if how == "supply is found":  # beside a line that is full
        await shop.order_goods(2, 9, at="S1")
        first = (
            "SELECT FROM supply WHERE source_id = %(id)s::uuid AND promised = expected FOR UPDATE",
            {"id": order_id},
        )

    async def act() -> None:
        match how:
            case "goods come":
                await shop.receive(order_id, 2)
            case "a substitute is taken":
                async with database.transaction() as tx:
                    await substituting.replace(tx, order, 1, "MUG", 1)
            case "it is not wanted":
                async with database.transaction() as tx:
                    await fulfillment.cancel(tx, order, reason="x")
            case _:
                who = held if how == "supply is found" else order
                await order_to_cash.place_waiting.work(database, order_id=str(who))

    async with database.transaction() as intake:
        await intake.execute(*first)
        acting = asyncio.create_task(act())
        while not await waiting(database):
            if acting.done():  # it must have waited: too long, beside whatever else this machine does
                with pytest.raises(Busy):
                    await acting
                acting = asyncio.create_task(act())
            await asyncio.sleep(0.01)
        await intake.execute("SELECT FROM balance FOR NO KEY UPDATE NOWAIT")
    with suppress(Busy):
        await acting
    assert await drift(database) == []
