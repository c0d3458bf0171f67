"""Pages of stock: what the list finds, what the ledger adds up to, what a person may change, and where their sight ends."""

import re
import sys
from pathlib import Path

import pytest
from tests_http import HOST, Shop

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from spine_rows import a_network, an_order

from malha.console import stock
from malha.identity.model import Role
from malha.inventory import service
from malha.inventory.model import Claim, Reason, Reference

HTMX = {"hx-request": "true", "hx-current-url": f"{HOST}/stock"}


@pytest.fixture
async def stocked(shop: Shop) -> Shop:
    """SKU-1 and SKU-2 at CD01 and LJ01, an order with units at CD01, a hold at LJ01."""
    async with shop.database.transaction() as tx:
        await a_network(tx)
        await tx.execute("UPDATE variant SET folded = lower(name || ' ' || sku), gtin = NULL")
        await service.receive(tx, [Claim(1, 1, 20), Claim(1, 2, 5), Claim(2, 2, 4)], Reference("receipt", text="NF 12"))
        await an_order(tx)
        assert not await service.place_hold(tx, "cart-9", [Claim(2, 2, 1)], seconds=600)
    return shop


async def page(shop: Shop, path: str, headers: dict[str, str], status: int = 200) -> str:
    answer = await shop.http.get(path, headers=headers)
    assert answer.status_code == status, answer.text[:500]
    return answer.text


def skus(text: str) -> list[str]:
    return re.findall(r'<small><span class="m-num">([^<]+)</span>', text)


def texts(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html))


async def act(shop: Shop, name: str, headers: dict[str, str], **form: str) -> tuple[int, str]:
    data = {"sku": "SKU-1", "location": "CD01", "on": "balance", **form}
    answer = await shop.http.post(f"/stock:{name}", data=data, headers={**headers, **HTMX})
    return answer.status_code, answer.text


async def test_the_list_finds_skus_by_words_views_and_location(stocked: Shop) -> None:
    owner = await stocked.session()
    assert skus(await page(stocked, "/stock", owner)) == ["SKU-1", "SKU-2"]  # a kit keeps no stock
    assert skus(await page(stocked, "/stock?q=dois", owner)) == ["SKU-2"]
    assert skus(await page(stocked, "/stock?view=held", owner)) == ["SKU-2"]
    assert skus(await page(stocked, "/stock?view=held&location=CD01", owner)) == []
    assert skus(await page(stocked, "/stock?view=safety", owner)) == []
    assert (await act(stocked, "safety", owner, location="LJ01", quantity="5"))[0] == 200
    assert skus(await page(stocked, "/stock?view=safety", owner)) == ["SKU-1"]
    assert skus(await page(stocked, "/stock?view=out&location=LJ01", owner)) == ["SKU-1"]
    assert skus(await page(stocked, "/stock?view=out", owner)) == []
    assert skus(await page(stocked, "/stock?view=nonsense&after=SKU-1", owner)) == ["SKU-2"]
    assert skus(await page(stocked, "/stock?before=SKU-2", owner)) == ["SKU-1"]


@pytest.mark.parametrize("terms", ["location=GONE", "owner=Gone"])
async def test_stock_of_what_is_not_there_any_more_is_none_and_not_all(stocked: Shop, terms: str) -> None:
    owner = await stocked.session()
    text = await page(stocked, f"/stock?{terms}", owner)
    assert skus(text) == []
    assert re.search(r"<option[^>]*\bselected\b[^>]*>(GONE \(not found\)|Gone)</option>", text)
    assert "No SKU matches" in text
    assert len((await stocked.http.get("/stock:export.csv", headers=owner)).text.splitlines()) > 1
    assert len((await stocked.http.get(f"/stock:export.csv?{terms}", headers=owner)).text.splitlines()) == 1
    cells = "<td"
    row = await page(stocked, "/stock:rows?skus=1", owner)
    assert (await page(stocked, f"/stock:rows?skus=1&{terms}", owner)).count(cells) < row.count(cells)


async def test_over_many_balances_what_is_out_is_remembered_for_a_moment_and_never_shown_wrongly(
    stocked: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = await stocked.session()

    def out(text: str) -> int:
        found = re.search(r'href="/stock\?view=out"[^>]*>[^<]*<span>(\d+)</span>', text)
        assert found
        return int(found[1])

    async def take(units: int) -> str:
        async with stocked.database.transaction() as tx:
            claims = [Claim(2, 2, units)]
            await service.adjust(tx, claims, Reason.ADJUSTMENT, Reference("count"))
        return await page(stocked, "/stock?view=out", owner)

    gone = await take(-4)
    assert (skus(gone), out(gone)) == (["SKU-2"], 1)
    monkeypatch.setattr(stock, "MANY_BALANCES", 0)
    remembered = await page(stocked, "/stock?view=out", owner)
    assert (skus(remembered), out(remembered)) == (["SKU-2"], 1)
    back = await take(4)  # the count is that of the moment before, the list is of now
    assert (skus(back), out(await page(stocked, "/stock", owner))) == ([], 1)
    monkeypatch.setattr(stock, "REMEMBERED_SECONDS", 0.0)
    stocked.app.state.services.extra.pop("stock_kept")
    assert out(await page(stocked, "/stock", owner)) == 0


async def test_every_movement_shows_what_was_on_hand_after_it_whatever_the_filter(stocked: Shop) -> None:
    owner = await stocked.session()
    for change, reason in (("-2", "damage"), ("4", "found"), ("-1", "loss")):
        assert (await act(stocked, "adjust", owner, change=change, reason=reason, note="shelf 7"))[0] == 200
    cell = re.compile(r'<td class="m-right">([−\d,]+)</td></tr>')
    whole = await page(stocked, "/stock/SKU-1/CD01", owner)
    # 20 received, 5 came with the order, then -2, +4, -1: newest first.
    assert cell.findall(whole) == ["26", "27", "23", "25", "20"]
    assert cell.findall(await page(stocked, "/stock/SKU-1/CD01?reason=damage", owner)) == ["23"]
    assert "No movement fits the filters." in await page(stocked, "/stock/SKU-1/CD01?until=2020-01-01", owner)
    exported = await page(stocked, "/stock/SKU-1/CD01/ledger.csv?reason=found", owner)
    assert exported.splitlines()[1].split(";")[1:] == [
        "CD01",
        "Matriz",
        "Found",
        "shelf 7",
        "Owner",
        "4",
        "0",
        "0",
        "27",
        "Sellable",
    ]


async def test_older_movements_go_on_where_the_page_ended(stocked: Shop) -> None:
    owner = await stocked.session()
    async with stocked.database.transaction() as tx:
        for n in range(1, 61):
            await service.adjust(tx, [Claim(2, 2, 1)], Reason.FOUND, Reference("console", text=f"n{n}"))
    first = await page(stocked, "/stock/SKU-2/LJ01", owner)
    older = re.search(r'href="(/stock/SKU-2/LJ01\?cursor=[^"]+)"', first)
    assert older
    second = await page(stocked, older.group(1), owner)
    cell = re.compile(r'<td class="m-right">([−\d,]+)</td></tr>')
    balances = [*cell.findall(first), *cell.findall(second)]
    # 4 received, a hold that moved nothing physical, then sixty times one more.
    assert balances == [str(n) for n in range(64, 3, -1)] + ["4"]


async def test_a_ledger_line_leads_to_its_order_and_the_sku_shows_who_has_claims(stocked: Shop) -> None:
    owner = await stocked.session()
    async with stocked.database.transaction() as tx:
        order = (await tx.tuples("SELECT id, number FROM sales_order"))[0]
        await service.ship(tx, [Claim(1, 1, 1)], Reference("order", order[0]))
    assert f'href="/orders/{order[1]}">#{order[1]}</a>' in await page(stocked, "/stock/SKU-1/CD01", owner)
    sku = texts(await page(stocked, "/stock/SKU-1", owner))
    assert f"#{order[1]} Site, CD" in sku
    assert "cart-9" in await page(stocked, "/stock/SKU-2", owner)
    assert "cart-9" not in await page(stocked, "/stock/SKU-1", owner)


async def test_stock_is_adjusted_counted_and_kept_back_and_each_act_is_audited(stocked: Shop) -> None:
    owner = await stocked.session()
    assert (await act(stocked, "adjust", owner, change="−2", reason="damage", note="wet"))[0] == 200
    status, drawn = await act(stocked, "count", owner, counted="30", note="yearly")
    assert status == 200
    assert "30 units are there" in texts(drawn)
    assert (await act(stocked, "safety", owner, quantity="4"))[0] == 200
    async with stocked.database.transaction() as tx:
        rows = await tx.tuples("SELECT on_hand, safety FROM balance WHERE sku_id = 1 AND location_id = 1")
        moved = await tx.tuples(
            "SELECT d_on_hand, reason, ref_text FROM movement WHERE ref_kind = 'console' ORDER BY id"
        )
        audited = await tx.tuples(
            "SELECT action, entity_id, after ->> 'note' FROM audit WHERE entity = 'stock' ORDER BY id"
        )
    assert rows == [(30, 4)]
    assert moved == [(-2, "damage", "wet"), (7, "count", "yearly")]
    assert audited == [
        ("adjust", "SKU-1 CD01", "wet"),
        ("count", "SKU-1 CD01", "yearly"),
        ("set_safety", "SKU-1 CD01", None),
    ]


@pytest.mark.parametrize(
    ("name", "form", "says"),
    [
        ("adjust", {"change": "0", "reason": "damage"}, "Write by how many units it changes"),
        ("adjust", {"change": "two", "reason": "damage"}, "Write by how many units it changes"),
        ("adjust", {"change": "3", "reason": "damage"}, "write a number below zero"),
        ("adjust", {"change": "-3", "reason": "found"}, "write a number above zero"),
        ("adjust", {"change": "-3", "reason": "receipt"}, "Choose a reason."),
        ("count", {"counted": "-1"}, "Write a whole number, 0 or more."),
        ("safety", {"quantity": "1.5"}, "Write a whole number, 0 or more."),
        ("count", {"counted": "1", "sku": "KIT-3"}, "not known: KIT-3"),
        ("count", {"counted": "1", "location": "NOWHERE"}, "NOWHERE"),
    ],
)
async def test_what_is_refused_says_why_and_changes_nothing(
    stocked: Shop, name: str, form: dict[str, str], says: str
) -> None:
    owner = await stocked.session()
    async with stocked.database.transaction() as tx:
        before = await tx.value("SELECT count(*) FROM movement")
    status, text = await act(stocked, name, owner, **form)
    assert status in {404, 422}
    assert says in texts(text)
    async with stocked.database.transaction() as tx:
        assert await tx.value("SELECT count(*) FROM movement") == before


async def test_a_count_below_what_is_promised_is_recorded_and_shows_the_deficit(stocked: Shop) -> None:
    owner = await stocked.session()
    status, text = await act(stocked, "count", owner, counted="2")
    assert status == 200
    assert "3 promised units are missing." in texts(text)
    assert skus(await page(stocked, "/stock?view=deficit", owner)) == ["SKU-1"]
    assert (await act(stocked, "count", owner, counted="5"))[0] == 200
    assert skus(await page(stocked, "/stock?view=deficit", owner)) == []


async def test_stock_below_zero_is_said_to_be_that_and_only_promised_units_to_be_promised(stocked: Shop) -> None:
    owner = await stocked.session()
    status, text = await act(
        stocked, "adjust", owner, sku="SKU-2", location="LJ01", change="-6", reason="loss", note="n"
    )
    assert status == 200
    assert "Stock is recorded 2 units below zero: count it." in texts(text)
    for path in ("/stock/SKU-2", "/stock/SKU-2/LJ01"):
        shown = texts(await page(stocked, path, owner))
        assert "Stock is recorded 2 units below zero: count it." in shown
        assert "promised unit" not in shown
    status, text = await act(stocked, "adjust", owner, change="-26", reason="loss", note="n")
    assert status == 200
    assert "5 promised units are missing. Stock is recorded 1 unit below zero: count it." in texts(text)


async def test_safety_stock_is_set_on_many_skus_where_they_are_kept_or_at_one_location(stocked: Shop) -> None:
    owner = {**await stocked.session(), **HTMX}
    form = {"sku": ["1", "2", "3"], "quantity": "2"}
    assert (await stocked.http.post("/stock:bulk-safety", data=form, headers=owner)).status_code == 200
    async with stocked.database.transaction() as tx:
        everywhere = await tx.tuples("SELECT sku_id, location_id FROM balance WHERE safety = 2 ORDER BY 1, 2")
    assert everywhere == [(1, 1), (1, 2), (2, 1), (2, 2)]
    form = {"sku": ["1", "2"], "quantity": "9", "location": "LJ01"}
    assert (await stocked.http.post("/stock:bulk-safety", data=form, headers=owner)).status_code == 200
    async with stocked.database.transaction() as tx:
        there = await tx.tuples("SELECT sku_id, location_id FROM balance WHERE safety = 9 ORDER BY 1, 2")
    assert there == [(1, 2), (2, 2)]
    none = await stocked.http.post("/stock:bulk-safety", data={"quantity": "1"}, headers=owner)
    assert (none.status_code, "Choose at least one SKU." in none.text) == (422, True)


async def test_a_store_sees_and_changes_its_own_stock_only(stocked: Shop) -> None:
    lead = await stocked.session(Role.STORE_LEAD, locations=["LJ01"])
    listed = await page(stocked, "/stock", lead)
    assert "/stock/SKU-1/LJ01" in listed
    assert "CD01" not in listed
    asked = await page(stocked, "/stock?location=CD01&open=SKU-1/CD01", lead)
    assert "/stock/SKU-1/CD01" not in asked
    assert '<option value="CD01"' not in asked
    assert "CD01 (not found)" in asked  # what was asked for is said again, and nothing of it known
    one = texts(await page(stocked, "/stock/SKU-1", lead))
    assert "On hand 5" in one
    assert "#" not in one.split("Orders with units")[1].split("Stock holds")[0]
    assert "CD01" not in await page(stocked, "/stock:export.csv", lead)
    await page(stocked, "/stock/SKU-1/CD01", lead, 404)
    await page(stocked, "/stock/SKU-1/CD01/ledger.csv", lead, 404)
    assert (await act(stocked, "count", lead, counted="1"))[0] == 404
    assert (await act(stocked, "count", lead, counted="1", location="LJ01"))[0] == 200
    bulk = {"sku": ["1"], "quantity": "7"}
    assert (await stocked.http.post("/stock:bulk-safety", data=bulk, headers={**lead, **HTMX})).status_code == 200
    async with stocked.database.transaction() as tx:
        assert await tx.values("SELECT location_id FROM balance WHERE safety = 7") == [2]


async def test_who_only_reads_stock_gets_no_forms_and_no_way_around_them(stocked: Shop) -> None:
    associate = await stocked.session(Role.STORE_ASSOCIATE)
    text = await page(stocked, "/stock/SKU-1/CD01", associate)
    assert "dlg-adjust" not in text
    assert (await act(stocked, "count", associate, counted="1"))[0] == 403


async def test_the_export_has_one_row_per_balance_and_sends_numbers_to_a_spreadsheet(stocked: Shop) -> None:
    owner = await stocked.session()
    rows = [line.split(";") for line in (await page(stocked, "/stock:export.csv", owner)).lstrip("\ufeff").splitlines()]
    assert rows[0][:1] + rows[0][6:] == ["SKU", "On hand", "Allocated", "Held stock", "Safety stock", "Available"]
    assert [(row[0], row[4], *row[6:]) for row in rows[1:]] == [
        ("SKU-1", "CD01", "25", "5", "0", "0", "20"),
        ("SKU-1", "LJ01", "5", "0", "0", "0", "5"),
        ("SKU-2", "CD01", "1", "1", "0", "0", "0"),
        ("SKU-2", "LJ01", "4", "0", "1", "0", "3"),
    ]
    book = await stocked.http.get("/stock:export.xlsx?view=held", headers=owner)
    assert book.headers["content-type"].endswith("spreadsheetml.sheet")
    assert re.search(r'filename="stock-\d{4}-\d\d-\d\d\.xlsx"', book.headers["content-disposition"])
    assert book.content.startswith(b"PK")
