"""Orders as people look at them: pages of the list, counts of the saved views, one order with all that belongs to it.

A page costs one statement however many rows it has: the page of headers is cut first, by keyset on an index, and only
its rows gather their units and holds. Counts stop at `COUNT_LIMIT`; "more than ten thousand" is all a person needs to
know.
"""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from typing import Any, LiteralString

import msgspec
from psycopg import sql

from malha.ordering.finding_reads import find
from malha.ordering.model import OrderStatus
from malha.platform.db import Tx
from malha.platform.ids import UUID
from malha.platform.parking import ParkedKey

COUNT_LIMIT = 10_000
FILTERED_LIMIT = 1_000  # of a filtered list, whose rows have to be looked for

CLOSED = (OrderStatus.DELIVERED, OrderStatus.CANCELLED)
OPEN_STATUSES = tuple(status for status in OrderStatus if status not in CLOSED)


class Sort(StrEnum):
    """Orders of a list. Each ends in the id, so that a keyset names one place."""

    NEWEST = "newest"
    OLDEST = "oldest"
    DUE = "due"  # promised soonest first; orders without a promise last


class View(StrEnum):
    """Saved views: sets of statuses, and the one that is a matter of time."""

    ALL = "all"
    OPEN = "open"
    AWAITING_PAYMENT = "awaiting_payment"
    ON_HOLD = "on_hold"
    UNPLACED = "unplaced"
    TO_PICK = "to_pick"
    TO_SHIP = "to_ship"
    READY = "ready"
    IN_TRANSIT = "in_transit"
    LATE = "late"


VIEW_STATUSES: dict[View, tuple[OrderStatus, ...]] = {
    View.AWAITING_PAYMENT: (OrderStatus.AWAITING_PAYMENT,),
    View.ON_HOLD: (OrderStatus.ON_HOLD,),
    View.UNPLACED: (OrderStatus.UNPLACED, OrderStatus.BACKORDERED),
    View.TO_PICK: (OrderStatus.ALLOCATED, OrderStatus.PICKING),
    View.TO_SHIP: (OrderStatus.PACKED, OrderStatus.INVOICED),
    View.READY: (OrderStatus.READY,),
    View.IN_TRANSIT: (OrderStatus.SHIPPED,),
}


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What a list shall show. `overdue`: orders whose work is late though their promise is not, for LATE."""

    view: View = View.ALL
    statuses: tuple[OrderStatus, ...] = ()
    channel_ids: tuple[int, ...] = ()
    location_id: int | None = None
    scope: tuple[int, ...] | None = None  # locations the asker may see; None is all
    since: datetime | None = None
    until: datetime | None = None  # exclusive
    method: str | None = None
    hold: str | None = None  # kind of an open hold
    ship_state: str | None = None  # UF it is delivered to
    search: str = ""
    overdue: tuple[UUID, ...] = ()
    found: tuple[UUID, ...] | None = None  # what `search` found, once somebody has looked (`sought`)


class Place(msgspec.Struct, frozen=True, array_like=True):
    """Where a page begins or ends: the sort key, the id, and how many orders stand before."""

    key: str  # ISO instant, or "infinity"
    id: UUID
    before: int


class OrderRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the list."""

    id: UUID
    number: int
    external_id: str
    channel: str
    placed_at: datetime
    status: OrderStatus
    currency: str
    total: int
    cancelled_total: int
    method: str
    buyer_name: str
    city: str | None
    state: str | None
    promised_at: datetime | None
    release_after: datetime
    units: dict[str, int]  # quantity by unit state
    locations: list[str]  # names, of units that are not cancelled
    holds: list[str]
    sort_key: str


class Page(msgspec.Struct, frozen=True):
    """Rows in the asked order, and where the neighbours begin."""

    rows: list[OrderRow]
    first: int  # 1-based position of the first row
    previous: Place | None
    next: Place | None


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """An order's own facts, with the names of what it refers to."""

    id: UUID
    number: int
    external_id: str
    channel_id: int
    channel_code: str
    channel: str
    channel_kind: str
    placed_at: datetime
    received_at: datetime
    currency: str
    status: OrderStatus
    items_total: int
    discount_total: int
    shipping_total: int
    total: int
    cancelled_total: int
    method: str
    service: str | None
    carrier: str | None
    pickup_location: str | None
    customer_id: UUID | None
    buyer_name: str
    buyer_document: str | None
    buyer_email: str | None
    buyer_phone: str | None
    ship_to: dict[str, str] | None
    promised_at: datetime | None
    release_after: datetime
    seq: int


class LineRow(msgspec.Struct, frozen=True, kw_only=True):
    """One line as it was sold."""

    line: int
    sku_id: int | None
    sku: str
    name: str
    quantity: int
    unit_price: int
    discount: int
    total: int
    known: bool
    image: str | None


class UnitRow(msgspec.Struct, frozen=True, kw_only=True):
    """A group of equal units, with the names of where they are."""

    line: int
    part: int
    sku_id: int | None
    sku: str | None
    quantity: int
    state: str
    location_id: int | None
    location: str | None
    location_code: str | None
    location_kind: str | None
    timezone: str | None
    fulfillment_id: UUID | None
    shipment_id: UUID | None
    document_id: UUID | None


class HoldRow(msgspec.Struct, frozen=True, kw_only=True):
    """A hold, open while `resolved_at` is None."""

    id: UUID
    kind: str
    detail: dict[str, Any]
    placed_at: datetime
    placed_by: str
    resolved_at: datetime | None
    resolved_by: str | None
    resolution: str | None


class NoteRow(msgspec.Struct, frozen=True, kw_only=True):
    """A note."""

    id: UUID
    text: str
    written_at: datetime
    author: str


class TimelineRow(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened."""

    seq: int
    at: datetime
    type: str
    actor: str
    facts: dict[str, Any]


class Counts(msgspec.Struct, frozen=True):
    """Orders per view, each at most one more than `most` says."""

    by_view: dict[View, int]
    scoped: bool = False

    def most(self, view: View) -> int:
        """Return where counting a view stops: of all orders ever, those of some locations have to be looked for."""
        return FILTERED_LIMIT if self.scoped and view is View.ALL else COUNT_LIMIT


# The page's rows gather what the list shows of units, locations and holds: primary-key prefixes, one page deep.
_ROWS: LiteralString = """
SELECT p.id, p.number, p.external_id, c.name AS channel, p.placed_at, p.status, p.currency, p.total, p.cancelled_total,
       p.method, p.buyer_name, p.ship_to ->> 'city' AS city, p.ship_state AS state, p.promised_at, p.release_after,
       coalesce(u.units, '{}'::jsonb) AS units, coalesce(l.locations, '{}'::text[]) AS locations,
       coalesce(h.holds, '{}'::text[]) AS holds, p.sort_key
FROM page p
JOIN channel c ON c.id = p.channel_id
LEFT JOIN LATERAL (
    SELECT jsonb_object_agg(s.state, s.quantity) AS units
    FROM (SELECT state, sum(quantity)::int AS quantity FROM order_unit WHERE order_id = p.id GROUP BY state) s
) u ON true
LEFT JOIN LATERAL (
    SELECT array_agg(DISTINCT n.name) AS locations
    FROM order_unit o JOIN location n ON n.id = o.location_id WHERE o.order_id = p.id AND o.state <> 'cancelled'
) l ON true
LEFT JOIN LATERAL (
    SELECT array_agg(kind ORDER BY placed_at) AS holds FROM order_hold WHERE order_id = p.id AND resolved_at IS NULL
) h ON true
"""
_PAGE_COLUMNS: LiteralString = (
    "SELECT o.id, o.number, o.external_id, o.channel_id, o.placed_at, o.status, o.currency, o.total, "
    "o.cancelled_total, o.method, o.buyer_name, o.ship_to, o.ship_state, o.promised_at, o.release_after, "
)
_OPEN: LiteralString = "o.status NOT IN ('delivered', 'cancelled')"  # spelled as in the partial index

# Keys as text in a cursor: microseconds survive, and "infinity" stands for no promise.
_SORTS: dict[Sort, tuple[LiteralString, bool]] = {
    Sort.NEWEST: ("o.placed_at", True),
    Sort.OLDEST: ("o.placed_at", False),
    Sort.DUE: ("coalesce(o.promised_at, 'infinity'::timestamptz)", False),
}

# Each view counts at most a limit of entries of the partial index (status, placed_at, id).
COUNT_STATUSES = """
SELECT s.status, (
    SELECT count(*) FROM (
        SELECT FROM sales_order o
        WHERE o.status = s.status AND o.status NOT IN ('delivered', 'cancelled') LIMIT %(most)s::int + 1
    ) capped
)::int
FROM unnest(%(statuses)s::text[]) s (status)
"""
COUNT_ALL = "SELECT count(*)::int FROM (SELECT FROM sales_order o LIMIT %(most)s::int + 1) capped"
COUNT_LATE = """
SELECT count(*)::int FROM (
    SELECT FROM sales_order o
    WHERE o.status NOT IN ('delivered', 'cancelled') AND (o.promised_at < now() OR o.id = ANY(%(overdue)s::uuid[]))
    LIMIT %(most)s::int + 1
) capped
"""

HEADER = """
SELECT o.id, o.number, o.external_id, o.channel_id, c.code AS channel_code, c.name AS channel, c.kind AS channel_kind,
       o.placed_at, o.received_at, o.currency, o.status, o.items_total, o.discount_total, o.shipping_total, o.total,
       o.cancelled_total, o.method, s.name AS service, s.carrier, p.name AS pickup_location, k.customer_id,
       o.buyer_name, o.buyer_document, o.buyer_email, o.buyer_phone, o.ship_to, o.promised_at, o.release_after, o.seq
FROM sales_order o
JOIN channel c ON c.id = o.channel_id
LEFT JOIN service s ON s.id = o.service_id
LEFT JOIN location p ON p.id = o.pickup_location_id
LEFT JOIN order_customer k ON k.order_id = o.id
WHERE o.number = %(number)s::bigint
"""
ID_OF = "SELECT id FROM sales_order WHERE number = %(number)s::bigint"
IS_AT = """
SELECT EXISTS (SELECT FROM order_unit WHERE order_id = %(id)s::uuid AND location_id = ANY(%(locations)s::int[]))
"""
# Of many orders at once, by the primary key of their units.
ARE_AT = """
SELECT DISTINCT order_id FROM order_unit
WHERE order_id = ANY(%(ids)s::uuid[]) AND location_id = ANY(%(locations)s::int[])
"""
# Newest first by number; whether a customer bought at a location by the index on order_customer.
CUSTOMERS_AT = """
SELECT c.id FROM customer c
WHERE (%(ids)s::uuid[] IS NULL OR c.id = ANY(%(ids)s::uuid[]))
  AND (%(words)s::text[] IS NULL OR c.folded LIKE ALL (%(words)s::text[]))
  AND (%(before)s::bigint IS NULL OR c.number < %(before)s::bigint)
  AND EXISTS (SELECT FROM order_customer k JOIN order_unit u ON u.order_id = k.order_id
              WHERE k.customer_id = c.id AND u.location_id = ANY(%(locations)s::int[]))
ORDER BY c.number DESC
LIMIT %(limit)s::int
"""
# The same, walked upwards.
CUSTOMERS_AT_AFTER = """
SELECT c.id FROM customer c
WHERE c.number > %(after)s::bigint
  AND EXISTS (SELECT FROM order_customer k JOIN order_unit u ON u.order_id = k.order_id
              WHERE k.customer_id = c.id AND u.location_id = ANY(%(locations)s::int[]))
ORDER BY c.number
LIMIT %(limit)s::int
"""
IDS_OF = "SELECT number, id FROM sales_order WHERE number = ANY(%(numbers)s::bigint[])"
NUMBERS_OF = "SELECT id, number FROM sales_order WHERE id = ANY(%(ids)s::uuid[])"

LINES = """
SELECT l.line, l.sku_id, l.sku_text AS sku, coalesce(nullif(l.name, ''), v.name, l.sku_text) AS name, l.quantity,
       l.unit_price, l.discount, l.total, l.sku_id IS NOT NULL AS known,
       (SELECT m.url FROM media m WHERE m.product_id = v.product_id
        ORDER BY (m.variant_id = v.id) DESC NULLS LAST, m.position LIMIT 1) AS image
FROM order_line l LEFT JOIN variant v ON v.id = l.sku_id
WHERE l.order_id = %(id)s::uuid ORDER BY l.line
"""
UNITS = """
SELECT u.line, u.part, u.sku_id, v.sku, u.quantity, u.state, u.location_id, n.name AS location, n.code AS location_code,
       n.kind AS location_kind, n.timezone, u.fulfillment_id, u.shipment_id, u.document_id
FROM order_unit u
LEFT JOIN variant v ON v.id = u.sku_id
LEFT JOIN location n ON n.id = u.location_id
WHERE u.order_id = %(id)s::uuid ORDER BY u.line, u.part
"""
HOLDS = """
SELECT id, kind, detail, placed_at, placed_by, resolved_at, resolved_by, resolution
FROM order_hold WHERE order_id = %(id)s::uuid ORDER BY placed_at, kind
"""
NOTES = "SELECT id, text, written_at, author FROM order_note WHERE order_id = %(id)s::uuid ORDER BY written_at DESC"
TIMELINE = """
SELECT seq, at, type, actor, facts FROM order_timeline WHERE order_id = %(id)s::uuid ORDER BY seq DESC LIMIT 200
"""


# Few are late among many, and what is open is at the other end of all orders by date, oldest first: an expression keeps
# the planner from walking them until it has found a page.
_NO_INDEX: LiteralString = "(o.placed_at + interval '0')"


async def sought(tx: Tx, wanted: Wanted) -> Wanted:
    """Return what is wanted with what its search finds: a page and its count need not look twice."""
    if not wanted.search.strip() or wanted.found is not None:
        return wanted
    return msgspec.structs.replace(wanted, found=tuple(await find(tx, wanted.search)))


def _conditions(  # noqa: C901, PLR0912 -- one line per filter
    wanted: Wanted,
) -> tuple[list[sql.Composable], dict[str, Any]]:
    """Return the conditions of a list and their parameters. Open views say the partial index's predicate."""
    parts: list[sql.Composable] = []
    params: dict[str, Any] = {}

    def add(condition: LiteralString, **given: Any) -> None:
        parts.append(sql.SQL(condition))
        params.update(given)

    # What is late is found among what is open, by the partial index on (status, ...): it names every open status.
    statuses = OPEN_STATUSES if wanted.view is View.LATE else VIEW_STATUSES.get(wanted.view)
    if statuses or wanted.view is View.OPEN:
        add(_OPEN)
    if statuses:
        add("o.status = ANY(%(view_statuses)s::text[])", view_statuses=list(statuses))
    if wanted.view is View.LATE:
        add("(o.promised_at < now() OR o.id = ANY(%(overdue)s::uuid[]))", overdue=list(wanted.overdue))
    if wanted.statuses and set(wanted.statuses) <= set(OPEN_STATUSES):
        add(_OPEN)
    if wanted.statuses:
        add("o.status = ANY(%(statuses)s::text[])", statuses=list(wanted.statuses))
    if wanted.channel_ids:
        add("o.channel_id = ANY(%(channel_ids)s::int[])", channel_ids=list(wanted.channel_ids))
    if wanted.method:
        add("o.method = %(method)s::text", method=wanted.method)
    if wanted.ship_state:
        add("o.ship_state = %(ship_state)s::text", ship_state=wanted.ship_state)
    if wanted.hold:
        # The partial index of open holds, by order and kind.
        add(
            "EXISTS (SELECT FROM order_hold h WHERE h.order_id = o.id AND h.kind = %(hold)s::text"
            " AND h.resolved_at IS NULL)",
            hold=wanted.hold,
        )
    if wanted.since:
        add("o.placed_at >= %(since)s::timestamptz", since=wanted.since)
    if wanted.until:
        add("o.placed_at < %(until)s::timestamptz", until=wanted.until)
    if wanted.location_id is not None:
        add(
            "EXISTS (SELECT FROM order_unit u WHERE u.order_id = o.id AND u.location_id = %(location_id)s::int)",
            location_id=wanted.location_id,
        )
    if wanted.scope is not None:
        add(
            "EXISTS (SELECT FROM order_unit u WHERE u.order_id = o.id AND u.location_id = ANY(%(scope)s::int[]))",
            scope=list(wanted.scope),
        )
    if wanted.found is not None:
        add("o.id = ANY(%(found)s::uuid[])", found=list(wanted.found))
    return parts, params


def _where(parts: Sequence[sql.Composable]) -> sql.Composable:
    return sql.SQL(" WHERE ") + sql.SQL(" AND ").join(parts) if parts else sql.SQL("")


async def page(
    tx: Tx,
    wanted: Wanted,
    *,
    sort: Sort = Sort.NEWEST,
    after: Place | None = None,
    before: Place | None = None,
    size: int,
) -> Page:
    """Return the page of orders that begins after one place or ends before another."""
    wanted = await sought(tx, wanted)
    if wanted.found is not None and not wanted.found:
        return Page([], 0, None, None)
    parts, params = _conditions(wanted)
    key, descending = _SORTS[sort]
    if sort is not Sort.DUE and (wanted.view is View.LATE or (wanted.view is View.OPEN and sort is Sort.OLDEST)):
        key = _NO_INDEX
    backward = before is not None
    place = before or after
    down = descending != backward
    if place is not None:
        compare: LiteralString = "<" if down else ">"
        parts.append(
            sql.SQL("({key}, o.id) {compare} (%(place_key)s::timestamptz, %(place_id)s::uuid)").format(
                key=sql.SQL(key), compare=sql.SQL(compare)
            )
        )
        params |= {"place_key": place.key, "place_id": place.id}
    direction = sql.SQL(" DESC" if down else "")
    final = sql.SQL(" DESC" if descending else "")
    statement = (
        sql.SQL("WITH page AS MATERIALIZED (")
        + sql.SQL(_PAGE_COLUMNS)
        + sql.SQL("{key} AS key, ({key})::text AS sort_key FROM sales_order o").format(key=sql.SQL(key))
        + _where(parts)
        + sql.SQL(" ORDER BY {key}{d}, o.id{d} LIMIT %(limit)s::int) ").format(key=sql.SQL(key), d=direction)
        + sql.SQL(_ROWS)
        + sql.SQL(" ORDER BY p.key{d}, p.id{d}").format(d=final)
    )
    rows = await tx.all(OrderRow, statement, {**params, "limit": size + 1})
    more = len(rows) > size
    if more:
        rows = rows[1:] if backward else rows[:size]
    if not rows:
        return Page([], 0, None, None)
    first = max((place.before - len(rows) if backward else place.before), 0) if place else 0
    has_previous = more if backward else after is not None
    has_next = more if not backward else True
    return Page(
        rows,
        first + 1,
        Place(rows[0].sort_key, rows[0].id, first) if has_previous else None,
        Place(rows[-1].sort_key, rows[-1].id, first + len(rows)) if has_next else None,
    )


async def rows_of(tx: Tx, ids: Sequence[UUID], scope: tuple[int, ...] | None = None) -> list[OrderRow]:
    """Return list rows of given orders, newest first: what a live update shows anew. Of a scope, only its orders."""
    statement = (
        sql.SQL("WITH page AS MATERIALIZED (")
        + sql.SQL(_PAGE_COLUMNS)
        + sql.SQL("o.placed_at::text AS sort_key FROM sales_order o WHERE o.id = ANY(%(ids)s::uuid[])")
        + sql.SQL(
            " AND (%(scope)s::int[] IS NULL OR EXISTS (SELECT FROM order_unit u WHERE u.order_id = o.id"
            " AND u.location_id = ANY(%(scope)s::int[])))) "
        )
        + sql.SQL(_ROWS)
        + sql.SQL(" ORDER BY p.placed_at DESC, p.id DESC")
    )
    return await tx.all(OrderRow, statement, {"ids": list(ids), "scope": None if scope is None else list(scope)})


async def count(tx: Tx, wanted: Wanted, most: int = COUNT_LIMIT) -> int:
    """Return how many orders a filtered list has, at most `most + 1`."""
    wanted = await sought(tx, wanted)
    if wanted.found is not None and not wanted.found:
        return 0
    parts, params = _conditions(wanted)
    statement = (
        sql.SQL("SELECT count(*)::int FROM (SELECT FROM sales_order o")
        + _where(parts)
        + sql.SQL(" LIMIT %(most)s::int + 1) capped")
    )
    return int(await tx.value(statement, {**params, "most": most}))


async def counts(tx: Tx, overdue: Sequence[UUID] = (), scope: tuple[int, ...] | None = None) -> Counts:
    """Return the live counts of every saved view: three bounded statements; of a scope, one per view."""
    if scope is not None:
        found = Counts({}, scoped=True)
        for view in View:
            wanted = Wanted(view=view, scope=scope, overdue=tuple(overdue))
            found.by_view[view] = await count(tx, wanted, found.most(view))
        return found
    by_status = dict(await tx.tuples(COUNT_STATUSES, {"statuses": list(OPEN_STATUSES), "most": COUNT_LIMIT}))
    most = COUNT_LIMIT + 1
    counted = {view: min(sum(by_status[s] for s in wanted), most) for view, wanted in VIEW_STATUSES.items()}
    counted[View.OPEN] = min(sum(by_status.values()), most)
    counted[View.ALL] = int(await tx.value(COUNT_ALL, {"most": COUNT_LIMIT}))
    counted[View.LATE] = int(await tx.value(COUNT_LATE, {"most": COUNT_LIMIT, "overdue": list(overdue)}))
    return Counts(counted)


async def header(tx: Tx, number: int) -> Header | None:
    """Return an order by its number, or None."""
    return await tx.maybe(Header, HEADER, {"number": number})


async def id_of(tx: Tx, number: int) -> UUID | None:
    """Return the id of the order with this number, or None."""
    found: UUID | None = await tx.value(ID_OF, {"number": number})
    return found


async def is_at(tx: Tx, order_id: UUID, location_ids: Sequence[int]) -> bool:
    """Return whether any unit of an order is, or was, at one of these locations."""
    return bool(await tx.value(IS_AT, {"id": order_id, "locations": list(location_ids)}))


async def are_at(tx: Tx, order_ids: Sequence[UUID], location_ids: Sequence[int]) -> set[UUID]:
    """Return which orders have, or had, units at one of these locations."""
    return set(await tx.values(ARE_AT, {"ids": list(order_ids), "locations": list(location_ids)}))


async def parked_at(tx: Tx, parked: Sequence[ParkedKey], location_ids: Sequence[int]) -> list[ParkedKey]:
    """Return, of records whose events wait, the orders that are or were at one of these locations."""
    ids = {p.key: UUID(p.key.removeprefix("order:")) for p in parked if p.key.startswith("order:")}
    own = await are_at(tx, list(ids.values()), location_ids)
    return [p for p in parked if ids.get(p.key) in own]


async def customers_at(
    tx: Tx,
    location_ids: Sequence[int],
    *,
    ids: Sequence[UUID] | None = None,
    words: Sequence[str] | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[UUID]:
    """Return customers with an order at one of these locations, newest first; `words` are LIKE patterns."""
    asked = {
        "locations": list(location_ids),
        "ids": None if ids is None else list(ids),
        "words": list(words) if words else None,
        "before": before,
        "limit": limit,
    }
    return await tx.values(CUSTOMERS_AT, asked)


async def walk_customers_at(tx: Tx, location_ids: Sequence[int], *, after: int = 0, limit: int = 1000) -> list[UUID]:
    """Return such customers in the order of their numbers, after one: the way through all of them in pages."""
    return await tx.values(CUSTOMERS_AT_AFTER, {"locations": list(location_ids), "after": after, "limit": limit})


async def ids_of(tx: Tx, numbers: Sequence[int]) -> dict[int, UUID]:
    """Return the ids of orders by their numbers; numbers that do not exist are absent."""
    return dict(await tx.tuples(IDS_OF, {"numbers": list(numbers)}))


async def numbers_of(tx: Tx, ids: Sequence[UUID]) -> dict[UUID, int]:
    """Return the numbers of orders by their ids."""
    return dict(await tx.tuples(NUMBERS_OF, {"ids": list(ids)}))


async def lines(tx: Tx, order_id: UUID) -> list[LineRow]:
    """Return an order's lines."""
    return await tx.all(LineRow, LINES, {"id": order_id})


async def units(tx: Tx, order_id: UUID) -> list[UnitRow]:
    """Return an order's units with the names of their locations."""
    return await tx.all(UnitRow, UNITS, {"id": order_id})


async def holds(tx: Tx, order_id: UUID) -> list[HoldRow]:
    """Return an order's holds, resolved ones too, oldest first."""
    return await tx.all(HoldRow, HOLDS, {"id": order_id})


async def notes(tx: Tx, order_id: UUID) -> list[NoteRow]:
    """Return an order's notes, newest first."""
    return await tx.all(NoteRow, NOTES, {"id": order_id})


async def timeline(tx: Tx, order_id: UUID) -> list[TimelineRow]:
    """Return what happened to an order, newest first, at most the last 200 things."""
    return await tx.all(TimelineRow, TIMELINE, {"id": order_id})


def day_bounds(first: date | None, last: date | None, zone: tzinfo) -> tuple[datetime | None, datetime | None]:
    """Return the instants a range of days covers in a zone; the second is exclusive."""
    since = datetime.combine(first, time.min, zone) if first else None
    until = datetime.combine(last + timedelta(days=1), time.min, zone) if last else None
    return since, until
