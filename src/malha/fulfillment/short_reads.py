"""Which orders lack goods that no location has, what was tried, and what somebody did about it."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from malha.fulfillment.short_model import ReroutePolicy, ShortOrder
from malha.ordering.promised_days import fetched_in
from malha.platform.db import Tx
from malha.platform.ids import UUID
from malha.platform.text import literal

# What waits is found by the partial index on waiting units, and is little beside all orders; claims, and what vendors
# are to send, by their index on orders. Units of a kit are counted by the component that lacks most of them. Orders
# that cannot be planned, or whose time to pay is over, are not short.
_LACKING = """
WITH waiting AS (
    SELECT u.order_id, u.line, u.sku_id, sum(u.quantity)::int AS units
    FROM order_unit u
    WHERE u.state IN ('unplaced', 'backordered') AND u.sku_id IS NOT NULL
      AND (%(order_id)s::uuid IS NULL OR u.order_id = %(order_id)s::uuid)
    GROUP BY u.order_id, u.line, u.sku_id
), open AS (
    SELECT w.order_id, w.line, w.sku_id, w.units - coalesce(c.units, 0) - coalesce(d.units, 0) AS units
    FROM waiting w
    LEFT JOIN LATERAL (SELECT sum(c.quantity)::int AS units FROM supply_claim c
                       WHERE c.order_id = w.order_id AND c.line = w.line AND c.sku_id = w.sku_id
                         AND c.state <> 'lost') c ON true
    LEFT JOIN LATERAL (SELECT sum(l.expected)::int AS units
                       FROM drop_ship d JOIN drop_ship_line l ON l.drop_ship_id = d.id
                       WHERE d.order_id = w.order_id AND d.state IN ('asked', 'accepted')
                         AND l.line = w.line AND l.sku_id = w.sku_id) d ON true
), by_line AS (
    SELECT p.order_id, p.line, max(ceil(p.units::numeric / coalesce(k.quantity, 1)))::int AS units,
           bool_or(k.quantity IS NOT NULL) AS kit
    FROM open p
    LEFT JOIN order_component k ON k.order_id = p.order_id AND k.line = p.line AND k.sku_id = p.sku_id
    WHERE p.units > 0
    GROUP BY p.order_id, p.line
), lacking AS (
    SELECT b.order_id, jsonb_agg(jsonb_build_array(b.line, l.sku_id, coalesce(v.sku, l.sku_text), l.name, b.units,
                                                   b.kit) ORDER BY b.line) AS lines,
           bool_or(%(text)s::text IS NOT NULL AND (v.sku ILIKE %(text)s::text OR l.name ILIKE %(text)s::text)) AS named
    FROM by_line b
    JOIN order_line l ON l.order_id = b.order_id AND l.line = b.line
    LEFT JOIN variant v ON v.id = l.sku_id
    GROUP BY b.order_id
), orders AS (
    SELECT o.id, o.number, o.placed_at, o.promised_at, o.channel_id, o.customer_group, o.method, o.service_id,
           o.pickup_location_id, o.merge_location_id, o.ship_state,
           o.buyer_name, o.total - o.cancelled_total AS total, o.currency, k.lines,
           coalesce((SELECT max(d.attempt) FROM routing_decision d WHERE d.order_id = o.id), 0)::int AS decisions
    FROM lacking k JOIN sales_order o ON o.id = k.order_id
    WHERE NOT EXISTS (SELECT FROM order_hold h
                      WHERE h.order_id = o.id AND h.resolved_at IS NULL
                        AND h.kind IN ('payment_lapsed', 'address', 'unknown_location', 'unknown_service',
                                       'unknown_sku'))
      AND (%(scope)s::int[] IS NULL OR EXISTS (
           SELECT FROM order_unit u WHERE u.order_id = o.id AND u.location_id = ANY (%(scope)s::int[])))
      AND (%(text)s::text IS NULL OR k.named OR o.number::text = trim(both '%%' FROM %(text)s::text))
)
"""
SHORT_ORDERS = (
    _LACKING
    + """
SELECT o.id AS order_id, o.number, o.placed_at, o.promised_at, h.name AS channel, o.channel_id, o.customer_group,
       o.method, o.service_id, o.pickup_location_id, o.merge_location_id, o.ship_state,
       """
    + fetched_in("o")
    + """ AS pickup_zone, o.buyer_name AS buyer, o.total, o.currency, o.decisions, o.lines,
       coalesce((SELECT array_agg(x.kind ORDER BY x.kind) FROM order_hold x
                 WHERE x.order_id = o.id AND x.resolved_at IS NULL), '{}') AS holds,
       coalesce((SELECT sum(u.quantity) FROM order_unit u
                 WHERE u.order_id = o.id AND u.state = 'allocated'), 0)::int AS allocated,
       coalesce((SELECT jsonb_agg(jsonb_build_object('line', x.line, 'location', l.code, 'location_id', l.id,
                                                     'reason', x.reason) ORDER BY x.at)
                 FROM routing_exclusion x JOIN location l ON l.id = x.location_id
                 WHERE x.order_id = o.id), '[]') AS tried,
       coalesce((SELECT jsonb_agg(jsonb_build_object('line', s.line, 'way', s.way, 'facts', s.facts, 'by', s.by,
                                                     'at', s.at) ORDER BY s.id)
                 FROM short_step s WHERE s.order_id = o.id), '[]') AS steps
FROM orders o JOIN channel h ON h.id = o.channel_id
WHERE (o.placed_at, o.id) > (coalesce(%(at)s::timestamptz, '-infinity'),
                             coalesce(%(after)s::uuid, '00000000-0000-0000-0000-000000000000'))
  AND (%(least)s::int IS NULL OR o.decisions >= %(least)s::int)
ORDER BY o.placed_at, o.id
LIMIT %(limit)s::int
"""
)
COUNTS = (
    _LACKING
    + """
SELECT count(*)::int, count(*) FILTER (WHERE decisions >= %(least)s::int)::int FROM orders
"""
)
# Orders that wait for SKUs somebody has, fenced or not: few beside all orders, by the partial index on waiting units,
# and balances by their key. Whose time to pay is over gets nothing.
MAY_FIND_A_PLACE = """
WITH wanted AS MATERIALIZED (
    SELECT DISTINCT u.sku_id FROM order_unit u WHERE u.state IN ('unplaced', 'backordered') AND u.sku_id IS NOT NULL
), there AS (
    SELECT w.sku_id FROM wanted w
    WHERE EXISTS (SELECT FROM balance b
                  WHERE b.sku_id = w.sku_id AND b.on_hand - b.allocated - b.held - b.safety > 0)
)
SELECT o.id, o.placed_at FROM sales_order o
WHERE o.id IN (SELECT u.order_id FROM order_unit u
               WHERE u.state IN ('unplaced', 'backordered') AND u.sku_id IN (SELECT sku_id FROM there))
  AND NOT EXISTS (SELECT FROM order_hold h
                  WHERE h.order_id = o.id AND h.kind = 'payment_lapsed' AND h.resolved_at IS NULL)
  AND (o.placed_at, o.id) > (coalesce(%(at)s::timestamptz, '-infinity'),
                             coalesce(%(after)s::uuid, '00000000-0000-0000-0000-000000000000'))
ORDER BY o.placed_at, o.id
LIMIT %(limit)s::int
"""
# By the unique index on open holds, and the primary keys of exclusions and decisions.
ASKED_ENOUGH = """
SELECT h.order_id FROM order_hold h
WHERE h.order_id = ANY (%(orders)s::uuid[]) AND h.kind = 'shortage' AND h.resolved_at IS NULL
  AND EXISTS (SELECT FROM routing_exclusion x WHERE x.order_id = h.order_id)
  AND (SELECT max(d.attempt) FROM routing_decision d WHERE d.order_id = h.order_id) >= %(most)s::int
"""
# By the partial index on transfers.
ASKED_OF = """
SELECT DISTINCT facts->>'transfer', order_id, line FROM short_step
WHERE way = 'transfer' AND facts->>'transfer' = ANY (%(numbers)s::text[])
ORDER BY order_id, line
"""
# The one row.
POLICY = "SELECT most_decisions, version FROM reroute_policy"

Place = tuple[datetime, UUID]


async def policy(tx: Tx) -> ReroutePolicy:
    """Return how often an order is asked elsewhere by itself."""
    found = await tx.maybe(dict, POLICY)
    return ReroutePolicy() if found is None else ReroutePolicy(**found)


def _wanted(text: str, scope: Sequence[int] | None, order_id: UUID | None = None) -> dict[str, Any]:
    return {
        "text": f"%{literal(text)}%" if text else None,
        "scope": None if scope is None else list(scope),
        "order_id": order_id,
    }


async def short_orders(
    tx: Tx,
    *,
    text: str = "",
    least: int | None = None,
    scope: Sequence[int] | None = None,
    after: Place | None = None,
    limit: int = 50,
    order_id: UUID | None = None,
) -> list[ShortOrder]:
    """Return orders with units that neither a location nor supply covers, the oldest first.

    Args:
        tx: The transaction.
        text: Part of a SKU or name, or the number of an order.
        least: Only orders that were decided so often.
        scope: Only orders with units at one of these locations.
        after: Where to go on.
        limit: How many.
        order_id: Only this one.
    """
    at, id_ = after or (None, None)
    params = _wanted(text, scope, order_id) | {"least": least, "at": at, "after": id_, "limit": limit}
    rows = await tx.all(dict, SHORT_ORDERS, params)
    for row in rows:
        row["lines"] = [
            {"line": line, "sku_id": sku_id or 0, "sku": sku, "name": name, "quantity": units, "kit": kit}
            for line, sku_id, sku, name, units, kit in row["lines"]
        ]
    return msgspec.convert(rows, list[ShortOrder])


async def counts(tx: Tx, least: int, *, text: str = "", scope: Sequence[int] | None = None) -> tuple[int, int]:
    """Return how many orders lack goods, and how many of them a person has to decide."""
    ((every, decide),) = await tx.tuples(COUNTS, _wanted(text, scope) | {"least": least})
    return every, decide


async def may_find_a_place(tx: Tx, after: Place | None, limit: int) -> list[tuple[UUID, datetime]]:
    """Return orders that wait for goods which somebody has, with when they were placed, the oldest first.

    `after` is where to go on: when the last one was placed, and its id.
    """
    at, id_ = after or (None, None)
    return await tx.tuples(MAY_FIND_A_PLACE, {"at": at, "after": id_, "limit": limit})


async def asked_enough(tx: Tx, order_ids: Sequence[UUID]) -> set[UUID]:
    """Return the orders held for what they lack that locations gave back and that were decided as often as may be."""
    most = (await policy(tx)).most_decisions
    return set(await tx.values(ASKED_ENOUGH, {"orders": order_ids, "most": most}))


async def asked_of(tx: Tx, numbers: Iterable[int]) -> list[tuple[int, UUID, int]]:
    """Return for which orders and lines transfers were asked for: number of the transfer, order, line."""
    rows = await tx.tuples(ASKED_OF, {"numbers": [str(number) for number in numbers]})
    return [(int(number), order_id, line) for number, order_id, line in rows]
