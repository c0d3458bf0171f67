"""What subscribers write about orders from the log."""

from typing import ClassVar

import msgspec
import pytest
from spine_rows import a_network, an_order

from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.ordering import finding_reads
from malha.platform import outbox
from malha.platform.db import Actor, Database
from malha.platform.outbox import Event
from malha.platform.subscribers import Subscription, drain

SWEPT = [s for s in SUBSCRIPTIONS if s.name in {"order_timeline", "order_search", "order_location", "order_customer"}]
HANDLED = [msgspec.structs.replace(s, sweep=None) for s in SWEPT]


@pytest.fixture(params=[SWEPT, HANDLED], ids=["swept in the database", "handled event by event"])
def projections(request: pytest.FixtureRequest) -> list[Subscription]:
    assert all(s.sweep for s in SWEPT)
    return request.param


class Told(Event, frozen=True, kw_only=True):
    TYPE: ClassVar[str] = "order.placed"
    KIND: ClassVar[str] = "order"

    total: int = 0


class Noted(Event, frozen=True, kw_only=True):
    TYPE: ClassVar[str] = "payment.recorded"
    KIND: ClassVar[str] = "order"

    amount: int


async def test_the_timeline_tells_everything_that_happened_to_an_order_in_order(
    database: Database, projections: list[Subscription]
) -> None:
    async with database.transaction(Actor("person", "42", "Ana")) as tx:
        await a_network(tx)
        order_id = await an_order(tx)
        await outbox.add(tx, Noted(id=order_id, seq=2, amount=5), Told(id=order_id, seq=1, total=8700))
    await drain(database, projections)
    async with database.transaction() as tx:
        rows = "SELECT seq, type, actor, facts FROM order_timeline WHERE order_id = %s ORDER BY seq"
        told = await tx.tuples(rows, (order_id,))
        assert told == [
            (1, "order.placed", "person:42", {"total": 8700}),
            (2, "payment.recorded", "person:42", {"amount": 5}),
        ]
        await tx.execute("UPDATE subscriber SET position = 0")
    await drain(database, projections)
    async with database.transaction() as tx:
        assert await tx.tuples(rows, (order_id,)) == told


async def test_an_order_is_found_by_what_a_person_may_know_of_it(
    database: Database, projections: list[Subscription]
) -> None:
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
        other = await an_order(tx, external_id="w-2", name="Maria Souza", document="12ABC34501DE35")
        await outbox.add(tx, Told(id=order_id, seq=1), Told(id=other, seq=1))
    await drain(database, projections)
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
            assert await finding_reads.find(tx, text) == [order_id], text
        for text in ("12.ABC.345/01DE-35", "12abc34501de35", "12.abc.345/01de-35"):
            assert await finding_reads.find(tx, text) == [other], text
        assert set(await finding_reads.find(tx, "sku-1")) == {order_id, other}


class Corrected(Told, frozen=True, kw_only=True):
    TYPE: ClassVar[str] = "order.buyer_changed"


async def test_a_corrected_buyer_is_found_by_the_new_name_only(
    database: Database, projections: list[Subscription]
) -> None:
    async with database.transaction() as tx:
        await a_network(tx)
        order_id = await an_order(tx, name="Jose Errado")
        await outbox.add(tx, Told(id=order_id, seq=1))
    await drain(database, projections)
    async with database.transaction() as tx:
        await tx.execute("UPDATE sales_order SET buyer_name = 'José Certo'")
        await outbox.add(tx, Corrected(id=order_id, seq=2))
    await drain(database, projections)
    async with database.transaction() as tx:
        assert await finding_reads.find(tx, "jose certo") == [order_id]
        assert await finding_reads.find(tx, "errado") == []


async def test_orders_of_one_person_get_one_customer_and_those_of_nobody_none(
    database: Database, projections: list[Subscription]
) -> None:
    async with database.transaction() as tx:
        await a_network(tx)
        first = await an_order(tx, name="João da Silva", document="52998224725", email="joao@example.com")
        second = await an_order(tx, external_id="w-2", name="J. Silva", email="joao@example.com")
        stranger = await an_order(tx, external_id="w-3", name="Cliente de balcão")
        await outbox.add(tx, *[Told(id=order_id, seq=1) for order_id in (first, second, stranger)])
    await drain(database, projections)
    async with database.transaction() as tx:
        linked = dict(await tx.tuples("SELECT order_id, customer_id FROM order_customer"))
        assert linked[first] == linked[second]
        assert stranger not in linked
        assert await tx.value("SELECT count(*) FROM customer") == 1
        await tx.execute("UPDATE subscriber SET position = 0")
    await drain(database, projections)
    async with database.transaction() as tx:
        assert dict(await tx.tuples("SELECT order_id, customer_id FROM order_customer")) == linked
        assert await tx.value("SELECT count(*) FROM customer") == 1


async def test_an_order_follows_its_buyer_when_the_document_was_anothers(
    database: Database, projections: list[Subscription]
) -> None:
    async with database.transaction() as tx:
        await a_network(tx)
        kept = await an_order(tx, name="João da Silva", document="52998224725", email="joao@example.com")
        wrong = await an_order(tx, external_id="w-2", name="Ana Lima", document="52998224725")
        late = await an_order(tx, external_id="w-3", name="Rui Reis", email="rui@example.com")
        await outbox.add(tx, *[Told(id=order_id, seq=1) for order_id in (kept, wrong, late)])
    await drain(database, projections)
    async with database.transaction() as tx:
        correct = "UPDATE sales_order SET buyer_document = %s::text WHERE id = %s::uuid"
        await tx.execute(correct, ("11144477735", wrong))
        await tx.execute(correct, ("39053344705", late))
        await tx.execute("UPDATE sales_order SET buyer_name = 'João Silva' WHERE id = %s::uuid", (kept,))
        await outbox.add(tx, *[Corrected(id=order_id, seq=2) for order_id in (kept, wrong, late)])
    await drain(database, projections)
    owners = """
        SELECT k.order_id, c.name, c.document FROM order_customer k JOIN customer c ON c.id = k.customer_id
    """
    expected = {
        (kept, "João da Silva", "52998224725"),
        (wrong, "Ana Lima", "11144477735"),
        (late, "Rui Reis", "39053344705"),  # who had none: the profile was theirs all along
    }
    async with database.transaction() as tx:
        assert set(await tx.tuples(owners)) == expected
        assert await tx.value("SELECT count(*) FROM customer") == 3
        await tx.execute("UPDATE subscriber SET position = 0")
    await drain(database, projections)
    async with database.transaction() as tx:
        assert set(await tx.tuples(owners)) == expected


async def test_an_orders_locations_are_written_and_stay_when_its_units_move_on(
    database: Database, projections: list[Subscription]
) -> None:
    class Routed(Told, frozen=True, kw_only=True):
        TYPE: ClassVar[str] = "order.routed"

    rows = "SELECT location_id FROM order_location WHERE order_id = %s AND placed_at = (SELECT placed_at FROM sales_order WHERE id = %s) ORDER BY 1"
    async with database.transaction() as tx:
        await a_network(tx)
        order_id = await an_order(tx)
        await tx.execute("UPDATE order_unit SET location_id = 1")
        await outbox.add(tx, Told(id=order_id, seq=1))
    await drain(database, projections)
    async with database.transaction() as tx:
        assert await tx.values(rows, (order_id, order_id)) == [1]
        await tx.execute("UPDATE order_unit SET location_id = 2")
        await outbox.add(tx, Routed(id=order_id, seq=2))
    await drain(database, projections)
    async with database.transaction() as tx:
        assert await tx.values(rows, (order_id, order_id)) == [1, 2]
        await tx.execute("UPDATE subscriber SET position = 0")
    await drain(database, projections)
    async with database.transaction() as tx:
        assert await tx.values(rows, (order_id, order_id)) == [1, 2]


ODD_NAMES = [
    "Straße  mit  Leerzeichen",
    "ﬁno ﬂor",
    "ΟΔΥΣΣΕΥΣ",
    "Ирина Ёлкина",
    "não\u00a0quebra\tlinha",
    "Zoë e\u0301 a\u0327",
    "q\u0338\u20d2 combinados",
    "🧵 costura",
    " bordas ",
    "100% _puro_",
    "",
]


async def test_both_ways_write_the_same_words(database: Database) -> None:
    """Folding in the database must agree with `platform.text.fold`, which folds what people ask for."""
    async with database.transaction() as tx:
        await a_network(tx)
        for n, name in enumerate(ODD_NAMES):
            order_id = await an_order(
                tx, external_id=f"w-{n}", name=name, document="12.ABC.345/01DE-35", phone="ramal 12"
            )
            await outbox.add(tx, Told(id=order_id, seq=1))
    written = []
    for way in (SWEPT, HANDLED):
        await drain(database, way)
        async with database.transaction() as tx:
            rows = await tx.tuples("SELECT order_id, document FROM order_search ORDER BY order_id")
            written.append([(order_id, set(document.split(" "))) for order_id, document in rows])
            await tx.execute("DELETE FROM order_search")
            await tx.execute("UPDATE subscriber SET position = 0")
    assert len(written[0]) == len(ODD_NAMES)
    assert written[0] == written[1]
