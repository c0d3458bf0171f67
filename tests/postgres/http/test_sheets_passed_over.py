"""Of a workbook one sheet is read. Whoever sends another filled one is told, wherever a file is taken."""

import re
import zipfile
from io import BytesIO
from urllib.parse import unquote

import pytest
from tests_http import Shop
from xlsxwriter import Workbook

from malha.testing.builders import a_network, a_product

TWO = "Only the first sheet is read; these are not: Dezembro."
RATES = [["from", "to", "up_to_kg", "price", "lead_days"], ["SP", "RJ", 1, 10, 2]]
SLOTS = [["location", "kind", "weekday", "starts", "ends", "quota"], ["DC", "pick", 1, "08:00", "12:00", 4]]


def book(rows: list[list[object]], *others: str) -> bytes:
    file = BytesIO()
    made = Workbook(file)
    for name in ("Novembro", *others):
        sheet = made.add_worksheet(name)
        for n, row in enumerate(rows):
            sheet.write_row(n, 0, row)
    made.add_worksheet("Vazia")
    made.close()
    return file.getvalue()


@pytest.fixture
async def seeded(shop: Shop) -> Shop:
    async with shop.database.transaction() as tx:
        world = await a_network(tx, capacity=10)
        await a_product(tx, world, "CUP", stock={"DC": 5})
    return shop


async def version_of(shop: Shop, page: str, address: str, owner: dict[str, str]) -> str:
    text = (await shop.http.get(page, headers=owner)).text
    found = re.search(rf'<form[^>]*"{address}".*?name="version" value="(\d+)"', text, re.DOTALL)
    return found[1] if found else ""


@pytest.mark.parametrize(
    ("page", "address", "rows"),
    [
        ("/services/standard", "/services/standard/rates/import", RATES),
        (
            "/routing-costs",
            "/routing-costs/tax",
            [["from", "to", "ncm", "percent", "per_unit"], ["SP", "RJ", "", 4, 0]],
        ),
        ("/routing-costs", "/routing-costs/markdowns", [["sku", "location", "credit"], ["CUP", "DC", 2]]),
        ("/capacity", "/capacity:import", SLOTS),
    ],
)
async def test_the_sheets_of_a_file_that_are_not_read_are_named_when_it_is_taken(
    seeded: Shop, page: str, address: str, rows: list[list[object]]
) -> None:
    owner = await seeded.session()
    for others, told in ((["Dezembro"], TWO), ([], "")):
        data = {"version": await version_of(seeded, page, address, owner)}
        files = {"file": ("t.xlsx", book(rows, *others))}
        sent = await seeded.http.post(address, data=data, files=files, headers=owner)
        assert sent.status_code == 303, sent.text
        said = unquote(sent.cookies["malha_notice"])
        assert (TWO in said) is bool(told), said
        assert "Vazia" not in said


@pytest.mark.parametrize(
    ("address", "data"),
    [
        ("/purchase-orders:new", {"location": "DC", "supplier": "Fábrica", "kind": "purchase", "eta": "2030-01-02"}),
        ("/transfers:new", {"origin": "DC", "destination": "S1"}),
        ("/counts:new", {"location": "DC", "what": "list"}),
        ("/receive", {"location": "DC"}),
    ],
)
async def test_the_sheets_of_a_list_of_goods_that_are_not_read_are_named(
    seeded: Shop, address: str, data: dict[str, str]
) -> None:
    owner = await seeded.session()
    files = {"file": ("t.xlsx", book([["sku", "quantity"], ["CUP", 2]], "Dezembro"))}
    sent = await seeded.http.post(address, data=data, files=files, headers=owner)
    assert sent.status_code == 303, sent.text
    assert TWO in unquote(sent.cookies["malha_notice"])


async def test_the_sheets_that_are_not_read_are_named_before_a_tariff_is_changed(seeded: Shop) -> None:
    owner = await seeded.session()
    for others, told in ((["Dezembro"], True), ([], False)):
        files = {"file": ("t.xlsx", book(RATES, *others))}
        answer = await seeded.http.post(
            "/services/standard/rates/preview", files=files, headers=owner | {"hx-request": "true"}
        )
        assert answer.status_code == 200
        assert (TWO in answer.text) is told


def odd(rows: list[list[object]]) -> bytes:
    file = BytesIO()
    made = Workbook(file)
    sheet = made.add_worksheet()
    for n, row in enumerate(rows):
        sheet.write_row(n, 0, row)
    sheet.set_row(1, None, None, {"hidden": True})
    sheet.merge_range(0, 20, 1, 20, "")
    made.close()
    return file.getvalue()


HIDDEN = "Hidden rows are read too: 1 (rows 2)."
MERGED = "Of merged cells only the first holds the value; the others are read as empty: U1:U2."


@pytest.mark.parametrize(
    ("page", "address", "rows"),
    [("/services/standard", "/services/standard/rates/import", RATES), ("/capacity", "/capacity:import", SLOTS)],
    ids=["tariff", "slots"],
)
async def test_what_of_a_file_is_read_otherwise_than_seen_is_told_when_it_is_taken(
    seeded: Shop, page: str, address: str, rows: list[list[object]]
) -> None:
    owner = await seeded.session()
    data = {"version": await version_of(seeded, page, address, owner)}
    sent = await seeded.http.post(address, data=data, files={"file": ("t.xlsx", odd(rows))}, headers=owner)
    assert sent.status_code == 303, sent.text
    said = unquote(sent.cookies["malha_notice"])
    assert (HIDDEN in said, MERGED in said) == (True, True), said


async def test_what_of_a_tariff_is_read_otherwise_than_seen_is_told_before_it_is_changed(seeded: Shop) -> None:
    headers = await seeded.session() | {"hx-request": "true"}
    files = {"file": ("t.xlsx", odd(RATES))}
    answer = await seeded.http.post("/services/standard/rates/preview", files=files, headers=headers)
    assert (HIDDEN in answer.text, MERGED in answer.text) == (True, True), answer.text


@pytest.mark.parametrize(
    ("address", "rows", "at"),
    [("/services/standard/rates/import", RATES, 3), ("/capacity:import", SLOTS, 5)],
    ids=["tariff", "slots"],
)
async def test_a_formula_that_nobody_worked_out_is_refused_by_name(
    seeded: Shop, address: str, rows: list[list[object]], at: int
) -> None:
    file, sent = BytesIO(), BytesIO()
    made = Workbook(file)
    sheet = made.add_worksheet()
    for n, row in enumerate(rows):
        sheet.write_row(n, 0, row)
    sheet.write_formula(1, at, "=1+1", None, 987_654)
    made.close()
    with zipfile.ZipFile(file) as read, zipfile.ZipFile(sent, "w", zipfile.ZIP_DEFLATED) as written:
        for name in read.namelist():
            written.writestr(name, read.read(name).replace(b"<v>987654</v>", b""))
    owner = await seeded.session()
    files = {"file": ("t.xlsx", sent.getvalue())}
    answer = await seeded.http.post(address, data={"version": "1"}, files=files, headers=owner)
    assert (answer.status_code, "formula without a result" in answer.text) == (422, True), answer.text


async def test_of_many_sheets_the_first_ones_are_named(seeded: Shop) -> None:
    owner = await seeded.session()
    files = {"file": ("t.xlsx", book(SLOTS, *(f"Semana {n}" for n in range(1, 9))))}
    sent = await seeded.http.post("/capacity:import", files=files, headers=owner)
    said = unquote(sent.cookies["malha_notice"])
    assert "these are not: Semana 1, Semana 2, Semana 3, Semana 4, Semana 5 (+3)." in said
