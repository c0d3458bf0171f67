"""Rules that name no location: whoever is limited to locations reads them, by page and by API, and changes none."""

import sys
from pathlib import Path
from typing import Any

import pytest
from tests_http import Shop

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sync_world import a_retailer

from malha.identity.model import Role
from malha.inventory.allotments import service as allotments
from malha.inventory.allotments.model import AllotmentDraft, Kind
from malha.inventory.safety import service as safety
from malha.inventory.safety.model import SafetyRuleDraft

RULE: dict[str, Any] = {"code": "R-ALL", "name": "Everywhere", "amount": 2}
CAP: dict[str, Any] = {"code": "C-ALL", "name": "Everywhere", "kind": "cap", "quota": 5}
KEY = ["stock:read", "stock:write"]


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
        assert "does not change them" in shown
        assert (await ruled.http.get(edit, headers=keeper)).status_code == 403
        shown = (await ruled.http.get(path, headers=owner)).text
        assert edit in shown
        assert "does not change them" not in shown
    assert "dlg-end" not in (await ruled.http.get("/allotments/C-ALL", headers=keeper)).text
    assert "dlg-end" in (await ruled.http.get("/allotments/C-ALL", headers=owner)).text
