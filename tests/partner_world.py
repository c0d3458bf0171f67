"""A retailer whose orders a partner fulfils over a real SFTP server, and the partner as a script."""

import csv
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.sftp_host import PASSWORD, USER, SftpHost, sftp_host

from malha.channels.connecting import inbox, operating, pulling, service
from malha.channels.connecting.model import ConnectionDraft
from malha.channels.connecting.runtime import Runtime
from malha.channels.partners import service as partners
from malha.flows import partner_stock
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.fulfillment import service as fulfillment
from malha.intake.gate import Gate
from malha.inventory import service as inventory
from malha.inventory.model import Claim, Reason, Reference
from malha.inventory.sync import applying, sources
from malha.inventory.sync.model import SourceDraft
from malha.platform.db import SYSTEM, Database
from malha.platform.settings import Settings
from malha.platform.subscribers import drain
from malha.testing.builders import Sold, World, a_network, a_product, an_order

CODE = "parceiro"
NOW_DUE = (
    "UPDATE channel_inbox SET next_at = now() WHERE state = 'waiting'",
    "UPDATE channel_op SET not_before = now(), taken_until = NULL WHERE state = 'waiting'",
    "UPDATE connection_cursor SET next_at = now(), taken_until = NULL",
    "UPDATE connection_pace SET bucket = NULL, breaker = NULL",
)


class Partner:
    """Both sides: `go` does what our worker does, the others what the partner's people see and do."""

    def __init__(self, database: Database, host: SftpHost, settings: Settings, gate: Gate, world: World) -> None:
        self.database = database
        self.host = host
        self.gate = gate
        self.world = world
        self.settings = settings
        self.runtime = Runtime(database, settings, take_stock=partner_stock.take_stock)
        self.skus: dict[str, int] = {}

    async def go(self, rounds: int = 8) -> None:
        """Do what the worker does until nothing is left: a file is read when it stood still between two looks."""
        quiet = 0
        for _ in range(rounds):
            await drain(self.database, SUBSCRIPTIONS)
            async with self.database.transaction() as tx:
                for statement in NOW_DUE:
                    await tx.execute(statement)
            done = await pulling.work(self.runtime, pause_s=0)
            done += await inbox.work(self.runtime, self.gate) + await operating.work(self.runtime, settle_s=0)
            for (id_,) in await self.rows("SELECT id FROM stock_snapshot WHERE state = 'applying'"):
                await applying.apply(self.database, id_)
            quiet = 0 if done else quiet + 1
            if quiet == 3:
                return

    async def order(self, *, release: bool = True, **units: int) -> Any:
        async with self.database.transaction() as tx:
            sold = [Sold(self.skus[sku], n) for sku, n in units.items()]
            id_ = await an_order(tx, self.world, sold)
            if release:
                await fulfillment.release_order(tx, id_)
        return id_

    async def rows(self, statement: str, *params: Any) -> list[tuple[Any, ...]]:
        async with self.database.transaction() as tx:
            return await tx.tuples(statement, list(params))

    async def states(self, order_id: Any) -> dict[str, int]:
        """Units of an order by state."""
        return dict(
            await self.rows(
                "SELECT state, sum(quantity)::int FROM order_unit WHERE order_id = %s::uuid GROUP BY 1", order_id
            )
        )

    async def on_hand(self, sku: str, location: str = "DC") -> int:
        ((found,),) = await self.rows(
            "SELECT on_hand FROM balance b JOIN variant v ON v.id = b.sku_id JOIN location l ON l.id = b.location_id "
            "WHERE v.sku = %s::text AND l.code = %s::text",
            sku,
            location,
        )
        return int(found)

    def asked(self, prefix: str = "PICK") -> list[list[dict[str, str]]]:
        """The files we wrote, as the partner reads them."""
        names = [name for name in self.host.names("out") if name.startswith(prefix)]
        return [list(csv.DictReader(io.StringIO(self.host.text("out", n)), delimiter=";")) for n in names]

    async def files(self) -> list[tuple[Any, ...]]:
        return await self.rows(
            "SELECT kind, name, state, rows, held FROM partner_file WHERE way = 'in' ORDER BY number"
        )

    async def parked(self) -> list[tuple[Any, ...]]:
        return await self.rows(
            "SELECT cause, error FROM channel_inbox WHERE state IN ('parked', 'unmapped') ORDER BY id"
        )

    async def dead(self) -> list[tuple[Any, ...]]:
        return await self.rows("SELECT cause, error FROM channel_op WHERE state = 'dead'")


@asynccontextmanager
async def partnered(
    database: Database,
    tmp_path: Path,
    *,
    secrets: dict[str, str] | None = None,
    policy: str = "not_required",
    **config: Any,
) -> AsyncIterator[Partner]:
    """SKUs A and B lie at DC, which the partner fulfils as `ARM-1`; S1 has some of A and is ours."""
    async with sftp_host(tmp_path / "partner") as host:
        settings = Settings(database_url=database.url, data_dir=tmp_path, outward_allow=(host.allowed,))
        gate = Gate(database)
        async with database.transaction() as tx:
            world = await a_network(tx, policy=policy)
            skus = {sku: await a_product(tx, world, sku) for sku in ("A", "B")}
            lies = ((skus["A"], "DC", 40), (skus["A"], "S1", 10), (skus["B"], "DC", 30))
            goods = [Claim(sku, world.locations[place], units) for sku, place, units in lies]
            yesterday = datetime.now(UTC) - timedelta(days=1)
            await inventory.set_on_hand(tx, goods, Reference("test"), Reason.INITIAL, occurred_at=yesterday)
        await gate.open()
        made = Partner(database, host, settings, gate, world)
        made.skus = skus
        draft = ConnectionDraft(
            code=CODE,
            name="Parceiro",
            connector="partner_files",
            config={"host": "127.0.0.1", "port": host.port, "user": USER, "stock_source": "wms", **config},
            secrets=secrets or {"password": PASSWORD},
        )
        async with database.transaction() as tx:
            source = SourceDraft(code="wms", name="WMS", truth=["DC"], zero_percent=100)
            await sources.add_source(tx, source)
            await service.add_connection(tx, draft, made.runtime.keys)
        shown = await partners.look_at_host(made.runtime, SYSTEM, CODE)
        await partners.trust_host(made.runtime, SYSTEM, CODE, shown.fingerprint)
        async with database.transaction() as tx:
            await partners.set_locations(tx, CODE, {"DC": "ARM-1"})
            await service.resume(tx, CODE)
        try:
            yield made
        finally:
            await gate.close()
