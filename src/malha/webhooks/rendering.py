"""An event of the log as others are told it: the body that is sent, the item of a feed."""

from collections.abc import Sequence
from typing import Any

import msgspec

from malha.platform.db import Tx
from malha.platform.eventlog import Recorded
from malha.webhooks import catalogue, reads, rules
from malha.webhooks.catalogue import PUBLIC, Envelope, Names

encode = msgspec.json.Encoder().encode


async def names_for(tx: Tx, events: Sequence[Recorded]) -> tuple[list[dict[str, Any]], Names]:
    """Return the facts of events, in their order, and the codes of what they name."""
    facts = [event.facts() for event in events]
    skus: set[int] = set()
    for event, said in zip(events, facts, strict=True):
        skus |= catalogue.skus_in(said, PUBLIC[event.type])
    return facts, await reads.names(tx, skus)


def envelope_of(event: Recorded, facts: dict[str, Any], names: Names, within: frozenset[int] | None) -> Envelope:
    """Return an event as it is told to somebody who sees all locations, or those `within`."""
    return Envelope(
        id=rules.id_of(event.position, event.key, event.seq, event.type, event.at),
        type=event.type,
        version=event.version,
        timestamp=event.at,
        subject=event.key,
        sequence=event.seq,
        actor=event.actor,
        cursor=event.position,
        data=catalogue.data_of(facts, PUBLIC[event.type], names, within),
    )


async def render(tx: Tx, events: Sequence[Recorded], locations: Sequence[int] | None) -> list[Envelope]:
    """Return events as they are told, in their order."""
    if not events:
        return []
    facts, names = await names_for(tx, events)
    within = None if locations is None else frozenset(locations)
    return [envelope_of(event, said, names, within) for event, said in zip(events, facts, strict=True)]
