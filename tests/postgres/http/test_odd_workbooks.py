"""What a person sees in a workbook is not always what is read of it. Before anything is written they are told where."""

import zipfile
from collections.abc import Callable
from io import BytesIO

import pytest
from tests_http import Shop
from xlsxwriter import Workbook
from xlsxwriter.worksheet import Worksheet

from malha.testing.builders import a_network, a_product

UNSOLVED = 987_654  # its value is taken out of the file: as a program writes a formula that it does not work out
NOTHING = "NOTHING"  # so is this one's, which is a text: as Excel writes a formula whose result is an empty text
TABLES: dict[str, list[list[object]]] = {
    "products": [["sku", "name", "price"], *[[f"CUP{n}", f"Caneca {n}", 10 + n] for n in range(6)]],
    "prices": [["sku", "price"], *[[f"CUP{n}", 10 + n] for n in range(6)]],
    "stock": [["sku", "location", "on_hand"], *[[f"CUP{n}", "DC", 10 + n] for n in range(6)]],
    "customers": [["name", "email", "city"], *[[f"Ana {n}", f"ana{n}@example.com", "Recife"] for n in range(6)]],
}
kinds = pytest.mark.parametrize("kind", list(TABLES))


def book(kind: str, change: Callable[[Worksheet, int], None]) -> bytes:
    """A workbook of six rows that somebody changed; it is told which column is the last."""
    file = BytesIO()
    made = Workbook(file)
    sheet = made.add_worksheet()
    for n, row in enumerate(TABLES[kind]):
        sheet.write_row(n, 0, row)
    change(sheet, len(TABLES[kind][0]) - 1)
    made.close()
    out = BytesIO()
    with zipfile.ZipFile(file) as read, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as written:
        for name in read.namelist():
            written.writestr(name, read.read(name).replace(b"<v>%d</v>" % UNSOLVED, b"").replace(NOTHING.encode(), b""))
    return out.getvalue()


@pytest.fixture
async def seeded(shop: Shop) -> Shop:
    async with shop.database.transaction() as tx:
        world = await a_network(tx)
        for n in range(6):
            await a_product(tx, world, f"CUP{n}", stock={"DC": 5})
    shop.headers = await shop.key(["catalog:read", "catalog:write", "stock:read", "stock:write", "customers:read",
                                   "customers:write"])  # fmt: skip
    return shop


async def looked(shop: Shop, kind: str, raw: bytes, **headers: str) -> dict:
    answer = await shop.http.post(
        f"/v1/{kind}:import?mode=preview", content=raw, headers=shop.headers | {"content-type": "text/csv"} | headers
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


@kinds
async def test_rows_that_a_filter_hides_are_read_and_told_with_their_numbers(seeded: Shop, kind: str) -> None:
    def hide(sheet: Worksheet, _last: int) -> None:
        for row in (2, 3, 5, 40):  # the last one has nothing in it
            sheet.set_row(row, None, None, {"hidden": True})

    raw = book(kind, hide)
    report = await looked(seeded, kind, raw)
    assert report["rows"] == 6
    assert report["oddities"] == ["Hidden rows are read too: 3 (rows 3-4, 6)."]
    said = await looked(seeded, kind, raw, **{"accept-language": "pt-BR"})
    assert said["oddities"] == ["Linhas ocultas também são lidas: 3 (linhas 3-4, 6)."]


@kinds
async def test_merged_cells_are_told_for_all_but_the_first_are_empty(seeded: Shop, kind: str) -> None:
    def merge(sheet: Worksheet, last: int) -> None:
        sheet.merge_range(1, last, 3, last, TABLES[kind][1][last])

    letter = "ABC"[len(TABLES[kind][0]) - 1]
    told = f"Of merged cells only the first holds the value; the others are read as empty: {letter}2:{letter}4."
    assert (await looked(seeded, kind, book(kind, merge)))["oddities"] == [told]


@kinds
async def test_a_formula_that_nobody_worked_out_is_refused_at_its_place_and_not_taken_for_empty(
    seeded: Shop, kind: str
) -> None:
    def write(sheet: Worksheet, last: int) -> None:
        sheet.write_formula(3, last, "=1+1", None, UNSOLVED)

    report = await looked(seeded, kind, book(kind, write))
    assert report["bad"] == 1
    [problem] = report["problems"]
    assert (problem["line"], problem["column"]) == (4, TABLES[kind][0][-1])
    assert "a formula without a result" in problem["says"]


@kinds
@pytest.mark.parametrize("error", ["#N/A", "#REF!", "#DIV/0!"])
async def test_an_error_of_the_spreadsheet_is_refused_at_its_place(seeded: Shop, kind: str, error: str) -> None:
    def write(sheet: Worksheet, last: int) -> None:
        sheet.write_formula(3, last, "=1/0", None, error)

    report = await looked(seeded, kind, book(kind, write))
    [problem] = report["problems"]
    assert (report["bad"], problem["line"], problem["column"]) == (1, 4, TABLES[kind][0][-1])
    assert error in problem["says"]


async def test_a_formula_that_gives_an_empty_text_is_empty_and_old_results_are_told(seeded: Shop) -> None:
    def write(sheet: Worksheet, last: int) -> None:
        sheet.write_formula(3, last, '=IF(1,"","x")', None, NOTHING)
        sheet.write_formula(4, last, "=2+2", None, 4)

    report = await looked(seeded, "customers", book("customers", write))
    assert report["problems"] == []
    # Who wrote the file asks that its formulas are worked out by whoever opens it.
    [odd] = report["oddities"]
    assert odd.startswith("Results of formulas may be old: 2, the first in C4.")


async def test_the_page_says_it_before_anything_is_written_and_so_does_the_kept_import(seeded: Shop) -> None:
    def hide(sheet: Worksheet, _last: int) -> None:
        sheet.set_row(2, None, None, {"hidden": True})

    raw = book("stock", hide)
    sent = await seeded.http.post("/v1/imports/stock?name=t.xlsx", content=raw, headers=seeded.headers)
    assert sent.status_code == 201, sent.text
    told = ["Hidden rows are read too: 1 (rows 3)."]
    assert sent.json()["oddities"] == told
    owner = await seeded.session()
    page = await seeded.http.get(f"/imports/{sent.json()['number']}", headers=owner)
    assert told[0] in page.text
    written = await seeded.http.post(
        "/v1/stock:import?mode=all", content=raw, headers=seeded.headers | {"content-type": "text/csv"}
    )
    assert written.json()["oddities"] == told
    kept = (await seeded.http.get("/v1/imports", headers=seeded.headers)).json()[0]
    assert kept["oddities"] == told
