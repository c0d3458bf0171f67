"""Words of stock: reasons for a movement, what a movement refers to, and outcomes that are values."""

from datetime import datetime
from enum import StrEnum

import msgspec

from malha.platform.ids import UUID


class Reason(StrEnum):
    """Why a balance changed. Every ledger row has one."""

    INITIAL = "initial"
    SET = "set"  # a source stated the physical quantity
    RECEIPT = "receipt"
    ADJUSTMENT = "adjustment"
    COUNT = "count"
    DAMAGE = "damage"
    LOSS = "loss"
    FOUND = "found"
    ORDER = "order"  # claimed for an order
    CANCEL = "cancel"  # claim given back
    REROUTE = "reroute"
    LAPSE = "lapse"  # the money did not come in time
    SHORT_PICK = "short_pick"
    SHIP = "ship"  # left with a shipment
    HAND_OVER = "hand_over"
    HOLD = "hold"
    HOLD_RELEASED = "hold_released"
    HOLD_EXPIRED = "hold_expired"
    HOLD_CONVERTED = "hold_converted"
    TRANSFER = "transfer"
    MOVE = "move"  # from one bucket to another
    RECEIPT_UNDONE = "receipt_undone"
    EXCESS = "excess"  # a transfer brought more than was sent


class Movement(msgspec.Struct, frozen=True):
    """One change of one balance, to be written with its ledger row. Quantities are signed units."""

    sku_id: int
    location_id: int
    on_hand: int = 0
    allocated: int = 0
    held: int = 0


class Reference(msgspec.Struct, frozen=True):
    """What a movement is about, for the ledger."""

    kind: str
    id: UUID | None = None
    text: str | None = None


class Shortfall(msgspec.Struct, frozen=True):
    """A claim that could not be covered: expected, a value, not an error. `cap`: the code of what let less through.

    `free` is what could be had.
    """

    sku_id: int
    location_id: int
    asked: int
    free: int
    cap: str = ""


class Claim(msgspec.Struct, frozen=True):
    """Units of a SKU claimed (or to be claimed) at a location."""

    sku_id: int
    location_id: int
    quantity: int


class Deficit(msgspec.Struct, frozen=True):
    """A physical fact left fewer units than are promised, or stock below zero: work for a person.

    Of `quantity` units as many are promised to nobody as stock is recorded `below_zero`.
    """

    sku_id: int
    location_id: int
    quantity: int
    reason: str
    below_zero: int = 0


class Kept(msgspec.Struct, frozen=True):
    """A balance that a statement of an earlier moment does not change: it stands as it was stated `since`."""

    sku_id: int
    location_id: int
    on_hand: int
    since: datetime


class Stated(msgspec.Struct, frozen=True):
    """What became of physical quantities that were stated."""

    deficits: list[Deficit]
    kept: list[Kept]


class Availability(msgspec.Struct, frozen=True):
    """One balance as it stands: `free` is common stock that may still be claimed, expired holds already added back.

    `fenced` units are set apart for the channels of fences and not in `free`.
    """

    sku_id: int
    location_id: int
    on_hand: int
    allocated: int
    held: int
    safety: int
    free: int
    fenced: int = 0


class HoldState(StrEnum):
    """Life of a hold: one way out of `active`, taken once."""

    ACTIVE = "active"
    CONVERTED = "converted"
    RELEASED = "released"
    EXPIRED = "expired"
