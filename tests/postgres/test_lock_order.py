"""Whoever needs what expired holds and carts keep locks it in the one order: nobody waits for another in a circle.

In each story a first transaction has the first of two locks, in the order everybody keeps. The second begins, and
stands still at it. Then the first asks for the other: it gets it, unless the second took that one too early.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.waiting import waiting
from whole_shop import EXPIRE, STOCKED, Shop, in_days, sell_ahead

from malha.doctor import examine
from malha.flows import order_to_cash
from malha.intake import replanning
from malha.intake.model import NewLine, NewOrder, NewPayment, Placed
from malha.inventory import service as inventory
from malha.inventory import writes
from malha.inventory.ahead import service as ahead
from malha.inventory.allotments import claims
from malha.inventory.allotments import service as allotments
from malha.inventory.allotments.model import AllotmentDraft, FenceRow, Kind
from malha.inventory.counts import suspicions
from malha.inventory.counts.model import Habits, Suspicion
from malha.inventory.model import Claim, Reason, Reference
from malha.inventory.supply import service as supply
from malha.inventory.supply.model import InboundDraft, InboundKind, InboundLineDraft
from malha.inventory.transfers import service as transfers
from malha.inventory.transfers.model import Departure, TransferDraft
from malha.platform.db import Database, Tx
from malha.platform.eventlog import Recorded

# Who waits longer than this looks for the circle, and is the one that gives way: so the first, which fails the test.
SOON = "SET LOCAL deadlock_timeout = '20ms'"

Lock = Callable[[Tx], Awaitable[object]]


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    """Nine cups and nine plates at the DC, a few at the store."""
    async with Shop(database.url) as shop:
        await shop.begin(9)
        yield shop


def at(shop: Shop, sku: str, place: str, quantity: int = 1) -> Claim:
    return Claim(shop.skus[sku], shop.world.locations[place], quantity)


def balance(shop: Shop, sku: str, place: str) -> Lock:
    claim = at(shop, sku, place)
    return lambda tx: inventory.lock_balances(tx, [(claim.sku_id, claim.location_id)])


async def hold(shop: Shop, reference: str, *claims: Claim, expired: bool = False) -> None:
    async with shop.db.transaction() as tx:
        assert await inventory.place_hold(tx, reference, claims, seconds=300) == []
        if expired:
            await tx.execute(EXPIRE, {"ref": reference})


def plates(quantity: int, *, cart: str | None = None) -> NewOrder:
    lines = [NewLine(sku="PLATE", quantity=quantity, unit_price=1000)]
    pays = [NewPayment(kind="pix", amount=1000 * quantity, state="captured")]
    return NewOrder(
        channel="till", external_id="E1", lines=lines, method="pickup", pickup_location="DC", payments=pays,
        hold_reference=cart,
    )  # fmt: skip


async def in_turn(shop: Shop, first: Lock, then: Lock, second: Awaitable[Any]) -> Any:
    """Let the first have one lock, the second come to it, and the first ask for the other; return what the second did."""
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        async with shop.processes[1].transaction() as tx:
            await tx.execute(SOON)
            await first(tx)
            doing = group.create_task(_awaited(second))
            while await waiting(shop.db) < 1:
                assert not doing.done(), "it should have waited"
                await asyncio.sleep(0.01)
            await then(tx)
        done = await doing
    report = await examine(shop.db)
    assert report.healthy, [line for f in report.findings if f.drifts for line in (f.check, *f.lines("en"))]
    return done


async def _awaited(what: Awaitable[Any]) -> Any:
    return await what


async def test_a_cart_that_wants_what_an_expired_one_held_locks_nothing_before_what_that_one_gives_back(shop):
    await hold(shop, "old", at(shop, "CUP", "DC"), at(shop, "PLATE", "DC", 9), expired=True)
    new = hold(shop, "new", at(shop, "PLATE", "DC", 9))
    await in_turn(shop, balance(shop, "CUP", "DC"), balance(shop, "PLATE", "DC"), new)


async def test_a_claim_of_what_an_expired_cart_held_locks_nothing_before_what_that_one_gives_back(shop):
    await hold(shop, "old", at(shop, "CUP", "DC"), at(shop, "PLATE", "DC", 9), expired=True)

    async def claim() -> None:
        async with shop.db.transaction() as tx:
            short = await inventory.reserve(tx, [at(shop, "PLATE", "DC", 9)], Reference("count"))
            assert short == []
            await inventory.release(tx, [at(shop, "PLATE", "DC", 9)], Reference("count"))

    await in_turn(shop, balance(shop, "CUP", "DC"), balance(shop, "PLATE", "DC"), claim())


async def test_an_order_that_needs_what_an_expired_cart_held_locks_its_balances_with_those_of_the_cart(shop):
    """A cup and the plates at the store go back, and the order is planned with all plates."""
    await hold(shop, "old", at(shop, "CUP", "S1"), at(shop, "PLATE", "S1", 4), expired=True)
    ordered = shop.gates[0].submit(plates(9))
    assert isinstance(await in_turn(shop, balance(shop, "PLATE", "DC"), balance(shop, "PLATE", "S1"), ordered), Placed)


async def test_an_order_of_less_than_its_cart_held_locks_its_balances_with_those_of_the_cart(shop):
    """The cart had a cup too, which nobody orders."""
    await hold(shop, "cart", at(shop, "CUP", "DC"), at(shop, "PLATE", "DC", 9))
    ordered = shop.gates[0].submit(plates(9, cart="cart"))
    assert isinstance(await in_turn(shop, balance(shop, "CUP", "DC"), balance(shop, "PLATE", "DC"), ordered), Placed)


async def test_an_order_waits_for_who_has_its_cart_before_it_locks_any_balance(shop):
    await hold(shop, "cart", at(shop, "CUP", "DC"), at(shop, "PLATE", "DC", 2))

    async def lock_cart(tx: Tx) -> None:
        assert await tx.values(writes.KEEP_HOLD, {"reference": "cart", "seconds": 9.0})

    ordered = shop.gates[0].submit(plates(2, cart="cart"))
    assert isinstance(await in_turn(shop, lock_cart, balance(shop, "PLATE", "DC"), ordered), Placed)


@pytest.mark.parametrize("more_follows", [False, True])
async def test_a_transfer_between_owners_locks_both_ends_with_what_was_set_aside(shop, more_follows):
    """Goods change their owner at the site, cups and plates: they go from one balance to the other at once."""
    number = await asked(shop, "DC", "DC-SP9", "CUP", "PLATE")
    shipped = ship(shop, number, more_follows=more_follows)
    await in_turn(shop, balance(shop, "CUP", "DC-SP9"), balance(shop, "PLATE", "DC"), shipped)


@pytest.mark.parametrize("more_follows", [False, True])
async def test_a_transfer_locks_what_is_set_apart_before_any_balance(shop, more_follows):
    await set_apart(shop, "PLATE")
    number = await asked(shop, "DC", "S1", "PLATE")
    plate = at(shop, "PLATE", "DC")
    fence: Lock = lambda tx: inventory.lock_fences(tx, [plate])  # noqa: E731
    await in_turn(shop, fence, balance(shop, "PLATE", "DC"), ship(shop, number, more_follows=more_follows))


async def set_apart(shop: Shop, sku: str) -> None:
    draft = AllotmentDraft(code="F", name="Fence", kind=Kind.FENCE, channels=("mall",), stock=(FenceRow(sku, "DC", 3),))
    async with shop.db.transaction() as tx:
        await allotments.put(tx, draft, None)


async def asked(shop: Shop, origin: str, destination: str, *skus: str) -> int:
    """Ask for two of each, and approve it."""
    lines = [(shop.skus[sku], 2) for sku in skus]
    ends = {"origin_id": shop.world.locations[origin], "destination_id": shop.world.locations[destination]}
    async with shop.db.transaction() as tx:
        number = await transfers.request(tx, TransferDraft(**ends, lines=lines))
    async with shop.db.transaction() as tx:
        await transfers.approve(tx, number)
    return number


async def ship(shop: Shop, number: int, *, more_follows: bool) -> None:
    some = {1: 1} if more_follows else {}
    async with shop.db.transaction() as tx:
        await transfers.ship(tx, number, Departure(document="NF-e", quantities=some, more_follows=more_follows))


async def test_an_order_waits_for_who_gives_its_cart_up_before_it_locks_the_cap_it_counts_on(shop):
    async with shop.db.transaction() as tx:
        cap = await allotments.put(tx, AllotmentDraft(code="C", name="Cap", kind=Kind.CAP, quota=9), None)
    await hold(shop, "cart", at(shop, "PLATE", "DC", 2))

    async def lock_cart(tx: Tx) -> None:
        assert await tx.values(writes.KEEP_HOLD, {"reference": "cart", "seconds": 9.0})

    counter: Lock = lambda tx: claims.lock_counters(tx, {(cap.id, 0)})  # noqa: E731
    ordered = shop.gates[0].submit(plates(2, cart="cart"))
    assert isinstance(await in_turn(shop, lock_cart, counter, ordered), Placed)


async def test_an_order_planned_anew_locks_its_balances_with_those_of_an_expired_cart(shop):
    placed = await shop.gates[0].submit(plates(9))
    await hold(shop, "old", at(shop, "CUP", "DC"), at(shop, "PLATE", "S1"), expired=True)

    async def again() -> None:
        async with shop.db.transaction() as tx:
            await replanning.replan(tx, placed.id)

    await in_turn(shop, balance(shop, "CUP", "DC"), balance(shop, "PLATE", "DC"), again())


async def test_suspicions_are_held_back_with_all_their_balances_locked_at_once(shop):
    """A cart that expired gives plates at the store back when the cups are held: not before the plates at the DC."""
    await set_apart(shop, "CUP")
    await hold(shop, "old", at(shop, "CUP", "S1"), at(shop, "PLATE", "S1"), expired=True)
    found = [
        Suspicion(
            Habits(
                sku_id=shop.skus[sku], location_id=shop.world.locations["DC"], free=1, on_hand=5,
                short_picks=2, sales=9, observed=9.0, silence=5.0,
            ),
            90,
            0.001,
        )
        for sku in ("CUP", "PLATE")
    ]  # fmt: skip

    async def keep_back() -> None:
        async with shop.db.transaction() as tx:
            assert await suspicions.keep_back(tx, found) == 2

    await in_turn(shop, balance(shop, "PLATE", "DC"), balance(shop, "PLATE", "S1"), keep_back())


# --- supply and its queues, which come before all of that ---


async def on_order(shop: Shop, sku: str, place: str) -> int:
    """State three units to come of something that may be sold ahead; return the number of the order."""
    async with shop.db.transaction() as tx:
        line = InboundLineDraft(shop.skus[sku], 3, in_days(5))
        ends = {"supplier": "Sul", "location_id": shop.world.locations[place]}
        return await supply.place_order(tx, InboundDraft(kind=InboundKind.PURCHASE, lines=[line], **ends))


def queue(shop: Shop, sku: str, place: str) -> Lock:
    claim = at(shop, sku, place)
    return lambda tx: ahead.lock_queues(tx, [(claim.sku_id, claim.location_id)])


def ordered(shop: Shop, number: int, **lines: int) -> Awaitable[Any]:
    wanted = [NewLine(sku=sku, quantity=n, unit_price=1000) for sku, n in lines.items()]
    pays = [NewPayment(kind="pix", amount=1000 * sum(lines.values()), state="captured")]
    order = NewOrder(
        channel="till", external_id=f"E{number}", lines=wanted, method="pickup", pickup_location="DC", payments=pays
    )
    return shop.gates[0].submit(order)


async def test_orders_planned_anew_together_lock_all_their_queues_before_the_first_balance(shop):
    """The first is of cups, of which nothing is to come; the second of plates, which somebody receives."""
    placed = [await ordered(shop, 1, CUP=2), await ordered(shop, 2, PLATE=2)]
    await on_order(shop, "PLATE", "DC")
    said = [
        Recorded(0, datetime.now(UTC), 1, 1, f"order:{one.id}", "order.address_changed", "system", "{}")
        for one in placed
    ]

    async def again() -> None:
        async with shop.db.transaction() as tx:
            await order_to_cash.place_again(tx, said)

    await in_turn(shop, queue(shop, "PLATE", "DC"), balance(shop, "CUP", "DC"), again())


@pytest.mark.parametrize("short", [False, True], ids=["all is there", "some of it waits"])
async def test_a_plan_behind_balances_does_not_wait_for_a_queue_that_came_to_be_meanwhile(shop, short):
    """Cups are stated to come after the plan has locked what there was, and somebody receives them."""
    await sell_ahead(shop, STOCKED.index("CUP"), 0, 0, 0)
    await on_order(shop, "PLATE", "DC")
    placed = await ordered(shop, 1, CUP=2, PLATE=2)
    if short:  # it is planned with supply too
        async with shop.db.transaction() as tx:
            await inventory.set_on_hand(tx, [at(shop, "CUP", "DC", 1)], Reference("count"), Reason.COUNT)

    async def again() -> None:
        async with shop.db.transaction() as tx:
            await replanning.replan(tx, placed.id)

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        async with shop.processes[1].transaction() as receiving:
            await receiving.execute(SOON)
            async with shop.db.transaction() as holding:
                await balance(shop, "PLATE", "DC")(holding)
                doing = group.create_task(again())
                while await waiting(shop.db) < 1:
                    assert not doing.done(), "it should have waited"
                    await asyncio.sleep(0.01)
                await on_order(shop, "CUP", "S1")  # the plan has the balances of cups by now
                await queue(shop, "CUP", "S1")(receiving)
            while not doing.done() and await waiting(shop.db) < 1:
                await asyncio.sleep(0.01)
            await balance(shop, "CUP", "S1")(receiving)
        await doing


async def test_a_fence_that_is_made_meanwhile_is_not_locked_behind_those_that_were_there(shop):
    """Who has the fences of a SKU asks what they have left once more; one at a smaller key came in between."""
    cup = shop.skus["CUP"]

    async def fence(code: str, place: str) -> None:
        draft = AllotmentDraft(
            code=code, name=code, kind=Kind.FENCE, channels=("web",), stock=(FenceRow("CUP", place, 1),)
        )
        async with shop.db.transaction() as tx:
            await allotments.put(tx, draft, None)

    async def others() -> None:
        await fence("NEW", "DC")
        async with shop.db.transaction() as tx:
            standing = await claims.lock(tx, [cup], [])
            assert len(standing.remaining) == 2

    await fence("OLD", "S1")
    await in_turn(shop, lambda tx: claims.lock(tx, [cup], []), lambda tx: claims.lock(tx, [cup], []), others())
