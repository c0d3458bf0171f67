"""Many orders in one request, over HTTP."""

import json

import pytest
from tests_http import Shop

from malha.network import reads as network
from malha.platform import revisions
from malha.testing.builders import a_network, a_product


@pytest.fixture
async def sold(shop: Shop) -> Shop:
    async with shop.database.transaction() as tx:
        world = await a_network(tx)
        await a_product(tx, world, "CUP", stock={"DC": 9})
        await revisions.bump(tx, network.REVISION)
    shop.headers = await shop.key(["intake:submit"])
    return shop


def batch(*numbers: str) -> bytes:
    lines = [{"sku": "CUP", "quantity": 1, "unit_price": 1000}]
    to = {"postal_code": "01310100", "city": "São Paulo", "state": "SP", "street": "Av. Paulista", "number": "1"}
    return json.dumps([{"channel": "web", "external_id": n, "ship_to": to, "lines": lines} for n in numbers]).encode()


async def test_a_batch_without_an_order_says_so(sold: Shop) -> None:
    empty = await sold.http.post("/v1/orders:batch", content=b" [ ] ", headers=sold.headers)
    assert (empty.status_code, empty.json()["code"]) == (422, "invalid")
    assert empty.json()["errors"] == [
        {"at": "", "says": "There is no order in the list.", "mend": "Send at least one order."}
    ]
    nothing = await sold.http.post("/v1/orders:batch", content=b"\n", headers=sold.headers)
    assert (nothing.status_code, nothing.json()["code"]) == (400, "malformed_body")


async def test_the_key_of_a_batch_names_it_and_no_other(sold: Shop) -> None:
    key = {**sold.headers, "idempotency-key": "batch-1"}
    first = (await sold.http.post("/v1/orders:batch", content=batch("1", "2"), headers=key)).json()
    again = (await sold.http.post("/v1/orders:batch", content=batch("1", "2"), headers=key)).json()
    assert first["refused"] == 0, first["results"]
    assert (first["accepted"], again["accepted"], again["duplicates"]) == (2, 0, 2)
    assert [r["order"]["id"] for r in again["results"]] == [r["order"]["id"] for r in first["results"]]
    other = await sold.http.post("/v1/orders:batch", content=batch("1", "3"), headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    long = await sold.http.post("/v1/orders:batch", content=batch("3"), headers={**key, "idempotency-key": "x" * 201})
    assert (long.status_code, long.json()["code"]) == (422, "idempotency_key_unusable")
    unnamed = await sold.http.post("/v1/orders:batch", content=batch("1", "3"), headers=sold.headers)
    assert (unnamed.json()["accepted"], unnamed.json()["duplicates"]) == (1, 1)


async def test_orders_whose_external_id_is_blank_are_not_taken_for_one(sold: Shop) -> None:
    """The second one was answered as the first: a purchase that happened to be the same was lost."""
    for _ in range(2):
        (order,) = json.loads(batch("  "))
        alone = await sold.http.post("/v1/orders", json=order, headers=sold.headers)
        assert (alone.status_code, alone.json()["code"]) == (422, "natural_key_missing"), alone.text
        assert alone.json()["errors"][0]["at"] == "/external_id"
    answer = await sold.http.post("/v1/orders:batch", content=batch("1", " "), headers=sold.headers)
    assert [result["status"] for result in answer.json()["results"]] == [201, 422]


async def test_what_is_wrong_inside_an_order_is_refused_for_that_order_alone(sold: Shop) -> None:
    orders = [json.dumps(each).encode() for each in json.loads(batch("1", "2", "3"))]
    orders[1] = orders[1][:-1] + b', "channel": "web"}'
    orders[2] = orders[2][:-1] + b', "customer": {"name": "Ana\\u0000"}}'
    for sent in (b"[" + b",".join(orders) + b"]", b"\n".join(orders)):
        answer = await sold.http.post("/v1/orders:batch", content=sent, headers=sold.headers)
        assert answer.status_code == 200, answer.text
        assert answer.json()["accepted"] + answer.json()["duplicates"] == 1
        assert [r["problem"]["errors"][0]["at"] for r in answer.json()["results"][1:]] == ["/channel", "/customer/name"]
