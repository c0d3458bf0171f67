"""A server that takes webhooks, over connections that stay open: what it was sent, and answers a test can script."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any


class Sent:
    """One request."""

    def __init__(self, headers: dict[str, str], body: bytes) -> None:
        self.headers = headers
        self.body = body

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Sink:
    """`answer` decides about each request: a status, headers and a body; 200 unless it is set.

    Where it raises a `ConnectionError` the connection is closed without an answer.
    """

    def __init__(self) -> None:
        self.port = 0
        self.sent: list[Sent] = []
        self.connections = 0
        self.open = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self.under_way = 0
        self.most_under_way = 0
        self.delay = 0.0
        self.answers: asyncio.Event | None = None  # nothing is answered before it is set
        self.answer: Callable[[Sent], tuple[int, dict[str, str], bytes]] = lambda _sent: (200, {}, b"")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    @property
    def types(self) -> list[str]:
        return [one.json["type"] for one in self.sent]

    @property
    def times(self) -> Counter[str]:
        """How often each identifier came."""
        return Counter(one.id for one in self.sent)

    def hang_up(self) -> None:
        """Close every connection, as a server does that waited for long enough."""
        for writer in self._writers:
            writer.close()

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        self._writers.add(writer)
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in head[1:] if line)}
                sent = Sent(headers, await reader.readexactly(int(headers["content-length"])))
                self.sent.append(sent)
                self.under_way += 1
                self.most_under_way = max(self.most_under_way, self.under_way)
                if self.delay:
                    await asyncio.sleep(self.delay)
                if self.answers is not None:
                    await self.answers.wait()
                self.under_way -= 1
                status, more, body = self.answer(sent)
                lines = [f"HTTP/1.1 {status} X"]
                lines += [f"{name}: {value}" for name, value in {"content-length": len(body), **more}.items()]
                writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.open -= 1
            self._writers.discard(writer)
            writer.close()


@asynccontextmanager
async def webhook_sink() -> AsyncIterator[Sink]:
    """Serve a sink for the block."""
    sink = Sink()
    server = await asyncio.start_server(sink.talk, "127.0.0.1", 0)
    sink.port = server.sockets[0].getsockname()[1]
    try:
        yield sink
    finally:
        server.close()
        server.close_clients() if hasattr(server, "close_clients") else None
