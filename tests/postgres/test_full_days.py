"""A location whose day is full: others serve first; what only it has waits for its next day, and is promised so."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import date, timedelta

import pytest

from malha.doctor import examine
from malha.fulfillment import service as fulfillment
from malha.intake import promised
from malha.intake.gate import Gate
from malha.intake.model import NewLine, NewOrder, NewPayment, Placed
from malha.intake.reference import Reference, reference_in
from malha.ordering import service as ordering
from malha.ordering.model import HoldKind, UnitState
from malha.platform.address import Address
from malha.platform.db import Database
from malha.platform.ids import new_id
from malha.routing import reads as routing_reads
from malha.routing.model import Reason
from malha.routing.replaying import Replayer
from malha.testing.builders import World, a_network, a_product

SAO_PAULO = Address(postal_code="01310100", city="São Paulo", state="SP", street="Av. Paulista", number="1000")
RECORDS = "SELECT record::text FROM routing_decision ORDER BY attempt, order_id"


class Shop:
    """DC, S1 and S2 take some orders a day each, at all hours; CUP is at DC and S1, LAMP at DC alone."""

    def __init__(self, database: Database, world: World, gate: Gate) -> None:
        self.database, self.world, self.gate = database, world, gate
        self.count = 0

    async def buys(self, sku: str = "CUP", quantity: int = 1, channel: str = "mall", **more: object) -> Placed:
        self.count += 1
        values: dict[str, object] = {"ship_to": SAO_PAULO, "service": "standard", **more}
        lines = [NewLine(one, quantity, 1_000) for one in sku.split("+")]
        order = NewOrder(channel=channel, external_id=f"E{self.count}", lines=lines, **values)
        self.gate.cache.expire()  # what was placed a moment ago counts
        return await self.gate.submit(order)

    async def at(self, placed: Placed) -> dict[str | None, int]:
        """Return the units of an order by location; None: waiting."""
        codes = {id_: code for code, id_ in self.world.locations.items()}
        async with self.database.transaction() as tx:
            rows = (await ordering.units_of(tx, [placed.id]))[placed.id]
        found: dict[str | None, int] = {}
        for unit in rows:
            code = None if unit.location_id is None else codes[unit.location_id]
            found[code] = found.get(code, 0) + unit.quantity
        return found

    async def release(self, placed: Placed) -> date:
        async with self.database.transaction() as tx:
            (work,) = await fulfillment.release_order(tx, placed.id)
        return work.capacity_day

    async def reference(self) -> Reference:
        async with self.database.transaction() as tx:
            return await reference_in(tx)

    async def today(self) -> date:
        async with self.database.transaction() as tx:
            now = await tx.now()
            reference = await reference_in(tx)
        day = reference.snapshot.calendars[self.world.locations["DC"]].due_day(now)
        assert day is not None
        return day

    async def limits(self, of: Mapping[str, int | None]) -> None:
        async with self.database.transaction() as tx:
            for code, limit in of.items():
                await tx.execute(
                    "UPDATE location SET daily_capacity = %(limit)s::int WHERE code = %(code)s::text",
                    {"limit": limit, "code": code},
                )
            await tx.execute("UPDATE revision SET n = n + 1 WHERE name = 'network'")

    async def is_healthy(self) -> bool:
        return not [f for f in (await examine(self.database)).findings if f.drifts]


@pytest.fixture
async def shop(database: Database) -> AsyncIterator[Shop]:
    async with database.transaction() as tx:
        world = await a_network(tx, capacity=1)
        await a_product(tx, world, "CUP", stock={"DC": 20, "S1": 20})
        await a_product(tx, world, "LAMP", stock={"DC": 20})
    gate = Gate(database)
    yield Shop(database, world, gate)
    await gate.close()
    assert await Shop(database, world, gate).is_healthy()


async def test_others_serve_before_a_day_that_is_full_and_then_it_is_its_next_day(shop):
    first, second, third = [await shop.buys() for _ in range(3)]
    assert [await shop.at(placed) for placed in (first, second)] == [{"DC": 1}, {"S1": 1}]
    assert await shop.at(third) == {"DC": 1}, "both days are full, and the cheaper one waits"
    for placed in (first, second, third):
        assert not placed.holds
        assert placed.status == "allocated"
    day = await shop.today()
    assert [await shop.release(placed) for placed in (first, second, third)] == [day, day, day + timedelta(days=1)]


@pytest.mark.parametrize("channel", ["mall", "web", "till"])  # reject, hold and backorder what is short
async def test_no_channel_refuses_holds_or_lets_wait_what_is_there(shop, channel):
    paid = [NewPayment(kind="pix", amount=1_000, state="captured")]
    orders = [await shop.buys("LAMP", channel=channel, payments=paid) for _ in range(4)]
    for placed in orders:
        assert await shop.at(placed) == {"DC": 1}
        assert not placed.holds
    async with shop.database.transaction() as tx:
        holds = await ordering.open_holds(tx, [placed.id for placed in orders])
    assert not any(holds.values())


async def test_the_promise_is_of_the_day_with_room_and_what_is_released_gets_that_day(shop):
    async def offered() -> date:
        async with shop.database.transaction() as tx:
            reference = await reference_in(tx)
            cards = await reference.cards(tx, ["LAMP"])
            options = await promised.options(
                tx, reference, reference.channels["mall"], [(cards["LAMP"], 1)],
                id_=new_id(), to_state="SP", postal_code="01310100",
            )  # fmt: skip
        (delivery,) = options.deliveries
        leaves: date = delivery.leaves
        return leaves

    day = await shop.today()
    for n in range(4):
        leaves = await offered()
        assert leaves == day + timedelta(days=n)
        placed = await shop.buys("LAMP")
        if n < 2:  # released or only claimed, its day is given
            assert await shop.release(placed) == leaves
    assert (await shop.reference()).calendars[0].load.taken >= 1


async def test_lines_that_others_have_do_not_fill_a_full_day_further_unless_it_saves_a_parcel(shop):
    await shop.buys("LAMP")
    placed = await shop.buys("CUP+LAMP")
    assert await shop.at(placed) == {"DC": 2}, "one parcel on the next day is cheaper than two"
    assert await shop.at(await shop.buys("CUP")) == {"S1": 1}


async def test_a_location_without_any_capacity_serves_nothing(shop):
    await shop.limits({"DC": 0})
    placed = await shop.buys("LAMP", channel="web", payments=[NewPayment(kind="pix", amount=1_000, state="captured")])
    assert await shop.at(placed) == {None: 1}
    assert HoldKind.SHORTAGE.value in placed.holds


async def test_held_and_unpaid_orders_take_no_room_of_a_day(shop):
    await shop.limits({"DC": 2, "S1": 2, "S2": 2})
    for _ in range(3):
        unpaid = await shop.buys("LAMP", channel="web")
        assert await shop.at(unpaid) == {"DC": 1}
    reference = await shop.reference()
    at = reference.network.index[shop.world.locations["DC"]]
    assert reference.taken[at] == 0
    await shop.buys("LAMP")
    assert (await shop.reference()).taken[at] == 1


async def test_work_whose_window_opens_later_takes_the_room_of_that_day(shop):
    placed = await shop.buys("LAMP")
    async with shop.database.transaction() as tx:
        later = "UPDATE sales_order SET release_after = release_after + interval '3 days' WHERE id = %(id)s::uuid"
        await tx.execute(later, {"id": placed.id})
    reference = await shop.reference()
    at = reference.network.index[shop.world.locations["DC"]]
    day = await shop.today()
    assert reference.taken[at] == 0
    assert reference.calendars[at].load.full == {day + timedelta(days=3)}


async def test_the_decision_says_whose_day_was_full_and_is_replayed_to_the_same_bytes(shop):
    await shop.buys("LAMP")
    placed = await shop.buys("LAMP+CUP")
    async with shop.database.transaction() as tx:
        records = [record.encode() for record in await tx.values(RECORDS)]
        explained = await routing_reads.explanation(tx, placed.id)
    replayer = Replayer()
    assert [replayer.again(record) for record in records] == records
    assert explained.alternatives[0].locations[0].code == "DC"
    says = "DC está sem vaga no dia (1 de 1); os outros não têm os itens, então atende no próximo."
    assert says in explained.sentences
    assert Reason.CAPACITY not in {rejected.reason for rejected in explained.rejected}


async def test_more_orders_at_once_than_all_days_take_are_all_placed_and_none_twice(shop):
    gates = [Gate(shop.database) for _ in range(3)]
    try:
        orders = [
            NewOrder(
                channel="mall", external_id=f"many-{n}", lines=[NewLine("CUP", 1, 1_000)], ship_to=SAO_PAULO,
                service="standard",
            )
            for n in range(40)
        ]  # fmt: skip
        placed = await asyncio.gather(*[gates[n % 3].submit(order) for n, order in enumerate(orders)])
    finally:
        for gate in gates:
            await gate.close()
    async with shop.database.transaction() as tx:
        units = await ordering.units_of(tx, [one.id for one in placed])
        done = await fulfillment.release(tx, [one.id for one in placed], forced=True)
        days = await tx.tuples("SELECT location_id, day, taken FROM location_day WHERE taken > 0")
    assert {u.state for rows in units.values() for u in rows} == {UnitState.ALLOCATED}
    assert len(done.work) == 40
    assert {taken for _, _, taken in days} == {1}
