"""The whole way with a WooCommerce, a simulator or the product itself: what a retailer and the shop see of it.

`story` is told of both by tests/scenarios/test_woocommerce.py and test_woocommerce_by_hand.py.
"""

from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from tests.channel_seller import RetailerOn, Seller, connected

from malha.channels.connecting import following
from malha.channels.connecting.model import ConnectionDraft
from malha.ordering import cancelling
from malha.ordering.model import CancelWish

CODE = "loja"


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


def seller_of(
    shop: Shop, template_url: str, retailer_on: RetailerOn, data_dir: Path, **config: Any
) -> AbstractAsyncContextManager[Seller]:
    """A retailer with 40 of A and 30 of B who is connected to a shop; at the end the doctor finds no drift."""
    draft = ConnectionDraft(
        code=CODE,
        name="Loja",
        connector="woocommerce",
        channel="web",
        config={"base_url": shop.url, "page": 2, **config},
        secrets={"consumer_key": shop.key, "consumer_secret": shop.secret, "webhook_secret": shop.webhook_secret},
    )
    methods = [
        ("payment", "bacs", "prepaid"),
        ("shipping", "flat_rate", "standard"),
        ("shipping", "flat_rate:1", "standard"),
    ]
    return connected(
        partial(Seller, code=CODE), draft, template_url, retailer_on, data_dir, allowed=shop.allowed, methods=methods
    )


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
        await cancelling.cancel(tx, order_id, reason="damaged", wishes=[CancelWish(1, 1)])
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
        await cancelling.cancel(tx, await seller.ours(regretted), reason="damaged")
    await seller.go()
    assert (await shop.order(regretted))["status"] == "cancelled"
    assert [stock for stock, _price in await shown(shop)] == [38, 28]

    assert await seller.differing() == []
    assert await seller.rows("SELECT DISTINCT state FROM channel_op") == [("done",)]
    assert await seller.rows("SELECT DISTINCT state FROM channel_inbox WHERE state NOT IN ('done', 'stale')") == []
    assert await seller.rows("SELECT count(*) FROM sales_order") == [(2,)]
