"""Lists as files that people open in a spreadsheet: CSV and XLSX from the same rows, in constant memory.

A column says what its cells are, so that a number arrives as a number and a day as a day. Texts never become formulas:
in CSV they carry the apostrophe of `tabular.defuse`, in XLSX they are text cells with the spreadsheet's own mark for
it, which stays when somebody edits the cell.

Both are sent as they are written, page by page, so the first bytes leave at once and nothing waits on disk. A sheet
that is full (1,048,575 rows) is followed by another one.
"""

import asyncio
import csv
import io
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from malha.platform import i18n, tabular
from malha.platform.i18n import _
from malha.platform.xlsx import Style, Workbooked, serial_of

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

# 3, 4, 14 and 22 are the spreadsheet's own formats: each program shows them as its owner's country writes them.
_NUMBER_FORMATS = {Kind.TEXT: 0, Kind.WHOLE: 3, Kind.MONEY: 4, Kind.DAY: 14, Kind.MOMENT: 22}


async def _xlsx(
    columns: Sequence[Column], pages: AsyncIterator[Sequence[Row]], reader: Reader
) -> AsyncGenerator[bytes, None]:
    book = await asyncio.to_thread(Workbooked, _styles(columns, reader))
    async for rows in pages:
        if piece := await asyncio.to_thread(book.write, rows):
            yield piece
    yield await asyncio.to_thread(book.close)


def _styles(columns: Sequence[Column], reader: Reader) -> list[Style]:
    zone = ZoneInfo(reader.zone)

    def moment(cell: datetime) -> float:
        return serial_of(cell.astimezone(zone).replace(tzinfo=None, microsecond=0))

    numbers: dict[Kind, Callable[[Any], float]] = {
        Kind.WHOLE: lambda cell: cell,
        Kind.MONEY: lambda cell: cell / 100,
        Kind.DAY: serial_of,
        Kind.MOMENT: moment,
    }
    with i18n.speaking(reader.language, reader.zone):
        return [
            Style(
                column.heading,
                max(column.width, len(column.heading) + 2),
                _NUMBER_FORMATS[column.kind],
                numbers.get(column.kind),
            )
            for column in columns
        ]
