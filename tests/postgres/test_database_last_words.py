"""What a server says before it is gone, or instead of letting somebody in, is what everybody is told until it is back."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from psycopg import OperationalError

from malha.platform.db import Database, refusal_of
from malha.platform.errors import DatabaseExhausted, DatabaseFull, MalhaError

PATIENCE_S = 60.0
LET_IN = b"R" + struct.pack("!II", 8, 0)
READY = b"Z" + struct.pack("!I", 5) + b"I"
NO_ROOM = ("PANIC", "53100", 'could not write to file "pg_wal/xlogtemp.7": No space left on device')
TOO_MANY = ("FATAL", "53300", "sorry, too many clients already")
RESERVED = ("FATAL", "53300", "remaining connection slots are reserved for roles with the SUPERUSER attribute")
NO_FILE = ("FATAL", "53100", 'could not write lock file "x": No space left on device')
IN_PORTUGUESE = (
    ("FATAL", "53300", "desculpe, muitos clientes conectados"),
    ("FATAL", "53300", 'muitas conexões para role "malha"'),
    ("FATAL", "53100", 'não pôde escrever no arquivo "x": Não há espaço disponível no dispositivo'),
)
IN_OTHERS = (
    ("FATAL", "53300", "lo siento, ya tenemos demasiados clientes"),
    ("FATAL", "53300", "tut mir leid, schon zu viele Verbindungen"),
    ("FATAL", "53300", "désolé, trop de clients sont déjà connectés"),
    ("FATALE", "53300", "spiacente, troppi client già connessi"),
    ("FATAL", "53100", "no se pudo escribir el archivo «x»: No queda espacio en el dispositivo"),
)
STARTING = ("FATAL", "57P03", "the database system is in recovery mode")


def told(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def an_error(severity: str, state: str, says: str) -> bytes:
    return told(b"E", f"S{severity}\0V{severity}\0C{state}\0M{says}\0\0".encode())


class Server:
    """It speaks as much of PostgreSQL's protocol as opening a pool takes. `ends`: what it says to COMMIT; `bars`: to all."""

    def __init__(self) -> None:
        self.url = ""
        self.ends: tuple[str, str, str] | None = None
        self.bars: tuple[str, str, str] | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readexactly(struct.unpack("!I", await reader.readexactly(4))[0] - 4)
            if self.bars:
                writer.write(an_error(*self.bars))
                return
            writer.write(
                LET_IN + told(b"S", b"server_version\x0018.0\0") + told(b"S", b"client_encoding\0UTF8\0") + READY
            )
            while True:
                kind = await reader.readexactly(1)
                said = await reader.readexactly(struct.unpack("!I", await reader.readexactly(4))[0] - 4)
                if kind == b"Q" and b"COMMIT" in said and self.ends:
                    writer.write(an_error(*self.ends))
                    self.bars = STARTING
                    return
                if kind == b"Q":
                    writer.write(told(b"C", b"BEGIN\0") + READY)
                elif kind == b"S":
                    writer.write(told(b"1") + told(b"2") + told(b"n") + told(b"C", b"SELECT 0\0") + READY)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def a_pool() -> AsyncIterator[tuple[Server, Database]]:
    fake = Server()
    listening = await asyncio.start_server(fake.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    fake.url = f"postgresql://x@127.0.0.1:{port}/x?sslmode=disable&gssencmode=disable"
    async with listening, Database(fake.url, min_size=1, max_size=2, away_s=0.0) as db, asyncio.timeout(PATIENCE_S):
        yield fake, db


async def refused(db: Database) -> MalhaError | None:
    with pytest.raises(OperationalError) as said:
        async with db.transaction():
            pass
    return refusal_of(said.value)


async def failed_again(db: Database) -> None:
    failed = db.pool.get_stats().get("connections_errors", 0)
    while db.pool.get_stats().get("connections_errors", 0) < failed + 2:
        await asyncio.sleep(0.01)


async def test_a_server_that_ends_for_want_of_room_is_told_as_full_until_it_is_back() -> None:
    async with a_pool() as (fake, db):
        fake.ends = NO_ROOM
        assert isinstance(await refused(db), DatabaseFull)
        await failed_again(db)
        assert isinstance(await refused(db), DatabaseFull), "it cannot say so any more"
        assert isinstance(db.refusal, DatabaseFull)
        fake.ends = fake.bars = None
        while db.refusal is not None:
            await asyncio.sleep(0.01)
        async with db.transaction():
            pass


WHATS = {"53300": DatabaseExhausted, "53100": DatabaseFull}


@pytest.mark.parametrize(
    ("words", "what"),
    [(words, WHATS[words[1]]) for words in (TOO_MANY, RESERVED, NO_FILE, *IN_PORTUGUESE, *IN_OTHERS)],
)
async def test_who_is_not_let_in_is_told_what_the_server_said(words: tuple[str, str, str], what: type) -> None:
    async with a_pool() as (fake, db):
        fake.ends, fake.bars = STARTING, None
        assert await refused(db) is None
        fake.bars = words
        await failed_again(db)
        assert isinstance(await refused(db), what)


async def test_a_server_that_only_starts_is_away_and_neither_full_nor_exhausted() -> None:
    async with a_pool() as (fake, db):
        fake.ends = STARTING
        assert await refused(db) is None
        await failed_again(db)
        assert (await refused(db), db.refusal) == (None, None)
