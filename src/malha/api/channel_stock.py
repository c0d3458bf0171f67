"""How channels hear of stock: listings, the push by webhook, and the feed of changes for those who ask."""

from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from malha.api.work import Work, command, query
from malha.channels import feed, reads, service
from malha.channels.connecting import failures
from malha.channels.contract import StockUpdate
from malha.channels.model import ListingDraft, PushDraft, PushKind
from malha.network.service import refuse_limited
from malha.platform import paging
from malha.platform.paging import Page

TAG = "channels"
Code = Annotated[str, Meta(min_length=1, max_length=80)]


class StatePush(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a channel shall hear of stock: `webhook` calls `url`, `feed` waits to be asked.

    Without a `secret` a webhook keeps the one it has, or is given one, which the answer shows once. `all_skus` lists
    every active SKU under its own code.
    """

    kind: PushKind
    url: Annotated[str, Meta(max_length=2_048)] | None = None
    secret: Annotated[str, Meta(min_length=16, max_length=200)] | None = None
    active: bool = True
    all_skus: bool = True


class PushStored(msgspec.Struct, frozen=True):
    """The version it has now, and the secret that was made for it: it is not shown again."""

    channel: str
    version: int
    secret: str | None = None


class StateListing(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A SKU on the channel, and what the channel calls it: a code that is left out is the SKU.

    `price`: what it costs there, in centavos; null: what the catalogue says. Left out, it stays.
    """

    sku: Code
    code: Code | None = None
    active: bool = True
    price: Annotated[int, Meta(gt=0, le=service.MOST_PRICE)] | msgspec.UnsetType | None = msgspec.UNSET


class StateListings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Listings to make or change."""

    items: Annotated[list[StateListing], Meta(min_length=1, max_length=service.MOST_LISTINGS)]


class Listed(msgspec.Struct, frozen=True):
    """How many were listed, and which SKUs are unknown: those were left out."""

    count: int
    unknown: list[str]


class ListingView(msgspec.Struct, frozen=True, kw_only=True):
    """A listing, what its channel was told last and, where it did not take it, why.

    `own_price`: what the SKU costs there, in centavos; null: what the catalogue says.
    """

    sku: str
    code: str
    active: bool
    own_price: int | None
    sent_quantity: int | None
    sent_at: datetime | None
    error: str | None


class Resend(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Look at all listings again: tell what differs from what was told, or `everything`."""

    everything: bool = False


class Changes(msgspec.Struct, frozen=True):
    """What changed, each SKU once with its newest quantity. Ask again with `cursor` for what comes after."""

    items: list[StockUpdate]
    cursor: str
    more: bool


@query("/stock-pushes", permission="network:read", tag=TAG)
async def list_stock_pushes(work: Work) -> list[reads.PushRow]:
    """Return how channels hear of stock: how far each is behind, what failed, when it is tried again."""
    refuse_limited(work.tx)
    return await reads.pushes(work.tx)


@query("/channels/{code:str}/stock-push", permission="network:read", tag=TAG)
async def get_stock_push(work: Work, code: str) -> reads.PushRow:
    """Return how a channel hears of stock."""
    found = await service.push_of(work.tx, code)
    work.tag(found.version)
    return found


@command(
    "/channels/{code:str}/stock-push",
    method="PUT",
    permission="network:write",
    everywhere=True,
    versioned="optional",
    tag=TAG,
)
async def put_stock_push(work: Work, code: str, data: StatePush) -> PushStored:
    """Say how a channel hears of stock. All its listings are told again.

    What is there already is changed only with the `If-Match` of what was read.
    """
    version = work.expect_or_make(await service.lock_push(work.tx, code))
    draft = PushDraft(kind=data.kind, url=data.url, secret=data.secret, active=data.active, all_skus=data.all_skus)
    version, secret = await service.put_push(
        work.tx,
        code,
        draft,
        version,
        work.services.signing,
        allowed=work.services.settings.outward_allow,
    )
    work.tag(version)
    return PushStored(code, version, secret)


@command("/channels/{code:str}/stock-push/resend", permission="network:write", tag=TAG)
async def resend_stock(work: Work, code: str, data: Resend) -> None:
    """Look at all listings of a channel again, and tell it what differs."""
    await service.resend(work.tx, code, everything=data.everything)


@query("/channels/{code:str}/listings", permission="network:read", tag=TAG)
async def list_listings(
    work: Work,
    code: str,
    sku: str | None = None,
    refused: bool = False,
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[ListingView]:
    """List what a channel sells, with what it was told last; `refused`: what it did not take."""
    channel = await service.channel_of(work.tx, code)
    size = paging.bounded(limit)
    after = paging.position(cursor, "listings", (int,))
    rows = await reads.listed(
        work.tx, channel.id, after=after[0] if after else 0, sku=sku, refused=refused, most=size + 1
    )
    page = paging.page_of(rows, size, "listings", lambda row: (row.sku_id,))
    return Page([_view(row) for row in page.items], page.next)


def _view(row: reads.ListingRow) -> ListingView:
    return ListingView(
        sku=row.sku,
        code=row.code,
        active=row.active,
        own_price=row.own_price,
        sent_quantity=row.sent_quantity,
        sent_at=row.sent_at,
        error=row.error and failures.shown(row.error),
    )


@command("/channels/{code:str}/listings", permission="network:write", tag=TAG)
async def put_listings(work: Work, code: str, data: StateListings) -> Listed:
    """List SKUs on a channel, or change how it calls them and what they cost there; unknown ones are left out."""
    drafts = [ListingDraft(item.sku, item.code, item.active, item.price) for item in data.items]
    unknown = await service.put_listings(work.tx, code, drafts)
    return Listed(len(drafts) - len(unknown), unknown)


@query("/channels/{code:str}/stock-changes", permission="stock:read", tag=TAG)
async def list_stock_changes(work: Work, code: str, cursor: str | None = None, limit: int | None = None) -> Changes:
    """Return what a channel with a feed may sell now of everything that changed since `cursor`.

    Without a cursor all listings are told, page by page. A SKU that changed a hundred times is there once. The cursor
    of the last page stays good: ask with it again a moment later. When something else changes quantities (a paused
    location, a rule, a cap), all listings are told once more.
    """
    told = await feed.read(work.tx, code, cursor, paging.bounded(limit))
    return Changes(told.items, told.cursor, told.more)


handlers = [
    list_stock_pushes,
    get_stock_push,
    put_stock_push,
    resend_stock,
    list_listings,
    put_listings,
    list_stock_changes,
]
