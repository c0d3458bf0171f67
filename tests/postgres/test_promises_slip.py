"""Promises that slip, on real orders: found by a look, promised anew once, left alone where nobody may be told."""

import asyncio
from datetime import UTC, date, datetime

import pytest

from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.fulfillment import service as fulfillment
from malha.fulfillment import slip_reads, slipping
from malha.fulfillment.model import RejectReason
from malha.fulfillment.slip_reads import SlipRow
from malha.intake.model import Address, Buyer, NewLine, NewOrder, Placed, Submission
from malha.intake.reference import reference_in
from malha.intake.rules import hash_of
from malha.intake.service import place_orders
from malha.network import reads as network
from malha.network.calendar import add_business_days
from malha.notifications import reads as messages
from malha.ordering import holds
from malha.ordering import reads as ordering
from malha.ordering.model import HoldKind
from malha.platform import revisions
from malha.platform.db import Database
from malha.platform.ids import UUID, new_id
from malha.platform.subscribers import drain
from malha.promising.rules import day_promised
from malha.promising.slipping import MOST_BY_ITSELF, Slip
from malha.testing.builders import World, a_network, a_product

pytestmark = pytest.mark.usefixtures("mail_set_up")

NOW = datetime.now(UTC)
MODE = {"mode": "tell", "most": 200, "quiet_hours": 24}


class Town:
    """A network, cups at DC and S1, and orders through the gate's own code."""

    def __init__(self, database: Database, world: World) -> None:
        self.database = database
        self.world = world
        self.placed = 0

    async def order(self, *lines: str, **changes: object) -> UUID:
        """Place an order for one of each SKU, as intake does."""
        self.placed += 1
        order = NewOrder(
            channel="till",
            external_id=f"O{self.placed}",
            service="standard",
            customer=Buyer(name="Ana", email="ana@example.com"),
            ship_to=Address(postal_code="01310100", city="São Paulo", state="SP", street="Av. Paulista", number="1"),
            lines=[NewLine(sku=sku, quantity=1, unit_price=1000) for sku in lines or ("CUP",)],
            **changes,  # type: ignore[arg-type]
        )
        async with self.database.transaction() as tx:
            reference = await reference_in(tx)
            submission = Submission(order, order.external_id or "", hash_of(order), new_id(), "test", None, False)
            [placed] = await place_orders(tx, [submission], reference)
        assert isinstance(placed, Placed), placed
        return placed.id

    async def run(self, *statements: str, **facts: object) -> None:
        async with self.database.transaction() as tx:
            for statement in statements:
                await tx.execute(statement, facts)
            await revisions.bump(tx, network.REVISION)

    async def promised(self, order_id: UUID) -> date:
        async with self.database.transaction() as tx:
            at = await tx.value("SELECT promised_at FROM sales_order WHERE id = %s", (order_id,))
        return day_promised(at, "SP")

    async def look(self) -> dict[UUID, SlipRow]:
        async with self.database.transaction() as tx:
            await slipping.look(tx)
            return {row.order_id: row for row in await slip_reads.slipping(tx, scope=None, most=100)}

    async def told(self, order_id: UUID) -> list[str]:
        await drain(self.database, SUBSCRIPTIONS)
        async with self.database.transaction() as tx:
            return [m.kind for m in await messages.of_order(tx, order_id) if m.kind == "repromised"]


@pytest.fixture
async def town(database: Database) -> Town:
    async with database.transaction() as tx:
        world = await a_network(tx, policy="not_required")
        await a_product(tx, world, "CUP", stock={"DC": 50, "S1": 50})
        await a_product(tx, world, "POT", stock={"S1": 50})
    return Town(database, world)


SLOWER = "UPDATE service_rate SET lead_days = lead_days + 4"
CLOSE = """
INSERT INTO location_closure (location_id, day, reason) SELECT id, d::date, 'stock-taking' FROM location,
  generate_series(current_date - 1, current_date + 6, interval '1 day') AS d WHERE code = 'DC'
"""


async def test_nothing_slips_while_nothing_changes(town: Town) -> None:
    await town.order("CUP")
    await town.order("CUP", "POT")
    assert await town.look() == {}
    assert await slipping.watch(town.database, **MODE) == 0


async def test_a_slower_carrier_is_promised_anew_and_told_once(town: Town) -> None:
    order_id = await town.order()
    before = await town.promised(order_id)
    await town.run(SLOWER)
    row = (await town.look())[order_id]
    assert (row.reason, row.location, row.lines) == (Slip.CARRIER, "DC", [1])
    assert row.expected_at is not None
    assert await slipping.watch(town.database, **MODE) == 1
    assert await town.promised(order_id) == day_promised(row.expected_at, "SP") == add_business_days(before, 4, "BR-SP")
    assert await town.told(order_id) == ["repromised"]
    assert await slipping.watch(town.database, **MODE) == 0
    assert await town.told(order_id) == ["repromised"]
    async with town.database.transaction() as tx:
        [made] = await ordering.promises(tx, order_id)
    assert (made.reason, made.author) == ("carrier_late", "system")
    assert await town.look() == {}


async def test_suggesting_tells_nobody_until_a_person_says_so(town: Town) -> None:
    order_id = await town.order()
    before = await town.promised(order_id)
    await town.run(SLOWER)
    assert await slipping.watch(town.database, **MODE | {"mode": "suggest"}) == 0
    assert await town.promised(order_id) == before
    assert await town.told(order_id) == []
    assert [row.order_id for row in (await town.look()).values()] == [order_id]
    async with town.database.transaction() as tx:
        assert await slipping.promise_many(tx, [order_id]) == 1
    assert await town.told(order_id) == ["repromised"]
    assert await slipping.watch(town.database, **MODE | {"mode": "off"}) == 0


async def test_off_forgets_what_was_found(town: Town) -> None:
    await town.order()
    await town.run(SLOWER)
    assert len(await town.look()) == 1
    await slipping.watch(town.database, **MODE | {"mode": "off"})
    async with town.database.transaction() as tx:
        assert await slip_reads.slipping(tx, scope=None, most=10) == []


async def test_a_day_off_at_its_location_makes_it_slip_and_reopening_lets_it_be_in_time_again(town: Town) -> None:
    order_id = await town.order()
    await town.run(CLOSE)
    row = (await town.look())[order_id]
    assert row.reason == Slip.CLOSED
    assert row.expected_at is not None
    await town.run("DELETE FROM location_closure")
    assert await town.look() == {}


async def test_a_location_that_is_paused_without_end_leaves_no_day_to_tell(town: Town) -> None:
    order_id = await town.order()
    await town.run("UPDATE location SET status = 'paused' WHERE code = 'DC'")
    row = (await town.look())[order_id]
    assert (row.reason, row.expected_at) == (Slip.CLOSED, None)
    assert await slipping.watch(town.database, **MODE) == 0
    assert await town.told(order_id) == []
    until = "UPDATE location SET paused_until = now() + interval '9 days' WHERE code = 'DC'"
    await town.run(until)
    assert await slipping.watch(town.database, **MODE) == 1


async def test_work_that_did_not_leave_by_its_day_slips_and_what_left_does_not(town: Town) -> None:
    stays, leaves = await town.order(), await town.order()
    async with town.database.transaction() as tx:
        for order_id in (stays, leaves):
            [work] = await fulfillment.release_order(tx, order_id)
            if order_id == leaves:
                await fulfillment.accept(tx, work.id)
                await fulfillment.confirm_pick(tx, work.id)
                await fulfillment.pack(tx, work.id)
                await fulfillment.ship(tx, work.id)
    # Two weeks later, as far as the promise and the work can tell.
    back = "UPDATE fulfillment_order SET due_at = due_at - interval '14 days', released_at = released_at - interval '14 days'"
    # Promised for tomorrow, with goods that still take three business days.
    soon = "UPDATE sales_order SET promised_at = now() + interval '1 day'"
    await town.run(back, soon)
    found = await town.look()
    assert set(found) == {stays}
    assert found[stays].reason == Slip.OVERDUE


async def test_an_order_that_moved_to_another_place_says_so(town: Town) -> None:
    order_id = await town.order()
    await town.run(CLOSE.replace("'DC'", "'S1'"))
    async with town.database.transaction() as tx:
        [work] = await fulfillment.release_order(tx, order_id)
        await fulfillment.reject(tx, work.id, RejectReason.NOT_IN_STOCK)
    row = (await town.look())[order_id]
    assert (row.reason, row.location) == (Slip.MOVED, "S1")
    assert await slipping.watch(town.database, **MODE) == 1


async def test_goods_that_no_location_has_any_more_wait_for_a_person(town: Town) -> None:
    order_id = await town.order("POT")
    async with town.database.transaction() as tx:
        [work] = await fulfillment.release_order(tx, order_id)
        await fulfillment.reject(tx, work.id, RejectReason.NOT_IN_STOCK)
    row = (await town.look())[order_id]
    assert (row.reason, row.expected_at, row.location) == (Slip.NO_PLACE, None, None)
    assert await slipping.watch(town.database, **MODE) == 0


async def test_an_order_that_is_held_is_left_until_it_goes_on(town: Town) -> None:
    order_id = await town.order()
    await town.run(SLOWER)
    async with town.database.transaction() as tx:
        await holds.place_hold(tx, order_id, HoldKind.FRAUD)
    assert await town.look() == {}
    async with town.database.transaction() as tx:
        await holds.resolve_hold(tx, order_id, HoldKind.FRAUD)
    assert set(await town.look()) == {order_id}


async def test_only_the_lines_that_cannot_be_in_time_get_another_day(town: Town) -> None:
    order_id = await town.order("CUP", "POT")  # one parcel from S1, which has both
    both = await town.promised(order_id)
    await town.run(CLOSE.replace("'DC'", "'S1'"))
    row = (await town.look())[order_id]
    assert row.lines == [1, 2]
    assert await slipping.watch(town.database, **MODE) == 1
    assert await town.promised(order_id) > both


async def test_at_most_so_many_are_told_at_once_and_the_soonest_first(town: Town) -> None:
    orders = [await town.order() for _ in range(5)]
    await town.run(
        "UPDATE sales_order SET promised_at = promised_at - interval '1 day' WHERE id = %(id)s", id=orders[3]
    )
    await town.run(SLOWER)
    assert await slipping.watch(town.database, **MODE | {"most": 2}) == 2
    assert await town.told(orders[3]) == ["repromised"]
    assert await slipping.watch(town.database, **MODE | {"most": 2}) == 2
    assert await slipping.watch(town.database, **MODE | {"most": 2}) == 1


async def test_in_a_storm_nobody_is_told_before_a_person_has_looked(town: Town) -> None:
    orders = [await town.order() for _ in range(6)]
    await town.run(SLOWER)
    assert await slipping.watch(town.database, **MODE | {"most": 1}) == 0
    assert set(await town.look()) == set(orders)
    async with town.database.transaction() as tx:
        assert await slipping.promise_many(tx, orders) == 6


async def test_a_second_slip_has_a_day_to_spare_and_after_some_a_person_decides(town: Town) -> None:
    order_id = await town.order()
    await town.run(SLOWER)
    assert await slipping.watch(town.database, **MODE) == 1
    for n in range(1, MOST_BY_ITSELF):
        before = await town.promised(order_id)
        await town.run("UPDATE order_promise SET made_at = made_at - interval '2 days'", SLOWER)
        [row] = (await town.look()).values()
        assert row.expected_at is not None
        assert await slipping.watch(town.database, **MODE) == 1
        assert (
            await town.promised(order_id) == add_business_days(day_promised(row.expected_at, "SP"), n, "BR-SP") > before
        )
    await town.run("UPDATE order_promise SET made_at = made_at - interval '2 days'", SLOWER)
    assert set(await town.look()) == {order_id}
    assert await slipping.watch(town.database, **MODE) == 0


async def test_an_order_whose_day_is_too_far_to_promise_keeps_no_other_from_being_told(town: Town) -> None:
    """A pre-order that a channel promised for this week, and that is released in three years."""
    far, near = await town.order(), await town.order()
    await town.run(
        "UPDATE sales_order SET release_after = now() + interval '3 years', promised_at = promised_at - interval '1 hour' "
        "WHERE id = %(far)s",
        SLOWER,
        far=far,
    )
    before = await town.promised(far)
    assert await slipping.watch(town.database, **MODE) == 1
    assert await town.told(near) == ["repromised"]
    assert await town.promised(far) == before
    async with town.database.transaction() as tx:  # chosen by hand beside others, it is left to somebody
        assert await slipping.promise_many(tx, [far, near]) == 0


async def test_two_workers_at_once_tell_a_customer_once(town: Town) -> None:
    orders = [await town.order() for _ in range(8)]
    await town.run(SLOWER)
    told = await asyncio.gather(*(slipping.watch(town.database, **MODE) for _ in range(3)))
    left = await slipping.watch(town.database, **MODE)
    assert sum(told) + left == len(orders)
    for order_id in orders:
        assert await town.told(order_id) == ["repromised"]


async def test_a_look_reads_more_than_one_page(town: Town) -> None:
    orders = [await town.order() for _ in range(5)]
    await town.run(SLOWER)
    async with town.database.transaction() as tx:
        found = await slipping.look(tx, page=2)
    assert {slip.order_id for slip in found} == set(orders)
