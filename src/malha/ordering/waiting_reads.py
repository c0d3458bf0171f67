"""Who waits for goods that were sold ahead: one row for each claim on supply, in the order of the queue."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, LiteralString

import msgspec
from msgspec import Meta

from malha.ordering.model import OrderStatus
from malha.ordering.promised_days import fetched_in
from malha.platform.db import Tx
from malha.platform.ids import UUID
from malha.platform.text import literal

# From the claims, which are few beside the orders: by the index on the queue where a SKU is named. A keyset on the
# place in the queue.
WAITING: LiteralString = f"""
SELECT c.id, c.order_id, o.number AS order_number, o.status, h.name AS channel, c.line, c.sku_id, v.sku,
       v.name, c.quantity, c.state, c.since, s.kind, coalesce(i.number, t.number) AS source_number,
       coalesce(i.supplier, f.code) AS supplier, l.code AS location, l.name AS location_name, s.eta,
       coalesce(p.promised_at, o.promised_at) AS promised_at,
       CASE WHEN o.method = 'ship' THEN o.ship_state END AS to_state, {fetched_in("o")} AS pickup_zone
FROM supply_claim c
JOIN sales_order o ON o.id = c.order_id
JOIN channel h ON h.id = o.channel_id
JOIN variant v ON v.id = c.sku_id
JOIN location l ON l.id = c.location_id
LEFT JOIN supply s ON s.id = c.supply_id
LEFT JOIN inbound_order i ON i.id = s.source_id
LEFT JOIN transfer_shipment sh ON sh.id = s.source_id LEFT JOIN transfer t ON t.id = sh.transfer_id
LEFT JOIN location f ON f.id = t.origin_id
LEFT JOIN order_line_promise p ON p.order_id = c.order_id AND p.line = c.line
WHERE (c.since, c.id) > (coalesce(%(since)s::timestamptz, '-infinity'), coalesce(%(after)s::bigint, 0))
  AND (%(state)s::text IS NULL OR c.state = %(state)s::text)
  AND (%(sku_id)s::int IS NULL OR c.sku_id = %(sku_id)s::int)
  AND (%(source_id)s::uuid IS NULL OR s.source_id = %(source_id)s::uuid)
  AND (NOT %(late)s::boolean OR s.eta < %(today)s::date)
  AND (%(scope)s::int[] IS NULL OR c.location_id = ANY (%(scope)s::int[]))
  AND (%(text)s::text IS NULL OR v.sku ILIKE %(text)s::text OR v.name ILIKE %(text)s::text
       OR o.number::text = trim(both '%%' FROM %(text)s::text))
ORDER BY c.since, c.id
LIMIT %(limit)s::int
"""
COUNTS = """
SELECT count(*)::int, count(*) FILTER (WHERE c.state = 'lost')::int,
       count(*) FILTER (WHERE s.eta < %(today)s::date)::int
FROM supply_claim c LEFT JOIN supply s ON s.id = c.supply_id
WHERE (%(scope)s::int[] IS NULL OR c.location_id = ANY (%(scope)s::int[]))
"""


class WaitingRow(msgspec.Struct, frozen=True):
    """Units of an order line that wait, and for what; without a day their supply is lost, or they have arrived."""

    id: int
    order_id: UUID
    order_number: int
    status: OrderStatus
    channel: str
    line: int
    sku_id: int
    sku: str
    name: str
    quantity: int
    state: str  # inventory.ahead.model.ClaimState
    since: datetime
    kind: str | None
    source_number: int | None
    supplier: str | None
    location: str
    location_name: str
    eta: date | None
    promised_at: datetime | None
    to_state: str | None
    pickup_zone: Annotated[str | None, Meta(description="The time zone it is fetched in; none if it is sent.")]


class WaitingWanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which claims are wanted; `late`: whose supply should have come before `today`."""

    today: date
    state: str | None = None
    late: bool = False
    sku_id: int | None = None
    source_id: UUID | None = None
    text: str = ""
    scope: tuple[int, ...] | None = None


async def waiting(
    tx: Tx, wanted: WaitingWanted, *, after: tuple[datetime, int] | None = None, limit: int = 50
) -> list[WaitingRow]:
    """Return who waits, the first in the queue first."""
    params = {
        "today": wanted.today,
        "state": wanted.state,
        "late": wanted.late,
        "sku_id": wanted.sku_id,
        "source_id": wanted.source_id,
        "text": f"%{literal(wanted.text)}%" if wanted.text else None,
        "scope": None if wanted.scope is None else list(wanted.scope),
        "since": after[0] if after else None,
        "after": after[1] if after else None,
        "limit": limit,
    }
    return await tx.all(WaitingRow, WAITING, params)


async def counts(tx: Tx, today: date, scope: Sequence[int] | None) -> tuple[int, int, int]:
    """Return how many claims there are, how many have lost their supply, and how many wait for supply that is late."""
    params = {"today": today, "scope": None if scope is None else list(scope)}
    ((everything, lost, late),) = await tx.tuples(COUNTS, params)
    return everything, lost, late
