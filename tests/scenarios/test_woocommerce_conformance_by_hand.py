"""The WooCommerce connector keeps the contract against the real product, with everything breaking in between. By hand."""

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import datetime

import pytest
from tests.fault_proxy import FaultProxy, fault_proxy
from tests.scenarios.test_vendure_conformance import Apart
from tests.unit.test_woocommerce_conformance import fields_of
from tests.woocommerce_shop import WEBHOOK_SECRET, WooShop, need_woocommerce, woocommerce_shop

from malha.channels.connectors.woocommerce.connector import WooCommerce
from malha.channels.contract import RawRequest
from malha.testing.connectors import ConnectorContract, Fault, Operation, Shown

PAGE = 3
PATIENCE_S = 4.0  # PHP's own server on a busy machine is no fast shop
LONG_AGO = 1_795_000_000
CURRENCIES = ("BRL-1", "USD-1", "JPY-1", "KWD-1")
STOCKED = [f"SKU-{n}" for n in range(12)]
WHERE = {
    Operation.ORDERS: "/wc/v3/orders?",
    Operation.ORDER: "/wc/v3/orders/",
    Operation.LEVELS: "offset=",
    Operation.STOCK: "/products/batch",
    Operation.PRICES: "/products/batch",
    Operation.SHIPMENT: "_malha_shipment_",
    Operation.CANCEL: '"cancelled"',
    Operation.REFUND: '"amount"',
    Operation.LISTING: "/products/batch",
}


class WooRig:
    """A WooCommerce behind a proxy as the kit needs it. Times of change are set in its database: they are long past."""

    page = PAGE
    webhook_secret = WEBHOOK_SECRET
    timeout_s = PATIENCE_S

    def __init__(self, apart: Apart, shop: WooShop, proxy: FaultProxy) -> None:
        self._apart = apart
        self._shop = shop
        self._second = LONG_AGO
        self.proxy = proxy
        self.config = {"base_url": f"http://{proxy.allowed}", "page": PAGE, "refund_at_gateway": False}
        self.secrets = {"consumer_key": shop.key, "consumer_secret": shop.secret, "webhook_secret": WEBHOOK_SECRET}
        self.allowed = [proxy.allowed]

    def fail(self, operation: Operation, fault: Fault) -> None:
        self.proxy.fail(WHERE[operation], fault)

    def _next(self) -> int:
        self._second += 100
        return self._second

    async def add_order(self, *, at: int | None = None, odd: bool = False) -> str:
        id_ = str(await self._apart.later(self._shop.buy(("A", 2))))
        if odd:
            self._shop.sql(f"UPDATE wp_wc_orders SET status = 'wc-levitating' WHERE id = {id_}")
        self._shop.settle(id_, self._next() if at is None else LONG_AGO + at)
        return id_

    async def change_order(self, id_: str) -> None:
        self._shop.settle(id_, self._next())

    async def told(self, operation: Operation) -> list[str]:
        sql = self._shop.sql
        if operation is Operation.SHIPMENT:
            noted = sql("SELECT comment_content FROM wp_comments WHERE comment_content LIKE '%#parcel-%'")
            marks = sql("SELECT meta_key FROM wp_wc_orders_meta WHERE meta_key LIKE '\\\\_malha\\\\_shipment\\\\_%'")
            tracked = sql("SELECT meta_value FROM wp_wc_orders_meta WHERE meta_key = '_wc_shipment_tracking_items'")
            assert len(noted) == len(marks) == sum(row[0].count("tracking_id") for row in tracked)
            return [row[0] for row in noted]
        if operation is Operation.CANCEL:
            return [row[0] for row in sql("SELECT id FROM wp_wc_orders WHERE status = 'wc-cancelled'")]
        return [row[0] for row in sql("SELECT id FROM wp_wc_orders WHERE type = 'shop_order_refund'")]

    async def values(self, operation: Operation) -> dict[str, int]:
        named = STOCKED if operation is Operation.STOCK else CURRENCIES
        key = "_stock" if operation is Operation.STOCK else "_price"
        rows = self._shop.sql(
            "SELECT s.meta_value, v.meta_value FROM wp_postmeta s JOIN wp_postmeta v ON v.post_id = s.post_id"
            f" WHERE s.meta_key = '_sku' AND v.meta_key = '{key}'"
        )
        return {sku: int(value.replace(".", "")) for sku, value in rows if sku in named}

    def refuse(self, code: str) -> None:
        """Do nothing: the shop has no such SKU, and makes none that ends in -BAD."""

    async def shown(self, code: str) -> list[Shown]:
        rows = await self._apart.later(self._shop.ask("GET", "/products", sku=code, context="edit"))
        return [Shown(active=row["status"] == "publish", fields=fields_of(row)) for row in rows]

    def webhook(self, id_: str, *, secret: str, at: datetime) -> RawRequest:
        del at
        body = json.dumps(self._apart.run(self._shop.order(id_))).encode()
        signature = base64.b64encode(hmac.digest(secret.encode(), body, hashlib.sha256)).decode()
        headers = {"x-wc-webhook-topic": "order.updated", "x-wc-webhook-signature": signature}
        return RawRequest("POST", "https://malha.example/in/kit", headers, body)

    def ping(self) -> RawRequest:
        return RawRequest("POST", "https://malha.example/in/kit", {}, b"webhook_id=7")


@pytest.fixture(scope="module")
def apart() -> Iterator[Apart]:
    need_woocommerce()
    made = Apart()
    yield made
    made.close()


@pytest.fixture(scope="module")
def shop(apart: Apart) -> Iterator[WooShop]:
    async def opened(stack: AsyncExitStack) -> WooShop:
        made = await stack.enter_async_context(woocommerce_shop())
        for sku in ("A", *CURRENCIES, *STOCKED):
            await made.offer(sku)
        return made

    stack = AsyncExitStack()
    try:
        yield apart.run(opened(stack))
    finally:
        apart.run(stack.aclose())


class TestRealWooCommerce(ConnectorContract):
    """What the kit asks of the WooCommerce connector."""

    connector = WooCommerce()

    @pytest.fixture
    async def rig(self, apart: Apart, shop: WooShop) -> AsyncIterator[WooRig]:
        async with fault_proxy(shop.url) as proxy:
            shop.forget_orders()
            await apart.later(shop.forget_products("L-"))
            yield WooRig(apart, shop, proxy)
