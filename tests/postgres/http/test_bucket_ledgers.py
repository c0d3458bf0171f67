"""Goods that may not be sold have a ledger each: on the page of a balance, over all locations, as a file, in scope."""

import csv
import html
import io
import re
import sys
from pathlib import Path

import pytest
from tests_http import Shop

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from supply_rows import CENTRE, OTHER, SHOP, a_retailer

from malha.identity.model import Role
from malha.inventory import balance_reads
from malha.inventory.buckets import service
from malha.inventory.buckets.model import Bucket, Leg
from malha.inventory.model import Reason, Reference

Headers = dict[str, str]
AFTER = re.compile(r'<td class="m-right">([−\d,]+)</td></tr>')


@pytest.fixture
async def kept(shop: Shop) -> Shop:
    """Two damaged at the centre, three at the shop (one repaired), one on display there, five only damaged elsewhere."""
    await a_retailer(shop.database, units=10)
    moves = (
        (CENTRE, Bucket.SELLABLE, Bucket.DAMAGED, 2, "pallet"),
        (SHOP, Bucket.SELLABLE, Bucket.DAMAGED, 4, "rain"),
        (SHOP, Bucket.DAMAGED, Bucket.SELLABLE, 1, "ironed"),
        (SHOP, Bucket.SELLABLE, Bucket.DISPLAY, 1, "window"),
    )
    for place, source, target, units, why in moves:
        async with shop.database.transaction() as tx:
            legs = [Leg(1, place, source, -units), Leg(1, place, target, units)]
            await service.move(tx, legs, Reason.MOVE, Reference("person", text=why))
    async with shop.database.transaction() as tx:  # a SKU that the place never had for sale
        await tx.execute("INSERT INTO variant (product_id, sku, name) VALUES (1, 'CAL-40', 'Calça 40')")
        await service.change(tx, [Leg(5, OTHER, Bucket.DAMAGED, 5)], Reason.RECEIPT, Reference("test", text="came"))
    return shop


async def page(shop: Shop, who: Headers, path: str) -> str:
    answer = await shop.http.get(path, headers=who)
    assert answer.status_code == 200, answer.text[:2000]
    return answer.text


async def rows(shop: Shop, who: Headers, path: str) -> list[dict[str, str]]:
    text = (await page(shop, who, path)).lstrip("\ufeff")
    return list(csv.DictReader(io.StringIO(text), delimiter=";"))


async def test_the_page_of_a_balance_has_the_ledger_of_each_bucket(kept: Shop) -> None:
    lead = await kept.session(Role.MANAGER)
    sellable = await page(kept, lead, "/stock/CAM-P/LJ01")
    assert AFTER.findall(sellable)[:3] == ["6", "7", "6"]
    assert 'href="/stock/CAM-P/LJ01?bucket=damaged"' in sellable, "what is not for sale leads to its ledger"
    assert 'href="/stock/CAM-P/LJ01?bucket=in_transit"' not in sellable
    damaged = await page(kept, lead, "/stock/CAM-P/LJ01?bucket=damaged")
    assert AFTER.findall(damaged) == ["3", "4"]
    assert re.search(r'<option value="damaged" selected>Damaged', damaged)
    assert "m-ledger-more" in sellable, "orders and holds have sellable goods"
    assert "m-ledger-more" not in damaged
    assert AFTER.findall(await page(kept, lead, "/stock/CAM-P/LJ01?bucket=display")) == ["1"]
    assert "No movement fits the filters." in await page(kept, lead, "/stock/CAM-P/LJ01?bucket=in_transit")
    assert AFTER.findall(await page(kept, lead, "/stock/CAM-P/LJ01?bucket=nonsense")) == AFTER.findall(sellable)
    assert AFTER.findall(await page(kept, lead, "/stock/CAL-40/FR01?bucket=damaged")) == ["5"], "without any balance"


async def test_the_ledger_of_a_sku_follows_one_bucket_over_all_locations(kept: Shop) -> None:
    lead = await kept.session(Role.MANAGER)
    overview = await page(kept, lead, "/stock/CAM-P")
    assert 'href="/stock/CAM-P/ledger?location=LJ01&bucket=damaged"' in overview
    everywhere = await page(kept, lead, "/stock/CAM-P/ledger?bucket=damaged")
    assert AFTER.findall(everywhere) == ["3", "4", "2"], "each with what its own location had after it"
    assert 'href="/stock/CAM-P/ledger.csv?bucket=damaged"' in everywhere
    assert AFTER.findall(await page(kept, lead, "/stock/CAM-P/ledger?bucket=damaged&location=CD01")) == ["2"]
    assert AFTER.findall(await page(kept, lead, "/stock/CAL-40/ledger?bucket=damaged")) == ["5"]


async def test_the_file_of_a_ledger_says_of_which_goods_it_is(kept: Shop) -> None:
    lead = await kept.session(Role.MANAGER)
    answer = await kept.http.get("/stock/CAM-P/ledger.csv?bucket=damaged", headers=lead)
    assert "ledger-CAM-P-damaged-" in answer.headers["content-disposition"]
    told = await rows(kept, lead, "/stock/CAM-P/ledger.csv?bucket=damaged")
    assert [
        (r["Location code"], r["About"], r["On hand, change"], r["On hand after"], r["Condition"]) for r in told
    ] == [
        ("LJ01", "ironed", "-1", "3", "Damaged"),
        ("LJ01", "rain", "4", "4", "Damaged"),
        ("CD01", "pallet", "2", "2", "Damaged"),
    ]
    at_one = await rows(kept, lead, "/stock/CAM-P/LJ01/ledger.csv?bucket=display")
    assert [(row["On hand after"], row["Condition"]) for row in at_one] == [("1", "On display")]
    sheet = await kept.http.get("/stock/CAM-P/ledger.xlsx?bucket=damaged", headers={**lead, "accept-language": "pt-BR"})
    assert sheet.content.startswith(b"PK")


async def test_the_api_reads_a_bucket_over_all_locations_page_by_page(kept: Shop) -> None:
    key = await kept.key(["stock:read"])
    read, cursor = [], ""
    while True:
        path = f"/v1/stock/CAM-P/movements?bucket=damaged&limit=2{cursor}"
        found = (await kept.http.get(path, headers=key)).json()
        read += [(row["location"], row["d_on_hand"], row["on_hand"]) for row in found["items"]]
        if found["next"] is None:
            break
        cursor = f"&cursor={found['next']}"
    assert read == [("LJ01", -1, 3), ("LJ01", 4, 4), ("CD01", 2, 2)]
    wrong = await kept.http.get("/v1/stock/CAM-P/movements?bucket=lost", headers=key)
    assert wrong.status_code in {400, 422}


async def test_who_sees_one_location_reads_no_other_locations_bucket(kept: Shop) -> None:
    near = await kept.session(Role.MANAGER, locations=["LJ01"])
    assert AFTER.findall(await page(kept, near, "/stock/CAM-P/ledger?bucket=damaged")) == ["3", "4"]
    assert "No movement fits" in await page(kept, near, "/stock/CAM-P/ledger?bucket=damaged&location=CD01")
    assert "No movement fits" in await page(kept, near, "/stock/CAL-40/ledger?bucket=damaged")
    assert (await kept.http.get("/stock/CAL-40/FR01?bucket=damaged", headers=near)).status_code == 404
    assert (await kept.http.get("/stock/CAL-40/FR01/ledger.csv?bucket=damaged", headers=near)).status_code == 404
    assert {row["Location code"] for row in await rows(kept, near, "/stock/CAM-P/ledger.csv?bucket=damaged")} == {
        "LJ01"
    }
    key = await kept.key(["stock:read"], locations=["LJ01"])
    found = (await kept.http.get("/v1/stock/CAM-P/movements?bucket=damaged", headers=key)).json()
    assert {row["location"] for row in found["items"]} == {"LJ01"}


async def test_newest_movements_of_a_bucket_are_of_that_bucket_and_so_is_the_ledger_a_location_leads_to(
    kept: Shop,
) -> None:
    lead = await kept.session(Role.MANAGER)
    path = "/stock/CAM-P/LJ01?bucket=damaged"
    async with kept.database.transaction() as tx:
        for n in range(60):
            legs = [Leg(1, SHOP, Bucket.SELLABLE, -1 + 2 * (n % 2)), Leg(1, SHOP, Bucket.DAMAGED, 1 - 2 * (n % 2))]
            await service.move(tx, legs, Reason.MOVE, Reference("person", text=str(n)))
    older = re.search(r'href="([^"]+)" rel="next"', await page(kept, lead, path))
    assert older is not None
    deeper = html.unescape(await page(kept, lead, html.unescape(older[1])))
    assert re.search(
        rf'href="{re.escape(path)}"[^>]*>Movimentos mais novos|href="{re.escape(path)}"[^>]*>Newest', deeper
    )
    everywhere = await page(kept, lead, "/stock/CAM-P/ledger?bucket=damaged")
    assert f'href="{path}"' in everywhere


async def test_the_ledger_of_a_bucket_reads_nothing_of_what_is_for_sale(kept: Shop) -> None:
    async with kept.database.transaction() as tx:
        await tx.execute(
            "INSERT INTO movement (sku_id, location_id, d_on_hand, reason, actor)"
            " SELECT 1, %(shop)s::int, CASE n %% 2 WHEN 0 THEN 1 ELSE -1 END, 'adjustment', 'test'"
            " FROM generate_series(1, 20000) AS n",
            {"shop": SHOP},
        )
        await tx.execute("ANALYZE movement")
        params = {
            "sku": 1, "locations": [SHOP], "bucket": "damaged", "reason": None, "since": None, "until": None,
            "before": None, "before_id": None, "limit": 51, "carried": [], "carried_at": [], "carried_id": [],
            "carried_on_hand": [],
        }  # fmt: skip
        await tx.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        plan = "\n".join(await tx.values("EXPLAIN " + balance_reads.LEDGER_ASIDE, params))
    assert "bucket_recorded_at" in plan, plan
    assert "sku_id_location_id_recorded_at" not in plan, plan
