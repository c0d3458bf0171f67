"""What an order waits for: goods that arrived are its allocations, what has no stock is promised from supply.

Promises follow the day the goods are expected on.

Everything here is decided from the state of the order and its claims, under the order's lock and then those of the
queues it stands in. Doing it twice changes nothing.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from types import MappingProxyType

import msgspec

from malha.intake import allotting as allot
from malha.intake.allotting import Allotting
from malha.intake.covering import Covering, There, Wanted, at_hand, behind, by_balance, by_line, promise_of
from malha.intake.reference import Reference
from malha.inventory import reads as stock_reads
from malha.inventory import service as stock
from malha.inventory.ahead import reads
from malha.inventory.ahead import service as ahead
from malha.inventory.ahead.model import ClaimState, Mode, NewClaim, Policy, SupplyClaim
from malha.inventory.ahead.rules import Wish, excess, policy_for, whole_kits
from malha.inventory.ahead.rules import let_go as let_go_of
from malha.inventory.allotments.model import Taker, Used
from malha.inventory.allotments.rules import touches
from malha.inventory.model import Claim, Reason
from malha.inventory.model import Reference as About
from malha.inventory.vendors import reads as vendor_reads
from malha.network import reads as network
from malha.ordering import cancelling, promises
from malha.ordering import service as ordering
from malha.ordering.events import OrderAwaitsSupply, OrderSupplied
from malha.ordering.model import WAITING, Line, Move, Order, PromiseReason, Unit, UnitState
from malha.ordering.rules import whole_units
from malha.platform.db import Tx
from malha.platform.ids import UUID
from malha.routing import reads as routing_reads
from malha.routing.model import Request, RequestLine, parts_of
from malha.routing.ruling.planning import Within


class Standing(msgspec.Struct):
    """What a locked order claims of supply, its queues locked, and by which policies it may claim more."""

    claims: list[SupplyClaim]
    policies: dict[int, Policy]  # by SKU; none where a cap lets nothing more be sold
    vendors: dict[tuple[int, int], int] = {}  # units that vendors are to send, by (line, SKU): they wait for those
    within: Within | None = None  # from where a routing rule lets goods to come be promised; None: anywhere

    @property
    def arrived(self) -> bool:
        """Tell whether goods are there that units have not followed yet."""
        return any(c.state is ClaimState.ARRIVED for c in self.claims)


async def stand(
    tx: Tx,
    order: Order,
    units: Sequence[Unit],
    reference: Reference,
    anyway: Collection[int] = (),
    *,
    locked: bool = False,
) -> Standing:
    """Lock the queues a locked order stands in or could join, before any balance, and say how it stands there.

    `anyway` are SKUs whose queues it joins by a person's wish, whatever may be sold ahead. `locked`: they were locked
    in this transaction, and balances after them.
    """
    skus = waiting_skus(units)
    policies: dict[int, Policy] = {}
    if skus and reference.sells_ahead:
        today = reference.day_of(await tx.now())
        for sku, rows in (await reads.policies(tx, skus)).items():
            policy = policy_for(rows, order.channel_id, today)
            if policy is not None:
                policies[sku] = policy
    lost = await reads.lost_skus(tx, order.id) if skus else []
    taker = Taker(order.channel_id, order.customer_group)
    claims: list[SupplyClaim] = []
    if skus and locked:
        claims = await ahead.claims_of(tx, order.id)
    elif skus:
        claims = await ahead.lock_for(tx, [order.id], sorted({*policies, *lost, *anyway}), [taker], skus)
    asked = await vendor_reads.at_vendors(tx, order.id) if any(u.state is UnitState.BACKORDERED for u in units) else {}
    return Standing(claims, policies, asked)


def waiting_skus(units: Iterable[Unit]) -> list[int]:
    """Return the SKUs of units that wait, in the order of locks."""
    return sorted({u.sku_id for u in units if u.state in WAITING and u.sku_id is not None})


async def settle(tx: Tx, order: Order, lines: Sequence[Line], units: Sequence[Unit], standing: Standing) -> list[Unit]:
    """Let units follow goods that arrived for them, kits when all of a kit is there; return all units afterwards."""
    left = [u for u in units if u.state in WAITING]
    moves: list[Move] = []
    placed: list[tuple[int, int, int]] = []
    followed = _followed(lines, standing.claims)
    for c, units_of in followed:
        quantity = units_of
        for n, u in enumerate(left):
            taken = min(u.quantity, quantity) if (u.line, u.sku_id) == (c.line, c.sku_id) else 0
            if taken:
                moves.append(Move(u.line, u.part, taken, UnitState.ALLOCATED, location_id=c.location_id))
                left[n] = msgspec.structs.replace(u, quantity=u.quantity - taken)
                quantity -= taken
        if quantity:
            raise RuntimeError(f"order {order.number}: goods arrived for units that do not wait")
        placed.append((c.line, c.location_id, units_of))
    if not moves:
        return list(units)
    await ahead.end_arrived(tx, followed)
    gone = {c.id: units_of for c, units_of in followed}
    standing.claims = [
        msgspec.structs.replace(c, quantity=c.quantity - gone.get(c.id, 0))
        for c in standing.claims
        if c.quantity > gone.get(c.id, 0)
    ]
    return await ordering.move_units(tx, order.id, moves, OrderSupplied(id=order.id, seq=0, placed=placed))


def _followed(lines: Sequence[Line], claims: Sequence[SupplyClaim]) -> list[tuple[SupplyClaim, int]]:
    """Return the claims whose goods came, with the units that follow them: of kits only what makes whole ones."""
    components = {line.line: line.components for line in lines if line.components}
    arrived: dict[int, dict[tuple[int, int], int]] = {}
    for c in claims:
        if c.state is ClaimState.ARRIVED and c.line in components:
            own = arrived.setdefault(c.line, {})
            own[c.sku_id, c.location_id] = own.get((c.sku_id, c.location_id), 0) + c.quantity
    left = {
        (line, sku, place): kits * per
        for line, own in arrived.items()
        for place, kits in whole_kits(own, components[line]).items()
        for sku, per in components[line].items()
    }
    followed = []
    for c in claims:
        if c.state is not ClaimState.ARRIVED:
            continue
        units = c.quantity
        if c.line in components:
            key = c.line, c.sku_id, c.location_id
            units = min(units, left.get(key, 0))
            left[key] = left.get(key, 0) - units
        if units:
            followed.append((c, units))
    return followed


def uses_let_go(
    units: Sequence[Unit], moves: Sequence[Move], standing: Standing, counted: Sequence[Used]
) -> list[tuple[Used, int]]:
    """Return what of an order's counted units `let_go` would take off its caps, were these units to find stock."""
    if not standing.claims:
        return []
    order_id = standing.claims[0].order_id
    waiting: dict[Wish, int] = {}
    leaving: dict[Wish, int] = {}
    sku_of = {(u.line, u.part): u.sku_id for u in units}
    for u in units:
        if u.state in WAITING:
            wish = order_id, u.line, u.sku_id
            waiting[wish] = waiting.get(wish, 0) + u.quantity
    for move in moves:
        wish = order_id, move.line, sku_of[move.line, move.part]
        leaving[wish] = leaving.get(wish, 0) + move.quantity
    given: dict[tuple[int, int], int] = {}
    for c, quantity in let_go_of(standing.claims, excess(standing.claims, waiting, leaving)):
        given[c.sku_id, c.location_id] = given.get((c.sku_id, c.location_id), 0) + quantity
    return [(u, min(u.quantity, given.get((u.sku_id, u.location_id), 0))) for u in counted]


async def let_go(tx: Tx, units: Sequence[Unit], moves: Sequence[Move], standing: Standing) -> None:
    """Give up claims on supply of units that found stock."""
    if not standing.claims:
        return
    order_id = standing.claims[0].order_id
    # What came of kits that are found whole elsewhere is free again, before their units claim what they found.
    arrived = await cancelling.give_back_ahead(tx, {order_id: moves}, {order_id: units})
    await stock.release(tx, [claim for _, claim in arrived], About("order", order_id), Reason.REROUTE)
    standing.claims = await ahead.claims_of(tx, order_id)


async def cover(
    tx: Tx,
    order: Order,
    lines: Sequence[Line],
    units: list[Unit],
    reference: Reference,
    target: str,
    standing: Standing,
    anyway: Mapping[int, int] = MappingProxyType({}),
) -> list[Unit]:
    """Claim supply for waiting units that have none; return all units of the order afterwards.

    Units that were sold ahead before keep their place in the queue, whatever the policy says by now. `anyway` are lines
    that wait by a person's wish, and how many units at most: no policy is asked.
    """
    wanted, lost = _wanted(lines, units, standing, anyway)
    if not wanted and not lost:
        return units
    skus = {line.sku_id for line in lines if line.sku_id is not None}
    parts = {sku for n, want in wanted.items() if want.parts for sku in _components(lines, n)}
    grams = await reference.weights(tx, skus | parts)
    excluded = await routing_reads.exclusions(tx, order.id)
    request = Request(
        order_id=order.id,
        channel_id=order.channel_id,
        method=order.method,
        service_id=order.service_id,
        pickup_location_id=order.pickup_location_id,
        merge_location_id=order.merge_location_id,
        to_state=target,
        lines=[_request_line(line, wanted[line.line], grams) for line in lines if line.line in wanted],
        excluded={n: excluded[n] for n in wanted if n in excluded} or None,
        goods=await reference.goods_sold(tx, lines, {}),
        to_cep=(order.ship_to or {}).get("postal_code"),
        under=standing.within,
    )
    now = await tx.now()
    covering = Covering(reference.network, reference.day_of(now))
    covering.skus = {line.sku_id for line in request.lines if not line.components} | parts | {c.sku_id for c in lost}
    covering.policies = {p.id for w in wanted.values() for p in (w.policy, *(w.parts or {}).values()) if p is not None}
    await covering.ask(tx, lock=True, behind_balances=True)
    await covering.answer()
    # Who lost supply was counted on caps already, and is served before who asks for the first time.
    again = covering.plan(*_only(request, wanted, {n for n, w in wanted.items() if w.since is not None}))
    covering.take(again)
    again += _where_it_was(covering, order, lines, lost)
    there = await _there(tx, parts, reference) if parts else {}
    new = {n for n, w in wanted.items() if w.since is None}
    fresh, uses = await _count(tx, *_only(request, wanted, new), covering, reference, order, there)
    claims = [msgspec.structs.replace(c, told=False) for c in (*again, *fresh)]
    if not claims:
        return units
    caps = reference.allotments.caps
    if again:
        await ahead.replace_lost(tx, lost, again, caps)
    await _take(tx, order, at_hand(claims))
    await ahead.claim(tx, claims, caps, uses)
    moves = _backordered(units, claims)
    told = OrderAwaitsSupply(id=order.id, seq=0, lines=sorted(by_line(claims).items()))
    return await ordering.move_units(tx, order.id, moves, told)


def _components(lines: Sequence[Line], number: int) -> dict[int, int]:
    return next(line.components for line in lines if line.line == number)


def _request_line(line: Line, want: Wanted, grams: Mapping[int, int]) -> RequestLine:
    assert line.sku_id is not None  # noqa: S101  (`_wanted` leaves others out)
    if not line.components:
        return RequestLine(line.line, line.sku_id, want.quantity, grams[line.sku_id])
    weight = sum(grams[sku] * per for sku, per in line.components.items())
    return RequestLine(line.line, line.sku_id, want.quantity, weight, tuple(sorted(line.components.items())))


def _where_it_was(
    covering: Covering, order: Order, lines: Sequence[Line], lost: Sequence[SupplyClaim]
) -> list[NewClaim]:
    """Return claims on other supply for components of kits that lost theirs: where the rest of the kit is."""
    kits = {line.line: line.components for line in lines if line.components}
    found: list[NewClaim] = []
    for c in lost:
        units = c.quantity if c.line in kits else 0
        for supply in [s for s in covering.lines.get(c.sku_id, ()) if s.location_id == c.location_id]:
            taken = min(units, supply.room)
            units -= taken
            if taken:
                claim = NewClaim(
                    order_id=order.id,
                    line=c.line,
                    sku_id=c.sku_id,
                    location_id=c.location_id,
                    supply_id=supply.id,
                    quantity=taken,
                    eta=supply.eta,
                    days=c.days,
                    not_before=c.not_before,
                    policy_id=c.policy_id,
                    told=False,
                    since=c.since,
                    per=kits[c.line][c.sku_id],
                )
                covering.take([claim])
                found.append(claim)
    return found


async def _there(tx: Tx, skus: Collection[int], reference: Reference) -> dict[int, dict[int, int]]:
    """Return what is there of components and nobody waits for, by SKU and location; the balances are locked."""
    wanted = sorted(skus)
    rows = await (await stock_reads.queue_free_stock(tx, wanted, lock=True)).fetchall()
    first = await (await ahead.queue_ahead_of(tx, wanted)).fetchall()
    free = reference.grid(wanted, behind(rows, first))
    return {sku: dict(zip(reference.network.location_ids, column, strict=True)) for sku, column in free.items()}


async def _take(tx: Tx, order: Order, claims: Sequence[NewClaim]) -> None:
    """Claim what is there for kits that wait for the rest; what of it counts on caps is counted by the caller."""
    taken = [Claim(c.sku_id, c.location_id, c.quantity) for c in claims]
    if await stock.reserve(tx, taken, About("order", order.id), Reason.REROUTE, locked=True):
        raise RuntimeError(f"order {order.number}: components planned on locked balances were refused")


def _only(request: Request, wanted: Mapping[int, Wanted], lines: Collection[int]) -> tuple[Request, dict[int, Wanted]]:
    rows = [line for line in request.lines if line.line in lines]
    return msgspec.structs.replace(request, lines=rows), {n: want for n, want in wanted.items() if n in lines}


async def _count(
    tx: Tx,
    request: Request,
    wanted: Mapping[int, Wanted],
    covering: Covering,
    reference: Reference,
    order: Order,
    there: There,
) -> tuple[list[NewClaim], list[tuple[UUID, Used]]]:
    """Plan claims on supply within caps, whose counters are locked (`stand`); return them and what they count."""
    skus = {sku for line in request.lines for sku, _ in parts_of(line)}
    if not skus or not touches(reference.allotments, order.channel_id, skus):
        return covering.plan(request, wanted, None, there), []
    taker = Taker(order.channel_id, order.customer_group)
    allotting = Allotting(reference, await tx.now())
    allotting.add(taker, skus)
    await allot.lock_room(tx, allotting)
    claims, _ = allotting.cover(taker, request, wanted, covering, {}, there)
    allotting.take(order.id, taker, {}, {}, by_balance(claims))
    return claims, allotting.uses


def _wanted(
    lines: Sequence[Line], units: Sequence[Unit], standing: Standing, anyway: Mapping[int, int]
) -> tuple[dict[int, Wanted], list[SupplyClaim]]:
    """Return what waits without supply by line, and the claims that lost theirs.

    Of kits that lost the supply of a component the rest waits where it is: they are not among what is wanted.
    """
    lost = [c for c in standing.claims if c.state is ClaimState.LOST]
    covered = dict(standing.vendors)
    for c in standing.claims:
        if c.state is not ClaimState.LOST:
            covered[c.line, c.sku_id] = covered.get((c.line, c.sku_id), 0) + c.quantity
    short = uncovered(units, covered)
    wanted: dict[int, Wanted] = {}
    for line in lines:
        if line.sku_id is None:
            continue
        before = [c for c in lost if c.line == line.line]
        quantity = whole_units(line, short)
        if line.components:
            parts = {sku: standing.policies[sku] for sku in line.components if sku in standing.policies}
            if quantity and parts and not before:
                wanted[line.line] = Wanted(quantity, parts=parts)
        elif before:
            units_lost = sum(c.quantity for c in before)
            policy = _kept(before[0], standing.policies.get(line.sku_id))
            wanted[line.line] = Wanted(units_lost, policy, before[0].since)
        elif quantity and line.line in anyway:
            wanted[line.line] = Wanted(min(quantity, anyway[line.line]))
        elif quantity and line.sku_id in standing.policies:
            wanted[line.line] = Wanted(quantity, standing.policies[line.sku_id])
    return wanted, lost


def _kept(lost: SupplyClaim, policy: Policy | None) -> Policy | None:
    """Return the terms under which units were sold ahead, for supply that replaces what they lost."""
    if lost.policy_id is None:
        return None
    handling = policy.handling_days if policy is not None else 1
    return Policy(lost.policy_id, None, Mode.BACKORDER, release_on=lost.not_before, handling_days=handling)


def _backordered(units: Sequence[Unit], found: Sequence[NewClaim]) -> list[Move]:
    """Return the moves by which units that found supply wait for it."""
    left: dict[tuple[int, int | None], int] = {}
    for c in found:
        left[c.line, c.sku_id] = left.get((c.line, c.sku_id), 0) + c.quantity
    moves = []
    for u in units:
        taken = min(u.quantity, left.get((u.line, u.sku_id), 0)) if u.state is UnitState.UNPLACED else 0
        if taken:
            moves.append(Move(u.line, u.part, taken, UnitState.BACKORDERED))
            left[u.line, u.sku_id] -= taken
    return moves


async def covered(tx: Tx, order_id: UUID) -> dict[tuple[int, int], int]:
    """Return how many waiting units of an order wait for supply or a vendor, by (line, SKU)."""
    found: dict[tuple[int, int], int] = dict(await reads.covered(tx, order_id))
    for key, units in (await vendor_reads.at_vendors(tx, order_id)).items():
        found[key] = found.get(key, 0) + units
    return found


def uncovered(units: Sequence[Unit], covered: Mapping[tuple[int, int], int]) -> list[Unit]:
    """Return the waiting units beyond those that wait for supply, by (line, SKU); backordered ones wait first."""
    left: dict[tuple[int, int | None], int] = dict(covered.items())
    short: list[Unit] = []
    for u in sorted(units, key=lambda u: (u.state is not UnitState.BACKORDERED, u.line, u.part)):
        if u.state not in WAITING:
            continue
        key = u.line, u.sku_id
        mine = min(u.quantity, left.get(key, 0))
        left[key] = left.get(key, 0) - mine
        if u.quantity > mine:
            short.append(msgspec.structs.replace(u, quantity=u.quantity - mine))
    return sorted(short, key=lambda u: (u.line, u.part))


async def promise_anew(tx: Tx, order: Order, reference: Reference) -> None:
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
    today = reference.day_of(now)  # a day that is over says nothing about when goods come
    changed = {line: claims for line, claims in changed.items() if max(_day(c) for c in claims) >= today}
    if not changed:
        return
    former, days = await promises.standing(tx, order.id)
    to_state, zone = await _where(tx, order, reference)
    groups: dict[tuple[datetime, PromiseReason], list[int]] = {}
    for line, claims in changed.items():
        at = max(promise_of(_day(c), c.days, c.not_before, to_state, zone) for c in claims)
        reason = _reason(claims, at, days.get(line, former))
        if at > now and reason is not None:
            groups.setdefault((at, reason), []).append(line)
    for (at, reason), lines in sorted(groups.items()):
        await promises.repromise(tx, order.id, at, reason=reason, lines=lines if former is not None else None)
        former = former or at
    await ahead.note_told(tx, order.id, changed)


async def _where(tx: Tx, order: Order, reference: Reference) -> tuple[str | None, str]:
    """Return the state an order goes to, None where it is fetched, and the time zone there, else the retailer's."""
    if order.method != "pickup":
        return (order.ship_to or {}).get("state"), reference.zone.key
    at = order.pickup_location_id
    places = {} if at is None else await network.locations_by_id(tx, [at])
    return None, places[at].timezone if at in places else reference.zone.key


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
