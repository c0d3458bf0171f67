"""Words of capacity: kinds of work, what a location states, a slot of a day and who has a place in it.

Times of day are on the location's clock. A slot is named by its location, kind, day and start.
"""

from collections.abc import Sequence
from datetime import date, datetime, time
from enum import StrEnum
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from malha.platform.i18n import N_
from malha.platform.ids import UUID

MOST_SLOTS = 48  # of one kind on one day
MOST_QUOTA = 1_000_000
FARTHEST_DAYS = 366  # that a slot can be reserved ahead
MOST_HOLD_S = 24 * 3600
MOST_REFERENCE = 200  # characters

# A time of day as it is written: 09:30.
Clock = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9](:00)?$")]
Quota = Annotated[int, Meta(ge=0, le=MOST_QUOTA)]


class Kind(StrEnum):
    """What a place in a slot is for."""

    PICK = "pick"  # orders whose goods are prepared
    PICKUP = "pickup"  # customers who collect
    DELIVERY = "delivery"  # deliveries made from the location


KIND_WORDS: dict[Kind, str] = {
    Kind.PICK: N_("Order picking"),
    Kind.PICKUP: N_("Pickup"),
    Kind.DELIVERY: N_("Delivery"),
}


class Measure(StrEnum):
    """What the quotas of a location's picking slots count. Customers' slots count orders, always."""

    ORDERS = "orders"  # pieces of work, however many units each has
    UNITS = "units"  # units to fetch


MEASURE_WORDS: dict[Measure, str] = {Measure.ORDERS: N_("Orders"), Measure.UNITS: N_("Units")}
# Of these a customer has a place; of picking a day has a quota.
RESERVED = (Kind.PICKUP, Kind.DELIVERY)


class State(StrEnum):
    """Life of a reservation: from held to confirmed, and one way out."""

    HELD = "held"
    CONFIRMED = "confirmed"
    RELEASED = "released"
    EXPIRED = "expired"


class Key(NamedTuple):
    """Which slot. Sorted, keys are in the order in which their rows are locked."""

    location_id: int
    kind: str
    day: date
    starts: time


def columns_of(keys: Sequence[Key]) -> dict[str, list[Any]]:
    """Return slots as the arrays that statements take."""
    return {
        "locations": [k.location_id for k in keys],
        "kinds": [k.kind for k in keys],
        "days": [k.day for k in keys],
        "starts": [k.starts for k in keys],
    }


class Template(msgspec.Struct, frozen=True, order=True):
    """A slot of every such weekday (1 is Monday), and how many have a place in it."""

    weekday: int
    starts: time
    ends: time
    quota: int


class Override(msgspec.Struct, frozen=True, kw_only=True):
    """What differs on one date: a slot's quota, or a slot that is not usual. Without times there is none that day."""

    starts: time | None = None
    ends: time | None = None
    quota: int = 0
    reason: str = ""


class DatedOverride(msgspec.Struct, frozen=True):
    """An override with its kind and date."""

    kind: Kind
    day: date
    override: Override


class Plan(msgspec.Struct, frozen=True):
    """All that a location states: slots by kind, and what differs by date. Version 0: it states nothing."""

    version: int
    templates: dict[Kind, list[Template]]
    overrides: list[DatedOverride]
    measure: Measure = Measure.ORDERS  # of picking slots


class Window(msgspec.Struct, frozen=True, order=True):
    """A slot as a location states it for a day."""

    starts: time
    ends: time
    quota: int


class Room(NamedTuple):
    """A slot's quota and what is taken of it, in what it counts."""

    quota: int
    taken: int

    def takes(self, size: int) -> bool:
        """Tell whether so much may have a place; what is larger than the whole quota takes one that is empty."""
        return self.taken + size <= self.quota or (self.quota > 0 and not self.taken)


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """A slot of a day with what is taken of it; expired holds count as free.

    `units` are those of the work in a picking slot, whatever it counts.
    """

    key: Key
    ends: time
    quota: int
    held: int = 0
    confirmed: int = 0
    measure: Measure = Measure.ORDERS
    units: int = 0
    open: bool = True  # the location takes work that day, and the slot is stated
    counted: bool = True  # it has a counter: somebody reserved it before

    @property
    def taken(self) -> int:
        """Return how much of the quota is taken, in what it counts."""
        return self.units if self.measure is Measure.UNITS else self.held + self.confirmed

    @property
    def left(self) -> int:
        """Return how many may still have a place; never below zero."""
        return max(self.quota - self.taken, 0) if self.open else 0

    def has_room_for(self, units: int) -> bool:
        """Tell whether work of so many units may have a place."""
        return self.left > 0 and Room(self.quota, self.taken).takes(units if self.measure is Measure.UNITS else 1)


class Reservation(msgspec.Struct, frozen=True, kw_only=True):
    """A place in a slot."""

    id: UUID
    location_id: int
    kind: Kind
    day: date
    starts: time
    ends: time
    state: State
    reference: str | None
    order_id: UUID | None
    expires_at: datetime | None

    @property
    def key(self) -> Key:
        """Return which slot it is in."""
        return Key(self.location_id, self.kind.value, self.day, self.starts)


class Booking(msgspec.Struct, frozen=True):
    """A place that an order is about to get: a new one, or the one its cart holds (`hold`)."""

    order_id: UUID
    key: Key
    ends: time
    hold: UUID | None = None
    actor: str = "system"
