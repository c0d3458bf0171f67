"""Units of an order that are cancelled, and what they gave back: final, for a moment later it may be someone else's."""

from collections.abc import Collection, Mapping, Sequence

import msgspec

from malha.capacity import service as capacity
from malha.inventory import service as inventory
from malha.inventory.ahead import rules as ahead_rules
from malha.inventory.ahead import service as ahead
from malha.inventory.model import Claim, Reason, Reference
from malha.inventory.vendors import service as vendors
from malha.inventory.vendors.model import Drop
from malha.ordering import rules, writes
from malha.ordering.errors import LineNotFound
from malha.ordering.events import OrderCancelled, OrderEvent
from malha.ordering.holds import _lift, _require_reason
from malha.ordering.model import (
    CLAIMING,
    WAITING,
    Cancellation,
    CancelWish,
    HoldKind,
    Line,
    Move,
    Order,
    Unit,
    UnitState,
)
from malha.ordering.service import lines_of, lock_order, lock_orders, move_many, move_units, units_of
from malha.platform.db import Tx
from malha.platform.flaws import Flaw, refuse
from malha.platform.i18n import N_
from malha.platform.ids import UUID


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
