"""What channels show of stock: comparisons, differences, and which connections state stock themselves."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from malha.channels.connecting.stock_rules import Cause, Ours
from malha.platform.db import Tx

# Listings by primary key. What is under way: a change that the channel was not told yet, of the SKU or of a part of it,
# unless that is so for long; what was told after `since`; and what a turn that tells everything again did not reach.
OURS = """
SELECT l.sku_id, v.sku, l.code, l.active, l.sent_quantity AS told, l.error, p.channel_id IS NOT NULL AS pushed,
       coalesce(l.sent_at >= %(since)s::timestamptz, false)
       OR coalesce(p.failures = 0 AND l.sku_id > p.resend_after, false)
       OR EXISTS (SELECT FROM stock_change s WHERE s.sku_id = l.sku_id AND s.version > p.position
                  AND s.changed_at > clock_timestamp() - make_interval(secs => %(grace)s::float8))
       OR EXISTS (SELECT FROM kit_component k JOIN stock_change s ON s.sku_id = k.component_id
                  WHERE k.kit_id = l.sku_id AND s.version > p.position
                    AND s.changed_at > clock_timestamp() - make_interval(secs => %(grace)s::float8)) AS underway
FROM listing l JOIN variant v ON v.id = l.sku_id
LEFT JOIN stock_push p ON p.channel_id = l.channel_id AND p.active
WHERE l.channel_id = %(channel_id)s::int AND l.sku_id > %(after)s::int
  AND (%(skus)s::int[] IS NULL OR l.sku_id = ANY (%(skus)s::int[]))
ORDER BY l.sku_id LIMIT %(most)s::int
"""
# By the unique index on code.
CODES = "SELECT code FROM listing WHERE channel_id = %(channel_id)s::int"
LOOKS = """
SELECT id, began_at, ended_at, shown, listed, passing, underway, differing FROM stock_look
WHERE connection_id = %(connection_id)s::int ORDER BY id DESC LIMIT %(most)s::int
"""
DIFFERENCES = """
SELECT d.code, v.sku, v.name, d.cause, d.shown, d.told, d.ours, d.places, d.since, d.told_again_at, d.repairs, l.error
FROM stock_difference d JOIN stock_look k ON k.id = d.look_id JOIN connection c ON c.id = k.connection_id
LEFT JOIN variant v ON v.id = d.sku_id
LEFT JOIN listing l ON l.channel_id = c.channel_id AND l.sku_id = d.sku_id
WHERE d.look_id = %(look_id)s::bigint AND d.code > %(after)s::text
  AND (%(cause)s::text IS NULL OR d.cause = %(cause)s::text)
  AND (%(sought)s::text IS NULL OR v.sku = %(sought)s::text OR d.code = %(sought)s::text)
ORDER BY d.code LIMIT %(most)s::int
"""
BY_CAUSE = """
SELECT cause, count(*), count(told_again_at), min(since) FROM stock_difference
WHERE look_id = %(look_id)s::bigint GROUP BY cause ORDER BY 2 DESC, 1
"""
# Of the newest look of each connection.
STANDING = """
SELECT c.code, k.ended_at, k.differing FROM connection c CROSS JOIN LATERAL (
    SELECT ended_at, differing FROM stock_look WHERE connection_id = c.id ORDER BY id DESC LIMIT 1) AS k
"""
ROLE = """
SELECT s.code AS source, s.name AS source_name, s.skew_seconds, r.scope, r.minutes, r.version
FROM connection_stock_role r JOIN stock_source s ON s.id = r.source_id
WHERE r.connection_id = %(connection_id)s::int
"""
SOURCE_OF = """
SELECT c.code FROM connection_stock_role r JOIN connection c ON c.id = r.connection_id
JOIN stock_source s ON s.id = r.source_id WHERE s.code = %(source)s::text
"""
PLACES = """
SELECT theirs, ours FROM method_mapping WHERE connection_id = %(connection_id)s::int AND kind = 'location'
"""


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison. `passing` differed at its first reading only, `underway` was being told."""

    id: int
    began_at: datetime
    ended_at: datetime
    shown: int
    listed: int
    passing: int
    underway: int
    differing: int


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A listing of which a channel shows another quantity. `shown` is null where the channel does not have it.

    `sku` is null where nothing is listed under the code; `error` is what the channel says why it refused.
    """

    code: str
    sku: str | None
    name: str | None
    cause: str  # of `stock_rules.Cause`
    shown: int | None
    told: int | None
    ours: int
    places: dict[str, int] | None
    since: datetime
    told_again_at: datetime | None
    repairs: int
    error: str | None


class CauseCount(msgspec.Struct, frozen=True):
    """How often a cause was found, how many of these were told again since, and since when the oldest differs."""

    cause: Cause
    count: int
    told_again: int
    since: datetime


class Role(msgspec.Struct, frozen=True, kw_only=True):
    """A connection states stock, for a source."""

    source: str
    source_name: str
    skew_seconds: int
    scope: str
    minutes: int
    version: int


async def ours(
    tx: Tx, channel_id: int, *, after: int, skus: Sequence[int] | None, since: datetime, grace: float, most: int
) -> list[Ours]:
    """Return a page of a channel's listings as they are here."""
    chosen = None if skus is None else list(skus)
    params = {"channel_id": channel_id, "after": after, "skus": chosen, "since": since, "grace": grace, "most": most}
    return await tx.all(Ours, OURS, params)


async def codes(tx: Tx, channel_id: int) -> list[str]:
    """Return what a channel calls its listings."""
    return await tx.values(CODES, {"channel_id": channel_id})


async def looks(tx: Tx, connection_id: int, most: int = 30) -> list[Look]:
    """Return the last comparisons, the newest first."""
    return await tx.all(Look, LOOKS, {"connection_id": connection_id, "most": most})


async def differences(
    tx: Tx, look_id: int, *, after: str = "", cause: str | None = None, sought: str | None = None, most: int = 100
) -> list[Difference]:
    """Return a page of what differed, by code; `sought` is a SKU or a code."""
    params = {"look_id": look_id, "after": after, "cause": cause, "sought": sought, "most": most}
    return await tx.all(Difference, DIFFERENCES, params)


async def by_cause(tx: Tx, look_id: int) -> list[CauseCount]:
    """Return how often each cause was found, the most frequent first."""
    found = await tx.tuples(BY_CAUSE, {"look_id": look_id})
    return [CauseCount(Cause(cause), count, told, since) for cause, count, told, since in found]


async def standing(tx: Tx) -> dict[str, tuple[datetime, int]]:
    """Return when each connection was compared last, and how many listings differed, by code."""
    return {code: (at, count) for code, at, count in await tx.tuples(STANDING)}


async def role(tx: Tx, connection_id: int) -> Role | None:
    """Return for which source a connection states stock."""
    return await tx.maybe(Role, ROLE, {"connection_id": connection_id})


async def source_of(tx: Tx, source: str) -> str | None:
    """Return the code of the connection that states stock for a source."""
    found: str | None = await tx.value(SOURCE_OF, {"source": source})
    return found


async def places(tx: Tx, connection_id: int) -> dict[str, str | None]:
    """Return which of our locations the places of a peer are, by its words."""
    return dict(await tx.tuples(PLACES, {"connection_id": connection_id}))
