"""The conformance kit waits for a slow peer as long as it takes, and for one that was told to be silent hardly at all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest

from malha.channels.contract import Unsure
from malha.testing.connectors import Fault, Operation
from malha.testing.connectors.base import Kit
from malha.testing.connectors.rig import Direct
from malha.testing.peers import read_request, write_answer


@asynccontextmanager
async def a_peer(pauses: list[float | None]) -> AsyncIterator[Any]:
    """Serve a peer that pauses before its answers, one after the other; None: it says nothing at all."""
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        pause = pauses.pop(0)
        if pause is None:
            await over.wait()
        else:
            await asyncio.sleep(pause)
            await write_answer(writer, 200, b"{}")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    failed: list[Operation] = []
    rig = SimpleNamespace(
        allowed=[f"127.0.0.1:{port}"], timeout_s=0.05, fail=lambda operation, _fault: failed.append(operation)
    )
    try:
        yield SimpleNamespace(rig=rig, url=f"http://127.0.0.1:{port}/", failed=failed)
    finally:
        over.set()
        server.close()
        await server.wait_closed()


async def test_a_peer_that_takes_longer_than_a_silence_is_waited_for() -> None:
    async with a_peer([0.2]) as peer:
        assert (await Direct(peer.rig, []).send("POST", peer.url)).status == 200


async def test_only_the_silence_that_the_peer_was_told_of_is_cut_short() -> None:
    async with a_peer([None, 0.2]) as peer:
        http = Direct(peer.rig, [])
        Kit().fail(SimpleNamespace(http=http), peer.rig, Operation.STOCK, Fault.SILENT)  # type: ignore[arg-type]
        assert peer.failed == [Operation.STOCK]
        with pytest.raises(Unsure):
            await http.send("POST", peer.url)
        assert (await http.send("POST", peer.url)).status == 200
