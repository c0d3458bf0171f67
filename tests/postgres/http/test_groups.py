"""Groups of locations and of customers: made, changed, used, and deleted only when nothing names them; pages and API."""

import asyncio
import re
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from tests_http import HOST, Shop

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from spine_rows import a_network, an_order

from malha.identity.model import Role

KEY = ["stock:read", "stock:write", "network:read", "network:write"]
RULE = {"code": "R-SOUTH", "name": "South keeps two", "amount": 2, "location_group": "SOUTH"}
CAP: dict[str, Any] = {"code": "C-VIP", "name": "VIPs", "kind": "cap", "quota": 5, "customer_groups": ["vip"]}


@pytest.fixture
async def keyed(shop: Shop) -> Shop:
    async with shop.database.transaction() as tx:
        await a_network(tx)
    shop.headers = await shop.key(KEY)
    return shop


async def call(shop: Shop, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
    return await shop.http.request(method, f"/v1{path}", json=body, headers={**shop.headers, **headers})


async def test_a_group_of_locations_is_deleted_only_when_no_rule_names_it(keyed: Shop) -> None:
    made = await call(keyed, "POST", "/location-groups", {"code": "SOUTH", "name": "South", "locations": ["LJ01"]})
    assert made.status_code == 201
    tag = {"if-match": (await call(keyed, "GET", "/location-groups/SOUTH")).headers["etag"]}
    assert (await call(keyed, "POST", "/safety-rules", RULE)).status_code == 201
    refused = await call(keyed, "DELETE", "/location-groups/SOUTH", **tag)
    assert (refused.status_code, refused.json()["code"]) == (409, "location_group_in_use")
    rule = await call(keyed, "DELETE", "/safety-rules/R-SOUTH", **{"if-match": '"1"'})
    assert rule.status_code == 204
    assert (await call(keyed, "DELETE", "/location-groups/SOUTH", **{"if-match": '"7"'})).status_code == 412
    assert (await call(keyed, "DELETE", "/location-groups/SOUTH", **tag)).status_code == 204
    assert (await call(keyed, "GET", "/location-groups/SOUTH")).status_code == 404
    async with keyed.database.transaction() as tx:
        assert await tx.value("SELECT count(*) FROM location_group_member") == 0
        trail = await tx.values("SELECT action FROM audit WHERE entity = 'location_group' ORDER BY id")
    assert trail == ["create", "delete"]


async def test_a_rule_that_comes_while_its_group_goes_leaves_neither_half(keyed: Shop) -> None:
    for n in range(6):
        code = f"G{n}"
        await call(keyed, "POST", "/location-groups", {"code": code, "name": code, "locations": ["LJ01"]})
        rule = {**RULE, "code": f"R{n}", "location_group": code}
        gone, ruled = await asyncio.gather(
            call(keyed, "DELETE", f"/location-groups/{code}", **{"if-match": '"1"'}),
            call(keyed, "POST", "/safety-rules", rule),
        )
        assert (gone.status_code, ruled.status_code) in {(204, 422), (409, 201), (204, 409)}, (gone.text, ruled.text)


async def test_a_customer_group_is_known_from_the_allotment_that_names_it_on(keyed: Shop) -> None:
    assert (await call(keyed, "POST", "/allotments", CAP)).status_code == 201
    (group,) = (await call(keyed, "GET", "/customer-groups")).json()
    assert group == {"code": "vip", "name": "vip", "note": "", "version": 1, "allotments": ["C-VIP"]}
    changed = await call(keyed, "PUT", "/customer-groups/vip", {"name": "VIP"}, **{"if-match": '"1"'})
    assert changed.json() == {"code": "vip", "version": 2}
    stale = await call(keyed, "PUT", "/customer-groups/vip", {"name": "VIPs"}, **{"if-match": '"1"'})
    assert stale.status_code == 412
    refused = await call(keyed, "DELETE", "/customer-groups/vip", **{"if-match": '"2"'})
    assert (refused.status_code, refused.json()["code"]) == (409, "customer_group_in_use")
    assert "C-VIP" in refused.json()["detail"]
    assert (await call(keyed, "POST", "/allotments/C-VIP/end")).status_code in {200, 204}
    assert (await call(keyed, "DELETE", "/customer-groups/vip", **{"if-match": '"2"'})).status_code == 204
    assert (await call(keyed, "GET", "/customer-groups/vip")).status_code == 404


async def test_what_has_its_code_in_an_address_cannot_have_a_slash_in_it(keyed: Shop) -> None:
    rule = {"name": "x", "purpose": "routing", "measure": "units", "amount": 1}
    cap = {"name": "x", "kind": "cap", "quota": 3}
    for path, body in (
        ("/safety-rules", rule),
        ("/allotments", cap),
        ("/location-groups", {"name": "x", "locations": []}),
    ):
        for code in ("a/b", "a\x02b", "x" * 81):
            refused = await call(keyed, "POST", path, body | {"code": code})
            assert (refused.status_code, refused.json()["errors"][0]["at"].lstrip("/")) == (422, "code"), (path, code)
        made = await call(keyed, "POST", path, body | {"code": "Vitrine & vão 7%"})
        assert made.status_code == 201, (path, made.text)


@pytest.mark.parametrize("code", [" vip", "vip ", "the  best"])
async def test_a_new_code_has_no_spaces_that_nobody_sees_and_an_old_one_goes_on(keyed: Shop, code: str) -> None:
    group = {"code": code, "name": "G"}
    for path, body in (
        ("/customer-groups", group),
        ("/location-groups", {**group, "locations": ["LJ01"]}),
        ("/safety-rules", {**RULE, "code": code, "location_group": None}),
        ("/allotments", {**CAP, "code": code}),
        ("/allotments", {**CAP, "customer_groups": [code]}),
    ):
        refused = await call(keyed, "POST", path, body)
        assert refused.status_code == 422, (path, refused.text)
        assert "The code has spaces that nobody sees." in refused.text, path
    async with keyed.database.transaction() as tx:
        await tx.execute("INSERT INTO customer_group (code, name) VALUES (%s, 'Old')", (code,))
    (old,) = [each for each in (await call(keyed, "GET", "/customer-groups")).json() if each["code"] == code]
    path = f"/customer-groups/{quote(code)}"
    changed = await call(keyed, "PUT", path, {"name": "New"}, **{"if-match": f'"{old["version"]}"'})
    assert changed.status_code == 200, changed.text
    assert (await call(keyed, "POST", "/customer-groups", {"code": "the best", "name": "G"})).status_code == 201


async def test_names_of_groups_are_possible_or_refused_with_a_reason(keyed: Shop) -> None:
    for body, at in (
        ({"code": "", "name": "x"}, "/code"),
        ({"code": "a,b", "name": "x"}, "/code"),
        ({"code": "a/b", "name": "x"}, "/code"),
        ({"code": "a\x02b\x95", "name": "x"}, "/code"),
        ({"code": "a", "name": " "}, "/name"),
        ({"code": "x" * 81, "name": "x"}, "/code"),
    ):
        refused = await call(keyed, "POST", "/customer-groups", body)
        assert (refused.status_code, refused.json()["errors"][0]["at"].lstrip("/")) == (422, at.lstrip("/")), body
    assert (await call(keyed, "POST", "/customer-groups", {"code": "a", "name": "A"})).status_code == 201
    assert (await call(keyed, "POST", "/customer-groups", {"code": "a", "name": "A"})).json()[
        "code"
    ] == "customer_group_taken"


@pytest.mark.parametrize("code", ["é ✓ 50%", "a?b#c", "x\u4e00"])
async def test_where_a_new_record_is_is_an_address_whatever_its_code(keyed: Shop, code: str) -> None:
    made = await call(keyed, "POST", "/customer-groups", {"code": code, "name": "A"})
    assert made.status_code == 201, made.text
    assert (await keyed.http.get(made.headers["location"], headers=keyed.headers)).json()["code"] == code
    catalog = await keyed.key(["catalog:read", "catalog:write"])
    product = {"code": code, "name": "A", "variants": [{"sku": code}]}
    made = await keyed.http.post("/v1/products", json=product, headers=catalog)
    assert made.status_code == 201, made.text
    assert (await keyed.http.get(made.headers["location"], headers=catalog)).json()["code"] == code


async def test_pages_show_members_use_and_codes_that_only_orders_state(keyed: Shop) -> None:
    owner = await keyed.session()
    async with keyed.database.transaction() as tx:
        await an_order(tx)
        await tx.execute("UPDATE sales_order SET customer_group = 'club', placed_at = now()")
    form = {"code": "SUL", "name": "Sul", "locations": ["LJ01", "CD01"]}
    made = await keyed.http.post("/location-groups:new", data=form, headers=owner)
    assert (made.status_code, made.headers["location"]) == (303, "/location-groups/SUL")
    await call(keyed, "POST", "/safety-rules", {**RULE, "location_group": "SUL"})
    shown = (await keyed.http.get("/location-groups/SUL", headers=owner)).text
    assert "South keeps two" in shown
    assert "/locations/LJ01" in shown
    htmx = {**owner, "hx-request": "true", "hx-current-url": f"{HOST}/location-groups/SUL"}
    refused = await keyed.http.post("/location-groups/SUL/delete", data={"version": "1"}, headers=htmx)
    assert (refused.status_code, "safety rules name it" in refused.text) == (409, True)
    shown = (await keyed.http.get("/customer-groups", headers=owner)).text
    assert "Stated by orders, without a name" in shown
    assert "/customer-groups:new?code=club" in shown
    await keyed.http.post("/customer-groups:new", data={"code": "club", "name": "Club"}, headers=owner)
    shown = (await keyed.http.get("/customer-groups", headers=owner)).text
    assert "Stated by orders, without a name" not in shown
    exported = (await keyed.http.get("/customer-groups:export.csv", headers=owner)).text
    assert exported.splitlines()[1].replace(",", ";").startswith("club;Club;;1;")


async def test_who_is_limited_reads_groups_and_changes_none(keyed: Shop) -> None:
    await call(keyed, "POST", "/location-groups", {"code": "SOUTH", "name": "South", "locations": ["LJ01", "CD01"]})
    await call(keyed, "POST", "/customer-groups", {"code": "vip", "name": "VIP"})
    keeper = await keyed.session(Role.MANAGER, locations=["LJ01"])
    shown = (await keyed.http.get("/location-groups/SOUTH", headers=keeper)).text
    assert "/locations/LJ01" in shown
    assert "/locations/CD01" not in shown
    assert "1 more is not among your locations" in shown
    assert "dlg-delete" not in shown
    assert "s-what" not in (await keyed.http.get("/customer-groups/vip/edit", headers=keeper)).text
    limited = {**await keyed.key(KEY, locations=["LJ01"]), "if-match": '"1"'}
    for path in ("/v1/location-groups/SOUTH", "/v1/customer-groups/vip"):
        refused = await keyed.http.delete(path, headers=limited)
        assert (refused.status_code, refused.json()["code"]) == (403, "shared_by_all")


async def test_who_is_limited_learns_neither_other_members_nor_what_is_sold_elsewhere(keyed: Shop) -> None:
    await call(keyed, "POST", "/location-groups", {"code": "SOUTH", "name": "South", "locations": ["LJ01", "CD01"]})
    async with keyed.database.transaction() as tx:
        await an_order(tx)
        await tx.execute("UPDATE sales_order SET customer_group = 'club'")
    await call(keyed, "POST", "/customer-groups", {"code": "club", "name": "Club"})
    limited = await keyed.key(KEY, locations=["LJ01"])
    for path in ("/v1/location-groups", "/v1/location-groups/SOUTH"):
        told = await keyed.http.get(path, headers=limited)
        assert '"LJ01"' in told.text
        assert "CD01" not in told.text
    assert (await call(keyed, "GET", "/location-groups/SOUTH")).json()["locations"] == ["CD01", "LJ01"]

    keeper = await keyed.session(Role.MANAGER, locations=["LJ01"])
    for path in ("/customer-groups", "/customer-groups/club/edit"):
        shown = (await keyed.http.get(path, headers=keeper)).text
        assert "Club" in shown
        assert "Orders in 90 days" not in shown
    rows = (await keyed.http.get("/customer-groups:export.csv", headers=keeper)).text
    assert rows.splitlines()[1] == "club;Club;;;;"


async def test_rules_are_found_by_what_they_name_and_keep_their_rank(keyed: Shop) -> None:
    await call(keyed, "POST", "/location-groups", {"code": "SOUTH", "name": "Serra Gaúcha", "locations": ["LJ01"]})
    for code, more in (
        ("R-ALL", {}),
        ("R-GROUP", {"location_group": "SOUTH"}),
        ("R-STORES", {"location_kind": "store"}),
        ("R-SKU", {"sku": "SKU-1", "location": "LJ01"}),
        ("R-WEB", {"purpose": "online", "sku": "SKU-1"}),
    ):
        made = await call(keyed, "POST", "/safety-rules", {"code": code, "name": f"Rule {code}", "amount": 1, **more})
        assert made.status_code == 201, made.text

    async def found(query: str) -> list[str]:
        answer = await call(keyed, "GET", f"/safety-rules?{query}")
        assert answer.status_code == 200, answer.text
        return [rule["code"] for rule in answer.json()]

    assert await found("q=sku-1") == ["R-SKU", "R-WEB"]
    assert await found("q=sku-1&purpose=online") == ["R-WEB"]
    assert await found("q=serra+gaucha") == ["R-GROUP"]
    everything = await found("")
    first = await found("limit=2")
    assert first + await found(f"after={first[-1]}") == everything
    assert (await call(keyed, "GET", "/safety-rules?after=NOPE")).status_code == 404
    lead = await keyed.session(Role.OWNER)

    async def page(path: str) -> str:
        answer = await keyed.http.get(path, headers=lead)
        assert answer.status_code == 200, answer.text
        return answer.text

    def rules_in(text: str) -> list[str]:
        return re.findall(r'href="/safety-rules/([\w-]+)/edit"', text)

    assert rules_in(await page("/safety-rules?q=store")) == ["R-STORES"]
    ranked = [code for code in everything if code != "R-WEB"]
    stores = await page("/safety-rules?q=store")
    assert f">{ranked.index('R-STORES') + 1}</td>" in stores
    assert "purpose=online" in stores
    assert "q=store" in stores
    assert "No rule matches" in await page("/safety-rules?q=nothing")
    table = await page("/safety-rules:export.csv?q=sku-1")
    assert [line.split(";")[0] for line in table.lstrip("\ufeff").splitlines()[1:]] == ["R-SKU", "R-WEB"]


async def test_rules_and_groups_come_in_pages(keyed: Shop) -> None:
    for n in range(53):
        group = {"code": f"G{n:02}", "name": f"Group {n}", "locations": ["LJ01"]}
        assert (await call(keyed, "POST", "/location-groups", group)).status_code == 201
        rule = {"code": f"R{n:02}", "name": f"Rule {n:02}", "amount": n, "location_group": f"G{n:02}"}
        assert (await call(keyed, "POST", "/safety-rules", rule)).status_code == 201
    lead = await keyed.session(Role.OWNER)
    for path, pattern in (
        ("/safety-rules", r'href="/safety-rules/(R\d\d)/edit"'),
        ("/location-groups", r'href="/location-groups/(G\d\d)"'),
    ):
        pages = [(await keyed.http.get(f"{path}?page={n}", headers=lead)).text for n in (1, 2, 9)]
        assert [len(re.findall(pattern, text)) for text in pages] == [50, 3, 3]
        assert "51–53 of 53" in pages[1]
        assert 'rel="next"' in pages[0]
        assert 'rel="next"' not in pages[1]


async def test_groups_are_found_by_their_members_and_only_by_those_in_sight(keyed: Shop) -> None:
    async with keyed.database.snapshot() as tx:
        (mine, my_name), (other, other_name), *_ = await tx.tuples("SELECT code, name FROM location ORDER BY id")
    await call(keyed, "POST", "/location-groups", {"code": "A", "name": "First", "locations": [mine]})
    await call(keyed, "POST", "/location-groups", {"code": "B", "name": "Second", "locations": [mine, other]})

    async def found(query: str, headers: dict[str, str]) -> list[str]:
        answer = await keyed.http.get(f"/v1/location-groups?{query}", headers=headers)
        assert answer.status_code == 200, answer.text
        return [group["code"] for group in answer.json()]

    assert await found(f"q={other}", keyed.headers) == await found(f"q={other_name}", keyed.headers) == ["B"]
    assert await found(f"q={my_name}", keyed.headers) == ["A", "B"]
    assert await found("limit=1", keyed.headers) == ["A"]
    assert await found("after=A", keyed.headers) == ["B"]
    limited = await keyed.key(["network:read"], locations=[mine])
    assert await found(f"q={other_name}", limited) == []
    assert await found(f"q={my_name}", limited) == ["A", "B"]
    keeper = await keyed.session(Role.MANAGER, locations=[mine])
    for path in ("/location-groups", "/location-groups:export.csv"):
        assert "Second" not in (await keyed.http.get(f"{path}?q={other_name}", headers=keeper)).text
        assert "Second" in (await keyed.http.get(f"{path}?q={my_name}", headers=keeper)).text
