"""Finding a place, again, for units that wait: after a rejection, a short pick, a mapped SKU, a new address, new stock.

The balances are read under their locks, so the plan that follows cannot be refused. Lock order: order, queues for
supply (`inventory.ahead`), then balances.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from malha.intake import allotting as allot
from malha.intake import dropping, promised, ruled, supplying
from malha.intake.allotting import Allotting
from malha.intake.reference import Reference, reference_in
from malha.intake.rules import leaves_the_loop
from malha.inventory import reads as stock
from malha.inventory import service as inventory
from malha.inventory.ahead import service as ahead
from malha.inventory.ahead.model import ClaimState
from malha.inventory.allotments import reads as allotted
from malha.inventory.allotments.model import Taker
from malha.inventory.allotments.rules import touches
from malha.inventory.model import Claim, Reason
from malha.inventory.model import Reference as About
from malha.inventory.vendors import service as vendors
from malha.inventory.vendors.model import NewDrop
from malha.ordering import holds as order_holds
from malha.ordering import service as ordering
from malha.ordering.events import OrderRouted
from malha.ordering.model import CLAIMS_NOTHING, WAITING, HoldKind, Line, Move, Order, Unit, UnitState
from malha.ordering.rules import per_unit, whole_units
from malha.platform import outbox
from malha.platform.brazil import STATES
from malha.platform.db import Tx
from malha.platform.ids import UUID
from malha.promising.making import stored
from malha.promising.model import Made
from malha.routing import reads as routing_reads
from malha.routing import rules as routing
from malha.routing import service as decisions
from malha.routing.model import Plan, Request, RequestLine
from malha.routing.ruling.model import Bound, Dropped
from malha.routing.ruling.planning import Under

LOOSE = 10_000  # numbers of request lines for components that wait without the rest of their kit


class Waiting(msgspec.Struct, frozen=True):
    """Units of a line that found no place: whole sold units, or loose components of a kit."""

    line: int
    sku_id: int | None
    quantity: int


class _Wish(msgspec.Struct, frozen=True):
    """One line of the request: what it stands for in the order."""

    line: int
    parts: tuple[tuple[int, int], ...]  # (sku, per wished unit)
    quantity: int


async def place_units(
    tx: Tx, order_id: UUID, reference: Reference | None = None, *, locked: bool = False
) -> list[Waiting]:
    """Place an order's waiting units as far as stock allows, and return what neither has a place nor awaits supply.

    Units whose goods arrived go to them first. Then stock is claimed, with its ledger, a routing decision and
    `OrderRouted`; locations that rejected a line are not asked for it again. What finds no stock waits for supply where
    the SKU may be sold ahead (`supplying`), and the customer is promised its day. When nothing is short any more, a
    shortage hold is lifted. Holds do not keep units from being claimed: they keep the order from being released. Only
    whose time to pay is over, or who wants unusually many, claims nothing.

    `locked`: what planning locks was locked in this transaction (`lock_for`). Two orders of one transaction ask for
    that: the queues of the second would otherwise be locked behind the balances of the first.
    """
    order = await ordering.lock_order(tx, order_id)
    lines = (await ordering.lines_of(tx, [order_id]))[order_id]
    units = (await ordering.units_of(tx, [order_id]))[order_id]
    reference = reference or await reference_in(tx)
    standing = await supplying.stand(tx, order, units, reference, locked=locked)
    if standing.arrived:
        units = await supplying.settle(tx, order, lines, units, standing)
    if CLAIMS_NOTHING & (await ordering.open_holds(tx, [order_id]))[order_id].keys():
        return _still(lines, [u for u in units if u.state in WAITING])
    target = target_of(order)
    bound: Bound | None = None
    if target is not None and any(u.state in WAITING for u in units):
        under = await ruled.of_order(tx, reference, order, lines, units)
        units, bound = await _place_from_stock(tx, order, lines, units, reference, target, standing, under)
        units = await supplying.cover(tx, order, lines, units, reference, target, standing)
    await supplying.promise_anew(tx, order, reference)
    still = _still(lines, supplying.uncovered(units, await supplying.covered(tx, order_id)))
    if not still:
        await order_holds.lift_holds(tx, [order_id], HoldKind.SHORTAGE, "placed")
    if await ruled.settle_hold(tx, order_id, bound, {w.line for w in still}):
        await order_holds.lift_holds(tx, [order_id], HoldKind.SHORTAGE, "held by its routing rule")
    return still


async def _place_from_stock(
    tx: Tx,
    order: Order,
    lines: Sequence[Line],
    units: list[Unit],
    reference: Reference,
    target: str,
    standing: supplying.Standing,
    under: Under | None,
) -> tuple[list[Unit], Bound | None]:
    """Claim stock for waiting units; return all units of the order afterwards, and what its routing rule asked."""
    order_id = order.id
    waiting = supplying.uncovered(units, standing.vendors)
    wishes = _wishes(lines, waiting)
    if not wishes:
        return units, None
    grams = await reference.weights(tx, {sku for wish in wishes.values() for sku, _ in wish.parts})
    excluded = await routing_reads.exclusions(tx, order_id)
    sku_ids = sorted(grams)
    taker = Taker(order.channel_id, order.customer_group)
    allotting = await _make_way(tx, order, taker, sku_ids, reference)
    free = reference.grid(sku_ids, await (await stock.queue_free_stock(tx, sku_ids, lock=True)).fetchall())
    goods = await reference.goods_sold(tx, lines, {n: [sku for sku, _ in w.parts] for n, w in wishes.items()})
    request = Request(
        order_id=order_id,
        channel_id=order.channel_id,
        method=order.method,
        service_id=order.service_id,
        pickup_location_id=order.pickup_location_id,
        merge_location_id=order.merge_location_id,
        to_state=target,
        lines=[
            RequestLine(
                number,
                wish.parts[0][0],
                wish.quantity,
                sum(grams[sku] * per for sku, per in wish.parts),
                None if wish.parts[0][1] == 1 and len(wish.parts) == 1 else wish.parts,
            )
            for number, wish in wishes.items()
        ],
        excluded={n: excluded[w.line] for n, w in wishes.items() if w.line in excluded} or None,
        goods=None if goods is None else {n: goods[w.line] for n, w in wishes.items() if w.line in goods},
        to_cep=(order.ship_to or {}).get("postal_code"),
        under=under,
    )

    counted = await allotted.counted_of(tx, order_id) if allotting is not None and standing.claims else []

    def moves_of(plan: Plan) -> list[Move]:
        return _moves(plan, wishes, waiting, reference)

    def decide() -> tuple[Plan, list[str]]:
        if allotting is None:
            return routing.plan(request, reference.network, free, reference.taken, reference.prices), []
        if counted:
            # What waits for supply is on the counters of its caps already: whoever finds stock for it counts once.
            with allotting.beside([(u, u.quantity) for u in counted]):
                plan, caps = allotting.plan(taker, request, free, reference.taken, reference.prices)
            with allotting.beside(supplying.uses_let_go(units, moves_of(plan), standing, counted)):
                if allotting.admits(taker, request, plan):
                    return plan, caps
        return allotting.plan(taker, request, free, reference.taken, reference.prices)

    plan, _ = await asyncio.to_thread(decide) if leaves_the_loop(len(request.lines)) else decide()
    if ruled.ending_of(plan) in ruled.NOT_AHEAD:
        standing.policies = {}  # what a rule refuses is not sold ahead either
    standing.within = ruled.ahead_of(request, plan)
    dropped = dropping.dropped_in(plan)
    if not plan.assignments and not dropped:
        return units, plan.basis.bound
    moves = moves_of(plan)
    await supplying.let_go(tx, units, moves, standing)
    numbers = {n: wish.line for n, wish in wishes.items()}
    asked = dropping.asked(plan, order_id, reference.rules, reference.snapshot, await tx.now(), numbers)
    await _ask_vendors(tx, asked, standing)
    moves += _to_vendors(dropped, wishes, waiting, moves)
    sku_of = {(u.line, u.part): u.sku_id for u in waiting}
    claims = [
        Claim(sku, m.location_id, m.quantity)
        for m in moves
        if (sku := sku_of[m.line, m.part]) is not None and isinstance(m.location_id, int)
    ]
    short = await inventory.reserve(tx, claims, About("order", order_id), Reason.REROUTE, taker, locked=True)
    if short:
        # The rows are locked and the plan fits them: this is a defect, not a state of the world.
        raise RuntimeError(f"order {order.number}: a plan on locked balances was refused: {short}")
    attempt = await decisions.next_attempt(tx, order_id)
    released = max(await tx.now(), order.release_after)
    made = _made_of(order, plan, reference, released, numbers)
    await _keep(tx, order, decisions.Decision(str(order_id), attempt, plan, None if made is None else stored(made)))
    moved = await ordering.move_units(
        tx,
        order_id,
        moves,
        OrderRouted(
            id=order_id,
            seq=0,
            attempt=attempt,
            placed=[(wishes[n].line, reference.network.location_ids[i], q) for n, i, q in plan.assignments],
            unplaced=[(wishes[n].line, q) for n, q in plan.unplaced],
            dropped=[(wishes[d.line].line, d.location, d.units) for d in dropped],
        ),
    )
    return moved, plan.basis.bound


def _made_of(
    order: Order, plan: Plan, reference: Reference, released: datetime, numbers: Mapping[int, int]
) -> Made | None:
    """Return what the date of a plan is made of; `numbers` are the order's lines by those of the plan."""
    fetched_at = reference.network.index.get(order.pickup_location_id or 0)
    if order.method == "pickup" and fetched_at is not None:
        return promised.ready_of(plan, reference, fetched_at, released, line_of=numbers)
    return promised.made_of(plan, reference, released, target_of(order), line_of=numbers)


async def _keep(tx: Tx, order: Order, decision: decisions.Decision) -> None:
    """Store a decision, and where the goods come together by it."""
    await decisions.record_decisions(tx, [decision])
    onward = decision.plan.basis.onward
    if onward is not None and order.merge_location_id is None:
        await ordering.merge_at(tx, order.id, onward.location)


def _moves(plan: Plan, wishes: Mapping[int, _Wish], waiting: Sequence[Unit], reference: Reference) -> list[Move]:
    """Return the moves of waiting units to where a plan places them."""
    left = list(waiting)
    return [
        move
        for number, index, quantity in plan.assignments
        for part, per in wishes[number].parts
        for move in _take(left, wishes[number].line, part, quantity * per, reference.network.location_ids[index])
    ]


async def _ask_vendors(tx: Tx, drops: Sequence[NewDrop], standing: supplying.Standing) -> None:
    """Ask vendors for what a plan says; their units are nobody else's from now on."""
    await outbox.add_all(tx, await vendors.queue_asks(tx, drops))
    for line in [line for drop in drops for line in drop.lines]:
        key = line.line, line.sku_id
        standing.vendors[key] = standing.vendors.get(key, 0) + line.quantity


def _to_vendors(
    dropped: Sequence[Dropped], wishes: Mapping[int, _Wish], waiting: Sequence[Unit], taken: Sequence[Move]
) -> list[Move]:
    """Return the moves of units that vendors are asked to send, beside those that found stock: they are backordered."""
    left: list[Unit] = []
    for u in waiting:
        gone = sum(m.quantity for m in taken if (m.line, m.part) == (u.line, u.part))
        left.append(msgspec.structs.replace(u, quantity=u.quantity - gone))
    moves = [
        msgspec.structs.replace(move, to=UnitState.BACKORDERED, location_id=msgspec.UNSET)
        for one in dropped
        for sku, per in wishes[one.line].parts
        for move in _take(left, wishes[one.line].line, sku, one.units * per, 0)
    ]
    stays = {(u.line, u.part) for u in waiting if u.state is UnitState.BACKORDERED}
    return [move for move in moves if (move.line, move.part) not in stays]


async def follow_supply(tx: Tx, order_id: UUID) -> None:
    """Follow what became of an order's supply: see `place_units`. What nothing covers any more is held, and told."""
    await place_units(tx, order_id)
    lost = [c for c in await ahead.claims_of(tx, order_id) if c.state is ClaimState.LOST]
    if lost:
        detail = {"lines": sorted({c.line for c in lost}), "units": sum(c.quantity for c in lost), "supply": "lost"}
        if HoldKind.ROUTING_RULE not in (await ordering.open_holds(tx, [order_id]))[order_id]:
            await order_holds.ensure_holds(tx, {order_id: detail}, HoldKind.SHORTAGE)


async def lock_for(tx: Tx, orders: Iterable[Order], units: Mapping[UUID, Sequence[Unit]]) -> None:
    """Lock all that planning locked orders anew will lock, and giving back what they have: once in a transaction.

    Queues and supply of all of them come first, then caps, fences and balances, each kind in key order: two plans, or
    a plan and a receipt, could otherwise wait for each other.
    """
    takers = {order.id: Taker(order.channel_id, order.customer_group) for order in orders}
    rows = [u for order_id in takers for u in units[order_id]]
    sku_ids = sorted({u.sku_id for u in rows if u.sku_id is not None and u.state is not UnitState.CANCELLED})
    await ahead.lock_for(tx, sorted(takers), sku_ids, takers.values())
    await inventory.lock_stock(tx, sku_ids, takers)


async def replan(tx: Tx, order_id: UUID, reference: Reference | None = None, *, locked: bool = False) -> list[Waiting]:
    """Give back what an order has claimed but not released, and plan it again, say for a new address.

    Units whose work has begun stay where they are. `locked`: see `place_units`. Returns what waits afterwards.
    """
    order = await ordering.lock_order(tx, order_id)
    units = (await ordering.units_of(tx, [order_id]))[order_id]
    claimed = [u for u in units if u.state is UnitState.ALLOCATED]
    if claimed:
        claims = [
            Claim(u.sku_id, u.location_id, u.quantity)
            for u in claimed
            if u.sku_id is not None and u.location_id is not None
        ]
        if not locked:
            await lock_for(tx, [order], {order_id: units})
        await inventory.release(tx, claims, About("order", order_id), Reason.REROUTE)
        back = [Move(u.line, u.part, u.quantity, UnitState.UNPLACED, location_id=None) for u in claimed]
        after = await ordering.move_units(tx, order_id, back)
        if order.merge_location_id is not None and all(u.state in WAITING | {UnitState.CANCELLED} for u in after):
            await ordering.merge_at(tx, order_id, None)  # nothing is on its way there
    return await place_units(tx, order_id, reference, locked=locked or bool(claimed))


async def _make_way(tx: Tx, order: Order, taker: Taker, sku_ids: list[int], reference: Reference) -> Allotting | None:
    """Lock the fences and caps that touch an order, and let expired holds go; None when none touches it."""
    allotting: Allotting | None = None
    if touches(reference.allotments, order.channel_id, sku_ids):
        allotting = Allotting(reference, await tx.now())
        allotting.add(taker, sku_ids)
    await inventory.make_way(tx, sku_ids, counters=None if allotting is None else allotting.counters)
    if allotting is not None:  # after holds gave units back to fences
        await allot.lock(tx, allotting)
    return allotting


def target_of(order: Order) -> str | None:
    """Return the destination state ("" for a pickup), or None when the order says too little to be planned."""
    if order.method == "pickup":
        return "" if order.pickup_location_id is not None else None
    state = (order.ship_to or {}).get("state")
    return state if state in STATES else None


def _wishes(lines: Sequence[Line], waiting: Sequence[Unit]) -> dict[int, _Wish]:
    """Turn waiting units into request lines: whole sold units, then components that lost the rest of their kit."""
    wishes: dict[int, _Wish] = {}
    for line in lines:
        if line.sku_id is None:
            continue
        own = [u for u in waiting if u.line == line.line]
        counts: dict[int, int] = {}
        for u in own:
            if u.sku_id is not None:
                counts[u.sku_id] = counts.get(u.sku_id, 0) + u.quantity
        parts = tuple((sku, per) for sku, per in per_unit(line).items() if sku is not None)
        whole = whole_units(line, own)
        if whole:
            wishes[line.line] = _Wish(line.line, parts, whole)
        for component, per in parts:
            loose = counts.get(component, 0) - whole * per
            if loose > 0:
                wishes[LOOSE + len(wishes)] = _Wish(line.line, ((component, 1),), loose)
    return wishes


def _take(left: list[Unit], line: int, sku: int, quantity: int, location: int) -> list[Move]:
    """Take units of one SKU from the waiting rows of a line, row by row; `left` is lowered."""
    moves: list[Move] = []
    for n, u in enumerate(left):
        if not quantity:
            break
        if u.line == line and u.sku_id == sku and u.quantity:
            taken = min(u.quantity, quantity)
            moves.append(Move(u.line, u.part, taken, UnitState.ALLOCATED, location_id=location))
            left[n] = msgspec.structs.replace(u, quantity=u.quantity - taken)
            quantity -= taken
    return moves


def _still(lines: Sequence[Line], waiting: Sequence[Unit]) -> list[Waiting]:
    known = [Waiting(w.line, w.parts[0][0], w.quantity) for w in _wishes(lines, waiting).values()]
    return known + [Waiting(u.line, None, u.quantity) for u in waiting if u.sku_id is None]
