"""The WooCommerce connector keeps the contract, with everything breaking in between; no request is one of its invention.

The shop is a simulator; each request that it gets is judged by the recorded index of WooCommerce 9.4.1, not by it.
"""

import re
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import pytest
from tests.fault_proxy import FaultProxy, fault_proxy
from tests.woocommerce_sim import KEY, SECRET, WEBHOOK_SECRET, WooSim, moment, woocommerce_sim
from tests.woocommerce_spec import recorded_index

from malha.channels.connectors.paragraphs import html_of
from malha.channels.connectors.woocommerce.connector import WooCommerce
from malha.channels.contract import RawRequest
from malha.testing.connectors import ConnectorContract, Fault, Offered, Operation, Shown, context

PAGE = 3
CURRENCIES = {"BRL-1": 2, "USD-1": 2, "JPY-1": 0, "KWD-1": 3}
WHERE = {
    Operation.ORDERS: "/wc/v3/orders?",
    Operation.ORDER: "/wc/v3/orders/",
    Operation.LEVELS: "offset=",
    Operation.STOCK: "/products/batch",
    Operation.PRICES: "/products/batch",
    Operation.SHIPMENT: "_malha_shipment_",
    Operation.CANCEL: '"cancelled"',
    Operation.REFUND: '"amount"',
    Operation.PRODUCTS: "/wc/v3/products?",
    Operation.LISTING: "/products/batch",
}

pytestmark = pytest.mark.shared


class WooRig:
    """A shop behind a proxy as the kit needs it."""

    page = PAGE
    webhook_secret = WEBHOOK_SECRET

    def __init__(self, shop: WooSim, proxy: FaultProxy) -> None:
        self.shop = shop
        self.proxy = proxy
        self.config = {"base_url": f"http://{proxy.allowed}", "page": PAGE}
        self.secrets = {"consumer_key": KEY, "consumer_secret": SECRET, "webhook_secret": WEBHOOK_SECRET}
        self.allowed = [proxy.allowed]

    def fail(self, operation: Operation, fault: Fault) -> None:
        self.proxy.fail(WHERE[operation], fault)

    async def add_order(self, *, at: int | None = None, odd: bool = False) -> str:
        more = {"status": "levitating", "aura": {"colour": "blue"}} if odd else {}
        return self.shop.sell(("A", 2), at=at, **more)

    async def change_order(self, id_: str) -> None:
        self.shop.touch(id_)

    async def cancel_units(self, id_: str, units: int) -> None:
        order = self.shop.orders[int(id_)]
        line = {"id": order["line_items"][0]["id"], "quantity": units, "refund_total": 0}
        self.shop.refund(order, {"amount": "0", "reason": "faltou", "api_refund": False, "line_items": [line]})

    async def give_back(self, id_: str, amount: int) -> None:
        self.shop.refund(self.shop.orders[int(id_)], {"amount": f"{amount / 100:.2f}", "reason": "quis devolver"})

    async def add_product(self, sku: str) -> None:
        self.shop.offer(sku)

    async def change_product(self, sku: str) -> None:
        self.shop.by_sku(sku).update(name=f"{sku} now", date_modified_gmt=moment(self.shop.tick()))

    async def offer(self, product: Offered) -> Offered:
        shop = self.shop
        parent = 0
        for name in product.category:
            parent = shop.term("categories", name, parent)
        said: dict[str, Any] = {
            "name": product.name,
            "description": html_of(product.description) if product.description else "",
            "brands": [{"id": shop.term("brands", product.brand)}] if product.brand else [],
            "categories": [{"id": parent or shop.uncategorised}],
            "images": [{"id": shop.new_id(), "src": url} for url in product.pictures],
        }
        listed: dict[str, list[str]] = {}
        for variant in product.variants:
            for name, value in variant.options.items():
                listed.setdefault(name, []).append(value)
        options = {name: list(values) for name, values in (product.values or listed).items()}
        said["attributes"] = [
            *({"id": 0, "name": name, "variation": True, "options": values} for name, values in options.items()),
            *({"id": 0, "name": n, "variation": False, "options": [v]} for n, v in product.attributes.items()),
        ]
        known = [row for row in shop.products.values() if row["slug"] == product.code.lower()]
        if known:
            known[0].update(said, date_modified_gmt=moment(shop.tick()))
            return product
        varies = bool(options)
        kind = {"type": "variable", "price": "", "stock": None} if varies else {}
        sku = product.code if varies else product.variants[0].sku
        id_ = shop.offer(sku, slug=product.code.lower(), **kind, **said)
        for variant in product.variants if varies else ():
            chosen = [{"id": 0, "name": name, "option": value} for name, value in variant.options.items()]
            shop.offer(variant.sku, type="variation", parent_id=id_, attributes=chosen)
        return product

    async def told(self, operation: Operation) -> list[str]:
        shop = self.shop
        if operation is Operation.SHIPMENT:
            noted = [note["note"] for notes in shop.notes.values() for note in notes]
            meta = [m for order in shop.orders.values() for m in order["meta_data"]]
            marks = [m for m in meta if m["key"].startswith("_malha_shipment_")]
            tracked = [item for m in meta if m["key"] == "_wc_shipment_tracking_items" for item in m["value"]]
            assert len(noted) == len(marks) == len(tracked), "a parcel is a mark, a tracking and a note"
            return noted
        if operation is Operation.CANCEL:
            return [str(id_) for id_, order in shop.orders.items() if order["status"] == "cancelled"]
        return [refund["reason"] for refunds in shop.refunds.values() for refund in refunds]

    async def values(self, operation: Operation) -> dict[str, int]:
        rows = self.shop.products.values()
        if operation is Operation.STOCK:
            return {row["sku"]: row["stock_quantity"] for row in rows if row["sku"].startswith("SKU-")}
        priced = {row["sku"]: row["price"] for row in rows if row["sku"] in CURRENCIES}
        return {sku: int(price.replace(".", "")) for sku, price in priced.items() if exact(price, CURRENCIES[sku])}

    def refuse(self, code: str) -> None:
        if not code.startswith("L-"):  # a listing is new
            self.shop.offer(code)
        self.shop.refuses.add(code)

    async def shown(self, code: str) -> list[Shown]:
        rows = [self.shop.said_of(row) for row in self.shop.products.values() if row["sku"] == code]
        return [Shown(active=row["status"] == "publish", fields=fields_of(row)) for row in rows]

    def webhook(self, id_: str, *, secret: str, at: datetime) -> RawRequest:
        del at  # WooCommerce signs no time
        headers, body = self.shop.hook(id_, secret=secret)
        return RawRequest("POST", "https://malha.example/in/kit", headers, body)

    def ping(self) -> RawRequest:
        headers = {"content-type": "application/x-www-form-urlencoded"}
        return RawRequest("POST", "https://malha.example/in/kit", headers, b"webhook_id=7")


def fields_of(row: dict[str, Any]) -> dict[str, str]:
    """What a product says of itself, by the names of a listing."""
    said = {
        "title": row["name"],
        "description": re.sub(r"</?p>", "", row["description"]),
        "short_description": re.sub(r"</?p>", "", row["short_description"]),
        "brand": ", ".join(each["name"] for each in row["brands"]),
        "categories": "|".join(each["name"] for each in row["categories"]),
        "tags": ", ".join(each["name"] for each in row["tags"]),
    }
    return {name: text for name, text in said.items() if text}


def exact(price: str, digits: int) -> bool:
    return len(price.partition(".")[2]) == digits


class TestWooCommerce(ConnectorContract):
    """What the kit asks of the WooCommerce connector."""

    connector = WooCommerce()

    @pytest.fixture
    async def rig(self) -> AsyncIterator[WooRig]:
        index = recorded_index()
        async with woocommerce_sim() as shop, fault_proxy(shop.url) as proxy:
            for sku in ("A", *CURRENCIES, *(f"SKU-{n}" for n in range(12))):
                shop.offer(sku)
            yield WooRig(shop, proxy)
        flaws = {flaw for asked in shop.asked for flaw in index.flaws(*asked)}
        assert flaws == set()


async def test_a_product_that_cannot_be_read_is_named_and_holds_up_no_others() -> None:
    """A price finer than its currency, and a name that is a list: each is unread, and what stands beside it is told."""
    async with woocommerce_sim() as shop, fault_proxy(shop.url) as proxy:
        rig = WooRig(shop, proxy)
        odd = [shop.offer("FINE", price="9.999"), shop.offer("LIST", name=["a"]), shop.offer("BESIDE")]
        ctx = context(WooCommerce(), rig)
        told, unread, cursor, more = [], [], None, True
        while more:
            page = await WooCommerce().pull_products(ctx, cursor)
            told += [item.sku for item in page.items]
            unread += page.unread
            cursor, more = page.cursor, page.more
        assert told == ["BESIDE"]
        assert unread == [str(each) for each in odd[:2]]
