"""People at work on the page of an order: what they count, what is theirs, what is another location's."""

import re

import pytest
from tests_http import Shop

from malha.fulfillment import service
from malha.identity.model import Role
from malha.ordering import cancelling
from malha.ordering import service as ordering
from malha.ordering.model import CancelWish
from malha.platform.ids import UUID
from malha.testing.builders import Sold, a_network, a_product, an_order


async def released(shop: Shop, *places: str, quantity: int = 3) -> tuple[UUID, list[UUID], int]:
    """An order with a line at each place; return it, its work, and the id of the SKU."""
    async with shop.database.transaction() as tx:
        world = await a_network(tx, policy="not_required")
        sku = await a_product(tx, world, "A", stock=dict.fromkeys(("DC", "S1", "S2"), 10))
        order_id = await an_order(tx, world, [Sold(sku, quantity, at=place) for place in places])
        return order_id, [work.id for work in await service.release_order(tx, order_id)], sku


async def states(shop: Shop, order_id: UUID) -> list[tuple[str, int]]:
    async with shop.database.transaction() as tx:
        return [(u.state.value, u.quantity) for u in (await ordering.units_of(tx, [order_id]))[order_id]]


@pytest.mark.parametrize("said", ["", "two", "-1", "1,5", "4"])
async def test_what_nobody_counted_is_not_picked(shop: Shop, said: str) -> None:
    order_id, [work], sku = await released(shop, "S1")
    lead = await shop.session(Role.STORE_LEAD, locations=["S1"])
    form = {"work": str(work), f"p1.{sku}": said, "reason": "not_in_stock"}
    answer = await shop.http.post("/orders/1/pick", data=form, headers=lead)
    assert answer.status_code == 422
    assert "Write a whole number from 0 to 3." in answer.text
    assert await states(shop, order_id) == [("released", 3)]


async def test_a_form_of_before_a_colleague_picked_is_refused_and_says_what_is_left(shop: Shop) -> None:
    order_id, [work], sku = await released(shop, "S1")
    lead = await shop.session(Role.STORE_LEAD, locations=["S1"])
    key = await shop.key(["fulfillment:work"])
    two = {"picked": [{"line": 1, "quantity": 2}]}
    assert (await shop.http.post(f"/v1/fulfillments/{work}/pick", json=two, headers=key)).status_code == 200
    form = {"work": str(work), f"p1.{sku}": "2", "reason": "not_in_stock"}  # of three
    answer = await shop.http.post("/orders/1/pick", data=form, headers=lead)
    assert (answer.status_code, "Write a whole number from 0 to 1." in answer.text) == (422, True)
    assert sorted(await states(shop, order_id)) == [("picked", 2), ("picking", 1)]


async def test_of_two_people_who_take_work_on_the_first_has_it_and_the_other_is_told(shop: Shop) -> None:
    _, [work], _ = await released(shop, "S1")
    ana = await shop.session(Role.STORE_LEAD, email="ana@loja.test")
    bia = await shop.session(Role.STORE_ASSOCIATE, email="bia@loja.test")
    form = {"work": str(work)}
    part = {"hx-request": "true", "hx-target": "order"}
    first = await shop.http.post("/orders/1/accept", data=form, headers=ana | part)
    assert "Work accepted" in first.headers["hx-trigger"]
    again = await shop.http.post("/orders/1/accept", data=form, headers=ana | part)
    assert "Work accepted" in again.headers["hx-trigger"]
    second = await shop.http.post("/orders/1/accept", data=form, headers=bia | part)
    assert "Store_Lead has taken this work on already" in second.headers["hx-trigger"]
    async with shop.database.transaction() as tx:
        assert await tx.value("SELECT assignee FROM fulfillment_order") == "Store_Lead"


async def sent_with_another(shop: Shop) -> dict[str, str]:
    """Send an order's two parcels, one by a store and one by the distribution centre; return the store's session."""
    _, works, _ = await released(shop, "S1", "DC", quantity=1)
    async with shop.database.transaction() as tx:
        for work in works:
            await service.confirm_pick(tx, work)
            await service.pack(tx, work)
            await service.ship(tx, work)
    return await shop.session(Role.STORE_LEAD, locations=["S1"])


async def test_a_store_tells_of_its_own_parcels_of_an_order_that_others_send_too(shop: Shop) -> None:
    store = await sent_with_another(shop)
    assert "/orders/1/deliver" in (await shop.http.get("/orders/1", headers=store)).text
    for act in ("out", "deliver", "deliver"):
        assert (await shop.http.post(f"/orders/1/{act}", headers=store)).status_code == 303
    async with shop.database.transaction() as tx:
        told = await tx.tuples(
            "SELECT l.code, s.out_at IS NOT NULL, s.delivered_at IS NOT NULL FROM shipment s "
            "JOIN fulfillment_order f ON f.id = s.fulfillment_id JOIN location l ON l.id = f.location_id ORDER BY l.code"
        )
    assert told == [("DC", False, False), ("S1", True, True)]


async def test_nobody_is_offered_to_tell_again_of_a_parcel_what_was_told(shop: Shop) -> None:
    """A store whose parcel arrived was offered to record that again, and again, while another's was under way."""
    store = await sent_with_another(shop)
    all_places = await shop.session(Role.OWNER)
    part = {"hx-request": "true", "hx-target": "order"}

    async def offered(who: dict[str, str]) -> set[str]:
        return set(re.findall(r"/orders/1/(out|deliver)", (await shop.http.get("/orders/1", headers=who)).text))

    async def says(act: str) -> str:
        return (await shop.http.post(f"/orders/1/{act}", headers=store | part)).headers["hx-trigger"]

    assert await offered(store) == {"out", "deliver"}
    assert "Recorded: out for delivery" in await says("out")
    assert (await offered(store), await offered(all_places)) == ({"deliver"}, {"out", "deliver"})
    assert "Nothing was recorded" in await says("out")
    assert "Delivery recorded" in await says("deliver")
    assert (await offered(store), await offered(all_places)) == (set(), {"out", "deliver"})
    assert "Nothing was recorded" in await says("deliver")


@pytest.mark.parametrize("field", ["q7", "q²", "q" + "9" * 5_000, "q99999999999999999999"])
async def test_a_line_that_an_order_has_not_is_refused_in_words(shop: Shop, field: str) -> None:
    order_id, _, _ = await released(shop, "S1")
    desk = await shop.session(Role.CUSTOMER_SERVICE)
    preview = await shop.http.post("/orders/1/cancel/preview", data={field: "1"}, headers=desk)
    assert preview.status_code == 200
    assert "has no line 7" in preview.text or "Nothing is chosen." in preview.text
    refused = await shop.http.post("/orders/1/cancel", data={field: "1", "reason": "x"}, headers=desk)
    assert refused.status_code in {404, 422}
    assert await states(shop, order_id) == [("released", 3)]


@pytest.mark.parametrize(
    ("path", "form"),
    [("/attention/replay", {"subscriber": "jobs", "key": "²"}), ("/customers/1/merge/2", {"versions": "².²"})],
)
async def test_a_number_of_another_script_is_none(shop: Shop, path: str, form: dict[str, str]) -> None:
    await released(shop, "S1")
    owner = await shop.session(Role.OWNER)
    assert (await shop.http.post(path, data=form, headers=owner)).status_code in {404, 409, 422}


async def test_the_list_of_work_counts_no_units_that_were_cancelled(shop: Shop) -> None:
    order_id, _, _ = await released(shop, "S1", "S1")
    async with shop.database.transaction() as tx:
        await service.cancel(tx, order_id, reason="changed my mind", wishes=[CancelWish(1, 1), CancelWish(2, 3)])
    key = await shop.key(["orders:read"])
    [row] = (await shop.http.get("/v1/fulfillments", headers=key)).json()
    assert (row["units"], row["lines"]) == (2, 1)


async def test_the_work_on_the_page_is_without_what_was_cancelled(shop: Shop) -> None:
    order_id, [work], _ = await released(shop, "S1", "S1")
    lead = await shop.session(Role.STORE_LEAD)
    async with shop.database.transaction() as tx:
        await service.confirm_pick(tx, work)
        await service.cancel(tx, order_id, reason="changed my mind", wishes=[CancelWish(1, 1), CancelWish(2, 3)])
    page = (await shop.http.get("/orders/1", headers=lead)).text
    assert re.findall(r'<li><span class="m-num">(\d+) ×</span>', page) == ["2"]
    async with shop.database.transaction() as tx:
        await service.cancel(tx, order_id, reason="all of it")
    page = (await shop.http.get("/orders/1", headers=lead)).text
    assert re.findall(r'<li><span class="m-num">(\d+) ×</span>', page) == ["3", "3"]  # what it was asked for


async def picked(shop: Shop) -> tuple[UUID, UUID, list[int], dict[str, str]]:
    """An order of 3 units of one SKU and 2 of another, picked; return it, its work, the SKUs and a session."""
    async with shop.database.transaction() as tx:
        world = await a_network(tx, policy="not_required")
        skus = [await a_product(tx, world, code, stock={"S1": 10}) for code in ("A", "B")]
        order_id = await an_order(tx, world, [Sold(skus[0], 3, at="S1"), Sold(skus[1], 2, at="S1")])
        [work] = [made.id for made in await service.release_order(tx, order_id)]
        await service.confirm_pick(tx, work)
    return order_id, work, skus, await shop.session(Role.STORE_LEAD, locations=["S1"])


async def parcels(shop: Shop, order_id: UUID) -> list[list[tuple[int, int]]]:
    """Return what each parcel holds, by line, in the order of packing; units in none come as a parcel of their own."""
    held: dict[str, list[tuple[int, int]]] = {}
    async with shop.database.transaction() as tx:
        for u in (await ordering.units_of(tx, [order_id]))[order_id]:
            held.setdefault(str(u.shipment_id), []).append((u.line, u.quantity))
    return [sorted(held[key]) for key in sorted(held)]


async def test_everything_goes_in_one_parcel_unless_somebody_says_more(shop: Shop) -> None:
    order_id, work, _, lead = await picked(shop)
    page = (await shop.http.get("/orders/1", headers=lead)).text
    assert f'id="dlg-pack-{str(work)[-12:]}"' in page
    assert "5 units go in one parcel." in page
    assert "Another parcel" in page
    await shop.http.post("/orders/1/pack", data={"work": str(work)}, headers=lead)
    assert await parcels(shop, order_id) == [[(1, 3), (2, 2)]]


async def test_a_person_says_what_goes_in_which_parcel_and_the_first_holds_the_rest(shop: Shop) -> None:
    order_id, work, [a, b], lead = await picked(shop)
    form = {"work": str(work), f"c2.1.{a}": "1", f"c2.2.{b}": "0", f"c7.1.{a}": "1", f"c7.2.{b}": "2"}
    answer = await shop.http.post("/orders/1/pack", data=form, headers=lead)
    assert answer.status_code in {200, 303}
    assert await parcels(shop, order_id) == [[(1, 1)], [(1, 1)], [(1, 1), (2, 2)]]
    page = (await shop.http.get("/orders/1", headers=lead)).text
    assert page.count("Packed parcel, still here") == 3
    assert '<small class="m-holds">1 \u00d7 A, 2 \u00d7 B</small>' in page
    async with shop.database.transaction() as tx:
        ids = await service.parcels_of(tx, work)
    assert all(f'name="tracking_code.{id_}"' in page for id_ in ids)
    codes = {f"tracking_code.{id_}": f"BR{n}" for n, id_ in enumerate(ids)}
    await shop.http.post("/orders/1/ship", data={"work": str(work), "carrier": "Jadlog", **codes}, headers=lead)
    async with shop.database.transaction() as tx:
        sent = await tx.tuples("SELECT id, carrier, tracking_code FROM shipment ORDER BY id")
    assert sent == [(id_, "Jadlog", f"BR{n}") for n, id_ in enumerate(ids)]


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        ("4", "0", "Write a whole number from 0 to 3."),
        ("", "1", "Write a whole number from 0 to 3."),
        ("1,5", "1", "Write a whole number from 0 to 3."),
        ("0", "0", "This parcel would hold nothing: say what goes in it, or take it off."),
        ("3", "2", "The first parcel would hold nothing: one of the others is that one."),
    ],
)
async def test_parcels_that_cannot_be_are_refused_in_words_and_nothing_is_packed(
    shop: Shop, first: str, second: str, said: str
) -> None:
    order_id, work, [a, b], lead = await picked(shop)
    form = {"work": str(work), f"c2.1.{a}": first, f"c2.2.{b}": second}
    answer = await shop.http.post("/orders/1/pack", data=form, headers=lead)
    assert (answer.status_code, said in answer.text) == (422, True)
    assert await parcels(shop, order_id) == [[(1, 3), (2, 2)]]
    assert await states(shop, order_id) == [("picked", 3), ("picked", 2)]


async def test_parcels_of_a_form_of_before_a_cancel_are_refused(shop: Shop) -> None:
    order_id, work, [a, b], lead = await picked(shop)
    async with shop.database.transaction() as tx:
        await cancelling.cancel(tx, order_id, reason="changed mind", wishes=[CancelWish(1, 2)])
    form = {"work": str(work), f"c2.1.{a}": "2", f"c2.2.{b}": "0"}
    answer = await shop.http.post("/orders/1/pack", data=form, headers=lead)
    assert (answer.status_code, "Write a whole number from 0 to 1." in answer.text) == (422, True)
