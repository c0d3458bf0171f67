"""What is brought to stores, over the API and on the pages: turned on, promised, sent, listed, received."""

from typing import Any

import pytest
from tests_http import Shop

from malha.flows import order_to_cash
from malha.identity.model import Role
from malha.platform.ids import new_id
from malha.testing.builders import a_network, a_product

HTMX = {"hx-request": "true"}
ALL = [
    "network:read",
    "network:write",
    "orders:read",
    "orders:write",
    "intake:submit",
    "fulfillment:work",
    "stock:read",
    "stock:count",
]


@pytest.fixture
async def stores(shop: Shop) -> Shop:
    async with shop.database.transaction() as tx:
        world = await a_network(tx, policy="not_required")
        await tx.execute("UPDATE location SET can_pickup = kind = 'store'")
        await tx.execute("UPDATE location SET name = 'Depot' WHERE code = 'DC'")
        await tx.execute("UPDATE channel SET release_delay_minutes = 0")
        await a_product(tx, world, "A", stock={"DC": 5})
    shop.app.state.services.extra["gate"].cache.expire()  # it may have looked before there were channels
    return shop


async def ask(shop: Shop, key: dict[str, str], method: str, path: str, status: int = 200, **sent: Any) -> Any:
    headers = {**key, **sent.pop("headers", {})}
    answer = await shop.http.request(method, f"/v1{path}", headers=headers, **sent)
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


async def turned_on(shop: Shop, key: dict[str, str]) -> None:
    seen = await shop.http.get("/v1/locations/S1/origins", headers=key)
    body = {"origins": [{"origin": "DC", "days": 1, "price": 500}]}
    await ask(shop, key, "PUT", "/locations/S1/origins", 204, json=body, headers={"if-match": seen.headers["etag"]})
    shop.app.state.services.extra["gate"].cache.expire()  # what is stated counts for the next order here, not soon


async def ordered(shop: Shop, key: dict[str, str]) -> str:
    body = {
        "channel": "web",
        "external_id": str(new_id()),
        "lines": [{"sku": "A", "quantity": 2, "unit_price": 1_000}],
        "customer": {"name": "Maria Souza"},
        "method": "pickup",
        "pickup_location": "S1",
        "payments": [{"kind": "pix", "amount": 2_000, "state": "captured"}],
    }
    order = await ask(shop, key, "POST", "/orders", 201, json=body)
    await order_to_cash.release_due(shop.database)
    return str(order["id"])


async def test_a_store_is_turned_on_and_an_order_walks_from_promise_to_arrival(stores: Shop) -> None:
    key = await stores.key(ALL)
    wanted = {"channel": "web", "lines": [{"sku": "A", "quantity": 2}]}
    nothing = await ask(stores, key, "POST", "/promises", json=wanted)
    assert nothing["collections"] == []
    await turned_on(stores, key)
    assert await ask(stores, key, "GET", "/locations/S1/origins") == [
        {"code": "DC", "name": "Depot", "days": 1, "price": 500}
    ]
    offered = await ask(stores, key, "POST", "/promises", json=wanted)
    (found,) = offered["collections"]
    assert (found["location"], found["brought"]) == ("S1", True)
    order_id = await ordered(stores, key)
    why = await ask(stores, key, "GET", f"/orders/{order_id}/routing")
    assert why["alternatives"][0]["parcels"][0]["brought_days"] == 1
    assert any("S1" in sentence and "Depot" in sentence for sentence in why["sentences"])
    (coming,) = await ask(stores, key, "GET", "/locations/S1/coming")
    assert (coming["state"], coming["units"], coming["transfer"], coming["buyer_name"]) == (
        "open",
        2,
        None,
        "Maria Souza",
    )
    (work,) = await ask(stores, key, "GET", "/fulfillments?location=DC")
    assert (work["method"], work["to_location"]) == ("transfer", "S1")
    await ask(stores, key, "POST", f"/fulfillments/{work['id']}/pick", json={})
    assert (await ask(stores, key, "POST", f"/fulfillments/{work['id']}/pack", 409, json={}))["code"] == "wrong_method"
    sent = await ask(stores, key, "POST", f"/fulfillments/{work['id']}/send", json={"carrier": "Van"})
    assert sent["work"]["state"] == "closed"
    (coming,) = await ask(stores, key, "GET", "/locations/S1/coming")
    assert (coming["state"], coming["transfer"]) == ("sent", sent["transfer"])
    done = await ask(
        stores, key, "POST", f"/transfers/{sent['transfer']}/receive", json={"lines": [{"sku": "A", "quantity": 2}]}
    )
    assert done["state"] == "closed"
    assert await ask(stores, key, "GET", "/locations/S1/coming") == []
    await order_to_cash.release_due(stores.database)
    (work,) = await ask(stores, key, "GET", "/fulfillments?location=S1")
    assert (work["method"], work["units"]) == ("pickup", 2)


async def test_people_turn_it_on_send_and_receive_on_pages(stores: Shop) -> None:
    boss = await stores.session(Role.OWNER)

    async def page(path: str, status: int = 200) -> str:
        answer = await stores.http.get(path, headers=boss)
        assert answer.status_code == status, answer.text[:1000]
        return answer.text

    async def send(path: str, status: int = 200, **fields: Any) -> str:
        answer = await stores.http.post(path, data=fields, headers={**boss, **HTMX})
        assert answer.status_code == status, answer.text[:1000]
        return answer.headers.get("hx-redirect", answer.text)

    assert "only what is here" in await page("/locations/S1")
    assert "From nowhere" in await page("/locations/S1/brought")
    assert "neither fetched here nor shipped" not in await page("/locations/DC/brought")  # it ships
    async with stores.database.transaction() as tx:
        await tx.execute("UPDATE location SET can_ship = false WHERE code = 'DC'")
    assert "neither fetched here nor shipped" in await page("/locations/DC/brought")
    assert "Line 2 cannot be read" in await send("/locations/S1/brought", 422, version="1", origins="DC 1 5.00\nwhat?")
    assert "no location NOPE" in await send("/locations/S1/brought", 422, version="1", origins="NOPE; 1; 5.00")
    assert await send("/locations/S1/brought", version="1", origins="DC;1;5.00") == "/locations/S1/brought"
    await send("/locations/S1/brought", 409, version="1", origins="")
    assert "Depot" in await page("/locations/S1")
    key = await stores.key(ALL)
    order_id = await ordered(stores, key)
    async with stores.database.transaction() as tx:
        number = await tx.value("SELECT number FROM sales_order")
        work = str(await tx.value("SELECT id FROM fulfillment_order"))
    shown = await page("/locations/S1/brought")
    assert "Maria Souza" in shown
    assert "To accept" in shown
    assert "for S1" in await page("/fulfillment")
    await send(f"/orders/{number}/accept", work=work)
    await ask(stores, key, "POST", f"/fulfillments/{work}/pick", json={})
    assert "Send to S1" in await page(f"/orders/{number}")
    await send(f"/orders/{number}/send", 422, work=work, eta="soon")
    await send(f"/orders/{number}/send", work=work, carrier="Van")
    shown = await page(f"/orders/{number}")
    assert "on its way to the store" in shown
    assert "/transfers/1" in shown
    assert f"#{number}" in await page("/transfers/1")
    assert "/transfers/1/receive" in await page("/locations/S1/brought")
    await ask(stores, key, "POST", "/transfers/1/receive", json={"lines": [{"sku": "A", "quantity": 2}]})
    assert "nothing is on its way" in await page("/locations/S1/brought")
    await order_to_cash.release_due(stores.database)
    assert "Sent to the store" not in await page("/locations/S1")
    units = (await ask(stores, key, "GET", f"/orders/{order_id}"))["units"]
    assert {unit["location"] for unit in units} == {"S1"}


async def test_a_store_sees_what_comes_to_it_and_nobody_elses(stores: Shop) -> None:
    key = await stores.key(ALL)
    await turned_on(stores, key)
    await ordered(stores, key)
    mine = await stores.session(Role.STORE_LEAD, email="s1@loja.test", locations=["S1"])
    other = await stores.session(Role.STORE_LEAD, email="s2@loja.test", locations=["S2"])
    shown = await stores.http.get("/locations/S1/brought", headers=mine)
    assert "Maria Souza" in shown.text
    assert (await stores.http.get("/locations/S1/brought", headers=other)).status_code == 404
    assert "Maria Souza" not in (await stores.http.get("/locations/S2/brought", headers=other)).text
    told = await stores.http.post("/locations/S1/brought", data={"version": "2", "origins": ""}, headers=mine)
    assert told.status_code == 403
    async with stores.database.transaction() as tx:
        assert await tx.value("SELECT count(*) FROM store_lane") == 1
    narrow = await stores.key(ALL, locations=["S2"])
    await ask(stores, narrow, "GET", "/locations/S1/coming", 404)
    await ask(stores, narrow, "GET", "/locations/S1/origins", 404)
