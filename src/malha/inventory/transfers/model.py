"""Words of transfers: states, drafts, and what may be decided about a discrepancy."""

from datetime import date
from enum import StrEnum

import msgspec

from malha.inventory.buckets.model import Bucket
from malha.inventory.model import Deficit
from malha.platform.i18n import N_
from malha.platform.ids import UUID


class TransferState(StrEnum):
    """Life of a transfer."""

    REQUESTED = "requested"
    APPROVED = "approved"  # its units are set aside at the origin
    PARTLY_SHIPPED = "partly_shipped"  # some have left, the rest is still set aside and is to leave too
    SHIPPED = "shipped"  # its units are the destination's, on their way
    RECEIVED = "received"  # something about it waits for a decision
    CLOSED = "closed"
    CANCELLED = "cancelled"


TRANSFER_WORDS = {
    TransferState.REQUESTED: N_("requested"),
    TransferState.APPROVED: N_("approved"),
    TransferState.PARTLY_SHIPPED: N_("partly shipped"),
    TransferState.SHIPPED: N_("on its way"),
    TransferState.RECEIVED: N_("received, with open questions"),
    TransferState.CLOSED: N_("closed"),
    TransferState.CANCELLED: N_("cancelled"),
}


# While something may still leave.
LEAVING = frozenset({TransferState.APPROVED, TransferState.PARTLY_SHIPPED})


class Crosses(StrEnum):
    """What goods cross on the way from one location to another: nothing, or the line between two owners."""

    NOTHING = "nothing"  # both ends keep goods of one establishment: no document is needed
    ESTABLISHMENT = "establishment"  # two establishments of one company: they go under a transfer's document
    COMPANY = "company"  # two companies: the goods are the other's then, usually by a sale


class DiscrepancyKind(StrEnum):
    """How goods arrived otherwise than they left."""

    MISSING = "missing"
    DAMAGED = "damaged"
    EXCESS = "excess"


class Decision(StrEnum):
    """What became of a discrepancy."""

    ARRIVED_LATE = "arrived_late"
    FOUND_AT_ORIGIN = "found_at_origin"
    LOST = "lost"
    CARRIER_CLAIM = "carrier_claim"
    KEPT = "kept"
    TAKEN_FROM_ORIGIN = "taken_from_origin"


DECISIONS: dict[DiscrepancyKind, tuple[Decision, ...]] = {
    DiscrepancyKind.MISSING: (
        Decision.ARRIVED_LATE,
        Decision.FOUND_AT_ORIGIN,
        Decision.LOST,
        Decision.CARRIER_CLAIM,
    ),
    DiscrepancyKind.DAMAGED: (Decision.KEPT, Decision.LOST, Decision.CARRIER_CLAIM),
    DiscrepancyKind.EXCESS: (Decision.TAKEN_FROM_ORIGIN, Decision.KEPT),
}


class TransferDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A transfer as someone asks for it; lines are (SKU id, quantity)."""

    origin_id: int
    destination_id: int
    lines: list[tuple[int, int]]
    eta: date | None = None
    note: str = ""


class Transfer(msgspec.Struct, frozen=True):
    """The head of a transfer as it stands."""

    id: UUID
    number: int
    origin_id: int
    destination_id: int
    state: TransferState
    needs_document: bool
    document: str | None
    eta: date | None
    seq: int


class TransferLine(msgspec.Struct, frozen=True):
    """A line as it stands: what left of it, over all shipments, and what was given back of what was approved."""

    line: int
    sku_id: int
    asked: int
    approved: int | None
    shipped: int
    arrived: int
    settled: int
    transit: int
    dropped: int

    @property
    def left(self) -> int:
        """Return the units that are still set aside to leave, as long as the transfer is one of those that leave."""
        return max((self.approved or 0) - self.shipped - self.dropped, 0)


class Departure(msgspec.Struct, frozen=True, kw_only=True):
    """How goods leave; `quantities` by line, all that is left where a line is absent.

    `more_follows`: what does not leave now stays set aside for another shipment; without it, it is given back.
    """

    quantities: dict[int, int] = msgspec.field(default_factory=dict)
    more_follows: bool = False
    document: str | None = None
    carrier: str | None = None
    tracking_code: str | None = None
    eta: date | None = None


class Left(msgspec.Struct, frozen=True):
    """A shipment that left: its number, the units that are still to leave, and what is promised and not there now."""

    shipment: int
    to_ship: int
    state: TransferState
    deficits: list[Deficit]


class OnItsWay(msgspec.Struct, frozen=True):
    """Units of a shipment that may still arrive: nobody has said that they are missing."""

    shipment_id: UUID
    shipment: int
    line: int
    sku_id: int
    coming: int


class Progress(msgspec.Struct, frozen=True):
    """What a transfer's units come to: to leave, gone so far, on their way, in transit at all, and to decide."""

    to_ship: int
    shipped: int
    coming: int
    transit: int
    undecided: int


class Arrived(msgspec.Struct, frozen=True):
    """Units that arrived, and into which bucket they go."""

    sku_id: int
    quantity: int
    bucket: Bucket = Bucket.SELLABLE


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """What arrived. `id` is the receiver's own; `complete`: what is not here by now is missing.

    `shipment` is the number of the one that arrived. Without it goods are taken from all that are on their way, the
    first to leave first, and `complete` is about those that something was taken from.
    """

    id: UUID
    lines: list[Arrived]
    complete: bool = True
    shipment: int | None = None
    note: str = ""


class Meant(msgspec.Struct, frozen=True):
    """Units by SKU of what arrives that are an order's."""

    order_id: UUID
    units: dict[int, int]


class Outcome(msgspec.Struct, frozen=True):
    """What an arrival left."""

    receipt: int
    repeated: bool
    state: TransferState
    missing: int
    damaged: int
    excess: int
    deficits: list[Deficit]
    meant: dict[int, int] = {}  # units by SKU that were allocated to the order they were sent for


class Sorted(msgspec.Struct, frozen=True):
    """An arrival told apart: what was sent, by shipment, line and bucket, what is too much, and what has not come."""

    expected: list[tuple[OnItsWay, Arrived]]
    excess: list[Arrived]
    away: list[tuple[OnItsWay, int]]
