"""Purchase orders, receipts, transfers and counts over HTTP: by code or barcode, once, in scope, blind."""

import csv
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from tests_http import Shop

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from supply_rows import a_retailer

from malha.identity.model import Role
from malha.platform.ids import new_id

Json = dict[str, Any]


@pytest.fixture
async def stocked(shop: Shop) -> Shop:
    await a_retailer(shop.database, units=10)
    return shop


async def post(shop: Shop, who: dict[str, str], path: str, body: Json, status: int = 200) -> Json:
    answer = await shop.http.post(f"/v1{path}", json=body, headers=who)
    assert answer.status_code == status, answer.text
    found: Json = answer.json() if answer.content else {}
    return found


async def get(shop: Shop, who: dict[str, str], path: str) -> Any:
    answer = await shop.http.get(f"/v1{path}", headers=who)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_delivery_without_an_id_of_its_own_is_received_once_by_its_document(stocked: Shop) -> None:
    lead = await stocked.session(Role.MANAGER)
    arrived = {"location": "LJ01", "document": "NF-e 4417", "lines": [{"sku": "CAM-P", "quantity": 6}]}
    first = await post(stocked, lead, "/receipts", arrived, 201)
    refused = await post(stocked, lead, "/receipts", arrived | {"document": "nf-E 4417"}, 409)
    assert (refused["code"], refused["facts"]["number"]) == ("document_received", f"R{first['number']}")
    for said in ({"same_document": True}, {"id": str(new_id())}):
        assert (await post(stocked, lead, "/receipts", arrived | said, 201))["repeated"] is False
    assert len((await get(stocked, lead, "/receipts"))["items"]) == 3


async def test_goods_are_ordered_received_by_barcode_examined_and_taken_back(stocked: Shop) -> None:
    lead = await stocked.session(Role.MANAGER)
    order = {
        "supplier": "Tecelagem Sul",
        "reference": "OC-7",
        "location": "LJ01",
        "lines": [{"sku": "CAM-P", "quantity": 10, "eta": "2026-12-10", "unit_cost": 2500}],
    }
    assert (await post(stocked, lead, "/purchase-orders", order, 201)) == {"number": 1, "created": True}
    assert (await post(stocked, lead, "/purchase-orders", order, 200)) == {"number": 1, "created": False}
    moved = {"lines": {"1": "2026-12-20"}, "reason": "port"}
    assert await post(stocked, lead, "/purchase-orders/1/reschedule", moved) == {"count": 1}
    (coming,) = await get(stocked, lead, "/stock:incoming?sku=CAM-P")
    assert (coming["day"], coming["quantity"], coming["source"]) == ("2026-12-20", 10, "purchase")
    arrived = {
        "id": str(new_id()),
        "location": "LJ01",
        "order": 1,
        "lines": [
            {"sku": "7891000315507", "quantity": 6},
            {"sku": "CAM-P", "quantity": 2, "bucket": "quality_control"},
        ],
    }
    done = await post(stocked, lead, "/receipts", arrived, 201)
    assert done["repeated"] is False
    assert (await post(stocked, lead, "/receipts", arrived, 201))["repeated"] is True
    (bucket,) = await get(stocked, lead, "/stock:buckets?sku=CAM-P")
    assert (bucket["location"], bucket["bucket"], bucket["quantity"]) == ("LJ01", "quality_control", 2)
    for name, moved_units in (("quality_control", [2]), ("damaged", []), ("sellable", [6, 10])):
        ledger = await get(stocked, lead, f"/stock/CAM-P/LJ01/movements?bucket={name}")
        assert [row["d_on_hand"] for row in ledger["items"]] == moved_units
    put = {"location": "LJ01", "items": [{"sku": "CAM-P", "quantity": 2}], "from": "quality_control", "to": "sellable"}
    assert await post(stocked, lead, "/stock:move", put) == {"deficits": []}
    view = await get(stocked, lead, "/purchase-orders/1")
    assert (view["state"], view["lines"][0]["received"], len(view["receipts"])) == ("partial", 8, 1)
    assert view["lines"][0]["moves"][0]["became"] == "2026-12-20"
    assert await post(stocked, lead, "/purchase-orders/1/close", {"reason": "no more"}) == {"count": 2}
    refused = await post(stocked, lead, f"/receipts/{done['number']}/undo", {"reason": "wrong"}, 409)
    assert refused["code"] == "not_in_bucket"  # the two examined ones are elsewhere
    assert len((await get(stocked, lead, "/receipts"))["items"]) == 1


async def test_what_is_scanned_and_unknown_is_named(stocked: Shop) -> None:
    lead = await stocked.session(Role.MANAGER)
    body = {"location": "LJ01", "lines": [{"sku": "CAM-P", "quantity": 1}, {"sku": "789", "quantity": 1}]}
    refused = await post(stocked, lead, "/receipts", body, 422)
    assert [error["at"] for error in refused["errors"]] == ["/lines/1/sku"]


async def test_a_transfer_goes_its_way_over_http(stocked: Shop) -> None:
    lead = await stocked.session(Role.MANAGER)
    ana = await stocked.session(Role.STORE_ASSOCIATE, locations=["LJ01"])
    body = {"origin": "CD01", "destination": "LJ01", "lines": [{"sku": "CAM-P", "quantity": 4}], "eta": "2026-12-01"}
    assert await post(stocked, ana, "/transfers", body, 201) == {"number": 1}
    assert (await post(stocked, ana, "/transfers/1/approve", {}, 403))["code"] == "forbidden"
    await post(stocked, lead, "/transfers/1/approve", {}, 204)
    assert (await post(stocked, ana, "/transfers/1/ship", {}, 403))["code"] == "not_your_end"
    left = {"shipment": 1, "to_ship": 0, "state": "shipped", "deficits": []}
    assert await post(stocked, lead, "/transfers/1/ship", {}) == left
    there = await stocked.http.get("/v1/transfers/1", headers=ana)
    late = {"eta": "2026-12-09", "reason": "rain"}
    path, moves = "/transfers/1/reschedule", {**ana, "if-match": there.headers["etag"]}
    assert (await post(stocked, ana, path, late, 428))["code"] == "version_required"
    assert await post(stocked, moves, path, late) == {"moved": True, "version": 4}
    assert (await post(stocked, moves, path, late, 412))["code"] == "stale_version"
    assert await post(stocked, {**ana, "if-match": '"4"'}, path, late) == {"moved": False, "version": 4}
    (move,) = (await get(stocked, lead, "/transfers/1"))["moves"]
    assert (move["was"], move["became"], move["reason"]) == ("2026-12-01", "2026-12-09", "rain")
    arrived = {"lines": [{"sku": "CAM-P", "quantity": 3}]}
    done = await post(stocked, ana, "/transfers/1/receive", arrived)
    assert (done["state"], done["missing"]) == ("received", 1)
    (discrepancy,) = (await get(stocked, lead, "/transfers/1"))["discrepancies"]
    path = f"/transfers/1/discrepancies/{discrepancy['id']}/decide"
    await post(stocked, lead, path, {"decision": "found_at_origin"})
    (row,) = (await get(stocked, ana, "/transfers"))["items"]
    for asked in ("q=T1", "q=7891000315507", "origin=CD01&destination=LJ01", "late=2026-12-02", "status=closed"):
        found = (await get(stocked, ana, f"/transfers?{asked}"))["items"]
        assert len(found) == (not asked.startswith("late")), asked
    assert (await get(stocked, ana, "/transfers?until=2026-01-01T00:00:00Z"))["items"] == []
    assert (await stocked.http.get("/v1/transfers?origin=NOPE", headers=ana)).status_code == 404
    for asked, many in (("q=T1", 1), ("of=transfer&location=LJ01", 1), ("of=order", 0), ("q=CAM-M", 0)):
        assert len((await get(stocked, ana, f"/receipts?{asked}"))["items"]) == many, asked
    assert (await stocked.http.get("/v1/receipts?location=CD01", headers=ana)).status_code == 404
    assert (row["state"], row["undecided"], row["transit"]) == ("closed", 0, 0)


async def test_a_transfer_leaves_in_parts_over_http_and_its_rest_is_given_back(stocked: Shop) -> None:
    lead = await stocked.session(Role.MANAGER)
    ana = await stocked.session(Role.STORE_ASSOCIATE, locations=["LJ01"])
    bia = await stocked.session(Role.STORE_LEAD, locations=["FR01"])
    body = {"origin": "CD01", "destination": "LJ01", "lines": [{"sku": "CAM-P", "quantity": 8}]}
    await post(stocked, lead, "/transfers", body, 201)
    await post(stocked, lead, "/transfers/1/approve", {}, 204)
    some = {"quantities": {"1": 3}, "more_follows": True, "carrier": "Jadlog", "document": "R-1"}
    now = {**lead, "if-match": '"2"'}
    left = {"shipment": 1, "to_ship": 5, "state": "partly_shipped", "deficits": []}
    assert await post(stocked, now, "/transfers/1/ship", some) == left
    assert (await post(stocked, now, "/transfers/1/ship", some, 412))["code"] == "stale_version"
    again = {**lead, "idempotency-key": "second"}
    for _ in range(2):  # sent twice, it left once
        assert (await post(stocked, again, "/transfers/1/ship", {**some, "document": "R-2"}))["shipment"] == 2
    (row,) = (await get(stocked, ana, "/transfers?status=partly_shipped&q=R-1"))["items"]
    assert (row["to_ship"], row["shipments"], row["shipped"], row["transit"]) == (2, 2, 6, 6)
    arrived = {"shipment": 2, "lines": [{"sku": "CAM-P", "quantity": 3}]}
    assert (await post(stocked, ana, "/transfers/1/receive", arrived))["state"] == "partly_shipped"
    assert (await post(stocked, ana, "/transfers/1/receive", arrived, 409))["code"] == "nothing_on_its_way"
    assert (await post(stocked, lead, "/transfers/1/close", {"reason": "x"}, 428))["code"] == "version_required"
    seen = await stocked.http.get("/v1/transfers/1", headers=lead)
    now = {**lead, "if-match": seen.headers["etag"]}
    assert (await post(stocked, {**bia, "if-match": "*"}, "/transfers/1/close", {"reason": "x"}, 404))["code"] == (
        "unknown_transfer"
    )
    closed = await post(stocked, now, "/transfers/1/close", {"reason": "no truck"})
    assert closed["units"] == 2
    assert (await post(stocked, now, "/transfers/1/close", {"reason": "no truck"}, 412))["code"] == "stale_version"
    view = await get(stocked, ana, "/transfers/1")
    assert [(one["state"], one["shipment"]["document"], one["shipment"]["coming"]) for one in view["shipments"]] == [
        ("shipped", "R-1", 3),
        ("closed", "R-2", 0),
    ]
    assert (view["transfer"]["state"], view["transfer"]["closed_short_reason"]) == ("shipped", "no truck")
    assert [(line["dropped"], line["to_ship"]) for line in view["lines"]] == [(2, 0)]
    moved = {"eta": "2026-12-24", "shipment": 1}
    at = {**ana, "if-match": f'"{closed["version"]}"'}
    assert (await post(stocked, at, "/transfers/1/reschedule", moved))["moved"]
    at = {**ana, "if-match": f'"{closed["version"] + 1}"'}
    assert (await post(stocked, at, "/transfers/1/reschedule", {**moved, "shipment": 0}, 422))["code"] == "invalid"


async def test_what_a_transfer_set_aside_is_nobody_elses_to_let_go_and_free_again_when_it_is_cancelled(
    stocked: Shop,
) -> None:
    lead = await stocked.session(Role.MANAGER)
    ana = await stocked.session(Role.STORE_ASSOCIATE, locations=["LJ01"])
    program = await stocked.key(["intake:submit"])
    body = {"origin": "CD01", "destination": "LJ01", "lines": [{"sku": "CAM-P", "quantity": 4}]}
    await post(stocked, ana, "/transfers", body, 201)
    await post(stocked, lead, "/transfers/1/approve", {}, 204)

    async def held() -> int:
        rows = (await get(stocked, lead, "/stock?sku=CAM-P&location=CD01"))["items"]
        return int(rows[0]["held"])

    await post(stocked, program, "/holds/transfer%201/release", {}, 204)
    refused = await post(stocked, program, "/holds/transfer%201/extend", {"seconds": 60}, 404)
    assert (refused["code"], await held()) == ("hold_not_found", 4)
    # Who asked for the goods sees only the other end, and gives them up all the same.
    await post(stocked, ana, "/transfers/1/cancel", {"reason": "sold out"}, 204)
    assert await held() == 0


async def test_a_blind_count_tells_its_counter_nothing_and_its_approver_everything(stocked: Shop) -> None:
    lead = await stocked.session(Role.MANAGER)
    ana = await stocked.session(Role.STORE_ASSOCIATE, email="ana@loja.test", locations=["LJ01"])
    bia = await stocked.session(Role.STORE_ASSOCIATE, email="bia@loja.test", locations=["LJ01"])
    number = (await post(stocked, lead, "/counts", {"location": "LJ01", "skus": ["CAM-P"]}, 201))["number"]
    entry = {"items": [{"sku": "7891000315507", "counted": 7}]}
    follows = await stocked.http.post(f"/v1/counts/{number}/entries", json=entry, headers=ana)
    assert follows.json() == [{"sku": "CAM-P", "state": "recount"}]
    (line,) = (await get(stocked, ana, f"/counts/{number}/lines"))["items"]
    assert (line["counted"], line["expected"], line["variance"]) == (7, None, None)
    refused = await stocked.http.post(f"/v1/counts/{number}/entries", json=entry, headers=ana)
    assert refused.json()["code"] == "not_countable"
    await stocked.http.post(f"/v1/counts/{number}/entries", json=entry, headers=bia)
    (line,) = (await get(stocked, lead, f"/counts/{number}/lines?status=review"))["items"]
    assert (line["expected"], line["variance"]) == (10, -3)
    assert await post(stocked, lead, f"/counts/{number}/approve", {}) == {"count": 1}
    assert await post(stocked, lead, f"/counts/{number}/close", {}) == {"applied": 1, "left": 0, "deficits": []}
    rows = await get(stocked, lead, "/stock?sku=CAM-P&location=LJ01")
    assert rows["items"][0]["on_hand"] == 7


async def test_a_variance_that_was_counted_again_since_an_approver_looked_is_not_approved_unseen(stocked: Shop) -> None:
    lead = await stocked.session(Role.MANAGER)
    other = await stocked.session(Role.OWNER, email="dona@loja.test")
    team = [await stocked.session(Role.STORE_ASSOCIATE, email=f"{n}@loja.test", locations=["LJ01"]) for n in range(4)]
    skus = ["CAM-P", "CAM-M"]
    number = (await post(stocked, lead, "/counts", {"location": "LJ01", "skus": skus}, 201))["number"]

    async def count(who: dict[str, str], units: dict[str, int]) -> None:
        items = [{"sku": sku, "counted": n} for sku, n in units.items()]
        await post(stocked, who, f"/counts/{number}/entries", {"items": items})

    async def seen() -> dict[str, int]:
        lines = (await get(stocked, lead, f"/counts/{number}/lines?status=review"))["items"]
        return {line["sku"]: line["attempts"] for line in lines}

    async def sheet() -> dict[str, str]:
        page = (await stocked.http.get(f"/counts/{number}?show=review", headers=lead)).text
        return dict(re.findall(r'<input type="hidden" name="(\w+)" value="(\w*)">', page.partition('id="lines"')[2]))

    for who in team[:2]:
        await count(who, dict.fromkeys(skus, 7))
    read, old = await seen(), await sheet()
    ids = [name[1:] for name in old if name != "mark"]
    assert (sorted(read), len(ids)) == (sorted(skus), 2)
    # Meanwhile somebody has one counted again, and far less is found.
    await post(stocked, other, f"/counts/{number}/recount", {"skus": ["CAM-P"]})
    await count(team[2], {"CAM-P": 0})
    late = await post(stocked, lead, f"/counts/{number}/approve", {"skus": skus, "attempts": read}, 409)
    assert late["code"] == "counted_again", late
    for form in ({"act": "approve", "sku": ids, **old}, {"act": "approve_all", **old}):
        answer = await stocked.http.post(f"/counts/{number}/decide", data=form, headers=lead)
        assert (answer.status_code, "not what you saw" in answer.text) == (409, True), (form, answer.text)
    assert (await get(stocked, lead, f"/counts/{number}"))["progress"] == {"review": 2}
    # What is as it was seen is approved, and so is what is looked at again.
    untouched = {"skus": ["CAM-M"], "attempts": read}
    assert await post(stocked, lead, f"/counts/{number}/approve", untouched) == {"count": 1}
    form = {"act": "approve_all", **await sheet()}
    assert (await stocked.http.post(f"/counts/{number}/decide", data=form, headers=lead)).status_code == 303
    assert (await get(stocked, lead, f"/counts/{number}"))["progress"] == {"accepted": 2}


async def test_counts_are_found_by_number_zone_and_what_is_counted_and_narrowed_by_location_and_day(
    stocked: Shop,
) -> None:
    lead = await stocked.session(Role.MANAGER)
    shelf = await post(stocked, lead, "/counts", {"location": "LJ01", "skus": ["CAM-P"], "zone": "A-07"}, 201)
    depot = await post(stocked, lead, "/counts", {"location": "CD01", "skus": ["CAM-P", "CAM-M"]}, 201)
    both = [depot["number"], shelf["number"]]

    async def found(**asked: str) -> list[int]:
        answer = await stocked.http.get("/v1/counts", params=asked, headers=lead)
        assert answer.status_code == 200, answer.text
        return [row["number"] for row in answer.json()["items"]]

    assert await found() == await found(q="cam-p") == await found(q="7891000315507") == both
    assert await found(q="CAM-M") == await found(q=f"c{both[0]}") == await found(location="CD01") == both[:1]
    assert await found(q="a-0") == await found(location="LJ01", q="CAM-P") == both[1:]
    assert await found(q="a_0") == await found(q="CAM") == await found(until="2020-01-01T00:00:00Z") == []
    for asked, numbers in (("?q=CAM-M", both[:1]), ("?destination=LJ01", both[1:]), ("?q=nothing", [])):
        page = (await stocked.http.get(f"/counts{asked}", headers=lead)).text
        assert [n for n in both if f'href="/counts/{n}"' in page] == numbers, asked
        assert ("No count matches" in page) is (not numbers)
        table = (await stocked.http.get(f"/counts:export.csv{asked}", headers=lead)).text
        assert len(table.splitlines()) == 1 + len(numbers)


async def test_the_file_of_counts_tells_its_counter_no_differences_either(stocked: Shop) -> None:
    lead = await stocked.session(Role.MANAGER)
    ana = await stocked.session(Role.STORE_ASSOCIATE, email="ana@loja.test", locations=["LJ01"])
    number = (await post(stocked, lead, "/counts", {"location": "LJ01", "skus": ["CAM-P"]}, 201))["number"]
    entry = {"items": [{"sku": "CAM-P", "counted": 7}]}
    await post(stocked, ana, f"/counts/{number}/entries", entry)

    async def difference(headers: dict[str, str]) -> str:
        text = (await stocked.http.get("/counts:export.csv", headers=headers)).text
        heading, row = csv.reader(text.lstrip("\ufeff").splitlines(), delimiter=";")
        return row[heading.index("Difference")]

    assert (await difference(lead), await difference(ana)) == ("-3", "")


async def test_other_peoples_places_are_closed(stocked: Shop) -> None:
    ana = await stocked.session(Role.STORE_ASSOCIATE, locations=["LJ01"])
    lead = await stocked.session(Role.MANAGER)
    number = (await post(stocked, lead, "/counts", {"location": "CD01", "skus": ["CAM-P"]}, 201))["number"]
    assert (await stocked.http.get(f"/v1/counts/{number}", headers=ana)).status_code == 404
    body = {"location": "CD01", "lines": [{"sku": "CAM-P", "quantity": 1}]}
    assert (await post(stocked, ana, "/receipts", body, 404))["code"] == "unknown_location"


async def test_a_count_by_class_takes_what_left_most(stocked: Shop) -> None:
    lead = await stocked.session(Role.MANAGER)
    async with stocked.database.transaction() as tx:
        for sku, units in ((1, 80), (2, 15), (3, 5)):
            await tx.execute(
                "INSERT INTO movement (sku_id, location_id, d_on_hand, reason) VALUES (%(sku)s, 2, %(units)s, 'ship')",
                {"sku": sku, "units": -units},
            )
    number = (await post(stocked, lead, "/counts", {"location": "LJ01", "abc": "A"}, 201))["number"]
    lines = (await get(stocked, lead, f"/counts/{number}/lines"))["items"]
    assert [line["sku"] for line in lines] == ["CAM-P"]


async def test_an_open_order_is_changed_by_who_saw_it_and_a_repeated_addition_adds_once(stocked: Shop) -> None:
    lead = await stocked.session(Role.MANAGER)
    line = {"sku": "CAM-P", "quantity": 10, "eta": "2026-12-10"}
    for reference in ("OC-7", "OC-8"):
        await post(
            stocked, lead, "/purchase-orders",
            {"supplier": "Sul", "reference": reference, "location": "LJ01", "lines": [line]}, 201,
        )  # fmt: skip
    path = "/v1/purchase-orders/1"

    async def patch(body: Json, status: int = 200, version: str | None = None) -> Json:
        headers = lead if version is None else {**lead, "if-match": version}
        answer = await stocked.http.patch(path, json=body, headers=headers)
        assert answer.status_code == status, answer.text
        found: Json = answer.json()
        return found

    tag = (await stocked.http.get(path, headers=lead)).headers["etag"]
    body = {
        "note": "by road",
        "lines": [{"line": 1, "quantity": 8, "eta": "2026-12-20", "unit_cost": 990}],
        "add": [{"sku": "CAM-M", "quantity": 4, "eta": "2026-12-24"}],
    }
    assert (await patch(body, 428))["code"] == "version_required"
    done = await patch(body, version=tag)
    assert (done["state"], done["changed"]) == ("open", True)
    assert (await patch(body, 412, version=tag))["code"] == "stale_version"
    view = await get(stocked, lead, "/purchase-orders/1")
    assert (view["version"], view["note"]) == (done["version"], "by road")
    assert [(x["sku"], x["quantity"], x["eta"], x["unit_cost"]) for x in view["lines"]] == [
        ("CAM-P", 8, "2026-12-20", 990), ("CAM-M", 4, "2026-12-24", None)
    ]  # fmt: skip
    tag = f'"{done["version"]}"'
    assert (await patch({"reference": "OC-8"}, 409, tag))["code"] == "inbound_reference_taken"
    refused = await patch(
        {"lines": [{"line": 9}], "add": [{"sku": "NOPE", "quantity": 1, "eta": "2026-12-24"}]}, 422, tag
    )
    assert [error["at"] for error in refused["errors"]] == ["/add/0/sku"]
    refused = await patch({"lines": [{"line": 9}]}, 422, tag)
    assert [error["at"] for error in refused["errors"]] == ["/lines/0/line"]
    assert (await patch({"lines": [{"line": 1, "quantity": 0}]}, 422, tag))["code"] == "invalid"
    keyed = {**lead, "idempotency-key": "add-1"}
    more = {"lines": [{"sku": "7891000100103", "quantity": 2, "eta": "2026-12-24"}]}
    first = await post(stocked, keyed, "/purchase-orders/1/lines", more, 201)
    assert await post(stocked, keyed, "/purchase-orders/1/lines", more, 201) == first
    assert len((await get(stocked, lead, "/purchase-orders/1"))["lines"]) == 3
    stale = {**lead, "if-match": tag}
    for action, asked in (("lines", more), ("close", {"reason": "x"}), ("reschedule", {"lines": {"1": "2027-01-01"}})):
        assert (await post(stocked, stale, f"/purchase-orders/1/{action}", asked, 412))["code"] == "stale_version"
    await post(stocked, lead, "/purchase-orders/1/close", {"reason": "no more"})
    assert (await post(stocked, lead, "/purchase-orders/1/lines", more, 409))["code"] == "inbound_order_ended"


async def test_orders_are_narrowed_by_goods_place_owner_state_and_day(stocked: Shop) -> None:
    lead = await stocked.session(Role.OWNER)
    for place, sku, eta in (
        ("LJ01", "CAM-P", "2026-12-10"),
        ("CD01", "CAM-M", "2026-12-20"),
        ("FR01", "CAM-P", "2026-12-30"),
    ):
        body = {"supplier": "Sul", "location": place, "lines": [{"sku": sku, "quantity": 1, "eta": eta}]}
        await post(stocked, lead, "/purchase-orders", body, 201)
    await post(stocked, lead, "/purchase-orders/2/close", {"reason": "no"})

    async def found(query: str, who: dict[str, str] = lead) -> list[int]:
        return [row["number"] for row in (await get(stocked, who, f"/purchase-orders?{query}"))["items"]]

    assert await found("sku=CAM-P") == [3, 1]
    assert await found("q=7891000053508") == [2]
    assert await found("location=LJ01") == await found("until=2026-12-10") == [1]
    assert await found("owner=FRQ") == await found("owner=44555666") == [3]
    assert await found("status=cancelled&status=received") == [2]
    assert await found("open=true&since=2026-12-15") == [3]
    assert await found("since=2026-12-15&until=2026-12-25") == [2]
    answer = await stocked.http.get("/v1/purchase-orders?location=NOPE", headers=lead)
    assert answer.json()["code"] == "unknown_location"
    franchise = await stocked.session(Role.MANAGER, locations=["FR01"])
    assert await found("sku=CAM-P", franchise) == [3]
    assert (await stocked.http.get("/v1/purchase-orders?location=LJ01", headers=franchise)).status_code == 404
    assert (await stocked.http.get("/v1/purchase-orders?owner=MTZ", headers=franchise)).status_code == 404
    mine = {**franchise, "if-match": '"1"'}
    theirs = await stocked.http.patch("/v1/purchase-orders/1", json={"note": "mine"}, headers=mine)
    assert theirs.json()["code"] == "unknown_inbound_order"
