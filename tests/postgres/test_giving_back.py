"""All refunds that a search finds, recorded together: each once, by whoever asks first, and none that nobody saw."""

import asyncio
from typing import Any

import pytest
from tests.waiting import waiting

from malha.ordering import service as ordering
from malha.payments import giving_back, reads, service
from malha.payments import giving_back_reads as together
from malha.payments.errors import BatchEnded, BatchNotFound, NoRefundsFound, RefundsChanged
from malha.payments.giving_back_reads import Batch
from malha.payments.model import Fact, FactKind, NewTender
from malha.platform import piecework
from malha.platform.db import Actor, Database
from malha.platform.ids import UUID
from malha.testing.builders import World, a_network, a_person, an_order

BIA = Actor("person", "0193b3c0-0000-7000-8000-00000000b1a0", "Bia")
CAIO = Actor("person", "0193b3c0-0000-7000-8000-00000000ca10", "Caio")
GIVEN = """
SELECT t.order_id, e.reference, sum(e.amount)::bigint, count(*) FROM payment_entry e JOIN tender t ON t.id = e.tender_id
WHERE e.kind = 'refunded' GROUP BY 1, 2
"""


class Till:
    """Orders that were paid too much, and batches of their refunds."""

    def __init__(self, database: Database, world: World) -> None:
        self.database, self.world = database, world

    async def owing(self, due: int, channel: str = "web", times: int = 1) -> UUID:
        """An order of which centavos are to be given back, of one payment more or of several."""
        async with self.database.transaction() as tx:
            order_id = await an_order(tx, self.world, channel=channel)
            for n in range(times):
                await self.pay(tx, order_id, due // times, f"again {n}")
        return order_id

    async def pay(self, tx: Any, order_id: UUID, amount: int, reference: str) -> None:
        more = NewTender(
            order_id=order_id, position=0, kind="pix", amount=amount, state="captured", reference=reference
        )
        await service.add_tender(tx, order_id, more)

    async def seen(self, text: str = "") -> str:
        """The mark of what a page shows."""
        async with self.database.transaction(BIA) as tx:
            return together.mark_of(await together.found(tx, text))

    async def begin(self, text: str = "", actor: Actor = BIA, mark: str | None = None, reference: str = "lot 1") -> int:
        mark = await self.seen(text) if mark is None else mark
        async with self.database.transaction(actor) as tx:
            return await giving_back.begin(tx, reference, text, mark)

    async def batch(self, number: int) -> Batch:
        async with self.database.transaction() as tx:
            return await together.batch(tx, number)

    async def work(self, number: int) -> Batch:
        """Do what a worker does."""
        batch = await self.batch(number)
        await giving_back.go_on.work(self.database, batch_id=str(batch.id))
        return await self.batch(number)

    async def due(self) -> dict[UUID, int]:
        async with self.database.transaction() as tx:
            return {row.order_id: row.refund_due for row in await reads.refunds_due(tx)}

    async def given(self) -> dict[UUID, tuple[str, int, int]]:
        """Under which reference what was given back of an order, and in how many entries."""
        async with self.database.transaction() as tx:
            return {id_: (reference, total, n) for id_, reference, total, n in await tx.tuples(GIVEN)}

    async def refused(self, number: int) -> list[str]:
        batch = await self.batch(number)
        async with self.database.transaction() as tx:
            return [giving_back.why(each, "en") for each in await together.refused(tx, batch.id, 50)]


@pytest.fixture
async def till(database: Database, examined: None) -> Till:
    async with database.transaction() as tx:
        world = await a_network(tx)
        await a_person(tx, BIA)
        await a_person(tx, CAIO)
    return Till(database, world)


async def test_all_that_a_search_finds_is_recorded_and_nothing_else(till: Till) -> None:
    one, two = await till.owing(500), await till.owing(900, times=3)
    other = await till.owing(700, channel="mall")
    number = await till.begin("web")
    batch = await till.batch(number)
    assert (batch.state, batch.orders, batch.recorded, batch.person, batch.sought) == ("going", 2, 0, "Bia", "web")
    batch = await till.work(number)
    assert (batch.state, batch.recorded, batch.refused, batch.left, batch.share) == ("done", 2, 0, 0, 100)
    assert await till.given() == {one: ("lot 1", 500, 1), two: ("lot 1", 900, 1)}
    assert await till.due() == {other: 700}
    async with till.database.transaction() as tx:
        trail = await tx.tuples("SELECT action, entity, entity_id, actor_name FROM audit WHERE entity = 'refund_batch'")
        assert await tx.values("SELECT DISTINCT actor FROM payment_entry WHERE kind = 'refunded'") == [BIA.label]
    assert trail == [("record_refunds", "refund_batch", str(number), "Bia")]


async def test_a_second_refund_of_as_much_is_not_taken_for_the_first_of_the_same_reference(till: Till) -> None:
    order_id = await till.owing(500)
    assert (await till.work(await till.begin())).recorded == 1
    async with till.database.transaction() as tx:
        # Paid by the same means once more: another capture of the tender of which the first was given back.
        await tx.execute("UPDATE tender SET amount = 1000 WHERE position = 2")
        again = Fact(position=2, kind=FactKind.CAPTURED, amount=500, reference="once more")
        await service.record_fact(tx, order_id, again)
    number = await till.begin()
    batch = await till.work(number)
    assert (batch.recorded, batch.refused) == (0, 1)
    assert "was recorded under lot 1 before. Give this one a reference of its own." in (await till.refused(number))[0]
    assert await till.due() == {order_id: 500}
    assert (await till.work(await till.begin(reference="lot 2"))).recorded == 1
    assert await till.due() == {}


async def test_nothing_is_recorded_that_the_person_did_not_see(till: Till) -> None:
    first = await till.owing(500)
    mark = await till.seen()
    late = await till.owing(600)
    with pytest.raises(RefundsChanged):
        await till.begin(mark=mark)
    assert await till.due() == {first: 500, late: 600}
    mark = await till.seen()
    async with till.database.transaction() as tx:
        await till.pay(tx, late, 50, "a third time")  # as many orders, another amount
    with pytest.raises(RefundsChanged):
        await till.begin(mark=mark)
    async with till.database.transaction() as tx:
        assert await tx.value("SELECT count(*) FROM refund_batch") == 0


async def test_an_order_of_which_something_else_is_due_by_its_turn_is_left_and_the_others_are_recorded(
    till: Till,
) -> None:
    more, gone, plain = [await till.owing(due) for due in (500, 600, 700)]
    number = await till.begin()
    async with till.database.transaction() as tx:
        await till.pay(tx, more, 50, "a third time")
        await service.record_given_back(tx, gone, "by hand")
        numbers = dict(await tx.tuples("SELECT id, number FROM sales_order"))
    batch = await till.work(number)
    assert (batch.state, batch.recorded, batch.refused) == ("done", 1, 2)
    nothing_due, something_else = await till.refused(number)
    assert nothing_due.startswith(f"Nothing is to be given back of order {numbers[gone]}. Nothing to do:")
    assert something_else == (
        f"Of order {numbers[more]} R$5.50 is to be given back now, not R$5.00. "
        "Compare it with what was given back, then record that on the order."
    )
    assert await till.given() == {gone: ("by hand", 600, 1), plain: ("lot 1", 700, 1)}
    assert await till.due() == {more: 550}


async def test_a_batch_that_was_cut_off_goes_on_where_it_was_and_gives_nothing_back_twice(till: Till) -> None:
    orders = [await till.owing(100 * n) for n in range(1, 5)]
    number = await till.begin()
    batch = await till.batch(number)
    assert await giving_back.record_one(till.database, BIA, batch)
    assert await giving_back.record_one(till.database, BIA, batch)  # and the worker is killed
    halfway = await till.batch(number)
    assert (halfway.state, halfway.recorded, halfway.share) == ("going", 2, 50)
    # Two workers at once, as after a restart that came too early; and once more afterwards.
    await asyncio.gather(*(giving_back.go_on.work(till.database, batch_id=str(batch.id)) for _ in range(2)))
    batch = await till.work(number)
    assert (batch.state, batch.recorded, batch.refused) == ("done", 4, 0)
    assert await till.given() == {id_: ("lot 1", 100 * n, 1) for n, id_ in enumerate(orders, 1)}


async def test_an_order_that_somebody_works_on_is_waited_for(till: Till) -> None:
    busy, free = await till.owing(500), await till.owing(600)
    number = await till.begin()
    async with till.database.transaction(CAIO) as tx:
        await ordering.lock_order(tx, busy)
        working = asyncio.create_task(till.work(number))
        await asyncio.sleep(0.5)
        assert (await till.batch(number)).state == "going"
    batch = await working
    assert (batch.recorded, batch.refused) == (2, 0)
    assert await till.given() == {busy: ("lot 1", 500, 1), free: ("lot 1", 600, 1)}


async def test_an_order_at_which_the_program_fails_keeps_nobody_else_waiting(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, broken, last = [await till.owing(100 * n) for n in range(5, 8)]
    number = await till.begin()
    record = service.record_given_back

    async def fail(tx: Any, order_id: UUID, *args: Any, **more: Any) -> Any:
        if order_id == broken:
            await tx.execute("SELECT 1 / 0")
        return await record(tx, order_id, *args, **more)

    monkeypatch.setattr(service, "record_given_back", fail)
    batch = await till.work(number)
    assert (batch.state, batch.recorded, batch.refused) == ("done", 2, 1)
    assert set(await till.given()) == {first, last}
    assert await till.due() == {broken: 600}
    assert (await till.refused(number))[0].startswith("The program failed at this order.")


async def test_a_long_one_lets_others_have_their_turn(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    order_id = await till.owing(500)
    number = await till.begin()
    monkeypatch.setattr(piecework, "TURN_S", 0.0)
    batch = await till.work(number)
    assert (batch.state, batch.recorded) == ("going", 0)
    async with till.database.transaction() as tx:
        waiting = "SELECT count(*) FROM malha_jobs.procrastinate_jobs WHERE task_name = 'payments.record_refunds'"
        assert await tx.value(waiting) == 2  # the one that is done here, and its next turn
    monkeypatch.setattr(piecework, "TURN_S", 20.0)
    assert (await till.work(number)).recorded == 1
    assert set(await till.given()) == {order_id}


async def test_two_people_at_once_give_nothing_back_twice(till: Till) -> None:
    orders = [await till.owing(100 * n) for n in range(1, 7)]
    mark = await till.seen()
    found = await asyncio.gather(
        till.begin(actor=BIA, mark=mark, reference="bia"),
        till.begin(actor=CAIO, mark=mark, reference="caio"),
        return_exceptions=True,
    )
    refusals = [each for each in found if isinstance(each, NoRefundsFound)]
    (number,) = [each for each in found if isinstance(each, int)]
    assert len(refusals) == 1
    assert await till.seen() == ""  # what waits in a batch is not offered again
    await till.work(number)
    assert {id_: (total, n) for id_, (_reference, total, n) in (await till.given()).items()} == {
        id_: (100 * n, 1) for n, id_ in enumerate(orders, 1)
    }


async def test_who_chooses_orders_by_hand_while_all_are_recorded_gives_nothing_back_twice(till: Till) -> None:
    orders = [await till.owing(100 * n) for n in range(1, 5)]
    number = await till.begin()

    async def by_hand(id_: UUID) -> None:
        async with till.database.transaction(CAIO) as tx:
            await service.record_given_back(tx, id_, "by hand")

    results = await asyncio.gather(till.work(number), *(by_hand(id_) for id_ in orders), return_exceptions=True)
    batch = results[0]
    assert isinstance(batch, Batch)
    assert batch.state == "done"
    given = await till.given()
    assert {id_: (total, n) for id_, (_, total, n) in given.items()} == {
        id_: (100 * n, 1) for n, id_ in enumerate(orders, 1)
    }
    assert batch.recorded == sum(reference == "lot 1" for reference, _, _ in given.values())
    assert batch.recorded + batch.refused == 4


async def test_stopped_halfway_what_is_recorded_stays_and_the_rest_is_due_and_can_be_asked_for_again(
    till: Till,
) -> None:
    orders = [await till.owing(100 * n) for n in range(1, 4)]
    number = await till.begin()
    await giving_back.record_one(till.database, BIA, await till.batch(number))
    async with till.database.transaction(CAIO) as tx:
        await giving_back.stop(tx, number)
    batch = await till.work(number)
    assert (batch.state, batch.recorded, batch.left) == ("stopped", 1, 2)
    assert set(await till.due()) == set(orders[:2])  # the newest was recorded first
    with pytest.raises(BatchEnded):
        async with till.database.transaction(CAIO) as tx:
            await giving_back.stop(tx, number)
    again = await till.work(await till.begin(reference="lot 2"))
    assert (again.state, again.recorded) == ("done", 2)
    assert await till.due() == {}


async def test_who_stops_it_waits_for_the_order_at_hand_and_the_worker_ends(till: Till) -> None:
    for _ in range(3):
        await till.owing(100)
    number = await till.begin()
    batch = await till.batch(number)
    async with till.database.transaction() as tx:  # the worker is at one of them, which this holds
        (newest,) = await tx.values("SELECT max(order_id::text)::uuid FROM refund_batch_order")
        await tx.values("SELECT id FROM sales_order WHERE id = %(id)s::uuid FOR UPDATE", {"id": newest})
        worker = asyncio.create_task(giving_back.go_on.work(till.database, batch_id=str(batch.id)))
        while not await waiting(till.database):
            await asyncio.sleep(0.01)

        async def stop() -> None:
            async with till.database.transaction(CAIO) as other:
                await giving_back.stop(other, number)

        stopping = asyncio.create_task(stop())
        while await waiting(till.database) < 2:
            await asyncio.sleep(0.01)
    await asyncio.gather(worker, stopping)
    batch = await till.batch(number)
    assert (batch.state, batch.recorded, batch.left) == ("stopped", 1, 2)
    assert len(await till.due()) == 2


async def test_who_is_limited_to_locations_has_theirs_recorded_and_sees_their_own_batches(till: Till) -> None:
    await till.owing(500)
    hers = Actor(
        "person", "0193b3c0-0000-7000-8000-00000000e7a0", "Eva", locations=frozenset({till.world.locations["DC"]})
    )
    nobodys = Actor("person", "ugo", "Ugo", locations=frozenset({till.world.locations["S1"]}))
    async with till.database.transaction() as tx:
        await a_person(tx, hers, role="store_lead")
    async with till.database.transaction(nobodys) as tx:
        assert await together.found(tx) == []
    with pytest.raises(NoRefundsFound):
        await till.begin(actor=nobodys)
    number = await till.begin(actor=hers)
    async with till.database.transaction(hers) as tx:
        assert [batch.number for batch in await together.batches(tx)] == [number]
    async with till.database.transaction(nobodys) as tx:
        assert await together.batches(tx) == []
        with pytest.raises(BatchNotFound):
            await together.batch(tx, number)
    assert (await till.work(number)).recorded == 1


async def test_amounts_of_several_currencies_are_told_apart(till: Till) -> None:
    await till.owing(500)
    other = await till.owing(700)
    async with till.database.transaction() as tx:
        await tx.execute("UPDATE sales_order SET currency = 'USD' WHERE id = %(id)s::uuid", {"id": other})
        found = await together.found(tx)
        await tx.execute("UPDATE sales_order SET currency = 'BRL'")
    assert [(each.currency, each.orders, each.due) for each in found] == [("BRL", 1, 500), ("USD", 1, 700)]


async def test_who_may_not_any_more_gives_nothing_more_back(till: Till) -> None:
    await till.owing(500)
    await till.owing(900)
    number = await till.begin()
    assert await giving_back.record_one(till.database, BIA, await till.batch(number))
    async with till.database.transaction() as tx:
        await tx.execute("UPDATE person SET active = false WHERE id = %s::uuid", (BIA.id,))
    batch = await till.work(number)
    assert (batch.recorded, batch.refused) == (1, 1)
    assert len(await till.due()) == 1
    assert (await till.refused(number))[0].startswith("Bia, who began this, may not do it any more.")
