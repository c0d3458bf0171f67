"""Recording, together, that all refunds which a search finds were given back.

A batch takes the orders with what is due of each as the person saw it; a worker records them one by one
(`platform.piecework`). Of an order of which something else is due by then nothing is recorded, for that is not what was
given back; it stays due, and the batch says why.
"""

from functools import partial

from malha.ordering import kept_names
from malha.payments import giving_back_reads as reads
from malha.payments import giving_back_writes as writes
from malha.payments import service
from malha.payments.errors import BatchEnded, NoRefundsFound, RefundsChanged
from malha.payments.giving_back_reads import Batch, Refused
from malha.payments.reads import sought
from malha.platform import audit, jobs, piecework, refusals
from malha.platform.db import Actor, Database, Tx
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
    await _take_turns(tx, id_)
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


async def _take_turns(tx: Tx, batch_id: UUID) -> None:
    await jobs.defer(tx, go_on, lock=f"refund_batch:{batch_id}", batch_id=str(batch_id))


@jobs.task("payments.record_refunds", attempts=5)
async def go_on(db: Database, *, batch_id: str) -> None:
    """Record the refunds of a batch that are not recorded yet, in the name of who asked for it."""
    id_ = UUID(batch_id)
    async with db.transaction() as tx:
        batch = await reads.batch_by_id(tx, id_)
    if batch is not None:
        again = partial(_take_turns, batch_id=id_)
        await piecework.go_on(db, Actor.of_label(batch.actor, batch.person), id_, writes.ORDERS, _work(batch), again)


async def record_one(db: Database, actor: Actor, batch: Batch) -> bool:
    """Record the next refund of a batch, or why it is none; return whether there was one.

    What the actor may do is asked with each: what was taken from them since they began is refused.
    """
    return await piecework.do_one(db, actor, batch.id, writes.ORDERS, _work(batch))


def _work(batch: Batch) -> piecework.Work:
    reference = batch.reference

    async def record(tx: Tx, order_id: UUID, due: int) -> None:
        await kept_names.take_up(tx, order_id, RECORD)
        await service.record_given_back(tx, order_id, reference, seen=due)

    return record


def why(refused: Refused, language: str) -> str:
    """Return why nothing was recorded of an order, in a language."""
    return refusals.said(refused.why, language)
