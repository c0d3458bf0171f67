"""The whole way with a real Vendure: products, stock, a shopper's order, a parcel, a cancel, a refund, and no difference.

Both sides are the real thing: Vendure answers over HTTP from a database of its own, Malha places, allocates and ships.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from tests.vendure_shop import VendureShop, need_vendure, vendure_shop

from malha.channels import pushing, sending
from malha.channels import reads as channel_reads
from malha.channels import service as channels
from malha.channels.connecting import following, inbox, operating, pulling, reconciling, service
from malha.channels.connecting.model import ConnectionDraft, Linked
from malha.channels.connecting.runtime import Runtime
from malha.channels.contract import AuthExpired
from malha.channels.model import ListingDraft, PushDraft, PushKind
from malha.doctor import examine
from malha.flows.subscriptions import SUBSCRIPTIONS
from malha.fulfillment import service as fulfillment
from malha.fulfillment.model import Tracking
from malha.intake.gate import Gate
from malha.ordering import service as ordering
from malha.ordering.model import CancelWish
from malha.platform.db import Database
from malha.platform.settings import Settings
from malha.platform.subscribers import drain
from malha.testing.builders import a_network, a_product

CODE = "vendure"
NOW_DUE = (
    "UPDATE channel_inbox SET next_at = now() WHERE state = 'waiting'",
    "UPDATE channel_op SET not_before = now(), taken_until = NULL WHERE state = 'waiting'",
    "UPDATE connection_cursor SET next_at = now()",
    "UPDATE connection_pace SET bucket = NULL, breaker = NULL",
    "UPDATE stock_push SET next_at = now()",
)


@pytest.fixture(scope="module")
def here() -> None:
    need_vendure()


@pytest.fixture
async def shop(here: None, template_url: str) -> AsyncIterator[VendureShop]:
    async with vendure_shop(template_url) as made:
        yield made


class Seller:
    """A retailer on Malha who sells A and B in a Vendure shop."""

    def __init__(self, database: Database, shop: VendureShop, settings: Settings, gate: Gate) -> None:
        self.database = database
        self.shop = shop
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
            connection = await service.connection_of(tx, CODE)
        found = await reconciling.compare_orders(self.runtime, connection, today)
        ((ours, theirs, our_total, their_total),) = await self.rows(
            "SELECT ours, theirs, ours_total, theirs_total FROM reconciliation WHERE kind = 'orders'"
        )
        return found + ([] if (ours, our_total) == (theirs, their_total) else [f"{our_total} and {their_total}"])

    async def connection(self) -> Linked:
        async with self.database.transaction() as tx:
            return await service.connection_of(tx, CODE)


@pytest.fixture
async def seller(
    shop: VendureShop,
    template_url: str,
    retailer_on: Callable[[str], AbstractAsyncContextManager[Database]],
    tmp_path: Path,
) -> AsyncIterator[Seller]:
    async with retailer_on(template_url) as database:
        settings = Settings(database_url=database.url, data_dir=tmp_path, outward_allow=(shop.allowed,))
        gate = Gate(database)
        async with database.transaction() as tx:
            world = await a_network(tx)
            await a_product(tx, world, "A", stock={"DC": 40})
            await a_product(tx, world, "B", stock={"DC": 30})
            await channels.put_listings(tx, "web", [ListingDraft(sku="A", code="A"), ListingDraft(sku="B", code="B")])
        await gate.open()
        made = Seller(database, shop, settings, gate)
        draft = ConnectionDraft(
            code=CODE,
            name="Vendure",
            connector="vendure",
            channel="web",
            config={"base_url": shop.admin_url, "page": 2},
            secrets={"api_key": shop.api_key},
        )
        async with database.transaction() as tx:
            await service.add_connection(tx, draft, made.runtime.keys)
            await service.resume(tx, CODE)
            await service.put_method(tx, CODE, "payment", "cartao", "credit_card")
            await tx.execute("UPDATE establishment SET document_policy = 'not_required'")
            await channels.put_push(tx, "web", PushDraft(kind=PushKind.CONNECTOR), 0, made.runtime.keys)
        try:
            yield made
        finally:
            await gate.close()
        report = await examine(database)
        assert [line for f in report.findings if f.drifts for line in f.lines("en")] == []


async def test_product_stock_order_parcel_cancel_refund_and_no_difference(seller: Seller, shop: VendureShop):
    line = seller.runtime.line(await seller.connection())
    assert (await line.connector.check(line.ctx)).ok
    await seller.go()
    assert [await shop.stock(sku) for sku in ("A", "B")] == [(40, 0), (30, 0)]
    assert [await shop.price(sku) for sku in ("A", "B")] == [1_000, 1_000], "prices are Malha's"

    bought = await shop.buy(("A", 3), ("B", 2))
    await seller.go()
    order_id = await seller.ours(bought)
    assert await seller.rows("SELECT status, total FROM sales_order") == [("allocated", 5 * 1_000 + 1_500)]
    # What Vendure allocated for its own order is on top of what may be sold.
    assert [await shop.stock(sku) for sku in ("A", "B")] == [(40, 3), (30, 2)]

    async with seller.database.transaction() as tx:
        await ordering.cancel(tx, order_id, reason="damaged", wishes=[CancelWish(1, 1)])
    await seller.go()
    assert sorted(x["quantity"] for x in (await shop.order(bought))["lines"]) == [2, 2]
    assert await shop.stock("A") == (40, 2)

    await seller.send(order_id, "BR123456789BR")
    await seller.go()
    told = await shop.order(bought)
    assert told["state"] == "Shipped"
    ((parcel),) = told["fulfillments"]
    assert (parcel["state"], parcel["trackingCode"]) == ("Shipped", "BR123456789BR")
    assert parcel["method"].startswith("Correios #")
    assert [await shop.stock(sku) for sku in ("A", "B")] == [(38, 0), (28, 0)]

    ((payment,),) = await seller.rows("SELECT reference FROM tender")
    for _ in range(2):  # the same reference is the same refund
        async with seller.database.transaction() as tx:
            await following.ask_refund(tx, CODE, order_id, payment, 1_000, "damaged one")
        await seller.go()
    (paid,) = (await shop.order(bought))["payments"]
    assert [refund["total"] for refund in paid["refunds"]] == [1_000]

    assert await seller.differing() == []
    assert await seller.rows("SELECT DISTINCT state FROM channel_op") == [("done",)]


async def test_the_shop_is_killed_before_and_after_it_was_told(seller: Seller, shop: VendureShop):
    first, second = await shop.buy(("A", 1)), await shop.buy(("B", 1))
    await seller.go()
    await shop.kill()
    for bought, tracking in ((first, "T1"), (second, "T2")):
        await seller.send(await seller.ours(bought), tracking)
    await seller.go(2)
    assert await seller.rows("SELECT DISTINCT state FROM channel_op WHERE kind = 'push_shipment'") == [("waiting",)]
    await shop.start()
    await seller.go()
    assert [x["trackingCode"] for x in (await shop.order(first))["fulfillments"]] == ["T1"]

    # It did what it was asked and died before it said so: what nobody knows is looked up.
    async with seller.database.transaction() as tx:
        await tx.execute(
            "UPDATE channel_op SET state = 'waiting', sending = true, doubtful = true, not_before = now(),"
            " taken_until = NULL, done_at = NULL WHERE kind = 'push_shipment'"
        )
    await seller.go()
    for bought, tracking in ((first, "T1"), (second, "T2")):
        assert [x["trackingCode"] for x in (await shop.order(bought))["fulfillments"]] == [tracking]
    assert await seller.rows("SELECT DISTINCT state FROM channel_op WHERE kind = 'push_shipment'") == [("done",)]
    assert await seller.differing() == []


async def test_many_orders_of_one_moment_come_once_each_and_a_late_change_comes_again(
    seller: Seller, shop: VendureShop
):
    bought = [await shop.buy(("A", 1)) for _ in range(5)]
    await seller.go()
    assert [x for (x,) in await seller.rows("SELECT external_id FROM sales_order ORDER BY 1")] == sorted(bought)
    ((before,),) = await seller.rows("SELECT count(*) FROM channel_inbox")
    await seller.go()
    assert await seller.rows("SELECT count(*) FROM channel_inbox") == [(before,)], (
        "nothing changed: nothing is read twice"
    )
    async with seller.database.transaction() as tx:
        await service.read_again(tx, CODE, datetime(2026, 1, 1, tzinfo=UTC))
    await seller.go()
    assert await seller.rows("SELECT count(*) FROM sales_order") == [(5,)]
    assert await seller.differing() == []


async def test_a_wrong_key_breaks_the_connection_with_a_reason(seller: Seller):
    async with seller.database.transaction() as tx:
        found = await service.connection_of(tx, CODE)
        draft = ConnectionDraft(
            code=CODE, name="Vendure", connector="vendure", channel="web", config=found.config,
            secrets={"api_key": "none:of-these"},
        )  # fmt: skip
        await service.change_connection(tx, draft, found.version, seller.runtime.keys)
    line = seller.runtime.line(await seller.connection())
    with pytest.raises(AuthExpired):
        await line.call(lambda: line.connector.check(line.ctx))
    assert (await seller.connection()).status == "broken"
