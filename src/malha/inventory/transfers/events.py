"""What happens to transfers."""

from datetime import date
from typing import ClassVar

from malha.platform.ids import UUID
from malha.platform.outbox import Event


class TransferEvent(Event, frozen=True, kw_only=True):
    """Base: the aggregate is the transfer."""

    TYPE: ClassVar[str] = "transfer"
    KIND: ClassVar[str] = "transfer"

    number: int
    origin_id: int
    destination_id: int


class TransferRequested(TransferEvent, frozen=True, kw_only=True):
    """Goods are asked for; `lines` are (line, SKU id, units)."""

    TYPE: ClassVar[str] = "transfer.requested"

    lines: list[tuple[int, int, int]]


class TransferApproved(TransferEvent, frozen=True, kw_only=True):
    """Goods are set aside at the origin; `lines` are (line, SKU id, units)."""

    TYPE: ClassVar[str] = "transfer.approved"

    lines: list[tuple[int, int, int]]


class TransferShipped(TransferEvent, frozen=True, kw_only=True):
    """Goods are on their way; `lines` are (line, SKU id, units)."""

    TYPE: ClassVar[str] = "transfer.shipped"

    lines: list[tuple[int, int, int]]
    document: str | None = None
    shipment: int = 1
    to_ship: int = 0


class TransferClosedShort(TransferEvent, frozen=True, kw_only=True):
    """The rest of a transfer does not leave; `lines` are (line, SKU id, units) of what is free again at the origin."""

    TYPE: ClassVar[str] = "transfer.closed_short"

    reason: str
    lines: list[tuple[int, int, int]]


class TransferRescheduled(TransferEvent, frozen=True, kw_only=True):
    """Goods come on another day; `lines` are (line, SKU id, units) of those that are still to come.

    `was` is null where nobody had stated a day, `shipment` where it is not one that moved.
    """

    TYPE: ClassVar[str] = "transfer.rescheduled"

    reason: str
    was: date | None
    became: date
    lines: list[tuple[int, int, int]]
    shipment: int | None = None


class TransferReceived(TransferEvent, frozen=True, kw_only=True):
    """Goods arrived; `lines` are (line, SKU id, units) of those that were sent.

    `shipment` is null where they came from several.
    """

    TYPE: ClassVar[str] = "transfer.received"

    receipt_id: UUID
    lines: list[tuple[int, int, int]]
    missing: int
    damaged: int
    excess: int
    shipment: int | None = None


class DiscrepancyDecided(TransferEvent, frozen=True, kw_only=True):
    """Somebody said what became of units that did not arrive as they left."""

    TYPE: ClassVar[str] = "transfer.discrepancy_decided"

    discrepancy_id: UUID
    kind: str
    decision: str
    sku_id: int
    units: int


class TransferCancelled(TransferEvent, frozen=True, kw_only=True):
    """Nothing leaves; what was set aside is free again."""

    TYPE: ClassVar[str] = "transfer.cancelled"

    reason: str
