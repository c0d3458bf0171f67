"""Stock under concurrency: never oversold, the ledger equals the balance, holds give way when their time is over."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from malha.inventory import reads, service
from malha.inventory.errors import ClaimNotHeld, HoldExists
from malha.inventory.model import Claim, Reason, Reference
from malha.platform.db import Database, Tx
from malha.platform.ids import new_id

SKUS = 3
LOCATIONS = 2


@pytest.fixture
async def stocked(database: Database) -> Database:
    """Three SKUs at two locations, ten units each."""
    async with database.transaction() as tx:
        await tx.execute(
            "WITH e AS (INSERT INTO legal_entity (name, cnpj_root) VALUES ('E', '12345678') RETURNING id), "
            "s AS (INSERT INTO establishment (legal_entity_id, code, name, cnpj, state) "
            "SELECT id, 'E1', 'E', '12345678000195', 'SP' FROM e RETURNING id) "
            "INSERT INTO location (code, name, kind, establishment_id, state) "
            "SELECT 'L' || n, 'L', 'store', s.id, 'SP' FROM s, generate_series(1, 2) n"
        )
        await tx.execute("INSERT INTO product (code, name) VALUES ('P', 'P')")
        await tx.execute(
            "INSERT INTO variant (product_id, sku, name) SELECT 1, 'S' || n, 'S' FROM generate_series(1, 3) n"
        )
        goods = [Claim(sku, loc, 10) for sku in range(1, SKUS + 1) for loc in range(1, LOCATIONS + 1)]
        await service.set_on_hand(tx, goods, Reference("test"))
    return database


async def balances(tx: Tx) -> dict[tuple[int, int], tuple[int, int, int]]:
    rows = await tx.tuples("SELECT sku_id, location_id, on_hand, allocated, held FROM balance")
    return {(s, loc): (on_hand, allocated, held) for s, loc, on_hand, allocated, held in rows}


async def ledger_sums(tx: Tx) -> dict[tuple[int, int], tuple[int, int, int]]:
    rows = await tx.tuples(
        "SELECT sku_id, location_id, sum(d_on_hand)::int, sum(d_allocated)::int, sum(d_held)::int "
        "FROM movement GROUP BY 1, 2"
    )
    return {(s, loc): (on_hand, allocated, held) for s, loc, on_hand, allocated, held in rows}


async def assert_ledger_equals_balances(database: Database) -> None:
    async with database.snapshot() as tx:
        assert await balances(tx) == await ledger_sums(tx)


async def reserve(database: Database, claims: Sequence[Claim]) -> bool:
    async with database.transaction() as tx:
        return not await service.reserve(tx, claims, Reference("order", new_id()))


async def test_fifty_buyers_get_exactly_the_ten_units_there_are(stocked: Database) -> None:
    granted = await asyncio.gather(*(reserve(stocked, [Claim(1, 1, 1)]) for _ in range(50)))
    assert sum(granted) == 10
    await assert_ledger_equals_balances(stocked)


async def test_a_claim_is_all_or_nothing(stocked: Database) -> None:
    async with stocked.transaction() as tx:
        short = await service.reserve(tx, [Claim(1, 1, 4), Claim(2, 1, 11)], Reference("order", new_id()))
        assert [(s.sku_id, s.asked, s.free) for s in short] == [(2, 11, 10)]
    async with stocked.snapshot() as tx:
        assert (await balances(tx))[1, 1] == (10, 0, 0)
    await assert_ledger_equals_balances(stocked)


async def test_two_lines_on_one_sku_are_checked_on_their_sum(stocked: Database) -> None:
    assert not await reserve(stocked, [Claim(1, 1, 6), Claim(1, 1, 6)])
    assert await reserve(stocked, [Claim(1, 1, 6), Claim(1, 1, 4)])


async def test_buyers_of_the_same_skus_in_opposite_order_do_not_deadlock(stocked: Database) -> None:
    forward = [Claim(sku, loc, 1) for sku in (1, 2, 3) for loc in (1, 2)]
    outcomes = await asyncio.gather(
        *(reserve(stocked, forward if n % 2 else list(reversed(forward))) for n in range(24))
    )
    assert sum(outcomes) == 10
    await assert_ledger_equals_balances(stocked)


async def test_twenty_holders_of_ten_units_never_hold_more_than_ten(stocked: Database) -> None:
    async def hold(n: int) -> bool:
        async with stocked.transaction() as tx:
            return not await service.place_hold(tx, f"cart-{n}", [Claim(1, 1, 1)], seconds=60)

    assert sum(await asyncio.gather(*(hold(n) for n in range(20)))) == 10
    await assert_ledger_equals_balances(stocked)


async def test_an_expired_hold_gives_way_without_any_cron(stocked: Database) -> None:
    async with stocked.transaction() as tx:
        assert await service.place_hold(tx, "cart-1", [Claim(1, 1, 10)], seconds=0) == []
    async with stocked.snapshot() as tx:
        (stock,) = await reads.availability(tx, [1], [1])
        assert (stock.held, stock.free) == (10, 10)
    assert await reserve(stocked, [Claim(1, 1, 10)])
    await assert_ledger_equals_balances(stocked)


async def test_a_live_hold_does_not_give_way(stocked: Database) -> None:
    async with stocked.transaction() as tx:
        await service.place_hold(tx, "cart-1", [Claim(1, 1, 8)], seconds=60)
    assert not await reserve(stocked, [Claim(1, 1, 3)])
    async with stocked.transaction() as tx:
        with pytest.raises(HoldExists):
            await service.place_hold(tx, "cart-1", [Claim(1, 1, 1)], seconds=60)


async def test_a_basket_whose_hold_is_over_holds_anew_under_its_reference_other_goods_too(stocked: Database) -> None:
    for claim in (Claim(1, 1, 4), Claim(2, 1, 3)):  # nobody asked for the first SKU meanwhile
        async with stocked.transaction() as tx:
            assert await service.place_hold(tx, "cart-1", [claim], seconds=0) == []
    async with stocked.snapshot() as tx:
        assert {key: row[2] for key, row in (await balances(tx)).items() if row[2]} == {(2, 1): 3}
    await assert_ledger_equals_balances(stocked)


async def test_of_two_pages_that_hold_anew_for_one_basket_one_does(stocked: Database) -> None:
    async with stocked.transaction() as tx:
        await service.place_hold(tx, "cart-1", [Claim(1, 1, 4)], seconds=0)

    async def hold(units: int) -> bool:
        try:
            async with stocked.transaction() as tx:
                return not await service.place_hold(tx, "cart-1", [Claim(1, 1, units)], seconds=60)
        except HoldExists:
            return False

    assert sorted(await asyncio.gather(*(hold(3) for _ in range(8)))) == [False] * 7 + [True]
    async with stocked.snapshot() as tx:
        assert (await balances(tx))[1, 1] == (10, 0, 3)
    await assert_ledger_equals_balances(stocked)


async def test_convert_release_and_expiry_race_for_a_hold_and_one_wins(stocked: Database) -> None:
    async def convert() -> str | None:
        async with stocked.transaction() as tx:
            claims = await service.convert_hold(tx, "cart-1", Reference("order", new_id()))
            return "converted" if claims else None

    async def let_go() -> None:
        async with stocked.transaction() as tx:
            await service.release_hold(tx, "cart-1")

    async def expire() -> None:
        async with stocked.transaction() as tx:
            await service.retire_expired(tx)

    for _ in range(5):
        async with stocked.transaction() as tx:
            await service.place_hold(tx, "cart-1", [Claim(1, 1, 2), Claim(2, 1, 2)], seconds=0)
        outcome, *_ = await asyncio.gather(convert(), let_go(), expire(), convert())
        assert outcome in {"converted", None}
        await assert_ledger_equals_balances(stocked)
    async with stocked.snapshot() as tx:
        assert all(held == 0 for _, _, held in (await balances(tx)).values())


def hours_ago(hours: float) -> datetime:
    return datetime.now(UTC) - timedelta(hours=hours)


async def test_what_moved_after_a_count_is_added_on_top_of_it_however_late_it_is_told(stocked: Database) -> None:
    """Ten were counted at noon and three left at one: at two there are seven, not the ten of noon."""
    async with stocked.transaction() as tx:
        await tx.execute("UPDATE movement SET occurred_at = now() - interval '1 day', recorded_at = occurred_at")
        await service.adjust(tx, [Claim(1, 1, -3)], Reason.SHIP, Reference("test"), hours_ago(1))
        await service.adjust(tx, [Claim(1, 1, -1)], Reason.LOSS, Reference("test"), hours_ago(3))
        twelve = [Claim(1, 1, 10), Claim(2, 1, 8)]
        await service.set_on_hand(tx, twelve, Reference("count"), Reason.COUNT, hours_ago(2))
    async with stocked.transaction() as tx:
        stands = await balances(tx)
    assert (stands[1, 1][0], stands[2, 1][0]) == (7, 8)
    await assert_ledger_equals_balances(stocked)


async def test_what_was_stated_of_a_later_moment_stands(stocked: Database) -> None:
    async with stocked.transaction() as tx:
        await tx.execute("UPDATE movement SET occurred_at = now() - interval '1 day', recorded_at = occurred_at")
        await service.set_on_hand(tx, [Claim(1, 1, 4)], Reference("count"), Reason.COUNT, hours_ago(1))
        assert await service.set_on_hand(tx, [Claim(1, 1, 9)], Reference("erp"), occurred_at=hours_ago(2)) == []
    async with stocked.transaction() as tx:
        assert (await balances(tx))[1, 1][0] == 4
    await assert_ledger_equals_balances(stocked)


async def test_a_balance_that_was_made_far_too_high_can_be_counted(stocked: Database) -> None:
    """Each receipt was a number like any other; only together are they more than a number may be."""
    async with stocked.transaction() as tx:
        for _ in range(2):
            await service.receive(tx, [Claim(1, 1, 1_000_000_000)], Reference("test"))
        await service.set_on_hand(tx, [Claim(1, 1, 5)], Reference("count"), Reason.COUNT)
        assert (await balances(tx))[1, 1][0] == 5
    await assert_ledger_equals_balances(stocked)


async def test_a_count_below_what_is_promised_is_a_deficit_and_never_an_error(stocked: Database) -> None:
    assert await reserve(stocked, [Claim(1, 1, 7)])
    async with stocked.transaction() as tx:
        (deficit,) = await service.set_on_hand(tx, [Claim(1, 1, 5)], Reference("count"), Reason.COUNT)
        assert deficit.quantity == 2
    async with stocked.transaction() as tx:
        assert await tx.value("SELECT count(*) FROM stock_deficit WHERE resolved_at IS NULL") == 1
        assert await service.receive(tx, [Claim(1, 1, 2)], Reference("receipt")) == []
        assert await tx.value("SELECT count(*) FROM stock_deficit WHERE resolved_at IS NULL") == 0
    await assert_ledger_equals_balances(stocked)


async def test_more_than_is_claimed_can_neither_leave_nor_be_given_back(stocked: Database) -> None:
    assert await reserve(stocked, [Claim(1, 1, 3)])
    for move in (service.release, service.ship):
        with pytest.raises(ClaimNotHeld):
            async with stocked.transaction() as tx:
                await move(tx, [Claim(1, 1, 4)], Reference("order", new_id()))
    async with stocked.transaction() as tx:
        await service.ship(tx, [Claim(1, 1, 3)], Reference("shipment", new_id()))
        assert (await balances(tx))[1, 1] == (7, 0, 0)
    await assert_ledger_equals_balances(stocked)
