"""Comparing what channels show of stock with what they were told and what there is.

A channel's own orders, a push on its way and a page that is read late all make differences that pass by themselves. So
what differs is read a second time after a while, and only what differs both times counts; what is being told just now
is not compared at all. Nothing is changed at the channel: a person has it told again.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec
import structlog

from malha.channels import quantities
from malha.channels.connecting import failures, registry, stock_reads, stock_rules, stock_writes, turns, writes
from malha.channels.connecting import reads as connections
from malha.channels.connecting.model import Linked, Status
from malha.channels.connecting.runtime import Runtime
from malha.channels.connecting.stock_rules import Cause, Ours, Shown
from malha.channels.connecting.turns import Reading
from malha.channels.contract import Capability, Retryable
from malha.intake.reference import reference_in
from malha.platform.db import Tx
from malha.platform.rounds import Rounds
from malha.platform.sequencer import rest

log = structlog.get_logger(__name__)

STREAM = "stock_look"
EVERY_S = 6 * 3600.0
AGAIN_S = 60.0  # between the two readings
GRACE_S = 600.0  # a change that was not told for so long is not on its way any more
PAGE = 500
NEEDS = frozenset({Capability.STOCK, Capability.STOCK_SOURCE})
_encode = msgspec.json.Encoder().encode


class Found(msgspec.Struct, frozen=True):
    """A difference at one reading."""

    ours: Ours | None  # None: nothing is listed under the code
    code: str
    cause: Cause
    shown: int | None
    quantity: int


class Compared(msgspec.Struct):
    """What one reading found."""

    shown: Mapping[str, Shown]
    listed: int = 0
    underway: int = 0
    found: dict[str, Found] = {}


def comparable(connector: str) -> bool:
    """Tell whether connections of a connector are compared: it takes stock and says what it shows."""
    known = registry.connectors().get(connector)
    return known is not None and known.capabilities >= NEEDS


async def look(reading: Reading, *, again_s: float = AGAIN_S) -> tuple[float, str | None]:
    """Compare a connection's stock, and keep what differs; see `turns.work`.

    Raises:
        ChannelError: the channel could not be read to the end.
    """
    db, connection = reading.runtime.db, reading.connection
    async with db.transaction() as tx:
        began = await tx.now()
        role = await stock_reads.role(tx, connection.id)
        mapped = await stock_reads.places(tx, connection.id) if role else {}
    apart = frozenset(word for word, location in mapped.items() if location is not None)
    first = await _compared(reading, await _shown(reading, apart), began, None)
    lasting = first
    if first.found:
        await rest(reading.stop, again_s)
        if reading.stop.is_set() or not await reading.still_mine():
            raise Retryable(failures.LOOK_BROKEN_OFF, after=0.0)
        skus = sorted(found.ours.sku_id for found in first.found.values() if found.ours is not None)
        lasting = await _compared(reading, await _shown(reading, apart), began, skus)
    both = [second for code, second in sorted(lasting.found.items()) if code in first.found]
    async with db.transaction() as tx:
        await _keep(tx, connection, began, first, lasting, both)
    if both:
        log.warning("stock_differs", connection=connection.code, listings=len(both))
    return EVERY_S, failures.unread_stock([code for code, each in lasting.shown.items() if each.unread])


async def _shown(reading: Reading, apart: frozenset[str]) -> dict[str, Shown]:
    nothing = Retryable(failures.NO_SHOWN_STOCK, after=EVERY_S)
    return stock_rules.shown_of(await reading.stock(without=nothing), apart)


async def _compared(
    reading: Reading, shown: Mapping[str, Shown], since: datetime, skus: Sequence[int] | None
) -> Compared:
    """Compare what is shown with the listings here, or with some of them; a page of them in each transaction."""
    done = Compared(shown)
    listed: set[str] = set()
    after = 0
    while True:
        async with reading.runtime.db.transaction() as tx:
            page = await stock_reads.ours(
                tx, reading.connection.channel_id, after=after, skus=skus, since=since, grace=GRACE_S, most=PAGE
            )
            may = await _published(tx, reading.connection, page)
        done.listed += len(page)
        for ours in page:
            listed.add(ours.code)
            if ours.underway:
                done.underway += 1
                continue
            there = shown.get(ours.code)
            if there is not None and there.unread:
                continue
            units = None if there is None else there.quantity
            cause = stock_rules.cause_of(ours, may[ours.sku_id], units)
            if cause is not None:
                done.found[ours.code] = Found(ours, ours.code, cause, units, may[ours.sku_id])
        if len(page) < PAGE:
            break
        after = page[-1].sku_id
    if skus is not None:  # what is not listed at all, again among all listings
        async with reading.runtime.db.transaction() as tx:
            listed = set(await stock_reads.codes(tx, reading.connection.channel_id))
    for code in stock_rules.unlisted(shown, frozenset(listed)):
        done.found[code] = Found(None, code, Cause.UNLISTED, shown[code].quantity, 0)
    return done


async def _published(tx: Tx, connection: Linked, page: Sequence[Ours]) -> dict[int, int]:
    if not page:
        return {}
    wanted = {ours.sku: ours.sku_id for ours in page}
    return await quantities.published(tx, await reference_in(tx), connection.channel_id, wanted)


async def _keep(
    tx: Tx, connection: Linked, began: datetime, first: Compared, last: Compared, both: Sequence[Found]
) -> None:
    look_id: int = await tx.value(
        stock_writes.ADD_LOOK,
        {
            "connection_id": connection.id,
            "began_at": began,
            "shown": len(last.shown),
            "listed": first.listed,
            "passing": len(first.found) - len(both),
            "underway": first.underway,
            "differing": len(both),
        },
    )
    if not both:
        return
    await tx.execute(
        stock_writes.ADD_DIFFERENCES,
        {
            "look_id": look_id,
            "connection_id": connection.id,
            "began_at": began,
            "codes": [each.code for each in both],
            "skus": [each.ours.sku_id if each.ours else None for each in both],
            "causes": [each.cause.value for each in both],
            "shown": [each.shown for each in both],
            "told": [each.ours.told if each.ours else None for each in both],
            "ours": [each.quantity for each in both],
            "places": [_places(last.shown.get(each.code)) for each in both],
        },
    )


def _places(shown: Shown | None) -> str | None:
    """Return what is where as JSON, where the peer names places."""
    return _encode(shown.places).decode() if shown is not None and set(shown.places) - {""} else None


async def ensure(runtime: Runtime) -> None:
    """Have every active connection compared whose connector can be: also those that were made before that was so."""
    async with runtime.db.transaction() as tx:
        linked = [c for c in await connections.all_linked(tx) if c.status == Status.ACTIVE and comparable(c.connector)]
        for connection in linked:  # a handful
            await tx.execute(writes.ADD_CURSOR, {"id": connection.id, "stream": STREAM, "since": None})


async def run(runtime: Runtime, stop: asyncio.Event) -> None:
    """Compare every few hours, and whenever somebody asks for it, until `stop` is set."""
    clock = turns.Every(turns.ENSURE_S)
    rounds = Rounds(log, waits="comparing_stock_waits", failed="comparing_stock_failed")
    while not stop.is_set():
        with rounds:
            if clock.due():
                await ensure(runtime)
            await turns.work(runtime, STREAM, look, stop)
        await rest(stop, turns.IDLE_S)
