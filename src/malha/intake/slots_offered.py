"""Slots that a basket can be brought or fetched in, the full ones as such: for whoever agrees on one with a customer.

A delivery slot is of one location, which then sends all of the order: it is offered where that location can.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import msgspec

from malha.capacity import reads as stated
from malha.capacity import service as capacity
from malha.capacity.model import Kind
from malha.intake import availability, promised
from malha.intake.reference import Reference
from malha.inventory.allotments.model import Taker
from malha.network.model import Channel, Location
from malha.platform.db import Tx
from malha.platform.ids import UUID
from malha.promising.model import Collection, FreeSlot


class Offered(msgspec.Struct, frozen=True, kw_only=True):
    """The next slots of a location, once goods are ready there; `left` is 0 of those that are full."""

    location: str
    name: str
    slots: Sequence[FreeSlot]


async def of_pickup(tx: Tx, reference: Reference, one: Collection) -> list[Offered]:
    """Return the slots of a place where a basket can be fetched; nothing where it takes no appointments."""
    if one.slots is None:
        return []
    places = [place for place in reference.details if place.code == one.location]
    return await _of(tx, places, Kind.PICKUP, {place.id: one.ready_at for place in places})


async def of_delivery(
    tx: Tx,
    reference: Reference,
    channel: Channel,
    wanted: promised.Wanted,
    service: str,
    *,
    id_: UUID,
    to_state: str,
    postal_code: str | None,
    value: int | None = None,
) -> list[Offered]:
    """Return the delivery slots of the locations that can send all of a basket by a service, the nearest first.

    Nobody is asked for stock where no location states such slots; see `promised.options` for the arguments.
    """
    homes = set(await stated.stating(tx, Kind.DELIVERY))
    way = next((one for one in reference.snapshot.active_services() if one.code == service), None)
    if not homes or way is None or not wanted:
        return []
    near = promised.nearest(reference, channel, postal_code, lambda place: place.can_ship and place.home in homes)
    now = await tx.now()
    cards = [card for card, _ in wanted]
    taker = Taker(channel.id)
    planner = await availability.planner(tx, reference, taker, cards, now, postal_code, value)
    released = promised.released_at(reference, channel, cards, now)
    basket = availability.basket_request(id_, taker, wanted, to_state=to_state, pickup=None)
    ready: dict[int, datetime] = {}
    for index, _kilometres in near:
        place = reference.details[index]
        if place.home in ready:
            continue
        others = {other.id for other in reference.details if other.home != place.home}
        found = planner(
            msgspec.structs.replace(
                basket, to_cep=postal_code, service_id=way.id, excluded={line.line: others for line in basket.lines}
            )
        )
        delivery = promised.delivery_by(way, found, reference, released, to_state)
        units = sum(units for _, _, units in found.plan.assignments)
        at = promised.ready_at(found.plan, reference, index, released, units) if delivery and units else None
        if delivery is not None:
            leaves = datetime.combine(delivery.leaves, time(), ZoneInfo(place.timezone)).astimezone(UTC)
            ready[place.home] = leaves if at is None else max(at, leaves)
    details = {place.id: place for place in reference.details}
    return await _of(tx, [details[id_] for id_ in ready if id_ in details], Kind.DELIVERY, ready)


async def _of(tx: Tx, places: Iterable[Location], kind: Kind, ready: dict[int, datetime]) -> list[Offered]:
    known = list(places)
    found = await capacity.offers(tx, known, kind, ready=ready, full=True)
    return [
        Offered(location=place.code, name=place.name, slots=[promised.slot_of(slot) for slot in found[place.id]])
        for place in known
        if found.get(place.id)
    ]
