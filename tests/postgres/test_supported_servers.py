"""The oldest supported PostgreSQL and the newest take the same migrations and the same orders."""

import asyncio
import sys
from pathlib import Path

import psycopg
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from sync_world import WAY, a_retailer, hours_ago, on_hand, state

from malha.bench.seed import seed
from malha.doctor import examine
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.intake.gate import Gate
from malha.intake.model import NewLine, NewOrder, Result
from malha.inventory.sync.model import Scope, State
from malha.inventory.sync.sieve import FROM_ROWS
from malha.platform.address import Address
from malha.platform.subscribers import drain

SAO_PAULO = Address(postal_code="01310100", city="São Paulo", state="SP", street="Av. Paulista", number="1000")


@pytest.fixture(params=["15", "18"])
def server(request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue("debian15" if request.param == "15" else "template_url")


async def test_orders_are_taken_digested_and_add_up_on_every_supported_server(server: str, retailer_on) -> None:
    async with retailer_on(server) as database:
        await seed(database, skus=5, locations=3, units=10)
        gate = Gate(database)
        await gate.open()
        orders = [
            NewOrder(
                channel="web", external_id=f"o-{n}", lines=[NewLine(f"SKU{1 + n % 5}", 2, 1990)], ship_to=SAO_PAULO
            )
            for n in range(20)
        ]
        placed = await asyncio.gather(*(gate.submit(order) for order in [*orders, *orders[:5]]))
        await gate.close()
        assert sum(one.result is Result.DUPLICATE for one in placed) == 5
        assert await drain(database, SUBSCRIPTIONS) >= 20
        assert (await examine(database)).findings == []
        async with database.snapshot() as tx:
            assert await tx.value("SELECT sum(allocated) FROM balance") == 40
            assert await tx.value("SELECT count(*) FROM order_timeline WHERE type = 'order.placed'") == 20


async def test_snapshots_are_sifted_and_applied_on_every_supported_server(server: str, retailer_on) -> None:
    async with retailer_on(server) as database:
        await a_retailer(database, skus=5)
        WAY["sift_from"] = 0
        try:
            stated = {(sku, place): 10 + (sku == 3) for sku in range(1, 6) for place in (1, 2)}
            done = await state(database, stated, seq=1, as_of=hours_ago(1), scope=Scope.WHOLE)
        finally:
            WAY["sift_from"] = FROM_ROWS
        assert (done.state, done.differing, done.changed, done.unchanged) == (State.APPLIED, 2, 2, 8)
        assert {k: n for k, n in (await on_hand(database)).items() if k[1] < 3} == stated
        assert (await examine(database)).findings == []


def test_the_old_server_is_the_old_one(debian15: str) -> None:
    with psycopg.connect(debian15) as connection:
        assert connection.info.server_version // 10_000 == 15
