"""Fiscal documents as somebody else issued them."""

from typing import Annotated

import msgspec
from msgspec import Meta

from malha.api.work import Work, command, query
from malha.catalog import reads as catalog
from malha.fiscal import reads, service
from malha.fiscal.model import Covered, DocumentFacts, Provider, Recorded
from malha.ordering import service as ordering
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_
from malha.platform.ids import UUID
from malha.platform.shapes import Instant

TAG = "fiscal documents"


class CoveredLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Units of a SKU on the document. For a kit, each component is a line of its own."""

    line: Annotated[int, Meta(ge=1, le=32_767)]
    sku: Annotated[str, Meta(min_length=1, max_length=80)]
    quantity: Annotated[int, Meta(ge=1, le=1_000_000)]


class RecordDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An authorised document. Model, series and number are in the key; where given they must agree with it.

    Without lines it covers what was packed; with them every difference is refused. `issued_at` has a time zone, is not
    still to come, and not from before the order. `total` in centavos: one that the goods are not worth, with or without
    discounts and freight, is refused unless `total_reason` says why it is right, which is kept in the audit trail.
    """

    access_key: Annotated[str, Meta(min_length=44, max_length=60)]
    issued_at: Instant | None = None
    provider: Provider = Provider.MANUAL
    protocol: Annotated[str, Meta(max_length=60)] | None = None
    total: Annotated[int, Meta(ge=0, le=10**12)] | None = None
    total_reason: Annotated[str, Meta(min_length=1, max_length=400)] | None = None
    model: Annotated[str, Meta(max_length=2)] | None = None
    series: Annotated[int, Meta(ge=0, le=999)] | None = None
    number: Annotated[int, Meta(ge=1, le=999_999_999)] | None = None
    lines: Annotated[list[CoveredLine], Meta(max_length=1_000)] | None = None


class CancelDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why it was cancelled."""

    reason: Annotated[str, Meta(min_length=1, max_length=400)]


@query("/orders/{order_id:uuid}/documents", permission="orders:read", tag=TAG)
async def list_documents(work: Work, order_id: UUID) -> list[reads.DocumentRow]:
    """Return the documents that cover units of an order, cancelled ones too."""
    await ordering.open_order(work.tx, order_id)
    return await reads.of_order(work.tx, order_id)


@command("/fulfillments/{fulfillment_id:uuid}/document", permission="fiscal:record", idempotent=False, tag=TAG)
async def record_document(work: Work, fulfillment_id: UUID, data: RecordDocument) -> Recorded:
    """Record the document that covers a packed piece of work; its goods may leave then.

    The issuer is the establishment that owns the stock. The same key for the same work again answers the same
    (`repeated: true`). One document lives for a piece of work.
    """
    facts = DocumentFacts(
        access_key=data.access_key,
        issued_at=data.issued_at,
        provider=data.provider,
        protocol=data.protocol,
        total=data.total,
        total_reason=data.total_reason,
        model=data.model,
        series=data.series,
        number=data.number,
        lines=None if data.lines is None else await _covered(work, data.lines),
    )
    return await service.record_document(work.tx, fulfillment_id, facts)


async def _covered(work: Work, lines: list[CoveredLine]) -> list[Covered]:
    ids = {card.sku: card.id for card in await catalog.by_skus(work.tx, sorted({x.sku for x in lines}))}
    says = N_("There is no SKU {sku} in the catalogue.")
    refuse([Flaw(f"lines/{i}/sku", says, facts={"sku": x.sku}) for i, x in enumerate(lines) if x.sku not in ids])
    return [Covered(x.line, ids[x.sku], x.quantity) for x in lines]


@command("/documents/{document_id:uuid}/cancel", permission="fiscal:record", tag=TAG)
async def cancel_document(work: Work, document_id: UUID, data: CancelDocument) -> Recorded:
    """Record that a document was cancelled before its goods left; they wait for another one."""
    return await service.cancel_document(work.tx, document_id, reason=data.reason)


handlers = [list_documents, record_document, cancel_document]
