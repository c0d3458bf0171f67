"""The loop with a WooCommerce that is killed and started again mid-way, its webhooks lost, doubled and out of order.

The shop is the simulator in a process of its own: what it was asked is judged by the recorded index at the end.
"""

import random
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.channel_seller import Seller
from tests.woo_seller import CODE, RetailerOn, meta_of, seller_of
from tests.woocommerce_kept import KeptShop
from tests.woocommerce_sim import KEY, SECRET, WEBHOOK_SECRET
from tests.woocommerce_spec import recorded_index

from malha.channels.connecting.receiving import Receiver
from malha.channels.contract import RawRequest
from malha.ordering import cancelling
from malha.ordering.model import CancelWish

pytestmark = pytest.mark.shared
WAITING = "SELECT kind, state FROM channel_op WHERE state <> 'done' ORDER BY 1"


class Shop:
    """The process in the words of the story."""

    key, secret, webhook_secret = KEY, SECRET, WEBHOOK_SECRET

    def __init__(self, process: KeptShop) -> None:
        self.process = process
        self.url, self.allowed = process.url, process.allowed

    async def buy(self, *wanted: tuple[str, int], **more: Any) -> str:
        bought: str = await self.process.do("sell", *wanted, **more)
        return bought

    async def product(self, sku: str) -> Any:
        return await self.process.do("by_sku", sku)

    async def order(self, id_: str) -> Any:
        return await self.process.do("shown", "orders", int(id_))

    async def notes(self, id_: str) -> list[str]:
        return [note["note"] for note in await self.process.do("shown", "notes", int(id_))]

    async def refunds_of(self, id_: str) -> list[Any]:
        found: list[Any] = await self.process.do("shown", "refunds", int(id_))
        return found

    async def hook(self, id_: str, topic: str = "order.updated") -> RawRequest:
        headers, body = await self.process.do("sent_of", id_, topic)
        return RawRequest("POST", f"https://malha.example/in/{CODE}", headers, body.encode())


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    """A shop that sells A and B; its clock is a minute behind, so that every second is over."""
    index = recorded_index()
    process = KeptShop(tmp_path)
    await process.start()
    try:
        await process.do("set_clock", int(time.time()) - 60, 60)
        await process.do("offer", "A", "99.00")
        await process.do("offer", "B", "45.50")
        yield Shop(process)
        asked = await process.do("questions")
        assert {flaw for method, target, body in asked for flaw in index.flaws(method, target, body.encode())} == set()
    finally:
        await process.close()


@pytest.fixture
async def seller(shop: Shop, template_url: str, retailer_on: RetailerOn, tmp_path: Path) -> AsyncIterator[Seller]:
    async with seller_of(shop, template_url, retailer_on, tmp_path) as made:
        yield made


async def agreed(seller: Seller) -> None:
    """Nothing waits, and both sides say the same of the day's orders."""
    await seller.go()
    assert await seller.rows(WAITING) == []
    assert await seller.rows("SELECT entity, state FROM channel_inbox WHERE state NOT IN ('done', 'stale')") == []
    assert await seller.differing() == []


@pytest.mark.parametrize("after", [False, True], ids=["before it did it", "before it said so"])
async def test_the_shop_is_killed_at_each_step_of_the_loop_and_comes_back_with_no_difference(
    seller: Seller, shop: Shop, after: bool
):
    async def killed_at(method: str) -> None:
        """Have the next such request kill the shop; what was asked waits, and it is started again."""
        await shop.process.do("die_at", method, after)
        await seller.go(2)
        await shop.process.died()
        assert await seller.rows(WAITING) != [] or method == "GET"
        await seller.go(2)  # it is away: nothing is given up
        assert await seller.rows("SELECT count(*) FROM channel_op WHERE state = 'dead'") == [(0,)]
        await shop.process.start()

    await killed_at("POST")  # prices and stock
    await agreed(seller)
    assert [(await shop.product(sku))["stock_quantity"] for sku in ("A", "B")] == [40, 30]

    bought = await shop.buy(("A", 3), ("B", 2))
    await killed_at("GET")
    await agreed(seller)
    order_id = await seller.ours(bought)
    assert await seller.rows("SELECT external_id, status FROM sales_order") == [(bought, "allocated")]

    async with seller.database.transaction() as tx:
        await cancelling.cancel(tx, order_id, reason="damaged", wishes=[CancelWish(1, 1)])
    await killed_at("POST")  # the refund of no money that takes a unit off the order
    await agreed(seller)
    (refund,) = await shop.refunds_of(bought)
    assert [line["quantity"] for line in refund["line_items"]] == [-1], "once, whatever became of the first try"
    assert (await shop.product("A"))["stock_quantity"] == 38

    await seller.send(order_id, "BR123456789BR")
    await killed_at("PUT")
    await agreed(seller)
    told = await shop.order(bought)
    assert told["status"] == "completed"
    (tracked,) = meta_of(told)["_wc_shipment_tracking_items"]
    assert tracked["tracking_number"] == "BR123456789BR"
    assert len([note for note in await shop.notes(bought) if "BR123456789BR #" in note]) == 1


@pytest.mark.parametrize("seed", range(2))
async def test_webhooks_are_lost_doubled_and_out_of_order_while_the_shop_dies_and_nothing_differs(
    seller: Seller, shop: Shop, seed: int
):
    chance = random.Random(seed)
    receiver = Receiver(seller.database, seller.runtime.keys)
    await seller.go()
    hooks: list[RawRequest] = []
    bought: list[str] = []
    cancelled: set[str] = set()

    async def deliver() -> None:
        """Of what the shop sent so far some is lost for ever, some comes twice, an old one may come after a newer."""
        late = chance.sample(hooks, chance.randint(0, len(hooks)))
        for hook in late + chance.sample(late, len(late) // 2):
            await receiver.receive(CODE, hook)

    for _turn in range(6):
        for _ in range(2):
            id_ = await shop.buy((chance.choice("AB"), chance.randint(1, 2)))
            bought.append(id_)
            hooks.append(await shop.hook(id_, "order.created"))
        touched = chance.choice([each for each in bought if each not in cancelled])
        if chance.random() < 0.4:
            cancelled.add(touched)
            await shop.process.do("touch", touched, status="cancelled")
            await shop.process.do("_take", int(touched), 1)
        else:
            await shop.process.do("touch", touched, customer_note=f"nota {chance.random()}")
        hooks.append(await shop.hook(touched))
        await deliver()
        if chance.random() < 0.7:
            await shop.process.kill()
            await seller.go(1)
            await deliver()  # what was on its way arrives all the same
            await seller.go(1)
            await shop.process.start()
        await seller.go(chance.randint(0, 2))
    await agreed(seller)
    await deliver()
    await agreed(seller)
    ours = dict(await seller.rows("SELECT external_id, status FROM sales_order"))
    assert {id_: ours.get(id_) for id_ in bought if id_ not in cancelled} == {
        id_: "allocated" for id_ in bought if id_ not in cancelled
    }, "each once, as it is there"
    # What was cancelled before anybody here heard of it is no order, and a late word of how it was makes it none.
    assert {ours.get(id_, "cancelled") for id_ in cancelled} <= {"cancelled"}
    assert ours.keys() <= set(bought)
    for sku, stock in (("A", 40), ("B", 30)):
        left = (
            "SELECT coalesce(sum(u.quantity), 0)::int FROM order_unit u JOIN variant v ON v.id = u.sku_id"
            " WHERE v.sku = %s AND u.state <> 'cancelled'"
        )
        ((sold,),) = await seller.rows(left, sku)
        assert (await shop.product(sku))["stock_quantity"] == stock - sold
