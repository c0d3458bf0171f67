"""Goods of an order that are brought to where it is fetched or shipped in one: what leaves, arrives, is coming.

Work at the location that has the goods ends when they leave by a transfer of their own. What arrives is allocated to
the order at the place in the transaction that takes it in, and is released there when nothing of the order is on its
way any more: the customer is told once, of all of it, or gets one shipment. What does not arrive is placed again.

Lock order: the order, its work, then the transfer and what comes after it.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from zoneinfo import ZoneInfo

import msgspec

from malha.fulfillment import rules, writes
from malha.fulfillment.errors import WrongMethod
from malha.fulfillment.events import WorkArrived, WorkSent
from malha.fulfillment.model import METHOD_WORDS, TRANSFER, Work, WorkState
from malha.fulfillment.work import about, refuse_stopped, restate, take_up
from malha.intake.reference import reference_in
from malha.inventory.transfers import for_orders
from malha.inventory.transfers import receiving as transfers
from malha.inventory.transfers.for_orders import OrderGoods
from malha.inventory.transfers.model import Arrival, Meant, Outcome, TransferState
from malha.network import reads as network
from malha.ordering import holds
from malha.ordering import service as ordering
from malha.ordering.model import CLAIMING, HoldKind, Move, Order, Unit, UnitState
from malha.platform.db import Tx
from malha.platform.i18n import Word
from malha.platform.ids import UUID
from malha.promising.rules import there_on

_MAY_COME = {TransferState.PARTLY_SHIPPED, TransferState.SHIPPED}


class Sending(msgspec.Struct, frozen=True, kw_only=True):
    """How goods leave for the place where they come together; `eta` None: after the days of their lane."""

    document: str | None = None
    carrier: str | None = None
    tracking_code: str | None = None
    eta: date | None = None


async def send(tx: Tx, work_id: UUID, sending: Sending | None = None) -> int:
    """Let picked goods leave for the place where they come together; return the number of their transfer.

    Raises:
        WrongMethod: they are not to be brought anywhere.
        WrongState: not all of them are picked.
        OrderStopped: a hold says that nothing leaves.
        OrderGoodsNeedDocument: they go to another establishment without a document of their own.
        LocationFrozen, ZoneFrozen: everything at the location, or some of this, is being counted.
    """
    sending = sending or Sending()
    desk = await take_up(tx, work_id)
    work = desk.work
    if work.to_location_id is None:
        raise WrongMethod(number=work.number, method=Word(METHOD_WORDS[work.method]))
    desk.need(WorkState.PICKED)
    await refuse_stopped(tx, desk.order)
    units = _by_sku(desk.units)
    goods = OrderGoods(
        order_id=desk.order.id,
        order_number=desk.order.number,
        origin_id=work.location_id,
        destination_id=work.to_location_id,
        units=units,
        document=sending.document,
        carrier=sending.carrier,
        tracking_code=sending.tracking_code,
        eta=sending.eta or await _expected(tx, work.location_id, work.to_location_id),
    )
    moves = [
        msgspec.structs.replace(move, location_id=work.to_location_id)
        for move in rules.moves_to(desk.units, UnitState.IN_TRANSFER)
    ]
    transfer_id, number = await for_orders.send(tx, goods)
    await tx.execute(writes.SENT_WITH, {"id": work_id, "transfer_id": transfer_id})
    event = WorkSent(**about(work), to_location_id=work.to_location_id, transfer=number, units=sum(units.values()))
    after = await ordering.move_units(tx, desk.order.id, moves, event)
    await restate(tx, [work], after, ended=WorkState.CLOSED)
    return number


async def _expected(tx: Tx, origin_id: int, destination_id: int) -> date | None:
    """Return the day on which goods that leave now are there, by the days of their lane; None: it has no lane now."""
    snapshot = (await reference_in(tx)).snapshot
    place = snapshot.locations[destination_id]
    lane = snapshot.brought_to().get(place.home, {}).get(origin_id)
    if lane is None:
        return None
    today = (await tx.now()).astimezone(ZoneInfo(place.timezone)).date()
    return there_on(today, lane[1], place.state)


def _by_sku(units: Iterable[Unit]) -> dict[int, int]:
    found: dict[int, int] = {}
    for u in units:
        if u.sku_id is not None:
            found[u.sku_id] = found.get(u.sku_id, 0) + u.quantity
    return found


async def receive(tx: Tx, number: int, arrival: Arrival) -> Outcome:
    """Take in what arrived of a transfer; what it brings for an order is the order's at once, and nobody else's.

    Units that were cancelled meanwhile are stock of the place; those that did not come are placed again
    (`flows.order_to_cash.look_at_arrivals`), and their order is held until they are.

    Raises:
        As `inventory.transfers.receiving.receive`.
    """
    found = await tx.tuples(writes.BROUGHT_BY, {"number": number})
    if not found:
        return await transfers.receive(tx, number, arrival)
    ((work_id, order_id),) = found
    await ordering.lock_order(tx, order_id)
    work = await tx.one(Work, writes.LOCK_WORK, {"ids": [work_id]})
    coming = _coming((await ordering.units_of(tx, [order_id]))[order_id], work_id)
    done = await transfers.receive(tx, number, arrival, Meant(order_id, _by_sku(coming)))
    if done.repeated:
        return done
    moves, missing = _arrived(coming, done.meant, ended=done.state not in _MAY_COME)
    if not moves and not missing:
        return done
    lost = sum(move.quantity for move in missing)
    event = WorkArrived(
        **{**about(work), "location_id": work.to_location_id or work.location_id},
        transfer=number,
        units=sum(done.meant.values()),
        missing=lost,
    )
    await ordering.move_units(tx, order_id, moves + missing, event)
    if missing:  # until they are placed again, what is there waits for them
        detail = {"lines": sorted({move.line for move in missing}), "units": lost}
        await holds.ensure_holds(tx, {order_id: detail}, HoldKind.SHORTAGE)
    await ordering.postpone_release(tx, [order_id], minutes=0)  # what waited there for this may go on now
    return done


def _coming(units: Iterable[Unit], work_id: UUID) -> list[Unit]:
    return [u for u in units if u.fulfillment_id == work_id and u.state is UnitState.IN_TRANSFER]


def _arrived(coming: Sequence[Unit], came: Mapping[int, int], *, ended: bool) -> tuple[list[Move], list[Move]]:
    """Return the moves of units that came, and of those that will not come when the transfer has `ended`."""
    left = dict(came)
    moves, missing = [], []
    for u in coming:
        taken = min(u.quantity, left.get(u.sku_id or 0, 0))
        if taken:
            left[u.sku_id or 0] -= taken
            moves.append(Move(u.line, u.part, taken, UnitState.ALLOCATED))
        if ended and u.quantity > taken:
            missing.append(Move(u.line, u.part, u.quantity - taken, UnitState.UNPLACED))
    return moves, missing


# --- what is released where ---


async def homes_of(tx: Tx, orders: Iterable[Order], units: Mapping[UUID, Sequence[Unit]]) -> dict[int, int]:
    """Return the sites of the locations of orders that come together, by location, where any goods are elsewhere."""
    wanted: set[int] = set()
    for order in orders:
        if order.comes_to is not None:
            places = {u.location_id for u in units[order.id] if u.state in CLAIMING and u.location_id is not None}
            if places - {order.comes_to}:
                wanted |= places | {order.comes_to}
    if not wanted:
        return {}
    return {id_: place.home for id_, place in (await network.locations_by_id(tx, sorted(wanted))).items()}


def is_brought(order: Order, unit: Unit, homes: Mapping[int, int]) -> bool:
    """Tell whether units are claimed at another place than where their order comes together: they are brought there."""
    at, place = order.comes_to, unit.location_id
    if at is None or place is None or unit.state not in CLAIMING:
        return False
    return place != at and homes.get(place, place) != homes.get(at, at)


def to_release(order: Order, units: Sequence[Unit], homes: Mapping[int, int]) -> list[Unit]:
    """Return the allocated units that may become work now: what is where they come together waits for the others."""
    allocated = [u for u in units if u.state is UnitState.ALLOCATED and u.location_id is not None]
    coming = [u for u in units if u.state is UnitState.IN_TRANSFER or is_brought(order, u, homes)]
    return [u for u in allocated if is_brought(order, u, homes)] if coming else allocated


def method_of(order: Order, unit: Unit, homes: Mapping[int, int]) -> str:
    """Return what work with units of an order is for."""
    return TRANSFER if is_brought(order, unit, homes) else order.method
