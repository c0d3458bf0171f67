"""The slot of an order: agreed afterwards, moved, or given back. A move is a new promise, which the customer hears of.

The order's row is locked before the slot, as everywhere.
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from malha.capacity import reads, rules, service
from malha.capacity.errors import OrderHasNoSlot, OrderHasSlot, SlotNotForOrder
from malha.capacity.model import Key, Kind, Reservation, Slot
from malha.network import reads as network
from malha.network.calendar import Calendar
from malha.network.errors import UnknownLocation
from malha.network.model import Location, Method
from malha.ordering import holds as order_holds
from malha.ordering import promises, writes
from malha.ordering import service as ordering
from malha.ordering.errors import NothingToPromise
from malha.ordering.events import SlotChanged
from malha.ordering.model import HoldKind, Order, PromiseReason, Unit, UnitState
from malha.ordering.rules import UNTOUCHED, is_to_come
from malha.platform.db import Tx
from malha.platform.i18n import N_
from malha.platform.ids import UUID

GOT_ONE = N_("The order has a slot.")


async def agree(
    tx: Tx,
    order_id: UUID,
    day: date,
    starts: time,
    *,
    location: str | None = None,
    reason: PromiseReason = PromiseReason.CUSTOMER_ASKED,
    note: str = "",
    expected: int | None = None,
) -> Slot:
    """Give an order a slot, or another than it has; the end of the slot is promised from now on.

    Args:
        tx: The transaction.
        order_id: The order.
        day: The slot's date.
        starts: When it starts, on the location's clock.
        location: Whose delivery slot; None is the location the order has its slot at, or comes from.
        reason: Why, for the promise.
        note: For colleagues; required with `PromiseReason.OTHER`.
        expected: The version the asker saw.

    Raises:
        SlotFull, NoSuchSlot: it cannot be had; the order keeps the slot it has.
        SlotNotForOrder: the slot is of a location the order does not come from.
        NothingToPromise: everything is with the customer, or cancelled.
        OrderNotFound, OrderChanged: there is no such order, or it is at another version.
    """
    order = await ordering.open_order(tx, order_id, expected)
    units = (await ordering.units_of(tx, [order_id]))[order_id]
    if not any(is_to_come(u) for u in units):
        raise NothingToPromise(number=order.number)
    had = (await reads.of_orders(tx, [order_id])).get(order_id)
    place = await _place(tx, order, units, had, location)
    kind = Kind.PICKUP if order.method == Method.PICKUP else Kind.DELIVERY
    key = Key(place.home, kind.value, day, starts)
    if had is not None and had.key == key:
        raise OrderHasSlot(number=order.number)
    before, slot = await service.move(tx, order_id, place, key, reason="moved")
    await _settle(tx, order, units, place, slot, before, reason=reason, note=note)
    return slot


def places_of(order: Order, units: Iterable[Unit]) -> set[int]:
    """Return the locations whose slots an order may have: where it is fetched, or where its goods leave from."""
    if order.method == Method.PICKUP or order.comes_to is not None:
        return {order.comes_to} if order.comes_to is not None else set()
    return {u.location_id for u in units if u.location_id is not None and u.state is not UnitState.CANCELLED}


async def choices(
    tx: Tx, order_id: UUID, units: Sequence[Unit], most: int = 30
) -> tuple[Reservation | None, list[tuple[Location, Slot]]]:
    """Return the slot an order with these units has, and free ones it may have instead, the next first.

    Only slots that are to come; nothing is locked, so one of them may be gone when it is asked for.
    """
    order = await ordering.look_at(tx, order_id)
    had = (await reads.of_orders(tx, [order_id])).get(order_id)
    if not any(is_to_come(u) for u in units):
        return had, []
    named = await network.locations_by_id(tx, places_of(order, units))
    places = await network.locations_by_id(tx, {x.home for x in named.values()})
    kind = Kind.PICKUP if order.method == Method.PICKUP else Kind.DELIVERY
    now = await tx.now()
    found = await service.offers(tx, places.values(), kind, ready=dict.fromkeys(places, now), most=most)
    rows = [(places[id_], slot) for id_, slots in found.items() for slot in slots if had is None or slot.key != had.key]
    return had, sorted(rows, key=lambda row: (row[1].key.day, row[1].key.starts))[:most]


async def _place(
    tx: Tx, order: Order, units: Iterable[Unit], had: Reservation | None, location: str | None
) -> Location:
    """Return the location whose slots an order may have: the first of a site from which its goods come."""
    may = {x.home for x in (await network.locations_by_id(tx, places_of(order, units))).values()}
    if location is not None:
        found = await network.location_by_code(tx, location)
        if found is None:
            raise UnknownLocation(key=location)
        if found.home not in may:
            raise SlotNotForOrder(number=order.number)
        return found if found.site_id is None else (await network.locations_by_id(tx, [found.home]))[found.home]
    id_ = had.location_id if had is not None and had.location_id in may else min(may, default=None)
    if id_ is None:
        raise SlotNotForOrder(number=order.number)
    return (await network.locations_by_id(tx, [id_]))[id_]


async def confirm(tx: Tx, reference: str, order_id: UUID, *, expected: int | None = None) -> Reservation:
    """Let an order have the slot its cart holds.

    Raises:
        SlotHoldNotFound: nothing is held under the reference.
        OrderHasSlot: the order has one already.
        SlotNotForOrder: the held slot is of another kind or location.
        OrderNotFound, OrderChanged, NothingToPromise: see `agree`.
    """
    order = await ordering.open_order(tx, order_id, expected)
    units = (await ordering.units_of(tx, [order_id]))[order_id]
    if await reads.of_orders(tx, [order_id]):
        raise OrderHasSlot(number=order.number)
    held = await service.confirm_hold(tx, reference, order_id)
    kind = Kind.PICKUP if order.method == Method.PICKUP else Kind.DELIVERY
    place = (await network.locations_by_id(tx, [held.location_id]))[held.location_id]
    if held.kind is not kind or (await _place(tx, order, units, None, place.code)).id != place.id:
        raise SlotNotForOrder(number=order.number)
    slot = Slot(key=held.key, ends=held.ends, quota=0)
    await _settle(tx, order, units, place, slot, None, reason=PromiseReason.CUSTOMER_ASKED, note="")
    return held


async def _settle(
    tx: Tx,
    order: Order,
    units: Iterable[Unit],
    place: Location,
    slot: Slot,
    before: Reservation | None,
    *,
    reason: PromiseReason,
    note: str,
) -> None:
    """Record an order's slot, lift the hold for want of one, promise its end, and begin work in time for it."""
    await order_holds.lift_holds(tx, [order.id], HoldKind.SLOT, GOT_ONE)
    changed = SlotChanged(
        id=order.id,
        seq=0,
        slot=slot.key.kind,
        location_id=place.id,
        day=slot.key.day.isoformat(),
        starts=f"{slot.key.starts:%H:%M}",
        ends=f"{slot.ends:%H:%M}",
        former_day=None if before is None else before.day.isoformat(),
        former_starts=None if before is None else f"{before.starts:%H:%M}",
        why=reason.value,
    )
    await ordering.record(tx, changed)
    ends = service.ends_at(place, slot.key.day, slot.ends)
    present, lines = await promises.standing(tx, order.id)
    if present != ends or lines:
        await promises.repromise(tx, order.id, ends, reason=reason, note=note)
    if all(u.state in UNTOUCHED or u.state is UnitState.CANCELLED for u in units):
        await tx.execute(writes.RELEASE_FROM, {"order_id": order.id, "at": await _begins_at(tx, place, slot.key.day)})


async def _begins_at(tx: Tx, place: Location, day: date) -> datetime:
    """Return from when work for a slot may begin; see `rules.begins_on`."""
    since = date.fromordinal(day.toordinal() - rules.MOST_DAYS_BEFORE)
    closed = {off for _, off in await reads.closed_days(tx, [place.id], since, day)}
    calendar = Calendar(place, frozenset(closed))
    return rules.instant(rules.begins_on(day, calendar.is_open_on), time(), ZoneInfo(place.timezone))


async def give_back(tx: Tx, order_id: UUID, *, expected: int | None = None) -> Reservation:
    """Let an order go without a slot; what was promised stays promised.

    Raises:
        OrderHasNoSlot: it has none.
        OrderNotFound, OrderChanged: there is no such order, or it is at another version.
    """
    order = await ordering.open_order(tx, order_id, expected)
    gone = await service.release_orders(tx, [order_id], reason="given_back")
    if not gone:
        raise OrderHasNoSlot(number=order.number)
    await ordering.record(tx, _lost(gone[0], "given_back"))
    return gone[0]


def _lost(gone: Reservation, why: str) -> SlotChanged:
    return SlotChanged(
        id=gone.order_id,
        seq=0,
        slot=gone.kind.value,
        location_id=gone.location_id,
        former_day=gone.day.isoformat(),
        former_starts=f"{gone.starts:%H:%M}",
        why=why,
    )


async def follow_goods(tx: Tx, order_ids: Iterable[UUID]) -> None:
    """Give back delivery slots of locations that deliver nothing of their order any more, and ask for another.

    The order waits under a hold until somebody agrees on another slot, or lets it go without one.
    """
    had = {o: r for o, r in (await reads.of_orders(tx, list(order_ids))).items() if r.kind is Kind.DELIVERY}
    if not had:
        return
    orders = await ordering.lock_orders(tx, had)
    units = await ordering.units_of(tx, orders)
    lost = [o for o in orders if _left(units[o], had[o].location_id)]
    gone = await service.release_orders(tx, lost, reason="rerouted")
    if not gone:
        return
    await ordering.record(tx, *(_lost(r, "rerouted") for r in gone))
    details = {
        r.order_id: {"day": r.day, "starts": f"{r.starts:%H:%M}", "rerouted": True}
        for r in gone
        if r.order_id is not None
    }
    await order_holds.ensure_holds(tx, details, HoldKind.SLOT)


def _left(units: Iterable[Unit], location_id: int) -> bool:
    """Tell whether an order's goods have places, and none is this location."""
    places = {u.location_id for u in units if u.state is not UnitState.CANCELLED}
    return None not in places and bool(places) and location_id not in places
