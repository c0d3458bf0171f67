"""Rules that name no location: whoever is limited to locations reads them, by page and by API, and changes none."""

import sys
from pathlib import Path
from typing import Any

import pytest
from tests_http import Shop

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sync_world import a_retailer

from malha.identity import reads as people
from malha.identity import service as identity
from malha.identity.model import Role
from malha.identity.service import PersonDraft
from malha.inventory.allotments import service as allotments
from malha.inventory.allotments.model import AllotmentDraft, Kind
from malha.inventory.safety import service as safety
from malha.inventory.safety.model import SafetyRuleDraft

RULE: dict[str, Any] = {"code": "R-ALL", "name": "Everywhere", "amount": 2}
CAP: dict[str, Any] = {"code": "C-ALL", "name": "Everywhere", "kind": "cap", "quota": 5}
KEY = ["stock:read", "stock:write"]
COUNTS_FOR_ALL = "What is here counts for every location: who is limited to some reads it and does not change it."


@pytest.fixture
async def ruled(shop: Shop) -> Shop:
    """A rule and a cap without a location, and one each for L2."""
    await a_retailer(shop.database)
    async with shop.database.transaction() as tx:
        await safety.put(tx, SafetyRuleDraft(**RULE), None)
        await safety.put(tx, SafetyRuleDraft(code="R-L2", name="There", amount=3, location="L2"), None)
        await allotments.put(tx, AllotmentDraft(code="C-ALL", name="Everywhere", kind=Kind.CAP, quota=5), None)
        there = AllotmentDraft(code="C-L2", name="There", kind=Kind.CAP, quota=5, locations=("L2",))
        await allotments.put(tx, there, None)
    return shop


async def test_rules_without_a_location_are_read_by_all_and_those_of_others_are_not(ruled: Shop) -> None:
    limited = await ruled.key(KEY, locations=["L1"])
    rules = (await ruled.http.get("/v1/safety-rules", headers=limited)).json()
    caps = (await ruled.http.get("/v1/allotments", headers=limited)).json()
    assert [r["code"] for r in rules] == ["R-ALL"]
    assert [c["code"] for c in caps] == ["C-ALL"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PUT", "/v1/safety-rules/R-ALL", {**RULE, "amount": 0}),
        ("POST", "/v1/safety-rules", {**RULE, "code": "R-NEW", "location": "L1"}),
        ("POST", "/v1/safety-rules:try", {**RULE, "amount": 9}),
        ("DELETE", "/v1/safety-rules/R-ALL", None),
        ("PUT", "/v1/allotments/C-ALL", {**CAP, "quota": 0}),
        ("POST", "/v1/allotments/C-ALL/end", None),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_and_changed_by_none_who_is_limited(ruled: Shop, method: str, path: str, body: Any) -> None:
    limited = await ruled.key(KEY, locations=["L1"])
    answer = await ruled.http.request(method, path, json=body, headers={**limited, "if-match": '"1"'})
    assert (answer.status_code, answer.json()["code"]) == (403, "shared_by_all"), answer.text


async def test_pages_offer_them_to_read_only(ruled: Shop) -> None:
    keeper = await ruled.session(Role.MANAGER, locations=["L1"])
    owner = await ruled.session()
    for path, edit in (("/safety-rules", "/safety-rules/R-ALL/edit"), ("/allotments", "/allotments:new")):
        shown = (await ruled.http.get(path, headers=keeper)).text
        assert "Everywhere" in shown
        assert "There" not in shown.replace("There is", "")
        assert edit not in shown
        assert COUNTS_FOR_ALL in shown
        assert (await ruled.http.get(edit, headers=keeper)).status_code == 403
        shown = (await ruled.http.get(path, headers=owner)).text
        assert edit in shown
        assert COUNTS_FOR_ALL not in shown
    assert "dlg-end" not in (await ruled.http.get("/allotments/C-ALL", headers=keeper)).text
    assert "dlg-end" in (await ruled.http.get("/allotments/C-ALL", headers=owner)).text


CATALOGUE = ["catalog:read", "catalog:write"]
SHIRT: dict[str, Any] = {"code": "SHIRT", "name": "Shirt", "variants": [{"sku": "SHIRT-M", "price": 9_900}]}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/products", {**SHIRT, "code": "CAP", "variants": [{"sku": "CAP-1", "price": 1}]}),
        ("PUT", "/v1/products/SHIRT", {**SHIRT, "name": "Mine"}),
        ("POST", "/v1/categories:batch", [{"code": "MINE", "name": "Mine"}]),
        ("POST", "/v1/categories/SHIRTS/move", {"parent": None}),
        ("POST", "/v1/products/SHIRT/ahead", {"mode": "backorder"}),
        ("POST", "/v1/prices:import?mode=all", b"sku;price\nSHIRT-M;1,00\n"),
        ("POST", "/v1/products:import?mode=all", b"sku;name;price\nSHIRT-M;Mine;1,00\n"),
        ("POST", "/v1/ahead-policies:import?mode=all", b"product;mode\nSHIRT;backorder\n"),
        ("POST", "/v1/imports/prices", b"sku;price\nSHIRT-M;1,00\n"),
        ("POST", "/v1/imports/products", b"sku;name\nSHIRT-M;Mine\n"),
        ("POST", "/v1/imports/ahead_policies", b"product;mode\nSHIRT;backorder\n"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_who_is_limited_changes_neither_products_nor_prices(
    ruled: Shop, method: str, path: str, body: Any
) -> None:
    everywhere, limited = await ruled.key(CATALOGUE), await ruled.key(CATALOGUE, locations=["L1"])
    made = await ruled.http.post("/v1/products", json=SHIRT, headers=everywhere)
    assert made.status_code == 201, made.text
    before = (await ruled.http.get("/v1/products/SHIRT", headers=everywhere)).json()
    sent = {"content": body} if isinstance(body, bytes) else {"json": body}
    answer = await ruled.http.request(method, path, headers={**limited, "if-match": '"1"'}, **sent)
    assert (answer.status_code, answer.json()["code"]) == (403, "shared_by_all"), answer.text
    assert (await ruled.http.get("/v1/products/SHIRT", headers=everywhere)).json() == before
    assert (await ruled.http.get("/v1/products/SHIRT", headers=limited)).json() == before


WRITES = ["stock:write", "network:write", "customers:write"]


@pytest.mark.parametrize("kind", ["allotments", "safety-rules", "listings", "customers"])
async def test_a_table_of_what_concerns_all_is_refused_to_who_is_limited_before_it_is_read(
    ruled: Shop, kind: str
) -> None:
    limited = await ruled.key(WRITES, locations=["L1"])
    for path in (f"/v1/{kind}:import?mode=all", f"/v1/imports/{kind.replace('-', '_')}"):
        answer = await ruled.http.post(path, content=b"", headers=limited)
        assert (answer.status_code, answer.json()["code"]) == (403, "shared_by_all"), (path, answer.text)
    async with ruled.database.transaction() as tx:
        assert await tx.value("SELECT count(*) FROM import_run") == 0


async def test_an_import_brought_before_its_person_was_limited_goes_no_further(ruled: Shop) -> None:
    planner = await ruled.session(Role.PLANNER)
    everywhere = await ruled.key(CATALOGUE)
    assert (await ruled.http.post("/v1/products", json=SHIRT, headers=everywhere)).status_code == 201
    run = (await ruled.http.post("/v1/imports/prices", content=b"sku;price\nSHIRT-M;1,00\n", headers=planner)).json()
    async with ruled.database.transaction() as tx:
        who = (await people.people(tx, 1))[0].id
        draft = PersonDraft(name="x", email="planner@loja.test", role=Role.PLANNER, locations=["L1"])
        await identity.change_person(tx, who, draft)
        # As one that was brought when people limited to locations still could.
        await tx.execute(
            "UPDATE import_run SET locations = (SELECT to_jsonb(array_agg(id)) FROM location WHERE code = 'L1')"
        )
    for act in ("check", "apply"):
        answer = await ruled.http.post(f"/v1/imports/{run['id']}/{act}", json={}, headers=planner)
        assert (answer.status_code, answer.json()["code"]) == (403, "needs_everywhere"), answer.text


async def test_the_catalogues_pages_offer_who_is_limited_nothing_to_change(ruled: Shop) -> None:
    planner = await ruled.session(Role.PLANNER, locations=["L1"])
    everywhere = await ruled.session(Role.PLANNER, email="all@loja.test")
    assert (await ruled.http.post("/v1/products", json=SHIRT, headers=await ruled.key(CATALOGUE))).status_code == 201
    offers = {
        "/products": ["/products:new"],
        "/products/SHIRT": ["/products/SHIRT/edit", "dlg-active", "Change it"],
        "/products/SHIRT/ahead": ['action="/products/SHIRT/ahead"'],
        "/imports": [f'action="/imports/{kind}"' for kind in ("products", "prices", "ahead_policies")],
    }
    for path, acts in offers.items():
        theirs = (await ruled.http.get(path, headers=planner)).text
        others = (await ruled.http.get(path, headers=everywhere)).text
        assert [act for act in acts if act in theirs] == [], path
        assert [act for act in acts if act in others] == acts, path
    for path in ("/products:new", "/products/SHIRT/edit"):
        refused = await ruled.http.get(path, headers=planner)
        assert (refused.status_code, "your access is limited to some locations" in refused.text) == (403, True)


async def test_pages_of_the_whole_retailer_say_why_who_is_limited_changes_nothing(ruled: Shop) -> None:
    planner = await ruled.session(Role.PLANNER, locations=["L1"])
    everywhere = await ruled.session(Role.PLANNER, email="all@loja.test")
    reader = await ruled.session(Role.STORE_ASSOCIATE, locations=["L1"])
    offers = {
        "/products": "/products:new",
        "/channels": "/channels:new",
        "/services": "/services:new",
        "/companies": "/establishments:new",
        "/payment-terms": 'action="/payment-terms"',
    }
    for path, act in offers.items():
        for who, offered, told in ((planner, False, True), (everywhere, True, False), (reader, False, False)):
            shown = (await ruled.http.get(path, headers=who)).text
            assert (act in shown, "does not change it" in shown) == (offered, told), path
        refused = await ruled.http.get(act, headers=planner) if act.startswith("/") else None
        assert refused is None or refused.status_code == 403, path


async def test_an_owner_who_is_limited_sees_no_settings_of_the_whole_retailer(ruled: Shop) -> None:
    limited = await ruled.session(locations=["L1"])
    everywhere = await ruled.session(email="all@loja.test")
    for who, offered in ((limited, False), (everywhere, True)):
        home = (await ruled.http.get("/", headers=who)).text
        assert ('href="/settings"' in home) is offered
        roles = (await ruled.http.get("/roles", headers=who)).text
        assert ("/second-factor" in roles) is offered
        assert (await ruled.http.get("/settings", headers=who)).status_code == (200 if offered else 403)
        demanded = await ruled.http.post("/roles/manager/second-factor", data={"demanded": "yes"}, headers=who)
        assert demanded.status_code == (303 if offered else 403)
