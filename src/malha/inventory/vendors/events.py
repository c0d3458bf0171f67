"""What becomes of what vendors are asked to send, for those who tell them and follow it."""

from datetime import date
from typing import ClassVar

from malha.platform.ids import UUID
from malha.platform.outbox import Event


class DropEvent(Event, frozen=True, kw_only=True):
    """Base: the aggregate is a drop-ship order; `order_id` is the customer's order, `location_id` the vendor."""

    TYPE: ClassVar[str] = "drop_ship"
    KIND: ClassVar[str] = "drop_ship"

    order_id: UUID
    location_id: int


class DropShipAsked(DropEvent, frozen=True, kw_only=True):
    """A vendor is asked to send goods to a customer by a day; `lines` are (line, SKU id, units, centavos a unit)."""

    TYPE: ClassVar[str] = "drop_ship.asked"

    leaves_on: date
    lines: list[tuple[int, int, int, int]]


class DropShipAccepted(DropEvent, frozen=True, kw_only=True):
    """The vendor sends it, by this day."""

    TYPE: ClassVar[str] = "drop_ship.accepted"

    leaves_on: date


class DropShipRefused(DropEvent, frozen=True, kw_only=True):
    """The vendor does not send goods, and another place is sought for them; `lines` are (line, SKU id, units)."""

    TYPE: ClassVar[str] = "drop_ship.refused"

    reason: str
    lines: list[tuple[int, int, int]]


class DropShipSent(DropEvent, frozen=True, kw_only=True):
    """Goods left the vendor as work of the order; `lines` are (line, SKU id, units)."""

    TYPE: ClassVar[str] = "drop_ship.sent"

    fulfillment_id: UUID
    lines: list[tuple[int, int, int]]


class DropShipCancelled(DropEvent, frozen=True, kw_only=True):
    """The vendor is not to send goods any more; `lines` are (line, SKU id, units). `whole`: nothing is left of it."""

    TYPE: ClassVar[str] = "drop_ship.cancelled"

    lines: list[tuple[int, int, int]]
    whole: bool
