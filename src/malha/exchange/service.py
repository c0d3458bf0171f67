"""Imports that people watch: a file is taken in, its headings are given a meaning, it is checked, then applied.

Checking and applying are background jobs in small transactions, each of which also writes how far it is: a killed
worker's import goes on where it was, and no row is counted twice. What is refused is kept with its cells, as a file to
mend and send again.
"""

import asyncio
import hashlib
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, BinaryIO

import msgspec
import structlog
from psycopg import OperationalError
from psycopg_pool import PoolTimeout

from malha.exchange import reads, writes
from malha.exchange.errors import ColumnTwice, FileGone, ImportBusy, NoFile, UploadTooLarge
from malha.exchange.kinds import target_of
from malha.exchange.model import BUSY, EVERYWHERE, KEEP_DAYS, KINDS, OPEN, Kind, RefusedRow, Run, State
from malha.identity.errors import NeedsEverywhere
from malha.platform import audit, jobs, workbook
from malha.platform.db import Actor, Database, Tx
from malha.platform.errors import Forbidden, MalhaError
from malha.platform.flaws import Flaw
from malha.platform.i18n import N_, translate
from malha.platform.ids import UUID, new_id
from malha.platform.imports import Note, Place, Step, Trace, read_rows
from malha.platform.settings import Settings
from malha.platform.tabular import Table, UnreadableTable, open_table

PIECE = 1 << 20
SAMPLE_ROWS = 8
SAMPLE_CELL = 120
LONGEST_HOURS = 12  # that a table is read while its caller waits
CUT_OFF = {"says": N_("The call ended before the file did."), "mend": N_("Send the file again."), "facts": {}}
log = structlog.get_logger(__name__)
_encode = msgspec.json.Encoder().encode


def as_json(value: object) -> str:
    """Return a value as the text of a jsonb parameter."""
    return _encode(value).decode()


class Lost(Exception):
    """Another worker, or a person who stopped it, was there: this one ends."""


class Preview(msgspec.Struct, frozen=True):
    """What a file looks like, and what its headings seem to mean."""

    encoding: str
    delimiter: str
    header: list[str]
    sample: list[list[str]]
    mapping: dict[str, str]


def preview_facts(
    preview: Preview, *, book: bool, others: Sequence[str], oddities: Sequence[workbook.Oddity]
) -> dict[str, Any]:
    """Return what is kept of a file's beginning, as `SET_PREVIEW` takes it; `others`: the sheets that are not read."""
    return {
        "encoding": "xlsx" if book else preview.encoding,
        "delimiter": preview.delimiter,
        "header": as_json(preview.header),
        "sample": as_json(preview.sample),
        "other_sheets": as_json(others),
        "oddities": as_json(oddities),
    }


# --- the file ---


async def take_in(
    database: Database, actor: Actor, kind: Kind, name: str, body: AsyncIterator[bytes], *, limit_mb: int
) -> UUID:
    """Keep a file as it arrives, a megabyte at a time, and look at its first rows; return the import's id.

    Raises:
        NoFile: nothing came.
        UploadTooLarge: more came than an import may have.
        UnreadableTable: it is no table.
        NeedsEverywhere: the rows concern all locations, like anybody's profile, and the actor is limited to some.
    """
    if kind in EVERYWHERE and actor.locations is not None:
        raise NeedsEverywhere
    run_id = new_id()
    async with database.transaction(actor) as tx:
        await tx.value(writes.ADD_RUN, run_row(run_id, actor, kind, name))
    try:
        size = await _keep(database, run_id, body, limit_mb)
        await _preview(database, actor, run_id, kind, size)
    except BaseException:
        async with database.transaction(actor) as tx:
            await tx.execute(writes.DROP_RUN, {"id": run_id})
        raise
    return run_id


def run_row(run_id: UUID, actor: Actor, kind: Kind, name: str) -> dict[str, Any]:
    """Return a new import as `ADD_RUN` takes it, with the rights that the actor has now."""
    return {
        "id": run_id,
        "kind": kind.value,
        "name": "".join(c for c in name if c.isprintable()).strip()[:200] or kind.value,
        "actor": actor.label,
        "person": actor.name,
        "permissions": None if actor.permissions is None else as_json(sorted(actor.permissions)),
        "locations": None if actor.locations is None else as_json(sorted(actor.locations)),
    }


async def _keep(database: Database, run_id: UUID, body: AsyncIterator[bytes], limit_mb: int) -> int:
    size = part = 0
    pending = bytearray()

    async def write() -> None:
        nonlocal part
        async with database.transaction() as tx:
            await tx.execute(writes.ADD_PART, {"id": run_id, "part": part, "data": bytes(pending[:PIECE])})
        del pending[:PIECE]
        part += 1

    async for piece in body:
        size += len(piece)
        if size > limit_mb << 20:
            raise UploadTooLarge(megabytes=limit_mb)
        pending += piece
        while len(pending) >= PIECE:
            await write()
    if pending:
        await write()
    if not size:
        raise NoFile
    return size


async def _raw(database: Database, run_id: UUID) -> BinaryIO:
    """Return the import's file as it came, in a temporary one."""
    raw = tempfile.TemporaryFile()  # noqa: SIM115 -- closed here, or by the caller
    try:
        async with database.transaction() as tx:
            async for piece in reads.parts(tx, run_id):
                await asyncio.to_thread(raw.write, piece)
    except BaseException:
        raw.close()
        raise
    return raw


async def _file(database: Database, run_id: UUID) -> BinaryIO:
    """Return the import's file as a text table in temporary files."""
    return await _as_text(await _raw(database, run_id))


async def _as_text(raw: BinaryIO, oddities: workbook.Oddities | None = None) -> BinaryIO:
    try:
        text = await asyncio.to_thread(workbook.as_text, raw, oddities)
    except BaseException:
        raw.close()
        raise
    if text is not raw:
        raw.close()
    return text


async def look_at(text: BinaryIO, kind: Kind) -> Preview:
    """Return what a text table begins with.

    Raises:
        UnreadableTable: it is no table.
    """
    target = target_of(kind)
    # Nothing is required yet: a person may say what a heading means.
    columns = [msgspec.structs.replace(column, required=False) for column in target.columns]
    await asyncio.to_thread(text.seek, 0)
    table = await asyncio.to_thread(open_table, text, columns, target.families)
    rows = iter(table)
    sample = [
        [cell.replace("\x00", "")[:SAMPLE_CELL] for cell in row.cells]
        for _, row in zip(range(SAMPLE_ROWS), rows, strict=False)
    ]
    table.release()
    if any("\x00" in heading for heading in table.header):
        raise UnreadableTable
    guessed = guess(table)
    mapping = {heading: guessed.get(heading, "") for heading in table.header if heading}
    return Preview(table.encoding, table.delimiter, table.header, sample, mapping)


async def _preview(database: Database, actor: Actor, run_id: UUID, kind: Kind, size: int) -> None:
    raw = await _raw(database, run_id)
    book, others = workbook.is_workbook(raw), await asyncio.to_thread(workbook.passed_over, raw)
    seen = workbook.Oddities()
    text = await _as_text(raw, seen)
    try:
        preview = await look_at(text, kind)
    finally:
        text.close()
    async with database.transaction(actor) as tx:
        said = await reads.remembered(tx, kind.value, signature(preview.header)) or {}
        mapping = {heading: said.get(heading, guessed) for heading, guessed in preview.mapping.items()}
        facts = preview_facts(preview, book=book, others=others, oddities=seen.told())
        await tx.execute(writes.SET_PREVIEW, {"id": run_id, "bytes": size, "mapping": as_json(mapping), **facts})


def guess(table: Table) -> dict[str, str]:
    """Return what the headings of an open table seem to mean: a column, or a member of a family like `option:Cor`."""
    found = {table.header[i]: column.name for i, column in table.columns.items()}
    return found | {table.header[i]: f"{family}:{name}" for i, (family, name) in table.families.items()}


def signature(header: list[str]) -> str:
    """Return what tells a person's usual files apart: their headings, in their order."""
    return hashlib.blake2b(_encode(header), digest_size=12).hexdigest()


# --- what a person does ---


async def begin(tx: Tx, run_id: UUID, mapping: Mapping[str, str] | None, *, apply: bool) -> None:
    """Check, or write, every row in the background; what the headings mean is remembered for files like this one.

    Raises:
        ImportNotFound: there is none.
        ImportBusy: it goes on, or has ended.
        FileGone: it was brought too long ago.
        ColumnTwice: two headings are the same column.
    """
    run = await open_run(tx, run_id)
    if not await reads.has_file(tx, run_id):
        raise FileGone(number=run.number)
    said = dict(run.mapping)
    if mapping is not None:
        known = {column.name for column in target_of(run.kind).columns}
        for heading, column in mapping.items():
            if heading in said and (column == "" or column in known or column == said[heading]):
                said[heading] = column
        _refuse_twice(said)
        row = {"actor": tx.actor.label, "kind": run.kind.value, "signature": signature(run.header)}
        await tx.execute(writes.REMEMBER, {**row, "mapping": as_json(said)})
    state = State.APPLYING if apply else State.CHECKING
    await tx.execute(writes.CLEAR_FLAWS, {"id": run_id})
    await tx.execute(writes.CLEAR_TRACES, {"id": run_id})
    await tx.execute(writes.BEGIN, {"id": run_id, "state": state.value, "mapping": as_json(said)})
    await audit.record(
        tx, action="import" if apply else "check", entity=f"import_{run.kind.value}", entity_id=str(run.number)
    )
    await jobs.defer(tx, go_on, lock=f"import:{run_id}", run_id=str(run_id))


def _refuse_twice(mapping: Mapping[str, str]) -> None:
    first: dict[str, str] = {}
    for heading, column in mapping.items():
        if column and first.setdefault(column, heading) != heading:
            raise ColumnTwice(first=first[column], second=heading, column=column)


async def stop(tx: Tx, run_id: UUID) -> None:
    """Stop a check or an import; what was written stays written. What has ended, or is undone, stays as it is."""
    run = await open_run(tx, run_id, frozenset(State))
    after = State.MAPPING if run.state is State.CHECKING else State.STOPPED
    busy = sorted(state.value for state in BUSY - {State.UNDOING})
    await tx.execute(writes.END, {"id": run_id, "state": after.value, "error": None, "total": None, "states": busy})


async def resume(tx: Tx, run_id: UUID) -> None:
    """Go on with an import that was stopped or failed, from the first row that was not written.

    Raises:
        ImportNotFound, ImportBusy: there is none, or it does not wait for that.
        FileGone: its file is not kept.
    """
    run = await open_run(tx, run_id, frozenset({State.STOPPED, State.FAILED}))
    if not await reads.has_file(tx, run_id):
        raise FileGone(number=run.number)
    await tx.execute(writes.RESUME, {"id": run_id})
    await jobs.defer(tx, go_on, lock=f"import:{run_id}", run_id=str(run_id))


async def open_run(tx: Tx, run_id: UUID, states: frozenset[State] = OPEN) -> Run:
    """Lock an import that the actor may write, in one of some states.

    Raises:
        ImportNotFound, Forbidden, ImportBusy: it is not.
        NeedsEverywhere: its rows concern all locations, and the actor is limited to some by now.
    """
    await reads.run(tx, run_id)
    await tx.value(writes.LOCK_RUN, {"id": run_id})
    run = await reads.run(tx, run_id)
    if not tx.actor.may(KINDS[run.kind].write):
        raise Forbidden(permission=KINDS[run.kind].write)
    if run.kind in EVERYWHERE and tx.actor.locations is not None:
        raise NeedsEverywhere
    if run.state not in states:
        raise ImportBusy(number=run.number)
    return run


# --- the job ---


@jobs.task("exchange.go_on", attempts=5)
async def go_on(db: Database, settings: Settings | None = None, *, run_id: str) -> None:
    """Check or apply an import from where it stands. Killed and started again, it goes on; twice at once, one ends."""
    id_ = UUID(run_id)
    async with db.transaction() as tx:
        run = await reads.run(tx, id_)
    if run.state not in BUSY - {State.UNDOING}:
        return
    try:
        text = await _file(db, id_)
        try:
            error = await _read(db, run, text, None if settings is None else settings.outward_allow)
        finally:
            text.close()
    except Lost:
        log.info("import_left", run=run.number)
        return
    except (OperationalError, PoolTimeout):  # the database is away: the job is tried again, and goes on where it was
        raise
    except Exception:
        await _end(db, run, {"says": N_("A defect stopped the import; it is in the log."), "mend": "", "facts": {}})
        raise
    await _end(db, run, error)


async def _end(db: Database, run: Run, error: dict[str, Any] | None) -> None:
    checking = run.state is State.CHECKING
    state = State.CHECKED if checking else State.DONE
    if error is not None:
        state = State.MAPPING if checking else State.FAILED
    async with db.transaction() as tx:
        now = await reads.run(tx, run.id)
        end = {
            "id": run.id,
            "state": state.value,
            "error": None if error is None else as_json(error),
            "total": now.seen if error is None else None,
            "states": [run.state.value],
        }
        if await tx.execute(writes.END, end) and state is State.DONE:
            facts = {"rows": now.seen, "bad": now.bad, "created": now.created, "changed": now.changed}
            entity = f"import_{run.kind.value}"
            await audit.record(tx, action="imported", entity=entity, entity_id=str(run.number), after=facts)


async def _read(db: Database, run: Run, text: BinaryIO, allowed: Sequence[str] | None) -> dict[str, Any] | None:
    """Read the rows from where the import stands; return why the file cannot be read, if so."""
    at = Place(run.turn, run.at_line)
    actor = _actor(run)
    try:
        await read_rows(
            db,
            target_of(run.kind, allowed),
            text,
            apply=run.state is State.APPLYING,
            actor=actor,
            begin=at,
            mapping={heading: column for heading, column in run.mapping.items() if ":" not in column},
            note=noting(run.id, run.state, at),
        )
    except MalhaError as refusal:
        return {"says": refusal.says, "mend": refusal.mend, "facts": {k: str(v) for k, v in refusal.facts.items()}}
    return None


def noting(run_id: UUID, state: State, at: Place) -> Note:
    """Return what writes down how far an import is, from a place on; it raises `Lost` where another one was there."""

    async def note(tx: Tx, step: Step) -> None:
        nonlocal at
        # As the system: the row of the import is nobody's location.
        fresh = step.place.turn == 0
        done = step.outcome
        advanced = await tx.execute(
            writes.ADVANCE,
            {
                "id": run_id,
                "state": state.value,
                "turn": step.place.turn,
                "line": step.place.line,
                "seen": len(step.rows) if fresh else 0,
                "created": done.created,
                "changed": done.changed,
                "unchanged": done.unchanged,
                "bad": len(done.flaws),
                "warned": len(done.warnings),
                "from_turn": at.turn,
                "from_line": at.line,
            },
        )
        if not advanced:
            raise Lost
        await _keep_flaws(tx, run_id, step)
        await _keep_traces(tx, run_id, done.traces)
        at = step.place

    return note


def _actor(run: Run) -> Actor:
    """Return the person or key in whose name the import runs, with the rights they had when they brought it."""
    return Actor.of_label(
        run.actor,
        run.person,
        permissions=None if run.permissions is None else frozenset(run.permissions),
        locations=None if run.locations is None else frozenset(run.locations),
        by=by_import(run.number, run.name),
    )


def by_import(number: int, name: str) -> tuple[str, str]:
    """Return what the audit trail says of each change that an import makes."""
    return "import", f"{number} {name}"


async def _keep_traces(tx: Tx, run_id: UUID, traces: Sequence[Trace]) -> None:
    """Keep what records were before, in the transaction that changes them: none is left without a way back."""
    if not traces:
        return
    await tx.execute(
        writes.ADD_TRACES,
        {
            "id": run_id,
            "keys": [trace.key for trace in traces],
            "labels": [trace.label for trace in traces],
            "before": [None if trace.before is None else as_json(trace.before) for trace in traces],
            "after": [as_json(trace.after) for trace in traces],
        },
    )


async def _keep_flaws(tx: Tx, run_id: UUID, step: Step) -> None:
    flaws, warnings = step.outcome.flaws, step.outcome.warnings
    rows = [row for row in step.rows if row.line in flaws or row.line in warnings]
    if not rows:
        return
    await tx.execute(
        writes.ADD_FLAWS,
        {
            "id": run_id,
            "lines": [row.line for row in rows],
            "refused": [row.line in flaws for row in rows],
            "cells": [as_json([cell.replace("\x00", "") for cell in row.cells]) for row in rows],
            "problems": [
                as_json([problem_of(f) for f in (*flaws.get(row.line, ()), *warnings.get(row.line, ()))])
                for row in rows
            ],
        },
    )


def problem_of(flaw: Flaw) -> dict[str, Any]:
    """Return a flaw as it is kept."""
    facts = {name: str(fact).replace("\x00", "") for name, fact in flaw.facts.items()}
    return {"at": flaw.at, "says": flaw.says, "mend": flaw.mend, "facts": facts}


# --- what comes back ---


def said(row: RefusedRow, language: str, mapping: Mapping[str, str]) -> str:
    """Return what is wrong with a row, and how to mend it, in a language; columns by what the file calls them."""
    headings = {column: heading for heading, column in mapping.items() if column}
    texts = []
    for problem in row.problems:
        facts = problem["facts"]
        says, mend = translate(language, problem["says"], **facts), translate(language, problem["mend"], **facts)
        at = problem["at"]
        column = f"{headings.get(at, at)}: " if at else ""
        texts.append(f"{column}{says} {mend}".strip())
    return " | ".join(texts)


async def refused_pages(
    database: Database, actor: Actor, run_id: UUID, language: str, title: str
) -> AsyncIterator[list[list[object]]]:
    """Yield the refused rows as they were sent, header first, with what is wrong in a last column: a file to mend.

    What a row has beyond the header stands behind that column: it is the row's, and is refused until it is mended.
    """
    async with database.transaction(actor) as tx:
        run = await reads.run(tx, run_id)
    yield [[*run.header, title]]
    after = 0
    while True:
        async with database.transaction(actor) as tx:
            found = await reads.flaws(tx, run_id, after=after, refused_only=True)
        if not found:
            return
        after = found[-1].line
        width = len(run.header)
        yield [_to_mend(row.cells, width, said(row, language, run.mapping)) for row in found]


def _to_mend(cells: Sequence[str], width: int, wrong: str) -> list[object]:
    beyond = list(cells[width:])
    while beyond and not beyond[-1].strip():
        beyond.pop()
    return [*cells[:width], *[""] * (width - len(cells)), wrong, *beyond]


async def forget(tx: Tx) -> None:
    """Drop files, samples, refused rows and traces `KEEP_DAYS` after an import ended; that it was done stays."""
    for statement in (writes.FORGET_PARTS, writes.FORGET_FLAWS, writes.FORGET_TRACES, writes.FORGET_SAMPLES):
        await tx.execute(statement, {"days": KEEP_DAYS})
    await tx.execute(writes.FORGET_UPLOADS)
