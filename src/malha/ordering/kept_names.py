"""Work on orders that goes on in the name of somebody who began it and went away."""

from malha.identity import present_rights
from malha.identity.errors import RightsLost
from malha.ordering import service
from malha.platform.db import Tx
from malha.platform.ids import UUID


async def take_up(tx: Tx, order_id: UUID, permission: str) -> None:
    """Let a transaction that was opened in a kept name go on with what its actor may do, and where, at this moment.

    Args:
        tx: in the kept name (`Actor.of_label`).
        order_id: the order that is next. It is locked where its actor is limited to locations.
        permission: what is about to be done needs it.

    Raises:
        RightsLost: the actor may not do this any more, or not to this order.
    """
    tx.actor = await present_rights.as_now(tx, tx.actor)
    if not tx.actor.may(permission):
        raise RightsLost(person=tx.actor.name)
    if tx.actor.locations is None:
        return
    if not await service.seen_of(tx, [await service.lock_order(tx, order_id)]):
        raise RightsLost(person=tx.actor.name)
