"""A connection that keeps fields of products, over the API: chosen by version, tried, refused, held, told to people."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from linked_world import CODE, linked
from tests_http import open_shop

from malha.catalog import ownership
from malha.channels.connecting import mastering, products, turns
from malha.platform.db import Database

URL = f"/v1/connections/{CODE}/product-role"
PERMISSIONS = ["network:read", "network:write", "settings:manage", "catalog:read", "catalog:write"]


@pytest.fixture
async def made(database: Database, tmp_path: Path):
    """A connection that read one product of the channel, with an NCM that is none."""
    async with linked(database, tmp_path) as world, AsyncExitStack() as stack:
        world.peer.products = [{"id": "a", "sku": "A", "brand": "Da casa", "ncm": "12", "price": 2990}]
        await products.ensure(world.runtime)
        await turns.work(world.runtime, products.STREAM, products.read, asyncio.Event())
        shop = await open_shop(stack, database, tmp_path, outward_allow=(world.peer.allowed,))
        yield world, shop, await shop.key(PERMISSIONS)


async def test_fields_are_tried_kept_by_version_and_then_refused_to_others_by_name(made):
    world, shop, key = made
    read = await shop.http.get(URL, headers=key)
    assert (read.json()["fields"], read.json()["mapped"], read.headers["etag"]) == ([], 1, '"0"'), read.text
    assert {"brand", "ncm", "price"} <= set(read.json()["tells"])
    tried = (await shop.http.get(f"{URL}/preview?fields=brand,ncm", headers=key)).json()
    assert (tried["products"], tried["counts"], tried["conflicts"]) == (1, {"brand": 1}, {}), tried
    assert [(c["product"], c["field"], c["new"]) for c in tried["changes"]] == [("A", "brand", "Da casa")]
    assert [why["field"] for why in tried["held"]["A"]] == ["ncm"]
    body = {"fields": ["brand", "ncm"]}
    assert (await shop.http.put(URL, json=body, headers=key)).status_code == 428
    stored = await shop.http.put(URL, json=body, headers={**key, "If-Match": '"0"'})
    assert (stored.status_code, stored.json()) == (200, {"version": 1}), stored.text
    stale = await shop.http.put(URL, json=body, headers={**key, "If-Match": '"0"'})
    assert (stale.status_code, stale.json()["code"]) == (412, "stale_version"), stale.text
    await mastering.work(world.runtime, asyncio.Event())
    held = (await shop.http.get(f"/v1/connections/{CODE}/held-products", headers=key)).json()["items"]
    assert [(h["product"], h["problems"][0]["field"]) for h in held] == [("A", "ncm")]
    (why,) = (await shop.http.get(f"/v1/connections/{CODE}/held-products/reasons", headers=key)).json()
    assert why["products"] == 1
    for asked, found in (
        ({"reason": why["reason"]}, 1),
        ({"reason": "0" * 12}, 0),
        ({"q": "a"}, 1),
        ({"q": why["detail"].replace("…", "").upper()}, 1),
        ({"q": "no such word"}, 0),
        ({"q": "a", "reason": why["reason"], "limit": 1}, 1),
    ):
        narrow = await shop.http.get(f"/v1/connections/{CODE}/held-products", params=asked, headers=key)
        assert len(narrow.json()["items"]) == found, (asked, narrow.text)
    seen = await shop.session()
    here = f"/connections/{CODE}/products"
    for query, shown in (("q=a", True), (f"reason={why['reason']}", True), ("q=nothing", False), ("", True)):
        page = await shop.http.get(f"{here}?{query}", headers=seen)
        assert ('href="/products/A"' in page.text, "Nothing found" in page.text) == (shown, not shown), query
        assert why["reason"] in page.text, "the filter stays"
        sheet = await shop.http.get(f"{here}:export.csv?{query}", headers=seen)
        assert len(sheet.text.splitlines()) == 1 + shown, (query, sheet.text)
    kept = (await shop.http.get(URL, headers=key)).json()
    assert (kept["fields"], kept["waiting"], kept["held"]) == (["brand", "ncm"], 0, 1)
    found = await shop.http.get("/v1/products/A", headers=key)
    assert found.json()["brand"] == "Da casa"
    mine = {"code": "A", "name": "A", "brand": "Minha", "ncm": "61091000"}
    refused = await shop.http.put("/v1/products/A", json=mine, headers={**key, "If-Match": found.headers["etag"]})
    assert refused.status_code == 422
    assert refused.headers["content-type"].startswith("application/problem+json")
    (problem,) = refused.json()["errors"]
    assert "brand" in str(problem), problem
    assert "Loja (loja)" in str(problem), problem
    free = await shop.http.put(
        "/v1/products/A",
        json={**mine, "brand": "Da casa", "name": "Nova"},
        headers={**key, "If-Match": found.headers["etag"]},
    )
    assert free.status_code == 200, free.text


async def test_a_field_that_another_keeps_or_nobody_tells_is_refused(made):
    _, shop, key = made
    async with made[0].database.transaction() as tx:
        await ownership.claim(tx, "erp", "ERP", ["price"])
    assert (await shop.http.get(URL, headers=key)).json()["elsewhere"] == {"price": "erp"}
    tried = (await shop.http.get(f"{URL}/preview?fields=price", headers=key)).json()
    assert tried["conflicts"] == {"price": "erp"}
    taken = await shop.http.put(URL, json={"fields": ["price"]}, headers={**key, "If-Match": '"0"'})
    assert (taken.status_code, taken.json()["code"]) == (409, "product_field_owned"), taken.text
    unknown = await shop.http.put(URL, json={"fields": ["colour"]}, headers={**key, "If-Match": '"0"'})
    assert unknown.status_code == 422
