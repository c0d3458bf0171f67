"""Rows of files on their way to what they say: what a cell must be, and what is set aside."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from malha.channels.connectors import partner_tables as tables
from malha.channels.connectors.filed import FilesConfig
from malha.channels.connectors.partner_tables import Row
from malha.channels.contract import FileTold, RowFlaw, Said

Found = Iterator[Row | RowFlaw]


class Bad(Exception):
    """A cell that cannot be used."""

    def __init__(self, problem: str, field: str, value: str) -> None:
        self.problem = problem
        self.field = field
        self.value = value[:100]
        super().__init__(problem)


def whole_of(config: FilesConfig, row: Row, name: str, *, least: int = 0) -> int:
    """Return a whole number, zero where the cell is empty.

    Raises:
        Bad: it is none, or less than the least.
    """
    if not row[name]:
        return 0
    found = tables.whole(row[name], config.numbers)
    if found is None or found < least:
        raise Bad("no_quantity", name, row[name])
    return found


def moment_of(config: FilesConfig, row: Row, name: str) -> datetime | None:
    """Return a moment; None: the cell is empty.

    Raises:
        Bad: it is none.
    """
    found = tables.moment(row[name], config.timezone) if row[name] else None
    if row[name] and found is None:
        raise Bad("no_moment", name, row[name])
    return found


def word_of(row: Row, name: str, words: Mapping[str, str]) -> str:
    """Return what a word means.

    Raises:
        Bad: it is none of them.
    """
    found = words.get(tables.fold(row[name]))
    if found is None:
        raise Bad("unknown_word", name, row[name])
    return found


def yes_of(row: Row, name: str, *, empty: bool) -> bool:
    """Return yes or no, and `empty` where the cell is.

    Raises:
        Bad: it is neither.
    """
    found = tables.yes(row[name]) if row[name] else empty
    if found is None:
        raise Bad("unknown_word", name, row[name])
    return found


def grams_of(config: FilesConfig, row: Row) -> int | None:
    """Return a weight that is written in kilograms; None: the cell is empty.

    Raises:
        Bad: it is none.
    """
    if not row["weight_kg"]:
        return None
    found = tables.number(row["weight_kg"], config.numbers)
    if found is None or not 0 <= found < 100_000:
        raise Bad("no_weight", "weight_kg", row["weight_kg"])
    return int(found * Decimal(1000))


class Reading:
    """Rows on their way to what they say: those that cannot be used are set aside, the others go on."""

    def __init__(self, found: Found) -> None:
        self._found = found
        self.count = 0
        self.flaws: list[RowFlaw] = []

    def rows(self) -> Iterator[Row]:
        """Yield the rows that can be read."""
        for each in self._found:
            self.count += 1
            if isinstance(each, RowFlaw):
                self.flaws.append(each)
            else:
                yield each

    def bad(self, row: Row, bad: Bad) -> None:
        """Set a row aside."""
        self.flaws.append(RowFlaw(row.line, bad.problem, bad.field, bad.value))

    def told(self, kind: str, said: Sequence[Said]) -> FileTold:
        """Return what the file tells."""
        return FileTold(kind=kind, rows=self.count, said=said, flaws=sorted(self.flaws, key=lambda f: f.row))
