"""Webhooks, deliveries and public events of the log: for screens, the API and those who send."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import LiteralString

import msgspec

from malha.identity.model import ROLES, Role
from malha.identity.rules import exceeds
from malha.platform.db import Tx
from malha.platform.eventlog import Recorded
from malha.platform.ids import UUID
from malha.webhooks.catalogue import Names
from malha.webhooks.model import DeliveryState, Endpoint, WebhookMaker

ENDPOINTS = "SELECT * FROM webhook_endpoint ORDER BY name, id"
ENDPOINT = "SELECT * FROM webhook_endpoint WHERE id = %(id)s::bigint"
ACTIVE = "SELECT * FROM webhook_endpoint WHERE state = 'active' ORDER BY id"
# A retailer has dozens of webhooks and keys. What a key did goes back to the person who made that key, or took it over.
MAKERS = """
WITH RECURSIVE made (id, maker) AS (
    SELECT w.id, coalesce(k.kept_by, w.created_by)
    FROM webhook_endpoint w LEFT JOIN webhook_keeper k ON k.endpoint_id = w.id
    WHERE w.id = ANY (%(ids)s::int[])
    UNION ALL
    SELECT m.id, coalesce(k.kept_by, k.created_by) FROM made m JOIN api_key k ON m.maker = 'key:' || k.id
)
SELECT m.id AS webhook, p.id, p.name, p.active, p.role, p.everywhere,
       ARRAY(SELECT l.location_id FROM person_location l WHERE l.person_id = p.id) AS locations
FROM made m JOIN person p ON m.maker = 'person:' || p.id
"""
# Where something may go now: an index-only look at what is in line of each active endpoint.
DUE = """
SELECT w.id FROM webhook_endpoint w
WHERE w.state = 'active' AND (w.open_until IS NULL OR w.open_until <= clock_timestamp())
  AND (w.trial_until IS NULL OR w.trial_until <= clock_timestamp())
  AND (w.rest_until IS NULL OR w.rest_until <= clock_timestamp())
  AND EXISTS (SELECT FROM webhook_delivery d WHERE d.endpoint_id = w.id AND d.state = 'waiting'
              AND d.next_at <= clock_timestamp() AND (d.taken_until IS NULL OR d.taken_until < clock_timestamp()))
"""
# Primary key look-ups in the partitions they are in.
EVENTS_AT = """
SELECT position, at, seq, version, key, type, actor, payload::text AS payload
FROM event WHERE position = ANY (%(positions)s::bigint[]) ORDER BY position
"""
LOCATION_CODES = "SELECT id, code FROM location"
CHANNEL_CODES = "SELECT id, code FROM channel"
SKU_CODES = "SELECT id, sku FROM variant WHERE id = ANY (%(ids)s::int[])"
CHECKPOINT = "SELECT position FROM subscriber WHERE name = %(name)s::text"

# One endpoint's line: how many, since when, and what was given up. Partial indexes; counted to a bound.
BACKLOG = """
SELECT w.id,
       (SELECT count(*) FROM (SELECT FROM webhook_delivery d WHERE d.endpoint_id = w.id AND d.state = 'waiting'
                              LIMIT 100001) AS x) AS waiting,
       (SELECT d.at FROM webhook_delivery d WHERE d.endpoint_id = w.id AND d.state = 'waiting'
        ORDER BY d.position LIMIT 1) AS oldest_at,
       (SELECT count(*) FROM (SELECT FROM webhook_delivery d WHERE d.endpoint_id = w.id AND d.state = 'failed'
                              LIMIT 100001) AS x) AS failed
FROM webhook_endpoint w WHERE %(id)s::bigint IS NULL OR w.id = %(id)s::bigint
"""
# A day of minutes for each endpoint: primary key range.
MINUTES = """
SELECT endpoint_id, minute, delivered, failed, took, lag_ms FROM webhook_minute
WHERE endpoint_id = ANY (%(ids)s::int[]) AND minute >= %(since)s::timestamptz ORDER BY endpoint_id, minute
"""
ATTEMPTS = """
SELECT at, status, ms, error, answer FROM webhook_attempt
WHERE endpoint_id = %(endpoint)s::int AND position = %(position)s::bigint ORDER BY id
"""
# Newest first, by the index on time: where failures are in a row, one of them is among the newest. No test counts.
FAILED_SINCE = """
SELECT at FROM webhook_attempt
WHERE endpoint_id = %(endpoint)s::int AND at > %(since)s::timestamptz AND position IS NOT NULL AND error IS NOT NULL
ORDER BY at DESC LIMIT 1
"""
DISABLED = "SELECT * FROM webhook_endpoint WHERE state = 'disabled' ORDER BY stopped_at"
# What an endpoint that is limited to channels or locations may be told of: orders by their channel; work, stock and
# transfers by what they say; other events of orders by where units of the order are. Evaluated for limited ones only;
# CASE keeps a key that is no order's from being read as one.
VISIBLE: LiteralString = """
(w.channels IS NULL OR CASE WHEN starts_with(e.key, 'order:') THEN EXISTS (
    SELECT FROM sales_order o WHERE o.id = substr(e.key, 7)::uuid AND o.channel_id = ANY (w.channels)
 ) ELSE false END)
AND (w.locations IS NULL OR CASE
    WHEN e.payload -> 'location_id' IS NOT NULL THEN (e.payload ->> 'location_id')::int = ANY (w.locations)
    WHEN e.payload -> 'origin_id' IS NOT NULL THEN
        (e.payload ->> 'origin_id')::int = ANY (w.locations)
        OR (e.payload ->> 'destination_id')::int = ANY (w.locations)
    WHEN json_typeof(e.payload -> 'locations') = 'array' AND EXISTS (
        SELECT FROM json_array_elements_text(e.payload -> 'locations') AS x (id) WHERE x.id::int = ANY (w.locations)
    ) THEN true
    WHEN starts_with(e.key, 'order:') THEN EXISTS (
        SELECT FROM order_unit u WHERE u.order_id = substr(e.key, 7)::uuid AND u.location_id = ANY (w.locations)
    )
    ELSE false END)
"""
# Whether a delivery `d` of an endpoint `w` is of what it may be told by the rights it has now; `permitted` are the
# types of these. The event is looked up, by primary key, for limited endpoints only.
PERMITTED: LiteralString = (
    """
(d.type = ANY (%(permitted)s::text[]) AND (w.channels IS NULL AND w.locations IS NULL OR EXISTS (
    SELECT FROM event e WHERE e.position = d.position AND """
    + VISIBLE
    + """)))
"""
)
# Newest first by primary key; by the partial index where a state is asked for. `permitted` is stated for readers who
# might not have been told of everything that a webhook of wider rights once was.
_DELIVERY: LiteralString = """
SELECT d.position, d.key, d.type, d.at, d.state, d.attempts, d.replays, d.next_at, d.taken_until, d.done_at, d.status,
       d.ms, d.error
FROM webhook_delivery d JOIN webhook_endpoint w ON w.id = d.endpoint_id
WHERE d.endpoint_id = %(endpoint)s::int
"""
_TO_WHOM: LiteralString = " AND (%(permitted)s::text[] IS NULL OR " + PERMITTED + ")"
DELIVERIES = (
    _DELIVERY
    + """
  AND (%(before)s::bigint IS NULL OR d.position < %(before)s::bigint)
  AND (%(state)s::text IS NULL OR d.state = %(state)s::text)
  AND (%(type)s::text IS NULL OR d.type = %(type)s::text)
  AND (%(key)s::text IS NULL OR d.key = %(key)s::text)
"""
    + _TO_WHOM
    + " ORDER BY d.position DESC LIMIT %(limit)s::int"
)
DELIVERY = _DELIVERY + " AND d.position = %(position)s::bigint" + _TO_WHOM
MAY_BE_TOLD = (
    """
SELECT EXISTS (
    SELECT FROM webhook_delivery d JOIN webhook_endpoint w ON w.id = d.endpoint_id
    WHERE d.endpoint_id = %(endpoint)s::int AND d.position = %(position)s::bigint AND """
    + PERMITTED
    + ")"
)
# The log after a position as far as `reach`, which bounds what is looked through, for one reader. Primary key range.
FEED = (
    """
SELECT e.position, e.at, e.seq, e.version, e.key, e.type, e.actor, e.payload::text AS payload
FROM event e CROSS JOIN (SELECT %(locations)s::int[] AS locations, NULL::int[] AS channels) AS w
WHERE e.position > %(since)s::bigint AND e.position <= %(reach)s::bigint AND e.type = ANY (%(types)s::text[]) AND """
    + VISIBLE
    + """
ORDER BY e.position LIMIT %(most)s::int
"""
)
# The last position, and the first that is still there: the log's partitions go, the oldest first.
ENDS = "SELECT (SELECT position FROM sequencer), (SELECT position FROM event ORDER BY position LIMIT 1)"


class Backlog(msgspec.Struct, frozen=True):
    """What is in line for an endpoint, and since when; what was given up. Counted to 100,001."""

    id: int
    waiting: int
    oldest_at: datetime | None
    failed: int


class Minute(msgspec.Struct, frozen=True):
    """How an endpoint did in one minute."""

    endpoint_id: int
    minute: datetime
    delivered: int
    failed: int
    took: list[int]
    lag_ms: int


class _MakerRow(msgspec.Struct, frozen=True, kw_only=True):
    webhook: int
    id: UUID
    name: str
    active: bool
    role: Role
    everywhere: bool
    locations: list[int]


class DeliveryRow(msgspec.Struct, frozen=True, kw_only=True):
    """One event for one endpoint, and what became of it."""

    position: int
    key: str
    type: str
    at: datetime
    state: DeliveryState
    attempts: int
    replays: int
    next_at: datetime
    taken_until: datetime | None
    done_at: datetime | None
    status: int | None
    ms: int | None
    error: str | None


class AttemptRow(msgspec.Struct, frozen=True):
    """One attempt that did not succeed at once, or the success after such."""

    at: datetime
    status: int | None
    ms: int
    error: str | None
    answer: str | None


async def endpoints(tx: Tx) -> list[Endpoint]:
    """Return all endpoints by name."""
    return await tx.all(Endpoint, ENDPOINTS)


async def endpoint(tx: Tx, id_: int) -> Endpoint | None:
    """Return one endpoint."""
    return await tx.maybe(Endpoint, ENDPOINT, {"id": id_})


async def active(tx: Tx) -> list[Endpoint]:
    """Return the endpoints that are told something."""
    return await tx.all(Endpoint, ACTIVE)


async def disabled(tx: Tx) -> list[Endpoint]:
    """Return the endpoints that we stopped telling, the longest ago first."""
    return await tx.all(Endpoint, DISABLED)


async def makers(tx: Tx, endpoints: Sequence[Endpoint]) -> dict[int, WebhookMaker]:
    """Return who answers for endpoints, by endpoint; those of no person are absent."""
    by_id = {endpoint.id: endpoint for endpoint in endpoints}
    rows = await tx.all(_MakerRow, MAKERS, {"ids": list(by_id)}) if by_id else []
    return {row.webhook: _maker(row, by_id[row.webhook]) for row in rows}


def _maker(row: _MakerRow, endpoint: Endpoint) -> WebhookMaker:
    sees = None if row.everywhere else row.locations
    less = exceeds(endpoint.permissions, endpoint.locations, ROLES[Role(row.role)], sees)
    return WebhookMaker(row.id, row.name, "gone" if not row.active else "less" if less else "active")


async def may_be_told(tx: Tx, endpoint_id: int, position: int, permitted: Sequence[str]) -> bool:
    """Tell whether an endpoint may be told of a delivery of its own by the rights it has now, of these types."""
    asked = {"endpoint": endpoint_id, "position": position, "permitted": list(permitted)}
    return bool(await tx.value(MAY_BE_TOLD, asked))


async def due(tx: Tx) -> list[int]:
    """Return the endpoints to which something may go now."""
    return await tx.values(DUE)


async def backlogs(tx: Tx, id_: int | None = None) -> dict[int, Backlog]:
    """Return what is in line, by endpoint; of all, or of one."""
    return {row.id: row for row in await tx.all(Backlog, BACKLOG, {"id": id_})}


async def minutes(tx: Tx, ids: Sequence[int], since: datetime) -> list[Minute]:
    """Return how endpoints did since a moment, minute by minute; minutes without anything are absent."""
    return await tx.all(Minute, MINUTES, {"ids": list(ids), "since": since})


async def deliveries(
    tx: Tx,
    endpoint_id: int,
    *,
    before: int | None = None,
    state: str | None = None,
    type_: str | None = None,
    key: str | None = None,
    permitted: Sequence[str] | None = None,
    limit: int = 50,
) -> list[DeliveryRow]:
    """Return deliveries of an endpoint, the newest event first; of `permitted` types, only what it may be told now."""
    asked = {"endpoint": endpoint_id, "before": before, "state": state, "type": type_, "key": key, "limit": limit}
    known = None if permitted is None else list(permitted)
    return await tx.all(DeliveryRow, DELIVERIES, {**asked, "permitted": known})


async def delivery(
    tx: Tx, endpoint_id: int, position: int, permitted: Sequence[str] | None = None
) -> DeliveryRow | None:
    """Return one delivery; of `permitted` types, only one that the endpoint may be told now."""
    asked = {"endpoint": endpoint_id, "position": position}
    return await tx.maybe(DeliveryRow, DELIVERY, {**asked, "permitted": None if permitted is None else list(permitted)})


async def attempts(tx: Tx, endpoint_id: int, position: int) -> list[AttemptRow]:
    """Return the attempts of a delivery that were written down, the first first."""
    return await tx.all(AttemptRow, ATTEMPTS, {"endpoint": endpoint_id, "position": position})


async def failed_since(tx: Tx, id_: int, since: datetime) -> bool:
    """Tell whether an attempt to deliver something to an endpoint failed after a moment."""
    return await tx.value(FAILED_SINCE, {"endpoint": id_, "since": since}) is not None


async def events_at(tx: Tx, positions: Sequence[int]) -> list[Recorded]:
    """Return events of the log by their positions; those that are gone are absent."""
    return await tx.all(Recorded, EVENTS_AT, {"positions": list(positions)})


async def names(tx: Tx, skus: Collection[int]) -> Names:
    """Return the codes of all locations and channels, and of these SKUs."""
    return Names(
        dict(await tx.tuples(LOCATION_CODES)),
        dict(await tx.tuples(CHANNEL_CODES)),
        dict(await tx.tuples(SKU_CODES, {"ids": sorted(skus)})) if skus else {},
    )


async def ends(tx: Tx) -> tuple[int, int]:
    """Return the last position of the log, and the first that is still there."""
    ((last, first),) = await tx.tuples(ENDS)
    return last, last + 1 if first is None else first


async def feed(
    tx: Tx, *, since: int, reach: int, types: Sequence[str], locations: Sequence[int] | None, most: int
) -> list[Recorded]:
    """Return events of these types between two positions, those of some locations or all; at most `most`."""
    asked = {"since": since, "reach": reach, "types": list(types), "most": most}
    return await tx.all(Recorded, FEED, {**asked, "locations": None if locations is None else list(locations)})
