"""Tables that people fill in, on a page or as a file: the same cells are read from both, and written to both.

Rows of the grid move, come and go without anything being written: it is sent and drawn again, and saved as a whole.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from malha.console.filling import Filled
from malha.platform import i18n, sheets, tabular, workbook
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_, _
from malha.platform.tabular import BadCell
from malha.platform.text import fold

SPARE = 2
MOST_PROBLEMS = 20
Texts = dict[str, str]


class Cell(NamedTuple):
    """A column: its name in a file, its heading and hint, how it is read and shown, and what may be chosen."""

    name: str
    head: str
    hint: str
    read: Callable[[str], Any]
    show: Callable[[Any], str]
    choices: Mapping[str, str] | None = None  # value -> word, where one is chosen


def chosen(text: str, among: Mapping[str, str]) -> str:
    """Return the value that a text names, as it is or by its word in the reader's language.

    Raises:
        BadCell: it names none.
    """
    wanted = fold(text)
    for value, word in among.items():
        if wanted in {fold(value), fold(word), fold(_(word))}:
            return value
    options = ", ".join(_(word) for word in among.values())
    raise BadCell(N_("{value} is no choice here."), N_("Choose one of these: {options}."), value=text, options=options)


def options(cell: Cell) -> list[tuple[str, str]] | None:
    """Return what may be chosen in a column, in the reader's language; None: anything is written."""
    return None if cell.choices is None else [(value, _(word)) for value, word in cell.choices.items()]


def head(cell: Cell, choices: Sequence[tuple[str, str]] | None) -> dict[str, Any]:
    """Return a column as the grid draws it."""
    return {"name": cell.name, "head": _(cell.head), "hint": _(cell.hint) if cell.hint else "", "options": choices}


def with_spare(rows: list[Texts]) -> list[Texts]:
    """Return rows with empty ones to go on in."""
    return [*rows, *(Texts() for _n in range(SPARE if rows else SPARE + 1))]


def texts(read: Filled, cells: Sequence[Cell], most: int, longest: int) -> list[Texts]:
    """Return the grid as it was filled in, `most` rows of it; empty cells are left out."""
    text = read.text("rows", 4)
    count = min(int(text), most) if text.isascii() and text.isdigit() else 0
    return [{c.name: said for c in cells if (said := read.text(f"rows/{n}/{c.name}", longest))} for n in range(count)]


def arrange(rows: list[Texts], do: str, first: str) -> str:
    """Move, copy, add or remove a row as `do` says, like `up:3`; return the button or new cell to go on with."""
    what, _sep, at = do.partition(":")
    n = int(at) if at.isascii() and at.isdigit() else -1
    if what == "add":
        rows += [Texts() for _n in range(SPARE)]
        return f"{first}:{len(rows) - SPARE}"
    if not 0 <= n < len(rows):
        return ""
    if what in {"up", "down"}:
        other = n - 1 if what == "up" else n + 1
        if 0 <= other < len(rows):
            rows[n], rows[other] = rows[other], rows[n]
            return f"{what}:{other}"
    elif what == "copy":
        rows.insert(n + 1, dict(rows[n]))
        return f"copy:{n + 1}"
    elif what == "remove":
        del rows[n]
    return ""


def sheet(cells: Sequence[Cell], width: int) -> tuple[sheets.Column, ...]:
    """Return the columns of the table as a file."""
    return tuple(sheets.Column(cell.name, sheets.Kind.TEXT, fixed=True, width=width) for cell in cells)


def read_file(
    raw: bytes, cells: Sequence[Cell], most: int, shorten: str, required: str = ""
) -> tuple[list[Mapping[str, Any]], list[int]]:
    """Return what the cells of each row of a file say, and its line; `shorten` says how one with too many is mended.

    Raises:
        UnreadableTable, EmptyTable: it is no table.
        Invalid: it has columns that nobody knows, cells of it cannot be read, or it has more rows than `most`.
    """
    columns = tuple(tabular.Column(c.name, _heads(c), c.read, required=c.name == required) for c in cells)
    rows: list[Mapping[str, Any]] = []
    lines: list[int] = []
    flaws: list[Flaw] = []
    with workbook.opened(raw, columns) as table:
        # A row whose condition stands in a column that is not read would count for everything.
        says, mend = N_("There is no column {column}."), N_("Look at the file that this page exports.")
        refuse([Flaw("file", says, mend, {"column": name[:80]}) for name in table.unknown[:MOST_PROBLEMS]])
        for row in table:
            flaws += [Flaw("file", flaw.says, flaw.mend, {**flaw.facts, "line": row.line}) for flaw in row.flaws]
            if not row.flaws:
                rows.append(row.values)
                lines.append(row.line)
            if len(flaws) >= MOST_PROBLEMS or len(rows) > most:
                break
    if len(rows) > most:
        flaws.append(Flaw("file", N_("More than {most} rows."), shorten, {"most": most}))
    refuse(flaws)
    return rows, lines


def _heads(cell: Cell) -> tuple[str, ...]:
    return tuple(fold(word) for word in (cell.head, *(i18n.translate(each, cell.head) for each in i18n.LANGUAGES)))
