"""A planned batch claimed and written in one round trip."""

from collections.abc import Sequence

import msgspec

from malha.capacity import service as capacity
from malha.intake.batch import Batch, Moved
from malha.intake.model import NewOrder, Outcome, Placed, Submission
from malha.inventory import service as inventory
from malha.inventory.ahead import service as ahead
from malha.inventory.allotments import claims as drawn_claims
from malha.inventory.allotments import reads as allotments
from malha.inventory.vendors import service as vendors
from malha.ordering import placing
from malha.payments import service as payments
from malha.platform import audit, outbox, revisions
from malha.platform.db import Actor, Tx
from malha.platform.ids import UUID
from malha.routing import service as decisions


async def write(tx: Tx, batch: Batch, outcomes: list[Outcome | None], revision: int) -> None:
    """Claim and write everything in one round trip; number the replies.

    Raises:
        Moved: a balance, fence or cap refused, a natural key appeared or allotments changed meanwhile.
    """
    allotting = batch.allotting
    slotting = batch.slotting
    async with tx.pipeline():
        booked = await capacity.queue_bookings(tx, slotting.bookings) if slotting.bookings else None
        covers = batch.covering.claims
        supplied = await ahead.queue_claims(tx, covers) if covers else None
        # What is claimed of stock says itself under which allotments.
        since = await revisions.queue_current(tx, allotments.REVISION) if covers and not batch.claims else None
        drawing = None
        drawn: dict[tuple[int, int], int] = {}
        if allotting is not None and (allotting.draws or allotting.uses):
            drawing = await drawn_claims.queue(
                tx, allotting.allotments.caps, allotting.draws, allotting.uses, _actors_by_order(batch)
            )
            drawn = allotting.drawn()
        granted = await inventory.queue_claims(tx, batch.claims, batch.ledger, drawn) if batch.claims else None
        inserted = await placing.insert_orders(tx, batch.new)
        if batch.tenders:
            totals = {order_id: batch.placed[str(order_id)][1].total for order_id, _ in batch.tenders}
            await payments.record_tenders(tx, _tender_rows(batch.tenders), totals)
        taken = await payments.queue_claims(tx, batch.paying) if batch.paying else None
        if batch.decisions:
            await decisions.record_decisions(tx, batch.decisions)
        asked = await vendors.queue_asks(tx, batch.drops)
        await outbox.add_all(tx, batch.events, batch.actors, batch.ats)
        if asked:
            await outbox.add_all(tx, asked)
    applied = booked is None or await booked.applied()
    applied &= drawing is None or await drawing.applied()
    if supplied is not None:
        lines, wanted_lines, counted, wanted_counts = supplied
        applied &= (await lines.fetchall())[0][0] == wanted_lines
        applied &= (await counted.fetchall())[0][0] == wanted_counts
    claimed, under = (0, revision) if granted is None else (await granted.fetchall())[0]
    if since is not None:
        under = sum(n for (n,) in await since.fetchall())
    numbers = dict(await inserted.fetchall())
    applied &= taken is None or len(await taken.fetchall()) == len(batch.paying)
    if under != revision:
        raise Moved(stale=True)
    if claimed != len(batch.claims) or len(numbers) != len(batch.placed) or not applied:
        raise Moved
    for order_id, (position, placed) in batch.placed.items():
        outcomes[position] = msgspec.structs.replace(placed, number=numbers[order_id])


async def keep_trail(tx: Tx, fresh: Sequence[tuple[int, Submission]], outcomes: Sequence[Outcome | None]) -> None:
    """Write down who took orders by hand, and from where; what systems submit stands in the log of events alone."""
    taken = []
    for position, submission in fresh:
        placed = outcomes[position]
        if submission.taken_by is not None and isinstance(placed, Placed):
            facts = {
                "number": placed.number,
                "channel": placed.channel,
                "external_id": placed.external_id,
                "total": placed.total,
            }
            taken.append((Actor(*msgspec.structs.astuple(submission.taken_by)), placed.id, facts))
    await audit.record_of(tx, action="take", entity="order", made=taken)


def _actors_by_order(batch: Batch) -> dict[UUID, str]:
    placed = [placed.id for _, placed in batch.placed.values()]
    return dict(zip(placed, batch.actors, strict=True))


def _tender_rows(tenders: Sequence[tuple[UUID, NewOrder]]) -> list[payments.NewTender]:
    return [
        payments.NewTender(
            order_id=order_id,
            position=position,
            kind=payment.kind,
            amount=payment.amount,
            state=payment.state,
            reference=payment.reference,
            installments=payment.installments,
            expires_at=payment.expires_at,
            occurred_at=payment.paid_at or order.placed_at,
        )
        for order_id, order in tenders
        for position, payment in enumerate(order.payments, 1)
    ]
