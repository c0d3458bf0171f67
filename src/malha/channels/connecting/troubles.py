"""Connections that do not work although nobody stopped them: peers that do not answer, streams that cannot be read.

An outage of a minute is nobody's business, so only what failed several times in a row is told.
"""

from datetime import datetime

import msgspec
from prometheus_client import Gauge

from malha.channels.connecting import reads
from malha.platform.db import Tx

SILENT = Gauge(
    "malha_connections_silent", "Connections that are in use and whose peer does not answer.",
    multiprocess_mode="livemostrecent",
)  # fmt: skip
BROKEN = Gauge(
    "malha_connections_broken", "Connections whose peer does not know us any more.", multiprocess_mode="livemostrecent"
)
FOR_A_PERSON = Gauge(
    "malha_connection_entries_stuck", "What came from channels or goes to them and waits for a person.",
    multiprocess_mode="livemostrecent",
)  # fmt: skip
# The third rest begins after some two minutes without an answer; one answer clears all of it. A log holds a few hundred
# calls of a connection, by primary key.
SILENT_ONES = """
SELECT c.code, c.name,
       (SELECT max(l.at) FROM api_log l WHERE l.connection_id = c.id AND l.status < 500) AS since,
       coalesce((SELECT l.says FROM api_log l
                 WHERE l.connection_id = c.id AND (l.status IS NULL OR l.status >= 500)
                 ORDER BY l.at DESC LIMIT 1), '') AS says
FROM connection c JOIN connection_pace p ON p.connection_id = c.id
WHERE c.status = 'active' AND (p.breaker->>'opened')::int >= 3 AND (%(code)s::text IS NULL OR c.code = %(code)s::text)
ORDER BY since NULLS FIRST, c.name
"""
# A handful of rows a connection.
UNREAD = """
SELECT c.code, c.name, k.stream, k.read_at AS since, coalesce(k.error, '') AS says
FROM connection_cursor k JOIN connection c ON c.id = k.connection_id JOIN connection_pace p ON p.connection_id = c.id
WHERE c.status = 'active' AND k.failures >= 5 AND coalesce((p.breaker->>'opened')::int, 0) < 3
ORDER BY k.read_at NULLS FIRST, c.name, k.stream
"""


class Silent(msgspec.Struct, frozen=True):
    """A connection whose peer does not answer; `since` is its last answer that is still in the log."""

    code: str
    name: str
    since: datetime | None
    says: str


class Unread(msgspec.Struct, frozen=True):
    """A stream of a connection that fails to be read although its peer answers; `since` is when it last was read."""

    code: str
    name: str
    stream: str
    since: datetime | None
    says: str


async def silent(tx: Tx, code: str | None = None) -> list[Silent]:
    """Return the connections in use whose peer has not answered several times in a row, the longest silent first."""
    return await tx.all(Silent, SILENT_ONES, {"code": code})


async def unread(tx: Tx) -> list[Unread]:
    """Return the streams that could not be read five times in a row or more."""
    return await tx.all(Unread, UNREAD)


async def measure(tx: Tx) -> None:
    """Set the gauges."""
    SILENT.set(len(await silent(tx)))
    BROKEN.set(len(await reads.broken(tx)))
    FOR_A_PERSON.set(sum(cause.count for cause in await reads.all_causes(tx)))
