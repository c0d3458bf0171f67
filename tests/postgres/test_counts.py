"""Counts: blind, against the moment, by two people; what is applied is the variance, once, whatever moves meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import msgspec
import pytest
from supply_rows import ANA, BIA, CENTRE, LEAD, SHOP, SKUS, a_retailer, there
from tests.waiting import waiting

from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.fulfillment import service as fulfillment
from malha.fulfillment.model import Picked, RejectReason, Short
from malha.intake import availability, replanning
from malha.intake.gate import Gate
from malha.intake.model import NewLine, NewOrder
from malha.intake.reference import reference_in
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
    ZoneFrozen,
)
from malha.inventory.counts.model import CountDraft, CountKind, Entry, Limits, Source
from malha.inventory.errors import NotHappenedYet, TooLongAgo
from malha.inventory.model import Claim, Reason, Reference
from malha.inventory.transfers import service as transfers
from malha.inventory.transfers.model import Departure, TransferDraft
from malha.network import reads as network
from malha.network import service as places
from malha.network.model import LocationStatus
from malha.platform.address import Address
from malha.platform.db import Actor, Database, Tx
from malha.platform.errors import Forbidden
from malha.platform.flaws import Invalid
from malha.platform.ids import UUID
from malha.platform.subscribers import drain
from malha.testing.builders import Sold, World, a_network, a_product, an_order, an_owner_at

UNITS = 10
WIDE = Limits(units=9, value=100_000_000)
SAO_PAULO = Address(postal_code="01310100", city="São Paulo", state="SP", street="Av. Paulista", number="1000")


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


async def applied(tx: Tx, number: int) -> int:
    task = await reads.task(tx, number)
    assert task is not None
    return sum(line.variance or 0 for line in await reads.lines(tx, task.id))


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


@pytest.mark.parametrize(("first", "again"), [(BIA, LEAD), (LEAD, BIA)])
async def test_nobody_approves_what_they_counted_first_or_again(shop: Database, first: Actor, again: Actor) -> None:
    number = await a_count(shop, 1)
    await enter(shop, number, {1: 7}, actor=first)
    assert await enter(shop, number, {1: 7}, actor=again) == {1: "review"}
    with pytest.raises(OwnCount):
        async with shop.transaction(LEAD) as tx:
            await service.approve(tx, number)


async def test_who_counted_some_of_all_that_wait_approves_the_others(shop: Database) -> None:
    number = await a_count(shop, 1, 2)
    await enter(shop, number, {1: 7}, actor=LEAD)
    await enter(shop, number, {2: 6}, actor=ANA)
    assert await enter(shop, number, {1: 7, 2: 6}, actor=BIA) == {1: "review", 2: "review"}
    async with shop.transaction(LEAD) as tx:
        with pytest.raises(OwnCount):
            await service.approve(tx, number, [1, 2])
        assert await service.approve(tx, number) == 1
        assert await reads.to_approve(tx, number) == 1
        with pytest.raises(OwnCount):
            await service.approve(tx, number)
    with pytest.raises(Undecided):
        await close(shop, number)


async def scan(db: Database, number: int, sku: int, units: int, actor: Actor, *, add: bool = True) -> None:
    async with db.transaction(actor) as tx:
        await service.tally(tx, number, sku, units, add=add)


async def scanned(db: Database, number: int, actor: Actor) -> dict[int, str]:
    async with db.transaction(actor) as tx:
        return {sku: str(state) for sku, state in (await service.finish(tx, number, {})).items()}


async def counters(db: Database, number: int) -> dict[int, list[str]]:
    async with db.snapshot() as tx:
        task = await reads.task(tx, number)
        assert task is not None
        return {line.sku_id: line.counters for line in await reads.lines(tx, task.id)}


async def test_who_scanned_part_of_a_line_is_one_who_counted_it(shop: Database) -> None:
    number = await a_count(shop, 1, 2)
    await scan(shop, number, 1, 3, LEAD)
    await scan(shop, number, 1, 4, ANA)
    await scan(shop, number, 2, 6, ANA)
    assert await scanned(shop, number, ANA) == {1: "recount", 2: "recount"}
    assert await enter(shop, number, {1: 7, 2: 6}, actor=BIA) == {1: "review", 2: "review"}
    both = ["person:ana", "person:bia"]
    assert await counters(shop, number) == {1: ["person:lead", *both], 2: both}
    async with shop.transaction(LEAD) as tx:
        with pytest.raises(OwnCount):
            await service.approve(tx, number, [1])
        assert await service.approve(tx, number) == 1
    async with shop.transaction(msgspec.structs.replace(LEAD, id="other")) as tx:
        assert await service.approve(tx, number) == 1


async def test_a_sheet_does_not_throw_away_what_a_colleague_is_just_scanning(shop: Database) -> None:
    number = await a_count(shop, 1, 2)
    await scan(shop, number, 1, 8, ANA)
    with pytest.raises(NotCountable) as refused:
        await enter(shop, number, {1: 3, 2: 10}, actor=BIA)
    assert [problem["at"] for problem in refused.value.facts["problems"]] == ["/items/0"]
    assert await enter(shop, number, {2: 10}, actor=BIA) == {2: "accepted"}
    await scan(shop, number, 1, 2, ANA)
    assert await scanned(shop, number, ANA) == {1: "accepted"}, "nothing that was scanned is lost"
    # Who scans on where another one stopped has all of it, and may say on a sheet what there is as well.
    other = await a_count(shop, 1, 2)
    await scan(shop, other, 1, 8, ANA)
    await scan(shop, other, 2, 1, ANA)
    await scan(shop, other, 1, 2, BIA)
    assert await scanned(shop, other, BIA) == {1: "accepted"}
    assert await enter(shop, other, {2: 10}, actor=ANA) == {2: "accepted"}


async def test_who_scanned_part_of_a_line_does_not_count_it_again(shop: Database) -> None:
    number = await a_count(shop, 1)
    await scan(shop, number, 1, 3, BIA)
    await scan(shop, number, 1, 4, ANA)
    assert await scanned(shop, number, ANA) == {1: "recount"}
    for again in (ANA, BIA):
        with pytest.raises(NotCountable):
            await scan(shop, number, 1, 7, again)
    async with shop.snapshot() as tx:
        task = await reads.task(tx, number)
        assert task is not None
        for who, lines in ((ANA, 0), (BIA, 0), (LEAD, 1)):
            assert len(await reads.to_count(tx, task.id, who.label, limit=9)) == lines
            assert await reads.left(tx, task.id, who.label) == reads.Left(lines, 1 - lines)


async def test_who_takes_all_scanned_units_away_again_counted_nothing(shop: Database) -> None:
    number = await a_count(shop, 1)
    await scan(shop, number, 1, 3, LEAD)
    await scan(shop, number, 1, -3, LEAD)
    await enter(shop, number, {1: 7}, actor=ANA)
    await enter(shop, number, {1: 7}, actor=BIA)
    async with shop.transaction(LEAD) as tx:
        assert await service.approve(tx, number) == 1


async def test_what_is_sold_after_the_count_is_not_counted_away_again(shop: Database) -> None:
    number = await a_count(shop, 1, limits=Limits(units=9, value=100_000))
    await enter(shop, number, {1: 8})
    await move(shop, 1, -3)
    await close(shop, number)
    assert await on_hand(shop, 1) == 5


async def test_two_counts_that_find_the_same_units_missing_take_them_off_once(shop: Database) -> None:
    first, second = [await a_count(shop, 1, limits=WIDE) for _ in range(2)]
    await enter(shop, first, {1: 8})
    await enter(shop, second, {1: 8}, BIA)
    await close(shop, first)
    await close(shop, second)
    assert await on_hand(shop, 1) == 8
    async with shop.snapshot() as tx:
        assert [await applied(tx, number) for number in (first, second)] == [-2, 0]
        task = await reads.task(tx, second)
        assert task is not None
        (line,) = await reads.lines(tx, task.id)
    assert (line.counted, line.expected, line.corrected) == (8, 8, -2)
    assert reads.blind(line).corrected is None


async def test_a_later_count_is_not_undone_by_an_earlier_one_that_ends_after_it(shop: Database) -> None:
    early, late, agrees = [await a_count(shop, 1, 2, limits=WIDE) for _ in range(3)]
    await enter(shop, early, {1: 8, 2: 7})
    await enter(shop, late, {1: 13}, BIA)
    await enter(shop, agrees, {2: UNITS}, BIA)
    for number in (late, agrees, early):
        await close(shop, number)
    assert [await on_hand(shop, sku) for sku in (1, 2)] == [13, UNITS]


async def test_an_earlier_count_that_ends_first_leaves_the_later_one_what_it_found(shop: Database) -> None:
    early, late = [await a_count(shop, 1, limits=WIDE) for _ in range(2)]
    await enter(shop, early, {1: 8})
    await enter(shop, late, {1: 5}, BIA)
    await close(shop, early)
    await close(shop, late)
    assert await on_hand(shop, 1) == 5


@pytest.mark.parametrize("seen", [UNITS, 9, 8, 5, 12])
async def test_what_an_earlier_count_wrote_is_taken_back_by_one_that_saw_more(shop: Database, seen: int) -> None:
    early, late = [await a_count(shop, 1, limits=WIDE) for _ in range(2)]
    await enter(shop, early, {1: 7})
    await enter(shop, late, {1: seen}, BIA)
    await close(shop, early)
    await close(shop, late)
    assert await on_hand(shop, 1) == seen


@pytest.mark.parametrize("seen", [UNITS, 9])
async def test_what_is_counted_on_the_page_of_a_balance_is_later_than_a_count_that_is_open(
    shop: Database, seen: int
) -> None:
    number = await a_count(shop, 1, 2, limits=WIDE)
    await enter(shop, number, {1: 7, 2: 7})
    async with shop.transaction(BIA) as tx:
        await service.count_shelf(tx, 1, SHOP, seen)
    await close(shop, number)
    assert [await on_hand(shop, sku) for sku in (1, 2)] == [seen, 7]
    async with shop.snapshot() as tx:
        task = await reads.task(tx, number)
        assert task is not None
        lines = {line.sku_id: line for line in await reads.lines(tx, task.id)}
        assert [(lines[sku].variance, lines[sku].superseded) for sku in (1, 2)] == [(0, True), (-3, False)]


async def test_what_is_counted_on_the_page_of_a_balance_before_does_not_matter(shop: Database) -> None:
    number = await a_count(shop, 1, limits=WIDE)
    async with shop.transaction(BIA) as tx:
        await service.count_shelf(tx, 1, SHOP, UNITS)
    await enter(shop, number, {1: 7})
    await close(shop, number)
    assert await on_hand(shop, 1) == 7


@pytest.mark.parametrize(
    ("reason", "about", "change", "left"),
    [
        (Reason.LOSS, "api", -2, 7),  # two of the three that the count misses
        (Reason.ADJUSTMENT, "console", -3, 7),
        (Reason.LOSS, "api", -5, 5),  # two more than that
        (Reason.DAMAGE, "console", -2, 5),  # they were counted, and broke afterwards
        (Reason.ADJUSTMENT, "api", -2, 7),  # by a program, as on the page
        (Reason.ADJUSTMENT, "api", 2, 9),
        (Reason.ADJUSTMENT, "source", -2, 5),  # a source's: goods that left there
        (Reason.FOUND, "console", 1, 8),  # found after the counting
    ],
)
async def test_what_a_person_takes_off_between_counting_and_closing_is_not_taken_off_again(
    shop: Database, reason: Reason, about: str, change: int, left: int
) -> None:
    number = await a_count(shop, 1, limits=WIDE)
    await enter(shop, number, {1: 7})
    async with shop.transaction(BIA) as tx:
        await stock.adjust(tx, [Claim(1, SHOP, change)], reason, Reference(about))
    await close(shop, number)
    assert await on_hand(shop, 1) == left


@pytest.mark.parametrize(
    ("reason", "about", "change", "stated", "left"),
    [
        (Reason.LOSS, "api", -2, 13, 13),
        (Reason.ADJUSTMENT, "console", -2, 13, 13),
        (Reason.ADJUSTMENT, "console", -1, 13, 12),
        (Reason.FOUND, "console", 3, 11, 11),  # a system that knows neither: its number is less than was found
    ],
)
async def test_goods_that_a_system_tells_of_do_not_hide_what_a_person_noted(
    shop: Database, reason: Reason, about: str, change: int, stated: int, left: int
) -> None:
    number = await a_count(shop, 1, limits=WIDE)
    await enter(shop, number, {1: 8})
    async with shop.transaction(BIA) as tx:
        await stock.adjust(tx, [Claim(1, SHOP, change)], reason, Reference(about))
        await stock.set_on_hand(tx, [Claim(1, SHOP, stated)], Reference("api"))
    await close(shop, number)
    assert await on_hand(shop, 1) == left


async def test_what_a_person_takes_off_and_puts_back_leaves_the_variance_as_it_was(shop: Database) -> None:
    number = await a_count(shop, 1, limits=WIDE)
    await enter(shop, number, {1: 8})
    async with shop.transaction(BIA) as tx:
        for change in (-2, 2):
            await stock.adjust(tx, [Claim(1, SHOP, change)], Reason.ADJUSTMENT, Reference("console"))
    await close(shop, number)
    assert await on_hand(shop, 1) == 8


@pytest.mark.parametrize(("stated", "left"), [(8, 8), (9, 8), (6, 6), (14, 12), (UNITS, 8)])
async def test_what_a_system_corrects_between_counting_and_closing_is_not_corrected_again(
    shop: Database, stated: int, left: int
) -> None:
    number = await a_count(shop, 1, limits=WIDE)
    await enter(shop, number, {1: 8})
    async with shop.transaction() as tx:
        await stock.set_on_hand(tx, [Claim(1, SHOP, stated)], Reference("api"))
    await close(shop, number)
    assert await on_hand(shop, 1) == left


@pytest.mark.parametrize(("stated", "left"), [(6, 9), (UNITS, 13), (12, 13), (13, 13), (14, 14)])
async def test_what_a_system_states_of_a_shelf_with_more_than_it_knows_hides_no_find(
    shop: Database, stated: int, left: int
) -> None:
    number = await a_count(shop, 1, limits=WIDE)
    await enter(shop, number, {1: 13})
    async with shop.transaction() as tx:
        await stock.set_on_hand(tx, [Claim(1, SHOP, stated)], Reference("api"))
    await close(shop, number)
    assert await on_hand(shop, 1) == left


async def test_a_short_pick_of_what_the_count_misses_too_is_taken_off_once(shop: Database) -> None:
    number = await a_count(shop, 1, limits=WIDE)
    await enter(shop, number, {1: 6})
    async with shop.transaction() as tx:
        await stock.adjust(tx, [Claim(1, SHOP, -3)], Reason.SHORT_PICK, Reference("fulfillment"))
    await close(shop, number)
    assert await on_hand(shop, 1) == 6


async def test_a_short_pick_and_goods_that_came_later_do_not_cancel_each_other_out(shop: Database) -> None:
    number = await a_count(shop, 1, limits=WIDE)
    await enter(shop, number, {1: 8})
    async with shop.transaction() as tx:
        await stock.adjust(tx, [Claim(1, SHOP, -2)], Reason.SHORT_PICK, Reference("fulfillment"))
        await stock.set_on_hand(tx, [Claim(1, SHOP, 13)], Reference("api"))  # five came
    await close(shop, number)
    assert await on_hand(shop, 1) == 13


async def test_a_difference_that_a_program_calls_a_count_is_no_later_count(shop: Database) -> None:
    number = await a_count(shop, 1, limits=WIDE)
    await enter(shop, number, {1: 5})
    async with shop.transaction() as tx:
        await stock.adjust(tx, [Claim(1, SHOP, -1)], Reason.COUNT, Reference("api"))
    await close(shop, number)
    assert await on_hand(shop, 1) == 5


async def state_10_here(tx: Tx) -> None:
    await stock.set_on_hand(tx, [Claim(1, SHOP, UNITS)], Reference("source"))


async def adjust_by_1(tx: Tx) -> None:
    await stock.adjust(tx, [Claim(1, SHOP, 1)], Reason.ADJUSTMENT, Reference("api"))


@pytest.mark.parametrize("brings_back", [state_10_here, adjust_by_1])
async def test_a_short_pick_that_somebody_brings_back_does_not_explain_what_is_missing(
    shop: Database, brings_back: Callable[[Tx], Awaitable[None]]
) -> None:
    number = await a_count(shop, 1, limits=WIDE)
    await enter(shop, number, {1: 8})
    async with shop.transaction() as tx:
        await stock.adjust(tx, [Claim(1, SHOP, -1)], Reason.SHORT_PICK, Reference("order"))
        await brings_back(tx)
    await close(shop, number)
    assert await on_hand(shop, 1) == 8


@pytest.mark.parametrize("seen", [8, 13])
@pytest.mark.parametrize("told", [0, 6, UNITS, 15])
async def test_a_number_of_before_the_counting_loses_though_it_is_told_after_it(
    shop: Database, seen: int, told: int
) -> None:
    async with shop.transaction() as tx:
        before = await tx.value("SELECT clock_timestamp()")
    number = await a_count(shop, 1, limits=WIDE)
    await enter(shop, number, {1: seen})
    async with shop.transaction() as tx:
        await stock.adjust(tx, [Claim(1, SHOP, -2)], Reason.HAND_OVER, Reference("till"))
        await stock.set_on_hand(tx, [Claim(1, SHOP, told)], Reference("api"), occurred_at=before)
    await close(shop, number)
    assert await on_hand(shop, 1) == seen - 2


async def test_an_import_that_is_taken_back_leaves_the_variance_as_it_was(shop: Database) -> None:
    number = await a_count(shop, 1, limits=WIDE)
    await enter(shop, number, {1: 8})
    async with shop.transaction() as tx:
        await stock.set_on_hand(tx, [Claim(1, SHOP, 9)], Reference("import"))
        await stock.adjust(tx, [Claim(1, SHOP, 1)], Reason.ADJUSTMENT, Reference("import"))
    await close(shop, number)
    assert await on_hand(shop, 1) == 8


@pytest.mark.parametrize("reason", [Reason.LOSS, Reason.SHORT_PICK])
async def test_what_began_before_the_counting_and_had_the_balance_after_it_came_after_it(
    shop: Database, reason: Reason
) -> None:
    number = await a_count(shop, 1, limits=WIDE)
    async with shop.transaction(BIA) as tx:
        await tx.now()  # its movements are recorded as of here
        await enter(shop, number, {1: 8})
        await stock.adjust(tx, [Claim(1, SHOP, -2)], reason, Reference("api"))
    await close(shop, number)
    assert await on_hand(shop, 1) == 8


async def test_what_waited_for_the_balance_while_it_was_counted_came_after_it(shop: Database) -> None:
    number = await a_count(shop, 1, limits=WIDE)

    async def lose() -> None:
        async with shop.transaction(BIA) as tx:
            await stock.adjust(tx, [Claim(1, SHOP, -2)], Reason.LOSS, Reference("api"))

    async with shop.transaction(ANA) as tx:
        await stock.lock_balances(tx, [(1, SHOP)])
        losing = asyncio.create_task(lose())
        async with asyncio.timeout(60):
            while not await waiting(shop):
                await asyncio.sleep(0.01)
        await service.enter(tx, number, [Entry(1, 8)], {})
    await losing
    await close(shop, number)
    assert await on_hand(shop, 1) == 8


async def test_what_is_said_to_have_come_before_the_counting_takes_no_more_than_was_judged(shop: Database) -> None:
    async with shop.transaction() as tx:
        then = await tx.value("SELECT clock_timestamp()")
    number = await a_count(shop, 1, limits=Limits(units=2, value=100_000))
    assert await enter(shop, number, {1: 8}) == {1: "accepted"}
    async with shop.transaction() as tx:  # they stood at the dock
        await stock.adjust(tx, [Claim(1, SHOP, 100)], Reason.RECEIPT, Reference("receipt"), then)
    await close(shop, number)
    assert await on_hand(shop, 1) == UNITS + 100 - 2


async def test_a_count_is_of_no_moment_that_is_to_come_and_of_none_before_there_were_books(shop: Database) -> None:
    number = await a_count(shop, 1, limits=WIDE)
    async with shop.transaction() as tx:
        now = await tx.now()
    with pytest.raises(NotHappenedYet):
        async with shop.transaction(ANA) as tx:
            await service.enter(tx, number, [Entry(1, 8, now + timedelta(days=365))], {})
    with pytest.raises(TooLongAgo):
        async with shop.transaction(ANA) as tx:
            await service.enter(tx, number, [Entry(1, 8, now.replace(year=1600))], {})
    async with shop.transaction(ANA) as tx:  # a clock that is a little fast
        await service.enter(tx, number, [Entry(1, 8, now + timedelta(seconds=30))], {})
        task = await reads.task(tx, number)
        assert task is not None
        (line,) = await reads.lines(tx, task.id)
        assert line.as_of is not None
        assert line.as_of < now + timedelta(seconds=30)


@pytest.mark.parametrize("noted_first", [True, False])
async def test_a_sale_from_before_the_counting_that_is_told_later_explains_the_variance(
    shop: Database, *, noted_first: bool
) -> None:
    async with shop.transaction() as tx:
        sold = await tx.value("SELECT clock_timestamp()")
    async with shop.transaction() as tx:
        counted = await tx.value("SELECT clock_timestamp()")
    number = await a_count(shop, 1, limits=WIDE)

    async def note() -> None:
        async with shop.transaction(ANA) as tx:
            await service.enter(tx, number, [Entry(1, 9, counted)], {})

    if noted_first:
        await note()
    async with shop.transaction() as tx:
        await stock.adjust(tx, [Claim(1, SHOP, -1)], Reason.HAND_OVER, Reference("till"), sold)
    if not noted_first:
        await note()
    await close(shop, number)
    assert await on_hand(shop, 1) == 9


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


async def test_taking_the_last_scan_away_again_is_not_having_counted_that_none_is_there(shop: Database) -> None:
    number = await a_count(shop, 1)
    async with shop.transaction(ANA) as tx:
        assert await service.tally(tx, number, 1, 2) == 2
        assert await service.tally(tx, number, 1, -1) == 1
        assert await service.tally(tx, number, 1, -1) == 0
        assert await service.tally(tx, number, 3, -1) == 0  # scanned by mistake, and not even once
        assert await service.finish(tx, number, {}) == {}
    async with shop.transaction(ANA) as tx:
        assert await service.tally(tx, number, 1, 0, add=False) == 0  # said in so many words
        assert await service.finish(tx, number, {}) == {1: "recount"}


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


async def a_frozen_centre(db: Database, until: timedelta | None = None) -> int:
    """Write a world with a cup at DC alone, paused `until` then, and freeze DC; return the count's number."""
    async with db.transaction() as tx:
        world = await a_network(tx)
        await a_product(tx, world, "CUP", stock={"DC": 9})
        if until is not None:
            end = await tx.now() + until
            await places.set_location_status(tx, "DC", LocationStatus.PAUSED, reason="works", until=end)
        draft = CountDraft(location_id=world.locations["DC"], kind=CountKind.PHYSICAL, freeze=True)
        return await service.raise_count(tx, draft)


async def open_centre(tx: Tx) -> None:
    await places.set_location_status(tx, "DC", LocationStatus.ACTIVE)


async def end_the_pause(tx: Tx) -> None:
    await tx.execute("UPDATE location SET paused_until = now() WHERE code = 'DC'")
    assert await places.resume_due(tx) == ["DC"]


@pytest.mark.parametrize("opened", [open_centre, end_the_pause])
async def test_no_order_goes_to_a_frozen_place_though_somebody_opens_it_or_its_own_pause_ends(
    database: Database, opened: Callable[[Tx], Awaitable[None]]
) -> None:
    number = await a_frozen_centre(database, timedelta(hours=1) if opened is end_the_pause else None)
    async with database.transaction() as tx:
        await opened(tx)
    gate = Gate(database)
    order = NewOrder(channel="web", external_id="Z-1", lines=[NewLine("CUP", 1, 1000)], ship_to=SAO_PAULO)
    waits = await gate.submit(order)
    await gate.close()
    assert [line.location for line in waits.lines] == [None]
    async with database.transaction() as tx:
        assert await replanning.place_units(tx, waits.id) != []
        await service.cancel(tx, number, "x")
        assert await replanning.place_units(tx, waits.id) == []


async def test_a_place_somebody_pauses_during_its_count_stays_paused_after_it(database: Database) -> None:
    number = await a_frozen_centre(database)
    async with database.transaction() as tx:
        await places.set_location_status(tx, "DC", LocationStatus.PAUSED, reason="flood")
        await service.cancel(tx, number, "x")
        place = (await network.locations_by_code(tx, ["DC"]))["DC"]
    assert (place.status, place.paused_reason) == ("paused", "flood")


async def test_of_two_counts_that_freeze_two_owners_goods_of_a_site_at_once_one_does(database: Database) -> None:
    async with database.transaction() as tx:
        world = await a_network(tx)
        code = await an_owner_at(tx, world, "DC", "SP9", root="98765432")
        await a_product(tx, world, "CUP", stock={"DC": 9, code: 4})
    drafts = [
        CountDraft(location_id=world.locations[place], kind=CountKind.PHYSICAL, freeze=True, owner_alone=True)
        for place in ("DC", code)
    ]

    async def second() -> int:
        async with database.transaction() as tx:
            return await service.raise_count(tx, drafts[1])

    async with database.transaction() as tx:
        await service.raise_count(tx, drafts[0])
        other = asyncio.create_task(second())
        async with asyncio.timeout(60):
            while not await waiting(database):
                await asyncio.sleep(0.01)
    with pytest.raises(AlreadyFrozen):
        await other


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
        (task,) = await reads.tasks(tx, reads.TasksWanted(open_only=True))
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
        (task,) = await reads.tasks(tx, reads.TasksWanted())
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


# --- a zone that is frozen ---


async def a_zone_count(tx: Tx, place: int, *skus: int, zone: str = "A") -> int:
    draft = CountDraft(location_id=place, skus=list(skus) or None, zone=zone, freeze_zone=True)
    return await service.raise_count(tx, draft)


async def ready_to_ship(tx: Tx, world: World, sku: int) -> UUID:
    order_id = await an_order(tx, world, [Sold(sku, 2)])
    (work,) = await fulfillment.release_order(tx, order_id)
    await fulfillment.accept(tx, work.id)
    await fulfillment.confirm_pick(tx, work.id)
    await fulfillment.pack(tx, work.id)
    return work.id


async def test_a_frozen_zone_stands_still_and_the_rest_of_the_location_goes_on(database: Database) -> None:
    async with database.transaction() as tx:
        world = await a_network(tx)
        await tx.execute("UPDATE establishment SET document_policy = 'not_required'")
        skus = {code: await a_product(tx, world, code, stock={"DC": 9}) for code in ("CUP", "PLATE")}
        work = {code: await ready_to_ship(tx, world, sku) for code, sku in skus.items()}
        number = await a_zone_count(tx, world.locations["DC"], skus["CUP"])
        transfer = await transfers.request(
            tx,
            TransferDraft(
                origin_id=world.locations["DC"], destination_id=world.locations["S1"], lines=[(skus["CUP"], 1)]
            ),
        )
        await transfers.approve(tx, transfer)
        place = (await network.locations_by_id(tx, [world.locations["DC"]]))[world.locations["DC"]]
        assert place.status == "active"
    with pytest.raises(ZoneFrozen) as told:
        async with database.transaction() as tx:
            await fulfillment.ship(tx, work["CUP"])
    assert str(told.value) == f"CUP at DC is frozen for count {number} of its zone: it may not leave."
    with pytest.raises(ZoneFrozen):
        async with database.transaction(LEAD) as tx:
            await transfers.ship(tx, transfer, Departure())
    async with database.transaction() as tx:
        await fulfillment.ship(tx, work["PLATE"])
        reference = await reference_in(tx)
        cards = await reference.cards(tx, list(skus))
        told_of = await availability.offers(tx, reference, reference.channels["web"], cards)
        common, _to_come = await availability.common_stock(tx, reference, list(skus.values()))
    assert {offer.sku: offer.available for offer in told_of.skus} == {"CUP": 0, "PLATE": 7}
    assert {sku: sum(column) for sku, column in common.items()} == {skus["CUP"]: 0, skus["PLATE"]: 7}
    # Two are packed and not on the shelf; one more than that is missing.
    for who in ("eva", "lia"):
        async with database.transaction(Actor("person", who, who)) as tx:
            await service.enter(tx, number, [Entry(skus["CUP"], 6)], {skus["CUP"]: 2})
    async with database.transaction() as tx:
        await service.approve(tx, number)
        await service.close(tx, number, {})
    async with database.transaction() as tx:
        assert (await there(tx, skus["CUP"], world.locations["DC"]))["sellable"] == 8
        await fulfillment.ship(tx, work["CUP"])


async def test_orders_are_sent_elsewhere_or_wait_while_a_zone_is_frozen_and_have_it_when_it_thaws(
    database: Database,
) -> None:
    async with database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "CUP", stock={"DC": 9, "S1": 2})
    gate = Gate(database)

    def bought(number: int, units: int) -> NewOrder:
        return NewOrder(
            channel="web", external_id=f"Z-{number}", lines=[NewLine("CUP", units, 1000)], ship_to=SAO_PAULO
        )

    before = await gate.submit(bought(1, 1))  # the gate has its reference data now
    async with database.transaction() as tx:
        number = await a_zone_count(tx, world.locations["DC"], sku)
    after = await gate.submit(bought(2, 1))
    waits = await gate.submit(bought(3, 4))
    await gate.close()
    assert [line.location for line in before.lines] == ["DC"]
    assert [line.location for line in after.lines] == ["S1"]
    assert {line.state for line in waits.lines} <= {"unplaced", "backordered", "allocated"}
    assert sum(line.quantity for line in waits.lines if line.state == "allocated") <= 1
    async with database.transaction() as tx:
        assert await replanning.place_units(tx, waits.id) != []
        await service.cancel(tx, number, "not today")
        assert await replanning.place_units(tx, waits.id) == []


async def test_what_is_found_in_a_frozen_zone_stands_still_too(shop: Database) -> None:
    async with shop.transaction(LEAD) as tx:
        number = await a_zone_count(tx, SHOP, 1)
    await enter(shop, number, {2: 10})
    async with shop.snapshot() as tx:
        assert await reads.frozen_goods(tx) == {1: {SHOP}, 2: {SHOP}}
    async with shop.transaction(LEAD) as tx:
        await service.cancel(tx, number, "x")
        assert await reads.frozen_goods(tx) == {}


async def test_a_zone_is_what_was_last_counted_in_it(shop: Database) -> None:
    with pytest.raises(Invalid):
        async with shop.transaction(LEAD) as tx:
            await a_zone_count(tx, SHOP, zone="A")
    for zone, skus in (("a", [1, 2]), ("B", [2])):
        number = await a_count(shop, *skus, zone=zone)
        await enter(shop, number, dict.fromkeys(skus, 10))
        await close(shop, number)
    number = await a_count(shop, 3)
    async with shop.transaction(ANA) as tx:
        await service.enter(tx, number, [Entry(3, 10, bin="A-07")], {})
    async with shop.snapshot() as tx:
        assert await reads.skus_of_zone(tx, [SHOP], "A") == [1, 3]
        assert await reads.skus_of_zone(tx, [SHOP], "B") == [2]
        assert await reads.skus_of_zone(tx, [CENTRE], "A") == []
    async with shop.transaction(LEAD) as tx:
        number = await a_zone_count(tx, SHOP, zone="A")
        assert sorted(await reads.frozen_goods(tx)) == [1, 3]


async def test_zones_freeze_beside_each_other_and_only_for_who_may_approve(shop: Database) -> None:
    with pytest.raises(Forbidden):
        async with shop.transaction(ANA) as tx:
            await a_zone_count(tx, SHOP, 1)
    with pytest.raises(Invalid):
        await a_count(shop, kind=CountKind.PHYSICAL, zone="A", freeze_zone=True)
    async with shop.transaction(LEAD) as tx:
        first = await a_zone_count(tx, SHOP, 1)
        await a_zone_count(tx, SHOP, 1, 2, zone="B")
        await service.cancel(tx, first, "x")
        assert await reads.frozen_goods(tx) == {1: {SHOP}, 2: {SHOP}}
    await a_count(shop, kind=CountKind.PHYSICAL, freeze=True)
    with pytest.raises(AlreadyFrozen):
        async with shop.transaction(LEAD) as tx:
            await a_zone_count(tx, SHOP, 3)


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
        (task,) = await reads.tasks(tx, reads.TasksWanted(open_only=True))
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


async def kept(db: Database) -> tuple[int, int, int]:
    """What is on hand, held and free of the suspected SKU; its suspicion says the same."""
    async with db.snapshot() as tx:
        (balance,) = await stock_reads.availability(tx, [1], [SHOP])
        assert [s.kept_back for s in await reads.suspicions(tx)] in ([], [balance.held])
    return balance.on_hand, balance.held, balance.free


async def test_goods_that_come_after_a_suspected_loss_was_written_down_are_sold(shop: Database) -> None:
    await a_past(shop, 1, sales=30, silent_days=12)
    assert [new async for new in suspicions.look_everywhere(shop) if new] == [1]
    await move(shop, 1, -4)
    assert await kept(shop) == (6, 6, 0)  # what is left is as doubtful as before
    async with shop.transaction() as tx:
        await stock.set_on_hand(tx, [Claim(1, SHOP, 0)], Reference("test"))
    assert await kept(shop) == (0, 0, 0)
    await move(shop, 1, 8)
    assert await kept(shop) == (8, 0, 8)
    async with shop.snapshot() as tx:
        assert [s.sku_id for s in await reads.suspicions(tx)] == [1]  # until somebody counts
    async with shop.transaction(LEAD) as tx:
        await suspicions.lift(tx, [SHOP], [1], "counted")
    assert await kept(shop) == (8, 0, 8)


async def test_who_lifts_a_suspicion_and_who_writes_the_loss_down_do_not_wait_for_each_other(shop: Database) -> None:
    await a_past(shop, 1, sales=30, silent_days=12)
    assert [new async for new in suspicions.look_everywhere(shop) if new] == [1]

    async def lift() -> None:
        async with shop.transaction(LEAD) as tx:
            await suspicions.lift(tx, [SHOP], [1], "seen")

    await asyncio.gather(lift(), *(move(shop, 1, -1) for _ in range(8)))
    assert await kept(shop) == (2, 0, 2)


@pytest.mark.parametrize("seen", [UNITS, 4])
async def test_what_is_counted_on_the_page_of_a_balance_is_suspected_no_more(shop: Database, seen: int) -> None:
    await a_past(shop, 1, sales=30, silent_days=12)
    assert [new async for new in suspicions.look_everywhere(shop) if new] == [1]
    async with shop.transaction(ANA) as tx:
        await service.count_shelf(tx, 1, SHOP, seen)
    async with shop.snapshot() as tx:
        (balance,) = await stock_reads.availability(tx, [1], [SHOP])
        assert (balance.on_hand, balance.held, balance.free) == (seen, 0, seen)
        assert await reads.suspicions(tx) == []
