"""Field rules over the API and on their page: tried, saved, restored, carried in files; what orders say besides is read."""

from contextlib import AsyncExitStack
from pathlib import Path

import msgspec
import pytest
from linked_world import CODE, linked
from tests_http import open_shop

from malha.platform.db import Database

URL = f"/v1/connections/{CODE}/order-fields"
PAGE = f"/connections/{CODE}/fields"
SCRIPT = {"hx-request": "true", "x-slot": "#refusal"}  # what the page's script sends along
CPF = "529.982.247-25"
DOCUMENT = {"to": "buyer.document", "source": "attributes.cpf", "form": "document", "required": True}
GIFT = {"to": "gift_message", "source": "note"}
ENGRAVING = {"to": "line.attributes.engraving", "source": "line.attributes.Gravação"}


@pytest.fixture
async def made(database: Database, tmp_path: Path):
    """A connection that told two orders; one has no document."""
    async with linked(database, tmp_path) as world, AsyncExitStack() as stack:
        shop = await open_shop(stack, database, tmp_path, outward_allow=(world.peer.allowed,))
        line = {"sku": "A", "quantity": 1, "unit_price": 1000, "attributes": {"Gravação": "Ana"}}
        sold = [
            world.peer.sell("1001", note="Feliz Natal", attributes={"cpf": CPF}, lines=[line]),
            world.peer.sell("1002", note="Oi"),
        ]
        for order in sold:
            await world.receive(world.peer.webhook(order))
        yield world, shop, await shop.key(["network:read", "network:write", "orders:read"])


def put(shop, key, rules, version=0):
    return shop.http.put(URL, json={"version": version, "rules": rules}, headers=key)


async def test_rules_are_tried_then_saved_and_orders_that_wait_go_on(made):
    world, shop, key = made
    tried = (await shop.http.post(f"{URL}:try", json={"rules": [DOCUMENT, ENGRAVING]}, headers=key)).json()
    assert [each["order"] for each in tried] == ["1002", "1001"]
    assert [f["says"] for f in tried[0]["failed"]] == ["attributes.cpf is missing."]
    assert [(g["field"], g["line"], g["value"]) for g in tried[1]["given"]] == [
        ("buyer.document", None, "•••.982.247-••"),
        ("line.attributes.engraving", 1, "Ana"),
    ]
    full = await shop.key(["network:read", "network:write", "orders:read", "customers:reveal"])
    tried = (await shop.http.post(f"{URL}:try", json={"rules": [DOCUMENT], "most": 2}, headers=full)).json()
    assert tried[1]["given"][0]["value"] == "52998224725"
    blind = await shop.key(["network:read", "network:write"])
    tried = (await shop.http.post(f"{URL}:try", json={"rules": [GIFT]}, headers=blind)).json()
    assert {g["value"] for each in tried for g in each["given"]} == {"…"}
    assert (await put(shop, key, [DOCUMENT])).json() == {"version": 1, "orders": 0}
    await world.handle()
    shown = (await shop.http.get(URL, headers=key)).json()
    assert (shown["version"], shown["waiting"], shown["rules"]) == (1, 1, [DOCUMENT])
    assert {"note", "attributes.cpf", "line.attributes.Gravação"} <= set(shown["sources"])
    stored = await put(shop, key, [{**DOCUMENT, "required": False}, GIFT, ENGRAVING], 1)
    assert stored.json() == {"version": 2, "orders": 1}
    await world.handle()
    number = await world.values("SELECT id FROM sales_order WHERE external_id = '1002'")
    order = (await shop.http.get(f"/v1/orders/{number[0]}", headers=key)).json()
    assert order["details"] == {"gift_message": "Oi"}


async def test_rules_that_cannot_be_and_old_versions_are_refused_and_former_ones_restored(made):
    _, shop, key = made
    wrong = await put(shop, key, [{"to": "nothing", "source": "note"}, {"to": "note"}])
    assert wrong.status_code == 422
    assert [p["at"] for p in wrong.json()["errors"]] == ["/rules/0/to", "/rules/1/source"]
    assert (await put(shop, key, [GIFT])).status_code == 200
    late = await put(shop, key, [DOCUMENT])
    assert (late.status_code, late.json()["code"]) == (409, "field_rules_changed")
    assert (await put(shop, key, [], 1)).json()["version"] == 2
    restored = await shop.http.post(f"{URL}/versions/1/restore", json={"version": 2}, headers=key)
    assert restored.json() == {"version": 3, "orders": 0}
    gone = await shop.http.post(f"{URL}/versions/9/restore", json={"version": 3}, headers=key)
    assert (gone.status_code, gone.json()["code"]) == (404, "unknown_field_rules")
    versions = (await shop.http.get(f"{URL}/versions", headers=key)).json()
    assert [(v["version"], v["rules"]) for v in versions] == [(3, [GIFT]), (2, []), (1, [GIFT])]


async def test_an_order_that_comes_by_the_api_says_as_much(made):
    _, shop, _ = made
    key = await shop.key(["intake:submit", "orders:read"])
    body = {
        "channel": "web",
        "external_id": "api-1",
        "lines": [{"sku": "A", "quantity": 1, "unit_price": 1000}],
        "ship_to": {"state": "SP", "city": "Santos", "street": "Rua A"},
        "details": {"tags": ["vip"], "desired_on": "2026-12-24", "lines": [{"line": 1, "attributes": {"size": "M"}}]},
    }
    placed = await shop.http.post("/v1/orders", json=body, headers=key)
    assert placed.status_code in {200, 201}, placed.text
    again = await shop.http.post("/v1/orders", json=body, headers=key)
    assert again.json()["id"] == placed.json()["id"]
    other = await shop.http.post("/v1/orders", json={**body, "details": {"tags": ["new"]}}, headers=key)
    assert other.status_code == 409
    order = (await shop.http.get(f"/v1/orders/{placed.json()['id']}", headers=key)).json()
    assert order["details"] == body["details"]


def grid(rows, version=0, **more):
    cells = {f"rows/{n}/{name}": text for n, row in enumerate(rows) for name, text in row.items()}
    return {"version": str(version), "rows": str(len(rows)), **cells, **more}


async def test_the_page_tries_saves_and_says_what_is_wrong_in_the_cell_it_is_about(made):
    world, shop, _ = made
    owner = await shop.session()
    assert "attributes.cpf" in (await shop.http.get(PAGE, headers=owner)).text
    rows = [{}, {"to": "buyer.document", "source": "attributes.cpf", "form": "document", "required": "yes"}]
    tried = await shop.http.post(PAGE, data=grid(rows, act="try"), headers=owner)
    assert tried.status_code == 200
    assert "attributes.cpf is missing." in tried.text
    assert "52998224725" in tried.text
    assert await world.values("SELECT version FROM order_field_rules") == []
    for cell, text in (("to", "nothing"), ("values", "x"), ("form", "odd"), ("capture", "(")):
        bad = await shop.http.post(PAGE, data=grid([{}, {**rows[1], cell: text}], act="save"), headers=owner | SCRIPT)
        assert bad.status_code == 422, cell
        assert f'data-at="rows/1/{cell}"' in bad.text
    saved = await shop.http.post(PAGE, data=grid(rows, act="save"), headers=owner)
    assert saved.status_code in {200, 303}, saved.text
    await world.handle()
    shown = (await shop.http.get(PAGE, headers=owner)).text
    assert "1 order waits because a rule fails" in shown
    late = await shop.http.post(PAGE, data=grid(rows, act="save"), headers=owner)
    assert late.status_code == 409
    again = await shop.http.post(f"{PAGE}:restore", data={"version": "1", "number": "1"}, headers=owner)
    assert again.status_code in {200, 303}
    assert await world.values("SELECT max(version) FROM order_field_rules") == [2]


async def test_rows_move_are_copied_and_go_without_anything_being_written(made):
    world, shop, _ = made
    owner = await shop.session()
    rows = [{"to": "note", "default": "first"}, {"to": "seller", "default": "second"}]

    async def drawn(do: str) -> list[str]:
        page = (await shop.http.post(f"{PAGE}:arrange", data=grid(rows, do=do), headers=owner)).text
        return [text for text in page.split('value="') if text.startswith(('first"', 'second"'))]

    assert [text[:5] for text in await drawn("down:0")] == ["secon", "first"]
    assert [text[:5] for text in await drawn("up:1")] == ["secon", "first"]
    assert [text[:5] for text in await drawn("copy:0")] == ["first", "first", "secon"]
    assert [text[:5] for text in await drawn("remove:0")] == ["secon"]
    assert [text[:5] for text in await drawn("add")] == ["first", "secon"]
    assert await world.values("SELECT version FROM order_field_rules") == []


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
async def test_rules_leave_as_a_file_and_come_back_from_it(made, kind):
    _, shop, key = made
    owner = await shop.session()
    rules = [DOCUMENT, {"to": "pickup_location", "source": "attributes.s", "values": {"1": "S1", "2": "DC"}}]
    assert (await put(shop, key, rules)).status_code == 200
    file = (await shop.http.get(f"{PAGE}:export.{kind}", headers=owner)).content
    assert (await put(shop, key, [], 1)).status_code == 200
    sent = {"file": (f"rules.{kind}", file)}
    back = await shop.http.post(f"{PAGE}:import", data={"version": "2"}, files=sent, headers=owner)
    assert back.status_code in {200, 303}, back.text
    assert msgspec.convert((await shop.http.get(URL, headers=key)).json()["rules"], list[dict]) == rules


async def test_a_file_with_a_wrong_cell_changes_nothing_and_says_its_line(made):
    world, shop, _ = made
    owner = await shop.session()
    file = b"to;source;form\nnote;note;\nseller;note;odd\n"
    wrong = await shop.http.post(
        f"{PAGE}:import", data={"version": "0"}, files={"file": ("r.csv", file)}, headers=owner
    )
    assert wrong.status_code == 422
    assert "odd" in wrong.text
    file = b"to;source\nnote;note\nnothing;note\n"
    wrong = await shop.http.post(
        f"{PAGE}:import", data={"version": "0"}, files={"file": ("r.csv", file)}, headers=owner
    )
    assert wrong.status_code == 422
    assert "There is no field nothing." in wrong.text
    none = await shop.http.post(f"{PAGE}:import", data={"version": "0"}, headers=owner)
    assert none.status_code == 422
    assert await world.values("SELECT version FROM order_field_rules") == []
