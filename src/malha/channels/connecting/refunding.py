"""How much of an order a channel may still be asked to give back: asked for anew, or asked once more."""

from collections.abc import Sequence

from malha.channels.connecting import reads
from malha.channels.connecting.model import Linked
from malha.ordering import service as ordering
from malha.ordering.model import Order
from malha.payments import reads as payments
from malha.platform.db import Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_
from malha.platform.ids import UUID
from malha.platform.money import Money


async def left(tx: Tx, connection: Linked, of: dict[str, Order], but: Sequence[UUID]) -> dict[str, tuple[int, int]]:
    """Return what is left to give back beside some refunds, and how much of the rest waits for a person, by entity.

    `of`: locked orders by the entity of their refunds. A dead refund counts until it is dropped: it may have arrived,
    and may be sent again.
    """
    asked = {"entities": list(of), "connection_id": connection.id, "but": list(but)}
    sums = {entity: rest for entity, *rest in await tx.tuples(reads.REFUNDS, asked)}
    totals = await payments.totals(tx, [order.id for order in of.values()])
    found = {}
    for entity, order in of.items():
        waiting, stuck, done = sums.get(entity, (0, 0, 0))
        paid = totals.get(order.id)
        # Where the channel tells of no payments, no more was paid than the order is worth. What was done may not be
        # read back yet.
        captured, refunded = order.total, 0
        if paid is not None:
            captured, refunded = paid.captured - paid.charged_back, paid.refunded
        found[entity] = captured - max(refunded, done) - waiting - stuck, stuck
    return found


async def refuse_too_much_again(tx: Tx, connection: Linked, at: str, ops: Sequence[UUID]) -> None:
    """Look whether operations that are about to be sent again give back no more than is left, under the orders' locks.

    `ops`: their rows are locked and wait again. `at`: the field of the body that named them.

    Raises:
        Invalid: refunds among them come to more than is left of an order: one may have arrived, or money went back in
            another way since.
    """
    again = await tx.tuples(reads.REFUNDS_AGAIN, {"connection_id": connection.id, "keys": list(ops)})
    if not again:
        return
    orders = await ordering.lock_orders(tx, [id_ for _, id_, _, _ in again])
    beside = await left(
        tx,
        connection,
        {entity: orders[id_] for entity, id_, _, _ in again},
        [key for *_, keys in again for key in keys],
    )
    flaws = []
    for entity, id_, amount, _ in again:
        rest, stuck = beside[entity]
        if amount <= rest:
            continue
        facts = {
            "number": orders[id_].number,
            "again": Money(amount, connection.currency),
            "amount": Money(max(rest, 0), connection.currency),
        }
        says = N_("Refunds of order {number} would give {again} back; of what is known to be paid, {amount} is left.")
        mend = N_("Say of those that arrived that they did, and drop the others; then ask for what is left.")
        if stuck:
            facts["stuck"] = Money(stuck, connection.currency)
            mend = N_("Refunds of {stuck} wait for a person and count: first say that they arrived, or drop them.")
        flaws.append(Flaw(at, says, mend, facts))
    refuse(flaws)
