"""Counts and suspicions, for screens and for whoever lets goods leave."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import msgspec

from malha.inventory.counts.model import CountKind, Habits, LineState, Source, TaskState
from malha.inventory.supply.searching import number_in
from malha.platform.db import Tx
from malha.platform.ids import UUID
from malha.platform.text import literal

# The partial unique index on frozen locations, which are few or none. All of a site stands still together.
FROZEN = """
SELECT t.location_id, p.code AS location, t.number FROM count_task t JOIN location p ON p.id = t.location_id
WHERE t.frozen AND coalesce(p.site_id, p.id) IN
    (SELECT coalesce(site_id, id) FROM location WHERE id = ANY (%(locations)s::int[]))
"""
FROZEN_PLACES = """
SELECT x.id FROM location x
WHERE coalesce(x.site_id, x.id) IN
    (SELECT coalesce(p.site_id, p.id) FROM count_task t JOIN location p ON p.id = t.location_id WHERE t.frozen)
"""
# The partial index on frozen zones, which are few or none, and the key of their lines.
FROZEN_GOODS = """
SELECT l.sku_id, array_agg(p.id) FROM count_task t JOIN count_line l ON l.task_id = t.id
JOIN location p ON p.id = t.location_id OR (t.whole_site AND p.site_id = t.location_id)
WHERE t.zone_frozen GROUP BY l.sku_id
"""
FROZEN_AMONG = """
SELECT v.sku, p.code AS location, t.zone, t.number
FROM unnest(%(skus)s::int[], %(locations)s::int[]) AS w(sku_id, location_id)
JOIN location p ON p.id = w.location_id
JOIN count_task t ON t.zone_frozen AND (t.location_id = p.id OR (t.whole_site AND t.location_id = p.site_id))
JOIN count_line l ON l.task_id = t.id AND l.sku_id = w.sku_id
JOIN variant v ON v.id = w.sku_id
ORDER BY t.number, v.sku LIMIT 1
"""
# What was last counted in a zone, or in a place whose name begins with its; the newest line of a SKU says where it is.
# By the indexes on a SKU's lines, from what the location has.
SKUS_OF_ZONE = """
SELECT DISTINCT b.sku_id FROM balance b
CROSS JOIN LATERAL (
    SELECT t.zone, l.bin FROM count_line l JOIN count_task t ON t.id = l.task_id
    WHERE l.sku_id = b.sku_id AND t.location_id = ANY (%(places)s::int[]) AND (l.bin <> '' OR t.zone <> '')
      AND l.counted IS NOT NULL
    ORDER BY t.number DESC LIMIT 1
) last
WHERE b.location_id = ANY (%(places)s::int[])
  AND (lower(last.zone) = lower(%(zone)s::text) OR starts_with(lower(last.bin), lower(%(zone)s::text)))
ORDER BY b.sku_id
"""
# Newest first by the unique index on number.
TASKS = """
SELECT t.number, p.code AS location, p.name AS location_name, t.kind, t.source, t.zone, t.note, t.state, t.blind,
       t.frozen, t.zone_frozen, t.created_at, t.created_by, t.closed_at, l.lines, l.pending, l.recount, l.review,
       l.done, l.variance
FROM count_task t
JOIN location p ON p.id = t.location_id
CROSS JOIN LATERAL (
    SELECT count(*)::int AS lines, count(*) FILTER (WHERE state = 'pending')::int AS pending,
           count(*) FILTER (WHERE state = 'recount')::int AS recount,
           count(*) FILTER (WHERE state = 'review')::int AS review,
           count(*) FILTER (WHERE state IN ('accepted', 'applied'))::int AS done,
           coalesce(sum(counted - expected), 0)::int AS variance
    FROM count_line WHERE task_id = t.id
) l
WHERE (%(before)s::bigint IS NULL OR t.number < %(before)s::bigint)
  AND (NOT %(open)s::boolean OR t.state IN ('open', 'applying'))
  AND (%(scope)s::int[] IS NULL OR t.location_id = ANY (%(scope)s::int[]))
  AND (%(location)s::int IS NULL OR t.location_id = %(location)s::int)
  AND (%(owned)s::int[] IS NULL OR t.location_id = ANY (%(owned)s::int[]))
  AND (%(since)s::timestamptz IS NULL OR t.created_at >= %(since)s::timestamptz)
  AND (%(until)s::timestamptz IS NULL OR t.created_at < %(until)s::timestamptz)
  AND (NOT %(searched)s::boolean OR t.number = %(asked)s::bigint OR t.zone ILIKE %(text)s::text OR t.id IN (
          SELECT l.task_id FROM variant v JOIN count_line l ON l.sku_id = v.id
          WHERE v.sku = ANY (%(codes)s::text[]) OR v.gtin = ANY (%(codes)s::text[])))
ORDER BY t.number DESC
LIMIT %(limit)s::int
"""
TASK = """
SELECT t.id, t.number, t.location_id, p.code AS location, p.name AS location_name, t.kind, t.source, t.zone, t.note,
       t.state, t.blind, t.frozen, t.zone_frozen, t.limit_units, t.limit_value, t.created_at, t.created_by, t.closed_at,
       t.closed_by,
       CASE WHEN t.whole_site THEN ARRAY(SELECT m.id FROM location m
                                         WHERE coalesce(m.site_id, m.id) = t.location_id ORDER BY m.id)
            ELSE ARRAY[t.location_id] END AS places
FROM count_task t JOIN location p ON p.id = t.location_id
WHERE t.number = %(number)s::bigint
"""
_LINES = """\
SELECT l.sku_id, v.sku, v.name, v.gtin, v.price, l.bin, l.state, l.attempts, l.counted, l.expected,
       l.counted - l.expected AS variance, l.expected - e.expected AS corrected, l.superseded, l.as_of, l.counted_by,
       l.approved_by, l.tally, l.tallied_by, l.tallied_at,
       ARRAY(SELECT w.actor FROM (SELECT actor, attempt, began_at FROM count_hand
                                  WHERE task_id = l.task_id AND sku_id = l.sku_id
                                  UNION ALL SELECT actor, attempt, recorded_at FROM count_entry
                                  WHERE task_id = l.task_id AND sku_id = l.sku_id) w
             GROUP BY w.actor ORDER BY min(w.attempt), min(w.began_at), w.actor) AS counters
FROM count_line l JOIN variant v ON v.id = l.sku_id
LEFT JOIN count_entry e ON e.task_id = l.task_id AND e.sku_id = l.sku_id AND e.attempt = l.attempts
"""
# Primary key. What is beyond the limits first, then what is to do.
LINES = f"""
{_LINES}WHERE l.task_id = %(task_id)s::uuid AND (%(states)s::text[] IS NULL OR l.state = ANY (%(states)s::text[]))
  AND (%(after)s::text IS NULL OR v.sku > %(after)s::text)
  AND (%(text)s::text IS NULL OR v.sku ILIKE %(text)s::text OR v.name ILIKE %(text)s::text
       OR v.gtin ILIKE %(text)s::text OR l.bin ILIKE %(text)s::text)
ORDER BY v.sku
LIMIT %(limit)s::int
"""
PROGRESS = """
SELECT state, count(*)::int AS lines, coalesce(sum(counted - expected), 0)::int AS variance,
       coalesce(sum(abs(counted - expected) * v.price), 0)::bigint AS value
FROM count_line l JOIN variant v ON v.id = l.sku_id
WHERE task_id = %(task_id)s::uuid GROUP BY state
"""
TO_APPROVE = """
SELECT count(*)::int FROM count_line l JOIN count_task t ON t.id = l.task_id
WHERE t.number = %(number)s::bigint AND l.state = 'review'
"""
# Of all that waits. The primary key, as `LINES`.
WAITING_MARK = """
SELECT md5(coalesce(string_agg(sku_id || ':' || attempts, ',' ORDER BY sku_id), ''))
FROM count_line WHERE task_id = %(task_id)s::uuid AND state = 'review'
"""
# Whether a person had a hand in the last count of a line `l`.
OWN = """\
(l.counted_by = %(actor)s::text
       OR EXISTS (SELECT FROM count_hand h WHERE h.task_id = l.task_id AND h.sku_id = l.sku_id
                    AND h.attempt = l.attempts AND h.actor = %(actor)s::text))"""
# What one person may still count: nobody has begun with it, and a second count is another's.
TO_COUNT = f"""
{_LINES}WHERE l.task_id = %(task_id)s::uuid AND l.tally IS NULL
  AND (l.state = 'pending' OR (l.state = 'recount' AND NOT {OWN}))
ORDER BY v.sku
LIMIT %(limit)s::int
"""
LEFT = f"""
SELECT count(*) FILTER (WHERE w.free AND NOT w.own)::int AS mine, count(*) FILTER (WHERE w.own)::int AS others
FROM (SELECT l.tally IS NULL AS free, l.state = 'recount' AND {OWN} AS own
      FROM count_line l WHERE l.task_id = %(task_id)s::uuid AND l.state IN ('pending', 'recount')) w
"""
TALLIES = f"""
{_LINES}WHERE l.task_id = %(task_id)s::uuid AND l.tally IS NOT NULL
ORDER BY l.tallied_at DESC
"""
ENTRIES = """
SELECT e.sku_id, e.attempt, e.counted, e.set_aside, e.expected, e.as_of, e.actor FROM count_entry e
WHERE e.task_id = %(task_id)s::uuid AND e.sku_id = ANY (%(skus)s::int[]) ORDER BY e.sku_id, e.attempt
"""
# Units that left a location, by SKU, from the balances to their movements by index movement_balance.
LEFT_BY_SKU = """
SELECT b.sku_id, coalesce(sum(m.units), 0)::int AS units, max(m.counted_at) AS counted_at
FROM balance b
CROSS JOIN LATERAL (
    SELECT -sum(d_on_hand) FILTER (WHERE reason IN ('ship', 'hand_over', 'sale')) AS units,
           max(recorded_at) FILTER (WHERE reason = 'count') AS counted_at
    FROM movement
    WHERE sku_id = b.sku_id AND location_id = b.location_id AND bucket = 'sellable'
      AND recorded_at >= now() - make_interval(days => %(days)s::int)
) m
WHERE b.location_id = ANY (%(places)s::int[]) AND b.on_hand > 0
GROUP BY b.sku_id
"""
# Balances of one location with something on hand, each with its movements of the days looked back by index
# movement_balance. Silence begins with the last thing that proved stock to be there: a sale, a receipt, a count.
HABITS = """
SELECT b.sku_id, b.location_id, b.on_hand - b.allocated - b.held - b.safety - b.fenced AS free, b.on_hand,
       coalesce(m.short_picks, 0)::int AS short_picks, coalesce(m.sales, 0)::int AS sales,
       greatest(extract(epoch FROM m.last_proof - m.first_seen) / 86400, 0)::float8 AS observed,
       coalesce(extract(epoch FROM now() - m.last_proof) / 86400, 0)::float8 AS silence
FROM balance b
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE r.reason = 'short_pick' AND r.recorded_at > coalesce(r.stated_at, '-infinity'))
               AS short_picks,
           count(*) FILTER (WHERE r.reason IN ('ship', 'hand_over', 'sale')) AS sales,
           min(r.recorded_at) AS first_seen,
           greatest(max(r.recorded_at) FILTER (WHERE r.reason <> 'short_pick'), max(r.counted_at)) AS last_proof
    FROM (
        SELECT v.reason, v.recorded_at, c.counted_at,
               greatest(max(v.recorded_at) FILTER (WHERE v.reason IN ('count', 'receipt', 'found')) OVER (),
                        c.counted_at) AS stated_at
        FROM movement v
        CROSS JOIN (SELECT max(l.as_of) AS counted_at FROM count_line l JOIN count_task t ON t.id = l.task_id
                    WHERE l.sku_id = b.sku_id AND l.state = 'applied'
                      AND (t.location_id = b.location_id OR (t.whole_site AND t.location_id = (
                          SELECT p.site_id FROM location p WHERE p.id = b.location_id)))) c
        WHERE v.sku_id = b.sku_id AND v.location_id = b.location_id AND v.bucket = 'sellable' AND v.d_on_hand <> 0
          AND v.recorded_at >= now() - make_interval(days => %(days)s::int)
    ) r
) m
WHERE b.location_id = %(location_id)s::int AND b.on_hand > 0
  AND NOT EXISTS (SELECT FROM stock_suspicion s
                  WHERE s.sku_id = b.sku_id AND s.location_id = b.location_id AND s.lifted_at IS NULL)
"""
# The first of a site before the others, by the index on sites.
ON_ONE_SHELF = """
SELECT id FROM location
WHERE coalesce(site_id, id) = (SELECT coalesce(site_id, id) FROM location WHERE id = %(location_id)s::int)
ORDER BY site_id NULLS FIRST, id
"""
IS_SUSPECTED = """
SELECT EXISTS (SELECT FROM stock_suspicion
               WHERE sku_id = %(sku_id)s::int AND location_id = %(location_id)s::int AND lifted_at IS NULL)
"""
# The partial unique index on open suspicions, of which a location has a few hundred at most: they are read and put in
# order whole, however far the list goes on.
SUSPICIONS = """
SELECT s.sku_id, v.sku, v.name, s.location_id, p.code AS location, p.name AS location_name, s.kept_back, s.score, s.why,
       s.found_at
FROM stock_suspicion s JOIN variant v ON v.id = s.sku_id JOIN location p ON p.id = s.location_id
WHERE s.lifted_at IS NULL AND (%(scope)s::int[] IS NULL OR s.location_id = ANY (%(scope)s::int[]))
  AND (%(score)s::int IS NULL OR (-s.score, s.found_at, s.sku_id, s.location_id)
       > (-%(score)s::int, %(found_at)s::timestamptz, %(sku_id)s::int, %(location_id)s::int))
ORDER BY -s.score, s.found_at, s.sku_id, s.location_id
LIMIT %(limit)s::int
"""
SUSPECTED = """
SELECT count(*)::int FROM stock_suspicion
WHERE lifted_at IS NULL AND (%(scope)s::int[] IS NULL OR location_id = ANY (%(scope)s::int[]))
"""
SELLING_PLACES = "SELECT id FROM location WHERE status = 'active' AND kind <> 'pickup_point' ORDER BY id"


Frozen = Mapping[int, frozenset[int]]  # locations where a SKU stands still
NOT_FROZEN: Frozen = {}


class FrozenZone(msgspec.Struct, frozen=True):
    """A SKU at a location that stands still, and the count of its zone."""

    sku: str
    location: str
    zone: str
    number: int


class FrozenPlace(msgspec.Struct, frozen=True):
    """A location from which nothing leaves, and the count that says so."""

    location_id: int
    location: str
    number: int


class TaskRow(msgspec.Struct, frozen=True):
    """A count in a list, with how far it is."""

    number: int
    location: str
    location_name: str
    kind: CountKind
    source: Source
    zone: str
    note: str
    state: TaskState
    blind: bool
    frozen: bool
    zone_frozen: bool
    created_at: datetime
    created_by: str
    closed_at: datetime | None
    lines: int
    pending: int
    recount: int
    review: int
    done: int
    variance: int


class TaskHead(msgspec.Struct, frozen=True):
    """A count."""

    id: UUID
    number: int
    location_id: int
    location: str
    location_name: str
    kind: CountKind
    source: Source
    zone: str
    note: str
    state: TaskState
    blind: bool
    frozen: bool
    zone_frozen: bool
    limit_units: int
    limit_value: int
    created_at: datetime
    created_by: str
    closed_at: datetime | None
    closed_by: str | None
    places: list[int]  # whose balances are counted together


class LineRow(msgspec.Struct, frozen=True):
    """One SKU of a count.

    `corrected` are the units that others corrected between counting and closing: what is expected has them already.
    `superseded`: somebody counted the shelf later, so nothing was written for this line.
    `counted_by` gave the last count; `counters` are all who counted or scanned part of it, in their order: none of them
    approves the line.
    """

    sku_id: int
    sku: str
    name: str
    gtin: str | None
    price: int | None
    bin: str
    state: LineState
    attempts: int
    counted: int | None
    expected: int | None
    variance: int | None
    corrected: int | None
    superseded: bool
    as_of: datetime | None
    counted_by: str | None
    approved_by: str | None
    tally: int | None
    tallied_by: str | None
    tallied_at: datetime | None
    counters: list[str]


class Progress(msgspec.Struct, frozen=True):
    """Lines in a state, what they differ by in all, and what that is worth in centavos."""

    state: LineState
    lines: int
    variance: int
    value: int


class Left(msgspec.Struct, frozen=True):
    """How many SKUs of a count are left to one person, and how many of theirs to a second one."""

    mine: int
    others: int


class EntryRow(msgspec.Struct, frozen=True):
    """What one person counted."""

    sku_id: int
    attempt: int
    counted: int
    set_aside: int
    expected: int
    as_of: datetime
    actor: str


class Why(msgspec.Struct, frozen=True):
    """The figures a suspicion rests on."""

    short_picks: int
    sales: int
    observed_days: float
    silent_days: float
    improbable: float | None
    on_hand: int


class SuspicionRow(msgspec.Struct, frozen=True):
    """Stock that is probably not there."""

    sku_id: int
    sku: str
    name: str
    location_id: int
    location: str
    location_name: str
    kept_back: int
    score: int
    why: Why
    found_at: datetime

    @property
    def place(self) -> "SuspicionPlace":
        """Return where in the list it stands."""
        return self.score, self.found_at, self.sku_id, self.location_id


SuspicionPlace = tuple[int, datetime, int, int]  # score, found, SKU id, location id


async def frozen_goods(tx: Tx) -> Frozen:
    """Return the goods that stand still because their zone is being counted, with the locations."""
    return {sku: frozenset(locations) for sku, locations in await tx.tuples(FROZEN_GOODS)}


async def frozen_places(tx: Tx) -> set[int]:
    """Return the locations that stand still because they are being counted, with all of their sites."""
    return set(await tx.values(FROZEN_PLACES))


async def frozen_among(tx: Tx, goods: Collection[tuple[int, int]]) -> FrozenZone | None:
    """Return one of some goods, by (sku_id, location_id), that stands still; None: none does."""
    params = {"skus": [sku for sku, _ in goods], "locations": [location for _, location in goods]}
    return await tx.maybe(FrozenZone, FROZEN_AMONG, params)


async def skus_of_zone(tx: Tx, places: Sequence[int], zone: str) -> list[int]:
    """Return the SKUs that were last counted in a zone of a shelf, or in a place whose name begins with its."""
    return await tx.values(SKUS_OF_ZONE, {"places": list(places), "zone": zone})


async def on_one_shelf(tx: Tx, location_id: int) -> list[int]:
    """Return the locations at the site of one, the first of the site first."""
    return await tx.values(ON_ONE_SHELF, {"location_id": location_id})


async def frozen(tx: Tx, location_ids: Sequence[int]) -> list[FrozenPlace]:
    """Return which of these locations are frozen."""
    return await tx.all(FrozenPlace, FROZEN, {"locations": list(location_ids)})


class TasksWanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which counts are wanted.

    `text` is a number as it is shown (`C12`), part of a zone, or a SKU or its barcode that is counted; `since` and
    `until`, which is exclusive, are about when the count was asked for; `owned` are the locations that keep an owner's
    goods.
    """

    open_only: bool = False
    text: str = ""
    location_id: int | None = None
    owned: tuple[int, ...] | None = None
    since: datetime | None = None
    until: datetime | None = None
    scope: Sequence[int] | None = None


async def tasks(tx: Tx, wanted: TasksWanted, *, before: int | None = None, limit: int = 50) -> list[TaskRow]:
    """Return counts, the newest first."""
    text = wanted.text.strip()
    params = {
        "open": wanted.open_only,
        "scope": None if wanted.scope is None else list(wanted.scope),
        "location": wanted.location_id,
        "owned": None if wanted.owned is None else list(wanted.owned),
        "since": wanted.since,
        "until": wanted.until,
        "searched": bool(text),
        "asked": number_in(text, "C", bare=True),
        "text": f"%{literal(text)}%",
        "codes": sorted({text, text.upper()}),
        "before": before,
        "limit": limit,
    }
    return await tx.all(TaskRow, TASKS, params)


async def task(tx: Tx, number: int) -> TaskHead | None:
    """Return one count."""
    return await tx.maybe(TaskHead, TASK, {"number": number})


async def lines(
    tx: Tx,
    task_id: UUID,
    *,
    states: Sequence[LineState] | None = None,
    after: str | None = None,
    text: str = "",
    limit: int = 500,
) -> list[LineRow]:
    """Return SKUs of a count in their order, behind a SKU; with a text, those whose SKU, name, GTIN or place has it."""
    wanted = None if states is None else [str(state) for state in states]
    like = f"%{literal(text)}%" if text else None
    params = {"task_id": task_id, "states": wanted, "after": after, "text": like, "limit": limit}
    return await tx.all(LineRow, LINES, params)


async def to_count(tx: Tx, task_id: UUID, actor: str, *, limit: int) -> list[LineRow]:
    """Return the first SKUs that an actor may still count, in their order."""
    return await tx.all(LineRow, TO_COUNT, {"task_id": task_id, "actor": actor, "limit": limit})


async def left(tx: Tx, task_id: UUID, actor: str) -> Left:
    """Return how many SKUs an actor may still count, and how many of those the actor counted wait for somebody else."""
    return await tx.one(Left, LEFT, {"task_id": task_id, "actor": actor})


def blind(row: LineRow) -> LineRow:
    """Return a line without what its counter must not know."""
    return msgspec.structs.replace(row, expected=None, variance=None, corrected=None, superseded=False)


async def tallies(tx: Tx, task_id: UUID) -> list[LineRow]:
    """Return the SKUs that are being counted, the last scanned first."""
    return await tx.all(LineRow, TALLIES, {"task_id": task_id})


async def progress(tx: Tx, task_id: UUID) -> dict[str, Progress]:
    """Return how far a count is, by state of its lines."""
    return {str(row.state): row for row in await tx.all(Progress, PROGRESS, {"task_id": task_id})}


async def to_approve(tx: Tx, number: int) -> int:
    """Return how many lines of a count wait for somebody to approve them."""
    return int(await tx.value(TO_APPROVE, {"number": number}))


async def waiting_mark(tx: Tx, task_id: UUID) -> str:
    """Return what tells whether still the same lines of a count, as they were counted then, wait to be approved."""
    return str(await tx.value(WAITING_MARK, {"task_id": task_id}))


async def entries(tx: Tx, task_id: UUID, skus: Sequence[int]) -> list[EntryRow]:
    """Return every count of SKUs, the first first."""
    return await tx.all(EntryRow, ENTRIES, {"task_id": task_id, "skus": list(skus)})


async def left_by_sku(tx: Tx, places: Sequence[int], days: int = 90) -> list[tuple[int, int, datetime | None]]:
    """Return (SKU id, units that left, last counted) of what some locations have."""
    return await tx.tuples(LEFT_BY_SKU, {"places": list(places), "days": days})


async def habits(tx: Tx, location_id: int, days: int) -> list[Habits]:
    """Return how what a location has sold and was picked, without what is suspected already."""
    return await tx.all(Habits, HABITS, {"location_id": location_id, "days": days})


async def is_suspected(tx: Tx, sku_id: int, location_id: int) -> bool:
    """Return whether a balance is suspected."""
    found: bool = await tx.value(IS_SUSPECTED, {"sku_id": sku_id, "location_id": location_id})
    return found


async def suspicions(
    tx: Tx, scope: Sequence[int] | None = None, *, after: SuspicionPlace | None = None, limit: int = 50
) -> list[SuspicionRow]:
    """Return what is suspected, the most suspicious first, from after a place in that order."""
    score, found_at, sku_id, location_id = after or (None, None, None, None)
    asked = {
        "scope": None if scope is None else list(scope),
        "score": score,
        "found_at": found_at,
        "sku_id": sku_id,
        "location_id": location_id,
        "limit": limit,
    }
    rows = await tx.tuples(SUSPICIONS, asked)
    return [SuspicionRow(*(*row[:8], msgspec.convert(row[8], Why), row[9])) for row in rows]


async def suspected(tx: Tx, scope: Sequence[int] | None = None) -> int:
    """Return how many balances are suspected."""
    found: int = await tx.value(SUSPECTED, {"scope": None if scope is None else list(scope)})
    return found


async def selling_places(tx: Tx) -> list[int]:
    """Return the locations that sell."""
    return await tx.values(SELLING_PLACES)
