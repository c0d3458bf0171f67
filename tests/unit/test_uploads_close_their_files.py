"""A spreadsheet that is read leaves no open file behind, whoever reads it and however that ends."""

import contextlib
import gc
import io
import warnings
from collections.abc import Callable, Sequence

import pytest
from xlsxwriter import Workbook

from malha.console import goods_forms, grids, vendor_offers
from malha.console.grids import Cell
from malha.network import rates_file
from malha.platform import workbook
from malha.platform.errors import MalhaError
from malha.platform.tabular import Column, whole
from malha.routing import cost_files


def a_book(*rows: Sequence[str | int]) -> bytes:
    out = io.BytesIO()
    with Workbook(out, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        for at, row in enumerate(rows):
            sheet.write_row(at, 0, row)
    return out.getvalue()


def left_open(read: Callable[[], object]) -> list[str]:
    """Return what Python says of files that were open when they were forgotten."""
    gc.collect()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        with contextlib.suppress(MalhaError):
            read()
        gc.collect()
    return [str(one.message) for one in told if issubclass(one.category, ResourceWarning)]


OFFERS = ("vendor", "sku", "vendor_sku", "unit_cost", "lead_days", "active")
GRID = (Cell("sku", "SKU", "", str, str), Cell("units", "Units", "", whole, str))
READERS: dict[str, tuple[Callable[[bytes], object], Sequence[str | int], Sequence[str | int]]] = {
    "vendor offers": (vendor_offers._rows_of, OFFERS, ("FAB", "REDE", "R-1", 42, 2, "sim")),
    "lines of goods": (goods_forms._rows_of, ("sku", "quantity"), ("CAM-P", 3)),
    "a grid": (lambda raw: grids.read_file(raw, GRID, 10, "", "sku"), ("sku", "units"), ("CAM-P", 3)),
    "credits": (cost_files.read_markdowns, ("sku", "location", "credit"), ("CAM-P", "SP01", "1,00")),
    "rates": (rates_file.read_rates, ("from", "to", "up_to_kg", "price", "lead_days"), ("SP", "RJ", 1, "9,90", 2)),
}


@pytest.mark.parametrize("who", READERS)
def test_a_good_sheet_is_closed(who: str) -> None:
    read, head, row = READERS[who]
    raw = a_book(head, row)
    assert read(raw)
    assert left_open(lambda: read(raw)) == []


@pytest.mark.parametrize("who", READERS)
def test_a_sheet_that_is_refused_is_closed(who: str) -> None:
    read, head, row = READERS[who]
    assert left_open(lambda: read(a_book(("something", "else"), row))) == []
    assert left_open(lambda: read(a_book(head, ("?",) * len(head)))) == []
    book = a_book(head, row)
    assert left_open(lambda: read(book[: len(book) // 2])) == []


def test_a_sheet_that_somebody_stops_reading_is_closed() -> None:
    raw = a_book(("sku",), *[(f"S-{n}",) for n in range(100)])

    def some() -> str:
        with workbook.opened(raw, (Column("sku", required=True),)) as table:
            return next(iter(table)).values["sku"]

    assert some() == "S-0"
    assert left_open(some) == []
