"""Counts: blind, against the moment, by two people; what is applied is the variance, once, whatever moves meanwhile."""

import asyncio
from datetime import timedelta

import pytest
from supply_rows import ANA, BIA, CENTRE, LEAD, SHOP, SKUS, a_retailer, there

from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.fulfillment import service as fulfillment
from malha.fulfillment.model import Picked, RejectReason, Short
from malha.inventory import reads as stock_reads
from malha.inventory import service as stock
from malha.inventory.counts import raising, reads, service, suspicions
from malha.inventory.counts.errors import (
    AlreadyFrozen,
    CountEnded,
    LocationFrozen,
    NotCountable,
    OwnCount,
    Undecided,
    UnknownCount,
)
from malha.inventory.counts.model import CountDraft, CountKind, Entry, Limits, Source
from malha.inventory.model import Claim, Reason, Reference
from malha.inventory.transfers import service as transfers
from malha.inventory.transfers.model import Departure, TransferDraft
from malha.network import reads as network
from malha.platform.db import Actor, Database
from malha.platform.errors import Forbidden
from malha.platform.subscribers import drain
from malha.testing.builders import Sold, World, a_network, a_product, an_order

UNITS = 10


@pytest.fixture
async def shop(database: Database) -> Database:
    return await a_retailer(database, units=UNITS)


async def a_count(db: Database, *skus: int, limits: Limits | None = None, **options: object) -> int:
    draft = CountDraft(location_id=SHOP, skus=list(skus) or None, limits=limits or Limits(), **options)  # type: ignore[arg-type]
    async with db.transaction(LEAD) as tx:
        return await service.raise_count(tx, draft)


async def enter(
    db: Database, number: int, counted: dict[int, int], actor: Actor = ANA, aside: dict[int, int] | None = None
) -> dict[int, str]:
    async with db.transaction(actor) as tx:
        done = await service.enter(tx, number, [Entry(s, n) for s, n in counted.items()], aside or {})
    return {sku: str(state) for sku, state in done.items()}


async def close(db: Database, number: int, *, zero: bool = False) -> None:
    async with db.transaction(LEAD) as tx:
        await service.close(tx, number, {}, uncounted_is_zero=zero)


async def on_hand(db: Database, sku: int, place: int = SHOP) -> int:
    async with db.snapshot() as tx:
        return (await there(tx, sku, place)).get("sellable", 0)


async def move(db: Database, sku: int, change: int) -> None:
    async with db.transaction() as tx:
        await stock.adjust(tx, [Claim(sku, SHOP, change)], Reason.ADJUSTMENT, Reference("test"))


async def test_a_count_that_agrees_changes_nothing_and_one_within_the_limits_is_believed(shop: Database) -> None:
    number = await a_count(shop, 1, 2, limits=Limits(units=2, value=10_000))
    assert await enter(shop, number, {1: 10, 2: 8}) == {1: "accepted", 2: "accepted"}
    await close(shop, number)
    assert (await on_hand(shop, 1), await on_hand(shop, 2)) == (10, 8)
    async with shop.snapshot() as tx:
        rows = await tx.tuples("SELECT sku_id, d_on_hand, ref_text FROM movement WHERE reason = 'count'")
        assert rows == [(2, -2, f"C{number}")]


async def test_money_limits_a_variance_as_units_do(shop: Database) -> None:
    number = await a_count(shop, 1, limits=Limits(units=5, value=9_999))
    assert await enter(shop, number, {1: 8}) == {1: "recount"}


async def test_a_large_variance_is_counted_again_by_somebody_else_and_approved_by_a_third(shop: Database) -> None:
    number = await a_count(shop, 1)
    assert await enter(shop, number, {1: 7}) == {1: "recount"}
    with pytest.raises(NotCountable):
        await enter(shop, number, {1: 7})
    with pytest.raises(Undecided):
        await close(shop, number)
    assert await enter(shop, number, {1: 7}, actor=BIA) == {1: "review"}
    with pytest.raises(Forbidden):
        async with shop.transaction(ANA) as tx:
            await service.approve(tx, number)
    async with shop.transaction(LEAD) as tx:
        assert await service.approve(tx, number) == 1
    await close(shop, number)
    assert await on_hand(shop, 1) == 7
    with pytest.raises(CountEnded):
        await enter(shop, number, {1: 7})


async def test_a_second_count_that_agrees_with_the_balance_ends_the_doubt(shop: Database) -> None:
    number = await a_count(shop, 1)
    await enter(shop, number, {1: 7})
    assert await enter(shop, number, {1: 10}, actor=BIA) == {1: "accepted"}


async def test_nobody_approves_what_they_counted(shop: Database) -> None:
    number = await a_count(shop, 1)
    await enter(shop, number, {1: 7})
    await enter(shop, number, {1: 7}, actor=LEAD)
    with pytest.raises(OwnCount):
        async with shop.transaction(LEAD) as tx:
            await service.approve(tx, number)


async def test_what_is_sold_after_the_count_is_not_counted_away_again(shop: Database) -> None:
    number = await a_count(shop, 1, limits=Limits(units=9, value=100_000))
    await enter(shop, number, {1: 8})
    await move(shop, 1, -3)
    await close(shop, number)
    assert await on_hand(shop, 1) == 5


async def test_a_count_of_a_while_ago_is_held_against_what_was_there_then(shop: Database) -> None:
    async with shop.transaction() as tx:
        then = await tx.value("SELECT clock_timestamp()")
    await move(shop, 1, -3)
    await move(shop, 1, 1)
    number = await a_count(shop, 1)
    async with shop.transaction(ANA) as tx:
        assert await service.enter(tx, number, [Entry(1, 10, then)], {}) == {1: "accepted"}
        assert await service.enter(
            tx,
            (await raising.raise_for(tx, SHOP, [1], Source.SHORT_PICK)).number,
            [Entry(1, 10, then - timedelta(days=400))],
            {},
        ) == {1: "recount"}  # nothing was there before the beginning
    await close(shop, number)
    assert await on_hand(shop, 1) == 8


async def test_goods_set_aside_for_parcels_are_on_hand_though_not_on_the_shelf(shop: Database) -> None:
    number = await a_count(shop, 1)
    assert await enter(shop, number, {1: 6}, aside={1: 4}) == {1: "accepted"}


async def test_scans_add_up_are_kept_and_become_a_count_as_of_the_last_of_them(shop: Database) -> None:
    number = await a_count(shop, 1)
    for _ in range(3):
        async with shop.transaction(ANA) as tx:
            await service.tally(tx, number, 1, 3)
    async with shop.transaction(ANA) as tx:
        assert await service.tally(tx, number, 1, 1) == 10
        assert await service.tally(tx, number, 3, 2) == 2  # nobody expected it on this shelf
    with pytest.raises(Undecided):
        await close(shop, number)
    await move(shop, 1, -1)  # sold after the last scan
    async with shop.transaction(BIA) as tx:
        assert await service.finish(tx, number, {}) == {}  # they are not hers
    async with shop.transaction(ANA) as tx:
        assert await service.finish(tx, number, {}) == {1: "accepted", 3: "recount"}


async def test_counting_while_selling_leaves_what_is_really_there(shop: Database) -> None:
    """Ten on the shelf, nine in truth; sales and the count come in any order, and the balance ends at truth."""
    await move(shop, 1, 20)
    number = await a_count(shop, 1, limits=Limits(units=100, value=10_000_000))
    shelf = 29  # one of thirty is gone
    sold = 0
    gate = asyncio.Lock()

    async def sell() -> None:
        nonlocal shelf, sold
        async with gate:  # one shelf: taking from it and writing it down are one act
            shelf -= 1
            sold += 1
            await move(shop, 1, -1)

    async def count() -> None:
        async with gate:
            await enter(shop, number, {1: shelf})

    await asyncio.gather(*(sell() for _ in range(5)), count(), *(sell() for _ in range(5)))
    await asyncio.gather(close(shop, number), *(sell() for _ in range(5)))
    assert await on_hand(shop, 1) == shelf == 29 - sold


async def test_two_people_who_count_the_same_sku_at_once_count_it_once(shop: Database) -> None:
    number = await a_count(shop, 1, limits=Limits(units=9, value=100_000))

    async def one(actor: Actor) -> bool:
        try:
            await enter(shop, number, {1: 8}, actor=actor)
        except NotCountable:
            return False
        return True

    assert sorted(await asyncio.gather(one(ANA), one(BIA))) == [False, True]
    done = await asyncio.gather(close(shop, number), close(shop, number), return_exceptions=True)
    assert sorted(type(d).__name__ for d in done) == ["CountEnded", "NoneType"]
    assert await on_hand(shop, 1) == 8


async def test_a_physical_inventory_freezes_the_place_and_lists_what_nobody_counted(shop: Database) -> None:
    number = await a_count(shop, kind=CountKind.PHYSICAL, freeze=True)
    async with shop.snapshot() as tx:
        place = (await network.locations_by_id(tx, [SHOP]))[SHOP]
        assert place.status == "paused"
        head = await reads.task(tx, number)
        assert head is not None
        assert len(await reads.lines(tx, head.id)) == len(SKUS)
    with pytest.raises(AlreadyFrozen):
        await a_count(shop, kind=CountKind.PHYSICAL, freeze=True)
    draft = TransferDraft(origin_id=SHOP, destination_id=CENTRE, lines=[(1, 1)])
    async with shop.transaction(LEAD) as tx:
        transfer = await transfers.request(tx, draft)
        await transfers.approve(tx, transfer)
    with pytest.raises(LocationFrozen):
        async with shop.transaction(LEAD) as tx:
            await transfers.ship(tx, transfer, Departure())
    await enter(shop, number, {1: 10, 2: 10, 3: 10})
    await close(shop, number, zero=True)
    assert [await on_hand(shop, sku) for sku in SKUS] == [10, 10, 10, 0]
    async with shop.transaction(LEAD) as tx:
        assert (await network.locations_by_id(tx, [SHOP]))[SHOP].status == "active"
        await transfers.ship(tx, transfer, Departure())


async def test_what_nobody_counted_stays_as_it_is_unless_it_is_said_to_be_gone(shop: Database) -> None:
    number = await a_count(shop, kind=CountKind.PHYSICAL)
    await enter(shop, number, {1: 10})
    await close(shop, number)
    assert [await on_hand(shop, sku) for sku in SKUS] == [10] * 4


async def test_a_cancelled_freeze_opens_the_place_and_changes_no_stock(shop: Database) -> None:
    number = await a_count(shop, kind=CountKind.PHYSICAL, freeze=True)
    await enter(shop, number, {1: 3})
    with pytest.raises(Forbidden):
        async with shop.transaction(ANA) as tx:
            await service.cancel(tx, number, "too tired")
    async with shop.transaction(LEAD) as tx:
        await service.cancel(tx, number, "storm")
        assert (await network.locations_by_id(tx, [SHOP]))[SHOP].status == "active"
    assert await on_hand(shop, 1) == 10


async def test_a_place_somebody_had_paused_stays_paused_after_its_count(shop: Database) -> None:
    async with shop.transaction() as tx:
        await tx.execute("UPDATE location SET status = 'paused', paused_reason = 'works' WHERE id = 2")
    number = await a_count(shop, kind=CountKind.PHYSICAL, freeze=True)
    await close(shop, number)
    async with shop.snapshot() as tx:
        assert (await network.locations_by_id(tx, [SHOP]))[SHOP].status == "paused"


async def test_a_large_count_is_applied_in_steps_and_each_line_once(shop: Database) -> None:
    number = await a_count(shop, *SKUS, limits=Limits(units=9, value=100_000))
    await enter(shop, number, dict.fromkeys(SKUS, 9))
    async with shop.transaction(LEAD) as tx:
        await tx.execute("UPDATE count_task SET state = 'applying'")

    async def some() -> int:
        async with shop.transaction() as tx:
            return (await service.apply_some(tx, number, limit=1)).lines

    assert sum(await asyncio.gather(*(some() for _ in range(7)))) == len(SKUS)
    assert [await on_hand(shop, sku) for sku in SKUS] == [9] * len(SKUS)
    async with shop.snapshot() as tx:
        head = await reads.task(tx, number)
        assert head is not None
        assert head.state == "applied"


async def test_what_was_not_found_gathers_in_one_count(shop: Database) -> None:
    async def odd(sku: int) -> int:
        async with shop.transaction() as tx:
            return (await raising.raise_for(tx, SHOP, [sku], Source.SHORT_PICK)).number

    assert len(set(await asyncio.gather(*(odd(sku) for sku in SKUS)))) == 1
    async with shop.snapshot() as tx:
        (task,) = await reads.tasks(tx, open_only=True)
        assert (task.lines, task.source) == (4, "short_pick")


async def test_counts_of_other_places_are_not_there_for_a_limited_person(shop: Database) -> None:
    draft = CountDraft(location_id=CENTRE, skus=[1])
    async with shop.transaction(LEAD) as tx:
        number = await service.raise_count(tx, draft)
    with pytest.raises(UnknownCount):
        await enter(shop, number, {1: 1})


async def test_a_short_pick_has_what_was_not_found_counted_there(database: Database) -> None:
    async with database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A", stock={"DC": 9, "S1": 9})
        order_id = await an_order(tx, world, [Sold(sku, 2)])
        (work,) = await fulfillment.release_order(tx, order_id)
        await fulfillment.accept(tx, work.id)
        await fulfillment.confirm_pick(tx, work.id, short=[Short(1, 2, RejectReason.MISMATCH)])
    await drain(database, SUBSCRIPTIONS)
    await drain(database, SUBSCRIPTIONS)
    async with database.snapshot() as tx:
        (task,) = await reads.tasks(tx)
        assert (task.location, task.source, task.lines) == (work_place(world, work.location_id), "short_pick", 1)


def work_place(world: World, location_id: int) -> str:
    return next(code for code, id_ in world.locations.items() if id_ == location_id)


async def test_damaged_goods_found_while_picking_stand_in_their_bucket(database: Database) -> None:
    async with database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A", stock={"DC": 9, "S1": 9})
        order_id = await an_order(tx, world, [Sold(sku, 2)])
        (work,) = await fulfillment.release_order(tx, order_id)
        await fulfillment.confirm_pick(tx, work.id, [Picked(1, 1)], short=[Short(1, 1, RejectReason.DAMAGED)])
        assert await there(tx, sku, work.location_id) == {"sellable": 8, "damaged": 1}


async def test_nothing_is_shipped_from_a_frozen_place(database: Database) -> None:
    async with database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A", stock={"DC": 9})
        order_id = await an_order(tx, world, [Sold(sku, 2)])
        (work,) = await fulfillment.release_order(tx, order_id)
        await fulfillment.accept(tx, work.id)
        await fulfillment.confirm_pick(tx, work.id)
        await fulfillment.pack(tx, work.id)
        draft = CountDraft(location_id=work.location_id, kind=CountKind.PHYSICAL, freeze=True)
        await service.raise_count(tx, draft)
    with pytest.raises(LocationFrozen):
        async with database.transaction() as tx:
            await fulfillment.ship(tx, work.id)


# --- stock that is suspected ---


async def a_past(db: Database, sku: int, sales: int, silent_days: int, short_picks: int = 0) -> None:
    """Sales one a day until some days ago, from stock that came before them; then short picks of one unit each."""
    async with db.transaction() as tx:
        rows = [(sales + silent_days + 1, "receipt", sales + short_picks)]
        rows += [(silent_days + day, "ship", -1) for day in range(sales)]
        rows += [(0, "short_pick", -1)] * short_picks
        for ago, reason, change in rows:
            await tx.execute(
                "INSERT INTO movement (sku_id, location_id, d_on_hand, reason, recorded_at)"
                " VALUES (%(sku)s, %(place)s, %(change)s, %(reason)s, now() - make_interval(days => %(ago)s))",
                {"sku": sku, "place": SHOP, "change": change, "reason": reason, "ago": ago},
            )
        await tx.execute("UPDATE movement SET recorded_at = now() - interval '80 days' WHERE reason = 'set'")


async def look(db: Database) -> dict[int, int]:
    async with db.snapshot() as tx:
        return {s.habits.sku_id: s.score for s in await suspicions.find(tx, SHOP)}


async def test_silence_where_sales_are_expected_and_short_picks_make_stock_suspect(shop: Database) -> None:
    await a_past(shop, 1, sales=30, silent_days=12)  # one a day, then nothing for twelve days
    await a_past(shop, 2, sales=3, silent_days=12)  # too few to know
    await a_past(shop, 3, sales=30, silent_days=1)
    await a_past(shop, 4, sales=0, silent_days=1, short_picks=2)
    found = await look(shop)
    assert set(found) == {1, 4}
    assert found[4] == 70


async def test_what_is_suspected_is_held_back_counted_and_free_again_after_the_count(shop: Database) -> None:
    await a_past(shop, 1, sales=30, silent_days=12)
    assert [new async for new in suspicions.look_everywhere(shop) if new] == [1]
    assert [new async for new in suspicions.look_everywhere(shop) if new] == []
    async with shop.snapshot() as tx:
        (balance,) = await stock_reads.availability(tx, [1], [SHOP])
        assert (balance.on_hand, balance.free) == (10, 0)
        (suspicion,) = await reads.suspicions(tx)
        assert (suspicion.kept_back, suspicion.why.sales) == (10, 30)
        (task,) = await reads.tasks(tx, open_only=True)
    await move(shop, 1, 4)  # what comes in now is there and can be sold
    async with shop.snapshot() as tx:
        assert (await stock_reads.availability(tx, [1], [SHOP]))[0].free == 4
    await enter(shop, task.number, {1: 4})
    await enter(shop, task.number, {1: 4}, actor=BIA)
    async with shop.transaction(LEAD) as tx:
        await service.approve(tx, task.number)
    await close(shop, task.number)
    async with shop.snapshot() as tx:
        (balance,) = await stock_reads.availability(tx, [1], [SHOP])
        assert (balance.on_hand, balance.held, balance.free) == (4, 0, 4)
        assert await reads.suspicions(tx) == []
