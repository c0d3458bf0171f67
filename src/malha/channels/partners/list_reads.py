"""Lists of partners, for the API and the pages: what was asked, what comes, and the files of both sides."""

import gzip
from datetime import datetime
from enum import StrEnum

import msgspec

from malha.channels.connecting import reads as connections
from malha.channels.connecting import registry
from malha.channels.contract import Capability
from malha.platform.db import Tx
from malha.platform.ids import UUID


class Only(StrEnum):
    """Which requests of a partner."""

    ALL = "all"
    OPEN = "open"
    OVERDUE = "overdue"
    ENDED = "ended"


# An answer is overdue when the partner has had the request for so many hours, or when the goods should have left. A
# request without its operation was told so long ago that it is kept no more.
_OVERDUE = """
r.state <> 'ended' AND (r.due_at < now() OR (r.state = 'asked' AND o.state = 'done'
    AND o.done_at < now() - make_interval(hours => %(hours)s::int)) OR o.state = 'dead')
"""
# The newest first by the primary key, whose ids begin with the time; a part that went ahead stands by itself.
REQUESTS = (
    """
SELECT r.fulfillment_id AS id, r.name, s.number AS order_number, l.code AS location, r.state, r.outcome, r.note,
       r.due_at, r.created_at, o.state AS told, coalesce(o.error, '') AS told_error, o.done_at AS told_at,
       r.answered_at, r.ended_at, r.root <> r.fulfillment_id AS part,
       coalesce(u.asked, 0)::int AS asked, coalesce(u.cancelled, 0)::int AS cancelled,
       coalesce(u.short, 0)::int AS short,
       coalesce("""
    + _OVERDUE
    + """, false) AS overdue
FROM partner_request r
JOIN sales_order s ON s.id = r.order_id
JOIN location l ON l.id = r.location_id
LEFT JOIN channel_op o ON o.key = r.op_key
LEFT JOIN LATERAL (SELECT sum(n.asked) AS asked, sum(n.cancelled) AS cancelled, sum(n.short) AS short
                   FROM partner_request_line n WHERE n.fulfillment_id = r.fulfillment_id) u ON true
WHERE r.connection_id = %(connection_id)s::int
  AND (%(before)s::uuid IS NULL OR r.fulfillment_id < %(before)s::uuid)
  AND (%(ended)s::boolean IS NULL OR (r.state = 'ended') = %(ended)s::boolean)
  AND (NOT %(overdue)s::boolean OR ("""
    + _OVERDUE
    + """))
  AND (%(text)s::text IS NULL OR upper(r.name) = upper(%(text)s::text) OR s.number::text = %(text)s::text)
ORDER BY r.fulfillment_id DESC LIMIT %(limit)s::int
"""
)
# Open ones by their partial index, files by theirs.
COUNTS = (
    """
SELECT (SELECT count(*) FROM partner_request r
        WHERE r.connection_id = %(connection_id)s::int AND r.state <> 'ended')::int AS open,
       (SELECT count(*) FROM partner_request r
        WHERE r.connection_id = %(connection_id)s::int AND r.state = 'asked')::int AS unanswered,
       (SELECT count(*) FROM partner_request r LEFT JOIN channel_op o ON o.key = r.op_key
        WHERE r.connection_id = %(connection_id)s::int AND """
    + _OVERDUE
    + """)::int AS overdue,
       (SELECT count(*) FROM partner_file f WHERE f.connection_id = %(connection_id)s::int AND f.state = 'held')::int
           AS held_files,
       (SELECT max(at) FROM partner_file f WHERE f.connection_id = %(connection_id)s::int AND f.way = 'in') AS heard_at
"""
)
# Of all partners, each by its own hours; what could not be told stands among what could not be told. By the partial
# index on open requests.
OVERDUE = """
SELECT c.code AS connection, c.name, count(*)::int AS requests,
       count(*) FILTER (WHERE r.due_at < now())::int AS late,
       min(least(r.due_at, o.done_at + make_interval(hours => w.hours))) AS since
FROM unnest(%(connections)s::int[], %(hours)s::int[]) AS w(connection_id, hours)
JOIN connection c ON c.id = w.connection_id
JOIN partner_request r ON r.connection_id = w.connection_id AND r.state <> 'ended'
LEFT JOIN channel_op o ON o.key = r.op_key
WHERE o.state IS DISTINCT FROM 'dead'
  AND (r.due_at < now()
       OR (r.state = 'asked' AND o.state = 'done' AND o.done_at < now() - make_interval(hours => w.hours)))
GROUP BY c.id ORDER BY since
"""
FILES = """
SELECT f.number, f.way, f.kind, f.name, f.bytes, f.rows, f.listed, f.held, f.state, f.says, f.at, f.ended_at
FROM partner_file f WHERE f.connection_id = %(connection_id)s::int
  AND (%(before)s::bigint IS NULL OR f.number < %(before)s::bigint)
  AND (%(way)s::text IS NULL OR f.way = %(way)s::text)
  AND (NOT %(held)s::boolean OR f.state = 'held')
ORDER BY f.number DESC LIMIT %(limit)s::int
"""
# The newest of each kind that came, by the index on the newest: they are kept for a month.
NEWEST = """
SELECT DISTINCT ON (f.kind) f.number, f.way, f.kind, f.name, f.bytes, f.rows, f.listed, f.held, f.state, f.says, f.at,
       f.ended_at
FROM partner_file f WHERE f.connection_id = %(connection_id)s::int AND f.way = 'in'
ORDER BY f.kind, f.number DESC
"""
FILE = """
SELECT id, number, kind, name, way, says, content FROM partner_file
WHERE connection_id = %(connection_id)s::int AND number = %(number)s::bigint
"""
NOTICES = """
SELECT n.name, n.kind, n.number, l.code AS location, n.version, n.told_at, n.received_at, o.state AS told
FROM partner_notice n JOIN location l ON l.id = n.location_id LEFT JOIN channel_op o ON o.key = n.op_key
WHERE n.connection_id = %(connection_id)s::int AND (%(before)s::text IS NULL OR n.name < %(before)s::text)
ORDER BY n.name DESC LIMIT %(limit)s::int
"""


class RequestRow(msgspec.Struct, frozen=True, kw_only=True):
    """A request and where it stands. `told` is the state of its way out; `part`: it went ahead of the rest."""

    id: UUID
    name: str
    order_number: int
    location: str
    state: str
    outcome: str | None
    note: str
    due_at: datetime
    created_at: datetime
    told: str | None
    told_error: str
    told_at: datetime | None
    answered_at: datetime | None
    ended_at: datetime | None
    part: bool
    asked: int
    cancelled: int
    short: int
    overdue: bool


class Counts(msgspec.Struct, frozen=True):
    """How much a partner has in hand, and how much of it needs somebody."""

    open: int
    unanswered: int
    overdue: int
    held_files: int
    heard_at: datetime | None


class Overdue(msgspec.Struct, frozen=True):
    """Requests of a partner that somebody must ask about: no answer in time, or `late`, they should have left."""

    connection: str
    name: str
    requests: int
    late: int
    since: datetime


class FileRow(msgspec.Struct, frozen=True, kw_only=True):
    """A file that came or went."""

    number: int
    way: str
    kind: str
    name: str
    bytes: int
    rows: int
    listed: int  # how many products or orders of it are taken
    held: int
    state: str
    says: str
    at: datetime
    ended_at: datetime | None


class FileKept(msgspec.Struct, frozen=True, kw_only=True):
    """A file with its content, gzipped."""

    id: UUID
    number: int
    kind: str
    name: str
    way: str
    says: str
    content: bytes

    def body(self) -> bytes:
        """Return the file as it was."""
        return gzip.decompress(self.content)


class NoticeRow(msgspec.Struct, frozen=True, kw_only=True):
    """Goods that a partner was told to expect."""

    name: str
    kind: str
    number: int
    location: str
    version: int
    told_at: datetime
    received_at: datetime | None
    told: str | None


async def requests(
    tx: Tx,
    connection_id: int,
    hours: int,
    *,
    only: Only = Only.ALL,
    text: str = "",
    before: UUID | None = None,
    limit: int = 50,
) -> list[RequestRow]:
    """Return what a partner was asked, the newest first; `text` is the name of a request or the number of an order."""
    ended = {Only.OPEN: False, Only.OVERDUE: False, Only.ENDED: True}.get(only)
    about = {"connection_id": connection_id, "hours": hours, "ended": ended, "overdue": only is Only.OVERDUE}
    place = {"text": text.strip() or None, "before": before, "limit": limit}
    return await tx.all(RequestRow, REQUESTS, about | place)


async def counts(tx: Tx, connection_id: int, hours: int) -> Counts:
    """Return how much a partner has in hand."""
    return await tx.one(Counts, COUNTS, {"connection_id": connection_id, "hours": hours})


async def overdue(tx: Tx) -> list[Overdue]:
    """Return the partners with requests that are overdue, the one that waits longest first."""
    partners = [c for c in await connections.all_linked(tx) if is_partner(c.connector)]
    asked = {"connections": [c.id for c in partners], "hours": [hours_of(c.config) for c in partners]}
    return await tx.all(Overdue, OVERDUE, asked) if partners else []


def is_partner(connector: str) -> bool:
    """Tell whether connections of a connector are to logistics partners."""
    known = registry.connectors().get(connector)
    return known is not None and Capability.FULFILMENT in known.capabilities


async def files(
    tx: Tx,
    connection_id: int,
    *,
    way: str | None = None,
    held: bool = False,
    before: int | None = None,
    limit: int = 50,
) -> list[FileRow]:
    """Return files of both sides, the newest first."""
    about = {"connection_id": connection_id, "way": way, "held": held, "before": before, "limit": limit}
    return await tx.all(FileRow, FILES, about)


async def newest(tx: Tx, connection_id: int) -> dict[str, FileRow]:
    """Return the newest file that came, by its kind."""
    return {row.kind: row for row in await tx.all(FileRow, NEWEST, {"connection_id": connection_id})}


async def file(tx: Tx, connection_id: int, number: int) -> FileKept | None:
    """Return a file with its content."""
    return await tx.maybe(FileKept, FILE, {"connection_id": connection_id, "number": number})


async def notices(tx: Tx, connection_id: int, *, before: str | None = None, limit: int = 50) -> list[NoticeRow]:
    """Return the goods that a partner was told to expect."""
    return await tx.all(NoticeRow, NOTICES, {"connection_id": connection_id, "before": before, "limit": limit})


ANSWER_HOURS = 4


def hours_of(config: dict[str, object]) -> int:
    """Return for how many hours a partner may leave a request without an answer."""
    said = config.get("answer_hours")
    return said if isinstance(said, int) and said > 0 else ANSWER_HOURS
