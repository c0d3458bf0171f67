"""`malha bench replay`: stored decisions, streamed from the database and decided again, each compared byte for byte.

A few thousand orders go through the gate as in production, so their decisions are real ones. They are copied to as many
as are wanted, with ids of their own. One process then reads all of them through a cursor of the server and decides each
again from its record alone. `orders_per_s` and `million_s` are by the processor time of this process, reading
included, so that they are of one core whoever else uses it; what a single decision takes is measured without the
reading. `seconds` is by the clock.
"""

import asyncio
import os
import random
import time
from collections.abc import Callable

import msgspec
import psycopg

from malha.bench.machine import peak_mb
from malha.bench.seed import seed
from malha.bench.server import bench_database
from malha.intake.gate import Gate
from malha.intake.model import NewLine, NewOrder
from malha.inventory import service as inventory
from malha.inventory.model import Claim, Reason, Reference
from malha.platform.address import Address
from malha.platform.db import Database
from malha.platform.ids import new_id
from malha.platform.migrate import migrate
from malha.routing.replaying import Replayer

SKUS, LOCATIONS, REAL = 2_000, 40, 3_000
UNITS = (2, 40)  # of a SKU where it is kept
AT_ONCE = 50  # orders in the gate
FETCHED = 2_000  # rows in one answer of the server
# Of a hundred orders: how many lines they have.
LINES = (1,) * 55 + (2,) * 25 + (3,) * 12 + (4,) * 5 + (6,) * 3
PLACES = (("01310100", "São Paulo", "SP"), ("20040002", "Rio de Janeiro", "RJ"), ("30130010", "Belo Horizonte", "MG"))

HOLD = "UPDATE channel SET shortage_policy = 'hold'"  # what is short is decided, too
RECORDS = "SELECT convert_to(record::text, 'UTF8') FROM routing_decision"
COPY = "COPY routing_decision (order_id, attempt, cost, record) FROM STDIN"


class ReplayReport(msgspec.Struct, frozen=True):
    """What a replay came to. `us` are microseconds of one decision; `million_s` is what a million would take."""

    orders: int
    real: int  # decisions they were copied from
    record_bytes: int  # of the mean record
    seconds: float
    cpu_s: float  # of this process: what is left of `seconds` it waited for the server, or for its turn
    orders_per_s: int
    million_s: float
    us_p50: float
    us_p99: float
    read_s: float
    peak_mb: float
    lanes: int
    differ: int  # not the same bytes
    copy_s: float  # making them, which is no part of the rest


def measure(orders: int, say: Callable[[str], None]) -> ReplayReport:
    """Make decisions, copy them to as many as are wanted, and decide all of them again."""
    with bench_database() as url:
        say(f"{REAL} orders through the gate")
        asyncio.run(_place(url))
        began = time.perf_counter()
        say(f"Copying their decisions to {orders}")
        with psycopg.connect(url, options="-c search_path=malha") as connection:
            mean = _copy(connection, orders)
        copied = time.perf_counter() - began
        say(f"Deciding {orders} again")
        with psycopg.connect(url, options="-c search_path=malha") as connection:
            return _replay(connection, orders, mean, copied)


async def _place(url: str) -> None:
    await migrate(url, "malha")
    async with Database(url, "malha", min_size=2, max_size=4) as db:
        await place(db)


async def place(db: Database) -> None:
    """Place `REAL` orders through the gate, at a retailer with few units of many SKUs."""
    await seed(db, skus=SKUS, locations=LOCATIONS, units=0)
    rng = random.Random(7)  # noqa: S311 -- the same retailer every time
    goods = [
        Claim(sku, location, rng.randint(*UNITS))
        for sku in range(1, SKUS + 1)
        for location in rng.sample(range(1, LOCATIONS + 1), 8)
    ]
    async with db.transaction() as tx:
        await tx.execute(HOLD)
        await inventory.set_on_hand(tx, goods, Reference("bench"), Reason.INITIAL)
    gate = Gate(db)
    await gate.open()
    try:
        for start in range(0, REAL, AT_ONCE):
            await asyncio.gather(*(gate.submit(_order(rng, n)) for n in range(start, start + AT_ONCE)))
    finally:
        await gate.close()


def _order(rng: random.Random, n: int) -> NewOrder:
    code, city, state = rng.choice(PLACES)
    return NewOrder(
        channel="web",
        external_id=f"R{n}",
        lines=[
            NewLine(sku=f"SKU{sku}", quantity=rng.choice((1, 1, 1, 2, 3)), unit_price=1990)
            for sku in rng.sample(range(1, SKUS + 1), rng.choice(LINES))
        ],
        ship_to=Address(postal_code=code, street="Rua", number="1", district="Centro", city=city, state=state),
        service="standard",
    )


def _copy(connection: psycopg.Connection, orders: int) -> int:
    """Copy the real decisions to as many as are wanted; return the bytes of the mean record."""
    real = connection.execute("SELECT cost, record::text FROM routing_decision").fetchall()
    connection.execute("TRUNCATE routing_decision")
    with connection.cursor() as cursor, cursor.copy(COPY) as copy:
        for n in range(orders):
            copy.write_row((new_id(), 1, *real[n % len(real)]))
    connection.commit()
    return sum(len(record) for _, record in real) // len(real)


def _replay(connection: psycopg.Connection, orders: int, mean: int, copied: float) -> ReplayReport:
    again = Replayer()
    spent: list[int] = []
    differ = 0
    clock = time.process_time_ns
    began, busy = time.perf_counter(), time.process_time()
    with connection.cursor("decisions", binary=True) as cursor:
        cursor.execute(RECORDS)
        while rows := cursor.fetchmany(FETCHED):
            for (stored,) in rows:
                at = clock()
                differ += again.again(stored) != stored
                spent.append(clock() - at)
    seconds = time.perf_counter() - began
    busy = time.process_time() - busy
    ordered = sorted(spent)
    return ReplayReport(
        orders=orders,
        real=REAL,
        record_bytes=mean,
        seconds=round(seconds, 2),
        cpu_s=round(busy, 2),
        orders_per_s=round(orders / busy),
        million_s=round(1_000_000 * busy / orders, 1),
        us_p50=round(ordered[len(ordered) // 2] / 1000, 1),
        us_p99=round(ordered[int(len(ordered) * 0.99)] / 1000, 1),
        read_s=round(busy - sum(spent) / 1e9, 2),
        peak_mb=round(peak_mb(os.getpid()), 1),
        lanes=again.lanes,
        differ=differ,
        copy_s=round(copied, 1),
    )
