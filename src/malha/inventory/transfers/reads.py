"""Transfers, for screens."""

from datetime import date, datetime
from typing import Any, LiteralString

import msgspec
from psycopg import sql

from malha.inventory.supply import searching
from malha.inventory.transfers import rules
from malha.inventory.transfers.model import Crosses, Progress, TransferState
from malha.platform.db import Tx
from malha.platform.ids import UUID

# The list is put together from what is asked: first which transfers, the newest first by the unique index on number or
# by the index of what narrows them, then what their lines sum up to, of those alone.
_LIST = """
SELECT t.number, t.state, o.code AS origin, o.name AS origin_name, oe.code AS origin_owner,
       oe.name AS origin_owner_name, d.code AS destination, d.name AS destination_name, de.code AS destination_owner,
       de.name AS destination_owner_name, t.crosses,
       coalesce(o.site_id, o.id) = coalesce(d.site_id, d.id) AS changes_owner, t.needs_document, t.document, n.eta,
       n.eta_usual, t.requested_at, t.shipped_at, l.lines, l.asked,
       CASE WHEN t.state IN ('approved', 'partly_shipped') THEN l.rest ELSE 0 END AS to_ship,
       (SELECT count(*)::int FROM transfer_shipment s WHERE s.transfer_id = t.id) AS shipments, l.shipped, l.arrived,
       l.transit,
       (SELECT coalesce(sum(quantity), 0)::int FROM transfer_discrepancy x
                   WHERE x.transfer_id = t.id AND x.decision IS NULL) AS undecided
FROM (
    SELECT t.* FROM transfer t
    WHERE true"""
# The first day on which something is to come that is not there, and whether nobody stated it; the last one when all is.
_NEXT_DAY = """
CROSS JOIN LATERAL (
    SELECT e.eta, e.eta_usual
    FROM (
        SELECT 1 AS turn, t.eta, t.eta_usual WHERE t.state IN ('requested', 'approved', 'partly_shipped')
        UNION ALL
        SELECT 1, s.eta, s.eta_usual FROM transfer_shipment s
        WHERE s.transfer_id = t.id
          AND EXISTS (SELECT FROM transfer_shipment_line c WHERE c.shipment_id = s.id AND c.coming > 0)
        UNION ALL
        SELECT 2, t.eta, t.eta_usual
    ) e
    ORDER BY e.turn, e.eta NULLS LAST LIMIT 1
) n
"""
_ROWS = (
    """
    ORDER BY t.number DESC LIMIT %(limit)s::int
) t
JOIN location o ON o.id = t.origin_id JOIN location d ON d.id = t.destination_id
JOIN establishment oe ON oe.id = coalesce(o.owner_id, o.establishment_id)
JOIN establishment de ON de.id = coalesce(d.owner_id, d.establishment_id)
CROSS JOIN LATERAL (
    SELECT count(*)::int AS lines, coalesce(sum(asked), 0)::int AS asked, coalesce(sum(shipped), 0)::int AS shipped,
           coalesce(sum(arrived), 0)::int AS arrived, coalesce(sum(transit), 0)::int AS transit,
           coalesce(sum(greatest(approved - shipped - dropped, 0)), 0)::int AS rest
    FROM transfer_line WHERE transfer_id = t.id
) l
"""
    + _NEXT_DAY
    + """ORDER BY t.number DESC
"""
)
_BEFORE = """
      AND t.number < %(before)s::bigint"""
_STATES = """
      AND t.state = ANY (%(states)s::text[])"""
# As the partial index on open ones says it.
_OPEN = """
      AND t.state NOT IN ('closed', 'cancelled')"""
# A scope sees what comes and what goes.
_SCOPE = """
      AND (t.origin_id = ANY (%(scope)s::int[]) OR t.destination_id = ANY (%(scope)s::int[]))"""
# Locations that keep an owner's goods: what comes to them and what goes, by the same indexes as a scope.
_OWNED = """
      AND (t.origin_id = ANY (%(owned)s::int[]) OR t.destination_id = ANY (%(owned)s::int[]))"""
_CROSSES = """
      AND t.crosses = ANY (%(crosses)s::text[])"""
_ORIGIN = """
      AND t.origin_id = %(origin)s::int"""
_DESTINATION = """
      AND t.destination_id = %(destination)s::int"""
_SINCE = """
      AND t.requested_at >= %(since)s::timestamptz"""
_UNTIL = """
      AND t.requested_at < %(until)s::timestamptz"""
_LATE = """
      AND t.state IN ('approved', 'partly_shipped', 'shipped')
      AND (t.state <> 'shipped' AND t.eta < %(late)s::date
           OR EXISTS (SELECT FROM transfer_shipment s JOIN transfer_shipment_line c ON c.shipment_id = s.id
                      WHERE s.transfer_id = t.id AND s.eta < %(late)s::date AND c.coming > 0))"""
# By the unique index on number, the trigrams of documents, and the indexes on a SKU's lines.
_FOUND = """
      AND t.number = ANY (ARRAY(
          SELECT number FROM transfer WHERE number = %(number)s::bigint
          UNION
          SELECT number FROM transfer WHERE document ILIKE %(document)s::text
          UNION
          SELECT x.number FROM transfer_shipment s JOIN transfer x ON x.id = s.transfer_id
          WHERE s.document ILIKE %(document)s::text
          UNION
          SELECT x.number FROM transfer_line l JOIN transfer x ON x.id = l.transfer_id
          WHERE l.sku_id = ANY (ARRAY(
              SELECT id FROM variant WHERE sku = ANY (%(codes)s::text[])
              UNION
              SELECT id FROM variant WHERE gtin = ANY (%(codes)s::text[])
          ))
      ))"""
TRANSFER = (
    """
SELECT t.id, t.number, t.state, t.origin_id, o.code AS origin, o.name AS origin_name, oe.code AS origin_owner,
       oe.name AS origin_owner_name, oc.name AS origin_company, t.destination_id, d.code AS destination,
       d.name AS destination_name, de.code AS destination_owner, de.name AS destination_owner_name,
       dc.name AS destination_company, t.crosses,
       coalesce(o.site_id, o.id) = coalesce(d.site_id, d.id) AS changes_owner, t.needs_document, t.document, n.eta,
       n.eta_usual, t.carrier, t.tracking_code, t.note, t.seq, t.requested_at, t.requested_by, t.approved_by,
       t.shipped_at, t.shipped_by, t.closed_at, t.closed_short_at, t.closed_short_by, t.closed_short_reason
FROM transfer t JOIN location o ON o.id = t.origin_id JOIN location d ON d.id = t.destination_id
JOIN establishment oe ON oe.id = coalesce(o.owner_id, o.establishment_id)
JOIN establishment de ON de.id = coalesce(d.owner_id, d.establishment_id)
JOIN legal_entity oc ON oc.id = oe.legal_entity_id JOIN legal_entity dc ON dc.id = de.legal_entity_id"""
    + _NEXT_DAY
    + """WHERE t.number = %(number)s::bigint
"""
)
TRANSFER_LINES = """
SELECT l.line, l.sku_id, v.sku, v.name, v.gtin, l.asked, l.approved, l.shipped, l.arrived, l.settled, l.transit,
       l.dropped,
       CASE WHEN t.state IN ('approved', 'partly_shipped') THEN greatest(l.approved - l.shipped - l.dropped, 0)
            ELSE 0 END AS to_ship
FROM transfer_line l JOIN transfer t ON t.id = l.transfer_id JOIN variant v ON v.id = l.sku_id
WHERE l.transfer_id = %(id)s::uuid ORDER BY l.line
"""
# The first to leave first, with its lines as JSON.
SHIPMENTS = """
SELECT s.number, s.document, s.carrier, s.tracking_code, s.eta, s.eta_usual, s.shipped_at, s.shipped_by, s.arrived_at,
       l.shipped, l.arrived, l.transit, l.coming,
       (SELECT coalesce(sum(d.quantity), 0)::int FROM transfer_discrepancy d
        WHERE d.transfer_id = s.transfer_id AND coalesce(d.shipment_id, d.transfer_id) = s.id
          AND d.decision IS NULL) AS undecided,
       l.lines
FROM transfer_shipment s
CROSS JOIN LATERAL (
    SELECT coalesce(sum(x.shipped), 0)::int AS shipped, coalesce(sum(x.arrived), 0)::int AS arrived,
           coalesce(sum(x.transit), 0)::int AS transit, coalesce(sum(x.coming), 0)::int AS coming,
           coalesce(json_agg(json_build_object(
               'line', x.line, 'sku_id', x.sku_id, 'sku', v.sku, 'name', v.name, 'gtin', v.gtin, 'shipped', x.shipped,
               'arrived', x.arrived, 'settled', x.settled, 'missing', x.missing, 'transit', x.transit,
               'coming', x.coming) ORDER BY x.line), '[]'::json) AS lines
    FROM transfer_shipment_line x JOIN variant v ON v.id = x.sku_id WHERE x.shipment_id = s.id
) l
WHERE s.transfer_id = %(id)s::uuid ORDER BY s.number
"""
MOVES = """
SELECT was, was_usual, became, reason, at, actor, shipment
FROM transfer_eta WHERE transfer_id = %(id)s::uuid ORDER BY id
"""
DISCREPANCIES = """
SELECT d.id, d.line, v.sku, v.name, d.kind, d.quantity, d.found_at, d.found_by, d.decision, d.reference, d.note,
       d.decided_at, d.decided_by, coalesce(s.number, 1) AS shipment
FROM transfer_discrepancy d
LEFT JOIN transfer_shipment s ON s.id = d.shipment_id
JOIN transfer_line l ON l.transfer_id = d.transfer_id AND l.line = d.line JOIN variant v ON v.id = l.sku_id
WHERE d.transfer_id = %(id)s::uuid ORDER BY d.found_at, d.line, d.kind
"""


ENDED = frozenset({TransferState.CLOSED, TransferState.CANCELLED})


class TransferRow(msgspec.Struct, frozen=True):
    """A transfer in a list."""

    number: int
    state: TransferState
    origin: str
    origin_name: str
    origin_owner: str  # whose goods the end keeps, by establishment
    origin_owner_name: str
    destination: str
    destination_name: str
    destination_owner: str
    destination_owner_name: str
    crosses: Crosses  # as both ends were when it was asked for
    changes_owner: bool  # both ends at one site: nothing travels
    needs_document: bool
    document: str | None
    eta: date | None  # the first on which something is to come that is not there
    eta_usual: bool  # nobody stated the day: it is the one the way usually takes
    requested_at: datetime
    shipped_at: datetime | None
    lines: int
    asked: int
    to_ship: int  # set aside, and has not left
    shipments: int
    shipped: int
    arrived: int
    transit: int
    undecided: int


class TransferHead(msgspec.Struct, frozen=True):
    """A transfer."""

    id: UUID
    number: int
    state: TransferState
    origin_id: int
    origin: str
    origin_name: str
    origin_owner: str  # whose goods the end keeps, by establishment
    origin_owner_name: str
    origin_company: str
    destination_id: int
    destination: str
    destination_name: str
    destination_owner: str
    destination_owner_name: str
    destination_company: str
    crosses: Crosses  # as both ends were when it was asked for
    changes_owner: bool
    needs_document: bool
    document: str | None  # of the last shipment, as the carrier and its code
    eta: date | None  # the first on which something is to come that is not there
    eta_usual: bool  # nobody stated the day: it is the one the way usually takes
    carrier: str | None
    tracking_code: str | None
    note: str
    seq: int
    requested_at: datetime
    requested_by: str
    approved_by: str | None
    shipped_at: datetime | None
    shipped_by: str | None
    closed_at: datetime | None
    closed_short_at: datetime | None  # when what had not left was given back
    closed_short_by: str | None
    closed_short_reason: str | None


class TransferLineRow(msgspec.Struct, frozen=True):
    """A line of a transfer."""

    line: int
    sku_id: int
    sku: str
    name: str
    gtin: str | None
    asked: int
    approved: int | None
    shipped: int
    arrived: int
    settled: int
    transit: int
    dropped: int  # approved, and given back without leaving
    to_ship: int  # set aside, and has not left


class ShipmentLine(msgspec.Struct, frozen=True):
    """A line of a shipment; `missing` are those in transit of which somebody must say what became of them."""

    line: int
    sku_id: int
    sku: str
    name: str
    gtin: str | None
    shipped: int
    arrived: int
    settled: int
    missing: int
    transit: int
    coming: int


class ShipmentRow(msgspec.Struct, frozen=True):
    """What left of a transfer at once; `coming` units may still arrive, of those in transit."""

    number: int
    document: str | None
    carrier: str | None
    tracking_code: str | None
    eta: date | None
    eta_usual: bool  # nobody stated the day: it is the one the way usually takes
    shipped_at: datetime
    shipped_by: str
    arrived_at: datetime | None  # when the first of it came
    shipped: int
    arrived: int
    transit: int
    coming: int
    undecided: int
    lines: list[ShipmentLine]

    @property
    def state(self) -> TransferState:
        """Return where it is: on its way, to be decided about, or over."""
        return rules.state_of(Progress(0, self.shipped, self.coming, self.transit, self.undecided))


class DayMove(msgspec.Struct, frozen=True):
    """A day on which goods were expected, and the one that was said instead."""

    was: date | None
    was_usual: bool  # nobody had stated it: it was the one the way usually takes
    became: date
    reason: str
    at: datetime
    actor: str
    shipment: int | None  # None: of what had not left


class DiscrepancyRow(msgspec.Struct, frozen=True):
    """Units that did not arrive as they left, and what was decided."""

    id: UUID
    line: int
    sku: str
    name: str
    kind: str
    quantity: int
    found_at: datetime
    found_by: str
    decision: str | None
    reference: str | None
    note: str
    decided_at: datetime | None
    decided_by: str | None
    shipment: int


class TransfersWanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which transfers are wanted.

    `text` is a number, part of a document, a SKU or its barcode; `since` and `until`, which is exclusive, are about
    when they were asked for; `late` is the day before which what is to come should have come; `owned` are the locations
    that keep an owner's goods, at either end.
    """

    states: tuple[TransferState, ...] | None = None
    text: str = ""
    origin_id: int | None = None
    destination_id: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    late: date | None = None
    owned: tuple[int, ...] | None = None
    crosses: tuple[Crosses, ...] | None = None
    scope: tuple[int, ...] | None = None


def _asked(wanted: TransfersWanted, before: int | None) -> tuple[sql.Composed, dict[str, Any]]:
    """Return the statement of a list, and its parameters."""
    text = wanted.text.strip()
    params: dict[str, Any] = {
        "before": before,
        "states": None if wanted.states is None else [str(state) for state in wanted.states],
        "scope": None if wanted.scope is None else list(wanted.scope),
        "origin": wanted.origin_id,
        "destination": wanted.destination_id,
        "since": wanted.since,
        "until": wanted.until,
        "late": wanted.late,
        "owned": None if wanted.owned is None else list(wanted.owned),
        "crosses": None if wanted.crosses is None else [str(kind) for kind in wanted.crosses],
        "number": searching.number_in(text, "T", bare=True),
        **searching.asked(text),
    }
    said: list[tuple[object, LiteralString]] = [
        (before, _BEFORE),
        (wanted.states, _STATES),
        (wanted.scope, _SCOPE),
        (wanted.origin_id, _ORIGIN),
        (wanted.destination_id, _DESTINATION),
        (wanted.since, _SINCE),
        (wanted.until, _UNTIL),
        (wanted.late, _LATE),
        (wanted.owned, _OWNED),
        (wanted.crosses, _CROSSES),
    ]
    parts = [part for value, part in said if value is not None]
    if wanted.states is not None and not ENDED & set(wanted.states):
        parts.append(_OPEN)
    if text:
        parts.append(_FOUND)
    return sql.Composed([sql.SQL(part) for part in (_LIST, *parts, _ROWS)]), params


async def transfers(
    tx: Tx, wanted: TransfersWanted, *, before: int | None = None, limit: int = 50
) -> list[TransferRow]:
    """Return transfers, the newest first."""
    statement, params = _asked(wanted, before)
    return await tx.all(TransferRow, statement, {**params, "limit": limit})


async def transfer(tx: Tx, number: int) -> TransferHead | None:
    """Return one transfer."""
    return await tx.maybe(TransferHead, TRANSFER, {"number": number})


async def transfer_lines(tx: Tx, transfer_id: UUID) -> list[TransferLineRow]:
    """Return the lines of a transfer."""
    return await tx.all(TransferLineRow, TRANSFER_LINES, {"id": transfer_id})


async def shipments(tx: Tx, transfer_id: UUID) -> list[ShipmentRow]:
    """Return what left of a transfer, the first first, with the lines of each."""
    rows = await tx.tuples(SHIPMENTS, {"id": transfer_id})
    return [ShipmentRow(*(*row[:-1], msgspec.convert(row[-1], list[ShipmentLine]))) for row in rows]


async def moves(tx: Tx, transfer_id: UUID) -> list[DayMove]:
    """Return every move of the day on which a transfer is expected, the first one first."""
    return await tx.all(DayMove, MOVES, {"id": transfer_id})


async def discrepancies(tx: Tx, transfer_id: UUID) -> list[DiscrepancyRow]:
    """Return what did not arrive as it left, decided or not."""
    return await tx.all(DiscrepancyRow, DISCREPANCIES, {"id": transfer_id})
