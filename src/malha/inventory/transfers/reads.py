"""Transfers, for screens."""

from collections.abc import Sequence
from datetime import date, datetime

import msgspec

from malha.inventory.transfers.model import TransferState
from malha.platform.db import Tx
from malha.platform.ids import UUID

# Newest first by the unique index on number. A scope sees what comes and what goes.
TRANSFERS = """
SELECT t.number, t.state, o.code AS origin, o.name AS origin_name, d.code AS destination, d.name AS destination_name,
       coalesce(o.site_id, o.id) = coalesce(d.site_id, d.id) AS changes_owner, t.needs_document, t.document, t.eta,
       t.eta_usual, t.requested_at, t.shipped_at, l.lines, l.asked, l.shipped, l.arrived, l.transit,
       (SELECT coalesce(sum(quantity), 0)::int FROM transfer_discrepancy x
                   WHERE x.transfer_id = t.id AND x.decision IS NULL) AS undecided
FROM transfer t
JOIN location o ON o.id = t.origin_id JOIN location d ON d.id = t.destination_id
CROSS JOIN LATERAL (
    SELECT count(*)::int AS lines, coalesce(sum(asked), 0)::int AS asked, coalesce(sum(shipped), 0)::int AS shipped,
           coalesce(sum(arrived), 0)::int AS arrived, coalesce(sum(transit), 0)::int AS transit
    FROM transfer_line WHERE transfer_id = t.id
) l
WHERE (%(before)s::bigint IS NULL OR t.number < %(before)s::bigint)
  AND (%(states)s::text[] IS NULL OR t.state = ANY (%(states)s::text[]))
  AND (%(scope)s::int[] IS NULL OR t.origin_id = ANY (%(scope)s::int[]) OR t.destination_id = ANY (%(scope)s::int[]))
ORDER BY t.number DESC
LIMIT %(limit)s::int
"""
TRANSFER = """
SELECT t.id, t.number, t.state, t.origin_id, o.code AS origin, o.name AS origin_name, t.destination_id,
       d.code AS destination, d.name AS destination_name,
       coalesce(o.site_id, o.id) = coalesce(d.site_id, d.id) AS changes_owner, t.needs_document, t.document, t.eta,
       t.eta_usual, t.carrier, t.tracking_code, t.note, t.seq, t.requested_at, t.requested_by, t.approved_by,
       t.shipped_at, t.shipped_by, t.closed_at
FROM transfer t JOIN location o ON o.id = t.origin_id JOIN location d ON d.id = t.destination_id
WHERE t.number = %(number)s::bigint
"""
TRANSFER_LINES = """
SELECT l.line, l.sku_id, v.sku, v.name, v.gtin, l.asked, l.approved, l.shipped, l.arrived, l.settled, l.transit
FROM transfer_line l JOIN variant v ON v.id = l.sku_id
WHERE l.transfer_id = %(id)s::uuid ORDER BY l.line
"""
DISCREPANCIES = """
SELECT d.id, d.line, v.sku, v.name, d.kind, d.quantity, d.found_at, d.found_by, d.decision, d.reference, d.note,
       d.decided_at, d.decided_by
FROM transfer_discrepancy d
JOIN transfer_line l ON l.transfer_id = d.transfer_id AND l.line = d.line JOIN variant v ON v.id = l.sku_id
WHERE d.transfer_id = %(id)s::uuid ORDER BY d.found_at, d.line, d.kind
"""


class TransferRow(msgspec.Struct, frozen=True):
    """A transfer in a list."""

    number: int
    state: TransferState
    origin: str
    origin_name: str
    destination: str
    destination_name: str
    changes_owner: bool  # both ends at one site: nothing travels
    needs_document: bool
    document: str | None
    eta: date | None
    eta_usual: bool  # nobody stated the day: it is the one the way usually takes
    requested_at: datetime
    shipped_at: datetime | None
    lines: int
    asked: int
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
    destination_id: int
    destination: str
    destination_name: str
    changes_owner: bool
    needs_document: bool
    document: str | None
    eta: date | None
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


async def transfers(
    tx: Tx,
    *,
    states: Sequence[TransferState] | None = None,
    scope: Sequence[int] | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[TransferRow]:
    """Return transfers, the newest first."""
    params = {
        "states": None if states is None else [str(state) for state in states],
        "scope": None if scope is None else list(scope),
        "before": before,
        "limit": limit,
    }
    return await tx.all(TransferRow, TRANSFERS, params)


async def transfer(tx: Tx, number: int) -> TransferHead | None:
    """Return one transfer."""
    return await tx.maybe(TransferHead, TRANSFER, {"number": number})


async def transfer_lines(tx: Tx, transfer_id: UUID) -> list[TransferLineRow]:
    """Return the lines of a transfer."""
    return await tx.all(TransferLineRow, TRANSFER_LINES, {"id": transfer_id})


async def discrepancies(tx: Tx, transfer_id: UUID) -> list[DiscrepancyRow]:
    """Return what did not arrive as it left, decided or not."""
    return await tx.all(DiscrepancyRow, DISCREPANCIES, {"id": transfer_id})
