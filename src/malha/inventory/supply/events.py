"""What happens to what is expected, for those who promise with it."""

from datetime import date
from typing import ClassVar

from malha.platform.ids import UUID
from malha.platform.outbox import Event


class InboundEvent(Event, frozen=True, kw_only=True):
    """Base: the aggregate is a purchase or production order."""

    TYPE: ClassVar[str] = "inbound"
    KIND: ClassVar[str] = "inbound"

    location_id: int


class InboundPlaced(InboundEvent, frozen=True, kw_only=True):
    """Goods are expected; `lines` are (line, SKU id, quantity, date)."""

    TYPE: ClassVar[str] = "inbound.placed"

    number: int
    kind: str
    lines: list[tuple[int, int, int, date]]


class InboundChanged(InboundEvent, frozen=True, kw_only=True):
    """Other quantities are expected, or other goods too.

    `lines` are (line, SKU id, ordered until now, ordered from now on), `added` are (line, SKU id, quantity, date).
    """

    TYPE: ClassVar[str] = "inbound.changed"

    reason: str
    state: str
    lines: list[tuple[int, int, int, int]]
    added: list[tuple[int, int, int, date]]


class IncomingRescheduled(InboundEvent, frozen=True, kw_only=True):
    """Goods come on another day; `moves` are (line, SKU id, units still expected, was, became)."""

    TYPE: ClassVar[str] = "inbound.rescheduled"

    reason: str
    moves: list[tuple[int, int, int, date, date]]


class InboundDropped(InboundEvent, frozen=True, kw_only=True):
    """Goods that were expected will not come; `lines` are (line, SKU id, units)."""

    TYPE: ClassVar[str] = "inbound.dropped"

    reason: str
    lines: list[tuple[int, int, int]]


class InboundReceived(InboundEvent, frozen=True, kw_only=True):
    """Goods of an order came; `lines` are (line, SKU id, units)."""

    TYPE: ClassVar[str] = "inbound.received"

    receipt_id: UUID
    state: str
    lines: list[tuple[int, int, int]]


class ReceiptTakenBack(InboundEvent, frozen=True, kw_only=True):
    """A receipt on an order was a mistake: its goods are expected again; `lines` are (line, SKU id, units)."""

    TYPE: ClassVar[str] = "inbound.receipt_undone"

    receipt_id: UUID
    reason: str
    lines: list[tuple[int, int, int]]
