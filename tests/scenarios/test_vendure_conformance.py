"""The Vendure connector keeps the contract against a real Vendure, with everything breaking in between."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Any

import msgspec
import psycopg
import pytest
from tests.apart import Apart
from tests.fault_proxy import FaultProxy, fault_proxy
from tests.vendure_shop import VendureShop, need_vendure, vendure_shop

from malha.channels.connectors.vendure import Vendure
from malha.channels.connectors.vendure.listings import slug_of
from malha.channels.contract import Ok, ProductPush, RawRequest, Unsure
from malha.testing.connectors import ConnectorContract, Fault, Offered, Operation, Shown, a_push, context

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
    Operation.LISTING: "createProductVariants",
    Operation.PRODUCTS: "featuredAsset",
}


class VendureRig:
    """A Vendure behind a proxy as the kit needs it. What the shop has no screen for is set in its database."""

    page = PAGE
    webhook_secret = ""
    timeout_s = 12.0  # on a machine with much to do

    def __init__(self, apart: Apart, shop: VendureShop, proxy: FaultProxy) -> None:
        self._apart = apart
        self.shop = shop
        self.proxy = proxy
        self.config = {"base_url": f"http://{proxy.allowed}/admin-api", "page": PAGE, "reread_minutes": 0}
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

    async def add_product(self, sku: str) -> None:
        await self._apart.later(self.shop.list(sku, 1_000))

    async def change_product(self, sku: str) -> None:
        query = "mutation ($i: [UpdateProductVariantInput!]!) { updateProductVariants(input: $i) { id } }"
        await self._apart.later(self.shop.admin(query, i=[{"id": self.shop.variants[sku], "price": 1_001}]))

    async def offer(self, product: Offered) -> Offered:
        """Have it sold; pictures stand in the database, as an upload leaves them, and so does where a job puts it."""
        chosen = [tuple(sorted(variant.options.items())) for variant in product.variants]
        if len({tuple(name for name, _ in each) for each in chosen}) > 1 or len(set(chosen)) < len(chosen):
            raise NotImplementedError("a variant has one value of each option, and no two have the same")
        if "\x00" in product.description:  # which its database keeps in no text
            product = msgspec.structs.replace(product, description=product.description.replace("\x00", ""))
        id_ = await self._apart.later(self.shop.offer(product))
        of = 'SELECT id FROM product_variant WHERE "productId" = %s::int'
        in_any = f'DELETE FROM collection_product_variants_product_variant WHERE "productVariantId" IN ({of})'
        self._sql(in_any, id_)
        if product.category:
            place = await self._apart.later(self.shop.collection(product.category))
            self._sql(
                f"INSERT INTO collection_product_variants_product_variant SELECT %s::int, v.id FROM ({of}) v",
                place,
                id_,
            )
        self._sql('UPDATE product SET "featuredAssetId" = NULL WHERE id = %s::int', id_)
        self._sql('DELETE FROM product_asset WHERE "productId" = %s::int', id_)
        for n, url in enumerate(product.pictures):
            ((asset,),) = self._sql(
                """INSERT INTO asset (type, "mimeType", width, height, "fileSize", source, preview)
                   VALUES ('IMAGE', 'image/jpeg', 1, 1, 1, %s, %s) RETURNING id""",
                url,
                url,
            )
            self._sql(
                """INSERT INTO asset_translation ("languageCode", name, "baseId") VALUES ('en', 'kit', %s)""", asset
            )
            self._sql("INSERT INTO asset_channels_channel VALUES (%s, 1)", asset)
            self._sql(
                'INSERT INTO product_asset ("assetId", "productId", position) VALUES (%s, %s::int, %s)', asset, id_, n
            )
            if n == 0:
                self._sql('UPDATE product SET "featuredAssetId" = %s WHERE id = %s::int', asset, id_)
        return product

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
        """Let a product of ours have a plain variant of the shop's own: another one beside it is refused.

        Stock and prices are refused anyway: the shop has no such SKU.
        """
        slug = slug_of(f"P-{code}")
        if not self._sql("SELECT id FROM product_translation WHERE slug = %s", slug):
            self._apart.run(self.shop.list(f"OWN-{code}", 1_000))
            self._sql("UPDATE product_translation SET slug = %s WHERE name = %s", slug, f"Ware OWN-{code}")

    async def shown(self, code: str) -> list[Shown]:
        rows = self._sql(
            """SELECT v.enabled, w.name, q.name, q.description FROM product_variant v
               JOIN product_variant_translation w ON w."baseId" = v.id
               JOIN product_translation q ON q."baseId" = v."productId"
               WHERE v.sku = %s AND v."deletedAt" IS NULL""",
            code,
        )
        names = ("title", "product_title", "description")
        return [Shown(active=row[0], fields=dict(zip(names, row[1:], strict=True))) for row in rows]

    def webhook(self, id_: str, *, secret: str, at: datetime) -> RawRequest:
        raise NotImplementedError

    def ping(self) -> None:
        return None

    def forget(self) -> None:
        """Let a test begin without orders, and without the products of the tests before it."""
        self._sql('TRUNCATE "order", refund, fulfillment, history_entry CASCADE')
        ours = "deletedAt IS NULL AND sku <> ALL (%s::text[])".replace("deletedAt", '"deletedAt"')
        stay = ["A", "B", *STOCKED, *CURRENCIES]
        gone = f"""SELECT "productId" FROM product_variant WHERE {ours}"""
        self._sql(f"UPDATE product_translation SET slug = 'gone-' || id WHERE \"baseId\" IN ({gone})", stay)
        self._sql(f'UPDATE product SET "deletedAt" = now() WHERE id IN ({gone})', stay)
        self._sql(f"""UPDATE product_variant SET sku = 'gone-' || id, "deletedAt" = now() WHERE {ours}""", stay)

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


@pytest.fixture
async def peer(apart: Apart, shop: VendureShop) -> AsyncIterator[VendureRig]:
    async with fault_proxy(f"http://{shop.allowed}") as proxy:
        rig = VendureRig(apart, shop, proxy)
        rig.forget()
        yield rig


def varied(code: str, size: str, **more: Any) -> ProductPush:
    push = a_push(Vendure(), code)
    return msgspec.structs.replace(push, product="P-L-SHIRT", options={"Tamanho": size, "Cor": "Azul"}, **more)


@pytest.mark.usefixtures("here")
async def test_variants_of_one_product_are_one_product_there_with_its_options(peer: VendureRig):
    ctx = context(Vendure(), peer)
    first = await Vendure().upsert_products(ctx, [varied("L-S", "P"), varied("L-M", "M")])
    assert [type(r) for r in first] == [Ok, Ok]
    peer.proxy.fail("createProductOption(", Fault.LOST)
    with pytest.raises(Unsure):
        await Vendure().upsert_products(ctx, [varied("L-G", "G")])
    assert [type(r) for r in await Vendure().upsert_products(ctx, [varied("L-G", "G")])] == [Ok]
    rows = peer._sql(
        """SELECT v.sku, string_agg(t.name, ' ' ORDER BY t.name)
           FROM product_variant v
           JOIN product_variant_options_product_option o ON o."productVariantId" = v.id
           JOIN product_option_translation t ON t."baseId" = o."productOptionId"
           WHERE v.sku LIKE 'L-%' GROUP BY v.id ORDER BY v.sku"""
    )
    assert [row[:2] for row in rows] == [("L-G", "Azul G"), ("L-M", "Azul M"), ("L-S", "Azul P")]
    products = peer._sql("""SELECT count(DISTINCT "productId") FROM product_variant WHERE sku LIKE 'L-%'""")
    # Of this product: others of the kit have such an option, too.
    options = peer._sql(
        """SELECT count(*) FROM product_option o JOIN product_option_translation t ON t."baseId" = o.id
           WHERE t.name = 'G' AND o."groupId" IN (
               SELECT own."groupId" FROM product_option own
               JOIN product_variant_options_product_option j ON j."productOptionId" = own.id
               JOIN product_variant v ON v.id = j."productVariantId" WHERE v.sku LIKE 'L-%')"""
    )
    assert (products, options) == ([(1,)], [(1,)])


@pytest.mark.usefixtures("here")
async def test_the_price_and_the_stock_of_what_is_there_stay_with_who_tells_them(peer: VendureRig):
    ctx = context(Vendure(), peer)
    push = a_push(Vendure(), "L-P")
    await Vendure().upsert_products(ctx, [push])
    price = """SELECT p.price FROM product_variant v JOIN product_variant_price p ON p."variantId" = v.id
               WHERE v.sku = 'L-P'"""
    assert peer._sql(price) == [(12_990,)]
    peer._sql(
        "UPDATE product_variant_price SET price = 9 WHERE \"variantId\" = (SELECT id FROM product_variant WHERE sku = 'L-P')"
    )
    await Vendure().upsert_products(ctx, [msgspec.structs.replace(push, price=1)])
    assert peer._sql(price) == [(9,)]
