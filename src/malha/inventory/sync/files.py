"""Files of stock as they arrive: kept on disk piece by piece, unpacked under limits, and made a plain table.

Memory stays constant whatever the size. What is packed may unpack to `MAX_RATIO` times its size and to the limit of a
file, no further: the unpacking stops there, it is not measured afterwards. Spreadsheets and lines of JSON are turned
into the same text table that everybody else sends.
"""

import csv
import hashlib
import io
import json
import tempfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, product
from typing import Any, BinaryIO, Self

import msgspec

from malha.inventory.sync.errors import EmptySnapshot, PackedBomb, SnapshotTooLarge, UnreadablePacking
from malha.platform import workbook
from malha.platform.tabular import Column, Table, open_table

GZIP = b"\x1f\x8b"
MAX_RATIO = 200
FREE_BYTES = 1 << 20  # small files may unpack to this much, whatever the ratio
PIECE = 1 << 20
MOST_BESIDE = 100  # of one line: a line of a thousand keys stays one line
UNREADABLE = "\x01"  # in place of the quantity of a row that could not be read
KEY_TWICE = "\x02"  # and of one that states a key twice
NAMED_TOO = "\x03"  # a row beside that one: another SKU or place that it names, of which it says nothing else
LINE = "line"  # a column of tables that were made here: where each row stands in the file that came

COLUMNS = (
    Column("sku", ("código sku", "codigo", "código", "cod", "referência", "ref", "item", "product", "produto")),
    Column("gtin", ("ean", "código de barras", "barcode", "gtin/ean")),
    Column(
        "location",
        ("local", "loja", "filial", "depósito", "cd", "código do local", "store"),
        required=True,
    ),
    Column(
        "on_hand",
        ("físico", "saldo", "estoque", "quantidade", "qtd", "qtde", "estoque físico", "quantity", "stock", "qty"),
        required=True,
    ),
    Column("owner", ("dono", "dono dos produtos", "consignante", "consignor")),
)
UNOWNED = " @ "  # between a location and an owner that keeps nothing there; no code has it


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """What a file's table looks like: encoding as PostgreSQL calls it, columns by where they stand.

    A column `LINE` says where each row stands in the file that came; without one it is where it stands in the table.
    `beside` is how many of its rows are `NAMED_TOO`: none that anybody sent.
    """

    header: list[str]
    columns: dict[str, int]
    delimiter: str
    encoding: str
    trimmed: bool
    beside: int = 0


class Arriving:
    """A file on its way to the disk. It is one of a context: leaving it removes the file."""

    def __init__(self, limit_mb: int) -> None:
        self._limit = limit_mb << 20
        self._megabytes = limit_mb
        self._file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 -- closed by __exit__
        self._hash = hashlib.sha256()
        self._unpack: Any = None
        self._first = True
        self._spaces = False
        self.arrived = 0
        self.bytes = 0
        self.other_sheets: list[str] = []  # of a workbook: filled, and not read
        self.oddities: list[workbook.Oddity] = []  # and what of its sheet is read otherwise than it is seen

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def digest(self) -> bytes:
        """Return the hash of what arrived, as it arrived."""
        return self._hash.digest()

    def write(self, piece: bytes) -> None:
        """Take the next piece.

        Raises:
            SnapshotTooLarge, PackedBomb, UnreadablePacking: nothing of it is used.
        """
        self._hash.update(piece)
        self.arrived += len(piece)
        if self._first and piece:
            self._first = False
            if piece[:2] == GZIP or (len(piece) == 1 and piece == GZIP[:1]):
                self._unpack = zlib.decompressobj(wbits=31)
        if self._unpack is None:
            self._keep(piece)
            return
        try:
            while piece:
                room = self._limit - self.bytes + 1
                self._keep(self._unpack.decompress(piece, min(PIECE, room)))
                piece = self._unpack.unconsumed_tail
                if self.bytes > max(FREE_BYTES, self.arrived * MAX_RATIO):
                    raise PackedBomb(ratio=MAX_RATIO)
                if self._unpack.eof and (rest := self._unpack.unused_data):
                    piece, self._unpack = rest, zlib.decompressobj(wbits=31)
        except zlib.error:
            raise UnreadablePacking from None

    def _keep(self, data: bytes) -> None:
        self.bytes += len(data)
        if self.bytes > self._limit:
            raise SnapshotTooLarge(megabytes=self._megabytes)
        self._spaces = self._spaces or b" " in data
        self._file.write(data)

    def table(self, media_type: str) -> tuple[BinaryIO, Shape]:
        """Return the whole file as a text table, at its beginning, and its shape. Work for a thread.

        Raises:
            UnreadableTable, MissingColumns, EmptySnapshot: it is none that can be used.
            UnreadablePacking: it ended before its time.
        """
        if self._unpack is not None and not self._unpack.eof:
            raise UnreadablePacking
        if not self.bytes:
            raise EmptySnapshot
        self._file.seek(0)
        start = self._file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")
        self._file.seek(0)
        owned, lined, beside = True, False, 0
        if "json" in media_type or start.startswith(b"{"):
            made, owned, beside = _from_json(self._file)
            lined = True
            self._replace(made)
        elif workbook.is_workbook(self._file):
            self.other_sheets = workbook.passed_over(self._file)
            seen = workbook.Oddities()
            self._replace(workbook.as_text(self._file, seen))
            self.oddities = seen.told()
        table = open_table(self._file, COLUMNS)
        at = {column.name: i for i, column in table.columns.items()}
        if not owned:
            at.pop("owner", None)
        if lined:
            at[LINE] = table.header.index(LINE)
        if "sku" not in at and "gtin" not in at:
            table.release()
            open_table(self._file, (Column("sku", required=True), *COLUMNS[1:]))
        table.release()
        shape = Shape(
            header=table.header,
            columns=at,
            delimiter=table.delimiter,
            encoding="WIN1252" if table.encoding == "cp1252" else "UTF8",
            trimmed=self._spaces,
            beside=beside,
        )
        shape = self._loadable(table, shape)
        self._file.seek(0)
        if shape.encoding == "UTF8" and self._file.read(3) != b"\xef\xbb\xbf":
            self._file.seek(0)
        return self._file, shape

    def _loadable(self, table: Table, shape: Shape) -> Shape:
        """Make the file one that COPY reads: no UTF-16, -32 or Cp850, nothing before the header, no stray bytes."""
        if table.leading or table.damaged:
            made, shape = _made_plain(self._file, shape)
            self._replace(made)
        elif table.encoding in {"utf-16", "utf-32", "cp850"}:
            self._replace(_recoded(self._file, table.encoding))
            shape = msgspec.structs.replace(shape, trimmed=self._spaces)
        return shape

    def of_owners(self, shape: Shape, kept: Mapping[tuple[str, str], str]) -> tuple[BinaryIO, Shape]:
        """Return the table with the location of each row's owner in place of the site's, and without owners.

        `kept` is that location by (location, owner). What it does not have is named by both. Work for a thread.
        """
        names = [name for name in shape.columns if name != "owner"]
        out: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 -- __exit__ closes it
        text = io.TextIOWrapper(out, encoding="utf-8", newline="")
        writer = csv.writer(text, delimiter=";", lineterminator="\n")
        writer.writerow(names)
        at = shape.columns
        for _, *cells in rows_one_by_one(self._file, shape):
            location, owner = cells[at["location"]].strip(), cells[at["owner"]].strip()
            if owner:
                cells[at["location"]] = kept.get((location, owner)) or f"{location}{UNOWNED}{owner}"
            writer.writerow([cells[at[name]] for name in names])
        text.flush()
        text.detach()
        out.seek(0)
        self._replace(out)
        columns = {name: i for i, name in enumerate(names)}
        return out, Shape(
            header=names, columns=columns, delimiter=";", encoding="UTF8", trimmed=True, beside=shape.beside
        )

    def _replace(self, file: BinaryIO) -> None:
        if file is not self._file:
            self._file.close()
            self._file = file
            self._spaces = True


def pieces(file: BinaryIO) -> Iterator[bytes]:
    """Yield a file piece by piece."""
    while piece := file.read(PIECE >> 2):
        yield piece


def rows_one_by_one(file: BinaryIO, shape: Shape) -> Iterator[list[Any]]:
    """Yield (place, cells) of every row of a file that cannot be loaded at once; what cannot be read is marked."""
    table = open_table(file, COLUMNS)
    width = len(shape.header)
    try:
        for row in table:
            cells = [cell.replace("\x00", "") for cell in row.cells]
            broken = not cells or any(not flaw.at for flaw in row.flaws) or len(cells) < len(shape.columns)
            cells = (cells + [""] * width)[:width]
            if broken:
                cells[shape.columns["on_hand"]] = UNREADABLE
            yield [row.line, *cells]
    finally:
        table.release()


class _Line(msgspec.Struct, frozen=True):
    location: str = ""
    owner: str | None = None
    sku: str = ""
    gtin: str = ""
    on_hand: int | float | str | None = None


def _from_json(file: BinaryIO) -> tuple[BinaryIO, bool, int]:
    """Turn lines of JSON objects with the names of `COLUMNS` into a table; see `Shape` for what stands beside its rows.

    A line that is none, or that states a key twice, becomes a broken row; each row says on which line it stood.
    Returned with it is whether any names an owner, and how many rows stand beside those of the lines.
    """
    out: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 -- the caller closes it
    text = io.TextIOWrapper(out, encoding="utf-8", newline="")
    writer = csv.writer(text, delimiter=";", lineterminator="\n")
    writer.writerow([LINE, "sku", "gtin", "location", "on_hand", "owner"])
    owned, beside = False, 0
    decode = msgspec.json.Decoder().decode
    for number, line in enumerate(file, 1):
        if line.isspace():
            continue
        try:
            keys = decode(line)
            said = msgspec.convert(keys, _Line)
            stated = _stated_twice(line, len(keys))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            writer.writerow([number, "", "", "", UNREADABLE, ""])
            continue
        owned = owned or bool(said.owner)
        units = _units(said.on_hand) if stated is None else KEY_TWICE
        cells: Sequence[Any] = [number, said.sku, said.gtin, said.location, units, said.owner or ""]
        writer.writerow([str(cell).replace("\x00", "") for cell in cells])
        for sku, gtin, location, owner in _named_too(said, stated or ()):
            beside += 1
            owned = owned or bool(owner)
            cells = [number, sku, gtin, location, NAMED_TOO, owner]
            writer.writerow([str(cell).replace("\x00", "") for cell in cells])
    text.flush()
    text.detach()
    out.seek(0)
    return out, owned, beside


def _stated_twice(line: bytes, keys: int) -> list[tuple[str, Any]] | None:
    """Return keys and values of an object that states a key twice, of which decoding keeps the last; else None.

    `keys` is how many it kept.
    """
    if line.count(b":") == keys:  # a colon for each: there are no others
        return None
    twice = False

    def look(pairs: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
        nonlocal twice
        twice = twice or len({name for name, _ in pairs}) < len(pairs)
        return pairs

    stated: list[tuple[str, Any]] = json.loads(line, object_pairs_hook=look)
    return stated if twice else None


def _named_too(said: _Line, stated: Sequence[tuple[str, Any]]) -> Iterator[tuple[str, str, str, str]]:
    """Yield SKU, GTIN, location and owner that a line names beside those that were kept: `MOST_BESIDE` at most."""
    texts: dict[str, set[str]] = {}
    for name, value in stated:
        if isinstance(value, str) and value.strip():
            texts.setdefault(name, set()).add(value)
    goods = [*((sku, "") for sku in texts.get("sku", ())), *(("", gtin) for gtin in texts.get("gtin", ()))]
    owners = texts.get("owner") or {""}
    found = product(sorted(goods), sorted(texts.get("location", ())), sorted(owners))
    kept = (said.sku or "", "" if said.sku else said.gtin), said.location, said.owner or ""
    for each in islice(found, MOST_BESIDE):
        if each != kept:
            (sku, gtin), location, owner = each
            yield sku, gtin, location, owner


def _units(said: float | str | None) -> int | float | str:
    """Return a quantity of JSON as text has it: 4.0, as systems write it that count in decimals, is 4."""
    if said is None:
        return ""
    return int(said) if isinstance(said, float) and said.is_integer() else said


def _made_plain(file: BinaryIO, shape: Shape) -> tuple[BinaryIO, Shape]:
    """Return a table whose header is its first line and all of which is UTF-8; each row says on which line it stood."""
    out: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 -- the caller closes it
    text = io.TextIOWrapper(out, encoding="utf-8", newline="")
    writer = csv.writer(text, delimiter=";", lineterminator="\n")
    header = [LINE, *shape.header]
    writer.writerow(header)
    writer.writerows(rows_one_by_one(file, shape))
    text.flush()
    text.detach()
    columns = {LINE: 0} | {name: at + 1 for name, at in shape.columns.items()}
    made = msgspec.structs.replace(
        shape, header=header, columns=columns, delimiter=";", encoding="UTF8", trimmed=True, beside=0
    )
    return out, made


def _recoded(file: BinaryIO, encoding: str) -> BinaryIO:
    out: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 -- the caller closes it
    file.seek(0)
    text = io.TextIOWrapper(file, encoding=encoding, errors="replace", newline="")
    while piece := text.read(PIECE):
        out.write(piece.encode())
    text.detach()
    out.seek(0)
    return out
