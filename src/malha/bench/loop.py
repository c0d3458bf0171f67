"""`malha bench loop`: for how long very large orders keep a web process from answering anybody else.

Orders go through the same gate as in production, on a server of their own. A probe asks the event loop for its turn
every millisecond meanwhile; how much later it comes is how long everybody else waited.
"""

import asyncio
import contextlib
import random
import time

import msgspec

from malha.bench.seed import seed
from malha.bench.server import bench_database
from malha.intake.gate import Gate
from malha.intake.model import NewLine, NewOrder
from malha.inventory import service as inventory
from malha.inventory.model import Claim, Reason, Reference
from malha.platform.address import Address
from malha.platform.db import Database
from malha.platform.migrate import migrate

SKUS = 2_000
LOCATIONS = 40
PROBE_S = 0.001
TO = Address(
    postal_code="01310100", street="Avenida Paulista", number="1", district="Bela Vista", city="São Paulo", state="SP"
)


class LoopReport(msgspec.Struct, frozen=True):
    """Milliseconds by the number of an order's lines: how long one order took, and how long others waited for it."""

    orders_each: int
    order_ms: dict[int, float]
    waited_most_ms: dict[int, float]
    waited_p99_ms: dict[int, float]


def measure(sizes: tuple[int, ...] = (1, 20, 100, 250, 500), orders: int = 20) -> LoopReport:
    """Place some orders of each size, one after the other, and watch the loop."""
    with bench_database() as url:
        return asyncio.run(_measure(url, sizes, orders))


async def _measure(url: str, sizes: tuple[int, ...], orders: int) -> LoopReport:
    await migrate(url, "malha")
    async with Database(url, "malha", min_size=2, max_size=4) as db:
        return await _run(db, sizes, orders)


async def _run(db: Database, sizes: tuple[int, ...], orders: int) -> LoopReport:
    await seed(db, skus=SKUS, locations=LOCATIONS, units=0)
    rng = random.Random(7)  # noqa: S311 -- the same retailer every time
    goods = [
        Claim(sku, location, rng.randint(5, 400))
        for sku in range(1, SKUS + 1)
        for location in rng.sample(range(1, LOCATIONS + 1), 6)
    ]
    async with db.transaction() as tx:
        await inventory.set_on_hand(tx, goods, Reference("bench"), Reason.INITIAL)
    gate = Gate(db)
    await gate.open()
    took: dict[int, float] = {}
    lags: dict[int, list[float]] = {}
    try:
        await gate.submit(_order(rng, 2, "warm"), size=1_000)
        for lines in sizes:
            lags[lines] = []
            probe = asyncio.create_task(_probe(lags[lines]))
            begun = time.perf_counter()
            for n in range(orders):
                await gate.submit(_order(rng, lines, f"{lines}-{n}"), size=100 * lines)
            took[lines] = (time.perf_counter() - begun) * 1000 / orders
            probe.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await probe
    finally:
        await gate.close()
    return LoopReport(
        orders_each=orders,
        order_ms={n: round(ms, 1) for n, ms in took.items()},
        waited_most_ms={n: round(max(found), 1) for n, found in lags.items()},
        waited_p99_ms={n: round(sorted(found)[int(len(found) * 0.99)], 1) for n, found in lags.items()},
    )


def _order(rng: random.Random, lines: int, name: str) -> NewOrder:
    skus = rng.sample(range(1, SKUS + 1), lines)
    return NewOrder(
        channel="web",
        external_id=name,
        lines=[NewLine(sku=f"SKU{sku}", quantity=rng.randint(1, 3), unit_price=1990) for sku in skus],
        ship_to=TO,
        service="standard",
    )


async def _probe(lags: list[float]) -> None:
    while True:
        asked = time.perf_counter()
        await asyncio.sleep(PROBE_S)
        lags.append((time.perf_counter() - asked - PROBE_S) * 1000)
