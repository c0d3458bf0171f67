"""Thousands of orders through everything that breaks: what is lost, what is doubled, what both sides count at the end.

A channel sells; half of its orders are told by signed hints through the real inbox (shuffled, one in twenty lost, one
in twenty twice), all can be read page by page. Here they are taken, most are shipped and the rest cancelled, and the
channel is told. Every request to the channel passes a proxy that fails one in ten (`shop.CHANCES`), and the worker is
killed in the middle, as often as is said. Then both sides are compared: by the runtime's own comparison of the day, and
by asking the channel, past the proxy, what it was told how often.
"""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import structlog

from malha.bench.channels.shop import CHANCES, Failure, shops
from malha.bench.channels.webhooks import (
    CODE,
    SECRET_KEY,
    SETTINGS,
    Message,
    Sold,
    compared,
    connect,
    message,
    send_all,
    sold,
    told,
)
from malha.bench.seed import seed
from malha.bench.server import Grounds, Server, drift, own_ground
from malha.channels.connecting import reads as connections
from malha.channels.connecting import reconciling
from malha.channels.connecting.model import Linked
from malha.channels.connecting.runtime import Runtime
from malha.channels.contract import ChannelError
from malha.fulfillment import batch, releasing
from malha.fulfillment.model import Tracking
from malha.ordering import cancelling
from malha.platform.clock import now
from malha.platform.db import Actor, Database
from malha.platform.processes import die_with_parent
from malha.platform.settings import Settings

Say = Callable[[str], None]
ACTOR = Actor("person", "bench", "Bench")
SKUS, LOCATIONS, UNITS = 200, 5, 1_000_000
HINT_RATE = 200.0
CANCELLED = 5  # one order in so many is cancelled here, the others are shipped
AT_ONCE = 50
RATE, IN_FLIGHT = 500, 32  # what this channel can take
PATIENCE_S = 300.0  # without any progress

_encode = msgspec.json.Encoder().encode

NO_DOCUMENTS = "UPDATE establishment SET document_policy = 'not_required'"
NEW = """
SELECT o.id, o.external_id FROM sales_order o JOIN binding b ON b.entity = 'order' AND b.internal_id = o.id::text
WHERE o.external_id LIKE %(like)s::text AND o.id <> ALL (%(done)s::uuid[]) ORDER BY o.id LIMIT %(most)s::int
"""
OPEN = """
SELECT (SELECT count(*) FROM channel_inbox WHERE state = 'waiting')
     + (SELECT count(*) FROM channel_op WHERE state = 'waiting') + (SELECT count(*) FROM outbox)
     + (SELECT count(*) FROM subscriber s, sequencer q WHERE s.position < q.position)
"""
DONE = "SELECT count(*) FROM channel_op WHERE state <> 'waiting'"
FOR_A_PERSON = """
SELECT coalesce(cause, '?') || ': ' || coalesce(error, '') FROM channel_inbox WHERE state IN ('parked', 'unmapped')
UNION ALL SELECT coalesce(cause, '?') || ': ' || coalesce(error, '') FROM channel_op WHERE state = 'dead'
"""
# A killed process holds what it had until its lease runs out. The benchmark lets that time be over: nobody has it.
FREE = [
    "UPDATE channel_inbox SET taken_until = now() WHERE taken_until > now()",
    "UPDATE channel_op SET taken_until = now() WHERE taken_until > now()",
    "UPDATE connection_cursor SET taken_until = now(), next_at = now()",
]
READ_AGAIN = "UPDATE connection_cursor SET next_at = now() WHERE taken_until IS NULL"
COUNTED = "SELECT ours, theirs, ours_total, theirs_total, cardinality(differing) FROM reconciliation ORDER BY day DESC"


class Worker:
    """`malha worker` in a process of its own, to be killed."""

    def __init__(self, home: Path, url: str) -> None:
        self._home = home
        self._url = url
        self.kills = 0
        self._process = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        environment = {**os.environ, **SETTINGS, "MALHA_DATA_DIR": str(self._home), "DATABASE_URL": self._url}
        environment |= {"MALHA_LOG_LEVEL": "error", "MALHA_LOG_FORMAT": "json", "TMPDIR": str(self._home)}
        with (self._home / "bench-worker.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "malha.cli.main", "worker", "--no-migrate"],
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGKILL),  # noqa: PLW1509 -- nothing of a benchmark outlives it
            )

    def kill(self) -> None:
        """Kill it without a word, and start another."""
        self._process.kill()
        self._process.wait()
        self.kills += 1
        self._process = self._started()

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()


def _get(port: int, what: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/bench/{what}", timeout=60) as answer:
        return json.loads(answer.read())


def _sell(port: int, orders: Sequence[Sold]) -> list[dict[str, Any]]:
    placed = now() - timedelta(hours=1)
    made = [told(order, n + 1, placed.isoformat()) for n, order in enumerate(orders)]
    for start in range(0, len(made), 500):
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/bench/sold", _encode(made[start : start + 500]), method="POST"
        )
        urllib.request.urlopen(request, timeout=60).close()  # noqa: S310
    return made


def _hints(orders: Sequence[Sold], port: int, rng: random.Random) -> list[Message]:
    """Return hints about half of the orders, as a channel sends them on a bad day."""
    made: list[Message] = []
    for order in orders[::2]:
        draw = rng.random()
        body = _encode({"type": "order.changed", "order_id": order.id})
        times = 0 if draw < 0.05 else 2 if draw > 0.95 else 1
        made += [Message(order.id, message(body, f"msg_{order.id}_{n}", port)) for n in range(times)]
    rng.shuffle(made)
    return made


class _Run:
    """One run: what is known of it so far."""

    def __init__(self, db: Database, worker: Worker, orders: int, kills: int, say: Say) -> None:
        self._db = db
        self._worker = worker
        self._count = orders
        self._kills = kills
        self._say = say
        self.shipped: list[str] = []
        self.cancelled: list[str] = []
        self._done: list[Any] = []

    async def fulfil(self, like: str) -> None:
        """Ship or cancel orders as they come, until all are here and everything is told; kill the worker meanwhile."""
        progress, last = time.monotonic(), -1
        while True:
            moved = await self._some(like)
            async with self._db.transaction() as tx:
                open_: int = await tx.value(OPEN)
                told_: int = await tx.value(DONE)
                if len(self._done) < self._count:
                    await tx.execute(READ_AGAIN)  # the channel is read every half minute: here at once
            if self._worker.kills < self._kills and len(self._done) > self._count * (self._worker.kills + 1) / (
                self._kills + 1
            ):
                await self._kill()
            if len(self._done) == self._count and not open_:
                return
            if moved or told_ != last:
                progress, last = time.monotonic(), told_
            elif time.monotonic() - progress > PATIENCE_S:
                self._say("nothing moves any more")
                return
            self._say(
                f"{len(self._done):,} of {self._count:,} orders left or cancelled, {told_:,} told, {open_:,} open"
            )
            await asyncio.sleep(0.1 if moved else 0.5)

    async def _kill(self) -> None:
        self._say("Killing the worker")
        self._worker.kill()
        async with self._db.transaction() as tx:
            for statement in FREE:
                await tx.execute(statement)

    async def _some(self, like: str) -> int:
        async with self._db.transaction() as tx:
            rows = await tx.tuples(NEW, {"like": like, "done": self._done, "most": AT_ONCE})
        cancel = [row for row in rows if _is_cancelled(row[1])]
        ship = [row for row in rows if not _is_cancelled(row[1])]
        for id_, _ in cancel:
            async with self._db.transaction(ACTOR) as tx:
                await cancelling.cancel(tx, id_, reason="the customer changed her mind")
        if ship:
            async with self._db.transaction(ACTOR) as tx:
                made = (await releasing.release(tx, [id_ for id_, _ in ship], forced=True)).work
            parcel = Tracking(tracking_code="BR1")
            async with self._db.transaction(ACTOR) as tx:
                await batch.carry_out(
                    tx, [batch.Errand(work_id=w.id, until=batch.Step.LEFT, tracking=parcel) for w in made]
                )
        self.cancelled += [external for _, external in cancel]
        self.shipped += [external for _, external in ship]
        self._done += [id_ for id_, _ in rows]
        return len(rows)


def _is_cancelled(external_id: str) -> bool:
    return int(external_id.rpartition("-")[2]) % CANCELLED == 0


def counted(wanted: Sequence[str], arrived: Sequence[str]) -> tuple[int, int]:
    """Return how many of what was wanted never arrived, and how many arrived once too often or were never wanted."""
    times, due = Counter(arrived), Counter(wanted)
    return sum((due - times).values()), sum((times - due).values())


async def _compare(db: Database, settings: Settings, connection: Linked) -> int:
    """Compare the days as the worker does, past the faults; return how many orders, and differences of sums, differ."""
    runtime = Runtime(db, settings)
    today = now().astimezone(ZoneInfo(settings.timezone)).date()
    differ = 0
    for day in (today, today - timedelta(days=1)):
        for _ in range(50):
            try:
                differ += len(await reconciling.compare_orders(runtime, connection, day))
                break
            except ChannelError:
                await asyncio.sleep(1)
        else:
            differ += 1
    async with db.transaction() as tx:
        for ours, theirs, ours_total, theirs_total, _ in await tx.tuples(COUNTED):
            differ += int((ours, ours_total) != (theirs, theirs_total))
    return differ


async def _measure(
    home: Path, url: str, shop: int, server: Server, orders: int, kills: int, say: Say
) -> dict[str, Any]:
    rng = random.Random(11)  # noqa: S311 -- the same orders every time
    sales = [sold(rng, f"bench-{n}", SKUS) for n in range(orders)]
    begun = time.monotonic()
    async with Database(url, "malha", min_size=1, max_size=4) as db:
        worker = Worker(home, url)
        try:
            _sell(shop, sales)
            run = _Run(db, worker, orders, kills, say)
            telling = asyncio.create_task(send_all(server.port, _hints(sales, server.port, rng), HINT_RATE))
            await run.fulfil("bench-%")
            _delays, statuses, _took = await telling
            took = time.monotonic() - begun
        finally:
            worker.stop()
        settings = Settings(database_url=url, data_dir=home, secret_key=SECRET_KEY, outward_allow=("127.0.0.1/32",))
        async with db.transaction() as tx:
            connection = await connections.linked(tx, CODE)
            for_a_person = Counter(str(why)[:80] for why in await tx.values(FOR_A_PERSON))
        differences = await _compare(db, settings, connection) if connection is not None else 1
        lost, doubled = await compared(db, sales, "bench-%", stock=False)
    if for_a_person:
        say(f"Waits for a person: {dict(for_a_person)}")
    said = _get(shop, "told")
    for wanted, arrived in ((run.shipped, said["shipments"]), (run.cancelled, said["cancellations"])):
        missing, more = counted(wanted, arrived)
        lost += missing
        doubled += more
    failures = _get(shop, "failures")
    return {
        "fault_orders": orders,
        "fault_failures": sum(failures.values()),
        "fault_kinds": failures,
        "fault_kills": worker.kills,
        "fault_hints_refused": sum(count for status, count in statuses.items() if status != 202),
        "fault_shipped": len(run.shipped),
        "fault_cancelled": len(run.cancelled),
        "fault_for_a_person": sum(for_a_person.values()),
        "fault_s": round(took, 1),
        "fault_lost": lost,
        "fault_doubled": doubled,
        "differences": differences,
    }


async def _seeded(url: str, shop: int) -> None:
    async with Database(url, "malha", min_size=1, max_size=2) as db:
        await seed(db, skus=SKUS, locations=LOCATIONS, units=UNITS)
        async with db.transaction() as tx:
            await tx.execute(NO_DOCUMENTS)
        await connect(
            db, base_url=f"http://127.0.0.1:{shop}", config={"page": 200, "rate": RATE, "in_flight": IN_FLIGHT}
        )


def faults(
    orders: int,
    port: int,
    say: Say,
    grounds: Grounds = own_ground,
    *,
    kills: int = 2,
    chances: Mapping[Failure, float] = CHANCES,
) -> dict[str, Any]:
    """Measure; return what was lost, doubled and different after all that broke, and the worker was killed."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))  # each failure would be told here, too
    with shops(1, dict(chances)) as (shop,), grounds() as (home, url):
        say("Making the catalogue")
        asyncio.run(_seeded(url, shop))
        say("Starting the server")
        server = Server(home, port, 1, url, {**SETTINGS, "MALHA_WORKER": "false"})
        try:
            server.wait()
            figures = asyncio.run(_measure(home, url, shop, server, orders, kills, say))
        finally:
            server.stop()
        return {**figures, "fault_drift": asyncio.run(drift(url))}
