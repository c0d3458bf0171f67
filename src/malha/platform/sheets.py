"""Lists as files that people open in a spreadsheet: CSV and XLSX from the same rows, in constant memory.

A column says what its cells are, so that a number arrives as a number and a day as a day. Texts never become formulas:
in CSV they carry the apostrophe of `tabular.defuse`, in XLSX they are text cells with the spreadsheet's own mark for
it, which stays when somebody edits the cell.

CSV is sent as it is written. An XLSX file is a ZIP archive whose parts know their size, so it is written to a temporary
file first, in a thread, and sent when it is whole.
"""

import asyncio
import csv
import io
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import closing
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from xlsxwriter import Workbook

from malha.platform import i18n, tabular
from malha.platform.i18n import _

PIECE = 65_536
MOST_TEXT = 32_767  # characters a cell of a spreadsheet holds
MOST_ROWS = 1_048_575  # below the headings

Row = Sequence[Any]


class Format(StrEnum):
    """A kind of file; the value is the ending of its name."""

    CSV = "csv"
    XLSX = "xlsx"

    @property
    def media_type(self) -> str:
        """Return what a browser is told it gets."""
        if self is Format.CSV:
            return "text/csv; charset=utf-8"
        return "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


class Kind(StrEnum):
    """What the cells of a column are."""

    TEXT = "text"
    WHOLE = "whole"  # int
    MONEY = "money"  # int, minor units
    DAY = "day"  # date
    MOMENT = "moment"  # datetime with a zone, shown in the reader's


class Column(NamedTuple):
    """A column: its heading as a message id, what its cells are, and how wide it opens, in characters."""

    name: str
    kind: Kind = Kind.TEXT
    width: int = 16
    fixed: bool = False  # the heading is the name of a column that an import reads, the same in every language

    @property
    def heading(self) -> str:
        """Return the heading in the reader's language."""
        return self.name if self.fixed else _(self.name)


class Reader(NamedTuple):
    """Whose words and clock a file is written in: bodies are made after the request's own context has ended."""

    language: str
    zone: str

    @classmethod
    def now(cls) -> "Reader":
        """Return the reader of the request at hand."""
        return cls(i18n.current_language(), i18n.current_zone())


def written(
    format_: Format, columns: Sequence[Column], pages: AsyncIterator[Sequence[Row]], reader: Reader
) -> AsyncGenerator[bytes, None]:
    """Return the bytes of a file with these columns and rows, piece by piece; a cell that is None stays empty."""
    return (_csv if format_ is Format.CSV else _xlsx)(columns, pages, reader)


# --- CSV ---


async def _csv(
    columns: Sequence[Column], pages: AsyncIterator[Sequence[Row]], reader: Reader
) -> AsyncGenerator[bytes, None]:
    zone = ZoneInfo(reader.zone)
    with i18n.speaking(reader.language, reader.zone):
        head = csv_line([column.heading for column in columns])
    yield b"\xef\xbb\xbf" + head
    async for rows in pages:
        yield await asyncio.to_thread(_csv_lines, columns, rows, zone)


def _csv_lines(columns: Sequence[Column], rows: Sequence[Row], zone: ZoneInfo) -> bytes:
    return b"".join(csv_line(_texts(columns, row, zone)) for row in rows)


def csv_line(cells: Sequence[str]) -> bytes:
    """Return one line as `tabular.write_table` writes it; cells that a spreadsheet would run are defused."""
    out = io.StringIO()
    csv.writer(out, delimiter=";", lineterminator="\r\n").writerow([tabular.defuse(cell) for cell in cells])
    return out.getvalue().replace("\x00", "").encode()


def _texts(columns: Sequence[Column], row: Row, zone: ZoneInfo) -> list[str]:
    return ["" if cell is None else _text(column.kind, cell, zone) for column, cell in zip(columns, row, strict=True)]


def _text(kind: Kind, cell: Any, zone: ZoneInfo) -> str:
    if kind is Kind.MONEY:
        return tabular.decimal_text(cell, 2)
    if kind is Kind.MOMENT:
        return str(cell.astimezone(zone).isoformat(timespec="seconds"))
    return cell.isoformat() if isinstance(cell, date) else str(cell)


# --- XLSX ---


async def _xlsx(
    columns: Sequence[Column], pages: AsyncIterator[Sequence[Row]], reader: Reader
) -> AsyncGenerator[bytes, None]:
    with tempfile.TemporaryDirectory(prefix="malha-sheet-") as folder:
        path = Path(folder) / "sheet.xlsx"
        with closing(_Sheet(path, columns, reader)) as sheet:
            async for rows in pages:
                await asyncio.to_thread(sheet.write, rows)
            await asyncio.to_thread(sheet.close)
        with path.open("rb") as file:
            while piece := await asyncio.to_thread(file.read, PIECE):
                yield piece


class _Sheet:
    """A workbook of one sheet that grows downwards; what is written leaves the memory."""

    def __init__(self, path: Path, columns: Sequence[Column], reader: Reader) -> None:
        self._columns = columns
        self._zone = ZoneInfo(reader.zone)
        self._next = 1
        self._closed = False
        self._book = Workbook(str(path), {"constant_memory": True, "tmpdir": str(path.parent)})
        self._sheet = self._book.add_worksheet()
        self._text = self._book.add_format({"quote_prefix": True})
        # 3, 4, 14 and 22 are the spreadsheet's own formats: each program shows them as its owner's country writes them.
        whole, money, day, moment = (self._book.add_format({"num_format": n}) for n in (3, 4, 14, 22))
        self._formats = {Kind.WHOLE: whole, Kind.MONEY: money, Kind.DAY: day, Kind.MOMENT: moment}
        bold = self._book.add_format({"bold": True, "quote_prefix": True})
        self._sheet.freeze_panes(1, 0)
        with i18n.speaking(reader.language, reader.zone):
            for at, column in enumerate(columns):
                name = column.heading
                self._sheet.set_column(at, at, max(column.width, len(name) + 2))
                self._sheet.write_string(0, at, name, bold)

    def write(self, rows: Sequence[Row]) -> None:
        """Add rows below those that are there, as many as a sheet holds."""
        for row in rows[: MOST_ROWS + 1 - self._next]:
            for at, (column, cell) in enumerate(zip(self._columns, row, strict=True)):
                if cell is not None and cell != "":
                    self._cell(at, column.kind, cell)
            self._next += 1

    def _cell(self, at: int, kind: Kind, cell: Any) -> None:
        row, sheet = self._next, self._sheet
        match kind:
            case Kind.TEXT:
                sheet.write_string(row, at, str(cell)[:MOST_TEXT], self._text)
            case Kind.WHOLE:
                sheet.write_number(row, at, cell, self._formats[kind])
            case Kind.MONEY:
                sheet.write_number(row, at, cell / 100, self._formats[kind])
            case Kind.DAY:
                sheet.write_datetime(row, at, cell, self._formats[kind])
            case Kind.MOMENT:
                told: datetime = cell.astimezone(self._zone)
                sheet.write_datetime(row, at, told.replace(tzinfo=None, microsecond=0), self._formats[kind])

    def close(self) -> None:
        """Write the file; what was left unfinished is closed too, so that its temporary files can go."""
        if not self._closed:
            self._closed = True
            self._book.close()
