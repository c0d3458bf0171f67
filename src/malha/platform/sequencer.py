"""The sequencer: moves committed events from the outbox into the log and numbers them.

One per retailer at a time: who holds the lock of the `sequencer` row. Numbers come from that row, not from a sequence,
so they have no gaps, become visible in order (the lock is kept until commit) and survive any kind of restore.

Why order holds per key: an event's `seq` is taken under its aggregate's row lock, so a writer can only take `seq` 3
after the transaction with `seq` 2 committed. Whoever sees 3 in the outbox therefore sees 2 there or in the log, and a
batch is a prefix of the outbox by (key, seq): no predecessor can come later, whatever transaction ids, start times or
long transactions say.

Commits here are asynchronous (`synchronous_commit = off`): a crash undoes the move and everything written after it
together, so the events are back in the outbox and no checkpoint is ahead of the log.
"""

import asyncio
import re
from datetime import timedelta

import msgspec
import structlog
from psycopg import sql

from malha.platform.db import Database, Tx
from malha.platform.errors import Busy
from malha.platform.rounds import Rounds

log = structlog.get_logger(__name__)

BATCH = 5_000
PARTITION = 5_000_000  # positions per partition of the log
QUIET_SECONDS = 0.05
BUSY_SECONDS = 0.025
ERROR_SECONDS = 1.0
NOTICE = "malha_event"  # channel of the one notification per batch
RETENTION = timedelta(days=90)

# The row lock is the right to sequence; a second sequencer finds nothing and waits. The batch is a prefix by (key,
# seq), so no event can be left behind a later one of its key. By ctid: rows of the outbox are never updated.
MOVE_EVENTS = """
WITH turn AS MATERIALIZED (
    SELECT position FROM sequencer FOR NO KEY UPDATE SKIP LOCKED
), taken AS (
    DELETE FROM outbox
    WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM outbox WHERE EXISTS (SELECT FROM turn) ORDER BY key, seq LIMIT %(batch)s::int
    ))
    RETURNING key, seq, type, version, payload, actor, at
), numbered AS (
    SELECT turn.position + row_number() OVER (ORDER BY key, seq) AS position, taken.* FROM taken CROSS JOIN turn
), logged AS (
    INSERT INTO event (position, at, seq, version, key, type, actor, payload)
    SELECT position, at, seq, version, key, type, actor, payload FROM numbered ORDER BY position
), counted AS (
    UPDATE sequencer SET position = position + (SELECT count(*) FROM taken)
    WHERE EXISTS (SELECT FROM taken)
    RETURNING position
)
SELECT (SELECT count(*) FROM taken), counted.position,
       pg_notify(%(channel)s::text, current_schema() || ':' || counted.position),
       set_config('synchronous_commit', 'off', true)
FROM counted
"""
# One tiny table; read to know how far readers may go.
LAST_POSITION = "SELECT position FROM sequencer"
# Whoever makes or drops partitions holds the sequencer's row, so two never do it at once.
LOCK_SEQUENCER = "SELECT position FROM sequencer FOR NO KEY UPDATE"
# Catalog only.
EVENT_PARTITIONS = """
SELECT child.relname::text, pg_get_expr(child.relpartbound, child.oid)
FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid
WHERE inhparent = 'event'::regclass
"""
# Primary key, backwards: one row of one partition.
LAST_EVENT_AT = """
SELECT at FROM event WHERE position >= %(low)s::bigint AND position < %(high)s::bigint ORDER BY position DESC LIMIT 1
"""
# A handful of rows. No subscriber yet: nothing may be dropped.
LOWEST_CHECKPOINT = "SELECT coalesce(min(position), 0) FROM subscriber"

# Dropping locks the log against all; waiting long for that lock would make everybody wait. It is tried again later.
SHORT_LOCKS = "SET LOCAL lock_timeout = 500"

_BOUND = re.compile(r"FROM \('(\d+)'\) TO \('(\d+)'\)")


class Partition(msgspec.Struct, frozen=True, order=True):
    """One partition of the log: positions from `low` up to, not including, `high`."""

    low: int
    high: int
    name: str


class Moved(msgspec.Struct, frozen=True):
    """What one run of the sequencer moved, and the last position it gave (0 when it moved nothing)."""

    count: int
    position: int


async def sequence(tx: Tx, batch: int = BATCH) -> Moved:
    """Move up to `batch` committed events into the log. Moves nothing when another sequencer is at it."""
    moved = await tx.tuples(MOVE_EVENTS, {"batch": batch, "channel": NOTICE})
    return Moved(moved[0][0], moved[0][1]) if moved else Moved(0, 0)


async def partitions(tx: Tx) -> list[Partition]:
    """Return the log's partitions, oldest first."""
    found = []
    for name, bound in await tx.tuples(EVENT_PARTITIONS):
        match = _BOUND.search(bound)
        if match:
            found.append(Partition(int(match[1]), int(match[2]), name))
    return sorted(found)


async def make_partitions(tx: Tx) -> int:
    """Make the log's next partition while the last is still unused; return the position up to which the log is ready.

    The table is made first and attached empty, which does not lock readers of the log out.
    """
    position: int = await tx.value(LOCK_SEQUENCER)
    present = await partitions(tx)
    end = present[-1].high if present else position - position % PARTITION
    while end - position <= PARTITION:
        name, low, high = sql.Identifier(f"event_{end // PARTITION}"), sql.Literal(end), sql.Literal(end + PARTITION)
        await tx.execute(
            sql.SQL(
                "CREATE TABLE {name} (LIKE event INCLUDING ALL, CHECK (position >= {low} AND position < {high}))"
            ).format(name=name, low=low, high=high)
        )
        await tx.execute(
            sql.SQL("ALTER TABLE event ATTACH PARTITION {name} FOR VALUES FROM ({low}) TO ({high})").format(
                name=name, low=low, high=high
            )
        )
        await tx.execute(
            sql.SQL("ALTER TABLE {name} DROP CONSTRAINT {check}").format(
                name=name, check=sql.Identifier(f"event_{end // PARTITION}_position_check")
            )
        )
        end += PARTITION
    return end


async def drop_partitions(tx: Tx, retention: timedelta = RETENTION) -> list[str]:
    """Drop partitions of the log that lie below every checkpoint and whose last event is older than `retention`.

    Parked events were copied when they were parked and are not touched. Returns the names dropped.
    """
    await tx.execute(LOCK_SEQUENCER)
    await tx.execute(SHORT_LOCKS)
    lowest: int = await tx.value(LOWEST_CHECKPOINT)
    now = await tx.now()
    dropped = []
    for partition in await partitions(tx):
        if partition.high > lowest + 1:
            break
        last = await tx.value(LAST_EVENT_AT, {"low": partition.low, "high": partition.high})
        if last is not None and last > now - retention:
            break
        name = sql.Identifier(partition.name)
        await tx.execute(sql.SQL("ALTER TABLE event DETACH PARTITION {}").format(name))
        await tx.execute(sql.SQL("DROP TABLE {}").format(name))
        dropped.append(partition.name)
    return dropped


async def run_sequencer(db: Database, stop: asyncio.Event) -> None:
    """Sequence until `stop` is set; outlives a lost database.

    Waits 25 ms after a batch and up to 50 ms when there is nothing. No notification wakes it: a NOTIFY in the
    transaction of an order takes a lock that all committing orders would queue for.
    """
    pause, ready = BUSY_SECONDS, 0
    rounds = Rounds(log, waits="sequencer_waits", failed="sequencer_failed", also=(Busy, OSError))
    while not stop.is_set():
        moved = None
        with rounds:
            if not ready:
                async with db.transaction() as tx:
                    ready = await make_partitions(tx)
            async with db.transaction() as tx:
                moved = await sequence(tx)
            if ready - moved.position < PARTITION:
                ready = 0
        if moved is None:
            pause, ready = ERROR_SECONDS, 0
        elif moved.count:
            pause = 0.0 if moved.count == BATCH else BUSY_SECONDS
        else:
            pause = min(max(pause, BUSY_SECONDS) * 1.5, QUIET_SECONDS)
        if pause:
            await rest(stop, pause)


async def rest(stop: asyncio.Event, seconds: float) -> None:
    """Sleep, but not past `stop`."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        pass
