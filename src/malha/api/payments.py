"""What happened with money: tenders and the facts on them."""

from typing import Annotated

import msgspec
from msgspec import Meta

from malha.api.orders_actions import open_order
from malha.api.work import Work, command, query
from malha.ordering import service as ordering
from malha.payments import reads, service
from malha.payments.model import Fact, FactKind, NewTender, Standing, TenderKind
from malha.platform import paging
from malha.platform.ids import UUID
from malha.platform.paging import Page
from malha.platform.shapes import Instant

TAG = "payments"
Centavos = Annotated[int, Meta(ge=1, le=10**12)]
Reference = Annotated[str, Meta(min_length=1, max_length=200)]


class AddTender(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the customer pays with. `state` says what already happened with the whole amount, which is in centavos."""

    kind: TenderKind
    amount: Centavos
    state: Annotated[str, Meta(pattern="^(pending|authorised|captured)$")] = "pending"
    reference: Reference | None = None
    installments: Annotated[int, Meta(ge=1, le=99)] = 1
    expires_at: Instant | None = None
    occurred_at: Instant | None = None


class RecordFact(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What happened on a tender. With the tender and the kind, `reference` is the fact's natural key.

    `favour`: a refund that is due for nothing that was cancelled, as an apology is.
    """

    position: Annotated[int, Meta(ge=1, le=1_000)]
    kind: FactKind
    amount: Centavos
    reference: Reference
    occurred_at: Instant | None = None
    favour: bool = False


class PaymentView(msgspec.Struct, frozen=True, kw_only=True):
    """An order's payment: how it stands, its tenders, its ledger."""

    standing: Standing
    tenders: list[reads.TenderRow]
    entries: list[reads.EntryRow]


@query("/refunds-due", permission="orders:read", tag=TAG)
async def list_refunds_due(
    work: Work, q: str = "", cursor: str | None = None, limit: int | None = None
) -> Page[reads.RefundDue]:
    """List orders of which money is to be given back, the newest first; `q` finds a number or a channel.

    They were paid twice or too much, or something was cancelled or replaced after it was paid. None is held for it:
    what is left of it goes on, and `refund_due` centavos are to be given back. Once that is recorded as a refund, the
    order is not listed any more.
    """
    size = paging.bounded(limit)
    after = paging.position(cursor, "refunds-due", (UUID,))
    rows = await reads.refunds_due(
        work.tx, text=q.strip(), scope=work.actor.scope, after=after[0] if after else None, limit=size + 1
    )
    return paging.page_of(rows, size, "refunds-due", lambda row: (row.order_id,))


@query("/orders/{order_id:uuid}/payments", permission="orders:read", tag=TAG)
async def get_payments(work: Work, order_id: UUID) -> PaymentView:
    """Return how an order's payment stands, with its tenders and its ledger, oldest first."""
    await ordering.open_order(work.tx, order_id)
    return PaymentView(
        standing=await service.standing(work.tx, order_id),
        tenders=await reads.tenders(work.tx, order_id),
        entries=await reads.entries(work.tx, order_id),
    )


@command("/orders/{order_id:uuid}/tenders", permission="payments:record", tag=TAG)
async def add_tender(work: Work, order_id: UUID, data: AddTender) -> Standing:
    """Record that the customer pays with something more, or something else.

    Of one kind, `reference` tells payments of an order apart: the same one again adds nothing, with another amount it
    is refused. What happened on it since (`state`) is recorded on the tender there is. A PIX that is recorded on
    an order of another channel is refused.
    """
    await open_order(work, order_id)
    tender = NewTender(
        order_id=order_id,
        position=0,
        kind=data.kind.value,
        amount=data.amount,
        state=data.state,
        reference=data.reference,
        installments=data.installments,
        expires_at=data.expires_at,
        occurred_at=data.occurred_at,
    )
    return await service.add_tender(work.tx, order_id, tender)


@command("/orders/{order_id:uuid}/payments", permission="payments:record", idempotent=False, tag=TAG)
async def record_payment(work: Work, order_id: UUID, data: RecordFact) -> Standing:
    """Record what happened on a tender: authorised, captured, refunded, charged back, voided, declined.

    The same fact again answers the same (`repeated: true`) and changes nothing; with another amount it is refused, and
    so is a PIX that is recorded on an order of another channel. No tender gives back more than it took, but a bank may
    charge back what was refunded before: it is recorded, and `lost` says what went back twice. A refund that is a
    `favour` takes nothing off `refund_due`, whether it comes before a cancel or after it; it is no other refund than
    the one that was recorded under its reference. A payment hold is lifted when enough is secured.
    """
    await open_order(work, order_id)
    fact = Fact(
        position=data.position,
        kind=data.kind,
        amount=data.amount,
        reference=data.reference,
        occurred_at=data.occurred_at,
        favour=data.favour,
    )
    return await service.record_fact(work.tx, order_id, fact)


handlers = [list_refunds_due, get_payments, add_tender, record_payment]
