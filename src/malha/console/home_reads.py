"""What the home page asks: a day's orders, what waits and why, what each location has to do. Reads across capabilities.

None of it counts a whole table: a day is a range of the index on `placed_at`, everything else stands in a partial index
of what is open. `scope` narrows each to some locations; None is all.
"""

from collections.abc import Sequence
from datetime import date, datetime

import msgspec

from malha.platform.db import Tx

Scope = tuple[int, ...] | None
Bounds = tuple[date, datetime, datetime]  # a day, its first instant and the one after its last

# One range of the index on placed_at for each day. Whether an order is in scope is a scalar question, which the planner
# can only answer order by order, by the prefix of the units' primary key: never by reading all units there are.
DAYS = """
SELECT d.day, x.channel_id, x.currency, x.state, x.hour, x.orders, x.total
FROM unnest(%(days)s::date[], %(since)s::timestamptz[], %(until)s::timestamptz[]) AS d (day, since, until)
CROSS JOIN LATERAL (
    SELECT o.channel_id, o.currency, o.ship_state AS state,
           extract(hour FROM o.placed_at AT TIME ZONE %(zone)s::text)::int AS hour,
           count(*)::int AS orders, sum(o.total - o.cancelled_total)::bigint AS total
    FROM sales_order o
    WHERE o.placed_at >= d.since AND o.placed_at < d.until
      AND (%(scope)s::int[] IS NULL OR (
          SELECT true FROM order_unit u WHERE u.order_id = o.id AND u.location_id = ANY(%(scope)s::int[]) LIMIT 1))
    GROUP BY o.channel_id, o.currency, o.ship_state, hour
) x
"""

# The same ranges, each order's work by its index: how long until goods left (or were ready to be collected), in steps
# of five minutes, and at which location. Work that is not done is late when its time is over.
WORK = """
SELECT d.day, x.bucket, x.location_id, x.done, x.due, x.late
FROM unnest(%(days)s::date[], %(since)s::timestamptz[], %(until)s::timestamptz[]) AS d (day, since, until)
CROSS JOIN LATERAL (
    SELECT w.bucket, w.location_id, count(w.at)::int AS done,
           count(*) FILTER (WHERE w.at IS NOT NULL OR w.due_at < now())::int AS due,
           count(*) FILTER (WHERE coalesce(w.at, now()) > w.due_at)::int AS late
    FROM (
        SELECT f.location_id, f.due_at, done.at,
               (extract(epoch FROM done.at - o.placed_at) / 300)::int AS bucket
        FROM sales_order o
        JOIN fulfillment_order f ON f.order_id = o.id AND f.state NOT IN ('rejected', 'cancelled')
        CROSS JOIN LATERAL (SELECT CASE f.method WHEN 'pickup' THEN f.packed_at ELSE f.closed_at END AS at) done
        WHERE o.placed_at >= d.since AND o.placed_at < d.until
          AND (%(scope)s::int[] IS NULL OR f.location_id = ANY(%(scope)s::int[]))
    ) w
    GROUP BY GROUPING SETS ((w.bucket), (w.location_id))
) x
"""

# The same ranges, the newest decision of each order by primary key.
COSTS = """
SELECT d.day, x.orders, x.cost
FROM unnest(%(days)s::date[], %(since)s::timestamptz[], %(until)s::timestamptz[]) AS d (day, since, until)
CROSS JOIN LATERAL (
    SELECT count(*)::int AS orders, coalesce(sum(r.cost), 0)::bigint AS cost
    FROM sales_order o
    CROSS JOIN LATERAL (
        SELECT cost FROM routing_decision r WHERE r.order_id = o.id ORDER BY r.attempt DESC LIMIT 1) r
    WHERE o.placed_at >= d.since AND o.placed_at < d.until
) x
"""

# The partial index of open holds.
HOLDS = """
SELECT h.kind, count(*)::int AS orders, min(h.placed_at) AS since, sum(o.total - o.cancelled_total)::bigint AS total,
       min(o.currency) AS currency
FROM order_hold h JOIN sales_order o ON o.id = h.order_id
WHERE h.resolved_at IS NULL AND o.status NOT IN ('delivered', 'cancelled')
  AND (%(scope)s::int[] IS NULL OR (
      SELECT true FROM order_unit u WHERE u.order_id = o.id AND u.location_id = ANY(%(scope)s::int[]) LIMIT 1))
GROUP BY h.kind ORDER BY orders DESC, h.kind
"""

# The partial index of open orders, by status.
WAITING_SINCE = """
SELECT min(o.placed_at) FROM sales_order o
WHERE o.status IN ('unplaced', 'backordered') AND o.status NOT IN ('delivered', 'cancelled')
  AND (%(scope)s::int[] IS NULL OR (
      SELECT true FROM order_unit u WHERE u.order_id = o.id AND u.location_id = ANY(%(scope)s::int[]) LIMIT 1))
"""

# The partial index of units that wait for stock, of orders that wait for nothing else. They have no location: whoever
# sees some locations only sees none.
MISSING = """
SELECT v.sku, v.name, sum(u.quantity)::int AS units, (sum(sum(u.quantity)) OVER ())::int AS all_units
FROM order_unit u JOIN sales_order o ON o.id = u.order_id JOIN variant v ON v.id = u.sku_id
WHERE u.state IN ('unplaced', 'backordered') AND o.status IN ('unplaced', 'backordered')
GROUP BY v.id ORDER BY units DESC, v.sku LIMIT %(most)s::int
"""

# The partial index of open deficits.
DEFICITS = """
SELECT d.quantity, d.found_at, v.sku, v.name, l.code AS location_code, l.name AS location,
       count(*) OVER ()::int AS all_open
FROM stock_deficit d JOIN variant v ON v.id = d.sku_id JOIN location l ON l.id = d.location_id
WHERE d.resolved_at IS NULL AND (%(scope)s::int[] IS NULL OR d.location_id = ANY(%(scope)s::int[]))
ORDER BY d.quantity DESC, d.found_at LIMIT %(most)s::int
"""

# Open work by the partial index of the queue, today's capacity, which all of a site has together, by primary key; a
# location's day is that of its zone.
LOCATIONS = """
SELECT l.id, l.code, l.name, l.kind, l.latitude, l.longitude, l.daily_capacity, coalesce(d.taken, 0)::int AS taken,
       coalesce(w.open, 0) AS open, coalesce(w.late, 0) AS late, coalesce(w.to_accept, 0) AS to_accept,
       coalesce(w.ready, 0) AS ready, w.due
FROM location l
LEFT JOIN LATERAL (
    SELECT sum(d.taken) AS taken FROM location m JOIN location_day d ON d.location_id = m.id
    WHERE coalesce(m.site_id, m.id) = coalesce(l.site_id, l.id) AND d.day = (now() AT TIME ZONE l.timezone)::date
) d ON true
LEFT JOIN (
    SELECT location_id, count(*)::int AS open, min(due_at) FILTER (WHERE state <> 'ready') AS due,
           (count(*) FILTER (WHERE due_at < now() AND state <> 'ready'))::int AS late,
           (count(*) FILTER (WHERE state = 'open'))::int AS to_accept,
           (count(*) FILTER (WHERE state = 'ready'))::int AS ready
    FROM fulfillment_order WHERE state NOT IN ('closed', 'rejected', 'cancelled') GROUP BY location_id
) w ON w.location_id = l.id
WHERE l.status <> 'closed' AND (%(scope)s::int[] IS NULL OR l.id = ANY(%(scope)s::int[]))
ORDER BY late DESC, coalesce(d.taken, 0)::float / nullif(l.daily_capacity, 0) DESC NULLS LAST, open DESC, l.name
"""

# Whether anything of each kind is there: one row of each table at most, of orders the first of their key. A service
# without prices carries nothing, so the first of those is what is left to do.
BEGUN = """
SELECT EXISTS (SELECT FROM establishment) AS company, EXISTS (SELECT FROM location) AS location,
       EXISTS (SELECT FROM service_rate) OR EXISTS (SELECT FROM location WHERE can_pickup) AS service,
       (SELECT s.code FROM service s WHERE NOT EXISTS (SELECT FROM service_rate r WHERE r.service_id = s.id)
        ORDER BY s.id LIMIT 1) AS unpriced,
       EXISTS (SELECT FROM channel) AS channel,
       EXISTS (SELECT FROM variant) AS product, EXISTS (SELECT FROM balance) AS stock,
       (SELECT true FROM sales_order ORDER BY id LIMIT 1) IS NOT NULL AS order
"""

# Small table: each row is a record with something that could not be handled.
PARKED = "SELECT count(*)::int AS records, min(first_failed_at) AS since FROM parked_key"


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """Orders of one day that share hour, channel, currency and destination; `total` in minor units."""

    day: date
    channel_id: int
    currency: str
    state: str | None
    hour: int
    orders: int
    total: int


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """Work of one day's orders, by how long it took (`bucket`, times five minutes) or by location."""

    day: date
    bucket: int | None
    location_id: int | None
    done: int
    due: int  # done, or its time is over
    late: int


class Cost(msgspec.Struct, frozen=True):
    """What routing reckoned for the orders of one day, in minor units."""

    day: date
    orders: int
    cost: int


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """Open orders with one kind of hold."""

    kind: str
    orders: int
    since: datetime
    total: int
    currency: str


class Missing(msgspec.Struct, frozen=True):
    """A SKU that open orders wait for. `all_units`: how many units of any SKU wait."""

    sku: str
    name: str
    units: int
    all_units: int


class Deficit(msgspec.Struct, frozen=True, kw_only=True):
    """Units that are promised and not there. `all_open`: how many deficits there are."""

    quantity: int
    found_at: datetime
    sku: str
    name: str
    location_code: str
    location: str
    all_open: int


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What a location has to do now, and how much of today's capacity is taken; no capacity is no limit."""

    id: int
    code: str
    name: str
    kind: str
    latitude: float | None
    longitude: float | None
    daily_capacity: int | None
    taken: int
    open: int
    late: int
    to_accept: int
    ready: int
    due: datetime | None


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """What a new retailer has set up; `unpriced` is the code of a shipping service without prices."""

    company: bool
    location: bool
    service: bool
    unpriced: str | None
    channel: bool
    product: bool
    stock: bool
    order: bool


class Parked(msgspec.Struct, frozen=True):
    """Records with an event that could not be handled."""

    records: int
    since: datetime | None


def _scope(scope: Scope) -> list[int] | None:
    return None if scope is None else list(scope)


async def days(tx: Tx, bounds: Sequence[Bounds], zone: str, scope: Scope) -> list[Cell]:
    """Return the orders placed on some days, each given with its first instant and the one after its last."""
    return await tx.all(Cell, DAYS, {**_ranges(bounds), "zone": zone, "scope": _scope(scope)})


def _ranges(bounds: Sequence[Bounds]) -> dict[str, object]:
    return {
        "days": [day for day, _since, _until in bounds],
        "since": [since for _day, since, _until in bounds],
        "until": [until for _day, _since, until in bounds],
    }


async def work(tx: Tx, bounds: Sequence[Bounds], scope: Scope) -> list[Work]:
    """Return the work of the orders placed on some days: by how long it took, and by location."""
    return await tx.all(Work, WORK, {**_ranges(bounds), "scope": _scope(scope)})


async def costs(tx: Tx, bounds: Sequence[Bounds]) -> list[Cost]:
    """Return what routing reckoned for the orders placed on some days."""
    return await tx.all(Cost, COSTS, _ranges(bounds))


async def holds(tx: Tx, scope: Scope) -> list[Held]:
    """Return what is held, by kind, the most frequent first."""
    return await tx.all(Held, HOLDS, {"scope": _scope(scope)})


async def waiting_since(tx: Tx, scope: Scope) -> datetime | None:
    """Return when the oldest order that waits for stock was placed."""
    found: datetime | None = await tx.value(WAITING_SINCE, {"scope": _scope(scope)})
    return found


async def missing(tx: Tx, most: int = 3) -> list[Missing]:
    """Return the SKUs that most units wait for."""
    return await tx.all(Missing, MISSING, {"most": most})


async def deficits(tx: Tx, scope: Scope, most: int = 3) -> list[Deficit]:
    """Return the largest open deficits."""
    return await tx.all(Deficit, DEFICITS, {"scope": _scope(scope), "most": most})


async def locations(tx: Tx, scope: Scope) -> list[Load]:
    """Return the locations that are not closed: the latest first, then the fullest."""
    return await tx.all(Load, LOCATIONS, {"scope": _scope(scope)})


async def begun(tx: Tx) -> Begun:
    """Return which of the things an order needs are there."""
    return await tx.one(Begun, BEGUN)


async def parked(tx: Tx) -> Parked:
    """Return how many records need a person because something failed."""
    return await tx.one(Parked, PARKED)
