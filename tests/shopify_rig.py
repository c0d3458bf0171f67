"""The Shopify shop of the tests behind a proxy that fails on cue, as the conformance kit needs it."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.fault_proxy import FaultProxy, fault_proxy
from tests.shopify_answers import DOMAIN
from tests.shopify_artefacts import need_artefacts, webhook_example
from tests.shopify_invariants import examine_shop
from tests.shopify_shop import CLIENT_SECRET, TOKEN, Shop, shopify_shop
from tests.shopify_state import START, Order, Product

from malha.channels.connectors.paragraphs import html_of
from malha.channels.contract import RawRequest
from malha.testing.connectors import Fault, Offered, Operation, Shown

PAGE = 2
STOCKED = [f"SKU-{n}" for n in range(12)]
CURRENCIES = {"BRL-1": 2, "USD-1": 2, "JPY-1": 0, "KWD-1": 3}
LISTS = {"USD": "31", "JPY": "32", "KWD": "33"}
WHERE = {
    Operation.ORDERS: "query ListOrders",
    Operation.ORDER: "query GetOrder",
    Operation.STOCK: "inventorySetQuantities",
    Operation.PRICES: "productVariantsBulkUpdate",
    Operation.LEVELS: "query PullStock",
    Operation.SHIPMENT: "fulfillmentCreate",
    Operation.CANCEL: "orderCancel(",
    Operation.REFUND: "refundCreate",
    Operation.PRODUCTS: "query PullProducts",
    Operation.LISTING: "productSet(",
}


class ShopifyRig:
    """A shop behind a proxy as the kit needs it."""

    page = PAGE
    webhook_secret = CLIENT_SECRET

    def __init__(self, shop: Shop, proxy: FaultProxy) -> None:
        self.shop = shop
        self.proxy = proxy
        self.config = {
            "shop": DOMAIN,
            "location": "11",
            "address": f"http://{proxy.allowed}",
            "page": PAGE,
            "price_lists": LISTS,
        }
        self.secrets = {"access_token": TOKEN, "webhook_secret": CLIENT_SECRET}
        self.allowed = [proxy.allowed]

    def fail(self, operation: Operation, fault: Fault) -> None:
        self.proxy.fail(WHERE[operation], fault)

    def _order(self, id_: str) -> Order:
        return self.shop.orders[int(id_)]

    async def add_order(self, *, at: int | None = None, odd: bool = False) -> str:
        moment = None if at is None else START + timedelta(seconds=at)
        return str(self.shop.sell(("A", 2), at=moment, hold=odd).id)

    async def change_order(self, id_: str) -> None:
        self.shop.touch(self._order(id_))

    async def cancel_units(self, id_: str, units: int) -> None:
        self.shop.give_back(self._order(id_), units=units)

    async def give_back(self, id_: str, amount: int) -> None:
        self.shop.give_back(self._order(id_), f"{amount / 100:.2f}")

    async def add_product(self, sku: str) -> None:
        self.shop.list(sku)

    async def change_product(self, sku: str) -> None:
        product = self.shop.variant(sku).product
        product.title, product.updated = f"{sku} now", self.shop.tick()

    async def offer(self, product: Offered) -> Offered:
        shop = self.shop
        known = next((each for each in shop.products.values() if each.handle == product.code.lower()), None)
        if known is None:
            known = Product(shop.next_id(), product.name, product.code.lower())
            shop.products[known.id] = known
            for variant in product.variants:
                only = (("Title", "Default Title"),)
                shop.list(variant.sku, product=known, options=tuple(variant.options.items()) or only)
        known.title, known.vendor = product.name, product.brand
        known.html = html_of(product.description) if product.description else ""
        known.taxon = " > ".join(product.category)
        known.pictures = [shop.picture(url) for url in product.pictures]
        known.updated = shop.tick()
        return product

    async def told(self, operation: Operation) -> list[str]:
        orders = self.shop.orders.values()
        return {
            Operation.SHIPMENT: [f"{f.id}" for order in orders for f in order.fulfillments],
            Operation.CANCEL: [f"{id_}" for id_ in self.shop.cancels],
            Operation.REFUND: [f"{r.id}" for order in orders for r in order.refunds],
        }[operation]

    async def values(self, operation: Operation) -> dict[str, int]:
        variants = self.shop.variants.values()
        if operation is Operation.STOCK:
            return {v.sku: v.available[11] for v in variants if v.sku in STOCKED}
        found = {}
        for sku, digits in CURRENCIES.items():
            variant, currency = self.shop.variant(sku), sku[:3]
            list_ = f"gid://shopify/PriceList/{LISTS.get(currency)}:{currency}"
            price = variant.price if currency == "BRL" else variant.fixed[list_]
            found[sku] = int(price.scaleb(digits))
            assert Decimal(found[sku]) == price.scaleb(digits)
        return found

    async def shown(self, code: str) -> list[Shown]:
        found = [v.product for v in self.shop.variants.values() if v.sku == code]
        return [Shown(active=each.status == "ACTIVE", fields=fields_of(each)) for each in found]

    def refuse(self, code: str) -> None:
        self.shop.refuses.add(code)

    def webhook(self, id_: str, *, secret: str, at: datetime) -> RawRequest:
        del at
        order = self._order(id_)
        body = {**webhook_example("2026-07", "orders/updated"), "id": order.id}
        head, raw = self.shop.webhook("orders/updated", body, event=f"e{order.id}-{order.changes}", secret=secret)
        return RawRequest("POST", "https://oms.example/in/shopify", {k.lower(): v for k, v in head.items()}, raw)

    def ping(self) -> None:
        return None


def fields_of(product: Product) -> dict[str, str]:
    """What a product says of itself, by the names of a listing."""
    said = {
        "title": product.title,
        "description": re.sub(r"</?p>", "", product.html),
        "brand": product.vendor,
        "product_type": product.kind,
        "tags": ", ".join(product.tags),
    }
    return {name: text for name, text in said.items() if text}


@asynccontextmanager
async def shopify_rig(**more: Any) -> AsyncIterator[ShopifyRig]:
    """Serve a shop behind a proxy for the block; afterwards it must be in order."""
    need_artefacts()
    async with shopify_shop(**more) as shop, fault_proxy(f"http://{shop.allowed}") as proxy:
        for sku in ("A", "B", *STOCKED, *CURRENCIES, "POISON"):
            shop.list(sku)
        shop.stock("A", 100_000)
        shop.stock("B", 1_000)
        yield ShopifyRig(shop, proxy)
    assert examine_shop(shop) == []
