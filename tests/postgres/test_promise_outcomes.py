"""What became of promises: written from the log, in both ways, again and again, and read by what people look for."""

from datetime import UTC, datetime, time, timedelta

import msgspec
import pytest

from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.fulfillment import outcome_reads, service
from malha.fulfillment.learning_risks import looked_back
from malha.fulfillment.model import Content, Parcel, RejectReason
from malha.fulfillment.outcome_reads import Wanted
from malha.ordering import cancelling, lateness, promises
from malha.ordering.model import CancelWish, PromiseReason
from malha.ordering.promised_days import ends, ends_at
from malha.platform.db import Database
from malha.platform.ids import UUID
from malha.platform.subscribers import Subscription, drain
from malha.testing.builders import Sold, World, a_network, a_product, an_order

NOW = datetime.now(UTC).replace(microsecond=0)
SWEPT = [s for s in SUBSCRIPTIONS if s.name == "promise_outcomes"]
HANDLED = [msgspec.structs.replace(s, sweep=None) for s in SWEPT]
PROMISE = "UPDATE sales_order SET promised_at = %s WHERE id = %s"
ROWS = """
SELECT work_id, order_id, location_id, to_state, promised_at, present_at, delivered_at, done_at,
       done_at <= promised_at
FROM promise_outcome ORDER BY promised_at, work_id
"""


@pytest.fixture(params=[SWEPT, HANDLED], ids=["swept in the database", "handled event by event"])
def outcomes(request: pytest.FixtureRequest) -> list[Subscription]:
    assert [s.name for s in SWEPT] == ["promise_outcomes"]
    return request.param


async def promised(tx, world: World, at: datetime | None, **options) -> UUID:
    sku = await a_product(tx, world, f"P{options.pop('n', 1)}", stock={"DC": 5, "S1": 5})
    place = "S1" if options.get("method") == "pickup" else "DC"
    order_id: UUID = await an_order(tx, world, [Sold(sku, 1, at=place)], **options)
    await tx.execute(PROMISE, (at, order_id))
    return order_id


async def packed(tx, order_id: UUID) -> tuple[UUID, list[UUID]]:
    [work] = await service.release_order(tx, order_id)
    await service.accept(tx, work.id)
    await service.confirm_pick(tx, work.id)
    return work.id, await service.pack(tx, work.id)


async def rows(database: Database) -> list[tuple]:
    async with database.transaction() as tx:
        return await tx.tuples(ROWS)


async def test_a_parcel_that_arrives_in_time_keeps_its_promise_and_one_that_does_not_breaks_it(database, outcomes):
    async with database.transaction() as tx:
        world = await a_network(tx, policy="not_required")
        kept = await promised(tx, world, NOW + timedelta(days=2), n=1)
        broken = await promised(tx, world, NOW + timedelta(days=1), n=2)
        parcels = {order: await packed(tx, order) for order in (kept, broken)}
    await drain(database, outcomes)
    assert [(row[1], row[6], row[8]) for row in await rows(database)] == [(broken, None, None), (kept, None, None)]
    late = NOW + timedelta(days=1, hours=1)
    async with database.transaction() as tx:
        for order, at in ((kept, NOW), (broken, NOW)):
            work, [parcel] = parcels[order]
            await service.ship(tx, work)
            await service.deliver(tx, parcel, at=at)
        await tx.execute("UPDATE shipment SET delivered_at = %s WHERE order_id = %s", (late, broken))
    await drain(database, outcomes)
    found = await rows(database)
    assert [(r[0], r[1], r[2], r[3], r[7], r[8]) for r in found] == [
        (parcels[broken][0], broken, world.locations["DC"], "SP", late, False),
        (parcels[kept][0], kept, world.locations["DC"], "SP", NOW, True),
    ]
    async with database.transaction() as tx:
        await tx.execute("UPDATE subscriber SET position = 0")
        await tx.execute("DELETE FROM promise_outcome")
    await drain(database, outcomes)
    assert await rows(database) == found


async def test_what_was_promised_first_counts_and_what_counts_now_stands_beside_it(database, outcomes):
    first, later = NOW + timedelta(days=2), NOW + timedelta(days=5)
    async with database.transaction() as tx:
        world = await a_network(tx, policy="not_required")
        order_id = await promised(tx, world, first)
        await packed(tx, order_id)
        await promises.repromise(tx, order_id, later, reason=PromiseReason.CARRIER_LATE)
        await promises.repromise(tx, order_id, later + timedelta(days=1), reason=PromiseReason.CARRIER_LATE)
    await drain(database, outcomes)
    [row] = await rows(database)
    assert row[4:6] == (first, later + timedelta(days=1))


async def test_work_that_is_given_back_or_cancelled_leaves_no_row(database, outcomes):
    async with database.transaction() as tx:
        world = await a_network(tx, policy="not_required")
        order_id = await promised(tx, world, NOW + timedelta(days=2))
        [work] = await service.release_order(tx, order_id)
    await drain(database, outcomes)
    assert [row[0] for row in await rows(database)] == [work.id]
    async with database.transaction() as tx:
        await service.reject(tx, work.id, RejectReason.STORE_CLOSED)
    await drain(database, outcomes)
    async with database.transaction() as tx:
        works = await tx.values("SELECT id FROM fulfillment_order WHERE state NOT IN ('rejected', 'cancelled')")
    assert [row[0] for row in await rows(database)] == works
    async with database.transaction() as tx:
        await cancelling.cancel(tx, order_id, reason="x")
    await drain(database, outcomes)
    assert await rows(database) == []


async def test_an_order_nobody_was_asked_for_by_its_day_is_written_until_work_takes_its_place(database, outcomes):
    async with database.transaction() as tx:
        world = await a_network(tx, policy="not_required")
        order_id = await promised(tx, world, NOW - timedelta(hours=1))
        assert await lateness.find_late(tx) == 1
    await drain(database, outcomes)
    [row] = await rows(database)
    assert row[:3] == (order_id, order_id, world.locations["DC"])
    async with database.transaction() as tx:
        [work] = await service.release_order(tx, order_id)
    await drain(database, outcomes)
    assert [row[:2] for row in await rows(database)] == [(work.id, order_id)]


async def test_a_pickup_is_promised_to_be_ready_and_keeps_that_however_late_it_is_fetched(database, outcomes):
    async with database.transaction() as tx:
        world = await a_network(tx, policy="not_required")
        order_id = await promised(tx, world, None, method="pickup")
        work, _ = await packed(tx, order_id)
        await service.make_ready(tx, work)
    await drain(database, outcomes)
    async with database.transaction() as tx:
        due = await tx.value("SELECT due_at FROM fulfillment_order")
        ready = await tx.value("SELECT at FROM event WHERE type = 'fulfillment.ready'")
        await service.renew_code(tx, work)
    await drain(database, outcomes)
    [row] = await rows(database)
    assert row[3:5] == (None, due)
    assert row[7:] == (ready, ready <= due)


async def test_the_database_and_the_pages_say_the_same_of_when_a_promise_is_over(database):
    day = datetime(2026, 11, 27, 23, 59, 59, tzinfo=UTC)
    asked = [day, day.replace(hour=18), day + timedelta(seconds=1), day - timedelta(days=40)]
    async with database.transaction() as tx:
        statement = f"SELECT {ends('x')} FROM unnest(%(asked)s::timestamptz[]) x"
        assert await tx.values(statement, {"asked": asked}) == [ends_at(at) for at in asked]


async def test_a_day_that_is_promised_lasts_until_midnight_of_brazil_and_an_hour_until_it_strikes(database):
    """The day is stored as 23:59:59 UTC, which is nine in the evening: what comes at ten is in time."""
    day = datetime.combine((NOW - timedelta(days=10)).date(), time(23, 59, 59), tzinfo=UTC)
    hour = day.replace(hour=18, minute=0, second=0)
    came = {
        "evening": (day, day + timedelta(hours=2, minutes=59)),
        "past midnight": (day, day + timedelta(hours=3, minutes=1)),
        "hour": (hour, hour + timedelta(minutes=1)),
        "never": (day, None),
    }
    async with database.transaction() as tx:
        world = await a_network(tx, policy="not_required")
        parcels = {}
        for n, (name, (at, _)) in enumerate(came.items(), 1):
            order_id = await promised(tx, world, at, n=n)
            work, [parcels[name]] = await packed(tx, order_id)
            await service.ship(tx, work)
        for name, (_, at) in came.items():
            if at is not None:
                await service.deliver(tx, parcels[name], at=NOW)
                await tx.execute("UPDATE shipment SET delivered_at = %s WHERE id = %s", (at, parcels[name]))
    await drain(database, SWEPT)
    wanted = Wanted(since=day - timedelta(days=1), until=NOW, zone="America/Sao_Paulo")
    async with database.transaction() as tx:
        found = await outcome_reads.kept(tx, wanted)
        late = await outcome_reads.broken(tx, wanted, limit=10)
        lived = (await looked_back(tx))[world.locations["DC"]]
    assert (found.total.due, found.total.kept, found.total.broken, found.total.under_way) == (4, 1, 3, 1)
    assert sorted((row.promised_at, row.done_at) for row in late if row.done_at) == sorted(
        [came["hour"], came["past midnight"]]
    )
    assert (lived.promises, lived.broken) == (3, 2)


async def test_a_parcel_that_was_emptied_by_a_cancel_keeps_no_promise_open(database, outcomes):
    async with database.transaction() as tx:
        world = await a_network(tx, policy="not_required")
        sold = [Sold(await a_product(tx, world, code, stock={"DC": 5})) for code in "AB"]
        order_id = await an_order(tx, world, sold)
        await tx.execute(PROMISE, (NOW + timedelta(days=2), order_id))
        [work] = await service.release_order(tx, order_id)
        await service.confirm_pick(tx, work.id)
        kept, _ = await service.pack(tx, work.id, [Parcel(contents=[Content(line, 1)]) for line in (1, 2)])
        await service.cancel(tx, order_id, reason="changed my mind", wishes=[CancelWish(2, 1)])
        await service.ship(tx, work.id)
        await service.deliver(tx, kept, at=NOW)
    await drain(database, outcomes)
    assert [(row[6], row[8]) for row in await rows(database)] == [(NOW, True)]
