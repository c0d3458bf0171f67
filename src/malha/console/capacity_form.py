"""A week of slots as a grid to fill in: a row per time, a column per weekday, places in the cells; and as a file."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import time
from itertools import islice
from typing import TypeVar

import msgspec

from malha.capacity.model import KIND_WORDS, MEASURE_WORDS, MOST_QUOTA, MOST_SLOTS, Kind, Measure, Template
from malha.console import network_words as say
from malha.console.filling import Filled
from malha.network.model import WEEKDAYS
from malha.platform import i18n, workbook
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_
from malha.platform.tabular import NO_RESULT, UnreadableTable
from malha.platform.text import fold

T = TypeVar("T")
BLANK_ROWS = 4
MOST_ROWS = 7 * MOST_SLOTS
FILE_ROWS = 20_000
# How the columns of a file may be called.
COLUMNS: dict[str, tuple[str, ...]] = {
    "location": ("location", "local", "loja"),
    "kind": ("kind", "tipo"),
    "weekday": ("weekday", "dia", "dia da semana"),
    "starts": ("starts", "inicio", "from", "de"),
    "ends": ("ends", "fim", "to", "ate"),
    "quota": ("quota", "vagas", "cota", "places"),
    "measure": ("measure", "medida", "conta", "counts"),
}
OPTIONAL = {"measure"}  # of picking slots; without it they count what they counted


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One time of the day: places per weekday, as text; empty is no slot."""

    starts: str = ""
    ends: str = ""
    quotas: list[str]


def rows_of(templates: Iterable[Template]) -> list[Row]:
    """Return a week as the rows of its grid, with some blank ones to fill in."""
    found: dict[tuple[time, time], dict[int, int]] = {}
    for t in sorted(templates, key=lambda t: (t.starts, t.ends, t.weekday)):
        found.setdefault((t.starts, t.ends), {})[t.weekday] = t.quota
    rows = [
        Row(
            starts=f"{starts:%H:%M}",
            ends=f"{ends:%H:%M}",
            quotas=[str(days[day]) if day in days else "" for day in range(1, 8)],
        )
        for (starts, ends), days in found.items()
    ]
    return rows + [Row(quotas=[""] * 7)] * BLANK_ROWS


def week_of(read: Filled) -> list[Template]:
    """Return the week that a grid says; what cannot be read is a flaw of its field."""
    templates = []
    for n in range(MOST_ROWS):
        at = f"rows/{n}"
        if f"{at}/starts" not in read.form:
            break
        quotas = {day: read.maybe_whole(f"{at}/{day}") for day in range(1, 8)}
        for day, quota in quotas.items():
            if quota is not None and not 0 <= quota <= MOST_QUOTA:
                read.wrong(f"{at}/{day}", N_("A quota is between 0 and {most}."), most=MOST_QUOTA)
        stated = {day: quota for day, quota in quotas.items() if quota is not None}
        if not stated and not read.text(f"{at}/starts") and not read.text(f"{at}/ends"):
            continue
        starts, ends = read.clock(f"{at}/starts"), read.clock(f"{at}/ends")
        if not stated:
            read.wrong(f"{at}/1", N_("A time without places on any day."), N_("Fill in a day, or empty the times."))
        templates += [Template(day, starts, ends, quota) for day, quota in stated.items()]
    return templates


Stated = dict[tuple[str, Kind], list[Template]]


Measures = dict[str, Measure]


def read_file(raw: bytes) -> tuple[Stated, Measures, list[Flaw]]:
    """Return the weeks that a file states, by location and kind, what picking slots of locations count, and flaws.

    It is CSV or XLSX. A heading line names the columns, in English or Portuguese.
    """
    try:
        with workbook.opened(raw, ()) as table:
            head, lines = table.header, list(islice(table, FILE_ROWS))
    except UnreadableTable as error:
        return {}, {}, [Flaw("file", error.says, error.mend, error.facts)]
    places = _columns(head)
    missing = [name for name in COLUMNS if name not in places and name not in OPTIONAL]
    if missing:
        says = N_("The first line lacks the columns {columns}.")
        return {}, {}, [Flaw("file", says, facts={"columns": ", ".join(missing)})]
    stated: Stated = {}
    measures: Measures = {}
    unclear: set[str] = set()  # said once for each location
    flaws: list[Flaw] = []
    if len(lines) >= FILE_ROWS:  # with the headings
        return {}, {}, [Flaw("file", N_("A file has at most {most} lines."), facts={"most": FILE_ROWS})]
    for line in lines:
        number, cells = line.line, line.cells
        if line.flaws and not cells:
            flaws += [Flaw("file", flaw.says, flaw.mend, flaw.facts) for flaw in line.flaws]
            continue
        if any(cells[at] == NO_RESULT for at in places.values() if at < len(cells)):
            says = N_("Line {line}: a cell holds a formula without a result.")
            mend = N_("Open the file in a spreadsheet program and save it, or write the value itself.")
            flaws.append(Flaw("file", says, mend, {"line": number}))
            continue
        row = {name: cells[at].strip() if at < len(cells) else "" for name, at in places.items()}
        kind, template = _kind(row["kind"]), _template(row)
        if kind is None or template is None or not row["location"]:
            says = N_("Line {line} is no slot: {text}.")
            facts = {"line": number, "text": ";".join(cells)[:80]}
            flaws.append(Flaw("file", says, N_("Look at the file that this page exports."), facts))
            continue
        stated.setdefault((row["location"], kind), []).append(template)
        if kind is Kind.PICK and row.get("measure"):
            measure = _measure(row["measure"])
            clear = measure is not None and measures.setdefault(row["location"], measure) is measure
            if not clear and row["location"] not in unclear:
                unclear.add(row["location"])
                says = N_("Line {line}: picking slots of a location count orders or units, all of them the same.")
                flaws.append(Flaw("file", says, facts={"line": number}))
    return stated, measures, flaws


def _columns(head: Sequence[str]) -> dict[str, int]:
    called = {fold(cell.strip()): n for n, cell in enumerate(head)}
    return {
        name: called[fold(word)] for name, words in COLUMNS.items() for word in reversed(words) if fold(word) in called
    }


def _kind(text: str) -> Kind | None:
    return _spoken({kind: (kind.value, word) for kind, word in KIND_WORDS.items()}, text)


def _measure(text: str) -> Measure | None:
    return _spoken({measure: (measure.value, word) for measure, word in MEASURE_WORDS.items()}, text)


def _weekday(text: str) -> int | None:
    if text.isascii() and text.isdigit():
        return int(text) if 1 <= int(text) <= 7 else None
    return _spoken({n: (day, say.WEEKDAY[day]) for n, day in enumerate(WEEKDAYS, start=1)}, text)


def _spoken(words: Mapping[T, tuple[str, str]], text: str) -> T | None:
    """Return what a word means, in any language; three letters will do."""
    wanted = fold(text)
    for meant, (code, word) in words.items():
        names = {code} | {fold(i18n.translate(language, word)) for language in i18n.LANGUAGES}
        if wanted and any(name == wanted or (len(wanted) >= 3 and name.startswith(wanted)) for name in names):
            return meant
    return None


def _template(row: Mapping[str, str]) -> Template | None:
    weekday = _weekday(row["weekday"])
    try:
        starts, ends = time.fromisoformat(row["starts"].zfill(5)), time.fromisoformat(row["ends"].zfill(5))
        quota = int(row["quota"])
    except ValueError:
        return None
    if weekday is None or not 0 <= quota <= MOST_QUOTA:
        return None
    return Template(weekday, starts, ends, quota)
