"""Requests at a fixed rate, whatever becomes of the earlier ones: an open loop.

A load whose callers wait for their answers asks less of a server that is slow, and so measures its best moments
(coordinated omission). Here each request is due at an instant that was fixed before, and its time counts from then: a
request that waits for a free connection, because those before it are not answered, has waited for the server.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

PATIENCE_S = 30.0  # for what is on its way at the end


class Offered(msgspec.Struct, frozen=True):
    """What became of a load. Times in milliseconds, sorted; `server` is what the server says it took itself.

    `late` is how long after they were due requests left: for want of a free connection, or of a processor for the
    caller.
    """

    rate: float  # that was wanted
    per_s: float  # that was answered, from the first instant to the last answer
    failed: int
    seen: list[float]
    server: list[float]
    late: list[float]

    def share(self, of: str, below_ms: float) -> float:
        """Return the share of `seen`, `server` or `late` below so many milliseconds; what failed is not below."""
        times: list[float] = getattr(self, of)
        return sum(ms < below_ms for ms in times) / max(1, len(times) + self.failed)

    def at(self, of: str, share: float) -> float:
        """Return a percentile of `seen`, `server` or `late`."""
        times: list[float] = getattr(self, of)
        return times[min(len(times) - 1, int(len(times) * share))] if times else 0.0


class _Line(asyncio.Protocol):
    """One connection: a request, its answer, the next."""

    def __init__(self, over: Callable[["_Line", int, bytes], None]) -> None:
        self._over = over
        self._data = b""
        self.due = 0.0
        self.busy = False
        self.transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep where to write."""
        self.transport = transport

    def send(self, request: bytes, due: float) -> None:
        """Send a request that was due at an instant."""
        self.due, self.busy = due, True
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Take an answer apart as far as its status, its length and its head."""
        self._data += data
        head, end, rest = self._data.partition(b"\r\n\r\n")
        if not end:
            return
        head = head.lower()
        length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0)
        if len(rest) >= length and self.busy:
            self._data = rest[length:]
            self.busy = False
            self._over(self, int(head[9:12]), head)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- the interface is asyncio's
        """What was asked is not answered any more."""
        if self.busy:
            self.busy = False
            self._over(self, 0, b"")


def _took(head: bytes) -> float | None:
    said = head.partition(b"\r\nserver-timing: ")[2].partition(b"\r\n")[0].partition(b"dur=")[2]
    return float(said) if said else None


class _Load:
    """What is due, what is under way, and what became of the rest."""

    def __init__(self, port: int, request: Callable[[], bytes], count: int) -> None:
        self._port = port
        self._request = request
        self._count = count
        self._free: deque[_Line] = deque()
        self._waiting: deque[float] = deque()
        self._connecting: set[asyncio.Task[None]] = set()
        self.seen: list[float] = []
        self.server: list[float] = []
        self.late: list[float] = []
        self.failed = 0
        self._done = asyncio.Event()

    async def connect(self) -> None:
        """Have one more connection."""
        loop = asyncio.get_running_loop()
        _, line = await loop.create_connection(lambda: _Line(self._over), "127.0.0.1", self._port)
        self._next(line)

    def _reconnect(self) -> None:
        task = asyncio.get_running_loop().create_task(self.connect())
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    def _next(self, line: _Line) -> None:
        if self._waiting:
            self._send(line, self._waiting.popleft())
        else:
            self._free.append(line)

    def _send(self, line: _Line, due: float) -> None:
        self.late.append(max(0.0, (time.perf_counter() - due) * 1000))
        line.send(self._request(), due)

    def due(self, at: float) -> None:
        """Send a request that is due, or have it wait for a connection."""
        while self._free and self._free[-1].transport.is_closing():  # closed while it waited
            self._free.pop()
            self._reconnect()
        if self._free:
            self._send(self._free.pop(), at)
        else:
            self._waiting.append(at)

    def _over(self, line: _Line, status: int, head: bytes) -> None:
        if status == 200:
            self.seen.append((time.perf_counter() - line.due) * 1000)
            took = _took(head)
            if took is not None:
                self.server.append(took)
        else:
            self.failed += 1
        if len(self.seen) + self.failed == self._count:
            self._done.set()
        if line.transport.is_closing():  # a new one takes its place
            self._reconnect()
        else:
            self._next(line)

    async def end(self) -> None:
        """Wait for the last answers, and hang up."""
        try:
            await asyncio.wait_for(self._done.wait(), PATIENCE_S)
        except TimeoutError:
            self.failed = self._count - len(self.seen)
        for line in self._free:
            line.transport.close()
        for task in self._connecting:
            task.cancel()


async def offer(port: int, request: Callable[[], bytes], *, rate: float, seconds: float, connections: int) -> Offered:
    """Send requests at an even rate for so many seconds over kept connections, and wait for the last answers."""
    count = round(rate * seconds)
    load = _Load(port, request, count)
    await asyncio.gather(*(load.connect() for _ in range(connections)))
    began = time.perf_counter() + 0.05
    sent = 0
    while sent < count:
        now = time.perf_counter()
        while sent < count and (due := began + sent / rate) <= now:
            load.due(due)
            sent += 1
        await asyncio.sleep(max(0.0, began + sent / rate - time.perf_counter()))
    await load.end()
    took = time.perf_counter() - began
    return Offered(rate, len(load.seen) / took, load.failed, sorted(load.seen), sorted(load.server), sorted(load.late))
