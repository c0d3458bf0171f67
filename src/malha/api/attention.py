"""What needs attention: events a subscriber could not handle, why, and the replay."""

import msgspec

from malha.api.work import Work, command, query
from malha.ordering import reads as orders
from malha.platform import audit, parking
from malha.platform.parking import ParkedKey


class Attention(msgspec.Struct, frozen=True):
    """Records whose events wait, those that are no longer tried first; at most 200."""

    items: list[ParkedKey]


@query("/attention", permission="doctor:read")
async def list_attention(work: Work) -> Attention:
    """List records with events that could not be handled, and why.

    Later events of such a record wait behind the one that failed; all other records go on. `retrying` is tried again by
    itself at `retry_at`, `parked` waits for a replay.
    """
    parked = await parking.needs_attention(work.tx)
    scope = work.actor.locations
    return Attention(parked if scope is None else await orders.parked_at(work.tx, parked, sorted(scope)))


@command("/attention/{subscriber:str}/{key:str}/replay", permission="settings:manage")
async def replay_events(work: Work, subscriber: str, key: str) -> None:
    """Have the waiting events of a record handled again, in order, within a second.

    For after the cause was removed. What fails again stays in the list.
    """
    await parking.ask_replay(work.tx, subscriber, key)
    await audit.record(work.tx, action="replay", entity="event", entity_id=f"{subscriber}/{key}")


handlers = [list_attention, replay_events]
