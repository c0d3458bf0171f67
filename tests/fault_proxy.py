"""A server between a connector and its peer that hands everything on, and fails once where a test says so.

async with fault_proxy("http://127.0.0.1:3000") as proxy:
    proxy.fail("addFulfillmentToOrder", Fault.LOST)   # the peer acts, and nobody hears of it
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from tests.peer_shop import write

from malha.testing.connectors import Fault

STATUS = {
    Fault.LIMITED: (429, {"Retry-After": "7"}),
    Fault.LIMITED_BARE: (429, {}),
    Fault.BROKEN: (500, {}),
    Fault.BROKEN_HTML: (502, {}),
    Fault.AWAY: (503, {}),
    Fault.UNKNOWN_US: (401, {}),
}


class FaultProxy:
    """Hands requests on; `fail` names what the next one to fail has in its first line or body."""

    def __init__(self, upstream: str) -> None:
        self.port = 0
        self._faults: list[tuple[str, Fault]] = []
        self._http = httpx.AsyncClient(base_url=upstream, timeout=60.0, trust_env=False)
        self.handed = 0

    @property
    def allowed(self) -> str:
        return f"127.0.0.1:{self.port}"

    def fail(self, marker: str, fault: Fault) -> None:
        self._faults.append((marker, fault))

    async def close(self) -> None:
        await self._http.aclose()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._one(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the test is over, or whoever asked went away
        finally:
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, target, _ = head[0].split(" ", 2)
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:]) if k}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        fault = self._fault(head[0].encode() + b"\n" + body)
        if fault is Fault.CUT:
            return
        if fault in STATUS:
            status, more = STATUS[fault]
            await write(writer, status, b"<html>no</html>", more)
            return
        passed = {k: v for k, v in headers.items() if k not in {"content-length", "connection"}}
        said = await self._http.request(method, target, headers=passed, content=body)
        self.handed += 1
        if fault is Fault.LOST:
            return
        if fault is Fault.SILENT:
            await asyncio.sleep(30)
            return
        text = said.content[: len(said.content) // 2] if fault is Fault.TRUNCATED else said.content
        told = {k: v for k, v in said.headers.items() if k == "date" or k.startswith("x-wp-")}
        await write(writer, said.status_code, text, told, drip=fault is Fault.DRIP)

    def _fault(self, asked: bytes) -> Fault | None:
        for n, (marker, fault) in enumerate(self._faults):
            if marker.encode() in asked:
                del self._faults[n]
                return fault
        return None


@asynccontextmanager
async def fault_proxy(upstream: str) -> AsyncIterator[FaultProxy]:
    """Serve for the block."""
    proxy = FaultProxy(upstream)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()
