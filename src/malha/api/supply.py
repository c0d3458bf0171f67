"""Purchase and production orders, receipts, what is to come, and moves between buckets.

Wherever a `sku` is taken, the GTIN that a scanner read will do.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from malha.api.work import Work, command, query
from malha.catalog import reads as catalog
from malha.inventory.buckets import reads as bucket_reads
from malha.inventory.buckets.model import Bucket
from malha.inventory.model import Deficit
from malha.inventory.supply import changing, reads, scanning, service
from malha.inventory.supply.errors import UnknownInbound, UnknownReceipt
from malha.inventory.supply.model import (
    InboundChange,
    InboundDraft,
    InboundKind,
    InboundLineDraft,
    InboundState,
    LineChange,
    ReceiptDraft,
    ReceivedLine,
    Stands,
)
from malha.inventory.supply.reads import (
    CameWith,
    Incoming,
    OrderLine,
    OrderRow,
    OrdersWanted,
    ReceiptLineRow,
    ReceiptRow,
    ReceiptsWanted,
)
from malha.network import owner_reads
from malha.network import reads as network
from malha.network.errors import OwnerNotAtSite, UnknownLocation, UnknownOwner
from malha.network.model import Location
from malha.platform import paging
from malha.platform.db import Tx
from malha.platform.ids import UUID, new_id
from malha.platform.paging import Page
from malha.platform.shapes import Instant

TAG = "supply"

Code = Annotated[str, Meta(min_length=1, max_length=80)]
Units = Annotated[int, Meta(ge=1, le=1_000_000_000)]
Cost = Annotated[int, Meta(ge=0, le=1_000_000_000_000)]  # centavos
Text = Annotated[str, Meta(max_length=200)]
Reason = Annotated[str, Meta(min_length=1, max_length=200)]
Search = Annotated[str, Meta(max_length=80)]


class OrderedLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is ordered. `unit_cost` is centavos."""

    sku: Code
    quantity: Units
    eta: date
    unit_cost: Cost | None = None


class NewInbound(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Goods that are to come. The same `reference` of the same supplier again is the order that is there.

    `owner` is the establishment whose goods they are, where several owners' are kept at the location's site.
    """

    supplier: Annotated[str, Meta(min_length=1, max_length=120)]
    location: Code
    owner: Code | None = None
    lines: Annotated[list[OrderedLine], Meta(min_length=1, max_length=service.MOST_LINES)]
    kind: InboundKind = InboundKind.PURCHASE
    reference: Annotated[str, Meta(min_length=1, max_length=80)] | None = None
    over_percent: Annotated[int, Meta(ge=0, le=100)] = 0
    note: Text = ""


class InboundPlaced(msgspec.Struct, frozen=True):
    """The order's number; `created` is false when it was there before."""

    number: int
    created: bool


class InboundView(msgspec.Struct, frozen=True):
    """An order with its lines, what came, and every move of their dates. `version` is also its `ETag`."""

    number: int
    version: int
    kind: InboundKind
    supplier: str
    reference: str | None
    location: str
    state: str
    over_percent: int
    note: str
    created_at: datetime
    lines: list[OrderLine]
    receipts: list[ReceiptRow]


class ChangedLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a line is to be from now on, by its number. `quantity` is all that is ordered, with what has come."""

    line: int
    quantity: Units | None = None
    eta: date | None = None
    unit_cost: Cost | msgspec.UnsetType | None = msgspec.UNSET


class ChangedInbound(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an order is to be from now on; what is left out stays. `add` are lines it has not had."""

    reference: Annotated[str, Meta(min_length=1, max_length=80)] | msgspec.UnsetType | None = msgspec.UNSET
    note: Text | None = None
    over_percent: Annotated[int, Meta(ge=0, le=100)] | None = None
    lines: Annotated[list[ChangedLine], Meta(max_length=service.MOST_LINES)] = []
    add: Annotated[list[OrderedLine], Meta(max_length=service.MOST_LINES)] = []
    reason: Text = ""


class MoreLines(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Lines that an order has not had."""

    lines: Annotated[list[OrderedLine], Meta(min_length=1, max_length=service.MOST_LINES)]
    reason: Text = ""


class Dates(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When lines come now, by their number."""

    lines: Annotated[dict[int, date], Meta(min_length=1)]
    reason: Text = ""


class Dropped(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What does not come any more: some lines, or without lines the rest of the order."""

    reason: Reason
    lines: list[int] | None = None


class Changed(msgspec.Struct, frozen=True):
    """How many lines or units that concerned."""

    count: int


class ArrivedLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What arrived, and in what condition. `line` is the order's; without it goods are matched by SKU."""

    sku: Code
    quantity: Units
    bucket: Bucket = Bucket.SELLABLE
    line: int | None = None


class NewReceipt(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Goods that arrived, on an order or without one. Give an `id` of your own: sent twice, it is received once.

    Without one, the same goods by the same `document` are refused where they were received already, unless
    `same_document` says that as much came again.

    `accept_over` takes more than was ordered; it needs the permission `stock:approve`. `owner` is the establishment
    whose goods they are, where several owners' are kept at the location's site.
    """

    location: Code
    owner: Code | None = None
    lines: Annotated[list[ArrivedLine], Meta(min_length=1, max_length=service.MOST_LINES)]
    id: UUID | None = None
    order: int | None = None
    document: Annotated[str, Meta(min_length=1, max_length=120)] | None = None
    note: Text = ""
    received_at: Instant | None = None
    accept_over: bool = False
    same_document: bool = False


class Missing(msgspec.Struct, frozen=True):
    """Units promised at a location that are not there."""

    sku: str
    location: str
    quantity: int
    reason: str


class ReceiptReply(msgspec.Struct, frozen=True):
    """The receipt's number; `repeated`: it had been received before, and nothing changed."""

    number: int
    repeated: bool
    deficits: list[Missing]


class ReceiptView(msgspec.Struct, frozen=True):
    """A receipt with what it brought."""

    receipt: ReceiptRow
    lines: list[ReceiptLineRow]


class Undo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why it was a mistake."""

    reason: Reason


class MovedItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Units to put elsewhere."""

    sku: Code
    quantity: Units


class BucketMove(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename={"source": "from", "target": "to"}
):
    """Units of a location, or of one `owner` at its site, that go from one bucket into another."""

    location: Code
    owner: Code | None = None
    items: Annotated[list[MovedItem], Meta(min_length=1, max_length=service.MOST_LINES)]
    source: Bucket
    target: Bucket
    note: Text = ""


class DeficitsReply(msgspec.Struct, frozen=True):
    """What is promised and not there; empty when every promise is covered."""

    deficits: list[Missing]


class BucketRow(msgspec.Struct, frozen=True):
    """What is in a bucket that may not be sold."""

    sku: str
    location: str
    bucket: Bucket
    quantity: int


class IncomingRow(msgspec.Struct, frozen=True):
    """Units that are to come to a location on a day, and from where; no day: nobody said when."""

    sku: str
    location: str
    day: date | None
    quantity: int
    source: str
    number: int
    supplier: str


async def place_of(work: Work, code: str, owner: str | None = None) -> Location:
    """Return a location of the caller's scope, or the one of its site that keeps an owner's goods.

    Raises:
        UnknownLocation: it does not exist, or is not the caller's to see.
        OwnerNotAtSite: no location there keeps goods of the owner.
    """
    named = code
    if owner is not None:
        kept = (await network.kept_at(work.tx, [(code, owner)])).get((code, owner))
        site = await network.location_by_code(work.tx, code)
        if kept is None and site is not None and work.actor.sees(site.id):
            raise OwnerNotAtSite(key=code, owner=owner)
        code = kept or ""
    place = await network.location_by_code(work.tx, code)
    if place is None or not work.actor.sees(place.id):
        raise UnknownLocation(key=named)
    return place


def scope_of(work: Work) -> tuple[int, ...] | None:
    """Return the caller's locations; None is all."""
    return work.actor.fixed_scope


async def owned_by(work: Work, owner: str | None) -> tuple[int, ...] | None:
    """Return the locations of the caller's that keep an owner's goods; None when nobody asked.

    Raises:
        UnknownOwner: none does, or none that the caller sees.
    """
    if owner is None:
        return None
    found = owner_reads.kept_for(await owner_reads.owners(work.tx, scope_of(work)), owner)
    if not found:
        raise UnknownOwner(key=owner)
    return found


async def missing_of(tx: Tx, deficits: Sequence[Deficit]) -> list[Missing]:
    """Return deficits by their codes."""
    skus = {card.id: card.sku for card in await catalog.by_ids(tx, [d.sku_id for d in deficits])}
    places = await network.locations_by_id(tx, [d.location_id for d in deficits])
    return [Missing(skus[d.sku_id], places[d.location_id].code, d.quantity, d.reason) for d in deficits]


@command("/purchase-orders", permission="stock:write", status=201, tag=TAG)
async def place_inbound_order(work: Work, data: NewInbound) -> InboundPlaced:
    """Note that goods are to come from a supplier, or from a factory (`kind` production)."""
    place = await place_of(work, data.location, data.owner)
    lines = await _drafts(work.tx, data.lines, "lines")
    draft = InboundDraft(
        kind=data.kind,
        supplier=data.supplier,
        location_id=place.id,
        lines=lines,
        reference=data.reference,
        over_percent=data.over_percent,
        note=data.note,
    )
    done = await service.place_order(work.tx, draft)
    work.created(f"/v1/purchase-orders/{done.number}")
    if not done.created:
        work.status = 200
    return InboundPlaced(done.number, done.created)


async def _drafts(tx: Tx, lines: Sequence[OrderedLine], at: str) -> list[InboundLineDraft]:
    cards = await scanning.goods_of(tx, [line.sku for line in lines], at + "/{}/sku")
    return [
        InboundLineDraft(card.id, line.quantity, line.eta, line.unit_cost)
        for card, line in zip(cards, lines, strict=True)
    ]


@query("/purchase-orders", permission="stock:read", tag=TAG)
async def list_inbound_orders(
    work: Work,
    *,
    q: Search = "",
    sku: Search = "",
    open: bool = False,  # noqa: A002 -- the parameter's name
    status: list[InboundState] | None = None,
    kind: InboundKind | None = None,
    location: Code | None = None,
    owner: Code | None = None,
    since: date | None = None,
    until: date | None = None,
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[OrderRow]:
    """List purchase and production orders, the newest first; `open` those of which something is still to come.

    `q` is a number (`P7`), part of a supplier's name, of its reference or of a SKU, or a GTIN; `sku` looks among the
    goods alone. Fewer than three characters are how a name begins, or a whole SKU. `status` may be given several times.
    `owner` is whose goods the location keeps: the code of an establishment, or the first eight digits of a company's
    CNPJ for all of its establishments. `since` and `until`, both included, are days on which lines are expected: with
    `open` those that are still to come.
    """
    size = paging.bounded(limit)
    after = paging.position(cursor, "purchase-orders", (int,))
    wanted = OrdersWanted(
        open=open,
        states=None if status is None else tuple(status),
        kind=kind,
        text=q,
        sku=sku,
        location_id=None if location is None else (await place_of(work, location)).id,
        since=since,
        until=until,
        owned=await owned_by(work, owner),
        scope=scope_of(work),
    )
    rows = await reads.orders(work.tx, wanted, before=after[0] if after else None, limit=size + 1)
    return paging.page_of(rows, size, "purchase-orders", lambda row: (row.number,))


@query("/purchase-orders/{number:int}", permission="stock:read", tag=TAG)
async def get_inbound_order(work: Work, number: int) -> InboundView:
    """Return an order with its lines and receipts, with the version as `ETag`."""
    order = await reads.order(work.tx, number)
    if order is None or not work.actor.sees(order.location_id):
        raise UnknownInbound(number=number)
    work.tag(order.seq)
    return InboundView(
        order.number, order.seq, order.kind, order.supplier, order.reference, order.location, str(order.state),
        order.over_percent, order.note, order.created_at, await reads.order_lines(work.tx, order.id),
        await reads.receipts(work.tx, ReceiptsWanted(order_id=order.id)),
    )  # fmt: skip


@command("/purchase-orders/{number:int}", method="PATCH", permission="stock:write", versioned="required", tag=TAG)
async def change_inbound_order(work: Work, number: int, data: ChangedInbound) -> Stands:
    """Change an order of which something is still to come: quantities, days and costs of lines, more lines, its head.

    A quantity may go down to what has come and was given up; to expect nothing more of a line, close it. Orders that
    were sold ahead on these goods follow: those who came last lose what is no longer expected, and are promised anew
    from other supply where there is some.
    """
    await _expected(work, number)
    change = InboundChange(
        reference=data.reference,
        note=data.note,
        over_percent=data.over_percent,
        lines=[
            LineChange(line=one.line, quantity=one.quantity, eta=one.eta, unit_cost=one.unit_cost) for one in data.lines
        ],
        added=await _drafts(work.tx, data.add, "add") if data.add else [],
        reason=data.reason,
    )
    return await _changed(work, number, change)


@command("/purchase-orders/{number:int}/lines", permission="stock:write", status=201, versioned="optional", tag=TAG)
async def add_inbound_lines(work: Work, number: int, data: MoreLines) -> Stands:
    """Order more goods with an order of which something is still to come."""
    await _expected(work, number)
    added = await _drafts(work.tx, data.lines, "lines")
    return await _changed(work, number, InboundChange(added=added, reason=data.reason))


async def _changed(work: Work, number: int, change: InboundChange) -> Stands:
    done = await changing.change(work.tx, number, change)
    work.tag(done.version)
    return done


async def _expected(work: Work, number: int) -> None:
    """Lock an order, and refuse when it is not the version that the caller saw."""
    work.expect((await service.lock_order(work.tx, number)).seq)


@command("/purchase-orders/{number:int}/reschedule", permission="stock:write", versioned="optional", tag=TAG)
async def reschedule_inbound_order(work: Work, number: int, data: Dates) -> Changed:
    """State when lines come now; every move is kept with its reason."""
    await _expected(work, number)
    return Changed(await service.reschedule(work.tx, number, data.lines, data.reason))


@command("/purchase-orders/{number:int}/close", permission="stock:write", versioned="optional", tag=TAG)
async def close_inbound_order(work: Work, number: int, data: Dropped) -> Changed:
    """Give up what does not come any more; answers how many units that were."""
    await _expected(work, number)
    return Changed(await service.drop_lines(work.tx, number, data.lines, data.reason))


@command("/receipts", permission="stock:count", status=201, tag=TAG)
async def receive_goods(work: Work, data: NewReceipt) -> ReceiptReply:
    """Take goods in. What is damaged or to be examined goes into its bucket and is not sold."""
    place = await place_of(work, data.location, data.owner)
    order_id = None
    if data.order is not None:
        order = await reads.order(work.tx, data.order)
        if order is None or order.location_id != place.id:
            raise UnknownInbound(number=data.order)
        order_id = order.id
    cards = await scanning.goods_of(work.tx, [line.sku for line in data.lines], "lines/{}/sku")
    draft = ReceiptDraft(
        id=data.id or new_id(),
        location_id=place.id,
        order_id=order_id,
        lines=[
            ReceivedLine(card.id, line.quantity, line.bucket, line.line)
            for card, line in zip(cards, data.lines, strict=True)
        ],
        document=data.document,
        note=data.note,
        received_at=data.received_at,
        accept_over=data.accept_over,
        same_document=data.same_document or data.id is not None,
    )
    done = await service.receive(work.tx, draft)
    work.created(f"/v1/receipts/{done.number}")
    return ReceiptReply(done.number, done.repeated, await missing_of(work.tx, done.deficits))


@query("/receipts", permission="stock:read", tag=TAG)
async def list_receipts(
    work: Work,
    *,
    q: Search = "",
    location: Code | None = None,
    owner: Code | None = None,
    of: CameWith | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[ReceiptRow]:
    """List receipts, the newest first.

    `q` is a number (`R12`, or `P7` and `T3` of their order or transfer), three characters or more of a document, or a
    SKU or its GTIN. `owner` is whose goods the location keeps: the code of an establishment, or the first eight digits
    of a company's CNPJ for all of its establishments. `of` is `order`, `transfer` or `none`, or `undone` for those that
    were taken back. `since` and `until`, which is exclusive, are about when the goods came.
    """
    size = paging.bounded(limit)
    after = paging.position(cursor, "receipts", (int,))
    scope = scope_of(work)
    wanted = ReceiptsWanted(
        text=q,
        location_id=None if location is None else (await place_of(work, location)).id,
        came_with=of,
        since=since,
        until=until,
        owned=await owned_by(work, owner),
        scope=scope,
    )
    rows = await reads.receipts(work.tx, wanted, before=after[0] if after else None, limit=size + 1)
    return paging.page_of(rows, size, "receipts", lambda row: (row.number,))


@query("/receipts/{number:int}", permission="stock:read", tag=TAG)
async def get_receipt(work: Work, number: int) -> ReceiptView:
    """Return a receipt with what it brought."""
    scope = scope_of(work)
    wanted = ReceiptsWanted(number=number, scope=scope)
    found = await reads.receipts(work.tx, wanted)
    if not found:
        raise UnknownReceipt(number=number)
    return ReceiptView(found[0], await reads.receipt_lines(work.tx, number))


@command("/receipts/{number:int}/undo", permission="stock:write", tag=TAG)
async def undo_receipt(work: Work, number: int, data: Undo) -> DeficitsReply:
    """Take a receipt back by counter-movements; what it brought is expected again where it was ordered."""
    return DeficitsReply(await missing_of(work.tx, await service.undo_receipt(work.tx, number, data.reason)))


@command("/stock:move", permission="stock:count", tag=TAG)
async def move_between_buckets(work: Work, data: BucketMove) -> DeficitsReply:
    """Put units of a location from one bucket into another: from quality control to sellable, say."""
    place = await place_of(work, data.location, data.owner)
    cards = await scanning.goods_of(work.tx, [item.sku for item in data.items], "items/{}/sku")
    lines = [(card.id, item.quantity) for card, item in zip(cards, data.items, strict=True)]
    left = await service.move_by_hand(work.tx, place.id, lines, data.source, data.target, data.note)
    return DeficitsReply(await missing_of(work.tx, left))


@query("/stock:buckets", permission="stock:read", tag=TAG)
async def list_buckets(work: Work, sku: Annotated[list[str], Meta(min_length=1, max_length=200)]) -> list[BucketRow]:
    """List what SKUs have in buckets that may not be sold: damaged, quality control, display, in transit."""
    cards = {card.id: card.sku for card in await catalog.by_skus(work.tx, sku)}
    places = {place.id: place.code for place in await network.locations(work.tx) if work.actor.sees(place.id)}
    found = await bucket_reads.buckets(work.tx, sorted(cards), sorted(places))
    return [BucketRow(cards[b.sku_id], places[b.location_id], b.bucket, b.quantity) for b in found]


@query("/stock:incoming", permission="stock:read", tag=TAG)
async def list_incoming(work: Work, sku: Annotated[list[str], Meta(min_length=1, max_length=200)]) -> list[IncomingRow]:
    """List what is to come of SKUs, by location and day, from purchase orders, production orders and transfers."""
    cards = {card.id: card.sku for card in await catalog.by_skus(work.tx, sku)}
    places = {place.id: place.code for place in await network.locations(work.tx) if work.actor.sees(place.id)}
    found: list[Incoming] = await reads.incoming(work.tx, sorted(cards), sorted(places))
    return [
        IncomingRow(cards[i.sku_id], places[i.location_id], i.day, i.quantity, i.source, i.number, i.supplier)
        for i in found
    ]


handlers = [
    place_inbound_order,
    list_inbound_orders,
    get_inbound_order,
    change_inbound_order,
    add_inbound_lines,
    reschedule_inbound_order,
    close_inbound_order,
    receive_goods,
    list_receipts,
    get_receipt,
    undo_receipt,
    move_between_buckets,
    list_buckets,
    list_incoming,
]
