"""Learning when goods leave and how long they travel from what became of promises: small tables, made anew often.

No model and no NumPy: counts come from three statements, the life tables are small and are worked out in a thread.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import Any, LiteralString, NamedTuple

import structlog

from malha.intake.reference import reference_in
from malha.network.calendar import Calendar, add_business_days
from malha.ordering.promised_days import ends, is_over
from malha.platform.brazil import STATES
from malha.platform.db import Database, Tx
from malha.promising import keeping
from malha.promising import reads as learned
from malha.promising.choosing import LEVEL, choose, worth_of
from malha.promising.correcting import LOOK_BACK as DUE_BACK
from malha.promising.correcting import Due, doubts
from malha.promising.keeping import Learned
from malha.promising.lived import EARLIEST, LATEST, LOST, MOST_DAYS, Lane, Left, Lived, Waited, learn, learn_ready
from malha.promising.queues import EDGES, learn_queues
from malha.routing import cost_reads

log = structlog.get_logger(__name__)

EVERY_S = 6 * 3600.0
LOOK_BACK = 75  # calendar days of days to leave

# Deliveries by lane, day they left and day of arrival, the open ones without one: by the index on promised days, which
# lie after the day to leave. What came and was never said to leave left on its day.
WAITED = """
SELECT p.service_id, p.from_state, p.to_state, p.left_on, (p.delivered_at AT TIME ZONE p.timezone)::date AS came,
       count(*)::int, (now() AT TIME ZONE p.timezone)::date AS today
FROM (
    SELECT o.*, l.timezone,
           (coalesce(o.shipped_at, CASE WHEN o.delivered_at IS NOT NULL THEN least(o.due_at, o.delivered_at) END)
            AT TIME ZONE l.timezone)::date AS left_on
    FROM promise_outcome o JOIN location l ON l.id = o.location_id
    WHERE o.promised_at > now() - make_interval(days => %(back)s::int) AND o.method = 'ship'
      AND o.service_id IS NOT NULL AND o.from_state IS NOT NULL AND o.to_state IS NOT NULL
) p
WHERE p.left_on IS NOT NULL
  AND (p.delivered_at IS NOT NULL OR p.left_on > (now() - make_interval(days => %(lost)s::int))::date)
GROUP BY 1, 2, 3, 4, 5, 7
"""

# When work left, or was ready to be fetched. What came and was never said to leave left on its day.
_WENT: LiteralString = """(
    CASE p.method WHEN 'pickup' THEN p.done_at
    ELSE coalesce(p.shipped_at, CASE WHEN p.delivered_at IS NOT NULL THEN least(p.due_at, p.delivered_at) END) END
)"""

# Work by location, day it was to leave (or to be ready) and day it did, the open ones without one; the same index.
LEFT: LiteralString = f"""
SELECT p.location_id, p.method, (p.due_at AT TIME ZONE l.timezone)::date AS due,
       ({_WENT} AT TIME ZONE l.timezone)::date AS went,
       count(*)::int, (now() AT TIME ZONE l.timezone)::date AS today
FROM promise_outcome p JOIN location l ON l.id = p.location_id
WHERE p.promised_at > now() - make_interval(days => %(back)s::int) AND p.due_at <= now()
  AND (p.shipped_at IS NOT NULL OR p.done_at IS NOT NULL OR p.due_at > now() - make_interval(days => %(lost)s::int))
GROUP BY 1, 2, 3, 4, 6
"""

# As LEFT, by how much work waited at the location when the order was placed, in bands of its usual day: of what is
# released and has not left, lost work apart. One walk through the outcomes of a location in the order of time.
BEHIND: LiteralString = f"""
WITH work AS MATERIALIZED (
    SELECT p.work_id, p.location_id, p.method, l.timezone, p.placed_at, p.released_at, p.due_at,
           {_WENT} AS went_at
    FROM promise_outcome p JOIN location l ON l.id = p.location_id
    WHERE p.promised_at > now() - make_interval(days => %(back)s::int) AND p.due_at IS NOT NULL
), usual AS (
    SELECT location_id, count(*)::float8 / count(DISTINCT (went_at AT TIME ZONE timezone)::date) AS a_day
    FROM work WHERE went_at IS NOT NULL GROUP BY location_id
), moves AS (
    SELECT location_id, released_at AS at, 1 AS n, NULL::uuid AS work_id FROM work
    WHERE released_at IS NOT NULL
      AND (went_at IS NOT NULL OR due_at > now() - make_interval(days => %(lost)s::int))
    UNION ALL
    SELECT location_id, greatest(went_at, released_at), -1, NULL FROM work
    WHERE released_at IS NOT NULL AND went_at IS NOT NULL
    UNION ALL
    SELECT location_id, placed_at, 0, work_id FROM work
), waited AS (
    SELECT work_id, sum(n) OVER (PARTITION BY location_id ORDER BY at, work_id NULLS LAST
                                 ROWS UNBOUNDED PRECEDING) AS waiting
    FROM moves
)
SELECT w.location_id, w.method, width_bucket(q.waiting::float8 / u.a_day, %(edges)s::float8[]),
       (w.due_at AT TIME ZONE w.timezone)::date AS due, (w.went_at AT TIME ZONE w.timezone)::date AS went,
       count(*)::int, (now() AT TIME ZONE w.timezone)::date AS today, u.a_day
FROM work w
JOIN waited q ON q.work_id = w.work_id
JOIN usual u ON u.location_id = w.location_id
WHERE w.due_at <= now()
  AND (w.went_at IS NOT NULL OR w.due_at > now() - make_interval(days => %(lost)s::int))
GROUP BY 1, 2, 3, 4, 5, 7, 8
"""

# Promises of learned days that came due, by lane and the chance that was foretold; the same index.
DUE: LiteralString = f"""
SELECT service_id, from_state, to_state, floor(extract(epoch FROM now() - promised_at) / 86400)::int AS age,
       round(foretold::numeric, 2)::float8 AS foretold, coalesce(done_at <= {ends("promised_at")}, false) AS kept,
       count(*)::int
FROM promise_outcome
WHERE promised_at > now() - make_interval(days => %(back)s::int) AND {is_over("promised_at")}
  AND foretold IS NOT NULL
  AND method = 'ship' AND service_id IS NOT NULL AND from_state IS NOT NULL AND to_state IS NOT NULL
GROUP BY 1, 2, 3, 4, 5, 6
"""


class _Past(NamedTuple):
    """What is learned from, as the database counts it, with the calendars of locations."""

    waited: Sequence[tuple[Any, ...]]
    left: Sequence[tuple[Any, ...]]
    behind: Sequence[tuple[Any, ...]]
    due: Sequence[tuple[Any, ...]]
    calendars: Mapping[int, Calendar]


async def renew(db: Database, *, wanted: bool, level: float = LEVEL) -> bool:
    """Learn days anew where the last are some hours old; return whether some are in force now.

    Where they are not wanted, by the setting or by people, or too few deliveries are known, those in force are
    withdrawn.
    """
    async with db.transaction() as tx:
        if not wanted or not await learned.is_wanted(tx):
            await keeping.withdraw(tx)
            return False
        costs = await cost_reads.costs(tx)
        worth = worth_of(costs.late_penalty, costs.day_cost)
        if await learned.made_within(tx, EVERY_S, worth):
            return True
        past = await _past(tx)
    found = await asyncio.to_thread(_learn, past, level, worth)
    async with db.transaction() as tx:
        if not found.lanes:
            await keeping.withdraw(tx)
            return False
        version = await keeping.keep(tx, found)
    if version is None:
        return False
    log.info("promise_days_learned", version=version, lanes=len(found.lanes), places=len(found.ready))
    return True


async def _past(tx: Tx) -> _Past:
    reference = await reference_in(tx)
    over = {"back": LOOK_BACK, "lost": LOST}
    return _Past(
        await tx.tuples(WAITED, over),
        await tx.tuples(LEFT, over),
        await tx.tuples(BEHIND, over | {"edges": list(EDGES)}),
        await tx.tuples(DUE, {"back": DUE_BACK}),
        dict(zip(reference.network.location_ids, reference.calendars, strict=True)),
    )


def _learn(past: _Past, level: float, worth: float | None) -> Learned:
    lanes = learn(_waited(past))
    doubted = doubts(Due(*row) for row in past.due if row[1] in STATES and row[2] in STATES)
    if worth is not None and lanes:
        level = _level_of(lanes, worth)
    usual = {row[0]: row[-1] for row in past.behind}
    return Learned(
        level=level,
        worth=worth,
        lanes=lanes,
        ready=learn_ready(_left(past)),
        queues=learn_queues(_behind(past), usual),
        doubts=doubted,
    )


def _level_of(lanes: Mapping[Lane, Lived], worth: float) -> float:
    """Return the share of promises that costs keep: the mean of lanes, by their deliveries."""
    said = sum(of.outcomes * choose(of.chances, worth=worth).said for of in lanes.values())
    return round(said / sum(of.outcomes for of in lanes.values()), 3)


def _waited(past: _Past) -> list[Waited]:
    """Return how long deliveries took, and those on their way have waited, in business days of the destination."""
    return [
        Waited(service, origin, target, (today - left).days, between(left, came or today, target), came is not None, n)
        for service, origin, target, left, came, n, today in past.waited
        if origin in STATES and target in STATES
    ]


def _left(past: _Past) -> list[Left]:
    """Return how late work left, by the weekday it was to leave."""
    return _lefts(past, ((place, method, row[0].weekday(), *row) for place, method, *row in past.left))


def _behind(past: _Past) -> list[Left]:
    """Return how late work left, by how much waited when its order was placed."""
    return _lefts(past, (row[:-1] for row in past.behind))


def _lefts(past: _Past, rows: Iterable[Sequence[Any]]) -> list[Left]:
    """Return how late work of each kind left, and what is still there is by now, in its location's working days.

    Rows are (location, method, kind, day it was to leave, day it did or None, how many, today).
    """
    counted: Counter[Left] = Counter()
    for place, method, kind, due, went, n, today in rows:
        if place in past.calendars:
            days = past.calendars[place].working_days(due, went or today, max(LATEST, -EARLIEST) + 1)
            counted[Left(place, method, kind, (today - due).days, days, went is not None, 0)] += n
    return [row._replace(works=n) for row, n in counted.items()]


@lru_cache(65_536)
def between(first: date, last: date, state: str) -> int:
    """Return how many business days after `first` a promise must say to hold `last`; at most `MOST_DAYS`."""
    calendar, days, day = f"BR-{state}", 0, first
    while day < last and days < MOST_DAYS:
        day = add_business_days(day, 1, calendar)
        days += 1
    return days
