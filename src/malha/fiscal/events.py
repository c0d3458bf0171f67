"""What happens to the documents of an order. Part of the order's life: the aggregate is the order."""

from typing import ClassVar

from malha.ordering.events import OrderEvent
from malha.platform.ids import UUID


class DocumentRecorded(OrderEvent, frozen=True, kw_only=True):
    """An authorised document covers what was packed; the goods may leave."""

    TYPE: ClassVar[str] = "fiscal.document_recorded"

    document_id: UUID
    fulfillment_id: UUID
    model: str
    series: int
    number: int
    total: int
    quantity: int
    provider: str


class DocumentCancelled(OrderEvent, frozen=True, kw_only=True):
    """A document was cancelled before the goods left; they need another one."""

    TYPE: ClassVar[str] = "fiscal.document_cancelled"

    document_id: UUID
    fulfillment_id: UUID
    model: str
    series: int
    number: int
    reason: str
