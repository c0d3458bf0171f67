"""A retailer whose ERP only puts and takes CSV files on a real SFTP server, and the ERP as a script."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.partner_world import NOW_DUE
from tests.sftp_host import PASSWORD, USER, SftpHost, sftp_host

from malha.channels.connecting import inbox, making, mastering, operating, pulling, service
from malha.channels.connecting.model import ConnectionDraft
from malha.channels.connecting.runtime import Runtime
from malha.channels.partners import service as partners
from malha.flows import partner_stock
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.fulfillment import service as fulfillment
from malha.fulfillment.model import Tracking
from malha.intake.gate import Gate
from malha.inventory.sync import applying, sources
from malha.inventory.sync.model import SourceDraft
from malha.platform.db import SYSTEM, Database
from malha.platform.settings import Settings
from malha.platform.subscribers import drain
from malha.testing.builders import World, a_network

CODE = "antigo"
KEPT = ("name", "description", "brand", "ncm", "attributes", "variant_name", "gtin", "weight", "price")


class Erp:
    """Both sides: `go` does what our worker does, the others what the ERP sees and does."""

    def __init__(self, database: Database, host: SftpHost, settings: Settings, gate: Gate, world: World) -> None:
        self.database = database
        self.host = host
        self.gate = gate
        self.world = world
        self.runtime = Runtime(database, settings, take_stock=partner_stock.take_stock)

    async def go(self, rounds: int = 10) -> None:
        """Do what the worker does until nothing is left: a file is read when it stood still between two looks."""
        quiet, stop = 0, asyncio.Event()
        for _ in range(rounds):
            await drain(self.database, SUBSCRIPTIONS)
            await self.now_due()
            done = await pulling.work(self.runtime, pause_s=0)
            await making.work(self.runtime, stop)
            await mastering.work(self.runtime, stop)
            done += await inbox.work(self.runtime, self.gate) + await operating.work(self.runtime, settle_s=0)
            for (id_,) in await self.rows("SELECT id FROM stock_snapshot WHERE state = 'applying'"):
                await applying.apply(self.database, id_)
            quiet = 0 if done else quiet + 1
            if quiet == 4:
                return

    async def now_due(self) -> None:
        """Have nothing wait for its time."""
        async with self.database.transaction() as tx:
            for statement in NOW_DUE:
                await tx.execute(statement)

    async def keeps(self, *fields: str, creates: str = "never") -> None:
        """Say which fields of products the ERP keeps, and what becomes of products that are not here."""
        async with self.database.transaction() as tx:
            await mastering.put_fields(tx, CODE, fields or KEPT, 0, creates, "made")

    async def rows(self, statement: str, *params: Any) -> list[tuple[Any, ...]]:
        async with self.database.transaction() as tx:
            return await tx.tuples(statement, list(params))

    async def files(self) -> list[tuple[Any, ...]]:
        """The files that came: kind, name, state, rows, rows to mend, how much of what they list is kept."""
        return await self.rows(
            "SELECT kind, name, state, rows, held, listed FROM partner_file WHERE way = 'in' ORDER BY number"
        )

    async def orders(self) -> list[tuple[Any, ...]]:
        return await self.rows("SELECT external_id, total FROM sales_order ORDER BY external_id")

    async def stuck(self) -> list[tuple[Any, ...]]:
        return await self.rows(
            "SELECT entity, cause, error FROM channel_inbox WHERE state IN ('parked', 'unmapped') ORDER BY id"
        )

    async def send(self, external_id: str, tracking: str) -> None:
        """Release, pick, pack and ship what an order has allocated."""
        ((id_,),) = await self.rows("SELECT id FROM sales_order WHERE external_id = %s::text", external_id)
        async with self.database.transaction() as tx:
            works = await fulfillment.release_order(tx, id_)
        for work in works:
            async with self.database.transaction() as tx:
                await fulfillment.accept(tx, work.id)
                await fulfillment.confirm_pick(tx, work.id)
                await fulfillment.pack(tx, work.id)
                await fulfillment.ship(tx, work.id, [Tracking(carrier="Jadlog", tracking_code=tracking)])

    async def cancel(self, external_id: str) -> None:
        """Cancel an order here, as our own people do."""
        ((id_,),) = await self.rows("SELECT id FROM sales_order WHERE external_id = %s::text", external_id)
        async with self.database.transaction() as tx:
            await fulfillment.cancel(tx, id_, reason="customer")

    def written(self, prefix: str) -> list[list[dict[str, str]]]:
        """The files we wrote, as the ERP reads them."""
        names = [name for name in self.host.names("out") if name.startswith(prefix)]
        return [list(csv.DictReader(io.StringIO(self.host.text("out", n)), delimiter=";")) for n in names]


@asynccontextmanager
async def an_erp(database: Database, tmp_path: Path, **config: Any) -> AsyncIterator[Erp]:
    """A network with DC and S1; the ERP calls them 01 and 02, and states the stock of DC."""
    async with sftp_host(tmp_path / "erp") as host:
        settings = Settings(database_url=database.url, data_dir=tmp_path, outward_allow=(host.allowed,))
        gate = Gate(database)
        async with database.transaction() as tx:
            world = await a_network(tx, policy="not_required")
        await gate.open()
        made = Erp(database, host, settings, gate, world)
        given: dict[str, Any] = {"host": "127.0.0.1", "port": host.port, "user": USER, "stock_source": "erp"}
        draft = ConnectionDraft(
            code=CODE,
            name="ERP antigo",
            connector="erp_files",
            channel="web",
            config={**given, "locations": "01=DC, 02=S1", **config},
            secrets={"password": PASSWORD},
        )
        async with database.transaction() as tx:
            await sources.add_source(tx, SourceDraft(code="erp", name="ERP", truth=["DC"], zero_percent=100))
            await service.add_connection(tx, draft, made.runtime.keys)
        shown = await partners.look_at_host(made.runtime, SYSTEM, CODE)
        await partners.trust_host(made.runtime, SYSTEM, CODE, shown.fingerprint)
        async with database.transaction() as tx:
            await service.put_method(tx, CODE, "payment", "Pix", "pix")
            await service.resume(tx, CODE)
        try:
            yield made
        finally:
            await gate.close()


def yesterday() -> str:
    """Return a moment as a Brazilian ERP writes it."""
    return (datetime.now(UTC) - timedelta(days=1)).strftime("%d/%m/%Y %H:%M")
