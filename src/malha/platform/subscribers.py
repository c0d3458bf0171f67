"""Subscribers: read the log in batches by position, each behind a checkpoint of its own.

The checkpoint moves in the handler's transaction, so a batch happens entirely or not at all, whatever dies when;
handlers are idempotent anyway, because a replay may run them again. The checkpoint row's lock is the right to run: two
workers never run one subscriber at the same time. Order is promised per key.

When a batch fails for a reason that lies outside the events (a lost connection, a lock not granted), the whole
subscriber waits and tries again. When events are to blame, the batch is halved until they are found; they and the later
events of their keys are set aside (`malha.platform.parking`). All other keys go on. A batch in which nothing at all
succeeds parks nothing: that is the handler, not the events, and the subscriber waits, visibly behind.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

import msgspec
import structlog
from psycopg import InterfaceError, OperationalError

from malha.platform.db import Database, Tx, takes_nothing
from malha.platform.errors import Busy, MalhaError
from malha.platform.eventlog import Recorded, Subscription
from malha.platform.notices import hear
from malha.platform.parking import Failure, cause_of, needs_attention, park, retry_due
from malha.platform.rounds import Rounds
from malha.platform.sequencer import make_partitions, rest, sequence

log = structlog.get_logger(__name__)

# Trying the same again may well succeed: connection lost, deadlock, lock not granted, disk full, server starting.
_OUTSIDE = (Busy, OSError)  # of the database
_UNREACHABLE = (OperationalError, InterfaceError, *_OUTSIDE)

WINDOW = 20_000  # positions looked through at once for events of the wanted types
SYSTEMIC = 20  # keys failing in one batch without one success: the handler is broken, not the events
ISOLATE_AFTER = 4  # failures of a whole batch in a row, for reasons outside the events, before events are suspected
GATHER_SECONDS = 0.25  # between two looks at the log, so that a busy hour is handled in batches
UNTOLD_SECONDS = 1.0  # a look at the log without a notification
RETRY_SECONDS = 1.0  # how often due retries are looked for
AT_ONCE = 3  # subscribers of one worker that may hold a connection at the same time


class EventsParked(MalhaError):
    """Draining left events behind that their subscriber could not handle."""

    status = 500
    code = "events_parked"
    says = "Aggregates with events that could not be handled: {count}. The first: {subscriber} on {key}: {error}"
    mend = "Correct the cause, then replay them from the list of what needs attention."


class HandlerFails(MalhaError):
    """Nothing in a batch of many keys succeeds: the cause is not in the events."""

    status = 500
    code = "handler_fails"
    says = "The subscriber {subscriber} succeeds with none of its events: {error}"
    mend = "Correct the cause; the subscriber tries again by itself."


class Failing(msgspec.Struct, frozen=True):
    """A subscriber none of whose events can be handled, and why."""

    name: str
    behind: int
    failures: int
    error: str
    moved_at: datetime


# A new subscriber starts at the beginning of the log.
REGISTER_SUBSCRIBERS = """
INSERT INTO subscriber (name) SELECT unnest(%(names)s::text[]) ON CONFLICT DO NOTHING
"""
# The right to run; another worker's subscriber is left alone. `reach` bounds what one batch looks through. A crash
# takes back the commit of a batch and all that followed it together, so it need not wait for the disk.
LOCK_CHECKPOINT = """
SELECT s.position, least(s.position + %(window)s::bigint, q.position), set_config('synchronous_commit', 'off', true)
FROM subscriber s CROSS JOIN sequencer q
WHERE s.name = %(name)s::text
FOR NO KEY UPDATE OF s SKIP LOCKED
"""
# Primary key range within one or two partitions. What is parked is read under the checkpoint's lock, hence in this
# statement.
READ_EVENTS = """
SELECT position, at, seq, version, key, type, actor, payload::text AS payload,
       key IN (SELECT key FROM parked_key WHERE subscriber = %(name)s::text) AS waits
FROM event
WHERE position > %(since)s::bigint AND position <= %(reach)s::bigint
  AND (%(types)s::text[] IS NULL OR type = ANY (%(types)s::text[]))
  AND (%(prefix)s::text IS NULL OR starts_with(key, %(prefix)s::text))
ORDER BY position
LIMIT %(batch)s::int
"""
# Under the checkpoint's lock: what is set aside now stays so until the end of the batch.
SETS_ASIDE = "SELECT EXISTS (SELECT FROM parked_key WHERE subscriber = %(name)s::text)"
# The row is locked by this transaction.
MOVE_CHECKPOINT = """
UPDATE subscriber SET position = %(position)s::bigint, moved_at = now(), failures = 0, error = NULL
WHERE name = %(name)s::text
"""
# Written after the failed batch was rolled back, so that it is seen.
NOTE_FAILURE = """
UPDATE subscriber SET failures = failures + 1, error = %(error)s::text WHERE name = %(name)s::text RETURNING failures
"""
# A handful of rows.
FAILING = """
SELECT s.name, q.position - s.position AS behind, s.failures, coalesce(s.error, '') AS error, s.moved_at
FROM subscriber s CROSS JOIN sequencer q WHERE s.failures > 0 ORDER BY s.name
"""
# One row per subscriber.
CHECKPOINTS = """
SELECT s.name, s.position, q.position FROM subscriber s CROSS JOIN sequencer q WHERE s.name = ANY (%(names)s::text[])
"""
# What kinds of events lie between the checkpoints and the end of the log, and the last of each. Primary key range.
KINDS_BETWEEN = """
SELECT type, split_part(key, ':', 1), max(position) FROM event
WHERE position > %(since)s::bigint AND position <= %(reach)s::bigint
GROUP BY 1, 2
"""
# Subscribers for which there is nothing up to `reach`, all at once. One that runs, or has moved meanwhile, is left
# alone.
SKIP_QUIET = """
WITH quiet AS MATERIALIZED (
    SELECT s.name, set_config('synchronous_commit', 'off', true)
    FROM subscriber s JOIN unnest(%(names)s::text[], %(positions)s::bigint[]) AS w (name, position)
      ON s.name = w.name AND s.position = w.position
    ORDER BY s.name
    FOR NO KEY UPDATE OF s SKIP LOCKED
)
UPDATE subscriber s SET position = %(reach)s::bigint, moved_at = now() FROM quiet WHERE s.name = quiet.name
"""
# Subscribers the code no longer has hold the log's partitions back for nothing.
RETIRE_SUBSCRIBER = "DELETE FROM subscriber WHERE name = %(name)s::text"


def _is_outside(error: BaseException) -> bool:
    """Tell whether the reason lies outside the events: trying the same again may well succeed."""
    return isinstance(error, _UNREACHABLE)


async def register(db: Database, subscriptions: Sequence[Subscription]) -> None:
    """Make sure every subscription has its checkpoint row; a new one starts at the beginning of the log.

    Raises:
        ValueError: two subscriptions have one name.
    """
    names = [s.name for s in subscriptions]
    if len(set(names)) != len(names):
        raise ValueError(f"two subscriptions have one name: {sorted(names)}")
    async with db.transaction() as tx:
        await tx.execute(REGISTER_SUBSCRIBERS, {"names": sorted(names)})


async def run_batch(db: Database, subscription: Subscription) -> bool:
    """Run one batch; return whether there may be more right away.

    Events that fail are set aside with their keys and the rest goes through.

    Raises:
        Exception: the batch failed as a whole; nothing happened but that the failure was noted on the checkpoint row.
    """
    try:
        return await _attempt(db, subscription, isolate=False)
    except Exception as error:
        if takes_nothing(error):  # no event is to blame, and the failure could not be noted
            raise
        if not _is_outside(error):
            return await _isolate(db, subscription)
        async with db.transaction() as tx:
            failures: int = await tx.value(
                NOTE_FAILURE, {"name": subscription.name, "error": f"{cause_of(error)}: {error}"}
            )
        if failures >= ISOLATE_AFTER:
            return await _isolate(db, subscription)
        raise


async def _isolate(db: Database, subscription: Subscription) -> bool:
    try:
        return await _attempt(db, subscription, isolate=True)
    except HandlerFails as error:
        async with db.transaction() as tx:
            await tx.execute(NOTE_FAILURE, {"name": subscription.name, "error": error.facts["error"]})
        raise


async def _attempt(db: Database, subscription: Subscription, *, isolate: bool) -> bool:
    name = subscription.name
    async with db.transaction() as tx:
        found = await tx.tuples(LOCK_CHECKPOINT, {"name": name, "window": WINDOW})
        if not found:
            return False
        since, reach, _ = found[0]
        if reach <= since:
            return False
        more: bool = reach - since == WINDOW
        if subscription.sweep is not None and not isolate and not await tx.value(SETS_ASIDE, {"name": name}):
            await subscription.sweep(tx, since, reach)
            await tx.execute(MOVE_CHECKPOINT, {"name": name, "position": reach})
            return more
        events = await tx.all(
            Recorded,
            READ_EVENTS,
            {
                "name": name,
                "since": since,
                "reach": reach,
                "types": list(subscription.types) or None,
                "prefix": subscription.kind and f"{subscription.kind}:",
                "batch": subscription.batch,
            },
        )
        if len(events) == subscription.batch:
            reach = events[-1].position
            more = True
        behind = [e for e in events if e.waits]
        if behind:
            events = [e for e in events if not e.waits]
        failures: dict[str, Failure] = {}
        if isolate:
            failed = await _halve(tx, subscription, events, failures)
            if len(failures) >= SYSTEMIC and len(failed) == len(events):
                cause = failures[failed[0].key].error
                raise HandlerFails(subscriber=name, error=f"{cause_of(cause)}: {cause}") from cause
            behind += failed
        elif events:
            await subscription.handler(tx, events)
        await park(tx, name, failures, behind)
        await tx.execute(MOVE_CHECKPOINT, {"name": name, "position": reach})
    for failure in failures.values():
        log.warning(
            "event_set_aside",
            subscriber=name,
            key=failure.event.key,
            position=failure.event.position,
            exc_info=failure.error,
        )
    return more


async def _halve(
    tx: Tx, subscription: Subscription, events: list[Recorded], failures: dict[str, Failure]
) -> list[Recorded]:
    """Run events, halving what fails down to single events; return all that wait: the failed and those behind them."""
    behind = [e for e in events if e.key in failures]
    events = [e for e in events if e.key not in failures]
    if not events:
        return behind
    try:
        async with tx.savepoint():
            await subscription.handler(tx, events)
    except Exception as error:
        if tx.connection.closed or takes_nothing(error):
            raise
        if len(events) == 1:
            failures[events[0].key] = Failure(events[0], error)
            return [*behind, *events]
        middle = len(events) // 2
        behind += await _halve(tx, subscription, events[:middle], failures)
        behind += await _halve(tx, subscription, events[middle:], failures)
    return behind


async def failing(tx: Tx) -> list[Failing]:
    """Return the subscribers whose batches fail as a whole."""
    return await tx.all(Failing, FAILING)


async def retire(tx: Tx, subscriber: str) -> None:
    """Forget a subscriber the code no longer has, with its checkpoint and what is parked for it."""
    await tx.execute(RETIRE_SUBSCRIBER, {"name": subscriber})


async def run_subscribers(db: Database, subscriptions: Sequence[Subscription], stop: asyncio.Event) -> None:
    """Run all subscriptions until `stop` is set; outlives a lost database and any handler's failure."""
    rounds = Rounds(log, waits="subscribers_wait", failed="subscribers_failed", also=_OUTSIDE)
    known = False
    while not (known or stop.is_set()):
        with rounds:
            await register(db, subscriptions)
            known = True
        if not known:
            await rest(stop, 1.0)
    turns = asyncio.Semaphore(AT_ONCE)
    wake = {s.name: asyncio.Event() for s in subscriptions}
    async with asyncio.TaskGroup() as tasks:
        for subscription in subscriptions:
            tasks.create_task(_follow(db, subscription, turns, wake[subscription.name], stop))
        tasks.create_task(_watch(db, subscriptions, wake, stop, rounds))
        tasks.create_task(_retry(db, subscriptions, stop))


async def find_work(tx: Tx, subscriptions: Sequence[Subscription]) -> set[str]:
    """Return the names of the subscribers with something to do, and move those past the log that have nothing to do.

    One look at the log for all of them: most events concern few subscribers, and a transaction of each for every batch
    of the sequencer would cost more than the handlers.
    """
    by_name = {s.name: s for s in subscriptions}
    rows = await tx.tuples(CHECKPOINTS, {"names": list(by_name)})
    behind = {name: position for name, position, last in rows if position < last}
    if not behind:
        return set()
    reach = rows[0][2]
    work = {name for name, position in behind.items() if reach - position > WINDOW}
    near = {name: position for name, position in behind.items() if name not in work}
    if near:
        kinds = await tx.tuples(KINDS_BETWEEN, {"since": min(near.values()), "reach": reach})
        work |= {
            name
            for name, position in near.items()
            if any(last > position and by_name[name].wants(event_type, kind) for event_type, kind, last in kinds)
        }
    quiet = sorted(near.keys() - work)
    if quiet:
        await tx.execute(SKIP_QUIET, {"names": quiet, "positions": [near[n] for n in quiet], "reach": reach})
    return work


async def _watch(
    db: Database,
    subscriptions: Sequence[Subscription],
    wake: dict[str, asyncio.Event],
    stop: asyncio.Event,
    rounds: Rounds,
) -> None:
    """Wake the subscribers that have something to do, when the sequencer says that there is something."""
    moved = asyncio.Event()
    hearing = asyncio.create_task(hear(db, moved.set, stop))
    stopping = asyncio.create_task(stop.wait())
    stopping.add_done_callback(lambda _: moved.set())
    while not stop.is_set():
        moved.clear()
        with rounds:
            async with db.transaction() as tx:
                work = await find_work(tx, subscriptions)
            for name in work:
                wake[name].set()
        await rest(stop, GATHER_SECONDS)
        with suppress(TimeoutError):
            async with asyncio.timeout(UNTOLD_SECONDS):
                await moved.wait()
    await hearing
    for event in wake.values():
        event.set()


async def _follow(
    db: Database, subscription: Subscription, turns: asyncio.Semaphore, wake: asyncio.Event, stop: asyncio.Event
) -> None:
    rounds = Rounds(
        log, waits="subscriber_waits", failed="subscriber_failed", also=_OUTSIDE, subscriber=subscription.name
    )
    pause = 0.0
    while not stop.is_set():
        await wake.wait()
        wake.clear()
        more = True
        while more and not stop.is_set():
            done = False
            with rounds:
                async with turns:
                    more = await run_batch(db, subscription)
                done = True
            pause = 0.0 if done else min(max(pause * 2, 0.2), 30.0)
            if not done:
                await rest(stop, pause)
                break


async def _retry(db: Database, subscriptions: Sequence[Subscription], stop: asyncio.Event) -> None:
    rounds = Rounds(log, waits="retries_wait", failed="retries_failed", also=_OUTSIDE)
    while not stop.is_set():
        with rounds:
            await retry_due(db, subscriptions)
        await rest(stop, RETRY_SECONDS)


async def drain(db: Database, subscriptions: Sequence[Subscription], *, strict: bool = True) -> int:
    """Sequence and handle everything, also what the handlers themselves record; return how many events moved.

    For commands and tests that must see the end of a story. Waits for no timer: a set-aside key is not tried again.

    Raises:
        EventsParked: with `strict`, events wait that their subscriber could not handle.
        Exception: a whole batch failed (`run_batch`).
    """
    await register(db, subscriptions)
    async with db.transaction() as tx:
        await make_partitions(tx)
    total, moved = 0, 1
    while moved:
        moved = 0
        while True:
            async with db.transaction() as tx:
                step = await sequence(tx)
            if not step.count:
                break
            moved += step.count
        total += moved
        for subscription in subscriptions:
            await _drain_one(db, subscription)
    if strict:
        async with db.transaction() as tx:
            waiting = await needs_attention(tx)
        if waiting:
            first = waiting[0]
            raise EventsParked(count=len(waiting), subscriber=first.subscriber, key=first.key, error=first.error)
    return total


async def _drain_one(db: Database, subscription: Subscription) -> None:
    attempt = 0
    while True:
        try:
            if not await run_batch(db, subscription):
                return
            attempt = 0
        except Exception as error:
            attempt += 1
            if not _is_outside(error) or attempt > ISOLATE_AFTER:
                raise
            await asyncio.sleep(0.1 * attempt)


__all__ = [
    "EventsParked",
    "Failing",
    "HandlerFails",
    "Recorded",
    "Subscription",
    "drain",
    "failing",
    "find_work",
    "register",
    "retire",
    "run_batch",
    "run_subscribers",
]
