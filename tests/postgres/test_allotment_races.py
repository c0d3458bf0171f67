"""Two hundred buyers over five channels want the last units, through two processes' gates, with fences, caps and kits."""

import asyncio
import random
from contextlib import suppress

import psycopg
import pytest

from malha.doctor import examine
from malha.fulfillment import service as fulfillment
from malha.intake import replanning
from malha.intake.errors import OutOfStock
from malha.intake.gate import Gate
from malha.intake.model import NewLine, NewOrder, Placed
from malha.intake.reference import reference_in
from malha.inventory import service as inventory
from malha.inventory.allotments import service as allotments
from malha.inventory.allotments.model import AllotmentDraft, BorrowerDraft, FenceRow, Kind
from malha.inventory.allotments.reads import fence_lines, listed
from malha.inventory.model import Claim, Reference
from malha.ordering.model import CancelWish
from malha.platform.address import Address
from malha.platform.db import Database
from malha.platform.errors import Busy, MalhaError
from malha.testing.builders import World, a_network, a_product

SAO_PAULO = Address(postal_code="01310100", city="São Paulo", state="SP", street="Av. Paulista", number="1000")
CHANNELS = ("web", "till", "mall", "app", "hub")
REJECT = "UPDATE channel SET shortage_policy = 'reject', payment_policy = 'settled_by_channel'"
SOLD_BY = """
SELECT c.code, u.sku_id, u.location_id, sum(u.quantity)::int
FROM order_unit u JOIN sales_order o ON o.id = u.order_id JOIN channel c ON c.id = o.channel_id
WHERE u.state = 'allocated' GROUP BY 1, 2, 3
"""


@pytest.fixture
async def shop(database: Database) -> tuple[Database, World]:
    """Five channels that refuse what is short; CUP and PLATE at two places, and a kit of two cups and a plate."""
    async with database.transaction() as tx:
        world = await a_network(tx)
        await tx.execute(
            "INSERT INTO channel (code, name, kind) VALUES ('app', 'App', 'app'), ('hub', 'Hub', 'marketplace')"
        )
        await tx.execute(REJECT)
        cup = await a_product(tx, world, "CUP", stock={"DC": 30, "S1": 10})
        plate = await a_product(tx, world, "PLATE", stock={"DC": 20, "S1": 10})
        await a_product(tx, world, "SET", components={cup: 2, plate: 1})
    return database, world


def fence(code: str, channels: tuple[str, ...], *stock: FenceRow, lends_to: tuple[str, ...] = ()) -> AllotmentDraft:
    borrowers = tuple(BorrowerDraft(channel=c) for c in lends_to)
    return AllotmentDraft(code=code, name=code, kind=Kind.FENCE, channels=channels, stock=stock, borrowers=borrowers)


def cap(code: str, quota: int, channels: tuple[str, ...] = (), **more: object) -> AllotmentDraft:
    return AllotmentDraft(code=code, name=code, kind=Kind.CAP, quota=quota, channels=channels, **more)


async def save(database: Database, *drafts: AllotmentDraft) -> None:
    for draft in drafts:
        async with database.transaction() as tx:
            await allotments.put(tx, draft, None)


def an_order(number: int, channel: str, *lines: tuple[str, int]) -> NewOrder:
    bought = [NewLine(sku, quantity, 1000) for sku, quantity in lines]
    return NewOrder(channel=channel, external_id=f"R-{number}", lines=bought, ship_to=SAO_PAULO)


async def buy(databases: list[Database], orders: list[NewOrder], max_batch: int = 9) -> list[Placed | MalhaError]:
    gates = [Gate(database, max_batch=max_batch) for database in databases]
    try:
        return list(await asyncio.gather(*(gates[n % len(gates)].enqueue(order) for n, order in enumerate(orders))))
    finally:
        for gate in gates:
            await gate.close()


async def drift(database: Database) -> list[str]:
    return [x for f in (await examine(database)).findings if f.drifts for x in f.lines("en")]


async def test_two_hundred_buyers_of_five_channels_get_every_unit_once(shop) -> None:
    database, _world = shop
    await save(
        database,
        fence("MALL", ("mall",), FenceRow("CUP", "DC", 8), FenceRow("PLATE", "DC", 4), lends_to=("app",)),
        fence("TILL", ("till",), FenceRow("CUP", "S1", 5)),
        cap("HUB", 6, ("hub",)),
        cap("APP", 4, ("app",), skus=("CUP",), per_sku=True),
    )
    rng = random.Random(7)
    carts = ((("CUP", 1),), (("CUP", 2),), (("PLATE", 1),), (("SET", 1),), (("SET", 1), ("CUP", 1)))
    orders = [an_order(n, CHANNELS[n % 5], *rng.choice(carts)) for n in range(200)]
    async with Database(database.url) as second:
        results = await buy([database, second], orders)
    assert {type(r) for r in results} == {Placed, OutOfStock}
    async with database.snapshot() as tx:
        sold = await tx.tuples(SOLD_BY)
        left = await tx.tuples(
            "SELECT v.sku, sum(b.on_hand - b.allocated)::int FROM balance b JOIN variant v ON v.id = b.sku_id GROUP BY 1"
        )
        by_code = {a.code: a for a in await listed(tx)}
        fenced = await fence_lines(tx, by_code["MALL"].id)
    hub = sum(units for channel, _, _, units in sold if channel == "hub")
    cups = min(sku for _, sku, _, _ in sold)
    app = sum(units for channel, sku, _, units in sold if channel == "app" and sku == cups)
    assert (hub, by_code["HUB"].used) == (hub, hub)
    assert hub <= 6
    assert by_code["APP"].used == app <= 4
    everything = {"CUP": 40, "PLATE": 30}
    for sku, units in left:
        sold_units = sum(n for _, id_, _, n in sold if (id_ == cups) == (sku == "CUP"))
        assert sold_units + units == everything[sku]
    assert by_code["TILL"].drawn + by_code["TILL"].remaining == 5
    assert sum(x.remaining + x.drawn for x in fenced) == 12
    assert await drift(database) == []


async def test_a_fenced_unit_waits_for_its_channel_however_many_others_want_it(shop) -> None:
    database, _world = shop
    await save(database, fence("MALL", ("mall",), FenceRow("CUP", "DC", 8), FenceRow("CUP", "S1", 2)))
    others = [an_order(n, CHANNELS[n % 2], ("CUP", 1)) for n in range(60)]
    async with Database(database.url) as second:
        results = await buy([database, second], others)
        assert sum(isinstance(r, Placed) for r in results) == 30
        results = await buy([database, second], [an_order(100 + n, "mall", ("CUP", 1)) for n in range(20)])
    assert sum(isinstance(r, Placed) for r in results) == 10
    assert await drift(database) == []


async def test_kits_draw_their_components_from_fences_on_the_sum_of_all_lines(shop) -> None:
    database, world = shop
    async with database.transaction() as tx:
        goods = [("CUP", 5), ("PLATE", 2)]
        ids = dict(await tx.tuples("SELECT sku, id FROM variant"))
        everywhere = [Claim(ids[sku], world.locations["S1"], 0) for sku, _ in goods]
        await inventory.set_on_hand(
            tx, [*everywhere, *(Claim(ids[s], world.locations["DC"], n) for s, n in goods)], Reference("count")
        )
    await save(database, fence("MALL", ("mall",), FenceRow("CUP", "DC", 4), FenceRow("PLATE", "DC", 2)))
    gate = Gate(database)
    with pytest.raises(OutOfStock):
        await gate.submit(an_order(1, "web", ("SET", 1)))
    with pytest.raises(OutOfStock):  # two kits and two cups are six cups
        await gate.submit(an_order(2, "mall", ("SET", 2), ("CUP", 2)))
    placed = await gate.submit(an_order(3, "mall", ("SET", 2), ("CUP", 1)))
    await gate.close()
    assert {line.state for line in placed.lines} == {"allocated"}
    async with database.snapshot() as tx:
        (made,) = await listed(tx)
    assert (made.remaining, made.drawn) == (0, 6)
    assert await drift(database) == []


async def test_a_cap_that_was_just_made_counts_at_once_in_every_process(shop) -> None:
    database, _world = shop
    async with Database(database.url) as second:
        gates = [Gate(database), Gate(second)]
        for n, gate in enumerate(gates):
            await gate.submit(an_order(n, "hub", ("CUP", 1)))
        await save(database, cap("HUB", 2, ("hub",)))
        results = await asyncio.gather(*(gates[n % 2].enqueue(an_order(10 + n, "hub", ("CUP", 1))) for n in range(12)))
        for gate in gates:
            await gate.close()
    assert sum(isinstance(r, Placed) for r in results) == 2
    refused = next(r for r in results if isinstance(r, OutOfStock))
    assert refused.facts["shortages"][0]["caps"] == ["HUB"]
    assert await drift(database) == []


async def test_a_cap_over_several_places_lets_exactly_its_quota_through(shop) -> None:
    database, _world = shop
    await save(database, cap("BLACK", 35, skus=("CUP",)))
    gate = Gate(database)
    with pytest.raises(OutOfStock):
        await gate.submit(an_order(1, "web", ("CUP", 36)))
    placed = await gate.submit(an_order(2, "web", ("CUP", 35)))
    assert sum(line.quantity for line in placed.lines if line.state == "allocated") == 35
    with pytest.raises(OutOfStock):
        await gate.submit(an_order(3, "mall", ("CUP", 1)))
    await gate.close()
    assert await drift(database) == []


async def test_orders_that_come_go_and_wait_at_once_leave_fences_and_caps_whole(shop) -> None:  # noqa: C901 -- a crowd
    """Placed by two gates, cancelled, planned again, held and counted by others at the same time."""
    database, world = shop
    async with database.transaction() as tx:
        await tx.execute("UPDATE channel SET shortage_policy = 'backorder' WHERE code IN ('web', 'mall')")
    await save(
        database,
        fence("MALL", ("mall",), FenceRow("CUP", "DC", 8), FenceRow("PLATE", "DC", 4), lends_to=("web",)),
        cap("WEB", 25, ("web",)),
    )
    rng = random.Random(11)
    carts = ((("CUP", 2),), (("SET", 1),), (("PLATE", 1), ("CUP", 1)))
    placed: list[Placed] = []
    async with Database(database.url) as second:
        gates = [Gate(database, max_batch=5), Gate(second, max_batch=5)]

        async def buyer(n: int) -> None:
            outcome = await gates[n % 2].enqueue(an_order(n, rng.choice(CHANNELS), *rng.choice(carts)))
            if isinstance(outcome, Placed):
                placed.append(outcome)

        async def act(tx, what: str, order_id, n: int) -> None:
            if what == "cancel":
                await fulfillment.cancel(tx, order_id, reason="x", wishes=[CancelWish(1, 1)])
            elif what == "all":
                await fulfillment.cancel(tx, order_id, reason="x")
            elif what == "hold":
                cup = await tx.value("SELECT id FROM variant WHERE sku = 'CUP'")
                claim = Claim(cup, world.locations["DC"], 1)
                await inventory.place_hold(tx, f"cart-{n}", [claim], seconds=0.05, channel_id=world.channels["mall"])
            else:
                again = replanning.replan if what == "replan" else replanning.place_units
                await again(tx, order_id, await reference_in(tx))

        async def clerk(n: int) -> None:
            await asyncio.sleep(rng.random() * 0.4)
            if not placed:
                return
            order, what = rng.choice(placed), rng.choice(("cancel", "all", "replan", "hold", "place"))
            for _ in range(10):  # a deadlock is `busy` to whoever asks: nothing was changed, they ask again
                with suppress(MalhaError, Busy):
                    try:
                        async with database.transaction() as tx:
                            await act(tx, what, order.id, n)
                    except psycopg.errors.DeadlockDetected:
                        continue
                return
            pytest.fail("ten deadlocks, one after the other")

        await asyncio.gather(*(buyer(n) for n in range(120)), *(clerk(n) for n in range(80)))
        for gate in gates:
            await gate.close()
    async with database.transaction() as tx:
        await inventory.retire_expired(tx)
    assert placed
    assert await drift(database) == []
