"""*Is it late?* of an order that is fetched: to be ready was promised; when its customer comes is theirs to say."""

import re

from tests_http import Shop

from malha.fulfillment import service as work
from malha.fulfillment.model import Parcel
from malha.ordering import cancelling
from malha.platform.ids import UUID
from malha.testing.builders import Sold, a_network, a_product, an_order


async def a_pickup(shop: Shop) -> UUID:
    async with shop.database.transaction() as tx:
        world = await a_network(tx, policy="not_required")
        sku = await a_product(tx, world, "MUG", stock={"S1": 9})
        return await an_order(tx, world, [Sold(sku, 1, at="S1")], method="pickup")


async def is_it_late(shop: Shop, order_id: UUID, signed_in: dict[str, str]) -> str:
    async with shop.database.transaction() as tx:
        number = await tx.value("SELECT number FROM sales_order WHERE id = %(id)s::uuid", {"id": order_id})
    html = (await shop.http.get(f"/orders/{number}", headers=signed_in)).text
    words = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))
    return words.partition("Is it late? ")[2].partition("What blocks it?")[0].strip()


async def test_a_cancelled_order_is_listed_with_what_it_came_to(shop: Shop) -> None:
    order_id, owner = await a_pickup(shop), await shop.session()
    async with shop.database.transaction() as tx:
        await cancelling.cancel(tx, order_id, reason="customer")
        total = await tx.value("SELECT total FROM sales_order")
        assert (total, await tx.value("SELECT cancelled_total FROM sales_order")) == (1000, total)
    assert ">R$10.00<" in (await shop.http.get("/orders?view=all", headers=owner)).text


async def test_what_has_no_goods_yet_is_promised_nothing_until_it_has(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        world = await a_network(tx, policy="not_required")
        sku = await a_product(tx, world, "MUG", stock={})
        orders = [await an_order(tx, world, [Sold(sku, 1, at=None)], method=method) for method in ("ship", "pickup")]
    owner = await shop.session()
    for order_id in orders:
        said = await is_it_late(shop, order_id, owner)
        assert said.startswith("Nothing promised yet It is, once all of its goods have a place.")


async def test_who_comes_late_makes_no_order_late(shop: Shop) -> None:
    order_id, owner = await a_pickup(shop), await shop.session()
    assert (await is_it_late(shop, order_id, owner)).startswith("No deadline yet")
    async with shop.database.transaction() as tx:
        [job] = await work.release_order(tx, order_id)
        # The end of a slot that the customer chose. The location's own deadline is its cut-off: minutes away at night.
        await tx.execute("UPDATE sales_order SET promised_at = now() + interval '5 hours'")
        await tx.execute("UPDATE fulfillment_order SET due_at = now() + interval '4 hours'")
    assert " to spare" in await is_it_late(shop, order_id, owner)
    async with shop.database.transaction() as tx:
        await work.confirm_pick(tx, job.id)
        await work.pack(tx, job.id, [Parcel()])
        await work.make_ready(tx, job.id)
        await tx.execute("UPDATE sales_order SET promised_at = now() - interval '3 days'")
    assert (await is_it_late(shop, order_id, owner)).startswith("Ready to collect")
    listed = (await shop.http.get("/orders?view=ready", headers=owner)).text
    [row] = re.findall(rf'<tr [^>]*data-order="{order_id}".*?</tr>', listed, re.DOTALL)
    assert "m-late" not in row
    async with shop.database.transaction() as tx:
        code = await work.pickup_code(tx, job.id)
        assert (await work.hand_over(tx, job.id, code=code, received_by="Maria")).done
    assert (await is_it_late(shop, order_id, owner)).startswith("Collected")
