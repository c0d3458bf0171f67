"""Building a feed's file: page by page, each page one transaction with its piece of the file and what it counts.

A killed worker's build goes on where it was, in whatever worker comes next; nothing is written twice, nothing is
held in memory. The file that is being read stays until the new one is whole.

A build of changes says what differs from the last full file: both together say what is so. Who misses one of them
misses nothing, for the next one says it again.
"""

import asyncio
import hashlib
import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import structlog
from psycopg import OperationalError
from psycopg_pool import PoolTimeout

from malha.channels import reads as channel_reads
from malha.channels.feeds import making, reads, rules, writes, writing
from malha.channels.feeds.making import Made, Maker
from malha.channels.feeds.model import Build, BuildKind, Feed, Severity, State
from malha.platform import arrays, jobs, sealing, signing
from malha.platform.db import Database, Tx
from malha.platform.errors import Busy, MalhaError
from malha.platform.i18n import N_
from malha.platform.ids import UUID
from malha.platform.outward import Outward
from malha.platform.settings import Settings

PAGE = 2_000  # rows of one step; of steps of 5,000 and 10,000 rows each row was measured to cost more
KEEP_DAYS = 90  # what became of a build
PUSH_TIMEOUT_S = 600.0
PURPOSE = "feed push"
DEFECT = N_("A defect stopped the build; it is in the log.")
log = structlog.get_logger(__name__)


class _Piece(NamedTuple):
    """What a page adds to the file."""

    data: bytes
    packed: bytes
    rows: int
    removed: int
    said: dict[int, tuple[list[str], bytes]]  # keys and digest of what is said of a SKU


@jobs.task("feeds.build", attempts=5)
async def build(db: Database, *, build_id: str) -> None:
    """Build a file from where it stands. Killed and started again, it goes on; stopped, it ends."""
    id_ = UUID(build_id)
    ahead: _Ahead | None = None
    try:
        maker = await _begin(db, id_)
        if maker is not None:
            ahead = _Ahead(db, maker)
            while await _step(db, id_, ahead):
                pass
    except (OperationalError, PoolTimeout, Busy):  # the database is away, or another worker is at it: tried again
        raise
    except MalhaError as refusal:
        log.warning("feed_build_refused", build=build_id, code=refusal.code)
        await _fail(db, id_, str(refusal))
    except Exception:
        await _fail(db, id_, DEFECT)
        raise
    finally:
        if ahead is not None:
            await ahead.aclose()


async def _fail(db: Database, build_id: UUID, problem: str) -> None:
    async with db.transaction() as tx:
        ended = {"id": build_id, "state": State.FAILED.value, "problem": problem[:500], "push": ""}
        await tx.execute(writes.END_BUILD, ended)
        await tx.execute(writes.CLEAR_TODO, {"id": build_id})


async def _begin(db: Database, build_id: UUID) -> Maker | None:
    """Note what is so at the start and what has to be looked at; return what makes the rows, None if it has ended."""
    async with db.transaction() as tx:
        await tx.value(writes.LOCK_BUILD, {"id": build_id})
        found = await reads.build(tx, build_id)
        feed = None if found is None else await reads.feed_of_id(tx, found.feed_id)
        if found is None or feed is None or found.state not in {State.WAITING, State.BUILDING}:
            return None
        maker = await making.maker_of(tx, found.plan, feed.channel_id)
        if found.state is State.BUILDING:
            return maker
        # Before anything else is read: what changes meanwhile is found again by the next build of changes.
        position = await channel_reads.newest(tx)
        seen = await reads.seen(tx, feed.channel_id, making.program())
        kind = found.kind
        base = None if feed.baseline is None else await reads.build(tx, feed.baseline)
        if kind is BuildKind.CHANGES and (base is None or not rules.has_unique_ids(found.plan)):
            kind = BuildKind.FULL
        if kind is BuildKind.CHANGES and base is not None:
            asked = {"id": build_id, "channel_id": feed.channel_id}
            if base.seen == seen:
                await tx.execute(writes.FIND_CHANGES, {**asked, "feed_id": feed.id, "position": base.position})
            else:
                await tx.execute(writes.TODO_ALL, asked)
            total = await tx.value(reads.COUNT_TODO, {"id": build_id})
        else:
            await tx.execute(writes.FORGET_BASELINE, {"feed_id": feed.id})
            await tx.execute(writes.FORGET_ROWS, {"feed_id": feed.id})
            total = await tx.value(reads.COUNT_LISTINGS, {"channel_id": feed.channel_id})
        begun = {"id": build_id, "kind": kind.value, "seen": seen, "position": position, "total": total}
        await tx.execute(writes.BEGIN_BUILD, begun)
    return maker


class _Page(NamedTuple):
    """Listings after a SKU id, and what becomes of each."""

    after: int
    made: list[Made]


class _Ahead:
    """Reads and makes the next page while the one before is written: the database and this process work side by side.

    One page at a time, in a transaction of its own. What changes between that and the page's own transaction changes
    after the build began, and is found by the next build of changes.
    """

    def __init__(self, db: Database, maker: Maker) -> None:
        self.maker = maker
        self._db = db
        self._next: asyncio.Task[_Page] | None = None

    async def page(self, at: Build, channel_id: int) -> list[Made]:
        """Return what becomes of the listings after the last one of a build, and begin with those after them."""
        waiting, self._next = self._next, None
        found = None if waiting is None else await waiting
        if found is None or found.after != at.at_sku:  # the first, or another worker went on meanwhile
            found = await self._made(at, channel_id, at.at_sku)
        if found.made:
            last = found.made[-1].sku_id
            self._next = asyncio.create_task(self._made(at, channel_id, last))
        return found.made

    async def _made(self, at: Build, channel_id: int, after: int) -> _Page:
        maker = self.maker
        limit = PAGE if not maker.compiled.profile.per_location else max(20, PAGE // maker.places)
        async with self._db.transaction() as tx:
            if at.kind is BuildKind.FULL:
                page = await reads.goods_after(tx, channel_id, after, limit)
            else:
                page = await reads.goods_to_do(tx, at.id, channel_id, after, limit)
            places = await maker.stock(tx, page) if page else None
        return _Page(after, await asyncio.to_thread(maker.made, page, places) if places is not None else [])

    async def aclose(self) -> None:
        """Have done with what was begun."""
        if self._next is not None:
            self._next.cancel()
            await asyncio.gather(self._next, return_exceptions=True)


async def _step(db: Database, build_id: UUID, ahead: _Ahead) -> bool:
    """Build one page; return whether there is more to do."""
    maker = ahead.maker
    async with db.transaction() as tx:
        # The lock of the build's row: of two workers that believe it theirs, one waits and goes on after the other.
        if await tx.value(writes.LOCK_BUILD, {"id": build_id}) != State.BUILDING:
            return False
        at = await reads.build(tx, build_id)
        feed = None if at is None else await reads.feed_of_id(tx, at.feed_id)
        if at is None or feed is None:
            return False
        made = await ahead.page(at, feed.channel_id)
        if not made:
            await _finish(tx, feed, at, maker)
            return False
        skus = [one.sku_id for one in made]
        twice = await _twice(tx, feed, at, maker, made)
        before = await reads.rows_of(tx, feed.id, skus) if at.kind is BuildKind.CHANGES else None
        piece = await asyncio.to_thread(_piece, at, feed, maker, made, twice, before)
        async with tx.pipeline():  # nothing is read any more: one round trip
            await _keep(tx, feed, at, made, twice, piece)
    return True


async def _twice(tx: Tx, feed: Feed, at: Build, maker: Maker, made: Sequence[Made]) -> dict[int, str]:
    """Return the SKUs whose id a listing before them has in this file: the first one keeps it."""
    if at.kind is BuildKind.CHANGES or rules.has_unique_ids(at.plan):
        return {}
    ids = {one.sku_id: id_ for one in made if (id_ := _id_of(maker, one)) is not None}
    asked = {"feed_id": feed.id, "ids": sorted(set(ids.values())), "before": made[0].sku_id}
    taken = set(await tx.values(reads.TAKEN_IDS, asked)) if ids else set()
    twice = {}
    for sku_id, id_ in ids.items():
        if id_ in taken:
            twice[sku_id] = id_
        taken.add(id_)
    return twice


def _id_of(maker: Maker, one: Made) -> str | None:
    """Return the id that a listing has in the file, None where no row of it is written."""
    n = maker.compiled.columns.index("id")
    return next((row.values[n] for row in one.rows if row.values is not None), None)


def _piece(
    at: Build,
    feed: Feed,
    maker: Maker,
    made: Sequence[Made],
    twice: dict[int, str],
    before: dict[int, tuple[list[str], bytes]] | None,
) -> _Piece:
    """Write the rows of a page; of changes, only listings of which something else is said than in the full file."""
    format_, compiled = at.plan.format, maker.compiled
    columns = columns_of(maker, at.kind)
    marked = len(columns) > len(compiled.columns)
    said: dict[int, tuple[list[str], bytes]] = {}
    lines: list[list[Any]] = []
    rows = removed = 0
    for one in made:
        written = [] if one.sku_id in twice else [row for row in one.rows if row.values is not None]
        keys = [row.key for row in written]
        values = [row.values for row in written if row.values is not None]
        digest = hashlib.blake2b(msgspec.json.encode(values), digest_size=8).digest() if values else b""
        said[one.sku_id] = keys, digest
        if before is not None:
            old_keys, old = before.get(one.sku_id, ([], b""))
            if old == digest:
                continue
            stay = set(keys)
            gone = [compiled.gone(key) for key in old_keys if key not in stay]
            lines += [[*row, "true"] for row in gone] if marked else gone
            removed += len(gone)
            rows += len(gone)
        lines += [[*row, ""] for row in values] if marked else values
        rows += len(values)
    data = writing.head(format_, columns, feed.name, _website(maker)) if at.parts == 0 else b""
    data += writing.rows(format_, columns, lines) if lines else b""
    return _Piece(data, writing.packed(data, first=at.parts == 0), rows, removed, said)


def columns_of(maker: Maker, kind: BuildKind) -> list[str]:
    """Return the fields of a file; where the target takes any, changes have one more that says what was removed."""
    more = [rules.REMOVED] if kind is BuildKind.CHANGES and maker.compiled.profile.open else []
    return maker.compiled.columns + more


def _website(maker: Maker) -> str:
    return maker.compiled.website or "https://"


async def _keep(tx: Tx, feed: Feed, at: Build, made: Sequence[Made], twice: dict[int, str], piece: _Piece) -> None:
    await _keep_counts(tx, at, made, twice)
    refused, warned = await _keep_flaws(tx, at, made, twice)
    if at.kind is BuildKind.FULL:
        id_is_free = not rules.has_unique_ids(at.plan)
        skus = [one.sku_id for one in made]
        keys = ["\n".join(piece.said[sku][0]) for sku in skus]
        checked = [_last(piece.said[sku][0]) if id_is_free else None for sku in skus]
        row = {
            "feed_id": feed.id,
            "skus": arrays.ints(skus),
            "stamps": arrays.ints([one.stamp for one in made]),
            "keys": arrays.texts(keys),
            # An escape is one backslash of bytea and one of the array.
            "digests": arrays.bare('"\\\\x' + piece.said[sku][1].hex() + '"' for sku in skus),
            "checked": arrays.texts(checked),
        }
        await tx.execute(writes.PUT_ROWS, row)
    await _advance(tx, at, piece, at_sku=made[-1].sku_id, looked=len(made), refused=refused, warned=warned)


def _last(keys: list[str]) -> str | None:
    return keys[0].rpartition("\t")[2] if keys else None


async def _advance(tx: Tx, at: Build, piece: _Piece, *, at_sku: int, looked: int, refused: int, warned: int) -> None:
    await tx.execute(writes.ADD_PART, {"id": at.id, "part": at.parts, "data": piece.packed})
    await tx.execute(
        writes.ADVANCE,
        {
            "id": at.id,
            "at_sku": at_sku,
            "looked": looked,
            "rows": piece.rows,
            "removed": piece.removed,
            "refused": refused,
            "warned": warned,
            "size": len(piece.data),
            "packed": len(piece.packed),
            "crc": zlib.crc32(piece.data, at.crc),
            "digest": hashlib.blake2b(at.digest + piece.data, digest_size=16).digest(),
            "from_sku": at.at_sku,
            "from_parts": at.parts,
        },
    )


async def _keep_counts(tx: Tx, at: Build, made: Sequence[Made], twice: dict[int, str]) -> None:
    counted: making.Tally = {}
    making.tally(made, counted, twice)
    if counted:
        severities, names, fields = zip(*counted, strict=True)
        columns = {"severities": list(severities), "rules": list(names), "fields": list(fields)}
        await tx.execute(writes.ADD_COUNTS, {"id": at.id, **columns, "rows": list(counted.values())})


async def _keep_flaws(tx: Tx, at: Build, made: Sequence[Made], twice: dict[int, str]) -> tuple[int, int]:
    """Keep every row that has something; return how many are left out, and how many are written all the same."""
    kept: list[tuple[int, str, rules.Found]] = []
    refused = warned = 0
    for one in made:
        again = rules.Found("duplicate_id", "id", Severity.ERROR, twice.get(one.sku_id, ""))
        for row in one.rows:
            found = [*row.found, again] if one.sku_id in twice else row.found
            kept += [(one.sku_id, row.place, each) for each in found]
            if row.values is None or one.sku_id in twice:
                refused += 1
            elif found:
                warned += 1
    if kept:
        await tx.execute(
            writes.ADD_FLAWS,
            {
                "id": at.id,
                "skus": arrays.ints([sku for sku, _, _ in kept]),
                "places": arrays.texts(place for _, place, _ in kept),
                "rules": arrays.bare(found.rule for _, _, found in kept),
                "fields": arrays.texts(found.field for _, _, found in kept),
                "severities": arrays.bare(found.severity.value for _, _, found in kept),
                "values": arrays.texts(found.value for _, _, found in kept),
            },
        )
    return refused, warned


async def _finish(tx: Tx, feed: Feed, at: Build, maker: Maker) -> None:
    """End the file; from this commit on it is the one that is read."""
    format_ = at.plan.format
    data = writing.tail(format_)
    if at.parts == 0:
        data = writing.head(format_, columns_of(maker, at.kind), feed.name, _website(maker)) + data
    size, crc = at.size + len(data), zlib.crc32(data, at.crc)
    packed = (writing.packed(data, first=at.parts == 0) if data else b"") + writing.trailer(crc, size)
    await _advance(tx, at, _Piece(data, packed, 0, 0, {}), at_sku=at.at_sku, looked=0, refused=0, warned=0)
    push = feed.push_url is not None and (at.kind is BuildKind.FULL or "{name}" in feed.push_url)
    ended = {"id": at.id, "state": State.DONE.value, "problem": "", "push": "waiting" if push else ""}
    await tx.execute(writes.END_BUILD, ended)
    if at.kind is BuildKind.FULL:
        await tx.execute(writes.KEEP_BASELINE, {"id": at.id})
        await tx.execute(writes.HURRY_CHANGES, {"feed_id": feed.id})
    await tx.execute(writes.CLEAR_TODO, {"id": at.id})
    await tx.execute(writes.DROP_OLD_PARTS, {"feed_id": feed.id})
    await tx.execute(writes.DROP_OLD_FLAWS, {"feed_id": feed.id})
    await tx.execute(writes.DROP_OLD_BUILDS, {"feed_id": feed.id, "days": KEEP_DAYS})
    if push:
        await jobs.defer(tx, push_file, lock=f"feed-push:{feed.id}", build_id=str(at.id))


# --- handing a file over ---


class NotTaken(Exception):
    """The other side did not take the file: the job is tried again."""


@jobs.task("feeds.push", attempts=6)
async def push_file(db: Database, settings: Settings, *, build_id: str) -> None:
    """Put a file to where the feed says, in pieces; what came of it is kept. The same again does no harm."""
    id_ = UUID(build_id)
    async with db.transaction() as tx:
        found = await reads.build(tx, id_)
        feed = None if found is None else await reads.feed_of_id(tx, found.feed_id)
        if found is None or feed is None or feed.push_url is None or found.push_state != "waiting":
            return
        if not await tx.value(reads.HAS_PARTS, {"id": id_}):
            await tx.execute(writes.SET_PUSHED, {"id": id_, "state": "failed", "error": _REPLACED})
            return
        sealed = await tx.value(reads.SEALED_SECRET, {"id": feed.id})
    headers = {
        "content-type": found.plan.format.media_type,
        "content-encoding": "gzip",
        "content-length": str(found.packed),
    }
    if sealed:
        headers["authorization"] = sealing.unseal(signing.keys_of(settings), PURPOSE, bytes(sealed))
    outward = Outward(settings.outward_allow, timeout_s=PUSH_TIMEOUT_S)
    address = feed.push_url.replace("{name}", name_of(feed.code, found.kind, found.plan.format.ending) + ".gz")
    try:
        answer = await outward.send("PUT", address, headers=headers, body=reads.packed_parts(db, id_))
        problem = "" if answer.status // 100 == 2 else f"HTTP {answer.status}"
    except MalhaError as error:
        problem = str(error)
    async with db.transaction() as tx:
        state = "done" if not problem else "waiting"
        await tx.execute(writes.SET_PUSHED, {"id": id_, "state": state, "error": problem[:500]})
    if problem:
        raise NotTaken(problem)


_REPLACED = N_("A newer file came before it could be handed over.")


def name_of(code: str, kind: BuildKind, ending: str) -> str:
    """Return what a feed's file is called."""
    return f"{code}.{ending}" if kind is BuildKind.FULL else f"{code}.changes.{ending}"
