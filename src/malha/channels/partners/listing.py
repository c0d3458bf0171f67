"""Products, prices and orders that files list: kept page by page, from where the page before ended.

How many are kept moves in the transaction that keeps them, and only from what it was. So a worker that dies goes on
where it was, and two that work at one file keep nothing twice. The number of the file is the version of what it says:
of two files that tell the same thing, the one that was taken later counts.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from itertools import islice

import msgspec

from malha.channels.connecting import inbox, mapping, products
from malha.channels.connecting.orders import actor_of
from malha.channels.connecting.runtime import Line
from malha.channels.contract import ExtOrder, ExtProduct, FileSource, Listed, Page
from malha.channels.partners import reads, spooling, writes
from malha.channels.partners.reads import OpenFile
from malha.platform.db import Database, Tx

KINDS = frozenset({"products", "prices", "orders"})
PAGE = 500
PAGES = 100  # of one turn, before other connections have theirs


async def go_on(db: Database, line: Line, file: OpenFile) -> bool:
    """Keep what a file lists and is not kept yet; tell whether that was all of it.

    Raises:
        Invalid: the configuration has changed, and the file is no such table any more.
    """
    connection = line.connection
    async with db.transaction() as tx:
        content: bytes = await tx.value(reads.CONTENT, {"id": file.id})
    as_of = msgspec.convert((file.stated or {})["as_of"], datetime)
    kept = file.listed
    with spooling.opened(content) as body:
        source: FileSource = line.connector  # type: ignore[assignment]
        told = await asyncio.to_thread(source.understand, line.ctx.config, file.name, body, as_of)
        found = iter(told.listed or ())
        await asyncio.to_thread(_pass_over, found, kept)
        for _ in range(PAGES):
            page = await asyncio.to_thread(lambda: list(islice(found, PAGE)))
            if not page:
                break
            async with db.transaction(actor_of(connection)) as tx:
                moved = {"id": file.id, "former": kept, "listed": kept + len(page)}
                if await tx.value(writes.MOVE_LISTED, moved) is None:
                    return False  # somebody else is at it by now
                await _keep(tx, connection.id, file, page)
            kept += len(page)
        else:
            return False
    if file.kind != "orders":
        async with db.transaction(actor_of(connection)) as tx:
            await mapping.settle_exact(tx, connection.id)
    return True


def _pass_over(found: object, count: int) -> None:
    for _ in islice(found, count):  # type: ignore[call-overload]
        pass


async def _keep(tx: Tx, connection_id: int, file: OpenFile, page: Sequence[Listed]) -> None:
    items = [msgspec.structs.replace(each.item, version=file.number) for each in page]
    told = [item for item in items if isinstance(item, ExtOrder)]
    if told:
        await inbox.keep(tx, connection_id, "file", inbox.events_of(Page(items=told, cursor="")))
    sold = [products.seen_of(item) for item in items if isinstance(item, ExtProduct)]
    if sold:
        await mapping.note(tx, connection_id, sold, "catalog", partly=True, makes=file.kind == "products")
