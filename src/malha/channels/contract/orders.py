"""Orders as a peer tells them, and what it is told of them: parcels, cancels, refunds.

Money is in minor units of the order's or the item's currency.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum

import msgspec


class ExtRef(msgspec.Struct, frozen=True):
    """The peer's name for something."""

    id: str


class ExtAddress(msgspec.Struct, frozen=True, kw_only=True):
    """Where an order goes; `state` is the UF in Brazil."""

    postal_code: str = ""
    street: str = ""
    number: str = ""
    complement: str = ""
    district: str = ""
    city: str = ""
    state: str = ""
    country: str = "BR"


class ExtBuyer(msgspec.Struct, frozen=True, kw_only=True):
    """Who buys."""

    name: str = ""
    document: str | None = None
    email: str | None = None
    phone: str | None = None


class ExtLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line. What it is of is looked up by `item` (the peer's id of the variant), then `sku`, then `gtin`.

    `quantity` is what was sold and stays; `cancelled` is how many of these units are cancelled by now, whoever did it.
    """

    quantity: int
    unit_price: int
    discount: int = 0  # on the whole line
    id: str = ""
    item: str = ""
    sku: str = ""
    gtin: str = ""
    name: str = ""
    cancelled: int = 0
    attributes: Mapping[str, str] = {}  # what the peer keeps of it besides, like an engraving, by its own names


class PaidState(StrEnum):
    """How far a payment is."""

    PENDING = "pending"
    AUTHORISED = "authorised"
    CAPTURED = "captured"
    DECLINED = "declined"
    UNKNOWN = "unknown"  # a state that the connector does not know: a person looks


class ExtPayment(msgspec.Struct, frozen=True, kw_only=True):
    """A payment; `method` is the peer's word, which a person maps to ours once.

    `given_up`: what of its authorisation is not captured by now never will be.
    """

    id: str
    method: str
    amount: int
    state: PaidState = PaidState.PENDING
    installments: int = 1
    paid_at: datetime | None = None
    expires_at: datetime | None = None
    given_up: bool = False


class RefundState(StrEnum):
    """How far a refund is."""

    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"  # a state that the connector does not know: a person looks


class ExtRefund(msgspec.Struct, frozen=True, kw_only=True):
    """Money that the peer gave back. It is recorded once by its `id`, which must never change.

    `payment` is the peer's id of the payment, empty where it does not say; `lines` are what it was for, where it says.
    `favour`: the peer says that it was for nothing that is cancelled (an apology, the freight), before it or after.
    """

    id: str
    amount: int
    payment: str = ""
    state: RefundState = RefundState.DONE
    lines: Sequence["ShippedLine"] = ()
    reason: str = ""
    refunded_at: datetime | None = None
    favour: bool = False


class ExtState(StrEnum):
    """What the peer says of an order. `UNKNOWN` is for every status the connector does not know: a person looks."""

    OPEN = "open"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


class ExtOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order as the peer has it now. `version` grows with each change there: microseconds of its last change, say.

    Lines, `shipping`, `discount` and `total` are as they were sold; what was taken back since is told by `state`, by
    `cancelled` of the lines, and by `refunds`.
    """

    id: str
    version: int
    placed_at: datetime
    currency: str
    lines: Sequence[ExtLine]
    state: ExtState = ExtState.OPEN
    status: str = ""  # the peer's own word
    total: int | None = None
    shipping: int = 0
    discount: int = 0
    buyer: ExtBuyer = ExtBuyer()
    ship_to: ExtAddress | None = None
    shipping_method: str = ""
    pickup_location: str = ""  # our code of it; empty: it is shipped
    payments: Sequence[ExtPayment] = ()
    refunds: Sequence[ExtRefund] = ()
    promised_at: datetime | None = None
    note: str = ""  # what the buyer wrote
    attributes: Mapping[str, str] = {}  # what the peer keeps of it besides, by its own names; rules of people read it
    sent: bool = False  # some of it left already: one that is not here yet is not sent again, a person looks


class ShippedLine(msgspec.Struct, frozen=True):
    """Units of a line that left."""

    sku: str
    quantity: int
    line: str = ""  # the peer's id of the line


class ShipmentPush(msgspec.Struct, frozen=True, kw_only=True):
    """A parcel that left."""

    order: str  # the peer's id
    shipment: str  # ours
    lines: Sequence[ShippedLine]
    carrier: str = ""
    tracking: str = ""
    shipped_at: datetime
    location: str = ""  # our code of where it left from


class CancelPush(msgspec.Struct, frozen=True, kw_only=True):
    """Units that will not come; `whole` when nothing of the order is left."""

    order: str
    lines: Sequence[ShippedLine]
    whole: bool
    reason: str = ""


class RefundPush(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Money that goes back; a `favour` (an apology, the freight) for nothing that is cancelled."""

    order: str
    payment: str  # the peer's id
    amount: int
    currency: str
    favour: bool = False


class DaySummary(msgspec.Struct, frozen=True):
    """What the peer counts of the orders placed on a day that are not cancelled, and their totals as they stand now.

    What is cancelled of an order is off its total; what was given back is not, and is told apart, by order.
    """

    day: str
    orders: int
    total: int
    ids: Sequence[str] | None = None  # where it can say which
    refunds: Mapping[str, int] | None = None  # of those of which any money went back; None: it does not count that
