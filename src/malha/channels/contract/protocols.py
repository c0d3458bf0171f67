"""What a connector provides: a class says so in `capabilities`, each of which is one of these protocols."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, BinaryIO, ClassVar, Protocol, runtime_checkable

import msgspec

from malha.channels.contract.content import ListingFields
from malha.channels.contract.documents import Document
from malha.channels.contract.goods import ExtProduct, ExtStock, PricePush, ProductPush
from malha.channels.contract.incoming import InboxEvent, Ping, RawRequest, Tokens, Verified
from malha.channels.contract.means import Ctx, FileServer, Health, RemoteFile
from malha.channels.contract.orders import CancelPush, DaySummary, ExtOrder, ExtRef, RefundPush, ShipmentPush
from malha.channels.contract.outcomes import Capability, Limits, Rejected, Result, Tier
from malha.channels.contract.pages import Page
from malha.channels.contract.partners import Ask, FileTold
from malha.channels.contract.stock import StockUpdate


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
class TellsFields(Protocol):
    """A source of products that tells more of a variant, or less, than its name, GTIN and price.

    Only what it tells can be kept by a connection of it.
    """

    product_fields: ClassVar[frozenset[str]]  # of `catalog.ownership.FIELDS`


@runtime_checkable
class CatalogSink(Protocol):
    """Takes what the peer shall sell."""

    listing_fields: ClassVar[ListingFields]

    async def upsert_products(self, ctx: Ctx, items: Sequence[ProductPush]) -> Sequence[Result]:
        """Hand variants over; one result for each, in their order.

        Each is looked up at the peer by its `code` before anything is made, so that the same one again, after an answer
        that was lost, is made once. What the peer does not take is `Rejected` with the name of our field where it is
        known; of several refusals the others are in `others`.
        """
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
    """A peer that answers by files. The runtime decides which are whole, keeps them, and has them put away then.

    One that says `catalog_source` or `orders` and has not their methods tells products or orders by its files.
    """

    def server(self, config: Any) -> FileServer:
        """Return where the files are."""
        ...

    async def look(self, ctx: Ctx) -> Sequence[RemoteFile]:
        """Return the files that wait, those first that must be read first; what is still written is left out."""
        ...

    async def fetch(self, ctx: Ctx, name: str, into: BinaryIO) -> None:
        """Read one of them into another file.

        Raises:
            Missing: it is gone.
            Invalid: it is too large.
        """
        ...

    def understand(self, config: Any, name: str, body: BinaryIO, modified: datetime) -> FileTold:
        """Return what a file tells, which may be large: it is read piece by piece, from its beginning.

        What it says of stock, and the products and orders it lists, may be read from it anew each time they are asked
        for, as long as it is open.

        Raises:
            Invalid: it is no table of any kind; `code` is a key of the runtime's texts.
        """
        ...

    async def put_away(self, ctx: Ctx, name: str, number: int, errors: bytes | None) -> None:
        """Take a file out of the way, beside it the rows that are to be mended; called again if that was lost."""
        ...

    def error_file(self, config: Any, body: BinaryIO, errors: Mapping[int, str]) -> bytes:
        """Return the rows of a file that are to be mended, each with why. Pure."""
        ...
