"""What a file says that is so already, found before the database is given the file.

Of a whole statement nineteen rows in twenty say what the balances say. Columns of such a file are read as dictionaries
and numbers, the balances of its locations are fetched as arrays, and both are laid side by side. What is not clear goes
the usual way, into a table of its own, where the statements of `writes` judge it.

Clear is a row whose SKU and location are known by their texts, whose quantity is a plain number and which stands once.
Of the clear ones those are sifted out that equal the balance where nothing asks for a second look; those that differ
are kept as they are. A file that cannot be read here in the very way COPY reads it is not sifted: `read` says so by
None. The size of files and of what they are compared with is bounded, and with it the memory.
"""

import array
import io
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO

import msgspec

from malha.inventory.sync.files import LINE, Shape, pieces

FROM_ROWS = 20_000  # a smaller file is compared by the database quicker than this begins
MOST_BYTES = 32 << 20  # some two million rows; what is larger is compared by the database, in constant memory
MOST_BALANCES = 2_500_000
MOST_SLOTS = 8_000_000  # SKUs of the file times locations
MOST_UNITS = 2_000_000_000
_UNITS = re.compile(r" *([0-9]{1,15})(?:[.,]0{1,2})? *", re.ASCII)
_QUOTE, _NUL = '"', "\x00"


class Balances(msgspec.Struct, frozen=True):
    """Balances as the database sends them: arrays of integers in its binary form, all in one order."""

    skus: bytes
    locations: bytes
    on_hand: bytes
    versions: bytes


class Known(msgspec.Struct, frozen=True):
    """SKUs that a file names, by the text that names them: id, GTIN. Kits are not among them."""

    by_text: Mapping[str, tuple[int, str]]


class Sifted(msgspec.Struct, frozen=True):
    """What is left of a file: clear rows that differ, rows that only `writes` can judge, balances not spoken of.

    Attributes:
        skus, locations, units: the clear rows, each key once.
        versions: which version of its balance each of them was compared with; None where there is no balance.
        table: the other rows as text that COPY reads, with their places in the file; `unclear` is their number.
        left: keys of balances that no equal or clear row spoke of.
        stocked: how many balances have stock.
    """

    skus: Sequence[int]
    locations: Sequence[int]
    units: Sequence[int]
    versions: Sequence[int | None]
    table: bytes
    unclear: int
    left: tuple[Sequence[int], Sequence[int]]
    stocked: int


class Rows:
    """The rows of a file, by column."""

    def __init__(self, columns: Mapping[str, Any], count: int, *, trimmed: bool) -> None:
        self._columns = columns
        self._trimmed = trimmed
        self.columns = tuple(columns)
        self.count = count

    def texts(self, column: str) -> list[str]:
        """Return the different texts of a column, as they are compared."""
        found: list[str] = self._columns[column].dictionary.to_pylist()
        return [text.strip(" ") for text in found] if self._trimmed else found

    def counts(self) -> dict[str, int]:
        """Return how many rows speak of which location."""
        import pyarrow.compute as pc  # noqa: PLC0415 -- heavy, and only where there are files

        texts = self.texts("location")
        found: dict[str, int] = {}
        for each in pc.value_counts(self._columns["location"].indices).to_pylist():
            text = texts[each["values"]]
            found[text] = found.get(text, 0) + each["counts"]
        return found

    def sift(
        self, known: Known, places: Mapping[str, int], balances: Balances, again: tuple[Sequence[int], Sequence[int]]
    ) -> Sifted | None:
        """Return what is left when the rows that are so already are taken out; None when it cannot be done in bounds.

        `again` are keys (SKUs, locations) that need a second look even where the row is equal.
        """
        import pyarrow as pa  # noqa: PLC0415
        import pyarrow.compute as pc  # noqa: PLC0415

        key = "sku" if "sku" in self._columns else "gtin"
        ids = sorted({id_ for id_, _ in known.by_text.values()})
        at_sku = {id_: i for i, id_ in enumerate(ids)}
        place_ids = sorted(places.values())
        at_place = {id_: i for i, id_ in enumerate(place_ids)}
        wide = len(place_ids)
        slots = len(ids) * wide
        if not 0 < slots <= MOST_SLOTS:
            return None

        def codes(column: str, by_text: Mapping[str, int]) -> Any:
            found = pa.array([by_text.get(text) for text in self.texts(column)], pa.int32())
            return pc.take(found, self._columns[column].indices)

        def slots_of(skus: Any, locations: Any) -> Any:
            return pc.add(pc.multiply(skus, pa.scalar(wide, pa.int32())), locations)

        def scattered(values: Any, at: Any, size: int) -> Any:
            return pc.call_function("scatter", [values, at], pc.ScatterOptions(max_index=size - 1))

        slot = slots_of(
            codes(key, {text: at_sku[id_] for text, (id_, _) in known.by_text.items()}),
            codes("location", {code: at_place[id_] for code, id_ in places.items()}),
        )
        units = codes("on_hand", {text: n for text in self.texts("on_hand") if (n := _units(text)) is not None})

        skus, locations, on_hand = (_ints(pa, some) for some in (balances.skus, balances.locations, balances.on_hand))
        versions = _ints(pa, balances.versions, signed=False)
        theirs = slots_of(_by_id(pa, at_sku, skus), _by_id(pa, at_place, locations))
        here = pc.take(scattered(on_hand, theirs, slots), slot)

        clear = pc.and_(pc.is_valid(slot), pc.is_valid(units))
        if key == "sku" and "gtin" in self._columns:
            same = self._same_gtin(known)
            if same is None:
                return None
            clear = pc.and_(clear, pc.fill_null(same, fill_value=False))
        numbers = pa.arange(0, self.count).cast(pa.int32())
        owner = scattered(numbers, slot, slots)
        if slots - owner.null_count != self.count - slot.null_count:  # some stand more than once
            twice = slot.filter(pc.not_equal(pc.take(owner, slot), numbers)).unique()
            clear = pc.and_not(clear, pc.is_in(slot, value_set=twice))
        equal = pc.and_(clear, pc.equal(units, pc.fill_null(here, 0)))
        doubtful = slots_of(
            pa.array([at_sku.get(sku) for sku in again[0]], pa.int32()),
            pa.array([at_place.get(place) for place in again[1]], pa.int32()),
        ).drop_null()
        if len(doubtful):
            doubt = pc.and_(equal, pc.is_in(slot, value_set=doubtful.unique()))
            clear = pc.and_not(clear, doubt)

        unclear = numbers.filter(pc.invert(clear))
        kept = pc.and_not(clear, equal)
        keys = slot.filter(kept)
        clear_slots = slot.filter(clear)
        spoken = scattered(pa.repeat(pa.scalar(1, pa.int8()), len(clear_slots)), clear_slots, slots)
        rest = pc.is_null(pc.take(spoken, theirs))
        return Sifted(
            skus=pc.take(pa.array(ids, pa.int32()), pc.divide(keys, wide)).to_pylist(),
            locations=pc.take(
                pa.array(place_ids, pa.int32()), pc.subtract(keys, pc.multiply(pc.divide(keys, wide), wide))
            ).to_pylist(),
            units=units.filter(kept).to_pylist(),
            versions=pc.take(scattered(versions, theirs, slots), keys).to_pylist(),
            table=self._table(unclear),
            unclear=len(unclear),
            left=(skus.filter(rest).to_pylist(), locations.filter(rest).to_pylist()),
            stocked=pc.sum(pc.greater(on_hand, 0)).as_py() or 0,
        )

    def _same_gtin(self, known: Known) -> Any:
        """Tell of each row whether its GTIN is empty or its SKU's; None when a row has a GTIN and no SKU."""
        import pyarrow as pa  # noqa: PLC0415
        import pyarrow.compute as pc  # noqa: PLC0415

        skus, gtins = self.texts("sku"), self.texts("gtin")
        nameless = pc.take(pa.array([text == "" for text in skus], pa.bool_()), self._columns["sku"].indices)
        stated = pc.take(pa.array([text != "" for text in gtins], pa.bool_()), self._columns["gtin"].indices)
        if pc.any(pc.and_(nameless, stated)).as_py():
            return None
        numbers: dict[str, int] = {"": 0}
        said = pa.array([numbers.setdefault(text, len(numbers)) for text in gtins], pa.int32())
        ours = [numbers.get(known.by_text[t][1], -1) if t in known.by_text else None for t in skus]
        same = pc.equal(
            pc.take(said, self._columns["gtin"].indices),
            pc.take(pa.array(ours, pa.int32()), self._columns["sku"].indices),
        )
        return pc.or_kleene(pc.invert(stated), same)

    def _table(self, rows: Any) -> bytes:
        """Return some rows as text: their place in the file, then the columns in the order of `columns`."""
        import pyarrow as pa  # noqa: PLC0415
        import pyarrow.compute as pc  # noqa: PLC0415
        import pyarrow.csv as pa_csv  # noqa: PLC0415

        cells = {"row": pc.add(rows, pa.scalar(2, pa.int32()))}
        for name in self.columns:
            taken = pc.take(self._columns[name], rows)
            cells[name] = taken if name == LINE else taken.dictionary_decode()
        out = io.BytesIO()
        options = pa_csv.WriteOptions(include_header=False, delimiter=";")
        pa_csv.write_csv(pa.table(cells), out, options)
        return out.getvalue()


def read(file: BinaryIO, shape: Shape) -> Rows | None:
    """Return the rows of a file from where it stands; None when COPY might read it otherwise. Work for a thread."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.csv as pa_csv  # noqa: PLC0415

    if any("\n" in cell or "\r" in cell for cell in shape.header):
        return None
    start = file.tell()
    marks = sum(piece.count(_QUOTE.encode()) for piece in pieces(file))
    if marks % 2:  # one is never closed
        return None
    quoted = marks > 0
    names = [f"c{i}" for i in range(len(shape.header))]
    # Marks inside of a text are read otherwise; in columns that do not matter, too, they would shift the others.
    wanted = names if quoted else [f"c{i}" for i in sorted(shape.columns.values())]
    lines = [f"c{shape.columns[LINE]}"] if LINE in shape.columns else []
    file.seek(start)
    try:
        table = pa_csv.read_csv(
            _Lent(file),
            read_options=pa_csv.ReadOptions(column_names=names, skip_rows=1, block_size=4 << 20),
            parse_options=pa_csv.ParseOptions(
                delimiter=shape.delimiter,
                quote_char=_QUOTE if quoted else False,
                newlines_in_values=quoted,
                ignore_empty_lines=False,
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(wanted, pa.dictionary(pa.int32(), pa.string()))
                | dict.fromkeys(lines, pa.int32()),
                include_columns=wanted,
                strings_can_be_null=False,
                null_values=[],
            ),
        ).unify_dictionaries()
    except pa.ArrowInvalid:
        return None
    if not table.num_rows or not all(
        _plain(table.column(name).chunk(0).dictionary.to_pylist(), shape) for name in wanted if name not in lines
    ):
        return None
    found = {name: table.column(f"c{i}").combine_chunks() for name, i in shape.columns.items()}
    return None if _has_empty_lines(found) else Rows(found, table.num_rows, trimmed=shape.trimmed)


class _Lent(io.RawIOBase):
    """A file lent to a reader that closes what it has read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)


def _plain(texts: list[str], shape: Shape) -> bool:
    """Tell whether each of these texts means to COPY what it means here."""
    if shape.encoding != "UTF8" and not all(map(str.isascii, texts)):
        return False
    return not any(_QUOTE in text or _NUL in text for text in texts)


def _has_empty_lines(columns: Mapping[str, Any]) -> bool:
    import pyarrow.compute as pc  # noqa: PLC0415

    masks = []
    for column in (column for name, column in columns.items() if name != LINE):
        at = column.dictionary.index("").as_py()
        if at < 0:
            return False
        masks.append(pc.equal(column.indices, at))
    for mask in masks[1:]:
        masks[0] = pc.and_(masks[0], mask)
    return bool(pc.any(masks[0]).as_py())


def _units(text: str) -> int | None:
    found = _UNITS.fullmatch(text)
    if found is None:
        return None
    units = int(found[1])
    return units if units <= MOST_UNITS else None


def _ints(pa: Any, sent: bytes, *, signed: bool = True) -> Any:
    """Return an array of integers from PostgreSQL's binary form: a head of 20 bytes, then length and value of each."""
    kind = pa.int32() if signed else pa.uint32()
    if len(sent) <= 20:
        return pa.array([], kind)
    words = array.array("i" if signed else "I")
    words.frombytes(memoryview(sent)[20:])
    values = words[1::2]
    if sys.byteorder == "little":
        values.byteswap()
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values)])


def _by_id(pa: Any, at: Mapping[int, int], ids: Any) -> Any:
    """Return the places of ids, null where there is none."""
    import pyarrow.compute as pc  # noqa: PLC0415

    most = max([*at, pc.max(ids).as_py() or 0])
    table = pc.call_function(
        "scatter",
        [pa.array(at.values(), pa.int32()), pa.array(at.keys(), pa.int32())],
        pc.ScatterOptions(max_index=most),
    )
    return pc.take(table, ids)
