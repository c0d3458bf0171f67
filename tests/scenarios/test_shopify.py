"""The whole way with a Shopify shop: products, stock, orders by message and by reading, parcels, cancels, refunds, no difference.

Malha is the real thing on PostgreSQL; the shop executes Shopify's own schema and is examined apart at the end.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.channel_seller import RetailerOn, Seller, connected
from tests.fault_proxy import FaultProxy, fault_proxy
from tests.shopify_answers import DOMAIN, Root
from tests.shopify_artefacts import need_artefacts, webhook_example
from tests.shopify_invariants import examine_shop
from tests.shopify_shop import CLIENT_SECRET, TOKEN, Shop, shopify_shop
from tests.shopify_state import Order, Transaction

from malha.channels.connecting import following, inbox, service
from malha.channels.connecting.errors import NotProved, WebhookUnreadable
from malha.channels.connecting.model import ConnectionDraft
from malha.channels.connecting.receiving import Receiver
from malha.channels.contract import RateLimited, RawRequest
from malha.fulfillment import service as fulfillment
from malha.fulfillment.model import RejectReason
from malha.intake.gate import Gate
from malha.ordering import cancelling
from malha.ordering.model import CancelWish
from malha.platform.db import Database
from malha.platform.settings import Settings
from malha.testing.connectors import Fault

CODE = "shopify"


class ShopifySeller(Seller):
    """A retailer on Malha who sells A and B in a Shopify shop."""

    def __init__(self, database: Database, settings: Settings, gate: Gate, shop: Shop, proxy: FaultProxy) -> None:
        super().__init__(database, settings, gate, CODE, timeout_s=5.0)
        self.shop = shop
        self.proxy = proxy
        self.receiver = Receiver(database, self.runtime.keys)
        self._events = 0

    async def go_on(self) -> None:
        """Do it again and again, as where something fails once."""
        for _ in range(4):
            await self.go()

    async def hear(self) -> None:
        """Handle what came in, without reading anything."""
        while await inbox.work(self.runtime, self.gate):
            pass

    def message(self, order: Order, topic: str = "orders/updated", **how: Any) -> RawRequest:
        """What Shopify posts of an order: a new event."""
        self._events += 1
        body = {**webhook_example("2026-07", topic), "id": order.id}
        return self.posted(topic, body, **{"event": f"e{self._events}", **how})

    def posted(self, topic: str, body: Any, **how: Any) -> RawRequest:
        head, raw = self.shop.webhook(topic, body, **how)
        return RawRequest("POST", f"https://oms.example/in/{CODE}", {k.lower(): v for k, v in head.items()}, raw)

    async def ours(self, external_id: Order) -> Any:
        return await super().ours(str(external_id.id))

    async def payments(self) -> list[tuple[Any, ...]]:
        """What the orders are paid with, and what happened on each."""
        return await self.rows(
            """SELECT t.kind, t.amount, array(SELECT e.kind FROM payment_entry e WHERE e.tender_id = t.id ORDER BY e.recorded_at)
               FROM tender t ORDER BY t.position"""
        )

    def sellable(self) -> list[int]:
        return [self.shop.variant(sku).available[11] for sku in ("A", "B")]


@pytest.fixture
async def seller(
    template_url: str,
    retailer_on: RetailerOn,
    tmp_path: Path,
) -> AsyncIterator[ShopifySeller]:
    need_artefacts()
    async with (
        shopify_shop() as shop,
        fault_proxy(f"http://{shop.allowed}") as proxy,
    ):
        shop.now = datetime.now(UTC).replace(microsecond=0)
        for sku in ("A", "B"):
            shop.list(sku, "10.00")
        draft = ConnectionDraft(
            code=CODE,
            name="Shopify",
            connector="shopify",
            channel="web",
            config={
                "shop": DOMAIN,
                "location": "11",
                "locations": {"DC": "11", "S1": "12"},
                "address": f"http://{proxy.allowed}",
                "page": 2,
            },
            secrets={"access_token": TOKEN, "webhook_secret": CLIENT_SECRET},
        )
        async with connected(
            partial(ShopifySeller, shop=shop, proxy=proxy),
            draft,
            template_url,
            retailer_on,
            tmp_path,
            allowed=proxy.allowed,
            methods=[("payment", "cartao", "credit_card")],
            stock={"A": {"DC": 40}, "B": {"DC": 30, "S1": 5}},
        ) as made:
            yield made
        assert examine_shop(shop) == []


async def test_product_stock_order_parcel_cancel_refund_and_no_difference(seller: ShopifySeller):
    shop = seller.shop
    async with seller.database.transaction() as tx:
        line = seller.runtime.line(await service.connection_of(tx, CODE))
    assert (await line.call(lambda: line.connector.check(line.ctx))).ok
    await seller.go()
    assert seller.sellable() == [40, 35]
    assert [str(shop.variant(sku).price) for sku in ("A", "B")] == ["10.00", "10.00"], "prices are Malha's"

    # The message comes three times, then once more under another topic: one order. The other's is lost: it is read.
    first = shop.sell(("A", 3), ("B", 2))
    told = seller.message(first, "orders/create", event="born")
    assert [await seller.receiver.receive(CODE, told) for _ in range(3)] == [1, 0, 0]
    assert await seller.receiver.receive(CODE, seller.message(first, event="born")) == 0
    await seller.hear()
    assert await seller.rows("SELECT status, total FROM sales_order") == [("allocated", 5 * 1_000 + 1_500)]
    lost = shop.sell(("A", 1))
    await seller.go()
    assert await seller.rows("SELECT count(*) FROM sales_order") == [(2,)]
    assert seller.sellable() == [36, 33]
    assert shop.variant("A").committed[11] == 4, "what Shopify set apart for its orders is beside what may be sold"

    order_id = await seller.ours(first)
    async with seller.database.transaction() as tx:
        await cancelling.cancel(tx, order_id, reason="damaged", wishes=[CancelWish(1, 1)])
    await seller.go()
    assert [line.removed for line in first.lines] == [1, 0]
    assert first.refunds[0].note.startswith("damaged #")

    await seller.send(order_id, "BR123456789BR")
    await seller.go()
    ((parcel),) = first.fulfillments
    assert (parcel.tracking, parcel.company, parcel.location) == ("BR123456789BR", "Correios", 11)
    assert sum(units for _, units in parcel.lines) == 4
    assert first.fulfillment == "FULFILLED"

    ((payment,),) = await seller.rows("SELECT reference FROM tender WHERE order_id = %s::uuid", order_id)
    for _ in range(2):  # the same reference is the same refund
        async with seller.database.transaction() as tx:
            await following.ask_refund(tx, CODE, order_id, payment, 1_000, "damaged one")
        await seller.go()
    assert first.back == Decimal("10.00")

    async with seller.database.transaction() as tx:
        await cancelling.cancel(tx, await seller.ours(lost), reason="no stock")
    await seller.go()
    assert lost.cancelled is not None
    # Messages about all of it, the last first and an old one again, change nothing more.
    for topic, order in (("orders/cancelled", lost), ("orders/fulfilled", first), ("orders/create", first)):
        await seller.receiver.receive(CODE, seller.message(order, topic))
    await seller.go()
    assert await seller.differing(first.created) == []
    assert await seller.rows("SELECT DISTINCT state FROM channel_op") == [("done",)]
    assert await seller.rows("SELECT id FROM channel_inbox WHERE state IN ('parked', 'unmapped', 'waiting')") == []
    assert seller.sellable() == [38, 33]


async def test_whatever_answer_is_lost_each_thing_is_there_once(seller: ShopifySeller):
    shop = seller.shop
    await seller.go()
    sent, stopped, paid = shop.sell(("A", 2)), shop.sell(("B", 1)), shop.sell(("A", 1), ("B", 1))
    for marker in ("query ReadOrders", "inventorySetQuantities"):
        seller.proxy.fail(marker, Fault.LOST)
    await seller.go_on()
    assert await seller.rows("SELECT count(*) FROM sales_order WHERE status = 'allocated'") == [(3,)]
    for marker in ("fulfillmentCreate", "orderCancel(", "refundCreate", "inventorySetQuantities"):
        seller.proxy.fail(marker, Fault.LOST)
    await seller.send(await seller.ours(sent), "T1")
    async with seller.database.transaction() as tx:
        await cancelling.cancel(tx, await seller.ours(stopped), reason="no stock")
        await cancelling.cancel(tx, await seller.ours(paid), reason="damaged", wishes=[CancelWish(2, 1)])
    await seller.go_on()
    assert [f.tracking for f in sent.fulfillments] == ["T1"]
    assert shop.cancels == [stopped.id]
    assert [line.removed for line in paid.lines] == [0, 1]
    assert await seller.rows("SELECT DISTINCT state FROM channel_op") == [("done",)]
    assert await seller.differing(sent.created) == []
    assert seller.sellable() == [37, 35]


async def test_a_shop_that_gives_few_points_is_asked_slowly_and_nothing_is_missing(seller: ShopifySeller):
    shop = seller.shop
    bought = [shop.sell(("A", 1)) for _ in range(15)]
    shop.points, shop.most_points, shop.restore = 1_000.0, 1_000.0, 400.0
    shop.drained = True
    for _ in range(100):
        await seller.go(1)
        if await seller.rows("SELECT count(*) FROM sales_order WHERE status = 'allocated'") == [(15,)]:
            break
        await asyncio.sleep(0.1)
    shop.points = shop.most_points = 1_000_000.0
    await seller.go_on()
    assert shop.throttled > 0, "it was told to wait"
    assert await seller.rows("SELECT count(*) FROM sales_order WHERE status = 'allocated'") == [(15,)]
    assert await seller.differing(bought[0].created) == []
    assert seller.sellable() == [25, 35]


async def test_what_a_shop_says_is_left_slows_all_workers_of_the_connection(seller: ShopifySeller):
    seller.shop.points = seller.shop.most_points = 180.0
    seller.shop.restore = 0.0
    async with seller.database.transaction() as tx:
        line = seller.runtime.line(await service.connection_of(tx, CODE))
    await line.call(lambda: line.connector.check(line.ctx))
    ((tokens,),) = await seller.rows("SELECT (bucket ->> 'tokens')::float FROM connection_pace")
    assert tokens < 1, "what one request cost does not fit a second time"
    with pytest.raises(RateLimited):
        await line.call(lambda: line.connector.check(line.ctx))


async def test_a_parcel_from_a_shop_is_moved_there(seller: ShopifySeller):
    shop = seller.shop
    await seller.go()
    shop.stock("B", 5, 12)
    order = shop.sell(("B", 2))
    await seller.go()
    ((id_,),) = [(await seller.ours(order),)]
    async with seller.database.transaction() as tx:
        works = await fulfillment.release_order(tx, id_)
        await fulfillment.reject(tx, works[0].id, RejectReason.NOT_IN_STOCK)
    await seller.go()
    await seller.send(id_, "S-1")
    await seller.go()
    assert [(f.tracking, f.location) for f in order.fulfillments] == [("S-1", 12)]


async def test_a_message_of_another_shop_or_another_app_is_refused_though_it_is_well_made(seller: ShopifySeller):
    order = seller.shop.sell(("A", 1))
    for how in ({"shop": "other.myshopify.com"}, {"secret": "another app's"}, {"shop": ""}):
        with pytest.raises(NotProved):
            await seller.receiver.receive(CODE, seller.message(order, **how))
    with pytest.raises(WebhookUnreadable):
        await seller.receiver.receive(CODE, seller.posted("orders/updated", {"number": 1}, event="x"))
    with pytest.raises(WebhookUnreadable):
        await seller.receiver.receive(CODE, seller.posted("orders/updated", "no object", event="z"))
    assert await seller.receiver.receive(CODE, seller.posted("products/update", {"id": 1}, event="y")) == 0
    assert await seller.rows("SELECT count(*) FROM channel_inbox") == [(0,)]
    assert await seller.rows("SELECT refused FROM connection_pace") == [(3,)]


async def test_what_the_law_wants_comes_to_a_person_with_ids_only_and_stays_until_it_is_done(seller: ShopifySeller):
    for topic in ("customers/data_request", "customers/redact", "shop/redact"):
        body = {**webhook_example("2026-07", topic), "shop_domain": DOMAIN}
        sent = seller.posted(topic, body, event=f"law-{topic}")
        assert [await seller.receiver.receive(CODE, sent) for _ in range(2)] == [1, 0]
    await seller.go()
    found = await seller.rows("SELECT state, cause, error FROM channel_inbox ORDER BY id")
    assert {(state, cause) for state, cause, _ in found} == {("parked", "invalid")}
    says = [error for _, _, error in found]
    assert "191167" in says[0]
    assert "299938" in says[1]
    assert "@" not in " ".join(says)


async def test_what_is_held_goes_on_by_itself_and_what_the_till_sold_waits(seller: ShopifySeller):
    shop = seller.shop
    held, till = shop.sell(("A", 1), hold=True), shop.sell(("A", 1), source="pos")
    await seller.go()
    assert await seller.rows("SELECT count(*) FROM sales_order") == [(0,)]
    found = dict(await seller.rows("SELECT entity, error FROM channel_inbox WHERE state = 'parked'"))
    assert "ON_HOLD" in found[f"order:{held.id}"]
    assert "point of sale" in found[f"order:{till.id}"]
    held.works[0].status = "OPEN"
    shop.touch(held)
    await seller.go()
    assert await seller.rows("SELECT external_id, status FROM sales_order") == [(str(held.id), "allocated")]
    left = await seller.rows("SELECT entity FROM channel_inbox WHERE state = 'parked'")
    assert left == [(f"order:{till.id}",)]


async def test_what_was_sent_before_it_came_here_is_not_sent_again(seller: ShopifySeller):
    shop = seller.shop
    old, new = shop.sell(("A", 2)), shop.sell(("A", 1))
    by_hand = {
        "lineItemsByFulfillmentOrder": [
            {
                "fulfillmentOrderId": f"gid://shopify/FulfillmentOrder/{old.works[0].id}",
                "fulfillmentOrderLineItems": [
                    {"id": f"gid://shopify/FulfillmentOrderLineItem/{old.works[0].lines[0][0]}", "quantity": 1}
                ],
            }
        ]
    }
    Root(shop).fulfillmentCreate(None, by_hand)
    await seller.go()
    assert await seller.rows("SELECT external_id FROM sales_order") == [(str(new.id),)]
    ((entity, error),) = await seller.rows("SELECT entity, error FROM channel_inbox WHERE state = 'parked'")
    assert entity == f"order:{old.id}"
    assert "left before it came here" in error
    # What left from here is no surprise: it is taken for what it is when it is read again.
    await seller.send(await seller.ours(new), "N1")
    await seller.go()
    shop.touch(new)
    await seller.go()
    assert await seller.rows("SELECT count(*) FROM channel_inbox WHERE state = 'parked'") == [(1,)]


async def test_an_order_that_is_to_be_paid_waits_and_a_payment_lets_it_go(seller: ShopifySeller):
    shop = seller.shop
    order = shop.sell(("A", 1), pay="", attributes={"CPF": "529.982.247-25"})
    await seller.go()
    async with seller.database.transaction() as tx:
        await service.put_method(tx, CODE, "payment", "pending", "prepaid")
    await seller.go()
    before = await seller.payments()
    order.transactions.append(Transaction(shop.next_id(), "SALE", order.total, at=shop.now))
    shop.touch(order)
    await seller.receiver.receive(CODE, seller.message(order, "orders/paid"))
    await seller.go()
    for _ in range(2):  # said again, it is recorded once
        shop.touch(order)
        await seller.go()
    assert before == [("prepaid", 2_500, [])]
    assert await seller.payments() == [("prepaid", 2_500, ["declined"]), ("credit_card", 2_500, ["captured"])]
    ((document,),) = await seller.rows("SELECT buyer_document FROM sales_order")
    assert document == "52998224725"
    assert await seller.rows("SELECT id FROM channel_inbox WHERE state IN ('parked', 'waiting')") == []
