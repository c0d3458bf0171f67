"""The page of an order reads what there is of it once."""

from typing import Any

from malha.console import order_facts
from malha.ordering import reads, writes
from malha.platform.db import Tx
from malha.testing.builders import a_network, an_order


class Recorder(Tx):
    """Runs what it is asked, and remembers it."""

    __slots__ = ("asked",)

    def __init__(self, tx: Tx) -> None:
        super().__init__(tx.connection, tx.retailer, tx.actor)
        self.asked: list[Any] = []

    async def cursor_of(self, statement: Any, params: Any = ()) -> Any:
        self.asked.append(statement)
        return await super().cursor_of(statement, params)


async def test_units_and_lines_are_read_once_for_the_page_of_an_order(database):
    async with database.transaction() as tx:
        world = await a_network(tx)
        id_ = await an_order(tx, world, 2)
        number = await tx.value("SELECT number FROM sales_order WHERE id = %s::uuid", (id_,))
        recorder = Recorder(tx)
        facts = await order_facts.read(recorder, number, None)
    assert facts.here == {1: 1, 2: 1}
    assert [recorder.asked.count(one) for one in (reads.UNITS, reads.LINES)] == [1, 1]
    assert not {writes.LINES_OF, writes.UNITS_OF} & set(recorder.asked)
