"""However much waits at a connection, to be told or to be taken, a turn costs what is done in it, not what waits.

Counted in rows that a statement looks at, by a planner that was told nothing of what waits, and by one that knows all.
"""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from linked_world import Linked, linked
from psycopg.sql import SQL, Identifier
from row_costs import cost

from malha.channels.connecting import queueing, reads, writes
from malha.channels.connecting.model import NewOp, OpKind
from malha.platform.db import Database, Tx

WAITING = 20_000
ROOM = 100
CROWD = """
INSERT INTO channel_op (key, connection_id, kind, entity, version, payload)
SELECT gen_random_uuid(), %(id)s::int, 'set_price', 'price:' || n, 1, '{}' FROM generate_series(1, %(n)s::int) n
"""
CAME = """
INSERT INTO channel_inbox (connection_id, dedup, entity, source, trust, payload, state)
SELECT %(id)s::int, 'came:' || n, 'order:' || n, 'webhook', 'data', '', %(state)s::text FROM generate_series(1, %(n)s::int) n
"""
KINDS = [kind.value for kind in OpKind]
PRICES = {"kinds": [OpKind.SET_PRICE.value], "lease": 60, "room": ROOM}
REST = {"kinds": [kind for kind in KINDS if kind != OpKind.SET_PRICE.value], "lease": 60, "room": 5}


@pytest.fixture(params=["nothing is known of what waits", "all is known"])
async def crowd(database: Database, tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Linked]:
    async with linked(database, tmp_path) as shop:
        id_ = await shop.id()
        async with database.transaction() as tx:
            for table in ("channel_op", "channel_inbox"):
                await tx.execute(SQL("ALTER TABLE {} SET (autovacuum_enabled = false)").format(Identifier(table)))
            await tx.execute(CROWD, {"id": id_, "n": WAITING})
            await tx.execute(CAME, {"id": id_, "n": WAITING, "state": "waiting"})
            if request.param == "all is known":
                await tx.execute("ANALYZE channel_op, channel_inbox")
        yield shop


def prices(id_: int, version: int) -> list[NewOp]:
    return [
        NewOp(
            connection_id=id_,
            kind=OpKind.SET_PRICE,
            entity=f"price:{n}",
            name=f"price:{n}",
            payload={"n": version},
            version=version,
        )
        for n in range(1, ROOM + 1)
    ]


async def test_what_is_taken_is_found_among_all_that_waits(crowd: Linked) -> None:
    id_ = await crowd.id()
    async with crowd.database.transaction() as tx:
        assert await cost(tx, reads.DUE_OPS, {"kinds": KINDS}) < 10
        assert await cost(tx, writes.TAKE_OPS, {**PRICES, "id": id_}) < 20 * ROOM
        assert await cost(tx, writes.TAKE_OPS, {**PRICES, "id": id_}) < 20 * ROOM  # as much is under way as may be
        assert await tx.value("SELECT count(*) FROM channel_op WHERE attempts > 0") == ROOM
        assert await cost(tx, writes.TAKE_OPS, {**REST, "id": id_}) < 50  # no shipment waits behind the prices


async def test_what_is_put_off_is_not_looked_through(crowd: Linked) -> None:
    async with crowd.database.transaction() as tx:
        await tx.execute("UPDATE channel_op SET not_before = now() + interval '1 hour'")
    async with crowd.database.transaction() as tx:
        assert await cost(tx, reads.DUE_OPS, {"kinds": KINDS}) < 10
        assert await cost(tx, writes.TAKE_OPS, {**PRICES, "id": await crowd.id()}) < 50


async def test_what_is_newer_finds_what_it_replaces(crowd: Linked) -> None:
    id_ = await crowd.id()
    ops = prices(id_, 7)
    found: list[float] = []

    class Counting(Tx):
        __slots__ = ()

        async def values(self, statement: Any, params: Any = ()) -> list[Any]:
            if statement is writes.ADD_OPS:
                found.append(await cost(tx, statement, params))
                return [None] * len(params["keys"])
            return await super().values(statement, params)

        async def execute(self, statement: Any, params: Any = ()) -> int:
            if statement is writes.SUPERSEDE:
                found.append(await cost(tx, statement, params))
                return 0
            return await super().execute(statement, params)

    async with crowd.database.transaction() as tx:
        await queueing.add(Counting(tx.connection, tx.retailer, tx.actor), ops)
    assert max(found) < 20 * ROOM
    assert len(found) == 2
    states = "SELECT state || ' ' || version FROM channel_op WHERE entity = ANY (%(entities)s::text[])"
    entities = {"entities": [op.entity for op in ops]}
    async with crowd.database.transaction() as tx:
        assert sorted(await tx.values(states, entities)) == ["superseded 1"] * ROOM + ["waiting 7"] * ROOM
        assert await queueing.add(tx, prices(id_, 6)) == 0  # nobody wants an older one any more
        await tx.execute("UPDATE channel_op SET state = 'done' WHERE version = 7")
        await queueing.add(tx, prices(id_, 5))  # it comes late: the newer one has arrived
        expected = ["done 7"] * ROOM + ["superseded 1"] * ROOM + ["superseded 5"] * ROOM
        assert sorted(await tx.values(states, entities)) == expected


async def test_what_came_is_found_among_all_that_waits(crowd: Linked) -> None:
    took = {"lease": 60, "most": ROOM}
    async with crowd.database.transaction() as tx:
        assert await cost(tx, writes.TAKE_CAME, {**took, "trust": "data"}) < 20 * ROOM
        assert await tx.value("SELECT count(*) FROM channel_inbox WHERE attempts > 0") == ROOM
        assert await cost(tx, writes.TAKE_CAME, {**took, "trust": "hint"}) < 50  # no hint waits behind the orders
        await tx.execute("UPDATE connection SET status = 'paused'")
        assert await cost(tx, writes.TAKE_CAME, {**took, "trust": "data"}) < 50


async def test_what_is_stuck_of_an_entity_is_found_among_all_that_is(crowd: Linked) -> None:
    id_ = await crowd.id()
    async with crowd.database.transaction() as tx:
        await tx.execute("UPDATE channel_inbox SET state = 'unmapped'")
        newer = {"connections": [id_] * ROOM, "entities": [f"order:{n}" for n in range(1, ROOM + 1)]}
        assert await cost(tx, writes.RETIRE_MANY, {**newer, "ids": [10**9] * ROOM}) < 20 * ROOM
        one = {"connection_id": id_, "entity": "order:1000", "id": 10**9}
        assert await cost(tx, writes.RETIRE_STUCK, one) < 10
        stale = "SELECT count(*) FROM channel_inbox WHERE state = 'stale'"
        assert await tx.value(stale) == ROOM + 1
