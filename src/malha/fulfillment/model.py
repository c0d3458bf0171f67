"""Words of work at a location: its states, reasons for not doing it and what each says of stock, parcels, hand-over."""

from datetime import date, datetime, time
from enum import StrEnum

import msgspec

from malha.capacity.model import Key, Kind
from malha.platform.i18n import N_
from malha.platform.ids import UUID


class WorkState(StrEnum):
    """Where a fulfillment order stands. Derived from its units, except for how it ended."""

    OPEN = "open"  # the location has not answered
    ACCEPTED = "accepted"
    PICKING = "picking"  # some units are picked
    PICKED = "picked"
    PACKED = "packed"  # packed, awaiting its document, or covered by one
    READY = "ready"  # waits for the customer
    CLOSED = "closed"  # everything left
    REJECTED = "rejected"  # the location gave everything back
    CANCELLED = "cancelled"  # the order's units were cancelled


WORK_WORDS: dict[WorkState, str] = {
    WorkState.OPEN: N_("to accept"),
    WorkState.ACCEPTED: N_("accepted"),
    WorkState.PICKING: N_("being picked"),
    WorkState.PICKED: N_("picked"),
    WorkState.PACKED: N_("packed"),
    WorkState.READY: N_("ready for pickup"),
    WorkState.CLOSED: N_("finished"),
    WorkState.REJECTED: N_("rejected"),
    WorkState.CANCELLED: N_("cancelled"),
}
TRANSFER = "transfer"  # the work is to bring goods to the place where their customer fetches them
METHOD_WORDS = {"ship": N_("shipping"), "pickup": N_("pickup"), TRANSFER: N_("transfer to another location")}

PICKUP_DAYS = 7  # that goods wait for a customer, where nobody says otherwise
NOT_COLLECTED = "not_collected"  # why work ended: its goods went back to the shelf

ENDED = frozenset({WorkState.CLOSED, WorkState.REJECTED, WorkState.CANCELLED})


class RejectReason(StrEnum):
    """Why a location does not deliver what it was asked for."""

    NOT_IN_STOCK = "not_in_stock"
    MISMATCH = "mismatch"  # fewer there than the balance says, or another article
    DAMAGED = "damaged"
    DISPLAY_ITEM = "display_item"  # there, but not to be sold from afar
    STORE_CLOSED = "store_closed"
    CAPACITY = "capacity"
    OTHER = "other"


class StockEffect(StrEnum):
    """What a reason says about the stock there."""

    NONE = "none"
    NOTHING_THERE = "nothing_there"  # on hand becomes what is picked already
    FEWER_THERE = "fewer_there"  # on hand falls by the units
    UNSELLABLE = "unsellable"  # as fewer there, booked as damage
    KEPT_BACK = "kept_back"  # safety stock rises by the units


EFFECTS: dict[RejectReason, StockEffect] = {
    RejectReason.NOT_IN_STOCK: StockEffect.NOTHING_THERE,
    RejectReason.MISMATCH: StockEffect.FEWER_THERE,
    RejectReason.DAMAGED: StockEffect.UNSELLABLE,
    RejectReason.DISPLAY_ITEM: StockEffect.KEPT_BACK,
    RejectReason.STORE_CLOSED: StockEffect.NONE,
    RejectReason.CAPACITY: StockEffect.NONE,
    RejectReason.OTHER: StockEffect.NONE,
}


class NotReleased(StrEnum):
    """Why an order is not released now."""

    NOT_FOUND = "not_found"
    ON_HOLD = "on_hold"
    NOT_PAID = "not_paid"
    TOO_EARLY = "too_early"
    NOTHING_TO_RELEASE = "nothing_to_release"
    NO_CAPACITY = "no_capacity"
    LOCATION_SHUT = "location_shut"  # nobody is asked where no work is taken
    AWAITS_TRANSFER = "awaits_transfer"  # what is there waits for what is on its way, to be handed over together


class Work(msgspec.Struct, frozen=True):
    """A fulfillment order, read under its row's lock."""

    id: UUID
    number: int
    order_id: UUID
    location_id: int
    method: str
    service_id: int | None
    state: WorkState
    capacity_day: date
    due_at: datetime
    pickup_code: str | None
    pickup_until: datetime | None
    pickup_misses: int
    version: int
    pickup_expired_at: datetime | None = None  # the window ended before the customer came
    pickup_returned: list[tuple[int, int, int]] | None = None  # (line, SKU id, units) that went back to stock then
    slot_location_id: int | None = None
    slot_starts: time | None = None
    slot_ends: time | None = None
    units: int = 0  # without those that were cancelled or given back; of work that did not happen, those it had
    to_location_id: int | None = None  # of a transfer: where the customer fetches the goods
    transfer_id: UUID | None = None  # what they left with

    @property
    def slot(self) -> Key | None:
        """Return the picking slot it is in; None where its location states none."""
        if self.slot_location_id is None or self.slot_starts is None:
            return None
        return Key(self.slot_location_id, Kind.PICK.value, self.capacity_day, self.slot_starts)


class Released(msgspec.Struct, frozen=True):
    """What a release did: the work it made, and why the other orders were left."""

    work: list[Work]
    left: dict[UUID, NotReleased]


class Picked(msgspec.Struct, frozen=True):
    """Units of a line found and taken; `sku_id` may be left out where the line has one SKU."""

    line: int
    quantity: int
    sku_id: int | None = None


class Short(msgspec.Struct, frozen=True):
    """Units of a line that are not there, or may not go."""

    line: int
    quantity: int
    reason: RejectReason
    sku_id: int | None = None


class Content(msgspec.Struct, frozen=True):
    """Units of a line in a parcel."""

    line: int
    quantity: int
    sku_id: int | None = None


class Parcel(msgspec.Struct, frozen=True):
    """A parcel as packed. A single parcel holds everything; of several, each says its contents."""

    weight_grams: int | None = None
    contents: list[Content] | None = None


class Tracking(msgspec.Struct, frozen=True):
    """How a parcel travels. `shipment_id` may be left out where there is one parcel."""

    shipment_id: UUID | None = None
    carrier: str | None = None
    tracking_code: str | None = None
    tracking_url: str | None = None


class Rerouted(msgspec.Struct, frozen=True):
    """What became of units a location gave back: placed elsewhere, or still waiting for a place."""

    given_back: int
    placed: int
    waiting: int


class HandOver(msgspec.Struct, frozen=True):
    """Whether the code was right. A value, not an error: a wrong code is counted, so the transaction must commit."""

    done: bool
    attempts_left: int
