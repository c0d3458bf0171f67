"""A peer for a connector's tests: a real HTTP server that does what a function says, and fails on cue.

    async with failing_peer(answer) as peer:          # answer: Callable[[Asked], tuple[int, Any]]
        peer.fail("POST /parcels", Fault.LOST)        # the next one arrives, and nobody hears of it
        peer.url, peer.allowed

The function is called where the request arrives at all, also where its answer is then lost: so it keeps the state by
which a double shows. Whatever it returns beside the status is the JSON of the answer.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec

from malha.testing.connectors import Fault

SILENCE_S = 30.0
DRIP_S = 0.02  # between two bytes
# Faults that an answer tells of: its status, and what its head says besides.
UNHEARD: Mapping[Fault, tuple[int, Mapping[str, str]]] = {
    Fault.LIMITED: (429, {"Retry-After": "7"}),
    Fault.LIMITED_BARE: (429, {}),
    Fault.BROKEN: (500, {}),
    Fault.BROKEN_HTML: (502, {}),
    Fault.AWAY: (503, {}),
    Fault.UNKNOWN_US: (401, {}),
}
NO_PAGE = b"<html>no</html>"


class Asked(msgspec.Struct, frozen=True):
    """A request as it arrived. Names of headers are lower case; `body` is its JSON, None without one."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: Any


Answer = Callable[[Asked], tuple[int, Any]]


class FailingPeer:
    """See the module."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._faults: list[tuple[str, Fault]] = []
        self.port = 0

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def allowed(self) -> str:
        """How `MALHA_OUTWARD_ALLOW` names it."""
        return f"127.0.0.1:{self.port}"

    def fail(self, request: str, fault: Fault) -> None:
        """Fail the next request that begins like this: method and path, as in `GET /orders`."""
        self._faults.append((request, fault))

    def _drawn(self, request: str) -> Fault | None:
        for n, (beginning, fault) in enumerate(self._faults):
            if request.startswith(beginning):
                del self._faults[n]
                return fault
        return None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request, or fail it."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self._one(reader, writer)
        writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, target, headers, body = await read_request(reader)
        parts = urlsplit(target)
        fault = self._drawn(f"{method} {parts.path}")
        if fault is Fault.CUT:
            return
        if fault is not None and fault in UNHEARD:
            status, more = UNHEARD[fault]
            await write_answer(writer, status, NO_PAGE, more)
            return
        asked = Asked(
            method, parts.path, dict(parse_qsl(parts.query)), headers, msgspec.json.decode(body) if body else None
        )
        status, said = self._answer(asked)
        if fault is Fault.LOST:
            return
        if fault is Fault.SILENT:
            await asyncio.sleep(SILENCE_S)
            return
        text = msgspec.json.encode(said)
        if fault is Fault.TRUNCATED:
            text = text[: len(text) // 2]
        await write_answer(writer, status, text, pause_s=min(DRIP_S, 1.0 / len(text)) if fault is Fault.DRIP else 0.0)


async def read_request(reader: asyncio.StreamReader) -> tuple[str, str, dict[str, str], bytes]:
    """Return method, target, headers (their names in lower case) and body of the next request of a connection."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ", 2)
    headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:]) if k}
    return method, target, headers, await reader.readexactly(int(headers.get("content-length", "0")))


async def write_answer(
    writer: asyncio.StreamWriter,
    status: int,
    body: bytes,
    more: Mapping[str, str] | None = None,
    *,
    pause_s: float = 0.0,
) -> None:
    """Answer with JSON; with a pause, byte by byte."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Connection: close"]
    lines += ["Content-Type: application/json", *(f"{name}: {value}" for name, value in (more or {}).items())]
    writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
    for piece in [body[n : n + 1] for n in range(len(body))] if pause_s else [body]:
        writer.write(piece)
        await writer.drain()
        if pause_s:
            await asyncio.sleep(pause_s)
    await writer.drain()


@asynccontextmanager
async def failing_peer(answer: Answer) -> AsyncIterator[FailingPeer]:
    """Serve for the block."""
    peer = FailingPeer(answer)
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        server.close()
