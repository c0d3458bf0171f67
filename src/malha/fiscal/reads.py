"""Fiscal documents, as people look at them."""

from datetime import datetime

import msgspec

from malha.platform.db import Tx
from malha.platform.ids import UUID


class DocumentRow(msgspec.Struct, frozen=True, kw_only=True):
    """A document with its issuer."""

    id: UUID
    model: str
    series: int
    number: int
    access_key: str
    operation: str
    state: str
    provider: str
    source_kind: str
    source_id: UUID
    total: int
    issued_at: datetime
    authorised_at: datetime | None
    cancelled_at: datetime | None
    issuer: str
    issuer_cnpj: str


# By the order's lines: primary key prefix of fiscal_line's index on (order_id, line).
DOCUMENTS_OF_ORDER = """
SELECT d.id, d.model, d.series, d.number, d.access_key, d.operation, d.state, d.provider, d.source_kind, d.source_id,
       d.total, d.issued_at, d.authorised_at, d.cancelled_at, e.name AS issuer, e.cnpj AS issuer_cnpj
FROM fiscal_document d JOIN establishment e ON e.id = d.establishment_id
WHERE d.id IN (SELECT l.document_id FROM fiscal_line l WHERE l.order_id = %(id)s::uuid)
ORDER BY d.issued_at, d.id
"""
# By the unique index on the access key, then the primary key prefix of the lines.
ORDERS_OF_KEY = """
SELECT DISTINCT l.order_id FROM fiscal_document d JOIN fiscal_line l ON l.document_id = d.id
WHERE d.access_key = %(key)s::bpchar
"""


async def orders_of_key(tx: Tx, access_key: str) -> list[UUID]:
    """Return the orders whose units the document with this access key covers."""
    return await tx.values(ORDERS_OF_KEY, {"key": access_key})


async def of_order(tx: Tx, order_id: UUID) -> list[DocumentRow]:
    """Return the documents that cover units of an order, cancelled ones too."""
    return await tx.all(DocumentRow, DOCUMENTS_OF_ORDER, {"id": order_id})
