"""Events on their way out: written in the transaction that makes the fact, moved into the log by the sequencer.

An event belongs to an aggregate (`key`) and carries that aggregate's version (`seq`), taken under its row's lock; (key,
seq) is unique, so two writers can never both be "the third thing that happened". Payloads hold ids and facts, no
personal data.
"""

from collections.abc import Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any, ClassVar

import msgspec

from malha.platform import arrays
from malha.platform.db import Tx

_encode = msgspec.json.Encoder().encode

# The unique index on (key, seq) is the order of an aggregate's life; a clash means a missing row lock in the caller.
ADD_EVENTS = """
INSERT INTO outbox (key, seq, type, version, payload, actor, at)
SELECT key, seq, type, version, payload, actor, coalesce(at, now())
FROM unnest(%(keys)s::text[], %(seqs)s::int[], %(types)s::text[], %(versions)s::smallint[], %(payloads)s::json[],
            %(actors)s::text[], %(ats)s::timestamptz[]) AS w(key, seq, type, version, payload, actor, at)
"""


# Only rows of the caller's own transaction are still here for it to see and change.
RESTATE_EVENTS = """
UPDATE outbox o SET at = w.at
FROM unnest(%(keys)s::text[], %(types)s::text[], %(ats)s::timestamptz[]) AS w(key, type, at)
WHERE o.key = w.key AND o.type = w.type
"""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Base of what happened. Subclasses are named noun + past participle and set `TYPE` ("order.placed")."""

    TYPE: ClassVar[str]
    VERSION: ClassVar[int] = 1
    KIND: ClassVar[str]  # of aggregate: "order", "balance", "fulfillment"

    id: Any  # the aggregate's identifier
    seq: int

    @property
    def key(self) -> str:
        """Return the aggregate's key in the log, like `order:0190...`."""
        return f"{self.KIND}:{self.id}"

    def payload(self) -> str:
        """Return the event's own facts as JSON: everything but `seq`."""
        facts = msgspec.structs.asdict(self)
        del facts["seq"]
        return _encode(facts).decode()


async def add(tx: Tx, *events: Event) -> None:
    """Record events in the caller's transaction. They become visible to subscribers after it commits."""
    await add_all(tx, events)


async def add_all(
    tx: Tx, events: Sequence[Event], actors: Sequence[str] | None = None, ats: Sequence[str] = ()
) -> None:
    """Record many events with one statement, in the order of their keys (opposite orders would deadlock).

    `actors` gives each event its own actor label, where one transaction carries the work of several callers; `ats` says
    when each happened (ISO 8601), if that is not now.
    """
    if not events:
        return
    labels = actors or [tx.actor.label] * len(events)
    instants = ats or [""] * len(events)
    rows = sorted(
        ((e.key, e.seq, e, who, when) for e, who, when in zip(events, labels, instants, strict=True)),
        key=itemgetter(0, 1),
    )
    keys, seqs, sorted_events, whose, when = zip(*rows, strict=True)
    await tx.cursor_of(
        ADD_EVENTS,
        {
            "keys": arrays.texts(keys),
            "seqs": arrays.ints(seqs),
            "types": arrays.texts([e.TYPE for e in sorted_events]),
            "versions": arrays.ints([e.VERSION for e in sorted_events]),
            "payloads": arrays.texts([e.payload() for e in sorted_events]),
            "actors": arrays.texts(whose),
            # Shorter than the others, it is filled with NULLs: now.
            "ats": arrays.bare(when if ats else ()),
        },
    )


async def restate(tx: Tx, moments: Sequence[tuple[str, str, datetime]]) -> None:
    """Say when events recorded in this transaction happened, as (key, type, instant): for history that is imported."""
    await tx.execute(
        RESTATE_EVENTS,
        {
            "keys": [key for key, _, _ in moments],
            "types": [type_ for _, type_, _ in moments],
            "ats": [at for _, _, at in moments],
        },
    )
