"""What a basket can be promised now: planned as its order would be, so that the order gets what was shown.

The same plan, the same cut-offs and calendars decide what intake promises an order (`promise_of`).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from heapq import nsmallest
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from malha.capacity import service as capacity
from malha.capacity.model import Kind, Slot
from malha.intake import availability, dropping
from malha.intake import rules as gate
from malha.intake.covering import by_line, promised
from malha.intake.errors import OVER_MOST_UNITS
from malha.intake.reference import Card, Channel, Reference
from malha.inventory.ahead.model import NewClaim
from malha.inventory.ahead.rules import policy_for
from malha.inventory.allotments.model import Taker
from malha.network.model import Service
from malha.network.places import locate
from malha.network.tariff import distance_km
from malha.platform.brazil import STATES
from malha.platform.db import Tx
from malha.platform.i18n import current_language, translate
from malha.platform.ids import UUID
from malha.promising import rules
from malha.promising.foretelling import Foretold, LearnedDays
from malha.promising.model import (
    Collection,
    Delivery,
    FreeSlot,
    Leg,
    LineAhead,
    LineDay,
    Made,
    MadeLeg,
    MadeReady,
    MadeSupply,
    NotPromised,
    Options,
)
from malha.routing.model import Place, Plan, uncovered

NEAREST = 20  # places that are looked at
Wanted = Sequence[tuple[Card, int]]


def legs_of(plan: Plan, reference: Reference, released_at: datetime, to_state: str | None) -> list[Leg] | None:
    """Return when each parcel of a plan is to leave and by when it is there; None where one never leaves.

    What was learned of a lane counts before the tariff's days, as long as it is not stale.
    """
    if plan.lead_days is None:
        return None
    shipped = _shipped(plan, reference, released_at)
    if shipped is None:
        return None
    learned = in_use(reference, released_at)
    legs = []
    for one in {(x.place, x.service, x.days, x.asked_at, x.units) for x in shipped}:
        leg = _leg(reference, learned, *one, to_state)
        if leg is None:
            return None
        legs.append(leg)
    return legs


class _Shipped(NamedTuple):
    """What leaves a location for the customer, and from when its work may be done. `units` are all that leave there."""

    place: int  # index of the location
    service: int | None
    days: int
    asked_at: datetime
    units: int
    grams: int
    lines: list[int]  # of the plan


def _shipped(plan: Plan, reference: Reference, released_at: datetime) -> list[_Shipped] | None:
    """Return what travels to the customer; None where goods that are to come together never do."""
    days = plan.lead_days
    if days is None:
        return []
    onward = plan.basis.onward
    if onward is None:
        units = _units_at(plan)
        return [
            _Shipped(p.index, p.service_id, days, released_at, units[p.index], p.grams, [n for n, _ in p.units])
            for p in plan.parcels
        ]
    index = reference.network.index[onward.location]
    at = _all_there_at(plan, reference, index, released_at)
    if at is None:
        return None
    units_of = sum(_units_at(plan).values())
    lines = sorted({n for parcel in plan.parcels for n, _ in parcel.units})
    return [_Shipped(index, onward.service, onward.days, at, units_of, onward.grams, lines)]


def in_use(reference: Reference, released_at: datetime) -> LearnedDays | None:
    """Return what was learned of lanes, unless it is stale by then."""
    learned = reference.learned
    return None if learned is None or learned.until < released_at else learned


def _units_at(plan: Plan) -> dict[int, int]:
    """Return the units that leave each place."""
    found: dict[int, int] = {}
    for parcel in plan.parcels:
        found[parcel.index] = found.get(parcel.index, 0) + sum(quantity for _, quantity in parcel.units)
    return found


def _leg(
    reference: Reference,
    learned: LearnedDays | None,
    index: int,
    service: int | None,
    lead_days: int,
    released_at: datetime,
    units: int,
    to_state: str | None,
) -> Leg | None:
    """Return when a parcel is to leave a location and how long it travels; None where it never leaves.

    `units` are those of all parcels there: they are one piece of work.
    """
    leaves = reference.calendars[index].due_day(released_at, units)
    if leaves is None:
        return None
    found = foretold(reference, learned, index, service, to_state, released_at, leaves)
    if found is None:
        return Leg(leaves, lead_days)
    return Leg(leaves, found.days, True, found.late_days, found.chosen.foretold, found.chosen.said)


def foretold(
    reference: Reference,
    learned: LearnedDays | None,
    index: int,
    service: int | None,
    to_state: str | None,
    released_at: datetime,
    leaves: date,
) -> Foretold | None:
    """Return what was learned of a parcel from a place of the network; None: nothing was."""
    if learned is None or service is None or to_state not in STATES:
        return None
    place, calendar = reference.details[index], reference.calendars[index]
    if place.state not in STATES:
        return None
    released = min(leaves, calendar.local(released_at).date())
    waiting = reference.waiting_there(place.id, released_at)
    return learned.parcel(place.id, calendar, released, leaves, (service, place.state, to_state), waiting)


def made_of(
    plan: Plan,
    reference: Reference,
    released_at: datetime,
    to_state: str | None,
    claims: Sequence[NewClaim] = (),
    *,
    line_of: Mapping[int, int] | None = None,
    stated: bool = False,
) -> Made | None:
    """Return what the date of a plan, and of claims on supply, is made of; None where nothing travels.

    `line_of` says which line of the order a line of the plan is, where they differ.
    """
    if to_state not in STATES:
        return None
    learned = in_use(reference, released_at)
    legs = []
    shipped = _shipped(plan, reference, released_at)
    if shipped is None:
        return None
    for x in shipped:
        leg = _leg(reference, learned, x.place, x.service, x.days, x.asked_at, x.units, to_state)
        arrives = None if leg is None else rules.arrival([leg], to_state)
        if leg is None or arrives is None:
            return None
        lines = sorted({n if line_of is None else line_of[n] for n in x.lines})
        legs.append(
            MadeLeg(
                location=reference.network.location_ids[x.place],
                service=x.service,
                lines=lines,
                grams=x.grams,
                cut_off=reference.calendars[x.place].cut_off,
                leaves=leg.leaves,
                days=leg.transit_days,
                learned=leg.learned,
                late_days=leg.late_days,
                foretold=leg.foretold,
                said=leg.said,
                arrives=arrives,
            )
        )
    last = max((leg.arrives for leg in legs), default=None)
    # What arrives before the last parcel has a better chance than its own day says: nobody is told that one.
    legs = [leg if leg.arrives == last else msgspec.structs.replace(leg, foretold=None, said=None) for leg in legs]
    supply = _supply_of(claims)
    if not legs and not supply:
        return None
    by = learned if any(leg.learned for leg in legs) else None
    return Made(
        released_at=released_at,
        to_state=to_state or "",
        legs=legs,
        supply=supply,
        version=None if by is None else by.version,
        level=None if by is None else by.level,
        stated=stated,
    )


def _supply_of(claims: Iterable[NewClaim]) -> list[MadeSupply]:
    return [MadeSupply(line=c.line, expected=c.eta, not_before=c.not_before, days=c.days) for c in claims]


def ready_of(
    plan: Plan,
    reference: Reference,
    index: int,
    released_at: datetime,
    claims: Sequence[NewClaim] = (),
    *,
    line_of: Mapping[int, int] | None = None,
    stated: bool = False,
) -> Made | None:
    """Return what the ready time of a plan at the place it is fetched at, and of claims on supply, is made of.

    None: nothing of it is planned, or somebody never opens. See `ready_at`, and `made_of` for `line_of`.
    """
    supply, ready = _supply_of(claims), None
    units = sum(units for _, _, units in plan.assignments)
    at = _all_there_at(plan, reference, index, released_at) if units else None
    when = None if at is None else _ready_at(reference, index, at, units)
    if at is not None and when is not None:
        ready = MadeReady(
            location=reference.network.location_ids[index],
            lines=sorted({line if line_of is None else line_of[line] for line, _, _ in plan.assignments}),
            cut_off=reference.calendars[index].cut_off,
            there_at=at if at > released_at else None,
            due_at=when.due_at,
            late_days=when.late_days,
            ready_at=when.ready_at,
        )
    if ready is None and not supply:
        return None
    learned = in_use(reference, released_at) if ready is not None and ready.late_days else None
    return Made(
        released_at=released_at,
        to_state="",
        ready=ready,
        supply=supply,
        version=None if learned is None else learned.version,
        level=None if learned is None else learned.level,
        stated=stated,
    )


def promise_of(plan: Plan, reference: Reference, released_at: datetime, to_state: str | None) -> date | None:
    """Return the day by whose end an order is to arrive; None where nothing travels or a location never opens."""
    legs = legs_of(plan, reference, released_at, to_state)
    return None if legs is None else rules.arrival(legs, to_state)


def ready_at(plan: Plan, reference: Reference, index: int, released_at: datetime, units: int) -> datetime | None:
    """Return when what is planned for a place is ready to be fetched there; None where somebody never opens.

    What is brought there leaves its location as other work would, is there after the working days of its lane when the
    place opens, and is made ready as work of that day; all of an order at once.
    """
    at = _all_there_at(plan, reference, index, released_at)
    found = None if at is None else _ready_at(reference, index, at, units)
    return None if found is None else found.ready_at


def _all_there_at(plan: Plan, reference: Reference, index: int, released_at: datetime) -> datetime | None:
    """Return from when work may be done with all that a plan brings to a place; None where some of it never leaves."""
    network, home = reference.network, reference.network.places[index].home
    lanes = network.brought.get(home, {})
    at, place = released_at, reference.details[index]
    sent = _units_at(plan) if plan.lead_days is not None else {}
    for origin, count in sent.items():
        if network.places[origin].home == home or network.location_ids[origin] not in lanes:
            continue
        calendar, (_, days) = reference.calendars[origin], lanes[network.location_ids[origin]]
        leaves, left = calendar.due_day(released_at, count), calendar.due_at(released_at, count)
        if leaves is None or left is None:
            return None
        there = rules.there_on(leaves, days, place.state)
        at = max(at, left if not days else datetime.combine(there, time(), ZoneInfo(place.timezone)).astimezone(UTC))
    return at


def days_of(
    plan: Plan,
    claims: Sequence[NewClaim],
    reference: Reference,
    released_at: datetime,
    to_state: str | None,
    pickup: int | None = None,
    arrives: date | None = None,
    ready: datetime | None = None,
) -> dict[int, datetime] | None:
    """Return until when each line is there, the last of its units counting; None where some never leave.

    This is what an order is promised, and what is shown before. A day ends where the goods go.

    Args:
        plan: What is at hand, or sent by vendors.
        claims: What is sold ahead of it.
        reference: The network.
        released_at: From when its order can be released.
        to_state: Where it goes; None: it is fetched.
        pickup: The index of the place it is fetched at.
        arrives: The day on which what travels from stock is there, where that is known.
        ready: When what is at hand is ready to be fetched, where that is known.
    """
    zone = reference.zone.key if pickup is None else reference.details[pickup].timezone
    days = promised([*claims, *dropping.supply_of(plan, reference.snapshot, released_at)], to_state, zone)
    if not plan.assignments:
        return days
    if pickup is not None:
        units = sum(units for _, _, units in plan.assignments)
        at = ready or ready_at(plan, reference, pickup, released_at, units)
    else:
        day = arrives or promise_of(plan, reference, released_at, to_state)
        at = None if day is None else rules.end_of(day, to_state, zone)
    if at is None:
        return None
    for line, _, _ in plan.assignments:
        days[line] = max(at, days.get(line, at))
    return days


def not_promised(channel: Channel, lines: Iterable[tuple[str, int]]) -> list[NotPromised]:
    """Return why units of SKUs are promised to nobody on a channel: its order of so many would wait for a person."""
    most = channel.most_units
    if most is None:
        return []
    return [
        NotPromised(
            reason="quantity",
            sku=sku,
            asked=asked,
            most_units=most,
            says=translate(current_language(), OVER_MOST_UNITS, sku=sku, most_units=most, asked=asked),
        )
        for sku, asked in gate.beyond(lines, most).items()
    ]


def carries(reference: Reference, to_state: str) -> bool:
    """Tell whether any service that is offered has a price from any location to a state, whatever is in stock."""
    origins = {place.state for place in reference.details}
    quote = reference.network.tariff.quote
    return any(quote(service.id, origin, to_state, 1) for service in reference.shipping for origin in origins)


async def options(
    tx: Tx,
    reference: Reference,
    channel: Channel,
    wanted: Wanted,
    *,
    id_: UUID,
    to_state: str | None,
    postal_code: str | None,
    customer_group: str | None = None,
    value: int | None = None,
) -> Options:
    """Return how a basket can reach its customer: by each service, or fetched at the places of the channel.

    Args:
        tx: The transaction.
        reference: The network and goods as intake knows them.
        channel: Where the basket is.
        wanted: Its lines.
        id_: Any id: it breaks ties as an order's would.
        to_state: Where it is to be brought; None: no deliveries.
        postal_code: From where the nearest places are; None: all are alike.
        customer_group: Whose fences and caps it may use.
        value: What the order would come to, for routing rules that ask; None: not known.
    """
    now = await tx.now()
    taker = Taker(channel.id, customer_group)
    cards = [card for card, _ in wanted]
    planner = await availability.planner(tx, reference, taker, cards, now, postal_code, value)
    released = released_at(reference, channel, cards, now)
    fetched = collections(
        planner, reference, channel, taker, wanted, released, nearest(reference, channel, postal_code), id_=id_
    )
    return Options(
        deliveries=deliveries(
            planner, reference, taker, wanted, released, id_=id_, to_state=to_state, to_cep=postal_code
        ),
        collections=await _with_slots(tx, reference, fetched),
    )


async def _with_slots(tx: Tx, reference: Reference, fetched: Sequence[Collection]) -> list[Collection]:
    """Return places to fetch at with their first free slots, where they state any."""
    ready = {collection.location: collection.ready_at for collection in fetched}
    places = [place for place in reference.details if place.code in ready]
    slots = await capacity.offers(tx, places, Kind.PICKUP, ready={place.id: ready[place.code] for place in places})
    by_code = {place.code: slots[place.id] for place in places if place.id in slots}
    return [
        msgspec.structs.replace(one, slots=[slot_of(slot) for slot in by_code[one.location]])
        if one.location in by_code
        else one
        for one in fetched
    ]


def released_at(reference: Reference, channel: Channel, cards: Sequence[Card], now: datetime) -> datetime:
    """Return when an order placed now would be released: after its channel's delay and a pre-order's release day."""
    at = now + timedelta(minutes=channel.release_delay_minutes)
    today = reference.day_of(now)
    for card in cards:
        for stated in (card.ahead, *card.parts_ahead.values()):
            policy = policy_for(stated, channel.id, today) if stated else None
            if policy is not None and policy.release_on is not None:
                at = max(at, reference.midnight(policy.release_on))
    return at


def deliveries(
    planner: availability.Planner,
    reference: Reference,
    taker: Taker,
    wanted: Wanted,
    released: datetime,
    *,
    id_: UUID,
    to_state: str | None,
    to_cep: str | None,
) -> list[Delivery]:
    """Return how a basket can be brought, by each service; the soonest first, then the cheaper."""
    found: list[Delivery] = []
    if to_state is None:
        return found
    basket = availability.basket_request(id_, taker, wanted, to_state=to_state, pickup=None)
    basket = msgspec.structs.replace(basket, to_cep=to_cep)
    for service in reference.shipping:
        found_by = planner(msgspec.structs.replace(basket, service_id=service.id))
        delivery = delivery_by(service, found_by, reference, released, to_state)
        if delivery is not None:
            found.append(delivery)
    found.sort(key=lambda d: (d.arrives, d.price, d.service))
    return found


Near = Sequence[tuple[int, float | None]]  # indexes of places, and how far they are


def collections(
    planner: availability.Planner,
    reference: Reference,
    channel: Channel,
    taker: Taker,
    wanted: Wanted,
    released: datetime,
    near: Near,
    *,
    id_: UUID,
) -> list[Collection]:
    """Return where a basket can be fetched, of some places; the nearest first, else the soonest."""
    found: list[Collection] = []
    for index, kilometres in near:
        place = reference.network.location_ids[index]
        found_at = planner(availability.basket_request(id_, taker, wanted, to_state=None, pickup=place))
        collection = _collection(reference, channel, index, kilometres, found_at, released)
        if collection is not None:
            found.append(collection)
    found.sort(key=lambda c: (c.kilometres is None, c.kilometres or 0, c.ready_at, c.location))
    return found


class _Ready(NamedTuple):
    """When work is due at a location, the working days it was learned to be late, and when it is ready by both."""

    due_at: datetime
    late_days: int
    ready_at: datetime


def _ready_at(reference: Reference, index: int, released: datetime, units: int) -> _Ready | None:
    """Return when work is ready to be fetched: when it is due, or days later at a location that was learned to be late.

    None: the location never works.
    """
    calendar = reference.calendars[index]
    due, learned = calendar.due_at(released, units), in_use(reference, released)
    if due is None:
        return None
    if learned is None:
        return _Ready(due, 0, due)
    day = calendar.local(due).date()
    place = reference.network.location_ids[index]
    late = learned.late_days(place, day, reference.waiting_there(place, released))
    ready = due if late == 0 else calendar.closing_on(calendar.shifted(day, late))
    return None if ready is None else _Ready(due, late, ready)


def delivery_by(
    service: Service, found: availability.Planned, reference: Reference, released: datetime, to_state: str
) -> Delivery | None:
    """Return how a basket is brought by a service, as its order would be promised; None where not all of it can be.

    What vendors send of it takes their working days and then its way, as `dropping.supply_of` says it to an order; what
    is sold ahead of it waits for its supply.
    """
    plan = found.plan
    if uncovered(plan.unplaced, dropping.units_in(plan) | by_line(found.claims)):
        return None
    legs = legs_of(plan, reference, released, to_state) if plan.assignments else []
    sent = dropping.supply_of(plan, reference.snapshot, released)
    waits = [*found.claims, *sent]
    if legs is None or not (legs or waits):
        return None
    days = days_of(plan, found.claims, reference, released, to_state, arrives=rules.arrival(legs, to_state))
    if not days:
        return None
    last = max(days.values())
    return Delivery(
        service=service.code,
        name=service.name,
        carrier=service.carrier,
        price=sum(_freight(one) for one in (plan, *found.carriage))
        + sum(one.freight for one in dropping.dropped_in(plan)),
        packages=sum(one.packages for one in (plan, *found.carriage)) + len({one.location_id for one in sent}),
        leaves=max([leg.leaves for leg in legs] + [_leaves_on(one, to_state) for one in waits]),
        transit_days=max([leg.transit_days for leg in legs] + [one.transit for one in waits]),
        learned=not waits and all(leg.learned for leg in legs),
        arrives=rules.day_promised(last, to_state, reference.zone.key),
        promised_at=min(days.values()),
        complete_at=last,
        lines=_line_days(days, to_state, reference.zone.key),
        ahead=_sold_ahead(found.claims),
    )


def _leaves_on(claim: NewClaim, to_state: str | None) -> date:
    """Return the day on which what waits for supply leaves, so that it is there when it is promised."""
    return rules.there_on(max(claim.eta, claim.not_before or claim.eta), claim.days - claim.transit, to_state)


def _line_days(days: Mapping[int, datetime], to_state: str | None, zone: str) -> list[LineDay]:
    """Return when each line is there, where they differ."""
    if len(set(days.values())) == 1:
        return []
    return [LineDay(line, rules.day_promised(at, to_state, zone), at) for line, at in sorted(days.items())]


def _sold_ahead(claims: Sequence[NewClaim]) -> list[LineAhead]:
    """Return what is sold ahead, by line."""
    return [
        LineAhead(
            line=line,
            units=units,
            from_day=availability.last_day(claims, line),
            release_on=max([c.not_before for c in claims if c.line == line and c.not_before is not None], default=None),
        )
        for line, units in sorted(by_line(claims).items())
    ]


def _freight(plan: Plan) -> int:
    """Return what the carriage of a plan costs, from where its goods come together too, in centavos."""
    onward = plan.basis.onward
    return sum(parcel.freight for parcel in plan.parcels) + (0 if onward is None else onward.freight)


def nearest(
    reference: Reference,
    channel: Channel,
    postal_code: str | None,
    may: Callable[[Place], bool] = lambda place: place.can_pickup,
) -> list[tuple[int, float | None]]:
    """Return the places of a channel that will do, the nearest ones if a postal code is known.

    `may` says of each whether it will; unless stated, those where goods can be fetched do.
    """
    places = [
        index for index in availability.places_of(reference, channel, None) if may(reference.network.places[index])
    ]
    origin = None if postal_code is None else locate(postal_code)
    if origin is None:
        return [(index, None) for index in places[:NEAREST]]
    here = origin.latitude, origin.longitude
    far: list[tuple[float, int]] = []
    unknown: list[int] = []
    for index in places:
        at = reference.details[index]
        if at.latitude is None or at.longitude is None:
            unknown.append(index)
        else:
            far.append((distance_km(*here, at.latitude, at.longitude), index))
    near: list[tuple[int, float | None]] = [(index, round(km, 1)) for km, index in nsmallest(NEAREST, far)]
    return [*near, *((index, None) for index in unknown[: NEAREST - len(near)])]


def _collection(
    reference: Reference,
    channel: Channel,
    index: int,
    kilometres: float | None,
    found: availability.Planned,
    released: datetime,
) -> Collection | None:
    """Return when a basket can be fetched at a place; None where not all of it can be."""
    if uncovered(found.plan.unplaced, by_line(found.claims)):
        return None
    days = days_of(found.plan, found.claims, reference, released, None, index)
    if not days:
        return None
    location = reference.details[index]
    return Collection(
        location=location.code,
        name=location.name,
        city=location.address.city or None,
        kilometres=kilometres,
        ready_at=max(days.values()),
        brought=found.plan.lead_days is not None,
        opening_hours=location.opening_hours,
        days_kept=channel.pickup_days or location.pickup_days,
        lines=_line_days(days, None, location.timezone),
        ahead=_sold_ahead(found.claims),
    )


def slot_of(slot: Slot) -> FreeSlot:
    """Return a slot as it is offered."""
    return FreeSlot(day=slot.key.day, starts=f"{slot.key.starts:%H:%M}", ends=f"{slot.ends:%H:%M}", left=slot.left)
