"""Spreadsheets (XLSX) as text tables: the first sheet that is shown, row by row, in constant memory.

An XLSX file is a ZIP archive of XML. It is read as a stream; the texts that cells share lie in a temporary file with an
index of eight bytes each. What would make it a bomb is refused: document types and entities, parts that unpack to far
more than they are, endless lists of parts, tags, texts, rows or cells, a text that a million cells repeat. Numbers
come as they stand in the cell, with a decimal comma, so that `1.234` is never taken for a thousand, and with the
noughts that a format like `00000` puts before them. Shares come as `18%`, days as `2026-11-26`, times as `14:00`.
"""

import csv
import hashlib
import io
import lzma
import os
import re
import struct
import tempfile
import threading
import zipfile
import zlib
from array import array
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from enum import Enum
from typing import BinaryIO, NamedTuple, Self
from xml.parsers import expat

import msgspec

from malha.platform.errors import MalhaError
from malha.platform.i18n import N_, translate
from malha.platform.tabular import MAX_CELL, NO_RESULT, Column, Table, UnreadableTable, open_table

MAGIC = b"PK\x03\x04"
MAX_UNPACKED = 4 << 30  # bytes of one part
MAX_RATIO = 400  # a part that unpacks to more than this many times its size was made to hurt
MAX_COLUMNS = 1_000
MAX_GAP = 10_000  # empty rows in a row
MAX_ROW = 1 << 20  # as Excel
MAX_TEXTS = 16 << 20  # shared ones
MAX_DIRECTORY = 4 << 20  # bytes that list the archive's parts
MAX_TAG = 8 << 20  # bytes between two things that the parser tells
MAX_DEPTH = 64
MAX_OUT = 1 << 30  # characters of the sheet as text
MAX_FORMAT = 255
MAX_NAME = 31  # as Excel
MAX_LOOKED = 50  # sheets beside the one that is read, to tell which of them are filled
MOST_NAMED = 8  # places of a kind
HIDDEN = N_("Hidden rows are read too: {n} (rows {rows}).")
MERGED = N_("Of merged cells only the first holds the value; the others are read as empty: {cells}.")
OLD_RESULTS = N_(
    "Results of formulas may be old: {n}, the first in {cell}. "
    "Open the file in a spreadsheet program and save it, so that they are worked out."
)
MOST_REMEMBERED = 64  # workbooks of which is known what was odd
MOST_PIECES = 64  # of a sheet, until there is a cell with something in it
_PIECE = 1 << 14  # small: one text may stand in every cell of a piece
_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 -- days of a sheet have no zone
_EPOCH_1904 = datetime(1904, 1, 1)  # noqa: DTZ001 -- of books that were begun on an old Macintosh
_DAY_FORMATS = frozenset({14, 15, 16, 17, 22, 27, 30, 36, 50, 57})
_TIME_FORMATS = frozenset({18, 19, 20, 21, 45, 46, 47})
_PERCENT_FORMATS = frozenset({9, 10})
_REFERENCE = re.compile(r"([A-Z]{1,3})[0-9]+")
# What the standard library's readers meet in a damaged file.
_DAMAGE = (
    zipfile.BadZipFile,
    zipfile.LargeZipFile,
    expat.ExpatError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    LookupError,
    ArithmeticError,
    ValueError,
    OSError,
    RuntimeError,
)
_QUOTED = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]')


class UnreadableWorkbook(UnreadableTable):
    """The file begins like a spreadsheet and is none, or one that was made to do harm."""

    code = "unreadable_workbook"
    says = "The file is no spreadsheet that can be read."
    mend = "Save it again as an Excel workbook (XLSX) without a password, or as CSV."


def is_workbook(file: BinaryIO) -> bool:
    """Tell whether a file begins like an XLSX file. It is left at its beginning."""
    file.seek(0)
    start = file.read(4)
    file.seek(0)
    return start == MAGIC


class Oddity(msgspec.Struct, frozen=True):
    """Something of a sheet that its reader may not expect: a sentence, and its facts."""

    says: str
    facts: dict[str, str] = {}

    def text(self, language: str) -> str:
        """Return it in a language."""
        return translate(language, self.says, **self.facts)


class Oddities:
    """What of a sheet a person who looks at it does not see as it is read; counted while it is read."""

    def __init__(self) -> None:
        self._hidden: list[tuple[int, int]] = []  # from row to row
        self._hidden_rows = 0
        self._merged: list[str] = []
        self._merges = 0
        self._formulas = 0
        self._first = ""
        self.recalculated = False  # whoever opens the book works its formulas out anew: what stands there may be old

    def hide(self, row: int) -> None:
        """Count a row with something in it that is not shown, by a filter or by hand."""
        self._hidden_rows += 1
        if self._hidden and self._hidden[-1][1] == row - 1:
            self._hidden[-1] = (self._hidden[-1][0], row)
        elif len(self._hidden) < MOST_NAMED:
            self._hidden.append((row, row))

    def merge(self, cells: str) -> None:
        """Count cells that are shown as one."""
        self._merges += 1
        if len(self._merged) < MOST_NAMED:
            self._merged.append(cells[:MAX_NAME])

    def formula(self, cell: str) -> None:
        """Count a cell whose value is worked out."""
        self._formulas += 1
        self._first = self._first or cell

    def told(self) -> list[Oddity]:
        """Return what is to be told."""
        found = []
        if self._hidden_rows:
            rows = [str(a) if a == b else f"{a}-{b}" for a, b in self._hidden]  # in order, so all of them or the first
            shown = ", ".join(rows) + ("" if sum(b - a + 1 for a, b in self._hidden) == self._hidden_rows else ", …")
            found.append(Oddity(HIDDEN, {"n": str(self._hidden_rows), "rows": shown}))
        if self._merges:
            shown = ", ".join(self._merged) + (", …" if self._merges > len(self._merged) else "")
            found.append(Oddity(MERGED, {"cells": shown}))
        if self._formulas and self.recalculated:
            found.append(Oddity(OLD_RESULTS, {"n": str(self._formulas), "cell": self._first}))
        return found


_told: dict[bytes, list[Oddity]] = {}  # by the content, the oldest first
_told_lock = threading.Lock()


def as_text(file: BinaryIO, oddities: Oddities | None = None) -> BinaryIO:
    """Return the file itself, or the first sheet of a workbook as CSV in a temporary file that its closing removes.

    `oddities` counts what of the sheet is read otherwise than it is seen.

    Raises:
        UnreadableWorkbook: it begins like a workbook and cannot be read.
    """
    if not is_workbook(file):
        return file
    out = tempfile.TemporaryFile()  # noqa: SIM115 -- the caller closes it
    try:
        text = io.TextIOWrapper(out, encoding="utf-8", newline="")
        writer = csv.writer(text, delimiter=";", lineterminator="\n")
        written = 0
        for cells in rows(file, oddities):
            written += sum(map(len, cells)) + len(cells) + 1
            if written > MAX_OUT:
                raise UnreadableWorkbook
            writer.writerow(cells)
        text.flush()
        text.detach()
    except _DAMAGE:
        out.close()
        raise UnreadableWorkbook from None
    except MalhaError:
        out.close()
        raise
    out.seek(0)
    return out


@contextmanager
def opened(raw: bytes, columns: Sequence[Column]) -> Iterator[Table]:
    """Open the table in a text or in the first sheet of a workbook; its temporary file ends with the block.

    Raises:
        UnreadableTable, EmptyTable, TooManyColumns, MissingColumns: it is no such table.
    """
    seen = Oddities()
    with closing(as_text(io.BytesIO(raw), seen)) as file:
        _remember(raw, seen.told())
        table = open_table(file, columns)
        try:
            yield table
        finally:
            table.release()  # else whoever forgets the table closes the file too, and is warned for it


def rows(file: BinaryIO, oddities: Oddities | None = None) -> Iterator[list[str]]:
    """Yield the rows of the first sheet that is shown; rows not there come as empty ones: line numbers agree."""
    _refuse_endless_directory(file)
    with zipfile.ZipFile(file) as book, _Texts() as texts:
        names = set(book.namelist())
        if "xl/sharedStrings.xml" in names:
            for _ in _parsed(book, "xl/sharedStrings.xml", _SharedTexts(texts)):
                pass
        styles = _styles(book) if "xl/styles.xml" in names else []
        sheets, epoch = _sheets(book, oddities)
        path = sheets[0].path if sheets else "xl/worksheets/sheet1.xml"
        if path not in names:
            raise UnreadableWorkbook
        sheet = _Sheet(texts, styles, epoch, oddities or Oddities())
        told = 0
        for _ in _parsed(book, path, sheet):
            for number, cells in sheet.taken():
                for _ in range(min(number - told - 1, MAX_GAP)):
                    yield []
                told = max(told, number)
                yield cells


def passed_over(file: BinaryIO) -> list[str]:
    """Return the names of sheets that are shown and filled, and not read: tables are read from the first one only.

    Empty for what is no workbook, or none that can be read: reading it tells. The file is left at its beginning.
    """
    if not is_workbook(file):
        return []
    try:
        _refuse_endless_directory(file)
        with zipfile.ZipFile(file) as book:
            sheets, _ = _sheets(book)
            names = set(book.namelist())
            others = [each for each in sheets[1 : MAX_LOOKED + 1] if not each.hidden and each.path in names]
            return [each.name for each in others if _has_cells(book, each.path)]
    except (*_DAMAGE, MalhaError):
        return []
    finally:
        file.seek(0)


def oddities_of(raw: bytes) -> list[Oddity]:
    """Return what of the sheet that is read is read otherwise than it is seen.

    The sheet is read for it, unless `opened` read it a moment ago. Empty for what is no workbook, or none that can be
    read: reading it tells.
    """
    file = io.BytesIO(raw)
    if not is_workbook(file):
        return []
    with _told_lock:
        if (told := _told.get(_fingerprint(raw))) is not None:
            return told
    seen = Oddities()
    try:
        for _ in rows(file, seen):
            pass
    except (*_DAMAGE, MalhaError):
        return []
    return seen.told()


def _remember(raw: bytes, told: list[Oddity]) -> None:
    """Keep what was seen while a sheet was read, for who tells of it when its rows are written."""
    key = _fingerprint(raw)
    with _told_lock:
        _told[key] = told
        while len(_told) > MOST_REMEMBERED:
            del _told[next(iter(_told))]


def _fingerprint(raw: bytes) -> bytes:
    return hashlib.blake2b(raw, digest_size=16).digest()


def _refuse_endless_directory(file: BinaryIO) -> None:
    """Refuse an archive whose list of parts is larger than any workbook's, before it is read into memory."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - (1 << 16) - 22))
    tail = file.read()
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) < end + 22 or int.from_bytes(tail[end + 12 : end + 16], "little") > MAX_DIRECTORY:
        raise UnreadableWorkbook
    file.seek(0)


class _Listed(NamedTuple):
    name: str
    path: str
    hidden: bool


def _sheets(book: zipfile.ZipFile, oddities: Oddities | None = None) -> tuple[list[_Listed], datetime]:
    """Return the sheets of cells, those that are shown first, and the day from which the book counts."""
    links: dict[str, str] = {}
    charts: set[str] = set()
    sheets: list[tuple[bool, str, str]] = []
    epoch = _EPOCH

    def link(name: str, attributes: dict[str, str]) -> None:
        if name == "Relationship":
            links[attributes.get("Id", "")] = attributes.get("Target", "")
            if attributes.get("Type", "").rpartition("/")[2] not in {"", "worksheet"}:
                charts.add(attributes.get("Id", ""))

    def sheet(name: str, attributes: dict[str, str]) -> None:
        nonlocal epoch
        if name == "sheet":
            own = next((value for key, value in attributes.items() if key.endswith(":id") or key == "id"), "")
            hidden = attributes.get("state", "visible") != "visible"
            sheets.append((hidden, own, attributes.get("name", "")[:MAX_NAME]))
        elif name == "workbookPr" and attributes.get("date1904") in {"1", "true"}:
            epoch = _EPOCH_1904
        elif name == "calcPr" and oddities is not None:
            oddities.recalculated = attributes.get("fullCalcOnLoad") in {"1", "true"}

    _small(book, "xl/workbook.xml", sheet)
    _small(book, "xl/_rels/workbook.xml.rels", link)
    found = []
    for hidden, own, name in sorted(sheets, key=lambda each: each[0]):
        if own not in charts:
            target = links.get(own, "worksheets/sheet1.xml")
            found.append(_Listed(name, target.lstrip("/") if target.startswith("/") else f"xl/{target}", hidden))
    return found, epoch


class _Shows(Enum):
    """What a style makes of a number."""

    NUMBER = "number"
    PERCENT = "percent"
    DAY = "day"
    TIME = "time"


class _Style(NamedTuple):
    shows: _Shows = _Shows.NUMBER
    digits: int = 0  # so many at least, noughts before it


def _styles(book: zipfile.ZipFile) -> list[_Style]:
    """Return what the styles of cells make of numbers, by their place."""
    own: dict[int, str] = {}
    styles: list[int] = []
    inside = False

    def start(name: str, attributes: dict[str, str]) -> None:
        nonlocal inside
        if name == "numFmt":
            own[int(attributes.get("numFmtId", "0"))] = attributes.get("formatCode", "")[:MAX_FORMAT]
        elif name in {"cellXfs", "cellStyleXfs"}:
            inside = name == "cellXfs"
        elif name == "xf" and inside:
            styles.append(int(attributes.get("numFmtId", "0")))

    _small(book, "xl/styles.xml", start)
    shown = {number: _style(number, own.get(number, "")) for number in set(styles)}
    return [shown[number] for number in styles]


def _style(number: int, code: str) -> _Style:
    bare = _QUOTED.sub("", code).lower()
    if number in _DAY_FORMATS or any(c in bare for c in "yd"):
        return _Style(_Shows.DAY)
    if number in _TIME_FORMATS or any(c in bare for c in "hs"):
        return _Style(_Shows.TIME)
    if "m" in bare:  # a month alone
        return _Style(_Shows.DAY)
    if number in _PERCENT_FORMATS or "%" in bare:
        return _Style(_Shows.PERCENT)
    return _Style(digits=len(code) if code and not code.strip("0") else 0)


class _Part:
    """What listens to one part of the book."""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """An element begins."""

    def end(self, name: str) -> None:
        """An element ends."""

    def text(self, data: str) -> None:
        """Characters between."""


class _Starts(_Part):
    def __init__(self, tell: object) -> None:
        self.start = tell  # type: ignore[assignment,method-assign]


class _Filled(_Part):
    """Whether a sheet has a cell with anything in it."""

    def __init__(self) -> None:
        self.so = False

    def start(self, name: str, attributes: dict[str, str]) -> None:  # noqa: ARG002
        self.so = self.so or name in {"v", "is"}


def _has_cells(book: zipfile.ZipFile, path: str) -> bool:
    filled = _Filled()
    for n, _ in enumerate(_parsed(book, path, filled)):
        if filled.so or n == MOST_PIECES:
            break
    return filled.so


def _small(book: zipfile.ZipFile, name: str, tell: object) -> None:
    for _ in _parsed(book, name, _Starts(tell)):
        pass


def _parsed(book: zipfile.ZipFile, name: str, part: _Part) -> Iterator[None]:
    """Feed a part to its listener, piece by piece; names come without their namespace."""
    entry = book.getinfo(name)
    if entry.file_size > MAX_UNPACKED or entry.file_size > MAX_RATIO * max(entry.compress_size, 1) + (1 << 20):
        raise UnreadableWorkbook
    parser = expat.ParserCreate()
    parser.buffer_text = True

    def refuse(*_: object) -> None:
        raise UnreadableWorkbook

    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    depth = 0

    def start(tag: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MAX_DEPTH:
            raise UnreadableWorkbook
        part.start(tag.rpartition(":")[2], attributes)

    def end(tag: str) -> None:
        nonlocal depth
        depth -= 1
        part.end(tag.rpartition(":")[2])

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = part.text
    with book.open(entry) as source:
        fed = 0
        while piece := source.read(_PIECE):
            fed += len(piece)
            parser.Parse(piece, False)
            if fed - parser.CurrentByteIndex > MAX_TAG:  # a tag without end would be kept until it has one
                raise UnreadableWorkbook
            yield
    parser.Parse(b"", True)
    yield


class _Texts:
    """Texts on disk by their number."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 -- closed by __exit__
        self._ends = array("Q", [0])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, text: str) -> None:
        """Keep one more."""
        if len(self._ends) > MAX_TEXTS:
            raise UnreadableWorkbook
        data = text.encode()
        self._file.write(data)
        self._ends.append(self._ends[-1] + len(data))

    def __getitem__(self, number: int) -> str:
        if number < 0:
            raise UnreadableWorkbook
        begin, end = self._ends[number], self._ends[number + 1]
        self._file.seek(begin)
        return self._file.read(end - begin).decode()


class _Text:
    """A text that comes in parts; what is beyond a cell's length is let go."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._length = 0

    def add(self, part: str) -> None:
        """Take one more."""
        if self._length < MAX_CELL:
            self._parts.append(part)
            self._length += len(part)

    def __str__(self) -> str:
        return "".join(self._parts)[:MAX_CELL]


class _SharedTexts(_Part):
    def __init__(self, texts: _Texts) -> None:
        self._texts = texts
        self._text = _Text()
        self._inside = False
        self._aside = 0  # readings of Chinese characters are not part of the text

    def start(self, name: str, _attributes: dict[str, str]) -> None:
        if name == "si":
            self._text = _Text()
        elif name == "rPh":
            self._aside += 1
        self._inside = name == "t" and not self._aside

    def end(self, name: str) -> None:
        self._inside = False
        if name == "rPh":
            self._aside -= 1
        elif name == "si":
            self._texts.add(str(self._text))

    def text(self, data: str) -> None:
        if self._inside:
            self._text.add(data)


class _Sheet(_Part):
    def __init__(self, texts: _Texts, styles: Sequence[_Style], epoch: datetime, oddities: Oddities) -> None:
        self._oddities = oddities
        self._hidden = False
        self._reference = ""
        self._formula = False
        self._texts = texts
        self._styles = styles
        self._epoch = epoch
        self._rows: list[tuple[int, list[str]]] = []
        self._number = 0
        self._cells: list[str] = []
        self._at = 0
        self._kind = ""
        self._style = _Style()
        self._text: _Text | None = None

    def taken(self) -> list[tuple[int, list[str]]]:
        """Return the rows that are whole, and forget them."""
        whole, self._rows = self._rows, []
        return whole

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "row":
            self._number = int(attributes.get("r", self._number + 1))
            if not 0 < self._number <= MAX_ROW:
                raise UnreadableWorkbook
            self._cells = []
            self._hidden = attributes.get("hidden") in {"1", "true"}
        elif name == "mergeCell":
            self._oddities.merge(attributes.get("ref", ""))
        elif name == "f":
            self._formula = True
            self._oddities.formula(self._reference)
        elif name == "c":
            self._reference, self._formula = attributes.get("r", "")[:MAX_NAME], False
            found = _REFERENCE.match(attributes.get("r", ""))
            self._at = _column(found[1]) if found else len(self._cells)
            if self._at >= MAX_COLUMNS:
                raise UnreadableWorkbook
            self._kind = attributes.get("t", "n")
            style = int(attributes.get("s", "0"))
            self._style = self._styles[style] if 0 <= style < len(self._styles) else _Style()
            self._text = None
        elif name in {"v", "t"} and self._text is None:
            self._text = _Text()

    def end(self, name: str) -> None:
        if name == "row":
            self._rows.append((self._number, self._cells))
            if self._hidden and any(self._cells):
                self._oddities.hide(self._number)
        elif name == "c" and (self._text is not None or self._formula):
            self._cells += [""] * (self._at + 1 - len(self._cells))
            text = "" if self._text is None else str(self._text)
            # A formula that gives an empty text says that it is a text; one without a result was never worked out.
            open_ = self._formula and not text and self._kind != "str"
            self._cells[self._at] = NO_RESULT if open_ else self._shown(text)
            self._text = None

    def text(self, data: str) -> None:
        if self._text is not None:
            self._text.add(data)

    def _shown(self, value: str) -> str:
        match self._kind:
            case "s":
                return self._texts[int(value)]
            case "b":
                return "1" if value == "1" else "0"
            case "n" if value:
                return _shown(float(value), self._style, self._epoch)
        return value  # the name of an error too: whoever reads the table refuses it


def _column(letters: str) -> int:
    at = 0
    for letter in letters:
        at = at * 26 + ord(letter) - 64
    return at - 1


def _shown(value: float, style: _Style, epoch: datetime) -> str:
    """Return a number as its cell shows it. A day that no calendar has is a number: a GTIN in a column of days."""
    if style.shows is _Shows.PERCENT:
        return f"{_number(float(f'{value * 100:.13g}'))}%"
    if style.shows is not _Shows.NUMBER:
        try:
            return _moment(value, epoch, timed=style.shows is _Shows.TIME)
        except OverflowError:
            return _number(value)
    return _number(value).zfill(style.digits)


def _number(value: float) -> str:
    """Return a number as its owner typed it: 0.1 + 0.2 is 0,3."""
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    return f"{value:.15g}".replace(".", ",")


def _moment(value: float, epoch: datetime, *, timed: bool) -> str:
    if not value % 1 and not timed:
        return (epoch + timedelta(days=value)).date().isoformat()
    moment = epoch + timedelta(seconds=round(value * 86_400))
    if timed and 0 <= value < 1:
        return moment.strftime("%H:%M:%S").removesuffix(":00")
    return moment.isoformat(sep=" ", timespec="seconds")
