"""Workbooks as people keep them: the sheet that they see, with what its cells show."""

import asyncio
from collections.abc import Callable
from datetime import datetime, time
from io import BytesIO
from typing import Any

import pytest
from xlsxwriter import Workbook

from malha.console import uploads
from malha.platform import workbook
from malha.routing.cost_files import read_tax


def book(fill: Callable[[Workbook], None], **options: Any) -> BytesIO:
    file = BytesIO()
    made = Workbook(file, options)
    fill(made)
    made.close()
    file.seek(0)
    return file


def cell(value: Any, shown_as: str | int, **options: Any) -> str:
    """Return what is read of a cell with a number format."""

    def fill(made: Workbook) -> None:
        made.add_worksheet().write(0, 0, value, made.add_format({"num_format": shown_as}))

    ((text,),) = workbook.rows(book(fill, **options))
    return text


def test_the_first_sheet_that_is_shown_is_read() -> None:
    def fill(made: Workbook) -> None:
        chart = made.add_chart({"type": "column"})
        chart.add_series({"values": "=Dados!$B$1:$B$2"})
        made.add_chartsheet("Gráfico").set_chart(chart)
        made.add_worksheet("Ajuda").write_row(0, 0, ["how to fill it in"])
        made.add_worksheet("Listas").write_row(0, 0, ["sim", "não"])
        data = made.add_worksheet("Dados")
        data.write_row(0, 0, ["sku", "price"])
        data.activate()
        for hidden in ("Ajuda", "Listas"):
            made.get_worksheet_by_name(hidden).hide()
        made.get_worksheet_by_name("Listas").very_hidden()

    assert list(workbook.rows(book(fill))) == [["sku", "price"]]


def test_filled_sheets_that_are_not_read_are_named() -> None:
    def fill(made: Workbook) -> None:
        chart = made.add_chart({"type": "column"})
        chart.add_series({"values": "=Preços!$B$1:$B$2"})
        made.add_worksheet("Preços").write_row(0, 0, ["sku", "price"])
        made.add_worksheet("Plan2")  # as old versions of Excel make them
        made.add_worksheet("Outlet & fim").write_row(40, 3, ["sku"])
        made.add_worksheet("Números").write(9, 9, 7)
        made.add_worksheet("Ajuda").write_row(0, 0, ["how to fill it in"])
        made.get_worksheet_by_name("Ajuda").hide()
        made.add_chartsheet("Gráfico").set_chart(chart)

    for constant_memory in (False, True):  # texts of their own, or shared ones
        file = book(fill, constant_memory=constant_memory)
        assert workbook.passed_over(file) == ["Outlet & fim", "Números"]
        assert file.tell() == 0
    assert workbook.passed_over(book(lambda made: made.add_worksheet().write(0, 0, "sku") and None)) == []
    assert workbook.passed_over(BytesIO(b"sku;price\n")) == []
    assert workbook.passed_over(BytesIO(b"PK\x03\x04 no workbook")) == []


def test_a_code_keeps_the_noughts_that_its_format_shows() -> None:
    assert cell(123, "00000") == "00123"
    assert cell(1234567, "00000") == "1234567"
    assert cell(5, "0") == "5"
    assert cell(12.5, "0.00") == "12,5"


@pytest.mark.parametrize("shown_as", ["hh:mm", "h:mm AM/PM", 20, 18])
def test_a_time_of_day_is_read_as_its_cell_shows_it(shown_as: str | int) -> None:
    assert cell(time(14, 0), shown_as) == "14:00"
    assert cell(time(8, 5, 30), shown_as) == "08:05:30"


def test_a_day_with_a_time_is_read_with_both() -> None:
    assert cell(datetime(2026, 11, 27, 14, 0), "dd/mm/yyyy hh:mm") == "2026-11-27 14:00:00"  # noqa: DTZ001
    assert cell(datetime(2026, 11, 27), "dd/mm/yyyy") == "2026-11-27"  # noqa: DTZ001


def test_days_of_a_book_that_counts_from_1904_are_what_they_show() -> None:
    assert cell(datetime(2026, 11, 27), "dd/mm/yyyy", date_1904=True) == "2026-11-27"  # noqa: DTZ001


def test_a_long_number_in_a_column_of_days_is_that_number_and_refuses_no_other_row() -> None:
    assert cell(7891234567895, "dd/mm/yyyy") == "7891234567895"


@pytest.mark.parametrize(
    ("value", "shown_as", "text"),
    [(0.18, 9, "18%"), (0.125, "0.00%", "12,5%"), (0.07, "0%;-0%", "7%"), (1, "0%", "100%"), (0.18, '0.00"%"', "0,18")],
)
def test_a_share_is_what_its_cell_shows_and_not_a_hundredth_of_it(value: float, shown_as: str | int, text: str) -> None:
    assert cell(value, shown_as) == text


def test_a_tax_that_a_spreadsheet_holds_as_a_share_is_that_many_percent() -> None:
    def fill(made: Workbook) -> None:
        sheet = made.add_worksheet()
        sheet.write_row(0, 0, ["origem", "destino", "alíquota"])
        sheet.write_row(1, 0, ["SP", "BA"])
        sheet.write(1, 2, 0.18, made.add_format({"num_format": "0.00%"}))

    ((cost,), _lines, problems) = read_tax(book(fill).read())
    assert (cost.basis_points, problems) == (1800, [])


def test_a_workbook_that_was_read_is_not_read_again_to_tell_what_is_odd_about_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fill(made: Workbook) -> None:
        sheet = made.add_worksheet()
        for row in range(3):
            sheet.write_row(row, 0, ["sku", row])
        sheet.set_row(1, options={"hidden": True})

    raw = book(fill).getvalue()
    sheets_read = []
    rows = workbook.rows
    monkeypatch.setattr(workbook, "rows", lambda *given: sheets_read.append(1) or rows(*given))
    with workbook.opened(raw, ()):
        pass
    beside = asyncio.run(uploads.unseen(raw))
    assert "1 (" in beside
    assert len(sheets_read) == 1
