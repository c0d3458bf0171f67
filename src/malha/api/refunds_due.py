"""Recording that all refunds which a search finds were given back: what is due of them, batches, and their end."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from malha.api.work import Work, command, query
from malha.payments import giving_back
from malha.payments import giving_back_reads as reads
from malha.payments.giving_back_reads import Batch, Refused
from malha.platform import paging
from malha.platform.i18n import current_language
from malha.platform.ids import UUID
from malha.platform.paging import Page

TAG = "payments"
Text = Annotated[str, Meta(max_length=200)]


class RefundSum(msgspec.Struct, frozen=True):
    """What is due in one currency, of how many orders. `due` is in centavos."""

    currency: str
    orders: int
    due: int


class RefundsFound(msgspec.Struct, frozen=True, kw_only=True):
    """What is due of all orders that a search finds and no batch has; `mark` is another one as soon as it is."""

    sums: list[RefundSum]
    mark: str


class RecordRefunds(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All refunds that `q` finds were given back, under one `reference`. `mark` is of what was seen of them before."""

    reference: Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\S")]
    mark: Annotated[str, Meta(max_length=2_000)]
    q: Text = ""


class RefundBatch(msgspec.Struct, frozen=True, kw_only=True):
    """Refunds that are recorded together, and how far that is.

    `state`: going, done, or stopped. `left` is of how many orders nothing was recorded or refused: they wait for their
    turn, or are still due where it was stopped.
    """

    number: int
    reference: str
    q: str
    state: Literal["going", "done", "stopped"]
    orders: int
    recorded: int
    refused: int
    left: int
    person: str
    begun_at: datetime
    ended_at: datetime | None


class RefundBatchSums(RefundBatch, frozen=True, kw_only=True):
    """The same, with what was due of its orders when it began."""

    sums: list[RefundSum]


class RefusedRefund(msgspec.Struct, frozen=True, kw_only=True):
    """An order of which a batch recorded nothing, what was due of it in centavos, and why."""

    order_id: UUID
    order: int
    currency: str
    due: int
    why: str


@query("/refunds-due/sums", permission="orders:read", tag=TAG)
async def sum_refunds_due(work: Work, q: Text = "") -> RefundsFound:
    """Return what is due of all orders that a search finds, and the mark under which it is recorded.

    `q` as in the list. What a batch is just recording is not among it.
    """
    found = await reads.found(work.tx, q.strip())
    return RefundsFound(sums=_sums(found), mark=reads.mark_of(found))


@command("/refunds-due/batches", permission="payments:record", status=201, tag=TAG)
async def record_refunds(work: Work, data: RecordRefunds) -> RefundBatchSums:
    """Have it recorded that all refunds which a search finds were given back, as they were seen; answers the batch.

    A worker records them order by order. Of an order of which something else is due by its turn nothing is recorded:
    it stays due, and the batch says why. Where what is due is no longer what was seen, nothing begins: 409.
    """
    number = await giving_back.begin(work.tx, data.reference.strip(), data.q.strip(), data.mark)
    work.created(f"/v1/refunds-due/batches/{number}")
    return await _batch(work, number)


@query("/refunds-due/batches", permission="orders:read", tag=TAG)
async def list_refund_batches(work: Work, cursor: str | None = None, limit: int | None = None) -> Page[RefundBatch]:
    """List refunds that were recorded together, the newest first; who is limited to locations sees their own."""
    size = paging.bounded(limit)
    before = paging.position(cursor, "refund-batches", (int,))
    rows = await reads.batches(work.tx, size + 1, before=before[0] if before else None)
    page = paging.page_of(rows, size, "refund-batches", lambda row: (row.number,))
    return Page([RefundBatch(**_facts(row)) for row in page.items], page.next)


@query("/refunds-due/batches/{number:int}", permission="orders:read", tag=TAG)
async def get_refund_batch(work: Work, number: int) -> RefundBatchSums:
    """Return how far refunds are that are recorded together."""
    return await _batch(work, number)


@query("/refunds-due/batches/{number:int}/refused", permission="orders:read", tag=TAG)
async def list_refused_refunds(
    work: Work, number: int, cursor: str | None = None, limit: int | None = None
) -> Page[RefusedRefund]:
    """List the orders of which a batch recorded nothing, with why, the newest first. What is due of them stays so."""
    size = paging.bounded(limit)
    after = paging.position(cursor, "refused-refunds", (UUID,))
    batch = await reads.batch(work.tx, number)
    rows = await reads.refused(work.tx, batch.id, size + 1, after=after[0] if after else None)
    page = paging.page_of(rows, size, "refused-refunds", lambda row: (row.order_id,))
    return Page([_refused(row) for row in page.items], page.next)


@command("/refunds-due/batches/{number:int}/stop", permission="payments:record", tag=TAG)
async def stop_refund_batch(work: Work, number: int) -> RefundBatchSums:
    """Stop recording: what is recorded stays so, the rest stays due and can be asked for again."""
    await giving_back.stop(work.tx, number)
    return await _batch(work, number)


async def _batch(work: Work, number: int) -> RefundBatchSums:
    batch = await reads.batch(work.tx, number)
    return RefundBatchSums(**_facts(batch), sums=_sums(await reads.taken(work.tx, batch.id)))


def _facts(batch: Batch) -> dict[str, Any]:
    same = ("number", "reference", "state", "orders", "recorded", "refused", "left", "person", "begun_at", "ended_at")
    return {"q": batch.sought, **{name: getattr(batch, name) for name in same}}


def _sums(found: list[reads.Found]) -> list[RefundSum]:
    return [RefundSum(each.currency, each.orders, each.due) for each in found]


def _refused(row: Refused) -> RefusedRefund:
    return RefusedRefund(
        order_id=row.order_id,
        order=row.number,
        currency=row.currency,
        due=row.due,
        why=giving_back.why(row, current_language()),
    )


handlers = [
    sum_refunds_due,
    record_refunds,
    list_refund_batches,
    get_refund_batch,
    list_refused_refunds,
    stop_refund_batch,
]
