"""What may be done about orders whose goods no location has, for a page of them at once. Nothing is locked."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from malha.fulfillment.short_model import Lacking, ShortOrder, Suggestion, Tried, Way
from malha.intake import awaiting, substituting
from malha.intake.allotting import Allotting
from malha.intake.availability import Substitute
from malha.intake.reference import Reference, reference_in
from malha.inventory import reads as stock
from malha.inventory.ahead import reads as ahead
from malha.inventory.ahead.reads import SupplyRow
from malha.inventory.allotments import reads as allotments
from malha.inventory.allotments.model import Standing, Taker
from malha.inventory.allotments.rules import touches
from malha.inventory.model import Availability
from malha.network import retailer
from malha.ordering.model import HoldKind
from malha.platform.brazil import STATES
from malha.platform.db import Tx
from malha.platform.ids import UUID
from malha.routing import rules as routing
from malha.routing.model import Request, RequestLine

MOST_SUBSTITUTES = 3
_EMPTY_THERE = frozenset({"not_in_stock", "mismatch"})  # who said so has none to send either


class _Facts(NamedTuple):
    """What is true of all orders of the page. Locations that the actor does not see are not told of."""

    sees: Callable[[int], bool]
    reference: Reference
    free: dict[int, dict[int, Availability]]  # by SKU and location
    supply: dict[int, list[SupplyRow]]
    grams: dict[int, int]
    substitutes: dict[UUID, dict[int, list[Substitute]]]
    allotting: Allotting | None  # what caps let through of supply; None: nothing is limited


async def suggest(tx: Tx, orders: Sequence[ShortOrder]) -> dict[UUID, list[Suggestion]]:
    """Return, by order, the ways out of its shortage that would work now, what helps the customer soonest first."""
    if not orders:
        return {}
    reference = await reference_in(tx)
    skus = sorted({line.sku_id for order in orders for line in order.lines if not line.kit})
    free: dict[int, dict[int, Availability]] = {}
    for balance in await stock.availability(tx, skus):
        if balance.free > 0:
            free.setdefault(balance.sku_id, {})[balance.location_id] = balance
    supply: dict[int, list[SupplyRow]] = {}
    # As the retailer's calendar has it: a day that is over says nothing about when goods come.
    today = await retailer.day_of(tx, await tx.now())
    for row in await ahead.supply_of(tx, skus):
        if row.free > 0 and row.eta >= today and tx.actor.sees(row.location_id):
            supply.setdefault(row.sku_id, []).append(row)
    facts = _Facts(
        sees=tx.actor.sees,
        reference=reference,
        free=free,
        supply=supply,
        grams=await reference.weights(tx, skus),
        substitutes=await _substitutes(tx, reference, orders),
        allotting=await _allotting(tx, reference, orders),
    )
    found = {}
    for order in orders:
        suggestions = _ways(order, facts)
        suggestions += await _waits(tx, order, facts)
        found[order.order_id] = sorted(suggestions, key=lambda s: (_RANK[s.way], s.line))
    return found


async def _allotting(tx: Tx, reference: Reference, orders: Sequence[ShortOrder]) -> Allotting | None:
    allotting = Allotting(reference, await tx.now())
    for order in orders:
        skus = {line.sku_id for line in order.lines if not line.kit}
        if touches(reference.allotments, order.channel_id, skus):
            allotting.add(Taker(order.channel_id, order.customer_group), skus)
    if not allotting.counters:
        return None
    room = await allotments.queue_room(tx, allotting.counters)
    allotting.stand(Standing({}, {(cap, sku): left for cap, sku, left in await room.fetchall()}))
    return allotting


_RANK = {way: n for n, way in enumerate(Way)}


async def _substitutes(
    tx: Tx, reference: Reference, orders: Sequence[ShortOrder]
) -> dict[UUID, dict[int, list[Substitute]]]:
    """Return, by order and SKU, what could stand in: asked once for all orders that may be sold the same."""
    groups: dict[tuple[int, str | None, int | None], list[ShortOrder]] = {}
    for order in orders:
        groups.setdefault((order.channel_id, order.customer_group, order.pickup_location_id), []).append(order)
    channels = {channel.id: channel for channel in reference.channels.values()}
    found: dict[UUID, dict[int, list[Substitute]]] = {}
    for (channel_id, group, pickup), members in groups.items():
        skus = {line.sku_id for order in members for line in order.lines}
        only = tx.actor.locations if pickup is None else {pickup}
        told = await substituting.available(tx, reference, channels[channel_id], skus, customer_group=group, only=only)
        found |= {order.order_id: told for order in members}
    return found


def _ways(order: ShortOrder, facts: _Facts) -> list[Suggestion]:
    found: list[Suggestion] = []
    for line in order.lines:
        found.append(Suggestion(way=Way.CANCEL, line=line.line, quantity=line.quantity, sku=line.sku, name=line.name))
        found += [
            Suggestion(
                way=Way.SUBSTITUTE,
                line=line.line,
                quantity=line.quantity,
                sku=other.sku,
                name=other.name,
                price=other.price,
            )
            for other in facts.substitutes[order.order_id].get(line.sku_id, [])[:MOST_SUBSTITUTES]
            if other.available >= line.quantity
        ]
        found += _from_stock(order, line, facts)
    if order.allocated and set(order.holds) == {HoldKind.SHORTAGE}:
        found.append(Suggestion(way=Way.SPLIT, line=0, quantity=order.allocated))
    return found


def request_of(order: ShortOrder, lines: Sequence[Lacking], grams: Mapping[int, int]) -> Request | None:
    """Return what is asked of routing for lines that lack units; None where the order says too little."""
    plain = [
        RequestLine(x.line, x.sku_id, x.quantity, grams[x.sku_id]) for x in lines if x.sku_id in grams and not x.kit
    ]
    target = "" if order.method == "pickup" else order.ship_state
    if not plain or (order.method == "ship" and target not in STATES):
        return None
    excluded: dict[int, set[int]] = {}
    for tried in order.tried:
        excluded.setdefault(tried.line, set()).add(tried.location_id)
    return Request(
        order_id=order.order_id,
        channel_id=order.channel_id,
        method=order.method,
        service_id=order.service_id,
        pickup_location_id=order.pickup_location_id,
        merge_location_id=order.merge_location_id,
        to_state=target,
        lines=plain,
        excluded={line.line: excluded[line.line] for line in plain if line.line in excluded} or None,
    )


def _from_stock(order: ShortOrder, line: Lacking, facts: _Facts) -> list[Suggestion]:
    """Suggest to try again where a location that may serve the order has units, else a transfer to one that may."""
    there = facts.free.get(line.sku_id)
    request = request_of(order, [line], facts.grams) if there else None
    if request is None or not there:
        return []
    network = facts.reference.network
    column = [0] * len(network.location_ids)
    for place, balance in there.items():
        if place in network.index:
            column[network.index[place]] = balance.free
    now = routing.plan(request, network, {line.sku_id: column}, facts.reference.taken, facts.reference.prices)
    placed = sum(units for _, _, units in now.assignments)
    if placed:
        return [Suggestion(way=Way.RETRY, line=line.line, quantity=placed, sku=line.sku, name=line.name)]
    if any(step.way is Way.TRANSFER and step.line == line.line for step in order.steps):
        return []  # one is on its way
    everywhere = {line.sku_id: [line.quantity] * len(column)}
    wish = routing.plan(request, network, everywhere, facts.reference.taken)
    if not wish.assignments:
        return []
    to = network.location_ids[wish.assignments[0][1]]
    seen = {place: balance for place, balance in there.items() if facts.sees(place)}
    origin = _sender(line, seen, order.tried, facts.reference, to)
    if origin is None or not facts.sees(to):
        return []
    codes = dict(zip(network.location_ids, facts.reference.location_codes, strict=True))
    return [
        Suggestion(
            way=Way.TRANSFER,
            line=line.line,
            quantity=min(line.quantity, there[origin].free),
            sku=line.sku,
            name=line.name,
            origin=codes[origin],
            destination=codes[to],
        )
    ]


def _sender(
    line: Lacking, there: Mapping[int, Availability], tried: Sequence[Tried], reference: Reference, to: int
) -> int | None:
    """Return who sends: the same company's first, where no document is needed, then who has enough, then the most."""
    details = {x.id: x for x in reference.details}
    empty = {x.location_id for x in tried if x.line == line.line and x.reason in _EMPTY_THERE}
    able = [place for place in there if place != to and place not in empty and place in details]
    seat = details[to].keeps
    return min(
        able,
        key=lambda place: (
            details[place].keeps != seat,
            there[place].free < line.quantity,
            -there[place].free,
            place,
        ),
        default=None,
    )


async def _waits(tx: Tx, order: ShortOrder, facts: _Facts) -> list[Suggestion]:
    open_ = [line for line in order.lines if not line.kit and line.sku_id in facts.supply]
    request = request_of(order, open_, facts.grams)
    if request is None:
        return []
    supply = [row for line in open_ for row in facts.supply[line.sku_id]]
    wanted = {line.line: line.quantity for line in open_}
    taker = Taker(order.channel_id, order.customer_group)
    now = await tx.now()
    claims = awaiting.foresee(facts.reference, now, request, supply, wanted, facts.allotting, taker)
    rows = {row.id: row for row in supply}
    found = []
    for line in open_:
        mine = [claim for claim in claims if claim.line == line.line]
        if mine:
            last = max(mine, key=lambda claim: claim.eta)
            source = rows[last.supply_id or 0]  # plain SKUs wait for supply alone
            found.append(
                Suggestion(
                    way=Way.WAIT,
                    line=line.line,
                    quantity=sum(claim.quantity for claim in mine),
                    sku=line.sku,
                    name=line.name,
                    day=last.eta,
                    source=f"{'T' if source.kind == 'transfer' else 'P'}{source.number}",
                    destination=source.location,
                )
            )
    return found
