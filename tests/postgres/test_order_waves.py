"""Waves: held orders are planned together in a process of its own, and move where that saves enough, or not at all."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import time

import msgspec
import pytest
from psycopg.errors import DeadlockDetected
from two_wares import a_gate, an_order, open_shop, stocked

from malha.capacity import service as capacity
from malha.capacity.model import Kind, Measure, Template
from malha.doctor import examine
from malha.flows import order_waves
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.fulfillment import service as fulfillment
from malha.fulfillment.model import RejectReason, Short
from malha.intake.gate import Gate
from malha.intake.model import NewLine
from malha.intake.moving import NOTHING, Outcome
from malha.inventory import service as inventory
from malha.inventory.model import Claim, Reference
from malha.network import reads as network
from malha.ordering import holds
from malha.ordering.model import HoldKind
from malha.platform import revisions
from malha.platform.db import Database
from malha.platform.errors import Busy, MalhaError
from malha.platform.i18n import speaking
from malha.platform.ids import UUID
from malha.platform.subscribers import drain
from malha.routing import prices, wave_reads, waves
from malha.routing import reads as routing
from malha.routing.prices import Found
from malha.routing.pricing.wave import plan_held
from malha.routing.records import read_record, replay
from malha.routing.wave_model import Proposed, Step


@pytest.fixture
async def retailer(database: Database) -> AsyncIterator[Database]:
    """L1 in SP costs 1100 a parcel, L2 in RJ 1200, L3 in MG 1300. A is at L2, B at L1. Nothing may drift."""
    stores = [("Near", "SP", 1000), ("Far", "RJ", 1100), ("Farther", "MG", 1200)]
    async with database.transaction() as tx:
        await open_shop(tx, stores, shortage="hold", release_after=30)
        await stocked(tx, {(1, 2): 9, (2, 1): 9})
    yield database
    report = await examine(database)
    assert [line for f in report.findings if f.drifts for line in f.lines("en")] == []


async def stock(database: Database, units: dict[tuple[int, int], int]) -> None:
    async with database.transaction() as tx:
        await stocked(tx, units)


@pytest.fixture
async def gate(retailer: Database) -> AsyncIterator[Gate]:
    async with a_gate(retailer) as gate:
        yield gate


async def a_wave(database: Database, least: int) -> Outcome:
    """Do what the worker does, without a process for the solver."""
    proposed = await plan_held(database, least=least)
    async with database.transaction() as tx:
        wave = await waves.begin(tx)
    return await order_waves.carry_out(database, wave, proposed, least)


async def place(gate: Gate, number: int | str, *skus: str) -> UUID:
    return (await gate.submit(an_order(number, *skus))).id


async def places(database: Database, order_id: UUID) -> list[tuple[str, int | None]]:
    async with database.snapshot() as tx:
        return await tx.tuples(
            "SELECT state, location_id FROM order_unit WHERE order_id = %s::uuid ORDER BY line, part", [order_id]
        )


async def balances(database: Database) -> list[tuple[int, ...]]:
    async with database.snapshot() as tx:
        return await tx.tuples("SELECT sku_id, location_id, on_hand, allocated FROM balance ORDER BY 1, 2")


@pytest.fixture
async def dear(gate: Gate, retailer: Database) -> UUID:
    """An A that had to come from L2, and could come from L1 now."""
    order_id = await place(gate, "dear", "A")
    await stock(retailer, {(1, 1): 5})
    assert await places(retailer, order_id) == [("allocated", 2)]
    return order_id


async def test_an_order_moves_to_a_location_that_got_stock_once_and_says_so(dear: UUID, retailer: Database):
    assert await order_waves.make_wave(retailer, 100) == (1, 100)
    assert await places(retailer, dear) == [("allocated", 1)]
    assert await balances(retailer) == [(1, 1, 5, 1), (1, 2, 9, 0), (2, 1, 9, 0)]
    await drain(retailer, SUBSCRIPTIONS)
    async with retailer.snapshot() as tx:
        with speaking("en"):
            told = await routing.explanation(tx, dear)
        stored = read_record(await tx.value("SELECT record::text FROM routing_decision WHERE attempt = 2"))
        assert await tx.tuples("SELECT order_id, attempt, saved FROM routing_move") == [(dear, 2, 100)]
        assert await tx.tuples("SELECT orders, proposed, moved, saved, failure FROM routing_wave") == [
            (1, 1, 1, 100, None)
        ]
        ((kind, facts),) = await tx.tuples("SELECT type, facts FROM order_timeline ORDER BY seq DESC LIMIT 1")
        moved = await tx.tuples(
            "SELECT location_id, d_allocated FROM movement WHERE reason = 'reroute' ORDER BY location_id"
        )
    assert told is not None
    assert (told.attempt, told.cost, [a.chosen for a in told.alternatives]) == (2, 1100, [True, False])
    assert replay(stored).cost == stored.cost == 1100
    assert (kind, facts["saved"], facts["placed"]) == ("order.routed", 100, [[1, 1, 1]])
    assert moved == [(1, 1), (2, -1)]
    await stock(retailer, {(1, 1): 1, (1, 3): 5})
    async with retailer.transaction() as tx:
        await tx.execute("UPDATE service_rate SET price = 10 WHERE from_state = 'MG'")
    assert await a_wave(retailer, 1) == NOTHING  # once is enough


async def test_two_orders_change_places_when_only_together_it_saves(gate: Gate, retailer: Database):
    await stock(retailer, {(1, 1): 1})
    alone = await place(gate, 1, "A")
    both = await place(gate, 2, "A", "B")
    assert [x for _, x in [*await places(retailer, alone), *await places(retailer, both)]] == [1, 2, 1]
    assert await a_wave(retailer, 500) == (2, 1100)  # 1200 less for the one, 100 more for the other
    assert [x for _, x in [*await places(retailer, alone), *await places(retailer, both)]] == [2, 1, 1]
    await drain(retailer, SUBSCRIPTIONS)
    async with retailer.snapshot() as tx:
        assert sorted(await tx.values("SELECT saved FROM routing_move")) == [-100, 1200]
        for record in await tx.values("SELECT record::text FROM routing_decision WHERE attempt = 2"):
            stored = read_record(record)
            assert replay(stored).basis.costs == stored.costs


async def test_less_than_the_least_saving_moves_nothing(dear: UUID, retailer: Database):
    before = await balances(retailer)
    assert await a_wave(retailer, 101) == NOTHING
    assert (await places(retailer, dear), await balances(retailer)) == ([("allocated", 2)], before)


async def test_nothing_moves_to_where_parcels_take_longer(dear: UUID, retailer: Database):
    async with retailer.transaction() as tx:
        await tx.execute("UPDATE service_rate SET lead_days = 4 WHERE from_state = 'SP'")
    assert await a_wave(retailer, 50) == NOTHING
    assert await places(retailer, dear) == [("allocated", 2)]


@pytest.mark.parametrize(("closed", "moved"), [(10, NOTHING), (0, Outcome(1, 100))])
async def test_nothing_moves_to_where_a_promise_cannot_be_kept(
    dear: UUID, retailer: Database, closed: int, moved: Outcome
):
    """The cheaper location is shut for ten days: its parcels travel no longer, and come twelve days late."""
    async with retailer.transaction() as tx:
        await tx.execute(
            "INSERT INTO location_closure (location_id, day, reason) SELECT 1, current_date + n, 'stock-taking' "
            "FROM generate_series(-1, %s::int) AS n WHERE %s::int > 0",
            [closed, closed],
        )
        await revisions.bump(tx, network.REVISION)
    assert await a_wave(retailer, 100) == moved


async def test_a_unit_that_is_worth_more_than_the_saving_is_left_where_it_is(dear: UUID, retailer: Database):
    found = Found(
        method="programme", prices={(1, 1): 500}, baskets=500, bound_gap=0.0, saving=0.02, seconds=0.1, in_force=True
    )
    async with retailer.transaction() as tx:
        await prices.keep(tx, found)
    assert await a_wave(retailer, 50) == NOTHING


@pytest.mark.parametrize("why", ["hold", "released", "soon", "excluded", "version", "closed", "cap", "gone"])
async def test_what_changed_after_the_proposal_stays(dear: UUID, retailer: Database, why: str):
    proposed = await plan_held(retailer, least=100)
    assert [[step.order_id for step in group] for group in proposed.groups] == [[dear]]
    async with retailer.transaction() as tx:
        match why:
            case "hold":
                await holds.ensure_holds(tx, {dear: {}}, HoldKind.PAYMENT)
            case "released":
                await fulfillment.release_order(tx, dear)
            case "soon":
                await tx.execute("UPDATE sales_order SET release_after = now() + interval '1 second'")
            case "excluded":
                await tx.execute(
                    "INSERT INTO routing_exclusion (order_id, line, location_id, reason) VALUES (%s::uuid, 1, 3, 'rejected')",
                    [dear],
                )
            case "closed":
                await tx.execute("UPDATE location SET status = 'paused' WHERE id = 1")
                await tx.execute("UPDATE revision SET n = n + 1 WHERE name = 'network'")
            case "cap":
                await tx.execute("UPDATE location SET daily_capacity = 0 WHERE id = 1")
                await tx.execute("UPDATE revision SET n = n + 1 WHERE name = 'network'")
            case "gone":
                await stocked(tx, {(1, 1): 0})
        # All but the version is checked by itself: the proposal is for the order as it stands now.
        seq = await tx.value("SELECT seq FROM sales_order") + (why == "version")
        (step,) = proposed.groups[0]
        proposed = Proposed(orders=1, groups=[[Step(dear, seq, step.to)]])
    before = await balances(retailer)
    async with retailer.transaction() as tx:
        wave = await waves.begin(tx)
    assert await order_waves.carry_out(retailer, wave, proposed, 100) == NOTHING
    assert [at for _, at in await places(retailer, dear)] == [2]
    assert await balances(retailer) == before


@pytest.mark.parametrize(("measure", "moved"), [(Measure.UNITS, 1), (Measure.ORDERS, 2)])
async def test_of_a_group_no_more_units_move_than_the_picking_slots_of_today_take(
    gate: Gate, retailer: Database, measure: Measure, moved: int
):
    asked = [msgspec.structs.replace(an_order(n, "A"), lines=[NewLine("A", 2, 1990)]) for n in (1, 2)]
    orders = [(await gate.submit(order)).id for order in asked]
    await stock(retailer, {(1, 1): 5})
    proposed = await plan_held(retailer, least=100)
    together = [step for group in proposed.groups for step in group]
    assert sorted(step.order_id for step in together) == sorted(orders)
    async with retailer.transaction() as tx:  # the first that goes there fills the day, where units count
        (near,) = (await network.locations_by_id(tx, [1])).values()
        week = [Template(day, time(0), time(23, 59), 2) for day in range(1, 8)]
        await capacity.set_templates(tx, near, {Kind.PICK: week}, measure=measure)
        wave = await waves.begin(tx)
    proposed = Proposed(orders=2, groups=[together])
    assert (await order_waves.carry_out(retailer, wave, proposed, 100)).moved == moved


@pytest.mark.parametrize("why", ["hold", "soon", "excluded", "moved", "ahead"])
async def test_who_may_not_move_is_not_planned(dear: UUID, retailer: Database, why: str):
    statements = {
        "soon": "UPDATE sales_order SET release_after = now() + interval '10 seconds'",
        "excluded": "INSERT INTO routing_exclusion (order_id, line, location_id, reason) "
        "SELECT id, 1, 3, 'rejected' FROM sales_order",
        "moved": "INSERT INTO routing_move (order_id, wave_id, attempt, saved) SELECT id, 1, 2, 5 FROM sales_order",
    }
    async with retailer.transaction() as tx:
        if why == "hold":
            await holds.ensure_holds(tx, {dear: {}}, HoldKind.PAYMENT)
        elif why == "ahead":
            await tx.execute("UPDATE sales_order SET status = 'backordered'")
        else:
            await tx.execute(statements[why])
    assert await plan_held(retailer, least=1) == Proposed(orders=0, groups=[])
    if why == "ahead":
        async with retailer.transaction() as tx:
            await tx.execute("UPDATE sales_order SET status = 'allocated'")


@pytest.mark.parametrize(("module", "patience"), [("malha.routing.absent", 60.0), (order_waves.MODULE, 0.0)])
async def test_a_solver_that_fails_or_is_killed_changes_nothing(
    dear: UUID, retailer: Database, module: str, patience: float
):
    before = await balances(retailer)
    assert await order_waves.make_wave(retailer, 1, module=module, patience_s=patience) == NOTHING
    assert (await places(retailer, dear), await balances(retailer)) == ([("allocated", 2)], before)
    async with retailer.snapshot() as tx:
        ((failure, moved),) = await tx.tuples("SELECT failure, moved FROM routing_wave")
        assert await wave_reads.begun_within(tx, 300.0)
    assert failure
    assert moved == 0


BROKEN = (
    "CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'nobody foresaw this'; END $$",
    "CREATE TRIGGER broken BEFORE INSERT ON routing_move FOR EACH ROW WHEN (NEW.order_id = '{order}') EXECUTE FUNCTION broken()",
)


async def test_what_nobody_foresaw_in_one_group_keeps_no_other_from_moving_and_the_wave_ends_saying_it(
    dear: UUID, gate: Gate, retailer: Database
):
    await stock(retailer, {(1, 1): 0})
    other = await place(gate, "other", "A")
    await stock(retailer, {(1, 1): 5})
    first, second = sorted([dear, other])
    proposed = await plan_held(retailer, least=100)
    assert sorted(step.order_id for (step,) in proposed.groups) == [first, second]
    async with retailer.transaction() as tx:
        for statement in BROKEN:
            await tx.execute(statement.replace("{order}", str(proposed.groups[0][0].order_id)))
    assert await order_waves.make_wave(retailer, 100) == (1, 100)
    assert sorted(at for _, at in [*await places(retailer, first), *await places(retailer, second)]) == [1, 2]
    async with retailer.snapshot() as tx:
        ((ended, moved, failure),) = await tx.tuples("SELECT ended_at IS NOT NULL, moved, failure FROM routing_wave")
    assert (ended, moved) == (True, 1)
    assert failure.startswith("1 of 2 groups: RaiseException: nobody foresaw this")


async def test_a_wave_that_cannot_go_on_ends_saying_why(dear: UUID, retailer: Database):
    with pytest.raises(msgspec.DecodeError):  # what is planned is no plan
        await order_waves.make_wave(retailer, 100, module="this")
    async with retailer.snapshot() as tx:
        ((ended, failure),) = await tx.tuples("SELECT ended_at IS NOT NULL, failure FROM routing_wave")
    assert ended
    assert failure.startswith("DecodeError")
    assert await places(retailer, dear) == [("allocated", 2)]


async def test_a_wave_is_not_made_where_it_is_not_wanted_or_nothing_is_held(retailer: Database):
    stop = asyncio.Event()
    await asyncio.wait_for(order_waves.run_waves(retailer, stop, wanted=False, least=1), 30)
    assert not await order_waves._worth_it(retailer)


async def test_many_held_orders_end_at_the_cheapest_places_there_are(gate: Gate, retailer: Database):
    """Forty As at the farthest location; ten units come to the nearest and fifteen to the middle one."""
    await stock(retailer, {(1, 2): 0, (1, 3): 40})
    orders = [await place(gate, n, "A") for n in range(40)]
    await stock(retailer, {(1, 1): 10, (1, 2): 15})
    assert await a_wave(retailer, 50) == (25, 10 * 200 + 15 * 100)
    at = [(await places(retailer, order))[0][1] for order in orders]
    assert [at.count(n) for n in (1, 2, 3)] == [10, 15, 15]


async def test_waves_beside_buyers_releases_cancels_short_picks_and_other_waves(  # noqa: C901
    retailer: Database,
):
    """Everybody at once, each on a connection of their own: nothing is lost, sold twice or moved after its release."""
    rng = random.Random(7)
    await stock(retailer, {(1, 2): 0, (1, 3): 90, (2, 1): 12, (2, 3): 60})

    async def again(act) -> None:
        for _ in range(12):
            try:
                await act()
            except (Busy, DeadlockDetected):  # as every edge does
                continue
            except MalhaError:
                return
            return
        pytest.fail("busy twelve times, one after the other")

    async def one_of(tx, statement: str):
        found = await tx.values(statement)
        return rng.choice(found) if found else None

    async def waver() -> None:
        for _ in range(6):
            await a_wave(retailer, 20)
            await asyncio.sleep(rng.random() * 0.05)

    async def meddler(n: int) -> None:
        for _ in range(12):
            await asyncio.sleep(rng.random() * 0.05)

            async def act() -> None:
                async with retailer.transaction() as tx:
                    order_id = await one_of(tx, "SELECT id FROM sales_order")
                    match n % 4:
                        case 0 if order_id:
                            await fulfillment.release_order(tx, order_id)
                        case 1 if order_id:
                            await fulfillment.cancel(tx, order_id, reason="x")
                        case 2:
                            work = await one_of(tx, "SELECT id FROM fulfillment_order WHERE state = 'open'")
                            if work:
                                await fulfillment.confirm_pick(tx, work, [], [Short(1, 1, RejectReason.NOT_IN_STOCK)])
                        case _:
                            await inventory.receive(tx, [Claim(1, rng.choice((1, 2)), 2)], Reference("receipt"))

            await again(act)

    async def buyer(gate: Gate, n: int) -> None:
        await asyncio.sleep(rng.random() * 0.6)
        await gate.enqueue(an_order(n, *rng.choice((["A"], ["A", "B"], ["B"]))))

    async with AsyncExitStack() as stack:
        gates = [
            Gate(await stack.enter_async_context(Database(retailer.url, max_size=1)), max_batch=3) for _ in range(6)
        ]
        await asyncio.gather(*(gates[n % 6].enqueue(an_order(n, "A")) for n in range(100, 130)))
        await stock(retailer, {(1, 1): 5})
        assert (await a_wave(retailer, 20)).moved == 5  # alone: this much there is to move
        await asyncio.gather(
            *(buyer(gates[n % 6], n) for n in range(70)), waver(), waver(), *(meddler(n) for n in range(4))
        )
        for gate in gates:
            await gate.close()
    await drain(retailer, SUBSCRIPTIONS)
    async with retailer.snapshot() as tx:
        late = """SELECT count(*) FROM routing_move m JOIN fulfillment_order f USING (order_id)
                  WHERE f.released_at < m.moved_at"""
        assert await tx.value(late) == 0
        for record in await tx.values("SELECT record::text FROM routing_decision"):
            stored = read_record(record)
            assert replay(stored).basis.costs == stored.costs
