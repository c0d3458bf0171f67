"""Counts that the system raises: goods were not found, are suspected not to be there, or a source says otherwise."""

from collections.abc import Sequence
from typing import NamedTuple

from malha.inventory.counts import reads, writes
from malha.inventory.counts.events import CountRaised
from malha.inventory.counts.model import Source
from malha.platform import outbox
from malha.platform.db import Tx
from malha.platform.ids import UUID, new_id


class Raised(NamedTuple):
    """The count that SKUs joined."""

    id: UUID
    number: int


async def raise_for(tx: Tx, location_id: int, skus: Sequence[int], source: Source, note: str = "") -> Raised:
    """Have SKUs counted because something about them is odd; they join the open count of its site. Safe to repeat."""
    places = await reads.on_one_shelf(tx, location_id)
    location_id = places[0]
    params = {
        "id": new_id(),
        "whole_site": len(places) > 1,
        "location_id": location_id,
        "source": source.value,
        "note": note,
        "limit_units": 0,
        "limit_value": 0,
        "actor": tx.actor.label,
    }
    ((id_, number, seq),) = await tx.tuples(writes.ENSURE_RAISED, params)
    await tx.execute(writes.ADD_LINES, {"task_id": id_, "skus": sorted(set(skus))})
    if seq == 1:
        event = CountRaised(
            id=id_, seq=1, number=number, location_id=location_id, kind="cycle", source=source.value, frozen=False
        )
        await outbox.add(tx, event)
    return Raised(id_, int(number))
