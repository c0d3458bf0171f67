"""What a basket can be promised now: planned as its order would be, so that the order gets what was shown.

The same plan, the same cut-offs and calendars decide what intake promises an order (`promise_of`).
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from heapq import nsmallest
from zoneinfo import ZoneInfo

import msgspec

from malha.capacity import service as capacity
from malha.capacity.model import Kind, Slot
from malha.intake import availability
from malha.intake.reference import Card, Channel, Reference
from malha.inventory.ahead.model import NewClaim
from malha.inventory.ahead.rules import policy_for
from malha.inventory.allotments.model import Taker
from malha.network.model import Service
from malha.network.places import locate
from malha.network.tariff import distance_km
from malha.platform.brazil import STATES
from malha.platform.db import Tx
from malha.platform.i18n import DEFAULT_ZONE
from malha.platform.ids import UUID
from malha.promising import rules
from malha.promising.model import Collection, Delivery, FreeSlot, Leg, Made, MadeLeg, MadeSupply, Options
from malha.promising.reads import LearnedDays
from malha.routing.model import Plan

NEAREST = 20  # places to fetch at that are looked at
Wanted = Sequence[tuple[Card, int]]


def legs_of(plan: Plan, reference: Reference, released_at: datetime, to_state: str | None) -> list[Leg] | None:
    """Return when each parcel of a plan is to leave and by when it is there; None where one never leaves.

    What was learned of a lane counts before the tariff's days, as long as it is not stale.
    """
    if plan.lead_days is None:
        return None
    learned = _in_use(reference, released_at)
    legs = []
    units = _units_at(plan)
    for index, service in {(parcel.index, parcel.service_id) for parcel in plan.parcels}:
        leg = _leg(reference, learned, index, service, plan.lead_days, released_at, to_state, units[index])
        if leg is None:
            return None
        legs.append(leg)
    return legs


def _in_use(reference: Reference, released_at: datetime) -> LearnedDays | None:
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
    to_state: str | None,
    units: int,
) -> Leg | None:
    """Return when a parcel is to leave a location and how long it travels; None where it never leaves.

    `units` are those of all parcels there: they are one piece of work.
    """
    leaves = reference.calendars[index].due_day(released_at, units)
    if leaves is None:
        return None
    found = None
    if learned is not None and service is not None and to_state is not None:
        found = learned.days.get((service, reference.details[index].state, to_state))
    return Leg(leaves, lead_days if found is None else found, found is not None)


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
    learned = _in_use(reference, released_at)
    legs = []
    units = _units_at(plan)
    for parcel in plan.parcels if plan.lead_days is not None else ():
        at, days = parcel.index, plan.lead_days or 0
        leg = _leg(reference, learned, at, parcel.service_id, days, released_at, to_state, units[at])
        arrives = None if leg is None else rules.arrival([leg], to_state)
        if leg is None or arrives is None:
            return None
        lines = sorted({n if line_of is None else line_of[n] for n, _ in parcel.units})
        legs.append(
            MadeLeg(
                location=reference.network.location_ids[parcel.index],
                service=parcel.service_id,
                lines=lines,
                grams=parcel.grams,
                cut_off=reference.calendars[parcel.index].cut_off,
                leaves=leg.leaves,
                days=leg.transit_days,
                learned=leg.learned,
                arrives=arrives,
            )
        )
    supply = [MadeSupply(line=c.line, expected=c.eta, not_before=c.not_before, days=c.days) for c in claims]
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


def promise_of(plan: Plan, reference: Reference, released_at: datetime, to_state: str | None) -> date | None:
    """Return the day by whose end an order is to arrive; None where nothing travels or a location never opens."""
    legs = legs_of(plan, reference, released_at, to_state)
    return None if legs is None else rules.arrival(legs, to_state)


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
    stocked = sorted({part for card, _ in wanted for part in card.stocked})
    await reference.learn_kinds(tx, [card.id for card, _ in wanted])
    goods = [card.id for card, _ in wanted]
    planner, _ = await availability.planner(tx, reference, taker, stocked, now, postal_code, goods, value)
    released = released_at(channel, [card for card, _ in wanted], now)
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
        msgspec.structs.replace(one, slots=[_free(slot) for slot in by_code[one.location]])
        if one.location in by_code
        else one
        for one in fetched
    ]


def released_at(channel: Channel, cards: Sequence[Card], now: datetime) -> datetime:
    """Return when an order placed now would be released: after its channel's delay and a pre-order's release day."""
    at = now + timedelta(minutes=channel.release_delay_minutes)
    today = now.astimezone(ZoneInfo(DEFAULT_ZONE)).date()
    for card in cards:
        for stated in (card.ahead, *card.parts_ahead.values()):
            policy = policy_for(stated, channel.id, today) if stated else None
            if policy is not None and policy.release_on is not None:
                at = max(at, datetime.combine(policy.release_on, time(), ZoneInfo(DEFAULT_ZONE)).astimezone(UTC))
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
        plan, _ = planner(msgspec.structs.replace(basket, service_id=service.id))
        delivery = _delivery(service, plan, reference, released, to_state)
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
        plan, _ = planner(availability.basket_request(id_, taker, wanted, to_state=None, pickup=place))
        ready = reference.calendars[index].due_at(released, sum(quantity for _, quantity in wanted))
        if plan.unplaced or ready is None:
            continue
        found.append(_collection(reference, channel, index, kilometres, ready))
    found.sort(key=lambda c: (c.kilometres is None, c.kilometres or 0, c.ready_at, c.location))
    return found


def _delivery(service: Service, plan: Plan, reference: Reference, released: datetime, to_state: str) -> Delivery | None:
    if plan.unplaced:
        return None
    legs = legs_of(plan, reference, released, to_state)
    arrives = None if legs is None else rules.arrival(legs, to_state)
    if not legs or arrives is None:
        return None
    return Delivery(
        service=service.code,
        name=service.name,
        carrier=service.carrier,
        price=sum(parcel.freight for parcel in plan.parcels),
        packages=plan.packages,
        leaves=max(leg.leaves for leg in legs),
        transit_days=max(leg.transit_days for leg in legs),
        learned=all(leg.learned for leg in legs),
        arrives=arrives,
        promised_at=rules.end_of(arrives),
    )


def nearest(reference: Reference, channel: Channel, postal_code: str | None) -> list[tuple[int, float | None]]:
    """Return the places of a channel where goods can be fetched, the nearest ones if a postal code is known."""
    places = [
        index
        for index in availability.places_of(reference, channel, None)
        if reference.network.places[index].can_pickup
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
    ready: datetime,
) -> Collection:
    location = reference.details[index]
    return Collection(
        location=location.code,
        name=location.name,
        city=location.address.city or None,
        kilometres=kilometres,
        ready_at=ready,
        opening_hours=location.opening_hours,
        days_kept=channel.pickup_days or location.pickup_days,
    )


def _free(slot: Slot) -> FreeSlot:
    return FreeSlot(day=slot.key.day, starts=f"{slot.key.starts:%H:%M}", ends=f"{slot.ends:%H:%M}", left=slot.left)
