"""The whole way with a real Vendure: products, stock, a shopper's order, a parcel, a cancel, a refund, and no difference.

Both sides are the real thing: Vendure answers over HTTP from a database of its own, Malha places, allocates and ships.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from tests.channel_seller import RetailerOn, Seller, connected
from tests.vendure_shop import VendureShop, need_vendure, vendure_shop

from malha.channels.connecting import following, service
from malha.channels.connecting.model import ConnectionDraft
from malha.channels.contract import AuthExpired
from malha.ordering import cancelling
from malha.ordering.model import CancelWish

CODE = "vendure"


@pytest.fixture(scope="module")
def here() -> None:
    need_vendure()


@pytest.fixture
async def shop(here: None, template_url: str) -> AsyncIterator[VendureShop]:
    async with vendure_shop(template_url) as made:
        yield made


REFUNDS = "SELECT amount, actor FROM payment_entry WHERE kind = 'refunded' ORDER BY amount"
CANCELLED = """
SELECT l.sku_text, sum(u.quantity)::int FROM order_unit u JOIN order_line l ON l.order_id = u.order_id AND l.line = u.line
WHERE u.state = 'cancelled' GROUP BY 1
"""


@pytest.fixture
async def seller(
    shop: VendureShop, template_url: str, retailer_on: RetailerOn, tmp_path: Path
) -> AsyncIterator[Seller]:
    draft = ConnectionDraft(
        code=CODE,
        name="Vendure",
        connector="vendure",
        channel="web",
        config={"base_url": shop.admin_url, "page": 2},
        secrets={"api_key": shop.api_key},
    )
    methods = [("payment", "cartao", "credit_card")]
    async with connected(
        partial(Seller, code=CODE), draft, template_url, retailer_on, tmp_path, allowed=shop.allowed, methods=methods
    ) as made:
        yield made


async def test_product_stock_order_parcel_cancel_refund_and_no_difference(seller: Seller, shop: VendureShop):
    line = seller.runtime.line(await seller.connection())
    assert (await line.connector.check(line.ctx)).ok
    await seller.go()
    assert [await shop.stock(sku) for sku in ("A", "B")] == [(40, 0), (30, 0)]
    assert [await shop.price(sku) for sku in ("A", "B")] == [1_000, 1_000], "prices are Malha's"

    bought = await shop.buy(("A", 3), ("B", 2))
    await seller.go()
    order_id = await seller.ours(bought)
    assert await seller.rows("SELECT status, total FROM sales_order") == [("allocated", 5 * 1_000 + 1_500)]
    # What Vendure allocated for its own order is on top of what may be sold.
    assert [await shop.stock(sku) for sku in ("A", "B")] == [(40, 3), (30, 2)]

    async with seller.database.transaction() as tx:
        await cancelling.cancel(tx, order_id, reason="damaged", wishes=[CancelWish(1, 1)])
    await seller.go()
    assert sorted(x["quantity"] for x in (await shop.order(bought))["lines"]) == [2, 2]
    assert await shop.stock("A") == (40, 2)

    await seller.send(order_id, "BR123456789BR")
    await seller.go()
    told = await shop.order(bought)
    assert told["state"] == "Shipped"
    ((parcel),) = told["fulfillments"]
    assert (parcel["state"], parcel["trackingCode"]) == ("Shipped", "BR123456789BR")
    assert parcel["method"].startswith("Correios #")
    assert [await shop.stock(sku) for sku in ("A", "B")] == [(38, 0), (28, 0)]

    ((payment,),) = await seller.rows("SELECT reference FROM tender")
    for _ in range(2):  # the same reference is the same refund
        async with seller.database.transaction() as tx:
            await following.ask_refund(tx, CODE, order_id, payment, 1_000, "damaged one")
        await seller.go()
    (paid,) = (await shop.order(bought))["payments"]
    assert [refund["total"] for refund in paid["refunds"]] == [1_000]
    assert await seller.rows(REFUNDS) == [], "it is asked for, and nobody says yet that it went"
    await shop.settle_refunds(bought)
    assert await seller.differing() == [f"~{bought}"], "Vendure's order is not touched by it: comparing shows it"
    await seller.go()
    assert await seller.rows(REFUNDS) == [(1_000, f"connection:{CODE}")]

    assert await seller.differing() == []
    assert await seller.rows("SELECT DISTINCT state FROM channel_op") == [("done",)]


async def test_what_is_cancelled_and_given_back_in_the_shop_is_recorded_here_once(seller: Seller, shop: VendureShop):
    bought = await shop.buy(("A", 3), ("B", 2))
    await seller.go()
    order_id = await seller.ours(bought)
    await shop.cancel(bought, "A", 1)
    await shop.refund(bought, 1_000)
    for _ in range(2):
        await seller.go()
        await seller.differing()
        await seller.go()
        assert await seller.rows(CANCELLED) == [("A", 1)]
        assert await seller.rows(REFUNDS) == [(1_000, f"connection:{CODE}")]
    assert await seller.rows("SELECT kind FROM channel_op WHERE kind <> 'set_price'") == [], "it is not told back"
    assert await seller.differing() == []

    await seller.send(order_id, "BR1")
    await seller.go()
    await shop.cancel(bought, "B", 1)  # it left: that is for a person, and the money is recorded all the same
    await shop.refund(bought, 500)
    await seller.go()
    await seller.differing()
    await seller.go()
    ((cause, error),) = await seller.rows("SELECT cause, error FROM channel_inbox WHERE state = 'parked'")
    assert (cause, "have already left" in error) == ("left", True)
    assert [amount for amount, _ in await seller.rows(REFUNDS)] == [500, 1_000]


async def test_the_shop_is_killed_before_and_after_it_was_told(seller: Seller, shop: VendureShop):
    first, second = await shop.buy(("A", 1)), await shop.buy(("B", 1))
    await seller.go()
    await shop.kill()
    for bought, tracking in ((first, "T1"), (second, "T2")):
        await seller.send(await seller.ours(bought), tracking)
    await seller.go(2)
    assert await seller.rows("SELECT DISTINCT state FROM channel_op WHERE kind = 'push_shipment'") == [("waiting",)]
    await shop.start()
    await seller.go()
    assert [x["trackingCode"] for x in (await shop.order(first))["fulfillments"]] == ["T1"]

    # It did what it was asked and died before it said so: what nobody knows is looked up.
    async with seller.database.transaction() as tx:
        await tx.execute(
            "UPDATE channel_op SET state = 'waiting', sending = true, doubtful = true, not_before = now(),"
            " taken_until = NULL, done_at = NULL WHERE kind = 'push_shipment'"
        )
    await seller.go()
    for bought, tracking in ((first, "T1"), (second, "T2")):
        assert [x["trackingCode"] for x in (await shop.order(bought))["fulfillments"]] == [tracking]
    assert await seller.rows("SELECT DISTINCT state FROM channel_op WHERE kind = 'push_shipment'") == [("done",)]
    assert await seller.differing() == []


async def test_many_orders_of_one_moment_come_once_each_and_a_late_change_comes_again(
    seller: Seller, shop: VendureShop
):
    bought = [await shop.buy(("A", 1)) for _ in range(5)]
    await seller.go()
    assert [x for (x,) in await seller.rows("SELECT external_id FROM sales_order ORDER BY 1")] == sorted(bought)
    ((before,),) = await seller.rows("SELECT count(*) FROM channel_inbox")
    await seller.go()
    assert await seller.rows("SELECT count(*) FROM channel_inbox") == [(before,)], (
        "nothing changed: nothing is read twice"
    )
    async with seller.database.transaction() as tx:
        await service.read_again(tx, CODE, datetime(2026, 1, 1, tzinfo=UTC))
    await seller.go()
    assert await seller.rows("SELECT count(*) FROM sales_order") == [(5,)]
    assert await seller.differing() == []


async def test_a_wrong_key_breaks_the_connection_with_a_reason(seller: Seller):
    async with seller.database.transaction() as tx:
        found = await service.connection_of(tx, CODE)
        draft = ConnectionDraft(
            code=CODE, name="Vendure", connector="vendure", channel="web", config=found.config,
            secrets={"api_key": "none:of-these"},
        )  # fmt: skip
        await service.change_connection(tx, draft, found.version, seller.runtime.keys)
    line = seller.runtime.line(await seller.connection())
    with pytest.raises(AuthExpired):
        await line.call(lambda: line.connector.check(line.ctx))
    assert (await seller.connection()).status == "broken"
