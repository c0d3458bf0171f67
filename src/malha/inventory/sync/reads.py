"""What sources stated and what became of it, for screens and for the API."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from malha.inventory.sync.errors import DriftNotFound, SnapshotNotFound, UnknownSource
from malha.inventory.sync.model import (
    Drift,
    DriftKind,
    DriftState,
    Leaves,
    Role,
    Scope,
    SiteDrift,
    Snapshot,
    Source,
    State,
    Sum,
    ZeroRule,
)
from malha.platform import arrays
from malha.platform.db import Tx
from malha.platform.ids import UUID

LISTED = 50

# A handful of rows each.
SOURCES = """
SELECT s.id, s.code, s.name, s.leaves, s.skew_seconds, s.zero_percent, s.zero_rule, s.active, s.last_seq, s.version,
       coalesce(jsonb_object_agg(l.code, l.id) FILTER (WHERE p.role = 'truth'), '{}') AS truths,
       coalesce(jsonb_object_agg(l.code, l.id) FILTER (WHERE p.role = 'secondary'), '{}') AS secondaries
FROM stock_source s
LEFT JOIN stock_source_location p ON p.source_id = s.id
LEFT JOIN location l ON l.id = p.location_id
WHERE (%(code)s::text IS NULL OR s.code = %(code)s::text) AND (%(id)s::int IS NULL OR s.id = %(id)s::int)
GROUP BY s.id ORDER BY s.code
"""
# Who else is the truth where a source shall be.
OTHER_TRUTHS = """
SELECT l.code, s.code FROM stock_source_location p
JOIN stock_source s ON s.id = p.source_id JOIN location l ON l.id = p.location_id
WHERE p.role = 'truth' AND p.location_id = ANY (%(locations)s::int[]) AND p.source_id <> %(id)s::int
ORDER BY l.code
"""
STANDING = """
SELECT p.location_id, l.code, p.role, p.last_seq, p.last_as_of
FROM stock_source_location p JOIN location l ON l.id = p.location_id
WHERE p.source_id = %(id)s::int ORDER BY l.code
"""
# Of all sources: what was stated last of each location decides what a reported change is on top of.
NEWEST_AT = """
SELECT p.location_id, p.source_id, p.last_seq, p.last_as_of FROM stock_source_location p
WHERE p.location_id = ANY (%(locations)s::int[]) AND p.last_as_of IS NOT NULL
"""

# Codes to ids, and what is no stock; one row per SKU of a batch, by the unique index.
SKUS = "SELECT sku, id, is_kit FROM variant WHERE sku = ANY (%(skus)s::text[])"
KNOWN_LOCATIONS = "SELECT code FROM location WHERE code = ANY (%(codes)s::text[])"

_SNAPSHOT = """
SELECT n.id, n.number, n.source_id, s.code AS source, s.name AS source_name, n.seq, n.as_of, n.scope, n.state, n.name,
       n.client, n.key, n.digest, n.bytes, n.rows, n.held, n.differing, n.absent, n.zeroed, n.stocked, n.done,
       n.changed, n.reviewed, n.through_sku, n.through_location, n.reason, n.person, n.received_at, n.accepted_at,
       n.ended_at, n.other_sheets, n.oddities, s.zero_percent
FROM stock_snapshot n JOIN stock_source s ON s.id = n.source_id
"""
# Who is limited to locations sees what they sent and what speaks of those.
_SEEN = """
  AND (%(scope)s::int[] IS NULL OR n.client = %(client)s::text
       OR EXISTS (SELECT FROM stock_snapshot_location p
                  WHERE p.snapshot_id = n.id AND p.location_id = ANY (%(scope)s::int[])))
"""
SNAPSHOT = _SNAPSHOT + "WHERE n.id = %(id)s::uuid" + _SEEN
SNAPSHOT_BY_NUMBER = _SNAPSHOT + "WHERE n.number = %(number)s::int" + _SEEN
SNAPSHOT_BY_KEY = _SNAPSHOT + "WHERE n.client = %(client)s::text AND n.key = %(key)s::text"
SNAPSHOT_BY_SEQ = (
    _SNAPSHOT + "WHERE n.source_id = %(source)s::int AND n.seq = %(seq)s::bigint AND n.accepted_at IS NOT NULL"
)
# The newest by number, which is in their order; a page of the unique index.
SNAPSHOTS = (
    _SNAPSHOT
    + """WHERE (%(source)s::text IS NULL OR s.code = %(source)s::text)
  AND (%(state)s::text IS NULL OR n.state = %(state)s::text)
  AND n.number < coalesce(%(before)s::int, 2147483647)
"""
    + _SEEN
    + "ORDER BY n.number DESC LIMIT %(limit)s::int"
)
HELD = """
SELECT row, sku, location, stated, problem FROM stock_snapshot_held
WHERE snapshot_id = %(id)s::uuid AND row > %(after)s::int
  AND (%(scope)s::int[] IS NULL OR location IN (SELECT code FROM location WHERE id = ANY (%(scope)s::int[])))
ORDER BY row LIMIT %(limit)s::int
"""
HELD_BY_PROBLEM = """
SELECT problem, count(*)::int FROM stock_snapshot_held
WHERE snapshot_id = %(id)s::uuid
  AND (%(scope)s::int[] IS NULL OR location IN (SELECT code FROM location WHERE id = ANY (%(scope)s::int[])))
GROUP BY 1 ORDER BY 2 DESC, 1
"""
SNAPSHOT_PLACES = """
SELECT l.id, l.code, l.name, p.rows, p.changed, p.reviewed, p.more, p.fewer
FROM stock_snapshot_location p JOIN location l ON l.id = p.location_id
WHERE p.snapshot_id = %(id)s::uuid AND (%(scope)s::int[] IS NULL OR l.id = ANY (%(scope)s::int[])) ORDER BY l.code
"""
# A newer statement of the same source at one of the same locations that was applied already: this one is too late. One
# that is to be applied makes a person's yes too late as well; among those that wait for a worker it is what comes next.
NEWER_APPLIED = """
SELECT max(o.seq) FROM stock_snapshot n
JOIN stock_snapshot o ON o.source_id = n.source_id AND o.seq > n.seq
     AND (o.state = ANY (%(states)s::text[]) OR o.state = 'waiting' AND o.reason ->> 'code' = 'absent')
JOIN stock_snapshot_location a ON a.snapshot_id = n.id
JOIN stock_snapshot_location b ON b.snapshot_id = o.id AND b.location_id = a.location_id
WHERE n.id = %(id)s::uuid
"""
# What would change at each location: units by what is there now, before what moved since is added on top.
EXPECTED_PLACES = """
SELECT r.location_id, count(*)::int, coalesce(sum(greatest(r.stated::bigint + r.underway - b.on_hand, 0)), 0)::bigint,
       coalesce(sum(greatest(b.on_hand::bigint - r.stated - r.underway, 0)), 0)::bigint
FROM stock_snapshot_row r JOIN balance b USING (sku_id, location_id)
WHERE r.snapshot_id = %(id)s::uuid AND (%(scope)s::int[] IS NULL OR r.location_id = ANY (%(scope)s::int[]))
  AND (r.waits OR NOT EXISTS (SELECT FROM stock_snapshot WHERE id = %(id)s::uuid AND reason ->> 'code' = 'absent'))
GROUP BY 1
"""
_EXPECTED = """
SELECT v.id AS sku_id, v.sku, v.name, l.id AS location_id, l.code AS location, l.name AS location_name, b.on_hand,
       r.stated, r.underway, r.mentioned
FROM stock_snapshot_row r
JOIN balance b USING (sku_id, location_id)
JOIN variant v ON v.id = r.sku_id
JOIN location l ON l.id = r.location_id
WHERE r.snapshot_id = %(id)s::uuid AND (%(scope)s::int[] IS NULL OR r.location_id = ANY (%(scope)s::int[]))
  AND (r.waits OR NOT EXISTS (SELECT FROM stock_snapshot WHERE id = %(id)s::uuid AND reason ->> 'code' = 'absent'))
"""
# A page of the rows' primary key.
EXPECTED = (
    _EXPECTED
    + """  AND (r.sku_id, r.location_id) > (%(sku)s::int, %(location)s::int)
ORDER BY r.sku_id, r.location_id LIMIT %(limit)s::int
"""
)
# The biggest differences first; read once, when a person looks at a snapshot that waits.
BIGGEST = _EXPECTED + "ORDER BY abs(r.stated::bigint + r.underway - b.on_hand) DESC, v.sku, l.code LIMIT %(limit)s::int"
# By day: what the snapshots of a source had to correct at a location. A row per snapshot and location, few a day.
TREND = """
SELECT (n.as_of AT TIME ZONE %(zone)s::text)::date AS day, sum(p.rows)::bigint, sum(p.changed + p.reviewed)::bigint,
       sum(p.more)::bigint, sum(p.fewer)::bigint
FROM stock_snapshot_location p JOIN stock_snapshot n ON n.id = p.snapshot_id
WHERE n.source_id = %(source)s::int AND n.as_of >= %(since)s::timestamptz
  AND (%(location)s::int IS NULL OR p.location_id = %(location)s::int)
  AND (%(scope)s::int[] IS NULL OR p.location_id = ANY (%(scope)s::int[]))
GROUP BY 1 ORDER BY 1
"""

# Who else is at a site, of those in sight, is seen by the index on sites.
_DRIFT_COLUMNS = """
SELECT d.id, s.code AS source, s.name AS source_name, d.sku_id, v.sku, v.name AS sku_name, d.location_id,
       l.code AS location, l.name AS location_name, h.id AS home, h.code AS site, h.name AS site_name, e.code AS owner,
       e.name AS owner_name, EXISTS (
           SELECT FROM location m WHERE coalesce(m.site_id, m.id) = h.id AND m.id <> l.id
              AND (%(sight)s::int[] IS NULL OR m.id = ANY (%(sight)s::int[]))) AS shared,
       d.snapshot_id, n.number AS snapshot, d.kind, d.state, d.as_of,
       d.seq, d.theirs, d.ours, d.underway, d.later, d.in_window, d.allocated, d.unexplained, d.found_at, d.settled_at,
       d.settled_by, d.version, c.number AS count
"""
_DRIFT_TABLES = """
JOIN stock_source s ON s.id = d.source_id
JOIN variant v ON v.id = d.sku_id
JOIN location l ON l.id = d.location_id
JOIN location h ON h.id = coalesce(l.site_id, l.id)
JOIN establishment e ON e.id = coalesce(l.owner_id, l.establishment_id)
LEFT JOIN stock_snapshot n ON n.id = d.snapshot_id
LEFT JOIN count_task c ON c.id = d.count_id
"""
_DRIFT = f"{_DRIFT_COLUMNS}FROM stock_drift d{_DRIFT_TABLES}"
_DRIFTS_ASKED = """WHERE d.state = ANY (%(states)s::text[])
  AND (%(source)s::text IS NULL OR s.code = %(source)s::text)
  AND (%(location)s::text IS NULL OR l.code = %(location)s::text)
  AND (%(site)s::int[] IS NULL OR d.location_id = ANY (%(site)s::int[]))
  AND (%(kind)s::text IS NULL OR d.kind = %(kind)s::text)
  AND (%(query)s::text IS NULL OR v.folded LIKE %(query)s::text)
  AND (%(scope)s::int[] IS NULL OR d.location_id = ANY (%(scope)s::int[]))
"""
# Open ones come by their partial index; the newest first.
DRIFTS = (
    _DRIFT
    + _DRIFTS_ASKED
    + """  AND (d.found_at, d.id) < (coalesce(%(before)s::timestamptz, 'infinity'),
                            coalesce(%(before_id)s::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
ORDER BY d.found_at DESC, d.id DESC LIMIT %(limit)s::int
"""
)
# What is asked for by source, SKU and site, the newest first: those that are the newest of theirs, from a position on
# by the index on when they were found (what is open by the partial one), so that a page far behind costs what the first
# one does. Which is the newest, and the rows of a page, come from the locations of a site by the unique indexes; OFFSET
# has that asked row by row, instead of for all rows there are.
SITE_DRIFTS = (
    """WITH wanted AS (
    SELECT d.source_id, coalesce(l.site_id, l.id) AS home, d.sku_id, d.found_at AS newest
    FROM stock_drift d
    JOIN stock_source s ON s.id = d.source_id
    JOIN variant v ON v.id = d.sku_id
    JOIN location l ON l.id = d.location_id
"""
    + _DRIFTS_ASKED
    + """      AND (d.found_at, d.source_id, d.sku_id)
          <= (coalesce(%(before)s::timestamptz, 'infinity'), %(before_source)s::int, %(before_sku)s::int)
      AND NOT (coalesce(l.site_id, l.id) >= %(before_home)s::int
               AND (d.found_at, d.source_id, d.sku_id)
                   = (%(before)s::timestamptz, %(before_source)s::int, %(before_sku)s::int))
      AND NOT EXISTS (
          SELECT FROM location m JOIN stock_drift x ON x.location_id = m.id
          WHERE coalesce(m.site_id, m.id) = coalesce(l.site_id, l.id)
            AND x.source_id = d.source_id AND x.sku_id = d.sku_id AND x.state = ANY (%(states)s::text[])
            AND (%(location)s::text IS NULL OR m.code = %(location)s::text)
            AND (%(site)s::int[] IS NULL OR x.location_id = ANY (%(site)s::int[]))
            AND (%(kind)s::text IS NULL OR x.kind = %(kind)s::text)
            AND (%(scope)s::int[] IS NULL OR x.location_id = ANY (%(scope)s::int[]))
            AND (x.found_at, x.id) > (d.found_at, d.id)
          OFFSET 0)
    ORDER BY d.found_at DESC, d.source_id DESC, d.sku_id DESC, home DESC LIMIT %(limit)s::int
)
"""
    + _DRIFT_COLUMNS
    + """     , d.source_id, g.newest
FROM wanted g
JOIN location p ON coalesce(p.site_id, p.id) = g.home
JOIN stock_drift d ON d.source_id = g.source_id AND d.sku_id = g.sku_id AND d.location_id = p.id"""
    + _DRIFT_TABLES
    + _DRIFTS_ASKED
    + """ORDER BY g.newest DESC, g.source_id DESC, g.sku_id DESC, g.home DESC, l.site_id NULLS FIRST, l.code
"""
)
SUM_OF_DRIFTS = (
    """
SELECT count(*)::int, coalesce(sum(d.theirs), 0)::bigint, coalesce(sum(d.underway::bigint + d.later), 0)::bigint,
       coalesce(sum(d.in_window), 0)::bigint, coalesce(sum(d.ours), 0)::bigint, coalesce(sum(d.unexplained), 0)::bigint
FROM stock_drift d
JOIN stock_source s ON s.id = d.source_id
JOIN variant v ON v.id = d.sku_id
JOIN location l ON l.id = d.location_id
"""
    + _DRIFTS_ASKED
)
DRIFTS_BY_ID = _DRIFT + "WHERE d.id = ANY (%(ids)s::uuid[]) ORDER BY d.sku_id, d.location_id"
# By the partial index on the count.
DRIFTS_OF_COUNT = _DRIFT + "WHERE d.count_id = %(count)s::uuid ORDER BY d.sku_id, s.code"
DRIFT_COUNTS = """
SELECT state, count(*)::int FROM stock_drift
WHERE (%(scope)s::int[] IS NULL OR location_id = ANY (%(scope)s::int[])) GROUP BY state
"""
# What the difference is explained by: the movements on either side of the window, by index movement_balance.
EXPLAINING = """
SELECT m.id, m.recorded_at, m.occurred_at, m.d_on_hand, m.d_allocated, m.reason, m.ref_kind, m.ref_id, m.ref_text,
       m.actor,
       CASE WHEN m.source_id = d.source_id
            THEN CASE WHEN coalesce(m.source_seq > d.seq, m.occurred_at > d.as_of) THEN 'later' ELSE 'before' END
            WHEN m.occurred_at > d.as_of + make_interval(secs => s.skew_seconds) THEN 'later'
            WHEN m.occurred_at > d.as_of - make_interval(secs => s.skew_seconds) THEN 'window'
            ELSE 'before' END AS side
FROM stock_drift d
JOIN stock_source s ON s.id = d.source_id
JOIN movement m ON m.sku_id = d.sku_id AND m.location_id = d.location_id
WHERE d.id = %(id)s::uuid AND m.recorded_at > d.as_of - make_interval(secs => s.skew_seconds + 3600)
  AND m.bucket = 'sellable'
ORDER BY m.recorded_at DESC, m.id DESC LIMIT %(limit)s::int
"""
# Snapshots that still have to look at the balance.
PENDING_AT = """
SELECT n.number FROM stock_snapshot n JOIN stock_snapshot_row r ON r.snapshot_id = n.id
WHERE n.state IN ('waiting', 'applying') AND r.sku_id = %(sku)s::int AND r.location_id = %(location)s::int
  AND (r.sku_id, r.location_id) > (n.through_sku, n.through_location)
ORDER BY n.number
"""


class HeldRow(msgspec.Struct, frozen=True):
    """One row of a file that was kept aside."""

    row: int
    sku: str
    location: str
    stated: str
    problem: str


class SnapshotPlace(msgspec.Struct, frozen=True):
    """What a snapshot did at one location; `more` and `fewer` are units."""

    id: int
    code: str
    name: str
    rows: int
    changed: int
    reviewed: int
    more: int
    fewer: int


class Expected(msgspec.Struct, frozen=True):
    """One balance a waiting snapshot would change, as it is now. What is not `mentioned` in the file is zero."""

    sku_id: int
    sku: str
    name: str
    location_id: int
    location: str
    location_name: str
    on_hand: int
    stated: int
    underway: int
    mentioned: bool

    @property
    def difference(self) -> int:
        """Return the units more or fewer, before what moved since the snapshot's time."""
        return self.stated + self.underway - self.on_hand


class Standing(msgspec.Struct, frozen=True):
    """What a source is at a location, and what it stated last."""

    location_id: int
    code: str
    role: Role
    last_seq: int | None
    last_as_of: datetime | None


class Because(msgspec.Struct, frozen=True):
    """One movement near a disagreement; `side` is before, window or later."""

    id: int
    recorded_at: datetime
    occurred_at: datetime
    d_on_hand: int
    d_allocated: int
    reason: str
    ref_kind: str | None
    ref_id: UUID | None
    ref_text: str | None
    actor: str
    side: str


class DriftAsked(msgspec.Struct, frozen=True, kw_only=True):
    """Which disagreements are wanted."""

    states: tuple[str, ...] = ("open",)
    source: str | None = None
    location: str | None = None
    site: tuple[int, ...] | None = None  # ids of the locations of a site that the asker sees (`network.sites.in_sight`)
    kind: str | None = None
    query: str | None = None
    scope: tuple[int, ...] | None = None


def _seen(tx: Tx) -> dict[str, Any]:
    """Return what the actor is limited to, for statements."""
    return {"scope": tx.actor.scope, "client": tx.actor.label}


async def sources(tx: Tx) -> list[Source]:
    """Return all sources by code that the actor may know of."""
    found = [_source(row) for row in await tx.all(dict, SOURCES, {"code": None, "id": None})]
    return [source for source in found if _speaks_in_sight(tx, source)]


def _speaks_in_sight(tx: Tx, source: Source) -> bool:
    """Whether a source speaks for a location the actor sees, or for none yet: what is out of sight is not there."""
    places = {*source.truths.values(), *source.secondaries.values()}
    return not places or any(tx.actor.sees(place) for place in places)


async def source(tx: Tx, code: str, *, anywhere: bool = False) -> Source:
    """Return a source by its code; with `anywhere`, wherever it speaks.

    Raises:
        UnknownSource: there is none, or it speaks only for locations the actor does not see.
    """
    row = await tx.maybe(dict, SOURCES, {"code": code, "id": None})
    found = None if row is None else _source(row)
    if found is None or not (anywhere or _speaks_in_sight(tx, found)):
        raise UnknownSource(key=code)
    return found


async def source_by_id(tx: Tx, id_: int) -> Source:
    """Return a source that exists."""
    return _source(await tx.one(dict, SOURCES, {"code": None, "id": id_}))


def _source(row: dict[str, Any]) -> Source:
    return Source(**{**row, "leaves": Leaves(row["leaves"]), "zero_rule": ZeroRule(row["zero_rule"])})


async def standing(tx: Tx, source_id: int) -> list[Standing]:
    """Return where a source speaks, by the location's code."""
    rows = await tx.tuples(STANDING, {"id": source_id})
    return [Standing(id_, code, Role(role), seq, as_of) for id_, code, role, seq, as_of in rows]


async def snapshot(tx: Tx, id_: UUID) -> Snapshot:
    """Return a snapshot.

    Raises:
        SnapshotNotFound: there is none.
    """
    return _found(await tx.maybe(dict, SNAPSHOT, {"id": id_} | _seen(tx)), id_)


async def snapshot_by_number(tx: Tx, number: int) -> Snapshot:
    """Return a snapshot by the number people see.

    Raises:
        SnapshotNotFound: there is none.
    """
    return _found(await tx.maybe(dict, SNAPSHOT_BY_NUMBER, {"number": number} | _seen(tx)), number)


async def snapshot_by_key(tx: Tx, client: str, key: str) -> Snapshot | None:
    """Return the snapshot a client sent under an idempotency key."""
    row = await tx.maybe(dict, SNAPSHOT_BY_KEY, {"client": client, "key": key})
    return None if row is None else _snapshot(row)


async def snapshot_by_seq(tx: Tx, source_id: int, seq: int) -> Snapshot | None:
    """Return the accepted snapshot of a source's sequence."""
    row = await tx.maybe(dict, SNAPSHOT_BY_SEQ, {"source": source_id, "seq": seq})
    return None if row is None else _snapshot(row)


async def snapshots(
    tx: Tx, *, source: str | None = None, state: str | None = None, before: int | None = None, limit: int = LISTED
) -> list[Snapshot]:
    """Return snapshots, the newest first."""
    asked = {"source": source, "state": state, "before": before, "limit": limit} | _seen(tx)
    return [_snapshot(row) for row in await tx.all(dict, SNAPSHOTS, asked)]


def _found(row: dict[str, Any] | None, key: object) -> Snapshot:
    if row is None:
        raise SnapshotNotFound(key=key)
    return _snapshot(row)


def _snapshot(row: dict[str, Any]) -> Snapshot:
    digest = row["digest"]
    return Snapshot(
        **{
            **row,
            "scope": Scope(row["scope"]),
            "state": State(row["state"]),
            "digest": None if digest is None else bytes(digest),
        }
    )


async def newer_applied(tx: Tx, id_: UUID, *, or_applying: bool = False) -> int | None:
    """Return the sequence of a newer snapshot that was, or is being, applied at one of a snapshot's locations."""
    states = [State.APPLIED.value] + [State.APPLYING.value] * or_applying
    found: int | None = await tx.value(NEWER_APPLIED, {"id": id_, "states": states})
    return found


async def held(tx: Tx, id_: UUID, *, after: int = 0, limit: int = 1_000) -> list[HeldRow]:
    """Return rows that were kept aside, in the order of the file."""
    return await tx.all(HeldRow, HELD, {"id": id_, "after": after, "limit": limit} | _seen(tx))


async def held_by_problem(tx: Tx, id_: UUID) -> list[tuple[str, int]]:
    """Return how many rows were held for what, most first."""
    return [(problem, count) for problem, count in await tx.tuples(HELD_BY_PROBLEM, {"id": id_} | _seen(tx))]


async def speaks_elsewhere(tx: Tx, id_: UUID) -> str | None:
    """Return the code of a location a snapshot speaks of and the actor does not see."""
    every = await tx.all(SnapshotPlace, SNAPSHOT_PLACES, {"id": id_, "scope": None})
    return next((place.code for place in every if not tx.actor.sees(place.id)), None)


async def snapshot_places(tx: Tx, id_: UUID) -> list[SnapshotPlace]:
    """Return what a snapshot did by location."""
    return await tx.all(SnapshotPlace, SNAPSHOT_PLACES, {"id": id_} | _seen(tx))


async def expected_places(tx: Tx, id_: UUID) -> dict[int, tuple[int, int, int]]:
    """Return (balances, units more, units fewer) that a waiting snapshot would change, by location."""
    rows = await tx.tuples(EXPECTED_PLACES, {"id": id_} | _seen(tx))
    return {place: (count, more, fewer) for place, count, more, fewer in rows}


async def expected(tx: Tx, id_: UUID, *, after: tuple[int, int] = (0, 0), limit: int = LISTED) -> list[Expected]:
    """Return balances that a waiting snapshot would change, in key order."""
    asked = {"id": id_, "sku": after[0], "location": after[1], "limit": limit}
    return await tx.all(Expected, EXPECTED, asked | _seen(tx))


async def biggest(tx: Tx, id_: UUID, limit: int) -> list[Expected]:
    """Return the balances that a waiting snapshot would change most."""
    return await tx.all(Expected, BIGGEST, {"id": id_, "limit": limit} | _seen(tx))


async def trend(
    tx: Tx, source_id: int, since: datetime, zone: str, location_id: int | None = None
) -> list[tuple[Any, int, int, int, int]]:
    """Return (day, rows stated, rows that differed, units added, units taken away) of a source's snapshots."""
    asked = {"source": source_id, "since": since, "zone": zone, "location": location_id} | _seen(tx)
    return [(day, rows, off, more, fewer) for day, rows, off, more, fewer in await tx.tuples(TREND, asked)]


async def drifts(
    tx: Tx, asked: DriftAsked, *, before: tuple[datetime, UUID] | None = None, limit: int = LISTED
) -> list[Drift]:
    """Return disagreements, the newest first, from before a (time, id) position."""
    at, id_ = before or (None, None)
    params = _asked(asked) | {"sight": tx.actor.scope, "before": at, "before_id": id_, "limit": limit}
    return [_drift(tx, row) for row in await tx.all(dict, DRIFTS, params)]


def _asked(asked: DriftAsked) -> dict[str, Any]:
    return {
        **{name: getattr(asked, name) for name in ("source", "location", "kind")},
        "states": list(asked.states),
        "query": f"%{asked.query}%" if asked.query else None,
        "site": None if asked.site is None else list(asked.site),
        "scope": None if asked.scope is None else list(asked.scope),
    }


SitePosition = tuple[datetime, int, int, int]  # when the last was found; source, first location of the site, SKU


async def site_drifts(
    tx: Tx, asked: DriftAsked, *, before: SitePosition | None = None, limit: int = LISTED
) -> list[tuple[SitePosition, SiteDrift]]:
    """Return disagreements by source, SKU and site, the newest first, from before a position: `limit` of those."""
    at, source_id, home, sku_id = before or (None, 0, 0, 0)
    place = {"before": at, "before_source": source_id, "before_home": home, "before_sku": sku_id, "limit": limit}
    found: dict[SitePosition, list[Drift]] = {}
    for row in await tx.all(dict, SITE_DRIFTS, _asked(asked) | {"sight": tx.actor.scope} | place):
        key = row.pop("newest"), row.pop("source_id"), row["home"], row["sku_id"]
        found.setdefault(key, []).append(_drift(tx, row))
    return [(key, SiteDrift(rows, key[0])) for key, rows in found.items()]


async def sum_of_drifts(tx: Tx, asked: DriftAsked) -> Sum:
    """Return all that is asked for, added up."""
    return Sum(*(await tx.tuples(SUM_OF_DRIFTS, _asked(asked)))[0])


async def drifts_by_id(tx: Tx, ids: Sequence[UUID]) -> list[Drift]:
    """Return disagreements by their ids, in key order; unknown ones are absent."""
    return [_drift(tx, row) for row in await tx.all(dict, DRIFTS_BY_ID, {"ids": list(ids), "sight": tx.actor.scope})]


async def drift(tx: Tx, id_: UUID) -> Drift:
    """Return one disagreement.

    Raises:
        DriftNotFound: there is none, or it is at a location the actor does not see.
    """
    found = await drifts_by_id(tx, [id_])
    if not found or not tx.actor.sees(found[0].location_id):
        raise DriftNotFound(key=id_)
    return found[0]


def _drift(tx: Tx, row: dict[str, Any]) -> Drift:
    if not tx.actor.sees(row["home"]):  # a site is called by what the actor sees of it
        row |= {"site": row["location"], "site_name": row["location_name"]}
    return Drift(**{**row, "kind": DriftKind(row["kind"]), "state": DriftState(row["state"])})


async def drifts_of_count(tx: Tx, count_id: UUID) -> list[Drift]:
    """Return the disagreements that a count is to settle, or settled, by SKU."""
    return [
        _drift(tx, row) for row in await tx.all(dict, DRIFTS_OF_COUNT, {"count": count_id, "sight": tx.actor.scope})
    ]


async def drift_counts(tx: Tx, scope: Sequence[int] | None) -> dict[str, int]:
    """Return how many disagreements stand in which state."""
    places = None if scope is None else list(scope)
    return dict(await tx.tuples(DRIFT_COUNTS, {"scope": places}))


async def explaining(tx: Tx, id_: UUID, limit: int = 100) -> list[Because]:
    """Return the movements near a disagreement, the newest first, and on which side of as_of they lie."""
    return await tx.all(Because, EXPLAINING, {"id": id_, "limit": limit})


async def pending_at(tx: Tx, sku_id: int, location_id: int) -> list[int]:
    """Return the numbers of snapshots that still have to look at a balance."""
    return [number for (number,) in await tx.tuples(PENDING_AT, {"sku": sku_id, "location": location_id})]


# --- what a file is laid beside ---

# All balances of some locations, with their versions, as arrays of integers instead of a row each. Those of most
# locations are read in the order they lie, not by index balance_location.
BALANCES = """
SELECT coalesce(array_send(array_agg(sku_id)), ''), coalesce(array_send(array_agg(location_id)), ''),
       coalesce(array_send(array_agg(on_hand)), ''), coalesce(array_send(array_agg(xmin)), '')
FROM balance WHERE location_id = ANY (%(locations)s::int[])
"""
BALANCES_OF_MOST = BALANCES.replace("location_id = ANY", "location_id + 0 = ANY")
ABOUT_BALANCES = "SELECT reltuples::bigint FROM pg_class WHERE oid = 'balance'::regclass"
# How many there are at most, without counting more than is of interest; by index balance_location.
COUNT_BALANCES = """
SELECT count(*) FROM (
    SELECT FROM balance WHERE location_id = ANY (%(locations)s::int[]) LIMIT %(most)s::int + 1
) b
"""
BY_SKU = """
SELECT v.sku, v.id, coalesce(v.gtin, '') FROM unnest(%(texts)s::text[]) AS w(sku) JOIN variant v ON v.sku = w.sku
WHERE NOT v.is_kit
"""
BY_GTIN = """
SELECT v.gtin, v.id, v.gtin FROM unnest(%(texts)s::text[]) AS w(gtin) JOIN variant v ON v.gtin = w.gtin
WHERE NOT v.is_kit
"""


async def known(tx: Tx, texts: Sequence[str], *, by_gtin: bool) -> dict[str, tuple[int, str]]:
    """Return id and GTIN of the SKUs that texts name; kits are left out."""
    statement = BY_GTIN if by_gtin else BY_SKU
    asked = arrays.texts([text for text in texts if text])
    return {text: (id_, gtin) for text, id_, gtin in await tx.tuples(statement, {"texts": asked})}
