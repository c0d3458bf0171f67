"""Needs attention: events a subscriber could not handle, the later events of their keys, and how they run again.

A key that failed is tried again by itself with growing pauses; after the last attempt it waits for a person's replay.
Everything here happens under the lock of the subscriber's checkpoint, so a replay and a batch never interleave on one
key.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
import structlog

from malha.platform.db import Database, Tx, takes_nothing
from malha.platform.errors import MalhaError, NotFound
from malha.platform.eventlog import Recorded, Subscription

log = structlog.get_logger(__name__)

ATTEMPTS = 6  # of a set-aside key, before it waits for a person
FIRST_PAUSE = timedelta(seconds=2)


class ParkedKey(msgspec.Struct, frozen=True):
    """A key whose events wait, and why."""

    subscriber: str
    key: str
    state: str
    attempts: int
    retry_at: datetime | None
    cause: str
    error: str
    position: int
    first_failed_at: datetime
    last_failed_at: datetime
    waiting: int


# Waits, unlike a batch: a replay and the batch runner must not interleave on one key.
WAIT_FOR_CHECKPOINT = """
SELECT position, set_config('synchronous_commit', 'off', true)
FROM subscriber WHERE name = %(name)s::text FOR NO KEY UPDATE
"""
# New failures only: a key that is already parked keeps its first cause.
PARK_KEYS = """
INSERT INTO parked_key (subscriber, key, retry_at, cause, error, position)
SELECT %(name)s::text, key, now() + %(pause)s::interval, cause, error, position
FROM unnest(%(keys)s::text[], %(causes)s::text[], %(errors)s::text[], %(positions)s::bigint[])
     f (key, cause, error, position)
ON CONFLICT (subscriber, key) DO NOTHING
"""
# Copies, so that dropping a partition of the log loses nothing that waits.
PARK_EVENTS = """
INSERT INTO parked_event (subscriber, key, position, at, seq, version, type, actor, payload)
SELECT %(name)s::text, key, position, at, seq, version, type, actor, payload
FROM event WHERE position = ANY (%(positions)s::bigint[])
ON CONFLICT DO NOTHING
"""
# Partial index on what is due.
DUE_KEYS = """
SELECT subscriber, key FROM parked_key
WHERE state = 'retrying' AND retry_at <= now() AND subscriber = ANY (%(names)s::text[])
ORDER BY retry_at LIMIT 100
"""
# Primary key prefix, in order.
WAITING_EVENTS = """
SELECT position, at, seq, version, key, type, actor, payload::text AS payload
FROM parked_event WHERE subscriber = %(name)s::text AND key = %(key)s::text ORDER BY position
"""
# Those before the one that still fails are done.
FORGET_EVENTS = """
DELETE FROM parked_event WHERE subscriber = %(name)s::text AND key = %(key)s::text AND position < %(position)s::bigint
"""
# Its events go with it.
UNPARK_KEY = "DELETE FROM parked_key WHERE subscriber = %(name)s::text AND key = %(key)s::text"
# attempts counts up to the last automatic one; then only a person's replay tries again.
NOTE_RETRY = """
UPDATE parked_key
SET attempts = attempts + 1, cause = %(cause)s::text, error = %(error)s::text, position = %(position)s::bigint,
    last_failed_at = now(), state = CASE WHEN attempts + 1 < %(limit)s::int THEN 'retrying' ELSE 'parked' END,
    retry_at = CASE WHEN attempts + 1 < %(limit)s::int
                    THEN now() + interval '1 second' * (2 ^ least(attempts + 1, 12)) END
WHERE subscriber = %(name)s::text AND key = %(key)s::text
"""
# A person's replay: the worker picks it up within a second.
ASK_REPLAY = """
UPDATE parked_key SET state = 'retrying', attempts = 0, retry_at = now()
WHERE subscriber = %(name)s::text AND key = %(key)s::text
"""
# The same for many records of one subscriber.
ASK_REPLAYS = """
UPDATE parked_key SET state = 'retrying', attempts = 0, retry_at = now()
WHERE subscriber = %(name)s::text AND key = ANY (%(keys)s::text[])
RETURNING key
"""
# Small table: every row needs a person.
NEEDS_ATTENTION = """
SELECT subscriber, key, state, attempts, retry_at, cause, error, position, first_failed_at, last_failed_at,
       (SELECT count(*) FROM parked_event e WHERE e.subscriber = p.subscriber AND e.key = p.key) AS waiting
FROM parked_key p
ORDER BY (state = 'parked') DESC, first_failed_at
LIMIT %(limit)s::int
"""


class Failure(msgspec.Struct, frozen=True):
    """An event its subscriber could not handle."""

    event: Recorded
    error: Exception


def cause_of(error: BaseException) -> str:
    """Return a failure's short name: a refusal's code, else the exception's class."""
    return error.code if isinstance(error, MalhaError) else type(error).__name__


async def park(tx: Tx, name: str, failures: dict[str, Failure], events: Sequence[Recorded]) -> None:
    """Set keys aside with the events that failed, and copy the events that wait behind a failed one, old or new."""
    if failures:
        rows = sorted(failures.items())
        await tx.execute(
            PARK_KEYS,
            {
                "name": name,
                "pause": FIRST_PAUSE,
                "keys": [key for key, _ in rows],
                "causes": [cause_of(f.error) for _, f in rows],
                "errors": [str(f.error)[:2000] for _, f in rows],
                "positions": [f.event.position for _, f in rows],
            },
        )
    if events:
        await tx.execute(PARK_EVENTS, {"name": name, "positions": [e.position for e in events]})


async def replay(db: Database, subscription: Subscription, key: str) -> bool:
    """Run the waiting events of a parked key again, in order; return whether all went through and the key is free.

    What succeeds before an event that still fails is done and forgotten; the failure is counted and noted.
    """
    name = subscription.name
    async with db.transaction() as tx:
        await tx.execute(WAIT_FOR_CHECKPOINT, {"name": name})
        events = await tx.all(Recorded, WAITING_EVENTS, {"name": name, "key": key})
        for event in events:
            try:
                async with tx.savepoint():
                    await subscription.handler(tx, [event])
            except Exception as error:
                if tx.connection.closed or takes_nothing(error):
                    raise
                at = {"name": name, "key": key, "position": event.position}
                await tx.execute(FORGET_EVENTS, at)
                await tx.execute(
                    NOTE_RETRY, {**at, "cause": cause_of(error), "error": str(error)[:2000], "limit": ATTEMPTS}
                )
                log.warning("event_failed_again", subscriber=name, key=key, position=event.position, exc_info=error)
                return False
        await tx.execute(UNPARK_KEY, {"name": name, "key": key})
    return True


async def ask_replay(tx: Tx, subscriber: str, key: str) -> None:
    """Have the worker run a parked key again within a second: the replay button.

    Raises:
        NotFound: nothing of that key is parked for that subscriber.
    """
    if not await tx.execute(ASK_REPLAY, {"name": subscriber, "key": key}):
        raise NotFound(what="parked event", key=key)


async def ask_replays(tx: Tx, subscriber: str, keys: Sequence[str]) -> list[str]:
    """Have the worker run some parked keys again within a second; return those that were parked."""
    return await tx.values(ASK_REPLAYS, {"name": subscriber, "keys": list(keys)})


async def needs_attention(tx: Tx, limit: int = 200) -> list[ParkedKey]:
    """Return the keys that wait, those no longer tried first, oldest first."""
    return await tx.all(ParkedKey, NEEDS_ATTENTION, {"limit": limit})


async def retry_due(db: Database, subscriptions: Sequence[Subscription]) -> int:
    """Run the set-aside keys whose time has come; return how many went through."""
    by_name = {s.name: s for s in subscriptions}
    async with db.transaction() as tx:
        due = await tx.tuples(DUE_KEYS, {"names": list(by_name)})
    return sum([await replay(db, by_name[name], key) for name, key in due])
