"""Words of drop-shipping: what a vendor supplies, what one is asked to send, and how that stands."""

from datetime import date
from enum import StrEnum

import msgspec

from malha.platform.i18n import N_
from malha.platform.ids import UUID


class DropState(StrEnum):
    """Whose turn a drop-ship order is."""

    ASKED = "asked"  # the vendor has not answered
    ACCEPTED = "accepted"  # the vendor is to send it
    SENT = "sent"  # everything that was not given up is with a carrier
    REFUSED = "refused"  # the vendor does not send it; its units were placed elsewhere
    CANCELLED = "cancelled"  # its units were cancelled, or found another place


STATE_WORDS = {
    DropState.ASKED: N_("to answer"),
    DropState.ACCEPTED: N_("to send"),
    DropState.SENT: N_("sent"),
    DropState.REFUSED: N_("refused"),
    DropState.CANCELLED: N_("cancelled"),
}
OPEN = (DropState.ASKED, DropState.ACCEPTED)


class Offer(msgspec.Struct, frozen=True):
    """What one vendor supplies: a unit costs `cost` centavos and leaves `lead_days` working days after it is asked."""

    sku_id: int
    location_id: int
    code: str  # of the location
    state: str  # where its parcels leave
    cost: int
    lead_days: int
    vendor_sku: str


class OfferDraft(msgspec.Struct, frozen=True, kw_only=True):
    """An offer as someone states it."""

    location_id: int
    sku_id: int
    vendor_sku: str = ""
    unit_cost: int
    lead_days: int
    active: bool = True


class DropLine(msgspec.Struct, frozen=True):
    """Units of an order line that a vendor is asked for; of kits, of one component."""

    line: int
    sku_id: int
    quantity: int
    sent: int = 0
    dropped: int = 0
    unit_cost: int = 0
    vendor_sku: str = ""

    @property
    def expected(self) -> int:
        """Return how many units the vendor is still to send."""
        return self.quantity - self.sent - self.dropped


class NewDrop(msgspec.Struct, frozen=True):
    """A drop-ship order to be made."""

    order_id: UUID
    location_id: int
    leaves_on: date
    lines: list[DropLine]


class Drop(msgspec.Struct, frozen=True):
    """The head of a drop-ship order, read under its lock or its order's."""

    id: UUID
    number: int
    order_id: UUID
    location_id: int
    state: DropState
    leaves_on: date
    seq: int
