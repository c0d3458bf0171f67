"""Goods that no location has, by API and page: the list, the ways out, and who may take them."""

import re
from typing import Any

import pytest
from tests_http import Shop

from malha.identity.model import Role
from malha.inventory import service as inventory
from malha.inventory.model import Claim, Reference
from malha.ordering.model import HoldKind
from malha.platform.ids import UUID
from malha.testing.builders import Sold, World, a_network, a_product, an_order

ONCE = {"idempotency-key": "once"}
RIGHTS = {"orders:read", "orders:write", "orders:cancel", "orders:release_hold", "stock:count", "stock:approve"}


class Short:
    """An order for two red cups that nobody has and a blue one that the distribution centre has."""

    world: World
    red: int
    order_id: UUID
    number: int


@pytest.fixture
async def short(shop: Shop) -> Short:
    made = Short()
    async with shop.database.transaction() as tx:
        made.world = await a_network(tx)
        made.red = await a_product(tx, made.world, "RED")
        blue = await a_product(tx, made.world, "BLUE", stock={"DC": 5})
        await tx.execute(
            "INSERT INTO variant_substitute (variant_id, substitute_id, position) VALUES (%(a)s, %(b)s, 0)",
            {"a": made.red, "b": blue},
        )
        made.order_id = await an_order(
            tx, made.world, [Sold(made.red, 2, at=None), Sold(blue)], channel="mall", holds=[HoldKind.SHORTAGE]
        )
        made.number = await tx.value("SELECT number FROM sales_order")
    return made


async def listed(shop: Shop, key: dict[str, str], **query: Any) -> list[dict[str, Any]]:
    answer = await shop.http.get("/v1/shortages", params=query, headers=key)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def taken(shop: Shop, short: Short, key: dict[str, str], said: dict[str, Any]) -> Any:
    return await shop.http.post(f"/v1/orders/{short.order_id}/shortage", json=said, headers=key | ONCE)


async def test_a_program_reads_what_lacks_and_what_may_be_done(shop: Shop, short: Short) -> None:
    key = await shop.key(RIGHTS)
    (item,) = await listed(shop, key)
    assert item["order"]["number"] == short.number
    assert [(x["sku"], x["quantity"]) for x in item["order"]["lines"]] == [("RED", 2)]
    assert [(s["way"], s["line"], s["quantity"]) for s in item["suggestions"]] == [
        ("substitute", 1, 2), ("split", 0, 1), ("cancel", 1, 2),
    ]  # fmt: skip
    assert await listed(shop, key, q="blue") == []
    assert await listed(shop, key, decide=True) == []


async def test_a_way_is_taken_once_and_named_when_it_is_closed(shop: Shop, short: Short) -> None:
    key = await shop.key(RIGHTS)
    done = await taken(shop, short, key, {"way": "split"})
    assert done.status_code == 200, done.text
    assert done.json()["taken"] == {"way": "split", "quantity": 1, "lacking": 2, "transfer": None}
    again = await taken(shop, short, key, {"way": "split"})
    assert again.headers["idempotent-replayed"] == "true"
    other = {**key, "idempotency-key": "twice"}
    refused = await shop.http.post(f"/v1/orders/{short.order_id}/shortage", json={"way": "split"}, headers=other)
    assert (refused.status_code, refused.json()["code"]) == (409, "shortage_way_closed")


async def test_who_may_not_cancel_does_not_cancel(shop: Shop, short: Short) -> None:
    key = await shop.key({"orders:read", "orders:write"})
    refused = await taken(shop, short, key, {"way": "cancel", "line": 1})
    assert refused.status_code == 403
    done = await shop.http.post(
        f"/v1/orders/{short.order_id}/shortage",
        json={"way": "substitute", "line": 1, "sku": "BLUE"},
        headers={**key, "idempotency-key": "other"},
    )
    assert done.json()["taken"]["lacking"] == 0
    assert await listed(shop, key) == []


async def test_the_number_of_decisions_is_changed_by_version(shop: Shop, short: Short) -> None:
    key = await shop.key({"orders:read", "settings:manage"})
    said = {"most_decisions": 2, "version": 0}
    assert (await shop.http.get("/v1/reroute-policy", headers=key)).json() == {"most_decisions": 5, "version": 0}
    changed = await shop.http.put("/v1/reroute-policy", json=said, headers=key)
    assert changed.json() == {"most_decisions": 2, "version": 1}
    assert (await shop.http.put("/v1/reroute-policy", json=said, headers=key)).status_code == 409
    wrong = await shop.http.put("/v1/reroute-policy", json={"most_decisions": 0, "version": 1}, headers=key)
    assert wrong.status_code == 422


async def test_the_page_shows_what_lacks_and_a_press_does_it(shop: Shop, short: Short) -> None:
    owner = await shop.session()
    page = (await shop.http.get("/shortages", headers=owner)).text
    assert f'href="/orders/{short.number}"' in page
    assert "Replace by BLUE" in page
    assert "Cancel 2 units" in page
    forms = [dict(re.findall(r'name="(\w+)" value="([^"]*)"', form)) for form in page.split("<form")[1:]]
    (form,) = [form for form in forms if form.get("way") == "cancel"]
    sent = await shop.http.post(f"/shortages/{short.number}", data=form, headers=owner)
    assert sent.status_code == 303, sent.text
    page = (await shop.http.get("/shortages", headers=owner)).text
    assert "No order lacks goods" in page
    trail = (await shop.http.get("/audit", headers=owner)).text
    assert "acted on missing goods" in trail


async def test_many_are_tried_again_at_once(shop: Shop, short: Short) -> None:
    owner = await shop.session()
    press = {"order": str(short.number), "next": "/shortages"}
    told = await shop.http.post("/shortages:retry", data=press, headers=owner)
    assert told.status_code == 303
    assert f"#{short.number}" in (await shop.http.get("/shortages", headers=owner)).text
    async with shop.database.transaction() as tx:
        await inventory.receive(tx, [Claim(short.red, short.world.locations["DC"], 2)], Reference("test"))
    await shop.http.post("/shortages:retry", data=press, headers=owner)
    assert f"#{short.number}" not in (await shop.http.get("/shortages", headers=owner)).text


async def test_the_cap_is_changed_on_the_page(shop: Shop, short: Short) -> None:
    owner = await shop.session()
    sent = await shop.http.post("/shortages:policy", data={"most_decisions": "3", "version": "0"}, headers=owner)
    assert sent.status_code == 303
    assert "3 decisions by itself" in (await shop.http.get("/shortages", headers=owner)).text


async def test_who_reads_only_sees_no_way_out_and_a_store_only_its_own_orders(shop: Shop, short: Short) -> None:
    auditor = await shop.session(Role.AUDITOR)
    page = (await shop.http.get("/shortages", headers=auditor)).text
    assert f"#{short.number}" in page
    assert "Cancel 2 units" not in page
    refused = await shop.http.post(f"/shortages/{short.number}", data={"way": "split"}, headers=auditor)
    assert refused.status_code == 403
    store = await shop.session(Role.STORE_LEAD, locations=["S1"])
    assert f"#{short.number}" not in (await shop.http.get("/shortages", headers=store)).text
    hidden = await shop.http.post(f"/shortages/{short.number}", data={"way": "split"}, headers=store)
    assert hidden.status_code == 404


async def test_the_list_leaves_as_a_file(shop: Shop, short: Short) -> None:
    owner = await shop.session()
    sent = await shop.http.get("/shortages:export.csv", headers=owner)
    assert sent.status_code == 200
    assert "RED" in sent.text
