"""Snapshots as they come in: a file is kept, loaded, compared with the balances, and what differs is kept for later.

Nothing is changed here. What is refused leaves nothing behind; what is accepted can be applied by any worker, from the
rows that differ alone. A whole snapshot that would empty more balances than its source's guard allows waits for a
person, or is refused, as the source is set.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import psycopg
import structlog

from malha.inventory.service import refuse_too_long_ago
from malha.inventory.sync import reads, sieve, writes
from malha.inventory.sync.errors import AsOfInFuture, EmptySnapshot, OlderAsOf, OlderSnapshot
from malha.inventory.sync.files import Arriving, Shape, pieces, rows_one_by_one
from malha.inventory.sync.model import Leaves, Scope, Snapshot, Source, State, ZeroRule
from malha.inventory.sync.sieve import Balances, Known, Rows, Sifted
from malha.inventory.sync.sources import places_of, refuse_inactive
from malha.inventory.sync.writes import Again, Stage
from malha.network import reads as network
from malha.network.errors import UnknownLocation
from malha.platform import arrays, audit, idempotency
from malha.platform.db import Actor, Database, Tx
from malha.platform.errors import MalhaError
from malha.platform.idempotency import KeyReused
from malha.platform.ids import UUID, new_id

log = structlog.get_logger(__name__)

# Movements carry the start of their transaction: one that began before as_of may still be at work this much later.
SETTLED = timedelta(seconds=2)
LOOK_BACK = timedelta(hours=1)  # a movement is recorded at most so long before the moment it claims
CLOCK_AHEAD = timedelta(seconds=5)
CHECK = '{"code": "check"}'  # why a snapshot waits that nothing is wrong with

# Units that left a source's books and are still on our shelves at a moment: (sku_id, location_id, units).
Underway = Callable[[Tx, Leaves, datetime, Sequence[int]], Awaitable[list[tuple[int, int, int]]]]
Begin = Callable[[Tx, UUID, int], Awaitable[None]]  # have it applied after commit: snapshot, source


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """What a source says of the file it sends. No `locations` means those the file mentions.

    With `check` it is compared and accepted as always, and then waits for a person to look at what it would change.
    """

    source: str
    seq: int
    as_of: datetime
    scope: Scope
    locations: list[str] | None = None
    check: bool = False
    name: str = ""
    key: str | None = None
    media_type: str = ""


class TooManyZeros(MalhaError):
    """A snapshot would empty more than its source's guard allows: it is kept, with what it said, and not applied."""

    status = 409
    code = "too_many_zeros"
    says = "Snapshot {number} would empty {zeroed} of {stocked} stocked balances, more than {percent}%: it was refused."
    mend = "Check the file. Raise the guard of the source if the numbers are right, and send it again."


async def receive(
    db: Database,
    actor: Actor,
    said: Statement,
    body: AsyncIterator[bytes],
    *,
    underway: Underway,
    begin: Begin,
    limit_mb: int,
    sift_from: int = sieve.FROM_ROWS,
) -> Snapshot:
    """Take a snapshot in; return where it stands. The same file again gives the same snapshot.

    Raises:
        UnknownSource, SourceInactive, NotItsLocation, UnknownLocation, AsOfInFuture, TooLongAgo: by what is said of it.
        SnapshotTooLarge, PackedBomb, UnreadablePacking, UnreadableTable, MissingColumns, EmptySnapshot: by the file.
        OlderSnapshot, OlderAsOf: a newer one was accepted.
        KeyReused: the idempotency key came with another file.
        TooManyZeros: the guard of the source refuses it; it stays in the list.
    """
    if said.key is not None:
        idempotency.refuse_key(said.key)
    refuse_too_long_ago(said.as_of)
    async with db.transaction(actor) as tx:
        source = await reads.source(tx, said.source)
        refuse_inactive(source)
        _refuse_outside(actor, source, said)
        if said.as_of > await tx.now() + timedelta(seconds=source.skew_seconds) + CLOCK_AHEAD:
            raise AsOfInFuture(as_of=said.as_of.isoformat())
    with Arriving(limit_mb) as file:
        async for piece in body:
            await asyncio.to_thread(file.write, piece) if len(piece) > 65_536 else file.write(piece)
        async with db.transaction(actor) as tx:
            known = await _known(tx, actor, source, said, file.digest)
        if known is not None:
            return _refused(known)
        table, shape = await asyncio.to_thread(file.table, said.media_type)
        if "owner" in shape.columns:
            async with db.transaction(actor) as tx:
                kept = await network.all_kept(tx)
            table, shape = await asyncio.to_thread(file.of_owners, shape, kept)
        return await _Intake(db, actor, source, said, sift_from).take(file, table, shape, underway, begin)


def _refused(taken: Snapshot) -> Snapshot:
    """Raise what a refused snapshot was answered with, each time it is sent; return any other."""
    if taken.state is State.REFUSED:
        percent = taken.zero_percent
        raise TooManyZeros(number=taken.number, zeroed=taken.zeroed, stocked=taken.stocked, percent=percent)
    return taken


def _refuse_outside(actor: Actor, source: Source, said: Statement) -> None:
    by_code = source.truths | source.secondaries
    if said.locations is not None:
        places_of(source, said.locations)
        for code in said.locations:
            if not actor.sees(by_code[code]):
                raise UnknownLocation(key=code)


async def _known(tx: Tx, actor: Actor, source: Source, said: Statement, digest: bytes) -> Snapshot | None:
    """Return the snapshot this very statement already is.

    Raises:
        KeyReused, OlderSnapshot: it is another one, and cannot be taken.
    """
    if said.key is not None:
        kept = await reads.snapshot_by_key(tx, actor.label, said.key)
        if kept is not None:
            if (kept.digest, kept.source_id, kept.seq) != (digest, source.id, said.seq):
                raise KeyReused
            return kept
    now = await reads.source_by_id(tx, source.id)
    if said.seq > now.last_seq:
        return None
    same = await reads.snapshot_by_seq(tx, source.id, said.seq)
    if same is not None and same.digest == digest and same.as_of == said.as_of and same.scope == said.scope:
        return same
    raise OlderSnapshot(seq=said.seq, source=source.code, last=now.last_seq)


class _Loaded:
    """A file and where its rows are: in `rows`, to be sifted, or in the table of its stage."""

    def __init__(self, stage: Stage, number: int, table: Any, shape: Shape, rows: Rows | None) -> None:
        self.stage = stage
        self.number = number
        self.table = table
        self.shape = shape
        self.rows = rows
        self.count = 0 if rows is None else rows.count  # of the file that came


class _Intake:
    """One file on its way in."""

    def __init__(self, db: Database, actor: Actor, source: Source, said: Statement, sift_from: int) -> None:
        self.db = db
        self.actor = actor
        self.source = source
        self.said = said
        self.sift_from = sift_from
        self.id = new_id()
        self.before: list[UUID] = []  # earlier statements that are still to be applied

    async def take(self, file: Arriving, table: Any, shape: Shape, underway: Underway, begin: Begin) -> Snapshot:
        said = self.said
        async with self.db.transaction(self.actor) as tx:
            number: int = await tx.value(
                writes.ADD_SNAPSHOT,
                {
                    "id": self.id,
                    "source": self.source.id,
                    "seq": said.seq,
                    "as_of": said.as_of,
                    "scope": said.scope.value,
                    "name": "".join(c for c in said.name if c.isprintable())[:200],
                    "client": self.actor.label,
                    "person": self.actor.name,
                },
            )
        stage = Stage(number, len(shape.header), shape.columns, trimmed=shape.trimmed)
        try:
            loaded = _Loaded(stage, number, table, shape, await self._read(file, table, shape))
            if loaded.rows is None:
                loaded.count = await self._load(stage, table, shape) - shape.beside
            async with self.db.transaction(self.actor) as tx:
                note = {"id": self.id, "bytes": file.bytes, "digest": file.digest, "rows": loaded.count}
                others, odd = [msgspec.json.encode(each).decode() for each in (file.other_sheets, file.oddities)]
                await tx.execute(writes.NOTE_FILE, note | {"other_sheets": others, "oddities": odd})
                settled = said.as_of + timedelta(seconds=self.source.skew_seconds) + SETTLED - await tx.now()
            await asyncio.sleep(max(settled.total_seconds(), 0))
            async with self.db.transaction(self.actor) as tx:
                taken = await self._compare(tx, loaded, file.digest, underway, begin)
        except BaseException:
            await asyncio.shield(self._undo(stage, forget=True))
            raise
        await asyncio.shield(self._undo(stage, forget=taken.id != self.id))
        return _refused(taken)

    async def _undo(self, stage: Stage, *, forget: bool) -> None:
        async with self.db.transaction() as tx:
            await tx.execute(stage.drop())
            if forget:
                await tx.execute(writes.DROP_SNAPSHOT, {"id": self.id})

    async def _read(self, file: Arriving, table: Any, shape: Shape) -> Rows | None:
        """Read a file to be sifted, if it is one of many rows and of a bounded size, which are those that came."""
        if shape.beside or not self.sift_from * 5 <= file.bytes <= sieve.MOST_BYTES:
            return None
        start = table.tell()
        rows = await asyncio.to_thread(sieve.read, table, shape)
        table.seek(start)
        return rows if rows is not None and rows.count >= self.sift_from else None

    async def _load(self, stage: Stage, table: Any, shape: Shape) -> int:
        """Load the file by COPY; when a row of it cannot be read, row by row. Return how many rows there are."""
        try:
            async with self.db.transaction(self.actor) as tx:
                await tx.execute(stage.make())
                load = stage.load(delimiter=shape.delimiter, header=True, encoding=shape.encoding)
                async with tx.connection.cursor() as cursor:
                    async with cursor.copy(load) as copy:
                        for piece in pieces(table):
                            await copy.write(piece)
                    if cursor.rowcount < 1:
                        raise EmptySnapshot
                    return cursor.rowcount
        except psycopg.DataError as error:
            log.info("snapshot_read_by_rows", why=str(error).splitlines()[0])
        async with self.db.transaction(self.actor) as tx:
            await tx.execute(stage.make())
            load = stage.load(delimiter=";", header=False, encoding="UTF8", rows=True)
            count = 0
            async with tx.connection.cursor() as cursor, cursor.copy(load) as copy:
                for packed, some in _packed(rows_one_by_one(table, shape)):
                    await copy.write(packed)
                    count += some
        if not count:
            raise EmptySnapshot
        return count

    async def _sift(
        self, tx: Tx, loaded: "_Loaded", places: dict[str, int], most: bool, underway: Underway
    ) -> tuple[Sifted, list[tuple[int, int, int]]] | None:
        """Keep the clear rows that differ and load those that are not; None when the file has to be loaded whole.

        What asks for a second look is read after the balances: what moves between the two is looked at.
        """
        rows, ids = loaded.rows, sorted(places.values())
        if rows is None or not ids or not await self._bounded(tx, rows.count, ids):
            return None
        statement = reads.BALANCES_OF_MOST if most else reads.BALANCES
        balances = Balances(*(await tx.tuples(statement, {"locations": ids}))[0])
        moving = await underway(tx, self.source.leaves, self.said.as_of, ids)
        again = self._again(ids, moving)
        looked = (await tx.tuples(again.all_keys()))[0]
        by_gtin = "sku" not in rows.columns
        texts = await asyncio.to_thread(rows.texts, "gtin" if by_gtin else "sku")
        known = Known(await reads.known(tx, texts, by_gtin=by_gtin))
        sifted = await asyncio.to_thread(rows.sift, known, places, balances, looked)
        if sifted is None:
            return None
        clear = {
            "id": self.id,
            "skus": arrays.ints(sifted.skus),
            "locations": arrays.ints(sifted.locations),
            "units": arrays.ints(sifted.units),
            "versions": arrays.ints(sifted.versions),
            "since": again.since,
            "places": ids,
        }
        await tx.execute(writes.KEEP_CLEAR, clear)
        loaded.stage = Stage(loaded.number, len(rows.columns), {c: i for i, c in enumerate(rows.columns)}, trimmed=True)
        await tx.execute(loaded.stage.make())
        if sifted.unclear:
            load = loaded.stage.load(delimiter=";", header=False, encoding="UTF8", rows=True)
            async with tx.connection.cursor() as cursor, cursor.copy(load) as copy:
                await copy.write(sifted.table)
        return sifted, moving

    async def _bounded(self, tx: Tx, rows: int, ids: Sequence[int]) -> bool:
        """Tell whether the balances of locations may be fetched, and are not many more than the rows of a few."""
        most = sieve.MOST_BALANCES
        if self.said.scope is Scope.WHOLE:
            if 0 <= await tx.value(reads.ABOUT_BALANCES) <= most // 2:
                return True
        else:
            most = min(rows * 4, most)
        stood: int = await tx.value(reads.COUNT_BALANCES, {"locations": ids, "most": most})
        return stood <= most

    async def _judge(
        self, tx: Tx, loaded: "_Loaded", ids: Sequence[int], whole: bool, most: bool, underway: Underway
    ) -> tuple[int, bool, int, list[tuple[int, int, int]]]:
        """Compare all rows of a file.

        Returns:
            How many rows are unsound, whether any stand twice, how many balances have stock, and what is under way.
        """
        stage = loaded.stage
        await tx.execute(stage.compare(ids, whole=whole, most=most))
        stood, stocked = (await tx.tuples(writes.COUNT_STOCKED, {"locations": ids}))[0]
        fresh, unmatched, unsound, double = (await tx.tuples(stage.shape()))[0]
        beside = loaded.shape.beside
        look = not whole or double > 0 or beside > 0 or loaded.count - fresh > stood - unmatched
        await tx.execute(stage.twice(ids, look=look))
        await tx.execute(stage.keep(self.id, self._again(ids, [])))
        if fresh:
            await tx.execute(writes.ENSURE_NEW, {"id": self.id})
        moving = await underway(tx, self.source.leaves, self.said.as_of, ids)
        await tx.execute(stage.look_again(self.id, self._again(ids, moving)))
        twice = bool(await tx.value(stage.any_twice())) if look else False
        return unsound, twice, stocked, moving

    async def _judge_unclear(
        self,
        tx: Tx,
        stage: Stage,
        ids: Sequence[int],
        whole: bool,
        sifted: Sifted,
        moving: list[tuple[int, int, int]],
    ) -> tuple[int, bool, int, list[tuple[int, int, int]]]:
        """Do the same with the rows that are not clear, and the balances that no clear row spoke of."""
        fresh, unsound, twice = 0, 0, False
        if sifted.unclear or (whole and sifted.left[0]):
            await tx.execute(stage.compare(ids, whole=whole, most=False, left=sifted.left))
            fresh, _unmatched, unsound, _double = (await tx.tuples(stage.shape()))[0]
            await tx.execute(stage.twice(ids, look=True))
            again = self._again(ids, moving)
            await tx.execute(stage.keep(self.id, again))
            await tx.execute(stage.look_again(self.id, again))
            twice = bool(await tx.value(stage.any_twice()))
        if fresh or None in sifted.versions:
            await tx.execute(writes.ENSURE_NEW, {"id": self.id})
        return unsound, twice, sifted.stocked, moving

    def _since(self) -> datetime:
        return self.said.as_of - timedelta(seconds=self.source.skew_seconds)

    def _again(self, ids: Sequence[int], moving: Sequence[tuple[int, int, int]]) -> Again:
        keys = [(sku, place) for sku, place, _units in moving]
        return Again(self.source.id, ids, self._since() - LOOK_BACK, self._since(), self.before, keys)

    async def _compare(self, tx: Tx, loaded: "_Loaded", digest: bytes, underway: Underway, begin: Begin) -> Snapshot:
        """Find what differs, and accept. The source's lock is held meanwhile, no other."""
        said, source, rows = self.said, self.source, loaded.count
        await tx.value(writes.LOCK_SOURCE, {"id": source.id})
        known = await _known(tx, self.actor, source, said, digest)
        if known is not None:
            return known
        self.before = await tx.values(writes.UNFINISHED, {"id": source.id})
        await tx.connection.execute(writes.ROOM)
        counts = loaded.rows.counts() if loaded.rows else dict(await tx.tuples(loaded.stage.count()))
        places = self._places(counts)
        await self._refuse_older(tx, list(places))
        ids = sorted(places.values())
        whole = said.scope is Scope.WHOLE
        most = len(ids) * 4 > await tx.value(writes.COUNT_LOCATIONS)
        sifted = await self._sift(tx, loaded, places, most, underway)
        if sifted is None and loaded.rows is not None:
            await self._load(loaded.stage, loaded.table, loaded.shape)
        if sifted is None:
            unsound, twice, stocked, moving = await self._judge(tx, loaded, ids, whole, most, underway)
        else:
            unsound, twice, stocked, moving = await self._judge_unclear(tx, loaded.stage, ids, whole, *sifted)
        if moving:
            carried = {
                "skus": [sku for sku, _, _ in moving],
                "locations": [place for _, place, _ in moving],
                "quantities": [units for _, _, units in moving],
            }
            await tx.execute(writes.NOTE_UNDERWAY, carried | {"id": self.id})
        held = await tx.execute(loaded.stage.hold(self.id, self.actor.scope)) if unsound or twice else 0
        zeroed = await tx.value(writes.COUNT_ZEROED, {"id": self.id}) if whole else 0
        state = self._state(zeroed, stocked) if whole else State.APPLYING
        if whole and held and state is State.APPLYING and not said.check:
            await tx.execute(writes.KEEP_ABSENT, {"id": self.id, "source": source.id})
        looked_at = said.check and state is State.APPLYING
        if looked_at:
            state = State.WAITING
        accept = {
            "id": self.id,
            "state": state.value,
            "reason": CHECK if looked_at else None,
            "key": said.key,
            "stocked": stocked,
            "zeroed": zeroed,
            "held": held,
        }
        differing = await tx.value(writes.ACCEPT, accept)
        by_place = {"id": self.id, "locations": ids, "rows": [counts.get(c, 0) for c in _codes(places)]}
        await tx.execute(writes.ADD_PLACES, by_place)
        facts = {"seq": said.seq, "rows": rows, "held": held, "differing": differing, "state": state.value}
        await audit.record(tx, action="receive", entity="stock_snapshot", entity_id=source.code, after=facts)
        if state is not State.REFUSED:
            await tx.execute(writes.SET_LAST_SEQ, {"id": source.id, "seq": said.seq})
            last = {"id": source.id, "seq": said.seq, "as_of": said.as_of, "locations": ids}
            await tx.execute(writes.SET_LAST_AT, last)
        if not differing and (looked_at or state is State.APPLYING):
            end = {"id": self.id, "state": State.APPLIED.value, "states": [state.value], "reason": None}
            await tx.execute(writes.SET_STATE, end)
        elif state is State.APPLYING:
            await begin(tx, self.id, source.id)
        return await reads.snapshot(tx, self.id)

    def _places(self, counts: dict[str, int]) -> dict[str, int]:
        known = {c: i for c, i in (self.source.truths | self.source.secondaries).items() if self.actor.sees(i)}
        if self.said.locations is not None:
            return {code: known[code] for code in self.said.locations}
        return {code: id_ for code, id_ in known.items() if code in counts}

    def _state(self, zeroed: int, stocked: int) -> State:
        if zeroed * 100 <= self.source.zero_percent * stocked:
            return State.APPLYING
        return State.WAITING if self.source.zero_rule is ZeroRule.ASK else State.REFUSED

    async def _refuse_older(self, tx: Tx, codes: list[str]) -> None:
        for place in await reads.standing(tx, self.source.id):
            if place.code in codes and place.last_as_of is not None and self.said.as_of < place.last_as_of:
                raise OlderAsOf(
                    location=place.code,
                    source=self.source.code,
                    last=place.last_as_of.isoformat(),
                    as_of=self.said.as_of.isoformat(),
                )


def _codes(places: dict[str, int]) -> list[str]:
    """Return the codes in the order of their ids."""
    return sorted(places, key=places.__getitem__)


def _packed(rows: Any) -> Any:
    """Yield rows as pieces of the text COPY reads, and how many rows each has."""
    lines: list[str] = []
    for row in rows:
        lines.append(";".join('"' + str(cell).replace('"', '""') + '"' for cell in row))
        if len(lines) == 2_000:
            yield ("\n".join(lines) + "\n").encode(), len(lines)
            lines = []
    if lines:
        yield ("\n".join(lines) + "\n").encode(), len(lines)
