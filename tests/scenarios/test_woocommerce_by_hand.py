"""The whole way with the real WooCommerce: the story, and what it calls us with. By hand."""

import asyncio
import html
import struct
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.channel_seller import Seller
from tests.woo_seller import CODE, RetailerOn, seller_of, story
from tests.woocommerce_shop import WooShop, need_woocommerce, woocommerce_shop

from malha.channels.connecting.receiving import Receiver
from malha.channels.contract import Ok, ProductPush, RawRequest, Rejected
from malha.testing.peers import read_request, write_answer

SETTLED_S = 11.0  # until a second is over for the connector


@pytest.fixture(scope="module")
def here() -> None:
    need_woocommerce()


@pytest.fixture
async def shop(here: None) -> AsyncIterator[WooShop]:
    async with woocommerce_shop() as made:
        await made.offer("A", "99.00")
        await made.offer("B", "45.50")
        yield made


@pytest.fixture
async def seller(shop: WooShop, template_url: str, retailer_on: RetailerOn, tmp_path: Path) -> AsyncIterator[Seller]:
    async with seller_of(shop, template_url, retailer_on, tmp_path, refund_at_gateway=False) as made:
        yield made


@asynccontextmanager
async def ear(port: int) -> AsyncIterator[list[RawRequest]]:
    """Listen where the shop calls, and answer 200."""
    heard: list[RawRequest] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _method, _target, headers, body = await read_request(reader)
        heard.append(RawRequest("POST", f"https://malha.example/in/{CODE}", headers, body))
        await write_answer(writer, 200, b"{}")
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", port)
    try:
        yield heard
    finally:
        server.close()


async def test_product_stock_order_cancel_parcel_refund_and_no_difference(seller: Seller, shop: WooShop):
    await story(seller, shop)
    await asyncio.sleep(SETTLED_S)
    await seller.go()
    assert await seller.differing() == []
    assert await seller.rows("SELECT DISTINCT state FROM channel_inbox WHERE state NOT IN ('done', 'stale')") == []
    assert await shop.over_https("/data/currencies/current") == 200, "Basic, where a proxy took https off"

    connector, ctx = (line := seller.runtime.line(await seller.connection())).connector, line.ctx
    await shop.vary("CAMISA", "AZUL", "VERDE")
    new = ProductPush(sku="N", code="N", name="Nova", price=2_990, currency="BRL", gtin="7891000000003")
    assert [type(x).__name__ for x in await connector.upsert_products(ctx, [new, new])] == ["Ok", "Ok"]
    found, cursor = {}, None
    for _ in range(20):
        page = await connector.pull_products(ctx, cursor)
        found |= {item.sku: item for item in page.items}
        cursor = page.cursor
        if not page.more:
            break
    assert set(found) == {"A", "B", "N", "CAMISA-AZUL", "CAMISA-VERDE"}
    assert (found["N"].gtin, found["N"].price, found["CAMISA-AZUL"].name) == ("7891000000003", 2_990, "CAMISA AZUL")
    stock, cursor = {}, None
    for _ in range(20):
        told = await connector.pull_stock(ctx, cursor)
        stock |= {item.sku: item.quantity for item in told.items}
        cursor = told.cursor
        if not told.more:
            break
    assert stock == {"A": 38, "B": 28, "N": 0}


def png(grey: int) -> bytes:
    """A picture of one point."""
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes([0, grey]))),
        (b"IEND", b""),
    ]
    parts = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@asynccontextmanager
async def pictures(port: int) -> AsyncIterator[list[str]]:
    """Serve pictures but those whose name begins with `no`, and note which were fetched."""
    fetched: list[str] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        _method, target, _headers, _body = await read_request(reader)
        fetched.append(target)
        missing = target.startswith("/no")
        body = b"" if missing else png(len(fetched))
        head = f"HTTP/1.1 {'404 Not Found' if missing else '200 OK'}\r\nContent-Type: image/png\r\n"
        writer.write(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(listen, "127.0.0.1", port)
    try:
        yield fetched
    finally:
        server.close()


async def test_all_that_is_said_of_a_listing_is_there_once_and_what_people_wrote_stays(seller: Seller, shop: WooShop):
    connector, ctx = (line := seller.runtime.line(await seller.connection())).connector, line.ctx
    urls = [f"http://127.0.0.1:{shop.hook_port}/{name}.png" for name in ("a", "b", "c", "d")]
    fields = {
        "title": 'Cama & banho "1\\2" d\'água', "description": "Leve.\n\nLava < 40 °C & seca.", "short_description": "Curta",
        "brand": "Malha & Cia", "categories": "Casa & Jardim > Cama, mesa e banho|Novidades", "tags": "verão, algodão & linho",
        "images": urls,
    }  # fmt: skip
    attributes = {"Composição": "Algodão | Linho", "Cor d'água": "Azul & verde"}
    item = ProductPush(
        sku="L",
        code="L",
        name=fields["title"],
        price=2_990,
        currency="BRL",
        fields=fields,
        attributes=attributes,
        weight_grams=1_250,
        length_mm=305,
    )

    async def told(push: ProductPush) -> Any:
        (said,) = await connector.upsert_products(ctx, [push])
        assert isinstance(said, Ok), said
        (row,) = await shop.ask("GET", "/products", sku="L", context="edit")
        return row

    async with pictures(shop.hook_port) as fetched:
        row = await told(item)
        assert (row["status"], row["description"][:12], row["short_description"]) == (
            "publish",
            "<p>Leve.</p>",
            "<p>Curta</p>",
        )
        assert [html.unescape(each["name"]) for each in row["categories"]] == ["Cama, mesa e banho", "Novidades"]
        assert sorted(html.unescape(each["name"]) for each in row["tags"]) == ["algodão & linho", "verão"]
        assert [html.unescape(each["name"]) for each in row["brands"]] == ["Malha & Cia"]
        assert [(each["name"], each["visible"]) for each in row["attributes"]] == [
            ("Composição", True),
            ("Cor d'água", True),
        ]
        assert [image["alt"] for image in row["images"]] == [row["images"][0]["alt"]] * 4
        assert fetched == ["/a.png", "/b.png", "/c.png", "/d.png"]
        assert (row["weight"], row["dimensions"]["length"], row["dimensions"]["width"]) == ("1.25", "30.5", "")
        assert await told(item) == row, "the same again changes nothing, not even when it was changed last"

        sale = await shop.ask("POST", "/products/tags", {"name": "liquidação"})
        theirs = await shop.ask("PUT", f"/products/{row['id']}", {
            "tags": [*({"id": each["id"]} for each in row["tags"]), {"id": sale["id"]}],
            "attributes": [*row["attributes"], {"name": "Lavagem", "options": ["à mão"], "visible": True}],
            "images": [*({"id": each["id"]} for each in row["images"]), {"src": f"http://127.0.0.1:{shop.hook_port}/theirs.png"}],
        })  # fmt: skip
        less = {
            **fields,
            "tags": "linho",
            "categories": "Novidades",
            "images": [urls[3], urls[0]],
            "short_description": "",
        }
        changed = await told(
            msgspec.structs.replace(item, fields={k: v for k, v in less.items() if v}, attributes={"Tecido": "Linho"})
        )
        ids = [image["id"] for image in theirs["images"]]
        assert [image["id"] for image in changed["images"]] == [ids[3], ids[0], ids[4]]
        assert sorted(each["name"] for each in changed["tags"]) == ["linho", "liquidação"]
        assert [each["name"] for each in changed["categories"]] == ["Novidades"]
        assert [each["name"] for each in changed["attributes"]] == ["Lavagem", "Tecido"]
        assert (changed["short_description"], len(fetched)) == ("", 5)

        missing = f"http://127.0.0.1:{shop.hook_port}/no.png"
        bad = {**less, "images": [urls[3], missing, urls[0], urls[1]]}
        (said,) = await connector.upsert_products(ctx, [msgspec.structs.replace(item, fields=bad)])
        assert isinstance(said, Rejected)
        assert (said.field, missing in said.message) == ("images", True)
        assert len((await shop.product("L"))["images"]) == 4, "the good one came"


async def test_what_the_shop_calls_with_is_signed_and_its_ping_is_not(seller: Seller, shop: WooShop):
    receiver = Receiver(seller.database, seller.runtime.keys)
    async with ear(shop.hook_port) as heard:
        for topic in ("order.created", "order.updated", "product.updated"):
            await shop.call(topic, f"http://127.0.0.1:{shop.hook_port}/in/{CODE}")
        assert all(raw.body.startswith(b"webhook_id=") for raw in heard)
        assert {"x-wc-webhook-signature"}.isdisjoint({name for raw in heard for name in raw.headers})
        assert [await receiver.receive(CODE, raw) for raw in heard] == [0] * len(heard)
        assert heard, "a webhook that is made pings"
        heard.clear()
        bought = await shop.buy(("A", 1))
        for _ in range(5):
            await shop.work()
        topics = [raw.headers["x-wc-webhook-topic"] for raw in heard]
        assert "order.created" in topics
        kept = [await receiver.receive(CODE, raw) for raw in heard]
        assert sum(kept) >= 1
        assert [await receiver.receive(CODE, raw) for raw in heard] == [0] * len(heard), "again, they are known"
    await seller.go()
    assert await seller.rows("SELECT external_id FROM sales_order") == [(bought,)]
    line = seller.runtime.line(await seller.connection())
    health = await line.connector.check(line.ctx)
    assert health.ok
    assert "order.created active" in health.facts["webhooks"]
