"""Stock over HTTP: facts are recorded, promises are all or nothing, and everyone sees their own locations."""

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests_http import Shop

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from spine_rows import a_network, an_order

from malha.inventory.model import Reason

STOCK = ["stock:read", "stock:write", "intake:submit"]


@pytest.fixture
async def stocked(shop: Shop) -> Shop:
    async with shop.database.transaction() as tx:
        await a_network(tx)
    key = await shop.key(STOCK)
    items = [item("SKU-1", "CD01", 10), item("SKU-2", "CD01", 4), item("SKU-1", "LJ01", 2)]
    answer = await shop.http.post("/v1/stock:set", json={"items": items, "reason": "initial"}, headers=key)
    assert (answer.status_code, answer.json()) == (200, {"deficits": []})
    shop.headers = key
    return shop


def item(sku: str, location: str, quantity: int) -> dict[str, object]:
    return {"sku": sku, "location": location, "quantity": quantity}


async def free(shop: Shop) -> dict[tuple[str, str], int]:
    rows = (await shop.http.get("/v1/stock", headers=shop.headers)).json()["items"]
    return {(row["sku"], row["location"]): row["free"] for row in rows}


async def test_facts_are_recorded_with_their_reason_and_repeated_sends_count_once(stocked: Shop) -> None:
    body = {"items": [{"sku": "SKU-1", "location": "CD01", "change": -3}], "reason": "damage", "reference": "RMA-7"}
    headers = {**stocked.headers, "idempotency-key": "adjust-1"}
    answers = [await stocked.http.post("/v1/stock:adjust", json=body, headers=headers) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    goods = {"items": [item("SKU-2", "LJ01", 5), item("SKU-2", "LJ01", 1)], "reference": "NF 123"}
    assert (await stocked.http.post("/v1/stock:receive", json=goods, headers=stocked.headers)).status_code == 200
    kept = {"items": [item("SKU-2", "LJ01", 2)]}
    assert (await stocked.http.post("/v1/stock:safety", json=kept, headers=stocked.headers)).status_code == 204
    assert await free(stocked) == {
        ("SKU-1", "CD01"): 7,
        ("SKU-1", "LJ01"): 2,
        ("SKU-2", "CD01"): 4,
        ("SKU-2", "LJ01"): 4,
    }
    first = await stocked.http.get("/v1/stock/SKU-1/CD01/movements?limit=1", headers=stocked.headers)
    page = first.json()
    assert [(m["d_on_hand"], m["reason"], m["ref_text"]) for m in page["items"]] == [(-3, "damage", "RMA-7")]
    rest = await stocked.http.get(
        "/v1/stock/SKU-1/CD01/movements", params={"cursor": page["next"]}, headers=stocked.headers
    )
    assert [m["reason"] for m in rest.json()["items"]] == [Reason.INITIAL]
    async with stocked.database.transaction() as tx:
        actions = await tx.values("SELECT action FROM audit WHERE entity = 'stock' ORDER BY id")
    assert actions == ["set", "adjust", "receive", "set_safety"]


async def test_what_has_not_happened_yet_is_no_fact_and_a_clock_that_is_a_little_fast_is_forgiven(
    stocked: Shop,
) -> None:
    """A movement of tomorrow would be added again to every snapshot until then."""

    def at(**ahead: float) -> str:
        return (datetime.now(UTC) + timedelta(**ahead)).isoformat()

    before = await free(stocked)
    change = {"items": [{"sku": "SKU-1", "location": "CD01", "change": 5}], "reason": "found"}
    goods = {"items": [item("SKU-1", "CD01", 5)]}
    for path, body in (("/v1/stock:adjust", change), ("/v1/stock:set", goods), ("/v1/stock:receive", goods)):
        answer = await stocked.http.post(path, json=body | {"occurred_at": at(hours=3)}, headers=stocked.headers)
        assert (answer.status_code, answer.json()["code"]) == (422, "not_happened_yet"), path
    assert await free(stocked) == before
    soon = change | {"occurred_at": at(seconds=20)}
    answer = await stocked.http.post("/v1/stock:adjust", json=soon, headers=stocked.headers)
    assert answer.status_code == 200
    rows = await stocked.http.get("/v1/stock/SKU-1/CD01/movements?limit=1", headers=stocked.headers)
    (last,) = rows.json()["items"]
    assert last["occurred_at"] == last["recorded_at"]


async def test_no_stock_is_of_a_time_before_the_year_2000(stocked: Shop) -> None:
    """Systems send the year 1600 or 1900 where they have no time: it would be from before every snapshot and count."""
    before = await free(stocked)
    change = {"items": [{"sku": "SKU-1", "location": "CD01", "change": 5}], "reason": "found"}
    goods = {"items": [item("SKU-1", "CD01", 5)]}
    paths = [("/v1/stock:adjust", change), ("/v1/stock:set", goods), ("/v1/stock:receive", goods)]
    for path, body in paths:
        # Nothing at all is of a time before 1900; what else is of no stock, stock says.
        for at, says in {
            "1600-01-01T00:00:00Z": "none of the years 1900 to 2999",
            "0001-01-01T00:00:00+14:00": "none of the years 1900 to 2999",
            "1999-12-31T23:59:59Z": "before the year 2000",
        }.items():
            answer = await stocked.http.post(path, json=body | {"occurred_at": at}, headers=stocked.headers)
            assert answer.status_code == 422, (path, at)
            assert says in answer.text
    assert await free(stocked) == before
    for path, body in paths:
        body |= {"occurred_at": "2000-01-01T00:00:00Z"}
        assert (await stocked.http.post(path, json=body, headers=stocked.headers)).status_code == 200


async def test_what_was_stated_of_a_later_moment_stands_and_the_answer_says_which_items_it_was(stocked: Shop) -> None:
    """An item that changes nothing looks in the books like one that was followed."""
    noon = datetime.now(UTC) - timedelta(hours=5)
    one = noon + timedelta(hours=1)
    async with stocked.database.transaction() as tx:  # what is there from the beginning is from before
        await tx.execute("UPDATE movement SET occurred_at = %(at)s::timestamptz", {"at": noon - timedelta(hours=1)})
    later = {"items": [item("SKU-1", "CD01", 8)], "reason": "count", "occurred_at": one.isoformat()}
    answer = await stocked.http.post("/v1/stock:set", json=later, headers=stocked.headers)
    assert answer.json() == {"deficits": []}
    goods = {"items": [item("SKU-1", "CD01", 2)]}
    assert (await stocked.http.post("/v1/stock:receive", json=goods, headers=stocked.headers)).status_code == 200
    told = {"items": [item("SKU-2", "CD01", 3), item("SKU-1", "CD01", 9), item("SKU-1", "LJ01", 5)]}
    told |= {"occurred_at": noon.isoformat()}
    answer = await stocked.http.post("/v1/stock:set", json=told, headers=stocked.headers)
    assert answer.status_code == 200
    (kept,) = answer.json()["kept"]
    assert datetime.fromisoformat(kept.pop("since")) == one
    assert kept == {"item": 1, "sku": "SKU-1", "location": "CD01", "on_hand": 10}
    assert await free(stocked) == {("SKU-1", "CD01"): 10, ("SKU-1", "LJ01"): 5, ("SKU-2", "CD01"): 3}


async def test_what_does_not_exist_is_named_item_by_item_and_nothing_is_changed(stocked: Shop) -> None:
    before = await free(stocked)
    items = [item("SKU-1", "CD01", 99), item("SKU-9", "CD01", 1), item("KIT-3", "NOWHERE", 1)]
    answer = await stocked.http.post("/v1/stock:set", json={"items": items}, headers=stocked.headers)
    assert answer.status_code == 422
    assert [(flaw["at"], flaw["says"]) for flaw in answer.json()["errors"]] == [
        ("/items/1/sku", "There is no SKU SKU-9."),
        ("/items/2/sku", "KIT-3 is a kit: stock is kept of its components."),
        ("/items/2/location", "There is no location NOWHERE."),
    ]
    assert await free(stocked) == before


async def test_a_count_below_what_is_promised_is_recorded_and_says_so(stocked: Shop) -> None:
    async with stocked.database.transaction() as tx:
        await an_order(tx, quantity=3)
    body = {"items": [item("SKU-1", "CD01", 1)], "reason": "count"}
    answer = await stocked.http.post("/v1/stock:set", json=body, headers=stocked.headers)
    assert answer.json()["deficits"] == [{"sku": "SKU-1", "location": "CD01", "quantity": 4, "reason": "count"}]


async def test_racing_holds_never_hold_more_than_there_is(stocked: Shop) -> None:
    async def hold(n: int) -> int:
        body = {"reference": f"cart-{n}", "items": [item("SKU-1", "CD01", 3), item("SKU-2", "CD01", 1)], "seconds": 60}
        answer = await stocked.http.post("/v1/holds", json=body, headers=stocked.headers)
        if answer.status_code == 409:
            problem = answer.json()
            assert problem["code"] == "not_enough_stock"
            assert {flaw["at"] for flaw in problem["errors"]} <= {"/items/0/quantity", "/items/1/quantity"}
        return answer.status_code

    outcomes = await asyncio.gather(*(hold(n) for n in range(12)))
    assert sorted(outcomes) == [201] * 3 + [409] * 9
    assert (await free(stocked))["SKU-1", "CD01"] == 1
    held = next(n for n, status in enumerate(outcomes) if status == 201)
    again = await stocked.http.post(
        "/v1/holds", json={"reference": f"cart-{held}", "items": [item("SKU-1", "LJ01", 1)]}, headers=stocked.headers
    )
    assert again.json()["code"] == "hold_exists"
    longer = await stocked.http.post(f"/v1/holds/cart-{held}/extend", json={"seconds": 600}, headers=stocked.headers)
    assert longer.status_code == 200
    for _ in range(2):
        gone = await stocked.http.post(f"/v1/holds/cart-{held}/release", headers=stocked.headers)
        assert gone.status_code == 204
    assert (await free(stocked))["SKU-1", "CD01"] == 4
    late = await stocked.http.post(f"/v1/holds/cart-{held}/extend", json={"seconds": 600}, headers=stocked.headers)
    assert (late.status_code, late.json()["code"]) == (404, "hold_not_found")


async def test_everyone_sees_and_changes_the_stock_of_their_own_locations(stocked: Shop) -> None:
    stocked.headers = await stocked.key(STOCK, locations=["LJ01"])
    assert await free(stocked) == {("SKU-1", "LJ01"): 2}
    named = await stocked.http.get("/v1/stock?sku=SKU-1&sku=SKU-2&sku=NONE", headers=stocked.headers)
    assert [row["location"] for row in named.json()["items"]] == ["LJ01"]
    for address in ("/v1/stock?location=CD01", "/v1/stock/SKU-1/CD01/movements"):
        refused = await stocked.http.get(address, headers=stocked.headers)
        assert (refused.status_code, refused.json()["code"]) == (404, "unknown_location")
    change = {"items": [{"sku": "SKU-1", "location": "CD01", "change": 5}], "reason": "found"}
    answer = await stocked.http.post("/v1/stock:adjust", json=change, headers=stocked.headers)
    assert answer.json()["errors"][0]["says"] == "There is no location CD01."


async def test_stock_is_paged_by_sku(stocked: Shop) -> None:
    seen, cursor = [], ""
    for _ in range(4):
        page = (await stocked.http.get(f"/v1/stock?limit=1&cursor={cursor}", headers=stocked.headers)).json()
        seen += [row["sku"] for row in page["items"]]
        cursor = page["next"]
        if not cursor:
            break
    assert seen == ["SKU-1", "SKU-1", "SKU-2"]
    foreign = await stocked.http.get("/v1/stock?cursor=WyJvcmRlcnMiLDFd", headers=stocked.headers)
    assert (foreign.status_code, foreign.json()["code"]) == (422, "bad_cursor")
