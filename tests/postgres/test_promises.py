"""A promise made anew: kept beside the first, told, counted from, for an order or some of its lines."""

from datetime import UTC, datetime, timedelta

import pytest

from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.notifications import reads as messages
from malha.ordering import cancelling, lateness, promises, reads
from malha.ordering import service as ordering
from malha.ordering.errors import LineNotFound, NothingToPromise, OrderChanged
from malha.ordering.model import PromiseReason
from malha.platform.db import Database
from malha.platform.flaws import Invalid
from malha.platform.ids import UUID
from malha.platform.subscribers import drain
from malha.testing.builders import a_network, an_order

pytestmark = pytest.mark.usefixtures("mail_set_up")

SOON = datetime.now(UTC).replace(microsecond=0) + timedelta(days=2)
LATER = SOON + timedelta(days=5)
ASK = """
UPDATE sales_order SET buyer_email = 'maria@example.com', promised_at = %(at)s::timestamptz WHERE id = %(id)s::uuid
"""


async def promised(database: Database, at: datetime | None = SOON, **options) -> UUID:
    async with database.transaction() as tx:
        world = await a_network(tx)
        order_id: UUID = await an_order(tx, world, **options)
        await tx.execute(ASK, {"id": order_id, "at": at})
    return order_id


async def present(database: Database, order_id: UUID) -> datetime | None:
    async with database.transaction() as tx:
        found: datetime | None = await tx.value("SELECT promised_at FROM sales_order WHERE id = %s", (order_id,))
    return found


async def passed(database: Database, order_id: UUID, line: int | None = None) -> datetime:
    """Let a promised day be over since an hour; return it."""
    over = datetime.now(UTC) - timedelta(hours=1)
    async with database.transaction() as tx:
        await tx.execute("UPDATE sales_order SET promised_at = %s WHERE id = %s", (over, order_id))
        if line is not None:
            await tx.execute("UPDATE order_line_promise SET promised_at = %s WHERE line = %s", (over, line))
    return over


async def late(database: Database) -> int:
    async with database.transaction() as tx:
        return await lateness.find_late(tx)


async def test_a_new_promise_counts_and_the_first_stays_on_record(database):
    order_id = await promised(database)
    async with database.transaction() as tx:
        assert await promises.repromise(tx, order_id, LATER, reason=PromiseReason.CARRIER_LATE) == LATER
        again = LATER + timedelta(days=1)
        await promises.repromise(tx, order_id, again, reason=PromiseReason.OTHER, note="greve")
        made = await reads.promises(tx, order_id)
    assert await present(database, order_id) == again
    assert [(p.promised_at, p.former_at, p.reason, p.note) for p in made] == [
        (again, LATER, "other", "greve"),
        (LATER, SOON, "carrier_late", ""),
    ]
    await drain(database, SUBSCRIPTIONS)
    async with database.transaction() as tx:
        told = [m.kind for m in await messages.of_order(tx, order_id)]
        number = (await reads.numbers_of(tx, [order_id]))[order_id]
        header = await reads.header(tx, number)
        events = [row.type for row in await reads.timeline(tx, order_id)]
    assert told.count("repromised") == 2
    assert events.count("order.repromised") == 2
    assert header.promised_at == again


async def test_what_makes_no_sense_is_refused_and_changes_nothing(database):
    order_id = await promised(database, lines=2)
    why = PromiseReason.CAPACITY
    async with database.transaction() as tx:
        for at, options in [
            (datetime.now(UTC) - timedelta(minutes=1), {}),
            (SOON, {}),  # promised already
            (SOON + timedelta(days=900), {}),
            (LATER, {"note": "x" * 401}),
            (LATER, {"lines": []}),
            (LATER.replace(tzinfo=None), {}),
        ]:
            with pytest.raises(Invalid):
                await promises.repromise(tx, order_id, at, reason=why, **options)
        with pytest.raises(Invalid):
            await promises.repromise(tx, order_id, LATER, reason=PromiseReason.OTHER)
        with pytest.raises(LineNotFound):
            await promises.repromise(tx, order_id, LATER, reason=why, lines=[9])
        with pytest.raises(OrderChanged):
            await promises.repromise(tx, order_id, LATER, reason=why, expected=99)
        assert await reads.promises(tx, order_id) == []
    assert await present(database, order_id) == SOON


async def test_nothing_is_promised_of_what_was_cancelled(database):
    order_id = await promised(database)
    async with database.transaction() as tx:
        await cancelling.cancel(tx, order_id, reason="x")
        with pytest.raises(NothingToPromise):
            await promises.repromise(tx, order_id, LATER, reason=PromiseReason.CAPACITY)


async def test_a_part_cannot_be_promised_before_the_whole(database):
    order_id = await promised(database, None, lines=2)
    async with database.transaction() as tx:
        with pytest.raises(Invalid):
            await promises.repromise(tx, order_id, LATER, reason=PromiseReason.STOCK_LATE, lines=[1])
        await promises.repromise(tx, order_id, SOON, reason=PromiseReason.STOCK_LATE)
        assert (await reads.promises(tx, order_id))[0].former_at is None


async def test_lines_may_be_promised_for_days_of_their_own_and_the_first_to_come_counts(database):
    order_id = await promised(database, lines=2)
    async with database.transaction() as tx:
        kept = await promises.repromise(tx, order_id, LATER, reason=PromiseReason.STOCK_LATE, lines=[2])
        assert kept == SOON
        assert await reads.line_promises(tx, order_id) == {1: SOON, 2: LATER}
        # All that is still to come is the whole order.
        await promises.repromise(tx, order_id, LATER, reason=PromiseReason.STOCK_LATE, lines=[1, 2])
        assert await reads.line_promises(tx, order_id) == {}
    assert await present(database, order_id) == LATER


async def test_lateness_is_counted_from_the_newest_promise_and_said_again_when_that_breaks_too(database):
    order_id = await promised(database)
    await passed(database, order_id)
    assert await late(database) == 1
    async with database.transaction() as tx:
        await promises.repromise(tx, order_id, LATER, reason=PromiseReason.CAPACITY)
    assert await late(database) == 0
    await passed(database, order_id)
    assert await late(database) == 1
    assert await late(database) == 0


async def test_a_line_that_left_in_time_leaves_the_day_of_the_other_to_be_kept(database):
    order_id = await promised(database, lines=2)
    async with database.transaction() as tx:
        await promises.repromise(tx, order_id, LATER, reason=PromiseReason.STOCK_LATE, lines=[2])
    async with database.transaction() as tx:
        await tx.execute("UPDATE order_unit SET state = 'shipped' WHERE order_id = %s AND line = 1", (order_id,))
    await passed(database, order_id, line=1)
    assert await late(database) == 0
    assert await present(database, order_id) == LATER
    await passed(database, order_id, line=2)
    assert await late(database) == 1


async def test_two_people_who_saw_the_same_version_do_not_both_promise(database):
    order_id = await promised(database)
    async with database.transaction() as tx:
        seen = (await ordering.lock_order(tx, order_id)).seq
        await promises.repromise(tx, order_id, LATER, reason=PromiseReason.CAPACITY, expected=seen)
    async with database.transaction() as tx:
        with pytest.raises(OrderChanged):
            await promises.repromise(
                tx, order_id, LATER + timedelta(days=1), reason=PromiseReason.CAPACITY, expected=seen
            )
