"""What a partner who fulfils for us is asked and answers.

`request` and `notice` are our names; each means the same thing however often it is told. Quantities are units of a SKU
as it lies on the shelf: a kit is asked for by its components.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from typing import Literal

import msgspec

from malha.channels.contract.goods import ExtProduct
from malha.channels.contract.orders import ExtAddress, ExtBuyer, ExtOrder


class PickLine(msgspec.Struct, frozen=True, kw_only=True):
    """Units of a SKU for a line of the order."""

    line: int
    sku: str
    quantity: int
    gtin: str = ""
    name: str = ""


class PickRequest(msgspec.Struct, frozen=True, kw_only=True, tag="pick"):
    """Pick, pack and ship this. `location` is the partner's name of it."""

    request: str
    order: str
    location: str
    method: str
    lines: Sequence[PickLine]
    due_at: datetime
    service: str = ""
    carrier: str = ""
    buyer: ExtBuyer = ExtBuyer()
    ship_to: ExtAddress | None = None


class PickCancel(msgspec.Struct, frozen=True, kw_only=True, tag="cancel"):
    """Do not ship these any more; `whole` when nothing of the request is left."""

    request: str
    order: str
    location: str
    lines: Sequence[PickLine]
    whole: bool


class ExpectedLine(msgspec.Struct, frozen=True, kw_only=True):
    """Units that are still to come."""

    line: int
    sku: str
    quantity: int
    gtin: str = ""
    name: str = ""
    expected: date | None = None


class InboundNotice(msgspec.Struct, frozen=True, kw_only=True, tag="inbound"):
    """Goods will come: the newest `version` counts. No lines: nothing comes any more."""

    notice: str
    version: int
    kind: Literal["purchase", "transfer"]
    location: str
    sender: str
    lines: Sequence[ExpectedLine]
    document: str = ""


Ask = PickRequest | PickCancel | InboundNotice


class RequestAnswer(msgspec.Struct, frozen=True, kw_only=True, tag="answer"):
    """The partner will do it, or will not. `reason` is one of `SHORT_REASONS`."""

    request: str
    accepted: bool
    reason: str = "other"
    note: str = ""


SHORT_REASONS = ("not_in_stock", "mismatch", "damaged", "display_item", "store_closed", "capacity", "other")


class ToldLine(msgspec.Struct, frozen=True, kw_only=True):
    """Units of a SKU; `line` where the partner says which line of the request they are of."""

    sku: str
    quantity: int
    line: int | None = None


class ShortLine(msgspec.Struct, frozen=True, kw_only=True):
    """Units that are not there."""

    sku: str
    quantity: int
    line: int | None = None
    reason: str = "not_in_stock"


class ParcelTold(msgspec.Struct, frozen=True, kw_only=True):
    """A parcel that left."""

    lines: Sequence[ToldLine]
    carrier: str = ""
    tracking: str = ""
    tracking_url: str = ""
    weight_grams: int | None = None


class ShipmentTold(msgspec.Struct, frozen=True, kw_only=True, tag="shipment"):
    """What left of a request, and what will not. What is neither follows later.

    `confirmation` is the partner's name of this statement: without it, two that say the same are one.
    """

    request: str
    parcels: Sequence[ParcelTold] = ()
    short: Sequence[ShortLine] = ()
    shipped_at: datetime | None = None
    confirmation: str = ""


class AdjustmentTold(msgspec.Struct, frozen=True, kw_only=True, tag="adjustment"):
    """Stock changed there by so many units, for a reason. `reference` is the partner's name of it, used once."""

    reference: str
    location: str
    sku: str
    quantity: int
    reason: str = ""
    at: datetime | None = None


class ReceivedLine(msgspec.Struct, frozen=True, kw_only=True):
    """Units that came."""

    sku: str
    quantity: int
    condition: Literal["good", "damaged", "quality"] = "good"


class ReceiptTold(msgspec.Struct, frozen=True, kw_only=True, tag="receipt"):
    """Goods came. `reference` is the partner's name of the receipt; `complete`: nothing more will come."""

    reference: str
    notice: str
    location: str
    lines: Sequence[ReceivedLine]
    complete: bool = False
    at: datetime | None = None


Answer = RequestAnswer | ShipmentTold | AdjustmentTold | ReceiptTold


class CountedLine(msgspec.Struct, frozen=True, kw_only=True):
    """What lies on the shelf of a location. A quantity that is no number is held and shown, and zeroes nothing."""

    location: str
    sku: str
    quantity: int | str


class StockTold(msgspec.Struct, frozen=True, kw_only=True):
    """All that lies at the locations it names, at a moment: what it does not mention there is zero."""

    as_of: datetime
    lines: Sequence[CountedLine]  # of a file: read from it each time they are asked for, one after the other
    locations: Sequence[str] = ()


class Said(msgspec.Struct, frozen=True):
    """One thing a file says, and the rows that say it (the first line of a file is 1)."""

    rows: Sequence[int]
    answer: Answer


class RowFlaw(msgspec.Struct, frozen=True):
    """Why a row cannot be used; `problem` is a key of the runtime's texts."""

    row: int
    problem: str
    field: str = ""
    value: str = ""


class Listed(msgspec.Struct, frozen=True):
    """A product or an order of a file, and the rows that say it. Its `version` is given by the runtime."""

    rows: Sequence[int]
    item: ExtProduct | ExtOrder


class FileTold(msgspec.Struct, frozen=True, kw_only=True):
    """What a file tells: `kind` is acknowledgements, shipments, adjustments, receipts, stock, products, prices, orders.

    `listed` are the products or orders of it, in an order that is the same each time they are asked for: how many of
    them are kept here is all that is remembered between two pages. A product of `prices` states its price alone.
    """

    kind: str
    rows: int
    said: Sequence[Said] = ()
    stock: StockTold | None = None
    stock_rows: Sequence[int] = ()  # of each line of the stock
    listed: Iterable[Listed] | None = None  # read from the file each time they are asked for, as stock is
    flaws: Sequence[RowFlaw] = ()
