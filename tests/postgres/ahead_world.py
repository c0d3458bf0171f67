"""A shop that sells ahead of the goods: one channel that refuses what is short, goods on order, and what follows."""

from datetime import UTC, date, datetime

from malha.flows import order_to_cash
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.intake.gate import Gate
from malha.intake.model import NewLine, NewOrder, Placed
from malha.inventory.ahead import policies, reads
from malha.inventory.ahead.model import Mode
from malha.inventory.ahead.policies import PolicyDraft
from malha.inventory.supply import service as supply
from malha.inventory.supply.model import (
    InboundDraft,
    InboundKind,
    InboundLineDraft,
    ReceiptDraft,
    Received,
    ReceivedLine,
)
from malha.ordering import service as ordering
from malha.platform.address import Address
from malha.platform.db import Database
from malha.platform.errors import MalhaError
from malha.platform.ids import UUID, new_id
from malha.platform.subscribers import drain
from malha.promising.rules import end_of, there_on
from malha.testing.builders import World, a_network, a_product, in_days

SAO_PAULO = Address(postal_code="01310100", city="São Paulo", state="SP", street="Av. Paulista", number="1000")
JOBS = "SELECT task_name, args FROM malha_jobs.procrastinate_jobs WHERE status = 'todo' ORDER BY id"
WORKERS = {
    "orders.place_waiting": order_to_cash.place_waiting,
    "orders.follow_supply": order_to_cash.follow_supply,
    "supply.line_up": order_to_cash.line_up,
}


def end_of_business_day(day: date, after: int) -> datetime:
    """The end, where SAO_PAULO is, of the business day so many after a day."""
    return end_of(there_on(day, after, "SP"), "SP")


class Shop:
    """A database with its world, and the few things that stories of selling ahead do."""

    def __init__(self, database: Database, world: World, sku: int) -> None:
        self.database, self.world, self.sku = database, world, sku
        self.numbers = 0

    async def allow(self, mode: Mode = Mode.BACKORDER, **terms: object) -> int:
        async with self.database.transaction() as tx:
            product = await tx.value("SELECT product_id FROM variant WHERE id = %(id)s::int", {"id": self.sku})
            draft = PolicyDraft(product_id=product, sku_id=self.sku, mode=mode, **terms)  # type: ignore[arg-type]
            return (await policies.put(tx, draft, None)).id

    async def order_goods(self, units: int, days: int, *, at: str = "DC") -> tuple[UUID, int]:
        """Order units from a supplier, to come in some days; return the purchase order's id and number."""
        draft = InboundDraft(
            kind=InboundKind.PURCHASE,
            supplier="Tecelagem Sul",
            location_id=self.world.locations[at],
            lines=[InboundLineDraft(self.sku, units, in_days(days))],
            over_percent=100,
        )
        async with self.database.transaction() as tx:
            placed = await supply.place_order(tx, draft)
        return placed.id, placed.number

    async def receive(self, order: UUID | None, *lines: ReceivedLine | int, at: str = "DC") -> Received:
        said = [x if isinstance(x, ReceivedLine) else ReceivedLine(self.sku, x) for x in lines]
        draft = ReceiptDraft(id=new_id(), location_id=self.world.locations[at], lines=said, order_id=order)
        async with self.database.transaction() as tx:
            return await supply.receive(tx, draft)

    def bought(self, units: int, *, sku: str = "CUP", channel: str = "mall", **more: object) -> NewOrder:
        self.numbers += 1
        lines = [NewLine(sku, units, 1000)]
        return NewOrder(channel=channel, external_id=f"A-{self.numbers}", lines=lines, ship_to=SAO_PAULO, **more)  # type: ignore[arg-type]

    async def buy(self, *wanted: int | NewOrder) -> list[Placed | MalhaError]:
        """Send orders, one after the other."""
        gate = Gate(self.database)
        try:
            return [await gate.enqueue(w if isinstance(w, NewOrder) else self.bought(w)) for w in wanted]
        finally:
            await gate.close()

    async def sold(self, *wanted: int | NewOrder) -> list[UUID]:
        """Buy, and expect that everything was taken."""
        placed = await self.buy(*wanted)
        assert all(isinstance(p, Placed) for p in placed), placed
        return [p.id for p in placed if isinstance(p, Placed)]

    async def settle(self) -> None:
        """Digest every event and run the jobs that were deferred, until there are none."""
        while True:
            await drain(self.database, SUBSCRIPTIONS)
            async with self.database.transaction() as tx:
                jobs = await tx.tuples(JOBS)
                await tx.execute("UPDATE malha_jobs.procrastinate_jobs SET status = 'succeeded'")
            todo = [(WORKERS[name], args) for name, args in jobs if name in WORKERS]
            if not todo:
                return
            for task, args in todo:
                wanted = {key: value for key, value in args.items() if key in {"order_id", "sku_id", "location_id"}}
                await task.work(self.database, **wanted)

    async def units(self, order_id: UUID) -> dict[str, int]:
        """Return an order's units by state."""
        sums: dict[str, int] = {}
        async with self.database.transaction() as tx:
            for unit in (await ordering.units_of(tx, [order_id]))[order_id]:
                sums[unit.state.value] = sums.get(unit.state.value, 0) + unit.quantity
        return sums

    async def waits(self, order_id: UUID) -> list[tuple[str, date | None, int]]:
        """Return what an order waits for: state, day, units."""
        async with self.database.snapshot() as tx:
            return [(c.state, c.eta, c.quantity) for c in await reads.claims_of_order(tx, order_id)]

    async def promise(self, order_id: UUID) -> date | None:
        async with self.database.snapshot() as tx:
            at = await tx.value("SELECT promised_at FROM sales_order WHERE id = %(id)s::uuid", {"id": order_id})
        return None if at is None else at.astimezone(UTC).date()

    async def holds(self, order_id: UUID) -> list[str]:
        async with self.database.snapshot() as tx:
            return sorted(kind.value for kind in (await ordering.open_holds(tx, [order_id]))[order_id])

    async def free(self) -> int:
        """Return what may be promised of the SKU's supply."""
        async with self.database.snapshot() as tx:
            return sum(row.free for row in await reads.supply_of(tx, [self.sku]))


async def a_shop(database: Database, *, stock: int = 0) -> Shop:
    async with database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "CUP", stock={"DC": stock} if stock else None)
    return Shop(database, world, sku)
