"""Small look-ups of the gate."""

from typing import NamedTuple

from malha.platform.db import Tx

# One row each by primary key; missing rows count as revision 0. Where slots are stated, each hour has a revision of its
# own: how many orders a location may pick is another number each day, which begins by its own clock. The rule set in
# force, by its partial index: it changes with time alone.
REVISIONS = """
SELECT coalesce(max(n) FILTER (WHERE name = 'network'), 0), coalesce(max(n) FILTER (WHERE name = 'catalog'), 0),
       coalesce(max(n) FILTER (WHERE name = 'allotments'), 0), coalesce(max(n) FILTER (WHERE name = 'stock_prices'), 0),
       coalesce(max(n) FILTER (WHERE name = 'promise_days'), 0),
       coalesce(max(n) FILTER (WHERE name = 'capacity') * 1000000 + extract(epoch FROM now())::bigint / 3600, 0),
       coalesce((SELECT id FROM routing_rule_set WHERE status = 'published' AND effective_from <= now()
                 ORDER BY effective_from DESC, id DESC LIMIT 1), 0)
FROM revision WHERE name IN ('network', 'catalog', 'allotments', 'stock_prices', 'promise_days', 'capacity')
"""

# Work a capped location has for today: released, and claimed but not yet released. Locations without a cap have no
# rows; slots are stated of a site's first location and hold for all that are there. Where they count units, so does
# this: of what is in slots at the first location, of open work in none at its own.
TAKEN_TODAY = """
SELECT l.id, CASE WHEN p.location_id IS NULL THEN
       coalesce((SELECT d.taken FROM location_day d
                 WHERE d.location_id = l.id AND d.day = (now() AT TIME ZONE l.timezone)::date), 0)
       + (SELECT count(DISTINCT u.order_id)::int FROM order_unit u WHERE u.location_id = l.id AND u.state = 'allocated')
       ELSE
       coalesce((SELECT sum(s.units)::int FROM capacity_slot s
                 WHERE s.location_id = l.id AND s.kind = 'pick'
                   AND s.day = (now() AT TIME ZONE l.timezone)::date), 0)
       + coalesce((SELECT sum(f.units)::int FROM fulfillment_order f
                   WHERE f.location_id = l.id AND f.capacity_day = (now() AT TIME ZONE l.timezone)::date
                     AND f.slot_starts IS NULL AND f.state NOT IN ('closed', 'rejected', 'cancelled')), 0)
       + coalesce((SELECT sum(u.quantity)::int FROM order_unit u
                   WHERE u.location_id = l.id AND u.state = 'allocated'), 0)
       END
FROM location l
LEFT JOIN capacity_plan p
  ON p.location_id = coalesce(l.site_id, l.id) AND p.measure = 'units'
 AND p.location_id = ANY (ARRAY(SELECT location_id FROM capacity_template WHERE kind = 'pick'
                                UNION SELECT location_id FROM capacity_override WHERE kind = 'pick'))
WHERE (l.daily_capacity IS NOT NULL
       OR coalesce(l.site_id, l.id) = ANY (ARRAY(SELECT location_id FROM capacity_template WHERE kind = 'pick'
                            UNION SELECT location_id FROM capacity_override WHERE kind = 'pick')))
  AND l.status = 'active'
"""


class Revisions(NamedTuple):
    """Numbers that change with the reference data; `rules` is the id of the rule set in force, 0: none."""

    network: int
    catalog: int
    allotments: int
    prices: int
    days: int
    capacity: int
    rules: int


async def revisions(tx: Tx) -> Revisions:
    """Return what the gate's reference data are made of."""
    (found,) = await tx.tuples(REVISIONS)
    return Revisions._make(found)


async def taken_today(tx: Tx) -> dict[int, int]:
    """Return, per location with a daily capacity, how many orders it has for today, or units where slots count them."""
    return {location: int(taken) for location, taken in await tx.tuples(TAKEN_TODAY)}
