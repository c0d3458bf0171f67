"""Tables that partners write and read: their columns, their numbers and times, and what is wrong with a row.

One row is in memory at a time: a file is read piece by piece, from its beginning. What is written cannot be run by a
spreadsheet: a cell that would be a formula begins with an apostrophe, which reading takes away again.
"""

import codecs
import csv
import io
import itertools
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, BinaryIO, Literal
from zoneinfo import ZoneInfo

import msgspec

from malha.channels.contract import Invalid, RowFlaw

Numbers = Literal["comma", "point"]
DELIMITERS = ";,\t|"
MOST_CELL = 10_000
MOST_COLUMNS = 200
MOST_LINE = 1 << 20  # letters
HEAD, PIECE = 4_096, 1 << 16
_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")  # noqa: RUF001 -- full-width signs start formulas too
_STRAY = re.compile("[\udc80-\udcff]")  # a byte that is none of UTF-8, as Python keeps it
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")
# The next three are those of `platform.tabular`: a connector sees only its contract.
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
_DAY_FIRST = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})(?:[ T]+(\d{1,2}):(\d{2})(?::(\d{2}))?)?")
_CURRENCY = re.compile(r"^(R\$|BRL|US\$|\$|€)\s*")
# What begins with a nought is in no thousands: 0.500 is a half, whatever is decimal.
_NUMBER = {
    "comma": re.compile(r"[+-]?(\d+|[1-9]\d{0,2}(\.\d{3})+)(,\d+)?"),
    "point": re.compile(r"[+-]?(\d+|[1-9]\d{0,2}(,\d{3})+)(\.\d+)?"),
}
_YES = frozenset({"", "sim", "s", "yes", "y", "1", "true", "aceito", "aceita", "accepted", "ok"})
_NO = frozenset({"nao", "n", "no", "0", "false", "recusado", "recusada", "refused", "rejected"})

# Columns by kind of file: the name, what else it is called, and whether a row needs it.
Column = tuple[str, tuple[str, ...], bool]
REQUEST: Column = ("request", ("requisicao", "solicitacao", "pedido de separacao", "pick request"), True)
SKU: Column = ("sku", ("codigo", "cod", "item", "produto", "product", "codigo sku"), True)
LOCATION: Column = ("location", ("local", "deposito", "armazem", "filial", "cd", "wh"), True)
QUANTITY: Column = ("quantity", ("quantidade", "qtd", "qtde", "qty", "saldo", "estoque"), True)
REASON: Column = ("reason", ("motivo", "razao"), False)
COLUMNS: Mapping[str, Sequence[Column]] = {
    "acknowledgements": (
        REQUEST,
        ("accepted", ("aceito", "aceita", "aceite", "status"), False),
        REASON,
        ("note", ("observacao", "obs", "mensagem", "message"), False),
    ),
    "shipments": (
        REQUEST,
        SKU,
        (QUANTITY[0], QUANTITY[1], False),
        ("short", ("falta", "faltou", "faltante"), False),
        REASON,
        ("line", ("linha",), False),
        ("parcel", ("volume", "pacote", "caixa", "box"), False),
        ("carrier", ("transportadora",), False),
        ("tracking", ("rastreio", "codigo de rastreio", "rastreamento", "tracking code"), False),
        ("tracking_url", ("link de rastreio",), False),
        ("weight_kg", ("peso kg", "peso"), False),
        ("shipped_at", ("expedido em", "data de expedicao", "shipped"), False),
        ("confirmation", ("confirmacao",), False),
    ),
    "adjustments": (
        ("reference", ("referencia", "ref", "documento", "id"), True),
        LOCATION,
        SKU,
        QUANTITY,
        REASON,
        ("at", ("data", "quando", "date", "em"), False),
    ),
    "receipts": (
        ("reference", ("referencia", "ref", "recebimento", "receipt", "id"), True),
        ("notice", ("aviso", "asn", "pedido de compra"), True),
        LOCATION,
        SKU,
        QUANTITY,
        ("condition", ("condicao", "estado", "qualidade"), False),
        ("complete", ("completo", "encerra", "final"), False),
        ("at", ("data", "quando", "date", "em"), False),
    ),
    "stock": (LOCATION, SKU, QUANTITY, ("as_of", ("posicao em", "data", "momento"), False)),
}
ERROR_COLUMN = "error"


class Table(msgspec.Struct, frozen=True):
    """A kind of table: its columns, other headings by what they mean, and what a heading of many columns begins with.

    A heading like `attribute:Cor` is the cell `attribute:Cor` of a row, where `attribute` is one of `prefixes` with
    what else it is called.
    """

    columns: Sequence[Column]
    headings: Mapping[str, str] = {}  # folded, as the peer writes it: the name of the column
    prefixes: Mapping[str, Sequence[str]] = {}
    heads: Sequence[str] = ()  # columns that must be there, though a row may leave them empty


class Style(msgspec.Struct, frozen=True):
    """How a partner writes."""

    encoding: str = "utf-8"
    delimiter: str = ";"
    numbers: Numbers = "comma"
    timezone: str = "America/Sao_Paulo"


class Row(msgspec.Struct, frozen=True):
    """A row: its line in the file, and its cells by column. Those it does not have are empty."""

    line: int
    cells: Mapping[str, str]

    def __getitem__(self, name: str) -> str:
        return self.cells.get(name, "")


# --- reading ---


def decoded(body: BinaryIO, encoding: str) -> Iterator[str]:
    """Yield a file as lines of text: as its mark says, as UTF-8 if all of it is, else as the partner writes.

    Of a partner who writes UTF-8, old spreadsheets' Windows-1252 is read too; a file that is UTF-8 but for a few bytes
    is not: read so, every accent of it would be another one. Nor is one with letters as programs of DOS write them.

    Raises:
        Invalid: it is no text, has a line beyond all measure, is cut off or put together of two (`stray_byte`), or is
            in an encoding of DOS or yet another one (`other_encoding`).
    """
    body.seek(0)
    head = body.read(HEAD)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        how = "utf-16"
        _refuse_broken(body, how)
    elif b"\x00" in head:
        raise Invalid("it is no text", code="no_table")
    elif _is_utf8(body):
        how = "utf-8-sig"
    elif encoding == "utf-8":
        stray = _stray_in_utf8(body, marked=head.startswith(codecs.BOM_UTF8))
        if stray is not None:
            raise Invalid(stray, code="stray_byte")
        how = "cp1252"
        _refuse_other(body)
    else:
        how = encoding
    return _lines(body, codecs.getincrementaldecoder(how)("replace"))


def _refuse_broken(body: BinaryIO, encoding: str) -> None:
    """Refuse a file in UTF-16 that is cut off, or holds halves of characters.

    Raises:
        Invalid: it is such a one.
    """
    body.seek(0)
    decoder, line, piece = codecs.getincrementaldecoder(encoding)(), 1, b"-"
    try:
        while piece:
            piece = body.read(PIECE)
            line += decoder.decode(piece, final=not piece).count("\n")
    except UnicodeDecodeError as error:
        raise Invalid(f"{line}, {error.reason}", code="other_encoding") from None


def _refuse_other(body: BinaryIO) -> None:
    """Refuse a file that is not Windows-1252 either, with its first line and byte that says so.

    Raises:
        Invalid: it holds a byte that is nothing there, or more letters are as DOS writes them than as Windows does.
    """
    body.seek(0)
    balance, other = 0, ""
    line = 1
    while text := body.readline(MOST_LINE):
        nothing, of_dos = _NOT_1252.search(text), _OF_DOS.findall(text)
        if nothing:
            raise Invalid(f"{line}, 0x{nothing[0][0]:02X}", code="other_encoding")
        if of_dos:
            balance += len(of_dos)
            other = other or f"{line}, 0x{of_dos[0][1]:02X}"
        balance -= len(_OF_WINDOWS.findall(text))
        line += 1
    if balance > 0:
        raise Invalid(other, code="other_encoding")


def _is_utf8(body: BinaryIO) -> bool:
    body.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    try:
        while piece := body.read(PIECE):
            decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _stray_in_utf8(body: BinaryIO, *, marked: bool) -> str | None:
    """Return the line and the first byte of a file that is none of UTF-8; None: too much of it is not.

    It is meant to be UTF-8 where it is marked so, or more letters beyond ASCII are than bytes are not.
    """
    body.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    found, line, balance, piece = "", 1, 0, b"-"
    while piece:
        piece = body.read(PIECE)
        text = decoder.decode(piece, final=not piece)
        strays = _STRAY.findall(text)
        if strays and not found:
            line += text.count("\n", 0, text.index(strays[0]))
            found = f"{line}, 0x{ord(strays[0]) - 0xDC00:02X}"
        line += 0 if found else text.count("\n")
        balance += len(_BEYOND_ASCII.findall(text)) - 2 * len(strays)
    return found if found and (marked or balance > 0) else None


def _lines(body: BinaryIO, decoder: codecs.IncrementalDecoder) -> Iterator[str]:
    """Yield lines with their ends. Between two of them others may have moved the file."""
    rest, at = "", 0
    while True:
        body.seek(at)
        piece = body.read(PIECE)
        at += len(piece)
        rest += decoder.decode(piece, final=not piece)
        # A return that ends a piece may be the first half of an end of line.
        end = len(rest) if not piece else max(rest.rfind("\n"), rest.rfind("\r", 0, -1)) + 1
        yield from io.StringIO(rest[:end], newline="")
        rest = rest[end:]
        if not piece:
            return
        if len(rest) > MOST_LINE:
            raise Invalid(f"it has a line of more than {MOST_LINE} letters", code="no_table")


def fold(text: str) -> str:
    """Return a heading as it is compared: without accents, signs and case."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "", plain.lower())


def _delimiter(first: str, usual: str) -> str:
    bare = re.sub(r'"[^"]*"', "", first)
    counts = {d: bare.count(d) for d in DELIMITERS}
    best = max(counts.values())
    return usual if counts.get(usual, 0) == best else max(DELIMITERS, key=lambda d: counts[d])


def _reader(body: BinaryIO, style: Style) -> Any:
    """Return what reads the cells of a file, line by line.

    Raises:
        Invalid: it is empty, or no text.
    """
    lines = decoded(body, style.encoding)
    first = next(lines, "")
    started = [first]
    while not started[-1].strip():
        following = next(lines, None)
        if following is None:
            raise Invalid("it is empty", code="empty")
        if len(started) < MOST_COLUMNS:
            started.append(following)
        else:  # blank lines without end: none of them is a row
            started[-1] = following
    csv.field_size_limit(MOST_CELL)
    return csv.reader(itertools.chain(started, lines), delimiter=_delimiter(first, style.delimiter))


def rows(kind: str, body: BinaryIO, style: Style, *, most: int, table: Table | None = None) -> Iterator[Row | RowFlaw]:
    """Yield the rows of a file; one that cannot be read is a flaw. Empty rows are passed over.

    Its columns are those of its kind, or of a table of its own.

    Raises:
        Invalid: it is no table, lacks a column, or has more than `most` rows.
    """
    reader = _reader(body, style)
    try:
        header = [undo(cell).strip() for cell in next(reader)]
    except (csv.Error, StopIteration):
        raise Invalid("its first line cannot be read", code="no_table") from None
    table = table or Table(COLUMNS[kind])
    at = _places(table, header)
    # A shelf whose quantity is empty is passed on: left out of a whole stock it would be taken for an empty one.
    needs = [n for n, _, needed in table.columns if needed and (kind, n) != ("stock", "quantity")]
    count = 0
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield RowFlaw(line, "unreadable", value=str(error)[:100])
            continue
        if not any(cell.strip() for cell in cells):
            continue
        count += 1
        if count > most:
            raise Invalid(f"it has more than {most} rows", code="too_many_rows")
        if any("\x00" in cell for cell in cells):  # as a machine that lost its power leaves at the end of a file
            yield RowFlaw(line, "unreadable", value="NUL")
            continue
        if any(cell.strip() for cell in cells[len(header) :]):
            yield RowFlaw(line, "too_many_cells", value=str(len(cells)))
            continue
        row = Row(line, {name: undo(cells[n]).strip() for name, n in at.items() if n < len(cells)})
        empty = next((name for name in needs if not row[name]), None)
        yield row if empty is None else RowFlaw(line, "empty_field", empty)


def _places(table: Table, header: Sequence[str]) -> dict[str, int]:
    """Return where the columns stand. A heading means one column: the first that it is a name of."""
    if len(header) > MOST_COLUMNS:
        raise Invalid(f"it has {len(header)} columns", code="no_table")
    known = {fold(name): n for n, name in reversed(list(enumerate(header)))}
    found: dict[str, int] = {}
    for heading, name in table.headings.items():
        if heading in known:
            found.setdefault(name, known[heading])
    for name, also, _ in table.columns:
        free = (known[fold(each)] for each in (name, *also) if fold(each) in known)
        place = next((at for at in free if at not in found.values()), None)
        if place is not None:
            found.setdefault(name, place)
    for n, heading in enumerate(header):
        start, colon, rest = heading.partition(":")
        prefix = next((p for p, also in table.prefixes.items() if fold(start) in {fold(p), *map(fold, also)}), None)
        if colon and rest.strip() and prefix is not None and n not in found.values():
            found[f"{prefix}:{rest.strip()[:100]}"] = n
    missing = [name for name, _, needed in table.columns if (needed or name in table.heads) and name not in found]
    if missing:
        raise Invalid(", ".join(missing), code="missing_columns")
    return found


def whole(text: str, numbers: Numbers) -> int | None:
    """Read a whole number as the partner writes numbers; None: it is none."""
    read = number(text, numbers)
    return None if read is None or read != read.to_integral_value() or abs(read) > 2_147_483_647 else int(read)


def number(text: str, numbers: Numbers) -> Decimal | None:
    """Read a number: "1.234,5" where the comma is decimal, "1,234.5" where the point is; None: it is none."""
    thousands, decimal = (".", ",") if numbers == "comma" else (",", ".")
    bare = text.replace(" ", "").replace("\u00a0", "")
    if len(bare) > 30 or not bare.isascii() or not _NUMBER[numbers].fullmatch(bare):
        return None
    try:
        return Decimal(bare.replace(thousands, "").replace(decimal, "."))
    except InvalidOperation:
        return None


def amount(text: str, numbers: Numbers) -> Decimal | None:
    """Read an amount as the peer writes numbers, or the other way where it cannot be one so: "12.90" with commas."""
    bare = text if text[:1].isdigit() else _CURRENCY.sub("", text.strip())
    found = number(bare, numbers)
    return number(bare, "point" if numbers == "comma" else "comma") if found is None else found


def yes(text: str) -> bool | None:
    """Read yes or no; an empty text is yes. None: it is neither."""
    word = fold(text)
    return True if word in _YES else False if word in _NO else None


def moment(text: str, timezone: str) -> datetime | None:
    """Read "2026-11-27T14:30:00-03:00", "27/11/2026 14:30" and the like; None: it is none of them."""
    zone = ZoneInfo(timezone)
    day_first = _DAY_FIRST.fullmatch(text)
    try:
        if day_first:
            day, month, year, hour, minute, second = (int(part or 0) for part in day_first.groups())
            return datetime(year, month, day, hour, minute, second, tzinfo=zone)
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=zone)


def undo(text: str) -> str:
    """Return a cell without the apostrophe that keeps a spreadsheet from running it."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


# --- writing ---


def defuse(text: str) -> str:
    """Return a cell that no spreadsheet runs."""
    return f"'{text}" if _FORMULA.match(text) else text


def written(header: Sequence[str], lines: Iterable[Sequence[object]], style: Style) -> bytes:
    """Return a table as a partner reads it."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=style.delimiter, lineterminator="\r\n")
    writer.writerow(header)
    for line in lines:
        writer.writerow([_cell(value, style) for value in line])
    return out.getvalue().encode(style.encoding, "replace")


def _cell(value: object, style: Style) -> str:
    if value is None:
        return ""
    if isinstance(value, int):
        return str(value)
    if isinstance(value, datetime):
        return value.astimezone(ZoneInfo(style.timezone)).isoformat(timespec="seconds")
    if isinstance(value, date):
        return value.isoformat()
    return defuse(str(value))


def mended(body: BinaryIO, errors: Mapping[int, str], style: Style) -> bytes:
    """Return the rows of a file that have errors, with one more column that says which. Errors of no row come first."""
    reader = _reader(body, style)
    header: list[str] = []
    bad: list[list[object]] = []
    last = 0
    while True:
        line = last + 1
        try:
            cells: list[str] = next(reader)
        except StopIteration:
            break
        except csv.Error:
            cells = []
        last = reader.line_num
        if line == 1:
            header = [undo(cell) for cell in cells if fold(cell) != ERROR_COLUMN]
            dropped = [n for n, cell in enumerate(cells) if fold(cell) == ERROR_COLUMN]
            continue
        if line in errors:
            texts = [undo(cell) for n, cell in enumerate(cells) if n not in dropped]
            width = len(header)
            # What is beyond the header is the row's, too: it stands behind, and is refused until it is mended.
            bad.append([*texts[:width], *[""] * (width - len(texts)), errors[line], *texts[width:]])
    whole_file: list[list[object]] = [[*[""] * len(header), errors[0]]] if 0 in errors else []
    return written([*header, ERROR_COLUMN], whole_file + bad, style)
