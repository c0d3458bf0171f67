"""What needs attention: events a subscriber could not handle, why, and the replay."""

from datetime import datetime

import msgspec

from malha.api.work import Work, command, query
from malha.channels.partners import list_reads as partners
from malha.channels.partners.list_reads import Overdue
from malha.identity import reads as identity
from malha.identity.reads import KeyView
from malha.ordering import reads as orders
from malha.platform import audit, failures, parking
from malha.platform.parking import ParkedKey
from malha.webhooks import service as webhooks
from malha.webhooks.model import MANAGES, EndpointState, WebhookMaker


class DisabledWebhook(msgspec.Struct, frozen=True):
    """A webhook that is told nothing any more: it answered 410, or nothing arrived for days."""

    id: int
    name: str
    since: datetime | None
    why: str | None
    error: str | None


class OrphanedWebhook(msgspec.Struct, frozen=True):
    """A webhook that is told what happens though who answered for it has no access any more."""

    id: int
    name: str
    maker: WebhookMaker


class Attention(msgspec.Struct, frozen=True):
    """Records whose events wait, those no longer tried first; at most 200. And webhooks that we gave up on.

    `partners` are those with requests that are overdue; empty for who is limited to some locations. `keys` go on
    working though who made them has no access any more; empty for who may not change keys. `orphaned_webhooks` are the
    same of webhooks; empty for who may not change those.
    """

    items: list[ParkedKey]
    webhooks: list[DisabledWebhook]
    partners: list[Overdue]
    keys: list[KeyView]
    orphaned_webhooks: list[OrphanedWebhook]


@query("/attention", permission="doctor:read")
async def list_attention(work: Work) -> Attention:
    """List records with events that could not be handled, and why.

    Later events of such a record wait behind the one that failed; all other records go on. `retrying` is tried again by
    itself at `retry_at`, `parked` waits for a replay.
    """
    parked = await parking.needs_attention(work.tx)
    scope = work.actor.locations
    own = parked if scope is None else await orders.parked_at(work.tx, parked, sorted(scope))
    disabled = [
        DisabledWebhook(e.id, e.name, e.stopped_at, e.why, e.error and failures.shown(e.error))
        for e in await webhooks.all_seen(work.tx)
        if e.state == EndpointState.DISABLED
    ]
    overdue = [] if scope is not None else await partners.overdue(work.tx)
    keys = await identity.orphaned_keys(work.tx) if work.actor.may("identity:manage") else []
    orphaned = [
        OrphanedWebhook(endpoint.id, endpoint.name, maker)
        for endpoint, maker in (await webhooks.orphaned(work.tx) if work.actor.may(MANAGES) else [])
    ]
    return Attention(own, disabled, overdue, keys, orphaned)


@command("/attention/{subscriber:str}/{key:str}/replay", permission="settings:manage")
async def replay_events(work: Work, subscriber: str, key: str) -> None:
    """Have the waiting events of a record handled again, in order, within a second.

    For after the cause was removed. What fails again stays in the list.
    """
    await parking.ask_replay(work.tx, subscriber, key)
    await audit.record(work.tx, action="replay", entity="event", entity_id=f"{subscriber}/{key}")


handlers = [list_attention, replay_events]
