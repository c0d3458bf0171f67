"""A server between a connector and its peer that hands everything on, and fails once where a test says so.

async with fault_proxy("http://127.0.0.1:3000") as proxy:
    proxy.fail("addFulfillmentToOrder", Fault.LOST)   # the peer acts, and nobody hears of it
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from malha.testing.connectors import Fault
from malha.testing.peers import NO_PAGE, UNHEARD, read_request, write_answer

DRIP_S = 0.05  # between two bytes


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
        method, target, headers, body = await read_request(reader)
        fault = self._fault(f"{method} {target}\n".encode() + body)
        if fault is Fault.CUT:
            return
        if fault in UNHEARD:
            status, more = UNHEARD[fault]
            await write_answer(writer, status, NO_PAGE, more)
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
        await write_answer(writer, said.status_code, text, told, pause_s=DRIP_S if fault is Fault.DRIP else 0.0)

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
