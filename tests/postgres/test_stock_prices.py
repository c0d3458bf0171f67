"""Prices of stock: made from past baskets by a process of its own, used by the gate while they save, explained, withdrawn."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from two_wares import a_gate, an_order, open_shop, stocked

from malha.intake.gate import Gate
from malha.intake.reference import reference_in
from malha.platform import revisions
from malha.platform.db import Database
from malha.platform.i18n import speaking
from malha.routing import price_process, price_reads, prices
from malha.routing import reads as routing
from malha.routing.prices import Found
from malha.routing.pricing.__main__ import price_stock
from malha.routing.pricing.live import HORIZON_DAYS, LEAST_BASKETS
from malha.routing.records import read_record, replay


@pytest.fixture
async def retailer(database: Database) -> Database:
    """L1 in SP is a real cheaper than L2 in RJ; A is at both, B at L1 only: an A with a B wants to leave L1."""
    async with database.transaction() as tx:
        await open_shop(tx, [("Near", "SP", 1000), ("Far", "RJ", 1100)], shortage="backorder")
        await stocked(tx, {(1, 1): 1000, (1, 2): 9000, (2, 1): 9000})
    return database


@pytest.fixture
async def gate(retailer: Database) -> AsyncIterator[Gate]:
    async with a_gate(retailer) as gate:
        yield gate


def some_prices(price: int = 500, *, in_force: bool = True) -> Found:
    return Found(
        method="programme", prices={(1, 1): price}, baskets=500, bound_gap=0.0, saving=0.02, seconds=0.1,
        in_force=in_force,
    )  # fmt: skip


async def where(database: Database, gate: Gate, number: int | str, *skus: str) -> list[str | None]:
    """Place an order at a gate that has looked at its reference data, and return where its lines go."""
    gate._cache.expire()
    return [line.location for line in (await gate.submit(an_order(number, *skus))).lines]


async def test_a_price_sends_a_unit_elsewhere_and_both_record_and_page_say_so(gate: Gate, retailer: Database):
    assert await where(retailer, gate, 1, "A") == ["L1"]
    async with retailer.transaction() as tx:
        version = await prices.keep(tx, some_prices())
    assert await where(retailer, gate, 2, "A") == ["L2"]
    assert await where(retailer, gate, 3, "A", "B") == ["L1", "L1"]  # a second parcel would cost more than the price
    async with retailer.snapshot() as tx:
        orders = dict(await tx.tuples("SELECT external_id, id FROM sales_order"))
        with speaking("en"):
            told = await routing.explanation(tx, orders["2"])
            together = await routing.explanation(tx, orders["3"])
        record = await tx.value("SELECT record::text FROM routing_decision WHERE order_id = %s::uuid", [orders["2"]])
    assert told is not None
    assert together is not None
    assert (told.prices, told.cost, told.worth) == (version, 1200, 0)
    assert [(a.cost, a.worth, a.chosen) for a in told.alternatives] == [(1200, 0, True), (1600, 500, False)]
    assert told.runner_up == 400
    assert told.sentences == ["The price of stock that others need more makes R$5.00 of the difference."]
    assert (together.cost, together.worth, together.alternatives[0].cost) == (1100, 500, 1600)
    stored = read_record(record)
    again = replay(stored)
    assert (again.cost, again.basis.costs, again.basis.prices) == (stored.cost, stored.costs, stored.prices)


async def test_the_last_unit_is_sold_whatever_its_price(gate: Gate, retailer: Database):
    async with retailer.transaction() as tx:
        await stocked(tx, {(1, 1): 1, (1, 2): 0})
        await prices.keep(tx, some_prices(900_000))
    assert await where(retailer, gate, 1, "A") == ["L1"]


async def test_prices_that_did_not_save_are_kept_but_not_used_and_replace_those_in_force(
    gate: Gate, retailer: Database
):
    async with retailer.transaction() as tx:
        await prices.keep(tx, some_prices())
        await prices.keep(tx, some_prices(in_force=False))
        assert await price_reads.in_force(tx) is None
        assert await tx.value("SELECT count(*) FROM stock_price") == 2
        assert not await prices.withdraw(tx)
    assert await where(retailer, gate, 1, "A") == ["L1"]


async def test_withdrawn_prices_are_not_used_any_more(gate: Gate, retailer: Database):
    async with retailer.transaction() as tx:
        await prices.keep(tx, some_prices())
    assert await where(retailer, gate, 1, "A") == ["L2"]
    await price_process.withdraw(retailer)
    assert await where(retailer, gate, 2, "A") == ["L1"]


async def test_prices_end_by_themselves_where_nobody_makes_new_ones(gate: Gate, retailer: Database):
    """The worker is away. A process that has them in memory ends them by its clock, one that starts by the database's."""
    async with retailer.transaction() as tx:
        await prices.keep(tx, some_prices())
        await tx.execute("UPDATE stock_price_version SET made_at = now() - interval '59 minutes'")
    assert await where(retailer, gate, 1, "A") == ["L2"]
    async with retailer.transaction() as tx:
        reference = await reference_in(tx)
        assert reference.prices is not None
        assert reference.prices.until is not None
        assert timedelta() < reference.prices.until - datetime.now(UTC) <= timedelta(minutes=1)
        old = msgspec.structs.replace(reference.prices, until=datetime.now(UTC))
        assert reference.under(reference.allotments, reference.frozen, old, None, None).prices is None
        await tx.execute("UPDATE stock_price_version SET made_at = now() - interval '61 minutes'")
        await revisions.bump(tx, prices.REVISION)
    assert await where(retailer, gate, 2, "A") == ["L1"]


async def test_prices_come_from_past_baskets_and_keep_near_units_for_those_who_want_more(
    gate: Gate, retailer: Database
):
    half = LEAST_BASKETS // 2 + 5
    past = [an_order(f"past-{n}", *(("A",) if n % 4 < 2 else ("A", "B"))) for n in range(2 * half)]
    await asyncio.gather(*(gate.enqueue(order) for order in past))
    async with retailer.transaction() as tx:
        # All of them came today, so seven times as many are expected; L1 has an A for a tenth of those with a B.
        await stocked(tx, {(1, 1): 2 * half + 70})
        free = await price_reads.free_units(tx, [1, 2])
    assert 0 < free[1, 1] < half * HORIZON_DAYS
    found = await price_stock(retailer)
    assert (found.method, found.baskets, found.in_force) == ("programme", 2 * half, True)
    assert found.saving > 0.005
    assert found.bound_gap is not None
    assert found.bound_gap < 0.01
    assert set(found.prices) == {(1, 1)}  # others cannot run out
    assert found.prices[1, 1] > 100  # more than an A alone gains there
    assert await where(retailer, gate, "alone", "A") == ["L2"]
    assert await where(retailer, gate, "both", "A", "B") == ["L1", "L1"]


async def test_without_a_solution_in_time_prices_come_without_a_solver(gate: Gate, retailer: Database):
    past = [an_order(n, "A") if n % 2 else an_order(n, "A", "B") for n in range(LEAST_BASKETS)]
    await asyncio.gather(*(gate.enqueue(order) for order in past))
    async with retailer.transaction() as tx:
        await stocked(tx, {(1, 1): 300})
    found = await price_stock(retailer, seconds=0.0)
    assert found.method == "closed_form"
    assert found.bound_gap is None
    assert set(found.prices) == {(1, 1)}


async def test_few_baskets_are_no_evidence(gate: Gate, retailer: Database):
    await gate.submit(an_order(1, "A"))
    assert await price_process.renew(retailer)  # in its own process, as the worker has it
    async with retailer.snapshot() as tx:
        assert await tx.tuples("SELECT method, baskets, in_force FROM stock_price_version") == [("programme", 1, False)]
        assert await price_reads.in_force(tx) is None


@pytest.mark.parametrize(("module", "patience"), [("malha.routing.absent", 60.0), ("malha.routing.pricing", 0.0)])
async def test_a_process_that_fails_or_takes_too_long_leaves_no_prices_in_force(
    retailer: Database, module: str, patience: float
):
    async with retailer.transaction() as tx:
        await prices.keep(tx, some_prices())
    assert not await price_process.renew(retailer, module=module, patience_s=patience)
    async with retailer.snapshot() as tx:
        assert await price_reads.in_force(tx) is None


async def test_a_worker_that_stops_kills_the_process_and_leaves_prices_as_they_are(retailer: Database):
    async with retailer.transaction() as tx:
        await prices.keep(tx, some_prices())
    stop = asyncio.Event()
    stop.set()
    assert not await price_process.renew(retailer, stop)
    async with retailer.snapshot() as tx:
        assert await price_reads.in_force(tx) is not None
        assert await price_reads.made_within(tx, 300.0)
        assert not await price_reads.made_within(tx, 0.0)


async def test_where_prices_are_not_wanted_the_worker_takes_them_out_of_force(retailer: Database):
    async with retailer.transaction() as tx:
        await prices.keep(tx, some_prices())
    stop = asyncio.Event()
    working = asyncio.create_task(price_process.run_prices(retailer, stop, wanted=False))
    for _ in range(600):
        async with retailer.snapshot() as tx:
            if await price_reads.in_force(tx) is None:
                break
        await asyncio.sleep(0.05)
    else:
        raise AssertionError("the prices stay in force")
    stop.set()
    await working
