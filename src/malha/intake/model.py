"""What a channel sends, and what it gets back.

All money is in minor units (centavos). Bounds are checked while decoding: msgspec lets integers beyond 2^63 and NUL
characters pass, and one of those would break a whole batch in the database.
"""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from malha.capacity.model import Clock
from malha.ordering.model import OrderDetails
from malha.platform.address import Address
from malha.platform.errors import MalhaError
from malha.platform.ids import UUID

Code = Annotated[str, Meta(min_length=1, max_length=80)]
Short = Annotated[str, Meta(max_length=200)]
Amount = Annotated[int, Meta(ge=0, le=10**12)]
Instant = Annotated[datetime, Meta(tz=True)]
Quantity = Annotated[int, Meta(ge=1, le=1_000_000)]


class Buyer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who buys. `document` is a CPF or CNPJ, punctuation allowed."""

    name: Short = ""
    document: Annotated[str, Meta(max_length=20)] | None = None
    email: Annotated[str, Meta(max_length=254)] | None = None
    phone: Annotated[str, Meta(max_length=40)] | None = None


class NewLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line. `unit_price` and `discount` (on the whole line) in minor units."""

    sku: Code
    quantity: Quantity
    unit_price: Amount
    discount: Amount = 0
    name: Short = ""
    external_id: Short | None = None


class NewPayment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tender as the channel knows it. `reference` is the channel's own id of the payment."""

    kind: Literal[
        "prepaid",
        "cash",
        "card_terminal",
        "credit_card",
        "debit_card",
        "pix",
        "boleto",
        "voucher",
        "on_delivery",
    ]
    amount: Annotated[int, Meta(ge=1, le=10**12)]
    state: Literal["pending", "authorised", "captured"] = "pending"
    reference: Short | None = None
    installments: Annotated[int, Meta(ge=1, le=99)] = 1
    expires_at: Instant | None = None
    paid_at: Instant | None = None


class NewSlot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The slot that was agreed: of the pickup location, or the delivery slot of the `location` that delivers.

    `hold` is the reference under which the cart holds it; without one a free place is taken.
    """

    day: date
    starts: Clock  # on the location's clock, like 09:30
    location: Code | None = None
    hold: Annotated[str, Meta(min_length=1, max_length=200)] | None = None


class NewOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An order as a channel submits it. Together with the channel, `external_id` is its natural key.

    A `placed_at` that is still to come is taken as now.
    """

    channel: Code
    lines: Annotated[list[NewLine], Meta(min_length=1, max_length=500)]
    external_id: Annotated[str, Meta(min_length=1, max_length=120)] | None = None
    placed_at: Instant | None = None
    customer: Buyer = Buyer()
    ship_to: Address | None = None
    method: Literal["ship", "pickup"] = "ship"
    service: Code | None = None
    pickup_location: Code | None = None
    shipping: Amount = 0
    discount: Amount = 0
    total: Amount | None = None
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")] | None = None
    payments: Annotated[list[NewPayment], Meta(max_length=100)] = []
    hold_reference: Short | None = None
    promised_at: Instant | None = None
    customer_group: Annotated[str, Meta(min_length=1, max_length=80)] | None = None
    slot: NewSlot | None = None
    details: OrderDetails | None = None  # keep these three last: see rules.hash_of


class TakenBy(msgspec.Struct, frozen=True):
    """Who takes an order by hand, and from where, as the audit trail tells it."""

    kind: str
    id: str | None
    name: str
    source: str | None
    request_id: str | None


class Submission(msgspec.Struct, frozen=True):
    """An order on its way through the gate: the body, its hash and the id it gets if it is new."""

    order: NewOrder
    external_id: str
    body_hash: str
    id: UUID
    actor: str = "system"  # label of who submitted it
    request_key: str | None = None  # actor and Idempotency-Key
    release_now: bool = False  # imports of history: no window in which the customer changes his mind
    taken_by: TakenBy | None = None  # who takes it by hand, with a customer who waits for the answer
    limited: bool = False  # who submitted it is limited to locations


class LineOutcome(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where the units of a line went."""

    line: int
    sku: str
    quantity: int
    state: str
    location: str | None = None


class Result(StrEnum):
    """What became of a submission."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"  # it is here already, with the same body


class Placed(msgspec.Struct, frozen=True):
    """An order that is in the system, now or since an earlier submission."""

    id: UUID
    number: int
    channel: str
    external_id: str
    status: str
    result: Result
    total: int
    currency: str
    holds: list[str]
    lines: list[LineOutcome]


Outcome = Placed | MalhaError
