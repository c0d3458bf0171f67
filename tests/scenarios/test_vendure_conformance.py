"""The Vendure connector keeps the contract against a real Vendure, with everything breaking in between."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any

import psycopg
import pytest
from tests.apart import Apart
from tests.fault_proxy import FaultProxy, fault_proxy
from tests.vendure_shop import VendureShop, need_vendure, vendure_shop

from malha.channels.connectors.vendure import Vendure
from malha.channels.contract import RawRequest
from malha.testing.connectors import ConnectorContract, Fault, Operation

PAGE = 2
CURRENCIES = {"BRL-1": "BRL", "USD-1": "USD", "JPY-1": "JPY", "KWD-1": "KWD"}
STOCKED = [f"SKU-{n}" for n in range(12)]
WHERE = {
    Operation.ORDERS: "orders(options",
    Operation.ORDER: "order(id",
    Operation.STOCK: "updateProductVariants",
    Operation.LEVELS: "stockOnHand",
    Operation.PRICES: "updateProductVariants",
    Operation.SHIPMENT: "addFulfillmentToOrder",
    Operation.CANCEL: "cancelOrder",
    Operation.REFUND: "refundOrder",
}


class VendureRig:
    """A Vendure behind a proxy as the kit needs it. What the shop has no screen for is set in its database."""

    page = PAGE
    webhook_secret = ""

    def __init__(self, apart: Apart, shop: VendureShop, proxy: FaultProxy) -> None:
        self._apart = apart
        self.shop = shop
        self.proxy = proxy
        self.config = {"base_url": f"http://{proxy.allowed}/admin-api", "page": PAGE}
        self.secrets = {"api_key": shop.api_key}
        self.allowed = [proxy.allowed]

    def fail(self, operation: Operation, fault: Fault) -> None:
        self.proxy.fail(WHERE[operation], fault)

    async def add_order(self, *, at: int | None = None, odd: bool = False) -> str:
        id_ = str(await self._apart.later(self.shop.buy(("A", 1))))
        if at is not None:
            self._sql("""UPDATE "order" SET "updatedAt" = '2026-11-01 12:00:00' WHERE id = %s::int""", id_)
        if odd:
            self._sql("""UPDATE "order" SET state = 'Levitating' WHERE id = %s::int""", id_)
        return id_

    async def change_order(self, id_: str) -> None:
        self._sql(
            """UPDATE "order" SET "updatedAt" = (SELECT max("updatedAt") FROM "order") + interval '1 second'
               WHERE id = %s::int""",
            id_,
        )

    async def cancel_units(self, id_: str, units: int) -> None:
        await self._apart.later(self.shop.cancel(id_, "A", units))

    async def give_back(self, id_: str, amount: int) -> None:
        await self._apart.later(self.shop.refund(id_, amount))

    async def told(self, operation: Operation) -> list[str]:
        statement = {
            Operation.SHIPMENT: "SELECT method FROM fulfillment",
            Operation.CANCEL: "SELECT id::text FROM history_entry WHERE type = 'ORDER_CANCELLATION'",
            Operation.REFUND: "SELECT id::text FROM refund",
        }[operation]
        return [row[0] for row in self._sql(statement)]

    async def values(self, operation: Operation) -> dict[str, int]:
        if operation is Operation.STOCK:
            found = self._sql(
                """SELECT v.sku, l."stockOnHand" - l."stockAllocated" FROM product_variant v
                   JOIN stock_level l ON l."productVariantId" = v.id WHERE v.sku LIKE 'SKU-%%'"""
            )
        else:
            found = self._sql(
                """SELECT v.sku, p.price FROM product_variant v JOIN product_variant_price p ON p."variantId" = v.id
                   WHERE v.sku = ANY (%s::text[]) AND p."currencyCode" = left(v.sku, 3)""",
                list(CURRENCIES),
            )
        return dict(found)

    def refuse(self, code: str) -> None:
        """Do nothing: the shop has no such SKU."""

    def webhook(self, id_: str, *, secret: str, at: datetime) -> RawRequest:
        raise NotImplementedError

    def ping(self) -> None:
        return None

    def forget(self) -> None:
        """Let a test begin without orders."""
        self._sql('TRUNCATE "order", refund, fulfillment, history_entry CASCADE')

    def _sql(self, statement: str, *params: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.shop.database_url, autocommit=True) as connection:
            done = connection.execute(statement, params or None)  # type: ignore[arg-type]
            return done.fetchall() if done.description else []


@pytest.fixture(scope="module")
def here() -> None:
    need_vendure()


@pytest.fixture(scope="module")
def apart() -> Iterator[Apart]:
    made = Apart()
    yield made
    made.close()


@pytest.fixture(scope="module")
def shop(here: None, apart: Apart, template_url: str) -> Iterator[VendureShop]:
    async def opened(stack: AsyncExitStack) -> VendureShop:
        made = await stack.enter_async_context(vendure_shop(template_url))
        for sku in (*STOCKED, *CURRENCIES):
            await made.list(sku, 1_000)
        await made.put_stock("A", 100_000)
        return made

    stack = AsyncExitStack()
    try:
        yield apart.run(opened(stack))
    finally:
        apart.run(stack.aclose())


@pytest.mark.usefixtures("here")
class TestVendure(ConnectorContract):
    """What the kit asks of the Vendure connector."""

    connector = Vendure()

    @pytest.fixture
    async def rig(self, apart: Apart, shop: VendureShop) -> AsyncIterator[VendureRig]:
        async with fault_proxy(f"http://{shop.allowed}") as proxy:
            rig = VendureRig(apart, shop, proxy)
            rig.forget()
            yield rig
