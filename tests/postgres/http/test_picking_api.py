"""Picking slots over HTTP: stated with a version, seen on work and orders, filtered by, and behind what is promised."""

import asyncio
from datetime import datetime, time
from zoneinfo import ZoneInfo

import pytest
from tests_http import Shop

from malha.fulfillment import service as fulfillment
from malha.intake.reference import REFRESH_SECONDS
from malha.network import reads as network
from malha.platform import revisions
from malha.platform.i18n import DEFAULT_ZONE
from malha.testing.builders import Sold, a_network, a_product, an_order, in_days

SPANS = (("09:00", "12:00", 1), ("12:00", "18:00", 2))
WEEK = [{"weekday": d, "starts": s, "ends": e, "quota": n} for d in range(1, 8) for s, e, n in SPANS]


@pytest.fixture
async def working(shop: Shop) -> Shop:
    """S1 picks one order from nine and two from noon, from tomorrow on; three orders of it are released."""
    async with shop.database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "CUP", stock={"S1": 50})
        orders = [await an_order(tx, world, [Sold(sku, at="S1")]) for _ in range(3)]
        await revisions.bump(tx, network.REVISION)
    shop.headers = await shop.key(["network:read", "network:write", "orders:read", "stock:read"])
    await ask(shop, "PUT", "/v1/capacity/S1/templates", {"pick": WEEK}, **{"if-match": '"0"'})
    today = {"kind": "pick", "slots": [{}]}
    stated = await ask(shop, "PUT", f"/v1/capacity/S1/days/{in_days(0)}", today, **{"if-match": '"1"'})
    assert stated["version"] == 2
    async with shop.database.transaction() as tx:
        assert not (await fulfillment.release(tx, orders, forced=True)).left
    await asyncio.sleep(REFRESH_SECONDS + 0.1)  # the gate looks at its reference data again
    return shop


async def ask(shop: Shop, method: str, path: str, body: object = None, status: int = 200, **headers: str):
    answer = await shop.http.request(method, path, json=body, headers=shop.headers | headers)
    assert answer.status_code == status, answer.text
    return answer.json()


async def test_work_is_listed_slot_by_slot_and_says_its_slot(working: Shop) -> None:
    tomorrow = in_days(1).isoformat()
    morning = {"day": tomorrow, "starts": "09:00", "ends": "12:00"}
    afternoon = {"day": tomorrow, "starts": "12:00", "ends": "18:00"}
    found = await ask(working, "GET", "/v1/fulfillments?location=S1")
    assert [w["slot"] for w in found] == [morning, afternoon, afternoon]
    assert len(await ask(working, "GET", f"/v1/fulfillments?slot_day={tomorrow}&slot=12:00")) == 2
    assert len(await ask(working, "GET", f"/v1/fulfillments?slot_day={tomorrow}")) == 3
    assert await ask(working, "GET", f"/v1/fulfillments?slot_day={in_days(2)}") == []
    await ask(working, "GET", "/v1/fulfillments?slot=noon", status=422)
    assert len(await ask(working, "GET", "/v1/fulfillments?slot=12:00%0A")) == 2
    one = await ask(working, "GET", f"/v1/fulfillments/{found[0]['id']}")
    assert one["slot"] == morning
    assert datetime.fromisoformat(one["due_at"]) == datetime.combine(in_days(1), time(12), ZoneInfo(DEFAULT_ZONE))
    slots = await ask(working, "GET", f"/v1/capacity?location=S1&kind=pick&since={tomorrow}&until={tomorrow}")
    assert [(s["starts"], s["confirmed"], s["left"]) for s in slots] == [("09:00", 1, 0), ("12:00", 2, 0)]


async def test_an_order_says_in_which_slot_its_work_is_done(working: Shop) -> None:
    async with working.database.transaction() as tx:
        first = await tx.value("SELECT order_id FROM fulfillment_order ORDER BY number LIMIT 1")
    order = await ask(working, "GET", f"/v1/orders/{first}")
    assert order["fulfillments"][0]["slot"] == {"day": in_days(1).isoformat(), "starts": "09:00", "ends": "12:00"}


async def test_goods_to_fetch_are_ready_when_the_first_slot_with_room_ends(working: Shop) -> None:
    body = {"channel": "till", "postal_code": "01310-100", "lines": [{"sku": "CUP", "quantity": 1}]}
    found = {c["location"]: c for c in (await ask(working, "POST", "/v1/promises", body))["collections"]}
    ready = datetime.fromisoformat(found["S1"]["ready_at"])
    assert ready == datetime.combine(in_days(2), time(12), ZoneInfo(DEFAULT_ZONE))  # tomorrow is full


async def test_a_location_is_told_to_count_units_and_what_is_in_its_slots_is_read_anew(working: Shop) -> None:
    plan = await ask(working, "GET", "/v1/capacity/S1")
    assert (plan["measure"], plan["pick"]) == ("orders", WEEK)
    week = [slot | {"quota": 5} for slot in WEEK]
    wide = {"measure": "units", "pick": week}
    await ask(working, "PUT", "/v1/capacity/S1/templates", wide, status=412, **{"if-match": '"1"'})
    await ask(working, "PUT", "/v1/capacity/S1/templates", {"measure": "boxes"}, status=422, **{"if-match": '"2"'})
    stated = await ask(working, "PUT", "/v1/capacity/S1/templates", wide, **{"if-match": '"2"'})
    assert (stated["version"], stated["above"]) == (3, [])
    small = {"pick": [slot | {"quota": 1} for slot in week]}
    above = (await ask(working, "PUT", "/v1/capacity/S1/templates", small, **{"if-match": '"3"'}))["above"]
    assert [(s["starts"], s["measure"], s["taken"], s["quota"]) for s in above] == [("12:00", "units", 2, 1)]
    assert (await ask(working, "GET", "/v1/capacity/S1"))["measure"] == "units"  # left out, it stays
    tomorrow = in_days(1).isoformat()
    slots = await ask(working, "GET", f"/v1/capacity?location=S1&kind=pick&since={tomorrow}&until={tomorrow}")
    told = [(s["measure"], s["confirmed"], s["units"], s["taken"], s["left"]) for s in slots]
    assert told == [("units", 1, 1, 1, 0), ("units", 2, 2, 2, 0)]
    async with working.database.transaction() as tx:
        trail = await tx.tuples("SELECT before->>'measure', after->>'measure' FROM audit WHERE entity = 'capacity'"
                                " ORDER BY id")  # fmt: skip
    assert trail[-2:] == [("orders", "units"), (None, None)]  # what did not change is not told
