"""What a vendor says of a drop-ship order: it sends it, it does not, it has left; and taking one back.

Until its goods leave, nothing of a vendor is stock of ours, and its units wait as backordered. When they leave, one
transaction takes them in at the vendor's location, allocates them to their order, and carries the work to the parcel:
from there on everything is as from any location. The customer's order is locked first.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from malha.fiscal import service as fiscal
from malha.fulfillment import drop_reads, releasing, service
from malha.fulfillment.model import Parcel, Tracking
from malha.intake import replanning
from malha.inventory import service as stock
from malha.inventory.buckets import service as buckets
from malha.inventory.buckets.model import Bucket, Leg
from malha.inventory.model import Claim, Reason, Reference
from malha.inventory.vendors import reads as vendor_reads
from malha.inventory.vendors import service as vendors
from malha.inventory.vendors.errors import DropDocuments, DropEnded, DropHeld, UnknownDrop
from malha.inventory.vendors.events import DropShipAccepted, DropShipCancelled, DropShipRefused, DropShipSent
from malha.inventory.vendors.model import OPEN, STATE_WORDS, Drop, DropLine, DropState
from malha.network import reads as network
from malha.ordering import holds
from malha.ordering import service as ordering
from malha.ordering.events import OrderSupplied
from malha.ordering.model import HoldKind, Move, Order, Unit, UnitState, word_of
from malha.payments import service as payments
from malha.platform import audit, outbox
from malha.platform.clock import now
from malha.platform.db import Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import DEFAULT_ZONE, N_, Word
from malha.platform.ids import UUID
from malha.routing import service as routing
from malha.routing.model import Exclusion


class Sent(msgspec.Struct, frozen=True):
    """What left a vendor: the work of its order, with its number, and the parcel."""

    fulfillment: UUID
    number: int
    shipment: UUID


async def drop_of(tx: Tx, number: int) -> drop_reads.DropRow:
    """Return a drop-ship order as it stands.

    Raises:
        UnknownDrop: there is none, or its vendor is outside of the actor's locations.
    """
    row = await drop_reads.drop(tx, number, tx.actor.scope)
    if row is None:
        raise UnknownDrop(number=number)
    return row


async def accept(
    tx: Tx, number: int, *, leaves_on: date | None = None, reference: str | None = None
) -> drop_reads.DropRow:
    """Note that a vendor sends it, by a day, under its own number. Said again, day and number are as said last.

    Raises:
        UnknownDrop: there is none, or its vendor is outside of the actor's locations.
        DropEnded: nothing of it is to be sent.
        DropHeld: the customer's order is on hold.
        Invalid: the day is over. That of a vendor who has accepted may be said again.
    """
    order, drop = await _open(tx, number)
    await _refuse_held(tx, drop, order)
    await _refuse_over(tx, drop, leaves_on or drop.leaves_on)
    states = await vendors.restate(
        tx,
        [drop.id],
        state=DropState.ACCEPTED,
        ended=DropState.CANCELLED,
        answered=True,
        leaves_on=leaves_on,
        reference=(reference or "").strip() or None,
    )
    day = leaves_on or drop.leaves_on
    await outbox.add(tx, DropShipAccepted(**_about(drop, states[drop.id][1]), leaves_on=day))
    facts = {"leaves_on": day, "reference": reference}
    await audit.record(tx, action="accept", entity="drop_ship", entity_id=number, after=facts)
    return await drop_of(tx, number)


async def today_at(tx: Tx, location_id: int) -> date:
    """Return what day it is at a vendor."""
    place = (await network.locations_by_id(tx, [location_id])).get(location_id)
    return now().astimezone(ZoneInfo(place.timezone if place else DEFAULT_ZONE)).date()


async def _refuse_over(tx: Tx, drop: Drop, day: date) -> None:
    said_before = drop.state is DropState.ACCEPTED and day == drop.leaves_on
    if not said_before and day < await today_at(tx, drop.location_id):
        says, mend = N_("{day} is over."), N_("Say by which day, from today on, it leaves the vendor.")
        refuse([Flaw("leaves_on", says, mend, {"day": day})])


async def refuse_drop(tx: Tx, number: int, reason: str, lines: Sequence[int] | None = None) -> int:
    """Note that a vendor does not send it, or some lines of the order; other places are sought, but not this vendor.

    Returns:
        How many units found no other place.

    Raises:
        UnknownDrop, DropEnded: as `accept`.
        Invalid: no reason is given.
    """
    return await _take_away(tx, number, reason, lines, ended=DropState.REFUSED)


async def take_back(tx: Tx, number: int, reason: str) -> int:
    """Take a drop-ship order back from a vendor who does not answer or deliver; as `refuse_drop` otherwise."""
    return await _take_away(tx, number, reason, None, ended=DropState.CANCELLED)


async def _take_away(tx: Tx, number: int, reason: str, lines: Sequence[int] | None, *, ended: DropState) -> int:
    refuse([] if reason.strip() else [Flaw("reason", N_("Say why."))])
    order, drop = await _open(tx, number)
    gone = _chosen(await _expected(tx, drop), None if lines is None else dict.fromkeys(lines))
    await vendors.drop_units(tx, {drop.id: gone})
    states = await vendors.restate(tx, [drop.id], ended=ended, answered=True, reason=reason.strip())
    told = [(line.line, line.sku_id, line.quantity) for line in gone]
    about = _about(drop, states[drop.id][1])
    if ended is DropState.REFUSED:
        await outbox.add(tx, DropShipRefused(**about, reason=reason.strip(), lines=told))
    else:
        await outbox.add(tx, DropShipCancelled(**about, lines=told, whole=states[drop.id][0] not in OPEN))
    units = (await ordering.units_of(tx, [order.id]))[order.id]
    await ordering.move_units(tx, order.id, _moves(units, gone, UnitState.UNPLACED))
    excluded = sorted({line.line for line in gone})
    await routing.exclude(tx, [Exclusion(order.id, line, drop.location_id, "rejected") for line in excluded])
    facts = {"reason": reason.strip(), "units": sum(line.quantity for line in gone)}
    action = "refuse" if ended is DropState.REFUSED else "cancel"
    await audit.record(tx, action=action, entity="drop_ship", entity_id=number, after=facts)
    still = await replanning.place_units(tx, order.id)
    waiting = sum(w.quantity for w in still)
    if waiting and HoldKind.ROUTING_RULE not in (await ordering.open_holds(tx, [order.id]))[order.id]:
        detail = {"lines": sorted({w.line for w in still}), "units": waiting}
        await holds.ensure_holds(tx, {order.id: detail}, HoldKind.SHORTAGE)
    return waiting


async def send(
    tx: Tx,
    number: int,
    *,
    tracking: Tracking | None = None,
    lines: Mapping[int, int] | None = None,
    weight_grams: int | None = None,
) -> Sent:
    """Note that goods left a vendor in one parcel: all that is expected, or of some lines as many sold units.

    They enter at the vendor's location, are allocated to their order and leave it, each with its row in the ledger: no
    unit of a vendor is ever there for anybody else.

    Raises:
        UnknownDrop, DropEnded, DropHeld: as `accept`.
        Invalid: a line is not among what is expected, or has fewer units.
        NoCapacity: the vendor's days are full.
        DropDocuments: goods of the vendor would have to wait for a document of ours.
    """
    order, drop = await _open(tx, number)
    await _refuse_held(tx, drop, order)
    if await fiscal.requiring(tx, [drop.location_id], order.method):
        raise DropDocuments(number=number)
    sold = {line.line: line for line in (await ordering.lines_of(tx, [order.id]))[order.id]}
    expected = await _expected(tx, drop)
    per = {(n, sku): each for n, line in sold.items() for sku, each in line.components.items()}
    chosen = _chosen(expected, None if lines is None else dict(lines), per)
    seat = await releasing.take_for_vendor(tx, order, drop.location_id, sum(line.quantity for line in chosen))
    about = Reference("drop_ship", drop.id, f"V{number}")
    came = [Claim(line.sku_id, drop.location_id, line.quantity) for line in chosen]
    legs = [Leg(claim.sku_id, claim.location_id, Bucket.SELLABLE, claim.quantity) for claim in came]
    await stock.claim_brought(tx, came, order.id)  # first: what the vendor's own balance lacks is not made up by these
    await buckets.change(tx, legs, Reason.RECEIPT, about)
    before = (await ordering.units_of(tx, [order.id]))[order.id]
    placed = [(line.line, drop.location_id, line.quantity) for line in chosen]
    moves = _moves(before, chosen, UnitState.ALLOCATED, drop.location_id)
    after = await ordering.move_units(tx, order.id, moves, OrderSupplied(id=order.id, seq=0, placed=placed))
    work = await releasing.make_for_vendor(tx, seat, _new_at(before, after, drop.location_id))
    await vendors.send_units(tx, {drop.id: chosen})
    states = await vendors.restate(tx, [drop.id], state=DropState.ACCEPTED, ended=DropState.SENT, answered=True)
    told = [(line.line, line.sku_id, line.quantity) for line in chosen]
    await outbox.add(tx, DropShipSent(**_about(drop, states[drop.id][1]), fulfillment_id=work.id, lines=told))
    facts = {"units": sum(line.quantity for line in chosen), "fulfillment": work.number}
    await audit.record(tx, action="send", entity="drop_ship", entity_id=number, after=facts)
    await service.confirm_pick(tx, work.id)
    (parcel,) = await service.pack(tx, work.id, [Parcel(weight_grams=weight_grams)])
    await service.ship(tx, work.id, [] if tracking is None else [tracking])
    return Sent(work.id, work.number, parcel)


async def sold_left(tx: Tx, number: int, lines: Collection[int]) -> dict[int, int]:
    """Return how many sold units of some lines of a drop-ship order are to be sent still.

    Raises:
        UnknownDrop, DropEnded: as `accept`.
    """
    order, drop = await _open(tx, number)
    kits = {line.line: line.components for line in (await ordering.lines_of(tx, [order.id]))[order.id]}
    return {
        line.line: line.quantity // kits[line.line].get(line.sku_id, 1)
        for line in await _expected(tx, drop)
        if line.line in lines
    }


async def _open(tx: Tx, number: int) -> tuple[Order, Drop]:
    """Lock the order of a drop-ship order of which something is expected, then itself."""
    row = await drop_of(tx, number)
    order = await ordering.lock_order(tx, row.order_id)
    drop = await vendors.lock(tx, row.id)
    if drop.state not in OPEN:
        raise DropEnded(number=number, state=Word(STATE_WORDS[drop.state]))
    return order, drop


async def _refuse_held(tx: Tx, drop: Drop, order: Order) -> None:
    kinds = set((await ordering.open_holds(tx, [order.id]))[order.id])
    if not (await payments.secured(tx, {order.id: order}))[order.id].suffices:
        kinds.add(HoldKind.PAYMENT)
    if kinds:
        raise DropHeld(number=drop.number, kinds=[word_of(kind) for kind in sorted(kinds)])


async def _expected(tx: Tx, drop: Drop) -> list[DropLine]:
    return [
        msgspec.structs.replace(line, quantity=line.expected, sent=0, dropped=0)
        for line in (await vendor_reads.lines_of(tx, [drop.id]))[drop.id]
        if line.expected
    ]


def _chosen(
    expected: Sequence[DropLine],
    lines: Mapping[int, int | None] | None,
    per: Mapping[tuple[int, int], int] | None = None,
) -> list[DropLine]:
    """Return what is expected of some lines of the order, of each as many sold units as is said (None: all)."""
    if lines is None:
        return list(expected)
    known = {line.line for line in expected}
    flaws = [Flaw(f"lines/{n}", N_("Nothing of this line is to be sent.")) for n in lines if n not in known]
    found = []
    for line in expected:
        sold = lines.get(line.line, 0)
        units = line.quantity if sold is None else sold * (per or {}).get((line.line, line.sku_id), 1)
        if units > line.quantity:
            says = N_("Only {units} units of this line are to be sent.")
            flaws.append(Flaw(f"lines/{line.line}", says, facts={"units": line.quantity}))
        elif units > 0:
            found.append(msgspec.structs.replace(line, quantity=units))
    refuse(flaws or ([] if found else [Flaw("lines", N_("Name at least one line."))]))
    return found


def _moves(
    units: Sequence[Unit], lines: Sequence[DropLine], to: UnitState, location_id: int | None = None
) -> list[Move]:
    """Return the moves of backordered units that vendors were to send; which of equal ones does not matter."""
    left = {(line.line, line.sku_id): line.quantity for line in lines}
    moves = []
    for u in units:
        key = u.line, u.sku_id or 0
        taken = min(u.quantity, left.get(key, 0)) if u.state is UnitState.BACKORDERED else 0
        if taken:
            place = msgspec.UNSET if location_id is None else location_id
            moves.append(Move(u.line, u.part, taken, to, location_id=place))
            left[key] -= taken
    if any(left.values()):
        raise RuntimeError("a vendor is asked for units that do not wait")
    return moves


def _new_at(before: Sequence[Unit], after: Sequence[Unit], location_id: int) -> list[Unit]:
    """Return the units that were allocated at a location just now."""

    def here(units: Sequence[Unit]) -> dict[tuple[int, int], Unit]:
        return {(u.line, u.part): u for u in units if (u.state, u.location_id) == (UnitState.ALLOCATED, location_id)}

    old = {key: u.quantity for key, u in here(before).items()}
    return [
        msgspec.structs.replace(u, quantity=u.quantity - old.get(key, 0))
        for key, u in sorted(here(after).items())
        if u.quantity > old.get(key, 0)
    ]


def _about(drop: Drop, seq: int) -> dict[str, Any]:
    return {"id": drop.id, "seq": seq, "order_id": drop.order_id, "location_id": drop.location_id}
