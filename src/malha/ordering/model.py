"""Words of an order: unit states and how they may follow one another, header status, typed holds.

The unit is the truth. A header status is derived from units, open holds and payment (`rules.derive_status`), stored on
the order for lists, and never drives anything.
"""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, NewType

import msgspec
from msgspec import Meta

from malha.platform.address import Address
from malha.platform.i18n import N_, Word
from malha.platform.ids import UUID

__all__ = [
    "AUTOMATIC_HOLDS",
    "CLAIMING",
    "GONE",
    "MONEY_HOLDS",
    "STOPPING_HOLDS",
    "TRANSITIONS",
    "WAITING",
    "Address",
    "CancelWish",
    "Cancellation",
    "Hold",
    "HoldKind",
    "Line",
    "LineDetails",
    "Move",
    "Order",
    "OrderDetails",
    "OrderId",
    "OrderStatus",
    "PromiseReason",
    "Unit",
    "UnitState",
    "word_of",
]

OrderId = NewType("OrderId", UUID)


class UnitState(StrEnum):
    """Where one unit of a line stands."""

    UNPLACED = "unplaced"  # no location has it yet: unknown SKU, shortage held, every location tried
    BACKORDERED = "backordered"  # accepted without stock, waits for supply
    ALLOCATED = "allocated"  # claimed at a location, work not yet released
    RELEASED = "released"  # a fulfillment order asks the location for it
    PICKING = "picking"  # the location accepted the work
    PICKED = "picked"
    AWAITING_DOCUMENT = "awaiting_document"  # packed; may not leave before its fiscal document
    PACKED = "packed"  # packed; needs no document
    INVOICED = "invoiced"  # packed and covered by an authorised document
    IN_TRANSFER = "in_transfer"  # on its way to the place where the customer fetches it
    READY = "ready"  # ready for pickup
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    COLLECTED = "collected"  # handed over at a counter
    CANCELLED = "cancelled"


# A unit in one of these is counted in `balance.allocated` at its location.
CLAIMING = frozenset(
    {
        UnitState.ALLOCATED,
        UnitState.RELEASED,
        UnitState.PICKING,
        UnitState.PICKED,
        UnitState.AWAITING_DOCUMENT,
        UnitState.PACKED,
        UnitState.INVOICED,
        UnitState.READY,
    }
)
WAITING = frozenset({UnitState.UNPLACED, UnitState.BACKORDERED})
GONE = frozenset({UnitState.SHIPPED, UnitState.DELIVERED, UnitState.COLLECTED})

_BACK = frozenset({UnitState.UNPLACED, UnitState.BACKORDERED, UnitState.ALLOCATED, UnitState.CANCELLED})

# What may follow what. A unit goes back to waiting or to another location after a rejection or a short pick.
TRANSITIONS: dict[UnitState, frozenset[UnitState]] = {
    UnitState.UNPLACED: frozenset({UnitState.BACKORDERED, UnitState.ALLOCATED, UnitState.CANCELLED}),
    UnitState.BACKORDERED: frozenset({UnitState.UNPLACED, UnitState.ALLOCATED, UnitState.CANCELLED}),
    UnitState.ALLOCATED: frozenset({UnitState.RELEASED}) | _BACK,
    UnitState.RELEASED: frozenset({UnitState.PICKING}) | _BACK,
    UnitState.PICKING: frozenset({UnitState.PICKED}) | _BACK,
    UnitState.PICKED: frozenset({UnitState.AWAITING_DOCUMENT, UnitState.PACKED, UnitState.IN_TRANSFER}) | _BACK,
    UnitState.AWAITING_DOCUMENT: frozenset({UnitState.INVOICED}) | _BACK,
    UnitState.PACKED: frozenset({UnitState.READY, UnitState.SHIPPED, UnitState.INVOICED}) | _BACK,
    UnitState.INVOICED: frozenset({UnitState.READY, UnitState.SHIPPED, UnitState.AWAITING_DOCUMENT, UnitState.PACKED}),
    UnitState.IN_TRANSFER: frozenset({UnitState.UNPLACED, UnitState.ALLOCATED, UnitState.CANCELLED}),
    UnitState.READY: frozenset({UnitState.COLLECTED, UnitState.AWAITING_DOCUMENT, UnitState.PACKED}) | _BACK,
    UnitState.SHIPPED: frozenset({UnitState.DELIVERED}),
    UnitState.DELIVERED: frozenset(),
    UnitState.COLLECTED: frozenset(),
    UnitState.CANCELLED: frozenset({UnitState.READY}),  # a pickup whose window ended, taken back while it is there
}


class OrderStatus(StrEnum):
    """Derived header status: the least advanced thing a person must know about the order."""

    PLACED = "placed"  # received, nothing claimed yet
    AWAITING_PAYMENT = "awaiting_payment"
    ON_HOLD = "on_hold"
    UNPLACED = "unplaced"
    BACKORDERED = "backordered"
    ALLOCATED = "allocated"
    PICKING = "picking"  # released, picking or picked
    PACKED = "packed"  # packed or awaiting its document
    INVOICED = "invoiced"
    READY = "ready"
    SHIPPED = "shipped"
    DELIVERED = "delivered"  # or collected: everything that was not cancelled is with the customer
    CANCELLED = "cancelled"


class HoldKind(StrEnum):
    """Why an order waits. Holds stack; each is resolved by itself."""

    UNKNOWN_SKU = "unknown_sku"
    UNKNOWN_LOCATION = "unknown_location"
    UNKNOWN_SERVICE = "unknown_service"
    SHORTAGE = "shortage"
    ROUTING_RULE = "routing_rule"  # its routing rule cannot fill it and says to wait for a person
    PAYMENT = "payment"
    PAYMENT_LAPSED = "payment_lapsed"  # its time to pay is over and its stock is free; beside PAYMENT
    PAYMENT_ELSEWHERE = "payment_elsewhere"  # what a channel told as its payment is recorded on another order
    TOTALS = "totals"  # the channel's total is not the sum of its parts
    ADDRESS = "address"  # missing or unusable
    ADDRESS_CHECK = "address_check"  # its CEP is of another state than it says: one of them is wrong
    CUSTOMER = "customer"  # invalid CPF or CNPJ
    SLOT = "slot"  # the slot it was sold with has no place for it
    QUANTITY = "quantity"  # more of a SKU than its channel takes unasked; it claims nothing meanwhile
    CHANNEL_CHANGE = "channel_change"  # its channel changed or cancelled what is not changed here
    FRAUD = "fraud"
    MANUAL = "manual"


# Holds that only their cause can lift; a person may lift the others.
AUTOMATIC_HOLDS = frozenset(
    {
        HoldKind.PAYMENT,
        HoldKind.PAYMENT_LAPSED,
        HoldKind.SHORTAGE,
        HoldKind.ROUTING_RULE,
        HoldKind.UNKNOWN_SKU,
        HoldKind.UNKNOWN_LOCATION,
        HoldKind.UNKNOWN_SERVICE,
    }
)
# With nothing but these open, an order only waits for its money.
MONEY_HOLDS = frozenset({HoldKind.PAYMENT, HoldKind.PAYMENT_LAPSED})

# Under these an order claims neither stock nor supply: others get them.
CLAIMS_NOTHING = frozenset({HoldKind.PAYMENT_LAPSED, HoldKind.QUANTITY})

# Work that has begun goes on under the other holds; under these nothing leaves the building. One for money comes while
# work is done only when the money was taken back.
STOPPING_HOLDS = frozenset(
    {
        HoldKind.FRAUD,
        HoldKind.MANUAL,
        HoldKind.ADDRESS,
        HoldKind.ADDRESS_CHECK,
        HoldKind.PAYMENT,
        HoldKind.PAYMENT_ELSEWHERE,
        HoldKind.CHANNEL_CHANGE,
    }
)


class PromiseReason(StrEnum):
    """Why an order is promised for another day."""

    STOCK_LATE = "stock_late"
    STOCK_SOONER = "stock_sooner"
    CARRIER_LATE = "carrier_late"
    CAPACITY = "capacity"
    PAID_LATE = "paid_late"
    PLACED = "placed"
    CUSTOMER_ASKED = "customer_asked"
    OTHER = "other"


PROMISE_REASON_WORDS: dict[PromiseReason, str] = {
    PromiseReason.STOCK_LATE: N_("Goods arrive late"),
    PromiseReason.STOCK_SOONER: N_("Goods arrive sooner"),
    PromiseReason.CARRIER_LATE: N_("The carrier is late"),
    PromiseReason.CAPACITY: N_("More work than hands"),
    PromiseReason.PAID_LATE: N_("Paid later than counted on"),
    PromiseReason.PLACED: N_("All goods have a place now"),
    PromiseReason.CUSTOMER_ASKED: N_("The customer asked for it"),
    PromiseReason.OTHER: N_("Another reason"),
}

# How refusals name them.
STATE_WORDS: dict[UnitState, str] = {
    UnitState.UNPLACED: N_("without location"),
    UnitState.BACKORDERED: N_("backordered"),
    UnitState.ALLOCATED: N_("allocated"),
    UnitState.RELEASED: N_("to accept"),
    UnitState.PICKING: N_("to pick"),
    UnitState.PICKED: N_("picked"),
    UnitState.AWAITING_DOCUMENT: N_("awaiting document"),
    UnitState.PACKED: N_("packed"),
    UnitState.INVOICED: N_("invoiced"),
    UnitState.IN_TRANSFER: N_("on its way to the store"),
    UnitState.READY: N_("ready for pickup"),
    UnitState.SHIPPED: N_("shipped"),
    UnitState.DELIVERED: N_("delivered"),
    UnitState.COLLECTED: N_("collected"),
    UnitState.CANCELLED: N_("cancelled"),
}
HOLD_WORDS: dict[HoldKind, str] = {
    HoldKind.UNKNOWN_SKU: N_("Unknown SKU"),
    HoldKind.UNKNOWN_LOCATION: N_("Unknown location"),
    HoldKind.UNKNOWN_SERVICE: N_("Unknown delivery service"),
    HoldKind.SHORTAGE: N_("Not enough stock"),
    HoldKind.ROUTING_RULE: N_("Routing rule cannot fill it"),
    HoldKind.PAYMENT: N_("Payment not confirmed"),
    HoldKind.PAYMENT_LAPSED: N_("Time to pay is over"),
    HoldKind.PAYMENT_ELSEWHERE: N_("Payment of another order"),
    HoldKind.TOTALS: N_("Totals do not add up"),
    HoldKind.ADDRESS: N_("Address missing or unusable"),
    HoldKind.ADDRESS_CHECK: N_("CEP of another state"),
    HoldKind.CUSTOMER: N_("Invalid CPF or CNPJ"),
    HoldKind.SLOT: N_("No place in the slot"),
    HoldKind.QUANTITY: N_("Unusually many units"),
    HoldKind.CHANNEL_CHANGE: N_("Changed at the channel"),
    HoldKind.FRAUD: N_("Fraud review"),
    HoldKind.MANUAL: N_("Held by a person"),
}


def word_of(value: UnitState | HoldKind) -> Word:
    """Return a state or a kind of hold as a word that is shown in the reader's language."""
    return Word(HOLD_WORDS[value] if isinstance(value, HoldKind) else STATE_WORDS[value])


class Unit(msgspec.Struct, frozen=True):
    """One row of equal units."""

    order_id: UUID
    line: int
    part: int
    sku_id: int | None
    quantity: int
    state: UnitState
    location_id: int | None = None
    fulfillment_id: UUID | None = None
    shipment_id: UUID | None = None
    document_id: UUID | None = None


class Order(msgspec.Struct, frozen=True):
    """The header of one order, read under its row's lock. Amounts are centavos; `seq` is the aggregate's version."""

    id: UUID
    number: int
    channel_id: int
    currency: str
    status: OrderStatus
    items_total: int
    discount_total: int
    shipping_total: int
    total: int
    cancelled_total: int
    method: str
    service_id: int | None
    pickup_location_id: int | None
    buyer_name: str
    buyer_document: str | None
    buyer_email: str | None
    buyer_phone: str | None
    ship_to: dict[str, Any] | None
    release_after: datetime
    seq: int
    customer_group: str | None = None
    placed_at: datetime | None = None
    merge_location_id: int | None = None  # where its goods come together before they are shipped

    @property
    def comes_to(self) -> int | None:
        """Return where its goods are brought before the customer gets them; None: they leave from where they are."""
        return self.pickup_location_id if self.method == "pickup" else self.merge_location_id

    @property
    def payable(self) -> int:
        """Return what the customer owes for what was not cancelled."""
        return self.total - self.cancelled_total


class Line(msgspec.Struct, frozen=True):
    """What was sold on one line; `components` is what one unit of a kit is made of, empty for a plain SKU.

    `total` is what it costs after its own `discount`, in minor units. What the order has off as a whole is shared by
    the lines with `shares_discount`; one that stands in for another has its part in its own discount.
    """

    order_id: UUID
    line: int
    sku_id: int | None
    quantity: int
    total: int
    components: dict[int, int] = {}
    discount: int = 0
    shares_discount: bool = True


class Move(msgspec.Struct, frozen=True):
    """Some units of one row take their next state. What is left unset stays; a state that has no place clears it."""

    line: int
    part: int
    quantity: int
    to: UnitState
    location_id: int | msgspec.UnsetType | None = msgspec.UNSET
    fulfillment_id: UUID | msgspec.UnsetType | None = msgspec.UNSET
    shipment_id: UUID | msgspec.UnsetType | None = msgspec.UNSET
    document_id: UUID | msgspec.UnsetType | None = msgspec.UNSET


class Hold(msgspec.Struct, frozen=True):
    """One open hold."""

    order_id: UUID
    kind: HoldKind
    detail: dict[str, Any]


class CancelWish(msgspec.Struct, frozen=True):
    """How many units of a line are to be cancelled; None: all that have not left."""

    line: int
    quantity: int | None = None


class Cancellation(msgspec.Struct, frozen=True):
    """What a cancel did: units per line, and what it took off the order in centavos."""

    lines: dict[int, int]
    amount: int
    whole: bool


# --- what an order says besides ---

DetailName = Annotated[str, Meta(min_length=1, max_length=60)]
DetailText = Annotated[str, Meta(max_length=500)]


class LineDetails(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is to be known of a line, like an engraving, by name; `line` counts from 1."""

    line: Annotated[int, Meta(ge=1, le=500)]
    attributes: Annotated[dict[DetailName, DetailText], Meta(min_length=1, max_length=50)]


class OrderDetails(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What an order says besides what is bought, by whom and where it goes. It decides nothing here; people read it.

    `desired_on` is the day that the customer would like, which is no promise; `seller` is the code of who sold it;
    `company` and `state_registration` are of a buyer that is a company.
    """

    gift_message: Annotated[str, Meta(max_length=1_000)] = ""
    note: Annotated[str, Meta(max_length=2_000)] = ""
    tags: Annotated[list[Annotated[str, Meta(min_length=1, max_length=60)]], Meta(max_length=30)] = []
    desired_on: date | None = None
    seller: Annotated[str, Meta(max_length=80)] = ""
    company: Annotated[str, Meta(max_length=200)] = ""
    state_registration: Annotated[str, Meta(max_length=40)] = ""
    attributes: Annotated[dict[DetailName, DetailText], Meta(max_length=50)] = {}
    lines: Annotated[list[LineDetails], Meta(max_length=500)] = []
