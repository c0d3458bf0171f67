"""From the commit of an event to its arrival at a webhook's address, and how many a second one worker sends.

One process is a worker: it sequences the log, puts events in line and sends them, signed, over real connections to a
server of this process, which notes when it was given which. First events come at an even rate (how long is the way?),
then many at once (how many go through?). At the end nothing may be missing; what came twice is counted.
"""

import asyncio
import multiprocessing
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import msgspec
from psycopg import OperationalError

from malha.bench.seed import NETWORK, SKUS
from malha.bench.server import Grounds, own_ground
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.inventory.events import StockIncreased
from malha.platform import outbox, sequencer, subscribers
from malha.platform.db import Actor, Database
from malha.platform.ids import new_id
from malha.platform.outward import Outward
from malha.platform.signing import Keys
from malha.webhooks import sending, service
from malha.webhooks.model import EndpointDraft

Say = Callable[[str], None]
ACTOR = Actor("person", "bench", "Bench")
KEYS = Keys(b"b" * 32, None)
LOCAL = "127.0.0.1/32"
RATE = 100  # events a second while the way is measured
BURST = 3_000
SETTLE_S = 60.0


class _Body(msgspec.Struct):
    id: str
    subject: str


_read = msgspec.json.Decoder(_Body).decode


class _Sink(asyncio.Protocol):
    """Takes webhooks and says 200; as little HTTP as that needs."""

    def __init__(self, into: list[tuple[int, str]]) -> None:
        self._into = into
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        while True:
            head, end, rest = self._data.partition(b"\r\n\r\n")
            if not end:
                return
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            if len(rest) < length:
                return
            self._into.append((time.monotonic_ns(), _read(rest[:length]).subject))
            self._data = rest[length:]
            self._transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")


async def _work(url: str, stop: Any) -> None:
    ended = asyncio.Event()

    async def watch() -> None:
        while not await asyncio.to_thread(stop.wait, 0.2):
            pass
        ended.set()

    out = sending.Sending(Outward((LOCAL,), timeout_s=sending.TIMEOUT_S), lambda: KEYS)
    async with Database(url, "malha", min_size=2, max_size=12) as db, asyncio.TaskGroup() as tasks:
        tasks.create_task(watch())
        tasks.create_task(sequencer.run_sequencer(db, ended))
        tasks.create_task(subscribers.run_subscribers(db, SUBSCRIPTIONS, ended))
        tasks.create_task(sending.run_sending(db, out, ended))


def _worker(url: str, stop: Any) -> None:
    with suppress(KeyboardInterrupt, OperationalError):
        asyncio.run(_work(url, stop))


async def _record(db: Database, count: int, committed: dict[str, int]) -> None:
    events = [StockIncreased(id=new_id(), seq=1, reason="bench", skus=[1, 2], locations=[1]) for _ in range(count)]
    async with db.transaction(ACTOR) as tx:
        await outbox.add_all(tx, events)
    at = time.monotonic_ns()
    committed.update((event.key, at) for event in events)


async def _arrived(heard: list[tuple[int, str]], count: int) -> None:
    seen: set[str] = set()
    ends, at = time.monotonic() + SETTLE_S, 0
    while len(seen) < count and time.monotonic() < ends:
        seen.update(subject for _at, subject in heard[at:])
        at = len(heard)
        await asyncio.sleep(0.05)


async def _measure(url: str, seconds: float, burst: int, say: Say, start: Callable[[], None]) -> dict[str, Any]:
    heard: list[tuple[int, str]] = []
    server = await asyncio.get_running_loop().create_server(lambda: _Sink(heard), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    committed: dict[str, int] = {}
    async with server, Database(url, "malha", min_size=1, max_size=2) as db:
        async with db.transaction(ACTOR) as tx:
            await tx.execute(NETWORK, {"locations": 2})
            await tx.execute(SKUS, {"skus": 2})
        await subscribers.register(db, SUBSCRIPTIONS)
        async with db.transaction() as tx:
            draft = EndpointDraft(name="Bench", url=f"http://127.0.0.1:{port}/", types=("stock.*",))
            await service.create(tx, draft, KEYS)
        start()
        await _record(db, 1, committed)
        await _arrived(heard, 1)  # the worker has started
        say("Events at an even rate")
        steady: dict[str, int] = {}
        began, turn = time.monotonic(), 0
        while time.monotonic() - began < seconds:
            await _record(db, 1, steady)
            turn += 1
            await asyncio.sleep(max(0.0, began + turn / RATE - time.monotonic()))
        committed |= steady
        await _arrived(heard, len(committed))
        say("Many events at once")
        first = time.monotonic_ns()
        await _record(db, burst, committed)
        await _arrived(heard, len(committed))
        last = max((at for at, _subject in heard), default=first)
    times = Counter(subject for _at, subject in heard)
    when: dict[str, int] = {}
    for at, subject in heard:
        when.setdefault(subject, at)
    delays = sorted((when[key] - at) / 1e6 for key, at in steady.items() if key in when)
    return {
        "hooks_events": len(committed),
        "hooks_events_per_s": round(burst / max((last - first) / 1e9, 1e-9), 1),
        "hooks_commit_to_send_p50_ms": round(delays[len(delays) // 2], 1) if delays else None,
        "hooks_commit_to_send_p99_ms": round(delays[int(len(delays) * 0.99)], 1) if delays else None,
        "hooks_lost": sum(1 for key in committed if key not in times),
        "hooks_doubled": sum(count - 1 for count in times.values()),
    }


def hooks(seconds: float, say: Say, grounds: Grounds = own_ground, *, burst: int = BURST) -> dict[str, Any]:
    """Measure; return events a second, the way from commit to arrival, and what was lost or came twice."""
    with grounds() as (_home, url):
        spawn = multiprocessing.get_context("spawn")
        stop = spawn.Event()
        worker = spawn.Process(target=_worker, args=(url, stop), daemon=True)
        try:
            figures = asyncio.run(_measure(url, seconds, burst, say, worker.start))
            stop.set()
            worker.join(20)
        finally:
            if worker.is_alive():
                worker.kill()
                worker.join()
    return figures
