"""What happens to an order. Payloads hold ids and quantities, no personal data."""

from typing import Any, ClassVar

import msgspec

from malha.platform.outbox import Event


class OrderEvent(Event, frozen=True, kw_only=True):
    """Base: the aggregate is the order."""

    TYPE: ClassVar[str] = "order"
    KIND: ClassVar[str] = "order"


class OrderPlaced(OrderEvent, frozen=True, kw_only=True):
    """An order was accepted: reserved, backordered or on hold, as its units and holds say."""

    TYPE: ClassVar[str] = "order.placed"

    number: int
    channel_id: int
    total: int
    status: str
    holds: list[str] = msgspec.field(default_factory=list)
    locations: list[int] = msgspec.field(default_factory=list)
    attributes: dict[str, Any] | None = None
