"""How connections do over time: sampled every minute into rows of five minutes, kept for two weeks.

What came, ended and was told is counted anew from the first slot that may be incomplete, so that nothing is missing
when no worker ran for an hour; how much waited then, nobody knows.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec

from malha.channels.connecting import sample_writes
from malha.platform.db import Tx
from malha.platform.retrying import Bucket

SLOT = timedelta(minutes=5)
BACK = timedelta(days=1)  # counted anew at most
AT_ONCE = 10_000

# By primary key; a bin holds what its slots hold: sums, or the worst of them. Counters of calls become differences.
BINS = """
SELECT date_bin(make_interval(secs => %(step)s::int), slot, %(since)s::timestamptz) AS at, sum(came)::int AS came,
       sum(ended)::int AS ended, sum(told)::int AS told, max(waiting_in) AS waiting_in, max(waiting_out) AS waiting_out,
       max(lag_in_s) AS lag_in_s, max(lag_out_s) AS lag_out_s, sum(asked)::int AS calls, sum(failed)::int AS failures,
       min(budget) AS budget
FROM (SELECT s.*, calls - lag(calls) OVER w AS asked, failures - lag(failures) OVER w AS failed
      FROM connection_sample s WHERE connection_id = %(connection_id)s::int
        AND slot >= %(since)s::timestamptz - interval '5 minutes'
      WINDOW w AS (ORDER BY slot)) x
WHERE slot >= %(since)s::timestamptz
GROUP BY 1 ORDER BY 1
"""
STUCK = """
SELECT date_bin(make_interval(secs => %(step)s::int), slot, %(since)s::timestamptz) AS at, e.key, max(e.value::int)
FROM connection_sample s CROSS JOIN LATERAL jsonb_each_text(s.stuck) AS e(key, value)
WHERE connection_id = %(connection_id)s::int AND slot >= %(since)s::timestamptz
GROUP BY 1, 2 ORDER BY 1, 2
"""
PACES = """
SELECT connection_id, bucket, extract(epoch FROM clock_timestamp())::float8 AS clock FROM connection_pace
"""
# The newest slot of any connection: a handful of connections, each by the end of its key.
NEWEST = """
SELECT max(x.slot) FROM connection c CROSS JOIN LATERAL (
    SELECT slot FROM connection_sample WHERE connection_id = c.id ORDER BY slot DESC LIMIT 1) AS x
"""


class Bin(msgspec.Struct, frozen=True, kw_only=True):
    """How a connection did in a while. What nobody looked at, or was never asked, is None; lags are in seconds."""

    at: datetime
    came: int
    ended: int
    told: int
    waiting_in: int | None
    waiting_out: int | None
    lag_in_s: int | None
    lag_out_s: int | None
    calls: int | None
    failures: int | None
    budget: int | None  # percent that was left, the least of it


class Course(msgspec.Struct, frozen=True):
    """How a connection did: while by while, and what waited for a person then, by way and cause."""

    bins: list[Bin]
    stuck: list[dict[str, int]]  # beside each bin, by `in:cause` and `out:cause`


async def sample(tx: Tx) -> int:
    """Write down how all connections do; return how many rows that concerned. Harmless as often as it is done."""
    now = await tx.now()
    slot = floor(now, SLOT)
    newest: datetime | None = await tx.value(NEWEST)
    since = max(floor(now - BACK, SLOT), (newest or now - BACK) - SLOT)
    budgets = [(id_, _left(bucket, clock)) for id_, bucket, clock in await tx.tuples(PACES)]
    done = await tx.execute(
        sample_writes.SAMPLE,
        {
            "since": min(since, slot),
            "slot": slot,
            "connections": [id_ for id_, _ in budgets],
            "budgets": [left for _, left in budgets],
        },
    )
    return done + await tx.execute(sample_writes.FORGET_SAMPLES, {"most": AT_ONCE})


def _left(bucket: dict[str, Any] | None, clock: float) -> int | None:
    """Return how many percent of a budget are left."""
    if bucket is None:
        return None
    found = msgspec.convert(bucket, Bucket)
    if found.blocked_until > clock:
        return 0
    return max(0, min(100, round(100 * found.level(clock) / found.burst)))


def floor(at: datetime, step: timedelta) -> datetime:
    """Return the beginning of the `step` that an instant is in, counted from 1970."""
    seconds = int(step.total_seconds())
    return datetime.fromtimestamp(int(at.timestamp()) // seconds * seconds, at.tzinfo)


async def course(tx: Tx, connection_id: int, step: timedelta, count: int) -> Course:
    """Return the last `count` whiles of `step` each, the oldest first, the present one last; those without rows too."""
    first = floor(await tx.now(), step) - step * (count - 1)
    params = {"connection_id": connection_id, "since": first, "step": int(step.total_seconds())}
    found = {each.at: each for each in await tx.all(Bin, BINS, params)}
    stuck: dict[datetime, dict[str, int]] = {}
    for at, key, most in await tx.tuples(STUCK, params):
        stuck.setdefault(at, {})[key] = most
    whiles = [first + step * n for n in range(count)]
    return Course([found.get(at) or _nothing(at) for at in whiles], [stuck.get(at, {}) for at in whiles])


def _nothing(at: datetime) -> Bin:
    return Bin(
        at=at, came=0, ended=0, told=0, waiting_in=None, waiting_out=None, lag_in_s=None, lag_out_s=None, calls=None,
        failures=None, budget=None,
    )  # fmt: skip


def causes_of(stuck: Sequence[dict[str, int]]) -> list[str]:
    """Return what stood, by way and cause, that which stood most first."""
    most: dict[str, int] = {}
    for each in stuck:
        for key, count in each.items():
            most[key] = max(most.get(key, 0), count)
    return sorted(most, key=lambda key: (-most[key], key))
