"""Drafts beside the live network as people look at them, and the new orders that they decide."""

from collections.abc import Sequence
from datetime import date, datetime

import msgspec

from malha.platform.db import Tx
from malha.platform.ids import UUID
from malha.routing.cost_draft_model import Drafted
from malha.routing.ruling.model import Content
from malha.simulation.model import Decided
from malha.simulation.shadow_model import Comparison, Running, Shadow, ShadowOrder, compare

# Few: people start them by hand. How far behind is told by the oldest event that was not looked at.
_COLUMNS = """
SELECT s.id, s.name, s.scenario, s.status, s.decided, s.passed_over,
       CASE WHEN s.status = 'running' THEN greatest(q.position - s.position, 0) ELSE 0 END AS behind,
       CASE WHEN s.status = 'running' THEN coalesce(extract(epoch FROM now() - (
            SELECT e.at FROM event e WHERE e.position > s.position ORDER BY e.position LIMIT 1)), 0)
            ELSE 0 END::float8 AS lag,
       s.problem, s.until, s.created_by, s.created_at, s.ended_at,
       s.rules, s.promoted, s.promoted_at, s.promoted_by, s.taken_back, s.costs
FROM shadow s CROSS JOIN sequencer q
"""
SHADOWS = _COLUMNS + "ORDER BY s.id DESC LIMIT %(limit)s::int"
SHADOW = _COLUMNS + "WHERE s.id = %(id)s::uuid"
RUNNING = "SELECT id FROM shadow WHERE status = 'running' ORDER BY id"
RULE_CONTENT = "SELECT rule_content::text FROM shadow WHERE id = %(id)s::uuid"
COST_CONTENT = "SELECT cost_content::text FROM shadow WHERE id = %(id)s::uuid"
RESULT = "SELECT result::text FROM shadow WHERE id = %(id)s::uuid"
# Within a window of the log, by its primary key.
PLACED = """
SELECT e.position, e.at, substr(e.key, 7)::uuid AS order_id
FROM event e
WHERE e.position > %(position)s::bigint AND e.position <= %(until)s::bigint AND e.type = 'order.placed'
ORDER BY e.position
"""
HEAD = "SELECT position FROM sequencer"
# The first decision of orders, by primary key. The day is that of the decision: a channel may state an earlier one.
DECISIONS = """
SELECT d.order_id, o.number::text AS number, d.decided_at AS at,
       (d.decided_at AT TIME ZONE %(zone)s::text)::date AS day,
       coalesce(CASE WHEN o.method = 'ship' THEN o.ship_state END, '') AS state,
       1 AS attempts, d.record::text AS record, d.rule_set, d.asked::text AS asked, o.total AS value,
       o.ship_to ->> 'postal_code' AS postal_code, o.customer_group
FROM routing_decision d JOIN sales_order o ON o.id = d.order_id
WHERE d.order_id = ANY (%(orders)s::uuid[]) AND d.attempt = 1
"""
# What a restart needs: what was shifted, and the load of the newest day.
SHIFTS = """
SELECT day, locations_live, locations_shadow, coalesce(shifts, '[]') AS shifts FROM shadow_order
WHERE shadow_id = %(id)s::uuid AND day >= %(since)s::date
  AND (shifts IS NOT NULL OR day = (SELECT max(day) FROM shadow_order WHERE shadow_id = %(id)s::uuid))
ORDER BY day, position
"""
# By the partial index on those that differ; all of them by the newest position.
ORDERS = """
SELECT position, order_id, number, day, cost_live, cost_shadow, packages_live, packages_shadow, days_live,
       days_shadow, locations_live, locations_shadow, differs
FROM shadow_order
WHERE shadow_id = %(id)s::uuid AND differs
  AND (%(before)s::bigint IS NULL OR position < %(before)s::bigint)
ORDER BY position DESC LIMIT %(limit)s::int
"""


class PlacedEvent(msgspec.Struct, frozen=True):
    """An order that was placed, in the log."""

    position: int
    at: datetime
    order_id: UUID


async def shadows(tx: Tx, limit: int = 100) -> list[Shadow]:
    """Return the drafts, the newest first."""
    return msgspec.convert(await tx.all(dict, SHADOWS, {"limit": limit}), list[Shadow])


async def shadow(tx: Tx, id_: UUID) -> Shadow | None:
    """Return a draft."""
    found = await tx.maybe(dict, SHADOW, {"id": id_})
    return None if found is None else msgspec.convert(found, Shadow)


async def rule_content(tx: Tx, id_: UUID) -> Content | None:
    """Return the rules by which a draft decides; None: those that decide live."""
    found = await tx.value(RULE_CONTENT, {"id": id_})
    return None if found is None else msgspec.json.decode(found, type=Content)


async def cost_content(tx: Tx, id_: UUID) -> Drafted | None:
    """Return the costs by which a draft decides; None: those in force."""
    found = await tx.value(COST_CONTENT, {"id": id_})
    return None if found is None else msgspec.json.decode(found, type=Drafted)


async def running(tx: Tx) -> list[UUID]:
    """Return the drafts that decide now."""
    return await tx.values(RUNNING)


async def comparison(tx: Tx, id_: UUID) -> Comparison:
    """Return what a draft came to so far."""
    found = await tx.value(RESULT, {"id": id_})
    return compare(Running() if found is None else msgspec.json.decode(found, type=Running))


async def placed(tx: Tx, position: int, until: int) -> list[PlacedEvent]:
    """Return the orders placed after a position of the log, up to another."""
    return await tx.all(PlacedEvent, PLACED, {"position": position, "until": until})


async def decisions(tx: Tx, order_ids: Sequence[UUID], zone: str) -> dict[UUID, Decided]:
    """Return the first decision of orders, as far as they have one."""
    found = await tx.all(Decided, DECISIONS, {"orders": list(order_ids), "zone": zone})
    return {decided.order_id: decided for decided in found}


async def shifts(tx: Tx, id_: UUID, since: date) -> list[tuple[date, list[str], list[str], list[tuple[int, int, int]]]]:
    """Return (day, locations live, locations by the draft, shifts) of a draft's orders since a day, oldest first."""
    rows = await tx.tuples(SHIFTS, {"id": id_, "since": since})
    return [(day, was, would, [(sku, place, units) for sku, place, units in moved]) for day, was, would, moved in rows]


async def orders(tx: Tx, id_: UUID, *, before: int | None = None, limit: int = 50) -> list[ShadowOrder]:
    """Return the orders that a draft would send another way, the newest first."""
    return await tx.all(ShadowOrder, ORDERS, {"id": id_, "before": before, "limit": limit})
