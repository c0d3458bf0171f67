"""Words of supply: orders on suppliers and factories, their lines, receipts and what is to come."""

from datetime import date, datetime
from enum import StrEnum

import msgspec

from malha.inventory.buckets.model import Bucket
from malha.inventory.model import Deficit
from malha.platform.i18n import N_
from malha.platform.ids import UUID


class InboundKind(StrEnum):
    """Who makes the goods come."""

    PURCHASE = "purchase"  # a supplier
    PRODUCTION = "production"  # a factory of one's own


class InboundState(StrEnum):
    """What receipts say about an order; derived from its lines, never set."""

    OPEN = "open"
    PARTIAL = "partial"
    RECEIVED = "received"
    CLOSED = "closed"  # the rest was given up
    CANCELLED = "cancelled"  # all of it was, and nothing had come


INBOUND_WORDS = {
    InboundState.OPEN: N_("open"),
    InboundState.PARTIAL: N_("partly received"),
    InboundState.RECEIVED: N_("received"),
    InboundState.CLOSED: N_("closed"),
    InboundState.CANCELLED: N_("cancelled"),
}


class InboundLineDraft(msgspec.Struct, frozen=True):
    """A line as someone states it; `unit_cost` is centavos."""

    sku_id: int
    quantity: int
    eta: date
    unit_cost: int | None = None


class InboundDraft(msgspec.Struct, frozen=True, kw_only=True):
    """An order as someone states it. `over_percent`: how much more than ordered is taken without asking anybody."""

    kind: InboundKind
    supplier: str
    location_id: int
    lines: list[InboundLineDraft]
    reference: str | None = None
    over_percent: int = 0
    note: str = ""


class LineChange(msgspec.Struct, frozen=True, kw_only=True):
    """What a line is to be from now on; what is left out stays. `quantity` counts what has come and was given up."""

    line: int
    quantity: int | None = None
    eta: date | None = None
    unit_cost: int | msgspec.UnsetType | None = msgspec.UNSET


class InboundChange(msgspec.Struct, frozen=True, kw_only=True):
    """What an order is to be from now on; what is left out stays. `added` are lines it has not had."""

    reference: str | msgspec.UnsetType | None = msgspec.UNSET
    note: str | None = None
    over_percent: int | None = None
    lines: list[LineChange] = []
    added: list[InboundLineDraft] = []
    reason: str = ""


class Stands(msgspec.Struct, frozen=True):
    """How an order stands after a change. `changed` is false when it was all that before."""

    number: int
    version: int
    state: InboundState
    changed: bool


class InboundLine(msgspec.Struct, frozen=True):
    """A line as it stands."""

    line: int
    sku_id: int
    quantity: int
    received: int
    dropped: int
    eta: date
    unit_cost: int | None = None

    @property
    def least(self) -> int:
        """Return what the line can be lowered to: what has come and what was given up, and no line is of nothing."""
        return max(self.received + self.dropped, 1)

    @property
    def expected(self) -> int:
        """Return how many units are still to come."""
        return max(self.quantity - self.received - self.dropped, 0)


class Inbound(msgspec.Struct, frozen=True):
    """The head of an order as it stands."""

    id: UUID
    number: int
    kind: InboundKind
    supplier: str
    location_id: int
    state: InboundState
    over_percent: int
    seq: int
    reference: str | None
    note: str

    @property
    def live(self) -> bool:
        """Return whether something of it is still to come."""
        return self.state in {InboundState.OPEN, InboundState.PARTIAL}


class Placed(msgspec.Struct, frozen=True):
    """An order that is there: made now, or the one that had this reference."""

    id: UUID
    number: int
    created: bool


class ReceivedLine(msgspec.Struct, frozen=True):
    """Units that arrived, and into which bucket they go. Without a line of an order they are matched by SKU."""

    sku_id: int
    quantity: int
    bucket: Bucket = Bucket.SELLABLE
    order_line: int | None = None


class ReceiptDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A receipt as a person or system states it; `id` is theirs, so that sending it again receives nothing twice.

    `accept_over` takes more than was ordered, which needs the permission to approve. `same_document`: as much came
    again by a `document` by which the same goods were received already. `complete`: of a transfer, whether what is not
    here by now is missing.
    """

    id: UUID
    location_id: int
    lines: list[ReceivedLine]
    order_id: UUID | None = None
    document: str | None = None
    note: str = ""
    received_at: datetime | None = None
    accept_over: bool = False
    same_document: bool = False
    complete: bool | None = None


class Received(msgspec.Struct, frozen=True):
    """What a receipt did; `repeated`: it had been received before, and nothing changed."""

    id: UUID
    number: int
    repeated: bool
    deficits: list[Deficit]


class Over(msgspec.Struct, frozen=True):
    """Units beyond what an order allows: `line` is None for a SKU that nobody ordered."""

    line: int | None
    sku_id: int
    allowed: int
    units: int
