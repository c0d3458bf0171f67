"""What every step on a piece of work shares: locking it in the right order, and restating where it stands."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any

import msgspec

from malha.capacity import picking
from malha.capacity.picking import Place
from malha.fulfillment import rules, writes
from malha.fulfillment.errors import OrderStopped, WorkNotFound, WrongState
from malha.fulfillment.model import ENDED, WORK_WORDS, Work, WorkState
from malha.ordering import service as ordering
from malha.ordering.model import STOPPING_HOLDS, Order, Unit, UnitState, word_of
from malha.platform.db import Tx
from malha.platform.i18n import Word
from malha.platform.ids import UUID

_UNDONE = {WorkState.REJECTED, WorkState.CANCELLED}  # ended without its units leaving: its capacity is free again


class Desk(msgspec.Struct, frozen=True):
    """One piece of work in hand: its order, itself, and its living units, all under their locks."""

    order: Order
    work: Work
    units: list[Unit]

    def need(self, *states: WorkState) -> None:
        """Refuse unless the work is in one of these states.

        Raises:
            WrongState: it is not.
        """
        if self.work.state not in states:
            raise wrong_state(self.work, *states)


def wrong_state(work: Work, *needed: WorkState) -> WrongState:
    """Return the refusal of a step that begins elsewhere."""
    words = [Word(WORK_WORDS[state]) for state in needed]
    return WrongState(number=work.number, state=Word(WORK_WORDS[work.state]), needed=words)


async def take_up(tx: Tx, work_id: UUID) -> Desk:
    """Lock the order of a piece of work, then the work, and return both with its living units.

    Raises:
        WorkNotFound: there is no such work, or it is outside the actor's locations.
    """
    found = dict(await tx.tuples(writes.ORDERS_OF, {"ids": [work_id]}))
    if work_id not in found:
        raise WorkNotFound(key=work_id)
    order = await ordering.lock_order(tx, found[work_id])
    work = await tx.one(Work, writes.LOCK_WORK, {"ids": [work_id]})
    if not tx.actor.sees(work.location_id):
        raise WorkNotFound(key=work_id)
    units = (await ordering.units_of(tx, [order.id]))[order.id]
    return Desk(order, work, living(units, work_id))


async def lock_work(tx: Tx, work_ids: Iterable[UUID], *, skip_busy: bool = False) -> list[Work]:
    """Lock the orders of many pieces of work, then the work.

    What is unknown or outside the actor's locations is absent; on wish also what somebody else has in hand.
    """
    wanted = sorted(set(work_ids))
    found = await tx.tuples(writes.ORDERS_OF, {"ids": wanted})
    orders = await ordering.lock_orders(tx, {order_id for _, order_id in found}, skip_busy=skip_busy)
    rows = await tx.all(Work, writes.LOCK_WORK, {"ids": sorted(id_ for id_, owner in found if owner in orders)})
    return [row for row in rows if tx.actor.sees(row.location_id)]


def about(work: Work) -> dict[str, Any]:
    """Return what every event on a piece of work says."""
    return {
        "id": work.order_id,
        "seq": 0,
        "fulfillment_id": work.id,
        "number": work.number,
        "location_id": work.location_id,
    }


async def order_of(tx: Tx, work_id: UUID) -> UUID:
    """Return the order of a piece of work. Locks nothing.

    Raises:
        WorkNotFound: there is no such work.
    """
    found = dict(await tx.tuples(writes.ORDERS_OF, {"ids": [work_id]}))
    if work_id not in found:
        raise WorkNotFound(key=work_id)
    order_id: UUID = found[work_id]
    return order_id


def living(units: Iterable[Unit], work_id: UUID) -> list[Unit]:
    """Return the units of a piece of work that were not cancelled."""
    return [u for u in units if u.fulfillment_id == work_id and u.state is not UnitState.CANCELLED]


async def lock_open(tx: Tx, order_ids: Iterable[UUID]) -> list[Work]:
    """Lock the open work of locked orders."""
    return await tx.all(Work, writes.LOCK_OPEN_WORK, {"orders": sorted(set(order_ids))})


async def add(tx: Tx, columns: Mapping[str, Sequence[object]]) -> list[Work]:
    """Write new work and return it."""
    return await tx.all(Work, writes.ADD_WORK, columns)


async def restate(
    tx: Tx, work: Sequence[Work], units: Iterable[Unit], *, ended: WorkState, reason: str | None = None
) -> dict[UUID, WorkState]:
    """Write where pieces of work stand after their units moved; capacity of work that did not happen is free again.

    So is, in slots that count units, that of the units which work has no more. Work whose units nobody said yet, as it
    is from before they were counted, says them now.

    Args:
        tx: The transaction.
        work: Locked work.
        units: All units of its orders, as they stand now.
        ended: The state of work that has no units left.
        reason: Kept on work that ends.
    """
    every = list(units)
    states = {w.id: rules.derive_state([u for u in every if u.fulfillment_id == w.id], ended) for w in work}
    changed = [w for w in work if states[w.id] is not w.state]
    if changed:
        await tx.execute(
            writes.SET_STATE,
            {
                "ids": [w.id for w in changed],
                "states": [states[w.id].value for w in changed],
                "reasons": [reason if states[w.id] in ENDED else None for w in changed],
            },
        )
    undone = [w for w in changed if states[w.id] in _UNDONE]
    others = _with_other_units([w for w in work if states[w.id] not in _UNDONE], every)
    if others:
        await tx.execute(writes.SET_UNITS, {"ids": [w.id for w, _ in others], "units": [n for _, n in others]})
        await _lock_days(tx, [*undone, *(w for w, _ in others)])
    if undone:
        back = {"locations": [w.location_id for w in undone], "days": [w.capacity_day for w in undone]}
        await tx.execute(writes.GIVE_CAPACITY_BACK, back)
    gone = [Place(w.slot, 0, w.units - n) for w, n in others if w.slot is not None and n < w.units]
    said = [Place(w.slot, 0, n) for w, n in others if w.slot is not None and n > w.units]
    await picking.lock(tx, [*slots_of(undone), *gone, *said] if said else [])
    await picking.give_back(tx, [*slots_of(undone), *gone])
    await picking.add(tx, said)
    return states


def _with_other_units(work: Sequence[Work], units: Sequence[Unit]) -> list[tuple[Work, int]]:
    """Return the work that has fewer units than it had, or has never said them, with how many."""
    living_units: dict[UUID | None, int] = {}
    for unit in units:
        if unit.state is not UnitState.CANCELLED:
            living_units[unit.fulfillment_id] = living_units.get(unit.fulfillment_id, 0) + unit.quantity
    counted = [(w, living_units.get(w.id, 0)) for w in work]
    return [(w, n) for w, n in counted if n < w.units or (n and not w.units)]


def slots_of(work: Iterable[Work]) -> list[Place]:
    """Return the places of work in picking slots, one for each piece that is in one."""
    return [Place(w.slot, 1, w.units) for w in work if w.slot is not None]


async def lock_capacity(tx: Tx, work: Sequence[Work]) -> None:
    """Lock the days and slots that work may give back, before balances are locked."""
    await _lock_days(tx, work)
    await picking.lock(tx, slots_of(work))


async def _lock_days(tx: Tx, work: Sequence[Work]) -> None:
    rows = {"locations": [w.location_id for w in work], "days": [w.capacity_day for w in work]}
    await tx.tuples(writes.LOCK_DAYS, rows)


async def lock_site_days(tx: Tx, home: int, locations: Iterable[int], days: Iterable[date]) -> None:
    """Lock days of a site, and of locations whose work may leave it, before work moves among them.

    One day after the other, each made where it is missing, as release does: who makes later days before an earlier one
    is locked holds what a release that has the earlier one is about to make.
    """
    places = sorted({home, *locations})
    for day in sorted(set(days)):
        await tx.execute(writes.ENSURE_DAYS, {"locations": places, "days": [day] * len(places)})
        await tx.tuples(writes.LOCK_SITE_DAY, {"home": home, "locations": places, "day": day})


async def refuse_stopped(tx: Tx, order: Order) -> None:
    """Refuse to let goods out of an order that a hold stops.

    Raises:
        OrderStopped: it has an open hold under which nothing leaves.
    """
    stops = sorted(STOPPING_HOLDS & (await ordering.open_holds(tx, [order.id]))[order.id].keys())
    if stops:
        raise OrderStopped(kind=word_of(stops[0]))
