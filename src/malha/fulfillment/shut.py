"""Orders whose time to be released has come while a location of theirs takes no work.

Nobody is asked there: a closed location never answers, and one that is paused has said why it does not. Where somebody
else has the goods they go from there; where nobody has, they wait for a paused location, and a person is told of a
closed one.
"""

from collections.abc import Collection, Sequence
from datetime import datetime

from malha.fulfillment import reads
from malha.intake import replanning, supplying
from malha.network import reads as network
from malha.network.calendar import Calendar
from malha.network.model import Location, LocationStatus
from malha.ordering import holds as order_holds
from malha.ordering import service as ordering
from malha.ordering.model import WAITING, HoldKind, Order, Unit, UnitState
from malha.platform.db import Tx
from malha.platform.ids import UUID

AT_ONCE = 200


class _Stays(Exception):
    """Nobody else has all of it: what was tried is undone."""


async def due(tx: Tx, limit: int = AT_ONCE) -> list[UUID]:
    """Return orders that are to be released from a location that takes no work, the longest waiting first."""
    return await tx.values(reads.DUE_AT_SHUT, {"limit": limit})


async def shut_among(tx: Tx, locations: Collection[int], *, closed_only: bool = False) -> set[int]:
    """Return which of some locations take no work: those that are closed and, unless `closed_only`, paused ones."""
    statuses = [LocationStatus.CLOSED] if closed_only else [LocationStatus.CLOSED, LocationStatus.PAUSED]
    wanted = {"locations": sorted(set(locations)), "statuses": [status.value for status in statuses]}
    return set(await tx.values(reads.SHUT_AMONG, wanted)) if wanted["locations"] else set()


async def leave(tx: Tx, order_id: UUID) -> bool:
    """Plan a due order anew whose location takes no work; tell whether it was.

    What a closed location had and nobody else has is short from now on, and held for a person. Of a paused one nothing
    moves unless all of it has a place elsewhere, nor where the pause ends so soon that no working day is lost by it.
    An order that somebody has in hand, or that is held, is left.
    """
    orders = await ordering.lock_orders(tx, [order_id], skip_busy=True)
    order = orders.get(order_id)
    now = await tx.now()
    if order is None or order.release_after > now or (await ordering.open_holds(tx, [order_id]))[order_id]:
        return False
    units = (await ordering.units_of(tx, [order_id]))[order_id]
    places = await _shut_places(tx, order, units)
    if any(place.status is LocationStatus.CLOSED for place in places):
        await replanning.replan(tx, order_id)
        await _say_what_is_short(tx, order_id)
        return True
    if not [place for place in places if not await _ends_in_time(tx, place, now)]:
        return False
    try:
        async with tx.savepoint():
            await _move_whole(tx, order_id, _waiting(units))
    except _Stays:
        return False
    return True


async def _move_whole(tx: Tx, order_id: UUID, before: int) -> None:
    """Plan an order anew of which so many units waited before.

    Raises:
        _Stays: more do now.
    """
    await replanning.replan(tx, order_id)
    if _waiting((await ordering.units_of(tx, [order_id]))[order_id]) > before:
        raise _Stays


async def _shut_places(tx: Tx, order: Order, units: Sequence[Unit]) -> list[Location]:
    """Return the locations that an order is to be released from, or fetched at, and that take no work."""
    ids = {u.location_id for u in units if u.state is UnitState.ALLOCATED and u.location_id is not None}
    found = await network.locations_by_id(tx, ids | ({order.comes_to} if order.comes_to is not None else set()))
    shut = [place for place in found.values() if place.status is not LocationStatus.ACTIVE]
    # Where it is only fetched a pause is no reason: what is on its way there arrives after it.
    return [place for place in shut if place.id in ids or place.status is LocationStatus.CLOSED]


async def _ends_in_time(tx: Tx, place: Location, now: datetime) -> bool:
    """Tell whether what waits for the end of a pause is done on the day it would be done now."""
    if place.paused_until is None:
        return False
    closures = frozenset([day for day, _ in await tx.tuples(network.CLOSURES_OF, {"location": place.id})])
    calendar = Calendar(place, closures)
    return calendar.due_day(max(now, place.paused_until)) == calendar.due_day(now)


def _waiting(units: Sequence[Unit]) -> int:
    return sum(u.quantity for u in units if u.state in WAITING)


async def _say_what_is_short(tx: Tx, order_id: UUID) -> None:
    """Hold an order that found no other place for all of it, unless its routing rule holds it already."""
    units = (await ordering.units_of(tx, [order_id]))[order_id]
    short = supplying.uncovered(units, await supplying.covered(tx, order_id))
    held = (await ordering.open_holds(tx, [order_id]))[order_id]
    if short and HoldKind.ROUTING_RULE not in held:
        detail = {"lines": sorted({u.line for u in short}), "units": sum(u.quantity for u in short)}
        await order_holds.ensure_holds(tx, {order_id: detail}, HoldKind.SHORTAGE)
