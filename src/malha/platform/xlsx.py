"""Workbooks that leave as they are written: rows become XML, XML goes into a ZIP archive, its bytes go out.

XlsxWriter makes what surrounds the rows (styles, widths, the frozen heading), so that every spreadsheet program gets
what it knows; the rows, which are nearly all of a large file, are written here, three times as quick and without a file
in between. The archive is one that needs no seeking: sizes follow each part. A sheet that is full is followed by
another one with the same heading, and the parts that count the sheets come last.
"""

import io
import re
import zipfile
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

MOST_ROWS = 1_048_575  # of a sheet, below its heading
MOST_BYTES = 1_900_000_000  # of a sheet as XML: an archive without ZIP64 holds parts of 2 GiB
MOST_TEXT = 32_767  # UTF-16 units that a cell holds
LEVEL = 3  # of compression: half the time of the usual 6, a tenth more bytes

_EPOCH, _LEAP = date(1899, 12, 30), date(1900, 3, 1)
_STYLE = re.compile(r'<c r="[A-Z]+([12])" s="(\d+)">')
_ESCAPED = re.compile("(_x[0-9a-fA-F]{4}_)")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]")
_EDGES = re.compile(r"^\s|\s$")
_TO_ESCAPE = re.compile("[&<>\x00-\x08\x0b-\x1f\ufffe\uffff]|_x")

Row = Sequence[Any]


class Style(NamedTuple):
    """How the cells of a column are written and shown: `quoted` text, or numbers in a format of the spreadsheet's own.

    `number` makes the number of a cell; without it cells are text.
    """

    heading: str
    width: float
    number_format: int = 0
    number: Callable[[Any], float] | None = None


def serial_of(day: date) -> float:
    """Return a day, or an instant without a zone, as spreadsheets count days.

    Raises:
        ValueError: it is before March 1900, where spreadsheets do not agree.
    """
    moment = day if isinstance(day, datetime) else datetime(day.year, day.month, day.day)  # noqa: DTZ001 -- a wall clock
    if moment.date() < _LEAP:
        raise ValueError(day)
    delta = moment - datetime(_EPOCH.year, _EPOCH.month, _EPOCH.day)  # noqa: DTZ001 -- a wall clock
    return delta.days + delta.seconds / 86_400


class _Archive(zipfile.ZipFile):
    """An archive that may be left unfinished: who downloads it may go away in the middle, and that is no fault."""

    def __del__(self) -> None:
        """Do not end it, which would fail in the middle of a part and be told in the log as a fault."""


class Workbooked:
    """A workbook being written. `write` and `close` return the bytes that are due; what was returned is forgotten."""

    def __init__(self, styles: Sequence[Style], most_rows: int = MOST_ROWS) -> None:
        from xlsxwriter.utility import xl_col_to_name  # noqa: PLC0415 -- only who exports a workbook loads it

        self._letters = [xl_col_to_name(at) for at in range(len(styles))]
        self._styles = styles
        self._most_rows = most_rows
        self._out = _Out()
        self._zip = _Archive(self._out, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL)
        self._frames = [_Frame.of(_parts(styles, 2)[f"xl/worksheets/sheet{n}.xml"].decode()) for n in (1, 2)]
        self._columns = [
            (f'<c r="{letters}', cell, style.number)
            for letters, cell, style in zip(self._letters, self._frames[0].cells, styles, strict=True)
        ]
        self._sheets = 0
        self._begin_sheet()

    def write(self, rows: Sequence[Row]) -> bytes:
        """Add rows below those that are there; a cell that is None or empty stays empty."""
        lines: list[str] = []
        for row in rows:
            if self._next > self._most_rows + 1 or self._size > MOST_BYTES:
                self._add(lines)
                lines = []
                self._end_sheet()
                self._begin_sheet()
            lines.append(self._line(row))
            self._next += 1
        self._add(lines)
        return self._out.taken()

    def close(self) -> bytes:
        """End the file; return its last bytes."""
        self._end_sheet()
        for name, body in _parts(self._styles, self._sheets).items():
            if not name.startswith("xl/worksheets/"):
                self._zip.writestr(name, body)
        self._zip.close()
        return self._out.taken()

    def _begin_sheet(self) -> None:
        self._sheets += 1
        self._part = self._zip.open(f"xl/worksheets/sheet{self._sheets}.xml", "w")
        frame = self._frames[min(self._sheets, len(self._frames)) - 1]
        heads = "".join(
            f'<c r="{letters}1"{s} t="inlineStr"><is>{_text(style.heading)}</is></c>'
            for letters, style, s in zip(self._letters, self._styles, frame.heads, strict=True)
        )
        self._next, self._size = 2, 0
        self._add([f'{frame.before}<row r="1">{heads}</row>'])

    def _end_sheet(self) -> None:
        self._add([self._frames[0].behind])
        self._part.close()

    def _add(self, lines: list[str]) -> None:
        body = "".join(lines).encode()
        self._size += len(body)
        self._part.write(body)

    def _line(self, row: Row) -> str:
        n = self._next
        cells = []
        for (begin, style, number), cell in zip(self._columns, row, strict=True):
            if cell is None or cell == "":
                continue
            try:
                if number is not None:
                    cells.append(f'{begin}{n}"{style}><v>{number(cell):.16G}</v></c>')
                    continue
            except ValueError:  # a day that spreadsheets do not count: it is told in letters
                pass
            cells.append(f'{begin}{n}"{style} t="inlineStr"><is>{_text(str(cell))}</is></c>')
        return f'<row r="{n}">{"".join(cells)}</row>' if cells else ""


def _text(text: str) -> str:
    if len(text) > MOST_TEXT // 2:
        text = text.encode("utf-16-le", "surrogatepass")[: MOST_TEXT * 2].decode("utf-16-le", "ignore")
    kept = ' xml:space="preserve"' if _EDGES.search(text) else ""
    if _TO_ESCAPE.search(text):
        # As spreadsheets read it: a control character as _xHHHH_, and what looks like one with its underscore escaped.
        text = _CONTROL.sub(lambda match: f"_x{ord(match[0]):04X}_", _ESCAPED.sub(r"_x005F\1", text))
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"<t{kept}>{text}</t>"


class _Frame(NamedTuple):
    """A sheet without its rows: what stands before and behind them, and the styles of headings and cells."""

    before: str
    behind: str
    heads: list[str]
    cells: list[str]

    @classmethod
    def of(cls, xml: str) -> "_Frame":
        """Take a sheet apart that has one row of headings and one of cells."""
        before, _begin, rest = xml.partition("<sheetData>")
        rows, _end, behind = rest.partition("</sheetData>")
        found = [(row, f' s="{style}"') for row, style in _STYLE.findall(rows)]
        return cls(
            re.sub(r"<dimension[^>]*/>", "", before) + "<sheetData>",
            "</sheetData>" + behind,
            [style for row, style in found if row == "1"],
            [style for row, style in found if row == "2"],
        )


def _parts(styles: Sequence[Style], sheets: int) -> dict[str, bytes]:
    """Return the parts of a workbook of so many sheets, each with one row of headings and one of cells (zeros)."""
    from xlsxwriter import Workbook  # noqa: PLC0415 -- only who exports a workbook loads it

    out = io.BytesIO()
    with Workbook(out, {"in_memory": True}) as book:
        head = book.add_format({"bold": True, "quote_prefix": True})
        text = book.add_format({"quote_prefix": True})
        numbers = {n: book.add_format({"num_format": n}) for n in sorted({style.number_format for style in styles})}
        for _ in range(sheets):
            sheet = book.add_worksheet()
            sheet.freeze_panes(1, 0)
            for at, style in enumerate(styles):
                sheet.set_column(at, at, style.width)
                sheet.write_number(0, at, 0, head)
                sheet.write_number(1, at, 0, numbers[style.number_format] if style.number else text)
    with zipfile.ZipFile(out) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


class _Out(io.RawIOBase):
    """Where the archive is written: bytes wait here until they are taken. It cannot seek, and says so."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        """Return that it can be written to."""
        return True

    def write(self, piece: Any) -> int:
        """Keep a piece."""
        self._pieces.append(bytes(piece))
        return len(piece)

    def taken(self) -> bytes:
        """Return what was written since the last time."""
        body = b"".join(self._pieces)
        self._pieces.clear()
        return body
