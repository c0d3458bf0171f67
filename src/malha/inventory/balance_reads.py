"""What screens ask about the stock of one SKU or one balance: deficits, holds, days, the ledger with its sum."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import LiteralString

import msgspec

from malha.inventory.buckets.model import Bucket
from malha.inventory.reads import LedgerRow
from malha.platform.db import Tx

MOST_HOLDS = 50
SETTLED = timedelta(minutes=10)  # no transaction that writes movements lasts as long

# The partial unique index on open deficits, which are few.
DEFICITS = """
SELECT d.sku_id, d.location_id, d.quantity, d.reason, d.found_at,
       least(d.quantity, greatest(-b.on_hand, 0)) AS below_zero
FROM stock_deficit d JOIN balance b ON b.sku_id = d.sku_id AND b.location_id = d.location_id
WHERE d.resolved_at IS NULL AND d.sku_id = ANY(%(skus)s::int[]) AND d.location_id = ANY(%(locations)s::int[])
ORDER BY d.found_at DESC
"""

# From the partial index on active holds to their lines by primary key: a SKU's old holds are never read.
HOLDS = """
SELECT h.reference, l.location_id, l.quantity, h.created_at, h.expires_at
FROM stock_hold h JOIN stock_hold_line l ON l.hold_id = h.id
WHERE h.state = 'active' AND h.expires_at > clock_timestamp()
  AND l.sku_id = %(sku)s::int AND l.location_id = ANY(%(locations)s::int[])
ORDER BY h.expires_at, h.reference
LIMIT %(most)s::int
"""

# Index movement_balance on the partitions of the last days only.
CHANGES_BY_DAY = """
SELECT location_id, (recorded_at AT TIME ZONE %(zone)s::text)::date AS day, sum(d_on_hand)::int AS change
FROM movement
WHERE sku_id = %(sku)s::int AND location_id = ANY(%(locations)s::int[]) AND recorded_at >= %(since)s::timestamptz
  AND d_on_hand <> 0 AND bucket = 'sellable'
GROUP BY 1, 2
"""

_WANTED: LiteralString = """(%(reason)s::text IS NULL OR m.reason = %(reason)s::text)
          AND m.recorded_at >= coalesce(%(since)s::timestamptz, '-infinity')
          AND m.recorded_at < coalesce(%(until)s::timestamptz, 'infinity')
          AND (m.recorded_at, m.id) < (coalesce(%(before)s::timestamptz, 'infinity'),
                                   coalesce(%(before_id)s::bigint, 9223372036854775807))
"""
# Where a SKU has a balance, or units in the bucket that is asked for, the newest rows of each by index
# movement_balance, and of those the newest: how far back a page goes at each location. Then, by the same index and
# once for each, all that changed there since: the stock after a movement is the stock now without everything newer.
# So each row has its balance whatever filters leave out. Where the stock before a movement is known already
# (`carried`), it is that without what lies between.
LEDGER = (
    """
WITH standing AS MATERIALIZED (
    SELECT location_id, on_hand FROM balance
    WHERE %(bucket)s::text = 'sellable' AND sku_id = %(sku)s::int AND location_id = ANY (%(locations)s::int[])
    UNION ALL
    SELECT location_id, quantity FROM bucket_balance
    WHERE bucket = %(bucket)s::text AND sku_id = %(sku)s::int AND location_id = ANY (%(locations)s::int[])
), shown AS MATERIALIZED (
    SELECT b.location_id, m.recorded_at
    FROM standing b
    CROSS JOIN LATERAL (
        SELECT m.id, m.recorded_at FROM movement m
        WHERE m.sku_id = %(sku)s::int AND m.location_id = b.location_id AND m.bucket = %(bucket)s::text
          AND m.recorded_at <= coalesce(%(before)s::timestamptz, 'infinity')
          AND """
    + _WANTED
    + """        ORDER BY m.recorded_at DESC, m.id DESC
        LIMIT %(limit)s::int
    ) m
    ORDER BY m.recorded_at DESC, m.id DESC
    LIMIT %(limit)s::int
), back AS MATERIALIZED (
    SELECT p.location_id, p.since, c.at, c.id, coalesce(c.on_hand, b.on_hand) AS on_hand
    FROM (SELECT location_id, min(recorded_at) AS since FROM shown GROUP BY location_id) p
    JOIN standing b ON b.location_id = p.location_id
    JOIN location n ON n.id = p.location_id
    LEFT JOIN unnest(%(carried)s::text[], %(carried_at)s::timestamptz[], %(carried_id)s::bigint[],
                     %(carried_on_hand)s::int[]) AS c(code, at, id, on_hand) ON c.code = n.code
), lines AS MATERIALIZED (
    SELECT p.location_id, m.*, p.on_hand - m.change AS on_hand
    FROM back p
    CROSS JOIN LATERAL (
        SELECT id, recorded_at, occurred_at, d_on_hand, d_allocated, d_held, reason, ref_kind, ref_id, ref_text, actor,
               sum(d_on_hand) OVER (ORDER BY recorded_at DESC, id DESC ROWS UNBOUNDED PRECEDING) - d_on_hand AS change
        FROM movement
        WHERE sku_id = %(sku)s::int AND location_id = p.location_id AND bucket = %(bucket)s::text
          AND recorded_at >= p.since
          AND recorded_at <= coalesce(p.at, 'infinity')
          AND (recorded_at, id) < (coalesce(p.at, 'infinity'), coalesce(p.id, 9223372036854775807))
    ) m
    WHERE """
    + _WANTED
    + """    ORDER BY m.recorded_at DESC, m.id DESC
    LIMIT %(limit)s::int
)
SELECT s.id, s.recorded_at, s.occurred_at, s.d_on_hand, s.d_allocated, s.d_held, s.reason, s.ref_kind, s.ref_id,
       s.ref_text, s.actor, s.on_hand::int AS on_hand, n.code AS location, n.name AS location_name, e.code AS owner,
       e.name AS owner_name
FROM lines s
JOIN location n ON n.id = s.location_id
JOIN establishment e ON e.id = coalesce(n.owner_id, n.establishment_id)
ORDER BY s.recorded_at DESC, s.id DESC
"""
)
# The same of goods that are not for sale, of which there are few, by index movement_aside.
LEDGER_ASIDE: LiteralString = LEDGER.replace(
    "bucket = %(bucket)s::text", "bucket = %(bucket)s::text AND bucket <> 'sellable'"
)


class DeficitRow(msgspec.Struct, frozen=True):
    """Units promised that are not there."""

    sku_id: int
    location_id: int
    quantity: int
    reason: str
    found_at: datetime
    below_zero: int  # of them: promised to nobody, stock is recorded below zero


class HoldRow(msgspec.Struct, frozen=True):
    """Units held for a cart or a payment."""

    reference: str
    location_id: int
    quantity: int
    created_at: datetime
    expires_at: datetime


class PlacedLine(LedgerRow, frozen=True):
    """One movement of a SKU: where it was, whose goods that place keeps (by establishment), what was on hand there."""

    on_hand: int
    location: str
    location_name: str
    owner: str
    owner_name: str


class LedgerAsked(msgspec.Struct, frozen=True, kw_only=True):
    """Which movements of one SKU are wanted: those of one bucket; `until` is exclusive."""

    sku_id: int
    location_ids: tuple[int, ...]
    bucket: Bucket = Bucket.SELLABLE
    reason: str | None = None
    since: datetime | None = None
    until: datetime | None = None


async def deficits(tx: Tx, sku_ids: Sequence[int], location_ids: Sequence[int]) -> list[DeficitRow]:
    """Return the open deficits of SKUs at locations, the newest first."""
    return await tx.all(DeficitRow, DEFICITS, {"skus": list(sku_ids), "locations": list(location_ids)})


async def holds(tx: Tx, sku_id: int, location_ids: Sequence[int]) -> list[HoldRow]:
    """Return the holds on a SKU that count, the first to end first, at most `MOST_HOLDS`."""
    return await tx.all(HoldRow, HOLDS, {"sku": sku_id, "locations": list(location_ids), "most": MOST_HOLDS})


async def changes_by_day(
    tx: Tx, sku_id: int, location_ids: Sequence[int], since: datetime, zone: str
) -> dict[tuple[int, date], int]:
    """Return by how many units the physical stock changed, by location and day of `zone`; quiet days are absent."""
    params = {"sku": sku_id, "locations": list(location_ids), "since": since, "zone": zone}
    return {(location, day): change for location, day, change in await tx.tuples(CHANGES_BY_DAY, params)}


class Carried(msgspec.Struct, frozen=True):
    """What was on hand at a location before one movement: where a later page of the same ledger begins to count."""

    at: datetime
    id: int
    on_hand: int


async def ledger(
    tx: Tx,
    asked: LedgerAsked,
    *,
    before: tuple[datetime, int] | None = None,
    limit: int = 50,
    carried: Mapping[str, Carried] | None = None,
) -> list[PlacedLine]:
    """Return movements of a SKU at some locations, the newest first, each with the balance of its location after it.

    From before a (time, id) position. `carried` is, by the code of a location, what was on hand before a movement at
    that position or newer: from there on movements are read, instead of from now.
    """
    at, id_ = before or (None, None)
    known = carried or {}
    return await tx.all(
        PlacedLine,
        LEDGER if asked.bucket is Bucket.SELLABLE else LEDGER_ASIDE,
        {
            "sku": asked.sku_id,
            "locations": list(asked.location_ids),
            "bucket": asked.bucket.value,
            "reason": asked.reason,
            "since": asked.since,
            "until": asked.until,
            "before": at,
            "before_id": id_,
            "limit": limit,
            "carried": list(known),
            "carried_at": [one.at for one in known.values()],
            "carried_id": [one.id for one in known.values()],
            "carried_on_hand": [one.on_hand for one in known.values()],
        },
    )


class LedgerWalk:
    """A ledger from its newest movement to its oldest, page by page, each in whatever transaction it is asked for in.

    All together read each movement about once, however many pages there are: balances are carried from page to page. A
    movement is recorded as of the beginning of its transaction, so that one may still turn up between others that were
    read; what is as young as that is not counted from.
    """

    def __init__(self, asked: LedgerAsked, size: int) -> None:
        self._asked = asked
        self._size = size
        self._before: tuple[datetime, int] | None = None
        self._carried: dict[str, Carried] = {}
        self.over = False

    async def page(self, tx: Tx) -> list[PlacedLine]:
        """Return the next movements; with fewer than a page holds the walk is over."""
        rows = await ledger(tx, self._asked, before=self._before, limit=self._size, carried=self._carried)
        self.over = len(rows) < self._size
        if rows:
            self._before = (rows[-1].recorded_at, rows[-1].id)
        settled = await tx.now() - SETTLED
        for row in rows:
            if row.recorded_at < settled:
                self._carried[row.location] = Carried(row.recorded_at, row.id, row.on_hand - row.d_on_hand)
        return rows
