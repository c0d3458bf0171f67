"""Listings over a connection by the API: explained, said otherwise, published, ended, and refused with words."""

import json
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from linked_world import CODE, linked
from tests_http import open_shop

from malha.platform.db import Database

URL = f"/v1/connections/{CODE}/listings"
FIELDS = f"/v1/connections/{CODE}/listing-fields"


@pytest.fixture
async def made(database: Database, tmp_path: Path):
    """A connection over which nothing is published yet."""
    async with linked(database, tmp_path) as world, AsyncExitStack() as stack:
        shop = await open_shop(stack, database, tmp_path, outward_allow=(world.peer.allowed,))
        yield world, shop, await shop.key(["network:read", "network:write"])


async def test_a_listing_is_explained_said_otherwise_published_and_ended(made):
    world, shop, key = made
    first = await shop.http.get(f"{URL}/A", headers=key)
    assert first.status_code == 200, first.text
    title = next(f for f in first.json()["fields"] if f["field"] == "title")
    assert (title["source"], title["required"], first.json()["status"]) == ("product", True, "draft")

    said = {"overrides": {"title": "Na loja", "images": ["https://img.example/a.jpg"]}}
    bare = await shop.http.patch(f"{URL}/A", json=said, headers=key)
    assert (bare.status_code, bare.json()["code"]) == (428, "version_required")
    etag = {**key, "If-Match": first.headers["etag"]}
    done = await shop.http.patch(f"{URL}/A", json=said, headers=etag)
    assert done.status_code == 200, done.text
    stale = await shop.http.patch(f"{URL}/A", json=said, headers=etag)
    assert (stale.status_code, stale.json()["code"]) == (412, "stale_version")

    published = await shop.http.post(f"{URL}/publish", json={"skus": ["A", "B", "NOPE"]}, headers=key)
    assert published.json() == {"queued": 2, "unchanged": 0, "refused": {}, "unknown": ["NOPE"]}
    await world.tell()
    assert world.peer.listings["A"]["fields"]["title"] == "Na loja"
    live = (await shop.http.get(f"{URL}?status=live&limit=1", headers=key)).json()
    rest = (await shop.http.get(f"{URL}?status=live&limit=1&cursor={live['next']}", headers=key)).json()
    rows = [*live["items"], *rest["items"]]
    assert [(r["sku"], r["status"], r["overrides"], r["reference"]) for r in rows] == [
        ("A", "live", 2, "listing-A"),
        ("B", "live", 0, "listing-B"),
    ]
    ended = await shop.http.post(f"{URL}/end", json={"skus": ["B"]}, headers=key)
    assert ended.json()["queued"] == 1
    await world.tell()
    assert not world.peer.listings["B"]["active"]
    assert [r["sku"] for r in (await shop.http.get(f"{URL}?status=ended", headers=key)).json()["items"]] == ["B"]


async def test_that_the_channel_keeps_a_price_itself_is_said_and_its_page_offers_no_other(made):
    world, shop, key = made
    person = await shop.session()
    page = f"/connections/{CODE}/listings/A"
    free = (await shop.http.get(f"{URL}/A", headers=key)).json()
    assert not free["price_kept"]
    assert "dlg-price" in (await shop.http.get(page, headers=person)).text
    async with world.database.transaction() as tx:
        await tx.execute("INSERT INTO product_owner (field, owner, name) VALUES ('price', %s, 'Loja')", [CODE])
        await tx.execute("INSERT INTO variant_owner SELECT id, %s::text FROM variant WHERE sku = 'A'", [CODE])
    kept = (await shop.http.get(f"{URL}/A", headers=key)).json()
    assert (kept["price_kept"], kept["price"]) == (True, free["price"])
    told = (await shop.http.get(page, headers=person)).text
    assert "dlg-price" not in told
    assert "kept by the channel itself, which is told none" in told
    refused = await shop.http.patch(f"{URL}/A", json={"price": 100}, headers={**key, "If-Match": '"0"'})
    assert refused.status_code == 422


async def test_what_the_channel_refuses_is_there_with_its_fields_and_words(made):
    world, shop, key = made
    world.peer.wants["A"] = ["brand"]
    await shop.http.post(f"{URL}/publish", json={"skus": ["A"]}, headers=key)
    await world.tell()
    (row,) = (await shop.http.get(f"{URL}?with_errors=true", headers=key)).json()["items"]
    assert (row["status"], row["errors"]) == (
        "rejected",
        [{"code": "empty", "field": "brand", "message": "brand must not be empty"}],
    )
    many = {"items": {"A": {"brand": "Alfa"}, "B": {"brand": "Beta", "title": None}}}
    assert (await shop.http.patch(URL, json=many, headers=key)).json() == {"changed": 2}
    await world.tell()
    assert (await shop.http.get(f"{URL}/A", headers=key)).json()["status"] == "live"


REFUSED = """
UPDATE listing_post SET status = 'rejected', errors = %(errors)s::jsonb
"""
OURS = {"code": "not_kept", "field": "title", "message": "the shop does not keep title, tags as it was told"}
THEIRS = {"code": "policy", "message": "The shop needs a return policy"}
DEAD = """
INSERT INTO channel_op (key, connection_id, kind, entity, version, payload, state, cause, error, done_at)
SELECT gen_random_uuid(), c.id, 'push_shipment', 'shipment:' || x.n, 1, '{}', 'dead', 'invalid', x.error, now()
FROM connection c, (VALUES (1, 'unknown_line lines the order has no line of SKU-7'),
                           (2, 'E77 lines Nothing may be sent on Sundays')) AS x(n, error)
"""


async def test_words_of_our_connectors_are_the_readers_and_a_channels_own_are_marked(made):
    world, shop, key = made
    await shop.http.post(f"{URL}/publish", json={"skus": ["A"]}, headers=key)
    await world.tell()
    async with world.database.transaction() as tx:
        await tx.execute(REFUSED, {"errors": json.dumps([OURS, THEIRS])})
        await tx.execute(DEAD)
    brazilian = {**key, "accept-language": "pt-BR"}
    says = "a loja não guarda title, tags como foi informado"
    (row,) = (await shop.http.get(f"{URL}?with_errors=true", headers=brazilian)).json()["items"]
    assert row["errors"] == [{**OURS, "message": says, "teller": "connector"}, THEIRS]
    assert (await shop.http.get(f"{URL}/A", headers=brazilian)).json()["errors"] == row["errors"]
    (row,) = (await shop.http.get(f"{URL}?with_errors=true", headers=key)).json()["items"]
    assert row["errors"] == [{**OURS, "teller": "connector"}, THEIRS]

    person = {**await shop.session(), "accept-language": "pt-BR"}
    for page in (f"/connections/{CODE}/listings", f"/connections/{CODE}/listings/A"):
        told = (await shop.http.get(page, headers=person)).text
        assert says in told
        assert "o canal diz: “The shop needs a return policy”" in told
        assert f"o canal diz: “{says}" not in told
    stuck = (await shop.http.get(f"/connections/{CODE}/stuck?way=out", headers=person)).text
    assert "o pedido não tem nenhum item de SKU-7 (unknown_line lines)" in stuck
    assert "o canal diz: “E77 lines Nothing may be sent on Sundays”" in stuck


async def test_a_value_of_another_kind_is_refused_where_it_stands(made):
    _, shop, key = made
    wrong = await shop.http.patch(URL, json={"items": {"A": {"images": "x"}, "NOPE": {"title": "x"}}}, headers=key)
    assert wrong.status_code == 422
    assert [(e["at"]) for e in wrong.json()["errors"]] == ["/sku", "/images"]
    assert (await shop.http.get(f"{URL}/NOPE", headers=key)).json()["code"] == "unknown_listing"


async def test_fields_are_mapped_with_a_version(made):
    _, shop, key = made
    found = await shop.http.get(FIELDS, headers=key)
    assert [f["name"] for f in found.json()["fields"] if f["required"]] == ["title"]
    assert (found.json()["mapping"], found.json()["attributes"], found.headers["etag"]) == (None, True, '"0"')
    mapping = [{"target": "title", "origin": "template", "value": "{name} {sku}"}]
    etag = {**key, "If-Match": '"0"'}
    stored = await shop.http.put(FIELDS, json={"mapping": mapping}, headers=etag)
    assert stored.json() == {"version": 1}, stored.text
    assert (await shop.http.put(FIELDS, json={"mapping": None}, headers=etag)).status_code == 412
    row = (await shop.http.get(f"{URL}/A", headers=key)).json()
    title = next(f for f in row["fields"] if f["field"] == "title")
    assert (title["source"], title["origin"]) == ("mapping", "template: {name} {sku}")


async def test_a_mapping_is_tried_on_real_listings_as_on_the_page_and_nothing_is_kept(made):
    world, shop, key = made
    await shop.http.post(f"{URL}/publish", json={"skus": ["A"]}, headers=key)
    await world.tell()
    said = {"mapping": [{"target": "title", "origin": "template", "value": "{name} {sku}"}]}
    seen = (await shop.http.post(f"{FIELDS}:preview", json=said, headers=key)).json()
    assert (seen["looked"], seen["told"], seen["kept_back"], seen["more"]) == (1, 1, 0, False)
    (row,) = seen["listings"]
    (title,) = [f for f in row["fields"] if f["field"] == "title"]
    assert (row["sku"], row["changes"], row["ready"]) == ("A", True, True)
    assert (title["value"], title["changes"]) == (f"{title['now']} A", True)
    held = {"mapping": [{"target": "title", "origin": "attribute", "value": "Tecido"}]}
    seen = (await shop.http.post(f"{FIELDS}:preview", json=held, headers=key)).json()
    assert (seen["kept_back"], seen["why"]) == (1, [{"field": "title", "rule": "missing", "count": 1, "sku": "A"}])
    assert [(r["sent_now"], r["ready"], r["errors"][0]["field"]) for r in seen["listings"]] == [(True, False, "title")]
    assert (await shop.http.get(FIELDS, headers=key)).json()["mapping"] is None


async def test_a_mapping_that_could_not_be_saved_is_refused_when_it_is_tried_in_the_same_words(made):
    world, shop, key = made
    wrong = {"mapping": [{"target": "title", "value": "no field of ours"}, {"target": "title", "value": "name"}]}
    saved = await shop.http.put(FIELDS, json=wrong, headers={**key, "If-Match": '"0"'})
    tried = await shop.http.post(f"{FIELDS}:preview", json=wrong, headers=key)
    assert saved.status_code == tried.status_code == 422
    assert saved.json()["errors"] == tried.json()["errors"] != []
    lost = await shop.http.post(f"{FIELDS}:preview", json={"mapping": None, "sku": "NOPE"}, headers=key)
    assert (lost.status_code, lost.json()["code"]) == (404, "unknown_listing")
    reader = await shop.key(["network:read"])
    assert (await shop.http.post(f"{FIELDS}:preview", json=wrong, headers=reader)).status_code == 403
    async with world.database.transaction() as tx:
        place = await tx.value("SELECT code FROM location ORDER BY id LIMIT 1")
    narrow = await shop.key(["network:write"], locations=[place])
    limited = await shop.http.post(f"{FIELDS}:preview", json=wrong, headers=narrow)
    assert (limited.status_code, limited.json()["code"]) == (403, "shared_by_all")


async def test_a_connector_that_takes_no_products_says_so(made):
    world, shop, key = made
    async with world.database.transaction() as tx:
        await tx.execute("UPDATE connection SET connector = 'tryton'")
    for asked in (
        await shop.http.get(URL, headers=key),
        await shop.http.get(FIELDS, headers=key),
        await shop.http.post(f"{FIELDS}:preview", json={"mapping": None}, headers=key),
        await shop.http.post(f"{URL}/publish", json={"skus": ["A"]}, headers=key),
    ):
        assert (asked.status_code, asked.json()["code"]) == (409, "listings_not_taken")


async def test_what_is_said_comes_and_goes_as_a_table_and_every_wrong_row_is_told(made):
    world, shop, key = made
    await shop.http.post(f"{URL}/publish", json={"skus": ["A"]}, headers=key)
    await world.tell()
    table = (
        "conexão;sku;campo;valor\n"
        f"{CODE};A;title;Da tabela\n"
        f"{CODE};A;images;https://img.example/1.jpg https://img.example/2.jpg\n"
        f"{CODE};NOPE;title;x\n"
        f"{CODE};A;title;duas vezes\n"
        "nowhere;A;title;x\n"
    ).encode()
    csv = {**key, "content-type": "text/csv"}
    seen = (await shop.http.post("/v1/listings:import", content=table, headers=csv)).json()
    assert (seen["created"], seen["bad"], seen["applied"]) == (2, 3, False), seen
    assert [(p["line"], p["column"]) for p in seen["problems"]] == [(4, "sku"), (5, "campo"), (6, "conexão")]
    assert (await shop.http.get(f"{URL}/A", headers=key)).json()["version"] == 0
    done = (await shop.http.post("/v1/listings:import?mode=valid", content=table, headers=csv)).json()
    assert (done["created"], done["applied"]) == (2, True)
    await world.tell()
    assert world.peer.listings["A"]["fields"]["title"] == "Da tabela"
    assert len(world.peer.listings["A"]["fields"]["images"]) == 2
    empty = {"items": {"A": {"description": "", "brand": "Marca"}}}
    assert (await shop.http.patch(URL, json=empty, headers=key)).json() == {"changed": 2}
    file = (await shop.http.get("/v1/listings:export", headers=key)).text.lstrip("\ufeff").splitlines()
    assert file == [
        "connection;sku;field;value;price",
        f"{CODE};A;brand;Marca;",
        f"{CODE};A;images;https://img.example/1.jpg https://img.example/2.jpg;",
        f"{CODE};A;title;Da tabela;",
    ]
    again = {**csv, "Idempotency-Key": "the-same-table"}
    whole = "\n".join(file).encode()
    same = (await shop.http.post("/v1/listings:import?mode=all", content=whole, headers=again)).json()
    assert (same["created"], same["changed"], same["unchanged"]) == (0, 0, 3)
    said = (await shop.http.get(f"{URL}/A", headers=key)).json()["fields"]
    assert [f["source"] for f in said if f["field"] == "description"] == ["override"]
    back = f"connection,sku,field,value\n{CODE},A,title,\n".encode()
    assert (await shop.http.post("/v1/listings:import?mode=all", content=back, headers=csv)).json()["changed"] == 1
    await world.tell()
    assert world.peer.listings["A"]["fields"]["title"] != "Da tabela"
    kept = await shop.http.post("/v1/imports/listings?name=a.csv", content=table, headers=csv)
    assert kept.status_code == 201, kept.text


async def test_a_price_of_the_channels_own_is_given_in_centavos_and_taken_back(made):
    world, shop, key = made
    async with world.database.transaction() as tx:
        await tx.execute("UPDATE variant SET price = 10990 WHERE sku = 'A'")
    first = await shop.http.get(f"{URL}/A", headers=key)
    etag = {**key, "If-Match": first.headers["etag"]}
    for body in ({"price": 0}, {"price": "88.80"}, {"price": 2**31}, {}):
        wrong = await shop.http.patch(f"{URL}/A", json=body, headers=etag)
        assert wrong.status_code == 422, wrong.text
    given = await shop.http.patch(f"{URL}/A", json={"price": 8880, "overrides": {"title": "Oferta"}}, headers=etag)
    assert given.status_code == 200, given.text
    now = await shop.http.get(f"{URL}/A", headers=key)
    assert [now.json()[each] for each in ("price", "own_price", "catalog_price", "version")] == [8880, 8880, 10990, 2]
    assert (await shop.http.patch(f"{URL}/A", json={"price": 1}, headers=etag)).json()["code"] == "stale_version"
    await shop.http.post(f"{URL}/publish", json={"skus": ["A"]}, headers=key)
    await world.tell()
    assert (world.peer.listings["A"]["price"], world.peer.listings["A"]["attributes"]) == (8880, {})
    (row,) = (await shop.http.get(f"{URL}?q=A&limit=1", headers=key)).json()["items"]
    assert (row["price"], row["own_price"], row["overrides"]) == (8880, 8880, 1)
    etag = {**key, "If-Match": now.headers["etag"]}
    await shop.http.patch(f"{URL}/A", json={"price": None}, headers=etag)
    assert (await shop.http.get(f"{URL}/A", headers=key)).json()["price"] == 10990
    many = await shop.http.patch(URL, json={"prices": {"A": 100, "B": 200}}, headers=key)
    assert many.json() == {"changed": 2}, many.text
    none = await shop.http.patch(URL, json={"prices": {"A": 5, "NOPE": 200}}, headers=key)
    assert (none.status_code, [e["at"] for e in none.json()["errors"]]) == (422, ["/sku"])
    assert (await shop.http.get(f"{URL}/A", headers=key)).json()["price"] == 100, "all of it, or nothing"
    nothing = (await shop.http.patch(URL, json={}, headers=key)).json()["errors"]
    assert [e["says"] for e in nothing] == ["Nothing is said here."]


async def test_a_price_said_as_an_attribute_is_refused_with_where_it_is_said(made):
    world, shop, key = made
    etag = {**key, "If-Match": (await shop.http.get(f"{URL}/A", headers=key)).headers["etag"]}
    wrong = await shop.http.patch(f"{URL}/A", json={"overrides": {"price": "88.80", "stock": "3"}}, headers=etag)
    assert wrong.status_code == 422
    assert [e["at"] for e in wrong.json()["errors"]] == ["/price", "/stock"]
    assert "listing's own price" in wrong.text
    reader = await shop.key(["network:read"])
    refused = await shop.http.patch(URL, json={"prices": {"A": 5}}, headers=reader)
    assert refused.status_code == 403
    async with world.database.transaction() as tx:
        place = await tx.value("SELECT code FROM location ORDER BY id LIMIT 1")
    narrow = await shop.key(["network:write"], locations=[place])
    limited = await shop.http.patch(URL, json={"prices": {"A": 5}}, headers=narrow)
    assert (limited.status_code, limited.json()["code"]) == (403, "shared_by_all")
