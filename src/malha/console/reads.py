"""What only pages ask: names for filters and timelines, what surrounds a page. Reads across capabilities."""

from collections.abc import Sequence
from typing import LiteralString

import msgspec

from malha.platform.db import Tx

# A handful of rows: where the retailer stated no name, the first own legal entity's is its.
SURROUNDINGS: LiteralString = """
SELECT coalesce((SELECT nullif(name, '') FROM retailer),
                (SELECT name FROM legal_entity WHERE kind = 'own' ORDER BY id LIMIT 1), '') AS retailer,
       (SELECT count(*)::int FROM location WHERE status <> 'closed') AS locations,
       coalesce((SELECT position FROM sequencer), 0) AS position
"""
CHANNELS = "SELECT id, code, name FROM channel WHERE active ORDER BY priority, name"
LOCATIONS = "SELECT id, code, name FROM location WHERE status <> 'closed' ORDER BY name"
# By the primary key of a table of hundreds.
LOCATION_NAMES = "SELECT id, name FROM location WHERE id = ANY(%(ids)s::int[])"
# The partial index on open work.
LOCATIONS_WITH_WORK = """
SELECT DISTINCT l.id, l.code, l.name FROM fulfillment_order f JOIN location l ON l.id = f.location_id
WHERE f.state NOT IN ('closed', 'rejected', 'cancelled')
  AND (%(scope)s::int[] IS NULL OR f.location_id = ANY(%(scope)s::int[]))
ORDER BY l.name
"""
ACTOR_NAMES = """
SELECT id::text, name FROM person WHERE id::text = ANY(%(ids)s::text[])
UNION ALL
SELECT id::text, name FROM api_key WHERE id::text = ANY(%(ids)s::text[])
"""

# Dozens of people and keys.
ACTORS = """
SELECT 'person' AS kind, id::text, name FROM person
UNION ALL
SELECT 'key', id::text, name FROM api_key
ORDER BY 3, 1
"""

Named = list[tuple[int, str, str]]  # id, code, name


class Surroundings(msgspec.Struct, frozen=True):
    """The retailer's name, its locations, and the position of the event log now."""

    retailer: str
    locations: int
    position: int


async def surroundings(tx: Tx) -> Surroundings:
    """Return what every page shows around itself."""
    return await tx.one(Surroundings, SURROUNDINGS)


async def channels(tx: Tx) -> Named:
    """Return the active channels, the most urgent first."""
    return [(id_, code, name) for id_, code, name in await tx.tuples(CHANNELS)]


async def locations(tx: Tx) -> Named:
    """Return the locations that are not closed, by name."""
    return [(id_, code, name) for id_, code, name in await tx.tuples(LOCATIONS)]


async def locations_with_work(tx: Tx, scope: Sequence[int] | None) -> Named:
    """Return the locations that have open work, by name; `scope` None is all."""
    params = {"scope": None if scope is None else list(scope)}
    return [(id_, code, name) for id_, code, name in await tx.tuples(LOCATIONS_WITH_WORK, params)]


async def location_names(tx: Tx, ids: Sequence[int]) -> dict[int, str]:
    """Return the names of locations by their ids."""
    return dict(await tx.tuples(LOCATION_NAMES, {"ids": list(ids)}))


async def actor_names(tx: Tx, ids: Sequence[str]) -> dict[str, str]:
    """Return the names of people and keys by their ids, as they are written in an actor's label."""
    return dict(await tx.tuples(ACTOR_NAMES, {"ids": list(ids)})) if ids else {}


async def actors(tx: Tx) -> list[tuple[str, str, str]]:
    """Return everyone who can act, by name: kind, id, name."""
    return [(kind, id_, name) for kind, id_, name in await tx.tuples(ACTORS)]
