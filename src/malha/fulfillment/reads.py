"""Work at locations and parcels, as people look at them."""

from collections.abc import Collection, Sequence
from datetime import date, datetime, time
from typing import TypeVar

import msgspec

from malha.platform.db import Tx
from malha.platform.ids import UUID

OVERDUE_LIMIT = 1_000

# The partial index on claimed units says, once, of which orders closed and paused locations have some: hardly any, but
# where a large one just stopped. Orders that are due, by the partial index on release_after, are looked for among them.
DUE_AT_SHUT = """
SELECT o.id FROM sales_order o
WHERE o.status IN ('allocated', 'unplaced', 'backordered') AND o.release_after <= now()
  AND (o.id IN (SELECT u.order_id FROM order_unit u
                WHERE u.state = 'allocated' AND u.location_id IN (SELECT id FROM location WHERE status <> 'active'))
       OR (o.pickup_location_id IN (SELECT id FROM location WHERE status = 'closed')
           OR o.merge_location_id IN (SELECT id FROM location WHERE status = 'closed'))
          AND EXISTS (SELECT FROM order_unit u WHERE u.order_id = o.id AND u.state = 'allocated'))
ORDER BY o.release_after LIMIT %(limit)s::int
"""
# By primary key.
SHUT_AMONG = """
SELECT id FROM location WHERE id = ANY (%(locations)s::int[]) AND status = ANY (%(statuses)s::text[])
"""
# The partial index on claimed units.
# A location gave the line back (by the exclusion's key) after it had work of the order (by the index on orders), and
# units of it are claimed anew. What a vendor declined before it was to send it was never released.
RELEASED_BEFORE = """
SELECT DISTINCT u.order_id, u.line
FROM order_unit u
JOIN routing_exclusion x ON x.order_id = u.order_id AND x.line = u.line
WHERE u.order_id = ANY (%(orders)s::uuid[]) AND u.state = 'allocated'
  AND EXISTS (SELECT FROM fulfillment_order f WHERE f.order_id = x.order_id AND f.location_id = x.location_id)
"""
SET_ASIDE = """
SELECT sku_id, sum(quantity)::int FROM order_unit
WHERE location_id = ANY (%(places)s::int[]) AND (%(skus)s::int[] IS NULL OR sku_id = ANY (%(skus)s::int[]))
  AND sku_id IS NOT NULL AND state IN ('picked', 'awaiting_document', 'packed', 'invoiced', 'ready')
GROUP BY sku_id
"""
QUEUE_LIMIT = 200


class WorkSlot(msgspec.Struct, frozen=True):
    """The picking slot of work: a date, and times of its location's day like 09:00."""

    day: date
    starts: str
    ends: str


class WorkRow(msgspec.Struct, frozen=True, kw_only=True):
    """A fulfillment order of an order, with the names of where and how."""

    id: UUID
    number: int
    location_id: int
    location: str
    location_code: str
    location_kind: str
    timezone: str
    establishment_id: int
    establishment: str
    document_policy: str
    method: str
    service: str | None
    carrier: str | None
    state: str
    released_at: datetime
    due_at: datetime
    accepted_at: datetime | None
    picked_at: datetime | None
    packed_at: datetime | None
    closed_at: datetime | None
    reason: str | None
    pickup_code: str | None
    pickup_until: datetime | None
    pickup_expired_at: datetime | None
    pickup_returned: list[tuple[int, int, int]] | None
    pickup_misses: int  # wrong codes that were shown since the code was given
    assignee: str | None
    version: int
    units: int = 0  # that it has not lost
    slot: WorkSlot | None = None
    to_location: str | None = None  # where goods are brought: a location's code
    to_location_name: str | None = None
    transfer: int | None = None  # number of the transfer they left with


class ShipmentRow(msgspec.Struct, frozen=True, kw_only=True):
    """A parcel."""

    id: UUID
    fulfillment_id: UUID
    carrier: str | None
    tracking_code: str | None
    tracking_url: str | None
    weight_grams: int | None
    shipped_at: datetime | None
    delivered_at: datetime | None
    received_by: str | None


class QueueRow(msgspec.Struct, frozen=True, kw_only=True):
    """A card of the board: one location's work for one order."""

    id: UUID
    number: int
    order_number: int
    buyer_name: str
    city: str | None
    location_id: int
    location: str
    owner: str  # whose goods they are: an establishment
    owner_name: str
    shared: bool  # other locations that the actor sees are at its site too
    method: str
    service: str | None
    state: str
    released_at: datetime
    due_at: datetime
    pickup_until: datetime | None
    units: int
    lines: int
    awaiting_document: bool
    slot: WorkSlot | None = None
    to_location: str | None = None  # where goods are brought: a location's code
    to_location_name: str | None = None


class ComingRow(msgspec.Struct, frozen=True, kw_only=True):
    """Goods of an order that come to where its customer fetches them. Without a transfer they have not left yet."""

    order_number: int
    buyer_name: str
    origin: str
    origin_name: str
    state: str  # of the work: model.WorkState, or "sent"
    units: int
    due_at: datetime  # when they are to leave
    transfer: int | None
    expected: date | None  # at the place


class PickRow(msgspec.Struct, frozen=True, kw_only=True):
    """Units of one SKU and one owner to fetch for one piece of work."""

    sku: str
    name: str
    gtin: str | None
    category: str | None
    location: str
    location_name: str
    owner: str  # whose goods they are: an establishment
    owner_name: str
    units: int
    fulfillment_id: UUID
    number: int
    order_number: int
    state: str
    assignee: str | None
    due_at: datetime


class SlotWork(msgspec.Struct, frozen=True):
    """A picking slot with open work, of all locations that were asked about."""

    day: date
    starts: str
    ends: str
    pieces: int


_SLOT = """CASE WHEN f.slot_starts IS NOT NULL THEN
       jsonb_build_object('day', f.capacity_day, 'starts', to_char(f.slot_starts, 'HH24:MI'),
                          'ends', to_char(f.slot_ends, 'HH24:MI')) END AS slot"""
# Earliest open work per order: what "due" means in a list.
DUE = """
SELECT order_id, min(due_at) FROM fulfillment_order
WHERE order_id = ANY(%(ids)s::uuid[]) AND state NOT IN ('closed', 'rejected', 'cancelled', 'ready')
GROUP BY order_id
"""
# Open work past its time, by the index on its time; made different afterwards, or the planner prefers an index on the
# order, because that gives them sorted, and reads all work there ever was.
OVERDUE = """
SELECT DISTINCT order_id FROM (
    SELECT order_id FROM fulfillment_order
    WHERE state NOT IN ('closed', 'rejected', 'cancelled') AND state <> 'ready' AND due_at < now()
    ORDER BY due_at, number LIMIT %(most)s::int
) late
"""
OF_ORDER = f"""
SELECT f.id, f.number, f.location_id, l.name AS location, l.code AS location_code, l.kind AS location_kind, l.timezone,
       e.id AS establishment_id, e.name AS establishment, e.document_policy, f.method, s.name AS service, s.carrier,
       f.state, f.released_at, f.due_at, f.accepted_at, f.picked_at, f.packed_at, f.closed_at, f.reason, f.pickup_code,
       f.pickup_until, f.pickup_expired_at, f.pickup_returned, f.pickup_misses, f.assignee, f.version, f.units,
       {_SLOT}, p.code AS to_location, p.name AS to_location_name, t.number AS transfer
FROM fulfillment_order f
JOIN location l ON l.id = f.location_id
JOIN establishment e ON e.id = coalesce(l.owner_id, l.establishment_id)
LEFT JOIN service s ON s.id = f.service_id
LEFT JOIN location p ON p.id = f.to_location_id
LEFT JOIN transfer t ON t.id = f.transfer_id
WHERE f.order_id = %(id)s::uuid ORDER BY f.number
"""
SHIPMENTS_OF_ORDER = """
SELECT id, fulfillment_id, carrier, tracking_code, tracking_url, weight_grams, shipped_at, delivered_at, received_by
FROM shipment WHERE order_id = %(id)s::uuid ORDER BY shipped_at NULLS LAST, id
"""
# By primary key; as `writes.SEND_OUT_SHIPMENT` takes them.
STILL_TO_GO_OUT = """
SELECT id FROM shipment
WHERE id = ANY(%(ids)s::uuid[]) AND shipped_at IS NOT NULL AND delivered_at IS NULL
  AND (out_at IS NULL OR out_at < now() - interval '12 hours')
"""
# The partial index on tracking codes; a code of a carrier that counts anew may be of several parcels.
ORDERS_OF_TRACKING = """
SELECT DISTINCT order_id FROM (
    SELECT order_id FROM shipment WHERE tracking_code = ANY(%(codes)s::text[]) LIMIT %(most)s::int
) parcels
"""
QUEUE = f"""
SELECT f.id, f.number, o.number AS order_number, o.buyer_name, o.ship_to ->> 'city' AS city, f.location_id,
       l.name AS location, e.code AS owner, e.name AS owner_name, EXISTS (
           SELECT FROM location m WHERE coalesce(m.site_id, m.id) = coalesce(l.site_id, l.id) AND m.id <> l.id
              AND (%(sight)s::int[] IS NULL OR m.id = ANY(%(sight)s::int[]))
       ) AS shared, f.method, s.name AS service, f.state, f.released_at, f.due_at, f.pickup_until,
       coalesce(u.units, 0)::int AS units, coalesce(u.lines, 0)::int AS lines,
       coalesce(u.awaiting_document, false) AS awaiting_document, {_SLOT}, p.code AS to_location,
       p.name AS to_location_name
FROM fulfillment_order f
JOIN sales_order o ON o.id = f.order_id
JOIN location l ON l.id = f.location_id
LEFT JOIN location p ON p.id = f.to_location_id
JOIN establishment e ON e.id = coalesce(l.owner_id, l.establishment_id)
LEFT JOIN service s ON s.id = f.service_id
LEFT JOIN LATERAL (
    SELECT sum(quantity) AS units, count(DISTINCT line) AS lines, bool_or(state = 'awaiting_document') AS
    awaiting_document FROM order_unit WHERE fulfillment_id = f.id AND state <> 'cancelled'
) u ON true
WHERE f.state NOT IN ('closed', 'rejected', 'cancelled')
  AND (%(locations)s::int[] IS NULL OR f.location_id = ANY(%(locations)s::int[]))
  AND (%(slot_day)s::date IS NULL OR f.slot_starts IS NOT NULL AND f.capacity_day = %(slot_day)s::date)
  AND (%(slot_starts)s::time IS NULL OR f.slot_starts = %(slot_starts)s::time)
  AND (%(due)s::timestamptz IS NULL OR (f.due_at, f.number) > (%(due)s::timestamptz, %(number)s::bigint))
ORDER BY f.due_at, f.number LIMIT %(most)s::int
"""
# Goods that come to a place for its customers, what comes first first: by the partial index on work that brings goods.
# What was cancelled on its way is nobody's; what has arrived is in other work; a year bounds what the index gives.
COMING = """
SELECT o.number AS order_number, o.buyer_name, l.code AS origin, l.name AS origin_name,
       CASE WHEN f.transfer_id IS NULL THEN f.state ELSE 'sent' END AS state, u.units, f.due_at, t.number AS transfer,
       t.eta AS expected
FROM fulfillment_order f
JOIN LATERAL (
    SELECT sum(quantity)::int AS units FROM order_unit WHERE fulfillment_id = f.id AND state <> 'cancelled'
) u ON u.units > 0
JOIN sales_order o ON o.id = f.order_id
JOIN location l ON l.id = f.location_id
LEFT JOIN transfer t ON t.id = f.transfer_id
WHERE f.to_location_id = ANY (%(places)s::int[]) AND f.due_at > now() - interval '1 year'
  AND f.state NOT IN ('rejected', 'cancelled')
  AND (f.state <> 'closed' OR t.state = 'shipped')
ORDER BY coalesce(t.eta, f.due_at::date), f.number LIMIT %(most)s::int
"""
# By the unique index on the transfers of work.
ORDER_OF_TRANSFER = """
SELECT o.number FROM transfer t JOIN fulfillment_order f ON f.transfer_id = t.id JOIN sales_order o ON o.id = f.order_id
WHERE t.number = %(number)s::bigint
"""
COMING_LIMIT = 500
ORDER_NUMBERS = """
SELECT f.id, o.number, f.location_id FROM fulfillment_order f JOIN sales_order o ON o.id = f.order_id
WHERE f.id = ANY(%(ids)s::uuid[])
"""
QUEUE_COUNTS = """
SELECT state, count(*)::int, count(*) FILTER (WHERE due_at < now() AND state <> 'ready')::int FROM fulfillment_order
WHERE state NOT IN ('closed', 'rejected', 'cancelled')
  AND (%(locations)s::int[] IS NULL OR location_id = ANY(%(locations)s::int[]))
  AND (%(slot_day)s::date IS NULL OR slot_starts IS NOT NULL AND capacity_day = %(slot_day)s::date)
  AND (%(slot_starts)s::time IS NULL OR slot_starts = %(slot_starts)s::time)
GROUP BY state
"""
# Slots whose work is not over, the next first: among open work, which the partial indexes keep small.
SLOTS = """
SELECT capacity_day AS day, to_char(slot_starts, 'HH24:MI') AS starts, to_char(slot_ends, 'HH24:MI') AS ends,
       count(*)::int AS pieces
FROM fulfillment_order
WHERE slot_starts IS NOT NULL AND state NOT IN ('closed', 'rejected', 'cancelled') AND state <> 'ready'
  AND (%(locations)s::int[] IS NULL OR location_id = ANY(%(locations)s::int[]))
GROUP BY capacity_day, slot_starts, slot_ends ORDER BY capacity_day, slot_starts, slot_ends LIMIT %(most)s::int
"""
# What the work that is due first has still to fetch, shelf by shelf as far as the catalogue tells: by category, product
# and SKU, one owner's after another's. The work by the partial index on open work, its units by theirs.
PICK_LIST = """
WITH first AS (
    SELECT f.id, f.number, f.order_id, f.location_id, f.state, f.assignee, f.due_at FROM fulfillment_order f
    WHERE f.state IN ('open', 'accepted', 'picking')
      AND (%(locations)s::int[] IS NULL OR f.location_id = ANY(%(locations)s::int[]))
      AND (%(slot_day)s::date IS NULL OR f.slot_starts IS NOT NULL AND f.capacity_day = %(slot_day)s::date)
      AND (%(slot_starts)s::time IS NULL OR f.slot_starts = %(slot_starts)s::time)
    ORDER BY f.due_at, f.number LIMIT %(most)s::int
)
SELECT v.sku, v.name, v.gtin, c.name AS category, l.code AS location, l.name AS location_name, e.code AS owner,
       e.name AS owner_name, u.units, f.id AS fulfillment_id, f.number, o.number AS order_number, f.state, f.assignee,
       f.due_at
FROM first f
JOIN LATERAL (
    SELECT sku_id, sum(quantity)::int AS units FROM order_unit
    WHERE fulfillment_id = f.id AND state IN ('released', 'picking') AND sku_id IS NOT NULL GROUP BY sku_id
) u ON true
JOIN sales_order o ON o.id = f.order_id
JOIN location l ON l.id = f.location_id
JOIN establishment e ON e.id = coalesce(l.owner_id, l.establishment_id)
JOIN variant v ON v.id = u.sku_id
JOIN product p ON p.id = v.product_id
LEFT JOIN category c ON c.id = p.category_id
ORDER BY c.path NULLS LAST, p.name, p.id, v.sku, l.site_id NULLS FIRST, l.code, f.due_at, f.number
"""
# Work that is to be picked still, and the units of it that are, by the partial index on open work. Slots are those of a
# site's first location, which the locations there share.
TO_PICK_IN_SLOTS = """
SELECT f.slot_location_id, f.capacity_day, f.slot_starts, count(*)::int,
       sum(CASE WHEN f.state <> 'picking' THEN f.units
                ELSE (SELECT coalesce(sum(quantity), 0) FROM order_unit
                      WHERE fulfillment_id = f.id AND state IN ('released', 'picking')) END)::int
FROM location m JOIN fulfillment_order f ON f.location_id = m.id
WHERE coalesce(m.site_id, m.id) = ANY (%(homes)s::int[]) AND f.state IN ('open', 'accepted', 'picking')
  AND f.slot_starts IS NOT NULL AND f.capacity_day BETWEEN %(since)s::date AND %(until)s::date
GROUP BY f.slot_location_id, f.capacity_day, f.slot_starts
"""


async def coming(tx: Tx, places: Sequence[int]) -> list[ComingRow]:
    """Return the goods that come to places for orders fetched there, at most 500, the first to come first."""
    return await tx.all(ComingRow, COMING, {"places": list(places), "most": COMING_LIMIT})


async def order_of_transfer(tx: Tx, number: int) -> int | None:
    """Return the number of the order whose goods a transfer brings; None: it brings stock."""
    found: int | None = await tx.value(ORDER_OF_TRANSFER, {"number": number})
    return found


async def set_aside(tx: Tx, places: Sequence[int], sku_ids: Sequence[int] | None = None) -> dict[int, int]:
    """Return the units by SKU that are picked at some locations and have not left: on hand, and not on the shelf."""
    params = {"places": list(places), "skus": None if sku_ids is None else list(sku_ids)}
    return dict(await tx.tuples(SET_ASIDE, params))


async def due(tx: Tx, order_ids: Sequence[UUID]) -> dict[UUID, datetime]:
    """Return when the earliest open work of each order is due; orders without open work are absent."""
    return dict(await tx.tuples(DUE, {"ids": list(order_ids)}))


async def overdue_orders(tx: Tx) -> list[UUID]:
    """Return orders with open work past its time, at most `OVERDUE_LIMIT`."""
    return await tx.values(OVERDUE, {"most": OVERDUE_LIMIT})


async def of_order(tx: Tx, order_id: UUID) -> list[WorkRow]:
    """Return the fulfillment orders of an order, rejected ones too."""
    return [_seated(row) for row in await tx.all(WorkRow, OF_ORDER, {"id": order_id})]


Seated = TypeVar("Seated", WorkRow, QueueRow)


def _seated(row: Seated) -> Seated:
    """Return a row with its slot as what it is: the database sends it as JSON."""
    return row if row.slot is None else msgspec.structs.replace(row, slot=msgspec.convert(row.slot, WorkSlot))


async def shipments(tx: Tx, order_id: UUID) -> list[ShipmentRow]:
    """Return the parcels of an order."""
    return await tx.all(ShipmentRow, SHIPMENTS_OF_ORDER, {"id": order_id})


def under_way(parcels: Sequence[ShipmentRow], work: Sequence[WorkRow], scope: Collection[int] | None) -> list[UUID]:
    """Return the parcels that have left and not arrived, of work at the locations of a scope (None is all)."""
    seen = {row.id for row in work if scope is None or row.location_id in scope}
    return [p.id for p in parcels if p.shipped_at and not p.delivered_at and p.fulfillment_id in seen]


async def still_to_go_out(tx: Tx, ids: Sequence[UUID]) -> list[UUID]:
    """Return which of some parcels under way were not taken out for delivery in the last 12 hours."""
    return await tx.values(STILL_TO_GO_OUT, {"ids": list(ids)}) if ids else []


async def orders_of_tracking(tx: Tx, codes: Sequence[str]) -> list[UUID]:
    """Return the orders of the parcels with one of these tracking codes, at most `QUEUE_LIMIT`."""
    return await tx.values(ORDERS_OF_TRACKING, {"codes": list(codes), "most": QUEUE_LIMIT})


Hours = tuple[date | None, time | None]  # of a picking slot: its day and its start, as far as they matter
ANY_HOURS: Hours = (None, None)


async def queue(
    tx: Tx,
    location_ids: Sequence[int] | None = None,
    *,
    slot: Hours = ANY_HOURS,
    after: QueueRow | None = None,
    most: int = QUEUE_LIMIT,
) -> list[QueueRow]:
    """Return open work, due first, from behind `after`, at most `most`; of some locations or of all, or of a slot.

    Work in a picking slot is due when it ends: it comes slot by slot.
    """
    place = {"due": after and after.due_at, "number": after and after.number, "most": most, "sight": tx.actor.scope}
    return [_seated(row) for row in await tx.all(QueueRow, QUEUE, _asked(location_ids, slot) | place)]


async def order_numbers(tx: Tx, work_ids: Sequence[UUID]) -> dict[str, int]:
    """Return the numbers of the orders of pieces of work, by the work's id as text; of those the actor sees."""
    rows = await tx.tuples(ORDER_NUMBERS, {"ids": list(work_ids)})
    return {str(id_): number for id_, number, location_id in rows if tx.actor.sees(location_id)}


async def queue_counts(
    tx: Tx, location_ids: Sequence[int] | None = None, *, slot: Hours = ANY_HOURS
) -> dict[str, tuple[int, int]]:
    """Return how much open work there is by state: (all, past its time)."""
    rows = await tx.tuples(QUEUE_COUNTS, _asked(location_ids, slot))
    return {state: (all_, late) for state, all_, late in rows}


def _asked(location_ids: Sequence[int] | None, slot: Hours) -> dict[str, object]:
    locations = None if location_ids is None else list(location_ids)
    return {"locations": locations, "slot_day": slot[0], "slot_starts": slot[1]}


async def slots_at_work(tx: Tx, location_ids: Sequence[int] | None = None) -> list[SlotWork]:
    """Return the picking slots whose work is not done, the next first, at most `QUEUE_LIMIT`; of some locations."""
    locations = None if location_ids is None else list(location_ids)
    return await tx.all(SlotWork, SLOTS, {"locations": locations, "most": QUEUE_LIMIT})


async def pick_list(
    tx: Tx, location_ids: Sequence[int] | None = None, *, slot: Hours = ANY_HOURS, most: int = QUEUE_LIMIT
) -> list[PickRow]:
    """Return what the `most` pieces of work that are due first have still to fetch, in the order of a walk.

    Goods of one SKU follow one another, whoever's they are and whatever order they are for.
    """
    return await tx.all(PickRow, PICK_LIST, _asked(location_ids, slot) | {"most": most})


async def to_pick_in_slots(
    tx: Tx, homes: Sequence[int], since: date, until: date
) -> dict[tuple[int, date, time], tuple[int, int]]:
    """Return how much work of picking slots is not picked yet, and how many units, by location, day and start."""
    rows = await tx.tuples(TO_PICK_IN_SLOTS, {"homes": list(homes), "since": since, "until": until})
    return {(home, day, starts): (pieces, units) for home, day, starts, pieces, units in rows}
