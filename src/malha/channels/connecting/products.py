"""Reading what channels sell: to be mapped, made products where a connection makes them, written where it keeps fields.

Page by page, the cursor moving with what is kept.
"""

import asyncio
from collections.abc import Callable
from functools import partial

import structlog

from malha.channels.connecting import (
    failures,
    making,
    mapping,
    mapping_rules,
    master_rules,
    mastering,
    reads,
    registry,
    turns,
    unread,
    writes,
)
from malha.channels.connecting.mapping_rules import Seen
from malha.channels.connecting.model import Status
from malha.channels.connecting.runtime import Runtime
from malha.channels.connecting.turns import Reading
from malha.channels.contract import Capability, CatalogSource, ExtProduct, Retryable
from malha.platform.rounds import Rounds
from malha.platform.sequencer import rest

log = structlog.get_logger(__name__)

STREAM = unread.STREAM
EVERY_S = 900.0
CARE_EVERY_S = 30.0


async def read(reading: Reading) -> tuple[float, str | None]:
    """Read what changed of a channel's catalogue; see `turns.work`.

    Raises:
        ChannelError: a page did not come; what came before it is kept.
    """
    line = reading.line()
    source = line.connector
    if not isinstance(source, CatalogSource):
        raise Retryable(failures.NO_PRODUCTS, after=3600.0)
    cursor = reading.cursor
    walked = {cursor}
    for _ in range(turns.PAGES):
        page = await reading.page(line, partial(source.pull_products, line.ctx), cursor)
        if page.unread:  # they are held below
            log.warning("products_unread", connection=reading.connection.code, ids=page.unread[:20])
        async with reading.runtime.db.transaction() as tx:
            await mapping.note(
                tx, reading.connection.id, [seen_of(each, line.wire.without_secrets) for each in page.items], "catalog"
            )
            moved = {
                "id": reading.connection.id,
                "stream": STREAM,
                "value": page.cursor,
                "former": cursor,
                "since": None,
                "handles": [],
                "more": True,
                "pause": 0.0,
            }
            if await tx.value(writes.MOVE_CURSOR, moved) is None:
                return EVERY_S, None  # somebody else reads it by now
            await unread.keep(tx, reading.connection.id, page)
        if not page.more:
            break
        if page.cursor in walked:
            raise Retryable(failures.SAME_PAGE)
        walked.add(cursor := page.cursor)
        if reading.stop.is_set() or not await reading.still_mine():
            raise Retryable(failures.READING_BROKEN_OFF, after=0.0)
    async with reading.runtime.db.transaction() as tx:
        await mapping.settle_exact(tx, reading.connection.id)
    return EVERY_S, None


def seen_of(said: ExtProduct, without_secrets: Callable[[str], str] = str) -> Seen:
    """Return a variant that a channel tells, as it is kept; `without_secrets` cuts those of the connection out."""
    told = master_rules.told_beside(said)
    if "pictures" in told:  # addresses of pictures go to other channels, to shoppers and into the audit log
        told["pictures"] = [without_secrets(address) for address in told["pictures"]]
    return Seen(
        code=mapping_rules.code_of(said.sku, said.id, said.gtin),
        external_id=said.id[:200],
        gtin=said.gtin[:20],
        name=said.name[:200],
        price=said.price,
        active=said.active,
        version=said.version,
        parent=said.product.strip()[:200],
        told=told,
    )


async def care(runtime: Runtime) -> None:
    """Have orders go on that waited for what became one of ours meanwhile: a product that was made, a listing."""
    async with runtime.db.transaction() as tx:
        for connection_id in await tx.values(reads.WAITING_FOR_LISTINGS):  # those with an order that waits
            await mapping.settle_exact(tx, connection_id)


async def ensure(runtime: Runtime) -> None:
    """Have every active connection's catalogue read whose connector tells it."""
    able = registry.connectors()
    async with runtime.db.transaction() as tx:
        for connection in await reads.all_linked(tx):  # a handful
            connector = able.get(connection.connector)
            tells = connector is not None and registry.is_asked(connector, Capability.CATALOG_SOURCE)
            if tells and connection.status == Status.ACTIVE:
                await tx.execute(writes.ADD_CURSOR, {"id": connection.id, "stream": STREAM, "since": None})


async def run(runtime: Runtime, stop: asyncio.Event) -> None:
    """Read catalogues when they are due until `stop` is set; a failed round is logged and tried again."""
    ensuring, caring = turns.Every(turns.ENSURE_S), turns.Every(CARE_EVERY_S)
    rounds = Rounds(log, waits="reading_products_waits", failed="reading_products_failed")
    while not stop.is_set():
        with rounds:
            if ensuring.due():
                await ensure(runtime)
            await turns.work(runtime, STREAM, read, stop)
            await making.work(runtime, stop)
            await mastering.work(runtime, stop)
            if caring.due():
                await care(runtime)
        await rest(stop, turns.IDLE_S)
