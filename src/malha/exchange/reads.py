"""Imports as people look at them."""

from collections.abc import AsyncIterator

import msgspec

from malha.exchange.errors import ImportNotFound
from malha.exchange.model import KINDS, LeftRecord, RefusedRow, Run
from malha.platform.db import Tx
from malha.platform.ids import UUID
from malha.platform.imports import Trace

LISTED = 50
FLAWS_AT_ONCE = 1_000

_RUN = """
SELECT id, number, kind, name, state, bytes, encoding, delimiter, header, sample, other_sheets, oddities, mapping,
       turn, at_line, total, seen, created, changed, unchanged, bad, warned, error, actor, person, permissions,
       locations,
       uploaded_at, started_at, ended_at, undone, kept, undone_actor, undone_person, undone_at,
       EXISTS (SELECT FROM import_trace t WHERE t.run_id = import_run.id) AS traced
FROM import_run
"""

# By primary key.
RUN = f"{_RUN} WHERE id = %(id)s::uuid"

ID_OF = "SELECT id FROM import_run WHERE number = %(number)s::int"

# By the unique index on number, backwards.
RUNS = f"""{_RUN}
WHERE state <> 'uploading' AND kind = ANY (%(kinds)s::text[])
  AND (actor = %(actor)s::text
       OR %(others)s::bool AND (%(places)s::jsonb IS NULL OR locations IS NOT NULL AND locations <@ %(places)s::jsonb))
  AND (%(before)s::bigint IS NULL OR number < %(before)s::bigint)
ORDER BY number DESC LIMIT %(limit)s::int
"""

# By primary key, in the order of the file.
FLAWS = """
SELECT line, refused, cells, problems FROM import_flaw
WHERE run_id = %(id)s::uuid AND line > %(after)s::int AND (refused OR NOT %(refused)s::bool)
ORDER BY line LIMIT %(limit)s::int
"""

# By primary key: how many things are wrong with rows, or odd.
PROBLEMS = """
SELECT coalesce(sum(jsonb_array_length(problems)), 0) FROM import_flaw WHERE run_id = %(id)s::uuid
"""

MAPPING = """
SELECT mapping FROM import_mapping
WHERE actor = %(actor)s::text AND kind = %(kind)s::text AND signature = %(signature)s::text
"""

# The partial index of what is not taken back yet, the newest first.
TRACES = """
SELECT key, label, before, after FROM import_trace
WHERE run_id = %(id)s::uuid AND outcome IS NULL ORDER BY seq DESC LIMIT %(limit)s::int
"""

# The partial index of what was left.
LEFT = """
SELECT label, why FROM import_trace
WHERE run_id = %(id)s::uuid AND outcome = 'left' ORDER BY seq LIMIT %(limit)s::int OFFSET %(offset)s::int
"""

# Of an import of products: what it added may have been ordered since.
ADDED_SKUS = """
SELECT DISTINCT v.id, v.sku FROM import_trace t
CROSS JOIN LATERAL jsonb_to_recordset(t.after -> 'variants') AS a (sku text)
JOIN variant v ON v.sku = a.sku
WHERE t.run_id = %(id)s::uuid AND t.outcome IS NULL
  AND NOT coalesce(t.before -> 'variants', '[]') @> jsonb_build_array(jsonb_build_object('sku', a.sku))
"""

# By primary key.
HAS_FILE = "SELECT EXISTS (SELECT FROM import_part WHERE run_id = %(id)s::uuid)"

PART = "SELECT data FROM import_part WHERE run_id = %(id)s::uuid AND part = %(part)s::int"


async def run(tx: Tx, run_id: UUID) -> Run:
    """Return an import the actor may see: their own, or anybody's for who sees the audit trail and such records.

    Who is limited to locations sees what others brought who are limited to some of the same.

    Raises:
        ImportNotFound: there is none.
    """
    found = await tx.maybe(dict, RUN, {"id": run_id})
    if found is not None:
        kept = msgspec.convert(found, Run)
        looks = tx.actor.may("audit:read") and tx.actor.may(KINDS[kept.kind].read)  # its rows are shown too
        own = tx.actor.locations
        within = own is None or (kept.locations is not None and set(kept.locations) <= set(own))
        if (looks and within) or tx.actor.label == kept.actor:
            return kept
    raise ImportNotFound(key=run_id)


async def runs(tx: Tx, kinds: list[str], *, before: int | None = None, limit: int = LISTED) -> list[Run]:
    """Return the newest imports of some kinds the actor may see, of those before a number."""
    own = tx.actor.locations
    asked = {
        "kinds": kinds,
        "actor": tx.actor.label,
        "others": tx.actor.may("audit:read"),
        "places": None if own is None else msgspec.json.encode(sorted(own)).decode(),
        "before": before,
        "limit": limit,
    }
    rows = await tx.all(dict, RUNS, asked)
    return [msgspec.convert(row, Run) for row in rows]


async def flaws(
    tx: Tx, run_id: UUID, *, after: int = 0, limit: int = FLAWS_AT_ONCE, refused_only: bool = False
) -> list[RefusedRow]:
    """Return refused rows (and warnings) after a line."""
    columns = {"id": run_id, "after": after, "limit": limit, "refused": refused_only}
    return await tx.all(RefusedRow, FLAWS, columns)


async def problems(tx: Tx, run_id: UUID) -> int:
    """Return how many things are wrong with an import's rows, or odd."""
    return int(await tx.value(PROBLEMS, {"id": run_id}))


async def traces(tx: Tx, run_id: UUID, limit: int) -> list[Trace]:
    """Return records that an import wrote and that are not taken back yet, the newest first."""
    return await tx.all(Trace, TRACES, {"id": run_id, "limit": limit})


async def left(tx: Tx, run_id: UUID, *, limit: int = FLAWS_AT_ONCE, offset: int = 0) -> list[LeftRecord]:
    """Return records that an undo left as they are."""
    return await tx.all(LeftRecord, LEFT, {"id": run_id, "limit": limit, "offset": offset})


async def added_skus(tx: Tx, run_id: UUID) -> dict[int, str]:
    """Return the SKUs that an import of products added, by id."""
    return dict(await tx.tuples(ADDED_SKUS, {"id": run_id}))


async def remembered(tx: Tx, kind: str, signature: str) -> dict[str, str] | None:
    """Return what the actor said last time that these headings mean."""
    row = {"actor": tx.actor.label, "kind": kind, "signature": signature}
    found: dict[str, str] | None = await tx.value(MAPPING, row)
    return found


async def has_file(tx: Tx, run_id: UUID) -> bool:
    """Tell whether an import's file is still kept, so that it can be gone on with."""
    return bool(await tx.value(HAS_FILE, {"id": run_id}))


async def parts(tx: Tx, run_id: UUID) -> AsyncIterator[bytes]:
    """Yield the file, piece by piece."""
    part = 0
    while (data := await tx.value(PART, {"id": run_id, "part": part})) is not None:
        yield bytes(data)
        part += 1
