"""What the people of a store or a depot do with an order on its page, and what it offers to whom."""

import re
from typing import Any

from tests_http import Shop

from malha.fulfillment import service
from malha.fulfillment.model import RejectReason, Short
from malha.identity.model import Role
from malha.ordering.model import UnitState
from malha.testing.builders import Sold, World, a_network, a_product, an_access_key, an_order

HTMX = {"hx-request": "true"}
PARCELS = "SELECT id FROM shipment ORDER BY id"
TRACKED = "SELECT tracking_code FROM shipment ORDER BY tracking_code"


async def a_pickup(shop: Shop, *, policy: str = "not_required") -> tuple[str, int, str, World]:
    """Work at S1 whose goods wait for their customer, its order, and the code."""
    async with shop.database.transaction() as tx:
        world = await a_network(tx, policy=policy)
        sku = await a_product(tx, world, "A", stock={"S1": 5})
        [work] = await service.release_order(tx, await an_order(tx, world, [Sold(sku, 2, at="S1")], method="pickup"))
        await service.confirm_pick(tx, work.id)
        await service.pack(tx, work.id)
        if policy != "not_required":
            return str(work.id), await tx.value("SELECT number FROM sales_order"), "", world
        await service.make_ready(tx, work.id)
        code = await service.pickup_code(tx, work.id)
        return str(work.id), await tx.value("SELECT number FROM sales_order"), code, world


async def send(shop: Shop, who: dict[str, str], path: str, status: int = 200, **fields: Any) -> str:
    answer = await shop.http.post(path, data=fields, headers={**who, **HTMX})
    assert answer.status_code == status, answer.text[:2000]
    return answer.text


async def page(shop: Shop, who: dict[str, str], number: int) -> str:
    answer = await shop.http.get(f"/orders/{number}", headers=who)
    assert answer.status_code == 200
    return answer.text


async def test_after_five_wrong_codes_the_page_says_so_and_a_lead_gives_a_new_one(shop: Shop) -> None:
    work, number, code, _world = await a_pickup(shop)
    wrong = f"{(int(code) + 1) % 10**6:06d}"
    counter, lead = await shop.session(Role.STORE_ASSOCIATE), await shop.session(Role.STORE_LEAD)
    assert "dlg-hand-" in await page(shop, counter, number)
    for left in (4, 3, 2, 1):
        said = await send(shop, counter, f"/orders/{number}/hand-over", 403, work=work, code=wrong, received_by="Ana")
        assert f"Attempts left: {left}." in said
    said = await send(shop, counter, f"/orders/{number}/hand-over", 403, work=work, code=wrong, received_by="Ana")
    assert "give the customer a new code" in said  # not: read it again
    shown = await page(shop, counter, number)
    assert "Too many wrong pickup codes were shown." in shown
    assert "dlg-hand-" not in shown  # a button that would only be refused
    assert "your role does not allow it" in shown
    assert "dlg-new-code-" in await page(shop, lead, number)
    await send(shop, lead, f"/orders/{number}/new-code", work=work)
    async with shop.database.transaction() as tx:
        fresh = await service.pickup_code(tx, service.UUID(work))
    await send(shop, counter, f"/orders/{number}/hand-over", work=work, code=fresh, received_by="Ana")
    async with shop.database.transaction() as tx:
        assert await tx.value("SELECT state FROM fulfillment_order") == "closed"


async def test_a_document_that_was_cancelled_elsewhere_is_recorded_so_on_the_page(shop: Shop) -> None:
    work, number, _code, world = await a_pickup(shop, policy="required")
    lead, counter = await shop.session(Role.STORE_LEAD), await shop.session(Role.STORE_ASSOCIATE)
    key = an_access_key(world, model="65")
    await send(shop, lead, f"/orders/{number}/document", work=work, access_key=key)
    assert "dlg-cancel-document-" not in await page(shop, counter, number)
    shown = await page(shop, lead, number)
    [document] = re.findall(r'<option value="([0-9a-f-]{36})">NFC-e', shown)
    said = await send(shop, lead, f"/orders/{number}/cancel-document", 422, work=work, document=document, reason=" ")
    assert "This needs a reason." in said
    await send(shop, lead, f"/orders/{number}/cancel-document", 404, work=work, document="nonsense", reason="x")
    await send(shop, lead, f"/orders/{number}/cancel-document", work=work, document=document, reason="customer left")
    async with shop.database.transaction() as tx:
        assert await tx.value("SELECT DISTINCT state FROM order_unit") == UnitState.AWAITING_DOCUMENT


async def test_goods_are_packed_in_several_parcels_and_each_has_its_tracking_code(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        world = await a_network(tx, policy="not_required")
        skus = [await a_product(tx, world, code, stock={"S1": 9}) for code in ("A", "B")]
        sold = [Sold(skus[0], 3, at="S1"), Sold(skus[1], 1, at="S1")]
        [work] = await service.release_order(tx, await an_order(tx, world, sold))
        await service.confirm_pick(tx, work.id)
        number = await tx.value("SELECT number FROM sales_order")
    depot = await shop.session(Role.STORE_ASSOCIATE)
    shown = await page(shop, depot, number)
    fields = dict.fromkeys(re.findall(r'name="c__n__([0-9.]+)"', shown))
    first, second = (f"c2{field}" for field in fields)
    to = f"/orders/{number}/pack"
    said = await send(shop, depot, to, 422, work=str(work.id), **{first: "0", second: "0"})
    assert "This parcel would hold nothing" in said
    assert "from 0 to 3" in await send(shop, depot, to, 422, work=str(work.id), **{first: "4"})
    assert "from 0 to 3" in await send(shop, depot, to, 422, work=str(work.id), **{first: "1,5"})
    every = {first: "3", second: "1"}
    assert "The first parcel would hold nothing" in await send(shop, depot, to, 422, work=str(work.id), **every)
    await send(shop, depot, to, work=str(work.id), **{first: "2"})
    async with shop.database.transaction() as tx:
        parcels = await tx.values(PARCELS)
    assert len(parcels) == 2
    shown = await page(shop, depot, number)
    codes = {f"tracking_code.{id_}": f"BR{at}" for at, id_ in enumerate(parcels)}
    assert all(f'name="{name}"' in shown for name in codes)
    await send(shop, depot, f"/orders/{number}/ship", work=str(work.id), carrier="Correios", **codes)
    async with shop.database.transaction() as tx:
        assert await tx.values(TRACKED) == ["BR0", "BR1"]


async def test_work_of_another_location_offers_no_buttons_and_the_own_comes_before_what_others_have_to_do(
    shop: Shop,
) -> None:
    async with shop.database.transaction() as tx:
        world = await a_network(tx, policy="not_required")
        skus = [await a_product(tx, world, code, stock={"S1": 1, "S2": 1}) for code in ("A", "B")]
        await an_order(tx, world, [Sold(skus[0], 1, at="S1"), Sold(skus[1], 1, at="S2")])
        order_id, number = (await tx.tuples("SELECT id, number FROM sales_order"))[0]
        work = await service.release_order(tx, order_id)
        names = dict(await tx.tuples("SELECT code, name FROM location"))
    mine = await shop.session(Role.STORE_ASSOCIATE, locations=["S1"])
    shown = await page(shop, mine, number)
    assert f"Accept at {names['S1']}" in shown
    assert f"Accept at {names['S2']}" not in shown  # it would be refused
    async with shop.database.transaction() as tx:
        other = next(one for one in work if one.location_id == world.locations["S2"])
        await tx.execute("UPDATE balance SET on_hand = allocated")
        await service.accept(tx, other.id, assignee="Bia")
        units = await tx.tuples("SELECT line, quantity FROM order_unit WHERE fulfillment_id = %(id)s", {"id": other.id})
        await service.confirm_pick(tx, other.id, short=[Short(units[0][0], 1, RejectReason.NOT_IN_STOCK)])
    shown = await page(shop, mine, number)
    assert "Try to place again" not in shown  # is for who may write orders
    assert shown.count(f"Accept at {names['S1']}") >= 3  # on top, as the answer, and at its work


async def test_people_of_a_location_are_told_at_home_that_work_waits_for_their_answer(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        world = await a_network(tx, policy="not_required")
        sku = await a_product(tx, world, "A", stock={"S1": 5})
        await service.release_order(tx, await an_order(tx, world, [Sold(sku, 2, at="S1")]))
    mine = await shop.session(Role.STORE_ASSOCIATE, locations=["S1"])
    shown = (await shop.http.get("/", headers=mine)).text
    assert "1 order to accept" in shown
    assert "Nothing needs you" not in shown
    owner = (await shop.http.get("/", headers=await shop.session())).text
    assert "1 order to accept" not in owner  # is no matter of theirs until it is late


async def test_the_dialog_of_a_pick_knows_each_item_by_sku_and_barcode(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        world = await a_network(tx, policy="not_required")
        sku = await a_product(tx, world, "A", stock={"S1": 5})
        await tx.execute("UPDATE variant SET gtin = '7891000315507' WHERE id = %(id)s", {"id": sku})
        [work] = await service.release_order(tx, await an_order(tx, world, [Sold(sku, 2, at="S1")]))
        await service.accept(tx, work.id, assignee="Bia")
        number = await tx.value("SELECT number FROM sales_order")
    assert 'data-codes="A 7891000315507"' in await page(shop, await shop.session(Role.STORE_ASSOCIATE), number)
