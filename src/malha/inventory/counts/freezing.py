"""Freezing a location while everything in it is counted: no new work goes there, and nothing leaves it.

New work stays away because the location is paused, which routing and the gate already look at. That nothing leaves is
asked by whoever lets goods leave, with `refuse_frozen`.
"""

from collections.abc import Sequence

from malha.inventory.counts import reads
from malha.inventory.counts.errors import AlreadyFrozen, LocationFrozen
from malha.inventory.counts.model import Task
from malha.network import reads as network
from malha.network import service as places
from malha.network.model import LocationStatus
from malha.platform.db import Tx

WHY = "physical inventory"


async def freeze(tx: Tx, location_id: int) -> bool:
    """Freeze a location; return whether that paused it, or it had been paused before.

    Raises:
        AlreadyFrozen: another count froze it.
    """
    if await reads.frozen(tx, [location_id]):
        raise AlreadyFrozen
    place = (await network.locations_by_id(tx, [location_id]))[location_id]
    if place.status != LocationStatus.ACTIVE:
        return False
    return bool(await places.pause_locations(tx, [place.code], WHY))


async def thaw(tx: Tx, task: Task) -> None:
    """End a count's freeze; the location opens again if the freeze had paused it."""
    if not (task.frozen and task.paused):
        return
    place = (await network.locations_by_id(tx, [task.location_id]))[task.location_id]
    await places.resume_locations(tx, [place.code])


async def refuse_frozen(tx: Tx, location_ids: Sequence[int]) -> None:
    """Refuse to let goods leave a location that is frozen.

    Raises:
        LocationFrozen: one of them is.
    """
    found = await reads.frozen(tx, location_ids)
    if found:
        raise LocationFrozen(location=found[0].location, number=found[0].number)
