"""Imports whose caller waits, kept as those in the background are: seen on the same page, and undone.

Such files come from programs, every few minutes: the file itself is not kept, and one that changes nothing and refuses
nothing leaves no import behind.
"""

import asyncio
from collections.abc import Sequence
from typing import BinaryIO

import msgspec

from malha.exchange import reads, service, writes
from malha.exchange.errors import ImportBusy
from malha.exchange.kinds import target_of
from malha.exchange.model import Kind, State
from malha.exchange.service import CUT_OFF, Lost, as_json
from malha.platform import audit, workbook
from malha.platform.db import Actor, Database
from malha.platform.ids import new_id
from malha.platform.imports import Mode, Note, Place, Progress, Report, run_import


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
) -> Report:
    """Do what `run_import` does, and keep what was written as an import that can be looked at and undone.

    `allowed`: see `outward.inward`.

    Raises:
        UnreadableTable, MissingColumns: as `run_import`.
        ImportBusy: a person stopped it meanwhile; what was written stays.
    """
    keeper = _Keeper(database, kind, actor, file, name)
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
        raise ImportBusy(number=keeper.number) from None
    except BaseException:
        await keeper.cut_off()
        raise


class _Keeper:
    """Keeps one import; a `malha.platform.imports.Keeper`."""

    def __init__(self, database: Database, kind: Kind, actor: Actor, file: BinaryIO, name: str) -> None:
        self.database = database
        self.kind = kind
        self.actor = actor
        self.file = file
        self.name = name
        self.id = new_id()
        self.number = 0

    async def begin(self, text: BinaryIO, others: Sequence[str]) -> tuple[Actor, Note]:
        """Write the import down, and return in whose name and with which notes its rows are written."""
        preview = await service.look_at(text, self.kind)
        row = service.run_row(self.id, self.actor, self.kind, self.name)
        async with self.database.transaction(self.actor) as tx:
            self.number = await tx.value(writes.ADD_RUN, row)
            size, book = await asyncio.to_thread(_measured, self.file)
            guessed = as_json(preview.mapping)
            facts = service.preview_facts(preview, book=book, others=others)
            await tx.execute(writes.SET_PREVIEW, {"id": self.id, "bytes": size, "mapping": guessed, **facts})
            await tx.execute(writes.BEGIN, {"id": self.id, "state": State.APPLYING.value, "mapping": guessed})
        actor = msgspec.structs.replace(self.actor, by=service.by_import(self.number, str(row["name"])))
        return actor, service.noting(self.id, State.APPLYING, Place())

    async def end(self, report: Report) -> None:
        """Say that all was read; an import that did nothing is forgotten."""
        async with self.database.transaction(self.actor) as tx:
            run = await reads.run(tx, self.id)
            facts = {"rows": run.seen, "bad": run.bad, "created": run.created, "changed": run.changed}
            if not run.created + run.changed + run.bad + run.warned:
                await tx.execute(writes.DROP_RUN, {"id": self.id})
                entity = target_of(self.kind).entity
                await audit.record(tx, action="import", entity=entity, entity_id=run.name, after=facts)
                return
            end = {"id": self.id, "state": State.DONE.value, "error": None, "total": report.rows}
            if await tx.execute(writes.END, {**end, "states": [State.APPLYING.value]}):
                entity = f"import_{self.kind.value}"
                await audit.record(tx, action="imported", entity=entity, entity_id=str(run.number), after=facts)

    async def cut_off(self) -> None:
        """Say that the rest was not read; what was written can be undone."""
        if self.number:
            end = {"id": self.id, "state": State.FAILED.value, "error": as_json(CUT_OFF), "total": None}
            async with self.database.transaction(self.actor) as tx:
                await tx.execute(writes.END, {**end, "states": [State.APPLYING.value]})


def _measured(file: BinaryIO) -> tuple[int, bool]:
    """Return how many bytes a file has, and whether it is a workbook."""
    book = workbook.is_workbook(file)
    return file.seek(0, 2), book
