"""Sales documents that an ERP is to have of an order."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from malha.channels.contract.orders import ExtAddress, ExtBuyer


class DocumentKind(StrEnum):
    """What a document says of an order. All but a sale refer to the sale; what they take back is negative."""

    SALE = "sale"
    CHANGE = "change"  # units of one SKU stand in for units of another
    CREDIT = "credit"  # units were cancelled
    REFUND = "refund"  # money went back for which nothing was cancelled


class DocumentRules(msgspec.Struct, frozen=True, kw_only=True):
    """What documents a connection posts: a connector that is a `DocumentSink` has these among its configuration."""

    document_when: Annotated[
        Literal["placed", "shipped"],
        Meta(
            title="When a sale is posted",
            description="Whether a sale is posted when it is placed or first ships.",
            extra_json_schema={"x-choices": {"placed": "When it is placed", "shipped": "When it first ships"}},
        ),
    ] = "placed"
    document_cancels: Annotated[
        Literal["credit", "none"],
        Meta(
            title="What is cancelled afterwards",
            description="Whether what is cancelled afterwards is posted as a credit.",
            extra_json_schema={"x-choices": {"credit": "Posted as a credit", "none": "Not posted"}},
        ),
    ] = "credit"
    document_refunds: Annotated[
        Literal["credit", "none"],
        Meta(
            title="Other money that goes back",
            description="Whether money that goes back beyond what was cancelled is posted as a credit.",
            extra_json_schema={"x-choices": {"credit": "Posted as a credit", "none": "Not posted"}},
        ),
    ] = "credit"
    document_channels: Annotated[
        str,
        Meta(
            max_length=1_000,
            title="Channels that are posted",
            description="Channels whose orders are posted, by commas; empty: all of them.",
        ),
    ] = ""


class DocumentLine(msgspec.Struct, frozen=True, kw_only=True):
    """Units of a variant. `code` is the connection's name of it, looked up anew each time the document is sent."""

    sku: str
    quantity: int  # negative: taken back
    unit_price: int
    name: str = ""
    code: str = ""


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A sales document. `total` is lines + freight + adjustment, exactly; the adjustment is discounts, mostly."""

    kind: DocumentKind
    number: str  # ours, of the document: "1001", "1001-2"
    order: str  # our number of the order
    reference: str  # the channel's number of the order
    channel: str
    order_day: str  # on which it was placed, by the retailer's calendar
    day: str  # on which this happened
    currency: str
    total: int
    lines: Sequence[DocumentLine] = ()
    freight: int = 0
    adjustment: int = 0
    party: ExtBuyer = ExtBuyer()
    ship_to: ExtAddress | None = None
    reason: str = ""
    sale: str = ""  # the peer's name of the sale that this refers to
