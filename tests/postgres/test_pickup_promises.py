"""Orders that are fetched are promised for the hour at which they are ready, and watched like those that are sent."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest

from malha.capacity import service as capacity
from malha.capacity.model import Kind, Template
from malha.flows import order_to_cash
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.fulfillment import service as fulfillment
from malha.fulfillment import slip_reads, slipping
from malha.fulfillment.slip_reads import SlipRow
from malha.intake.model import Address, Buyer, NewLine, NewOrder, NewPayment, NewSlot, Placed, Submission
from malha.intake.reference import reference_in
from malha.intake.rules import hash_of
from malha.intake.service import place_orders
from malha.inventory import service as inventory
from malha.inventory.model import Claim
from malha.inventory.model import Reference as About
from malha.network import reads as network
from malha.notifications import reads as messages
from malha.ordering import holds, lateness
from malha.ordering import reads as ordering
from malha.ordering.model import HoldKind
from malha.payments import service as payments
from malha.payments.model import Fact, FactKind
from malha.platform import revisions
from malha.platform.db import Database
from malha.platform.ids import UUID, new_id
from malha.platform.subscribers import drain
from malha.promising import reads as promising
from malha.promising.reads import MadeOf
from malha.promising.slipping import Slip
from malha.testing.builders import World, a_network, a_product

pytestmark = pytest.mark.usefixtures("mail_set_up")

MODE = {"mode": "tell", "most": 200, "quiet_hours": 24}
SAO_PAULO = Address(postal_code="01310100", city="São Paulo", state="SP", street="Av. Paulista", number="1")
UNPAID: dict[str, Any] = {"channel": "web", "payments": [NewPayment(kind="pix", amount=1000, state="pending")]}
CLOSE = """
INSERT INTO location_closure (location_id, day, reason) SELECT id, d::date, 'stock-taking' FROM location,
  generate_series(current_date - 1, current_date + 6, interval '1 day') AS d WHERE code = 'S1'
"""
# As if everything had been a week ago.
A_WEEK_AGO = (
    "UPDATE sales_order SET promised_at = promised_at - interval '7 days', release_after = release_after - interval '7 days'",
    "UPDATE fulfillment_order SET due_at = due_at - interval '7 days', released_at = released_at - interval '7 days'",
)


class Counter:
    """A shop with a counter at S1, and orders that are fetched there through the gate's own code."""

    def __init__(self, database: Database, world: World) -> None:
        self.database = database
        self.world = world
        self.placed = 0

    async def order(self, **changes: Any) -> UUID:
        """Place an order for one cup, to be fetched at S1 unless it says otherwise."""
        self.placed += 1
        cup = NewLine(sku="CUP", quantity=1, unit_price=1000)
        said: dict[str, Any] = {
            "channel": "till",
            "method": "pickup",
            "pickup_location": "S1",
            "lines": [cup],
        } | changes
        order = NewOrder(
            external_id=f"O{self.placed}",
            customer=Buyer(name="Ana", email="ana@example.com"),
            **said,
        )
        async with self.database.transaction() as tx:
            reference = await reference_in(tx)
            submission = Submission(order, order.external_id or "", hash_of(order), new_id(), "test", None, False)
            [placed] = await place_orders(tx, [submission], reference)
        assert isinstance(placed, Placed), placed
        await drain(self.database, SUBSCRIPTIONS)
        return placed.id

    async def run(self, *statements: str, **facts: object) -> None:
        async with self.database.transaction() as tx:
            for statement in statements:
                await tx.execute(statement, facts)
            await revisions.bump(tx, network.REVISION)

    async def promise(self, order_id: UUID) -> datetime | None:
        async with self.database.transaction() as tx:
            found: datetime | None = await tx.value("SELECT promised_at FROM sales_order WHERE id = %s", (order_id,))
            return found

    async def made_of(self, order_id: UUID) -> list[MadeOf]:
        async with self.database.transaction() as tx:
            return await promising.made_of(tx, order_id)

    async def look(self) -> dict[UUID, SlipRow]:
        async with self.database.transaction() as tx:
            await slipping.look(tx)
            return {row.order_id: row for row in await slip_reads.slipping(tx, scope=None, most=100)}

    async def pay(self, order_id: UUID, amount: int = 1000) -> None:
        async with self.database.transaction() as tx:
            fact = Fact(position=1, kind=FactKind.CAPTURED, amount=amount, reference=f"pix-{order_id}")
            await payments.record_fact(tx, order_id, fact)
        await drain(self.database, SUBSCRIPTIONS)

    async def made_anew(self, order_id: UUID) -> list[tuple[str, datetime]]:
        async with self.database.transaction() as tx:
            return [(made.reason, made.promised_at) for made in await ordering.promises(tx, order_id)]

    async def told(self, order_id: UUID) -> int:
        await drain(self.database, SUBSCRIPTIONS)
        async with self.database.transaction() as tx:
            return [m.kind for m in await messages.of_order(tx, order_id)].count("repromised")

    async def late(self) -> int:
        async with self.database.transaction() as tx:
            return await lateness.find_late(tx)


@pytest.fixture
async def counter(database: Database) -> Counter:
    async with database.transaction() as tx:
        world = await a_network(tx, policy="not_required")
        await a_product(tx, world, "CUP", stock={"DC": 50, "S1": 50})
    return Counter(database, world)


async def ready_time(counter: Counter) -> datetime | None:
    """When work that is asked for now is due at S1."""
    async with counter.database.transaction() as tx:
        reference = await reference_in(tx)
        index = reference.network.index[counter.world.locations["S1"]]
        return reference.calendars[index].due_at(await tx.now())


async def test_what_is_fetched_is_promised_for_the_hour_that_was_offered(counter: Counter) -> None:
    order_id = await counter.order()
    promise = await counter.promise(order_id)
    assert promise is not None
    assert promise == await ready_time(counter)
    [made] = await counter.made_of(order_id)
    assert made.ready is not None
    assert (made.ready.location, made.ready.lines, made.ready.ready_at) == ("S1", [1], promise)
    assert (made.stated, made.parcels, made.arrives) == (False, [], None)


async def test_what_a_channel_states_stays_and_ours_stands_beside_it(counter: Counter) -> None:
    stated = datetime.combine(datetime.now(UTC).date() + timedelta(days=4), time(20), UTC)
    order_id = await counter.order(promised_at=stated)
    assert await counter.promise(order_id) == stated
    [made] = await counter.made_of(order_id)
    assert made.stated
    assert made.ready is not None
    assert made.ready.ready_at == await ready_time(counter) != stated


async def test_nothing_slips_while_the_counter_can_be_in_time(counter: Counter) -> None:
    await counter.order()
    released = await counter.order()
    async with counter.database.transaction() as tx:
        await fulfillment.release_order(tx, released)
    assert await counter.look() == {}


async def test_a_counter_that_closes_is_told_with_the_hour_it_can_do(counter: Counter) -> None:
    order_id = await counter.order()
    await counter.run(CLOSE)
    row = (await counter.look())[order_id]
    assert (row.method, row.reason, row.location) == ("pickup", Slip.CUT_OFF, "S1")
    ready = await ready_time(counter)
    assert row.expected_at == ready
    assert await slipping.watch(counter.database, **MODE) == 1
    assert await counter.made_anew(order_id) == [("capacity", ready)]
    assert await counter.promise(order_id) == ready
    assert await counter.told(order_id) == 1
    assert await counter.look() == {}


async def test_work_that_was_not_done_by_its_hour_slips(counter: Counter) -> None:
    order_id = await counter.order()
    async with counter.database.transaction() as tx:
        [work] = await fulfillment.release_order(tx, order_id)
    await counter.run("UPDATE fulfillment_order SET due_at = now() - interval '1 hour' WHERE id = %(id)s", id=work.id)
    await counter.run("UPDATE sales_order SET promised_at = now() + interval '1 minute' WHERE id = %(id)s", id=order_id)
    row = (await counter.look())[order_id]
    assert (row.reason, row.expected_at) == (Slip.OVERDUE, await ready_time(counter))


async def test_who_has_a_slot_comes_in_it(counter: Counter) -> None:
    day: date = datetime.now(UTC).date() + timedelta(days=2)
    async with counter.database.transaction() as tx:
        place = await network.location_by_code(tx, "S1")
        assert place is not None
        week = [Template(n, time(10), time(12), 5) for n in range(1, 8)]
        await capacity.set_templates(tx, place, {Kind.PICKUP: week})
    order_id = await counter.order(slot=NewSlot(day=day, starts="10:00"))
    assert await counter.made_of(order_id) == []
    await counter.run(CLOSE)
    assert await counter.look() == {}


async def test_who_pays_too_late_for_the_hour_is_promised_another_and_is_not_late(counter: Counter) -> None:
    order_id = await counter.order(**UNPAID)
    assert await counter.promise(order_id) == await ready_time(counter)
    await counter.run(*A_WEEK_AGO)
    assert await counter.late() == 0  # it waits for its customer
    await counter.pay(order_id)
    ready = await ready_time(counter)
    assert await counter.made_anew(order_id) == [("paid_late", ready)]
    assert await counter.promise(order_id) == ready
    assert await counter.told(order_id) == 1
    assert await counter.late() == 0
    async with counter.database.transaction() as tx:
        await fulfillment.release_order(tx, order_id)
    await drain(counter.database, SUBSCRIPTIONS)
    async with counter.database.transaction() as tx:
        assert await tx.tuples("SELECT promised_at FROM promise_outcome") == [
            (ready,)
        ]  # the first one counted on money


async def test_who_pays_in_time_keeps_the_hour(counter: Counter) -> None:
    order_id = await counter.order(**UNPAID)
    before = await counter.promise(order_id)
    await counter.pay(order_id)
    assert await counter.made_anew(order_id) == []
    assert await counter.promise(order_id) == before


async def test_who_pays_late_for_what_is_sent_is_promised_another_day(counter: Counter) -> None:
    order_id = await counter.order(**UNPAID, method="ship", pickup_location=None, service="standard", ship_to=SAO_PAULO)
    before = await counter.promise(order_id)
    assert before is not None
    await counter.run(*A_WEEK_AGO)
    await counter.pay(order_id)
    assert [reason for reason, _ in await counter.made_anew(order_id)] == ["paid_late"]
    assert await counter.promise(order_id) == before
    assert await counter.late() == 0


async def test_a_day_that_the_channel_stated_stays_however_late_the_money_is(counter: Counter) -> None:
    order_id = await counter.order(**UNPAID, promised_at=datetime.now(UTC) + timedelta(days=1))
    await counter.run(*A_WEEK_AGO)
    stated = await counter.promise(order_id)
    await counter.pay(order_id)
    assert await counter.made_anew(order_id) == []
    assert await counter.promise(order_id) == stated
    assert await counter.late() == 0  # for two minutes after the money nobody says so
    await counter.run("UPDATE order_hold SET resolved_at = resolved_at - interval '3 minutes'")
    assert await counter.late() == 1


async def test_an_order_that_a_person_lets_go_unpaid_keeps_its_day(counter: Counter) -> None:
    order_id = await counter.order(**UNPAID)
    await counter.run(*A_WEEK_AGO)
    promised = await counter.promise(order_id)
    async with counter.database.transaction() as tx:
        await holds.resolve_hold(tx, order_id, HoldKind.PAYMENT, resolution="known customer", force=True)
    await drain(counter.database, SUBSCRIPTIONS)
    assert await counter.promise(order_id) == promised


async def test_who_pays_after_the_goods_were_let_go_is_promised_another_hour_once_they_have_a_place(
    counter: Counter,
) -> None:
    order_id = await counter.order(**UNPAID)
    await counter.run(*A_WEEK_AGO, "UPDATE payment_deadline SET due_at = now() - interval '1 minute'")
    assert await order_to_cash.watch_payments(counter.database) == 1
    await counter.pay(order_id)
    ready = await ready_time(counter)
    assert await counter.made_anew(order_id) == [("paid_late", ready)]
    assert await counter.late() == 0


async def come_in(counter: Counter, sku: int, order_id: UUID, location: str = "S1") -> None:
    """Two of a SKU come in, and an order that waits for them is tried again."""
    async with counter.database.transaction() as tx:
        goods = [Claim(sku, counter.world.locations[location], 2)]
        await inventory.receive(tx, goods, About("test", text="goods"))
        assert await order_to_cash.try_again(tx, order_id)


@pytest.fixture
async def rare(counter: Counter) -> int:
    async with counter.database.transaction() as tx:
        return await a_product(tx, counter.world, "RARE", stock={})


RARE: dict[str, Any] = {"lines": [NewLine(sku=sku, quantity=1, unit_price=1000) for sku in ("RARE", "CUP")]}
SENT: dict[str, Any] = {
    "method": "ship",
    "service": "standard",
    "pickup_location": None,
    "ship_to": SAO_PAULO,
}


async def test_what_had_no_goods_when_it_came_is_promised_an_hour_once_it_has_them(counter: Counter, rare: int) -> None:
    order_id = await counter.order(**RARE)
    assert await counter.promise(order_id) is None
    await come_in(counter, rare, order_id)
    assert await counter.told(order_id) == 1
    ready = await ready_time(counter)
    assert await counter.made_anew(order_id) == [("placed", ready)]
    assert await counter.promise(order_id) == ready
    assert await counter.told(order_id) == 1
    assert await counter.look() == {}


async def test_what_is_sent_is_promised_the_day_of_an_order_that_comes_then(counter: Counter, rare: int) -> None:
    order_id = await counter.order(**RARE, **SENT)
    assert await counter.promise(order_id) is None
    await come_in(counter, rare, order_id, "DC")
    assert await counter.told(order_id) == 1
    assert await counter.promise(order_id) == await counter.promise(await counter.order(**RARE, **SENT)) is not None
    assert await counter.look() == {}


async def test_nothing_is_promised_while_some_goods_have_no_place(counter: Counter, rare: int) -> None:
    lines = [*RARE["lines"], NewLine(sku="NONE", quantity=1, unit_price=1000)]
    async with counter.database.transaction() as tx:
        none = await a_product(tx, counter.world, "NONE", stock={})
    order_id = await counter.order(lines=lines)
    async with counter.database.transaction() as tx:
        await inventory.receive(tx, [Claim(rare, counter.world.locations["S1"], 1)], About("test", text="goods"))
        assert not await order_to_cash.try_again(tx, order_id)
    assert await counter.told(order_id) == 0
    assert await counter.promise(order_id) is None
    await come_in(counter, none, order_id)
    assert await counter.told(order_id) == 1
    assert await counter.promise(order_id) is not None


async def test_who_waits_for_goods_and_has_not_paid_is_promised_a_day_with_the_money(
    counter: Counter, rare: int
) -> None:
    pix = NewPayment(kind="pix", amount=2000, state="pending")
    order_id = await counter.order(**RARE | UNPAID | {"payments": [pix]})
    await come_in(counter, rare, order_id)
    assert await counter.told(order_id) == 0
    assert await counter.promise(order_id) is None
    await counter.pay(order_id, 2000)
    assert [reason for reason, _ in await counter.made_anew(order_id)] == ["placed"]
    assert await counter.told(order_id) == 1
