"""From the commit of a change of stock to its hand-over to the senders of ten channels.

One process changes stock at a fixed rate over a few connections, each change one more unit of a SKU; another is a
worker: it sequences the log, runs every subscriber and tells the channels. Its senders only note when they were given
which quantity. A change counts as told to a channel when a quantity that contains it was handed over, so that what was
coalesced counts at the moment it was told. The clock is the machine's monotonic one, which all processes share.
"""

import asyncio
import multiprocessing
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from psycopg import OperationalError

from malha.bench.seed import NETWORK, SKUS
from malha.bench.server import Grounds, own_ground
from malha.channels import pushing, service
from malha.channels.contract import Handed, StockUpdate
from malha.channels.model import PushDraft, PushKind, Taken
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.inventory import service as inventory
from malha.inventory.model import Claim, Reason, Reference
from malha.platform import sequencer, subscribers
from malha.platform.db import Actor, Database
from malha.platform.signing import Keys

Say = Callable[[str], None]
ACTOR = Actor("person", "bench", "Bench")
CHANNELS, SKU_COUNT, LOCATIONS = 10, 2_000, 10
RATE = 1_000  # changes a second
WRITERS, ROWS = 4, 10  # connections, and changes of one transaction
START = 5
SETTLE_S = 30.0

ADD_CHANNELS = """
INSERT INTO channel (code, name, kind) SELECT 'bench-' || n, 'Bench ' || n, 'web' FROM generate_series(1, %(n)s::int) n
"""
FILL = """
WITH filled AS (
    INSERT INTO balance (sku_id, location_id, on_hand)
    SELECT v.id, l.id, %(units)s::int FROM variant v CROSS JOIN location l ORDER BY v.id, l.id
    RETURNING sku_id, location_id, on_hand
)
INSERT INTO movement (sku_id, location_id, d_on_hand, reason, ref_kind)
SELECT sku_id, location_id, on_hand, 'initial', 'bench' FROM filled
"""


class _Noting:
    """A sender that notes when it was given which quantity of which SKU."""

    def __init__(self, channel_id: int, into: list[tuple[int, int, str, int]]) -> None:
        self._channel_id = channel_id
        self._into = into

    async def send(self, updates: Sequence[StockUpdate]) -> Handed:
        at = time.monotonic_ns()
        self._into += [(at, self._channel_id, u.sku, u.quantity) for u in updates]
        return Handed()


async def _work(url: str, stop: Any) -> list[tuple[int, int, str, int]]:
    noted: list[tuple[int, int, str, int]] = []

    def sender(taken: Taken) -> _Noting:
        return _Noting(taken.channel_id, noted)

    ended = asyncio.Event()

    async def watch() -> None:
        while not await asyncio.to_thread(stop.wait, 0.2):
            pass
        ended.set()

    async with Database(url, "malha", min_size=4, max_size=24) as db, asyncio.TaskGroup() as tasks:
        tasks.create_task(watch())
        tasks.create_task(sequencer.run_sequencer(db, ended))
        tasks.create_task(subscribers.run_subscribers(db, SUBSCRIPTIONS, ended))
        tasks.create_task(pushing.run_pushes(db, sender, ended))
    return noted


def _worker(url: str, stop: Any, out: str) -> None:
    with suppress(KeyboardInterrupt, OperationalError):
        Path(out).write_bytes(msgspec.msgpack.encode(asyncio.run(_work(url, stop))))


async def seed(url: str, channels: int = CHANNELS) -> None:
    """Write the retailer: SKUs stocked everywhere, and channels."""
    async with Database(url, "malha") as db, db.transaction(ACTOR) as tx:
        await tx.execute(NETWORK, {"locations": LOCATIONS})
        await tx.execute(SKUS, {"skus": SKU_COUNT})
        await tx.execute(FILL, {"units": START})
        await tx.execute(ADD_CHANNELS, {"n": channels})


async def _seed_pushes(url: str) -> None:
    await seed(url)
    async with Database(url, "malha") as db, db.transaction(ACTOR) as tx:
        for n in range(1, CHANNELS + 1):
            draft = PushDraft(kind=PushKind.WEBHOOK, url="https://bench.example/stock")
            await service.put_push(tx, f"bench-{n}", draft, 0, Keys(b"b" * 32, None))


async def change(url: str, seconds: float) -> tuple[list[tuple[int, int, int]], float]:
    """Change stock at the rate; return (when it was committed, SKU, its quantity then), and the rate that was made."""
    made: list[tuple[int, int, int]] = []
    quantities: dict[int, int] = {}
    began = time.monotonic()
    every = WRITERS * ROWS / RATE

    async def writer(db: Database, mine: int) -> None:
        # Each writer has SKUs of its own, so the order of their quantities is the order of the commits.
        skus = range(mine + 1, SKU_COUNT + 1, WRITERS)
        turn = at = 0
        while time.monotonic() - began < seconds:
            wanted = [skus[(at + n) % len(skus)] for n in range(ROWS)]
            at += ROWS
            async with db.transaction(ACTOR) as tx:
                claims = [Claim(sku, 1 + turn % LOCATIONS, 1) for sku in wanted]
                await inventory.adjust(tx, claims, Reason.FOUND, Reference("bench"))
            committed = time.monotonic_ns()
            for sku in wanted:
                quantities[sku] = quantities.get(sku, START * LOCATIONS) + 1
                made.append((committed, sku, quantities[sku]))
            turn += 1
            await asyncio.sleep(max(0.0, began + turn * every - time.monotonic()))

    async with Database(url, "malha", min_size=WRITERS, max_size=WRITERS) as db, asyncio.TaskGroup() as tasks:
        for mine in range(WRITERS):
            tasks.create_task(writer(db, mine))
    return made, len(made) / (time.monotonic() - began)


async def told_all(url: str) -> bool:
    """Tell whether every channel has been told everything."""
    async with Database(url, "malha", min_size=1, max_size=1) as db, db.transaction() as tx:
        behind: bool = await tx.value(
            "SELECT EXISTS (SELECT FROM outbox) OR EXISTS (SELECT FROM stock_push WHERE resend_after IS NOT NULL OR "
            "position < (SELECT max(version) FROM stock_change)) OR EXISTS (SELECT FROM subscriber s, sequencer q "
            "WHERE s.name = 'stock_changes' AND s.position < q.position)"
        )
    return not behind


def wait_until_told(url: str, told: Callable[[str], Coroutine[Any, Any, bool]] = told_all) -> float:
    """Wait until every channel has been told everything, or what else `told` asks; return the seconds that took."""
    began = time.monotonic()
    while not asyncio.run(told(url)):
        if time.monotonic() - began > SETTLE_S:
            raise TimeoutError("the channels were not told everything in time")
        time.sleep(0.1)
    return time.monotonic() - began


def push(seconds: float, say: Say, grounds: Grounds = own_ground) -> dict[str, Any]:
    """Measure; return `commit_to_send_p50_ms`, `_p99_ms`, `_max_ms`, and what was changed, told and coalesced."""
    with grounds() as (home, url):
        spawn = multiprocessing.get_context("spawn")
        stop, out = spawn.Event(), home / "told.msgpack"
        worker = spawn.Process(target=_worker, args=(url, stop, str(out)), daemon=True)
        try:
            say("Making the catalogue")
            asyncio.run(_seed_pushes(url))
            worker.start()
            say("Telling every channel everything first")
            wait_until_told(url)
            say("Changing stock")
            made, rate = asyncio.run(change(url, seconds))
            wait_until_told(url)
            stop.set()
            worker.join(20)
            noted = msgspec.msgpack.decode(out.read_bytes(), type=list[tuple[int, int, str, int]])
        finally:
            if worker.is_alive():
                worker.kill()
                worker.join()
    return figures(made, noted, rate)


def figures(made: list[tuple[int, int, int]], noted: list[tuple[int, int, str, int]], rate: float) -> dict[str, Any]:
    """Return the delays of every change at every channel, in milliseconds."""
    told: dict[tuple[int, str], list[tuple[int, int]]] = {}
    for at, channel, code, units in noted:
        told.setdefault((channel, code), []).append((at, units))
    began = min(at for at, _, _ in made)
    channels = sorted({channel for _, channel, _, _ in noted})
    delays: list[float] = []
    missed = 0
    for committed, sku, quantity in made:
        for channel in channels:
            heard = next((at for at, q in told.get((channel, f"SKU{sku}"), ()) if q >= quantity), None)
            if heard is None:
                missed += 1
            else:
                delays.append(max(heard - committed, 0) / 1e6)
    delays.sort()
    handed = sum(1 for at, *_ in noted if at >= began)
    return {
        "push_changes_per_s": round(rate, 1),
        "push_channels": len(channels),
        "commit_to_send_p50_ms": round(delays[len(delays) // 2], 1),
        "commit_to_send_p99_ms": round(delays[int(len(delays) * 0.99)], 1),
        "commit_to_send_max_ms": round(delays[-1], 1),
        "push_handed_over": handed,
        "push_coalesced": len(made) * len(channels) - handed,
        "push_missed": missed,
    }
