"""Lists as spreadsheets: numbers are numbers, days are days, and no text ever becomes a formula."""

import gc
import sys
import zipfile
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from io import BytesIO
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from xlsxwriter import Workbook

from malha.platform import i18n, sheets, xlsx
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


async def test_the_first_bytes_leave_before_the_last_row_is_read() -> None:
    read = []

    async def many() -> AsyncIterator[list[list[object]]]:
        for n in range(50):
            read.append(n)
            yield ROWS * 300

    body = sheets.written(Format.XLSX, COLUMNS, many(), SAO_PAULO)
    first = await anext(body)
    assert first.startswith(b"PK")
    assert len(read) < 10
    await body.aclose()


def styles_of(columns: tuple[Column, ...]) -> list[xlsx.Style]:
    return sheets._styles(columns, SAO_PAULO)


def by_xlsxwriter(rows: list[list[object]]) -> bytes:
    """The same as XlsxWriter writes it, row by row: what every spreadsheet program is known to read."""
    out = BytesIO()
    with Workbook(out, {"constant_memory": True, "in_memory": False}) as book:
        text = book.add_format({"quote_prefix": True})
        whole, money, day, moment = (book.add_format({"num_format": n}) for n in (3, 4, 14, 22))
        head = book.add_format({"bold": True, "quote_prefix": True})
        sheet = book.add_worksheet()
        for at, column in enumerate(COLUMNS):
            sheet.write_string(0, at, column.heading, head)
        for n, (name, units, total, on, at_) in enumerate(rows, start=1):
            if name:
                sheet.write_string(n, 0, name, text)
            if units is not None:
                sheet.write_number(n, 1, units, whole)
            if total is not None:
                sheet.write_number(n, 2, total / 100, money)
            if on is not None:
                sheet.write_datetime(n, 3, on, day)
            if at_ is not None:
                told = at_.astimezone(ZoneInfo(SAO_PAULO.zone)).replace(tzinfo=None, microsecond=0)
                sheet.write_datetime(n, 4, told, moment)
    return out.getvalue()


INSTANTS = st.datetimes(datetime(1901, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(
    st.lists(
        st.tuples(
            st.none()
            | st.text(st.characters(codec="utf-8"), max_size=40)
            | st.sampled_from(["_x0041_", " a\n", "\tb"]),
            st.none() | st.integers(-(10**15), 10**15),
            st.none() | st.integers(-(10**14), 10**14),
            st.none() | st.dates(date(1900, 3, 1), date(9999, 12, 31)),
            st.none() | INSTANTS,
        ).map(list),
        max_size=20,
    )
)
@settings(max_examples=60, deadline=None)
def test_each_cell_is_what_xlsxwriter_would_write(rows: list[list[object]]) -> None:
    book = xlsx.Workbooked(styles_of(COLUMNS))
    ours = cells_of(book.write(rows) + book.close())
    with i18n.speaking(*SAO_PAULO):
        theirs = cells_of(by_xlsxwriter(rows))
    assert {at: found[:2] for at, found in ours.items()} == {at: found[:2] for at, found in theirs.items()}


def test_a_full_sheet_is_followed_by_another_one_with_the_same_heading() -> None:
    heads = [style.heading for style in styles_of(COLUMNS)]
    book = xlsx.Workbooked(styles_of(COLUMNS), most_rows=3)
    body = b"".join([book.write([[f"row {n}", n, None, None, AT]]) for n in range(8)] + [book.close()])
    with zipfile.ZipFile(BytesIO(body)) as archive:
        assert archive.testzip() is None
        names = [n for n in archive.namelist() if n.startswith("xl/worksheets/")]
        assert names == [f"xl/worksheets/sheet{n}.xml" for n in (1, 2, 3)]
        found = []
        for name in names:
            sheet = ET.fromstring(archive.read(name))  # noqa: S314 -- ours
            assert [t.text for t in sheet.findall(".//s:row[1]/s:c/s:is/s:t", NS)] == heads
            found.append([t.text for t in sheet.findall(".//s:c[1]/s:is/s:t", NS)][1:])
            assert len(sheet.findall("s:sheetViews/s:sheetView[@tabSelected]", NS)) == (name == names[0])
        assert found == [["row 0", "row 1", "row 2"], ["row 3", "row 4", "row 5"], ["row 6", "row 7"]]
        workbook = ET.fromstring(archive.read("xl/workbook.xml"))  # noqa: S314 -- ours
        assert len(workbook.findall(".//s:sheet", NS)) == 3
        types = archive.read("[Content_Types].xml").decode()
        assert all(f"/{name}" in types for name in names)


def test_a_sheet_without_rows_and_one_that_is_just_full_are_whole() -> None:
    for count in (0, 3):
        book = xlsx.Workbooked(styles_of(COLUMNS), most_rows=3)
        body = book.write([["a", 1, 1, None, None]] * count) + book.close()
        with zipfile.ZipFile(BytesIO(body)) as archive:
            assert sum(name.startswith("xl/worksheets/") for name in archive.namelist()) == 1
        assert len(cells_of(body)) == 5 + 3 * count


def test_a_long_text_is_cut_where_a_cell_ends_and_an_early_day_is_told_in_letters() -> None:
    book = xlsx.Workbooked(styles_of(COLUMNS))
    rows = [["\N{ROCKET}" * 20_000, 1, 1, date(1899, 12, 31), None]]
    cells = cells_of(book.write(rows) + book.close())
    assert cells["A2"][1] == "\N{ROCKET}" * (32_767 // 2)
    assert cells["D2"][:2] == ("inlineStr", "1899-12-31")


def test_a_download_that_is_given_up_in_the_middle_leaves_no_fault_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    faults: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", faults.append)
    book = xlsx.Workbooked([xlsx.Style("SKU", 12)])
    book.write([["AR-1"]])
    ring: list[object] = [book]
    ring.append(ring)  # as what an exception leaves behind: it goes when the collector comes
    del book, ring
    gc.collect()
    assert faults == []
