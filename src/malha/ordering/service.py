"""Use cases of an order, and what higher packages need to move its units.

Every use case locks the order row first (`writes`: global lock order), reads lines, units and holds under that lock,
asks the rules, writes, and records what happened. Nothing here can be undone by hand-editing: a resolved hold can be
placed again and an address changed back, but a cancel is final, because what it gave back may be someone else's a
moment later.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from malha.capacity import service as capacity
from malha.customers.lines import stated_address
from malha.inventory import service as inventory
from malha.inventory.ahead import rules as ahead_rules
from malha.inventory.ahead import service as ahead
from malha.inventory.model import Claim, Reason, Reference
from malha.inventory.vendors import service as vendors
from malha.inventory.vendors.model import Drop
from malha.network.places import state_beside
from malha.ordering import reads, rules, writes
from malha.ordering.errors import (
    BuyerErased,
    HoldAlreadyOpen,
    HoldAutomatic,
    HoldNotOpen,
    LineMapped,
    LineNotFound,
    NothingToHold,
    NothingToSend,
    NotShipped,
    OrderChanged,
    OrderNotFound,
    SkuNotKnown,
    WorkBegan,
)
from malha.ordering.events import (
    AddressChanged,
    BuyerChanged,
    HoldPlaced,
    HoldResolved,
    NoteAdded,
    OrderCancelled,
    OrderEvent,
)
from malha.ordering.events import LineMapped as LineWasMapped
from malha.ordering.model import (
    AUTOMATIC_HOLDS,
    CLAIMING,
    WAITING,
    Address,
    Cancellation,
    CancelWish,
    Hold,
    HoldKind,
    Line,
    Move,
    Order,
    OrderStatus,
    Unit,
    UnitState,
    word_of,
)
from malha.ordering.rules import Buyer
from malha.platform import audit, outbox
from malha.platform.db import Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_
from malha.platform.ids import UUID, new_id

NOTE_LENGTH = 4_000
_encode = msgspec.json.Encoder().encode


# --- locking and reading under the lock ---


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


# --- units, status, version: what higher packages build on ---


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


# --- cancel ---


async def cancel(
    tx: Tx,
    order_id: UUID,
    *,
    reason: str,
    wishes: Sequence[CancelWish] | None = None,
    rest: bool = False,
    expected: int | None = None,
) -> Cancellation:
    """Cancel an order, or some units of some lines; their claims are free again at once. Final.

    Holds whose cause the cancel removed are resolved; a cancel of all that is left resolves every hold.

    Args:
        tx: The transaction.
        order_id: The order.
        reason: Why, kept on the timeline.
        wishes: What to cancel; None is the whole order.
        rest: With the whole order: pass over what has left instead of refusing.
        expected: The version the asker saw.

    Raises:
        QuantityTooLarge, UnitsLeft, DocumentStands, NothingToCancel: see `rules.plan_cancel`.
    """
    _require_reason(reason)
    order = await lock_order(tx, order_id, expected)
    lines = (await lines_of(tx, [order_id]))[order_id]
    units = (await units_of(tx, [order_id]))[order_id]
    _check_wishes(order, lines, wishes)
    moves = rules.plan_cancel(lines, units, wishes, rest=rest)
    standing = _Standing({order_id: order}, {order_id: lines}, {order_id: units})
    return (await _cancel_rows(tx, standing, {order_id: moves}, reason))[order_id]


async def cancel_units(tx: Tx, moves: Mapping[UUID, Sequence[Move]], *, reason: str) -> dict[UUID, Cancellation]:
    """Cancel exactly these units of locked orders, as `cancel` does.

    All claims are given back at the end, in one statement: balances are the last thing locked.

    Raises:
        UnitsNotThere, IllegalTransition: nothing is written.
    """
    standing = _Standing(await lock_orders(tx, moves), await lines_of(tx, moves), await units_of(tx, moves))
    return await _cancel_rows(tx, standing, moves, reason)


class _Standing(msgspec.Struct, frozen=True):
    """Locked orders with their lines and units."""

    orders: Mapping[UUID, Order]
    lines: Mapping[UUID, Sequence[Line]]
    units: Mapping[UUID, Sequence[Unit]]


async def _cancel_rows(
    tx: Tx, standing: _Standing, moves: Mapping[UUID, Sequence[Move]], reason: str
) -> dict[UUID, Cancellation]:
    orders, lines, units = standing.orders, standing.lines, standing.units
    done: dict[UUID, Cancellation] = {}
    claims: list[tuple[UUID, Claim]] = []
    events: list[OrderEvent] = []
    worths: dict[UUID, int] = {}
    for order_id, wanted in moves.items():
        rows = {(u.line, u.part): u for u in units[order_id]}
        mine = [
            Claim(unit.sku_id, unit.location_id, move.quantity)
            for move in wanted
            if (unit := rows[move.line, move.part]).state in CLAIMING
            and unit.sku_id is not None
            and unit.location_id is not None
        ]
        claims += [(order_id, claim) for claim in mine]
        after = rules.plan_moves(units[order_id], wanted).units
        before_quantities = rules.cancelled_quantities(lines[order_id], units[order_id])
        quantities = rules.cancelled_quantities(lines[order_id], after)
        worths[order_id] = rules.cancelled_worth(orders[order_id], lines[order_id], quantities)
        cancelled = Cancellation(
            lines={n: q - before_quantities[n] for n, q in quantities.items() if q > before_quantities[n]},
            amount=worths[order_id] - orders[order_id].cancelled_total,
            whole=all(u.state is UnitState.CANCELLED for u in after),
        )
        done[order_id] = cancelled
        events.append(
            OrderCancelled(
                id=order_id,
                seq=0,
                lines=cancelled.lines,
                amount=cancelled.amount,
                whole=cancelled.whole,
                reason=reason.strip(),
                locations=sorted({claim.location_id for claim in mine}),
            )
        )
        events += await _lift(tx, [order_id], _settled_by(after), N_("The units concerned were cancelled."))
    # What is nobody's any more needs no slot; places in slots are locked before stock.
    await capacity.release_orders(tx, [o for o, cancelled in done.items() if cancelled.whole], reason="cancelled")
    claims += await give_back_ahead(tx, moves, units)
    await tx.execute(writes.SET_CANCELLED_TOTALS, {"orders": list(worths), "amounts": list(worths.values())})
    await move_many(tx, moves, events)
    owners = [order_id for order_id, _ in claims]
    await inventory.release(tx, [claim for _, claim in claims], Reference("order"), Reason.CANCEL, owners)
    return done


async def give_back_ahead(
    tx: Tx, moves: Mapping[UUID, Sequence[Move]], units: Mapping[UUID, Sequence[Unit]]
) -> list[tuple[UUID, Claim]]:
    """Let go what locked orders claim of supply for units that wait and are about to move; see `ahead.give_back`.

    Returns:
        What of it had arrived: claims on stock, which the caller releases with its own.
    """
    leaving: dict[ahead_rules.Wish, int] = {}
    waiting: dict[ahead_rules.Wish, int] = {}
    for order_id, wanted in moves.items():
        rows = {(u.line, u.part): u for u in units[order_id]}
        for u in rows.values():
            if u.state in WAITING:
                wish = order_id, u.line, u.sku_id
                waiting[wish] = waiting.get(wish, 0) + u.quantity
        for move in wanted:
            unit = rows[move.line, move.part]
            if unit.state in WAITING:
                wish = order_id, unit.line, unit.sku_id
                leaving[wish] = leaving.get(wish, 0) + move.quantity
    if not leaving:
        return []
    owners = sorted({order_id for order_id, _, _ in leaving})
    claims = await ahead.lock_for(tx, owners)
    arrived = await ahead.give_back(tx, claims, ahead_rules.excess(claims, waiting, leaving))
    drops = await vendors.open_of(tx, owners)
    if drops:
        await _give_up_asked(tx, drops, moves, units, {(order_id, line) for order_id, line, _ in leaving})
    return arrived


async def _give_up_asked(
    tx: Tx,
    drops: Sequence[Drop],
    moves: Mapping[UUID, Sequence[Move]],
    units: Mapping[UUID, Sequence[Unit]],
    lines: Collection[tuple[UUID, int]],
) -> None:
    """Ask vendors for no more of lines than stays backordered of them and waits for no supply."""
    left: dict[ahead_rules.Wish, int] = {}
    for order_id in {order_id for order_id, _ in lines}:
        gone = {(m.line, m.part): m.quantity for m in moves[order_id]}
        for u in units[order_id]:
            if u.state is UnitState.BACKORDERED:
                wish = order_id, u.line, u.sku_id
                left[wish] = left.get(wish, 0) + u.quantity - gone.get((u.line, u.part), 0)
        for c in await ahead.claims_of(tx, order_id):
            left[order_id, c.line, c.sku_id] = left.get((order_id, c.line, c.sku_id), 0) - c.quantity
    await vendors.give_up(tx, drops, left, lines)


async def take_back(tx: Tx, order_id: UUID, moves: Sequence[Move], *events: OrderEvent) -> list[Unit]:
    """Undo the cancel of units of a locked order; what they cost is owed again. Returns all its units afterwards.

    The caller has claimed their stock, and asked whether the money has gone back already.

    Raises:
        UnitsNotThere, IllegalTransition: nothing is written.
    """
    order = await lock_order(tx, order_id)
    lines = (await lines_of(tx, [order_id]))[order_id]
    after = rules.plan_moves((await units_of(tx, [order_id]))[order_id], moves).units
    worth = rules.cancelled_worth(order, lines, rules.cancelled_quantities(lines, after))
    await tx.execute(writes.SET_CANCELLED_TOTALS, {"orders": [order_id], "amounts": [worth]})
    return await move_units(tx, order_id, moves, *events)


def _check_wishes(order: Order, lines: Sequence[Line], wishes: Sequence[CancelWish] | None) -> None:
    if wishes is None:
        return
    known = {line.line for line in lines}
    flaws: list[Flaw] = []
    seen: set[int] = set()
    for i, wish in enumerate(wishes):
        if wish.line not in known:
            raise LineNotFound(number=order.number, line=wish.line)
        if wish.line in seen:
            flaws.append(Flaw(f"lines/{i}/line", N_("Line {line} is listed twice."), facts={"line": wish.line}))
        if wish.quantity is not None and wish.quantity < 1:
            flaws.append(Flaw(f"lines/{i}/quantity", N_("The quantity must be at least 1.")))
        seen.add(wish.line)
    if not wishes:
        flaws.append(Flaw("lines", N_("Name at least one line.")))
    refuse(flaws)


def _settled_by(units: Sequence[Unit]) -> list[HoldKind] | None:
    """Return the holds that have no cause any more when only these units are left; None is all of them."""
    living = [u for u in units if u.state is not UnitState.CANCELLED]
    if not living:
        return None
    kinds = []
    if not any(u.state in WAITING for u in living):
        kinds += [HoldKind.SHORTAGE, HoldKind.ROUTING_RULE]
    if all(u.sku_id is not None for u in living):
        kinds.append(HoldKind.UNKNOWN_SKU)
    return kinds


# --- holds ---


async def place_hold(tx: Tx, order_id: UUID, kind: HoldKind, *, note: str = "", expected: int | None = None) -> None:
    """Stop an order for a reason, by hand: it is not released, and under some kinds nothing leaves.

    Raises:
        HoldAlreadyOpen: the order has an open hold of this kind.
        HoldAutomatic: the kind is placed and lifted by its cause only.
        NothingToHold: the order is cancelled.
    """
    order = await lock_order(tx, order_id, expected)
    if kind in AUTOMATIC_HOLDS:
        raise HoldAutomatic(kind=word_of(kind))
    if order.status == OrderStatus.CANCELLED:
        raise NothingToHold(number=order.number)
    if not await ensure_holds(tx, {order_id: {"note": note.strip()} if note.strip() else {}}, kind):
        raise HoldAlreadyOpen(number=order.number, kind=word_of(kind))


async def ensure_holds(tx: Tx, details: Mapping[UUID, Mapping[str, Any]], kind: HoldKind) -> set[UUID]:
    """Place a hold on locked orders that do not have one of its kind; return those that got it. `details` by order."""
    orders = sorted(details)
    if not orders:
        return set()
    columns = {
        "ids": [new_id() for _ in orders],
        "orders": orders,
        "details": [_encode(details[o]).decode() for o in orders],
        "kind": kind.value,
        "actor": tx.actor.label,
    }
    placed = set(await tx.values(writes.PLACE_HOLDS, columns))
    events = [
        HoldPlaced(id=o, seq=0, kind=kind.value, note=str(details[o].get("note", ""))) for o in orders if o in placed
    ]
    if placed:
        await restate(tx, placed, *events)
    return placed


async def restate_hold(tx: Tx, order_id: UUID, kind: HoldKind, detail: Mapping[str, Any]) -> None:
    """Let an open hold of a locked order say something else of its cause; nothing where there is none."""
    said = {"order_id": order_id, "kind": kind.value, "detail": _encode(detail).decode()}
    await tx.execute(writes.RESTATE_HOLD, said)


async def resolve_hold(
    tx: Tx,
    order_id: UUID,
    kind: HoldKind,
    *,
    resolution: str = "",
    force: bool = False,
    expected: int | None = None,
) -> None:
    """Resolve an open hold by hand. It can be placed again; an overridden payment hold is not, unless by a person.

    Args:
        tx: The transaction.
        order_id: The order.
        kind: Which hold.
        resolution: Why it may be lifted; required with `force`.
        force: Override a hold that only its cause lifts; the edge checked the permission.
        expected: The version the asker saw.

    Raises:
        HoldNotOpen: the order has no open hold of this kind; none is made.
        HoldAutomatic: its cause lifts it, and `force` is not set.
    """
    order = await lock_order(tx, order_id, expected)
    if kind in AUTOMATIC_HOLDS and not force:
        raise HoldAutomatic(kind=word_of(kind))
    if kind in AUTOMATIC_HOLDS:
        _require_reason(resolution)
    lifted = await _lift(tx, [order_id], [kind], resolution.strip(), forced=kind in AUTOMATIC_HOLDS)
    if not lifted:
        raise HoldNotOpen(number=order.number, kind=word_of(kind))
    await restate(tx, [order_id], *lifted)


async def lift_holds(tx: Tx, order_ids: Iterable[UUID], kind: HoldKind, resolution: str) -> set[UUID]:
    """Resolve a hold of locked orders whose cause is gone; orders without it are left alone.

    Returns those that had it.
    """
    lifted = await _lift(tx, sorted(set(order_ids)), [kind], resolution)
    if lifted:
        await restate(tx, [event.id for event in lifted], *lifted)
    return {event.id for event in lifted}


async def _lift(
    tx: Tx, orders: Sequence[UUID], kinds: Sequence[HoldKind] | None, resolution: str, *, forced: bool = False
) -> list[HoldResolved]:
    columns = {
        "orders": list(orders),
        "kinds": None if kinds is None else [kind.value for kind in kinds],
        "resolution": resolution,
        "actor": tx.actor.label,
        "forced": forced,
    }
    return [
        HoldResolved(id=order_id, seq=0, kind=kind, resolution=resolution, forced=forced)
        for order_id, kind in sorted(await tx.tuples(writes.RESOLVE_HOLDS, columns))
    ]


def _require_reason(text: str) -> None:
    refuse([] if text.strip() else [Flaw("reason", N_("This needs a reason."), N_("Say why in a few words."))])


# --- edits ---


async def change_address(tx: Tx, order_id: UUID, address: Address, *, expected: int | None = None) -> Address:
    """Send an order elsewhere, as long as no location works on it; return the address as stored.

    Where it comes from is decided again by who listens to `AddressChanged`. A hold on the address is resolved. Where
    the new CEP is of another state than the address says, there is a hold for that.

    Raises:
        Invalid: a part of the address is missing or wrong.
        NotShipped: the order is collected at a counter.
        NothingToSend: it is cancelled.
        WorkBegan: a location already works on it.
        BuyerErased: its customer was erased for good.
    """
    order = await lock_order(tx, order_id, expected)
    await _refuse_erased(tx, order)
    clean, flaws = rules.check_address(address)
    refuse(flaws)
    # The code of a municipality, which people do not type, stays with its city.
    clean = stated_address(msgspec.convert(order.ship_to or {}, Address), clean)
    if order.method != "ship":
        raise NotShipped(number=order.number)
    if order.status == OrderStatus.CANCELLED:
        raise NothingToSend(number=order.number)
    await _require_untouched(tx, order)
    params = {"order_id": order_id, "ship_to": _encode(clean).decode(), "state": clean.state}
    await tx.execute(writes.SET_ADDRESS, params)
    kinds = [HoldKind.ADDRESS, HoldKind.ADDRESS_CHECK]
    lifted = await _lift(tx, [order_id], kinds, N_("The address was corrected."))
    former = (order.ship_to or {}).get("state")
    await restate(tx, [order_id], AddressChanged(id=order_id, seq=0, state=clean.state, former_state=former), *lifted)
    other = state_beside(clean.postal_code, clean.state)
    if other is not None:
        detail = {"state": clean.state, "cep_state": other}
        await ensure_holds(tx, {order_id: detail}, HoldKind.ADDRESS_CHECK)
    return clean


async def change_buyer(tx: Tx, order_id: UUID, buyer: Buyer, *, expected: int | None = None) -> Buyer:
    """Correct who buys, until work begins; return the data as stored. A hold on the buyer's data is resolved.

    Raises:
        Invalid: a name is missing, or a document, e-mail or telephone is wrong.
        WorkBegan: a location already works on the order: its papers may be made out.
        BuyerErased: its customer was erased for good.
    """
    order = await lock_order(tx, order_id, expected)
    await _refuse_erased(tx, order)
    clean, flaws = rules.check_buyer(buyer)
    refuse(flaws)
    await _require_untouched(tx, order)
    standing = Buyer(order.buyer_name, order.buyer_document, order.buyer_email, order.buyer_phone)
    fields = [name for name in Buyer.__struct_fields__ if getattr(standing, name) != getattr(clean, name)]
    await tx.execute(writes.SET_BUYER, {"order_id": order_id, **msgspec.structs.asdict(clean)})
    lifted = await _lift(tx, [order_id], [HoldKind.CUSTOMER], N_("The buyer's data were corrected."))
    await restate(tx, [order_id], BuyerChanged(id=order_id, seq=0, fields=fields), *lifted)
    return clean


async def _refuse_erased(tx: Tx, order: Order) -> None:
    if await reads.is_erased(tx, order.id):
        raise BuyerErased(number=order.number)


async def _require_untouched(tx: Tx, order: Order) -> None:
    if not rules.is_untouched((await units_of(tx, [order.id]))[order.id]):
        raise WorkBegan(number=order.number)


async def add_note(tx: Tx, order_id: UUID, text: str) -> UUID:
    """Write a note on an order; return its id.

    Raises:
        Invalid: the text is empty or longer than 4,000 characters.
        BuyerErased: the order's customer was erased for good.
    """
    await _refuse_erased(tx, await lock_order(tx, order_id))
    text = text.strip()
    if not 0 < len(text) <= NOTE_LENGTH:
        says = N_("A note needs between 1 and {most} characters.")
        refuse([Flaw("text", says, facts={"most": NOTE_LENGTH})])
    note_id = new_id()
    row = {"id": note_id, "order_id": order_id, "text": text, "by": tx.actor.label, "author": tx.actor.name}
    await tx.execute(writes.ADD_NOTE, row)
    await record(tx, NoteAdded(id=order_id, seq=0, note_id=str(note_id)))
    return note_id


async def map_line(tx: Tx, order_id: UUID, line: int, sku: str, *, expected: int | None = None) -> bool:
    """Say which SKU of the catalogue a line with an unknown one means; a kit is taken apart.

    When no unknown SKU is left, that hold is resolved. Who listens to `LineMapped` places the units.

    Returns:
        Whether the order has no unknown SKU any more.

    Raises:
        LineNotFound, LineMapped, SkuNotKnown: what the names say.
    """
    order = await lock_order(tx, order_id, expected)
    lines = {x.line: x for x in (await lines_of(tx, [order_id]))[order_id]}
    if line not in lines:
        raise LineNotFound(number=order.number, line=line)
    if lines[line].sku_id is not None:
        raise LineMapped(number=order.number, line=line)
    found = await tx.tuples(writes.FIND_SKU, {"sku": sku.strip()})
    if not found:
        raise SkuNotKnown(sku=sku)
    sku_id = found[0][0]
    key = {"order_id": order_id, "line": line}
    sku_text = await tx.value(writes.LINE_TEXT, key)
    await tx.execute(writes.MAP_LINE, {**key, "sku_id": sku_id})
    components = [(component, each) for _, _, component, each in found if component is not None]
    if components:
        await _explode(tx, order_id, line, components)
    else:
        await tx.execute(writes.MAP_UNITS, {**key, "sku_id": sku_id})
    units = (await units_of(tx, [order_id]))[order_id]
    complete = all(u.sku_id is not None or u.state is UnitState.CANCELLED for u in units)
    lifted = await _lift(tx, [order_id], [HoldKind.UNKNOWN_SKU], N_("Every SKU is known.")) if complete else []
    mapped = LineWasMapped(id=order_id, seq=0, line=line, sku_text=sku_text, sku_id=sku_id, complete=complete)
    await restate(tx, [order_id], mapped, *lifted)
    return complete


async def _explode(tx: Tx, order_id: UUID, line: int, components: Sequence[tuple[int, int]]) -> None:
    key = {"order_id": order_id, "line": line}
    parts = {"skus": [sku for sku, _ in components], "quantities": [each for _, each in components]}
    await tx.execute(writes.ADD_COMPONENTS, {**key, **parts})
    dropped = await tx.tuples(writes.DROP_UNMAPPED_UNITS, key)
    rows = [
        Unit(order_id, line, 0, sku_id, quantity * each, UnitState(state))
        for quantity, state in dropped
        for sku_id, each in components
    ]
    await tx.execute(
        writes.ADD_UNITS, columns([msgspec.structs.replace(u, part=part) for part, u in enumerate(rows, 1)])
    )


# --- for background work ---


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
