"""What subscribers write about orders from the log."""

from typing import ClassVar

from spine_rows import a_network, an_order

from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.ordering import reads
from malha.platform import outbox
from malha.platform.db import Actor, Database
from malha.platform.outbox import Event
from malha.platform.subscribers import drain

PROJECTIONS = [s for s in SUBSCRIPTIONS if s.name in {"order_timeline", "order_search", "order_customer"}]


class Told(Event, frozen=True, kw_only=True):
    TYPE: ClassVar[str] = "order.placed"
    KIND: ClassVar[str] = "order"

    total: int = 0


class Noted(Event, frozen=True, kw_only=True):
    TYPE: ClassVar[str] = "payment.recorded"
    KIND: ClassVar[str] = "order"

    amount: int


async def test_the_timeline_tells_everything_that_happened_to_an_order_in_order(database: Database) -> None:
    async with database.transaction(Actor("person", "42", "Ana")) as tx:
        await a_network(tx)
        order_id = await an_order(tx)
        await outbox.add(tx, Noted(id=order_id, seq=2, amount=5), Told(id=order_id, seq=1, total=8700))
    await drain(database, PROJECTIONS)
    async with database.transaction() as tx:
        rows = "SELECT seq, type, actor, facts FROM order_timeline WHERE order_id = %s ORDER BY seq"
        told = await tx.tuples(rows, (order_id,))
        assert told == [
            (1, "order.placed", "person:42", {"total": 8700}),
            (2, "payment.recorded", "person:42", {"amount": 5}),
        ]
        await tx.execute("UPDATE subscriber SET position = 0")
    await drain(database, PROJECTIONS)
    async with database.transaction() as tx:
        assert await tx.tuples(rows, (order_id,)) == told


async def test_an_order_is_found_by_what_a_person_may_know_of_it(database: Database) -> None:
    async with database.transaction() as tx:
        await a_network(tx)
        order_id = await an_order(
            tx,
            external_id="MLB-2000012345",
            name="João Açaí da Conceição",
            document="52998224725",
            email="joao@example.com",
            phone="+5511987654321",
        )
        other = await an_order(tx, external_id="w-2", name="Maria Souza")
        await outbox.add(tx, Told(id=order_id, seq=1), Told(id=other, seq=1))
    await drain(database, PROJECTIONS)
    async with database.transaction() as tx:
        for text in (
            "joao acai",
            "CONCEIÇÃO",
            "529.982.247-25",
            "joao@example",
            "(11) 98765-4321",
            "mlb-20000",
            "joao kit-3",
        ):
            assert await reads.find(tx, text) == [order_id], text
        assert set(await reads.find(tx, "sku-1")) == {order_id, other}


async def test_a_corrected_buyer_is_found_by_the_new_name_only(database: Database) -> None:
    class Corrected(Told, frozen=True, kw_only=True):
        TYPE: ClassVar[str] = "order.buyer_changed"

    async with database.transaction() as tx:
        await a_network(tx)
        order_id = await an_order(tx, name="Jose Errado")
        await outbox.add(tx, Told(id=order_id, seq=1))
    await drain(database, PROJECTIONS)
    async with database.transaction() as tx:
        await tx.execute("UPDATE sales_order SET buyer_name = 'José Certo'")
        await outbox.add(tx, Corrected(id=order_id, seq=2))
    await drain(database, PROJECTIONS)
    async with database.transaction() as tx:
        assert await reads.find(tx, "jose certo") == [order_id]
        assert await reads.find(tx, "errado") == []


async def test_orders_of_one_person_get_one_customer_and_those_of_nobody_none(database: Database) -> None:
    async with database.transaction() as tx:
        await a_network(tx)
        first = await an_order(tx, name="João da Silva", document="52998224725", email="joao@example.com")
        second = await an_order(tx, external_id="w-2", name="J. Silva", email="joao@example.com")
        stranger = await an_order(tx, external_id="w-3", name="Cliente de balcão")
        await outbox.add(tx, *[Told(id=order_id, seq=1) for order_id in (first, second, stranger)])
    await drain(database, PROJECTIONS)
    async with database.transaction() as tx:
        linked = dict(await tx.tuples("SELECT id, customer_id FROM sales_order"))
        assert linked[first] is not None
        assert linked[first] == linked[second]
        assert linked[stranger] is None
        assert await tx.value("SELECT count(*) FROM customer") == 1
        await tx.execute("UPDATE subscriber SET position = 0")
    await drain(database, PROJECTIONS)
    async with database.transaction() as tx:
        assert dict(await tx.tuples("SELECT id, customer_id FROM sales_order")) == linked
        assert await tx.value("SELECT count(*) FROM customer") == 1
