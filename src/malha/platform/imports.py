"""Imports: a table goes into the database in small transactions, or is only checked; bad rows are told by line.

A `Target` says which columns it understands and handles a chunk of rows. The engine reads, chunks, commits, and puts
a row that the database refuses aside by halving its chunk. Rows have natural keys and unchanged rows change nothing,
so an import that was cut off is simply run again, or continued with `from_line`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from enum import StrEnum
from functools import partial
from itertools import islice
from typing import Any, BinaryIO, NamedTuple, Protocol, runtime_checkable

import msgspec
from psycopg import errors as pg

from malha.platform import audit, workbook
from malha.platform.db import SYSTEM, Actor, Database, Tx, in_turn
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_, translate
from malha.platform.tabular import Column, Row, open_table
from malha.platform.workbook import Oddities, Oddity

CHUNK_ROWS = 500
TRIES = 6  # of a chunk whose records somebody else holds: half a minute, as a statement waits five seconds for a lock
CHUNK_CHARACTERS = 4 << 20
MAX_PROBLEMS = 1_000


class Mode(StrEnum):
    """What an import does with the rows."""

    PREVIEW = "preview"  # check everything, write nothing
    ALL = "all"  # write everything, or nothing when any row is bad
    VALID = "valid"  # write the good rows, report the bad ones


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """What a record was before an import wrote it, and what it was left as, in plain values that JSON holds."""

    key: str
    label: str  # what people call it; no personal data
    before: Any  # None: it was not there
    after: Any


# Why a record is left as it is when an import is undone, by its key.
Left = dict[str, Flaw]
TOUCHED = Flaw("", N_("It was changed since the import."), N_("Look at it, and change it by hand if it is wrong."))
IN_USE = Flaw("", N_("Orders or stock rest on it by now."), N_("Take it out of use instead."))


class Outcome(msgspec.Struct):
    """What became of a chunk: flaws by line, their `at` a column's name or empty for the whole row.

    `traces` are of the records that were written, for targets that can take them back.
    """

    created: int = 0
    changed: int = 0
    unchanged: int = 0
    flaws: dict[int, list[Flaw]] = {}
    warnings: dict[int, list[Flaw]] = {}
    traces: list[Trace] = []


@runtime_checkable
class Undoable(Protocol):
    """A target whose writing can be taken back, as long as nobody changed the records since."""

    async def take_back(self, tx: Tx, traces: Sequence[Trace], in_use: Collection[str]) -> Left:
        """Put records back to what they were, and take away those that were not there.

        Args:
            tx: in the name of whoever undoes it.
            traces: some of an import's records, the newest first.
            in_use: keys of records that others rest on: they are not taken away.

        Returns:
            Why some of them were left as they are.
        """
        ...


@runtime_checkable
class Recalling(Protocol):
    """A target that remembers what the file said before, to refuse a row that says the same record again."""

    async def recall(self, tx: Tx, rows: Sequence[Row]) -> None:
        """Take in readable rows that were handled before an import was cut off; nothing is written."""
        ...


class Target(Protocol):
    """What rows become."""

    @property
    def entity(self) -> str:
        """Return what the audit trail calls the records."""
        ...

    @property
    def columns(self) -> Sequence[Column]:
        """Return the columns that are understood."""
        ...

    @property
    def families(self) -> Mapping[str, Sequence[str]]:
        """Return the prefixes of columns like "option:Color", by the name under which rows have them."""
        ...

    @property
    def passes(self) -> int:
        """Return how often the file is read."""
        ...

    async def handle(self, tx: Tx, rows: Sequence[Row], *, apply: bool, turn: int) -> Outcome:
        """Check a chunk of readable rows; with `apply` write the good ones. `turn` counts the passes over the file.

        A row that belongs to another turn is left out of the outcome.
        """
        ...


class Problem(msgspec.Struct, frozen=True):
    """One thing wrong with a row, or only odd (`warning`)."""

    line: int
    column: str  # as the file calls it; empty for the whole row
    value: str
    says: str
    mend: str
    facts: dict[str, Any]
    warning: bool = False

    def text(self, language: str) -> str:
        """Return what is wrong and how to mend it, in a language."""
        said = translate(language, self.says, **self.facts)
        mend = translate(language, self.mend, **self.facts)
        return f"{said} {mend}".strip()


class Report(msgspec.Struct):
    """What an import did, or would do."""

    rows: int = 0
    bad: int = 0
    created: int = 0
    changed: int = 0
    unchanged: int = 0
    applied: bool = False
    last_line: int = 0  # up to here everything is committed
    went_on_after: int = 0  # the last line that was committed before, where it was cut off
    encoding: str = ""
    delimiter: str = ""
    ignored_columns: list[str] = []
    problems: list[Problem] = []  # the first 1,000
    more_problems: int = 0
    warned: int = 0
    other_sheets: list[str] = []  # of a workbook: filled, and not read
    oddities: list[Oddity] = []  # of its sheet: what is read otherwise than it is seen

    def _add(self, problem: Problem) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(problem)
        else:
            self.more_problems += 1


Progress = Callable[[int], None]


class Place(msgspec.Struct, frozen=True):
    """How far an import is: which pass over the file, and the last line of it that is committed."""

    turn: int = 0
    line: int = 0


class Step(msgspec.Struct, frozen=True):
    """One chunk that was handled: its rows, good and bad, what became of them, and where the import stands then."""

    place: Place
    rows: Sequence[Row]
    outcome: Outcome


# Called in the transaction of each chunk, after its rows: what it writes is true exactly when the rows are.
Note = Callable[[Tx, Step], Awaitable[None]]


class Begun(NamedTuple):
    """An import whose rows are written: in whose name, with which notes, and after which place."""

    actor: Actor
    note: Note | None = None
    place: Place = Place()


class Keeper(Protocol):
    """What keeps an import while its caller waits for it."""

    async def take_up(self) -> Begun | None:
        """Return the import that the same command began and a crash cut off; None: there is none to go on with."""
        ...

    async def begin(self, text: BinaryIO, others: Sequence[str], oddities: Sequence[Oddity]) -> Begun:
        """Write down that the rows of a text table are written from now on.

        `others` are the sheets of its workbook that are not read, `oddities` what is odd about the one that is.
        """
        ...

    async def end(self, report: Report) -> Report:
        """Write down that all rows were read; return what became of all of them, whoever wrote them."""
        ...


async def run_import(
    database: Database,
    target: Target,
    file: BinaryIO,
    *,
    mode: Mode,
    actor: Actor = SYSTEM,
    name: str = "",
    from_line: int = 0,
    progress: Progress | None = None,
    keeper: Keeper | None = None,
) -> Report:
    """Import a table, a text or the first sheet of a workbook. With `ALL` it is read twice: a bad row writes nothing.

    What became of each record is in the audit trail, with its line; a `keeper` keeps the import itself. One that it
    takes up was looked at before: its rows go on where they were cut off.

    Raises:
        UnreadableTable: the file is no table.
        MissingColumns: a required column is not there.
    """
    name = "".join(c for c in name if c.isprintable())[:200]
    seen = Oddities()
    text = await asyncio.to_thread(workbook.as_text, file, seen)
    try:
        others = await asyncio.to_thread(workbook.passed_over, file)
        begun = None if keeper is None or mode is Mode.PREVIEW else await keeper.take_up()
        if begun is None and mode is not Mode.VALID:
            report = await read_rows(database, target, text, apply=False, actor=actor, from_line=from_line)
            report.other_sheets, report.oddities = others, seen.told()
            if mode is Mode.PREVIEW or report.bad:
                return report
        if begun is None:
            begun = Begun(actor) if keeper is None else await keeper.begin(text, others, seen.told())
        report = await read_rows(
            database,
            target,
            text,
            apply=True,
            actor=begun.actor,
            from_line=from_line,
            begin=begun.place,
            note=begun.note,
            progress=progress,
        )
        report.other_sheets, report.oddities = others, seen.told()
    finally:
        if text is not file:
            text.close()
    if keeper is not None:  # it says so in the trail itself
        return await keeper.end(report)
    facts = {"rows": report.rows, "bad": report.bad, "created": report.created, "changed": report.changed}
    async with database.transaction(actor) as tx:
        await audit.record(tx, action="import", entity=target.entity, entity_id=name or "-", after=facts)
    return report


async def read_rows(
    database: Database,
    target: Target,
    text: BinaryIO,
    *,
    apply: bool,
    actor: Actor,
    from_line: int = 0,
    begin: Place | None = None,
    mapping: Mapping[str, str] | None = None,
    note: Note | None = None,
    progress: Progress | None = None,
) -> Report:
    """Read a text table once per pass of the target, in chunks of one transaction each.

    Args:
        database: Where the rows go.
        target: What they become.
        text: The table; see `workbook.as_text`.
        apply: Write; else only check.
        actor: In whose name.
        from_line: What stands before it is skipped in every pass.
        begin: Where an import that was cut off goes on.
        mapping: Which of the file's headings is which column, where a person said so; empty is none.
        note: See `Note`.
        progress: Told how many rows were read.

    Raises:
        UnreadableTable, MissingColumns: nothing was handled.
    """
    run = _Run(database, target, actor, note, progress)
    return await run.read(text, apply=apply, begin=begin or Place(), from_line=from_line, mapping=mapping)


class _Run:
    def __init__(
        self, database: Database, target: Target, actor: Actor, note: Note | None, progress: Progress | None
    ) -> None:
        self.database = database
        self.target = target
        self.actor = actor
        self.note = note
        self.progress = progress or (lambda _: None)

    async def read(
        self, file: BinaryIO, *, apply: bool, begin: Place, from_line: int, mapping: Mapping[str, str] | None
    ) -> Report:
        """Read the whole file, once per turn of the target."""
        report = Report(applied=apply)
        if isinstance(self.target, Recalling) and begin != Place():
            await self._recall(self.target, file, begin, from_line, mapping)
        for turn in range(begin.turn, self.target.passes):
            file.seek(0)
            table = await asyncio.to_thread(open_table, file, self.target.columns, self.target.families, mapping)
            report.encoding, report.delimiter = table.encoding, table.delimiter
            report.ignored_columns = table.unknown
            first = max(from_line, begin.line + 1 if turn == begin.turn else 0)
            await asyncio.to_thread(table.skip_to, first)
            rows = iter(table)
            while chunk := await asyncio.to_thread(_some, rows):
                if turn == 0:
                    report.rows += len(chunk)
                await self._chunk(chunk, report, table.heading, apply=apply, turn=turn)
            table.release()
        return report

    async def _recall(
        self, target: Recalling, file: BinaryIO, begin: Place, from_line: int, mapping: Mapping[str, str] | None
    ) -> None:
        """Let the target see again the rows that another process handled: it refuses what that one would have."""
        file.seek(0)
        table = await asyncio.to_thread(open_table, file, self.target.columns, self.target.families, mapping)
        await asyncio.to_thread(table.skip_to, from_line)
        rows = iter(table)
        while chunk := await asyncio.to_thread(_some, rows):
            handled = [row for row in chunk if not row.flaws and (begin.turn > 0 or row.line <= begin.line)]
            if handled:
                async with self.database.transaction(self.actor) as tx:
                    await target.recall(tx, handled)
            if begin.turn == 0 and chunk[-1].line >= begin.line:
                break
        table.release()

    async def _chunk(
        self, rows: Sequence[Row], report: Report, heading: Callable[[str], str], *, apply: bool, turn: int
    ) -> None:
        done = await self._handle(rows, apply=apply, turn=turn)
        report.created += done.created
        report.changed += done.changed
        report.unchanged += done.unchanged
        report.bad += len(done.flaws)
        report.warned += len(done.warnings)
        for row in rows:
            self._tell(report, row, done.flaws.get(row.line, ()), heading)
            self._tell(report, row, done.warnings.get(row.line, ()), heading, warning=True)
        if apply and turn == 0:
            report.last_line = rows[-1].line
        if turn == 0:
            self.progress(report.rows)

    async def _handle(self, rows: Sequence[Row], *, apply: bool, turn: int) -> Outcome:
        """Handle a chunk in one transaction; halve it around a row the database refuses.

        Where somebody holds its records it is tried again: half a table is worse than a late one.
        """
        readable = [row for row in rows if not row.flaws]
        refused: dict[int, list[Flaw]] = {}
        commit = partial(self._commit, rows, refused=refused, apply=apply, turn=turn)
        try:
            return await in_turn(partial(commit, readable), TRIES)
        except (pg.IntegrityError, pg.DataError):
            if len(rows) == 1:
                says = N_("The database refuses this row: it contradicts another record.")
                refused[rows[0].line] = [Flaw("", says, N_("Check its codes and numbers."))]
                return await in_turn(partial(commit, []), TRIES)
        middle = len(rows) // 2
        first = await self._handle(rows[:middle], apply=apply, turn=turn)
        second = await self._handle(rows[middle:], apply=apply, turn=turn)
        return Outcome(
            created=first.created + second.created,
            changed=first.changed + second.changed,
            unchanged=first.unchanged + second.unchanged,
            flaws=first.flaws | second.flaws,
            warnings=first.warnings | second.warnings,
        )

    async def _commit(
        self,
        rows: Sequence[Row],
        readable: Sequence[Row],
        *,
        refused: Mapping[int, Sequence[Flaw]],
        apply: bool,
        turn: int,
    ) -> Outcome:
        async with self.database.transaction(self.actor) as tx:
            done = Outcome()
            if readable:
                done = await self.target.handle(tx, readable, apply=apply, turn=turn)
            for row in rows:
                if turn == 0:  # a row that cannot be read is told once
                    combine(done, row.line, row.flaws)
                combine(done, row.line, refused.get(row.line, ()))
            if self.note is not None:
                await self.note(tx, Step(Place(turn, rows[-1].line), rows, done))
            return done

    @staticmethod
    def _tell(
        report: Report,
        row: Row,
        flaws: Sequence[Flaw],
        heading: Callable[[str], str],
        *,
        warning: bool = False,
    ) -> None:
        for flaw in flaws:
            facts = dict(flaw.facts)
            value = row.texts.get(flaw.at, "")[:100]
            column = heading(flaw.at) if flaw.at else ""
            report._add(  # noqa: SLF001 -- the report is this engine's
                Problem(row.line, column, value, flaw.says, flaw.mend, facts, warning=warning)
            )


def combine(outcome: Outcome, line: int, flaws: Sequence[Flaw], *, warning: bool = False) -> None:
    """Add flaws, or warnings, of a row to an outcome."""
    if flaws:
        into = outcome.warnings if warning else outcome.flaws
        into.setdefault(line, []).extend(flaws)


def _some(rows: Iterator[Row]) -> list[Row]:
    """Return the next chunk of rows, fewer where they are long; reading them is work for a thread."""
    chunk: list[Row] = []
    characters = 0
    for row in islice(rows, CHUNK_ROWS):
        chunk.append(row)
        characters += sum(map(len, row.cells))
        if characters > CHUNK_CHARACTERS:
            break
    return chunk
