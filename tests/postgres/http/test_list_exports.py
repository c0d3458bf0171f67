"""Lists of the administrator as files: every row there is, in words, without a secret."""

import re
from datetime import UTC, datetime
from urllib.parse import quote, unquote

import pytest
from tests_http import Shop

from malha.console import export
from malha.identity.model import Role
from malha.inventory.counts import service as counts
from malha.inventory.counts.model import CountDraft
from malha.testing.builders import a_network, a_product

LISTS = ("/keys", "/allotments", "/counts")


@pytest.mark.parametrize("address", LISTS)
async def test_a_list_leads_to_its_files_and_they_come(shop: Shop, address: str) -> None:
    async with shop.database.transaction() as tx:
        await a_network(tx)
    owner = await shop.session()
    page = (await shop.http.get(address, headers=owner)).text
    for ending in ("csv", "xlsx"):
        assert f"{address}:export.{ending}" in page
        answer = await shop.http.get(f"{address}:export.{ending}", headers=owner)
        assert answer.status_code == 200
        assert f".{ending}" in answer.headers["content-disposition"]


async def test_the_file_of_keys_says_what_each_may_and_nothing_that_opens_a_door(shop: Shop) -> None:
    made = await shop.key(["stock:read"])
    rows = (await shop.http.get("/keys:export.csv", headers=await shop.session())).text
    assert "stock:read" in rows
    assert made["authorization"].removeprefix("Bearer ") not in rows
    clerk = await shop.session(Role.CUSTOMER_SERVICE)
    assert (await shop.http.get("/keys:export.csv", headers=clerk)).status_code == 403


async def test_the_file_of_counts_has_those_of_ones_own_locations(shop: Shop) -> None:
    async with shop.database.transaction() as tx:
        world = await a_network(tx)
        sku = await a_product(tx, world, "A", stock={"S1": 2, "S2": 2})
        for code in ("S1", "S2"):
            await counts.raise_count(tx, CountDraft(location_id=world.locations[code], skus=[sku]))
    lead = await shop.session(Role.STORE_LEAD, locations=["S1"])
    rows = (await shop.http.get("/counts:export.csv?view=all", headers=lead)).text
    assert "S1" in rows
    assert "S2" not in rows


@pytest.mark.parametrize("sku", ["Ré ✓", 'A"; filename="x.exe', "S;1"])
async def test_a_file_named_after_a_code_that_somebody_typed_comes_under_that_name(shop: Shop, sku: str) -> None:
    async with shop.database.transaction() as tx:
        await a_product(tx, await a_network(tx), sku, stock={"S1": 2})
    address = f"/stock/{quote(sku, safe='')}/S1/ledger.csv"
    answer = await shop.http.get(address, headers=await shop.session())
    assert answer.status_code == 200, answer.text
    plain, _star, other = answer.headers["content-disposition"].partition("; filename*=UTF-8''")
    assert unquote(other).startswith(f"ledger-{sku}-S1-")
    assert not set('"; ') & set(other)
    assert re.fullmatch(r'attachment; filename="[A-Za-z0-9._-]+[.]csv"', plain)


async def test_a_file_bears_the_day_that_its_reader_has(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "now", lambda: datetime(2026, 11, 28, 1, 30, tzinfo=UTC))  # half past ten in São Paulo
    answer = await shop.http.get("/counts:export.csv", headers=await shop.session())
    assert answer.headers["content-disposition"].endswith('-2026-11-27.csv"')
