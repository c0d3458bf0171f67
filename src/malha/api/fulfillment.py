"""Work at locations: what a location is asked for, and each step until the goods have left."""

from datetime import date, datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from malha.api.work import Work, command, query
from malha.capacity import rules
from malha.capacity.model import Clock
from malha.catalog import reads as catalog
from malha.fulfillment import bringing, moving, pickups, reads, service, taking
from malha.fulfillment.bringing import Sending
from malha.fulfillment.errors import WorkNotFound, WrongCode
from malha.fulfillment.model import PICKUP_DAYS, Content, Parcel, Picked, RejectReason, Rerouted, Short, Tracking
from malha.fulfillment.work import take_up
from malha.network import reads as network
from malha.network import sites
from malha.network.errors import UnknownLocation
from malha.ordering import reads as orders
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_
from malha.platform.ids import UUID
from malha.platform.shapes import Instant

TAG = "fulfillment"
LineNumber = Annotated[int, Meta(ge=1, le=32_767)]
Quantity = Annotated[int, Meta(ge=1, le=1_000_000)]
Sku = Annotated[str, Meta(min_length=1, max_length=80)]
Text = Annotated[str, Meta(max_length=400)]


class WorkLine(msgspec.Struct, frozen=True, kw_only=True):
    """Units of one SKU of a line, in one state."""

    line: int
    sku: str | None
    quantity: int
    state: str


class WorkDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of work with its units and parcels; cancelled units are shown as such."""

    id: UUID
    number: int
    order_id: UUID
    location: str
    method: str
    service: str | None
    state: str
    released_at: datetime
    due_at: datetime
    accepted_at: datetime | None
    picked_at: datetime | None
    packed_at: datetime | None
    closed_at: datetime | None
    reason: str | None
    pickup_until: datetime | None
    pickup_expired_at: datetime | None
    assignee: str | None
    to_location: str | None  # of work whose goods are brought to where they are fetched (`method` transfer)
    transfer: int | None  # number of the transfer they left with
    document_required: bool
    slot: reads.WorkSlot | None
    lines: list[WorkLine]
    shipments: list[reads.ShipmentRow]
    version: int


class WorkStanding(msgspec.Struct, frozen=True, kw_only=True):
    """Where a piece of work stands after a step."""

    id: UUID
    state: str
    version: int


class AcceptMany(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which work is taken on."""

    fulfillments: Annotated[list[UUID], Meta(min_length=1, max_length=200)]


class Accepted(msgspec.Struct, frozen=True):
    """The work that is the caller's now."""

    fulfillments: list[UUID]


class RejectWork(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Why the location does not do it."""

    reason: RejectReason
    note: Text = ""


class PickedLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Units found. The SKU is needed for lines that are kits."""

    line: LineNumber
    quantity: Quantity
    sku: Sku | None = None


class ShortLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Units that are not there, or may not go."""

    line: LineNumber
    quantity: Quantity
    reason: RejectReason
    sku: Sku | None = None


class MoveWork(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another picking slot of the work's location, and why."""

    day: date
    starts: Clock
    reason: Annotated[str, Meta(min_length=1, max_length=moving.MOST_REASON)]


class ConfirmPick(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was found and what was not. Without `picked` everything that is not short was found."""

    picked: Annotated[list[PickedLine], Meta(max_length=1_000)] | None = None
    short: Annotated[list[ShortLine], Meta(max_length=1_000)] = []


class PickResult(msgspec.Struct, frozen=True, kw_only=True):
    """Where the work stands, and what became of what was given back."""

    work: WorkStanding
    given_back: int
    placed_elsewhere: int
    waiting: int


class PackedParcel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A parcel. A single one holds everything; of several, each says what it holds."""

    weight_grams: Annotated[int, Meta(ge=0, le=10**9)] | None = None
    contents: Annotated[list[PickedLine], Meta(max_length=1_000)] | None = None


class PackWork(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The parcels; without any it is one of unknown weight."""

    parcels: Annotated[list[PackedParcel], Meta(max_length=200)] = []


class PackResult(msgspec.Struct, frozen=True, kw_only=True):
    """Where the work stands, and its parcels in the order they were given."""

    work: WorkStanding
    shipments: list[UUID]


class ParcelTracking(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a parcel travels. The shipment may be left out where there is one parcel."""

    shipment_id: UUID | None = None
    carrier: Annotated[str, Meta(max_length=120)] | None = None
    tracking_code: Annotated[str, Meta(max_length=120)] | None = None
    tracking_url: Annotated[str, Meta(max_length=400, pattern="^https?://")] | None = None


class ShipWork(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the parcels travel; the carrier is the service's unless another is given."""

    parcels: Annotated[list[ParcelTracking], Meta(max_length=200)] = []


class SendWork(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How goods leave for the place where they are fetched; without a day they are there after those of their lane."""

    document: Annotated[str, Meta(max_length=120)] | None = None
    carrier: Annotated[str, Meta(max_length=120)] | None = None
    tracking_code: Annotated[str, Meta(max_length=120)] | None = None
    eta: date | None = None


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """Where the work stands, and the number of the transfer that its goods left with."""

    work: WorkStanding
    transfer: int


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """Until when the goods wait for the customer."""

    work: WorkStanding
    until: datetime


class MoreTime(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many days from now the goods wait; never fewer than the customer was told."""

    days: Annotated[int, Meta(ge=1, le=90)] = PICKUP_DAYS


class PickupCode(msgspec.Struct, frozen=True):
    """What the customer shows to collect."""

    code: str


class HandOverWork(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The code shown, and who collects."""

    code: Annotated[str, Meta(min_length=1, max_length=20)]
    received_by: Annotated[str, Meta(min_length=1, max_length=200)]


class Out(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When: not still to come, and not from before the order."""

    out_at: Instant | None = None


class Delivered(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When (not still to come, and not from before the order), and who took it."""

    delivered_at: Instant | None = None
    received_by: Annotated[str, Meta(max_length=200)] | None = None


@query("/fulfillments", permission="orders:read", tag=TAG)
async def list_work(
    work: Work,
    location: str | None = None,
    site: str | None = None,
    slot_day: date | None = None,
    slot: Clock | None = None,
) -> list[reads.QueueRow]:
    """Return open work, due first, at most 200 pieces; of one location (its code), or of all the caller may see.

    `site` is the code of a location: the work of all owners whose goods are at its site. `slot_day` and `slot` (09:00)
    keep what is to be picked in the slots of a day, or in those that start then. Work in a slot is due when it ends: it
    comes slot by slot.
    """
    starts = None if slot is None else rules.clock_of(slot)
    return await reads.queue(work.tx, await _places(work, location, site), slot=(slot_day, starts))


async def _places(work: Work, location: str | None, site: str | None) -> list[int] | None:
    """Return the ids of the locations that are asked for and that the caller sees; None is all."""
    scope = work.actor.scope
    if location is not None:
        place = await network.location_by_code(work.tx, location)
        if place is None or not work.actor.sees(place.id):
            raise UnknownLocation(key=location)
        scope = [place.id]
    if site is not None:
        there = await sites.in_sight(work.tx, site)
        scope = there if scope is None else [id_ for id_ in there if id_ in scope]
    return scope


@query("/fulfillments:pick-list", permission="orders:read", tag=TAG)
async def get_pick_list(
    work: Work,
    location: str | None = None,
    site: str | None = None,
    slot_day: date | None = None,
    slot: Clock | None = None,
) -> list[reads.PickRow]:
    """Return what is still to be fetched for the work that is due first, at most 200 pieces, in the order of one walk.

    A row says the SKU, how many units, for which order, and whose goods they are. `location`, `site`, `slot_day` and
    `slot` as in the list of work.
    """
    starts = None if slot is None else rules.clock_of(slot)
    return await reads.pick_list(work.tx, await _places(work, location, site), slot=(slot_day, starts))


@command("/fulfillments:accept", permission="fulfillment:work", tag=TAG)
async def accept_many(work: Work, data: AcceptMany) -> Accepted:
    """Take many pieces of work on, as one who fetches the goods of several owners in one walk does; all or none.

    The answer names those that are the caller's by this: what somebody else has and what is picked is left as it is.
    """
    taken = await taking.take_on(work.tx, data.fulfillments, assignee=work.actor.name)
    return Accepted([one.id for one in taken])


@query("/fulfillments/{fulfillment_id:uuid}", permission="orders:read", snapshot=True, tag=TAG)
async def get_work(work: Work, fulfillment_id: UUID) -> WorkDetail:
    """Return a piece of work with its units and parcels."""
    row, order_id = await _row(work, fulfillment_id)
    work.tag(row.version)
    units = [u for u in await orders.units(work.tx, order_id) if u.fulfillment_id == fulfillment_id]
    parcels = await reads.shipments(work.tx, order_id)
    return WorkDetail(
        id=row.id,
        number=row.number,
        order_id=order_id,
        location=row.location_code,
        method=row.method,
        service=row.service,
        state=row.state,
        released_at=row.released_at,
        due_at=row.due_at,
        accepted_at=row.accepted_at,
        picked_at=row.picked_at,
        packed_at=row.packed_at,
        closed_at=row.closed_at,
        reason=row.reason,
        pickup_until=row.pickup_until,
        pickup_expired_at=row.pickup_expired_at,
        assignee=row.assignee,
        to_location=row.to_location,
        transfer=row.transfer,
        document_required=row.document_policy == "required",
        slot=row.slot,
        lines=[WorkLine(line=u.line, sku=u.sku, quantity=u.quantity, state=u.state) for u in units],
        shipments=[p for p in parcels if p.fulfillment_id == fulfillment_id],
        version=row.version,
    )


async def _row(work: Work, fulfillment_id: UUID) -> tuple[reads.WorkRow, UUID]:
    order_id = await service.order_of(work.tx, fulfillment_id)
    found = [row for row in await reads.of_order(work.tx, order_id) if row.id == fulfillment_id]
    if not found or not work.actor.sees(found[0].location_id):
        raise WorkNotFound(key=fulfillment_id)
    return found[0], order_id


async def _standing(work: Work, fulfillment_id: UUID) -> WorkStanding:
    row, _ = await _row(work, fulfillment_id)
    return WorkStanding(id=row.id, state=row.state, version=row.version)


async def _sku_ids(work: Work, skus: set[str]) -> dict[str | None, int | None]:
    """Return the ids of SKUs by code; None stands for itself."""
    ids: dict[str | None, int | None] = {None: None}
    ids |= {card.sku: card.id for card in await catalog.by_skus(work.tx, sorted(skus))}
    unknown = sorted(skus - ids.keys())
    says = N_("There is no SKU {sku} in the catalogue.")
    refuse([Flaw("lines", says, facts={"sku": sku}) for sku in unknown])
    return ids


async def _result(work: Work, fulfillment_id: UUID, rerouted: Rerouted) -> PickResult:
    return PickResult(
        work=await _standing(work, fulfillment_id),
        given_back=rerouted.given_back,
        placed_elsewhere=rerouted.placed,
        waiting=rerouted.waiting,
    )


@command("/fulfillments/{fulfillment_id:uuid}/accept", permission="fulfillment:work", tag=TAG)
async def accept_work(work: Work, fulfillment_id: UUID) -> WorkStanding:
    """Take the work on. Pressing twice is one; what somebody else has taken on stays theirs (`assignee`)."""
    await service.accept(work.tx, fulfillment_id, assignee=work.actor.name)
    return await _standing(work, fulfillment_id)


@command("/fulfillments/{fulfillment_id:uuid}/reject", permission="fulfillment:work", tag=TAG)
async def reject_work(work: Work, fulfillment_id: UUID, data: RejectWork) -> PickResult:
    """Give everything back before it is packed. The reason changes the stock here; another location is asked.

    `not_in_stock`: nothing is there beyond what is picked. `mismatch`: that many fewer are there. `damaged`: that many
    cannot be sold. `display_item`: that many are kept back. The others say nothing about stock.
    """
    return await _result(
        work, fulfillment_id, await service.reject(work.tx, fulfillment_id, data.reason, note=data.note)
    )


@command("/fulfillments/{fulfillment_id:uuid}/slot", permission="fulfillment:work", versioned="optional", tag=TAG)
async def move_work(work: Work, fulfillment_id: UUID, data: MoveWork) -> WorkStanding:
    """Move work that is not picked yet to another picking slot of its location; it is due when that ends.

    A slot that is full, closed or over is refused, and the work stays in the one it has. `GET /capacity` says what
    slots of the kind `pick` have left.
    """
    work.expect((await take_up(work.tx, fulfillment_id)).work.version)
    starts = rules.clock_of(data.starts)
    await moving.move_to_slot(work.tx, fulfillment_id, data.day, starts, reason=data.reason)
    return await _standing(work, fulfillment_id)


@command("/fulfillments/{fulfillment_id:uuid}/pick", permission="fulfillment:work", tag=TAG)
async def confirm_pick(work: Work, fulfillment_id: UUID, data: ConfirmPick) -> PickResult:
    """Report what was found; may be called again for the rest. What is short is placed elsewhere, the rest goes on."""
    named = {x.sku for x in (*(data.picked or ()), *data.short) if x.sku is not None}
    ids = await _sku_ids(work, named)
    picked = None if data.picked is None else [Picked(x.line, x.quantity, ids[x.sku]) for x in data.picked]
    short = [Short(x.line, x.quantity, x.reason, ids[x.sku]) for x in data.short]
    return await _result(work, fulfillment_id, await service.confirm_pick(work.tx, fulfillment_id, picked, short))


@command("/fulfillments/{fulfillment_id:uuid}/pack", permission="fulfillment:work", tag=TAG)
async def pack_work(work: Work, fulfillment_id: UUID, data: PackWork) -> PackResult:
    """Put everything picked in parcels. Where a document is required the goods then wait for it."""
    packed = data.parcels or [PackedParcel()]
    ids = await _sku_ids(work, {c.sku for p in packed for c in p.contents or () if c.sku is not None})
    parcels = [
        Parcel(
            p.weight_grams,
            None if p.contents is None else [Content(c.line, c.quantity, ids[c.sku]) for c in p.contents],
        )
        for p in packed
    ]
    made = await service.pack(work.tx, fulfillment_id, parcels)
    return PackResult(work=await _standing(work, fulfillment_id), shipments=made)


@command("/fulfillments/{fulfillment_id:uuid}/ship", permission="fulfillment:work", tag=TAG)
async def ship_work(work: Work, fulfillment_id: UUID, data: ShipWork) -> WorkStanding:
    """Let the parcels leave: the stock falls. Refused without the document where one is required."""
    tracking = [Tracking(p.shipment_id, p.carrier, p.tracking_code, p.tracking_url) for p in data.parcels]
    await service.ship(work.tx, fulfillment_id, tracking)
    return await _standing(work, fulfillment_id)


@command("/fulfillments/{fulfillment_id:uuid}/send", permission="fulfillment:work", tag=TAG)
async def send_work(work: Work, fulfillment_id: UUID, data: SendWork) -> Sent:
    """Let picked goods leave for the place where their customer fetches them (`method` transfer).

    A transfer of their own is raised, which the place receives: what arrives is the order's, and nobody else's between.
    """
    sending = Sending(document=data.document, carrier=data.carrier, tracking_code=data.tracking_code, eta=data.eta)
    number = await bringing.send(work.tx, fulfillment_id, sending)
    return Sent(work=await _standing(work, fulfillment_id), transfer=number)


@command("/fulfillments/{fulfillment_id:uuid}/ready", permission="fulfillment:work", tag=TAG)
async def make_ready(work: Work, fulfillment_id: UUID) -> Ready:
    """Put packed goods aside for the customer, who gets a six-digit code. The code is not in the answer."""
    until = await service.make_ready(work.tx, fulfillment_id)
    return Ready(work=await _standing(work, fulfillment_id), until=until)


@command("/fulfillments/{fulfillment_id:uuid}/renew-code", permission="orders:write", tag=TAG)
async def renew_code(work: Work, fulfillment_id: UUID) -> Ready:
    """Give the customer a new code, with new attempts and new time; the old one is void."""
    until = await service.renew_code(work.tx, fulfillment_id)
    return Ready(work=await _standing(work, fulfillment_id), until=until)


@command("/fulfillments/{fulfillment_id:uuid}/extend-pickup", permission="orders:write", tag=TAG)
async def extend_pickup(work: Work, fulfillment_id: UUID, data: MoreTime) -> Ready:
    """Give the customer more time to collect.

    When the window has ended and the goods went back to stock, they are set aside again, with a new code, as long as
    they are there and the order is paid; the cancel is undone. Where they need a fiscal document they are packed, wait
    for a new one, and get their code when they are made ready.
    """
    until = await pickups.extend(work.tx, fulfillment_id, data.days)
    return Ready(work=await _standing(work, fulfillment_id), until=until)


@query("/fulfillments/{fulfillment_id:uuid}/pickup-code", permission="customers:reveal", tag=TAG)
async def get_pickup_code(work: Work, fulfillment_id: UUID) -> PickupCode:
    """Return the code, to tell the customer. The store that hands over does not need it and may not see it."""
    return PickupCode(await service.pickup_code(work.tx, fulfillment_id))


@command("/fulfillments/{fulfillment_id:uuid}/hand-over", permission="fulfillment:work", tag=TAG)
async def hand_over(work: Work, fulfillment_id: UUID, data: HandOverWork) -> WorkStanding:
    """Hand the goods to who shows the code. Five wrong codes lock it until a new one is given."""
    shown = await service.hand_over(work.tx, fulfillment_id, code=data.code, received_by=data.received_by)
    if not shown.done:
        work.refuse_counted(WrongCode(left=shown.attempts_left))
    return await _standing(work, fulfillment_id)


@command("/shipments/{shipment_id:uuid}/out-for-delivery", permission="fulfillment:work", idempotent=False, tag=TAG)
async def send_shipment_out(work: Work, shipment_id: UUID, data: Out) -> None:
    """Record that a parcel was taken out for delivery: its customer hears it. Within 12 hours again changes nothing."""
    await service.send_out(work.tx, shipment_id, at=data.out_at)


@command("/shipments/{shipment_id:uuid}/deliver", permission="fulfillment:work", idempotent=False, tag=TAG)
async def deliver_shipment(work: Work, shipment_id: UUID, data: Delivered) -> None:
    """Record that a parcel arrived. The same fact again changes nothing."""
    await service.deliver(work.tx, shipment_id, at=data.delivered_at, received_by=data.received_by)


handlers = [
    list_work,
    get_pick_list,
    get_work,
    accept_work,
    accept_many,
    reject_work,
    move_work,
    confirm_pick,
    pack_work,
    ship_work,
    send_work,
    make_ready,
    renew_code,
    extend_pickup,
    get_pickup_code,
    hand_over,
    deliver_shipment,
    send_shipment_out,
]
