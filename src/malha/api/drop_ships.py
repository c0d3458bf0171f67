"""Vendors who send to customers: what they supply, and what they are asked to send."""

from datetime import date
from typing import Annotated

import msgspec
from msgspec import Meta

from malha.api.work import Work, command, query
from malha.catalog import reads as catalog
from malha.fulfillment import drop_reads, dropping
from malha.fulfillment.drop_reads import Destination, DropLineRow, DropRow
from malha.fulfillment.model import Tracking
from malha.inventory.vendors import reads, service
from malha.inventory.vendors.errors import NoVendor, UnknownOffer
from malha.inventory.vendors.model import DropState, OfferDraft
from malha.inventory.vendors.reads import OfferRow
from malha.network import reads as network
from malha.network import retailer
from malha.network.errors import UnknownLocation
from malha.network.model import Location, LocationKind
from malha.platform import paging
from malha.platform.clock import now
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_
from malha.platform.ids import UUID
from malha.platform.paging import Page

TAG = "drop-shipping"
Code = Annotated[str, Meta(min_length=1, max_length=80)]
Reason = Annotated[str, Meta(min_length=1, max_length=200)]


class VendorOffer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a vendor supplies: `unit_cost` centavos a unit, leaving `lead_days` working days after it is asked for.

    `vendor_sku` is the vendor's own name of it. An offer that is not `active` is kept, and nobody is asked by it.
    """

    sku: Code
    unit_cost: Annotated[int, Meta(ge=0, le=service.MAX_COST)]
    lead_days: Annotated[int, Meta(ge=0, le=service.MAX_DAYS)]
    vendor_sku: Annotated[str, Meta(max_length=80)] = ""
    active: bool = True


class VendorOffers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Offers that a vendor has from now on; what is not named stays as it is."""

    offers: Annotated[list[VendorOffer], Meta(min_length=1, max_length=1_000)]


class OffersStated(msgspec.Struct, frozen=True):
    """How many offers are new or other than before."""

    changed: int


class DropShipView(msgspec.Struct, frozen=True):
    """A drop-ship order with its lines, and where it goes."""

    drop_ship: DropRow
    lines: list[DropLineRow]
    to: Destination


class AcceptDropShip(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """By when it leaves the vendor (absent: as it was asked), and the vendor's own number of it."""

    leaves_on: date | None = None
    reference: Annotated[str, Meta(max_length=80)] | None = None


class RefuseDropShip(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Why, and which lines of the order; absent: all of it."""

    reason: Reason
    lines: Annotated[list[int], Meta(max_length=500)] | None = None


class CancelDropShip(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Why it is taken back from the vendor."""

    reason: Reason


class SentLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sold units of a line of the order that are in the parcel."""

    line: int
    quantity: Annotated[int, Meta(ge=1, le=1_000_000)]


class SendDropShip(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What left the vendor in one parcel; without `lines` all that was to be sent."""

    lines: Annotated[list[SentLine], Meta(max_length=500)] | None = None
    carrier: Annotated[str, Meta(max_length=120)] | None = None
    tracking_code: Annotated[str, Meta(max_length=120)] | None = None
    tracking_url: Annotated[str, Meta(max_length=400, pattern="^https?://")] | None = None
    weight_grams: Annotated[int, Meta(ge=1, le=10**7)] | None = None


class DropShipMoved(msgspec.Struct, frozen=True):
    """How a drop-ship order stands, and how many of its units found no other place."""

    drop_ship: DropRow
    waiting: int


class DropShipSent(msgspec.Struct, frozen=True):
    """How a drop-ship order stands, with the work and the parcel of what was sent."""

    drop_ship: DropRow
    fulfillment_id: UUID
    fulfillment: int
    shipment_id: UUID


async def _vendor(work: Work, code: str) -> Location:
    found = await network.location_by_code(work.tx, code)
    if found is None or not work.actor.sees(found.id):
        raise UnknownLocation(key=code)
    if found.kind is not LocationKind.VENDOR:
        raise NoVendor(location=found.code)
    return found


@query("/vendor-offers", permission="stock:read", tag=TAG)
async def list_vendor_offers(
    work: Work,
    vendor: str | None = None,
    sku: str | None = None,
    q: str = "",
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[OfferRow]:
    """List what vendors supply, by vendor; narrowed by the code of one, by a SKU, or by what SKU or name contain."""
    size = paging.bounded(limit)
    after = paging.position(cursor, "vendor-offers", (int, int))
    place = None if vendor is None else (await _vendor(work, vendor)).id
    sku_id = None
    if sku is not None:
        found = await catalog.by_skus(work.tx, [sku])
        sku_id = found[0].id if found else 0
    rows = await reads.offers(
        work.tx,
        location_id=place,
        sku_id=sku_id,
        text=q,
        scope=work.actor.scope,
        after=None if after is None else (after[0], after[1]),
        limit=size + 1,
    )
    return paging.page_of(rows, size, "vendor-offers", lambda row: (row.location_id, row.sku_id))


@command("/vendors/{code:str}/offers", permission="network:write", tag=TAG)
async def state_vendor_offers(work: Work, code: str, data: VendorOffers) -> OffersStated:
    """State what a vendor supplies, new or as it is now; orders see it within a second."""
    place = await _vendor(work, code)
    known = {card.sku: card for card in await catalog.by_skus(work.tx, [offer.sku for offer in data.offers])}
    flaws = [
        Flaw(f"offers/{n}/sku", N_("There is no SKU {sku}."), facts={"sku": offer.sku})
        for n, offer in enumerate(data.offers)
        if offer.sku not in known
    ]
    flaws += [
        Flaw(f"offers/{n}/sku", N_("A kit is sent in parts: state what it is made of."))
        for n, offer in enumerate(data.offers)
        if offer.sku in known and known[offer.sku].is_kit
    ]
    first: dict[str, int] = {}
    flaws += [
        Flaw(f"offers/{n}/sku", N_("SKU {sku} is stated twice, first in row {row}."), N_("State it once."), facts)
        for n, offer in enumerate(data.offers)
        if (facts := {"sku": offer.sku, "row": first.setdefault(offer.sku, n) + 1})["row"] != n + 1
    ]
    refuse(flaws)
    drafts = [
        OfferDraft(
            location_id=place.id,
            sku_id=known[offer.sku].id,
            vendor_sku=offer.vendor_sku,
            unit_cost=offer.unit_cost,
            lead_days=offer.lead_days,
            active=offer.active,
        )
        for offer in data.offers
    ]
    return OffersStated(await service.state_offers(work.tx, drafts))


@command("/vendors/{code:str}/offers/{sku:str}", method="DELETE", permission="network:write", status=204, tag=TAG)
async def remove_vendor_offer(work: Work, code: str, sku: str) -> None:
    """Say that a vendor does not supply a SKU any more. What it was asked before stands."""
    place = await _vendor(work, code)
    found = await catalog.by_skus(work.tx, [sku])
    if not found:
        raise UnknownOffer(location=code, sku=sku)
    await service.remove_offer(work.tx, place.id, found[0].id, location=code, sku=sku)


@query("/drop-ships", permission="orders:read", tag=TAG)
async def list_drop_ships(
    work: Work,
    q: str = "",
    open: bool = False,  # noqa: A002 -- the parameter's name
    late: bool = False,
    status: DropState | None = None,
    vendor: str | None = None,
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[DropRow]:
    """List what vendors are asked to send, the newest first; `open` what is to be sent, `late` what was to be by now.

    `q` finds the number of a drop-ship order or of its order, the vendor, or the vendor's own number.
    """
    size = paging.bounded(limit)
    after = paging.position(cursor, "drop-ships", (int,))
    wanted = drop_reads.DropsWanted(
        open=open,
        state=status,
        late=await retailer.day_of(work.tx, now()) if late else None,
        location_id=None if vendor is None else (await _vendor(work, vendor)).id,
        text=q,
        scope=work.actor.scope,
    )
    rows = await drop_reads.drops(work.tx, wanted, before=after[0] if after else None, limit=size + 1)
    return paging.page_of(rows, size, "drop-ships", lambda row: (row.number,))


@query("/drop-ships/{number:int}", permission="orders:read", tag=TAG)
async def get_drop_ship(work: Work, number: int) -> DropShipView:
    """Return a drop-ship order with its lines.

    The telephone of the buyer is masked for callers who may not see personal data in full.
    """
    row = await dropping.drop_of(work.tx, number)
    lines = await drop_reads.drop_lines(work.tx, row.id)
    to = await drop_reads.destination(work.tx, row.order_id, reveals=work.actor.may("customers:reveal"))
    return DropShipView(row, lines, to)


@command("/drop-ships/{number:int}/accept", permission="fulfillment:work", tag=TAG)
async def accept_drop_ship(work: Work, number: int, data: AcceptDropShip) -> DropRow:
    """Note that the vendor sends it. Refused while the customer's order is on hold."""
    return await dropping.accept(work.tx, number, leaves_on=data.leaves_on, reference=data.reference)


@command("/drop-ships/{number:int}/refuse", permission="fulfillment:work", tag=TAG)
async def refuse_drop_ship(work: Work, number: int, data: RefuseDropShip) -> DropShipMoved:
    """Note that the vendor does not send it, or some lines: its rules are asked again, without this vendor."""
    waiting = await dropping.refuse_drop(work.tx, number, data.reason, data.lines)
    return DropShipMoved(await dropping.drop_of(work.tx, number), waiting)


@command("/drop-ships/{number:int}/cancel", permission="orders:write", tag=TAG)
async def cancel_drop_ship(work: Work, number: int, data: CancelDropShip) -> DropShipMoved:
    """Take it back from a vendor who does not answer or deliver; another place is sought, as after a refusal."""
    waiting = await dropping.take_back(work.tx, number, data.reason)
    return DropShipMoved(await dropping.drop_of(work.tx, number), waiting)


@command("/drop-ships/{number:int}/send", permission="fulfillment:work", tag=TAG)
async def send_drop_ship(work: Work, number: int, data: SendDropShip) -> DropShipSent:
    """Note that goods left the vendor in one parcel, with its tracking; the customer is told as of any parcel."""
    lines: dict[int, int] | None = None
    if data.lines is not None:
        lines = {}
        for line in data.lines:
            lines[line.line] = lines.get(line.line, 0) + line.quantity
    sent = await dropping.send(
        work.tx,
        number,
        tracking=Tracking(None, data.carrier, data.tracking_code, data.tracking_url),
        lines=lines,
        weight_grams=data.weight_grams,
    )
    return DropShipSent(await dropping.drop_of(work.tx, number), sent.fulfillment, sent.number, sent.shipment)


handlers = [
    list_vendor_offers,
    state_vendor_offers,
    remove_vendor_offer,
    list_drop_ships,
    get_drop_ship,
    accept_drop_ship,
    refuse_drop_ship,
    cancel_drop_ship,
    send_drop_ship,
]
