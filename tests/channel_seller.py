"""A retailer on Malha who is connected to a shop: what the worker does, round by round, and a window onto what came of it."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from malha.channels import pushing, sending
from malha.channels import reads as channel_reads
from malha.channels.connecting import following, inbox, operating, pulling, reconciling, service
from malha.channels.connecting import reads as connections
from malha.channels.connecting.model import Linked
from malha.channels.connecting.runtime import Runtime
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.fulfillment import service as fulfillment
from malha.fulfillment.model import Tracking
from malha.intake.gate import Gate
from malha.platform.db import Database
from malha.platform.settings import Settings
from malha.platform.subscribers import drain

NOW_DUE = (
    "UPDATE channel_inbox SET next_at = now() WHERE state = 'waiting'",
    "UPDATE channel_op SET not_before = now(), taken_until = NULL WHERE state = 'waiting'",
    "UPDATE connection_cursor SET next_at = now()",
    "UPDATE connection_pace SET bucket = NULL, breaker = NULL",
    "UPDATE stock_push SET next_at = now()",
)


class Seller:
    """A retailer on Malha who sells in a shop, over one connection."""

    def __init__(self, database: Database, settings: Settings, gate: Gate, code: str) -> None:
        self.database = database
        self.code = code
        self.gate = gate
        self.runtime = Runtime(database, settings, timeout_s=30.0)

    async def go(self, rounds: int = 10) -> None:
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

    async def send(self, order_id: Any, tracking: str) -> None:
        """Release, pick, pack and ship what an order has allocated."""
        async with self.database.transaction() as tx:
            works = await fulfillment.release_order(tx, order_id)
        for work in works:
            async with self.database.transaction() as tx:
                await fulfillment.accept(tx, work.id)
                await fulfillment.confirm_pick(tx, work.id)
                await fulfillment.pack(tx, work.id)
                await fulfillment.ship(tx, work.id, [Tracking(carrier="Correios", tracking_code=tracking)])

    async def differing(self) -> list[str]:
        """Compare today's orders on both sides."""
        today = datetime.now(ZoneInfo(self.runtime.settings.timezone)).date()
        async with self.database.transaction() as tx:
            connection = await service.connection_of(tx, self.code)
        found = await reconciling.compare_orders(self.runtime, connection, today)
        async with self.database.transaction() as tx:
            (row,) = await connections.compared(tx, connection.id)
        return found or ([] if row.agrees else [str(row)])

    async def connection(self) -> Linked:
        async with self.database.transaction() as tx:
            return await service.connection_of(tx, self.code)
