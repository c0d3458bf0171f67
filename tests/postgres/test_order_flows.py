"""What follows from what: money lifts holds, an address is planned anew, stock finds those who wait, windows end."""

import asyncio

import msgspec

from malha.doctor import examine
from malha.flows import order_to_cash
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.fulfillment import service as fulfillment
from malha.fulfillment.model import RejectReason, Short
from malha.inventory import service as inventory
from malha.inventory.model import Claim, Reference
from malha.ordering import cancelling, edits
from malha.ordering import service as ordering
from malha.ordering.model import Address, CancelWish, HoldKind, UnitState
from malha.payments import service as payments
from malha.payments.model import Fact, FactKind
from malha.platform.subscribers import drain
from malha.testing.builders import Sold, a_network, a_product, an_order


async def settled(database):
    """Digest every event, run the jobs that were deferred, and let the doctor look."""
    await drain(database, SUBSCRIPTIONS)
    async with database.transaction() as tx:
        waiting = await tx.values(
            "SELECT args->>'order_id' FROM malha_jobs.procrastinate_jobs WHERE status = 'todo' ORDER BY id"
        )
        await tx.execute("UPDATE malha_jobs.procrastinate_jobs SET status = 'succeeded'")
    for order_id in waiting:
        await order_to_cash.place_waiting.work(database, order_id=order_id)
    await drain(database, SUBSCRIPTIONS)
    report = await examine(database)
    assert report.healthy, [f.lines("en") for f in report.findings]


async def status_of(database, order_id):
    async with database.transaction() as tx:
        return (await ordering.lock_order(tx, order_id)).status


async def where(database, order_id):
    async with database.transaction() as tx:
        units = (await ordering.units_of(tx, [order_id]))[order_id]
        codes = dict(await tx.tuples("SELECT id, code FROM location"))
        sums = {}
        for u in units:
            key = (u.state.value, codes.get(u.location_id))
            sums[key] = sums.get(key, 0) + u.quantity
        return sorted((state, code, quantity) for (state, code), quantity in sums.items())


async def test_an_order_is_released_by_itself_once_it_is_paid(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        order_id = await an_order(tx, world, 1, paid="pending", holds=[HoldKind.PAYMENT])
    assert await order_to_cash.release_due(database) == 0
    fact = Fact(position=1, kind=FactKind.CAPTURED, amount=1000, reference="e2e")
    async with database.transaction() as tx:
        await payments.record_fact(tx, order_id, fact)
    await settled(database)
    assert await status_of(database, order_id) == "allocated"
    assert await order_to_cash.release_due(database) == 1
    assert await status_of(database, order_id) == "picking"
    await settled(database)


async def test_a_cancel_that_makes_the_money_suffice_lifts_the_hold_and_ends_the_work(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A", stock={"DC": 5})
        order_id = await an_order(tx, world, [Sold(sku, 2)], paid=None, holds=[HoldKind.PAYMENT])
        tender = payments.NewTender(order_id=order_id, position=0, kind="pix", amount=1000, state="captured")
        await payments.add_tender(tx, order_id, tender)
    await settled(database)
    assert await status_of(database, order_id) == "awaiting_payment"
    async with database.transaction() as tx:
        await cancelling.cancel(tx, order_id, reason="one is enough", wishes=[CancelWish(1, 1)])
    await settled(database)
    assert await status_of(database, order_id) == "allocated"
    async with database.transaction() as tx:
        assert await tx.value("SELECT state FROM order_payment") == "paid"
        await fulfillment.release_order(tx, order_id)
        await cancelling.cancel(tx, order_id, reason="nothing after all")
    await settled(database)
    async with database.transaction() as tx:
        assert await tx.value("SELECT state FROM fulfillment_order") == "cancelled"
        assert (await payments.standing(tx, order_id)).refund_due == 1000


async def test_a_new_address_is_planned_anew(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A", stock={"DC": 2, "S2": 5})
        order_id = await an_order(tx, world, [Sold(sku, 2, at="S2")])
    await settled(database)
    async with database.transaction() as tx:
        rio = Address(postal_code="20040002", street="Rua A", number="1", city="Rio de Janeiro", state="RJ")
        await edits.change_address(tx, order_id, rio)
    await settled(database)
    assert await where(database, order_id) == [("allocated", "DC", 2)]  # the cheaper location for it


async def test_a_mapped_sku_finds_a_place_or_says_that_it_is_short(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        await a_product(tx, world, "HERE", stock={"S1": 3})
        await a_product(tx, world, "NOWHERE")
        order_id = await an_order(tx, world, [Sold(None, 2), Sold(None, 1)], holds=[HoldKind.UNKNOWN_SKU])
    await settled(database)
    async with database.transaction() as tx:
        await edits.map_line(tx, order_id, 1, "HERE")
    await settled(database)
    assert await where(database, order_id) == [("allocated", "S1", 2), ("unplaced", None, 1)]
    async with database.transaction() as tx:
        await edits.map_line(tx, order_id, 2, "NOWHERE")
    await settled(database)
    async with database.transaction() as tx:
        assert set((await ordering.open_holds(tx, [order_id]))[order_id]) == {HoldKind.SHORTAGE}


async def test_stock_that_comes_in_goes_to_the_order_that_waited_longest(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A")
        lines = [Sold(sku, 2, at=None, waiting=UnitState.BACKORDERED)]
        first = await an_order(tx, world, lines, channel="till")
    async with database.transaction() as tx:
        second = await an_order(tx, world, [Sold(sku, 2, at=None)], holds=[HoldKind.SHORTAGE])
    async with database.transaction() as tx:
        await inventory.receive(tx, [Claim(sku, world.locations["DC"], 3)], Reference("receipt"))
    await settled(database)
    assert await where(database, first) == [("allocated", "DC", 2)]
    assert await where(database, second) == [("allocated", "DC", 1), ("unplaced", None, 1)]
    assert await status_of(database, second) == "on_hold"
    async with database.transaction() as tx:
        await cancelling.cancel(tx, first, reason="found it elsewhere")
    await settled(database)
    assert await where(database, second) == [("allocated", "DC", 2)]
    assert await status_of(database, second) == "allocated"


async def an_order_within_its_window(database, lines, stock):
    """Write an order whose channel's release delay is not over, and return it and its world."""
    async with database.transaction() as tx:
        world = await a_network(tx)
        skus = [await a_product(tx, world, f"W{n}", stock=here) for n, here in enumerate(stock)]
        order_id = await an_order(tx, world, [msgspec.structs.replace(x, sku_id=skus[n]) for n, x in enumerate(lines)])
        await tx.execute("UPDATE sales_order SET release_after = now() + interval '90 days'")
    await settled(database)
    return world, skus, order_id


async def test_what_was_released_by_hand_is_released_at_once_where_a_short_pick_moves_it(database):
    _, _, order_id = await an_order_within_its_window(database, [Sold(None, 3)], [{"DC": 10, "S1": 4}])
    async with database.transaction() as tx:
        [work] = await fulfillment.release_order(tx, order_id)
        await fulfillment.confirm_pick(tx, work.id, short=[Short(1, 2, RejectReason.NOT_IN_STOCK)])
    assert await where(database, order_id) == [("allocated", "S1", 2), ("picked", "DC", 1)]
    await settled(database)
    assert await where(database, order_id) == [("picked", "DC", 1), ("released", "S1", 2)]


async def test_what_was_released_by_hand_is_released_at_once_where_a_rejection_moves_it(database):
    _, _, order_id = await an_order_within_its_window(database, [Sold(None, 2)], [{"DC": 10, "S1": 1, "S2": 4}])
    async with database.transaction() as tx:
        [work] = await fulfillment.release_order(tx, order_id)
        await fulfillment.reject(tx, work.id, RejectReason.STORE_CLOSED)
    await settled(database)
    assert [state for state, _, _ in await where(database, order_id)] == ["released"]


async def test_what_found_no_other_place_is_released_at_once_when_it_finds_one(database):
    world, skus, order_id = await an_order_within_its_window(database, [Sold(None, 2)], [{"DC": 2}])
    async with database.transaction() as tx:
        [work] = await fulfillment.release_order(tx, order_id)
        await fulfillment.reject(tx, work.id, RejectReason.NOT_IN_STOCK)
    await settled(database)
    assert await where(database, order_id) == [("unplaced", None, 2)]
    async with database.transaction() as tx:
        await inventory.receive(tx, [Claim(skus[0], world.locations["S1"], 2)], Reference("receipt"))
    await settled(database)
    assert await where(database, order_id) == [("released", "S1", 2)]


async def test_what_was_never_released_waits_for_its_window_beside_what_goes_on(database):
    """A line that came into stock after the release by hand is not carried along by what another line lacked."""
    lines = [Sold(None, 2), Sold(None, 1, at=None, waiting=UnitState.BACKORDERED)]
    world, skus, order_id = await an_order_within_its_window(database, lines, [{"DC": 2, "S1": 2}, {}])
    async with database.transaction() as tx:
        [work] = await fulfillment.release_order(tx, order_id)
        await inventory.receive(tx, [Claim(skus[1], world.locations["S2"], 1)], Reference("receipt"))
    await settled(database)
    async with database.transaction() as tx:
        await fulfillment.reject(tx, work.id, RejectReason.STORE_CLOSED)
    await settled(database)
    assert await where(database, order_id) == [("allocated", "S2", 1), ("released", "S1", 2)]


async def test_the_release_loop_runs_until_it_is_stopped_and_survives_a_lost_round(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        order_id = await an_order(tx, world, 1)
    stop = asyncio.Event()
    running = asyncio.create_task(order_to_cash.run_release(database, stop))
    while await status_of(database, order_id) != "picking":
        await asyncio.sleep(0.02)
    stop.set()
    await asyncio.wait_for(running, 60)
