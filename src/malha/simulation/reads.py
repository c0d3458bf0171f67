"""Simulations as people look at them, and the past decisions that they replay."""

from datetime import date, datetime

import msgspec

from malha.platform.db import Tx
from malha.platform.ids import UUID
from malha.simulation.model import Decided, Result, Simulation

COLUMNS = """
SELECT id, name, since, until, channel, scenario, status, done, total, problem, created_by, created_at, finished_at
FROM simulation
"""
# Few: people make them by hand.
SIMULATIONS = COLUMNS + "ORDER BY id DESC LIMIT %(limit)s::int"
SIMULATION = COLUMNS + "WHERE id = %(id)s::uuid"
RESULT = "SELECT result FROM simulation WHERE id = %(id)s::uuid AND result IS NOT NULL"

# The index on (placed_at, id) gives a range of days, oldest first, and a place to go on from; the decision is one probe
# of its primary key. Only the first of an order: later ones answer a rejection that the other world may not have had.
DECISIONS = """
SELECT d.order_id, o.number::text AS number, o.placed_at AS at,
       (o.placed_at AT TIME ZONE %(zone)s::text)::date AS day,
       coalesce(CASE WHEN o.method = 'ship' THEN o.ship_state END, '') AS state,
       (SELECT max(x.attempt) FROM routing_decision x WHERE x.order_id = d.order_id) AS attempts,
       d.record::text AS record
FROM sales_order o
JOIN routing_decision d ON d.order_id = o.id AND d.attempt = 1
WHERE (o.placed_at, o.id) > (%(at)s::timestamptz, %(after)s::uuid) AND o.placed_at < %(until)s::timestamptz
  AND (%(channel)s::int IS NULL OR o.channel_id = %(channel)s::int)
ORDER BY o.placed_at, o.id
LIMIT %(limit)s::int
"""
COUNT_DECISIONS = """
SELECT count(*) FROM sales_order o
JOIN routing_decision d ON d.order_id = o.id AND d.attempt = 1
WHERE o.placed_at >= %(since)s::timestamptz AND o.placed_at < %(until)s::timestamptz
  AND (%(channel)s::int IS NULL OR o.channel_id = %(channel)s::int)
"""

# As many, by day; one pass over the same index.
COUNT_BY_DAY = """
SELECT (o.placed_at AT TIME ZONE %(zone)s::text)::date AS day, count(*)::int FROM sales_order o
JOIN routing_decision d ON d.order_id = o.id AND d.attempt = 1
WHERE o.placed_at >= %(since)s::timestamptz AND o.placed_at < %(until)s::timestamptz
  AND (%(channel)s::int IS NULL OR o.channel_id = %(channel)s::int)
GROUP BY day
"""


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """Which decisions are meant: of orders placed from `since` on and before `until`, of one channel or all."""

    since: datetime
    until: datetime
    channel: int | None
    zone: str


async def simulations(tx: Tx, limit: int = 200) -> list[Simulation]:
    """Return the simulations, the newest first."""
    return msgspec.convert(await tx.all(dict, SIMULATIONS, {"limit": limit}), list[Simulation])


async def simulation(tx: Tx, id_: UUID) -> Simulation | None:
    """Return a simulation without its result."""
    found = await tx.maybe(dict, SIMULATION, {"id": id_})
    return None if found is None else msgspec.convert(found, Simulation)


async def result(tx: Tx, id_: UUID) -> Result | None:
    """Return what came of a simulation; None while it has no result."""
    found = await tx.value(RESULT, {"id": id_})
    return None if found is None else msgspec.convert(found, Result)


async def decisions(tx: Tx, span: Span, last: Decided | None, limit: int) -> list[Decided]:
    """Return the decisions after one (None: the first), oldest first."""
    place = {"at": last.at, "after": last.order_id} if last else {"at": span.since, "after": UUID(int=0)}
    wanted = {"until": span.until, "channel": span.channel, "zone": span.zone, **place, "limit": limit}
    return await tx.all(Decided, DECISIONS, wanted)


async def count(tx: Tx, span: Span) -> int:
    """Return how many decisions there are."""
    wanted = {"since": span.since, "until": span.until, "channel": span.channel}
    return int(await tx.value(COUNT_DECISIONS, wanted) or 0)


async def count_by_day(tx: Tx, span: Span) -> dict[date, int]:
    """Return how many decisions each day has."""
    wanted = {"since": span.since, "until": span.until, "channel": span.channel, "zone": span.zone}
    return dict(await tx.tuples(COUNT_BY_DAY, wanted))


def days_of(done: Result) -> list[date]:
    """Return the days that a result tells of, in order."""
    return [date.fromisoformat(day) for day in sorted(done.before.days)]
