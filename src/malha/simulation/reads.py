"""Simulations as people look at them, and the past decisions that they replay."""

from collections.abc import Sequence
from datetime import date, datetime

import msgspec

from malha.platform.db import Tx
from malha.platform.ids import UUID
from malha.routing.cost_draft_model import Drafted
from malha.routing.ruling.model import Content
from malha.simulation.model import Decided, Moved, Result, Simulation

COLUMNS = """
SELECT id, name, since, until, channel, scenario, status, done, total, problem, created_by, created_at, finished_at,
       rules, promoted, promoted_at, promoted_by, taken_back, costs
FROM simulation
"""
# Few: people make them by hand.
SIMULATIONS = COLUMNS + "ORDER BY id DESC LIMIT %(limit)s::int"
SIMULATION = COLUMNS + "WHERE id = %(id)s::uuid"
# What the rules on paper were when it began, by primary key; as text, for a struct to be read from it.
RULE_CONTENT = "SELECT rule_content::text FROM simulation WHERE id = %(id)s::uuid"
# The costs on paper, the same way.
COST_CONTENT = "SELECT cost_content::text FROM simulation WHERE id = %(id)s::uuid"
# What a unit of each line was sold for, by primary key.
WORTHS = """
SELECT order_id, line, (total / quantity)::bigint FROM order_line
WHERE order_id = ANY (%(orders)s::uuid[]) AND sku_id IS NOT NULL
"""
# By primary key, the largest difference first.
MOVED = """
SELECT order_id, number, day, cost_before, cost_after, packages_before, packages_after, unplaced_before,
       unplaced_after, from_before, from_after, together_before, together_after, run, rule, rows
FROM simulation_order WHERE simulation_id = %(id)s::uuid ORDER BY place LIMIT %(limit)s::int OFFSET %(offset)s::int
"""
# Few hundred rows of one simulation.
MOVED_ORDER = """
SELECT order_id, number, day, cost_before, cost_after, packages_before, packages_after, unplaced_before,
       unplaced_after, from_before, from_after, together_before, together_after, run, rule, rows, record::text AS record
FROM simulation_order WHERE simulation_id = %(id)s::uuid AND order_id = %(order_id)s::uuid
"""
# The same with a draft of costs.
COSTS_TRIED = (
    COLUMNS
    + """
WHERE status = 'done' AND (costs ->> 'draft')::int = %(draft)s::int ORDER BY id DESC LIMIT 1
"""
)
# Ones that are done and tried a rule set, the newest first; few.
TRIED = (
    COLUMNS
    + """
WHERE status = 'done' AND (rules ->> 'rule_set')::int = %(rule_set)s::int ORDER BY id DESC LIMIT 1
"""
)
RESULT = "SELECT result FROM simulation WHERE id = %(id)s::uuid AND result IS NOT NULL"

# The index on (placed_at, id) gives a range of days, oldest first, and a place to go on from; the decision is one probe
# of its primary key. Only the first of an order: later ones answer a rejection that the other world may not have had.
DECISIONS = """
SELECT d.order_id, o.number::text AS number, o.placed_at AS at,
       (o.placed_at AT TIME ZONE %(zone)s::text)::date AS day,
       coalesce(CASE WHEN o.method = 'ship' THEN o.ship_state END, '') AS state,
       (SELECT max(x.attempt) FROM routing_decision x WHERE x.order_id = d.order_id) AS attempts,
       d.record::text AS record, d.rule_set, d.asked::text AS asked, o.total AS value,
       o.ship_to ->> 'postal_code' AS postal_code, o.customer_group
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


async def rule_content(tx: Tx, id_: UUID) -> Content | None:
    """Return the rules a simulation tries; None: those that decided then."""
    found = await tx.value(RULE_CONTENT, {"id": id_})
    return None if found is None else msgspec.json.decode(found, type=Content)


async def cost_content(tx: Tx, id_: UUID) -> Drafted | None:
    """Return the costs a simulation tries; None: those that decided then."""
    found = await tx.value(COST_CONTENT, {"id": id_})
    return None if found is None else msgspec.json.decode(found, type=Drafted)


async def worths(tx: Tx, order_ids: Sequence[UUID]) -> dict[UUID, dict[int, int]]:
    """Return centavos of a unit of each line, after discounts, by order."""
    found: dict[UUID, dict[int, int]] = {}
    for order_id, line, worth in await tx.tuples(WORTHS, {"orders": list(order_ids)}):
        found.setdefault(order_id, {})[line] = worth
    return found


async def moved(tx: Tx, id_: UUID, limit: int, offset: int = 0) -> list[Moved]:
    """Return orders that would have gone elsewhere, without their decisions, the largest difference first."""
    return await tx.all(Moved, MOVED, {"id": id_, "limit": limit, "offset": offset})


async def moved_order(tx: Tx, id_: UUID, order_id: UUID) -> Moved | None:
    """Return one of them with its decision on paper."""
    return await tx.maybe(Moved, MOVED_ORDER, {"id": id_, "order_id": order_id})


async def last_of(tx: Tx, rule_set: int) -> Simulation | None:
    """Return the last simulation that tried a rule set to its end."""
    found = await tx.maybe(dict, TRIED, {"rule_set": rule_set})
    return None if found is None else msgspec.convert(found, Simulation)


async def last_of_costs(tx: Tx, draft: int) -> Simulation | None:
    """Return the last simulation that tried a draft of costs to its end."""
    found = await tx.maybe(dict, COSTS_TRIED, {"draft": draft})
    return None if found is None else msgspec.convert(found, Simulation)


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
