"""Routing rules at the gate: which run takes an order, what follows where its rule cannot fill it, and its end.

An order that its rule leaves unfilled is on hold for a person: its cause lifts the hold when stock is found, its units
are cancelled, or its days are over. A person who lifts it by force says with it that no rule counts for the order any
more: it is placed wherever there is stock.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from malha.intake.model import NewOrder
from malha.intake.reference import Reference, reference_in
from malha.inventory.allotments.model import Taker
from malha.ordering import cancelling
from malha.ordering import holds as order_holds
from malha.ordering import service as ordering
from malha.ordering.model import WAITING, HoldKind, Line, Move, Order, Unit, UnitState
from malha.platform.clock import now
from malha.platform.db import Tx
from malha.platform.i18n import N_
from malha.platform.ids import UUID
from malha.routing.model import Plan, Request
from malha.routing.ruling import reads as ruling
from malha.routing.ruling.model import Asked, Bound, Facts, Traits, Unfilled
from malha.routing.ruling.planning import Under, Within

AT_ONCE = 100
_encode = msgspec.json.Encoder(order="deterministic").encode
NOT_AHEAD = frozenset({Unfilled.QUEUE, Unfilled.DROP_SHIP})  # what these leave is not sold ahead
PLACED = "placed"
TIME_OVER = N_("No location of its routing rule had the goods in time.")
RULE_GONE = "no rule holds it any more"
# How a hold ends without a person who overrides the rule.
LATER = "9"  # than any day, as they are written
BY_ITS_CAUSE = (PLACED, TIME_OVER, RULE_GONE, "The units concerned were cancelled.")

# By the index on order and kind of hold: few rows.
OVERRIDDEN = """
SELECT EXISTS (SELECT FROM order_hold WHERE order_id = %(order_id)s::uuid AND kind = 'routing_rule'
               AND resolved_at IS NOT NULL AND resolution <> ALL (%(causes)s::text[]))
"""

# By the partial index of open ones, the first whose day has come.
DUE = """
SELECT order_id FROM order_hold
WHERE kind = 'routing_rule' AND resolved_at IS NULL AND detail->>'cancel_on' <= %(now)s::text
ORDER BY detail->>'cancel_on' LIMIT %(limit)s::int
"""

# As above, of locked orders: what somebody resolved meanwhile is not there.
STILL_DUE = """
SELECT order_id FROM order_hold
WHERE kind = 'routing_rule' AND resolved_at IS NULL AND detail->>'cancel_on' <= %(now)s::text
  AND order_id = ANY (%(orders)s::uuid[])
"""


# By the partial unique index.
HELD = """
SELECT placed_at, detail->>'rule', (detail->>'rule_set')::int FROM order_hold
WHERE order_id = %(order_id)s::uuid AND kind = 'routing_rule' AND resolved_at IS NULL
"""


def of_new(reference: Reference, order: NewOrder, request: Request, total: int, instant: datetime) -> Request:
    """Return a request of the gate under the run that takes its order, if one does. Only where there are rules."""
    assert reference.rules is not None  # noqa: S101
    facts = Facts(
        channel=order.channel,
        method=order.method,
        to_state=request.to_state,
        postal_code=None if order.ship_to is None else order.ship_to.postal_code,
        customer_group=order.customer_group,
        value=total,
        units=sum(line.quantity for line in request.lines),
        grams=sum(line.quantity * line.grams for line in request.lines),
        skus=[line.sku_id for line in request.lines],
        at=order.placed_at or instant,
    )
    under = reference.rules.under(facts, reference.traits)
    return request if under is None else msgspec.structs.replace(request, under=under)


def asked_of(reference: Reference, order: NewOrder, plan: Plan, total: int) -> str:
    """Return what other rules may ask of an order and its plan does not say, as it is kept: JSON of `Asked`."""
    goods: list[tuple[int, Traits]] = []
    if reference.rules is not None and reference.rules.asks_goods:
        traits = reference.traits
        goods = [(line.sku_id, traits[line.sku_id]) for line in plan.basis.lines if line.sku_id in traits]
    postal_code = None if order.ship_to is None else order.ship_to.postal_code
    return _encode(Asked(total, postal_code, order.customer_group, goods)).decode()


def of_basket(
    reference: Reference, taker: Taker, request: Request, postal_code: str | None, value: int | None = None
) -> Under | None:
    """Return the run that would take a basket. `value`: what its order would come to; None: not known."""
    if reference.rules is None:
        return None
    facts = Facts(
        channel=reference.channel_codes[taker.channel_id],
        method=request.method,
        to_state=request.to_state,
        postal_code=postal_code,
        customer_group=taker.customer_group,
        value=value,
        units=sum(line.quantity for line in request.lines),
        grams=sum(line.quantity * line.grams for line in request.lines),
        skus=[line.sku_id for line in request.lines],
        at=now(),
    )
    return reference.rules.under(facts, reference.traits)


async def of_order(
    tx: Tx, reference: Reference, order: Order, lines: Sequence[Line], units: Sequence[Unit]
) -> Under | None:
    """Return the run that takes a locked order, of which some units may be on their way; None: no rule counts.

    What comes together goes on doing so, whatever rules say: the rest is sought where it can be brought there.
    """
    if order.merge_location_id is not None:
        return None
    if reference.rules is None or order.channel_id not in reference.channel_codes:
        return None
    if await tx.value(OVERRIDDEN, {"order_id": order.id, "causes": list(BY_ITS_CAUSE)}):
        return None
    skus = {line.sku_id for line in lines if line.sku_id is not None}
    await reference.learn_goods(tx, skus)
    await ruling.learn_vendors(tx, reference.rules, skus | {part for line in lines for part in line.components})
    grams = await reference.weights(tx, skus)
    state = (order.ship_to or {}).get("state")
    known = [line for line in lines if line.sku_id is not None]
    facts = Facts(
        channel=reference.channel_codes[order.channel_id],
        method=order.method,
        to_state=state if order.method == "ship" and isinstance(state, str) else None,
        postal_code=(order.ship_to or {}).get("postal_code"),
        customer_group=order.customer_group,
        value=order.total,
        units=sum(line.quantity for line in known),
        grams=sum(line.quantity * grams.get(line.sku_id or 0, 0) for line in known),
        skus=[line.sku_id for line in known if line.sku_id is not None],
        at=order.placed_at,
    )
    spent = len({u.fulfillment_id or u.location_id for u in units if u.state not in WAITING | {UnitState.CANCELLED}})
    return reference.rules.under(facts, reference.traits, spent=spent)


def ending_of(plan: Plan) -> Unfilled | None:
    """Return what a rule says of what it left, if one did."""
    bound = plan.basis.bound
    return None if bound is None else bound.ending


def ahead_of(request: Request, plan: Plan) -> Within | None:
    """Return from where the rest of a plan may be sold ahead; None: from anywhere."""
    return None if request.under is None else request.under.after(plan)


def hold_detail(bound: Bound, lines: Collection[int], at: datetime) -> dict[str, Any]:
    """Return what a hold by a rule tells of it."""
    detail: dict[str, Any] = {
        "lines": sorted(lines),
        "run": bound.run,
        "rule": bound.rule,
        "rule_set": bound.number,
    }
    if bound.cancel_after_days is not None:
        detail["cancel_on"] = _day(at + timedelta(days=bound.cancel_after_days))
    return detail


def _day(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


async def settle_hold(tx: Tx, order_id: UUID, bound: Bound | None, lines: Collection[int]) -> bool:
    """Hold a locked order whose rule left lines unfilled, or lift a hold without a cause; tell whether it is held.

    One that is held already says what its rule says by now; how long it waits is counted from when it began to.
    """
    if bound is not None and bound.ending is not None and lines:
        for since, _, _ in await tx.tuples(HELD, {"order_id": order_id}):
            await order_holds.restate_hold(tx, order_id, HoldKind.ROUTING_RULE, hold_detail(bound, lines, since))
            return True
        await order_holds.ensure_holds(tx, {order_id: hold_detail(bound, lines, now())}, HoldKind.ROUTING_RULE)
        return True
    lifted = await order_holds.lift_holds(tx, [order_id], HoldKind.ROUTING_RULE, RULE_GONE if lines else PLACED)
    if lifted and lines:  # other rules by now, or none: it is short of stock like any other
        await order_holds.ensure_holds(tx, {order_id: {"lines": sorted(lines)}}, HoldKind.SHORTAGE)
    return False


async def due(tx: Tx, limit: int = AT_ONCE) -> list[UUID]:
    """Return the orders that waited for a person as long as their rule lets them, the longest over first."""
    return await tx.values(DUE, {"now": _day(now()), "limit": limit})


async def cancel_due(tx: Tx, limit: int = AT_ONCE) -> int:
    """Cancel what waited for a person as long as its rule lets it; return of how many orders.

    Whoever calls it has these orders tried once more before (`due`): goods that came meanwhile may not have been given
    out yet. What the rule did place or sell ahead goes on. Orders that somebody has in hand wait for the next round.
    Where other rules were published since, they decide: whose rule is gone, or lets it wait longer, is not cancelled.
    """
    at = _day(now())
    over = await due(tx, limit)
    if not over:
        return 0
    orders = await ordering.lock_orders(tx, over, skip_busy=True)
    ended = await tx.values(STILL_DUE, {"now": at, "orders": list(orders)})
    units = await ordering.units_of(tx, ended)
    ended = await _by_rules_of_now(tx, {order_id: orders[order_id] for order_id in ended}, units, at)
    moves: Mapping[UUID, list[Move]] = {
        order_id: [
            Move(u.line, u.part, u.quantity, UnitState.CANCELLED)
            for u in units[order_id]
            if u.state is UnitState.UNPLACED
        ]
        for order_id in sorted(ended)
    }
    wanted = {order_id: rows for order_id, rows in moves.items() if rows}
    if wanted:
        await cancelling.cancel_units(tx, wanted, reason=TIME_OVER)
    await order_holds.lift_holds(tx, ended, HoldKind.ROUTING_RULE, TIME_OVER)
    return len(ended)


async def _by_rules_of_now(
    tx: Tx, orders: Mapping[UUID, Order], units: Mapping[UUID, Sequence[Unit]], at: str
) -> list[UUID]:
    """Return the locked orders that the rules in force cancel, too; let the holds of the others say what those do."""
    if not orders:
        return []
    reference = await reference_in(tx)
    number = None if reference.rules is None else reference.rules.number
    lines = await ordering.lines_of(tx, orders)
    found = []
    for order_id, order in orders.items():
        ((since, name, decided_by),) = await tx.tuples(HELD, {"order_id": order_id})
        if decided_by in {None, number}:
            found.append(order_id)
            continue
        left = {u.line for u in units[order_id] if u.state is UnitState.UNPLACED}
        bound = _said_now(await of_order(tx, reference, order, lines[order_id], units[order_id]), name)
        if bound is not None and hold_detail(bound, left, since).get("cancel_on", LATER) <= at:
            found.append(order_id)
        else:
            await settle_hold(tx, order_id, bound, left)
    return found


def _said_now(under: Under | None, name: str) -> Bound | None:
    """Return what the rule of a name says of what it cannot place; None where it lets it go on, or is gone."""
    if under is None:
        return None
    rule = next((rule for rule in under.run.rules if rule.name == name), None)
    if rule is None or rule.unfilled is Unfilled.NEXT:
        return None
    return Bound(
        number=under.rules.number,
        run=under.run.name,
        rule=rule.name,
        ending=rule.unfilled,
        cancel_after_days=rule.cancel_after_days,
    )
