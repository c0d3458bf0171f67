"""Freezing a location, or a zone of it, while it is counted: no new work goes there, and nothing leaves it.

New work stays away from a location because it is paused, which routing and the gate already look at; and from one that
somebody opens meanwhile, or whose own pause ends, because intake takes what is frozen for paused. A balance has no
zone: of a zone what stands still are the SKUs its count counts, wherever in the location they are; intake leaves them
out, with the reference data that it knows allotments by. That nothing leaves is asked by whoever lets goods leave, with
`refuse_frozen`.
"""

from collections.abc import Iterable, Sequence

from malha.inventory import announcing
from malha.inventory.allotments import reads as allotments
from malha.inventory.counts import reads
from malha.inventory.counts.errors import AlreadyFrozen, LocationFrozen, ZoneFrozen
from malha.inventory.counts.model import Task
from malha.inventory.model import Reason
from malha.network import reads as network
from malha.network import service as places
from malha.network import sites
from malha.network.model import LocationStatus
from malha.platform import revisions
from malha.platform.db import Tx
from malha.platform.i18n import N_

WHY = N_("physical inventory")  # as it is stored; pages say it in the reader's language


async def freeze(tx: Tx, location_id: int) -> bool:
    """Freeze a location; return whether that paused it, or it had been paused before.

    Raises:
        AlreadyFrozen: another count froze it, or its site.
    """
    place = (await network.locations_by_id(tx, [location_id]))[location_id]
    await sites.lock(tx, [place.code])  # before the look: another owner's goods at the site may be frozen right now
    if await reads.frozen(tx, [location_id]):
        raise AlreadyFrozen
    await revisions.bump(tx, network.REVISION)
    place = (await network.locations_by_id(tx, [location_id]))[location_id]
    if place.status != LocationStatus.ACTIVE:
        return False
    return bool(await places.pause_locations(tx, [place.code], WHY))


async def thaw(tx: Tx, task: Task) -> None:
    """End a count's freeze; the location opens again if the freeze had paused it, and nobody paused it meanwhile."""
    if not task.frozen:
        return
    place = (await network.locations_by_id(tx, [task.location_id]))[task.location_id]
    await sites.lock(tx, [place.code])
    place = (await network.locations_by_id(tx, [task.location_id]))[task.location_id]
    if task.paused and (place.paused_reason, place.paused_until) == (WHY, None):
        await places.resume_locations(tx, [place.code])
    await revisions.bump(tx, network.REVISION)


async def freeze_zone(tx: Tx, places: Sequence[int], skus: Sequence[int]) -> None:
    """Let goods of some locations stand still: no order is sent there for them from now on, and they do not leave.

    A batch of orders that was planned before finds the number changed under which it claims, and plans again.
    """
    await revisions.bump(tx, allotments.REVISION)
    await announcing.decreased(tx, [(sku, place) for sku in skus for place in places], Reason.COUNT.value)


async def thaw_zone(tx: Tx, task: Task, skus: Sequence[int]) -> None:
    """Let the goods of a count's zone be sold again, to whoever waits for them first."""
    if task.zone_frozen:
        await revisions.bump(tx, allotments.REVISION)
        await announcing.increased(tx, [(sku, place) for sku in skus for place in task.places], Reason.COUNT.value)


async def refuse_frozen(tx: Tx, goods: Iterable[tuple[int | None, int]]) -> None:
    """Refuse to let goods, by (sku_id, location_id), leave a location that is frozen, or a frozen zone of it.

    Raises:
        LocationFrozen: all of one of the locations is.
        ZoneFrozen: some of the goods are.
    """
    leaving = set(goods)
    found = await reads.frozen(tx, sorted({location for _, location in leaving}))
    if found:
        raise LocationFrozen(location=found[0].location, number=found[0].number)
    zone = await reads.frozen_among(tx, sorted((sku, location) for sku, location in leaving if sku is not None))
    if zone is not None:
        raise ZoneFrozen(sku=zone.sku, location=zone.location, number=zone.number)
