"""Pages of allotments and safety rules answer, empty and filled, and their forms refuse in the reader's words."""

import re

import pytest
from tests_http import Shop

from malha.inventory.allotments import service as allotments
from malha.inventory.allotments.model import AllotmentDraft, FenceRow, Kind
from malha.inventory.safety import service as safety
from malha.inventory.safety.model import SafetyRuleDraft
from malha.testing.builders import a_network, a_product


@pytest.fixture
async def sold(shop: Shop) -> Shop:
    async with shop.database.transaction() as tx:
        world = await a_network(tx)
        await a_product(tx, world, "CUP", stock={"DC": 10})
    shop.headers = await shop.session()
    return shop


async def fill(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        fence = AllotmentDraft(
            code="F", name="Fence one", kind=Kind.FENCE, channels=("mall",), stock=(FenceRow("CUP", "DC", 4),)
        )
        await allotments.put(tx, fence, None)
        await allotments.put(tx, AllotmentDraft(code="C", name="Cap one", kind=Kind.CAP, quota=4), None)
        await safety.put(tx, SafetyRuleDraft(code="R", name="Rule one", amount=1), None)
    await safety.sweep(shop.database)


async def page(shop: Shop, path: str) -> str:
    answer = await shop.http.get(path, headers=shop.headers)
    assert answer.status_code == 200, answer.text[:2000]
    return answer.text


async def test_empty_lists_say_what_to_do(sold: Shop) -> None:
    assert "No stock is set apart" in await page(sold, "/allotments")
    assert "No rule keeps anything back here" in await page(sold, "/safety-rules")
    for path in ("/allotments:new", "/allotments:new?kind=cap", "/safety-rules:new"):
        assert "<form" in await page(sold, path)


async def test_filled_pages_show_what_there_is(sold: Shop) -> None:
    await fill(sold)
    assert "Fence one" in await page(sold, "/allotments")
    assert "<b>4</b>" in await page(sold, "/allotments/F")
    assert "Nothing was sold under this cap yet." in await page(sold, "/allotments/C")
    assert "CUP\tDC\t4" in await page(sold, "/allotments/F/edit")
    assert "Rule one" in await page(sold, "/safety-rules")
    assert "Rule one" in await page(sold, "/safety-rules/R/edit")
    stock = await page(sold, "/stock/CUP")
    assert "Rule Rule one" in stock
    assert "Fence one" in stock
    csv = (await sold.http.get("/allotments/F/stock.csv", headers=sold.headers)).text
    assert csv.splitlines()[1] == "CUP;DC;4;4;4;0;0"


async def test_a_form_that_cannot_be_says_where(sold: Shop) -> None:
    await fill(sold)
    form = {
        "version": "0",
        "kind": "fence",
        "name": "X",
        "code": "X",
        "channels": "mall",
        "stock": "SKU;local;quantidade\nCUP;DC",
    }
    answer = await sold.http.post("/allotments:new", data=form, headers=sold.headers)
    assert (answer.status_code, "Row 2 cannot be read." in answer.text) == (422, True)
    form["stock"] = "CUP;DC;4"
    answer = await sold.http.post("/allotments:new", data=form, headers=sold.headers)
    assert (answer.status_code, "Fence F already sets 1" in answer.text) == (409, True)
    answer = await sold.http.post("/allotments/F/end", data={"version": "1"}, headers=sold.headers)
    assert answer.status_code == 303
    assert (await sold.http.post("/allotments:new", data=form, headers=sold.headers)).status_code == 303


VERSION = re.compile(r'id="dlg-end".*?name="version" value="([0-9]+)"', re.DOTALL)


async def test_an_allotment_that_a_colleague_has_just_changed_is_not_ended_unseen(sold: Shop) -> None:
    await fill(sold)
    key = await sold.key(["stock:read", "stock:write"])
    seen = VERSION.findall(await page(sold, "/allotments/F"))
    tag = (await sold.http.get("/v1/allotments/F", headers=key)).headers["etag"]
    async with sold.database.transaction() as tx:
        more = AllotmentDraft(
            code="F", name="Until Sunday", kind=Kind.FENCE, channels=("mall",), stock=(FenceRow("CUP", "DC", 6),)
        )
        await allotments.put(tx, more, 1)
    late = await sold.http.post("/allotments/F/end", data={"version": seen[0]}, headers=sold.headers)
    assert (late.status_code, "changed" in late.text) == (409, True)
    assert (await sold.http.post("/allotments/F/end", data={}, headers=sold.headers)).status_code == 409
    program = await sold.http.post("/v1/allotments/F/end", headers=key | {"if-match": tag})
    assert program.status_code == 412
    assert "<b>6</b>" in await page(sold, "/allotments/F")
    now = VERSION.findall(await page(sold, "/allotments/F"))
    done = await sold.http.post("/allotments/F/end", data={"version": now[0]}, headers=sold.headers)
    assert done.status_code == 303
    # One that ended stays so, whoever says it once more; without a version, as programs did before.
    assert (await sold.http.post("/v1/allotments/F/end", headers=key)).status_code == 200
    assert (await sold.http.post("/v1/allotments/C/end", headers=key)).status_code == 200


async def test_a_rule_is_tried_saved_and_deleted_by_its_form(sold: Shop) -> None:
    form = {"version": "0", "name": "All", "code": "ALL", "purpose": "routing", "measure": "units", "amount": "3"}
    form["active"] = "on"
    answer = await sold.http.post("/safety-rules:try", data=form, headers=sold.headers)
    assert (answer.status_code, "1 balance" in answer.text) == (200, True)
    assert (await sold.http.post("/safety-rules:new", data=form, headers=sold.headers)).status_code == 303
    gone = await sold.http.post("/safety-rules/ALL/delete", data={"version": "1"}, headers=sold.headers)
    assert gone.status_code == 303
    assert "No rule keeps anything back here" in await page(sold, "/safety-rules")
