"""An order under its lock, and what higher packages need to move its units.

Every use case locks the order row first (`writes`: global lock order), reads lines, units and holds under that lock,
asks the rules, writes, and records what happened.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from malha.ordering import rules, writes
from malha.ordering.errors import OrderChanged, OrderNotFound
from malha.ordering.events import OrderEvent
from malha.ordering.model import Hold, HoldKind, Line, Move, Order, OrderStatus, Unit, UnitState
from malha.platform import audit, outbox
from malha.platform.db import Tx
from malha.platform.ids import UUID

_encode = msgspec.json.Encoder().encode


async def lock_orders(tx: Tx, order_ids: Iterable[UUID], *, skip_busy: bool = False) -> dict[UUID, Order]:
    """Lock order rows in the order of their ids and return them; unknown ids (or, on wish, busy ones) are absent."""
    statement = writes.LOCK_FREE_ORDERS if skip_busy else writes.LOCK_ORDERS
    found = await tx.all(Order, statement, {"orders": sorted(set(order_ids))})
    return {order.id: order for order in found}


async def look_at(tx: Tx, order_id: UUID) -> Order:
    """Return one order without locking it: for what is only shown.

    Raises:
        OrderNotFound: there is no such order.
    """
    found = await tx.all(Order, writes.LOOK_AT_ORDERS, {"orders": [order_id]})
    if not found:
        raise OrderNotFound(key=order_id)
    return found[0]


async def lock_order(tx: Tx, order_id: UUID, expected: int | None = None) -> Order:
    """Lock one order and return it; with `expected`, only if its version is that.

    Raises:
        OrderNotFound: there is no such order.
        OrderChanged: it is at another version.
    """
    found = await lock_orders(tx, [order_id])
    if order_id not in found:
        raise OrderNotFound(key=order_id)
    order = found[order_id]
    if expected is not None and order.seq != expected:
        raise OrderChanged(number=order.number, version=order.seq, expected=expected)
    return order


async def open_order(tx: Tx, order_id: UUID, expected: int | None = None) -> Order:
    """Lock one order for a person or key.

    They see it when something of it is at one of their locations, or at none yet.

    Raises:
        OrderNotFound: there is no such order, or it is none of their business.
        OrderChanged: it is at another version.
    """
    order = await lock_order(tx, order_id, expected)
    if not await seen_of(tx, [order]):
        raise OrderNotFound(key=order_id)
    return order


async def seen_of(tx: Tx, orders: Iterable[Order]) -> set[UUID]:
    """Return which orders are the business of the person or key: see `open_order`."""
    asked = {order.id: order for order in orders}
    if tx.actor.locations is None or not asked:
        return set(asked)
    return {
        order_id
        for order_id, units in (await units_of(tx, asked)).items()
        if any(
            tx.actor.sees(place)
            for place in {u.location_id for u in units} | ({asked[order_id].pickup_location_id} - {None})
        )
    }


async def units_of(tx: Tx, order_ids: Iterable[UUID]) -> dict[UUID, list[Unit]]:
    """Return all units of orders, per order in key order."""
    wanted = sorted(set(order_ids))
    units: dict[UUID, list[Unit]] = {order_id: [] for order_id in wanted}
    for row in await tx.tuples(writes.UNITS_OF, {"orders": wanted}):
        units[row[0]].append(_unit(row))
    return units


async def units_of_fulfillments(tx: Tx, fulfillment_ids: Iterable[UUID]) -> list[Unit]:
    """Return the units that belong (or, cancelled, belonged) to pieces of work.

    Lock their orders before deciding on them.
    """
    rows = await tx.tuples(writes.UNITS_OF_FULFILLMENTS, {"fulfillments": sorted(set(fulfillment_ids))})
    return [_unit(row) for row in rows]


def _unit(row: tuple[Any, ...]) -> Unit:
    order_id, line, part, sku_id, quantity, state, location_id, fulfillment_id, shipment_id, document_id = row
    return Unit(
        order_id,
        line,
        part,
        sku_id,
        quantity,
        UnitState(state),
        location_id,
        fulfillment_id,
        shipment_id,
        document_id,
    )


async def lines_of(tx: Tx, order_ids: Iterable[UUID]) -> dict[UUID, list[Line]]:
    """Return the lines of orders with what their kits are made of."""
    wanted = sorted(set(order_ids))
    lines: dict[UUID, list[Line]] = {order_id: [] for order_id in wanted}
    found = await tx.tuples(writes.LINES_OF, {"orders": wanted})
    for order_id, line, sku_id, quantity, total, components, discount, shares in found:
        parts = {int(sku): each for sku, each in components.items()}
        lines[order_id].append(Line(order_id, line, sku_id, quantity, total, parts, discount, shares))
    return lines


async def open_holds(tx: Tx, order_ids: Iterable[UUID]) -> dict[UUID, dict[HoldKind, Hold]]:
    """Return the open holds of orders by kind."""
    wanted = sorted(set(order_ids))
    holds: dict[UUID, dict[HoldKind, Hold]] = {order_id: {} for order_id in wanted}
    for order_id, kind, detail in await tx.tuples(writes.OPEN_HOLDS_OF, {"orders": wanted}):
        holds[order_id][HoldKind(kind)] = Hold(order_id, HoldKind(kind), detail)
    return holds


async def overridden(tx: Tx, order_ids: Iterable[UUID], kind: HoldKind) -> set[UUID]:
    """Return the orders of which a person overrode the newest hold of a kind: its cause holds them no more."""
    return set(await tx.values(writes.OVERRIDDEN, {"orders": sorted(set(order_ids)), "kind": kind.value}))


async def move_units(tx: Tx, order_id: UUID, moves: Sequence[Move], *events: OrderEvent) -> list[Unit]:
    """Move units of one locked order; see `move_many`. Returns all its units afterwards."""
    return (await move_many(tx, {order_id: moves}, events))[order_id]


async def move_many(
    tx: Tx, moves: Mapping[UUID, Sequence[Move]], events: Sequence[OrderEvent] = ()
) -> dict[UUID, list[Unit]]:
    """Move units of locked orders, restate their status and record events, in a fixed number of statements.

    A part of a row splits off or joins an equal row. `events` come with `seq` 0 and are numbered here, in their order.

    Raises:
        UnitsNotThere, IllegalTransition: nothing is written.
    """
    standing = await units_of(tx, moves)
    plans = {order_id: rules.plan_moves(standing[order_id], wanted) for order_id, wanted in moves.items()}
    changed = [u for plan in plans.values() for u in plan.changed]
    added = [u for plan in plans.values() for u in plan.added]
    if changed:
        await tx.execute(writes.UPDATE_UNITS, columns(changed))
    if added:
        await tx.execute(writes.ADD_UNITS, columns(added))
    after = {order_id: plan.units for order_id, plan in plans.items()}
    await _advance(tx, after, events)
    return after


async def record(tx: Tx, *events: OrderEvent) -> None:
    """Record events of locked orders that change neither units nor holds.

    They come with `seq` 0 and are numbered here.
    """
    await _number(tx, {event.id: None for event in events}, events)


async def restate(tx: Tx, order_ids: Iterable[UUID], *events: OrderEvent) -> None:
    """Derive the status of locked orders anew after their holds changed, and record events."""
    await _advance(tx, await units_of(tx, order_ids), events)


async def _advance(tx: Tx, units: Mapping[UUID, Sequence[Unit]], events: Sequence[OrderEvent]) -> None:
    holds = await open_holds(tx, units)
    statuses = {o: rules.derive_status((u.state for u in rows), list(holds[o])) for o, rows in units.items()}
    await _number(tx, statuses, events)


async def _number(tx: Tx, statuses: Mapping[UUID, OrderStatus | None], events: Sequence[OrderEvent]) -> None:
    orders = sorted(statuses)
    if not orders:
        return
    steps = dict.fromkeys(orders, 0)
    for event in events:
        steps[event.id] += 1
    columns = {
        "orders": orders,
        "steps": [steps[o] for o in orders],
        "statuses": [None if (status := statuses[o]) is None else status.value for o in orders],
    }
    last = dict(await tx.tuples(writes.ADVANCE, columns))
    numbered = []
    for event in events:
        last[event.id] += 1
        numbered.append(msgspec.structs.replace(event, seq=last[event.id]))
    await outbox.add_all(tx, numbered)
    if tx.actor.kind != "system":
        for event in numbered:
            facts = msgspec.json.decode(event.payload())
            await audit.record(tx, action=event.TYPE, entity="order", entity_id=event.id, after=facts)


def columns(units: Sequence[Unit]) -> dict[str, list[Any]]:
    """Return rows of units as the statements that write them take them."""
    return {
        "orders": [u.order_id for u in units],
        "lines": [u.line for u in units],
        "parts": [u.part for u in units],
        "skus": [u.sku_id for u in units],
        "quantities": [u.quantity for u in units],
        "states": [u.state.value for u in units],
        "locations": [u.location_id for u in units],
        "fulfillments": [u.fulfillment_id for u in units],
        "shipments": [u.shipment_id for u in units],
        "documents": [u.document_id for u in units],
    }


async def due_for_release(tx: Tx, limit: int) -> list[UUID]:
    """Return orders whose window is over and that have units to release, the longest waiting first.

    Nothing is locked.
    """
    return await tx.values(writes.DUE_FOR_RELEASE, {"limit": limit})


async def merge_at(tx: Tx, order_id: UUID, location_id: int | None) -> None:
    """Note where the goods of a locked order come together before they are shipped; None: they do not any more."""
    await tx.execute(writes.MERGE_AT, {"orders": [order_id], "locations": [location_id]})


async def postpone_release(tx: Tx, order_ids: Iterable[UUID], *, minutes: int) -> None:
    """Ask locked orders again later: they cannot be released now for a reason that passes by itself."""
    await tx.execute(writes.POSTPONE_RELEASE, {"orders": sorted(set(order_ids)), "minutes": minutes})


async def waiting_for(tx: Tx, sku_ids: Iterable[int], limit: int) -> list[UUID]:
    """Return orders with units of these SKUs that wait for a location, the oldest first. Nothing is locked."""
    return await tx.values(writes.WAITING_FOR, {"skus": sorted(set(sku_ids)), "limit": limit})


async def short_of(tx: Tx, sku_ids: Iterable[int], limit: int) -> list[UUID]:
    """Return orders with units of these SKUs that wait and await no supply, the oldest first. Nothing is locked."""
    return await tx.values(writes.SHORT_OF, {"skus": sorted(set(sku_ids)), "limit": limit})
