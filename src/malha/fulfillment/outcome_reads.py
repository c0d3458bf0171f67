"""What became of promises, as people look at it: kept and broken, by week and by what they have in common."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, LiteralString

import msgspec
from msgspec import Meta

from malha.ordering.promised_days import ends, fetched_in
from malha.platform.db import Tx
from malha.platform.ids import UUID

ENDS_AT: LiteralString = ends("p.promised_at")

# Promises whose day is over, within a stretch of promised days: one pass by the index on the promised day. What is
# promised for later is left out, kept or not: only its quick ones would be there.
_DUE: LiteralString = f"""
WHERE p.promised_at >= %(since)s::timestamptz AND p.promised_at < least(%(until)s::timestamptz, now())
  AND {ENDS_AT} < now()
  AND (%(scope)s::int[] IS NULL OR p.location_id = ANY (%(scope)s::int[]))
  AND (%(location)s::int IS NULL OR p.location_id = %(location)s::int)
  AND (%(service)s::int IS NULL OR p.service_id = %(service)s::int)
  AND (%(state)s::text IS NULL OR p.to_state = %(state)s::text)"""

# Every grouping at once.
KEPT: LiteralString = f"""
SELECT grouping(week, service_id, location_id, to_state) AS of, week, service_id, location_id, to_state,
       count(*)::int AS due, count(*) FILTER (WHERE kept)::int AS kept,
       count(*) FILTER (WHERE done_at IS NULL)::int AS under_way,
       count(*) FILTER (WHERE present_at IS NOT NULL)::int AS promised_anew,
       avg(extract(epoch FROM promised_at - placed_at) / 86400)::float8 AS days_promised,
       avg(extract(epoch FROM done_at - placed_at) / 86400)::float8 AS days_taken
FROM (
    SELECT date_trunc('week', promised_at AT TIME ZONE %(zone)s::text)::date AS week, service_id, location_id,
           to_state, done_at <= {ENDS_AT} AS kept, done_at, present_at, promised_at, placed_at
    FROM promise_outcome p{_DUE}
) due
GROUP BY GROUPING SETS ((), (week), (service_id), (location_id), (to_state))
"""

# The same promises one by one, those that were not kept, the latest promised day first, from behind a place.
BROKEN: LiteralString = f"""
SELECT p.work_id, o.number, c.name AS channel, l.name AS location, s.name AS service, p.method, p.to_state,
       {fetched_in("o")} AS pickup_zone,
       p.placed_at, p.promised_at, p.present_at, p.due_at, p.shipped_at, p.done_at
FROM promise_outcome p
JOIN sales_order o ON o.id = p.order_id
LEFT JOIN channel c ON c.id = p.channel_id
LEFT JOIN location l ON l.id = p.location_id
LEFT JOIN service s ON s.id = p.service_id{_DUE}
  AND (p.done_at <= {ENDS_AT}) IS NOT TRUE
  AND (%(before)s::timestamptz IS NULL OR (p.promised_at, p.work_id) < (%(before)s::timestamptz, %(behind)s::uuid))
ORDER BY p.promised_at DESC, p.work_id DESC LIMIT %(most)s::int
"""

# Those that were made by learned days.
KEPT_LEARNED: LiteralString = f"""
SELECT count(*)::int AS due, count(*) FILTER (WHERE done_at <= {ENDS_AT})::int AS kept, avg(said)::float8 AS said
FROM promise_outcome p{_DUE} AND p.said IS NOT NULL
"""

# Deliveries that may be learned from, counted up to as many as are needed: by the index on the promised day.
KNOWN = """
SELECT count(*)::int FROM (
    SELECT FROM promise_outcome
    WHERE promised_at > now() - make_interval(days => %(back)s::int) AND method = 'ship' AND service_id IS NOT NULL
      AND from_state IS NOT NULL AND to_state IS NOT NULL AND delivered_at IS NOT NULL
    LIMIT %(most)s::int
) known
"""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which promises: promised first for an instant from `since` to before `until`; None is all of the others."""

    since: datetime
    until: datetime
    zone: str
    scope: tuple[int, ...] | None = None
    location_id: int | None = None
    service_id: int | None = None
    state: str | None = None


class Sum(msgspec.Struct, frozen=True, kw_only=True):
    """Promises together. `due`: their day is over. `under_way`: of the broken ones, what has not come yet."""

    due: int
    kept: int
    under_way: int
    promised_anew: int
    days_promised: float | None  # mean days from the purchase
    days_taken: float | None  # of those that came, in time or late

    @property
    def broken(self) -> int:
        """Return how many were not kept."""
        return self.due - self.kept

    @property
    def share(self) -> float | None:
        """Return the share that was kept; None of no promises."""
        return self.kept / self.due if self.due else None


class KeptLearned(msgspec.Struct, frozen=True):
    """Promises made by learned days whose day is over. `said`: the mean chance to be kept they were made with."""

    due: int
    kept: int
    said: float | None

    @property
    def share(self) -> float | None:
        """Return the share that was kept; None of no promises."""
        return self.kept / self.due if self.due else None


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """Sums of promises. The key None: without a service, location or state."""

    total: Sum
    weeks: list[tuple[date, Sum]]  # by the Monday, the oldest first
    services: list[tuple[int | None, Sum]]  # most promises first, as are the others
    locations: list[tuple[int | None, Sum]]
    states: list[tuple[str | None, Sum]]


class _Row(msgspec.Struct, frozen=True, kw_only=True):
    of: int
    week: date | None
    service_id: int | None
    location_id: int | None
    to_state: str | None
    due: int
    kept: int
    under_way: int
    promised_anew: int
    days_promised: float | None
    days_taken: float | None


class Broken(msgspec.Struct, frozen=True, kw_only=True):
    """A promise that was not kept. `done_at`: when it came, or was ready to be fetched; None: it has not."""

    work_id: UUID
    number: Annotated[int, Meta(description="Of the order.")]
    channel: str | None
    location: str | None
    service: str | None
    method: str
    to_state: str | None
    pickup_zone: Annotated[str | None, Meta(description="The time zone it is fetched in; none if it is sent.")]
    placed_at: datetime
    promised_at: datetime
    present_at: datetime | None
    due_at: datetime | None
    shipped_at: datetime | None
    done_at: datetime | None


def _params(wanted: Wanted) -> dict[str, object]:
    return {
        "since": wanted.since,
        "until": wanted.until,
        "zone": wanted.zone,
        "scope": None if wanted.scope is None else list(wanted.scope),
        "location": wanted.location_id,
        "service": wanted.service_id,
        "state": wanted.state,
    }


def _sum(row: _Row) -> Sum:
    return Sum(**{name: getattr(row, name) for name in Sum.__struct_fields__})


async def kept(tx: Tx, wanted: Wanted) -> Kept:
    """Return how many promises whose day is over were kept."""
    rows = sorted(await tx.all(_Row, KEPT, _params(wanted)), key=lambda row: -row.due)
    by: dict[int, list[_Row]] = {0b1111: [], 0b0111: [], 0b1011: [], 0b1101: [], 0b1110: []}
    for row in rows:
        by[row.of].append(row)
    weeks = [(row.week, _sum(row)) for row in by[0b0111] if row.week is not None]
    return Kept(
        total=_sum(by[0b1111][0]),
        weeks=sorted(weeks, key=lambda week: week[0]),
        services=[(row.service_id, _sum(row)) for row in by[0b1011]],
        locations=[(row.location_id, _sum(row)) for row in by[0b1101]],
        states=[(row.to_state, _sum(row)) for row in by[0b1110]],
    )


async def kept_learned(tx: Tx, wanted: Wanted) -> KeptLearned:
    """Return how many promises by learned days were kept, of those whose day is over."""
    [found] = await tx.all(KeptLearned, KEPT_LEARNED, _params(wanted))
    return found


async def known(tx: Tx, *, back: int, most: int) -> int:
    """Return how many deliveries of the last days may be learned from; `most` of them are counted."""
    return int(await tx.value(KNOWN, {"back": back, "most": most}))


async def broken(
    tx: Tx, wanted: Wanted, *, before: tuple[datetime, UUID] | None = None, limit: int
) -> Sequence[Broken]:
    """Return promises that were not kept, the latest promised day first, from behind `before`."""
    at, behind = before or (None, None)
    return await tx.all(Broken, BROKEN, {**_params(wanted), "before": at, "behind": behind, "most": limit})
