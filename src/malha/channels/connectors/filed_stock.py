"""Stock that a file states: read from the file each time it is asked for, never as a whole."""

import re
from array import array
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, BinaryIO

from malha.channels.connectors import partner_tables as tables
from malha.channels.connectors.filed import FilesConfig, style_of
from malha.channels.connectors.filed_rows import Bad, Reading, moment_of
from malha.channels.connectors.partner_tables import Row, Table
from malha.channels.contract import CountedLine, FileTold, Invalid, RowFlaw, StockTold

STOCK_ROWS = 500_000
_REST = re.compile(r"_\d+\.errors(_\d+)?\.csv$", re.IGNORECASE)  # as `Folders.put_away` calls the rows to mend


def stock_told(
    config: FilesConfig,
    name: str,
    body: BinaryIO,
    modified: datetime,
    ours: Mapping[str, str] | None = None,
    table: Table | None = None,
) -> FileTold:
    """Read stock. A row that cannot be used goes on without a number: it is held there, and empties no shelf.

    Of half a million rows none is kept but its number: whoever wants them has the file read again. `ours` are our codes
    of locations by the peer's, where the configuration says them; `table` has headings of its own.

    Raises:
        Invalid: a row cannot be read at all, or the file is but the rows to mend of another one: what it leaves out
            would be taken for gone.
    """
    if _REST.search(name):
        raise Invalid(name, code="stock_in_part")
    counting = _Counting(config, body, ours or {}, table)
    numbers = array("I", (line for line, _ in counting.rows()))
    broken = [f for f in counting.flaws if f.problem in {"unreadable", "too_many_cells", "empty_field"}]
    if broken:
        raise Invalid(f"line {broken[0].row}", code="stock_unreadable")
    return FileTold(
        kind="stock",
        rows=counting.count,
        stock=StockTold(as_of=counting.as_of or modified, lines=_Lines(config, body, ours or {}, table, len(numbers))),
        stock_rows=numbers,
        flaws=counting.flaws,
    )


class _Counting:
    """Rows of stock on their way to what they say."""

    def __init__(self, config: FilesConfig, body: BinaryIO, ours: Mapping[str, str], table: Table | None) -> None:
        self._config = config
        self._ours = ours
        self._reading = Reading(tables.rows("stock", body, style_of(config), most=STOCK_ROWS, table=table))
        self.as_of: datetime | None = None

    @property
    def count(self) -> int:
        return self._reading.count

    @property
    def flaws(self) -> list[RowFlaw]:
        return self._reading.flaws

    def rows(self) -> Iterator[tuple[int, CountedLine]]:
        """Yield rows with their lines in the file."""
        for row in self._reading.rows():
            shown: int | str
            try:
                self.as_of = _one_moment(self._config, row, self.as_of)
            except Bad as bad:
                self._reading.bad(row, bad)
                shown = "?"
            else:
                quantity = tables.whole(row["quantity"], self._config.numbers)
                shown = row["quantity"] if quantity is None else quantity
            location = self._ours.get(row["location"], row["location"])
            yield row.line, CountedLine(location=location, sku=row["sku"], quantity=shown)


class _Lines(Sequence[CountedLine]):
    """The rows of a stock file, read from it each time they are asked for."""

    def __init__(
        self, config: FilesConfig, body: BinaryIO, ours: Mapping[str, str], table: Table | None, count: int
    ) -> None:
        self._config = config
        self._ours = ours
        self._table = table
        self._body = body
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[CountedLine]:
        return (line for _, line in _Counting(self._config, self._body, self._ours, self._table).rows())

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return list(self)[at]
        return next(islice(self, range(self._count)[at], None))


def _one_moment(config: FilesConfig, row: Row, as_of: datetime | None) -> datetime | None:
    said = moment_of(config, row, "as_of")
    if as_of is not None and said is not None and said != as_of:
        raise Bad("other_moment", "as_of", row["as_of"])
    return said or as_of
