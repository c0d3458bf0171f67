"""Small look-ups of the gate."""

from malha.platform.db import Tx

# One row each by primary key; missing rows count as revision 0.
REVISIONS = """
SELECT coalesce(max(n) FILTER (WHERE name = 'network'), 0), coalesce(max(n) FILTER (WHERE name = 'catalog'), 0),
       coalesce(max(n) FILTER (WHERE name = 'allotments'), 0), coalesce(max(n) FILTER (WHERE name = 'stock_prices'), 0),
       coalesce(max(n) FILTER (WHERE name = 'promise_days'), 0)
FROM revision WHERE name IN ('network', 'catalog', 'allotments', 'stock_prices', 'promise_days')
"""

# Work a capped location has for today: released, and claimed but not yet released. Locations without a cap have no
# rows.
TAKEN_TODAY = """
SELECT l.id,
       coalesce((SELECT d.taken FROM location_day d
                 WHERE d.location_id = l.id AND d.day = (now() AT TIME ZONE l.timezone)::date), 0)
       + (SELECT count(DISTINCT u.order_id)::int FROM order_unit u WHERE u.location_id = l.id AND u.state = 'allocated')
FROM location l
WHERE l.daily_capacity IS NOT NULL AND l.status = 'active'
"""


async def revisions(tx: Tx) -> tuple[int, int, int, int, int]:
    """Return the revisions of network, catalog, allotments, prices of stock and learned days."""
    ((network, catalog, allotments, prices, days),) = await tx.tuples(REVISIONS)
    return network, catalog, allotments, prices, days


async def taken_today(tx: Tx) -> dict[int, int]:
    """Return, per location with a daily capacity, how many orders it has for today."""
    return {location: int(taken) for location, taken in await tx.tuples(TAKEN_TODAY)}
