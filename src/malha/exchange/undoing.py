"""Undoing an import: what it wrote is put back record by record, as long as nobody changed the record since.

What was before is kept in the transaction that wrote the rows (`import_trace`). Stock is counted back by movements of
its own; the ledger is never edited. What stays is kept with the reason, as a list and as a file.
"""

from collections.abc import AsyncIterator, Collection

from malha.exchange import reads, writes
from malha.exchange.errors import NothingToUndo
from malha.exchange.kinds import undoable_of
from malha.exchange.model import KEEP_DAYS, Kind, LeftRecord, Run, State
from malha.exchange.service import as_json, open_run, problem_of
from malha.inventory import reads as inventory
from malha.ordering import reads as orders
from malha.platform import audit, jobs
from malha.platform.db import Actor, Database, Tx
from malha.platform.i18n import translate
from malha.platform.ids import UUID

AT_ONCE = 200


async def undo(tx: Tx, run_id: UUID) -> None:
    """Put back, in the background, what an import wrote. Records that somebody changed since stay, and are told.

    Raises:
        ImportNotFound: there is none.
        NothingToUndo: it goes on, wrote nothing, is of a kind that cannot be undone, was undone, or was long ago.
    """
    run = await open_run(tx, run_id, frozenset(State))
    if not run.undoable(await tx.now()):
        raise NothingToUndo(number=run.number, days=KEEP_DAYS)
    await tx.execute(writes.BEGIN_UNDO, {"id": run_id, "actor": tx.actor.label, "person": tx.actor.name})
    await audit.record(tx, action="undo", entity=f"import_{run.kind.value}", entity_id=str(run.number))
    await jobs.defer(tx, take_back, lock=f"import:{run_id}", run_id=str(run_id))


@jobs.task("exchange.take_back", attempts=5)
async def take_back(db: Database, *, run_id: str) -> None:
    """Put back what an import wrote, some records to a transaction, the newest first. Killed, it goes on."""
    id_ = UUID(run_id)
    async with db.transaction() as tx:
        run = await reads.run(tx, id_)
        sold = await _sold(tx, run)
    if run.state is not State.UNDOING:
        return
    by = ("undone_import", f"{run.number} {run.name}")
    actor = Actor.of_label(run.undone_actor or "", run.undone_person or "", by=by)
    while await _take_some_back(db, actor, run, sold):
        pass
    async with db.transaction() as tx:
        ended = await tx.execute(writes.END_UNDO, {"id": id_})
        now = await reads.run(tx, id_)
    if ended:
        facts = {"undone": now.undone, "kept": now.kept}
        async with db.transaction(actor) as tx:
            await audit.record(
                tx, action="undone", entity=f"import_{run.kind.value}", entity_id=str(run.number), after=facts
            )


async def _sold(tx: Tx, run: Run) -> set[str]:
    """Return the SKUs that an import of products added and that stock or orders rest on by now."""
    if run.kind is not Kind.PRODUCTS:
        return set()
    added = await reads.added_skus(tx, run.id)
    stocked = {sku for sku, _place in await inventory.known_pairs(tx, sorted(added))}
    ordered = await orders.skus_ordered(tx, sorted(added), run.started_at or run.uploaded_at)
    return {added[id_] for id_ in stocked | ordered}


async def _take_some_back(db: Database, actor: Actor, run: Run, sold: set[str]) -> bool:
    """Put some records back; return whether there were any."""
    target = undoable_of(run.kind)
    async with db.transaction(actor) as tx:
        await tx.value(writes.LOCK_RUN, {"id": run.id})
        found = await reads.traces(tx, run.id, AT_ONCE)
        if not found:
            return False
        in_use: Collection[str] = sold
        if run.kind is Kind.CUSTOMERS:
            in_use = {str(id_) for id_ in await orders.with_orders(tx, [UUID(trace.key) for trace in found])}
        left = await target.take_back(tx, found, in_use)
        await tx.execute(
            writes.END_TRACES,
            {
                "id": run.id,
                "keys": [trace.key for trace in found],
                "outcomes": ["left" if trace.key in left else "undone" for trace in found],
                "why": [as_json(problem_of(left[trace.key])) if trace.key in left else None for trace in found],
            },
        )
        await tx.execute(writes.ADVANCE_UNDO, {"id": run.id, "undone": len(found) - len(left), "kept": len(left)})
    return True


async def left_pages(
    database: Database, actor: Actor, run_id: UUID, language: str, titles: tuple[str, str]
) -> AsyncIterator[list[list[object]]]:
    """Yield the records that an undo left as they are, header first, with the reason."""
    yield [list(titles)]
    seen = 0
    while True:
        async with database.transaction(actor) as tx:
            await reads.run(tx, run_id)  # refuses whoever may not see it
            found = await reads.left(tx, run_id, offset=seen)
        if not found:
            return
        seen += len(found)
        yield [[record.label, why_left(record, language)] for record in found]


def why_left(record: LeftRecord, language: str) -> str:
    """Return why a record was left as it is, and what to do, in a language."""
    facts = record.why["facts"]
    says, mend = (translate(language, record.why[part], **facts) for part in ("says", "mend"))
    return f"{says} {mend}".strip()
