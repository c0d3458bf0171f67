"""Lists as spreadsheets: numbers are numbers, days are days, and no text ever becomes a formula."""

import tempfile
import zipfile
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from io import BytesIO
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from malha.platform import sheets
from malha.platform.sheets import Column, Format, Kind, Reader

NS = {"s": "http://schemas.openxmlformats.org/spreadsheetml/2006/main"}
COLUMNS = (
    Column("Name"), Column("Units", Kind.WHOLE), Column("Total", Kind.MONEY), Column("Day", Kind.DAY),
    Column("At", Kind.MOMENT),
)  # fmt: skip
AT = datetime(2026, 11, 25, 1, 30, 59, tzinfo=UTC)
ROWS = [
    ['=HYPERLINK("http://evil.example")', 1234567, 112640, date(2026, 11, 24), AT],
    ["https://loja.example", -3, -50, None, None],
    [None, 0, 0, None, None],
]
SAO_PAULO = Reader("pt-BR", "America/Sao_Paulo")


async def pages(rows: list[list[object]]) -> AsyncIterator[list[list[object]]]:
    for row in rows:
        yield [row]


async def file_of(format_: Format, rows: list[list[object]] = ROWS) -> bytes:
    return b"".join([piece async for piece in sheets.written(format_, COLUMNS, pages(rows), SAO_PAULO)])


def cells_of(body: bytes) -> dict[str, tuple[str | None, str, ET.Element]]:
    """Return the cells by address: type, text, element."""
    with zipfile.ZipFile(BytesIO(body)) as book:
        sheet = ET.fromstring(book.read("xl/worksheets/sheet1.xml"))  # noqa: S314 -- ours
    found = {}
    for cell in sheet.iterfind(".//s:c", NS):
        inline, value = cell.find("s:is/s:t", NS), cell.find("s:v", NS)
        text = (inline.text if inline is not None else value.text if value is not None else "") or ""
        found[cell.attrib["r"]] = (cell.get("t"), text, cell)
    return found


def style_of(body: bytes, cell: ET.Element) -> ET.Element:
    with zipfile.ZipFile(BytesIO(body)) as book:
        styles = ET.fromstring(book.read("xl/styles.xml"))  # noqa: S314 -- ours
    return styles.findall("s:cellXfs/s:xf", NS)[int(cell.get("s", "0"))]


async def test_a_workbook_holds_real_numbers_and_real_days_in_the_readers_clock() -> None:
    body = await file_of(Format.XLSX)
    cells = cells_of(body)
    assert cells["B2"][:2] == (None, "1234567")
    assert cells["C2"][:2] == (None, "1126.4")
    assert cells["C3"][:2] == (None, "-0.5")
    assert cells["D2"][:2] == (None, "46350")  # 24 November 2026, in days since 1900
    # 22:30:59 of the day before in São Paulo.
    assert float(cells["E2"][1]) == pytest.approx(46350 + (22 * 3600 + 30 * 60 + 59) / 86400)
    assert [style_of(body, cells[at][2]).get("numFmtId") for at in ("B2", "C2", "D2", "E2")] == ["3", "4", "14", "22"]
    assert not {"D3", "A4"} & cells.keys()


async def test_text_of_a_workbook_is_text_even_when_somebody_edits_it() -> None:
    body = await file_of(Format.XLSX)
    kind, text, cell = cells_of(body)["A2"]
    assert (kind, text) == ("inlineStr", ROWS[0][0])
    assert style_of(body, cell).get("quotePrefix") == "1"
    with zipfile.ZipFile(BytesIO(body)) as book:
        sheet = book.read("xl/worksheets/sheet1.xml")
        assert b"<f>" not in sheet
        assert b"hyperlink" not in sheet
        assert not any("rels" in name and "sheet1" in name for name in book.namelist())


async def test_a_csv_file_defuses_formulas_and_writes_numbers_as_brazil_does() -> None:
    lines = (await file_of(Format.CSV)).decode("utf-8-sig").split("\r\n")
    assert lines[1] == ('"\'=HYPERLINK(""http://evil.example"")";1234567;1126,40;2026-11-24;2026-11-24T22:30:59-03:00')
    assert lines[2] == "https://loja.example;-3;-0,50;;"
    assert lines[3] == ";0;0,00;;"


async def test_headings_speak_the_readers_language() -> None:
    columns = (Column("Order"), Column("Customer"))
    said = [p async for p in sheets.written(Format.CSV, columns, pages([]), SAO_PAULO)]
    assert b"".join(said).decode("utf-8-sig") == "Pedido;Cliente\r\n"
    book = b"".join([p async for p in sheets.written(Format.XLSX, columns, pages([]), SAO_PAULO)])
    assert [text for _kind, text, _cell in cells_of(book).values()] == ["Pedido", "Cliente"]


async def test_a_download_that_ends_early_leaves_no_file_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    body = sheets.written(Format.XLSX, COLUMNS, pages(ROWS * 100), SAO_PAULO)
    assert await anext(body)
    assert list(tmp_path.iterdir())
    await body.aclose()
    assert not list(tmp_path.iterdir())
