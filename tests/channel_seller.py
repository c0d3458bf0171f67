"""A retailer on Malha who is connected to a shop: what the worker does, round by round, and a window onto what came of it."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from malha.channels import pushing, sending
from malha.channels import reads as channel_reads
from malha.channels import service as channels
from malha.channels.connecting import following, inbox, operating, pulling, reconciling, service
from malha.channels.connecting import reads as connections
from malha.channels.connecting.model import ConnectionDraft, Linked
from malha.channels.connecting.runtime import Runtime
from malha.channels.model import ListingDraft, PushDraft, PushKind
from malha.doctor import examine
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.fulfillment import service as fulfillment
from malha.fulfillment.model import Tracking, WorkState
from malha.fulfillment.reads import of_order as works_of
from malha.intake.gate import Gate
from malha.platform.db import Database
from malha.platform.settings import Settings
from malha.platform.subscribers import drain
from malha.testing.builders import a_network, a_product

NOW_DUE = (
    "UPDATE channel_inbox SET next_at = now() WHERE state = 'waiting'",
    "UPDATE channel_op SET not_before = now(), taken_until = NULL WHERE state = 'waiting'",
    "UPDATE connection_cursor SET next_at = now()",
    "UPDATE connection_pace SET bucket = NULL, breaker = NULL",
    "UPDATE stock_push SET next_at = now()",
)
STOCK: Mapping[str, Mapping[str, int]] = {"A": {"DC": 40}, "B": {"DC": 30}}
RetailerOn = Callable[[str], AbstractAsyncContextManager[Database]]


class Seller:
    """A retailer on Malha who sells in a shop, over one connection."""

    def __init__(
        self, database: Database, settings: Settings, gate: Gate, code: str, *, timeout_s: float = 30.0
    ) -> None:
        self.database = database
        self.code = code
        self.gate = gate
        self.runtime = Runtime(database, settings, timeout_s=timeout_s)

    async def go(self, rounds: int = 12) -> None:
        """Do what the worker does, until nothing is left to do."""
        for _ in range(rounds):
            await drain(self.database, SUBSCRIPTIONS)
            await following.offer_prices(self.database)
            async with self.database.transaction() as tx:
                for statement in NOW_DUE:
                    await tx.execute(statement)
                due = await channel_reads.due(tx)
            await pushing.push(self.database, sending.senders(self.runtime), due)
            await pulling.work(self.runtime)
            if not await inbox.work(self.runtime, self.gate) + await operating.work(self.runtime, settle_s=0):
                return

    async def rows(self, statement: str, *params: Any) -> list[tuple[Any, ...]]:
        async with self.database.transaction() as tx:
            return await tx.tuples(statement, list(params))

    async def ours(self, external_id: str) -> Any:
        ((id_,),) = await self.rows("SELECT id FROM sales_order WHERE external_id = %s::text", external_id)
        return id_

    async def send(self, order_id: Any, tracking: str = "BR1") -> None:
        """Release, pick, pack and ship what an order has allocated; each further parcel has a number in its code.

        What a location gave back after a person had released it is released again already.
        """
        async with self.database.transaction() as tx:
            again = [work.id for work in await works_of(tx, order_id) if work.state == WorkState.OPEN]
            works = again or [work.id for work in await fulfillment.release_order(tx, order_id)]
        for n, work in enumerate(works):
            code = f"{tracking}{n or ''}"
            async with self.database.transaction() as tx:
                await fulfillment.accept(tx, work)
                await fulfillment.confirm_pick(tx, work)
                await fulfillment.pack(tx, work)
                await fulfillment.ship(tx, work, [Tracking(carrier="Correios", tracking_code=code)])

    async def differing(self, at: datetime | None = None) -> list[str]:
        """Compare the orders of today, or of another time's day, on both sides."""
        zone = ZoneInfo(self.runtime.settings.timezone)
        day = (datetime.now(zone) if at is None else at.astimezone(zone)).date()
        async with self.database.transaction() as tx:
            connection = await service.connection_of(tx, self.code)
        found = await reconciling.compare_orders(self.runtime, connection, day)
        async with self.database.transaction() as tx:
            (row,) = await connections.compared(tx, connection.id)
        return found or ([] if row.agrees else [str(row)])

    async def connection(self) -> Linked:
        async with self.database.transaction() as tx:
            return await service.connection_of(tx, self.code)


S = TypeVar("S", bound=Seller)


@asynccontextmanager
async def connected(
    seller: Callable[[Database, Settings, Gate], S],
    draft: ConnectionDraft,
    template_url: str,
    retailer_on: RetailerOn,
    data_dir: Path,
    *,
    allowed: str,
    methods: Sequence[tuple[str, str, str]],
    stock: Mapping[str, Mapping[str, int]] = STOCK,
) -> AsyncIterator[S]:
    """A retailer with stock that is listed, and connected to a shop; at the end the doctor finds no drift.

    `allowed` is where the shop may be asked, `methods` what its words mean: (kind, theirs, ours).
    """
    async with retailer_on(template_url) as database:
        settings = Settings(database_url=database.url, data_dir=data_dir, outward_allow=(allowed,))
        gate = Gate(database)
        async with database.transaction() as tx:
            world = await a_network(tx)
            for sku, units in stock.items():
                await a_product(tx, world, sku, stock=units)
            await channels.put_listings(tx, draft.channel, [ListingDraft(sku=sku, code=sku) for sku in stock])
        await gate.open()
        made = seller(database, settings, gate)
        async with database.transaction() as tx:
            await service.add_connection(tx, draft, made.runtime.keys)
            await service.resume(tx, draft.code)
            for kind, theirs, ours in methods:
                await service.put_method(tx, draft.code, kind, theirs, ours)
            await tx.execute("UPDATE establishment SET document_policy = 'not_required'")
            await channels.put_push(tx, draft.channel, PushDraft(kind=PushKind.CONNECTOR), 0, made.runtime.keys)
        try:
            yield made
        finally:
            await gate.close()
        report = await examine(database)
        assert [line for f in report.findings if f.drifts for line in f.lines("en")] == []
