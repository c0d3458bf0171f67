"""Imports whose caller waits, kept as those in the background are: seen on the same page, and undone.

Such files come from programs, every few minutes: the file itself is not kept, and one that changes nothing and refuses
nothing leaves no import behind. What a crash cut off goes on where it was when the same command is sent again with its
file: the key is bound to the import in the transaction that begins it, and to the answer in the one that ends it.

While it reads, a process says every few seconds that it lives. Of one that does not any more, because it was killed, a
chore of the worker says so within a minute or two, with what is written and how to go on; that it may be undone is so
from then on.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any, BinaryIO

import msgspec
import structlog
from psycopg import Error
from psycopg_pool import PoolTimeout

from malha.exchange import reads, service, writes
from malha.exchange.errors import ImportBusy
from malha.exchange.kinds import target_of
from malha.exchange.model import Kind, RefusedRow, Run, State
from malha.exchange.service import CUT_OFF, LONGEST_HOURS, Lost, as_json
from malha.platform import audit, idempotency, workbook
from malha.platform.db import Actor, Database, Tx
from malha.platform.errors import MalhaError
from malha.platform.i18n import N_
from malha.platform.ids import UUID, new_id
from malha.platform.imports import (
    MAX_PROBLEMS,
    Begun,
    Mode,
    Place,
    Problem,
    Progress,
    Report,
    Step,
    run_import,
)
from malha.platform.workbook import Oddity

log = structlog.get_logger(__name__)

SAY_EVERY_S = 10.0
SILENT_S = 60  # then it is taken for killed: a busy machine may miss some of its turns
KILLED_AT_ONCE = N_("What read the file was killed before a row was written.")
KILLED = N_("What read the file was killed. It is written up to line {line}; what comes after it is not.")
SEND_REST = N_(
    "Send the rest of the file, from line {next} on, or undo what is written. "
    "A call with a key goes on by itself when it is sent again with that key."
)
SEND_ALL = N_(
    "Send the whole file again, or undo what is written. "
    "A call with a key goes on by itself when it is sent again with that key."
)


class Asked(msgspec.Struct, frozen=True):
    """A keyed command that is an import, and what it is answered with once it is done.

    Without a reply the same command is another import then, as it is once a person stopped or undid what was cut off,
    and after `LONGEST_HOURS`: who states the same file tomorrow states it anew.
    """

    command: idempotency.Command
    reply: Callable[[Report], idempotency.Reply] | None = None


async def import_at_once(
    database: Database,
    kind: Kind,
    file: BinaryIO,
    *,
    mode: Mode,
    actor: Actor,
    name: str = "",
    from_line: int = 0,
    allowed: Sequence[str] | None = None,
    progress: Progress | None = None,
    asked: Asked | None = None,
) -> Report:
    """Do what `run_import` does, and keep what was written as an import that can be looked at and undone.

    `allowed`: see `outward.inward`. `asked`: the same command goes on with what it began, and tells of the whole.

    Raises:
        UnreadableTable, MissingColumns: as `run_import`.
        ImportBusy: a person stopped it meanwhile, or undid what a crash had cut off; what was written stays.
        InFlight: another process goes on with the same command, or has just ended it.
    """
    keeper = _Keeper(database, kind, actor, file, name, asked)
    living = asyncio.create_task(keeper.live())
    try:
        return await run_import(
            database,
            target_of(kind, allowed),
            file,
            mode=mode,
            actor=actor,
            name=name,
            from_line=from_line,
            progress=progress,
            keeper=keeper,
        )
    except Lost:
        again = asked is not None and asked.reply is not None
        raise idempotency.InFlight if again else ImportBusy(number=keeper.number) from None
    except BaseException:
        await keeper.cut_off()
        raise
    finally:
        living.cancel()
        await asyncio.gather(living, return_exceptions=True)


async def end_killed(tx: Tx) -> None:
    """Say of imports whose process was killed while it read that they were interrupted, and what to do."""
    asked = {"seconds": SILENT_S, "hours": LONGEST_HOURS}
    for run_id, kind, turn, line in await tx.tuples(writes.END_KILLED, asked):
        whole = target_of(Kind(kind)).passes > 1
        error = _interrupted(turn, line, whole=whole)
        await tx.execute(writes.SAY_KILLED, {"id": run_id, "error": as_json(error)})


def _interrupted(turn: int, line: int, *, whole: bool) -> dict[str, Any]:
    """Return why an import ended that was killed; `whole`: its rows are complete only once the file is read again."""
    if (turn, line) == (0, 0):
        return {"says": KILLED_AT_ONCE, "mend": service.CUT_OFF["mend"], "facts": {}}
    if whole:
        return {"says": KILLED, "mend": SEND_ALL, "facts": {"line": str(line)}}
    return {"says": KILLED, "mend": SEND_REST, "facts": {"line": str(line), "next": str(line + 1)}}


class _Keeper:
    """Keeps one import; a `malha.platform.imports.Keeper`."""

    def __init__(
        self, database: Database, kind: Kind, actor: Actor, file: BinaryIO, name: str, asked: Asked | None
    ) -> None:
        self.database = database
        self.kind = kind
        self.actor = actor
        self.file = file
        self.name = name
        self.asked = asked
        self.id = new_id()
        self.number = 0
        self.at = Place()
        self.taken_up: Place | None = None

    async def live(self) -> None:
        """Say now and then that this process lives, until it is cancelled."""
        while True:
            await asyncio.sleep(SAY_EVERY_S)
            if not self.number:
                continue
            try:
                async with self.database.transaction() as tx:
                    await tx.execute(writes.ALIVE, {"id": self.id})
            except (MalhaError, Error, PoolTimeout) as error:  # it says so next time
                log.warning("import_not_said_alive", run=self.number, error=type(error).__name__)

    async def take_up(self) -> Begun | None:
        """Return the import that this command began, to be gone on with."""
        if self.asked is None:
            return None
        async with self.database.transaction(self.actor) as tx:
            kept = await idempotency.begin(tx, self.asked.command)
            if kept is None:
                return None
            if kept.status != idempotency.UNDER_WAY:  # it ended a moment ago: sent again, it is answered
                raise idempotency.InFlight
            run_id = UUID(kept.headers["import"])
            await tx.value(writes.LOCK_RUN, {"id": run_id})
            run = await reads.run(tx, run_id)
            ended = run.state not in {State.APPLYING, State.FAILED}
            if self.asked.reply is None and (ended or await _is_old(tx, run)):
                await idempotency.forget(tx, self.asked.command)
                return None
            if ended:
                raise ImportBusy(number=run.number)
            await tx.execute(writes.RESUME, {"id": run_id})
            await tx.execute(writes.ALIVE, {"id": run_id})
        self.id, self.number, self.at = run_id, run.number, Place(run.turn, run.at_line)
        self.taken_up = self.at
        return self._begun(run.name)

    async def begin(self, text: BinaryIO, others: Sequence[str], oddities: Sequence[Oddity]) -> Begun:
        """Write the import down, with the command that it is."""
        preview = await service.look_at(text, self.kind)
        row = service.run_row(self.id, self.actor, self.kind, self.name)
        async with self.database.transaction(self.actor) as tx:
            if self.asked is not None:
                if await idempotency.begin(tx, self.asked.command) is not None:  # since it was looked for
                    raise idempotency.InFlight
                under_way = idempotency.Reply(idempotency.UNDER_WAY, {"import": str(self.id)}, b"")
                await idempotency.keep(tx, self.asked.command, under_way)
            number = await tx.value(writes.ADD_RUN, row)
            size, book = await asyncio.to_thread(_measured, self.file)
            guessed = as_json(preview.mapping)
            facts = service.preview_facts(preview, book=book, others=others, oddities=oddities)
            await tx.execute(writes.SET_PREVIEW, {"id": self.id, "bytes": size, "mapping": guessed, **facts})
            await tx.execute(writes.BEGIN, {"id": self.id, "state": State.APPLYING.value, "mapping": guessed})
            await tx.execute(writes.ALIVE, {"id": self.id})
        self.number = number
        return self._begun(str(row["name"]))

    def _begun(self, name: str) -> Begun:
        noted = service.noting(self.id, State.APPLYING, self.at)

        async def note(tx: Tx, step: Step) -> None:
            await noted(tx, step)
            self.at = step.place

        actor = msgspec.structs.replace(self.actor, by=service.by_import(self.number, name))
        return Begun(actor, note, self.at)

    async def end(self, report: Report) -> Report:
        """Say that all was read, and keep the answer; an import that did nothing is forgotten."""
        async with self.database.transaction(self.actor) as tx:
            if await tx.value(writes.LOCK_RUN, {"id": self.id}) is None:
                raise Lost
            run = await reads.run(tx, self.id)
            if self.taken_up is not None:
                report = await _whole(tx, run, report)
                report.went_on_after = self.taken_up.line
            facts = {"rows": run.seen, "bad": run.bad, "created": run.created, "changed": run.changed}
            if not run.created + run.changed + run.bad + run.warned:
                await tx.execute(writes.DROP_RUN, {"id": self.id})
                entity = target_of(self.kind).entity
                await audit.record(tx, action="import", entity=entity, entity_id=run.name, after=facts)
            else:
                end = {"id": self.id, "state": State.DONE.value, "error": None, "total": run.seen}
                if await tx.execute(writes.END, {**end, "states": [State.APPLYING.value]}):
                    entity = f"import_{self.kind.value}"
                    await audit.record(tx, action="imported", entity=entity, entity_id=str(run.number), after=facts)
                elif self.asked is not None:  # what ended it has its own answer
                    raise Lost
            if self.asked is not None and self.asked.reply is not None:
                await idempotency.keep(tx, self.asked.command, self.asked.reply(report))
            elif self.asked is not None:
                await idempotency.forget(tx, self.asked.command)
        return report

    async def cut_off(self) -> None:
        """Say that the rest was not read; what was written can be undone. Where nothing was, nothing is left behind.

        Where another process has gone on with it since, it is that one's.
        """
        if not self.number:
            return
        async with self.database.transaction(self.actor) as tx:
            if await tx.value(writes.LOCK_RUN, {"id": self.id}) != State.APPLYING:
                return
            run = await reads.run(tx, self.id)
            if (run.turn, run.at_line) > (self.at.turn, self.at.line):
                return
            if (run.turn, run.at_line) > (0, 0):
                end = {"id": self.id, "state": State.FAILED.value, "error": as_json(CUT_OFF), "total": None}
                await tx.execute(writes.END, {**end, "states": [State.APPLYING.value]})
                return
            await tx.execute(writes.DROP_RUN, {"id": self.id})
            if self.asked is not None:
                await idempotency.forget(tx, self.asked.command)


async def _is_old(tx: Tx, run: Run) -> bool:
    begun = run.started_at or run.uploaded_at
    return begun < await tx.now() - timedelta(hours=LONGEST_HOURS)


async def _whole(tx: Tx, run: Run, report: Report) -> Report:
    """Return the report of all rows of an import, of which this process read only the last ones."""
    own = {problem.line for problem in report.problems}
    kept = [row for row in await reads.flaws(tx, run.id, limit=MAX_PROBLEMS) if row.line not in own]
    problems = [*report.problems, *(problem for row in kept for problem in _told(run, row))]
    problems.sort(key=lambda problem: problem.line)
    told = problems[:MAX_PROBLEMS]
    return msgspec.structs.replace(
        report,
        rows=run.seen,
        bad=run.bad,
        created=run.created,
        changed=run.changed,
        unchanged=run.unchanged,
        warned=run.warned,
        last_line=run.at_line,
        problems=told,
        more_problems=await reads.problems(tx, run.id) - len(told),
    )


def _told(run: Run, row: RefusedRow) -> Iterator[Problem]:
    """Yield what is wrong with a row, as it was kept."""
    headings = {column: heading for heading, column in run.mapping.items() if column}
    cells = dict(zip(run.header, row.cells, strict=False))
    for kept in row.problems:
        heading = headings.get(kept["at"], kept["at"])
        value = cells.get(heading, "")[:100]
        yield Problem(row.line, heading, value, kept["says"], kept["mend"], kept["facts"], warning=not row.refused)


def _measured(file: BinaryIO) -> tuple[int, bool]:
    """Return how many bytes a file has, and whether it is a workbook."""
    book = workbook.is_workbook(file)
    return file.seek(0, 2), book
