"""Connections that state stock: what their places hold becomes snapshots of a source, like any other's.

All is read from the first page to the last. Each place that is mapped becomes a location of the source; what is not
mapped waits for a person and is not stated. A partial statement is handed over in pieces, each as of one moment within
the tolerance of the source's clock; a whole one is a single statement, and refused where reading it took longer than
that tolerance: what moved meanwhile would be counted twice.
"""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from malha.channels.connecting import failures, reads, stock_reads, stock_rules, turns
from malha.channels.connecting.errors import ReadTooLong
from malha.channels.connecting.model import Linked
from malha.channels.connecting.orders import actor_of, note_wanted
from malha.channels.connecting.runtime import Runtime
from malha.channels.connecting.stock_reads import Role
from malha.channels.connecting.stock_service import STATEMENTS
from malha.channels.connecting.turns import Reading
from malha.channels.contract import ExtStock, Retryable
from malha.flows import stock_sync
from malha.inventory.sync.model import Scope
from malha.inventory.sync.receiving import Statement
from malha.platform.db import Tx

WITHOUT_ROLE_S = 3600.0
EPOCH = datetime.fromtimestamp(0).astimezone()
CODES_AT_ONCE = 5_000


async def state(reading: Reading) -> tuple[float, str | None]:
    """Read what a connection states, and have it taken in; see `turns.work`. Says which places nobody mapped.

    Raises:
        ChannelError: the channel could not be read to the end.
        MalhaError: the statement was refused; see `inventory.sync.receiving.receive`.
    """
    runtime, connection = reading.runtime, reading.connection
    async with runtime.db.transaction() as tx:
        role = await stock_reads.role(tx, connection.id)
        places = await stock_reads.places(tx, connection.id)
    if role is None:
        return WITHOUT_ROLE_S, None
    nothing = Retryable("the connector does not say what stock there is", after=WITHOUT_ROLE_S)
    rows = await reading.stock(without=nothing)
    unmapped = sorted({_word(row) for row in rows} - {word for word, ours in places.items() if ours is not None})
    if unmapped:
        async with runtime.db.transaction() as tx:
            await note_wanted(tx, connection.id, [f"location:{word}" for word in unmapped])
    stated = _as_one([row for row in rows if places.get(_word(row)) is not None], places)
    for part in _parts(stated, role):
        async with runtime.db.transaction() as tx:
            names = await _names(tx, connection, part)
        table = _table(part, names, places)
        await stock_sync.receive(
            runtime.db,
            actor_of(connection),
            _statement(connection, role, part, places),
            _pieces(table),
            limit_mb=runtime.settings.import_limit_mb,
        )
    if unmapped:
        return role.minutes * 60.0, failures.NOT_MAPPED.format(places=", ".join(unmapped)[:300])
    return role.minutes * 60.0, failures.unread_stock(row.sku for row in stated if row.unread)


def _word(row: ExtStock) -> str:
    return row.location or stock_rules.ALL


def _as_one(rows: Sequence[ExtStock], places: Mapping[str, str | None]) -> list[ExtStock]:
    """Return rows with what is summed as of one moment, the earliest: told apart, the later would hide the other."""
    words: dict[str | None, set[str]] = {}
    for word, ours in places.items():
        words.setdefault(ours, set()).add(word)
    shared = {word for several in words.values() if len(several) > 1 for word in several}
    earliest: dict[tuple[str, str | None], datetime] = {}
    for row in rows:
        if _word(row) in shared:
            key = (row.sku, places[_word(row)])
            earliest[key] = min(row.as_of, earliest.get(key, row.as_of))
    return [
        msgspec.structs.replace(row, as_of=earliest[row.sku, places[_word(row)]]) if _word(row) in shared else row
        for row in rows
    ]


def _parts(rows: Sequence[ExtStock], role: Role) -> list[list[ExtStock]]:
    """Return rows in pieces that are each as of one moment, as far as the clock of the source tells moments apart.

    Raises:
        ReadTooLong: it is to be stated as a whole, and cannot be.
    """
    tolerance = timedelta(seconds=role.skew_seconds)
    parts: list[list[ExtStock]] = []
    for row in sorted(rows, key=lambda row: row.as_of):
        if parts and row.as_of - parts[-1][0].as_of <= tolerance:
            parts[-1].append(row)
        else:
            parts.append([row])
    if role.scope == Scope.WHOLE and len(parts) > 1:
        took = (parts[-1][-1].as_of - parts[0][0].as_of).total_seconds()
        raise ReadTooLong(source=role.source, took=round(took), tolerance=role.skew_seconds)
    return parts


async def _names(tx: Tx, connection: Linked, rows: Sequence[ExtStock]) -> dict[str, str]:
    """Return our SKUs by the peer's codes; what is unknown keeps its code, and is held and shown with the snapshot."""
    codes = sorted({row.sku for row in rows})
    found: dict[str, str] = {}
    for start in range(0, len(codes), CODES_AT_ONCE):
        some = codes[start : start + CODES_AT_ONCE]
        found |= {code: sku or code for code, sku in zip(some, await reads.skus_of(tx, connection, some), strict=True)}
    return found


def _table(rows: Sequence[ExtStock], names: Mapping[str, str], places: Mapping[str, str | None]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=";", lineterminator="\n")
    writer.writerow(("sku", "location", "on_hand"))
    # Several places of theirs can be one of ours, and several codes one SKU: what is there is their sum. The same place
    # and code again, on a later page, is a newer word.
    there: dict[tuple[str, str | None], dict[tuple[str, str], int | str]] = {}
    for row in rows:
        units = row.unread or (row.quantity if row.on_hand is None else row.on_hand)
        there.setdefault((names[row.sku], places[_word(row)]), {})[row.sku, _word(row)] = units
    for (sku, place), stated in there.items():
        strange = [units for units in stated.values() if isinstance(units, str)]  # held, and all of the sum with it
        known = [units for units in stated.values() if isinstance(units, int)]
        writer.writerow((sku, place, strange[0] if strange else sum(known)))
    return text.getvalue().encode()


async def _pieces(table: bytes) -> AsyncIterator[bytes]:
    yield table


def _statement(connection: Linked, role: Role, rows: Sequence[ExtStock], places: Mapping[str, str | None]) -> Statement:
    as_of = rows[0].as_of
    return Statement(
        source=role.source,
        seq=(as_of - EPOCH) // timedelta(microseconds=1),  # a later statement is of a later moment
        as_of=as_of,
        scope=Scope(role.scope),
        locations=sorted({code for row in rows if (code := places[_word(row)]) is not None}),
        name=connection.name,
        media_type="text/csv",
    )


async def run(runtime: Runtime, stop: asyncio.Event) -> None:
    """Read what connections state when it is due, until `stop` is set."""
    await turns.run(runtime, STATEMENTS, state, stop)
