"""Orders that are placed and not released: what a wave plans together."""

from malha.platform.db import Tx
from malha.platform.ids import UUID
from malha.routing.wave_model import Held

# By the partial index on release_after, the next to be released first. Left out: what is on hold, gave back or was
# moved before, waits for supply, drew on fences or counts on caps, has a delivery slot of its location or went where a
# rule says; and kits, whose
# components go together.
HELD = """
SELECT o.id, o.seq, o.channel_id, o.service_id, o.ship_state, u.lines, u.skus, u.units, u.locations, u.worth, o.cep
FROM (SELECT id, seq, channel_id, service_id, ship_state, ship_to->>'postal_code' AS cep FROM sales_order s
      WHERE status = 'allocated' AND method = 'ship' AND ship_state IS NOT NULL
        AND release_after > now() + make_interval(secs => %(margin)s::float8)
        AND NOT EXISTS (SELECT FROM order_hold h WHERE h.order_id = s.id AND h.resolved_at IS NULL)
        AND NOT EXISTS (SELECT FROM routing_move m WHERE m.order_id = s.id)
        AND NOT EXISTS (SELECT FROM routing_exclusion x WHERE x.order_id = s.id)
        AND NOT EXISTS (SELECT FROM supply_claim c WHERE c.order_id = s.id)
        AND NOT EXISTS (SELECT FROM stock_draw d WHERE d.claim_id = s.id)
        AND NOT EXISTS (SELECT FROM capacity_reservation r WHERE r.order_id = s.id AND r.state = 'confirmed')
        AND NOT EXISTS (SELECT FROM routing_decision r WHERE r.order_id = s.id AND r.rule_set IS NOT NULL)
      ORDER BY release_after LIMIT %(most)s::int) o
CROSS JOIN LATERAL (
    SELECT array_agg(x.line ORDER BY x.line) AS lines, array_agg(x.sku_id ORDER BY x.line) AS skus,
           array_agg(x.quantity ORDER BY x.line) AS units, array_agg(x.location_id ORDER BY x.line) AS locations,
           array_agg(l.total / l.quantity ORDER BY x.line) AS worth,
           bool_and(x.state = 'allocated' AND x.location_id IS NOT NULL AND x.sku_id = l.sku_id) AS plain,
           count(*) AS n, count(DISTINCT x.line) AS several, count(DISTINCT x.sku_id) AS different
    FROM order_unit x JOIN order_line l ON l.order_id = x.order_id AND l.line = x.line
    WHERE x.order_id = o.id AND x.state <> 'cancelled') u
WHERE u.plain AND u.n <= %(lines)s::int AND u.several = u.n AND u.different = u.n
"""

# Of a handful of orders, by primary key.
MOVED_BEFORE = """
SELECT order_id FROM routing_move WHERE order_id = ANY (%(orders)s::uuid[])
"""

# The newest wave by primary key.
BEGUN_WITHIN = """
SELECT began_at > now() - make_interval(secs => %(seconds)s::float8) FROM routing_wave ORDER BY id DESC LIMIT 1
"""


async def held(tx: Tx, *, most: int, lines: int, margin_s: float) -> list[Held]:
    """Return the orders that a wave may move, of at most so many lines, that are not released within `margin_s`."""
    return [Held._make(row) for row in await tx.tuples(HELD, {"most": most, "lines": lines, "margin": margin_s})]


async def moved_before(tx: Tx, order_ids: list[UUID]) -> set[UUID]:
    """Return which of some orders a wave has moved."""
    return set(await tx.values(MOVED_BEFORE, {"orders": order_ids}))


async def begun_within(tx: Tx, seconds: float) -> bool:
    """Return whether a wave began so recently, by whatever worker."""
    return bool(await tx.value(BEGUN_WITHIN, {"seconds": seconds}))
