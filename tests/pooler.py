"""A connection pooler between a program and PostgreSQL, as small as it can be: by session, or by transaction."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from psycopg.conninfo import conninfo_to_dict, make_conninfo

SSL, GSS = 80877103, 80877104


class _Server:
    """A connection to the server, and what it said when it was made."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer, self.greeting = reader, writer, b""


class Pooler:
    """Gives clients connections to one server: for as long as they stay, or for one transaction at a time."""

    def __init__(self, url: str, *, by: str) -> None:
        self._url, self._by = conninfo_to_dict(url), by
        self._idle: list[_Server] = []
        self._made: list[_Server] = []
        self._clients: set[asyncio.Task[None] | None] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Speak with one client until it goes."""
        self._clients.add(asyncio.current_task())
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                await self._speak(reader, writer)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _speak(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello = await _hello(reader, writer)
        held: _Server | None = await self._server(hello)
        writer.write(held.greeting)
        if self._by == "transaction":
            self._idle.append(held)
            held = None
        while True:
            kind, message = await _message(reader)
            if kind == b"X":
                return
            held = held or await self._server(hello)
            held.writer.write(message)
            if kind in {b"Q", b"S"} and await _answers(held, writer) == b"I" and self._by == "transaction":
                self._idle.append(held)
                held = None

    async def _server(self, hello: bytes) -> _Server:
        """Return the connection that was used last of those nobody has, or a new one."""
        if self._idle:
            return self._idle.pop()
        server = _Server(*await asyncio.open_unix_connection(f"{self._url['host']}/.s.PGSQL.5432"))
        self._made.append(server)
        server.writer.write(hello)
        kind = b""
        while kind != b"Z":
            kind, message = await _message(server.reader)
            if kind == b"K":  # who may cancel what is a pooler's own business
                message = message[:5] + struct.pack("!i", 1) + message[9:]
            server.greeting += message
        return server

    async def close(self) -> None:
        """See the clients off, and close what leads to the server."""
        await asyncio.gather(*(client for client in self._clients if client))
        for server in self._made:
            server.writer.close()
            await server.writer.wait_closed()


async def _hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    while True:
        head = await reader.readexactly(8)
        length, code = struct.unpack("!ii", head)
        if code not in {SSL, GSS}:
            return head + await reader.readexactly(length - 8)
        writer.write(b"N")


async def _message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readexactly(5)
    return head[:1], head + await reader.readexactly(struct.unpack("!i", head[1:])[0] - 4)


async def _answers(server: _Server, writer: asyncio.StreamWriter) -> bytes:
    """Pass on what the server answers; return whether a transaction is open then."""
    while True:
        kind, message = await _message(server.reader)
        writer.write(message)
        if kind == b"Z":
            return message[5:]


@asynccontextmanager
async def pooled(url: str, *, by: str) -> AsyncIterator[str]:
    """Give the URL of a pooler in front of the server of a URL; `by` is `session` or `transaction`."""
    pooler = Pooler(url, by=by)
    listening = await asyncio.start_server(pooler.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    try:
        yield make_conninfo(url, host="127.0.0.1", port=port, gssencmode="disable")
    finally:
        listening.close()
        await pooler.close()
