"""Whose goods moved: the ledger, receipts and transfers by owner, on pages, over the API and in files, and in scope."""

import csv
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from tests_http import Shop

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from supply_rows import CENTRE, OTHER, a_retailer

from malha.doctor import examine
from malha.identity.model import Role
from malha.inventory import service as stock
from malha.inventory.model import Claim, Reason, Reference
from malha.platform.ids import new_id

Json = dict[str, Any]
Headers = dict[str, str]
OWNERS = ("MTZ", "FIL", "FRQ")


@pytest.fixture
async def owned(shop: Shop) -> Shop:
    """The centre and a shop keep the head office's goods, LJ02 those of a branch of the company, FR01 a franchise's."""
    await a_retailer(shop.database, units=10)
    async with shop.database.transaction() as tx:
        await tx.execute(
            "INSERT INTO establishment (legal_entity_id, code, name, cnpj, state)"
            " VALUES (1, 'FIL', 'Filial Santos', '11222333000262', 'SP')"
        )
        await tx.execute(
            "INSERT INTO location (code, name, kind, establishment_id, state)"
            " VALUES ('LJ02', 'Loja Santos', 'store', 3, 'SP')"
        )
        await stock.set_on_hand(tx, [Claim(1, 4, 20)], Reference("test"))
    return shop


async def post(shop: Shop, who: Headers, path: str, body: Json, status: int = 200) -> Json:
    answer = await shop.http.post(f"/v1{path}", json=body, headers=who)
    assert answer.status_code == status, answer.text
    found: Json = answer.json() if answer.content else {}
    return found


async def get(shop: Shop, who: Headers, path: str, status: int = 200, **query: Any) -> Any:
    answer = await shop.http.get(f"/v1{path}", headers=who, params=query)
    assert answer.status_code == status, answer.text
    return answer.json()


async def page(shop: Shop, who: Headers, path: str) -> str:
    answer = await shop.http.get(path, headers=who)
    assert answer.status_code == 200, answer.text[:2000]
    return answer.text


async def rows(shop: Shop, who: Headers, path: str) -> list[dict[str, str]]:
    text = (await page(shop, who, path)).lstrip("\ufeff")
    return list(csv.DictReader(io.StringIO(text), delimiter=";" if ";" in text.splitlines()[0] else ","))


async def ask(shop: Shop, who: Headers, origin: str, destination: str) -> int:
    line = {"sku": "CAM-P", "quantity": 2}
    body = {"origin": origin, "destination": destination, "lines": [line]}
    number: int = (await post(shop, who, "/transfers", body, 201))["number"]
    return number


async def receive(shop: Shop, who: Headers, location: str) -> int:
    body = {"location": location, "lines": [{"sku": "CAM-P", "quantity": 1}], "id": str(new_id())}
    number: int = (await post(shop, who, "/receipts", body, 201))["number"]
    return number


async def test_transfers_say_whose_goods_go_to_whom_and_are_narrowed_to_those_between_owners(owned: Shop) -> None:
    lead = await owned.session(Role.MANAGER)
    within = await ask(owned, lead, "CD01", "LJ01")
    branch = await ask(owned, lead, "CD01", "LJ02")
    sold = await ask(owned, lead, "LJ02", "FR01")

    async def listed(**query: Any) -> list[int]:
        found = (await get(owned, lead, "/transfers", **query))["items"]
        assert [row["number"] for row in found] == sorted((row["number"] for row in found), reverse=True)
        return [row["number"] for row in found]

    first = (await get(owned, lead, "/transfers"))["items"][0]
    assert (first["origin_owner"], first["destination_owner"], first["crosses"]) == ("FIL", "FRQ", "company")
    assert await listed(crosses="nothing") == [within]
    assert await listed(crosses="establishment") == [branch]
    assert await listed(crosses="company") == [sold]
    assert await listed(crosses=["company", "establishment"]) == [sold, branch]
    assert await listed(owner="MTZ") == [branch, within]
    assert await listed(owner="FIL") == [sold, branch]
    assert await listed(owner="FRQ") == [sold]
    assert await listed(owner="11222333") == [sold, branch, within], "all establishments of a company"
    assert await listed(owner="FIL", crosses="company", destination="FR01") == [sold]
    assert (await get(owned, lead, "/transfers", 404, owner="NOPE"))["code"] == "unknown_owner"
    for asked, numbers in (
        ("", [sold, branch, within]), ("owner=FIL", [sold, branch]), ("owner=11222333", [sold, branch, within]),
        ("crosses=owner", [sold, branch]), ("crosses=company", [sold]), ("crosses=nothing", [within]),
        ("owner=MTZ&crosses=company", []), ("owner=NOPE", []), ("crosses=nonsense", [sold, branch, within]),
    ):  # fmt: skip
        shown = await page(owned, lead, f"/transfers?view=all&{asked}")
        assert shown.count('<tr><td data-cell="main">') == len(numbers), asked
        for ending in ("csv", "xlsx"):
            answer = await owned.http.get(f"/transfers:export.{ending}?view=all&{asked}", headers=lead)
            assert answer.status_code == 200
        found = await rows(owned, lead, f"/transfers:export.csv?view=all&{asked}")
        assert [int(row["Number"]) for row in found] == numbers, asked
    (row,) = await rows(owned, lead, "/transfers:export.csv?view=all&crosses=company")
    assert (row["Owner at the origin"], row["Owner at the destination"]) == ("Filial Santos", "Franquia")
    assert row["Between owners"] == "Two companies"
    shown = await page(owned, lead, "/transfers?view=all")
    assert shown.count("to another company") == 1
    assert shown.count("to another establishment") == 1


async def test_a_transfer_between_companies_is_marked_on_its_page_and_one_within_an_owner_is_not(owned: Shop) -> None:
    lead = await owned.session(Role.MANAGER)
    within = await ask(owned, lead, "CD01", "LJ01")
    branch = await ask(owned, lead, "CD01", "LJ02")
    sold = await ask(owned, lead, "LJ02", "FR01")
    says = "The goods change their owner: Malha → Franquia"
    assert says in await page(owned, lead, f"/transfers/{sold}")
    shown = await page(owned, lead, f"/transfers/{branch}")
    assert says not in shown
    assert "to another establishment" in shown
    shown = await page(owned, lead, f"/transfers/{within}")
    assert "to another" not in shown
    head = (await get(owned, lead, f"/transfers/{sold}"))["transfer"]
    assert (head["origin_company"], head["destination_company"], head["crosses"]) == ("Malha", "Franquia", "company")


async def test_what_a_transfer_crossed_stays_when_its_location_gets_another_owner(owned: Shop) -> None:
    lead = await owned.session(Role.MANAGER)
    sold = await ask(owned, lead, "LJ02", "FR01")
    async with owned.database.transaction() as tx:
        await tx.execute("UPDATE location SET owner_id = 2 WHERE code = 'LJ02'")
    (row,) = (await get(owned, lead, "/transfers", crosses="company"))["items"]
    assert (row["number"], row["origin_owner"]) == (sold, "FRQ")
    later = await ask(owned, lead, "LJ02", "FR01")
    assert [r["number"] for r in (await get(owned, lead, "/transfers", crosses="nothing"))["items"]] == [later]


async def test_receipts_say_whose_goods_came_and_are_narrowed_to_an_owner(owned: Shop) -> None:
    lead = await owned.session(Role.MANAGER)
    numbers = {code: await receive(owned, lead, code) for code in ("CD01", "LJ02", "FR01")}
    expected = {
        "MTZ": [numbers["CD01"]],
        "FIL": [numbers["LJ02"]],
        "FRQ": [numbers["FR01"]],
        "11222333": [numbers["LJ02"], numbers["CD01"]],
    }
    for owner, found in expected.items():
        items = (await get(owned, lead, "/receipts", owner=owner))["items"]
        assert [row["number"] for row in items] == found, owner
        assert all(row["owner"] == owner or owner.isdigit() for row in items)
        shown = await page(owned, lead, f"/receipts?owner={owner}")
        assert shown.count('<tr><td data-cell="main">') == len(found), owner
        assert [int(r["Number"]) for r in await rows(owned, lead, f"/receipts:export.csv?owner={owner}")] == found
    (row,) = await rows(owned, lead, "/receipts:export.csv?owner=FIL")
    assert row["Owner of the goods"] == "Filial Santos"
    assert "goods of Filial Santos" in await page(owned, lead, f"/receipts/{numbers['LJ02']}")
    assert (await get(owned, lead, "/receipts", 404, owner="NOPE"))["code"] == "unknown_owner"


async def test_the_ledger_of_a_sku_says_where_and_whose_and_has_the_balance_of_each_location(owned: Shop) -> None:
    lead = await owned.session(Role.MANAGER)
    for code in ("CD01", "LJ02", "LJ02", "FR01"):
        await receive(owned, lead, code)
    async with owned.database.transaction() as tx:
        await stock.adjust(tx, [Claim(1, CENTRE, -3), Claim(1, OTHER, 5)], Reason.ADJUSTMENT, Reference("test"))
    items = (await get(owned, lead, "/stock/CAM-P/movements"))["items"]
    assert {row["owner"] for row in items} == set(OWNERS)
    for code in ("CD01", "LJ01", "LJ02", "FR01"):  # as each balance's own ledger says
        own = [row for row in items if row["location"] == code]
        told = (await get(owned, lead, f"/stock/CAM-P/{code}/movements"))["items"]
        assert [row["id"] for row in own] == [row["id"] for row in told]
        after = [sum(row["d_on_hand"] for row in told[at:]) for at in range(len(told))]
        assert [row["on_hand"] for row in own] == after
    assert [(r["location"], r["on_hand"]) for r in (await get(owned, lead, "/stock/CAM-P/movements", owner="FIL"))["items"]] == [
        ("LJ02", 22), ("LJ02", 21), ("LJ02", 20),
    ]  # fmt: skip
    every, cursor = [], None
    while True:
        query = {"limit": 2, "owner": "11222333", **({"cursor": cursor} if cursor else {})}
        answer = await get(owned, lead, "/stock/CAM-P/movements", **query)
        every += [row["id"] for row in answer["items"]]
        cursor = answer.get("next")
        if not cursor:
            break
    assert every == [row["id"] for row in items if row["owner"] != "FRQ"], (
        "pages leave nothing out, and tell nothing twice"
    )
    only = await get(owned, lead, "/stock/CAM-P/movements", owner="FRQ", reason="adjustment")
    assert [(row["d_on_hand"], row["on_hand"]) for row in only["items"]] == [(5, 16)]
    shown = await page(owned, lead, "/stock/CAM-P/ledger?owner=FIL")
    assert shown.count('class="m-ledger-at"') == 3
    assert "Filial Santos" in shown
    found = await rows(owned, lead, "/stock/CAM-P/ledger.csv?owner=FRQ")
    assert {(row["Location code"], row["Owner of the goods"]) for row in found} == {("FR01", "Franquia")}
    (own, *_) = await rows(owned, lead, "/stock/CAM-P/LJ02/ledger.csv")
    assert (own["Location code"], own["Owner of the goods"], own["On hand after"]) == ("LJ02", "Filial Santos", "22")
    assert "No movement fits the filters" in await page(owned, lead, "/stock/CAM-P/ledger?owner=NOPE")
    assert "goods of Franquia" in await page(owned, lead, "/stock/CAM-P/FR01")


async def test_who_sees_one_owners_locations_finds_no_other_owner_by_the_filter(owned: Shop) -> None:
    lead = await owned.session(Role.MANAGER)
    for code in ("CD01", "LJ02", "FR01"):
        await receive(owned, lead, code)
    theirs = await ask(owned, lead, "CD01", "FR01")
    await ask(owned, lead, "CD01", "LJ02")
    franchisee = await owned.session(Role.STORE_ASSOCIATE, email="ana@franquia.test", locations=["FR01"])
    for path in ("/transfers", "/receipts", "/stock/CAM-P/movements"):
        seen = (await get(owned, franchisee, path))["items"]
        assert seen
        assert seen == (await get(owned, franchisee, path, owner="FRQ"))["items"]
        unknown = await get(owned, franchisee, path, 404, owner="NOPE")
        for owner in ("MTZ", "FIL", "11222333"):
            refused = await get(owned, franchisee, path, 404, owner=owner)
            refused, nobody = ({k: v for k, v in said.items() if k != "request_id"} for said in (refused, unknown))
            assert json.dumps(refused).replace(owner, "NOPE") == json.dumps(nobody), "as one that does not exist"
    for path in ("/transfers?view=all", "/receipts?", "/stock/CAM-P/ledger?"):
        shown = await page(owned, franchisee, path)
        assert "Filial Santos" not in shown
        assert 'name="owner"' not in shown, "there is nothing to choose"
        for owner in ("MTZ", "FIL", "11222333"):
            shown = await page(owned, franchisee, f"{path}&owner={owner}")
            assert "Filial" not in shown
            assert "<tbody data-rows>" not in shown
            assert "m-ledger-at" not in shown
            export = path.replace("?", ":export.csv?") if "ledger" not in path else path.replace("?", ".csv?")
            assert await rows(owned, franchisee, f"{export}&owner={owner}") == []
    (row,) = (await get(owned, franchisee, "/transfers"))["items"]
    assert (row["number"], row["crosses"]) == (theirs, "company")
    assert {r["location"] for r in (await get(owned, franchisee, "/stock/CAM-P/movements"))["items"]} == {"FR01"}


async def test_a_transfer_of_two_skus_leaves_in_part_arrives_in_two_parts_with_one_missing_and_every_ledger_adds_up(
    owned: Shop,
) -> None:
    lead = await owned.session(Role.MANAGER)
    before = await balances(owned, lead)
    lines = [{"sku": "CAM-P", "quantity": 6}, {"sku": "CAM-M", "quantity": 4}]
    body = {"origin": "CD01", "destination": "FR01", "lines": lines}
    number = (await post(owned, lead, "/transfers", body, 201))["number"]
    await post(owned, lead, f"/transfers/{number}/approve", {}, 204)
    refused = await post(owned, lead, f"/transfers/{number}/ship", {"quantities": {"1": 5}}, 409)
    assert refused["code"] == "transfer_document_needed"
    leaving = {"quantities": {"1": 5, "2": 3}, "document": "NF-e 81"}
    assert (await post(owned, lead, f"/transfers/{number}/ship", leaving))["deficits"] == []
    view = await get(owned, lead, f"/transfers/{number}")
    assert [(line["asked"], line["shipped"], line["transit"]) for line in view["lines"]] == [(6, 5, 5), (4, 3, 3)]
    assert view["transfer"]["crosses"] == "company"
    await sound(owned)
    part = {"id": str(new_id()), "lines": [{"sku": "CAM-P", "quantity": 3}], "complete": False}
    done = await post(owned, lead, f"/transfers/{number}/receive", part)
    assert (done["state"], done["missing"]) == ("shipped", 0)
    assert (await post(owned, lead, f"/transfers/{number}/receive", part))["repeated"], "sent twice, received once"
    rest = {
        "id": str(new_id()),
        "lines": [{"sku": "CAM-P", "quantity": 1}, {"sku": "CAM-M", "quantity": 2},
                  {"sku": "CAM-M", "quantity": 1, "bucket": "damaged"}],
    }  # fmt: skip
    done = await post(owned, lead, f"/transfers/{number}/receive", rest)
    assert (done["state"], done["missing"], done["damaged"]) == ("received", 1, 1)
    await sound(owned)
    for found in (await get(owned, lead, f"/transfers/{number}"))["discrepancies"]:
        path = f"/transfers/{number}/discrepancies/{found['id']}/decide"
        decision = {"missing": "lost", "damaged": "kept"}[found["kind"]]
        await post(owned, lead, path, {"decision": decision, "note": "box was open"})
    view = await get(owned, lead, f"/transfers/{number}")
    assert (view["transfer"]["state"], [line["transit"] for line in view["lines"]]) == ("closed", [0, 0])
    moved = {("CAM-P", "CD01"): -5, ("CAM-M", "CD01"): -3, ("CAM-P", "FR01"): 4, ("CAM-M", "FR01"): 2}
    after = await balances(owned, lead)
    assert after == {key: units + moved.get(key, 0) for key, units in before.items()}
    for sku, location in moved:
        told = (await get(owned, lead, f"/stock/{sku}/{location}/movements"))["items"]
        assert sum(row["d_on_hand"] for row in told) == after[sku, location]
        assert sum(row["d_held"] for row in told) == sum(row["d_allocated"] for row in told) == 0
    async with owned.database.transaction() as tx:
        held = await tx.tuples("SELECT bucket, sum(d_on_hand)::int FROM movement WHERE location_id = 3 GROUP BY bucket")
    assert dict(held)["in_transit"] == 0
    assert dict(held)["damaged"] == 1
    receipts = (await get(owned, lead, "/receipts", q=f"T{number}", owner="FRQ"))["items"]
    assert [row["units"] for row in receipts] == [4, 3]
    await sound(owned)


async def balances(shop: Shop, who: Headers) -> dict[tuple[str, str], int]:
    found = (await get(shop, who, "/stock", sku=["CAM-P", "CAM-M"]))["items"]
    return {(row["sku"], row["location"]): row["on_hand"] for row in found}


async def sound(shop: Shop) -> None:
    report = await examine(shop.database)
    assert [f.lines("en") for f in report.findings if f.drifts] == []
