"""A part of a piece of work goes ahead: what was picked of it becomes work of its own, which is packed and leaves.

The rest stays what it was, at the same location and due at the same time.
"""

from collections.abc import Sequence

import msgspec

from malha.capacity import picking
from malha.fulfillment import rules, writes
from malha.fulfillment.events import UnitsPicked, WorkAccepted, WorkReleased
from malha.fulfillment.model import Picked, Work, WorkState
from malha.fulfillment.work import about, add, restate, slots_of, take_up
from malha.ordering import service as ordering
from malha.ordering.model import UnitState
from malha.platform.db import Tx
from malha.platform.ids import UUID, new_id


async def go_ahead(tx: Tx, work_id: UUID, picked: Sequence[Picked]) -> Work:
    """Take picked units out of a piece of work into one of their own, and return that. Open work is accepted by this.

    Raises:
        WorkNotFound: there is no such work, or it is outside the actor's locations.
        WrongState: it is picked, packed or over.
        NotThatMany, Invalid: see `rules.plan_pick`.
    """
    desk = await take_up(tx, work_id)
    desk.need(WorkState.OPEN, WorkState.ACCEPTED, WorkState.PICKING)
    to_pick = [u for u in desk.units if u.state in {UnitState.RELEASED, UnitState.PICKING}]
    found, _ = rules.plan_pick(to_pick, picked, [])
    work = desk.work
    if work.state is WorkState.OPEN:  # whole rows move in place: what is planned on them stands
        accepted = WorkAccepted(**about(work))
        await ordering.move_units(tx, desk.order.id, rules.moves_to(desk.units, UnitState.PICKING), accepted)
    units = sum(u.quantity for u in found)
    (part,) = await add(
        tx,
        {
            "ids": [new_id()],
            "orders": [desk.order.id],
            "locations": [work.location_id],
            "methods": [work.method],
            "services": [work.service_id],
            "days": [work.capacity_day],
            "dues": [work.due_at],
            "slot_locations": [work.slot_location_id],
            "slot_starts": [work.slot_starts],
            "slot_ends": [work.slot_ends],
            "units": [units],
            "to_locations": [work.to_location_id],
        },
    )
    await tx.execute(writes.TAKE_FOR_PART, {"location": work.location_id, "day": work.capacity_day})
    moves = [msgspec.structs.replace(m, fulfillment_id=part.id) for m in rules.moves_to(found, UnitState.PICKED)]
    taken = [(u.line, u.sku_id or 0, u.quantity) for u in found]
    after = await ordering.move_units(
        tx,
        desk.order.id,
        moves,
        WorkReleased(**about(part), units=units, due_at=part.due_at),
        UnitsPicked(**about(part), lines=taken),
    )
    await restate(tx, [work, part], after, ended=WorkState.CANCELLED)
    await picking.add(
        tx, slots_of([part])
    )  # after what the rest gave back: together they take no more units than before
    return part
