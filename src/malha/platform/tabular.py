"""Tables in text files, as people send them: usual encodings and delimiters, two languages, Brazilian numbers.

Reading keeps one row in memory at a time; what is wrong is told per row, column and value, never by
giving up.

Writing is the mirror image: what a spreadsheet would run as a formula is defused with an apostrophe, which reading
takes away again, so that a file exported here can be edited and imported back.
"""

import codecs
import csv
import io
import itertools
import re
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO, Self, TextIO

import msgspec

from malha.platform.brazil import normalise_cep, normalise_state
from malha.platform.errors import MalhaError
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_, Word
from malha.platform.text import fold

DELIMITERS = ";,\t|"
MAX_CELL = 100_000
MAX_COLUMNS = 1_000
MAX_RECORD = 1 << 20  # characters: what is longer is no row of a table, and is never held as one
MAX_DIGITS = 40
SNIFF_BYTES = 65_536
_CHUNK = 1 << 20
_ENDLESS = "x" * (MAX_CELL + 1) + "\n"  # a cell that the reader refuses, in the middle of a text too
NO_RESULT = "#FORMULA!"  # what stands for a formula of a workbook that nobody worked out
_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")  # noqa: RUF001 -- full-width signs start formulas too
_NUMBER = re.compile(r"-?[0-9]+(?:[.,][0-9]+)?")
_STRAY = re.compile("[\udc80-\udcff]")  # a byte that is none of UTF-8, as Python keeps it
_GROUPED = re.compile(r"(?:R\$)?\s*-?[1-9][0-9]{0,2},[0-9]{3}")
_NOT_1252 = re.compile(rb"[\x81\x8d\x8f\x90\x9d]")
# Letters of Portuguese as programs of DOS write them (Cp850), inside words, and as Windows does. Each is a sign there,
# or nothing, where it is a letter here; what is a letter in both, or stands beside words too, counts not.
_OF_DOS = re.compile(
    rb"[A-Za-z][\x82\x83\x88\xa1-\xa3\x90\xb5-\xb7](?![0-9])|[A-Za-z][\x80\x87](?=[A-Za-z\x80-\xff])"
    rb"|[A-Za-z]\xc6(?=[a-z])|[BCDFGHJKMPQSTVXZ]\xc7(?=O)"  # `ÃO` after a consonant behind which no `Ç` stands
)
_OF_WINDOWS = re.compile(
    rb"[A-Za-z][\xc0-\xc3\xc9\xca\xcd\xd3\xd4\xda\xe1\xe3\xe7\xea\xed\xf3-\xf5\xfa]|[a-z]\xe9"
    rb"|[\xc1\xc2\xc9\xca\xcd\xd3\xd4\xda\xe1\xea\xed\xf3\xf4\xfa][A-Za-z]"
)
_SHORTENED = re.compile(r"[0-9](?:[.,][0-9]+)?E\+[0-9]{2}")
_BEYOND_ASCII = re.compile("[\x80-\U0010ffff]")
_SAYS_DELIMITER = re.compile(f"sep=([{re.escape(DELIMITERS)}])", re.IGNORECASE)
_EMPTY = DELIMITERS + '" '
_END_OF_FILE = "\x1a"  # as programs of DOS still write it behind the last row


# What a formula leaves in a cell when it fails, in English and Portuguese. It is nobody's name, and no empty cell.
_ERRORS = frozenset(
    {
        "#DIV/0!", "#N/A", "#NAME?", "#NULL!", "#NUM!", "#REF!", "#VALUE!", "#SPILL!", "#CALC!",
        "#N/D", "#NOME?", "#NULO!", "#NÚM!", "#VALOR!", "#DESPEJAR!",
    }
)  # fmt: skip


FAILED = N_("A formula failed in the spreadsheet: the cell holds {value}.")
FAILED_MEND = N_("Correct the formula, or empty the cell.")


class UnreadableTable(MalhaError):
    """The file is no table: nothing in it was looked at."""

    status = 422
    code = "unreadable_table"
    says = "The file is a spreadsheet or another binary file, not a text table."
    mend = "Save it as CSV in UTF-8, with the names of the columns in the first line."


class EmptyTable(UnreadableTable):
    """There is nothing in the file."""

    code = "empty_table"
    says = "The file is empty."
    mend = "Send a table with the names of the columns in the first line."


class BadHeader(UnreadableTable):
    """The first line, where the names of the columns are, cannot be read."""

    code = "bad_header"
    says = "The first line cannot be read: {reason}."
    mend = "Check its quotation marks; it holds the names of the columns."


class TooManyColumns(UnreadableTable):
    """The first line names more columns than any table has."""

    code = "too_many_columns"
    says = "The table has {count} columns, more than {limit}."
    mend = "Keep only the columns that the import knows."


class MissingColumns(MalhaError):
    """Columns without which nothing can be imported are not in the header."""

    status = 422
    code = "missing_columns"
    says = "These columns are missing: {columns}. The file has: {found}."
    mend = "Add them to the first line, or give them one of their known names."


class ColumnTwice(MalhaError):
    """Two columns have one heading, so that nobody could say which is meant."""

    status = 422
    code = "column_twice"
    says = "Two columns are called {name}."
    mend = "Keep the one that is meant, or give the other one another name."


class BadCell(Exception):
    """A cell cannot be what its column holds. Raised by parsers, told as a flaw of the row."""

    def __init__(self, says: str, mend: str, **facts: Any) -> None:
        self.says = says
        self.mend = mend
        self.facts = facts
        super().__init__(says)


class Column(msgspec.Struct, frozen=True):
    """A column that is understood: its name, what else headers call it, and how its cells are read."""

    name: str
    also: tuple[str, ...] = ()
    parse: Callable[[str], Any] = str
    required: bool = False
    blank: bool = False  # its cells may be empty all the same


class Row(msgspec.Struct, frozen=True):
    """One row: where it starts, what it states, what is wrong with it. An empty cell states nothing."""

    line: int
    values: Mapping[str, Any]
    texts: Mapping[str, str]  # cells as they stand in the file, by column name
    flaws: list[Flaw] = []
    cells: Sequence[str] = ()  # all of them, also those of columns that are not understood


class Table:
    """An open table. Iterating yields its rows, once."""

    def __init__(
        self,
        reader: Iterator[list[str]],
        lines: Callable[[], int],
        header: list[str],
        columns: Mapping[int, Column],
        *,
        begin: Callable[[], None],
        families: Mapping[int, tuple[str, str]],
        leading: bool,
        encoding: str,
        delimiter: str,
        release: Callable[[], object],
    ) -> None:
        self.release = release  # leaves the file open when the table is no longer read
        self._reader = reader
        self._lines = lines
        self._begin = begin
        self.header = header
        self.columns = columns
        self.families = families
        self.leading = leading  # whether the header is not the first line
        self.damaged = False  # whether some bytes are none of the encoding
        self.encoding = encoding
        self.delimiter = delimiter

    @property
    def unknown(self) -> list[str]:
        """Return the headers that are not understood; their cells are ignored."""
        return [h for i, h in enumerate(self.header) if h and i not in self.columns and i not in self.families]

    def heading(self, name: str) -> str:
        """Return what the file calls a column."""
        return next((self.header[i] for i, column in self.columns.items() if column.name == name), name)

    def __iter__(self) -> Iterator[Row]:
        """Yield the rows; empty lines are skipped, a line that cannot be read is a row with a flaw."""
        while True:
            line = self._lines() + 1
            self._begin()
            try:
                cells = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                # A quotation mark that is not closed swallows lines: say which, nothing of them was looked at.
                facts = {"line": line, "last": max(line, self._lines())}
                yield Row(line, {}, {}, [Flaw("", _why_no_row(error), N_("Check the quotation marks."), facts)])
                continue
            if any(cell.strip() for cell in cells) and cells != [_END_OF_FILE]:
                yield self._row(line, cells)

    def _row(self, line: int, cells: list[str]) -> Row:
        values: dict[str, Any] = {}
        texts: dict[str, str] = {}
        flaws: list[Flaw] = []
        if len(cells) > len(self.header) and any(c.strip() for c in cells[len(self.header) :]):
            facts = {"cells": len(cells), "columns": len(self.header)}
            mend = N_("Put texts that hold the delimiter in quotation marks.")
            flaws.append(Flaw("", N_("The line has {cells} cells for {columns} columns."), mend, facts))
        for i, column in self.columns.items():
            text = undo(cells[i]).strip() if i < len(cells) else ""
            texts[column.name] = _readable(text)
            flaw = _spoiled(column.name, text)
            if flaw is not None:
                flaws.append(flaw)
            elif text:
                try:
                    values[column.name] = self._parsed(column, text)
                except BadCell as error:
                    flaws.append(Flaw(column.name, error.says, error.mend, {"value": text[:100], **error.facts}))
            elif column.required and not column.blank:
                flaws.append(Flaw(column.name, N_("This field is empty."), N_("Fill it in.")))
        for i, (family, name) in self.families.items():
            text = undo(cells[i]).strip() if i < len(cells) else ""
            if (flaw := _spoiled("", text)) is not None and "\x00" not in text:
                flaws.append(flaw)
            elif text and "\x00" not in text:
                values.setdefault(family, {})[name] = text
        return Row(line, values, texts, flaws, [_readable(cell) for cell in cells[:MAX_COLUMNS]])

    def _parsed(self, column: Column, text: str) -> Any:
        """Return what a cell holds. Where commas part cells they part thousands, too: 1,200 is as doubtful as 1.200."""
        if self.delimiter == "," and _GROUPED.fullmatch(text):
            column.parse(text.replace(",", "."))
        return column.parse(text)

    def skip_to(self, line: int) -> None:
        """Pass over what stands before a line, without looking at it."""
        while self._lines() + 1 < line:
            self._begin()
            try:
                next(self._reader)
            except StopIteration:
                return
            except csv.Error:  # it was told when it was read the first time
                continue


def _why_no_row(error: csv.Error) -> str:
    """Return the sentence for what the reader of CSV says in its own words."""
    match _why_unreadable(error):
        case "open":
            return N_("Lines {line} to {last} cannot be read: a quotation mark is not closed.")
        case "goes on":
            return N_("Lines {line} to {last} cannot be read: something follows a closing quotation mark.")
    return N_("Lines {line} to {last} cannot be read: a cell is too long.")


def _why_no_header(error: csv.Error) -> Word:
    match _why_unreadable(error):
        case "open":
            return Word(N_("a quotation mark is not closed"))
        case "goes on":
            return Word(N_("something follows a closing quotation mark"))
    return Word(N_("a cell is too long"))


def _why_unreadable(error: csv.Error) -> str:
    said = str(error)
    return "open" if "end of data" in said else "goes on" if "expected after" in said else "long"


def _spoiled(at: str, text: str) -> Flaw | None:
    """Return what is wrong with a cell whatever it is to hold."""
    if "\x00" in text:
        return Flaw(at, N_("The cell holds a NUL character."), N_("Type it again."))
    if _STRAY.search(text):
        says, mend = N_("The cell holds characters that cannot be read: {value}."), N_("Save the file as UTF-8 again.")
        return Flaw(at, says, mend, {"value": _readable(text)[:100]})
    if _SHORTENED.fullmatch(text):
        says = N_("A spreadsheet shortened a long number to {value}: its other digits are lost.")
        mend = N_("Format the column as text, and enter the number again.")
        return Flaw(at, says, mend, {"value": text})
    if text == NO_RESULT:
        says = N_("The cell holds a formula without a result.")
        mend = N_("Open the file in a spreadsheet program and save it, or write the value itself.")
        return Flaw(at, says, mend, {"value": text})
    return Flaw(at, FAILED, FAILED_MEND, {"value": text}) if text in _ERRORS else None


def _marked(error: UnicodeError) -> tuple[str, int]:
    """Mark where a table of UTF-16 or UTF-32 was cut off as a byte that cannot be read, so that its cell is told."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "\udcff", error.end


_MARKED = "malha.marked"
codecs.register_error(_MARKED, _marked)


def _readable(text: str) -> str:
    """Return a text with a mark for each byte that is none of its encoding."""
    return _STRAY.sub("\ufffd", text)


def open_table(
    file: BinaryIO,
    columns: Sequence[Column],
    families: Mapping[str, Sequence[str]] | None = None,
    mapping: Mapping[str, str] | None = None,
) -> Table:
    """Open a table: find its encoding and delimiter, and which of `columns` it has.

    `families` are columns named by a prefix, like {"options": ["option", "opção"]} for "option:Color"; their cells
    come as a mapping under the family's name. The file must be seekable; it is read once ahead to find its encoding.
    `mapping` says by heading which column a person chose, or "" for none; other headings are guessed.

    Raises:
        UnreadableTable: it is empty or binary, or its first line cannot be read.
        TooManyColumns: it has more columns than any table.
        MissingColumns: a required column is not there.
        ColumnTwice: two columns that are understood have one heading.
    """
    encoding, damaged = _encoding_of(file)
    file.seek(0)
    errors = "surrogateescape" if damaged else _MARKED
    text = io.TextIOWrapper(file, encoding=encoding, errors=errors, newline="")
    try:
        table = _opened(text, columns, families or {}, mapping or {})
    except BaseException:
        text.detach()  # the file is its owner's to close
        raise
    table.damaged = damaged
    return table


def _opened(
    text: io.TextIOWrapper,
    columns: Sequence[Column],
    families: Mapping[str, Sequence[str]],
    chosen: Mapping[str, str],
) -> Table:
    sample = text.read(SNIFF_BYTES)
    if not sample.strip():
        raise EmptyTable
    delimiter = _delimiter_of(sample)
    text.seek(0)
    csv.field_size_limit(MAX_CELL)
    lines = _Lines(text)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    header, leading = _header(reader)
    known = {_key(n): (column, rank) for column in columns for rank, n in enumerate((column.name, *column.also))}
    prefixes = {_key(prefix): family for family, names in families.items() for prefix in (family, *names)}
    best: dict[str, tuple[int, int, Column]] = {}
    grouped: dict[int, tuple[str, str]] = {}
    by_name = {column.name: column for column in columns}
    for i, name in enumerate(header):
        if name in chosen:
            if column_chosen := by_name.get(chosen[name]):
                best[column_chosen.name] = _meant(best.get(column_chosen.name), (-1, i, column_chosen), name)
            elif chosen[name] and ":" in name and (family := prefixes.get(_key(name.split(":", 1)[0]))):
                grouped[i] = family, name.split(":", 1)[1].strip()
        elif found := known.get(_key(name)):
            column, rank = found
            best[column.name] = _meant(best.get(column.name), (rank, i, column), name)
        elif ":" in name and (family := prefixes.get(_key(name.split(":", 1)[0]))):
            grouped[i] = family, name.split(":", 1)[1].strip()
    mapped = {i: column for _, i, column in sorted(best.values(), key=lambda b: b[1])}
    missing = [c.name for c in columns if c.required and c not in mapped.values()]
    if missing:
        names = ", ".join(h[:80] for h in header[:40] if h) or "-"
        raise MissingColumns(columns=", ".join(missing), found=names)
    return Table(
        reader,
        lambda: reader.line_num,
        header,
        mapped,
        begin=lines.begin,
        families=grouped,
        leading=leading,
        encoding=text.encoding,
        delimiter=delimiter,
        release=text.detach,
    )


class _Lines:
    """The lines of a text. What goes on for longer than any record is dropped, and spoils that record alone."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._taken = 0

    def begin(self) -> None:
        """Note that a record begins."""
        self._taken = 0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        line = self._text.readline(MAX_RECORD)
        if not line:
            raise StopIteration
        self._taken += len(line)
        if self._taken < MAX_RECORD:
            return line
        while line and not line.endswith(("\n", "\r")):
            line = self._text.readline(MAX_RECORD)
        return _ENDLESS


def _meant(there: tuple[int, int, Column] | None, found: tuple[int, int, Column], name: str) -> tuple[int, int, Column]:
    """Return which of two headers for one column is meant ("UF" and "Estado"): the one that stands first in our list.

    Raises:
        ColumnTwice: both have the same name.
    """
    if there is None:
        return found
    if there[0] == found[0]:
        raise ColumnTwice(name=name[:80])
    return min(there, found, key=lambda one: one[0])


def _header(reader: Iterator[list[str]]) -> tuple[list[str], bool]:
    """Return the first line with a text in it, but one that only says the delimiter, and whether any is before it."""
    for at in itertools.count():
        try:
            header = [_readable(undo(cell).strip()) for cell in next(reader)]
        except StopIteration:
            raise EmptyTable from None
        except csv.Error as error:
            raise BadHeader(reason=_why_no_header(error)) from None
        if len(header) > MAX_COLUMNS:
            raise TooManyColumns(count=len(header), limit=MAX_COLUMNS)
        if any(header) and not (at == 0 and header[0].lower() == "sep=" and not any(header[1:])):
            return header, at > 0
    raise EmptyTable


def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "", fold(name))


def _encoding_of(file: BinaryIO) -> tuple[str, bool]:
    """Return the encoding, and whether some bytes are none of it.

    By its mark; UTF-8 if all of it is, or if most letters beyond ASCII are: of a file that was cut off, or put together
    of two, the cells that are spoiled are told. Else Windows-1252, which old spreadsheets write, unless more letters
    inside words are what programs of DOS write there (Cp850): `Calça` would be `Cal‡a`.
    """
    file.seek(0)
    start = file.read(4)
    if start in {codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE}:  # before UTF-16: its mark begins with that one's
        return "utf-32", False
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16", False
    file.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")()
    nul = False
    try:
        while chunk := file.read(_CHUNK):
            nul = nul or chunk.count(b"\0") > len(chunk) // 20
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        if nul or start.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
            raise UnreadableTable from None
        if start.startswith(codecs.BOM_UTF8) or _mostly_utf8(file):
            return "utf-8-sig", True
        if _is_of_dos(file):
            return "cp850", False  # in which each byte is a character
        return "cp1252", _holds_none_of_1252(file)
    if nul:
        raise UnreadableTable
    return "utf-8-sig", False


def _is_of_dos(file: BinaryIO) -> bool:
    """Tell whether more letters beyond ASCII are where Cp850 has those of Portuguese than where Windows-1252 does."""
    file.seek(0)
    balance = 0
    for chunk in iter(lambda: file.read(_CHUNK), b""):
        balance += len(_OF_DOS.findall(chunk)) - len(_OF_WINDOWS.findall(chunk))
    return balance > 0


def _holds_none_of_1252(file: BinaryIO) -> bool:
    """Tell whether there are bytes that are no character of Windows-1252: the file is in yet another encoding."""
    file.seek(0)
    return any(_NOT_1252.search(chunk) for chunk in iter(lambda: file.read(_CHUNK), b""))


def _mostly_utf8(file: BinaryIO) -> bool:
    """Tell whether more letters beyond ASCII are UTF-8 than bytes are not."""
    file.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    balance, chunk = 0, b"-"
    while chunk:
        chunk = file.read(_CHUNK)
        text = decoder.decode(chunk, final=not chunk)
        strays = len(_STRAY.findall(text))
        balance += len(_BEYOND_ASCII.findall(text)) - 2 * strays
    return balance > 0


def _delimiter_of(sample: str) -> str:
    """Return the delimiter that splits the first line most, quoted parts left out; a semicolon wins a tie.

    Lines without a text are passed over. Excel takes the delimiter from a first line like `sep=;`.
    """
    for at, line in enumerate(sample.splitlines()):
        if at == 0 and (said := _SAYS_DELIMITER.fullmatch(line.strip(" "))):
            return said[1]
        if line.strip(_EMPTY):
            first = re.sub(r'"[^"]*"', "", line)
            return max(DELIMITERS, key=lambda d: (first.count(d), -DELIMITERS.index(d)))
    return DELIMITERS[0]


# --- cells ---


def parse_decimal(text: str) -> tuple[int, int]:
    """Read a number as (digits, decimals): "1.234,50" is (123450, 2).

    With both separators the last is the decimal one; a comma alone is decimal; points in groups of three that repeat
    are thousands. One point before exactly three digits may be either, and is refused rather than guessed.

    Raises:
        BadCell: it is no number, or an ambiguous one.
    """
    bare = text.replace("R$", "").replace("\u00a0", "").replace(" ", "").strip()
    if len(bare) > MAX_DIGITS:
        raise BadCell(N_("{value} is no number."), N_("Write it like 1.234,50 or 1234.50."))
    points, commas = bare.count("."), bare.count(",")
    if points and commas:
        decimal = max(bare.rfind("."), bare.rfind(","))
        whole = bare[:decimal].replace(".", "").replace(",", "")
        if not re.fullmatch(r"-?[0-9]{1,3}(?:[.,][0-9]{3})*", bare[:decimal]):
            raise BadCell(N_("{value} is no number."), N_("Write it like 1.234,50 or 1234.50."))
        bare = f"{whole}.{bare[decimal + 1 :]}"
    elif commas == 1:
        bare = bare.replace(",", ".")
    elif points == 1 and re.fullmatch(r"-?[1-9][0-9]{0,2}\.[0-9]{3}", bare):
        raise BadCell(
            N_("{value} may mean thousands or decimals."), N_("Write it without thousands, or with a decimal comma.")
        )
    elif (points > 1 or commas > 1) and re.fullmatch(r"-?[0-9]{1,3}(?:([.,])[0-9]{3})(?:\1[0-9]{3})+", bare):
        bare = bare.replace(".", "").replace(",", "")
    if not _NUMBER.fullmatch(bare):
        raise BadCell(N_("{value} is no number."), N_("Write it like 1.234,50 or 1234.50."))
    whole, _, decimals = bare.partition(".")
    return int(whole + decimals), len(decimals)


def scaled(text: str, digits: int) -> int:
    """Read a number as an integer of its `digits`-th decimal: "12,9" with 2 is 1290.

    Raises:
        BadCell: it is no number, or has more decimals than that (zeros at the end do not count).
    """
    number, decimals = parse_decimal(text)
    while decimals > digits and number % 10 == 0:
        number //= 10
        decimals -= 1
    if decimals > digits == 0:
        raise BadCell(N_("{value} is no whole number."), N_("Write it without decimals."))
    if decimals > digits:
        raise BadCell(N_("{value} has more than {digits} decimals."), N_("Round it."), digits=digits)
    result: int = number * 10 ** (digits - decimals)
    if abs(result) > 2_147_483_647:
        raise BadCell(N_("{value} is too large."), N_("Check it."))
    return result


def centavos(text: str) -> int:
    """Read an amount of money in reais as centavos; it may not be negative."""
    amount = scaled(text, 2)
    if amount < 0:
        raise BadCell(N_("{value} is negative."), N_("Use a positive number."))
    return amount


def whole(text: str) -> int:
    """Read a whole number."""
    return scaled(text, 0)


_YES = frozenset({"sim", "s", "yes", "y", "true", "verdadeiro", "1", "x", "ativo", "ativa", "active"})
_NO = frozenset(
    {"nao", "n", "no", "false", "falso", "0", "inativo", "inativa", "inactive", "draft", "rascunho", "archived"}
)


def yes_no(text: str) -> bool:
    """Read sim/não, yes/no, 1/0, ativo/inativo."""
    word = fold(text)
    if word in _YES:
        return True
    if word in _NO:
        return False
    raise BadCell(N_("{value} is neither yes nor no."), N_("Write sim or não."))


def one_of(known: Mapping[str, Any], text: str) -> Any:
    """Read one of some values by what people call them, in small letters without accents; spaces may be underscores.

    Raises:
        BadCell: it is none of them.
    """
    found = known.get(fold(text)) or known.get(fold(text).replace(" ", "_"))
    if found is None:
        shown = ", ".join(dict.fromkeys(str(v) for v in known.values()))
        raise BadCell(N_("{value} is not one of the possible values."), N_("Use one of {known}."), known=shown)
    return found


def parse_state(text: str) -> str:
    """Read a Brazilian state by its two letters or its name."""
    state = normalise_state(text)
    if state is None:
        raise BadCell(N_("{value} is no Brazilian state."), N_("Use the two letters of the state, like SP."))
    return state


def parse_cep(text: str) -> str:
    """Read a CEP, also one whose leading zero a spreadsheet took away."""
    found = normalise_cep(text, restore_zeros=True)
    if found is None:
        raise BadCell(N_("{value} is no CEP."), N_("A CEP has eight digits."))
    return found


# --- writing ---


def defuse(text: str) -> str:
    """Return the text as a spreadsheet shows it instead of running it; plain negative numbers stay numbers."""
    if _FORMULA.match(text) and not _NUMBER.fullmatch(text):
        return "'" + text
    return text


def undo(text: str) -> str:
    """Return the text that was defused; any other as it is."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def write_table(header: Sequence[str], rows: Iterable[Sequence[object]], *, delimiter: str = ";") -> Iterator[bytes]:
    """Yield a table as UTF-8 with its mark, which spreadsheets need to show accents, about 64 kB at a time."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator="\r\n")
    buffer.write("\ufeff")
    writer.writerow([defuse(name) for name in header])
    for row in rows:
        writer.writerow(["" if cell is None else defuse(str(cell)) for cell in row])
        if buffer.tell() > 65_536:
            yield buffer.getvalue().encode()
            buffer.seek(0)
            buffer.truncate()
    yield buffer.getvalue().encode()


async def as_csv(pages: AsyncIterator[Sequence[Sequence[object]]]) -> AsyncIterator[bytes]:
    """Yield a table whose first row of the first page is its header, a page at a time, as `write_table` does."""
    begun = False
    async for rows in pages:
        if rows:
            head, rest = ((), rows) if begun else ([str(cell) for cell in rows[0]], rows[1:])
            text = b"".join(write_table(head, rest))
            # The mark and the header are the first two things written: only the first piece carries them.
            yield text.removeprefix("\ufeff\r\n".encode()) if begun else text
            begun = True


def decimal_text(value: int | None, digits: int) -> str:
    """Return an integer of its `digits`-th decimal as Brazil writes it, without thousands: 1290 with 2 is "12,90"."""
    if value is None:
        return ""
    if digits == 0:
        return str(value)
    sign = "-" if value < 0 else ""
    whole_part, rest = divmod(abs(value), 10**digits)
    return f"{sign}{whole_part},{rest:0{digits}}"
