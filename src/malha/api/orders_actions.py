"""Orders as programs see and change them; how they come in is `malha.api.intake`."""

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from malha.api.work import Work, command, query
from malha.fiscal import reads as fiscal
from malha.fulfillment import finding
from malha.fulfillment import reads as fulfillment
from malha.fulfillment import service as work_at_locations
from malha.intake import replanning, substituting
from malha.inventory.ahead import reads as ahead
from malha.network import reads as network
from malha.network import retailer
from malha.ordering import details, edits, list_reads, listing, promises, reads, rules, service
from malha.ordering import holds as order_holds
from malha.ordering.errors import HoldAutomatic, OrderNotFound
from malha.ordering.listing import Due, Place, Sort, View, Wanted
from malha.ordering.model import (
    AUTOMATIC_HOLDS,
    Address,
    CancelWish,
    HoldKind,
    OrderDetails,
    OrderStatus,
    PromiseReason,
    word_of,
)
from malha.payments import reads as payments_reads
from malha.payments import service as payments
from malha.platform import brazil, paging
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_
from malha.platform.ids import UUID
from malha.platform.paging import Page
from malha.platform.shapes import Instant
from malha.promising import reads as promised_reads
from malha.promising.reads import MadeOf

TAG = "orders"
Text = Annotated[str, Meta(max_length=400)]
Said = Annotated[str, Meta(min_length=1, max_length=400)]


class OrderSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One order of a list. Amounts are centavos; `units` counts them by state; `channel` and `locations` are names.

    `promised_at` is the end of the first promised day that is still to be kept, by which lists are sorted and orders
    are late; `complete_at` is when all of it is there. They differ where lines come on several days.
    """

    id: UUID
    number: int
    external_id: str
    channel: str
    channel_code: str
    placed_at: datetime
    status: OrderStatus
    currency: str
    total: int
    cancelled_total: int
    method: str
    buyer_name: str
    city: str | None
    state: str | None
    promised_at: datetime | None
    complete_at: datetime | None
    units: dict[str, int]
    locations: list[str]
    location_codes: list[str]
    holds: list[str]
    tags: list[str]


class OrderView(msgspec.Struct, frozen=True, kw_only=True):
    """An order with everything that belongs to it. `awaits`: supply its units wait for. The `ETag` is its version.

    `details` is what it says besides what is bought, as field rules of its connection or its sender said. `tags` are
    what it is tagged with now: what they said, and what people and programs added and took away since. Where lines come
    on several days, its `promised_at` is the first that is still to be kept, its `complete_at` the last.
    """

    order: reads.Header
    details: OrderDetails | None
    tags: list[str]
    lines: list[reads.LineRow]
    units: list[reads.UnitRow]
    awaits: list[ahead.ClaimRow]
    holds: list[reads.HoldRow]
    notes: list[reads.NoteRow]
    payment: payments_reads.Totals | None
    tenders: list[payments_reads.TenderRow]
    fulfillments: list["WorkView"]
    shipments: list[fulfillment.ShipmentRow]
    documents: list[fiscal.DocumentRow]


class WorkView(msgspec.Struct, frozen=True, kw_only=True):
    """Work of one location for the order."""

    id: UUID
    number: int
    location: str
    method: str
    state: str
    due_at: datetime
    reason: str | None
    version: int
    slot: fulfillment.WorkSlot | None


class OrderState(msgspec.Struct, frozen=True, kw_only=True):
    """Where an order stands after a change."""

    id: UUID
    number: int
    status: OrderStatus
    version: int


class CancelLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line to cancel; without a quantity all of it that has not left."""

    line: Annotated[int, Meta(ge=1, le=32_767)]
    quantity: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None


class CancelOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why, and what: without lines the whole order. `rest` passes over what has left instead of refusing."""

    reason: Said
    lines: Annotated[list[CancelLine], Meta(min_length=1, max_length=500)] | None = None
    rest: bool = False


class Cancelled(msgspec.Struct, frozen=True, kw_only=True):
    """What a cancel did: units per line, centavos taken off the total, and what is now to be given back."""

    order: OrderState
    lines: list[CancelLine]
    amount: int
    refund_due: int


class ReplaceLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which substitute, and for how many sold units that wait; without a quantity for all of them."""

    sku: Annotated[str, Meta(min_length=1, max_length=80)]
    quantity: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None


class LineReplaced(msgspec.Struct, frozen=True, kw_only=True):
    """The line that stands in, what the order costs less in centavos, and what is now to be given back."""

    order: OrderState
    replaced: substituting.Replaced
    refund_due: int


class PlaceHold(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why the order shall wait."""

    kind: HoldKind
    note: Text = ""


class ResolveHold(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why it may go on. `override` lifts a hold that otherwise only its cause lifts."""

    resolution: Text = ""
    override: bool = False


class ChangeBuyer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who buys. What is left out is removed."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    document: Annotated[str, Meta(max_length=20)] | None = None
    email: Annotated[str, Meta(max_length=254)] | None = None
    phone: Annotated[str, Meta(max_length=40)] | None = None


Tag = Annotated[str, Meta(min_length=1, max_length=details.LONGEST)]
Tags = Annotated[list[Tag], Meta(max_length=details.MOST_TAGS)]


class ChangeTags(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Tags to add to orders, and to take away from them. Case, accents and spaces do not make another tag."""

    orders: Annotated[list[UUID], Meta(min_length=1, max_length=details.AT_ONCE)]
    add: Tags = []
    remove: Tags = []


class TagsChanged(msgspec.Struct, frozen=True, kw_only=True):
    """What became of it. `unknown`: none that you may see; `full`: it would have too many tags, and is as it was."""

    changed: list[UUID]
    unchanged: list[UUID]
    unknown: list[UUID]
    full: list[UUID]


class KnownTags(msgspec.Struct, frozen=True):
    """The tags that orders have, by the alphabet."""

    tags: list[str]


class AddNote(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A note for colleagues."""

    text: Annotated[str, Meta(min_length=1, max_length=edits.NOTE_LENGTH)]


class NoteAdded(msgspec.Struct, frozen=True):
    """The note's identifier."""

    id: UUID


class MapLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The SKU of the catalogue that the line means."""

    sku: Annotated[str, Meta(min_length=1, max_length=80)]


class PlacedUnits(msgspec.Struct, frozen=True, kw_only=True):
    """Where the order stands, and how many units still wait for a location."""

    order: OrderState
    waiting: int


class Repromise(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The end of the day that is promised from now on, and why. Without lines the whole order.

    `note` is for colleagues, and needed with the reason `other`; the customer is told the day and the reason.
    """

    promised_at: Instant
    reason: PromiseReason
    note: Annotated[str, Meta(max_length=promises.NOTE_LENGTH)] = ""
    lines: Annotated[list[Annotated[int, Meta(ge=1, le=32_767)]], Meta(min_length=1, max_length=500)] | None = None


class Promised(msgspec.Struct, frozen=True, kw_only=True):
    """Where the order stands, and the first day that is now to be kept."""

    order: OrderState
    promised_at: datetime


class Promises(msgspec.Struct, frozen=True, kw_only=True):
    """What was promised: first, what counts now, lines with a day of their own, and the changes, newest first.

    `present` is the first day that is still to be kept, `complete` the day by which all of it is there.
    `made_of` says what the dates are made of, one entry for each decision on where the order's goods leave, the first
    one first. It is empty where nothing travels, and for orders from before it was kept.
    """

    first: datetime | None
    present: datetime | None
    complete: datetime | None
    lines: dict[str, datetime]
    changes: list[reads.PromiseRow]
    made_of: list[MadeOf]


class ReleasedWork(msgspec.Struct, frozen=True, kw_only=True):
    """The work a release made."""

    order: OrderState
    fulfillments: list[UUID]


class OrdersAsked(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which orders: the parameters of `GET /v1/orders`, without those of its order and pages."""

    view: View = View.ALL
    status: OrderStatus | None = None
    channel: str | None = None
    location: str | None = None
    method: str | None = None
    tag: Annotated[list[Annotated[str, Meta(max_length=60)]], Meta(max_length=10)] = []
    tags: Literal["all", "any"] = "all"
    placed_since: Instant | None = None
    placed_until: Instant | None = None
    promised: Due | None = None
    promised_since: Instant | None = None
    promised_until: Instant | None = None
    search: Annotated[str, Meta(max_length=200)] = ""


@query("/orders", permission="orders:read", tag=TAG)
async def list_orders(
    work: Work,
    *,
    view: View = View.ALL,
    status: OrderStatus | None = None,
    channel: str | None = None,
    location: str | None = None,
    method: str | None = None,
    tag: Annotated[list[Annotated[str, Meta(max_length=60)]], Meta(max_length=10)] | None = None,
    tags: Literal["all", "any"] = "all",
    placed_since: Instant | None = None,
    placed_until: Instant | None = None,
    promised: Due | None = None,
    promised_since: datetime | None = None,
    promised_until: datetime | None = None,
    search: Annotated[str, Meta(max_length=200)] = "",
    sort: Sort = Sort.NEWEST,
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[OrderSummary]:
    """List orders, newest first.

    `search` finds a number, the channel's own id or its beginning, CPF, CNPJ, e-mail, phone, SKU, GTIN, the tracking
    code of a parcel, the access key of a fiscal document, a whole tag, or words of the name. `channel` and `location`
    are codes, `tag` may be spelled in any way and said several times: an order has all of them then, or with `tags=any`
    one at least; `placed_until` and `promised_until` are exclusive. `promised_since` and `promised_until` are by the
    retailer's clock where they name no zone. `promised` is `late`
    (promised before now, not over), `today` or `week` (from Monday on, in the retailer's days), or `none`. A person or
    key limited to locations sees their orders only.
    """
    size = paging.bounded(limit)
    found = paging.position(cursor, f"orders.{sort}", (str, UUID, int))
    asked = OrdersAsked(
        view=view,
        status=status,
        channel=channel,
        location=location,
        method=method,
        tag=tag or [],
        tags=tags,
        placed_since=placed_since,
        placed_until=placed_until,
        promised=promised,
        promised_since=promised_since,
        promised_until=promised_until,
        search=search,
    )
    wanted = await wanted_of(work, asked)
    if wanted is None:
        return Page([])
    page = await list_reads.page(work.tx, wanted, sort=sort, after=None if found is None else Place(*found), size=size)
    following = page.next
    names = OrderSummary.__struct_fields__
    return Page(
        [OrderSummary(**{name: getattr(row, name) for name in names}) for row in page.rows],
        None
        if following is None
        else paging.cursor_of(f"orders.{sort}", (following.key, following.id, following.before)),
    )


async def wanted_of(work: Work, asked: OrdersAsked) -> Wanted | None:
    """Return the read model's terms of a list that the caller sees; None: it names what is not there."""
    channels = [c.id for c in await network.channels(work.tx) if asked.channel == c.code]
    place = None if asked.location is None else await network.location_by_code(work.tx, asked.location)
    if (asked.channel is not None and not channels) or (asked.location is not None and place is None):
        return None
    zone = await retailer.zone(work.tx)
    since, until = listing.promised_between(
        asked.promised, asked.promised_since, asked.promised_until, await work.tx.now(), zone
    )
    wanted = Wanted(
        view=asked.view,
        statuses=() if asked.status is None else (asked.status,),
        channel_ids=tuple(channels),
        location_id=None if place is None else place.id,
        scope=work.actor.fixed_scope,
        since=asked.placed_since,
        until=asked.placed_until,
        due=asked.promised,
        promised_since=since,
        promised_until=until,
        method=asked.method,
        tags=tuple(each for each in asked.tag if each),
        any_tag=asked.tags == "any",
        search=asked.search,
        overdue=tuple(await fulfillment.overdue_orders(work.tx)) if asked.view is View.LATE else (),
    )
    return await finding.sought(work.tx, wanted)


@query("/orders/{order_id:uuid}", permission="orders:read", snapshot=True, tag=TAG)
async def get_order(work: Work, order_id: UUID) -> OrderView:
    """Return an order with its lines, units, holds, payments, work, parcels and documents.

    Document, e-mail and phone of the buyer are masked for callers who may not see personal data in full.
    """
    header = await seen_order(work, order_id)
    work.tag(header.seq)
    if not work.actor.may("customers:reveal"):
        header = _masked(header)
    tx = work.tx
    rows = await fulfillment.of_order(tx, order_id)
    return OrderView(
        order=header,
        details=await reads.details(tx, order_id),
        tags=(await reads.tags(tx, [order_id])).get(order_id, []),
        lines=await reads.lines(tx, order_id),
        units=await reads.units(tx, order_id),
        awaits=await ahead.claims_of_order(tx, order_id),
        holds=await reads.holds(tx, order_id),
        notes=await reads.notes(tx, order_id),
        payment=(await payments_reads.totals(tx, [order_id])).get(order_id),
        tenders=await payments_reads.tenders(tx, order_id),
        fulfillments=[
            WorkView(
                id=row.id,
                number=row.number,
                location=row.location_code,
                method=row.method,
                state=row.state,
                due_at=row.due_at,
                reason=row.reason,
                version=row.version,
                slot=row.slot,
            )
            for row in rows
        ],
        shipments=await fulfillment.shipments(tx, order_id),
        documents=await fiscal.of_order(tx, order_id),
    )


@query("/orders/{order_id:uuid}/timeline", permission="orders:read", snapshot=True, tag=TAG)
async def get_timeline(work: Work, order_id: UUID) -> list[reads.TimelineRow]:
    """Return what happened to an order, newest first. Written a moment after the fact itself."""
    await seen_order(work, order_id)
    return await reads.timeline(work.tx, order_id)


async def seen_order(work: Work, order_id: UUID) -> reads.Header:
    """Return an order's header if the caller may see it."""
    number = (await reads.numbers_of(work.tx, [order_id])).get(order_id)
    header = None if number is None else await reads.header(work.tx, number)
    scope = work.actor.locations
    if header is None or (scope is not None and not await reads.is_at(work.tx, order_id, sorted(scope))):
        raise OrderNotFound(key=order_id)
    return header


def _masked(header: reads.Header) -> reads.Header:
    masked: dict[str, Any] = {
        "buyer_document": brazil.mask_document(header.buyer_document) if header.buyer_document else None,
        "buyer_email": brazil.mask_email(header.buyer_email) if header.buyer_email else None,
        "buyer_phone": brazil.mask_phone(header.buyer_phone) if header.buyer_phone else None,
    }
    return msgspec.structs.replace(header, **masked)


async def open_order(work: Work, order_id: UUID) -> None:
    """Lock the order for the caller, and honour `If-Match`."""
    work.expect((await service.open_order(work.tx, order_id)).seq)


async def state_of(work: Work, order_id: UUID) -> OrderState:
    """Return where the order stands now, and tag the answer with its version."""
    order = await service.lock_order(work.tx, order_id)
    work.tag(order.seq)
    return OrderState(id=order.id, number=order.number, status=order.status, version=order.seq)


@command("/orders/{order_id:uuid}/cancel", permission="orders:cancel", versioned="optional", tag=TAG)
async def cancel_order(work: Work, order_id: UUID, data: CancelOrder) -> Cancelled:
    """Cancel an order, or some units of some lines. Final.

    Units claimed at a location are free again at once. Units under a fiscal document are refused until the document is
    cancelled; units that have left can only come back as a return. `refund_due` is what the customer is owed now.
    """
    await open_order(work, order_id)
    wishes = None if data.lines is None else [CancelWish(x.line, x.quantity) for x in data.lines]
    done = await work_at_locations.cancel(work.tx, order_id, reason=data.reason, wishes=wishes, rest=data.rest)
    await payments.restate(work.tx, [order_id])
    standing = await payments.standing(work.tx, order_id)
    return Cancelled(
        order=await state_of(work, order_id),
        lines=[CancelLine(line, quantity) for line, quantity in sorted(done.lines.items())],
        amount=done.amount,
        refund_due=standing.refund_due,
    )


@command("/orders/{order_id:uuid}/holds", permission="orders:write", versioned="optional", tag=TAG)
async def place_hold(work: Work, order_id: UUID, data: PlaceHold) -> OrderState:
    """Stop an order for a reason: it is not released, and under `fraud`, `manual` and `address` nothing leaves."""
    await open_order(work, order_id)
    await order_holds.place_hold(work.tx, order_id, data.kind, note=data.note)
    return await state_of(work, order_id)


@command(
    "/orders/{order_id:uuid}/holds/{kind:str}/resolve",
    permission="orders:release_hold",
    versioned="optional",
    tag=TAG,
)
async def resolve_hold(work: Work, order_id: UUID, kind: HoldKind, data: ResolveHold) -> OrderState:
    """Resolve an open hold.

    `payment`, `shortage` and the unknown ones are lifted by their cause; `override` with a resolution lifts them all
    the same, for those who may override holds.
    """
    await open_order(work, order_id)
    if data.override and kind in AUTOMATIC_HOLDS and not work.actor.may("orders:override_hold"):
        raise HoldAutomatic(kind=word_of(kind))
    await order_holds.resolve_hold(work.tx, order_id, kind, resolution=data.resolution, force=data.override)
    return await state_of(work, order_id)


@command("/orders/{order_id:uuid}/address", method="PUT", permission="orders:write", versioned="optional", tag=TAG)
async def change_address(work: Work, order_id: UUID, data: Address) -> OrderState:
    """Send an order elsewhere, as long as no location works on it. Where it comes from is then decided anew."""
    await open_order(work, order_id)
    await edits.change_address(work.tx, order_id, data)
    return await state_of(work, order_id)


@command("/orders/{order_id:uuid}/buyer", method="PUT", permission="orders:write", versioned="optional", tag=TAG)
async def change_buyer(work: Work, order_id: UUID, data: ChangeBuyer) -> OrderState:
    """Correct who buys, as long as no location works on the order."""
    await open_order(work, order_id)
    await edits.change_buyer(work.tx, order_id, rules.Buyer(data.name, data.document, data.email, data.phone))
    return await state_of(work, order_id)


@command("/orders/tags", permission="orders:write", tag=TAG)
async def change_order_tags(work: Work, data: ChangeTags) -> TagsChanged:
    """Add tags to orders and take others away, all in one step; what an order has already is left as it is."""
    done = await details.change_tags(work.tx, data.orders, add=data.add, remove=data.remove)
    return TagsChanged(changed=done.changed, unchanged=done.unchanged, unknown=done.unknown, full=done.full)


@query("/order-tags", permission="orders:read", tag=TAG)
async def list_order_tags(work: Work) -> KnownTags:
    """Return the tags that orders have, at most 1,000, by the alphabet."""
    return KnownTags(await reads.known_tags(work.tx, 1_000))


@command("/orders/{order_id:uuid}/notes", permission="orders:write", status=201, tag=TAG)
async def add_note(work: Work, order_id: UUID, data: AddNote) -> NoteAdded:
    """Write a note on an order."""
    await open_order(work, order_id)
    return NoteAdded(await edits.add_note(work.tx, order_id, data.text))


@command("/orders/{order_id:uuid}/lines/{line:int}/map", permission="orders:write", versioned="optional", tag=TAG)
async def map_line(work: Work, order_id: UUID, line: int, data: MapLine) -> PlacedUnits:
    """Say which SKU a line with an unknown one means, and find a place for it."""
    if not 0 < line < 2**15:
        refuse([Flaw("line", N_("There is no such line."))])
    await open_order(work, order_id)
    await edits.map_line(work.tx, order_id, line, data.sku)
    waiting = await replanning.place_units(work.tx, order_id)
    return PlacedUnits(order=await state_of(work, order_id), waiting=sum(w.quantity for w in waiting))


@query("/orders/{order_id:uuid}/substitutes", permission="orders:read", snapshot=True, tag=TAG)
async def list_substitutes(work: Work, order_id: UUID) -> list[substituting.Choice]:
    """Return the lines whose units wait for stock, with what could stand in for them now.

    Substitutes are what the products name, in their order, as far as the order's channel may sell some.
    """
    await seen_order(work, order_id)
    return await substituting.choices(work.tx, order_id)


@command("/orders/{order_id:uuid}/lines/{line:int}/replace", permission="orders:write", versioned="optional", tag=TAG)
async def replace_line(work: Work, order_id: UUID, line: int, data: ReplaceLine) -> LineReplaced:
    """Put a substitute in the place of units that wait for stock: reserved at once, as a line of its own.

    The customer never pays more: a dearer substitute costs what was ordered, a cheaper one its own price. The customer
    is told. Units that are claimed, worked on or gone are refused.
    """
    if not 0 < line < 2**15:
        refuse([Flaw("line", N_("There is no such line."))])
    await open_order(work, order_id)
    done = await substituting.replace(work.tx, order_id, line, data.sku, data.quantity)
    await payments.restate(work.tx, [order_id])
    standing = await payments.standing(work.tx, order_id)
    return LineReplaced(order=await state_of(work, order_id), replaced=done, refund_due=standing.refund_due)


@command("/orders/{order_id:uuid}/place", permission="orders:write", tag=TAG)
async def place_units(work: Work, order_id: UUID) -> PlacedUnits:
    """Try again to find a location for units that wait. Locations that gave a line back are not asked for it again."""
    await open_order(work, order_id)
    waiting = await replanning.place_units(work.tx, order_id)
    return PlacedUnits(order=await state_of(work, order_id), waiting=sum(w.quantity for w in waiting))


@command("/orders/{order_id:uuid}/release", permission="orders:write", tag=TAG)
async def release_order(work: Work, order_id: UUID) -> ReleasedWork:
    """Release an order to its locations now, before its window is over. By itself it is released when that ends."""
    await open_order(work, order_id)
    made = await work_at_locations.release_order(work.tx, order_id)
    return ReleasedWork(order=await state_of(work, order_id), fulfillments=[w.id for w in made])


@command("/orders/{order_id:uuid}/promise", permission="orders:write", versioned="optional", tag=TAG)
async def promise_order(work: Work, order_id: UUID, data: Repromise) -> Promised:
    """Promise an order, or some of its lines, for another day. The customer is always told.

    What was promised before stays on record. Lateness is counted from the newest promise.
    """
    await open_order(work, order_id)
    kept = await promises.repromise(
        work.tx, order_id, data.promised_at, reason=data.reason, note=data.note, lines=data.lines
    )
    return Promised(order=await state_of(work, order_id), promised_at=kept)


@query("/orders/{order_id:uuid}/promises", permission="orders:read", snapshot=True, tag=TAG)
async def list_promises(work: Work, order_id: UUID) -> Promises:
    """Return what the customer was promised, first and now, and the 100 newest changes."""
    header = await seen_order(work, order_id)
    return Promises(
        first=await reads.first_promise(work.tx, header),
        present=header.promised_at,
        complete=header.complete_at,
        lines={str(line): at for line, at in (await reads.line_promises(work.tx, order_id)).items()},
        changes=await reads.promises(work.tx, order_id),
        made_of=await promised_reads.made_of(work.tx, order_id),
    )


handlers = [
    promise_order,
    list_promises,
    list_orders,
    get_order,
    get_timeline,
    cancel_order,
    place_hold,
    resolve_hold,
    change_address,
    change_buyer,
    change_order_tags,
    list_order_tags,
    add_note,
    map_line,
    list_substitutes,
    replace_line,
    place_units,
    release_order,
]
