"""Transfers between locations, and what became of goods that did not arrive as they left."""

from datetime import date
from typing import Annotated

import msgspec
from msgspec import Meta

from malha.api.supply import (
    Code,
    DeficitsReply,
    Missing,
    Reason,
    Search,
    Text,
    Units,
    missing_of,
    owned_by,
    scope_of,
)
from malha.api.work import Work, command, query
from malha.fulfillment import bringing
from malha.inventory.buckets.model import Bucket
from malha.inventory.supply import scanning
from malha.inventory.transfers import reads, service
from malha.inventory.transfers.errors import UnknownTransfer
from malha.inventory.transfers.model import (
    Arrival,
    Arrived,
    Crosses,
    Decision,
    Departure,
    TransferDraft,
    TransferState,
)
from malha.inventory.transfers.reads import (
    DayMove,
    DiscrepancyRow,
    ShipmentRow,
    TransferHead,
    TransferLineRow,
    TransferRow,
    TransfersWanted,
)
from malha.network import reads as network
from malha.network.errors import OwnerNotAtSite, UnknownLocation
from malha.platform import paging
from malha.platform.ids import UUID, new_id
from malha.platform.paging import Page
from malha.platform.shapes import Instant

TAG = "transfers"
Line = Annotated[dict[int, Annotated[int, Meta(ge=0, le=1_000_000_000)]], Meta(max_length=1_000)]


class AskedLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Units that are asked for."""

    sku: Code
    quantity: Units


class NewTransfer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Goods that are to go from one location to another, or change their owner within a site.

    The owners are establishments, where several owners' goods are kept at a location's site.
    """

    origin: Code
    destination: Code
    origin_owner: Code | None = None
    destination_owner: Code | None = None
    lines: Annotated[list[AskedLine], Meta(min_length=1, max_length=service.MOST_LINES)]
    eta: date | None = None
    note: Text = ""


class TransferNumber(msgspec.Struct, frozen=True):
    """The transfer's number."""

    number: int


class ShipmentView(msgspec.Struct, frozen=True):
    """What left at once, and where it is: `shipped`, `received` while something about it is to be decided, `closed`."""

    state: TransferState
    shipment: ShipmentRow


class TransferView(msgspec.Struct, frozen=True):
    """A transfer with its lines, shipments, discrepancies, and every move of a day on which goods are expected."""

    transfer: TransferHead
    lines: list[TransferLineRow]
    discrepancies: list[DiscrepancyRow]
    moves: list[DayMove]
    shipments: list[ShipmentView]


class Approval(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Other quantities than were asked, by line; 0 leaves a line out."""

    quantities: Line | None = None


class Shipping(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the goods leave: `quantities` by line, all that is left of a line that is not named.

    Between establishments each shipment needs its `document` (number or access key). With `more_follows` what does not
    leave now stays set aside for another shipment; without it, it is given back. Without `eta`, here or asked for, the
    goods are expected after the days that the way between the two usually takes.
    """

    quantities: Line = {}
    more_follows: bool = False
    document: Annotated[str, Meta(min_length=1, max_length=120)] | None = None
    carrier: Text | None = None
    tracking_code: Text | None = None
    eta: date | None = None


class Departed(msgspec.Struct, frozen=True):
    """The shipment that left, the units that are left to ship, and what is promised at the origin and not there."""

    shipment: int
    to_ship: int
    state: TransferState
    deficits: list[Missing]


class NewDay(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """On which day the goods come now, and why.

    `shipment` is the number of the one that comes on another day, 0 what has not left; without it all that is to come.
    """

    eta: date
    shipment: Annotated[int, Meta(ge=0, le=32_767)] | None = None
    reason: Text = ""


class DayMoved(msgspec.Struct, frozen=True):
    """Whether that is another day, and the version of the transfer by now."""

    moved: bool
    version: int


class ArrivedItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What arrived, and in what condition."""

    sku: Code
    quantity: Units
    bucket: Bucket = Bucket.SELLABLE


class TransferArrival(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What arrived; `complete`: what is not here by now is missing. Give an `id`: sent twice, it is received once.

    `shipment` is the number of the one that arrived. Without it goods are taken from all that are on their way, the
    first to leave first, and what is missing is missing of those that something was taken from.
    """

    shipment: Annotated[int, Meta(ge=1, le=32_767)] | None = None
    lines: Annotated[list[ArrivedItem], Meta(max_length=service.MOST_LINES)] = []
    complete: bool = True
    id: UUID | None = None
    note: Text = ""


class ArrivalReply(msgspec.Struct, frozen=True):
    """What the arrival left to decide."""

    receipt: int
    repeated: bool
    state: TransferState
    missing: int
    damaged: int
    excess: int
    deficits: list[Missing]


class DecisionMade(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What became of the units; of part of them with `units`."""

    decision: Decision
    units: Units | None = None
    reference: Annotated[str, Meta(max_length=120)] | None = None
    note: Text = ""


class RestGivenBack(msgspec.Struct, frozen=True):
    """How many units are free again at the origin, and the version of the transfer by now."""

    units: int
    version: int


class GivenUp(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why nothing leaves, or nothing more."""

    reason: Reason


async def _end(work: Work, code: str, owner: str | None) -> int:
    """Return the location of one end, or the one of its site that keeps an owner's goods; it may be out of sight."""
    place = await network.location_by_code(work.tx, code)
    if place is None:
        raise UnknownLocation(key=code)
    if owner is None:
        return place.id
    kept = (await network.kept_at(work.tx, [(code, owner)])).get((code, owner))
    if kept is None and not work.actor.sees(place.id):
        raise UnknownLocation(key=code)
    if kept is None:
        raise OwnerNotAtSite(key=code, owner=owner)
    return (await network.locations_by_code(work.tx, [kept]))[kept].id


@command("/transfers", permission="stock:count", status=201, tag=TAG)
async def request_transfer(work: Work, data: NewTransfer) -> TransferNumber:
    """Ask for goods of another location, or offer some of one's own."""
    origin = await _end(work, data.origin, data.origin_owner)
    destination = await _end(work, data.destination, data.destination_owner)
    cards = await scanning.goods_of(work.tx, [line.sku for line in data.lines], "lines/{}/sku")
    draft = TransferDraft(
        origin_id=origin,
        destination_id=destination,
        lines=[(card.id, line.quantity) for card, line in zip(cards, data.lines, strict=True)],
        eta=data.eta,
        note=data.note,
    )
    number = await service.request(work.tx, draft)
    work.created(f"/v1/transfers/{number}")
    return TransferNumber(number)


@query("/transfers", permission="stock:read", tag=TAG)
async def list_transfers(
    work: Work,
    *,
    q: Search = "",
    status: TransferState | None = None,
    origin: Code | None = None,
    destination: Code | None = None,
    owner: Code | None = None,
    crosses: list[Crosses] | None = None,
    since: Instant | None = None,
    until: Instant | None = None,
    late: date | None = None,
    cursor: str | None = None,
    limit: int | None = None,
) -> Page[TransferRow]:
    """List transfers from and to the caller's locations, the newest first.

    `q` is a number (`T12`), three characters or more of a document, or a SKU or its GTIN. `since` and `until`, which is
    exclusive, are about when the goods were asked for; `late` is the day before which they should have come. `owner` is
    whose goods one of the caller's ends keeps: the code of an establishment, or the first eight digits of a company's
    CNPJ for all of its establishments. `crosses` are transfers within one establishment (`nothing`), between two
    establishments of one company, and between two companies, where one sells to the other; give it twice for both.
    """
    size = paging.bounded(limit)
    after = paging.position(cursor, "transfers", (int,))
    scope = scope_of(work)
    wanted = TransfersWanted(
        states=(status,) if status else None,
        text=q,
        origin_id=await _end(work, origin, None) if origin else None,
        destination_id=await _end(work, destination, None) if destination else None,
        since=since,
        until=until,
        late=late,
        owned=await owned_by(work, owner),
        crosses=tuple(crosses) if crosses else None,
        scope=scope,
    )
    rows = await reads.transfers(work.tx, wanted, before=after[0] if after else None, limit=size + 1)
    return paging.page_of(rows, size, "transfers", lambda row: (row.number,))


@query("/transfers/{number:int}", permission="stock:read", tag=TAG)
async def get_transfer(work: Work, number: int) -> TransferView:
    """Return a transfer with its lines, shipments and discrepancies."""
    found = await reads.transfer(work.tx, number)
    if found is None or not (work.actor.sees(found.origin_id) or work.actor.sees(found.destination_id)):
        raise UnknownTransfer(number=number)
    work.tag(found.seq)
    return TransferView(
        found,
        await reads.transfer_lines(work.tx, found.id),
        await reads.discrepancies(work.tx, found.id),
        await reads.moves(work.tx, found.id),
        [ShipmentView(one.state, one) for one in await reads.shipments(work.tx, found.id)],
    )


@command("/transfers/{number:int}/approve", permission="stock:approve", tag=TAG)
async def approve_transfer(work: Work, number: int, data: Approval) -> None:
    """Set the units aside at the origin, all of them or none."""
    await service.approve(work.tx, number, data.quantities)


@command("/transfers/{number:int}/ship", permission="stock:count", versioned="optional", tag=TAG)
async def ship_transfer(work: Work, number: int, data: Shipping) -> Departed:
    """Let goods leave, all that is left or part of it: they are the destination's from now on, in transit.

    Each call is a shipment, which has a number and is received on its own.
    """
    departure = Departure(
        quantities=data.quantities,
        more_follows=data.more_follows,
        document=data.document,
        carrier=data.carrier,
        tracking_code=data.tracking_code,
        eta=data.eta,
    )
    work.expect((await service.lock_transfer(work.tx, number)).seq)
    left = await service.ship(work.tx, number, departure)
    work.tag((await service.lock_transfer(work.tx, number)).seq)
    return Departed(left.shipment, left.to_ship, left.state, await missing_of(work.tx, left.deficits))


@command("/transfers/{number:int}/close", permission="stock:count", versioned="required", tag=TAG)
async def close_transfer(work: Work, number: int, data: GivenUp) -> RestGivenBack:
    """Give back what has not left of a transfer that has left in part; answers how many units that were.

    What is on its way arrives as it would. `If-Match` is the `ETag` of the transfer.
    """
    work.expect((await service.lock_transfer(work.tx, number)).seq)
    units = await service.close_rest(work.tx, number, data.reason)
    version = (await service.lock_transfer(work.tx, number)).seq
    work.tag(version)
    return RestGivenBack(units, version)


@command("/transfers/{number:int}/reschedule", permission="stock:count", versioned="required", tag=TAG)
async def reschedule_transfer(work: Work, number: int, data: NewDay) -> DayMoved:
    """State on which day goods come that have not arrived; orders promised from them are promised anew.

    Who works at either end may say so. Every move is kept with its reason; `If-Match` is the `ETag` of the transfer.
    """
    transfer = await service.lock_transfer(work.tx, number)
    work.expect(transfer.seq)
    moved = await service.reschedule(work.tx, number, data.eta, data.reason, data.shipment)
    version = transfer.seq + moved
    work.tag(version)
    return DayMoved(moved, version)


@command("/transfers/{number:int}/receive", permission="stock:count", tag=TAG)
async def receive_transfer(work: Work, number: int, data: TransferArrival) -> ArrivalReply:
    """Take in what arrived. What is missing, damaged or too much waits for a decision.

    What a transfer brings for an order that is fetched there is the order's at once (`GET /locations/{code}/coming`).
    """
    cards = await scanning.goods_of(work.tx, [line.sku for line in data.lines], "lines/{}/sku")
    arrival = Arrival(
        id=data.id or new_id(),
        lines=[Arrived(c.id, line.quantity, line.bucket) for c, line in zip(cards, data.lines, strict=True)],
        complete=data.complete,
        shipment=data.shipment,
        note=data.note,
    )
    done = await bringing.receive(work.tx, number, arrival)
    return ArrivalReply(
        done.receipt,
        done.repeated,
        done.state,
        done.missing,
        done.damaged,
        done.excess,
        await missing_of(work.tx, done.deficits),
    )


@command("/transfers/{number:int}/discrepancies/{discrepancy_id:uuid}/decide", permission="stock:approve", tag=TAG)
async def decide_discrepancy(work: Work, number: int, discrepancy_id: UUID, data: DecisionMade) -> DeficitsReply:
    """Say what became of units that did not arrive as they left."""
    left = await service.decide(
        work.tx,
        number,
        discrepancy_id,
        data.decision,
        units=data.units,
        note=data.note,
        reference=data.reference,
    )
    return DeficitsReply(await missing_of(work.tx, left))


@command("/transfers/{number:int}/cancel", permission="stock:count", tag=TAG)
async def cancel_transfer(work: Work, number: int, data: GivenUp) -> None:
    """Give a transfer up before it leaves."""
    await service.cancel(work.tx, number, data.reason)


handlers = [
    request_transfer,
    list_transfers,
    get_transfer,
    approve_transfer,
    ship_transfer,
    close_transfer,
    reschedule_transfer,
    receive_transfer,
    decide_discrepancy,
    cancel_transfer,
]
