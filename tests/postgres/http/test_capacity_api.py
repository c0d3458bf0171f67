"""Slots over HTTP: stated, listed, held, confirmed, given back, moved; by scope and permission."""

import asyncio
from datetime import datetime, timedelta
from urllib.parse import quote

import pytest
from tests_http import Shop

from malha.intake.reference import REFRESH_SECONDS
from malha.network import reads as network
from malha.platform import revisions
from malha.platform.clock import now
from malha.testing.builders import a_network, a_product

DAY = now().date() + timedelta(days=8)
WEEKDAY = DAY.isoweekday()
CART = {"location": "S1", "kind": "pickup", "day": DAY.isoformat(), "starts": "09:00", "reference": "cart-1"}
SPANS = (("09:00", "10:00", 1), ("10:00", "12:00", 2))
WEEK = [{"weekday": WEEKDAY, "starts": s, "ends": e, "quota": n} for s, e, n in SPANS]


@pytest.fixture
async def sold(shop: Shop) -> Shop:
    """S1 hands over one order from nine and two from ten on the day of the tests."""
    async with shop.database.transaction() as tx:
        world = await a_network(tx)
        await tx.execute("UPDATE channel SET payment_policy = 'settled_by_channel', shortage_policy = 'reject'")
        await a_product(tx, world, "CUP", stock={"DC": 50, "S1": 50})
        await revisions.bump(tx, network.REVISION)
    shop.headers = await shop.key(
        ["network:read", "network:write", "intake:submit", "orders:read", "orders:write", "orders:cancel", "stock:read"]
    )
    await asyncio.sleep(REFRESH_SECONDS + 0.1)  # the gate looks at its reference data again
    stated = await send(shop, "PUT", "/v1/capacity/S1/templates", {"pickup": WEEK}, **{"if-match": '"0"'})
    assert (stated["version"], stated["above"]) == (1, [])
    return shop


async def send(shop: Shop, method: str, path: str, body: object = None, status: int = 0, **headers: str):
    answer = await shop.http.request(method, path, json=body, headers=shop.headers | headers)
    assert answer.status_code == status if status else answer.is_success, answer.text
    return answer.json() if answer.content else None


async def taken(shop: Shop) -> dict[str, tuple[int, int, int]]:
    """Held, confirmed and left of the slots of the day, by their start."""
    found = await send(shop, "GET", f"/v1/capacity?location=S1&kind=pickup&since={DAY}&until={DAY}")
    return {s["starts"]: (s["held"], s["confirmed"], s["left"]) for s in found}


async def an_order(shop: Shop, key: str, status: int = 201, **more: object) -> dict:
    order = {
        "channel": "web", "external_id": key, "method": "pickup", "pickup_location": "S1",
        "lines": [{"sku": "CUP", "quantity": 1, "unit_price": 1000}],
    }  # fmt: skip
    return await send(shop, "POST", "/v1/orders", order | more, status)


async def test_what_is_stated_is_read_back_with_its_version_and_changed_only_by_who_saw_it(sold: Shop) -> None:
    day = f"/v1/capacity/S1/days/{DAY}"
    body = {"kind": "pickup", "slots": [{"starts": "09:00", "ends": "10:00", "quota": 5, "reason": "Reforço"}]}
    await send(sold, "PUT", day, body, **{"if-match": '"1"'})
    answer = await sold.http.get("/v1/capacity/S1", headers=sold.headers)
    assert answer.headers["etag"] == '"2"'
    plan = answer.json()
    assert [(t["starts"], t["quota"]) for t in plan["pickup"]] == [("09:00", 1), ("10:00", 2)]
    assert [(d["day"], d["slots"][0]["quota"]) for d in plan["days"]] == [(DAY.isoformat(), 5)]
    assert await taken(sold) == {"09:00": (0, 0, 5), "10:00": (0, 0, 2)}
    await send(sold, "PUT", day, body, 412, **{"if-match": '"1"'})
    await send(sold, "PUT", "/v1/capacity/S1/templates", {"pickup": []}, 428)
    await send(sold, "PUT", day, {"kind": "pickup", "slots": [{}]})
    assert await taken(sold) == {}
    await send(sold, "PUT", day, {"kind": "pickup", "slots": []})
    assert await taken(sold) == {"09:00": (0, 0, 1), "10:00": (0, 0, 2)}


async def test_slots_that_cannot_be_are_pointed_at(sold: Shop) -> None:
    week = [*WEEK, {"weekday": WEEKDAY, "starts": "09:30", "ends": "10:30", "quota": 1}]
    problem = await send(sold, "PUT", "/v1/capacity/S1/templates", {"pickup": week}, 422, **{"if-match": "*"})
    assert {e["at"] for e in problem["errors"]} == {"/pickup/2", "/pickup/1"}
    await send(sold, "GET", f"/v1/capacity?location=S1&since={DAY}&until={DAY + timedelta(days=40)}", status=422)
    await send(sold, "GET", "/v1/capacity", status=422)
    await send(sold, "GET", "/v1/capacity?location=NADA", status=404)


async def test_a_cart_holds_a_slot_once_and_its_order_has_it(sold: Shop) -> None:
    for _ in range(2):
        held = await send(sold, "POST", "/v1/slot-holds", CART, 201, **{"idempotency-key": "k1"})
    assert (held["ends"], held["reference"]) == ("10:00", "cart-1")
    assert datetime.fromisoformat(held["expires_at"]) > now()
    assert (await taken(sold))["09:00"] == (1, 0, 0)
    full = await send(sold, "POST", "/v1/slot-holds", CART | {"reference": "cart-2", "starts": "09:00\n"}, 409)
    assert full["code"] == "slot_full"
    assert full["facts"]["alternatives"][0] == {
        "location": "S1", "kind": "pickup", "day": DAY.isoformat(), "starts": "10:00", "ends": "12:00", "left": 2,
    }  # fmt: skip
    slot = {"day": DAY.isoformat(), "starts": "09:00", "hold": "cart-1"}
    order = await an_order(sold, "E1", slot=slot)
    assert await send(sold, "GET", f"/v1/orders/{order['id']}/slot") == {
        "order": order["id"], "location": "S1", "kind": "pickup", "day": DAY.isoformat(), "starts": "09:00",
        "ends": "10:00",
    }  # fmt: skip
    refused = await an_order(sold, "E2", 409, slot={"day": DAY.isoformat(), "starts": "09:00"})
    assert refused["facts"]["alternatives"][0]["starts"] == "10:00"
    await send(sold, "POST", f"/v1/orders/{order['id']}/cancel", {"reason": "mudou de ideia"})
    assert (await taken(sold))["09:00"] == (0, 0, 1)


@pytest.mark.parametrize("reference", ["cart/1", "..", ".", "/", "a\nb", "x" * 201])
async def test_a_reference_that_no_address_can_have_holds_nothing(sold: Shop, reference: str) -> None:
    refused = await send(sold, "POST", "/v1/slot-holds", CART | {"reference": reference}, 422)
    assert [flaw["at"] for flaw in refused["errors"]] == ["/reference"]
    assert await taken(sold) == {"09:00": (0, 0, 1), "10:00": (0, 0, 2)}


@pytest.mark.parametrize("reference", ["..a", "carrinho nº 1", "x" * 200, "a?b#c%2F"])
async def test_what_is_held_under_a_reference_is_released_by_it(sold: Shop, reference: str) -> None:
    await send(sold, "POST", "/v1/slot-holds", CART | {"reference": reference}, 201)
    await send(sold, "POST", f"/v1/slot-holds/{quote(reference, safe='')}/release")
    assert await taken(sold) == {"09:00": (0, 0, 1), "10:00": (0, 0, 2)}


async def test_a_hold_is_confirmed_for_an_order_that_is_there_or_given_back(sold: Shop) -> None:
    order = await an_order(sold, "E1")
    assert await send(sold, "GET", f"/v1/orders/{order['id']}/slot") is None
    await send(sold, "POST", "/v1/slot-holds", CART)
    confirm = {"order": order["id"]}
    for _ in range(2):
        await send(sold, "POST", "/v1/slot-holds/cart-1/confirm", confirm, **{"idempotency-key": "k2"})
    await send(sold, "POST", "/v1/slot-holds/cart-1/confirm", confirm, 409)
    promises = await send(sold, "GET", f"/v1/orders/{order['id']}/promises")
    assert datetime.fromisoformat(promises["present"]).date() == DAY
    await send(sold, "POST", "/v1/slot-holds", CART | {"starts": "10:00"})
    await send(sold, "POST", "/v1/slot-holds/cart-1/release")
    assert await taken(sold) == {"09:00": (0, 1, 0), "10:00": (0, 0, 2)}
    await send(sold, "POST", "/v1/slot-holds/cart-1/release", status=404)
    await send(sold, "POST", f"/v1/orders/{order['id']}/slot/release")
    await send(sold, "POST", f"/v1/orders/{order['id']}/slot/release", status=409)
    assert (await taken(sold))["09:00"] == (0, 0, 1)


async def test_an_order_moves_to_another_slot_for_a_reason(sold: Shop) -> None:
    order = await an_order(sold, "E1", slot={"day": DAY.isoformat(), "starts": "09:00"})
    wish = {"day": DAY.isoformat(), "starts": "10:00", "reason": "capacity"}
    moved = await send(sold, "POST", f"/v1/orders/{order['id']}/slot", wish)
    assert moved["starts"] == "10:00"
    assert await taken(sold) == {"09:00": (0, 0, 1), "10:00": (0, 1, 1)}
    promises = await send(sold, "GET", f"/v1/orders/{order['id']}/promises")
    assert [c["reason"] for c in promises["changes"]] == ["capacity"]
    elsewhere = await send(sold, "POST", f"/v1/orders/{order['id']}/slot", wish | {"location": "S2"}, 422)
    assert elsewhere["code"] == "slot_not_for_order"


async def test_a_promise_offers_the_next_free_slots_of_places_that_take_appointments(sold: Shop) -> None:
    await send(sold, "POST", "/v1/slot-holds", CART)
    body = {"channel": "web", "postal_code": "01310-100", "lines": [{"sku": "CUP", "quantity": 1}]}
    found = {c["location"]: c for c in (await send(sold, "POST", "/v1/promises", body))["collections"]}
    assert found["DC"].get("slots") is None
    offered = found["S1"]["slots"]
    assert {s["day"] for s in offered} <= {(DAY - timedelta(days=7)).isoformat(), DAY.isoformat()}
    assert "09:00" not in {s["starts"] for s in offered if s["day"] == DAY.isoformat()}
    assert {"day": DAY.isoformat(), "starts": "10:00", "ends": "12:00", "left": 2} in offered


async def test_whoever_is_limited_to_other_locations_finds_no_slots_here(sold: Shop) -> None:
    await send(sold, "POST", "/v1/slot-holds", CART)
    permissions = ["network:read", "network:write", "intake:submit", "orders:write"]
    stranger = await sold.key(permissions, locations=["S2"])
    for method, path, body in (
        ("GET", "/v1/capacity?location=S1", None),
        ("GET", "/v1/capacity/S1", None),
        ("PUT", f"/v1/capacity/S1/days/{DAY}", {"kind": "pickup", "slots": []}),
        ("POST", "/v1/slot-holds", CART | {"reference": "cart-9"}),
        ("POST", "/v1/slot-holds/cart-1/release", None),
    ):
        answer = await sold.http.request(method, path, json=body, headers=stranger)
        assert answer.status_code == 404, (path, answer.text)
    reader = await sold.key(["network:read"])
    answer = await sold.http.post("/v1/slot-holds", json=CART, headers=reader)
    assert answer.status_code == 403


async def test_work_moves_to_another_picking_slot_by_who_saw_it_and_never_into_a_full_one(sold: Shop) -> None:
    sold.headers = await sold.key(
        ["network:read", "network:write", "intake:submit", "orders:read", "orders:write", "fulfillment:work"]
    )
    plan = await sold.http.get("/v1/capacity/S1", headers=sold.headers)
    picks = [
        {"weekday": d, "starts": s, "ends": e, "quota": 1}
        for d in range(1, 8)
        for s, e in (("00:00", "12:00"), ("12:00", "23:59"))
    ]
    await send(sold, "PUT", "/v1/capacity/S1/templates", {"pick": picks}, **{"if-match": plan.headers["etag"]})
    first, second = await an_order(sold, "M-1"), await an_order(sold, "M-2")
    for order in (first, second):
        await send(sold, "POST", f"/v1/orders/{order['id']}/release", {})
    work = {w["order_number"]: w for w in await send(sold, "GET", "/v1/fulfillments")}
    mine = work.pop(second["number"])
    (other,) = work.values()
    path = f"/v1/fulfillments/{mine['id']}/slot"
    full = {"day": other["slot"]["day"], "starts": other["slot"]["starts"], "reason": "Caminhão cedo"}
    assert (await send(sold, "POST", path, full, 409))["code"] == "picking_slot_full"
    there = {"day": DAY.isoformat(), "starts": "12:00", "reason": "Caminhão cedo"}
    assert (await send(sold, "POST", path, there, 412, **{"if-match": '"9"'}))["code"] == "stale_version"
    assert (await send(sold, "POST", path, there, **{"if-match": '"1"'}))["version"] == 2
    assert (await send(sold, "GET", f"/v1/fulfillments/{mine['id']}"))["slot"]["day"] == DAY.isoformat()


async def test_the_list_of_locations_says_what_picking_slots_have_room_for(sold: Shop) -> None:
    """A location that states them is not without limit; on a day without any it takes no work, and is not full."""
    today = now().isoweekday()
    page = sold.headers | {"accept-language": "en"}

    async def pages() -> tuple[str, str]:
        whole = (await sold.http.get("/locations?q=S1", headers=page)).text
        return whole[whole.index("<tbody") : whole.index("</tbody")], (
            await sold.http.get("/locations/S1", headers=page)
        ).text

    assert "no limit" in (await pages())[0]
    days = [{"weekday": day, "starts": "00:00", "ends": "23:59", "quota": 7} for day in range(1, 8)]
    await send(sold, "PUT", "/v1/capacity/S1/templates", {"pick": days}, **{"if-match": '"1"'})
    row, one = await pages()
    assert "0 / 7" in row
    assert "0 of 7" in one
    # Around midnight the location's day is not that of UTC: neither of the two has slots.
    others = [day for day in days if day["weekday"] not in {today, (today - 2) % 7 + 1}]
    await send(sold, "PUT", "/v1/capacity/S1/templates", {"pick": others}, **{"if-match": '"2"'})
    row, one = await pages()
    assert "0 / 0" in row
    assert "Takes no work" in one
    assert "Full" not in one
