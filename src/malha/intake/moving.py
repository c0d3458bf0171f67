"""Moving orders that are held to cheaper locations, as a wave proposed, before anybody works on them.

A proposal is a guess about a moment that is over. Under the locks the planner itself decides again, each order on the
stock that the others of its group leave; what is no longer so, or saves too little, changes nothing. Lock order:
orders, queues for supply, balances.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

from malha.capacity.model import Measure
from malha.intake import promised, ruled
from malha.intake.reference import Reference, reference_in
from malha.inventory import reads as stock
from malha.inventory import service as inventory
from malha.inventory.ahead import service as ahead
from malha.inventory.allotments.rules import touches
from malha.inventory.model import Claim, Reason
from malha.inventory.model import Reference as About
from malha.ordering import reads as orders_read
from malha.ordering import service as ordering
from malha.ordering.events import OrderRouted
from malha.ordering.model import Line, Move, Order, Unit, UnitState
from malha.platform.db import Tx
from malha.platform.ids import UUID
from malha.promising.making import stored
from malha.promising.rules import day_promised
from malha.routing import reads as routing_reads
from malha.routing import rules as routing
from malha.routing import service as decisions
from malha.routing import wave_reads, waves
from malha.routing.model import Plan, Request, RequestLine
from malha.routing.terms import Goods
from malha.routing.wave_model import Step

MARGIN = timedelta(seconds=5)  # before an order's release


class Outcome(NamedTuple):
    """How many orders moved, and what that saves: centavos."""

    moved: int
    saved: int


class _Held(NamedTuple):
    """An order of a group: what it asks, where its lines are and would go, and the day it is promised for, if any."""

    order: Order
    units: list[Unit]
    request: Request
    at: dict[int, int]
    to: dict[int, int]
    now: waves.Standing
    day: date | None


class _Turn(NamedTuple):
    """What the planner says of an order: where each line goes."""

    held: _Held
    plan: Plan
    at: dict[int, int]

    @property
    def saved(self) -> int:
        """Return centavos; below zero where others save more by it."""
        return self.held.now.cost - self.plan.cost


NOTHING = Outcome(0, 0)


class MoveRefused(Exception):
    """Units that others owe (a deficit) were counted as theirs who leave; the transaction must be rolled back."""


async def move_together(tx: Tx, wave: int, steps: Sequence[Step], least: int) -> Outcome:
    """Move a group of held orders, all of them or none.

    Nothing moves unless every order is at the version that was seen, placed in full, free of holds, fences, caps and
    supply, and before its release; and unless those that move save `least` centavos each, on average, with no parcel
    longer on its way than before and all there by the day that was promised.

    Raises:
        MoveRefused: roll back; nothing is to be done about it.
    """
    wanted = {step.order_id: step for step in steps}
    orders = await ordering.lock_orders(tx, wanted, skip_busy=True)
    now = await tx.now()
    latest = now + MARGIN
    if len(orders) < len(wanted) or any(
        o.seq != wanted[o.id].seq or o.release_after <= latest for o in orders.values()
    ):
        return NOTHING
    ids = sorted(orders)
    reference = await reference_in(tx)
    group = await _read(tx, orders, wanted, reference)
    if not group:
        return NOTHING
    sku_ids = sorted({line.sku_id for held in group for line in held.request.lines})
    if await ahead.lock_for(tx, ids, sku_ids):
        return NOTHING
    await inventory.make_way(tx, sku_ids)
    free = {sku: [0] * len(reference.network.location_ids) for sku in sku_ids}
    for sku, location, units in await (await stock.queue_free_stock(tx, sku_ids, lock=True)).fetchall():
        if location in reference.network.index and location not in reference.frozen.get(sku, ()):
            free[sku][reference.network.index[location]] += units  # below zero: what comes back is not free either
    turns = _decide(group, free, reference, least, now)
    if not turns:
        return NOTHING
    await _reserve(tx, turns)
    return await _write(tx, wave, turns, reference)


async def _read(tx: Tx, orders: Mapping[UUID, Order], steps: Mapping[UUID, Step], reference: Reference) -> list[_Held]:
    """Return the group as it stands; nothing when one of it may not be moved."""
    ids = sorted(orders)
    units = await ordering.units_of(tx, ids)
    lines = await ordering.lines_of(tx, ids)
    holds = await ordering.open_holds(tx, ids)
    promises = await orders_read.promised(tx, ids)
    grams = await reference.weights(tx, {u.sku_id for rows in units.values() for u in rows if u.sku_id is not None})
    if any(holds.values()) or await wave_reads.moved_before(tx, ids):
        return []
    group = []
    for id_ in ids:
        if await routing_reads.exclusions(tx, id_):
            return []
        goods = await reference.goods_sold(tx, lines[id_], {})
        held = _held(orders[id_], lines[id_], units[id_], steps[id_], grams, reference, goods, promises.get(id_))
        if held is None or await ruled.of_order(tx, reference, orders[id_], lines[id_], units[id_]) is not None:
            return []
        group.append(held)
    return group


def _held(
    order: Order,
    lines: Sequence[Line],
    units: Sequence[Unit],
    step: Step,
    grams: Mapping[int, int],
    reference: Reference,
    goods: Mapping[int, Goods] | None,
    promised_at: datetime | None,
) -> _Held | None:
    left = [u for u in units if u.state is not UnitState.CANCELLED]
    sold = {line.line: line.sku_id for line in lines}
    request_lines = []
    at: dict[int, int] = {}
    for u in left:
        if u.state is not UnitState.ALLOCATED or u.sku_id is None or u.location_id is None or u.line in at:
            return None
        if sold[u.line] != u.sku_id or u.sku_id not in grams:  # a kit
            return None
        at[u.line] = u.location_id
        request_lines.append(RequestLine(u.line, u.sku_id, u.quantity, grams[u.sku_id]))
    to = dict(step.to)
    state = (order.ship_to or {}).get("state")
    if (
        order.method != "ship"
        or order.merge_location_id is not None
        or not at
        or set(to) != set(at)
        or not isinstance(state, str)
    ):
        return None
    if touches(reference.allotments, order.channel_id, [line.sku_id for line in request_lines]):
        return None
    request = Request(
        order_id=order.id,
        channel_id=order.channel_id,
        method=order.method,
        service_id=order.service_id,
        to_state=state,
        lines=request_lines,
        goods=goods,
        to_cep=(order.ship_to or {}).get("postal_code"),
    )
    now = waves.standing(request, reference.network, at, reference.taken)
    if now is None or any(location not in reference.network.index for location in to.values()):
        return None
    day = None if promised_at is None else day_promised(promised_at, state)
    return _Held(order, left, request, at, to, now, day)


def _decide(
    group: Sequence[_Held], free: dict[int, list[int]], reference: Reference, least: int, now: datetime
) -> list[_Turn]:
    """Plan the group again, one after the other, each on what is left for it when the others have their proposals.

    Returns:
        The orders that move; none when the group is not worth it, or does not fit.
    """
    index = reference.network.index
    taken = list(reference.taken)

    def shift(held: _Held, places: Mapping[int, int], sign: int) -> None:
        for line in held.request.lines:
            free[line.sku_id][index[places[line.line]]] += sign * line.quantity

    for held in group:
        shift(held, held.at, 1)
        shift(held, held.to, -1)
    turns = []
    for held in group:
        shift(held, held.to, 1)
        floored = {line.sku_id: [max(0, units) for units in free[line.sku_id]] for line in held.request.lines}
        plan = routing.plan(held.request, reference.network, floored, taken, reference.prices)
        at = {line: reference.network.location_ids[place] for line, place, _ in plan.assignments}
        if plan.unplaced or len(plan.assignments) != len(held.at) or (plan.lead_days or 0) > held.now.lead_days:
            return []
        shift(held, at, -1)
        if at != held.at:
            if not _in_time(held, plan, reference, now):
                return []
            for place, places in _coming(held, at, reference).items():
                taken[index[place]] += places
            turns.append(_Turn(held, plan, at))
    saved = sum(turn.saved for turn in turns)
    return turns if turns and saved >= least * len(turns) else []


def _in_time(held: _Held, plan: Plan, reference: Reference, now: datetime) -> bool:
    """Tell whether a plan keeps what was promised: its locations may be closed, full, or past their cut-off sooner."""
    if held.day is None:
        return True
    released = max(now, held.order.release_after)
    arrives = promised.promise_of(plan, reference, released, held.request.to_state)
    return arrives is not None and arrives <= held.day


def _coming(held: _Held, at: Mapping[int, int], reference: Reference) -> dict[int, int]:
    """Return how much of the day of each location an order that moves takes: one, or its units where slots count them.

    A location that has a line of the order already counts it; its units are others.
    """
    coming: dict[int, int] = {}
    for line in held.request.lines:
        place = at[line.line]
        stated = reference.picking.get(place)
        if stated is not None and stated.measure is Measure.UNITS:
            coming[place] = coming.get(place, 0) + (line.quantity if held.at[line.line] != place else 0)
        elif place not in held.at.values():
            coming[place] = 1
    return coming


async def _reserve(tx: Tx, turns: Sequence[_Turn]) -> None:
    """Give back what moves and claim it elsewhere; balances are locked, and nobody saw them in between."""
    claims: list[Claim] = []
    owners: list[UUID] = []
    for turn in turns:
        for u in turn.held.units:
            if u.sku_id is not None and u.location_id is not None and turn.at[u.line] != u.location_id:
                claims.append(Claim(u.sku_id, u.location_id, u.quantity))
                owners.append(turn.held.order.id)
    await inventory.release(tx, claims, About("order"), Reason.REROUTE, owners)
    for turn in turns:
        new = [
            Claim(u.sku_id, turn.at[u.line], u.quantity)
            for u in turn.held.units
            if u.sku_id is not None and turn.at[u.line] != u.location_id
        ]
        short = await inventory.reserve(tx, new, About("order", turn.held.order.id), Reason.REROUTE, locked=True)
        if short:
            raise MoveRefused(f"order {turn.held.order.number}: {short}")


async def _write(tx: Tx, wave: int, turns: Sequence[_Turn], reference: Reference) -> Outcome:
    now = await tx.now()
    saved = sum(turn.saved for turn in turns)
    kept: list[decisions.Decision] = []
    back: dict[UUID, list[Move]] = {}
    there: dict[UUID, list[Move]] = {}
    attempts: list[tuple[UUID, int, int]] = []
    events: list[OrderRouted] = []
    for turn in turns:
        order_id = turn.held.order.id
        attempt = await decisions.next_attempt(tx, order_id)
        released = max(now, turn.held.order.release_after)
        found = promised.made_of(turn.plan, reference, released, turn.held.request.to_state)
        made = None if found is None else stored(found)
        kept.append(decisions.Decision(str(order_id), attempt, turn.plan, made))
        attempts.append((order_id, attempt, turn.saved))
        changed = [u for u in turn.held.units if turn.at[u.line] != u.location_id]
        back[order_id] = [Move(u.line, u.part, u.quantity, UnitState.UNPLACED, location_id=None) for u in changed]
        there[order_id] = [
            Move(u.line, u.part, u.quantity, UnitState.ALLOCATED, location_id=turn.at[u.line]) for u in changed
        ]
        events.append(
            OrderRouted(
                id=order_id,
                seq=0,
                attempt=attempt,
                placed=[(u.line, turn.at[u.line], u.quantity) for u in changed],
                saved=turn.saved,
                saved_together=saved,
            )
        )
    await decisions.record_decisions(tx, kept)
    await ordering.move_many(tx, back)
    await ordering.move_many(tx, there, events)
    await waves.keep_moves(tx, wave, attempts)
    return Outcome(len(turns), saved)
