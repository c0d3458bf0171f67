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
# What is shown: so many whiles of so long.
PERIODS = {"6h": (timedelta(minutes=5), 72), "2d": (timedelta(hours=1), 48), "14d": (timedelta(hours=6), 56)}

# By primary key; a while holds what its slots hold: sums, or the worst of them. Counters of calls become differences.
COURSE = """
WITH slots AS (
    SELECT s.*, date_bin(make_interval(secs => %(step)s::int), slot, %(since)s::timestamptz) AS at,
           calls - lag(calls) OVER w AS asked, failures - lag(failures) OVER w AS failed
    FROM connection_sample s
    WHERE connection_id = %(connection_id)s::int AND slot >= %(since)s::timestamptz - interval '5 minutes'
    WINDOW w AS (ORDER BY slot)
), whiles AS (
    SELECT at, sum(came)::int AS came, sum(ended)::int AS ended, sum(told)::int AS told, max(waiting_in) AS waiting_in,
           max(waiting_out) AS waiting_out, max(lag_in_s) AS lag_in_s, max(lag_out_s) AS lag_out_s,
           sum(asked)::int AS calls, sum(failed)::int AS failures, min(budget) AS budget_left
    FROM slots GROUP BY at
), standing AS (
    SELECT at, jsonb_object_agg(key, most) AS stuck
    FROM (SELECT at, e.key, max(e.value::int) AS most FROM slots, jsonb_each_text(slots.stuck) AS e GROUP BY at, e.key)
         AS x
    GROUP BY at
)
SELECT at, coalesce(came, 0) AS came, coalesce(ended, 0) AS ended, coalesce(told, 0) AS told, waiting_in, waiting_out,
       lag_in_s, lag_out_s, calls, failures, budget_left, coalesce(stuck, '{}') AS stuck
FROM generate_series(%(since)s::timestamptz, %(last)s::timestamptz, make_interval(secs => %(step)s::int)) AS w(at)
LEFT JOIN whiles USING (at) LEFT JOIN standing USING (at) ORDER BY at
"""
PACES = """
SELECT connection_id, bucket, extract(epoch FROM clock_timestamp())::float8 AS clock FROM connection_pace
"""
# The newest slot of any connection: a handful of connections, each by the end of its key.
NEWEST = """
SELECT max(x.slot) FROM connection c CROSS JOIN LATERAL (
    SELECT slot FROM connection_sample WHERE connection_id = c.id ORDER BY slot DESC LIMIT 1) AS x
"""


class Course(msgspec.Struct, frozen=True, kw_only=True):
    """How a connection did in a while that begins at `at`. What nobody looked at is null; lags are in seconds.

    `came`, `ended` (handled) and `told` are counts; `waiting_in`, `waiting_out` and the lags the most that was seen,
    `budget_left` (percent of the requests that may be sent) the least. `stuck` is what waited for a person, by
    `in:cause` and `out:cause`.
    """

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
    budget_left: int | None
    stuck: dict[str, int]


async def sample(tx: Tx) -> int:
    """Write down how all connections do; return how many rows that concerned. Harmless as often as it is done."""
    now = await tx.now()
    slot = floor(now, SLOT)
    newest: datetime | None = await tx.value(NEWEST)
    since = max(floor(now - BACK, SLOT), (newest or now - BACK) - SLOT)
    budgets = [(id_, _left(bucket, clock)) for id_, bucket, clock in await tx.tuples(PACES)]
    return await tx.execute(
        sample_writes.SAMPLE,
        {
            "since": min(since, slot),
            "slot": slot,
            "connections": [id_ for id_, _ in budgets],
            "budgets": [left for _, left in budgets],
        },
    )


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


async def course(tx: Tx, connection_id: int, step: timedelta, count: int) -> list[Course]:
    """Return the last `count` whiles of `step` each, the oldest first, the present one last; those without rows too."""
    last = floor(await tx.now(), step)
    params = {"since": last - step * (count - 1), "last": last, "step": int(step.total_seconds())}
    return await tx.all(Course, COURSE, {"connection_id": connection_id, **params})


def causes_of(course: Sequence[Course]) -> list[str]:
    """Return what stood, by way and cause, that which stood most first."""
    most: dict[str, int] = {}
    for each in course:
        for key, count in each.stuck.items():
            most[key] = max(most.get(key, 0), count)
    return sorted(most, key=lambda key: (-most[key], key))
