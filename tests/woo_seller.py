"""The whole way with a WooCommerce, a simulator or the product itself: what a retailer and the shop see of it.

`story` is told of both by tests/scenarios/test_woocommerce.py and test_woocommerce_by_hand.py.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

from tests.channel_seller import Seller

from malha.channels import service as channels
from malha.channels.connecting import following, service
from malha.channels.connecting.model import ConnectionDraft
from malha.channels.model import ListingDraft, PushDraft, PushKind
from malha.doctor import examine
from malha.intake.gate import Gate
from malha.ordering import service as ordering
from malha.ordering.model import CancelWish
from malha.platform.db import Database
from malha.platform.settings import Settings
from malha.testing.builders import a_network, a_product

CODE = "loja"
RetailerOn = Callable[[str], AbstractAsyncContextManager[Database]]


class Shop(Protocol):
    """A shop as the story needs it; everything is read by the shop's own words."""

    url: str
    allowed: str
    key: str
    secret: str
    webhook_secret: str

    async def buy(self, *wanted: tuple[str, int]) -> str: ...
    async def product(self, sku: str) -> Any: ...
    async def order(self, id_: str) -> Any: ...
    async def notes(self, id_: str) -> list[str]: ...
    async def refunds_of(self, id_: str) -> list[Any]: ...


@asynccontextmanager
async def seller_of(
    shop: Shop, template_url: str, retailer_on: RetailerOn, data_dir: Path, **config: Any
) -> AsyncIterator[Seller]:
    """A retailer with 40 of A and 30 of B who is connected to a shop; at the end the doctor finds no drift."""
    async with retailer_on(template_url) as database:
        settings = Settings(database_url=database.url, data_dir=data_dir, outward_allow=(shop.allowed,))
        gate = Gate(database)
        async with database.transaction() as tx:
            world = await a_network(tx)
            await a_product(tx, world, "A", stock={"DC": 40})
            await a_product(tx, world, "B", stock={"DC": 30})
            await channels.put_listings(tx, "web", [ListingDraft(sku="A", code="A"), ListingDraft(sku="B", code="B")])
        await gate.open()
        made = Seller(database, settings, gate, CODE)
        draft = ConnectionDraft(
            code=CODE,
            name="Loja",
            connector="woocommerce",
            channel="web",
            config={"base_url": shop.url, "page": 2, **config},
            secrets={"consumer_key": shop.key, "consumer_secret": shop.secret, "webhook_secret": shop.webhook_secret},
        )
        async with database.transaction() as tx:
            await service.add_connection(tx, draft, made.runtime.keys)
            await service.resume(tx, CODE)
            await service.put_method(tx, CODE, "payment", "bacs", "prepaid")
            for method in ("flat_rate", "flat_rate:1"):
                await service.put_method(tx, CODE, "shipping", method, "standard")
            await tx.execute("UPDATE establishment SET document_policy = 'not_required'")
            await channels.put_push(tx, "web", PushDraft(kind=PushKind.CONNECTOR), 0, made.runtime.keys)
        try:
            yield made
        finally:
            await gate.close()
        report = await examine(database)
        assert [line for f in report.findings if f.drifts for line in f.lines("en")] == []


def meta_of(order: Any) -> dict[str, Any]:
    return {entry["key"]: entry["value"] for entry in order["meta_data"]}


async def shown(shop: Shop) -> list[tuple[Any, Any]]:
    """What a shopper may buy of A and B, and for how much."""
    rows = [await shop.product(sku) for sku in ("A", "B")]
    return [(row["stock_quantity"], float(row["price"])) for row in rows]


async def story(seller: Seller, shop: Shop) -> None:
    """Stock and prices, an order, a partial cancel, a parcel, a refund asked for twice, a whole cancel: no difference."""
    line = seller.runtime.line(await seller.connection())
    health = await line.connector.check(line.ctx)
    assert health.ok, health
    await seller.go()
    assert await shown(shop) == [(40, 10.0), (30, 10.0)], "stock and prices are Malha's"

    bought = await shop.buy(("A", 3), ("B", 2))
    assert (await shop.product("A"))["stock_quantity"] == 37, "the shop takes units off itself"
    await seller.go()
    order_id = await seller.ours(bought)
    assert await seller.rows("SELECT status, total FROM sales_order") == [("allocated", 5 * 1_000 + 1_500)]
    assert await seller.rows("SELECT t.amount, f.kind FROM tender t JOIN payment_entry f ON f.tender_id = t.id") == [
        (5 * 1_000 + 1_500, "captured")
    ]
    ((document, to),) = await seller.rows("SELECT buyer_document, ship_to FROM sales_order")
    assert document == "52998224725"
    assert (to["street"], to["number"], to["district"]) == ("Avenida Paulista", "1000", "Bela Vista")
    assert [stock for stock, _price in await shown(shop)] == [37, 28]

    async with seller.database.transaction() as tx:
        await ordering.cancel(tx, order_id, reason="damaged", wishes=[CancelWish(1, 1)])
    await seller.go()
    (refund,) = await shop.refunds_of(bought)
    assert (refund["amount"], [x["quantity"] for x in refund["line_items"]]) == ("0.00", [-1])
    assert [stock for stock, _price in await shown(shop)] == [38, 28]

    await seller.send(order_id, "BR123456789BR")
    await seller.go()
    told = await shop.order(bought)
    assert told["status"] == "completed"
    meta = meta_of(told)
    (tracked,) = meta["_wc_shipment_tracking_items"]
    assert (tracked["tracking_number"], tracked["custom_tracking_provider"]) == ("BR123456789BR", "Correios")
    assert meta["_correios_tracking_code"] == "BR123456789BR"
    assert len([note for note in await shop.notes(bought) if "BR123456789BR #" in note]) == 1

    ((payment,),) = await seller.rows("SELECT reference FROM tender")
    for _ in range(2):  # the same reference is the same refund
        async with seller.database.transaction() as tx:
            await following.ask_refund(tx, CODE, order_id, payment, 1_000, "damaged one")
        await seller.go()
    assert sorted(refund["amount"] for refund in await shop.refunds_of(bought)) == ["0.00", "10.00"]

    regretted = await shop.buy(("B", 1))
    await seller.go()
    async with seller.database.transaction() as tx:
        await ordering.cancel(tx, await seller.ours(regretted), reason="damaged")
    await seller.go()
    assert (await shop.order(regretted))["status"] == "cancelled"
    assert [stock for stock, _price in await shown(shop)] == [38, 28]

    assert await seller.differing() == []
    assert await seller.rows("SELECT DISTINCT state FROM channel_op") == [("done",)]
    assert await seller.rows("SELECT DISTINCT state FROM channel_inbox WHERE state NOT IN ('done', 'stale')") == []
    assert await seller.rows("SELECT count(*) FROM sales_order") == [(2,)]
