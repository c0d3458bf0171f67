"""What third parties implement: a `StockSender`, or a whole connector. Nothing else of Malha is needed for it.

A sender hands stock over:

    class Printer:
        async def send(self, updates):
            for update in updates:
                print(update.code, update.quantity)
            return Handed()

A sender is called with the newest quantity of each listing that changed, at most `MOST` at a time, never within a
transaction and never twice at once for one channel. It may be called again with what it was given: a quantity is a
statement, not a difference, so that is harmless; `version` grows, and a channel that was told a later one ignores an
earlier.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Generic, Literal, Protocol, TypeVar, runtime_checkable

import msgspec
from msgspec import Meta

MOST = 500


class StockUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """How many units of a listing a channel may sell now.

    `code` is the channel's name of it, `sku` ours; `version` orders statements about one listing; `changed_at` is when
    the stock changed.
    """

    sku: str
    code: str
    quantity: int
    version: int
    changed_at: datetime


class Handed(msgspec.Struct, frozen=True):
    """What became of updates: those that the channel refused for good, by code, with why. All others were taken."""

    refused: Mapping[str, str] = {}


class NotHanded(Exception):
    """Nothing was taken, or nobody knows: the same is offered again, at the earliest after `after` seconds."""

    def __init__(self, why: str, *, after: float | None = None) -> None:
        self.why = why
        self.after = after
        super().__init__(why)


class StockSender(Protocol):
    """Hands quantities to one channel."""

    async def send(self, updates: Sequence[StockUpdate]) -> Handed:
        """Hand updates over and return what was refused for good.

        Raises:
            NotHanded: try again later.
        """
        ...


# --- connectors ---
#
# A connector translates between one kind of peer and the words below, and holds no state: the runtime
# (`channels.connecting`) gives it a `Ctx`, keeps cursors, queues, tokens and budgets, and decides what is tried again.
# What of it a class provides it says in `capabilities`; each capability is one of the protocols.


class Capability(StrEnum):
    """What a connector can do."""

    CATALOG_SOURCE = "catalog_source"
    CATALOG_SINK = "catalog_sink"
    STOCK = "stock"
    STOCK_SOURCE = "stock_source"
    PRICES = "prices"
    ORDERS = "orders"
    SHIPMENTS = "shipments"
    CANCELS = "cancels"
    WEBHOOKS = "webhooks"
    SUMMARIES = "summaries"  # how many orders a day the peer counts, for reconciliation
    TOKENS = "tokens"  # access by tokens that run out
    FULFILMENT = "fulfilment"  # a partner is asked to pick and ship
    FILES = "files"  # what it answers comes as files
    DOCUMENTS = "documents"  # an ERP: takes sales documents


class Tier(StrEnum):
    """What decides that a connector is right."""

    A = "A"  # the actual product runs and answers
    B = "B"  # the vendor's SDK, schema or recorded traffic
    C = "C"  # our simulator, gated by the official specification
    D = "D"  # nothing: written from documentation


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a peer a connection asks for before it learns more from answers."""

    rate: float = 5.0  # requests a second
    burst: float = 10.0
    in_flight: int = 4  # operations under way at once
    batch: int = 100  # items of one call


# What went wrong. Whatever else a connector raises is taken for its defect, and for `Unsure` where it was writing.


class ChannelError(Exception):
    """Base of what a peer can answer that is no result. `why` is for people and holds no secret."""

    def __init__(self, why: str = "") -> None:
        self.why = why or type(self).__name__
        super().__init__(self.why)


class Retryable(ChannelError):
    """Nothing happened at the peer; the same again later, at the earliest after so many seconds."""

    def __init__(self, why: str = "", *, after: float | None = None) -> None:
        super().__init__(why)
        self.after = after


class RateLimited(Retryable):
    """Too many requests: the peer wants rest."""


class Unsure(ChannelError):
    """The request was sent and nobody knows what became of it: it is looked up before anything is tried again."""


class AuthExpired(ChannelError):
    """The peer does not know us (any more): a token is renewed once, else a person must look."""


class Invalid(ChannelError):
    """The peer will never take this. `field` says which part of it, where it is known."""

    def __init__(self, why: str = "", *, field: str = "", code: str = "") -> None:
        super().__init__(why)
        self.field = field
        self.code = code


class Missing(ChannelError):
    """The peer has no such thing."""


class Conflicting(ChannelError):
    """The peer has another version of it (`version`, where it is known)."""

    def __init__(self, why: str = "", *, version: str = "") -> None:
        super().__init__(why)
        self.version = version


# What became of a thing that was handed over.


class Ok(msgspec.Struct, frozen=True, tag="ok"):
    """The peer has it; `ref` is its name for it."""

    ref: str = ""


class Pending(msgspec.Struct, frozen=True, tag="pending"):
    """The peer took it and works on it; `handle` is what to ask about later."""

    handle: str


class Rejected(msgspec.Struct, frozen=True, tag="rejected"):
    """The peer will not take it; the others of its batch are not affected."""

    code: str
    message: str = ""
    field: str = ""


class Unknown(msgspec.Struct, frozen=True, tag="unknown"):
    """Nobody knows: it is looked up before it is tried again."""

    why: str = ""


Result = Ok | Pending | Rejected | Unknown


# What a connector is given.


class Reply(msgspec.Struct, frozen=True):
    """What a peer answered. Names of headers are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Http(Protocol):
    """Asks the peer, within its budget; every call is written to the connection's log, without secrets."""

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        operation: str = "",
    ) -> Reply:
        """Send one request and return its answer.

        That is one below 400, or 404, 409, 410, 412 and 422, whose meaning the connector knows. `operation` is what the
        log calls it.

        Raises:
            RateLimited: 429.
            AuthExpired: 401.
            Retryable: the peer was not reached, is away (503), or may not be asked now.
            Unsure: the request was sent and no whole answer came, or 500, 502 or 504.
            Invalid: any other 4xx.
        """
        ...

    async def learned(self, left: float) -> None:
        """Tell the budget how many more such requests the peer takes now, where it says so in its own words.

        What it says in a usual header is read without being told. Fewer than thought is believed, more is not.
        """
        ...


class Access(Protocol):
    """The secrets of a connection, by the names that the connector's `secrets` says; never written anywhere."""

    def secret(self, name: str) -> str:
        """Return a secret.

        Raises:
            AuthExpired: none of this name was entered.
        """
        ...

    async def token(self) -> str:
        """Return an access token that is still good, renewed if need be: once, however many ask.

        Raises:
            AuthExpired: it cannot be renewed.
        """
        ...


class ConnectionRef(msgspec.Struct, frozen=True):
    """Which connection this is about."""

    code: str
    connector: str
    channel: str
    currency: str = "BRL"


class FileServer(msgspec.Struct, frozen=True):
    """An SFTP server; the secrets `password` or `private_key` (and `passphrase`) of the connection open it."""

    host: str
    user: str
    port: int = 22


class RemoteFile(msgspec.Struct, frozen=True):
    """A file in a folder of a server; `modified` is in seconds of its clock."""

    name: str
    size: int
    modified: int


class Files(Protocol):
    """Reads and writes files at the peer, within its budget; every call is written to the connection's log.

    Every method raises `Retryable` where the server is away, `AuthExpired` where it does not know us or is not the
    one that was trusted, and `Invalid` where it refuses.
    """

    async def list(self, folder: str) -> Sequence[RemoteFile]:
        """Return the plain files of a folder by name; none where there is no such folder."""
        ...

    async def read(self, path: str, *, most: int) -> bytes:
        """Return a file.

        Raises:
            Missing: it is gone.
            Invalid: it is larger than `most` bytes.
        """
        ...

    async def write(self, folder: str, name: str, body: bytes) -> None:
        """Write a file under a hidden name, then give it its own. One that is there already is left as it is.

        Raises:
            Unsure: it was given its name, or not.
        """
        ...

    async def wrote(self, folder: str, name: str) -> bool:
        """Tell whether `write` gave a file its name, though somebody may have taken it away since."""
        ...

    async def move(self, path: str, to: str) -> None:
        """Give a file another place; one that is gone is gone. The folder is made if it is not there."""
        ...

    async def remove(self, path: str) -> None:
        """Remove a file; one that is gone is gone."""
        ...


class Ctx(msgspec.Struct, frozen=True):
    """What a connector works with. `config` is one of its `config_model`; `files` is for those that speak by files."""

    connection: ConnectionRef
    config: Any
    http: Http
    access: Access
    now: Callable[[], datetime]
    files: Files | None = None


class Health(msgspec.Struct, frozen=True):
    """What a check found; `says` is for people, in the peer's or the connector's words."""

    ok: bool
    says: str = ""
    facts: Mapping[str, str] = {}


# What is handed over and taken. Money is in minor units of the order's or the item's currency.


class ExtRef(msgspec.Struct, frozen=True):
    """The peer's name for something."""

    id: str


class ExtAddress(msgspec.Struct, frozen=True, kw_only=True):
    """Where an order goes; `state` is the UF in Brazil."""

    postal_code: str = ""
    street: str = ""
    number: str = ""
    complement: str = ""
    district: str = ""
    city: str = ""
    state: str = ""
    country: str = "BR"


class ExtBuyer(msgspec.Struct, frozen=True, kw_only=True):
    """Who buys."""

    name: str = ""
    document: str | None = None
    email: str | None = None
    phone: str | None = None


class ExtLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line. What it is of is looked up by `item` (the peer's id of the variant), then `sku`, then `gtin`.

    `quantity` is what was sold and stays; `cancelled` is how many of these units are cancelled by now, whoever did it.
    """

    quantity: int
    unit_price: int
    discount: int = 0  # on the whole line
    id: str = ""
    item: str = ""
    sku: str = ""
    gtin: str = ""
    name: str = ""
    cancelled: int = 0


class PaidState(StrEnum):
    """How far a payment is."""

    PENDING = "pending"
    AUTHORISED = "authorised"
    CAPTURED = "captured"
    DECLINED = "declined"
    UNKNOWN = "unknown"  # a state that the connector does not know: a person looks


class ExtPayment(msgspec.Struct, frozen=True, kw_only=True):
    """A payment; `method` is the peer's word, which a person maps to ours once."""

    id: str
    method: str
    amount: int
    state: PaidState = PaidState.PENDING
    installments: int = 1
    paid_at: datetime | None = None
    expires_at: datetime | None = None


class RefundState(StrEnum):
    """How far a refund is."""

    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"  # a state that the connector does not know: a person looks


class ExtRefund(msgspec.Struct, frozen=True, kw_only=True):
    """Money that the peer gave back. It is recorded once by its `id`, which must never change.

    `payment` is the peer's id of the payment, empty where it does not say; `lines` are what it was for, where it says.
    """

    id: str
    amount: int
    payment: str = ""
    state: RefundState = RefundState.DONE
    lines: Sequence["ShippedLine"] = ()
    reason: str = ""
    refunded_at: datetime | None = None


class ExtState(StrEnum):
    """What the peer says of an order. `UNKNOWN` is for every status the connector does not know: a person looks."""

    OPEN = "open"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


class ExtOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order as the peer has it now. `version` grows with each change there: microseconds of its last change, say.

    Lines, `shipping`, `discount` and `total` are as they were sold; what was taken back since is told by `state`, by
    `cancelled` of the lines, and by `refunds`.
    """

    id: str
    version: int
    placed_at: datetime
    currency: str
    lines: Sequence[ExtLine]
    state: ExtState = ExtState.OPEN
    status: str = ""  # the peer's own word
    total: int | None = None
    shipping: int = 0
    discount: int = 0
    buyer: ExtBuyer = ExtBuyer()
    ship_to: ExtAddress | None = None
    shipping_method: str = ""
    pickup_location: str = ""  # our code of it; empty: it is shipped
    payments: Sequence[ExtPayment] = ()
    refunds: Sequence[ExtRefund] = ()
    promised_at: datetime | None = None
    sent: bool = False  # some of it left already: one that is not here yet is not sent again, a person looks


class ExtProduct(msgspec.Struct, frozen=True, kw_only=True):
    """A variant as the peer sells it."""

    id: str
    sku: str = ""
    gtin: str = ""
    name: str = ""
    price: int | None = None
    active: bool = True
    version: int = 0


class ProductPush(msgspec.Struct, frozen=True, kw_only=True):
    """A variant as the peer shall sell it."""

    sku: str
    code: str
    name: str
    price: int
    currency: str
    gtin: str = ""
    active: bool = True
    version: int = 0


class ExtStock(msgspec.Struct, frozen=True, kw_only=True):
    """How many units of a variant there are at a peer, at one place of it or, with no `location`, in all.

    `quantity` means what `StockUpdate.quantity` does where the connector takes stock: what can be sold there. `on_hand`
    is what is physically there, where the peer knows that too; without it the two are one. `sku` is the peer's code of
    the variant, `as_of` when the peer said so, by its clock where it tells.
    """

    sku: str
    quantity: int
    as_of: datetime
    location: str = ""
    version: int = 0
    on_hand: int | None = None


class PricePush(msgspec.Struct, frozen=True, kw_only=True):
    """What a listing costs now."""

    sku: str
    code: str
    price: int
    currency: str
    version: int


class ShippedLine(msgspec.Struct, frozen=True):
    """Units of a line that left."""

    sku: str
    quantity: int
    line: str = ""  # the peer's id of the line


class ShipmentPush(msgspec.Struct, frozen=True, kw_only=True):
    """A parcel that left."""

    order: str  # the peer's id
    shipment: str  # ours
    lines: Sequence[ShippedLine]
    carrier: str = ""
    tracking: str = ""
    shipped_at: datetime
    location: str = ""  # our code of where it left from


class CancelPush(msgspec.Struct, frozen=True, kw_only=True):
    """Units that will not come; `whole` when nothing of the order is left."""

    order: str
    lines: Sequence[ShippedLine]
    whole: bool
    reason: str = ""


class RefundPush(msgspec.Struct, frozen=True, kw_only=True):
    """Money that goes back."""

    order: str
    payment: str  # the peer's id
    amount: int
    currency: str


class DocumentKind(StrEnum):
    """What a document says of an order. All but a sale refer to the sale; what they take back is negative."""

    SALE = "sale"
    CHANGE = "change"  # units of one SKU stand in for units of another
    CREDIT = "credit"  # units were cancelled
    REFUND = "refund"  # money went back for which nothing was cancelled


class DocumentRules(msgspec.Struct, frozen=True, kw_only=True):
    """What documents a connection posts: a connector that is a `DocumentSink` has these among its configuration."""

    document_when: Annotated[
        Literal["placed", "shipped"], Meta(description="Whether a sale is posted when it is placed or first ships.")
    ] = "placed"
    document_cancels: Annotated[
        Literal["credit", "none"], Meta(description="Whether what is cancelled afterwards is posted as a credit.")
    ] = "credit"
    document_refunds: Annotated[
        Literal["credit", "none"],
        Meta(description="Whether money that goes back beyond what was cancelled is posted as a credit."),
    ] = "credit"
    document_channels: Annotated[
        str, Meta(max_length=1_000, description="Channels whose orders are posted, by commas; empty: all of them.")
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


T = TypeVar("T")


class Page(msgspec.Struct, Generic[T], frozen=True):
    """Items in the order in which they changed, and where to go on: `cursor` is kept even if nothing more is there.

    `handles` are acknowledged once the items are safe here. `unread` are the ids of items that could not be read: they
    are asked for one by one later, so that one that is broken does not hold up the others.
    """

    items: Sequence[T]
    cursor: str
    more: bool = False
    handles: Sequence[str] = ()
    unread: Sequence[str] = ()


class DaySummary(msgspec.Struct, frozen=True):
    """What the peer counts of the orders placed on a day that are not cancelled, and their totals as they stand now.

    What is cancelled of an order is off its total; what was given back is not, and is told apart, by order.
    """

    day: str
    orders: int
    total: int
    ids: Sequence[str] | None = None  # where it can say which
    refunds: Mapping[str, int] | None = None  # of those of which any money went back; None: it does not count that


class Trust(StrEnum):
    """Whether what came by webhook may be used as it is."""

    DATA = "data"
    HINT = "hint"  # it only says where to look


class RawRequest(msgspec.Struct, frozen=True):
    """A webhook as it came, byte for byte."""

    method: str
    url: str  # as the peer was told to call it, with the query
    headers: Mapping[str, str]
    body: bytes


class Verified(msgspec.Struct, frozen=True):
    """It is from the peer, or (`signed` False) nobody can tell and its events must be hints."""

    request: RawRequest
    signed: bool = True


class Ping(msgspec.Struct, frozen=True):
    """The peer tries the address: it is answered, and nothing is kept."""


# What a partner who fulfils for us is asked and answers. `request` and `notice` are our names; each means the same
# thing however often it is told. Quantities are units of a SKU as it lies on the shelf: a kit is asked
# for by its components.


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
    lines: Sequence[CountedLine]
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


class FileTold(msgspec.Struct, frozen=True, kw_only=True):
    """What a file tells: `kind` is acknowledgements, shipments, adjustments, receipts or stock."""

    kind: str
    rows: int
    said: Sequence[Said] = ()
    stock: StockTold | None = None
    stock_rows: Sequence[int] = ()  # of each line of the stock
    flaws: Sequence[RowFlaw] = ()


class InboxEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One thing a webhook tells. Events of one `entity` are handled in their order; the same `dedup` is one event."""

    dedup: str
    entity: str  # "order:1001"
    trust: Trust
    order: ExtOrder | None = None  # with trust DATA
    order_id: str = ""  # with trust HINT
    answer: Answer | StockTold | None = None  # of a partner, with trust DATA; `dedup` and `entity` are the runtime's


class Tokens(msgspec.Struct, frozen=True):
    """Tokens as the peer gave them."""

    access: str
    refresh: str
    expires_at: datetime | None = None


class Connector(Protocol):
    """What every connector is. It is made once, without arguments, and must be cheap to make."""

    key: ClassVar[str]
    name: ClassVar[str]
    config_model: ClassVar[type[msgspec.Struct]]
    secrets: ClassVar[Mapping[str, str]]  # name of a secret: what it is, for people
    capabilities: ClassVar[frozenset[Capability]]
    limits: ClassVar[Limits]
    evidence: ClassVar[Tier]

    async def check(self, ctx: Ctx) -> Health:
        """Ask the peer something harmless that proves address and secrets."""
        ...


@runtime_checkable
class Paced(Protocol):
    """How much its peers are asked for depends on the connection."""

    def limits_for(self, config: Any) -> Limits:
        """Return the limits of a connection, for its configuration: one of `config_model`."""
        ...


@runtime_checkable
class CatalogSource(Protocol):
    """Tells what the peer sells."""

    async def pull_products(self, ctx: Ctx, cursor: str | None) -> Page[ExtProduct]:
        """Return the page after a cursor."""
        ...


@runtime_checkable
class CatalogSink(Protocol):
    """Takes what the peer shall sell."""

    async def upsert_products(self, ctx: Ctx, items: Sequence[ProductPush]) -> Sequence[Result]:
        """Hand variants over; one result for each, in their order."""
        ...


@runtime_checkable
class StockSink(Protocol):
    """Takes quantities: absolute, with a version that grows."""

    async def set_stock(self, ctx: Ctx, items: Sequence[StockUpdate]) -> Sequence[Result]:
        """Hand quantities over; one result for each, in their order."""
        ...


@runtime_checkable
class StockSource(Protocol):
    """Tells what stock the peer has: to be compared with what it was told, or as the truth of places of its own."""

    async def pull_stock(self, ctx: Ctx, cursor: str | None) -> Page[ExtStock]:
        """Return the page after a cursor. A reading begins without one, ends where nothing more is, and states all.

        Where the peer takes stock from us too, the places that are told are those that `set_stock` writes to. A variant
        the peer does not keep stock of is left out.
        """
        ...


@runtime_checkable
class PriceSink(Protocol):
    """Takes prices."""

    async def set_prices(self, ctx: Ctx, items: Sequence[PricePush]) -> Sequence[Result]:
        """Hand prices over; one result for each, in their order."""
        ...


@runtime_checkable
class OrderSource(Protocol):
    """Tells orders."""

    async def pull_orders(self, ctx: Ctx, cursor: str | None, since: datetime | None) -> Page[ExtOrder]:
        """Return the page after a cursor; without one, what changed since a moment.

        Two orders that changed at the same moment must not be torn apart by a page: the cursor holds a tie-break.
        """
        ...

    async def get_order(self, ctx: Ctx, external_id: str) -> ExtOrder:
        """Return an order as it is now.

        Raises:
            Missing: there is none.
        """
        ...

    async def acknowledge(self, ctx: Ctx, handles: Sequence[str]) -> None:
        """Tell the peer that these are safe here; called after the commit, and again if that was lost."""
        ...


@runtime_checkable
class ShipmentSink(Protocol):
    """Hears what left."""

    idempotent: ClassVar[bool]  # whether the peer itself takes the same key once

    async def find_shipment(self, ctx: Ctx, shipment: ShipmentPush, key: str) -> ExtRef | None:
        """Return what the peer has under a key; None: it never arrived.

        Raises:
            NotImplementedError: the peer cannot be asked.
        """
        ...

    async def push_shipment(self, ctx: Ctx, shipment: ShipmentPush, key: str) -> Result:
        """Tell the peer; `key` is the same each time this is tried."""
        ...


@runtime_checkable
class CancelRefundSink(Protocol):
    """Hears what will not come, and gives money back where the peer holds it."""

    idempotent: ClassVar[bool]

    async def find_operation(self, ctx: Ctx, order: str, key: str) -> ExtRef | None:
        """Return what the peer has of a cancel or refund under a key; None: it never arrived.

        Raises:
            NotImplementedError: the peer cannot be asked.
        """
        ...

    async def cancel(self, ctx: Ctx, push: CancelPush, key: str) -> Result:
        """Tell the peer what is cancelled."""
        ...

    async def refund(self, ctx: Ctx, push: RefundPush, key: str) -> Result:
        """Have the peer give money back."""
        ...


@runtime_checkable
class DocumentSink(Protocol):
    """Takes sales documents, each once. Its `config_model` extends `DocumentRules`.

    Where it has shipments as well, `ShipmentPush.order` is its name of the sale.
    """

    idempotent: ClassVar[bool]

    async def find_document(self, ctx: Ctx, document: Document, key: str) -> ExtRef | None:
        """Return what the peer has under a key; None: it never arrived. What arrived in part is finished.

        Raises:
            NotImplementedError: the peer cannot be asked.
        """
        ...

    async def post_document(self, ctx: Ctx, document: Document, key: str) -> Result:
        """Hand a document over; `key` is the same each time this is tried.

        What would not have the very total of the document at the peer is refused, as is a line whose variant the peer
        does not know: nothing of it is posted.
        """
        ...

    async def summarise_documents(self, ctx: Ctx, day: date, zone: str) -> DaySummary:
        """Return what the peer has of orders placed on a day: our numbers, and the sum of all their documents."""
        ...


@runtime_checkable
class SummarySource(Protocol):
    """Counts orders by day, so that a lost webhook shows."""

    async def summarise(self, ctx: Ctx, day: date, zone: str) -> DaySummary:
        """Return what the peer counts of a day."""
        ...


@runtime_checkable
class WebhookReceiver(Protocol):
    """Reads what the peer calls us with. Pure: no network, no clock but `now`."""

    def verify(self, raw: RawRequest, secrets: Sequence[str], now: datetime) -> Verified | Rejected | Ping:
        """Tell whether raw bytes are from the peer; `secrets` are two while one is being replaced."""
        ...

    def parse(self, verified: Verified) -> Sequence[InboxEvent]:
        """Return what it tells.

        Raises:
            Invalid: it is not readable.
        """
        ...


@runtime_checkable
class Shared(Protocol):
    """A receiver whose secret signs the messages of several accounts: each message must be of the right one. Pure."""

    def belongs(self, verified: Verified, config: Any) -> Rejected | None:
        """Return why a message is not of the account that a configuration names; None where it is."""
        ...


@runtime_checkable
class TokenRefresher(Protocol):
    """Renews tokens that run out."""

    async def refresh(self, ctx: Ctx, token: str) -> Tokens:
        """Return new tokens for a refresh token, which may be good for one use only.

        Raises:
            AuthExpired: the peer does not take it.
        """
        ...


@runtime_checkable
class FulfillmentSink(Protocol):
    """A partner who is asked to ship, to stop, and to expect goods."""

    idempotent: ClassVar[bool]

    async def find_ask(self, ctx: Ctx, ask: Ask, key: str) -> ExtRef | None:
        """Return what the peer has under a key; None: it never arrived.

        Raises:
            NotImplementedError: the peer cannot be asked.
        """
        ...

    async def ask(self, ctx: Ctx, ask: Ask, key: str) -> Result:
        """Tell the peer; `key` is the same each time this is tried."""
        ...


@runtime_checkable
class FileSource(Protocol):
    """A peer that answers by files. The runtime decides which are whole, keeps them, and has them put away then."""

    def server(self, config: Any) -> FileServer:
        """Return where the files are."""
        ...

    async def look(self, ctx: Ctx) -> Sequence[RemoteFile]:
        """Return the files that wait, those first that must be read first; what is still written is left out."""
        ...

    async def fetch(self, ctx: Ctx, name: str) -> bytes:
        """Return one of them.

        Raises:
            Missing: it is gone.
            Invalid: it is too large.
        """
        ...

    def understand(self, config: Any, name: str, body: bytes, modified: datetime) -> FileTold:
        """Return what a file tells. Pure.

        Raises:
            Invalid: it is no table of any kind; `code` is a key of the runtime's texts.
        """
        ...

    async def put_away(self, ctx: Ctx, name: str, number: int, errors: bytes | None) -> None:
        """Take a file out of the way, beside it the rows that are to be mended; called again if that was lost."""
        ...

    def error_file(self, config: Any, body: bytes, errors: Mapping[int, str]) -> bytes:
        """Return the rows of a file that are to be mended, each with why. Pure."""
        ...
