"""Products made of what a connection tells, over the API: held, accepted, refused with the reason, taken back."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from linked_world import CODE, linked
from tests_http import open_shop

from malha.channels.connecting import making, products, turns
from malha.identity.model import Role
from malha.platform.db import Database

ROLE = f"/v1/connections/{CODE}/product-role"
NEW = f"/v1/connections/{CODE}/new-products"
ACCEPTED = f"/v1/connections/{CODE}/product-acceptances"
PERMISSIONS = ["network:read", "network:write", "settings:manage", "catalog:read", "catalog:write"]
MANTA = {"product": "MANTA", "product_name": "Manta", "price": 9990}


@pytest.fixture
async def made(database: Database, tmp_path: Path):
    """A connection that read a product of two variants, and one that cannot be made; it makes nothing yet."""
    async with linked(database, tmp_path) as world, AsyncExitStack() as stack:
        world.peer.products = [
            {"id": "p", "sku": "MANTA-P", "name": "Manta P", **MANTA},
            {"id": "g", "sku": "MANTA-G", "name": "Manta G", **MANTA},
            {"id": "r", "sku": "RUIM", "name": "Ruim", "ncm": "12"},
        ]
        await products.ensure(world.runtime)
        await turns.work(world.runtime, products.STREAM, products.read, asyncio.Event())
        shop = await open_shop(stack, database, tmp_path, outward_allow=(world.peer.allowed,))
        yield world, shop, await shop.key(PERMISSIONS)


async def test_new_products_are_held_accepted_refused_by_name_and_taken_back(made):
    world, shop, key = made
    refused = await shop.http.post(f"{NEW}/accept", json={}, headers=key)
    assert (refused.status_code, refused.json()["code"]) == (409, "makes_no_products"), refused.text
    body = {"fields": ["brand"], "new_products": "held"}
    stored = await shop.http.put(ROLE, json=body, headers={**key, "If-Match": '"0"'})
    assert stored.status_code == 200, stored.text
    assert (await shop.http.get(ROLE, headers=key)).json()["new_products"] == "held"
    first = (await shop.http.get(f"{NEW}?limit=2", headers=key)).json()
    assert [(item["code"], item["parent"]) for item in first["items"]] == [("MANTA-G", "MANTA"), ("MANTA-P", "MANTA")]
    rest = (await shop.http.get(f"{NEW}?limit=2&cursor={first['next']}", headers=key)).json()["items"]
    assert [item["code"] for item in rest] == ["RUIM"]
    found = (await shop.http.get(f"{NEW}?q=MANTA", headers=key)).json()["items"]
    assert [item["code"] for item in found] == ["MANTA-G", "MANTA-P"]
    accepted = (await shop.http.post(f"{NEW}/accept", json={}, headers=key)).json()
    assert accepted["count"] == 3
    making_now = (await shop.http.get(f"{NEW}?view=making", headers=key)).json()["items"]
    assert len(making_now) == 3
    await making.work(world.runtime, asyncio.Event())
    product = (await shop.http.get("/v1/products/MANTA", headers=key)).json()
    assert [v["sku"] for v in product["variants"]] == ["MANTA-G", "MANTA-P"]
    (bad,) = (await shop.http.get(f"{NEW}?view=refused", headers=key)).json()["items"]
    assert (bad["code"], bad["problems"][0]["field"]) == ("RUIM", "ncm")
    (batch,) = (await shop.http.get(ACCEPTED, headers=key)).json()["items"]
    assert (batch["id"], batch["asked"], batch["made"]) == (accepted["acceptance"], 3, 2)
    told = (await shop.http.get(f"{ACCEPTED}/{batch['id']}/products", headers=key)).json()["items"]
    assert [(each["sku"], each["product"], each["state"]) for each in told] == [
        ("MANTA-G", "MANTA", "made"), ("MANTA-P", "MANTA", "made"),
    ]  # fmt: skip
    undone = await shop.http.post(f"{ACCEPTED}/{batch['id']}/undo", headers=key)
    assert undone.status_code in (200, 204), undone.text
    again = await shop.http.post(f"{ACCEPTED}/{batch['id']}/undo", headers=key)
    assert (again.status_code, again.json()["code"]) == (409, "nothing_to_take_back"), again.text
    await making.work(world.runtime, asyncio.Event())
    assert (await shop.http.get("/v1/products/MANTA", headers=key)).status_code == 404


async def test_who_may_not_change_the_catalogue_cannot_accept(made):
    _, shop, _ = made
    only = await shop.key(["network:read", "network:write"])
    assert (await shop.http.post(f"{NEW}/accept", json={}, headers=only)).status_code == 403
    assert (await shop.http.get(NEW, headers=only)).status_code == 200
    other = await shop.key(["catalog:write"])
    assert (await shop.http.get(NEW, headers=other)).status_code == 403


async def test_the_page_says_why_something_cannot_be_made_and_sends_the_list_as_a_file(made):
    _, shop, key = made
    await shop.http.put(ROLE, json={"fields": [], "new_products": "held"}, headers={**key, "If-Match": '"0"'})
    owner = await shop.session()
    page = await shop.http.get(f"/connections/{CODE}/new-products", headers=owner)
    assert page.status_code == 200, page.text
    assert "NCM" in page.text
    sent = await shop.http.get(f"/connections/{CODE}/new-products:export.csv?q=RUIM", headers=owner)
    assert "RUIM" in sent.text
    assert "MANTA" not in sent.text


async def test_who_may_not_change_connections_sets_none_of_its_variants_aside(made):
    world, shop, key = made
    await shop.http.put(ROLE, json={"fields": [], "new_products": "held"}, headers={**key, "If-Match": '"0"'})
    page = f"/connections/{CODE}/new-products"
    limited = await shop.session(Role.INTEGRATOR, email="integra@loja.test")
    assert 'value="ignore"' not in (await shop.http.get(page, headers=limited)).text
    answer = await shop.http.post(page, data={"act": "ignore", "pick": "RUIM"}, headers=limited)
    assert answer.status_code == 403
    assert (await shop.http.get(f"{page}?q=%00&after=%00", headers=limited)).status_code == 200
    owner = await shop.session()
    assert 'value="ignore"' in (await shop.http.get(page, headers=owner)).text
    await shop.http.post(page, data={"act": "ignore", "pick": "RUIM"}, headers=owner)
    assert await world.values("SELECT code FROM channel_variant WHERE ignored") == ["RUIM"]


async def test_categories_are_told_apart_and_said_by_code(made):
    world, shop, key = made
    categories = f"/v1/connections/{CODE}/product-categories"
    await shop.http.put(ROLE, json={"fields": ["category"], "new_products": "once"}, headers={**key, "If-Match": '"0"'})
    world.peer.products = [{"id": "p", "sku": "MANTA-P", "name": "Manta P", "category": "Casa > Mantas", "version": 2}]
    async with world.database.transaction() as tx:
        await tx.execute("UPDATE connection_cursor SET value = NULL, next_at = now()")
        await tx.execute("INSERT INTO category (code, name, path) VALUES ('mantas', 'Mantas', 'mantas')")
    await turns.work(world.runtime, products.STREAM, products.read, asyncio.Event())
    await making.work(world.runtime, asyncio.Event())
    (told,) = (await shop.http.get(categories, headers=key)).json()["items"]
    assert told == {"theirs": "Casa > Mantas", "ours": None, "said": False}
    unknown = {"items": [{"theirs": "Casa > Mantas", "ours": "nenhuma"}]}
    assert (await shop.http.put(categories, json=unknown, headers=key)).status_code == 422
    said = {"items": [{"theirs": "Casa > Mantas", "ours": "mantas"}]}
    assert (await shop.http.put(categories, json=said, headers=key)).status_code in (200, 204)
    await making.work(world.runtime, asyncio.Event())
    assert (await shop.http.get("/v1/products/MANTA-P", headers=key)).json()["category"] == "mantas"
    page = await shop.http.get(f"/connections/{CODE}/categories", headers=await shop.session())
    assert page.status_code == 200, page.text
    assert "Casa &gt; Mantas" in page.text


async def test_what_was_made_at_once_is_listed_and_taken_back_over_the_api(made):
    world, shop, key = made
    at_once = f"/v1/connections/{CODE}/products-made-at-once"
    body = {"fields": [], "new_products": "once"}
    await shop.http.put(ROLE, json=body, headers={**key, "If-Match": '"0"'})
    await again(world)
    first = (await shop.http.get(f"{at_once}?limit=1", headers=key)).json()
    rest = (await shop.http.get(f"{at_once}?limit=1&cursor={first['next']}", headers=key)).json()
    assert {each["items"][0]["code"] for each in (first, rest)} == {"MANTA-P", "MANTA-G"}
    assert rest["next"] is None
    (item,) = (await shop.http.get(f"{at_once}?q=MANTA-P", headers=key)).json()["items"]
    assert (item["sku"], item["product"], item["state"], item["reasons"]) == ("MANTA-P", "MANTA", "made", [])
    reader = await shop.key(["network:read", "network:write"])
    assert (await shop.http.post(f"{at_once}/undo", json={}, headers=reader)).status_code == 403
    taken = await shop.http.post(f"{at_once}/undo", json={"codes": ["MANTA-P"]}, headers=key)
    assert taken.json() == {"count": 1}, taken.text
    refused = await shop.http.post(f"{at_once}/undo", json={"codes": ["MANTA-P", "NADA"]}, headers=key)
    assert (refused.status_code, refused.json()["code"]) == (409, "not_made_at_once"), refused.text
    await making.work(world.runtime, asyncio.Event())
    (item,) = (await shop.http.get(f"{at_once}?view=undone", headers=key)).json()["items"]
    assert item["code"] == "MANTA-P"
    assert item["undo_person"]
    held = (await shop.http.get(NEW, headers=key)).json()["items"]
    assert [each["code"] for each in held] == ["MANTA-P"]
    all_of = await shop.http.post(f"{at_once}/undo", json={"q": "manta"}, headers=key)
    assert all_of.json() == {"count": 1}, all_of.text


async def test_the_page_of_what_was_made_at_once_searches_sends_a_file_and_takes_back(made):
    world, shop, key = made
    await shop.http.put(ROLE, json={"fields": [], "new_products": "once"}, headers={**key, "If-Match": '"0"'})
    await again(world)
    page, owner = f"/connections/{CODE}/new-products", await shop.session()
    shown = await shop.http.get(f"{page}?view=at_once&q=MANTA-G", headers=owner)
    assert "MANTA-G" in shown.text
    assert "MANTA-P" not in shown.text
    sent = await shop.http.get(f"{page}:export.csv?view=at_once&q=MANTA-G", headers=owner)
    assert "MANTA-G" in sent.text
    assert "MANTA-P" not in sent.text
    nothing = await shop.http.post(page, data={"act": "take-back"}, headers=owner)
    assert nothing.status_code == 422
    done = await shop.http.post(page, data={"act": "take-all-back", "q": "MANTA-G"}, headers=owner)
    assert done.status_code in (200, 303), done.text
    assert await world.values("SELECT code FROM product_at_once WHERE state = 'going'") == ["MANTA-G"]
    picked = await shop.http.post(page, data={"act": "take-back", "pick": "MANTA-P"}, headers=owner)
    assert picked.status_code in (200, 303), picked.text
    await making.work(world.runtime, asyncio.Event())
    assert (await shop.http.get("/v1/products/MANTA", headers=key)).status_code == 404
    for odd in ("?view=at_once&after=nonsense", "?view=at_once&after=2026-01-01|x", "?view=at_once&q=%00&after=%00"):
        assert (await shop.http.get(page + odd, headers=owner)).status_code == 200
    reader = await shop.session(Role.AUDITOR, email="confere@loja.test")
    assert 'value="take-back"' not in (await shop.http.get(f"{page}?view=at_once", headers=reader)).text
    answer = await shop.http.post(page, data={"act": "take-back", "pick": "MANTA-P"}, headers=reader)
    assert answer.status_code == 403


async def again(world) -> None:
    """Read once more, now that the connection makes what it reads, and have it made."""
    async with world.database.transaction() as tx:
        await tx.execute("UPDATE connection_cursor SET value = NULL, next_at = now()")
    await turns.work(world.runtime, products.STREAM, products.read, asyncio.Event())
    await making.work(world.runtime, asyncio.Event())
