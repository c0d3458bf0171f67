"""Work at a location, step by step: accept or reject, pick, pack, let the goods leave, hand over.

Each step locks the order, then the work; checks that the work is where the step begins; moves the units; and derives
the work's state from them. A location's people see and touch only the work of their locations.
"""

import hmac
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from malha.fiscal import service as fiscal
from malha.fulfillment import giving_back, pickups, rules, writes
from malha.fulfillment.errors import (
    CodeLocked,
    DocumentRequired,
    NotPicked,
    PickupOver,
    ShipmentNotFound,
    ShipmentNotSent,
    TrackingUnclear,
    WrongMethod,
)
from malha.fulfillment.events import (
    PickupRefused,
    ShipmentDelivered,
    ShipmentOut,
    UnitsPicked,
    UnitsShort,
    WorkAccepted,
    WorkCancelled,
    WorkCollected,
    WorkPacked,
    WorkReady,
    WorkRejected,
    WorkShipped,
)
from malha.fulfillment.giving_back import Back
from malha.fulfillment.model import (
    METHOD_WORDS,
    TRANSFER,
    HandOver,
    Parcel,
    Picked,
    RejectReason,
    Rerouted,
    Short,
    Tracking,
    Work,
    WorkState,
)
from malha.fulfillment.releasing import release, release_again, release_due, release_order
from malha.fulfillment.work import Desk, about, lock_capacity, lock_open, order_of, refuse_stopped, restate, take_up
from malha.inventory import service as inventory
from malha.inventory.counts.freezing import refuse_frozen
from malha.inventory.model import Claim, Reason, Reference
from malha.ordering import cancelling
from malha.ordering import service as ordering
from malha.ordering.events import OrderEvent
from malha.ordering.model import Cancellation, CancelWish, Move, Order, Unit, UnitState
from malha.platform.db import Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_, Word
from malha.platform.ids import UUID, new_id

__all__ = [
    "accept",
    "cancel",
    "confirm_pick",
    "deliver",
    "hand_over",
    "make_ready",
    "order_of",
    "pack",
    "parcels_of",
    "pickup_code",
    "reject",
    "release",
    "release_again",
    "release_due",
    "release_order",
    "renew_code",
    "send_out",
    "settle",
    "ship",
]

CODE_ATTEMPTS = 5


async def accept(tx: Tx, work_id: UUID, *, assignee: str | None = None) -> str | None:
    """Take the work on, and return by name who has it. Work already accepted stays so, and whose it is.

    The same press of a button twice is one; of two people who press it, the first has the work.

    Raises:
        WrongState: it is past that.
    """
    desk = await take_up(tx, work_id)
    desk.need(WorkState.OPEN, WorkState.ACCEPTED, WorkState.PICKING)
    who = None
    if assignee is not None:
        who = await tx.value(writes.SET_ASSIGNEE, {"id": work_id, "assignee": assignee})
    if desk.work.state is WorkState.OPEN:
        event = WorkAccepted(**_about(desk))
        await _move(tx, desk, rules.moves_to(desk.units, UnitState.PICKING), event)
    return who


async def reject(tx: Tx, work_id: UUID, reason: RejectReason, *, note: str = "") -> Rerouted:
    """Give everything back before it is packed: the reason changes the stock, and another location is asked.

    Raises:
        WrongState: it is packed, or over.
    """
    desk = await take_up(tx, work_id)
    desk.need(WorkState.OPEN, WorkState.ACCEPTED, WorkState.PICKING, WorkState.PICKED)
    back = [Back(unit, reason) for unit in desk.units]
    units = sum(u.quantity for u in desk.units)
    lines = [(u.line, u.sku_id or 0, u.quantity) for u in desk.units]
    event = WorkRejected(**_about(desk), reason=reason.value, note=note.strip(), units=units, lines=lines)
    await _move(tx, desk, giving_back.moves_of(back), event, ended=WorkState.REJECTED, reason=reason.value)
    await giving_back.settle_stock(tx, desk.work, back)
    return await giving_back.find_another_place(tx, desk.work, back)


async def confirm_pick(
    tx: Tx, work_id: UUID, picked: Sequence[Picked] | None = None, short: Sequence[Short] = ()
) -> Rerouted:
    """Report what was found. May be called again for the rest; what is short is placed elsewhere, the rest goes on.

    A kit that lost a component goes elsewhere as a whole, also what of it was picked already.

    Args:
        tx: The transaction.
        work_id: The work; work still open is accepted by this.
        picked: Units found; None is everything that is not short.
        short: Units that are not there or may not go, each with its reason.

    Raises:
        WrongState: it is packed, or over.
        NotThatMany: more than are still to be picked.
    """
    desk = await take_up(tx, work_id)
    desk.need(WorkState.OPEN, WorkState.ACCEPTED, WorkState.PICKING)
    to_pick = [u for u in desk.units if u.state in {UnitState.RELEASED, UnitState.PICKING}]
    found, missing = rules.plan_pick(to_pick, picked, short)
    lines = (await ordering.lines_of(tx, [desk.order.id]))[desk.order.id] if missing else []
    companions, found = rules.plan_companions(lines, desk.units, [unit for unit, _ in missing], found)
    if desk.work.state is WorkState.OPEN:  # whole rows move in place: what was planned on them stands
        await ordering.move_units(
            tx, desk.order.id, rules.moves_to(desk.units, UnitState.PICKING), WorkAccepted(**_about(desk))
        )
    back = [*(Back(unit, wish.reason) for unit, wish in missing), *(Back(unit, None) for unit in companions)]
    events: list[OrderEvent] = []
    if found:
        taken = [(u.line, u.sku_id or 0, u.quantity) for u in found]
        events.append(UnitsPicked(**_about(desk), lines=taken))
    if missing:
        lost = [(u.line, u.sku_id or 0, u.quantity, wish.reason.value) for u, wish in missing]
        beside = [(u.line, u.sku_id or 0, u.quantity) for u in companions]
        events.append(UnitsShort(**_about(desk), lines=lost, companions=beside))
    moves = [*rules.moves_to(found, UnitState.PICKED), *giving_back.moves_of(back)]
    why = missing[0][1].reason.value if missing else None
    await _move(tx, desk, moves, *events, ended=WorkState.REJECTED, reason=why)
    if not back:
        return Rerouted(0, 0, 0)
    await giving_back.settle_stock(tx, desk.work, back)
    return await giving_back.find_another_place(tx, desk.work, back)


async def pack(tx: Tx, work_id: UUID, parcels: Sequence[Parcel] = (Parcel(),)) -> list[UUID]:
    """Put everything picked in parcels; return their ids. Where a document is required the units then wait for it.

    Raises:
        NotPicked: units are still to be picked.
        WrongMethod: it is brought to where its customer fetches it, and packed there.
        WrongState: it is packed already, or over.
        WrongContents, NotThatMany, Invalid: see `rules.plan_parcels`.
    """
    desk = await take_up(tx, work_id)
    if desk.work.method == TRANSFER:
        raise WrongMethod(number=desk.work.number, method=Word(METHOD_WORDS[TRANSFER]))
    early = sum(u.quantity for u in desk.units if u.state in {UnitState.RELEASED, UnitState.PICKING})
    if early and desk.work.state in {WorkState.OPEN, WorkState.ACCEPTED, WorkState.PICKING}:
        raise NotPicked(quantity=early)
    desk.need(WorkState.PICKED)
    contents = rules.plan_parcels(desk.units, parcels)
    ids = [new_id() for _ in parcels]
    rows = {"ids": ids, "weights": [p.weight_grams for p in parcels]}
    await tx.execute(writes.ADD_SHIPMENTS, {**rows, "fulfillment_id": work_id, "order_id": desk.order.id})
    required = bool(await fiscal.requiring(tx, [desk.work.location_id], desk.work.method))
    to = UnitState.AWAITING_DOCUMENT if required else UnitState.PACKED
    moves = [
        Move(u.line, u.part, u.quantity, to, shipment_id=id_)
        for id_, units in zip(ids, contents, strict=True)
        for u in units
    ]
    weights = [p.weight_grams for p in parcels if p.weight_grams is not None]
    event = WorkPacked(
        **_about(desk),
        parcels=len(ids),
        weight_grams=sum(weights) if weights else None,
        units=sum(u.quantity for u in desk.units),
        awaits_document=required,
    )
    await _move(tx, desk, moves, event)
    return ids


async def ship(tx: Tx, work_id: UUID, tracking: Sequence[Tracking] = ()) -> list[UUID]:
    """Let the parcels leave: the stock falls, the ledger says so. Returns those that hold something still.

    Raises:
        WrongMethod: the customer collects.
        WrongState: it is not packed.
        DocumentRequired: units wait for their document.
        OrderStopped: a hold says that nothing leaves.
        LocationFrozen, ZoneFrozen: everything at the location, or some of this, is being counted.
        ShipmentNotFound, TrackingUnclear: a tracking code is for no parcel of this work.
    """
    desk = await take_up(tx, work_id)
    if desk.work.method != "ship":
        raise WrongMethod(number=desk.work.number, method=Word(METHOD_WORDS[desk.work.method]))
    desk.need(WorkState.PACKED)
    await refuse_frozen(tx, {(u.sku_id, desk.work.location_id) for u in desk.units})
    await _open_gate(tx, desk)
    parcels = await _leaving(tx, desk)
    by_parcel = _assign(tracking, parcels, await parcels_of(tx, work_id))
    carrier = await tx.value(writes.CARRIER_OF, {"service_id": desk.work.service_id})
    rows = [by_parcel.get(id_, Tracking()) for id_ in parcels]
    await tx.execute(
        writes.SEND_SHIPMENTS,
        {
            "ids": parcels,
            "carriers": [t.carrier or carrier for t in rows],
            "codes": [t.tracking_code for t in rows],
            "urls": [t.tracking_url for t in rows],
        },
    )
    event = WorkShipped(
        **_about(desk),
        shipments=[
            {"id": id_, "carrier": t.carrier or carrier, "tracking_code": t.tracking_code}
            for id_, t in zip(parcels, rows, strict=True)
        ],
        units=sum(u.quantity for u in desk.units),
    )
    await _move(tx, desk, rules.moves_to(desk.units, UnitState.SHIPPED), event)
    await inventory.ship(tx, _claims(desk), Reference("order", desk.order.id, f"F{desk.work.number}"), Reason.SHIP)
    return parcels


async def parcels_of(tx: Tx, work_id: UUID) -> list[UUID]:
    """Return the parcels of a piece of work, in the order in which they were packed."""
    return await tx.values(writes.SHIPMENTS_OF, {"fulfillment_id": work_id})


async def _leaving(tx: Tx, desk: Desk) -> list[UUID]:
    row = {"fulfillment_id": desk.work.id, "order_id": desk.order.id}
    return await tx.values(writes.LEAVING_SHIPMENTS, row)


def _assign(tracking: Sequence[Tracking], parcels: Sequence[UUID], packed: Sequence[UUID]) -> dict[UUID, Tracking]:
    """Return how each parcel travels. What is said of one that was packed and holds nothing any more is no error."""
    tracking = [_trimmed(t) for t in tracking]
    if any(t.shipment_id is None for t in tracking) and len(parcels) != 1:
        raise TrackingUnclear(count=len(parcels))
    found = {t.shipment_id or parcels[0]: t for t in tracking}
    unknown = sorted(found.keys() - set(packed))
    if unknown:
        raise ShipmentNotFound(key=unknown[0])
    if len(found) < len(tracking):
        raise TrackingUnclear(count=len(parcels))
    return found


def _trimmed(t: Tracking) -> Tracking:
    """Return what is said of a parcel without what is blank: that says nothing, and the service's carrier stands."""
    carrier, code, url = ((text or "").strip() or None for text in (t.carrier, t.tracking_code, t.tracking_url))
    return Tracking(t.shipment_id, carrier, code, url)


async def send_out(tx: Tx, shipment_id: UUID, *, at: datetime | None = None) -> bool:
    """Record that a parcel was taken out for delivery, which its customer hears; return whether that was new.

    Within 12 hours again changes nothing.

    Nothing happens either when it has arrived by now: carriers tell late.

    Raises:
        ShipmentNotFound: there is no such parcel, or it is outside the actor's locations.
        ShipmentNotSent: it has not left.
        Invalid: `at` is still to come, or from before the order.
    """
    order, _sent = await _lock_sent(tx, shipment_id)
    refuse(rules.check_told(at, "out_at", order.placed_at, await tx.now()))
    out_at = await tx.value(writes.SEND_OUT_SHIPMENT, {"id": shipment_id, "at": at})
    if out_at is not None:
        await ordering.record(tx, ShipmentOut(id=order.id, seq=0, shipment_id=shipment_id, out_at=out_at))
    elif not await tx.value(writes.HAS_LEFT, {"id": shipment_id}):
        raise ShipmentNotSent
    return out_at is not None


async def _lock_sent(tx: Tx, shipment_id: UUID) -> tuple[Order, list[Unit]]:
    """Lock the order of a parcel; return it with the units in the parcel."""
    found = await tx.tuples(writes.FIND_SHIPMENT, {"id": shipment_id})
    if not found:
        raise ShipmentNotFound(key=shipment_id)
    order_id, location_id = found[0]
    if not tx.actor.sees(location_id):
        raise ShipmentNotFound(key=shipment_id)
    order = await ordering.lock_order(tx, order_id)
    units = (await ordering.units_of(tx, [order_id]))[order_id]
    return order, [u for u in units if u.shipment_id == shipment_id]


async def deliver(tx: Tx, shipment_id: UUID, *, at: datetime | None = None, received_by: str | None = None) -> None:
    """Record that a parcel arrived; the same fact again changes nothing.

    Raises:
        ShipmentNotFound: there is no such parcel, or it is outside the actor's locations.
        ShipmentNotSent: it has not left.
        Invalid: `at` is still to come, or from before the order.
    """
    order, sent = await _lock_sent(tx, shipment_id)
    refuse(rules.check_told(at, "delivered_at", order.placed_at, await tx.now()))
    row = {"id": shipment_id, "at": at, "received_by": received_by}
    delivered_at = await tx.value(writes.DELIVER_SHIPMENT, row)
    if delivered_at is None:
        if await tx.value(writes.IS_DELIVERED, {"id": shipment_id}):
            return
        raise ShipmentNotSent
    moving = [u for u in sent if u.state is UnitState.SHIPPED]
    event = ShipmentDelivered(
        id=order.id,
        seq=0,
        shipment_id=shipment_id,
        units=sum(u.quantity for u in moving),
        delivered_at=delivered_at,
    )
    await ordering.move_units(tx, order.id, rules.moves_to(moving, UnitState.DELIVERED), event)


async def make_ready(tx: Tx, work_id: UUID) -> datetime:
    """Put packed goods aside for the customer, who gets a six-digit code; return until when they wait.

    Raises:
        WrongMethod: the goods are to be sent.
        WrongState: they are not packed.
        DocumentRequired: they wait for their document.
    """
    desk = await take_up(tx, work_id)
    if desk.work.method != "pickup":
        raise WrongMethod(number=desk.work.number, method=Word(METHOD_WORDS[desk.work.method]))
    desk.need(WorkState.PACKED)
    _need_documents(desk.units)
    until = await pickups.give_code(tx, work_id)
    await _move(tx, desk, rules.moves_to(desk.units, UnitState.READY), WorkReady(**_about(desk), until=until))
    return until


async def renew_code(tx: Tx, work_id: UUID) -> datetime:
    """Give the customer a new code, with new attempts and new time; the old one is void.

    Raises:
        WrongState: nothing waits for a customer here.
    """
    desk = await take_up(tx, work_id)
    desk.need(WorkState.READY)
    until = await pickups.give_code(tx, work_id)
    await ordering.record(tx, WorkReady(**_about(desk), until=until, renewed=True))
    return until


async def pickup_code(tx: Tx, work_id: UUID) -> str:
    """Return the code to tell the customer; the edge checked that the asker may know it.

    Raises:
        WrongState: nothing waits for a customer here.
    """
    desk = await take_up(tx, work_id)
    desk.need(WorkState.READY)
    return desk.work.pickup_code or ""


async def hand_over(tx: Tx, work_id: UUID, *, code: str, received_by: str) -> HandOver:
    """Hand the goods to who shows the code. A wrong code is counted: commit the transaction, then refuse.

    What has not as many digits as a code is a slip of who typed it: asked for again, it is not counted.

    Raises:
        WrongState: nothing waits for a customer here.
        CodeLocked: too many wrong codes were shown; a new one is needed.
        PickupOver: the window ended; give the customer more time first.
        DocumentRequired: the document of the goods was cancelled a moment ago.
        OrderStopped: a hold says that nothing leaves.
        LocationFrozen, ZoneFrozen: everything at the location, or some of this, is being counted.
        Invalid: nobody is named as collecting, or the code is not whole.
    """
    shown = "".join(code.split())
    flaws = [] if received_by.strip() else [Flaw("received_by", N_("Write who collects the goods."))]
    if len(shown) != pickups.DIGITS:
        says = N_("Type the whole code: it has {digits} digits.")
        flaws.append(Flaw("code", says, facts={"digits": pickups.DIGITS}))
    refuse(flaws)
    desk = await take_up(tx, work_id)
    desk.need(WorkState.READY)
    if desk.work.pickup_expired_at is not None and desk.work.pickup_until is not None:
        raise PickupOver(until=desk.work.pickup_until)
    if desk.work.pickup_misses >= CODE_ATTEMPTS:
        raise CodeLocked
    await _open_gate(tx, desk)
    await refuse_frozen(tx, {(u.sku_id, desk.work.location_id) for u in desk.units})
    if not hmac.compare_digest(shown.encode(), (desk.work.pickup_code or "").encode()):
        await tx.execute(writes.COUNT_MISS, {"id": work_id})
        left = CODE_ATTEMPTS - desk.work.pickup_misses - 1
        await ordering.record(tx, PickupRefused(**_about(desk), attempts_left=left))
        return HandOver(done=False, attempts_left=left)
    row = {"ids": await _leaving(tx, desk), "received_by": received_by.strip()}
    await tx.execute(writes.HAND_OVER_SHIPMENTS, row)
    shipment_id = desk.units[0].shipment_id
    event = WorkCollected(**_about(desk), shipment_id=shipment_id, units=sum(u.quantity for u in desk.units))
    await _move(tx, desk, rules.moves_to(desk.units, UnitState.COLLECTED), event)
    about = Reference("order", desk.order.id, f"F{desk.work.number}")
    await inventory.ship(tx, _claims(desk), about, Reason.HAND_OVER)
    return HandOver(done=True, attempts_left=CODE_ATTEMPTS)


async def cancel(
    tx: Tx,
    order_id: UUID,
    *,
    reason: str,
    wishes: Sequence[CancelWish] | None = None,
    rest: bool = False,
    expected: int | None = None,
) -> Cancellation:
    """Cancel an order or some of its units, and end at once the work that has nothing left.

    As `ordering.cancelling.cancel`, which edges leave to this one: it locks the work and its capacity before the cancel
    locks balances, which is their order.
    """
    await ordering.lock_order(tx, order_id, expected)
    work = await lock_open(tx, [order_id])
    await lock_capacity(tx, work)
    done = await cancelling.cancel(tx, order_id, reason=reason, wishes=wishes, rest=rest)
    await settle(tx, [order_id])
    return done


async def settle(tx: Tx, order_ids: Iterable[UUID]) -> None:
    """Make work agree with its units after they were cancelled or lost their document. Locks the orders.

    In a transaction that has locked balances, use `cancel`: capacity comes before them.

    Work with nothing left ends and gives its capacity back; goods that were ready and lost their document wait again.
    """
    orders = await ordering.lock_orders(tx, order_ids)
    work = await lock_open(tx, orders)
    units = await ordering.units_of(tx, [w.order_id for w in work])
    every = [u for rows in units.values() for u in rows]
    states = await restate(tx, work, every, ended=WorkState.CANCELLED)
    events = [
        WorkCancelled(id=w.order_id, seq=0, fulfillment_id=w.id, number=w.number, location_id=w.location_id)
        for w in work
        if states[w.id] is WorkState.CANCELLED
    ]
    if events:
        await ordering.record(tx, *events)


# --- shared by the steps ---


async def _open_gate(tx: Tx, desk: Desk) -> None:
    _need_documents(desk.units)
    await refuse_stopped(tx, desk.order)


def _need_documents(units: Sequence[Unit]) -> None:
    waiting = sum(u.quantity for u in units if u.state is UnitState.AWAITING_DOCUMENT)
    if waiting:
        raise DocumentRequired(quantity=waiting)


def _claims(desk: Desk) -> list[Claim]:
    return [Claim(u.sku_id, desk.work.location_id, u.quantity) for u in desk.units if u.sku_id is not None]


def _about(desk: Desk) -> dict[str, Any]:
    return about(desk.work)


async def _move(
    tx: Tx,
    desk: Desk,
    moves: Sequence[Move],
    *events: OrderEvent,
    ended: WorkState = WorkState.CANCELLED,
    reason: str | None = None,
) -> Work:
    """Move units of the work, record events, and write where the work stands then."""
    after = await ordering.move_units(tx, desk.order.id, moves, *events)
    await restate(tx, [desk.work], after, ended=ended, reason=reason)
    return desk.work
