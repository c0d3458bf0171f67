"""The window in which a customer collects: its code, the reminder, its end, and more time while the goods are there.

Goods nobody fetches go back to stock at their location, and what they cost comes off the order. Where a fiscal document
covers them they stay aside until it is cancelled: stock and books part company nowhere. Everything here looks again
under the order's lock, so of a hand-over and an expiry in the same moment exactly one happens.
"""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from malha.capacity import picking
from malha.fiscal import service as fiscal
from malha.fulfillment import writes
from malha.fulfillment.errors import PickupGoodsGone, PickupRefunded
from malha.fulfillment.events import PickupExpired, PickupExpiring, PickupExtended, PickupReturned, WorkReady
from malha.fulfillment.model import NOT_COLLECTED, Work, WorkState
from malha.fulfillment.work import Desk, about, living, lock_capacity, lock_open, lock_work, restate, slots_of, take_up
from malha.inventory import service as inventory
from malha.inventory.allotments.model import Taker
from malha.inventory.model import Claim, Reference
from malha.ordering import cancelling
from malha.ordering import service as ordering
from malha.ordering.model import STOPPING_HOLDS, Move, Unit, UnitState
from malha.payments import service as payments
from malha.platform.db import Tx
from malha.platform.i18n import N_
from malha.platform.ids import UUID
from malha.platform.money import Money

AT_ONCE = 100
DIGITS = 6  # of a code
_encode = msgspec.json.Encoder().encode


async def give_code(tx: Tx, work_id: UUID) -> datetime:
    """Give locked work a new six-digit code and a new window; return until when the goods wait."""
    return (await give_codes(tx, [work_id]))[work_id]


async def give_codes(tx: Tx, work_ids: Sequence[UUID]) -> dict[UUID, datetime]:
    """Give each piece of locked work a new code, as `give_code`."""
    codes = [f"{secrets.randbelow(10**DIGITS):0{DIGITS}d}" for _ in work_ids]
    return dict(await tx.tuples(writes.SET_PICKUP_CODES, {"ids": list(work_ids), "codes": codes}))


async def remind(tx: Tx, limit: int = AT_ONCE) -> int:
    """Record which windows end soon, each once; return how many. Orders in other hands wait for the next round."""
    due = await lock_work(tx, await tx.values(writes.DUE_REMINDERS, {"limit": limit}), skip_busy=True)
    until = dict(await tx.tuples(writes.MARK_REMINDED, {"ids": [w.id for w in due]}))
    reminded = [w for w in due if w.id in until]
    units = await _units(tx, reminded)
    events = [
        PickupExpiring(**about(w), until=until[w.id], units=sum(u.quantity for u in units[w.id])) for w in reminded
    ]
    await ordering.record(tx, *events)
    return len(events)


async def expire(tx: Tx, limit: int = AT_ONCE) -> int:
    """End windows whose time is over and give their goods back; return how many. Done twice, it is done once.

    Orders in other hands, a hand-over's say, wait for the next round; so do those that a hold stops.
    """
    stopping = [kind.value for kind in STOPPING_HOLDS]
    wanted = await tx.values(writes.DUE_PICKUPS, {"limit": limit, "stopping": stopping})
    now = await tx.now()
    ended = [
        w
        for w in await lock_work(tx, wanted, skip_busy=True)
        if w.state is WorkState.READY and w.pickup_expired_at is None and w.pickup_until and w.pickup_until <= now
    ]
    if not ended:
        return 0
    units = await _units(tx, ended)
    await tx.execute(writes.MARK_EXPIRED, {"ids": [w.id for w in ended]})
    events = [
        PickupExpired(
            **about(w),
            until=w.pickup_until or now,
            units=sum(u.quantity for u in units[w.id]),
            document_stands=_is_covered(units[w.id]),
        )
        for w in ended
    ]
    await ordering.record(tx, *events)
    await _give_back(tx, [w for w in ended if not _is_covered(units[w.id])], units)
    return len(ended)


async def return_expired(tx: Tx, order_ids: Iterable[UUID]) -> None:
    """Give goods back whose window ended earlier and whose document was cancelled since."""
    orders = await ordering.lock_orders(tx, order_ids)
    work = [w for w in await lock_open(tx, orders) if w.pickup_expired_at is not None]
    units = await _units(tx, work)
    await _give_back(tx, [w for w in work if not _is_covered(units[w.id])], units)


async def _units(tx: Tx, work: Sequence[Work]) -> dict[UUID, list[Unit]]:
    rows = await ordering.units_of_fulfillments(tx, [w.id for w in work])
    return {w.id: living(rows, w.id) for w in work}


def _is_covered(units: Sequence[Unit]) -> bool:
    return any(u.document_id is not None for u in units)


async def _give_back(tx: Tx, work: Sequence[Work], units: Mapping[UUID, Sequence[Unit]]) -> None:
    """Cancel the units of work; capacity is locked before balances, which is their order."""
    work = [w for w in work if units[w.id]]
    if not work:
        return
    await lock_capacity(tx, work)
    lines = {w.id: _lines(units[w.id]) for w in work}
    columns = {"ids": [w.id for w in work], "returned": [_encode(lines[w.id]).decode() for w in work]}
    await tx.execute(writes.MARK_RETURNED, columns)
    moves: dict[UUID, list[Move]] = {}
    for w in work:
        moves.setdefault(w.order_id, []).extend(
            Move(u.line, u.part, u.quantity, UnitState.CANCELLED) for u in units[w.id]
        )
    await cancelling.cancel_units(tx, moves, reason=N_("Not collected in time"))
    after = [u for rows in (await ordering.units_of(tx, moves)).values() for u in rows]
    await restate(tx, work, after, ended=WorkState.CANCELLED, reason=NOT_COLLECTED)
    await ordering.record(tx, *(PickupReturned(**about(w), lines=lines[w.id]) for w in work))


def _lines(units: Sequence[Unit]) -> list[tuple[int, int, int]]:
    sums: dict[tuple[int, int], int] = {}
    for u in units:
        key = (u.line, u.sku_id or 0)
        sums[key] = sums.get(key, 0) + u.quantity
    return [(line, sku, quantity) for (line, sku), quantity in sorted(sums.items())]


async def extend(tx: Tx, work_id: UUID, days: int) -> datetime:
    """Give the customer `days` from now, at least until when they were told; return the end of the window.

    Goods that went back to stock are claimed and set aside again, with a new code, as long as they are there. Where
    they need a document they wait for a new one, and the code comes when they are ready: the former one was cancelled.

    Raises:
        WrongState: nothing waits, or waited, for a customer here.
        PickupGoodsGone: the goods went back to stock and were promised to somebody else.
        PickupRefunded: what was paid no longer covers the order.
    """
    desk = await take_up(tx, work_id)
    taken_back = desk.work.state is WorkState.CANCELLED and bool(desk.work.pickup_returned)
    ready = True
    if taken_back:
        ready = await _take_back(tx, desk)
    else:
        desk.need(WorkState.READY)
    until: datetime = await tx.value(writes.EXTEND_PICKUP, {"id": work_id, "days": days})
    events = [PickupExtended(**about(desk.work), until=until, taken_back=taken_back)]
    code = [WorkReady(**about(desk.work), until=until, renewed=True)] if taken_back and ready else []
    await ordering.record(tx, *events, *code)
    return until


async def _take_back(tx: Tx, desk: Desk) -> bool:
    """Claim goods that went back to stock, and undo the cancel of their units; tell whether they may be handed over."""
    work = desk.work
    place = {"locations": [work.location_id], "days": [work.capacity_day]}
    await tx.execute(writes.ENSURE_DAYS, place)
    await tx.tuples(writes.TAKE_CAPACITY, place | {"wanted": [1], "capacities": [writes.UNLIMITED]})
    await picking.add(tx, slots_of([work]))
    wanted = work.pickup_returned or []
    moves = _revived((await ordering.units_of(tx, [work.order_id]))[work.order_id], work.id, wanted)
    await give_code(tx, work.id)
    await tx.execute(writes.CLEAR_RETURNED, {"id": work.id})
    after = await cancelling.take_back(tx, work.order_id, moves)
    ready = not await fiscal.is_document_required(tx, work.location_id, work.method)
    if not ready:
        waiting = [u for u in living(after, work.id) if u.state is UnitState.READY]
        moves = [Move(u.line, u.part, u.quantity, UnitState.AWAITING_DOCUMENT) for u in waiting]
        after = await ordering.move_units(tx, work.order_id, moves)
    await restate(tx, [work], after, ended=WorkState.CANCELLED)
    await _refuse_unpaid(tx, work.order_id)
    claims = [Claim(sku, work.location_id, quantity) for _, sku, quantity in wanted]
    reference = Reference("order", work.order_id, f"F{work.number}")
    taker = Taker(desk.order.channel_id, desk.order.customer_group)
    for short in await inventory.reserve(tx, claims, reference, taker=taker):
        raise PickupGoodsGone(missing=short.asked - max(short.free, 0), quantity=short.asked)
    return ready


def _revived(units: Sequence[Unit], work_id: UUID, wanted: Sequence[tuple[int, int, int]]) -> list[Move]:
    """Return the moves that take exactly what went back, not what was cancelled at another time."""
    moves = []
    for line, sku, quantity in wanted:
        left = quantity
        for u in units:
            if (u.line, u.sku_id, u.fulfillment_id, u.state) == (line, sku, work_id, UnitState.CANCELLED) and left:
                taken = min(left, u.quantity)
                moves.append(Move(line, u.part, taken, UnitState.READY))
                left -= taken
    return moves


async def _refuse_unpaid(tx: Tx, order_id: UUID) -> None:
    order = await ordering.lock_order(tx, order_id)
    money = (await payments.secured(tx, {order_id: order}))[order_id]
    if not money.enough:
        raise PickupRefunded(missing=Money(money.missing, order.currency))
