"""Recording, together, that all refunds which a search finds were given back.

A batch takes the orders with what is due of each as the person saw it; a worker records them one by one, each in a
transaction of its own. Killed, it goes on where it was. Of an order of which something else is due by then nothing is
recorded, for that is not what was given back; it stays due, and the batch says why.
"""

from typing import Any

from malha.ordering import kept_names
from malha.payments import giving_back_reads as reads
from malha.payments import giving_back_writes as writes
from malha.payments import service
from malha.payments.errors import BatchEnded, NoRefundsFound, RefundsChanged
from malha.payments.giving_back_reads import Batch, Refused
from malha.payments.reads import sought
from malha.platform import audit, jobs, refusals
from malha.platform.db import Actor, Database, Tx
from malha.platform.errors import MalhaError
from malha.platform.ids import UUID, new_id

RECORD = "payments:record"


async def begin(tx: Tx, reference: str, text: str, mark: str) -> int:
    """Have all refunds recorded that a text finds, under one reference; return the batch's number.

    Args:
        tx: in the name of the person; they are recorded in it.
        reference: where the money was given back, as for one of them.
        text: see `reads.refunds_due`; only orders the actor may see are found.
        mark: of what the person saw (`mark_of`).

    Raises:
        NoRefundsFound: none is due, or another batch has them.
        RefundsChanged: what is due is no longer what the person saw.
    """
    id_ = new_id()
    said = {"id": id_, "reference": reference, "sought": text, "actor": tx.actor.label, "person": tx.actor.name}
    await tx.execute(writes.ADD_BATCH, said)
    await tx.execute(writes.ADD_ORDERS, {"id": id_, **await sought(tx, text, tx.actor.scope)})
    taken = await reads.taken(tx, id_)
    orders = sum(each.orders for each in taken)
    if not orders:
        raise NoRefundsFound
    if reads.mark_of(taken) != mark:
        raise RefundsChanged
    number: int = await tx.value(writes.COUNT_ORDERS, {"id": id_, "orders": orders})
    facts = {"reference": reference, "orders": orders} | ({"sought": text} if text else {})
    await audit.record(tx, action="record_refunds", entity="refund_batch", entity_id=number, after=facts)
    await jobs.defer(tx, go_on, lock=f"refund_batch:{id_}", batch_id=str(id_))
    return number


async def stop(tx: Tx, number: int) -> None:
    """Stop recording: what is recorded stays so, the rest stays due. A job of it that failed for good waits no more.

    Raises:
        BatchNotFound: there is none.
        BatchEnded: it does not go on any more.
    """
    batch = await reads.batch(tx, number)
    await tx.execute(writes.LEAVE_ORDERS, {"id": batch.id})
    if await tx.value(writes.STOP_BATCH, {"id": batch.id}) is None:
        raise BatchEnded(number=number)
    await jobs.give_up(tx, go_on, batch_id=str(batch.id))
    batch = await reads.batch(tx, number)
    facts = {"recorded": batch.recorded, "refused": batch.refused}
    await audit.record(tx, action="stop", entity="refund_batch", entity_id=number, after=facts)


@jobs.task("payments.record_refunds", attempts=5)
async def go_on(db: Database, *, batch_id: str) -> None:
    """Record the refunds of a batch that are not recorded yet, in the name of who asked for it."""
    id_ = UUID(batch_id)
    async with db.transaction() as tx:
        batch = await reads.batch_by_id(tx, id_)
    if batch is None:
        return
    actor = Actor.of_label(batch.actor, batch.person)
    while batch is not None and batch.state == "going":
        if await record_one(db, actor, batch):
            continue
        async with db.transaction() as tx:
            await tx.execute(writes.END_BATCH, {"id": id_})
            batch = await reads.batch_by_id(tx, id_)


async def record_one(db: Database, actor: Actor, batch: Batch) -> bool:
    """Record the next refund of a batch, or why it is none; return whether there was one.

    What the actor may do is asked with each: what was taken from them since they began is refused.
    """
    ended: dict[str, Any] = {"id": batch.id, "order_id": None, "outcome": "recorded", "why": None}
    try:
        async with db.transaction(actor) as tx:
            row = next(iter(await tx.tuples(writes.TAKE, {"id": batch.id})), None)
            if row is None:
                return False
            ended["order_id"], due = row
            await kept_names.take_up(tx, ended["order_id"], RECORD)
            await service.record_given_back(tx, ended["order_id"], batch.reference, seen=due)
            await tx.execute(writes.END_ORDER, ended)
    except MalhaError as error:
        async with db.transaction(actor) as tx:
            await tx.execute(writes.END_ORDER, ended | {"outcome": "refused", "why": refusals.kept(error)})
    return True


def why(refused: Refused, language: str) -> str:
    """Return why nothing was recorded of an order, in a language."""
    return refusals.said(refused.why, language)
