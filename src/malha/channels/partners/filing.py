"""Files of partners: read once, kept as they are, taken apart, and put away only when all they say is settled.

A turn begins with what earlier turns left: files whose statements are handled are put away at the partner, with the
rows to mend; stock is applied once nothing else of the partner waits. Then new files are looked for. One that is larger
or younger than at the last look is left alone: somebody still writes it. A file and what it says are kept in one
transaction, so a crash on either side of it loses nothing and takes nothing twice.
"""

import asyncio
import gzip
from array import array
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, BinaryIO

import msgspec
import structlog

from malha.channels.connecting import cleaning
from malha.channels.connecting import writes as connection_writes
from malha.channels.connecting.model import Linked, Turn
from malha.channels.connecting.orders import Parked, actor_of
from malha.channels.connecting.runtime import Line
from malha.channels.contract import (
    Capability,
    FileSource,
    FileTold,
    InboxEvent,
    Invalid,
    Missing,
    RemoteFile,
    RowFlaw,
    Said,
    StockTold,
    Trust,
)
from malha.channels.partners import answering, listing, reads, rules, spooling, writes
from malha.channels.partners.reads import OpenFile
from malha.inventory.sync import reads as sources
from malha.platform import i18n
from malha.platform.db import Actor, Database, Tx
from malha.platform.errors import MalhaError
from malha.platform.ids import UUID, new_id

log = structlog.get_logger(__name__)

STREAM = "files"
AT_ONCE = 50  # files of one turn
REMEMBERED = 5_000  # files that wait and were seen
MOST_FLAWS = 5_000
# What is said anew when it is written anew, whatever was said before; a file that nobody understood may be by now.
STATED = frozenset({"stock", "products", "prices", ""})
_seen = msgspec.json.Decoder(dict[str, tuple[int, int]]).decode
_encode = msgspec.json.Encoder().encode


class Stated(msgspec.Struct, frozen=True, kw_only=True):
    """A stock that a partner states: which table, of when, of which of our locations."""

    source: str
    as_of: datetime
    locations: Sequence[str]
    name: str
    key: str


# Takes a stock in and has it applied; returns the rows of its table that are held (1 is the first behind the header).
TakeStock = Callable[[Database, Actor, Stated, Iterator[bytes]], Awaitable[Mapping[int, str]]]


async def read(
    db: Database, line: Line, turn: Turn, pause_s: float, take_stock: TakeStock | None, language: str
) -> int:
    """Take one turn with the files of a connection; return how many new ones were taken.

    Raises:
        ChannelError: the partner is away; or refuses a file, the others being done all the same.
    """
    refused: list[Invalid] = []
    more = await _finish(db, line, take_stock, language, refused)
    async with db.transaction() as tx:
        listed = {
            (file.name, file.bytes, file.stated["modified"])
            for file in await reads.open_files(tx, line.connection.id)
            if file.stated is not None and "modified" in file.stated
        }
    source = line.connector
    taken = 0
    seen: dict[str, tuple[int, int]] = {}
    if isinstance(source, FileSource):
        before = _seen(turn.value) if turn.value else {}
        found: Sequence[RemoteFile] = await line.call(lambda: source.look(line.ctx))
        seen = {f.name: (f.size, f.modified) for f in found[:REMEMBERED]}
        still = [f for f in found if before.get(f.name) == (f.size, f.modified)]
        for file in [f for f in still if (f.name, f.size, f.modified) not in listed][:AT_ONCE]:
            try:
                taken += await _take(db, line, source, file)
            except Invalid as error:
                refused.append(error)
    async with db.transaction() as tx:
        moved = {"id": turn.connection_id, "stream": turn.stream, "value": _encode(seen).decode(), "since": None}
        rest: dict[str, Any] = {
            "former": turn.value,
            "handles": [],
            "more": False,
            "pause": 0.0 if taken or more else pause_s,
        }
        await tx.value(connection_writes.MOVE_CURSOR, {**moved, **rest})
    if refused:
        raise refused[0]
    return taken


# --- a new file ---


async def _take(db: Database, line: Line, source: FileSource, file: RemoteFile) -> int:
    """Keep a file and what it says; one that was taken before is put away again."""
    connection = line.connection
    with spooling.spool() as body:
        try:
            await line.call(lambda: source.fetch(line.ctx, file.name, body))
        except Missing:
            return 0
        except Invalid as error:
            if error.code != "too_large":
                raise
            told: FileTold | Invalid = error
            body.seek(0)
            body.truncate()
        else:
            if spooling.size_of(body) != file.size:
                return 0  # somebody writes it while we read
            told = await asyncio.to_thread(_understood, line, source, file, body)
        kind = told.kind if isinstance(told, FileTold) else ""
        print_ = spooling.fingerprint(file.name, body, file.modified if kind in STATED else None)
        content = spooling.squeezed(body)
        async with db.transaction(actor_of(connection)) as tx:
            params = {"connection_id": connection.id, "fingerprint": print_}
            known = await tx.tuples(reads.FILE_BY_FINGERPRINT, params)
            new = not known and await _keep(tx, connection, file, content, print_, told)
    if known and known[0][2] in {"done", "held"} and not await _rewritten(line, source, file):
        # Handled before and here once more: the partner sent it again, or we died before it was out of the way.
        number = known[0][1]
        await line.call(lambda: source.put_away(line.ctx, file.name, number, None))
    return int(new)


async def _rewritten(line: Line, source: FileSource, file: RemoteFile) -> bool:
    """Tell whether another file stands under the name by now: it is not to be moved away unread."""
    found = await line.call(lambda: source.look(line.ctx))
    return any(each.name == file.name and each != file for each in found)


def _understood(line: Line, source: FileSource, file: RemoteFile, body: BinaryIO) -> FileTold | Invalid:
    try:
        return source.understand(line.ctx.config, file.name, body, datetime.fromtimestamp(file.modified, UTC))
    except Invalid as error:
        return error


async def _keep(
    tx: Tx, connection: Linked, file: RemoteFile, content: bytes, print_: bytes, told: FileTold | Invalid
) -> bool:
    row: dict[str, Any] = {
        "id": new_id(),
        "connection_id": connection.id,
        "way": "in",
        "kind": "unknown",
        "name": file.name,
        "fingerprint": print_,
        "bytes": file.size,
        "content": content,
        "rows": 0,
        "held": 0,
        "state": "taken",
        "stated": None,
        "says": "",
    }
    if isinstance(told, Invalid):
        problem = {"problem": told.code or "no_table", "value": told.why[:200]}
        says = _encode(problem).decode()
        row |= {"stated": _encode({"modified": file.modified}).decode(), "state": "applied", "says": says}
        return await tx.value(writes.ADD_FILE, row) is not None
    said = told.said
    unknown = await answering.is_known(tx, connection.id, [s.answer for s in said])
    flaws = [*told.flaws, *(f for s, bad in zip(said, unknown, strict=True) if bad for f in _flaws_of(s, bad))]
    good = [s for s, bad in zip(said, unknown, strict=True) if bad is None]
    row |= {"kind": told.kind, "rows": told.rows, "held": len(flaws)}
    as_of = datetime.fromtimestamp(file.modified, UTC) if told.stock is None else told.stock.as_of
    row["stated"] = _encode({"as_of": as_of, "modified": file.modified}).decode()
    if await tx.value(writes.ADD_FILE, row) is None:
        return False
    await _add_flaws(tx, row["id"], flaws)
    await keep_said(tx, "file", [(connection.id, one) for one in good], row["id"])
    return True


def _flaws_of(said: Said, bad: tuple[str, str, str]) -> list[RowFlaw]:
    first, *others = said.rows
    problem, field, value = bad
    return [RowFlaw(first, problem, field, value), *(RowFlaw(row, "with_others") for row in others)]


async def _add_flaws(tx: Tx, file_id: UUID, flaws: Sequence[RowFlaw]) -> None:
    some = flaws[:MOST_FLAWS]
    if some:
        await tx.execute(
            writes.ADD_FLAWS,
            {
                "file_id": file_id,
                "rows": [f.row for f in some],
                "problems": [f.problem for f in some],
                "fields": [f.field for f in some],
                "values": [f.value.replace("\x00", "")[:200] for f in some],
            },
        )


async def keep_said(tx: Tx, way: str, told: Sequence[tuple[int, Said]], file_id: UUID | None = None) -> Counter[int]:
    """Keep what partners said over connections; what was said before and waits for a person is tried again.

    Returns how much of it is new, by its place in `told`.
    """
    new: Counter[int] = Counter()
    if not told:
        return new
    said = [one for _, one in told]
    keys = [(connection_id, cleaning.text(rules.dedup_of(one.answer))) for connection_id, one in told]
    columns = {"connections": [connection_id for connection_id, _ in keys], "dedups": [dedup for _, dedup in keys]}
    found = await tx.tuples(
        connection_writes.RECEIVE,
        {
            **columns,
            "source": way,
            "entities": [cleaning.text(rules.entity_of(s.answer)) for s in said],
            "trusts": [Trust.DATA.value] * len(said),
            "payloads": [cleaning.body(_encode(s.answer)) for s in said],
        },
    )
    await tx.values(writes.REPLAY_SAID, columns)
    if file_id is not None:
        rows = {"file_id": file_id, "rows": [",".join(map(str, s.rows)) for s in said]}
        await tx.execute(writes.ADD_ANSWERS, {**rows, "dedups": columns["dedups"]})
    first = {key: n for n, key in reversed(list(enumerate(keys)))}
    new.update(first[connection_id, dedup] for connection_id, dedup in found)
    return new


async def keep_events(tx: Tx, told: Sequence[tuple[int, Sequence[InboxEvent]]]) -> list[int]:
    """Keep what partners said by webhooks, over one connection each; return how much of each is new.

    Written in the order of its keys, not of its arrival: another process may keep the same at the same time.
    """
    answers: list[tuple[int, Said]] = []
    stocks: list[tuple[int, str, StockTold, int]] = []
    whose: list[int] = []
    for at, (connection_id, events) in enumerate(told):
        for event in events:
            if isinstance(event.answer, StockTold):
                stocks.append((connection_id, event.dedup, event.answer, at))
            elif event.answer is not None:
                answers.append((connection_id, Said([], event.answer)))
                whose.append(at)
    counts = [0] * len(told)
    for n, count in (await keep_said(tx, "webhook", answers)).items():
        counts[whose[n]] += count
    files = [(_stock_file(connection_id, stock, name), at) for connection_id, name, stock, at in stocks]
    for row, at in sorted(files, key=lambda file: (file[0]["connection_id"], file[0]["fingerprint"])):
        counts[at] += await tx.value(writes.ADD_FILE, row) is not None
    return counts


def _stock_file(connection_id: int, stock: StockTold, name: str) -> dict[str, Any]:
    body = _encode(stock)
    return {
        "id": new_id(),
        "connection_id": connection_id,
        "way": "in",
        "kind": "stock",
        "name": name[:200] or "stock.json",
        "fingerprint": rules.fingerprint(name, body, None),
        "bytes": len(body),
        "content": gzip.compress(body, 5, mtime=0),
        "rows": len(stock.lines),
        "held": 0,
        "state": "taken",
        "stated": _encode({"json": True}).decode(),
        "says": "",
    }


# --- what earlier turns left ---


async def _finish(
    db: Database, line: Line, take_stock: TakeStock | None, language: str, refused: list[Invalid]
) -> bool:
    """Bring files on their way; tell whether a file that lists things is to be gone on with at once.

    What the partner does not let be put away is added to `refused`, and tried again at the next turn.
    """
    connection = line.connection
    async with db.transaction() as tx:
        files = await reads.open_files(tx, connection.id)
        said_waits = await tx.value(reads.SAID_WAITS, {"connection_id": connection.id})
    more = False
    for file in files:
        if file.state == "taken":
            if file.kind in listing.KINDS:
                more = more or not await _list(db, line, file)
                if more:
                    continue  # the next ones wait: what was written later counts
            elif file.kind == "stock":
                if said_waits or take_stock is None or more or any(f.holds_stock for f in files):
                    continue
                if await _makes(db, connection):
                    continue  # its SKUs are not there yet
                await _apply_stock(db, line, file, take_stock)
            elif file.waits:
                continue
            else:
                await _settle(db, connection, file)
        try:
            await _put_away(db, line, file, language)
        except Invalid as error:
            refused.append(error)
    return more


async def _list(db: Database, line: Line, file: OpenFile) -> bool:
    """Keep what a file lists; tell whether that was all of it."""
    says = ""
    try:
        if not await listing.go_on(db, line, file):
            return False
    except Invalid as error:
        says = _encode({"problem": error.code or "no_table", "value": error.why[:200]}).decode()
    async with db.transaction(actor_of(line.connection)) as tx:
        await tx.value(writes.SETTLE_FILE, {"id": file.id, "says": says})
    return True


async def _makes(db: Database, connection: Linked) -> bool:
    async with db.transaction() as tx:
        return bool(await tx.value(reads.MAKING, {"connection_id": connection.id}))


async def _settle(db: Database, connection: Linked, file: OpenFile) -> None:
    """Note the rows of a file whose statements were not taken."""
    async with db.transaction(actor_of(connection)) as tx:
        parked = await tx.tuples(reads.PARKED_ROWS, {"file_id": file.id})
        await _add_flaws(tx, file.id, [RowFlaw(r, "refused", "", why) for rows, why in parked for r in rows])
        await tx.value(writes.SETTLE_FILE, {"id": file.id, "says": ""})


async def _apply_stock(db: Database, line: Line, file: OpenFile, take_stock: TakeStock) -> None:
    connection = line.connection
    says = ""
    flaws: list[RowFlaw] = []
    fulfils = Capability.FULFILMENT in line.connector.capabilities
    problem = "unknown_location" if fulfils else "other_location"
    async with db.transaction() as tx:
        content: bytes = await tx.value(reads.CONTENT, {"id": file.id})
    with spooling.opened(content) as body:
        try:
            async with db.transaction() as tx:
                codes = await (_fulfilled(tx, connection) if fulfils else _stated(tx, connection))
            stock, rows = _stock_of(line, file, body)
            named: set[str] = set(stock.locations)
            mine = array("I")  # lines of the file that are of our locations
            for row, each in zip(rows, stock.lines, strict=True):
                if each.location in codes:
                    mine.append(row)
                    if not stock.locations:
                        named.add(each.location)
                elif len(flaws) < MOST_FLAWS:
                    flaws.append(RowFlaw(row, problem, "location", each.location))
            stated = Stated(
                source=answering.source_of(connection),
                as_of=stock.as_of,
                locations=sorted({codes[each] for each in named if each in codes}),
                name=file.name,
                key=f"partner:{file.id}",
            )
            if mine:
                held = await take_stock(db, actor_of(connection), stated, rules.table_of(stock, codes))
                flaws += [RowFlaw(mine[n - 1], "stock_row", "", why) for n, why in held.items() if n <= len(mine)]
        except Parked as error:
            says = _encode({"problem": error.cause, "value": error.why}).decode()
        except MalhaError as error:
            says = _encode({"problem": "refused", "value": str(error)[:300]}).decode()
        except Invalid as error:  # the configuration has changed since it was taken
            says = _encode({"problem": error.code or "no_table", "value": error.why[:200]}).decode()
    async with db.transaction(actor_of(connection)) as tx:
        await _add_flaws(tx, file.id, flaws)
        await tx.value(writes.SETTLE_FILE, {"id": file.id, "says": says})


async def _fulfilled(tx: Tx, connection: Linked) -> dict[str, str]:
    """Return our codes of the locations that a partner fulfils, by what it calls them."""
    return {place.theirs: place.code for place in await reads.locations(tx, connection.id)}


async def _stated(tx: Tx, connection: Linked) -> dict[str, str]:
    """Return the locations that the stock source of a connection speaks for.

    Raises:
        Parked, UnknownSource: it names none that there is.
    """
    source = await sources.source(tx, answering.source_of(connection))
    return {code: code for code in source.truths | source.secondaries}


def _stock_of(line: Line, file: OpenFile, body: BinaryIO) -> tuple[StockTold, Sequence[int]]:
    stated = file.stated or {}
    if stated.get("json"):
        stock = msgspec.json.decode(body.read(), type=StockTold)
        return stock, range(1, len(stock.lines) + 1)
    as_of = msgspec.convert(stated["as_of"], datetime)
    source: Any = line.connector
    told = source.understand(line.ctx.config, file.name, body, as_of)
    return told.stock, told.stock_rows


async def _put_away(db: Database, line: Line, file: OpenFile, language: str) -> None:
    """Move a file out of the way, unless the partner wrote a new one under its name: that one is read first."""
    source = line.connector
    stated = file.stated or {}
    async with db.transaction() as tx:
        errors = await errors_of(tx, file.id, language)
    if (
        isinstance(source, FileSource)
        and not stated.get("json")
        and not (
            "modified" in stated
            and await _rewritten(line, source, RemoteFile(file.name, file.bytes, stated["modified"]))
        )
    ):
        body = None
        if errors:
            async with db.transaction() as tx:
                content: bytes = await tx.value(reads.CONTENT, {"id": file.id})
            with spooling.opened(content) as kept:
                body = source.error_file(line.ctx.config, kept, errors)
        await line.call(lambda: source.put_away(line.ctx, file.name, file.number, body))
    async with db.transaction() as tx:
        await tx.value(writes.END_FILE, {"id": file.id})


async def errors_of(tx: Tx, file_id: UUID, language: str) -> dict[int, str]:
    """Return what is wrong with a file, by row, in a language; row 0 is the whole of it."""
    rows = await reads.flaws(tx, file_id, MOST_FLAWS)
    found = {f.row: said(language, rules.PROBLEMS, f.problem, f.field, f.value) for f in rows}
    says: str = await tx.value(reads.FILE_SAYS, {"id": file_id}) or ""
    return ({0: said_of_file(language, says)} if says else {}) | found


def said(language: str, texts: Mapping[str, str], problem: str, field: str, value: str) -> str:
    """Return what is wrong in a language."""
    return i18n.translate(language, texts.get(problem, "{value}"), field=field, value=value)


def said_of_file(language: str, says: str) -> str:
    """Return what is wrong with a whole file in a language."""
    found = msgspec.json.decode(says, type=dict[str, str])
    return said(language, rules.FILE_PROBLEMS, found.get("problem", ""), "", found.get("value", ""))
