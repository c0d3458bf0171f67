"""Selling ahead over HTTP: what may be promised by day is what the gate promises, and who waits is told."""

import asyncio

import pytest
from tests_http import Shop

from malha.intake.reference import REFRESH_SECONDS
from malha.testing.builders import a_network, a_product

RIGHTS = [
    "stock:read", "stock:write", "stock:count", "catalog:read", "catalog:write", "intake:submit", "network:read",
    "orders:read",
]  # fmt: skip
ADDRESS = {"postal_code": "01310100", "city": "São Paulo", "state": "SP", "street": "Av. Paulista", "number": "1"}


@pytest.fixture
async def sold(shop: Shop) -> Shop:
    async with shop.database.transaction() as tx:
        shop.world = await a_network(tx)
        await a_product(tx, shop.world, "CUP", stock={"DC": 1})
    shop.headers = await shop.key(RIGHTS)
    return shop


async def ask(shop: Shop, path: str, **params: object) -> dict:
    answer = await shop.http.get(path, params=params, headers=shop.headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def post(shop: Shop, path: str, body: dict, status: int = 200) -> dict:
    answer = await shop.http.post(path, json=body, headers=shop.headers)
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else {}


async def on_order(shop: Shop, units: int, day: str, place: str = "DC") -> int:
    body = {"kind": "purchase", "supplier": "Sul", "location": place,
            "lines": [{"sku": "CUP", "quantity": units, "eta": day}]}  # fmt: skip
    return (await post(shop, "/v1/purchase-orders", body, 201))["number"]


def an_order(name: str, units: int, channel: str = "mall") -> dict:
    return {"channel": channel, "external_id": name, "ship_to": ADDRESS,
            "lines": [{"sku": "CUP", "quantity": units, "unit_price": 1000}]}  # fmt: skip


async def test_what_may_be_promised_by_day_is_what_an_order_gets(sold: Shop) -> None:
    await on_order(sold, 3, "2099-01-10")
    number = await on_order(sold, 4, "2099-02-10", "S1")
    assert (await ask(sold, "/v1/availability", channel="mall", sku="CUP"))["skus"][0]["ahead"] == []
    policy = await post(sold, "/v1/products/CUP/ahead", {"mode": "backorder", "channel": "mall", "cap": 6})
    offer = (await ask(sold, "/v1/availability", channel="mall", sku="CUP"))["skus"][0]
    assert offer["available"] == 1
    assert offer["ahead"] == [{"day": "2099-01-10", "units": 3}, {"day": "2099-02-10", "units": 3}]  # the cap
    assert (await ask(sold, "/v1/availability", channel="web", sku="CUP"))["skus"][0]["ahead"] == []
    basket = {"channel": "mall", "to_state": "SP", "lines": [{"sku": "CUP", "quantity": 5}]}
    told = await post(sold, "/v1/availability:check", basket)
    assert (told["available"], told["covered"]) == (False, True)
    assert told["lines"] == [
        {"line": 1, "sku": "CUP", "asked": 5, "available": 1, "ahead": 4, "ahead_day": "2099-02-10", "substitutes": []}
    ]
    await asyncio.sleep(REFRESH_SECONDS + 0.1)  # the gate was open before there was a network
    placed = await post(sold, "/v1/orders", an_order("A", 5), 201)
    assert placed["status"] == "backordered"
    assert [(x["quantity"], x["state"]) for x in placed["lines"]] == [(1, "allocated"), (4, "backordered")]
    view = await ask(sold, f"/v1/orders/{placed['id']}")
    assert [(a["number"], a["eta"], a["quantity"]) for a in view["awaits"]] == [
        (number - 1, "2099-01-10", 3), (number, "2099-02-10", 1)
    ]  # fmt: skip
    assert [(s["promised"], s["expected"]) for s in await ask(sold, "/v1/supply", sku="CUP")] == [(3, 3), (1, 4)]
    listed = await ask(sold, "/v1/supply-claims", q="CUP", limit=1)
    assert listed["items"][0]["order_number"] == placed["number"]
    rest = await ask(sold, "/v1/supply-claims", q="CUP", cursor=listed["next"])
    assert [x["quantity"] for x in rest["items"]] == [1]
    (stated,) = await ask(sold, "/v1/products/CUP/ahead")
    assert (stated["waiting"], stated["version"]) == (4, policy["version"])
    refused = await post(sold, "/v1/orders", an_order("B", 3), 409)
    assert refused["code"] == "out_of_stock"


async def test_a_policy_is_changed_by_who_saw_it_and_can_be_taken_away(sold: Shop) -> None:
    made = await post(sold, "/v1/products/CUP/ahead", {"mode": "backorder"})
    late = await post(sold, "/v1/products/CUP/ahead", {"mode": "none"}, 409)
    assert late["code"] == "ahead_policy_changed"
    changed = await post(sold, "/v1/products/CUP/ahead", {"mode": "none", "version": made["version"]})
    wrong = await post(sold, "/v1/products/CUP/ahead", {"mode": "preorder", "sku": "NO", "channel": "no"}, 422)
    assert {p["at"] for p in wrong["errors"]} == {"/sku", "/channel"}
    wrong = await post(sold, "/v1/products/CUP/ahead", {"mode": "preorder", "sku": "CUP"}, 422)
    assert [p["at"] for p in wrong["errors"]] == ["/release_on"]
    dated = {"mode": "backorder", "sku": "CUP", "release_on": "2099-01-10"}
    wrong = await post(sold, "/v1/products/CUP/ahead", dated, 422)
    assert [p["at"] for p in wrong["errors"]] == ["/release_on"]
    path = f"/v1/products/CUP/ahead/{made['id']}/remove"
    assert (await post(sold, path, {"version": made["version"]}, 409))["code"] == "ahead_policy_changed"
    await post(sold, path, {"version": changed["version"]}, 204)
    assert await ask(sold, "/v1/products/CUP/ahead") == []
    assert (await post(sold, path, {"version": 3}, 404))["code"] == "unknown_ahead_policy"
    again = await post(sold, "/v1/products/CUP/ahead", {"mode": "backorder"})
    assert again["id"] == made["id"]
