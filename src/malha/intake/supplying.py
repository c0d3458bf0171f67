"""What an order waits for: goods that arrived are its allocations, what has no stock is promised from supply.

Promises follow the day the goods are expected on.

Everything here is decided from the state of the order and its claims, under the order's lock and then those of the
queues it stands in. Doing it twice changes nothing.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from zoneinfo import ZoneInfo

import msgspec

from malha.intake import allotting as allot
from malha.intake.allotting import Allotting
from malha.intake.covering import Covering, Wanted, by_balance, by_line, promise_of
from malha.intake.reference import Reference
from malha.inventory.ahead import reads
from malha.inventory.ahead import service as ahead
from malha.inventory.ahead.model import ClaimState, Mode, NewClaim, Policy, SupplyClaim
from malha.inventory.ahead.rules import excess, policy_for
from malha.inventory.ahead.rules import let_go as let_go_of
from malha.inventory.allotments.model import Taker, Used
from malha.inventory.allotments.rules import touches
from malha.ordering import promises
from malha.ordering import service as ordering
from malha.ordering.events import OrderAwaitsSupply, OrderSupplied
from malha.ordering.model import WAITING, Line, Move, Order, PromiseReason, Unit, UnitState
from malha.platform.db import Tx
from malha.platform.i18n import DEFAULT_ZONE
from malha.platform.ids import UUID
from malha.routing import reads as routing_reads
from malha.routing.model import Request, RequestLine
from malha.routing.ruling.planning import Within


class Standing(msgspec.Struct):
    """What a locked order claims of supply, its queues locked, and by which policies it may claim more."""

    claims: list[SupplyClaim]
    policies: dict[int, Policy]  # by SKU; none where a cap lets nothing more be sold
    within: Within | None = None  # from where a routing rule lets goods to come be promised; None: anywhere

    @property
    def arrived(self) -> bool:
        """Tell whether goods are there that units have not followed yet."""
        return any(c.state is ClaimState.ARRIVED for c in self.claims)


async def stand(
    tx: Tx, order: Order, units: Sequence[Unit], reference: Reference, anyway: Collection[int] = ()
) -> Standing:
    """Lock the queues a locked order stands in or could join, before any balance, and say how it stands there.

    `anyway` are SKUs whose queues it joins by a person's wish, whatever may be sold ahead.
    """
    skus = sorted({u.sku_id for u in units if u.state in WAITING and u.sku_id is not None})
    policies: dict[int, Policy] = {}
    if skus and reference.sells_ahead:
        today = (await tx.now()).astimezone(ZoneInfo(DEFAULT_ZONE)).date()
        for sku, rows in (await reads.policies(tx, skus)).items():
            policy = policy_for(rows, order.channel_id, today)
            if policy is not None:
                policies[sku] = policy
    lost = await reads.lost_skus(tx, order.id) if skus else []
    taker = Taker(order.channel_id, order.customer_group)
    claims = await ahead.lock_for(tx, [order.id], sorted({*policies, *lost, *anyway}), taker, skus) if skus else []
    return Standing(claims, policies)


async def settle(tx: Tx, order: Order, units: Sequence[Unit], standing: Standing) -> list[Unit]:
    """Let units follow goods that arrived for them; return all units of the order afterwards."""
    left = [u for u in units if u.state in WAITING]
    moves: list[Move] = []
    placed: list[tuple[int, int, int]] = []
    for c in standing.claims:
        if c.state is not ClaimState.ARRIVED:
            continue
        quantity = c.quantity
        for n, u in enumerate(left):
            taken = min(u.quantity, quantity) if (u.line, u.sku_id) == (c.line, c.sku_id) else 0
            if taken:
                moves.append(Move(u.line, u.part, taken, UnitState.ALLOCATED, location_id=c.location_id))
                left[n] = msgspec.structs.replace(u, quantity=u.quantity - taken)
                quantity -= taken
        if quantity:
            raise RuntimeError(f"order {order.number}: goods arrived for units that do not wait")
        placed.append((c.line, c.location_id, c.quantity))
    await ahead.end_arrived(tx, standing.claims)
    standing.claims = [c for c in standing.claims if c.state is not ClaimState.ARRIVED]
    return await ordering.move_units(tx, order.id, moves, OrderSupplied(id=order.id, seq=0, placed=placed))


def uses_let_go(
    units: Sequence[Unit], moves: Sequence[Move], standing: Standing, counted: Sequence[Used]
) -> list[tuple[Used, int]]:
    """Return what of an order's counted units `let_go` would take off its caps, were these units to find stock."""
    if not standing.claims:
        return []
    order_id = standing.claims[0].order_id
    waiting: dict[tuple[UUID, int], int] = {}
    leaving: dict[tuple[UUID, int], int] = {}
    for u in units:
        if u.state in WAITING:
            waiting[order_id, u.line] = waiting.get((order_id, u.line), 0) + u.quantity
    for move in moves:
        leaving[order_id, move.line] = leaving.get((order_id, move.line), 0) + move.quantity
    given: dict[tuple[int, int], int] = {}
    for c, quantity in let_go_of(standing.claims, excess(standing.claims, waiting, leaving)):
        given[c.sku_id, c.location_id] = given.get((c.sku_id, c.location_id), 0) + quantity
    return [(u, min(u.quantity, given.get((u.sku_id, u.location_id), 0))) for u in counted]


async def let_go(tx: Tx, units: Sequence[Unit], moves: Sequence[Move], standing: Standing) -> None:
    """Give up claims on supply of units that found stock."""
    if not standing.claims:
        return
    order_id = standing.claims[0].order_id
    if await ordering.give_back_ahead(tx, {order_id: moves}, {order_id: units}):
        raise RuntimeError("goods that had arrived were given up for stock")  # `settle` comes first
    standing.claims = await ahead.lock_for(tx, [order_id])


async def cover(
    tx: Tx,
    order: Order,
    lines: Sequence[Line],
    units: list[Unit],
    reference: Reference,
    target: str,
    standing: Standing,
    anyway: Collection[int] = (),
) -> list[Unit]:
    """Claim supply for waiting units that have none; return all units of the order afterwards.

    Units that were sold ahead before keep their place in the queue, whatever the policy says by now. `anyway` are lines
    that wait by a person's wish: no policy is asked.
    """
    wanted, lost = _wanted(lines, units, standing, anyway)
    if not wanted:
        return units
    grams = await reference.weights(tx, {line.sku_id for line in lines if line.sku_id is not None})
    excluded = await routing_reads.exclusions(tx, order.id)
    request = Request(
        order_id=order.id,
        channel_id=order.channel_id,
        method=order.method,
        service_id=order.service_id,
        pickup_location_id=order.pickup_location_id,
        to_state=target,
        lines=[
            RequestLine(line.line, line.sku_id, wanted[line.line].quantity, grams[line.sku_id])
            for line in lines
            if line.line in wanted and line.sku_id is not None
        ],
        excluded={n: excluded[n] for n in wanted if n in excluded} or None,
        goods=await reference.goods_sold(tx, lines, {}),
        to_cep=(order.ship_to or {}).get("postal_code"),
        under=standing.within,
    )
    now = await tx.now()
    covering = Covering(reference.network, now)
    covering.skus = {line.sku_id for line in request.lines}
    covering.policies = {w.policy.id for w in wanted.values() if w.policy is not None}
    await covering.ask(tx, lock=True)
    await covering.answer()
    # Who lost supply was counted on caps already, and is served before who asks for the first time.
    again = covering.plan(*_only(request, wanted, lost))
    covering.take(again)
    fresh, uses = await _count(tx, *_only(request, wanted, wanted.keys() - lost.keys()), covering, reference, order)
    claims = [msgspec.structs.replace(c, told=False) for c in (*again, *fresh)]
    if not claims:
        return units
    found = by_line(claims)
    caps = reference.allotments.caps
    replaced = [before for line in found for before in lost.get(line, ())]
    if replaced:
        await ahead.replace_lost(tx, replaced, again, caps)
    await ahead.claim(tx, claims, caps, uses)
    moves = _backordered(units, found)
    told = OrderAwaitsSupply(id=order.id, seq=0, lines=sorted(found.items()))
    return await ordering.move_units(tx, order.id, moves, told)


def _only(request: Request, wanted: Mapping[int, Wanted], lines: Collection[int]) -> tuple[Request, dict[int, Wanted]]:
    rows = [line for line in request.lines if line.line in lines]
    return msgspec.structs.replace(request, lines=rows), {n: want for n, want in wanted.items() if n in lines}


async def _count(
    tx: Tx, request: Request, wanted: Mapping[int, Wanted], covering: Covering, reference: Reference, order: Order
) -> tuple[list[NewClaim], list[tuple[UUID, Used]]]:
    """Plan claims on supply within caps, whose counters are locked (`stand`); return them and what they count."""
    skus = {line.sku_id for line in request.lines}
    if not skus or not touches(reference.allotments, order.channel_id, skus):
        return covering.plan(request, wanted), []
    taker = Taker(order.channel_id, order.customer_group)
    allotting = Allotting(reference, await tx.now())
    allotting.add(taker, skus)
    await allot.lock_room(tx, allotting)
    claims, _ = allotting.cover(taker, request, wanted, covering, {})
    allotting.take(order.id, taker, {}, {}, by_balance(claims))
    return claims, allotting.uses


def _wanted(
    lines: Sequence[Line], units: Sequence[Unit], standing: Standing, anyway: Collection[int]
) -> tuple[dict[int, Wanted], dict[int, list[SupplyClaim]]]:
    """Return what waits without supply by line, and the lost claims it had."""
    lost: dict[int, list[SupplyClaim]] = {}
    covered: dict[int, int] = {}
    for c in standing.claims:
        if c.state is ClaimState.LOST:
            lost.setdefault(c.line, []).append(c)
        else:
            covered[c.line] = covered.get(c.line, 0) + c.quantity
    short: dict[int, int] = {}
    for u in uncovered(units, covered):
        short[u.line] = short.get(u.line, 0) + u.quantity
    wanted: dict[int, Wanted] = {}
    for line in lines:
        if line.components or line.sku_id is None or line.line not in short:
            continue
        policy = standing.policies.get(line.sku_id)
        if before := lost.get(line.line):
            wanted[line.line] = Wanted(sum(c.quantity for c in before), _kept(before[0], policy), before[0].since)
        elif line.line in anyway:
            wanted[line.line] = Wanted(short[line.line])
        elif policy is not None:
            wanted[line.line] = Wanted(short[line.line], policy)
    return wanted, lost


def _kept(lost: SupplyClaim, policy: Policy | None) -> Policy | None:
    """Return the terms under which units were sold ahead, for supply that replaces what they lost."""
    if lost.policy_id is None:
        return None
    handling = policy.handling_days if policy is not None else 1
    return Policy(lost.policy_id, None, Mode.BACKORDER, release_on=lost.not_before, handling_days=handling)


def _backordered(units: Sequence[Unit], found: Mapping[int, int]) -> list[Move]:
    """Return the moves by which units that found supply wait for it."""
    left = dict(found)
    moves = []
    for u in units:
        taken = min(u.quantity, left.get(u.line, 0)) if u.state is UnitState.UNPLACED else 0
        if taken:
            moves.append(Move(u.line, u.part, taken, UnitState.BACKORDERED))
            left[u.line] -= taken
    return moves


def uncovered(units: Sequence[Unit], covered: Mapping[int, int]) -> list[Unit]:
    """Return the waiting units beyond those that wait for supply, by line; backordered ones wait first."""
    left = dict(covered)
    short: list[Unit] = []
    for u in sorted(units, key=lambda u: (u.state is not UnitState.BACKORDERED, u.line, u.part)):
        if u.state not in WAITING:
            continue
        mine = min(u.quantity, left.get(u.line, 0))
        left[u.line] = left.get(u.line, 0) - mine
        if u.quantity > mine:
            short.append(msgspec.structs.replace(u, quantity=u.quantity - mine))
    return sorted(short, key=lambda u: (u.line, u.part))


async def promise_anew(tx: Tx, order: Order) -> None:
    """Promise lines for another day whose supply is expected on another day than their promise was made from.

    Later always; sooner only where the promise came from supply: a channel that promised a later day keeps it.
    """
    waiting: dict[int, list[SupplyClaim]] = {}
    for c in await ahead.claims_of(tx, order.id):
        if c.state is ClaimState.WAITING:
            waiting.setdefault(c.line, []).append(c)
    changed = {
        line: claims
        for line, claims in waiting.items()
        if any(c.told is None for c in claims) or max(_day(c) for c in claims) != max(_told(c) for c in claims)
    }
    now = await tx.now()
    today = now.astimezone(ZoneInfo(DEFAULT_ZONE)).date()  # a day that is over says nothing about when goods come
    changed = {line: claims for line, claims in changed.items() if max(_day(c) for c in claims) >= today}
    if not changed:
        return
    former, days = await promises.standing(tx, order.id)
    groups: dict[tuple[datetime, PromiseReason], list[int]] = {}
    for line, claims in changed.items():
        at = max(promise_of(_day(c), c.days, c.not_before) for c in claims)
        reason = _reason(claims, at, days.get(line, former))
        if at > now and reason is not None:
            groups.setdefault((at, reason), []).append(line)
    for (at, reason), lines in sorted(groups.items()):
        await promises.repromise(tx, order.id, at, reason=reason, lines=lines if former is not None else None)
        former = former or at
    await ahead.note_told(tx, order.id, changed)


def _reason(claims: Sequence[SupplyClaim], at: datetime, before: datetime | None) -> PromiseReason | None:
    """Return why a line is promised for another day than before; None: it is not."""
    if before is None or at > before:
        return PromiseReason.STOCK_LATE
    known = all(c.told is not None for c in claims)
    sooner = known and max(_day(c) for c in claims) < max(_told(c) for c in claims)
    return PromiseReason.STOCK_SOONER if sooner and at < before else None


def _day(claim: SupplyClaim) -> date:
    assert claim.eta is not None  # noqa: S101  (a waiting claim has its supply)
    return claim.eta


def _told(claim: SupplyClaim) -> date:
    assert claim.told is not None  # noqa: S101  (asked before)
    return claim.told
