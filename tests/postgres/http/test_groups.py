"""Groups of locations and of customers: made, changed, used, and deleted only when nothing names them; pages and API."""

import asyncio
import sys
from pathlib import Path
from typing import Any

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
        await tx.execute("UPDATE sales_order SET customer_group = 'club'")
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
