"""Words of selling ahead: what may be sold before it is there, the supply it is sold against, and claims on it."""

from datetime import date, datetime
from enum import StrEnum

import msgspec

from malha.platform.i18n import N_
from malha.platform.ids import UUID


class Mode(StrEnum):
    """Whether a SKU may be sold before it is there."""

    NONE = "none"
    PREORDER = "preorder"  # until its release day, against supply
    BACKORDER = "backorder"  # when stock is out, against supply


MODE_WORDS = {
    Mode.NONE: N_("Only what is there"),
    Mode.PREORDER: N_("Pre-order until its release"),
    Mode.BACKORDER: N_("Backorder when stock is out"),
}


class ClaimState(StrEnum):
    """How a claim on supply stands."""

    WAITING = "waiting"  # its supply is expected
    LOST = "lost"  # its supply will not come, and no other covers it yet
    ARRIVED = "arrived"  # its goods are there and allocated to its order, whose units follow


class Policy(msgspec.Struct, frozen=True):
    """What may be sold ahead of one SKU or product; `channel_id` None: on every channel."""

    id: int
    channel_id: int | None
    mode: Mode
    release_on: date | None = None
    cap: int | None = None
    horizon_days: int | None = None
    handling_days: int = 1


class SupplyLine(msgspec.Struct, frozen=True):
    """Units of a SKU that are expected at a location on a day, and how many of them are promised."""

    id: int
    sku_id: int
    location_id: int
    eta: date
    expected: int
    promised: int

    @property
    def room(self) -> int:
        """Return how many more units may be promised."""
        return self.expected - self.promised


class SupplyClaim(msgspec.Struct, frozen=True):
    """Units of an order line that are sold ahead."""

    id: int
    order_id: UUID
    line: int
    sku_id: int
    location_id: int
    state: ClaimState
    supply_id: int | None
    quantity: int
    since: datetime
    days: int
    not_before: date | None
    told: date | None
    policy_id: int | None
    eta: date | None = None  # of its supply


class NewClaim(msgspec.Struct, frozen=True):
    """A claim to make. `eta` is what it was planned with; `told`: the promise that goes with it says so.

    Without `supply_id` the units are there: components of a kit that wait for the others. `per` of them make one sold
    unit of the line. Of its `days`, from the day it is there, `transit` are those under way.
    """

    order_id: UUID
    line: int
    sku_id: int
    location_id: int
    supply_id: int | None
    quantity: int
    eta: date
    days: int
    not_before: date | None
    policy_id: int | None
    told: bool
    since: datetime | None = None  # None: now, the end of the queue
    per: int = 1
    transit: int = 0


class Part(msgspec.Struct, frozen=True):
    """Units of a claim after its queue was lined up; `supply_id` None: they lost it, or arrived."""

    claim: SupplyClaim
    state: ClaimState
    supply_id: int | None
    quantity: int


class LinedUp(msgspec.Struct, frozen=True):
    """A queue as it is to be: only claims that change, with what they become, and what each line has promised then."""

    gone: list[int]
    parts: list[Part]
    promised: dict[int, int]
    orders: set[UUID]  # whose promise or place changes
