"""The whole way with a WooCommerce shop: stock, an order by webhook, a cancel, a parcel, a refund, and no difference.

The shop is the simulator; each request to it is judged by the recorded index of WooCommerce 9.4.1.
"""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.channel_seller import Seller
from tests.woo_seller import CODE, RetailerOn, seller_of, story
from tests.woocommerce_sim import KEY, SECRET, WEBHOOK_SECRET, WooSim
from tests.woocommerce_spec import watched_sim

from malha.catalog import service as catalog
from malha.catalog.model import MediaDraft, ProductDraft, VariantDraft
from malha.channels.connecting import doctor
from malha.channels.connecting.errors import NotProved
from malha.channels.connecting.receiving import Receiver
from malha.channels.contract import RawRequest
from malha.channels.feeds.model import Mapped, Origin
from malha.channels.listings import service as listings
from malha.channels.listings.model import Status
from malha.ordering import cancelling

pytestmark = pytest.mark.shared


class SimShop:
    """The simulator in the words of the story; its clock is a minute behind, so that every second is over."""

    key, secret, webhook_secret = KEY, SECRET, WEBHOOK_SECRET

    def __init__(self, sim: WooSim) -> None:
        self.sim = sim
        self.url, self.allowed = sim.url, sim.allowed
        sim.clock, sim.ahead = int(time.time()) - 60, 60
        sim.offer("A", "99.00")
        sim.offer("B", "45.50")

    async def buy(self, *wanted: tuple[str, int]) -> str:
        return self.sim.sell(*wanted)

    async def product(self, sku: str) -> Any:
        return self.sim.by_sku(sku)

    async def order(self, id_: str) -> Any:
        return self.sim.orders[int(id_)]

    async def notes(self, id_: str) -> list[str]:
        return [note["note"] for note in self.sim.notes[int(id_)]]

    async def refunds_of(self, id_: str) -> list[Any]:
        return self.sim.refunds[int(id_)]

    def told(self, id_: str, topic: str = "order.updated", secret: str = WEBHOOK_SECRET) -> RawRequest:
        return RawRequest("POST", f"https://malha.example/in/{CODE}", *self.sim.hook(id_, topic, secret))


@pytest.fixture
async def shop() -> AsyncIterator[SimShop]:
    async with watched_sim() as sim:
        yield SimShop(sim)


@pytest.fixture
async def seller(shop: SimShop, template_url: str, retailer_on: RetailerOn, tmp_path: Path) -> AsyncIterator[Seller]:
    async with seller_of(shop, template_url, retailer_on, tmp_path) as made:
        yield made


async def test_product_stock_order_cancel_parcel_refund_and_no_difference(seller: Seller, shop: SimShop):
    await story(seller, shop)
    hook = {"id": 9, "topic": "order.updated", "delivery_url": f"https://malha.example/in/{CODE}"}
    for status, sound in (("disabled", False), ("active", True)):
        shop.sim.hooks = [{**hook, "status": status}]
        found = {finding.check: finding for finding in await doctor.examine(seller.runtime, CODE)}
        assert (found["check"].ok, all(finding.ok for finding in found.values())) == (sound, sound)
        assert ("9 (order.updated) is disabled" in found["check"].text("en")) != sound
        assert ("os pedidos só vêm pela leitura" in found["check"].text("pt-BR")) != sound


async def test_webhooks_bring_an_order_once_and_nobody_elses_brings_any(seller: Seller, shop: SimShop):
    receiver = Receiver(seller.database, seller.runtime.keys)
    ping = RawRequest("POST", f"https://malha.example/in/{CODE}", {}, b"webhook_id=3")
    assert await receiver.receive(CODE, ping) == 0
    bought = await shop.buy(("A", 1))
    with pytest.raises(NotProved):
        await receiver.receive(CODE, shop.told(bought, secret="of somebody else"))
    assert await seller.rows("SELECT count(*) FROM channel_inbox") == [(0,)], "neither is kept"
    created = shop.told(bought, "order.created")
    assert [await receiver.receive(CODE, created) for _ in range(5)] == [1, 0, 0, 0, 0]
    shop.sim.touch(bought, customer_note="depressa")
    assert await receiver.receive(CODE, shop.told(bought)) == 1
    await receiver.receive(CODE, created)  # the older one comes again, last
    await seller.go()
    assert await seller.rows("SELECT external_id, status FROM sales_order") == [(bought, "allocated")]
    assert await seller.differing() == []


async def test_what_the_shop_cancels_is_cancelled_and_what_it_completes_a_person_sees(seller: Seller, shop: SimShop):
    cancelled, completed, plugin = [await shop.buy(("A", 1)) for _ in range(3)]
    awaited = shop.sim.sell(("A", 1), status="on-hold", paid=False)
    await seller.go()
    told = dict(await seller.rows("SELECT external_id, status FROM sales_order"))
    assert told == {cancelled: "allocated", completed: "allocated", plugin: "allocated", awaited: "awaiting_payment"}
    shop.sim.touch(cancelled, status="cancelled")
    shop.sim.touch(completed, status="completed")
    shop.sim.touch(plugin, status="em-separacao")
    shop.sim.touch(awaited, status="processing", date_paid_gmt=shop.sim.orders[int(awaited)]["date_created_gmt"])
    await seller.go()
    told = dict(await seller.rows("SELECT external_id, status FROM sales_order"))
    assert told == {cancelled: "cancelled", completed: "allocated", plugin: "allocated", awaited: "allocated"}
    parked = await seller.rows("SELECT entity, cause FROM channel_inbox WHERE state = 'parked' ORDER BY 1")
    assert parked == sorted((f"order:{id_}", "unknown_status") for id_ in (completed, plugin))


async def test_what_staff_cancel_and_give_back_in_the_shop_is_recorded_here_once(seller: Seller, shop: SimShop):
    bought = await shop.buy(("A", 3), ("B", 1))
    await seller.go()
    order = shop.sim.orders[int(bought)]
    line = {"id": order["line_items"][0]["id"], "quantity": 1, "refund_total": "99.00"}
    shop.sim.refund(order, {"amount": "99.00", "reason": "faltou", "api_refund": False, "line_items": [line]})
    for _ in range(2):
        await seller.go()
        assert await seller.differing() == []
        gone = "SELECT sum(quantity)::int FROM order_unit WHERE state = 'cancelled'"
        back = "SELECT amount FROM payment_entry WHERE kind = 'refunded'"
        assert (await seller.rows(gone), await seller.rows(back)) == ([(1,)], [(9_900,)])
    assert await seller.rows("SELECT kind FROM channel_op WHERE kind IN ('cancel', 'refund')") == []

    sent_there = shop.sim.sell(("A", 1), meta_data=[{"key": "_correios_tracking_code", "value": "AA123456789BR"}])
    await seller.go()
    assert await seller.rows("SELECT entity, cause FROM channel_inbox WHERE state = 'parked'") == [
        (f"order:{sent_there}", "refused")
    ]


async def test_a_listing_reaches_the_shop_whole_and_what_it_refuses_stands_beside_its_field(
    seller: Seller, shop: SimShop
):
    pictures = [f"https://cdn.example/{name}.jpg" for name in ("frente", "costas")]
    shirt = ProductDraft(
        code="A", name="Camiseta", brand="Alfa", description="Algodão.\n\nLava à máquina.", attributes={"Composição": "Algodão"},
        variants=[VariantDraft(sku="A", name="Camiseta", price=9_900, weight_grams=250)],
        media=[MediaDraft(url=url) for url in pictures],
    )  # fmt: skip
    mapping = [
        Mapped(target="categories", origin=Origin.CONSTANT, value="Roupas > Camisetas"),
        Mapped(target="tags", origin=Origin.ATTRIBUTE, value="Composição"),
    ]
    shop.sim.broken.add(pictures[1])
    async with seller.database.transaction() as tx:
        await catalog.put_products(tx, [shirt])
        await listings.put_mapping(tx, CODE, mapping, 0)
        await listings.publish(tx, CODE, ["A"])
    await seller.go()
    row = shop.sim.said_of(shop.sim.by_sku("A"))
    assert (row["name"], row["description"]) == ("Camiseta", "<p>Algodão.</p><p>Lava à máquina.</p>")
    assert [[each["name"] for each in row[kind]] for kind in ("brands", "tags", "attributes")] == [
        ["Alfa"], ["Algodão"], ["Composição"]
    ]  # fmt: skip
    assert ("Camisetas", row["weight"], len(row["images"])) == (row["categories"][-1]["name"], "0.25", 1)
    async with seller.database.transaction() as tx:
        listing = (await listings.listing_of(tx, CODE, "A"))[1]
    assert (listing.goods.status, [error.field for error in listing.goods.errors]) == (Status.REJECTED, ["images"])

    shop.sim.broken.clear()
    shop.sim.by_sku("A")["tags"].append({"id": shop.sim.term("tags", "liquidação")})
    async with seller.database.transaction() as tx:
        await catalog.put_products(tx, [msgspec.structs.replace(shirt, name="Camiseta lisa", attributes={})])
    await listings.offer(seller.database)
    await seller.go()
    row = shop.sim.said_of(shop.sim.by_sku("A"))
    assert [shop.sim.pictures[image["id"]] for image in row["images"]] == pictures
    assert ([each["name"] for each in row["tags"]], row["attributes"]) == (["liquidação"], [])
    async with seller.database.transaction() as tx:
        assert (await listings.listing_of(tx, CODE, "A"))[1].goods.status is Status.LIVE
        await listings.end(tx, CODE, ["A"])
    await seller.go()
    assert shop.sim.by_sku("A")["status"] == "draft"


async def test_what_was_never_told_is_found_and_what_the_shop_lost_waits_for_a_person(seller: Seller, shop: SimShop):
    await seller.go()
    lost = shop.sim.sell(("B", 2), date_modified_gmt="2020-01-01T00:00:00")  # behind where reading is
    await seller.go()
    assert await seller.rows("SELECT count(*) FROM sales_order") == [(0,)]
    assert await seller.differing() != []
    await seller.go()
    assert await seller.rows("SELECT external_id FROM sales_order") == [(lost,)]
    assert await seller.differing() == []

    del shop.sim.orders[int(lost)]
    async with seller.database.transaction() as tx:
        await cancelling.cancel(tx, await seller.ours(lost), reason="damaged")
    await seller.go()
    assert await seller.rows("SELECT state, cause FROM channel_op WHERE kind = 'cancel'") == [("dead", "missing")]
