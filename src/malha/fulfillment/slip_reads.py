"""Orders whose goods have not left and that are promised for a day to come; and those that cannot keep it."""

from datetime import datetime
from typing import Annotated, LiteralString

import msgspec
from msgspec import Meta

from malha.ordering.promised_days import fetched_in
from malha.platform.db import Tx
from malha.platform.ids import UUID
from malha.promising.slipping import Part, Slip

# Sent to a state that is known, or fetched without a slot: who has one comes in it, whatever calendars say.
_WATCHED = """
      o.status NOT IN ('ready', 'shipped', 'delivered', 'cancelled')
      AND CASE o.method WHEN 'ship' THEN o.ship_state IS NOT NULL ELSE NOT EXISTS (
          SELECT FROM capacity_reservation r
          WHERE r.order_id = o.id AND r.state = 'confirmed' AND r.kind = 'pickup') END
"""

# A page of orders by the partial index on promises, the soonest first, each unit that has not left with its work and
# with what the newest decision made of its location (a few rows by primary key). An order that somebody holds for
# anything but a shortage is left out: nobody knows when it goes on, and it is looked at again once it does. Units that
# wait for supply follow it (`intake.supplying`).
_PARTS = """
WITH page AS MATERIALIZED (
    SELECT o.id, {promised} AS promised_at, o.release_after,
           CASE WHEN o.method = 'ship' THEN o.ship_state END AS to_state,
           o.service_id, CASE WHEN o.method = 'pickup' THEN o.pickup_location_id END AS pickup
    FROM sales_order o
    WHERE {watched} AND {asked}
    ORDER BY o.promised_at, o.id LIMIT %(most)s::int
), part AS (
    SELECT p.id, u.location_id, u.fulfillment_id, coalesce(l.promised_at, p.promised_at) AS promised_at,
           array_agg(DISTINCT u.line ORDER BY u.line) AS lines, sum(u.quantity)::int AS units
    FROM page p
    JOIN order_unit u ON u.order_id = p.id AND u.state IN (
        'unplaced', 'allocated', 'released', 'picking', 'picked', 'awaiting_document', 'packed', 'invoiced')
    LEFT JOIN order_line_promise l ON l.order_id = p.id AND l.line = u.line
    WHERE NOT EXISTS (SELECT FROM order_hold h
                      WHERE h.order_id = p.id AND h.resolved_at IS NULL AND h.kind <> 'shortage')
    GROUP BY 1, 2, 3, 4
)
SELECT part.id AS order_id, part.promised_at, p.release_after, p.to_state, p.pickup, part.lines, part.units,
       part.location_id AS location, part.fulfillment_id IS NOT NULL AS released, f.due_at,
       coalesce(leg.service, f.service_id, p.service_id) AS service, leg.grams, leg.leaves, leg.days,
       coalesce(leg.learned, false) AS learned,
       coalesce(leg.attempt > 1 AND leg.decided_at > coalesce(made.last, '-infinity'), false) AS moved,
       coalesce(made.own, 0) AS told, made.last AS told_at
FROM part
JOIN page p ON p.id = part.id
LEFT JOIN fulfillment_order f ON f.id = part.fulfillment_id
LEFT JOIN LATERAL (
    SELECT d.attempt, d.decided_at, x.service, x.grams, x.leaves, x.days, x.learned
    FROM routing_decision d,
         json_to_recordset(d.promise -> 'legs') AS x(location int, service int, grams int, leaves date, days int,
                                                     learned boolean)
    WHERE d.order_id = part.id AND x.location = part.location_id
    ORDER BY d.attempt DESC LIMIT 1
) leg ON true
LEFT JOIN LATERAL (
    SELECT max(made_at) AS last,
           (count(DISTINCT made_at) FILTER (WHERE made_by = 'system' AND former_at IS NOT NULL))::int AS own
    FROM order_promise WHERE order_id = part.id
) made ON true
ORDER BY p.promised_at, p.id
"""
_PROMISED = _PARTS.replace("{watched}", _WATCHED).replace("{promised}", "o.promised_at")
PARTS = _PROMISED.replace(
    "{asked}",
    """o.promised_at > now()
      AND (%(after)s::timestamptz IS NULL OR (o.promised_at, o.id) > (%(after)s::timestamptz, %(behind)s::uuid))""",
)
# By primary key.
PARTS_OF = _PROMISED.replace(
    "{asked}",
    """o.id = ANY (%(orders)s::uuid[])
      AND o.promised_at > CASE WHEN %(over)s::boolean THEN '-infinity' ELSE now() END""",
)
# By primary key. What nothing is promised for yet cannot be in time for the beginning of time. Where some of an order
# waits for goods or a vendor, nobody can say when all of it is there.
UNPROMISED = (
    _PARTS.replace("{watched}", _WATCHED)
    .replace("{promised}", "'epoch'::timestamptz")
    .replace(
        "{asked}",
        """o.id = ANY (%(orders)s::uuid[]) AND o.promised_at IS NULL
      AND NOT EXISTS (SELECT FROM order_unit w WHERE w.order_id = o.id AND w.state IN ('unplaced', 'backordered'))""",
    )
)

# The key the next page begins behind: the last order of this one, whether any of it is left to send or not.
LAST_OF_PAGE = f"""
SELECT o.promised_at, o.id FROM (
    SELECT o.promised_at, o.id FROM sales_order o
    WHERE o.promised_at > now() AND {_WATCHED}
      AND (%(after)s::timestamptz IS NULL OR (o.promised_at, o.id) > (%(after)s::timestamptz, %(behind)s::uuid))
    ORDER BY o.promised_at, o.id LIMIT %(most)s::int
) o ORDER BY o.promised_at DESC, o.id DESC LIMIT 1
"""

# By the index on the promised day, the soonest first; who sees some locations only sees parcels of these: one unit
# there is enough, found by the order (LIMIT keeps the planner from hashing all units).
SLIPPING: LiteralString = f"""
SELECT s.order_id, o.number, c.name AS channel, s.found_at, s.promised_at, s.expected_at, s.lines::int[] AS lines,
       s.reason, l.code AS location, l.name AS location_name, o.buyer_name, o.method,
       CASE WHEN o.method = 'ship' THEN o.ship_state END AS to_state, {fetched_in("o")} AS pickup_zone,
       o.total, o.currency,
       (SELECT count(DISTINCT made_at)::int FROM order_promise p
        WHERE p.order_id = s.order_id AND p.made_by = 'system' AND p.former_at IS NOT NULL) AS told
FROM promise_slip s
JOIN sales_order o ON o.id = s.order_id
JOIN channel c ON c.id = o.channel_id
LEFT JOIN location l ON l.id = s.location_id
WHERE (%(scope)s::int[] IS NULL OR (
       SELECT true FROM order_unit u WHERE u.order_id = s.order_id AND u.location_id = ANY (%(scope)s::int[]) LIMIT 1))
  AND (%(reason)s::text IS NULL OR s.reason = %(reason)s::text)
  AND (%(after)s::timestamptz IS NULL OR (s.promised_at, s.order_id) > (%(after)s::timestamptz, %(behind)s::uuid))
ORDER BY s.promised_at, s.order_id LIMIT %(most)s::int
"""

COUNTS = """
SELECT s.reason, count(*)::int, count(s.expected_at)::int FROM promise_slip s
WHERE (%(scope)s::int[] IS NULL OR (
       SELECT true FROM order_unit u WHERE u.order_id = s.order_id AND u.location_id = ANY (%(scope)s::int[]) LIMIT 1))
GROUP BY 1
"""

# By primary key.
SEEN = """
SELECT s.order_id FROM promise_slip s
WHERE s.order_id = ANY (%(orders)s::uuid[]) AND (%(scope)s::int[] IS NULL OR (
       SELECT true FROM order_unit u WHERE u.order_id = s.order_id AND u.location_id = ANY (%(scope)s::int[]) LIMIT 1))
"""

# By primary key.
STATED = """
SELECT order_id FROM routing_decision
WHERE order_id = ANY (%(orders)s::uuid[]) AND attempt = 1 AND (promise ->> 'stated')::boolean
"""

# By primary key.
SLIP_OF = "SELECT promised_at, expected_at, reason FROM promise_slip WHERE order_id = %(order_id)s::uuid"


class SlipRow(msgspec.Struct, frozen=True, kw_only=True):
    """An order that cannot keep its day: the day its plan comes to now, or none, and why."""

    order_id: UUID
    number: int
    channel: str
    found_at: datetime
    promised_at: datetime
    expected_at: datetime | None
    lines: list[int]
    reason: str  # promising.slipping.Slip
    location: str | None
    location_name: str | None
    buyer_name: str | None
    method: str
    to_state: str | None
    pickup_zone: Annotated[str | None, Meta(description="The time zone it is fetched in; none if it is sent.")]
    total: int
    currency: str
    told: int  # promises the system has made anew for it


class OneSlip(msgspec.Struct, frozen=True):
    """How one order cannot keep its day."""

    promised_at: datetime
    expected_at: datetime | None
    reason: str  # promising.slipping.Slip


Place = tuple[datetime, UUID]


async def parts(
    tx: Tx, *, orders: list[UUID] | None = None, after: Place | None = None, most: int, over: bool = False
) -> tuple[list[Part], Place | None]:
    """Return what has not left of the orders that are promised for a day to come, a page of orders at a time.

    The second is where the next page begins behind; None: there is none. `over`: of the named `orders` those too whose
    promise is over.
    """
    if orders is not None:
        return await tx.all(Part, PARTS_OF, {"orders": orders, "most": most, "over": over}), None
    at, behind = after or (None, None)
    rows = await tx.all(Part, PARTS, {"after": at, "behind": behind, "most": most})
    last = await tx.tuples(LAST_OF_PAGE, {"after": at, "behind": behind, "most": most})
    return rows, ((last[0][0], last[0][1]) if last else None)


async def unpromised(tx: Tx, orders: list[UUID]) -> list[Part]:
    """Return what has not left of those of some orders for which nothing is promised and all goods have a place."""
    return await tx.all(Part, UNPROMISED, {"orders": orders, "most": len(orders)})


async def slipping(
    tx: Tx, *, scope: tuple[int, ...] | None, reason: Slip | None = None, after: Place | None = None, most: int
) -> list[SlipRow]:
    """Return orders that cannot keep their day, the soonest promised first."""
    at, behind = after or (None, None)
    places = None if scope is None else list(scope)
    asked = {"scope": places, "reason": reason, "after": at, "behind": behind, "most": most}
    return await tx.all(SlipRow, SLIPPING, asked)


async def counts(tx: Tx, scope: tuple[int, ...] | None) -> dict[Slip, tuple[int, int]]:
    """Return, by reason, how many orders cannot keep their day, and of how many the new day is known."""
    rows = await tx.tuples(COUNTS, {"scope": None if scope is None else list(scope)})
    return {Slip(reason): (n, dated) for reason, n, dated in rows}


async def slip_of(tx: Tx, order_id: UUID) -> OneSlip | None:
    """Return how an order cannot keep its day; None: nobody found that it cannot."""
    return await tx.maybe(OneSlip, SLIP_OF, {"order_id": order_id})


async def stated(tx: Tx, orders: list[UUID]) -> set[UUID]:
    """Return those of some orders whose day their channel stated, as far as that was kept."""
    return set(await tx.values(STATED, {"orders": orders}))


async def seen(tx: Tx, orders: list[UUID], scope: tuple[int, ...] | None) -> list[UUID]:
    """Return those of some orders that cannot keep their day and have goods where the asker sees them."""
    return await tx.values(SEEN, {"orders": orders, "scope": None if scope is None else list(scope)})
