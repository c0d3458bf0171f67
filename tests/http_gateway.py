"""A real HTTP gateway for tests, on a free port of this machine: what it was asked, and answers a test can script.

async with http_gateway() as gateway:
    gateway.answers.append((503, {"Retry-After": "120"}, b"busy"))
    ...
    assert gateway.asked[0].json["to"] == "+5511987654321"
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any


class Asked:
    """One request."""

    def __init__(self, line: str, headers: dict[str, str], body: bytes) -> None:
        self.method, self.path = line.split(" ")[:2]
        self.headers = headers
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Box:
    """What the gateway got. `silent` makes it take a request and say nothing; `before` runs before an answer."""

    def __init__(self) -> None:
        self.port = 0
        self.asked: list[Asked] = []
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.silent = False
        self.before: Callable[[Asked], Any] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/messages"

    @property
    def allowed(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            line, *rest = head.split("\r\n")
            headers = {k.strip().lower(): v.strip() for k, _, v in (h.partition(":") for h in rest if h)}
            asked = Asked(line, headers, await reader.readexactly(int(headers.get("content-length", "0"))))
            self.asked.append(asked)
            if self.before is not None:
                await self.before(asked)
            if self.silent:
                return
            ok = (200, {}, json.dumps({"id": f"g-{len(self.asked)}"}).encode())
            status, said, body = self.answers.pop(0) if self.answers else ok
            lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", "Connection: close"]
            lines += [f"{name}: {value}" for name, value in said.items()]
            writer.write(("\r\n".join(lines) + "\r\n\r\n").encode() + body)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def http_gateway() -> AsyncIterator[Box]:
    """Serve a gateway for the block."""
    box = Box()
    server = await asyncio.start_server(box.talk, "127.0.0.1", 0)
    async with server:
        box.port = server.sockets[0].getsockname()[1]
        yield box
