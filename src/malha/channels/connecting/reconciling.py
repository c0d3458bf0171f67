"""Comparing with peers what both sides count, because any webhook can be lost and any push be overwritten.

Orders of a day, and what was given back of them, are counted and summed on both sides; where the peer says which, those
that are missing or differ are asked for one by one. The last days are compared again every few hours: an order may
still be on its way.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import structlog

from malha.channels.connecting import documenting, inbox, reads, registry, writes
from malha.channels.connecting.model import Linked, Status
from malha.channels.connecting.runtime import Runtime
from malha.channels.contract import ChannelError, DaySummary, DocumentSink, InboxEvent, SummarySource, Trust
from malha.network import retailer
from malha.platform.clock import now
from malha.platform.db import Tx
from malha.platform.errors import MalhaError
from malha.platform.rounds import Rounds
from malha.platform.sequencer import rest

log = structlog.get_logger(__name__)

EVERY_S = 6 * 3600.0
FIRST_S = 300.0
DAYS = 3
MOST_NAMED = 200


async def compare_all(runtime: Runtime, days: int = DAYS) -> int:
    """Compare the last days of every active connection; return how many days differed."""
    async with runtime.db.transaction() as tx:
        linked = [c for c in await reads.all_linked(tx) if c.status == Status.ACTIVE]
        today = await retailer.day_of(tx, now())
    differed = 0
    for connection in linked:
        for back in range(days):
            try:
                day = today - timedelta(days=back)
                differed += bool(await compare_orders(runtime, connection, day))
                differed += bool(await compare_documents(runtime, connection, day))
            except (ChannelError, MalhaError) as error:
                log.warning("not_compared", connection=connection.code, why=str(error)[:200])
                break
    return differed


async def compare_orders(runtime: Runtime, connection: Linked, day: date) -> list[str]:
    """Compare a day's orders that are not cancelled; return the peer's ids of those that differ, each with a sign.

    `+` only the peer has it, `-` only we do, `~` other money went back. What the peer has and we do not is asked for,
    as if it had hinted at it. Nothing is compared with a peer that does not count.

    Raises:
        ChannelError: what the peer answered.
    """
    connector = registry.connector_of(connection.connector)
    if not isinstance(connector, SummarySource):
        return []
    line = runtime.line(connection)
    line.wire.aside = True
    zone = await _zone(runtime)
    theirs = await line.call(lambda: connector.summarise(line.ctx, day, zone))
    asked = {"connection_id": connection.id, "channel_id": connection.channel_id, **_bounds(day, zone)}
    given = {id_: amount for id_, amount in (theirs.refunds or {}).items() if amount}
    async with runtime.db.transaction() as tx:
        rows = await tx.tuples(reads.ORDERS_OF_DAY, asked)
        ours: dict[str, int] = {id_: total for id_, total, _ in rows}
        backs = {id_: back for id_, _, back in rows if back}
        absent = sorted(set(theirs.ids) - set(ours)) if theirs.ids is not None else []
        extra = sorted(set(ours) - set(theirs.ids)) if theirs.ids is not None else []
        # Orders on both sides of which other money went back: a refund may touch no order, so that no page tells of it.
        other = sorted(id_ for id_ in set(ours) if theirs.refunds is not None and given.get(id_) != backs.get(id_))
        differing = [f"+{id_}" for id_ in absent] + [f"-{id_}" for id_ in extra] + [f"~{id_}" for id_ in other]
        refunded = sum(backs.values()), None if theirs.refunds is None else sum(given.values())
        await _put(tx, connection, "orders", day, ours, theirs, differing, refunded)
        again = _missed(absent, day) + [_hint(f"refunds:{id_}:{given.get(id_, 0)}", id_) for id_ in other]
        if again:
            await inbox.keep(tx, connection.id, "pull", again)
    if differing or not _agree(ours, theirs):
        log.warning("orders_differ", connection=connection.code, day=day.isoformat(), differing=differing[:20])
    return differing


async def compare_documents(runtime: Runtime, connection: Linked, day: date) -> list[str]:
    """Compare a day's orders with what an ERP has of them; return our numbers of those that only one side has.

    Nothing is compared with a peer that takes no documents, and nothing is posted again: what is not there waits for a
    person already, or was removed there.

    Raises:
        ChannelError: what the peer answered.
    """
    connector = registry.connector_of(connection.connector)
    if not isinstance(connector, DocumentSink):
        return []
    line = runtime.line(connection)
    line.wire.aside = True
    zone = await _zone(runtime)
    theirs = await line.call(lambda: connector.summarise_documents(line.ctx, day, zone))
    said = documenting.rules_of(connection)
    asked = {
        "connection_id": connection.id,
        **_bounds(day, zone),
        "credits": said.document_cancels == "credit",
        "placed": said.document_when == "placed",
    }
    async with runtime.db.transaction() as tx:
        ours: dict[str, int] = dict(await tx.tuples(reads.BOOKED_ON_DAY, asked))
        there = set(theirs.ids or ())
        differing = [f"+{id_}" for id_ in sorted(there - set(ours))] + [f"-{id_}" for id_ in sorted(set(ours) - there)]
        # Documents of money that goes back are documents of their own.
        await _put(tx, connection, "documents", day, ours, theirs, differing, (0, None))
    if differing or not _agree(ours, theirs):
        log.warning("documents_differ", connection=connection.code, day=day.isoformat(), differing=differing[:20])
    return differing


async def _zone(runtime: Runtime) -> str:
    """Return by whose clock days are counted on both sides: the retailer's."""
    async with runtime.db.transaction() as tx:
        return (await retailer.zone(tx)).key


def _bounds(day: date, zone: str) -> dict[str, datetime]:
    where = ZoneInfo(zone)
    return {
        "since": datetime.combine(day, time(), where),
        "until": datetime.combine(day + timedelta(days=1), time(), where),
    }


def _agree(ours: Mapping[str, int], theirs: DaySummary) -> bool:
    return (len(ours), sum(ours.values())) == (theirs.orders, theirs.total)


async def _put(
    tx: Tx,
    connection: Linked,
    kind: str,
    day: date,
    ours: Mapping[str, int],
    theirs: DaySummary,
    differing: Sequence[str],
    refunded: tuple[int, int | None],
) -> None:
    """Keep what came of a comparison; `refunded` is what went back by our count and by theirs."""
    await tx.execute(
        writes.PUT_RECONCILIATION,
        {
            "id": connection.id,
            "kind": kind,
            "day": day,
            "ours": len(ours),
            "theirs": theirs.orders,
            "ours_total": sum(ours.values()),
            "theirs_total": theirs.total,
            "ours_refunded": refunded[0],
            "theirs_refunded": refunded[1],
            "differing": list(differing[:MOST_NAMED]),
        },
    )


def _missed(ids: Sequence[str], day: date) -> list[InboxEvent]:
    # Once a day: what could not be taken waits for a person already.
    stamp = f"{day.isoformat()}:{now().date().isoformat()}"
    return [_hint(f"missed:{id_}:{stamp}", id_) for id_ in ids]


def _hint(dedup: str, id_: str) -> InboxEvent:
    return InboxEvent(dedup=dedup, entity=f"order:{id_}", trust=Trust.HINT, order_id=id_)


async def run(runtime: Runtime, stop: asyncio.Event) -> None:
    """Compare every few hours until `stop` is set."""
    await rest(stop, FIRST_S)
    rounds = Rounds(log, waits="comparing_waits", failed="comparing_failed")
    while not stop.is_set():
        with rounds:
            await compare_all(runtime)
        await rest(stop, EVERY_S)
