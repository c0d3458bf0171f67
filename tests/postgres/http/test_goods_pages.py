"""Pages of purchase orders, receipts, transfers and counts: every form leads on, refusals say why, files come and go."""

import csv
import html
import io
import re
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests_http import Shop

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from supply_rows import a_retailer

from malha.console import counts
from malha.identity.model import Role
from malha.inventory.counts import suspicions
from malha.inventory.counts.model import Habits, Suspicion
from malha.platform.ids import new_id
from malha.testing.builders import in_days

HTMX = {"hx-request": "true"}


@pytest.fixture
async def stocked(shop: Shop) -> Shop:
    await a_retailer(shop.database, units=10)
    return shop


async def page(shop: Shop, who: dict[str, str], path: str, status: int = 200) -> str:
    answer = await shop.http.get(path, headers=who)
    assert answer.status_code == status, answer.text[:2000]
    return answer.text


async def send(shop: Shop, who: dict[str, str], path: str, status: int = 200, **fields: Any) -> str:
    """Send a form by script; return where it leads, or what it says."""
    files = fields.pop("files", None)
    answer = await shop.http.post(path, data=fields, files=files, headers={**who, **HTMX})
    assert answer.status_code == status, answer.text[:2000]
    return answer.headers.get("hx-redirect", answer.text)


async def test_an_order_is_placed_moved_received_by_scanner_and_taken_back(stocked: Shop) -> None:
    lead = await stocked.session(Role.MANAGER)
    assert "Nothing is to come" in await page(stocked, lead, "/purchase-orders")
    await page(stocked, lead, "/purchase-orders:new")
    fields = {"supplier": "Tecelagem Sul", "kind": "purchase", "location": "LJ01", "eta": "2026-12-10"}
    said = await send(stocked, lead, "/purchase-orders:new", 422, lines="CAM-P 12\nNOPE 3", **fields)
    assert "No SKU or GTIN is NOPE" in said
    assert (
        await send(stocked, lead, "/purchase-orders:new", lines="CAM-P;12\n7891000053508\t3", **fields)
        == "/purchase-orders/1"
    )
    shown = await page(stocked, lead, "/purchase-orders/1")
    assert "Tecelagem Sul" in shown
    assert "15 units to come" in shown
    where = await send(stocked, lead, "/purchase-orders/1/reschedule", line="1", eta="2026-12-20", reason="port")
    assert where == "/purchase-orders/1"
    assert "moved 1 time" in await page(stocked, lead, where)
    sheet = await page(stocked, lead, "/receive?order=1")
    assert 'name="q/1/damaged"' in sheet
    assert 'name="q/3/sellable"' in await page(stocked, lead, "/receive/row?code=7891000100103")
    id_ = str(new_id())
    goods = {"id": id_, "order": "1", "q/1/sellable": "10", "q/1/damaged": "1", "q/2/sellable": "4"}
    assert "more than was ordered" in await send(stocked, lead, "/receive", 409, **goods)
    receipt = await send(stocked, lead, "/receive", accept_over="on", **goods)
    assert await send(stocked, lead, "/receive", accept_over="on", **goods) == receipt
    assert "There, and not for sale" in await page(stocked, lead, "/stock/CAM-P")
    await send(
        stocked,
        lead,
        "/stock:move",
        sku="CAM-P",
        location="LJ01",
        quantity="1",
        source="damaged",
        target="sellable",
        on="sku",
    )
    await send(stocked, lead, "/purchase-orders/1/close", reason="no more fabric")
    assert "Closed short" in await page(stocked, lead, "/purchase-orders/1")
    assert "only 0 units in this bucket" in await send(
        stocked, lead, f"{receipt}/undo", 409, reason="wrong shop"
    )  # the damaged one moved
    await page(stocked, lead, "/receipts")
    for path in ("/purchase-orders:export.csv?view=all", "/receipts:export.csv"):
        text = (await stocked.http.get(path, headers=lead)).text
        assert len(text.splitlines()) == 2, text


async def test_a_form_in_which_no_location_was_chosen_says_so_at_its_field(stocked: Shop) -> None:
    lead = await stocked.session(Role.MANAGER)
    for path, names, fields in (
        ("/transfers:new", ["origin", "destination"], {"lines": "CAM-P 3"}),
        ("/purchase-orders:new", ["location"], {"supplier": "Fábrica", "kind": "production", "eta": "2026-12-10"}),
        ("/counts:new", ["location"], {"what": "listed", "lines": "CAM-P"}),
        ("/receive", ["location"], {"id": str(new_id()), "q/1/sellable": "1"}),
    ):
        said = await send(stocked, lead, path, 422, **fields)
        assert [f'data-at="{name}"' in said for name in names] == [True] * len(names), said
        assert "No choice was made." in said
        assert "There is no location" not in said


async def test_a_file_places_an_order_with_dates_and_costs_of_its_own(stocked: Shop) -> None:
    lead = await stocked.session(Role.MANAGER)
    file = "sku;quantidade;previsão;custo\nCAM-P;5;24/12/2026;25,90\n7891000053508;2;;\n"
    where = await send(
        stocked, lead, "/purchase-orders:new", supplier="Fábrica", kind="production", location="CD01", eta="2026-12-10",
        files={"file": ("pedido.csv", file.encode(), "text/csv")},
    )  # fmt: skip
    assert "24 Dec" in await page(stocked, lead, where)
    async with stocked.database.transaction() as tx:
        assert await tx.values("SELECT unit_cost FROM inbound_line ORDER BY line") == [2590, None]


async def test_a_transfer_is_led_from_page_to_page_and_its_missing_unit_decided(stocked: Shop) -> None:
    lead = await stocked.session(Role.MANAGER)
    assert "No transfers here" in await page(stocked, lead, "/transfers")
    await page(stocked, lead, "/transfers:new")
    way = {"origin": "CD01", "destination": "FR01", "lines": "CAM-P 3\nCAM-M 2"}
    assert await send(stocked, lead, "/transfers:new", **way) == "/transfers/1"
    assert "A fiscal document is needed" in await page(stocked, lead, "/transfers/1")
    await send(stocked, lead, "/transfers/1/approve", **{"quantities/1": "3", "quantities/2": "0"})
    leave = {"quantities/1": "3", "quantities/2": "0"}
    assert "another establishment" in await send(stocked, lead, "/transfers/1/ship", 409, **leave)
    await send(stocked, lead, "/transfers/1/ship", document="NF-e 77", **leave)
    shown = await page(stocked, lead, "/transfers/1")
    version = shown.partition('name="version" value="')[2].partition('"')[0]
    moved = {"eta": "2026-12-30", "reason": "rain", "version": version}
    assert "Fill it in" in await send(stocked, lead, "/transfers/1/reschedule", 422, **{**moved, "eta": ""})
    assert await send(stocked, lead, "/transfers/1/reschedule", **moved) == "/transfers/1"
    assert "by someone else" in await send(stocked, lead, "/transfers/1/reschedule", 409, **moved)
    assert "moved 1 time" in await page(stocked, lead, "/transfers/1")
    assert "q/1/sellable" in await page(stocked, lead, "/transfers/1/receive")
    await send(stocked, lead, "/transfers/1/receive", complete="on", id=str(new_id()), **{"q/1/sellable": "2"})
    shown = await page(stocked, lead, "/transfers/1")
    assert "Missing: 1 unit" in shown
    id_ = shown.partition('name="discrepancy" value="')[2].partition('"')[0]
    refused = await send(stocked, lead, "/transfers/1/decide", 422, discrepancy=id_, decision="carrier_claim")
    assert "number of the claim" in refused
    await send(stocked, lead, "/transfers/1/decide", discrepancy=id_, decision="lost", units="1")
    assert "Lost: written off" in await page(stocked, lead, "/transfers/1")
    for kind, asked, many in (
        ("transfers", "view=all", 1), ("transfers", "view=open", 0), ("transfers", "view=all&q=NF-e+77", 1),
        ("transfers", "view=all&q=CAM-G", 0), ("transfers", "view=all&origin=CD01&destination=FR01", 1),
        ("transfers", "view=all&origin=FR01", 0), ("transfers", "view=all&origin=NOPE", 0),
        ("transfers", "view=all&until=2026-01-01", 0), ("receipts", "q=T1", 1), ("receipts", "view=transfer", 1),
        ("receipts", "view=undone", 0), ("receipts", "destination=FR01&q=cam-p", 1), ("receipts", "destination=LJ01", 0),
    ):  # fmt: skip
        shown = await page(stocked, lead, f"/{kind}?{asked}")
        assert shown.count('<tr><td data-cell="main">') == many, (kind, asked)
        rows = (await stocked.http.get(f"/{kind}:export.csv?{asked}", headers=lead)).text.splitlines()
        assert len(rows) == 1 + many, (kind, asked)
    assert "No transfer matches" in await page(stocked, lead, "/transfers?view=all&q=CAM-G")


async def test_a_large_count_is_searched_paged_approved_as_a_whole_and_says_what_nobody_counted(
    stocked: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    lead, ana = await stocked.session(Role.MANAGER), await stocked.session(Role.STORE_ASSOCIATE, locations=["LJ01"])
    bia = await stocked.session(Role.STORE_ASSOCIATE, locations=["LJ01"], email="bia@loja.test")
    monkeypatch.setattr(counts, "LINES_SHOWN", 1)
    monkeypatch.setattr(counts, "SHEET_SHOWN", 1)
    await send(stocked, lead, "/counts:new", location="LJ01", what="all")
    first = await page(stocked, lead, "/counts/1?show=all")
    further = re.search(r'href="(/counts/1\?show=all[^"]*after=[^"]+)"', first)
    assert further
    second = await page(stocked, lead, further[1].replace("&amp;", "&"))
    assert re.findall(r'name="sku" value="(\d+)"', first) != re.findall(r'name="sku" value="(\d+)"', second)
    assert "From the beginning" in second
    found = await page(stocked, lead, "/counts/1?show=all&q=cam-m")
    assert "CAM-M" in found
    assert "No line has" not in found
    assert "No line has" in await page(stocked, lead, "/counts/1?show=all&q=cam_m")
    assert "more follow" in await page(stocked, ana, "/counts/1/count")
    for who in (ana, bia):  # a second person counts again what differs
        for code in ("CAM-P", "CAM-M"):
            await send(stocked, who, "/counts/1/scan", code=code, quantity="7", set="on")
        await send(stocked, who, "/counts/1/finish")
    assert "wait for somebody to approve them" in await page(stocked, lead, "/counts/1?show=review")
    await send(stocked, lead, "/counts/1/decide", act="approve_all")
    await send(stocked, lead, "/counts/1/close", uncounted="keep")
    shown = await page(stocked, lead, "/counts/1?show=skipped")
    total = int(re.search(r"2 / (\d+)", shown)[1])  # type: ignore[index]
    assert total > 2
    assert re.search(rf"Not counted <span>{total - 2}</span>", shown)


async def test_who_types_a_colleagues_delivery_in_again_is_told_and_may_say_that_it_came_again(stocked: Shop) -> None:
    lead = await stocked.session(Role.MANAGER)
    note = {"location": "LJ01", "document": "NF-e 4417", "q/1/sellable": "10"}
    assert await send(stocked, lead, "/receive", id=str(new_id()), **note) == "/receipts/1"
    said = await send(stocked, lead, "/receive", 409, id=str(new_id()), **note)
    assert "The same goods were received by document NF-e 4417 already, with receipt R1." in html.unescape(said)
    assert 'name="same_document"' in await page(stocked, lead, "/receive")
    where = await send(stocked, lead, "/receive", id=str(new_id()), same_document="on", **note)
    assert where.startswith("/receipts/")


async def test_a_transfer_leaves_in_shipments_that_are_received_one_by_one_and_the_rest_is_given_back(
    stocked: Shop,
) -> None:
    lead = await stocked.session(Role.MANAGER)
    await send(stocked, lead, "/transfers:new", origin="CD01", destination="LJ01", lines="CAM-P 9\nCAM-M 4")
    await send(stocked, lead, "/transfers/1/approve", **{"quantities/1": "9", "quantities/2": "4"})
    shown = await page(stocked, lead, "/transfers/1")
    assert 'name="quantities/1" value="9"' in shown
    first = {"quantities/1": "5", "quantities/2": "0", "more_follows": "on", "document": "R-1", "version": "2"}
    await send(stocked, lead, "/transfers/1/ship", **first)
    assert "by someone else" in await send(stocked, lead, "/transfers/1/ship", 409, **first)
    shown = await page(stocked, lead, "/transfers/1")
    assert "8 units left to ship" in shown
    assert "Partly shipped" in shown
    assert all(
        said in shown for said in ('name="quantities/1" value="4"', 'name="quantities/2" value="4"', "Ship more")
    )
    second = {"quantities/1": "1", "quantities/2": "0", "more_follows": "on"}
    await send(stocked, lead, "/transfers/1/ship", **second)
    await page(stocked, lead, "/transfers?view=approved&q=R-1")
    shown = await page(stocked, lead, "/transfers?view=shipped")
    assert "2 shipments" in shown
    assert "7 left to ship" in shown
    sheet = await page(stocked, lead, "/transfers/1/receive?shipment=2")
    assert "shipment 2" in sheet
    assert "q/2/sellable" not in sheet, "it has none of these"
    await send(
        stocked, lead, "/transfers/1/receive", shipment="2", complete="on", id=str(new_id()), **{"q/1/sellable": "1"}
    )
    again = {"shipment": "2", "complete": "on", "id": str(new_id()), "q/1/sellable": "1"}
    assert "Nothing of shipment 2" in await send(stocked, lead, "/transfers/1/receive", 409, **again)
    for made_up in ("9", "-1", "40000", "2147483647"):
        said = await send(stocked, lead, "/transfers/1/receive", 409, **again | {"shipment": made_up})
        assert f"Nothing of shipment {made_up}" in said
        said = await send(
            stocked, lead, "/transfers/1/reschedule", 422, eta="2026-12-30", shipment=made_up, version="5"
        )
        assert "Nothing of it is to come any more" in said
    shown = await page(stocked, lead, "/transfers/1")
    version = shown.partition('name="version" value="')[2].partition('"')[0]
    moved = {"eta": "2026-12-30", "reason": "rain", "version": version, "shipment": "1"}
    await send(stocked, lead, "/transfers/1/reschedule", **moved)
    assert "Say why" in await send(stocked, lead, "/transfers/1/close", 422, reason="")
    assert "by someone else" in await send(stocked, lead, "/transfers/1/close", 409, reason="x", version=version)
    assert await send(stocked, lead, "/transfers/1/close", reason="no truck") == "/transfers/1"
    shown = await page(stocked, lead, "/transfers/1")
    assert "7 units given back at the origin" in shown
    assert "no truck" in shown
    sent = (await stocked.http.get("/transfers:export.csv?view=all", headers=lead)).text
    (row,) = csv.DictReader(io.StringIO(sent.removeprefix("\ufeff")), delimiter=";" if ";" in sent else ",")
    assert (row["To ship"], row["Shipments"], row["Sent"], row["Arrived"]) == ("0", "2", "6", "1")


async def test_a_count_names_all_who_scanned_part_of_a_line_and_none_of_them_approves_it(stocked: Shop) -> None:
    lead = await stocked.session(Role.MANAGER)
    ana = await stocked.session(Role.STORE_ASSOCIATE, email="ana@loja.test", locations=["LJ01"])
    bia = await stocked.session(Role.STORE_ASSOCIATE, email="bia@loja.test", locations=["LJ01"])
    await send(stocked, lead, "/counts:new", location="LJ01", what="list", lines="CAM-P", zone="A1")
    await send(stocked, lead, "/counts/1/scan", code="CAM-P", quantity="3")
    await send(stocked, ana, "/counts/1/scan", code="CAM-P", quantity="4")
    await send(stocked, ana, "/counts/1/finish")
    await send(stocked, bia, "/counts/1/scan", code="CAM-P", quantity="7")
    await send(stocked, bia, "/counts/1/finish")
    shown = await page(stocked, lead, "/counts/1?show=review")
    assert "<span>Manager, Store_Associate, Store_Associate</span>" in shown
    assert "somebody else has to approve them" in await send(
        stocked, lead, "/counts/1/decide", 403, act="approve", sku="1"
    )
    lines = (await stocked.http.get("/v1/counts/1/lines", headers=lead)).json()["items"]
    assert len(lines[0]["counters"]) == 3


async def test_people_count_blind_by_scanning_and_somebody_else_counts_again(stocked: Shop) -> None:
    lead = await stocked.session(Role.MANAGER)
    ana = await stocked.session(Role.STORE_ASSOCIATE, email="ana@loja.test", locations=["LJ01"])
    bia = await stocked.session(Role.STORE_ASSOCIATE, email="bia@loja.test", locations=["LJ01"])
    assert "Nothing is to be counted" in await page(stocked, lead, "/counts")
    await page(stocked, ana, "/counts:new")
    where = await send(stocked, ana, "/counts:new", location="LJ01", what="list", lines="CAM-P\nCAM-M", zone="A1")
    assert where == "/counts/1"
    assert "You are not told" in await page(stocked, ana, "/counts/1/count")
    for code in ("7891000315507", "CAM-P"):
        sheet = await send(stocked, ana, "/counts/1/scan", code=code, quantity="4")
    assert ">8<" in sheet
    assert "No SKU or GTIN" in await send(stocked, ana, "/counts/1/scan", 422, code="789")
    await send(stocked, ana, "/counts/1/scan", code="CAM-P", quantity="1", minus="on")
    await send(stocked, ana, "/counts/1/scan", code="CAM-M", quantity="10", set="on")
    assert await send(stocked, ana, "/counts/1/finish") == "/counts/1/count"
    shown = await page(stocked, ana, "/counts/1")
    assert "Variance" not in shown
    assert "−3" not in shown
    assert "counted it first" in await send(stocked, ana, "/counts/1/scan", 409, code="CAM-P")
    await send(stocked, bia, "/counts/1/scan", code="CAM-P", quantity="7")
    await send(stocked, bia, "/counts/1/finish")
    shown = await page(stocked, lead, "/counts/1")
    assert "−3" in shown
    assert "wait for a recount" in await send(stocked, lead, "/counts/1/close", 409)
    await send(stocked, lead, "/counts/1/decide", act="approve", sku="1")
    assert await send(stocked, lead, "/counts/1/close", uncounted="keep") == "/counts/1"
    assert "Applied" in await page(stocked, lead, "/counts/1")
    rows = (await stocked.http.get("/counts/1/lines:export.csv", headers=lead)).text.splitlines()
    assert len(rows) == 3


async def test_a_physical_inventory_shows_its_freeze_and_takes_a_file(stocked: Shop) -> None:
    lead = await stocked.session(Role.MANAGER)
    await send(stocked, lead, "/counts:new", location="LJ01", what="all", freeze="on")
    assert "The location is frozen" in await page(stocked, lead, "/counts/1")
    for language, why in (("en", "physical inventory"), ("pt-BR", "inventário físico")):
        assert why in await page(stocked, {**lead, "accept-language": language}, "/locations/LJ01")
    file = {"file": ("c.csv", b"sku,quantity\nCAM-P,10\nCAM-M,10\n", "text/csv")}
    await send(stocked, lead, "/counts/1/entries", files=file, x="1")
    shown = await page(stocked, lead, "/counts/1")
    assert "2 / 4" in shown
    assert "2 SKUs were not counted" in shown
    await send(stocked, lead, "/counts/1/cancel", reason="storm")
    assert "The location is frozen" not in await page(stocked, lead, "/counts/1")


async def test_a_count_of_a_zone_freezes_what_the_zone_had_when_it_was_last_counted(stocked: Shop) -> None:
    lead = await stocked.session(Role.MANAGER)
    await send(stocked, lead, "/counts:new", location="LJ01", what="list", zone="Mezanino", lines="CAM-P")
    await send(
        stocked, lead, "/counts/1/entries", files={"file": ("c.csv", b"sku,quantity\nCAM-P,10\n", "text/csv")}, x="1"
    )
    await send(stocked, lead, "/counts/1/close", uncounted="keep")
    await send(stocked, lead, "/counts:new", location="LJ01", what="zone", zone="mezanino", freeze_zone="on")
    shown = await page(stocked, lead, "/counts/2")
    assert "The zone is frozen." in shown
    assert "0 / 1" in shown
    assert "zone frozen" in await page(stocked, lead, "/counts")
    await send(stocked, lead, "/counts/2/cancel", reason="storm")
    assert "The zone is frozen." not in await page(stocked, lead, "/counts/2")


async def test_suspected_stock_is_shown_with_its_reasons_and_lifted_by_who_saw_it(stocked: Shop) -> None:
    lead = await stocked.session(Role.MANAGER)
    assert "Nothing is suspected" in await page(stocked, lead, "/suspicions")
    habits = Habits(sku_id=1, location_id=2, free=10, on_hand=10, short_picks=2, sales=30, observed=30.0, silence=12.0)
    async with stocked.database.transaction() as tx:
        await suspicions.keep_back(tx, [Suspicion(habits, 93, 6.1e-6)])
    shown = await page(stocked, lead, "/suspicions")
    assert "not found 2 times" in shown
    assert "30 sales in 30 days, then none in 12" in shown
    assert "suspected" in await page(stocked, lead, "/counts")
    assert await send(stocked, lead, "/suspicions:lift", key="LJ01/CAM-P") == "/suspicions"
    assert "Nothing is suspected" in await page(stocked, lead, "/suspicions")


async def test_suspected_stock_goes_on_page_by_page_here_by_the_api_and_in_its_file(stocked: Shop) -> None:
    lead = await stocked.session(Role.MANAGER)
    async with stocked.database.transaction() as tx:
        await tx.execute(
            "INSERT INTO variant (product_id, sku, name) SELECT 1, 'S-' || n, 'S' FROM generate_series(101, 220) AS n"
        )
        await tx.execute(
            "INSERT INTO stock_suspicion (id, sku_id, location_id, kept_back, score, why, found_at)"
            " SELECT gen_random_uuid(), v.id, 1 + mod(v.id, 2), 0, 60 + mod(v.id, 3), %(why)s::jsonb, '2026-11-20Z'"
            " FROM variant v WHERE v.sku LIKE 'S-%%'",
            {"why": '{"short_picks":2,"sales":0,"observed_days":0,"silent_days":0,"improbable":null,"on_hand":3}'},
        )
        order = await tx.tuples(
            "SELECT p.code, v.sku FROM stock_suspicion s JOIN variant v ON v.id = s.sku_id"
            " JOIN location p ON p.id = s.location_id ORDER BY s.score DESC, s.sku_id"
        )
    assert len(order) == 120

    key, read, cursor = await stocked.key(["stock:read"]), [], ""
    while True:
        found = (await stocked.http.get(f"/v1/stock:suspected?limit=50{cursor}", headers=key)).json()
        read += [(row["location"], row["sku"]) for row in found["items"]]
        if found["next"] is None:
            break
        cursor = f"&cursor={found['next']}"
    assert read == order
    other = await stocked.http.get("/v1/stock:suspected?cursor=WyJvcmRlcnMiXQ", headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "bad_cursor")
    near = await stocked.key(["stock:read"], locations=["LJ01"])
    only = (await stocked.http.get("/v1/stock:suspected?limit=200", headers=near)).json()["items"]
    assert [(row["location"], row["sku"]) for row in only] == [one for one in order if one[0] == "LJ01"]

    seen, at = [], "/suspicions"
    while at:
        shown = await page(stocked, lead, at)
        seen += re.findall(r'name="key" value="([^"/]+)/(S-\d+)"', shown)
        found_next = re.search(r'href="(/suspicions\?after=[^"]+)" rel="next"', shown)
        assert ("First page" in shown) == (at != "/suspicions")
        at = html.unescape(found_next[1]) if found_next else ""
    assert seen == order
    assert "Suspected stock" in await page(stocked, lead, "/suspicions?after=nonsense")
    assert "120 balances are suspected" in await page(stocked, lead, "/counts")
    sheet = await stocked.http.get("/suspicions:export.csv", headers=lead)
    assert [line.split(";")[0] for line in sheet.text.splitlines()[1:]] == [sku for _, sku in order]


async def test_an_open_order_is_changed_on_its_page_and_what_is_wrong_is_named_by_field(stocked: Shop) -> None:
    lead = await stocked.session(Role.MANAGER)
    fields = {"supplier": "Tecelagem Sul", "kind": "purchase", "location": "LJ01", "eta": "2026-12-10"}
    await send(stocked, lead, "/purchase-orders:new", lines="CAM-P 12\nCAM-M 3", **fields)
    assert 'href="/purchase-orders/1/edit"' in await page(stocked, lead, "/purchase-orders/1")
    form = await page(stocked, lead, "/purchase-orders/1/edit")
    assert 'name="lines/1/quantity" value="3"' in form
    said = dict(re.findall(r'name="((?:lines/\d/)?(?:line|quantity|eta|version))" value="([^"]*)"', form))
    said |= {"reference": "OC-9", "over_percent": "0", "note": "", "lines/1/unit_cost": "9,90"}
    wrong = await send(stocked, lead, "/purchase-orders/1/edit", 422, **{**said, "lines/0/quantity": "0"})
    assert 'data-at="lines/0/quantity"' in wrong
    assert "close the line short" in wrong
    assert 'data-at="lines/1/unit_cost"' in await send(
        stocked, lead, "/purchase-orders/1/edit", 422, **{**said, "lines/1/unit_cost": "-1"}
    )
    assert "No SKU or GTIN is NOPE" in await send(stocked, lead, "/purchase-orders/1/edit", 422, **said, lines="NOPE 1")
    good = {**said, "lines/0/quantity": "9", "lines/1/eta": "2026-12-20", "reason": "season"}
    where = await send(stocked, lead, "/purchase-orders/1/edit", **good, lines="CAM-G 5")
    assert where == "/purchase-orders/1"
    shown = await page(stocked, lead, where)
    assert "OC-9" in shown
    assert "17 units to come" in shown
    assert "moved 1 time" in shown
    assert "changed meanwhile" in await send(stocked, lead, "/purchase-orders/1/edit", 409, **good)
    await send(stocked, lead, "/purchase-orders/1/close", reason="no more")
    assert "/purchase-orders/1/edit" not in await page(stocked, lead, "/purchase-orders/1")
    await page(stocked, lead, "/purchase-orders/1/edit", 409)


async def test_orders_are_found_on_their_page_and_the_file_is_of_what_is_found(stocked: Shop) -> None:
    lead = await stocked.session(Role.OWNER)
    soon, later = in_days(10), in_days(20)
    for place, lines, eta in (("LJ01", "CAM-P 12", soon), ("FR01", "CAM-M 3", later)):
        fields = {"supplier": "Tecelagem Sul", "kind": "purchase", "location": place, "eta": str(eta)}
        await send(stocked, lead, "/purchase-orders:new", lines=lines, **fields)
    await send(stocked, lead, "/purchase-orders:new", supplier="Norte", kind="purchase", location="LJ01", lines="CAM-P 1",
               eta="2020-01-01")  # fmt: skip

    async def found(query: str, who: dict[str, str] = lead) -> list[str]:
        listed = re.findall(r'href="/purchase-orders/(\d+)"', await page(stocked, who, f"/purchase-orders?{query}"))
        table = await page(stocked, who, f"/purchase-orders:export.csv?{query}")
        assert [row[0] for row in list(csv.reader(io.StringIO(table.lstrip("\ufeff")), delimiter=";"))[1:]] == listed
        return listed

    assert await found("") == ["3", "2", "1"]
    assert await found("q=CAM-P") == ["3", "1"]
    assert await found("q=tecelagem&destination=LJ01") == ["1"]
    assert await found("owner=FRQ") == ["2"]
    assert await found(f"since={soon}&until={later - timedelta(days=1)}") == ["1"]
    assert await found("view=late") == ["3"]
    assert await found("view=received") == await found("destination=NOPE") == []
    assert "No order matches" in await page(stocked, lead, "/purchase-orders?q=nothing")
    franchise = await stocked.session(Role.MANAGER, locations=["FR01"])
    assert await found("", franchise) == ["2"]
    assert await found("destination=LJ01", franchise) == []
    await page(stocked, franchise, "/purchase-orders/1/edit", 404)
