"""What happens to an order. Payloads hold ids and quantities, no personal data."""

from datetime import datetime
from typing import ClassVar

import msgspec

from malha.platform.outbox import Event


class OrderEvent(Event, frozen=True, kw_only=True):
    """Base: the aggregate is the order."""

    TYPE: ClassVar[str] = "order"
    KIND: ClassVar[str] = "order"


class OrderPlaced(OrderEvent, frozen=True, kw_only=True):
    """An order was accepted: reserved, backordered or on hold, as its units and holds say."""

    TYPE: ClassVar[str] = "order.placed"

    channel_id: int
    total: int
    status: str
    holds: list[str] = msgspec.field(default_factory=list)
    locations: list[int] = msgspec.field(default_factory=list)


class OrderCancelled(OrderEvent, frozen=True, kw_only=True):
    """Units were cancelled, in part or all; `lines` says how many sold units of which line."""

    TYPE: ClassVar[str] = "order.cancelled"

    lines: dict[int, int]
    amount: int  # centavos taken off the total
    whole: bool  # nothing is left of the order
    reason: str
    locations: list[int] = msgspec.field(default_factory=list)  # where claims were given back


class HoldPlaced(OrderEvent, frozen=True, kw_only=True):
    """The order waits for a reason."""

    TYPE: ClassVar[str] = "order.hold_placed"

    kind: str
    note: str = ""


class HoldResolved(OrderEvent, frozen=True, kw_only=True):
    """A reason to wait is gone. `forced`: a person overrode a hold that only its cause lifts."""

    TYPE: ClassVar[str] = "order.hold_resolved"

    kind: str
    resolution: str = ""
    forced: bool = False


class SlotChanged(OrderEvent, frozen=True, kw_only=True):
    """The order has another pickup or delivery slot than before, or (without a day) none any more."""

    TYPE: ClassVar[str] = "order.slot_changed"

    slot: str  # "pickup" or "delivery"
    location_id: int
    day: str | None = None
    starts: str | None = None
    ends: str | None = None
    former_day: str | None = None
    former_starts: str | None = None
    why: str = ""


class DetailsChanged(OrderEvent, frozen=True, kw_only=True):
    """What the order says besides what is bought is another now, by the channel; `fields` are their names."""

    TYPE: ClassVar[str] = "order.details_changed"

    fields: list[str]


class OrderTagged(OrderEvent, frozen=True, kw_only=True):
    """A person or a program added tags to the order, or took some away."""

    TYPE: ClassVar[str] = "order.tagged"

    added: list[str]
    removed: list[str]


class AddressChanged(OrderEvent, frozen=True, kw_only=True):
    """The order goes elsewhere: where it comes from must be decided again."""

    TYPE: ClassVar[str] = "order.address_changed"

    state: str
    former_state: str | None = None


class BuyerChanged(OrderEvent, frozen=True, kw_only=True):
    """Data of the buyer were corrected; which, not what."""

    TYPE: ClassVar[str] = "order.buyer_changed"

    fields: list[str]


class NoteAdded(OrderEvent, frozen=True, kw_only=True):
    """Someone wrote a note."""

    TYPE: ClassVar[str] = "order.note_added"

    note_id: str


class LineMapped(OrderEvent, frozen=True, kw_only=True):
    """A line's unknown SKU was given a meaning."""

    TYPE: ClassVar[str] = "order.line_mapped"

    line: int
    sku_text: str
    sku_id: int
    complete: bool  # no unknown SKU is left on the order


class LineReplaced(OrderEvent, frozen=True, kw_only=True):
    """Units of a line that could not be had were retired, and those of another SKU stand in for them, as a new line."""

    TYPE: ClassVar[str] = "order.line_replaced"

    line: int
    by_line: int
    quantity: int  # sold units
    sku_id: int
    by_sku_id: int
    amount: int  # centavos that the order costs less; never below zero


class OrderRouted(OrderEvent, frozen=True, kw_only=True):
    """Waiting units found a location. `attempt` is the routing decision; `placed` (line, location, sold units).

    `dropped` are asked of vendors: (line, location of the vendor, sold units); they are among `unplaced`, too.

    Where a wave moved units that had one: centavos that this order and all that moved with it cost less.
    """

    TYPE: ClassVar[str] = "order.routed"

    attempt: int
    placed: list[tuple[int, int, int]]
    unplaced: list[tuple[int, int]] = msgspec.field(default_factory=list)
    dropped: list[tuple[int, int, int]] = msgspec.field(default_factory=list)
    saved: int | None = None
    saved_together: int | None = None


class OrderSupplied(OrderEvent, frozen=True, kw_only=True):
    """Goods that units were waiting for arrived, and are allocated to them; `placed` are (line, location, units)."""

    TYPE: ClassVar[str] = "order.supplied"

    placed: list[tuple[int, int, int]]


class OrderAwaitsSupply(OrderEvent, frozen=True, kw_only=True):
    """Units without stock wait for supply that is expected; `lines` are (line, units)."""

    TYPE: ClassVar[str] = "order.awaits_supply"

    lines: list[tuple[int, int]]


class OrderLate(OrderEvent, frozen=True, kw_only=True):
    """The promised day is over and not everything has left. Recorded once for each promise."""

    TYPE: ClassVar[str] = "order.late"

    promised_at: datetime


class OrderRepromised(OrderEvent, frozen=True, kw_only=True):
    """Another day was promised, for the whole order or for `lines`."""

    TYPE: ClassVar[str] = "order.repromised"

    promised_at: datetime
    former_at: datetime | None
    why: str  # ordering.model.PromiseReason
    lines: list[int] = msgspec.field(default_factory=list)  # empty: the whole order
