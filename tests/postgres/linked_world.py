"""A retailer with a connection to a channel that really answers: what tests of connections begin with."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from malha.channels.connecting import inbox, operating, pulling, reads, service
from malha.channels.connecting.model import ConnectionDraft
from malha.channels.connecting.receiving import Receiver
from malha.channels.connecting.runtime import Runtime
from malha.channels.contract import RawRequest
from malha.intake.gate import Gate
from malha.platform.db import Database
from malha.platform.settings import Settings
from malha.testing.builders import World, a_network, a_product
from peer_shop import API_KEY, WEBHOOK_SECRET, Peer, peer_shop

CODE = "loja"
SECRETS = {"api_key": API_KEY, "webhook_secret": WEBHOOK_SECRET}
NOW_DUE = [
    "UPDATE channel_inbox SET next_at = now() WHERE state = 'waiting'",
    "UPDATE channel_op SET not_before = now() WHERE state = 'waiting'",
    "UPDATE connection_cursor SET next_at = now()",
    "UPDATE connection_pace SET bucket = NULL, breaker = NULL",
]


class Linked:
    """A retailer, its connection, and the peer on the other side."""

    def __init__(self, database: Database, settings: Settings, peer: Peer, gate: Gate, world: World) -> None:
        self.database = database
        self.settings = settings
        self.peer = peer
        self.gate = gate
        self.world = world
        self.runtime = Runtime(database, settings, timeout_s=1.0, keep=True)
        self.receiver = Receiver(database, self.keys)

    @property
    def keys(self) -> Any:
        return self.runtime.keys

    async def due(self) -> None:
        """Let everything that waits for its time be due: a test needs no patience."""
        async with self.database.transaction() as tx:
            for statement in NOW_DUE:
                await tx.execute(statement)

    async def receive(self, sent: Any) -> int:
        return await self.receiver.receive(CODE, RawRequest("POST", f"/in/{CODE}", sent.headers, sent.body))

    async def settle(self, rounds: int = 12) -> None:
        """Have everything read, handled and told that can be."""
        for _ in range(rounds):
            await self.due()
            await pulling.work(self.runtime)
            if not await inbox.work(self.runtime, self.gate) + await operating.work(self.runtime, settle_s=0):
                return

    async def handle(self) -> int:
        """Have what came in handled, without reading anything."""
        done = 0
        while step := await inbox.work(self.runtime, self.gate):
            done += step
        return done

    async def tell(self, rounds: int = 12) -> None:
        """Have what is queued told."""
        for _ in range(rounds):
            await self.due()
            if not await operating.work(self.runtime, settle_s=0):
                return

    async def values(self, statement: str, params: Any = ()) -> list[Any]:
        async with self.database.transaction() as tx:
            return await tx.values(statement, params)

    async def rows(self, statement: str, params: Any = ()) -> list[tuple[Any, ...]]:
        async with self.database.transaction() as tx:
            return await tx.tuples(statement, params)

    async def health(self) -> reads.Standing:
        async with self.database.transaction() as tx:
            return (await reads.health(tx, CODE))[0]

    async def id(self) -> int:
        return (await self.values("SELECT id FROM connection"))[0]


@asynccontextmanager
async def linked(database: Database, tmp_path: Path, *, resume: bool = True, **config: Any) -> AsyncIterator[Linked]:
    """A retailer whose SKUs A and B are sold by a channel that is connected."""
    secrets = dict(SECRETS, **config.pop("secrets", {}))
    async with peer_shop() as peer:
        settings = Settings(database_url=database.url, data_dir=tmp_path, outward_allow=(peer.allowed,))
        gate = Gate(database)
        async with database.transaction() as tx:
            world = await a_network(tx)
            await a_product(tx, world, "A", stock={"DC": 50, "S1": 2})
            await a_product(tx, world, "B", stock={"DC": 30})
        await gate.open()
        made = Linked(database, settings, peer, gate, world)
        draft = ConnectionDraft(
            code=CODE,
            name="Loja",
            connector="generic",
            channel="web",
            config={"base_url": peer.url, "page": 3, **config},
            secrets=secrets,
        )
        async with database.transaction() as tx:
            await service.add_connection(tx, draft, made.keys)
            if resume:
                await service.resume(tx, CODE)
        try:
            async with made.runtime:
                yield made
        finally:
            await gate.close()
