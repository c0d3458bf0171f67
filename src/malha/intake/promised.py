"""What a basket can be promised now: planned as its order would be, so that the order gets what was shown.

The same plan, the same cut-offs and calendars decide what intake promises an order (`promise_of`).
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from heapq import nsmallest

import msgspec

from malha.intake import availability
from malha.intake.reference import Card, Channel, Reference
from malha.inventory.allotments.model import Taker
from malha.network.model import Service
from malha.network.places import locate
from malha.network.tariff import distance_km
from malha.platform.db import Tx
from malha.platform.ids import UUID
from malha.promising import rules
from malha.promising.model import Collection, Delivery, Leg, Options
from malha.routing.model import Plan

NEAREST = 20  # places to fetch at that are looked at
Wanted = Sequence[tuple[Card, int]]


def legs_of(plan: Plan, reference: Reference, released_at: datetime, to_state: str | None) -> list[Leg] | None:
    """Return when each parcel of a plan is to leave and by when it is there; None where one never leaves.

    What was learned of a lane counts before the tariff's days, as long as it is not stale.
    """
    if plan.lead_days is None:
        return None
    learned = reference.learned
    days = {} if learned is None or learned.until < released_at or to_state is None else learned.days
    legs = []
    for index, service in {(parcel.index, parcel.service_id) for parcel in plan.parcels}:
        leaves = reference.calendars[index].due_day(released_at)
        if leaves is None:
            return None
        found = None if service is None else days.get((service, reference.details[index].state, to_state or ""))
        legs.append(Leg(leaves, plan.lead_days if found is None else found, found is not None))
    return legs


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
    """
    now = await tx.now()
    taker = Taker(channel.id, customer_group)
    stocked = sorted({part for card, _ in wanted for part in card.stocked})
    planner = await availability.planner(tx, reference, taker, stocked, now)
    released = now + timedelta(minutes=channel.release_delay_minutes)
    deliveries: list[Delivery] = []
    if to_state is not None:
        basket = availability.basket_request(id_, taker, wanted, to_state=to_state, pickup=None)
        for service in reference.shipping:
            plan, _ = planner(msgspec.structs.replace(basket, service_id=service.id))
            found = _delivery(service, plan, reference, released, to_state)
            if found is not None:
                deliveries.append(found)
    deliveries.sort(key=lambda d: (d.arrives, d.price, d.service))
    collections: list[Collection] = []
    for index, kilometres in _nearest(reference, channel, postal_code):
        place = reference.network.location_ids[index]
        plan, _ = planner(availability.basket_request(id_, taker, wanted, to_state=None, pickup=place))
        ready = reference.calendars[index].due_at(released)
        if plan.unplaced or ready is None:
            continue
        collections.append(_collection(reference, channel, index, kilometres, ready))
    collections.sort(key=lambda c: (c.kilometres is None, c.kilometres or 0, c.ready_at, c.location))
    return Options(deliveries=deliveries, collections=collections)


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


def _nearest(reference: Reference, channel: Channel, postal_code: str | None) -> list[tuple[int, float | None]]:
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
    reference: Reference, channel: Channel, index: int, kilometres: float | None, ready: datetime
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
