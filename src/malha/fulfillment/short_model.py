"""Words of goods that no location has: the orders that lack them, and the ways out that a person may choose."""

from datetime import date, datetime
from enum import StrEnum
from typing import Any

import msgspec

from malha.platform.i18n import N_
from malha.platform.ids import UUID

MOST_DECISIONS = 5  # where the retailer says nothing else


class Way(StrEnum):
    """What may be done about units that no location has, what helps the customer soonest first."""

    RETRY = "retry"  # a location has them now
    SUBSTITUTE = "substitute"  # another SKU goes in their place
    WAIT = "wait"  # they are promised from goods on order
    TRANSFER = "transfer"  # a location that does not serve the order sends them to one that does
    SPLIT = "split"  # what has a place goes now, the rest when it is there
    CANCEL = "cancel"


WAY_WORDS = {
    Way.RETRY: N_("Try again"),
    Way.SUBSTITUTE: N_("Replace"),
    Way.WAIT: N_("Wait for supply"),
    Way.TRANSFER: N_("Transfer"),
    Way.SPLIT: N_("Send the rest now"),
    Way.CANCEL: N_("Cancel units"),
}


class Suggestion(msgspec.Struct, frozen=True, kw_only=True):
    """A way out and what it would come to now. `line` is 0 where it concerns the whole order.

    `sku` and `price` (centavos) are a substitute's, `day` and `source` those of supply, `origin` and `destination`
    (codes) those of a transfer. Somebody may be faster: the way itself decides.
    """

    way: Way
    line: int
    quantity: int
    sku: str = ""
    name: str = ""
    price: int | None = None
    day: date | None = None
    source: str = ""
    origin: str = ""
    destination: str = ""


class Lacking(msgspec.Struct, frozen=True):
    """A line of an order with units that have neither a location nor supply. `quantity` counts sold units."""

    line: int
    sku_id: int
    sku: str
    name: str
    quantity: int
    kit: bool


class Tried(msgspec.Struct, frozen=True):
    """A location that did not deliver a line, and its reason (`fulfillment.model.RejectReason`)."""

    line: int
    location: str
    location_id: int
    reason: str


class Step(msgspec.Struct, frozen=True):
    """What somebody did about it before."""

    line: int
    way: Way
    facts: dict[str, Any]
    by: str
    at: datetime


class ShortOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order with units that no location has. `decisions`: how often its way was decided. Money is centavos."""

    order_id: UUID
    number: int
    placed_at: datetime
    promised_at: datetime | None
    channel: str
    channel_id: int
    customer_group: str | None
    method: str
    service_id: int | None
    pickup_location_id: int | None
    merge_location_id: int | None
    ship_state: str | None
    pickup_zone: str | None  # the time zone it is fetched in
    buyer: str
    total: int
    currency: str
    decisions: int
    holds: list[str]
    allocated: int  # units that have a place and are not released
    lines: list[Lacking]
    tried: list[Tried]
    steps: list[Step]


class ReroutePolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How many decisions an order gets by itself, the first included, before a person decides."""

    most_decisions: int = MOST_DECISIONS
    version: int = 0  # 0: never changed


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What a way out did: units it concerned, units that still lack, and the number of a transfer it asked for."""

    way: Way
    quantity: int
    lacking: int
    transfer: int | None = None
