"""What happens to the work for an order. Part of the order's life: the aggregate is the order."""

from datetime import datetime
from typing import Any, ClassVar

import msgspec

from malha.ordering.events import OrderEvent
from malha.platform.ids import UUID


class WorkEvent(OrderEvent, frozen=True, kw_only=True):
    """Base: about one fulfillment order at one location."""

    TYPE: ClassVar[str] = "fulfillment"

    fulfillment_id: UUID
    number: int
    location_id: int


class WorkReleased(WorkEvent, frozen=True, kw_only=True):
    """A location is asked for units."""

    TYPE: ClassVar[str] = "fulfillment.released"

    units: int
    due_at: datetime


class WorkMoved(WorkEvent, frozen=True, kw_only=True):
    """The location does the work in another picking slot than it was given: it was closed, or a person moved the work.

    Days are dates, times of day are on the location's clock; where the work was in no slot, `former_starts` is empty.
    """

    TYPE: ClassVar[str] = "fulfillment.moved"

    day: str
    starts: str
    ends: str
    due_at: datetime
    former_day: str
    former_starts: str
    note: str = ""  # why, where a person did it


class WorkAccepted(WorkEvent, frozen=True, kw_only=True):
    """The location does the work."""

    TYPE: ClassVar[str] = "fulfillment.accepted"


class WorkRejected(WorkEvent, frozen=True, kw_only=True):
    """The location gave everything back."""

    TYPE: ClassVar[str] = "fulfillment.rejected"

    reason: str
    note: str
    units: int
    lines: list[tuple[int, int, int]] = msgspec.field(default_factory=list)  # (line, SKU id, quantity)


class UnitsPicked(WorkEvent, frozen=True, kw_only=True):
    """Units were found and taken; `lines` are (line, SKU id, quantity)."""

    TYPE: ClassVar[str] = "fulfillment.picked"

    lines: list[tuple[int, int, int]]


class UnitsShort(WorkEvent, frozen=True, kw_only=True):
    """Units were not there, or may not go; `lines` are (line, SKU id, quantity, reason).

    `companions`, (line, SKU id, quantity), went back with them: a kit comes from one place or not at all.
    """

    TYPE: ClassVar[str] = "fulfillment.short"

    lines: list[tuple[int, int, int, str]]
    companions: list[tuple[int, int, int]] = msgspec.field(default_factory=list)


class WorkPacked(WorkEvent, frozen=True, kw_only=True):
    """Everything picked is in parcels."""

    TYPE: ClassVar[str] = "fulfillment.packed"

    parcels: int
    weight_grams: int | None
    units: int
    awaits_document: bool


class WorkShipped(WorkEvent, frozen=True, kw_only=True):
    """The parcels left."""

    TYPE: ClassVar[str] = "fulfillment.shipped"

    shipments: list[dict[str, Any]]
    units: int


class WorkSent(WorkEvent, frozen=True, kw_only=True):
    """Goods left for the place where their customer fetches them, by a transfer with a number."""

    TYPE: ClassVar[str] = "fulfillment.sent"

    to_location_id: int
    transfer: int
    units: int


class WorkArrived(WorkEvent, frozen=True, kw_only=True):
    """Goods came to the place where their customer fetches them; `missing` units of the transfer will not come.

    `location_id` is that place; the goods that came are allocated to the order there.
    """

    TYPE: ClassVar[str] = "fulfillment.arrived"

    transfer: int
    units: int
    missing: int = 0


class ShipmentOut(OrderEvent, frozen=True, kw_only=True):
    """A parcel was taken out for delivery: it comes today."""

    TYPE: ClassVar[str] = "shipment.out_for_delivery"

    shipment_id: UUID
    out_at: datetime


class ShipmentDelivered(OrderEvent, frozen=True, kw_only=True):
    """A parcel arrived."""

    TYPE: ClassVar[str] = "shipment.delivered"

    shipment_id: UUID
    units: int
    delivered_at: datetime


class WorkReady(WorkEvent, frozen=True, kw_only=True):
    """The customer may collect; the code is not in the log."""

    TYPE: ClassVar[str] = "fulfillment.ready"

    until: datetime
    renewed: bool = False


class PickupExpiring(WorkEvent, frozen=True, kw_only=True):
    """The window ends soon: the customer is to be reminded."""

    TYPE: ClassVar[str] = "fulfillment.pickup_expiring"

    until: datetime
    units: int


class PickupExpired(WorkEvent, frozen=True, kw_only=True):
    """The window ended and nobody came. `document_stands`: the goods go back when their document is cancelled."""

    TYPE: ClassVar[str] = "fulfillment.pickup_expired"

    until: datetime
    units: int
    document_stands: bool


class PickupReturned(WorkEvent, frozen=True, kw_only=True):
    """Goods nobody collected are stock again; `lines` are (line, SKU id, quantity)."""

    TYPE: ClassVar[str] = "fulfillment.pickup_returned"

    lines: list[tuple[int, int, int]]


class PickupExtended(WorkEvent, frozen=True, kw_only=True):
    """The customer gets more time. `taken_back`: the goods had gone back to stock and are set aside again."""

    TYPE: ClassVar[str] = "fulfillment.pickup_extended"

    until: datetime
    taken_back: bool = False


class PickupRefused(WorkEvent, frozen=True, kw_only=True):
    """Somebody showed a wrong code."""

    TYPE: ClassVar[str] = "fulfillment.pickup_refused"

    attempts_left: int


class WorkCollected(WorkEvent, frozen=True, kw_only=True):
    """The customer, or who came for the customer, has the goods."""

    TYPE: ClassVar[str] = "fulfillment.collected"

    shipment_id: UUID | None
    units: int


class WorkCancelled(WorkEvent, frozen=True, kw_only=True):
    """Nothing is left to do: all units of the work were cancelled."""

    TYPE: ClassVar[str] = "fulfillment.cancelled"
