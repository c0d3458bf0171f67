"""The feed of events: whoever asks with a cursor is told what came after it, of what they may see.

A cursor is a position in the log. It is the reader's: nothing is kept here of who has read how far.
"""

from collections.abc import Sequence

import msgspec

from malha.platform.db import Tx
from malha.webhooks import catalogue, reads, rendering
from malha.webhooks.catalogue import Envelope
from malha.webhooks.errors import CursorAhead, EventsGone

WINDOW = 50_000  # positions looked through at once: rare types must not make one answer read the whole log


class Told(msgspec.Struct, frozen=True):
    """Events after a cursor, the cursor to go on with, and whether there may be more right away."""

    items: list[Envelope]
    cursor: int
    more: bool


def types_for(tx: Tx, wanted: Sequence[str]) -> tuple[str, ...]:
    """Return the types that the actor is told of these; no names mean all."""
    return catalogue.types_of(wanted or ("*",), tx.actor.may)


async def end(tx: Tx) -> int:
    """Return the cursor after everything that has happened."""
    last, _first = await reads.ends(tx)
    return last


async def read(tx: Tx, after: int, types: Sequence[str], most: int) -> Told:
    """Return up to `most` events after a cursor.

    Raises:
        EventsGone: the log no longer reaches back to there.
        CursorAhead: the log ends before it.
    """
    last, first = await reads.ends(tx)
    if after > last:
        raise CursorAhead(cursor=after, last=last)
    if after + 1 < first and after < last:
        raise EventsGone(cursor=after, first=first)
    if after == last or not types:
        return Told([], last, more=False)
    reach = min(after + WINDOW, last)
    own = tx.actor.locations
    locations = None if own is None else sorted(own)
    events = await reads.feed(tx, since=after, reach=reach, types=types, locations=locations, most=most)
    told = await rendering.render(tx, events, locations)
    cursor = events[-1].position if len(events) == most else reach
    return Told(told, cursor, more=cursor < last)
