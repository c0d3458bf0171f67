"""Listings over a connection: what its channel gets and from where, saying it otherwise, publishing and ending."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from malha.api.work import Work, command, query
from malha.channels.connecting.service import connection_of
from malha.channels.feeds.model import Mapped
from malha.channels.listings import making, reads, service, words
from malha.channels.listings.mapping import MOST_SHOWN, Foreseen, foresee
from malha.channels.listings.model import Explained, ListingError, Status
from malha.channels.listings.reads import Listed
from malha.channels.service import MOST_PRICE
from malha.platform import paging
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_
from malha.platform.paging import Page

TAG = "connections"
_NOTHING = Flaw("", N_("Nothing is said here."), N_("Say a field otherwise, or a price."))

Sku = Annotated[str, Meta(min_length=1, max_length=80)]
Price = Annotated[int, Meta(gt=0, le=MOST_PRICE)]
Said = dict[Annotated[str, Meta(min_length=1, max_length=80)], str | list[str] | None]


class ConnectionListingView(msgspec.Struct, frozen=True, kw_only=True):
    """A listing over a connection.

    `status` at the channel: draft (never published), submitted (on its way), live, rejected (by the channel) or ended.
    `wanted`: somebody published it; it is for sale there while it is for sale here. `overrides`: fields that are said
    otherwise there. `errors`: of the channel in its own words, of our connector or of our checks in your language
    (`teller`); what checks find keeps it from being sent. `price` is what the channel gets, in centavos: its own
    (`own_price`), or the catalogue's.
    """

    sku: str
    name: str
    code: str
    price: int | None
    own_price: int | None
    status: Status
    wanted: bool
    on_sale: bool
    overrides: int
    reference: str
    sent_at: datetime | None
    errors: list[ListingError]


class FoundInField(msgspec.Struct, frozen=True):
    """What a rule finds in a field; an error keeps the listing from being sent."""

    rule: str
    severity: str


class ExplainedField(msgspec.Struct, frozen=True, kw_only=True):
    """A field: what the channel gets and from where, and what it would get if nothing were said.

    `source` is product, mapping, override or missing. `shared`: the channel has it once for all variants of a product.
    """

    field: str
    kind: str
    required: bool
    shared: bool
    value: str | list[str]
    source: str
    usual: str | list[str]
    usual_source: str
    origin: str
    found: list[FoundInField]


class ExplainedListing(msgspec.Struct, frozen=True, kw_only=True):
    """What a channel gets of a SKU. `ready`: nothing keeps it from being sent. `version` is of what is said of it.

    `price` is its own (`own_price`), or else the catalogue's (`catalog_price`), in centavos. `price_kept`: the channel
    keeps the price itself, and is told none.
    """

    sku: str
    name: str
    code: str
    product: str
    price: int | None
    own_price: int | None
    catalog_price: int | None
    price_kept: bool
    currency: str
    status: Status
    wanted: bool
    on_sale: bool
    ready: bool
    version: int
    reference: str
    sent_at: datetime | None
    errors: list[ListingError]
    fields: list[ExplainedField]


class SayFields(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Fields to say otherwise, by name: a text, a list of addresses, or null to take back what was said.

    `price`: what the SKU costs on this channel, in centavos; null: what the catalogue says. Left out, it stays.
    """

    overrides: Annotated[Said, Meta(max_length=200)] = {}
    price: Price | msgspec.UnsetType | None = msgspec.UNSET


class SayMany(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Fields of several SKUs to say otherwise, whatever is said of them now; all of it, or nothing.

    `prices`: what SKUs cost on this channel, in centavos; null: what the catalogue says.
    """

    items: Annotated[dict[Sku, Said], Meta(max_length=500)] = {}
    prices: Annotated[dict[Sku, Price | None], Meta(max_length=500)] = {}


class ChosenListings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which SKUs."""

    skus: Annotated[list[Sku], Meta(min_length=1, max_length=1_000)]


class ListingsChanged(msgspec.Struct, frozen=True):
    """How many fields and prices are other than before."""

    changed: int


class ListingSaid(msgspec.Struct, frozen=True):
    """The version that what is said of it has now."""

    sku: str
    version: int


class PublishedView(msgspec.Struct, frozen=True, kw_only=True):
    """How many are on their way, how many are as the channel was told, and by SKU why others cannot be sent.

    `unknown`: there is no such SKU, or its code means another one on the channel.
    """

    queued: int
    unchanged: int
    refused: dict[str, list[ListingError]]
    unknown: list[str]


class ListingFieldView(msgspec.Struct, frozen=True, kw_only=True):
    """A field that the channel takes; `values` are the words of one that takes only these."""

    name: str
    kind: str
    required: bool
    shared: bool
    longest: int
    values: list[str]


class ListingPlanView(msgspec.Struct, frozen=True, kw_only=True):
    """What a channel takes of goods, and how its fields are made of ours; null: in the usual way.

    `attributes`: it takes fields of any name as well.
    """

    fields: list[ListingFieldView]
    attributes: bool
    mapping: list[Mapped] | None
    version: int


class StateListingPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How fields are made of ours; those that are not mentioned in the usual way. Null: all of them so."""

    mapping: Annotated[list[Mapped], Meta(max_length=100)] | None


class ListingPlanStored(msgspec.Struct, frozen=True):
    """The version it has now."""

    version: int


class TryListingPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How fields would be made of ours, tried on the first listings that it changes, or on one SKU."""

    mapping: Annotated[list[Mapped], Meta(max_length=100)] | None
    sku: Sku | None = None
    rows: Annotated[int, Meta(ge=1, le=MOST_SHOWN)] = 3


class ForeseenField(msgspec.Struct, frozen=True, kw_only=True):
    """A field of a listing: what the channel gets now and what it would get; null: not sent. `found` is of that."""

    field: str
    now: str | list[str] | None
    value: str | list[str] | None
    changes: bool
    found: list[FoundInField]


class ForeseenListing(msgspec.Struct, frozen=True, kw_only=True):
    """What would become of a listing. `sent_now`, `ready`: nothing keeps it from being sent now, and then."""

    sku: str
    name: str
    changes: bool
    sent_now: bool
    ready: bool
    errors: list[ListingError]
    fields: list[ForeseenField]


class KeptBackView(msgspec.Struct, frozen=True, kw_only=True):
    """One reason why listings that are sent now would not be: a rule, its field, how many, the SKU of one of them."""

    field: str
    rule: str
    count: int
    sku: str


class ListingPlanPreview(msgspec.Struct, frozen=True, kw_only=True):
    """What a mapping would do. `looked`: at so many published listings; `more`: there are others.

    `told`: of how many the channel would be told anew; `kept_back` are sent now and would not be, `why` says the
    reasons; `freed`: the other way round.
    """

    looked: int
    more: bool
    told: int
    kept_back: int
    freed: int
    why: list[KeptBackView]
    listings: list[ForeseenListing]


@query("/connections/{code:str}/listings", permission="network:read", tag=TAG)
async def list_connection_listings(
    work: Work,
    code: str,
    status: Status | None = None,
    with_errors: bool = False,
    q: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[ConnectionListingView]:
    """List what may be sold over a connection, by SKU: all, of a status, with errors, or by name or code."""
    found = await connection_of(work.tx, code)
    making.profile_of(found)
    size = paging.bounded(limit)
    after = paging.position(cursor, "connection_listings", (str,))
    rows = await reads.listed(
        work.tx,
        service.place_of(found),
        after=after[0] if after else "",
        status=status,
        wrong=with_errors,
        sought=q or None,
        most=size + 1,
    )
    page = paging.page_of(rows, size, "connection_listings", lambda row: (row.sku,))
    return Page([_view(row) for row in page.items], page.next)


def _view(row: Listed) -> ConnectionListingView:
    return ConnectionListingView(
        sku=row.sku,
        name=row.name,
        code=row.code,
        price=row.price,
        own_price=row.own_price,
        status=row.status,
        wanted=row.wanted,
        on_sale=row.on_sale and row.active,
        overrides=row.overrides,
        reference=row.reference,
        sent_at=row.sent_at,
        errors=[words.told(e) for e in row.errors],
    )


@query("/connections/{code:str}/listings/{sku:str}", permission="network:read", tag=TAG)
async def get_connection_listing(work: Work, code: str, sku: str) -> ExplainedListing:
    """Explain what the channel gets of a SKU, field by field, and how it stands there."""
    connection, found = await service.listing_of(work.tx, code, sku)
    goods = found.goods
    work.tag(found.version)
    return ExplainedListing(
        sku=goods.sku,
        name=goods.name,
        code=goods.code,
        product=goods.product,
        price=goods.price,
        own_price=goods.own_price,
        catalog_price=goods.catalog_price,
        price_kept=goods.price_kept,
        currency=connection.currency,
        status=goods.status,
        wanted=goods.wanted,
        on_sale=goods.on_sale and goods.active,
        ready=not found.content.errors,
        version=found.version,
        reference=goods.reference,
        sent_at=goods.sent_at,
        errors=[words.told(e) for e in [*goods.errors, *(e for e in found.content.errors if e not in goods.errors)]],
        fields=[
            ExplainedField(
                field=each.field,
                kind=each.kind,
                required=each.required,
                shared=each.shared,
                value=each.value,
                source=each.source.value,
                usual=each.usual,
                usual_source=each.usual_source.value,
                origin=each.origin,
                found=[FoundInField(f.rule, f.severity.value) for f in each.found],
            )
            for each in found.content.fields
        ],
    )


@command(
    "/connections/{code:str}/listings/{sku:str}",
    method="PATCH",
    permission="network:write",
    versioned="required",
    tag=TAG,
)
async def say_connection_listing(work: Work, code: str, sku: str, data: SayFields) -> ListingSaid:
    """Say fields of a SKU otherwise on this channel, or what it costs there, or take it back. The channel is told."""
    refuse([] if data.overrides or data.price is not msgspec.UNSET else [_NOTHING])
    was = work.expect(await service.lock_listing(work.tx, code, sku))
    version = await service.say(work.tx, code, sku, data.overrides, was, price=data.price)
    work.tag(version)
    return ListingSaid(sku, version)


@command("/connections/{code:str}/listings", method="PATCH", permission="network:write", everywhere=True, tag=TAG)
async def say_connection_listings(work: Work, code: str, data: SayMany) -> ListingsChanged:
    """Say fields of several SKUs otherwise on this channel, or what they cost there; null takes it back.

    All of it, or nothing.
    """
    refuse([] if data.items or data.prices else [_NOTHING])
    items: list[tuple[str, str, Any]] = [
        (sku, name, value) for sku, said in data.items.items() for name, value in said.items()
    ]
    return ListingsChanged(await service.say_many(work.tx, code, items, data.prices))


@command("/connections/{code:str}/listings/publish", permission="network:write", tag=TAG)
async def publish_connection_listings(work: Work, code: str, data: ChosenListings) -> PublishedView:
    """Have SKUs sold over a connection, and kept there as they are here. What has errors goes once they are mended."""
    return _published(await service.publish(work.tx, code, data.skus))


@command("/connections/{code:str}/listings/end", permission="network:write", tag=TAG)
async def end_connection_listings(work: Work, code: str, data: ChosenListings) -> PublishedView:
    """Have SKUs not sold over a connection any more."""
    return _published(await service.end(work.tx, code, data.skus))


def _published(done: service.Published) -> PublishedView:
    return PublishedView(queued=done.queued, unchanged=done.unchanged, refused=done.refused, unknown=done.unknown)


@query("/connections/{code:str}/listing-fields", permission="network:read", tag=TAG)
async def get_listing_fields(work: Work, code: str) -> ListingPlanView:
    """Return what fields a connection's channel takes, and how they are made of ours."""
    found = await connection_of(work.tx, code)
    profile = making.profile_of(found)
    mapping, version, _seen = await reads.plan(work.tx, found.id)
    work.tag(version)
    return ListingPlanView(
        fields=[
            ListingFieldView(
                name=f.name,
                kind=f.kind.value,
                required=f.required,
                shared=f.shared,
                longest=f.longest,
                values=list(f.values),
            )
            for f in profile.fields
        ],
        attributes=profile.open,
        mapping=mapping,
        version=version,
    )


@command(
    "/connections/{code:str}/listing-fields", method="PUT", permission="network:write", versioned="required", tag=TAG
)
async def put_listing_fields(work: Work, code: str, data: StateListingPlan) -> ListingPlanStored:
    """Say how a channel's fields are made of ours: from a field, an attribute, a text, with words replaced by its own.

    All that is published is worked out anew; what differs then is told.
    """
    was = work.expect(await service.lock_mapping(work.tx, code))
    version = await service.put_mapping(work.tx, code, data.mapping, was)
    work.tag(version)
    return ListingPlanStored(version)


@command("/connections/{code:str}/listing-fields:preview", permission="network:write", idempotent=False, tag=TAG)
async def preview_listing_fields(work: Work, code: str, data: TryListingPlan) -> ListingPlanPreview:
    """Return what a mapping would make of real listings, beside what the channel gets of them now. Nothing is kept.

    Without a SKU the first that would change are shown, one that would be kept back before all others. A mapping that
    could not be saved is refused in the same words.
    """
    seen = await foresee(work.tx, code, data.mapping, data.sku, data.rows)
    return ListingPlanPreview(
        looked=seen.looked,
        more=seen.more,
        told=seen.told,
        kept_back=seen.kept_back,
        freed=seen.freed,
        why=[KeptBackView(field=w.field, rule=w.rule, count=w.count, sku=w.sku) for w in seen.why],
        listings=[_foreseen(each) for each in seen.shown],
    )


def _foreseen(each: Foreseen) -> ForeseenListing:
    now = {f.field: f for f in each.now.fields}
    then = {f.field: f for f in each.then.fields}
    return ForeseenListing(
        sku=each.goods.sku,
        name=each.goods.name,
        changes=each.now.digest != each.then.digest,
        sent_now=each.now.push is not None,
        ready=each.then.push is not None,
        errors=[words.told(e) for e in each.then.errors],
        fields=[_foreseen_field(name, now.get(name), then.get(name)) for name in {**then, **now}],
    )


def _foreseen_field(name: str, now: Explained | None, then: Explained | None) -> ForeseenField:
    before, after = (None if side is None else side.value for side in (now, then))
    return ForeseenField(
        field=name,
        now=before,
        value=after,
        changes=before != after,
        found=[] if then is None else [FoundInField(f.rule, f.severity.value) for f in then.found],
    )


handlers = [
    list_connection_listings,
    get_connection_listing,
    say_connection_listing,
    say_connection_listings,
    publish_connection_listings,
    end_connection_listings,
    get_listing_fields,
    put_listing_fields,
    preview_listing_fields,
]
