"""A retailer to whose places goods are brought from others, and how its orders are placed and worked on."""

from malha.flows import order_to_cash
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.fulfillment import bringing, service
from malha.fulfillment.bringing import Sending
from malha.intake.gate import Gate
from malha.intake.model import Buyer, NewLine, NewOrder, NewPayment
from malha.inventory import reads as stock
from malha.inventory.transfers.model import Arrival, Arrived
from malha.network import store_lanes
from malha.network.model import StoreLaneDraft
from malha.ordering import service as ordering
from malha.platform.address import Address
from malha.platform.db import Database
from malha.platform.ids import UUID, new_id
from malha.platform.subscribers import drain
from malha.testing.builders import World, a_product


class Shop:
    """A retailer whose places get goods from others."""

    def __init__(self, database: Database, world: World, gate: Gate) -> None:
        self.database, self.world, self.gate = database, world, gate
        self.skus: dict[str, int] = {}

    async def stocked(self, **at: dict[str, int]) -> None:
        async with self.database.transaction() as tx:
            for sku, places in at.items():
                self.skus[sku] = await a_product(tx, self.world, sku, stock=places)

    async def lanes(self, place: str, *lanes: tuple[str, int, int]) -> None:
        async with self.database.transaction() as tx:
            await store_lanes.state(tx, place, [StoreLaneDraft(origin=o, days=d, price=p) for o, d, p in lanes])
        await self.gate.close()  # one that has not looked at the network yet
        self.gate = Gate(self.database)
        await self.gate.open()

    async def order(self, *lines: tuple[str, int], at: str | None = "S1") -> UUID:
        """Place an order that is fetched at a place; None: that is shipped to Rio de Janeiro."""
        total = sum(1_000 * n for _, n in lines)
        new = NewOrder(
            channel="web",
            external_id=str(new_id()),
            lines=[NewLine(sku, n, 1_000) for sku, n in lines],
            customer=Buyer(name="Maria"),
            method="ship" if at is None else "pickup",
            pickup_location=at,
            ship_to=Address(state="RJ", city="Rio de Janeiro", postal_code="20040002", street="Rua A")
            if at is None
            else None,
            payments=[NewPayment("pix", total, "captured")],
        )
        return UUID(str((await self.gate.submit(new)).id))

    async def where(self, order_id: UUID) -> list[tuple[str, str | None, int]]:
        async with self.database.transaction() as tx:
            codes = dict(await tx.tuples("SELECT id, code FROM location"))
            units = (await ordering.units_of(tx, [order_id]))[order_id]
        sums: dict[tuple[str, str | None], int] = {}
        for u in units:
            key = u.state.value, codes.get(u.location_id)
            sums[key] = sums.get(key, 0) + u.quantity
        return sorted((state, code, n) for (state, code), n in sums.items())

    async def balance(self, sku: str, place: str) -> tuple[int, int]:
        async with self.database.transaction() as tx:
            found = await stock.availability(tx, [self.skus[sku]], [self.world.locations[place]])
        return (found[0].on_hand, found[0].allocated) if found else (0, 0)

    async def works(self, order_id: UUID) -> dict[tuple[str, str], UUID]:
        async with self.database.transaction() as tx:
            rows = await tx.tuples(
                "SELECT l.code, f.method, f.id FROM fulfillment_order f JOIN location l ON l.id = f.location_id "
                "WHERE f.order_id = %(id)s AND f.state NOT IN ('closed', 'rejected', 'cancelled')",
                {"id": order_id},
            )
        return {(code, method): id_ for code, method, id_ in rows}

    async def released(self, order_id: UUID) -> dict[tuple[str, str], UUID]:
        async with self.database.transaction() as tx:
            await tx.execute("UPDATE sales_order SET release_after = now() WHERE id = %(id)s", {"id": order_id})
        await order_to_cash.release_due(self.database)
        return await self.works(order_id)

    async def sent(self, work_id: UUID) -> int:
        async with self.database.transaction() as tx:
            await service.confirm_pick(tx, work_id)
            return await bringing.send(tx, work_id, Sending(carrier="Van"))

    async def arrive(self, number: int, *lines: tuple[str, int], complete: bool = True) -> None:
        arrived = [Arrived(self.skus[sku], n) for sku, n in lines]
        async with self.database.transaction() as tx:
            await bringing.receive(tx, number, Arrival(id=new_id(), lines=arrived, complete=complete))

    async def settled(self) -> None:
        await drain(self.database, SUBSCRIPTIONS)
        async with self.database.transaction() as tx:
            waiting = await tx.values(
                "SELECT args->>'order_id' FROM malha_jobs.procrastinate_jobs WHERE status = 'todo' "
                "AND task_name = 'orders.place_waiting' ORDER BY id"
            )
            await tx.execute("UPDATE malha_jobs.procrastinate_jobs SET status = 'succeeded'")
        for order_id in waiting:
            await order_to_cash.place_waiting.work(self.database, order_id=order_id)
        await drain(self.database, SUBSCRIPTIONS)
